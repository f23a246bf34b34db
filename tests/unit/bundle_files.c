/* Evidence files in bundles: sealed as they are, each piece for itself, after the text; and what is left of a damaged stick is used. */
#include "store/base/log.h"
#include "store/shelf.h"
#include "sync/replica_state.h"
#include "tests/support/bundles.h"
#include "tests/support/check.h"
#include "tests/support/marker.h"
#include "tests/support/pictures.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include <stdlib.h>
#include <string.h>

enum {
    SMALL_BYTES = 3 * BLOB_CHUNK_BYTES + 9,
    LARGE_BYTES = 300 * BLOB_CHUNK_BYTES + 9,
    LARGE_CHUNKS = 301,
    SMALL = 1,
    LARGE = 2,
    CONSENT_WITHDRAWN = 1,
};

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct test_node *relay; /* carries what it cannot read */
static struct ident cases;
static struct blob_made small;
static struct blob_made large;
static struct ident small_person;
static struct bundles_outcome outcome;

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    log_to(silent, NULL);
    test_organisation_init(&org, 93);
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
    (void)pictures_add(ken, &cases, LARGE, LARGE_BYTES, &large);
    small_person = pictures_add(ken, &cases, SMALL, SMALL_BYTES, &small);
}

static void
teardown(void)
{
    test_organisation_free(&org);
    saves_free();
}

/* Where the pieces of a volume begin; the last one is where it ends. */
static size_t
pieces_of(struct span file, size_t *starts, size_t room)
{
    size_t count = 0;
    size_t at = 0;

    for (; at < file.size; count++) {
        ck_assert_uint_lt(count + 1, room);
        starts[count] = at;
        at += (size_t)BUNDLE_PIECE_BYTES + bytes_read_u16(file.data + at + BUNDLE_PIECE_BYTES - 2);
    }
    starts[count] = at;
    return count;
}

/* The first piece of a volume that is as large as one with a chunk of a file, and with nothing else. */
static bool
is_chunk_piece(const size_t *starts, size_t n)
{
    size_t size = starts[n + 1] - starts[n];

    return size > BLOB_SEALED_BYTES + 60 && size < BLOB_SEALED_BYTES + 120;
}

static void
flip(struct buf *file, size_t at)
{
    file->data[at] ^= 0x40;
}

/* --- what goes in --- */

START_TEST(text_comes_before_pictures_and_only_what_was_chosen_goes_along)
{
    struct bundles none;
    struct bundles wanted;
    struct bundles all;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_NONE, UINT32_MAX, &none);
    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_WANTED, UINT32_MAX, &wanted);
    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &all);
    ck_assert_uint_eq(none.progress.files, 0);
    ck_assert_uint_eq(wanted.progress.files, 1);
    ck_assert_uint_eq(wanted.progress.file_bytes, 4 * BLOB_SEALED_BYTES);
    ck_assert_uint_eq(all.progress.files, 2);
    ck_assert_uint_eq(all.progress.files_all, 2);
    ck_assert_uint_eq(all.progress.file_bytes, (uint64_t)(4 + LARGE_CHUNKS) * BLOB_SEALED_BYTES);
    ck_assert_uint_lt(none.files[0].size, SMALL_BYTES);

    /* The first bytes of it, up to the first chunk of a file, hold all of the text. */
    static size_t starts[2000];
    size_t count = pieces_of(buf_span(&all.files[0]), starts, 2000);
    size_t first = 0;
    while (!is_chunk_piece(starts, first)) {
        first++;
        ck_assert_uint_lt(first, count);
    }
    struct span cut = span_of(all.files[0].data, starts[first]);
    bundles_import_spans(hq, &cut, 1, false, &outcome);
    ck_assert_uint_gt(outcome.counts.taken, 10);
    for (size_t n = 0; n < outcome.standing_count; n++) {
        ck_assert_uint_eq(outcome.standing[n].missing, 0);
    }
    ck_assert_uint_eq(pictures_held(hq, &small.address), 0);
    /* Nothing in it names them. */
    ck_assert_ptr_null(memmem(all.files[0].data, all.files[0].size, small.address.bytes, HASH_BYTES));
    bundles_free(&none);
    bundles_free(&wanted);
    bundles_free(&all);
}
END_TEST

