/* frontier.h - what a replica holds of one compartment: the tips of its logs.
 *
 *     log a   0--1--2--3*             tips (*): entries that no kept entry
 *     log b   0--1*                   names as prev; sorted by (log_id, branch)
 *     log c   0--1--2--3*
 *                 \--2'*              a fork: two tips, each with its branch
 *
 * Two replicas with equal digests hold the same entries. When they differ, each tells
 * the other its frontier (FRONT): as rises over a checkpoint both kept, as heads
 * over a list both kept, or by names. All of it is arithmetic in memory; nothing here
 * is evidence, and a lie only costs bytes.
 */
#pragma once

#include "sync/message.h"

/* The last kept entry of a branch. Where a log has one tip in the frontier, its branch is
 * (0, zero); where it has several, the branch is the first entry after the last fork below the
 * tip: its seq and the beginning of its id. frontier_set sees to the former. */
struct tip {
    struct hash log_id;
    uint64_t seq;
    struct hash entry_id;
    uint64_t branch_first;
    uint8_t branch_id[SHORT_BYTES];
};

/* The tips of one compartment. Zeroed, it is empty and ready. */
struct frontier {
    struct tip *tips; /* sorted by log_id, branch_first, branch_id; to be read, not written */
    size_t count;
    size_t capacity;
    uint64_t change_count; /* rises with every change */
    /* cached */
    bool fresh;
    bool list_fresh;
    struct hash digest;
    struct hash list;
    struct buf scratch;
};

void frontier_free(struct frontier *frontier);

/* Put the tips of one log in place of those it had, if any; none (count 0) removes the log. `tips` all have this
 * log_id, in any order. ERR_MEMORY: nothing changed. */
MUST_CHECK enum err frontier_set_log(struct frontier *frontier, const struct hash *log_id,
                                     const struct tip *tips, size_t count);

/* The common case: the log has this one tip and no other. ERR_MEMORY: nothing changed. */
MUST_CHECK enum err frontier_set(struct frontier *frontier, const struct tip *tip);

/* Forget a log. */
void frontier_remove(struct frontier *frontier, const struct hash *log_id);

/* The tips of one log: the place of the first, and how many. 0: no such log; *first_out is where it would be. */
size_t frontier_log(const struct frontier *frontier, const struct hash *log_id, size_t *first_out);

/* The log whose id begins so; ids are compared by these 8 bytes, the first match counts. NULL: none. */
const struct tip *frontier_find(const struct frontier *frontier, const uint8_t log_short[SHORT_BYTES]);

/* True if the log of tips[place] has several tips. */
bool frontier_forked(const struct frontier *frontier, size_t place);

/* How many entries end in these tips; what branches share counts once. */
uint64_t frontier_entry_count(const struct frontier *frontier);

/* First 16 B of H("vigil.front.v1", sorted (log_id | seq | entry_id)); lent until the next change.
 * Its first 8 are the checkpoint id. */
const uint8_t *frontier_digest(struct frontier *frontier);

/* First 8 B of H("vigil.list.v1", (log_id | branch first | branch id) of each tip); lent likewise. */
const uint8_t *frontier_list_id(struct frontier *frontier);

/* First 8 B of H("vigil.front.v1", tips of the slice) for each slice log_id[0] >> 4. */
void frontier_slices(struct frontier *frontier, uint8_t slices_out[SLICE_COUNT * SHORT_BYTES]);

/* --- checkpoints --- */

/* A row of an agreed list, and how far that log had come. */
struct checkpoint_tip {
    struct hash log_id;
    uint64_t branch_first;
    uint8_t branch_id[SHORT_BYTES];
    uint64_t seq;
};

/* A frontier that two nodes found equal. Zeroed, there is none. */
struct checkpoint {
    uint64_t serial; /* the later of two has the higher; 0: none */
    uint8_t id[SHORT_BYTES];
    uint8_t list_id[SHORT_BYTES];
    struct checkpoint_tip *tips; /* sorted as in the frontier */
    size_t count;
};

void checkpoint_free(struct checkpoint *checkpoint);

/* Replace the content by the frontier as it is now. ERR_MEMORY: nothing changed. */
MUST_CHECK enum err checkpoint_take(struct checkpoint *checkpoint, struct frontier *frontier,
                                    uint64_t serial);

/* Bytes for the table, and back. ERR_INVALID: not a checkpoint. ERR_MEMORY. */
void checkpoint_write(struct buf *out, const struct checkpoint *checkpoint);
MUST_CHECK enum err checkpoint_read(struct span bytes, struct checkpoint *checkpoint_out);

/* --- FRONT --- */

/* The best mode in which `checkpoint` (NULL: none) lets this frontier be told. */
enum front_mode front_best_mode(const struct frontier *frontier, const struct checkpoint *checkpoint);

/* Append the FRONT frame of this frontier in a mode; FRONT_DELTA only where front_best_mode gives it, FRONT_HEADS where it gives
 * that or FRONT_DELTA. The frame never passes FRAME_SMALL_BYTES_MAX: of a compartment with so many logs that it
 * would, the rest stays unnamed, the peer then offers one chunk of each, and the ACK puts it right. */
void front_build(struct buf *out, const uint8_t tag[TAG_BYTES], const struct frontier *frontier,
                 enum front_mode mode, const struct checkpoint *checkpoint);

/* One tip of the peer, as it says. */
struct peer_tip {
    uint8_t log_id[HASH_BYTES]; /* whole where a list or our own frontier gave it, else 8 bytes and zeros */
    bool forked;                /* then its branch: */
    uint64_t branch_first;
    uint8_t branch_id[SHORT_BYTES];
    uint64_t seq_next; /* seq + 1; 0: none */
};

/* What the peer has, sorted by (log_id, branch). Zeroed, it is empty. */
struct peer_view {
    struct peer_tip *tips;
    size_t count;
    size_t capacity;
    bool whole; /* what it does not name, the peer does not have: nothing was left out for want of room */
};

void peer_view_free(struct peer_view *view);

enum front_result {
    FRONT_OK = 0,
    FRONT_UNKNOWN_CHECKPOINT, /* ask for FRONT_HEADS */
    FRONT_UNKNOWN_LIST,       /* ask for FRONT_NAMES */
    FRONT_MALFORMED,          /* places outside of the list */
    FRONT_MEMORY,
};

/* Replace the content of `view` by what a FRONT says. `checkpoints` are those kept with this peer (serial 0: none);
 * `frontier` (our own) only completes names that were cut short. */
MUST_CHECK enum front_result front_view(const struct front *front, const struct checkpoint *checkpoints,
                                        size_t checkpoint_count, const struct frontier *frontier,
                                        struct peer_view *view);

/* One more than the highest seq on the branch of `tip` that the peer is known to have, 0 if none; where the peer tells branches
 * that we cannot tell apart, the lowest that is safe to send from. `forked`: our own log has several tips. */
uint64_t peer_view_has(const struct peer_view *view, const struct tip *tip, bool forked);

/* One more than the highest seq that the peer is known to have of a log, on whichever branch; 0: none. */
uint64_t peer_view_furthest(const struct peer_view *view, const struct hash *log_id);
