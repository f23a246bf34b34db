/* Revocation by cut on real replicas: what counts, what is held, and that it is the same everywhere. */

#include "store/base/log.h"
#include "sync/limit.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct test_node *ken; /* the device that is revoked */
static struct test_node *hq;
static struct test_node *late; /* a second one of the office, which hears of everything late */
static struct ident cases;
static struct ident person_of_all;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 21);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    late = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, hq);
    test_node_join(&org, late);
    cases = test_compartment(ken, "KEN", OWN_CASES);
    test_node_exchange(ken, hq);
    test_node_exchange(late, hq);
    test_node_exchange(ken, late);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

/* --- revocations --- */

static int
cut_order(const void *a, const void *b)
{
    return statement_cut_compare(a, b);
}

/* Cuts at the tips of every log of `device` as `at` holds them; one log may be left out. */
static struct statement_list
cuts_at(struct test_node *at, const struct test_node *device, const struct hash *but, struct buf *items)
{
    struct journal *journal = replica_journal(at->replica);
    struct statement_cut cuts[64];
    size_t count = 0;

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (hash_equal(&branch->device_id, &device->identity.device_id) &&
            (but == NULL || !hash_equal(but, &branch->log_id))) {
            ck_assert_uint_lt(count, 64);
            cuts[count++] = (struct statement_cut){ branch->log_id, branch->next_seq - 1, branch->head_id };
        }
    }
    qsort(cuts, count, sizeof *cuts, cut_order);
    for (size_t n = 0; n < count; n++) {
        statement_put_cut(items, &cuts[n]);
    }
    return statement_list_of(items, count);
}

/* REVOKE of a device, signed by its office, with cuts where `at` is now (NULL: none). */
static struct hash
revoke(struct test_node *device, struct test_node *at, const struct hash *but, struct buf *out)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf cuts = { 0 };

    memcpy(statement.revoke.key, device->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = 2;
    if (at != NULL) {
        statement.revoke.cuts = cuts_at(at, device, but, &cuts);
    }
    struct hash id = test_organisation_sign(&org, &statement, "office-KEN", out);
    buf_free(&cuts);
    return id;
}

static void
extend(const struct hash *revocation, struct test_node *device, struct test_node *at, struct buf *out)
{
    struct statement statement = { .type = STATEMENT_EXTEND };
    struct buf cuts = { 0 };

    statement.extend.revoke = *revocation;
    statement.extend.cuts = cuts_at(at, device, NULL, &cuts);
    (void)test_organisation_sign(&org, &statement, "office-KEN", out);
    buf_free(&cuts);
}

/* Hand a statement over and forget it. */
static void
state(struct test_node *node, struct buf *statement)
{
    test_node_state(node, buf_span(statement));
    buf_free(statement);
}

/* The revoked device's entries as one node has them come to another, although that device is nobody's peer any more. */
static void
give_all(struct test_node *from, struct test_node *to)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        for (int own = 0; own < OWN_COUNT; own++) {
            struct ident compartment = test_compartment(hq, "KEN", own);

            saves_begin(to);
            test_node_give_lane(from, to, &compartment, lane);
            saves_commit(to);
        }
    }
    test_node_tend(to);
}

static uint64_t
held_at(struct test_node *node)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;
    uint64_t held = 0;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    for (uint64_t place = 1; place <= journal_place_last(journal); place++) {
        struct journal_entry entry;
        uint32_t log_no;
        uint64_t seq;

        ck_assert_int_eq(journal_at(txn, place, &log_no, &seq), ERR_OK);
        if (log_no == LOG_NONE) {
            continue;
        }
        ck_assert_int_eq(journal_read(journal, txn, log_no, seq, &entry), ERR_OK);
        held += entry.state == STATE_HELD;
        ck_assert(entry.state != STATE_HELD || entry.detail == HELD_BEYOND_CUT);
    }
    replica_end_read(node->replica, &txn);
    return held;
}

static void
check_equal(struct test_node *a, struct test_node *b)
{
    for (int own = 0; own < OWN_COUNT; own++) {
        struct ident compartment = test_compartment(a, "KEN", own);

        ck_assert_mem_eq(saves_digest(a, &compartment), saves_digest(b, &compartment), DIGEST_BYTES);
    }
}

/* --- tests --- */

enum arrival { REVOCATION_FIRST, REVOCATION_LAST, REVOCATION_BETWEEN };

