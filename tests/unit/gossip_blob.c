/* Files in the conversation between real replicas: what is told, asked for and given when, what a cut costs, and what becomes
 * of a peer that lies or is silent. */
#include "tests/support/bundles.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/shelf.h"
#include "sync/gossip.h"
#include "sync/replica_state.h"
#include "sync/scrub.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONTENT_CHUNKS = 301,
    CONTENT_BYTES = (CONTENT_CHUNKS - 1) * BLOB_CHUNK_BYTES + 9,
    CREDIT_BYTES = 128 * 1024,
    ENDS = 4,
    STEP_MS = 20,
    MINUTE_MS = 60 * 1000,
    TEXT_BYTES = 20000,
};

struct end {
    struct test_node *node;
    struct world world; /* the node's, with a line */
    struct gossip *gossip;
};

/* A connection between two ends; what one of them sent and the other has not taken. */
struct line {
    struct end *end[2];
    bool up;
    struct buf *frames[2];
    size_t count[2];
    size_t room[2];
};

static struct test_organisation org;
static struct end ken;
static struct end hq;
static struct end relay; /* carries what it cannot read */
static struct end geneva;
static struct end *const ends[ENDS] = { &ken, &hq, &relay, &geneva };
static struct line lines[4];
static uint32_t line_count;
static struct ident cases;
static struct ident person;
static struct blob_made made;
static uint8_t *content;

/* Done to each frame before it is taken; false: it is lost. */
static bool (*meddle)(const struct end *from, const struct end *to, struct buf *frame,
                      const struct frame *read);
static uint8_t came[CONTENT_CHUNKS]; /* how often each chunk reached hq */
static size_t asks;                  /* ASKs for something that hq sent */
static size_t ends_told;             /* ASKs for nothing, by anybody */
static size_t haves;
static size_t have_items;
static uint64_t text_bytes; /* of CHUNK frames of ken, and of BLOB frames */
static uint64_t file_bytes;
static uint64_t under_way_max; /* bytes of files that were on one line at once */
static char order[100000];     /* of frames of ken that reached somebody: 't' and 'b' */
static size_t order_count;

static bool
send_to_line(void *self, uint32_t number, struct span bytes)
{
    struct line *line = &lines[number - 1];
    int side = &line->end[0]->node->world == self ? 0 : 1;

    if (!line->up) {
        return false;
    }
    if (line->count[side] == line->room[side]) {
        line->room[side] = line->room[side] * 2 + 16;
        line->frames[side] = realloc(line->frames[side], line->room[side] * sizeof *line->frames[side]);
    }
    struct buf *frame = &line->frames[side][line->count[side]++];
    *frame = (struct buf){ 0 };
    buf_put_span(frame, bytes);
    return true;
}

static void
open_end(struct end *end, const char *office, enum level level, const struct ceremony_grant *grants,
         size_t grant_count)
{
    end->node = test_organisation_enrol(&org, office, level, grants, grant_count);
}

static void
open_gossip(struct end *end, enum link_profile profile)
{
    gossip_close(&end->gossip);
    end->world = end->node->world.world;
    end->world.send = send_to_line;
    ck_assert_int_eq(gossip_open(&end->gossip,
                                 &(struct gossip_options){
                                     .world = &end->world,
                                     .store = replica_gossip_store(end->node->replica),
                                     .device_id = end->node->identity.device_id,
                                     .control = *roster_control(replica_roster(end->node->replica)),
                                     .profile = profile,
                                     .version = "test",
                                     .credit_bytes = CREDIT_BYTES,
                                 }),
                     ERR_OK);
}

static uint64_t
now_ms(void)
{
    return ken.node->world.steady_ms;
}

static void
plug_in(struct line *line)
{
    line->up = true;
    for (int side = 0; side < 2; side++) {
        ck_assert_int_eq(gossip_up(line->end[side]->gossip, (uint32_t)(line - lines) + 1,
                                   &line->end[1 - side]->node->identity.device_id, side == 0, now_ms()),
                         ERR_OK);
    }
}

static struct line *
join(struct end *dialler, struct end *listener)
{
    struct line *line = &lines[line_count++];

    line->end[0] = dialler;
    line->end[1] = listener;
    plug_in(line);
    return line;
}

static void
cut(struct line *line)
{
    line->up = false;
    for (int side = 0; side < 2; side++) {
        for (size_t n = 0; n < line->count[side]; n++) {
            buf_free(&line->frames[side][n]);
        }
        line->count[side] = 0;
        gossip_down(line->end[side]->gossip, (uint32_t)(line - lines) + 1, "it was cut", now_ms());
    }
}

static void
look(struct end *from, const struct end *to, const struct frame *frame, size_t bytes)
{
    char what = '\0';

    if (frame->type == FRAME_BLOB) {
        what = 'b';
        file_bytes += from == &ken ? bytes : 0;
        if (frame->blob.piece == BLOB_CHUNK && to == &hq) {
            came[frame->blob.index]++;
        }
    } else if (frame->type == FRAME_CHUNK) {
        what = 't';
        text_bytes += from == &ken ? bytes : 0;
    } else if (frame->type == FRAME_HAVE) {
        struct reader items = frame->have.items;
        struct blob_have_item item;

        haves++;
        while (blob_have_next(&items, &item)) {
            have_items++;
        }
    } else if (frame->type == FRAME_ASK) {
        bool nothing = !frame->ask.head && reader_left(&frame->ask.pages) == 0;
        asks += !nothing && from == &hq;
        ends_told += nothing;
    }
    if (what != '\0' && from == &ken && order_count < sizeof order) {
        order[order_count++] = what;
    }
}

