#include "sync/gossip_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- the owner's side --- */

enum err
gossip_open(struct gossip **gossip_out, const struct gossip_options *options)
{
    if (options->credit_bytes < CREDIT_BYTES_MIN || options->credit_bytes > CREDIT_BYTES_MAX ||
        options->version == NULL || strlen(options->version) > FRAME_VERSION_BYTES_MAX) {
        return ERR_INVALID;
    }
    struct gossip *gossip = calloc(1, sizeof *gossip);
    if (gossip == NULL) {
        return ERR_MEMORY;
    }
    gossip->options = *options;
    gossip->store = options->store;
    *gossip_out = gossip;
    return ERR_OK;
}

static void
free_conn(struct conn *conn)
{
    for (size_t n = 0; n < conn->part_count; n++) {
        session_free_part(&conn->parts[n]);
    }
    free(conn->parts);
    free(conn->heard);
    free(conn->acks);
    free(conn->spoken);
    buf_free(&conn->held);
    free(conn);
}

void
gossip_close(struct gossip **gossip_in)
{
    struct gossip *gossip = *gossip_in;

    if (gossip == NULL) {
        return;
    }
    for (size_t n = 0; n < gossip->conn_count; n++) {
        blob_clear(gossip, gossip->conns[n]);
        free_conn(gossip->conns[n]);
    }
    for (size_t n = 0; n < gossip->peer_count; n++) {
        free(gossip->peers[n]->parts);
        free(gossip->peers[n]->seen);
        free(gossip->peers[n]);
    }
    free(gossip->conns);
    free(gossip->peers);
    free(gossip->statuses);
    buf_free(&gossip->frame);
    buf_free(&gossip->chunk);
    free(gossip);
    *gossip_in = NULL;
}

static struct peer *
peer_of_device(struct gossip *gossip, const struct hash *device_id)
{
    for (size_t n = 0; n < gossip->peer_count; n++) {
        if (hash_equal(&gossip->peers[n]->device_id, device_id)) {
            return gossip->peers[n];
        }
    }
    void *items = gossip->peers;
    if (!session_grow(&items, &gossip->peer_capacity, gossip->peer_count, sizeof *gossip->peers)) {
        return NULL;
    }
    gossip->peers = items;
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer != NULL) {
        peer->device_id = *device_id;
        gossip->peers[gossip->peer_count++] = peer;
    }
    return peer;
}

/* Of two connections between one pair the one dialled by the smaller device_id stays; both sides see it alike. Of two
 * dialled by the same side the later one stays: the other is most likely dead and does not know it. */
static bool
new_one_stays(const struct gossip *gossip, const struct conn *old, const struct conn *new)
{
    bool we_are_smaller = hash_compare(&gossip->options.device_id, &new->peer->device_id) < 0;

    return old->dialled == new->dialled || new->dialled == we_are_smaller;
}

enum err
gossip_up(struct gossip *gossip, uint32_t number, const struct hash *device_id, bool dialled, uint64_t now_ms)
{
    void *items = gossip->conns;

    assert(session_find(gossip, number) == NULL);
    gossip->now_ms = now_ms;
    if (!session_grow(&items, &gossip->conn_capacity, gossip->conn_count, sizeof *gossip->conns)) {
        return ERR_MEMORY;
    }
    gossip->conns = items;
    struct peer *peer = peer_of_device(gossip, device_id);
    struct conn *conn = calloc(1, sizeof *conn);
    if (peer == NULL || conn == NULL) {
        free(conn);
        return ERR_MEMORY;
    }
    conn->number = number;
    conn->peer = peer;
    conn->dialled = dialled;
    conn->up_ms = now_ms;
    conn->state = SESSION_ENDED;
    conn->own_profile = gossip->options.profile;
    peer->last_error[0] = '\0';
    bool stays = true;
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *old = gossip->conns[n];
        if (old->peer != peer || old->hang_up) {
            continue;
        }
        if (new_one_stays(gossip, old, conn)) {
            session_bye(gossip, old, BYE_OTHER_CONNECTION, ENDING_HANG_UP, NULL);
        } else {
            stays = false;
        }
    }
    gossip->conns[gossip->conn_count++] = conn;
    if (stays) {
        session_begin(gossip, conn);
    } else {
        session_bye(gossip, conn, BYE_OTHER_CONNECTION, ENDING_HANG_UP, NULL);
    }
    return ERR_OK;
}

