#include "store/change.h"

#include "store/base/cbor.h"
#include "store/entry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_SCHEMA,
    KEY_HLC,
    KEY_TX,
    KEY_OPS,
    KEY_ACTOR,
    KEY_STATEMENTS,
    KEY_RECORD_KEY,
    KEY_RECEIPT,
    KEY_COUNT
};
enum { SCHEMA_MAJOR = SCHEMA >> 8, DOT_TAG_AT = 16, TAG_BYTES = 4, RECEIPT_ITEMS = 5 };

int
target_compare(const struct target *a, const struct target *b)
{
    if (a->collection != b->collection) {
        return a->collection < b->collection ? -1 : 1;
    }
    int order = memcmp(a->element, b->element, sizeof a->element);
    if (order != 0) {
        return order;
    }
    return a->field == b->field ? 0 : a->field < b->field ? -1 : 1;
}

void
dot_make(struct dot *out, const struct hash *log_id, uint64_t seq, size_t op, const struct hash *entry_id)
{
    assert(op < CHANGE_OPS_MAX);
    memcpy(out->bytes, log_id->bytes, DOT_PREFIX_BYTES);
    bytes_write_u64(out->bytes + 6, seq);
    bytes_write_u16(out->bytes + 14, (uint16_t)op);
    memcpy(out->bytes + DOT_TAG_AT, entry_id->bytes, TAG_BYTES);
}

uint64_t
dot_seq(const struct dot *dot)
{
    return bytes_read_u64(dot->bytes + 6);
}

uint32_t
dot_op(const struct dot *dot)
{
    return bytes_read_u16(dot->bytes + 14);
}

/* What the format says of a known code: which targets, and whether there is a value. */
static bool
op_shape_valid(const struct op *op)
{
    bool element = op->target.field == 0;
    bool value = op->value.data != NULL;

    switch (op->code) {
    case OP_SET:
        return value && !element;
    case OP_ADD:
    case OP_REMOVE:
        return !value && element;
    default:
        return op->code != 0;
    }
}

static bool
target_valid(const struct target *target)
{
    static const uint8_t none[ELEMENT_ID_BYTES];

    if (target->collection == 0) {
        return target->field != 0 && memcmp(target->element, none, sizeof none) == 0;
    }
    return true;
}

/* Is the op that `dot` names in the author's own log, below the entry? -1: the journal failed. */
static int
dot_is_own(const struct change_log *log, const struct dot *dot)
{
    uint8_t tag[TAG_BYTES];

    if (memcmp(dot->bytes, log->log_id.bytes, DOT_PREFIX_BYTES) != 0 || dot_seq(dot) >= log->seq) {
        return 0;
    }
    if (!log->tag_of(log->self, dot_seq(dot), tag)) {
        return -1;
    }
    return memcmp(tag, dot->bytes + DOT_TAG_AT, TAG_BYTES) == 0;
}

/* --- writing ------------------------------------------------------------------ */

enum { PRED_BYTES_MAX = 40 };

/* A pred as it will stand in the payload. */
struct encoded_pred {
    uint8_t bytes[PRED_BYTES_MAX];
    size_t size;
};

static int
encoded_pred_compare(const void *a, const void *b)
{
    const struct encoded_pred *one = a;
    const struct encoded_pred *other = b;

    return span_compare(span_of(one->bytes, one->size), span_of(other->bytes, other->size));
}

static enum err
pred_encode(struct encoded_pred *out, const struct dot *dot, const struct change_log *log,
            struct buf *scratch)
{
    int own = dot_is_own(log, dot);

    if (own < 0) {
        return ERR_IO;
    }
    buf_clear(scratch);
    if (own > 0) {
        cbor_put_array(scratch, 2);
        cbor_put_uint(scratch, log->seq - dot_seq(dot));
        cbor_put_uint(scratch, dot_op(dot));
    } else {
        cbor_put_array(scratch, 4);
        cbor_put_bytes(scratch, span_of(dot->bytes, DOT_PREFIX_BYTES));
        cbor_put_uint(scratch, dot_seq(dot));
        cbor_put_uint(scratch, dot_op(dot));
        cbor_put_bytes(scratch, span_of(dot->bytes + DOT_TAG_AT, TAG_BYTES));
    }
    if (scratch->failed) {
        return ERR_MEMORY;
    }
    assert(scratch->size <= sizeof out->bytes);
    memcpy(out->bytes, scratch->data, scratch->size);
    out->size = scratch->size;
    return ERR_OK;
}

