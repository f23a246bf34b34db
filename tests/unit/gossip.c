#include "tests/support/check.h"
#include "tests/support/holding.h"

#include "sync/pace.h"

#include "store/base/log.h"
#include "store/base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to five nodes with a cable between any two. Time is virtual and jumps to where something is due; frames keep
 * their order on a cable and none between cables. */
enum {
    NODES_MAX = 5,
    CABLES_MAX = 12,
    OVERHEAD = 35, /* of a message: ZMTP framing and CURVE */
    HOUR_MS = 3600 * 1000,
    CONTROL = 'c',
    CASES = 'k',
    OTHER = 'o',
};

struct pipe {
    struct buf *frames;
    size_t count;
    size_t capacity;
    size_t bytes;
};

/* A direction that keeps a schedule: what is sent comes out of its envelopes. */
struct beating {
    struct envelope_schedule schedule;
    struct envelope_out out;
    struct envelope_in in;
    uint64_t beat_ms;
};

struct cable {
    uint32_t node[2]; /* the first dialled */
    bool up;
    struct pipe pipe[2]; /* from node[n] */
    struct beating beating[2];
};

struct node {
    struct world world;
    struct holding holding;
    struct gossip *gossip;
    struct key_pair author;
    struct hash device_id;
    bool flushing;
    bool more;
};

/* Every frame that was sent, for tests that look at them. */
struct sniffed {
    uint32_t from;
    uint32_t to;
    enum frame_type type;
    uint8_t mode;     /* of a FRONT; the code of a DENY; the reason of a BYE; the step of HEADS */
    size_t bytes;     /* with OVERHEAD */
    uint8_t tag;      /* of a FRONT or the first chunk */
    size_t chunks;    /* in a CHUNK */
    bool mixed;       /* it holds chunks of several compartments */
    uint64_t entries; /* of an ANNOUNCE */
    uint64_t at_ms;
};

static struct node nodes[NODES_MAX];
static uint32_t node_count;
static struct cable cables[CABLES_MAX];
static uint32_t cable_count;
static uint64_t now_ms;
static struct chance seed;
static size_t pipe_bytes_max;
static struct sniffed *sniffed;
static size_t sniffed_count;
static size_t sniffed_capacity;
static uint64_t bytes_total;
/* How often nothing was under way and yet a node had something to do at once. */
static uint64_t spins;
/* Every frame that was sent while somebody listened, with its bytes. */
struct recorded {
    uint32_t to;
    uint32_t number; /* of the connection */
    struct buf bytes;
};
static struct recorded *recorded;
static size_t recorded_count;
static bool recording;
/* Flip one bit of the nth CHUNK frame from now on; 0: none. */
static uint32_t flip_chunk;
/* The lane of each chunk that node 0 sent on its first connection, as a digit; and of each log it introduced. */
static char lanes[4096];
static char introduced[4096];

static uint64_t
wall_ms(void *self)
{
    (void)self;
    return 1735689600000 + now_ms;
}

static uint64_t
steady_ms(void *self)
{
    (void)self;
    return now_ms;
}

static void
draw(void *self, void *out, size_t size)
{
    (void)self;
    for (size_t n = 0; n < size; n++) {
        ((uint8_t *)out)[n] = (uint8_t)chance_next(&seed);
    }
}

static enum err
no_disk(void *self, enum world_disk step)
{
    (void)self;
    (void)step;
    return ERR_OK;
}

static void
put_frame(struct pipe *pipe, struct span bytes)
{
    if (pipe->count == pipe->capacity) {
        pipe->capacity = pipe->capacity == 0 ? 16 : pipe->capacity * 2;
        pipe->frames = realloc(pipe->frames, pipe->capacity * sizeof *pipe->frames);
        ck_assert_ptr_nonnull(pipe->frames);
    }
    struct buf *frame = &pipe->frames[pipe->count++];
    memset(frame, 0, sizeof *frame);
    buf_put_span(frame, bytes);
    pipe->bytes += bytes.size;
}

static void
empty_pipe(struct pipe *pipe)
{
    for (size_t n = 0; n < pipe->count; n++) {
        buf_free(&pipe->frames[n]);
    }
    pipe->count = 0;
    pipe->bytes = 0;
}

/* Note the lane of a chunk; a log named by its id was told of by the peer, and is noted as '-'. */
static void
note_lane(const struct chunk_item *item)
{
    size_t count = strlen(introduced);
    size_t at = strlen(lanes);
    char lane = '-';

    if (item->log.ref >= LOG_REF_FIRST) {
        lane = introduced[item->log.ref - LOG_REF_FIRST];
    } else {
        if (item->log.ref == LOG_REF_NEW) {
            lane = (char)('0' + item->log.name.data[DESCRIPTOR_BYTES - 1]);
        }
        if (count + 1 < sizeof introduced) {
            introduced[count] = lane;
        }
    }
    if (at + 1 < sizeof lanes) {
        lanes[at] = lane;
    }
}

static void
sniff(uint32_t from, uint32_t to, struct span bytes)
{
    struct frame frame;
    struct sniffed item = { .from = from, .to = to, .bytes = bytes.size + OVERHEAD, .at_ms = now_ms };
    struct chunk_item chunk;

    ck_assert_msg(frame_read(bytes, &frame), "a node sent a malformed frame");
    item.type = frame.type;
    switch (frame.type) {
    case FRAME_FRONT:
        item.mode = frame.front.mode;
        item.tag = frame.front.tag[0];
        break;
    case FRAME_ANNOUNCE:
        for (size_t lane = 0; lane < LANE_COUNT; lane++) {
            item.entries += frame.announce.entry_count[lane];
        }
        break;
    case FRAME_DENY:
        item.mode = frame.deny.code;
        break;
    case FRAME_BYE:
        item.mode = frame.bye.reason;
        break;
    case FRAME_HEADS:
        item.mode = frame.heads.step;
        break;
    case FRAME_CHUNK:
        ck_assert(chunk_next(&frame.chunks, &chunk));
        item.tag = chunk.tag[0];
        do {
            item.chunks++;
            item.mixed = item.mixed || chunk.tag[0] != item.tag;
            if (from == 0 && cable_count == 1) {
                note_lane(&chunk);
            }
        } while (chunk_next(&frame.chunks, &chunk));
        break;
    case FRAME_WANT:
        if (from == 0 && cable_count == 1 && strlen(introduced) + 1 < sizeof introduced) {
            introduced[strlen(introduced)] = '-';
        }
        break;
    case FRAME_HELLO:
        if (from == 0) {
            memset(introduced, 0, sizeof introduced);
        }
        break;
    default:
        break;
    }
    if (sniffed_count == sniffed_capacity) {
        sniffed_capacity = sniffed_capacity == 0 ? 256 : sniffed_capacity * 2;
        sniffed = realloc(sniffed, sniffed_capacity * sizeof *sniffed);
        ck_assert_ptr_nonnull(sniffed);
    }
    sniffed[sniffed_count++] = item;
    bytes_total += item.bytes;
}

static bool
send_frame(void *self, uint32_t number, struct span bytes)
{
    struct node *node = self;
    uint32_t index = (uint32_t)(node - nodes);
    struct cable *cable = &cables[number - 1];
    int side = cable->node[0] == index ? 0 : 1;

    /* Law 2: nobody is answered before the turn has committed. */
    ck_assert(node->flushing);
    ck_assert_uint_eq(cable->node[side], index);
    struct beating *beating = &cable->beating[side];
    if (beating->schedule.bytes > 0 && envelope_waiting(&beating->out) >= beating->schedule.bytes) {
        return false;
    }
    if (!cable->up ||
        (cable->pipe[side].bytes > 0 && cable->pipe[side].bytes + bytes.size > pipe_bytes_max)) {
        return false;
    }
    sniff(index, cable->node[1 - side], bytes);
    if (recording) {
        recorded = realloc(recorded, (recorded_count + 1) * sizeof *recorded);
        ck_assert_ptr_nonnull(recorded);
        recorded[recorded_count] = (struct recorded){ .to = cable->node[1 - side], .number = number };
        buf_put_span(&recorded[recorded_count++].bytes, bytes);
    }
    if (beating->schedule.bytes > 0) {
        ck_assert(envelope_put(&beating->out, bytes));
        return true;
    }
    put_frame(&cable->pipe[side], bytes);
    if (bytes.data[0] == FRAME_CHUNK && flip_chunk > 0 && --flip_chunk == 0) {
        struct buf *frame = &cable->pipe[side].frames[cable->pipe[side].count - 1];
        frame->data[frame->size - 10] ^= 4; /* in the last signature */
    }
    return true;
}

static struct node *
add_node_with(enum link_profile profile, uint32_t credit_bytes)
{
    struct node *node = &nodes[node_count++];
    uint8_t key_seed[32] = { 0 };

    memset(node, 0, sizeof *node);
    /* Device ids ascend with the nodes, so that tests know whose is the smaller. */
    do {
        key_seed[0]++;
        crypto_sign_pair_from_seed(&node->author, key_seed);
        device_id_of(node->author.public_key, &node->device_id);
    } while (node->device_id.bytes[0] >> 5 != node_count);
    node->world = (struct world){ node, wall_ms, steady_ms, draw, send_frame, no_disk };
    holding_init(&node->holding, &node->device_id);
    holding_add(&node->holding, CONTROL);
    struct gossip_options options = { .world = &node->world,
                                      .store = &node->holding.store,
                                      .device_id = node->device_id,
                                      .control = holding_part(&node->holding, CONTROL)->id,
                                      .profile = profile,
                                      .version = "vigil 0.1.0",
                                      .credit_bytes = credit_bytes };
    ck_assert_int_eq(gossip_open(&node->gossip, &options), ERR_OK);
    return node;
}

static struct node *
add_node(void)
{
    return add_node_with(PROFILE_LAN, 262144);
}

static void
share(uint32_t a, uint32_t b, uint8_t name)
{
    if (holding_part(&nodes[a].holding, name) == NULL) {
        holding_add(&nodes[a].holding, name);
    }
    if (holding_part(&nodes[b].holding, name) == NULL) {
        holding_add(&nodes[b].holding, name);
    }
    holding_share(&nodes[a].holding, name, &nodes[b].device_id, true);
    holding_share(&nodes[b].holding, name, &nodes[a].device_id, true);
}

static void
plug_in(uint32_t index)
{
    struct cable *cable = &cables[index];

    cable->up = true;
    for (int side = 0; side < 2; side++) {
        ck_assert_int_eq(gossip_up(nodes[cable->node[side]].gossip, index + 1,
                                   &nodes[cable->node[1 - side]].device_id, side == 0, now_ms),
                         ERR_OK);
    }
}

static void
pull_out(uint32_t index)
{
    struct cable *cable = &cables[index];

    cable->up = false;
    for (int side = 0; side < 2; side++) {
        empty_pipe(&cable->pipe[side]);
        gossip_down(nodes[cable->node[side]].gossip, index + 1, "the cable was pulled", now_ms);
    }
}

static uint32_t
connect_nodes(uint32_t dialler, uint32_t listener)
{
    struct cable *cable = &cables[cable_count];

    memset(cable, 0, sizeof *cable);
    cable->node[0] = dialler;
    cable->node[1] = listener;
    plug_in(cable_count);
    return cable_count++;
}

/* One turn of a node: some of what has arrived, then the commit, then the answers. */
static void
turn(uint32_t index, size_t frames_max)
{
    struct node *node = &nodes[index];

    for (uint32_t n = 0; n < cable_count; n++) {
        struct cable *cable = &cables[n];
        for (int side = 0; side < 2 && cable->up; side++) {
            struct pipe *pipe = &cable->pipe[1 - side];
            size_t count = pipe->count < frames_max ? pipe->count : frames_max;
            if (cable->node[side] != index || count == 0) {
                continue;
            }
            for (size_t k = 0; k < count; k++) {
                pipe->bytes -= pipe->frames[k].size;
                gossip_receive(node->gossip, n + 1, buf_span(&pipe->frames[k]), now_ms);
                buf_free(&pipe->frames[k]);
            }
            memmove(pipe->frames, pipe->frames + count, (pipe->count - count) * sizeof *pipe->frames);
            pipe->count -= count;
        }
    }
    gossip_tick(node->gossip, now_ms);
    node->flushing = true;
    node->more = gossip_flush(node->gossip, now_ms);
    node->flushing = false;
}

/* Have an envelope go each way where it is time. Gives how long it is until the next. */
static uint64_t
beat(void)
{
    static uint8_t bytes[ENVELOPE_BYTES_MAX];
    uint64_t wait = UINT64_MAX;
    struct span frame;

    for (uint32_t n = 0; n < 2 * cable_count; n++) {
        struct cable *cable = &cables[n / 2];
        struct beating *beating = &cable->beating[n % 2];
        if (beating->schedule.bytes == 0 || !cable->up) {
            continue;
        }
        if (now_ms >= beating->beat_ms) {
            envelope_pack(&beating->out, &beating->schedule, 1, bytes);
            envelope_sent(&beating->out);
            ck_assert_int_eq(envelope_take(&beating->in, span_of(bytes, beating->schedule.bytes)),
                             LINK_NO_REASON);
            while (envelope_next(&beating->in, &frame)) {
                put_frame(&cable->pipe[n % 2], frame);
            }
            beating->beat_ms += (uint64_t)beating->schedule.beat_s * 1000;
        }
        wait = beating->beat_ms - now_ms < wait ? beating->beat_ms - now_ms : wait;
    }
    return wait;
}

static bool
anything_under_way(void)
{
    for (uint32_t n = 0; n < cable_count; n++) {
        if (cables[n].up && (cables[n].pipe[0].count > 0 || cables[n].pipe[1].count > 0)) {
            return true;
        }
    }
    for (uint32_t n = 0; n < node_count; n++) {
        if (nodes[n].more) {
            return true;
        }
    }
    return false;
}

/* Let `ms` pass, or stop when `done` holds. True: it held. */
static bool
run(uint64_t ms, bool (*done)(void))
{
    uint64_t end = now_ms + ms;

    for (;;) {
        for (uint32_t n = 0; n < node_count; n++) {
            turn(n, 8);
        }
        if (done != NULL && done()) {
            return true;
        }
        if (now_ms >= end) {
            return false;
        }
        uint64_t wait = 5;
        if (!anything_under_way()) {
            wait = end - now_ms;
            for (uint32_t n = 0; n < node_count; n++) {
                uint64_t own = gossip_wait_ms(nodes[n].gossip, now_ms);
                wait = own < wait ? own : wait;
            }
            if (wait == 0) {
                spins++;
                wait = 1;
            }
        }
        uint64_t until_beat = beat();
        wait = until_beat < wait ? until_beat : wait;
        now_ms += wait;
    }
}

