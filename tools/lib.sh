# shellcheck shell=sh
# lib.sh - what tools/run and tools/check share: finding, installing, building.
# Sourced with `root` set to the source tree.
: "${root:?}"

say() {
    printf '%s\n' "$*" >&2
}

# The packages of the sections named, in the order of the list.
packages() {
    for section in "$@"; do
        awk -v section="$section" '
            /^# [a-z]+$/ { here = ($2 == section); next }
            /^#/ || /^$/ { next }
            here { print $1 }' "$root/tools/packages.list"
    done
}

# Those of the packages named that are not installed.
missing_packages() {
    for package in "$@"; do
        case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
        installed) ;;
        *) printf '%s\n' "$package" ;;
        esac
    done
}

# need_packages MAY_INSTALL SECTION...: see that all are there. With nothing
# missing this needs neither root nor a network. Exits 3 where it cannot install.
need_packages() {
    may_install=$1
    shift
    if ! command -v dpkg-query >/dev/null 2>&1; then
        say "This is no Debian: install the packages of tools/packages.list by their names here."
        exit 3
    fi
    # shellcheck disable=SC2046 # words are wanted
    set -- $(missing_packages $(packages "$@"))
    [ $# -gt 0 ] || return 0
    install_line="apt-get install -y --no-install-recommends $*"
    as_root=
    if [ "$may_install" = no ]; then
        say "Packages are missing. As root:"
        say "$install_line"
        exit 3
    fi
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
            as_root=sudo
        else
            say "Packages are missing, and there is no right to install them. As root:"
            say "$install_line"
            exit 3
        fi
    fi
    say "${as_root:+$as_root }$install_line"
    # Fresh images carry no package lists at all.
    if [ -z "$(find /var/lib/apt/lists -name '*Packages*' 2>/dev/null | head -n 1)" ]; then
        $as_root apt-get update >&2 || exit 3
    fi
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@" >&2 || exit 3
}

# build FOLDER CMAKE-OPTION...: configure and build; the second time only what changed. All targets, or those
# that are named in $targets.
targets=
build() {
    folder=$1
    shift
    say "== building in $(basename "$folder")"
    mkdir -p "$folder"
    if ! cmake -S "$root" -B "$folder" "$@" >"$folder/configure.log" 2>&1; then
        cat "$folder/configure.log" >&2
        return 1
    fi
    # shellcheck disable=SC2086 # words are wanted
    cmake --build "$folder" -j "$(nproc)" ${targets:+--target $targets} >"$folder/build.log" 2>&1 || {
        grep -E -A 12 'error|warning|\*\*\*' "$folder/build.log" >&2
        say "The whole output is in $folder/build.log"
        return 1
    }
}
