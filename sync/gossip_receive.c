#include "sync/gossip_state.h"
#include "sync/update.h"

#include "store/base/log.h"
#include "store/base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        session_begin(gossip, conn);
        if (conn->state != SESSION_GREETING) {
            return;
        }
    }
    if (hello->min > PROTOCOL_MAX || hello->max < PROTOCOL_MIN) {
        char text[WHY_BYTES];
        (void)snprintf(text, sizeof text, "this side speaks protocol %d to %d, the other %u to %u",
                       PROTOCOL_MIN, PROTOCOL_MAX, hello->min, hello->max);
        session_deny(gossip, conn, DENY_PROTOCOL, 0, text, ENDING_STAY);
        return;
    }
    conn->state = SESSION_OPEN;
    conn->told_set_back = false;
    memcpy(conn->incarnation, hello->incarnation, sizeof conn->incarnation);
    conn->credit = hello->credit_bytes < CREDIT_BYTES_MAX ? hello->credit_bytes : CREDIT_BYTES_MAX;
    conn->peer_profile =
        hello->profile; /* whoever sets our line before we have greeted forgets nothing of theirs */
    if (hello->profile > conn->profile) {
        conn->profile = (enum link_profile)hello->profile;
    }
    /* What is urgent waits for what is on its way: on a slow line that is little, both ways, whatever was granted. */
    if (conn->profile == PROFILE_METERED) {
        conn->credit = conn->credit < CREDIT_BYTES_MIN ? conn->credit : CREDIT_BYTES_MIN;
        conn->window = CREDIT_BYTES_MIN;
    }
    conn->credit_all = conn->credit;
}

static void
receive_digests(struct gossip *gossip, struct conn *conn, struct reader digests)
{
    struct digest_item item;

    while (session_is_open(conn) && digest_next(&digests, &item)) {
        struct part *part = session_part(conn, item.tag);
        if (part == NULL) {
            conn->peer->status.frames_stray++;
            continue;
        }
        part->peer_told = true;
        part->peer_flags = item.flags;
        part->have_again = part->have_again || (item.flags & DIGEST_MISSED_FILES) != 0;
        memcpy(part->peer_digest, item.digest, DIGEST_BYTES);
        session_compare(gossip, conn, part);
    }
}

/* Whoever has less of its own logs than others do, of whichever incarnation, was set back to an older state: its operators should
 * know, whatever becomes of it. It gets its entries back like any that it lacks. Where a log has several branches here nothing is said, and
 * where it has there, only if none goes as far as ours: the fork tells of it. */
static void
look_for_set_back(struct gossip *gossip, struct conn *conn, const struct part *part)
{
    const struct gossip_store *store = gossip->store;
    const struct frontier *frontier = session_frontier(gossip, part);

    for (size_t n = 0; n < frontier->count && !conn->told_set_back; n++) {
        const struct tip *tip = &frontier->tips[n];
        uint64_t has = peer_view_furthest(&part->view, &tip->log_id);
        struct descriptor descriptor;
        struct hash author;

        if (has > tip->seq || (has == 0 && !part->view.whole) || frontier_forked(frontier, n) ||
            !store->descriptor(store->self, &tip->log_id, &descriptor)) {
            continue;
        }
        device_id_of(descriptor.sign_pk, &author);
        if (hash_equal(&author, &conn->peer->device_id)) {
            conn->told_set_back = true;
            conn->peer->status.set_back++;
            log_event("peer-set-back", "peer=%s log=%s", hash_short(&author).text,
                      hash_short(&tip->log_id).text);
        }
    }
}