/* All nodes that have a compartment hold the same of it. */
static bool
all_equal(void)
{
    for (uint32_t a = 0; a < node_count; a++) {
        for (uint32_t b = 0; b < a; b++) {
            for (size_t n = 0; n < nodes[a].holding.part_count; n++) {
                struct holding_part *one = &nodes[a].holding.parts[n];
                struct holding_part *other = holding_part(&nodes[b].holding, one->id.bytes[0]);
                if (other != NULL && memcmp(frontier_digest(&one->frontier),
                                            frontier_digest(&other->frontier), DIGEST_BYTES) != 0) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* And everybody knows it. */
static bool
all_know(void)
{
    for (uint32_t n = 0; n < node_count; n++) {
        size_t count;
        const struct gossip_peer_status *peers = gossip_status(nodes[n].gossip, &count);
        for (size_t k = 0; k < count; k++) {
            if (!peers[k].connected) {
                continue;
            }
            for (size_t p = 0; p < peers[k].compartment_count; p++) {
                if (!peers[k].compartments[p].complete) {
                    return false;
                }
            }
            if (peers[k].compartment_count == 0) {
                return false;
            }
        }
    }
    return all_equal();
}

static void
write_entries(uint32_t author, uint32_t holder, uint8_t part, uint8_t lane, size_t count, uint32_t bytes)
{
    struct gossip_log log;

    holding_log(&log, &nodes[author].author, part, lane);
    for (size_t n = 0; n < count; n++) {
        holding_write(&nodes[holder].holding, &nodes[author].author, &log, bytes, &seed);
    }
    gossip_changed(nodes[holder].gossip, &log.descriptor.compartment, &log.log_id, now_ms);
}

static void
write_own(uint32_t node, uint8_t part, uint8_t lane, size_t count)
{
    write_entries(node, node, part, lane, count, 60);
}

static size_t
frames_of(enum frame_type type)
{
    size_t count = 0;

    for (size_t n = 0; n < sniffed_count; n++) {
        count += sniffed[n].type == type ? 1 : 0;
    }
    return count;
}

static const struct sniffed *
first_of(enum frame_type type)
{
    for (size_t n = 0; n < sniffed_count; n++) {
        if (sniffed[n].type == type) {
            return &sniffed[n];
        }
    }
    return NULL;
}

static void
forget_frames(void)
{
    sniffed_count = 0;
    bytes_total = 0;
}

/* Every chunk that came is counted with what became of it (seed 814: answers to a probe were not). */
static void
expect_counted(uint32_t node)
{
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[node].gossip, &count);
    uint64_t came = 0;

    for (size_t n = 0; n < sniffed_count; n++) {
        came += sniffed[n].to == node ? sniffed[n].chunks : 0;
    }
    ck_assert_uint_eq(nodes[node].holding.taken_count + status->chunks_seen + status->chunks_later +
                          status->chunks_forged + status->frames_malformed + status->frames_stray,
                      came);
}

static void
expect_whole(uint32_t node, size_t entries)
{
    size_t without;

    ck_assert_uint_eq(holding_entries(&nodes[node].holding, &without), entries);
    ck_assert_uint_eq(without, 0);
}

static void
no_log(void *self, const char *line)
{
    (void)self;
    (void)line;
}

static void
set_up(void)
{
    log_to(no_log, NULL);
    now_ms = 1000;
    seed.state = 42;
    pipe_bytes_max = 4 << 20;
    node_count = 0;
    cable_count = 0;
    flip_chunk = 0;
    memset(lanes, 0, sizeof lanes);
    memset(introduced, 0, sizeof introduced);
    forget_frames();
}

static void
tear_down(void)
{
    for (uint32_t n = 0; n < cable_count; n++) {
        for (int side = 0; side < 2; side++) {
            empty_pipe(&cables[n].pipe[side]);
            free(cables[n].pipe[side].frames);
            envelope_out_clear(&cables[n].beating[side].out);
            envelope_in_clear(&cables[n].beating[side].in);
        }
    }
    for (uint32_t n = 0; n < node_count; n++) {
        gossip_close(&nodes[n].gossip);
        holding_free(&nodes[n].holding);
    }
    free(sniffed);
    sniffed = NULL;
    sniffed_capacity = 0;
    for (size_t n = 0; n < recorded_count; n++) {
        buf_free(&recorded[n].bytes);
    }
    free(recorded);
    recorded = NULL;
    recorded_count = 0;
    recording = false;
}

/* Two nodes that share control and one compartment. */
static void
two_nodes(void)
{
    add_node();
    add_node();
    share(0, 1, CONTROL);
    share(0, 1, CASES);
}

/* The same entries on both, as if synced before. */
static void
same_on_both(uint8_t part, uint8_t lane, size_t count)
{
    struct chance before = seed;

    write_entries(0, 0, part, lane, count, 60);
    struct chance after = seed;
    seed = before;
    write_entries(0, 1, part, lane, count, 60);
    ck_assert_uint_eq(seed.state, after.state);
}

/* Both sides of a cable keep a schedule from now on. */
static void
keep_schedules(uint32_t index, uint32_t beat_s, uint32_t bytes)
{
    for (int side = 0; side < 2; side++) {
        const struct envelope_schedule schedule = { .beat_s = beat_s, .bytes = bytes };
        cables[index].beating[side].schedule = schedule;
        cables[index].beating[side].beat_ms = now_ms + 1000;
        gossip_schedule(nodes[cables[index].node[side]].gossip, index + 1, &schedule, &schedule);
    }
}

/* --- bytes --- */

/* Counted: all frames of both sides with 35 B a message; not counted: ZMTP greeting and CURVE handshake. */
START_TEST(a_cold_equal_session_costs_1400_bytes_at_most)
{
    two_nodes();
    same_on_both(CONTROL, LANE_CONTROL, 3);
    same_on_both(CASES, LANE_NORMAL, 5);
    connect_nodes(0, 1);
    run(30 * 1000, NULL);
    ck_assert(all_know());
    printf("cold equal session, control and one compartment: %llu bytes in %zu messages\n",
           (unsigned long long)bytes_total, sniffed_count);
    ck_assert_uint_le(bytes_total, 1400);
    ck_assert_uint_eq(frames_of(FRAME_CHUNK), 0);
    ck_assert_uint_eq(frames_of(FRAME_FRONT), 0);
    ck_assert_uint_eq(frames_of(FRAME_HELLO), 2);
}
END_TEST

START_TEST(a_warm_equal_check_costs_160_bytes_at_most)
{
    add_node();
    add_node();
    share(0, 1, CONTROL);
    same_on_both(CONTROL, LANE_CONTROL, 3);
    connect_nodes(0, 1);
    run(30 * 1000, NULL);
    ck_assert(all_know());
    forget_frames();
    gossip_compare(nodes[0].gossip, NULL, now_ms);
    gossip_compare(nodes[1].gossip, &nodes[0].device_id, now_ms);
    run(1000, NULL);
    printf("warm equal check of one compartment, both ways: %llu bytes in %zu messages\n",
           (unsigned long long)bytes_total, sniffed_count);
    ck_assert_uint_eq(frames_of(FRAME_DIGEST), 2);
    ck_assert_uint_le(bytes_total, 160);
    ck_assert_uint_gt(bytes_total, 0);
}
END_TEST

START_TEST(an_idle_hour_costs_two_digests_a_minute)
{
    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    connect_nodes(0, 1);
    run(30 * 1000, NULL);
    ck_assert(all_know());
    forget_frames();
    spins = 0;
    run(HOUR_MS, NULL);
    ck_assert_uint_le(spins, 130);
    printf("idle hour, two compartments: %llu bytes in %zu messages\n", (unsigned long long)bytes_total,
           sniffed_count);
    ck_assert_uint_eq(frames_of(FRAME_DIGEST), sniffed_count);
    ck_assert_uint_le(bytes_total, 122 * (51 + OVERHEAD));
}
END_TEST

/* --- the plain course --- */

START_TEST(what_one_lacks_the_other_sends_and_both_know_it)
{
    two_nodes();
    write_own(0, CONTROL, LANE_CONTROL, 3);
    write_own(0, CASES, LANE_NORMAL, 200);
    write_own(1, CASES, LANE_NORMAL, 130);
    write_own(1, CASES, LANE_CONTROL, 5);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    expect_whole(0, 338);
    expect_whole(1, 338);
    ck_assert_uint_lt(now_ms, 2000); /* no wait was needed */
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[0].gossip, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq((int)status->state, GOSSIP_EQUAL);
    ck_assert_uint_eq(status->entries_taken, 135);
    ck_assert_uint_gt(status->last_contact_ms, 0);
    ck_assert_str_eq(status->last_error, "");
    ck_assert_uint_eq(status->chunks_seen, 0);
    for (size_t n = 0; n < status->compartment_count; n++) {
        ck_assert_uint_eq(status->compartments[n].stored_permille, 1000);
        ck_assert_uint_eq(status->compartments[n].visible_permille, 1000);
        ck_assert_uint_eq(status->compartments[n].entries_to_send, 0);
        ck_assert_uint_eq(status->compartments[n].entries_to_receive, 0);
    }
}
END_TEST

START_TEST(what_is_written_while_the_peer_is_away_is_not_called_stored_there)
{
    two_nodes();
    write_own(0, CASES, LANE_NORMAL, 90);
    uint32_t cable = connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    pull_out(cable);
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[0].gossip, &count);
    ck_assert_int_eq((int)status->state, GOSSIP_DOWN);
    for (size_t n = 0; n < status->compartment_count; n++) {
        ck_assert(status->compartments[n].complete);
        ck_assert_uint_eq(status->compartments[n].stored_permille, 1000);
    }
    write_own(0, CASES, LANE_NORMAL, 10);
    run(5 * 1000, NULL);
    for (int look = 0; look < 2; look++) {
        size_t waiting = 0;
        status = gossip_status(nodes[0].gossip, &count);
        for (size_t n = 0; n < status->compartment_count; n++) {
            const struct gossip_compartment_status *one = &status->compartments[n];
            waiting += one->entries_to_send;
            if (one->entries_to_send > 0) {
                ck_assert(!one->complete && !one->visible_complete);
                ck_assert_uint_eq(one->stored_permille, 900);
                ck_assert_uint_eq(one->visible_permille, 900);
            }
        }
        ck_assert_uint_eq(waiting, 10);
    }
    plug_in(cable);
    ck_assert(run(60 * 1000, all_know));
}
END_TEST

START_TEST(a_new_entry_goes_out_in_the_turn_it_was_saved_in)
{
    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    connect_nodes(0, 1);
    run(70 * 1000, NULL);
    forget_frames();
    uint64_t before = now_ms;
    write_own(1, CASES, LANE_NORMAL, 1);
    ck_assert(run(1000, all_equal));
    ck_assert_uint_le(now_ms - before, 5);
    run(10 * 1000, NULL);
    ck_assert(all_know());
    ck_assert_uint_eq(frames_of(FRAME_CHUNK), 1);
    ck_assert_uint_eq(frames_of(FRAME_ACK), 1);
    ck_assert_uint_eq(frames_of(FRAME_FRONT), 0);
    ck_assert_uint_eq(frames_of(FRAME_ANNOUNCE), 0);
    ck_assert_uint_le(frames_of(FRAME_DIGEST), 2);
}
END_TEST

/* --- announcing --- */

/* How node 1 stands with its only peer in a compartment. */
static struct gossip_compartment_status
cases_at_1(void)
{
    size_t count;
    const struct gossip_peer_status *peer = gossip_status(nodes[1].gossip, &count);

    ck_assert_uint_eq(count, 1);
    for (size_t n = 0; n < peer->compartment_count; n++) {
        if (peer->compartments[n].compartment.bytes[0] == CASES) {
            return peer->compartments[n];
        }
    }
    ck_abort_msg("the compartment is not shared");
}

static uint64_t waiting_most;
static uint64_t waiting_least;
static uint64_t bytes_most;
static bool seen_halfway;

/* Until all is there; what waits never grows. */
static bool
counts_down(void)
{
    struct gossip_compartment_status status = cases_at_1();

    if (waiting_most == 0) {
        waiting_most = status.entries_to_receive;
        waiting_least = waiting_most;
        bytes_most = status.bytes_to_receive;
    }
    ck_assert_uint_le(status.entries_to_receive, waiting_least);
    ck_assert_uint_le(status.bytes_to_receive, bytes_most);
    seen_halfway =
        seen_halfway || (status.entries_to_receive > 0 && status.entries_to_receive < waiting_most / 2 &&
                         status.bytes_to_receive < bytes_most * 3 / 4);
    waiting_least = waiting_most == 0 ? UINT64_MAX : status.entries_to_receive;
    return waiting_most > 0 && all_know();
}

START_TEST(what_is_more_than_a_message_is_announced_and_counted_down)
{
    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    connect_nodes(0, 1);
    run(30 * 1000, NULL);
    ck_assert(all_know());
    forget_frames();
    pipe_bytes_max = 1; /* one frame at a time, so that every step is seen */
    waiting_most = 0;
    waiting_least = UINT64_MAX;
    seen_halfway = false;
    write_own(0, CASES, LANE_NORMAL, 2500);
    write_own(0, CASES, LANE_BULK, 500);
    uint64_t before = cases_at_1().bytes_received;
    ck_assert(run(60 * 1000, counts_down));
    uint64_t bytes = cases_at_1().bytes_received - before;
    ck_assert_uint_eq(waiting_most, 3000);
    ck_assert_uint_eq(waiting_least, 0);
    ck_assert(seen_halfway);
    ck_assert_uint_ge(bytes_most, bytes / 2);
    ck_assert_uint_le(bytes_most, bytes * 2);
    ck_assert_uint_eq(cases_at_1().bytes_to_receive, 0);
    ck_assert_uint_eq(frames_of(FRAME_ANNOUNCE), 1);
    ck_assert(first_of(FRAME_ANNOUNCE) < first_of(FRAME_CHUNK));
    ck_assert_uint_eq(first_of(FRAME_ANNOUNCE)->from, 0);
}
END_TEST

static const struct sniffed *
last_announce(void)
{
    const struct sniffed *last = NULL;

    for (size_t n = 0; n < sniffed_count; n++) {
        last = sniffed[n].type == FRAME_ANNOUNCE ? &sniffed[n] : last;
    }
    ck_assert_ptr_nonnull(last);
    return last;
}

/* Nobody waits for what cannot be sent. */
START_TEST(what_cannot_be_read_is_announced_no_more)
{
    struct gossip_log log;

    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    write_own(0, CASES, LANE_BULK, 3000);
    holding_log(&log, &nodes[0].author, CASES, LANE_BULK);
    holding_find(&nodes[0].holding, &log.log_id)->unreadable = true;
    connect_nodes(0, 1);
    run(10 * 1000, NULL);
    ck_assert_uint_eq(first_of(FRAME_ANNOUNCE)->entries, 3000);
    ck_assert_uint_eq(last_announce()->entries, 0);
    ck_assert_uint_eq(cases_at_1().bytes_to_receive, 0);
}
END_TEST

/* What a peer has of a log is known from when the two looked closer, though none of it comes. */
START_TEST(how_far_a_peer_says_it_has_a_log_is_told_while_it_is_connected)
{
    struct gossip_log log;
    struct hash other = { { 1 } };

    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    write_own(0, CASES, LANE_BULK, 300);
    holding_log(&log, &nodes[0].author, CASES, LANE_BULK);
    holding_find(&nodes[0].holding, &log.log_id)->unreadable = true;
    const struct ident cases = holding_part(&nodes[0].holding, CASES)->id;
    const struct ident control = nodes[0].holding.parts[0].id;
    ck_assert_uint_eq(gossip_told_of(nodes[1].gossip, &cases, &log.log_id), 0);
    connect_nodes(0, 1);
    run(10 * 1000, NULL);
    ck_assert_uint_eq(gossip_told_of(nodes[1].gossip, &cases, &log.log_id), 300);
    ck_assert_uint_eq(gossip_told_of(nodes[1].gossip, &cases, &other), 0);
    ck_assert_uint_eq(gossip_told_of(nodes[1].gossip, &control, &log.log_id), 0);
    ck_assert_uint_eq(gossip_told_of(nodes[0].gossip, &cases, &log.log_id), 0);
}
END_TEST

/* How node 0 stands with its only peer. */
static struct gossip_peer_status
line_of_0(void)
{
    size_t count;
    const struct gossip_peer_status *peer = gossip_status(nodes[0].gossip, &count);

    ck_assert_uint_eq(count, 1);
    return *peer;
}

static struct gossip_peer_status busiest;

/* Until all is there; the look at which most waited is kept. */
static bool
looks_at_the_line(void)
{
    struct gossip_peer_status now = line_of_0();

    if (now.waiting[LANE_BULK] + now.waiting[LANE_NORMAL] >
        busiest.waiting[LANE_BULK] + busiest.waiting[LANE_NORMAL]) {
        busiest = now;
    }
    return busiest.waiting[LANE_BULK] > 0 && all_know();
}

START_TEST(what_waits_for_a_line_is_told_by_lane_and_what_is_on_it)
{
    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    connect_nodes(0, 1);
    run(30 * 1000, NULL);
    ck_assert(all_know());
    pipe_bytes_max = 1;
    memset(&busiest, 0, sizeof busiest);
    write_own(0, CASES, LANE_NORMAL, 2500);
    write_own(0, CASES, LANE_BULK, 500);
    ck_assert(run(60 * 1000, looks_at_the_line));
    ck_assert_uint_eq(busiest.waiting[LANE_CONTROL], 0);
    ck_assert_uint_eq(busiest.waiting[LANE_URGENT], 0);
    ck_assert_uint_le(busiest.waiting[LANE_NORMAL], 2500);
    ck_assert_uint_eq(busiest.waiting[LANE_BULK], 500);
    ck_assert_uint_gt(busiest.limit_bytes, 0);
    run(30 * 1000, NULL);
    struct gossip_peer_status after = line_of_0();
    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        ck_assert_uint_eq(after.waiting[lane], 0);
    }
    ck_assert_uint_lt(after.on_way_bytes, PACE_RETURN_BYTES);
    ck_assert_uint_ne(after.least_ms, UINT64_MAX);
}
END_TEST

/* Nobody waits for what another peer has brought meanwhile. */
START_TEST(what_came_from_elsewhere_is_announced_no_more)
{
    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    connect_nodes(0, 1);
    run(30 * 1000, NULL);
    nodes[1].holding.full = true;
    struct chance at = seed;
    write_own(0, CASES, LANE_NORMAL, 6000);
    run(5 * 1000, NULL);
    ck_assert_uint_eq(first_of(FRAME_ANNOUNCE)->entries, 6000);
    ck_assert_uint_gt(cases_at_1().entries_to_receive, 1000);
    nodes[1].holding.full = false;
    seed = at;
    write_entries(0, 1, CASES, LANE_NORMAL, 6000, 60);
    ck_assert(run(60 * 1000, all_know));
    run(60 * 1000, NULL);
    ck_assert_uint_eq(last_announce()->entries, 0);
    /* What comes next is counted for itself. */
    forget_frames();
    write_own(0, CASES, LANE_NORMAL, 1);
    ck_assert(run(5 * 1000, all_know));
    ck_assert_uint_eq(frames_of(FRAME_ANNOUNCE), 0);
    ck_assert_uint_eq(cases_at_1().entries_to_receive, 0);
}
END_TEST

START_TEST(control_is_equal_before_anything_else_is_sent)
{
    two_nodes();
    write_own(0, CASES, LANE_CONTROL, 100);
    write_own(1, CASES, LANE_URGENT, 100);
    write_own(0, CONTROL, LANE_BULK, 300);
    write_own(1, CONTROL, LANE_NORMAL, 300);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    /* Of the frames of one side: none of the others after the first of control that is followed by one of control. */
    for (uint32_t from = 0; from < 2; from++) {
        bool others = false;
        for (size_t n = 0; n < sniffed_count; n++) {
            if (sniffed[n].type == FRAME_CHUNK && sniffed[n].from == from) {
                ck_assert(!(others && sniffed[n].tag == CONTROL));
                ck_assert(!sniffed[n].mixed);
                others = others || sniffed[n].tag != CONTROL;
            }
        }
        ck_assert(others);
    }
}
END_TEST

START_TEST(it_is_said_when_both_hold_the_same_of_control_and_not_before)
{
    two_nodes();
    write_own(0, CONTROL, LANE_CONTROL, 300);
    write_own(1, CONTROL, LANE_CONTROL, 200);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    for (uint32_t n = 0; n < 2; n++) {
        ck_assert_uint_gt(nodes[n].holding.agreed_count, 0);
        ck_assert_uint_eq(nodes[n].holding.agreed_entries, 500);
        ck_assert(hash_equal(&nodes[n].holding.last_agreed, &nodes[1 - n].device_id));
    }
    /* What one writes is not the same until the other says so. */
    nodes[0].holding.agreed_count = 0;
    nodes[1].holding.agreed_count = 0;
    write_own(0, CONTROL, LANE_CONTROL, 1);
    ck_assert(run(60 * 1000, all_know));
    ck_assert_uint_gt(nodes[0].holding.agreed_count, 0);
    ck_assert_uint_eq(nodes[0].holding.agreed_entries, 501);
}
END_TEST

START_TEST(lanes_0_and_1_go_strictly_first)
{
    two_nodes();
    share(0, 1, OTHER);
    for (int n = 0; n < 4; n++) {
        write_entries(0, 0, n % 2 == 0 ? CASES : OTHER, LANE_BULK, 1, 32000);
        write_entries(0, 0, n % 2 == 0 ? CASES : OTHER, LANE_NORMAL, 1, 32000);
    }
    write_entries(0, 0, OTHER, LANE_URGENT, 4, 32000);
    write_entries(0, 0, CASES, LANE_CONTROL, 4, 32000);
    pipe_bytes_max = 1; /* one message at a time */
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    ck_assert_uint_eq(strlen(lanes), 16);
    ck_assert_int_eq(strncmp(lanes, "00001111", 8), 0);
}
END_TEST

/* An urgent entry overtakes what is under way at the next chunk. */
START_TEST(an_urgent_entry_overtakes_a_thousand_others)
{
    two_nodes();
    write_entries(0, 0, CASES, LANE_NORMAL, 300, 8000);
    pipe_bytes_max = 1;
    connect_nodes(0, 1);
    while (strlen(lanes) < 20) {
        run(5, NULL);
    }
    size_t before = strlen(lanes);
    write_own(0, CASES, LANE_URGENT, 1);
    ck_assert(run(60 * 1000, all_know));
    const char *urgent = strchr(lanes, '1');
    ck_assert_ptr_nonnull(urgent);
    /* Two messages may have been on their way: one in the link, one held. */
    ck_assert_uint_le((size_t)(urgent - lanes), before + 16);
    ck_assert_uint_gt(strlen(lanes), before + 100);
}
END_TEST

START_TEST(n11_compartments_that_are_not_shared_are_never_named)
{
    add_node();
    add_node();
    add_node();
    for (uint32_t n = 1; n < 3; n++) {
        share(0, n, CONTROL);
    }
    share(0, 1, CASES);
    share(0, 2, OTHER);
    write_own(0, CASES, LANE_NORMAL, 20);
    write_own(0, OTHER, LANE_NORMAL, 20);
    connect_nodes(0, 1);
    connect_nodes(2, 0);
    ck_assert(run(60 * 1000, all_know));
    for (size_t n = 0; n < sniffed_count; n++) {
        if (sniffed[n].type == FRAME_CHUNK || sniffed[n].type == FRAME_FRONT) {
            bool with_first = sniffed[n].from == 1 || sniffed[n].to == 1;
            ck_assert(sniffed[n].tag != (with_first ? OTHER : CASES));
        }
        /* control and one more: */
        ck_assert(sniffed[n].type != FRAME_DIGEST || sniffed[n].bytes <= OVERHEAD + 51);
    }
    ck_assert_ptr_null(holding_part(&nodes[1].holding, OTHER));
}
END_TEST

/* --- a thousand logs --- */

static void
thousand_logs_on(uint32_t node)
{
    for (uint32_t n = 0; n < 1000; n++) {
        struct gossip_log log;
        holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
        bytes_write_u32(log.descriptor.incarnation, n);
        descriptor_log_id(&log.descriptor, &log.log_id);
        holding_write(&nodes[node].holding, &nodes[0].author, &log, 40, &seed);
    }
}

START_TEST(a_thousand_logs_cross_once_and_then_cost_what_has_changed)
{
    two_nodes();
    thousand_logs_on(0);
    uint32_t cable = connect_nodes(1, 0);
    ck_assert(run(60 * 1000, all_know));
    ck_assert_uint_eq(nodes[1].holding.seen_count, 0);
    pull_out(cable);
    for (uint32_t n = 0; n < 50; n++) {
        struct gossip_log log;
        holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
        bytes_write_u32(log.descriptor.incarnation, n * 19);
        descriptor_log_id(&log.descriptor, &log.log_id);
        holding_write(&nodes[0].holding, &nodes[0].author, &log, 40, &seed);
    }
    forget_frames();
    plug_in(cable);
    ck_assert(run(60 * 1000, all_know));
    ck_assert_uint_eq(frames_of(FRAME_FRONT), 2);
    for (size_t n = 0; n < sniffed_count; n++) {
        if (sniffed[n].type == FRAME_FRONT) {
            ck_assert_uint_eq(sniffed[n].mode, FRONT_DELTA);
            ck_assert_uint_le(sniffed[n].bytes, 160);
        }
    }
    ck_assert_uint_eq(nodes[1].holding.seen_count, 0);
    expect_whole(1, 1050);
}
END_TEST

static void
lose_checkpoints(uint32_t node)
{
    for (size_t n = 0; n < nodes[node].holding.checkpoint_count; n++) {
        buf_free(&nodes[node].holding.checkpoints[n].bytes);
    }
    nodes[node].holding.checkpoint_count = 0;
}

START_TEST(a_checkpoint_that_one_side_lost_falls_back)
{
    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    uint32_t cable = connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    pull_out(cable);
    lose_checkpoints(1);
    write_own(0, CASES, LANE_NORMAL, 3);
    write_own(1, CASES, LANE_NORMAL, 3);
    forget_frames();
    plug_in(cable);
    ck_assert(run(60 * 1000, all_know));
    bool asked_heads = false;
    bool asked_names = false;
    for (size_t n = 0; n < sniffed_count; n++) {
        asked_heads =
            asked_heads || (sniffed[n].type == FRAME_FRONT && sniffed[n].mode == FRONT_ASK + FRONT_HEADS);
        asked_names =
            asked_names || (sniffed[n].type == FRAME_FRONT && sniffed[n].mode == FRONT_ASK + FRONT_NAMES);
    }
    ck_assert(asked_heads);
    ck_assert(asked_names);
    ck_assert_uint_eq(nodes[0].holding.seen_count + nodes[1].holding.seen_count, 0);
}
END_TEST

START_TEST(a_cut_link_resumes_where_it_was)
{
    two_nodes();
    write_entries(0, 0, CASES, LANE_NORMAL, 2000, 300);
    pipe_bytes_max = 1;
    uint32_t cable = connect_nodes(0, 1);
    size_t cuts = 0;
    for (; cuts < 200 && !run(30, all_know); cuts++) {
        pull_out(cable);
        plug_in(cable);
    }
    ck_assert(all_know());
    ck_assert_uint_ge(cuts, 3);
    expect_whole(1, 2000);
    ck_assert_uint_le(nodes[1].holding.seen_count, cuts);
}
END_TEST

/* --- forks --- */

/* Both hold the first `common` entries of a log; then one has `ours` of its own and the other `theirs`. */
static void
fork_between(size_t common, size_t ours, size_t theirs, uint8_t part)
{
    struct gossip_log log;

    same_on_both(part, LANE_NORMAL, common);
    holding_log(&log, &nodes[0].author, part, LANE_NORMAL);
    for (size_t n = 0; n < ours; n++) {
        holding_write(&nodes[0].holding, &nodes[0].author, &log, 60, &seed);
    }
    for (size_t n = 0; n < theirs; n++) {
        holding_write(&nodes[1].holding, &nodes[0].author, &log, 60, &seed);
    }
}

static const struct {
    size_t common;
    size_t ours;
    size_t theirs;
} forks[] = { { 10, 1, 1 },   { 10, 5, 5 },    { 10, 30, 3 },    { 10, 3, 30 },
              { 0, 4, 4 },    { 0, 1, 90 },    { 100, 70, 200 }, { 64, 64, 64 },
              { 63, 1, 130 }, { 300, 40, 40 }, { 1, 300, 299 },  { 128, 5, 1 } };

START_TEST(both_branches_of_a_fork_come_to_both)
{
    two_nodes();
    fork_between(forks[_i].common, forks[_i].ours, forks[_i].theirs, _i % 2 == 0 ? CASES : CONTROL);
    if (_i % 3 == 0) {
        connect_nodes(0, 1);
    } else {
        connect_nodes(1, 0);
    }
    ck_assert_msg(run(10 * 60 * 1000, all_know), "fork %d: not equal after ten minutes", _i);
    size_t all = forks[_i].common + forks[_i].ours + forks[_i].theirs;
    expect_whole(0, all);
    expect_whole(1, all);
    expect_counted(0);
    expect_counted(1);
    forget_frames();
    run(HOUR_MS, NULL);
    ck_assert_uint_eq(frames_of(FRAME_DIGEST), sniffed_count);
}
END_TEST

/* Of what was erased there are only headers: they are no answer to a question for headers (seed 1353). */
START_TEST(a_branch_that_was_erased_comes_to_both)
{
    struct gossip_log log;
    size_t without;
    size_t common = forks[_i].common;

    two_nodes();
    same_on_both(CASES, LANE_NORMAL, common);
    holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
    for (size_t n = 0; n < forks[_i].ours; n++) {
        holding_write(&nodes[0].holding, &nodes[0].author, &log, 60, &seed);
    }
    for (size_t n = 0; n < forks[_i].theirs; n++) {
        holding_write(&nodes[1].holding, &nodes[0].author, &log, 61, &seed);
    }
    holding_erase(&nodes[0].holding, 61);
    holding_erase(&nodes[1].holding, 61);
    connect_nodes(0, 1);
    ck_assert_msg(run(10 * 60 * 1000, all_know), "fork %d: not equal after ten minutes", _i);
    for (uint32_t n = 0; n < 2; n++) {
        ck_assert_uint_eq(holding_entries(&nodes[n].holding, &without),
                          common + forks[_i].ours + forks[_i].theirs);
        ck_assert_uint_eq(without, forks[_i].theirs);
        expect_counted(n);
    }
}
END_TEST

START_TEST(a_third_branch_joins_two)
{
    struct gossip_log log;

    two_nodes();
    fork_between(20, 5, 6, CASES);
    holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
    uint32_t first = connect_nodes(0, 1);
    ck_assert(run(10 * 60 * 1000, all_know));
    pull_out(first);
    holding_fork(&nodes[1].holding, &nodes[0].author, &log, 3, 60, &seed);
    holding_fork(&nodes[1].holding, &nodes[0].author, &log, UINT64_MAX, 60, &seed);
    holding_fork(&nodes[0].holding, &nodes[0].author, &log, 10, 60, &seed);
    holding_write(&nodes[0].holding, &nodes[0].author, &log, 60, &seed);
    plug_in(first);
    add_node();
    share(0, 2, CONTROL);
    share(0, 2, CASES);
    connect_nodes(2, 0);
    ck_assert(run(20 * 60 * 1000, all_know));
    size_t without;
    ck_assert_uint_eq(holding_entries(&nodes[2].holding, &without), 35);
    ck_assert_uint_eq(without, 0);
    expect_whole(0, 35);
    expect_whole(1, 35);
}
END_TEST

/* One log on all three, and on the first two of them the same two branches; the third has two that part further up, on a way of their own. What
 * begins where the peer has something too need not be what the peer has there. */
/* Node 0 has `held` entries of each of two logs of its own, of which node 1 has `lost` more. */
static uint64_t
told_of_set_back(size_t held, size_t lost)
{
    size_t count;

    two_nodes();
    same_on_both(CASES, LANE_NORMAL, held);
    same_on_both(CASES, LANE_URGENT, held);
    write_entries(0, 1, CASES, LANE_NORMAL, lost, 60);
    write_entries(0, 1, CASES, LANE_URGENT, lost, 60);
    write_own(1, CASES, LANE_NORMAL, 7);
    write_own(0, CASES, LANE_BULK, 7);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    const struct gossip_peer_status *status = gossip_status(nodes[0].gossip, &count);
    ck_assert_uint_eq(status->set_back, 0);
    status = gossip_status(nodes[1].gossip, &count);
    return status->set_back;
}

START_TEST(i14_who_gives_a_peer_its_own_lost_tail_says_that_it_was_set_back)
{
    ck_assert_uint_eq(told_of_set_back(20, 3), 1);
}
END_TEST

START_TEST(i14_who_gives_a_peer_logs_of_its_own_that_it_no_longer_names_says_so)
{
    ck_assert_uint_eq(told_of_set_back(0, 3), 1);
}
END_TEST

START_TEST(i14_nobody_is_said_to_be_set_back_who_lacks_nothing_of_its_own)
{
    ck_assert_uint_eq(told_of_set_back(20, 0), 0);
}
END_TEST

/* It has another branch, too, which is shorter. */
START_TEST(i14_nobody_is_said_to_be_set_back_for_a_branch_that_does_not_go_as_far)
{
    struct gossip_log log;
    size_t count;

    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 20);
    holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
    holding_fork(&nodes[0].holding, &nodes[0].author, &log, 5, 60, &seed);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    for (uint32_t node = 0; node < 2; node++) {
        ck_assert_uint_eq(gossip_status(nodes[node].gossip, &count)->set_back, 0);
    }
}
END_TEST

