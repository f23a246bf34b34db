#!/bin/sh
# check.sh - searches every state of the models, and demands that each of them without one check is caught.
#
# usage: check.sh [--deep]     --deep: larger worlds too; some minutes, and less than a GiB of memory
#
# One search after the other, in a folder that is removed. Exit: 0 the models hold and every mutant is caught,
# 1 one does not or is not, 2 usage, 77 there is no spin here.
set -u

source=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$source/../.." && pwd)
compiler=${CC:-cc}
failed=0
caught=0

# Whether an index of the model is in its bounds costs a fourth of the time.
bounds=-DNOBOUNDCHECK
case ${1:-} in
'') ;;
--deep) bounds= ;;
*)
    sed -n '4s/^# //p' "$0" >&2
    exit 2
    ;;
esac
if ! command -v spin >/dev/null 2>&1; then
    echo "skipped: spin is not installed (Debian package spin)"
    exit 77
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cd "$folder" || exit 1

say() {
    printf '%-26s %-8s %s\n' "$1" "$2" "$3"
}

# search MODEL LEVEL FLAGS...: compile it at -O LEVEL and search; what pan says is in the file `out`.
search() {
    model=$1
    level=$2
    shift 2
    rm -f pan pan.* ./*.trail
    # No bit state hashing and no hash compaction: what is said of all states is so of all.
    # shellcheck disable=SC2086 # one word or none
    spin -a "$@" "$source/$model.pml" >out 2>&1 &&
        "$compiler" -w "-O$level" -DSAFETY $bounds -DMEMLIM=1900 -o pan pan.c >>out 2>&1 &&
        ./pan -m10000 >out 2>&1
}

# The number of states of the last search; which property it found broken.
states() {
    sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out
}
broken() {
    sed -n 's/.*assertion violated \([a-z_]*\).*/\1/p' out
}

# holds NAME MODEL FLAGS...: the whole of this world is searched, and nothing is wrong in it.
holds() {
    name=$1
    model=$2
    shift 2
    began=$(date +%s)
    if search "$model" 1 "$@" && grep -q 'errors: 0$' out && ! grep -q 'Search not completed\|too small' out; then
        say "$name" holds "$(states) states, $(($(date +%s) - began)) s"
        return
    fi
    say "$name" FAILS "$(broken)"
    failed=1
    # The way there, if there is one.
    if [ -e "$model.pml.trail" ]; then
        spin -k "$model.pml.trail" -t -p -g "$@" "$source/$model.pml" | tail -n 80
    else
        tail -n 20 out
    fi
}

# reached NAME MODEL FLAGS...: the state that the assertion NAME denies is there.
reached() {
    name=$1
    model=$2
    shift 2
    if search "$model" 0 "-DDENY_$name" "$@" && grep -q 'errors: 1$' out; then
        say "$name" denied "$(states) states"
        return
    fi
    say "$name" TRUE "the worlds have nothing to show"
    tail -n 20 out
    failed=1
}

# fails NAME FILE FUNCTION MODEL FLAGS...: without the check NAME, which FUNCTION makes in FILE, a property is broken.
fails() {
    name=$1
    file=$2
    function=$3
    model=$4
    shift 4
    if ! grep -q "^$function(" "$root/$file"; then
        say "$name" LOST "there is no $function in $file any more"
        failed=1
        return
    fi
    if search "$model" 0 "-DMUTANT_$name" "$@" && grep -q 'errors: 1$' out && [ -n "$(broken)" ]; then
        say "$name" caught "$(broken), $(states) states"
        caught=$((caught + 1))
        return
    fi
    say "$name" PASSES "nothing is seen to be wrong without it"
    tail -n 20 out
    failed=1
}

# --- the worlds: see README.md ---

cuts='-DLAPTOP -DREVOCATION -DEXTENSION'
twice='-DLAPTOP -DREVOCATION -DTWICE'
disk='-DOFFICE -DERASURE -DIMAGE'
all='-DOFFICE -DLAPTOP -DREVOCATION -DERASURE -DIMAGE'

# shellcheck disable=SC2086 # words are wanted
{
    holds cuts vigil -DUPDATES=4 $cuts
    holds disk vigil -DUPDATES=4 $disk
    holds twice vigil -DUPDATES=3 $twice
    holds all vigil -DUPDATES=2 $all
    holds erasing erasing
    if [ "${1:-}" = --deep ]; then
        holds deep-twice vigil -DUPDATES=3 $twice -DEXTENSION
        holds deep-erased vigil -DUPDATES=3 -DLAPTOP -DREVOCATION -DERASURE
        holds deep-disk vigil -DUPDATES=3 -DLAPTOP $disk
        holds deep-all vigil -DUPDATES=2 $all -DEXTENSION
        holds deep-erasing erasing -DCRASHES=4
    fi

    # That there is something to judge: a quiet state after all that may happen is reached.
    reached NOTHING_IS_EVER_QUIET vigil -DUPDATES=2 $all

    fails NOT_JUDGED_AGAIN sync/intake.c settle vigil -DUPDATES=3 $cuts
    fails CUT_ENTRY_LATE sync/intake.c take_entries vigil -DUPDATES=3 $cuts
    fails CUT_BY_SEQ sync/limit.c limit_by vigil -DUPDATES=3 $cuts
    fails CUT_WITHOUT_ENTRY sync/limit.c limit_by vigil -DUPDATES=3 $cuts
    fails ANY_REVOCATION sync/limit.c limit_log vigil -DUPDATES=3 $twice
    fails FRONTIER_PAST_CUTS sync/replica.c branch_end vigil -DUPDATES=3 $cuts
    fails FRONTIER_TO_NEAREST_CUT sync/replica.c branch_end vigil -DUPDATES=3 $twice
    fails ONE_TIP sync/replica.c frontier_update vigil -DUPDATES=3 $cuts
    fails SECOND_CHILD sync/intake.c branch_for vigil -DUPDATES=3 $cuts
    fails BARE sync/intake.c payloads_are_here vigil -DUPDATES=3 $disk
    fails LATE_COPY sync/intake.c append vigil -DUPDATES=3 $disk
    fails ERASE_MERGED sync/erase.c look_at vigil -DUPDATES=2 $all
    fails SCAN_FORGOTTEN sync/erase.c scan_write vigil -DUPDATES=3 $disk
    fails SAME_INCARNATION sync/restore.c restore_identity vigil -DUPDATES=3 $disk
    fails ANCHOR_IGNORED sync/replica.c was_rolled_back vigil -DUPDATES=3 $disk
    fails NOT_ANCHORED sync/replica.c replica_anchor vigil -DUPDATES=3 $disk
    fails TAIL_UNNOTICED sync/replica_gossip.c is_current_log vigil -DUPDATES=3 $disk

    fails DUE_IN_MEMORY sync/erase.c due_set erasing
    fails LEFTOVERS_STAY store/vault.c wrap_clear erasing
    fails RECEIPT_EARLY sync/erase.c erase_progress_of erasing
    fails KEYS_REWRITTEN_ONCE sync/replica_erase.c rewrite erasing
    fails MAIN_COMMITTED_FIRST sync/replica.c replica_commit erasing
    fails NAMED_BEFORE_WRITTEN sync/replica_erase.c rewrite_keys erasing
}

echo "$caught mutants caught"
exit $failed
