/* Frames cut to one size, and put together again. */
#include "sync/envelope.h"
#include "sync/message.h"
#include "tests/support/check.h"

#include <string.h>

static const struct envelope_schedule schedule = { .beat_s = 30, .bytes = 256 };
static struct envelope_out out;
static struct envelope_in in;
static uint8_t envelope[ENVELOPE_BYTES_MAX + 1];
static uint8_t frame[FRAME_BYTES_MAX];
static struct span got;

static void
setup(void)
{
    memset(envelope, 0, sizeof envelope);
    out = (struct envelope_out){ .at = 0 };
    in = (struct envelope_in){ .heard = false };
    for (size_t n = 0; n < sizeof frame; n++) {
        frame[n] = (uint8_t)(n * 7 + 1);
    }
}

static void
teardown(void)
{
    envelope_out_clear(&out);
    envelope_in_clear(&in);
}

static void
put(size_t size)
{
    ck_assert(envelope_put(&out, span_of(frame, size)));
}

/* The next envelope leaves over connection 1. */
static void
pack(void)
{
    envelope_pack(&out, &schedule, 1, envelope);
    envelope_sent(&out);
}

static enum link_reason
take(void)
{
    return envelope_take(&in, span_of(envelope, schedule.bytes));
}

/* The frame that comes next is the first `size` bytes of `frame`. */
static void
expect(size_t size)
{
    ck_assert(envelope_next(&in, &got));
    ck_assert(span_equal(got, span_of(frame, size)));
}

static void
expect_nothing(void)
{
    ck_assert(!envelope_next(&in, &got));
    ck_assert(!in.frame.failed);
}

START_TEST(n12_an_envelope_has_one_size_whatever_is_in_it)
{
    static uint8_t empty[ENVELOPE_BYTES_MAX];

    memset(envelope, 0xff, sizeof envelope);
    pack();
    memcpy(empty, envelope, schedule.bytes);
    ck_assert_uint_eq(envelope[0], FRAME_ENVELOPE);
    ck_assert_uint_eq(bytes_read_u16(envelope + 1), 30);
    for (size_t n = ENVELOPE_HEAD_BYTES; n < schedule.bytes; n++) {
        ck_assert_uint_eq(envelope[n], 0);
    }
    /* Not a byte behind it was touched. */
    ck_assert_uint_eq(envelope[schedule.bytes], 0xff);
    put(40);
    pack();
    ck_assert_uint_eq(envelope[schedule.bytes], 0xff);
    ck_assert(memcmp(envelope, empty, schedule.bytes) != 0);
    ck_assert_uint_eq(envelope_waiting(&out), 0);
    pack();
    ck_assert_mem_eq(envelope, empty, schedule.bytes);
}
END_TEST

START_TEST(a_frame_goes_over_as_many_envelopes_as_it_needs_and_comes_out_whole)
{
    put(5);
    put(600);
    put(1);
    pack();
    ck_assert_int_eq(take(), LINK_NO_REASON);
    expect(5);
    expect_nothing();
    ck_assert_uint_eq(in.schedule.beat_s, 30);
    ck_assert_uint_eq(in.schedule.bytes, 256);
    pack();
    ck_assert_int_eq(take(), LINK_NO_REASON);
    expect_nothing();
    pack();
    ck_assert_int_eq(take(), LINK_NO_REASON);
    expect(600);
    expect(1);
    expect_nothing();
    ck_assert_uint_eq(envelope_waiting(&out), 0);
}
END_TEST

START_TEST(a_length_is_never_cut_in_two)
{
    /* What is left of an envelope behind the first frame, from nothing to one byte more than a length. */
    for (size_t left = 0; left <= 5; left++) {
        put(schedule.bytes - ENVELOPE_HEAD_BYTES - 4 - left);
        put(9);
        pack();
        ck_assert_int_eq(take(), LINK_NO_REASON);
        expect(schedule.bytes - ENVELOPE_HEAD_BYTES - 4 - left);
        expect_nothing();
        for (size_t n = 0; left < 4 && n < left; n++) {
            ck_assert_uint_eq(envelope[schedule.bytes - 1 - n], 0);
        }
        pack();
        ck_assert_int_eq(take(), LINK_NO_REASON);
        expect(9);
        expect_nothing();
    }
}
END_TEST

