#include "sync/roster_state.h"
#include "store/base/sorted.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- the rule --- */

/* The revocations of a key: a run of `all`. */
static const struct roster_revocation *
revocations_of(const struct revocations *revocations, const uint8_t *key, size_t *count_out)
{
    size_t first;

    *count_out = sorted_run(SORTED_BY(struct roster_revocation, revocations->all, revocations->count, key),
                            span_of(key, SIGN_PK_BYTES), &first);
    return *count_out == 0 ? NULL : &revocations->all[first];
}

static int
hash_order(const void *a, const void *b)
{
    return hash_compare(a, b);
}

/* True if the revocation, or one of its extensions, keeps the statement. */
static bool
keeps(const struct roster_revocation *revocation, const struct hash *stmt_id)
{
    return stmt_id != NULL && revocation->keep_count > 0 &&
           bsearch(stmt_id, revocation->keep, revocation->keep_count, sizeof *stmt_id, hash_order) != NULL;
}

bool
state_signature_counts(const struct state *state, const uint8_t *key, const struct roster_office *office,
                       const struct hash *stmt_id)
{
    size_t count = 0;
    const struct roster_revocation *of = revocations_of(&state->revocations, key, &count);

    for (size_t n = 0; n < count; n++) {
        bool reaches = of[n].office == NULL || (office != NULL && of[n].office->house == office->house);
        if (reaches && !keeps(&of[n], stmt_id)) {
            return false;
        }
    }
    return true;
}

bool
state_signed_by_office(const struct state *state, const struct kept *kept, const struct roster_office *office)
{
    return kept_signed_by(kept, office->office_pk) &&
           state_signature_counts(state, office->office_pk, NULL, &kept->statement.id);
}

bool
state_signed_by_admin(const struct state *state, const struct kept *kept, const struct ident *compartment)
{
    const struct question question = { .asking = ASK_STATEMENT, .stmt_id = &kept->statement.id };

    for (size_t n = 0; n < kept->signature_count; n++) {
        const struct roster_device *signer = state_device_by_sign_pk(state, kept->signatures[n].sign_pk);
        if (state_level(state, signer, compartment, &question) == LEVEL_ADMIN) {
            return true;
        }
    }
    return false;
}

/* --- who revokes --- */

/* A REVOKE, as one who may say so says it: the roots, or an office for what it gave. */
struct draft {
    struct kept *kept;
    const struct roster_office *office; /* NULL: the roots */
};

static int
draft_order(const void *a, const void *b)
{
    const struct draft *x = a;
    const struct draft *y = b;
    int order = memcmp(x->kept->statement.revoke.key, y->kept->statement.revoke.key, SIGN_PK_BYTES);

    if (order == 0) {
        order = hash_compare(&x->kept->statement.id, &y->kept->statement.id);
    }
    /* Offices lie in an array, ascending by key; who is no office comes first. */
    return order != 0 ? order : (x->office > y->office) - (x->office < y->office);
}

