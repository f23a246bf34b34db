/* The rows of an LMDB file, read without LMDB: all of a file that is whole, what is left of one that is not, and nothing else. */
#include "store/pages.h"
#include "store/table.h"
#include "tests/support/check.h"
#include "tests/support/world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 400, BIG_BYTES = 20000, PAGE_BYTES = 4096, NUMBER_BYTES = 8, LEAF = 2, BRANCH = 1 };

static const char *const names[] = { "ent", "chg", "format" };
enum { ENT, CHG, NAMES, ALL_NAMES };

static char directory[] = "/dev/shm/vigil-pages-XXXXXX";
static char path[64];
static struct buf whole;
static struct buf file; /* what is tried */

/* What was given. */
static size_t seen[NAMES][ROWS];
static size_t current_count;
static size_t old_count;
static size_t unknown_count;

/* A row of ours: a number, and a value that tells which. Some are large. */
static size_t
value_bytes(size_t table, size_t n)
{
    return table == ENT && n % 50 == 7 ? BIG_BYTES + n : 20 + n % 30;
}

static void
make_value(struct buf *out, size_t table, size_t n)
{
    buf_clear(out);
    uint8_t *at = buf_extend(out, value_bytes(table, n));
    for (size_t k = 0; k < out->size; k++) {
        at[k] = (uint8_t)(n * 31 + k * 7 + table);
    }
}

static void
put_all(struct table_env *env)
{
    static const enum table_id tables[] = { TABLE_ENT, TABLE_CHG };
    struct buf value = { 0 };

    /* In several transactions, so that there are pages which are free. */
    for (size_t n = 0; n < ROWS; n++) {
        struct table_txn *txn = NULL;

        ck_assert_int_eq(table_begin_write(env, &txn), ERR_OK);
        for (size_t table = 0; table < NAMES; table++) {
            uint8_t key[NUMBER_BYTES];

            bytes_write_u64(key, n);
            make_value(&value, table, n);
            table_put(txn, tables[table], span_of(key, sizeof key), buf_span(&value));
        }
        ck_assert_int_eq(table_commit(&txn), ERR_OK);
    }
    buf_free(&value);
}

static void
setup(void)
{
    struct test_world world;
    struct key key = { { 3 } };
    struct table_env *env = NULL;
    struct stat info;

    test_world_init(&world, 1);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(table_env_open(&env, &(struct table_options){ .path = directory,
                                                                   .set = TABLE_SET_MAIN,
                                                                   .key = &key,
                                                                   .world = &world.world,
                                                                   .map_bytes = 8 << 20 }),
                     ERR_OK);
    put_all(env);
    table_env_close(&env);
    (void)snprintf(path, sizeof path, "%s/data.mdb", directory);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(fstat(descriptor, &info), 0);
    ck_assert_int_eq(read(descriptor, buf_extend(&whole, (size_t)info.st_size), (size_t)info.st_size),
                     info.st_size);
    ck_assert_int_eq(close(descriptor), 0);
    buf_put_span(&file, buf_span(&whole));
}

