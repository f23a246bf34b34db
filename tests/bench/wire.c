#include "tests/bench/bench.h"
#include "tests/bench/scene.h"

#include "sync/gossip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What ZMTP and CURVE add to a frame: its head, the name of the command, a short nonce and a box's tag. */
enum { CURVE_BYTES = 33, HEAD_SHORT_BYTES = 2, HEAD_LONG_BYTES = 9, HEAD_SHORT_MAX = 255 };
enum { LOGS = 1000, MOVED = 50, ROUNDS_MAX = 20000, QUIET_ROUNDS = 200, ROUND_MS = 10 };

static uint64_t
on_the_wire(size_t frame_bytes)
{
    size_t size = frame_bytes + CURVE_BYTES;

    return size + (size <= HEAD_SHORT_MAX ? HEAD_SHORT_BYTES : HEAD_LONG_BYTES);
}

/* --- frontiers of a thousand logs --- */

static bool
set_tip(struct frontier *frontier, uint64_t n, uint64_t seq)
{
    struct tip tip = { .seq = seq };

    CRYPTO_HASH(&tip.log_id, "vigil.bench.log", span_of(&n, sizeof n));
    CRYPTO_HASH(&tip.entry_id, "vigil.bench.ent", span_of(&n, sizeof n), span_of(&seq, sizeof seq));
    return frontier_set(frontier, &tip) == ERR_OK;
}

static void
measure_frontiers(struct bench *bench)
{
    static const uint8_t tag[TAG_BYTES] = { 1 };
    struct frontier frontier = { 0 };
    struct checkpoint checkpoint = { 0 };
    struct buf frame = { 0 };
    bool good = true;

    for (uint64_t n = 0; good && n < LOGS; n++) {
        good = set_tip(&frontier, n, 100 + n * 37 % 5000);
    }
    good = good && checkpoint_take(&checkpoint, &frontier, 1) == ERR_OK;
    for (uint64_t n = 0; good && n < MOVED; n++) {
        uint64_t moved = n * (LOGS / MOVED);
        good = set_tip(&frontier, moved, 100 + moved * 37 % 5000 + 1 + n % 20);
    }
    if (!good || front_best_mode(&frontier, &checkpoint) != FRONT_DELTA) {
        bench_fail(bench, "a frontier over a checkpoint cannot be told as its changes");
    } else {
        front_build(&frame, tag, &frontier, FRONT_DELTA, &checkpoint);
        bench_report(&(struct figure){ .what = "frontier, 50 of 1,000 logs changed",
                                       .measured = (double)frame.size,
                                       .unit = "B",
                                       .bound = AT_MOST,
                                       .limit = 160 });
        buf_clear(&frame);
        front_build(&frame, tag, &frontier, FRONT_HEADS, &checkpoint);
        bench_report(&(struct figure){ .what = "frontier, 1,000 logs, whole",
                                       .measured = (double)frame.size,
                                       .unit = "B",
                                       .bound = AT_MOST,
                                       .limit = 2300 });
    }
    buf_free(&frame);
    checkpoint_free(&checkpoint);
    frontier_free(&frontier);
}

/* --- two nodes --- */

struct waiting_frame {
    struct buf bytes;
    struct waiting_frame *next;
};

struct pair;

struct side {
    struct pair *pair;
    size_t index;
    struct world world;
    struct replica *replica;
    struct gossip *gossip;
    struct waiting_frame *first; /* on their way to this side */
    struct waiting_frame **last;
};

struct pair {
    struct scene *scene;
    struct side sides[2];
    uint64_t now_ms;
    uint64_t bytes; /* of frames, both ways */
    uint64_t wire_bytes;
    uint64_t frames;
    bool failed;
};

static uint64_t
side_wall_ms(void *self)
{
    const struct side *side = self;

    return world_wall_ms(&side->pair->scene->world);
}

static uint64_t
side_steady_ms(void *self)
{
    return ((struct side *)self)->pair->now_ms;
}

static void
side_random(void *self, void *out, size_t size)
{
    const struct side *side = self;

    world_random(&side->pair->scene->world, out, size);
}

static enum err
side_disk(void *self, enum world_disk step)
{
    (void)self;
    (void)step;
    return ERR_OK;
}

static bool
side_send(void *self, uint32_t peer, struct span frame)
{
    struct side *side = self;
    struct pair *pair = side->pair;
    struct side *other = &pair->sides[1 - side->index];
    struct waiting_frame *waiting = calloc(1, sizeof *waiting);

    (void)peer;
    if (waiting == NULL) {
        pair->failed = true;
        return false;
    }
    buf_put_span(&waiting->bytes, frame);
    *other->last = waiting;
    other->last = &waiting->next;
    pair->bytes += frame.size;
    pair->wire_bytes += on_the_wire(frame.size);
    pair->frames++;
    return true;
}

static void
count_anew(struct pair *pair)
{
    pair->bytes = 0;
    pair->wire_bytes = 0;
    pair->frames = 0;
}

