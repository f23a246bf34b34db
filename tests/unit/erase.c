/* Erasure on real replicas: what an order names is gone, on whoever held it, and does not come back. */

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/keys.h"
#include "store/shelf.h"
#include "sync/keyring.h"
#include "sync/replica_state.h"
#include "sync/update.h"
#include "tests/support/check.h"
#include "tests/support/bundles.h"
#include "tests/support/disk/steps.h"
#include "tests/support/marker.h"
#include "tests/support/pictures.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* --- W1 --- */

START_TEST(w1_an_order_destroys_the_record_on_readers_and_on_carriers)
{
    struct ident id = order_and_tell();

    for (size_t n = 0; n < org.node_count; n++) {
        expect_gone(org.nodes[n]);
        struct held held = held_by(org.nodes[n], &id);
        ck_assert_uint_eq(held.by_order, held.all);
        (void)test_node_prove(org.nodes[n], NULL);
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

    /* The restriction comes last: behind it nothing else can be changed. */
    for (size_t n = 0; n < 2 * codebook->field_count; n++) {
        const struct codebook_field *field = &codebook->fields[n % codebook->field_count];
        struct buf value = { 0 };
        bool localised = field->type == TYPE_LOCALISED;
        bool last = field->collection == COLLECTION_RESTRICTION;

        if (last != (n >= codebook->field_count) || (field->kinds >> kind & 1) == 0 ||
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

/* Of a file that the record names: what opens it, its name, and its bytes. Free pages and what was told on sticks are looked at too. */
START_TEST(w2_no_key_no_name_and_no_byte_of_an_erased_file_is_left)
{
    static struct bundles_outcome outcome;
    uint8_t sealed[BLOB_SEALED_BYTES];
    struct blob_file *file = NULL;
    struct bundles bundles;
    struct blob_made made;

    pictures_attach(ken, &cases, &person, 1, 3 * BLOB_CHUNK_BYTES + 9, &made);
    ck_assert_int_eq(blob_open(&file, replica_blobs(ken->replica), &made.address), ERR_OK);
    ck_assert_int_eq(blob_read_chunk(file, 1, sealed), ERR_OK);
    blob_close(&file);
    test_node_exchange(ken, hq);
    pictures_wish(hq, &made.address, WISH_ASKED);
    bundles_export_files(hq, ken, BUNDLE_LACKING, BUNDLE_FILES_WANTED, UINT32_MAX, &bundles);
    bundles_import_all(ken, &bundles, &outcome);
    bundles_free(&bundles);
    for (size_t n = 0; n < org.node_count; n++) {
        if (org.nodes[n] != ken) {
            bundles_export_files(ken, org.nodes[n], BUNDLE_LACKING, BUNDLE_FILES_WANTED, UINT32_MAX,
                                 &bundles);
            bundles_import_all(org.nodes[n], &bundles, &outcome);
            bundles_free(&bundles);
        }
        ck_assert(pictures_is_whole(org.nodes[n], &made.address));
        ck_assert_uint_ge(marker_count_bytes(org.nodes[n]->directory, hash_span(&made.address)), 1);
        ck_assert_uint_ge(marker_count_bytes(org.nodes[n]->directory, span_of(sealed, 32)), 1);
    }
    note_traces(ken);
    (void)order_and_tell();
    for (size_t n = 0; n < org.node_count; n++) {
        const char *directory = org.nodes[n]->directory;

        expect_gone(org.nodes[n]);
        ck_assert_uint_eq(marker_count(directory, span_of(made.key.key.bytes, KEY_BYTES)), 0);
        ck_assert_uint_eq(marker_count(directory, hash_span(&made.key.content_hash)), 0);
        ck_assert_uint_eq(marker_count_bytes(directory, hash_span(&made.address)), 0);
        ck_assert_uint_eq(marker_count_bytes(directory, span_of(sealed, 32)), 0);
        for (size_t p = 0; p < traces.place_count; p++) {
            ck_assert_uint_eq(marker_count_bytes(directory, span_of(traces.places[p].sealed, 32)), 0);
        }
        ck_assert_int_eq(blob_open(&file, replica_blobs(org.nodes[n]->replica), &made.address), ERR_ABSENT);
    }
}
END_TEST

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
    (void)test_node_prove(ken, NULL);
}
END_TEST

/* --- W3, W4 --- */

/* A second device of the office, which held the person and then went away. */
static struct test_node *
goes_away(void)
{
    struct test_node *away = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);

    for (size_t n = 0; n < org.node_count; n++) {
        if (org.nodes[n] != away) {
            test_node_import(&org, org.nodes[n]);
        }
    }
    test_node_join(&org, away);
    test_node_exchange(ken, away);
    test_node_exchange(hq, away);
    test_node_exchange(ken, away);
    ck_assert(saves_has_pseudonym(away, &cases, &person, "P-19"));
    return away;
}

static void
pass_days(uint64_t days)
{
    for (size_t n = 0; n < org.node_count; n++) {
        test_world_pass(&org.nodes[n]->world, days * 24 * 3600 * 1000);
    }
}

static struct erase_receipt
receipt_of(struct test_node *reader, const struct ident *id, const struct test_node *node)
{
    struct table_txn *txn = NULL;
    struct erase_receipt receipt;

    ck_assert_int_eq(replica_begin_read(reader->replica, &txn), ERR_OK);
    (void)erase_receipt_of(txn, id, &node->identity.device_id, &receipt);
    replica_end_read(reader->replica, &txn);
    return receipt;
}

START_TEST(w3_a_node_400_days_away_brings_nothing_back)
{
    struct test_node *away = goes_away();

    saves_pseudonym(away, &cases, &person, "P-20");
    saves_pseudonym(away, &cases, &bystander, "B-20");
    note_traces(away);
    struct ident id = order(ken);
    test_node_exchange(ken, hq);
    (void)order(hq);
    for (int round = 0; round < 2; round++) {
        test_node_exchange(hq, ken);
        test_node_exchange(hq, relay);
        compact(ken);
        compact(hq);
        compact(relay);
    }
    pass_days(400);
    /* It hands over what it has before it has heard anything: to a reader, and to a carrier. */
    test_node_give(away, hq, false);
    test_node_give(away, relay, true);
    expect_gone(hq);
    expect_gone(relay);
    ck_assert(saves_has_pseudonym(hq, &cases, &bystander, "B-20"));
    ck_assert_uint_eq(held_by(hq, &id).by_order, held_by(hq, NULL).all);
    /* Then it hears, and erases its own, what it wrote alone included. */
    test_node_give(hq, away, false);
    compact(away);
    expect_gone(away);
    test_node_exchange(hq, away);
    test_node_exchange(hq, relay);
    test_node_exchange(hq, ken);
    for (size_t p = 0; p < traces.place_count; p++) {
        for (size_t n = 0; n < org.node_count; n++) {
            if (org.nodes[n] != gva) {
                ck_assert_uint_eq(
                    marker_count_bytes(org.nodes[n]->directory, span_of(traces.places[p].sealed, 32)), 0);
            }
        }
    }
    ck_assert_mem_eq(saves_digest(away, &cases), saves_digest(hq, &cases), DIGEST_BYTES);
    ck_assert_mem_eq(saves_digest(ken, &twin), saves_digest(hq, &twin), DIGEST_BYTES);
    expect_gone(ken);
    /* The late copies were told of. */
    ck_assert_uint_ge(receipt_of(ken, &id, hq).late, 1);
    ck_assert_uint_ge(receipt_of(ken, &id, relay).late, 1);
    ck_assert_uint_eq(receipt_of(ken, &id, away).stage, RECEIPT_DONE);
    (void)test_node_prove(away, NULL);
    (void)test_node_prove(hq, NULL);
}
END_TEST

START_TEST(w3_who_joins_later_is_given_headers_alone)
{
    struct ident id = order_and_tell();
    struct test_node *late = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);

    for (size_t n = 0; n < org.node_count; n++) {
        if (org.nodes[n] != late) {
            test_node_import(&org, org.nodes[n]);
        }
    }
    test_node_join(&org, late);
    test_node_exchange(ken, late);
    test_node_exchange(hq, late);
    test_node_exchange(ken, late);
    ck_assert_mem_eq(saves_digest(late, &cases), saves_digest(ken, &cases), DIGEST_BYTES);
    expect_gone(late);
    ck_assert_uint_eq(held_by(late, &id).by_order, held_by(ken, NULL).all);
    struct erase_receipt receipt = receipt_of(ken, &id, late);
    ck_assert_uint_eq(receipt.stage, RECEIPT_DONE);
    ck_assert_uint_eq(receipt.erased, 0);
    ck_assert_uint_eq(receipt.late, 0);
    (void)test_node_prove(late, NULL);
}
END_TEST

/* A header whose payload somebody stripped, of a record that nobody erased, is taken by nobody. */
START_TEST(a_hash_in_the_place_of_a_payload_is_taken_of_erased_entries_alone)
{
    const struct gossip_store *source = replica_gossip_store(ken->replica);
    const struct gossip_store *sink = replica_gossip_store(hq->replica);
    struct table_txn *txn = NULL;
    struct taken taken;
    size_t refused = 0;

    (void)order_and_tell();
    saves_pseudonym(ken, &cases, &bystander, "B-3");
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    const struct frontier *frontier = source->frontier(source->self, &cases);
    saves_begin(hq);
    for (size_t n = 0; n < frontier->count; n++) {
        struct gossip_log log = { .log_id = frontier->tips[n].log_id };
        struct buf chunk = { 0 };
        uint64_t next;

        ck_assert(source->descriptor(source->self, &log.log_id, &log.descriptor));
        ck_assert_int_eq(
            source->read_chunk(source->self, &frontier->tips[n], frontier->tips[n].seq, true, &chunk, &next),
            ERR_OK);
        sink->take(sink->self, &ken->identity.device_id, &log, buf_span(&chunk), &taken);
        refused += taken.verdict == VERDICT_LATER;
        ck_assert(taken.verdict == VERDICT_LATER || taken.verdict == VERDICT_SEEN);
        buf_free(&chunk);
    }
    saves_commit(hq);
    replica_end_read(ken->replica, &txn);
    ck_assert_uint_eq(refused, 1);
}
END_TEST

START_TEST(w4_late_copies_are_told_of_at_once_and_then_now_and_then)
{
    struct test_node *away = goes_away();
    struct ident id = order(ken);

    test_node_exchange(ken, hq);
    (void)order(hq);
    compact(hq);
    for (int n = 0; n < 3; n++) {
        saves_pseudonym(away, &cases, &person, "P-21");
        test_world_pass(&hq->world, n == 0 ? 11 * 60 * 1000 : 1000);
        test_node_give(away, hq, false);
        /* The first is told of, the others wait. */
        ck_assert_uint_eq(receipt_of(hq, &id, hq).late, 1);
    }
    test_node_tend(hq);
    ck_assert_uint_eq(receipt_of(hq, &id, hq).late, 1);
    test_world_pass(&hq->world, 11 * 60 * 1000);
    ck_assert(replica_tend_is_due(hq->replica));
    test_node_tend(hq);
    ck_assert_uint_eq(receipt_of(hq, &id, hq).late, 3);
    ck_assert(!replica_tend_is_due(hq->replica));
    expect_gone(hq);
}
END_TEST

/* Somebody who kept the record's key brings it again, in a new entry, under the epoch in force. */
START_TEST(w4_a_key_made_anew_is_refused_and_nobody_saves_there)
{
    struct test_node *keeper = ken;
    struct roster *roster = replica_roster(hq->replica);
    struct change_key content = { .hlc = 1, .actor = 1 };
    struct entry entry = { .kind = ENTRY_KEY, .lane = LANE_CONTROL };
    const struct epoch_keys *keys = NULL;
    struct descriptor descriptor;
    struct hash log_id;
    struct buf payload = { 0 };
    struct buf sealed = { 0 };
    struct buf chunk = { 0 };
    uint8_t signature[SIGNATURE_BYTES];

    struct ident id = order_and_tell();
    saves_begin(ken);
    ck_assert_int_eq(saves_change(ken, &cases, &person, saves_set("person", "pseudonym", "P-30")),
                     ERR_ABSENT);
    saves_commit(ken);
    const struct log_branch *branch =
        replica_own_log(keeper->replica, &cases, LANE_CONTROL, &descriptor, &log_id);
    ck_assert_ptr_nonnull(branch);
    entry.seq = branch->next_seq;
    entry.prev = branch->head_id;
    ck_assert_int_eq(keyring_current(keeper->replica->keyring, roster, &cases, &keys, entry.epoch), ERR_OK);
    entry_reference_make(&entry, &log_id, keys, &person, &traces.halves[0].erase);
    memcpy(content.record_key, traces.halves[0].record.bytes, KEY_BYTES);
    ck_assert_int_eq(change_encode_key(&content, &payload), ERR_OK);
    ck_assert_int_eq(entry_seal(&entry, &log_id, keys, NULL, buf_span(&payload), false, &sealed), ERR_OK);
    entry_sign(signature, &entry.id, &keeper->identity.sign);
    chunk_write(&chunk, &entry, 1, signature);
    uint64_t late = receipt_of(hq, &id, hq).late;
    saves_begin(hq);
    struct intake_result result = intake_chunk(hq->replica->intake, &descriptor, buf_span(&chunk));
    ck_assert_int_eq(result.verdict, VERDICT_TAKEN);
    saves_commit(hq);
    expect_gone(hq);
    ck_assert_uint_eq(held_by(hq, &id).by_order, held_by(hq, NULL).all);
    test_world_pass(&hq->world, 11 * 60 * 1000);
    test_node_tend(hq);
    ck_assert_uint_eq(receipt_of(hq, &id, hq).late, late + 1);
    buf_free(&payload);
    buf_free(&sealed);
    buf_free(&chunk);
}
END_TEST

/* --- whatever the standing was --- */

START_TEST(erased_takes_precedence_over_held_and_waiting_and_carried)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf revocation = { 0 };
    struct test_node *away = goes_away();
    struct test_node *waiting = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);

    saves_pseudonym(away, &cases, &person, "P-22");
    test_node_exchange(away, hq);
    test_node_exchange(hq, ken);
    /* One node knows the office and the entries, and has no key yet: they wait. */
    for (size_t n = 0; n < org.node_count; n++) {
        if (org.nodes[n] != waiting) {
            test_node_import(&org, org.nodes[n]);
        }
    }
    test_node_join(&org, waiting);
    saves_begin(waiting);
    test_node_give_lane(hq, waiting, &cases, LANE_NORMAL);
    test_node_give_lane(hq, waiting, &twin, LANE_NORMAL);
    saves_commit(waiting);
    ck_assert_uint_gt(journal_pending_count(replica_journal(waiting->replica), &cases), 0);
    /* The device is revoked before everything: what it wrote is held. */
    memcpy(statement.revoke.key, away->identity.sign.public_key, SIGN_PK_BYTES);
    (void)test_organisation_sign(&org, &statement, "office-KEN", &revocation);
    test_node_state(hq, buf_span(&revocation));
    buf_free(&revocation);
    test_node_exchange(hq, ken);
    ck_assert(!saves_has_pseudonym(ken, &cases, &person, "P-22"));
    note_traces(ken);
    struct ident id = order_and_tell();
    ck_assert_uint_eq(held_by(ken, &id).by_order, held_by(ken, NULL).all);
    expect_gone(ken);
    expect_gone(relay);
    saves_begin(waiting);
    test_node_give_lane(hq, waiting, roster_control(replica_roster(hq->replica)), LANE_CONTROL);
    saves_commit(waiting);
    test_node_tend(waiting);
    struct held held = held_by(waiting, &id);
    ck_assert_uint_gt(held.all, 0);
    ck_assert_uint_eq(held.by_order, held.all);
    compact(waiting);
    (void)test_node_prove(waiting, NULL);
    test_node_exchange(hq, waiting);
    expect_gone(waiting);
    (void)test_node_prove(waiting, NULL);
    (void)test_node_prove(ken, NULL);
}
END_TEST

