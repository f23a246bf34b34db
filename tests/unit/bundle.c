/* Bundles: what is sealed to a destination arrives there whole, or as far as it is undamaged; nobody else learns anything. */
#include "store/base/log.h"
#include "sync/replica_state.h"
#include "sync/update.h"
#include "tests/support/bundles.h"
#include "tests/support/check.h"
#include "tests/support/marker.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLACK_BYTES = 1 << 20,
    NOISE_MIB = 48, /* in the check; VIGIL_NOISE_MIB asks for another amount */
    CONSENT_WITHDRAWN = 1,
};

#define NAME "zebra-quartz-marker"

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct ident cases;
static struct ident people[4];

/* An office without a link, and headquarters. */
static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_two(&org, 47, &ken, &hq);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    for (int n = 0; n < 4; n++) {
        people[n] = saves_person(ken, &cases, NAME);
    }
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

static struct bundles_outcome outcome;

static void
import_spans(struct test_node *at, const struct span *files, size_t count, bool inspect)
{
    bundles_import_spans(at, files, count, inspect, &outcome);
}

static void
import_span(struct test_node *at, struct span file)
{
    import_spans(at, &file, 1, false);
}

static void
import_all(struct test_node *at, const struct bundles *volumes)
{
    bundles_import_all(at, volumes, &outcome);
}

/* --- looking --- */

static uint64_t
refused(void)
{
    uint64_t sum = outcome.counts.forked + outcome.counts.malformed + outcome.counts.forged;

    for (int n = 0; n < LATER_COUNT; n++) {
        sum += outcome.counts.later[n];
    }
    return sum;
}

/* Nothing of what the exporter had is missing. */
static void
expect_standing(bool complete)
{
    uint64_t missing = 0;

    ck_assert_uint_gt(outcome.standing_count, 0);
    for (size_t n = 0; n < outcome.standing_count; n++) {
        missing += outcome.standing[n].missing;
        ck_assert(!outcome.standing[n].equal || outcome.standing[n].missing == 0);
    }
    ck_assert_int_eq(missing == 0, complete);
}

/* True if both hold the same of everything that they share. */
static bool
are_equal(struct test_node *a, struct test_node *b)
{
    const struct gossip_store *store = replica_gossip_store(a->replica);
    struct ident shared[32];
    size_t count = store->shared(store->self, &b->identity.device_id, shared, 32);
    bool equal = true;

    ck_assert_uint_ge(count, 5);
    for (size_t n = 0; n < count; n++) {
        equal = equal && memcmp(saves_digest(a, &shared[n]), saves_digest(b, &shared[n]), DIGEST_BYTES) == 0;
    }
    return equal;
}

/* A bundle each way. */
static void
carry(struct test_node *from, struct test_node *to, enum bundle_content content)
{
    struct bundles volumes;

    bundles_export(from, &to->identity.device_id, 1, content, UINT32_MAX, &volumes);
    import_all(to, &volumes);
    bundles_free(&volumes);
}

/* Where the pieces of a volume begin. */
static size_t
pieces_of(struct span file, size_t *starts, size_t room)
{
    size_t count = 0;

    for (size_t at = 0; at < file.size;) {
        ck_assert_uint_lt(count, room);
        ck_assert_mem_eq(file.data + at, "VIGILBDL", BUNDLE_MARK_BYTES);
        starts[count] = at;
        count++;
        at += (size_t)BUNDLE_PIECE_BYTES + bytes_read_u16(file.data + at + BUNDLE_PIECE_BYTES - 2);
    }
    return count;
}

/* Many records, so that there are several volumes. */
static void
make_many(size_t count)
{
    saves_begin(ken);
    for (size_t n = 0; n < count; n++) {
        const struct save_op ops[] = { saves_kind("person"), saves_set("person", "pseudonym", "P-17"),
                                       saves_set("person", "name.text", NAME) };

        (void)saves_new(ken, &cases, ops, 3);
    }
    saves_commit(ken);
}

/* --- from one to the other --- */

START_TEST(a_bundle_brings_all_and_receipts_ride_back)
{
    struct replica_order order;
    struct erase_receipt receipt;
    struct table_txn *txn = NULL;

    carry(ken, hq, BUNDLE_ALL);
    ck_assert_uint_gt(outcome.counts.taken, 10);
    ck_assert_uint_eq(refused(), 0);
    ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_GOOD);
    ck_assert_int_eq(outcome.files[0].maker, BUNDLE_MAKER_MEMBER);
    ck_assert(hash_equal(&outcome.files[0].exporter, &ken->identity.device_id));
    ck_assert(outcome.files[0].whole && outcome.files[0].last);
    ck_assert_uint_eq(outcome.files[0].reading.damaged_bytes, 0);
    expect_standing(true);
    carry(hq, ken, BUNDLE_LACKING);
    ck_assert(are_equal(ken, hq));
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &people[2]), 1);

    /* Consent is withdrawn at the office; headquarters hears of it on a stick, and its receipt comes back on one. */
    saves_begin(ken);
    ck_assert_int_eq(replica_order_erasure(ken->replica, &cases, &people[2], CONSENT_WITHDRAWN, 1, &order),
                     ERR_OK);
    saves_commit(ken);
    test_node_tend(ken);
    carry(ken, hq, BUNDLE_LACKING);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &people[2]), 0);
    ck_assert(replica_compact_is_due(hq->replica));
    ck_assert_int_eq(replica_compact(hq->replica), ERR_OK);
    test_node_tend(hq);
    carry(hq, ken, BUNDLE_RECEIPTS);
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert(erase_receipt_of(txn, &order.order, &hq->identity.device_id, &receipt));
    replica_end_read(ken->replica, &txn);
    ck_assert_uint_eq(receipt.stage, RECEIPT_DONE);
}
END_TEST

