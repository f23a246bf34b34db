#include "tests/sim/sim.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MINUTE_MS = 60 * 1000,
    RESTORES_MAX = 3,
    SETTLE_MS_MAX = 15 * MINUTE_MS,
    QUIET_MS = 5 * MINUTE_MS,
    /* A connection with nothing to say compares digests once a minute, both ways, and nothing else. */
    QUIET_FRAMES_A_MINUTE = 2,
    QUIET_BYTES_A_MINUTE = 2 * 700,
    /* A receipt for a late copy waits for ten minutes: what a node still has to say by itself goes once over each connection. */
    QUIET_FRAMES_AN_ENTRY = 6,
    QUIET_BYTES_AN_ENTRY = 2 * 350,
};

/* What the seed decides before anything happens. */
struct fate {
    uint64_t join_ms[NODES_MAX];
    uint64_t news_ms[STEPS];
    uint64_t end_ms;
    bool hostile;
    bool forged;        /* an insider signs what nobody should */
    uint64_t revoke_ms; /* the insider is found out; UINT64_MAX: not in this run */
    uint64_t again_ms;  /* and revoked once more, by somebody who saw something else of it */
    uint64_t lost_ms;   /* an honest device is lost and revoked */
    uint64_t extend_ms;
    uint64_t rotate_ms;
    uint64_t erase_ms; /* a consent is withdrawn; again some time after */
    uint64_t sleep_ms; /* everybody goes home for a long time; one of them for longer */
    size_t sleeper;
    bool fragile;  /* disks fail and machines crash */
    bool restores; /* the disk of one of them, by an older one */
    bool only_databases;
    size_t victim;
    uint64_t split_until_ms;
    uint64_t image_ms[NODES_MAX]; /* when its image was kept */
};

static void
add_link(struct sim *sim, size_t a, size_t b)
{
    struct chance *chance = &sim->chance;

    for (size_t n = 0; n < sim->link_count; n++) {
        const struct sim_link *link = &sim->links[n];

        if ((link->a == (int)a && link->b == (int)b) || (link->a == (int)b && link->b == (int)a)) {
            return;
        }
    }
    assert(sim->link_count < sim->link_max);
    struct sim_link *link = &sim->links[sim->link_count++];
    bool slow = chance_one_in(chance, 4);
    *link = (struct sim_link){
        .a = (int)a,
        .b = (int)b,
        .both = chance_one_in(chance, 4),
        .latency_ms = slow ? chance_between(chance, 200, 900) : chance_between(chance, 1, 200),
        .bytes_per_s = slow ? chance_between(chance, 4000, 20000) : chance_between(chance, 50000, 2000000),
        .window = chance_between(chance, 128 << 10, 512 << 10)
    };
}

static size_t
device_named(const struct sim *sim, const char *name)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        if (strcmp(sim->nodes[n].device->name, name) == 0) {
            return n;
        }
    }
    return SIZE_MAX;
}

static void
plan_links(struct sim *sim)
{
    size_t hub = device_named(sim, "HUB-1");

    add_link(sim, 0, hub);
    for (size_t n = 1; n < sim->node_count; n++) {
        if (sim->nodes[n].device->hostile || n == hub) {
            continue;
        }
        bool with_hub = chance_one_in(&sim->chance, 2);
        add_link(sim, n, with_hub ? hub : 0);
        if (chance_one_in(&sim->chance, 3)) {
            add_link(sim, n, with_hub ? 0 : hub);
        }
        for (size_t m = 1; m < n; m++) {
            bool same = sim->nodes[m].device->office == sim->nodes[n].device->office;

            if (!sim->nodes[m].device->hostile && m != hub && chance_one_in(&sim->chance, same ? 2 : 6)) {
                add_link(sim, m, n);
            }
        }
    }
}

static void
plan_nodes(struct sim *sim, struct fate *fate)
{
    struct chance *chance = &sim->chance;
    size_t dreamer =
        chance_one_in(chance, 3) ? chance_below(chance, sim->node_count) : SIZE_MAX; /* stands in 2030 */

    for (size_t n = 0; n < sim->node_count; n++) {
        struct sim_node *node = &sim->nodes[n];

        node->skew_ms = (int64_t)chance_below(chance, 20000) - 10000;
        if (n == dreamer) {
            node->skew_ms += INT64_C(4) * 365 * 24 * 60 * MINUTE_MS;
        }
        node->profile = chance_one_in(chance, 4) ? PROFILE_WAN : PROFILE_LAN;
        node->map_bytes = chance_one_in(chance, 3) ? 256 << 10 : 8 << 20;
        node->save_ms = chance_between(chance, 5000, 90000);
        fate->join_ms[n] = node->device->hostile ? UINT64_MAX : n == 0 ? 0 : chance_below(chance, 60000);
    }
}

