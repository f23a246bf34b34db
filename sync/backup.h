/* backup.h - what a backup holds, and how it is written from a replica that goes on meanwhile.
 *
 *     NAME.main   about | statements, notes | control: log, chunk, chunk ... | every other log, chunk ... | end
 *     NAME.keys   about | control key, epoch keys, device keys | payloads of key entries ............... | end
 *
 * It is no copy of a database, whose pages could be crafted, but what peers exchange anyway: statements with their
 * signatures, and chunks that stand for themselves. The key entries of .main are hashes, and their payloads are
 * in .keys, in the same order; so .main alone shows who belongs to the organisation and nothing that a case says, and
 * whoever destroys .keys has closed it.
 *
 *     NAME.files  parts of a bundle (bundle.h): of each file its name and pieces (pocket.h) ............. | end
 *
 * The files that records name go, ciphertext as they are, into a file of their own, if they are to go along: it can be
 * large, is of no use without the other two, and what is damaged in it costs its own place and not the records. Its parts are
 * sealed as those of the volume 1 of a bundle whose id is that of the pair, under the file key.
 *
 * How far each log has come is noted at the beginning, all at one moment, and that is what is written, a slice at a
 * time and without a transaction that lasts: a signature at the tip, which goes when the log grows, is kept
 * in memory. Statements that come meanwhile are written once more at the end, so that an erasure is there whose traces are.
 *
 * Both files are streams (store/stream.h). The text of each: records, one after the other: type u8, size u32, body.
 *
 *     1 about       {0: org b[32], 1: device_id b[32], 2: made u64 ms, 3: with device keys bool, 4: entries uint,
 *                   5: name of the organisation, 6: of the device, 7: [[compartment b[16], frontier digest b[16]], ...]};
 *                   the first record of both files, and the same in both
 *     2 statement   a signed statement
 *     3 note        [name text, content b]: what else the node keeps, of no meaning here
 *     4 log         descriptor[57], first u64, prev[32]: the chunks that follow are of this log, from entry `first` on,
 *                   which comes after `prev`; parents before the branches that leave them
 *     5 chunk       as on the wire
 *     6 end         empty: the last record of both files
 *     16 control    the control key[32]
 *     17 epoch      compartment[16], epoch_id[32], key[32]
 *     18 device     version u8 = 1, Ed25519 seed[32], box secret[32], transport secret[32]
 *     19 payload    log_id[32], seq u64, the payload as on the wire
 */
#pragma once

#include "store/stream.h"
#include "sync/frontier.h"
#include "sync/replica.h"

enum backup_record {
    BACKUP_ABOUT = 1,
    BACKUP_STATEMENT,
    BACKUP_NOTE,
    BACKUP_LOG,
    BACKUP_CHUNK,
    BACKUP_END,
    BACKUP_CONTROL = 16,
    BACKUP_EPOCH,
    BACKUP_DEVICE,
    BACKUP_PAYLOAD,
};

enum {
    BACKUP_RECORD_BYTES_MAX = 1 << 20,
    BACKUP_RECORD_HEAD_BYTES = 1 + 4,
    BACKUP_LOG_BYTES = DESCRIPTOR_BYTES + 8 + HASH_BYTES,
    BACKUP_EPOCH_BYTES = IDENT_BYTES + HASH_BYTES + KEY_BYTES,
    BACKUP_DEVICE_VERSION = 1,
    BACKUP_DEVICE_BYTES = 1 + 3 * 32,
    BACKUP_PAYLOAD_HEAD_BYTES = HASH_BYTES + 8,
    BACKUP_COMPARTMENTS_MAX = 4096,
    BACKUP_FILES_VOLUME = 1,
};

/* The frontier of a compartment when the backup was begun. */
struct backup_digest {
    struct ident compartment;
    uint8_t digest[DIGEST_BYTES];
};

