/* message.h - the frames two nodes exchange, as bytes and as structs.
 *
 *     one ZeroMQ message = one frame:   type | body
 *
 * Reading is total and allocates nothing: a frame is checked to its last byte
 * once, by frame_read, and lends what it holds; its lists are then walked by
 * *_next functions, which cannot fail. Writing appends to a buf. What a frame means
 * is gossip.h; what each byte is, FORMATS.md "frames".
 */
#pragma once

#include "store/blob.h"
#include "store/entry.h"

enum {
    PROTOCOL_MIN = 1,
    PROTOCOL_MAX = 1,
    FRAME_BYTES_MAX = 1 << 20,         /* CHUNK and BLOB */
    FRAME_SMALL_BYTES_MAX = 16 * 1024, /* every other frame */
    FRAME_PROOF_BYTES_MAX = 32 * 1024, /* but this one: a statement with its signatures */
    FRAME_VERSION_BYTES_MAX = 32,
    TAG_BYTES = 8,
    DIGEST_BYTES = 16,
    SHORT_BYTES = 8, /* a log_id, entry_id or checkpoint id cut short */
    SLICE_COUNT = 16,
};

enum frame_type {
    FRAME_UNKNOWN = 0,
    FRAME_HELLO = 1,
    FRAME_DIGEST = 2,
    FRAME_FRONT = 3,
    FRAME_ANNOUNCE = 4,
    FRAME_WANT = 5,
    FRAME_CHUNK = 6,
    FRAME_ACK = 7,
    FRAME_HEADS = 8,
    FRAME_PROOF = 9,
    FRAME_BLOB = 10,
    FRAME_CREDIT = 11,
    FRAME_DENY = 12,
    FRAME_BYE = 13,
    FRAME_BEYOND = 14,
    FRAME_HAVE = 15,
    FRAME_ASK = 16,
};

/* Of no frame, but of messages that other frames are in, cut to one size: link.c takes them apart (envelope.h). */
enum { FRAME_ENVELOPE = 17 };

enum link_profile { PROFILE_LAN = 1, PROFILE_WAN = 2, PROFILE_METERED = 3, PROFILE_ONEWAY = 4 };
enum digest_flag {
    DIGEST_LACKS_ENTRIES = 1,
    DIGEST_LACKS_PAYLOADS = 2,
    DIGEST_WORKING = 4,
    /* it was told of files and could not note them: it is to be told again once this is gone */
    DIGEST_MISSED_FILES = 8,
};
enum front_mode { FRONT_DELTA = 0, FRONT_HEADS = 1, FRONT_NAMES = 2, FRONT_ASK = 128 };
enum want_policy { WANT_WHOLE = 0, WANT_HEADERS = 1, WANT_PAYLOADS = 2 };

enum deny_code {
    DENY_PROTOCOL = 1,
    DENY_NOT_MEMBER = 2,
    DENY_OTHER_ORGANISATION = 3,
    DENY_TOO_MANY = 4,
    DENY_MALFORMED = 5,
    DENY_SHUTTING_DOWN = 6,
};

enum bye_reason {
    BYE_DONE = 0,
    BYE_SHUTTING_DOWN = 1,
    BYE_OTHER_CONNECTION = 2,
    BYE_CERTIFICATE_LEFT = 3,
    BYE_BUDGET = 4,
    BYE_IDLE = 5
};

/* How a frame names a log. */
enum { LOG_REF_NEW = 0, LOG_REF_SHORT = 1, LOG_REF_FIRST = 2 };
struct log_ref {
    uint64_t ref;     /* LOG_REF_NEW, LOG_REF_SHORT, or LOG_REF_FIRST + place in the order of introduction */
    struct span name; /* the descriptor (57), log_id[0..8], or nothing; lent */
};

struct hello {
    uint8_t min;
    uint8_t max;
    uint8_t incarnation[8];
    uint8_t certificate[8]; /* of its stmt_id */
    uint32_t wall_s;
    uint8_t profile;
    uint32_t credit_bytes;
    struct span version;
};