START_TEST(a_file_arrives_whole_and_is_not_sent_again_once_it_is_known_to_be_there)
{
    struct bundles volumes;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    bundles_import_all(hq, &volumes, &outcome);
    ck_assert_uint_eq(outcome.counts.files.taken, 4 + LARGE_CHUNKS);
    ck_assert_uint_eq(outcome.counts.files.held, 0);
    ck_assert_uint_eq(outcome.counts.files.refused + outcome.counts.files.waiting, 0);
    ck_assert_uint_eq(outcome.here.whole, 2);
    ck_assert_uint_eq(outcome.here.partly, 0);
    ck_assert(outcome.files[0].whole);
    pictures_expect(hq, &small, SMALL);
    pictures_expect(hq, &large, LARGE);
    /* Again: all of it is here. */
    bundles_import_all(hq, &volumes, &outcome);
    ck_assert_uint_eq(outcome.counts.files.taken, 0);
    ck_assert_uint_eq(outcome.counts.files.held, 4 + LARGE_CHUNKS);
    bundles_free(&volumes);
    /* What comes back says so, and the next stick is light. */
    bundles_export_files(hq, ken, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    ck_assert_uint_eq(volumes.progress.files, 0);
    bundles_import_all(ken, &volumes, &outcome);
    bundles_free(&volumes);
    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    ck_assert_uint_eq(volumes.progress.files, 0);
    bundles_free(&volumes);
    bundles_export_files(ken, hq, BUNDLE_ALL, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    ck_assert_uint_eq(volumes.progress.files, 2);
    bundles_free(&volumes);
}
END_TEST

START_TEST(what_a_destination_asked_for_goes_along_whatever_its_size)
{
    struct bundles volumes;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_NONE, UINT32_MAX, &volumes);
    bundles_import_all(hq, &volumes, &outcome);
    bundles_free(&volumes);
    pictures_wish(hq, &large.address, WISH_ASKED);
    bundles_export_files(hq, ken, BUNDLE_LACKING, BUNDLE_FILES_WANTED, UINT32_MAX, &volumes);
    bundles_import_all(ken, &volumes, &outcome);
    bundles_free(&volumes);
    test_node_close(ken);
    test_node_open(ken);
    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_WANTED, UINT32_MAX, &volumes);
    ck_assert_uint_eq(volumes.progress.files, 2);
    bundles_import_all(hq, &volumes, &outcome);
    bundles_free(&volumes);
    pictures_expect(hq, &large, LARGE);
    /* A wish that was fulfilled is one no more. */
    bundles_export_files(hq, ken, BUNDLE_LACKING, BUNDLE_FILES_WANTED, UINT32_MAX, &volumes);
    bundles_import_all(ken, &volumes, &outcome);
    bundles_free(&volumes);
    pictures_wish(hq, &large.address, WISH_AWAY);
    bundles_export_files(ken, hq, BUNDLE_ALL, BUNDLE_FILES_WANTED, UINT32_MAX, &volumes);
    ck_assert_uint_eq(volumes.progress.files, 1);
    bundles_free(&volumes);
}
END_TEST

START_TEST(a_carrier_takes_a_file_along_that_it_cannot_open)
{
    struct bundles volumes;

    bundles_export_files(ken, relay, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    bundles_import_all(relay, &volumes, &outcome);
    bundles_free(&volumes);
    ck_assert_uint_eq(outcome.counts.files.taken, 4 + LARGE_CHUNKS);
    ck_assert(pictures_is_whole(relay, &large.address));
    bundles_export_files(relay, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    bundles_import_all(hq, &volumes, &outcome);
    bundles_free(&volumes);
    pictures_expect(hq, &small, SMALL);
    pictures_expect(hq, &large, LARGE);
}
END_TEST

/* --- damage --- */

START_TEST(damage_costs_its_own_piece_and_a_second_stick_completes_the_first)
{
    static size_t starts[2000];
    struct bundles first;
    struct bundles second;
    size_t flipped = 0;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &first);
    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &second);
    size_t count = pieces_of(buf_span(&first.files[0]), starts, 2000);
    /* Every tenth chunk, heads and pages too: those come again behind what they verify. */
    for (size_t n = 0; n < count; n++) {
        if (is_chunk_piece(starts, n) && n % 10 == 0) {
            flip(&first.files[0], starts[n] + 1000);
            flipped++;
        }
    }
    ck_assert_uint_gt(flipped, 20);
    bundles_import_all(hq, &first, &outcome);
    uint64_t missing = 4 + LARGE_CHUNKS - outcome.counts.files.taken;
    /* A page of the large file is as large as a chunk. */
    ck_assert_uint_le(missing, flipped);
    ck_assert_uint_ge(missing, flipped - 2);
    ck_assert_uint_eq(outcome.counts.files.waiting, 0);
    ck_assert_uint_eq(outcome.here.chunks_missing, missing);
    ck_assert_uint_eq(outcome.files[0].reading.damaged_places, flipped);
    ck_assert(!outcome.files[0].whole);
    test_node_close(hq);
    test_node_open(hq);
    bundles_import_all(hq, &second, &outcome);
    ck_assert_uint_eq(outcome.counts.files.taken, missing);
    ck_assert_uint_eq(outcome.counts.files.held, 4 + LARGE_CHUNKS - missing);
    ck_assert_uint_eq(outcome.here.whole, 2);
    pictures_expect(hq, &large, LARGE);
    bundles_free(&first);
    bundles_free(&second);
}
END_TEST

