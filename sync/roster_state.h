/* roster_state.h - what roster.c and roster_settle.c share; nobody else includes it.
 *
 * The set of statements only grows. The state is derived from it as a whole, in
 * roster_settle, and replaced as a whole.
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

/* A certificate of a device that stands. */
struct certificate {
    struct kept *kept;
    uint32_t office;      /* which of the offices */
    size_t key_number[3]; /* equal numbers are equal keys */
    struct hash device_id;
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
    bool admin; /* in some office's cases, hence in `control` and `shared` */
};

/* A BOX statement whose signer stands with admin. */
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

struct state {
    struct text_block *text;
    const struct kept *founding; /* NULL: not founded */
    const char *name;
    struct root_set *root_sets; /* founding first */
    size_t root_set_count;
    struct roster_office *offices; /* ascending by key */
    struct office_state *office_states;
    size_t office_count;
    struct certificate *certificates; /* ascending by (device_id, stmt_id) */
    size_t certificate_count;
    struct certificate_name *certificate_names; /* ascending by stmt_id */
    struct roster_device *devices;              /* ascending by device_id */
    struct device_state *device_states;
    size_t device_count;
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
    struct codebook *codebook; /* NULL: the embedded default */
    size_t newer_count;
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

/* Lookups in a state, for use while it is computed too. */
const struct roster_office *state_office(const struct state *state, const uint8_t *office_pk);
const struct roster_device *state_device(const struct state *state, const struct hash *device_id);
const struct roster_device *state_device_by_sign_pk(const struct state *state, const uint8_t *sign_pk);
const struct roster_compartment *state_compartment(const struct state *state, const struct ident *id);
const struct roster_epoch *state_epoch(const struct state *state, const struct hash *epoch_id);
enum level state_office_level(const struct state *state, size_t office, const struct ident *compartment);
enum level state_level(const struct state *state, const struct roster_device *device,
                       const struct ident *compartment);

/* True if this key is among the signers of the statement. */
bool kept_signed_by(const struct kept *kept, const uint8_t *sign_pk);
