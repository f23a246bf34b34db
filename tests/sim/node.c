#include "tests/sim/sim.h"

#include "sync/erase.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FRAMES_A_TURN_MAX = 64, TICK_MS_MAX = 60 * 1000, LOOK_MS = 1000 };

static const uint64_t epoch_ms = UINT64_C(1767312000000); /* 2026-01-02 */

/* --- its world --- */

static uint64_t
wall_ms(void *self)
{
    const struct sim_node *node = self;

    return (uint64_t)((int64_t)(epoch_ms + node->sim->now_ms) + node->skew_ms);
}

static uint64_t
steady_ms(void *self)
{
    const struct sim_node *node = self;

    return node->sim->now_ms + node->steady_ms;
}

static void
draw(void *self, void *out, size_t size)
{
    chance_fill(&((struct sim_node *)self)->chance, out, size);
}

static bool
send_frame(void *self, uint32_t number, struct span frame)
{
    struct sim_node *node = self;

    return network_send(node->sim, (int)node->index, number, frame);
}

static enum err
disk(void *self, enum world_disk step)
{
    struct sim_node *node = self;

    if (step == WORLD_DISK_COMMIT && node->sim->now_ms < node->full_until_ms) {
        return ERR_FULL;
    }
    if (node->disk_in > 0 && --node->disk_in == 0) {
        sim_note(node->sim, "%s: its disk says %s", node->device->name, err_code(node->disk_err));
        return node->disk_err;
    }
    return ERR_OK;
}

void
node_init(struct sim *sim, size_t index)
{
    struct sim_node *node = &sim->nodes[index];

    node->sim = sim;
    node->index = index;
    node->device = &sim->shape->devices[index];
    node->world = (struct world){ .self = node,
                                  .wall_ms = wall_ms,
                                  .steady_ms = steady_ms,
                                  .random = draw,
                                  .send = send_frame,
                                  .disk = disk };
    node->chance.state = sim->seed * UINT64_C(0xd1342543de82ef95) + index + 1;
    node->steady_ms = chance_below(&sim->chance, 1000000);
    node->profile = PROFILE_LAN;
    (void)snprintf(node->directory, sizeof node->directory, "%s/%s", sim->directory, node->device->name);
}

bool
node_is_up(const struct sim_node *node)
{
    return node->gossip != NULL;
}

bool
node_is_absent(const struct sim_node *node)
{
    return node->device->hostile || node->gone || trust_is_revoked(node->sim, node->index);
}

void
node_join(struct sim_node *node)
{
    assert(!node->joined);
    if (mkdir(node->directory, 0700) != 0) {
        sim_fail(node->sim, "no directory %s", node->directory);
    }
    enum err err = replica_identity_write(node->directory, &node->device->storage_key,
                                          &node->device->identity, &node->world);
    if (err == ERR_OK) {
        err = wrap_make(node->directory, &node->device->storage_key, &node->world);
    }
    if (err != ERR_OK) {
        sim_fail(node->sim, "%s cannot write its identity: %s", node->device->name, err_code(err));
    }
    node->joined = true;
    sim_note(node->sim, "%s joins", node->device->name);
}

/* --- up and down --- */

static void
ended(void *self, uint32_t number, bool hang_up, const char *why)
{
    struct sim_node *node = self;
    int end = 0;
    struct sim_conn *conn = network_find(node->sim, (int)node->index, number, &end);

    sim_note(node->sim, "%s %u: session ended%s: %s", node->device->name, number, hang_up ? ", hangs up" : "",
             why);
    if (conn != NULL && hang_up && conn->ends[end].down_at_ms == 0) {
        /* What it sent last still leaves. */
        conn->ends[end].down_at_ms = node->sim->now_ms + 1;
    }
}