START_TEST(a_fork_above_a_fork_is_found_below_both)
{
    struct gossip_log log;
    struct chance before;

    two_nodes();
    add_node();
    share(1, 2, CONTROL);
    share(1, 2, CASES);
    before = seed;
    for (uint32_t node = 0; node < 3; node++) {
        seed = before;
        write_entries(0, node, CASES, LANE_NORMAL, 17, 60);
    }
    holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
    before = seed;
    for (uint32_t node = 0; node < 2; node++) {
        seed = before;
        for (int n = 0; n < 3; n++) {
            holding_write(&nodes[node].holding, &nodes[0].author, &log, 60, &seed);
        }
        holding_fork(&nodes[node].holding, &nodes[0].author, &log, 16, 60, &seed);
    }
    for (int n = 0; n < 9; n++) {
        holding_write(&nodes[2].holding, &nodes[0].author, &log, 60, &seed);
    }
    holding_fork(&nodes[2].holding, &nodes[0].author, &log, 24, 60, &seed);
    connect_nodes(2, 1);
    run(10 * 60 * 1000, NULL);
    connect_nodes(1, 0);
    ck_assert(run(20 * 60 * 1000, all_know));
    for (uint32_t node = 0; node < 3; node++) {
        expect_whole(node, 17 + 4 + 10);
    }
}
END_TEST

