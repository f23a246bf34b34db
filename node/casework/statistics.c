#include "node/casework/statistics_state.h"

#include <assert.h>
#include <stdlib.h>

/* --- one system of all cubes --- */

struct keyed {
    uint64_t key;
    uint32_t local;
};

static int
keyed_order(const void *left, const void *right)
{
    const struct keyed *a = left;
    const struct keyed *b = right;

    return a->key < b->key ? -1 : a->key > b->key;
}

_Static_assert(AXIS_COUNT <= 1 << 5 && BASE_COUNT <= 1 << 3, "the name of a cell has no more bits");

/* True of the value of a wider base that says: counted. The cell counts what the cells of that base count, and is one of them. */
static bool
is_counted_value(const struct statistics_cube *description, int axis_no, uint32_t slot)
{
    return slot == 1 &&
           ((description->base == BASE_WINDOW && description->axes[axis_no].axis == AXIS_STANDING) ||
            (description->base == BASE_ASKED && description->axes[axis_no].axis == AXIS_CONSENT));
}

/* Unit, base, and the axes on which it is not "all", ascending: what the cell counts, whichever cube it stands in. */
static uint64_t
name_cell(const struct cube *cube, uint32_t at)
{
    const struct statistics_cube *description = cube->description;
    enum statistics_base base = description->base;
    uint32_t parts[STATISTICS_AXES] = { 0 };

    for (int n = 0; n < description->axis_count; n++) {
        uint32_t slot = at / cube->strides[n] % cube->sizes[n];
        bool counted = is_counted_value(description, n, slot);
        uint32_t one = slot == 0 || counted ? 0 : (uint32_t)description->axes[n].axis << 11 | slot;
        int place = n;

        base = counted ? BASE_COUNTED : base;
        for (; place > 0 && parts[place - 1] > one; place--) {
            parts[place] = parts[place - 1];
        }
        parts[place] = one;
    }
    uint64_t key = (uint64_t)description->unit << 3 | (uint64_t)base;
    for (int n = 0; n < STATISTICS_AXES; n++) {
        if (parts[n] != 0) {
            key = key << 16 | parts[n];
        }
    }
    return key;
}

static enum err
number_cells(struct statistics *statistics, const uint64_t *counts, uint32_t local_count)
{
    struct keyed *keyed = calloc(local_count, sizeof *keyed);
    size_t count = 0;

    statistics->cell_of = calloc(local_count, sizeof *statistics->cell_of);
    statistics->disclosure.cells = calloc(local_count, sizeof *statistics->disclosure.cells);
    if (keyed == NULL || statistics->cell_of == NULL || statistics->disclosure.cells == NULL) {
        free(keyed);
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < CUBE_COUNT; n++) {
        const struct cube *cube = &statistics->cubes[n];

        for (uint32_t at = 0; at < cube->cell_count; at++) {
            keyed[cube->first + at] = (struct keyed){ name_cell(cube, at), cube->first + at };
        }
    }
    qsort(keyed, local_count, sizeof *keyed, keyed_order);
    for (uint32_t n = 0; n < local_count; n++) {
        if (n == 0 || keyed[n].key != keyed[n - 1].key) {
            statistics->disclosure.cells[count].count = counts[keyed[n].local];
            count++;
        }
        statistics->cell_of[keyed[n].local] = (uint32_t)count - 1;
    }
    statistics->disclosure.cell_count = count;
    free(keyed);
    return ERR_OK;
}

struct line_room {
    size_t line_count;
    size_t line_room;
    size_t part_count;
    size_t part_room;
};

static void *
grow(void *list, size_t *room, size_t size)
{
    size_t more = *room == 0 ? 1024 : 2 * *room;
    void *grown = realloc(list, more * size);

    if (grown != NULL) {
        *room = more;
    }
    return grown;
}

static bool
add_part(struct statistics *statistics, struct line_room *room, uint32_t cell)
{
    if (room->part_count == room->part_room) {
        void *grown = grow(statistics->parts, &room->part_room, sizeof *statistics->parts);

        if (grown == NULL) {
            return false;
        }
        statistics->parts = grown;
    }
    statistics->parts[room->part_count] = cell;
    room->part_count++;
    return true;
}

/* The line of a total and its parts on one axis. Where the total is 0 there is nothing to tell. */
static bool
add_line(struct statistics *statistics, struct line_room *room, const struct cube *cube, int axis_no,
         uint32_t at, uint32_t slot)
{
    const struct axis *axis = &statistics->axes[cube->description->axes[axis_no].axis];
    uint32_t total = statistics->cell_of[cube->first + at + slot * cube->strides[axis_no]];
    size_t first = room->part_count;

    if (statistics->disclosure.cells[total].count == 0) {
        return true;
    }
    for (uint32_t n = 1; n < cube->sizes[axis_no]; n++) {
        if (axis->slots[n].parent == slot &&
            !add_part(statistics, room, statistics->cell_of[cube->first + at + n * cube->strides[axis_no]])) {
            return false;
        }
    }
    if (room->part_count == first) {
        return true;
    }
    if (room->line_count == room->line_room) {
        void *grown = grow(statistics->lines, &room->line_room, sizeof *statistics->lines);

        if (grown == NULL) {
            return false;
        }
        statistics->lines = grown;
    }
    statistics->lines[room->line_count] = (struct disclosure_line){
        .total = total, .first = (uint32_t)first, .part_count = (uint32_t)(room->part_count - first)
    };
    room->line_count++;
    return true;
}

