#!/bin/sh
# planted.sh - plants bugs in copies of the merge, one at a time, and demands that the ten thousand ops of
# property-merge see each.
#
# usage: planted.sh SOURCE BUILD    where BUILD holds the libraries and property-merge of SOURCE
set -u

source=$1
build=$2
folder=$build/planted
compiler=${CC:-cc}
mkdir -p "$folder"
failed=0
seeing=u2_any_order_repetition_and_partition_of_ten_thousand_ops_gives_the_views_of_the_definition

# The libraries that the program was linked with, as CMake wrote them down.
libraries=$(tr ' ' '\n' <"$build/CMakeFiles/property-merge.dir/link.txt" |
    grep -E '^(-l|.*\.(a|so)(\.[0-9.]+)?$)' | tr '\n' ' ')

# plant NAME FILE SED: the copy must differ, must build, and must fail the test.
plant() {
    name=$1
    file=$2
    sed "$3" "$source/store/$file" >"$folder/$file"
    if cmp -s "$source/store/$file" "$folder/$file"; then
        echo "$name: the bug finds no place in store/$file any more"
        failed=1
        return
    fi
    # The object stands before the libraries, so the archive's own is not taken.
    # shellcheck disable=SC2086
    if ! "$compiler" -std=c17 -O1 -g -D_GNU_SOURCE -I"$source" -o "$folder/$name" "$folder/$file" \
        "$source/tests/property/merge.c" -L"$build" $libraries >"$folder/$name.log" 2>&1; then
        tail -n 20 "$folder/$name.log"
        echo "$name: does not build"
        failed=1
        return
    fi
    if (cd "$build" && CK_RUN_CASE=$seeing "$folder/$name") >"$folder/$name.log" 2>&1; then
        echo "$name: nobody saw the bug"
        failed=1
    elif ! grep -qE '^0%: Checks: 1, (Failures: 1, Errors: 0|Failures: 0, Errors: 1)' "$folder/$name.log"; then
        echo "$name: the test did not run"
        failed=1
    else
        echo "$name: caught"
    fi
}

cd "$build" || exit 1

# A name that came before the value it names is forgotten.
plant names-do-not-wait record.c 's/enum err err = apply_old_names(visit, &visit->adds\[n\]);/enum err err = ERR_OK;/'

# The search for names of an entry passes over the first one.
plant gap-without-end record.c '/^find_gap(/,/^}/s/memcpy(visit->gap_end.bytes, key.data.*/(void)key;/'

# A removal takes values away, as if it were a set.
plant removal-replaces record_rows.c \
    's/row_out->removal = value.data\[0\] != 0/row_out->removal = false/'

# An element that is edited while it is removed goes away.
plant removal-wins cell.c 's/if (removed_count == live_count) {/if (removed_count > 0 || live_count == 0) {/'

# A name reaches every field of the element.
plant name-without-target record_rows.c \
    's/size_t bytes = name->removal ? CELL_ELEMENT_BYTES : CELL_KEY_BYTES/size_t bytes = CELL_ELEMENT_BYTES/'

# Of two entries of a fork that share a dot, one is taken for the other.
plant fork-is-one-row record_rows.c 's/if (order == 0 && a->log_no != b->log_no) {/if (false) {/'

# The pick is whichever row comes first.
plant pick-by-arrival cell.c 's/return a->entry->change.hlc < b->entry->change.hlc ? -1 : 1;/return 0;/'

exit $failed