/* Where one branch goes on in the run and the other begins a new one, the signature at the end of the shorter run may be
 * nowhere but on the author's own disk. */
START_TEST(a_run_that_ends_on_one_branch_only_reaches_a_third_node)
{
    struct gossip_log log;

    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 10);
    holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
    for (int n = 0; n < 3; n++) {
        holding_write(&nodes[0].holding, &nodes[0].author, &log, 60, &seed);
        holding_write(&nodes[1].holding, &nodes[0].author, &log, 20000, &seed);
    }
    /* Node 0 took the ten in with what followed them: only the last of its run has a signature. */
    struct held_log *held = holding_find(&nodes[0].holding, &log.log_id);
    for (size_t n = 0; n + 1 < held->count; n++) {
        held->entries[n].has_signature = false;
    }
    uint32_t cable = connect_nodes(0, 1);
    ck_assert(run(10 * 60 * 1000, all_know));
    pull_out(cable);
    /* A third node learns of both branches from node 0 alone. */
    add_node();
    share(0, 2, CONTROL);
    share(0, 2, CASES);
    connect_nodes(2, 0);
    ck_assert(run(10 * 60 * 1000, all_equal));
    expect_whole(2, 16);
}
END_TEST

/* --- bounds --- */

START_TEST(more_than_the_credit_comes_over_in_pieces)
{
    add_node_with(PROFILE_LAN, 65536);
    add_node_with(PROFILE_LAN, 65536);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    write_entries(0, 0, CASES, LANE_NORMAL, 60, 32000);
    write_entries(1, 1, CASES, LANE_NORMAL, 3000, 100);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    ck_assert_uint_ge(frames_of(FRAME_CREDIT), 20);
    ck_assert_uint_eq(frames_of(FRAME_DENY), 0);
    expect_whole(1, 3060);
}
END_TEST

START_TEST(a_link_without_room_loses_nothing)
{
    two_nodes();
    write_entries(0, 0, CASES, LANE_NORMAL, 500, 300);
    write_entries(1, 1, CASES, LANE_NORMAL, 500, 300);
    write_own(1, CONTROL, LANE_CONTROL, 50);
    pipe_bytes_max = 1;
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    ck_assert_uint_eq(nodes[0].holding.seen_count + nodes[1].holding.seen_count, 0);
}
END_TEST

/* A peer that sends more than it may is cut off. */
/* A chunk that is no chunk costs its log a while; one too many costs the session. */
START_TEST(n10_more_than_the_credit_ends_the_session)
{
    static uint8_t zeros[65536];
    uint8_t descriptor[DESCRIPTOR_BYTES];
    struct buf frame = { 0 };
    struct gossip_log log;
    size_t count;

    add_node_with(PROFILE_LAN, 65536);
    add_node();
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    connect_nodes(0, 1);
    run(1000, NULL);
    holding_log(&log, &nodes[1].author, CASES, LANE_NORMAL);
    descriptor_write(descriptor, &log.descriptor);
    struct chunk_item item = { .log = { LOG_REF_NEW, span_of(descriptor, sizeof descriptor) } };
    memcpy(item.tag, log.descriptor.compartment.bytes, TAG_BYTES);
    /* The frame's head, tag, reference, descriptor and size stand before the chunk. */
    size_t head = 1 + TAG_BYTES + 1 + DESCRIPTOR_BYTES + 3;
    for (size_t more = 0; more < 2; more++) {
        item.chunk = span_of(zeros, 65536 - head + more);
        buf_clear(&frame);
        chunk_frame_write(&frame);
        chunk_item_write(&frame, &item);
        ck_assert_uint_eq(frame.size, 65536 + more);
        gossip_receive(nodes[0].gossip, 1, buf_span(&frame), now_ms);
        run(100, NULL); /* what was used of the credit comes back */
        ck_assert_uint_eq(frames_of(FRAME_DENY), more);
    }
    buf_free(&frame);
    ck_assert_uint_eq(first_of(FRAME_DENY)->mode, DENY_MALFORMED);
    const struct gossip_peer_status *status = gossip_status(nodes[0].gossip, &count);
    ck_assert_str_eq(status->last_error, "more was sent than the credit allowed");
}
END_TEST

/* Virtual time until `entries` are on node 0, in rounds of a line; node 2 says whatever comes to its mind in each, if it floods. */
static uint64_t
rounds_until(size_t entries, bool floods)
{
    static const uint8_t garbage[] = { 0x0b, 0x00, 0xff, 0xff };
    uint64_t rounds = 0;
    size_t without;

    while (holding_entries(&nodes[0].holding, &without) < entries) {
        for (int n = 0; floods && n < 500; n++) {
            gossip_receive(nodes[0].gossip, 2, span_of(garbage, sizeof garbage), now_ms);
        }
        run(5, NULL);
        rounds++;
        ck_assert_uint_lt(rounds, 10000);
    }
    return rounds;
}

START_TEST(n10_who_floods_keeps_nobody_else_waiting)
{
    size_t count;

    add_node();
    add_node();
    add_node();
    for (uint32_t peer = 1; peer < 3; peer++) {
        share(0, peer, CONTROL);
        share(0, peer, CASES);
        connect_nodes(0, peer);
    }
    ck_assert(run(60 * 1000, all_know));
    write_own(1, CASES, LANE_NORMAL, 500);
    uint64_t quiet = rounds_until(500, false);
    write_own(1, CASES, LANE_NORMAL, 500);
    uint64_t flooded = rounds_until(1000, true);
    ck_assert_uint_lt(flooded, quiet + 2);
    expect_whole(0, 1000);
    const struct gossip_peer_status *peers = gossip_status(nodes[0].gossip, &count);
    ck_assert_uint_eq(count, 2);
    for (size_t n = 0; n < count; n++) {
        bool flooder = hash_equal(&peers[n].device_id, &nodes[2].device_id);

        ck_assert_int_eq(peers[n].state == GOSSIP_REFUSED, flooder);
        ck_assert_int_eq(peers[n].frames_malformed + peers[n].frames_stray > 0, flooder);
    }
}
END_TEST

/* --- refusals --- */

START_TEST(an_author_that_is_unknown_is_asked_for_again)
{
    two_nodes();
    memcpy(nodes[1].holding.refused_author, nodes[0].author.public_key, SIGN_PK_BYTES);
    write_entries(0, 0, CASES, LANE_NORMAL, 4000, 100);
    write_own(1, CASES, LANE_NORMAL, 10);
    connect_nodes(0, 1);
    spins = 0;
    run(HOUR_MS, NULL);
    ck_assert_uint_le(spins, 1000);
    expect_whole(1, 10);
    ck_assert(!all_equal());
    /* What was refused was not sent for an hour on end: less than twenty messages of 64 KiB. */
    ck_assert_uint_lt(bytes_total, 20 * 70000);
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[1].gossip, &count);
    ck_assert_uint_gt(status->chunks_later, 0);
    ck_assert_str_ne(status->last_error, "");
    memset(nodes[1].holding.refused_author, 0, SIGN_PK_BYTES);
    gossip_rights_changed(nodes[1].gossip);
    ck_assert(run(10 * 1000, all_know));
    expect_whole(1, 4010);
}
END_TEST

START_TEST(a_node_that_is_full_stops_its_peer_and_goes_on_later)
{
    two_nodes();
    nodes[1].holding.full = true;
    write_entries(0, 0, CASES, LANE_NORMAL, 4000, 100);
    connect_nodes(0, 1);
    spins = 0;
    run(HOUR_MS, NULL);
    ck_assert_uint_le(spins, 1000);
    expect_whole(1, 0);
    ck_assert_uint_lt(bytes_total, 5 * 1000 * 1000);
    nodes[1].holding.full = false;
    ck_assert(run(15 * 60 * 1000, all_know));
    expect_whole(1, 4000);
}
END_TEST

START_TEST(u3_a_flipped_bit_is_refused_and_counted_and_the_session_lives)
{
    two_nodes();
    write_entries(0, 0, CASES, LANE_NORMAL, 200, 100);
    flip_chunk = 1;
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[1].gossip, &count);
    ck_assert_uint_ge(status->chunks_forged, 1);
    ck_assert_uint_eq(frames_of(FRAME_DENY), 0);
    expect_whole(1, 200);
}
END_TEST

/* Send what was recorded again, to whom it went and in its order. */
static void
replay(void)
{
    for (size_t n = 0; n < recorded_count; n++) {
        gossip_receive(nodes[recorded[n].to].gossip, recorded[n].number, buf_span(&recorded[n].bytes),
                       now_ms);
    }
}

