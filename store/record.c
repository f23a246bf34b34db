#include "store/record.h"

#include "store/base/cbor.h"
#include "store/record_rows.h"
#include "store/shelf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- names -------------------------------------------------------------------- */

enum { RECORD_HASH_BYTES = 16, NAME_BYTES = 2 * IDENT_BYTES };

static void
record_hash(struct table_txn *txn, const struct ident *compartment, const struct ident *record_id,
            uint8_t out[RECORD_HASH_BYTES])
{
    const struct span parts[] = { ident_span(compartment), ident_span(record_id) };

    table_hash(table_txn_env(txn), out, "vigil.record.v1", parts, 2);
}

enum err
record_find(struct table_txn *txn, const struct ident *compartment, const struct ident *record_id,
            uint32_t *record_no_out)
{
    uint8_t key[RECORD_HASH_BYTES];
    struct span value;

    record_hash(txn, compartment, record_id, key);
    enum err err = table_get(txn, TABLE_REC, span_of(key, sizeof key), &value);
    if (err != ERR_OK) {
        return err;
    }
    if (value.size != RECORD_KEY_BYTES) {
        return ERR_CORRUPT;
    }
    *record_no_out = bytes_read_u32(value.data);
    return ERR_OK;
}

enum err
record_look_up(struct table_txn *txn, const struct ident *compartment, const struct ident *record_id,
               uint32_t *record_no_out)
{
    uint8_t key[RECORD_HASH_BYTES];
    enum err err = record_find(txn, compartment, record_id, record_no_out);

    if (err == ERR_ABSENT) {
        record_hash(txn, compartment, record_id, key);
        if (table_check_absent(txn, TABLE_REC, span_of(key, sizeof key)) != ERR_OK) {
            err = ERR_CORRUPT;
        }
    }
    return err;
}

uint32_t
record_last(struct table_txn *txn)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint32_t last = 0;

    table_cursor_init(&cursor, txn, TABLE_RECNO, span_of(NULL, 0));
    if (table_cursor_last(&cursor, &key, &value)) {
        last = key.size == RECORD_KEY_BYTES ? bytes_read_u32(key.data) : UINT32_MAX;
    }
    table_cursor_end(&cursor);
    return last;
}

enum err
record_intern(struct table_txn *txn, const struct ident *compartment, const struct ident *record_id,
              uint32_t *record_no_out)
{
    uint8_t hash[RECORD_HASH_BYTES];
    uint8_t no[RECORD_KEY_BYTES];
    uint8_t name[NAME_BYTES];

    enum err err = record_find(txn, compartment, record_id, record_no_out);
    if (err != ERR_ABSENT) {
        return err;
    }
    uint32_t last = record_last(txn);
    if (last >= UINT32_MAX - 1) {
        return ERR_FULL;
    }
    *record_no_out = last + 1;
    record_hash(txn, compartment, record_id, hash);
    bytes_write_u32(no, last + 1);
    memcpy(name, compartment->bytes, IDENT_BYTES);
    memcpy(name + IDENT_BYTES, record_id->bytes, IDENT_BYTES);
    table_put(txn, TABLE_REC, span_of(hash, sizeof hash), span_of(no, sizeof no));
    table_put(txn, TABLE_RECNO, span_of(no, sizeof no), span_of(name, sizeof name));
    return table_error(txn);
}

enum err
record_name(struct table_txn *txn, uint32_t record_no, struct ident *compartment_out,
            struct ident *record_id_out)
{
    uint8_t no[RECORD_KEY_BYTES];
    struct buf name = { 0 };

    bytes_write_u32(no, record_no);
    enum err err = table_read(txn, TABLE_RECNO, span_of(no, sizeof no), &name);
    if (err == ERR_OK && name.size != NAME_BYTES) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        memcpy(compartment_out->bytes, name.data, IDENT_BYTES);
        memcpy(record_id_out->bytes, name.data + IDENT_BYTES, IDENT_BYTES);
    }
    buf_wipe(&name);
    return err;
}

enum err
record_find_prefix(struct table_txn *txn, const struct ident *compartment, const uint8_t prefix[8],
                   struct ident *record_id_out)
{
    struct table_cursor cursor;
    struct span key;
    struct span name;
    enum err err = ERR_ABSENT;

    table_cursor_init(&cursor, txn, TABLE_RECNO, span_of(NULL, 0));
    while (err == ERR_ABSENT && table_cursor_next(&cursor, &key, &name)) {
        if (name.data != NULL && name.size == NAME_BYTES &&
            memcmp(name.data, compartment->bytes, IDENT_BYTES) == 0 &&
            memcmp(name.data + IDENT_BYTES, prefix, 8) == 0) {
            memcpy(record_id_out->bytes, name.data + IDENT_BYTES, IDENT_BYTES);
            err = ERR_OK;
        }
    }
    table_cursor_end(&cursor);
    return err;
}

/* --- a turn ------------------------------------------------------------------- */

/* An entry that a turn merges into a record. */
struct merged {
    const struct signed_change *entry;
    struct merged *next;
};

/* A record that a turn touches. */
struct touched {
    struct ident compartment;
    struct ident record_id;
    uint32_t record_no;
    bool rebuild;
    bool forgotten;
    struct merged *first;
    struct merged *last;
    size_t op_count;
    size_t pred_count;
    struct touched *next;
};

struct record_turn {
    struct table_txn *txn;
    const struct codebook *codebook;
    const struct record_source *source;
    struct index_batch *batch;
    struct row_hashes hashes;
    struct arena arena; /* lives as long as the turn */
    struct arena work;  /* lives as long as the visit of one record */
    struct entry_cache cache;
    struct touched *touched;
    size_t touched_count;
    struct touched **slots; /* by compartment and record_id */
    size_t slot_count;
    struct table_cursor live;
    struct table_cursor sup;
    struct buf row;
    struct buf summary;
    bool began;
};

struct record_turn *
record_turn_new(void)
{
    struct record_turn *turn = calloc(1, sizeof *turn);

    if (turn == NULL) {
        return NULL;
    }
    turn->batch = index_batch_new();
    if (turn->batch == NULL) {
        record_turn_free(&turn);
    }
    return turn;
}

