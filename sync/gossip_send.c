#include "sync/gossip_state.h"

#include "store/base/log.h"
#include "store/base/world.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Hand a frame to the link, or hold it: then nothing else is built until it has gone. False: it is held. */
static bool
send_or_hold(struct gossip *gossip, struct conn *conn, struct buf *frame)
{
    if (frame->failed) {
        session_end_memory(gossip, conn);
        return false;
    }
    if (conn->held.size == 0 && world_send(gossip->options.world, conn->number, buf_span(frame))) {
        return true;
    }
    assert(conn->held.size == 0);
    buf_put_span(&conn->held, buf_span(frame));
    if (conn->held.failed) {
        buf_clear(&conn->held);
        session_end_memory(gossip, conn);
    }
    return false;
}

bool
send_frame(struct gossip *gossip, struct conn *conn)
{
    return send_or_hold(gossip, conn, &gossip->frame);
}

static bool
send_hello(struct gossip *gossip, struct conn *conn)
{
    const struct gossip_store *store = gossip->store;
    struct hello hello = {
        .min = PROTOCOL_MIN,
        .max = PROTOCOL_MAX,
        .wall_s = (uint32_t)(world_wall_ms(gossip->options.world) / 1000),
        .profile = (uint8_t)session_own_profile(conn),
        .credit_bytes = (uint32_t)conn->window,
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
    size_t count = 0;

    _Static_assert((int)GOSSIP_SHARED_MAX <= (int)ITEMS_MAX, "all digests fit into one frame");
    buf_clear(&gossip->frame);
    digest_write(&gossip->frame);
    for (size_t n = 0; n < conn->part_count && count < ITEMS_MAX; n++) {
        struct part *part = &conn->parts[n];
        if (!part->shared || !part->digest_due) {
            continue;
        }
        struct frontier *frontier = session_frontier(gossip, part);
        if (frontier == NULL) {
            session_end_memory(gossip, conn);
            return false;
        }
        struct digest_item item = { .flags = session_flags(gossip, part) };
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
    const struct frontier *frontier = session_frontier(gossip, part);
    const struct checkpoint *latest = session_checkpoint(part);
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
    const struct frontier *frontier = session_frontier(gossip, part);
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

    frontier_slices(session_frontier(gossip, part), slices);
    buf_clear(&gossip->frame);
    heads_slices_write(&gossip->frame, part->id.bytes, slices);
    part->slices_due = false;
    return send_or_hold(gossip, conn, &gossip->frame);
}

/* How large a message of chunks becomes: what is urgent waits no longer behind one than it must. */
static size_t
message_bytes(const struct conn *conn)
{
    if (!session_is_paced(conn)) {
        return MESSAGE_BYTES;
    }
    uint64_t paced = pace_frame_bytes(&conn->pace);
    return paced < PACED_MESSAGE_BYTES ? (size_t)paced : PACED_MESSAGE_BYTES;
}

/* What is about to be sent of a compartment. */
static void
count_waiting(const struct conn *conn, const struct part *part, struct announce *announce)
{
    memcpy(announce->tag, part->id.bytes, TAG_BYTES);
    flows_waiting(&part->flows, announce->entry_count);
    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        uint64_t sent = conn->lane_entries[lane];
        uint64_t mean = sent == 0 ? ENTRY_BYTES : conn->lane_bytes[lane] / sent + 1;
        announce->byte_count[lane] = announce->entry_count[lane] * mean;
    }
}

/* Say it where it differs by a quarter, and by more than one message, from what the peer must believe; and where nothing
 * is left of that: another was faster. */
static bool
send_announce(struct gossip *gossip, struct conn *conn, struct part *part)
{
    struct announce announce;
    uint64_t entries = 0;
    uint64_t bytes = 0;

    if (!part->has_view || (part->said == 0 && !flows_pending(&part->flows))) {
        return true;
    }
    count_waiting(conn, part, &announce);
    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        entries += announce.entry_count[lane];
        bytes += announce.byte_count[lane];
    }
    uint64_t apart = entries > part->said ? entries - part->said : part->said - entries;
    bool is_much = entries > 0 && apart > entries / 4 && bytes / entries * apart > MESSAGE_BYTES;
    if (!is_much && (entries > 0 || part->said == 0)) {
        return true;
    }
    part->said = entries;
    buf_clear(&gossip->frame);
    announce_write(&gossip->frame, &announce);
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
    if (!session_speak(gossip, conn, due.part, due.log_short, SHORT_BYTES)) {
        return false;
    }
    memcpy(asked.tag, conn->parts[due.part].id.bytes, TAG_BYTES);
    buf_clear(&gossip->frame);
    want_write(&gossip->frame, &asked);
    return send_or_hold(gossip, conn, &gossip->frame);
}

