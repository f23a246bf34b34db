/* roster.h - who belongs to the organisation: a pure function of a set of statements.
 *
 *     founding -- root sets -- offices -- devices -- epochs, boxes, addresses, actors
 *         m of n signatures  |    office + device      a device, an office
 *                            +-- revocations of offices and devices; an office revokes what it certified
 *
 * Statements are added in any order, any number of times; roster_settle then
 * computes what stands, from the top. Nothing here looks at a clock or at the order
 * of arrival. What does not stand is kept too, for what it waits for may come.
 *
 * One rule takes back: the signature of a revoked key counts on a statement only if every revocation of that key
 * keeps it. A revoked device is still an author: what it wrote before its cuts counts. Three questions differ:
 * what may a device do now (roster_level), by what right did it write (roster_author_level), and did anybody ever
 * certify it (roster_ever_level), which no later statement takes back.
 *
 * Pointers to devices, offices, compartments, epochs and actors are good until the next
 * roster_settle; keep ids, not pointers, across turns.
 */
#pragma once

#include "sync/statement.h"

struct codebook;
struct roster;

struct roster_office {
    uint8_t office_pk[SIGN_PK_BYTES];
    struct hash stmt_id; /* of the certificate whose words are shown: highest (until, stmt_id) */
    const char *code;
    const char *name;
    struct ident own[OWN_COUNT];
    uint64_t until; /* seconds; the latest of its certificates */
    bool revoked;   /* what it signs counts no more, but for what its revocations keep */
    /* The lowest, by key, of those that have the same three compartments for their own: one office under several keys, of
     * which some follow upon others. Itself, where it has had but one. */
    const struct roster_office *house;
};

struct roster_device {
    struct hash device_id;
    uint8_t sign_pk[SIGN_PK_BYTES];
    uint8_t box_pk[32];
    uint8_t transport_pk[32];
    struct hash certificate; /* stmt_id of the one whose words are shown: highest (until, stmt_id) */
    const struct roster_office *office;
    const char *name;
    uint32_t roles; /* enum device_role */
    uint64_t until;
    const char *endpoint; /* "": none known */
    uint64_t endpoint_until;
    uint32_t
        index; /* 0 to count - 1, ascending by device_id; changes when the roster does. UINT32_MAX if revoked */
    bool revoked; /* no session, no boxes, no new rights; what it wrote before its cuts counts */
};

enum compartment_role {
    COMPARTMENT_CONTROL,
    COMPARTMENT_SHARED,
    COMPARTMENT_CASES,     /* has a twin, the protected one */
    COMPARTMENT_PROTECTED, /* has a twin, the case compartment */
    COMPARTMENT_AUDIT,
    COMPARTMENT_OTHER, /* granted, but no standing office calls it its own */
};

struct roster_epoch {
    struct hash epoch_id; /* stmt_id */
    struct ident compartment;
    uint64_t number;
    struct hash commit;
    struct statement_list parents;
    struct statement_list boxes;
    /* The device with admin that made it, if it stands and is not revoked; else NULL. */
    const struct roster_device *maker;
    bool stands;  /* its signer stands with admin in its compartment */
    bool whole;   /* all its ancestors are here and its number follows from theirs */
    bool tip;     /* stands, is whole, and no epoch that is both names it as parent */
    bool exposed; /* a device that has lost read has its key; looked for down to the epoch in force */
};

struct roster_compartment {
    struct ident id;
    enum compartment_role role;
    bool padded;                           /* protected and audit: payloads are padded */
    const struct roster_office *owner;     /* NULL: control, shared, other */
    const struct roster_compartment *twin; /* NULL: none */
    /* What is written with: the highest (number, stmt_id) that stands and is whole, whose maker lives, and whose
     * key no device has that has lost read: neither by its own boxes nor by those of an epoch that links to it.
     * NULL: none; an admin makes one. */
    const struct roster_epoch *current;
    char name[OFFICE_CODE_BYTES_MAX + 20]; /* "KEN cases", "control", "compartment 3f09a1c2..." */
};

