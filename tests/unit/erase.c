/* Erasure on real replicas: what an order names is gone, on whoever held it, and does not come back. */

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/keys.h"
#include "store/proof.h"
#include "sync/keyring.h"
#include "sync/replica_state.h"
#include "sync/update.h"
#include "tests/support/check.h"
#include "tests/support/marker.h"
#include "tests/support/saves.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLACES_MAX = 64, CONSENT_WITHDRAWN = 1 };

static struct test_organisation org;
static struct test_node *ken;   /* the office whose person it is */
static struct test_node *hq;    /* reads everything, and gives the second signature */
static struct test_node *relay; /* carries what it cannot read */
static struct test_node *gva;   /* reads the case half alone */
static struct ident cases;
static struct ident twin;
static struct ident person;
static struct ident bystander; /* another person, who stays */

static void
silent(void *self, const char *line)
{
    (void)self;
    (void)line;
}

/* --- what there is to erase --- */

/* Everything of the record that a thief may have copied before. */
struct traces {
    struct erase_keys_of_record {
        struct ident compartment;
        struct key record;
        struct key erase;
    } halves[2];
    struct trace {
        struct descriptor descriptor;
        struct entry entry; /* its payload is `sealed` */
        uint8_t sealed[4096];
    } places[PLACES_MAX];
    size_t place_count;
};

static struct traces traces;

static void
note_half(struct test_node *node, size_t half, const struct ident *compartment)
{
    struct table_txn *txn = NULL;
    struct record_key record;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    ck_assert_int_eq(keys_get_record(node->replica->keys_txn, compartment, &person, &record), ERR_OK);
    replica_end_read(node->replica, &txn);
    traces.halves[half].compartment = *compartment;
    traces.halves[half].record = record.key;
    record_key_erase(&traces.halves[half].erase, &record.key);
}

static bool
is_of_person(const struct log_branch *branch, const struct entry *entry)
{
    for (size_t n = 0; n < 2; n++) {
        if (ident_equal(&branch->descriptor.compartment, &traces.halves[n].compartment) &&
            entry_is_member(entry, &branch->log_id, &traces.halves[n].erase)) {
            return true;
        }
    }
    return false;
}

/* Note keys and entries of the person as this node, which can read all of it, holds them. */
static void
note_traces(struct test_node *node)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;

    traces.place_count = 0;
    note_half(node, 0, &cases);
    note_half(node, 1, &twin);
    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            struct journal_entry stored;
            struct span payload;

            ck_assert_int_eq(journal_read(journal, txn, no, seq, &stored), ERR_OK);
            if (!is_of_person(branch, &stored.entry)) {
                continue;
            }
            payload = stored.entry.payload;
            if (stored.entry.kind == ENTRY_KEY) {
                ck_assert_int_eq(keys_get_payload(node->replica->keys_txn, no, seq, &payload), ERR_OK);
            }
            struct trace *trace = &traces.places[traces.place_count++];
            ck_assert_uint_le(traces.place_count, PLACES_MAX);
            ck_assert_uint_le(payload.size, sizeof trace->sealed);
            trace->descriptor = branch->descriptor;
            trace->entry = stored.entry;
            memcpy(trace->sealed, payload.data, payload.size);
            trace->entry.payload = span_of(trace->sealed, payload.size);
        }
    }
    replica_end_read(node->replica, &txn);
    ck_assert_uint_ge(traces.place_count, 4); /* two key entries, two of data */
}

/* How many entries of the person are here, and how many of these are erased. */
struct held {
    size_t all;
    size_t erased;
    size_t by_order;
};

static struct held
held_by(struct test_node *node, const struct ident *order)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;
    struct held held = { 0 };

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            struct journal_entry stored;
            struct span payload;

            if (journal_read(journal, txn, no, seq, &stored) != ERR_OK) {
                continue;
            }
            bool of_person = is_of_person(branch, &stored.entry);
            ck_assert(of_person || stored.state != STATE_ERASED);
            if (!of_person) {
                continue;
            }
            held.all++;
            held.erased += stored.state == STATE_ERASED;
            held.by_order += order != NULL && ident_equal(&stored.order, order);
            if (stored.state == STATE_ERASED) {
                ck_assert_ptr_null(stored.entry.payload.data);
                ck_assert_int_eq(keys_get_payload(node->replica->keys_txn, no, seq, &payload), ERR_ABSENT);
            }
        }
    }
    replica_end_read(node->replica, &txn);
    return held;
}

/* --- the scene --- */

