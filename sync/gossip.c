#include "sync/gossip.h"
#include "sync/flow.h"
#include "sync/update.h"

#include "store/base/log.h"
#include "store/base/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Why two peers cannot talk for ever:
 *
 * - DIGEST answers nothing: it leaves at the start, after a change once that is quiet, when it closes an
 *   exchange, and every minute.
 * - FRONT is answered by FRONT once a round; a round ends with equal digests. A request for another mode goes
 *   only to a FRONT of mode 0 or 1, and its answer is of a higher mode.
 * - HEADS step 0 is answered by step 1, step 1 by WANT and CHUNK; only the dialler begins it.
 * - Looking closer (FRONT, HEADS), asking for a log again (WANT) and beginning a session again wait twice as long each time, up to
 *   ten minutes; only entries that were really taken in, or became durable at the peer, or equal digests, reset that.
 */
enum {
    QUIET_MS = 2 * 1000, /* without a change, before a digest is worth its bytes */
    SETTLE_MS =
        5 *
        1000, /* without activity, before differing digests mean anything: more than QUIET_MS and a round trip */
    COMPARE_MS = 60 * 1000, /* digests go out this often whatever happens */
    BACKOFF_MS = 2 * 1000,  /* the first wait before a refused log is asked for again */
    BACKOFF_MS_MAX = 10 * 60 * 1000,
    CONTROL_MS = 30 * 1000,   /* the others wait no longer than this for a control that does not move */
    RESTART_MS = 30 * 1000,   /* before a session that broke begins anew */
    LAG_MS = 2 * 1000,        /* between looks at what has become visible */
    KEEP_MS = 10 * 60 * 1000, /* between writes of a checkpoint that keeps changing */
    BATCH_MS = 20 * 1000,     /* on a wan, lanes 2 and 3 wait this long for more */
    CREDIT_BYTES_MIN = 64 * 1024,
    CREDIT_BYTES_MAX = 1 << 30,
    MESSAGE_BYTES = 64 * 1024,
    MESSAGE_BYTES_METERED = 16 * 1024,
    FLUSH_MESSAGES_MAX = 16, /* chunk messages to one peer in a turn, so that a turn stays short */
    WANTS_MAX = 64,
    JOBS_MAX = 32,
    TROUBLES_MAX = 64,
    PROBES_MAX = 64,
    PROBE_MS = 60 * 1000, /* an answer to a probe comes within this */
    WHY_BYTES = 96,
    ATTEMPTS_MAX = 20,
};

/* A log that does not fit: a gap, or a fork whose beginning is being looked for downward. */
struct trouble {
    struct hash log_id;
    bool meeting;        /* looking for where a fork begins */
    uint64_t probe_from; /* the headers that were asked for begin here */
    uint64_t step;       /* how far down the next probe goes: 1, 2, 4, 8 ... */
    uint32_t attempts;
    uint64_t until_ms; /* nothing is asked of this log before */
};

/* One compartment within a session. */
struct part {
    struct ident id;
    bool shared; /* a place is not used twice in a session: introduced logs point here */
    struct flows flows;
    struct peer_view view;
    bool has_view; /* we know what the peer has, by FRONT or by equal digests */
    /* comparing */
    bool peer_told;
    uint8_t peer_digest[DIGEST_BYTES];
    uint8_t peer_flags;
    bool told;
    uint8_t told_digest[DIGEST_BYTES];
    uint8_t told_flags;
    uint64_t told_ms;
    bool equal;            /* at the last look */
    bool ever_equal;       /* in this session */
    bool front_sent;       /* in this round */
    uint32_t attempts;     /* of looking closer, since there was progress */
    uint64_t check_ms;     /* when to look closer, if digests differ */
    uint64_t active_ms;    /* the last chunk or change */
    uint64_t batch_ms;     /* on a wan: when lanes 2 and 3 go; 0: nothing waits */
    uint64_t seen_change;  /* of the frontier, for active_ms */
    uint64_t equal_change; /* of the frontier, when the rows were last set equal */
    /* refused without blame: told by FRONT again */
    bool refused;
    uint32_t refusals;
    uint32_t retries; /* in this session */
    uint64_t retry_ms;
    /* due at the next flush */
    bool digest_due;
    bool front_due;
    enum front_mode front_mode; /* at least */
    bool ask_due;
    enum front_mode ask_mode;
    bool slices_due;
    uint16_t heads_due;
    /* checkpoints */
    struct checkpoint kept[2];
    bool unsaved[2];
    uint64_t saved_ms;
    bool saved;
    struct trouble troubles[TROUBLES_MAX];
    size_t trouble_count;
    uint64_t announced; /* entries the peer said it would send */
    uint64_t bytes_sent;
    uint64_t bytes_received;
};

/* A log the peer introduced, in its order. */
struct heard {
    struct gossip_log log;
    uint32_t part;
    bool known; /* false: of a compartment that is not shared; its frames are ignored */
    bool ack_due;
    bool lagging;
    uint32_t refused; /* refused when the part had been told again so often, plus 1; 0: not refused */
    uint64_t durable_next;
    uint64_t visible_next;
};

/* A log we introduced, in our order. */
struct spoken {
    struct hash log_id; /* by its first 8 bytes, if that is all we know */
    uint32_t part;
};

struct due_want {
    uint32_t part;
    uint8_t log_short[SHORT_BYTES];
    uint64_t from;
    uint64_t to;
    uint8_t policy;
};

/* Entries that the peer asked for. */
struct job {
    uint32_t part;
    struct hash log_id;
    uint64_t from;
    uint64_t to;
    bool headers_only;
    uint8_t lane;
    size_t branch; /* the one being sent */
    uint64_t at;   /* the next seq of it */
};

/* Headers that were asked for. */
struct probe {
    struct hash log_id;
    uint64_t from;
    uint64_t to;
    uint64_t until_ms;
};

enum session_state { SESSION_GREETING, SESSION_OPEN, SESSION_ENDED };

struct peer {
    struct hash device_id;
    struct gossip_peer_status status;
    struct gossip_compartment_status *parts; /* as last seen; owned */
    size_t part_count;
    char last_error[WHY_BYTES];
};

struct conn {
    uint32_t number;
    struct peer *peer;
    bool dialled;
    uint64_t up_ms;
    enum session_state state;
    uint64_t restart_ms; /* when an ended session begins anew; 0: never */
    uint32_t restarts;
    uint64_t began_ms;
    /* due at the next flush */
    bool hello_due;
    bool deny_due;
    struct deny deny;
    char deny_text[WHY_BYTES];

    bool ended_due;
    bool hang_up;
    /* the session */
    enum link_profile profile; /* the slower of both sides */
    bool control_done;         /* control was equal once, or cannot become so now */
    struct part *parts;
    size_t part_count;
    struct heard *heard;
    size_t heard_count;
    size_t heard_capacity;
    uint32_t *acks; /* places in heard */
    size_t ack_count;
    size_t ack_capacity;
    size_t lagging_count;
    uint64_t lag_ms;
    struct spoken *spoken;
    size_t spoken_count;
    size_t spoken_capacity;
    struct due_want wants[WANTS_MAX];
    size_t want_count;
    struct probe probes[PROBES_MAX]; /* a ring */
    size_t probe_count;
    struct job jobs[JOBS_MAX];
    size_t job_count;
    uint64_t credit;  /* bytes of CHUNK frames we may still send */
    uint64_t needed;  /* the next chunk needs as many: nothing is read before */
    uint64_t granted; /* bytes the peer may still send */
    uint64_t owed;    /* bytes taken in and not yet returned */
    uint64_t parked;  /* bytes that are not returned until there is room again */
    uint64_t parked_ms;
    uint64_t lane_bytes[LANE_COUNT];
    size_t rotate;
    struct buf held; /* a frame that found no room: it goes first */
};

struct gossip {
    struct gossip_options options;
    const struct gossip_store *store;
    struct conn **conns;
    size_t conn_count;
    size_t conn_capacity;
    struct peer **peers;
    size_t peer_count;
    size_t peer_capacity;
    bool rights_stale;
    bool stopping;
    uint64_t now_ms;
    struct buf frame;
    struct buf chunk;
    struct gossip_peer_status *statuses;
    struct ident shared[GOSSIP_SHARED_MAX];
};

/* --- small things --- */

/* Make room for one more item. False: no memory. */
static bool
grow(void **items, size_t *capacity, size_t count, size_t item_bytes)
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

static uint64_t
backoff_ms(uint64_t first_ms, uint32_t attempts)
{
    uint64_t ms = attempts >= ATTEMPTS_MAX ? BACKOFF_MS_MAX : first_ms << attempts;

    return ms < BACKOFF_MS_MAX ? ms : BACKOFF_MS_MAX;
}

static void
count_up(uint32_t *attempts)
{
    if (*attempts < ATTEMPTS_MAX) {
        (*attempts)++;
    }
}

static struct frontier *
frontier_of(struct gossip *gossip, const struct part *part)
{
    return gossip->store->frontier(gossip->store->self, &part->id);
}

static bool
is_control(const struct gossip *gossip, const struct part *part)
{
    return ident_equal(&part->id, &gossip->options.control);
}

static bool
is_open(const struct conn *conn)
{
    return conn->state == SESSION_OPEN;
}

