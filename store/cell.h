/* cell.h - the rules of the merge: given the live values, what holds and what is shown.
 *
 *     live(target)   = values added - values that a set or add names
 *     live(element)  L = all live values of the element and its fields
 *                    R = those of L that a removal names
 *
 *     L <= R               the element is absent
 *     else                 present with all of L; in conflict if R is not empty
 *
 * Pure functions over what record.h found. Both sets only grow, so the order of
 * arrival never matters; a policy of the codebook computes what is shown and never
 * changes what is live.
 */
#pragma once

#include "store/change.h"
#include "store/codebook.h"

/* One live value. */
struct live {
    struct span value;                 /* its CBOR; data is NULL where there is none: an add */
    const struct signed_change *entry; /* that carries it */
    uint32_t op;                       /* its place in the entry */
    bool removed;                      /* a removal of its element names it */
    bool newer;                        /* the op's code is unknown here */
};

enum element_state {
    ELEMENT_ABSENT = 0,
    ELEMENT_PRESENT,
    ELEMENT_IN_CONFLICT, /* edited while removed: present, and a person decides */
};

/* The order of the pick: HLC, device id, entry_id, op; the greatest is picked. */
int cell_compare(const struct live *a, const struct live *b);

/* The index of the pick; `count` is at least 1. */
size_t cell_pick(const struct live *values, size_t count);

/* True if a register with these live values is in conflict: more than one distinct value, and no field
 * (`field` is NULL: unknown here) that is a union. */
bool cell_conflict(const struct codebook_field *field, const struct live *values, size_t count);

/* The same, from short hashes of values instead of values; a hash of 0 stands for no value. */
bool cell_conflict_of(const struct codebook_field *field, const uint64_t *hashes, size_t count);

/* What L and R say: how many values are live, and how many of these are removed. */
enum element_state cell_element(size_t live_count, size_t removed_count);

/* What is shown and exported: distinct values by the field's policy (`field` NULL: all), the pick's first,
 * then ascending by bytes. Null is no value and never shown. `shown_out` has room for `count`.
 *
 *     surface, union   all      max, min, protective   the values of highest or lowest rank
 *     latest           the pick */
size_t cell_show(const struct codebook *codebook, const struct codebook_field *field,
                 const struct live *values, size_t count, struct span *shown_out);

/* Where a target stands in row keys: 8 bytes for the element (zeros: the record's own fields) and 4 for
 * the field, so that an element is one range. `key` is secret to the environment. */
enum { CELL_ELEMENT_BYTES = 8, CELL_KEY_BYTES = 12 };
void cell_key(uint8_t out[CELL_KEY_BYTES], const uint8_t key[16], const struct target *target);

/* Which half of a record a compartment holds. */
enum record_half {
    HALF_ALONE = 0, /* the compartment has no twin: any field may stand here */
    HALF_CASE,      /* everything but L3 */
    HALF_PROTECTED, /* L3 */
};

/* True if the codebook puts the target into the other half; false for what is unknown here. */
bool cell_misplaced(const struct codebook *codebook, enum record_half half, const struct target *target);

/* The field that a target is a register of: NULL for an element itself and for what is unknown here. */
const struct codebook_field *cell_field(const struct codebook *codebook, const struct target *target);

/* True if the codebook knows the target, field or element. */
bool cell_known(const struct codebook *codebook, const struct target *target);