/* One turn of an end: what has come, the commit, then what leaves. */
static void
turn(struct end *end)
{
    ck_assert_int_eq(replica_begin(end->node->replica), ERR_OK);
    for (uint32_t n = 0; n < line_count; n++) {
        struct line *line = &lines[n];
        int side = line->end[0] == end ? 1 : 0;

        if (line->end[1 - side] != end) {
            continue;
        }
        uint64_t before = file_bytes;
        for (size_t k = 0; k < line->count[side]; k++) {
            struct buf *bytes = &line->frames[side][k];
            struct frame frame;

            ck_assert(frame_read(buf_span(bytes), &frame));
            if (meddle == NULL || meddle(line->end[side], end, bytes, &frame)) {
                look(line->end[side], end, &frame, bytes->size);
                gossip_receive(end->gossip, n + 1, buf_span(bytes), now_ms());
            }
            buf_free(bytes);
        }
        line->count[side] = 0;
        under_way_max = file_bytes - before > under_way_max ? file_bytes - before : under_way_max;
    }
    (void)replica_tend(end->node->replica);
    ck_assert_int_eq(replica_commit(end->node->replica), ERR_OK);
    gossip_tick(end->gossip, now_ms());
    (void)gossip_flush(end->gossip, now_ms());
}

static void
pass(uint64_t ms)
{
    for (int n = 0; n < ENDS; n++) {
        test_world_pass(&ends[n]->node->world, ms);
    }
}

static bool
is_idle(void)
{
    for (uint32_t n = 0; n < line_count; n++) {
        if (lines[n].count[0] > 0 || lines[n].count[1] > 0) {
            return false;
        }
    }
    return true;
}

/* Let `ms` pass, in steps that are longer while nothing is under way, or stop when `done` holds. True: it held. */
static bool
run(uint64_t ms, bool (*done)(void))
{
    for (uint64_t until = now_ms() + ms; now_ms() < until;) {
        for (int n = 0; n < ENDS; n++) {
            turn(ends[n]);
        }
        if (done != NULL && done()) {
            return true;
        }
        pass(is_idle() ? 500 : STEP_MS);
    }
    return false;
}

static struct shelf_blob
shelf_of(const struct end *end)
{
    struct table_txn *txn = NULL;
    struct shelf_blob blob = { 0 };

    ck_assert_int_eq(replica_begin_read(end->node->replica, &txn), ERR_OK);
    if (shelf_get(txn, &made.address, &blob) != ERR_OK) {
        blob = (struct shelf_blob){ 0 };
    }
    replica_end_read(end->node->replica, &txn);
    return blob;
}

static bool
knows_holder(const struct end *end, const struct end *holder)
{
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(end->node->replica, &txn), ERR_OK);
    bool knows = shelf_holder(txn, &made.address, &holder->node->identity.device_id) != 0;
    replica_end_read(end->node->replica, &txn);
    return knows;
}

static bool
has_all(const struct end *end)
{
    struct shelf_blob blob = shelf_of(end);

    return shelf_is_whole(&blob);
}

static bool
hq_has_all(void)
{
    return has_all(&hq);
}

static bool
hq_has_half(void)
{
    return shelf_of(&hq).held >= CONTENT_CHUNKS / 2;
}

static bool
hq_has_some(void)
{
    return shelf_of(&hq).held > 20;
}

static const struct gossip_peer_status *
status_of(const struct end *end, const struct end *peer)
{
    size_t count;
    const struct gossip_peer_status *all = gossip_status(end->gossip, &count);

    for (size_t n = 0; n < count; n++) {
        if (hash_equal(&all[n].device_id, &peer->node->identity.device_id)) {
            return &all[n];
        }
    }
    ck_abort_msg("no such peer");
}

static void
wish(struct end *end, enum shelf_wish wish)
{
    saves_begin(end->node);
    ck_assert_int_eq(shelf_wish(end->node->replica->main_txn, &made.address, wish), ERR_OK);
    saves_commit(end->node);
}

/* A person with a picture, at KEN. */
static void
add_picture(void)
{
    struct blob_writer *writer;
    struct buf values[2] = { { 0 } };
    struct saved saved;
    size_t op;

    person = saves_person(ken.node, &cases, "Wanjiru");
    ck_assert_int_eq(blob_writer_open(&writer, replica_blobs(ken.node->replica), CONTENT_BYTES), ERR_OK);
    ck_assert_int_eq(blob_write(writer, span_of(content, CONTENT_BYTES)), ERR_OK);
    ck_assert_int_eq(blob_writer_end(writer, &made), ERR_OK);
    cbor_put_bytes(&values[0], hash_span(&made.address));
    cbor_put_uint(&values[1], CONTENT_BYTES);
    const struct save_op ops[] = {
        { .code = OP_SET,
          .target = { .collection = COLLECTION_ATTACHMENT, .element = { 1 }, .field = FIELD_ATTACHMENT_FILE },
          .value = buf_span(&values[0]) },
        { .code = OP_SET,
          .target = { .collection = COLLECTION_ATTACHMENT, .element = { 1 }, .field = FIELD_ATTACHMENT_SIZE },
          .value = buf_span(&values[1]) },
    };
    const struct save save = {
        .compartment = cases, .record_id = person, .actor = 1, .ops = ops, .op_count = 2
    };
    saves_begin(ken.node);
    ck_assert_int_eq(replica_save(ken.node->replica, &save, &saved, &op), ERR_OK);
    shelf_put_whole(ken.node->replica->main_txn, &made.address, made.chunk_count);
    ck_assert_int_eq(blob_writer_keep(writer), ERR_OK);
    saves_commit(ken.node);
    blob_writer_close(&writer);
    buf_free(&values[0]);
    buf_free(&values[1]);
}

