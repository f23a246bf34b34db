/* statement.h - what somebody says about the organisation, and who signed it.
 *
 *     signed statement = [ stmt as bytes, [[sign_pk, signature], ...] ]
 *                           |                  ascending, each signer once
 *            {0: type, 1: org, 2: body, 3: random}      stmt_id = H(stmt)
 *
 * A statement stands for itself: whoever hands it over, its bytes and signatures
 * say all. Signatures are over the stmt_id and no part of it, so copies with
 * different signers unite. This file knows shapes and signatures; whether a statement
 * counts is roster.h. A type from a later version is read as a statement: its body is
 * one CBOR value, and nobody acts on it.
 */
#pragma once

#include "store/entry.h"

struct world;

enum {
    STATEMENT_BYTES_MAX = 24576,
    STATEMENT_CODEBOOK_BYTES_MAX = 262144, /* a whole codebook, which compresses well */
    STATEMENT_SIGNERS_MAX = 64,
    STATEMENT_SIGNED_BYTES_MAX = STATEMENT_CODEBOOK_BYTES_MAX + 8 + STATEMENT_SIGNERS_MAX * 101,
    STATEMENT_NAME_BYTES_MAX = 200, /* names of offices, devices, actors and organisations */
    STATEMENT_ENDPOINT_BYTES_MAX = 255,
    OFFICE_CODE_BYTES_MAX = 12,
    EPOCH_LINK_BYTES = KEY_BYTES + SEAL_BYTES,
    EPOCH_BOX_BYTES = KEY_BYTES + BOX_SEAL_BYTES,
    FORK_HEADERS_MAX = 64, /* of each branch in a fork proof: a whole run */
};

enum statement_type {
    STATEMENT_ORGANISATION = 1,
    STATEMENT_ROOTS = 2,
    STATEMENT_OFFICE = 3,
    STATEMENT_DEVICE = 4,
    STATEMENT_REVOKE = 5,
    STATEMENT_EXTEND = 6,
    STATEMENT_EPOCH = 7,
    STATEMENT_BOX = 8,
    STATEMENT_CODEBOOK = 9,
    STATEMENT_ERASE = 10,
    STATEMENT_FORK_PROOF = 11,
    STATEMENT_ADDRESS = 12,
    STATEMENT_ACTOR = 13,
};

/* What a device or office may do in a compartment; each includes those below. */
enum level { LEVEL_NONE = 0, LEVEL_CARRY = 1, LEVEL_READ = 2, LEVEL_WRITE = 3, LEVEL_ADMIN = 4 };

enum device_role {
    ROLE_CASE_WORK = 1,
    ROLE_REVIEW = 2,
    ROLE_HEADQUARTERS = 4,
    ROLE_OPERATOR = 8,
    ROLE_AUDITOR = 16,
    ROLE_RELAY = 32,
};

/* The three compartments of an office, in the order of its certificate. */
enum own_compartment { OWN_CASES = 0, OWN_PROTECTED = 1, OWN_AUDIT = 2, OWN_COUNT = 3 };

/* Why a key was revoked: shown to people, and decides nothing. A number from a later version counts the same. */
enum revoke_reason {
    REVOKE_NO_REASON = 0,
    REVOKE_LOST = 1,
    REVOKE_STOLEN = 2,
    REVOKE_LEFT = 3,
    REVOKE_REPLACED = 4,
    REVOKE_MISUSE = 5,
};

/* A list of items of one size (cuts alone differ in size), as encoded; lent. One value has one encoding, so
 * item n lies at a known place. */
struct statement_list {
    const uint8_t *items;
    size_t count;
};

struct statement_grant {
    struct ident compartment;
    enum level level;
};

struct statement_parent {
    struct hash epoch_id;
    const uint8_t *link; /* EPOCH_LINK_BYTES, lent */
};

struct statement_box {
    struct hash device_id;
    const uint8_t *sealed; /* EPOCH_BOX_BYTES, lent */
};

