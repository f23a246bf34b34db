#include "tests/support/check.h"
#include "tests/support/records.h"

#include <stdio.h>
#include <string.h>

enum { RECORDS = 3000, COLORS = 7, SIZES = 5, COLOR = 100, SIZE = 200 };

static struct records records;
static struct index_batch *batch;

static void
setup(void)
{
    records_open(&records, NULL, 0);
    batch = index_batch_new();
    ck_assert_ptr_nonnull(batch);
    ck_assert_int_eq(table_begin_write(records.env, &records.txn), ERR_OK);
}

static void
teardown(void)
{
    index_batch_free(&batch);
    records_close(&records);
}

static const uint8_t tokens[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static struct index_term
term(uint32_t index_no, size_t value)
{
    return (struct index_term){ index_no, span_of(&tokens[value], 1) };
}

static void
begin(void)
{
    index_batch_begin(batch, records.txn);
}

static void
end(void)
{
    ck_assert_int_eq(index_batch_end(batch), ERR_OK);
}

/* Record n has color n % 7, size n % 5, and every tenth one more color. */
static bool
has(uint32_t record_no, uint32_t index_no, size_t value)
{
    if (index_no == SIZE) {
        return record_no % SIZES == value;
    }
    return record_no % COLORS == value || (record_no % 10 == 0 && (record_no + 1) % COLORS == value);
}

static void
fill(void)
{
    begin();
    for (uint32_t n = 1; n <= RECORDS; n++) {
        struct index_term terms[4];
        struct ident compartment = records_compartment();
        struct ident id = records_id(n);
        uint32_t record_no;
        size_t count = 0;
        ck_assert_int_eq(record_intern(records.txn, &compartment, &id, &record_no), ERR_OK);
        ck_assert_uint_eq(record_no, n);
        for (size_t value = 0; value < COLORS; value++) {
            if (has(n, COLOR, value)) {
                terms[count++] = term(COLOR, value);
            }
        }
        terms[count++] = term(SIZE, n % SIZES);
        index_apply(batch, n, NULL, 0, terms, count);
    }
    end();
}

static uint64_t
count_of(uint32_t index_no, size_t value)
{
    struct index_term wanted = term(index_no, value);
    uint64_t count;

    ck_assert_int_eq(index_count_of(records.txn, &wanted, &count), ERR_OK);
    return count;
}

START_TEST(counts_follow_what_is_put_and_taken_away)
{
    struct index_term before[] = { term(COLOR, 1), term(COLOR, 3) };
    struct index_term after[] = { term(COLOR, 2), term(COLOR, 3), term(SIZE, 1) };
    const struct index_count *counts;
    size_t count;

    begin();
    index_apply(batch, 5, NULL, 0, before, 2);
    index_apply(batch, 6, NULL, 0, before, 1);
    end();
    ck_assert_uint_eq(count_of(COLOR, 1), 2);
    begin();
    index_apply(batch, 5, before, 2, after, 3);
    end();
    ck_assert_uint_eq(count_of(COLOR, 1), 1);
    ck_assert_uint_eq(count_of(COLOR, 2), 1);
    ck_assert_uint_eq(count_of(COLOR, 3), 1);
    ck_assert_uint_eq(count_of(SIZE, 1), 1);
    ck_assert_uint_eq(count_of(SIZE, 2), 0);
    ck_assert_int_eq(index_counts(records.txn, COLOR, &records.arena, &counts, &count), ERR_OK);
    ck_assert_uint_eq(count, 3);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_uint_eq(counts[n].token.data[0], n + 1);
        ck_assert_uint_eq(counts[n].count, 1);
    }
    begin();
    index_apply(batch, 5, after, 3, NULL, 0);
    index_apply(batch, 6, before, 1, NULL, 0);
    end();
    ck_assert_uint_eq(table_count(records.txn, TABLE_IDX), 0);
    ck_assert_uint_eq(table_count(records.txn, TABLE_TOKEN), 0);
}
END_TEST

START_TEST(a_count_below_nothing_is_damage)
{
    struct index_term gone = term(COLOR, 1);

    begin();
    index_add(batch, &gone, -1);
    ck_assert_int_eq(index_batch_end(batch), ERR_CORRUPT);
}
END_TEST

START_TEST(a_walk_gives_the_records_with_all_terms_newest_first_and_each_once)
{
    fill();
    for (size_t color = 0; color < COLORS; color++) {
        for (size_t size = 0; size <= SIZES; size++) {
            struct index_term terms[] = { term(COLOR, color), term(SIZE, size) };
            size_t term_count = size == SIZES ? 1 : 2;
            struct index_walk walk;
            uint32_t record_no;
            index_walk_init(&walk, records.txn, terms, term_count, UINT32_MAX);
            for (uint32_t n = RECORDS; n > 0; n--) {
                if (has(n, COLOR, color) && (term_count == 1 || has(n, SIZE, size))) {
                    ck_assert(index_walk_next(&walk, &record_no));
                    ck_assert_uint_eq(record_no, n);
                }
            }
            ck_assert(!index_walk_next(&walk, &record_no));
            ck_assert(!index_walk_next(&walk, &record_no));
            index_walk_end(&walk);
        }
    }
}
END_TEST

