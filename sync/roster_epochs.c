#include "sync/roster_state.h"

#include <stdlib.h>
#include <string.h>

/* --- epochs --- */

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

/* The living device with admin there that signed; NULL: none. What only the revoked made is opened, and not written with. */
static const struct roster_device *
living_maker(const struct state *state, const struct kept *kept, const struct ident *compartment)
{
    const struct question living = { .asking = ASK_LIVING };

    for (size_t n = 0; n < kept->signature_count; n++) {
        const struct roster_device *signer = state_device_by_sign_pk(state, kept->signatures[n].sign_pk);
        if (state_level(state, signer, compartment, &living) == LEVEL_ADMIN) {
            return signer;
        }
    }
    return NULL;
}

/* A parent of a whole epoch. */
static struct roster_epoch *
parent_of(struct state *state, const struct roster_epoch *epoch, size_t n)
{
    struct statement_parent named = statement_parent_at(&epoch->parents, n);

    return &state->epochs[state_epoch(state, &named.epoch_id) - state->epochs];
}

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

/* Every epoch that is here, and what stands of them. */
static enum err
collect_epochs(struct state *state, struct roster *roster)
{
    size_t room = kept_count_of(roster, STATEMENT_EPOCH);

    state->epochs = items_new(room, sizeof *state->epochs);
    state->epochs_by_id = items_new(room, sizeof *state->epochs_by_id);
    if (state->epochs == NULL || state->epochs_by_id == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!kept_is(kept, STATEMENT_EPOCH)) {
            continue;
        }
        const struct epoch_body *body = &kept->statement.epoch;
        const struct roster_compartment *compartment = state_compartment(state, &body->compartment);
        bool stands = compartment != NULL && compartment->role != COMPARTMENT_CONTROL &&
                      state_signed_by_admin(state, kept, &body->compartment);
        if (stands) {
            kept_stand(state, kept);
        }
        state->epochs[state->epoch_count++] = (struct roster_epoch){
            .epoch_id = kept->statement.id,
            .compartment = body->compartment,
            .number = body->number,
            .commit = body->commit,
            .parents = body->parents,
            .boxes = body->boxes,
            .stands = stands,
            .maker = stands ? living_maker(state, kept, &body->compartment) : NULL,
        };
    }
    qsort(state->epochs, state->epoch_count, sizeof *state->epochs, epoch_order);
    for (size_t n = 0; n < state->epoch_count; n++) {
        state->epochs_by_id[n] = (uint32_t)n;
    }
    qsort_r(state->epochs_by_id, state->epoch_count, sizeof *state->epochs_by_id, epoch_by_id_order,
            state->epochs);
    return ERR_OK;
}

/* Parents have lower numbers, so in order of number they are judged before their children. */
static void
find_tips(struct state *state)
{
    for (size_t n = 0; n < state->epoch_count; n++) {
        struct roster_epoch *epoch = &state->epochs[n];
        epoch->whole = epoch_is_whole(state, epoch);
        epoch->tip = epoch->whole && epoch->stands;
        for (size_t parent = 0; epoch->tip && parent < epoch->parents.count; parent++) {
            parent_of(state, epoch, parent)->tip = false;
        }
    }
}

/* --- boxes --- */

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
collect_boxes(struct state *state, struct roster *roster)
{
    state->boxes = items_new(kept_count_of(roster, STATEMENT_BOX), sizeof *state->boxes);
    if (state->boxes == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < roster->kept_count; n++) {
        struct kept *kept = roster->kept[n];
        if (!kept_is(kept, STATEMENT_BOX)) {
            continue;
        }
        const struct box_body *body = &kept->statement.box;
        const struct roster_epoch *epoch = state_epoch(state, &body->epoch_id);
        if (epoch == NULL || !state_signed_by_admin(state, kept, &epoch->compartment)) {
            continue;
        }
        kept_stand(state, kept);
        state->boxes[state->box_count++] =
            (struct box_state){ body->epoch_id, body->device_id, body->sealed };
    }
    qsort(state->boxes, state->box_count, sizeof *state->boxes, box_whole_order);
    return ERR_OK;
}

/* --- in force --- */

/* True if the device was once to read there, and is no more. */
static bool
has_lost_read(const struct state *state, const struct hash *device_id, const struct ident *compartment)
{
    const struct question living = { .asking = ASK_LIVING };
    const struct state *genuine = state_genuine(state);

    return genuine != state &&
           state_level(genuine, state_device(genuine, device_id), compartment, &living) >= LEVEL_READ &&
           state_level(state, state_device(state, device_id), compartment, &living) < LEVEL_READ;
}

/* True if the epoch itself, or a BOX, gave its key to a device that has lost read. */
static bool
boxes_somebody_lost(const struct state *state, const struct roster_epoch *epoch)
{
    for (size_t n = 0; n < epoch->boxes.count; n++) {
        struct statement_box box = statement_box_at(&epoch->boxes, n);
        if (has_lost_read(state, &box.device_id, &epoch->compartment)) {
            return true;
        }
    }
    for (size_t n = state_box_from(state, &epoch->epoch_id, NULL);
         n < state->box_count && hash_equal(&state->boxes[n].epoch_id, &epoch->epoch_id); n++) {
        if (has_lost_read(state, &state->boxes[n].device_id, &epoch->compartment)) {
            return true;
        }
    }
    return false;
}

/* Find what each compartment is written with, from the highest epoch down. Who has the key of an epoch opens its
 * parents by their links: what was given away with a child was given away with them. */
static void
find_current(struct state *state)
{
    for (size_t n = state->epoch_count; n-- > 0;) {
        struct roster_epoch *epoch = &state->epochs[n];
        if (!epoch->stands || !epoch->whole) {
            continue;
        }
        const struct roster_compartment *there = state_compartment(state, &epoch->compartment);
        struct roster_compartment *compartment = &state->compartments[there - state->compartments];
        if (compartment->current != NULL) {
            continue;
        }
        epoch->exposed = epoch->exposed || boxes_somebody_lost(state, epoch);
        for (size_t parent = 0; epoch->exposed && parent < epoch->parents.count; parent++) {
            parent_of(state, epoch, parent)->exposed = true;
        }
        if (!epoch->exposed && epoch->maker != NULL) {
            compartment->current = epoch;
        }
    }
}

enum err
settle_epochs(struct state *state, struct roster *roster)
{
    enum err err = collect_epochs(state, roster);

    if (err == ERR_OK) {
        find_tips(state);
        err = collect_boxes(state, roster);
    }
    if (err == ERR_OK) {
        find_current(state);
    }
    return err;
}
