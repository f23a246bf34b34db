#include "sync/roster_state.h"
#include "store/entry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- devices --- */

/* A key that a certificate names. */
struct key_use {
    const uint8_t *key;
    size_t certificate;
    size_t slot;
};

static int
key_use_order(const void *a, const void *b)
{
    return memcmp(((const struct key_use *)a)->key, ((const struct key_use *)b)->key, 32);
}

static int
certificate_by_id(const void *a, const void *b)
{
    return hash_compare(&((const struct certificate *)a)->kept->statement.id,
                        &((const struct certificate *)b)->kept->statement.id);
}

static int
certificate_by_device(const void *a, const void *b)
{
    int order = hash_compare(&((const struct certificate *)a)->device_id,
                             &((const struct certificate *)b)->device_id);

    return order != 0 ? order : certificate_by_id(a, b);
}

static int
certificate_name_order(const void *a, const void *b)
{
    return hash_compare(&((const struct certificate_name *)a)->stmt_id,
                        &((const struct certificate_name *)b)->stmt_id);
}

/* Collect the certificates that are signed as they must be. The device's own signature proves that it has its
 * keys, and no more: whoever revokes it later does not take that back. */
enum err
settle_certificates(struct state *state, struct roster *roster)
{
    size_t room = kept_count_of(roster, STATEMENT_DEVICE);

    state->certificates = items_new(room, sizeof *state->certificates);
    if (state->certificates == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!kept_is(kept, STATEMENT_DEVICE)) {
            continue;
        }
        const struct device_body *body = &kept->statement.device;
        const struct roster_office *office = state_office(state, body->office_pk);
        if (office == NULL || !state_signed_by_office(state, kept, office) ||
            (body->possession == NULL && !kept_signed_by(kept, body->sign_pk)) ||
            state_office(state, body->sign_pk) != NULL) {
            continue;
        }
        struct certificate *certificate = &state->certificates[state->certificate_count++];
        certificate->kept = kept;
        certificate->office = (uint32_t)(office - state->offices);
        device_id_of(body->sign_pk, &certificate->device_id);
    }
    return ERR_OK;
}

/* Give equal keys equal numbers. */
static enum err
number_keys(struct state *state, size_t *number_count_out)
{
    size_t use_count = 3 * state->certificate_count;
    struct key_use *uses = items_new(use_count, sizeof *uses);

    if (uses == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < state->certificate_count; n++) {
        const struct device_body *body = &state->certificates[n].kept->statement.device;
        uses[3 * n] = (struct key_use){ body->sign_pk, n, 0 };
        uses[3 * n + 1] = (struct key_use){ body->box_pk, n, 1 };
        uses[3 * n + 2] = (struct key_use){ body->transport_pk, n, 2 };
    }
    qsort(uses, use_count, sizeof *uses, key_use_order);
    size_t number = 0;
    for (size_t n = 0; n < use_count; n++) {
        number += n > 0 && key_use_order(&uses[n - 1], &uses[n]) != 0;
        state->certificates[uses[n].certificate].key_number[uses[n].slot] = number;
    }
    *number_count_out = number + 1;
    free(uses);
    return ERR_OK;
}

static bool
same_keys(const struct certificate *a, const struct certificate *b)
{
    return memcmp(a->key_number, b->key_number, sizeof a->key_number) == 0;
}

/* Of certificates that share a key and differ in any of the three, the lowest stands. They ascend
 * by id when this is called. */
