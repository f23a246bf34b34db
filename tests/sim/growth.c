/* How bytes and time grow with the organisation: offices behind hubs, links that break at random, and people who save.
 *
 *     [ HQ ]---[ hub 1 ]---[ hub 2 ] ...        hubs in a ring, and headquarters at each
 *                 |    \    /
 *              [ office's first device ]        at two hubs
 *               |    |    |
 *              its others
 *
 * At first everybody joins, makes keys and comes to the same; then for LIFE_MS people save while a third of the links is
 * down at any time; then all links are whole, and it is counted until all digests are equal again. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SECOND_MS = 1000,
    LIFE_MS = 300 * SECOND_MS,
    SPLIT_MS = 20 * SECOND_MS,
    EQUAL_MS_MAX = 3600 * SECOND_MS
};
enum { FRAME_TYPES = 32 };

struct growth {
    uint64_t *sent; /* bytes by node */
    uint64_t types[FRAME_TYPES];
};

static void
count_sent(struct sim *sim, struct sim_conn *conn, int way, struct span frame)
{
    struct growth *growth = sim->on_send_self;

    growth->sent[conn->ends[way].node] += frame.size;
    growth->types[frame.data[0] % FRAME_TYPES] += frame.size;
}

/* --- who calls whom --- */

static void
add_link(struct sim *sim, size_t a, size_t b)
{
    assert(sim->link_count < sim->link_max);
    sim->links[sim->link_count++] = (struct sim_link){
        .a = (int)a,
        .b = (int)b,
        .latency_ms = chance_between(&sim->chance, 20, 400),
        .bytes_per_s = chance_between(&sim->chance, 20000, 1000000),
        .window = 256 << 10,
        .dial_ms = { chance_below(&sim->chance, 3000), 0 },
    };
}

static size_t
hub_count(const struct sim *sim)
{
    size_t count = 0;

    while (count + 1 < sim->node_count && sim->nodes[count + 1].device->everywhere) {
        count++;
    }
    return count;
}

static void
add_links(struct sim *sim)
{
    size_t hubs = hub_count(sim);
    size_t first = 0;

    for (size_t n = 1; n <= hubs; n++) {
        add_link(sim, n, 0);
        if (hubs > 2 || n < hubs) {
            add_link(sim, n, n % hubs + 1);
        }
    }
    for (size_t n = hubs + 1; n < sim->node_count; n++) {
        if (sim->nodes[n].device->office != sim->nodes[n - 1].device->office) {
            size_t office = (size_t)sim->nodes[n].device->office;
            first = n;
            add_link(sim, n, 1 + office % hubs);
            if (hubs > 1) {
                add_link(sim, n, 1 + (office + 1) % hubs);
            }
        } else {
            add_link(sim, n, first);
        }
    }
}

/* Another third of the links is down from now on. */
static void
split_some(struct sim *sim)
{
    for (size_t n = 0; n < sim->link_count; n++) {
        sim->links[n].split = chance_one_in(&sim->chance, 3);
    }
    for (size_t n = 0; n < sim->conn_count; n++) {
        if (sim->conns[n]->link >= 0 && sim->links[sim->conns[n]->link].split) {
            network_cut(sim, sim->conns[n], "the link is split");
        }
    }
}

/* --- equal? --- */

static bool
all_equal(struct sim *sim, char *why, size_t why_size)
{
    for (size_t n = 0; n < sim->shape->compartment_count; n++) {
        const struct shape_compartment *at = &sim->shape->compartments[n];
        const uint8_t *first = NULL;

        for (size_t m = 0; m < sim->node_count; m++) {
            if (!sim->nodes[m].joined || shape_level(sim->shape, m, at, 0) < LEVEL_CARRY) {
                continue;
            }
            if (!node_is_up(&sim->nodes[m]) || sim->nodes[m].tend_due) {
                (void)snprintf(why, why_size, "%s has work", sim->nodes[m].device->name);
                return false;
            }
            const uint8_t *digest = frontier_digest(node_frontier(&sim->nodes[m], &at->id));
            if (first != NULL && memcmp(first, digest, DIGEST_BYTES) != 0) {
                (void)snprintf(why, why_size, "%s differs on %d of office %d", sim->nodes[m].device->name,
                               at->own, at->office);
                return false;
            }
            first = digest;
        }
    }
    return true;
}

/* Gives how long it took. */
static uint64_t
come_to_the_same(struct sim *sim, const char *when)
{
    uint64_t since = sim->now_ms;
    char why[100] = "";

    while (!all_equal(sim, why, sizeof why)) {
        if (sim->now_ms > since + EQUAL_MS_MAX) {
            sim_fail(sim, "%s: %s", when, why);
        }
        sim_pass_until(sim, sim->now_ms + SECOND_MS);
    }
    return sim->now_ms - since;
}

/* Headquarters first, which makes the keys; then hubs; then one device of each office, then the others: as an
 * organisation comes to be. Whoever joins takes in what is there at once. */
