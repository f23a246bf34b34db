/* The replica: what goes in by the one door, comes out whole, and survives. */

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/keys.h"
#include "sync/replica_state.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARKER "zebra-quartz-marker"

static struct test_organisation org;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 11);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

/* --- looking --- */

static const struct record_target *
find_target(const struct record_view *view, uint32_t field)
{
    for (size_t n = 0; view != NULL && n < view->target_count; n++) {
        if (view->targets[n].target.collection == 0 && view->targets[n].target.field == field) {
            return &view->targets[n];
        }
    }
    return NULL;
}

static size_t
value_count(struct test_node *node, const struct ident *compartment, const struct ident *record,
            uint32_t field)
{
    struct arena arena = { 0 };
    struct replica_view view;
    size_t count = 0;

    if (replica_read(node->replica, compartment, record, &arena, &view) == ERR_OK) {
        const struct record_target *target = find_target(view.open, field);

        count = target == NULL ? 0 : target->value_count;
    }
    arena_free(&arena);
    return count;
}

/* What it says of itself with its digest. */
static uint8_t
flags_of(struct test_node *node, const struct ident *compartment)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);

    return store->flags(store->self, compartment);
}

/* True if a file below the directory of `node` holds these bytes. */
static bool
directory_holds(const struct test_node *node, const char *text)
{
    char command[300];

    (void)snprintf(command, sizeof command, "grep -rqaF '%s' %s", text, node->directory);
    return system(command) == 0;
}

/* --- tests --- */

START_TEST(a_lone_node_saves_and_reads_both_halves)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct arena arena = { 0 };
    struct replica_view view;

    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, MARKER);
    test_node_close(ken);
    test_node_open(ken);
    ck_assert_int_eq(replica_read(ken->replica, &cases, &person, &arena, &view), ERR_OK);
    ck_assert(!view.withheld);
    ck_assert_ptr_nonnull(view.protected_half);
    ck_assert_uint_eq(view.open->target_count, 2);
    ck_assert_uint_eq(view.protected_half->target_count, 1);
    ck_assert_uint_eq(view.open->conflict_count + view.protected_half->conflict_count, 0);
    ck_assert(!directory_holds(ken, MARKER));
    arena_free(&arena);
}
END_TEST

START_TEST(two_nodes_that_exchange_hold_the_same)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);

    test_node_join(&org, ken);
    test_node_join(&org, hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, hq);
    for (int own = 0; own < OWN_COUNT; own++) {
        struct ident compartment = test_compartment(ken, "KEN", own);

        ck_assert_mem_eq(saves_digest(ken, &compartment), saves_digest(hq, &compartment), DIGEST_BYTES);
    }
    ck_assert_mem_eq(saves_digest(ken, roster_control(replica_roster(ken->replica))),
                     saves_digest(hq, roster_control(replica_roster(hq->replica))), DIGEST_BYTES);
    const struct codebook_field *pseudonym = codebook_field_by_name(
        codebook_reprisals(), codebook_kind_by_name(codebook_reprisals(), "person")->number, "pseudonym");
    ck_assert_uint_eq(value_count(hq, &cases, &person, pseudonym->number), 1);

    /* Both edit one field, apart: both see both values. */
    saves_begin(ken);
    ck_assert_int_eq(saves_change(ken, &cases, &person, saves_set("person", "pseudonym", "P-KEN")), ERR_OK);
    saves_commit(ken);
    saves_begin(hq);
    ck_assert_int_eq(saves_change(hq, &cases, &person, saves_set("person", "pseudonym", "P-HQ")), ERR_OK);
    saves_commit(hq);
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(value_count(hq, &cases, &person, pseudonym->number), 2);
    ck_assert_uint_eq(value_count(ken, &cases, &person, pseudonym->number), 2);

    /* Nobody overwrites a conflict unseen; whoever saw both closes it everywhere. */
    struct save_op op = saves_set("person", "pseudonym", "P-BOTH");
    saves_begin(hq);
    ck_assert_int_eq(saves_change(hq, &cases, &person, op), ERR_CONFLICT);
    op.resolve = true;
    ck_assert_int_eq(saves_change(hq, &cases, &person, op), ERR_OK);
    saves_commit(hq);
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(value_count(ken, &cases, &person, pseudonym->number), 1);
}
END_TEST

START_TEST(u12_no_clock_decides_a_conflict)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);

    test_node_join(&org, ken);
    test_node_join(&org, hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, hq);
    /* Both offline, and one of them ten years ahead. */
    hq->world.wall_ms += UINT64_C(3650) * 24 * 3600 * 1000;
    saves_pseudonym(ken, &cases, &person, "P-of-today");
    saves_pseudonym(hq, &cases, &person, "P-of-2035");
    test_node_exchange(ken, hq);
    for (int n = 0; n < 2; n++) {
        struct test_node *node = n == 0 ? ken : hq;

        ck_assert_uint_eq(saves_pseudonym_count(node, &cases, &person), 2);
        ck_assert(saves_has_pseudonym(node, &cases, &person, "P-of-today"));
        ck_assert(saves_has_pseudonym(node, &cases, &person, "P-of-2035"));
    }
    /* And it wins nothing for ever: whoever sees both has the last word, whatever their clock says. */
    saves_pseudonym(ken, &cases, &person, "P-settled");
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 1);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-settled"));
}
END_TEST