/* In the person's name, with the tag of nothing, in a new log of Kenya's device. */
static void
write_in_the_name(struct descriptor *descriptor, struct buf *chunk)
{
    struct entry entry = { .kind = ENTRY_DATA, .lane = LANE_NORMAL };
    struct key no_key = { { 7 } };
    const struct epoch_keys *keys = NULL;
    struct hash log_id;
    struct buf sealed = { 0 };
    uint8_t signature[SIGNATURE_BYTES];

    ck_assert_ptr_nonnull(replica_own_log(ken->replica, &cases, LANE_NORMAL, descriptor, &log_id));
    descriptor->incarnation[0] ^= 1;
    descriptor_log_id(descriptor, &log_id);
    ck_assert_int_eq(
        keyring_current(ken->replica->keyring, replica_roster(ken->replica), &cases, &keys, entry.epoch),
        ERR_OK);
    entry_reference_make(&entry, &log_id, keys, &person, &no_key);
    ck_assert_int_eq(entry_seal(&entry, &log_id, keys, &no_key, span_text("nonsense"), false, &sealed),
                     ERR_OK);
    entry_sign(signature, &entry.id, &ken->identity.sign);
    chunk_write(chunk, &entry, 1, signature);
    buf_free(&sealed);
}

static void
takes(struct test_node *node, const struct descriptor *descriptor, const struct buf *chunk)
{
    saves_begin(node);
    struct intake_result result = intake_chunk(node->replica->intake, descriptor, buf_span(chunk));
    ck_assert_int_eq(result.verdict, VERDICT_TAKEN);
    saves_commit(node);
}

