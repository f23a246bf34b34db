#include "store/base/cbor.h"

#include <assert.h>
#include <cbor.h>
#include <string.h>

/* The longest head: one byte and a 64-bit number. */
enum { HEAD_BYTES_MAX = 9 };

enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22 };

/* One head as libcbor reads it, with the content that follows a string's. */
struct head {
    enum cbor_kind kind;
    uint64_t value; /* number, count of items or pairs, or which simple value */
    struct span text;
    size_t bytes; /* head and text together */
};

/* A number as one of CBOR's heads, in its shortest form. Gives its size. */
static size_t
head_encode(uint8_t out[HEAD_BYTES_MAX], enum cbor_kind kind, uint64_t value)
{
    switch (kind) {
    case CBOR_UINT:
        return cbor_encode_uint(value, out, HEAD_BYTES_MAX);
    case CBOR_NEGATIVE:
        return cbor_encode_negint(value, out, HEAD_BYTES_MAX);
    case CBOR_BYTES:
        return cbor_encode_bytestring_start((size_t)value, out, HEAD_BYTES_MAX);
    case CBOR_TEXT:
        return cbor_encode_string_start((size_t)value, out, HEAD_BYTES_MAX);
    case CBOR_ARRAY:
        return cbor_encode_array_start((size_t)value, out, HEAD_BYTES_MAX);
    case CBOR_MAP:
        return cbor_encode_map_start((size_t)value, out, HEAD_BYTES_MAX);
    case CBOR_SIMPLE:
        return value == SIMPLE_NULL ? cbor_encode_null(out, HEAD_BYTES_MAX)
                                    : cbor_encode_bool(value == SIMPLE_TRUE, out, HEAD_BYTES_MAX);
    case CBOR_NOTHING:
        break;
    }
    return 0;
}

static void
head_put(struct buf *buf, enum cbor_kind kind, uint64_t value)
{
    uint8_t bytes[HEAD_BYTES_MAX];

    buf_put(buf, bytes, head_encode(bytes, kind, value));
}

void
cbor_put_uint(struct buf *buf, uint64_t value)
{
    head_put(buf, CBOR_UINT, value);
}

void
cbor_put_int(struct buf *buf, int64_t value)
{
    if (value >= 0) {
        head_put(buf, CBOR_UINT, (uint64_t)value);
    } else {
        head_put(buf, CBOR_NEGATIVE, ~(uint64_t)value);
    }
}

void
cbor_put_bytes(struct buf *buf, struct span bytes)
{
    head_put(buf, CBOR_BYTES, bytes.size);
    buf_put_span(buf, bytes);
}

void
cbor_put_text(struct buf *buf, struct span utf8)
{
    head_put(buf, CBOR_TEXT, utf8.size);
    buf_put_span(buf, utf8);
}

void
cbor_put_array(struct buf *buf, size_t count)
{
    head_put(buf, CBOR_ARRAY, count);
}

void
cbor_put_map(struct buf *buf, size_t pair_count)
{
    head_put(buf, CBOR_MAP, pair_count);
}

