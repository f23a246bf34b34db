/* What comes over a connection, cut into messages: each behind its length u16 (0: 65,536). What is taken gives frames within their
 * bounds, which no message holds more of than it has bytes; packed again, they come out the same. */
#include "sync/envelope.h"
#include "sync/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The frame goes into envelopes of another size, and comes out of them. */
static void
pack_again(struct span frame)
{
    static const struct envelope_schedule schedule = { .beat_s = 1, .bytes = ENVELOPE_BYTES_MIN + 1 };
    struct envelope_out out = { .at = 0 };
    struct envelope_in in = { .heard = false };
    uint8_t bytes[ENVELOPE_BYTES_MIN + 1];
    struct span got = { .size = 0 };
    bool came = false;

    require(envelope_put(&out, frame));
    while (envelope_waiting(&out) > 0) {
        require(!came);
        envelope_pack(&out, &schedule, 1, bytes);
        envelope_sent(&out);
        require(envelope_take(&in, span_of(bytes, sizeof bytes)) == LINK_NO_REASON);
        came = envelope_next(&in, &got);
        require(!came || span_equal(got, frame));
    }
    require(came && !envelope_next(&in, &got));
    envelope_out_clear(&out);
    envelope_in_clear(&in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader rest = reader_of(span_of(data, size));
    struct envelope_in in = { .heard = false };
    uint64_t brought = 0;
    uint64_t taken = 0;

    while (reader_left(&rest) > 2) {
        uint16_t length = reader_u16(&rest);
        size_t want = length == 0 ? ENVELOPE_BYTES_MAX : length;
        struct span message = reader_span(&rest, want < reader_left(&rest) ? want : reader_left(&rest));
        struct span frame;

        enum link_reason reason = envelope_take(&in, message);
        if (reason != LINK_NO_REASON) {
            require(reason >= LINK_ENVELOPE_SIZE && reason <= LINK_ENVELOPE_BESIDE);
            break;
        }
        if (in.schedule.bytes == 0) {
            require(message.data[0] != FRAME_ENVELOPE);
            continue;
        }
        require(envelope_schedule_valid(&in.schedule) && message.size == in.schedule.bytes);
        brought += message.size;
        while (envelope_next(&in, &frame)) {
            require(frame.size > 0 && frame.size <= FRAME_BYTES_MAX && frame.data[0] != FRAME_ENVELOPE);
            taken += frame.size;
            require(taken <= brought);
            pack_again(frame);
        }
        require(!in.frame.failed && in.frame.size <= brought);
    }
    envelope_in_clear(&in);
    return 0;
}
