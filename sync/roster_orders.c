#include "sync/roster_state.h"
#include "store/base/sorted.h"
#include "store/entry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- erasures --- */

/* A device that orders an erasure, and an office that made it admin of everything the order names. */
struct vouched {
    const struct roster_device *device;
    uint32_t office;
};

/* True if this office alone gave the device admin in every compartment that the order names. */
static bool
is_vouched_for(const struct state *genuine, const struct roster_device *device, uint32_t office,
               const struct statement_list *keys)
{
    const struct question question = { .asking = ASK_OFFICE, .office = office };

    for (size_t n = 0; n < keys->count; n++) {
        struct ident compartment = statement_erase_at(keys, n).compartment;
        if (state_level(genuine, device, &compartment, &question) != LEVEL_ADMIN) {
            return false;
        }
    }
    return true;
}

/* How many signatures of how many offices count together: 0, 1, or 2 where two devices of two offices signed. */
static uint32_t
count_apart(const struct vouched *all, size_t count)
{
    for (size_t n = 1; n < count; n++) {
        for (size_t before = 0; before < n; before++) {
            if (all[n].device != all[before].device && all[n].office != all[before].office) {
                return 2;
            }
        }
    }
    return count > 0;
}

/* How many certificates all the signers of an erasure have. */
static size_t
vouched_room(const struct state *genuine, const struct kept *kept)
{
    size_t room = 0;

    for (size_t n = 0; n < kept->signature_count; n++) {
        const struct roster_device *device = state_device_by_sign_pk(genuine, kept->signatures[n].sign_pk);
        room += device == NULL ? 0 : genuine->device_states[device - genuine->devices].certificate_count;
    }
    return room;
}

/* Judge one order by certificates alone: what was revoked since changes nothing, since there is no undo. The
 * signers that count go to `signers`, where there is room for all. */
static enum err
erasure_judge(const struct state *state, const struct kept *kept, struct roster_erasure *erasure,
              struct hash *signers)
{
    const struct state *genuine = state_genuine(state);
    struct vouched *vouched = items_new(vouched_room(genuine, kept), sizeof *vouched);
    size_t count = 0;

    if (vouched == NULL) {
        return ERR_MEMORY;
    }
    erasure->signers = signers;
    for (size_t n = 0; n < kept->signature_count; n++) {
        const struct roster_device *device = state_device_by_sign_pk(genuine, kept->signatures[n].sign_pk);
        if (device == NULL) {
            continue;
        }
        const struct device_state *more = &genuine->device_states[device - genuine->devices];
        size_t before = count;
        for (size_t at = 0; at < more->certificate_count; at++) {
            const struct roster_office *by =
                &genuine->offices[genuine->certificates[more->first_certificate + at].office];
            /* Two keys of one office are one office, whichever certified whom. */
            uint32_t office = (uint32_t)(by->house - genuine->offices);
            if (is_vouched_for(genuine, device, office, &kept->statement.erase.keys)) {
                vouched[count++] = (struct vouched){ device, office };
            }
        }
        if (count > before) {
            signers[erasure->signer_count++] = device->device_id;
        }
    }
    erasure->signed_count = count_apart(vouched, count);
    erasure->needed = state->founding->statement.organisation.erasure_signatures;
    erasure->stands = erasure->signed_count >= erasure->needed;
    free(vouched);
    return ERR_OK;
}

static int
erasure_order(const void *a, const void *b)
{
    const struct roster_erasure *x = a;
    const struct roster_erasure *y = b;
    int order = ident_compare(&x->order, &y->order);

    return order != 0 ? order : hash_compare(&x->stmt_id, &y->stmt_id);
}

static int
erase_key_order(const void *a, const void *b)
{
    const struct roster_erase_key *x = a;
    const struct roster_erase_key *y = b;
    int order = ident_compare(&x->compartment, &y->compartment);

    if (order == 0) {
        order = memcmp(x->erase_key.bytes, y->erase_key.bytes, KEY_BYTES);
    }
    return order != 0 ? order : ident_compare(&x->order, &y->order);
}