START_TEST(a_damaged_head_or_page_costs_nothing_because_it_comes_again)
{
    static size_t starts[2000];
    struct bundles volumes;
    size_t first = 0;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    size_t count = pieces_of(buf_span(&volumes.files[0]), starts, 2000);
    while (!is_chunk_piece(starts, first)) {
        first++;
        ck_assert_uint_lt(first, count);
    }
    /* What comes before the first chunk: its name, its head and its page. */
    for (size_t n = first - 3; n < first; n++) {
        flip(&volumes.files[0], starts[n] + 50);
    }
    bundles_import_all(hq, &volumes, &outcome);
    ck_assert_uint_eq(outcome.counts.files.taken, 4 + LARGE_CHUNKS);
    ck_assert_uint_eq(outcome.counts.files.waiting, 0);
    pictures_expect(hq, &small, SMALL);
    bundles_free(&volumes);
}
END_TEST

START_TEST(each_volume_is_of_use_without_the_others)
{
    struct bundles volumes;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, 1 << 20, &volumes);
    ck_assert_uint_ge(volumes.count, 3);
    /* The text is in the first; of the file the middle is lost. */
    struct span files[] = { buf_span(&volumes.files[2]), buf_span(&volumes.files[0]) };
    bundles_import_spans(hq, files, 2, false, &outcome);
    ck_assert_uint_eq(outcome.counts.files.waiting, 0);
    uint32_t held = pictures_held(hq, &large.address);
    ck_assert_uint_gt(held, LARGE_CHUNKS / 2);
    ck_assert_uint_lt(held, LARGE_CHUNKS);
    ck_assert_uint_eq(outcome.here.partly, 1);
    bundles_import_all(hq, &volumes, &outcome);
    ck_assert_uint_eq(outcome.counts.files.taken, LARGE_CHUNKS - held);
    pictures_expect(hq, &large, LARGE);
    bundles_free(&volumes);
}
END_TEST

START_TEST(a_turn_that_is_lost_costs_nothing_but_time)
{
    struct bundles volumes;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    bundles_turns_lost = 2;
    bundles_import_all(hq, &volumes, &outcome);
    ck_assert_uint_eq(outcome.here.whole, 2);
    pictures_expect(hq, &large, LARGE);
    bundles_free(&volumes);
}
END_TEST

/* --- what is not taken --- */

START_TEST(what_nobody_names_here_or_was_put_away_is_not_taken)
{
    struct bundles volumes;
    struct bundles text;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_NONE, UINT32_MAX, &text);
    bundles_import_all(hq, &text, &outcome);
    pictures_wish(hq, &large.address, WISH_AWAY);
    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    bundles_import_all(hq, &volumes, &outcome);
    ck_assert_uint_eq(outcome.counts.files.taken, 4);
    ck_assert_uint_eq(outcome.counts.files.unwanted, LARGE_CHUNKS);
    ck_assert_uint_eq(pictures_held(hq, &large.address), 0);
    ck_assert_uint_eq(outcome.here.partly, 0);
    bundles_free(&volumes);
    bundles_free(&text);
}
END_TEST

START_TEST(an_inspection_tells_how_many_bytes_and_takes_nothing)
{
    struct bundles volumes;
    struct span file;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &volumes);
    file = buf_span(&volumes.files[0]);
    bundles_import_spans(hq, &file, 1, true, &outcome);
    ck_assert_uint_eq(outcome.files[0].file_bytes, (uint64_t)(4 + LARGE_CHUNKS) * BLOB_SEALED_BYTES);
    ck_assert(outcome.files[0].whole);
    ck_assert_uint_eq(outcome.files[0].parts_unknown, 0);
    ck_assert_uint_eq(pictures_held(hq, &large.address), 0);
    bundles_free(&volumes);
}
END_TEST

