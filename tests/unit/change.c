#include "tests/support/check.h"

#include "store/base/cbor.h"
#include "store/change.h"

#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct buf payload;
static struct hash own_log;
static struct hash other_log;
static bool journal_fails;

/* Entry n of the own log has an id of bytes n. */
static bool
tag_of(void *self, uint64_t seq, uint8_t tag_out[4])
{
    (void)self;
    memset(tag_out, (int)seq, 4);
    return !journal_fails;
}

static struct change_log log_at_20;

static void
setup(void)
{
    memset(own_log.bytes, 0xaa, sizeof own_log.bytes);
    memset(other_log.bytes, 0xbb, sizeof other_log.bytes);
    log_at_20 = (struct change_log){ .log_id = own_log, .seq = 20, .tag_of = tag_of };
    journal_fails = false;
}

static void
teardown(void)
{
    buf_free(&payload);
    arena_free(&arena);
}

static struct dot
dot_of(const struct hash *log_id, uint64_t seq, size_t op, uint8_t tag)
{
    struct hash entry_id;
    struct dot dot;

    memset(entry_id.bytes, tag, sizeof entry_id.bytes);
    dot_make(&dot, log_id, seq, op, &entry_id);
    return dot;
}

static enum change_verdict
decode(struct change *change)
{
    return change_decode(buf_span(&payload), &log_at_20, &arena, change);
}

/* The verdict on a payload written in hex. */
static enum change_verdict
decode_hex(const char *hex)
{
    uint8_t bytes[256];
    struct change change;
    size_t size = strlen(hex) / 2;

    ck_assert(bytes_from_hex(bytes, size, hex));
    buf_clear(&payload);
    buf_put(&payload, bytes, size);
    return decode(&change);
}

static void
expect_payload(const char *hex)
{
    char text[600];

    ck_assert_uint_lt(payload.size, 300);
    bytes_hex(text, buf_span(&payload));
    ck_assert_str_eq(text, hex);
}

/* {0: 256, 1: 5, 3: [op], 4: 1}, with the op and whatever stands in front of the actor. */
#define WITH_OPS(ops)                                                                                        \
    "a4001901000105"                                                                                         \
    "03" ops "0401"

START_TEST(a_change_comes_back_as_it_was)
{
    struct dot preds[] = { dot_of(&other_log, 3, 1, 7), dot_of(&own_log, 19, 2, 19),
                           dot_of(&own_log, 4, 0, 4) };
    uint8_t text[] = { 0x62, 'h', 'i' };
    struct op ops[] = {
        { .code = OP_SET, .target = { .field = 101 }, .value = { text, 3 }, .preds = preds, .pred_count = 3 },
        { .code = OP_ADD, .target = { .collection = 40, .element = "element" } },
        { .code = OP_SET,
          .target = { .collection = 40, .element = "element", .field = 401 },
          .value = { text, 3 } },
        { .code = OP_REMOVE,
          .target = { .collection = 40, .element = "others" },
          .preds = preds,
          .pred_count = 1 },
        { .code = 77, .target = { .collection = 9999, .element = "unknown" }, .value = { text, 3 } },
    };
    struct change change = { .schema = 257,
                             .hlc = UINT64_C(1) << 60,
                             .has_tx = true,
                             .tx = "a transaction",
                             .actor = 12,
                             .ops = ops,
                             .op_count = 5 };
    struct change back;

    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_OK);
    ck_assert(cbor_valid(buf_span(&payload)));
    ck_assert_int_eq(decode(&back), CHANGE_OK);
    ck_assert_uint_eq(back.schema, 257);
    ck_assert_uint_eq(back.hlc, change.hlc);
    ck_assert(back.has_tx);
    ck_assert_mem_eq(back.tx, change.tx, sizeof back.tx);
    ck_assert_uint_eq(back.actor, 12);
    ck_assert_uint_eq(back.op_count, 5);
    for (size_t n = 0; n < 5; n++) {
        ck_assert_uint_eq(back.ops[n].code, ops[n].code);
        ck_assert_int_eq(target_compare(&back.ops[n].target, &ops[n].target), 0);
        ck_assert(span_equal(back.ops[n].value, ops[n].value));
        ck_assert_int_eq(back.ops[n].value.data == NULL, ops[n].value.data == NULL);
        ck_assert_uint_eq(back.ops[n].pred_count, ops[n].pred_count);
    }
    /* Preds are sorted by their encoding: short ones first, the nearest first. */
    ck_assert_int_eq(dot_compare(&back.ops[0].preds[0], &preds[1]), 0);
    ck_assert_int_eq(dot_compare(&back.ops[0].preds[1], &preds[2]), 0);
    ck_assert_int_eq(dot_compare(&back.ops[0].preds[2], &preds[0]), 0);
}
END_TEST