START_TEST(two_saves_of_one_turn_follow_each_other)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    const struct codebook_field *pseudonym = codebook_field_by_name(
        codebook_reprisals(), codebook_kind_by_name(codebook_reprisals(), "person")->number, "pseudonym");

    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    saves_begin(ken);
    ck_assert_int_eq(saves_change(ken, &cases, &person, saves_set("person", "pseudonym", "P-2")), ERR_OK);
    ck_assert_int_eq(saves_change(ken, &cases, &person, saves_set("person", "pseudonym", "P-3")), ERR_OK);
    saves_commit(ken);
    ck_assert_uint_eq(value_count(ken, &cases, &person, pseudonym->number), 1);
}
END_TEST

/* Lanes backwards: data before the keys that open it. */
START_TEST(data_that_comes_before_its_key_is_taken_up_when_that_comes)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    struct ident people[20];

    test_node_join(&org, ken);
    test_node_join(&org, hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    for (int n = 0; n < 20; n++) {
        people[n] = saves_person(ken, &cases, "a name");
    }
    /* One turn for each lane, the last first. */
    for (int lane = LANE_COUNT - 1; lane >= 0; lane--) {
        saves_begin(hq);
        test_node_give_lane(ken, hq, &cases, lane);
        saves_commit(hq);
        if (lane == LANE_NORMAL) {
            ck_assert_uint_eq(journal_pending_count(replica_journal(hq->replica), &cases), 20);
            ck_assert_uint_eq(flags_of(hq, &cases), DIGEST_WORKING);
        }
    }
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(journal_pending_count(replica_journal(hq->replica), &cases), 0);
    ck_assert_uint_eq(flags_of(hq, &cases), 0);
    for (int n = 0; n < 20; n++) {
        ck_assert_uint_eq(value_count(hq, &cases, &people[n], FIELD_KIND), 1);
    }
}
END_TEST

static void
shell(const char *format, const struct test_node *node)
{
    char command[600];

    (void)snprintf(command, sizeof command, format, node->directory, node->directory);
    ck_assert_int_eq(system(command), 0);
}

struct counted {
    size_t records;
    size_t payloads;
};

static void
count_record(void *self, const struct ident *compartment, const struct record_key *key)
{
    struct counted *counted = self;

    (void)compartment;
    (void)key;
    counted->records++;
}

static void
count_payload(void *self, uint32_t log_no, uint64_t seq)
{
    struct counted *counted = self;

    (void)log_no;
    (void)seq;
    counted->payloads++;
}

static void
two_nodes(struct test_node **ken_out, struct test_node **hq_out)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    *ken_out = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    *hq_out = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, *ken_out);
    test_node_join(&org, *hq_out);
}

/* What its keys/ holds, at the beginning of a turn. */
static struct counted
count_keys(struct test_node *node)
{
    struct counted counted = { 0, 0 };

    saves_begin(node);
    keys_each_record(node->replica->keys_txn, count_record, &counted);
    keys_each_payload(node->replica->keys_txn, count_payload, &counted);
    saves_commit(node);
    return counted;
}

/* A power cut between the two commits of a turn: its keys are on the disk, its entries are not. */
START_TEST(keys_whose_turn_main_has_lost_open_nothing)
{
    struct test_node *ken;
    struct test_node *hq;

    two_nodes(&ken, &hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident before = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, hq);
    struct ident after = saves_person(ken, &cases, "another name");

    struct counted known = count_keys(hq);
    shell("cp '%s/main/data.mdb' '%s/lost'", hq);
    saves_begin(hq);
    for (int lane = 0; lane < LANE_NORMAL; lane++) {
        test_node_give_lane(ken, hq, &cases, lane);
    }
    saves_commit(hq);
    struct counted more = count_keys(hq);
    ck_assert_uint_eq(more.records, known.records + 1);
    ck_assert_uint_eq(more.payloads, known.payloads + 1);
    test_node_close(hq);
    shell("mv '%s/lost' '%s/main/data.mdb'", hq);
    test_node_open(hq);

    struct counted swept = count_keys(hq);
    ck_assert_uint_eq(swept.records, known.records);
    ck_assert_uint_eq(swept.payloads, known.payloads);
    ck_assert_uint_eq(value_count(hq, &cases, &before, FIELD_KIND), 1);

    saves_begin(hq);
    test_node_give_lane(ken, hq, &cases, LANE_NORMAL);
    saves_commit(hq);
    ck_assert_uint_eq(journal_pending_count(replica_journal(hq->replica), &cases), 1);
    ck_assert_uint_eq(value_count(hq, &cases, &after, FIELD_KIND), 0);
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(journal_pending_count(replica_journal(hq->replica), &cases), 0);
    ck_assert_uint_eq(value_count(hq, &cases, &after, FIELD_KIND), 1);
    (void)test_node_prove(hq, NULL);
}
END_TEST

/* Two entries bring the key of one record, and the one that is remembered is lost: the other is. */
START_TEST(a_key_that_another_entry_brings_stays_when_the_turn_of_the_first_is_lost)
{
    struct test_node *ken;
    struct test_node *hq;
    struct record_key key;

    two_nodes(&ken, &hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, hq);

    saves_begin(hq);
    ck_assert_int_eq(keys_get_record(hq->replica->keys_txn, &cases, &person, &key), ERR_OK);
    struct record_key lost = key;
    lost.seq += 100;
    keys_move_record(hq->replica->keys_txn, &cases, &lost);
    saves_commit(hq);
    /* As a replica of a time when no mark was kept. */
    saves_begin(hq);
    (void)table_delete(hq->replica->main_txn, TABLE_META, span_text("keys-mark"));
    saves_commit(hq);
    test_node_close(hq);
    test_node_open(hq);

    saves_begin(hq);
    ck_assert_int_eq(keys_get_record(hq->replica->keys_txn, &cases, &person, &key), ERR_OK);
    ck_assert_uint_eq(key.seq, lost.seq - 100);
    saves_commit(hq);
    ck_assert_uint_eq(value_count(hq, &cases, &person, FIELD_KIND), 1);
    crypto_wipe(&key, sizeof key);
    crypto_wipe(&lost, sizeof lost);
}
END_TEST