/* What a backup says of itself. */
struct backup_about {
    struct hash org;
    struct hash device_id;
    uint64_t made_ms;
    bool has_device_keys;
    uint64_t entry_count;
    char organisation[STATEMENT_NAME_BYTES_MAX + 1];
    char device[STATEMENT_NAME_BYTES_MAX + 1];
    struct backup_digest *digests; /* owned */
    size_t digest_count;
};

void backup_about_free(struct backup_about *about);

/* Append the body of a record `about`; and read it. ERR_CORRUPT, ERR_MEMORY. */
void backup_about_write(struct buf *out, const struct backup_about *about);
MUST_CHECK enum err backup_about_read(struct span body, struct backup_about *about_out);

/* What the node calls its notes. */
#define BACKUP_NOTE_CONF "node.conf"
#define BACKUP_NOTE_PEERS "peers"

struct backup_note {
    const char *name;
    struct span content;
};

struct backup_options {
    const struct stream_recipient *recipients; /* beside the office's own key */
    size_t recipient_count;                    /* at most STREAM_RECIPIENTS_MAX - 1 */
    const struct backup_note *notes;
    size_t note_count;
    bool with_device_keys;
    struct stream_output main;
    struct stream_output keys;
    bool with_files;            /* those that are here whole */
    struct stream_output files; /* not used if there are none */
};

struct backup;

/* Note how far each log has come, and write what stands before them. Outside of a turn. `replica` outlives the backup; the
 * rest of `options` is needed until this returns, but for what the outputs point to.
 * ERR_INVALID: a note is too large, or there is nobody who could open it. Errors of the outputs and of the tables. */
MUST_CHECK enum err backup_begin(struct backup **backup_out, struct replica *replica,
                                 const struct backup_options *options);

/* Write one slice: at most 256 entries or 1 MiB, but for one chunk. Outside of a turn. *done_out: both files are whole.
 * Errors of the outputs and of the tables; a row that does not verify is no error: see backup_progress. */
MUST_CHECK enum err backup_step(struct backup *backup, bool *done_out);

/* Takes none. */
void backup_close(struct backup **backup);

struct backup_progress {
    uint64_t done; /* entries written, of `all` */
    uint64_t all;
    uint64_t lost;       /* entries left out: one on the way to them is damaged here */
    uint64_t files_here; /* whole, when it was begun: whether they go along or not */
    uint64_t file_bytes_here;
    uint64_t files;            /* written to their end */
    uint64_t file_bytes;       /* of their chunks, written */
    uint64_t file_chunks_lost; /* damaged here */
    uint64_t files_left;       /* erased, put away or damaged meanwhile */
    uint32_t file_parts;
};

struct backup_progress backup_progress(const struct backup *backup);

const struct backup_about *backup_about(const struct backup *backup);

/* What binds the two files of a pair. Lent. */
const struct ident *backup_pair_id(const struct backup *backup);

/* The file key, to read them back with. Lent. */
const struct key *backup_file_key(const struct backup *backup);

/* True if the key of the device's office opens it too. */
bool backup_is_for_office(const struct backup *backup);

/* --- the file key, handed on: what an office that holds its key offline gives to a machine --- */

/* Append the text of a key file: the file key of the pair, sealed to `box_pk`. ERR_INVALID: a bad public key. ERR_MEMORY. */
MUST_CHECK enum err backup_key_write(struct buf *file_out, const struct ident *pair_id,
                                     const struct key *file_key, const uint8_t box_pk[32],
                                     const struct world *world);

/* Read it back, for a file with this header. ERR_INVALID: not such a file, damaged, or of another backup. ERR_LOCKED: sealed to
 * another device. ERR_NEWER, ERR_MEMORY. `fault_out` says it in words. `file_key_out` is zero unless it opened. */
MUST_CHECK enum err backup_key_read(struct span file, const struct stream_header *header,
                                    const struct key_pair *box_pair, struct key *file_key_out,
                                    struct joining_fault *fault_out);
