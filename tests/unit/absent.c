/* Long payloads that come after their headers: asked for, put in, passed on, erased, found again. */
#include "sync/replica_state.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 24000, CONSENT_WITHDRAWN = 1 };

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct test_node *relay; /* carries what it cannot read */
static struct ident cases;
static struct ident person;
static struct ident other;
static char text[TEXT_BYTES + 1];

/* Letters by chance, which no dictionary knows: the payload is long however it is packed. */
static struct save_op
long_text(void)
{
    uint64_t state = 7;

    for (size_t n = 0; n < TEXT_BYTES; n++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        text[n] = (char)('a' + (state >> 33) % 26);
    }
    return saves_set("person", "note.text", text);
}

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    log_to(silent, NULL);
    test_organisation_init_with(&org, 47, 3, 2);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:all=carry", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "RELAY", "Relay", false, grants, count, &fault), ERR_OK);
    relay = test_organisation_enrol(&org, "RELAY", LEVEL_CARRY, grants, count);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    for (size_t n = 0; n < org.node_count; n++) {
        test_node_join(&org, org.nodes[n]);
    }
    cases = test_compartment(ken, "KEN", OWN_CASES);
    person = saves_person(ken, &cases, "Wanjiru");
    other = saves_person(ken, &cases, "Otieno");
    test_node_exchange(ken, hq);
    test_node_exchange(ken, relay);
    saves_begin(ken);
    ck_assert_int_eq(saves_change(ken, &cases, &person, long_text()), ERR_OK);
    saves_commit(ken);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

/* All logs of the compartment, with such payloads. Gives what became of the last chunk. */
static struct taken
hand_over(struct test_node *from, struct test_node *to, enum chunk_payloads payloads)
{
    const struct gossip_store *source = replica_gossip_store(from->replica);
    const struct gossip_store *sink = replica_gossip_store(to->replica);
    const struct frontier *frontier = source->frontier(source->self, &cases);
    struct taken taken = { .verdict = VERDICT_SEEN };

    saves_begin(to);
    for (size_t n = 0; n < frontier->count; n++) {
        struct gossip_log log = { .log_id = frontier->tips[n].log_id };

        ck_assert(source->descriptor(source->self, &log.log_id, &log.descriptor));
        for (uint64_t seq = 0; seq <= frontier->tips[n].seq;) {
            struct buf chunk = { 0 };
            struct taken one;

            ck_assert_int_eq(
                source->read_chunk(source->self, &frontier->tips[n], seq, payloads, &chunk, &seq), ERR_OK);
            sink->take(sink->self, &from->identity.device_id, &log, buf_span(&chunk), &one);
            taken = one.verdict != VERDICT_SEEN ? one : taken;
            buf_free(&chunk);
        }
    }
    saves_commit(to);
    test_node_tend(to);
    return taken;
}

static struct intake_absent
absent(struct test_node *node, const struct ident *record)
{
    struct intake_absent out;
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    ck_assert_int_eq(replica_absent(node->replica, record, false, &out), ERR_OK);
    replica_end_read(node->replica, &txn);
    return out;
}

static uint8_t
flags(struct test_node *node)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);

    return store->flags(store->self, &cases);
}

/* How many the conversation would ask for. */
static size_t
to_ask(struct test_node *node, bool wanted)
{
    const struct gossip_store *store = replica_gossip_store(node->replica);
    struct absent_cursor cursor = { 0 };
    struct hash log_id;
    uint64_t seq;
    size_t count = 0;

    while (store->absent(store->self, &cases, wanted, &cursor, &log_id, &seq)) {
        count++;
    }
    return count;
}

static void
expect_whole(struct test_node *node)
{
    ck_assert_uint_eq(absent(node, NULL).count, 0);
    ck_assert_uint_eq(to_ask(node, false), 0);
    ck_assert_uint_eq(flags(node), 0);
    ck_assert(saves_has(node, &cases, &person, "note.text", text));
    (void)test_node_prove(node, NULL);
}