void
record_turn_free(struct record_turn **turn_inout)
{
    struct record_turn *turn = *turn_inout;

    *turn_inout = NULL;
    if (turn == NULL) {
        return;
    }
    index_batch_free(&turn->batch);
    arena_free(&turn->arena);
    arena_free(&turn->work);
    buf_wipe(&turn->row);
    buf_wipe(&turn->summary);
    free(turn);
}

void
record_turn_begin(struct record_turn *turn, struct table_txn *txn, const struct codebook *codebook,
                  const struct record_source *source)
{
    assert(!turn->began);
    turn->began = true;
    turn->txn = txn;
    turn->codebook = codebook;
    turn->source = source;
    turn->touched = NULL;
    turn->touched_count = 0;
    turn->slots = NULL;
    turn->slot_count = 0;
    arena_reset(&turn->arena);
    row_hashes_of(&turn->hashes, table_txn_env(txn));
    entry_cache_init(&turn->cache, source, &turn->arena);
    index_batch_begin(turn->batch, txn);
}

void
record_turn_drop(struct record_turn *turn)
{
    turn->began = false;
    arena_reset(&turn->arena);
}

/* Ids are random or hashes: any 8 bytes of them are as good as a hash. */
static size_t
touched_slot(const struct ident *compartment, const struct ident *record_id, size_t slot_count)
{
    return (size_t)(bytes_read_u64(record_id->bytes) ^ bytes_read_u64(compartment->bytes)) & (slot_count - 1);
}

static struct touched **
touched_find(struct record_turn *turn, const struct ident *compartment, const struct ident *record_id)
{
    size_t slot = touched_slot(compartment, record_id, turn->slot_count);

    while (turn->slots[slot] != NULL && !(ident_equal(&turn->slots[slot]->record_id, record_id) &&
                                          ident_equal(&turn->slots[slot]->compartment, compartment))) {
        slot = (slot + 1) & (turn->slot_count - 1);
    }
    return &turn->slots[slot];
}

static bool
slots_grow(struct record_turn *turn)
{
    size_t slot_count = turn->slot_count == 0 ? 64 : turn->slot_count * 2;
    struct touched **slots = arena_take_array(&turn->arena, slot_count, sizeof(struct touched *));

    if (slots == NULL) {
        return false;
    }
    turn->slots = slots;
    turn->slot_count = slot_count;
    for (struct touched *touched = turn->touched; touched != NULL; touched = touched->next) {
        *touched_find(turn, &touched->compartment, &touched->record_id) = touched;
    }
    return true;
}

/* The touched record of that name, made if need be (and its number too, unless there must be one). */
static enum err
touch(struct record_turn *turn, const struct ident *compartment, const struct ident *record_id,
      struct touched **touched_out)
{
    assert(turn->began);
    if (turn->touched_count * 2 >= turn->slot_count && !slots_grow(turn)) {
        return ERR_MEMORY;
    }
    struct touched **place = touched_find(turn, compartment, record_id);
    if (*place == NULL) {
        uint32_t record_no;
        enum err err = record_intern(turn->txn, compartment, record_id, &record_no);
        if (err != ERR_OK) {
            return err;
        }
        struct touched *touched = arena_take_array(&turn->arena, 1, sizeof *touched);
        if (touched == NULL) {
            return ERR_MEMORY;
        }
        touched->compartment = *compartment;
        touched->record_id = *record_id;
        touched->record_no = record_no;
        touched->next = turn->touched;
        turn->touched = touched;
        turn->touched_count++;
        *place = touched;
    }
    *touched_out = *place;
    return ERR_OK;
}

static enum err
touched_add(struct record_turn *turn, struct touched *touched, const struct signed_change *entry)
{
    struct merged *merged = arena_take(&turn->arena, sizeof *merged);

    if (merged == NULL) {
        return ERR_MEMORY;
    }
    shelf_refer_change(turn->txn, turn->codebook, entry);
    *merged = (struct merged){ .entry = entry };
    if (touched->last != NULL) {
        touched->last->next = merged;
    } else {
        touched->first = merged;
    }
    touched->last = merged;
    touched->op_count += entry->change.op_count;
    for (size_t n = 0; n < entry->change.op_count; n++) {
        touched->pred_count += entry->change.ops[n].pred_count;
    }
    return ERR_OK;
}

size_t
record_turn_touched(const struct record_turn *turn)
{
    return turn->touched_count;
}

static void
put_rops(struct record_turn *turn, uint32_t record_no, uint32_t log_no, uint64_t seq)
{
    uint8_t key[ROPS_KEY_BYTES];

    rops_key(key, record_no, log_no, seq);
    table_put(turn->txn, TABLE_CELL, span_of(key, sizeof key), span_of(NULL, 0));
}

enum err
record_merge(struct record_turn *turn, const struct ident *compartment, const struct ident *record_id,
             const struct signed_change *entry, uint32_t *record_no_out)
{
    struct touched *touched;

    enum err err = touch(turn, compartment, record_id, &touched);
    if (err != ERR_OK) {
        return err;
    }
    *record_no_out = touched->record_no;
    if (entry_cache_find(&turn->cache, entry->log_no, entry->seq) != NULL) {
        return ERR_OK;
    }
    if (!entry_cache_add(&turn->cache, entry)) {
        return ERR_MEMORY;
    }
    return touched_add(turn, touched, entry);
}

enum err
record_note(struct record_turn *turn, const struct ident *compartment, const struct ident *record_id,
            uint32_t log_no, uint64_t seq, uint32_t *record_no_out)
{
    assert(turn->began);
    enum err err = record_intern(turn->txn, compartment, record_id, record_no_out);
    if (err == ERR_OK) {
        put_rops(turn, *record_no_out, log_no, seq);
        err = table_error(turn->txn);
    }
    return err;
}

enum err
record_rebuild(struct record_turn *turn, uint32_t record_no)
{
    struct ident compartment;
    struct ident record_id;
    struct touched *touched;

    enum err err = record_name(turn->txn, record_no, &compartment, &record_id);
    if (err == ERR_OK) {
        err = touch(turn, &compartment, &record_id, &touched);
    }
    if (err == ERR_OK) {
        touched->rebuild = true;
    }
    return err;
}