struct statement_signature {
    uint8_t sign_pk[SIGN_PK_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
};

struct organisation_body {
    struct span name;
    struct statement_list roots; /* keys */
    uint32_t needed;             /* m: 1 to the number of roots */
    struct ident control;
    struct ident shared;
    uint32_t erasure_signatures; /* 1 or 2 */
    struct hash codebook_id;
};

struct roots_body {
    struct hash before;
    struct statement_list roots; /* keys */
    uint32_t needed;
    struct statement_list keep; /* stmt_ids */
};

struct office_body {
    uint8_t office_pk[SIGN_PK_BYTES];
    struct span code; /* 1 to 12 of A-Z 0-9 - */
    struct span name;
    struct ident own[OWN_COUNT];
    struct statement_list grants;
    uint64_t until; /* seconds since 1970 */
};

struct device_body {
    uint8_t sign_pk[SIGN_PK_BYTES];
    uint8_t box_pk[32];
    uint8_t transport_pk[32];
    uint8_t office_pk[SIGN_PK_BYTES];
    struct statement_list grants;
    enum level any; /* where no grant names the compartment */
    uint32_t roles; /* enum device_role */
    struct span name;
    uint64_t until;
    /* The device's own proof that the three keys are its: NULL, or SIGNATURE_BYTES. With it
     * the certificate needs no further signature of the device. Lent. */
    const uint8_t *possession;
};

/* The last entry of a log that counts, with all its ancestors. */
struct statement_cut {
    struct hash log_id;
    uint64_t seq;
    struct hash entry_id;
};

struct revoke_body {
    uint8_t key[SIGN_PK_BYTES]; /* of an office or a device */
    uint32_t reason;            /* enum revoke_reason */
    struct statement_list cuts; /* ascending by (log_id, seq, entry_id) */
    struct statement_list keep; /* stmt_ids */
};

struct extend_body {
    struct hash revoke; /* the stmt_id of the revocation that this adds to */
    struct statement_list cuts;
    struct statement_list keep;
};

struct epoch_body {
    struct ident compartment;
    uint64_t number;
    struct statement_list parents;
    struct hash commit;
    struct statement_list boxes;
};

struct box_body {
    struct hash epoch_id;
    struct hash device_id;
    const uint8_t *sealed; /* EPOCH_BOX_BYTES, lent */
};

/* A record in one compartment, named by what finds its entries: H("vigil.era.v1", record key). */
struct statement_erase {
    struct ident compartment;
    struct key erase_key;
};

struct erase_body {
    struct ident order;
    struct statement_list keys; /* at least one; ascending by (compartment, erase_key) */
};

/* Consecutive entries of one log from the first that the branches do not share, proven by the signature of the
 * last. Lent. */
struct fork_branch {
    const uint8_t *headers; /* count times HEADER_BYTES */
    size_t count;           /* 1 to FORK_HEADERS_MAX */
    const uint8_t *signature;
};

struct fork_body {
    struct descriptor descriptor;
    uint64_t first;                 /* the seq of the first entry of either branch */
    struct fork_branch branches[2]; /* ascending by the entry_id of their first entry */
};

struct address_body {
    struct hash device_id;
    struct span endpoint;
    uint64_t until;
};

struct actor_body {
    uint8_t office_pk[SIGN_PK_BYTES];
    uint32_t number;
    struct span name;
    uint32_t role;
    bool active;
};

/* A statement taken apart. Every span, list and pointer in it is lent from the bytes it was read from. */
struct statement {
    uint32_t type;   /* enum statement_type, or one from a later version */
    struct hash org; /* of the founding statement: its own id */
    struct hash id;  /* stmt_id */
    uint8_t random[8];
    bool newer;        /* an unknown type, or an unknown key: "needs upgrade", nobody acts on it */
    struct span bytes; /* the stmt itself */
    struct span body;  /* encoding of its body */
    struct statement_list signers; /* see statement_signature_at; empty for a bare stmt */
    union {
        struct organisation_body organisation;
        struct roots_body roots;
        struct office_body office;
        struct device_body device;
        struct revoke_body revoke;
        struct extend_body extend;
        struct epoch_body epoch;
        struct box_body box;
        struct erase_body erase;
        struct fork_body fork;
        struct address_body address;
        struct actor_body actor;
    };
};

/* Take a signed statement, or a bare stmt, apart. Shape, limits, order of lists and validity of keys
 * are checked, signatures are not. False: malformed; `statement_out` is then undefined. */
MUST_CHECK bool statement_read(struct span bytes, struct statement *statement_out);
MUST_CHECK bool statement_read_bare(struct span stmt, struct statement *statement_out);

/* The same for what was read before: keys and proofs are not checked again, which is cheap. */
MUST_CHECK bool statement_read_again(struct span stmt, struct statement *statement_out);
MUST_CHECK bool statement_read_stored(struct span bytes, struct statement *statement_out);

/* Items of lists; `n` is below the list's count. */
const uint8_t *statement_key_at(const struct statement_list *keys, size_t n);
struct hash statement_id_at(const struct statement_list *ids, size_t n);
struct statement_grant statement_grant_at(const struct statement_list *grants, size_t n);
struct statement_parent statement_parent_at(const struct statement_list *parents, size_t n);
struct statement_box statement_box_at(const struct statement_list *boxes, size_t n);
struct statement_erase statement_erase_at(const struct statement_list *keys, size_t n);
struct statement_signature statement_signature_at(const struct statement_list *signers, size_t n);

/* Take the first cut off a list; false at its end. Cuts differ in size, so a list of them is walked:
 *
 *     struct statement_list left = body->cuts;
 *     while (statement_cut_next(&left, &cut)) ... */
bool statement_cut_next(struct statement_list *cuts, struct statement_cut *cut_out);

/* Order by (log_id, seq, entry_id): negative, zero or positive. */
int statement_cut_compare(const struct statement_cut *a, const struct statement_cut *b);

/* The level that `grants` give in a compartment: LEVEL_NONE if they do not name it. */
enum level statement_grant_find(const struct statement_list *grants, const struct ident *compartment);

/* True if `keys`, or ids, hold `key`. */
bool statement_key_find(const struct statement_list *keys, const uint8_t key[32]);

/* The sealed box for this device; NULL if there is none. */
const uint8_t *statement_box_find(const struct statement_list *boxes, const struct hash *device_id);

/* Append one item of a list: the caller keeps them ascending by their first part (cuts and erase keys as a
 * whole), each once.
 * `statement_list_of` lends the list out of what was appended. */
void statement_put_key(struct buf *items, const uint8_t key[32]); /* keys and stmt_ids */
void statement_put_grant(struct buf *items, const struct ident *compartment, enum level level);
void statement_put_parent(struct buf *items, const struct hash *epoch_id,
                          const uint8_t link[EPOCH_LINK_BYTES]);
void statement_put_box(struct buf *items, const struct hash *device_id,
                       const uint8_t sealed[EPOCH_BOX_BYTES]);
void statement_put_cut(struct buf *items, const struct statement_cut *cut);
void statement_put_erase(struct buf *items, const struct ident *compartment, const struct key *erase_key);
struct statement_list statement_list_of(const struct buf *items, size_t count);

/* Append the bare stmt that `statement` describes: its type, org, random and body member (of type 9
 * and unknown ones `body`) are read, nothing else. The result must pass statement_read_bare: an
 * assert. ERR_FULL: longer than such a statement may be; nothing appended. ERR_MEMORY. */
MUST_CHECK enum err statement_encode(struct buf *stmt_out, const struct statement *statement);

void statement_id(struct hash *id_out, struct span stmt);

/* The signature of `signer` under the statement `id`; and whether one is good. */
void statement_signature_make(struct statement_signature *out, const struct hash *id,
                              const struct key_pair *signer);
MUST_CHECK bool statement_signature_valid(const struct statement_signature *signature, const struct hash *id);

/* Append the signed statement of a bare stmt. Signatures ascend by signer, each once, at most
 * STATEMENT_SIGNERS_MAX: an assert. */
void statement_write(struct buf *out, struct span stmt, const struct statement_signature *signatures,
                     size_t signature_count);

/* Encode, sign with each of `signers` (any order, each once) and append the signed statement.
 * Errors as statement_encode. `id_out` may be NULL. */
MUST_CHECK enum err statement_sign(struct buf *out, const struct statement *statement,
                                   const struct key_pair *const *signers, size_t signer_count,
                                   struct hash *id_out);

/* Append the fork proof of two branches, in any order: a signed statement that nobody signs. One pair of branches
 * has one proof, whoever makes it: its random is zero. ERR_INVALID: these branches prove no fork; nothing
 * appended. ERR_MEMORY. `id_out` may be NULL. */
MUST_CHECK enum err statement_fork_make(struct buf *out, const struct hash *org,
                                        const struct descriptor *descriptor,
                                        const struct fork_branch branches[2], struct hash *id_out);

/* The entry_id of entry n of a branch, with its header in words if `entry_out` is not NULL. The branch is one of
 * a proof that was read. */
struct hash statement_fork_entry(const struct fork_body *fork, int branch, size_t n, struct entry *entry_out);

/* The proof of possession of a device's three keys, and whether one is good. */
void statement_possession_make(uint8_t out[SIGNATURE_BYTES], const struct key_pair *sign_pair,
                               const uint8_t box_pk[32], const uint8_t transport_pk[32]);
MUST_CHECK bool statement_possession_valid(const uint8_t possession[SIGNATURE_BYTES],
                                           const uint8_t sign_pk[SIGN_PK_BYTES], const uint8_t box_pk[32],
                                           const uint8_t transport_pk[32]);

/* True if a name holds no control character: it is shown on terminals, and nothing in it may steer one. */
bool statement_name_plain(struct span name);

/* "device", "epoch"; "newer" for a type from a later version. */
const char *statement_type_name(uint32_t type);
