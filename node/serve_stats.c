/* serve_stats.c - stats.tables, stats.table: what headquarters counts, with nothing in it that a small number can be told from. */
#include "node/serve_stats.h"

#include "store/base/cbor.h"
#include "store/base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DAY_MS = 24 * 60 * 60 * 1000,
    CATCH_UP_MS = 50, /* of reading, before others have their turn */
};

/* --- windows --- */

static bool
reads(struct call *call, enum err err)
{
    if (err != ERR_OK && err != ERR_ABSENT && err != ERR_CORRUPT) {
        call_fail(call, err, "", "%s", err_text(err));
    }
    return err == ERR_OK;
}

/* All reporting windows, each as a row of a list. */
static json_t *
windows_json(struct call *call)
{
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "reporting_window");
    json_t *windows = json_array();
    struct buf token = { 0 };
    struct index_walk walk;
    uint32_t record_no;

    cbor_put_uint(&token, kind == NULL ? 0 : kind->number);
    const struct index_term term = { FIELD_KIND, buf_span(&token) };
    index_walk_init(&walk, call->txn, &term, 1, UINT32_MAX);
    while (!call->failed && index_walk_next(&walk, &record_no)) {
        struct record_summary summary;

        if (reads(call, record_summary_read(call->txn, call->codebook, record_no, &call->arena, &summary))) {
            (void)json_array_append_new(windows, row_json(call, &summary, summary_conflicts(call, &summary)));
        }
    }
    index_walk_end(&walk);
    buf_free(&token);
    return windows;
}

static bool
is_called(const json_t *window, const char *text)
{
    static const char *const names[] = { "id", "report_symbol", "number" };
    size_t size = strlen(text);

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        const char *name = json_string_value(json_object_get(window, names[n]));

        if (name != NULL && name[0] != '\0' &&
            (strcmp(name, text) == 0 || (n == 0 && size >= 6 && strncmp(name, text, size) == 0))) {
            return true;
        }
    }
    return false;
}

json_t *
stats_window(struct call *call, const char *text, struct ident *id_out)
{
    json_t *windows = windows_json(call);
    json_t *found = NULL;
    size_t count = 0;
    size_t index;
    json_t *window;

    json_array_foreach(windows, index, window)
    {
        if (is_called(window, text)) {
            json_decref(found);
            found = json_incref(window);
            count++;
        }
    }
    json_decref(windows);
    if (count > 1) {
        call_fail(call, ERR_CONFLICT, "name it by its id: vigil record list --kind reporting_window",
                  "more than one reporting window is called %.60s", text);
    } else if (count == 0) {
        call_fail(call, ERR_ABSENT,
                  "vigil record list --kind reporting_window shows them: the symbol of a report, or an id",
                  "no reporting window is called %.60s", text);
    }
    const char *hex = json_string_value(json_object_get(found, "id"));
    if (call->failed || hex == NULL || !bytes_from_hex(id_out->bytes, sizeof id_out->bytes, hex)) {
        json_decref(found);
        return NULL;
    }
    return found;
}

/* --- the release --- */

uint32_t
stats_today(const struct call *call)
{
    return fact_day(1970, 1, 1) + (uint32_t)(world_wall_ms(call_options(call)->world) / DAY_MS);
}

bool
stats_catch_up(struct call *call)
{
    const struct world *world = call_options(call)->world;
    uint64_t until_ms = world_steady_ms(world) + CATCH_UP_MS;
    enum err err = ERR_OK;

    call_pause(call);
    while (err == ERR_OK && !call->later) {
        err = facts_read(call_facts(call), call->replica, world_steady_ms(world));
        if (err == ERR_OK && world_steady_ms(world) >= until_ms) {
            call_later(call);
        }
    }
    if (!call_resume(call) || call->later) {
        return false;
    }
    if (err != ERR_ABSENT) {
        call_fail(call, err, "", "%s", err_text(err));
    }
    return !call->failed;
}