static void
hold_beyond_the_cut(enum arrival arrival)
{
    struct buf statement = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    saves_pseudonym(ken, &cases, &person, "P-before");
    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &statement);
    saves_pseudonym(ken, &cases, &person, "P-after");
    if (arrival == REVOCATION_LAST) {
        give_all(ken, late);
        ck_assert(saves_has_pseudonym(late, &cases, &person, "P-after"));
    } else if (arrival == REVOCATION_BETWEEN) {
        give_all(hq, late);
    }
    test_node_state(hq, buf_span(&statement));
    state(late, &statement);
    give_all(ken, late);
    give_all(hq, late);
    test_node_exchange(hq, late);
    ck_assert(saves_has_pseudonym(late, &cases, &person, "P-before"));
    ck_assert(!saves_has_pseudonym(late, &cases, &person, "P-after"));
    ck_assert_uint_eq(saves_pseudonym_count(late, &cases, &person), 1);
    ck_assert_uint_eq(held_at(late), 1);
    /* A chunk ends where a signature was kept: what is beyond the cut comes along as far as its run goes. */
    ck_assert_uint_le(held_at(hq), 1);
    check_equal(hq, late);
    person_of_all = person;
}

START_TEST(u7_what_is_signed_beyond_a_cut_is_held_when_the_revocation_comes_first)
{
    hold_beyond_the_cut(REVOCATION_FIRST);
    ck_assert(!saves_has_pseudonym(hq, &cases, &person_of_all, "P-after"));
}
END_TEST

START_TEST(u7_what_is_signed_beyond_a_cut_is_held_when_the_revocation_comes_last)
{
    hold_beyond_the_cut(REVOCATION_LAST);
    ck_assert(!saves_has_pseudonym(hq, &cases, &person_of_all, "P-after"));
}
END_TEST

START_TEST(u7_what_is_signed_beyond_a_cut_is_held_when_the_revocation_comes_between)
{
    hold_beyond_the_cut(REVOCATION_BETWEEN);
    ck_assert(!saves_has_pseudonym(hq, &cases, &person_of_all, "P-after"));
}
END_TEST

START_TEST(u8_a_back_dated_entry_does_not_come_before_the_cut)
{
    struct buf statement = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &statement);
    state(hq, &statement);
    ken->world.wall_ms -= UINT64_C(365) * 24 * 3600 * 1000;
    test_node_close(ken); /* its clock of stamps is forgotten with it */
    test_node_open(ken);
    saves_pseudonym(ken, &cases, &person, "P-backdated");
    give_all(ken, hq);
    ck_assert(!saves_has_pseudonym(hq, &cases, &person, "P-backdated"));
    ck_assert_uint_eq(held_at(hq), 1);
}
END_TEST

START_TEST(a_cut_behind_known_heads_makes_the_records_anew)
{
    struct buf statement = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &statement);
    struct ident second = saves_person(ken, &cases, "another name");
    saves_pseudonym(ken, &cases, &person, "P-late");
    test_node_exchange(ken, hq);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-late"));
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &second), 1);
    state(hq, &statement);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-17"));
    ck_assert(!saves_has_pseudonym(hq, &cases, &person, "P-late"));
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &second), 0);
    ck_assert(!replica_is_rebuilding(hq->replica));

    /* All of it stays so over a restart and a rebuild. */
    test_node_close(hq);
    test_node_open(hq);
    ck_assert(!saves_has_pseudonym(hq, &cases, &person, "P-late"));
    ck_assert_int_eq(replica_rebuild(hq->replica, NULL, NULL), ERR_OK);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-17"));
    ck_assert(!saves_has_pseudonym(hq, &cases, &person, "P-late"));
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &second), 0);
}
END_TEST

START_TEST(what_comes_in_one_turn_with_the_cut_before_it_is_not_counted)
{
    struct buf statement = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    saves_pseudonym(ken, &cases, &person, "P-before");
    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &statement);
    saves_pseudonym(ken, &cases, &person, "P-after");
    saves_begin(hq);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        test_node_give_lane(ken, hq, &cases, lane);
    }
    ck_assert_int_eq(replica_state(hq->replica, buf_span(&statement)), ERR_OK);
    saves_commit(hq);
    buf_free(&statement);
    ck_assert_uint_eq(held_at(hq), 1);
    ck_assert(!saves_has_pseudonym(hq, &cases, &person, "P-after"));
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-before"));
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 1);
}
END_TEST

START_TEST(an_extension_admits_what_was_held)
{
    struct buf statement = { 0 };
    struct buf more = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    test_node_exchange(ken, hq);
    struct hash revocation = revoke(ken, hq, NULL, &statement);
    saves_pseudonym(ken, &cases, &person, "P-admitted");
    struct ident second = saves_person(ken, &cases, "another name");
    test_node_state(hq, buf_span(&statement));
    state(late, &statement);
    give_all(ken, hq);
    ck_assert_uint_gt(held_at(hq), 1);
    ck_assert_uint_eq(held_at(late), 0);
    extend(&revocation, ken, ken, &more);
    test_node_state(hq, buf_span(&more));
    ck_assert_uint_eq(held_at(hq), 0);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-admitted"));
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &second), 1);

    /* Who held nothing of it is given all of it now: it is in the frontier again. */
    state(late, &more);
    test_node_exchange(hq, late);
    ck_assert(saves_has_pseudonym(late, &cases, &person, "P-admitted"));
    check_equal(hq, late);
}
END_TEST