START_TEST(what_a_destination_said_it_has_is_not_sent_again)
{
    struct bundles volumes;

    carry(ken, hq, BUNDLE_LACKING);
    carry(hq, ken, BUNDLE_LACKING);
    ck_assert(are_equal(ken, hq));
    (void)saves_person(ken, &cases, NAME);
    bundles_export(ken, &hq->identity.device_id, 1, BUNDLE_LACKING, UINT32_MAX, &volumes);
    ck_assert_uint_gt(volumes.progress.all, 0);
    ck_assert_uint_le(volumes.progress.all, 6); /* two keys, two halves, and what they were given */
    import_all(hq, &volumes);
    ck_assert_uint_eq(outcome.counts.held, 0);
    ck_assert_uint_eq(refused(), 0);
    expect_standing(true);
    ck_assert(are_equal(ken, hq));
    bundles_free(&volumes);
    /* Everything, if that is asked for. */
    bundles_export(ken, &hq->identity.device_id, 1, BUNDLE_ALL, UINT32_MAX, &volumes);
    import_all(hq, &volumes);
    ck_assert_uint_eq(outcome.counts.taken, 0);
    ck_assert_uint_gt(outcome.counts.held, 10);
    bundles_free(&volumes);
}
END_TEST

START_TEST(what_a_stick_says_outlives_a_restart_and_an_older_stick_changes_nothing)
{
    struct bundles older;
    struct bundles volumes;

    bundles_export_all(hq, ken, &older);
    test_world_pass(&hq->world, 60000);
    carry(ken, hq, BUNDLE_ALL);
    carry(hq, ken, BUNDLE_LACKING);
    import_all(ken, &older);
    test_node_close(ken);
    test_node_open(ken);
    bundles_export(ken, &hq->identity.device_id, 1, BUNDLE_LACKING, UINT32_MAX, &volumes);
    ck_assert_uint_eq(volumes.progress.all, 0);
    bundles_free(&volumes);
    bundles_free(&older);
}
END_TEST

START_TEST(an_import_again_takes_nothing_and_refuses_nothing)
{
    struct bundles volumes;

    bundles_export_all(ken, hq, &volumes);
    import_all(hq, &volumes);
    uint64_t taken = outcome.counts.taken;
    import_all(hq, &volumes);
    ck_assert_uint_eq(outcome.counts.taken, 0);
    ck_assert_uint_eq(outcome.counts.held, taken + (outcome.files[0].entries - taken));
    ck_assert_uint_eq(refused(), 0);
    bundles_free(&volumes);
}
END_TEST

START_TEST(an_inspection_changes_nothing_and_counts_all)
{
    struct bundles volumes;
    uint8_t before[DIGEST_BYTES];
    struct span file;

    bundles_export_all(ken, hq, &volumes);
    file = buf_span(&volumes.files[0]);
    memcpy(before, saves_digest(hq, &cases), DIGEST_BYTES);
    import_spans(hq, &file, 1, true);
    ck_assert_uint_eq(outcome.files[0].entries, volumes.progress.done);
    ck_assert_uint_eq(outcome.files[0].destination_count, 1);
    ck_assert(outcome.files[0].whole);
    expect_standing(false);
    ck_assert_mem_eq(saves_digest(hq, &cases), before, DIGEST_BYTES);
    bundles_free(&volumes);
}
END_TEST

START_TEST(an_import_that_was_cut_off_is_run_again)
{
    struct bundles volumes;
    const struct bundle_sink sink = bundles_sink(hq);
    bool done = false;

    make_many(3000);
    bundles_export_all(ken, hq, &volumes);
    struct bundles_memory memory = { .bytes = buf_span(&volumes.files[0]) };
    struct bundle_source source = bundles_source(&memory);
    uint64_t before = 0;
    for (int steps = 2; steps < 4; steps++) {
        struct bundle_import *import = NULL;

        ck_assert_int_eq(bundle_import_open(&import, hq->replica, &source, 1, &sink), ERR_OK);
        for (int n = 0; n < steps; n++) {
            bool turn = bundle_import_wants_turn(import);

            ck_assert(!turn || replica_begin(hq->replica) == ERR_OK);
            ck_assert_int_eq(bundle_import_step(import, &done), ERR_OK);
            if (turn) {
                saves_commit(hq);
                bundle_import_turn_ended(import, true);
            }
        }
        ck_assert(!done && bundle_import_wants_turn(import));
        before += bundle_import_counts(import).taken;
        bundle_import_close(&import);
    }
    ck_assert_uint_gt(before, 0);
    test_node_close(hq);
    test_node_open(hq);
    import_all(hq, &volumes);
    ck_assert_uint_eq(refused(), 0);
    ck_assert_uint_ge(outcome.counts.held, before);
    expect_standing(true);
    bundles_free(&volumes);
}
END_TEST

START_TEST(a_turn_that_came_to_nothing_loses_nothing)
{
    struct bundles volumes;

    make_many(300);
    bundles_export_all(ken, hq, &volumes);
    bundles_turns_lost = 2;
    import_all(hq, &volumes);
    ck_assert_uint_eq(bundles_turns_lost, 0);
    ck_assert_uint_eq(refused(), 0);
    expect_standing(true);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &people[0]), 1);
    bundles_free(&volumes);
}
END_TEST

