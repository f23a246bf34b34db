#include "sync/gossip_state.h"

#include <stdlib.h>
#include <string.h>

static uint32_t
permille(uint64_t part, uint64_t whole)
{
    if (whole == 0 || part >= whole) {
        return 1000;
    }
    return (uint32_t)((double)part * 1000.0 / (double)whole);
}

static void
note_part(struct gossip *gossip, const struct conn *conn, struct part *part,
          struct gossip_compartment_status *status, struct part_seen *seen)
{
    const struct gossip_store *store = gossip->store;
    struct flow_sums sums;
    uint8_t flags = store->flags(store->self, &part->id);
    struct frontier *frontier = session_frontier(gossip, part);

    memset(status, 0, sizeof *status);
    status->compartment = part->id;
    flows_sum(&part->flows, &sums);
    status->compared = part->peer_told && part->told;
    bool equal = frontier != NULL && status->compared &&
                 memcmp(part->peer_digest, frontier_digest(frontier), DIGEST_BYTES) == 0;
    uint8_t lacks = (uint8_t)(flags | part->peer_flags) & (DIGEST_LACKS_ENTRIES | DIGEST_LACKS_PAYLOADS);
    status->complete = equal && lacks == 0;
    status->visible_complete = status->complete && ((flags | part->peer_flags) & DIGEST_WORKING) == 0;
    status->stored_permille = equal ? 1000 : permille(sums.durable, sums.entries);
    status->visible_permille = status->visible_complete ? 1000 : permille(sums.visible, sums.entries);
    status->entries_to_send = sums.to_send;
    *seen = (struct part_seen){ .entries = sums.entries,
                                .durable = equal ? sums.entries : sums.durable,
                                .visible = status->visible_complete ? sums.entries : sums.visible,
                                .to_send = sums.to_send };
    if (frontier != NULL) {
        memcpy(seen->digest, frontier_digest(frontier), sizeof seen->digest);
    }
    for (size_t n = 0; n < part->view.count && frontier != NULL && !equal; n++) {
        const struct peer_tip *tip = &part->view.tips[n];
        const struct tip *own = frontier_find(frontier, tip->log_id);
        uint64_t next = own != NULL ? session_next_of_log(gossip, part, &own->log_id) : 0;
        status->entries_to_receive += tip->seq_next > next ? tip->seq_next - next : 0;
    }
    if (part->announced > status->entries_to_receive && !equal) {
        status->entries_to_receive = part->announced;
    }
    status->bytes_to_receive = equal ? 0 : part->announced_bytes;
    status->bytes_sent = part->bytes_sent;
    status->bytes_received = part->bytes_received;
    if (!session_is_open(conn)) {
        status->state = conn->state == SESSION_GREETING ? GOSSIP_GREETING : GOSSIP_REFUSED;
    } else if (equal) {
        status->state = GOSSIP_EQUAL;
    } else {
        bool moving = (part->has_view && sums.to_send > 0) || status->entries_to_receive > 0;
        status->state = moving ? GOSSIP_SENDING : GOSSIP_COMPARING;
    }
}

void
gossip_note_status(struct gossip *gossip, struct conn *conn)
{
    struct peer *peer = conn->peer;
    struct gossip_compartment_status *parts;
    struct part_seen *seen;
    size_t count = 0;

    /* A session that has ended has no compartments: what was last seen of them stays. */
    if (conn->part_count == 0) {
        return;
    }
    parts = calloc(conn->part_count, sizeof *parts);
    seen = calloc(conn->part_count, sizeof *seen);
    if (parts == NULL || seen == NULL) {
        free(parts);
        free(seen);
        return;
    }
    for (size_t n = 0; n < conn->part_count; n++) {
        if (conn->parts[n].shared) {
            note_part(gossip, conn, &conn->parts[n], &parts[count], &seen[count]);
            count++;
        }
    }
    free(peer->parts);
    free(peer->seen);
    peer->parts = parts;
    peer->seen = seen;
    peer->part_count = count;
}

/* No session tells how the peer stands now: what we took in since it was last seen is not there, as far as we know. */
static void
age_part(struct gossip *gossip, const struct part_seen *seen, struct gossip_compartment_status *status)
{
    const struct gossip_store *store = gossip->store;
    struct frontier *frontier = store->frontier(store->self, &status->compartment);

    if (frontier == NULL || memcmp(seen->digest, frontier_digest(frontier), sizeof seen->digest) == 0) {
        return;
    }
    uint64_t entries = frontier_entry_count(frontier);
    status->complete = false;
    status->visible_complete = false;
    status->stored_permille = permille(seen->durable, entries);
    status->visible_permille = permille(seen->visible, entries);
    status->entries_to_send = seen->to_send + (entries > seen->entries ? entries - seen->entries : 0);
}

