#include "store/record.h"

#include "store/base/cbor.h"
#include "store/record_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A live value and the target it stands at. */
struct found {
    struct target target;
    struct live live;
};

/* What is read of a record. */
struct view {
    struct table_txn *txn;
    const struct codebook *codebook;
    enum record_half half;
    struct row_hashes hashes;
    struct entry_cache cache;
    struct arena *arena;
    struct found *found;
    size_t found_count;
    size_t found_capacity;
};

static void
view_init(struct view *view, struct table_txn *txn, const struct codebook *codebook,
          const struct record_source *source, struct arena *arena)
{
    *view = (struct view){ .txn = txn, .codebook = codebook, .arena = arena };
    row_hashes_of(&view->hashes, table_txn_env(txn));
    entry_cache_init(&view->cache, source, arena);
}

static enum err
push(struct view *view, const struct found *found)
{
    if (view->found_count == view->found_capacity) {
        size_t capacity = view->found_capacity == 0 ? 32 : view->found_capacity * 2;
        struct found *grown = arena_take_array(view->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        if (view->found_count > 0) {
            memcpy(grown, view->found, view->found_count * sizeof *grown);
        }
        view->found = grown;
        view->found_capacity = capacity;
    }
    view->found[view->found_count++] = *found;
    return ERR_OK;
}

/* By target, and at one target the pick first. */
static int
found_order(const void *a, const void *b)
{
    const struct found *one = a;
    const struct found *other = b;
    int order = target_compare(&one->target, &other->target);

    return order != 0 ? order : cell_compare(&other->live, &one->live);
}

/* Open every live value whose row starts with `prefix`, and sort them. */
static enum err
load(struct view *view, struct span prefix)
{
    uint8_t target[CELL_KEY_BYTES];
    struct table_cursor cursor;
    struct live_row row;
    struct span key;
    struct span value;
    enum err err = ERR_OK;

    table_cursor_init(&cursor, view->txn, TABLE_CELL, prefix);
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        struct found found;
        if (value.data == NULL || !live_row_read(key, value, &row)) {
            err = ERR_CORRUPT;
            break;
        }
        err = live_open(&view->cache, &row, &found.live);
        if (err == ERR_ABSENT) {
            /* It does not count now; the rebuild that takes its row away is still to come. */
            err = ERR_OK;
            continue;
        }
        if (err == ERR_OK) {
            found.target = found.live.entry->change.ops[found.live.op].target;
            cell_key(target, view->hashes.target, &found.target);
            bool same = memcmp(target, row.target, sizeof target) == 0;
            err = same ? push(view, &found) : ERR_CORRUPT;
        }
    }
    table_cursor_end(&cursor);
    if (err == ERR_OK) {
        err = table_error(view->txn);
    }
    /* A view with a value less would be another answer. */
    if (err == ERR_OK) {
        err = table_check_range(view->txn, TABLE_CELL, prefix);
    }
    if (err == ERR_OK && view->found_count > 1) {
        qsort(view->found, view->found_count, sizeof *view->found, found_order);
    }
    return err;
}

/* Make a target of the values found from `first` to `end`. */
static enum err
make_target(struct view *view, size_t first, size_t end, struct record_target *out)
{
    size_t count = end - first;
    struct live *values = arena_take_array(view->arena, count, sizeof *values);
    struct span *shown = arena_take_array(view->arena, count, sizeof *shown);

    if (view->arena->failed) {
        return ERR_MEMORY;
    }
    *out =
        (struct record_target){ .target = view->found[first].target, .values = values, .value_count = count };
    out->field = cell_field(view->codebook, &out->target);
    out->newer = !cell_known(view->codebook, &out->target);
    for (size_t n = 0; n < count; n++) {
        values[n] = view->found[first + n].live;
        out->newer = out->newer || values[n].newer;
    }
    out->shown = shown;
    out->shown_count = cell_show(view->codebook, out->field, values, count, shown);
    out->conflict = cell_conflict(out->field, values, count);
    out->misplaced = cell_misplaced(view->codebook, view->half, &out->target);
    out->exposed = out->misplaced && view->half == HALF_CASE;
    return ERR_OK;
}