static enum err
preds_encode(const struct op *op, const struct change_log *log, struct buf *out, struct buf *scratch)
{
    struct encoded_pred preds[CHANGE_PREDS_MAX];
    size_t count = 0;

    for (size_t n = 0; n < op->pred_count; n++) {
        enum err err = pred_encode(&preds[n], &op->preds[n], log, scratch);
        if (err != ERR_OK) {
            return err;
        }
    }
    if (op->pred_count > 0) {
        qsort(preds, op->pred_count, sizeof preds[0], encoded_pred_compare);
    }
    for (size_t n = 0; n < op->pred_count; n++) {
        if (count == 0 || encoded_pred_compare(&preds[count - 1], &preds[n]) != 0) {
            preds[count++] = preds[n];
        }
    }
    cbor_put_array(out, count);
    for (size_t n = 0; n < count; n++) {
        buf_put(out, preds[n].bytes, preds[n].size);
    }
    return ERR_OK;
}

static enum err
op_encode(const struct op *op, const struct change_log *log, struct buf *out, struct buf *scratch)
{
    const struct target *target = &op->target;

    cbor_put_array(out, op->value.data != NULL ? 4 : 3);
    cbor_put_uint(out, op->code);
    if (target->collection == 0) {
        cbor_put_uint(out, target->field);
    } else {
        cbor_put_array(out, target->field == 0 ? 2 : 3);
        cbor_put_uint(out, target->collection);
        cbor_put_bytes(out, span_of(target->element, sizeof target->element));
        if (target->field != 0) {
            cbor_put_uint(out, target->field);
        }
    }
    enum err err = preds_encode(op, log, out, scratch);
    if (err == ERR_OK && op->value.data != NULL) {
        buf_put_span(out, op->value);
    }
    return err;
}

static bool
change_valid(const struct change *change)
{
    if (change->schema >> 8 != SCHEMA_MAJOR || change->op_count == 0 || change->op_count > CHANGE_OPS_MAX) {
        return false;
    }
    for (size_t n = 0; n < change->op_count; n++) {
        const struct op *op = &change->ops[n];
        if (!op_shape_valid(op) || !target_valid(&op->target) || op->pred_count > CHANGE_PREDS_MAX) {
            return false;
        }
        for (size_t p = 0; p < op->pred_count; p++) {
            if (dot_op(&op->preds[p]) >= CHANGE_OPS_MAX) {
                return false;
            }
        }
    }
    return true;
}

enum err
change_encode(const struct change *change, const struct change_log *log, struct buf *out)
{
    struct buf scratch = { 0 };
    enum err err = ERR_OK;
    size_t start = out->size;

    if (!change_valid(change)) {
        return ERR_INVALID;
    }
    cbor_put_map(out, change->has_tx ? 5 : 4);
    cbor_put_uint(out, KEY_SCHEMA);
    cbor_put_uint(out, change->schema);
    cbor_put_uint(out, KEY_HLC);
    cbor_put_uint(out, change->hlc);
    if (change->has_tx) {
        cbor_put_uint(out, KEY_TX);
        cbor_put_bytes(out, span_of(change->tx, sizeof change->tx));
    }
    cbor_put_uint(out, KEY_OPS);
    cbor_put_array(out, change->op_count);
    for (size_t n = 0; err == ERR_OK && n < change->op_count; n++) {
        err = op_encode(&change->ops[n], log, out, &scratch);
    }
    cbor_put_uint(out, KEY_ACTOR);
    cbor_put_uint(out, change->actor);
    buf_free(&scratch);
    if (err == ERR_OK && out->failed) {
        err = ERR_MEMORY;
    }
    /* A value that is no CBOR, or nested too deeply to stand here. */
    if (err == ERR_OK && !cbor_valid(span_of(out->data + start, out->size - start))) {
        err = ERR_INVALID;
    }
    if (err != ERR_OK && !out->failed) {
        out->size = start;
    }
    return err;
}

static void
head_encode(struct buf *out, uint64_t hlc, uint32_t actor, uint32_t last_key)
{
    cbor_put_map(out, 4);
    cbor_put_uint(out, KEY_SCHEMA);
    cbor_put_uint(out, SCHEMA);
    cbor_put_uint(out, KEY_HLC);
    cbor_put_uint(out, hlc);
    cbor_put_uint(out, KEY_ACTOR);
    cbor_put_uint(out, actor);
    cbor_put_uint(out, last_key);
}

