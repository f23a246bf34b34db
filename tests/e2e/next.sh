#!/bin/sh
# next.sh - builds a vigild of tomorrow from patched copies of the sources, for next.test.
#
# usage: next.sh SOURCE BUILD OUT    BUILD holds the libraries of SOURCE; OUT becomes the program
#
# It knows what the program of today does not: a codebook of version 2 with two fields more, an op code 4, with which
# it writes the first of them, and payloads of schema major 2, with which it writes the second.
set -eu

source=$1
build=$2
out=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
compiler=${CC:-cc}

# patch FILE SED: a changed copy of it, compiled. It must differ, or the test would test nothing.
objects=
patch() {
    copy=$folder/$(basename "$1")
    sed "$2" "$source/$1" >"$copy"
    if cmp -s "$source/$1" "$copy"; then
        echo "next.sh: the change finds no place in $1 any more" >&2
        exit 1
    fi
    # Built as CMake builds it, sanitizers and all.
    # shellcheck disable=SC2046,SC2086
    (cd "$build" && "$compiler" $(grep '^C_DEFINES = ' "CMakeFiles/vigil_$(dirname "$1").dir/flags.make" | cut -d= -f2-) \
        $(grep '^C_INCLUDES = ' "CMakeFiles/vigil_$(dirname "$1").dir/flags.make" | cut -d= -f2-) \
        $(grep '^C_FLAGS = ' "CMakeFiles/vigil_$(dirname "$1").dir/flags.make" | cut -d= -f2- | sed 's/-Werror//') \
        -c -o "$copy.o" "$copy")
    objects="$objects $copy.o"
}

patch store/codebook_reprisals.c '
    s/CODEBOOK_VERSION = 1 /CODEBOOK_VERSION = 2 /
    /^static const struct codebook_field fields/,/^};/ { /^};/i\
    { 900, "line_tapped", "Line tapped", 0, CASE, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },\
    { 901, "line_cut", "Line cut", 0, CASE, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    }'
patch store/record_rows.c 's/live_out->newer = entry->change.ops\[op\].code > OP_REMOVE;/live_out->newer = entry->change.ops[op].code > 4;/'
patch store/change.c '
    s/decoder->schema >> 8 != SCHEMA_MAJOR/decoder->schema >> 8 > 2/
    s/change->schema >> 8 != SCHEMA_MAJOR/change->schema >> 8 > 2/
    s/cbor_read_uint(&in) >> 8 > SCHEMA_MAJOR/cbor_read_uint(\&in) >> 8 > 2/'
patch sync/author.c '
    s/(struct op){ .code = from->code,/(struct op){ .code = from->target.field == 900 ? 4 : from->code,/
    s/struct change change = { .schema = SCHEMA,/struct change change = { .schema = half->ops[0].target.field == 901 ? 512 : SCHEMA,/'

parts=$(sed 's/ -o .*//; s/^[^ ]* //' "$build/CMakeFiles/vigild.dir/link.txt")
libraries=$(sed 's/.* -o [^ ]* //' "$build/CMakeFiles/vigild.dir/link.txt")
# The objects stand before the libraries, so the archives' own are not taken.
# shellcheck disable=SC2086
(cd "$build" && "$compiler" $parts $objects -o "$out" $libraries)