/* An entry whose row is gone is not one whose turn was lost: it may be that nobody else has its key. */
START_TEST(the_key_of_an_entry_that_is_damaged_stays)
{
    struct test_node *ken;
    struct test_node *hq;
    struct record_key key;
    uint8_t row_key[4 + 8];

    two_nodes(&ken, &hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    struct counted before = count_keys(ken);

    saves_begin(ken);
    ck_assert_int_eq(keys_get_record(ken->replica->keys_txn, &cases, &person, &key), ERR_OK);
    bytes_write_u32(row_key, key.log_no);
    bytes_write_u64(row_key + 4, key.seq);
    ck_assert(table_delete(ken->replica->main_txn, TABLE_ENT, span_of(row_key, sizeof row_key)));
    ck_assert(table_delete(ken->replica->main_txn, TABLE_META, span_text("keys-mark")));
    saves_commit(ken);
    test_node_close(ken);
    test_node_open(ken);

    struct counted after = count_keys(ken);
    ck_assert_uint_eq(after.records, before.records);
    ck_assert_uint_eq(after.payloads, before.payloads);
    ck_assert_uint_eq(value_count(ken, &cases, &person, FIELD_KIND), 1);
    crypto_wipe(&key, sizeof key);
}
END_TEST

START_TEST(the_key_of_an_epoch_that_is_not_stated_here_opens_nothing)
{
    struct test_node *ken;
    struct test_node *hq;

    two_nodes(&ken, &hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    struct hash epoch = { { 7 } };
    struct key key = { { 8 } };

    saves_begin(ken);
    keys_put_epoch(ken->replica->keys_txn, &cases, &epoch, &key);
    saves_commit(ken);
    test_node_close(ken);
    test_node_open(ken);
    ck_assert_ptr_null(keyring_get(ken->replica->keyring, &cases, &epoch));
    ck_assert_uint_eq(value_count(ken, &cases, &person, FIELD_KIND), 1);
}
END_TEST

START_TEST(a_carrier_passes_on_what_it_cannot_read)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    test_organisation_office(&org, "RLY", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    struct test_node *relay = test_organisation_enrol(&org, "RLY", LEVEL_CARRY, NULL, 0);

    test_node_join(&org, ken);
    test_node_join(&org, hq);
    test_node_join(&org, relay);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, MARKER);
    test_node_exchange(ken, relay);
    test_node_exchange(relay, hq);
    test_node_exchange(ken, relay);
    test_node_exchange(relay, hq);
    ck_assert_mem_eq(saves_digest(ken, &cases), saves_digest(hq, &cases), DIGEST_BYTES);
    ck_assert_uint_eq(value_count(hq, &cases, &person, FIELD_KIND), 1);
    ck_assert_uint_eq(value_count(relay, &cases, &person, FIELD_KIND), 0);
    ck_assert(!directory_holds(relay, MARKER));
}
END_TEST

/* `shared` is for all who read anywhere; who only carries gets no key of it, and writes nothing there. */
START_TEST(a_carrier_reads_and_writes_nothing_of_what_is_shared_either)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    test_organisation_office(&org, "RLY", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_WRITE, NULL, 0);
    struct test_node *relay = test_organisation_enrol(&org, "RLY", LEVEL_CARRY, NULL, 0);
    const struct save_op ops[] = { saves_kind("good_practice"), saves_set("good_practice", "title", MARKER) };
    struct saved saved;
    size_t at;

    test_node_join(&org, ken);
    test_node_join(&org, hq);
    test_node_join(&org, relay);
    const struct ident shared = *roster_shared_id(replica_roster(ken->replica));
    for (int n = 0; n < 2; n++) {
        test_node_exchange(ken, relay);
        test_node_exchange(relay, hq);
    }
    saves_begin(ken);
    struct ident practice = saves_new(ken, &shared, ops, 2);
    saves_commit(ken);
    for (int n = 0; n < 2; n++) {
        test_node_exchange(ken, relay);
        test_node_exchange(relay, hq);
    }
    ck_assert_mem_eq(saves_digest(ken, &shared), saves_digest(relay, &shared), DIGEST_BYTES);
    ck_assert_mem_eq(saves_digest(ken, &shared), saves_digest(hq, &shared), DIGEST_BYTES);
    ck_assert_uint_eq(value_count(hq, &shared, &practice, FIELD_KIND), 1);
    ck_assert_uint_eq(value_count(relay, &shared, &practice, FIELD_KIND), 0);
    ck_assert(!directory_holds(relay, MARKER));
    const struct roster *roster = replica_roster(ken->replica);
    size_t count;
    size_t from = roster_epochs_of(roster, &shared, &count);
    ck_assert_uint_gt(count, 0);
    for (size_t n = 0; n < count; n++) {
        const struct hash *epoch = &roster_epoch_at(roster, from + n)->epoch_id;
        ck_assert(roster_has_box(roster, epoch, &hq->identity.device_id));
        ck_assert(!roster_has_box(roster, epoch, &relay->identity.device_id));
    }
    const struct save save = { .compartment = shared, .create = true, .actor = 1, .ops = ops, .op_count = 2 };
    saves_begin(relay);
    ck_assert_int_eq(replica_save(relay->replica, &save, &saved, &at), ERR_DENIED);
    saves_commit(relay);
    saves_begin(hq);
    ck_assert_int_eq(replica_save(hq->replica, &save, &saved, &at), ERR_OK);
    saves_commit(hq);
}
END_TEST