static enum entry_state
state_at(struct test_node *node, const struct descriptor *descriptor)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;
    enum entry_state state = STATE_COUNT;
    struct hash log_id;

    descriptor_log_id(descriptor, &log_id);
    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    ck_assert_int_eq(journal_state(journal, txn, journal_log(journal, &log_id)->log_no, 0, &state), ERR_OK);
    replica_end_read(node->replica, &txn);
    return state;
}

/* Where the record's key is gone nobody can say that it is no member; who could say so before says it no longer, or two replicas that hold
 * the same would differ in what they hold back. */
START_TEST(what_is_in_the_name_of_an_erased_record_has_one_standing_everywhere)
{
    struct descriptor descriptor;
    struct buf chunk = { 0 };

    write_in_the_name(&descriptor, &chunk);
    takes(hq, &descriptor, &chunk);
    ck_assert_int_eq(state_at(hq, &descriptor), STATE_HELD);
    ck_assert_uint_eq(journal_held_count(replica_journal(hq->replica), HELD_RECORD_TAG), 1);
    (void)order_and_tell();
    ck_assert_int_eq(state_at(hq, &descriptor), STATE_NEEDS_KEY);
    ck_assert_uint_eq(journal_held_count(replica_journal(hq->replica), HELD_RECORD_TAG), 0);
    test_node_exchange(hq, ken);
    ck_assert_int_eq(state_at(ken, &descriptor), STATE_NEEDS_KEY);
    (void)test_node_prove(hq, NULL);
    (void)test_node_prove(ken, NULL);
    buf_free(&chunk);
}
END_TEST

/* The key entries of the person that are here. */
static size_t
key_entry_count(struct test_node *node)
{
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;
    size_t count = 0;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            struct journal_entry stored;

            ck_assert_int_eq(journal_read(journal, txn, no, seq, &stored), ERR_OK);
            count += stored.entry.kind == ENTRY_KEY && is_of_person(branch, &stored.entry);
        }
    }
    replica_end_read(node->replica, &txn);
    return count;
}

/* The entry that brought the record's key counts for nothing, and another brought it again: both go. */
START_TEST(a_key_that_a_cut_left_behind_is_erased_with_the_one_that_was_brought_instead)
{
    static struct ident *const halves[] = { &cases, &twin };
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf revocation = { 0 };
    struct test_node *away = goes_away();

    person = saves_person(away, &cases, "Achieng of the cut");
    test_node_exchange(away, hq);
    saves_pseudonym(hq, &cases, &person, "P-40");
    test_node_exchange(hq, ken);
    test_node_exchange(hq, relay);
    memcpy(statement.revoke.key, away->identity.sign.public_key, SIGN_PK_BYTES);
    (void)test_organisation_sign(&org, &statement, "office-KEN", &revocation);
    test_node_state(hq, buf_span(&revocation));
    buf_free(&revocation);
    test_node_exchange(hq, ken);
    test_node_exchange(hq, relay);
    saves_pseudonym(ken, &cases, &person, "P-41");
    test_node_exchange(ken, hq);
    test_node_exchange(hq, gva);
    note_traces(ken);
    ck_assert_uint_gt(key_entry_count(ken), 2);
    struct ident id = order_and_tell();
    expect_gone(ken);
    expect_gone(hq);
    expect_gone(relay);
    expect_gone(gva);
    (void)test_node_prove(ken, NULL);

    /* Who hears of the order first and then meets the device that was cut off takes headers alone. */
    struct test_node *late = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    for (size_t n = 0; n < org.node_count; n++) {
        if (org.nodes[n] != late) {
            test_node_import(&org, org.nodes[n]);
        }
    }
    test_node_join(&org, late);
    test_node_exchange(hq, late);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        for (size_t half = 0; half < 2; half++) {
            saves_begin(late);
            test_node_give_lane(away, late, halves[half], lane);
            saves_commit(late);
        }
    }
    test_node_tend(late);
    ck_assert_uint_eq(held_by(late, &id).by_order, held_by(late, NULL).all);
    expect_gone(late);
    (void)test_node_prove(late, NULL);
}
END_TEST

/* --- W5 --- */

START_TEST(w5_a_full_disk_erases_and_says_what_it_waits_for)
{
    struct replica_order out;
    struct ident id = order(hq);

    test_node_exchange(hq, ken);
    ken->world.disk_full = true;
    /* Nothing else is written. */
    saves_begin(ken);
    ck_assert(replica_turn_is_narrow(ken->replica));
    ck_assert_int_eq(saves_change(ken, &cases, &bystander, saves_set("person", "pseudonym", "B-4")),
                     ERR_FULL);
    saves_commit(ken);
    ck_assert_int_eq(try_order(ken, &out), ERR_OK);
    ck_assert(ident_equal(&out.order, &id));
    expect_gone(ken);
    ck_assert(replica_compact_is_due(ken->replica));
    ck_assert_int_eq(replica_compact(ken->replica), ERR_FULL);
    ck_assert_uint_gt(replica_compact_bytes(ken->replica), 0);
    ck_assert(!replica_compact_is_due(ken->replica));
    test_node_tend(ken);
    ck_assert_uint_eq(receipt_of(ken, &id, ken).stage, RECEIPT_CLOSED);
    ck_assert_uint_gt(receipt_of(ken, &id, ken).erased, 0);
    test_world_pass(&ken->world, 61 * 1000);
    ck_assert(replica_compact_is_due(ken->replica));
    ken->world.disk_full = false;
    compact(ken);
    ck_assert_uint_eq(replica_compact_bytes(ken->replica), 0);
    ck_assert_uint_eq(receipt_of(ken, &id, ken).stage, RECEIPT_DONE);
    for (size_t p = 0; p < traces.place_count; p++) {
        ck_assert_uint_eq(marker_count_bytes(ken->directory, span_of(traces.places[p].sealed, 32)), 0);
    }
}
END_TEST