/* In the session itself, at the head of the next one, and where a record of it says that all is equal and it is not. */
START_TEST(n8_what_was_recorded_and_is_sent_again_changes_nothing)
{
    two_nodes();
    write_own(0, CONTROL, LANE_CONTROL, 3);
    write_own(0, CASES, LANE_NORMAL, 200);
    write_own(1, CASES, LANE_URGENT, 100);
    recording = true;
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    run(10 * 1000, NULL);
    recording = false;
    ck_assert_uint_gt(recorded_count, 10);
    ck_assert_uint_gt(frames_of(FRAME_CHUNK), 1);
    ck_assert_uint_gt(frames_of(FRAME_ACK), 1);
    uint64_t taken[2] = { nodes[0].holding.taken_count, nodes[1].holding.taken_count };
    uint8_t digest[DIGEST_BYTES];
    memcpy(digest, frontier_digest(&holding_part(&nodes[0].holding, CASES)->frontier), sizeof digest);

    for (int again = 0; again < 3; again++) {
        if (again > 0) {
            pull_out(0);
            plug_in(0);
        }
        replay();
        ck_assert(run(120 * 1000, all_know));
        for (uint32_t n = 0; n < 2; n++) {
            ck_assert_uint_eq(nodes[n].holding.taken_count, taken[n]);
            ck_assert_mem_eq(frontier_digest(&holding_part(&nodes[n].holding, CASES)->frontier), digest,
                             sizeof digest);
            expect_whole(n, 303);
        }
    }
    pull_out(0);
    write_own(0, CASES, LANE_NORMAL, 1);
    plug_in(0);
    replay();
    ck_assert(run(120 * 1000, all_know));
    expect_whole(1, 304);
}
END_TEST

static char told_malformed[128];

static bool
is_of_malformed(const char *event)
{
    return strcmp(event, "peer-malformed") == 0;
}

static void
hear_malformed(void *self, const char *line)
{
    (void)self;
    (void)snprintf(told_malformed, sizeof told_malformed, "%s", line);
}

START_TEST(a_malformed_frame_ends_the_session_which_begins_anew)
{
    char expected[128];

    two_nodes();
    write_own(0, CASES, LANE_NORMAL, 20);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    told_malformed[0] = '\0';
    log_witness(is_of_malformed, hear_malformed, NULL);
    gossip_receive(nodes[1].gossip, 1, span_of("\x0b\x00", 2), now_ms);
    log_witness(NULL, NULL, NULL);
    (void)snprintf(expected, sizeof expected, "event=peer-malformed peer=%s what=\"a frame was malformed\"",
                   hash_short(&nodes[0].device_id).text);
    ck_assert_str_eq(told_malformed, expected);
    run(100, NULL);
    ck_assert_uint_eq(frames_of(FRAME_DENY), 1);
    ck_assert_uint_eq(first_of(FRAME_DENY)->mode, DENY_MALFORMED);
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[1].gossip, &count);
    ck_assert_uint_eq(status->frames_malformed, 1);
    ck_assert_int_eq((int)status->state, GOSSIP_REFUSED);
    ck_assert_uint_eq(nodes[1].holding.hang_up_count, 0);
    ck_assert_uint_eq(nodes[1].holding.ended_count, 1);
    write_own(0, CASES, LANE_NORMAL, 20);
    ck_assert(run(60 * 1000, all_know));
    expect_whole(1, 40);
}
END_TEST

START_TEST(a_log_that_cannot_be_read_does_not_stop_the_others)
{
    struct gossip_log log;

    two_nodes();
    write_own(0, CASES, LANE_NORMAL, 20);
    write_own(0, CASES, LANE_URGENT, 20);
    holding_log(&log, &nodes[0].author, CASES, LANE_URGENT);
    holding_find(&nodes[0].holding, &log.log_id)->unreadable = true;
    connect_nodes(0, 1);
    run(60 * 1000, NULL);
    expect_whole(1, 20);
    holding_find(&nodes[0].holding, &log.log_id)->unreadable = false;
    ck_assert(run(30 * 60 * 1000, all_know));
    expect_whole(1, 40);
}
END_TEST

START_TEST(u10_a_gap_is_asked_for)
{
    struct gossip_log log;
    struct gossip_log *known;
    struct buf frame = { 0 };
    struct buf chunk = { 0 };
    uint8_t descriptor[DESCRIPTOR_BYTES];
    uint64_t next;

    two_nodes();
    connect_nodes(0, 1);
    run(1000, NULL);
    /* Node 0 has two runs; the second of them arrives at node 1 as if the first had been sent. */
    holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
    for (int n = 0; n < 100; n++) {
        holding_write(&nodes[0].holding, &nodes[0].author, &log, 60, &seed);
    }
    known = &holding_find(&nodes[0].holding, &log.log_id)->log;
    const struct tip *tip =
        frontier_find(&holding_part(&nodes[0].holding, CASES)->frontier, log.log_id.bytes);
    ck_assert_int_eq(nodes[0].holding.store.read_chunk(&nodes[0].holding, tip, 64, false, &chunk, &next),
                     ERR_OK);
    descriptor_write(descriptor, &known->descriptor);
    struct chunk_item item = { .log = { LOG_REF_NEW, span_of(descriptor, DESCRIPTOR_BYTES) },
                               .chunk = buf_span(&chunk) };
    memset(item.tag, CASES, TAG_BYTES);
    chunk_frame_write(&frame);
    chunk_item_write(&frame, &item);
    gossip_receive(nodes[1].gossip, 1, buf_span(&frame), now_ms);
    buf_free(&frame);
    buf_free(&chunk);
    turn(1, 0);
    ck_assert_uint_eq(frames_of(FRAME_WANT), 1);
    ck_assert_uint_eq(nodes[1].holding.log_count, 0);
}
END_TEST

/* --- greetings and goodbyes --- */

START_TEST(protocols_without_a_common_version_part)
{
    struct buf frame = { 0 };
    struct hello hello = { .min = 2, .max = 3, .profile = PROFILE_LAN, .credit_bytes = 65536 };

    two_nodes();
    connect_nodes(0, 1);
    hello_write(&frame, &hello);
    gossip_receive(nodes[0].gossip, 1, buf_span(&frame), now_ms);
    buf_free(&frame);
    run(10, NULL);
    const struct sniffed *denied = first_of(FRAME_DENY);
    ck_assert_ptr_nonnull(denied);
    ck_assert_uint_eq(denied->mode, DENY_PROTOCOL);
    ck_assert_uint_eq(denied->from, 0);
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[1].gossip, &count);
    ck_assert_str_eq(status->last_error, "this side speaks protocol 1 to 1, the other 2 to 3");
}
END_TEST

START_TEST(a_device_that_shares_nothing_is_told_so)
{
    add_node();
    add_node();
    connect_nodes(0, 1);
    run(100, NULL);
    ck_assert_uint_eq(frames_of(FRAME_HELLO), 0);
    ck_assert_uint_eq(frames_of(FRAME_DENY), 2);
    ck_assert_uint_eq(first_of(FRAME_DENY)->mode, DENY_NOT_MEMBER);
    /* Its certificate arrives by another way: the session begins by itself. */
    share(0, 1, CONTROL);
    ck_assert(run(5 * 60 * 1000, all_know));
}
END_TEST

START_TEST(of_two_connections_the_one_of_the_smaller_device_stays)
{
    two_nodes();
    write_own(0, CASES, LANE_NORMAL, 300);
    uint32_t first = connect_nodes(_i == 0 ? 1 : 0, _i == 0 ? 0 : 1);
    run(10, NULL);
    uint32_t second = connect_nodes(_i == 0 ? 0 : 1, _i == 0 ? 1 : 0);
    ck_assert(run(60 * 1000, all_know));
    /* Node 0 is the smaller: its own dial stays, whichever came first. */
    uint32_t stays = _i == 0 ? second : first;
    uint32_t leaves = _i == 0 ? first : second;
    ck_assert_uint_eq(nodes[0].holding.last_ended, leaves + 1);
    ck_assert_uint_eq(nodes[1].holding.last_ended, leaves + 1);
    ck_assert_uint_eq(nodes[0].holding.hang_up_count, 1);
    ck_assert_uint_eq(nodes[1].holding.hang_up_count, 1);
    pull_out(leaves);
    for (uint32_t n = 0; n < 2; n++) {
        size_t count;
        const struct gossip_peer_status *status = gossip_status(nodes[n].gossip, &count);
        ck_assert_uint_eq(count, 1);
        ck_assert(status->connected);
        ck_assert_uint_eq(status->connection, stays + 1);
        ck_assert_int_eq((int)status->state, GOSSIP_EQUAL);
    }
}
END_TEST

START_TEST(a_compartment_shared_later_is_opened_in_the_same_session)
{
    two_nodes();
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    share(0, 1, OTHER);
    write_own(0, OTHER, LANE_NORMAL, 70);
    gossip_rights_changed(nodes[0].gossip);
    run(1000, NULL);
    expect_whole(1, 0);
    gossip_rights_changed(nodes[1].gossip);
    ck_assert(run(2 * 60 * 1000, all_know));
    expect_whole(1, 70);
    ck_assert_uint_eq(frames_of(FRAME_HELLO), 2);
}
END_TEST

START_TEST(a_certificate_that_left_ends_the_session_and_names_no_more)
{
    two_nodes();
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    holding_share(&nodes[0].holding, CASES, &nodes[1].device_id, false);
    gossip_rights_changed(nodes[0].gossip);
    write_own(0, CASES, LANE_NORMAL, 10);
    write_own(1, CASES, LANE_NORMAL, 10);
    run(10 * 1000, NULL);
    expect_whole(1, 10);
    expect_whole(0, 10);
    holding_share(&nodes[0].holding, CONTROL, &nodes[1].device_id, false);
    gossip_rights_changed(nodes[0].gossip);
    run(1000, NULL);
    ck_assert_uint_eq(frames_of(FRAME_BYE), 1);
    ck_assert_uint_eq(first_of(FRAME_BYE)->mode, BYE_CERTIFICATE_LEFT);
    ck_assert_uint_eq(nodes[0].holding.hang_up_count, 1);
}
END_TEST

START_TEST(stopping_says_goodbye_and_keeps_checkpoints)
{
    two_nodes();
    write_own(0, CASES, LANE_NORMAL, 10);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    lose_checkpoints(0);
    write_own(0, CASES, LANE_NORMAL, 10);
    ck_assert(run(60 * 1000, all_know));
    gossip_stop(nodes[0].gossip);
    run(1000, NULL);
    ck_assert_uint_eq(frames_of(FRAME_BYE), 1);
    ck_assert_uint_eq(first_of(FRAME_BYE)->mode, BYE_SHUTTING_DOWN);
    ck_assert_uint_ge(nodes[0].holding.checkpoint_count, 1);
    ck_assert_uint_eq(nodes[0].holding.hang_up_count, 1);
    ck_assert_uint_eq(nodes[1].holding.hang_up_count, 1);
}
END_TEST

START_TEST(a_metered_session_closes_when_all_is_equal)
{
    add_node();
    add_node_with(PROFILE_METERED, 65536);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    write_entries(0, 0, CASES, LANE_NORMAL, 500, 100);
    connect_nodes(1, 0);
    run(10 * 1000, NULL);
    expect_whole(1, 500);
    ck_assert_uint_ge(frames_of(FRAME_BYE), 1);
    ck_assert_uint_eq(nodes[0].holding.hang_up_count, 1);
    ck_assert_uint_eq(nodes[1].holding.hang_up_count, 1);
    /* What it came to is told after it is over. */
    for (uint32_t n = 0; n < 2; n++) {
        size_t count;
        const struct gossip_peer_status *peer = gossip_status(nodes[n].gossip, &count);

        ck_assert_str_eq(peer->last_ending, "complete");
        ck_assert_uint_eq(peer->compartment_count, 2);
        ck_assert(peer->compartments[0].complete && peer->compartments[1].complete);
        ck_assert_uint_eq(peer->compartments[1].stored_permille, 1000);
    }
    for (size_t n = 0; n < sniffed_count; n++) {
        ck_assert_uint_le(sniffed[n].bytes, 16384 + OVERHEAD);
    }
    forget_frames();
    run(HOUR_MS, NULL);
    ck_assert_uint_eq(sniffed_count, 0);
}
END_TEST

/* A metered line whose budget has only the part left that is kept for urgent news: node 1. */
START_TEST(of_a_budget_the_last_part_carries_urgent_news_alone)
{
    add_node();
    add_node_with(PROFILE_METERED, 262144);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    write_entries(0, 0, CASES, LANE_NORMAL, 2000, 400);
    write_own(0, CASES, LANE_URGENT, 7);
    write_own(1, CASES, LANE_NORMAL, 300);
    write_own(1, CASES, LANE_URGENT, 5);
    uint32_t cable = connect_nodes(1, 0);
    gossip_line(nodes[1].gossip, cable + 1, PROFILE_METERED, GOSSIP_URGENT);
    ck_assert(!run(60 * 1000, all_equal));
    size_t without;
    /* Of what is not urgent no more came than the first credit allowed, and nothing went. */
    ck_assert_uint_eq(holding_entries(&nodes[0].holding, &without), 2000 + 7 + 5);
    size_t here = holding_entries(&nodes[1].holding, &without);
    ck_assert_uint_ge(here, 300 + 5 + 7);
    ck_assert_uint_le(here, 300 + 5 + 7 + 65536 / 400);
    ck_assert_uint_eq(frames_of(FRAME_BYE), 1);
    ck_assert_uint_eq(first_of(FRAME_BYE)->mode, BYE_BUDGET);
    ck_assert_uint_eq(nodes[0].holding.hang_up_count, 1);
    ck_assert_uint_eq(nodes[1].holding.hang_up_count, 1);
    size_t count;
    ck_assert_str_eq(gossip_status(nodes[1].gossip, &count)[0].last_ending,
                     "the rest of the byte budget is kept for urgent news");
    ck_assert_ptr_nonnull(
        strstr(gossip_status(nodes[0].gossip, &count)[0].last_ending, "budget of the other side"));
    forget_frames();
    run(HOUR_MS, NULL);
    ck_assert_uint_eq(sniffed_count, 0);
    /* The next day. */
    pull_out(cable);
    plug_in(cable);
    gossip_line(nodes[1].gossip, cable + 1, PROFILE_METERED, GOSSIP_ALL);
    ck_assert(run(120 * 1000, all_equal));
    expect_whole(0, 2312);
}
END_TEST

/* What is urgent waits for what is on its way: on any line but a lan that is little, whatever was granted, and it waits for
 * nothing else. */
