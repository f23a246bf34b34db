# shellcheck shell=sh
# lib.sh - real nodes on loopback, for the tests of this folder and for tools/run.
#
#     build   the folder with the programs             set before this file is sourced
#     work    a new folder, removed at the end         set here
#
# A node is known by a short name, such as ken: its state directory is $work/ken, its log
# $work/ken.log, its process $work/ken.pid. Nothing here sleeps for a fixed time: every wait is for a
# condition, and has a deadline. What must happen in the middle of something is stopped by a condition, too: there
# is always more of it to come.
: "${build:?}"

# The daemon that node_start runs: a test may choose another.
vigild=$build/vigild
node_options=

work=$(mktemp -d "${TMPDIR:-/tmp}/vigil.XXXXXX") || exit 1
chmod 700 "$work"
umask 077
phrase='the kettle sings before sunrise'
printf '%s\n' "$phrase" >"$work/passphrase"
# The ceremony asks once for each key that it needs.
yes "$phrase" | head -n 16 >"$work/passphrases"

keeping=no
# A test that needs more at its end defines this anew.
at_end() {
    :
}
end_all() {
    set +e
    for pid_file in "$work"/*.pid; do
        [ -e "$pid_file" ] || continue
        kill -KILL "$(cat "$pid_file")" 2>/dev/null
    done
    wait 2>/dev/null
    at_end
    if [ "$keeping" = yes ]; then
        printf 'Everything is left in %s\n' "$work" >&2
    else
        rm -rf "$work"
    fi
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Complaints reach people from within a wait, too, whose output is put aside.
exec 8>&2

# What the nodes wrote last: for a person who has to find out why.
show_logs() {
    for log in "$work"/*.log; do
        [ -s "$log" ] || continue
        printf -- '--- %s\n' "$(basename "$log")"
        tail -n 25 "$log"
    done
}

fail() {
    {
        printf '%s: %s\n' "$(basename "$0")" "$*"
        show_logs
    } >&8
    exit 1
}

skip() {
    printf '%s: skipped: %s\n' "$(basename "$0")" "$*" >&2
    exit 77
}

# Seconds of a clock that nobody sets.
now_s() {
    read -r uptime_s _ </proc/uptime
    uptime_s=${uptime_s%.*}
}

# A deadline says how long a machine would need at most that does nothing else; one that does, or whose tests carry
# sanitizers, gets so many times as long. Only what fails waits for it.
patience=6

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; the test fails if it never does.
wait_for() {
    now_s
    wait_until=$((uptime_s + $1 * patience))
    wait_what=$2
    shift 2
    until "$@" >"$work/wait.out" 2>&1; do
        now_s
        if [ "$uptime_s" -ge "$wait_until" ]; then
            cat "$work/wait.out" >&8
            fail "waited in vain: $wait_what"
        fi
        sleep 0.1
    done
}

# Ports of loopback, below those that the system gives out by itself: blocks of fifty. Whoever listens on the first
# of a block has the others to itself, so that no test takes the port of another one's node that is down for a moment.
ports_end=0
take_ports() {
    block=$$
    tries=0
    until block=$(((block + 1) % 400)) && relay_begin ports 1 --listen $((12000 + 50 * block)); do
        tries=$((tries + 1))
        [ $tries -lt 400 ] || fail "no ports are free"
        kill "$(cat "$work/ports.writer.pid")"
        rm "$work"/ports.*
    done
    port=$((12000 + 50 * block))
    ports_end=$((port + 50))
}
free_port() {
    [ $ports_end -gt 0 ] || take_ports
    until port=$((port + 1)) && "$build/relay" --to 1 --listen $port </dev/null >/dev/null 2>&1; do
        [ $port -lt $ports_end ] || fail "no port is free"
    done
}

# --- One node ------------------------------------------------------------------

# vigil on the node named first.
on() {
    on_node=$1
    shift
    "$build/vigil" --node "$work/$on_node" "$@"
}

# A new device: its folder, its config, its request. It listens on a free port, kept in $work/NAME.port.
node_init() {
    free_port
    echo "$port" >"$work/$1.port"
    "$build/vigild" init "$work/$1" --name "$2" --listen "tcp://127.0.0.1:$port" --key-memory 64 \
        --passphrase-fd 3 3<"$work/passphrase" >"$work/$1.init" 2>&1 || {
        cat "$work/$1.init" >&2
        fail "$1 was not made"
    }
    let_reach "$1" "$work"
}

# let_reach NAME FOLDER: where the node may read and write files.
let_reach() {
    sed -i "s|^folders = .*|folders = {\"$2\"}|" "$work/$1/node.conf"
    grep -q "^folders = .*$2" "$work/$1/node.conf" || fail "node.conf of $1 has no folders"
}

is_running() {
    [ -e "$work/$1.pid" ] && kill -0 "$(cat "$work/$1.pid")" 2>/dev/null
}

answers() {
    is_running "$1" || fail "$1 ended"
    on "$1" status
}

# node_start NAME [VARIABLE=VALUE...]: until it answers.
node_start() {
    started=$1
    shift
    # shellcheck disable=SC2086 # an option and its value, or nothing
    env "$@" "$vigild" run "$work/$started" $node_options --passphrase-fd 3 3<"$work/passphrase" >>"$work/$started.log" 2>&1 &
    echo $! >"$work/$started.pid"
    wait_for 60 "$started answers" answers "$started"
}

node_stop() {
    kill -TERM "$(cat "$work/$1.pid")" || fail "$1 was not running"
    wait "$(cat "$work/$1.pid")" || fail "$1 ended with $?"
    rm "$work/$1.pid"
}

# As a power cut: the process has no time for anything.
node_kill() {
    kill -KILL "$(cat "$work/$1.pid")"
    wait "$(cat "$work/$1.pid")" 2>/dev/null || :
    rm "$work/$1.pid"
}

# The process of the node that meets the network; nothing while there is none.
net_pid() {
    on "$1" --json status | sed -n 's/.*"net":{"pid":\([1-9][0-9]*\).*/\1/p'
}

