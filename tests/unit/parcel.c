/* Files between real replicas: asked for by bitmap, verified piece by piece, and passed on by who cannot read them. */
#include "tests/support/check.h"
#include "tests/support/pictures.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include "store/base/log.h"
#include "sync/parcel.h"
#include "sync/replica_state.h"

#include <stdlib.h>
#include <string.h>

enum { CONTENT_BYTES = 300 * BLOB_CHUNK_BYTES + 9, CONTENT_CHUNKS = 301, PICTURE = 0 };

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct test_node *relay; /* carries what it cannot read */
static struct ident cases;
static struct blob_made made;
static uint8_t tag[TAG_BYTES];

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    log_to(silent, NULL);
    test_organisation_init_with(&org, 91, 3, 2);
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
    memcpy(tag, cases.bytes, TAG_BYTES);
    (void)pictures_add(ken, &cases, PICTURE, CONTENT_BYTES, &made);
    test_node_exchange(ken, hq);
    test_node_exchange(ken, relay);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

/* `from` says what it holds, and `to` hears it. Gives how many it noted. */
static size_t
tell(struct test_node *from, struct test_node *to)
{
    struct blob_have_item item;
    uint64_t cursor = 0;
    struct table_txn *txn = NULL;
    size_t noted = 0;
    bool more = true;

    while (more) {
        ck_assert_int_eq(replica_begin_read(from->replica, &txn), ERR_OK);
        more = parcel_held(from->replica, &cases, &cursor, &item) == LOOK_FOUND;
        replica_end_read(from->replica, &txn);
        if (more) {
            saves_begin(to);
            noted += parcel_take_have(to->replica, &from->identity.device_id, &cases, &item);
            saves_commit(to);
        }
    }
    return noted;
}

/* One piece over the line, as a frame. */
static enum parcel_verdict
carry_piece(struct test_node *from, struct test_node *to, enum blob_piece piece, uint32_t index)
{
    struct blob_part part = { .address = made.address, .piece = (uint8_t)piece, .index = index };
    struct table_txn *txn = NULL;
    struct buf bytes = { 0 };
    struct buf out = { 0 };
    struct frame frame;

    memcpy(part.tag, tag, TAG_BYTES);
    ck_assert_int_eq(replica_begin_read(from->replica, &txn), ERR_OK);
    ck_assert_int_eq(
        parcel_read(from->replica, &cases, &made.address, piece, index, &bytes, &part.chunk_count), ERR_OK);
    replica_end_read(from->replica, &txn);
    part.bytes = buf_span(&bytes);
    blob_part_write(&out, &part);
    ck_assert(frame_read(buf_span(&out), &frame));
    enum parcel_verdict verdict = parcel_take(to->replica, &cases, &frame.blob);
    buf_free(&bytes);
    buf_free(&out);
    return verdict;
}

/* `to` asks, and `from` gives at most `most` chunks of it. Gives how many were asked for. */
static size_t
fetch_small(struct test_node *from, struct test_node *to, size_t most, uint32_t chunks_max)
{
    struct hash cursor = { { 0 } };
    struct shelf_blob blob;
    struct blob_ask_page page;
    struct buf out = { 0 };
    struct frame frame;
    size_t asked = 0;

    saves_begin(to);
    if (parcel_wanted(to->replica, &from->identity.device_id, &cases, chunks_max, &cursor, &blob) !=
            LOOK_FOUND ||
        !parcel_ask(to->replica, tag, &blob, &out)) {
        saves_commit(to);
        return 0;
    }
    ck_assert_uint_le(out.size, FRAME_SMALL_BYTES_MAX);
    ck_assert(frame_read(buf_span(&out), &frame));
    ck_assert_int_eq((int)frame.type, FRAME_ASK);
    if (frame.ask.head) {
        ck_assert_int_eq(carry_piece(from, to, BLOB_HEAD, 0), PARCEL_TAKEN);
    }
    while (blob_ask_next(&frame.ask.pages, &page)) {
        if (page.hashes) {
            ck_assert_int_eq(carry_piece(from, to, BLOB_PAGE, page.page), PARCEL_TAKEN);
        }
        for (uint32_t n = 0; n < BLOB_PAGE_CHUNKS; n++) {
            if ((page.bitmap[n / 8] >> n % 8 & 1) != 0 && asked++ < most) {
                ck_assert_int_eq(carry_piece(from, to, BLOB_CHUNK, page.page * BLOB_PAGE_CHUNKS + n),
                                 PARCEL_TAKEN);
            }
        }
    }
    saves_commit(to);
    buf_free(&out);
    return asked;
}