START_TEST(the_header_of_a_long_entry_is_kept_and_lacks_its_payload)
{
    ck_assert_int_eq(hand_over(ken, hq, PAYLOADS_SHORT).verdict, VERDICT_TAKEN);
    ck_assert_mem_eq(saves_digest(hq, &cases), saves_digest(ken, &cases), DIGEST_BYTES);
    struct intake_absent here = absent(hq, NULL);
    ck_assert_uint_eq(here.count, 1);
    ck_assert_uint_gt(here.bytes, ENTRY_LONG_BYTES);
    ck_assert_uint_eq(here.wanted, 0);
    ck_assert_uint_eq(absent(hq, &person).count, 1);
    ck_assert_uint_eq(absent(hq, &other).count, 0);
    ck_assert_uint_eq(flags(hq), DIGEST_LACKS_PAYLOADS | DIGEST_WORKING);
    ck_assert(!saves_has(hq, &cases, &person, "note.text", text));
    (void)test_node_prove(hq, NULL);
    /* What follows is merged all the same. */
    saves_pseudonym(ken, &cases, &other, "P-2");
    (void)hand_over(ken, hq, PAYLOADS_SHORT);
    ck_assert(saves_has_pseudonym(hq, &cases, &other, "P-2"));
    test_node_close(hq);
    test_node_open(hq);
    ck_assert_uint_eq(absent(hq, NULL).count, 1);
    ck_assert_uint_eq(flags(hq), DIGEST_LACKS_PAYLOADS | DIGEST_WORKING);
    ck_assert_int_eq(hand_over(ken, hq, PAYLOADS_LONG).verdict, VERDICT_TAKEN);
    expect_whole(hq);
    ck_assert_int_eq(hand_over(ken, hq, PAYLOADS_ALL).verdict, VERDICT_SEEN);
}
END_TEST

START_TEST(somebody_asks_for_the_payloads_of_a_record)
{
    struct intake_absent asked;

    (void)hand_over(ken, hq, PAYLOADS_SHORT);
    ck_assert_uint_eq(to_ask(hq, false), 1);
    ck_assert_uint_eq(to_ask(hq, true), 0);
    saves_begin(hq);
    ck_assert_int_eq(replica_absent(hq->replica, &other, true, &asked), ERR_OK);
    ck_assert_uint_eq(asked.count, 0);
    ck_assert_int_eq(replica_absent(hq->replica, &person, true, &asked), ERR_OK);
    ck_assert_uint_eq(asked.wanted, 1);
    saves_commit(hq);
    ck_assert_uint_eq(to_ask(hq, true), 1);
    ck_assert_uint_eq(to_ask(hq, false), 1);
    ck_assert_uint_eq(absent(hq, NULL).wanted, 1);
    (void)test_node_prove(hq, NULL);
    (void)hand_over(ken, hq, PAYLOADS_LONG);
    expect_whole(hq);
}
END_TEST

/* A relay cannot tell what an entry says; it passes headers on, and payloads once it has them. */
START_TEST(a_relay_passes_on_what_it_has)
{
    (void)hand_over(ken, relay, PAYLOADS_SHORT);
    ck_assert_uint_eq(absent(relay, NULL).count, 1);
    ck_assert_uint_eq(absent(relay, &person).count, 0);
    ck_assert_int_eq(hand_over(relay, hq, PAYLOADS_ALL).verdict, VERDICT_TAKEN);
    ck_assert_uint_eq(absent(hq, NULL).count, 1);
    (void)hand_over(relay, hq, PAYLOADS_LONG);
    ck_assert_uint_eq(absent(hq, NULL).count, 1);
    (void)hand_over(ken, relay, PAYLOADS_LONG);
    ck_assert_uint_eq(absent(relay, NULL).count, 0);
    ck_assert_uint_eq(flags(relay), 0);
    (void)hand_over(relay, hq, PAYLOADS_LONG);
    expect_whole(hq);
    (void)test_node_prove(relay, NULL);
}
END_TEST

/* Of a short entry nobody sends the header alone but who took the payload out. */
START_TEST(a_short_entry_without_its_payload_is_refused)
{
    saves_pseudonym(ken, &cases, &other, "P-3");
    struct taken taken = hand_over(ken, hq, PAYLOADS_LONG);
    ck_assert_int_eq(taken.verdict, VERDICT_LATER);
    ck_assert_int_eq(taken.later, LATER_PAYLOAD);
    (void)hand_over(ken, hq, PAYLOADS_ALL);
    expect_whole(hq);
}
END_TEST

