/* The first byte says which kind of payload the rest is. What decodes is written again and must be the same bytes. */
#include "store/change.h"

#include "store/base/cbor.h"

#include <stdlib.h>
#include <string.h>

static void
must(bool good)
{
    if (!good) {
        abort();
    }
}

/* Entry n of the log has an id of bytes n. */
static bool
tag_of(void *self, uint64_t seq, uint8_t tag_out[4])
{
    (void)self;
    memset(tag_out, (int)(seq & 0xff), 4);
    return true;
}

static void
try_change(struct span payload, struct arena *arena, struct buf *again)
{
    struct change_log log = { .seq = 20, .tag_of = tag_of };
    struct change change;

    memset(log.log_id.bytes, 0xaa, sizeof log.log_id.bytes);
    enum change_verdict verdict = change_decode(payload, &log, arena, &change);
    must(verdict != CHANGE_FAILED);
    must(verdict != CHANGE_OK || (change.op_count > 0 && change.op_count <= CHANGE_OPS_MAX));
    must(verdict == CHANGE_NOT_CANONICAL || cbor_valid(payload) || verdict == CHANGE_LIMIT);
    if (verdict == CHANGE_OK) {
        must(change_encode(&change, &log, again) == ERR_OK);
        must(span_equal(buf_span(again), payload));
    }
    /* Memory follows what was sent, not what was declared. */
    must(arena_bytes(arena) <= (1 << 20) + 4096 + 64 * payload.size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { 0 };
    struct buf again = { 0 };

    if (size == 0) {
        return 0;
    }
    struct span payload = span_of(data + 1, size - 1);
    if (data[0] == 1) {
        struct change_statements statements;
        if (change_decode_statements(payload, &arena, &statements) == CHANGE_OK) {
            must(statements.count <= CHANGE_STATEMENTS_MAX);
            /* Only what a newer minor schema or a transaction adds is not written again. */
            must(change_encode_statements(&statements, &again) == ERR_OK && again.size <= payload.size + 17);
        }
    } else if (data[0] == 2) {
        struct change_key key;
        if (change_decode_key(payload, &key) == CHANGE_OK) {
            must(change_encode_key(&key, &again) == ERR_OK && again.size <= payload.size + 17);
        }
    } else if (data[0] == 5) {
        struct change_receipt receipt;
        if (change_decode_receipt(payload, &receipt) == CHANGE_OK) {
            must(receipt.stage > 0);
            must(change_encode_receipt(&receipt, &again) == ERR_OK && again.size <= payload.size + 17);
        }
    } else {
        try_change(payload, &arena, &again);
    }
    buf_free(&again);
    arena_free(&arena);
    return 0;
}