/* --- volumes --- */

static void
make_volumes(struct bundles *volumes)
{
    make_many(2400);
    bundles_export(ken, &hq->identity.device_id, 1, BUNDLE_ALL, BUNDLE_VOLUME_BYTES_MIN, volumes);
    ck_assert_uint_ge(volumes->count, 4);
}

START_TEST(volumes_come_in_any_order_and_twice)
{
    struct bundles volumes;
    struct span files[BUNDLES_MAX];
    size_t count = 0;

    make_volumes(&volumes);
    for (size_t n = volumes.count; n > 0; n--) {
        files[count++] = buf_span(&volumes.files[n - 1]);
        if (n % 2 == 0) {
            files[count++] = buf_span(&volumes.files[n - 1]);
        }
    }
    import_spans(hq, files, count, false);
    ck_assert_uint_eq(refused(), 0);
    expect_standing(true);
    for (size_t n = 0; n < count; n++) {
        ck_assert(outcome.files[n].whole);
        ck_assert_int_eq(outcome.files[n].last, outcome.files[n].volume == volumes.count);
    }
    carry(hq, ken, BUNDLE_LACKING);
    ck_assert(are_equal(ken, hq));
    bundles_free(&volumes);
}
END_TEST

START_TEST(a_later_volume_alone_waits_for_the_earlier_one_and_says_so)
{
    struct bundles volumes;

    make_volumes(&volumes);
    import_span(hq, buf_span(&volumes.files[volumes.count - 1]));
    ck_assert_uint_gt(outcome.counts.later[LATER_GAP] + outcome.counts.later[LATER_AUTHOR], 0);
    ck_assert_uint_eq(outcome.counts.malformed + outcome.counts.forged, 0);
    for (size_t n = 0; n < volumes.count; n++) {
        import_span(hq, buf_span(&volumes.files[n]));
        ck_assert_uint_eq(refused(), 0);
    }
    carry(hq, ken, BUNDLE_LACKING);
    ck_assert(are_equal(ken, hq));
    bundles_free(&volumes);
}
END_TEST

START_TEST(the_first_volume_is_of_use_alone)
{
    struct bundles volumes;

    make_volumes(&volumes);
    import_span(hq, buf_span(&volumes.files[0]));
    ck_assert_uint_eq(refused(), 0);
    expect_standing(false);
    /* `control` is whole, and every key is here before any record is. */
    const struct ident *control = roster_control(replica_roster(hq->replica));
    for (size_t n = 0; n < outcome.standing_count; n++) {
        ck_assert(!ident_equal(&outcome.standing[n].compartment, control) ||
                  outcome.standing[n].missing == 0);
    }
    bundles_free(&volumes);
}
END_TEST

START_TEST(the_head_comes_again_and_no_volume_passes_its_size)
{
    enum { PIECES_MAX = 1024, MIB = 1 << 20 };
    struct bundles volumes;
    size_t starts[PIECES_MAX];
    size_t head_at = 0;

    make_many(6000);
    bundles_export_all(ken, hq, &volumes);
    ck_assert_uint_gt(volumes.files[0].size, 2 * MIB);
    const struct buf *file = &volumes.files[0];
    size_t count = pieces_of(buf_span(file), starts, PIECES_MAX);
    for (size_t n = 0; n < count; n++) {
        bool is_head = file->data[starts[n] + BUNDLE_MARK_BYTES + 1] == 1;

        ck_assert(is_head || (n > 0 && n + 1 < count));
        ck_assert_uint_le(starts[n] - head_at, MIB + BUNDLE_PIECE_BYTES_MAX);
        head_at = is_head ? starts[n] : head_at;
    }
    bundles_free(&volumes);
    /* export_to holds each volume to its size, with more than one head in it. */
    for (uint64_t size = MIB + 65536; size < MIB + 70000; size += 1009) {
        bundles_export(ken, &hq->identity.device_id, 1, BUNDLE_ALL, size, &volumes);
        ck_assert_uint_ge(volumes.count, 2);
        bundles_free(&volumes);
    }
}
END_TEST

START_TEST(who_begins_anywhere_in_a_carousel_gets_all)
{
    struct bundles volumes;
    struct buf stream = { 0 };

    make_volumes(&volumes);
    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < volumes.count; n++) {
            buf_put_span(&stream, buf_span(&volumes.files[n]));
        }
    }
    /* From the middle of a part of the third volume on, a little more than one round. */
    size_t from = volumes.files[0].size + volumes.files[1].size + 70001;
    size_t size = stream.size / 2 + 70001;
    import_span(hq, span_of(stream.data + from, size));
    ck_assert_uint_eq(refused(), 0);
    expect_standing(true);
    carry(hq, ken, BUNDLE_LACKING);
    ck_assert(are_equal(ken, hq));
    buf_free(&stream);
    bundles_free(&volumes);
}
END_TEST

/* --- damage --- */