static enum err
draw_lines(struct statistics *statistics)
{
    struct line_room room = { 0 };

    for (size_t n = 0; n < CUBE_COUNT; n++) {
        const struct cube *cube = &statistics->cubes[n];

        for (int a = 0; a < cube->description->axis_count; a++) {
            for (uint32_t at = 0; at < cube->cell_count; at++) {
                if (at / cube->strides[a] % cube->sizes[a] != 0) {
                    continue; /* the other axes once each */
                }
                for (uint32_t slot = 0; slot < cube->sizes[a]; slot++) {
                    if (!add_line(statistics, &room, cube, a, at, slot)) {
                        return ERR_MEMORY;
                    }
                }
            }
        }
    }
    statistics->disclosure.lines = statistics->lines;
    statistics->disclosure.line_count = room.line_count;
    statistics->disclosure.parts = statistics->parts;
    return ERR_OK;
}

/* Gives how many cells all cubes have. */
static uint32_t
lay_cubes(struct statistics *statistics)
{
    size_t cube_count;
    const struct statistics_cube *cubes = statistics_cubes(&cube_count);
    uint32_t first = 0;

    for (size_t n = 0; n < cube_count; n++) {
        struct cube *cube = &statistics->cubes[n];
        uint32_t count = 1;

        cube->description = &cubes[n];
        cube->first = first;
        for (int a = STATISTICS_AXES - 1; a >= 0; a--) {
            cube->sizes[a] = a < cubes[n].axis_count
                                 ? statistics->axes[cubes[n].axes[a].axis].ends[cubes[n].axes[a].depth]
                                 : 1;
            cube->strides[a] = count;
            count *= cube->sizes[a];
        }
        cube->cell_count = count;
        first += count;
    }
    return first;
}

static enum err
make_release(struct statistics *statistics, const struct facts *facts,
             const struct statistics_options *options)
{
    if (!statistics_make_axes(statistics->axes, facts, options->codebook)) {
        return ERR_MEMORY;
    }
    uint32_t local_count = lay_cubes(statistics);
    uint64_t *counts = calloc(local_count, sizeof *counts);
    if (counts == NULL) {
        return ERR_MEMORY;
    }
    enum err err = statistics_count(statistics, facts, options, counts);
    if (err == ERR_OK) {
        err = number_cells(statistics, counts, local_count);
    }
    if (err == ERR_OK) {
        err = draw_lines(statistics);
    }
    if (err == ERR_OK) {
        err = disclosure_guard(&statistics->disclosure, options->threshold, &statistics->small,
                               &statistics->guarding);
    }
    free(counts);
    return err;
}

enum err
statistics_new(struct statistics **statistics_out, const struct facts *facts,
               const struct statistics_options *options)
{
    enum err err = ERR_MEMORY;

    *statistics_out = calloc(1, sizeof **statistics_out);
    if (*statistics_out != NULL) {
        err = make_release(*statistics_out, facts, options);
    }
    if (err != ERR_OK) {
        statistics_free(statistics_out);
    }
    return err;
}

void
statistics_free(struct statistics **statistics_in)
{
    struct statistics *statistics = *statistics_in;

    if (statistics == NULL) {
        return;
    }
    for (int n = 0; n < AXIS_COUNT; n++) {
        free(statistics->axes[n].slots);
        free(statistics->axes[n].lookup);
    }
    free(statistics->cell_of);
    free(statistics->disclosure.cells);
    free(statistics->lines);
    free(statistics->parts);
    free(statistics);
    *statistics_in = NULL;
}

/* --- what is shown --- */

size_t
statistics_slot_count(const struct statistics *statistics, size_t cube, size_t axis)
{
    return statistics->cubes[cube].sizes[axis];
}

const struct statistics_slot *
statistics_slot(const struct statistics *statistics, size_t cube, size_t axis, size_t slot)
{
    return &statistics->axes[statistics->cubes[cube].description->axes[axis].axis].slots[slot];
}

struct statistics_cell
statistics_cell(const struct statistics *statistics, size_t cube, const uint16_t slots[STATISTICS_AXES])
{
    const struct cube *of = &statistics->cubes[cube];
    uint32_t at = of->first;

    for (int n = 0; n < of->description->axis_count; n++) {
        assert(slots[n] < of->sizes[n]);
        at += slots[n] * of->strides[n];
    }
    return statistics_cell_at(statistics, statistics->cell_of[at]);
}

uint64_t
statistics_small_count(const struct statistics *statistics)
{
    return statistics->small;
}

uint64_t
statistics_guarding_count(const struct statistics *statistics)
{
    return statistics->guarding;
}

size_t
statistics_line_count(const struct statistics *statistics)
{
    return statistics->disclosure.line_count;
}

struct statistics_line
statistics_line(const struct statistics *statistics, size_t n)
{
    const struct disclosure_line *line = &statistics->lines[n];

    return (struct statistics_line){ line->total, statistics->parts + line->first, line->part_count };
}

size_t
statistics_cell_count(const struct statistics *statistics)
{
    return statistics->disclosure.cell_count;
}

struct statistics_cell
statistics_cell_at(const struct statistics *statistics, size_t n)
{
    const struct disclosure_cell *cell = &statistics->disclosure.cells[n];

    return (struct statistics_cell){ cell->count, cell->hidden };
}
