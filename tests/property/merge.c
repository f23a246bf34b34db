/* The merge of store/record.c over real tables against tests/support/model.c, which computes views by definition. */
#include "tests/support/chance.h"
#include "tests/support/check.h"
#include "tests/support/model.h"
#include "tests/support/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WRITERS = 9,
    RECORDS = 40,
    OPS_MIN = 10000,
    ENTRIES_MAX = 6000,
};

/* A number from 0 to n - 1: the same in every run. */
static struct chance chance;

static uint32_t
draw(uint32_t n)
{
    return (uint32_t)chance_below(&chance, n);
}

static void
draw_bytes(uint8_t *out, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        out[n] = (uint8_t)draw(256);
    }
}

/* --- a world of random entries ------------------------------------------------ */

struct writer {
    uint8_t device_id[32];
    uint8_t log_id[32];
    uint64_t next_seq;
    uint32_t branch;
    uint64_t clock;
    const struct model_entry *seen[RECORDS][ENTRIES_MAX / RECORDS * 4]; /* by record */
    size_t seen_count[RECORDS];
};

static struct model_entry *made;
static const struct model_entry *all[ENTRIES_MAX];
static size_t made_count;
static size_t op_count;
static size_t fork_count;
static size_t collision_count;
static struct writer *writers;

static void
see(struct writer *writer, const struct model_entry *entry)
{
    size_t *count = &writer->seen_count[entry->record];

    for (size_t n = 0; n < *count; n++) {
        if (writer->seen[entry->record][n] == entry) {
            return;
        }
    }
    ck_assert_uint_lt(*count, sizeof writer->seen[0] / sizeof writer->seen[0][0]);
    writer->seen[entry->record][(*count)++] = entry;
}

/* Two writers meet over one record: the first sees what the other has. */
static void
meet(struct writer *writer, const struct writer *other, uint32_t record)
{
    for (size_t n = 0; n < other->seen_count[record]; n++) {
        see(writer, other->seen[record][n]);
    }
}

/* A name of something that was never there, or is somewhere else. */
static void
draw_name(struct model_name *name)
{
    if (made_count == 0 || draw(3) == 0) {
        draw_bytes(name->log, sizeof name->log);
        name->seq = draw(100);
        name->op = draw(4);
        draw_bytes(name->tag, sizeof name->tag);
        return;
    }
    const struct model_entry *entry = all[draw((uint32_t)made_count)];
    memcpy(name->log, entry->log_id, sizeof name->log);
    name->seq = entry->seq;
    name->op = draw((uint32_t)entry->op_count);
    memcpy(name->tag, entry->entry_id, sizeof name->tag);
}

static void
draw_target(struct model_op *op)
{
    static const uint32_t own[] = { 1, 10, 10, 11, 12, 13, 14, 15, 15, RECORDS_FIELD_UNKNOWN };

    if (draw(5) < 2) {
        op->field = own[draw(sizeof own / sizeof own[0])];
        return;
    }
    op->collection = draw(12) == 0 ? RECORDS_COLLECTION_UNKNOWN : RECORDS_COLLECTION;
    op->element = 1 + draw(3);
    op->field = draw(3) == 0 ? 0 : 20 + draw(6);
}

static void
draw_op(const struct writer *writer, uint32_t record, struct model_op *op)
{
    struct model_op whole;

    *op = (struct model_op){ .value = MODEL_NONE };
    draw_target(op);
    bool element = op->collection != 0 && op->field == 0;
    op->code = element ? (draw(2) == 0 ? MODEL_ADD : MODEL_REMOVE) : MODEL_SET;
    if (draw(25) == 0) {
        op->code = MODEL_UNKNOWN;
    }
    if (op->code == MODEL_SET || (op->code == MODEL_UNKNOWN && draw(3) > 0)) {
        op->value = draw(20) == 0 ? MODEL_NULL : (int)draw(6) - (draw(10) == 0 ? 4 : 0);
    }
    whole = *op;
    whole.field = op->code == MODEL_REMOVE ? (uint32_t)MODEL_ANY : op->field;
    if (draw(8) > 0) {
        struct model none = { 0 };
        op->name_count =
            model_names(&none, writer->seen[record], writer->seen_count[record], &whole, record, op->names);
        /* Some saves name only part of what they saw. */
        if (op->name_count > 1 && draw(4) == 0) {
            op->name_count = 1 + draw((uint32_t)op->name_count - 1);
        }
    }
    while (op->name_count < MODEL_NAMES_MAX && draw(12) == 0) {
        draw_name(&op->names[op->name_count++]);
    }
}