START_TEST(a_payload_has_exactly_these_bytes)
{
    struct dot preds[] = { dot_of(&other_log, 3, 1, 7), dot_of(&own_log, 19, 2, 19),
                           dot_of(&own_log, 19, 2, 19) };
    uint8_t two = 2;
    struct op op = {
        .code = OP_SET, .target = { .field = 5 }, .value = { &two, 1 }, .preds = preds, .pred_count = 3
    };
    struct change change = { .schema = 256, .hlc = 5, .actor = 1, .ops = &op, .op_count = 1 };

    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_OK);
    expect_payload(WITH_OPS("81"
                            "8401"
                            "05"
                            "82"
                            "820102"
                            "8446bbbbbbbbbbbb03014407070707"
                            "02"));
}
END_TEST

START_TEST(the_short_form_stands_for_an_ancestor_and_nothing_else)
{
    /* Own prefix, but a later seq, or another tag: a branch that is no ancestor. */
    struct dot preds[] = { dot_of(&own_log, 20, 0, 20), dot_of(&own_log, 7, 0, 99) };
    uint8_t two = 2;
    struct op op = {
        .code = OP_SET, .target = { .field = 5 }, .value = { &two, 1 }, .preds = preds, .pred_count = 2
    };
    struct change change = { .schema = 256, .hlc = 5, .actor = 1, .ops = &op, .op_count = 1 };
    struct change back;

    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_OK);
    ck_assert_int_eq(decode(&back), CHANGE_OK);
    ck_assert_uint_eq(back.ops[0].pred_count, 2);
    expect_payload(WITH_OPS("81840105"
                            "82"
                            "8446aaaaaaaaaaaa07004463636363"
                            "8446aaaaaaaaaaaa14004414141414"
                            "02"));
    /* The long form of an ancestor is a second form of one thing. */
    ck_assert_int_eq(decode_hex(WITH_OPS("81840105"
                                         "81"
                                         "8446aaaaaaaaaaaa07004407070707"
                                         "02")),
                     CHANGE_NOT_CANONICAL);
}
END_TEST