/* The keys of what stands, each once for an order. */
static enum err
collect_erase_keys(struct state *state)
{
    size_t room = 0;

    for (size_t n = 0; n < state->erasure_count; n++) {
        room += state->erasures[n].stands ? state->erasures[n].keys.count : 0;
    }
    state->erase_keys = items_new(room, sizeof *state->erase_keys);
    if (state->erase_keys == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < state->erasure_count; n++) {
        const struct roster_erasure *erasure = &state->erasures[n];
        for (size_t at = 0; erasure->stands && at < erasure->keys.count; at++) {
            struct statement_erase named = statement_erase_at(&erasure->keys, at);
            state->erase_keys[state->erase_key_count++] =
                (struct roster_erase_key){ named.compartment, named.erase_key, erasure->order };
        }
    }
    qsort(state->erase_keys, state->erase_key_count, sizeof *state->erase_keys, erase_key_order);
    state->erase_key_count = items_keep_first(state->erase_keys, state->erase_key_count,
                                              sizeof *state->erase_keys, erase_key_order);
    return ERR_OK;
}

enum err
settle_erasures(struct state *state, struct roster *roster)
{
    size_t signer_room = 0;
    struct hash *signers;

    for (size_t n = 0; n < roster->kept_count; n++) {
        signer_room += kept_is(roster->kept[n], STATEMENT_ERASE) ? roster->kept[n]->signature_count : 0;
    }
    state->erasures = items_new(kept_count_of(roster, STATEMENT_ERASE), sizeof *state->erasures);
    state->erasure_signers = signers = items_new(signer_room, sizeof *signers);
    if (state->erasures == NULL || signers == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!kept_is(kept, STATEMENT_ERASE)) {
            continue;
        }
        struct roster_erasure *erasure = &state->erasures[state->erasure_count++];
        erasure->stmt_id = kept->statement.id;
        erasure->order = kept->statement.erase.order;
        erasure->keys = kept->statement.erase.keys;
        enum err err = erasure_judge(state, kept, erasure, signers);
        if (err != ERR_OK) {
            return err;
        }
        signers += erasure->signer_count;
        if (erasure->stands) {
            kept_stand(state, kept);
        }
    }
    qsort(state->erasures, state->erasure_count, sizeof *state->erasures, erasure_order);
    return collect_erase_keys(state);
}

size_t
roster_erasure_count(const struct roster *roster)
{
    return roster->state->erasure_count;
}

const struct roster_erasure *
roster_erasure_at(const struct roster *roster, size_t n)
{
    assert(n < roster->state->erasure_count);

    return &roster->state->erasures[n];
}

const struct roster_erase_key *
roster_erase_keys_of(const struct roster *roster, const struct ident *compartment, size_t *count_out)
{
    const struct state *state = roster->state;
    size_t first;

    *count_out =
        sorted_run(SORTED_BY(struct roster_erase_key, state->erase_keys, state->erase_key_count, compartment),
                   ident_span(compartment), &first);
    return *count_out == 0 ? NULL : &state->erase_keys[first];
}

/* --- fork proofs --- */

static int
fork_order(const void *a, const void *b)
{
    const struct roster_fork *x = a;
    const struct roster_fork *y = b;
    int order = hash_compare(&x->log_id, &y->log_id);

    if (order == 0) {
        order = (x->first > y->first) - (x->first < y->first);
    }
    return order != 0 ? order : hash_compare(&x->stmt_id, &y->stmt_id);
}

/* A proof is true whoever brought it. It stands if its author was ever certified: anybody can draw a key and fork
 * a log of it. */
enum err
settle_forks(struct state *state, struct roster *roster)
{
    const struct state *genuine = state_genuine(state);

    state->forks = items_new(kept_count_of(roster, STATEMENT_FORK_PROOF), sizeof *state->forks);
    if (state->forks == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        const struct fork_body *body = &kept->statement.fork;
        if (!kept_is(kept, STATEMENT_FORK_PROOF) ||
            state_device_by_sign_pk(genuine, body->descriptor.sign_pk) == NULL) {
            continue;
        }
        struct roster_fork *fork = &state->forks[state->fork_count++];
        fork->stmt_id = kept->statement.id;
        fork->descriptor = body->descriptor;
        descriptor_log_id(&body->descriptor, &fork->log_id);
        device_id_of(body->descriptor.sign_pk, &fork->device_id);
        fork->first = body->first;
        for (int branch = 0; branch < 2; branch++) {
            fork->branch[branch] = statement_fork_entry(body, branch, 0, NULL);
            fork->last_seq[branch] = body->first + body->branches[branch].count - 1;
        }
        kept_stand(state, kept);
    }
    qsort(state->forks, state->fork_count, sizeof *state->forks, fork_order);
    return ERR_OK;
}

size_t
roster_fork_count(const struct roster *roster)
{
    return roster->state->fork_count;
}

const struct roster_fork *
roster_fork_at(const struct roster *roster, size_t n)
{
    assert(n < roster->state->fork_count);

    return &roster->state->forks[n];
}
