#include "sync/gossip_state.h"

#include "store/base/log.h"
#include "store/base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- small things --- */

/* Make room for one more item. False: no memory. */
bool
session_grow(void **items, size_t *capacity, size_t count, size_t item_bytes)
{
    if (count < *capacity) {
        return true;
    }
    size_t more = *capacity == 0 ? 16 : *capacity * 2;
    void *moved = realloc(*items, more * item_bytes);
    if (moved == NULL) {
        return false;
    }
    *items = moved;
    *capacity = more;
    return true;
}

uint64_t
session_backoff_ms(uint64_t first_ms, uint32_t attempts)
{
    uint64_t ms = attempts >= ATTEMPTS_MAX ? BACKOFF_MS_MAX : first_ms << attempts;

    return ms < BACKOFF_MS_MAX ? ms : BACKOFF_MS_MAX;
}

void
session_count_up(uint32_t *attempts)
{
    if (*attempts < ATTEMPTS_MAX) {
        (*attempts)++;
    }
}

struct frontier *
session_frontier(struct gossip *gossip, const struct part *part)
{
    return gossip->store->frontier(gossip->store->self, &part->id);
}

bool
session_is_control(const struct gossip *gossip, const struct part *part)
{
    return ident_equal(&part->id, &gossip->options.control);
}

bool
session_is_open(const struct conn *conn)
{
    return conn->state == SESSION_OPEN;
}

bool
session_is_paced(const struct conn *conn)
{
    return conn->profile != PROFILE_LAN;
}

/* What others say goes to a terminal or a log: control characters do not. */
void
session_set_error(struct peer *peer, const char *text, size_t size)
{
    size_t length = size < WHY_BYTES - 1 ? size : WHY_BYTES - 1;

    for (size_t n = 0; n < length; n++) {
        unsigned char byte = (unsigned char)text[n];
        peer->last_error[n] = byte < 0x20 || byte == 0x7f ? '?' : text[n];
    }
    peer->last_error[length] = '\0';
}

void
session_say(struct peer *peer, const char *text)
{
    session_set_error(peer, text, strlen(text));
}

struct part *
session_part(struct conn *conn, const uint8_t tag[TAG_BYTES])
{
    for (size_t n = 0; n < conn->part_count; n++) {
        if (conn->parts[n].shared && memcmp(conn->parts[n].id.bytes, tag, TAG_BYTES) == 0) {
            return &conn->parts[n];
        }
    }
    return NULL;
}

uint32_t
session_part_place(const struct conn *conn, const struct part *part)
{
    return (uint32_t)(part - conn->parts);
}

uint8_t
session_flags(const struct gossip *gossip, const struct part *part)
{
    const struct gossip_store *store = gossip->store;

    return store->flags(store->self, &part->id) | (part->missed ? DIGEST_MISSED_FILES : 0);
}

void
session_stir(struct gossip *gossip, struct part *part)
{
    part->active_ms = gossip->now_ms;
}

bool
session_charge(struct gossip *gossip, struct conn *conn, size_t frame_bytes)
{
    if (frame_bytes > conn->granted) {
        session_end_malformed(gossip, conn, "more was sent than the credit allowed");
        return false;
    }
    conn->granted -= frame_bytes;
    conn->owed += frame_bytes;
    return true;
}

/* --- the life of a session --- */

void
session_save_checkpoints(struct gossip *gossip, struct conn *conn, struct part *part)
{
    const struct gossip_store *store = gossip->store;

    for (uint32_t slot = 0; slot < 2; slot++) {
        struct buf bytes = { 0 };
        if (!part->unsaved[slot]) {
            continue;
        }
        checkpoint_write(&bytes, &part->kept[slot]);
        /* Without memory it stays unsaved; a later session then compares by names. */
        if (!bytes.failed) {
            store->save_checkpoint(store->self, &conn->peer->device_id, &part->id, slot, buf_span(&bytes));
            part->unsaved[slot] = false;
            part->saved_ms = gossip->now_ms;
            part->saved = true;
        }
        buf_free(&bytes);
    }
}

