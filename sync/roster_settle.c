#include "sync/roster_state.h"
#include "store/codebook.h"
#include "store/entry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- small helpers --- */

enum { TEXT_BLOCK_BYTES = 4096 };

/* Names are copied out of their statements to end in a NUL. */
struct text_block {
    struct text_block *next;
    size_t used;
    char bytes[TEXT_BLOCK_BYTES];
};

_Static_assert((int)STATEMENT_ENDPOINT_BYTES_MAX < (int)TEXT_BLOCK_BYTES, "any name fits in a block");

static const char *
text_copy(struct state *state, struct span text)
{
    struct text_block *block = state->text;

    assert(text.size < TEXT_BLOCK_BYTES);
    if (block == NULL || TEXT_BLOCK_BYTES - block->used <= text.size) {
        block = malloc(sizeof *block);
        if (block == NULL) {
            return NULL;
        }
        block->next = state->text;
        block->used = 0;
        state->text = block;
    }
    char *copy = block->bytes + block->used;
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    block->used += text.size + 1;
    return copy;
}

/* Room for `count` items: never NULL but for lack of memory. */
static void *
items_new(size_t count, size_t item_bytes)
{
    return calloc(count == 0 ? 1 : count, item_bytes);
}

/* Keep the first of each run of items that `same` calls equal; the array is sorted. */
static size_t
keep_first(void *items, size_t count, size_t item_bytes, int (*order)(const void *a, const void *b))
{
    uint8_t *bytes = items;
    size_t kept = 0;

    for (size_t n = 0; n < count; n++) {
        uint8_t *item = bytes + n * item_bytes;
        if (kept > 0 && order(bytes + (kept - 1) * item_bytes, item) == 0) {
            continue;
        }
        if (kept != n) {
            memcpy(bytes + kept * item_bytes, item, item_bytes);
        }
        kept++;
    }
    return kept;
}

/* --- who signed --- */

