/* I1, I2: a disk gives back other bytes than were written, anywhere in main/ or keys/ of a replica that several people wrote in. Whoever
 * reads gets what was there before, or is told; what one gets less than before is found by vigild verify; and nobody ever gets
 * anything else. Pages are looked at first, in the same process here, which may die of that and of verifying, and of nothing else.
 * VIGIL_FLIPS=N tries so many more of each kind. */
#include "store/base/log.h"
#include "store/index.h"
#include "sync/scrub.h"
#include "tests/support/chance.h"
#include "tests/support/check.h"
#include "tests/support/proving.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include "store/base/cbor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PERSONS = 12,
    CASES = 6,
    RECORDS = PERSONS + CASES,
    CHUNKS_MAX = 96,
    ANSWERS_MAX = 3 * RECORDS + CHUNKS_MAX + 8,
    PAGE_BYTES = 4096,
    SECONDS_MAX = 20, /* of processor, for one damage */
    PROBE_MS = 1000,
};

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct ident cases;
static struct ident halves[2]; /* compartments of the two halves of each record */
static struct ident records[RECORDS];

/* A chunk that is sent to peers: of a log, from an entry. */
struct place {
    struct hash log_id;
    uint64_t seq;
};

static struct place places[CHUNKS_MAX];
static size_t place_count;

/* What a reader is told: ERR_OK and the hash of all of it. */
struct answer {
    enum err err;
    struct hash hash;
};

static struct answer before[ANSWERS_MAX];
static size_t answer_count;

/* A file of the replica as it was. */
struct image {
    char path[256];
    struct buf bytes;
};

enum { IMAGE_MAIN, IMAGE_KEYS, IMAGE_ANCHOR, IMAGES };
static struct image images[IMAGES];

static struct chance chance; /* what is damaged */

/* --- what readers get --- */

static void
put_view(struct buf *out, const struct record_view *view)
{
    if (view == NULL) {
        buf_put_text(out, "none");
        return;
    }
    buf_put_span(out, ident_span(&view->record_id));
    buf_printf(out, "half %d kind %u made %llu changed %llu conflicts %zu newer %d restricted %d\n",
               (int)view->half, view->kind, (unsigned long long)view->created_hlc,
               (unsigned long long)view->updated_hlc, view->conflict_count, view->newer, view->restricted);
    for (size_t n = 0; n < view->element_count; n++) {
        buf_printf(out, "element %u %d %zu ", view->elements[n].collection, (int)view->elements[n].state,
                   view->elements[n].count);
        buf_put_span(out, span_of(view->elements[n].element, ELEMENT_ID_BYTES));
    }
    for (size_t n = 0; n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];

        buf_printf(out, "target %u %u %d %d ", target->target.collection, target->target.field,
                   target->conflict, target->exposed);
        buf_put_span(out, span_of(target->target.element, ELEMENT_ID_BYTES));
        for (size_t k = 0; k < target->shown_count; k++) {
            buf_put_span(out, target->shown[k]);
        }
        for (size_t k = 0; k < target->value_count; k++) {
            buf_put_span(out, hash_span(&target->values[k].entry->entry_id));
            buf_put_span(out, hash_span(&target->values[k].entry->device_id));
            buf_put_span(out, target->values[k].value);
        }
    }
}

static enum err
put_summary(struct buf *out, struct replica *replica, struct table_txn *txn, const struct ident *record,
            struct arena *arena)
{
    struct record_summary summary;
    uint32_t record_no;
    enum err err = record_find(txn, &cases, record, &record_no);

    if (err == ERR_OK) {
        err = record_summary_read(txn, replica_codebook(replica), record_no, arena, &summary);
    }
    for (size_t n = 0; err == ERR_OK && n < summary.item_count; n++) {
        buf_printf(out, "%u %u %d ", summary.items[n].target.collection, summary.items[n].target.field,
                   summary.items[n].conflict);
        for (size_t k = 0; k < summary.items[n].shown_count; k++) {
            buf_put_span(out, summary.items[n].shown[k]);
        }
    }
    return err;
}

static enum err
put_conflicts(struct buf *out, struct table_txn *txn, const struct ident *record, struct arena *arena)
{
    const struct record_conflict *conflicts;
    size_t count = 0;
    uint32_t record_no;
    enum err err = record_find(txn, &cases, record, &record_no);

    if (err == ERR_OK) {
        err = record_conflicts_read(txn, record_no, arena, &conflicts, &count);
    }
    for (size_t n = 0; n < count; n++) {
        buf_printf(out, "%u %u %d ", conflicts[n].target.collection, conflicts[n].target.field,
                   (int)conflicts[n].how);
    }
    return err;
}