struct digest_item {
    uint8_t tag[TAG_BYTES];
    uint8_t digest[DIGEST_BYTES];
    uint8_t flags;
};

struct front {
    uint8_t tag[TAG_BYTES];
    uint8_t mode;            /* FRONT_DELTA, FRONT_HEADS, FRONT_NAMES, or FRONT_ASK + one of them */
    uint8_t id[SHORT_BYTES]; /* of the checkpoint (FRONT_DELTA) or the list (FRONT_HEADS) */
    size_t list_count;
    struct reader list;
    size_t extra_count;
    struct reader extra;
};

/* A tip named by itself. */
struct front_extra {
    uint8_t log_short[SHORT_BYTES];
    uint64_t seq;
    bool forked;
    uint64_t branch_first; /* if forked */
    uint8_t branch_id[SHORT_BYTES];
};

struct announce {
    uint8_t tag[TAG_BYTES];
    uint64_t entry_count[LANE_COUNT];
    uint64_t byte_count[LANE_COUNT];
};

struct want {
    uint8_t tag[TAG_BYTES];
    struct log_ref log;
    uint64_t from;
    uint64_t to; /* exclusive; 0: to the tip */
    uint8_t policy;
};

struct chunk_item {
    uint8_t tag[TAG_BYTES];
    struct log_ref log;
    struct span chunk;
};

struct ack_item {
    uint64_t place;        /* in the order in which the acknowledged side introduced its logs */
    uint64_t durable_next; /* durable + 1 */
    uint64_t visible_next; /* visible + 1 <= durable_next */
};

struct heads {
    uint8_t tag[TAG_BYTES];
    uint8_t step;
    const uint8_t *slices; /* step 0: 16 times 8 bytes; lent */
    uint16_t slice_bits;   /* step 1: bit n is slice n */
    struct reader tips;    /* step 1 */
};

struct heads_tip {
    uint8_t log_short[SHORT_BYTES];
    uint64_t seq;
    uint8_t entry_short[SHORT_BYTES];
};

struct beyond {
    uint8_t tag[TAG_BYTES];
    struct reader tips; /* each a heads_tip */
};

/* A piece of a file: its bytes are as many as its place says. */
enum blob_piece { BLOB_HEAD = 0, BLOB_PAGE = 1, BLOB_CHUNK = 2 };
struct blob_part {
    uint8_t tag[TAG_BYTES];
    struct hash address;
    uint32_t chunk_count;
    uint8_t piece;
    uint32_t index; /* of the page or chunk; 0 of the head */
    struct span bytes;
};

struct blob_have {
    uint8_t tag[TAG_BYTES];
    struct reader items;
};

/* A file that the sender holds whole, and an entry that names it: for whoever cannot open that. */
struct blob_have_item {
    struct hash address;
    uint32_t chunk_count;
    uint8_t log_short[SHORT_BYTES];
    uint64_t seq;
    uint8_t entry_short[SHORT_BYTES]; /* of a log that forked several entries have this seq */
};

struct blob_ask {
    uint8_t tag[TAG_BYTES];
    struct hash address;
    uint32_t chunk_count;
    bool head; /* the head, too */
    struct reader pages;
};

/* What is wanted of a page's chunks: bit n of the bitmap, lowest first, is its chunk n. */
enum { ASK_BITMAP_BYTES = BLOB_PAGE_CHUNKS / 8 };
struct blob_ask_page {
    uint32_t page;
    bool hashes;           /* the page itself, too */
    const uint8_t *bitmap; /* ASK_BITMAP_BYTES; lent */
};

struct deny {
    uint8_t code;
    uint32_t retry_after_s; /* 0: never */
    struct span text;
};

struct bye_item {
    uint8_t tag[TAG_BYTES];
    uint8_t checkpoint[SHORT_BYTES];
};

struct bye {
    uint8_t reason;
    struct reader items;
};