bool
kept_signed_by(const struct kept *kept, const uint8_t *sign_pk)
{
    size_t low = 0;
    size_t high = kept->signature_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(kept->signatures[middle].sign_pk, sign_pk, SIGN_PK_BYTES);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

/* How many of these keys signed. */
static size_t
signed_by_of(const struct kept *kept, const struct statement_list *keys)
{
    size_t count = 0;

    for (size_t n = 0; n < kept->signature_count; n++) {
        count += statement_key_find(keys, kept->signatures[n].sign_pk);
    }
    return count;
}

/* True if enough roots of some set signed, and every later set keeps what that set signed. */
static bool
signed_by_roots(const struct state *state, const struct kept *kept)
{
    for (size_t n = state->root_set_count; n-- > 0;) {
        const struct root_set *set = &state->root_sets[n];
        if (signed_by_of(kept, &set->roots) >= set->needed) {
            return true;
        }
        if (!statement_key_find(&set->keep, kept->statement.id.bytes)) {
            return false;
        }
    }
    return false;
}

/* True if the statement is of this type and this version understands it. */
static bool
is_a(const struct kept *kept, enum statement_type type)
{
    return kept->statement.type == type && !kept->statement.newer;
}

static size_t
count_of(const struct roster *roster, enum statement_type type)
{
    size_t count = 0;

    for (size_t n = 0; n < roster->kept_count; n++) {
        count += is_a(roster->kept[n], type);
    }
    return count;
}

/* --- founding and roots --- */

static enum err
settle_roots(struct state *state, struct roster *roster)
{
    state->root_sets = items_new(count_of(roster, STATEMENT_ROOTS) + 1, sizeof *state->root_sets);
    if (state->root_sets == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        const struct organisation_body *body = &kept->statement.organisation;
        if (is_a(kept, STATEMENT_ORGANISATION) && hash_equal(&kept->statement.id, &roster->org) &&
            signed_by_of(kept, &body->roots) >= body->needed) {
            state->founding = kept;
            kept->standing = true;
            state->name = text_copy(state, body->name);
            state->root_sets[0] = (struct root_set){ kept, body->roots, body->needed, { 0 } };
            state->root_set_count = 1;
        }
    }
    if (state->founding == NULL) {
        return ERR_OK;
    }
    if (state->name == NULL) {
        return ERR_MEMORY;
    }
    for (;;) {
        const struct root_set *before = &state->root_sets[state->root_set_count - 1];
        struct kept *best = NULL;
        size_t best_count = 0;
        for (size_t n = 0; n < roster->kept_count; n++) {
            struct kept *kept = roster->kept[n];
            if (!is_a(kept, STATEMENT_ROOTS) ||
                !hash_equal(&kept->statement.roots.before, &before->kept->statement.id)) {
                continue;
            }
            size_t count = signed_by_of(kept, &before->roots);
            /* Statements ascend by id, so of equals the lower stays. */
            if (count >= before->needed && count > best_count) {
                best = kept;
                best_count = count;
            }
        }
        if (best == NULL) {
            return ERR_OK;
        }
        best->standing = true;
        const struct roots_body *body = &best->statement.roots;
        state->root_sets[state->root_set_count++] =
            (struct root_set){ best, body->roots, body->needed, body->keep };
    }
}

/* --- offices --- */

static int
kept_by_id(const void *a, const void *b)
{
    return hash_compare(&(*(struct kept *const *)a)->statement.id, &(*(struct kept *const *)b)->statement.id);
}

static int
office_kept_order(const void *a, const void *b)
{
    const struct kept *x = *(struct kept *const *)a;
    const struct kept *y = *(struct kept *const *)b;
    int order = memcmp(x->statement.office.office_pk, y->statement.office.office_pk, SIGN_PK_BYTES);

    return order != 0 ? order : hash_compare(&x->statement.id, &y->statement.id);
}

static int
grant_order(const void *a, const void *b)
{
    const struct statement_grant *x = a;
    const struct statement_grant *y = b;
    int order = ident_compare(&x->compartment, &y->compartment);

    /* The highest level first: it is the one that is kept. */
    return order != 0 ? order : (int)y->level - (int)x->level;
}

static int
grant_same(const void *a, const void *b)
{
    return ident_compare(&((const struct statement_grant *)a)->compartment,
                         &((const struct statement_grant *)b)->compartment);
}

/* Unite the grants of one office's certificates. */
static enum err
office_unite_grants(struct office_state *office, struct kept *const *certificates, size_t count)
{
    size_t total = 0;

    for (size_t n = 0; n < count; n++) {
        total += certificates[n]->statement.office.grants.count;
    }
    office->grants = items_new(total, sizeof *office->grants);
    if (office->grants == NULL) {
        return ERR_MEMORY;
    }
    size_t at = 0;
    for (size_t n = 0; n < count; n++) {
        const struct statement_list *grants = &certificates[n]->statement.office.grants;
        for (size_t grant = 0; grant < grants->count; grant++) {
            office->grants[at++] = statement_grant_at(grants, grant);
        }
    }
    qsort(office->grants, total, sizeof *office->grants, grant_order);
    office->grant_count = keep_first(office->grants, total, sizeof *office->grants, grant_same);
    return ERR_OK;
}

/* True if `a` is shown rather than `b`. */
static bool
is_shown_before(uint64_t a_until, const struct hash *a_id, uint64_t b_until, const struct hash *b_id)
{
    return a_until != b_until ? a_until > b_until : hash_compare(a_id, b_id) > 0;
}

/* One office, of its certificates in ascending order. */
static enum err
office_add(struct state *state, struct kept *const *certificates, size_t count)
{
    struct roster_office *office = &state->offices[state->office_count];
    struct office_state *more = &state->office_states[state->office_count];
    const struct kept *shown = certificates[0];

    for (size_t n = 1; n < count; n++) {
        if (is_shown_before(certificates[n]->statement.office.until, &certificates[n]->statement.id,
                            shown->statement.office.until, &shown->statement.id)) {
            shown = certificates[n];
        }
    }
    const struct office_body *body = &shown->statement.office;
    memcpy(office->office_pk, body->office_pk, SIGN_PK_BYTES);
    office->stmt_id = shown->statement.id;
    office->until = body->until;
    memcpy(office->own, body->own, sizeof office->own);
    office->code = text_copy(state, body->code);
    office->name = text_copy(state, body->name);
    more->lowest_id = certificates[0]->statement.id;
    state->office_count++;
    if (office->code == NULL || office->name == NULL) {
        return ERR_MEMORY;
    }
    return office_unite_grants(more, certificates, count);
}

/* Offices from their certificates, which are sorted by key and id. */
static enum err
settle_offices(struct state *state, struct kept *const *certificates, size_t count)
{
    state->offices = items_new(count, sizeof *state->offices);
    state->office_states = items_new(count, sizeof *state->office_states);
    if (state->offices == NULL || state->office_states == NULL) {
        return ERR_MEMORY;
    }
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && memcmp(certificates[to]->statement.office.office_pk,
                                    certificates[from]->statement.office.office_pk, SIGN_PK_BYTES) == 0) {
            to++;
        }
        enum err err = office_add(state, certificates + from, to - from);
        if (err != ERR_OK) {
            return err;
        }
        from = to;
    }
    return ERR_OK;
}

