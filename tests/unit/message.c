#include "tests/support/check.h"

#include "sync/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The golden vectors, by name. */
struct vector {
    char name[32];
    uint8_t bytes[512];
    size_t size;
};

static struct vector vectors[32];
static size_t vector_count;

static void
load_vectors(void)
{
    char path[512];
    static char line[2048];
    const char *source = getenv("VIGIL_SOURCE");

    (void)snprintf(path, sizeof path, "%s/tests/data/vectors/frames.hex", source != NULL ? source : ".");
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    vector_count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        struct vector *vector = &vectors[vector_count];
        char *space = strchr(line, ' ');
        if (line[0] == '#' || space == NULL) {
            continue;
        }
        *space = '\0';
        space[1 + strcspn(space + 1, "\n")] = '\0';
        (void)snprintf(vector->name, sizeof vector->name, "%.31s", line);
        vector->size = strlen(space + 1) / 2;
        ck_assert_uint_le(vector->size, sizeof vector->bytes);
        ck_assert(bytes_from_hex(vector->bytes, vector->size, space + 1));
        vector_count++;
    }
    (void)fclose(file);
    ck_assert_uint_eq(vector_count, 20);
}

static struct span
vector_of(const char *name)
{
    for (size_t n = 0; n < vector_count; n++) {
        if (strcmp(vectors[n].name, name) == 0) {
            return span_of(vectors[n].bytes, vectors[n].size);
        }
    }
    ck_abort_msg("no vector %s", name);
}

static void
fill(uint8_t *out, size_t size, uint8_t from)
{
    for (size_t n = 0; n < size; n++) {
        out[n] = (uint8_t)(from + n);
    }
}

static uint8_t tag[TAG_BYTES];
static uint8_t other_tag[TAG_BYTES];
static uint8_t log_short[SHORT_BYTES];
static struct buf out;

static void
set_up(void)
{
    load_vectors();
    fill(tag, sizeof tag, 0xa0);
    fill(other_tag, sizeof other_tag, 0xb0);
    fill(log_short, sizeof log_short, 0x60);
}

static void
tear_down(void)
{
    buf_free(&out);
}

/* What was written is the vector, and it reads as `type`. */
static struct frame
expect(const char *name, enum frame_type type)
{
    struct frame frame;
    struct span vector = vector_of(name);

    ck_assert(!out.failed);
    ck_assert_uint_eq(out.size, vector.size);
    ck_assert_mem_eq(out.data, vector.data, vector.size);
    ck_assert(frame_read(vector, &frame));
    ck_assert_int_eq((int)frame.type, (int)type);
    return frame;
}

START_TEST(a_hello_is_written_and_read_as_its_vector)
{
    struct hello hello = { .min = 1,
                           .max = 1,
                           .wall_s = 1735689600,
                           .profile = PROFILE_LAN,
                           .credit_bytes = 262144,
                           .version = span_text("vigil 0.1.0") };

    fill(hello.incarnation, 8, 0x10);
    fill(hello.certificate, 8, 0x20);
    hello_write(&out, &hello);
    struct frame frame = expect("hello", FRAME_HELLO);
    ck_assert_mem_eq(frame.hello.incarnation, hello.incarnation, 8);
    ck_assert_mem_eq(frame.hello.certificate, hello.certificate, 8);
    ck_assert_uint_eq(frame.hello.wall_s, 1735689600);
    ck_assert_uint_eq(frame.hello.credit_bytes, 262144);
    ck_assert(span_equal(frame.hello.version, hello.version));
}
END_TEST