/* What waits for this line, and what is on it. */
static void
note_line(struct gossip_peer_status *status, const struct conn *conn)
{
    memset(status->waiting, 0, sizeof status->waiting);
    status->on_way_bytes = 0;
    status->limit_bytes = 0;
    status->least_ms = UINT64_MAX;
    if (conn == NULL || !session_is_open(conn)) {
        return;
    }
    for (size_t n = 0; n < conn->part_count; n++) {
        uint64_t waiting[LANE_COUNT];

        if (conn->parts[n].shared) {
            flows_waiting(&conn->parts[n].flows, waiting);
            for (size_t lane = 0; lane < LANE_COUNT; lane++) {
                status->waiting[lane] += waiting[lane];
            }
        }
    }
    status->on_way_bytes = pace_on_way(&conn->pace);
    status->limit_bytes = conn->pace.limit;
    status->least_ms = conn->pace.least_ms;
}

static enum gossip_state
worst_state(const struct peer *peer)
{
    enum gossip_state worst = GOSSIP_EQUAL;

    for (size_t n = 0; n < peer->part_count; n++) {
        worst = peer->parts[n].state < worst ? peer->parts[n].state : worst;
    }
    return worst;
}

const struct gossip_peer_status *
gossip_status(struct gossip *gossip, size_t *count_out)
{
    *count_out = 0;
    struct gossip_peer_status *statuses =
        realloc(gossip->statuses, (gossip->peer_count + 1) * sizeof *gossip->statuses);
    if (statuses == NULL) {
        return gossip->statuses;
    }
    gossip->statuses = statuses;
    for (size_t n = 0; n < gossip->peer_count; n++) {
        struct peer *peer = gossip->peers[n];
        struct conn *best = NULL;
        for (size_t k = 0; k < gossip->conn_count; k++) {
            struct conn *conn = gossip->conns[k];
            if (conn->peer == peer && (best == NULL || best->state == SESSION_ENDED)) {
                best = conn;
            }
        }
        if (best != NULL) {
            gossip_note_status(gossip, best);
        }
        struct gossip_peer_status *status = &peer->status;
        status->device_id = peer->device_id;
        status->connected = best != NULL;
        status->connection = best != NULL ? best->number : 0;
        note_line(status, best);
        status->last_error = peer->last_error;
        status->last_ending = peer->last_ending;
        if (best == NULL) {
            status->state = GOSSIP_DOWN;
        } else if (best->state == SESSION_ENDED) {
            status->state = GOSSIP_REFUSED;
        } else {
            status->state = best->state == SESSION_GREETING ? GOSSIP_GREETING : worst_state(peer);
        }
        for (size_t k = 0; k < peer->part_count; k++) {
            if (status->state == GOSSIP_DOWN || status->state == GOSSIP_REFUSED) {
                peer->parts[k].state = status->state;
            }
            if (best == NULL || best->part_count == 0) {
                age_part(gossip, &peer->seen[k], &peer->parts[k]);
            }
        }
        status->compartments = peer->parts;
        status->compartment_count = peer->part_count;
        statuses[n] = *status;
    }
    *count_out = gossip->peer_count;
    return statuses;
}

uint64_t
gossip_told_of(const struct gossip *gossip, const struct ident *compartment, const struct hash *log_id)
{
    uint64_t next = 0;

    for (size_t n = 0; n < gossip->conn_count; n++) {
        const struct conn *conn = gossip->conns[n];

        for (size_t k = 0; k < conn->part_count; k++) {
            const struct part *part = &conn->parts[k];

            for (size_t m = 0; part->shared && ident_equal(&part->id, compartment) && m < part->view.count;
                 m++) {
                const struct peer_tip *tip = &part->view.tips[m];

                if (memcmp(tip->log_id, log_id->bytes, SHORT_BYTES) == 0 && tip->seq_next > next) {
                    next = tip->seq_next;
                }
            }
        }
    }
    return next;
}

const char *
gossip_state_text(enum gossip_state state)
{
    switch (state) {
    case GOSSIP_DOWN:
        return "down";
    case GOSSIP_GREETING:
        return "greeting";
    case GOSSIP_COMPARING:
        return "comparing";
    case GOSSIP_SENDING:
        return "sending";
    case GOSSIP_EQUAL:
        return "equal";
    case GOSSIP_REFUSED:
        return "refused";
    default:
        return "unknown";
    }
}