static bool
same_element(const struct target *a, const struct target *b)
{
    return a->collection == b->collection && memcmp(a->element, b->element, ELEMENT_ID_BYTES) == 0;
}

/* Where the values of the target, or of the whole element if there is one, that starts at `first` end. */
static size_t
end_of(const struct view *view, size_t first, bool element)
{
    size_t end = first + 1;

    while (end < view->found_count &&
           (element ? same_element(&view->found[first].target, &view->found[end].target)
                    : target_compare(&view->found[first].target, &view->found[end].target) == 0)) {
        end++;
    }
    return end;
}

static enum element_state
state_of(const struct view *view, size_t first, size_t end)
{
    size_t removed_count = 0;

    for (size_t n = first; n < end; n++) {
        removed_count += view->found[n].live.removed;
    }
    return cell_element(end - first, removed_count);
}

/* Make the targets of the values from `first` to `end`, behind those that are there. */
static enum err
make_targets(struct view *view, size_t first, size_t end, struct record_target *targets, size_t *count)
{
    enum err err = ERR_OK;

    while (err == ERR_OK && first < end) {
        size_t next = end_of(view, first, false);
        err = make_target(view, first, next, &targets[*count]);
        (*count)++;
        first = next;
    }
    return err;
}

/* May the target be shown of a restricted record? What it is called, and why it is restricted. */
static bool
is_open_in_spite(const struct codebook *codebook, const struct target *target)
{
    const struct codebook_field *field = cell_field(codebook, target);

    return target->collection == COLLECTION_RESTRICTION ||
           (target->collection == 0 &&
            (target->field == FIELD_KIND || (field != NULL && strcmp(field->name, "number") == 0)));
}

static enum err
make_view(struct view *view, bool in_spite, struct record_view *out)
{
    struct record_target *targets = arena_take_array(view->arena, view->found_count, sizeof *targets);
    struct record_element *elements = arena_take_array(view->arena, view->found_count, sizeof *elements);
    size_t next = 0;
    enum err err = ERR_OK;

    if (view->arena->failed) {
        return ERR_MEMORY;
    }
    for (size_t first = 0; err == ERR_OK && first < view->found_count; first = next) {
        const struct target *target = &view->found[first].target;
        next = end_of(view, first, target->collection != 0);
        if (out->restricted && !in_spite && !is_open_in_spite(view->codebook, target)) {
            continue;
        }
        if (target->collection != 0) {
            enum element_state state = state_of(view, first, next);
            if (state == ELEMENT_ABSENT) {
                continue;
            }
            struct record_element *element = &elements[out->element_count++];
            *element = (struct record_element){ .collection = target->collection,
                                                .state = state,
                                                .first = out->target_count };
            memcpy(element->element, target->element, ELEMENT_ID_BYTES);
            out->conflict_count += state == ELEMENT_IN_CONFLICT;
            err = make_targets(view, first, next, targets, &out->target_count);
            element->count = out->target_count - element->first;
        } else {
            err = make_targets(view, first, next, targets, &out->target_count);
        }
    }
    out->targets = targets;
    out->elements = elements;
    for (size_t n = 0; err == ERR_OK && n < out->target_count; n++) {
        const struct record_target *target = &targets[n];
        out->conflict_count += (size_t)target->conflict + (size_t)target->misplaced;
        out->newer = out->newer || target->newer;
        if (target->target.collection == 0 && target->target.field == FIELD_KIND && target->shown_count > 0) {
            struct cbor_reader in = cbor_reader_of(target->shown[0]);
            uint64_t kind = cbor_read_uint(&in);
            out->kind = kind <= UINT32_MAX ? (uint32_t)kind : 0;
        }
    }
    return err;
}

