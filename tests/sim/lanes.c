/* A slow link and much to send: at every chunk boundary control and keys go first, then what is urgent. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

enum { BACKLOG_TURNS = 200, INTRODUCED_MAX = 200, SECOND_MS = 1000 };

struct lanes {
    uint8_t introduced[INTRODUCED_MAX]; /* lanes of the sender's logs, in their order */
    size_t introduced_count;
    int last;         /* lane of the last chunk */
    bool urgent;      /* something urgent was saved meanwhile */
    bool seen[4];     /* since then */
    size_t counts[4]; /* chunks by lane */
};

static int
lane_of(struct lanes *lanes, const struct chunk_item *item)
{
    struct descriptor descriptor;

    if (item->log.ref == LOG_REF_NEW) {
        bool whole = descriptor_read(item->log.name, &descriptor);

        assert(whole && lanes->introduced_count < INTRODUCED_MAX);
        lanes->introduced[lanes->introduced_count++] = descriptor.lane;
        return descriptor.lane;
    }
    assert(item->log.ref >= LOG_REF_FIRST && item->log.ref - LOG_REF_FIRST < lanes->introduced_count);
    return lanes->introduced[item->log.ref - LOG_REF_FIRST];
}

static void
look(struct sim *sim, struct sim_conn *conn, int way, struct span bytes)
{
    struct lanes *lanes = sim->on_send_self;
    struct frame frame;
    struct chunk_item item;

    if (strcmp(sim->nodes[conn->ends[way].node].device->name, "KEN-1") != 0 || !frame_read(bytes, &frame) ||
        frame.type != FRAME_CHUNK) {
        return;
    }
    while (chunk_next(&frame.chunks, &item)) {
        int lane = lane_of(lanes, &item);

        if (lanes->urgent) {
            if (lane > 1 && !(lanes->seen[0] && lanes->seen[1])) {
                sim_fail(sim, "lane %d goes on while keys and an urgent entry wait", lane);
            }
        } else if (lane < lanes->last) {
            sim_fail(sim, "lane %d comes after lane %d", lane, lanes->last);
        }
        lanes->last = lane;
        lanes->seen[lane] = true;
        lanes->counts[lane]++;
    }
}

static void
save_some(struct sim *sim, struct sim_node *node)
{
    node->mute = false;
    node->save_ms = sim->now_ms;
    sim_pass_until(sim, sim->now_ms + 50);
    node->mute = true;
}

/* A new record, urgently. */
static void
save_urgently(struct sim *sim, struct sim_node *node)
{
    const struct target kind = { .field = FIELD_KIND };
    const uint8_t value[] = { 1 };
    const struct save_op op = { .code = OP_SET, .target = kind, .value = span_of(value, sizeof value) };
    const struct save save = { .compartment =
                                   shape_compartment_of(sim->shape, node->device->office, OWN_CASES)->id,
                               .create = true,
                               .urgent = true,
                               .actor = 1,
                               .ops = &op,
                               .op_count = 1 };
    struct saved saved;
    size_t op_no;
    enum err err = replica_begin(node->replica);

    if (err == ERR_OK) {
        err = replica_save(node->replica, &save, &saved, &op_no);
    }
    if (err == ERR_OK) {
        err = replica_commit(node->replica);
    }
    if (err == ERR_OK) {
        err = replica_anchor(node->replica);
    }
    if (err != ERR_OK) {
        sim_fail(sim, "an urgent save: %s", err_code(err));
    }
    node->flush_due = true;
    node->flush_ms = sim->now_ms;
}

void
lanes_run(const struct shape *shape, const char *directory, FILE *trace)
{
    static struct sim sim;
    struct lanes lanes = { .last = 0 };
    char why[300] = "";

    if (mkdir(directory, 0700) != 0) {
        perror(directory);
        return;
    }
    sim_init(&sim, 1, shape, directory, trace);
    sim.step = STEPS - 1;
    sim.node_count = 2; /* HQ-1 and KEN-1 */
    for (size_t n = 0; n < sim.node_count; n++) {
        sim.nodes[n].map_bytes = 16 << 20;
        sim.nodes[n].mute = true;
        node_join(&sim.nodes[n]);
    }
    sim_pass_until(&sim, 5 * SECOND_MS);
    for (int turn = 0; turn < BACKLOG_TURNS; turn++) {
        save_some(&sim, &sim.nodes[1]);
    }
    sim.on_send = look;
    sim.on_send_self = &lanes;
    sim.links[0] =
        (struct sim_link){ .a = 0, .b = 1, .latency_ms = 300, .bytes_per_s = 2000, .window = 128 << 10 };
    sim.link_count = 1;
    while (lanes.counts[2] == 0) {
        sim_pass(&sim);
        if (sim.now_ms > 600 * SECOND_MS) {
            sim_fail(&sim, "nothing of the backlog was ever sent");
        }
    }
    if (lanes.counts[0] == 0 || lanes.counts[1] == 0) {
        sim_fail(&sim, "the backlog holds no keys, or nothing urgent: this proves nothing");
    }
    lanes.urgent = true;
    memset(lanes.seen, 0, sizeof lanes.seen);
    save_urgently(&sim, &sim.nodes[1]);
    size_t before = lanes.counts[2];
    while (!check_settled(&sim, why, sizeof why)) {
        sim_pass_until(&sim, sim.now_ms + SECOND_MS);
        if (sim.now_ms > 3600 * SECOND_MS) {
            sim_fail(&sim, "not settled: %s", why);
        }
    }
    if (lanes.counts[2] == before) {
        sim_fail(&sim, "nothing was left to send when something urgent came: this proves nothing");
    }
    (void)printf("chunks by lane: %zu, %zu, %zu; %zu of them after the urgent save\n", lanes.counts[0],
                 lanes.counts[1], lanes.counts[2], lanes.counts[2] - before);
    sim_free(&sim);
    remove_tree(directory);
}