void
gossip_down(struct gossip *gossip, uint32_t number, const char *why, uint64_t now_ms)
{
    gossip->now_ms = now_ms;
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *conn = gossip->conns[n];
        if (conn->number != number) {
            continue;
        }
        gossip_note_status(gossip, conn);
        /* What was said of the session stands before what the link says of its end. */
        if (why != NULL && conn->state != SESSION_ENDED) {
            session_say(conn->peer, why);
        }
        session_clear(gossip, conn);
        free_conn(conn);
        gossip->conns[n] = gossip->conns[--gossip->conn_count];
        return;
    }
}

void
gossip_changed(struct gossip *gossip, const struct ident *compartment, const struct hash *log_id,
               uint64_t now_ms)
{
    (void)log_id;
    gossip->now_ms = now_ms;
    /* The next flush follows each frontier by its change count. */
    if (ident_equal(compartment, &gossip->options.control)) {
        gossip->rights_stale = true;
    }
}

void
gossip_rights_changed(struct gossip *gossip)
{
    gossip->rights_stale = true;
}

void
gossip_compare(struct gossip *gossip, const struct hash *device_id, uint64_t now_ms)
{
    gossip->now_ms = now_ms;
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *conn = gossip->conns[n];
        if (device_id != NULL && !hash_equal(device_id, &conn->peer->device_id)) {
            continue;
        }
        if (conn->state == SESSION_ENDED && !conn->hang_up) {
            session_begin(gossip, conn);
        }
        for (size_t k = 0; k < conn->part_count; k++) {
            struct part *part = &conn->parts[k];
            part->digest_due = part->shared;
            part->attempts = 0;
            part->check_ms = now_ms;
            part->batch_ms = part->batch_ms > now_ms ? now_ms : part->batch_ms;
            part->absent_ms = now_ms;
            if (part->refused) {
                part->retry_ms = now_ms;
            }
        }
    }
}

void
gossip_ask_again(struct gossip *gossip, uint64_t now_ms)
{
    gossip->now_ms = now_ms;
    for (size_t n = 0; n < gossip->conn_count; n++) {
        for (size_t k = 0; k < gossip->conns[n]->part_count; k++) {
            gossip->conns[n]->parts[k].absent_ms = now_ms;
        }
    }
}

size_t
gossip_ask_beyond(struct gossip *gossip, const struct hash *device_id, const struct ident *compartment,
                  uint64_t now_ms)
{
    size_t asked = 0;

    gossip->now_ms = now_ms;
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *conn = gossip->conns[n];

        if (!session_is_open(conn) || (device_id != NULL && !hash_equal(device_id, &conn->peer->device_id))) {
            continue;
        }
        for (size_t k = 0; k < conn->part_count; k++) {
            struct part *part = &conn->parts[k];

            if (part->shared && ident_equal(&part->id, compartment)) {
                part->beyond_due = true;
                asked++;
            }
        }
    }
    return asked;
}

void
gossip_line(struct gossip *gossip, uint32_t number, enum link_profile profile,
            enum gossip_allowance allowance)
{
    struct conn *conn = session_find(gossip, number);

    if (conn == NULL) {
        return;
    }
    conn->own_profile = profile;
    conn->allowance = allowance;
    /* Nothing was said yet: this session is the next. */
    if (conn->hello_due) {
        session_set_line(gossip, conn);
    }
}

void
gossip_schedule(struct gossip *gossip, uint32_t number, const struct envelope_schedule *own,
                const struct envelope_schedule *theirs)
{
    struct conn *conn = session_find(gossip, number);

    if (conn == NULL) {
        return;
    }
    session_set_schedule(conn, own, theirs);
    /* Nothing was said yet: this session is the next. */
    if (conn->hello_due) {
        session_set_line(gossip, conn);
    }
}

void
gossip_stop(struct gossip *gossip)
{
    gossip->stopping = true;
}

/* --- time --- */