START_TEST(a_digest_is_written_and_read_as_its_vector)
{
    struct digest_item item = { .flags = DIGEST_LACKS_ENTRIES | DIGEST_WORKING };
    struct digest_item read;

    memcpy(item.tag, tag, TAG_BYTES);
    fill(item.digest, DIGEST_BYTES, 0x30);
    digest_write(&out);
    digest_item_write(&out, &item);
    memcpy(item.tag, other_tag, TAG_BYTES);
    fill(item.digest, DIGEST_BYTES, 0x40);
    item.flags = 0;
    digest_item_write(&out, &item);
    struct frame frame = expect("digest", FRAME_DIGEST);
    ck_assert(digest_next(&frame.digests, &read));
    ck_assert_uint_eq(read.flags, 5);
    ck_assert(digest_next(&frame.digests, &read));
    ck_assert_mem_eq(read.tag, other_tag, TAG_BYTES);
    ck_assert_mem_eq(read.digest, item.digest, DIGEST_BYTES);
    ck_assert(!digest_next(&frame.digests, &read));
}
END_TEST

START_TEST(a_front_is_written_and_read_as_its_vectors)
{
    uint8_t id[SHORT_BYTES];
    uint64_t gap;
    uint64_t value;
    struct front_extra extra = { .seq = 7 };
    struct front_extra read;

    fill(id, sizeof id, 0x50);
    memcpy(extra.log_short, log_short, SHORT_BYTES);
    front_write(&out, tag, FRONT_DELTA, id, 2);
    front_delta_write(&out, 3, 1);
    front_delta_write(&out, 130, 300);
    front_extra_count_write(&out, 1);
    front_extra_write(&out, &extra);
    struct frame frame = expect("front-delta", FRAME_FRONT);
    ck_assert_uint_eq(frame.front.list_count, 2);
    ck_assert(front_delta_next(&frame.front.list, &gap, &value));
    ck_assert(front_delta_next(&frame.front.list, &gap, &value));
    ck_assert_uint_eq(gap, 130);
    ck_assert_uint_eq(value, 300);
    ck_assert(!front_delta_next(&frame.front.list, &gap, &value));
    ck_assert(front_extra_next(&frame.front.extra, &read));
    ck_assert_uint_eq(read.seq, 7);
    ck_assert(!read.forked);
    ck_assert(!front_extra_next(&frame.front.extra, &read));

    buf_clear(&out);
    front_write(&out, tag, FRONT_HEADS, id, 3);
    front_heads_write(&out, 1);
    front_heads_write(&out, 0);
    front_heads_write(&out, 20001);
    front_extra_count_write(&out, 0);
    frame = expect("front-heads", FRAME_FRONT);
    ck_assert(front_heads_next(&frame.front.list, &value));
    ck_assert(front_heads_next(&frame.front.list, &value));
    ck_assert_uint_eq(value, 0);
    ck_assert(front_heads_next(&frame.front.list, &value));
    ck_assert_uint_eq(value, 20001);

    buf_clear(&out);
    front_write(&out, tag, FRONT_NAMES, NULL, 0);
    front_extra_count_write(&out, 2);
    extra.seq = 41;
    front_extra_write(&out, &extra);
    extra = (struct front_extra){ .seq = 99, .forked = true, .branch_first = 12 };
    fill(extra.log_short, SHORT_BYTES, 0x70);
    fill(extra.branch_id, SHORT_BYTES, 0x80);
    front_extra_write(&out, &extra);
    frame = expect("front-names", FRAME_FRONT);
    ck_assert(front_extra_next(&frame.front.extra, &read));
    ck_assert(front_extra_next(&frame.front.extra, &read));
    ck_assert(read.forked);
    ck_assert_uint_eq(read.branch_first, 12);
    ck_assert_mem_eq(read.branch_id, extra.branch_id, SHORT_BYTES);

    buf_clear(&out);
    front_ask_write(&out, tag, FRONT_HEADS);
    frame = expect("front-ask", FRAME_FRONT);
    ck_assert_uint_eq(frame.front.mode, FRONT_ASK + FRONT_HEADS);
}
END_TEST

