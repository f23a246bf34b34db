/* gossip_hint.c - a record was made urgent: what is older of it goes before the rest of its lanes.
 *
 *     lane 1   ... e*                 e has the hint of its header set: it is of record 7
 *     lane 2   a: 0 1 2 3 4 5         entries 2 of a and 4 of b are of record 7, too
 *              b: 0 1 2 3 4 5 6
 *              c: 0 1 2 3 ...         so a goes up to 2 and b up to 4, and then come the others
 *
 * The order alone changes: each entry goes once, lanes 0 and 1 and the allowance of a line as ever. Whoever sends looks for hints where it
 * reads the record; whoever only carries sees that there is one, and not of which record. A log is taken in from its
 * beginning, so what stands before such an entry in its log comes along.
 */
#include "sync/gossip_state.h"

#include <string.h>

enum {
    HINT_ENTRIES_MAX = RUN_ENTRIES_MAX, /* the last of a log that are looked at for hints */
    HINT_LOOK_MAX = 256,                /* entries that are looked at in one flush */
    HINT_LOGS_MAX = 64,                 /* of one record, that go forward */
};

/* Remember a record: in place of the one that was remembered first, where there are too many. */
static void
remember(struct part *part, uint32_t record)
{
    size_t count = part->hinted_count < HINTED_MAX ? part->hinted_count : HINTED_MAX;

    for (size_t n = 0; n < count; n++) {
        if (part->hinted[n] == record) {
            return;
        }
    }
    part->hinted[part->hinted_count % HINTED_MAX] = record;
    part->hinted_count++;
}

/* Look at what came into lane 1, as far as `left` entries go. False: there is more to look at. */
static bool
look_at_urgent(struct gossip *gossip, struct part *part, size_t *left)
{
    const struct gossip_store *store = gossip->store;
    uint32_t records[HINTED_MAX];

    for (size_t n = 0; n < part->flows.count; n++) {
        struct flow *row = &part->flows.rows[n];
        uint64_t from = row->tip_next > HINT_ENTRIES_MAX ? row->tip_next - HINT_ENTRIES_MAX : 0;

        if (row->lane != LANE_URGENT || row->hint_next >= row->tip_next) {
            continue;
        }
        from = row->hint_next > from ? row->hint_next : from;
        if (row->tip_next - from > *left) {
            return false;
        }
        *left -= (size_t)(row->tip_next - from);
        size_t count = store->hinted(store->self, &row->log_id, from, row->tip_next, records, HINTED_MAX);
        while (count > 0) {
            count--;
            remember(part, records[count]);
        }
        row->hint_next = row->tip_next;
    }
    return true;
}

/* What is there of these records may be more than at the last look: it comes from several sides. */
static void
pull_records(struct gossip *gossip, struct part *part)
{
    const struct gossip_store *store = gossip->store;
    size_t count = part->hinted_count < HINTED_MAX ? part->hinted_count : HINTED_MAX;
    struct gossip_end ends[HINT_LOGS_MAX];

    for (size_t n = 0; n < count; n++) {
        size_t end_count = store->ends(store->self, part->hinted[n], ends, HINT_LOGS_MAX);

        for (size_t k = 0; k < end_count; k++) {
            flows_pull(&part->flows, &ends[k].log_id, ends[k].next);
        }
    }
}

bool
hint_follow(struct gossip *gossip, struct conn *conn)
{
    size_t left = HINT_LOOK_MAX;
    bool all = true;

    if (conn->allowance != GOSSIP_ALL) {
        return true;
    }
    for (size_t n = 0; n < conn->part_count && all; n++) {
        struct part *part = &conn->parts[n];
        uint64_t change = part->flows.change_count + 1;

        /* While nothing waits that could go forward, hints wait too. */
        if (!part->shared || !part->has_view || part->hint_change == change ||
            (flows_next(&part->flows, LANE_NORMAL) == NULL && flows_next(&part->flows, LANE_BULK) == NULL)) {
            continue;
        }
        all = look_at_urgent(gossip, part, &left);
        pull_records(gossip, part);
        part->hint_change = all ? change : 0;
    }
    return all;
}