static void
plan(struct sim *sim, struct fate *fate)
{
    struct chance *chance = &sim->chance;

    memset(fate, 0, sizeof *fate);
    plan_nodes(sim, fate);
    plan_links(sim);
    fate->end_ms = chance_between(chance, 4, 12) * MINUTE_MS;
    fate->hostile = chance_one_in(chance, 2);
    fate->fragile = !chance_one_in(chance, 4);
    fate->restores = chance_one_in(chance, 3);
    fate->only_databases = chance_one_in(chance, 2);
    fate->victim = device_named(sim, chance_one_in(chance, 2)   ? "COL-1"
                                     : chance_one_in(chance, 2) ? "KEN-1"
                                                                : "HQ-1");
    fate->news_ms[1] = chance_below(chance, fate->end_ms);
    fate->news_ms[2] = chance_between(chance, fate->news_ms[1], fate->end_ms);
    for (size_t n = 0; n < sim->node_count; n++) {
        if (sim->nodes[n].device->joins > 0) {
            fate->join_ms[n] = fate->news_ms[sim->nodes[n].device->joins] + chance_below(chance, 60000);
        }
    }
    fate->forged = chance_one_in(chance, 2);
    fate->revoke_ms = fate->forged && !chance_one_in(chance, 3)
                          ? chance_between(chance, fate->end_ms / 3, fate->end_ms)
                          : UINT64_MAX;
    fate->again_ms = fate->revoke_ms != UINT64_MAX && chance_one_in(chance, 2)
                         ? chance_between(chance, fate->revoke_ms, fate->end_ms)
                         : UINT64_MAX;
    fate->lost_ms =
        chance_one_in(chance, 4) ? chance_between(chance, fate->end_ms / 2, fate->end_ms) : UINT64_MAX;
    fate->extend_ms =
        chance_one_in(chance, 2) ? chance_between(chance, fate->end_ms / 2, fate->end_ms) : UINT64_MAX;
    fate->rotate_ms = chance_one_in(chance, 3) ? chance_below(chance, fate->end_ms) : UINT64_MAX;
    fate->erase_ms =
        chance_one_in(chance, 3) ? chance_between(chance, fate->end_ms / 3, fate->end_ms) : UINT64_MAX;
    fate->sleep_ms = chance_one_in(chance, 8) ? chance_below(chance, fate->end_ms) : UINT64_MAX;
    fate->sleeper = chance_below(chance, sim->node_count);
    sim->forger_ms = chance_between(chance, 30000, 90000);
    sim->fault_ms = chance_between(chance, 1000, 20000);
    sim->mallory_ms = chance_between(chance, 20000, 60000);
}

/* --- what comes by plan --- */

static void
follow_plan(struct sim *sim, struct fate *fate)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        struct sim_node *node = &sim->nodes[n];

        if (!node->joined && sim->now_ms >= fate->join_ms[n]) {
            node_join(node);
            node->up_ms = sim->now_ms;
        }
    }
    for (int step = 1; step < STEPS; step++) {
        if (sim->step == step - 1 && sim->now_ms >= fate->news_ms[step]) {
            /* Headquarters and the offices that work on cases: whoever gets the file. */
            static const char *const takers[] = { "HQ-1", "KEN-1", "COL-1" };
            size_t taker = device_named(sim, takers[chance_below(&sim->chance, 3)]);

            if (node_is_up(&sim->nodes[taker])) {
                sim->step = step;
                sim->nodes[taker].import_step = step;
            }
        }
    }
}

/* --- what comes by chance --- */

static struct sim_node *
someone(struct sim *sim)
{
    struct sim_node *node = &sim->nodes[chance_below(&sim->chance, sim->node_count)];

    return node_is_up(node) ? node : NULL;
}

static void
split(struct sim *sim, struct fate *fate)
{
    uint64_t side = chance_next(&sim->chance);

    sim_note(sim, "a split: %04llx", (unsigned long long)(side & 0xffff));
    for (size_t n = 0; n < sim->link_count; n++) {
        struct sim_link *link = &sim->links[n];

        link->split = (side >> link->a & 1) != (side >> link->b & 1);
    }
    for (size_t n = 0; n < sim->conn_count; n++) {
        struct sim_conn *conn = sim->conns[n];

        if (conn->link >= 0 && sim->links[conn->link].split) {
            network_cut(sim, conn, "a split");
        }
    }
    fate->split_until_ms = sim->now_ms + chance_between(&sim->chance, 10000, 180000);
}