START_TEST(a_flipped_bit_costs_its_own_piece)
{
    enum { PIECES_MAX = 256 };
    struct bundles volumes;
    size_t starts[PIECES_MAX + 1];

    bundles_export_all(ken, hq, &volumes);
    struct span file = buf_span(&volumes.files[0]);
    size_t count = pieces_of(file, starts, PIECES_MAX);
    starts[count] = file.size;
    ck_assert_uint_ge(count, 5);
    for (size_t n = 0; n < count; n++) {
        for (int where = 0; where < 3; where++) {
            /* In the mark, in the size, and in what is sealed. */
            size_t at = starts[n] + (where == 0 ? 3 : where == 1 ? 10 : (starts[n + 1] - starts[n]) / 2);

            volumes.files[0].data[at] ^= 0x10;
            import_spans(hq, &file, 1, true);
            ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_GOOD);
            ck_assert(!outcome.files[0].whole);
            ck_assert_uint_eq(outcome.files[0].reading.damaged_bytes, starts[n + 1] - starts[n]);
            ck_assert_uint_eq(outcome.files[0].reading.damaged_places, 1);
            volumes.files[0].data[at] ^= 0x10;
        }
    }
    import_spans(hq, &file, 1, true);
    ck_assert(outcome.files[0].whole);
    bundles_free(&volumes);
}
END_TEST

START_TEST(the_rest_of_a_damaged_volume_is_used_and_the_damage_is_made_good_later)
{
    enum { PIECES_MAX = 512 };
    struct bundles volumes;
    struct buf damaged = { 0 };
    size_t starts[PIECES_MAX];

    make_many(300);
    bundles_export_all(ken, hq, &volumes);
    struct span file = buf_span(&volumes.files[0]);
    size_t count = pieces_of(file, starts, PIECES_MAX);
    buf_put_span(&damaged, file);
    /* The first head, a part in the middle, and zeros as a tool that saves bad sticks leaves them. */
    damaged.data[20] ^= 1;
    damaged.data[starts[count / 2] + 40] ^= 1;
    memset(damaged.data + starts[count - 4] + 100, 0, 512);
    import_span(hq, buf_span(&damaged));
    ck_assert_uint_gt(outcome.counts.taken, 0);
    ck_assert_uint_eq(outcome.files[0].reading.damaged_places, 3);
    ck_assert_uint_eq(outcome.counts.malformed + outcome.counts.forged, 0);
    expect_standing(false);
    import_span(hq, file);
    ck_assert_uint_eq(refused(), 0);
    expect_standing(true);
    buf_free(&damaged);
    bundles_free(&volumes);
}
END_TEST

START_TEST(a_volume_that_was_cut_short_anywhere_gives_what_it_has)
{
    enum { PIECES_MAX = 256 };
    struct bundles volumes;
    size_t starts[PIECES_MAX];
    uint64_t entries = 0;

    bundles_export_all(ken, hq, &volumes);
    struct span file = buf_span(&volumes.files[0]);
    size_t count = pieces_of(file, starts, PIECES_MAX);
    for (size_t n = 1; n < count; n++) {
        for (size_t more = 0; more < 38; more += 13) {
            struct span cut = span_of(file.data, starts[n] + more);

            import_spans(hq, &cut, 1, true);
            ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_GOOD);
            ck_assert_uint_eq(outcome.files[0].reading.damaged_bytes, more);
            ck_assert_uint_ge(outcome.files[0].entries, entries);
            /* All that may be missing of one that is whole is the second head. */
            ck_assert(!outcome.files[0].whole || n == count - 1);
            entries = outcome.files[0].entries;
        }
    }
    for (size_t size = 0; size < starts[1]; size += 7) {
        struct span cut = span_of(file.data, size);

        import_spans(hq, &cut, 1, true);
        ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_NONE);
    }
    bundles_free(&volumes);
}
END_TEST

START_TEST(parts_in_any_order_and_between_rubbish_are_found)
{
    enum { PIECES_MAX = 256 };
    struct bundles volumes;
    struct buf shuffled = { 0 };
    size_t starts[PIECES_MAX + 1];

    bundles_export_all(ken, hq, &volumes);
    struct span file = buf_span(&volumes.files[0]);
    size_t count = pieces_of(file, starts, PIECES_MAX);
    starts[count] = file.size;
    /* Backwards, each twice, with the beginning of a mark in between. */
    for (size_t n = count; n > 0; n--) {
        for (int twice = 0; twice < 2; twice++) {
            buf_put(&shuffled, file.data + starts[n - 1], starts[n] - starts[n - 1]);
            buf_put_text(&shuffled, "VIGILBD");
        }
    }
    import_span(hq, buf_span(&shuffled));
    ck_assert_uint_eq(refused(), 0);
    ck_assert_uint_eq(outcome.files[0].reading.damaged_bytes, 2 * count * strlen("VIGILBD"));
    test_node_tend(hq);
    struct bundles back;
    bundles_export_all(hq, ken, &back);
    import_all(ken, &back);
    ck_assert(are_equal(ken, hq));
    bundles_free(&back);
    buf_free(&shuffled);
    bundles_free(&volumes);
}
END_TEST

START_TEST(a_file_that_fails_half_way_is_used_up_to_there)
{
    struct bundles volumes;

    make_many(300);
    bundles_export_all(ken, hq, &volumes);
    struct bundles_memory memory = { .bytes = buf_span(&volumes.files[0]), .slice = 4096 };
    memory.fails_at = memory.bytes.size / 2;
    struct bundle_source source = bundles_source(&memory);
    bundles_import(hq, &source, 1, false, &outcome);
    ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_FAILED);
    ck_assert_int_eq(outcome.files[0].err, ERR_IO);
    ck_assert_uint_gt(outcome.counts.taken, 0);
    bundles_free(&volumes);
}
END_TEST