/* A case at KEN with a long text that no packing makes much shorter. */
static void
write_text(void)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
    static char text[TEXT_BYTES + 1];

    world_random(&ken.node->world.world, text, TEXT_BYTES);
    for (size_t n = 0; n < TEXT_BYTES; n++) {
        text[n] = letters[(uint8_t)text[n] % 64];
    }
    const struct save_op ops[] = { saves_kind("case"), saves_set("case", "narrative.text", text) };
    saves_begin(ken.node);
    (void)saves_new(ken.node, &cases, ops, 2);
    saves_commit(ken.node);
    gossip_changed(ken.gossip, &cases, &(struct hash){ { 0 } }, now_ms());
}

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    log_to(silent, NULL);
    test_organisation_init(&org, 92);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:all=carry", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "RELAY", "Relay", false, grants, count, &fault), ERR_OK);
    open_end(&relay, "RELAY", LEVEL_CARRY, grants, count);
    open_end(&ken, "KEN", LEVEL_ADMIN, NULL, 0);
    open_end(&hq, "HQ", LEVEL_ADMIN, NULL, 0);
    open_end(&geneva, "HQ", LEVEL_ADMIN, NULL, 0);
    for (size_t n = 0; n < org.node_count; n++) {
        test_node_join(&org, org.nodes[n]);
    }
    cases = test_compartment(ken.node, "KEN", OWN_CASES);
    content = calloc(1, CONTENT_BYTES);
    for (size_t n = 0; n < CONTENT_BYTES; n++) {
        content[n] = (uint8_t)(n * 13 + n / 8192);
    }
    for (int n = 0; n < ENDS; n++) {
        open_gossip(ends[n], PROFILE_LAN);
    }
    meddle = NULL;
    memset(came, 0, sizeof came);
    asks = ends_told = haves = have_items = order_count = 0;
    text_bytes = file_bytes = under_way_max = 0;
    line_count = 0;
}

static void
teardown(void)
{
    for (uint32_t n = 0; n < line_count; n++) {
        if (lines[n].up) {
            cut(&lines[n]);
        }
        free(lines[n].frames[0]);
        free(lines[n].frames[1]);
    }
    memset(lines, 0, sizeof lines);
    for (int n = 0; n < ENDS; n++) {
        gossip_close(&ends[n]->gossip);
    }
    free(content);
    test_organisation_free(&org);
    saves_free();
}

static void
expect_whole(const struct end *end)
{
    uint8_t out[BLOB_CHUNK_BYTES];
    struct blob_reader reader;
    struct blob_file *file;
    size_t at = 0;
    size_t part = 1;

    ck_assert_int_eq(blob_open(&file, replica_blobs(end->node->replica), &made.address), ERR_OK);
    ck_assert(blob_is_whole(file));
    ck_assert_int_eq(blob_reader_init(&reader, file, &made.key, CONTENT_BYTES), ERR_OK);
    while (part > 0) {
        ck_assert_int_eq(blob_reader_next(&reader, out, &part), ERR_OK);
        ck_assert_mem_eq(out, content + at, part);
        at += part;
    }
    ck_assert_uint_eq(at, CONTENT_BYTES);
    blob_reader_wipe(&reader);
    blob_close(&file);
}

static void
expect_each_chunk_once(void)
{
    for (size_t n = 0; n < CONTENT_CHUNKS; n++) {
        ck_assert_uint_eq(came[n], 1);
    }
}

START_TEST(a_file_comes_after_its_record_and_both_know_who_holds_it)
{
    join(&hq, &ken);
    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_all));
    expect_whole(&hq);
    expect_each_chunk_once();
    ck_assert_uint_eq(asks, 1);
    ck_assert_int_eq(order[0], 't');
    /* Half of the credit is for what is more urgent. */
    ck_assert_uint_le(under_way_max, CREDIT_BYTES / 2);
    ck_assert_uint_gt(under_way_max, CREDIT_BYTES / 4);
    run(10 * 1000, NULL);
    ck_assert(knows_holder(&hq, &ken) && knows_holder(&ken, &hq));
    /* Each was told of it once, and nothing goes on. */
    ck_assert_uint_eq(haves, 2);
    run(30 * MINUTE_MS, NULL);
    ck_assert_uint_eq(haves, 2);
    ck_assert_uint_eq(asks, 1);
    ck_assert_uint_eq(ends_told, 0);
    ck_assert_uint_eq(status_of(&hq, &ken)->pieces_refused, 0);
    ck_assert_uint_eq(status_of(&hq, &ken)->frames_stray, 0);
    ck_assert_uint_eq(status_of(&hq, &ken)->pieces_taken, status_of(&ken, &hq)->pieces_sent);
}
END_TEST

START_TEST(what_came_before_a_cut_is_not_sent_again)
{
    struct line *line = join(&hq, &ken);

    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_half));
    uint32_t held = shelf_of(&hq).held;
    cut(line);
    ck_assert_uint_eq(shelf_of(&hq).held, held);
    run(MINUTE_MS, NULL);
    plug_in(line);
    ck_assert(run(MINUTE_MS, hq_has_all));
    expect_whole(&hq);
    expect_each_chunk_once();
}
END_TEST