START_TEST(little_is_on_its_way_on_a_slow_line_and_urgent_news_overtake_the_rest)
{
    add_node();
    add_node_with(PROFILE_METERED, 262144);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    write_own(1, CASES, LANE_NORMAL, 1);
    connect_nodes(1, 0);
    while (frames_of(FRAME_CHUNK) == 0) {
        turn(0, 8);
        turn(1, 8);
        now_ms += 5;
    }
    /* From now on node 0 reads nothing. */
    forget_frames();
    write_entries(1, 1, CASES, LANE_NORMAL, 2000, 400);
    for (int n = 0; n < 100; n++) {
        turn(1, 8);
        now_ms += 5;
    }
    size_t bytes = 0;
    for (size_t n = 0; n < sniffed_count; n++) {
        bytes += sniffed[n].type == FRAME_CHUNK ? sniffed[n].bytes : 0;
    }
    ck_assert_uint_gt(bytes, PACE_BYTES_START / 2);
    ck_assert_uint_le(bytes,
                      2 * PACE_BYTES_START); /* the first chunk is longer than the limit, and goes alone */
    forget_frames();
    write_own(1, CASES, LANE_URGENT, 1);
    turn(1, 8);
    ck_assert_uint_eq(frames_of(FRAME_CHUNK), 1);
    ck_assert_uint_eq(first_of(FRAME_CHUNK)->chunks, 1);
    ck_assert(run(60 * 1000, all_equal));
}
END_TEST

/* On a metered line the headers of long entries come, and everything else; the rest when somebody asks for it. */
START_TEST(on_a_metered_line_long_payloads_come_when_they_are_asked_for)
{
    size_t without;

    add_node();
    add_node_with(PROFILE_METERED, 262144);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    for (int n = 0; n < 20; n++) {
        write_entries(0, 0, CASES, LANE_NORMAL, 3, 100);
        write_entries(0, 0, CASES, LANE_NORMAL, 1, 9000);
    }
    write_entries(0, 0, CASES, LANE_URGENT, 1, 9000);
    uint32_t cable = connect_nodes(1, 0);
    run(60 * 1000, NULL);
    ck_assert(all_equal());
    ck_assert_uint_eq(holding_entries(&nodes[1].holding, &without), 81);
    ck_assert_uint_eq(without, 20);
    ck_assert_uint_eq(frames_of(FRAME_WANT), 0);
    ck_assert_uint_le(bytes_total, 60 * 250 + 20 * 200 + 9000 + 4000);
    ck_assert_uint_ge(frames_of(FRAME_BYE), 1);
    size_t count;
    ck_assert(!gossip_status(nodes[1].gossip, &count)[0].compartments[1].complete);
    /* Somebody wants to read them. */
    nodes[1].holding.wants_all = true;
    pull_out(cable);
    plug_in(cable);
    forget_frames();
    run(120 * 1000, NULL);
    expect_whole(1, 81);
    ck_assert_uint_eq(frames_of(FRAME_WANT), 20);
    ck_assert_uint_le(bytes_total, 20 * (9000 + 12288) + 10000);
    ck_assert_uint_ge(frames_of(FRAME_BYE), 1);
}
END_TEST

/* Whose greeting came before ours left is not forgotten when the owner sets our line: a metered line was used like a lan. */
START_TEST(a_line_is_set_after_the_peer_greeted)
{
    size_t without;

    add_node();
    add_node_with(PROFILE_METERED, 262144);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    write_entries(1, 1, CASES, LANE_NORMAL, 1, 9000);
    uint32_t cable = connect_nodes(1, 0);
    turn(1, 8);
    struct pipe *pipe = &cables[cable].pipe[0];
    ck_assert_uint_ge(pipe->count, 1);
    gossip_receive(nodes[0].gossip, cable + 1, buf_span(&pipe->frames[0]), now_ms);
    pipe->bytes -= pipe->frames[0].size;
    buf_free(&pipe->frames[0]);
    memmove(pipe->frames, pipe->frames + 1, --pipe->count * sizeof *pipe->frames);
    gossip_line(nodes[0].gossip, cable + 1, PROFILE_LAN, GOSSIP_ALL);
    run(60 * 1000, NULL);
    ck_assert_uint_eq(holding_entries(&nodes[0].holding, &without), 1);
    ck_assert_uint_eq(without, 1);
}
END_TEST

/* Who has only headers gets the rest without being asked, where a line allows it; and passes on what it has. */
START_TEST(on_a_lan_long_payloads_are_asked_for_by_themselves)
{
    add_node();
    add_node_with(PROFILE_METERED, 262144);
    add_node();
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    share(1, 2, CONTROL);
    share(1, 2, CASES);
    share(0, 2, CONTROL);
    share(0, 2, CASES);
    write_entries(0, 0, CASES, LANE_NORMAL, 20, 9000);
    uint32_t cable = connect_nodes(1, 0);
    run(60 * 1000, NULL);
    pull_out(cable);
    gossip_line(nodes[1].gossip, cable + 1, PROFILE_LAN, GOSSIP_ALL);
    uint32_t second = connect_nodes(2, 1);
    gossip_line(nodes[1].gossip, second + 1, PROFILE_LAN, GOSSIP_ALL);
    run(60 * 1000, NULL);
    size_t without;
    ck_assert_uint_eq(holding_entries(&nodes[2].holding, &without), 20);
    ck_assert_uint_eq(without, 20);
    /* The one who has them all. */
    connect_nodes(2, 0);
    run(400 * 1000, NULL);
    expect_whole(2, 20);
    expect_whole(1, 20);
    ck_assert(all_know());
}
END_TEST

START_TEST(a_spent_budget_ends_any_session)
{
    two_nodes();
    write_entries(0, 0, CASES, LANE_NORMAL, 2000, 400);
    uint32_t cable = connect_nodes(0, 1);
    run(20, NULL);
    gossip_line(nodes[0].gossip, cable + 1, PROFILE_LAN, GOSSIP_NONE);
    forget_frames();
    run(10 * 1000, NULL);
    ck_assert_uint_eq(frames_of(FRAME_BYE), 1);
    ck_assert_uint_eq(first_of(FRAME_BYE)->mode, BYE_BUDGET);
    ck_assert_uint_eq(nodes[0].holding.hang_up_count, 1);
    ck_assert_uint_eq(nodes[1].holding.hang_up_count, 1);
}
END_TEST

/* The other side keeps its part for urgent news, and so nothing moves: the line does not stay open for that. */
START_TEST(a_metered_session_in_which_nothing_moves_ends)
{
    struct gossip_log log;

    add_node();
    add_node_with(PROFILE_METERED, 65536);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    write_own(0, CASES, LANE_NORMAL, 3);
    uint32_t cable = connect_nodes(1, 0);
    gossip_line(nodes[0].gossip, cable + 1, PROFILE_WAN, GOSSIP_URGENT);
    run(30 * 1000, NULL);
    /* Both greet as metered then: the one that is limited ends it first. */
    ck_assert_uint_eq(first_of(FRAME_BYE)->mode, BYE_BUDGET);
    pull_out(cable);
    forget_frames();
    plug_in(cable);
    gossip_line(nodes[0].gossip, cable + 1, PROFILE_WAN, GOSSIP_ALL);
    holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
    holding_find(&nodes[0].holding, &log.log_id)->unreadable = true;
    run(3 * 60 * 1000, NULL);
    ck_assert_uint_eq(frames_of(FRAME_BYE), 1);
    ck_assert_uint_eq(first_of(FRAME_BYE)->mode, BYE_IDLE);
}
END_TEST

START_TEST(on_a_wan_only_urgent_entries_go_at_once)
{
    add_node_with(PROFILE_WAN, 65536);
    add_node();
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    connect_nodes(1, 0);
    run(30 * 1000, NULL);
    ck_assert(all_know());
    write_own(0, CASES, LANE_NORMAL, 3);
    run(1000, NULL);
    expect_whole(1, 0);
    write_own(0, CASES, LANE_URGENT, 1);
    run(1000, NULL);
    expect_whole(1, 1);
    ck_assert(run(30 * 1000, all_equal));
    expect_whole(1, 4);
}
END_TEST

START_TEST(flags_keep_a_compartment_from_being_complete)
{
    two_nodes();
    same_on_both(CASES, LANE_NORMAL, 5);
    holding_part(&nodes[1].holding, CASES)->flags = DIGEST_LACKS_PAYLOADS;
    connect_nodes(0, 1);
    run(10 * 1000, NULL);
    ck_assert(all_equal());
    ck_assert(!all_know());
    holding_part(&nodes[1].holding, CASES)->flags = DIGEST_WORKING;
    ck_assert(run(10 * 1000, all_know));
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[0].gossip, &count);
    bool all_visible = true;
    for (size_t n = 0; n < status->compartment_count; n++) {
        all_visible = all_visible && status->compartments[n].visible_complete;
    }
    ck_assert(!all_visible);
}
END_TEST

START_TEST(what_becomes_visible_later_is_acknowledged_again)
{
    two_nodes();
    nodes[1].holding.invisible = true;
    holding_part(&nodes[1].holding, CASES)->flags = DIGEST_WORKING;
    write_own(0, CASES, LANE_NORMAL, 10);
    connect_nodes(0, 1);
    run(5 * 1000, NULL);
    size_t count;
    const struct gossip_peer_status *status = gossip_status(nodes[0].gossip, &count);
    size_t cases = status->compartments[0].compartment.bytes[0] == CASES ? 0 : 1;
    ck_assert_uint_eq(status->compartments[cases].stored_permille, 1000);
    ck_assert_uint_eq(status->compartments[cases].visible_permille, 0);
    size_t acks = frames_of(FRAME_ACK);
    nodes[1].holding.invisible = false;
    run(5 * 1000, NULL);
    status = gossip_status(nodes[0].gossip, &count);
    ck_assert_uint_eq(status->compartments[cases].visible_permille, 1000);
    ck_assert_uint_eq(frames_of(FRAME_ACK), acks + 1);
}
END_TEST

/* --- everything at once --- */

static void
random_write(uint32_t node)
{
    static const uint8_t parts[] = { CONTROL, CASES, OTHER };
    uint8_t part = parts[chance_below(&seed, 3)];
    uint8_t lane = (uint8_t)chance_below(&seed, LANE_COUNT);
    struct gossip_log log;

    if (holding_part(&nodes[node].holding, part) == NULL) {
        return;
    }
    holding_log(&log, &nodes[node].author, part, lane);
    struct held_log *held = holding_find(&nodes[node].holding, &log.log_id);
    if (held != NULL && chance_one_in(&seed, 12)) {
        uint64_t parent = chance_below(&seed, held->count);
        holding_fork(&nodes[node].holding, &nodes[node].author, &log, held->entries[parent].entry.seq, 40,
                     &seed);
    } else {
        uint64_t count = 1 + chance_next(&seed) % (chance_one_in(&seed, 10) ? 150 : 8);
        for (uint64_t n = 0; n < count; n++) {
            uint32_t bytes = chance_one_in(&seed, 50) ? 20000 : 40;
            holding_write(&nodes[node].holding, &nodes[node].author, &log, bytes, &seed);
        }
    }
    gossip_changed(nodes[node].gossip, &log.descriptor.compartment, &log.log_id, now_ms);
}

/* A thief writes on another node's log: a fork that neither of the two knows of. */
static void
random_theft(uint32_t node)
{
    struct holding *holding = &nodes[node].holding;

    if (holding->log_count == 0) {
        return;
    }
    struct held_log *held = holding->logs[chance_below(&seed, holding->log_count)];
    struct gossip_log log = held->log;
    for (uint32_t n = 0; n < node_count; n++) {
        if (memcmp(nodes[n].author.public_key, log.descriptor.sign_pk, SIGN_PK_BYTES) == 0) {
            holding_write(holding, &nodes[n].author, &log, 40, &seed);
            gossip_changed(nodes[node].gossip, &log.descriptor.compartment, &log.log_id, now_ms);
        }
    }
}

/* Nodes in a tree and some cables more, cables pulled and plugged, entries written, logs forked, bits flipped, authors
 * refused for a while, links without room. When all is plugged in and let be: equal, and then silence. */
START_TEST(u1_whatever_happens_they_become_equal_and_then_silent)
{
    seed.state = 1000 + (uint64_t)_i;
    uint32_t count = 2 + (uint32_t)chance_below(&seed, 4);
    for (uint32_t n = 0; n < count; n++) {
        static const uint32_t credits[] = { 65536, 262144 };
        add_node_with(PROFILE_LAN, credits[chance_below(&seed, 2)]);
    }
    /* A tree, so that all are connected; the first two and the last share everything, one in the middle may lack OTHER. */
    for (uint32_t n = 1; n < count; n++) {
        uint32_t to = (uint32_t)chance_below(&seed, n);
        share(n, to, CONTROL);
        share(n, to, CASES);
        if (to == 0) {
            share(n, to, OTHER);
        }
        if (chance_one_in(&seed, 2)) {
            connect_nodes(n, to);
        } else {
            connect_nodes(to, n);
        }
    }
    if (count > 2) {
        share(1, count - 1, CONTROL);
        share(1, count - 1, CASES);
        if (count - 1 != 1) {
            connect_nodes(1, count - 1);
        }
    }
    pipe_bytes_max = chance_one_in(&seed, 3) ? 1 : 200000;
    for (uint32_t step = 0; step < 150; step++) {
        uint32_t node = (uint32_t)chance_below(&seed, count);
        uint32_t cable = (uint32_t)chance_below(&seed, cable_count);
        switch (chance_below(&seed, 16)) {
        case 0:
            if (cables[cable].up) {
                pull_out(cable);
            }
            break;
        case 1:
        case 2:
            if (!cables[cable].up) {
                plug_in(cable);
            }
            break;
        case 3:
            flip_chunk = 1 + (uint32_t)chance_below(&seed, 3);
            break;
        case 4:
            memcpy(nodes[node].holding.refused_author, nodes[chance_below(&seed, count)].author.public_key,
                   SIGN_PK_BYTES);
            break;
        case 5:
            memset(nodes[node].holding.refused_author, 0, SIGN_PK_BYTES);
            gossip_rights_changed(nodes[node].gossip);
            break;
        case 6:
            nodes[node].holding.full = !nodes[node].holding.full;
            break;
        case 7:
            if (chance_one_in(&seed, 4)) {
                random_theft(node);
            }
            break;
        case 8:
            run(chance_below(&seed, 20000), NULL);
            break;
        default:
            random_write(node);
            break;
        }
        run(chance_below(&seed, 40), NULL);
    }
    flip_chunk = 0;
    for (uint32_t n = 0; n < count; n++) {
        memset(nodes[n].holding.refused_author, 0, SIGN_PK_BYTES);
        nodes[n].holding.full = false;
    }
    for (uint32_t n = 0; n < cable_count; n++) {
        if (!cables[n].up) {
            plug_in(n);
        }
    }
    ck_assert_msg(run(2 * HOUR_MS, all_know), "seed %d: not equal after two hours", _i);
    size_t without;
    for (uint32_t n = 0; n < count; n++) {
        ck_assert_uint_gt(holding_entries(&nodes[n].holding, &without), 0);
        ck_assert_msg(without == 0, "seed %d: node %u lacks %zu payloads", _i, n, without);
    }
    run(60 * 1000, NULL);
    forget_frames();
    run(HOUR_MS, NULL);
    ck_assert_msg(frames_of(FRAME_DIGEST) == sniffed_count, "seed %d: they still talk", _i);
    ck_assert_uint_le(sniffed_count, (size_t)cable_count * 2 * 62);
}
END_TEST