static void
join_all(struct sim *sim)
{
    size_t hubs = hub_count(sim);

    add_links(sim);
    for (int wave = 0; wave < 4; wave++) {
        for (size_t n = 0; n < sim->node_count; n++) {
            struct sim_node *node = &sim->nodes[n];
            bool first = n > hubs && node->device->office != sim->nodes[n - 1].device->office;
            int of_wave = n == 0 ? 0 : n <= hubs ? 1 : first ? 2 : 3;

            if (of_wave == wave) {
                node->map_bytes = 4 << 20;
                node->mute = true;
                node_join(node);
            }
        }
        (void)come_to_the_same(sim, "at first");
    }
}

/* --- a line of the table --- */

static double
wall_s(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t
entries_at(const struct sim_node *node)
{
    return journal_place_last(replica_journal(node->replica));
}

static void
print_types(const struct growth *growth)
{
    (void)printf("      by frame:");
    for (size_t type = 0; type < FRAME_TYPES; type++) {
        if (growth->types[type] > 0) {
            (void)printf(" %s %llu", frame_type_text((enum frame_type)type),
                         (unsigned long long)growth->types[type]);
        }
    }
    (void)printf("\n");
}

static void
count_statement(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    (void)id;
    (void)stmt;
    ((size_t *)self)[type == STATEMENT_BOX]++;
}

/* What the admins said so that everybody can read. */
static void
print_keys(const struct sim_node *node)
{
    size_t counts[2] = { 0, 0 };
    size_t epochs[2] = { 0, 0 };

    roster_each(replica_roster(node->replica), STATEMENT_EPOCH, count_statement, epochs);
    roster_each(replica_roster(node->replica), STATEMENT_BOX, count_statement, counts);
    (void)printf("      %zu epochs and %zu boxes beside them\n", epochs[0], counts[1]);
}

void
growth_head(void)
{
    (void)printf("| nodes | offices | links | saves | entries | B a node to begin | B a node | most of one | "
                 "MB in all "
                 "| s until equal | wall s | memory MB |\n"
                 "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
}

void
growth_run(size_t device_count, uint64_t seed, const char *directory, bool verbose)
{
    static struct sim sim;
    static struct shape shape;
    struct growth growth = { NULL, { 0 } };
    char ceremony[256];
    double began = wall_s();

    (void)snprintf(ceremony, sizeof ceremony, "%s.ceremony", directory);
    shape_make_large(&shape, device_count, ceremony);
    if (mkdir(directory, 0700) != 0) {
        perror(directory);
        _exit(1);
    }
    sim_init(&sim, seed, &shape, directory, NULL);
    growth.sent = calloc(sim.node_count, sizeof *growth.sent);
    assert(growth.sent != NULL);
    sim.on_send = count_sent;
    sim.on_send_self = &growth;
    join_all(&sim);
    uint64_t to_begin = sim.stats.bytes;
    uint64_t entries = entries_at(&sim.nodes[0]);
    double ready = wall_s();
    memset(growth.sent, 0, sim.node_count * sizeof *growth.sent);
    memset(growth.types, 0, sizeof growth.types);

    uint64_t end_ms = sim.now_ms + LIFE_MS;
    uint64_t split_ms = sim.now_ms;
    for (size_t n = 0; n < sim.node_count; n++) {
        sim.nodes[n].mute = false;
        sim.nodes[n].save_ms = sim.now_ms + chance_below(&sim.chance, 60 * SECOND_MS);
    }
    while (sim.now_ms < end_ms) {
        if (sim.now_ms >= split_ms) {
            split_some(&sim);
            split_ms = sim.now_ms + SPLIT_MS;
        }
        sim_pass(&sim);
    }
    for (size_t n = 0; n < sim.node_count; n++) {
        sim.nodes[n].mute = true;
    }
    for (size_t n = 0; n < sim.link_count; n++) {
        sim.links[n].split = false;
    }
    uint64_t took_ms = come_to_the_same(&sim, "in the end");

    uint64_t most = 0;
    for (size_t n = 0; n < sim.node_count; n++) {
        most = growth.sent[n] > most ? growth.sent[n] : most;
    }
    struct rusage usage = { .ru_maxrss = 0 };
    (void)getrusage(RUSAGE_SELF, &usage);
    uint64_t bytes = sim.stats.bytes - to_begin;
    (void)printf("| %zu | %zu | %zu | %llu | %llu | %llu | %llu | %llu | %.1f | %.0f | %.0f | %ld |\n",
                 sim.node_count, shape.office_count - 2, sim.link_count, (unsigned long long)sim.stats.saves,
                 (unsigned long long)(entries_at(&sim.nodes[0]) - entries),
                 (unsigned long long)(to_begin / sim.node_count),
                 (unsigned long long)(bytes / sim.node_count), (unsigned long long)most, (double)bytes / 1e6,
                 (double)took_ms / 1000, wall_s() - began, usage.ru_maxrss / 1024);
    if (verbose) {
        print_types(&growth);
        print_keys(&sim.nodes[0]);
        (void)printf("      %llu entries and %.0f s to begin with\n", (unsigned long long)entries,
                     ready - began);
    }
    (void)fflush(stdout);
    free(growth.sent);
    sim_free(&sim);
    shape_free(&shape);
    remove_tree(directory);
}