/* Returned in quarters of the window, since the rest is always more than the largest chunk; on a line that is paced, at once. */
static uint64_t
credit_due_bytes(const struct conn *conn)
{
    return session_is_paced(conn) ? PACE_RETURN_BYTES : conn->window / 4;
}

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

/* Ask for what lies beyond the cuts, and say what of it is here. */
static bool
send_beyond(struct gossip *gossip, struct conn *conn, struct part *part)
{
    enum { TIP_BYTES_MAX = SHORT_BYTES + 10 + SHORT_BYTES };
    const struct gossip_store *store = gossip->store;
    uint32_t cursor = 0;
    struct tip tip;
    uint64_t from;

    buf_clear(&gossip->frame);
    beyond_write(&gossip->frame, part->id.bytes);
    while (gossip->frame.size + TIP_BYTES_MAX <= FRAME_SMALL_BYTES_MAX &&
           store->beyond(store->self, &gossip->options.device_id, &part->id, NULL, 0, &cursor, &tip, &from)) {
        struct heads_tip here = { .seq = tip.seq };

        memcpy(here.log_short, tip.log_id.bytes, SHORT_BYTES);
        memcpy(here.entry_short, tip.entry_id.bytes, SHORT_BYTES);
        heads_tip_write(&gossip->frame, &here);
    }
    part->beyond_due = false;
    part->beyond_until_ms = gossip->now_ms + BEYOND_MS + conn->slack_ms;
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
    if (part->beyond_due && !send_beyond(gossip, conn, part)) {
        return false;
    }
    while (part->heads_due != 0) {
        if (!send_heads(gossip, conn, part)) {
            return false;
        }
    }
    return send_announce(gossip, conn, part);
}

static bool
send_small(struct gossip *gossip, struct conn *conn, bool *more)
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
    if (!session_is_open(conn)) {
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
    if (!blob_send_small(gossip, conn, more)) {
        return false;
    }
    /* The peer sends what is urgent first: once other things come there is nothing urgent left. */
    return conn->owed < credit_due_bytes(conn) || (conn->allowance != GOSSIP_ALL && conn->sated) ||
           send_credit(gossip, conn);
}

/* What goes next, and what is to be put right if it does not fit. */
struct pick {
    struct part *part;
    struct job *job; /* or else: */
    struct flow *row;
    struct beyond_job *beyond; /* or else this */
    struct tip tip;
    uint64_t from;
    enum chunk_payloads payloads;
    bool urgent; /* of lane 0 or 1 */
    bool pulled; /* of an urgent record, before the rest of its lane */
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
    const struct frontier *frontier = session_frontier(gossip, part);
    size_t count = frontier_log(frontier, &job->log_id, &first);
    for (; job->branch < count; job->branch++, job->at = job->from) {
        const struct tip *tip = &frontier->tips[first + job->branch];
        if (job->at <= tip->seq && (job->to == 0 || job->at < job->to)) {
            *pick = (struct pick){
                .part = part, .job = job, .tip = *tip, .from = job->at, .payloads = job->payloads
            };
            return true;
        }
    }
    return false;
}