static void
receive_front(struct gossip *gossip, struct conn *conn, const struct front *front)
{
    struct part *part = session_part(conn, front->tag);

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
    if (!session_follow(gossip, conn, part)) {
        return;
    }
    switch (front_view(front, part->kept, 2, session_frontier(gossip, part), &part->view)) {
    case FRONT_OK:
        part->has_view = true;
        flows_set_view(&part->flows, &part->view);
        look_for_set_back(gossip, conn, part);
        session_stir(gossip, part);
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
        session_end_malformed(gossip, conn, "a frontier named places outside of its list");
        break;
    case FRONT_MEMORY:
        session_end_memory(gossip, conn);
        break;
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
ask_again_later(const struct gossip *gossip, const struct conn *conn, struct part *part)
{
    if (!part->refused) {
        part->refused = true;
        part->retry_ms = gossip->now_ms + conn->beats_ms + session_backoff_ms(BACKOFF_MS, part->refusals);
        session_count_up(&part->refusals);
    }
}

/* A place among the troubles for a log that does not fit, if it is due to be asked about. NULL: it must wait. */
static struct trouble *
begin_trouble(const struct gossip *gossip, const struct conn *conn, struct part *part,
              const struct hash *log_id)
{
    struct trouble *trouble = find_trouble(part, log_id);

    if (trouble == NULL) {
        if (part->trouble_count == TROUBLES_MAX) {
            ask_again_later(gossip, conn, part);
            return NULL;
        }
        trouble = &part->troubles[part->trouble_count++];
        *trouble = (struct trouble){ .log_id = *log_id };
    } else if (gossip->now_ms < trouble->until_ms) {
        return NULL;
    }
    trouble->until_ms = gossip->now_ms + conn->slack_ms + session_backoff_ms(BACKOFF_MS, trouble->attempts);
    session_count_up(&trouble->attempts);
    return trouble;
}

static void
meet_gap(struct gossip *gossip, struct conn *conn, struct part *part, const struct hash *log_id,
         uint64_t first_seq)
{
    struct trouble *trouble = begin_trouble(gossip, conn, part, log_id);

    if (trouble != NULL) {
        uint64_t next = session_next_of_log(gossip, part, log_id);
        session_want(conn, part, log_id->bytes, next < first_seq ? next : 0, 0, WANT_WHOLE);
    }
}

/* Ask for headers further down, until one begins where we have what comes before. */
static void
probe(struct conn *conn, struct part *part, struct trouble *trouble, uint64_t below)
{
    trouble->meeting = true;
    trouble->probe_from = below > trouble->step ? below - trouble->step : 0;
    trouble->step *= 2;
    conn->probes[conn->probe_count++ % PROBES_MAX] =
        (struct probe){ trouble->log_id, trouble->probe_from, below > 0 ? below : 1, PROBE_ANSWERS_MAX };
    session_want(conn, part, trouble->log_id.bytes, trouble->probe_from, below > 0 ? below : 1, WANT_HEADERS);
}

static void
meet_fork(struct gossip *gossip, struct conn *conn, struct part *part, const struct hash *log_id,
          uint64_t below)
{
    struct trouble *trouble = find_trouble(part, log_id);

    if (trouble != NULL && !trouble->meeting && trouble->step > 0 && below <= trouble->probe_from) {
        /* The answer was of another branch than this one, which leaves further down. As below, this ends at seq 0. */
        probe(conn, part, trouble, below);
        return;
    }
    trouble = begin_trouble(gossip, conn, part, log_id);
    if (trouble != NULL) {
        trouble->step = 1;
        probe(conn, part, trouble, below);
    }
}

/* A chunk of a log whose fork is being looked for. True: it was the answer, and is used up. */
static bool
answer_probe(struct conn *conn, struct part *part, const struct hash *log_id, uint64_t first_seq,
             enum gossip_link link)
{
    struct trouble *trouble = find_trouble(part, log_id);

    if (trouble == NULL || !trouble->meeting || first_seq != trouble->probe_from) {
        return false;
    }
    if (link == LINK_GOOD) {
        trouble->meeting = false;
        session_want(conn, part, log_id->bytes, first_seq, 0, WANT_WHOLE);
    } else {
        /* Each probe lies lower than the one before, so this ends at seq 0, whose prev is always here. */
        probe(conn, part, trouble, first_seq);
    }
    return true;
}

/* Headers that were asked for to find where a fork begins, that came late or of another branch, and that could not be taken in:
 * what is needed of them is fetched with payloads. So many and no more: an author may have withheld the payloads of a whole
 * run. */
static bool
is_late_answer(struct conn *conn, const struct gossip_log *log, uint64_t first_seq, struct span bytes)
{
    struct probe *probe = NULL;
    struct chunk chunk;

    for (size_t n = 0; n < PROBES_MAX && probe == NULL; n++) {
        struct probe *asked = &conn->probes[n];
        if (asked->answers_left > 0 && hash_equal(&asked->log_id, &log->log_id) && first_seq >= asked->from &&
            first_seq < asked->to) {
            probe = asked;
        }
    }
    if (probe == NULL || chunk_read(bytes, log->descriptor.lane, &chunk) != CHUNK_OK) {
        return false;
    }
    for (size_t n = 0; n < chunk.entry_count; n++) {
        if (chunk.entries[n].payload.data != NULL) {
            return false;
        }
    }
    probe->answers_left--;
    return true;
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
        session_ack(gossip, conn, heard, taken);
        session_say(conn->peer, "an author is not known here yet: waiting for its certificate");
        break;
    case LATER_LIMIT:
    case LATER_FULL:
        /* Credit that is not returned stops the peer where it is; but there will never be room for more of a log that ends
         * at a cut, and the others need not wait for it. */
        if (!taken->limited) {
            park(conn, chunk_bytes);
        }
        session_say(conn->peer,
                    taken->later == LATER_FULL ? "this side is full" : "a limit of this side is reached");
        break;
    case LATER_PAYLOAD:
        session_say(conn->peer,
                    "an entry came without its payload, and no erasure is known here that explains it");
        break;
    case LATER_GAP:
    case LATER_NONE:
        break;
    }
    ask_again_later(gossip, conn, part);
    heard->refused = part->retries + 1;
}

/* A log that could not be read here can be again: whoever lacks some of it gets it. */
static void
send_on(struct gossip *gossip, const struct part *mended, const struct hash *log_id)
{
    for (size_t n = 0; n < gossip->conn_count; n++) {
        struct conn *conn = gossip->conns[n];

        for (size_t k = 0; k < conn->part_count; k++) {
            if (conn->parts[k].shared && ident_equal(&conn->parts[k].id, &mended->id)) {
                flows_rewind(&conn->parts[k].flows, log_id, UINT64_MAX);
            }
        }
    }
}

static void
receive_chunk(struct gossip *gossip, struct conn *conn, const struct chunk_item *item)
{
    const struct gossip_store *store = gossip->store;
    struct gossip_peer_status *status = &conn->peer->status;
    struct part *part = session_part(conn, item->tag);
    struct heard *heard = session_resolve(gossip, conn, &item->log, part);
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
    uint64_t entry_count = reader_varint(&in);
    session_stir(gossip, part);
    part->announced -= entry_count < part->announced ? entry_count : part->announced;
    part->announced_bytes -=
        item->chunk.size < part->announced_bytes ? item->chunk.size : part->announced_bytes;
    part->bytes_received += item->chunk.size;
    if (gossip->now_ms < part->beyond_until_ms) {
        part->beyond_until_ms = gossip->now_ms + BEYOND_MS + conn->slack_ms;
    }
    conn->sated =
        conn->sated || (heard->log.descriptor.lane > LANE_URGENT && !session_is_control(gossip, part));
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
        if (answer_probe(conn, part, log_id, first_seq, link)) {
            status->chunks_later++;
            return;
        }
        taken.verdict = link == LINK_FORK ? VERDICT_FORK : VERDICT_LATER;
        taken.later = LATER_GAP;
        if (link == LINK_GOOD) {
            /* Headers alone are all there is of entries that were erased: whether these are such, the store knows. */
            store->take(store->self, &conn->peer->device_id, &heard->log, item->chunk, &taken);
        }
        if ((taken.verdict == VERDICT_FORK || taken.verdict == VERDICT_LATER) &&
            is_late_answer(conn, &heard->log, first_seq, item->chunk)) {
            status->chunks_later++;
            return;
        }
    }
    part->absent_asked -=
        part->absent_asked > 0 && (taken.verdict == VERDICT_TAKEN || taken.verdict == VERDICT_SEEN);
    switch (taken.verdict) {
    case VERDICT_TAKEN:
        status->entries_taken += taken.entry_count;
        part->attempts = 0;
        part->refusals = 0;
        conn->owed += conn->parked;
        conn->parked = 0;
        end_trouble(part, log_id);
        if (session_is_control(gossip, part)) {
            gossip->rights_stale = true;
        }
        break;
    case VERDICT_SEEN:
        status->chunks_seen++;
        if (taken.mended) {
            send_on(gossip, part, log_id);
        }
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
        session_say(conn->peer, "a chunk was malformed");
        ask_again_later(gossip, conn, part);
        heard->refused = part->retries + 1;
        return;
    case VERDICT_FORGED:
        status->chunks_forged++;
        session_say(conn->peer, "a signature was not its author's");
        ask_again_later(gossip, conn, part);
        heard->refused = part->retries + 1;
        return;
    }
    session_ack(gossip, conn, heard, &taken);
    if (session_is_open(conn) && session_follow(gossip, conn, part)) {
        flows_came_from_peer(&part->flows, log_id, taken.durable_next);
    }
}