static size_t
fetch(struct test_node *from, struct test_node *to, size_t most)
{
    return fetch_small(from, to, most, BLOB_CHUNKS_MAX);
}

START_TEST(a_cut_line_costs_what_had_not_come_and_a_restart_nothing)
{
    ck_assert_uint_eq(tell(ken, hq), 1);
    ck_assert_uint_eq(fetch(ken, hq, 100), CONTENT_CHUNKS);
    ck_assert_uint_eq(fetch(ken, hq, 170), CONTENT_CHUNKS - 100);
    test_node_close(hq);
    test_node_open(hq);
    ck_assert_uint_eq(fetch(ken, hq, SIZE_MAX), CONTENT_CHUNKS - 270);
    ck_assert_uint_eq(fetch(ken, hq, SIZE_MAX), 0);
    pictures_expect(hq, &made, PICTURE);
    /* What is here whole is told on, and asked of nobody. */
    ck_assert_uint_eq(tell(hq, ken), 1);
    ck_assert_uint_eq(fetch(hq, ken, SIZE_MAX), 0);
}
END_TEST

START_TEST(a_line_that_takes_small_files_only_takes_a_large_one_that_is_asked_for)
{
    ck_assert_uint_eq(tell(ken, hq), 1);
    ck_assert_uint_eq(fetch_small(ken, hq, SIZE_MAX, CONTENT_CHUNKS - 1), 0);
    saves_begin(hq);
    ck_assert(!parcel_is_wanted(hq->replica, &cases, &made.address, CONTENT_CHUNKS - 1));
    ck_assert(parcel_is_wanted(hq->replica, &cases, &made.address, CONTENT_CHUNKS));
    ck_assert_int_eq(shelf_wish(hq->replica->main_txn, &made.address, WISH_ASKED), ERR_OK);
    ck_assert(parcel_is_wanted(hq->replica, &cases, &made.address, 0));
    saves_commit(hq);
    ck_assert_uint_eq(fetch_small(ken, hq, SIZE_MAX, 0), CONTENT_CHUNKS);
    saves_begin(hq);
    ck_assert(!parcel_is_wanted(hq->replica, &cases, &made.address, CONTENT_CHUNKS));
    saves_commit(hq);
    pictures_expect(hq, &made, PICTURE);
}
END_TEST

START_TEST(two_offices_that_never_meet_get_a_file_through_who_cannot_read_it)
{
    ck_assert_uint_eq(fetch(ken, hq, SIZE_MAX), 0); /* nobody has said that it holds it */
    ck_assert_uint_eq(tell(ken, relay), 1);
    ck_assert_uint_eq(fetch(ken, relay, SIZE_MAX), CONTENT_CHUNKS);
    ck_assert_uint_eq(tell(relay, hq), 1);
    ck_assert_uint_eq(fetch(relay, hq, SIZE_MAX), CONTENT_CHUNKS);
    pictures_expect(hq, &made, PICTURE);
}
END_TEST

