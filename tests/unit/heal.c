/* What is damaged on one node comes again from another, is put in its place, and never was a wrong answer. */
#include "store/shelf.h"
#include "sync/replica_state.h"
#include "sync/scrub.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PERSONS = 40, ENTRY_KEY_BYTES = 12 };

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct ident cases;
static struct ident persons[PERSONS];
static uint64_t found;

static void
setup(void)
{
    char name[32];

    log_to(silent, NULL);
    test_organisation_two(&org, 71, &ken, &hq);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    for (size_t n = 0; n < PERSONS; n++) {
        (void)snprintf(name, sizeof name, "name %zu", n);
        persons[n] = saves_person(ken, &cases, name);
        (void)snprintf(name, sizeof name, "P-%zu", n);
        saves_pseudonym(ken, &cases, &persons[n], name);
    }
    test_node_exchange(ken, hq);
    test_node_tend(ken);
    test_node_tend(hq);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

static void
note_found(void *self, const struct scrub_finding *finding)
{
    (void)self;
    (void)finding;
    found++;
}

/* Go through everything once. Gives the findings. */
static uint64_t
scrub_all(struct test_node *node, bool mend)
{
    const struct scrub_options options = { .mend = mend, .found = note_found };
    struct scrub *scrub = NULL;
    bool ended = false;

    found = 0;
    ck_assert_int_eq(scrub_open(&scrub, node->replica), ERR_OK);
    scrub_restart(scrub);
    while (!ended) {
        saves_begin(node);
        ended = scrub_step(scrub, 37, &options);
        scrub_keep(scrub);
        saves_commit(node);
    }
    ck_assert_uint_eq(scrub_status(scrub).ended_findings, found);
    scrub_close(&scrub);
    test_node_tend(node);
    return found;
}

static struct scrub_status
kept(struct test_node *node)
{
    struct scrub_status status;
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    scrub_read_status(txn, &status);
    replica_end_read(node->replica, &txn);
    return status;
}

/* Answer what the conversation would ask for: gives how many chunks were handed over. */
static size_t
answer_wants(struct test_node *from, struct test_node *to)
{
    const struct gossip_store *source = replica_gossip_store(from->replica);
    const struct gossip_store *sink = replica_gossip_store(to->replica);
    struct ident compartments[64];
    size_t held = sink->shared(sink->self, &from->identity.device_id, compartments, 64);
    size_t count = 0;

    for (size_t n = 0; n < held; n++) {
        struct absent_cursor cursor = { 0 };
        struct hash log_id;
        uint64_t seq;

        while (sink->absent(sink->self, &compartments[n], true, &cursor, &log_id, &seq)) {
            const struct frontier *frontier = source->frontier(source->self, &compartments[n]);
            const struct tip *tip = frontier_find(frontier, log_id.bytes);
            struct gossip_log log = { .log_id = log_id };
            struct buf chunk = { 0 };
            struct taken taken;
            uint64_t next;

            ck_assert(cursor.whole);
            ck_assert_ptr_nonnull(tip);
            ck_assert(source->descriptor(source->self, &log_id, &log.descriptor));
            ck_assert_int_eq(source->read_chunk(source->self, tip, seq, PAYLOADS_ALL, &chunk, &next), ERR_OK);
            saves_begin(to);
            sink->take(sink->self, &from->identity.device_id, &log, buf_span(&chunk), &taken);
            saves_commit(to);
            ck_assert_int_eq(taken.verdict, VERDICT_SEEN);
            buf_free(&chunk);
            count++;
        }
    }
    test_node_tend(to);
    return count;
}

/* All is as it must be, and as it was. */
static void
expect_whole(struct test_node *node)
{
    char name[32];

    (void)test_node_prove(node, NULL);
    ck_assert_uint_eq(scrub_all(node, false), 0);
    ck_assert_uint_eq(kept(node).noted, 0);
    for (size_t n = 0; n < PERSONS; n++) {
        (void)snprintf(name, sizeof name, "P-%zu", n);
        ck_assert(saves_has_pseudonym(node, &cases, &persons[n], name));
        ck_assert_uint_eq(saves_pseudonym_count(node, &cases, &persons[n]), 1);
    }
    ck_assert_mem_eq(saves_digest(ken, &cases), saves_digest(hq, &cases), DIGEST_BYTES);
    ck_assert_uint_eq(
        replica_gossip_store(node->replica)->flags(replica_gossip_store(node->replica)->self, &cases), 0);
    for (uint32_t no = 1; no <= journal_branch_count(replica_journal(node->replica)); no++) {
        ck_assert_uint_eq(journal_branch(replica_journal(node->replica), no)->parent, LOG_NONE);
    }
}

/* Replace the rows of one table, of which one in `every` is taken, by a byte: with its tag, so that what is in it is wrong. */
static size_t
spoil(struct test_node *node, enum table_id table, size_t every)
{
    struct table_env *env =
        table >= TABLE_KEYS_RECORD ? replica_keys_env(node->replica) : replica_env(node->replica);
    struct table_txn *txn = NULL;
    struct table_cursor cursor;
    struct span key;
    struct span value;
    size_t n = 0;
    size_t count = 0;

    ck_assert_int_eq(table_begin_write(env, &txn), ERR_OK);
    table_cursor_init(&cursor, txn, table, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        if (n % every == every / 2) {
            table_put(txn, table, key, span_text("x"));
            count++;
        }
        n++;
    }
    table_cursor_end(&cursor);
    ck_assert_int_eq(table_commit(&txn), ERR_OK);
    return count;
}

START_TEST(i9_entries_that_are_damaged_are_named_and_come_again)
{
    size_t spoiled = spoil(hq, TABLE_ENT, 7);

    ck_assert_uint_gt(spoiled, 20);
    /* These, and none that is whole. */
    ck_assert_uint_eq(scrub_all(hq, false), spoiled);
    ck_assert_uint_eq(scrub_all(hq, true), spoiled);
    ck_assert_uint_gt(kept(hq).noted, 0);
    /* Once. */
    ck_assert_uint_eq(scrub_all(hq, true), 0);
    ck_assert_uint_eq(scrub_all(hq, false), spoiled);
    /* It is told to peers, and known after a new start. */
    test_node_close(hq);
    test_node_open(hq);
    ck_assert_uint_eq(
        replica_gossip_store(hq->replica)->flags(replica_gossip_store(hq->replica)->self, &cases) &
            DIGEST_LACKS_ENTRIES,
        DIGEST_LACKS_ENTRIES);
    ck_assert_uint_gt(answer_wants(ken, hq), 0);
    expect_whole(hq);
}
END_TEST

START_TEST(signatures_and_keys_that_are_damaged_come_again)
{
    ck_assert_uint_gt(spoil(hq, TABLE_SIG, 1), 0);
    ck_assert_uint_gt(spoil(hq, TABLE_KEYS_PAYLOAD, 2), 0);
    ck_assert_uint_gt(scrub_all(hq, true), 0);
    ck_assert_uint_gt(answer_wants(ken, hq), 0);
    expect_whole(hq);
}
END_TEST

/* What is derived was made anew while entries were damaged: what came behind them in their runs could not be read either. */
START_TEST(what_was_made_anew_meanwhile_is_whole_after_it)
{
    (void)spoil(hq, TABLE_ENT, 7);
    (void)scrub_all(hq, true);
    ck_assert_int_eq(replica_rebuild(hq->replica, NULL, NULL), ERR_OK);
    ck_assert_uint_gt(answer_wants(ken, hq), 0);
    expect_whole(hq);
}
END_TEST

/* Its own entries, too: and it is not taken for one that was set back. */
START_TEST(own_entries_come_back_and_begin_no_incarnation)
{
    ck_assert_uint_gt(spoil(ken, TABLE_ENT, 5), 0);
    ck_assert_uint_gt(scrub_all(ken, true), 0);
    ck_assert_uint_gt(answer_wants(hq, ken), 0);
    expect_whole(ken);
    ck_assert_uint_eq(replica_setbacks(ken->replica).incarnations, 0);
    ck_assert_uint_eq(replica_setbacks(ken->replica).lost_tails, 0);
}
END_TEST

/* What is sent anyway, to a node that has not looked yet, makes no second branch of the log. */
START_TEST(a_damaged_entry_that_comes_unasked_is_no_fork)
{
    (void)spoil(hq, TABLE_ENT, 7);
    test_node_close(hq);
    test_node_open(hq);
    test_node_give(ken, hq, false);
    (void)scrub_all(hq, true);
    (void)answer_wants(ken, hq);
    expect_whole(hq);
}
END_TEST

/* A chunk of another entry with the same number is not put in the place. */
START_TEST(nothing_is_put_back_that_is_not_proved)
{
    struct journal *journal = replica_journal(hq->replica);
    struct table_txn *txn = NULL;
    struct journal_entry stored;

    ck_assert_int_eq(replica_begin_read(hq->replica, &txn), ERR_OK);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            ck_assert_int_eq(journal_read(journal, txn, no, seq, &stored), ERR_OK);
            ck_assert_int_eq(journal_prove(journal, txn, no, seq, &stored.entry.id), ERR_OK);
            stored.entry.id.bytes[31] ^= 1;
            ck_assert_int_eq(journal_prove(journal, txn, no, seq, &stored.entry.id), ERR_INVALID);
        }
    }
    replica_end_read(hq->replica, &txn);
}
END_TEST

