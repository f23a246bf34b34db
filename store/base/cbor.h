/* cbor.h - deterministic CBOR, strictly: one value has one encoding.
 *
 * RFC 8949 section 4.2.1, narrowed: unsigned and negative integers, byte and
 * text strings, arrays, maps, true, false and null. No floats, tags, undefined,
 * indefinite lengths, invalid UTF-8, repeated or unsorted map keys, and no
 * more than CBOR_DEPTH levels. Written with libcbor's low-level encoder and read
 * with its streaming decoder; `cbor_load` allocates what a stranger declares and
 * is never called. Whatever is read is written again and compared, so a value
 * that is not in its one encoding is refused.
 */
#pragma once

#include "store/base/err.h"
#include "store/base/bytes.h"

enum { CBOR_DEPTH = 8 };

/* Not `cbor_type`: libcbor has that name. */
enum cbor_kind {
    CBOR_UINT = 0,
    CBOR_NEGATIVE = 1,
    CBOR_BYTES = 2,
    CBOR_TEXT = 3,
    CBOR_ARRAY = 4,
    CBOR_MAP = 5,
    CBOR_SIMPLE = 7, /* true, false, null */
    CBOR_NOTHING = 8 /* the end, or something that is not allowed */
};

/* A container that was entered and is not yet read to its end. */
struct cbor_level {
    uint64_t left;       /* values still to come; of a map, keys and values each count */
    const uint8_t *from; /* where its encoding begins */
    struct span key;     /* of a map, the encoding of the last key */
    bool map;
};

/* A place in bytes, with the levels that are open. Keeps its first failure.
 * Depth and the order of map keys are checked as the values go by, whichever
 * way they are read. A copy is a way to look ahead. */
struct cbor_reader {
    struct reader in;
    uint32_t depth; /* containers entered and not yet left */
    struct cbor_level level[CBOR_DEPTH];
};

/* Writers. A map's pairs must follow in ascending order of their encoded keys:
 * the caller's promise, checked by cbor_valid in tests and on every read. */
void cbor_put_uint(struct buf *buf, uint64_t value);
void cbor_put_int(struct buf *buf, int64_t value);
void cbor_put_bytes(struct buf *buf, struct span bytes);
void cbor_put_text(struct buf *buf, struct span utf8);
void cbor_put_array(struct buf *buf, size_t count);
void cbor_put_map(struct buf *buf, size_t pair_count);
void cbor_put_bool(struct buf *buf, bool value);
void cbor_put_null(struct buf *buf);

/* True if `bytes` is exactly one value of this subset, in its one encoding,
 * nested no deeper than CBOR_DEPTH, with nothing after it. */
bool cbor_valid(struct span bytes);

struct cbor_reader cbor_reader_of(struct span bytes);

/* What comes next; nothing is consumed. */
enum cbor_kind cbor_peek(const struct cbor_reader *reader);

/* Each consumes one value of its type, or fails the reader and gives nothing.
 * Strings are lent from the input. A count never exceeds the bytes left. */
uint64_t cbor_read_uint(struct cbor_reader *reader);
int64_t cbor_read_int(struct cbor_reader *reader);
bool cbor_read_bool(struct cbor_reader *reader);
void cbor_read_null(struct cbor_reader *reader);
struct span cbor_read_bytes(struct cbor_reader *reader);
struct span cbor_read_text(struct cbor_reader *reader);
size_t cbor_read_array(struct cbor_reader *reader);
size_t cbor_read_map(struct cbor_reader *reader);

/* Bytes of exactly `size`, copied; fails otherwise. */
void cbor_read_exact(struct cbor_reader *reader, void *out, size_t size);

/* Consume one value of any type (checked as by cbor_valid) and lend its encoding. */
struct span cbor_read_any(struct cbor_reader *reader);

/* Mark the reader as failed: for a value of the right type that breaks a rule. */
void cbor_fail(struct cbor_reader *reader);

/* True if nothing failed, nothing is left and every container is whole. */
bool cbor_done(const struct cbor_reader *reader);

/* True if `text` is valid UTF-8 (RFC 3629: no surrogates, nothing above U+10FFFF). */
bool utf8_valid(struct span text);