enum err
change_encode_statements(const struct change_statements *statements, struct buf *out)
{
    if (statements->count == 0 || statements->count > CHANGE_STATEMENTS_MAX) {
        return ERR_INVALID;
    }
    head_encode(out, statements->hlc, statements->actor, KEY_STATEMENTS);
    cbor_put_array(out, statements->count);
    for (size_t n = 0; n < statements->count; n++) {
        cbor_put_bytes(out, statements->statements[n]);
    }
    return out->failed ? ERR_MEMORY : ERR_OK;
}

enum err
change_encode_receipt(const struct change_receipt *receipt, struct buf *out)
{
    if (receipt->stage == 0) {
        return ERR_INVALID;
    }
    head_encode(out, receipt->hlc, receipt->actor, KEY_RECEIPT);
    cbor_put_array(out, RECEIPT_ITEMS);
    cbor_put_bytes(out, ident_span(&receipt->order));
    cbor_put_uint(out, receipt->stage);
    cbor_put_uint(out, receipt->erased);
    cbor_put_uint(out, receipt->unread);
    cbor_put_uint(out, receipt->late);
    return out->failed ? ERR_MEMORY : ERR_OK;
}

enum err
change_encode_key(const struct change_key *key, struct buf *out)
{
    head_encode(out, key->hlc, key->actor, KEY_RECORD_KEY);
    cbor_put_bytes(out, span_of(key->record_key, sizeof key->record_key));
    return out->failed ? ERR_MEMORY : ERR_OK;
}

/* --- reading ------------------------------------------------------------------ */

/* One payload while it is read. The first thing that breaks a rule fixes the verdict. */
struct decoder {
    struct cbor_reader in;
    enum change_verdict verdict;
    const struct change_log *log;
    struct arena *arena;
    uint32_t schema;
    uint64_t hlc;
    uint32_t actor;
    bool has_tx;
    uint8_t tx[16];
};

static void
refuse(struct decoder *decoder, enum change_verdict verdict)
{
    if (decoder->verdict == CHANGE_OK) {
        decoder->verdict = verdict;
    }
    cbor_fail(&decoder->in);
}

static bool
decoding(struct decoder *decoder)
{
    if (decoder->in.in.failed) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
    }
    return decoder->verdict == CHANGE_OK;
}

/* A number from 1 to 2^32 - 1. */
static uint32_t
read_number(struct decoder *decoder)
{
    uint64_t number = cbor_read_uint(&decoder->in);

    if (number == 0 || number > UINT32_MAX) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
        return 0;
    }
    return (uint32_t)number;
}

static void
read_target(struct decoder *decoder, struct target *target)
{
    *target = (struct target){ 0 };
    if (cbor_peek(&decoder->in) == CBOR_UINT) {
        target->field = read_number(decoder);
        return;
    }
    size_t count = cbor_read_array(&decoder->in);
    if (count != 2 && count != 3) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
        return;
    }
    target->collection = read_number(decoder);
    cbor_read_exact(&decoder->in, target->element, sizeof target->element);
    if (count == 3) {
        target->field = read_number(decoder);
    }
}

/* The short form: back along the entry's own chain. */
static void
read_short_pred(struct decoder *decoder, struct dot *dot)
{
    struct hash entry_id = { 0 };
    uint64_t delta = cbor_read_uint(&decoder->in);
    uint64_t op = cbor_read_uint(&decoder->in);

    if (!decoding(decoder)) {
        return;
    }
    if (delta == 0 || delta > decoder->log->seq || op >= CHANGE_OPS_MAX) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
        return;
    }
    uint64_t seq = decoder->log->seq - delta;
    if (!decoder->log->tag_of(decoder->log->self, seq, entry_id.bytes)) {
        refuse(decoder, CHANGE_FAILED);
        return;
    }
    dot_make(dot, &decoder->log->log_id, seq, (size_t)op, &entry_id);
}

static void
read_long_pred(struct decoder *decoder, struct dot *dot)
{
    struct hash log_id = { 0 };
    struct hash entry_id = { 0 };

    cbor_read_exact(&decoder->in, log_id.bytes, DOT_PREFIX_BYTES);
    uint64_t seq = cbor_read_uint(&decoder->in);
    uint64_t op = cbor_read_uint(&decoder->in);
    cbor_read_exact(&decoder->in, entry_id.bytes, TAG_BYTES);
    if (!decoding(decoder)) {
        return;
    }
    if (op >= CHANGE_OPS_MAX) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
        return;
    }
    dot_make(dot, &log_id, seq, (size_t)op, &entry_id);
    /* One pred has one form. */
    int own = dot_is_own(decoder->log, dot);
    if (own != 0) {
        refuse(decoder, own < 0 ? CHANGE_FAILED : CHANGE_NOT_CANONICAL);
    }
}