static void
heal(struct sim *sim)
{
    sim_note(sim, "links heal");
    for (size_t n = 0; n < sim->link_count; n++) {
        sim->links[n].split = false;
    }
}

static void
swap_disk(struct sim *sim, struct fate *fate)
{
    struct sim_node *node = fate->victim == SIZE_MAX ? NULL : &sim->nodes[fate->victim];

    if (node == NULL || !node_is_up(node) || node->import_step != 0) {
        return;
    }
    node_crash(node, chance_between(&sim->chance, 10, 5000),
               node->image[0] == '\0' ? "to be copied" : "stolen");
    if (node->image[0] == '\0') {
        node_keep_image(node);
        fate->image_ms[node->index] = sim->now_ms;
    } else if (sim->stats.restores < RESTORES_MAX) {
        node_restore_image(node, fate->only_databases);
        watch_forget(node);
        people_excuse(sim, node->index, fate->image_ms[node->index]);
        /* News that only it had are handed to it once more. */
        node->import_step = sim->step;
        /* Cut off for a while, so that it writes where it stood before. */
        for (size_t n = 0; n < sim->link_count; n++) {
            struct sim_link *link = &sim->links[n];

            link->split = link->split || link->a == (int)node->index || link->b == (int)node->index;
        }
        fate->split_until_ms = sim->now_ms + 60000;
        node->save_ms = sim->now_ms;
        node->burst = 6;
    }
}

static void
misfortune(struct sim *sim, struct fate *fate)
{
    struct chance *chance = &sim->chance;
    struct sim_node *node;

    sim->fault_ms = sim->now_ms + chance_between(chance, 2000, 40000);
    if (fate->restores && chance_one_in(chance, 4)) {
        swap_disk(sim, fate);
        return;
    }
    switch (chance_below(chance, fate->fragile ? 10 : 5)) {
    case 0:
    case 1:
        if (sim->conn_count > 0) {
            network_cut(sim, sim->conns[chance_below(chance, sim->conn_count)], "by chance");
        }
        break;
    case 2:
        split(sim, fate);
        break;
    case 3:
        node = someone(sim);
        if (node != NULL) {
            node_stop(node, chance_between(chance, 10, 90000));
        }
        break;
    case 4:
        node = someone(sim);
        if (node != NULL) {
            node_rebuild(node);
        }
        break;
    case 5:
        node = someone(sim);
        if (node != NULL) {
            sim->stats.crashes++;
            node_crash(node, chance_between(chance, 10, 60000), "crash");
        }
        break;
    case 6:
        node = someone(sim);
        if (node != NULL) {
            bool *const when[] = { &node->crash_in_turn, &node->crash_after_save, &node->fails_in_save };

            *when[chance_below(chance, 3)] = true;
        }
        break;
    case 7:
    case 8:
        node = someone(sim);
        if (node != NULL) {
            node->disk_in = (unsigned)chance_between(chance, 1, 12);
            node->disk_err = chance_one_in(chance, 2) ? ERR_FULL : ERR_IO;
        }
        break;
    default:
        node = someone(sim);
        if (node != NULL) {
            node->full_until_ms = sim->now_ms + chance_between(chance, 100, 20000);
        }
    }
}

/* All offices close for 400 days; one opens again only when all is well. */
static void
sleep_long(struct sim *sim, struct fate *fate)
{
    const uint64_t nap_ms = UINT64_C(400) * 24 * 60 * MINUTE_MS;
    uint64_t *later[] = { &fate->end_ms,    &fate->revoke_ms, &fate->again_ms,       &fate->lost_ms,
                          &fate->extend_ms, &fate->rotate_ms, &fate->erase_ms,       &sim->fault_ms,
                          &sim->mallory_ms, &sim->forger_ms,  &fate->split_until_ms, &fate->news_ms[1],
                          &fate->news_ms[2] };

    sim_note(sim, "everybody sleeps for 400 days");
    for (size_t n = 0; n < sim->node_count; n++) {
        struct sim_node *node = &sim->nodes[n];

        if (node_is_up(node)) {
            node_crash(node, 0, "its office closes");
        }
        node->up_ms = node->up_ms + nap_ms;
        node->save_ms += nap_ms;
        fate->join_ms[n] += fate->join_ms[n] < UINT64_MAX - nap_ms ? nap_ms : 0;
    }
    for (size_t n = 0; n < sizeof later / sizeof later[0]; n++) {
        *later[n] += *later[n] != 0 && *later[n] < UINT64_MAX - nap_ms ? nap_ms : 0;
    }
    sim->now_ms += nap_ms;
    sim->nodes[fate->sleeper].up_ms = fate->end_ms;
    fate->sleep_ms = UINT64_MAX;
    sim->stats.sleeps++;
}

