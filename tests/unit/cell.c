#include "tests/support/check.h"
#include "tests/support/records.h"

#include "store/cell.h"

#include <string.h>

static struct signed_change entries[8];
static struct live lives[8];

static const uint8_t cbor_null = 0xf6;
static const uint8_t small[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };

/* Live value n holds the small number `value` (-1: null, -2: none), at that HLC. */
static void
put(size_t n, int value, uint64_t hlc)
{
    entries[n] = (struct signed_change){ .change = { .hlc = hlc } };
    memset(entries[n].entry_id.bytes, (int)n, sizeof entries[n].entry_id.bytes);
    lives[n] = (struct live){ .entry = &entries[n] };
    if (value >= 0) {
        lives[n].value = span_of(&small[value], 1);
    } else if (value == -1) {
        lives[n].value = span_of(&cbor_null, 1);
    }
}

static const struct codebook_field *
field(uint32_t number)
{
    const struct codebook_field *found = codebook_field(&records_codebook, number);

    ck_assert_ptr_nonnull(found);
    return found;
}

/* What is shown of the first `count` values, as digits. */
static const char *
shown(const struct codebook_field *of, size_t count)
{
    static char text[9];
    struct span spans[8];
    size_t kept = cell_show(&records_codebook, of, lives, count, spans);

    for (size_t n = 0; n < kept; n++) {
        text[n] = (char)('0' + spans[n].data[0]);
    }
    text[kept] = '\0';
    return text;
}

START_TEST(the_pick_goes_by_hlc_then_device_then_entry_then_op)
{
    put(0, 1, 5);
    put(1, 2, 6);
    ck_assert_uint_eq(cell_pick(lives, 2), 1);
    put(1, 2, 5);
    entries[0].device_id.bytes[0] = 1;
    ck_assert_uint_eq(cell_pick(lives, 2), 0);
    entries[1].device_id.bytes[0] = 1;
    ck_assert_uint_eq(cell_pick(lives, 2), 1);
    lives[1].entry = &entries[0];
    lives[0].op = 3;
    lives[1].op = 2;
    ck_assert_uint_eq(cell_pick(lives, 2), 0);
    ck_assert_int_gt(cell_compare(&lives[0], &lives[1]), 0);
    ck_assert_int_eq(cell_compare(&lives[0], &lives[0]), 0);
}
END_TEST

START_TEST(two_equal_values_are_no_conflict_and_null_is_a_value_that_conflicts)
{
    uint64_t same[] = { 7, 0, 7 };
    uint64_t other[] = { 7, 0, 8 };

    put(0, 1, 1);
    put(1, 1, 2);
    ck_assert(!cell_conflict(field(10), lives, 2));
    put(1, -2, 2);
    ck_assert(!cell_conflict(NULL, lives, 2));
    put(1, -1, 2);
    ck_assert(cell_conflict(field(10), lives, 2));
    ck_assert(cell_conflict(NULL, lives, 2));
    ck_assert(!cell_conflict(field(11), lives, 2));
    ck_assert(!cell_conflict_of(field(10), same, 3));
    ck_assert(cell_conflict_of(field(10), other, 3));
    ck_assert(!cell_conflict_of(field(11), other, 3));
}
END_TEST

START_TEST(surface_and_union_show_all_values_the_picks_first)
{
    put(0, 3, 1);
    put(1, 2, 9);
    put(2, 1, 4);
    put(3, 3, 2);
    put(4, -1, 3);
    ck_assert_str_eq(shown(field(10), 5), "213");
    ck_assert_str_eq(shown(field(11), 5), "213");
    ck_assert_str_eq(shown(NULL, 5), "213");
    /* Null is never shown, not even as the pick. */
    put(4, -1, 30);
    ck_assert_str_eq(shown(field(10), 5), "123");
}
END_TEST

START_TEST(max_and_min_show_one_end_and_latest_the_pick)
{
    put(0, 3, 1);
    put(1, 2, 9);
    put(2, 1, 4);
    put(3, -1, 2);
    ck_assert_str_eq(shown(field(12), 4), "3");
    ck_assert_str_eq(shown(field(13), 4), "1");
    ck_assert_str_eq(shown(field(14), 4), "2");
    put(3, -1, 20);
    ck_assert_str_eq(shown(field(12), 4), "3");
    ck_assert_str_eq(shown(field(14), 4), "");
    ck_assert_str_eq(shown(field(12), 0), "");
}
END_TEST

