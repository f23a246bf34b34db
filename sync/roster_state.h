/* roster_state.h - what the files of the roster share; nobody else includes it.
 *
 *     roster_settle     roots, codebook; the whole          roster_revoke    whose signature counts
 *     roster_offices    offices, compartments               roster_epochs    epochs, boxes
 *     roster_devices    devices, addresses, actors          roster_orders    erasures, fork proofs
 *
 * The set of statements only grows. The state is derived from it as a whole, in roster_settle, and
 * replaced as a whole. It is derived in two layers: the genuine one asks who was ever certified, ignores
 * revocations and what later root sets keep, and so only grows; the other asks what counts.
 */
#pragma once

#include "sync/roster.h"

struct codebook;

/* A statement that is here, with every good signature that came. */
struct kept {
    struct statement statement; /* lends from `bytes` */
    uint8_t *bytes;
    struct statement_signature *signatures; /* ascending by signer */
    size_t signature_count;
    size_t signature_capacity;
    bool stands;   /* as of the state in force */
    bool standing; /* the same of the state that is being computed */
};

struct text_block;

/* A certificate of a device that counts. */
struct certificate {
    struct kept *kept;
    uint32_t office;      /* which of the offices */
    size_t key_number[3]; /* equal numbers are equal keys */
    struct hash device_id;
    bool withdrawn; /* its device is revoked by the roots, or by this office */
};

struct office_state {
    struct hash lowest_id;          /* of its certificates */
    struct statement_grant *grants; /* over all its certificates, ascending; the highest level of each */
    size_t grant_count;
    bool admin_of_cases; /* it may grant admin in some office's cases */
};

struct device_state {
    size_t first_certificate; /* in `certificates` */
    size_t certificate_count;
    bool admin;         /* in some office's cases, hence in `control` and `shared` */
    bool author_admin;  /* the same, revoked or not */
    enum level highest; /* in what belongs to offices, write at most: hence in `shared` */
    enum level author_highest;
};

/* A BOX statement that counts. */
struct box_state {
    struct hash epoch_id;
    struct hash device_id;
    const uint8_t *sealed;
};

struct certificate_name {
    struct hash stmt_id;
    uint32_t device;
};

struct root_set {
    struct kept *kept;
    struct statement_list roots;
    uint32_t needed;
    struct statement_list keep; /* of what earlier sets signed */
};

/* Revocations, with the lists that they point into. */
struct revocations {
    struct roster_revocation *all; /* ascending by (key, stmt_id, office), those by the roots first */
    size_t count;
    struct buf cuts; /* struct statement_cut */
    struct buf keep; /* struct hash */
};

struct state {
    bool genuine_only; /* the layer that ignores what was taken back */
    struct text_block *text;
    const struct kept *founding; /* NULL: not founded */
    const char *name;
    struct root_set *root_sets; /* founding first */
    size_t root_set_count;
    struct roster_office *offices; /* ascending by key */
    struct office_state *office_states;
    size_t office_count;
    struct revocations revocations;
    struct certificate *certificates; /* ascending by (device_id, stmt_id) */
    size_t certificate_count;
    struct certificate_name *certificate_names; /* of living devices; ascending by stmt_id */
    size_t certificate_name_count;
    struct roster_device *devices; /* living and revoked, ascending by device_id */
    struct device_state *device_states;
    size_t device_count;
    uint32_t *living; /* the places of those that are not revoked */
    size_t living_count;
    uint32_t *by_sign_pk; /* devices in that order */
    uint32_t *by_transport_pk;
    struct roster_compartment *compartments; /* ascending by id */
    size_t compartment_count;
    struct roster_epoch *epochs; /* ascending by (compartment, number, stmt_id) */
    size_t epoch_count;
    uint32_t *epochs_by_id;
    struct box_state *boxes; /* ascending by (epoch, device) */
    size_t box_count;
    struct roster_actor *actors; /* ascending by (office, number) */
    size_t actor_count;
    struct roster_erasure *erasures; /* ascending by (order, stmt_id) */
    size_t erasure_count;
    struct hash *erasure_signers;        /* they point into it */
    struct roster_erase_key *erase_keys; /* ascending by (compartment, key, order) */
    size_t erase_key_count;
    struct roster_fork *forks; /* ascending by (log_id, first, stmt_id) */
    size_t fork_count;
    struct codebook *codebook; /* NULL: the embedded default */
    size_t newer_count;
    bool clashed;          /* some certificate fell to another that shares a key */
    struct state *genuine; /* the genuine layer; NULL: nothing was taken back, it is this one */
};

struct roster {
    struct hash org;
    struct kept **kept; /* as of the last settle ascending by id, then what came since */
    size_t kept_count;
    size_t kept_capacity;
    struct kept **slots; /* by id; open addressing, a power of two */
    size_t slot_count;
    bool news;
    uint64_t generation;
    struct state *state; /* never NULL */
};

/* Compute the state of a roster. ERR_MEMORY. `standing` of every statement is set. */
MUST_CHECK enum err state_new(struct state **state_out, struct roster *roster);
void state_free(struct state **state);