/* The next entries that an admin is to have of what lies beyond the cuts. */
static bool
pick_beyond(struct gossip *gossip, struct conn *conn, struct pick *pick)
{
    const struct gossip_store *store = gossip->store;

    for (size_t n = 0; n < conn->part_count; n++) {
        struct part *part = &conn->parts[n];
        struct beyond_job *job = &part->beyond;

        while (part->shared && job->asked) {
            if (job->has_tip && job->at <= job->tip.seq) {
                *pick = (struct pick){ .part = part, .beyond = job, .tip = job->tip, .from = job->at };
                return true;
            }
            job->has_tip = store->beyond(store->self, &conn->peer->device_id, &part->id, job->known,
                                         job->known_count, &job->cursor, &job->tip, &job->at);
            job->asked = job->has_tip;
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
    if (!part->shared || !part->has_view || !(conn->control_done || session_is_control(gossip, part))) {
        return false;
    }
    if (conn->allowance != GOSSIP_ALL && lane > LANE_URGENT && !session_is_control(gossip, part)) {
        return false;
    }
    return true;
}

/* On a wan what is not urgent waits for company, once all that was there at the start has gone. */
static bool
waits_for_company(const struct gossip *gossip, const struct conn *conn, const struct part *part,
                  enum lane lane)
{
    return conn->profile == PROFILE_WAN && conn->own_schedule.bytes == 0 && lane > LANE_URGENT &&
           part->ever_equal && gossip->now_ms < part->batch_ms;
}

static void
pick_row(struct gossip *gossip, const struct conn *conn, struct part *part, struct flow *row,
         struct pick *pick)
{
    const struct frontier *frontier = session_frontier(gossip, part);
    size_t place = (size_t)(row - part->flows.rows);

    *pick = (struct pick){ .part = part,
                           .row = row,
                           .tip = frontier->tips[place],
                           .from = row->next,
                           .payloads = conn->profile == PROFILE_METERED ? PAYLOADS_SHORT : PAYLOADS_ALL };
}

/* What is older of urgent records, whichever of lanes 2 and 3 it is in. */
static bool
pick_pulled(struct gossip *gossip, struct conn *conn, struct pick *pick)
{
    for (size_t step = 0; step < conn->part_count; step++) {
        struct part *part = &conn->parts[(conn->rotate + step) % conn->part_count];
        struct flow *row = NULL;
        if (may_push(gossip, conn, part, LANE_NORMAL)) {
            row = flows_next_pulled(&part->flows);
        }
        if (row != NULL) {
            pick_row(gossip, conn, part, row, pick);
            pick->pulled = true;
            return true;
        }
    }
    return false;
}

static bool
pick_lane(struct gossip *gossip, struct conn *conn, enum lane lane, struct pick *pick)
{
    for (size_t n = 0; n < conn->job_count;) {
        struct job *job = &conn->jobs[n];
        if (job->lane != lane || (conn->allowance != GOSSIP_ALL && lane > LANE_URGENT)) {
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
        if (may_push(gossip, conn, part, lane) && !waits_for_company(gossip, conn, part, lane)) {
            row = flows_next(&part->flows, lane);
        }
        if (row != NULL) {
            pick_row(gossip, conn, part, row, pick);
            return true;
        }
    }
    return false;
}

/* True if a frame of so many bytes is not too much for the line at once. */
static bool
may_go_now(struct gossip *gossip, struct conn *conn, size_t bytes, bool urgent)
{
    return !session_is_paced(conn) || pace_allows(&conn->pace, bytes, urgent, gossip->now_ms);
}

static bool
pick_urgent(struct gossip *gossip, struct conn *conn, struct pick *pick)
{
    return may_go_now(gossip, conn, conn->pace_needed_urgent, true) &&
           (pick_lane(gossip, conn, LANE_CONTROL, pick) || pick_lane(gossip, conn, LANE_URGENT, pick));
}

/* Of the others what was pulled comes first. Of the rest lane 2 has 70 parts of the bytes and lane 3 20 (the 10 that are left are for
 * files: push_next), and whichever is alone has all. */
static bool
pick_other(struct gossip *gossip, struct conn *conn, struct pick *pick)
{
    bool bulk_first = conn->lane_bytes[LANE_BULK] * 70 < conn->lane_bytes[LANE_NORMAL] * 20;

    if (!may_go_now(gossip, conn, conn->pace_needed, false)) {
        return false;
    }
    return pick_pulled(gossip, conn, pick) ||
           pick_lane(gossip, conn, bulk_first ? LANE_BULK : LANE_NORMAL, pick) ||
           pick_lane(gossip, conn, bulk_first ? LANE_NORMAL : LANE_BULK, pick) ||
           (conn->allowance == GOSSIP_ALL && pick_beyond(gossip, conn, pick));
}

/* Lanes 0 and 1 strictly first. Where others wait for the end of a message it holds either of both kinds: `begun` is what it
 * holds already, NULL: nothing. */
static bool
pick_next(struct gossip *gossip, struct conn *conn, const struct pick *begun, struct pick *pick)
{
    bool any_kind = begun == NULL || !session_is_paced(conn);

    if ((any_kind || begun->urgent) && pick_urgent(gossip, conn, pick)) {
        pick->urgent = true;
        return true;
    }
    return (any_kind || !begun->urgent) && pick_other(gossip, conn, pick);
}

/* Read the chunk that was picked into gossip->chunk. False: there is none; what was picked is put aside. */
static bool
read_pick(struct gossip *gossip, struct conn *conn, struct pick *pick, uint64_t *next)
{
    const struct gossip_store *store = gossip->store;

    buf_clear(&gossip->chunk);
    enum err err =
        store->read_chunk(store->self, &pick->tip, pick->from, pick->payloads, &gossip->chunk, next);
    if (err == ERR_OK && !gossip->chunk.failed && gossip->chunk.size > 0 && *next > pick->from) {
        return true;
    }
    if (pick->beyond != NULL) {
        pick->beyond->has_tip = false;
    } else if (pick->job != NULL) {
        pick->job->branch++;
        pick->job->at = pick->job->from;
    } else if (err != ERR_OK && err != ERR_MEMORY && pick->from < pick->tip.branch_first) {
        /* Below a fork a run may end otherwise on each branch, and its signature be kept on another than this one: what
         * they share goes with that, and of this one what is its own. */
        pick->row->next = pick->tip.branch_first;
        return false;
    } else {
        pick->row->stopped = true;
    }
    char why[WHY_BYTES];
    (void)snprintf(why, sizeof why, "a log could not be read here: %s", err_text(err));
    session_say(conn->peer, why);
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
    if (pick->beyond != NULL && pick->beyond->place > 0 &&
        hash_equal(&pick->beyond->log_id, &pick->tip.log_id)) {
        *ref = (struct log_ref){ pick->beyond->place - 1 + LOG_REF_FIRST, span_of(NULL, 0) };
        return true;
    }
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
        session_end(gossip, conn, ENDING_RESTART, RESTART_MS, "the descriptor of a log is missing here");
        return false;
    }
    descriptor_write(descriptor, &words);
    *ref = (struct log_ref){ LOG_REF_NEW, span_of(descriptor, DESCRIPTOR_BYTES) };
    return true;
}

/* Build and send one message of chunks. */
static enum push
push(struct gossip *gossip, struct conn *conn)
{
    size_t message_max = message_bytes(conn);
    struct buf *frame = &gossip->frame;
    struct pick pick;
    struct pick last;
    bool any = false;
    size_t text_bytes = 0;

    if (conn->credit < conn->needed) {
        return PUSH_NOTHING;
    }
    conn->needed = 0;
    buf_clear(frame);
    chunk_frame_write(frame);
    while (frame->size < message_max && pick_next(gossip, conn, any ? &last : NULL, &pick)) {
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
            session_end_memory(gossip, conn);
            return PUSH_NOTHING;
        }
        /* What does not fit stays where it was: it is read again when there is credit, or with the next message. */
        if (frame->size > conn->credit && !any) {
            conn->needed = frame->size;
        }
        bool too_fast = !may_go_now(gossip, conn, frame->size, pick.urgent);
        if (too_fast && !any) {
            *(pick.urgent ? &conn->pace_needed_urgent : &conn->pace_needed) = frame->size;
        }
        if (too_fast || frame->size > conn->credit || (any && frame->size > message_max)) {
            frame->size = before;
            break;
        }
        if (introduces) {
            if (!session_speak(gossip, conn, session_part_place(conn, pick.part), pick.tip.log_id.bytes,
                               HASH_BYTES)) {
                return PUSH_NOTHING;
            }
            flows_introduced(&pick.part->flows, &pick.tip.log_id, (uint32_t)conn->spoken_count);
            if (pick.beyond != NULL) {
                pick.beyond->log_id = pick.tip.log_id;
                pick.beyond->place = (uint32_t)conn->spoken_count;
            }
        }
        if (pick.beyond != NULL) {
            pick.beyond->at = next;
        } else if (pick.job != NULL) {
            pick.job->at = next;
        } else {
            pick.row->next = next;
        }
        uint8_t lane = pick.row != NULL ? pick.row->lane : pick.job != NULL ? pick.job->lane : LANE_BULK;
        uint64_t sent = next - pick.from;
        conn->lane_bytes[lane] += item.chunk.size;
        conn->lane_entries[lane] += sent;
        text_bytes += lane > LANE_URGENT ? item.chunk.size : 0;
        pick.part->said -= sent < pick.part->said ? sent : pick.part->said;
        pick.part->bytes_sent += item.chunk.size;
        conn->peer->status.entries_pulled += pick.pulled ? sent : 0;
        session_stir(gossip, pick.part);
        conn->rotate = (session_part_place(conn, pick.part) + 1) % conn->part_count;
        last = pick;
        any = true;
    }
    if (!any) {
        return PUSH_NOTHING;
    }
    conn->credit -= frame->size;
    pace_sent(&conn->pace, frame->size, gossip->now_ms);
    *(last.urgent ? &conn->pace_needed_urgent : &conn->pace_needed) = 0;
    blob_note_text(conn, text_bytes);
    return send_or_hold(gossip, conn, frame) ? PUSH_SENT : PUSH_HELD;
}

static bool
waits(struct gossip *gossip, struct conn *conn, enum lane a, enum lane b)
{
    struct pick pick;

    return pick_lane(gossip, conn, a, &pick) || pick_lane(gossip, conn, b, &pick);
}

/* Files go when their share of what went of lanes 2 and 3 is due, or when nothing waits there; and never while anything waits in
 * lanes 0 and 1. */
static enum push
push_next(struct gossip *gossip, struct conn *conn)
{
    enum push pushed = PUSH_NOTHING;

    if (conn->files.give_count == 0) {
        return push(gossip, conn);
    }
    bool urgent = waits(gossip, conn, LANE_CONTROL, LANE_URGENT);
    if (!urgent && blob_is_first(conn)) {
        pushed = blob_push(gossip, conn);
    }
    if (pushed == PUSH_NOTHING && session_is_open(conn)) {
        pushed = push(gossip, conn);
    }
    if (pushed == PUSH_NOTHING && session_is_open(conn) && !urgent &&
        !waits(gossip, conn, LANE_NORMAL, LANE_BULK)) {
        pushed = blob_push(gossip, conn);
    }
    return pushed;
}

/* What the committed state of a compartment makes due. */
static void
consider(struct gossip *gossip, struct conn *conn, struct part *part)
{
    if (!session_follow(gossip, conn, part)) {
        return;
    }
    session_compare(gossip, conn, part);
    if (!session_is_open(conn) || part->digest_due || !part->told) {
        return;
    }
    struct frontier *frontier = session_frontier(gossip, part);
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
            all_here =
                own != NULL && session_next_of_log(gossip, part, &own->log_id) >= part->view.tips[n].seq_next;
        }
        part->digest_due = all_here;
        if (all_here) {
            part->view.count = 0;
        }
    }
}