START_TEST(a_reader_without_the_twin_is_told_what_is_withheld)
{
    struct arena arena = { 0 };
    struct replica_view view;
    struct ceremony_grant grants[OWN_COUNT];
    size_t grant_count;
    ceremony_fault fault = { 0 };

    test_organisation_office(&org, "KEN", false);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=read", grants, &grant_count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "GVA", "Geneva", false, grants, grant_count, &fault),
                     ERR_OK);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *geneva = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, geneva);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, MARKER);
    test_node_exchange(ken, geneva);
    ck_assert_int_eq(replica_read(geneva->replica, &cases, &person, &arena, &view), ERR_OK);
    ck_assert(view.withheld);
    ck_assert_ptr_null(view.protected_half);
    ck_assert_uint_eq(view.open->target_count, 2);
    /* And may not write there: the edit is refused before anything is signed. */
    saves_begin(geneva);
    ck_assert_int_eq(saves_change(geneva, &cases, &person, saves_set("person", "pseudonym", "X")),
                     ERR_DENIED);
    saves_commit(geneva);
    arena_free(&arena);
}
END_TEST

/* --- what urgent saves say in their headers --- */

static enum err
save_urgently(struct test_node *node, const struct ident *compartment, const struct ident *record,
              struct save_op op, struct ident *record_out)
{
    const struct save_op ops[] = { saves_kind("person"), op };
    struct save save = {
        .compartment = *compartment, .urgent = true, .actor = 1, .ops = ops + 1, .op_count = 1
    };
    struct saved saved;
    size_t at;

    if (record == NULL) {
        save.create = true;
        save.ops = ops;
        save.op_count = 2;
    } else {
        save.record_id = *record;
    }
    enum err err = replica_save(node->replica, &save, &saved, &at);
    *record_out = saved.record_id;
    return err;
}

static struct hash
log_of(const struct test_node *author, const struct ident *compartment, uint8_t lane)
{
    struct descriptor descriptor = { .compartment = *compartment, .lane = lane };
    struct hash log_id;

    memcpy(descriptor.sign_pk, author->identity.sign.public_key, SIGN_PK_BYTES);
    memcpy(descriptor.incarnation, author->identity.incarnation, sizeof descriptor.incarnation);
    descriptor_log_id(&descriptor, &log_id);
    return log_id;
}

static size_t
hinted(struct test_node *node, const struct hash *log_id, uint32_t records[8])
{
    const struct gossip_store *store = replica_gossip_store(node->replica);

    return store->hinted(store->self, log_id, 0, UINT64_MAX, records, 8);
}

/* One more than the last seq of the record in a log, as a walk over its whole history finds it: 0: none. */
static uint64_t
end_by_history(struct test_node *node, uint32_t record_no, const struct hash *log_id)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *main_txn = NULL;
    struct table_txn *keys_txn = NULL;
    struct arena arena = { 0 };
    const struct record_place *places;
    size_t count;
    uint64_t end = 0;

    ck_assert_int_eq(replica_borrow(node->replica, &main_txn, &keys_txn), ERR_OK);
    ck_assert_int_eq(record_history(main_txn, record_no, &arena, &places, &count), ERR_OK);
    for (size_t n = 0; n < count; n++) {
        if (hash_equal(&journal_branch(journal, places[n].log_no)->log_id, log_id) &&
            places[n].seq + 1 > end) {
            end = places[n].seq + 1;
        }
    }
    replica_give_back(node->replica, &main_txn, &keys_txn);
    arena_free(&arena);
    return end;
}

/* Where a record ends in each log, held against its history: gives in how many logs it has entries. */
static size_t
expect_ends(struct test_node *node, uint32_t record_no, size_t *entries_out)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);
    struct journal *journal = replica_journal(node->replica);
    struct gossip_end ends[16];
    size_t count = store->ends(store->self, record_no, ends, 16);
    size_t logs = 0;

    *entries_out = 0;
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        logs += end_by_history(node, record_no, &journal_branch(journal, no)->log_id) > 0;
    }
    ck_assert_uint_eq(count, logs);
    for (size_t n = 0; n < count; n++) {
        ck_assert_uint_eq(ends[n].next, end_by_history(node, record_no, &ends[n].log_id));
        *entries_out += ends[n].next;
    }
    ck_assert_uint_eq(store->ends(store->self, record_no, ends, 1), count > 0);
    return count;
}

