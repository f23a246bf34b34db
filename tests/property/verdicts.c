/* U6: what is malformed or forged is a function of the bytes, and the same in every build. Chunks of a real log are bent in every
 * way and handed in; all verdicts together have one hash, which stands here. It is the same with gcc, with clang and under
 * sanitizers, or one of them decides otherwise than the others. VIGIL_VERDICTS=N tries so many more, against a replica that
 * is closed and opened on the way. */
#include "store/base/log.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNKS_MAX = 256, TRIES = 6000 };

static struct test_organisation org;

struct kept_chunk {
    struct gossip_log log;
    struct buf bytes;
};

static struct kept_chunk chunks[CHUNKS_MAX];
static size_t chunk_count;
static uint64_t state = 7;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 31);
}

static void
teardown(void)
{
    for (size_t n = 0; n < chunk_count; n++) {
        buf_free(&chunks[n].bytes);
    }
    chunk_count = 0;
    test_organisation_free(&org);
    saves_free();
}

static uint64_t
below(uint64_t bound)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % bound;
}

static void
keep_chunks(struct test_node *node, const struct ident *compartment)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);
    const struct frontier *frontier = store->frontier(store->self, compartment);

    for (size_t n = 0; n < frontier->count; n++) {
        for (uint64_t seq = 0; seq <= frontier->tips[n].seq && chunk_count < CHUNKS_MAX;) {
            struct kept_chunk *kept = &chunks[chunk_count++];

            memset(kept, 0, sizeof *kept);
            kept->log.log_id = frontier->tips[n].log_id;
            ck_assert(store->descriptor(store->self, &kept->log.log_id, &kept->log.descriptor));
            ck_assert_int_eq(
                store->read_chunk(store->self, &frontier->tips[n], seq, false, &kept->bytes, &seq), ERR_OK);
        }
    }
}

/* One chunk, as it is or bent. */
static void
bend(struct buf *out, const struct kept_chunk *from)
{
    buf_clear(out);
    buf_put_span(out, buf_span(&from->bytes));
    switch (below(6)) {
    case 0:
        break;
    case 1:
        out->size = (size_t)below(out->size);
        break;
    case 2:
        buf_put_u8(out, (uint8_t)below(256));
        break;
    default:
        out->data[below(out->size)] ^= (uint8_t)(1u << below(8));
    }
}

START_TEST(u6_every_build_comes_to_the_same_verdicts)
{
    static const char expected[] = "f08d5b78f1115132";
    const char *more = getenv("VIGIL_VERDICTS");
    uint64_t tries = TRIES + (more == NULL ? 0 : strtoull(more, NULL, 10));
    struct buf bent = { 0 };
    struct buf verdicts = { 0 };
    struct hash hash;
    char text[17];

    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    for (int n = 0; n < 300; n++) {
        saves_pseudonym(ken, &cases, &person, n % 2 == 0 ? "P-even" : "P-odd");
    }
    for (int own = 0; own < OWN_COUNT; own++) {
        struct ident compartment = test_compartment(ken, "KEN", own);

        keep_chunks(ken, &compartment);
    }
    keep_chunks(ken, roster_control(replica_roster(ken->replica)));
    ck_assert_uint_gt(chunk_count, 5);

    const struct gossip_store *sink = replica_gossip_store(hq->replica);
    saves_begin(hq);
    for (uint64_t n = 0; n < tries; n++) {
        const struct kept_chunk *from = &chunks[below(chunk_count)];
        struct taken taken = { 0 };

        bend(&bent, from);
        sink->take(sink->self, &ken->identity.device_id, &from->log, buf_span(&bent), &taken);
        if (n < TRIES) {
            buf_put_u8(&verdicts, (uint8_t)taken.verdict);
            buf_put_u8(&verdicts, (uint8_t)taken.later);
        }
    }
    saves_commit(hq);
    /* And standing is one of the set: what was taken is what was written. */
    test_node_exchange(ken, hq);
    ck_assert_mem_eq(saves_digest(hq, &cases), saves_digest(ken, &cases), DIGEST_BYTES);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 1);

    CRYPTO_HASH(&hash, "vigil.view.v1", buf_span(&verdicts));
    for (size_t n = 0; n < 8; n++) {
        (void)snprintf(text + 2 * n, 3, "%02x", hash.bytes[n]);
    }
    ck_assert_str_eq(text, expected);
    buf_free(&bent);
    buf_free(&verdicts);
}
END_TEST

SUITE_MAIN_WITH("verdicts", setup, teardown, u6_every_build_comes_to_the_same_verdicts)