/* Noise without an end, and now and then something that looks like a piece. */
struct noise {
    uint64_t left;
    uint64_t size;
    uint64_t state;
};

static enum err
noise_read(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct noise *noise = self;
    size_t size = noise->left < room ? (size_t)noise->left : room;

    for (size_t n = 0; n < size; n += 8) {
        uint8_t bytes[8];

        noise->state = noise->state * 6364136223846793005U + 1442695040888963407U;
        bytes_write_u64(bytes, noise->state ^ (noise->state >> 29));
        memcpy(out + n, bytes, size - n < 8 ? size - n : 8);
        if (noise->state % 1009 == 0 && size - n >= BUNDLE_PIECE_BYTES) {
            memcpy(out + n, "VIGILBDL\x01", 9);
            out[n + 9] = (uint8_t)(1 + noise->state / 1009 % 2);
            n += 8;
        }
    }
    noise->left -= size;
    *size_out = size;
    return ERR_OK;
}

static enum err
noise_rewind(void *self)
{
    struct noise *noise = self;

    noise->left = noise->size;
    noise->state = 9;
    return ERR_OK;
}

START_TEST(noise_is_read_to_its_end_and_needs_no_memory)
{
    const char *asked = getenv("VIGIL_NOISE_MIB");
    uint64_t mib = asked == NULL ? NOISE_MIB : strtoull(asked, NULL, 10);
    struct noise noise = { .size = mib << 20 };
    struct bundle_source source = { &noise, noise_read, noise_rewind };
    const struct bundle_sink sink = bundles_sink(hq);
    struct bundle_import *import = NULL;
    bool done = false;

    ck_assert_int_eq(bundle_import_open(&import, hq->replica, &source, 1, &sink), ERR_OK);
    ck_assert_int_eq(bundle_import_step(import, &done), ERR_OK);
    size_t before = mallinfo2().uordblks;
    while (!done) {
        ck_assert(!bundle_import_wants_turn(import));
        ck_assert_int_eq(bundle_import_step(import, &done), ERR_OK);
        ck_assert_uint_le(mallinfo2().uordblks, before + SLACK_BYTES);
    }
    ck_assert_int_eq(bundle_import_file(import, 0)->state, BUNDLE_FILE_NONE);
    ck_assert_uint_eq(bundle_import_file(import, 0)->reading.bytes, mib << 20);
    bundle_import_close(&import);
}
END_TEST

/* --- for whom, and from whom --- */

START_TEST(a_bundle_for_somebody_else_gives_nothing)
{
    struct bundles volumes;
    struct test_node *other = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct span files[2];

    test_node_join(&org, other);
    test_node_import(&org, ken);
    bundles_export_all(ken, other, &volumes);
    import_all(hq, &volumes);
    ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_LOCKED);
    ck_assert_uint_eq(outcome.counts.taken, 0);
    /* One that is for us beside it is taken all the same. */
    struct bundles ours;
    bundles_export_all(ken, hq, &ours);
    files[0] = buf_span(&volumes.files[0]);
    files[1] = buf_span(&ours.files[0]);
    import_spans(hq, files, 2, false);
    ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_LOCKED);
    ck_assert_int_eq(outcome.files[1].state, BUNDLE_FILE_GOOD);
    expect_standing(true);
    /* And one file that holds both. */
    struct buf both = { 0 };
    buf_put_span(&both, files[0]);
    buf_put_span(&both, files[1]);
    buf_put_span(&both, files[0]);
    struct span file = buf_span(&both);
    import_spans(hq, &file, 1, true);
    ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_GOOD);
    ck_assert_uint_eq(outcome.files[0].reading.damaged_bytes, 0);
    ck_assert_uint_gt(outcome.files[0].reading.locked_bytes, files[0].size);
    buf_free(&both);
    bundles_free(&ours);
    bundles_free(&volumes);
}
END_TEST

START_TEST(a_bundle_opens_for_each_destination_and_holds_what_all_may_carry)
{
    struct bundles volumes;
    struct hash to[3];

    test_organisation_office(&org, "GVA", false);
    struct test_node *gva = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, gva);
    test_node_import(&org, ken);
    test_node_import(&org, hq);
    to[0] = gva->identity.device_id;
    to[1] = hq->identity.device_id;
    to[2] = gva->identity.device_id;
    bundles_export(ken, to, 3, BUNDLE_ALL, UINT32_MAX, &volumes);
    import_all(gva, &volumes);
    ck_assert_uint_eq(refused(), 0);
    expect_standing(true);
    import_all(hq, &volumes);
    ck_assert_uint_eq(outcome.files[0].destination_count, 2);
    /* GVA may not carry the cases of KEN, so they are not in it. */
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &people[0]), 0);
    for (size_t n = 0; n < outcome.standing_count; n++) {
        ck_assert(!ident_equal(&outcome.standing[n].compartment, &cases));
    }
    bundles_free(&volumes);
}
END_TEST

static void
revoke_ken(struct test_node *at)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf signed_statement = { 0 };

    memcpy(statement.revoke.key, ken->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = 2;
    (void)test_organisation_sign(&org, &statement, "office-KEN", &signed_statement);
    test_node_state(at, buf_span(&signed_statement));
    buf_free(&signed_statement);
}