/* Two nodes that agree where the logs of a third device end, and of which the first keeps more. */
static struct key_pair *
cut_logs(void)
{
    struct key_pair *author = &add_node()->author;

    write_entries(2, 0, CASES, LANE_NORMAL, 200, 60);
    write_entries(2, 0, CASES, LANE_URGENT, 70, 60);
    for (uint32_t n = 0; n < 2; n++) {
        holding_cut(&nodes[n].holding, author, 10);
    }
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    run(120 * 1000, NULL);
    expect_whole(1, 20);
    return author;
}

START_TEST(what_lies_beyond_a_cut_comes_only_to_an_admin_who_asks)
{
    two_nodes();
    (void)cut_logs();
    struct ident cases = holding_part(&nodes[1].holding, CASES)->id;

    ck_assert_uint_eq(gossip_ask_beyond(nodes[1].gossip, NULL, &cases, now_ms), 1);
    run(60 * 1000, NULL);
    expect_whole(1, 20);
    holding_admin(&nodes[0].holding, &nodes[1].device_id);
    run(120 * 1000, NULL);
    expect_whole(1, 20);
    ck_assert_uint_eq(gossip_ask_beyond(nodes[1].gossip, &nodes[2].device_id, &cases, now_ms), 0);
    ck_assert_uint_eq(gossip_ask_beyond(nodes[1].gossip, &nodes[0].device_id, &cases, now_ms), 1);
    run(10 * 1000, NULL);
    expect_whole(1, 270);
    ck_assert(all_know());
    /* It is in no digest, and goes to nobody unasked. */
    forget_frames();
    run(600 * 1000, NULL);
    ck_assert_uint_eq(frames_of(FRAME_CHUNK), 0);
    ck_assert_uint_eq(frames_of(FRAME_FRONT), 0);
}
END_TEST

START_TEST(what_lies_beyond_a_cut_and_is_here_is_not_sent_again)
{
    two_nodes();
    (void)cut_logs();
    struct ident cases = holding_part(&nodes[1].holding, CASES)->id;

    holding_admin(&nodes[0].holding, &nodes[1].device_id);
    ck_assert_uint_eq(gossip_ask_beyond(nodes[1].gossip, NULL, &cases, now_ms), 1);
    run(10 * 1000, NULL);
    write_entries(2, 0, CASES, LANE_NORMAL, 3, 60);
    write_entries(2, 0, CASES, LANE_BULK, 12, 60); /* a log that the asker has never heard of */
    struct gossip_log log;
    holding_log(&log, &nodes[2].author, CASES, LANE_NORMAL);
    holding_fork(&nodes[0].holding, &nodes[2].author, &log, 150, 60, &seed);
    uint64_t seen = nodes[1].holding.seen_count;
    ck_assert_uint_eq(gossip_ask_beyond(nodes[1].gossip, NULL, &cases, now_ms), 1);
    run(60 * 1000, NULL);
    expect_whole(1, 270 + 3 + 12 + 1);
    ck_assert_uint_eq(nodes[1].holding.seen_count - seen, 2); /* the runs below the fork, again */
    ck_assert(all_know());
}
END_TEST

START_TEST(a_metered_session_waits_for_what_lies_beyond_a_cut)
{
    add_node_with(PROFILE_METERED, 65536);
    add_node();
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    add_node();
    write_entries(2, 0, CASES, LANE_NORMAL, 300, 2000);
    for (uint32_t n = 0; n < 2; n++) {
        holding_cut(&nodes[n].holding, &nodes[2].author, 1);
    }
    holding_admin(&nodes[0].holding, &nodes[1].device_id);
    connect_nodes(0, 1);
    struct ident cases = holding_part(&nodes[1].holding, CASES)->id;
    /* Before all is compared and equal, and the line closed. */
    size_t asked = 0;
    while (asked == 0) {
        ck_assert_uint_eq(frames_of(FRAME_BYE), 0);
        for (uint32_t n = 0; n < node_count; n++) {
            turn(n, 1);
        }
        asked = gossip_ask_beyond(nodes[1].gossip, NULL, &cases, now_ms);
    }
    run(200 * 1000, NULL);
    expect_whole(1, 300);
    ck_assert_uint_ge(frames_of(FRAME_BYE), 1);
}
END_TEST

/* --- records that were made urgent --- */

enum { AUTHORS = 4, QUEUED = 500, QUEUED_BYTES = 300, RECORD = 7, HUB = 1, FAR = 2 };

static struct key_pair authors[AUTHORS];

static void
author_log(struct gossip_log *log, int author, uint8_t lane)
{
    uint8_t key_seed[32] = { 0xa0, (uint8_t)author };

    crypto_sign_pair_from_seed(&authors[author], key_seed);
    holding_log(log, &authors[author], CASES, lane);
}

/* Two thousand entries by four authors at a node, and a few of lane 3. */
static void
fill_queue(uint32_t holder)
{
    struct gossip_log log;

    for (int author = 0; author < AUTHORS; author++) {
        author_log(&log, author, LANE_NORMAL);
        for (int n = 0; n < QUEUED; n++) {
            holding_write(&nodes[holder].holding, &authors[author], &log, QUEUED_BYTES, &seed);
        }
    }
    author_log(&log, 3, LANE_BULK);
    for (int n = 0; n < 60; n++) {
        holding_write(&nodes[holder].holding, &authors[3], &log, QUEUED_BYTES, &seed);
    }
    gossip_changed(nodes[holder].gossip, &log.descriptor.compartment, &log.log_id, now_ms);
}

/* The older entries of the record, as a node knows them that reads it. */
static void
mark_older(uint32_t node)
{
    struct gossip_log log;

    author_log(&log, 1, LANE_NORMAL);
    holding_mark(&nodes[node].holding, &log, 30, RECORD, false);
    author_log(&log, 0, LANE_NORMAL);
    holding_mark(&nodes[node].holding, &log, 50, RECORD, false);
    holding_mark(&nodes[node].holding, &log, 110, RECORD, false);
    author_log(&log, 3, LANE_BULK);
    holding_mark(&nodes[node].holding, &log, 3, RECORD, false);
}

/* Somebody makes the record urgent; `hint`: his entry says so in its header. */
static void
make_urgent(uint32_t node, bool hint)
{
    struct gossip_log log;

    holding_log(&log, &nodes[node].author, CASES, LANE_URGENT);
    const struct held_log *held = holding_find(&nodes[node].holding, &log.log_id);
    for (uint32_t n = 0; n < node_count; n++) {
        holding_mark(&nodes[n].holding, &log, held == NULL ? 0 : held->count, RECORD, hint);
    }
    write_own(node, CASES, LANE_URGENT, 1);
}

/* True if all is here that any node knows of the record. */
static bool
is_whole_at(uint32_t node)
{
    for (size_t n = 0; n < nodes[0].holding.mark_count; n++) {
        const struct held_mark *mark = &nodes[0].holding.marks[n];
        const struct held_log *held = holding_find(&nodes[node].holding, &mark->log_id);
        if (mark->record == RECORD && (held == NULL || held->count <= mark->seq)) {
            return false;
        }
    }
    return true;
}

static bool
is_whole_at_1(void)
{
    return is_whole_at(1);
}

static bool
is_whole_far_away(void)
{
    return is_whole_at(FAR);
}

static uint64_t
pulled_by(uint32_t node)
{
    size_t count;
    const struct gossip_peer_status *peers = gossip_status(nodes[node].gossip, &count);
    uint64_t pulled = 0;

    for (size_t n = 0; n < count; n++) {
        pulled += peers[n].entries_pulled;
    }
    return pulled;
}

/* Up to the run's end of the last older entry in each log. A run of these holds 40, and one of lane 3 ends within the log. */
enum { PULLED = 40 + 120 + 40 };

/* How many bytes pass before the record is whole at the other side. */
static uint64_t
bytes_until_whole(bool hint)
{
    two_nodes();
    fill_queue(0);
    mark_older(0);
    make_urgent(0, hint);
    pipe_bytes_max = 1; /* one message at a time */
    connect_nodes(0, 1);
    ck_assert(run(120 * 1000, is_whole_at_1));
    uint64_t bytes = bytes_total;
    ck_assert_uint_eq(pulled_by(0), hint ? PULLED : 0);
    ck_assert(run(120 * 1000, all_know));
    expect_whole(1, (size_t)AUTHORS * QUEUED + 60 + 1);
    ck_assert_uint_eq(pulled_by(0), hint ? PULLED : 0);
    tear_down();
    set_up();
    return bytes;
}

START_TEST(what_is_older_of_an_urgent_record_goes_before_two_thousand_others)
{
    uint64_t without = bytes_until_whole(false);
    uint64_t with = bytes_until_whole(true);

    (void)printf("an urgent record is whole after %llu bytes, and %llu without the hint\n",
                 (unsigned long long)with, (unsigned long long)without);
    /* The entries that go forward, and the messages of others that were begun: one in the link, one held. */
    ck_assert_uint_le(with, PULLED * (QUEUED_BYTES + 64) + 2 * 12288 + 4096);
    ck_assert_uint_gt(without, 3 * with);
}
END_TEST

/* The link was cut when the urgent entry had gone, and nothing of what is older. */
START_TEST(a_hint_that_went_in_a_session_before_holds_in_the_next)
{
    two_nodes();
    make_urgent(0, true);
    uint32_t cable = connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    pull_out(cable);
    fill_queue(0);
    mark_older(0);
    pipe_bytes_max = 1;
    plug_in(cable);
    ck_assert(run(60 * 1000, is_whole_at_1));
    ck_assert_uint_eq(pulled_by(0), PULLED);
    size_t without;
    ck_assert_uint_le(holding_entries(&nodes[1].holding, &without), PULLED + 1 + 2 * 40);
}
END_TEST

/* Who makes it urgent need not be who has the rest: the hint comes from the peer that lacks it. */
START_TEST(a_hint_of_the_peer_pulls_what_it_lacks)
{
    two_nodes();
    fill_queue(0);
    mark_older(0);
    pipe_bytes_max = 1;
    connect_nodes(0, 1);
    while (nodes[1].holding.log_count == 0) {
        run(5, NULL);
    }
    make_urgent(1, true);
    ck_assert(run(60 * 1000, is_whole_at_1));
    ck_assert_uint_gt(pulled_by(0), 0);
    size_t without;
    ck_assert_uint_le(holding_entries(&nodes[1].holding, &without), PULLED + 1 + 8 * 40);
    ck_assert(run(120 * 1000, all_know));
}
END_TEST

/* Node 0 has the record, node 1 is a hub with a queue of its own, node 2 is far away. */
START_TEST(what_comes_later_to_a_hub_goes_forward_there_too)
{
    struct gossip_log log;

    add_node();
    add_node();
    add_node();
    share(0, HUB, CONTROL);
    share(0, HUB, CASES);
    share(HUB, FAR, CONTROL);
    share(HUB, FAR, CASES);
    author_log(&log, 0, LANE_NORMAL);
    for (int n = 0; n < 35; n++) {
        holding_write(&nodes[0].holding, &authors[0], &log, QUEUED_BYTES, &seed);
    }
    holding_mark(&nodes[0].holding, &log, 30, RECORD, false);
    holding_mark(&nodes[HUB].holding, &log, 30, RECORD, false);
    for (int author = 1; author < AUTHORS; author++) {
        author_log(&log, author, LANE_NORMAL);
        for (int n = 0; n < QUEUED; n++) {
            holding_write(&nodes[HUB].holding, &authors[author], &log, QUEUED_BYTES, &seed);
        }
    }
    /* The urgent entry is at both already; what is older comes to the hub while it sends. */
    make_urgent(HUB, true);
    pipe_bytes_max = 1;
    connect_nodes(HUB, FAR);
    while (nodes[FAR].holding.taken_count < 4) {
        run(5, NULL);
    }
    connect_nodes(0, HUB);
    ck_assert(run(60 * 1000, is_whole_far_away));
    ck_assert_uint_eq(pulled_by(HUB), 35);
    size_t without;
    ck_assert_uint_lt(holding_entries(&nodes[FAR].holding, &without), 3 * QUEUED / 2);
}
END_TEST

START_TEST(what_is_urgent_and_keys_go_before_what_was_pulled)
{
    two_nodes();
    fill_queue(0);
    mark_older(0);
    make_urgent(0, true);
    pipe_bytes_max = 1;
    connect_nodes(0, 1);
    while (strchr(lanes, '2') == NULL) {
        run(5, NULL);
    }
    size_t before = strlen(lanes);
    ck_assert(!is_whole_at_1());
    write_own(0, CASES, LANE_URGENT, 1);
    write_own(0, CASES, LANE_CONTROL, 1);
    ck_assert(run(60 * 1000, is_whole_at_1));
    const char *key = strchr(lanes + before, '0');
    const char *urgent = strchr(lanes + before, '1');
    ck_assert_ptr_nonnull(key);
    ck_assert_ptr_nonnull(urgent);
    /* One message in the link and one held, each of one run. */
    ck_assert_uint_le((size_t)(key - lanes), before + 2);
    ck_assert_uint_le((size_t)(urgent - lanes), before + 3);
    ck_assert_ptr_nonnull(strchr(urgent, '2'));
}
END_TEST