static void
load_checkpoints(struct gossip *gossip, struct conn *conn, struct part *part)
{
    const struct gossip_store *store = gossip->store;

    for (uint32_t slot = 0; slot < 2; slot++) {
        struct buf bytes = { 0 };
        if (store->load_checkpoint(store->self, &conn->peer->device_id, &part->id, slot, &bytes) != ERR_OK ||
            checkpoint_read(buf_span(&bytes), &part->kept[slot]) != ERR_OK) {
            checkpoint_free(&part->kept[slot]);
        }
        buf_free(&bytes);
    }
}

/* The later of the checkpoints that are kept; serial 0: none. */
const struct checkpoint *
session_checkpoint(const struct part *part)
{
    return &part->kept[part->kept[1].serial > part->kept[0].serial ? 1 : 0];
}

void
session_free_part(struct part *part)
{
    flows_free(&part->flows);
    peer_view_free(&part->view);
    checkpoint_free(&part->kept[0]);
    checkpoint_free(&part->kept[1]);
    free(part->beyond.known);
    memset(part, 0, sizeof *part);
}

/* Forget everything of a session but its connection. */
void
session_clear(struct gossip *gossip, struct conn *conn)
{
    for (size_t n = 0; n < conn->part_count; n++) {
        session_save_checkpoints(gossip, conn, &conn->parts[n]);
        session_free_part(&conn->parts[n]);
    }
    free(conn->parts);
    conn->parts = NULL;
    conn->part_count = 0;
    conn->heard_count = 0;
    conn->ack_count = 0;
    conn->lagging_count = 0;
    conn->spoken_count = 0;
    conn->want_count = 0;
    memset(conn->probes, 0, sizeof conn->probes);
    conn->job_count = 0;
    conn->credit = 0;
    conn->pace_needed = 0;
    conn->pace_needed_urgent = 0;
    pace_begin(&conn->pace);
    conn->needed = 0;
    conn->granted = 0;
    conn->owed = 0;
    conn->parked = 0;
    conn->control_done = false;
    memset(conn->lane_bytes, 0, sizeof conn->lane_bytes);
    memset(conn->lane_entries, 0, sizeof conn->lane_entries);
    conn->hello_due = false;
    blob_clear(gossip, conn);
}

/* How much it is that both have, once there is nothing left to say. */
static const char *
all_of_it(const struct conn *conn)
{
    for (size_t n = 0; n < conn->part_count; n++) {
        const struct part *part = &conn->parts[n];

        if (part->shared && ((part->told_flags | part->peer_flags) & DIGEST_LACKS_PAYLOADS) != 0) {
            return "complete but for payloads that one side lacks, and nobody asked for";
        }
    }
    return "complete";
}

void
session_end(struct gossip *gossip, struct conn *conn, enum ending ending, uint64_t restart_after_ms,
            const char *why)
{
    const char *said = why != NULL ? why : all_of_it(conn);
    gossip_note_status(gossip, conn); /* as it was at the end */
    session_clear(gossip, conn);
    conn->state = SESSION_ENDED;
    conn->restart_ms = 0;
    if (ending == ENDING_RESTART) {
        uint64_t wait_ms = session_backoff_ms(restart_after_ms, conn->restarts);
        session_count_up(&conn->restarts);
        conn->restart_ms = gossip->now_ms + wait_ms;
    }
    conn->ended_due = true;
    conn->hang_up = ending == ENDING_HANG_UP;
    if (why != NULL) {
        session_say(conn->peer, why);
    }
    (void)snprintf(conn->peer->last_ending, sizeof conn->peer->last_ending, "%s", said);
    struct short_id device = hash_short(&conn->peer->device_id);
    log_event("session-ended", "peer=%s why=\"%s\"", device.text, conn->peer->last_ending);
}

