#include "store/base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A first allocation that holds most small messages. */
enum { BUF_FIRST_BYTES = 64, VARINT_BYTES_MAX = 10 };

struct span
span_text(const char *text)
{
    assert(text != NULL);

    return span_of(text, strlen(text));
}

bool
span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int
span_compare(struct span a, struct span b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

void
buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){ 0 };
}

void
buf_wipe(struct buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->capacity);
    }
    buf_free(buf);
}

void
buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->failed = false;
}

/* Room for `size` more bytes. Content that moves is wiped where it was, so
 * that buf_wipe leaves no copy behind. */
static bool
buf_reserve(struct buf *buf, size_t size)
{
    if (buf->failed) {
        return false;
    }
    if (size <= buf->capacity - buf->size) {
        return true;
    }
    if (size > SIZE_MAX / 2 - buf->size) {
        buf->failed = true;
        return false;
    }
    size_t capacity = buf->capacity == 0 ? BUF_FIRST_BYTES : buf->capacity;
    while (capacity < buf->size + size) {
        capacity *= 2;
    }
    uint8_t *data = malloc(capacity);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    if (buf->data != NULL) {
        memcpy(data, buf->data, buf->size);
        explicit_bzero(buf->data, buf->size);
        free(buf->data);
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

uint8_t *
buf_extend(struct buf *buf, size_t size)
{
    /* An empty request still gives a pointer, so that NULL always means failed. */
    if (!buf_reserve(buf, size == 0 ? 1 : size)) {
        return NULL;
    }
    uint8_t *at = buf->data + buf->size;
    buf->size += size;
    return at;
}

void
buf_put(struct buf *buf, const void *data, size_t size)
{
    if (size == 0) {
        return;
    }
    uint8_t *at = buf_extend(buf, size);
    if (at != NULL) {
        memcpy(at, data, size);
    }
}

void
buf_put_span(struct buf *buf, struct span span)
{
    buf_put(buf, span.data, span.size);
}

void
buf_put_text(struct buf *buf, const char *text)
{
    buf_put_span(buf, span_text(text));
}

void
buf_put_u8(struct buf *buf, uint8_t value)
{
    buf_put(buf, &value, 1);
}

void
buf_put_u16(struct buf *buf, uint16_t value)
{
    uint8_t bytes[2];

    bytes_write_u16(bytes, value);
    buf_put(buf, bytes, sizeof bytes);
}

void
buf_put_u32(struct buf *buf, uint32_t value)
{
    uint8_t bytes[4];

    bytes_write_u32(bytes, value);
    buf_put(buf, bytes, sizeof bytes);
}

void
buf_put_u64(struct buf *buf, uint64_t value)
{
    uint8_t bytes[8];

    bytes_write_u64(bytes, value);
    buf_put(buf, bytes, sizeof bytes);
}

void
buf_put_varint(struct buf *buf, uint64_t value)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    size_t size = 0;

    while (value >= 0x80) {
        bytes[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    buf_put(buf, bytes, size);
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int size = vsnprintf(NULL, 0, format, list);
    va_end(list);
    /* One more than the text, for the NUL that vsnprintf writes. */
    if (size < 0 || !buf_reserve(buf, (size_t)size + 1)) {
        buf->failed = true;
        return;
    }
    va_start(list, format);
    (void)vsnprintf((char *)buf->data + buf->size, (size_t)size + 1, format, list);
    va_end(list);
    buf->size += (size_t)size;
}

void
bytes_write_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void
bytes_write_u32(uint8_t *at, uint32_t value)
{
    bytes_write_u16(at, (uint16_t)(value >> 16));
    bytes_write_u16(at + 2, (uint16_t)value);
}

void
bytes_write_u64(uint8_t *at, uint64_t value)
{
    bytes_write_u32(at, (uint32_t)(value >> 32));
    bytes_write_u32(at + 4, (uint32_t)value);
}

uint16_t
bytes_read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t
bytes_read_u32(const uint8_t *at)
{
    return (uint32_t)bytes_read_u16(at) << 16 | bytes_read_u16(at + 2);
}

uint64_t
bytes_read_u64(const uint8_t *at)
{
    return (uint64_t)bytes_read_u32(at) << 32 | bytes_read_u32(at + 4);
}

struct span
reader_span(struct reader *reader, size_t size)
{
    if (reader->failed || size > reader_left(reader)) {
        reader->failed = true;
        return (struct span){ 0 };
    }
    struct span span = span_of(reader->at, size);
    /* An empty reader may point nowhere, and nowhere plus nothing is undefined. */
    if (size > 0) {
        reader->at += size;
    }
    return span;
}

uint8_t
reader_u8(struct reader *reader)
{
    struct span span = reader_span(reader, 1);

    return span.size == 0 ? 0 : span.data[0];
}

uint16_t
reader_u16(struct reader *reader)
{
    struct span span = reader_span(reader, 2);

    return span.size == 0 ? 0 : bytes_read_u16(span.data);
}

uint32_t
reader_u32(struct reader *reader)
{
    struct span span = reader_span(reader, 4);

    return span.size == 0 ? 0 : bytes_read_u32(span.data);
}

uint64_t
reader_u64(struct reader *reader)
{
    struct span span = reader_span(reader, 8);

    return span.size == 0 ? 0 : bytes_read_u64(span.data);
}

uint64_t
reader_varint(struct reader *reader)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 7 * VARINT_BYTES_MAX; shift += 7) {
        uint8_t byte = reader_u8(reader);
        if (reader->failed) {
            return 0;
        }
        /* The tenth byte has room for one bit; a last byte of zero says that
         * the one before it could have been the last. */
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    reader->failed = true;
    return 0;
}

void
reader_copy(struct reader *reader, void *out, size_t size)
{
    struct span span = reader_span(reader, size);

    if (reader->failed) {
        memset(out, 0, size);
    } else if (size > 0) {
        memcpy(out, span.data, size);
    }
}

bool
reader_done(const struct reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}

void
bytes_hex(char *out, struct span span)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t n = 0; n < span.size; n++) {
        out[2 * n] = digits[span.data[n] >> 4];
        out[2 * n + 1] = digits[span.data[n] & 15];
    }
    out[2 * span.size] = '\0';
}

/* The value of a hex digit, or 16. */
static unsigned
hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (unsigned)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (unsigned)(digit - 'a') + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return (unsigned)(digit - 'A') + 10;
    }
    return 16;
}

bool
bytes_from_hex(uint8_t *out, size_t size, const char *hex)
{
    for (size_t n = 0; n < size; n++) {
        unsigned high = hex_value(hex[2 * n]);
        /* A text that ends here is not read further. */
        unsigned low = high == 16 ? 16 : hex_value(hex[2 * n + 1]);
        if (low == 16) {
            return false;
        }
        out[n] = (uint8_t)(high << 4 | low);
    }
    return hex[2 * size] == '\0';
}