START_TEST(an_urgent_save_of_an_old_record_has_a_hint_and_readers_know_of_which)
{
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    test_organisation_office(&org, "RLY", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    struct test_node *relay = test_organisation_enrol(&org, "RLY", LEVEL_CARRY, NULL, 0);
    uint32_t at_ken[8];
    uint32_t at_hq[8];
    struct ident made;
    size_t entries;

    test_node_join(&org, ken);
    test_node_join(&org, hq);
    test_node_join(&org, relay);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident protected = test_compartment(ken, "KEN", OWN_PROTECTED);
    (void)saves_person(ken, &cases, "somebody else");
    struct ident person = saves_person(ken, &cases, "a name");
    test_node_exchange(ken, hq);
    saves_pseudonym(hq, &cases, &person, "P-HQ");
    (void)saves_person(ken, &cases, "a third");
    test_node_exchange(ken, hq);
    saves_begin(ken);
    /* A new record has nothing that is older; then two urgent saves of the old one, one of them with a name, which stays behind. */
    ck_assert_int_eq(save_urgently(ken, &cases, NULL, saves_set("person", "pseudonym", "P-NEW"), &made),
                     ERR_OK);
    struct save_op op = saves_set("person", "pseudonym", "P-KEN");
    ck_assert_int_eq(save_urgently(ken, &cases, &person, op, &made), ERR_OK);
    ck_assert_int_eq(save_urgently(ken, &cases, &person, saves_set("person", "name.text", "N"), &made),
                     ERR_OK);
    saves_commit(ken);
    test_node_exchange(ken, hq);
    test_node_exchange(ken, relay);

    struct hash urgent = log_of(ken, &cases, LANE_URGENT);
    ck_assert_uint_eq(hinted(ken, &urgent, at_ken), 1);
    ck_assert_uint_eq(hinted(hq, &urgent, at_hq), 1);
    /* Three saves of KEN's normal log, of which the second is of this record; one of headquarters'; one urgent, and a key. */
    ck_assert_uint_eq(expect_ends(ken, at_ken[0], &entries), 3);
    ck_assert_uint_eq(entries, 2 + 1 + 2);
    ck_assert_uint_eq(expect_ends(hq, at_hq[0], &entries), 3);
    ck_assert_uint_eq(entries, 2 + 1 + 2);
    /* Other lanes and the other half have no hints, and whoever carries knows of no record. */
    struct hash normal = log_of(ken, &cases, LANE_NORMAL);
    struct hash twin = log_of(ken, &protected, LANE_NORMAL);
    struct hash urgent_twin = log_of(ken, &protected, LANE_URGENT);
    ck_assert_uint_eq(hinted(ken, &normal, at_ken), 0);
    ck_assert_uint_eq(hinted(ken, &twin, at_ken), 0);
    ck_assert_uint_eq(hinted(ken, &urgent_twin, at_ken), 0);
    const struct gossip_store *store = replica_gossip_store(relay->replica);
    struct descriptor descriptor;
    ck_assert(store->descriptor(store->self, &urgent, &descriptor));
    ck_assert_uint_eq(hinted(relay, &urgent, at_ken), 0);
    /* Only within what is asked for. */
    store = replica_gossip_store(ken->replica);
    ck_assert_uint_eq(store->hinted(store->self, &urgent, 0, 1, at_ken, 8), 0);
    ck_assert_uint_eq(store->hinted(store->self, &urgent, 1, 2, at_ken, 8), 1);
    ck_assert_uint_eq(store->hinted(store->self, &urgent, 2, 9, at_ken, 8), 0);
}
END_TEST

/* Whose entries do not count moves nothing. */
START_TEST(a_hint_that_does_not_count_pulls_nothing)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf revocation = { 0 };
    uint32_t records[8];
    struct ident made;

    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    test_node_exchange(ken, hq);
    struct ident person = saves_person(hq, &cases, "a name");
    test_node_exchange(ken, hq);
    struct save_op op = saves_set("person", "pseudonym", "P");
    saves_begin(ken);
    ck_assert_int_eq(save_urgently(ken, &cases, &person, op, &made), ERR_OK);
    saves_commit(ken);
    test_node_exchange(ken, hq);
    struct hash urgent = log_of(ken, &cases, LANE_URGENT);
    ck_assert_uint_eq(hinted(hq, &urgent, records), 1);
    memcpy(statement.revoke.key, ken->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = 2;
    (void)test_organisation_sign(&org, &statement, "office-KEN", &revocation);
    test_node_state(hq, buf_span(&revocation));
    ck_assert_uint_eq(hinted(hq, &urgent, records), 0);
    buf_free(&revocation);
}
END_TEST

/* --- what a node says of itself with its digests --- */

/* Serve every log of a compartment from its beginning to its tip, as to a peer that has nothing: the first error. */
static enum err
serve_all(struct test_node *node, const struct ident *compartment)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);
    const struct frontier *frontier = store->frontier(store->self, compartment);
    enum err first = ERR_OK;

    for (size_t n = 0; n < frontier->count; n++) {
        enum err err = ERR_OK;
        for (uint64_t next = 0; err == ERR_OK && next <= frontier->tips[n].seq;) {
            struct buf chunk = { 0 };
            err = store->read_chunk(store->self, &frontier->tips[n], next, false, &chunk, &next);
            buf_free(&chunk);
        }
        first = first == ERR_OK ? err : first;
    }
    return first;
}

/* The first entry of the lane's only log gets a row that holds one byte. */
static void
damage_first_entry(struct test_node *node, const struct ident *compartment, uint8_t lane)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;
    uint8_t key[12] = { 0 };

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);
        if (branch->descriptor.lane == lane && ident_equal(&branch->descriptor.compartment, compartment)) {
            bytes_write_u32(key, no);
        }
    }
    ck_assert_uint_ne(bytes_read_u32(key), LOG_NONE);
    ck_assert_int_eq(table_begin_write(replica_env(node->replica), &txn), ERR_OK);
    ck_assert(table_has(txn, TABLE_ENT, span_of(key, sizeof key)));
    table_put(txn, TABLE_ENT, span_of(key, sizeof key), span_text("x"));
    ck_assert_int_eq(table_commit(&txn), ERR_OK);
}