START_TEST(two_that_never_meet_get_a_file_through_who_cannot_open_it)
{
    join(&relay, &ken);
    join(&hq, &relay);
    add_picture();
    ck_assert(run(2 * MINUTE_MS, hq_has_all));
    expect_whole(&hq);
    ck_assert(has_all(&relay));
    run(10 * 1000, NULL);
    ck_assert(knows_holder(&hq, &relay) && knows_holder(&relay, &hq) && !knows_holder(&hq, &ken));
}
END_TEST

START_TEST(text_comes_before_files_which_have_their_tenth)
{
    join(&hq, &ken);
    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_some));
    for (int n = 0; n < 60; n++) {
        write_text();
    }
    uint64_t text_before = text_bytes;
    uint64_t file_before = file_bytes;
    size_t from = order_count;
    ck_assert(run(2 * MINUTE_MS, hq_has_all));
    size_t last = order_count;
    while (last > from && order[last - 1] != 't') {
        last--;
    }
    ck_assert_uint_gt(text_bytes - text_before, 600 * 1000);
    size_t files = 0;
    size_t texts = 0;
    for (size_t n = from; n < last; n++) {
        files += order[n] == 'b';
        texts += order[n] == 't';
    }
    /* What was under way when the text began came first; then a file had its tenth, and the rest when the text had come. */
    uint64_t due = (text_bytes - text_before) / 9;
    uint64_t under_way = CREDIT_BYTES / 2 + 2 * BLOB_SEALED_BYTES;
    ck_assert_uint_gt(files, due / BLOB_SEALED_BYTES / 2);
    ck_assert_uint_lt(files, (due + under_way) / BLOB_SEALED_BYTES + 1);
    ck_assert_uint_gt(texts, 5);
    ck_assert_uint_gt(file_bytes - file_before, 2 * due);
}
END_TEST

/* A frame of ken's that its gossip would not send. */
static void
put_in(const struct buf *frame)
{
    struct line *line = &lines[0];

    ck_assert(send_to_line(&line->end[1]->node->world, 1, buf_span(frame)));
}

/* Once more: "I hold it". */
static void
put_have(void)
{
    struct blob_have_item item = { .address = made.address, .chunk_count = CONTENT_CHUNKS };
    struct buf frame = { 0 };

    blob_have_write(&frame, cases.bytes);
    blob_have_item_write(&frame, &item);
    put_in(&frame);
    buf_free(&frame);
}

/* Spoil the third chunk that ken sends. */
static size_t spoilt_at;
static bool
spoil(const struct end *from, const struct end *to, struct buf *frame, const struct frame *read)
{
    if (from == &ken && to == &hq && read->type == FRAME_BLOB && read->blob.piece == BLOB_CHUNK &&
        ++spoilt_at == 3) {
        frame->data[frame->size - 5] ^= 1;
    }
    return true;
}

START_TEST(what_does_not_match_is_refused_and_not_asked_for_there_again_in_the_session)
{
    struct line *line = join(&hq, &ken);

    spoilt_at = 0;
    meddle = spoil;
    add_picture();
    ck_assert(!run(30 * MINUTE_MS, hq_has_all));
    ck_assert_uint_eq(status_of(&hq, &ken)->pieces_refused, 1);
    ck_assert_uint_eq(asks, 1);
    ck_assert_uint_eq(ends_told, 1);
    ck_assert_uint_eq(shelf_of(&hq).held, 2);
    ck_assert_str_eq(status_of(&hq, &ken)->last_error, "a part of a file was not that of the file");
    ck_assert(!knows_holder(&hq, &ken));
    ck_assert_int_eq((int)status_of(&hq, &ken)->state, GOSSIP_EQUAL);
    put_have();
    run(30 * MINUTE_MS, NULL);
    ck_assert(knows_holder(&hq, &ken));
    ck_assert_uint_eq(asks, 1);
    /* Another session may find it better. */
    cut(line);
    plug_in(line);
    ck_assert(run(MINUTE_MS, hq_has_all));
    expect_whole(&hq);
}
END_TEST

/* To hq it is as if ken did not care what it is asked for. */
static bool
deafen_ken(const struct end *from, const struct end *to, struct buf *frame, const struct frame *read)
{
    (void)frame;
    bool lost = from == &hq && to == &ken && read->type == FRAME_ASK &&
                (read->ask.head || reader_left(&read->ask.pages) > 0);

    asks += lost;
    return !lost;
}

START_TEST(who_says_much_and_sends_nothing_is_asked_later_and_another_now)
{
    meddle = NULL;
    join(&relay, &ken);
    add_picture();
    run(MINUTE_MS, NULL);
    ck_assert(has_all(&relay));
    meddle = deafen_ken;
    join(&hq, &ken);
    ck_assert(!run(MINUTE_MS, hq_has_all));
    join(&hq, &relay);
    ck_assert(!run(MINUTE_MS / 2, hq_has_all)); /* it is asked for at one place only */
    ck_assert_uint_eq(asks, 1);
    ck_assert(run(2 * MINUTE_MS, hq_has_all));
    expect_whole(&hq);
    ck_assert_uint_eq(asks, 2);
}
END_TEST

