#include "sync/roster_state.h"
#include "store/base/sorted.h"
#include "store/codebook.h"

#include <assert.h>
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

const char *
state_text(struct state *state, struct span text)
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

void *
items_new(size_t count, size_t item_bytes)
{
    return calloc(count == 0 ? 1 : count, item_bytes);
}

size_t
items_keep_first(void *items, size_t count, size_t item_bytes, int (*order)(const void *a, const void *b))
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

bool
shown_before(uint64_t a_until, const struct hash *a_id, uint64_t b_until, const struct hash *b_id)
{
    return a_until != b_until ? a_until > b_until : hash_compare(a_id, b_id) > 0;
}

/* --- who signed --- */

bool
kept_signed_by(const struct kept *kept, const uint8_t *sign_pk)
{
    return sorted_find(
               SORTED_BY(struct statement_signature, kept->signatures, kept->signature_count, sign_pk),
               span_of(sign_pk, SIGN_PK_BYTES)) != NULL;
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

bool
state_signed_by_roots(const struct state *state, const struct kept *kept)
{
    for (size_t n = state->root_set_count; n-- > 0;) {
        const struct root_set *set = &state->root_sets[n];
        if (signed_by_of(kept, &set->roots) >= set->needed) {
            return true;
        }
        if (!state->genuine_only && !statement_key_find(&set->keep, kept->statement.id.bytes)) {
            return false;
        }
    }
    return false;
}

bool
kept_is(const struct kept *kept, enum statement_type type)
{
    return kept->statement.type == type && !kept->statement.newer;
}

size_t
kept_count_of(const struct roster *roster, enum statement_type type)
{
    size_t count = 0;

    for (size_t n = 0; n < roster->kept_count; n++) {
        count += kept_is(roster->kept[n], type);
    }
    return count;
}

void
kept_stand(const struct state *state, struct kept *kept)
{
    kept->standing |= !state->genuine_only;
}

/* --- founding and roots --- */

static enum err
settle_roots(struct state *state, struct roster *roster)
{
    state->root_sets = items_new(kept_count_of(roster, STATEMENT_ROOTS) + 1, sizeof *state->root_sets);
    if (state->root_sets == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        const struct organisation_body *body = &kept->statement.organisation;
        if (kept_is(kept, STATEMENT_ORGANISATION) && hash_equal(&kept->statement.id, &roster->org) &&
            signed_by_of(kept, &body->roots) >= body->needed) {
            state->founding = kept;
            kept_stand(state, kept);
            state->name = state_text(state, body->name);
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
            if (!kept_is(kept, STATEMENT_ROOTS) ||
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
        kept_stand(state, best);
        const struct roots_body *body = &best->statement.roots;
        state->root_sets[state->root_set_count++] =
            (struct root_set){ best, body->roots, body->needed, body->keep };
    }
}

/* --- codebook --- */

/* The highest (version, stmt_id). Statements ascend by id. */
static enum err
settle_codebook(struct state *state, struct roster *roster)
{
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        struct codebook *codebook = NULL;
        if (!kept_is(kept, STATEMENT_CODEBOOK) || !state_signed_by_roots(state, kept)) {
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
        kept_stand(state, kept);
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

static enum err layer_new(struct state **state_out, struct roster *roster, bool genuine_only);

/* The layer that ignores what was taken back, where that is another one. */
static enum err
settle_genuine(struct state *state, struct roster *roster)
{
    if (state->revocations.count == 0 && state->root_set_count == 1 && !state->clashed) {
        return ERR_OK;
    }
    return layer_new(&state->genuine, roster, true);
}

/* Everything below the roots, of the office certificates that stand. */
static enum err
settle_below(struct state *state, struct roster *roster, struct kept **certificates)
{
    size_t count = 0;

    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (kept_is(kept, STATEMENT_OFFICE) && state_signed_by_roots(state, kept)) {
            kept_stand(state, kept);
            certificates[count++] = kept;
        }
    }
    qsort(certificates, count, sizeof(struct kept *), office_kept_order);
    enum err err = settle_offices(state, certificates, count);
    if (err == ERR_OK) {
        err = settle_compartments(state, certificates, count);
    }
    if (err == ERR_OK && !state->genuine_only) {
        err = settle_revocations(state, roster, false);
    }
    if (err == ERR_OK) {
        err = settle_certificates(state, roster);
    }
    if (err == ERR_OK && !state->genuine_only) {
        err = settle_revocations(state, roster, true);
    }
    if (err == ERR_OK) {
        err = settle_devices(state);
    }
    enum err (*const steps[])(struct state *, struct roster *) = {
        settle_genuine,  settle_epochs,   settle_addresses, settle_actors,
        settle_codebook, settle_erasures, settle_forks,
    };
    for (size_t n = 0; !state->genuine_only && n < sizeof steps / sizeof steps[0] && err == ERR_OK; n++) {
        err = steps[n](state, roster);
    }
    return err;
}

/* One layer, of statements that ascend by id. */
static enum err
layer_new(struct state **state_out, struct roster *roster, bool genuine_only)
{
    struct state *state = calloc(1, sizeof *state);

    if (state == NULL) {
        return ERR_MEMORY;
    }
    state->genuine_only = genuine_only;
    state->name = "";
    enum err err = settle_roots(state, roster);
    if (err == ERR_OK && state->founding != NULL) {
        struct kept **certificates =
            items_new(kept_count_of(roster, STATEMENT_OFFICE), sizeof(struct kept *));
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

enum err
state_new(struct state **state_out, struct roster *roster)
{
    size_t newer_count = 0;

    if (roster->kept_count > 0) {
        qsort(roster->kept, roster->kept_count, sizeof(struct kept *), kept_by_id);
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        roster->kept[n]->standing = false;
        newer_count += roster->kept[n]->statement.newer;
    }
    enum err err = layer_new(state_out, roster, false);
    if (err == ERR_OK) {
        (*state_out)->newer_count += newer_count;
    }
    return err;
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
    state_free(&old->genuine);
    free(old->revocations.all);
    buf_free(&old->revocations.cuts);
    buf_free(&old->revocations.keep);
    free(old->erasures);
    free(old->erasure_signers);
    free(old->erase_keys);
    free(old->forks);
    free(old->living);
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
