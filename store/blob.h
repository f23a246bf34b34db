/* blob.h - a file that is too large for an entry: sealed in chunks, and kept beside the environments.
 *
 *     content    | 8 KiB | 8 KiB | ... | the rest, zeros |
 *                    |       |                |              each sealed alone, with its index and their number
 *     chunk      [ 8,208 B ][ 8,208 B ] ... [ 8,208 B ]
 *                    |       |                |              hashed
 *     page       [ hash hash hash ... up to 256 of them ]  [ page 1 ] ...
 *                                   |                           |
 *     head       [            hash of page 0            hash of page 1 ... ]
 *                                        |
 *     address            H(number of chunks, head)
 *
 * The address names the blob among nodes and in the record. Whoever holds the head can verify a page, and whoever holds a page a
 * chunk, with no key: so a relay passes on nothing that is damaged, and a transfer goes on at any chunk. What
 * opens it is a *blob key*: random, drawn for this one file, kept with the hash of the content in the payload of the record that names
 * it and nowhere else. Once that payload is gone nothing opens the file, wherever copies of it lie.
 *
 * A chunk is small because nothing more urgent may wait behind it: 8 KiB take a second at 64 kbit/s.
 * The size of a file is told to the 8 KiB; its bytes to whoever reads the record.
 *
 * In DIR/blobs/ a whole blob has its address for a name, in hex; one that is on its way ".part" behind it; and one that is being
 * made the name "new-" and a number, until its record names it. Mode 0600, folder 0700. Bytes: sync/FORMATS.md "blob".
 */
#pragma once

#include "store/base/crypto.h"

struct world;

enum {
    BLOB_CHUNK_BYTES = 8192,                           /* of the content */
    BLOB_SEALED_BYTES = BLOB_CHUNK_BYTES + SEAL_BYTES, /* of a chunk */
    BLOB_PAGE_CHUNKS = 256,
    BLOB_PAGE_BYTES_MAX = BLOB_PAGE_CHUNKS * HASH_BYTES,
    BLOB_CHUNKS_MAX = 1 << 19, /* 4 GiB of content */
    BLOB_PAGES_MAX = BLOB_CHUNKS_MAX / BLOB_PAGE_CHUNKS,
    BLOB_HEAD_BYTES_MAX = BLOB_PAGES_MAX * HASH_BYTES,
    BLOB_KEY_BYTES = KEY_BYTES + HASH_BYTES, /* of a blob key in a payload */
};

/* Beside a file that is taken in so much of the disk stays free: records, and an erasure, need room. */
#define BLOB_ROOM_KEPT_BYTES (UINT64_C(64) << 20)
#define BLOB_BYTES_MAX ((uint64_t)BLOB_CHUNKS_MAX * BLOB_CHUNK_BYTES)

/* What opens a blob, and what then must come out. A secret: wipe it. */
struct blob_key {
    struct key key;
    struct hash content_hash; /* SHA-256 */
};

/* --- arithmetic on bytes --- */

/* How many chunks a content of this size has: 0 if it is empty or above BLOB_BYTES_MAX. */
uint32_t blob_chunk_count(uint64_t size);

/* Of a blob of so many chunks (1 to BLOB_CHUNKS_MAX): its pages, the chunks of one of them, and the bytes that it takes as a
 * file. */
uint32_t blob_page_count(uint32_t chunk_count);
uint32_t blob_page_chunks(uint32_t chunk_count, uint32_t page);
uint64_t blob_file_bytes(uint32_t chunk_count);

void blob_key_write(uint8_t out[BLOB_KEY_BYTES], const struct blob_key *key);
/* False: not 64 bytes. */
MUST_CHECK bool blob_key_read(struct span bytes, struct blob_key *key_out);

/* Seal 1 to BLOB_CHUNK_BYTES bytes as chunk `index`; what they lack is filled with zeros. A key seals one content, once. */
void blob_seal_chunk(uint8_t out[BLOB_SEALED_BYTES], const struct key *key, uint32_t chunk_count,
                     uint32_t index, struct span plain);

/* The reverse. False, and `out` wiped: it is not this chunk of a blob of so many, or not under this key. */
MUST_CHECK bool blob_open_chunk(uint8_t out[BLOB_CHUNK_BYTES], const struct key *key, uint32_t chunk_count,
                                uint32_t index, const uint8_t sealed[BLOB_SEALED_BYTES]);

void blob_hash_chunk(struct hash *out, const uint8_t sealed[BLOB_SEALED_BYTES]);
/* `page` is the hashes of its chunks, `head` those of all pages, one after the other. */
void blob_hash_page(struct hash *out, struct span page);
void blob_address(struct hash *out, uint32_t chunk_count, struct span head);

/* --- the folder --- */

struct blobs;

/* Open DIR/blobs, made if it is not there, and remove what was being made when a process ended. `world` outlives it.
 * ERR_DENIED: not ours, or a symlink. ERR_IO, ERR_FULL, ERR_MEMORY. */
MUST_CHECK enum err blobs_open(struct blobs **blobs_out, const char *directory, const struct world *world);
void blobs_close(struct blobs **blobs);

/* Remove the file of a blob, whole or on its way. One that is not there is removed already. ERR_IO, ERR_DENIED. */
MUST_CHECK enum err blobs_remove(struct blobs *blobs, const struct hash *address);

/* Call `each` for every whole blob whose file is here, in no order. ERR_IO, or what `each` gave first. */
MUST_CHECK enum err blobs_each(struct blobs *blobs,
                               enum err (*each)(void *self, const struct hash *address, uint32_t chunk_count),
                               void *self);

