/* flow.h - what of ours one peer still lacks in one compartment.
 *
 *     our tips      a:90      b:12      c:7          one row for each tip of our frontier,
 *     peer has      a:63      b:12      -            in the same order
 *     to send       64..90    nothing   0..7
 *
 * A row is filled from the peer's word (FRONT, ACK) and from what we sent; none of it
 * is evidence, and where it is wrong a chunk goes twice or the digests differ and
 * the peers look closer. Rows follow the frontier by flows_sync.
 */
#pragma once

#include "sync/gossip.h"

struct flow {
    struct hash log_id;
    uint64_t branch_first;
    uint8_t branch_id[SHORT_BYTES];
    uint64_t tip_next;     /* one more than our tip's seq */
    uint64_t next;         /* the next seq to send; nothing to do once it reaches tip_next */
    uint64_t durable_next; /* as the peer said */
    uint64_t visible_next;
    uint32_t place;       /* where we introduced the log in this session, plus 1; 0: not yet */
    uint64_t hint_next;   /* of lane 1: its entries below were looked at for hints */
    uint64_t pulled_next; /* of lanes 2 and 3: what lies below goes before the rest of its lane */
    uint8_t lane;
    bool known;   /* the peer named this log: it needs no descriptor */
    bool careful; /* it was refused before: one chunk, and the next when that is acknowledged */
    bool stopped; /* the peer takes nothing of it now, or we cannot read it */
};

struct flows {
    struct flow *rows;
    size_t count;
    bool synced;
    uint64_t change_count; /* of the frontier, when the rows last followed it */
    size_t cursor[LANE_COUNT];
    bool idle[LANE_COUNT]; /* no row of the lane has anything to send: set by a search that found none */
    size_t pulled_cursor;
    bool pulled_idle; /* nor any row something that goes before the rest */
};

void flows_free(struct flows *flows);

/* Follow the frontier. A log that forked keeps what all its branches share; a tip that nothing is known of starts at 0.
 * True in *changed_out if anything moved. ERR_MEMORY: nothing changed. */
MUST_CHECK enum err flows_sync(struct flows *flows, const struct frontier *frontier,
                               const struct gossip_store *store, bool *changed_out);

/* The rows below must be in step with the frontier they were synced to. */

/* The peer has all of it: digests were equal. */
void flows_set_equal(struct flows *flows);

/* The peer said what it has: start from there, also where that is less than was sent. */
void flows_set_view(struct flows *flows, const struct peer_view *view);

/* The peer acknowledged a log. True: more is durable there than was known. */
bool flows_ack(struct flows *flows, const struct hash *log_id, uint64_t durable_next, uint64_t visible_next);

/* The peer itself sent this log, and we hold it up to durable_next: none of it goes back. */
void flows_came_from_peer(struct flows *flows, const struct hash *log_id, uint64_t durable_next);

/* Send a log again from `from` on, on every branch. */
void flows_rewind(struct flows *flows, const struct hash *log_id, uint64_t from);

/* The place of the first row of a log, and how many it has. */
size_t flows_log(const struct flows *flows, const struct hash *log_id, size_t *first_out);

/* Remember on all rows of a log where it was introduced. */
void flows_introduced(struct flows *flows, const struct hash *log_id, uint32_t place);

/* A row was changed by hand: look again whether there is anything to send. */
void flows_wake(struct flows *flows);

/* A row of this lane with something to send; the same one until it has nothing left. NULL: none. */
struct flow *flows_next(struct flows *flows, enum lane lane);

/* What of a log of lanes 2 and 3 comes before `next` goes before the rest of its lane, on every branch. */
void flows_pull(struct flows *flows, const struct hash *log_id, uint64_t next);

/* A row with something to send that was pulled. NULL: none. */
struct flow *flows_next_pulled(struct flows *flows);

/* True if any lane has something to send. */
bool flows_pending(struct flows *flows);

/* What has yet to be sent, lane by lane: not of logs that the peer takes nothing of now. */
void flows_waiting(const struct flows *flows, uint64_t entries_out[LANE_COUNT]);

/* Entries of all rows, those durable and visible at the peer, those not yet sent. */
struct flow_sums {
    uint64_t entries;
    uint64_t durable;
    uint64_t visible;
    uint64_t to_send;
};

void flows_sum(const struct flows *flows, struct flow_sums *sums_out);