has_net() {
    [ -n "$(net_pid "$1")" ]
}

# net_kill NAME: kill that process; it was $net_killed.
net_kill() {
    wait_for 30 "$1 has a network process" has_net "$1"
    net_killed=$(net_pid "$1")
    kill -KILL "$net_killed"
}

# --- An organisation -------------------------------------------------------------

org_found() {
    "$build/vigil-org" init "$work/ceremony" --name "$1" --roots 1 --key-memory 64 \
        --passphrase-fd 3 3<"$work/passphrases" >"$work/ceremony.out" 2>&1 || {
        cat "$work/ceremony.out" >&2
        fail "the organisation was not founded"
    }
}

request_of() {
    echo "$work/$1"/*.request
}

# org_enrol NODE OFFICE OPTION...: certify the device and let it join.
org_enrol() {
    enrolled=$1
    office=$2
    shift 2
    "$build/vigil-org" enrol "$work/ceremony" --office "$office" --key-memory 64 "$@" \
        --passphrase-fd 3 "$(request_of "$enrolled")" 3<"$work/passphrases" >"$work/ceremony.out" 2>&1 || {
        cat "$work/ceremony.out" >&2
        fail "$enrolled was not enrolled"
    }
    "$build/vigild" init "$work/$enrolled" --welcome "$(request_of "$enrolled").welcome" \
        --passphrase-fd 3 3<"$work/passphrase" >>"$work/$enrolled.init" 2>&1 || {
        cat "$work/$enrolled.init" >&2
        fail "$enrolled did not join"
    }
}

# The news for nodes that joined before: one is told, the others learn it from that one.
org_tell() {
    on "$1" peer add --statements "$work/ceremony/organisation.statements" >/dev/null ||
        fail "$1 did not take in the news"
}

# What names a device for people and for `peer add`.
fingerprint() {
    on "$1" status | sed -n 's/^Fingerprint *//p'
}