/* --- by hand: parts as somebody who has the file key could make them --- */

static struct key file_key;
static struct ident bundle_id;
static struct buf made;
static uint32_t index_next;

/* Begin a volume; with no manifest nobody vouches for it. */
static void
begin_volume(const struct test_node *to)
{
    struct bundle_head head;
    uint8_t box_pk[1][32];

    memset(file_key.bytes, 7, sizeof file_key.bytes);
    memset(bundle_id.bytes, 9, sizeof bundle_id.bytes);
    memcpy(box_pk[0], to->identity.box.public_key, 32);
    ck_assert_int_eq(
        bundle_head_make(&head, &bundle_id, &file_key, (const uint8_t(*)[32])box_pk, 1, to->replica->world),
        ERR_OK);
    bundle_head_write(&made, &head);
    index_next = 0;
}

static void
put_part(struct span text)
{
    struct key volume_key;

    bundle_volume_key(&volume_key, &file_key, &bundle_id, 1);
    bundle_part_write(&made, &volume_key, index_next, text);
    index_next++;
}

/* A piece of the small file, as it is at ken, spoiled or not, or of no file at all. */
static void
put_file_part(enum blob_piece piece, uint32_t index, uint32_t chunk_count, bool spoiled)
{
    struct blob_part part = { .address = small.address, .piece = (uint8_t)piece, .index = index };
    struct table_txn *txn = NULL;
    struct buf bytes = { 0 };
    struct buf text = { 0 };

    memcpy(part.tag, cases.bytes, TAG_BYTES);
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert_int_eq(
        parcel_read(ken->replica, &cases, &small.address, piece, index, &bytes, &part.chunk_count), ERR_OK);
    replica_end_read(ken->replica, &txn);
    bytes.data[3] ^= spoiled ? 1 : 0;
    part.chunk_count = chunk_count;
    part.bytes = buf_span(&bytes);
    buf_put_u8(&text, BUNDLE_FILE);
    blob_part_write(&text, &part);
    put_part(buf_span(&text));
    buf_free(&bytes);
    buf_free(&text);
}

START_TEST(a_piece_that_is_not_of_the_file_is_refused_and_the_rest_is_used)
{
    static const uint8_t noise[] = { BUNDLE_FILE, 1, 2, 3 };
    static const uint8_t later[] = { 200, 1, 2, 3 };
    struct bundles text;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_NONE, UINT32_MAX, &text);
    bundles_import_all(hq, &text, &outcome);
    begin_volume(hq);
    put_file_part(BLOB_HEAD, 0, 4, false);
    put_file_part(BLOB_PAGE, 0, 4, true);
    put_file_part(BLOB_PAGE, 0, 4, false);
    put_file_part(BLOB_CHUNK, 0, 4, false);
    put_file_part(BLOB_CHUNK, 1, 4, true);
    put_file_part(BLOB_CHUNK, 2, 5, false); /* says that there are more than there are */
    put_part(span_of(noise, sizeof noise));
    put_part(span_of(later, sizeof later));
    put_file_part(BLOB_CHUNK, 3, 4, false);
    struct span file = buf_span(&made);
    bundles_import_spans(hq, &file, 1, false, &outcome);
    ck_assert_uint_eq(outcome.counts.files.taken, 2);
    ck_assert_uint_eq(outcome.counts.files.refused, 4);
    ck_assert_uint_eq(outcome.files[0].parts_unknown, 1);
    ck_assert_uint_eq(pictures_held(hq, &small.address), 2);
    ck_assert_uint_eq(outcome.here.chunks_missing, 2);
    buf_free(&made);
    bundles_free(&text);
}
END_TEST

