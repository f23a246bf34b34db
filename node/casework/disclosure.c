#include "node/casework/disclosure.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Lines are solved modulo a prime. Their coefficients are 1 and -1, and a sum of lines that tells a cell does so here too unless the
 * prime divides one of its own coefficients, which are small. */
static const uint64_t PRIME = 2147483647;

#define NO_CELL UINT32_MAX

static const uint32_t *
part(const struct disclosure *disclosure, const struct disclosure_line *line, size_t n)
{
    return &disclosure->parts[line->first + n];
}

/* What may be hidden beside the others of a line: the smallest of its parts that is shown, else its total. Nothing is hidden by a 0:
 * with a sum of 0 both would be known. */
static uint32_t
find_guard(const struct disclosure *disclosure, const struct disclosure_line *line)
{
    uint32_t found = NO_CELL;

    for (size_t n = 0; n < line->part_count; n++) {
        uint32_t at = *part(disclosure, line, n);
        const struct disclosure_cell *cell = &disclosure->cells[at];

        if (!cell->hidden && cell->count > 0 &&
            (found == NO_CELL || cell->count < disclosure->cells[found].count)) {
            found = at;
        }
    }
    if (found == NO_CELL && !disclosure->cells[line->total].hidden &&
        disclosure->cells[line->total].count > 0) {
        found = line->total;
    }
    return found;
}

static size_t
count_hidden(const struct disclosure *disclosure, const struct disclosure_line *line)
{
    size_t count = disclosure->cells[line->total].hidden ? 1 : 0;

    for (size_t n = 0; n < line->part_count; n++) {
        count += disclosure->cells[*part(disclosure, line, n)].hidden ? 1 : 0;
    }
    return count;
}

/* In no line is one alone hidden. */
static void
guard_lines(struct disclosure *disclosure, uint64_t *guarding)
{
    bool more = true;

    while (more) {
        more = false;
        for (size_t n = 0; n < disclosure->line_count; n++) {
            const struct disclosure_line *line = &disclosure->lines[n];
            uint32_t guard = count_hidden(disclosure, line) == 1 ? find_guard(disclosure, line) : NO_CELL;

            if (guard != NO_CELL) {
                disclosure->cells[guard].hidden = true;
                ++*guarding;
                more = true;
            }
        }
    }
}

/* --- any sum of lines --- */

/* Hidden cells that some line binds to each other, and those lines. */
struct system {
    uint32_t *unknowns; /* cells */
    size_t unknown_count;
    uint32_t *rows; /* lines */
    size_t row_count;
    uint32_t *matrix; /* row by row */
};

struct solver {
    struct disclosure *disclosure;
    uint32_t *group;  /* by cell: another of its group, or itself */
    uint32_t *column; /* by cell: its column in the system of its group; NO_CELL: in none */
    struct system system;
};

static uint32_t
find_group(struct solver *solver, uint32_t cell)
{
    while (solver->group[cell] != cell) {
        solver->group[cell] = solver->group[solver->group[cell]];
        cell = solver->group[cell];
    }
    return cell;
}

/* Cells of one line that are hidden belong together. Gives one of them; NO_CELL: none is. */
static uint32_t
group_of_line(struct solver *solver, const struct disclosure_line *line, bool join)
{
    const struct disclosure *disclosure = solver->disclosure;
    uint32_t first = disclosure->cells[line->total].hidden ? find_group(solver, line->total) : NO_CELL;

    for (size_t n = 0; n < line->part_count; n++) {
        uint32_t at = *part(disclosure, line, n);

        if (!disclosure->cells[at].hidden) {
            continue;
        }
        if (first == NO_CELL) {
            first = find_group(solver, at);
        } else if (join) {
            solver->group[find_group(solver, at)] = first;
        }
    }
    return first == NO_CELL ? NO_CELL : find_group(solver, first);
}

static uint64_t
power(uint64_t base, uint64_t exponent)
{
    uint64_t result = 1;

    for (; exponent > 0; exponent /= 2) {
        result = exponent % 2 == 1 ? result * base % PRIME : result;
        base = base * base % PRIME;
    }
    return result;
}

