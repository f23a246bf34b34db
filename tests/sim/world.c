#include "tests/sim/sim.h"

#include "store/base/log.h"

#include <assert.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_MS = 10, PASS_MS_MAX = 1000, LINKS_A_NODE = 4 };

void
sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(stderr, "seed %llu at %llu ms: ", (unsigned long long)sim->seed,
                  (unsigned long long)sim->now_ms);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    if (sim->trace != NULL) {
        (void)fflush(sim->trace);
    }
    _exit(1);
}

void
sim_note(struct sim *sim, const char *format, ...)
{
    char line[600];
    va_list arguments;
    int size = snprintf(line, sizeof line, "%9llu ", (unsigned long long)sim->now_ms);

    va_start(arguments, format);
    (void)vsnprintf(line + size, sizeof line - (size_t)size, format, arguments);
    va_end(arguments);
    for (const char *at = line; *at != '\0'; at++) {
        sim->hash = (sim->hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    }
    if (sim->trace != NULL) {
        (void)fprintf(sim->trace, "%s\n", line);
    }
}

static void
log_line(void *self, const char *line)
{
    const struct sim *sim = self;

    if (sim->trace != NULL) {
        (void)fprintf(sim->trace, "          %s\n", line);
    }
}

void
sim_init(struct sim *sim, uint64_t seed, const struct shape *shape, const char *directory, FILE *trace)
{
    memset(sim, 0, sizeof *sim);
    sim->seed = seed;
    sim->chance.state = seed;
    sim->shape = shape;
    sim->directory = directory;
    sim->trace = trace;
    sim->hash = UINT64_C(0xcbf29ce484222325);
    sim->node_count = shape->device_count;
    sim->link_max = LINKS_MAX > LINKS_A_NODE * sim->node_count ? LINKS_MAX : LINKS_A_NODE * sim->node_count;
    sim->nodes = calloc(sim->node_count, sizeof *sim->nodes);
    sim->links = calloc(sim->link_max, sizeof *sim->links);
    assert(sim->nodes != NULL && sim->links != NULL);
    log_to(log_line, sim);
    for (size_t n = 0; n < sim->node_count; n++) {
        node_init(sim, n);
    }
}

void
sim_free(struct sim *sim)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        node_free(&sim->nodes[n]);
    }
    for (size_t n = 0; n < sim->conn_count; n++) {
        sim->conns[n]->cut = true;
        sim->conns[n]->ends[0].up = false;
        sim->conns[n]->ends[1].up = false;
    }
    network_sweep(sim);
    free(sim->conns);
    for (size_t n = 0; n < sim->shape->device_count; n++) {
        free(sim->nodes[n].conns);
    }
    people_settle(sim, false);
    free(sim->pending);
    for (size_t n = 0; n < sim->promise_count; n++) {
        buf_free(&sim->promises[n].value);
    }
    free(sim->promises);
    free(sim->records);
    trust_free(sim);
    for (size_t n = 0; n < sim->recorded_count; n++) {
        buf_free(&sim->recorded[n]);
    }
    for (size_t n = 0; n < sim->overheard_count; n++) {
        buf_free(&sim->overheard[n]);
    }
    free(sim->nodes);
    free(sim->links);
    log_to(NULL, NULL);
}

void
sim_pass(struct sim *sim)
{
    uint64_t next = network_wake_ms(sim);

    for (size_t n = 0; n < sim->node_count; n++) {
        uint64_t wake = node_wake_ms(&sim->nodes[n]);
        next = wake < next ? wake : next;
    }
    if (next > sim->now_ms + PASS_MS_MAX) {
        next = sim->now_ms + PASS_MS_MAX;
    }
    /* What happens within a step happens in one turn. */
    next = (next + STEP_MS - 1) / STEP_MS * STEP_MS;
    sim->now_ms = next > sim->now_ms ? next : sim->now_ms + STEP_MS;
    network_dial(sim);
    size_t first = chance_below(&sim->chance, sim->node_count);
    for (size_t n = 0; n < sim->node_count; n++) {
        node_turn(&sim->nodes[(first + n) % sim->node_count]);
    }
    network_sweep(sim);
}

void
sim_pass_until(struct sim *sim, uint64_t until_ms)
{
    while (sim->now_ms < until_ms) {
        sim_pass(sim);
    }
}

static int
remove_one(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    (void)stat;
    (void)type;
    (void)place;
    return remove(path);
}

void
remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