START_TEST(places_that_are_damaged_are_given_again)
{
    uint64_t count = 0;
    size_t spoiled = spoil(hq, TABLE_CHG, 9);

    ck_assert_uint_ge(scrub_all(hq, false), 0);
    saves_begin(hq);
    ck_assert_int_eq(scrub_mend_places(hq->replica, &count), ERR_OK);
    saves_commit(hq);
    ck_assert_uint_eq(count, spoiled);
    ck_assert_int_eq(replica_rebuild(hq->replica, NULL, NULL), ERR_OK);
    expect_whole(hq);
}
END_TEST

/* Where a pass stands is kept: a node that is often started comes to an end. */
START_TEST(a_pass_goes_on_after_a_new_start)
{
    const struct scrub_options options = { .mend = true };
    struct scrub *scrub = NULL;
    uint64_t rows = 0;
    size_t starts = 0;

    for (bool ended = false; !ended; starts++) {
        ck_assert_uint_lt(starts, 10000);
        ck_assert_int_eq(scrub_open(&scrub, hq->replica), ERR_OK);
        ck_assert_uint_ge(scrub_status(scrub).rows, rows);
        rows = scrub_status(scrub).rows;
        saves_begin(hq);
        ended = scrub_step(scrub, 400, &options);
        scrub_keep(scrub);
        saves_commit(hq);
        scrub_close(&scrub);
    }
    ck_assert_uint_gt(starts, 2);
    ck_assert_uint_gt(kept(hq).ended_ms, 0);
    ck_assert_uint_eq(kept(hq).ended_findings, 0);
}
END_TEST

SUITE_MAIN_WITH("what is damaged comes again", setup, teardown,
                i9_entries_that_are_damaged_are_named_and_come_again,
                signatures_and_keys_that_are_damaged_come_again,
                what_was_made_anew_meanwhile_is_whole_after_it,
                own_entries_come_back_and_begin_no_incarnation, a_damaged_entry_that_comes_unasked_is_no_fork,
                nothing_is_put_back_that_is_not_proved, places_that_are_damaged_are_given_again,
                a_pass_goes_on_after_a_new_start)