START_TEST(announce_want_and_ack_are_written_and_read_as_their_vectors)
{
    struct announce announce = { .entry_count = { 1, 0, 5000, 2 }, .byte_count = { 200, 0, 640000, 300 } };
    struct want want = { .log = { LOG_REF_SHORT, span_of(log_short, SHORT_BYTES) },
                         .from = 128,
                         .policy = WANT_HEADERS };
    struct ack_item item = { .place = 0, .durable_next = 64, .visible_next = 64 };

    memcpy(announce.tag, tag, TAG_BYTES);
    announce_write(&out, &announce);
    struct frame frame = expect("announce", FRAME_ANNOUNCE);
    ck_assert_uint_eq(frame.announce.byte_count[LANE_NORMAL], 640000);

    buf_clear(&out);
    memcpy(want.tag, tag, TAG_BYTES);
    want_write(&out, &want);
    frame = expect("want", FRAME_WANT);
    ck_assert_uint_eq(frame.want.from, 128);
    ck_assert_uint_eq(frame.want.to, 0);
    ck_assert_mem_eq(frame.want.log.name.data, log_short, SHORT_BYTES);

    buf_clear(&out);
    ack_write(&out, tag);
    ack_item_write(&out, &item);
    item = (struct ack_item){ .place = 129, .durable_next = 1000, .visible_next = 993 };
    ack_item_write(&out, &item);
    frame = expect("ack", FRAME_ACK);
    ck_assert(ack_next(&frame.ack.items, &item));
    ck_assert(ack_next(&frame.ack.items, &item));
    ck_assert_uint_eq(item.place, 129);
    ck_assert_uint_eq(item.visible_next, 993);
    ck_assert(!ack_next(&frame.ack.items, &item));
}
END_TEST

START_TEST(a_chunk_frame_is_written_and_read_as_its_vector)
{
    uint8_t descriptor[DESCRIPTOR_BYTES];
    struct chunk_item item = { .log = { LOG_REF_NEW, span_of(descriptor, DESCRIPTOR_BYTES) },
                               .chunk = span_text("hello") };

    fill(descriptor, DESCRIPTOR_BYTES, 0);
    descriptor[DESCRIPTOR_BYTES - 1] = LANE_NORMAL;
    memcpy(item.tag, tag, TAG_BYTES);
    chunk_frame_write(&out);
    chunk_item_write(&out, &item);
    item.log = (struct log_ref){ LOG_REF_FIRST, span_of(NULL, 0) };
    item.chunk = span_text("abc");
    chunk_item_write(&out, &item);
    memcpy(item.tag, other_tag, TAG_BYTES);
    item.log = (struct log_ref){ LOG_REF_SHORT, span_of(log_short, SHORT_BYTES) };
    item.chunk = span_text("z");
    chunk_item_write(&out, &item);
    struct frame frame = expect("chunk", FRAME_CHUNK);
    ck_assert(chunk_next(&frame.chunks, &item));
    ck_assert(span_equal(item.log.name, span_of(descriptor, DESCRIPTOR_BYTES)));
    ck_assert(span_equal(item.chunk, span_text("hello")));
    ck_assert(chunk_next(&frame.chunks, &item));
    ck_assert_uint_eq(item.log.ref, LOG_REF_FIRST);
    ck_assert(chunk_next(&frame.chunks, &item));
    ck_assert_mem_eq(item.tag, other_tag, TAG_BYTES);
    ck_assert(!chunk_next(&frame.chunks, &item));
}
END_TEST