/* --- compartments --- */

/* Somebody's word about a compartment. Of several the one of lowest rank counts. */
struct claim {
    struct ident id;
    struct hash rank; /* the office certificate; zero: the founding; all ones: a grant only */
    enum compartment_role role;
    size_t office;
    struct ident twin; /* zero: none */
};

static int
claim_order(const void *a, const void *b)
{
    const struct claim *x = a;
    const struct claim *y = b;
    int order = ident_compare(&x->id, &y->id);

    return order != 0 ? order : hash_compare(&x->rank, &y->rank);
}

static int
claim_same(const void *a, const void *b)
{
    return ident_compare(&((const struct claim *)a)->id, &((const struct claim *)b)->id);
}

static void
claim_own(struct claim *claims, const struct kept *certificate, size_t office)
{
    static const enum compartment_role roles[OWN_COUNT] = { COMPARTMENT_CASES, COMPARTMENT_PROTECTED,
                                                            COMPARTMENT_AUDIT };
    const struct office_body *body = &certificate->statement.office;

    for (size_t n = 0; n < OWN_COUNT; n++) {
        claims[n] = (struct claim){ body->own[n], certificate->statement.id, roles[n], office, { { 0 } } };
    }
    claims[OWN_CASES].twin = body->own[OWN_PROTECTED];
    claims[OWN_PROTECTED].twin = body->own[OWN_CASES];
}

static void
compartment_name(struct roster_compartment *compartment)
{
    static const char *const words[] = {
        [COMPARTMENT_CASES] = "cases", [COMPARTMENT_PROTECTED] = "protected", [COMPARTMENT_AUDIT] = "audit"
    };

    switch (compartment->role) {
    case COMPARTMENT_CONTROL:
        (void)snprintf(compartment->name, sizeof compartment->name, "control");
        return;
    case COMPARTMENT_SHARED:
        (void)snprintf(compartment->name, sizeof compartment->name, "shared");
        return;
    case COMPARTMENT_CASES:
    case COMPARTMENT_PROTECTED:
    case COMPARTMENT_AUDIT:
        (void)snprintf(compartment->name, sizeof compartment->name, "%s %s", compartment->owner->code,
                       words[compartment->role]);
        return;
    case COMPARTMENT_OTHER:
        (void)snprintf(compartment->name, sizeof compartment->name, "other %s",
                       ident_short(&compartment->id).text);
        return;
    }
}