START_TEST(a_page_goes_on_where_the_one_before_it_ended)
{
    struct index_term terms[] = { term(SIZE, 2), term(COLOR, 4) };
    uint32_t below = UINT32_MAX;
    uint32_t wanted = RECORDS + 1;
    size_t pages = 0;

    fill();
    for (bool more = true; more; pages++) {
        struct index_walk walk;
        uint32_t record_no;
        index_walk_init(&walk, records.txn, terms, 2, below);
        for (size_t n = 0; n < 10 && more; n++) {
            do {
                wanted--;
            } while (wanted > 0 && !(has(wanted, SIZE, 2) && has(wanted, COLOR, 4)));
            more = index_walk_next(&walk, &record_no);
            ck_assert_int_eq(more, wanted > 0);
            ck_assert(!more || record_no == wanted);
            below = more ? record_no : below;
        }
        index_walk_end(&walk);
    }
    ck_assert_uint_gt(pages, 8);
}
END_TEST

START_TEST(a_term_that_nobody_has_gives_nobody)
{
    struct index_term terms[] = { term(SIZE, 1), term(COLOR, 9) };
    struct index_walk walk;
    uint32_t record_no;

    fill();
    index_walk_init(&walk, records.txn, terms, 2, UINT32_MAX);
    ck_assert(!index_walk_next(&walk, &record_no));
    index_walk_end(&walk);
    index_walk_init(&walk, records.txn, terms, 1, 1);
    ck_assert(!index_walk_next(&walk, &record_no));
    index_walk_end(&walk);
    index_walk_init(&walk, records.txn, terms, 1, 0);
    ck_assert(!index_walk_next(&walk, &record_no));
    index_walk_end(&walk);
}
END_TEST

START_TEST(a_table_of_two_indexes_counts_every_pair)
{
    const struct index_pair *pairs;
    size_t pair_count;
    size_t at = 0;

    fill();
    ck_assert_int_eq(index_cross(records.txn, COLOR, SIZE, NULL, 0, &records.arena, &pairs, &pair_count),
                     ERR_OK);
    for (size_t color = 0; color < COLORS; color++) {
        for (size_t size = 0; size < SIZES; size++) {
            uint64_t wanted = 0;
            for (uint32_t n = 1; n <= RECORDS; n++) {
                wanted += has(n, COLOR, color) && has(n, SIZE, size);
            }
            ck_assert_uint_lt(at, pair_count);
            ck_assert_uint_eq(pairs[at].a.data[0], color);
            ck_assert_uint_eq(pairs[at].b.data[0], size);
            ck_assert_uint_eq(pairs[at].count, wanted);
            at++;
        }
    }
    ck_assert_uint_eq(at, pair_count);

    /* Narrowed to one size, colors against colors. */
    struct index_term only = term(SIZE, 0);
    uint64_t sum = 0;
    ck_assert_int_eq(index_cross(records.txn, COLOR, COLOR, &only, 1, &records.arena, &pairs, &pair_count),
                     ERR_OK);
    for (size_t n = 0; n < pair_count; n++) {
        sum += span_equal(pairs[n].a, pairs[n].b) ? pairs[n].count : 0;
    }
    /* Each of them has one color, and every tenth record has two. */
    ck_assert_uint_eq(sum, RECORDS / SIZES + RECORDS / 10);
}
END_TEST

START_TEST(c2_a_token_is_nowhere_in_clear)
{
    static const uint8_t cbor[] = "\x6dnot-in-clear-x";
    struct index_term secret = { COLOR, span_of(cbor, sizeof cbor - 1) };
    uint8_t *found = NULL;
    char name[128];
    struct buf file = { 0 };

    begin();
    index_apply(batch, 5, NULL, 0, &secret, 1);
    end();
    ck_assert_int_eq(table_commit(&records.txn), ERR_OK);
    snprintf(name, sizeof name, "%s/data.mdb", records.path);
    FILE *stream = fopen(name, "rb");
    ck_assert_ptr_nonnull(stream);
    for (int byte = fgetc(stream); byte != EOF; byte = fgetc(stream)) {
        buf_put_u8(&file, (uint8_t)byte);
    }
    fclose(stream);
    ck_assert_uint_gt(file.size, 4096);
    found = memmem(file.data, file.size, "not-in-clear", 12);
    ck_assert_ptr_null(found);
    buf_free(&file);
}
END_TEST

SUITE_MAIN_WITH("index", setup, teardown, counts_follow_what_is_put_and_taken_away,
                a_count_below_nothing_is_damage,
                a_walk_gives_the_records_with_all_terms_newest_first_and_each_once,
                a_page_goes_on_where_the_one_before_it_ended, a_term_that_nobody_has_gives_nobody,
                a_table_of_two_indexes_counts_every_pair, c2_a_token_is_nowhere_in_clear)
