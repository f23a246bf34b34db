/* witness.h - what nodes say to one another, as whoever carries it reads it.
 *
 *     a ==CHUNK(log, 7..9)==> [ witness ] ==> b      entry 8 of a log is one entry, whoever sends it and whenever
 *     a <===== ACK(log, 10) = [ witness ] <== b      b has said that it keeps all of the log below 10
 *
 * It holds no key: an entry is known by the salt in its header, which its author draws anew for each.
 */
#pragma once

#include "sync/message.h"

enum { WITNESS_NODES_MAX = 4 };

struct witness_log {
    uint8_t name[SHORT_BYTES]; /* the beginning of its log_id */
    uint64_t *salts;           /* by seq; 0: not seen yet */
    size_t salt_count;
    uint64_t kept_next
        [WITNESS_NODES_MAX]; /* what each node said to keep: one more than the highest seq; 0: nothing */
};

/* What one node has said to another since they were connected. */
struct witness_way {
    unsigned greetings;
    uint32_t *introduced; /* places in witness.logs, in the order of introduction */
    size_t introduced_count;
};

/* Zeroed, it has seen nothing. */
struct witness {
    struct witness_log *logs;
    size_t log_count;
    struct witness_way ways[WITNESS_NODES_MAX][WITNESS_NODES_MAX];
    uint64_t entries; /* that were seen, each once */
    uint64_t acks;    /* that raised what is kept somewhere */
};

void witness_free(struct witness *witness);

/* Two nodes were connected: both begin anew. */
void witness_connected(struct witness *witness, size_t a, size_t b);

/* A frame from one to the other. Gives NULL, or what is wrong in words: it was malformed, or another entry has the place of one that was
 * seen before. */
const char *witness_frame(struct witness *witness, size_t from, size_t to, struct span frame);