static enum err
settle_compartments(struct state *state, struct kept *const *certificates, size_t count)
{
    const struct organisation_body *founding = &state->founding->statement.organisation;
    size_t room = 2 + OWN_COUNT * count;

    for (size_t n = 0; n < state->office_count; n++) {
        room += state->office_states[n].grant_count;
    }
    struct claim *claims = items_new(room, sizeof *claims);
    state->compartments = items_new(room, sizeof *state->compartments);
    if (claims == NULL || state->compartments == NULL) {
        free(claims);
        return ERR_MEMORY;
    }
    size_t claim_count = 0;
    claims[claim_count++] = (struct claim){ .id = founding->control, .role = COMPARTMENT_CONTROL };
    claims[claim_count++] = (struct claim){ .id = founding->shared, .role = COMPARTMENT_SHARED };
    for (size_t n = 0; n < count; n++) {
        const struct roster_office *office = state_office(state, certificates[n]->statement.office.office_pk);
        claim_own(claims + claim_count, certificates[n], (size_t)(office - state->offices));
        claim_count += OWN_COUNT;
    }
    for (size_t n = 0; n < state->office_count; n++) {
        for (size_t grant = 0; grant < state->office_states[n].grant_count; grant++) {
            struct claim *claim = &claims[claim_count++];
            claim->id = state->office_states[n].grants[grant].compartment;
            claim->role = COMPARTMENT_OTHER;
            memset(claim->rank.bytes, 0xff, HASH_BYTES);
        }
    }
    assert(claim_count == room);
    qsort(claims, claim_count, sizeof *claims, claim_order);
    claim_count = keep_first(claims, claim_count, sizeof *claims, claim_same);
    state->compartment_count = claim_count;
    for (size_t n = 0; n < claim_count; n++) {
        struct roster_compartment *compartment = &state->compartments[n];
        compartment->id = claims[n].id;
        compartment->role = claims[n].role;
        compartment->padded = claims[n].role == COMPARTMENT_PROTECTED || claims[n].role == COMPARTMENT_AUDIT;
        if (claims[n].role >= COMPARTMENT_CASES && claims[n].role <= COMPARTMENT_AUDIT) {
            compartment->owner = &state->offices[claims[n].office];
        }
        compartment_name(compartment);
    }
    /* A pair is one only if both halves are this office's and each names the other. */
    for (size_t n = 0; n < claim_count; n++) {
        if (ident_is_zero(&claims[n].twin)) {
            continue;
        }
        const struct roster_compartment *twin = state_compartment(state, &claims[n].twin);
        const struct claim *other = &claims[twin - state->compartments];
        if (ident_equal(&other->twin, &claims[n].id) && other->office == claims[n].office &&
            other->role != claims[n].role) {
            state->compartments[n].twin = twin;
        }
    }
    free(claims);
    for (size_t n = 0; n < state->office_count; n++) {
        struct office_state *office = &state->office_states[n];
        for (size_t grant = 0; grant < office->grant_count; grant++) {
            const struct roster_compartment *compartment =
                state_compartment(state, &office->grants[grant].compartment);
            office->admin_of_cases |=
                compartment->role == COMPARTMENT_CASES && office->grants[grant].level == LEVEL_ADMIN;
        }
    }
    return ERR_OK;
}

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

/* Collect the certificates that are signed as they must be. */
static enum err
collect_certificates(struct state *state, struct roster *roster)
{
    size_t room = count_of(roster, STATEMENT_DEVICE);

    state->certificates = items_new(room, sizeof *state->certificates);
    if (state->certificates == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!is_a(kept, STATEMENT_DEVICE)) {
            continue;
        }
        const struct device_body *body = &kept->statement.device;
        const struct roster_office *office = state_office(state, body->office_pk);
        if (office == NULL || !kept_signed_by(kept, body->office_pk) ||
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
            continue;
        }
        state->certificates[kept++] = certificate;
        certificate.kept->standing = true;
        for (size_t slot = 0; slot < 3; slot++) {
            holder[certificate.key_number[slot]] = kept;
        }
    }
    state->certificate_count = kept;
    free(holder);
    return ERR_OK;
}