static void
read_preds(struct decoder *decoder, struct op *op)
{
    struct span before = { 0 };
    size_t count = cbor_read_array(&decoder->in);

    if (!decoding(decoder)) {
        return;
    }
    if (count > CHANGE_PREDS_MAX) {
        refuse(decoder, CHANGE_LIMIT);
        return;
    }
    struct dot *preds = arena_take_array(decoder->arena, count, sizeof *preds);
    if (preds == NULL) {
        refuse(decoder, CHANGE_FAILED);
        return;
    }
    for (size_t n = 0; n < count && decoding(decoder); n++) {
        const uint8_t *from = decoder->in.in.at;
        size_t items = cbor_read_array(&decoder->in);
        if (items == 2) {
            read_short_pred(decoder, &preds[n]);
        } else if (items == 4) {
            read_long_pred(decoder, &preds[n]);
        } else {
            refuse(decoder, CHANGE_NOT_CANONICAL);
        }
        struct span encoding = span_of(from, (size_t)(decoder->in.in.at - from));
        if (n > 0 && span_compare(before, encoding) >= 0) {
            refuse(decoder, CHANGE_NOT_CANONICAL);
        }
        before = encoding;
    }
    op->preds = preds;
    op->pred_count = count;
}

static void
read_op(struct decoder *decoder, struct op *op)
{
    size_t count = cbor_read_array(&decoder->in);

    if (count != 3 && count != 4) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
        return;
    }
    op->code = read_number(decoder);
    read_target(decoder, &op->target);
    read_preds(decoder, op);
    if (count == 4 && decoding(decoder)) {
        op->value = cbor_read_any(&decoder->in);
    }
    if (decoding(decoder) && !op_shape_valid(op)) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
    }
}

static void
read_ops(struct decoder *decoder, struct change *change)
{
    size_t count = cbor_read_array(&decoder->in);

    if (!decoding(decoder)) {
        return;
    }
    if (count == 0 || count > CHANGE_OPS_MAX) {
        refuse(decoder, count == 0 ? CHANGE_NOT_CANONICAL : CHANGE_LIMIT);
        return;
    }
    struct op *ops = arena_take_array(decoder->arena, count, sizeof *ops);
    if (ops == NULL) {
        refuse(decoder, CHANGE_FAILED);
        return;
    }
    for (size_t n = 0; n < count && decoding(decoder); n++) {
        read_op(decoder, &ops[n]);
    }
    change->ops = ops;
    change->op_count = count;
}

static void
read_statements(struct decoder *decoder, struct change_statements *out)
{
    size_t count = cbor_read_array(&decoder->in);

    if (!decoding(decoder)) {
        return;
    }
    if (count == 0 || count > CHANGE_STATEMENTS_MAX) {
        refuse(decoder, count == 0 ? CHANGE_NOT_CANONICAL : CHANGE_LIMIT);
        return;
    }
    struct span *statements = arena_take_array(decoder->arena, count, sizeof *statements);
    if (statements == NULL) {
        refuse(decoder, CHANGE_FAILED);
        return;
    }
    for (size_t n = 0; n < count; n++) {
        statements[n] = cbor_read_bytes(&decoder->in);
    }
    out->statements = statements;
    out->count = count;
}

/* [order, stage, erased, unread, late] */
static void
read_receipt(struct decoder *decoder, struct change_receipt *out)
{
    if (cbor_read_array(&decoder->in) != RECEIPT_ITEMS) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
        return;
    }
    cbor_read_exact(&decoder->in, out->order.bytes, sizeof out->order.bytes);
    out->stage = read_number(decoder);
    out->erased = cbor_read_uint(&decoder->in);
    out->unread = cbor_read_uint(&decoder->in);
    out->late = cbor_read_uint(&decoder->in);
}

/* Would an upgrade read what we refuse? It may, if the payload is whole and has a schema major or a
 * key that is unknown here. */
static bool
is_newer(struct span payload)
{
    struct cbor_reader in = cbor_reader_of(payload);

    if (!cbor_valid(payload)) {
        return false;
    }
    size_t pairs = cbor_read_map(&in);
    for (size_t n = 0; n < pairs; n++) {
        if (cbor_peek(&in) != CBOR_UINT) {
            return true;
        }
        uint64_t key = cbor_read_uint(&in);
        if (key >= KEY_COUNT) {
            return true;
        }
        if (key == KEY_SCHEMA && cbor_peek(&in) == CBOR_UINT) {
            if (cbor_read_uint(&in) >> 8 > SCHEMA_MAJOR) {
                return true;
            }
        } else {
            (void)cbor_read_any(&in);
        }
    }
    return false;
}

