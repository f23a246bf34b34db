#include "tests/support/check.h"
#include "tests/support/records.h"

#include "store/base/cbor.h"
#include "store/record_rows.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 64 };

static struct records records;
static struct model_entry entries[ENTRIES];
static const struct model_entry *all[ENTRIES];
static size_t made_count;

static void
setup(void)
{
    memset(entries, 0, sizeof entries);
    made_count = 0;
    for (size_t n = 0; n < ENTRIES; n++) {
        all[n] = &entries[n];
    }
    records_open(&records, all, ENTRIES);
}

static void
teardown(void)
{
    records_close(&records);
}

/* The next entry: of a log of its own, and of record 0. */
static struct model_entry *
make(uint64_t hlc)
{
    struct model_entry *entry = &entries[made_count++];

    ck_assert_uint_le(made_count, ENTRIES);
    entry->branch = (uint32_t)made_count;
    memset(entry->log_id, (int)made_count, sizeof entry->log_id);
    memset(entry->entry_id, 0x80 + (int)made_count, sizeof entry->entry_id);
    memset(entry->device_id, (int)made_count, sizeof entry->device_id);
    entry->hlc = hlc;
    return entry;
}

static struct model_op *
add_op(struct model_entry *entry, uint32_t code, uint32_t collection, uint32_t element, uint32_t field,
       int value)
{
    struct model_op *op = &entry->ops[entry->op_count++];

    *op = (struct model_op){
        .code = code, .collection = collection, .element = element, .field = field, .value = value
    };
    return op;
}

static void
name(struct model_op *op, const struct model_entry *entry, uint32_t at)
{
    struct model_name *out = &op->names[op->name_count++];

    memcpy(out->log, entry->log_id, sizeof out->log);
    out->seq = entry->seq;
    out->op = at;
    memcpy(out->tag, entry->entry_id, sizeof out->tag);
}

static struct model_entry *
set(uint32_t field, int value, uint64_t hlc)
{
    struct model_entry *entry = make(hlc);

    add_op(entry, MODEL_SET, 0, 0, field, value);
    return entry;
}

/* One turn with these entries, in the open transaction. */
static void
take(const struct model_entry *a, const struct model_entry *b)
{
    records_begin(&records);
    records_merge(&records, a);
    if (b != NULL) {
        records_merge(&records, b);
    }
    ck_assert_int_eq(records_end(&records), ERR_OK);
}

static struct record_view
view_of(uint32_t record)
{
    struct record_view view;

    arena_reset(&records.arena);
    ck_assert_int_eq(record_view_read(records.txn, &records_codebook, &records.source,
                                      records_no(&records, record), &records.arena, &view),
                     ERR_OK);
    return view;
}

static struct record_summary
summary_of(uint32_t record)
{
    struct record_summary summary;

    ck_assert_int_eq(record_summary_read(records.txn, &records_codebook, records_no(&records, record),
                                         &records.arena, &summary),
                     ERR_OK);
    return summary;
}

static uint64_t
conflict_count(void)
{
    struct ident compartment = records_compartment();
    uint64_t count;

    ck_assert_int_eq(record_conflict_count(records.txn, &compartment, &count), ERR_OK);
    return count;
}

/* Rows of one part, of all records. */
static size_t
part_count(enum record_part part)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    size_t count = 0;

    table_cursor_init(&cursor, records.txn, TABLE_CELL, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        ck_assert_uint_ge(key.size, PART_KEY_BYTES);
        count += key.data[RECORD_KEY_BYTES] == part;
    }
    table_cursor_end(&cursor);
    return count;
}

