
#include "tests/support/records.h"

#include "store/base/cbor.h"
#include "store/base/log.h"

#include "tests/support/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the codebook ------------------------------------------------------------- */

#define FIELD(number, collection, type, vocabulary, level, policy, flags)                                    \
    {                                                                                                        \
        (number), "field" #number, "Field", (collection), 2, (type), (vocabulary), (level), (policy),        \
            (flags), 0, 0                                                                                    \
    }

static const struct codebook_kind kinds[] = { { 1, "thing", "Thing" }, { 2, "other", "Other" } };
static const struct codebook_value values[] = { { 1, 3, "one", "One", 0 },
                                                { 2, 2, "two", "Two", 0 },
                                                { 3, 1, "three", "Three", 0 },
                                                { 4, 0, "four", "Four", 0 } };
static const struct codebook_vocabulary vocabularies[] = { { 1, "numbers", "Numbers", values, 4, 0, NULL,
                                                             0 } };
static const struct codebook_collection collections[] = { { 40, "part", "Part", 2, 0, LEVEL_L1 },
                                                          { 41, "secret", "Secret", 2, 0, LEVEL_L3 } };
static const struct codebook_field fields[] = {
    FIELD(1, 0, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, FIELD_LISTED),
    FIELD(10, 0, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, FIELD_LISTED),
    FIELD(11, 0, TYPE_INTEGER, 0, LEVEL_L1, MERGE_UNION, 0),
    FIELD(12, 0, TYPE_INTEGER, 0, LEVEL_L1, MERGE_MAX, FIELD_LISTED),
    FIELD(13, 0, TYPE_INTEGER, 0, LEVEL_L1, MERGE_MIN, 0),
    FIELD(14, 0, TYPE_INTEGER, 0, LEVEL_L1, MERGE_LATEST, FIELD_LISTED),
    FIELD(15, 0, TYPE_CODE, 1, LEVEL_L1, MERGE_SURFACE, FIELD_LISTED | FIELD_INDEXED),
    FIELD(16, 0, TYPE_INTEGER, 0, LEVEL_L3, MERGE_SURFACE, 0),
    FIELD(20, 40, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, 0),
    FIELD(21, 40, TYPE_INTEGER, 0, LEVEL_L1, MERGE_UNION, FIELD_LISTED),
    FIELD(22, 40, TYPE_INTEGER, 0, LEVEL_L1, MERGE_MAX, 0),
    FIELD(23, 40, TYPE_INTEGER, 0, LEVEL_L1, MERGE_MIN, 0),
    FIELD(24, 40, TYPE_INTEGER, 0, LEVEL_L1, MERGE_LATEST, 0),
    FIELD(25, 40, TYPE_CODE, 1, LEVEL_L1, MERGE_SURFACE, FIELD_LISTED | FIELD_INDEXED),
    FIELD(26, 40, TYPE_INTEGER, 0, LEVEL_L3, MERGE_SURFACE, 0),
    FIELD(27, 0, TYPE_CODE, 1, LEVEL_L1, MERGE_PROTECTIVE, 0),
    FIELD(28, 41, TYPE_INTEGER, 0, LEVEL_L3, MERGE_SURFACE, 0),
};

const struct codebook records_codebook = {
    .version = 1,
    .name = "test",
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .collections = collections,
    .collection_count = sizeof collections / sizeof collections[0],
    .vocabularies = vocabularies,
    .vocabulary_count = sizeof vocabularies / sizeof vocabularies[0],
};

/* --- entries ------------------------------------------------------------------ */

static struct span
value_cbor(int value, struct arena *arena)
{
    struct buf buf = { 0 };

    if (value == MODEL_NONE) {
        return span_of(NULL, 0);
    }
    if (value == MODEL_NULL) {
        cbor_put_null(&buf);
    } else {
        cbor_put_int(&buf, value);
    }
    struct span copy = arena_copy(arena, buf_span(&buf));
    buf_free(&buf);
    return copy;
}

static int
value_of(struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct cbor_reader ahead = in;

    if (cbor.data == NULL) {
        return MODEL_NONE;
    }
    cbor_read_null(&ahead);
    return cbor_done(&ahead) ? MODEL_NULL : (int)cbor_read_int(&in);
}

void
records_change(const struct model_entry *entry, struct arena *arena, struct signed_change *out)
{
    struct op *ops = arena_take_array(arena, entry->op_count, sizeof *ops);

    EXPECT(ops != NULL);
    for (size_t n = 0; n < entry->op_count; n++) {
        const struct model_op *from = &entry->ops[n];
        struct dot *preds = arena_take_array(arena, from->name_count, sizeof *preds);
        EXPECT(preds != NULL);
        for (size_t p = 0; p < from->name_count; p++) {
            struct hash log_id = { { 0 } };
            struct hash entry_id = { { 0 } };
            memcpy(log_id.bytes, from->names[p].log, 6);
            memcpy(entry_id.bytes, from->names[p].tag, 4);
            dot_make(&preds[p], &log_id, from->names[p].seq, from->names[p].op, &entry_id);
        }
        ops[n] = (struct op){ .code = from->code,
                              .target = { .collection = from->collection, .field = from->field },
                              .value = value_cbor(from->value, arena),
                              .preds = preds,
                              .pred_count = from->name_count };
        if (from->collection != 0) {
            bytes_write_u64(ops[n].target.element, from->element);
        }
    }
    *out = (struct signed_change){
        .change = { .schema = 256, .hlc = entry->hlc, .actor = 1, .ops = ops, .op_count = entry->op_count },
        .log_no = entry->branch,
        .seq = entry->seq
    };
    memcpy(out->log_id.bytes, entry->log_id, 32);
    memcpy(out->entry_id.bytes, entry->entry_id, 32);
    memcpy(out->device_id.bytes, entry->device_id, 32);
}

