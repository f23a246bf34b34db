/* What is derived, table by table, against the same made anew from the journal: after ten thousand ops of two devices
 * that edit one another's records, and after the process that wrote them was killed. */
#include "store/base/cbor.h"
#include "store/base/log.h"
#include "tests/support/chance.h"
#include "tests/support/check.h"
#include "tests/support/organisation.h"
#include "tests/support/silent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RECORDS = 40,
    OPS_MIN = 10000,
    OPS_A_SAVE = 12,
    SAVES_A_TURN = 20,
    TURNS_APART = 8, /* until the two exchange */
    ELEMENTS = 3,    /* of each collection of a record */
};

static const struct {
    const char *name;
    enum table_id table;
} derived[] = {
    { "rec", TABLE_REC },   { "recno", TABLE_RECNO }, { "cell", TABLE_CELL },   { "sum", TABLE_SUM },
    { "conf", TABLE_CONF }, { "idx", TABLE_IDX },     { "token", TABLE_TOKEN }, { "pend", TABLE_PEND },
};
enum { DERIVED_COUNT = sizeof derived / sizeof derived[0] };

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct ident cases;
static struct ident records[RECORDS];
static uint32_t kinds[RECORDS];
static size_t op_count;
static size_t conflict_count;
static struct chance chance;

/* A number from 0 to n - 1: the same in every run. */
static uint32_t
draw(size_t n)
{
    return (uint32_t)chance_below(&chance, n);
}

/* --- what people save ---------------------------------------------------------- */

struct edit {
    struct save_op ops[OPS_A_SAVE];
    struct buf values[OPS_A_SAVE];
    size_t count;
};

/* A value of the field, out of a few. False: none of this type is written here. */
static bool
draw_value(const struct codebook_field *field, struct buf *out)
{
    static const char *const countries[] = { "KEN", "COL", "LBN", "CHE" };
    static const char *const dates[] = { "2024-03", "2024-11-02", "2019-03~", "2023", "2025-01/2025-02" };
    const struct codebook_vocabulary *vocabulary;
    char text[24];

    switch (field->type) {
    case TYPE_TEXT:
    case TYPE_LONG_TEXT:
        (void)snprintf(text, sizeof text, "text %u", draw(1000));
        cbor_put_text(out, span_text(text));
        return true;
    case TYPE_CODE:
        vocabulary = codebook_vocabulary(codebook_reprisals(), field->vocabulary);
        cbor_put_uint(out, vocabulary->values[draw(vocabulary->value_count)].number);
        return true;
    case TYPE_BOOL:
        cbor_put_bool(out, draw(2) == 0);
        return true;
    case TYPE_INTEGER:
        cbor_put_uint(out, draw(50));
        return true;
    case TYPE_DATE:
        cbor_put_text(out, span_text(dates[draw(5)]));
        return true;
    case TYPE_COUNTRY:
        cbor_put_text(out, span_text(countries[draw(4)]));
        return true;
    default:
        return false;
    }
}

static const struct codebook_field *
draw_field(uint32_t kind)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_field *field;

    do {
        field = &codebook->fields[draw(codebook->field_count)];
        /* A restricted record takes no other change. */
    } while ((field->kinds >> kind & 1) == 0 || field->number == FIELD_KIND ||
             field->collection == COLLECTION_RESTRICTION);
    return field;
}

static void
add_op(struct edit *edit, uint32_t kind)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_field *field = draw_field(kind);
    const struct codebook_collection *collection = codebook_collection(codebook, field->collection);
    struct save_op *op = &edit->ops[edit->count];
    struct buf *value = &edit->values[edit->count];

    *op = (struct save_op){ .code = OP_SET, .target = { .collection = field->collection } };
    bool keyed = collection != NULL && (collection->flags & (COLLECTION_SET | COLLECTION_KEYED)) != 0;
    bool append = collection != NULL && (collection->flags & COLLECTION_APPEND_ONLY) != 0;
    if (!draw_value(field, value)) {
        buf_clear(value);
        return;
    }
    if (collection != NULL) {
        op->target.element[0] = (uint8_t)(1 + draw(append ? 250 : ELEMENTS));
        if (keyed) {
            codebook_element(buf_span(value), op->target.element);
        }
    }
    if (collection != NULL && !append && draw(6) == 0) {
        op->code = draw(2) == 0 ? OP_ADD : OP_REMOVE;
        buf_clear(value);
    } else {
        op->target.field = field->number;
        op->value = buf_span(value);
        op->resolve = draw(3) > 0;
    }
    for (size_t n = 0; n < edit->count; n++) {
        const struct target *other = &edit->ops[n].target;
        /* One target once a save, and nothing of an element that the same save adds or removes. */
        if (other->collection == op->target.collection &&
            memcmp(other->element, op->target.element, sizeof other->element) == 0 &&
            (other->field == op->target.field || other->field == 0 || op->target.field == 0)) {
            buf_clear(value);
            return;
        }
    }
    edit->count++;
}