/* The writer's log forks: the next entry has a seq that is already taken, and sometimes a dot too. */
static void
fork_log(struct writer *writer, struct model_entry *entry)
{
    uint64_t back = 1 + draw(writer->next_seq < 3 ? 1 : 3);

    writer->next_seq -= back;
    writer->branch = (uint32_t)made_count + WRITERS + 1;
    entry->seq = writer->next_seq;
    fork_count++;
    bool collide = draw(2) == 0;
    for (size_t n = 0; collide && n < made_count; n++) {
        if (made[n].seq == entry->seq && memcmp(made[n].log_id, writer->log_id, 32) == 0) {
            memcpy(entry->entry_id, made[n].entry_id, 4);
            collision_count++;
            break;
        }
    }
}

static void
make_entry(void)
{
    struct writer *writer = &writers[draw(WRITERS)];
    struct model_entry *entry = &made[made_count];

    *entry = (struct model_entry){ .seq = writer->next_seq, .record = draw(RECORDS) };
    draw_bytes(entry->entry_id, 32);
    if (writer->next_seq > 0 && draw(20) == 0) {
        fork_log(writer, entry);
    }
    while (draw(3) > 0) {
        meet(writer, &writers[draw(WRITERS)], entry->record);
    }
    entry->branch = writer->branch;
    memcpy(entry->log_id, writer->log_id, 32);
    memcpy(entry->device_id, writer->device_id, 32);
    writer->clock += draw(3);
    entry->hlc = writer->clock;
    entry->op_count = 1 + draw(5);
    for (size_t n = 0; n < entry->op_count; n++) {
        draw_op(writer, entry->record, &entry->ops[n]);
    }
    writer->next_seq++;
    all[made_count++] = entry;
    op_count += entry->op_count;
    see(writer, entry);
}

static void
make_world(uint64_t seed)
{
    chance.state = seed;
    made = calloc(ENTRIES_MAX, sizeof *made);
    writers = calloc(WRITERS, sizeof *writers);
    ck_assert(made != NULL && writers != NULL);
    made_count = 0;
    op_count = 0;
    for (uint32_t n = 0; n < WRITERS; n++) {
        draw_bytes(writers[n].device_id, 32);
        draw_bytes(writers[n].log_id, 32);
        writers[n].branch = n + 1;
        writers[n].clock = 100 + (n == 0 ? 100000 : 0); /* one clock is far ahead */
    }
    while (op_count < OPS_MIN) {
        ck_assert_uint_lt(made_count, ENTRIES_MAX);
        make_entry();
    }
    ck_assert_uint_gt(fork_count, 50);
    ck_assert_uint_gt(collision_count, 10);
}

static void
free_world(void)
{
    free(made);
    free(writers);
}

/* Merge all entries in a random order, some twice, in turns of random size, some of them committed. */
static void
merge_shuffled(struct records *records)
{
    const struct model_entry **order = calloc(made_count * 2, sizeof *order);
    size_t count = made_count;

    EXPECT(order != NULL);
    memcpy(order, all, made_count * sizeof *order);
    while (count < made_count + made_count / 8) {
        order[count++] = all[draw((uint32_t)made_count)];
    }
    for (size_t n = count; n > 1; n--) {
        size_t other = draw((uint32_t)n);
        const struct model_entry *entry = order[n - 1];
        order[n - 1] = order[other];
        order[other] = entry;
    }
    for (size_t next = 0; next < count;) {
        size_t turn = 1 + draw(draw(4) == 0 ? 400 : 6);
        records_begin(records);
        for (; turn > 0 && next < count; turn--) {
            records_merge(records, order[next++]);
        }
        EXPECT(records_end(records) == ERR_OK);
        if (draw(8) == 0) {
            records_commit(records);
        }
    }
    free(order);
    if (records->txn != NULL) {
        records_commit(records);
    }
}