static enum err
put_chunk(struct buf *out, struct replica *replica, const struct place *place)
{
    const struct gossip_store *store = replica_gossip_store(replica);
    struct descriptor descriptor;
    uint64_t next;

    for (size_t n = 0; n < 2; n++) {
        const struct frontier *frontier = store->frontier(store->self, &halves[n]);
        const struct tip *tip = frontier == NULL ? NULL : frontier_find(frontier, place->log_id.bytes);

        if (tip != NULL && store->descriptor(store->self, &place->log_id, &descriptor)) {
            buf_put_span(out, span_of(descriptor.sign_pk, sizeof descriptor.sign_pk));
            return store->read_chunk(store->self, tip, place->seq, PAYLOADS_ALL, out, &next);
        }
    }
    return ERR_ABSENT;
}

/* The ids of all records in a list of a compartment, in its order. What is left out is told by an error of the walk, or found by verify. */
static enum err
put_list(struct buf *out, struct replica *replica, struct table_txn *txn)
{
    struct index_walk walk;
    struct buf token = { 0 };
    uint32_t record_no;

    cbor_put_bytes(&token, ident_span(&cases));
    const struct index_term term = { INDEX_COMPARTMENT, buf_span(&token) };
    index_walk_init(&walk, txn, &term, 1, UINT32_MAX);
    while (index_walk_next(&walk, &record_no)) {
        struct ident compartment;
        struct ident record;

        if (record_name(txn, record_no, &compartment, &record) == ERR_OK) {
            buf_put_span(out, ident_span(&record));
        }
    }
    index_walk_end(&walk);
    buf_free(&token);
    return replica_read_error(replica);
}

static void
note(struct answer *answers, size_t *count, enum err err, struct buf *said)
{
    answers[*count] = (struct answer){ .err = err };
    if (err == ERR_OK) {
        CRYPTO_HASH(&answers[*count].hash, "flips", buf_span(said));
    }
    ++*count;
    buf_clear(said);
}

/* All that a person or a peer may ask of it. Gives how many answers, always the same number. */
static size_t
read_all(struct replica *replica, struct answer answers[ANSWERS_MAX])
{
    struct table_txn *txn = NULL;
    struct buf said = { 0 };
    size_t count = 0;
    enum err err = replica_begin_read(replica, &txn);

    if (err != ERR_OK) {
        for (; count < 3 * RECORDS + place_count + 1; count++) {
            answers[count] = (struct answer){ .err = err };
        }
        return count;
    }
    for (size_t n = 0; n < RECORDS; n++) {
        struct arena arena = { 0 };
        struct replica_view view;

        err = replica_read(replica, &cases, &records[n], &arena, &view);
        if (err == ERR_OK) {
            put_view(&said, view.open);
            put_view(&said, view.protected_half);
        }
        note(answers, &count, err, &said);
        note(answers, &count, put_summary(&said, replica, txn, &records[n], &arena), &said);
        note(answers, &count, put_conflicts(&said, txn, &records[n], &arena), &said);
        arena_free(&arena);
    }
    note(answers, &count, put_list(&said, replica, txn), &said);
    replica_end_read(replica, &txn);
    for (size_t n = 0; n < place_count; n++) {
        note(answers, &count, put_chunk(&said, replica, &places[n]), &said);
    }
    buf_free(&said);
    return count;
}

/* --- whether verify finds it --- */

static void
count_finding(void *self, enum proof_part part, const char *what)
{
    (void)self;
    (void)part;
    (void)what;
}

/* True if it has a finding, or cannot come to its end. */
static bool
verify_finds(struct replica *replica)
{
    struct proof proof;
    uint64_t findings = 0;
    enum err err = proving_run(replica, count_finding, NULL, &proof);

    for (int part = 0; err == ERR_OK && part < PROOF_PART_COUNT; part++) {
        findings += proof.findings[part];
    }
    return err != ERR_OK || findings > 0;
}

/* --- the replica, and its files --- */