/* Read a payload whose one special key is `kind_key`; the pointers of the other kinds are NULL. */
static enum change_verdict
payload_decode(struct decoder *decoder, struct span payload, uint64_t kind_key, struct change *change,
               struct change_statements *statements, struct change_key *key_out,
               struct change_receipt *receipt)
{
    uint32_t seen = 0;

    decoder->in = cbor_reader_of(payload);
    size_t pairs = cbor_read_map(&decoder->in);
    for (size_t n = 0; n < pairs && decoding(decoder); n++) {
        uint64_t key = cbor_read_uint(&decoder->in);
        if (key >= KEY_COUNT || !decoding(decoder)) {
            refuse(decoder, CHANGE_NOT_CANONICAL);
            break;
        }
        seen |= UINT32_C(1) << key;
        switch (key) {
        case KEY_SCHEMA:
            decoder->schema = read_number(decoder);
            if (decoder->schema >> 8 != SCHEMA_MAJOR) {
                refuse(decoder, CHANGE_NOT_CANONICAL);
            }
            break;
        case KEY_HLC:
            decoder->hlc = cbor_read_uint(&decoder->in);
            break;
        case KEY_TX:
            decoder->has_tx = true;
            cbor_read_exact(&decoder->in, decoder->tx, sizeof decoder->tx);
            break;
        case KEY_ACTOR: {
            uint64_t actor = cbor_read_uint(&decoder->in);
            if (actor > UINT32_MAX) {
                refuse(decoder, CHANGE_NOT_CANONICAL);
            }
            decoder->actor = (uint32_t)actor;
            break;
        }
        default:
            if (key != kind_key) {
                refuse(decoder, CHANGE_NOT_CANONICAL);
            } else if (change != NULL) {
                read_ops(decoder, change);
            } else if (statements != NULL) {
                read_statements(decoder, statements);
            } else if (receipt != NULL) {
                read_receipt(decoder, receipt);
            } else {
                cbor_read_exact(&decoder->in, key_out->record_key, sizeof key_out->record_key);
            }
            break;
        }
    }
    uint32_t needed = UINT32_C(1) << KEY_SCHEMA | UINT32_C(1) << KEY_HLC | UINT32_C(1) << KEY_ACTOR |
                      UINT32_C(1) << kind_key;
    if (decoding(decoder) && ((seen & needed) != needed || !cbor_done(&decoder->in))) {
        refuse(decoder, CHANGE_NOT_CANONICAL);
    }
    bool ours = decoder->verdict == CHANGE_OK || decoder->verdict == CHANGE_FAILED;
    return !ours && is_newer(payload) ? CHANGE_NEWER : decoder->verdict;
}

enum change_verdict
change_decode(struct span payload, const struct change_log *log, struct arena *arena,
              struct change *change_out)
{
    struct decoder decoder = { .log = log, .arena = arena };

    *change_out = (struct change){ 0 };
    enum change_verdict verdict = payload_decode(&decoder, payload, KEY_OPS, change_out, NULL, NULL, NULL);
    change_out->schema = decoder.schema;
    change_out->hlc = decoder.hlc;
    change_out->has_tx = decoder.has_tx;
    memcpy(change_out->tx, decoder.tx, sizeof change_out->tx);
    change_out->actor = decoder.actor;
    return verdict;
}

enum change_verdict
change_decode_statements(struct span payload, struct arena *arena, struct change_statements *out)
{
    struct decoder decoder = { .arena = arena };

    *out = (struct change_statements){ 0 };
    enum change_verdict verdict = payload_decode(&decoder, payload, KEY_STATEMENTS, NULL, out, NULL, NULL);
    out->hlc = decoder.hlc;
    out->actor = decoder.actor;
    return verdict;
}

enum change_verdict
change_decode_key(struct span payload, struct change_key *out)
{
    struct decoder decoder = { 0 };

    *out = (struct change_key){ 0 };
    enum change_verdict verdict = payload_decode(&decoder, payload, KEY_RECORD_KEY, NULL, NULL, out, NULL);
    out->hlc = decoder.hlc;
    out->actor = decoder.actor;
    return verdict;
}

enum change_verdict
change_decode_receipt(struct span payload, struct change_receipt *out)
{
    struct decoder decoder = { 0 };

    *out = (struct change_receipt){ 0 };
    enum change_verdict verdict = payload_decode(&decoder, payload, KEY_RECEIPT, NULL, NULL, NULL, out);
    out->hlc = decoder.hlc;
    out->actor = decoder.actor;
    return verdict;
}