/* A narrow turn takes the order that a peer brings, and no data; the first order too is given on a full disk. */
START_TEST(w5_a_full_disk_hears_of_an_order_and_gives_one)
{
    struct replica_order out;

    ken->world.disk_full = true;
    ck_assert_int_eq(try_order(ken, &out), ERR_OK);
    ck_assert(!out.second);
    test_node_give(ken, hq, false);
    (void)order(hq);
    saves_pseudonym(hq, &cases, &bystander, "B-5");
    test_node_give(hq, ken, false);
    ck_assert(!saves_has_pseudonym(ken, &cases, &bystander, "B-5"));
    expect_gone(ken);
    ken->world.disk_full = false;
    test_node_exchange(hq, ken);
    ck_assert(saves_has_pseudonym(ken, &cases, &bystander, "B-5"));
}
END_TEST

/* Write nonsense in the place of a row of main/ or keys/. */
static void
damage(struct test_node *node, enum table_id table, struct span key)
{
    struct table_env *env = NULL;
    struct table_txn *txn = NULL;
    struct wrap wrap;
    char path[256];
    char folder[WRAP_FOLDER_BYTES];
    bool main = table < TABLE_KEYS_RECORD;

    test_node_close(node);
    ck_assert_int_eq(wrap_read(node->directory, &node->storage_key, &wrap), ERR_OK);
    wrap_folder(wrap.generation, folder);
    (void)snprintf(path, sizeof path, "%s/%s", node->directory, main ? "main" : folder);
    ck_assert_int_eq(
        table_env_open(&env, &(struct table_options){ .path = path,
                                                      .set = main ? TABLE_SET_MAIN : TABLE_SET_KEYS,
                                                      .key = main ? &node->storage_key : &wrap.key,
                                                      .world = &node->world.world,
                                                      .map_bytes = 1 << 20 }),
        ERR_OK);
    ck_assert_int_eq(table_begin_write(env, &txn), ERR_OK);
    struct table_cursor cursor;
    struct span found;
    struct span value;
    size_t count = 0;
    table_cursor_init(&cursor, txn, table, key);
    while (table_cursor_next(&cursor, &found, &value)) {
        table_put(txn, table, found, span_text("?"));
        count++;
    }
    table_cursor_end(&cursor);
    ck_assert_uint_gt(count, 0);
    ck_assert_int_eq(table_commit(&txn), ERR_OK);
    table_env_close(&env);
    test_node_open(node);
}

/* The place of an entry of the person: the n-th of data. */
static void
place_of(struct test_node *node, size_t nth, uint8_t key[12])
{
    struct journal *journal = replica_journal(node->replica);
    size_t met = 0;

    for (size_t n = 0; n < traces.place_count; n++) {
        struct hash log_id;

        descriptor_log_id(&traces.places[n].descriptor, &log_id);
        const struct log_branch *branch = journal_log(journal, &log_id);
        if (branch != NULL && traces.places[n].entry.kind == ENTRY_DATA && met++ == nth) {
            bytes_write_u32(key, branch->log_no);
            bytes_write_u64(key + 4, traces.places[n].entry.seq);
            return;
        }
    }
    ck_abort_msg("no such entry");
}

START_TEST(w5_a_damaged_record_is_erased_too)
{
    static const enum table_id tables[] = { TABLE_SUM,   TABLE_CELL, TABLE_REC,
                                            TABLE_RECNO, TABLE_IDX,  TABLE_KEYS_RECORD };
    uint8_t place[12];

    /* An entry of it, and everything derived of all records. */
    place_of(hq, 1, place);
    damage(hq, TABLE_ENT, span_of(place, sizeof place));
    for (size_t n = 0; n < sizeof tables / sizeof tables[0]; n++) {
        damage(ken, tables[n], span_of(NULL, 0));
    }
    ck_assert_uint_eq(saves_pseudonym_count(ken, &cases, &person), 0);
    struct ident id;
    world_random(&org.world.world, id.bytes, sizeof id.bytes);
    /* Nobody whose keys are damaged can name what is to be erased: others do. */
    struct statement statement = { .type = STATEMENT_ERASE, .org = ken->identity.org };
    struct buf items = { 0 };
    struct buf out = { 0 };
    const struct key_pair *signers[] = { &ken->identity.sign, &hq->identity.sign };
    size_t first = ident_compare(&cases, &twin) < 0 ? 0 : 1;
    statement_put_erase(&items, &traces.halves[first].compartment, &traces.halves[first].erase);
    statement_put_erase(&items, &traces.halves[1 - first].compartment, &traces.halves[1 - first].erase);
    statement.erase.order = id;
    statement.erase.keys = statement_list_of(&items, 2);
    ck_assert_int_eq(statement_sign(&out, &statement, signers, 2, NULL), ERR_OK);
    test_node_state(hq, buf_span(&out));
    test_node_state(ken, buf_span(&out));
    compact(hq);
    compact(ken);
    buf_free(&items);
    buf_free(&out);
    for (size_t p = 0; p < traces.place_count; p++) {
        ck_assert_uint_eq(marker_count_bytes(ken->directory, span_of(traces.places[p].sealed, 32)), 0);
        ck_assert_uint_eq(marker_count_bytes(hq->directory, span_of(traces.places[p].sealed, 32)), 0);
    }
    ck_assert_uint_eq(held_by(ken, &id).by_order, held_by(ken, NULL).all);
    ck_assert_uint_eq(try_to_open(hq).opened, 0);
    ck_assert_uint_eq(receipt_of(hq, &id, hq).stage, RECEIPT_DONE);
    ck_assert_uint_eq(receipt_of(ken, &id, ken).stage, RECEIPT_DONE);
    ck_assert_uint_eq(receipt_of(ken, &id, ken).unread, 0);
}
END_TEST

/* Entries behind a damaged one cannot be told apart: a receipt says how many. */
START_TEST(w5_a_receipt_says_what_could_not_be_read)
{
    uint8_t place[12];

    place_of(relay, 0, place);
    damage(relay, TABLE_ENT, span_of(place, sizeof place));
    struct ident id = order(ken);
    test_node_exchange(ken, hq);
    (void)order(hq);
    test_node_give(hq, relay, false);
    compact(relay);
    saves_begin(hq);
    test_node_give_lane(relay, hq, roster_control(replica_roster(hq->replica)), LANE_CONTROL);
    saves_commit(hq);
    ck_assert_uint_eq(receipt_of(hq, &id, relay).stage, RECEIPT_DONE);
    ck_assert_uint_gt(receipt_of(hq, &id, relay).unread, 0);
    compact(hq);
    ck_assert_uint_eq(receipt_of(hq, &id, hq).unread, 0);
}
END_TEST