/* One device, of the certificates from `from` to `to`. */
static enum err
device_add(struct state *state, size_t from, size_t to)
{
    uint32_t index = (uint32_t)state->device_count;
    struct roster_device *device = &state->devices[index];
    struct device_state *more = &state->device_states[index];
    const struct certificate *shown = &state->certificates[from];

    for (size_t n = from; n < to; n++) {
        const struct certificate *certificate = &state->certificates[n];
        const struct statement *statement = &certificate->kept->statement;
        if (is_shown_before(statement->device.until, &statement->id, shown->kept->statement.device.until,
                            &shown->kept->statement.id)) {
            shown = certificate;
        }
        state->certificate_names[n] = (struct certificate_name){ statement->id, index };
    }
    const struct device_body *body = &shown->kept->statement.device;
    device->device_id = shown->device_id;
    memcpy(device->sign_pk, body->sign_pk, SIGN_PK_BYTES);
    memcpy(device->box_pk, body->box_pk, sizeof device->box_pk);
    memcpy(device->transport_pk, body->transport_pk, sizeof device->transport_pk);
    device->certificate = shown->kept->statement.id;
    device->office = &state->offices[shown->office];
    device->name = text_copy(state, body->name);
    device->roles = body->roles;
    device->until = body->until;
    device->endpoint = "";
    device->index = index;
    more->first_certificate = from;
    more->certificate_count = to - from;
    state->by_sign_pk[index] = index;
    state->by_transport_pk[index] = index;
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

/* True if the device has admin in the cases of some office. */
static bool
device_is_admin(const struct state *state, const struct device_state *device)
{
    for (size_t n = 0; n < device->certificate_count; n++) {
        const struct certificate *certificate = &state->certificates[device->first_certificate + n];
        const struct office_state *office = &state->office_states[certificate->office];
        const struct device_body *body = &certificate->kept->statement.device;
        for (size_t grant = 0; office->admin_of_cases && grant < office->grant_count; grant++) {
            const struct statement_grant *there = &office->grants[grant];
            enum level own = statement_grant_find(&body->grants, &there->compartment);
            if (there->level == LEVEL_ADMIN && (own == LEVEL_NONE ? body->any : own) == LEVEL_ADMIN &&
                state_compartment(state, &there->compartment)->role == COMPARTMENT_CASES) {
                return true;
            }
        }
    }
    return false;
}

static enum err
settle_devices(struct state *state, struct roster *roster)
{
    enum err err = collect_certificates(state, roster);

    if (err != ERR_OK) {
        return err;
    }
    qsort(state->certificates, state->certificate_count, sizeof *state->certificates, certificate_by_id);
    err = drop_key_clashes(state);
    if (err != ERR_OK) {
        return err;
    }
    size_t count = state->certificate_count;
    qsort(state->certificates, count, sizeof *state->certificates, certificate_by_device);
    state->devices = items_new(count, sizeof *state->devices);
    state->device_states = items_new(count, sizeof *state->device_states);
    state->certificate_names = items_new(count, sizeof *state->certificate_names);
    state->by_sign_pk = items_new(count, sizeof *state->by_sign_pk);
    state->by_transport_pk = items_new(count, sizeof *state->by_transport_pk);
    if (state->devices == NULL || state->device_states == NULL || state->certificate_names == NULL ||
        state->by_sign_pk == NULL || state->by_transport_pk == NULL) {
        return ERR_MEMORY;
    }
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count &&
               hash_equal(&state->certificates[to].device_id, &state->certificates[from].device_id)) {
            to++;
        }
        err = device_add(state, from, to);
        if (err != ERR_OK) {
            return err;
        }
        from = to;
    }
    qsort(state->certificate_names, count, sizeof *state->certificate_names, certificate_name_order);
    qsort_r(state->by_sign_pk, state->device_count, sizeof *state->by_sign_pk, by_sign_pk_order,
            state->devices);
    qsort_r(state->by_transport_pk, state->device_count, sizeof *state->by_transport_pk,
            by_transport_pk_order, state->devices);
    for (size_t n = 0; n < state->device_count; n++) {
        state->device_states[n].admin = device_is_admin(state, &state->device_states[n]);
    }
    return ERR_OK;
}