# dial FROM TO [PORT]: have FROM call TO, through a relay if its port is given.
dial() {
    on "$1" peer add "tcp://127.0.0.1:${3:-$(cat "$work/$2.port")}" --device "$(fingerprint "$2")" --name "$2" \
        >/dev/null || fail "$1 cannot call $2"
}

# --- A relay between two nodes -----------------------------------------------------

relay_spoke() {
    [ -s "$work/$1.answers" ] || [ -s "$work/$1.log" ]
}

# relay_begin NAME PORT [OPTION...]: forwards to PORT; true once it listens, false if it cannot. Commands go through a
# named pipe that this shell keeps open, so that the relay ends when the test does.
relay_begin() {
    relay_name=$1
    relay_to=$2
    shift 2
    mkfifo "$work/$relay_name.commands"
    "$build/relay" --to "$relay_to" "$@" <"$work/$relay_name.commands" >"$work/$relay_name.answers" \
        2>"$work/$relay_name.log" &
    echo $! >"$work/$relay_name.pid"
    # Whoever opens a pipe to write waits for a reader; the writer stays until the test ends.
    sleep 2147483647 >"$work/$relay_name.commands" &
    echo $! >"$work/$relay_name.writer.pid"
    wait_for 20 "$relay_name listens" relay_spoke "$relay_name"
    grep -q listening "$work/$relay_name.answers"
}

# relay_start NAME PORT [OPTION...]: its own port is in $work/NAME.port.
relay_start() {
    relay_begin "$@" || fail "the relay $1 does not start"
    sed -n 's/^listening //p' "$work/$1.answers" >"$work/$1.port"
}

answered() {
    [ "$(wc -l <"$work/$1.answers")" -gt "$2" ]
}

# relay NAME COMMAND...: done when it is answered, and the answer is in $relay_said.
relay() {
    relay_name=$1
    shift
    before=$(wc -l <"$work/$relay_name.answers")
    printf '%s\n' "$*" >"$work/$relay_name.commands"
    wait_for 20 "the relay answers '$*'" answered "$relay_name" "$before"
    relay_said=$(tail -n 1 "$work/$relay_name.answers")
    case $relay_said in
    bad*) fail "the relay does not know '$*'" ;;
    esac
}

# relay_count NAME WHAT: one of its counters.
relay_count() {
    relay "$1" count
    printf '%s\n' "$relay_said" | awk -v what="$2" '{ for (n = 1; n < NF; n += 2) if ($n == what) print $(n + 1) }'
}

# is_noted NODE EVENT: the audit log that the node reads has it.
is_noted() {
    [ -n "$(on "$1" --json audit list --what "$2")" ]
}

# --- Whether all hold the same -------------------------------------------------------

# "name|frontier" of every compartment that the node holds.
frontiers() {
    on "$1" --json digest | sed -n 's/.*"name":"\([^"]*\)".*"frontier":"\([0-9a-f]*\)".*/\1|\2/p'
}

# True if no two of the nodes hold one compartment in two states, and none waits for anything.
same_digests() {
    for node in "$@"; do
        on "$node" digest --check >/dev/null || return 1
        frontiers "$node" || return 1
    done >"$work/frontiers" || return 1
    [ -s "$work/frontiers" ] || return 1
    [ -z "$(sort -u "$work/frontiers" | cut -d '|' -f 1 | uniq -d)" ]
}

# True if all hold the same entries, whether or not they can read them.
same_frontiers() {
    for node in "$@"; do
        frontiers "$node" || return 1
    done >"$work/frontiers" || return 1
    [ -s "$work/frontiers" ] || return 1
    [ -z "$(sort -u "$work/frontiers" | cut -d '|' -f 1 | uniq -d)" ]
}

# True if every peer of every node is complete, and the digests are equal.
converged() {
    for node in "$@"; do
        on "$node" sync status --check || return 1
    done
    same_digests "$@"
}