START_TEST(an_entry_that_cannot_be_read_is_told_and_never_served)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);

    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident protected = test_compartment(ken, "KEN", OWN_PROTECTED);
    (void)saves_person(ken, &cases, "a name");
    ck_assert_int_eq(serve_all(ken, &cases), ERR_OK);
    ck_assert_uint_eq(flags_of(ken, &cases), 0);
    damage_first_entry(ken, &cases, LANE_NORMAL);
    ck_assert_int_eq(serve_all(ken, &cases), ERR_CORRUPT);
    ck_assert_uint_eq(flags_of(ken, &cases), DIGEST_LACKS_ENTRIES);
    ck_assert_int_eq(serve_all(ken, &protected), ERR_OK);
    ck_assert_uint_eq(flags_of(ken, &protected), 0);
}
END_TEST

START_TEST(a_payload_that_is_gone_is_told_and_its_entry_is_not_served_without_it)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct table_env *env = NULL;
    struct table_txn *txn = NULL;
    struct wrap wrap;
    char path[200];

    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    (void)saves_person(ken, &cases, "a name");
    ck_assert_int_eq(serve_all(ken, &cases), ERR_OK);
    test_node_close(ken);
    (void)snprintf(path, sizeof path, "%s/keys", ken->directory);
    ck_assert_int_eq(wrap_read(ken->directory, &ken->storage_key, &wrap), ERR_OK);
    ck_assert_int_eq(table_env_open(&env, &(struct table_options){ .path = path,
                                                                   .set = TABLE_SET_KEYS,
                                                                   .key = &wrap.key,
                                                                   .world = &ken->world.world,
                                                                   .map_bytes = 16 << 20 }),
                     ERR_OK);
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_OK);
    ck_assert_uint_gt(table_count(txn, TABLE_KEYS_PAYLOAD), 0);
    table_clear(txn, TABLE_KEYS_PAYLOAD, span_of(NULL, 0));
    ck_assert_int_eq(table_commit(&txn), ERR_OK);
    table_env_close(&env);
    test_node_open(ken);
    ck_assert_uint_eq(flags_of(ken, &cases), 0); /* nobody has looked yet */
    ck_assert_int_eq(serve_all(ken, &cases), ERR_CORRUPT);
    ck_assert_uint_eq(flags_of(ken, &cases), DIGEST_LACKS_PAYLOADS);
}
END_TEST

static void
queue_rebuild(struct test_node *node, uint32_t record_no)
{
    struct table_txn *txn = NULL;
    uint8_t key[1 + 8 + 4 + 8] = { PEND_REBUILD };

    bytes_write_u64(key + 1, record_no);
    saves_begin(node);
    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    table_put(txn, TABLE_PEND, span_of(key, sizeof key), span_of(NULL, 0));
    replica_end_read(node->replica, &txn);
    saves_commit(node);
}

START_TEST(a_record_that_is_to_be_rebuilt_is_told_until_it_is)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);

    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    (void)saves_person(ken, &cases, "a name");
    ck_assert_uint_eq(flags_of(ken, &cases), 0);
    queue_rebuild(ken, 1);
    ck_assert_uint_eq(flags_of(ken, &cases), DIGEST_WORKING);
    test_node_tend(ken);
    ck_assert_uint_eq(flags_of(ken, &cases), 0);
}
END_TEST

/* The number of the record that the last place names; UINT64_MAX: it names an entry. */
static uint64_t
last_record(struct test_node *node)
{
    struct table_txn *txn = NULL;
    uint32_t log_no;
    uint64_t seq;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    ck_assert_int_eq(journal_at(txn, journal_place_last(replica_journal(node->replica)), &log_no, &seq),
                     ERR_OK);
    replica_end_read(node->replica, &txn);
    return log_no == LOG_NONE ? seq : UINT64_MAX;
}

/* Whoever follows the places hears of it, whether a turn works it off or somebody wants to read it. */
START_TEST(a_record_that_was_rebuilt_has_a_place)
{
    struct replica_view view;
    struct arena arena = { 0 };

    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    struct table_txn *txn = NULL;
    uint32_t record_no;
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert_int_eq(record_find(txn, &cases, &person, &record_no), ERR_OK);
    replica_end_read(ken->replica, &txn);
    ck_assert_uint_eq(last_record(ken), UINT64_MAX);
    queue_rebuild(ken, record_no);
    ck_assert_int_eq(replica_read(ken->replica, &cases, &person, &arena, &view), ERR_OK);
    ck_assert(!replica_is_rebuilding(ken->replica));
    ck_assert_uint_eq(last_record(ken), record_no);
    (void)saves_person(ken, &cases, "another name");
    ck_assert_uint_eq(last_record(ken), UINT64_MAX);
    queue_rebuild(ken, record_no);
    test_node_tend(ken);
    ck_assert_uint_eq(last_record(ken), record_no);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    ck_assert_uint_eq(last_record(ken), 0);
    (void)test_node_prove(ken, NULL);
    arena_free(&arena);
}
END_TEST

