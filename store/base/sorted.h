/* sorted.h - where something stands among rows that are sorted by bytes.
 *
 *     rows:  | .... key .... | .... key .... | .... key .... |      ascending by memcmp of the key,
 *                   ^key_at  ^row_bytes                             which stands at one place in each
 *
 * A key that is looked for may be shorter than that of the rows: then it is the beginning that all of them share. Keys that are
 * more than bytes (a number, two members) are bsearch's.
 */
#pragma once

#include "store/base/bytes.h"

#include <stddef.h>

/* Lent for the call. */
struct sorted {
    const void *rows; /* NULL if there are none */
    size_t count;
    size_t row_bytes;
    size_t key_at;
    const uint32_t *places; /* the rows in that order; NULL: they lie in it */
};

/* `count` rows of a struct, sorted by the bytes of one of its members. */
#define SORTED_BY(type, rows, count, member)                                                                 \
    ((struct sorted){ (rows), (count), sizeof(type), offsetof(type, member), NULL })

/* The same of rows that lie in another order, by their places in that of the member. */
#define SORTED_AT(type, rows, count, member, places)                                                         \
    ((struct sorted){ (rows), (count), sizeof(type), offsetof(type, member), (places) })

/* How many rows have a key that stands before `key`: in order, the next has it, or is the first behind it. */
size_t sorted_from(struct sorted sorted, struct span key);

/* How many rows have `key`; `first_out` gets how many stand before them. */
size_t sorted_run(struct sorted sorted, struct span key, size_t *first_out);

/* The first row that has `key`; NULL: none has. */
const void *sorted_find(struct sorted sorted, struct span key);