START_TEST(the_other_frames_are_written_and_read_as_their_vectors)
{
    uint8_t slices[SLICE_COUNT * SHORT_BYTES];
    struct heads_tip tip = { .seq = 300 };
    struct deny deny = { DENY_PROTOCOL, 600, span_text("this side speaks 1 to 1, yours 2 to 3") };
    struct bye_item item;

    fill(slices, sizeof slices, 0);
    heads_slices_write(&out, tag, slices);
    struct frame frame = expect("heads-slices", FRAME_HEADS);
    ck_assert_mem_eq(frame.heads.slices, slices, sizeof slices);

    buf_clear(&out);
    memcpy(tip.log_short, log_short, SHORT_BYTES);
    fill(tip.entry_short, SHORT_BYTES, 0x90);
    heads_write(&out, tag, 0x8001);
    heads_tip_write(&out, &tip);
    frame = expect("heads", FRAME_HEADS);
    ck_assert_uint_eq(frame.heads.slice_bits, 0x8001);
    memset(&tip, 0, sizeof tip);
    ck_assert(heads_next(&frame.heads.tips, &tip));
    ck_assert_uint_eq(tip.seq, 300);
    ck_assert(!heads_next(&frame.heads.tips, &tip));

    buf_clear(&out);
    beyond_write(&out, tag);
    heads_tip_write(&out, &tip);
    frame = expect("beyond", FRAME_BEYOND);
    ck_assert_mem_eq(frame.beyond.tag, tag, TAG_BYTES);
    memset(&tip, 0, sizeof tip);
    ck_assert(heads_next(&frame.beyond.tips, &tip));
    ck_assert_uint_eq(tip.seq, 300);
    ck_assert(!heads_next(&frame.beyond.tips, &tip));

    buf_clear(&out);
    static const uint8_t hashes[2 * HASH_BYTES] = { 0xc0, 0xc1 };
    struct blob_part part = { .chunk_count = 300,
                              .piece = BLOB_HEAD,
                              .bytes = span_of(hashes, sizeof hashes) };
    memcpy(part.tag, tag, TAG_BYTES);
    fill(part.address.bytes, HASH_BYTES, 0x20);
    blob_part_write(&out, &part);
    frame = expect("blob", FRAME_BLOB);
    ck_assert_uint_eq(frame.blob.chunk_count, 300);
    ck_assert_mem_eq(frame.blob.address.bytes, part.address.bytes, HASH_BYTES);
    ck_assert_uint_eq(frame.blob.bytes.size, sizeof hashes);

    buf_clear(&out);
    struct blob_have_item have = { .address = part.address, .chunk_count = 300, .seq = 7 };
    memcpy(have.log_short, log_short, SHORT_BYTES);
    memcpy(have.entry_short, tag, SHORT_BYTES);
    blob_have_write(&out, tag);
    blob_have_item_write(&out, &have);
    frame = expect("have", FRAME_HAVE);
    memset(&have, 0, sizeof have);
    ck_assert(blob_have_next(&frame.have.items, &have));
    ck_assert_uint_eq(have.chunk_count, 300);
    ck_assert_uint_eq(have.seq, 7);
    ck_assert_mem_eq(have.log_short, log_short, SHORT_BYTES);
    ck_assert_mem_eq(have.entry_short, tag, SHORT_BYTES);
    ck_assert(!blob_have_next(&frame.have.items, &have));

    buf_clear(&out);
    uint8_t bitmap[ASK_BITMAP_BYTES] = { 0xff, 0, 0, 0, 0, 0x0f };
    struct blob_ask ask = { .address = part.address, .chunk_count = 300, .head = true };
    memcpy(ask.tag, tag, TAG_BYTES);
    struct blob_ask_page page = { .page = 1, .hashes = true, .bitmap = bitmap };
    blob_ask_write(&out, &ask);
    blob_ask_page_write(&out, &page);
    frame = expect("ask", FRAME_ASK);
    ck_assert(frame.ask.head);
    memset(&page, 0, sizeof page);
    ck_assert(blob_ask_next(&frame.ask.pages, &page));
    ck_assert_uint_eq(page.page, 1);
    ck_assert(page.hashes);
    ck_assert_mem_eq(page.bitmap, bitmap, sizeof bitmap);
    ck_assert(!blob_ask_next(&frame.ask.pages, &page));

    buf_clear(&out);
    proof_write(&out, span_of("\x82\x41\x00\x80", 4));
    frame = expect("proof", FRAME_PROOF);
    ck_assert_uint_eq(frame.proof.size, 4);

    buf_clear(&out);
    credit_write(&out, 65536);
    frame = expect("credit", FRAME_CREDIT);
    ck_assert_uint_eq(frame.credit_bytes, 65536);

    buf_clear(&out);
    deny_write(&out, &deny);
    frame = expect("deny", FRAME_DENY);
    ck_assert_uint_eq(frame.deny.retry_after_s, 600);
    ck_assert(span_equal(frame.deny.text, deny.text));

    buf_clear(&out);
    bye_write(&out, BYE_DONE);
    memcpy(item.tag, tag, TAG_BYTES);
    fill(item.checkpoint, SHORT_BYTES, 0x30);
    bye_item_write(&out, &item);
    frame = expect("bye", FRAME_BYE);
    memset(&item, 0, sizeof item);
    ck_assert(bye_next(&frame.bye.items, &item));
    ck_assert_mem_eq(item.tag, tag, TAG_BYTES);
}
END_TEST