/* A frame that was read. Everything in it is lent from its bytes. */
struct frame {
    enum frame_type type; /* FRAME_UNKNOWN: a type that we do not know; nothing else is set */
    union {
        struct hello hello;
        struct reader digests;
        struct front front;
        struct announce announce;
        struct want want;
        struct reader chunks;
        struct {
            uint8_t tag[TAG_BYTES];
            struct reader items;
        } ack;
        struct heads heads;
        struct beyond beyond;
        struct blob_part blob;
        struct blob_have have;
        struct blob_ask ask;
        struct span proof;
        uint32_t credit_bytes;
        struct deny deny;
        struct bye bye;
    };
};

/* Take `bytes` apart and check them to the last one. False: malformed. */
MUST_CHECK bool frame_read(struct span bytes, struct frame *frame_out);

/* Walk a list of a frame that was read: pass a copy of its reader. False: it is at its end. */
bool digest_next(struct reader *digests, struct digest_item *item_out);
bool front_delta_next(struct reader *list, uint64_t *gap_out, uint64_t *rise_out);
bool front_heads_next(struct reader *list, uint64_t *seq_next_out);
bool front_extra_next(struct reader *extra, struct front_extra *extra_out);
bool chunk_next(struct reader *chunks, struct chunk_item *item_out);
bool ack_next(struct reader *items, struct ack_item *item_out);
bool heads_next(struct reader *tips, struct heads_tip *tip_out);
bool blob_have_next(struct reader *items, struct blob_have_item *item_out);
bool blob_ask_next(struct reader *pages, struct blob_ask_page *page_out);
bool bye_next(struct reader *items, struct bye_item *item_out);

/* Append a frame. Lists are written as a head and then their items, one after the other. */
void hello_write(struct buf *out, const struct hello *hello);
void digest_write(struct buf *out);
void digest_item_write(struct buf *out, const struct digest_item *item);
void front_ask_write(struct buf *out, const uint8_t tag[TAG_BYTES], enum front_mode mode);
/* FRONT up to its lists: `id` is of the checkpoint or list, NULL for FRONT_NAMES; for that mode there is no list, so no
 * count of it. The list's items follow, then front_extra_count_write and the extras. */
void front_write(struct buf *out, const uint8_t tag[TAG_BYTES], enum front_mode mode, const uint8_t *id,
                 size_t list_count);
void front_delta_write(struct buf *out, uint64_t gap, uint64_t rise);
void front_heads_write(struct buf *out, uint64_t seq_next);
void front_extra_count_write(struct buf *out, size_t count);
void front_extra_write(struct buf *out, const struct front_extra *extra);
void announce_write(struct buf *out, const struct announce *announce);
void want_write(struct buf *out, const struct want *want);
void chunk_frame_write(struct buf *out);
void chunk_item_write(struct buf *out, const struct chunk_item *item);
void ack_write(struct buf *out, const uint8_t tag[TAG_BYTES]);
void ack_item_write(struct buf *out, const struct ack_item *item);
void heads_slices_write(struct buf *out, const uint8_t tag[TAG_BYTES],
                        const uint8_t slices[SLICE_COUNT * SHORT_BYTES]);
void heads_write(struct buf *out, const uint8_t tag[TAG_BYTES], uint16_t slice_bits);
void heads_tip_write(struct buf *out, const struct heads_tip *tip);
void beyond_write(struct buf *out, const uint8_t tag[TAG_BYTES]); /* its tips follow, by heads_tip_write */
void blob_part_write(struct buf *out, const struct blob_part *part);
void blob_have_write(struct buf *out, const uint8_t tag[TAG_BYTES]);
void blob_have_item_write(struct buf *out, const struct blob_have_item *item);
void blob_ask_write(struct buf *out, const struct blob_ask *ask); /* its pages follow, ascending */
void blob_ask_page_write(struct buf *out, const struct blob_ask_page *page);
void proof_write(struct buf *out, struct span signed_statement);
void credit_write(struct buf *out, uint32_t bytes);
void deny_write(struct buf *out, const struct deny *deny);
void bye_write(struct buf *out, enum bye_reason reason);
void bye_item_write(struct buf *out, const struct bye_item *item);

/* Stable words for a log line or a status: "front", "malformed". Never NULL. */
const char *frame_type_text(enum frame_type type);
const char *deny_code_text(uint8_t code);
