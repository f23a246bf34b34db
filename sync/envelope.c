#include "sync/envelope.h"

#include "sync/message.h"

#include <assert.h>
#include <string.h>

enum { LENGTH_BYTES = 4 };

bool
envelope_schedule_valid(const struct envelope_schedule *schedule)
{
    return (schedule->beat_s == 0 && schedule->bytes == 0) ||
           (schedule->beat_s >= 1 && schedule->beat_s <= ENVELOPE_BEAT_S_MAX &&
            schedule->bytes >= ENVELOPE_BYTES_MIN && schedule->bytes <= ENVELOPE_BYTES_MAX);
}

bool
envelope_schedule_equal(const struct envelope_schedule *a, const struct envelope_schedule *b)
{
    return a->beat_s == b->beat_s && a->bytes == b->bytes;
}

/* --- sending --- */

void
envelope_out_clear(struct envelope_out *out)
{
    buf_free(&out->stream);
    *out = (struct envelope_out){ .at = 0 };
}

bool
envelope_put(struct envelope_out *out, struct span frame)
{
    struct buf *stream = &out->stream;
    size_t before = stream->size;

    assert(frame.size > 0 && frame.size <= FRAME_BYTES_MAX);
    buf_put_u32(stream, (uint32_t)frame.size);
    buf_put_span(stream, frame);
    if (stream->failed) {
        stream->failed = false;
        stream->size = before;
        return false;
    }
    return true;
}

size_t
envelope_waiting(const struct envelope_out *out)
{
    return out->stream.size - out->at;
}

void
envelope_pack(struct envelope_out *out, const struct envelope_schedule *schedule, uint64_t connection,
              uint8_t *bytes_out)
{
    const struct buf *stream = &out->stream;
    size_t used = ENVELOPE_HEAD_BYTES;

    if (out->connection != connection) {
        out->connection = connection;
        out->at = out->begun;
    }
    bytes_out[0] = FRAME_ENVELOPE;
    bytes_write_u16(bytes_out + 1, (uint16_t)schedule->beat_s);
    size_t begun = out->begun;
    size_t at = out->at;
    while (at < stream->size) {
        size_t end = begun + LENGTH_BYTES + bytes_read_u32(stream->data + begun);
        size_t room = schedule->bytes - used;
        size_t part = end - at < room ? end - at : room;

        /* A length is never cut in two: who reads would take the first half of it for zeros. */
        if (at == begun && room < LENGTH_BYTES) {
            break;
        }
        memcpy(bytes_out + used, stream->data + at, part);
        used += part;
        at += part;
        if (at < end) {
            break;
        }
        begun = end;
    }
    memset(bytes_out + used, 0, schedule->bytes - used);
    out->packed_begun = begun;
    out->packed_at = at;
}

void
envelope_sent(struct envelope_out *out)
{
    struct buf *stream = &out->stream;

    out->begun = out->packed_begun;
    out->at = out->packed_at;
    /* Drop what has gone, once it is worth the copy. */
    if (out->begun == stream->size) {
        buf_free(stream);
        out->begun = 0;
        out->at = 0;
    } else if (out->begun > stream->size / 2) {
        memmove(stream->data, stream->data + out->begun, stream->size - out->begun);
        stream->size -= out->begun;
        out->at -= out->begun;
        out->begun = 0;
    }
    out->packed_begun = out->begun;
    out->packed_at = out->at;
}

/* --- receiving --- */

void
envelope_in_clear(struct envelope_in *in)
{
    buf_free(&in->frame);
    *in = (struct envelope_in){ .heard = false };
}

static bool
is_zero(struct reader rest)
{
    bool zero = true;

    while (reader_left(&rest) > 0) {
        zero = reader_u8(&rest) == 0 && zero;
    }
    return zero;
}

/* Whether what is behind the head is the rest of a frame, frames, the beginning of one, and zeros. */
static enum link_reason
check(const struct envelope_in *in, struct reader rest)
{
    uint32_t left = in->left;
    bool begins = in->frame.size == 0;

    for (;;) {
        if (left > FRAME_BYTES_MAX ||
            (begins && left > 0 && reader_left(&rest) > 0 && rest.at[0] == FRAME_ENVELOPE)) {
            return LINK_ENVELOPE_LENGTH;
        }
        (void)reader_span(&rest, left < reader_left(&rest) ? left : reader_left(&rest));
        if (reader_left(&rest) < LENGTH_BYTES || bytes_read_u32(rest.at) == 0) {
            return is_zero(rest) ? LINK_NO_REASON : LINK_ENVELOPE_PADDING;
        }
        left = reader_u32(&rest);
        begins = true;
    }
}

enum link_reason
envelope_take(struct envelope_in *in, struct span message)
{
    struct envelope_schedule schedule = { .beat_s = 0 };
    struct reader rest = reader_of(message);
    bool is_envelope = reader_u8(&rest) == FRAME_ENVELOPE;

    if (in->heard && is_envelope != (in->schedule.bytes > 0)) {
        return LINK_ENVELOPE_BESIDE;
    }
    if (is_envelope) {
        schedule.beat_s = reader_u16(&rest);
        schedule.bytes = message.size <= ENVELOPE_BYTES_MAX ? (uint32_t)message.size : 0;
        if (rest.failed || schedule.bytes == 0 || !envelope_schedule_valid(&schedule) ||
            (in->heard && !envelope_schedule_equal(&schedule, &in->schedule))) {
            return LINK_ENVELOPE_SIZE;
        }
        enum link_reason fault = check(in, rest);
        if (fault != LINK_NO_REASON) {
            return fault;
        }
        in->rest = rest;
    }
    in->heard = true;
    in->schedule = schedule;
    return LINK_NO_REASON;
}

bool
envelope_next(struct envelope_in *in, struct span *frame_out)
{
    struct reader *rest = &in->rest;

    if (in->left == 0) {
        in->left = reader_left(rest) < LENGTH_BYTES ? 0 : reader_u32(rest);
        buf_clear(&in->frame);
    }
    if (in->left == 0) {
        /* Zeros, which were looked at already. */
        in->rest = (struct reader){ .at = NULL };
        buf_free(&in->frame);
        return false;
    }
    if (in->frame.size == 0 && in->left <= reader_left(rest)) {
        *frame_out = reader_span(rest, in->left);
        in->left = 0;
        return true;
    }
    struct span part = reader_span(rest, in->left < reader_left(rest) ? in->left : reader_left(rest));
    buf_put_span(&in->frame, part);
    in->left -= (uint32_t)part.size;
    *frame_out = buf_span(&in->frame);
    return in->left == 0 && !in->frame.failed;
}