struct roster_actor {
    uint8_t office_pk[SIGN_PK_BYTES]; /* of the office's house */
    struct hash stmt_id;              /* that says this; one with a higher id says it anew */
    uint32_t number;
    const char *name;
    uint32_t role;
    bool active;
};

/* An empty roster of the organisation whose founding statement has the id `org`. NULL: no memory. */
struct roster *roster_new(const struct hash *org);
void roster_free(struct roster **roster);

enum roster_news {
    ROSTER_NEW,       /* a statement or a signature that was not here: roster_settle is due */
    ROSTER_KNOWN,     /* nothing new */
    ROSTER_MALFORMED, /* not a signed statement */
    ROSTER_FOREIGN,   /* of another organisation */
    ROSTER_UNSIGNED,  /* no signature verifies */
    ROSTER_MEMORY,    /* no memory: nothing was kept */
};

/* Take in a signed statement: copy it, leave out signatures that do not verify, unite it with copies.
 * `id_out` (may be NULL) gets its stmt_id unless malformed. */
MUST_CHECK enum roster_news roster_add(struct roster *roster, struct span signed_statement,
                                       struct hash *id_out);

/* The same for one whose signatures were verified before it was stored here, in a sealed row. */
MUST_CHECK enum roster_news roster_add_stored(struct roster *roster, struct span signed_statement,
                                              struct hash *id_out);

/* Compute what stands. ERR_MEMORY: the standing is as it was before. */
MUST_CHECK enum err roster_settle(struct roster *roster);

/* Counts the settles that found something new; starts at 0. A cheap "has the roster changed?". */
uint64_t roster_generation(const struct roster *roster);

/* --- the organisation --- */

const struct hash *roster_org(const struct roster *roster);
/* True once the founding statement stands; before that nothing else does. */
bool roster_founded(const struct roster *roster);
/* "" before it is founded. */
const char *roster_name(const struct roster *roster);
/* Root keys in force and how many are needed; empty before it is founded. */
struct statement_list roster_roots(const struct roster *roster, uint32_t *needed_out);
/* Signatures that an erasure needs: 1 or 2. */
uint32_t roster_erasure_signatures(const struct roster *roster);
/* The stmt_id of the root set in force: org itself, or of the last successor. */
const struct hash *roster_roots_id(const struct roster *roster);
/* Zero before it is founded. */
const struct ident *roster_control(const struct roster *roster);
const struct ident *roster_shared_id(const struct roster *roster);
/* The highest (version, stmt_id) that stands, or else the embedded default. */
const struct codebook *roster_codebook(const struct roster *roster);
/* Statements that "need an upgrade": unknown types or keys. */
size_t roster_newer_count(const struct roster *roster);

/* --- devices --- */

/* Living devices, ascending by device_id. */
size_t roster_device_count(const struct roster *roster);
const struct roster_device *roster_device_at(const struct roster *roster, size_t index);

/* Living devices, which are certified and not revoked; NULL: there is none. `certificate` is the beginning of the
 * stmt_id of any certificate of it that was not withdrawn. */
const struct roster_device *roster_device(const struct roster *roster, const struct hash *device_id);
const struct roster_device *roster_device_by_sign_pk(const struct roster *roster,
                                                     const uint8_t sign_pk[SIGN_PK_BYTES]);
const struct roster_device *roster_device_by_transport_pk(const struct roster *roster,
                                                          const uint8_t transport_pk[32]);
const struct roster_device *roster_device_by_certificate(const struct roster *roster,
                                                         const uint8_t certificate[8]);

/* The level of a device in a compartment, by its certificates and its office's. NULL, revoked: LEVEL_NONE.
 * Of several certificates of one device, the one that gives most counts; an office that revoked the device took
 * back its own. */
enum level roster_level(const struct roster *roster, const struct roster_device *device,
                        const struct ident *compartment);

/* --- authors: devices, living or revoked --- */