static enum err
drop_key_clashes(struct state *state)
{
    size_t number_count = 0;
    enum err err = number_keys(state, &number_count);

    if (err != ERR_OK) {
        return err;
    }
    /* Who holds each key: one more than the place among those that stand. */
    size_t *holder = items_new(number_count, sizeof *holder);
    if (holder == NULL) {
        return ERR_MEMORY;
    }
    size_t kept = 0;
    for (size_t n = 0; n < state->certificate_count; n++) {
        struct certificate certificate = state->certificates[n];
        bool clash = false;
        for (size_t slot = 0; slot < 3; slot++) {
            size_t held = holder[certificate.key_number[slot]];
            clash |= held != 0 && !same_keys(&state->certificates[held - 1], &certificate);
        }
        if (clash) {
            state->clashed = true;
            continue;
        }
        state->certificates[kept++] = certificate;
        for (size_t slot = 0; slot < 3; slot++) {
            holder[certificate.key_number[slot]] = kept;
        }
    }
    state->certificate_count = kept;
    free(holder);
    return ERR_OK;
}

/* One device, of the certificates from `from` to `to`. What is shown of it is what a certificate says that was not
 * withdrawn, where there is one. */
static enum err
device_add(struct state *state, size_t from, size_t to)
{
    uint32_t place = (uint32_t)state->device_count;
    struct roster_device *device = &state->devices[place];
    struct device_state *more = &state->device_states[place];
    const struct certificate *shown = NULL;

    device->revoked = true;
    for (size_t n = from; n < to; n++) {
        const struct certificate *certificate = &state->certificates[n];
        const struct statement *statement = &certificate->kept->statement;
        if (shown == NULL || (shown->withdrawn && !certificate->withdrawn) ||
            (shown->withdrawn == certificate->withdrawn &&
             shown_before(statement->device.until, &statement->id, shown->kept->statement.device.until,
                          &shown->kept->statement.id))) {
            shown = certificate;
        }
        if (!certificate->withdrawn) {
            device->revoked = false;
            state->certificate_names[state->certificate_name_count++] =
                (struct certificate_name){ statement->id, place };
        }
        kept_stand(state, certificate->kept);
    }
    const struct device_body *body = &shown->kept->statement.device;
    device->device_id = shown->device_id;
    memcpy(device->sign_pk, body->sign_pk, SIGN_PK_BYTES);
    memcpy(device->box_pk, body->box_pk, sizeof device->box_pk);
    memcpy(device->transport_pk, body->transport_pk, sizeof device->transport_pk);
    device->certificate = shown->kept->statement.id;
    device->office = &state->offices[shown->office];
    device->name = state_text(state, body->name);
    device->roles = body->roles;
    device->until = body->until;
    device->endpoint = "";
    device->index = UINT32_MAX;
    if (!device->revoked) {
        device->index = (uint32_t)state->living_count;
        state->living[state->living_count++] = place;
    }
    more->first_certificate = from;
    more->certificate_count = to - from;
    state->by_sign_pk[place] = place;
    state->by_transport_pk[place] = place;
    state->device_count++;
    return device->name == NULL ? ERR_MEMORY : ERR_OK;
}

static int
by_sign_pk_order(const void *a, const void *b, void *devices)
{
    const struct roster_device *all = devices;

    return memcmp(all[*(const uint32_t *)a].sign_pk, all[*(const uint32_t *)b].sign_pk, SIGN_PK_BYTES);
}

static int
by_transport_pk_order(const void *a, const void *b, void *devices)
{
    const struct roster_device *all = devices;

    return memcmp(all[*(const uint32_t *)a].transport_pk, all[*(const uint32_t *)b].transport_pk, 32);
}

static enum err
devices_new(struct state *state)
{
    size_t count = state->certificate_count;

    state->devices = items_new(count, sizeof *state->devices);
    state->device_states = items_new(count, sizeof *state->device_states);
    state->living = items_new(count, sizeof *state->living);
    state->certificate_names = items_new(count, sizeof *state->certificate_names);
    state->by_sign_pk = items_new(count, sizeof *state->by_sign_pk);
    state->by_transport_pk = items_new(count, sizeof *state->by_transport_pk);
    return state->devices == NULL || state->device_states == NULL || state->living == NULL ||
                   state->certificate_names == NULL || state->by_sign_pk == NULL ||
                   state->by_transport_pk == NULL
               ? ERR_MEMORY
               : ERR_OK;
}

