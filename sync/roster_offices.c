#include "sync/roster_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- offices --- */

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
    office->grant_count = items_keep_first(office->grants, total, sizeof *office->grants, grant_same);
    return ERR_OK;
}

/* One office, of its certificates in ascending order. */
static enum err
office_add(struct state *state, struct kept *const *certificates, size_t count)
{
    struct roster_office *office = &state->offices[state->office_count];
    struct office_state *more = &state->office_states[state->office_count];
    const struct kept *shown = certificates[0];

    for (size_t n = 1; n < count; n++) {
        if (shown_before(certificates[n]->statement.office.until, &certificates[n]->statement.id,
                         shown->statement.office.until, &shown->statement.id)) {
            shown = certificates[n];
        }
    }
    const struct office_body *body = &shown->statement.office;
    memcpy(office->office_pk, body->office_pk, SIGN_PK_BYTES);
    office->stmt_id = shown->statement.id;
    office->until = body->until;
    memcpy(office->own, body->own, sizeof office->own);
    office->code = state_text(state, body->code);
    office->name = state_text(state, body->name);
    more->lowest_id = certificates[0]->statement.id;
    state->office_count++;
    if (office->code == NULL || office->name == NULL) {
        return ERR_MEMORY;
    }
    return office_unite_grants(more, certificates, count);
}

/* Offices that have the same compartments are one, whose key was replaced: what counts for an office by itself, counts
 * for all of its keys together. */
static void
settle_houses(struct state *state)
{
    for (size_t n = 0; n < state->office_count; n++) {
        struct roster_office *office = &state->offices[n];
        office->house = office;
        for (size_t before = 0; before < n && office->house == office; before++) {
            if (memcmp(state->offices[before].own, office->own, sizeof office->own) == 0) {
                office->house = &state->offices[before];
            }
        }
    }
}

/* Offices from their certificates, which are sorted by key and id. */
enum err
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
    settle_houses(state);
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

enum err
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
    claim_count = items_keep_first(claims, claim_count, sizeof *claims, claim_same);
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