static void
read_image(struct image *image)
{
    struct stat info;
    int file = open(image->path, O_RDONLY | O_CLOEXEC);

    ck_assert_int_eq(fstat(file, &info), 0);
    uint8_t *at = buf_extend(&image->bytes, (size_t)info.st_size);
    ck_assert_int_eq(read(file, at, (size_t)info.st_size), info.st_size);
    ck_assert_int_eq(close(file), 0);
}

static void
write_image(const struct image *image)
{
    int file = open(image->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    ck_assert_int_eq(write(file, image->bytes.data, image->bytes.size), (ssize_t)image->bytes.size);
    ck_assert_int_eq(close(file), 0);
}

/* Where its logs go in chunks. */
static void
find_places(void)
{
    const struct gossip_store *store = replica_gossip_store(hq->replica);

    for (size_t n = 0; n < 2; n++) {
        const struct frontier *frontier = store->frontier(store->self, &halves[n]);

        for (size_t k = 0; k < frontier->count; k++) {
            for (uint64_t seq = 0; seq <= frontier->tips[k].seq;) {
                struct buf chunk = { 0 };

                ck_assert_uint_lt(place_count, CHUNKS_MAX);
                places[place_count++] = (struct place){ frontier->tips[k].log_id, seq };
                ck_assert_int_eq(
                    store->read_chunk(store->self, &frontier->tips[k], seq, PAYLOADS_ALL, &chunk, &seq),
                    ERR_OK);
                buf_free(&chunk);
            }
        }
    }
}

/* A row of no meaning to readers, so that both of LMDB's last states say the same to them. */
static void
commit_twice(void)
{
    struct scrub *scrub = NULL;

    ck_assert_int_eq(scrub_open(&scrub, hq->replica), ERR_OK);
    for (int n = 0; n < 2; n++) {
        saves_begin(hq);
        scrub_keep(scrub);
        saves_commit(hq);
    }
    scrub_close(&scrub);
}

static void
setup(void)
{
    static const char *const names[] = { "main/data.mdb", "keys/data.mdb", "anchor" };
    char text[64];

    log_to(silent, NULL);
    test_organisation_two(&org, 83, &ken, &hq);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    halves[0] = cases;
    halves[1] = test_compartment(ken, "KEN", OWN_PROTECTED);
    for (size_t n = 0; n < PERSONS; n++) {
        (void)snprintf(text, sizeof text, "name %zu", n);
        records[n] = saves_person(ken, &cases, text);
    }
    for (size_t n = 0; n < CASES; n++) {
        (void)snprintf(text, sizeof text, "what happened, %zu", n);
        const struct save_op ops[] = { saves_kind("case"), saves_set("case", "narrative.text", text) };
        saves_begin(ken);
        records[PERSONS + n] = saves_new(ken, &cases, ops, 2);
        saves_commit(ken);
    }
    test_node_exchange(ken, hq);
    /* Two that do not know of one another: conflicts, and logs of both. */
    for (size_t n = 0; n < PERSONS; n++) {
        (void)snprintf(text, sizeof text, "K-%zu", n);
        saves_pseudonym(ken, &cases, &records[n], text);
        (void)snprintf(text, sizeof text, "H-%zu", n);
        saves_pseudonym(hq, &cases, &records[n], text);
    }
    test_node_exchange(ken, hq);
    test_node_tend(hq);
    commit_twice();
    find_places();
    answer_count = read_all(hq->replica, before);
    ck_assert(!verify_finds(hq->replica));
    /* An opened replica keeps the logs that it has: what comes below is read by a new one. */
    test_node_close(hq);
    for (size_t n = 0; n < IMAGES; n++) {
        (void)snprintf(images[n].path, sizeof images[n].path, "%s/%s", hq->directory, names[n]);
        read_image(&images[n]);
    }
    for (size_t n = 0; n < answer_count; n++) {
        ck_assert_int_eq(before[n].err, ERR_OK);
    }
}

static void
teardown(void)
{
    for (size_t n = 0; n < IMAGES; n++) {
        buf_free(&images[n].bytes);
    }
    test_organisation_free(&org);
    saves_free();
}

/* --- damage --- */

enum damage { DAMAGE_BIT, DAMAGE_ZERO_PAGE, DAMAGE_SWAP_PAGES, DAMAGE_ZERO_SECTOR, DAMAGES };

/* Zero of a file is what was never written: it says nothing. */
static size_t
draw_written(const struct image *image)
{
    size_t at;

    do {
        at = chance_below(&chance, image->bytes.size);
    } while (image->bytes.data[at] == 0 && !chance_one_in(&chance, 8));
    return at;
}

static void
zero(uint8_t *data, size_t size, size_t at, size_t bytes)
{
    at -= at % bytes;
    memset(data + at, 0, at + bytes > size ? size - at : bytes);
}

/* In a copy of the file. */
static void
damage(const struct image *image, enum damage kind, uint8_t *data)
{
    size_t size = image->bytes.size;
    size_t at = draw_written(image);
    uint8_t page[PAGE_BYTES];

    switch (kind) {
    case DAMAGE_ZERO_PAGE:
        zero(data, size, at, PAGE_BYTES);
        break;
    case DAMAGE_ZERO_SECTOR:
        zero(data, size, at, 512);
        break;
    case DAMAGE_SWAP_PAGES: {
        uint8_t *one = data + at - at % PAGE_BYTES;
        size_t other_at = draw_written(image);
        uint8_t *other = data + other_at - other_at % PAGE_BYTES;

        memcpy(page, one, PAGE_BYTES);
        memmove(one, other, PAGE_BYTES);
        memcpy(other, page, PAGE_BYTES);
        break;
    }
    case DAMAGE_BIT:
    case DAMAGES:
    default:
        data[at] ^= (uint8_t)(1U << chance_below(&chance, 8));
        break;
    }
}

enum outcome {
    OUTCOME_SAME,    /* every reader gets what was there */
    OUTCOME_REFUSED, /* the pages are refused, or the replica does not open */
    OUTCOME_TOLD,    /* some get an error or less than there was, and verify finds why */
    OUTCOME_PAGES,   /* looking at the pages, or verifying, ended the process */
    OUTCOME_MISSED,  /* less than there was, and verify finds nothing */
    OUTCOME_WRONG,   /* something else than there was */
    OUTCOME_DIED,
    OUTCOMES
};

static bool
pages_are_refused(const struct image *image, enum table_set set)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s", image->path);
    *strrchr(path, '/') = '\0';
    return table_env_probe(&(struct table_options){ .path = path, .set = set, .world = &hq->world.world },
                           PROBE_MS) == ERR_CORRUPT;
}