static void
set_cell(struct solver *solver, uint32_t *row, uint32_t cell, uint32_t value)
{
    /* One that was hidden since the groups were made is looked at with the next. */
    if (solver->column[cell] != NO_CELL) {
        row[solver->column[cell]] = value;
    }
}

static void
fill_matrix(struct solver *solver)
{
    struct system *system = &solver->system;

    memset(system->matrix, 0, system->row_count * system->unknown_count * sizeof *system->matrix);
    for (size_t r = 0; r < system->row_count; r++) {
        const struct disclosure_line *line = &solver->disclosure->lines[system->rows[r]];
        uint32_t *row = system->matrix + r * system->unknown_count;

        for (size_t n = 0; n < line->part_count; n++) {
            set_cell(solver, row, *part(solver->disclosure, line, n), 1);
        }
        set_cell(solver, row, line->total, (uint32_t)(PRIME - 1));
    }
}

static void
take_away(uint32_t *row, const uint32_t *pivot, size_t from, size_t count, uint64_t factor)
{
    uint64_t minus = PRIME - factor;

    for (size_t n = from; n < count; n++) {
        if (pivot[n] != 0) {
            row[n] = (uint32_t)((row[n] + minus * pivot[n]) % PRIME);
        }
    }
}

/* Gauss and Jordan: afterwards each row that is not 0 begins with a 1 in a column that no other row has. Gives how many. */
static size_t
reduce(struct system *system)
{
    size_t columns = system->unknown_count;
    size_t rank = 0;

    for (size_t c = 0; c < columns && rank < system->row_count; c++) {
        size_t r = rank;

        while (r < system->row_count && system->matrix[r * columns + c] == 0) {
            r++;
        }
        if (r == system->row_count) {
            continue;
        }
        uint32_t *pivot = system->matrix + rank * columns;
        if (r != rank) {
            uint32_t *other = system->matrix + r * columns;

            for (size_t n = c; n < columns; n++) {
                uint32_t kept = pivot[n];
                pivot[n] = other[n];
                other[n] = kept;
            }
        }
        uint64_t inverse = power(pivot[c], PRIME - 2);
        for (size_t n = c; n < columns; n++) {
            pivot[n] = (uint32_t)(pivot[n] * inverse % PRIME);
        }
        for (r = 0; r < system->row_count; r++) {
            uint32_t *row = system->matrix + r * columns;

            if (r != rank && row[c] != 0) {
                take_away(row, pivot, c, columns, row[c]);
            }
        }
        rank++;
    }
    return rank;
}

/* Hide one more cell in a line that has this unknown, or else in any line of the system. False: they are all hidden or 0. */
static bool
hide_beside(struct solver *solver, uint32_t cell)
{
    struct disclosure *disclosure = solver->disclosure;
    const struct system *system = &solver->system;
    uint32_t any = NO_CELL;
    uint32_t near = NO_CELL;

    for (size_t r = 0; r < system->row_count; r++) {
        const struct disclosure_line *line = &disclosure->lines[system->rows[r]];
        uint32_t guard = find_guard(disclosure, line);
        bool has = line->total == cell;

        if (guard == NO_CELL) {
            continue;
        }
        for (size_t n = 0; n < line->part_count && !has; n++) {
            has = *part(disclosure, line, n) == cell;
        }
        if (has && (near == NO_CELL || disclosure->cells[guard].count < disclosure->cells[near].count)) {
            near = guard;
        }
        if (any == NO_CELL || disclosure->cells[guard].count < disclosure->cells[any].count) {
            any = guard;
        }
    }
    if (near == NO_CELL) {
        near = any;
    }
    if (near != NO_CELL) {
        disclosure->cells[near].hidden = true;
    }
    return near != NO_CELL;
}