/* --- what devices and offices say --- */

/* True if a standing device with admin in the compartment signed. */
static bool
signed_by_admin(const struct state *state, const struct kept *kept, const struct ident *compartment)
{
    for (size_t n = 0; n < kept->signature_count; n++) {
        const struct roster_device *signer = state_device_by_sign_pk(state, kept->signatures[n].sign_pk);
        if (state_level(state, signer, compartment) == LEVEL_ADMIN) {
            return true;
        }
    }
    return false;
}

static int
epoch_order(const void *a, const void *b)
{
    const struct roster_epoch *x = a;
    const struct roster_epoch *y = b;
    int order = ident_compare(&x->compartment, &y->compartment);

    if (order != 0) {
        return order;
    }
    if (x->number != y->number) {
        return x->number < y->number ? -1 : 1;
    }
    return hash_compare(&x->epoch_id, &y->epoch_id);
}

static int
epoch_by_id_order(const void *a, const void *b, void *epochs)
{
    const struct roster_epoch *all = epochs;

    return hash_compare(&all[*(const uint32_t *)a].epoch_id, &all[*(const uint32_t *)b].epoch_id);
}

/* Parents have lower numbers, so in order of number they are judged before their children. */
static bool
epoch_is_whole(const struct state *state, const struct roster_epoch *epoch)
{
    uint64_t highest = 0;

    for (size_t n = 0; n < epoch->parents.count; n++) {
        struct statement_parent named = statement_parent_at(&epoch->parents, n);
        const struct roster_epoch *parent = state_epoch(state, &named.epoch_id);
        if (parent == NULL || parent->number >= epoch->number || !parent->whole ||
            !ident_equal(&parent->compartment, &epoch->compartment)) {
            return false;
        }
        highest = parent->number > highest ? parent->number : highest;
    }
    return epoch->number == highest + 1;
}

static enum err
settle_epochs(struct state *state, struct roster *roster)
{
    size_t room = count_of(roster, STATEMENT_EPOCH);

    state->epochs = items_new(room, sizeof *state->epochs);
    state->epochs_by_id = items_new(room, sizeof *state->epochs_by_id);
    if (state->epochs == NULL || state->epochs_by_id == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!is_a(kept, STATEMENT_EPOCH)) {
            continue;
        }
        const struct epoch_body *body = &kept->statement.epoch;
        const struct roster_compartment *compartment = state_compartment(state, &body->compartment);
        kept->standing = compartment != NULL && compartment->role != COMPARTMENT_CONTROL &&
                         signed_by_admin(state, kept, &body->compartment);
        state->epochs[state->epoch_count++] = (struct roster_epoch){
            .epoch_id = kept->statement.id,
            .compartment = body->compartment,
            .number = body->number,
            .commit = body->commit,
            .parents = body->parents,
            .boxes = body->boxes,
            .stands = kept->standing,
        };
    }
    size_t count = state->epoch_count;
    qsort(state->epochs, count, sizeof *state->epochs, epoch_order);
    for (size_t n = 0; n < count; n++) {
        state->epochs_by_id[n] = (uint32_t)n;
    }
    qsort_r(state->epochs_by_id, count, sizeof *state->epochs_by_id, epoch_by_id_order, state->epochs);
    for (size_t n = 0; n < count; n++) {
        struct roster_epoch *epoch = &state->epochs[n];
        epoch->whole = epoch_is_whole(state, epoch);
        epoch->tip = epoch->whole && epoch->stands;
        if (!epoch->tip) {
            continue;
        }
        for (size_t parent = 0; parent < epoch->parents.count; parent++) {
            struct statement_parent named = statement_parent_at(&epoch->parents, parent);
            size_t at = (size_t)(state_epoch(state, &named.epoch_id) - state->epochs);
            state->epochs[at].tip = false;
        }
        const struct roster_compartment *there = state_compartment(state, &epoch->compartment);
        /* They ascend, so the last one that is both is the highest. */
        state->compartments[there - state->compartments].current = epoch;
    }
    return ERR_OK;
}