START_TEST(what_breaks_the_format_is_refused)
{
    ck_assert_int_eq(decode_hex(WITH_OPS("8184010580"
                                         "02")),
                     CHANGE_OK);
    static const char *const wrong[] = {
        WITH_OPS("80"), /* no op */
        WITH_OPS("81830105"
                 "80"), /* a set without a value */
        WITH_OPS("8184010080"
                 "02"), /* field 0 */
        WITH_OPS("8184000580"
                 "02"), /* code 0 */
        WITH_OPS("81840182"
                 "0248"
                 "0102030405060708"
                 "80"
                 "02"), /* a set of an element */
        WITH_OPS("81840282"
                 "0248"
                 "0102030405060708"
                 "80"
                 "02"), /* an addition with a value */
        WITH_OPS("81830205"
                 "80"), /* an addition to a field */
        WITH_OPS("81830282"
                 "0247"
                 "01020304050607"
                 "80"), /* a short element id */
        WITH_OPS("81840183"
                 "0248"
                 "0102030405060708"
                 "00"
                 "80"
                 "02"), /* field 0 of an element */
        WITH_OPS("818401"
                 "1b0000000100000000"
                 "80"
                 "02"), /* a field above 32 bits */
        WITH_OPS("81840105"
                 "81820002"
                 "02"), /* delta 0 */
        WITH_OPS("81840105"
                 "8182181502"
                 "02"), /* before the log began */
        WITH_OPS("81840105"
                 "8182011a00000200"
                 "02"), /* op 512, too long */
        WITH_OPS("81840105"
                 "818201190200"
                 "02"), /* op 512 */
        WITH_OPS("81840105"
                 "8282020082010002"), /* unsorted */
        WITH_OPS("81840105"
                 "8282010082010002"), /* twice */
        WITH_OPS("81840105"
                 "8183010001"
                 "02"), /* a pred of three */
        WITH_OPS("8185010580"
                 "0202"), /* an op of five */
        "a3001901000105"
        "0381"
        "8401058002", /* no actor */
        "a300190100"
        "038184010580020401", /* no hlc */
        "a400190100010503818401058002"
        "041b0000000100000000", /* an actor above 32 bits */
        "a40018ff01050381840105800204"
        "01", /* schema major 0 */
        "a5001901000105"
        "0241ff"
        "03818401058002"
        "0401", /* a short tx */
        "a5001901000105"
        "03818401058002"
        "0401"
        "0580", /* statements beside ops */
        "a40019010001050381840105800204"
        "0100",           /* something after it */
        "a4001901000105", /* not whole */
        "",
    };
    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        ck_assert_msg(decode_hex(wrong[n]) == CHANGE_NOT_CANONICAL, "number %zu: %s", n, wrong[n]);
    }
}
END_TEST

START_TEST(what_an_upgrade_may_read_waits_for_it)
{
    ck_assert_int_eq(decode_hex("a4001902000105"
                                "038184010580020401"),
                     CHANGE_NEWER);
    /* An unknown key, even beside ops that break our rules. */
    ck_assert_int_eq(decode_hex("a5001901000105"
                                "0380"
                                "0401"
                                "0800"),
                     CHANGE_NEWER);
    ck_assert_int_eq(decode_hex("a5001901000105"
                                "038184010580020401"
                                "6100"
                                "00"),
                     CHANGE_NEWER);
    /* Broken CBOR is read by no upgrade. */
    ck_assert_int_eq(decode_hex("a5001901000105"
                                "038184010580020401"
                                "08"),
                     CHANGE_NOT_CANONICAL);
    ck_assert_int_eq(decode_hex("a40019010101050381840105800204"
                                "01"),
                     CHANGE_OK);
}
END_TEST

START_TEST(limits_are_exact)
{
    struct op ops[CHANGE_OPS_MAX + 1];
    struct dot preds[CHANGE_PREDS_MAX + 1];
    uint8_t two = 2;
    struct change change = { .schema = 256, .hlc = 5, .actor = 1, .ops = ops, .op_count = CHANGE_OPS_MAX };
    struct change back;

    for (size_t n = 0; n <= CHANGE_PREDS_MAX; n++) {
        preds[n] = dot_of(&other_log, n, n, 1);
    }
    for (size_t n = 0; n <= CHANGE_OPS_MAX; n++) {
        ops[n] =
            (struct op){ .code = OP_SET, .target = { .field = 5 }, .value = { &two, 1 }, .preds = preds };
    }
    ops[0].pred_count = CHANGE_PREDS_MAX;
    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_OK);
    ck_assert_int_eq(decode(&back), CHANGE_OK);
    ck_assert_uint_eq(back.op_count, CHANGE_OPS_MAX);
    ck_assert_uint_eq(back.ops[0].pred_count, CHANGE_PREDS_MAX);

    buf_clear(&payload);
    change.op_count++;
    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_INVALID);
    change.op_count = 1;
    ops[0].pred_count++;
    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_INVALID);
    ck_assert_uint_eq(payload.size, 0);

    /* As a stranger would send them. */
    static const uint8_t head[] = { 0xa4, 0x00, 0x19, 0x01, 0x00, 0x01, 0x05, 0x03, 0x99, 0x02, 0x01 };
    static const uint8_t op[] = { 0x84, 0x01, 0x05, 0x80, 0x02 };
    buf_put(&payload, head, sizeof head);
    for (size_t n = 0; n <= CHANGE_OPS_MAX; n++) {
        buf_put(&payload, op, sizeof op);
    }
    buf_put(&payload, "\x04\x01", 2);
    ck_assert_int_eq(decode(&back), CHANGE_LIMIT);
}
END_TEST