enum err
settle_devices(struct state *state)
{
    const struct question living = { .asking = ASK_LIVING };
    const struct question author = { .asking = ASK_AUTHOR };
    enum err err = ERR_OK;

    qsort(state->certificates, state->certificate_count, sizeof *state->certificates, certificate_by_id);
    /* A certificate that was once genuine stays so, whatever certificates come later. */
    if (!state->genuine_only) {
        err = drop_key_clashes(state);
    }
    if (err == ERR_OK) {
        err = devices_new(state);
    }
    size_t count = state->certificate_count;
    qsort(state->certificates, count, sizeof *state->certificates, certificate_by_device);
    for (size_t n = 0; n < count; n++) {
        struct certificate *certificate = &state->certificates[n];
        certificate->withdrawn = !state_signature_counts(state, certificate->kept->statement.device.sign_pk,
                                                         &state->offices[certificate->office], NULL);
    }
    for (size_t from = 0; from < count && err == ERR_OK;) {
        size_t to = from + 1;
        while (to < count &&
               hash_equal(&state->certificates[to].device_id, &state->certificates[from].device_id)) {
            to++;
        }
        err = device_add(state, from, to);
        from = to;
    }
    if (err != ERR_OK) {
        return err;
    }
    qsort(state->certificate_names, state->certificate_name_count, sizeof *state->certificate_names,
          certificate_name_order);
    qsort_r(state->by_sign_pk, state->device_count, sizeof *state->by_sign_pk, by_sign_pk_order,
            state->devices);
    qsort_r(state->by_transport_pk, state->device_count, sizeof *state->by_transport_pk,
            by_transport_pk_order, state->devices);
    for (size_t n = 0; n < state->device_count; n++) {
        state->device_states[n].admin = state_admin_of_cases(state, &state->devices[n], &living);
        state->device_states[n].author_admin = state_admin_of_cases(state, &state->devices[n], &author);
        state->device_states[n].highest = state_highest_level(state, &state->devices[n], &living);
        state->device_states[n].author_highest = state_highest_level(state, &state->devices[n], &author);
    }
    return ERR_OK;
}

/* --- levels --- */

bool
state_asks(const struct state *state, const struct certificate *certificate, const struct question *question)
{
    switch (question->asking) {
    case ASK_LIVING:
        return !certificate->withdrawn;
    case ASK_AUTHOR:
        return true;
    case ASK_STATEMENT:
        return !certificate->withdrawn ||
               state_signature_counts(state, certificate->kept->statement.device.sign_pk,
                                      &state->offices[certificate->office], question->stmt_id);
    case ASK_OFFICE:
        return state->offices[certificate->office].house == &state->offices[question->office];
    }
    return false;
}

/* The level that one certificate gives, and its office may give. */
static enum level
certificate_level(const struct state *state, const struct certificate *certificate,
                  const struct ident *compartment)
{
    const struct device_body *body = &certificate->kept->statement.device;
    enum level own = statement_grant_find(&body->grants, compartment);
    enum level most = state_office_level(state, certificate->office, compartment);

    if (own == LEVEL_NONE) {
        own = body->any;
    }
    return own < most ? own : most;
}

/* True if one certificate gives admin in the cases of some office. */
static bool
certificate_is_admin(const struct state *state, const struct certificate *certificate)
{
    const struct office_state *office = &state->office_states[certificate->office];

    for (size_t n = 0; office->admin_of_cases && n < office->grant_count; n++) {
        const struct ident *compartment = &office->grants[n].compartment;
        if (state_compartment(state, compartment)->role == COMPARTMENT_CASES &&
            certificate_level(state, certificate, compartment) == LEVEL_ADMIN) {
            return true;
        }
    }
    return false;
}