START_TEST(protective_goes_by_the_rank_and_what_has_none_comes_last)
{
    /* Ranks of 1 to 4 are 3 to 0; 9 is no value of the vocabulary. */
    put(0, 3, 9);
    put(1, 2, 1);
    put(2, 9, 20);
    ck_assert_str_eq(shown(field(27), 3), "2");
    put(3, 1, 0);
    ck_assert_str_eq(shown(field(27), 4), "1");
    lives[0] = lives[2];
    ck_assert_str_eq(shown(field(27), 1), "9");
}
END_TEST

START_TEST(an_element_is_absent_only_if_all_of_it_was_removed)
{
    ck_assert_int_eq(cell_element(0, 0), ELEMENT_ABSENT);
    ck_assert_int_eq(cell_element(3, 3), ELEMENT_ABSENT);
    ck_assert_int_eq(cell_element(3, 0), ELEMENT_PRESENT);
    ck_assert_int_eq(cell_element(3, 2), ELEMENT_IN_CONFLICT);
}
END_TEST

START_TEST(an_element_is_one_range_of_keys_and_shows_no_id)
{
    static const uint8_t secret[16] = "sixteen bytes ..";
    static const uint8_t another[16] = "sixteen others..";
    struct target element = { .collection = 40, .element = "element" };
    struct target in = element;
    struct target own = { .field = 20 };
    uint8_t a[CELL_KEY_BYTES];
    uint8_t b[CELL_KEY_BYTES];

    in.field = 20;
    cell_key(a, secret, &element);
    cell_key(b, secret, &in);
    ck_assert_mem_eq(a, b, CELL_ELEMENT_BYTES);
    ck_assert_uint_eq(bytes_read_u32(b + CELL_ELEMENT_BYTES), 20);
    ck_assert_mem_ne(a, element.element, CELL_ELEMENT_BYTES);
    cell_key(b, another, &element);
    ck_assert_mem_ne(a, b, CELL_ELEMENT_BYTES);
    element.collection = 41;
    cell_key(b, secret, &element);
    ck_assert_mem_ne(a, b, CELL_ELEMENT_BYTES);
    cell_key(b, secret, &own);
    ck_assert_uint_eq(bytes_read_u64(b), 0);
}
END_TEST

START_TEST(a_target_is_misplaced_where_the_codebook_puts_it_into_the_other_half)
{
    static const struct {
        struct target target;
        bool in_case;
        bool in_protected;
    } cases[] = {
        { { .field = 10 }, false, true },
        { { .field = 16 }, true, false },
        { { .field = FIELD_KIND }, false, false },
        { { .field = 95 }, false, false },
        { { .collection = 40 }, false, true },
        { { .collection = 41 }, true, false },
        { { .collection = 40, .field = 26 }, true, false },
        { { .collection = 40, .field = 25 }, false, true },
        { { .collection = 77, .field = 26 }, false, false },
    };
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        const struct target *target = &cases[n].target;
        ck_assert_int_eq(cell_misplaced(&records_codebook, HALF_CASE, target), cases[n].in_case);
        ck_assert_int_eq(cell_misplaced(&records_codebook, HALF_PROTECTED, target), cases[n].in_protected);
        ck_assert(!cell_misplaced(&records_codebook, HALF_ALONE, target));
    }
}
END_TEST

START_TEST(a_field_is_known_only_in_its_own_collection)
{
    struct target target = { .collection = 40, .field = 20 };

    ck_assert_ptr_eq(cell_field(&records_codebook, &target), field(20));
    ck_assert(cell_known(&records_codebook, &target));
    target.collection = 0;
    ck_assert_ptr_null(cell_field(&records_codebook, &target));
    ck_assert(!cell_known(&records_codebook, &target));
    target = (struct target){ .collection = 40 };
    ck_assert_ptr_null(cell_field(&records_codebook, &target));
    ck_assert(cell_known(&records_codebook, &target));
}
END_TEST

SUITE_MAIN("cell", the_pick_goes_by_hlc_then_device_then_entry_then_op,
           two_equal_values_are_no_conflict_and_null_is_a_value_that_conflicts,
           surface_and_union_show_all_values_the_picks_first, max_and_min_show_one_end_and_latest_the_pick,
           protective_goes_by_the_rank_and_what_has_none_comes_last,
           an_element_is_absent_only_if_all_of_it_was_removed,
           an_element_is_one_range_of_keys_and_shows_no_id,
           a_target_is_misplaced_where_the_codebook_puts_it_into_the_other_half,
           a_field_is_known_only_in_its_own_collection)