static void
make_scene(uint32_t roots, uint32_t needed)
{
    struct ceremony_grant grants[OWN_COUNT];
    size_t count;
    ceremony_fault fault = { 0 };

    log_to(silent, NULL);
    test_organisation_init_with(&org, 31, roots, needed);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:all=carry", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "RELAY", "Relay", false, grants, count, &fault), ERR_OK);
    relay = test_organisation_enrol(&org, "RELAY", LEVEL_CARRY, grants, count);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=read", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "GVA", "Geneva", false, grants, count, &fault), ERR_OK);
    gva = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    for (size_t n = 0; n < org.node_count; n++) {
        test_node_join(&org, org.nodes[n]);
    }
    cases = test_compartment(ken, "KEN", OWN_CASES);
    twin = test_compartment(ken, "KEN", OWN_PROTECTED);
    person = saves_person(ken, &cases, "Wanjiru the erased");
    bystander = saves_person(ken, &cases, "Otieno who stays");
    saves_pseudonym(ken, &cases, &person, "P-18");
    test_node_exchange(ken, hq);
    test_node_exchange(ken, relay);
    test_node_exchange(ken, gva);
    saves_pseudonym(hq, &cases, &person, "P-19");
    test_node_exchange(hq, ken);
    test_node_exchange(hq, relay);
    test_node_exchange(hq, gva);
    note_traces(ken);
}

static void
setup(void)
{
    make_scene(3, 2);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

/* --- orders --- */

static enum err
try_order(struct test_node *node, struct replica_order *out)
{
    saves_begin(node);
    enum err err = replica_order_erasure(node->replica, &cases, &person, CONSENT_WITHDRAWN, 1, out);
    saves_commit(node);
    test_node_tend(node);
    return err;
}

static struct ident
order(struct test_node *node)
{
    struct replica_order out;

    ck_assert_int_eq(try_order(node, &out), ERR_OK);
    return out.order;
}

static void
compact(struct test_node *node)
{
    if (replica_compact_is_due(node->replica)) {
        ck_assert_int_eq(replica_compact(node->replica), ERR_OK);
    }
    test_node_tend(node);
    ck_assert(!replica_compact_is_due(node->replica));
}

/* Both signatures, and everybody hears of it. */
static struct ident
order_and_tell(void)
{
    struct ident id = order(ken);

    test_node_exchange(ken, hq);
    struct ident again = order(hq);
    ck_assert(ident_equal(&id, &again));
    test_node_exchange(hq, ken);
    test_node_exchange(hq, relay);
    test_node_exchange(hq, gva);
    for (size_t n = 0; n < org.node_count; n++) {
        compact(org.nodes[n]);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < org.node_count; n++) {
            if (org.nodes[n] != hq) {
                test_node_exchange(hq, org.nodes[n]);
            }
        }
    }
    return id;
}

/* --- looking --- */

static enum err
read_person(struct test_node *node, struct arena *arena, struct replica_view *view)
{
    return replica_read(node->replica, &cases, &person, arena, view);
}

/* Nothing derived of the person is here, nor a key; the bystander is as before. */
static void
expect_gone(struct test_node *node)
{
    struct table_txn *txn = NULL;
    struct record_key key;
    uint32_t record_no;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    ck_assert_int_eq(record_find(txn, &cases, &person, &record_no), ERR_ABSENT);
    ck_assert_int_eq(record_find(txn, &twin, &person, &record_no), ERR_ABSENT);
    ck_assert_int_eq(keys_get_record(node->replica->keys_txn, &cases, &person, &key), ERR_ABSENT);
    ck_assert_int_eq(keys_get_record(node->replica->keys_txn, &twin, &person, &key), ERR_ABSENT);
    replica_end_read(node->replica, &txn);
    if (node != relay) {
        ck_assert_uint_eq(saves_pseudonym_count(node, &cases, &person), 0);
        ck_assert_uint_eq(saves_pseudonym_count(node, &cases, &bystander), 1);
    }
    struct held held = held_by(node, NULL);
    ck_assert_uint_gt(held.all, 0);
    ck_assert_uint_eq(held.erased, held.all);
}

static enum err
proof_begin(void *self, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    return replica_borrow(((struct test_node *)self)->replica, main_txn, keys_txn);
}

static void
proof_abandon(void *self, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    replica_give_back(((struct test_node *)self)->replica, main_txn, keys_txn);
}

static void
proof_finding(void *self, enum proof_part part, const char *what)
{
    (void)self;
    ck_abort_msg("%s: %s", proof_part_name(part), what);
}

static void
prove(struct test_node *node)
{
    struct proof proof;

    ck_assert_int_eq(proof_run(&(struct proof_options){ .self = node,
                                                        .begin = proof_begin,
                                                        .abandon = proof_abandon,
                                                        .finding = proof_finding,
                                                        .journal = replica_journal(node->replica),
                                                        .codebook = replica_codebook(node->replica),
                                                        .source = replica_source(node->replica) },
                               &proof),
                     ERR_OK);
}