START_TEST(a_silent_holder_is_asked_again_after_a_while)
{
    meddle = deafen_ken;
    join(&hq, &ken);
    add_picture();
    ck_assert(!run(10 * MINUTE_MS, hq_has_all));
    ck_assert_uint_ge(asks, 3);
    ck_assert_uint_le(asks, 6);
    meddle = NULL;
    ck_assert(run(20 * MINUTE_MS, hq_has_all));
    expect_each_chunk_once();
}
END_TEST

START_TEST(a_holder_that_has_it_no_longer_says_so_and_is_forgotten)
{
    join(&hq, &ken);
    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_half));
    wish(&ken, WISH_AWAY);
    run(MINUTE_MS, NULL);
    ck_assert_uint_ge(ends_told, 1);
    ck_assert(!knows_holder(&hq, &ken));
    size_t before = asks;
    run(30 * MINUTE_MS, NULL);
    ck_assert_uint_eq(asks, before);
    ck_assert(!has_all(&hq));
}
END_TEST

START_TEST(what_is_put_away_while_it_comes_stops_and_goes_on_when_it_is_wanted)
{
    join(&hq, &ken);
    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_half));
    wish(&hq, WISH_AWAY);
    run(MINUTE_MS, NULL);
    uint64_t before = file_bytes;
    run(10 * MINUTE_MS, NULL);
    ck_assert_uint_eq(file_bytes, before);
    ck_assert_uint_eq(shelf_of(&hq).held, 0);
    wish(&hq, WISH_ASKED);
    /* An end that it tells is taken for "I hold it no more", which it is, and not for "I never want it". */
    ck_assert(run(20 * MINUTE_MS, hq_has_all));
    expect_whole(&hq);
}
END_TEST

START_TEST(what_came_by_another_way_is_not_sent_to_its_end)
{
    join(&hq, &ken);
    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_some));
    saves_begin(hq.node);
    shelf_put_whole(hq.node->replica->main_txn, &made.address, CONTENT_CHUNKS);
    saves_commit(hq.node);
    uint64_t before = file_bytes;
    run(MINUTE_MS, NULL);
    ck_assert_uint_le(file_bytes - before, CREDIT_BYTES);
    ck_assert_uint_eq(ends_told, 1);
}
END_TEST

START_TEST(a_file_whose_record_is_erased_while_it_comes_stops_and_leaves_nothing)
{
    struct replica_order given;
    struct blob_file *file = NULL;

    join(&hq, &ken);
    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_half));
    saves_begin(ken.node);
    ck_assert_int_eq(replica_order_erasure(ken.node->replica, &cases, &person, 1, 1, &given), ERR_OK);
    saves_commit(ken.node);
    ck_assert_uint_eq(given.needed, 1);
    run(2 * MINUTE_MS, NULL);
    for (int n = 0; n < 2; n++) {
        ck_assert_uint_eq(shelf_of(ends[n]).references, 0);
        ck_assert_int_eq(blob_open(&file, replica_blobs(ends[n]->node->replica), &made.address), ERR_ABSENT);
        ck_assert(!knows_holder(ends[n], ends[1 - n]));
    }
    uint64_t before = file_bytes;
    size_t asked = asks;
    run(30 * MINUTE_MS, NULL);
    ck_assert_uint_eq(file_bytes, before);
    ck_assert_uint_eq(asks, asked);
}
END_TEST

static void
use_line(enum link_profile profile)
{
    for (int n = 0; n < ENDS; n++) {
        open_gossip(ends[n], profile);
    }
}

START_TEST(a_line_that_is_no_lan_brings_a_large_file_when_it_is_asked_for)
{
    use_line(PROFILE_WAN);
    join(&hq, &ken);
    add_picture();
    ck_assert(!run(10 * MINUTE_MS, hq_has_all));
    ck_assert_uint_eq(asks, 0);
    ck_assert(knows_holder(&hq, &ken));
    wish(&hq, WISH_ASKED);
    ck_assert(run(MINUTE_MS, hq_has_all));
    expect_whole(&hq);
}
END_TEST

static bool
is_hung_up(void)
{
    return status_of(&hq, &ken)->state == GOSSIP_REFUSED && status_of(&ken, &hq)->state == GOSSIP_REFUSED;
}

START_TEST(a_metered_session_brings_what_was_asked_for_and_then_ends)
{
    add_picture();
    use_line(PROFILE_METERED);
    struct line *line = join(&hq, &ken);
    ck_assert(run(2 * MINUTE_MS, is_hung_up));
    ck_assert_uint_eq(file_bytes, 0);
    ck_assert_str_eq(status_of(&hq, &ken)->last_ending, "complete");
    cut(line);
    wish(&hq, WISH_ASKED);
    plug_in(line);
    ck_assert(run(5 * MINUTE_MS, is_hung_up));
    ck_assert_str_eq(status_of(&hq, &ken)->last_ending, "complete");
    expect_whole(&hq);
    expect_each_chunk_once();
}
END_TEST