/* Digests differ and nothing moves: look closer, in another way each time. */
static void
look_closer(struct gossip *gossip, struct conn *conn, struct part *part)
{
    uint32_t attempt = part->attempts;

    session_count_up(&part->attempts);
    part->check_ms = gossip->now_ms + conn->slack_ms + session_backoff_ms(SETTLE_MS, part->attempts);

    if (attempt % 2 == 0) {
        part->front_due = true;
        part->front_sent = true;
        if (attempt > 0) {
            part->front_mode = FRONT_NAMES;
        }
    } else if (conn->dialled) {
        part->slices_due = true;
    } else {
        part->digest_due = true; /* so that the dialler sees that they differ */
    }
}

/* Once all headers are equal, payloads are asked for of which only those came: on a line that is dear, where somebody here
 * asked for them. */
static void
ask_for_payloads(struct gossip *gossip, struct conn *conn, struct part *part)
{
    const struct gossip_store *store = gossip->store;
    bool wanted = conn->profile == PROFILE_METERED;
    struct hash log_id;
    uint64_t seq;

    /* What cannot be read here cannot be sent either, so that both may never come to be equal without it. */
    bool hurt = part->told && (part->told_flags & DIGEST_LACKS_ENTRIES) != 0;
    if ((!part->equal && !hurt) || conn->allowance != GOSSIP_ALL ||
        (gossip->now_ms < part->absent_ms && (part->absent_done || part->absent_asked > 0))) {
        return;
    }
    if (part->absent_done || part->absent_asked > 0) {
        part->absent = (struct absent_cursor){ 0 }; /* not all of it came, or more is asked for */
        part->absent_asked = 0;
    }
    while (part->absent_asked < ABSENT_MAX && conn->want_count < WANTS_MAX &&
           store->absent(store->self, &part->id, wanted, &part->absent, &log_id, &seq)) {
        session_want(conn, part, log_id.bytes, seq, seq + 1, part->absent.whole ? WANT_WHOLE : WANT_PAYLOADS);
        part->absent_asked++;
    }
    part->absent_done = part->absent_asked == 0;
    part->absent_ms = gossip->now_ms + ABSENT_MS + conn->slack_ms;
    if (part->absent_done) {
        part->absent = (struct absent_cursor){ 0 };
    } else {
        session_stir(gossip, part);
    }
}

static void
tick_part(struct gossip *gossip, struct conn *conn, struct part *part)
{
    uint64_t now = gossip->now_ms;
    struct frontier *frontier = session_frontier(gossip, part);

    if (frontier == NULL) {
        session_end_memory(gossip, conn);
        return;
    }
    ask_for_payloads(gossip, conn, part);
    blob_tick(gossip, part);
    if (session_is_control(gossip, part) && now >= part->active_ms + CONTROL_MS + conn->slack_ms) {
        conn->control_done = true; /* nothing moves in it: the others need not wait */
    }
    if (part->told && !part->digest_due) {
        /* Flags and digests are looked at once it is quiet: both may cost a walk over all logs. */
        bool quiet = now >= part->active_ms + QUIET_MS + conn->beats_ms;
        bool differs = quiet && (memcmp(frontier_digest(frontier), part->told_digest, DIGEST_BYTES) != 0 ||
                                 session_flags(gossip, part) != part->told_flags);
        part->digest_due = differs || now >= part->told_ms + COMPARE_MS + conn->beats_ms;
        /* One frame for all of them is cheaper than one each. */
        for (size_t n = 0; now >= part->told_ms + COMPARE_MS + conn->beats_ms && n < conn->part_count; n++) {
            struct part *other = &conn->parts[n];
            other->digest_due =
                other->digest_due || (other->shared && now >= other->told_ms + COMPARE_MS / 2);
        }
    }
    if (part->refused && now >= part->retry_ms) {
        part->refused = false;
        part->retries++;
        if (!part->equal) {
            part->front_due = true;
            part->front_sent = true;
        }
        /* Of what was parked because we were full enough is given back for a try. */
        uint64_t bytes = conn->parked < CREDIT_BYTES_MIN ? conn->parked : CREDIT_BYTES_MIN;
        conn->owed += bytes;
        conn->parked -= bytes;
    }
    /* What has yet to go explains the difference: it waits for credit, for control or for company. */
    if (part->peer_told && !part->equal && now >= part->check_ms &&
        now >= part->active_ms + SETTLE_MS + conn->slack_ms && !part->front_due) {
        if (part->has_view && flows_pending(&part->flows)) {
            part->check_ms = now + SETTLE_MS + conn->slack_ms;
        } else {
            look_closer(gossip, conn, part);
        }
    }
}