START_TEST(a_bundle_of_a_revoked_device_is_judged_chunk_by_chunk_and_not_believed)
{
    struct bundle_export *export = NULL;
    struct bundles volumes;
    size_t place;

    bundles_export_all(ken, hq, &volumes);
    revoke_ken(hq);
    import_all(hq, &volumes);
    ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_GOOD);
    ck_assert_int_eq(outcome.files[0].maker, BUNDLE_MAKER_REVOKED);
    ck_assert_uint_eq(outcome.standing_count, 0);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &people[0]), 0);
    ck_assert_uint_eq(outcome.counts.malformed + outcome.counts.forged, 0);
    /* Nothing is written for it either. */
    const struct bundle_export_options options = { &ken->identity.device_id, 1, BUNDLE_ALL, BUNDLE_FILES_NONE,
                                                   UINT32_MAX };
    ck_assert_int_eq(bundle_export_begin(&export, hq->replica, &options, &place), ERR_ABSENT);
    ck_assert_uint_eq(place, 0);
    bundles_free(&volumes);
}
END_TEST

START_TEST(who_cannot_be_a_destination_is_named)
{
    struct bundle_export *export = NULL;
    struct hash to[] = { hq->identity.device_id, ken->identity.device_id, { { 1, 2, 3 } } };
    struct bundle_export_options options = { to, 2, BUNDLE_ALL, BUNDLE_FILES_NONE, UINT32_MAX };
    size_t place;

    ck_assert_int_eq(bundle_export_begin(&export, ken->replica, &options, &place), ERR_INVALID);
    ck_assert_uint_eq(place, 1);
    to[1] = to[2];
    ck_assert_int_eq(bundle_export_begin(&export, ken->replica, &options, &place), ERR_ABSENT);
    ck_assert_uint_eq(place, 1);
    ck_assert_ptr_null(export);
}
END_TEST

/* --- what is signed --- */

struct made {
    struct key file_key;
    struct bundle_head head;
    struct bundle_manifest manifest;
    struct buf file;
    struct key key;
};

/* The beginning of a volume for headquarters, by whom the test says. */
static void
make_head(struct made *made, const struct key_pair *signer)
{
    memset(made, 0, sizeof *made);
    memset(made->manifest.bundle_id.bytes, 7, IDENT_BYTES);
    memset(made->file_key.bytes, 9, KEY_BYTES);
    ck_assert_int_eq(bundle_head_make(&made->head, &made->manifest.bundle_id, &made->file_key,
                                      (const uint8_t(*)[32])hq->identity.box.public_key, 1, &org.world.world),
                     ERR_OK);
    bundle_volume_key(&made->key, &made->file_key, &made->manifest.bundle_id, 1);
    made->manifest.org = hq->identity.org;
    made->manifest.volume = 1;
    made->manifest.made_ms = 5;
    made->manifest.destination_count = 1;
    made->manifest.destinations[0] = hq->identity.device_id;
    memcpy(made->manifest.sign_pk, signer->public_key, SIGN_PK_BYTES);
    bundle_head_write(&made->file, &made->head);
}

static void
add_text(struct made *made, uint32_t index, struct buf *text)
{
    bundle_part_write(&made->file, &made->key, index, buf_span(text));
    buf_free(text);
}

static void
add_manifest(struct made *made, const struct key_pair *signer)
{
    struct buf text = { 0 };

    bundle_manifest_write(&text, &made->manifest, signer);
    add_text(made, 0, &text);
}

START_TEST(a_device_that_nobody_knew_is_known_by_its_own_bundle)
{
    struct test_node *fresh = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct bundles volumes;

    test_node_join(&org, fresh);
    /* Its office was told, and headquarters was not. */
    test_node_import(&org, ken);
    test_node_exchange(ken, fresh);
    (void)saves_person(fresh, &cases, NAME);
    bundles_export_all(fresh, hq, &volumes);
    import_all(hq, &volumes);
    ck_assert_int_eq(outcome.files[0].maker, BUNDLE_MAKER_MEMBER);
    ck_assert(hash_equal(&outcome.files[0].exporter, &fresh->identity.device_id));
    expect_standing(true);
    ck_assert_uint_eq(refused(), 0);
    bundles_free(&volumes);
    /* And what it said is believed. */
    bundles_export(hq, &fresh->identity.device_id, 1, BUNDLE_LACKING, UINT32_MAX, &volumes);
    uint64_t lacking = volumes.progress.all;
    bundles_free(&volumes);
    bundles_export(hq, &fresh->identity.device_id, 1, BUNDLE_ALL, UINT32_MAX, &volumes);
    ck_assert_uint_lt(lacking, volumes.progress.all);
    bundles_free(&volumes);
}
END_TEST

START_TEST(several_volumes_in_one_file_are_counted_each)
{
    struct bundles volumes;
    struct buf stream = { 0 };
    uint64_t entries = 0;

    make_volumes(&volumes);
    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < volumes.count; n++) {
            buf_put_span(&stream, buf_span(&volumes.files[n]));
        }
    }
    struct span file = buf_span(&stream);
    import_spans(hq, &file, 1, true);
    ck_assert(outcome.files[0].whole);
    entries = outcome.files[0].entries;
    ck_assert_uint_eq(entries, 2 * volumes.progress.done);
    uint64_t missing = 0;
    for (size_t n = 0; n < outcome.standing_count; n++) {
        missing += outcome.standing[n].missing;
    }
    ck_assert_uint_le(missing, volumes.progress.done); /* what is told twice is missing once */
    stream.data[volumes.files[0].size + 5000] ^= 1;
    import_spans(hq, &file, 1, true);
    ck_assert(!outcome.files[0].whole);
    buf_free(&stream);
    bundles_free(&volumes);
}
END_TEST

