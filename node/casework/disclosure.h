/* disclosure.h - which numbers of a set of tables must not be shown, so that none of the small ones can be told.
 *
 *     total 20 = 3 + 17      3 is small: not shown. 20 - 17 would tell it, so 17 is not shown either.
 *
 * The tables are one system: cells, of which two tables may share some, and lines, each a total and its parts. Pure.
 */
#pragma once

#include "store/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disclosure_cell {
    uint64_t count;
    bool hidden;
};

struct disclosure_line {
    uint32_t total; /* numbers of cells */
    uint32_t first; /* its parts stand there in `parts` */
    uint32_t part_count;
};

struct disclosure {
    struct disclosure_cell *cells;
    size_t cell_count;
    const struct disclosure_line *lines;
    size_t line_count;
    const uint32_t *parts;
};

/* Hide the cells from 1 to `threshold` - 1, and others above 0 until of no hidden cell the lines and what is shown leave one value
 * only: neither by a line nor by any sum of lines. *small_out, *guarding_out: how many of each. ERR_MEMORY. */
MUST_CHECK enum err disclosure_guard(struct disclosure *disclosure, uint64_t threshold, uint64_t *small_out,
                                     uint64_t *guarding_out);
