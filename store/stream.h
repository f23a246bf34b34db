/* stream.h - a file that only its recipients can open, written and read from end to end.
 *
 *     header    which part of which pair this is, and the file key, sealed to each recipient
 *     block     64 KiB, sealed
 *     block     ...
 *     block     whatever is left, sealed as the last: only then the file is whole
 *
 * What a block holds is authentic as soon as it opens, but a file that was cut short opens too, up to the cut: a
 * reader acts on nothing before the end has come (stream_read gives ERR_ABSENT). Nothing here touches
 * a disk: bytes go to an output and come from an input of the caller.
 *
 * A passphrase is a recipient like any other: with A = Argon2id(passphrase, salt, passes, memory), H("vigil.bak.pas.v1",
 * A) is an X25519 secret, and who writes the file needs its public key only. So a node can be asked for a backup
 * without being told the passphrase.
 *
 * Bytes of a header (big-endian): "VIGILBAK", version u8 = 1, size u16 of all of the header, part u8, pair_id[16],
 * H("vigil.bak.com.v1", file key), header of the parts[24], recipients u8 (1 to 8), the recipients, and
 * H("vigil.bak.sum.v1", all before), which ends every version: damage is not mistaken for a wrong passphrase. A recipient:
 * type u8, length u16, body. Body of type 1, passphrase: salt[16], passes u32, memory u64, public key[32], sealed[80];
 * of type 2, a box key: sealed[80]. sealed = crypto_box_seal of the file key. The blocks are the parts of
 * crypto_parts under H("vigil.bak.key.v1", file key, version, part, pair_id).
 */
#pragma once

#include "store/vault.h"

enum {
    STREAM_BLOCK_BYTES = 65536, /* of the text, in each block but the last */
    STREAM_RECIPIENTS_MAX = 8,
    STREAM_SEALED_BYTES = KEY_BYTES + BOX_SEAL_BYTES,
    STREAM_HEADER_BYTES_MAX = 2048,
};

/* Which file of a pair: its name ends so. */
enum stream_part { STREAM_MAIN = 1, STREAM_KEYS = 2 };

enum stream_recipient_type { RECIPIENT_PASSPHRASE = 1, RECIPIENT_BOX = 2 };

struct stream_recipient {
    uint8_t type;
    uint8_t public_key[32]; /* of a box key: not in the header, and zero in one that was read */
    uint8_t salt[16];       /* of a passphrase, as is the work */
    struct vault_work work;
    uint8_t sealed[STREAM_SEALED_BYTES]; /* in a header: the file key */
};

struct stream_header {
    uint8_t part; /* enum stream_part */
    struct ident pair_id;
    struct hash commitment; /* to the file key */
    uint8_t start[PART_HEADER_BYTES];
    struct stream_recipient recipients[STREAM_RECIPIENTS_MAX];
    size_t recipient_count; /* of the types that this program knows */
};

/* Where bytes go. Any error ends the writing. */
struct stream_output {
    void *self;
    enum err (*write)(void *self, struct span bytes);
};

/* Where bytes come from: at most `room` of them, none only at the end. */
struct stream_input {
    void *self;
    enum err (*read)(void *self, uint8_t *out, size_t room, size_t *size_out);
};

/* --- recipients --- */

/* The recipient that a passphrase is, under a fresh salt. ERR_INVALID: it is empty, or the work is out of bounds.
 * ERR_MEMORY: less work may fit. */
MUST_CHECK enum err stream_recipient_of_passphrase(struct stream_recipient *out, struct span passphrase,
                                                   const struct vault_work *work, const struct world *world);

/* True if passes and memory are ones that a passphrase may cost. */
bool stream_work_valid(const struct vault_work *work);

void stream_recipient_of_key(struct stream_recipient *out, const uint8_t box_pk[32]);

/* --- headers --- */

/* Make the header of one file: `recipients` (1 to 8) are copied, and the file key is sealed to each. ERR_INVALID: a bad
 * public key. */
MUST_CHECK enum err stream_header_make(struct stream_header *out, enum stream_part part,
                                       const struct ident *pair_id, const struct key *file_key,
                                       const struct stream_recipient *recipients, size_t recipient_count,
                                       const struct world *world);

void stream_header_write(struct buf *out, const struct stream_header *header);

/* Read the header that a file begins with; *size_out: how long it is. `bytes` is the whole file, or at least its first
 * STREAM_HEADER_BYTES_MAX bytes. ERR_INVALID: another kind of file. ERR_NEWER: by a newer program. ERR_CORRUPT:
 * damaged, or cut within the header. */
MUST_CHECK enum err stream_header_read(struct span bytes, struct stream_header *header_out, size_t *size_out);

/* Open the file key. ERR_PASSPHRASE: not the passphrase (the same work for any). ERR_LOCKED: it is sealed to no passphrase, or
 * not to this key pair. ERR_CORRUPT: what opens is not the file key. ERR_MEMORY. `file_key_out` is zero unless
 * it opened. */
MUST_CHECK enum err stream_open_passphrase(const struct stream_header *header, struct span passphrase,
                                           struct key *file_key_out);
MUST_CHECK enum err stream_open_box(const struct stream_header *header, const struct key_pair *box_pair,
                                    struct key *file_key_out);

/* True if it is the file key. */
bool stream_key_fits(const struct stream_header *header, const struct key *file_key);

/* --- writing --- */

struct stream_writer;

/* Write the header, and begin. ERR_MEMORY; errors of the output. */
MUST_CHECK enum err stream_writer_open(struct stream_writer **writer_out, const struct stream_header *header,
                                       const struct key *file_key, struct stream_output output);

/* Append text. Errors of the output; the first one stays. */
MUST_CHECK enum err stream_write(struct stream_writer *writer, struct span text);

/* Write what is left, as the last block: without this the file is not whole. */
MUST_CHECK enum err stream_writer_end(struct stream_writer *writer);

/* Wipes it. Takes none. */
void stream_writer_close(struct stream_writer **writer);

/* --- reading --- */

struct stream_reader;

/* Begin behind the header, whose bytes were taken from the input already. `file_key` must fit: an assert. */
MUST_CHECK enum err stream_reader_open(struct stream_reader **reader_out, const struct stream_header *header,
                                       const struct key *file_key, struct stream_input input);

/* The next `size` bytes of the text. ERR_ABSENT: the text has ended, whole, before the first of them. ERR_CORRUPT: damaged, cut
 * short, or followed by something, or the text ends within. Errors of the input. The first error stays. */
MUST_CHECK enum err stream_read(struct stream_reader *reader, void *out, size_t size);

/* Wipes it. Takes none. */
void stream_reader_close(struct stream_reader **reader);