/* The rows that say how far it is are damaged: everything is looked at again. */
START_TEST(w5_damaged_rows_of_erasures_cost_another_look)
{
    struct ident id = order_and_tell();
    static const char *const prefixes[] = { "o", "r" };

    for (size_t n = 0; n < 2; n++) {
        damage(ken, TABLE_ERASE, span_text(prefixes[n]));
        test_node_tend(ken);
        compact(ken);
        expect_gone(ken);
        ck_assert_uint_eq(receipt_of(ken, &id, ken).stage, RECEIPT_DONE);
    }
}
END_TEST

/* --- W6 --- */

static unsigned dies_at; /* the step on the disk that is the process's last */

ssize_t
disk_step(enum disk_step step, size_t size)
{
    bool counts = step != DISK_WRITE && step != DISK_WRITE_V && step != DISK_TRUNCATE;

    if (counts && dies_at > 0 && --dies_at == 0) {
        _exit(9);
    }
    return (ssize_t)size;
}

/* What a node does of itself when an order has come. An error ends it, as it does the daemon. */
static enum err
go_on(struct test_node *node)
{
    for (int turn = 0; turn < 20; turn++) {
        bool more = false;
        enum err err = replica_begin(node->replica);

        if (err == ERR_OK) {
            more = replica_tend(node->replica);
            err = replica_commit(node->replica);
        }
        if (err == ERR_OK && replica_compact_is_due(node->replica)) {
            err = replica_compact(node->replica);
            more = true;
        }
        if (err != ERR_OK || !more) {
            return err;
        }
    }
    return ERR_BUSY;
}

static enum err
take_order(struct test_node *node, struct span statement)
{
    enum err err = replica_begin(node->replica);

    if (err == ERR_OK) {
        err = replica_state(node->replica, statement);
    }
    return err == ERR_OK ? replica_commit(node->replica) : err;
}

static void
copy_directory(const char *from, const char *to)
{
    char command[400];

    (void)snprintf(command, sizeof command, "rm -rf '%s' && cp -rp '%s' '%s'", to, from, to);
    ck_assert_int_eq(system(command), 0);
}

/* A statement with both signatures. */
static struct ident
signed_by_both(struct buf *out)
{
    struct replica_order order_of;
    struct hash stmt_id;

    ck_assert_int_eq(try_order(ken, &order_of), ERR_OK);
    test_node_exchange(ken, hq);
    ck_assert_int_eq(try_order(hq, &order_of), ERR_OK);
    const struct roster *roster = replica_roster(hq->replica);
    ck_assert_uint_eq(roster_erasure_count(roster), 1);
    ck_assert(roster_erasure_at(roster, 0)->stands);
    stmt_id = roster_erasure_at(roster, 0)->stmt_id;
    ck_assert(roster_write(roster, &stmt_id, out));
    return order_of.order;
}

static void
expect_finished(struct test_node *node, const struct ident *id)
{
    char command[300];

    expect_gone(node);
    ck_assert_uint_eq(receipt_of(node, id, node).stage, RECEIPT_DONE);
    for (size_t p = 0; p < traces.place_count; p++) {
        ck_assert_uint_eq(marker_count_bytes(node->directory, span_of(traces.places[p].sealed, 32)), 0);
    }
    ck_assert_uint_eq(marker_count(node->directory, span_of(traces.halves[0].record.bytes, KEY_BYTES)), 0);
    /* One folder of keys, and nothing half-done beside. */
    (void)snprintf(command, sizeof command, "test $(ls -d '%s'/keys* | wc -l) = 1", node->directory);
    ck_assert_int_eq(system(command), 0);
    (void)snprintf(command, sizeof command, "! ls -A '%s' '%s'/* | grep -q new", node->directory,
                   node->directory);
    ck_assert_int_eq(system(command), 0);
    (void)test_node_prove(node, NULL);
}

/* Until it is gone on with the record is there, gone, or its key alone is: then it is closed, and nobody is told of damage. Gives 1 if it
 * is. */
static int
expect_whole_or_closed(struct test_node *node)
{
    struct arena arena = { 0 };
    struct replica_view view;
    enum err err = replica_read(node->replica, &cases, &person, &arena, &view);

    ck_assert_msg(err == ERR_OK || err == ERR_ABSENT || err == ERR_LOCKED, "%s", err_text(err));
    arena_free(&arena);
    return err == ERR_LOCKED;
}

/* An order that a crash cut off before it was acknowledged is given again; one that is here goes on by itself. */
static void
give_unless_here(struct test_node *node, struct span statement)
{
    if (roster_erasure_count(replica_roster(node->replica)) == 0 ||
        !roster_erasure_at(replica_roster(node->replica), 0)->stands) {
        ck_assert_int_eq(expect_whole_or_closed(node), 0);
        ck_assert_int_eq(take_order(node, statement), ERR_OK);
    }
}

/* A record that is closed waits to be made anew, and stops nobody meanwhile. */
START_TEST(a_record_whose_key_is_gone_is_closed_and_no_rebuild_stops_at_it)
{
    struct arena arena = { 0 };
    struct replica_view view;
    uint8_t row[1 + 8 + 4 + 8] = { PEND_REBUILD };
    uint32_t record_no;

    saves_begin(ken);
    keys_delete_record(ken->replica->keys_txn, &cases, &person);
    ck_assert_int_eq(record_find(ken->replica->main_txn, &cases, &person, &record_no), ERR_OK);
    bytes_write_u64(row + 1, record_no);
    table_put(ken->replica->main_txn, TABLE_PEND, span_of(row, sizeof row), span_of(NULL, 0));
    saves_commit(ken);
    test_node_close(ken);
    test_node_open(ken);
    ck_assert_int_eq(expect_whole_or_closed(ken), 1);
    saves_begin(ken);
    (void)replica_tend(ken->replica);
    saves_commit(ken);
    ck_assert_int_eq(replica_read(ken->replica, &cases, &person, &arena, &view), ERR_LOCKED);
    saves_begin(ken);
    ck_assert(intake_is_stale(ken->replica->main_txn, record_no));
    saves_commit(ken);
    ck_assert_uint_eq(saves_pseudonym_count(ken, &cases, &bystander), 1);
    arena_free(&arena);
}
END_TEST

/* The disk says no at its n-th step, and the node ends; it goes on after it was opened again. */
START_TEST(w6_an_erasure_goes_on_after_a_disk_that_failed_at_any_step)
{
    char image[160];
    struct buf statement = { 0 };
    struct ident id = signed_by_both(&statement);
    bool failed = true;
    int locked = 0;

    test_node_close(ken);
    (void)snprintf(image, sizeof image, "%s.image", ken->directory);
    copy_directory(ken->directory, image);
    for (uint64_t step = 1; failed; step++) {
        ck_assert_uint_lt(step, 200);
        copy_directory(image, ken->directory);
        test_node_open(ken);
        test_world_fail_disk(&ken->world, step, step % 2 == 0 ? ERR_IO : ERR_FULL);
        enum err err = take_order(ken, buf_span(&statement));
        err = err == ERR_OK ? go_on(ken) : err;
        failed = ken->world.disk_calls >= ken->world.disk_fails_at;
        ken->world.disk_fails_at = 0;
        if (err != ERR_OK) {
            test_node_close(ken);
            test_node_open(ken);
            locked += expect_whole_or_closed(ken);
            give_unless_here(ken, buf_span(&statement));
            test_world_pass(&ken->world, 61 * 1000);
        }
        ck_assert_int_eq(go_on(ken), ERR_OK);
        expect_finished(ken, &id);
        test_node_close(ken);
    }
    test_node_open(ken);
    (void)snprintf(image, sizeof image, "rm -rf '%s.image'", ken->directory);
    ck_assert_int_eq(system(image), 0);
    /* One of the steps lay between the two commits. */
    ck_assert_int_gt(locked, 0);
    buf_free(&statement);
}
END_TEST