bool
node_open(struct sim_node *node)
{
    enum err err = replica_open(&node->replica, &(struct replica_options){
                                                    .directory = node->directory,
                                                    .world = &node->world,
                                                    .storage_key = &node->device->storage_key,
                                                    .codebook = codebook_reprisals(),
                                                    .map_bytes = node->map_bytes,
                                                });

    if (err == ERR_OK && !node->founded) {
        const struct shape *shape = node->sim->shape;
        err =
            replica_found(node->replica, buf_span(shape->large ? &shape->founding : &node->device->welcome));
        node->founded = err == ERR_OK;
    }
    if (err == ERR_OK) {
        err = gossip_open(&node->gossip,
                          &(struct gossip_options){ .world = &node->world,
                                                    .store = replica_gossip_store(node->replica),
                                                    .device_id = node->device->identity.device_id,
                                                    .control = *roster_control(replica_roster(node->replica)),
                                                    .profile = node->profile,
                                                    .version = "sim",
                                                    .credit_bytes = 64 << 10 });
    }
    if (err != ERR_OK) {
        if (err != ERR_IO && err != ERR_FULL) {
            sim_fail(node->sim, "%s does not open: %s", node->device->name, err_code(err));
        }
        sim_note(node->sim, "%s does not open: %s", node->device->name, err_code(err));
        replica_close(&node->replica);
        node->up_ms = node->sim->now_ms + 1000;
        return false;
    }
    replica_on_ended(node->replica, ended, node);
    node->tend_due = true;
    node->generation = 0;
    node->tick_ms = node->sim->now_ms;
    sim_note(node->sim, "%s is up", node->device->name);
    if (replica_is_rebuilding(node->replica)) {
        node_rebuild(node);
    }
    if (node_is_up(node)) {
        people_look_back(node);
    }
    return node_is_up(node);
}

void
node_crash(struct sim_node *node, uint64_t away_ms, const char *why)
{
    struct sim *sim = node->sim;

    sim_note(sim, "%s goes down: %s", node->device->name, why);
    network_cut_node(sim, (int)node->index, "an end went down");
    gossip_close(&node->gossip);
    replica_close(&node->replica);
    people_settle(sim, false);
    node->up_ms = sim->now_ms + away_ms;
    node->flush_due = false;
    node->disk_in = 0;
    node->crash_in_turn = false;
    node->crash_after_save = false;
    node->fails_in_save = false;
    node->stop_ms = 0;
}

void
node_stop(struct sim_node *node, uint64_t away_ms)
{
    gossip_stop(node->gossip);
    node->flush_due = true;
    node->flush_ms = node->sim->now_ms;
    node->stop_ms = node->sim->now_ms + 3000;
    node->away_ms = away_ms;
    sim_note(node->sim, "%s says goodbye", node->device->name);
}

void
node_rebuild(struct sim_node *node)
{
    enum err err = replica_rebuild(node->replica, NULL, NULL);

    sim_note(node->sim, "%s makes everything derived anew: %s", node->device->name, err_code(err));
    if (err == ERR_FULL || err == ERR_IO) {
        node->sim->stats.failed_commits++;
        node_crash(node, chance_between(&node->sim->chance, 100, 20000), "a rebuild is cut off");
    } else if (err != ERR_OK) {
        sim_fail(node->sim, "%s: a rebuild: %s", node->device->name, err_code(err));
    }
}

void
node_free(struct sim_node *node)
{
    follower_forget(node);
    gossip_close(&node->gossip);
    replica_close(&node->replica);
}

struct frontier *
node_frontier(struct sim_node *node, const struct ident *compartment)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);

    return store->frontier(store->self, compartment);
}

static void
copy_tree(struct sim *sim, const char *from, const char *to)
{
    char command[500];

    (void)snprintf(command, sizeof command, "cp -rp --sparse=always '%s' '%s'", from, to);
    if (system(command) != 0) {
        sim_fail(sim, "cannot copy %s", from);
    }
}

void
node_keep_image(struct sim_node *node)
{
    assert(node->replica == NULL);
    (void)snprintf(node->image, sizeof node->image, "%s/%s.image", node->sim->directory, node->device->name);
    copy_tree(node->sim, node->directory, node->image);
    sim_note(node->sim, "%s: an image is kept", node->device->name);
}

