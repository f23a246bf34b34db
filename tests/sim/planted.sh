#!/bin/sh
# planted.sh - plants bugs in copies of sync and store, one at a time, and demands that a test sees each.
#
# usage: planted.sh SOURCE BUILD [ROUNDS [NAME...]]   where BUILD holds the libraries and the simulator of SOURCE
#
# The simulator is asked first, twelve seeds a round (8 rounds), then its lanes and restores, then the unit tests. With 0
# rounds nobody is asked: it is only seen that each bug still finds its place. With names only those bugs are planted.
set -u

source=$(cd "$1" && pwd) || exit 2
build=$(cd "$2" && pwd) || exit 2
rounds=${3:-8}
names=
if [ $# -gt 3 ]; then
    shift 3
    names=" $* "
fi
folder=$build/planted-sim
compiler=${CC:-cc}
mkdir -p "$folder"
failed=0
count=0

# link NAME OUT: link the program NAME as CMake does, with the planted object before the libraries.
link() {
    # CMake puts some names between quotes.
    parts=$(sed 's/ -o .*//; s/^[^ ]* //; s/"//g' "$build/CMakeFiles/$1.dir/link.txt")
    libraries=$(sed 's/.* -o [^ ]* //; s/"//g' "$build/CMakeFiles/$1.dir/link.txt")
    # shellcheck disable=SC2086
    "$compiler" $parts "$folder/planted.o" -o "$2" $libraries
}

# seen_by_simulator NAME: ask its seeds, lanes and restores. 0: it sees the bug, 1: it does not, 2: it does not link.
seen_by_simulator() {
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
    if ! "$folder/sim" --restores 100 --once >"$folder/$1.log" 2>&1; then
        echo "$1: caught by the restores: $(grep -m1 '^seed\|ssertion' "$folder/$1.log")"
        return 0
    fi
    return 1
}

# caught NAME: ask for the planted object; says who saw it. Gives the same.
caught() {
    seen_by_simulator "$1"
    seen=$?
    [ $seen = 1 ] || return $seen
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
    case ${names:- $1 } in
    *" $1 "*) ;;
    *) return ;;
    esac
    count=$((count + 1))
    copy=$folder/$(basename "$2")
    sed "$3" "$source/$2" >"$copy"
    if cmp -s "$source/$2" "$copy"; then
        echo "$1: the bug finds no place in $2 any more"
        failed=1
        return
    fi
    [ "$rounds" -gt 0 ] || return 0
    if ! "$compiler" -std=c17 -O1 -g -D_GNU_SOURCE -fPIE -I"$source" -c -o "$folder/planted.o" \
        "$copy" >"$folder/$1.log" 2>&1; then
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
    's/|| pick_lane(gossip, conn, LANE_URGENT, pick))/|| pick_lane(gossip, conn, LANE_NORMAL, pick) &/'

# What is older of an urgent record goes when its lane comes to it.
plant hint-ignored sync/gossip_send.c 's/return pick_pulled(gossip, conn, pick) ||/return (false \&\& pick_pulled(gossip, conn, pick)) ||/'

# Anybody's hint is heeded, whether or not it counts.
plant any-hint sync/intake.c '/^intake_hinted_record(/,/^}/s/stored.state != STATE_MERGED || //'

# A peer is told of everything that we may hold ourselves.
plant told-without-level sync/replica_gossip.c \
    's/roster_compartments_shared(replica->roster, own, peer,/roster_compartments_shared(replica->roster, own, own,/'

# Nobody says that something is withheld.
plant withheld-unsaid sync/replica.c 's/view_out->withheld = true;/view_out->withheld = false;/'

# A key that nobody else has is written under.
plant key-without-entry sync/author.c 's/(known != ERR_ABSENT || half == OPEN_HALF)/known != ERR_ABSENT/'

# --- the checks that tests/model leaves out: its mutants by their names, and README.md there says what each drops ---