/* What others say goes to a terminal or a log: control characters do not. */
static void
set_error(struct peer *peer, const char *text, size_t size)
{
    size_t length = size < WHY_BYTES - 1 ? size : WHY_BYTES - 1;

    for (size_t n = 0; n < length; n++) {
        unsigned char byte = (unsigned char)text[n];
        peer->last_error[n] = byte < 0x20 || byte == 0x7f ? '?' : text[n];
    }
    peer->last_error[length] = '\0';
}

static void
say_error(struct peer *peer, const char *text)
{
    set_error(peer, text, strlen(text));
}

static struct part *
part_of_tag(struct conn *conn, const uint8_t tag[TAG_BYTES])
{
    for (size_t n = 0; n < conn->part_count; n++) {
        if (conn->parts[n].shared && memcmp(conn->parts[n].id.bytes, tag, TAG_BYTES) == 0) {
            return &conn->parts[n];
        }
    }
    return NULL;
}

static uint32_t
place_of_part(const struct conn *conn, const struct part *part)
{
    return (uint32_t)(part - conn->parts);
}

static void
keep_active(struct gossip *gossip, struct part *part)
{
    part->active_ms = gossip->now_ms;
}

/* --- the life of a session --- */

static void
save_checkpoints(struct gossip *gossip, struct conn *conn, struct part *part)
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
static const struct checkpoint *
latest_of(const struct part *part)
{
    return &part->kept[part->kept[1].serial > part->kept[0].serial ? 1 : 0];
}

static void
free_part(struct part *part)
{
    flows_free(&part->flows);
    peer_view_free(&part->view);
    checkpoint_free(&part->kept[0]);
    checkpoint_free(&part->kept[1]);
    memset(part, 0, sizeof *part);
}

/* Forget everything of a session but its connection. */
static void
clear_session(struct gossip *gossip, struct conn *conn)
{
    for (size_t n = 0; n < conn->part_count; n++) {
        save_checkpoints(gossip, conn, &conn->parts[n]);
        free_part(&conn->parts[n]);
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
    conn->needed = 0;
    conn->granted = 0;
    conn->owed = 0;
    conn->parked = 0;
    conn->control_done = false;
    memset(conn->lane_bytes, 0, sizeof conn->lane_bytes);
    conn->hello_due = false;
}

/* What to do with the connection when its session ends. */
enum ending { ENDING_RESTART, ENDING_STAY, ENDING_HANG_UP };

static void
end_session(struct gossip *gossip, struct conn *conn, enum ending ending, uint64_t restart_after_ms,
            const char *why)
{
    clear_session(gossip, conn);
    conn->state = SESSION_ENDED;
    conn->restart_ms = 0;
    if (ending == ENDING_RESTART) {
        uint64_t wait_ms = backoff_ms(restart_after_ms, conn->restarts);
        count_up(&conn->restarts);
        conn->restart_ms = gossip->now_ms + wait_ms;
    }
    conn->ended_due = true;
    conn->hang_up = ending == ENDING_HANG_UP;
    if (why != NULL) {
        say_error(conn->peer, why);
    }
    struct short_id device = hash_short(&conn->peer->device_id);
    log_event("session-ended", "peer=%s why=\"%s\"", device.text, why != NULL ? why : "done");
}

static void
deny(struct gossip *gossip, struct conn *conn, uint8_t code, uint32_t retry_after_s, const char *text,
     enum ending ending)
{
    end_session(gossip, conn, ending, RESTART_MS, text);
    (void)snprintf(conn->deny_text, sizeof conn->deny_text, "%s", text);
    conn->deny = (struct deny){ code, retry_after_s, span_text(conn->deny_text) };
    conn->deny_due = true;
}

static void
end_malformed(struct gossip *gossip, struct conn *conn, const char *what)
{
    conn->peer->status.frames_malformed++;
    deny(gossip, conn, DENY_MALFORMED, RESTART_MS / 1000, what, ENDING_RESTART);
}

static void
end_memory(struct gossip *gossip, struct conn *conn)
{
    end_session(gossip, conn, ENDING_RESTART, RESTART_MS, "no memory left for this session");
}

static void
say_bye(struct gossip *gossip, struct conn *conn, enum bye_reason reason, enum ending ending, const char *why)
{

    /* The frame names the checkpoints, so it is built before they are let go. */
    buf_clear(&gossip->frame);
    bye_write(&gossip->frame, reason);
    for (size_t n = 0; n < conn->part_count; n++) {
        const struct part *part = &conn->parts[n];
        const struct checkpoint *latest = latest_of(part);
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
    end_session(gossip, conn, ending, RESTART_MS, why);
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
open_part(struct gossip *gossip, struct part *part)
{
    part->shared = true;
    part->digest_due = true;
    part->active_ms = gossip->now_ms;
    part->check_ms = gossip->now_ms + SETTLE_MS;
}

/* Ask again what this peer may hold, open what is new and close what is gone. False: no memory. */
static bool
refresh_shared(struct gossip *gossip, struct conn *conn)
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
            save_checkpoints(gossip, conn, part);
            free_part(part);
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
            open_part(gossip, part);
        }
    }
    return true;
}

static bool
shares_anything(const struct conn *conn)
{
    for (size_t n = 0; n < conn->part_count; n++) {
        if (conn->parts[n].shared) {
            return true;
        }
    }
    return false;
}

static void
begin_session(struct gossip *gossip, struct conn *conn)
{
    clear_session(gossip, conn);
    conn->state = SESSION_GREETING;
    conn->restart_ms = 0;
    conn->began_ms = gossip->now_ms;
    conn->profile = gossip->options.profile;
    conn->granted = gossip->options.credit_bytes;
    if (!refresh_shared(gossip, conn)) {
        end_memory(gossip, conn);
    } else if (!shares_anything(conn)) {
        deny(gossip, conn, DENY_NOT_MEMBER, RESTART_MS / 1000, "no compartment is shared with this device",
             ENDING_RESTART);
    } else {
        conn->hello_due = true;
    }
}

/* --- introducing logs --- */

static struct heard *
hear(struct gossip *gossip, struct conn *conn, const struct heard *log)
{
    if (conn->heard_count == GOSSIP_INTRODUCED_MAX) {
        end_malformed(gossip, conn, "more logs were introduced than a session may have");
        return NULL;
    }
    void *items = conn->heard;
    if (!grow(&items, &conn->heard_capacity, conn->heard_count, sizeof *conn->heard)) {
        end_memory(gossip, conn);
        return NULL;
    }
    conn->heard = items;
    conn->heard[conn->heard_count] = *log;
    return &conn->heard[conn->heard_count++];
}

/* The log that a reference of the peer means; introduces it where the reference does. NULL: the session has ended.
 * One that is of no shared compartment is introduced too, so that both sides count alike. */
static struct heard *
resolve(struct gossip *gossip, struct conn *conn, const struct log_ref *ref, struct part *part)
{
    const struct gossip_store *store = gossip->store;
    struct heard heard = { .known = false };

    if (ref->ref >= LOG_REF_FIRST) {
        if (ref->ref - LOG_REF_FIRST >= conn->heard_count) {
            end_malformed(gossip, conn, "a log was named that was never introduced");
            return NULL;
        }
        struct heard *known = &conn->heard[ref->ref - LOG_REF_FIRST];
        if (known->known && part != NULL && known->part != place_of_part(conn, part)) {
            end_malformed(gossip, conn, "a log was named in another compartment than its own");
            return NULL;
        }
        return known;
    }
    if (ref->ref == LOG_REF_NEW) {
        if (!descriptor_read(ref->name, &heard.log.descriptor)) {
            end_malformed(gossip, conn, "a descriptor was malformed");
            return NULL;
        }
        descriptor_log_id(&heard.log.descriptor, &heard.log.log_id);
        if (part != NULL && !ident_equal(&heard.log.descriptor.compartment, &part->id)) {
            end_malformed(gossip, conn, "a log was introduced in another compartment than its own");
            return NULL;
        }
        heard.known = part != NULL;
    } else if (part != NULL) {
        if (!store->find_log(store->self, &part->id, ref->name.data, &heard.log.log_id) ||
            !store->descriptor(store->self, &heard.log.log_id, &heard.log.descriptor)) {
            end_malformed(gossip, conn, "a log was named that is not here");
            return NULL;
        }
        heard.known = true;
    }
    if (heard.known) {
        heard.part = place_of_part(conn, part);
    }
    return hear(gossip, conn, &heard);
}

/* Introduce a log to the peer. False: the session has ended (it begins anew when the table is full). */
static bool
speak(struct gossip *gossip, struct conn *conn, uint32_t part, const uint8_t *log_id, size_t size)
{
    if (conn->spoken_count == GOSSIP_INTRODUCED_MAX) {
        begin_session(gossip, conn);
        return false;
    }
    void *items = conn->spoken;
    if (!grow(&items, &conn->spoken_capacity, conn->spoken_count, sizeof *conn->spoken)) {
        end_memory(gossip, conn);
        return false;
    }
    conn->spoken = items;
    struct spoken *spoken = &conn->spoken[conn->spoken_count++];
    memset(spoken, 0, sizeof *spoken);
    memcpy(spoken->log_id.bytes, log_id, size);
    spoken->part = part;
    return true;
}

/* --- comparing --- */