/* What the system at hand tells. Gives how many more cells were hidden. */
static uint64_t
guard_system(struct solver *solver)
{
    struct system *system = &solver->system;
    uint64_t guarding = 0;

    fill_matrix(solver);
    size_t rank = reduce(system);
    for (size_t r = 0; r < rank; r++) {
        const uint32_t *row = system->matrix + r * system->unknown_count;
        size_t entries = 0;
        size_t at = 0;

        for (size_t n = 0; n < system->unknown_count && entries < 2; n++) {
            if (row[n] != 0) {
                at = n;
                entries++;
            }
        }
        if (entries == 1) {
            guarding += hide_beside(solver, system->unknowns[at]) ? 1 : 0;
        }
    }
    return guarding;
}

static enum err
guard_group(struct solver *solver, uint32_t group, uint64_t *guarding)
{
    struct disclosure *disclosure = solver->disclosure;
    struct system *system = &solver->system;
    enum err err = ERR_OK;

    system->unknown_count = 0;
    system->row_count = 0;
    for (uint32_t n = 0; n < disclosure->cell_count; n++) {
        if (disclosure->cells[n].hidden && find_group(solver, n) == group) {
            solver->column[n] = (uint32_t)system->unknown_count;
            system->unknowns[system->unknown_count] = n;
            system->unknown_count++;
        }
    }
    for (uint32_t n = 0; n < disclosure->line_count; n++) {
        if (group_of_line(solver, &disclosure->lines[n], false) == group) {
            system->rows[system->row_count] = n;
            system->row_count++;
        }
    }
    if (system->row_count == 0) {
        return ERR_OK; /* a cell of no line: nothing tells it */
    }
    system->matrix = calloc(system->row_count * system->unknown_count, sizeof *system->matrix);
    if (system->matrix == NULL) {
        err = ERR_MEMORY;
    } else {
        *guarding += guard_system(solver);
    }
    free(system->matrix);
    system->matrix = NULL;
    return err;
}

/* One look at all groups. */
static enum err
guard_sums(struct solver *solver, uint64_t *guarding)
{
    struct disclosure *disclosure = solver->disclosure;
    size_t count = disclosure->cell_count;
    enum err err = ERR_OK;

    for (uint32_t n = 0; n < count; n++) {
        solver->group[n] = n;
        solver->column[n] = NO_CELL;
    }
    for (size_t n = 0; n < disclosure->line_count; n++) {
        (void)group_of_line(solver, &disclosure->lines[n], true);
    }
    /* What is hidden on the way joins no group of this look. */
    bool *first = calloc(count, sizeof *first);
    if (first == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t n = 0; n < count; n++) {
        first[n] = disclosure->cells[n].hidden && find_group(solver, n) == n;
    }
    for (uint32_t n = 0; n < count && err == ERR_OK; n++) {
        err = first[n] ? guard_group(solver, n, guarding) : ERR_OK;
    }
    free(first);
    return err;
}

enum err
disclosure_guard(struct disclosure *disclosure, uint64_t threshold, uint64_t *small_out,
                 uint64_t *guarding_out)
{
    struct solver solver = { .disclosure = disclosure };
    enum err err = ERR_OK;
    uint64_t before;

    *small_out = 0;
    *guarding_out = 0;
    for (size_t n = 0; n < disclosure->cell_count; n++) {
        struct disclosure_cell *cell = &disclosure->cells[n];

        cell->hidden = cell->count > 0 && cell->count < threshold;
        *small_out += cell->hidden ? 1 : 0;
    }
    if (*small_out == 0) {
        return ERR_OK;
    }
    solver.group = calloc(disclosure->cell_count, sizeof *solver.group);
    solver.column = calloc(disclosure->cell_count, sizeof *solver.column);
    solver.system.unknowns = calloc(disclosure->cell_count, sizeof *solver.system.unknowns);
    solver.system.rows = calloc(disclosure->line_count + 1, sizeof *solver.system.rows);
    if (solver.group == NULL || solver.column == NULL || solver.system.unknowns == NULL ||
        solver.system.rows == NULL) {
        err = ERR_MEMORY;
    }
    do {
        before = *guarding_out;
        guard_lines(disclosure, guarding_out);
        err = err == ERR_OK ? guard_sums(&solver, guarding_out) : err;
    } while (err == ERR_OK && *guarding_out != before);
    free(solver.group);
    free(solver.column);
    free(solver.system.unknowns);
    free(solver.system.rows);
    return err;
}
