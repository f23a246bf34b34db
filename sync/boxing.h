/* boxing.h - whose turn it is to box an epoch for a device that has no box.
 *
 *     rank    0        1         2         3 ...     the maker of the epoch, then the other admins in an order that is
 *             |        |         |         |         another one for each (epoch, device)
 *     boxes   at once  10 min    20 min    30 min    after this node saw that the box is missing, if it still is
 *
 * One box is enough, and each of the admins could make it. The order follows from ids that everybody knows, so nobody is
 * asked; who is away is passed over after its ten minutes, so nobody has to be there. Two nodes that think differently of the
 * order, or are cut off from each other, make a box too many, which is no harm.
 *
 * At once, whatever the rank, boxes an admin
 * - that brought the certificate of the device to the others: nobody can have been before it;
 * - that a newcomer talks to, which can open nothing there yet, once both hold the same of `control`: so the box is not on its way.
 *
 * What is waited for stands in memory only: after a restart the waiting begins anew.
 */
#pragma once

#include "sync/roster.h"

/* Longer than the entries of an admin that is there take to arrive over lines that stand (over a metered one, compared once an
 * hour, somebody may make a second box), short enough for a newcomer with nobody but relays around it. Who is far down the order waits no longer than BOXING_RANKS_MAX times that: a machine
 * that is switched on for a morning gets its turn. */
enum { BOXING_HOLD_MS = 10 * 60 * 1000, BOXING_RANKS_MAX = 12 };

/* A box that was missing at the last look, and when it is this node's turn to make it. */
struct box_wait {
    struct hash epoch_id;
    struct hash device_id;
    uint64_t since_ms; /* of the steady clock: when it was first found missing */
    uint64_t due_ms;
    bool ranked;   /* due_ms is that of our rank; false: the rank is not 0, and is found out then */
    bool newcomer; /* the device has no box of any epoch there */
};

/* Zeroed: nothing is waited for, and a look is due. */
struct boxing {
    struct box_wait *waits; /* ascending by (epoch, device) */
    size_t wait_count;
    struct box_wait *seen; /* in this look, in its order */
    size_t seen_count;
    size_t seen_capacity;
    struct hash *brought; /* devices whose certificates this node brought since the last look */
    size_t brought_count;
    struct hash *met; /* devices that held the same of `control` since the roster changed */
    size_t met_count;
    uint64_t generation; /* of the roster at the last look */
    uint64_t due_ms;     /* when to look again; UINT64_MAX: when the roster changes */
};

void boxing_free(struct boxing *boxing);

/* The rank of the device `own_id`, one of `admins`, for a box: how many of them go before it. */
size_t boxing_rank(const struct roster_epoch *epoch, const struct hash *device_id, const struct hash *own_id,
                   const struct roster_device *const *admins, size_t admin_count);

/* This node is the first that tells others of the certificate of a device. */
void boxing_brought(struct boxing *boxing, const struct hash *device_id);

/* A peer holds the same of `control` as this node, whose roster has this generation. */
void boxing_met(struct boxing *boxing, const struct hash *device_id, uint64_t generation);

/* Something else is to be looked at then, by the steady clock: at the latest when boxes are. Between begin and end. */
void boxing_look_at(struct boxing *boxing, uint64_t ms);

/* Look at every box that is missing and that this node could make: begin, ask of each whether it is our turn, end. What is not
 * asked of is waited for no more. `admins`: those of the compartment who are counted on, this node among them. Without
 * memory it is nobody's turn, until the next look. */
void boxing_begin(struct boxing *boxing);
bool boxing_is_our_turn(struct boxing *boxing, const struct roster *roster, const struct roster_epoch *epoch,
                        const struct hash *device_id, const struct hash *own_id,
                        const struct roster_device *const *admins, size_t admin_count, uint64_t now_ms);
void boxing_end(struct boxing *boxing, const struct roster *roster);