# --- What a disk tells whoever finds it ------------------------------------------------

# no_trace FOLDER TEXT...: none of the texts, of 8 characters and more, is in a file of it: as it is or turned round, in UTF-16 of
# either order, in hex of either case, or in base64 at each of the three places where it may begin.
no_trace() {
    trace_in=$1
    shift
    for text in "$@"; do
        hex=$(printf '%s' "$text" | od -An -v -tx1 | tr -d ' \n')
        {
            printf '%s\n' "$text"
            printf '%s\n' "$text" | rev
            printf '%s\n' "$hex"
            printf '%s\n' "$hex" | tr a-f A-F
            # Of what the letters before and behind it change, nothing.
            printf '%s' "$text" | base64 -w 0 | cut -c "1-$((${#text} * 8 / 6))"
            printf '.%s' "$text" | base64 -w 0 | cut -c "3-$(((${#text} + 1) * 8 / 6))"
            printf '..%s' "$text" | base64 -w 0 | cut -c "4-$(((${#text} + 2) * 8 / 6))"
        } >"$work/traces"
        [ "$(wc -l <"$work/traces")" -eq 7 ] || fail "not every form of '$text' was made"
        ! grep -rlaFf "$work/traces" "$trace_in" || fail "'$text' is in a file of $trace_in"
        big=$(printf '%s' "$hex" | sed 's/../\\x00\\x&/g')
        little=$(printf '%s' "$hex" | sed 's/../\\x&\\x00/g')
        ! LC_ALL=C grep -rlaP "$big|$little" "$trace_in" || fail "'$text' is in UTF-16 in a file of $trace_in"
    done
}

# --- What tests share -----------------------------------------------------------------

# An organisation of HQ, which holds everything, and the offices named "ken:KEN" ...: enrolled and running. Nobody
# calls anybody yet.
org_with() {
    org_found 'Defenders Network'
    node_init hq 'HQ server'
    org_enrol hq HQ --office-name Headquarters --everything
    for with in "$@"; do
        node_init "${with%:*}" "${with#*:} laptop"
        org_enrol "${with%:*}" "${with#*:}"
    done
    node_start hq
    for with in "$@"; do
        node_start "${with%:*}"
    done
    org_tell hq
}

# load NODE OFFICE COUNT SEED [OPTION...]: so many cases with their persons and sources; what was acknowledged is in
# $work/NODE.made, one record a line.
load() {
    load_at=$1
    load_office=$2
    load_count=$3
    load_seed=$4
    shift 4
    "$build/generate" --office "$load_office" --count "$load_count" --seed "$load_seed" "$@" >"$work/$load_at.cases"
    on "$load_at" --json case new --file "$work/$load_at.cases" >"$work/$load_at.made" 2>"$work/$load_at.load" ||
        fail "$load_at did not take its cases: $(cat "$work/$load_at.load")"
    [ "$(wc -l <"$work/$load_at.made")" -eq "$(wc -l <"$work/$load_at.cases")" ] || fail "$load_at did not answer each"
}

# new_case NODE OPTION...: the id of the new case, in $made.
new_case() {
    new_at=$1
    shift
    made=$(on "$new_at" --json case new "$@" | jq -r .record) || fail "$new_at made no case"
    [ ${#made} -eq 32 ] || fail "$new_at gave '$made' for a new case"
}

# expect CODE COMMAND...: run it; a failure is told in three lines, in $work/err.
expect() {
    want=$1
    shift
    code=0
    "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = "$want" ] || fail "$* ended with $code, not $want: $(cat "$work/err")"
    if [ "$want" != 0 ]; then
        [ "$(wc -l <"$work/err")" = 3 ] || fail "$* complains in other than three lines: $(cat "$work/err")"
        grep -q '^  why: ' "$work/err" && grep -q '^  do:  ' "$work/err" || fail "$* does not say why and what to do"
    fi
}