void
record_clear_all(struct table_txn *txn)
{
    static const enum table_id tables[] = { TABLE_REC,  TABLE_RECNO, TABLE_CELL, TABLE_SUM,
                                            TABLE_CONF, TABLE_IDX,   TABLE_TOKEN };

    for (size_t n = 0; n < sizeof tables / sizeof tables[0]; n++) {
        table_clear(txn, tables[n], span_of(NULL, 0));
    }
}

/* --- one record --------------------------------------------------------------- */

/* A value that comes to a target, or was there before. */
struct value {
    struct live_row row;
    const struct target *target; /* NULL: only its row is known */
    bool stored;                 /* it has a row in `live` */
    bool write;                  /* the row must be written */
    bool named;                  /* a set or add names it: it is not live */
};

/* An op that touches a target. */
struct touch {
    uint8_t key[CELL_KEY_BYTES];
    const struct target *target;
};

/* What is made anew of a record; arrays live in turn->work and grow by doubling. */
struct visit {
    struct record_turn *turn;
    struct touched *touched;
    uint8_t key[RECORD_KEY_BYTES];
    enum record_half half;
    struct sup_row *names; /* of this turn, by dot */
    size_t name_count;
    struct dot gap_from; /* from here to the end, which is not part of it, no name of an earlier turn lies */
    struct dot gap_end;
    struct value *adds; /* of this turn, by row */
    size_t add_count;
    size_t add_next; /* those below are placed */
    struct touch *touches;
    size_t touch_count;
    struct value *values; /* at the target or element under work */
    size_t value_count;
    size_t value_capacity;
    bool was_there; /* it had a summary */
    struct summary before;
    struct summary after;
    size_t item_capacity;
    struct record_conflict *conflicts;
    size_t conflict_count;
    size_t conflict_capacity;
    bool items_changed;
    bool conflicts_changed;
};

/* Room for one more element of an array in the work arena; NULL: no memory. */
static void *
array_grow(struct arena *arena, void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = arena_take_array(arena, wanted, size);
    if (grown != NULL) {
        if (count > 0) {
            memcpy(grown, array, count * size);
        }
        *capacity = wanted;
    }
    return grown;
}

static int
name_order(const void *a, const void *b)
{
    return dot_compare(&((const struct sup_row *)a)->dot, &((const struct sup_row *)b)->dot);
}

static int
value_order(const void *a, const void *b)
{
    const struct value *one = a;
    const struct value *other = b;
    int order = live_row_compare(&one->row, &other->row);

    return order != 0 ? order : (int)other->stored - (int)one->stored;
}

static int
touch_order(const void *a, const void *b)
{
    return memcmp(((const struct touch *)a)->key, ((const struct touch *)b)->key, CELL_KEY_BYTES);
}

/* Take in what a name does to a value. */
static void
apply_name(const struct sup_row *name, struct value *value)
{
    if (!sup_row_reaches(name, value->row.target)) {
        return;
    }
    if (!name->removal) {
        value->named = true;
    } else if (!value->row.removed) {
        value->row.removed = true;
        value->write = true;
    }
}

/* Take in what the names of this turn do to a value. */
static void
apply_new_names(const struct visit *visit, struct value *value)
{
    size_t low = 0;
    size_t high = visit->name_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (dot_compare(&visit->names[middle].dot, &value->row.dot) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < visit->name_count && dot_compare(&visit->names[low].dot, &value->row.dot) == 0; low++) {
        apply_name(&visit->names[low], value);
    }
}

static bool
in_gap(const struct visit *visit, const struct dot *dot)
{
    return dot_compare(dot, &visit->gap_from) >= 0 && dot_compare(dot, &visit->gap_end) < 0;
}

/* Find out how far from the first dot of the value's entry on there is no name. */
static void
find_gap(struct visit *visit, const struct dot *dot)
{
    enum { ENTRY_BYTES = DOT_PREFIX_BYTES + 8 };
    uint8_t from[PART_KEY_BYTES + DOT_BYTES] = { 0 };
    struct span key;
    struct span row;

    part_key(from, visit->touched->record_no, PART_SUP);
    memcpy(from + PART_KEY_BYTES, dot->bytes, ENTRY_BYTES);
    memcpy(visit->gap_from.bytes, from + PART_KEY_BYTES, DOT_BYTES);
    memset(visit->gap_end.bytes, 0xff, DOT_BYTES);
    if (table_cursor_seek(&visit->turn->sup, span_of(from, sizeof from), &key, &row) &&
        key.size >= sizeof from && memcmp(key.data, from, PART_KEY_BYTES) == 0) {
        memcpy(visit->gap_end.bytes, key.data + PART_KEY_BYTES, DOT_BYTES);
    }
}

/* Take in the names that came before the value did. Most have none, and one search tells it of all values of an entry. */
static enum err
apply_old_names(struct visit *visit, struct value *value)
{
    uint8_t from[PART_KEY_BYTES + DOT_BYTES];
    struct table_cursor *cursor = &visit->turn->sup;
    struct sup_row name;
    struct span key;
    struct span row;

    if (!in_gap(visit, &value->row.dot)) {
        find_gap(visit, &value->row.dot);
    }
    if (in_gap(visit, &value->row.dot)) {
        return table_error(visit->turn->txn);
    }
    part_key(from, visit->touched->record_no, PART_SUP);
    memcpy(from + PART_KEY_BYTES, value->row.dot.bytes, DOT_BYTES);
    bool found = table_cursor_seek(cursor, span_of(from, sizeof from), &key, &row);
    while (found && key.size >= sizeof from && memcmp(key.data, from, sizeof from) == 0) {
        if (row.data == NULL || !sup_row_read(key, row, &name)) {
            return ERR_CORRUPT;
        }
        apply_name(&name, value);
        found = table_cursor_next(cursor, &key, &row);
    }
    return table_error(visit->turn->txn);
}

