/* N12: random frames, put at random times into envelopes of every size, come out the same and in order, whichever connection breaks
 * at whichever envelope: what the last connection brought is an end of what was put, whole. And every envelope has the one size. */
#include "sync/envelope.h"
#include "sync/message.h"
#include "tests/support/check.h"

#include <string.h>

enum { RUNS = 400, FRAMES = 60, BIG_EACH = 20 };

static uint64_t random_state;

static uint64_t
draw(uint64_t bound)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % bound;
}

/* Frame `n` of a run: its size and its bytes follow from the two. */
static struct span
frame_of(uint64_t run, size_t n)
{
    static uint8_t bytes[FRAME_BYTES_MAX];
    uint64_t kept = random_state;

    random_state = run * FRAMES + n;
    size_t size = 1 + (size_t)draw(n % BIG_EACH == 0 ? 100 * 1000 : 700);
    for (size_t at = 0; at < size; at++) {
        bytes[at] = (uint8_t)draw(256);
    }
    bytes[0] = (uint8_t)(1 + draw(16));
    random_state = kept;
    return span_of(bytes, size);
}

/* Take what is at hand out, and see that it is what comes next. */
static void
take_all(struct envelope_in *in, uint64_t run, size_t *next)
{
    struct span got;

    while (envelope_next(in, &got)) {
        EXPECT(*next < FRAMES);
        EXPECT(span_equal(got, frame_of(run, *next)));
        (*next)++;
    }
    EXPECT(!in->frame.failed);
}

START_TEST(n12_random_frames_come_out_of_envelopes_as_they_went_in)
{
    static uint8_t bytes[ENVELOPE_BYTES_MAX + 1];

    for (uint64_t run = 0; run < RUNS; run++) {
        struct envelope_out out = { .at = 0 };
        struct envelope_in in = { .heard = false };
        random_state = run;
        struct envelope_schedule schedule = {
            .beat_s = (uint32_t)(1 + draw(ENVELOPE_BEAT_S_MAX)),
            .bytes = (uint32_t)(ENVELOPE_BYTES_MIN +
                                draw(run % 4 == 0 ? ENVELOPE_BYTES_MAX - ENVELOPE_BYTES_MIN + 1 : 2000)),
        };
        uint64_t connection = 1;
        size_t put = 0;
        size_t next = 0;

        while (next < FRAMES) {
            if (put < FRAMES && draw(3) > 0) {
                EXPECT(envelope_put(&out, frame_of(run, put)));
                put++;
            }
            if (draw(2) == 0) {
                continue;
            }
            bytes[schedule.bytes] = 0xa5;
            if (draw(40) == 0) {
                /* The connection breaks: what had come of a frame goes with it, and no frame that had come whole goes twice. */
                connection++;
                envelope_in_clear(&in);
            }
            envelope_pack(&out, &schedule, connection, bytes);
            if (draw(5) == 0) {
                continue; /* it found no room */
            }
            envelope_sent(&out);
            EXPECT(bytes[schedule.bytes] == 0xa5);
            EXPECT(envelope_take(&in, span_of(bytes, schedule.bytes)) == LINK_NO_REASON);
            take_all(&in, run, &next);
        }
        ck_assert_uint_eq(envelope_waiting(&out), 0);
        envelope_out_clear(&out);
        envelope_in_clear(&in);
    }
}
END_TEST

SUITE_MAIN("envelope", n12_random_frames_come_out_of_envelopes_as_they_went_in)