/* What an exporter says of itself counts only if a member signed it: else a carrier is made to keep nothing. */
START_TEST(what_nobody_signed_makes_a_carrier_keep_nothing)
{
    struct blob_have_item item;
    struct table_txn *txn = NULL;
    struct buf text = { 0 };
    struct buf frame = { 0 };
    struct bundles only_text;
    struct span said;

    bundles_export_files(ken, relay, BUNDLE_LACKING, BUNDLE_FILES_NONE, UINT32_MAX, &only_text);
    /* Its list of what ken holds, at the end, is cut off. */
    static size_t starts[400];
    size_t count = pieces_of(buf_span(&only_text.files[0]), starts, 400);
    struct span cut = span_of(only_text.files[0].data, starts[count - 3]);
    bundles_import_spans(relay, &cut, 1, false, &outcome);
    ck_assert_uint_gt(outcome.counts.taken, 10);
    ck_assert_int_eq(replica_begin_read(ken->replica, &txn), ERR_OK);
    ck_assert_int_eq(parcel_item(ken->replica, &cases, &small.address, &item), ERR_OK);
    replica_end_read(ken->replica, &txn);

    blob_have_write(&frame, cases.bytes);
    blob_have_item_write(&frame, &item);
    begin_volume(relay);
    bundle_said_write(&text, BUNDLE_HAVE, &bundle_id, buf_span(&frame), &ken->identity.sign);
    put_part(buf_span(&text));
    put_file_part(BLOB_HEAD, 0, 4, false);
    put_file_part(BLOB_PAGE, 0, 4, false);
    put_file_part(BLOB_CHUNK, 0, 4, false);
    struct span file = buf_span(&made);
    bundles_import_spans(relay, &file, 1, false, &outcome);
    ck_assert_uint_eq(outcome.counts.files.unwanted, 1);
    ck_assert_uint_eq(pictures_held(relay, &small.address), 0);
    struct span body = span_of(text.data + 1, text.size - 1);
    ck_assert(!bundle_said_read(body, BUNDLE_WISHES, &bundle_id, ken->identity.sign.public_key, &said));
    ck_assert(!bundle_said_read(body, BUNDLE_HAVE, &bundle_id, hq->identity.sign.public_key, &said));
    ck_assert(bundle_said_read(body, BUNDLE_HAVE, &bundle_id, ken->identity.sign.public_key, &said));
    /* With the list that is signed it takes the same. */
    bundles_import_all(relay, &only_text, &outcome);
    bundles_import_spans(relay, &file, 1, false, &outcome);
    ck_assert_uint_eq(outcome.counts.files.taken, 1);
    ck_assert_uint_eq(pictures_held(relay, &small.address), 1);
    buf_free(&text);
    buf_free(&frame);
    buf_free(&made);
    bundles_free(&only_text);
}
END_TEST

START_TEST(an_erased_file_does_not_come_back_in_a_pocket)
{
    struct replica_order order;
    struct bundles before;
    struct bundles after;

    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &before);
    bundles_import_all(hq, &before, &outcome);
    ck_assert(pictures_is_whole(hq, &small.address));
    saves_begin(ken);
    ck_assert_int_eq(replica_order_erasure(ken->replica, &cases, &small_person, CONSENT_WITHDRAWN, 1, &order),
                     ERR_OK);
    saves_commit(ken);
    test_node_tend(ken);
    bundles_export_files(ken, hq, BUNDLE_LACKING, BUNDLE_FILES_ALL, UINT32_MAX, &after);
    bundles_import_all(hq, &after, &outcome);
    bundles_import_all(hq, &before, &outcome);
    ck_assert_uint_eq(outcome.counts.files.unwanted, 4);
    ck_assert_uint_eq(outcome.counts.files.held, LARGE_CHUNKS);
    struct blob_file *file = NULL;
    ck_assert_int_eq(blob_open(&file, replica_blobs(hq->replica), &small.address), ERR_ABSENT);
    ck_assert(pictures_is_whole(hq, &large.address));
    bundles_free(&before);
    bundles_free(&after);
}
END_TEST

SUITE_MAIN_WITH("bundle_files", setup, teardown,
                text_comes_before_pictures_and_only_what_was_chosen_goes_along,
                a_file_arrives_whole_and_is_not_sent_again_once_it_is_known_to_be_there,
                what_a_destination_asked_for_goes_along_whatever_its_size,
                a_carrier_takes_a_file_along_that_it_cannot_open,
                damage_costs_its_own_piece_and_a_second_stick_completes_the_first,
                a_damaged_head_or_page_costs_nothing_because_it_comes_again,
                each_volume_is_of_use_without_the_others, a_turn_that_is_lost_costs_nothing_but_time,
                what_nobody_names_here_or_was_put_away_is_not_taken,
                an_inspection_tells_how_many_bytes_and_takes_nothing,
                a_piece_that_is_not_of_the_file_is_refused_and_the_rest_is_used,
                what_nobody_signed_makes_a_carrier_keep_nothing,
                an_erased_file_does_not_come_back_in_a_pocket)