START_TEST(two_who_did_not_see_each_other_make_a_conflict_that_one_save_closes)
{
    struct model_entry *a = set(10, 1, 5);
    struct model_entry *b = set(10, 2, 4);

    take(a, NULL);
    take(b, NULL);
    struct record_view view = view_of(0);
    ck_assert_uint_eq(view.target_count, 1);
    const struct record_target *target = &view.targets[0];
    ck_assert(target->conflict);
    ck_assert_uint_eq(target->value_count, 2);
    ck_assert_mem_eq(target->values[0].entry->entry_id.bytes, a->entry_id, 32);
    ck_assert_uint_eq(target->shown_count, 2);
    ck_assert_uint_eq(view.conflict_count, 1);
    ck_assert_uint_eq(view.created_hlc, 4);
    ck_assert_uint_eq(view.updated_hlc, 5);
    ck_assert_uint_eq(conflict_count(), 1);

    const struct record_conflict *conflicts;
    size_t count;
    uint32_t record_no;
    ck_assert(record_conflict_next(records.txn, 0, &record_no));
    ck_assert_uint_eq(record_no, view.record_no);
    ck_assert(!record_conflict_next(records.txn, record_no, &record_no));
    ck_assert_int_eq(record_conflicts_read(records.txn, record_no, &records.arena, &conflicts, &count),
                     ERR_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(conflicts[0].how, CONFLICT_VALUES);
    ck_assert_uint_eq(conflicts[0].target.field, 10);
    ck_assert_uint_eq(conflicts[0].since_hlc, 5);

    struct model_entry *c = set(10, 3, 1);
    name(&c->ops[0], a, 0);
    name(&c->ops[0], b, 0);
    take(c, NULL);
    view = view_of(0);
    ck_assert(!view.targets[0].conflict);
    ck_assert_uint_eq(view.targets[0].value_count, 1);
    ck_assert_uint_eq(conflict_count(), 0);
    ck_assert(!record_conflict_next(records.txn, 0, &record_no));
    ck_assert_uint_eq(table_count(records.txn, TABLE_CONF), 0);
}
END_TEST

START_TEST(the_history_is_by_log_and_seq)
{
    const struct record_place *places;
    size_t count;

    for (int n = 0; n < 7; n++) {
        take(set(10, 1 + n % 2, (uint64_t)(5 + n)), NULL);
    }
    (void)view_of(0);
    ck_assert_int_eq(record_history(records.txn, records_no(&records, 0), &records.arena, &places, &count),
                     ERR_OK);
    ck_assert_uint_eq(count, 7);
    for (size_t n = 1; n < count; n++) {
        ck_assert(places[n - 1].log_no < places[n].log_no ||
                  (places[n - 1].log_no == places[n].log_no && places[n - 1].seq < places[n].seq));
    }
}
END_TEST

START_TEST(a_name_waits_for_the_value_it_names)
{
    struct model_entry *a = set(10, 1, 5);
    struct model_entry *b = set(10, 2, 6);

    name(&b->ops[0], a, 0);
    take(b, NULL);
    take(a, NULL);
    struct record_view view = view_of(0);
    ck_assert_uint_eq(view.targets[0].value_count, 1);
    ck_assert_mem_eq(view.targets[0].values[0].entry->entry_id.bytes, b->entry_id, 32);
    ck_assert_uint_eq(part_count(PART_SUP), 1);
}
END_TEST

START_TEST(a_name_counts_on_its_own_record_and_target_only)
{
    struct model_entry *a = set(10, 1, 5);
    struct model_entry *other_target = set(12, 2, 6);
    struct model_entry *other_record = set(10, 2, 6);

    other_record->record = 1;
    name(&other_target->ops[0], a, 0);
    name(&other_record->ops[0], a, 0);
    take(other_target, other_record);
    take(a, NULL);
    struct record_view view = view_of(0);
    ck_assert_uint_eq(view.target_count, 2);
    ck_assert_uint_eq(view.targets[0].target.field, 10);
    ck_assert_uint_eq(view.targets[0].value_count, 1);
}
END_TEST

START_TEST(an_edit_that_met_a_removal_keeps_the_element_and_asks)
{
    struct model_entry *added = make(1);
    struct model_entry *removed = make(2);
    struct model_entry *edited = make(3);

    add_op(added, MODEL_ADD, RECORDS_COLLECTION, 1, 0, MODEL_NONE);
    add_op(added, MODEL_SET, RECORDS_COLLECTION, 1, 25, 1);
    struct model_op *removal = add_op(removed, MODEL_REMOVE, RECORDS_COLLECTION, 1, 0, MODEL_NONE);
    name(removal, added, 0);
    name(removal, added, 1);
    name(add_op(edited, MODEL_SET, RECORDS_COLLECTION, 1, 25, 2), added, 1);

    take(added, NULL);
    ck_assert_uint_eq(summary_of(0).item_count, 1);
    take(removed, NULL);
    ck_assert_uint_eq(view_of(0).element_count, 0);
    ck_assert_uint_eq(view_of(0).target_count, 0);
    ck_assert_uint_eq(summary_of(0).item_count, 0);

    /* What is absent is still there for whoever must name it. */
    struct dot dots[4];
    size_t count;
    bool conflict;
    struct target element = { .collection = RECORDS_COLLECTION };
    bytes_write_u64(element.element, 1);
    ck_assert_int_eq(record_dots_read(records.txn, &records_codebook, records_no(&records, 0), &element, true,
                                      dots, 4, &count, &conflict),
                     ERR_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert(!conflict);

    take(edited, NULL);
    struct record_view view = view_of(0);
    ck_assert_uint_eq(view.element_count, 1);
    ck_assert_int_eq(view.elements[0].state, ELEMENT_IN_CONFLICT);
    ck_assert_uint_eq(view.elements[0].first, 0);
    ck_assert_uint_eq(view.elements[0].count, 2);
    ck_assert_uint_eq(view.conflict_count, 1);
    ck_assert_uint_eq(conflict_count(), 1);
    ck_assert_uint_eq(summary_of(0).item_count, 1);

    /* A new removal that names all closes it. */
    struct model_entry *again = make(4);
    removal = add_op(again, MODEL_REMOVE, RECORDS_COLLECTION, 1, 0, MODEL_NONE);
    name(removal, added, 0);
    name(removal, edited, 0);
    take(again, NULL);
    ck_assert_uint_eq(view_of(0).element_count, 0);
    ck_assert_uint_eq(conflict_count(), 0);
}
END_TEST

START_TEST(an_addition_that_names_what_was_removed_brings_the_element_back_without_a_conflict)
{
    struct model_entry *added = make(1);
    struct model_entry *removed = make(2);
    struct model_entry *again = make(3);

    add_op(added, MODEL_ADD, RECORDS_COLLECTION, 1, 0, MODEL_NONE);
    add_op(added, MODEL_SET, RECORDS_COLLECTION, 1, 25, 1);
    struct model_op *removal = add_op(removed, MODEL_REMOVE, RECORDS_COLLECTION, 1, 0, MODEL_NONE);
    name(removal, added, 0);
    name(removal, added, 1);
    name(add_op(again, MODEL_ADD, RECORDS_COLLECTION, 1, 0, MODEL_NONE), added, 0);
    name(add_op(again, MODEL_SET, RECORDS_COLLECTION, 1, 25, 1), added, 1);
    take(removed, again);
    take(added, NULL);
    struct record_view view = view_of(0);
    ck_assert_uint_eq(view.element_count, 1);
    ck_assert_int_eq(view.elements[0].state, ELEMENT_PRESENT);
    ck_assert_uint_eq(view.conflict_count, 0);
}
END_TEST

START_TEST(an_unknown_op_adds_replaces_and_is_shown_as_newer)
{
    struct model_entry *a = set(10, 1, 1);
    struct model_entry *b = make(2);
    struct model_entry *c = set(RECORDS_FIELD_UNKNOWN, 1, 3);

    name(add_op(b, MODEL_UNKNOWN, 0, 0, 10, 7), a, 0);
    take(a, b);
    take(c, NULL);
    struct record_view view = view_of(0);
    ck_assert(view.newer);
    ck_assert_uint_eq(view.target_count, 2);
    ck_assert_uint_eq(view.targets[0].value_count, 1);
    ck_assert(view.targets[0].newer && view.targets[0].values[0].newer);
    ck_assert(view.targets[1].newer && !view.targets[1].values[0].newer);
    ck_assert_ptr_null(view.targets[1].field);
}
END_TEST

START_TEST(a_value_in_the_wrong_half_is_in_conflict_and_flagged_as_exposure)
{
    records.half = HALF_CASE;
    take(set(16, 1, 1), set(10, 1, 1));
    struct record_view view = view_of(0);
    ck_assert(!view.targets[0].misplaced);
    ck_assert(view.targets[1].misplaced && view.targets[1].exposed);
    ck_assert_uint_eq(view.conflict_count, 1);
    ck_assert_uint_eq(conflict_count(), 1);

    /* The halves are as the certificates say; what they hold is found again by a rebuild. */
    records.half = HALF_PROTECTED;
    records_begin(&records);
    ck_assert_int_eq(record_rebuild(records.turn, view.record_no), ERR_OK);
    ck_assert_int_eq(records_end(&records), ERR_OK);
    view = view_of(0);
    ck_assert(view.targets[0].misplaced && !view.targets[0].exposed);
    ck_assert(!view.targets[1].misplaced);
    ck_assert_uint_eq(conflict_count(), 1);
}
END_TEST

START_TEST(a_policy_changes_what_is_shown_and_not_what_is_live)
{
    take(set(12, 4, 1), set(12, 9, 0));
    struct record_view view = view_of(0);
    ck_assert(view.targets[0].conflict);
    ck_assert_uint_eq(view.targets[0].value_count, 2);
    ck_assert_uint_eq(view.targets[0].shown_count, 1);
    ck_assert_uint_eq(view.targets[0].shown[0].data[0], 9);
    ck_assert_uint_eq(summary_of(0).items[0].shown_count, 1);
    ck_assert(summary_of(0).items[0].conflict);
}
END_TEST

START_TEST(an_entry_that_stops_counting_leaves_nothing_behind_after_a_rebuild_and_may_return)
{
    struct model_entry *a = set(15, 1, 5);
    struct model_entry *b = set(15, 2, 9);
    struct buf before = { 0 };
    struct buf after = { 0 };

    name(&b->ops[0], a, 0);
    take(a, NULL);
    take(b, NULL);
    records_rows(&records, &before);
    uint32_t record_no = records_no(&records, 0);
    records.away = b;
    records_begin(&records);
    ck_assert_int_eq(record_rebuild(records.turn, record_no), ERR_OK);
    ck_assert_int_eq(records_end(&records), ERR_OK);
    struct record_view view = view_of(0);
    ck_assert_uint_eq(view.targets[0].shown[0].data[0], 1);
    ck_assert_uint_eq(view.updated_hlc, 5);
    /* It stays in the list of the record's entries: it may count again. */
    const struct record_place *places;
    size_t place_count;
    ck_assert_int_eq(record_history(records.txn, record_no, &records.arena, &places, &place_count), ERR_OK);
    ck_assert_uint_eq(place_count, 2);
    ck_assert_uint_eq(part_count(PART_SUP), 0);

    records.away = NULL;
    records_begin(&records);
    ck_assert_int_eq(record_rebuild(records.turn, record_no), ERR_OK);
    ck_assert_int_eq(records_end(&records), ERR_OK);
    records_rows(&records, &after);
    ck_assert(span_equal(buf_span(&before), buf_span(&after)));
    buf_free(&before);
    buf_free(&after);
}
END_TEST

START_TEST(a_record_of_which_nothing_counts_is_in_no_list)
{
    struct record_summary summary;
    struct model_entry *a = set(15, 1, 5);

    take(a, NULL);
    uint32_t record_no = records_no(&records, 0);
    records.away = a;
    records_begin(&records);
    ck_assert_int_eq(record_rebuild(records.turn, record_no), ERR_OK);
    ck_assert_int_eq(records_end(&records), ERR_OK);
    ck_assert_int_eq(record_summary_read(records.txn, &records_codebook, record_no, &records.arena, &summary),
                     ERR_ABSENT);
    ck_assert_uint_eq(part_count(PART_LIVE), 0);
    ck_assert_uint_eq(table_count(records.txn, TABLE_IDX), 0);
    ck_assert_uint_eq(table_count(records.txn, TABLE_TOKEN), 0);
    ck_assert_uint_eq(part_count(PART_ROPS), 1);
}
END_TEST

START_TEST(a_forgotten_record_is_in_no_table)
{
    struct ident compartment = records_compartment();
    struct ident id = records_id(0);
    uint32_t record_no;

    take(set(10, 1, 1), set(10, 2, 1));
    records_begin(&records);
    ck_assert_int_eq(record_forget(records.turn, &compartment, &id), ERR_OK);
    id = records_id(99);
    ck_assert_int_eq(record_forget(records.turn, &compartment, &id), ERR_ABSENT);
    ck_assert_int_eq(records_end(&records), ERR_OK);
    static const enum table_id tables[] = { TABLE_REC,  TABLE_RECNO, TABLE_CELL, TABLE_SUM,
                                            TABLE_CONF, TABLE_IDX,   TABLE_TOKEN };
    for (size_t n = 0; n < sizeof tables / sizeof tables[0]; n++) {
        ck_assert_uint_eq(table_count(records.txn, tables[n]), 0);
    }
    id = records_id(0);
    ck_assert_int_eq(record_find(records.txn, &compartment, &id, &record_no), ERR_ABSENT);
}
END_TEST

/* Write nonsense over every row of a table that is about record 0; of counts, over those that it shares. */
static void
damage(enum table_id table)
{
    struct table_cursor cursor;
    struct ident compartment = records_compartment();
    struct ident id = records_id(0);
    struct span key;
    struct span value;
    uint8_t prefix[RECORD_KEY_BYTES];
    uint32_t record_no;
    size_t damaged = 0;

    ck_assert_int_eq(record_find(records.txn, &compartment, &id, &record_no), ERR_OK);
    bytes_write_u32(prefix, record_no);
    bool by_number = table != TABLE_REC && table != TABLE_TOKEN;
    table_cursor_init(&cursor, records.txn, table,
                      by_number ? span_of(prefix, sizeof prefix) : span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        bool own = by_number || (table == TABLE_REC && bytes_read_u32(value.data) == record_no) ||
                   (table == TABLE_TOKEN && value.data[0] == 2);
        if (own) {
            table_put(records.txn, table, key, span_of("\x80", 1));
            damaged++;
        }
    }
    table_cursor_end(&cursor);
    ck_assert_uint_gt(damaged, 0);
}

START_TEST(w5_a_damaged_record_is_forgotten_whole_and_its_neighbour_is_not)
{
    struct ident compartment = records_compartment();
    struct ident id = records_id(0);
    static const enum table_id tables[] = { TABLE_REC, TABLE_RECNO, TABLE_CELL,
                                            TABLE_SUM, TABLE_CONF,  TABLE_TOKEN };
    struct buf rows = { 0 };
    struct buf expected = { 0 };
    uint32_t record_no;

    for (size_t pass = 0; pass <= sizeof tables / sizeof tables[0]; pass++) {
        made_count = 0;
        memset(entries, 0, sizeof entries);
        struct model_entry *a = set(15, 1, 1);
        struct model_entry *b = set(15, 2, 1);
        struct model_entry *beside = set(15, 1, 1);
        struct model_entry *conflict = set(15, 3, 1);
        beside->record = 1;
        conflict->record = 1;
        take(a, b);
        take(beside, conflict);
        ck_assert_uint_eq(conflict_count(), 2);
        if (pass > 0) {
            damage(tables[pass - 1]);
        }
        records_begin(&records);
        ck_assert_int_eq(record_forget(records.turn, &compartment, &id), ERR_OK);
        ck_assert_int_eq(records_end(&records), ERR_OK);
        ck_assert_int_eq(record_find(records.txn, &compartment, &id, &record_no), ERR_ABSENT);
        ck_assert_uint_eq(conflict_count(), 1);
        /* What is left is the neighbour, as if there never had been another. */
        buf_clear(&rows);
        records_rows(&records, &rows);
        if (pass == 0) {
            buf_put_span(&expected, buf_span(&rows));
        }
        ck_assert_uint_gt(expected.size, 0);
        ck_assert(span_equal(buf_span(&rows), buf_span(&expected)));
        record_clear_all(records.txn);
    }
    buf_free(&rows);
    buf_free(&expected);
}
END_TEST

START_TEST(a_restricted_record_shows_its_kind_and_its_restriction_and_comes_back_whole)
{
    struct model_entry *first = make(1);
    struct model_entry *other = set(15, 2, 1);
    struct model_entry *restriction = make(2);
    struct model_entry *lifted = make(3);
    struct buf before = { 0 };
    struct buf restricted = { 0 };
    struct buf after = { 0 };
    const struct record_conflict *conflicts;
    size_t count;

    add_op(first, MODEL_SET, 0, 0, FIELD_KIND, 1);
    add_op(first, MODEL_SET, 0, 0, 15, 1);
    add_op(restriction, MODEL_ADD, COLLECTION_RESTRICTION, 1, 0, MODEL_NONE);
    name(add_op(lifted, MODEL_REMOVE, COLLECTION_RESTRICTION, 1, 0, MODEL_NONE), restriction, 0);
    take(first, other);
    records_rows(&records, &before);
    ck_assert_uint_eq(conflict_count(), 1);
    ck_assert_uint_gt(view_of(0).target_count, 1);

    take(restriction, NULL);
    ck_assert_uint_eq(conflict_count(), 0);
    uint32_t record_no = records_no(&records, 0);
    ck_assert_int_eq(record_conflicts_read(records.txn, record_no, &records.arena, &conflicts, &count),
                     ERR_OK);
    ck_assert_uint_eq(count, 0);
    struct record_summary summary = summary_of(0);
    ck_assert(summary.restricted);
    ck_assert_uint_eq(summary.kind, 1);
    ck_assert_uint_eq(summary.item_count, 1);
    ck_assert_uint_eq(summary.conflict_count, 0);
    struct record_view view = view_of(0);
    ck_assert(view.restricted);
    ck_assert_uint_eq(view.kind, 1);
    ck_assert_uint_eq(view.target_count, 2);
    ck_assert_uint_eq(view.element_count, 1);
    ck_assert_uint_eq(view.elements[0].collection, COLLECTION_RESTRICTION);
    /* Its compartment and its kind are all it is found by. */
    ck_assert_uint_eq(table_count(records.txn, TABLE_IDX), 2);
    records_rows(&records, &restricted);
    records_begin(&records);
    ck_assert_int_eq(record_rebuild(records.turn, record_no), ERR_OK);
    ck_assert_int_eq(records_end(&records), ERR_OK);
    records_rows(&records, &after);
    ck_assert(span_equal(buf_span(&after), buf_span(&restricted)));

    take(lifted, NULL);
    ck_assert(!view_of(0).restricted);
    ck_assert(!summary_of(0).restricted);
    ck_assert_uint_eq(conflict_count(), 1);
    ck_assert_uint_eq(table_count(records.txn, TABLE_IDX), 4);
    buf_free(&before);
    buf_free(&restricted);
    buf_free(&after);
}
END_TEST

START_TEST(an_entry_that_does_not_count_is_only_noted)
{
    struct ident compartment = records_compartment();
    struct ident id = records_id(0);
    const struct record_place *places;
    uint32_t record_no;
    size_t count;

    records_begin(&records);
    ck_assert_int_eq(record_note(records.turn, &compartment, &id, 7, 8, &record_no), ERR_OK);
    ck_assert_int_eq(records_end(&records), ERR_OK);
    ck_assert_int_eq(record_history(records.txn, record_no, &records.arena, &places, &count), ERR_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(places[0].log_no, 7);
    ck_assert_uint_eq(places[0].seq, 8);
    ck_assert_uint_eq(table_count(records.txn, TABLE_SUM), 0);
}
END_TEST

START_TEST(a_turn_opens_no_entry_that_it_does_not_need)
{
    struct model_entry *a = make(1);
    struct model_entry *b = make(2);

    add_op(a, MODEL_SET, 0, 0, 10, 1);
    add_op(a, MODEL_SET, 0, 0, 12, 1);
    add_op(a, MODEL_SET, 0, 0, 15, 1);
    name(add_op(b, MODEL_SET, 0, 0, 10, 2), a, 0);
    take(a, NULL);
    take(b, NULL);
    take(set(13, 1, 3), NULL);
    ck_assert_uint_eq(records.opened, 0);
    /* Two values meet: the other one's entry is opened, once. */
    take(set(10, 3, 3), NULL);
    ck_assert_uint_eq(records.opened, 1);
}
END_TEST

START_TEST(a_damaged_row_ends_the_turn_and_says_so)
{
    struct model_entry *a = set(10, 1, 1);

    take(a, NULL);
    uint8_t key[RECORD_KEY_BYTES];
    bytes_write_u32(key, records_no(&records, 0));
    table_put(records.txn, TABLE_SUM, span_of(key, sizeof key), span_text("no summary"));
    records_begin(&records);
    records_merge(&records, set(10, 2, 2));
    ck_assert_int_eq(records_end(&records), ERR_CORRUPT);
    struct record_view view;
    ck_assert_int_eq(record_view_read(records.txn, &records_codebook, &records.source,
                                      records_no(&records, 0), &records.arena, &view),
                     ERR_CORRUPT);
}
END_TEST

START_TEST(a_turn_that_was_dropped_wrote_nothing_of_the_record)
{
    records_begin(&records);
    records_merge(&records, set(10, 1, 1));
    record_turn_drop(records.turn);
    ck_assert_uint_eq(part_count(PART_LIVE), 0);
    take(&entries[0], NULL);
    ck_assert_uint_eq(part_count(PART_LIVE), 1);
}
END_TEST

START_TEST(a_record_has_its_number_for_good)
{
    struct ident compartment = records_compartment();
    struct ident first = records_id(1);
    struct ident second = records_id(2);
    struct ident where;
    struct ident what;
    uint32_t a;
    uint32_t b;

    take(set(10, 1, 1), NULL);
    ck_assert_int_eq(record_intern(records.txn, &compartment, &first, &a), ERR_OK);
    ck_assert_int_eq(record_intern(records.txn, &compartment, &second, &b), ERR_OK);
    ck_assert_uint_ne(a, b);
    ck_assert_int_eq(record_intern(records.txn, &compartment, &first, &b), ERR_OK);
    ck_assert_uint_eq(a, b);
    ck_assert_int_eq(record_name(records.txn, a, &where, &what), ERR_OK);
    ck_assert(ident_equal(&where, &compartment) && ident_equal(&what, &first));
    ck_assert_int_eq(record_name(records.txn, 99, &where, &what), ERR_ABSENT);
    /* The same id in another compartment is another record. */
    ck_assert_int_eq(record_find(records.txn, &first, &first, &b), ERR_ABSENT);
}
END_TEST

SUITE_MAIN_WITH("record", setup, teardown,
                two_who_did_not_see_each_other_make_a_conflict_that_one_save_closes,
                the_history_is_by_log_and_seq, a_name_waits_for_the_value_it_names,
                a_name_counts_on_its_own_record_and_target_only,
                an_edit_that_met_a_removal_keeps_the_element_and_asks,
                an_addition_that_names_what_was_removed_brings_the_element_back_without_a_conflict,
                an_unknown_op_adds_replaces_and_is_shown_as_newer,
                a_value_in_the_wrong_half_is_in_conflict_and_flagged_as_exposure,
                a_policy_changes_what_is_shown_and_not_what_is_live,
                an_entry_that_stops_counting_leaves_nothing_behind_after_a_rebuild_and_may_return,
                a_record_of_which_nothing_counts_is_in_no_list, a_forgotten_record_is_in_no_table,
                w5_a_damaged_record_is_forgotten_whole_and_its_neighbour_is_not,
                a_restricted_record_shows_its_kind_and_its_restriction_and_comes_back_whole,
                an_entry_that_does_not_count_is_only_noted, a_turn_opens_no_entry_that_it_does_not_need,
                a_damaged_row_ends_the_turn_and_says_so, a_turn_that_was_dropped_wrote_nothing_of_the_record,
                a_record_has_its_number_for_good)
