#!/bin/sh
# planted.sh - plants bugs in copies of sync and store, one at a time, and demands that a test sees each.
#
# usage: planted.sh SOURCE BUILD [ROUNDS]   where BUILD holds the libraries and the simulator of SOURCE
#
# The simulator is asked first, twelve seeds a round (8 rounds), then its lanes, then the unit tests. With 0 rounds nobody
# is asked: it is only seen that each bug still finds its place.
set -u

source=$1
build=$2
rounds=${3:-8}
folder=$build/planted-sim
compiler=${CC:-cc}
mkdir -p "$folder"
failed=0

# link NAME OUT: link the program NAME as CMake does, with the planted object before the libraries.
link() {
    # CMake puts some names between quotes.
    parts=$(sed 's/ -o .*//; s/^[^ ]* //; s/"//g' "$build/CMakeFiles/$1.dir/link.txt")
    libraries=$(sed 's/.* -o [^ ]* //; s/"//g' "$build/CMakeFiles/$1.dir/link.txt")
    # shellcheck disable=SC2086
    "$compiler" $parts "$folder/planted.o" -o "$2" $libraries
}

# caught NAME: run the tests against the planted object; says which one saw it.
caught() {
    link sim "$folder/sim" >"$folder/$1.log" 2>&1 || return 2
    round=0
    while [ $round -lt "$rounds" ]; do
        if ! "$folder/sim" --once --from $((round * 12 + 1)) --seeds 12 >"$folder/$1.log" 2>&1; then
            echo "$1: caught by the simulator: $(grep -m1 '^seed\|ssertion' "$folder/$1.log")"
            return 0
        fi
        round=$((round + 1))
    done
    if ! "$folder/sim" --lanes >"$folder/$1.log" 2>&1; then
        echo "$1: caught by the lanes: $(tail -n 1 "$folder/$1.log")"
        return 0
    fi
    for unit in unit-replica unit-gossip unit-journal unit-frontier; do
        [ -e "$build/CMakeFiles/$unit.dir/link.txt" ] || continue
        link $unit "$folder/$unit" >"$folder/$1.log" 2>&1 || return 2
        if ! "$folder/$unit" >"$folder/$1.log" 2>&1; then
            echo "$1: caught by $unit: $(grep -m1 ':[FE]:' "$folder/$1.log")"
            return 0
        fi
    done
    return 1
}

# plant NAME FILE SED: the copy must differ, must build, and must fail a test.
plant() {
    sed "$3" "$source/$2" >"$folder/$(basename "$2")"
    if cmp -s "$source/$2" "$folder/$(basename "$2")"; then
        echo "$1: the bug finds no place in $2 any more"
        failed=1
        return
    fi
    [ "$rounds" -gt 0 ] || return 0
    if ! "$compiler" -std=c17 -O1 -g -D_GNU_SOURCE -fPIE -I"$source" -c -o "$folder/planted.o" \
        "$folder/$(basename "$2")" >"$folder/$1.log" 2>&1; then
        tail -n 20 "$folder/$1.log"
        echo "$1: does not build"
        failed=1
        return
    fi
    caught "$1"
    case $? in
    0) ;;
    1)
        echo "$1: nobody saw the bug"
        failed=1
        ;;
    *)
        tail -n 20 "$folder/$1.log"
        echo "$1: does not link"
        failed=1
        ;;
    esac
}

cd "$build" || exit 1

# What anybody says is taken for the author's.
plant any-signature sync/intake.c 's/if (chunk_verify(chunk, descriptor->sign_pk) != CHUNK_OK) {/if (false) {/'

# A chunk is put on the first branch that has an entry before it, whether or not that is its own.
plant any-prev sync/intake.c '/^attach(/,/^}/s/if (memcmp(prev_out->bytes, chunk->prev_short.*/if (true) {/'

# Of a fork, one tip is told and the others are not.
plant one-tip-of-a-fork sync/replica.c '/^frontier_update(/,/^}/s/count += is_tip;/count += is_tip \&\& count == 0;/'

# A peer is answered while the turn may still come to nothing.
plant answer-before-commit sync/gossip_receive.c \
    '/^gossip_receive(/,/^}/s/^    gossip->now_ms = now_ms;/    gossip->now_ms = now_ms;\n    (void)gossip_flush(gossip, now_ms);/'

# What identifies a person is written among the rest.
plant no-protected-half sync/author.c \
    's/return sensitivity == LEVEL_L3 ? PROTECTED_HALF : OPEN_HALF;/(void)sensitivity; return OPEN_HALF;/'

# What waited for a key is left waiting when it comes.
plant no-second-look sync/intake.c 's/^            take_up(intake, span_of(prefix, sizeof prefix));/            (void)prefix;/'

# Who may read from now on is shown only what comes from now on.
plant the-past-stays-closed sync/intake.c 's/^            take_up_carried(intake, &readable\[n\]);/            continue;/'

# Whatever digest a peer tells, it is taken to hold the same.
plant any-digest-is-equal sync/gossip_session.c \
    's/if (memcmp(frontier_digest(frontier), part->peer_digest, DIGEST_BYTES) == 0) {/if (true) {/'

# A log grows and its row on disk does not say so.
plant head-not-kept store/journal.c '/^journal_flush(/,/^}/s/branch_write(txn, branch);/(void)txn;/'

# Ordinary entries go before urgent ones.
plant ordinary-before-urgent sync/gossip_send.c \
    's/pick_lane(gossip, conn, LANE_URGENT, pick) ||/pick_lane(gossip, conn, LANE_NORMAL, pick) || &/'

# A peer is told of everything that we may hold ourselves.
plant told-without-level sync/replica_gossip.c \
    's/roster_compartments_shared(replica->roster, own, peer,/roster_compartments_shared(replica->roster, own, own,/'

# Nobody says that something is withheld.
plant withheld-unsaid sync/replica.c 's/view_out->withheld = true;/view_out->withheld = false;/'

# A key that nobody else has is written under.
plant key-without-entry sync/author.c 's/(known != ERR_ABSENT || half == OPEN_HALF)/known != ERR_ABSENT/'

exit $failed