START_TEST(a_count_that_is_only_declared_takes_no_memory)
{
    struct change change;

    /* 65,535 ops are declared, and so are as many bytes, but they are no ops. */
    static const uint8_t head[] = { 0xa4, 0x00, 0x19, 0x01, 0x00, 0x01, 0x05, 0x03, 0x99, 0xff, 0xff };
    buf_put(&payload, head, sizeof head);
    memset(buf_extend(&payload, 70000), 0, 70000);
    ck_assert_int_ne(decode(&change), CHANGE_OK);
    ck_assert_uint_lt(arena_bytes(&arena), 65536);
}
END_TEST

START_TEST(a_change_that_nobody_could_read_is_not_written)
{
    uint8_t broken[] = { 0x62, 'h' };
    uint8_t deep[] = { 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x02 };
    struct op op = { .code = OP_SET, .target = { .field = 5 }, .value = { broken, 2 } };
    struct change change = { .schema = 256, .hlc = 5, .actor = 1, .ops = &op, .op_count = 1 };

    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_INVALID);
    op.value = span_of(deep, sizeof deep);
    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_INVALID);
    op.value = span_of(NULL, 0);
    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_INVALID);
    ck_assert_uint_eq(payload.size, 0);
}
END_TEST

START_TEST(a_journal_that_fails_is_no_fault_of_the_entry)
{
    struct dot pred = dot_of(&own_log, 19, 0, 19);
    uint8_t two = 2;
    struct op op = {
        .code = OP_SET, .target = { .field = 5 }, .value = { &two, 1 }, .preds = &pred, .pred_count = 1
    };
    struct change change = { .schema = 256, .hlc = 5, .actor = 1, .ops = &op, .op_count = 1 };

    ck_assert_int_eq(change_encode(&change, &log_at_20, &payload), ERR_OK);
    journal_fails = true;
    ck_assert_int_eq(decode(&change), CHANGE_FAILED);
    struct buf again = { 0 };
    change = (struct change){ .schema = 256, .hlc = 5, .actor = 1, .ops = &op, .op_count = 1 };
    ck_assert_int_eq(change_encode(&change, &log_at_20, &again), ERR_IO);
    buf_free(&again);
}
END_TEST

START_TEST(statements_and_keys_come_back)
{
    struct span statements[] = { span_text("one"), span_text("two") };
    struct change_statements out = { .hlc = 9, .actor = 3, .statements = statements, .count = 2 };
    struct change_statements back;
    struct change_key key = { .hlc = 8, .actor = 2, .record_key = "a record key of thirty-two byte" };
    struct change_key key_back;
    struct change change;

    ck_assert_int_eq(change_encode_statements(&out, &payload), ERR_OK);
    ck_assert_int_eq(change_decode_statements(buf_span(&payload), &arena, &back), CHANGE_OK);
    ck_assert_uint_eq(back.hlc, 9);
    ck_assert_uint_eq(back.actor, 3);
    ck_assert_uint_eq(back.count, 2);
    ck_assert(span_equal(back.statements[1], statements[1]));
    /* One kind is not taken for another. */
    ck_assert_int_eq(decode(&change), CHANGE_NOT_CANONICAL);
    ck_assert_int_eq(change_decode_key(buf_span(&payload), &key_back), CHANGE_NOT_CANONICAL);

    buf_clear(&payload);
    ck_assert_int_eq(change_encode_key(&key, &payload), ERR_OK);
    ck_assert_int_eq(change_decode_key(buf_span(&payload), &key_back), CHANGE_OK);
    ck_assert_mem_eq(key.record_key, key_back.record_key, sizeof key.record_key);
    ck_assert_uint_eq(key_back.hlc, 8);
    ck_assert_int_eq(change_decode_statements(buf_span(&payload), &arena, &back), CHANGE_NOT_CANONICAL);
}
END_TEST