/* True if we asked for all payloads that we want, and the peer, which lacks some, had time to do so. */
static bool
payloads_are_done(const struct gossip *gossip, const struct conn *conn, const struct part *part)
{
    bool peer_lacks = (part->peer_flags & DIGEST_LACKS_PAYLOADS) != 0;

    return conn->allowance != GOSSIP_ALL ||
           (part->absent_done &&
            (!peer_lacks || gossip->now_ms >= part->active_ms + REST_MS + conn->slack_ms));
}

/* True if all is compared and equal, and nobody waits for an answer. */
static bool
is_done(const struct gossip *gossip, const struct conn *conn)
{
    for (size_t n = 0; n < conn->part_count; n++) {
        const struct part *part = &conn->parts[n];

        if (part->beyond_due || part->beyond.asked || gossip->now_ms < part->beyond_until_ms ||
            (part->shared && (!part->equal || !payloads_are_done(gossip, conn, part) ||
                              memcmp(part->told_digest, part->peer_digest, DIGEST_BYTES) != 0))) {
            return false;
        }
    }
    return conn->job_count == 0 && !blob_is_busy(gossip, conn, REST_MS + conn->slack_ms);
}

/* True if nothing has moved for so long. */
static bool
is_at_rest(const struct gossip *gossip, const struct conn *conn, uint64_t ms)
{
    for (size_t n = 0; n < conn->part_count; n++) {
        if (conn->parts[n].shared && gossip->now_ms < conn->parts[n].active_ms + ms) {
            return false;
        }
    }
    return gossip->now_ms >= conn->began_ms + ms && gossip->now_ms >= conn->files.moved_ms + ms;
}