START_TEST(the_longest_frame_passes_and_a_longer_one_is_refused)
{
    put(FRAME_BYTES_MAX);
    while (envelope_waiting(&out) > 0) {
        pack();
        ck_assert_int_eq(take(), LINK_NO_REASON);
        if (envelope_waiting(&out) > 0) {
            expect_nothing();
        }
    }
    expect(FRAME_BYTES_MAX);
    expect_nothing();
    ck_assert_uint_eq(in.frame.capacity, 0);
    memset(envelope + ENVELOPE_HEAD_BYTES, 0, schedule.bytes - ENVELOPE_HEAD_BYTES);
    bytes_write_u32(envelope + ENVELOPE_HEAD_BYTES, FRAME_BYTES_MAX + 1);
    ck_assert_int_eq(take(), LINK_ENVELOPE_LENGTH);
}
END_TEST

START_TEST(what_was_packed_goes_again_until_it_has_gone)
{
    static uint8_t first[ENVELOPE_BYTES_MAX];

    put(300);
    envelope_pack(&out, &schedule, 1, envelope);
    memcpy(first, envelope, schedule.bytes);
    ck_assert_uint_eq(envelope_waiting(&out), 304);
    envelope_pack(&out, &schedule, 1, envelope);
    ck_assert_mem_eq(envelope, first, schedule.bytes);
    envelope_sent(&out);
    ck_assert_uint_eq(envelope_waiting(&out), 304 - (256 - ENVELOPE_HEAD_BYTES));
}
END_TEST

START_TEST(on_another_connection_a_frame_begins_anew)
{
    put(10);
    put(300);
    pack();
    /* The second one was under way. */
    envelope_pack(&out, &schedule, 2, envelope);
    envelope_sent(&out);
    ck_assert_int_eq(take(), LINK_NO_REASON);
    expect_nothing();
    envelope_pack(&out, &schedule, 2, envelope);
    envelope_sent(&out);
    ck_assert_int_eq(take(), LINK_NO_REASON);
    expect(300);
    expect_nothing();
}
END_TEST

START_TEST(a_byte_that_is_not_zero_behind_the_frames_is_refused)
{
    enum { END = ENVELOPE_HEAD_BYTES + 4 + 20 };

    put(20);
    pack();
    /* What stands right behind a frame is the length of the next. */
    for (size_t n = END + 4; n < schedule.bytes; n++) {
        envelope[n] = 1;
        ck_assert_int_eq(take(), LINK_ENVELOPE_PADDING);
        envelope[n] = 0;
    }
    /* In the three bytes at the end, too, in which no length has room. */
    put(schedule.bytes - ENVELOPE_HEAD_BYTES - 4 - 3);
    pack();
    for (size_t n = schedule.bytes - 3; n < schedule.bytes; n++) {
        envelope[n] = 1;
        ck_assert_int_eq(take(), LINK_ENVELOPE_PADDING);
        envelope[n] = 0;
    }
    ck_assert(!in.heard);
    ck_assert_int_eq(take(), LINK_NO_REASON);
}
END_TEST

START_TEST(envelopes_of_a_connection_have_one_size_and_one_beat_within_the_bounds)
{
    pack();
    ck_assert_int_eq(envelope_take(&in, span_of(envelope, ENVELOPE_BYTES_MIN - 1)), LINK_ENVELOPE_SIZE);
    ck_assert_int_eq(envelope_take(&in, span_of(envelope, 1)), LINK_ENVELOPE_SIZE);
    ck_assert_int_eq(envelope_take(&in, span_of(envelope, ENVELOPE_BYTES_MAX + 1)), LINK_ENVELOPE_SIZE);
    bytes_write_u16(envelope + 1, 0);
    ck_assert_int_eq(take(), LINK_ENVELOPE_SIZE);
    bytes_write_u16(envelope + 1, ENVELOPE_BEAT_S_MAX + 1);
    ck_assert_int_eq(take(), LINK_ENVELOPE_SIZE);
    bytes_write_u16(envelope + 1, ENVELOPE_BEAT_S_MAX);
    ck_assert_int_eq(envelope_take(&in, span_of(envelope, ENVELOPE_BYTES_MAX)), LINK_NO_REASON);
    expect_nothing();
    ck_assert_int_eq(envelope_take(&in, span_of(envelope, ENVELOPE_BYTES_MAX - 1)), LINK_ENVELOPE_SIZE);
    bytes_write_u16(envelope + 1, 1);
    ck_assert_int_eq(envelope_take(&in, span_of(envelope, ENVELOPE_BYTES_MAX)), LINK_ENVELOPE_SIZE);
}
END_TEST

