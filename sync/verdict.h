/* verdict.h - what became of bytes that somebody sent us.
 *
 * A refusal (malformed, forged) is one that every replica would give. What only
 * this replica cannot take now is VERDICT_LATER: nothing is kept, nobody is
 * blamed, and the log is asked for again. What is genuine is kept; whether it
 * counts is its standing, and no business of the sender.
 */
#pragma once

#include <stdint.h>

enum verdict {
    VERDICT_TAKEN = 0, /* entries were kept: merged, carried, held or erased */
    VERDICT_SEEN,      /* genuine, and all of it was here already */
    VERDICT_LATER,     /* not now: see enum later */
    VERDICT_FORK,      /* an entry at first_seq - 1 is here, but none that prev names */
    VERDICT_MALFORMED,
    VERDICT_FORGED, /* the signature is not the author's */
};

enum later {
    LATER_NONE = 0,
    LATER_GAP,     /* no entry at first_seq - 1 is here */
    LATER_AUTHOR,  /* no certificate known here gives the author write there */
    LATER_LIMIT,   /* a limit of ours */
    LATER_FULL,    /* the disk or the map is full */
    LATER_PAYLOAD, /* a payload is missing, and no erasure that is known here explains it */
};

/* What a chunk came to. */
struct taken {
    enum verdict verdict;
    enum later later;      /* why, if VERDICT_LATER */
    uint64_t durable_next; /* one more than the highest seq of this log that is here: of its only tip, or, if
                              the log is forked here, of the chunk's last entry that is here; 0: none */
    uint64_t visible_next; /* the same for opened, merged and indexed; never more than durable_next */
    uint32_t entry_count;  /* entries that were new here */
    bool mended;           /* entries that were damaged here are whole again: their log can be read on */
    bool limited;          /* this log ends at a cut here: what is refused of it is never taken */
};

/* Where a walk over entries that are to come stands; all zero: before the first. It means something only here. */
struct absent_cursor {
    uint32_t log_no;
    uint64_t seq;
    bool whole; /* of this one all is to come, since it is damaged here; else its payload */
};
