/* How much is on its way at once, on lines of every kind: what is urgent never waits long, and the line is used. */
#include "sync/pace.h"
#include "tests/support/check.h"

#include <string.h>

/* A line that takes `rate` bytes a second one after the other, and as long again for each direction; the other end answers
 * each frame with credit at once. */
struct line {
    uint64_t rate;
    uint64_t one_way_ms;
    uint64_t free_ms; /* when the line has sent all that it was given */
    struct {
        uint64_t bytes;
        uint64_t ms; /* when its credit is here */
    } credits[256];
    size_t first;
    size_t count;
};

enum { FRAME_BYTES_MAX = 64 * 1024, URGENT_BYTES = 500, SECOND = 1000 };

/* When a frame that is given to the line now is whole at the other end. */
static uint64_t
arrival_ms(struct line *line, uint64_t bytes, uint64_t now_ms)
{
    uint64_t from = line->free_ms > now_ms ? line->free_ms : now_ms;

    line->free_ms = from + bytes * SECOND / line->rate;
    return line->free_ms + line->one_way_ms;
}

static void
give(struct line *line, struct pace *pace, uint64_t bytes, uint64_t now_ms)
{
    ck_assert_uint_lt(line->count, 256);
    size_t at = (line->first + line->count++) % 256;
    line->credits[at].bytes = bytes;
    line->credits[at].ms = arrival_ms(line, bytes, now_ms) + line->one_way_ms;
    pace_sent(pace, bytes, now_ms);
}

static void
take_credits(struct line *line, struct pace *pace, uint64_t now_ms)
{
    while (line->count > 0 && line->credits[line->first].ms <= now_ms) {
        pace_returned(pace, line->credits[line->first].bytes, now_ms);
        line->first = (line->first + 1) % 256;
        line->count--;
    }
}

/* Without end there is something to send, in chunks of so many bytes, for so long. Gives the bytes that arrived, and the longest that
 * something urgent would have waited, begun in the second half of the time, when the line is known. */
static uint64_t
use_line(uint64_t rate, uint64_t one_way_ms, uint64_t chunk_bytes, uint64_t for_ms, uint64_t *urgent_ms_out)
{
    struct line line = { .rate = rate, .one_way_ms = one_way_ms };
    struct pace pace;
    uint64_t arrived = 0;

    pace_begin(&pace);
    *urgent_ms_out = 0;
    for (uint64_t now = 0; now < for_ms; now++) {
        uint64_t before = pace.returned;
        take_credits(&line, &pace, now);
        arrived += pace.returned - before;
        for (;;) {
            uint64_t most =
                pace_frame_bytes(&pace) < FRAME_BYTES_MAX ? pace_frame_bytes(&pace) : FRAME_BYTES_MAX;
            uint64_t bytes = most / chunk_bytes * chunk_bytes;
            bytes = bytes == 0 ? chunk_bytes : bytes;
            if (line.count == 256 || !pace_allows(&pace, bytes, false, now)) {
                break;
            }
            give(&line, &pace, bytes, now);
        }
        struct line as_if = line;
        uint64_t wait = arrival_ms(&as_if, URGENT_BYTES, now) - now;
        *urgent_ms_out = now >= for_ms / 2 && wait > *urgent_ms_out ? wait : *urgent_ms_out;
    }
    return arrived;
}

/* 64 kbit/s, 600 ms there and back: the design's two seconds, one of which is the commit's and whoever else's. */
START_TEST(what_is_urgent_is_there_in_two_seconds_over_a_satellite)
{
    uint64_t urgent_ms;
    uint64_t arrived = use_line(8000, 300, 300, 120 * SECOND, &urgent_ms);

    ck_assert_uint_le(urgent_ms, 1800);
    ck_assert_uint_ge(arrived, 8000 * 120 * 85 / 100);
}
END_TEST

/* Chunks of a file, and runs of many entries, are longer: then one at a time is on its way. */
START_TEST(a_long_chunk_goes_alone_over_a_satellite)
{
    uint64_t urgent_ms;
    uint64_t arrived = use_line(8000, 300, 8260, 120 * SECOND, &urgent_ms);

    ck_assert_uint_le(urgent_ms, 1500);
    ck_assert_uint_ge(arrived, 8000 * 120 * 55 / 100);
}
END_TEST

START_TEST(a_slower_line_is_used_too)
{
    uint64_t urgent_ms;
    uint64_t arrived = use_line(2500, 400, 150, 240 * SECOND, &urgent_ms);

    ck_assert_uint_le(urgent_ms, 3000);
    ck_assert_uint_ge(arrived, 2500 * 240 * 75 / 100);
}
END_TEST

START_TEST(a_fast_line_is_full_within_seconds)
{
    uint64_t urgent_ms;
    /* 10 Mbit/s over an ocean; what is lost is the beginning. */
    uint64_t arrived = use_line(1250000, 100, 300, 30 * SECOND, &urgent_ms);

    ck_assert_uint_ge(arrived, 1250000ull * 30 * 85 / 100);
    ck_assert_uint_le(urgent_ms, 1500);
}
END_TEST