/* Take an entry apart: what it adds, names and touches. */
static void
gather_entry(struct visit *visit, const struct signed_change *entry)
{
    struct record_turn *turn = visit->turn;

    for (size_t n = 0; n < entry->change.op_count; n++) {
        const struct op *op = &entry->change.ops[n];
        struct touch *touch = &visit->touches[visit->touch_count++];
        cell_key(touch->key, turn->hashes.target, &op->target);
        touch->target = &op->target;
        for (size_t p = 0; p < op->pred_count; p++) {
            struct sup_row *name = &visit->names[visit->name_count++];
            *name = (struct sup_row){ .dot = op->preds[p],
                                      .removal = op->code == OP_REMOVE,
                                      .log_no = entry->log_no,
                                      .seq = entry->seq,
                                      .op = (uint32_t)n };
            memcpy(name->target, touch->key, sizeof name->target);
        }
        if (op->value.data == NULL && op->code != OP_ADD) {
            continue;
        }
        struct value *add = &visit->adds[visit->add_count++];
        *add = (struct value){ .target = &op->target, .write = true };
        memcpy(add->row.target, touch->key, sizeof add->row.target);
        dot_make(&add->row.dot, &entry->log_id, entry->seq, n, &entry->entry_id);
        add->row.log_no = entry->log_no;
        add->row.value_hash = row_hash_value(&turn->hashes, visit->touched->record_no, touch->key, op->value);
    }
}

/* Gather the record's entries of this turn, write their names and settle which of their values are live. */
static enum err
gather(struct visit *visit)
{
    struct record_turn *turn = visit->turn;
    struct touched *touched = visit->touched;
    struct summary *after = &visit->after;
    uint8_t key[SUP_KEY_BYTES];
    uint8_t value[SUP_VALUE_BYTES];

    visit->names = arena_take_array(&turn->work, touched->pred_count, sizeof *visit->names);
    visit->adds = arena_take_array(&turn->work, touched->op_count, sizeof *visit->adds);
    visit->touches = arena_take_array(&turn->work, touched->op_count, sizeof *visit->touches);
    if (turn->work.failed) {
        return ERR_MEMORY;
    }
    bool first = !visit->was_there || touched->rebuild;
    for (const struct merged *merged = touched->first; merged != NULL; merged = merged->next) {
        uint64_t hlc = merged->entry->change.hlc;
        put_rops(turn, touched->record_no, merged->entry->log_no, merged->entry->seq);
        gather_entry(visit, merged->entry);
        after->created_hlc = first || hlc < after->created_hlc ? hlc : after->created_hlc;
        after->updated_hlc = first || hlc > after->updated_hlc ? hlc : after->updated_hlc;
        first = false;
    }
    qsort(visit->names, visit->name_count, sizeof *visit->names, name_order);
    qsort(visit->adds, visit->add_count, sizeof *visit->adds, value_order);
    qsort(visit->touches, visit->touch_count, sizeof *visit->touches, touch_order);
    for (size_t n = 0; n < visit->add_count; n++) {
        apply_new_names(visit, &visit->adds[n]);
        enum err err = apply_old_names(visit, &visit->adds[n]);
        if (err != ERR_OK) {
            return err;
        }
    }
    for (size_t n = 0; n < visit->name_count; n++) {
        sup_row_write(&visit->names[n], touched->record_no, key, value);
        table_put(turn->txn, TABLE_CELL, span_of(key, sizeof key), span_of(value, sizeof value));
    }
    return table_error(turn->txn);
}

/* --- what a target or element comes to ---------------------------------------- */

static enum err
add_conflict(struct visit *visit, const struct target *target, enum conflict_how how, uint64_t since_hlc)
{
    struct record_conflict *conflicts =
        array_grow(&visit->turn->work, visit->conflicts, visit->conflict_count, &visit->conflict_capacity,
                   sizeof *conflicts);

    if (conflicts == NULL) {
        return ERR_MEMORY;
    }
    visit->conflicts = conflicts;
    conflicts[visit->conflict_count++] = (struct record_conflict){ *target, how, since_hlc };
    visit->conflicts_changed = true;
    return ERR_OK;
}

/* Open live values. Those of entries that do not count now are left out: a rebuild waits for them. */
static enum err
open_values(struct visit *visit, const struct value *values, size_t count, struct live **lives_out,
            size_t *live_count_out)
{
    struct live *lives = arena_take_array(&visit->turn->work, count, sizeof *lives);

    *lives_out = lives;
    *live_count_out = 0;
    if (lives == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < count; n++) {
        enum err err = live_open(&visit->turn->cache, &values[n].row, &lives[*live_count_out]);
        if (err == ERR_OK) {
            (*live_count_out)++;
        } else if (err != ERR_ABSENT) {
            return err;
        }
    }
    return ERR_OK;
}

static uint64_t
latest_hlc(const struct live *lives, size_t count)
{
    uint64_t hlc = 0;

    for (size_t n = 0; n < count; n++) {
        hlc = lives[n].entry->change.hlc > hlc ? lives[n].entry->change.hlc : hlc;
    }
    return hlc;
}

/* The index tokens of what a field shows. */
static enum err
make_tokens(struct visit *visit, const struct codebook_field *field, struct summary_item *item)
{
    struct record_turn *turn = visit->turn;
    struct buf *scratch = &turn->row;
    size_t capacity = 0;
    struct span *tokens = NULL;

    item->token_count = 0;
    for (size_t n = 0; n < item->shown_count; n++) {
        if (field->number == FIELD_KIND) {
            buf_clear(scratch);
            cbor_put_array(scratch, 1);
            buf_put_span(scratch, item->shown[n]);
        } else if ((field->flags & FIELD_INDEXED) != 0) {
            buf_clear(scratch);
            codebook_tokens(turn->codebook, field, item->shown[n], scratch);
        } else {
            continue;
        }
        struct cbor_reader in = cbor_reader_of(buf_span(scratch));
        size_t count = scratch->failed ? 0 : cbor_read_array(&in);
        for (size_t t = 0; t < count; t++) {
            tokens = array_grow(&turn->work, tokens, item->token_count, &capacity, sizeof *tokens);
            struct span token = arena_copy(&turn->work, cbor_read_any(&in));
            if (turn->work.failed) {
                return ERR_MEMORY;
            }
            tokens[item->token_count++] = token;
        }
        if (scratch->failed) {
            return ERR_MEMORY;
        }
    }
    item->tokens = tokens;
    return ERR_OK;
}

