/* What is left out of tables so that no small number can be told. */
#include "tests/support/check.h"
#include "tests/support/solve.h"
#include "tests/support/world.h"

#include "node/casework/disclosure.h"

#include <string.h>

enum { CELLS_MAX = 64, PARTS_MAX = 512 };

/* Tables of 3 rows and 3 columns, with totals: cell (r, c) is 4r + c, totals stand at 3. */
struct tables {
    struct disclosure_cell cells[CELLS_MAX];
    struct disclosure_line lines[CELLS_MAX];
    uint32_t parts[PARTS_MAX];
    struct disclosure disclosure;
    size_t part_count;
};

static void
begin(struct tables *tables, size_t cell_count)
{
    memset(tables, 0, sizeof *tables);
    tables->disclosure = (struct disclosure){
        .cells = tables->cells, .cell_count = cell_count, .lines = tables->lines, .parts = tables->parts
    };
}

static void
add_line(struct tables *tables, uint32_t total, const uint32_t *parts, size_t count)
{
    tables->lines[tables->disclosure.line_count] = (struct disclosure_line){
        .total = total, .first = (uint32_t)tables->part_count, .part_count = (uint32_t)count
    };
    memcpy(tables->parts + tables->part_count, parts, count * sizeof *parts);
    tables->part_count += count;
    tables->disclosure.line_count++;
}

static void
make_square(struct tables *tables, const uint64_t counts[3][3])
{
    begin(tables, 16);
    for (uint32_t r = 0; r < 3; r++) {
        for (uint32_t c = 0; c < 3; c++) {
            tables->cells[4 * r + c].count = counts[r][c];
            tables->cells[4 * r + 3].count += counts[r][c];
            tables->cells[12 + c].count += counts[r][c];
            tables->cells[15].count += counts[r][c];
        }
    }
    for (uint32_t n = 0; n < 4; n++) {
        add_line(tables, 4 * n + 3, (const uint32_t[]){ 4 * n, 4 * n + 1, 4 * n + 2 }, 3);
        add_line(tables, 12 + n, (const uint32_t[]){ n, 4 + n, 8 + n }, 3);
    }
}

static uint64_t
guard(struct tables *tables, uint64_t threshold)
{
    uint64_t small = 0;
    uint64_t guarding = 0;

    ck_assert_int_eq(disclosure_guard(&tables->disclosure, threshold, &small, &guarding), ERR_OK);
    return small + guarding;
}

/* Each small number is hidden, no 0 is, and of each hidden one two values fit. */
static void
expect_safe(const struct tables *tables, uint64_t threshold)
{
    const struct disclosure *disclosure = &tables->disclosure;
    struct solve_cell cells[CELLS_MAX];
    struct solve_line lines[CELLS_MAX];

    for (size_t n = 0; n < disclosure->cell_count; n++) {
        cells[n] = (struct solve_cell){ tables->cells[n].count, tables->cells[n].hidden };
    }
    for (size_t n = 0; n < disclosure->line_count; n++) {
        lines[n] = (struct solve_line){ tables->lines[n].total, tables->parts + tables->lines[n].first,
                                        tables->lines[n].part_count };
    }
    for (uint32_t n = 0; n < disclosure->cell_count; n++) {
        uint64_t count = tables->cells[n].count;

        EXPECT(count != 0 || !cells[n].hidden);
        EXPECT(count == 0 || count >= threshold || cells[n].hidden);
        EXPECT(!cells[n].hidden ||
               solve_otherwise(cells, disclosure->cell_count, lines, disclosure->line_count, n));
    }
}

START_TEST(large_numbers_are_all_shown)
{
    struct tables tables;

    make_square(&tables, (const uint64_t[3][3]){ { 5, 6, 7 }, { 0, 0, 9 }, { 10, 0, 5 } });
    ck_assert_uint_eq(guard(&tables, 5), 0);
    make_square(&tables, (const uint64_t[3][3]){ { 1, 2, 3 }, { 0, 0, 1 }, { 1, 0, 1 } });
    ck_assert_uint_eq(guard(&tables, 1), 0);
}
END_TEST

