/* solve.h - can what a table leaves out be told? By search, and by nothing that the program itself does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct solve_cell {
    uint64_t count;
    bool hidden;
};

struct solve_line {
    uint32_t total; /* numbers of cells */
    const uint32_t *parts;
    size_t part_count;
};

/* True if other numbers in place of the hidden ones fit all lines too, none below 0, with another one at `cell`: so that nobody
 * can tell it. The others are looked for one more and one less only. */
bool solve_otherwise(const struct solve_cell *cells, size_t cell_count, const struct solve_line *lines,
                     size_t line_count, uint32_t cell);