START_TEST(nobody_is_made_to_keep_what_no_entry_names)
{
    struct blob_have_item item = { .address = { { 5 } }, .chunk_count = 3, .seq = 0 };
    uint64_t cursor = 0;
    struct blob_have_item held;
    struct table_txn *txn = NULL;

    /* A reader knows what its entries name; a carrier believes it of an entry that says so in its header, and of no other. */
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert_int_eq(parcel_held(ken->replica, &cases, &cursor, &held), LOOK_FOUND);
    replica_end_read(ken->replica, &txn);
    saves_begin(hq);
    ck_assert(!parcel_take_have(hq->replica, &ken->identity.device_id, &cases, &item));
    memcpy(item.log_short, held.log_short, SHORT_BYTES);
    item.seq = held.seq;
    ck_assert(!parcel_take_have(hq->replica, &ken->identity.device_id, &cases, &item));
    held.chunk_count++;
    ck_assert(!parcel_take_have(hq->replica, &ken->identity.device_id, &cases, &held));
    saves_commit(hq);
    saves_begin(relay);
    /* Of the entry that it names, not of another, nor of one with its number on another branch. */
    item.seq = held.seq;
    ck_assert(!parcel_take_have(relay->replica, &ken->identity.device_id, &cases, &item));
    memcpy(item.entry_short, held.entry_short, SHORT_BYTES);
    item.seq = held.seq == 0 ? 1 : 0;
    ck_assert(!parcel_take_have(relay->replica, &ken->identity.device_id, &cases, &item));
    item.seq = held.seq;
    for (uint8_t n = 0; n < 40; n++) {
        item.address.bytes[1] = n;
        ck_assert_int_eq(parcel_take_have(relay->replica, &ken->identity.device_id, &cases, &item), n < 32);
    }
    saves_commit(relay);
}
END_TEST

/* `from` says of the file what is so, but for the number of its chunks. */
static bool
tell_count(struct test_node *from, struct test_node *to, uint32_t chunk_count)
{
    struct blob_have_item item;
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert_int_eq(parcel_item(ken->replica, &cases, &made.address, &item), ERR_OK);
    replica_end_read(ken->replica, &txn);
    item.chunk_count = chunk_count;
    saves_begin(to);
    bool noted = parcel_take_have(to->replica, &from->identity.device_id, &cases, &item);
    saves_commit(to);
    return noted;
}

/* What a carrier would ask `from` for: of how many chunks; 0: nothing. Begins its file as it asks. */
static uint32_t
asks_for(struct test_node *from, struct test_node *to)
{
    struct hash cursor = { { 0 } };
    struct shelf_blob blob;
    struct buf out = { 0 };
    uint32_t count = 0;

    saves_begin(to);
    if (parcel_wanted(to->replica, &from->identity.device_id, &cases, BLOB_CHUNKS_MAX, &cursor, &blob) ==
            LOOK_FOUND &&
        parcel_ask(to->replica, tag, &blob, &out)) {
        count = blob.chunk_count;
    }
    saves_commit(to);
    buf_free(&out);
    return count;
}

/* hq is a member, and lies: first, last, or in between. */
START_TEST(a_false_number_of_chunks_keeps_a_carrier_from_nothing)
{
    static const uint8_t noise[HASH_BYTES] = { 3 };
    struct blob_part part = {
        .address = made.address, .chunk_count = 7, .piece = BLOB_HEAD, .bytes = span_of(noise, sizeof noise)
    };

    ck_assert(tell_count(hq, relay, 7));
    ck_assert_uint_eq(asks_for(hq, relay), 7);
    /* What it sends is no head of this file. */
    saves_begin(relay);
    ck_assert_int_eq(parcel_take(relay->replica, &cases, &part), PARCEL_REFUSED);
    part.chunk_count = 200;
    ck_assert_int_eq(parcel_take(relay->replica, &cases, &part), PARCEL_REFUSED);
    saves_commit(relay);
    ck_assert_uint_eq(tell(ken, relay), 1);
    ck_assert(tell_count(hq, relay, 4096));
    ck_assert_uint_eq(asks_for(ken, relay), CONTENT_CHUNKS);
    /* The lie again, before anything has come: it is asked by its own word, and by that alone. */
    ck_assert(tell_count(hq, relay, 9));
    ck_assert_uint_eq(asks_for(hq, relay), 9);
    ck_assert_uint_eq(fetch(ken, relay, 100), CONTENT_CHUNKS);
    /* Now it is known, and nothing that came is lost. */
    ck_assert(!tell_count(hq, relay, 9));
    ck_assert_uint_eq(asks_for(hq, relay), CONTENT_CHUNKS);
    test_node_close(relay);
    test_node_open(relay);
    ck_assert(!tell_count(hq, relay, 9));
    ck_assert_uint_eq(fetch(ken, relay, SIZE_MAX), CONTENT_CHUNKS - 100);
    ck_assert(pictures_is_whole(relay, &made.address));
    /* A reader knows it from the entry. */
    ck_assert(!tell_count(relay, hq, 9));
}
END_TEST