/* How much of the last import was refused, as the log says it; 0: it says nothing. */
static unsigned told_refused;

static bool
is_refusal(const char *event)
{
    return strcmp(event, "bundle-refused") == 0;
}

static void
hear_refusal(void *self, const char *line)
{
    (void)self;
    ck_assert_int_eq(sscanf(line, "event=bundle-refused count=%u", &told_refused), 1);
}

START_TEST(a_manifest_counts_for_its_own_bundle_and_by_its_own_signature)
{
    struct made made;
    struct key_pair stranger;

    crypto_sign_pair(&stranger, &org.world.world);
    make_head(&made, &ken->identity.sign);
    add_manifest(&made, &ken->identity.sign);
    log_witness(is_refusal, hear_refusal, NULL);
    import_span(hq, buf_span(&made.file));
    ck_assert_int_eq(outcome.files[0].maker, BUNDLE_MAKER_MEMBER);
    ck_assert_uint_eq(told_refused, 0);
    buf_free(&made.file);

    make_head(&made, &ken->identity.sign);
    add_manifest(&made, &stranger);
    import_span(hq, buf_span(&made.file));
    log_witness(NULL, NULL, NULL);
    ck_assert_int_eq(outcome.files[0].maker, BUNDLE_MAKER_FORGED);
    ck_assert_uint_eq(told_refused, 1);
    buf_free(&made.file);

    make_head(&made, &stranger);
    add_manifest(&made, &stranger);
    import_span(hq, buf_span(&made.file));
    ck_assert_int_eq(outcome.files[0].maker, BUNDLE_MAKER_UNKNOWN);
    buf_free(&made.file);

    make_head(&made, &ken->identity.sign);
    made.manifest.volume = 2;
    add_manifest(&made, &ken->identity.sign);
    import_span(hq, buf_span(&made.file));
    ck_assert_int_eq(outcome.files[0].maker, BUNDLE_MAKER_FORGED);
    buf_free(&made.file);

    make_head(&made, &ken->identity.sign);
    made.manifest.org.bytes[0] ^= 1;
    add_manifest(&made, &ken->identity.sign);
    import_span(hq, buf_span(&made.file));
    ck_assert_int_eq(outcome.files[0].state, BUNDLE_FILE_FOREIGN);
    buf_free(&made.file);
}
END_TEST

START_TEST(what_another_destination_adds_is_refused_by_name)
{
    struct made made;
    struct buf text = { 0 };
    struct buf frame = { 0 };
    struct buf chunk = { 0 };
    const struct gossip_store *store = replica_gossip_store(ken->replica);
    const struct frontier *frontier =
        store->frontier(store->self, roster_control(replica_roster(ken->replica)));
    const struct tip *tip = &frontier->tips[0];
    struct descriptor descriptor;
    uint8_t words[DESCRIPTOR_BYTES];
    uint64_t next;
    uint32_t index = 1;

    make_head(&made, &ken->identity.sign);
    add_manifest(&made, &ken->identity.sign);
    ck_assert(store->descriptor(store->self, &tip->log_id, &descriptor));
    descriptor_write(words, &descriptor);
    ck_assert_int_eq(store->read_chunk(store->self, tip, 0, false, &chunk, &next), ERR_OK);
    struct chunk_item item = { .log = { LOG_REF_NEW, span_of(words, sizeof words) },
                               .chunk = buf_span(&chunk) };
    memcpy(item.tag, descriptor.compartment.bytes, TAG_BYTES);

    chunk.data[chunk.size - 1] ^= 1; /* the signature */
    buf_put_u8(&text, BUNDLE_CHUNKS);
    chunk_frame_write(&text);
    chunk_item_write(&text, &item);
    add_text(&made, index++, &text);
    /* A log that nobody named, a frame of another kind, a part of a later version, tips that nobody signed. */
    item.log = (struct log_ref){ LOG_REF_FIRST, span_of(NULL, 0) };
    buf_put_u8(&text, BUNDLE_CHUNKS);
    chunk_frame_write(&text);
    chunk_item_write(&text, &item);
    add_text(&made, index++, &text);
    buf_put_u8(&text, BUNDLE_CHUNKS);
    credit_write(&text, 5);
    add_text(&made, index++, &text);
    buf_put_u8(&text, 200);
    add_text(&made, index++, &text);
    heads_write(&frame, made.manifest.bundle_id.bytes, UINT16_MAX);
    bundle_heads_write(&text, &made.manifest.bundle_id, buf_span(&frame), &hq->identity.sign);
    add_text(&made, index++, &text);
    log_witness(is_refusal, hear_refusal, NULL);
    import_span(hq, buf_span(&made.file));
    log_witness(NULL, NULL, NULL);
    ck_assert_uint_eq(told_refused, 3);
    ck_assert_uint_eq(outcome.counts.taken, 0);
    ck_assert_uint_eq(outcome.counts.forged, 1);
    ck_assert_uint_eq(outcome.counts.malformed, 2);
    ck_assert_uint_eq(outcome.files[0].reading.damaged_bytes, 0);
    ck_assert_uint_eq(outcome.standing_count, 0);
    buf_free(&frame);
    buf_free(&chunk);
    buf_free(&made.file);
}
END_TEST