static enum err
add_item(struct visit *visit, const struct codebook_field *field, const struct target *target, bool conflict,
         const struct live *lives, size_t live_count)
{
    struct arena *work = &visit->turn->work;
    struct summary *after = &visit->after;
    struct span *shown = arena_take_array(work, live_count, sizeof *shown);
    struct summary_item *items =
        array_grow(work, after->items, after->item_count, &visit->item_capacity, sizeof *items);

    if (work->failed) {
        return ERR_MEMORY;
    }
    after->items = items;
    size_t shown_count = cell_show(visit->turn->codebook, field, lives, live_count, shown);
    if (shown_count == 0 && !conflict) {
        return ERR_OK;
    }
    struct summary_item *item = &items[after->item_count++];
    *item = (struct summary_item){
        .target = *target, .conflict = conflict, .shown = shown, .shown_count = shown_count
    };
    visit->items_changed = true;
    return make_tokens(visit, field, item);
}

/* What one target comes to, given its live values. */
static enum err
settle_target(struct visit *visit, const struct target *target, const struct value *values, size_t count)
{
    struct record_turn *turn = visit->turn;
    const struct codebook_field *field = cell_field(turn->codebook, target);
    bool listed = field != NULL &&
                  (field->number == FIELD_KIND || (field->flags & (FIELD_LISTED | FIELD_INDEXED)) != 0);
    bool misplaced = count > 0 && cell_misplaced(turn->codebook, visit->half, target);
    uint64_t *hashes = arena_take_array(&turn->work, count, sizeof *hashes);

    if (hashes == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < count; n++) {
        hashes[n] = values[n].row.value_hash;
    }
    bool several = cell_conflict_of(field, hashes, count);
    if (count == 0 || (!listed && !misplaced && !several)) {
        return ERR_OK;
    }
    struct live *lives;
    size_t live_count;
    enum err err = open_values(visit, values, count, &lives, &live_count);
    if (err == ERR_OK && several) {
        err = add_conflict(visit, target, CONFLICT_VALUES, latest_hlc(lives, live_count));
    }
    if (err == ERR_OK && misplaced) {
        err = add_conflict(visit, target, CONFLICT_MISPLACED, latest_hlc(lives, live_count));
    }
    if (err == ERR_OK && listed) {
        err = add_item(visit, field, target, several, lives, live_count);
    }
    return err;
}

/* Note in the summary that the record is restricted. */
static enum err
add_restriction(struct visit *visit, const struct target *element)
{
    struct summary *after = &visit->after;
    struct summary_item *items =
        array_grow(&visit->turn->work, after->items, after->item_count, &visit->item_capacity, sizeof *items);

    if (items == NULL) {
        return ERR_MEMORY;
    }
    after->items = items;
    items[after->item_count++] = (struct summary_item){ .target = *element };
    visit->items_changed = true;
    return ERR_OK;
}

/* What an element comes to, given the live values of itself and its fields, by field. */
static enum err
settle_element(struct visit *visit, const struct target *element, const struct value *values, size_t count)
{
    size_t removed_count = 0;
    size_t first = 0;
    enum err err = ERR_OK;

    for (size_t n = 0; n < count; n++) {
        removed_count += values[n].row.removed;
    }
    enum element_state state = cell_element(count, removed_count);
    if (state == ELEMENT_ABSENT) {
        return ERR_OK;
    }
    struct target target = *element;
    target.field = 0;
    if (target.collection == COLLECTION_RESTRICTION) {
        err = add_restriction(visit, &target);
    }
    if (err == ERR_OK && state == ELEMENT_IN_CONFLICT) {
        struct live *lives;
        size_t live_count;
        err = open_values(visit, values, count, &lives, &live_count);
        if (err == ERR_OK) {
            err = add_conflict(visit, &target, CONFLICT_ELEMENT, latest_hlc(lives, live_count));
        }
    }
    while (err == ERR_OK && first < count) {
        size_t end = first + 1;
        while (end < count && memcmp(values[first].row.target, values[end].row.target, CELL_KEY_BYTES) == 0) {
            end++;
        }
        target.field = bytes_read_u32(values[first].row.target + CELL_ELEMENT_BYTES);
        err = settle_target(visit, &target, values + first, end - first);
        first = end;
    }
    return err;
}

/* Leave out what the summary and the inbox said of a target, or of a whole element. */
static void
forget_old(struct visit *visit, const struct target *target)
{
    struct summary *after = &visit->after;
    size_t kept = 0;

    for (size_t n = 0; n < after->item_count; n++) {
        struct target at = after->items[n].target;
        at.field = target->collection != 0 ? target->field : at.field;
        if (target_compare(&at, target) != 0) {
            after->items[kept++] = after->items[n];
        }
    }
    visit->items_changed = visit->items_changed || kept != after->item_count;
    after->item_count = kept;
    kept = 0;
    for (size_t n = 0; n < visit->conflict_count; n++) {
        struct target at = visit->conflicts[n].target;
        at.field = target->collection != 0 ? target->field : at.field;
        if (target_compare(&at, target) != 0) {
            visit->conflicts[kept++] = visit->conflicts[n];
        }
    }
    visit->conflicts_changed = visit->conflicts_changed || kept != visit->conflict_count;
    visit->conflict_count = kept;
}

static enum err
push_value(struct visit *visit, const struct value *value)
{
    struct value *values = array_grow(&visit->turn->work, visit->values, visit->value_count,
                                      &visit->value_capacity, sizeof *values);

    if (values == NULL) {
        return ERR_MEMORY;
    }
    visit->values = values;
    values[visit->value_count++] = *value;
    return ERR_OK;
}

/* The rows of `live` that are stored under a target, or under an element if `key_bytes` says so. */
static enum err
load_values(struct visit *visit, const uint8_t target[CELL_KEY_BYTES], size_t key_bytes)
{
    uint8_t from[PART_KEY_BYTES + CELL_KEY_BYTES];
    struct table_cursor *cursor = &visit->turn->live;
    size_t size = PART_KEY_BYTES + key_bytes;
    struct span key;
    struct span row;

    part_key(from, visit->touched->record_no, PART_LIVE);
    memcpy(from + PART_KEY_BYTES, target, key_bytes);
    bool found = table_cursor_seek(cursor, span_of(from, size), &key, &row);
    while (found && key.size >= size && memcmp(key.data, from, size) == 0) {
        struct value value = { .stored = true };
        if (row.data == NULL || !live_row_read(key, row, &value.row)) {
            return ERR_CORRUPT;
        }
        apply_new_names(visit, &value);
        enum err err = push_value(visit, &value);
        if (err != ERR_OK) {
            return err;
        }
        found = table_cursor_next(cursor, &key, &row);
    }
    return table_error(visit->turn->txn);
}