/* Ascending by device_id. */
size_t roster_author_count(const struct roster *roster);
const struct roster_device *roster_author_at(const struct roster *roster, size_t n);
/* NULL: no certificate of it counts. */
const struct roster_device *roster_author(const struct roster *roster, const struct hash *device_id);
const struct roster_device *roster_author_by_sign_pk(const struct roster *roster,
                                                     const uint8_t sign_pk[SIGN_PK_BYTES]);
/* By the certificates that count, whether the device is revoked or not: what it wrote within its cuts is judged by
 * this. NULL: LEVEL_NONE. */
enum level roster_author_level(const struct roster *roster, const struct roster_device *author,
                               const struct ident *compartment);

/* Whether any office that the roots ever certified certified this device, and the highest level that such
 * certificates gave: revocations, root sets that keep less and certificates with the same keys change nothing. */
bool roster_ever_certified(const struct roster *roster, const uint8_t sign_pk[SIGN_PK_BYTES]);
enum level roster_ever_level(const struct roster *roster, const uint8_t sign_pk[SIGN_PK_BYTES],
                             const struct ident *compartment);

/* --- revocations --- */

/* A REVOKE that stands, with what it and its standing EXTENDs let pass. By the roots, it takes back everything; by
 * an office, what that office gave: two offices that certified one device revoke it both. */
struct roster_revocation {
    struct hash stmt_id;
    uint8_t key[SIGN_PK_BYTES]; /* of a device or an office */
    uint32_t reason;            /* enum revoke_reason, or one from a later version */
    bool by_roots;
    const struct roster_office *office; /* who revoked; NULL: the roots */
    const struct statement_cut *cuts;   /* ascending, each once */
    size_t cut_count;
    const struct hash *keep; /* stmt_ids, likewise */
    size_t keep_count;
};

/* Ascending by (key, stmt_id). */
size_t roster_revocation_count(const struct roster *roster);
const struct roster_revocation *roster_revocation_at(const struct roster *roster, size_t n);
/* The revocations of this key. */
const struct roster_revocation *roster_revocations_of(const struct roster *roster,
                                                      const uint8_t key[SIGN_PK_BYTES], size_t *count_out);
/* True if the revocation of a device cuts its logs in this compartment. By the roots it does everywhere; by an
 * office, where nobody else who has not revoked it lets the device write. */
bool roster_revocation_reaches(const struct roster *roster, const struct roster_revocation *revocation,
                               const struct ident *compartment);

/* --- erasures --- */

/* An ERASE: it stands if two devices signed it (roster_erasure_signatures() of them), each made admin in every
 * compartment it names by another office. Certificates alone decide, whatever was revoked since: there is no undo. */
struct roster_erasure {
    struct hash stmt_id;
    struct ident order;
    bool stands;
    uint32_t signed_count;      /* 0, 1, or 2: signatures that count together */
    uint32_t needed;            /* 1 or 2 */
    const struct hash *signers; /* device ids of those whose signature counts, one beside another or alone */
    size_t signer_count;
    struct statement_list keys; /* see statement_erase_at */
};

/* Every ERASE that is here, standing or waiting for a signature, ascending by (order, stmt_id). */
size_t roster_erasure_count(const struct roster *roster);
const struct roster_erasure *roster_erasure_at(const struct roster *roster, size_t n);

struct roster_erase_key {
    struct ident compartment;
    struct key erase_key;
    struct ident order;
};

/* The keys that standing orders name in a compartment, ascending by (erase_key, order). */
const struct roster_erase_key *roster_erase_keys_of(const struct roster *roster,
                                                    const struct ident *compartment, size_t *count_out);

/* --- forks --- */

/* Two entries that one author signed behind one other. */
struct roster_fork {
    struct hash stmt_id;
    struct descriptor descriptor;
    struct hash log_id;
    struct hash device_id;
    uint64_t first;        /* the seq of the two */
    struct hash branch[2]; /* their entry_ids */
    uint64_t last_seq[2];  /* how far the proof follows each */
};