struct shared {
    size_t next;
    bool may_die; /* it looks at pages, or verifies: what vigild has a child do */
    uint32_t outcomes[OUTCOMES];
};

/* Open it as it is on the disk, and ask for everything. */
static enum outcome
read_damaged(struct shared *shared)
{
    static struct answer after[ANSWERS_MAX];
    struct replica *replica = NULL;
    enum outcome outcome = OUTCOME_SAME;

    if (replica_open(&replica, &(struct replica_options){ .directory = hq->directory,
                                                          .world = &hq->world.world,
                                                          .storage_key = &hq->storage_key,
                                                          .codebook = hq->codebook,
                                                          .map_bytes = hq->map_bytes }) != ERR_OK) {
        return OUTCOME_REFUSED;
    }
    if (read_all(replica, after) != answer_count) {
        outcome = OUTCOME_WRONG;
    }
    for (size_t n = 0; n < answer_count && outcome != OUTCOME_WRONG; n++) {
        bool same = after[n].err == ERR_OK && hash_equal(&after[n].hash, &before[n].hash);
        /* Of a list some may be left out; of nothing else. */
        bool is_list = n == 3 * RECORDS;

        if (!same) {
            outcome = after[n].err != ERR_OK || is_list ? OUTCOME_TOLD : OUTCOME_WRONG;
        }
    }
    shared->may_die = true;
    if (outcome == OUTCOME_TOLD && !verify_finds(replica)) {
        outcome = OUTCOME_MISSED;
    }
    shared->may_die = false;
    replica_close(&replica);
    return outcome;
}

static void
limit_seconds(time_t seconds)
{
    const struct itimerval limit = { .it_value = { .tv_sec = seconds } };

    ck_assert_int_eq(setitimer(ITIMER_PROF, &limit, NULL), 0);
}

