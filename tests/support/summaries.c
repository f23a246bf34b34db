#include "tests/support/summaries.h"

#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

struct ident
summary_ident(uint32_t record_no)
{
    struct ident id = { { 0 } };

    memset(id.bytes, (int)record_no, sizeof id.bytes);
    return id;
}

const char *
summary_id(uint32_t record_no)
{
    static char text[2 * IDENT_BYTES + 1];
    struct ident id = summary_ident(record_no);

    bytes_hex(text, ident_span(&id));
    return text;
}

void
summary_begin(struct test_summary *test, const char *kind, uint32_t record_no)
{
    const struct codebook_kind *found = codebook_kind_by_name(codebook_reprisals(), kind);

    memset(test, 0, sizeof *test);
    ck_assert_ptr_nonnull(found);
    test->summary.record_no = record_no;
    test->summary.record_id = summary_ident(record_no);
    test->summary.kind = found->number;
    test->summary.items = test->items;
}

void
summary_end(struct test_summary *test)
{
    arena_free(&test->arena);
}

static int
item_order(const void *left, const void *right)
{
    return target_compare(&((const struct record_item *)left)->target,
                          &((const struct record_item *)right)->target);
}

void
summary_set(struct test_summary *test, const char *field, uint8_t element, const char *text)
{
    const struct codebook_field *found =
        codebook_field_by_name(codebook_reprisals(), test->summary.kind, field);
    struct buf cbor = { 0 };

    ck_assert_ptr_nonnull(found);
    /* Nothing else is in a summary. */
    ck_assert((found->flags & (FIELD_INDEXED | FIELD_LISTED)) != 0);
    ck_assert_int_eq(codebook_parse(codebook_reprisals(), found, text, &cbor, NULL), ERR_OK);
    struct span value = arena_copy(&test->arena, buf_span(&cbor));
    buf_free(&cbor);
    struct target target = { .collection = found->collection, .field = found->number };
    if (found->collection != 0) {
        target.element[0] = element;
    }
    for (size_t n = 0; n < test->summary.item_count; n++) {
        struct record_item *item = &test->items[n];

        if (target_compare(&item->target, &target) == 0) {
            struct span *shown = arena_take_array(&test->arena, item->shown_count + 1, sizeof *shown);

            memcpy(shown, item->shown, item->shown_count * sizeof *shown);
            shown[item->shown_count] = value;
            item->shown = shown;
            item->shown_count++;
            return;
        }
    }
    ck_assert_uint_lt(test->summary.item_count, SUMMARY_ITEMS_MAX);
    struct span *shown = arena_take_array(&test->arena, 1, sizeof *shown);
    shown[0] = value;
    test->items[test->summary.item_count] =
        (struct record_item){ .target = target, .field = found, .shown = shown, .shown_count = 1 };
    test->summary.item_count++;
    qsort(test->items, test->summary.item_count, sizeof *test->items, item_order);
}