/* The process dies at its n-th write, sync, rename or removal. */
START_TEST(w6_an_erasure_goes_on_after_a_death_at_any_step)
{
    enum { STRIDE = 5 };
    char image[160];
    struct buf statement = { 0 };
    struct ident id = signed_by_both(&statement);
    int status = 0;
    unsigned deaths = 0;

    test_node_close(ken);
    (void)snprintf(image, sizeof image, "%s.image", ken->directory);
    copy_directory(ken->directory, image);
    for (unsigned nth = 1; nth < 5000; nth += deaths < 20 ? 1 : STRIDE) {
        copy_directory(image, ken->directory);
        pid_t child = fork();
        if (child == 0) {
            test_node_open(ken);
            dies_at = nth;
            enum err err = take_order(ken, buf_span(&statement));
            err = err == ERR_OK ? go_on(ken) : err;
            dies_at = 0;
            _exit(err == ERR_OK ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        test_node_open(ken);
        give_unless_here(ken, buf_span(&statement));
        ck_assert_int_eq(go_on(ken), ERR_OK);
        expect_finished(ken, &id);
        test_node_close(ken);
        if (WEXITSTATUS(status) != 9) {
            break;
        }
        deaths++;
    }
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_uint_ge(deaths, 20);
    test_node_open(ken);
    (void)snprintf(image, sizeof image, "rm -rf '%s.image'", ken->directory);
    ck_assert_int_eq(system(image), 0);
    buf_free(&statement);
}
END_TEST

/* --- W7, W9 --- */

START_TEST(w7_every_device_that_held_it_says_that_it_is_done)
{
    struct ident id = order_and_tell();

    for (size_t n = 0; n < org.node_count; n++) {
        for (size_t m = 0; m < org.node_count; m++) {
            struct erase_receipt receipt = receipt_of(org.nodes[n], &id, org.nodes[m]);

            ck_assert_uint_eq(receipt.stage, RECEIPT_DONE);
            ck_assert_uint_gt(receipt.done_hlc, 0);
            /* What came after the order came without a payload. */
            ck_assert_uint_le(receipt.erased, held_by(org.nodes[m], NULL).all);
            ck_assert_uint_ge(receipt.erased, org.nodes[m] == gva ? 3 : traces.place_count);
            ck_assert_uint_eq(receipt.late, 0);
        }
    }
    /* They are derived: a rebuild finds them again, and erases nothing anew. */
    struct erase_receipt before = receipt_of(ken, &id, hq);
    ck_assert_int_eq(replica_rebuild(ken->replica, NULL, NULL), ERR_OK);
    test_node_tend(ken);
    struct erase_receipt after = receipt_of(ken, &id, hq);
    ck_assert_mem_eq(&before, &after, sizeof before);
    expect_gone(ken);
    (void)test_node_prove(ken, NULL);
}
END_TEST

START_TEST(w7_no_receipt_comes_before_everything_is_gone)
{
    struct ident id = order(ken);

    test_node_exchange(ken, hq);
    (void)order(hq);
    test_node_give(hq, ken, false);
    /* Erased, and old bytes lie in free pages still. */
    expect_gone(ken);
    ck_assert(replica_compact_is_due(ken->replica));
    ck_assert_uint_eq(receipt_of(ken, &id, ken).stage, 0);
    compact(ken);
    ck_assert_uint_eq(receipt_of(ken, &id, ken).stage, RECEIPT_DONE);
    ck_assert_uint_eq(receipt_of(ken, &id, hq).stage, 0);
}
END_TEST

/* Looks through every row of main/ and keys/, opened, for what names the person. */
static void
look_through(struct table_txn *txn, enum table_id first, enum table_id end)
{
    for (enum table_id table = first; table < end; table++) {
        struct table_cursor cursor;
        struct span key;
        struct span value;

        table_cursor_init(&cursor, txn, table, span_of(NULL, 0));
        while (table_cursor_next(&cursor, &key, &value)) {
            ck_assert_ptr_nonnull(value.data);
            ck_assert_ptr_null(memmem(value.data, value.size, person.bytes, IDENT_BYTES));
            ck_assert_ptr_null(memmem(value.data, value.size, "P-19", 4));
            ck_assert_ptr_null(memmem(value.data, value.size, traces.halves[0].record.bytes, KEY_BYTES));
            ck_assert_ptr_null(memmem(value.data, value.size, traces.halves[1].record.bytes, KEY_BYTES));
        }
        table_cursor_end(&cursor);
    }
}

START_TEST(w9_what_is_left_names_the_order_and_nobody)
{
    struct ident id = order_and_tell();

    for (size_t n = 0; n < org.node_count; n++) {
        struct table_txn *txn = NULL;

        ck_assert_int_eq(replica_begin_read(org.nodes[n]->replica, &txn), ERR_OK);
        look_through(txn, 0, TABLE_KEYS_RECORD);
        look_through(org.nodes[n]->replica->keys_txn, TABLE_KEYS_RECORD, TABLE_COUNT);
        replica_end_read(org.nodes[n]->replica, &txn);
    }
    ck_assert_uint_eq(held_by(ken, &id).by_order, held_by(ken, NULL).all);
}
END_TEST

/* Where one signature is enough, an order stands at once. */
START_TEST(a_trial_erases_with_one_signature)
{
    struct replica_order out;

    test_organisation_free(&org);
    make_scene(1, 1);
    ck_assert_int_eq(try_order(ken, &out), ERR_OK);
    ck_assert_uint_eq(out.needed, 1);
    expect_gone(ken);
    compact(ken);
    ck_assert_uint_eq(receipt_of(ken, &out.order, ken).stage, RECEIPT_DONE);
}
END_TEST

/* Everything was loaded again between two erasures that destroy as much as each other: the files of keys are rewritten for both. */
START_TEST(w2_the_keys_are_rewritten_for_an_erasure_after_a_turn_that_was_given_up)
{
    struct ident first = person;
    uint32_t generation;

    saves_pseudonym(ken, &cases, &bystander, "P-18");
    saves_pseudonym(ken, &cases, &bystander, "P-19");
    test_node_exchange(ken, hq);
    (void)order(ken);
    test_node_exchange(ken, hq);
    (void)order(hq);
    test_node_exchange(hq, ken);
    ck_assert_int_eq(replica_begin(ken->replica), ERR_OK);
    ck_assert_int_eq(replica_abort(ken->replica), ERR_OK);
    compact(ken);
    generation = ken->replica->wrap.generation;
    ck_assert_uint_gt(generation, 0);
    for (int look = 0; look < 16; look++) {
        ck_assert_int_eq(replica_begin(ken->replica), ERR_OK);
        ck_assert_int_eq(replica_abort(ken->replica), ERR_OK);
        ck_assert_uint_gt(erase_destroyed(replica_erase(ken->replica)), ken->replica->keys_rewritten_at);
    }
    person = bystander;
    (void)order(ken);
    test_node_exchange(ken, hq);
    (void)order(hq);
    test_node_exchange(hq, ken);
    compact(ken);
    ck_assert_uint_gt(ken->replica->wrap.generation, generation);
    person = first;
}
END_TEST

/* Several orders at once are one walk, and one that comes while it is under way begins it anew. */
START_TEST(orders_that_come_together_are_looked_for_together)
{
    struct ident persons[2] = { person, bystander };
    struct replica_order out;

    for (size_t n = 0; n < 2; n++) {
        person = persons[n];
        (void)order(ken);
    }
    test_node_exchange(ken, hq);
    saves_begin(hq);
    for (size_t n = 0; n < 2; n++) {
        ck_assert_int_eq(replica_order_erasure(hq->replica, &cases, &persons[n], CONSENT_WITHDRAWN, 1, &out),
                         ERR_OK);
    }
    saves_commit(hq);
    test_node_tend(hq);
    compact(hq);
    test_node_exchange(hq, ken);
    compact(ken);
    for (size_t n = 0; n < 2; n++) {
        ck_assert_uint_eq(saves_pseudonym_count(ken, &cases, &persons[n]), 0);
        ck_assert_uint_eq(saves_pseudonym_count(hq, &cases, &persons[n]), 0);
    }
    ck_assert_uint_eq(marker_count(ken->directory, span_text("Otieno")), 0);
    const struct roster *roster = replica_roster(ken->replica);
    ck_assert_uint_eq(roster_erasure_count(roster), 2);
    for (size_t n = 0; n < 2; n++) {
        ck_assert_uint_eq(receipt_of(ken, &roster_erasure_at(roster, n)->order, ken).stage, RECEIPT_DONE);
    }
}
END_TEST

/* --- files that the record names --- */

enum { PICTURE_BYTES = 3 * BLOB_CHUNK_BYTES + 11, PICTURE_CHUNKS = 4 };

static const char picture_marker[] = "M4RK3R-of-a-picture-zq";
static struct blob_made picture;

/* Set the fields of an attachment of the record, in the turn under way. */
static void
attach(struct test_node *node, const struct ident *record, const struct blob_made *made)
{
    uint8_t key_bytes[BLOB_KEY_BYTES];
    struct buf values[3] = { { 0 } };
    struct saved saved;
    size_t op;

    blob_key_write(key_bytes, &made->key);
    cbor_put_bytes(&values[0], hash_span(&made->address));
    cbor_put_uint(&values[1], made->size);
    cbor_put_bytes(&values[2], span_of(key_bytes, sizeof key_bytes));
    static const uint32_t fields[] = { FIELD_ATTACHMENT_FILE, FIELD_ATTACHMENT_SIZE, FIELD_ATTACHMENT_KEY };
    struct save_op ops[3];
    for (size_t n = 0; n < 3; n++) {
        ops[n] = (struct save_op){
            .code = OP_SET,
            .target = { .collection = COLLECTION_ATTACHMENT, .element = { 1 }, .field = fields[n] },
            .value = buf_span(&values[n])
        };
    }
    struct save save = { .compartment = cases, .record_id = *record, .actor = 1, .ops = ops, .op_count = 3 };
    ck_assert_int_eq(replica_save(node->replica, &save, &saved, &op), ERR_OK);
    for (size_t n = 0; n < 3; n++) {
        buf_wipe(&values[n]);
    }
}

/* A picture of the person, taken in by the office. */
static void
take_picture(void)
{
    static uint8_t content[PICTURE_BYTES];
    struct blob_writer *writer;

    memcpy(content + BLOB_CHUNK_BYTES - 5, picture_marker, sizeof picture_marker);
    ck_assert_int_eq(blob_writer_open(&writer, replica_blobs(ken->replica), sizeof content), ERR_OK);
    ck_assert_int_eq(blob_write(writer, span_of(content, sizeof content)), ERR_OK);
    ck_assert_int_eq(blob_writer_end(writer, &picture), ERR_OK);
    saves_begin(ken);
    attach(ken, &person, &picture);
    shelf_put_whole(ken->replica->main_txn, &picture.address, picture.chunk_count);
    ck_assert_int_eq(blob_writer_keep(writer), ERR_OK);
    saves_commit(ken);
    blob_writer_close(&writer);
}

/* The file travels: head, pages, chunks. */
static void
send_picture(struct test_node *from, struct test_node *to)
{
    uint8_t sealed[BLOB_SEALED_BYTES];
    struct buf part = { 0 };
    struct blob_file *source;
    struct blob_file *sink;

    ck_assert_int_eq(blob_open(&source, replica_blobs(from->replica), &picture.address), ERR_OK);
    ck_assert_int_eq(blob_begin(&sink, replica_blobs(to->replica), &picture.address, PICTURE_CHUNKS), ERR_OK);
    saves_begin(to);
    ck_assert_int_eq(shelf_begin(to->replica->main_txn, &picture.address, PICTURE_CHUNKS), ERR_OK);
    ck_assert_int_eq(blob_read_head(source, &part), ERR_OK);
    ck_assert_int_eq(blob_put_head(sink, buf_span(&part)), ERR_OK);
    buf_clear(&part);
    ck_assert_int_eq(blob_read_page(source, 0, &part), ERR_OK);
    ck_assert_int_eq(blob_put_page(sink, 0, buf_span(&part)), ERR_OK);
    for (uint32_t n = 0; n < PICTURE_CHUNKS; n++) {
        ck_assert_int_eq(blob_read_chunk(source, n, sealed), ERR_OK);
        ck_assert_int_eq(blob_put_chunk(sink, n, span_of(sealed, sizeof sealed)), ERR_OK);
        shelf_put_chunk(to->replica->main_txn, &picture.address, n);
    }
    ck_assert_int_eq(blob_finish(sink), ERR_OK);
    saves_commit(to);
    blob_close(&source);
    blob_close(&sink);
    buf_free(&part);
}

static bool
has_picture(struct test_node *node, bool *named_out)
{
    struct table_txn *txn = NULL;
    struct blob_file *file = NULL;
    struct shelf_blob blob;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    *named_out = shelf_get(txn, &picture.address, &blob) == ERR_OK;
    replica_end_read(node->replica, &txn);
    bool here = blob_open(&file, replica_blobs(node->replica), &picture.address) == ERR_OK;
    blob_close(&file);
    return here;
}

/* The entry that names the picture, as one who cannot open it sees it. */
static void
note_place_at_relay(void)
{
    struct journal *journal = replica_journal(relay->replica);
    size_t found = 0;

    saves_begin(relay);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            struct journal_entry stored;

            ck_assert_int_eq(journal_read(journal, relay->replica->main_txn, no, seq, &stored), ERR_OK);
            if ((stored.entry.flags & ENTRY_NAMES_BLOBS) != 0) {
                shelf_refer(relay->replica->main_txn, &picture.address, 0, no, seq);
                found++;
            }
        }
    }
    saves_commit(relay);
    /* The half that names it says so in its header; the half with the key names no file. */
    ck_assert_uint_eq(found, 1);
}