plant NOT_JUDGED_AGAIN sync/intake.c '/^settle(/,/^}/s/follow_limits(intake, branch);/(void)branch;/'
plant CUT_ENTRY_LATE sync/intake.c '/^take_entries(/,/^}/s/^        follow_limits(.*/        (void)limited;/'
plant CUT_BY_SEQ sync/limit.c '/^limit_by(/,/^}/s/^            let_pass(.*/            for (struct log_branch *at = first; at != NULL; at = next_branch(journal, at)) {\
                at->limit_work = higher(at->limit_work, cut->seq + 1);\
            }/'
plant CUT_WITHOUT_ENTRY sync/limit.c '/^limit_by(/,/^}/{
s/if (log_no != LOG_NONE) {/{/
s/journal_branch(journal, log_no)/log_no == LOG_NONE ? first : &/
}'
# The higher of the limits is what is told already.
plant ANY_REVOCATION sync/limit.c \
    '/^limit_log(/,/^}/s/lower(at->limit_next, at->limit_work)/higher(at->told_next, at->limit_work)/'
plant FRONTIER_PAST_CUTS sync/replica.c '/^branch_end(/,/^}/s/return .*/return branch->next_seq;/'
plant FRONTIER_TO_NEAREST_CUT sync/replica.c '/^branch_end(/,/^}/s/told_next/limit_next/g'
plant ONE_TIP sync/replica.c '/^frontier_update(/,/^}/s/count += is_tip;/count += is_tip \&\& count == 0;/'
# No branch is an answer there, and no failure of the turn.
plant SECOND_CHILD sync/intake.c '/^branch_for(/,/^}/s/return journal_begin_branch(.*/return NULL;/
/^take_entries(/,/^}/s/intake->failed = true;/(void)intake;/'
plant BARE sync/intake.c '/^payloads_are_here(/,/^}/s/return false;/(void)entry;/'
plant LATE_COPY sync/intake.c '/^append(/,/^}/s/if (order != NULL) {/if (false) {/'
plant ERASE_MERGED sync/erase.c \
    '/^look_at(/,/^}/s/if (!entry_is_member(/if (stored.state != STATE_MERGED || !entry_is_member(/'
plant SCAN_FORGOTTEN sync/erase.c '/^scan_write(/,/^}/s/^    table_put(.*/    (void)row;/'
plant SAME_INCARNATION sync/restore.c '/^restore_identity(/,/^}/s/world_random(.*/(void)world;/'
plant ANCHOR_IGNORED sync/replica.c '/^was_rolled_back(/,/^}/s/return true;/return false;/'
plant NOT_ANCHORED sync/replica.c \
    '/^replica_anchor(/,/^}/s/if (replica->anchor_entries == replica->own_entries) {/if (true) {/'
plant NOT_ANCHORED-after-a-crash sync/replica.c \
    '/^check_anchor(/,/^}/s/^    return rolled_back/    replica->anchor_entries = replica->own_entries;\n&/'
plant TAIL_UNNOTICED sync/replica_gossip.c '/^is_current_log(/,/^}/s/return /return false \&\& /'

plant DUE_IN_MEMORY sync/erase.c '/^due_set(/,/^}/s/table_put(.*/(void)txn;/'
plant LEFTOVERS_STAY store/vault.c '/^wrap_clear(/,/^}/s/if (is_other_folder(.*/if (false) {/'
plant RECEIPT_EARLY sync/erase.c '/^erase_progress_of(/,/^}/s/ \&\& !erase->due//'
plant KEYS_REWRITTEN_ONCE sync/replica_erase.c '/^rewrite(/,/^}/s/ || replica->keys_rewritten_at != destroyed//'
plant MAIN_COMMITTED_FIRST sync/replica.c '/^commit_turn(/,/^}/{
s/table_commit(&replica->keys_txn)/table_commit(\&replica->the_other)/
s/table_commit(&replica->main_txn)/table_commit(\&replica->keys_txn)/
s/the_other/main_txn/
}'
plant NAMED_BEFORE_WRITTEN sync/replica_erase.c '/^rewrite_keys(/,/^}/{
s/= write_keys(.*/= wrap_write(replica->directory, \&replica->storage_key, \&next, replica->world);/
t
s/= wrap_write(.*/= write_keys(replica, \&next, \&env);/
}'

if [ $count = 0 ]; then
    echo "no bug has such a name:$names" >&2
    exit 2
fi
exit $failed