START_TEST(what_is_derived_is_made_anew_without_the_payload_and_with_it)
{
    (void)hand_over(ken, hq, PAYLOADS_SHORT);
    ck_assert_int_eq(replica_rebuild(hq->replica, NULL, NULL), ERR_OK);
    ck_assert_uint_eq(absent(hq, NULL).count, 1);
    ck_assert_uint_eq(to_ask(hq, false), 1);
    (void)test_node_prove(hq, NULL);
    (void)hand_over(ken, hq, PAYLOADS_LONG);
    expect_whole(hq);
    ck_assert_int_eq(replica_rebuild(hq->replica, NULL, NULL), ERR_OK);
    expect_whole(hq);
}
END_TEST

/* Copies of long payloads that somebody kept. */
static struct late {
    struct gossip_log log;
    struct buf chunk;
} late[8];
static size_t late_count;

static void
keep_late(struct test_node *from)
{
    const struct gossip_store *source = replica_gossip_store(from->replica);
    const struct frontier *frontier = source->frontier(source->self, &cases);

    late_count = 0;
    for (size_t n = 0; n < frontier->count; n++) {
        struct gossip_log log = { .log_id = frontier->tips[n].log_id };

        ck_assert(source->descriptor(source->self, &log.log_id, &log.descriptor));
        for (uint64_t seq = 0; log.descriptor.lane == LANE_NORMAL && seq <= frontier->tips[n].seq;
             late_count++) {
            ck_assert_uint_lt(late_count, sizeof late / sizeof late[0]);
            late[late_count].log = log;
            ck_assert_int_eq(source->read_chunk(source->self, &frontier->tips[n], seq, PAYLOADS_LONG,
                                                &late[late_count].chunk, &seq),
                             ERR_OK);
        }
    }
    ck_assert_uint_gt(late_count, 0);
}

/* It brings nothing. */
static void
give_late(struct test_node *to, const struct late *copy)
{
    const struct gossip_store *sink = replica_gossip_store(to->replica);
    struct taken taken;

    saves_begin(to);
    sink->take(sink->self, &ken->identity.device_id, &copy->log, buf_span(&copy->chunk), &taken);
    saves_commit(to);
    ck_assert_int_eq(taken.verdict, VERDICT_SEEN);
}

/* An order that comes before the payload: the header stays, nothing is asked for, and a late copy is refused. */
START_TEST(an_erasure_reaches_what_has_yet_to_come)
{
    struct replica_order order;

    (void)hand_over(ken, hq, PAYLOADS_SHORT);
    (void)hand_over(ken, relay, PAYLOADS_SHORT);
    keep_late(ken);
    saves_begin(ken);
    ck_assert_int_eq(replica_order_erasure(ken->replica, &cases, &person, CONSENT_WITHDRAWN, 1, &order),
                     ERR_OK);
    saves_commit(ken);
    test_node_exchange(ken, hq);
    saves_begin(hq);
    ck_assert_int_eq(replica_order_erasure(hq->replica, &cases, &person, CONSENT_WITHDRAWN, 1, &order),
                     ERR_OK);
    saves_commit(hq);
    test_node_tend(hq);
    test_node_exchange(hq, relay);
    test_node_exchange(hq, ken);
    for (size_t n = 0; n < late_count; n++) {
        give_late(hq, &late[n]);
        give_late(relay, &late[n]);
    }
    ck_assert_uint_eq(absent(hq, NULL).count, 0);
    ck_assert_uint_eq(absent(relay, NULL).count, 0);
    ck_assert_uint_eq(to_ask(relay, false), 0);
    ck_assert_uint_eq(flags(relay) & DIGEST_LACKS_PAYLOADS, 0);
    (void)test_node_prove(hq, NULL);
    (void)test_node_prove(relay, NULL);
    for (size_t n = 0; n < late_count; n++) {
        buf_free(&late[n].chunk);
    }
}
END_TEST

SUITE_MAIN_WITH("long payloads that come later", setup, teardown,
                the_header_of_a_long_entry_is_kept_and_lacks_its_payload,
                somebody_asks_for_the_payloads_of_a_record, a_relay_passes_on_what_it_has,
                a_short_entry_without_its_payload_is_refused,
                what_is_derived_is_made_anew_without_the_payload_and_with_it,
                an_erasure_reaches_what_has_yet_to_come)