/* Bring the rows of `live` to what `values` says; what stays of them is live. */
static void
store_values(struct visit *visit)
{
    struct table_txn *txn = visit->turn->txn;
    uint8_t key[LIVE_KEY_BYTES];
    uint8_t row[LIVE_VALUE_BYTES];
    size_t kept = 0;

    for (size_t n = 0; n < visit->value_count; n++) {
        struct value *value = &visit->values[n];
        /* An entry that was merged before: its row is here already. */
        if (kept > 0 && live_row_compare(&visit->values[kept - 1].row, &value->row) == 0) {
            continue;
        }
        live_row_write(&value->row, visit->touched->record_no, key, row);
        if (value->named) {
            if (value->stored) {
                table_delete(txn, TABLE_CELL, span_of(key, sizeof key));
            }
            continue;
        }
        if (value->write) {
            table_put(txn, TABLE_CELL, span_of(key, sizeof key), span_of(row, sizeof row));
        }
        visit->values[kept++] = *value;
    }
    visit->value_count = kept;
}

/* Settle the target, or the whole element, that `touch` is about. */
static enum err
settle(struct visit *visit, const struct touch *touch)
{
    bool element = touch->target->collection != 0;
    size_t key_bytes = element ? CELL_ELEMENT_BYTES : CELL_KEY_BYTES;
    struct target whole = *touch->target;

    visit->value_count = 0;
    enum err err = load_values(visit, touch->key, key_bytes);
    while (err == ERR_OK && visit->add_next < visit->add_count &&
           memcmp(visit->adds[visit->add_next].row.target, touch->key, key_bytes) == 0) {
        err = push_value(visit, &visit->adds[visit->add_next++]);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (visit->value_count > 1) {
        qsort(visit->values, visit->value_count, sizeof *visit->values, value_order);
    }
    store_values(visit);
    whole.field = element ? 0 : whole.field;
    forget_old(visit, &whole);
    return element ? settle_element(visit, &whole, visit->values, visit->value_count)
                   : settle_target(visit, &whole, visit->values, visit->value_count);
}

/* --- summary, conflicts, index ------------------------------------------------ */

static int
item_order(const void *a, const void *b)
{
    return target_compare(&((const struct summary_item *)a)->target,
                          &((const struct summary_item *)b)->target);
}

static int
conflict_order(const void *a, const void *b)
{
    return conflict_compare(a, b);
}

static int
term_order(const void *a, const void *b)
{
    return index_term_compare(a, b);
}

static struct span
compartment_token(struct arena *arena, const struct ident *compartment)
{
    /* As CBOR: a byte string of 16. */
    uint8_t token[1 + IDENT_BYTES] = { 0x40 | IDENT_BYTES };

    memcpy(token + 1, compartment->bytes, IDENT_BYTES);
    return arena_copy(arena, span_of(token, sizeof token));
}

/* The terms that a summary stands under, sorted, each once. */
static enum err
terms_of(struct visit *visit, const struct summary *summary, struct index_term **terms_out, size_t *count_out)
{
    struct arena *work = &visit->turn->work;
    size_t count = 1;
    size_t kept = 0;

    bool restricted = summary_is_restricted(summary);

    for (size_t n = 0; n < summary->item_count; n++) {
        count += summary->items[n].token_count;
    }
    struct index_term *terms = arena_take_array(work, count, sizeof *terms);
    struct span compartment = compartment_token(work, &visit->touched->compartment);
    if (work->failed) {
        return ERR_MEMORY;
    }
    count = 0;
    terms[count++] = (struct index_term){ INDEX_COMPARTMENT, compartment };
    for (size_t n = 0; n < summary->item_count; n++) {
        const struct summary_item *item = &summary->items[n];
        bool kind = item->target.collection == 0 && item->target.field == FIELD_KIND;
        for (size_t t = 0; t < item->token_count && (kind || !restricted); t++) {
            terms[count++] = (struct index_term){ item->target.field, item->tokens[t] };
        }
    }
    qsort(terms, count, sizeof *terms, term_order);
    for (size_t n = 0; n < count; n++) {
        if (kept == 0 || index_term_compare(&terms[kept - 1], &terms[n]) != 0) {
            terms[kept++] = terms[n];
        }
    }
    *terms_out = terms;
    *count_out = kept;
    return ERR_OK;
}

/* Bring the index and the count of conflicts from `before` to `after`; `was` and `is` say whether the
 * record had and has a summary at all. */
static enum err
write_index(struct visit *visit, bool was, bool is)
{
    struct index_term *before = NULL;
    struct index_term *after = NULL;
    size_t before_count = 0;
    size_t after_count = 0;
    enum err err = ERR_OK;

    if (visit->items_changed || was != is) {
        if (was) {
            err = terms_of(visit, &visit->before, &before, &before_count);
        }
        if (is && err == ERR_OK) {
            err = terms_of(visit, &visit->after, &after, &after_count);
        }
        if (err != ERR_OK) {
            return err;
        }
        index_apply(visit->turn->batch, visit->touched->record_no, before, before_count, after, after_count);
    }
    size_t had = was && !summary_is_restricted(&visit->before) ? visit->before.conflict_count : 0;
    size_t has = is && !summary_is_restricted(&visit->after) ? visit->after.conflict_count : 0;
    if (had != has) {
        struct index_term term = { INDEX_CONFLICTS,
                                   compartment_token(&visit->turn->work, &visit->touched->compartment) };
        if (term.token.data == NULL) {
            return ERR_MEMORY;
        }
        index_add(visit->turn->batch, &term, (int64_t)has - (int64_t)had);
    }
    return ERR_OK;
}

static enum err
write_summary(struct visit *visit)
{
    struct record_turn *turn = visit->turn;
    struct summary *after = &visit->after;
    struct span key = span_of(visit->key, sizeof visit->key);
    bool is = (visit->was_there && !visit->touched->rebuild) || visit->touched->first != NULL;

    if (visit->items_changed && after->item_count > 0) {
        qsort(after->items, after->item_count, sizeof *after->items, item_order);
    }
    after->conflict_count = visit->conflict_count;
    if (is) {
        buf_clear(&turn->row);
        summary_write(after, &turn->row);
        if (turn->row.failed) {
            return ERR_MEMORY;
        }
        table_put(turn->txn, TABLE_SUM, key, buf_span(&turn->row));
    } else if (visit->was_there) {
        table_delete(turn->txn, TABLE_SUM, key);
    }
    if (visit->conflicts_changed && visit->conflict_count > 0) {
        qsort(visit->conflicts, visit->conflict_count, sizeof *visit->conflicts, conflict_order);
        buf_clear(&turn->row);
        conflicts_write(visit->conflicts, visit->conflict_count, &turn->row);
        if (turn->row.failed) {
            return ERR_MEMORY;
        }
        table_put(turn->txn, TABLE_CONF, key, buf_span(&turn->row));
    } else if (visit->before.conflict_count > 0 && visit->conflict_count == 0) {
        table_delete(turn->txn, TABLE_CONF, key);
    }
    return write_index(visit, visit->was_there, is);
}

/* Read the summary and the conflicts as they are before the visit. */
static enum err
read_before(struct visit *visit)
{
    struct record_turn *turn = visit->turn;
    struct span key = span_of(visit->key, sizeof visit->key);

    enum err err = table_read(turn->txn, TABLE_SUM, key, &turn->summary);
    if (err == ERR_ABSENT) {
        return ERR_OK;
    }
    if (err != ERR_OK) {
        return err;
    }
    visit->was_there = true;
    if (!summary_read(buf_span(&turn->summary), &turn->work, &visit->before)) {
        return turn->work.failed ? ERR_MEMORY : ERR_CORRUPT;
    }
    if (visit->before.conflict_count == 0 || visit->touched->rebuild) {
        return ERR_OK;
    }
    err = table_read(turn->txn, TABLE_CONF, key, &turn->row);
    if (err != ERR_OK) {
        return err == ERR_ABSENT ? ERR_CORRUPT : err;
    }
    const struct record_conflict *conflicts;
    if (!conflicts_read(buf_span(&turn->row), &turn->work, &conflicts, &visit->conflict_count)) {
        return turn->work.failed ? ERR_MEMORY : ERR_CORRUPT;
    }
    /* The work arena is ours to change. */
    visit->conflicts = (struct record_conflict *)(uintptr_t)conflicts;
    visit->conflict_capacity = visit->conflict_count;
    return ERR_OK;
}

/* The summary begins as it was, in a copy: `before` is still needed for the index. */
static enum err
copy_before(struct visit *visit)
{
    visit->after = visit->before;
    visit->item_capacity = visit->before.item_count;
    visit->after.items =
        arena_take_array(&visit->turn->work, visit->before.item_count, sizeof *visit->after.items);
    if (visit->after.items == NULL) {
        return ERR_MEMORY;
    }
    if (visit->before.item_count > 0) {
        memcpy(visit->after.items, visit->before.items,
               visit->before.item_count * sizeof *visit->after.items);
    }
    return ERR_OK;
}

/* Begin a record from nothing: its rows go, and all of its entries that count come again. */
static enum err
begin_rebuild(struct visit *visit)
{
    struct record_turn *turn = visit->turn;
    struct touched *touched = visit->touched;
    uint8_t part[PART_KEY_BYTES];
    struct table_cursor cursor;
    struct span key;
    struct span value;
    enum err err = ERR_OK;

    part_key(part, touched->record_no, PART_LIVE);
    table_clear(turn->txn, TABLE_CELL, span_of(part, sizeof part));
    part_key(part, touched->record_no, PART_SUP);
    table_clear(turn->txn, TABLE_CELL, span_of(part, sizeof part));
    for (const struct merged *merged = touched->first; merged != NULL; merged = merged->next) {
        put_rops(turn, touched->record_no, merged->entry->log_no, merged->entry->seq);
    }
    touched->first = NULL;
    touched->last = NULL;
    touched->op_count = 0;
    touched->pred_count = 0;
    visit->items_changed = true;
    visit->conflicts_changed = true;
    part_key(part, touched->record_no, PART_ROPS);
    table_cursor_init(&cursor, turn->txn, TABLE_CELL, span_of(part, sizeof part));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        const struct signed_change *entry;
        uint32_t log_no;
        uint64_t seq;
        if (value.data == NULL || !rops_read(key, &log_no, &seq)) {
            err = ERR_CORRUPT;
            break;
        }
        err = entry_cache_open(&turn->cache, log_no, seq, &entry);
        if (err == ERR_OK) {
            err = touched_add(turn, touched, entry);
        } else if (err == ERR_ABSENT) {
            err = ERR_OK;
        }
    }
    table_cursor_end(&cursor);
    return err != ERR_OK ? err : table_error(turn->txn);
}

