/* I2, I9, I13: pages of main/ or keys/ are damaged, in a replica that nobody has all of. What is salvaged says nothing else than it did before;
 * what a peer holds comes again from it; and what was written here alone is here, and reaches the peer, unless its own bytes are gone.
 * VIGIL_SALVAGES=N tries so many more bits, and every page instead of each third. */
#include "store/base/log.h"
#include "sync/restore.h"
#include "sync/salvage.h"
#include "sync/scrub.h"
#include "tests/support/chance.h"
#include "tests/support/check.h"
#include "tests/support/proving.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PERSONS = 14, UNSENT = 5, PAGE_BYTES = 4096, SECTOR_BYTES = 512, PROBE_MS = 1000, SECONDS_MAX = 60 };

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct ident cases;
static struct ident records[PERSONS];
static struct chance chance;

/* A file as it was. */
struct image {
    char path[256];
    struct buf bytes;
};

enum { IMAGE_MAIN, IMAGE_KEYS, IMAGE_ANCHOR, IMAGE_DEVICE, IMAGES };
static struct image images[2][IMAGES]; /* of hq, ken */

static void
read_images(struct test_node *node, struct image all[IMAGES])
{
    static const char *const names[] = { "main/data.mdb", "keys/data.mdb", "anchor", "device" };

    for (size_t n = 0; n < IMAGES; n++) {
        struct stat info;

        (void)snprintf(all[n].path, sizeof all[n].path, "%s/%s", node->directory, names[n]);
        int file = open(all[n].path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_eq(fstat(file, &info), 0);
        ck_assert_int_eq(read(file, buf_extend(&all[n].bytes, (size_t)info.st_size), (size_t)info.st_size),
                         info.st_size);
        ck_assert_int_eq(close(file), 0);
    }
}

static void
write_images(const struct image all[IMAGES])
{
    for (size_t n = 0; n < IMAGES; n++) {
        int file = open(all[n].path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_eq(write(file, all[n].bytes.data, all[n].bytes.size), (ssize_t)all[n].bytes.size);
        ck_assert_int_eq(close(file), 0);
    }
}

static void
setup(void)
{
    char text[64];

    log_to(silent, NULL);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_organisation_two(&org, 91, &ken, &hq);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    for (size_t n = 0; n < PERSONS; n++) {
        (void)snprintf(text, sizeof text, "name %zu", n);
        records[n] = saves_person(ken, &cases, text);
    }
    test_node_exchange(ken, hq);
    for (size_t n = 0; n < PERSONS; n++) {
        (void)snprintf(text, sizeof text, "K-%zu", n);
        saves_pseudonym(ken, &cases, &records[n], text);
    }
    test_node_exchange(ken, hq);
    test_node_tend(hq);
    test_node_tend(ken);
    test_node_exchange(ken, hq);
    /* Nobody else has these. */
    for (size_t n = 0; n < UNSENT; n++) {
        (void)snprintf(text, sizeof text, "H-%zu", n);
        saves_pseudonym(hq, &cases, &records[n], text);
    }
    test_node_close(hq);
    test_node_close(ken);
    read_images(hq, images[0]);
    read_images(ken, images[1]);
}

static void
teardown(void)
{
    for (size_t n = 0; n < IMAGES; n++) {
        buf_free(&images[0][n].bytes);
        buf_free(&images[1][n].bytes);
    }
    test_organisation_free(&org);
    saves_free();
}

/* --- what a try comes to --- */

struct tally {
    uint32_t fine;    /* the pages were as they must be */
    uint32_t refused; /* nothing of it could be read */
    uint32_t whole;   /* nothing was lost */
    uint32_t waited;  /* some came again from a peer */
    uint32_t gone;    /* entries that were here alone, and whose bytes are gone */
    uint32_t guarded; /* it shows nothing until it has met a peer */
    uint32_t founded; /* statements were lost, and given to it once more */
};

/* In a child, as vigild looks. */
static bool
is_damaged(const struct image *image, enum table_set set)
{
    char path[256];
    int status;

    (void)snprintf(path, sizeof path, "%s", image->path);
    *strrchr(path, '/') = '\0';
    pid_t child = fork();
    if (child == 0) {
        const struct itimerval limit = { .it_value = { .tv_sec = SECONDS_MAX } };
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)dup2(nowhere, STDERR_FILENO);
        (void)setitimer(ITIMER_PROF, &limit, NULL);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        _exit(table_env_probe(&(struct table_options){ .path = path, .set = set, .world = &hq->world.world },
                              PROBE_MS) == ERR_CORRUPT);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static enum err
salvage(bool main_too, bool keys_too, bool apply, struct replica_salvaged *out)
{
    return replica_salvage(&(struct replica_salvage){ .directory = hq->directory,
                                                      .world = &hq->world.world,
                                                      .storage_key = &hq->storage_key,
                                                      .damaged = { main_too, keys_too },
                                                      .apply = apply },
                           out);
}

static void
scrub_all(void)
{
    const struct scrub_options options = { .mend = true };
    struct scrub *scrub = NULL;
    bool ended = false;

    ck_assert_int_eq(scrub_open(&scrub, hq->replica), ERR_OK);
    scrub_restart(scrub);
    while (!ended) {
        saves_begin(hq);
        ended = scrub_step(scrub, 4096, &options);
        saves_commit(hq);
    }
    scrub_close(&scrub);
}

/* As vigild verify --repair does. */
static void
repair(void)
{
    uint64_t places;

    scrub_all();
    saves_begin(hq);
    ck_assert_int_eq(scrub_mend_places(hq->replica, &places), ERR_OK);
    saves_commit(hq);
    ck_assert_int_eq(replica_rebuild(hq->replica, NULL, NULL), ERR_OK);
    scrub_all();
}

/* What is noted as damaged is asked for by name. */
static void
answer_wants(void)
{
    const struct gossip_store *source = replica_gossip_store(ken->replica);
    const struct gossip_store *sink = replica_gossip_store(hq->replica);
    struct ident compartments[64];
    size_t held = sink->shared(sink->self, &ken->identity.device_id, compartments, 64);

    for (size_t n = 0; n < held; n++) {
        struct absent_cursor cursor = { 0 };
        struct hash log_id;
        uint64_t seq;

        while (sink->absent(sink->self, &compartments[n], true, &cursor, &log_id, &seq)) {
            const struct frontier *frontier = source->frontier(source->self, &compartments[n]);
            const struct tip *tip = frontier == NULL ? NULL : frontier_find(frontier, log_id.bytes);
            struct gossip_log log = { .log_id = log_id };
            struct buf chunk = { 0 };
            struct taken taken;
            uint64_t next;

            if (tip != NULL && source->descriptor(source->self, &log_id, &log.descriptor) &&
                source->read_chunk(source->self, tip, seq, PAYLOADS_ALL, &chunk, &next) == ERR_OK) {
                saves_begin(hq);
                sink->take(sink->self, &ken->identity.device_id, &log, buf_span(&chunk), &taken);
                saves_commit(hq);
            }
            buf_free(&chunk);
        }
    }
    test_node_tend(hq);
}

static uint64_t
noted(void)
{
    struct scrub_status status;
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(hq->replica, &txn), ERR_OK);
    scrub_read_status(txn, &status);
    replica_end_read(hq->replica, &txn);
    return status.noted;
}

/* True if the protected half of a record has this text. */
static bool
has_name(struct test_node *node, const struct ident *record, const char *name)
{
    struct arena arena = { 0 };
    struct table_txn *txn = NULL;
    struct replica_view view;
    bool found = false;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    if (replica_read(node->replica, &cases, record, &arena, &view) == ERR_OK && view.protected_half != NULL) {
        for (size_t n = 0; n < view.protected_half->target_count; n++) {
            const struct record_target *target = &view.protected_half->targets[n];

            for (size_t k = 0; k < target->value_count; k++) {
                struct span value = target->values[k].value;
                /* Behind the head of a CBOR text. */
                found = found ||
                        (value.size == strlen(name) + 1 && memcmp(value.data + 1, name, strlen(name)) == 0);
            }
        }
    }
    replica_end_read(node->replica, &txn);
    arena_free(&arena);
    return found;
}

/* How many of the texts that were written are here; with `unsent`, of those that were written here alone. Nothing else is. */
static size_t
texts_here(struct test_node *node, bool unsent)
{
    char text[64];
    size_t count = 0;

    for (size_t n = 0; n < PERSONS; n++) {
        size_t values = saves_pseudonym_count(node, &cases, &records[n]);

        (void)snprintf(text, sizeof text, "K-%zu", n);
        bool theirs = saves_has_pseudonym(node, &cases, &records[n], text);
        (void)snprintf(text, sizeof text, "H-%zu", n);
        bool ours = n < UNSENT && saves_has_pseudonym(node, &cases, &records[n], text);
        bool first = saves_has_pseudonym(node, &cases, &records[n], "P-17");
        ck_assert_uint_eq(values, (size_t)theirs + ours + first);
        (void)snprintf(text, sizeof text, "name %zu", n);
        count += unsent ? ours : (size_t)(theirs || ours) + has_name(node, &records[n], text);
    }
    return count;
}

static void
count_finding(void *self, enum proof_part part, const char *what)
{
    (void)part;
    (void)what;
    ++*(uint64_t *)self;
}

static uint64_t
findings(struct test_node *node)
{
    struct proof proof;
    uint64_t count = 0;

    ck_assert_int_eq(proving_run(node->replica, count_finding, &count, &proof), ERR_OK);
    return count;
}

/* As test_node_exchange, but a log that cannot be read to its end goes as far as it can. */
static void
give(struct test_node *from, struct test_node *to)
{
    const struct gossip_store *source = replica_gossip_store(from->replica);
    const struct gossip_store *sink = replica_gossip_store(to->replica);
    struct ident shared[64];
    size_t count = source->shared(source->self, &to->identity.device_id, shared, 64);

    saves_begin(to);
    for (size_t n = 0; n < count; n++) {
        const struct frontier *frontier = source->frontier(source->self, &shared[n]);

        for (size_t k = 0; k < frontier->count; k++) {
            struct gossip_log log = { .log_id = frontier->tips[k].log_id };

            ck_assert(source->descriptor(source->self, &log.log_id, &log.descriptor));
            for (uint64_t seq = 0; seq <= frontier->tips[k].seq;) {
                struct buf chunk = { 0 };
                struct taken taken = { .verdict = VERDICT_SEEN };
                enum err err =
                    source->read_chunk(source->self, &frontier->tips[k], seq, PAYLOADS_ALL, &chunk, &seq);

                if (err == ERR_OK) {
                    sink->take(sink->self, &from->identity.device_id, &log, buf_span(&chunk), &taken);
                }
                buf_free(&chunk);
                ck_assert_int_ne(taken.verdict, VERDICT_MALFORMED);
                ck_assert_int_ne(taken.verdict, VERDICT_FORGED);
                if (err != ERR_OK) {
                    break;
                }
            }
        }
    }
    saves_commit(to);
    test_node_tend(to);
}

static void
exchange(void)
{
    for (int round = 0; round < 4; round++) {
        answer_wants();
        give(ken, hq);
        give(hq, ken);
    }
}

/* Meet the peer, and be one with it again. Of a file that was cut short nobody can tell what was behind its end. */
static void
meet(bool cut_short, struct tally *tally)
{
    bool waits = noted() > 0;
    size_t unsent = texts_here(hq, true);

    test_node_open(ken);
    exchange();
    repair();
    exchange();
    if (noted() == 0) {
        ck_assert_uint_eq(findings(hq), 0);
        ck_assert_uint_ge(texts_here(ken, true), cut_short ? unsent : UNSENT);
    } else {
        tally->gone++;
    }
    ck_assert_uint_eq(findings(ken), 0);
    ck_assert_uint_eq(texts_here(hq, false), 2 * PERSONS);
    ck_assert_uint_eq(texts_here(ken, false), 2 * PERSONS);
    ck_assert_uint_ge(texts_here(hq, true), unsent);
    tally->waited += waits;
    /* Life goes on. */
    saves_pseudonym(hq, &cases, &records[PERSONS - 1], "K-13");
    exchange();
    ck_assert_uint_eq(findings(ken), 0);
    test_node_close(ken);
}

/* Have the damage that was done looked at, and mended. */
static void
mend(struct tally *tally)
{
    struct replica_salvaged out;
    bool damaged[2] = { is_damaged(&images[0][IMAGE_MAIN], TABLE_SET_MAIN),
                        is_damaged(&images[0][IMAGE_KEYS], TABLE_SET_KEYS) };

    if (!damaged[0] && !damaged[1]) {
        tally->fine++;
        return;
    }
    enum err err = salvage(damaged[0], damaged[1], true, &out);
    if (err != ERR_OK) {
        ck_assert_int_eq(err, ERR_CORRUPT);
        tally->refused++;
        return;
    }
    tally->guarded += out.guarded;
    bool lost = damaged[0] && (!out.parts[0].lost_known[TABLE_CERT] || out.parts[0].lost[TABLE_CERT] > 0);
    ck_assert(!lost || out.guarded);
    ck_assert(!is_damaged(&images[0][IMAGE_MAIN], TABLE_SET_MAIN));
    ck_assert(!is_damaged(&images[0][IMAGE_KEYS], TABLE_SET_KEYS));
    test_node_open(hq);
    ck_assert(replica_is_rebuilding(hq->replica));
    ck_assert(replica_is_restored(hq->replica, NULL) == out.guarded);
    repair();
    ck_assert(!replica_is_rebuilding(hq->replica));
    if (lost) {
        tally->founded++;
        test_node_import(&org, hq);
    }
    if (noted() == 0 && texts_here(hq, false) == 2 * PERSONS && texts_here(hq, true) == UNSENT) {
        ck_assert_uint_eq(findings(hq), 0);
        tally->whole++;
    }
    meet(damaged[0] && out.parts[PART_MAIN].cut_short, tally);
    test_node_close(hq);
}

static void
try_with(struct image *image, const struct buf *spoiled, struct tally *tally)
{
    struct buf whole = image->bytes;

    write_images(images[1]);
    image->bytes = *spoiled;
    write_images(images[0]);
    image->bytes = whole;
    mend(tally);
}

static void
tell(const char *what, size_t tries, const struct tally *tally)
{
    printf("%zu of %s: fine %u, refused %u, whole at once %u, waited %u, gone %u, guarded %u, founded %u\n",
           tries, what, tally->fine, tally->refused, tally->whole, tally->waited, tally->gone, tally->guarded,
           tally->founded);
    (void)fflush(stdout);
}

static size_t
more(void)
{
    const char *asked = getenv("VIGIL_SALVAGES");

    return asked == NULL ? 0 : strtoul(asked, NULL, 10);
}

/* --- the tests --- */

static void
copy(struct buf *out, const struct image *image)
{
    buf_clear(out);
    buf_put_span(out, buf_span(&image->bytes));
}

/* A bit of the first bytes of a page, of the list of its rows, or of a row's head: where structure is. */
START_TEST(i2_a_store_whose_pages_have_a_flipped_bit_is_mended)
{
    for (size_t which = IMAGE_MAIN; which <= IMAGE_KEYS; which++) {
        struct image *image = &images[0][which];
        struct tally tally = { .fine = 0 };
        struct buf spoiled = { 0 };
        size_t tries = (which == IMAGE_MAIN ? 40 : 16) + more();

        for (size_t n = 0; n < tries; n++) {
            chance.state = 7919 * n + which;
            copy(&spoiled, image);
            size_t page = chance_below(&chance, spoiled.size / PAGE_BYTES);
            size_t at = page * PAGE_BYTES + chance_below(&chance, 48);
            spoiled.data[at] ^= (uint8_t)(1U << chance_below(&chance, 8));
            try_with(image, &spoiled, &tally);
        }
        tell(which == IMAGE_MAIN ? "bits in main" : "bits in keys", tries, &tally);
        ck_assert_uint_gt(tally.whole, tries / 8);
        ck_assert_uint_eq(tally.refused, 0);
        ck_assert_uint_eq(tally.gone, 0);
        buf_free(&spoiled);
    }
}
END_TEST

static void
expect_mended(size_t which, size_t bytes, const char *what)
{
    struct image *image = &images[0][which];
    struct tally tally = { .fine = 0 };
    struct buf spoiled = { 0 };
    size_t tries = 0;
    size_t step = more() == 0 ? 3 : 1;

    for (size_t page = 0; page < image->bytes.size / PAGE_BYTES; page += step, tries++) {
        copy(&spoiled, image);
        memset(spoiled.data + page * PAGE_BYTES, 0, bytes);
        try_with(image, &spoiled, &tally);
    }
    tell(what, tries, &tally);
    ck_assert_uint_eq(tally.refused, 0);
    /* One page is that of our own unsent entries, and may be gone whole: nobody else has them. */
    ck_assert_uint_le(tally.gone, bytes == PAGE_BYTES);
    buf_free(&spoiled);
}

START_TEST(i2_a_sector_that_is_zero_at_the_head_of_any_page_is_mended)
{
    expect_mended(IMAGE_MAIN, SECTOR_BYTES, "sectors of main");
    expect_mended(IMAGE_KEYS, SECTOR_BYTES, "sectors of keys");
}
END_TEST

START_TEST(i2_any_page_that_is_zero_is_mended)
{
    expect_mended(IMAGE_MAIN, PAGE_BYTES, "pages of main");
    expect_mended(IMAGE_KEYS, PAGE_BYTES, "pages of keys");
}
END_TEST

START_TEST(i2_a_file_that_was_cut_short_gives_what_is_left_of_it)
{
    struct image *image = &images[0][IMAGE_MAIN];
    struct tally tally = { .fine = 0 };
    struct buf spoiled = { 0 };

    for (size_t part = 1; part < 8; part++) {
        copy(&spoiled, image);
        spoiled.size = image->bytes.size / 8 * part + part;
        try_with(image, &spoiled, &tally);
    }
    tell("files cut short", 7, &tally);
    ck_assert_uint_eq(tally.fine, 0);
    buf_free(&spoiled);
}
END_TEST

SUITE_MAIN_WITH("salvage", setup, teardown, i2_a_store_whose_pages_have_a_flipped_bit_is_mended,
                i2_a_sector_that_is_zero_at_the_head_of_any_page_is_mended,
                i2_any_page_that_is_zero_is_mended, i2_a_file_that_was_cut_short_gives_what_is_left_of_it)