START_TEST(slots_come_in_eights_and_are_never_the_same_twice)
{
    static const uint8_t weak[1][32];
    struct bundle_head head;
    struct key_pair pairs[9];
    uint8_t public_keys[9][32];
    struct key file_key = { { 3 } };
    struct key opened;
    struct ident id = { { 4 } };

    for (int n = 0; n < 9; n++) {
        crypto_box_pair(&pairs[n], &org.world.world);
        memcpy(public_keys[n], pairs[n].public_key, 32);
    }
    ck_assert_int_eq(bundle_head_make(&head, &id, &file_key, public_keys, 8, &org.world.world), ERR_OK);
    ck_assert_uint_eq(head.slot_count, 8);
    for (int n = 0; n < 9; n++) {
        ck_assert_int_eq(bundle_head_open(&head, &pairs[n], &opened), n < 8);
        ck_assert_int_eq(crypto_equal(opened.bytes, file_key.bytes, KEY_BYTES), n < 8);
    }
    ck_assert_int_eq(bundle_head_make(&head, &id, &file_key, public_keys, 9, &org.world.world), ERR_OK);
    ck_assert_uint_eq(head.slot_count, 16);
    for (size_t n = 0; n < 16; n++) {
        for (size_t m = 0; m < n; m++) {
            ck_assert_mem_ne(head.slots[n], head.slots[m], BUNDLE_SLOT_BYTES);
        }
    }
    ck_assert_int_eq(bundle_head_make(&head, &id, &file_key, weak, 1, &org.world.world), ERR_INVALID);
}
END_TEST

/* --- what a finder of the stick learns --- */

static void
expect_unseen(const struct buf *file, struct span needle)
{
    ck_assert_uint_gt(needle.size, 3);
    ck_assert_ptr_null(memmem(file->data, file->size, needle.data, needle.size));
}

START_TEST(a_volume_shows_no_device_no_log_no_office_and_no_word)
{
    struct bundles volumes;
    const struct journal *journal = replica_journal(ken->replica);
    const struct roster *roster = replica_roster(ken->replica);

    bundles_export_all(ken, hq, &volumes);
    const struct buf *file = &volumes.files[0];
    for (size_t n = 0; n < org.node_count; n++) {
        const struct replica_identity *identity = &org.nodes[n]->identity;

        expect_unseen(file, span_of(identity->device_id.bytes, 8));
        expect_unseen(file, span_of(identity->sign.public_key, 8));
        expect_unseen(file, span_of(identity->box.public_key, 8));
        expect_unseen(file, span_of(identity->transport_public, 8));
    }
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        expect_unseen(file, span_of(branch->log_id.bytes, 8));
        expect_unseen(file, span_of(branch->descriptor.incarnation, 8));
        expect_unseen(file, span_of(branch->head_id.bytes, 8));
    }
    for (size_t n = 0; n < roster_compartment_count(roster); n++) {
        expect_unseen(file, span_of(roster_compartment_at(roster, n)->id.bytes, 8));
        expect_unseen(file, span_text(roster_compartment_at(roster, n)->name));
    }
    expect_unseen(file, hash_span(roster_org(roster)));
    expect_unseen(file, span_text(roster_name(roster)));
    expect_unseen(file, span_text(NAME));
    expect_unseen(file, span_text("KEN-"));
    /* Two bundles of the same have nothing in common but marks. */
    struct bundles again;
    bundles_export_all(ken, hq, &again);
    ck_assert_uint_eq(file->size, again.files[0].size);
    for (size_t n = 12; n + 8 < 700; n += 8) {
        ck_assert_mem_ne(file->data + n, again.files[0].data + n, 8);
    }
    bundles_free(&again);
    bundles_free(&volumes);
}
END_TEST

SUITE_MAIN_WITH("bundle", setup, teardown, a_bundle_brings_all_and_receipts_ride_back,
                what_a_destination_said_it_has_is_not_sent_again,
                what_a_stick_says_outlives_a_restart_and_an_older_stick_changes_nothing,
                an_import_again_takes_nothing_and_refuses_nothing,
                an_inspection_changes_nothing_and_counts_all, an_import_that_was_cut_off_is_run_again,
                a_turn_that_came_to_nothing_loses_nothing, volumes_come_in_any_order_and_twice,
                a_later_volume_alone_waits_for_the_earlier_one_and_says_so, the_first_volume_is_of_use_alone,
                the_head_comes_again_and_no_volume_passes_its_size,
                who_begins_anywhere_in_a_carousel_gets_all, a_flipped_bit_costs_its_own_piece,
                the_rest_of_a_damaged_volume_is_used_and_the_damage_is_made_good_later,
                a_volume_that_was_cut_short_anywhere_gives_what_it_has,
                parts_in_any_order_and_between_rubbish_are_found,
                a_file_that_fails_half_way_is_used_up_to_there, noise_is_read_to_its_end_and_needs_no_memory,
                a_bundle_for_somebody_else_gives_nothing,
                a_bundle_opens_for_each_destination_and_holds_what_all_may_carry,
                a_bundle_of_a_revoked_device_is_judged_chunk_by_chunk_and_not_believed,
                who_cannot_be_a_destination_is_named, a_device_that_nobody_knew_is_known_by_its_own_bundle,
                several_volumes_in_one_file_are_counted_each,
                a_manifest_counts_for_its_own_bundle_and_by_its_own_signature,
                what_another_destination_adds_is_refused_by_name,
                slots_come_in_eights_and_are_never_the_same_twice,
                a_volume_shows_no_device_no_log_no_office_and_no_word)
