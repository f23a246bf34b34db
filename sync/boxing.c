#include "sync/boxing.h"

#include <stdlib.h>
#include <string.h>

void
boxing_free(struct boxing *boxing)
{
    free(boxing->waits);
    free(boxing->seen);
    free(boxing->brought);
    free(boxing->met);
    memset(boxing, 0, sizeof *boxing);
}

/* --- the order --- */

static void
place_of(struct hash *out, const struct roster_epoch *epoch, const struct hash *device_id,
         const struct hash *admin_id)
{
    CRYPTO_HASH(out, "vigil.box.v1", hash_span(&epoch->epoch_id), hash_span(device_id), hash_span(admin_id));
}

static bool
is_maker(const struct roster_epoch *epoch, const struct hash *device_id)
{
    return epoch->maker != NULL && hash_equal(&epoch->maker->device_id, device_id);
}

size_t
boxing_rank(const struct roster_epoch *epoch, const struct hash *device_id, const struct hash *own_id,
            const struct roster_device *const *admins, size_t admin_count)
{
    struct hash own;
    size_t rank = 0;

    if (is_maker(epoch, own_id)) {
        return 0;
    }
    place_of(&own, epoch, device_id, own_id);
    for (size_t n = 0; n < admin_count; n++) {
        struct hash other;

        place_of(&other, epoch, device_id, &admins[n]->device_id);
        rank += is_maker(epoch, &admins[n]->device_id) || hash_compare(&other, &own) < 0;
    }
    return rank;
}

/* --- what gives a turn at once --- */

static bool
is_among(const struct hash *ids, size_t count, const struct hash *id)
{
    for (size_t n = 0; n < count; n++) {
        if (hash_equal(&ids[n], id)) {
            return true;
        }
    }
    return false;
}

/* Without memory the device waits for its turn like others. */
static void
add_id(struct hash **ids, size_t *count, const struct hash *id)
{
    if (is_among(*ids, *count, id)) {
        return;
    }
    struct hash *more = realloc(*ids, (*count + 1) * sizeof *more);
    if (more != NULL) {
        *ids = more;
        more[(*count)++] = *id;
    }
}

void
boxing_brought(struct boxing *boxing, const struct hash *device_id)
{
    add_id(&boxing->brought, &boxing->brought_count, device_id);
}

void
boxing_met(struct boxing *boxing, const struct hash *device_id, uint64_t generation)
{
    /* What the roster of now lacks was not looked at yet. */
    if (generation != boxing->generation) {
        add_id(&boxing->met, &boxing->met_count, device_id);
        return;
    }
    for (size_t n = 0; n < boxing->wait_count; n++) {
        struct box_wait *wait = &boxing->waits[n];

        if (wait->newcomer && hash_equal(&wait->device_id, device_id)) {
            wait->due_ms = 0;
            wait->ranked = true;
            boxing->due_ms = 0;
        }
    }
}

static bool
is_newcomer(const struct roster *roster, const struct roster_epoch *epoch, const struct hash *device_id)
{
    size_t count = 0;
    size_t from = roster_epochs_of(roster, &epoch->compartment, &count);

    for (size_t n = 0; n < count; n++) {
        if (roster_has_box(roster, &roster_epoch_at(roster, from + n)->epoch_id, device_id)) {
            return false;
        }
    }
    return true;
}

/* --- looking --- */

static int
wait_order(const void *a, const void *b)
{
    const struct box_wait *x = a;
    const struct box_wait *y = b;
    int order = hash_compare(&x->epoch_id, &y->epoch_id);

    return order != 0 ? order : hash_compare(&x->device_id, &y->device_id);
}

void
boxing_begin(struct boxing *boxing)
{
    boxing->seen_count = 0;
    boxing->due_ms = UINT64_MAX;
}

void
boxing_look_at(struct boxing *boxing, uint64_t ms)
{
    boxing->due_ms = ms < boxing->due_ms ? ms : boxing->due_ms;
}