bool
state_admin_of_cases(const struct state *state, const struct roster_device *device,
                     const struct question *question)
{
    const struct device_state *more = &state->device_states[device - state->devices];

    for (size_t n = 0; n < more->certificate_count; n++) {
        const struct certificate *certificate = &state->certificates[more->first_certificate + n];
        if (state_asks(state, certificate, question) && certificate_is_admin(state, certificate)) {
            return true;
        }
    }
    return false;
}

static bool
is_organisation_wide(const struct state *state, const struct ident *compartment)
{
    const struct organisation_body *founding = &state->founding->statement.organisation;

    return ident_equal(compartment, &founding->control) || ident_equal(compartment, &founding->shared);
}

enum level
state_highest_level(const struct state *state, const struct roster_device *device,
                    const struct question *question)
{
    const struct device_state *more = &state->device_states[device - state->devices];
    enum level highest = LEVEL_NONE;

    for (size_t n = 0; n < more->certificate_count; n++) {
        const struct certificate *certificate = &state->certificates[more->first_certificate + n];
        const struct office_state *office = &state->office_states[certificate->office];
        if (!state_asks(state, certificate, question)) {
            continue;
        }
        for (size_t k = 0; k < office->grant_count && highest < LEVEL_WRITE; k++) {
            const struct ident *compartment = &office->grants[k].compartment;
            enum level level = is_organisation_wide(state, compartment)
                                   ? LEVEL_NONE
                                   : certificate_level(state, certificate, compartment);
            highest = level > highest ? level : highest;
        }
    }
    return highest < LEVEL_WRITE ? highest : LEVEL_WRITE;
}

/* The level in `control`, in which all devices write, and which needs no grant. */
static enum level
level_in_control(const struct state *state, const struct roster_device *device,
                 const struct question *question)
{
    const struct device_state *more = &state->device_states[device - state->devices];
    bool admin = question->asking == ASK_LIVING   ? more->admin
                 : question->asking == ASK_AUTHOR ? more->author_admin
                                                  : state_admin_of_cases(state, device, question);

    for (size_t n = 0; n < more->certificate_count; n++) {
        if (state_asks(state, &state->certificates[more->first_certificate + n], question)) {
            return admin ? LEVEL_ADMIN : LEVEL_WRITE;
        }
    }
    return LEVEL_NONE;
}

/* The level in `shared`, which needs no grant of its own: a device reads and writes there that reads and writes anywhere. So who only
 * carries reads nothing. */
static enum level
level_in_shared(const struct state *state, const struct roster_device *device,
                const struct question *question)
{
    const struct device_state *more = &state->device_states[device - state->devices];

    if (level_in_control(state, device, question) == LEVEL_ADMIN) {
        return LEVEL_ADMIN;
    }
    return question->asking == ASK_LIVING   ? more->highest
           : question->asking == ASK_AUTHOR ? more->author_highest
                                            : state_highest_level(state, device, question);
}

enum level
state_level(const struct state *state, const struct roster_device *device, const struct ident *compartment,
            const struct question *question)
{
    enum level highest = LEVEL_NONE;

    if (device == NULL) {
        return LEVEL_NONE;
    }
    const struct organisation_body *founding = &state->founding->statement.organisation;
    if (ident_equal(compartment, &founding->control)) {
        return level_in_control(state, device, question);
    }
    if (ident_equal(compartment, &founding->shared)) {
        return level_in_shared(state, device, question);
    }
    const struct device_state *more = &state->device_states[device - state->devices];
    for (size_t n = 0; n < more->certificate_count; n++) {
        const struct certificate *certificate = &state->certificates[more->first_certificate + n];
        if (state_asks(state, certificate, question)) {
            enum level level = certificate_level(state, certificate, compartment);
            highest = level > highest ? level : highest;
        }
    }
    return highest;
}

/* --- addresses --- */

/* True if what the device signed counts by some certificate of it. */
static bool
counts_for_some(const struct state *state, const struct roster_device *device, const struct kept *kept)
{
    const struct question question = { .asking = ASK_STATEMENT, .stmt_id = &kept->statement.id };

    return state_level(state, device, &state->founding->statement.organisation.control, &question) >=
           LEVEL_WRITE;
}