void
session_deny(struct gossip *gossip, struct conn *conn, uint8_t code, uint32_t retry_after_s, const char *text,
             enum ending ending)
{
    session_end(gossip, conn, ending, RESTART_MS, text);
    (void)snprintf(conn->deny_text, sizeof conn->deny_text, "%s", text);
    conn->deny = (struct deny){ code, retry_after_s, span_text(conn->deny_text) };
    conn->deny_due = true;
}

void
session_end_malformed(struct gossip *gossip, struct conn *conn, const char *what)
{
    conn->peer->status.frames_malformed++;
    log_event("peer-malformed", "peer=%s what=\"%s\"", hash_short(&conn->peer->device_id).text, what);
    session_deny(gossip, conn, DENY_MALFORMED, RESTART_MS / 1000, what, ENDING_RESTART);
}

void
session_end_memory(struct gossip *gossip, struct conn *conn)
{
    session_end(gossip, conn, ENDING_RESTART, RESTART_MS, "no memory left for this session");
}

void
session_bye(struct gossip *gossip, struct conn *conn, enum bye_reason reason, enum ending ending,
            const char *why)
{

    /* The frame names the checkpoints, so it is built before they are let go. */
    buf_clear(&gossip->frame);
    bye_write(&gossip->frame, reason);
    for (size_t n = 0; n < conn->part_count; n++) {
        const struct part *part = &conn->parts[n];
        const struct checkpoint *latest = session_checkpoint(part);
        if (part->shared && latest->serial > 0) {
            struct bye_item item;
            memcpy(item.tag, part->id.bytes, TAG_BYTES);
            memcpy(item.checkpoint, latest->id, SHORT_BYTES);
            bye_item_write(&gossip->frame, &item);
        }
    }
    /* A frame that found no room belongs to a session that is over. */
    buf_clear(&conn->held);
    buf_put_span(&conn->held, buf_span(&gossip->frame));
    if (conn->held.failed) {
        buf_clear(&conn->held);
    }
    session_end(gossip, conn, ending, RESTART_MS, why);
}

static struct part *
add_part(struct gossip *gossip, struct conn *conn, const struct ident *id)
{
    struct part *parts = realloc(conn->parts, (conn->part_count + 1) * sizeof *parts);

    if (parts == NULL) {
        return NULL;
    }
    conn->parts = parts;
    struct part *part = &parts[conn->part_count++];
    memset(part, 0, sizeof *part);
    part->id = *id;
    load_checkpoints(gossip, conn, part);
    return part;
}

static void
open_part(struct gossip *gossip, const struct conn *conn, struct part *part)
{
    part->shared = true;
    part->digest_due = true;
    part->active_ms = gossip->now_ms;
    part->check_ms = gossip->now_ms + SETTLE_MS + conn->slack_ms;
}

/* Ask again what this peer may hold, open what is new and close what is gone. False: no memory. */
bool
session_refresh(struct gossip *gossip, struct conn *conn)
{
    const struct gossip_store *store = gossip->store;
    size_t count = store->shared(store->self, &conn->peer->device_id, gossip->shared, GOSSIP_SHARED_MAX);

    for (size_t n = 0; n < conn->part_count; n++) {
        struct part *part = &conn->parts[n];
        bool still = false;
        for (size_t k = 0; k < count && !still; k++) {
            still = ident_equal(&part->id, &gossip->shared[k]);
        }
        if (part->shared && !still) {
            struct ident id = part->id;
            session_save_checkpoints(gossip, conn, part);
            session_free_part(part);
            part->id = id;
            load_checkpoints(gossip, conn, part);
        }
    }
    for (size_t k = 0; k < count; k++) {
        struct part *part = NULL;
        for (size_t n = 0; n < conn->part_count && part == NULL; n++) {
            part = ident_equal(&conn->parts[n].id, &gossip->shared[k]) ? &conn->parts[n] : NULL;
        }
        if (part == NULL) {
            part = add_part(gossip, conn, &gossip->shared[k]);
            if (part == NULL) {
                return false;
            }
        }
        if (!part->shared) {
            open_part(gossip, conn, part);
        }
    }
    return true;
}