/* Lists may end between two items; every other cut is noticed. */
START_TEST(a_frame_cut_short_or_with_a_byte_too_many_is_malformed)
{
    static const char *const fixed[] = { "front-delta", "front-heads", "front-names",  "front-ask",
                                         "announce",    "want",        "heads-slices", "credit" };

    for (size_t n = 0; n < sizeof fixed / sizeof fixed[0]; n++) {
        struct frame frame;
        struct span vector = vector_of(fixed[n]);
        uint8_t longer[600];
        for (size_t size = 0; size < vector.size; size++) {
            ck_assert_msg(!frame_read(span_of(vector.data, size), &frame), "%s cut at %zu", fixed[n], size);
        }
        memcpy(longer, vector.data, vector.size);
        longer[vector.size] = 0;
        ck_assert_msg(!frame_read(span_of(longer, vector.size + 1), &frame), "%s and more", fixed[n]);
    }
}
END_TEST

START_TEST(what_no_frame_may_say_is_malformed)
{
    static const struct {
        const char *hex;
        const char *why;
    } bad[] = {
        { "", "no type" },
        { "06", "no chunk" },
        { "09", "no statement" },
        { "03a0a1a2a3a4a5a6a703", "mode 3" },
        { "03a0a1a2a3a4a5a6a783", "asks for mode 3" },
        { "03a0a1a2a3a4a5a6a700505152535455565701000000", "a rise of nothing" },
        { "03a0a1a2a3a4a5a6a702ffffffffffffffffff01", "a count that nothing follows" },
        { "03a0a1a2a3a4a5a6a70201606162636465666705038081828384858687",
          "a branch that begins after its tip" },
        { "05a0a1a2a3a4a5a6a70160616263646566670a0a00", "an empty range" },
        { "05a0a1a2a3a4a5a6a7016061626364656667000003", "policy 3" },
        { "06a0a1a2a3a4a5a6a70200", "an empty chunk" },
        { "07a0a1a2a3a4a5a6a7010100", "an ack by name" },
        { "07a0a1a2a3a4a5a6a7020102", "more invisible than durable" },
        { "08a0a1a2a3a4a5a6a702", "step 2" },
        { "0b0001", "a short credit" },
        { "0c0100000000ff", "text that is not UTF-8" },
        { "0102011011121314151617202122232425262767748580010004000076", "least version above most" },
        { "010101101112131415161720212223242526276774858005000400007600", "profile 5" },
    };
    uint8_t bytes[128];
    struct frame frame;

    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        size_t size = strlen(bad[n].hex) / 2;
        ck_assert(bytes_from_hex(bytes, size, bad[n].hex));
        ck_assert_msg(!frame_read(span_of(bytes, size), &frame), "%s", bad[n].why);
    }
}
END_TEST

START_TEST(an_unknown_type_is_no_error)
{
    struct frame frame;

    ck_assert(frame_read(span_of("\x7f whatever", 10), &frame));
    ck_assert_int_eq((int)frame.type, FRAME_UNKNOWN);
    ck_assert(frame_read(span_of("\xff", 1), &frame));
    ck_assert_int_eq((int)frame.type, FRAME_UNKNOWN);
}
END_TEST