static void
tick_lagging(struct gossip *gossip, struct conn *conn)
{
    const struct gossip_store *store = gossip->store;

    conn->lag_ms = gossip->now_ms + LAG_MS;
    for (size_t n = 0; n < conn->heard_count && session_is_open(conn); n++) {
        struct heard *heard = &conn->heard[n];
        if (!heard->lagging) {
            continue;
        }
        struct taken taken = { .durable_next = heard->durable_next,
                               .visible_next = store->visible(store->self, &heard->log.log_id) };
        if (taken.visible_next > taken.durable_next) {
            taken.visible_next = taken.durable_next;
        }
        if (taken.visible_next == taken.durable_next) {
            heard->lagging = false;
            conn->lagging_count--;
        }
        if (taken.visible_next > heard->visible_next && conn->parts[heard->part].shared) {
            session_ack(gossip, conn, heard, &taken);
        }
    }
}

void
gossip_tick(struct gossip *gossip, uint64_t now_ms)
{
    gossip->now_ms = now_ms;
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *conn = gossip->conns[n];
        if (conn->state == SESSION_ENDED && conn->restart_ms != 0 && now_ms >= conn->restart_ms &&
            !gossip->stopping) {
            session_begin(gossip, conn);
        }
        for (size_t k = 0; k < conn->part_count && session_is_open(conn); k++) {
            if (conn->parts[k].shared) {
                tick_part(gossip, conn, &conn->parts[k]);
            }
        }
        if (conn->lagging_count > 0 && now_ms >= conn->lag_ms) {
            tick_lagging(gossip, conn);
        }
    }
}

static void
sooner(uint64_t *wait_ms, uint64_t at_ms, uint64_t now_ms)
{
    uint64_t wait = at_ms > now_ms ? at_ms - now_ms : 0;

    *wait_ms = wait < *wait_ms ? wait : *wait_ms;
}

uint64_t
gossip_wait_ms(const struct gossip *gossip, uint64_t now_ms)
{
    uint64_t wait = COMPARE_MS;

    for (size_t n = 0; n < gossip->conn_count; n++) {
        const struct conn *conn = gossip->conns[n];
        if (conn->state == SESSION_ENDED && conn->restart_ms != 0) {
            sooner(&wait, conn->restart_ms, now_ms);
        }
        if (conn->lagging_count > 0) {
            sooner(&wait, conn->lag_ms, now_ms);
        }
        if (session_is_open(conn)) {
            sooner(&wait, pace_due_ms(&conn->pace), now_ms);
        }
        if (session_is_open(conn) && conn->profile == PROFILE_METERED) {
            sooner(&wait, now_ms + METERED_LOOK_MS, now_ms); /* does anything move? */
        }
        sooner(&wait, blob_wake_ms(gossip, conn), now_ms);
        for (size_t k = 0; k < conn->part_count && session_is_open(conn); k++) {
            const struct part *part = &conn->parts[k];
            if (!part->shared) {
                continue;
            }
            if (part->told && !part->digest_due) {
                sooner(&wait, part->told_ms + COMPARE_MS + conn->beats_ms, now_ms);
            }
            /* Whether a digest is worth sending is looked at when its quiet is over, and then at rest. */
            if (now_ms < part->active_ms + QUIET_MS + conn->beats_ms) {
                sooner(&wait, part->active_ms + QUIET_MS + conn->beats_ms, now_ms);
            }
            if (part->refused) {
                sooner(&wait, part->retry_ms, now_ms);
            }
            if (part->peer_told && !part->equal && !part->front_due) {
                uint64_t settled = part->active_ms + SETTLE_MS + conn->slack_ms;
                sooner(&wait, part->check_ms > settled ? part->check_ms : settled, now_ms);
            }
            if (part->batch_ms > now_ms) {
                sooner(&wait, part->batch_ms, now_ms);
            }
        }
    }
    return wait;
}