void
node_restore_image(struct sim_node *node, bool only_databases)
{
    static const char *const kept[] = { "anchor", "device" };
    char old[220];
    char from[400];
    char to[400];

    assert(node->replica == NULL);
    (void)snprintf(old, sizeof old, "%s.old", node->directory);
    if (rename(node->directory, old) != 0) {
        sim_fail(node->sim, "cannot rename %s", node->directory);
    }
    copy_tree(node->sim, node->image, node->directory);
    for (size_t n = 0; only_databases && n < sizeof kept / sizeof kept[0]; n++) {
        (void)snprintf(from, sizeof from, "%s/%s", old, kept[n]);
        (void)snprintf(to, sizeof to, "%s/%s", node->directory, kept[n]);
        if (rename(from, to) != 0 && n > 0) {
            sim_fail(node->sim, "cannot rename %s", from);
        }
    }
    remove_tree(old);
    follower_forget(node);
    node->restored = node->restored || !only_databases;
    node->set_back = true;
    node->sim->stats.restores++;
    sim_note(node->sim, "%s: an old image takes the place of its %s", node->device->name,
             only_databases ? "databases" : "disk");
}

/* --- a turn --- */

static void
fail_turn(struct sim_node *node, enum err err, const char *what)
{
    sim_note(node->sim, "%s: %s: %s", node->device->name, what, err_code(err));
    if (!node->sim->chaos || (err != ERR_IO && err != ERR_FULL)) {
        sim_fail(node->sim, "%s: %s: %s", node->device->name, what, err_code(err));
    }
    node->sim->stats.failed_commits++;
    people_settle(node->sim, false);
    if (err == ERR_FULL && chance_one_in(&node->sim->chance, 2)) {
        /* The replica fell back to what the disk holds. The conversations had gone on: they begin again. */
        network_cut_node(node->sim, (int)node->index, "its end begins again");
        gossip_close(&node->gossip);
        enum err opened =
            gossip_open(&node->gossip,
                        &(struct gossip_options){ .world = &node->world,
                                                  .store = replica_gossip_store(node->replica),
                                                  .device_id = node->device->identity.device_id,
                                                  .control = *roster_control(replica_roster(node->replica)),
                                                  .profile = node->profile,
                                                  .version = "sim",
                                                  .credit_bytes = 64 << 10 });
        if (opened != ERR_OK) {
            sim_fail(node->sim, "gossip_open: %s", err_code(opened));
        }
        node->tend_due = true;
        return;
    }
    node_crash(node, chance_between(&node->sim->chance, 100, 20000), what);
}

static void
import(struct sim_node *node)
{
    size_t count = 0;
    enum err err =
        replica_import(node->replica, buf_span(&node->sim->shape->news[node->import_step]), &count);

    sim_note(node->sim, "%s takes in news %d: %s, %zu new", node->device->name, node->import_step,
             err_code(err), count);
    if (err != ERR_OK && err != ERR_FULL && err != ERR_IO) {
        sim_fail(node->sim, "%s: importing news: %s", node->device->name, err_code(err));
    }
    if (err == ERR_OK) {
        gossip_rights_changed(node->gossip);
    }
}

/* New epochs, by hand, wherever this node may make them. */
static void
rotate(struct sim_node *node)
{
    const struct sim *sim = node->sim;

    for (size_t n = 0; n < sim->shape->compartment_count; n++) {
        enum err err = replica_rotate(node->replica, &sim->shape->compartments[n].id);

        if (err != ERR_OK && err != ERR_DENIED && err != ERR_ABSENT && err != ERR_LOCKED && err != ERR_FULL) {
            sim_fail(node->sim, "%s: a new epoch: %s", node->device->name, err_code(err));
        }
        node->sim->stats.rotations += err == ERR_OK;
    }
    sim_note(node->sim, "%s makes new epochs", node->device->name);
}

/* Frames that arrived, of one connection after the other; each in its order. */
static bool
receive(struct sim_node *node, bool look_only)
{
    struct sim *sim = node->sim;
    size_t left = FRAMES_A_TURN_MAX;
    size_t start = look_only || sim->conn_count == 0 ? 0 : chance_below(&sim->chance, sim->conn_count);
    size_t first = 0;

    while (first < node->conn_count && node->conns[first]->place < start) {
        first++;
    }
    for (size_t n = 0; n < node->conn_count; n++) {
        struct sim_conn *conn = node->conns[(first + n) % node->conn_count];

        for (int end = 0; end < 2; end++) {
            struct sim_frame frame;

            if (conn->ends[end].node != (int)node->index || !conn->ends[end].up) {
                continue;
            }
            if (look_only) {
                const struct sim_way *way = &conn->ways[1 - end];

                if (way->first < way->count && way->frames[way->first].arrive_ms <= sim->now_ms) {
                    return true;
                }
                continue;
            }
            while (left > 0 && network_take(sim, conn, end, &frame)) {
                left--;
                if (conn->ends[1 - end].node < 0) {
                    mallory_receive(node, conn->ends[end].number, &frame);
                } else {
                    gossip_receive(node->gossip, conn->ends[end].number, buf_span(&frame.bytes),
                                   sim->now_ms + node->steady_ms);
                }
                buf_free(&frame.bytes);
            }
        }
    }
    return false;
}

