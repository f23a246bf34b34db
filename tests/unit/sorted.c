/* Where a key stands among sorted rows, against looking at each of them. */
#include "store/base/sorted.h"

#include "tests/support/check.h"

#include <string.h>

struct row {
    char other;
    uint8_t key[3];
};

/* Two have one key, and two begin alike. */
static const struct row rows[] = { { 'a', { 1, 0, 0 } }, { 'b', { 1, 9, 9 } }, { 'c', { 2, 5, 0 } },
                                   { 'd', { 2, 5, 0 } }, { 'e', { 2, 5, 1 } }, { 'f', { 200, 0, 0 } } };
enum { ROWS = sizeof rows / sizeof rows[0] };

static struct sorted
first_rows(size_t count)
{
    return SORTED_BY(struct row, rows, count, key);
}

START_TEST(every_place_is_that_of_looking_at_each_row)
{
    size_t looked = 0;

    for (size_t count = 0; count <= ROWS; count++) {
        for (uint32_t n = 0; n < 1 << 12; n++) {
            uint8_t key[3] = { (uint8_t)(n >> 8 == 15 ? 200 : n >> 8), n >> 4 & 15, n & 15 };
            for (size_t size = 1; size <= sizeof key; size++) {
                size_t before = 0;
                size_t same = 0;
                size_t first = 99;

                for (size_t at = 0; at < count; at++) {
                    int order = memcmp(rows[at].key, key, size);
                    before += order < 0;
                    same += order == 0;
                }
                EXPECT(sorted_from(first_rows(count), span_of(key, size)) == before);
                EXPECT(sorted_run(first_rows(count), span_of(key, size), &first) == same);
                EXPECT(first == before);
                EXPECT(sorted_find(first_rows(count), span_of(key, size)) ==
                       (same == 0 ? NULL : &rows[before]));
                looked++;
            }
        }
    }
    ck_assert_uint_eq(looked, (ROWS + 1) * (1 << 12) * 3);
}
END_TEST

START_TEST(of_several_with_one_key_the_first_is_found)
{
    static const uint8_t key[3] = { 2, 5, 0 };
    const struct row *found = sorted_find(first_rows(ROWS), span_of(key, sizeof key));
    size_t first;

    ck_assert_int_eq(found->other, 'c');
    ck_assert_uint_eq(sorted_run(first_rows(ROWS), span_of(key, sizeof key), &first), 2);
    ck_assert_uint_eq(sorted_run(first_rows(ROWS), span_of(key, 2), &first), 3);
    ck_assert_uint_eq(first, 2);
}
END_TEST

START_TEST(of_no_rows_nothing_is_looked_at)
{
    static const uint8_t key[3] = { 1, 0, 0 };
    struct sorted none = SORTED_BY(struct row, NULL, 0, key);
    size_t first = 99;

    ck_assert_ptr_null(sorted_find(none, span_of(key, sizeof key)));
    ck_assert_uint_eq(sorted_run(none, span_of(key, sizeof key), &first), 0);
    ck_assert_uint_eq(first, 0);
}
END_TEST

SUITE_MAIN("sorted", every_place_is_that_of_looking_at_each_row, of_several_with_one_key_the_first_is_found,
           of_no_rows_nothing_is_looked_at)