static int
box_order(const void *a, const void *b)
{
    const struct box_state *x = a;
    const struct box_state *y = b;
    int order = hash_compare(&x->epoch_id, &y->epoch_id);

    return order != 0 ? order : hash_compare(&x->device_id, &y->device_id);
}

static int
box_whole_order(const void *a, const void *b)
{
    int order = box_order(a, b);

    return order != 0 ? order
                      : memcmp(((const struct box_state *)a)->sealed, ((const struct box_state *)b)->sealed,
                               EPOCH_BOX_BYTES);
}

static enum err
settle_boxes(struct state *state, struct roster *roster)
{
    state->boxes = items_new(count_of(roster, STATEMENT_BOX), sizeof *state->boxes);
    if (state->boxes == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!is_a(kept, STATEMENT_BOX)) {
            continue;
        }
        const struct box_body *body = &kept->statement.box;
        const struct roster_epoch *epoch = state_epoch(state, &body->epoch_id);
        if (epoch == NULL || !signed_by_admin(state, kept, &epoch->compartment)) {
            continue;
        }
        kept->standing = true;
        state->boxes[state->box_count++] =
            (struct box_state){ body->epoch_id, body->device_id, body->sealed };
    }
    qsort(state->boxes, state->box_count, sizeof *state->boxes, box_whole_order);
    return ERR_OK;
}

/* The latest `until`, then the highest stmt_id. Statements ascend by id. */
static enum err
settle_addresses(struct state *state, struct roster *roster)
{
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!is_a(kept, STATEMENT_ADDRESS)) {
            continue;
        }
        const struct address_body *body = &kept->statement.address;
        const struct roster_device *device = state_device(state, &body->device_id);
        if (device == NULL || !kept_signed_by(kept, device->sign_pk)) {
            continue;
        }
        kept->standing = true;
        struct roster_device *here = &state->devices[device->index];
        if (here->endpoint[0] != '\0' && here->endpoint_until > body->until) {
            continue;
        }
        const char *endpoint = text_copy(state, body->endpoint);
        if (endpoint == NULL) {
            return ERR_MEMORY;
        }
        here->endpoint = endpoint;
        here->endpoint_until = body->until;
    }
    return ERR_OK;
}

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

    return kept_signed_by(kept, office->office_pk) ||
           (cases->role == COMPARTMENT_CASES && cases->owner == office &&
            signed_by_admin(state, kept, &cases->id));
}

static enum err
settle_actors(struct state *state, struct roster *roster)
{
    size_t room = count_of(roster, STATEMENT_ACTOR);
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
            is_a(kept, STATEMENT_ACTOR) ? state_office(state, kept->statement.actor.office_pk) : NULL;
        if (office == NULL || !actor_is_named_rightly(state, kept, office)) {
            continue;
        }
        const struct actor_body *body = &kept->statement.actor;
        kept->standing = true;
        claims[count].kept = kept;
        claims[count].actor.number = body->number;
        claims[count].actor.role = body->role;
        claims[count].actor.active = body->active;
        memcpy(claims[count].actor.office_pk, body->office_pk, SIGN_PK_BYTES);
        count++;
    }
    qsort(claims, count, sizeof *claims, actor_claim_order);
    count = keep_first(claims, count, sizeof *claims, actor_order);
    enum err err = ERR_OK;
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        claims[n].actor.name = text_copy(state, claims[n].kept->statement.actor.name);
        err = claims[n].actor.name == NULL ? ERR_MEMORY : ERR_OK;
        state->actors[n] = claims[n].actor;
    }
    state->actor_count = err == ERR_OK ? count : 0;
    free(claims);
    return err;
}