/* Who is found out, who is lost, what is admitted after all. */
static void
judge(struct sim *sim, struct fate *fate)
{
    size_t lost = trust_device(sim, "KEN-2");

    if (sim->now_ms >= fate->revoke_ms && node_is_up(&sim->nodes[0])) {
        trust_revoke(sim, forger_device(sim));
        fate->revoke_ms = UINT64_MAX;
    }
    if (sim->now_ms >= fate->again_ms && trust_is_revoked(sim, forger_device(sim)) &&
        node_is_up(&sim->nodes[0])) {
        trust_revoke(sim, forger_device(sim));
        fate->again_ms = UINT64_MAX;
    }
    if (sim->now_ms >= fate->lost_ms && node_is_up(&sim->nodes[0])) {
        if (sim->nodes[lost].joined) {
            trust_revoke(sim, lost);
        }
        fate->lost_ms = UINT64_MAX;
    }
    if (sim->now_ms >= fate->extend_ms && node_is_up(&sim->nodes[0])) {
        trust_extend(sim);
        fate->extend_ms = UINT64_MAX;
    }
    if (sim->now_ms >= fate->rotate_ms) {
        sim->nodes[chance_below(&sim->chance, sim->node_count)].rotate_due = true;
        fate->rotate_ms = UINT64_MAX;
    }
    if (sim->now_ms >= fate->erase_ms && node_is_up(&sim->nodes[0])) {
        trust_erase(sim);
        for (size_t n = 0; fate->fragile && n < sim->node_count; n++) {
            sim->nodes[n].fails_at_order = chance_one_in(&sim->chance, 2);
        }
        fate->erase_ms = sim->now_ms + chance_between(&sim->chance, 30000, 300000);
    }
    if (sim->now_ms >= fate->sleep_ms) {
        sleep_long(sim, fate);
    }
}

static void
live(struct sim *sim, struct fate *fate)
{
    sim->chaos = true;
    sim->metered = true;
    while (sim->now_ms < fate->end_ms) {
        follow_plan(sim, fate);
        if (sim->now_ms >= sim->fault_ms) {
            misfortune(sim, fate);
        }
        if (fate->split_until_ms != 0 && sim->now_ms >= fate->split_until_ms) {
            heal(sim);
            fate->split_until_ms = 0;
        }
        if (fate->hostile && sim->now_ms >= sim->mallory_ms) {
            mallory_visit(sim);
            sim->mallory_ms = sim->now_ms + chance_between(&sim->chance, 5000, 60000);
        }
        if (fate->forged && sim->now_ms >= sim->forger_ms) {
            forger_act(sim);
            sim->forger_ms = sim->now_ms + chance_between(&sim->chance, 500, 30000);
        }
        judge(sim, fate);
        sim_pass(sim);
    }
    sim->chaos = false;
    heal(sim);
    for (size_t n = 0; n < sim->node_count; n++) {
        struct sim_node *node = &sim->nodes[n];

        node->disk_in = 0;
        node->full_until_ms = 0;
        node->crash_in_turn = false;
        node->crash_after_save = false;
        node->fails_in_save = false;
        node->fails_at_order = false;
        node->mute = true;
        node->rotate_due = false;
        if (trust_is_revoked(sim, n) && !node->gone) {
            if (node_is_up(node)) {
                node_crash(node, 0, "it was revoked");
            }
            node->gone = true;
        }
        /* What was signed and handed to one whose disk failed since is handed out once more. */
        node->statements_due = n == 0 && sim->statement_count > 0;
        fate->join_ms[n] = node->device->hostile ? UINT64_MAX : 0;
    }
    for (int step = 1; step < STEPS; step++) {
        fate->news_ms[step] = 0;
    }
}