bool
session_shares(const struct conn *conn)
{
    for (size_t n = 0; n < conn->part_count; n++) {
        if (conn->parts[n].shared) {
            return true;
        }
    }
    return false;
}

/* What a message of so many bytes takes at most to pass by a schedule: it waits for a beat, and for those that it fills. */
static uint64_t
passing_ms(const struct envelope_schedule *schedule, uint64_t bytes)
{
    return schedule->bytes == 0 ? 0 : (uint64_t)schedule->beat_s * 1000 * (bytes / schedule->bytes + 2);
}

/* By a schedule so much is on its way that no beat is empty while the credit for it comes, and no more: what is urgent waits for it. */
static void
set_pace(struct conn *conn)
{
    if (conn->own_schedule.bytes > 0) {
        pace_fix(&conn->pace, (uint64_t)BEATS_AHEAD * conn->own_schedule.bytes,
                 PACE_PATIENCE_MS + conn->slack_ms);
    }
}

void
session_set_schedule(struct conn *conn, const struct envelope_schedule *own,
                     const struct envelope_schedule *theirs)
{
    conn->own_schedule = *own;
    conn->beats_ms = ((uint64_t)own->beat_s + theirs->beat_s) * 1000;
    conn->slack_ms = passing_ms(own, MESSAGE_BYTES) + passing_ms(theirs, MESSAGE_BYTES);
    set_pace(conn);
}

enum link_profile
session_own_profile(const struct conn *conn)
{
    bool keeps_schedule = conn->own_schedule.bytes > 0;

    return keeps_schedule && conn->own_profile == PROFILE_LAN ? PROFILE_WAN : conn->own_profile;
}

void
session_set_line(const struct gossip *gossip, struct conn *conn)
{
    enum link_profile own = session_own_profile(conn);

    conn->profile = own > conn->peer_profile ? own : (enum link_profile)conn->peer_profile;
    set_pace(conn);
    bool all = conn->allowance == GOSSIP_ALL && conn->profile != PROFILE_METERED;
    conn->window = all ? gossip->options.credit_bytes : CREDIT_BYTES_MIN;
    conn->granted = conn->window;
    conn->sated = false;
}

void
session_begin(struct gossip *gossip, struct conn *conn)
{
    session_clear(gossip, conn);
    conn->state = SESSION_GREETING;
    conn->restart_ms = 0;
    conn->began_ms = gossip->now_ms;
    conn->peer_profile = 0;
    session_set_line(gossip, conn);
    if (!session_refresh(gossip, conn)) {
        session_end_memory(gossip, conn);
    } else if (!session_shares(conn)) {
        session_deny(gossip, conn, DENY_NOT_MEMBER, RESTART_MS / 1000,
                     "no compartment is shared with this device", ENDING_RESTART);
    } else {
        conn->hello_due = true;
    }
}

/* --- introducing logs --- */

static struct heard *
hear(struct gossip *gossip, struct conn *conn, const struct heard *log)
{
    if (conn->heard_count == GOSSIP_INTRODUCED_MAX) {
        session_end_malformed(gossip, conn, "more logs were introduced than a session may have");
        return NULL;
    }
    void *items = conn->heard;
    if (!session_grow(&items, &conn->heard_capacity, conn->heard_count, sizeof *conn->heard)) {
        session_end_memory(gossip, conn);
        return NULL;
    }
    conn->heard = items;
    conn->heard[conn->heard_count] = *log;
    return &conn->heard[conn->heard_count++];
}

/* The log that a reference of the peer means; introduces it where the reference does. NULL: the session has ended.
 * One that is of no shared compartment is introduced too, so that both sides count alike. */