/* Number every record, so that two environments number them alike. */
static void
number_records(struct records *records)
{
    struct ident compartment = records_compartment();

    records_begin(records);
    for (uint32_t n = 0; n < RECORDS; n++) {
        struct ident id = records_id(n);
        uint32_t record_no;
        EXPECT(record_intern(records->txn, &compartment, &id, &record_no) == ERR_OK);
    }
    EXPECT(records_end(records) == ERR_OK);
    records_commit(records);
}

/* Check's own message of two long texts would be longer than it can carry. */
static void
expect_texts_equal(const struct model_text *got, const struct model_text *wanted)
{
    size_t at = 0;
    size_t line = 0;

    while (at < got->size && at < wanted->size && got->text[at] == wanted->text[at]) {
        at++;
        line = got->text[at - 1] == '\n' ? at : line;
    }
    ck_assert_msg(at == got->size && at == wanted->size,
                  "the store says: %.300s\nthe definition says: %.300s",
                  at < got->size ? got->text + line : "nothing more",
                  at < wanted->size ? wanted->text + line : "nothing more");
}

static void
expect_rows_equal(const struct buf *a, const struct buf *b)
{
    EXPECT(a->size == b->size);
    EXPECT(span_equal(buf_span(a), buf_span(b)));
}

START_TEST(u2_any_order_repetition_and_partition_of_ten_thousand_ops_gives_the_views_of_the_definition)
{
    struct model model = { 0 };
    struct model_text wanted[RECORDS] = { 0 };
    struct buf rows[2] = { { 0 }, { 0 } };
    struct records records;

    make_world(20);
    for (size_t n = 0; n < made_count; n++) {
        model_add(&model, all[n]);
    }
    for (uint32_t record = 0; record < RECORDS; record++) {
        model_view(&model, record, &wanted[record]);
        ck_assert_uint_gt(wanted[record].size, 100);
    }
    for (size_t trial = 0; trial < 4; trial++) {
        records_open(&records, all, made_count);
        number_records(&records);
        merge_shuffled(&records);
        records_read(&records);
        for (uint32_t record = 0; record < RECORDS; record++) {
            struct model_text got = { 0 };
            records_view(&records, record, &got);
            expect_texts_equal(&got, &wanted[record]);
            free(got.text);
        }
        /* Not only the views: every row is the same, whatever the order. */
        buf_clear(&rows[trial > 0]);
        records_rows(&records, &rows[trial > 0]);
        if (trial > 0) {
            expect_rows_equal(&rows[0], &rows[1]);
        }
        records_done(&records);
        records_close(&records);
    }
    for (uint32_t record = 0; record < RECORDS; record++) {
        free(wanted[record].text);
    }
    buf_free(&rows[0]);
    buf_free(&rows[1]);
    model_free(&model);
    free_world();
}
END_TEST

START_TEST(a_rebuild_gives_every_row_that_merging_gave)
{
    struct buf before = { 0 };
    struct buf after = { 0 };
    struct records records;

    make_world(21);
    records_open(&records, all, made_count);
    number_records(&records);
    merge_shuffled(&records);
    records_read(&records);
    records_rows(&records, &before);
    records_done(&records);

    records_begin(&records);
    for (uint32_t record = 0; record < RECORDS; record++) {
        ck_assert_int_eq(record_rebuild(records.turn, records_no(&records, record)), ERR_OK);
    }
    ck_assert_int_eq(records_end(&records), ERR_OK);
    records_rows(&records, &after);
    records_commit(&records);
    expect_rows_equal(&before, &after);

    /* And from nothing at all. */
    ck_assert_int_eq(table_begin_write(records.env, &records.txn), ERR_OK);
    record_clear_all(records.txn);
    records_commit(&records);
    number_records(&records);
    merge_shuffled(&records);
    records_read(&records);
    buf_clear(&after);
    records_rows(&records, &after);
    records_done(&records);
    expect_rows_equal(&before, &after);
    records_close(&records);
    buf_free(&before);
    buf_free(&after);
    free_world();
}
END_TEST

/* --- small worlds, all of them ------------------------------------------------ */

enum { REPLICAS = 3, UPDATES_MAX = 6 };