/* Nobody is made to work without end: of many hints the last count, an entry is looked at once, and a record where something moved. */
START_TEST(of_many_hints_the_last_count_and_the_work_is_bounded)
{
    struct gossip_log log;
    struct gossip_log urgent;

    two_nodes();
    fill_queue(0);
    holding_log(&urgent, &nodes[0].author, CASES, LANE_URGENT);
    author_log(&log, 2, LANE_NORMAL);
    for (uint32_t n = 0; n < 250; n++) {
        holding_mark(&nodes[0].holding, &urgent, n, 1000 + n, true);
        holding_mark(&nodes[0].holding, &log, n == 249 ? 10 : 499 - n, 1000 + n, false);
    }
    write_own(0, CASES, LANE_URGENT, 250);
    connect_nodes(0, 1);
    ck_assert(run(120 * 1000, all_know));
    ck_assert_uint_eq(nodes[0].holding.looked_count, 64);
    ck_assert_uint_eq(nodes[0].holding.ends_count, 64);
    /* The 64 last ones end at 499 - 186 = 313, in the run that ends at 320; those before them at up to 499. */
    ck_assert_uint_eq(pulled_by(0), 320);
    /* The peer lacks nothing, so its own sending looks at nothing. */
    ck_assert_uint_eq(nodes[1].holding.looked_count, 0);
    expect_whole(1, (size_t)AUTHORS * QUEUED + 60 + 250);
}
END_TEST

START_TEST(nothing_is_looked_at_where_nothing_waits)
{
    two_nodes();
    make_urgent(0, true);
    connect_nodes(0, 1);
    ck_assert(run(60 * 1000, all_know));
    ck_assert_uint_eq(nodes[0].holding.looked_count, 0);
    ck_assert_uint_eq(nodes[0].holding.ends_count, 0);
}
END_TEST

/* What is kept of a budget for urgent news is not for what they pull. */
START_TEST(a_hint_opens_no_budget)
{
    add_node();
    add_node_with(PROFILE_METERED, 262144);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    fill_queue(1);
    mark_older(1);
    make_urgent(1, true);
    uint32_t cable = connect_nodes(1, 0);
    gossip_line(nodes[1].gossip, cable + 1, PROFILE_METERED, GOSSIP_URGENT);
    run(60 * 1000, NULL);
    expect_whole(0, 1);
    ck_assert_uint_eq(pulled_by(1), 0);
    ck_assert_uint_eq(nodes[1].holding.looked_count, 0);
}
END_TEST

/* On a metered line the header of a long text comes first, whatever it is of. */
START_TEST(a_long_text_that_was_pulled_comes_when_it_is_asked_for)
{
    struct gossip_log log;
    size_t without;

    add_node();
    add_node_with(PROFILE_METERED, 262144);
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    author_log(&log, 0, LANE_NORMAL);
    holding_write(&nodes[0].holding, &authors[0], &log, 100, &seed);
    holding_write(&nodes[0].holding, &authors[0], &log, 9000, &seed);
    holding_mark(&nodes[0].holding, &log, 1, RECORD, false);
    make_urgent(0, true);
    connect_nodes(1, 0);
    run(60 * 1000, NULL);
    ck_assert(all_equal());
    ck_assert_uint_eq(pulled_by(0), 2);
    ck_assert_uint_eq(holding_entries(&nodes[1].holding, &without), 3);
    ck_assert_uint_eq(without, 1);
}
END_TEST

START_TEST(on_a_wan_what_was_pulled_does_not_wait_for_company)
{
    struct gossip_log log;

    add_node_with(PROFILE_WAN, 65536);
    add_node();
    share(0, 1, CONTROL);
    share(0, 1, CASES);
    connect_nodes(1, 0);
    run(30 * 1000, NULL);
    ck_assert(all_know());
    write_own(0, CASES, LANE_NORMAL, 3);
    holding_log(&log, &nodes[0].author, CASES, LANE_NORMAL);
    holding_mark(&nodes[0].holding, &log, 1, RECORD, false);
    run(1000, NULL);
    expect_whole(1, 0);
    make_urgent(0, true);
    run(1000, NULL);
    expect_whole(1, 4);
}
END_TEST

/* A log that forked is pulled on every branch. */
START_TEST(what_is_older_is_pulled_on_every_branch)
{
    struct gossip_log log;

    two_nodes();
    fill_queue(0);
    author_log(&log, 1, LANE_NORMAL);
    holding_fork(&nodes[0].holding, &authors[1], &log, 39, QUEUED_BYTES, &seed);
    holding_mark(&nodes[0].holding, &log, 40, RECORD, false);
    make_urgent(0, true);
    connect_nodes(0, 1);
    ck_assert(run(120 * 1000, all_know));
    /* Of the longer branch to the end of the run that entry 40 is in, and of the other one entry more. */
    ck_assert_uint_ge(pulled_by(0), 80 + 1);
    ck_assert_uint_le(pulled_by(0), 80 + 1 + 40);
    expect_whole(1, (size_t)AUTHORS * QUEUED + 60 + 1 + 1);
}
END_TEST

/* Check's list of tests has no loops: each is a program's test with a range of its own. */
/* --- lines that keep a schedule --- */

START_TEST(n12_over_a_line_with_a_schedule_nothing_is_asked_twice)
{
    enum { BEAT_S = 30, BEATS_MAX = 30 };

    two_nodes();
    same_on_both(CONTROL, LANE_CONTROL, 3);
    write_own(0, CASES, LANE_NORMAL, 40);
    write_own(1, CASES, LANE_NORMAL, 10);
    uint32_t cable = connect_nodes(0, 1);
    keep_schedules(cable, BEAT_S, 1024);
    ck_assert(run(BEATS_MAX * BEAT_S * 1000, all_know));
    ck_assert_uint_eq(frames_of(FRAME_HELLO), 2);
    ck_assert_uint_le(frames_of(FRAME_FRONT), 2);
    /* An answer that takes minutes is no silence: nobody looks closer. */
    ck_assert_uint_eq(frames_of(FRAME_HEADS), 0);
    ck_assert_uint_eq(frames_of(FRAME_WANT), 0);
    ck_assert_uint_eq(frames_of(FRAME_DENY), 0);
    /* Nor after what is written later. */
    forget_frames();
    run(20 * BEAT_S * 1000, NULL);
    write_own(0, CASES, LANE_BULK, 1);
    ck_assert(run(3 * BEAT_S * 1000, all_equal));
    ck_assert(run(10 * BEAT_S * 1000, all_know));
    ck_assert_uint_eq(frames_of(FRAME_FRONT) + frames_of(FRAME_HEADS) + frames_of(FRAME_WANT), 0);
}
END_TEST

static bool
urgent_is_there(void)
{
    const struct holding_part *part = holding_part(&nodes[1].holding, CASES);

    return part->frontier.count > 1;
}

START_TEST(on_a_line_with_a_schedule_what_is_urgent_waits_for_few_beats)
{
    enum { BEAT_S = 10, BYTES = 4096 };

    two_nodes();
    same_on_both(CONTROL, LANE_CONTROL, 3);
    /* Some 100 beats of it. */
    write_entries(0, 0, CASES, LANE_BULK, 400, 1000);
    uint32_t cable = connect_nodes(0, 1);
    keep_schedules(cable, BEAT_S, BYTES);
    run(20 * BEAT_S * 1000, NULL);
    ck_assert(!all_equal() && !urgent_is_there());
    uint64_t before = now_ms;
    write_own(0, CASES, LANE_URGENT, 1);
    ck_assert(run(100 * BEAT_S * 1000, urgent_is_there));
    ck_assert_uint_le(now_ms - before, 8 * BEAT_S * 1000);
    ck_assert(run(150 * BEAT_S * 1000, all_equal));
    ck_assert_uint_eq(frames_of(FRAME_HEADS) + frames_of(FRAME_WANT), 0);
}
END_TEST

START_TEST(on_a_line_with_a_schedule_beats_are_used_and_nothing_waits_for_company)
{
    enum { BEAT_S = 5, BYTES = 16384, ENTRIES = 400, ENTRY_BYTES_ABOUT = 1100 };

    two_nodes();
    same_on_both(CONTROL, LANE_CONTROL, 3);
    same_on_both(CASES, LANE_NORMAL, 1);
    uint32_t cable = connect_nodes(0, 1);
    keep_schedules(cable, BEAT_S, BYTES);
    ck_assert(run(20 * BEAT_S * 1000, all_know));
    uint64_t before = now_ms;
    write_own(0, CASES, LANE_BULK, 1);
    ck_assert(run(10 * BEAT_S * 1000, all_equal));
    ck_assert_uint_le(now_ms - before, (BEAT_S + 1) * 1000);
    before = now_ms;
    write_entries(0, 0, CASES, LANE_BULK, ENTRIES, 1000);
    ck_assert(run(1000 * BEAT_S * 1000, all_equal));
    ck_assert_uint_le(now_ms - before, 2 * ENTRIES * ENTRY_BYTES_ABOUT / BYTES * BEAT_S * 1000);
}
END_TEST

/* A minute is shorter than a beat: compared each minute, such a line would carry nothing but digests. */
START_TEST(on_a_line_with_a_schedule_digests_leave_room_for_news)
{
    enum { BEAT_S = 600 };

    two_nodes();
    same_on_both(CONTROL, LANE_CONTROL, 3);
    uint32_t cable = connect_nodes(0, 1);
    keep_schedules(cable, BEAT_S, 256);
    ck_assert(run(3 * (uint64_t)HOUR_MS, all_know));
    forget_frames();
    run(10 * (uint64_t)HOUR_MS, NULL);
    ck_assert_uint_gt(frames_of(FRAME_DIGEST), 0);
    ck_assert_uint_le(frames_of(FRAME_DIGEST), 2 * 10 * 3600 / BEAT_S / 2);
    write_own(0, CASES, LANE_NORMAL, 1);
    ck_assert(run(4 * (uint64_t)HOUR_MS, all_know));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_cold_equal_session_costs_1400_bytes_at_most,
        a_warm_equal_check_costs_160_bytes_at_most,
        an_idle_hour_costs_two_digests_a_minute,
        what_one_lacks_the_other_sends_and_both_know_it,
        what_is_written_while_the_peer_is_away_is_not_called_stored_there,
        a_new_entry_goes_out_in_the_turn_it_was_saved_in,
        what_is_more_than_a_message_is_announced_and_counted_down,
        what_cannot_be_read_is_announced_no_more,
        how_far_a_peer_says_it_has_a_log_is_told_while_it_is_connected,
        what_waits_for_a_line_is_told_by_lane_and_what_is_on_it,
        what_came_from_elsewhere_is_announced_no_more,
        control_is_equal_before_anything_else_is_sent,
        it_is_said_when_both_hold_the_same_of_control_and_not_before,
        lanes_0_and_1_go_strictly_first,
        an_urgent_entry_overtakes_a_thousand_others,
        n11_compartments_that_are_not_shared_are_never_named,
        a_thousand_logs_cross_once_and_then_cost_what_has_changed,
        a_checkpoint_that_one_side_lost_falls_back,
        a_cut_link_resumes_where_it_was,
        a_third_branch_joins_two,
        i14_nobody_is_said_to_be_set_back_for_a_branch_that_does_not_go_as_far,
        a_fork_above_a_fork_is_found_below_both,
        i14_who_gives_a_peer_its_own_lost_tail_says_that_it_was_set_back,
        i14_who_gives_a_peer_logs_of_its_own_that_it_no_longer_names_says_so,
        i14_nobody_is_said_to_be_set_back_who_lacks_nothing_of_its_own,
        a_run_that_ends_on_one_branch_only_reaches_a_third_node,
        more_than_the_credit_comes_over_in_pieces,
        a_link_without_room_loses_nothing,
        n10_who_floods_keeps_nobody_else_waiting,
        n10_more_than_the_credit_ends_the_session,
        an_author_that_is_unknown_is_asked_for_again,
        a_node_that_is_full_stops_its_peer_and_goes_on_later,
        u3_a_flipped_bit_is_refused_and_counted_and_the_session_lives,
        n8_what_was_recorded_and_is_sent_again_changes_nothing,
        a_malformed_frame_ends_the_session_which_begins_anew,
        a_log_that_cannot_be_read_does_not_stop_the_others,
        u10_a_gap_is_asked_for,
        protocols_without_a_common_version_part,
        a_device_that_shares_nothing_is_told_so,
        a_compartment_shared_later_is_opened_in_the_same_session,
        a_certificate_that_left_ends_the_session_and_names_no_more,
        stopping_says_goodbye_and_keeps_checkpoints,
        a_metered_session_closes_when_all_is_equal,
        of_a_budget_the_last_part_carries_urgent_news_alone,
        on_a_metered_line_long_payloads_come_when_they_are_asked_for,
        a_line_is_set_after_the_peer_greeted,
        on_a_lan_long_payloads_are_asked_for_by_themselves,
        a_spent_budget_ends_any_session,
        little_is_on_its_way_on_a_slow_line_and_urgent_news_overtake_the_rest,
        a_metered_session_in_which_nothing_moves_ends,
        on_a_wan_only_urgent_entries_go_at_once,
        flags_keep_a_compartment_from_being_complete,
        what_becomes_visible_later_is_acknowledged_again,
        what_lies_beyond_a_cut_comes_only_to_an_admin_who_asks,
        what_lies_beyond_a_cut_and_is_here_is_not_sent_again,
        a_metered_session_waits_for_what_lies_beyond_a_cut,
        what_is_older_of_an_urgent_record_goes_before_two_thousand_others,
        a_hint_that_went_in_a_session_before_holds_in_the_next,
        a_hint_of_the_peer_pulls_what_it_lacks,
        what_comes_later_to_a_hub_goes_forward_there_too,
        what_is_urgent_and_keys_go_before_what_was_pulled,
        of_many_hints_the_last_count_and_the_work_is_bounded,
        nothing_is_looked_at_where_nothing_waits,
        a_hint_opens_no_budget,
        a_long_text_that_was_pulled_comes_when_it_is_asked_for,
        on_a_wan_what_was_pulled_does_not_wait_for_company,
        what_is_older_is_pulled_on_every_branch,
        n12_over_a_line_with_a_schedule_nothing_is_asked_twice,
        on_a_line_with_a_schedule_what_is_urgent_waits_for_few_beats,
        on_a_line_with_a_schedule_beats_are_used_and_nothing_waits_for_company,
        on_a_line_with_a_schedule_digests_leave_room_for_news,
    };
    Suite *suite = suite_create("gossip");
    TCase *tcase = tcase_create("gossip");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, TEST_SECONDS_MAX);
    for (size_t n = 0; n < sizeof tests / sizeof tests[0]; n++) {
        tcase_add_test(tcase, tests[n]);
    }
    tcase_add_loop_test(tcase, both_branches_of_a_fork_come_to_both, 0, sizeof forks / sizeof forks[0]);
    tcase_add_loop_test(tcase, a_branch_that_was_erased_comes_to_both, 0, sizeof forks / sizeof forks[0]);
    tcase_add_loop_test(tcase, of_two_connections_the_one_of_the_smaller_device_stays, 0, 2);
    tcase_add_loop_test(tcase, u1_whatever_happens_they_become_equal_and_then_silent, 0, 60);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