static void
receive_chunks(struct gossip *gossip, struct conn *conn, struct reader chunks, size_t frame_bytes)
{
    struct chunk_item item;

    if (!session_charge(gossip, conn, frame_bytes)) {
        return;
    }
    conn->sated = false;
    while (session_is_open(conn) && chunk_next(&chunks, &item)) {
        receive_chunk(gossip, conn, &item);
    }
}

static void
receive_want(struct gossip *gossip, struct conn *conn, const struct want *asked)
{
    struct part *part = session_part(conn, asked->tag);
    struct heard *heard = session_resolve(gossip, conn, &asked->log, part);

    if (heard == NULL) {
        return;
    }
    if (part == NULL || !heard->known || !session_follow(gossip, conn, part)) {
        conn->peer->status.frames_stray++;
        return;
    }
    const struct hash *log_id = &heard->log.log_id;
    session_stir(gossip, part);
    if (asked->policy == WANT_WHOLE && asked->to == 0 && part->has_view) {
        flows_rewind(&part->flows, log_id, asked->from);
        return;
    }
    if (conn->job_count == JOBS_MAX) {
        /* The asker asks again when its back-off is over. */
        session_say(conn->peer, "it asks for more at once than this side remembers");
        return;
    }
    conn->jobs[conn->job_count++] = (struct job){
        .part = session_part_place(conn, part),
        .log_id = *log_id,
        .from = asked->from,
        .to = asked->to,
        .payloads = asked->policy == WANT_HEADERS    ? PAYLOADS_NONE
                    : asked->policy == WANT_PAYLOADS ? PAYLOADS_LONG
                                                     : PAYLOADS_ALL,
        .lane = heard->log.descriptor.lane,
        .at = asked->from,
    };
}

