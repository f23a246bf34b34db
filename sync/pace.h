/* pace.h - how much may be on its way to a peer at once.
 *
 *     sent      |-----------------------------|        bytes of CHUNK and BLOB frames
 *     returned  |----------------|            |        credit for them came back: they are durable there
 *                                |<- on way ->|        at most `limit`, a little more for what is urgent
 *
 * What is urgent overtakes all that was not handed to the line yet, and nothing of what was. Credit alone, a mebibyte, is two
 * minutes of a satellite line. So the time from a frame to the credit for it is measured: by what it is above the least that
 * was seen, bytes wait for one another on the line. The limit grows while that is little, twice as much each round trip until
 * it was too much once, and shrinks where it is too much; what was too much is tried again only after a long while. On a fast line
 * it soon is no limit. (The idea is that of LEDBAT,
 * RFC 6817, with a delay there and back, since the clocks of two nodes are not one.)
 *
 * A peer that keeps credit back, since it is full, is not waited for longer than PACE_PATIENCE_MS: its credit is the limit then.
 *
 * On a line that keeps a schedule there is nothing to measure: beats decide when credit comes, and how much passes is known. There the limit
 * is fixed, and what is waited for is longer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PACE_RETURN_BYTES =
        1024, /* a peer returns credit when it owes so much, so this little is as good as nothing */
    PACE_BYTES_MIN = 4 * 1024,
    PACE_BYTES_START = 8 * 1024,
    PACE_BYTES_URGENT =
        8 * 1024, /* beyond the limit, for what is urgent: much of it is no longer so for each of its parts */
    PACE_WAIT_MS = 750, /* bytes may wait for one another for so long */
    PACE_PATIENCE_MS =
        20 * 1000,  /* longer than a stall of a bad line, and than a line at rest waits for urgent news */
    PACE_CALM = 64, /* so many times the limit pass before what was too much is tried again */
    PACE_MARKS = 32,
};

struct pace {
    uint64_t sent; /* since pace_begin */
    uint64_t returned;
    uint64_t given_up; /* of what was sent: not waited for any longer */
    uint64_t limit;
    uint64_t least_ms;  /* from a frame to its credit; UINT64_MAX: none came yet */
    uint64_t moved_ms;  /* when credit came last, or the first byte of what is on its way was sent */
    uint64_t shrunk_at; /* the limit shrinks no more for what had been sent before this byte */
    bool shrunk;        /* once: it grows slowly now */
    uint64_t ceiling;   /* this was too much; UINT64_MAX: nothing was */
    uint64_t calm_at;   /* until this byte came back */
    bool held_back;     /* something did not go for its sake, since credit came last */
    bool fixed;         /* the limit neither grows nor shrinks */
    uint64_t patience_ms;
    size_t mark_count;
    struct pace_mark { /* a ring: frames on their way, the oldest first */
        uint64_t end;
        uint64_t ms;
    } marks[PACE_MARKS];
    size_t mark_first;
};

/* Before a session. `now_ms` is of the steady clock, here and below, and never goes back. */
void pace_begin(struct pace *pace);

/* From now on the limit is this, and `patience_ms` stands for PACE_PATIENCE_MS. */
void pace_fix(struct pace *pace, uint64_t limit, uint64_t patience_ms);

/* True if a frame of so many bytes may go: it fits, or nothing to speak of is on its way. */
bool pace_allows(struct pace *pace, uint64_t bytes, bool urgent, uint64_t now_ms);

/* A frame went. */
void pace_sent(struct pace *pace, uint64_t bytes, uint64_t now_ms);

/* Credit for so many bytes came back. More than is on its way counts as that. */
void pace_returned(struct pace *pace, uint64_t bytes, uint64_t now_ms);

/* Bytes that were sent, and neither came back as credit nor were given up. */
uint64_t pace_on_way(const struct pace *pace);

/* The largest frame that is worth building: half the limit, so that one is on its way while another is made. */
uint64_t pace_frame_bytes(const struct pace *pace);

/* When something that was held back may go although no credit comes; UINT64_MAX: nothing is held back. */
uint64_t pace_due_ms(const struct pace *pace);