static void
save_some(struct test_node *node, uint32_t record)
{
    struct edit edit = { .count = 0 };
    struct saved saved;
    size_t at;

    for (size_t wanted = 1 + draw(OPS_A_SAVE); wanted > 0; wanted--) {
        add_op(&edit, kinds[record]);
    }
    struct save save = { .compartment = cases,
                         .record_id = records[record],
                         .actor = 1,
                         .urgent = draw(10) == 0,
                         .ops = edit.ops,
                         .op_count = edit.count };
    enum err err = edit.count == 0 ? ERR_ABSENT : replica_save(node->replica, &save, &saved, &at);
    if (err == ERR_OK) {
        op_count += edit.count;
    } else {
        /* Nobody overwrites a conflict that they have not seen, nor removes what is not there. */
        conflict_count += err == ERR_CONFLICT ? 1 : 0;
        ck_assert_msg(err == ERR_CONFLICT || err == ERR_ABSENT || err == ERR_INVALID, "%s", err_text(err));
    }
    for (size_t n = 0; n < OPS_A_SAVE; n++) {
        buf_free(&edit.values[n]);
    }
}

static void
turn(struct test_node *node)
{
    ck_assert_int_eq(replica_begin(node->replica), ERR_OK);
    for (size_t n = 0; n < SAVES_A_TURN; n++) {
        save_some(node, draw(RECORDS));
    }
    ck_assert_int_eq(replica_commit(node->replica), ERR_OK);
}

static void
make_records(void)
{
    static const char *const names[] = { "case", "person", "source" };

    ck_assert_int_eq(replica_begin(ken->replica), ERR_OK);
    for (size_t n = 0; n < RECORDS; n++) {
        struct buf value = { 0 };
        struct saved saved;
        size_t at;

        kinds[n] = codebook_kind_by_name(codebook_reprisals(), names[n % 3])->number;
        cbor_put_uint(&value, kinds[n]);
        struct save_op op = { .code = OP_SET, .target = { .field = FIELD_KIND }, .value = buf_span(&value) };
        struct save save = { .compartment = cases, .create = true, .actor = 1, .ops = &op, .op_count = 1 };
        ck_assert_int_eq(replica_save(ken->replica, &save, &saved, &at), ERR_OK);
        records[n] = saved.record_id;
        buf_free(&value);
    }
    ck_assert_int_eq(replica_commit(ken->replica), ERR_OK);
}

/* Two devices that hold the same records, and edit them apart. */
static void
set_up(void)
{
    log_to(silent, NULL);
    chance.state = 7;
    op_count = 0;
    conflict_count = 0;
    test_organisation_two(&org, 21, &ken, &hq);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    make_records();
    test_node_exchange(ken, hq);
}

static void
tear_down(void)
{
    test_organisation_free(&org);
}

/* --- what is compared ------------------------------------------------------------ */

/* The rows of one table as they are when opened. */
static void
table_rows(struct table_txn *txn, enum table_id table, struct buf *out)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, txn, table, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        ck_assert_ptr_nonnull(value.data);
        buf_put_u32(out, (uint32_t)key.size);
        buf_put_span(out, key);
        buf_put_u32(out, (uint32_t)value.size);
        buf_put_span(out, value);
    }
    table_cursor_end(&cursor);
    ck_assert(!out->failed);
}

static void
all_rows(struct test_node *node, struct buf rows[DERIVED_COUNT])
{
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    for (size_t n = 0; n < DERIVED_COUNT; n++) {
        buf_clear(&rows[n]);
        table_rows(txn, derived[n].table, &rows[n]);
    }
    replica_end_read(node->replica, &txn);
}

static void
expect_equal(const struct buf before[DERIVED_COUNT], const struct buf after[DERIVED_COUNT])
{
    for (size_t n = 0; n < DERIVED_COUNT; n++) {
        ck_assert_msg(span_equal(buf_span(&before[n]), buf_span(&after[n])),
                      "the rows of %s are others after a rebuild: %zu bytes before, %zu after",
                      derived[n].name, before[n].size, after[n].size);
    }
}

