/* bundle.h - chunks in a pocket: volumes that only their destinations can open, and of which all is used that is whole.
 *
 *     volume     head | manifest | heads | chunks | chunks ... | head | files ... | end | head
 *                  |      \______ parts: each sealed by itself, by its number ______/
 *                  the file key, sealed to each destination; again every MiB
 *
 * A stick is lost, or damaged, or read from the middle. So a volume is a row of *pieces* that each begin with a mark and
 * depend on no other: what is damaged costs its own piece, and the reader goes on at the next mark. A chain of parts, such as
 * libsodium's secretstream, would end at the first flipped bit. What a part holds stands for itself too: chunks as on
 * the wire, with their descriptors, which are believed for their signatures and for nothing that a bundle says. Nothing in
 * clear names anybody: a random number of the bundle, the number of the volume, and slots of which some are
 * sealed to nobody. Format: sync/FORMATS.md. Nothing here touches a disk.
 */
#pragma once

#include "store/stream.h"
#include "sync/message.h"

enum {
    BUNDLE_DESTINATIONS_MAX = 64,
    BUNDLE_SLOTS_STEP = 8, /* slots come in eights, so that they tell no number of destinations */
    BUNDLE_SLOT_BYTES = KEY_BYTES + BOX_SEAL_BYTES,
    BUNDLE_COMPARTMENTS_MAX = 512,
    BUNDLE_MARK_BYTES = 8,
    BUNDLE_PIECE_BYTES = BUNDLE_MARK_BYTES + 1 + 1 + 2, /* mark, version, kind, size of what follows */
    BUNDLE_CHECK_BYTES = 16,
    BUNDLE_HEAD_BYTES_MAX = BUNDLE_PIECE_BYTES + IDENT_BYTES + 4 + 1 +
                            BUNDLE_DESTINATIONS_MAX * BUNDLE_SLOT_BYTES + BUNDLE_CHECK_BYTES,
    BUNDLE_TEXT_BYTES_MAX = 65000, /* of a part */
    /* Of a file that goes along: its head must fit into a part. Just under 4 GiB. */
    BUNDLE_FILE_CHUNKS_MAX = (BUNDLE_TEXT_BYTES_MAX - 64) / HASH_BYTES * BLOB_PAGE_CHUNKS,
    BUNDLE_WISHES_MAX = 1024, /* files of one compartment that one bundle asks for */
    BUNDLE_PART_BYTES = BUNDLE_PIECE_BYTES + 4 + SEAL_BYTES,
    BUNDLE_PIECE_BYTES_MAX = BUNDLE_PART_BYTES + BUNDLE_TEXT_BYTES_MAX,
};

/* What opens a volume: which one it is, and the file key for each destination. */
struct bundle_head {
    struct ident bundle_id;
    uint32_t volume; /* from 1 */
    size_t slot_count;
    uint8_t slots[BUNDLE_DESTINATIONS_MAX][BUNDLE_SLOT_BYTES];
};

/* Seal `file_key` to 1 to BUNDLE_DESTINATIONS_MAX box keys, and to nobody as often as slots are left; in an order of chance. The
 * volume is 1. ERR_INVALID: a bad public key. */
MUST_CHECK enum err bundle_head_make(struct bundle_head *out, const struct ident *bundle_id,
                                     const struct key *file_key, const uint8_t (*box_pks)[32],
                                     size_t box_count, const struct world *world);

/* Append it as a piece. */
void bundle_head_write(struct buf *out, const struct bundle_head *head);

/* Open the file key. False: no slot is ours. */
MUST_CHECK bool bundle_head_open(const struct bundle_head *head, const struct key_pair *box_pair,
                                 struct key *file_key_out);

/* What the parts of one volume are sealed with. Wipe it. */
void bundle_volume_key(struct key *out, const struct key *file_key, const struct ident *bundle_id,
                       uint32_t volume);

/* What a part's text begins with. */
enum bundle_part {
    BUNDLE_MANIFEST = 1, /* a signed manifest */
    BUNDLE_HEADS = 2,    /* signature[64], and a frame HEADS: tips that the exporter has of a compartment */
    BUNDLE_CHUNKS = 3,   /* a frame CHUNK */
    BUNDLE_END = 4,      /* u32: parts of this volume before it; u8: 1 if it is the last volume */
    BUNDLE_HAVE = 5,     /* signature[64], and a frame HAVE: files that the exporter holds whole */
    BUNDLE_FILE = 6,     /* a frame BLOB: a piece of a file */
    BUNDLE_WISHES =
        7, /* signature[64], tag, and addresses: files that somebody at the exporter's asked for */
};

/* Append `text` (type byte first, 1 to BUNDLE_TEXT_BYTES_MAX bytes) as the part `index` of its volume. No index twice under
 * one key. */
void bundle_part_write(struct buf *out, const struct key *volume_key, uint32_t index, struct span text);