/* The highest (version, stmt_id). Statements ascend by id. */
static enum err
settle_codebook(struct state *state, struct roster *roster)
{
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        struct codebook *codebook = NULL;
        if (!is_a(kept, STATEMENT_CODEBOOK) || !signed_by_roots(state, kept)) {
            continue;
        }
        enum err err = codebook_decode(kept->statement.body, &codebook);
        if (err == ERR_MEMORY) {
            return err;
        }
        if (err != ERR_OK) {
            /* Perhaps a later version can read it. */
            state->newer_count++;
            continue;
        }
        kept->standing = true;
        if (state->codebook != NULL && state->codebook->version > codebook->version) {
            codebook_free(&codebook);
            continue;
        }
        codebook_free(&state->codebook);
        state->codebook = codebook;
    }
    return ERR_OK;
}

/* --- the whole --- */

/* Everything below the roots, of the office certificates that stand. */
static enum err
settle_below(struct state *state, struct roster *roster, struct kept **certificates)
{
    size_t count = 0;

    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (is_a(kept, STATEMENT_OFFICE) && signed_by_roots(state, kept)) {
            kept->standing = true;
            certificates[count++] = kept;
        }
    }
    qsort(certificates, count, sizeof(struct kept *), office_kept_order);
    enum err err = settle_offices(state, certificates, count);
    if (err != ERR_OK) {
        return err;
    }
    enum err (*const steps[])(struct state *, struct roster *) = {
        settle_devices, settle_epochs, settle_boxes, settle_addresses, settle_actors, settle_codebook,
    };
    err = settle_compartments(state, certificates, count);
    for (size_t n = 0; n < sizeof steps / sizeof steps[0] && err == ERR_OK; n++) {
        err = steps[n](state, roster);
    }
    return err;
}

enum err
state_new(struct state **state_out, struct roster *roster)
{
    struct state *state = calloc(1, sizeof *state);

    if (state == NULL) {
        return ERR_MEMORY;
    }
    if (roster->kept_count > 0) {
        qsort(roster->kept, roster->kept_count, sizeof(struct kept *), kept_by_id);
    }
    state->name = "";
    for (size_t n = 0; n < roster->kept_count; n++) {
        roster->kept[n]->standing = false;
        state->newer_count += roster->kept[n]->statement.newer;
    }
    enum err err = settle_roots(state, roster);
    if (err == ERR_OK && state->founding != NULL) {
        struct kept **certificates = items_new(count_of(roster, STATEMENT_OFFICE), sizeof(struct kept *));
        err = certificates == NULL ? ERR_MEMORY : settle_below(state, roster, certificates);
        free(certificates);
    }
    if (err != ERR_OK) {
        state_free(&state);
        return err;
    }
    *state_out = state;
    return ERR_OK;
}

void
state_free(struct state **state)
{
    struct state *old = *state;

    if (old == NULL) {
        return;
    }
    for (size_t n = 0; n < old->office_count; n++) {
        free(old->office_states[n].grants);
    }
    while (old->text != NULL) {
        struct text_block *block = old->text;
        old->text = block->next;
        free(block);
    }
    codebook_free(&old->codebook);
    free(old->root_sets);
    free(old->offices);
    free(old->office_states);
    free(old->certificates);
    free(old->certificate_names);
    free(old->devices);
    free(old->device_states);
    free(old->by_sign_pk);
    free(old->by_transport_pk);
    free(old->compartments);
    free(old->epochs);
    free(old->epochs_by_id);
    free(old->boxes);
    free(old->actors);
    free(old);
    *state = NULL;
}