static void
free_rows(struct buf rows[DERIVED_COUNT])
{
    for (size_t n = 0; n < DERIVED_COUNT; n++) {
        buf_free(&rows[n]);
    }
}

/* --- tests --------------------------------------------------------------------------- */

START_TEST(every_table_is_the_same_after_a_rebuild_of_ten_thousand_ops)
{
    struct buf before[DERIVED_COUNT] = { { 0 } };
    struct buf after[DERIVED_COUNT] = { { 0 } };

    while (op_count < OPS_MIN) {
        for (size_t n = 0; n < TURNS_APART; n++) {
            turn(ken);
            turn(hq);
        }
        test_node_exchange(ken, hq);
    }
    ck_assert_uint_gt(conflict_count, 20);
    all_rows(ken, before);
    for (size_t n = 0; n < DERIVED_COUNT; n++) {
        ck_assert_msg(before[n].size > 0 || derived[n].table == TABLE_PEND, "%s is empty", derived[n].name);
    }
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    all_rows(ken, after);
    expect_equal(before, after);
    free_rows(before);
    free_rows(after);
}
END_TEST

/* In a process of its own: save turn after turn, and say so each time. */
static _Noreturn void
save_until_killed(int told)
{
    test_node_open(ken);
    for (;;) {
        turn(ken);
        if (write(told, "s", 1) != 1) {
            _exit(1);
        }
    }
}

static void
tell_progress(void *self, uint64_t done, uint64_t all)
{
    (void)done;
    (void)all;
    if (write(*(const int *)self, "r", 1) != 1) {
        _exit(1);
    }
}

/* In a process of its own: rebuild again and again. */
static _Noreturn void
rebuild_until_killed(int told)
{
    test_node_open(ken);
    for (;;) {
        if (replica_rebuild(ken->replica, tell_progress, &told) != ERR_OK) {
            _exit(1);
        }
    }
}

/* Let a child do its work on ken's folder, and kill it once it has told of `count` steps. Ken is closed before and
 * open after. */
static void
kill_after(size_t count, void (*work)(int told))
{
    int told[2];
    char byte;
    int status;

    ck_assert_int_eq(pipe(told), 0);
    test_node_close(ken);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)close(told[0]);
        work(told[1]);
    }
    (void)close(told[1]);
    for (size_t n = 0; n < count; n++) {
        ck_assert_msg(read(told[0], &byte, 1) == 1, "the child ended after %zu of %zu steps", n, count);
    }
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    (void)close(told[0]);
    test_node_open(ken);
}

START_TEST(every_table_is_the_same_after_a_rebuild_that_follows_a_kill)
{
    static const size_t turns[] = { 1, 7, 20 };
    struct buf before[DERIVED_COUNT] = { { 0 } };
    struct buf after[DERIVED_COUNT] = { { 0 } };

    for (size_t n = 0; n < sizeof turns / sizeof turns[0]; n++) {
        uint64_t entries = journal_place_last(replica_journal(ken->replica));

        chance.state += n;
        kill_after(turns[n], save_until_killed);
        ck_assert_uint_gt(journal_place_last(replica_journal(ken->replica)), entries);
        all_rows(ken, before);
        ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
        all_rows(ken, after);
        expect_equal(before, after);
    }
    free_rows(before);
    free_rows(after);
}
END_TEST

/* What was cut off goes on where it was, and ends in the same rows. */
START_TEST(every_table_is_the_same_when_a_rebuild_is_killed)
{
    struct buf before[DERIVED_COUNT] = { { 0 } };
    struct buf after[DERIVED_COUNT] = { { 0 } };

    /* More entries than one turn of a rebuild takes up. */
    while (journal_place_last(replica_journal(ken->replica)) < 9000) {
        turn(ken);
    }
    all_rows(ken, before);
    kill_after(1, rebuild_until_killed);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    ck_assert(!replica_is_rebuilding(ken->replica));
    all_rows(ken, after);
    expect_equal(before, after);
    free_rows(before);
    free_rows(after);
}
END_TEST

SUITE_MAIN_WITH("rebuild", set_up, tear_down, every_table_is_the_same_after_a_rebuild_of_ten_thousand_ops,
                every_table_is_the_same_after_a_rebuild_that_follows_a_kill,
                every_table_is_the_same_when_a_rebuild_is_killed)