/* --- W1 --- */

START_TEST(w1_an_order_destroys_the_record_on_readers_and_on_carriers)
{
    struct ident id = order_and_tell();

    for (size_t n = 0; n < org.node_count; n++) {
        expect_gone(org.nodes[n]);
        struct held held = held_by(org.nodes[n], &id);
        ck_assert_uint_eq(held.by_order, held.all);
        prove(org.nodes[n]);
    }
    /* What was held before is held still, as headers: nobody takes the other for incomplete. */
    ck_assert_uint_ge(held_by(hq, NULL).all, traces.place_count);
    ck_assert_mem_eq(saves_digest(ken, &cases), saves_digest(hq, &cases), DIGEST_BYTES);
    ck_assert_mem_eq(saves_digest(ken, &cases), saves_digest(relay, &cases), DIGEST_BYTES);
    ck_assert_mem_eq(saves_digest(ken, &cases), saves_digest(gva, &cases), DIGEST_BYTES);
    ck_assert_mem_eq(saves_digest(ken, &twin), saves_digest(relay, &twin), DIGEST_BYTES);
}
END_TEST

START_TEST(one_signature_hides_the_record_and_two_of_one_office_do_no_more)
{
    struct arena arena = { 0 };
    struct replica_view view;
    struct replica_order again;

    ck_assert_int_eq(read_person(hq, &arena, &view), ERR_OK);
    ck_assert(!view.restricted);
    (void)order(ken);
    ck_assert_int_eq(try_order(ken, &again), ERR_EXISTS);
    ck_assert(again.second);
    test_node_exchange(ken, hq);
    test_node_exchange(hq, gva);
    test_node_exchange(hq, relay);
    struct test_node *const readers[] = { ken, hq, gva };
    for (size_t n = 0; n < 3; n++) {
        ck_assert_int_eq(read_person(readers[n], &arena, &view), ERR_OK);
        ck_assert(view.restricted);
        ck_assert_ptr_null(view.protected_half);
        ck_assert_uint_eq(saves_pseudonym_count(readers[n], &cases, &person), 0);
        ck_assert_uint_eq(view.open->kind, codebook_kind_by_name(codebook_reprisals(), "person")->number);
        ck_assert_uint_eq(held_by(readers[n], NULL).erased, 0);
    }
    ck_assert_uint_eq(held_by(relay, NULL).erased, 0);
    /* Until it stands, people may think better of it. */
    ck_assert_int_eq(read_person(ken, &arena, &view), ERR_OK);
    ck_assert_uint_eq(view.open->element_count, 1);
    struct save_op lift = { .code = OP_REMOVE, .target = { .collection = COLLECTION_RESTRICTION } };
    memcpy(lift.target.element, view.open->elements[0].element, ELEMENT_ID_BYTES);
    saves_begin(ken);
    ck_assert_int_eq(saves_change(ken, &cases, &person, lift), ERR_OK);
    saves_commit(ken);
    test_node_exchange(ken, hq);
    ck_assert(saves_has_pseudonym(hq, &cases, &person, "P-19"));
    arena_free(&arena);
}
END_TEST

START_TEST(who_has_not_admin_in_every_half_orders_nothing)
{
    struct replica_order out;

    ck_assert_int_eq(try_order(gva, &out), ERR_DENIED);
    ck_assert_int_eq(try_order(relay, &out), ERR_ABSENT);
    person.bytes[0] ^= 1;
    ck_assert_int_eq(try_order(ken, &out), ERR_ABSENT);
    ck_assert_uint_eq(roster_erasure_count(replica_roster(ken->replica)), 0);
}
END_TEST

/* --- W2, C1 --- */

/* The text of every free-text field that a person has, with a number of its own. */
static size_t
fill_with_markers(struct test_node *node, char markers[][32], size_t room)
{
    const struct codebook *codebook = codebook_reprisals();
    uint32_t kind = codebook_kind_by_name(codebook, "person")->number;
    size_t count = 0;

    for (size_t n = 0; n < codebook->field_count; n++) {
        const struct codebook_field *field = &codebook->fields[n];
        struct buf value = { 0 };
        bool localised = field->type == TYPE_LOCALISED;

        if ((field->kinds >> kind & 1) == 0 ||
            (field->type != TYPE_TEXT && field->type != TYPE_LONG_TEXT && !localised)) {
            continue;
        }
        ck_assert_uint_lt(count, room);
        (void)snprintf(markers[count], 32, "M4RK3R-%u-zq", (unsigned)(1000 + field->number));
        if (localised) {
            cbor_put_array(&value, 2);
            cbor_put_text(&value, span_text("eng"));
        }
        cbor_put_text(&value, span_text(markers[count]));
        struct save_op op = { .code = OP_SET,
                              .target = { .collection = field->collection,
                                          .element = { field->collection != 0 },
                                          .field = field->number },
                              .value = buf_span(&value),
                              .resolve = true };
        saves_begin(node);
        ck_assert_int_eq(saves_change(node, &cases, &person, op), ERR_OK);
        saves_commit(node);
        buf_free(&value);
        count++;
    }
    return count;
}