START_TEST(a_log_that_no_cut_names_counts_for_nothing)
{
    struct buf statement = { 0 };
    struct descriptor descriptor = { .compartment = cases, .lane = LANE_NORMAL };
    struct ident person = saves_person(ken, &cases, "a name");
    struct hash log_id;

    test_node_exchange(ken, hq);
    memcpy(descriptor.sign_pk, ken->identity.sign.public_key, SIGN_PK_BYTES);
    memcpy(descriptor.incarnation, ken->identity.incarnation, sizeof descriptor.incarnation);
    descriptor_log_id(&descriptor, &log_id);
    (void)revoke(ken, hq, &log_id, &statement);
    state(hq, &statement);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 0);
    ck_assert_uint_eq(
        frontier_log(
            replica_gossip_store(hq->replica)->frontier(replica_gossip_store(hq->replica)->self, &cases),
            &log_id, &(size_t){ 0 }),
        0);
}
END_TEST

START_TEST(a_cut_whose_entry_has_not_come_lets_nothing_pass_until_it_does)
{
    struct buf statement = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    test_node_exchange(ken, hq);
    give_all(hq, late);
    ck_assert_uint_eq(saves_pseudonym_count(late, &cases, &person), 1);
    saves_pseudonym(ken, &cases, &person, "P-cut");
    (void)revoke(ken, ken, NULL, &statement);
    state(late, &statement);
    ck_assert_uint_eq(saves_pseudonym_count(late, &cases, &person), 0);
    give_all(ken, late);
    ck_assert(saves_has_pseudonym(late, &cases, &person, "P-cut"));
    ck_assert_uint_eq(held_at(late), 0);
}
END_TEST

/* More changes than one run has: what is told of a log brings the rest of a run along. */
static void
save_many(struct test_node *node, const struct ident *person, int count)
{
    saves_begin(node);
    for (int n = 0; n < count; n++) {
        struct save_op op = saves_set("person", "pseudonym", n % 2 == 0 ? "P-even" : "P-odd");

        ck_assert_int_eq(saves_change(node, &cases, person, op), ERR_OK);
    }
    saves_commit(node);
}

START_TEST(of_several_revocations_every_one_must_let_pass)
{
    struct buf early = { 0 };
    struct buf later = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &early);
    saves_pseudonym(ken, &cases, &person, "P-between");
    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &later);
    state(hq, &later);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-between"));
    state(hq, &early);
    ck_assert(!saves_has_pseudonym(hq, &cases, &person, "P-between"));
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-17"));
}
END_TEST

/* What one cut names may lie beyond another: it must arrive all the same, or a node that lacks it lets nothing pass. */
START_TEST(of_several_revocations_every_cut_arrives_everywhere)
{
    struct buf early = { 0 };
    struct buf later = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &early);
    save_many(ken, &person, 2 * RUN_ENTRIES_MAX);
    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &later);
    save_many(ken, &person, 2 * RUN_ENTRIES_MAX);
    test_node_exchange(ken, hq);
    test_node_state(hq, buf_span(&early));
    test_node_state(hq, buf_span(&later));
    state(late, &early);
    state(late, &later);
    test_node_exchange(hq, late);
    check_equal(hq, late);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-17"));
    ck_assert(saves_has_pseudonym(late, &cases, &person, "P-17"));
    ck_assert_uint_eq(saves_pseudonym_count(late, &cases, &person), 1);
    ck_assert_uint_eq(held_at(hq), 4 * RUN_ENTRIES_MAX);
    /* Beyond both of them nothing is told. */
    ck_assert_uint_ge(held_at(late), 2 * RUN_ENTRIES_MAX);
    ck_assert_uint_lt(held_at(late), 3 * RUN_ENTRIES_MAX);
}
END_TEST

START_TEST(of_what_lies_beyond_a_cut_no_more_than_a_quota_is_kept)
{
    struct buf statement = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");
    const struct intake_counts *counts = replica_counts(hq->replica);

    test_node_exchange(ken, hq);
    (void)revoke(ken, hq, NULL, &statement);
    state(hq, &statement);
    save_many(ken, &person, 4200);
    uint64_t refused = counts->later[LATER_LIMIT];
    give_all(ken, hq);
    ck_assert_uint_gt(counts->later[LATER_LIMIT], refused);
    ck_assert_uint_le(held_at(hq), 4096);
    ck_assert_uint_gt(held_at(hq), 4096 - RUN_ENTRIES_MAX);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-17"));
}
END_TEST

/* A newcomer hears of the revocation before anything that was written: all that leads to the cut has room. */
START_TEST(what_leads_to_a_cut_has_room_before_the_cut_has_come)
{
    struct buf statement = { 0 };
    struct ident person = saves_person(ken, &cases, "a name");

    save_many(ken, &person, 4200);
    (void)revoke(ken, ken, NULL, &statement);
    save_many(ken, &person, RUN_ENTRIES_MAX / 2);
    give_all(ken, hq);
    test_node_state(hq, buf_span(&statement));
    state(late, &statement);
    give_all(ken, late);
    ck_assert_uint_eq(held_at(late), RUN_ENTRIES_MAX / 2);
    ck_assert(saves_has_pseudonym(late, &cases, &person, "P-odd"));
    check_equal(hq, late);
}
END_TEST