START_TEST(what_a_small_number_could_be_told_from_is_hidden_too)
{
    struct tables tables;

    /* 3 small; in its row and its column one more each, and where these cross. */
    make_square(&tables, (const uint64_t[3][3]){ { 3, 10, 20 }, { 11, 12, 30 }, { 40, 50, 60 } });
    ck_assert_uint_eq(guard(&tables, 5), 4);
    ck_assert(tables.cells[0].hidden && tables.cells[1].hidden && tables.cells[4].hidden &&
              tables.cells[5].hidden);
    expect_safe(&tables, 5);
}
END_TEST

/* In each line two are hidden or none, and yet one sum of lines would tell the small one. */
START_TEST(no_sum_of_lines_tells_a_number)
{
    struct tables tables;

    /* a + b = 13, b + c = 25, and a + b + c = 28 where another table has the three together: c = 15, b = 10, a = 3. */
    begin(&tables, 6);
    tables.cells[0].count = 3;
    tables.cells[1].count = 10;
    tables.cells[2].count = 15;
    tables.cells[3].count = 13;
    tables.cells[4].count = 25;
    tables.cells[5].count = 28;
    add_line(&tables, 3, (const uint32_t[]){ 0, 1 }, 2);
    add_line(&tables, 4, (const uint32_t[]){ 1, 2 }, 2);
    add_line(&tables, 5, (const uint32_t[]){ 0, 1, 2 }, 3);
    ck_assert_uint_gt(guard(&tables, 5), 3);
    expect_safe(&tables, 5);
}
END_TEST

START_TEST(two_tables_that_share_a_total_do_not_tell_each_other)
{
    struct tables tables;

    /* 4 + 20 = 24 in one table, 24 + 6 = 30 in another: 30 - 6 would be the first one's total. */
    begin(&tables, 5);
    tables.cells[0].count = 4;
    tables.cells[1].count = 20;
    tables.cells[2].count = 24;
    tables.cells[3].count = 6;
    tables.cells[4].count = 30;
    add_line(&tables, 2, (const uint32_t[]){ 0, 1 }, 2);
    add_line(&tables, 4, (const uint32_t[]){ 2, 3 }, 2);
    (void)guard(&tables, 5);
    expect_safe(&tables, 5);
    /* Where the total is small itself, it is hidden in both. */
    tables.cells[0].count = 2;
    tables.cells[1].count = 1;
    tables.cells[2].count = 3;
    tables.cells[4].count = 9;
    (void)guard(&tables, 5);
    ck_assert(tables.cells[2].hidden);
    expect_safe(&tables, 5);
}
END_TEST

/* 2,000 tables of numbers that are often small or 0. */
START_TEST(any_table_is_safe)
{
    struct test_world world;
    uint64_t hidden = 0;

    test_world_init(&world, 340);
    for (int n = 0; n < 2000; n++) {
        struct tables tables;
        uint64_t counts[3][3];

        for (int at = 0; at < 9; at++) {
            uint8_t drawn[2];

            world_random(&world.world, drawn, sizeof drawn);
            counts[at / 3][at % 3] = drawn[0] % 3 == 0 ? 0 : drawn[0] % 3 == 1 ? drawn[1] % 6u : drawn[1];
        }
        make_square(&tables, (const uint64_t(*)[3])counts);
        hidden += guard(&tables, 5);
        expect_safe(&tables, 5);
    }
    ck_assert_uint_gt(hidden, 2000);
}
END_TEST

SUITE_MAIN("disclosure", large_numbers_are_all_shown, what_a_small_number_could_be_told_from_is_hidden_too,
           no_sum_of_lines_tells_a_number, two_tables_that_share_a_total_do_not_tell_each_other,
           any_table_is_safe)