/* What waits to be rebuilt has been, once everything was. */
START_TEST(a_rebuild_leaves_nothing_to_be_rebuilt)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);

    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    (void)saves_person(ken, &cases, "a name");
    queue_rebuild(ken, 1);
    ck_assert(replica_is_rebuilding(ken->replica));
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    ck_assert(!replica_is_rebuilding(ken->replica));
}
END_TEST

/* The stamp of a person that is made now. */
static uint64_t
stamp_now(struct test_node *node, const struct ident *compartment)
{
    struct arena arena = { 0 };
    struct replica_view view;
    struct ident person = saves_person(node, compartment, "a name");

    ck_assert_int_eq(replica_read(node->replica, compartment, &person, &arena, &view), ERR_OK);
    uint64_t stamp = view.open->updated_hlc;
    arena_free(&arena);
    return stamp;
}

START_TEST(a_clock_is_followed_that_is_a_little_ahead_and_none_that_is_far)
{
    enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };
    static const uint64_t year_ms = UINT64_C(365) * 24 * HOUR_MS;

    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    test_node_exchange(ken, hq);

    ken->world.wall_ms = hq->world.wall_ms + 59 * MINUTE_MS;
    uint64_t ahead = stamp_now(ken, &cases);
    test_node_exchange(ken, hq);
    ck_assert_uint_gt(stamp_now(hq, &cases), ahead);

    ken->world.wall_ms = hq->world.wall_ms + 5 * year_ms;
    ahead = stamp_now(ken, &cases);
    test_node_exchange(ken, hq);
    uint64_t stamp = stamp_now(hq, &cases);
    ck_assert_uint_lt(stamp, ahead);
    ck_assert_uint_le(stamp >> 16, hq->world.wall_ms + HOUR_MS);
    /* And what it claims is shown as it claims it. */
    ck_assert_uint_ge(ahead >> 16, hq->world.wall_ms + 4 * year_ms);
}
END_TEST

/* Signatures that are kept of a log. */
static size_t
signature_count(struct table_txn *txn, uint32_t log_no)
{
    struct table_cursor cursor;
    struct span key;
    struct span row;
    uint8_t prefix[4];
    size_t count = 0;

    bytes_write_u32(prefix, log_no);
    table_cursor_init(&cursor, txn, TABLE_SIG, span_of(prefix, sizeof prefix));
    while (table_cursor_next(&cursor, &key, &row)) {
        count++;
    }
    table_cursor_end(&cursor);
    return count;
}

/* What a turn writes is signed where a run ends and at the head, and whoever reads in between finds a head that is signed. */
START_TEST(a_turn_signs_every_run_and_its_head)
{
    enum { SAVES = 2 * RUN_ENTRIES_MAX + 20 };
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    struct table_txn *txn = NULL;
    uint8_t signature[SIGNATURE_BYTES];
    uint64_t signed_seq;

    test_node_join(&org, ken);
    test_node_join(&org, hq);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident person = saves_person(ken, &cases, "a name");
    struct journal *journal = replica_journal(ken->replica);
    uint32_t log_no;
    uint64_t seq;

    saves_begin(ken);
    for (int n = 0; n < SAVES; n++) {
        char name[16];

        (void)snprintf(name, sizeof name, "P-%d", n);
        ck_assert_int_eq(saves_change(ken, &cases, &person, saves_set("person", "pseudonym", name)), ERR_OK);
        if (n == SAVES / 2) {
            ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
            ck_assert_int_eq(journal_at(txn, journal_place_last(journal), &log_no, &seq), ERR_OK);
            ck_assert_int_eq(journal_signature_after(journal, txn, log_no, seq, &signed_seq, signature),
                             ERR_OK);
            ck_assert_uint_eq(signed_seq, seq);
            replica_end_read(ken->replica, &txn);
        }
    }
    saves_commit(ken);
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert_int_eq(journal_at(txn, journal_place_last(journal), &log_no, &seq), ERR_OK);
    ck_assert_uint_ge(seq + 1, SAVES);
    ck_assert_uint_eq(signature_count(txn, log_no), seq / RUN_ENTRIES_MAX + 1);
    replica_end_read(ken->replica, &txn);
    (void)test_node_prove(ken, NULL);
    test_node_exchange(ken, hq);
    ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &person), 1);
    ck_assert_mem_eq(saves_digest(ken, &cases), saves_digest(hq, &cases), DIGEST_BYTES);
}
END_TEST

START_TEST(a_rebuild_gives_what_was_there_and_the_proof_finds_nothing)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);

    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    for (int n = 0; n < 50; n++) {
        struct ident person = saves_person(ken, &cases, "a name");

        saves_begin(ken);
        ck_assert_int_eq(saves_change(ken, &cases, &person, saves_set("person", "pseudonym", "Q")), ERR_OK);
        saves_commit(ken);
    }
    struct proof before = test_node_prove(ken, NULL);
    ck_assert_uint_eq(before.checked[PROOF_RECORDS], 100);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    struct proof after = test_node_prove(ken, NULL);
    ck_assert(hash_equal(&before.derived, &after.derived));
    ck_assert(!replica_is_rebuilding(ken->replica));
}
END_TEST