static void
spread_picture(void)
{
    bool named;

    take_picture();
    test_node_exchange(ken, hq);
    test_node_exchange(hq, relay);
    test_node_exchange(hq, gva);
    /* Text comes before pictures, and both states are known. */
    ck_assert(!has_picture(hq, &named));
    ck_assert(named);
    note_place_at_relay();
    send_picture(ken, hq);
    send_picture(hq, relay);
    send_picture(relay, gva);
    for (size_t n = 0; n < org.node_count; n++) {
        ck_assert(has_picture(org.nodes[n], &named));
        ck_assert(named);
    }
}

static bool
receipt_says_done(struct test_node *node, const struct ident *id)
{
    struct table_txn *txn = NULL;
    struct erase_receipt receipt;

    ck_assert_int_eq(replica_begin_read(node->replica, &txn), ERR_OK);
    bool told = erase_receipt_of(txn, id, &node->identity.device_id, &receipt);
    replica_end_read(node->replica, &txn);
    return told && receipt.stage == RECEIPT_DONE;
}

START_TEST(w2_c1_a_file_goes_with_the_record_that_names_it_on_readers_and_on_carriers)
{
    uint8_t sealed[PICTURE_CHUNKS][BLOB_SEALED_BYTES];
    struct blob_file *file;
    bool named;

    spread_picture();
    note_traces(ken);
    ck_assert_int_eq(blob_open(&file, replica_blobs(hq->replica), &picture.address), ERR_OK);
    for (uint32_t n = 0; n < PICTURE_CHUNKS; n++) {
        ck_assert_int_eq(blob_read_chunk(file, n, sealed[n]), ERR_OK);
    }
    blob_close(&file);
    for (size_t n = 0; n < org.node_count; n++) {
        ck_assert_uint_eq(marker_count_bytes(org.nodes[n]->directory, span_of(sealed[2], 32)), 1);
        /* Nor does it lie open while it is here. */
        ck_assert_uint_eq(marker_count(org.nodes[n]->directory, span_text(picture_marker)), 0);
        ck_assert_uint_eq(marker_count(org.nodes[n]->directory, span_of(picture.key.key.bytes, KEY_BYTES)),
                          0);
    }
    struct ident id = order_and_tell();
    for (size_t n = 0; n < org.node_count; n++) {
        struct test_node *node = org.nodes[n];

        expect_gone(node);
        ck_assert(receipt_says_done(node, &id));
        ck_assert(!has_picture(node, &named));
        ck_assert(!named);
        for (uint32_t c = 0; c < PICTURE_CHUNKS; c++) {
            ck_assert_uint_eq(marker_count_bytes(node->directory, span_of(sealed[c], 32)), 0);
        }
        ck_assert_uint_eq(marker_count(node->directory, span_text(picture_marker)), 0);
        ck_assert_uint_eq(marker_count(node->directory, span_of(picture.key.key.bytes, KEY_BYTES)), 0);
        (void)test_node_prove(node, NULL);
    }
}
END_TEST