static _Noreturn void
try_some(const struct image *image, enum damage kind, size_t tries, struct shared *shared)
{
    struct image spoiled = *image;
    /* A death is expected here, and its report is not. */
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)dup2(nowhere, STDERR_FILENO);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    (void)signal(SIGABRT, SIG_DFL);
    spoiled.bytes.data = malloc(image->bytes.size);
    while (shared->next < tries) {
        /* The same damage for the same number, whoever tries it. */
        chance.state = UINT64_C(1000003) * shared->next + 31 * (uint64_t)kind + image->bytes.size;
        shared->next++;
        limit_seconds(SECONDS_MAX);
        memcpy(spoiled.bytes.data, image->bytes.data, image->bytes.size);
        damage(image, kind, spoiled.bytes.data);
        for (size_t n = 0; n < IMAGES; n++) {
            write_image(&images[n] == image ? &spoiled : &images[n]);
        }
        shared->may_die = true;
        bool refused = pages_are_refused(&images[IMAGE_MAIN], TABLE_SET_MAIN) ||
                       pages_are_refused(&images[IMAGE_KEYS], TABLE_SET_KEYS);
        shared->may_die = false;
        enum outcome outcome = refused ? OUTCOME_REFUSED : read_damaged(shared);
        shared->outcomes[outcome]++;
        if (outcome == OUTCOME_WRONG || outcome == OUTCOME_MISSED) {
            printf("%s: damage %d, try %zu: outcome %d\n", image->path, (int)kind, shared->next - 1,
                   (int)outcome);
            (void)fflush(stdout);
        }
    }
    _exit(0);
}

static void
try_all(const struct image *image, enum damage kind, size_t tries, uint32_t outcomes_out[OUTCOMES])
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    ck_assert_ptr_ne(shared, MAP_FAILED);
    while (shared->next < tries) {
        pid_t child = fork();

        if (child == 0) {
            try_some(image, kind, tries, shared);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            shared->outcomes[shared->may_die ? OUTCOME_PAGES : OUTCOME_DIED]++;
            if (!shared->may_die) {
                printf("%s: damage %d, try %zu: died %x\n", image->path, (int)kind, shared->next - 1,
                       (unsigned)status);
            }
        }
    }
    memcpy(outcomes_out, shared->outcomes, sizeof shared->outcomes);
    ck_assert_int_eq(munmap(shared, sizeof *shared), 0);
    printf("%zu of kind %d in %s: same %u, refused %u, told %u, pages %u, missed %u, wrong %u, died %u\n",
           tries, (int)kind, strrchr(image->path, '/') - 4, outcomes_out[OUTCOME_SAME],
           outcomes_out[OUTCOME_REFUSED], outcomes_out[OUTCOME_TOLD], outcomes_out[OUTCOME_PAGES],
           outcomes_out[OUTCOME_MISSED], outcomes_out[OUTCOME_WRONG], outcomes_out[OUTCOME_DIED]);
    (void)fflush(stdout);
}

static size_t
more(void)
{
    const char *asked = getenv("VIGIL_FLIPS");

    return asked == NULL ? 0 : strtoul(asked, NULL, 10);
}

static void
expect_told(const struct image *image, enum damage kind, size_t tries)
{
    uint32_t outcomes[OUTCOMES];

    tries += more();
    try_all(image, kind, tries, outcomes);
    ck_assert_uint_eq(outcomes[OUTCOME_WRONG], 0);
    ck_assert_uint_eq(outcomes[OUTCOME_MISSED], 0);
    ck_assert_uint_eq(outcomes[OUTCOME_DIED], 0);
    /* Much of a file is in use. */
    ck_assert_uint_gt(outcomes[OUTCOME_REFUSED] + outcomes[OUTCOME_TOLD] + outcomes[OUTCOME_PAGES],
                      tries / 8);
}

START_TEST(i1_a_flipped_bit_of_the_records_gives_the_same_or_is_told)
{
    expect_told(&images[IMAGE_MAIN], DAMAGE_BIT, 300);
}
END_TEST

START_TEST(i1_a_flipped_bit_of_the_keys_gives_the_same_or_is_told)
{
    expect_told(&images[IMAGE_KEYS], DAMAGE_BIT, 150);
}
END_TEST

START_TEST(i2_zeroed_and_swapped_pages_give_the_same_or_are_told)
{
    for (enum damage kind = DAMAGE_ZERO_PAGE; kind < DAMAGES; kind++) {
        expect_told(&images[IMAGE_MAIN], kind, 60);
        expect_told(&images[IMAGE_KEYS], kind, 20);
    }
}
END_TEST

SUITE_MAIN_WITH("flips", setup, teardown, i1_a_flipped_bit_of_the_records_gives_the_same_or_is_told,
                i1_a_flipped_bit_of_the_keys_gives_the_same_or_is_told,
                i2_zeroed_and_swapped_pages_give_the_same_or_are_told)