void
cbor_put_bool(struct buf *buf, bool value)
{
    head_put(buf, CBOR_SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void
cbor_put_null(struct buf *buf)
{
    head_put(buf, CBOR_SIMPLE, SIMPLE_NULL);
}

/* What libcbor's decoder calls. Whatever is outside of the subset leaves the
 * head as CBOR_NOTHING. */
static void
head_take(void *self, enum cbor_kind kind, uint64_t value)
{
    struct head *head = self;

    head->kind = kind;
    head->value = value;
}

static void
on_uint8(void *self, uint8_t value)
{
    head_take(self, CBOR_UINT, value);
}

static void
on_uint16(void *self, uint16_t value)
{
    head_take(self, CBOR_UINT, value);
}

static void
on_uint32(void *self, uint32_t value)
{
    head_take(self, CBOR_UINT, value);
}

static void
on_uint64(void *self, uint64_t value)
{
    head_take(self, CBOR_UINT, value);
}

static void
on_negint8(void *self, uint8_t value)
{
    head_take(self, CBOR_NEGATIVE, value);
}

static void
on_negint16(void *self, uint16_t value)
{
    head_take(self, CBOR_NEGATIVE, value);
}

static void
on_negint32(void *self, uint32_t value)
{
    head_take(self, CBOR_NEGATIVE, value);
}

static void
on_negint64(void *self, uint64_t value)
{
    head_take(self, CBOR_NEGATIVE, value);
}

static void
on_bytes(void *self, cbor_data data, size_t size)
{
    struct head *head = self;

    head_take(self, CBOR_BYTES, size);
    head->text = span_of(data, size);
}

static void
on_text(void *self, cbor_data data, size_t size)
{
    struct head *head = self;

    head_take(self, CBOR_TEXT, size);
    head->text = span_of(data, size);
}

static void
on_array(void *self, size_t count)
{
    head_take(self, CBOR_ARRAY, count);
}

static void
on_map(void *self, size_t count)
{
    head_take(self, CBOR_MAP, count);
}

static void
on_bool(void *self, bool value)
{
    head_take(self, CBOR_SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

static void
on_null(void *self)
{
    head_take(self, CBOR_SIMPLE, SIMPLE_NULL);
}

static void
refuse(void *self)
{
    head_take(self, CBOR_NOTHING, 0);
}

static void
refuse_number(void *self, uint64_t value)
{
    (void)value;
    refuse(self);
}

static void
refuse_float(void *self, float value)
{
    (void)value;
    refuse(self);
}

static void
refuse_double(void *self, double value)
{
    (void)value;
    refuse(self);
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string = on_bytes,
    .byte_string_start = refuse,
    .string = on_text,
    .string_start = refuse,
    .array_start = on_array,
    .indef_array_start = refuse,
    .map_start = on_map,
    .indef_map_start = refuse,
    .tag = refuse_number,
    .float2 = refuse_float,
    .float4 = refuse_float,
    .float8 = refuse_double,
    .undefined = refuse,
    .null = on_null,
    .boolean = on_bool,
    .indef_break = refuse,
};

/* Read the head at the start of `in`, with a string's content, and hold it
 * against what the encoder writes for the same value. False: it is missing,
 * not whole, outside of the subset or not in its one form. */
static bool
head_read(struct head *head, struct reader in)
{
    uint8_t again[HEAD_BYTES_MAX];
    size_t left = reader_left(&in);

    head->kind = CBOR_NOTHING;
    head->text = (struct span){ 0 };
    if (in.failed || left == 0) {
        return false;
    }
    struct cbor_decoder_result result = cbor_stream_decode(in.at, left, &callbacks, head);
    if (result.status != CBOR_DECODER_FINISHED || head->kind == CBOR_NOTHING) {
        return false;
    }
    head->bytes = result.read;
    assert(head->bytes <= left && head->text.size < head->bytes);
    size_t size = head_encode(again, head->kind, head->value);
    if (size != head->bytes - head->text.size || memcmp(again, in.at, size) != 0) {
        return false;
    }
    left -= head->bytes;
    switch (head->kind) {
    case CBOR_TEXT:
        return utf8_valid(head->text);
    case CBOR_ARRAY:
        return head->value <= left;
    case CBOR_MAP:
        return head->value <= left / 2;
    case CBOR_UINT:
    case CBOR_NEGATIVE:
    case CBOR_BYTES:
    case CBOR_SIMPLE:
    case CBOR_NOTHING:
        break;
    }
    return true;
}

struct cbor_reader
cbor_reader_of(struct span bytes)
{
    return (struct cbor_reader){ .in = reader_of(bytes) };
}

enum cbor_kind
cbor_peek(const struct cbor_reader *reader)
{
    struct head head;

    return head_read(&head, reader->in) ? head.kind : CBOR_NOTHING;
}

void
cbor_fail(struct cbor_reader *reader)
{
    reader->in.failed = true;
}

bool
cbor_done(const struct cbor_reader *reader)
{
    return reader_done(&reader->in) && reader->depth == 0;
}

/* A value that began at `from` is whole: count it in the level it stands in,
 * and with the last one of a level, that level in the one above. */
static void
value_end(struct cbor_reader *reader, const uint8_t *from)
{
    while (reader->depth > 0) {
        struct cbor_level *level = &reader->level[reader->depth - 1];
        if (level->map && level->left % 2 == 0) {
            struct span key = span_of(from, (size_t)(reader->in.at - from));
            if (level->key.size > 0 && span_compare(level->key, key) >= 0) {
                cbor_fail(reader);
                return;
            }
            level->key = key;
        }
        level->left--;
        if (level->left > 0) {
            return;
        }
        from = level->from;
        reader->depth--;
    }
}

/* Consume the head `head`, which stands next. */
static void
head_consume(struct cbor_reader *reader, const struct head *head)
{
    const uint8_t *from = reader->in.at;
    bool map = head->kind == CBOR_MAP;

    if (map || head->kind == CBOR_ARRAY) {
        if (reader->depth == CBOR_DEPTH) {
            cbor_fail(reader);
            return;
        }
        reader->in.at += head->bytes;
        if (head->value > 0) {
            /* No overflow: no more pairs than half the bytes left. */
            uint64_t left = map ? 2 * head->value : head->value;
            reader->level[reader->depth] = (struct cbor_level){ .left = left, .from = from, .map = map };
            reader->depth++;
            return;
        }
    } else {
        reader->in.at += head->bytes;
    }
    value_end(reader, from);
}

/* Consume one head that must be of `kind`. False: it is not, and the reader failed. */
static bool
head_expect(struct cbor_reader *reader, struct head *head, enum cbor_kind kind)
{
    if (!head_read(head, reader->in) || head->kind != kind) {
        cbor_fail(reader);
        return false;
    }
    head_consume(reader, head);
    return !reader->in.failed;
}

uint64_t
cbor_read_uint(struct cbor_reader *reader)
{
    struct head head;

    return head_expect(reader, &head, CBOR_UINT) ? head.value : 0;
}

int64_t
cbor_read_int(struct cbor_reader *reader)
{
    struct head head;

    if (!head_read(&head, reader->in) || (head.kind != CBOR_UINT && head.kind != CBOR_NEGATIVE) ||
        head.value > INT64_MAX) {
        cbor_fail(reader);
        return 0;
    }
    head_consume(reader, &head);
    if (reader->in.failed) {
        return 0;
    }
    return head.kind == CBOR_UINT ? (int64_t)head.value : -1 - (int64_t)head.value;
}

bool
cbor_read_bool(struct cbor_reader *reader)
{
    struct head head;

    if (!head_expect(reader, &head, CBOR_SIMPLE)) {
        return false;
    }
    if (head.value == SIMPLE_NULL) {
        cbor_fail(reader);
    }
    return head.value == SIMPLE_TRUE;
}

void
cbor_read_null(struct cbor_reader *reader)
{
    struct head head;

    if (head_expect(reader, &head, CBOR_SIMPLE) && head.value != SIMPLE_NULL) {
        cbor_fail(reader);
    }
}

struct span
cbor_read_bytes(struct cbor_reader *reader)
{
    struct head head;

    return head_expect(reader, &head, CBOR_BYTES) ? head.text : (struct span){ 0 };
}

struct span
cbor_read_text(struct cbor_reader *reader)
{
    struct head head;

    return head_expect(reader, &head, CBOR_TEXT) ? head.text : (struct span){ 0 };
}

size_t
cbor_read_array(struct cbor_reader *reader)
{
    struct head head;

    return head_expect(reader, &head, CBOR_ARRAY) ? (size_t)head.value : 0;
}

size_t
cbor_read_map(struct cbor_reader *reader)
{
    struct head head;

    return head_expect(reader, &head, CBOR_MAP) ? (size_t)head.value : 0;
}

void
cbor_read_exact(struct cbor_reader *reader, void *out, size_t size)
{
    struct span bytes = cbor_read_bytes(reader);

    if (reader->in.failed || bytes.size != size) {
        cbor_fail(reader);
        memset(out, 0, size);
    } else if (size > 0) {
        memcpy(out, bytes.data, size);
    }
}

struct span
cbor_read_any(struct cbor_reader *reader)
{
    const uint8_t *from = reader->in.at;
    uint32_t depth = reader->depth;
    struct head head;

    do {
        if (!head_read(&head, reader->in)) {
            cbor_fail(reader);
            return (struct span){ 0 };
        }
        head_consume(reader, &head);
        if (reader->in.failed) {
            return (struct span){ 0 };
        }
    } while (reader->depth > depth);
    return span_of(from, (size_t)(reader->in.at - from));
}

bool
cbor_valid(struct span bytes)
{
    struct cbor_reader reader = cbor_reader_of(bytes);

    (void)cbor_read_any(&reader);
    return cbor_done(&reader);
}

bool
utf8_valid(struct span text)
{
    const uint8_t *at = text.data;
    size_t left = text.size;

    while (left > 0) {
        uint8_t first = at[0];
        if (first < 0x80) {
            at++;
            left--;
            continue;
        }
        /* How many bytes follow, and what the first of them may be: this keeps
         * out forms that are too long, surrogates and what lies above U+10FFFF. */
        size_t more = 0;
        uint8_t low = 0x80;
        uint8_t high = 0xbf;
        if (first >= 0xc2 && first <= 0xdf) {
            more = 1;
        } else if (first >= 0xe0 && first <= 0xef) {
            more = 2;
            low = first == 0xe0 ? 0xa0 : 0x80;
            high = first == 0xed ? 0x9f : 0xbf;
        } else if (first >= 0xf0 && first <= 0xf4) {
            more = 3;
            low = first == 0xf0 ? 0x90 : 0x80;
            high = first == 0xf4 ? 0x8f : 0xbf;
        } else {
            return false;
        }
        if (left <= more || at[1] < low || at[1] > high) {
            return false;
        }
        for (size_t n = 2; n <= more; n++) {
            if (at[n] < 0x80 || at[n] > 0xbf) {
                return false;
            }
        }
        at += more + 1;
        left -= more + 1;
    }
    return true;
}