START_TEST(a_turn_that_fails_leaves_nothing_behind)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    uint8_t digest[DIGEST_BYTES];

    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    struct ident first = saves_person(ken, &cases, "a name");
    memcpy(digest, saves_digest(ken, &cases), sizeof digest);
    saves_begin(ken);
    struct save_op ops[] = { saves_kind("person"), saves_set("person", "pseudonym", "P") };
    struct ident lost = saves_new(ken, &cases, ops, 2);
    test_world_fail_disk(&ken->world, 2, ERR_FULL); /* keys/ commits, main/ does not */
    ck_assert_int_eq(replica_commit(ken->replica), ERR_FULL);
    ck_assert_mem_eq(digest, saves_digest(ken, &cases), sizeof digest);
    ck_assert_uint_eq(value_count(ken, &cases, &lost, FIELD_KIND), 0);
    ck_assert_uint_eq(value_count(ken, &cases, &first, FIELD_KIND), 1);
    /* Its key is left in keys/, and nobody else will ever have it: nothing is written under it. */
    saves_begin(ken);
    ck_assert_int_eq(saves_change(ken, &cases, &lost, ops[1]), ERR_ABSENT);
    saves_commit(ken);
    /* And the node goes on. */
    struct ident next = saves_person(ken, &cases, "another name");
    ck_assert_uint_eq(value_count(ken, &cases, &next, FIELD_KIND), 1);
    (void)test_node_prove(ken, NULL);
}
END_TEST

/* A person with a long text that does not compress. */
static enum err
save_long(struct test_node *node, const struct ident *compartment)
{
    enum { BYTES = 10000 };
    uint8_t noise[BYTES];
    char hex[2 * BYTES + 1];
    struct buf value = { 0 };
    struct saved saved;
    size_t op;

    world_random(&node->world.world, noise, sizeof noise);
    bytes_hex(hex, span_of(noise, sizeof noise));
    cbor_put_text(&value, span_text(hex));
    struct save_op ops[] = { saves_kind("person"), saves_set("person", "pseudonym", "P") };
    ops[1].value = buf_span(&value);
    enum err err = replica_save(
        node->replica,
        &(struct save){ .compartment = *compartment, .create = true, .actor = 1, .ops = ops, .op_count = 2 },
        &saved, &op);
    buf_free(&value);
    return err;
}

START_TEST(a_turn_that_did_not_fit_into_the_map_fits_the_next_time)
{
    enum { SAVES = 200 };
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    int refused = 0;
    bool done = false;

    ken->map_bytes = 1 << 20;
    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    while (!done) {
        enum err err = ERR_OK;
        saves_begin(ken);
        for (int n = 0; n < SAVES && err == ERR_OK; n++) {
            err = save_long(ken, &cases);
        }
        ck_assert(err == ERR_OK || err == ERR_FULL);
        err = replica_commit(ken->replica);
        ck_assert(err == ERR_OK || err == ERR_FULL);
        done = err == ERR_OK;
        refused += err == ERR_FULL;
        ck_assert_int_lt(refused, 8);
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_uint_ge(journal_entry_count(replica_journal(ken->replica), &cases), 2 * SAVES);
    (void)test_node_prove(ken, NULL);
}
END_TEST

/* Everything derived has to fit a second time while the first is still there. */
START_TEST(a_rebuild_that_does_not_fit_into_the_map_fits_the_next_time)
{
    test_organisation_office(&org, "KEN", false);
    struct test_node *ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct table_stat before;
    struct table_stat after;

    ken->map_bytes = 4 << 20;
    test_node_join(&org, ken);
    struct ident cases = test_compartment(ken, "KEN", OWN_CASES);
    /* Just so full that no turn would grow it. */
    do {
        (void)saves_person(ken, &cases, "a name");
        table_env_stat(ken->replica->main_env, &before);
    } while (before.file_bytes < before.map_bytes / 100 * 78);
    ck_assert_uint_eq(before.map_bytes, ken->map_bytes);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    table_env_stat(ken->replica->main_env, &after);
    ck_assert_uint_gt(after.map_bytes, before.map_bytes);
    ck_assert(!replica_is_rebuilding(ken->replica));
    (void)test_node_prove(ken, NULL);
}
END_TEST

SUITE_MAIN_WITH(
    "replica", setup, teardown, a_lone_node_saves_and_reads_both_halves,
    two_nodes_that_exchange_hold_the_same, u12_no_clock_decides_a_conflict,
    two_saves_of_one_turn_follow_each_other, data_that_comes_before_its_key_is_taken_up_when_that_comes,
    keys_whose_turn_main_has_lost_open_nothing,
    a_key_that_another_entry_brings_stays_when_the_turn_of_the_first_is_lost,
    the_key_of_an_entry_that_is_damaged_stays, the_key_of_an_epoch_that_is_not_stated_here_opens_nothing,
    a_carrier_passes_on_what_it_cannot_read, a_carrier_reads_and_writes_nothing_of_what_is_shared_either,
    an_urgent_save_of_an_old_record_has_a_hint_and_readers_know_of_which,
    a_hint_that_does_not_count_pulls_nothing, a_reader_without_the_twin_is_told_what_is_withheld,
    an_entry_that_cannot_be_read_is_told_and_never_served,
    a_payload_that_is_gone_is_told_and_its_entry_is_not_served_without_it,
    a_record_that_is_to_be_rebuilt_is_told_until_it_is, a_record_that_was_rebuilt_has_a_place,
    a_rebuild_leaves_nothing_to_be_rebuilt, a_clock_is_followed_that_is_a_little_ahead_and_none_that_is_far,
    a_turn_signs_every_run_and_its_head, a_rebuild_gives_what_was_there_and_the_proof_finds_nothing,
    a_turn_that_fails_leaves_nothing_behind, a_turn_that_did_not_fit_into_the_map_fits_the_next_time,
    a_rebuild_that_does_not_fit_into_the_map_fits_the_next_time)