START_TEST(a_metered_peer_is_told_of_a_file_once_and_again_when_it_may_have_forgotten)
{
    add_picture();
    use_line(PROFILE_METERED);
    struct line *line = join(&hq, &ken);
    ck_assert(run(2 * MINUTE_MS, is_hung_up));
    ck_assert_uint_eq(haves, 1);
    ck_assert(knows_holder(&hq, &ken));
    for (int n = 0; n < 3; n++) {
        cut(line);
        plug_in(line);
        ck_assert(run(2 * MINUTE_MS, is_hung_up));
    }
    ck_assert_uint_eq(haves, 1);
    /* A new one is told, and no other. */
    struct hash first = made.address;
    content[0] ^= 1;
    add_picture();
    ck_assert(!hash_equal(&made.address, &first));
    cut(line);
    plug_in(line);
    ck_assert(run(3 * MINUTE_MS, is_hung_up));
    ck_assert_uint_eq(haves, 2);
    ck_assert_uint_eq(have_items, 2);
    ck_assert(knows_holder(&hq, &ken));
    /* After a week, and in a new incarnation, of both. */
    pass(UINT64_C(8) * 24 * 60 * MINUTE_MS);
    cut(line);
    plug_in(line);
    ck_assert(run(3 * MINUTE_MS, is_hung_up));
    ck_assert_uint_eq(have_items, 4);
    cut(line);
    ck_assert_int_eq(replica_new_incarnation(hq.node->replica, "test"), ERR_OK);
    plug_in(line);
    ck_assert(run(3 * MINUTE_MS, is_hung_up));
    ck_assert_uint_eq(have_items, 6);
}
END_TEST

/* --- a full disk --- */

static bool
hq_has_heard(void)
{
    return shelf_of(&hq).references > 0;
}

/* Its turns say that it was told, and go on: of what it could not note it is told again, once there is room. */
START_TEST(a_file_that_a_full_disk_was_told_of_comes_once_there_is_room)
{
    join(&hq, &ken);
    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_heard));
    hq.node->world.disk_full = true;
    run(20 * MINUTE_MS, NULL);
    ck_assert(!knows_holder(&hq, &ken));
    ck_assert_uint_eq(haves, 1);
    ck_assert_str_eq(status_of(&hq, &ken)->last_error, "this side is full");
    hq.node->world.disk_full = false;
    ck_assert(run(2 * MINUTE_MS, hq_has_all));
    expect_whole(&hq);
    expect_each_chunk_once();
    /* And then hq told ken. */
    run(30 * MINUTE_MS, NULL);
    ck_assert_uint_eq(haves, 3);
    ck_assert_uint_eq(asks, 1);
}
END_TEST

START_TEST(a_file_comes_where_the_disk_had_no_room_for_its_record_either)
{
    join(&hq, &ken);
    run(10 * 1000, NULL);
    hq.node->world.disk_full = true;
    add_picture();
    run(10 * MINUTE_MS, NULL);
    ck_assert(!hq_has_heard());
    ck_assert_uint_eq(haves, 1);
    /* What is new meanwhile waits with it. */
    content[0] ^= 1;
    add_picture();
    run(10 * MINUTE_MS, NULL);
    ck_assert_uint_eq(haves, 1);
    hq.node->world.disk_full = false;
    ck_assert(run(20 * MINUTE_MS, hq_has_all));
    expect_whole(&hq);
    /* Of both files, and ken by hq. */
    run(30 * MINUTE_MS, NULL);
    ck_assert_uint_eq(have_items, 1 + 2 + 2);
}
END_TEST

START_TEST(a_metered_peer_is_told_in_the_next_session_of_what_its_full_disk_could_not_note)
{
    add_picture();
    use_line(PROFILE_METERED);
    struct line *line = join(&hq, &ken);
    ck_assert(run(MINUTE_MS, hq_has_heard));
    hq.node->world.disk_full = true;
    ck_assert(run(3 * MINUTE_MS, is_hung_up));
    ck_assert_uint_eq(haves, 1);
    ck_assert(!knows_holder(&hq, &ken));
    hq.node->world.disk_full = false;
    for (int n = 0; n < 3; n++) {
        cut(line);
        plug_in(line);
        ck_assert(run(3 * MINUTE_MS, is_hung_up));
        ck_assert(knows_holder(&hq, &ken));
        ck_assert_uint_eq(haves, 2);
    }
}
END_TEST

/* There is no room whenever hq is told of a file. */
static bool
fill_disk(const struct end *from, const struct end *to, struct buf *frame, const struct frame *read)
{
    (void)from;
    (void)frame;
    if (to == &hq && read->type == FRAME_HAVE) {
        ck_assert_int_eq(replica_commit(hq.node->replica), ERR_OK);
        hq.node->world.disk_full = true;
        ck_assert_int_eq(replica_begin(hq.node->replica), ERR_OK);
        ck_assert(replica_turn_is_narrow(hq.node->replica));
    }
    return true;
}

static bool
hq_makes_room(void)
{
    hq.node->world.disk_full = false;
    return has_all(&hq);
}

START_TEST(a_disk_that_is_full_again_and_again_is_told_less_and_less_often)
{
    meddle = fill_disk;
    join(&hq, &ken);
    add_picture();
    ck_assert(!run(60 * MINUTE_MS, hq_makes_room));
    ck_assert_uint_ge(haves, 6);
    ck_assert_uint_le(haves, 9);
    meddle = NULL;
    ck_assert(run(12 * MINUTE_MS, hq_makes_room));
    expect_each_chunk_once();
}
END_TEST

/* A metered session with hq, to its end. */
static void
meet(struct line *line)
{
    cut(line);
    plug_in(line);
    ck_assert(run(3 * MINUTE_MS, is_hung_up));
    ck_assert_str_eq(status_of(&ken, &hq)->last_ending, "complete");
}