START_TEST(a_receipt_has_exactly_these_bytes_and_says_no_more)
{
    struct change_receipt receipt = { .hlc = 7,
                                      .actor = 0,
                                      .order = { "an order of 16 b" },
                                      .stage = RECEIPT_DONE,
                                      .erased = 300,
                                      .unread = 1 };
    struct change_receipt back;
    struct change_key key;
    char hex[200];

    ck_assert_int_eq(change_encode_receipt(&receipt, &payload), ERR_OK);
    bytes_hex(hex, buf_span(&payload));
    ck_assert_str_eq(hex, "a400190100010704000785"
                          "50616e206f72646572206f662031362062"
                          "0219012c0100");
    ck_assert_int_eq(change_decode_receipt(buf_span(&payload), &back), CHANGE_OK);
    ck_assert(ident_equal(&back.order, &receipt.order));
    ck_assert_uint_eq(back.hlc, 7);
    ck_assert_uint_eq(back.stage, RECEIPT_DONE);
    ck_assert_uint_eq(back.erased, 300);
    ck_assert_uint_eq(back.unread, 1);
    ck_assert_uint_eq(back.late, 0);
    ck_assert_int_eq(change_decode_key(buf_span(&payload), &key), CHANGE_NOT_CANONICAL);
    /* A stage of nought, another number of items: not one. */
    payload.data[payload.size - 6] = 0;
    ck_assert_int_eq(change_decode_receipt(buf_span(&payload), &back), CHANGE_NOT_CANONICAL);
    payload.data[payload.size - 6] = 3;
    ck_assert_int_eq(change_decode_receipt(buf_span(&payload), &back), CHANGE_OK);
    payload.data[10] = 0x84;
    ck_assert_int_eq(change_decode_receipt(buf_span(&payload), &back), CHANGE_NOT_CANONICAL);
    receipt.stage = 0;
    ck_assert_int_eq(change_encode_receipt(&receipt, &payload), ERR_INVALID);
}
END_TEST

START_TEST(a_dot_says_where_its_op_is)
{
    struct dot dot = dot_of(&own_log, UINT64_C(0x0102030405060708), 511, 0xcc);
    char hex[2 * DOT_BYTES + 1];

    bytes_hex(hex, span_of(dot.bytes, DOT_BYTES));
    ck_assert_str_eq(hex, "aaaaaaaaaaaa010203040506070801ffcccccccc");
    ck_assert_uint_eq(dot_seq(&dot), UINT64_C(0x0102030405060708));
    ck_assert_uint_eq(dot_op(&dot), 511);
}
END_TEST

SUITE_MAIN_WITH("change", setup, teardown, a_change_comes_back_as_it_was, a_payload_has_exactly_these_bytes,
                the_short_form_stands_for_an_ancestor_and_nothing_else, what_breaks_the_format_is_refused,
                what_an_upgrade_may_read_waits_for_it, limits_are_exact,
                a_count_that_is_only_declared_takes_no_memory, a_change_that_nobody_could_read_is_not_written,
                a_journal_that_fails_is_no_fault_of_the_entry, statements_and_keys_come_back,
                a_receipt_has_exactly_these_bytes_and_says_no_more, a_dot_says_where_its_op_is)