/* False: no memory. */
static bool
add_seen(struct boxing *boxing, const struct box_wait *wait)
{
    if (boxing->seen_count == boxing->seen_capacity) {
        size_t capacity = boxing->seen_capacity == 0 ? 64 : 2 * boxing->seen_capacity;
        struct box_wait *more = realloc(boxing->seen, capacity * sizeof *more);

        if (more == NULL) {
            return false;
        }
        boxing->seen = more;
        boxing->seen_capacity = capacity;
    }
    boxing->seen[boxing->seen_count++] = *wait;
    return true;
}

/* A box that is found missing for the first time. */
static struct box_wait
begin_wait(const struct boxing *boxing, const struct roster *roster, const struct roster_epoch *epoch,
           const struct hash *device_id, const struct hash *own_id, uint64_t now_ms)
{
    struct box_wait wait = { .epoch_id = epoch->epoch_id, .device_id = *device_id, .since_ms = now_ms };

    wait.newcomer = is_newcomer(roster, epoch, device_id);
    wait.ranked = is_maker(epoch, own_id) || is_among(boxing->brought, boxing->brought_count, device_id) ||
                  (wait.newcomer && is_among(boxing->met, boxing->met_count, device_id));
    wait.due_ms = wait.ranked ? now_ms : now_ms + BOXING_HOLD_MS;
    return wait;
}

static bool
maker_is_among(const struct roster_epoch *epoch, const struct roster_device *const *admins,
               size_t admin_count)
{
    for (size_t n = 0; n < admin_count; n++) {
        if (is_maker(epoch, &admins[n]->device_id)) {
            return true;
        }
    }
    return false;
}

bool
boxing_is_our_turn(struct boxing *boxing, const struct roster *roster, const struct roster_epoch *epoch,
                   const struct hash *device_id, const struct hash *own_id,
                   const struct roster_device *const *admins, size_t admin_count, uint64_t now_ms)
{
    struct box_wait wait = { .epoch_id = epoch->epoch_id, .device_id = *device_id };
    const struct box_wait *before =
        boxing->wait_count == 0 ? NULL
                                : bsearch(&wait, boxing->waits, boxing->wait_count, sizeof wait, wait_order);

    wait = before != NULL ? *before : begin_wait(boxing, roster, epoch, device_id, own_id, now_ms);
    /* Most boxes are made by the maker within the first hold, and nobody else's rank need be known. */
    if (!wait.ranked && (now_ms >= wait.due_ms || !maker_is_among(epoch, admins, admin_count))) {
        uint64_t rank = boxing_rank(epoch, device_id, own_id, admins, admin_count);

        wait.due_ms = wait.since_ms + (rank < BOXING_RANKS_MAX ? rank : BOXING_RANKS_MAX) * BOXING_HOLD_MS;
        wait.ranked = true;
    }
    bool kept = add_seen(boxing, &wait);
    bool ours = kept && now_ms >= wait.due_ms;
    /* It is looked at again, should it not come to a box. */
    uint64_t look_ms = kept && !ours ? wait.due_ms : now_ms + BOXING_HOLD_MS;
    boxing_look_at(boxing, look_ms);
    return ours;
}

void
boxing_end(struct boxing *boxing, const struct roster *roster)
{
    size_t left = 0;

    free(boxing->waits);
    boxing->waits = boxing->seen;
    boxing->wait_count = boxing->seen_count;
    boxing->seen = NULL;
    boxing->seen_count = 0;
    boxing->seen_capacity = 0;
    if (boxing->wait_count > 0) {
        qsort(boxing->waits, boxing->wait_count, sizeof *boxing->waits, wait_order);
    }
    for (size_t n = 0; n < boxing->brought_count; n++) {
        /* The roster learns of a certificate when the turn ends that brings it. */
        if (roster_device(roster, &boxing->brought[n]) == NULL) {
            boxing->brought[left++] = boxing->brought[n];
        }
    }
    boxing->brought_count = left;
    boxing->met_count = 0;
    boxing->generation = roster_generation(roster);
}
