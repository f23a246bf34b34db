#include "store/cell.h"

#include "store/base/crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int
cell_compare(const struct live *a, const struct live *b)
{
    if (a->entry->change.hlc != b->entry->change.hlc) {
        return a->entry->change.hlc < b->entry->change.hlc ? -1 : 1;
    }
    int order = hash_compare(&a->entry->device_id, &b->entry->device_id);
    if (order == 0) {
        order = hash_compare(&a->entry->entry_id, &b->entry->entry_id);
    }
    if (order == 0 && a->op != b->op) {
        order = a->op < b->op ? -1 : 1;
    }
    return order;
}

size_t
cell_pick(const struct live *values, size_t count)
{
    size_t pick = 0;

    assert(count > 0);
    for (size_t n = 1; n < count; n++) {
        if (cell_compare(&values[n], &values[pick]) > 0) {
            pick = n;
        }
    }
    return pick;
}

static bool
is_union(const struct codebook_field *field)
{
    return field != NULL && field->policy == MERGE_UNION;
}

bool
cell_conflict(const struct codebook_field *field, const struct live *values, size_t count)
{
    const struct live *first = NULL;

    for (size_t n = 0; n < count && !is_union(field); n++) {
        if (values[n].value.data == NULL) {
            continue;
        }
        if (first != NULL && !span_equal(first->value, values[n].value)) {
            return true;
        }
        first = &values[n];
    }
    return false;
}

bool
cell_conflict_of(const struct codebook_field *field, const uint64_t *hashes, size_t count)
{
    uint64_t first = 0;

    for (size_t n = 0; n < count && !is_union(field); n++) {
        if (hashes[n] != 0 && first != 0 && hashes[n] != first) {
            return true;
        }
        first = hashes[n] != 0 ? hashes[n] : first;
    }
    return false;
}

enum element_state
cell_element(size_t live_count, size_t removed_count)
{
    assert(removed_count <= live_count);
    if (removed_count == live_count) {
        return ELEMENT_ABSENT;
    }
    return removed_count > 0 ? ELEMENT_IN_CONFLICT : ELEMENT_PRESENT;
}

/* --- what is shown ------------------------------------------------------------ */

static bool
is_value(struct span cbor)
{
    static const uint8_t null = 0xf6;

    return cbor.data != NULL && !span_equal(cbor, span_of(&null, 1));
}

static int
span_order(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* Sort, leave out what is there twice, and put the pick's value first if it is among them. */
static size_t
arrange(struct span *shown, size_t count, struct span pick)
{
    size_t kept = 0;

    if (count > 1) {
        qsort(shown, count, sizeof *shown, span_order);
    }
    for (size_t n = 0; n < count; n++) {
        if (kept == 0 || !span_equal(shown[kept - 1], shown[n])) {
            shown[kept++] = shown[n];
        }
    }
    for (size_t n = 0; n < kept; n++) {
        if (pick.data != NULL && span_equal(shown[n], pick)) {
            struct span first = shown[n];
            memmove(shown + 1, shown, n * sizeof *shown);
            shown[0] = first;
            break;
        }
    }
    return kept;
}

/* Does `rank` come before `best`? What has no rank comes last, whichever way the field looks. */
static bool
ranks_before(enum merge_policy policy, int64_t rank, int64_t best)
{
    if (rank == INT64_MIN || best == INT64_MIN) {
        return best == INT64_MIN && rank != INT64_MIN;
    }
    return policy == MERGE_MIN ? rank < best : rank > best;
}

static size_t
show_ranked(const struct codebook *codebook, const struct codebook_field *field, const struct live *values,
            size_t count, struct span *shown)
{
    int64_t best = INT64_MIN;
    size_t kept = 0;

    for (size_t n = 0; n < count; n++) {
        if (!is_value(values[n].value)) {
            continue;
        }
        int64_t rank = codebook_rank(codebook, field, values[n].value);
        if (ranks_before(field->policy, rank, best)) {
            kept = 0;
            best = rank;
        }
        if (rank == best) {
            shown[kept++] = values[n].value;
        }
    }
    return kept;
}

size_t
cell_show(const struct codebook *codebook, const struct codebook_field *field, const struct live *values,
          size_t count, struct span *shown_out)
{
    enum merge_policy policy = field != NULL ? field->policy : MERGE_SURFACE;
    size_t kept = 0;

    if (count == 0) {
        return 0;
    }
    struct span pick = values[cell_pick(values, count)].value;
    switch (policy) {
    case MERGE_MAX:
    case MERGE_MIN:
    case MERGE_PROTECTIVE:
        kept = show_ranked(codebook, field, values, count, shown_out);
        break;
    case MERGE_LATEST:
        if (is_value(pick)) {
            shown_out[kept++] = pick;
        }
        break;
    case MERGE_SURFACE:
    case MERGE_UNION:
        for (size_t n = 0; n < count; n++) {
            if (is_value(values[n].value)) {
                shown_out[kept++] = values[n].value;
            }
        }
        break;
    }
    return arrange(shown_out, kept, pick);
}

/* --- targets ------------------------------------------------------------------ */

void
cell_key(uint8_t out[CELL_KEY_BYTES], const uint8_t key[16], const struct target *target)
{
    static const uint8_t own[CELL_ELEMENT_BYTES];
    uint8_t element[4 + ELEMENT_ID_BYTES];

    memset(out, 0, CELL_ELEMENT_BYTES);
    if (target->collection != 0) {
        bytes_write_u32(element, target->collection);
        memcpy(element + 4, target->element, ELEMENT_ID_BYTES);
        crypto_short_hash(out, key, span_of(element, sizeof element));
        /* Zeros are the record's own. */
        if (memcmp(out, own, sizeof own) == 0) {
            out[CELL_ELEMENT_BYTES - 1] = 1;
        }
    }
    bytes_write_u32(out + CELL_ELEMENT_BYTES, target->field);
}

const struct codebook_field *
cell_field(const struct codebook *codebook, const struct target *target)
{
    const struct codebook_field *field = target->field != 0 ? codebook_field(codebook, target->field) : NULL;

    return field != NULL && field->collection == target->collection ? field : NULL;
}

bool
cell_known(const struct codebook *codebook, const struct target *target)
{
    if (target->field != 0) {
        return cell_field(codebook, target) != NULL;
    }
    return codebook_collection(codebook, target->collection) != NULL;
}

bool
cell_misplaced(const struct codebook *codebook, enum record_half half, const struct target *target)
{
    /* Both halves may say what they are a half of. */
    if (half == HALF_ALONE || !cell_known(codebook, target) ||
        (target->collection == 0 && target->field == FIELD_KIND)) {
        return false;
    }
    enum sensitivity sensitivity = target->field != 0
                                       ? cell_field(codebook, target)->sensitivity
                                       : codebook_collection(codebook, target->collection)->sensitivity;
    return (sensitivity == LEVEL_L3) != (half == HALF_PROTECTED);
}