static enum err
visit_record(struct record_turn *turn, struct touched *touched)
{
    struct visit visit = { .turn = turn, .touched = touched };

    if (touched->forgotten || (touched->first == NULL && !touched->rebuild)) {
        return ERR_OK;
    }
    arena_reset(&turn->work);
    bytes_write_u32(visit.key, touched->record_no);
    visit.half = turn->source->half(turn->source->self, &touched->compartment);
    enum err err = read_before(&visit);
    if (err == ERR_OK) {
        err = touched->rebuild ? begin_rebuild(&visit) : copy_before(&visit);
    }
    if (err == ERR_OK) {
        err = gather(&visit);
    }
    for (size_t n = 0; err == ERR_OK && n < visit.touch_count; n++) {
        const struct touch *touch = &visit.touches[n];
        size_t bytes = touch->target->collection != 0 ? CELL_ELEMENT_BYTES : CELL_KEY_BYTES;
        if (n == 0 || memcmp(visit.touches[n - 1].key, touch->key, bytes) != 0) {
            err = settle(&visit, touch);
        }
    }
    return err != ERR_OK ? err : write_summary(&visit);
}

/* By number: rows of one record lie together in every table. */
static int
touched_order(const void *a, const void *b)
{
    uint32_t one = (*(struct touched *const *)a)->record_no;
    uint32_t other = (*(struct touched *const *)b)->record_no;

    return one < other ? -1 : one > other;
}