static bool
has_certified(const struct state *state, const struct roster_office *office, const uint8_t *sign_pk)
{
    for (size_t n = 0; n < state->certificate_count; n++) {
        const struct certificate *certificate = &state->certificates[n];
        if (state->offices[certificate->office].house == office->house &&
            memcmp(certificate->kept->statement.device.sign_pk, sign_pk, SIGN_PK_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Collect who says the REVOKE rightly. Once the roots do, no office adds to it. */
static size_t
draft_add(const struct state *state, struct draft *drafts, struct kept *kept, bool by_offices_too)
{
    size_t count = 0;

    if (state_signed_by_roots(state, kept)) {
        drafts[count++] = (struct draft){ kept, NULL };
        return count;
    }
    for (size_t n = 0; by_offices_too && n < kept->signature_count; n++) {
        const struct roster_office *office = state_office(state, kept->signatures[n].sign_pk);
        if (office != NULL && state_signed_by_office(state, kept, office) &&
            has_certified(state, office, kept->statement.revoke.key)) {
            drafts[count++] = (struct draft){ kept, office };
        }
    }
    return count;
}

/* --- what they let pass --- */

static int
cut_order(const void *a, const void *b)
{
    return statement_cut_compare(a, b);
}

static void
put_lists(struct revocations *out, const struct statement_list *cuts, const struct statement_list *keep)
{
    struct statement_list left = *cuts;
    struct statement_cut cut;

    while (statement_cut_next(&left, &cut)) {
        buf_put(&out->cuts, &cut, sizeof cut);
    }
    for (size_t n = 0; n < keep->count; n++) {
        struct hash id = statement_id_at(keep, n);
        buf_put(&out->keep, &id, sizeof id);
    }
}

/* Sort what was put since `from`, and leave each once. */
static size_t
unite(struct buf *items, size_t from, size_t item_bytes, int (*order)(const void *a, const void *b))
{
    size_t count = items->failed ? 0 : (items->size - from) / item_bytes;

    if (count > 0) {
        qsort(items->data + from, count, item_bytes, order);
        count = items_keep_first(items->data + from, count, item_bytes, order);
        items->size = from + count * item_bytes;
    }
    return count;
}

/* True if a key of this office signed, and that counts. */
static bool
signed_by_house(const struct state *state, const struct kept *kept, const struct roster_office *office)
{
    for (size_t n = 0; n < kept->signature_count; n++) {
        const struct roster_office *signer = state_office(state, kept->signatures[n].sign_pk);
        if (signer != NULL && signer->house == office->house && state_signed_by_office(state, kept, signer)) {
            return true;
        }
    }
    return false;
}

/* True if the extension adds to the revocation: it is of whoever revoked, or of the roots. */
static bool
extends(const struct state *state, const struct kept *extension, const struct draft *draft)
{
    return hash_equal(&extension->statement.extend.revoke, &draft->kept->statement.id) &&
           (state_signed_by_roots(state, extension) ||
            (draft->office != NULL && signed_by_house(state, extension, draft->office)));
}

/* One revocation, with what it and its extensions let pass. */
static void
revocation_add(const struct state *state, const struct roster *roster, const struct draft *draft,
               struct revocations *out)
{
    const struct revoke_body *body = &draft->kept->statement.revoke;
    struct roster_revocation *revocation = &out->all[out->count++];
    size_t cuts_from = out->cuts.size;
    size_t keep_from = out->keep.size;

    revocation->stmt_id = draft->kept->statement.id;
    memcpy(revocation->key, body->key, sizeof revocation->key);
    revocation->reason = body->reason;
    revocation->by_roots = draft->office == NULL;
    revocation->office = draft->office;
    kept_stand(state, draft->kept);
    put_lists(out, &body->cuts, &body->keep);
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (kept_is(kept, STATEMENT_EXTEND) && extends(state, kept, draft)) {
            kept_stand(state, kept);
            put_lists(out, &kept->statement.extend.cuts, &kept->statement.extend.keep);
        }
    }
    revocation->cut_count = unite(&out->cuts, cuts_from, sizeof(struct statement_cut), cut_order);
    revocation->keep_count = unite(&out->keep, keep_from, sizeof(struct hash), hash_order);
}

/* The lists have grown to their end: say where each lies. */
static void
point_into_lists(struct revocations *out)
{
    const struct statement_cut *cuts = (const void *)out->cuts.data;
    const struct hash *keep = (const void *)out->keep.data;
    size_t cuts_before = 0;
    size_t keep_before = 0;

    for (size_t n = 0; n < out->count; n++) {
        struct roster_revocation *revocation = &out->all[n];
        revocation->cuts = revocation->cut_count == 0 ? NULL : &cuts[cuts_before];
        revocation->keep = revocation->keep_count == 0 ? NULL : &keep[keep_before];
        cuts_before += revocation->cut_count;
        keep_before += revocation->keep_count;
    }
}

static void
revocations_free(struct revocations *revocations)
{
    free(revocations->all);
    buf_free(&revocations->cuts);
    buf_free(&revocations->keep);
}

enum err
settle_revocations(struct state *state, struct roster *roster, bool by_offices_too)
{
    struct revocations fresh = { 0 };
    size_t room = 0;
    size_t count = 0;

    for (size_t n = 0; n < roster->kept_count; n++) {
        room += kept_is(roster->kept[n], STATEMENT_REVOKE) ? roster->kept[n]->signature_count : 0;
    }
    struct draft *drafts = items_new(room, sizeof *drafts);
    fresh.all = items_new(room, sizeof *fresh.all);
    if (drafts == NULL || fresh.all == NULL) {
        free(drafts);
        free(fresh.all);
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        if (kept_is(roster->kept[n], STATEMENT_REVOKE)) {
            count += draft_add(state, drafts + count, roster->kept[n], by_offices_too);
        }
    }
    qsort(drafts, count, sizeof *drafts, draft_order);
    for (size_t n = 0; n < count; n++) {
        revocation_add(state, roster, &drafts[n], &fresh);
    }
    free(drafts);
    if (fresh.cuts.failed || fresh.keep.failed) {
        revocations_free(&fresh);
        return ERR_MEMORY;
    }
    point_into_lists(&fresh);
    /* Until here the ones before were asked whose signature counts. */
    revocations_free(&state->revocations);
    state->revocations = fresh;
    for (size_t n = 0; n < state->office_count; n++) {
        struct roster_office *office = &state->offices[n];
        office->revoked = !state_signature_counts(state, office->office_pk, NULL, NULL);
    }
    return ERR_OK;
}

/* --- what others ask --- */

size_t
roster_revocation_count(const struct roster *roster)
{
    return roster->state->revocations.count;
}

const struct roster_revocation *
roster_revocation_at(const struct roster *roster, size_t n)
{
    assert(n < roster->state->revocations.count);

    return &roster->state->revocations.all[n];
}

const struct roster_revocation *
roster_revocations_of(const struct roster *roster, const uint8_t key[SIGN_PK_BYTES], size_t *count_out)
{
    return revocations_of(&roster->state->revocations, key, count_out);
}

bool
roster_revocation_reaches(const struct roster *roster, const struct roster_revocation *revocation,
                          const struct ident *compartment)
{
    const struct question living = { .asking = ASK_LIVING };
    const struct roster_device *device = state_device_by_sign_pk(roster->state, revocation->key);

    return revocation->office == NULL ||
           state_level(roster->state, device, compartment, &living) < LEVEL_WRITE;
}