/* Call `each` for every file that has an address for a name, whole or with ".part" behind it, whatever is in it; in no order. ERR_IO, or
 * what `each` gave first. */
MUST_CHECK enum err blobs_each_file(struct blobs *blobs,
                                    enum err (*each)(void *self, const struct hash *address, uint64_t bytes),
                                    void *self);

/* --- making one --- */

struct blob_writer;

struct blob_made {
    struct hash address;
    struct blob_key key;
    uint64_t size;
    uint32_t chunk_count;
};

/* Begin a blob of exactly `size` bytes, under a key drawn for it. ERR_INVALID: empty, or above BLOB_BYTES_MAX. ERR_FULL,
 * ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err blob_writer_open(struct blob_writer **writer_out, struct blobs *blobs, uint64_t size);

/* The next bytes of the content, as many as come. ERR_INVALID: more than was said. The first error stays. */
MUST_CHECK enum err blob_write(struct blob_writer *writer, struct span bytes);

/* Write what is left, and make it durable. ERR_INVALID: less came than was said. Wipe the key. */
MUST_CHECK enum err blob_writer_end(struct blob_writer *writer, struct blob_made *made_out);

/* Give it its name: it stays. After blob_writer_end, when its record is written and before that is committed: a crash between
 * leaves a file that no record names and nothing opens, which goes at the next start (sync/replica_blob.c). ERR_IO, ERR_FULL. */
MUST_CHECK enum err blob_writer_keep(struct blob_writer *writer);

/* Without blob_writer_keep the file goes. Takes none. */
void blob_writer_close(struct blob_writer **writer);

/* --- one that is here --- */

struct blob_file;

/* Open a blob, whole or on its way. ERR_ABSENT: there is no such file. ERR_CORRUPT: another file, cut short, or its head
 * does not give the address. ERR_NEWER, ERR_DENIED, ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err blob_open(struct blob_file **file_out, struct blobs *blobs, const struct hash *address);

/* Open it, or begin one that is to be received. Errors as blob_open, but ERR_ABSENT; ERR_INVALID: no such number of chunks, or not
 * that of the file that is here; ERR_FULL. */
MUST_CHECK enum err blob_begin(struct blob_file **file_out, struct blobs *blobs, const struct hash *address,
                               uint32_t chunk_count);

/* Takes none. */
void blob_close(struct blob_file **file);

uint32_t blob_chunks(const struct blob_file *file);
bool blob_is_whole(const struct blob_file *file); /* it has its own name */
bool blob_has_head(const struct blob_file *file);

/* Append the head, or a page, which are checked against what names them. ERR_ABSENT: not here yet. ERR_CORRUPT, ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err blob_read_head(struct blob_file *file, struct buf *out);
MUST_CHECK enum err blob_read_page(struct blob_file *file, uint32_t page, struct buf *out);

/* Read chunk `index` (below blob_chunks: an assert), checked against its page. ERR_CORRUPT: it does not match, or has not come: the file
 * does not know which. ERR_ABSENT: its page is not here. ERR_IO. */
MUST_CHECK enum err blob_read_chunk(struct blob_file *file, uint32_t index, uint8_t out[BLOB_SEALED_BYTES]);

/* Take what a peer sent, in this order; each part is checked before it is written. ERR_INVALID: it is not that of this blob.
 * ERR_ABSENT: the head, or its page, has not come. ERR_FULL, ERR_IO. Nothing is durable before blob_sync. */
MUST_CHECK enum err blob_put_head(struct blob_file *file, struct span head);
MUST_CHECK enum err blob_put_page(struct blob_file *file, uint32_t page, struct span hashes);
MUST_CHECK enum err blob_put_chunk(struct blob_file *file, uint32_t index, struct span sealed);
MUST_CHECK enum err blob_sync(struct blob_file *file);

/* All of it has come: make it durable and give it its name. ERR_IO, ERR_FULL. */
MUST_CHECK enum err blob_finish(struct blob_file *file);

/* Take its name from a whole blob, so that chunks which are damaged can come again. ERR_ABSENT: there is no whole one. ERR_IO. */
MUST_CHECK enum err blobs_reopen(struct blobs *blobs, const struct hash *address);

/* Read all of it and call `damaged` for each chunk that does not match; of a page that does not, for each of its chunks.
 * *count_out: how many. `damaged` may be NULL. ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err blob_check(struct blob_file *file, void (*damaged)(void *self, uint32_t index),
                               void *self, uint32_t *count_out);

/* --- reading its content --- */

struct blob_reader {
    struct blob_file *file; /* lent */
    struct key key;
    struct hash content_hash;
    struct crypto_sha256 sum;
    uint64_t size;
    uint32_t next; /* chunk */
};

/* Begin to read a content of `size` bytes. ERR_INVALID: a blob of so many chunks holds no content of that size. */
MUST_CHECK enum err blob_reader_init(struct blob_reader *reader, struct blob_file *file,
                                     const struct blob_key *key, uint64_t size);

/* The next chunk's content into `out`; *size_out: how much of it there is, 0 once all was given and is what the key says.
 * ERR_CORRUPT: the chunk reader->next does not match, or does not open, or (after the last) all of it is another content.
 * What was given before the 0 is the beginning of a content and no more. ERR_ABSENT, ERR_IO as blob_read_chunk. */
MUST_CHECK enum err blob_reader_next(struct blob_reader *reader, uint8_t out[BLOB_CHUNK_BYTES],
                                     size_t *size_out);

void blob_reader_wipe(struct blob_reader *reader);