/* A metered line is closed once all is compared and equal, or once nothing moves that may; and any once its budget is spent. */
static void
consider_bye(struct gossip *gossip, struct conn *conn)
{
    bool metered = conn->profile == PROFILE_METERED;

    if (!session_is_open(conn) || conn->held.size > 0) {
        return;
    }
    if (conn->allowance == GOSSIP_NONE) {
        session_bye(gossip, conn, BYE_BUDGET, ENDING_HANG_UP, "the byte budget is spent");
    } else if (metered && is_done(gossip, conn)) {
        blob_keep_told(gossip, conn);
        session_bye(gossip, conn, BYE_DONE, ENDING_HANG_UP, NULL);
    } else if (metered && conn->allowance == GOSSIP_URGENT &&
               is_at_rest(gossip, conn, REST_MS + conn->slack_ms)) {
        session_bye(gossip, conn, BYE_BUDGET, ENDING_HANG_UP,
                    "the rest of the byte budget is kept for urgent news");
    } else if (metered && is_at_rest(gossip, conn, IDLE_MS + conn->slack_ms)) {
        session_bye(gossip, conn, BYE_IDLE, ENDING_HANG_UP, "nothing moved any more");
    }
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
    bool more = false;

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
    for (size_t n = 0; n < conn->part_count && session_is_open(conn); n++) {
        if (conn->parts[n].shared) {
            consider(gossip, conn, &conn->parts[n]);
        }
    }
    if (session_is_open(conn) && !hint_follow(gossip, conn)) {
        more = true;
    }
    if (!send_small(gossip, conn, &more)) {
        return conn->held.size > 0 || conn->deny_due || conn->hello_due;
    }
    for (size_t n = 0; session_is_open(conn); n++) {
        if (n == FLUSH_MESSAGES_MAX) {
            return true;
        }
        switch (push_next(gossip, conn)) {
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
    return !send_held(gossip, conn) || conn->deny_due || conn->hello_due || more;
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
            if (!session_refresh(gossip, conn)) {
                session_end_memory(gossip, conn);
            } else if (!session_shares(conn)) {
                session_bye(gossip, conn, BYE_CERTIFICATE_LEFT, ENDING_HANG_UP,
                            "its certificate no longer stands, or is over");
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
            session_bye(gossip, conn, BYE_SHUTTING_DOWN, ENDING_HANG_UP, NULL);
        }
        more = flush_conn(gossip, conn) || more;
        if (conn->ended_due && conn->held.size == 0 && !conn->deny_due) {
            conn->ended_due = false;
            store->ended(store->self, conn->number, conn->hang_up, conn->peer->last_error);
        }
    }
    return more;
}
