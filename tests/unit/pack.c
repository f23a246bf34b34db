#include "tests/support/check.h"

#include "store/base/pack.h"

#include <pthread.h>
#include <string.h>

/* A payload as a note makes it. */
static const char note[] = "Called the family this morning. The mother agreed to a visit next week; "
                           "the lawyer is awaiting a letter from the court.";

static void
check_round_trip(struct span plain)
{
    struct buf frame = { 0 };
    struct buf back = { 0 };

    pack_compress(plain, &frame);
    ck_assert(!frame.failed);
    ck_assert_int_eq(pack_decompress(buf_span(&frame), plain.size, &back), ERR_OK);
    ck_assert(span_equal(buf_span(&back), plain));
    if (plain.size > 0) {
        buf_clear(&back);
        ck_assert_int_eq(pack_decompress(buf_span(&frame), plain.size - 1, &back), ERR_FULL);
        ck_assert_uint_eq(back.size, 0);
    }
    buf_free(&frame);
    buf_free(&back);
}

START_TEST(what_was_packed_comes_back_whole_at_every_size_of_the_size_field)
{
    static const size_t sizes[] = { 0, 1, 100, 255, 256, 257, 65791, 65792, 131073, 1 << 20 };
    static uint8_t plain[1 << 20];

    for (size_t kind = 0; kind < 2; kind++) {
        uint32_t state = 1;
        for (size_t n = 0; n < sizeof plain; n++) {
            state = state * 1664525 + 1013904223;
            plain[n] = kind == 0 ? (uint8_t)note[n % strlen(note)] : (uint8_t)(state >> 24);
        }
        for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
            check_round_trip(span_of(plain, sizes[n]));
        }
    }
}
END_TEST

START_TEST(the_dictionary_makes_a_note_much_smaller)
{
    struct buf frame = { 0 };

    pack_compress(span_text(note), &frame);
    ck_assert_uint_lt(frame.size, strlen(note) / 2);
    buf_free(&frame);
}
END_TEST

START_TEST(what_is_packed_is_appended_and_the_same_every_time)
{
    struct buf frame = { 0 };
    struct buf back = { 0 };

    buf_put_u8(&frame, 'x');
    pack_compress(span_text(note), &frame);
    size_t size = frame.size;
    pack_compress(span_text(note), &frame);
    ck_assert_uint_eq(frame.size - size, size - 1);
    ck_assert_mem_eq(frame.data + 1, frame.data + size, size - 1);
    ck_assert_int_eq(frame.data[0], 'x');
    buf_put_u8(&back, 'y');
    ck_assert_int_eq(pack_decompress(span_of(frame.data + 1, size - 1), sizeof note, &back), ERR_OK);
    ck_assert_uint_eq(back.size, strlen(note) + 1);
    ck_assert_int_eq(back.data[0], 'y');
    buf_free(&frame);
    buf_free(&back);
}
END_TEST

static enum err
unpacked(const void *data, size_t size)
{
    struct buf back = { 0 };
    enum err err = pack_decompress(span_of(data, size), 1000, &back);

    ck_assert(err == ERR_OK || back.size == 0);
    buf_free(&back);
    return err;
}

START_TEST(only_one_whole_frame_of_our_form_is_taken)
{
    struct buf frame = { 0 };

    pack_compress(span_text(note), &frame);
    size_t size = frame.size;
    ck_assert_int_eq(unpacked(frame.data, size), ERR_OK);
    for (size_t cut = 0; cut < size; cut++) {
        ck_assert_int_ne(unpacked(frame.data, cut), ERR_OK);
    }
    /* Two frames, and a frame with a byte after it. */
    pack_compress(span_text(note), &frame);
    ck_assert_int_eq(unpacked(frame.data, frame.size), ERR_INVALID);
    ck_assert_int_eq(unpacked(frame.data, size + 1), ERR_INVALID);
    /* Checksum, dictionary id, reserved bits and a window of its own. */
    for (unsigned bit = 0; bit < 6; bit++) {
        frame.data[0] ^= (uint8_t)(1u << bit);
        ck_assert_int_eq(unpacked(frame.data, size), ERR_INVALID);
        frame.data[0] ^= (uint8_t)(1u << bit);
    }
    /* With its magic number, a skipped frame, and one of an older version. */
    ck_assert_int_eq(unpacked("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", 9), ERR_INVALID);
    ck_assert_int_eq(unpacked("\x50\x2a\x4d\x18\x00\x00\x00\x00", 8), ERR_INVALID);
    ck_assert_int_eq(unpacked("\x27\xb5\x2f\xfd\x00\x00\x00\x00", 8), ERR_INVALID);
    buf_free(&frame);
}
END_TEST

START_TEST(blocks_that_need_no_dictionary_are_taken_too)
{
    struct buf back = { 0 };

    /* Size 5; a run of three, then two bytes as they are. */
    ck_assert_int_eq(pack_decompress(span_of("\x20\x05\x1a\x00\x00z\x11\x00\x00pq", 11), 5, &back), ERR_OK);
    ck_assert(span_equal(buf_span(&back), span_text("zzzpq")));
    buf_free(&back);
    /* Less, and more, than was declared. */
    ck_assert_int_eq(unpacked("\x20\x06\x1a\x00\x00z\x11\x00\x00pq", 11), ERR_INVALID);
    ck_assert_int_eq(unpacked("\x20\x04\x1a\x00\x00z\x11\x00\x00pq", 11), ERR_INVALID);
}
END_TEST

START_TEST(a_claim_of_any_size_is_refused_before_room_is_made_for_it)
{
    ck_assert_int_eq(unpacked("\xe0\xff\xff\xff\xff\xff\xff\xff\x7f\x03\x00\x00z", 13), ERR_FULL);
    ck_assert_int_eq(unpacked("\xe0\xff\xff\xff\xff\xff\xff\xff\xff\x03\x00\x00z", 13), ERR_FULL);
    ck_assert_int_eq(unpacked("\xa0\xff\xff\xff\xff\x03\x00\x00z", 9), ERR_FULL);
}
END_TEST

static void *
pack_many(void *result)
{
    struct buf frame = { 0 };
    struct buf back = { 0 };
    bool same = true;

    for (size_t n = 0; n < 200; n++) {
        struct span plain = span_of(note, n % sizeof note);
        buf_clear(&frame);
        buf_clear(&back);
        pack_compress(plain, &frame);
        same = same && pack_decompress(buf_span(&frame), plain.size, &back) == ERR_OK &&
               span_equal(buf_span(&back), plain);
    }
    buf_free(&frame);
    buf_free(&back);
    *(bool *)result = same;
    return NULL;
}

START_TEST(threads_do_not_disturb_each_other)
{
    pthread_t threads[4];
    bool same[4] = { false };

    for (size_t n = 0; n < 4; n++) {
        ck_assert_int_eq(pthread_create(&threads[n], NULL, pack_many, &same[n]), 0);
    }
    for (size_t n = 0; n < 4; n++) {
        ck_assert_int_eq(pthread_join(threads[n], NULL), 0);
        ck_assert(same[n]);
    }
}
END_TEST

SUITE_MAIN("pack", what_was_packed_comes_back_whole_at_every_size_of_the_size_field,
           the_dictionary_makes_a_note_much_smaller, what_is_packed_is_appended_and_the_same_every_time,
           only_one_whole_frame_of_our_form_is_taken, blocks_that_need_no_dictionary_are_taken_too,
           a_claim_of_any_size_is_refused_before_room_is_made_for_it, threads_do_not_disturb_each_other)