/* --- lookups in a state, for use while it is computed too --- */

const struct roster_office *state_office(const struct state *state, const uint8_t *office_pk);
/* Living or revoked. */
const struct roster_device *state_device(const struct state *state, const struct hash *device_id);
const struct roster_device *state_device_by_sign_pk(const struct state *state, const uint8_t *sign_pk);
const struct roster_compartment *state_compartment(const struct state *state, const struct ident *id);
const struct roster_epoch *state_epoch(const struct state *state, const struct hash *epoch_id);
/* The first BOX that is not below this epoch and device (NULL: the epoch alone). */
size_t state_box_from(const struct state *state, const struct hash *epoch_id, const struct hash *device_id);
/* The layer that ignores what was taken back. */
const struct state *state_genuine(const struct state *state);

/* --- who signed, and whose signature counts --- */

/* True if this key is among the signers of the statement. */
bool kept_signed_by(const struct kept *kept, const uint8_t *sign_pk);

/* True if the statement is of this type and this version understands it. */
bool kept_is(const struct kept *kept, enum statement_type type);
/* How many of them are here. */
size_t kept_count_of(const struct roster *roster, enum statement_type type);

/* The statement stands, as far as this layer decides. */
void kept_stand(const struct state *state, struct kept *kept);

/* True if enough roots of some set signed, and every later set keeps what that set signed. */
bool state_signed_by_roots(const struct state *state, const struct kept *kept);

/* The one rule: what `key` signs counts unless somebody above revoked the key and did not keep the statement.
 * Above a device are the roots and `office`, for what that office gave; above an office (`office` is NULL) the
 * roots. `stmt_id` is NULL for whatever the key might sign from now on. */
bool state_signature_counts(const struct state *state, const uint8_t *key, const struct roster_office *office,
                            const struct hash *stmt_id);

/* True if the office signed it and its signature counts. */
bool state_signed_by_office(const struct state *state, const struct kept *kept,
                            const struct roster_office *office);

/* True if a device signed it that has admin in the compartment for what it signs there, as that counts. */
bool state_signed_by_admin(const struct state *state, const struct kept *kept,
                           const struct ident *compartment);

/* --- levels --- */

/* Which certificates of a device are asked. */
enum asking {
    ASK_LIVING,    /* those that were not withdrawn */
    ASK_AUTHOR,    /* all that count, withdrawn or not */
    ASK_STATEMENT, /* those for which its signature on `stmt_id` counts */
    ASK_OFFICE,    /* those of `office` */
};

struct question {
    enum asking asking;
    const struct hash *stmt_id;
    uint32_t office;
};

enum level state_office_level(const struct state *state, size_t office, const struct ident *compartment);
/* The highest level that the certificates asked give. NULL: LEVEL_NONE. */
enum level state_level(const struct state *state, const struct roster_device *device,
                       const struct ident *compartment, const struct question *question);
/* True if the question asks this certificate. */
bool state_asks(const struct state *state, const struct certificate *certificate,
                const struct question *question);
/* True if the certificates asked give admin in the cases of some office. */
bool state_admin_of_cases(const struct state *state, const struct roster_device *device,
                          const struct question *question);

/* The highest level that its certificates, and their offices, give the device in any compartment but `control` and `shared`; write at
 * most. */
enum level state_highest_level(const struct state *state, const struct roster_device *device,
                               const struct question *question);

/* --- the steps of settling, in this order --- */

/* Office certificates are those that stand, ascending by key and id. */
MUST_CHECK enum err settle_offices(struct state *state, struct kept *const *certificates, size_t count);
MUST_CHECK enum err settle_compartments(struct state *state, struct kept *const *certificates, size_t count);
/* Revocations by the roots; once certificates are collected, those by offices too. */
MUST_CHECK enum err settle_revocations(struct state *state, struct roster *roster, bool by_offices_too);
MUST_CHECK enum err settle_certificates(struct state *state, struct roster *roster);
MUST_CHECK enum err settle_devices(struct state *state);
MUST_CHECK enum err settle_epochs(struct state *state, struct roster *roster);
MUST_CHECK enum err settle_addresses(struct state *state, struct roster *roster);
MUST_CHECK enum err settle_actors(struct state *state, struct roster *roster);
MUST_CHECK enum err settle_erasures(struct state *state, struct roster *roster);
MUST_CHECK enum err settle_forks(struct state *state, struct roster *roster);

/* --- small helpers --- */

/* A copy that ends in a NUL and lives as long as the state. NULL: no memory. */
const char *state_text(struct state *state, struct span text);

/* Room for `count` items: never NULL but for lack of memory. */
void *items_new(size_t count, size_t item_bytes);

/* Keep the first of each run of items that `order` calls equal; the array is sorted. How many are left. */
size_t items_keep_first(void *items, size_t count, size_t item_bytes,
                        int (*order)(const void *a, const void *b));

/* True if the words of `a` are shown rather than those of `b`. */
bool shown_before(uint64_t a_until, const struct hash *a_id, uint64_t b_until, const struct hash *b_id);