static void
receive_acks(struct gossip *gossip, struct conn *conn, const uint8_t *tag, struct reader items)
{
    struct part *part = session_part(conn, tag);
    struct ack_item item;

    if (part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    if (!session_follow(gossip, conn, part)) {
        return;
    }
    while (ack_next(&items, &item)) {
        if (item.place >= conn->spoken_count ||
            conn->spoken[item.place].part != session_part_place(conn, part)) {
            session_end_malformed(gossip, conn, "a log was acknowledged that was never introduced");
            return;
        }
        if (flows_ack(&part->flows, &conn->spoken[item.place].log_id, item.durable_next, item.visible_next)) {
            part->attempts = 0;
            session_stir(gossip, part);
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
    struct frontier *frontier = session_frontier(gossip, part);

    while (heads_next(&tips, &tip)) {
        const struct tip *own = frontier_find(frontier, tip.log_short);
        if (own == NULL) {
            session_want(conn, part, tip.log_short, 0, 0, WANT_WHOLE);
        } else if (!store->has(store->self, &own->log_id, tip.seq, tip.entry_short)) {
            uint64_t next = session_next_of_log(gossip, part, &own->log_id);
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
    flows_wake(&part->flows);
    session_stir(gossip, part);
}

static void
receive_heads(struct gossip *gossip, struct conn *conn, const struct heads *heads)
{
    struct part *part = session_part(conn, heads->tag);

    if (part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    if (!session_follow(gossip, conn, part)) {
        return;
    }
    if (heads->step == 1) {
        receive_tips(gossip, conn, part, heads);
        return;
    }
    uint8_t slices[SLICE_COUNT * SHORT_BYTES];
    frontier_slices(session_frontier(gossip, part), slices);
    for (size_t n = 0; n < SLICE_COUNT; n++) {
        if (memcmp(slices + n * SHORT_BYTES, heads->slices + n * SHORT_BYTES, SHORT_BYTES) != 0) {
            part->heads_due |= (uint16_t)(1u << n);
        }
    }
}

/* Of numbers that a peer chose. */
static uint64_t
sum_of(uint64_t a, uint64_t b)
{
    return b < UINT64_MAX - a ? a + b : UINT64_MAX;
}

/* What an admin asks for is noted, and sent when nothing else is waiting. Who has no admin there is given nothing: the store
 * looks at that whenever it is asked. */
static void
receive_beyond(struct gossip *gossip, struct conn *conn, const struct beyond *asked)
{
    struct part *part = session_part(conn, asked->tag);
    struct reader tips = asked->tips;
    struct heads_tip tip;
    size_t count = 0;

    if (part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    while (heads_next(&tips, &tip)) {
        count++;
    }
    struct heads_tip *known = calloc(count + 1, sizeof *known);
    if (known == NULL) {
        session_end_memory(gossip, conn);
        return;
    }
    tips = asked->tips;
    for (size_t n = 0; n < count && heads_next(&tips, &known[n]); n++) {
    }
    free(part->beyond.known);
    part->beyond = (struct beyond_job){ .asked = true, .known = known, .known_count = count };
    session_stir(gossip, part);
}

static void
receive_announce(struct conn *conn, const struct announce *announce)
{
    struct part *part = session_part(conn, announce->tag);

    if (part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    part->announced = 0;
    part->announced_bytes = 0;
    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        part->announced = sum_of(part->announced, announce->entry_count[lane]);
        part->announced_bytes = sum_of(part->announced_bytes, announce->byte_count[lane]);
    }
}

static void
receive_deny(struct gossip *gossip, struct conn *conn, const struct deny *denied)
{
    /* Nothing answers a DENY. Never is until the next connection, or until the peer greets us. */
    session_end(gossip, conn, denied->retry_after_s > 0 ? ENDING_RESTART : ENDING_STAY,
                denied->retry_after_s < 3600 ? denied->retry_after_s * 1000ull : 3600ull * 1000, NULL);
    if (denied->text.size > 0) {
        session_set_error(conn->peer, (const char *)denied->text.data, denied->text.size);
    } else {
        session_say(conn->peer, deny_code_text(denied->code));
    }
}

static void
receive_bye(struct gossip *gossip, struct conn *conn, const struct bye *bye)
{
    static const char *const reasons[] = {
        [BYE_SHUTTING_DOWN] = "the other side is shutting down",
        [BYE_OTHER_CONNECTION] = "another connection of the two stays",
        [BYE_CERTIFICATE_LEFT] = "our certificate does not stand there any more",
        [BYE_BUDGET] = "the byte budget of the other side is spent, or the rest of it kept for urgent news",
        [BYE_IDLE] = "nothing moved any more",
    };
    bool known = bye->reason < sizeof reasons / sizeof reasons[0];

    if (bye->reason == BYE_DONE) {
        blob_keep_told(gossip, conn);
    }
    session_end(gossip, conn, ENDING_HANG_UP, 0, known ? reasons[bye->reason] : NULL);
}

void
gossip_receive(struct gossip *gossip, uint32_t number, struct span bytes, uint64_t now_ms)
{
    struct conn *conn = session_find(gossip, number);
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
            session_end_malformed(gossip, conn, "a frame was malformed");
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
    if (!session_is_open(conn)) {
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
    case FRAME_BEYOND:
        receive_beyond(gossip, conn, &frame.beyond);
        break;
    case FRAME_HAVE:
        blob_receive_have(gossip, conn, &frame.have);
        break;
    case FRAME_ASK:
        blob_receive_ask(gossip, conn, &frame.ask);
        break;
    case FRAME_BLOB:
        blob_receive_part(gossip, conn, &frame.blob, bytes.size);
        break;
    case FRAME_CREDIT:
        conn->credit += frame.credit_bytes;
        conn->credit = conn->credit < CREDIT_BYTES_MAX ? conn->credit : CREDIT_BYTES_MAX;
        pace_returned(&conn->pace, frame.credit_bytes, gossip->now_ms);
        break;
    case FRAME_HELLO:
    case FRAME_DENY:
    case FRAME_BYE:
    case FRAME_PROOF:
    case FRAME_UNKNOWN:
        break;
    }
}
