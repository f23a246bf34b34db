/* bytes.h - runs of bytes: lent, owned, read and written.
 *
 * The type says who owns memory: a `span` is lent, a `buf` is owned. A reader
 * and a buf keep their first failure and do nothing after it, so a run of
 * steps is written straight through and checked once, at its end. Integers on
 * disk and on the wire are big-endian; a varint is LEB128, shortest form only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to somebody else. */
struct span {
    const uint8_t *data;
    size_t size;
};

/* Bytes that belong to whoever holds this. Zeroed, it is empty and ready. */
struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed; /* memory ran out: the content is not whole */
};

/* A place in lent bytes. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* something was missing or not in shortest form */
};

static inline struct span
span_of(const void *data, size_t size)
{
    return (struct span){ data, size };
}

static inline struct span
buf_span(const struct buf *buf)
{
    return (struct span){ buf->data, buf->size };
}

/* The bytes of a string literal or NUL-terminated text, without the NUL. */
struct span span_text(const char *text);

/* True if both hold the same bytes. Not for secrets: see crypto_equal. */
bool span_equal(struct span a, struct span b);

/* Order by bytes, a prefix first: negative, zero or positive. */
int span_compare(struct span a, struct span b);

/* Release what `buf` holds and make it empty. */
void buf_free(struct buf *buf);

/* The same, wiped first: for plaintext and keys. */
void buf_wipe(struct buf *buf);

/* Forget the content but keep the room; a failure is forgotten too. */
void buf_clear(struct buf *buf);

/* Room for `size` more bytes, which the caller fills; NULL once failed. */
uint8_t *buf_extend(struct buf *buf, size_t size);

void buf_put(struct buf *buf, const void *data, size_t size);
void buf_put_span(struct buf *buf, struct span span);
void buf_put_text(struct buf *buf, const char *text);
void buf_put_u8(struct buf *buf, uint8_t value);
void buf_put_u16(struct buf *buf, uint16_t value);
void buf_put_u32(struct buf *buf, uint32_t value);
void buf_put_u64(struct buf *buf, uint64_t value);
void buf_put_varint(struct buf *buf, uint64_t value);

/* Formatted text, without the NUL. */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Integers at a place that has room for them. */
void bytes_write_u16(uint8_t *at, uint16_t value);
void bytes_write_u32(uint8_t *at, uint32_t value);
void bytes_write_u64(uint8_t *at, uint64_t value);
uint16_t bytes_read_u16(const uint8_t *at);
uint32_t bytes_read_u32(const uint8_t *at);
uint64_t bytes_read_u64(const uint8_t *at);

static inline struct reader
reader_of(struct span span)
{
    /* Adding even nothing to NULL is undefined in C. */
    return (struct reader){ span.data, span.size > 0 ? span.data + span.size : span.data, false };
}

static inline size_t
reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* Once failed, a reader gives zeros and empty spans. */
uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
uint64_t reader_varint(struct reader *reader);
struct span reader_span(struct reader *reader, size_t size);

/* Copy the next `size` bytes to `out`; zeros once failed. */
void reader_copy(struct reader *reader, void *out, size_t size);

/* True if nothing failed and nothing is left. */
bool reader_done(const struct reader *reader);

/* Lower-case hex of `span` and a NUL into `out`, which holds 2 * size + 1 bytes. */
void bytes_hex(char *out, struct span span);

/* Exactly `size` bytes from 2 * size hex digits of either case; false otherwise. */
bool bytes_from_hex(uint8_t *out, size_t size, const char *hex);
