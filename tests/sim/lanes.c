/* A slow link and much to send: at every chunk boundary control and keys go first, then what is urgent, then what is older of an old
 * record that was made urgent. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

enum { BACKLOG_TURNS = 500, INTRODUCED_MAX = 200, SECOND_MS = 1000 };

/* A log as the sender introduced it. */
struct sent_log {
    uint8_t lane;
    bool is_of_cases; /* KEN's, in lane 2 */
    uint64_t next;    /* entries below it have gone */
};

struct lanes {
    struct sent_log logs[INTRODUCED_MAX]; /* in the sender's order */
    size_t log_count;
    struct ident cases;
    int last;         /* lane of the last chunk */
    bool urgent;      /* something urgent was saved meanwhile */
    bool seen[4];     /* since then */
    size_t counts[4]; /* chunks by lane */
    /* An old record was made urgent: of KEN's cases in lane 2 all before `whole_next` go before anything else of lanes 2 and 3. */
    bool hastened;
    bool hinted; /* the entry that says so has gone */
    uint64_t whole_next;
    size_t pulled; /* chunks */
};

static struct sent_log *
log_of(struct lanes *lanes, const struct chunk_item *item)
{
    struct descriptor descriptor;

    if (item->log.ref == LOG_REF_NEW) {
        bool whole = descriptor_read(item->log.name, &descriptor);
        struct sent_log *log = &lanes->logs[lanes->log_count];

        assert(whole && lanes->log_count < INTRODUCED_MAX);
        log->lane = descriptor.lane;
        log->is_of_cases =
            descriptor.lane == LANE_NORMAL && ident_equal(&descriptor.compartment, &lanes->cases);
        lanes->log_count++;
        return log;
    }
    assert(item->log.ref >= LOG_REF_FIRST && item->log.ref - LOG_REF_FIRST < lanes->log_count);
    return &lanes->logs[item->log.ref - LOG_REF_FIRST];
}

/* How far KEN's cases in lane 2 have gone. */
static uint64_t
sent_of_cases(const struct lanes *lanes)
{
    for (size_t n = 0; n < lanes->log_count; n++) {
        if (lanes->logs[n].is_of_cases) {
            return lanes->logs[n].next;
        }
    }
    return 0;
}

static void
look_at_lane(struct sim *sim, struct lanes *lanes, const struct sent_log *log)
{
    if (lanes->urgent && log->lane > LANE_URGENT && !(lanes->seen[0] && lanes->seen[1])) {
        sim_fail(sim, "lane %d goes on while keys and an urgent entry wait", log->lane);
    } else if (!lanes->urgent && log->lane < lanes->last) {
        sim_fail(sim, "lane %d comes after lane %d", log->lane, lanes->last);
    }
    if (lanes->hinted && log->lane > LANE_URGENT && sent_of_cases(lanes) < lanes->whole_next) {
        if (!log->is_of_cases) {
            sim_fail(sim, "something else of lane %d goes while an urgent record is not whole", log->lane);
        }
        lanes->pulled++;
    }
    lanes->hinted = lanes->hinted || (lanes->hastened && log->lane == LANE_URGENT);
    lanes->last = log->lane;
    lanes->seen[log->lane] = true;
    lanes->counts[log->lane]++;
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
        struct sent_log *log = log_of(lanes, &item);
        struct reader in = reader_of(item.chunk);
        uint64_t next = reader_varint(&in);

        (void)reader_span(&in, SHORT_BYTES);
        next += reader_varint(&in);
        /* What goes once more, since the peer had not said that it came, is in no order. */
        if (next > log->next) {
            look_at_lane(sim, lanes, log);
            log->next = next;
        }
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

/* Save urgently: a new record, or an old one where `record` says which. */
static void
save_urgently(struct sim *sim, struct sim_node *node, const struct ident *record)
{
    const struct target kind = { .field = FIELD_KIND };
    const uint8_t value[] = { 1 };
    const struct save_op op = {
        .code = OP_SET, .target = kind, .value = span_of(value, sizeof value), .resolve = true
    };
    struct save save = { .compartment = shape_compartment_of(sim->shape, node->device->office, OWN_CASES)->id,
                         .create = record == NULL,
                         .urgent = true,
                         .actor = 1,
                         .ops = &op,
                         .op_count = 1 };
    struct saved saved;
    size_t op_no;
    enum err err = replica_begin(node->replica);

    if (record != NULL) {
        save.record_id = *record;
    }
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

/* The record of the cases whose last entry is furthest on in lane 2, and where that is. */
static struct ident
find_last(struct sim *sim, struct sim_node *node, uint64_t *next_out)
{
    const struct ident *cases = &shape_compartment_of(sim->shape, node->device->office, OWN_CASES)->id;
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *main_txn = NULL;
    struct table_txn *keys_txn = NULL;
    struct ident last = { { 0 } };
    enum err err = replica_borrow(node->replica, &main_txn, &keys_txn);

    *next_out = 0;
    for (uint32_t no = err == ERR_OK ? record_last(main_txn) : 0; no > 0; no--) {
        struct record_place ends[8];
        struct ident compartment;
        struct ident record;
        size_t count = 0;

        if (record_name(main_txn, no, &compartment, &record) != ERR_OK || !ident_equal(&compartment, cases) ||
            record_ends(main_txn, no, ends, 8, &count) != ERR_OK) {
            continue;
        }
        for (size_t n = 0; n < count; n++) {
            if (journal_branch(journal, ends[n].log_no)->descriptor.lane == LANE_NORMAL &&
                ends[n].seq + 1 > *next_out) {
                *next_out = ends[n].seq + 1;
                last = record;
            }
        }
    }
    if (err == ERR_OK) {
        replica_give_back(node->replica, &main_txn, &keys_txn);
    }
    return last;
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
    lanes.cases = shape_compartment_of(sim.shape, sim.nodes[1].device->office, OWN_CASES)->id;
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
    save_urgently(&sim, &sim.nodes[1], NULL);
    while (!lanes.seen[LANE_URGENT]) {
        sim_pass(&sim);
    }
    const struct ident old = find_last(&sim, &sim.nodes[1], &lanes.whole_next);
    lanes.hastened = true;
    save_urgently(&sim, &sim.nodes[1], &old);
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
    if (lanes.pulled < 2 || sent_of_cases(&lanes) < lanes.whole_next) {
        sim_fail(&sim, "%zu chunks of an urgent record went first: this proves nothing", lanes.pulled);
    }
    (void)printf(
        "chunks by lane: %zu, %zu, %zu; %zu of them after the urgent save, %zu of an urgent record\n",
        lanes.counts[0], lanes.counts[1], lanes.counts[2], lanes.counts[2] - before, lanes.pulled);
    sim_free(&sim);
    remove_tree(directory);
}
