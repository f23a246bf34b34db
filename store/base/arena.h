/* arena.h - memory that is taken piece by piece and given back all at once.
 *
 *     block 1 [aaaa|bb|ccccccc|....]   block 2 [dddddddddd|......]
 *
 * What is decoded in a turn lives as long as the turn. An arena that ran out of
 * memory stays so and gives NULL until it is reset, so a run of steps may check
 * once, at its end. Pieces are aligned for every type.
 */
#pragma once

#include "store/base/bytes.h"

struct arena_block;

/* Zeroed, it is empty and ready. */
struct arena {
    struct arena_block *first; /* blocks in the order in which they are filled */
    struct arena_block *last;  /* the one being filled */
    bool failed;               /* memory ran out: something is missing */
};

/* `size` bytes, not cleared; NULL once failed. Zero bytes are a valid piece. */
void *arena_take(struct arena *arena, size_t size);

/* `count` cleared elements of `size` bytes; NULL once failed, or if that overflows. */
void *arena_take_array(struct arena *arena, size_t count, size_t size);

/* A copy of the bytes; empty once failed. */
struct span arena_copy(struct arena *arena, struct span bytes);

/* A copy of what was gathered; empty once failed, and failed if memory ran out while it was gathered. */
struct span arena_copy_buf(struct arena *arena, const struct buf *buf);

/* Give every piece back but keep the memory; a failure is forgotten too. */
void arena_reset(struct arena *arena);

/* Give the memory back, wiped: an arena holds plaintext. It is then empty and ready. */
void arena_free(struct arena *arena);

/* Bytes that the blocks take. */
size_t arena_bytes(const struct arena *arena);