static enum err
read_view(struct table_txn *txn, const struct codebook *codebook, const struct record_source *source,
          uint32_t record_no, bool in_spite, struct arena *arena, struct record_view *view_out)
{
    struct record_summary summary;
    uint8_t key[PART_KEY_BYTES];
    struct view view;

    *view_out = (struct record_view){ .record_no = record_no };
    enum err err = record_summary_read(txn, codebook, record_no, arena, &summary);
    if (err != ERR_OK) {
        return err;
    }
    view_out->compartment = summary.compartment;
    view_out->record_id = summary.record_id;
    view_out->created_hlc = summary.created_hlc;
    view_out->updated_hlc = summary.updated_hlc;
    view_out->restricted = summary.restricted;
    view_out->half = source->half(source->self, &summary.compartment);
    view_init(&view, txn, codebook, source, arena);
    view.half = view_out->half;
    part_key(key, record_no, PART_LIVE);
    err = load(&view, span_of(key, sizeof key));
    return err != ERR_OK ? err : make_view(&view, in_spite, view_out);
}

enum err
record_view_read(struct table_txn *txn, const struct codebook *codebook, const struct record_source *source,
                 uint32_t record_no, struct arena *arena, struct record_view *view_out)
{
    return read_view(txn, codebook, source, record_no, false, arena, view_out);
}

enum err
record_view_read_in_spite(struct table_txn *txn, const struct codebook *codebook,
                          const struct record_source *source, uint32_t record_no, struct arena *arena,
                          struct record_view *view_out)
{
    return read_view(txn, codebook, source, record_no, true, arena, view_out);
}

enum err
record_dots_read(struct table_txn *txn, const struct codebook *codebook, uint32_t record_no,
                 const struct target *target, bool whole_element, struct dot *dots_out, size_t room,
                 size_t *count_out, bool *conflict_out)
{
    uint8_t prefix[PART_KEY_BYTES + CELL_KEY_BYTES];
    const struct codebook_field *field = cell_field(codebook, target);
    struct row_hashes secrets;
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint64_t hashes[2]; /* of two distinct values of the target: more tell no more */
    size_t distinct = 0;
    enum err err = ERR_OK;

    row_hashes_of(&secrets, table_txn_env(txn));
    part_key(prefix, record_no, PART_LIVE);
    cell_key(prefix + PART_KEY_BYTES, secrets.target, target);
    size_t prefix_bytes = PART_KEY_BYTES + (whole_element ? CELL_ELEMENT_BYTES : CELL_KEY_BYTES);
    *count_out = 0;
    table_cursor_init(&cursor, txn, TABLE_CELL, span_of(prefix, prefix_bytes));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        struct live_row row;

        if (value.data == NULL || !live_row_read(key, value, &row)) {
            err = ERR_CORRUPT;
            break;
        }
        if (memcmp(row.target, prefix + PART_KEY_BYTES, CELL_KEY_BYTES) == 0 &&
            (distinct == 0 || (distinct == 1 && row.value_hash != hashes[0]))) {
            hashes[distinct] = row.value_hash;
            distinct++;
        }
        if (*count_out < room) {
            dots_out[*count_out] = row.dot;
        }
        ++*count_out;
    }
    table_cursor_end(&cursor);
    *conflict_out = err == ERR_OK && cell_conflict_of(field, hashes, distinct);
    return err == ERR_OK ? table_error(txn) : err;
}

/* --- lists -------------------------------------------------------------------- */

/* A sealed row, copied into the arena. */
static enum err
read_row(struct table_txn *txn, enum table_id table, uint32_t record_no, struct arena *arena,
         struct span *row_out)
{
    uint8_t key[RECORD_KEY_BYTES];
    struct buf row = { 0 };

    bytes_write_u32(key, record_no);
    enum err err = table_read(txn, table, span_of(key, sizeof key), &row);
    if (err == ERR_ABSENT && table_check_absent(txn, table, span_of(key, sizeof key)) != ERR_OK) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        *row_out = arena_copy_buf(arena, &row);
        err = arena->failed ? ERR_MEMORY : ERR_OK;
    }
    buf_wipe(&row);
    return err;
}

