#include "tests/support/solve.h"

#include "tests/support/check.h"

#include <stdlib.h>

enum { STEPS_MAX = 200000 };

struct search {
    const struct solve_cell *cells;
    const struct solve_line *lines;
    size_t line_count;
    int8_t *change; /* by cell */
    size_t steps;
};

/* What a line is out of balance by; 0: it fits. */
static int
imbalance(const struct search *search, const struct solve_line *line)
{
    int sum = -search->change[line->total];

    for (size_t n = 0; n < line->part_count; n++) {
        sum += search->change[line->parts[n]];
    }
    return sum;
}

static bool balance(struct search *search);

/* Change one more cell of a line by one, and see whether all can be balanced then. */
static bool
try_cell(struct search *search, uint32_t cell, int change)
{
    if (!search->cells[cell].hidden || search->change[cell] != 0 ||
        (change < 0 && search->cells[cell].count == 0)) {
        return false;
    }
    search->change[cell] = (int8_t)change;
    if (balance(search)) {
        return true;
    }
    search->change[cell] = 0;
    return false;
}

static bool
balance(struct search *search)
{
    search->steps++;
    for (size_t n = 0; n < search->line_count && search->steps < STEPS_MAX; n++) {
        const struct solve_line *line = &search->lines[n];
        int sum = imbalance(search, line);

        if (sum == 0) {
            continue;
        }
        for (size_t p = 0; p < line->part_count; p++) {
            if (try_cell(search, line->parts[p], sum > 0 ? -1 : 1)) {
                return true;
            }
        }
        return try_cell(search, line->total, sum > 0 ? 1 : -1);
    }
    return search->steps < STEPS_MAX;
}

bool
solve_otherwise(const struct solve_cell *cells, size_t cell_count, const struct solve_line *lines,
                size_t line_count, uint32_t cell)
{
    struct search search = { .cells = cells, .lines = lines, .line_count = line_count };
    bool found = false;

    for (int change = 1; change >= -1 && !found; change -= 2) {
        search.change = calloc(cell_count, sizeof *search.change);
        ck_assert_ptr_nonnull(search.change);
        search.steps = 0;
        found = try_cell(&search, cell, change);
        free(search.change);
    }
    return found;
}