static void
notice_downs(struct sim_node *node)
{
    struct sim *sim = node->sim;

    for (size_t n = 0; n < node->conn_count; n++) {
        struct sim_conn *conn = node->conns[n];

        for (int end = 0; end < 2; end++) {
            if (conn->ends[end].node == (int)node->index && conn->ends[end].up &&
                conn->ends[end].down_at_ms != 0 && conn->ends[end].down_at_ms <= sim->now_ms) {
                conn->ends[end].up = false;
                sim_note(sim, "%s %u is down", node->device->name, conn->ends[end].number);
                gossip_down(node->gossip, conn->ends[end].number, "the connection ended",
                            sim->now_ms + node->steady_ms);
                struct sim_end *other = &conn->ends[1 - end];
                if (other->node < 0) {
                    other->up = false;
                } else if (other->up && other->down_at_ms == 0) {
                    /* What was sent before still arrives. */
                    other->down_at_ms = sim->now_ms + conn->latency_ms + 2000;
                }
                conn->cut = conn->cut || !other->up;
            }
        }
    }
}

/* What is to be erased is committed, and not all of it is done. */
static bool
stops_at_order(struct sim_node *node)
{
    const struct erase *erase = replica_erase(node->replica);

    if (!node->fails_at_order || !(erase_is_scanning(erase) || erase_wants_compaction(erase)) ||
        !chance_one_in(&node->sim->chance, 3)) {
        return false;
    }
    node->fails_at_order = false;
    return true;
}

/* The transaction of a turn. False: the node is down, or its turn did not happen. */
static bool
transact(struct sim_node *node)
{
    struct sim *sim = node->sim;
    bool saves = !node->mute && sim->now_ms >= node->save_ms;
    bool tend = node->tend_due;
    enum err err = replica_begin(node->replica);

    if (err != ERR_OK) {
        fail_turn(node, err, "a turn does not begin");
        return false;
    }
    sim->stats.turns++;
    struct watched_logs logs = watch_logs(node);
    (void)receive(node, false);
    watch_received(node, &logs);
    if (node->import_step != 0) {
        import(node);
    }
    if (node->statements_due && trust_import(node) != ERR_OK) {
        sim_note(sim, "%s does not take in what was signed", node->device->name);
    }
    if (node->rotate_due) {
        rotate(node);
    }
    if (saves) {
        people_save(node);
    }
    if (tend) {
        node->tend_due = replica_tend(node->replica);
    }
    if (node->crash_in_turn) {
        sim->stats.crashes++;
        node_crash(node, chance_between(&sim->chance, 100, 60000), "crash within a turn");
        return false;
    }
    if (node->fails_in_save && saves) {
        node->fails_in_save = false;
        node->disk_in = 2;
        node->disk_err = chance_one_in(&sim->chance, 2) ? ERR_FULL : ERR_IO;
    }
    err = replica_commit(node->replica);
    if (err != ERR_OK) {
        fail_turn(node, err, "a turn is not committed");
        return false;
    }
    node->import_step = 0;
    node->statements_due = false;
    node->rotate_due = false;
    people_settle(sim, true);
    if ((node->crash_after_save && saves) || stops_at_order(node)) {
        sim->stats.crashes++;
        node_crash(node, chance_between(&sim->chance, 100, 60000), "crash after a turn");
        return false;
    }
    follower_catch_up(node);
    watch_turn(node);
    return true;
}

