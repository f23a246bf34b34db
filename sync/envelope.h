/* envelope.h - frames on a line that keeps a schedule: one message of one size at each beat, whatever there is to say.
 *
 *     frames    [ HELLO ][ DIGEST ][        CHUNK         ]
 *     stream    4|HELLO  4|DIGEST  4|CHUNK                          each behind its length
 *     beats     |--------------|--------------|--------------|--------------|
 *                envelope       envelope       envelope+zeros  zeros alone     one every beat_s seconds, each of `bytes`
 *
 * Who watches the line sees the same sizes at the same times whether something was written or not; CURVE hides where the zeros begin.
 * A frame may begin in one envelope and end in another; a connection on which envelopes go carries nothing beside them. The bytes:
 * FORMATS.md, "envelope". Pure: the beat itself, and the socket, are link.c's.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"
#include "sync/reason.h"

enum {
    ENVELOPE_BYTES_MIN = 256,
    ENVELOPE_BYTES_MAX = 64 * 1024,
    ENVELOPE_BYTES_DEFAULT = 2048,
    ENVELOPE_BEAT_S_MAX = 3600, /* and at least 1 */
    ENVELOPE_HEAD_BYTES = 3,
};

/* How one side of a line sends. Zeroed: by no schedule, each frame by itself. */
struct envelope_schedule {
    uint32_t beat_s; /* one envelope each time so many seconds have passed */
    uint32_t bytes;  /* of an envelope, head and zeros with it; what carries it on the line comes on top */
};

/* True if it is none, or both numbers are within their bounds. */
bool envelope_schedule_valid(const struct envelope_schedule *schedule);
bool envelope_schedule_equal(const struct envelope_schedule *a, const struct envelope_schedule *b);

/* --- sending --- */

/* What is to go to one peer. Zeroed, nothing is. */
struct envelope_out {
    struct buf stream; /* frames, each behind its length */
    size_t begun;      /* the first frame that has not gone whole begins here */
    size_t at;         /* and has gone up to here */
    size_t packed_begun;
    size_t packed_at;    /* likewise, once what was packed last has gone */
    uint64_t connection; /* over which it goes */
};

/* Forget all of it. */
void envelope_out_clear(struct envelope_out *out);

/* Append a frame of 1 to FRAME_BYTES_MAX bytes. False: no memory; nothing was appended. */
MUST_CHECK bool envelope_put(struct envelope_out *out, struct span frame);

/* Bytes that have yet to go, lengths with them. */
size_t envelope_waiting(const struct envelope_out *out);

/* Write the next envelope of a schedule that is one to `bytes_out`, which has room for all of it. `connection` is any number that no
 * other connection to this peer has: on another one than before, a frame that had gone in part goes from its beginning. Nothing has gone
 * until envelope_sent is called; until then the same is packed again. */
void envelope_pack(struct envelope_out *out, const struct envelope_schedule *schedule, uint64_t connection,
                   uint8_t *bytes_out);

/* What was packed last has gone. */
void envelope_sent(struct envelope_out *out);

/* --- receiving --- */

/* What came over one connection. Zeroed, nothing did. */
struct envelope_in {
    bool heard;                        /* something came: what it was holds for all that follows */
    struct envelope_schedule schedule; /* of the sender; none: frames come by themselves */
    struct buf frame;                  /* that has come in part */
    uint32_t left;                     /* bytes that it lacks */
    struct reader rest;                /* of the envelope at hand */
};

/* Forget all of it: another connection begins. */
void envelope_in_clear(struct envelope_in *in);

/* A message of the connection came. LINK_NO_REASON: it is well; where `in->schedule` is one, its frames are taken out by
 * envelope_next while `message` lives, and else it is a frame itself. Or why the connection must end: LINK_ENVELOPE_SIZE, an envelope
 * is smaller or larger than one may be, or its size or beat is not that of those before; LINK_ENVELOPE_LENGTH, a frame in it is
 * longer than a message may be, or an envelope itself; LINK_ENVELOPE_PADDING, a byte behind the last frame is not zero;
 * LINK_ENVELOPE_BESIDE, an envelope came where frames do, or the other way round. */
MUST_CHECK enum link_reason envelope_take(struct envelope_in *in, struct span message);

/* The next frame that came whole, lent until the next call; false: there is none, or no memory (in->frame.failed). */
bool envelope_next(struct envelope_in *in, struct span *frame_out);