START_TEST(a_file_that_another_record_names_too_stays_for_that_one)
{
    bool named;

    spread_picture();
    saves_begin(ken);
    attach(ken, &bystander, &picture);
    saves_commit(ken);
    test_node_exchange(ken, hq);
    test_node_exchange(hq, gva);
    note_traces(ken);
    (void)order_and_tell();
    struct test_node *const readers[] = { ken, hq, gva };
    for (size_t n = 0; n < 3; n++) {
        expect_gone(readers[n]);
        ck_assert(has_picture(readers[n], &named));
        ck_assert(named);
    }
}
END_TEST

/* The disk refuses to remove the file: nobody says that all is done, and a later look does it. */
START_TEST(w7_no_receipt_says_done_while_a_file_is_still_here)
{
    char path[256];
    bool named;

    spread_picture();
    note_traces(ken);
    struct ident id = order(ken);
    test_node_exchange(ken, hq);
    (void)order(hq);
    (void)snprintf(path, sizeof path, "%s/blobs", ken->directory);
    /* What cannot be unlinked: a folder in its place. */
    char hex[2 * HASH_BYTES + 1];
    char name[400];
    char aside[400];
    bytes_hex(hex, hash_span(&picture.address));
    (void)snprintf(name, sizeof name, "%s/%s", path, hex);
    (void)snprintf(aside, sizeof aside, "%s/%s.part", path, hex);
    ck_assert_int_eq(rename(name, aside), 0);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    test_node_exchange(hq, ken);
    expect_gone(ken);
    ck_assert(replica_compact_is_due(ken->replica));
    ck_assert_int_eq(replica_compact(ken->replica), ERR_BUSY);
    ck_assert(!replica_compact_is_due(ken->replica));
    test_node_tend(ken);
    ck_assert(!receipt_says_done(ken, &id));
    ck_assert_int_eq(rmdir(name), 0);
    test_world_pass(&ken->world, 2 * 60 * 1000);
    compact(ken);
    ck_assert(receipt_says_done(ken, &id));
    ck_assert(!has_picture(ken, &named));
    ck_assert_int_ne(access(aside, F_OK), 0);
}
END_TEST

/* It was erased while the process was down between the commit and the removal: the next start removes it. */
START_TEST(a_file_whose_removal_a_crash_cut_off_is_removed_at_the_next_start)
{
    bool named;

    spread_picture();
    saves_begin(hq);
    ck_assert_int_eq(shelf_wish(hq->replica->main_txn, &picture.address, WISH_AWAY), ERR_OK);
    saves_commit(hq);
    test_node_close(hq);
    test_node_open(hq);
    ck_assert(has_picture(hq, &named));
    ck_assert(replica_tend_is_due(hq->replica));
    test_node_tend(hq);
    ck_assert(!has_picture(hq, &named));
    ck_assert(named);
    /* A stick brought it again by hand: it is taken for what it is. */
    test_node_close(hq);
    char command[900];
    char hex[2 * HASH_BYTES + 1];
    bytes_hex(hex, hash_span(&picture.address));
    (void)snprintf(command, sizeof command, "cp %s/blobs/%s %s/blobs/", ken->directory, hex, hq->directory);
    ck_assert_int_eq(system(command), 0);
    test_node_open(hq);
    test_node_tend(hq);
    struct table_txn *txn = NULL;
    struct shelf_blob blob;
    ck_assert_int_eq(replica_begin_read(hq->replica, &txn), ERR_OK);
    ck_assert_int_eq(shelf_get(txn, &picture.address, &blob), ERR_OK);
    replica_end_read(hq->replica, &txn);
    ck_assert(shelf_is_whole(&blob));
}
END_TEST

SUITE_MAIN_WITH(
    "erase", setup, teardown, w2_the_keys_are_rewritten_for_an_erasure_after_a_turn_that_was_given_up,
    w1_an_order_destroys_the_record_on_readers_and_on_carriers,
    one_signature_hides_the_record_and_two_of_one_office_do_no_more,
    who_has_not_admin_in_every_half_orders_nothing, w2_c1_no_file_of_any_node_holds_or_opens_what_was_erased,
    w2_no_key_no_name_and_no_byte_of_an_erased_file_is_left, w2_the_keys_are_under_a_fresh_wrapping_key,
    w3_a_node_400_days_away_brings_nothing_back, w3_who_joins_later_is_given_headers_alone,
    a_hash_in_the_place_of_a_payload_is_taken_of_erased_entries_alone,
    w4_late_copies_are_told_of_at_once_and_then_now_and_then,
    w4_a_key_made_anew_is_refused_and_nobody_saves_there,
    erased_takes_precedence_over_held_and_waiting_and_carried,
    what_is_in_the_name_of_an_erased_record_has_one_standing_everywhere,
    a_key_that_a_cut_left_behind_is_erased_with_the_one_that_was_brought_instead,
    w5_a_full_disk_erases_and_says_what_it_waits_for, w5_a_full_disk_hears_of_an_order_and_gives_one,
    w5_a_damaged_record_is_erased_too, w5_a_receipt_says_what_could_not_be_read,
    w5_damaged_rows_of_erasures_cost_another_look,
    a_record_whose_key_is_gone_is_closed_and_no_rebuild_stops_at_it,
    w6_an_erasure_goes_on_after_a_disk_that_failed_at_any_step,
    w6_an_erasure_goes_on_after_a_death_at_any_step, w7_every_device_that_held_it_says_that_it_is_done,
    w7_no_receipt_comes_before_everything_is_gone, w9_what_is_left_names_the_order_and_nobody,
    w2_c1_a_file_goes_with_the_record_that_names_it_on_readers_and_on_carriers,
    a_file_that_another_record_names_too_stays_for_that_one,
    w7_no_receipt_says_done_while_a_file_is_still_here,
    a_file_whose_removal_a_crash_cut_off_is_removed_at_the_next_start, a_trial_erases_with_one_signature,
    orders_that_come_together_are_looked_for_together)
