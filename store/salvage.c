#include "store/salvage.h"

#include "store/base/log.h"
#include "store/journal.h"
#include "store/pages.h"
#include "store/table_rescue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of every table, and of the one that holds the format row. */
enum { TABLES = TABLE_COUNT + 1, SLOTS_MIN = 1024 };
_Static_assert((int)TABLES <= (int)PAGES_TABLES_MAX, "a table has no place among the names");

/* Which keys were met: a hash each, with a bit that says that the row is current. 0: a free slot. */
struct met {
    uint64_t *slots;
    size_t room; /* a power of two */
    size_t count;
};

enum { MET_CURRENT = 1, MET_USED = 2 };

struct work {
    const struct salvage_options *options;
    struct salvage *salvage;
    struct table_rescue *rescue;
    struct met met;
    struct buf kept; /* the value of a row that was put */
    uint64_t verified;
    enum err err;
};

/* --- keys that were met --- */

static uint64_t *
met_slot(const struct met *met, uint64_t hash)
{
    size_t at = (size_t)(hash >> 2) & (met->room - 1);

    while (met->slots[at] != 0 && (met->slots[at] | MET_CURRENT) != (hash | MET_CURRENT)) {
        at = (at + 1) & (met->room - 1);
    }
    return &met->slots[at];
}

static bool
met_grow(struct met *met)
{
    struct met grown = { .room = met->room == 0 ? SLOTS_MIN : 2 * met->room, .count = met->count };

    grown.slots = calloc(grown.room, sizeof *grown.slots);
    if (grown.slots == NULL) {
        return false;
    }
    for (size_t n = 0; n < met->room; n++) {
        if (met->slots[n] != 0) {
            *met_slot(&grown, met->slots[n]) = met->slots[n];
        }
    }
    free(met->slots);
    *met = grown;
    return true;
}

/* The slot of a key; 0 in it: it was not met before. NULL: no memory. */
static uint64_t *
met_find(struct work *work, size_t table, struct span key)
{
    if (2 * work->met.count >= work->met.room && !met_grow(&work->met)) {
        return NULL;
    }
    return met_slot(&work->met, table_rescue_hash(work->rescue, table, key) | MET_USED);
}

/* --- rows --- */

/* True if this row, which may be old, is to take the place of one that may be as old. */
static bool
is_better(struct work *work, size_t table, struct span key, struct span stored)
{
    struct span before;
    struct span value;

    if (table != TABLE_ENT && table != TABLE_LOGS) {
        return false;
    }
    work->err = table_rescue_get(work->rescue, table, key, &before);
    if (work->err != ERR_OK || !table_rescue_verify(work->rescue, table, key, before, &value)) {
        return false;
    }
    buf_clear(&work->kept);
    buf_put_span(&work->kept, value);
    if (work->kept.failed) {
        work->err = ERR_MEMORY;
    }
    return work->err == ERR_OK && table_rescue_verify(work->rescue, table, key, stored, &value) &&
           journal_row_says_more((enum table_id)table, buf_span(&work->kept), value);
}

static void
take(struct work *work, size_t table, const struct pages_row *row)
{
    struct salvage *salvage = work->salvage;
    uint64_t *slot = met_find(work, table, row->key);

    if (slot == NULL) {
        work->err = ERR_MEMORY;
        return;
    }
    bool met = *slot != 0;
    bool put = !met;
    if (met && !row->current && (*slot & MET_CURRENT) == 0 && work->options->apply) {
        put = is_better(work, table, row->key, row->value);
    }
    if (put && work->options->apply && work->err == ERR_OK) {
        work->err = table_rescue_put(work->rescue, table, row->key, row->value);
    }
    if (!met) {
        *slot = table_rescue_hash(work->rescue, table, row->key) | MET_USED;
        *slot = row->current ? *slot | MET_CURRENT : *slot & ~(uint64_t)MET_CURRENT;
        work->met.count++;
        salvage->taken++;
        salvage->doubtful += !row->current;
        salvage->of[table]++;
    }
}