/* Of one peer it is kept of which files it was told, and what it said on a stick: neither takes the place of the other. */
START_TEST(what_a_peer_was_told_of_files_and_what_it_said_on_a_stick_are_kept_apart)
{
    const struct hash *to_ken = &ken.node->identity.device_id;
    const struct hash *to_hq = &hq.node->identity.device_id;
    struct bundles_outcome outcome;
    struct bundles stick;
    struct bundles back;

    use_line(PROFILE_METERED);
    struct line *line = join(&hq, &ken);
    (void)saves_person(ken.node, &cases, "Wanjiru");
    meet(line);
    bundles_export(hq.node, to_ken, 1, BUNDLE_ALL, UINT32_MAX, &stick);
    add_picture();
    meet(line);
    ck_assert_uint_eq(have_items, 1);
    cut(line);
    /* The stick comes after the session, and from before it: what hq said there holds. */
    bundles_import_all(ken.node, &stick, &outcome);
    ck_assert_uint_eq(outcome.counts.taken, 0);
    bundles_export(ken.node, to_hq, 1, BUNDLE_LACKING, UINT32_MAX, &back);
    uint64_t lacking = back.progress.all;
    ck_assert_uint_gt(lacking, 0);
    bundles_free(&back);
    meet(line);
    ck_assert_uint_eq(have_items, 1);
    bundles_export(ken.node, to_hq, 1, BUNDLE_LACKING, UINT32_MAX, &back);
    ck_assert_uint_eq(back.progress.all, lacking);
    bundles_free(&back);
    bundles_free(&stick);
}
END_TEST

START_TEST(a_budget_that_is_kept_for_urgent_news_stops_a_file)
{
    struct line *line = join(&hq, &ken);

    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_half));
    gossip_line(ken.gossip, (uint32_t)(line - lines) + 1, PROFILE_LAN, GOSSIP_URGENT);
    run(10 * 1000, NULL);
    uint64_t before = file_bytes;
    run(10 * MINUTE_MS, NULL);
    ck_assert_uint_eq(file_bytes, before);
    ck_assert(!has_all(&hq));
    gossip_line(ken.gossip, (uint32_t)(line - lines) + 1, PROFILE_LAN, GOSSIP_ALL);
    ck_assert(run(30 * MINUTE_MS, hq_has_all));
}
END_TEST

static void
put_piece(const struct hash *address)
{
    static uint8_t bytes[BLOB_SEALED_BYTES];
    struct blob_part part = { .address = *address,
                              .chunk_count = CONTENT_CHUNKS,
                              .piece = BLOB_CHUNK,
                              .bytes = span_of(bytes, sizeof bytes) };
    struct buf frame = { 0 };

    memcpy(part.tag, cases.bytes, TAG_BYTES);
    blob_part_write(&frame, &part);
    put_in(&frame);
    buf_free(&frame);
}

START_TEST(pieces_that_nobody_asked_for_are_left_and_cost_credit)
{
    const struct hash other = { { 7 } };

    join(&hq, &ken);
    run(10 * 1000, NULL);
    put_piece(&other);
    run(1000, NULL);
    ck_assert_uint_eq(status_of(&hq, &ken)->frames_stray, 1);
    ck_assert_int_eq((int)status_of(&hq, &ken)->state, GOSSIP_EQUAL);
    for (int n = 0; n < CREDIT_BYTES / BLOB_CHUNK_BYTES + 1; n++) {
        put_piece(&other);
    }
    run(1000, NULL);
    ck_assert_uint_eq(status_of(&hq, &ken)->frames_malformed, 1);
    ck_assert_str_eq(status_of(&hq, &ken)->last_error, "more was sent than the credit allowed");
}
END_TEST

START_TEST(who_asks_for_more_than_is_remembered_is_told_nothing_of_it)
{
    struct blob_ask ask = { .chunk_count = 1, .head = true };
    struct buf frame = { 0 };

    join(&hq, &ken);
    run(10 * 1000, NULL);
    memcpy(ask.tag, cases.bytes, TAG_BYTES);
    for (uint8_t n = 1; n <= 50; n++) {
        ask.address.bytes[0] = n;
        buf_clear(&frame);
        blob_ask_write(&frame, &ask);
        put_in(&frame);
    }
    buf_free(&frame);
    run(10 * 1000, NULL);
    /* Of the first four it is said that they are not here; the others are not remembered. */
    ck_assert_uint_eq(ends_told, 4);
    ck_assert_int_eq((int)status_of(&hq, &ken)->state, GOSSIP_EQUAL);
}
END_TEST

/* Another byte in the file that hq holds, `at` from its beginning. */
static void
spoil_file(size_t at)
{
    char hex[2 * HASH_BYTES + 1];
    char path[300];
    uint8_t byte;

    bytes_hex(hex, hash_span(&made.address));
    (void)snprintf(path, sizeof path, "%s/blobs/%s", hq.node->directory, hex);
    int file = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pread(file, &byte, 1, (off_t)at), 1);
    byte ^= 16;
    ck_assert_int_eq(pwrite(file, &byte, 1, (off_t)at), 1);
    ck_assert_int_eq(close(file), 0);
}

/* hq reads through all that it holds, once. Gives how much of it is damaged. */
static uint64_t
scrub_hq(void)
{
    const struct scrub_options options = { .mend = true };
    struct scrub *scrub = NULL;
    bool ended = false;

    ck_assert_int_eq(scrub_open(&scrub, hq.node->replica), ERR_OK);
    scrub_restart(scrub);
    while (!ended) {
        saves_begin(hq.node);
        ended = scrub_step(scrub, 100, &options);
        saves_commit(hq.node);
    }
    uint64_t findings = scrub_status(scrub).ended_findings;
    scrub_close(&scrub);
    return findings;
}

