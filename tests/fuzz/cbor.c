/* cbor: what cbor_valid accepts, a walk over it writes again byte for byte. */
#include "store/base/cbor.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Read one head's value with the typed readers and write it with the writers.
 * Gives false at the end or at something that is not allowed. */
static bool
copy_one(struct cbor_reader *reader, struct buf *out)
{
    struct cbor_reader ahead = *reader;

    switch (cbor_peek(reader)) {
    case CBOR_UINT:
        cbor_put_uint(out, cbor_read_uint(reader));
        break;
    case CBOR_NEGATIVE: {
        int64_t value = cbor_read_int(reader);
        if (reader->in.failed) {
            /* Below the range of int64: only reading it as a whole will do. */
            *reader = ahead;
            buf_put_span(out, cbor_read_any(reader));
        } else {
            cbor_put_int(out, value);
        }
        break;
    }
    case CBOR_BYTES:
        cbor_put_bytes(out, cbor_read_bytes(reader));
        break;
    case CBOR_TEXT:
        cbor_put_text(out, cbor_read_text(reader));
        break;
    case CBOR_ARRAY:
        cbor_put_array(out, cbor_read_array(reader));
        break;
    case CBOR_MAP:
        cbor_put_map(out, cbor_read_map(reader));
        break;
    case CBOR_SIMPLE:
        cbor_read_null(&ahead);
        if (ahead.in.failed) {
            cbor_put_bool(out, cbor_read_bool(reader));
        } else {
            cbor_read_null(reader);
            cbor_put_null(out);
        }
        break;
    case CBOR_NOTHING:
        cbor_fail(reader);
        return false;
    }
    return !reader->in.failed;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of(data, size);
    bool valid = cbor_valid(bytes);
    struct cbor_reader whole = cbor_reader_of(bytes);
    struct span any = cbor_read_any(&whole);

    must(valid == (!whole.in.failed && any.size == size));
    struct cbor_reader reader = cbor_reader_of(bytes);
    struct buf out = { 0 };
    size_t values = 0;
    do {
        values++;
    } while (copy_one(&reader, &out) && reader.depth > 0);
    /* Values are at least a byte each: no input is walked longer than it is. */
    must(values <= size + 1);
    must(valid == cbor_done(&reader));
    if (valid) {
        must(!out.failed && span_equal(buf_span(&out), bytes));
    }
    buf_free(&out);
    return 0;
}