enum err
record_turn_end(struct record_turn *turn)
{
    size_t count = turn->touched_count;
    size_t next = 0;
    enum err err = ERR_OK;

    assert(turn->began);
    struct touched **order = arena_take_array(&turn->arena, count, sizeof(struct touched *));
    if (order == NULL) {
        record_turn_drop(turn);
        return ERR_MEMORY;
    }
    for (struct touched *touched = turn->touched; touched != NULL; touched = touched->next) {
        order[next++] = touched;
    }
    qsort(order, count, sizeof(struct touched *), touched_order);
    table_cursor_init(&turn->live, turn->txn, TABLE_CELL, span_of(NULL, 0));
    table_cursor_init(&turn->sup, turn->txn, TABLE_CELL, span_of(NULL, 0));
    for (size_t n = 0; err == ERR_OK && n < count; n++) {
        err = visit_record(turn, order[n]);
    }
    table_cursor_end(&turn->live);
    table_cursor_end(&turn->sup);
    if (err == ERR_OK) {
        err = index_batch_end(turn->batch);
    }
    if (err == ERR_OK) {
        err = table_error(turn->txn);
    }
    record_turn_drop(turn);
    return err;
}

/* The number of a record whose row in `rec` does not verify: by the rows that name it. */
static enum err
find_by_name(struct table_txn *txn, const struct ident *compartment, const struct ident *record_id,
             uint32_t *record_no_out)
{
    struct table_cursor cursor;
    struct span key;
    struct span name;
    enum err err = ERR_ABSENT;

    table_cursor_init(&cursor, txn, TABLE_RECNO, span_of(NULL, 0));
    while (err == ERR_ABSENT && table_cursor_next(&cursor, &key, &name)) {
        if (name.data != NULL && name.size == NAME_BYTES && key.size == RECORD_KEY_BYTES &&
            memcmp(name.data, compartment->bytes, IDENT_BYTES) == 0 &&
            memcmp(name.data + IDENT_BYTES, record_id->bytes, IDENT_BYTES) == 0) {
            *record_no_out = bytes_read_u32(key.data);
            err = ERR_OK;
        }
    }
    table_cursor_end(&cursor);
    return err;
}

/* How many conflicts are open in a compartment, by the records that have them; but for `record_no`. */
static enum err
count_conflicts(struct record_turn *turn, const struct ident *compartment, uint32_t record_no,
                uint64_t *count_out)
{
    struct table_cursor cursor;
    struct span key;
    struct span row;
    enum err err = ERR_OK;

    *count_out = 0;
    table_cursor_init(&cursor, turn->txn, TABLE_CONF, span_of(NULL, 0));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &row)) {
        const struct record_conflict *conflicts;
        struct summary summary;
        struct ident of;
        struct ident id;
        size_t count;

        if (table_read(turn->txn, TABLE_SUM, key, &turn->row) == ERR_OK &&
            summary_read(buf_span(&turn->row), &turn->work, &summary) && summary_is_restricted(&summary)) {
            continue;
        }
        if (key.size != RECORD_KEY_BYTES || bytes_read_u32(key.data) == record_no || row.data == NULL ||
            record_name(turn->txn, bytes_read_u32(key.data), &of, &id) != ERR_OK ||
            !ident_equal(&of, compartment)) {
            continue;
        }
        if (conflicts_read(row, &turn->work, &conflicts, &count)) {
            *count_out += count;
        }
        err = turn->work.failed ? ERR_MEMORY : ERR_OK;
    }
    table_cursor_end(&cursor);
    return err;
}

/* Take a record out of the index, also one whose summary does not say where it stands. */
static enum err
forget_index(struct visit *visit, bool damaged)
{
    struct record_turn *turn = visit->turn;
    const struct ident *compartment = &visit->touched->compartment;
    uint64_t count;

    if (damaged) {
        index_forget(turn->batch, visit->touched->record_no);
    } else if (visit->was_there) {
        enum err err = write_index(visit, true, false);
        if (err != ERR_OK || visit->before.conflict_count == 0) {
            return err;
        }
    }
    enum err err = count_conflicts(turn, compartment, visit->touched->record_no, &count);
    if (err != ERR_OK) {
        return err;
    }
    struct index_term term = { INDEX_CONFLICTS, compartment_token(&turn->work, compartment) };
    if (term.token.data == NULL) {
        return ERR_MEMORY;
    }
    index_set(turn->batch, &term, count);
    return ERR_OK;
}

enum err
record_forget(struct record_turn *turn, const struct ident *compartment, const struct ident *record_id)
{
    struct touched touched = { .compartment = *compartment, .record_id = *record_id };
    struct visit visit = { .turn = turn, .touched = &touched };
    uint8_t hash[RECORD_HASH_BYTES];

    assert(turn->began);
    enum err err = record_find(turn->txn, compartment, record_id, &touched.record_no);
    if (err == ERR_CORRUPT) {
        err = find_by_name(turn->txn, compartment, record_id, &touched.record_no);
    }
    if (err != ERR_OK) {
        return err;
    }
    bytes_write_u32(visit.key, touched.record_no);
    arena_reset(&turn->work);
    index_mend(turn->batch);
    err = read_before(&visit);
    if (err == ERR_OK || err == ERR_CORRUPT) {
        err = forget_index(&visit, err == ERR_CORRUPT);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (turn->slot_count > 0) {
        struct touched **place = touched_find(turn, compartment, record_id);
        if (*place != NULL) {
            (*place)->forgotten = true;
        }
    }
    struct span key = span_of(visit.key, sizeof visit.key);
    table_clear(turn->txn, TABLE_CELL, key);
    table_delete(turn->txn, TABLE_SUM, key);
    table_delete(turn->txn, TABLE_CONF, key);
    table_delete(turn->txn, TABLE_RECNO, key);
    record_hash(turn->txn, compartment, record_id, hash);
    table_delete(turn->txn, TABLE_REC, span_of(hash, sizeof hash));
    return table_error(turn->txn);
}