/* The latest `until`, then the highest stmt_id. Statements ascend by id. */
enum err
settle_addresses(struct state *state, struct roster *roster)
{
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!kept_is(kept, STATEMENT_ADDRESS)) {
            continue;
        }
        const struct address_body *body = &kept->statement.address;
        const struct roster_device *device = state_device(state, &body->device_id);
        if (device == NULL || !kept_signed_by(kept, device->sign_pk) ||
            !counts_for_some(state, device, kept)) {
            continue;
        }
        kept_stand(state, kept);
        struct roster_device *here = &state->devices[device - state->devices];
        if (here->endpoint[0] != '\0' && here->endpoint_until > body->until) {
            continue;
        }
        const char *endpoint = state_text(state, body->endpoint);
        if (endpoint == NULL) {
            return ERR_MEMORY;
        }
        here->endpoint = endpoint;
        here->endpoint_until = body->until;
    }
    return ERR_OK;
}

/* --- actors --- */

static int
actor_order(const void *a, const void *b)
{
    const struct roster_actor *x = a;
    const struct roster_actor *y = b;
    int order = memcmp(x->office_pk, y->office_pk, SIGN_PK_BYTES);

    if (order != 0) {
        return order;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

struct actor_claim {
    struct roster_actor actor; /* first: claims are compared as actors too */
    const struct kept *kept;
};

static int
actor_claim_order(const void *a, const void *b)
{
    int order = actor_order(a, b);

    /* The highest stmt_id first: it is the one that is kept. */
    return order != 0 ? order
                      : hash_compare(&((const struct actor_claim *)b)->kept->statement.id,
                                     &((const struct actor_claim *)a)->kept->statement.id);
}

/* True if the office, or a device with admin in its cases, signed. */
static bool
actor_is_named_rightly(const struct state *state, const struct kept *kept, const struct roster_office *office)
{
    const struct roster_compartment *cases = state_compartment(state, &office->own[OWN_CASES]);

    return state_signed_by_office(state, kept, office) ||
           (cases->role == COMPARTMENT_CASES && cases->owner->house == office->house &&
            state_signed_by_admin(state, kept, &cases->id));
}

enum err
settle_actors(struct state *state, struct roster *roster)
{
    size_t room = kept_count_of(roster, STATEMENT_ACTOR);
    struct actor_claim *claims = items_new(room, sizeof *claims);
    size_t count = 0;

    state->actors = items_new(room, sizeof *state->actors);
    if (claims == NULL || state->actors == NULL) {
        free(claims);
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        const struct roster_office *office =
            kept_is(kept, STATEMENT_ACTOR) ? state_office(state, kept->statement.actor.office_pk) : NULL;
        if (office == NULL || !actor_is_named_rightly(state, kept, office)) {
            continue;
        }
        const struct actor_body *body = &kept->statement.actor;
        kept_stand(state, kept);
        claims[count].kept = kept;
        claims[count].actor.stmt_id = kept->statement.id;
        claims[count].actor.number = body->number;
        claims[count].actor.role = body->role;
        claims[count].actor.active = body->active;
        /* People stay who they are when the key of their office is replaced. */
        memcpy(claims[count].actor.office_pk, office->house->office_pk, SIGN_PK_BYTES);
        count++;
    }
    qsort(claims, count, sizeof *claims, actor_claim_order);
    count = items_keep_first(claims, count, sizeof *claims, actor_order);
    enum err err = ERR_OK;
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        claims[n].actor.name = state_text(state, claims[n].kept->statement.actor.name);
        err = claims[n].actor.name == NULL ? ERR_MEMORY : ERR_OK;
        state->actors[n] = claims[n].actor;
    }
    state->actor_count = err == ERR_OK ? count : 0;
    free(claims);
    return err;
}