/* A turn of one side: what has arrived, then its answers. */
static void
turn(struct side *side)
{
    struct pair *pair = side->pair;

    if (replica_begin(side->replica) != ERR_OK) {
        pair->failed = true;
        return;
    }
    while (side->first != NULL) {
        struct waiting_frame *frame = side->first;
        side->first = frame->next;
        if (side->first == NULL) {
            side->last = &side->first;
        }
        gossip_receive(side->gossip, 1, buf_span(&frame->bytes), pair->now_ms);
        buf_free(&frame->bytes);
        free(frame);
    }
    gossip_tick(side->gossip, pair->now_ms);
    pair->failed |= replica_commit(side->replica) != ERR_OK;
    (void)gossip_flush(side->gossip, pair->now_ms);
}

/* Let both talk until neither has anything to say for a while. */
static void
settle(struct pair *pair)
{
    int quiet = 0;

    for (int round = 0; round < ROUNDS_MAX && quiet < QUIET_ROUNDS && !pair->failed; round++) {
        uint64_t frames = pair->frames;
        pair->now_ms += ROUND_MS;
        turn(&pair->sides[0]);
        turn(&pair->sides[1]);
        quiet = pair->frames == frames ? quiet + 1 : 0;
    }
}

static bool
both_equal(struct pair *pair)
{
    for (size_t n = 0; n < 2; n++) {
        size_t count;
        const struct gossip_peer_status *status = gossip_status(pair->sides[n].gossip, &count);
        if (count != 1 || status[0].state != GOSSIP_EQUAL) {
            return false;
        }
    }
    return true;
}

static bool
meet(struct pair *pair)
{
    struct scene *scene = pair->scene;

    for (size_t n = 0; n < 2; n++) {
        pair->failed |= gossip_up(pair->sides[n].gossip, 1, &scene->readers[1 - n].identity.device_id, n == 0,
                                  pair->now_ms) != ERR_OK;
    }
    settle(pair);
    return !pair->failed && both_equal(pair);
}

static void
part(struct pair *pair)
{
    for (size_t n = 0; n < 2; n++) {
        gossip_down(pair->sides[n].gossip, 1, "the bench parts them", pair->now_ms);
    }
    pair->now_ms += 1000;
}

static bool
pair_open(struct pair *pair, struct scene *scene, struct bench *bench)
{
    static const char *const names[] = { "left", "right" };

    *pair = (struct pair){ .scene = scene, .now_ms = 1000 };
    for (size_t n = 0; n < 2; n++) {
        struct side *side = &pair->sides[n];
        *side = (struct side){ .pair = pair, .index = n };
        side->last = &side->first;
        side->world = (struct world){ .self = side,
                                      .wall_ms = side_wall_ms,
                                      .steady_ms = side_steady_ms,
                                      .random = side_random,
                                      .send = side_send,
                                      .disk = side_disk };
        side->replica = scene_copy(scene, bench, n, names[n], workload_codebook());
        if (side->replica == NULL) {
            return false;
        }
        struct gossip_options options = { .world = &side->world,
                                          .store = replica_gossip_store(side->replica),
                                          .device_id = scene->readers[n].identity.device_id,
                                          .control = *roster_control(replica_roster(side->replica)),
                                          .profile = PROFILE_LAN,
                                          .version = "bench",
                                          .credit_bytes = 1 << 20 };
        if (gossip_open(&side->gossip, &options) != ERR_OK) {
            return false;
        }
    }
    return true;
}

static void
pair_close(struct pair *pair)
{
    for (size_t n = 0; n < 2; n++) {
        struct side *side = &pair->sides[n];
        while (side->first != NULL) {
            struct waiting_frame *frame = side->first;
            side->first = frame->next;
            buf_free(&frame->bytes);
            free(frame);
        }
        gossip_close(&side->gossip);
        replica_close(&side->replica);
    }
}

static void
report_talk(const struct pair *pair, const char *what, double limit)
{
    bench_report(&(struct figure){
        .what = what, .measured = (double)pair->bytes, .unit = "B", .bound = AT_MOST, .limit = limit });
    bench_note("%" PRIu64 " frames, both ways together; %" PRIu64 " B with ZMTP and CURVE around them",
               pair->frames, pair->wire_bytes);
}

static void
measure_talk(struct bench *bench)
{
    struct scene scene;
    struct pair pair;

    if (!scene_make(&scene, bench)) {
        return;
    }
    bool good = pair_open(&pair, &scene, bench) && meet(&pair);
    if (good) {
        part(&pair);
        count_anew(&pair);
        good = meet(&pair);
        report_talk(&pair, "session between equal nodes, cold", 1400);
        count_anew(&pair);
        gossip_compare(pair.sides[0].gossip, NULL, pair.now_ms);
        settle(&pair);
        report_talk(&pair, "check between equal nodes, warm", 160);
    }
    if (!good || pair.failed) {
        bench_fail(bench, "two nodes of one organisation do not come to the same");
    }
    pair_close(&pair);
    scene_free(&scene);
}

void
wire_measure(struct bench *bench)
{
    struct workload_world world;
    struct workload_logs logs;

    workload_world_init(&world, 1);
    if (workload_build(&logs, bench->entries, &world) != ERR_OK) {
        bench_fail(bench, "the workload could not be built");
        return;
    }
    bench_report(&(struct figure){ .what = "an entry in a chunk",
                                   .measured = (double)logs.sizes.chunks / (double)logs.sizes.entries,
                                   .unit = "B",
                                   .bound = AT_MOST,
                                   .limit = 150 });
    workload_logs_free(&logs);
    measure_frontiers(bench);
    measure_talk(bench);
}