/* What was erased is to be in no free page either. */
static void
compact(struct sim_node *node)
{
    if (node->fails_at_order) {
        node->fails_at_order = false;
        node->disk_in = (unsigned)chance_between(&node->sim->chance, 1, 8);
        node->disk_err = chance_one_in(&node->sim->chance, 2) ? ERR_FULL : ERR_IO;
    }
    enum err err = replica_compact(node->replica);

    sim_note(node->sim, "%s rewrites its files: %s", node->device->name, err_code(err));
    node->tend_due = true;
    /* A file that the disk does not let go: it is tried again, and no receipt is written before. */
    bool waits = err == ERR_FULL || (err == ERR_BUSY && node->sim->chaos);
    if (err != ERR_OK && !waits) {
        fail_turn(node, err, "its files are not rewritten");
    }
}

/* Where there are many, most have nothing to do at a given moment. Where there are few all are asked. */
static bool
has_nothing_to_do(struct sim_node *node)
{
    const struct sim *sim = node->sim;

    if (!sim->shape->large || sim->now_ms >= node->look_ms || node_wake_ms(node) <= sim->now_ms ||
        receive(node, true)) {
        return false;
    }
    for (size_t n = 0; n < node->conn_count; n++) {
        for (int end = 0; end < 2; end++) {
            const struct sim_end *own = &node->conns[n]->ends[end];
            if (own->node == (int)node->index && own->up && own->down_at_ms != 0 &&
                own->down_at_ms <= sim->now_ms) {
                return false;
            }
        }
    }
    return true;
}

void
node_turn(struct sim_node *node)
{
    struct sim *sim = node->sim;

    if (has_nothing_to_do(node)) {
        return;
    }
    node->look_ms = sim->now_ms + LOOK_MS;

    if (!node_is_up(node)) {
        if (node->joined && !node->gone && sim->now_ms >= node->up_ms) {
            (void)node_open(node);
        }
        return;
    }
    notice_downs(node);
    if (node->stop_ms != 0 && sim->now_ms >= node->stop_ms) {
        node_crash(node, node->away_ms, "it was told to");
        return;
    }
    node->tend_due = node->tend_due || replica_tend_is_due(node->replica);
    bool ticks = sim->now_ms >= node->tick_ms;
    bool flushes = node->flush_due && sim->now_ms >= node->flush_ms;
    bool transacts = receive(node, true) || node->tend_due || node->import_step != 0 ||
                     node->statements_due || node->rotate_due ||
                     (!node->mute && sim->now_ms >= node->save_ms);

    if (!ticks && !flushes && !transacts) {
        return;
    }
    if (transacts && !transact(node)) {
        return;
    }
    uint64_t now = sim->now_ms + node->steady_ms;
    gossip_tick(node->gossip, now);
    if (roster_generation(replica_roster(node->replica)) != node->generation) {
        node->generation = roster_generation(replica_roster(node->replica));
        gossip_rights_changed(node->gossip);
        node->tend_due = true;
    }
    /* Nothing leaves that the anchor does not know of. */
    enum err err = replica_anchor(node->replica);
    if (err != ERR_OK) {
        fail_turn(node, err, "the anchor is not written");
        return;
    }
    watch_anchor(node);
    node->flush_due = false;
    if (gossip_flush(node->gossip, now) && !node->flush_due) {
        node->flush_due = true;
        node->flush_ms = sim->now_ms + 20;
    }
    if (replica_compact_is_due(node->replica)) {
        compact(node);
        if (!node_is_up(node)) {
            return;
        }
    }
    uint64_t wait = gossip_wait_ms(node->gossip, now);
    node->tick_ms = sim->now_ms + (wait < 1 ? 1 : wait > TICK_MS_MAX ? TICK_MS_MAX : wait);
}

uint64_t
node_wake_ms(const struct sim_node *node)
{
    uint64_t at = UINT64_MAX;

    if (!node_is_up(node)) {
        return node->joined && !node->gone ? node->up_ms : UINT64_MAX;
    }
    at = node->tick_ms;
    if (node->stop_ms != 0 && node->stop_ms < at) {
        at = node->stop_ms;
    }
    if (node->flush_due && node->flush_ms < at) {
        at = node->flush_ms;
    }
    if (!node->mute && node->save_ms < at) {
        at = node->save_ms;
    }
    if (node->tend_due || node->import_step != 0 || node->statements_due || node->rotate_due) {
        at = 0;
    }
    return at;
}