static enum err
open_entry(void *self, uint32_t log_no, uint64_t seq, struct arena *arena, struct signed_change *out)
{
    struct records *records = self;

    for (size_t n = 0; n < records->entry_count; n++) {
        const struct model_entry *entry = records->entries[n];
        if (entry->branch == log_no && entry->seq == seq) {
            if (entry == records->away) {
                return ERR_ABSENT;
            }
            records->opened++;
            records_change(entry, arena, out);
            return ERR_OK;
        }
    }
    return ERR_CORRUPT;
}

static enum record_half
half_of(void *self, const struct ident *compartment)
{
    struct records *records = self;
    struct ident ours = records_compartment();

    EXPECT(ident_equal(compartment, &ours));
    return records->half;
}

struct ident
records_compartment(void)
{
    return (struct ident){ "a compartment" };
}

struct ident
records_id(uint32_t record)
{
    struct ident id = { "thing" };

    bytes_write_u32(id.bytes + 6, record * 2654435761U);
    bytes_write_u32(id.bytes + 10, record);
    return id;
}

/* --- tables ------------------------------------------------------------------- */

static void
hear_nothing(void *self, const char *line)
{
    (void)self;
    (void)line;
}

void
records_open(struct records *records, const struct model_entry *const *entries, size_t entry_count)
{
    static const struct key key = { "a storage key, of thirty-two byt" };

    *records = (struct records){ .entries = entries, .entry_count = entry_count };
    log_to(hear_nothing, NULL);
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&records->world, 1);
    snprintf(records->path, sizeof records->path, "%s/vigil-merge-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(records->path));
    struct table_options options = { .path = records->path,
                                     .set = TABLE_SET_MAIN,
                                     .key = &key,
                                     .world = &records->world.world,
                                     .map_bytes = 1 << 26 };
    ck_assert_int_eq(table_env_open(&records->env, &options), ERR_OK);
    records->turn = record_turn_new();
    ck_assert_ptr_nonnull(records->turn);
    records->source = (struct record_source){ records, open_entry, half_of };
}

void
records_close(struct records *records)
{
    static const char *const names[] = { "data.mdb", "lock.mdb", "owner" };
    char name[128];

    table_abort(&records->txn);
    table_env_close(&records->env);
    record_turn_free(&records->turn);
    arena_free(&records->arena);
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        snprintf(name, sizeof name, "%s/%s", records->path, names[n]);
        unlink(name);
    }
    rmdir(records->path);
}

void
records_begin(struct records *records)
{
    if (records->txn == NULL) {
        EXPECT(table_begin_write(records->env, &records->txn) == ERR_OK);
    }
    arena_reset(&records->arena);
    record_turn_begin(records->turn, records->txn, &records_codebook, &records->source);
}

enum err
records_end(struct records *records)
{
    return record_turn_end(records->turn);
}

void
records_merge(struct records *records, const struct model_entry *entry)
{
    struct signed_change *change = arena_take_array(&records->arena, 1, sizeof *change);
    struct ident compartment = records_compartment();
    struct ident id = records_id(entry->record);
    uint32_t record_no;

    EXPECT(change != NULL);
    records_change(entry, &records->arena, change);
    EXPECT(record_merge(records->turn, &compartment, &id, change, &record_no) == ERR_OK);
}

void
records_commit(struct records *records)
{
    EXPECT(table_commit(&records->txn) == ERR_OK);
}

void
records_read(struct records *records)
{
    EXPECT(table_begin_read(records->env, &records->txn) == ERR_OK);
}

void
records_done(struct records *records)
{
    table_abort(&records->txn);
}

uint32_t
records_no(struct records *records, uint32_t record)
{
    struct ident compartment = records_compartment();
    struct ident id = records_id(record);
    uint32_t record_no = 0;

    enum err err = record_find(records->txn, &compartment, &id, &record_no);
    EXPECT(err == ERR_OK || err == ERR_ABSENT);
    return err == ERR_OK ? record_no : 0;
}

/* --- what there is ------------------------------------------------------------ */