/* Who edits a record whose key lies beyond the cut brings the key again: newcomers are not given the entry that had it. */
START_TEST(a_record_begun_beyond_the_cut_keeps_what_others_wrote_in_it)
{
    struct buf statement = { 0 };

    (void)revoke(ken, hq, NULL, &statement);
    struct ident person = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, hq);
    saves_pseudonym(hq, &cases, &person, "P-of-hq");
    test_node_state(hq, buf_span(&statement));
    state(late, &statement);
    test_node_exchange(hq, late);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-of-hq"));
    ck_assert(saves_has_pseudonym(late, &cases, &person, "P-of-hq"));
    ck_assert_uint_eq(journal_pending_count(replica_journal(late->replica), &cases), 0);
    check_equal(hq, late);
}
END_TEST

/* Key entries of cases that this device wrote. */
static uint64_t
keys_brought(const struct test_node *node)
{
    struct descriptor descriptor = { .compartment = cases, .lane = LANE_CONTROL };
    struct hash log_id;

    memcpy(descriptor.sign_pk, node->identity.sign.public_key, SIGN_PK_BYTES);
    memcpy(descriptor.incarnation, node->identity.incarnation, sizeof descriptor.incarnation);
    descriptor_log_id(&descriptor, &log_id);
    const struct log_branch *log = journal_log(replica_journal(node->replica), &log_id);
    return log == NULL ? 0 : log->next_seq;
}

/* What somebody else wrote in it counts, so it is shown still: those who have the key bring it again, each once. */
START_TEST(a_record_whose_key_fell_behind_a_cut_and_in_which_others_wrote_gets_its_key_again)
{
    struct buf statement = { 0 };

    (void)revoke(ken, hq, NULL, &statement);
    struct ident person = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, hq);
    test_node_exchange(ken, late);
    saves_pseudonym(late, &cases, &person, "P-of-late");
    test_node_exchange(late, hq);
    ck_assert_uint_eq(keys_brought(hq), 0);
    state(hq, &statement);
    ck_assert_uint_eq(keys_brought(hq), 1);
    /* Once: from then on it is the one remembered. */
    saves_pseudonym(hq, &cases, &person, "P-of-hq");
    saves_pseudonym(hq, &cases, &person, "P-of-hq-again");
    ck_assert_uint_eq(keys_brought(hq), 1);
    test_node_exchange(hq, late);
    ck_assert(saves_has_pseudonym(late, &cases, &person, "P-of-hq-again"));
    ck_assert_uint_eq(journal_pending_count(replica_journal(late->replica), &cases), 0);
}
END_TEST

/* An insider has a record's key from before the cut and brings it to nobody: whoever else has it does. */
START_TEST(who_writes_in_a_record_whose_key_fell_behind_a_cut_and_brings_no_key_leaves_nobody_waiting)
{
    struct buf statement = { 0 };
    struct test_node *insider = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);

    for (size_t n = 0; n < org.node_count; n++) {
        if (org.nodes[n] != insider) {
            test_node_import(&org, org.nodes[n]);
        }
    }
    test_node_join(&org, insider);
    test_node_exchange(hq, insider);
    (void)revoke(ken, hq, NULL, &statement);
    struct ident person = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, insider);
    test_node_exchange(ken, late);
    /* It does not want to hear of the revocation. */
    saves_pseudonym(insider, &cases, &person, "P-of-the-insider");
    test_node_state(hq, buf_span(&statement));
    state(late, &statement);
    ck_assert_uint_eq(keys_brought(late), 0);
    give_all(insider, late);
    give_all(insider, hq);
    ck_assert_uint_eq(keys_brought(late), 1);
    test_node_exchange(late, hq);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-of-the-insider"));
    ck_assert_uint_eq(journal_pending_count(replica_journal(hq->replica), &cases), 0);
    check_equal(hq, late);
}
END_TEST