struct heard *
session_resolve(struct gossip *gossip, struct conn *conn, const struct log_ref *ref, struct part *part)
{
    const struct gossip_store *store = gossip->store;
    struct heard heard = { .known = false };

    if (ref->ref >= LOG_REF_FIRST) {
        if (ref->ref - LOG_REF_FIRST >= conn->heard_count) {
            session_end_malformed(gossip, conn, "a log was named that was never introduced");
            return NULL;
        }
        struct heard *known = &conn->heard[ref->ref - LOG_REF_FIRST];
        if (known->known && part != NULL && known->part != session_part_place(conn, part)) {
            session_end_malformed(gossip, conn, "a log was named in another compartment than its own");
            return NULL;
        }
        return known;
    }
    if (ref->ref == LOG_REF_NEW) {
        if (!descriptor_read(ref->name, &heard.log.descriptor)) {
            session_end_malformed(gossip, conn, "a descriptor was malformed");
            return NULL;
        }
        descriptor_log_id(&heard.log.descriptor, &heard.log.log_id);
        if (part != NULL && !ident_equal(&heard.log.descriptor.compartment, &part->id)) {
            session_end_malformed(gossip, conn, "a log was introduced in another compartment than its own");
            return NULL;
        }
        heard.known = part != NULL;
    } else if (part != NULL) {
        if (!store->find_log(store->self, &part->id, ref->name.data, &heard.log.log_id) ||
            !store->descriptor(store->self, &heard.log.log_id, &heard.log.descriptor)) {
            session_end_malformed(gossip, conn, "a log was named that is not here");
            return NULL;
        }
        heard.known = true;
    }
    if (heard.known) {
        heard.part = session_part_place(conn, part);
    }
    return hear(gossip, conn, &heard);
}

/* Introduce a log to the peer. False: the session has ended (it begins anew when the table is full). */
bool
session_speak(struct gossip *gossip, struct conn *conn, uint32_t part, const uint8_t *log_id, size_t size)
{
    if (conn->spoken_count == GOSSIP_INTRODUCED_MAX) {
        session_begin(gossip, conn);
        return false;
    }
    void *items = conn->spoken;
    if (!session_grow(&items, &conn->spoken_capacity, conn->spoken_count, sizeof *conn->spoken)) {
        session_end_memory(gossip, conn);
        return false;
    }
    conn->spoken = items;
    struct spoken *spoken = &conn->spoken[conn->spoken_count++];
    memset(spoken, 0, sizeof *spoken);
    memcpy(spoken->log_id.bytes, log_id, size);
    spoken->part = part;
    return true;
}

/* Note that something is to be asked for. What finds no place is asked for when the digests are compared again. */
void
session_want(struct conn *conn, const struct part *part, const uint8_t log_short[SHORT_BYTES], uint64_t from,
             uint64_t to, enum want_policy policy)
{
    if (conn->want_count < WANTS_MAX) {
        struct due_want *due = &conn->wants[conn->want_count++];
        *due = (struct due_want){
            .part = session_part_place(conn, part), .from = from, .to = to, .policy = (uint8_t)policy
        };
        memcpy(due->log_short, log_short, SHORT_BYTES);
    }
}

/* --- comparing --- */

/* Bring the rows in step with our frontier, and note that it moved. False: no memory, the session has ended. */
bool
session_follow(struct gossip *gossip, struct conn *conn, struct part *part)
{
    struct frontier *frontier = session_frontier(gossip, part);
    bool changed;

    if (frontier == NULL || flows_sync(&part->flows, frontier, gossip->store, &changed) != ERR_OK) {
        session_end_memory(gossip, conn);
        return false;
    }
    if (part->seen_change != frontier->change_count) {
        part->seen_change = frontier->change_count;
        part->absent_done = false;
        session_stir(gossip, part);
    }
    if (changed && part->batch_ms == 0) {
        part->batch_ms = gossip->now_ms + BATCH_MS;
    }
    return true;
}