/* What still waits at a node: for whoever looks at a seed that did not settle. */
static void
tell_waiting_at(struct sim_node *node)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;

    if (replica_begin_read(node->replica, &txn) != ERR_OK) {
        return;
    }
    for (uint64_t place = 1; place <= journal_place_last(journal); place++) {
        struct journal_entry entry;
        uint32_t log_no;
        uint64_t seq;

        if (journal_at(txn, place, &log_no, &seq) != ERR_OK || log_no == LOG_NONE ||
            journal_read(journal, txn, log_no, seq, &entry) != ERR_OK ||
            (entry.state != STATE_NEEDS_KEY && entry.state != STATE_NEEDS_SCHEMA)) {
            continue;
        }
        const struct log_branch *branch = journal_branch(journal, log_no);
        (void)fprintf(stderr, "%s: %s: entry %llu of log %s of %s waits, kind %d, epoch %02x%02x\n",
                      node->device->name, ident_short(&branch->descriptor.compartment).text,
                      (unsigned long long)seq, hash_short(&branch->log_id).text,
                      hash_short(&branch->device_id).text, entry.entry.kind, entry.entry.epoch[0],
                      entry.entry.epoch[1]);
    }
    replica_end_read(node->replica, &txn);
}

static bool
holds_tip(const struct frontier *frontier, const struct tip *tip)
{
    for (size_t n = 0; n < frontier->count; n++) {
        if (hash_equal(&frontier->tips[n].entry_id, &tip->entry_id)) {
            return true;
        }
    }
    return false;
}

static void
tell_branches(struct sim_node *node, const struct hash *log_id)
{
    struct journal *journal = replica_journal(node->replica);

    for (const struct log_branch *at = journal_log(journal, log_id); at != NULL;
         at = at->sibling == LOG_NONE ? NULL : journal_branch(journal, at->sibling)) {
        (void)fprintf(stderr,
                      "    %s: branch %u of %u: %llu to below %llu, told below %llu, counts below %llu\n",
                      node->device->name, at->log_no, at->parent, (unsigned long long)at->branch_first,
                      (unsigned long long)at->next_seq, (unsigned long long)at->told_next,
                      (unsigned long long)at->limit_next);
    }
}

/* The tips that one has and the other has not. */
static void
tell_tips_beyond(struct sim_node *node, struct sim_node *other, const struct ident *compartment)
{
    const struct frontier *mine = node_frontier(node, compartment);
    const struct frontier *theirs = node_frontier(other, compartment);

    for (size_t n = 0; n < mine->count; n++) {
        const struct tip *tip = &mine->tips[n];
        if (!holds_tip(theirs, tip)) {
            (void)fprintf(stderr, "%s beside %s: %s: log %s ends at %llu, %s, its branch begins at %llu\n",
                          node->device->name, other->device->name, ident_short(compartment).text,
                          hash_short(&tip->log_id).text, (unsigned long long)tip->seq,
                          hash_short(&tip->entry_id).text, (unsigned long long)tip->branch_first);
            tell_branches(node, &tip->log_id);
            tell_branches(other, &tip->log_id);
        }
    }
}

static void
tell_differing(struct sim *sim)
{
    for (size_t n = 0; n < sim->conn_count; n++) {
        const struct sim_end *ends = sim->conns[n]->ends;
        if (ends[0].node < 0 || !ends[0].up || !ends[1].up) {
            continue;
        }
        for (size_t at = 0; at < sim->shape->compartment_count; at++) {
            const struct shape_compartment *compartment = &sim->shape->compartments[at];
            if (shape_level(sim->shape, (size_t)ends[0].node, compartment, sim->step) >= LEVEL_CARRY &&
                shape_level(sim->shape, (size_t)ends[1].node, compartment, sim->step) >= LEVEL_CARRY) {
                tell_tips_beyond(&sim->nodes[ends[0].node], &sim->nodes[ends[1].node], &compartment->id);
                tell_tips_beyond(&sim->nodes[ends[1].node], &sim->nodes[ends[0].node], &compartment->id);
            }
        }
    }
}

/* The proved branches that are not at a node. */
static void
tell_lacking(struct sim_node *node)
{
    const struct roster *roster = replica_roster(node->replica);
    struct table_txn *txn = NULL;

    if (replica_begin_read(node->replica, &txn) != ERR_OK) {
        return;
    }
    for (size_t n = 0; n < roster_fork_count(roster); n++) {
        const struct roster_fork *fork = roster_fork_at(roster, n);

        for (int branch = 0; branch < 2; branch++) {
            if (journal_find(replica_journal(node->replica), txn, &fork->log_id, fork->first,
                             &fork->branch[branch]) == LOG_NONE) {
                (void)fprintf(stderr, "%s lacks a branch of log %s that was proved: entry %llu, %s, of %s\n",
                              node->device->name, hash_short(&fork->log_id).text,
                              (unsigned long long)fork->first, hash_short(&fork->branch[branch]).text,
                              ident_short(&fork->descriptor.compartment).text);
            }
        }
    }
    replica_end_read(node->replica, &txn);
}