/* The proofs about devices that were ever certified, ascending by (log_id, first, stmt_id). */
size_t roster_fork_count(const struct roster *roster);
const struct roster_fork *roster_fork_at(const struct roster *roster, size_t n);

/* --- offices --- */

/* Revoked offices too: their compartments are still there. */
size_t roster_office_count(const struct roster *roster);
const struct roster_office *roster_office_at(const struct roster *roster, size_t n); /* ascending by key */
const struct roster_office *roster_office(const struct roster *roster,
                                          const uint8_t office_pk[SIGN_PK_BYTES]);
/* Of several offices with one code, one that is not revoked before one that is, and then that of the lowest stmt_id. */
const struct roster_office *roster_office_by_code(const struct roster *roster, const char *code);
/* What the office may grant there at most. */
enum level roster_office_level(const struct roster *roster, const struct roster_office *office,
                               const struct ident *compartment);

/* --- compartments --- */

size_t roster_compartment_count(const struct roster *roster);
const struct roster_compartment *roster_compartment_at(const struct roster *roster,
                                                       size_t n); /* ascending by id */
const struct roster_compartment *roster_compartment(const struct roster *roster, const struct ident *id);
/* By the first 8 bytes of its id; of several, the lowest. */
const struct roster_compartment *roster_compartment_by_tag(const struct roster *roster, const uint8_t tag[8]);
/* By what people type: "KEN:cases", "KEN cases", "control", or an unique prefix (>= 4 digits) of the id in hex. */
const struct roster_compartment *roster_compartment_by_name(const struct roster *roster, const char *name);

/* The compartments in which both devices have at least carry, ascending by id, `control` first.
 * At most `room` are given; the return value is how many there are. */
size_t roster_compartments_shared(const struct roster *roster, const struct roster_device *a,
                                  const struct roster_device *b, const struct roster_compartment **out,
                                  size_t room);

/* --- epochs, actors --- */

/* Every epoch that is here, standing or not, ascending by (compartment, number, stmt_id). */
size_t roster_epoch_count(const struct roster *roster);
const struct roster_epoch *roster_epoch_at(const struct roster *roster, size_t n);
const struct roster_epoch *roster_epoch(const struct roster *roster, const struct hash *epoch_id);
/* The epochs of one compartment: a run of roster_epoch_at from the index returned. */
size_t roster_epochs_of(const struct roster *roster, const struct ident *compartment, size_t *count_out);

/* The sealed keys (EPOCH_BOX_BYTES each) for this device in this epoch, from the epoch itself and from BOX
 * statements: at most `room`; gives how many there are. The epoch's commit tells a good one. */
size_t roster_boxes(const struct roster *roster, const struct hash *epoch_id, const struct hash *device_id,
                    const uint8_t **sealed_out, size_t room);

/* True if a device with admin there has boxed this epoch for this device. */
bool roster_has_box(const struct roster *roster, const struct hash *epoch_id, const struct hash *device_id);

/* The actor of an entry's author: NULL if the office has named none by this number. */
const struct roster_actor *roster_actor(const struct roster *roster, const struct roster_office *office,
                                        uint32_t number);
/* The actors of an office, ascending by number. */
const struct roster_actor *roster_actors_of(const struct roster *roster, const struct roster_office *office,
                                            size_t *count_out);

/* --- the statements themselves --- */

size_t roster_statement_count(const struct roster *roster);

/* Append the signed statement `id` with the signatures that are here (at most STATEMENT_SIGNERS_MAX, those
 * that count first). False: it is not here. */
bool roster_write(const struct roster *roster, const struct hash *id, struct buf *out);

/* Walk every statement: the settled ones ascending by id, then what came since. `stmt` is lent. Type zero
 * walks all types. */
void roster_each(const struct roster *roster, uint32_t type,
                 void (*each)(void *self, const struct hash *id, uint32_t type, struct span stmt),
                 void *self);

/* True if the statement counts now: signed as its type demands by those who may say so. */
bool roster_stands(const struct roster *roster, const struct hash *id);