/* Bring the rows in step with our frontier, and note that it moved. False: no memory, the session has ended. */
static bool
follow(struct gossip *gossip, struct conn *conn, struct part *part)
{
    struct frontier *frontier = frontier_of(gossip, part);
    bool changed;

    if (frontier == NULL || flows_sync(&part->flows, frontier, gossip->store, &changed) != ERR_OK) {
        end_memory(gossip, conn);
        return false;
    }
    if (part->seen_change != frontier->change_count) {
        part->seen_change = frontier->change_count;
        keep_active(gossip, part);
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
        save_checkpoints(gossip, conn, part);
    }
}

/* Compare what the peer last said with what is here now. */
static void
compare(struct gossip *gossip, struct conn *conn, struct part *part)
{
    if (!part->peer_told || !is_open(conn) || !follow(gossip, conn, part)) {
        return;
    }
    struct frontier *frontier = frontier_of(gossip, part);
    if (memcmp(frontier_digest(frontier), part->peer_digest, DIGEST_BYTES) == 0) {
        if (!part->equal) {
            part->equal = true;
            part->equal_change = frontier->change_count - 1;
            part->ever_equal = true;
            part->has_view = true;
            part->front_sent = false;
            part->attempts = 0;
            part->refusals = 0;
            part->announced = 0;
            part->trouble_count = 0;
            part->view.count = 0;
            conn->restarts = 0;
            agree(gossip, conn, part, frontier);
        }
        if (part->equal_change != frontier->change_count) {
            part->equal_change = frontier->change_count;
            flows_set_equal(&part->flows);
        }
        if (is_control(gossip, part)) {
            conn->control_done = true;
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

/* --- what arrives --- */

static void
receive_hello(struct gossip *gossip, struct conn *conn, const struct hello *hello)
{
    if (conn->state != SESSION_GREETING) {
        /* The peer began anew, or revives a session that had ended. Ours answers with one HELLO; as it then is greeting,
         * a HELLO that crosses this one is not answered again. */
        if (conn->state == SESSION_ENDED && conn->hang_up) {
            return;
        }
        buf_clear(&conn->held);
        begin_session(gossip, conn);
        if (conn->state != SESSION_GREETING) {
            return;
        }
    }
    if (hello->min > PROTOCOL_MAX || hello->max < PROTOCOL_MIN) {
        char text[WHY_BYTES];
        (void)snprintf(text, sizeof text, "this side speaks protocol %d to %d, the other %u to %u",
                       PROTOCOL_MIN, PROTOCOL_MAX, hello->min, hello->max);
        deny(gossip, conn, DENY_PROTOCOL, 0, text, ENDING_STAY);
        return;
    }
    conn->state = SESSION_OPEN;
    conn->credit = hello->credit_bytes < CREDIT_BYTES_MAX ? hello->credit_bytes : CREDIT_BYTES_MAX;
    if (hello->profile > conn->profile) {
        conn->profile = (enum link_profile)hello->profile;
    }
}

static void
receive_digests(struct gossip *gossip, struct conn *conn, struct reader digests)
{
    struct digest_item item;

    while (is_open(conn) && digest_next(&digests, &item)) {
        struct part *part = part_of_tag(conn, item.tag);
        if (part == NULL) {
            conn->peer->status.frames_stray++;
            continue;
        }
        part->peer_told = true;
        part->peer_flags = item.flags;
        memcpy(part->peer_digest, item.digest, DIGEST_BYTES);
        compare(gossip, conn, part);
    }
}

static void
receive_front(struct gossip *gossip, struct conn *conn, const struct front *front)
{
    struct part *part = part_of_tag(conn, front->tag);

    if (part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    if (front->mode >= FRONT_ASK) {
        part->front_due = true;
        part->front_sent = true;
        part->front_mode = (enum front_mode)(front->mode - FRONT_ASK);
        return;
    }
    if (!follow(gossip, conn, part)) {
        return;
    }
    switch (front_view(front, part->kept, 2, frontier_of(gossip, part), &part->view)) {
    case FRONT_OK:
        part->has_view = true;
        flows_set_view(&part->flows, &part->view);
        keep_active(gossip, part);
        if (!part->front_sent) {
            part->front_due = true;
            part->front_sent = true;
        }
        break;
    case FRONT_UNKNOWN_CHECKPOINT:
        part->ask_due = true;
        part->ask_mode = FRONT_HEADS;
        break;
    case FRONT_UNKNOWN_LIST:
        part->ask_due = true;
        part->ask_mode = FRONT_NAMES;
        break;
    case FRONT_MALFORMED:
        end_malformed(gossip, conn, "a frontier named places outside of its list");
        break;
    case FRONT_MEMORY:
        end_memory(gossip, conn);
        break;
    }
}

/* Note that something is to be asked for. What finds no place is asked for when the digests are compared again. */
static void
want(struct conn *conn, struct part *part, const uint8_t *log_short, uint64_t from, uint64_t to,
     enum want_policy policy)
{
    if (conn->want_count < WANTS_MAX) {
        struct due_want *due = &conn->wants[conn->want_count++];
        *due = (struct due_want){
            .part = place_of_part(conn, part), .from = from, .to = to, .policy = (uint8_t)policy
        };
        memcpy(due->log_short, log_short, SHORT_BYTES);
    }
}

static struct trouble *
find_trouble(struct part *part, const struct hash *log_id)
{
    for (size_t n = 0; n < part->trouble_count; n++) {
        if (hash_equal(&part->troubles[n].log_id, log_id)) {
            return &part->troubles[n];
        }
    }
    return NULL;
}

static void
end_trouble(struct part *part, const struct hash *log_id)
{
    struct trouble *trouble = find_trouble(part, log_id);

    if (trouble != NULL) {
        *trouble = part->troubles[--part->trouble_count];
    }
}

/* Tell our frontier again after a while: the peer then sends what it finds lacking. */
static void
ask_again_later(struct gossip *gossip, struct part *part)
{
    if (!part->refused) {
        part->refused = true;
        part->retry_ms = gossip->now_ms + backoff_ms(BACKOFF_MS, part->refusals);
        count_up(&part->refusals);
    }
}

/* A place among the troubles for a log that does not fit, if it may be asked for now. NULL: not now. */
static struct trouble *
begin_trouble(struct gossip *gossip, struct part *part, const struct hash *log_id)
{
    struct trouble *trouble = find_trouble(part, log_id);

    if (trouble == NULL) {
        if (part->trouble_count == TROUBLES_MAX) {
            ask_again_later(gossip, part);
            return NULL;
        }
        trouble = &part->troubles[part->trouble_count++];
        *trouble = (struct trouble){ .log_id = *log_id };
    } else if (gossip->now_ms < trouble->until_ms) {
        return NULL;
    }
    trouble->until_ms = gossip->now_ms + backoff_ms(BACKOFF_MS, trouble->attempts);
    count_up(&trouble->attempts);
    return trouble;
}

/* One more than the highest seq we hold of a log, on any branch. */
static uint64_t
next_of_log(struct gossip *gossip, const struct part *part, const struct hash *log_id)
{
    const struct frontier *frontier = frontier_of(gossip, part);
    size_t first;
    size_t count = frontier_log(frontier, log_id, &first);
    uint64_t next = 0;

    for (size_t n = first; n < first + count; n++) {
        next = frontier->tips[n].seq >= next ? frontier->tips[n].seq + 1 : next;
    }
    return next;
}

static void
meet_gap(struct gossip *gossip, struct conn *conn, struct part *part, const struct hash *log_id,
         uint64_t first_seq)
{
    struct trouble *trouble = begin_trouble(gossip, part, log_id);

    if (trouble != NULL) {
        uint64_t next = next_of_log(gossip, part, log_id);
        want(conn, part, log_id->bytes, next < first_seq ? next : 0, 0, WANT_WHOLE);
    }
}

/* Ask for headers further down, until one begins where we have what comes before. */
static void
probe(struct gossip *gossip, struct conn *conn, struct part *part, struct trouble *trouble, uint64_t below)
{
    trouble->meeting = true;
    trouble->probe_from = below > trouble->step ? below - trouble->step : 0;
    trouble->step *= 2;
    conn->probes[conn->probe_count++ % PROBES_MAX] =
        (struct probe){ trouble->log_id, trouble->probe_from, below > 0 ? below : 1,
                        gossip->now_ms + PROBE_MS };
    want(conn, part, trouble->log_id.bytes, trouble->probe_from, below > 0 ? below : 1, WANT_HEADERS);
}

static void
meet_fork(struct gossip *gossip, struct conn *conn, struct part *part, const struct hash *log_id,
          uint64_t below)
{
    struct trouble *trouble = begin_trouble(gossip, part, log_id);

    if (trouble != NULL) {
        trouble->step = 1;
        probe(gossip, conn, part, trouble, below);
    }
}

/* A chunk of a log whose fork is being looked for. True: it was the answer, and is used up. */
static bool
answer_probe(struct gossip *gossip, struct conn *conn, struct part *part, const struct hash *log_id,
             uint64_t first_seq, enum gossip_link link)
{
    struct trouble *trouble = find_trouble(part, log_id);

    if (trouble == NULL || !trouble->meeting || first_seq != trouble->probe_from) {
        return false;
    }
    if (link == LINK_GOOD) {
        trouble->meeting = false;
        want(conn, part, log_id->bytes, first_seq, 0, WANT_WHOLE);
    } else {
        /* Each probe lies lower than the one before, so this ends at seq 0, whose prev is always here. */
        probe(gossip, conn, part, trouble, first_seq);
    }
    return true;
}

/* Headers that were asked for to find where a fork begins, and that came too late or of another branch: what is
 * needed of them is fetched with payloads, so they are not taken in. */
static bool
is_late_answer(const struct gossip *gossip, const struct conn *conn, const struct gossip_log *log,
               struct span bytes)
{
    struct chunk chunk;
    bool probed = false;

    for (size_t n = 0; n < PROBES_MAX && !probed; n++) {
        probed =
            conn->probes[n].until_ms > gossip->now_ms && hash_equal(&conn->probes[n].log_id, &log->log_id);
    }
    if (!probed || chunk_read(bytes, log->descriptor.lane, &chunk) != CHUNK_OK) {
        return false;
    }
    for (size_t n = 0; n < chunk.entry_count; n++) {
        if (chunk.entries[n].payload.data != NULL) {
            return false;
        }
    }
    for (size_t n = 0; n < PROBES_MAX; n++) {
        const struct probe *probe = &conn->probes[n];
        if (probe->until_ms > gossip->now_ms && hash_equal(&probe->log_id, &log->log_id) &&
            chunk.first_seq >= probe->from && chunk.first_seq < probe->to) {
            return true;
        }
    }
    return false;
}

static void
note_ack(struct gossip *gossip, struct conn *conn, struct heard *heard, const struct taken *taken)
{
    heard->durable_next = taken->durable_next;
    heard->visible_next = taken->visible_next;
    if (!heard->lagging && heard->visible_next < heard->durable_next) {
        heard->lagging = true;
        conn->lagging_count++;
    }
    if (!heard->ack_due) {
        void *items = conn->acks;
        if (!grow(&items, &conn->ack_capacity, conn->ack_count, sizeof *conn->acks)) {
            end_memory(gossip, conn);
            return;
        }
        conn->acks = items;
        conn->acks[conn->ack_count++] = (uint32_t)(heard - conn->heard);
        heard->ack_due = true;
    }
}

/* Do not return these bytes of credit yet. */
static void
park(struct conn *conn, size_t bytes)
{
    uint64_t parked = bytes < conn->owed ? bytes : conn->owed;

    conn->owed -= parked;
    conn->parked += parked;
}

static void
refuse_later(struct gossip *gossip, struct conn *conn, struct part *part, struct heard *heard,
             const struct taken *taken, size_t chunk_bytes)
{
    switch (taken->later) {
    case LATER_AUTHOR:
        /* Nothing of this log is here: the ACK says so, and stops the peer from sending the rest of it. */
        note_ack(gossip, conn, heard, taken);
        say_error(conn->peer, "an author is not known here yet: waiting for its certificate");
        break;
    case LATER_LIMIT:
    case LATER_FULL:
        /* Credit that is not returned stops the peer where it is. */
        park(conn, chunk_bytes);
        say_error(conn->peer,
                  taken->later == LATER_FULL ? "this side is full" : "a limit of this side is reached");
        break;
    case LATER_GAP:
    case LATER_NONE:
        break;
    }
    ask_again_later(gossip, part);
    heard->refused = part->retries + 1;
}

static void
receive_chunk(struct gossip *gossip, struct conn *conn, const struct chunk_item *item)
{
    const struct gossip_store *store = gossip->store;
    struct gossip_peer_status *status = &conn->peer->status;
    struct part *part = part_of_tag(conn, item->tag);
    struct heard *heard = resolve(gossip, conn, &item->log, part);
    struct taken taken = { .verdict = VERDICT_MALFORMED };

    if (heard == NULL) {
        return;
    }
    if (part == NULL || !heard->known) {
        status->frames_stray++;
        return;
    }
    struct reader in = reader_of(item->chunk);
    uint64_t first_seq = reader_varint(&in);
    struct span prev = reader_span(&in, SHORT_BYTES);
    keep_active(gossip, part);
    part->bytes_received += item->chunk.size;
    const struct hash *log_id = &heard->log.log_id;
    if (heard->refused == part->retries + 1) {
        /* What follows a refusal, sent before it was known: all of it comes again. */
        status->chunks_later++;
        if (conn->parked > 0) {
            park(conn, item->chunk.size);
        }
        return;
    }
    enum gossip_link link = LINK_GOOD;
    if (!in.failed) {
        link = store->links(store->self, log_id, first_seq, prev.data);
        if (answer_probe(gossip, conn, part, log_id, first_seq, link) ||
            is_late_answer(gossip, conn, &heard->log, item->chunk)) {
            return;
        }
        taken.verdict = link == LINK_FORK ? VERDICT_FORK : VERDICT_LATER;
        taken.later = LATER_GAP;
        if (link == LINK_GOOD) {
            store->take(store->self, &conn->peer->device_id, &heard->log, item->chunk, &taken);
        }
    }
    switch (taken.verdict) {
    case VERDICT_TAKEN:
        status->entries_taken += taken.entry_count;
        part->attempts = 0;
        part->refusals = 0;
        conn->owed += conn->parked;
        conn->parked = 0;
        end_trouble(part, log_id);
        if (is_control(gossip, part)) {
            gossip->rights_stale = true;
        }
        break;
    case VERDICT_SEEN:
        status->chunks_seen++;
        break;
    case VERDICT_FORK:
        status->chunks_later++;
        meet_fork(gossip, conn, part, log_id, first_seq);
        return;
    case VERDICT_LATER:
        status->chunks_later++;
        if (taken.later == LATER_GAP) {
            meet_gap(gossip, conn, part, log_id, first_seq);
        } else {
            refuse_later(gossip, conn, part, heard, &taken, item->chunk.size);
        }
        return;
    case VERDICT_MALFORMED:
        /* Of one log only: the others go on, and a good copy may come from elsewhere. */
        status->frames_malformed++;
        say_error(conn->peer, "a chunk was malformed");
        ask_again_later(gossip, part);
        heard->refused = part->retries + 1;
        return;
    case VERDICT_FORGED:
        status->chunks_forged++;
        say_error(conn->peer, "a signature was not its author's");
        ask_again_later(gossip, part);
        heard->refused = part->retries + 1;
        return;
    }
    note_ack(gossip, conn, heard, &taken);
    if (is_open(conn) && follow(gossip, conn, part)) {
        flows_came_from_peer(&part->flows, log_id, taken.durable_next);
    }
}

static void
receive_chunks(struct gossip *gossip, struct conn *conn, struct reader chunks, size_t frame_bytes)
{
    struct chunk_item item;

    if (frame_bytes > conn->granted) {
        end_malformed(gossip, conn, "more was sent than the credit allowed");
        return;
    }
    conn->granted -= frame_bytes;
    conn->owed += frame_bytes;
    while (is_open(conn) && chunk_next(&chunks, &item)) {
        receive_chunk(gossip, conn, &item);
    }
}

static void
receive_want(struct gossip *gossip, struct conn *conn, const struct want *asked)
{
    struct part *part = part_of_tag(conn, asked->tag);
    struct heard *heard = resolve(gossip, conn, &asked->log, part);

    if (heard == NULL) {
        return;
    }
    if (part == NULL || !heard->known || !follow(gossip, conn, part)) {
        conn->peer->status.frames_stray++;
        return;
    }
    const struct hash *log_id = &heard->log.log_id;
    keep_active(gossip, part);
    if (asked->policy == WANT_WHOLE && asked->to == 0 && part->has_view) {
        flows_rewind(&part->flows, log_id, asked->from);
        return;
    }
    if (conn->job_count == JOBS_MAX) {
        /* The asker asks again when its back-off is over. */
        say_error(conn->peer, "it asks for more at once than this side remembers");
        return;
    }
    conn->jobs[conn->job_count++] = (struct job){
        .part = place_of_part(conn, part),
        .log_id = *log_id,
        .from = asked->from,
        .to = asked->to,
        .headers_only = asked->policy == WANT_HEADERS,
        .lane = heard->log.descriptor.lane,
        .at = asked->from,
    };
}

static void
receive_acks(struct gossip *gossip, struct conn *conn, const uint8_t *tag, struct reader items)
{
    struct part *part = part_of_tag(conn, tag);
    struct ack_item item;

    if (part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    if (!follow(gossip, conn, part)) {
        return;
    }
    while (ack_next(&items, &item)) {
        if (item.place >= conn->spoken_count || conn->spoken[item.place].part != place_of_part(conn, part)) {
            end_malformed(gossip, conn, "a log was acknowledged that was never introduced");
            return;
        }
        if (flows_ack(&part->flows, &conn->spoken[item.place].log_id, item.durable_next, item.visible_next)) {
            part->attempts = 0;
            keep_active(gossip, part);
        }
    }
}

/* What the peer has of our logs, by the tips it named of slices that differ, and what it has that we lack. */
static void
receive_tips(struct gossip *gossip, struct conn *conn, struct part *part, const struct heads *heads)
{
    const struct gossip_store *store = gossip->store;
    struct reader tips = heads->tips;
    struct heads_tip tip;
    struct frontier *frontier = frontier_of(gossip, part);

    while (heads_next(&tips, &tip)) {
        const struct tip *own = frontier_find(frontier, tip.log_short);
        if (own == NULL) {
            want(conn, part, tip.log_short, 0, 0, WANT_WHOLE);
        } else if (!store->has(store->self, &own->log_id, tip.seq, tip.entry_short)) {
            uint64_t next = next_of_log(gossip, part, &own->log_id);
            if (tip.seq >= next) {
                meet_gap(gossip, conn, part, &own->log_id, tip.seq);
            } else {
                meet_fork(gossip, conn, part, &own->log_id, tip.seq + 1);
            }
        }
    }
    for (size_t n = 0; n < part->flows.count; n++) {
        struct flow *row = &part->flows.rows[n];
        bool named = false;
        bool exact = false;
        uint64_t common = 0; /* one more than the highest of its tips that is an entry of ours */
        if ((heads->slice_bits >> (row->log_id.bytes[0] >> 4) & 1) == 0) {
            continue;
        }
        tips = heads->tips;
        while (heads_next(&tips, &tip)) {
            if (memcmp(tip.log_short, row->log_id.bytes, SHORT_BYTES) != 0) {
                continue;
            }
            named = true;
            exact = exact || (tip.seq + 1 == row->tip_next &&
                              memcmp(frontier->tips[n].entry_id.bytes, tip.entry_short, SHORT_BYTES) == 0);
            if (tip.seq >= common && store->has(store->self, &row->log_id, tip.seq, tip.entry_short)) {
                common = tip.seq + 1;
            }
        }
        bool forked = frontier_forked(frontier, n);
        if (exact) {
            row->next = row->tip_next;
            row->durable_next = row->tip_next;
            continue;
        }
        if (named && common == 0 && !forked) {
            continue; /* It is on a branch that we lack; once that is here, ours has a name and is sent. */
        }
        uint64_t from = forked && row->branch_first < common ? row->branch_first : common;
        if (named && common == 0) {
            from = row->branch_first;
        }
        row->next = from < row->next ? from : row->next;
        row->stopped = false;
        row->known = row->known || named;
    }
    memset(part->flows.idle, 0, sizeof part->flows.idle);
    keep_active(gossip, part);
}

static void
receive_heads(struct gossip *gossip, struct conn *conn, const struct heads *heads)
{
    struct part *part = part_of_tag(conn, heads->tag);

    if (part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    if (!follow(gossip, conn, part)) {
        return;
    }
    if (heads->step == 1) {
        receive_tips(gossip, conn, part, heads);
        return;
    }
    uint8_t slices[SLICE_COUNT * SHORT_BYTES];
    frontier_slices(frontier_of(gossip, part), slices);
    for (size_t n = 0; n < SLICE_COUNT; n++) {
        if (memcmp(slices + n * SHORT_BYTES, heads->slices + n * SHORT_BYTES, SHORT_BYTES) != 0) {
            part->heads_due |= (uint16_t)(1u << n);
        }
    }
}

static void
receive_announce(struct conn *conn, const struct announce *announce)
{
    struct part *part = part_of_tag(conn, announce->tag);

    if (part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    part->announced = 0;
    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        uint64_t count = announce->entry_count[lane];
        part->announced = count < UINT64_MAX - part->announced ? part->announced + count : UINT64_MAX;
    }
}

static void
receive_deny(struct gossip *gossip, struct conn *conn, const struct deny *denied)
{
    /* Nothing answers a DENY. Never is until the next connection, or until the peer greets us. */
    end_session(gossip, conn, denied->retry_after_s > 0 ? ENDING_RESTART : ENDING_STAY,
                denied->retry_after_s < 3600 ? denied->retry_after_s * 1000ull : 3600ull * 1000, NULL);
    if (denied->text.size > 0) {
        set_error(conn->peer, (const char *)denied->text.data, denied->text.size);
    } else {
        say_error(conn->peer, deny_code_text(denied->code));
    }
}

static void
receive_bye(struct gossip *gossip, struct conn *conn, const struct bye *bye)
{
    end_session(gossip, conn, ENDING_HANG_UP, 0,
                bye->reason == BYE_SHUTTING_DOWN ? "the other side is shutting down" : NULL);
}

static struct conn *
find_conn(struct gossip *gossip, uint32_t number)
{
    for (size_t n = 0; n < gossip->conn_count; n++) {
        if (gossip->conns[n]->number == number) {
            return gossip->conns[n];
        }
    }
    return NULL;
}

void
gossip_receive(struct gossip *gossip, uint32_t number, struct span bytes, uint64_t now_ms)
{
    struct conn *conn = find_conn(gossip, number);
    struct frame frame;

    gossip->now_ms = now_ms;
    if (conn == NULL) {
        return;
    }
    struct gossip_peer_status *status = &conn->peer->status;
    status->frames_received++;
    status->last_contact_ms = world_wall_ms(gossip->options.world);
    if (!frame_read(bytes, &frame)) {
        if (conn->state == SESSION_ENDED) {
            status->frames_malformed++;
        } else {
            end_malformed(gossip, conn, "a frame was malformed");
        }
        return;
    }
    if (frame.type == FRAME_UNKNOWN || frame.type == FRAME_PROOF) {
        status->frames_unknown++;
        return;
    }
    if (frame.type == FRAME_HELLO) {
        receive_hello(gossip, conn, &frame.hello);
        return;
    }
    if (conn->state == SESSION_ENDED) {
        status->frames_stray++;
        return;
    }
    if (frame.type == FRAME_DENY) {
        receive_deny(gossip, conn, &frame.deny);
        return;
    }
    if (frame.type == FRAME_BYE) {
        receive_bye(gossip, conn, &frame.bye);
        return;
    }
    if (!is_open(conn)) {
        /* Of a session that this side has left: the peer has not yet heard of it. */
        status->frames_stray++;
        return;
    }
    switch (frame.type) {
    case FRAME_DIGEST:
        receive_digests(gossip, conn, frame.digests);
        break;
    case FRAME_FRONT:
        receive_front(gossip, conn, &frame.front);
        break;
    case FRAME_ANNOUNCE:
        receive_announce(conn, &frame.announce);
        break;
    case FRAME_WANT:
        receive_want(gossip, conn, &frame.want);
        break;
    case FRAME_CHUNK:
        receive_chunks(gossip, conn, frame.chunks, bytes.size);
        break;
    case FRAME_ACK:
        receive_acks(gossip, conn, frame.ack.tag, frame.ack.items);
        break;
    case FRAME_HEADS:
        receive_heads(gossip, conn, &frame.heads);
        break;
    case FRAME_CREDIT:
        conn->credit += frame.credit_bytes;
        conn->credit = conn->credit < CREDIT_BYTES_MAX ? conn->credit : CREDIT_BYTES_MAX;
        break;
    case FRAME_HELLO:
    case FRAME_DENY:
    case FRAME_BYE:
    case FRAME_PROOF:
    case FRAME_UNKNOWN:
        break;
    }
}

/* --- what leaves --- */

/* Hand a frame to the link, or hold it: then nothing else is built until it has gone. False: it is held. */
static bool
send_or_hold(struct gossip *gossip, struct conn *conn, struct buf *frame)
{
    if (frame->failed) {
        end_memory(gossip, conn);
        return false;
    }
    if (conn->held.size == 0 && world_send(gossip->options.world, conn->number, buf_span(frame))) {
        return true;
    }
    assert(conn->held.size == 0);
    buf_put_span(&conn->held, buf_span(frame));
    if (conn->held.failed) {
        buf_clear(&conn->held);
        end_memory(gossip, conn);
    }
    return false;
}

static bool
send_hello(struct gossip *gossip, struct conn *conn)
{
    const struct gossip_store *store = gossip->store;
    struct hello hello = {
        .min = PROTOCOL_MIN,
        .max = PROTOCOL_MAX,
        .wall_s = (uint32_t)(world_wall_ms(gossip->options.world) / 1000),
        .profile = (uint8_t)gossip->options.profile,
        .credit_bytes = gossip->options.credit_bytes,
        .version = span_text(gossip->options.version),
    };

    store->identity(store->self, hello.incarnation, hello.certificate);
    buf_clear(&gossip->frame);
    hello_write(&gossip->frame, &hello);
    conn->hello_due = false;
    return send_or_hold(gossip, conn, &gossip->frame);
}

static bool
send_digests(struct gossip *gossip, struct conn *conn)
{
    enum { ITEMS_MAX = (FRAME_SMALL_BYTES_MAX - 1) / (TAG_BYTES + DIGEST_BYTES + 1) };
    const struct gossip_store *store = gossip->store;
    size_t count = 0;

    _Static_assert((int)GOSSIP_SHARED_MAX <= (int)ITEMS_MAX, "all digests fit into one frame");
    buf_clear(&gossip->frame);
    digest_write(&gossip->frame);
    for (size_t n = 0; n < conn->part_count && count < ITEMS_MAX; n++) {
        struct part *part = &conn->parts[n];
        if (!part->shared || !part->digest_due) {
            continue;
        }
        struct frontier *frontier = frontier_of(gossip, part);
        if (frontier == NULL) {
            end_memory(gossip, conn);
            return false;
        }
        struct digest_item item = { .flags = store->flags(store->self, &part->id) };
        memcpy(item.tag, part->id.bytes, TAG_BYTES);
        memcpy(item.digest, frontier_digest(frontier), DIGEST_BYTES);
        digest_item_write(&gossip->frame, &item);
        part->digest_due = false;
        part->told = true;
        part->told_flags = item.flags;
        part->told_ms = gossip->now_ms;
        memcpy(part->told_digest, item.digest, DIGEST_BYTES);
        count++;
    }
    return count == 0 || send_or_hold(gossip, conn, &gossip->frame);
}

static bool
send_front(struct gossip *gossip, struct conn *conn, struct part *part)
{
    const struct frontier *frontier = frontier_of(gossip, part);
    const struct checkpoint *latest = latest_of(part);
    enum front_mode mode = front_best_mode(frontier, latest);

    if (mode < part->front_mode) {
        mode = part->front_mode;
    }
    buf_clear(&gossip->frame);
    front_build(&gossip->frame, part->id.bytes, frontier, mode, mode == FRONT_NAMES ? NULL : latest);
    part->front_due = false;
    part->front_mode = FRONT_DELTA;
    return send_or_hold(gossip, conn, &gossip->frame);
}

/* The tips of the slices that are due, as far as they fit; those that do not are due again. */
static bool
send_heads(struct gossip *gossip, struct conn *conn, struct part *part)
{
    enum { TIP_BYTES_MAX = SHORT_BYTES + 10 + SHORT_BYTES };
    const struct frontier *frontier = frontier_of(gossip, part);
    struct buf tips = { 0 };
    uint16_t bits = 0;
    size_t at = 0;

    for (unsigned slice = 0; slice < SLICE_COUNT; slice++) {
        size_t size = tips.size;
        bool fits = true;
        while (at < frontier->count && frontier->tips[at].log_id.bytes[0] >> 4 < (int)slice) {
            at++;
        }
        if ((part->heads_due >> slice & 1) == 0) {
            continue;
        }
        for (; at < frontier->count && frontier->tips[at].log_id.bytes[0] >> 4 == (int)slice && fits; at++) {
            struct heads_tip tip = { .seq = frontier->tips[at].seq };
            memcpy(tip.log_short, frontier->tips[at].log_id.bytes, SHORT_BYTES);
            memcpy(tip.entry_short, frontier->tips[at].entry_id.bytes, SHORT_BYTES);
            fits = tips.size + TIP_BYTES_MAX + 16 <= FRAME_SMALL_BYTES_MAX;
            if (fits) {
                heads_tip_write(&tips, &tip);
            }
        }
        if (!fits && bits != 0) {
            tips.size = size; /* this slice goes with the next frame */
            break;
        }
        /* A slice that fills a frame alone is told in part: the peer offers what was not named, which costs a chunk each. */
        bits |= (uint16_t)(1u << slice);
    }
    buf_clear(&gossip->frame);
    heads_write(&gossip->frame, part->id.bytes, bits);
    buf_put_span(&gossip->frame, buf_span(&tips));
    gossip->frame.failed = gossip->frame.failed || tips.failed;
    buf_free(&tips);
    part->heads_due &= (uint16_t)~bits;
    return send_or_hold(gossip, conn, &gossip->frame);
}

static bool
send_slices(struct gossip *gossip, struct conn *conn, struct part *part)
{
    uint8_t slices[SLICE_COUNT * SHORT_BYTES];

    frontier_slices(frontier_of(gossip, part), slices);
    buf_clear(&gossip->frame);
    heads_slices_write(&gossip->frame, part->id.bytes, slices);
    part->slices_due = false;
    return send_or_hold(gossip, conn, &gossip->frame);
}

static bool
send_ask(struct gossip *gossip, struct conn *conn, struct part *part)
{
    buf_clear(&gossip->frame);
    front_ask_write(&gossip->frame, part->id.bytes, part->ask_mode);
    part->ask_due = false;
    return send_or_hold(gossip, conn, &gossip->frame);
}

/* One ACK frame for the compartment of the first that is due. */
static bool
send_acks(struct gossip *gossip, struct conn *conn)
{
    enum { ITEM_BYTES_MAX = 30 };
    size_t left = 0;
    size_t count = 0;
    uint32_t place = conn->heard[conn->acks[0]].part;

    buf_clear(&gossip->frame);
    ack_write(&gossip->frame, conn->parts[place].id.bytes);
    for (size_t n = 0; n < conn->ack_count; n++) {
        struct heard *heard = &conn->heard[conn->acks[n]];
        if (!conn->parts[heard->part].shared) {
            heard->ack_due = false;
            continue;
        }
        if (heard->part != place || gossip->frame.size + ITEM_BYTES_MAX > FRAME_SMALL_BYTES_MAX) {
            conn->acks[left++] = conn->acks[n];
            continue;
        }
        struct ack_item item = { conn->acks[n], heard->durable_next, heard->visible_next };
        ack_item_write(&gossip->frame, &item);
        heard->ack_due = false;
        count++;
    }
    conn->ack_count = left;
    return count == 0 || send_or_hold(gossip, conn, &gossip->frame);
}

static bool
send_want(struct gossip *gossip, struct conn *conn)
{
    struct due_want due = conn->wants[0];
    struct want asked = { .log = { LOG_REF_SHORT, span_of(due.log_short, SHORT_BYTES) },
                          .from = due.from,
                          .to = due.to,
                          .policy = due.policy };

    memmove(conn->wants, conn->wants + 1, --conn->want_count * sizeof *conn->wants);
    if (!conn->parts[due.part].shared) {
        return true;
    }
    if (!speak(gossip, conn, due.part, due.log_short, SHORT_BYTES)) {
        return false;
    }
    memcpy(asked.tag, conn->parts[due.part].id.bytes, TAG_BYTES);
    buf_clear(&gossip->frame);
    want_write(&gossip->frame, &asked);
    return send_or_hold(gossip, conn, &gossip->frame);
}

/* Returned in quarters of the window: the rest is always more than the largest chunk. */
static bool
send_credit(struct gossip *gossip, struct conn *conn)
{
    uint32_t bytes = (uint32_t)conn->owed;

    conn->owed = 0;
    conn->granted += bytes;
    buf_clear(&gossip->frame);
    credit_write(&gossip->frame, bytes);
    return send_or_hold(gossip, conn, &gossip->frame);
}

/* The small frames of one compartment. False: one is held, or the session has ended. */
static bool
send_part(struct gossip *gossip, struct conn *conn, struct part *part)
{
    if (part->ask_due && !send_ask(gossip, conn, part)) {
        return false;
    }
    if (part->front_due && !send_front(gossip, conn, part)) {
        return false;
    }
    if (part->slices_due && !send_slices(gossip, conn, part)) {
        return false;
    }
    while (part->heads_due != 0) {
        if (!send_heads(gossip, conn, part)) {
            return false;
        }
    }
    return true;
}

static bool
send_small(struct gossip *gossip, struct conn *conn)
{
    if (conn->hello_due && !send_hello(gossip, conn)) {
        return false;
    }
    if (conn->state == SESSION_ENDED) {
        return true;
    }
    if (!send_digests(gossip, conn)) {
        return false;
    }
    if (!is_open(conn)) {
        return true;
    }
    for (size_t n = 0; n < conn->part_count; n++) {
        if (conn->parts[n].shared && !send_part(gossip, conn, &conn->parts[n])) {
            return false;
        }
    }
    while (conn->ack_count > 0) {
        if (!send_acks(gossip, conn)) {
            return false;
        }
    }
    while (conn->want_count > 0) {
        if (!send_want(gossip, conn)) {
            return false;
        }
    }
    return conn->owed < gossip->options.credit_bytes / 4 || send_credit(gossip, conn);
}

/* What goes next, and what is to be put right if it does not fit. */
struct pick {
    struct part *part;
    struct job *job; /* or else: */
    struct flow *row;
    struct tip tip;
    uint64_t from;
    bool headers_only;
};

/* The next entries that a job asks for. False: it has none left. */
static bool
pick_job(struct gossip *gossip, struct conn *conn, struct job *job, struct pick *pick)
{
    struct part *part = &conn->parts[job->part];
    size_t first;

    if (!part->shared) {
        return false;
    }
    const struct frontier *frontier = frontier_of(gossip, part);
    size_t count = frontier_log(frontier, &job->log_id, &first);
    for (; job->branch < count; job->branch++, job->at = job->from) {
        const struct tip *tip = &frontier->tips[first + job->branch];
        if (job->at <= tip->seq && (job->to == 0 || job->at < job->to)) {
            *pick = (struct pick){
                .part = part, .job = job, .tip = *tip, .from = job->at, .headers_only = job->headers_only
            };
            return true;
        }
    }
    return false;
}

static void
drop_job(struct conn *conn, struct job *job)
{
    size_t n = (size_t)(job - conn->jobs);

    memmove(job, job + 1, (--conn->job_count - n) * sizeof *job);
}

/* True if chunks of this compartment may go: control is first, and we know what the peer has. */
static bool
may_push(const struct gossip *gossip, const struct conn *conn, const struct part *part, enum lane lane)
{
    if (!part->shared || !part->has_view || !(conn->control_done || is_control(gossip, part))) {
        return false;
    }
    /* On a wan what is not urgent waits for company, once all that was there at the start has gone. */
    bool batched = conn->profile == PROFILE_WAN && lane > LANE_URGENT && part->ever_equal;
    return !batched || gossip->now_ms >= part->batch_ms;
}

static bool
pick_lane(struct gossip *gossip, struct conn *conn, enum lane lane, struct pick *pick)
{
    for (size_t n = 0; n < conn->job_count;) {
        struct job *job = &conn->jobs[n];
        if (job->lane != lane) {
            n++;
        } else if (pick_job(gossip, conn, job, pick)) {
            return true;
        } else {
            drop_job(conn, job);
        }
    }
    for (size_t step = 0; step < conn->part_count; step++) {
        struct part *part = &conn->parts[(conn->rotate + step) % conn->part_count];
        struct flow *row = NULL;
        if (may_push(gossip, conn, part, lane)) {
            row = flows_next(&part->flows, lane);
        }
        if (row != NULL) {
            const struct frontier *frontier = frontier_of(gossip, part);
            size_t place = (size_t)(row - part->flows.rows);
            *pick =
                (struct pick){ .part = part, .row = row, .tip = frontier->tips[place], .from = row->next };
            return true;
        }
    }
    return false;
}

/* Lanes 0 and 1 first; of the others lane 2 has 70 parts of the bytes and lane 3 20 (the 10 that are left are
 * for blobs), and whichever is alone has all. */
static bool
pick_next(struct gossip *gossip, struct conn *conn, struct pick *pick)
{
    bool bulk_first = conn->lane_bytes[LANE_BULK] * 70 < conn->lane_bytes[LANE_NORMAL] * 20;

    return pick_lane(gossip, conn, LANE_CONTROL, pick) || pick_lane(gossip, conn, LANE_URGENT, pick) ||
           pick_lane(gossip, conn, bulk_first ? LANE_BULK : LANE_NORMAL, pick) ||
           pick_lane(gossip, conn, bulk_first ? LANE_NORMAL : LANE_BULK, pick);
}

/* Read the chunk that was picked into gossip->chunk. False: there is none; what was picked is put aside. */
static bool
read_pick(struct gossip *gossip, struct conn *conn, struct pick *pick, uint64_t *next)
{
    const struct gossip_store *store = gossip->store;

    buf_clear(&gossip->chunk);
    enum err err =
        store->read_chunk(store->self, &pick->tip, pick->from, pick->headers_only, &gossip->chunk, next);
    if (err == ERR_OK && !gossip->chunk.failed && gossip->chunk.size > 0 && *next > pick->from) {
        return true;
    }
    if (pick->job != NULL) {
        pick->job->branch++;
        pick->job->at = pick->job->from;
    } else {
        pick->row->stopped = true;
    }
    char why[WHY_BYTES];
    (void)snprintf(why, sizeof why, "a log could not be read here: %s", err_text(err));
    say_error(conn->peer, why);
    struct short_id log = hash_short(&pick->tip.log_id);
    log_event("log-unreadable", "log=%s error=%s", log.text, err_code(err));
    return false;
}

/* Name the log of what was picked as shortly as the peer understands. False: the session has ended. */
static bool
name_log(struct gossip *gossip, struct conn *conn, const struct pick *pick,
         uint8_t descriptor[DESCRIPTOR_BYTES], struct log_ref *ref, bool *introduces)
{
    const struct gossip_store *store = gossip->store;
    const struct flow *row = pick->row;
    struct descriptor words;

    if (row == NULL) {
        size_t first;
        if (flows_log(&pick->part->flows, &pick->tip.log_id, &first) > 0) {
            row = &pick->part->flows.rows[first];
        }
    }
    *introduces = false;
    if (row != NULL && row->place > 0) {
        *ref = (struct log_ref){ row->place - 1 + LOG_REF_FIRST, span_of(NULL, 0) };
        return true;
    }
    *introduces = true;
    if (row != NULL && row->known) {
        *ref = (struct log_ref){ LOG_REF_SHORT, span_of(pick->tip.log_id.bytes, SHORT_BYTES) };
        return true;
    }
    if (!store->descriptor(store->self, &pick->tip.log_id, &words)) {
        end_session(gossip, conn, ENDING_RESTART, RESTART_MS, "the descriptor of a log is missing here");
        return false;
    }
    descriptor_write(descriptor, &words);
    *ref = (struct log_ref){ LOG_REF_NEW, span_of(descriptor, DESCRIPTOR_BYTES) };
    return true;
}

enum push { PUSH_NOTHING, PUSH_SENT, PUSH_HELD };

/* Build and send one message of chunks. */
static enum push
push(struct gossip *gossip, struct conn *conn)
{
    size_t message_max = conn->profile == PROFILE_METERED ? MESSAGE_BYTES_METERED : MESSAGE_BYTES;
    struct buf *frame = &gossip->frame;
    struct pick pick;
    bool any = false;

    if (conn->credit < conn->needed) {
        return PUSH_NOTHING;
    }
    conn->needed = 0;
    buf_clear(frame);
    chunk_frame_write(frame);
    while (frame->size < message_max && pick_next(gossip, conn, &pick)) {
        uint8_t descriptor[DESCRIPTOR_BYTES];
        struct chunk_item item;
        uint64_t next;
        bool introduces;
        size_t before = frame->size;
        if (!read_pick(gossip, conn, &pick, &next)) {
            continue;
        }
        if (!name_log(gossip, conn, &pick, descriptor, &item.log, &introduces)) {
            return PUSH_NOTHING;
        }
        memcpy(item.tag, pick.part->id.bytes, TAG_BYTES);
        item.chunk = buf_span(&gossip->chunk);
        chunk_item_write(frame, &item);
        if (frame->failed) {
            end_memory(gossip, conn);
            return PUSH_NOTHING;
        }
        /* What does not fit stays where it was: it is read again when there is credit, or with the next message. */
        if (frame->size > conn->credit && !any) {
            conn->needed = frame->size;
        }
        if (frame->size > conn->credit || (any && frame->size > message_max)) {
            frame->size = before;
            break;
        }
        if (introduces) {
            if (!speak(gossip, conn, place_of_part(conn, pick.part), pick.tip.log_id.bytes, HASH_BYTES)) {
                return PUSH_NOTHING;
            }
            flows_introduced(&pick.part->flows, &pick.tip.log_id, (uint32_t)conn->spoken_count);
        }
        if (pick.job != NULL) {
            pick.job->at = next;
        } else {
            pick.row->next = next;
        }
        conn->lane_bytes[pick.row != NULL ? pick.row->lane : pick.job->lane] += item.chunk.size;
        pick.part->bytes_sent += item.chunk.size;
        keep_active(gossip, pick.part);
        conn->rotate = (place_of_part(conn, pick.part) + 1) % conn->part_count;
        any = true;
    }
    if (!any) {
        return PUSH_NOTHING;
    }
    conn->credit -= frame->size;
    return send_or_hold(gossip, conn, frame) ? PUSH_SENT : PUSH_HELD;
}

/* What the committed state of a compartment makes due. */
static void
consider(struct gossip *gossip, struct conn *conn, struct part *part)
{
    if (!follow(gossip, conn, part)) {
        return;
    }
    compare(gossip, conn, part);
    if (!is_open(conn) || part->digest_due || !part->told) {
        return;
    }
    struct frontier *frontier = frontier_of(gossip, part);
    if (memcmp(frontier_digest(frontier), part->told_digest, DIGEST_BYTES) == 0) {
        return;
    }
    /* We came to what the peer has, or have all that it said it has: it need not wait to hear that. */
    if (part->equal) {
        part->digest_due = true;
    } else if (part->front_sent && part->view.count > 0) {
        bool all_here = true;
        for (size_t n = 0; n < part->view.count && all_here; n++) {
            const struct tip *own = frontier_find(frontier, part->view.tips[n].log_id);
            all_here = own != NULL && next_of_log(gossip, part, &own->log_id) >= part->view.tips[n].seq_next;
        }
        part->digest_due = all_here;
        if (all_here) {
            part->view.count = 0;
        }
    }
}

/* A metered link is closed once all is compared and equal. */
static void
consider_bye(struct gossip *gossip, struct conn *conn)
{
    if (!is_open(conn) || conn->profile != PROFILE_METERED || conn->held.size > 0 || conn->job_count > 0) {
        return;
    }
    for (size_t n = 0; n < conn->part_count; n++) {
        const struct part *part = &conn->parts[n];
        if (part->shared &&
            (!part->equal || memcmp(part->told_digest, part->peer_digest, DIGEST_BYTES) != 0)) {
            return;
        }
    }
    say_bye(gossip, conn, BYE_DONE, ENDING_HANG_UP, NULL);
}

/* Send the frame that found no room. False: there still is none. */
static bool
send_held(struct gossip *gossip, struct conn *conn)
{
    if (conn->held.size > 0) {
        if (!world_send(gossip->options.world, conn->number, buf_span(&conn->held))) {
            return false;
        }
        buf_free(&conn->held);
    }
    return true;
}

/* True: more would go if there were room or another turn. */
static bool
flush_conn(struct gossip *gossip, struct conn *conn)
{
    if (!send_held(gossip, conn)) {
        return true;
    }
    if (conn->deny_due) {
        conn->deny_due = false;
        buf_clear(&gossip->frame);
        deny_write(&gossip->frame, &conn->deny);
        if (!send_or_hold(gossip, conn, &gossip->frame)) {
            return true;
        }
    }
    for (size_t n = 0; n < conn->part_count && is_open(conn); n++) {
        if (conn->parts[n].shared) {
            consider(gossip, conn, &conn->parts[n]);
        }
    }
    if (!send_small(gossip, conn)) {
        return conn->held.size > 0 || conn->deny_due || conn->hello_due;
    }
    for (size_t n = 0; is_open(conn); n++) {
        if (n == FLUSH_MESSAGES_MAX) {
            return true;
        }
        switch (push(gossip, conn)) {
        case PUSH_HELD:
            return true;
        case PUSH_SENT:
            continue;
        case PUSH_NOTHING:
            break;
        }
        break;
    }
    for (size_t n = 0; n < conn->part_count; n++) {
        struct part *part = &conn->parts[n];
        if (gossip->now_ms >= part->batch_ms && part->shared && !flows_pending(&part->flows)) {
            part->batch_ms = 0;
        }
    }
    consider_bye(gossip, conn);
    return !send_held(gossip, conn) || conn->deny_due || conn->hello_due;
}

bool
gossip_flush(struct gossip *gossip, uint64_t now_ms)
{
    const struct gossip_store *store = gossip->store;
    bool more = false;

    gossip->now_ms = now_ms;
    if (gossip->rights_stale) {
        gossip->rights_stale = false;
        for (size_t n = 0; n < gossip->conn_count; n++) {
            struct conn *conn = gossip->conns[n];
            if (conn->state == SESSION_ENDED) {
                continue;
            }
            if (!refresh_shared(gossip, conn)) {
                end_memory(gossip, conn);
            } else if (!shares_anything(conn)) {
                say_bye(gossip, conn, BYE_CERTIFICATE_LEFT, ENDING_HANG_UP,
                        "its certificate no longer stands");
            }
            /* What was refused for want of a certificate may be welcome now. */
            for (size_t k = 0; k < conn->part_count; k++) {
                if (conn->parts[k].refused) {
                    conn->parts[k].retry_ms = now_ms;
                }
            }
        }
        gossip_tick(gossip, now_ms);
    }
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *conn = gossip->conns[n];
        if (gossip->stopping && conn->state != SESSION_ENDED) {
            say_bye(gossip, conn, BYE_SHUTTING_DOWN, ENDING_HANG_UP, NULL);
        }
        more = flush_conn(gossip, conn) || more;
        if (conn->ended_due && conn->held.size == 0 && !conn->deny_due) {
            conn->ended_due = false;
            store->ended(store->self, conn->number, conn->hang_up, conn->peer->last_error);
        }
    }
    return more;
}

/* --- time --- */

/* Digests differ and nothing moves: look closer, in another way each time. */
static void
look_closer(struct gossip *gossip, struct conn *conn, struct part *part)
{
    uint32_t attempt = part->attempts;

    count_up(&part->attempts);
    part->check_ms = gossip->now_ms + backoff_ms(SETTLE_MS, part->attempts);

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

static void
tick_part(struct gossip *gossip, struct conn *conn, struct part *part)
{
    const struct gossip_store *store = gossip->store;
    uint64_t now = gossip->now_ms;
    struct frontier *frontier = frontier_of(gossip, part);

    if (frontier == NULL) {
        end_memory(gossip, conn);
        return;
    }
    if (is_control(gossip, part) && now >= part->active_ms + CONTROL_MS) {
        conn->control_done = true; /* nothing moves in it: the others need not wait */
    }
    if (part->told && !part->digest_due) {
        /* Flags and digests are looked at once it is quiet: both may cost a walk over all logs. */
        bool quiet = now >= part->active_ms + QUIET_MS;
        bool differs = quiet && (memcmp(frontier_digest(frontier), part->told_digest, DIGEST_BYTES) != 0 ||
                                 store->flags(store->self, &part->id) != part->told_flags);
        part->digest_due = differs || now >= part->told_ms + COMPARE_MS;
        /* One frame for all of them is cheaper than one each. */
        for (size_t n = 0; now >= part->told_ms + COMPARE_MS && n < conn->part_count; n++) {
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
    if (part->peer_told && !part->equal && now >= part->check_ms && now >= part->active_ms + SETTLE_MS &&
        !part->front_due) {
        if (part->has_view && flows_pending(&part->flows)) {
            part->check_ms = now + SETTLE_MS;
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
    for (size_t n = 0; n < conn->heard_count && is_open(conn); n++) {
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
            note_ack(gossip, conn, heard, &taken);
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
            begin_session(gossip, conn);
        }
        for (size_t k = 0; k < conn->part_count && is_open(conn); k++) {
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
        for (size_t k = 0; k < conn->part_count && is_open(conn); k++) {
            const struct part *part = &conn->parts[k];
            if (!part->shared) {
                continue;
            }
            if (part->told && !part->digest_due) {
                sooner(&wait, part->told_ms + COMPARE_MS, now_ms);
            }
            /* Whether a digest is worth sending is looked at when its quiet is over, and then at rest. */
            if (now_ms < part->active_ms + QUIET_MS) {
                sooner(&wait, part->active_ms + QUIET_MS, now_ms);
            }
            if (part->refused) {
                sooner(&wait, part->retry_ms, now_ms);
            }
            if (part->peer_told && !part->equal && !part->front_due) {
                uint64_t settled = part->active_ms + SETTLE_MS;
                sooner(&wait, part->check_ms > settled ? part->check_ms : settled, now_ms);
            }
            if (part->batch_ms > now_ms) {
                sooner(&wait, part->batch_ms, now_ms);
            }
        }
    }
    return wait;
}

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
        free_part(&conn->parts[n]);
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
        free_conn(gossip->conns[n]);
    }
    for (size_t n = 0; n < gossip->peer_count; n++) {
        free(gossip->peers[n]->parts);
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
    if (!grow(&items, &gossip->peer_capacity, gossip->peer_count, sizeof *gossip->peers)) {
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

    assert(find_conn(gossip, number) == NULL);
    gossip->now_ms = now_ms;
    if (!grow(&items, &gossip->conn_capacity, gossip->conn_count, sizeof *gossip->conns)) {
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
    peer->last_error[0] = '\0';
    bool stays = true;
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *old = gossip->conns[n];
        if (old->peer != peer || old->hang_up) {
            continue;
        }
        if (new_one_stays(gossip, old, conn)) {
            say_bye(gossip, old, BYE_OTHER_CONNECTION, ENDING_HANG_UP, NULL);
        } else {
            stays = false;
        }
    }
    gossip->conns[gossip->conn_count++] = conn;
    if (stays) {
        begin_session(gossip, conn);
    } else {
        say_bye(gossip, conn, BYE_OTHER_CONNECTION, ENDING_HANG_UP, NULL);
    }
    return ERR_OK;
}

static void note_status(struct gossip *gossip, struct conn *conn);

void
gossip_down(struct gossip *gossip, uint32_t number, const char *why, uint64_t now_ms)
{
    gossip->now_ms = now_ms;
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *conn = gossip->conns[n];
        if (conn->number != number) {
            continue;
        }
        note_status(gossip, conn);
        /* What was said of the session stands before what the link says of its end. */
        if (why != NULL && conn->state != SESSION_ENDED) {
            say_error(conn->peer, why);
        }
        clear_session(gossip, conn);
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
            begin_session(gossip, conn);
        }
        for (size_t k = 0; k < conn->part_count; k++) {
            struct part *part = &conn->parts[k];
            part->digest_due = part->shared;
            part->attempts = 0;
            part->check_ms = now_ms;
            part->batch_ms = part->batch_ms > now_ms ? now_ms : part->batch_ms;
            if (part->refused) {
                part->retry_ms = now_ms;
            }
        }
    }
}

void
gossip_stop(struct gossip *gossip)
{
    gossip->stopping = true;
}

/* --- status --- */

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
          struct gossip_compartment_status *status)
{
    const struct gossip_store *store = gossip->store;
    struct flow_sums sums;
    uint8_t flags = store->flags(store->self, &part->id);
    struct frontier *frontier = frontier_of(gossip, part);

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
    for (size_t n = 0; n < part->view.count && frontier != NULL && !equal; n++) {
        const struct peer_tip *tip = &part->view.tips[n];
        const struct tip *own = frontier_find(frontier, tip->log_id);
        uint64_t next = own != NULL ? next_of_log(gossip, part, &own->log_id) : 0;
        status->entries_to_receive += tip->seq_next > next ? tip->seq_next - next : 0;
    }
    if (part->announced > status->entries_to_receive && !equal) {
        status->entries_to_receive = part->announced;
    }
    status->bytes_sent = part->bytes_sent;
    status->bytes_received = part->bytes_received;
    if (!is_open(conn)) {
        status->state = conn->state == SESSION_GREETING ? GOSSIP_GREETING : GOSSIP_REFUSED;
    } else if (equal) {
        status->state = GOSSIP_EQUAL;
    } else {
        bool moving = (part->has_view && sums.to_send > 0) || status->entries_to_receive > 0;
        status->state = moving ? GOSSIP_SENDING : GOSSIP_COMPARING;
    }
}

static void
note_status(struct gossip *gossip, struct conn *conn)
{
    struct peer *peer = conn->peer;
    struct gossip_compartment_status *parts;
    size_t count = 0;

    /* A session that has ended has no compartments: what was last seen of them stays. */
    if (conn->part_count == 0) {
        return;
    }
    parts = calloc(conn->part_count, sizeof *parts);
    if (parts == NULL) {
        return;
    }
    for (size_t n = 0; n < conn->part_count; n++) {
        if (conn->parts[n].shared) {
            note_part(gossip, conn, &conn->parts[n], &parts[count++]);
        }
    }
    free(peer->parts);
    peer->parts = parts;
    peer->part_count = count;
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
            note_status(gossip, best);
        }
        struct gossip_peer_status *status = &peer->status;
        status->device_id = peer->device_id;
        status->connected = best != NULL;
        status->connection = best != NULL ? best->number : 0;
        status->last_error = peer->last_error;
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
        }
        status->compartments = peer->parts;
        status->compartment_count = peer->part_count;
        statuses[n] = *status;
    }
    *count_out = gossip->peer_count;
    return statuses;
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