static void
teardown(void)
{
    static const char *const files[] = { "data.mdb", "lock.mdb", "owner" };

    for (size_t n = 0; n < sizeof files / sizeof files[0]; n++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, files[n]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
    buf_free(&whole);
    buf_free(&file);
}

/* A tag for tests: what the value says is compared with what was put. Table.c adds eight bytes of its own. */
static bool
take(void *self, const struct pages_row *row)
{
    struct buf value = { 0 };
    bool found = false;

    (void)self;
    for (size_t table = 0; table < NAMES && !found && row->key.size == NUMBER_BYTES; table++) {
        uint64_t n = bytes_read_u64(row->key.data);

        if (n < ROWS && row->value.size == value_bytes(table, n) + 8) {
            make_value(&value, table, n);
            found = memcmp(row->value.data, value.data, value.size) == 0;
        }
        if (found) {
            seen[table][n]++;
            current_count += row->current;
            old_count += !row->current;
            unknown_count += row->table == ALL_NAMES;
            ck_assert(row->table == table || row->table == ALL_NAMES);
        }
    }
    buf_free(&value);
    return found;
}

static enum err
read_file(struct pages_sum *sum)
{
    int descriptor = open(path, O_RDWR | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

    memset(seen, 0, sizeof seen);
    current_count = old_count = unknown_count = 0;
    ck_assert_int_eq(write(descriptor, file.data, file.size), (ssize_t)file.size);
    enum err err = pages_read(
        &(struct pages_options){ .file = descriptor, .tables = names, .table_count = ALL_NAMES, .row = take },
        sum);
    ck_assert_int_eq(close(descriptor), 0);
    return err;
}

static size_t
rows_here(void)
{
    size_t count = 0;

    for (size_t table = 0; table < NAMES; table++) {
        for (size_t n = 0; n < ROWS; n++) {
            count += seen[table][n] > 0;
        }
    }
    return count;
}

static uint16_t
u16(size_t at)
{
    uint16_t value;

    memcpy(&value, file.data + at, sizeof value);
    return value;
}

static void
restore(void)
{
    memcpy(file.data, whole.data, whole.size);
    file.size = whole.size;
}

START_TEST(every_row_of_a_whole_file_is_given_once_and_is_current)
{
    struct pages_sum sum;

    ck_assert_int_eq(read_file(&sum), ERR_OK);
    ck_assert_uint_eq(rows_here(), NAMES * ROWS);
    ck_assert_uint_eq(current_count, NAMES * ROWS);
    ck_assert_uint_eq(old_count + unknown_count, 0);
    ck_assert(sum.meta_known && sum.free_known && !sum.cut_short);
    ck_assert_uint_eq(sum.damaged + sum.apart, 0);
    ck_assert_uint_lt(sum.in_use, sum.pages);
    ck_assert(sum.expected_known[ENT] && sum.expected[ENT] == ROWS);
    ck_assert(sum.expected_known[CHG] && sum.expected[CHG] == ROWS);
}
END_TEST

/* Any one bit of the head of any page, of its list of rows and of its first rows' heads: at most one row is lost, and what LMDB had given up is never
 * current. */
START_TEST(a_flipped_bit_of_a_page_loses_one_row_at_most)
{
    struct pages_sum sum;

    for (size_t page = 2; page < whole.size / PAGE_BYTES; page++) {
        for (size_t bit = 0; bit < 8 * 24; bit += 5) {
            size_t at = page * PAGE_BYTES + (bit + page) % (8 * 24) / 8;

            restore();
            file.data[at] ^= (uint8_t)(1U << (bit + page) % 8);
            ck_assert_int_eq(read_file(&sum), ERR_OK);
            ck_assert_uint_ge(rows_here(), NAMES * ROWS - 1);
        }
    }
}
END_TEST

START_TEST(a_page_whose_head_and_list_are_zero_gives_all_rows_that_are_left)
{
    struct pages_sum sum;

    for (size_t page = 2; page < whole.size / PAGE_BYTES; page++) {
        restore();
        if (u16(page * PAGE_BYTES + 10) != LEAF && u16(page * PAGE_BYTES + 10) != BRANCH) {
            continue;
        }
        /* Up to where its rows begin. */
        memset(file.data + page * PAGE_BYTES, 0, u16(page * PAGE_BYTES + 14));
        ck_assert_int_eq(read_file(&sum), ERR_OK);
        ck_assert_uint_eq(rows_here(), NAMES * ROWS);
    }
}
END_TEST

START_TEST(without_the_metas_every_row_is_found_and_none_is_called_current)
{
    struct pages_sum sum;

    memset(file.data, 0, 2 * PAGE_BYTES);
    ck_assert_int_eq(read_file(&sum), ERR_OK);
    ck_assert_uint_eq(rows_here(), NAMES * ROWS);
    ck_assert_uint_eq(current_count, 0);
    ck_assert(!sum.meta_known && !sum.free_known);
}
END_TEST

/* The newer of the two is lost: the older leads to fewer rows, and the others are found all the same. */
START_TEST(without_the_newer_meta_nothing_that_was_committed_is_lost)
{
    for (size_t which = 0; which < 2; which++) {
        struct pages_sum sum;

        restore();
        file.data[which * PAGE_BYTES + 17] ^= 4;
        ck_assert_int_eq(read_file(&sum), ERR_OK);
        ck_assert_uint_eq(rows_here(), NAMES * ROWS);
        ck_assert(sum.meta_known && !sum.free_known);
    }
}
END_TEST

START_TEST(what_is_cut_short_empty_or_foreign_gives_what_is_there_and_ends)
{
    struct pages_sum sum;

    for (size_t size = 0; size < whole.size; size += 7777) {
        restore();
        file.size = size;
        enum err err = read_file(&sum);
        ck_assert_int_eq(err, size <= 2 * PAGE_BYTES ? ERR_CORRUPT : ERR_OK);
        ck_assert(err != ERR_OK || sum.cut_short);
    }
    uint32_t state = 5;
    for (size_t n = 0; n < whole.size; n++) {
        state = state * 1664525 + 1013904223;
        file.data[n] = (uint8_t)(state >> 24);
    }
    file.size = whole.size;
    ck_assert_int_eq(read_file(&sum), ERR_OK);
    ck_assert_uint_eq(rows_here(), 0);
}
END_TEST

/* A branch that leads to itself, to the metas, behind the end, and to the same page again and again. */
START_TEST(a_branch_that_leads_anywhere_is_followed_nowhere_twice)
{
    struct pages_sum sum;

    for (size_t page = 2; page < whole.size / PAGE_BYTES; page++) {
        static const uint16_t targets[] = { 0, 1, 9999, 0xffff };

        restore();
        if (u16(page * PAGE_BYTES + 10) != BRANCH || u16(page * PAGE_BYTES) != page) {
            continue;
        }
        for (size_t n = 0; n <= sizeof targets / sizeof targets[0]; n++) {
            uint16_t target = n == 0 ? (uint16_t)page : targets[n - 1];

            for (size_t k = 0; k < (u16(page * PAGE_BYTES + 12) - 16U) / 2; k++) {
                memcpy(file.data + page * PAGE_BYTES + u16(page * PAGE_BYTES + 16 + 2 * k), &target,
                       sizeof target);
            }
            ck_assert_int_eq(read_file(&sum), ERR_OK);
            ck_assert_uint_eq(rows_here(), NAMES * ROWS);
        }
    }
}
END_TEST

SUITE_MAIN_WITH("pages", setup, teardown, every_row_of_a_whole_file_is_given_once_and_is_current,
                a_flipped_bit_of_a_page_loses_one_row_at_most,
                a_page_whose_head_and_list_are_zero_gives_all_rows_that_are_left,
                without_the_metas_every_row_is_found_and_none_is_called_current,
                without_the_newer_meta_nothing_that_was_committed_is_lost,
                what_is_cut_short_empty_or_foreign_gives_what_is_there_and_ends,
                a_branch_that_leads_anywhere_is_followed_nowhere_twice)