static void
tell_waiting(struct sim *sim)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        if (node_is_up(&sim->nodes[n])) {
            (void)fprintf(stderr, "%s is %s\n", sim->nodes[n].device->name,
                          hash_short(&sim->nodes[n].device->identity.device_id).text);
            tell_waiting_at(&sim->nodes[n]);
            tell_lacking(&sim->nodes[n]);
        }
    }
    tell_differing(sim);
}

/* Until everybody holds and shows the same. */
static void
settle(struct sim *sim, struct fate *fate)
{
    uint64_t since = sim->now_ms;
    char why[300] = "";

    sim_note(sim, "all is well again");
    while (sim->step < STEPS - 1 || !check_settled(sim, why, sizeof why)) {
        if (sim->now_ms > since + SETTLE_MS_MAX) {
            tell_waiting(sim);
            sim_fail(sim, "not settled: %s", why);
        }
        follow_plan(sim, fate);
        sim_pass_until(sim, sim->now_ms + 500);
    }
    sim_note(sim, "settled after %llu s", (unsigned long long)(sim->now_ms - since) / 1000);
}

/* As many entries as some node has. */
static uint64_t
entries_of_fullest(const struct sim *sim)
{
    uint64_t most = 0;

    for (size_t n = 0; n < sim->node_count; n++) {
        if (sim->nodes[n].replica != NULL) {
            uint64_t count = journal_place_last(replica_journal(sim->nodes[n].replica));
            most = count > most ? count : most;
        }
    }
    return most;
}

/* Nobody talks for talk's sake. */
static void
listen(struct sim *sim)
{
    char why[300];

    /* A node whose entries wait for what nobody has any more is told of files a minute after all else, and then fetches them. */
    sim_pass_until(sim, sim->now_ms + 2 * MINUTE_MS);
    uint64_t bytes = sim->stats.bytes;
    uint64_t frames = sim->stats.frames;
    uint64_t entries = entries_of_fullest(sim);
    sim_pass_until(sim, sim->now_ms + QUIET_MS);
    entries = entries_of_fullest(sim) - entries;
    uint64_t minutes = sim->conn_count * (QUIET_MS / MINUTE_MS + 1);
    uint64_t passed_on = sim->conn_count * entries;
    sim_note(sim, "%llu B in %llu frames in %d s, %zu connections",
             (unsigned long long)(sim->stats.bytes - bytes), (unsigned long long)(sim->stats.frames - frames),
             QUIET_MS / 1000, sim->conn_count);
    if (entries > sim->node_count ||
        sim->stats.bytes - bytes > minutes * QUIET_BYTES_A_MINUTE + passed_on * QUIET_BYTES_AN_ENTRY ||
        sim->stats.frames - frames > minutes * QUIET_FRAMES_A_MINUTE + passed_on * QUIET_FRAMES_AN_ENTRY) {
        sim_fail(sim, "no silence: %llu entries, %llu B in %llu frames on %zu connections in %d s",
                 (unsigned long long)entries, (unsigned long long)(sim->stats.bytes - bytes),
                 (unsigned long long)(sim->stats.frames - frames), sim->conn_count, QUIET_MS / 1000);
    }
    if (!check_settled(sim, why, sizeof why)) {
        sim_fail(sim, "settled no longer: %s", why);
    }
}

uint64_t
run_seed(uint64_t seed, const struct shape *shape, const char *directory, FILE *trace,
         struct sim_stats *stats_out)
{
    static struct sim sim;
    struct fate fate;

    if (mkdir(directory, 0700) != 0) {
        perror(directory);
        return 0;
    }
    sim_init(&sim, seed, shape, directory, trace);
    sim.file_chance.state = ~seed;
    sim.file_max = FILES_MAX;
    plan(&sim, &fate);
    live(&sim, &fate);
    settle(&sim, &fate);
    listen(&sim);
    check_all(&sim);
    *stats_out = sim.stats;
    uint64_t hash = sim.hash;
    sim_free(&sim);
    remove_tree(directory);
    return hash;
}