/* What one update does; each on the same record. */
enum shape { SET_A, SET_B, ADD, EDIT, REMOVE, UNKNOWN, SHAPE_COUNT };

/* Has the author seen what the others did, or only its own updates? */
enum sight { OWN, EVERYTHING, SIGHT_COUNT };

static struct model_entry small[UPDATES_MAX];
static const struct model_entry *small_all[UPDATES_MAX];

static void
make_small(size_t n, enum shape shape, enum sight sight)
{
    const struct model_entry *seen[UPDATES_MAX];
    struct model_entry *entry = &small[n];
    struct model_op *op = &entry->ops[0];
    size_t seen_count = 0;
    uint32_t writer = (uint32_t)n % REPLICAS;

    *entry =
        (struct model_entry){ .branch = writer + 1, .seq = n / REPLICAS, .hlc = 7 - n % 4, .op_count = 1 };
    memset(entry->log_id, 'a' + (int)writer, 32);
    memset(entry->device_id, 'x' - (int)writer, 32);
    memset(entry->entry_id, '0' + (int)n, 32);
    for (size_t m = 0; m < n; m++) {
        if (sight == EVERYTHING || m % REPLICAS == writer) {
            seen[seen_count++] = &small[m];
        }
    }
    op->value = MODEL_NONE;
    switch (shape) {
    case SET_A:
    case SET_B:
        op->code = MODEL_SET;
        op->field = 15;
        op->value = shape == SET_A ? 1 : 2;
        break;
    case UNKNOWN:
        op->code = MODEL_UNKNOWN;
        op->field = 15;
        op->value = n % 2 == 0 ? 3 : MODEL_NONE;
        break;
    case ADD:
    case EDIT:
    case REMOVE:
    case SHAPE_COUNT:
        op->code = shape == ADD ? MODEL_ADD : shape == EDIT ? MODEL_SET : MODEL_REMOVE;
        op->collection = RECORDS_COLLECTION;
        op->element = 1;
        op->field = shape == EDIT ? 25 : 0;
        op->value = shape == EDIT ? (int)(1 + n % 3) : MODEL_NONE;
        break;
    }
    struct model none = { 0 };
    struct model_op target = *op;
    target.field = shape == REMOVE ? (uint32_t)MODEL_ANY : op->field;
    /* seen may not be NULL: an author who saw nothing names nothing. */
    op->name_count = model_names(&none, seen, seen_count, &target, 0, op->names);
    small_all[n] = entry;
}

/* The rows after the updates of `first` in one turn and then, in a turn of its own, number `last` (-1: none). */
static void
small_rows(struct records *records, unsigned first, int last, size_t count, struct buf *out)
{
    records_begin(records);
    for (size_t n = 0; n < count; n++) {
        if ((first >> n & 1) != 0) {
            records_merge(records, small_all[n]);
        }
    }
    EXPECT(records_end(records) == ERR_OK);
    if (last >= 0) {
        records_begin(records);
        records_merge(records, small_all[last]);
        EXPECT(records_end(records) == ERR_OK);
    }
    buf_clear(out);
    records_rows(records, out);
}

/* Every set of updates, merged in one turn, gives the definition's view; and every update merged on top of
 * every set gives the rows of the set with it. So every order gives the same. `again`: an update that the set
 * has already, too. */
static void
check_small_world(struct records *records, size_t count, bool again, struct buf *rows)
{
    struct buf got = { 0 };

    for (unsigned set = 0; set < 1U << count; set++) {
        struct model model = { 0 };
        struct model_text wanted = { 0 };
        struct model_text view = { 0 };
        for (size_t n = 0; n < count; n++) {
            if ((set >> n & 1) != 0) {
                model_add(&model, small_all[n]);
            }
        }
        small_rows(records, set, -1, count, &rows[set]);
        model_view(&model, 0, &wanted);
        if (set != 0) {
            records_view(records, 0, &view);
        }
        expect_texts_equal(&view, &wanted);
        records_done(records);
        free(wanted.text);
        free(view.text);
        model_free(&model);
    }
    for (unsigned set = 1; set < 1U << count; set++) {
        for (int last = 0; last < (int)count; last++) {
            unsigned with = set | 1U << last;
            if (with == set && !again) {
                continue;
            }
            small_rows(records, set, last, count, &got);
            expect_rows_equal(&got, &rows[with]);
            records_done(records);
        }
    }
    buf_free(&got);
}