/* --- what a bundle says of itself --- */

enum bundle_content {
    BUNDLE_ALL = 0,      /* everything that the destinations may carry */
    BUNDLE_LACKING = 1,  /* of that, what one of them is not known to have */
    BUNDLE_RECEIPTS = 2, /* of that, what is in `control` alone */
};

struct bundle_compartment {
    struct ident id;
    uint8_t digest[DIGEST_BYTES]; /* of the exporter's frontier when it began */
    uint8_t flags;                /* enum digest_flag */
};

struct bundle_manifest {
    struct hash org;
    struct ident bundle_id;
    uint32_t volume;
    uint8_t sign_pk[SIGN_PK_BYTES]; /* of the device that made it */
    uint64_t made_ms;               /* by its clock */
    enum bundle_content content;
    struct hash destinations[BUNDLE_DESTINATIONS_MAX]; /* device ids, ascending, each once */
    size_t destination_count;
    struct bundle_compartment compartments[BUNDLE_COMPARTMENTS_MAX]; /* ascending by id, each once */
    size_t compartment_count;
};

/* Append the text of a part BUNDLE_MANIFEST, signed by that device. */
void bundle_manifest_write(struct buf *out, const struct bundle_manifest *manifest,
                           const struct key_pair *signer);

/* Read it from the text behind the type byte. False: not a manifest, or the signature is not that of the device that it names.
 * Whether that one is a member is not looked at. */
MUST_CHECK bool bundle_manifest_read(struct span body, struct bundle_manifest *out);

/* Append the text of a part BUNDLE_HEADS of this bundle; `frame` is a frame HEADS with tips. */
void bundle_heads_write(struct buf *out, const struct ident *bundle_id, struct span frame,
                        const struct key_pair *signer);

/* Read it, likewise. False: no such frame, or not signed by that key for this bundle. */
MUST_CHECK bool bundle_heads_read(struct span body, const struct ident *bundle_id,
                                  const uint8_t sign_pk[SIGN_PK_BYTES], struct heads *heads_out);

/* The same of the other parts that the exporter vouches for: BUNDLE_HAVE, `bytes` being the frame, and BUNDLE_WISHES. */
void bundle_said_write(struct buf *out, enum bundle_part type, const struct ident *bundle_id,
                       struct span bytes, const struct key_pair *signer);

/* Read one of them; *bytes_out: what the exporter said, lent. False: it is not signed by that key as such a part of this bundle. */
MUST_CHECK bool bundle_said_read(struct span body, enum bundle_part type, const struct ident *bundle_id,
                                 const uint8_t sign_pk[SIGN_PK_BYTES], struct span *bytes_out);

/* --- reading --- */

enum bundle_found {
    BUNDLE_NOTHING,     /* a stretch without a piece; go on */
    BUNDLE_HEAD_OPENED, /* a head that is sealed to us: `head` is lent */
    BUNDLE_HEAD_LOCKED, /* one that is sealed to others */
    BUNDLE_PART,        /* a part that opened: `type` and `body` are lent, `index` and `volume` say which */
    BUNDLE_PART_LOCKED, /* one for which there is no key */
};

/* A piece. What it lends is good until the next call. */
struct bundle_piece {
    enum bundle_found found;
    const struct bundle_head *head;
    uint32_t volume;
    uint32_t index;
    uint8_t type; /* enum bundle_part, or one from a later version */
    struct span body;
    size_t work; /* about how many bytes reading it has cost: for slices */
};

struct bundle_reading {
    uint64_t bytes;          /* read */
    uint64_t damaged_bytes;  /* that belong to no piece which is whole */
    uint64_t damaged_places; /* stretches of such bytes */
    uint64_t locked_bytes;   /* of pieces that are sealed to others */
    uint64_t parts;          /* that opened */
};

struct bundle_reader;

/* Begin; `box_pair` outlives the reader. ERR_MEMORY. It needs as much memory whatever it reads. */
MUST_CHECK enum err bundle_reader_open(struct bundle_reader **reader_out, const struct key_pair *box_pair,
                                       struct stream_input input);

/* Open parts with this key until a head says otherwise: where the head came later, or is not for us to open. */
void bundle_reader_use(struct bundle_reader *reader, const struct ident *bundle_id, uint32_t volume,
                       const struct key *file_key);

/* Which volume the key is of that is used; only whoever has the key can have sealed what opens. False: there is none. */
bool bundle_reader_volume(const struct bundle_reader *reader, struct ident *bundle_id_out,
                          uint32_t *volume_out);

/* The next piece. ERR_ABSENT: the input has ended. Errors of the input, once all that came before is given. */
MUST_CHECK enum err bundle_next(struct bundle_reader *reader, struct bundle_piece *piece_out);

struct bundle_reading bundle_reading(const struct bundle_reader *reader);

/* Wipes it. Takes none. */
void bundle_reader_close(struct bundle_reader **reader);
