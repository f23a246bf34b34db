# shellcheck shell=sh
# lib.sh - an office behind a bad line, for the laboratory: `lab` sources it behind tests/e2e/lib.sh.
#
#     [ ken ] -- veth -- [ relay "line" -- hq ]        two network namespaces
#     [ ken -- relay "line" -- hq ]                    one machine's loopback, where they cannot be made
#
# ken dials and is the office; hq holds everything. `there` is what ken sends.

# --- The line -------------------------------------------------------------------------

# The namespace of ken, as a process that does nothing in it; what enters it; where hq is, seen from there.
apart=no
place=127.0.0.1
ns_pid=
enter() {
    [ "$apart" = yes ] && set -- nsenter --target "$ns_pid" --net "$@"
    "$@"
}
make_apart() {
    [ "${LINKS_APART:-no}" = yes ] || return 0
    unshare --net sleep 2147483647 &
    ns_pid=$!
    echo $ns_pid >"$work/namespace.pid"
    # The namespace is there once it is another than ours.
    wait_for 10 'a network namespace' is_another "$ns_pid"
    ip link add line0 type veth peer name line1 netns "$ns_pid" &&
        ip address add 10.77.0.1/30 dev line0 && ip link set line0 up || return 0
    apart=yes
    enter ip address add 10.77.0.2/30 dev line1
    enter ip link set line1 up
    enter ip link set lo up
    place=10.77.0.1
    printf '#!/bin/sh\nexec nsenter --target %s --net %s "$@"\n' "$ns_pid" "$build/vigild" >"$work/vigild-apart"
    chmod 700 "$work/vigild-apart"
}
is_another() {
    [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# Bytes of IP that passed between the two, both ways, with TCP's own; nothing where it cannot be told. A frame of the veth
# has 14 bytes before the packet.
ip_bytes() {
    [ "$apart" = yes ] || return 0
    awk '{ sub(":", " ") } $1 == "line0" { print $2 + $10 - 14 * ($3 + $11) }' /proc/net/dev
}

# line_is PROFILE: what the relay does to what passes.
line_is() {
    case $1 in
    lan) set -- 0 0 262144 0 0 ;;
    geo) set -- 8000 300 8192 0 0 ;;
    2g) set -- 2500 400 4096 5 30000 ;;
    *) fail "there is no line '$1'" ;;
    esac
    relay line rate "$1"
    relay line delay "$2"
    relay line queue "$3"
    relay line stalls "$4"
    relay line cut-each "$5"
}

# nodes_are PROFILE: what both nodes are told of it. They begin anew.
nodes_are() {
    case $1 in
    lan) set -- lan 30000 3000 ;;
    geo) set -- "${LINKS_GEO:-wan}" 0 15000 ;;
    2g) set -- "${LINKS_2G:-metered}" 0 30000 ;;
    esac
    for told in ken hq; do
        if is_running $told; then
            node_stop $told
        fi
        sed -i "s/^profile = .*/profile = $1/; s/^heartbeat_ms = .*/heartbeat_ms = $2/
            s/^handshake_ms = .*/handshake_ms = $3/" "$work/$told/node.conf"
    done
    start hq
    start ken
}

start() {
    vigild=$build/vigild
    if [ "$1" = ken ] && [ "$apart" = yes ]; then
        vigild=$work/vigild-apart
    fi
    node_start "$1"
    vigild=$build/vigild
}

# call_over RELAY NODE: ken calls the node through the relay.
call_over() {
    on ken peer add "tcp://$place:$(sed 's/.*://' "$work/$1.port")" --device "$(fingerprint "$2")" --name "$2" \
        >/dev/null || fail "ken cannot call $2"
}

# --- Time -----------------------------------------------------------------------------

# Hundredths of a second of a clock that nobody sets, in $cs.
now_cs() {
    read -r cs _ </proc/uptime
    cs=${cs%.*}${cs#*.}
}

# await SECONDS COMMAND...: until it succeeds, in $took hundredths of a second. False: it did not.
await() {
    now_cs
    await_from=$cs
    await_end=$((cs + $1 * 100))
    shift
    until "$@" >/dev/null 2>&1; do
        now_cs
        [ "$cs" -lt $await_end ] || return 1
        sleep 0.1
    done
    now_cs
    took=$((cs - await_from))
}

# The same with a line every half minute of how far it is.
await_shown() {
    await_all=$1
    shift
    now_cs
    shown_from=$cs
    until await 30 "$@"; do
        relay line count
        printf '   %5s s: %s\n' $(((cs - shown_from) / 100)) "$relay_said" >&8
        [ $((cs - shown_from)) -lt $((await_all * 100)) ] || return 1
    done
    now_cs
    took=$((cs - shown_from))
}

in_seconds() {
    awk "BEGIN { printf \"%.1f\", $1 / 100 }"
}

# --- Counting --------------------------------------------------------------------------

# What the relay counts, each in a variable: $there, $back, $inner_there and so on; $wire is both ways together.
count_line() {
    relay "${1:-line}" count
    eval "$(printf '%s\n' "$relay_said" | awk '{ for (n = 1; n < NF; n += 2) { gsub("-", "_", $n); print $n "=" $(n + 1) } }')"
    wire=$((there + back))
    inner=$((inner_there + inner_back))
    handshake=$((handshake_there + handshake_back))
}

# Nothing passed for three seconds.
is_quiet() {
    relay "${1:-line}" count
    quiet_before=$relay_said
    sleep 3
    relay "${1:-line}" count
    [ "$quiet_before" = "$relay_said" ]
}

# What a node that is down holds, in the form in which it travels: $entries, $chunks, $bytes, $largest.
chunks_of() {
    eval "$("$build/links-chunks" "$work/$1" <"$work/passphrase" | awk '{ for (n = 1; n < NF; n += 2) print $n "=" $(n + 1) }')"
}

# weigh NODE: stop it, look at what it holds, and start it again.
weigh() {
    node_stop "$1"
    chunks_of "$1"
    start "$1"
}

# --- What is printed --------------------------------------------------------------------

# figure WHAT VALUE UNIT LIMIT: beside its limit. Judges nothing: the code at the end is the same.
figure() {
    awk -v what="$1" -v value="$2" -v unit="$3" -v limit="$4" 'BEGIN {
        printf "%-66s %12s %-3s  <= %-10s %s\n", what, value, unit, limit, value + 0 <= limit + 0 ? "ok" : "OVER" }' |
        tee -a "$out/figures.txt"
}
note() {
    printf '    %s\n' "$*" | tee -a "$out/figures.txt"
}
say() {
    printf '== %s\n' "$*" >&8
}