/* What the updates of a world may be. */
struct shapes {
    enum shape shapes[SHAPE_COUNT];
    size_t count;
};

static const struct shapes of_any_kind = { { SET_A, SET_B, ADD, EDIT, REMOVE, UNKNOWN }, 6 };
static const struct shapes of_values = { { SET_A, SET_B }, 2 };
static const struct shapes of_edits = { { EDIT, REMOVE }, 2 };
static const struct shapes of_a_register = { { SET_A, SET_B, UNKNOWN }, 3 };
static const struct shapes of_an_element = { { ADD, EDIT, REMOVE }, 3 };

/* All worlds of so many updates, each of any of these shapes and of either sight. */
static void
check_small_worlds(size_t count, const struct shapes *shapes)
{
    struct buf rows[1 << UPDATES_MAX] = { { 0 } };
    struct records records;
    size_t choices = 1;
    size_t kinds = shapes->count * SIGHT_COUNT;

    records_open(&records, small_all, count);
    for (size_t n = 0; n < count; n++) {
        choices *= kinds;
    }
    for (size_t choice = 0; choice < choices; choice++) {
        size_t left = choice;
        for (size_t n = 0; n < count; n++) {
            size_t kind = left % kinds;
            left /= kinds;
            make_small(n, shapes->shapes[kind / SIGHT_COUNT], (enum sight)(kind % SIGHT_COUNT));
        }
        check_small_world(&records, count, count <= REPLICAS, rows);
    }
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        buf_free(&rows[n]);
    }
    records_close(&records);
}

START_TEST(any_three_updates_of_three_replicas_come_to_the_same_in_every_order)
{
    check_small_worlds(3, &of_any_kind);
}
END_TEST

START_TEST(any_four_updates_of_three_replicas_come_to_the_same_in_every_order)
{
    check_small_worlds(4, &of_any_kind);
}
END_TEST

START_TEST(five_sets_of_a_register_come_to_the_same_in_every_order)
{
    check_small_worlds(5, &of_values);
}
END_TEST

START_TEST(five_edits_and_removals_of_an_element_come_to_the_same_in_every_order)
{
    check_small_worlds(5, &of_edits);
}
END_TEST

/* Those below are a quarter of a million worlds, and fifty thousand each. Updates of a register and of an element touch no
 * common target, so a world of six of both kinds is two smaller ones side by side. */
START_TEST(any_five_updates_of_three_replicas_come_to_the_same_in_every_order)
{
    check_small_worlds(5, &of_any_kind);
}
END_TEST

START_TEST(any_six_updates_of_a_register_come_to_the_same_in_every_order)
{
    check_small_worlds(6, &of_a_register);
}
END_TEST

START_TEST(any_six_updates_of_an_element_come_to_the_same_in_every_order)
{
    check_small_worlds(6, &of_an_element);
}
END_TEST

/* usage: property-merge [--larger]     with it, the worlds that take minutes, and nothing else */
int
main(int argc, char **argv)
{
    const TTest *const tests[] = {
        u2_any_order_repetition_and_partition_of_ten_thousand_ops_gives_the_views_of_the_definition,
        a_rebuild_gives_every_row_that_merging_gave,
        any_three_updates_of_three_replicas_come_to_the_same_in_every_order,
        any_four_updates_of_three_replicas_come_to_the_same_in_every_order,
        five_sets_of_a_register_come_to_the_same_in_every_order,
        five_edits_and_removals_of_an_element_come_to_the_same_in_every_order,
    };
    const TTest *const larger[] = {
        any_five_updates_of_three_replicas_come_to_the_same_in_every_order,
        any_six_updates_of_a_register_come_to_the_same_in_every_order,
        any_six_updates_of_an_element_come_to_the_same_in_every_order,
    };

    if (argc == 2 && strcmp(argv[1], "--larger") == 0) {
        return check_suite("merge, larger worlds", NULL, NULL, larger, sizeof larger / sizeof larger[0]);
    }
    return check_suite("merge", NULL, NULL, tests, sizeof tests / sizeof tests[0]);
}