struct opening {
    struct test_node *node;
    size_t tried;
    size_t opened;
};

static void
try_record_key(void *self, const struct ident *compartment, const struct record_key *key)
{
    struct opening *opening = self;
    struct buf plain = { 0 };

    (void)compartment;
    for (size_t n = 0; n < traces.place_count; n++) {
        const struct trace *trace = &traces.places[n];
        const struct epoch_keys *keys =
            keyring_find(opening->node->replica->keyring, &trace->descriptor.compartment, trace->entry.epoch);
        struct hash log_id;

        if (keys == NULL || trace->entry.kind != ENTRY_DATA) {
            continue;
        }
        descriptor_log_id(&trace->descriptor, &log_id);
        opening->tried++;
        opening->opened += entry_open(&trace->entry, &log_id, keys, &key->key, &plain) == FAULT_NONE;
    }
    buf_wipe(&plain);
}

/* What a thief copied out of free pages before opens with no key that is left. */
static struct opening
try_to_open(struct test_node *node)
{
    struct opening opening = { .node = node };
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    keys_each_record(node->replica->keys_txn, try_record_key, &opening);
    replica_end_read(node->replica, &txn);
    return opening;
}

START_TEST(w2_c1_no_file_of_any_node_holds_or_opens_what_was_erased)
{
    static char markers[40][32];
    size_t count = fill_with_markers(ken, markers, 40);

    ck_assert_uint_ge(count, 5);
    test_node_exchange(ken, hq);
    test_node_exchange(hq, relay);
    test_node_exchange(hq, gva);
    note_traces(ken);
    /* What is looked for below is really there before: as ciphertext, and openable. */
    for (size_t n = 0; n < traces.place_count; n++) {
        ck_assert_uint_ge(marker_count_bytes(hq->directory, span_of(traces.places[n].sealed, 32)), 1);
    }
    ck_assert_uint_gt(try_to_open(ken).opened, 0);
    (void)order_and_tell();
    for (size_t n = 0; n < org.node_count; n++) {
        struct test_node *node = org.nodes[n];

        expect_gone(node);
        for (size_t m = 0; m < count; m++) {
            ck_assert_uint_eq(marker_count(node->directory, span_text(markers[m])), 0);
        }
        ck_assert_uint_eq(marker_count(node->directory, span_text("Wanjiru")), 0);
        for (size_t half = 0; half < 2; half++) {
            ck_assert_uint_eq(
                marker_count(node->directory, span_of(traces.halves[half].record.bytes, KEY_BYTES)), 0);
        }
        for (size_t p = 0; p < traces.place_count; p++) {
            ck_assert_uint_eq(marker_count_bytes(node->directory, span_of(traces.places[p].sealed, 32)), 0);
        }
        struct opening opening = try_to_open(node);
        ck_assert(node == relay || opening.tried > 0);
        ck_assert_uint_eq(opening.opened, 0);
    }
}
END_TEST

/* keys/ is another folder under another key, and the old one opens nothing. */
START_TEST(w2_the_keys_are_under_a_fresh_wrapping_key)
{
    struct wrap before;
    struct wrap after;
    char path[256];

    ck_assert_int_eq(wrap_read(ken->directory, &ken->storage_key, &before), ERR_OK);
    (void)order_and_tell();
    ck_assert_int_eq(wrap_read(ken->directory, &ken->storage_key, &after), ERR_OK);
    ck_assert_uint_gt(after.generation, before.generation);
    ck_assert(!crypto_equal(before.key.bytes, after.key.bytes, KEY_BYTES));
    (void)snprintf(path, sizeof path, "%s/keys", ken->directory);
    ck_assert_int_ne(access(path, F_OK), 0);
    test_node_close(ken);
    test_node_open(ken);
    expect_gone(ken);
    saves_pseudonym(ken, &cases, &bystander, "B-2");
    ck_assert(saves_has_pseudonym(ken, &cases, &bystander, "B-2"));
    prove(ken);
}
END_TEST

SUITE_MAIN_WITH("erase", setup, teardown, w1_an_order_destroys_the_record_on_readers_and_on_carriers,
                one_signature_hides_the_record_and_two_of_one_office_do_no_more,
                who_has_not_admin_in_every_half_orders_nothing,
                w2_c1_no_file_of_any_node_holds_or_opens_what_was_erased,
                w2_the_keys_are_under_a_fresh_wrapping_key)