/* The head alone has come: then the number is known too, though no chunk is here. */
START_TEST(a_head_that_came_fixes_the_number)
{
    ck_assert_uint_eq(tell(ken, relay), 1);
    ck_assert_uint_eq(fetch(ken, relay, 0), CONTENT_CHUNKS);
    ck_assert(!tell_count(hq, relay, 9));
    test_node_close(relay);
    test_node_open(relay);
    ck_assert(!tell_count(hq, relay, 9));
    ck_assert_uint_eq(asks_for(ken, relay), CONTENT_CHUNKS);
}
END_TEST

START_TEST(what_does_not_match_is_refused_and_what_is_not_wanted_is_left)
{
    static uint8_t bytes[BLOB_SEALED_BYTES];
    struct blob_part part = { .address = made.address,
                              .chunk_count = CONTENT_CHUNKS,
                              .piece = BLOB_HEAD,
                              .bytes = span_of(bytes, 64) };

    saves_begin(hq);
    ck_assert_int_eq(parcel_take(hq->replica, &cases, &part), PARCEL_LATER); /* nobody offered it */
    saves_commit(hq);
    ck_assert_uint_eq(tell(ken, hq), 1);
    saves_begin(hq);
    ck_assert_int_eq(parcel_take(hq->replica, &cases, &part), PARCEL_REFUSED);
    part.piece = BLOB_CHUNK;
    part.bytes = span_of(bytes, BLOB_SEALED_BYTES);
    ck_assert_int_eq(parcel_take(hq->replica, &cases, &part), PARCEL_LATER); /* before its page */
    ck_assert_int_eq(carry_piece(ken, hq, BLOB_HEAD, 0), PARCEL_TAKEN);
    ck_assert_int_eq(carry_piece(ken, hq, BLOB_PAGE, 0), PARCEL_TAKEN);
    ck_assert_int_eq(parcel_take(hq->replica, &cases, &part), PARCEL_REFUSED);
    ck_assert_int_eq(carry_piece(ken, hq, BLOB_CHUNK, 0), PARCEL_TAKEN);
    ck_assert_int_eq(carry_piece(ken, hq, BLOB_CHUNK, 0), PARCEL_SEEN);
    part.chunk_count++;
    ck_assert_int_eq(parcel_take(hq->replica, &cases, &part), PARCEL_REFUSED);
    ck_assert_int_eq(shelf_wish(hq->replica->main_txn, &made.address, WISH_AWAY), ERR_OK);
    ck_assert_int_eq(carry_piece(ken, hq, BLOB_CHUNK, 1), PARCEL_UNWANTED);
    saves_commit(hq);
    ck_assert_uint_eq(fetch(ken, hq, SIZE_MAX), 0);
    /* Another compartment's peers are told nothing of it. */
    struct ident other = test_compartment(ken, "KEN", OWN_PROTECTED);
    struct buf out = { 0 };
    struct table_txn *txn = NULL;
    uint32_t count;
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert_int_eq(parcel_read(ken->replica, &other, &made.address, BLOB_HEAD, 0, &out, &count),
                     ERR_ABSENT);
    replica_end_read(ken->replica, &txn);
}
END_TEST

SUITE_MAIN_WITH("parcel", setup, teardown, a_cut_line_costs_what_had_not_come_and_a_restart_nothing,
                a_line_that_takes_small_files_only_takes_a_large_one_that_is_asked_for,
                two_offices_that_never_meet_get_a_file_through_who_cannot_read_it,
                nobody_is_made_to_keep_what_no_entry_names,
                a_false_number_of_chunks_keeps_a_carrier_from_nothing, a_head_that_came_fixes_the_number,
                what_does_not_match_is_refused_and_what_is_not_wanted_is_left)