START_TEST(n12_frames_and_envelopes_never_go_over_one_connection)
{
    static const uint8_t hello[] = { FRAME_HELLO, 1, 1 };

    pack();
    ck_assert_int_eq(envelope_take(&in, span_of(hello, sizeof hello)), LINK_NO_REASON);
    ck_assert_uint_eq(in.schedule.bytes, 0);
    ck_assert_int_eq(take(), LINK_ENVELOPE_BESIDE);
    envelope_in_clear(&in);
    ck_assert_int_eq(take(), LINK_NO_REASON);
    ck_assert_int_eq(envelope_take(&in, span_of(hello, sizeof hello)), LINK_ENVELOPE_BESIDE);
}
END_TEST

START_TEST(an_envelope_in_another_is_refused_wherever_it_is_cut)
{
    const size_t room = schedule.bytes - ENVELOPE_HEAD_BYTES;

    /* Its first byte stands in the same envelope as its length, or in the next one. */
    for (size_t behind = 4; behind <= 20; behind += 16) {
        envelope_in_clear(&in);
        put(room - 4 - behind);
        frame[0] = FRAME_ENVELOPE;
        put(10);
        pack();
        if (behind == 4) {
            ck_assert_int_eq(take(), LINK_NO_REASON);
            frame[0] = 1;
            expect(room - 4 - behind);
            expect_nothing();
            pack();
        }
        ck_assert_int_eq(take(), LINK_ENVELOPE_LENGTH);
        frame[0] = 1;
        envelope_out_clear(&out);
    }
}
END_TEST

START_TEST(a_schedule_is_none_or_within_its_bounds)
{
    static const struct envelope_schedule good[] = { { 0, 0 },
                                                     { 1, ENVELOPE_BYTES_MIN },
                                                     { ENVELOPE_BEAT_S_MAX, ENVELOPE_BYTES_MAX } };
    static const struct envelope_schedule bad[] = { { 0, ENVELOPE_BYTES_MIN },
                                                    { 1, 0 },
                                                    { 1, ENVELOPE_BYTES_MIN - 1 },
                                                    { 1, ENVELOPE_BYTES_MAX + 1 },
                                                    { ENVELOPE_BEAT_S_MAX + 1, ENVELOPE_BYTES_MIN } };

    for (size_t n = 0; n < sizeof good / sizeof good[0]; n++) {
        ck_assert(envelope_schedule_valid(&good[n]));
        ck_assert(envelope_schedule_equal(&good[n], &good[n]));
        ck_assert(!envelope_schedule_equal(&good[n], &bad[n]));
    }
    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        ck_assert(!envelope_schedule_valid(&bad[n]));
    }
}
END_TEST

SUITE_MAIN_WITH("envelope", setup, teardown, n12_an_envelope_has_one_size_whatever_is_in_it,
                a_frame_goes_over_as_many_envelopes_as_it_needs_and_comes_out_whole,
                a_length_is_never_cut_in_two, the_longest_frame_passes_and_a_longer_one_is_refused,
                what_was_packed_goes_again_until_it_has_gone, on_another_connection_a_frame_begins_anew,
                a_byte_that_is_not_zero_behind_the_frames_is_refused,
                envelopes_of_a_connection_have_one_size_and_one_beat_within_the_bounds,
                n12_frames_and_envelopes_never_go_over_one_connection,
                an_envelope_in_another_is_refused_wherever_it_is_cut, a_schedule_is_none_or_within_its_bounds)