/* Of the chunks one comes again, over a line that brings nothing so large unasked. */
START_TEST(i9_a_damaged_piece_of_a_file_comes_again_and_no_other)
{
    enum { DAMAGED = 200 };

    use_line(PROFILE_WAN);
    join(&hq, &ken);
    add_picture();
    run(10 * 1000, NULL);
    wish(&hq, WISH_ASKED);
    ck_assert(run(MINUTE_MS, hq_has_all));
    ck_assert_uint_eq(scrub_hq(), 0);
    spoil_file(blob_file_bytes(CONTENT_CHUNKS) - (CONTENT_CHUNKS - DAMAGED) * BLOB_SEALED_BYTES + 7);
    ck_assert_uint_eq(scrub_hq(), 1);
    ck_assert_uint_eq(shelf_of(&hq).held, CONTENT_CHUNKS - 1);
    ck_assert(run(MINUTE_MS, hq_has_all));
    expect_whole(&hq);
    for (size_t n = 0; n < CONTENT_CHUNKS; n++) {
        ck_assert_uint_eq(came[n], n == DAMAGED ? 2 : 1);
    }
    ck_assert_uint_eq(scrub_hq(), 0);
}
END_TEST

/* What pieces are checked by is damaged: what it names comes again. */
START_TEST(i9_a_file_whose_head_or_page_is_damaged_comes_again)
{
    join(&hq, &ken);
    add_picture();
    ck_assert(run(MINUTE_MS, hq_has_all));
    /* The head is the first of it, then come the pages. */
    for (size_t at = 20; at < 20 + 10 * HASH_BYTES; at += 9 * HASH_BYTES) {
        spoil_file(at);
        ck_assert_uint_ge(scrub_hq(), 1);
        ck_assert(!has_all(&hq));
        ck_assert(run(2 * MINUTE_MS, hq_has_all));
        expect_whole(&hq);
        ck_assert_uint_eq(scrub_hq(), 0);
    }
}
END_TEST

static uint64_t
noted_at_hq(void)
{
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(hq.node->replica, &txn), ERR_OK);
    uint64_t noted = intake_damage_count(txn);
    replica_end_read(hq.node->replica, &txn);
    return noted;
}

static bool
hq_is_healed(void)
{
    return noted_at_hq() == 0;
}

/* Peers were asked for all that was lacking, and are asked again in minutes: what is found damaged meanwhile does not wait for that. */
START_TEST(i9_what_is_found_damaged_is_asked_for_at_once)
{
    enum { FEW_S = 20 };
    struct table_cursor cursor;
    struct span key;
    struct span value;

    join(&hq, &ken);
    add_picture();
    write_text();
    ck_assert(run(MINUTE_MS, hq_has_all));
    run(FEW_S * 1000, NULL);
    saves_begin(hq.node);
    table_cursor_init(&cursor, hq.node->replica->main_txn, TABLE_ENT, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        table_put(hq.node->replica->main_txn, TABLE_ENT, key, span_text("x"));
    }
    table_cursor_end(&cursor);
    saves_commit(hq.node);
    ck_assert_uint_gt(scrub_hq(), 0);
    ck_assert(!run(FEW_S * 1000, hq_is_healed));
    gossip_ask_again(hq.gossip, now_ms());
    ck_assert(run(FEW_S * 1000, hq_is_healed));
    ck_assert_uint_eq(scrub_hq(), 0);
}
END_TEST

SUITE_MAIN_WITH(
    "gossip_blob", setup, teardown, a_file_comes_after_its_record_and_both_know_who_holds_it,
    what_came_before_a_cut_is_not_sent_again, two_that_never_meet_get_a_file_through_who_cannot_open_it,
    text_comes_before_files_which_have_their_tenth,
    what_does_not_match_is_refused_and_not_asked_for_there_again_in_the_session,
    who_says_much_and_sends_nothing_is_asked_later_and_another_now,
    a_silent_holder_is_asked_again_after_a_while, a_holder_that_has_it_no_longer_says_so_and_is_forgotten,
    what_is_put_away_while_it_comes_stops_and_goes_on_when_it_is_wanted,
    what_came_by_another_way_is_not_sent_to_its_end,
    a_file_whose_record_is_erased_while_it_comes_stops_and_leaves_nothing,
    a_line_that_is_no_lan_brings_a_large_file_when_it_is_asked_for,
    a_metered_session_brings_what_was_asked_for_and_then_ends,
    a_metered_peer_is_told_of_a_file_once_and_again_when_it_may_have_forgotten,
    a_file_that_a_full_disk_was_told_of_comes_once_there_is_room,
    a_file_comes_where_the_disk_had_no_room_for_its_record_either,
    a_metered_peer_is_told_in_the_next_session_of_what_its_full_disk_could_not_note,
    a_disk_that_is_full_again_and_again_is_told_less_and_less_often,
    what_a_peer_was_told_of_files_and_what_it_said_on_a_stick_are_kept_apart,
    a_budget_that_is_kept_for_urgent_news_stops_a_file, pieces_that_nobody_asked_for_are_left_and_cost_credit,
    who_asks_for_more_than_is_remembered_is_told_nothing_of_it,
    i9_a_damaged_piece_of_a_file_comes_again_and_no_other,
    i9_a_file_whose_head_or_page_is_damaged_comes_again, i9_what_is_found_damaged_is_asked_for_at_once)