enum err
record_summary_read(struct table_txn *txn, const struct codebook *codebook, uint32_t record_no,
                    struct arena *arena, struct record_summary *summary_out)
{
    struct summary summary;
    struct span row;

    *summary_out = (struct record_summary){ .record_no = record_no };
    enum err err = read_row(txn, TABLE_SUM, record_no, arena, &row);
    if (err == ERR_OK) {
        err = record_name(txn, record_no, &summary_out->compartment, &summary_out->record_id);
        /* One row without the other is no record that was never met. */
        err = err == ERR_ABSENT ? ERR_CORRUPT : err;
    }
    if (err == ERR_OK && !summary_read(row, arena, &summary)) {
        err = arena->failed ? ERR_MEMORY : ERR_CORRUPT;
    }
    if (err != ERR_OK) {
        return err;
    }
    struct record_item *items = arena_take_array(arena, summary.item_count, sizeof *items);
    if (items == NULL) {
        return ERR_MEMORY;
    }
    size_t item_count = 0;
    summary_out->restricted = summary_is_restricted(&summary);
    for (size_t n = 0; n < summary.item_count; n++) {
        const struct summary_item *item = &summary.items[n];
        if (summary_out->restricted &&
            (item->target.collection != 0 || !is_open_in_spite(codebook, &item->target))) {
            continue;
        }
        items[item_count++] = (struct record_item){ .target = item->target,
                                                    .field = cell_field(codebook, &item->target),
                                                    .shown = item->shown,
                                                    .shown_count = item->shown_count,
                                                    .conflict = item->conflict };
        if (item->target.collection == 0 && item->target.field == FIELD_KIND && item->shown_count > 0) {
            struct cbor_reader in = cbor_reader_of(item->shown[0]);
            uint64_t kind = cbor_read_uint(&in);
            summary_out->kind = kind <= UINT32_MAX ? (uint32_t)kind : 0;
        }
    }
    summary_out->created_hlc = summary.created_hlc;
    summary_out->updated_hlc = summary.updated_hlc;
    summary_out->conflict_count = summary_out->restricted ? 0 : summary.conflict_count;
    summary_out->items = items;
    summary_out->item_count = item_count;
    return ERR_OK;
}

enum err
record_is_restricted(struct table_txn *txn, uint32_t record_no, bool *restricted_out)
{
    uint8_t key[RECORD_KEY_BYTES];
    struct buf row = { 0 };

    *restricted_out = false;
    bytes_write_u32(key, record_no);
    enum err err = table_read(txn, TABLE_SUM, span_of(key, sizeof key), &row);
    if (err == ERR_OK && !summary_row_is_restricted(buf_span(&row), restricted_out)) {
        err = ERR_CORRUPT;
    }
    buf_wipe(&row);
    return err;
}

enum err
record_conflicts_read(struct table_txn *txn, uint32_t record_no, struct arena *arena,
                      const struct record_conflict **conflicts_out, size_t *count_out)
{
    struct summary summary;
    struct span row;

    *conflicts_out = NULL;
    *count_out = 0;
    enum err err = read_row(txn, TABLE_CONF, record_no, arena, &row);
    if (err == ERR_ABSENT) {
        return ERR_OK;
    }
    struct span summary_row;
    if (err == ERR_OK && read_row(txn, TABLE_SUM, record_no, arena, &summary_row) == ERR_OK &&
        summary_read(summary_row, arena, &summary) && summary_is_restricted(&summary)) {
        return ERR_OK;
    }
    if (err == ERR_OK && !conflicts_read(row, arena, conflicts_out, count_out)) {
        err = arena->failed ? ERR_MEMORY : ERR_CORRUPT;
    }
    return err;
}

