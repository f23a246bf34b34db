/* chunks.c - what a node holds, in the form in which it travels.
 *
 *     links-chunks DIR < passphrase
 *     entries 1288 chunks 61 bytes 183450 largest 4410
 *
 * The payload of the laboratory: the chunks of every log that the node holds, as read for a peer that lacks them all, with
 * their signatures, and nothing around them. A run is signed once, so what was saved one by one is as long here as what
 * was saved at once. The node must not be running.
 */
#include "node/setup.h"
#include "node/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPARTMENTS_MAX = 64, MAP_MIB = 4096 };

struct sums {
    uint64_t entries;
    uint64_t chunks;
    uint64_t bytes;
    uint64_t largest;
};

/* False: something of it could not be read. */
static bool
sum_tip(const struct gossip_store *store, const struct tip *tip, struct sums *sums)
{
    struct buf chunk = { 0 };
    enum err err = ERR_OK;

    for (uint64_t next = tip->branch_first; next <= tip->seq && err == ERR_OK;) {
        uint64_t from = next;

        buf_clear(&chunk);
        err = store->read_chunk(store->self, tip, from, false, &chunk, &next);
        if (err == ERR_OK) {
            sums->entries += next - from;
            sums->chunks++;
            sums->bytes += chunk.size;
            sums->largest = chunk.size > sums->largest ? chunk.size : sums->largest;
        }
    }
    buf_free(&chunk);
    return err == ERR_OK;
}

static bool
sum_all(struct replica *replica, struct sums *sums)
{
    struct replica_compartment held[COMPARTMENTS_MAX];
    const struct gossip_store *store = replica_gossip_store(replica);
    size_t count = replica_compartments(replica, held, COMPARTMENTS_MAX);
    bool whole = count <= COMPARTMENTS_MAX;

    for (size_t n = 0; n < count && whole; n++) {
        const struct frontier *frontier = store->frontier(store->self, &held[n].id);

        whole = frontier != NULL;
        for (size_t at = 0; whole && at < frontier->count; at++) {
            whole = sum_tip(store, &frontier->tips[at], sums);
        }
    }
    return whole;
}

int
main(int argc, char **argv)
{
    struct real_world world;
    struct setup setup = { .directory = "" };
    struct setup_fault fault;
    struct sums sums = { 0 };
    char phrase[256];

    if (argc != 2 || fgets(phrase, sizeof phrase, stdin) == NULL || crypto_start() != ERR_OK) {
        (void)fputs("usage: links-chunks DIR < passphrase\n", stderr);
        return 2;
    }
    phrase[strcspn(phrase, "\n")] = '\0';
    real_world_init(&world);
    bool good = setup_unlock(&setup, argv[1], span_of(phrase, strlen(phrase)), &fault) &&
                setup_open(&setup, &world.world, MAP_MIB, &fault);
    if (!good) {
        (void)fprintf(stderr, "links-chunks: %s: %s\n", fault.what, fault.why);
    } else if (!sum_all(setup.replica, &sums)) {
        (void)fputs("links-chunks: an entry cannot be read\n", stderr);
        good = false;
    }
    setup_close(&setup);
    if (good) {
        (void)printf("entries %" PRIu64 " chunks %" PRIu64 " bytes %" PRIu64 " largest %" PRIu64 "\n",
                     sums.entries, sums.chunks, sums.bytes, sums.largest);
    }
    return good ? 0 : 1;
}