const struct statistics *
stats_release(struct call *call, const struct ident *window, uint32_t as_of_day)
{
    struct stats_cache *cache = call_stats(call);
    const struct facts *facts = call_facts(call);
    const struct statistics_options options = {
        .codebook = call->codebook,
        .window = window == NULL ? 0 : facts_name(facts, window),
        .as_of_day = as_of_day,
        .threshold = STATISTICS_THRESHOLD,
    };

    if (cache->statistics != NULL && cache->version == facts_version(facts) &&
        cache->window == options.window && cache->as_of_day == as_of_day) {
        return cache->statistics;
    }
    stats_cache_clear(cache);
    enum err err = statistics_new(&cache->statistics, facts, &options);
    if (err != ERR_OK) {
        call_fail(call, err, "", "the tables could not be made: %s", err_text(err));
        return NULL;
    }
    cache->version = facts_version(facts);
    cache->window = options.window;
    cache->as_of_day = as_of_day;
    return cache->statistics;
}

void
stats_cache_clear(struct stats_cache *cache)
{
    statistics_free(&cache->statistics);
}

/* --- tables --- */

struct cube_walk {
    const struct statistics *statistics;
    size_t cube;
    uint8_t axis_count;
    unsigned level; /* of places: no deeper; 0: all */
    uint16_t slots[STATISTICS_AXES];
    bool begun;
};

/* The next combination of values; false: there is none. */
static bool
walk_next(struct cube_walk *walk)
{
    if (!walk->begun) {
        walk->begun = true;
        return true;
    }
    for (int n = walk->axis_count - 1; n >= 0; n--) {
        walk->slots[n]++;
        if (walk->slots[n] < statistics_slot_count(walk->statistics, walk->cube, (size_t)n)) {
            return true;
        }
        walk->slots[n] = 0;
    }
    return false;
}

static bool
is_too_deep(const struct cube_walk *walk)
{
    size_t count;
    const struct statistics_cube *cube = &statistics_cubes(&count)[walk->cube];

    for (size_t n = 0; n < walk->axis_count; n++) {
        if (walk->level > 0 && cube->axes[n].axis == AXIS_PLACE &&
            statistics_slot(walk->statistics, walk->cube, n, walk->slots[n])->level > walk->level) {
            return true;
        }
    }
    return false;
}