/* A piece of a file has as many bytes as its place says, and what is asked for is in the file. */
START_TEST(a_piece_of_a_file_is_neither_longer_nor_elsewhere_than_the_file)
{
    static uint8_t bytes[BLOB_SEALED_BYTES + 1];
    static const struct {
        uint32_t chunk_count;
        uint8_t piece;
        uint32_t index;
        size_t size;
        bool good;
    } pieces[] = {
        { 300, BLOB_HEAD, 0, 64, true },
        { 300, BLOB_HEAD, 1, 64, false },
        { 300, BLOB_HEAD, 0, 32, false },
        { 300, BLOB_PAGE, 0, 8192, true },
        { 300, BLOB_PAGE, 1, 44 * 32, true },
        { 300, BLOB_PAGE, 1, 8192, false },
        { 300, BLOB_PAGE, 2, 32, false },
        { 300, BLOB_CHUNK, 299, BLOB_SEALED_BYTES, true },
        { 300, BLOB_CHUNK, 300, BLOB_SEALED_BYTES, false },
        { 300, BLOB_CHUNK, 0, BLOB_SEALED_BYTES - 1, false },
        { 300, BLOB_CHUNK, 0, BLOB_SEALED_BYTES + 1, false },
        { 300, 3, 0, 32, false },
        { 0, BLOB_HEAD, 0, 32, false },
        { BLOB_CHUNKS_MAX + 1, BLOB_HEAD, 0, 32, false },
        { 300, BLOB_CHUNK, 0, 0, false },
    };
    struct frame frame;

    for (size_t n = 0; n < sizeof pieces / sizeof pieces[0]; n++) {
        struct buf raw = { 0 };

        buf_put_u8(&raw, FRAME_BLOB);
        buf_put(&raw, bytes, TAG_BYTES + HASH_BYTES);
        buf_put_varint(&raw, pieces[n].chunk_count);
        buf_put_u8(&raw, pieces[n].piece);
        buf_put_varint(&raw, pieces[n].index);
        buf_put(&raw, bytes, pieces[n].size);
        ck_assert_msg(frame_read(buf_span(&raw), &frame) == pieces[n].good, "piece %zu", n);
        buf_free(&raw);
    }
    /* A bit for a chunk that the last page does not have, a page twice, and one that is none. */
    static const uint8_t asked[][2] = { { 1, 0xff }, { 0, 0x01 }, { 2, 0x01 } };
    for (size_t n = 0; n < sizeof asked / sizeof asked[0]; n++) {
        uint8_t bitmap[ASK_BITMAP_BYTES] = { 0 };
        struct blob_ask ask = { .chunk_count = 300 };
        struct blob_ask_page page = { .page = asked[n][0], .bitmap = bitmap };
        struct buf raw = { 0 };

        bitmap[n == 0 ? ASK_BITMAP_BYTES - 1 : 0] = asked[n][1];
        blob_ask_write(&raw, &ask);
        if (n == 1) {
            blob_ask_page_write(&raw, &page);
            ck_assert(frame_read(buf_span(&raw), &frame));
        }
        blob_ask_page_write(&raw, &page);
        ck_assert_msg(!frame_read(buf_span(&raw), &frame), "asked %zu", n);
        buf_free(&raw);
    }
}
END_TEST

START_TEST(small_frames_are_bounded)
{
    struct frame frame;
    uint8_t *bytes = calloc(1, FRAME_SMALL_BYTES_MAX + 25);

    ck_assert_ptr_nonnull(bytes);
    bytes[0] = FRAME_DIGEST;
    size_t fits = 1 + (FRAME_SMALL_BYTES_MAX - 1) / 25 * 25;
    ck_assert(frame_read(span_of(bytes, fits), &frame));
    ck_assert(!frame_read(span_of(bytes, fits + 25), &frame));
    free(bytes);
}
END_TEST

SUITE_MAIN_WITH("message", set_up, tear_down, a_hello_is_written_and_read_as_its_vector,
                a_digest_is_written_and_read_as_its_vector, a_front_is_written_and_read_as_its_vectors,
                announce_want_and_ack_are_written_and_read_as_their_vectors,
                a_chunk_frame_is_written_and_read_as_its_vector,
                the_other_frames_are_written_and_read_as_their_vectors,
                a_frame_cut_short_or_with_a_byte_too_many_is_malformed, what_no_frame_may_say_is_malformed,
                an_unknown_type_is_no_error, a_piece_of_a_file_is_neither_longer_nor_elsewhere_than_the_file,
                small_frames_are_bounded)
