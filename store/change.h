/* change.h - what an entry says once it is opened: ops on one record, statements, a key, or a receipt.
 *
 *     change --+-- op 0   set   title             "…"     replaces  [a:7#0]
 *              +-- op 1   add   act[3f09…]                replaces  []
 *              +-- op 2   set   act[3f09…].stage  2       replaces  []
 *                                                                    ^ preds: dots of ops
 *
 * An op adds at most one value to its target and names the values it replaces. A
 * *dot* names one op wherever it is: 6 bytes of the log's id, the seq, the op's
 * place in its entry, 4 bytes of the entry's id. Within the author's own log the
 * wire has a short form of it; here a dot is always whole.
 *
 * Source: DESIGN section 3, sync/FORMATS.md "payload".
 */
#pragma once

#include "store/base/arena.h"
#include "store/base/ident.h"
#include "store/base/err.h"

enum {
    CHANGE_OPS_MAX = 512,
    CHANGE_PREDS_MAX = 64, /* of an op */
    CHANGE_STATEMENTS_MAX = 512,
    DOT_BYTES = 20,
    DOT_PREFIX_BYTES = 6,
    ELEMENT_ID_BYTES = 8,
};

enum op_code { OP_SET = 1, OP_ADD = 2, OP_REMOVE = 3 };

/* What an op is about: a field of the record (collection 0), an element (field 0), or a
 * field of an element. */
struct target {
    uint32_t collection;
    uint8_t element[ELEMENT_ID_BYTES]; /* zero where collection is 0 */
    uint32_t field;
};

/* log_id[0..6] | seq u64 | op u16 | entry_id[0..4]: ordered by its bytes. */
struct dot {
    uint8_t bytes[DOT_BYTES];
};

struct op {
    uint32_t code; /* enum op_code, or one that this program does not know */
    struct target target;
    struct span value; /* its CBOR; data is NULL where there is none */
    const struct dot *preds;
    size_t pred_count;
};

struct change {
    uint32_t schema;
    uint64_t hlc; /* milliseconds << 16 | counter */
    bool has_tx;
    uint8_t tx[16];
    uint32_t actor;
    const struct op *ops;
    size_t op_count;
};

/* A change with its author and its place in the journal. */
struct signed_change {
    struct change change;
    uint32_t log_no; /* of the branch that stores it; local */
    uint64_t seq;
    struct hash log_id;
    struct hash device_id;
    struct hash entry_id;
};

/* The author's log as far as preds need it: dots whose prefix is `log_id`'s and whose seq is
 * below `seq` are written short, if the log's own entry there has the dot's tag. */
struct change_log {
    struct hash log_id;
    uint64_t seq; /* of the entry that carries the change */
    void *self;
    /* The first 4 bytes of the id of the ancestor `seq` of that entry. False: it cannot be read (a
     * failure of this machine, never of the entry: an accepted entry has all its ancestors). */
    bool (*tag_of)(void *self, uint64_t seq, uint8_t tag_out[4]);
};

enum change_verdict {
    CHANGE_OK = 0,
    CHANGE_NEWER,         /* a schema major or a key that this program does not know: wait for an upgrade */
    CHANGE_NOT_CANONICAL, /* it breaks the format: every replica holds it */
    CHANGE_LIMIT,         /* more ops, preds or statements than an entry may have */
    CHANGE_FAILED,        /* memory or the journal failed: no fault of the entry, try again */
};

int target_compare(const struct target *a, const struct target *b);
static inline int
dot_compare(const struct dot *a, const struct dot *b)
{
    return span_compare(span_of(a->bytes, DOT_BYTES), span_of(b->bytes, DOT_BYTES));
}

/* The dot of op number `op` of an entry. */
void dot_make(struct dot *out, const struct hash *log_id, uint64_t seq, size_t op,
              const struct hash *entry_id);
uint64_t dot_seq(const struct dot *dot);
uint32_t dot_op(const struct dot *dot);

/* Append the payload of a data entry (kind 0): one change has one encoding. Preds may come in any
 * order and are written once each. ERR_INVALID: over a limit, no op, or an op that change_decode would
 * refuse. ERR_IO: tag_of failed. ERR_MEMORY. */
MUST_CHECK enum err change_encode(const struct change *change, const struct change_log *log, struct buf *out);

/* Read the payload of a data entry. Values are lent from `payload`; ops and preds live in `arena`. Fields,
 * collections and op codes unknown here are kept as they are; 1 to 512 ops, numbers from 1 to 2^32 - 1.
 * What `change_out` holds after anything but CHANGE_OK is of no use. */
MUST_CHECK enum change_verdict change_decode(struct span payload, const struct change_log *log,
                                             struct arena *arena, struct change *change_out);

/* The payload of a control entry (kind 1): signed statements, each as its bytes. */
struct change_statements {
    uint64_t hlc;
    uint32_t actor;
    const struct span *statements;
    size_t count;
};

MUST_CHECK enum err change_encode_statements(const struct change_statements *statements, struct buf *out);
MUST_CHECK enum change_verdict change_decode_statements(struct span payload, struct arena *arena,
                                                        struct change_statements *out);

/* The payload of a key entry (kind 2): the key of one record. Wipe it when done. */
struct change_key {
    uint64_t hlc;
    uint32_t actor;
    uint8_t record_key[32];
};

MUST_CHECK enum err change_encode_key(const struct change_key *key, struct buf *out);
MUST_CHECK enum change_verdict change_decode_key(struct span payload, struct change_key *out);

/* How far a device is with an erasure. */
enum receipt_stage {
    RECEIPT_CLOSED = 1, /* no payload and no key is left in use; old bytes may lie in free pages */
    RECEIPT_DONE = 2,   /* nor in any byte of its files */
};

/* The payload of a receipt (kind 5): what became of an order on the device that signs it. */
struct change_receipt {
    uint64_t hlc;
    uint32_t actor;
    struct ident order;
    uint32_t stage;  /* enum receipt_stage, or a later version's */
    uint64_t erased; /* entries whose payload is gone */
    uint64_t unread; /* damaged entries of which nobody here can say whether they are of the record */
    uint64_t late;   /* copies that came afterwards, and were refused */
};

MUST_CHECK enum err change_encode_receipt(const struct change_receipt *receipt, struct buf *out);
MUST_CHECK enum change_verdict change_decode_receipt(struct span payload, struct change_receipt *out);