/* A row that verified. */
static void
judge(struct work *work, size_t table, const struct pages_row *row, struct span value)
{
    work->verified++;
    if (table == TABLE_COUNT) {
        /* Another program's format row: the file beside has ours. */
        struct reader reader = reader_of(value);
        if (reader_u32(&reader) > TABLE_FORMAT_VERSION) {
            work->err = ERR_NEWER;
        }
    } else if (!work->options->leave[table]) {
        take(work, table, row);
    }
}

static bool
look_at(void *self, const struct pages_row *row)
{
    struct work *work = self;
    struct span value;

    if (work->err != ERR_OK) {
        return false;
    }
    for (size_t n = 0; n <= TABLES; n++) {
        /* The table that the way led through goes first. */
        size_t table = n == 0 ? row->table : n - 1;

        if (table < TABLES && (n == 0 || table != row->table) &&
            table_rescue_name(work->rescue, table) != NULL &&
            table_rescue_verify(work->rescue, table, row->key, row->value, &value)) {
            judge(work, table, row, value);
            return true;
        }
    }
    return false;
}

/* --- the whole --- */

static void
sum_up(struct work *work, const struct pages_sum *sum)
{
    struct salvage *salvage = work->salvage;

    salvage->pages = sum->pages;
    salvage->damaged = sum->damaged;
    salvage->apart = sum->apart;
    salvage->cut_short = sum->cut_short;
    salvage->sure = sum->free_known;
    salvage->refused = sum->places > sum->rows ? sum->places - sum->rows : 0;
    for (size_t table = 0; table < TABLE_COUNT; table++) {
        uint64_t taken = salvage->of[table];

        salvage->lost_known[table] = sum->expected_known[table] && salvage->sure;
        salvage->lost[table] =
            sum->expected_known[table] && sum->expected[table] > taken ? sum->expected[table] - taken : 0;
    }
}

static enum err
read_rows(struct work *work)
{
    const char *names[TABLES];
    struct pages_sum sum;

    for (size_t table = 0; table < TABLES; table++) {
        const char *name = table_rescue_name(work->rescue, table);
        names[table] = name == NULL ? "" : name;
    }
    enum err err = pages_read(&(struct pages_options){ .file = table_rescue_file(work->rescue),
                                                       .tables = names,
                                                       .table_count = TABLES,
                                                       .self = work,
                                                       .row = look_at },
                              &sum);
    if (err == ERR_OK) {
        err = work->err;
    }
    if (err == ERR_OK) {
        sum_up(work, &sum);
        err = work->verified == 0 ? ERR_CORRUPT : ERR_OK;
    }
    return err;
}

enum err
salvage_run(const struct salvage_options *options, struct salvage *salvage_out)
{
    struct work work = { .options = options, .salvage = salvage_out, .err = ERR_OK };

    memset(salvage_out, 0, sizeof *salvage_out);
    enum err err = table_rescue_open(&work.rescue, &options->table, options->apply);
    if (err == ERR_OK) {
        err = read_rows(&work);
    }
    if (err == ERR_OK && options->apply && options->mark_key.size > 0) {
        assert(options->table.set == TABLE_SET_MAIN);
        err = table_rescue_add(work.rescue, TABLE_META, options->mark_key,
                               options->mark(options->self, salvage_out));
    }
    if (err == ERR_OK && options->apply) {
        err = table_rescue_finish(work.rescue);
        log_event("table-salvaged", "set=%d err=%s pages=%llu damaged=%llu rows=%llu doubtful=%llu",
                  (int)options->table.set, err_code(err), (unsigned long long)salvage_out->pages,
                  (unsigned long long)salvage_out->damaged, (unsigned long long)salvage_out->taken,
                  (unsigned long long)salvage_out->doubtful);
    }
    table_rescue_close(&work.rescue);
    free(work.met.slots);
    buf_wipe(&work.kept);
    return err;
}