START_TEST(after_a_revocation_others_write_under_an_epoch_that_the_device_cannot_open)
{
    struct buf statement = { 0 };

    (void)saves_person(ken, &cases, "a name");
    test_node_exchange(ken, hq);
    const struct roster_epoch *before = roster_compartment(replica_roster(late->replica), &cases)->current;
    struct hash before_id = before->epoch_id;
    (void)revoke(ken, hq, NULL, &statement);
    /* Whoever hears of it first makes the epoch; the others have it before they would. */
    test_node_state(hq, buf_span(&statement));
    test_node_exchange(hq, late);
    const struct roster_epoch *current = roster_compartment(replica_roster(hq->replica), &cases)->current;
    ck_assert_ptr_nonnull(current);
    ck_assert(!hash_equal(&current->epoch_id, &before_id));
    ck_assert_uint_gt(current->number, 1);
    ck_assert(!roster_has_box(replica_roster(hq->replica), &current->epoch_id, &ken->identity.device_id));
    ck_assert(roster_has_box(replica_roster(hq->replica), &current->epoch_id, &late->identity.device_id));

    /* A newcomer needs one box to read what was written before. */
    struct test_node *fresh = test_organisation_enrol(&org, "KEN", LEVEL_READ, NULL, 0);
    test_node_join(&org, fresh);
    test_node_import(&org, hq);
    test_node_state(fresh, buf_span(&statement));
    test_node_exchange(hq, fresh);
    ck_assert_uint_eq(journal_pending_count(replica_journal(fresh->replica), &cases), 0);
    size_t epoch_count;
    size_t from = roster_epochs_of(replica_roster(fresh->replica), &cases, &epoch_count);
    size_t boxes = 0;
    for (size_t n = 0; n < epoch_count; n++) {
        boxes += roster_has_box(replica_roster(fresh->replica),
                                &roster_epoch_at(replica_roster(fresh->replica), from + n)->epoch_id,
                                &fresh->identity.device_id);
    }
    ck_assert_uint_eq(boxes, 1);
    buf_free(&statement);
}
END_TEST

/* The only machine of an office burnt, and its epochs lost their maker's word with it: whoever has their keys boxes them for the new
 * one, which reads on from the beginning. */