START_TEST(a_line_without_delay_is_no_limit)
{
    uint64_t urgent_ms;
    uint64_t arrived = use_line(100000000, 1, 300, 2 * SECOND, &urgent_ms);

    ck_assert_uint_ge(arrived,
                      100000000ull * 2 * 25 / 100); /* in steps of a millisecond, 256 frames in flight */
    ck_assert_uint_le(urgent_ms, 800);
}
END_TEST

START_TEST(a_peer_that_keeps_credit_back_is_not_waited_for)
{
    struct pace pace;

    pace_begin(&pace);
    ck_assert(pace_allows(&pace, PACE_BYTES_START, false, 5));
    ck_assert_uint_eq(pace_due_ms(&pace), UINT64_MAX);
    pace_sent(&pace, PACE_BYTES_START, 5);
    ck_assert(!pace_allows(&pace, 1, false, 6));
    ck_assert_uint_eq(pace_due_ms(&pace), 5 + PACE_PATIENCE_MS);
    ck_assert(!pace_allows(&pace, 1, false, 4 + PACE_PATIENCE_MS));
    ck_assert(pace_allows(&pace, PACE_BYTES_START, false, 5 + PACE_PATIENCE_MS));
    pace_sent(&pace, PACE_BYTES_START, 5 + PACE_PATIENCE_MS);
    /* What comes back of the first says nothing of the second. */
    pace_returned(&pace, PACE_BYTES_START, 6 + PACE_PATIENCE_MS);
    ck_assert(!pace_allows(&pace, 1, false, 6 + PACE_PATIENCE_MS));
    pace_returned(&pace, PACE_BYTES_START, 7 + PACE_PATIENCE_MS);
    ck_assert(pace_allows(&pace, 1, false, 7 + PACE_PATIENCE_MS));
}
END_TEST

START_TEST(credit_that_nobody_owes_is_none)
{
    struct pace pace;

    pace_begin(&pace);
    pace_returned(&pace, 1 << 20, 1);
    pace_sent(&pace, PACE_BYTES_START, 2);
    ck_assert(!pace_allows(&pace, 1, false, 3));
    pace_returned(&pace, UINT64_MAX, 4);
    ck_assert(pace_allows(&pace, pace.limit, false, 5));
}
END_TEST

START_TEST(what_is_urgent_may_go_a_little_beyond_the_limit)
{
    struct pace pace;

    pace_begin(&pace);
    pace_sent(&pace, PACE_BYTES_START, 1);
    ck_assert(!pace_allows(&pace, 1, false, 2));
    ck_assert(pace_allows(&pace, PACE_BYTES_URGENT, true, 2));
    ck_assert(!pace_allows(&pace, PACE_BYTES_URGENT + 1, true, 2));
}
END_TEST

START_TEST(something_larger_than_the_limit_goes_alone)
{
    struct pace pace;

    pace_begin(&pace);
    ck_assert(pace_allows(&pace, 1 << 20, false, 1));
    pace_sent(&pace, PACE_RETURN_BYTES, 1);
    ck_assert(!pace_allows(&pace, 1 << 20, false, 2));
    pace_returned(&pace, 1, 3);
    ck_assert(pace_allows(&pace, 1 << 20, false, 4));
}
END_TEST

START_TEST(a_limit_that_is_fixed_stays_and_credit_is_waited_for_longer)
{
    struct pace pace;

    pace_begin(&pace);
    pace_fix(&pace, 1000, 5 * PACE_PATIENCE_MS);
    /* Late or early, the limit is the same. */
    for (uint64_t n = 1; n <= 20; n++) {
        uint64_t now = n * 100 * SECOND;
        ck_assert(pace_allows(&pace, 1000, false, now));
        pace_sent(&pace, 1000, now);
        pace_sent(&pace, 500, now);
        ck_assert(!pace_allows(&pace, 1, false, now));
        ck_assert_uint_eq(pace_due_ms(&pace), now + 5 * PACE_PATIENCE_MS);
        pace_returned(&pace, 1500, now + n % 3 * 10 * SECOND);
        ck_assert_uint_eq(pace.limit, 1000);
    }
    uint64_t sent_ms = 10000 * SECOND;
    pace_sent(&pace, 1500, sent_ms);
    ck_assert(!pace_allows(&pace, 1, false, sent_ms + 5 * PACE_PATIENCE_MS - 1));
    ck_assert(pace_allows(&pace, 1, false, sent_ms + 5 * PACE_PATIENCE_MS));
}
END_TEST

SUITE_MAIN("pace", what_is_urgent_is_there_in_two_seconds_over_a_satellite,
           a_long_chunk_goes_alone_over_a_satellite, a_slower_line_is_used_too,
           a_fast_line_is_full_within_seconds, a_line_without_delay_is_no_limit,
           a_peer_that_keeps_credit_back_is_not_waited_for, credit_that_nobody_owes_is_none,
           what_is_urgent_may_go_a_little_beyond_the_limit, something_larger_than_the_limit_goes_alone,
           a_limit_that_is_fixed_stays_and_credit_is_waited_for_longer)