bool
record_conflict_next(struct table_txn *txn, uint32_t after, uint32_t *record_no_out)
{
    uint8_t from[RECORD_KEY_BYTES];
    struct table_cursor cursor;
    struct span key;
    struct span value;

    if (after == UINT32_MAX) {
        return false;
    }
    bytes_write_u32(from, after + 1);
    table_cursor_init(&cursor, txn, TABLE_CONF, span_of(NULL, 0));
    bool found =
        table_cursor_seek(&cursor, span_of(from, sizeof from), &key, &value) && key.size == RECORD_KEY_BYTES;
    if (found) {
        *record_no_out = bytes_read_u32(key.data);
    }
    table_cursor_end(&cursor);
    return found;
}

enum err
record_conflict_count(struct table_txn *txn, const struct ident *compartment, uint64_t *count_out)
{
    uint8_t token[1 + IDENT_BYTES] = { 0x40 | IDENT_BYTES };
    const struct index_term term = { INDEX_CONFLICTS, span_of(token, sizeof token) };

    memcpy(token + 1, compartment->bytes, IDENT_BYTES);
    return index_count_of(txn, &term, count_out);
}

enum err
record_history(struct table_txn *txn, uint32_t record_no, struct arena *arena,
               const struct record_place **places_out, size_t *count_out)
{
    uint8_t prefix[PART_KEY_BYTES];
    struct record_place *places = NULL;
    struct table_cursor cursor;
    struct span key;
    struct span value;
    size_t capacity = 0;
    size_t count = 0;
    enum err err = ERR_OK;

    part_key(prefix, record_no, PART_ROPS);
    table_cursor_init(&cursor, txn, TABLE_CELL, span_of(prefix, sizeof prefix));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        uint32_t log_no;
        uint64_t seq;
        if (value.data == NULL || !rops_read(key, &log_no, &seq)) {
            err = ERR_CORRUPT;
        } else if (count == capacity) {
            capacity = capacity == 0 ? 32 : capacity * 2;
            struct record_place *grown = arena_take_array(arena, capacity, sizeof *grown);
            if (grown == NULL) {
                err = ERR_MEMORY;
            } else if (count > 0) {
                memcpy(grown, places, count * sizeof *grown);
            }
            places = grown;
        }
        if (err == ERR_OK) {
            places[count++] = (struct record_place){ log_no, seq };
        }
    }
    table_cursor_end(&cursor);
    /* They lie the other way round. */
    for (size_t n = 0; n < count / 2; n++) {
        struct record_place place = places[n];

        places[n] = places[count - 1 - n];
        places[count - 1 - n] = place;
    }
    *places_out = err == ERR_OK ? places : NULL;
    *count_out = err == ERR_OK ? count : 0;
    return err != ERR_OK ? err : table_error(txn);
}

enum err
record_ends(struct table_txn *txn, uint32_t record_no, struct record_place *ends, size_t room,
            size_t *count_out)
{
    uint8_t key[ROPS_KEY_BYTES];
    struct table_cursor cursor;
    struct span found;
    struct span value;
    size_t count = 0;
    enum err err = ERR_OK;

    /* Both numbers are complemented, so the first row of a branch is its last entry, and seq 0 the last row. */
    rops_key(key, record_no, UINT32_MAX, UINT64_MAX);
    table_cursor_init(&cursor, txn, TABLE_CELL, span_of(key, PART_KEY_BYTES));
    while (err == ERR_OK && count < room &&
           table_cursor_seek(&cursor, span_of(key, sizeof key), &found, &value)) {
        struct record_place *end = &ends[count];

        if (value.data == NULL || !rops_read(found, &end->log_no, &end->seq)) {
            err = ERR_CORRUPT;
        } else {
            count++;
            if (end->log_no == 0) {
                break;
            }
            rops_key(key, record_no, end->log_no - 1, UINT64_MAX);
        }
    }
    table_cursor_end(&cursor);
    *count_out = err == ERR_OK ? count : 0;
    return err != ERR_OK ? err : table_error(txn);
}