START_TEST(a_new_machine_of_an_office_that_has_no_other_reads_what_the_dead_one_wrote)
{
    struct statement statement = { .type = STATEMENT_REVOKE, .revoke.reason = REVOKE_REPLACED };
    struct joining_fault fault = { 0 };
    struct buf revocation = { 0 };
    struct buf cuts = { 0 };
    struct buf file = { 0 };
    struct buf news = { 0 };
    size_t count = 0;

    test_organisation_office(&org, "UGA", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *dead = test_organisation_enrol(&org, "UGA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, dead);
    test_node_import(&org, hq);
    test_node_exchange(dead, hq);
    struct ident home = test_compartment(dead, "UGA", OWN_CASES);
    struct ident person = saves_person(dead, &home, "a name");
    saves_pseudonym(dead, &home, &person, "P-of-the-dead");
    test_node_exchange(dead, hq);
    ck_assert(saves_has_pseudonym(hq, &home, &person, "P-of-the-dead"));

    memcpy(statement.revoke.key, dead->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.cuts = cuts_at(hq, dead, NULL, &cuts);
    (void)test_organisation_sign(&org, &statement, "office-UGA", &revocation);
    struct test_node *heir = test_organisation_enrol(&org, "UGA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, heir);
    /* In the news of one visit to the ceremony: the office is never without a device that makes its epochs. */
    ck_assert_int_eq(ceremony_news(org.ceremony, &file), ERR_OK);
    ck_assert_int_eq(statements_read(buf_span(&file), &hq->identity.control_key, &news, &fault), ERR_OK);
    saves_begin(hq);
    ck_assert_int_eq(replica_import(hq->replica, buf_span(&news), &count), ERR_OK);
    ck_assert_int_eq(replica_state(hq->replica, buf_span(&revocation)), ERR_OK);
    saves_commit(hq);
    test_node_tend(hq);
    test_node_state(heir, buf_span(&revocation));
    test_node_exchange(heir, hq);
    ck_assert(saves_has_pseudonym(heir, &home, &person, "P-of-the-dead"));
    /* What it writes is read, and what the dead one wrote stays readable to those who come after it. */
    saves_pseudonym(heir, &home, &person, "P-of-the-heir");
    test_node_exchange(heir, hq);
    ck_assert(saves_has_pseudonym(hq, &home, &person, "P-of-the-heir"));
    buf_free(&file);
    buf_free(&news);
    buf_free(&cuts);
    buf_free(&revocation);
}
END_TEST

START_TEST(an_epoch_ends_after_ninety_days_and_by_hand)
{
    struct hash first = roster_compartment(replica_roster(ken->replica), &cases)->current->epoch_id;

    ken->world.wall_ms += UINT64_C(89) * 24 * 3600 * 1000;
    test_node_tend(ken);
    ck_assert(
        hash_equal(&roster_compartment(replica_roster(ken->replica), &cases)->current->epoch_id, &first));
    ken->world.wall_ms += UINT64_C(4) * 24 * 3600 * 1000;
    ck_assert(replica_tend_is_due(ken->replica));
    test_node_tend(ken);
    struct hash second = roster_compartment(replica_roster(ken->replica), &cases)->current->epoch_id;
    ck_assert(!hash_equal(&second, &first));
    saves_begin(ken);
    ck_assert_int_eq(replica_rotate(ken->replica, &cases), ERR_OK);
    ck_assert_int_eq(replica_rotate(ken->replica, roster_control(replica_roster(ken->replica))), ERR_ABSENT);
    saves_commit(ken);
    ck_assert(
        !hash_equal(&roster_compartment(replica_roster(ken->replica), &cases)->current->epoch_id, &second));

    /* Who has not heard yet writes under the old one: it is taken, and counted. */
    struct ident person = saves_person(late, &cases, "a name");
    test_node_exchange(late, ken);
    ck_assert_uint_eq(saves_pseudonym_count(ken, &cases, &person), 1);
    ck_assert_uint_gt(replica_counts(ken->replica)->old_epoch, 0);
}
END_TEST

START_TEST(a_date_closes_sessions_and_nothing_else)
{
    const uint64_t day_ms = UINT64_C(24) * 3600 * 1000;
    const struct gossip_store *store = replica_gossip_store(hq->replica);
    struct ident shared[16];
    ceremony_fault fault = { 0 };

    struct ident person = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, late);
    ck_assert_uint_gt(store->shared(store->self, &ken->identity.device_id, shared, 16), 0);
    /* Its own certificate is over too: it is the clock that is doubted. */
    hq->world.wall_ms += 400 * day_ms;
    ck_assert_uint_gt(store->shared(store->self, &ken->identity.device_id, shared, 16), 0);
    /* Now it has a new one, and the other has not. */
    org.world.wall_ms += 300 * day_ms;
    ck_assert_int_eq(
        ceremony_device(org.ceremony, "HQ", &hq->request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault),
        ERR_OK);
    ck_assert_int_eq(
        ceremony_device(org.ceremony, "KEN", &late->request, LEVEL_ADMIN, ROLE_CASE_WORK, NULL, 0, &fault),
        ERR_OK);
    test_node_import(&org, hq);
    ck_assert_uint_eq(store->shared(store->self, &ken->identity.device_id, shared, 16), 0);
    /* What it wrote counts as before, whoever brings it. */
    test_node_give(late, hq, false);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 1);
}
END_TEST

/* --- forks and rollback --- */

/* A copy of the disk, anchor and all. */
static void
keep_image(struct test_node *node)
{
    char command[500];

    ck_assert_int_eq(replica_anchor(node->replica), ERR_OK);
    test_node_close(node);
    (void)snprintf(command, sizeof command, "cp -rp '%s' '%s.image'", node->directory, node->directory);
    ck_assert_int_eq(system(command), 0);
    test_node_open(node);
}

/* The node as it was when it was copied. */
static void
set_back(struct test_node *node)
{
    char command[500];

    test_node_close(node);
    (void)snprintf(command, sizeof command, "rm -rf '%s' && cp -rp '%s.image' '%s'", node->directory,
                   node->directory, node->directory);
    ck_assert_int_eq(system(command), 0);
    test_node_open(node);
}

/* The databases alone as they were: the anchor stays, and the file `device` with it or not. */
static void
set_databases_back(struct test_node *node, bool device_stays)
{
    char device[160];
    char command[2000];

    test_node_close(node);
    (void)snprintf(device, sizeof device, "'%s/device'", node->directory);
    (void)snprintf(command, sizeof command,
                   "mkdir '%s.stays' && cp -p '%s/anchor' %s '%s.stays' && rm -rf '%s' && "
                   "cp -rp '%s.image' '%s' && cp -p '%s.stays'/* '%s' && rm -rf '%s.stays'",
                   node->directory, node->directory, device_stays ? device : "", node->directory,
                   node->directory, node->directory, node->directory, node->directory, node->directory,
                   node->directory);
    ck_assert_int_eq(system(command), 0);
    test_node_open(node);
}

/* Between a commit and its anchor the machine stops. What is told afterwards is in the anchor all the same, or the databases
 * could be put back to before it and nobody would know. */
START_TEST(i13_what_a_crash_kept_out_of_the_anchor_is_in_it_before_it_is_told)
{
    struct ident person = saves_person(ken, &cases, "a name");
    uint8_t incarnation[8];

    test_node_exchange(ken, hq);
    keep_image(ken);
    memcpy(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
    saves_pseudonym(ken, &cases, &person, "P-one");
    test_node_close(ken);
    test_node_open(ken);
    ck_assert_mem_eq(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    test_node_exchange(ken, hq);
    set_databases_back(ken, false);
    ck_assert_mem_ne(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
}
END_TEST

/* The same before there ever was an anchor: a database without one would look like one that came from elsewhere. */
START_TEST(i13_a_crash_before_the_first_anchor_is_no_set_back)
{
    struct test_node *fresh = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    uint8_t incarnation[8];

    test_node_join(&org, fresh);
    test_node_exchange(fresh, ken);
    memcpy(incarnation, replica_identity(fresh->replica)->incarnation, sizeof incarnation);
    saves_person(fresh, &cases, "a name");
    test_node_close(fresh);
    test_node_open(fresh);
    ck_assert_mem_eq(incarnation, replica_identity(fresh->replica)->incarnation, sizeof incarnation);
    ck_assert_uint_eq(replica_setbacks(fresh->replica).incarnations, 0);
}
END_TEST

START_TEST(i13_a_lost_tail_is_taken_back_and_never_signed_anew)
{
    struct ident person = saves_person(ken, &cases, "a name");
    uint8_t incarnation[8];

    test_node_exchange(ken, hq);
    keep_image(ken);
    saves_pseudonym(ken, &cases, &person, "P-lost");
    test_node_exchange(ken, hq);
    set_back(ken);
    memcpy(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
    ck_assert(!saves_has_pseudonym(ken, &cases, &person, "P-lost"));
    test_node_give(hq, ken, false);
    ck_assert(saves_has_pseudonym(ken, &cases, &person, "P-lost"));
    ck_assert_mem_ne(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
    saves_pseudonym(ken, &cases, &person, "P-after");
    test_node_exchange(ken, hq);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-after"));
    ck_assert_uint_eq(roster_fork_count(replica_roster(hq->replica)), 0);

    /* The new incarnation outlives a restart. */
    memcpy(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    test_node_close(ken);
    test_node_open(ken);
    ck_assert_mem_eq(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
}
END_TEST

/* A disk from before the incarnation that was left: in logs of its own that it would go on with, the peer has nothing more. */
START_TEST(i13_a_log_of_a_later_incarnation_tells_that_the_disk_was_set_back)
{
    struct ident person = saves_person(ken, &cases, "a name");
    uint8_t first[8];
    uint8_t second[8];
    char anchor[192];

    test_node_exchange(ken, hq);
    keep_image(ken);
    memcpy(first, replica_identity(ken->replica)->incarnation, sizeof first);
    (void)snprintf(anchor, sizeof anchor, "%s/anchor", ken->directory);
    test_node_close(ken);
    ck_assert_int_eq(remove(anchor), 0);
    test_node_open(ken);
    memcpy(second, replica_identity(ken->replica)->incarnation, sizeof second);
    ck_assert_mem_ne(first, second, sizeof first);
    saves_pseudonym(ken, &cases, &person, "P-second");
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(replica_setbacks(ken->replica).lost_tails, 0);
    set_back(ken);
    ck_assert_mem_eq(first, replica_identity(ken->replica)->incarnation, sizeof first);
    test_node_give(hq, ken, false);
    ck_assert(saves_has_pseudonym(ken, &cases, &person, "P-second"));
    ck_assert_uint_eq(replica_setbacks(ken->replica).lost_tails, 1);
    ck_assert_uint_eq(replica_setbacks(ken->replica).incarnations, 1);
    ck_assert_mem_ne(first, replica_identity(ken->replica)->incarnation, sizeof first);
    ck_assert_mem_ne(second, replica_identity(ken->replica)->incarnation, sizeof second);
    saves_pseudonym(ken, &cases, &person, "P-third");
    test_node_exchange(ken, hq);
    check_equal(ken, hq);
}
END_TEST

/* Nothing was written in the incarnation that the anchor file names: that it is another one says enough. */
START_TEST(i13_databases_from_before_an_incarnation_that_wrote_nothing_are_noticed)
{
    struct ident person = saves_person(ken, &cases, "a name");
    uint8_t first[8];

    test_node_exchange(ken, hq);
    keep_image(ken);
    memcpy(first, replica_identity(ken->replica)->incarnation, sizeof first);
    saves_pseudonym(ken, &cases, &person, "P-lost");
    test_node_exchange(ken, hq);
    set_back(ken);
    test_node_give(hq, ken, false);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    ck_assert_mem_ne(first, replica_identity(ken->replica)->incarnation, sizeof first);
    set_databases_back(ken, false);
    ck_assert_mem_ne(first, replica_identity(ken->replica)->incarnation, sizeof first);
    saves_pseudonym(ken, &cases, &person, "P-after");
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 2);
    test_node_tend(hq);
    ck_assert_uint_eq(roster_fork_count(replica_roster(hq->replica)), 0);
    check_equal(ken, hq);
}
END_TEST

/* What an incarnation before wrote, a peer gave back; the databases lose it again. */
START_TEST(i13_databases_that_lack_what_an_incarnation_before_wrote_are_noticed)
{
    struct ident person = saves_person(ken, &cases, "a name");
    uint8_t second[8];

    test_node_exchange(ken, hq);
    keep_image(ken);
    saves_pseudonym(ken, &cases, &person, "P-lost");
    test_node_exchange(ken, hq);
    set_back(ken);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    test_node_give(hq, ken, false);
    ck_assert_int_eq(replica_anchor(ken->replica), ERR_OK);
    memcpy(second, replica_identity(ken->replica)->incarnation, sizeof second);
    set_databases_back(ken, true);
    ck_assert(!saves_has_pseudonym(ken, &cases, &person, "P-lost"));
    ck_assert_mem_ne(second, replica_identity(ken->replica)->incarnation, sizeof second);
}
END_TEST

START_TEST(u9_a_fork_is_merged_as_concurrent_proved_to_all_and_left_by_its_owner)
{
    struct ident person = saves_person(ken, &cases, "a name");
    uint8_t incarnation[8];

    test_node_exchange(ken, hq);
    test_node_exchange(ken, late);
    keep_image(ken);
    saves_pseudonym(ken, &cases, &person, "P-one");
    test_node_exchange(ken, hq);
    set_back(ken);
    memcpy(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
    saves_pseudonym(ken, &cases, &person, "P-other");
    test_node_exchange(ken, late);
    /* They meet: both branches count, everywhere alike. */
    for (int round = 0; round < 3; round++) {
        test_node_exchange(hq, late);
        hq->world.steady_ms += 120000;
        late->world.steady_ms += 120000;
        test_node_tend(hq);
        test_node_tend(late);
    }
    test_node_exchange(hq, late);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 2);
    ck_assert_uint_eq(saves_pseudonym_count(late, &cases, &person), 2);
    check_equal(hq, late);
    ck_assert_uint_eq(roster_fork_count(replica_roster(hq->replica)), 1);
    ck_assert_uint_eq(roster_fork_count(replica_roster(late->replica)), 1);
    const struct roster_fork *fork = roster_fork_at(replica_roster(hq->replica), 0);
    ck_assert(hash_equal(&fork->device_id, &ken->identity.device_id));
    /* Its honest owner goes on in another log. */
    test_node_give(hq, ken, false);
    ck_assert_mem_ne(incarnation, replica_identity(ken->replica)->incarnation, sizeof incarnation);
    test_node_exchange(ken, hq);
    check_equal(ken, hq);

    /* A revocation names the honest branch: the other one is held. */
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf cuts = { 0 };
    struct buf revocation = { 0 };
    struct statement_cut cut = { fork->log_id, fork->first, fork->branch[0] };
    memcpy(statement.revoke.key, ken->identity.sign.public_key, SIGN_PK_BYTES);
    statement_put_cut(&cuts, &cut);
    statement.revoke.cuts = statement_list_of(&cuts, 1);
    (void)test_organisation_sign(&org, &statement, "office-KEN", &revocation);
    test_node_state(hq, buf_span(&revocation));
    test_node_state(late, buf_span(&revocation));
    test_node_exchange(hq, late);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 1);
    ck_assert_uint_eq(saves_pseudonym_count(late, &cases, &person), 1);
    ck_assert_int_eq(saves_has_pseudonym(hq, &cases, &person, "P-one"),
                     saves_has_pseudonym(late, &cases, &person, "P-one"));
    check_equal(hq, late);
    buf_free(&cuts);
    buf_free(&revocation);
}
END_TEST

SUITE_MAIN_WITH(
    "revoke", setup, teardown, u7_what_is_signed_beyond_a_cut_is_held_when_the_revocation_comes_first,
    u7_what_is_signed_beyond_a_cut_is_held_when_the_revocation_comes_last,
    u7_what_is_signed_beyond_a_cut_is_held_when_the_revocation_comes_between,
    u8_a_back_dated_entry_does_not_come_before_the_cut, a_cut_behind_known_heads_makes_the_records_anew,
    what_comes_in_one_turn_with_the_cut_before_it_is_not_counted, an_extension_admits_what_was_held,
    a_log_that_no_cut_names_counts_for_nothing,
    a_cut_whose_entry_has_not_come_lets_nothing_pass_until_it_does,
    of_several_revocations_every_one_must_let_pass, of_several_revocations_every_cut_arrives_everywhere,
    of_what_lies_beyond_a_cut_no_more_than_a_quota_is_kept,
    what_leads_to_a_cut_has_room_before_the_cut_has_come,
    a_record_begun_beyond_the_cut_keeps_what_others_wrote_in_it,
    a_record_whose_key_fell_behind_a_cut_and_in_which_others_wrote_gets_its_key_again,
    who_writes_in_a_record_whose_key_fell_behind_a_cut_and_brings_no_key_leaves_nobody_waiting,
    after_a_revocation_others_write_under_an_epoch_that_the_device_cannot_open,
    a_new_machine_of_an_office_that_has_no_other_reads_what_the_dead_one_wrote,
    an_epoch_ends_after_ninety_days_and_by_hand, a_date_closes_sessions_and_nothing_else,
    i13_what_a_crash_kept_out_of_the_anchor_is_in_it_before_it_is_told,
    i13_a_lost_tail_is_taken_back_and_never_signed_anew, i13_a_crash_before_the_first_anchor_is_no_set_back,
    i13_a_log_of_a_later_incarnation_tells_that_the_disk_was_set_back,
    i13_databases_from_before_an_incarnation_that_wrote_nothing_are_noticed,
    i13_databases_that_lack_what_an_incarnation_before_wrote_are_noticed,
    u9_a_fork_is_merged_as_concurrent_proved_to_all_and_left_by_its_owner)