/* Remember this frontier as one that both have. Of the two that are kept the older goes. */
static void
agree(struct gossip *gossip, struct conn *conn, struct part *part, struct frontier *frontier)
{
    uint32_t latest = part->kept[1].serial > part->kept[0].serial ? 1 : 0;

    if (part->kept[latest].serial == 0 ||
        memcmp(part->kept[latest].id, frontier_digest(frontier), SHORT_BYTES) != 0) {
        uint32_t slot = part->kept[latest].serial == 0 ? 0 : 1 - latest;
        /* Without memory the older ones stay: good enough to compare by. */
        if (checkpoint_take(&part->kept[slot], frontier, part->kept[latest].serial + 1) == ERR_OK) {
            part->unsaved[slot] = true;
        }
    }
    if (!part->saved || gossip->now_ms - part->saved_ms >= KEEP_MS) {
        session_save_checkpoints(gossip, conn, part);
    }
}

/* Compare what the peer last said with what is here now. */
void
session_compare(struct gossip *gossip, struct conn *conn, struct part *part)
{
    if (!part->peer_told || !session_is_open(conn) || !session_follow(gossip, conn, part)) {
        return;
    }
    struct frontier *frontier = session_frontier(gossip, part);
    if (memcmp(frontier_digest(frontier), part->peer_digest, DIGEST_BYTES) == 0) {
        if (!part->equal) {
            part->equal = true;
            part->equal_change = frontier->change_count - 1;
            part->ever_equal = true;
            part->has_view = true;
            part->front_sent = false;
            part->attempts = 0;
            part->refusals = 0;
            part->trouble_count = 0;
            part->view.count = 0;
            conn->restarts = 0;
            agree(gossip, conn, part, frontier);
        }
        if (part->equal_change != frontier->change_count) {
            part->equal_change = frontier->change_count;
            flows_set_equal(&part->flows);
        }
        if (session_is_control(gossip, part)) {
            conn->control_done = true;
            gossip->store->agreed(gossip->store->self, &conn->peer->device_id);
        }
        return;
    }
    part->equal = false;
    if (!part->has_view && !part->front_sent) {
        part->front_due = true;
        part->front_sent = true;
        part->attempts = 1; /* the next look is at the heads */
    }
}

/* One more than the highest seq we hold of a log, on any branch. */
uint64_t
session_next_of_log(struct gossip *gossip, const struct part *part, const struct hash *log_id)
{
    const struct frontier *frontier = session_frontier(gossip, part);
    size_t first;
    size_t count = frontier_log(frontier, log_id, &first);
    uint64_t next = 0;

    for (size_t n = first; n < first + count; n++) {
        next = frontier->tips[n].seq >= next ? frontier->tips[n].seq + 1 : next;
    }
    return next;
}

struct conn *
session_find(struct gossip *gossip, uint32_t number)
{
    for (size_t n = 0; n < gossip->conn_count; n++) {
        if (gossip->conns[n]->number == number) {
            return gossip->conns[n];
        }
    }
    return NULL;
}

void
session_ack(struct gossip *gossip, struct conn *conn, struct heard *heard, const struct taken *taken)
{
    heard->durable_next = taken->durable_next;
    heard->visible_next = taken->visible_next;
    if (!heard->lagging && heard->visible_next < heard->durable_next) {
        heard->lagging = true;
        conn->lagging_count++;
    }
    if (!heard->ack_due) {
        void *items = conn->acks;
        if (!session_grow(&items, &conn->ack_capacity, conn->ack_count, sizeof *conn->acks)) {
            session_end_memory(gossip, conn);
            return;
        }
        conn->acks = items;
        conn->acks[conn->ack_count++] = (uint32_t)(heard - conn->heard);
        heard->ack_due = true;
    }
}