json_t *
stats_rows(const struct statistics *statistics, size_t cube)
{
    size_t count;
    struct cube_walk walk = { .statistics = statistics, .cube = cube };
    json_t *rows = json_array();

    walk.axis_count = statistics_cubes(&count)[cube].axis_count;
    while (walk_next(&walk)) {
        struct statistics_cell cell = statistics_cell(statistics, cube, walk.slots);

        if (cell.count == 0) {
            continue;
        }
        json_t *row = json_array();
        for (size_t n = 0; n < walk.axis_count; n++) {
            (void)json_array_append_new(
                row, json_string(statistics_slot(statistics, cube, n, walk.slots[n])->name));
        }
        (void)json_array_append_new(row, cell.hidden ? json_null() : json_integer((json_int_t)cell.count));
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

/* A share of the total, where both are shown. */
static json_t *
share_json(const struct cube_walk *walk, uint64_t count, bool unsuppressed)
{
    static const uint16_t all[STATISTICS_AXES] = { 0 };
    struct statistics_cell total = statistics_cell(walk->statistics, walk->cube, all);

    return total.count == 0 || (total.hidden && !unsuppressed)
               ? json_null()
               : json_real((double)count / (double)total.count);
}

static json_t *
row_of(const struct cube_walk *walk, const struct statistics_cell *cell, bool share, bool unsuppressed)
{
    json_t *values = json_array();
    json_t *labels = json_array();
    bool shown = !cell->hidden || unsuppressed;

    for (size_t n = 0; n < walk->axis_count; n++) {
        const struct statistics_slot *slot = statistics_slot(walk->statistics, walk->cube, n, walk->slots[n]);

        (void)json_array_append_new(values, json_string(slot->name));
        (void)json_array_append_new(labels, json_string(slot->label));
    }
    json_t *row = json_pack("{s:o,s:o,s:o}", "values", values, "labels", labels, "count",
                            shown ? json_integer((json_int_t)cell->count) : json_null());
    if (share) {
        (void)json_object_set_new(row, "share",
                                  shown ? share_json(walk, cell->count, unsuppressed) : json_null());
    }
    return row;
}

/* Whose codes the values of an axis are, one name a level. */
static json_t *
axis_lists(const struct statistics *statistics, size_t cube_no, size_t axis)
{
    const char *before = "";
    json_t *lists = json_array();

    for (size_t n = 0; n < statistics_slot_count(statistics, cube_no, axis); n++) {
        const char *list = statistics_slot(statistics, cube_no, axis, n)->list;

        if (list[0] != '\0' && strcmp(list, before) != 0) {
            (void)json_array_append_new(lists, json_string(list));
            before = list;
        }
    }
    return lists;
}

/* A cube as people read it: its total first, and what is not 0. */
static json_t *
cube_json(const struct statistics *statistics, size_t cube_no, unsigned level, bool unsuppressed)
{
    size_t count;
    const struct statistics_cube *cube = &statistics_cubes(&count)[cube_no];
    struct cube_walk walk = {
        .statistics = statistics, .cube = cube_no, .axis_count = cube->axis_count, .level = level
    };
    json_t *axes = json_array();
    json_t *rows = json_array();
    bool total = true;

    for (size_t n = 0; n < cube->axis_count; n++) {
        enum statistics_axis axis = (enum statistics_axis)cube->axes[n].axis;

        (void)json_array_append_new(axes, json_pack("{s:s,s:s,s:o}", "name", statistics_axis_name(axis),
                                                    "label", statistics_axis_label(axis), "lists",
                                                    axis_lists(statistics, cube_no, n)));
    }
    while (walk_next(&walk)) {
        struct statistics_cell cell = statistics_cell(statistics, cube_no, walk.slots);

        if (total || (cell.count > 0 && !is_too_deep(&walk))) {
            (void)json_array_append_new(rows, row_of(&walk, &cell, cube->share, unsuppressed));
        }
        total = false;
    }
    return json_pack("{s:s,s:s,s:s,s:o,s:o}", "title", cube->title, "unit", statistics_unit_name(cube->unit),
                     "unit_label", statistics_unit_label(cube->unit), "axes", axes, "rows", rows);
}

static json_t *
table_json(const struct statistics *statistics, const struct statistics_table *table, unsigned level,
           bool unsuppressed)
{
    size_t count;
    const struct statistics_cube *cubes = statistics_cubes(&count);
    json_t *found = json_array();

    for (size_t n = 0; n < count; n++) {
        if (strcmp(cubes[n].table, table->name) == 0) {
            (void)json_array_append_new(found, cube_json(statistics, n, level, unsuppressed));
        }
    }
    return json_pack("{s:s,s:s,s:s,s:o}", "name", table->name, "title", table->title, "note", table->note,
                     "cubes", found);
}

static bool
is_asked_for(const json_t *names, const struct statistics_table *table)
{
    size_t index;
    json_t *name;

    json_array_foreach(names, index, name)
    {
        if (strcmp(json_string_value(name), table->name) == 0) {
            return true;
        }
    }
    return json_array_size(names) == 0;
}

/* The tables that a request names are there. */
static bool
check_names(struct call *call, const json_t *names)
{
    size_t count;
    const struct statistics_table *tables = statistics_tables(&count);
    size_t index;
    json_t *name;

    if (names != NULL && !json_is_array(names)) {
        call_usage(call, "\"tables\" is not a list of names");
    }
    json_array_foreach(names, index, name)
    {
        bool known = false;

        for (size_t n = 0; n < count && json_is_string(name); n++) {
            known = known || strcmp(json_string_value(name), tables[n].name) == 0;
        }
        if (!json_is_string(name)) {
            call_usage(call, "\"tables\" is not a list of names");
        } else if (!known) {
            call_fail(call, ERR_INVALID, "there are T1 to T13: vigil stats --help",
                      "there is no table called %.20s", json_string_value(name));
        }
    }
    return !call->failed;
}

/* How deep places are shown: 1 regions, 2 subregions, 3 States. */
static unsigned
read_level(struct call *call)
{
    static const char *const levels[] = { "region", "subregion", "state" };
    const char *by = call_text(call, "by");

    for (unsigned n = 0; by != NULL && n < sizeof levels / sizeof levels[0]; n++) {
        if (strcmp(by, levels[n]) == 0) {
            return n + 1;
        }
    }
    if (by != NULL) {
        call_usage(call, "\"by\" is region, subregion or state");
    }
    return 1;
}

/* Numbers that give somebody away are for those who review cases, and it is noted that they were read. */
static bool
may_see_all(struct call *call, const char *filter)
{
    if (call->own == NULL) {
        call_fail_without_own(call);
        return false;
    }
    if ((call_roles(call) & (ROLE_HEADQUARTERS | ROLE_REVIEW)) == 0) {
        call_fail(call, ERR_DENIED, "leave --unsuppressed out",
                  "small numbers are shown to the roles headquarters and review only");
        return false;
    }
    return call_audit(call, &(struct audit_event){
                                .what = AUDIT_UNSUPPRESSED, .fields = "", .filter = filter, .reason = "" });
}

static void
put_filter(const struct call *call, const json_t *window, char filter[AUDIT_TEXT_BYTES])
{
    const char *id = json_string_value(json_object_get(window, "id"));
    const json_t *names = json_object_get(call->body, "tables");
    size_t index;
    json_t *name;

    (void)snprintf(filter, AUDIT_TEXT_BYTES, "window=%s tables=%s", id == NULL ? "all" : id,
                   json_array_size(names) == 0 ? "all" : "");
    json_array_foreach(names, index, name)
    {
        size_t size = strlen(filter);

        (void)snprintf(filter + size, AUDIT_TEXT_BYTES - size, "%s%s", index == 0 ? "" : ",",
                       json_string_value(name));
    }
}

void
call_stats_table(struct call *call)
{
    const json_t *names = json_object_get(call->body, "tables");
    const char *text = call_text(call, "window");
    bool unsuppressed = call_flag(call, "unsuppressed");
    unsigned level = read_level(call);
    struct ident id;
    char filter[AUDIT_TEXT_BYTES];
    size_t count;
    const struct statistics_table *tables = statistics_tables(&count);

    if (call->failed || !check_names(call, names) || !stats_catch_up(call)) {
        return;
    }
    json_t *window = text == NULL ? json_null() : stats_window(call, text, &id);
    put_filter(call, window, filter);
    const struct statistics *statistics =
        window == NULL || (unsuppressed && !may_see_all(call, filter))
            ? NULL
            : stats_release(call, text == NULL ? NULL : &id, stats_today(call));
    if (statistics == NULL) {
        json_decref(window);
        return;
    }
    json_t *shown = json_array();
    for (size_t n = 0; n < count; n++) {
        if (is_asked_for(names, &tables[n])) {
            (void)json_array_append_new(shown, table_json(statistics, &tables[n], level, unsuppressed));
        }
    }
    call_ok(call,
            json_pack("{s:o,s:i,s:b,s:I,s:I,s:o}", "window", window, "threshold", STATISTICS_THRESHOLD,
                      "unsuppressed", unsuppressed, "small", (json_int_t)statistics_small_count(statistics),
                      "guarding", (json_int_t)statistics_guarding_count(statistics), "tables", shown));
}

void
call_stats_tables(struct call *call)
{
    size_t count;
    const struct statistics_table *tables = statistics_tables(&count);
    json_t *list = json_array();

    for (size_t n = 0; n < count; n++) {
        (void)json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "name", tables[n].name, "title",
                                                    tables[n].title, "note", tables[n].note));
    }
    call_ok(call, json_pack("{s:o,s:o}", "tables", list, "windows", windows_json(call)));
}