static int
int_order(const void *a, const void *b)
{
    return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

static void
say_target(const struct record_target *target, struct model_text *out)
{
    int shown[512];
    uint32_t element = target->target.collection != 0 ? (uint32_t)bytes_read_u64(target->target.element) : 0;

    model_say(out, "%u.%u.%u%s%s", target->target.collection, element, target->target.field,
              target->conflict ? " conflict" : "", target->newer ? " newer" : "");
    for (size_t n = 0; n < target->value_count; n++) {
        const struct live *live = &target->values[n];
        const uint8_t *id = live->entry->entry_id.bytes;
        model_say(out, " %d@%02x%02x%02x%02x#%u%s", value_of(live->value), id[4], id[5], id[6], id[7],
                  live->op, live->removed ? "-" : "");
    }
    EXPECT(target->shown_count <= 512);
    for (size_t n = 0; n < target->shown_count; n++) {
        shown[n] = value_of(target->shown[n]);
        /* Of what is shown, the pick's value is first. */
        EXPECT(n == 0 || !span_equal(target->shown[n], target->values[0].value));
    }
    if (target->shown_count > 0) {
        qsort(shown, target->shown_count, sizeof shown[0], int_order);
    }
    model_say(out, " shown");
    for (size_t n = 0; n < target->shown_count; n++) {
        model_say(out, " %d", shown[n]);
    }
    model_say(out, "\n");
}

static bool
in_index(struct records *records, uint32_t record_no, uint32_t index_no, struct span token)
{
    struct index_term term = { index_no, token };
    struct index_walk walk;
    uint32_t found = 0;

    index_walk_init(&walk, records->txn, &term, 1, record_no + 1);
    bool any = index_walk_next(&walk, &found);
    index_walk_end(&walk);
    return any && found == record_no;
}

/* Summary, inbox and index say what the view says. */
static void
check_derived(struct records *records, const struct record_view *view)
{
    struct record_summary summary;
    const struct record_conflict *conflicts;
    size_t conflict_count;
    size_t items = 0;

    EXPECT(record_summary_read(records->txn, &records_codebook, view->record_no, &records->arena, &summary) ==
           ERR_OK);
    EXPECT(record_conflicts_read(records->txn, view->record_no, &records->arena, &conflicts,
                                 &conflict_count) == ERR_OK);
    EXPECT(conflict_count == view->conflict_count);
    EXPECT(summary.conflict_count == view->conflict_count);
    EXPECT(summary.kind == view->kind);
    for (size_t n = 0; n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];
        size_t named = 0;
        for (size_t c = 0; c < conflict_count; c++) {
            named += target_compare(&conflicts[c].target, &target->target) == 0 &&
                     conflicts[c].how == CONFLICT_VALUES;
        }
        EXPECT(named == target->conflict);
        if (target->field == NULL || (target->field->flags & (FIELD_LISTED | FIELD_INDEXED)) == 0 ||
            (target->shown_count == 0 && !target->conflict)) {
            continue;
        }
        EXPECT(items < summary.item_count);
        const struct record_item *item = &summary.items[items++];
        EXPECT(target_compare(&item->target, &target->target) == 0);
        EXPECT(item->field == target->field);
        EXPECT(item->conflict == target->conflict);
        EXPECT(item->shown_count == target->shown_count);
        for (size_t s = 0; s < item->shown_count; s++) {
            EXPECT(span_equal(item->shown[s], target->shown[s]));
            if ((target->field->flags & FIELD_INDEXED) != 0) {
                bool code = codebook_accepts(&records_codebook, target->field, target->shown[s]);
                EXPECT(in_index(records, view->record_no, target->field->number, target->shown[s]) == code);
            }
        }
    }
    EXPECT(items == summary.item_count);
}

void
records_view(struct records *records, uint32_t record, struct model_text *out)
{
    struct record_view view;
    size_t element = 0;

    arena_reset(&records->arena);
    uint32_t record_no = records_no(records, record);
    enum err err = record_view_read(records->txn, &records_codebook, &records->source, record_no,
                                    &records->arena, &view);
    if (err == ERR_ABSENT) {
        return;
    }
    EXPECT(err == ERR_OK);
    for (size_t n = 0; n < view.target_count; n++) {
        if (element < view.element_count && view.elements[element].first == n) {
            model_say(out, "element %u.%u%s\n", view.elements[element].collection,
                      (uint32_t)bytes_read_u64(view.elements[element].element),
                      view.elements[element].state == ELEMENT_IN_CONFLICT ? " edited while removed" : "");
            element++;
        }
        say_target(&view.targets[n], out);
    }
    EXPECT(element == view.element_count);
    check_derived(records, &view);
}

void
records_rows(struct records *records, struct buf *out)
{
    static const enum table_id tables[] = { TABLE_CELL, TABLE_SUM, TABLE_CONF, TABLE_IDX, TABLE_TOKEN };

    for (size_t n = 0; n < sizeof tables / sizeof tables[0]; n++) {
        struct table_cursor cursor;
        struct span key;
        struct span value;
        table_cursor_init(&cursor, records->txn, tables[n], span_of(NULL, 0));
        while (table_cursor_next(&cursor, &key, &value)) {
            EXPECT(value.data != NULL);
            buf_put_u8(out, (uint8_t)tables[n]);
            buf_put_varint(out, key.size);
            buf_put_span(out, key);
            buf_put_varint(out, value.size);
            buf_put_span(out, value);
        }
        table_cursor_end(&cursor);
    }
    EXPECT(!out->failed);
}
