#include "store/base/arena.h"

#include "store/base/crypto.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* The first block is small, so that an arena on a stack costs little; later ones double up to a bound,
 * unless one piece is larger. */
enum { BLOCK_BYTES_MIN = 4096, BLOCK_BYTES_MAX = 1 << 20, ALIGN = alignof(max_align_t) };

struct arena_block {
    struct arena_block *next;
    size_t size; /* of `bytes` */
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

/* A block with room for `size` bytes after `after`: the next one if it will do, or a new one. */
static struct arena_block *
block_after(struct arena *arena, struct arena_block *after, size_t size)
{
    struct arena_block *next = after != NULL ? after->next : arena->first;
    size_t wanted = after != NULL ? after->size * 2 : BLOCK_BYTES_MIN;

    if (next != NULL && next->size >= size) {
        next->used = 0;
        return next;
    }
    wanted = wanted > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : wanted;
    wanted = wanted < size ? size : wanted;
    if (wanted > SIZE_MAX - sizeof(struct arena_block)) {
        return NULL;
    }
    struct arena_block *block = malloc(sizeof *block + wanted);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct arena_block){ .next = next, .size = wanted };
    if (after != NULL) {
        after->next = block;
    } else {
        arena->first = block;
    }
    return block;
}

void *
arena_take(struct arena *arena, size_t size)
{
    if (arena->failed || size > SIZE_MAX - ALIGN) {
        arena->failed = true;
        return NULL;
    }
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *block = arena->last;
    if (block == NULL || block->size - block->used < size) {
        block = block_after(arena, block, size);
        if (block == NULL) {
            arena->failed = true;
            return NULL;
        }
        arena->last = block;
    }
    void *piece = block->bytes + block->used;
    block->used += size;
    return piece;
}

void *
arena_take_array(struct arena *arena, size_t count, size_t size)
{
    assert(size > 0);
    if (count > SIZE_MAX / size) {
        arena->failed = true;
        return NULL;
    }
    void *piece = arena_take(arena, count * size);
    if (piece != NULL) {
        memset(piece, 0, count * size);
    }
    return piece;
}

struct span
arena_copy(struct arena *arena, struct span bytes)
{
    uint8_t *piece = arena_take(arena, bytes.size);

    if (piece == NULL) {
        return span_of(NULL, 0);
    }
    if (bytes.size > 0) {
        memcpy(piece, bytes.data, bytes.size);
    }
    return span_of(piece, bytes.size);
}

struct span
arena_copy_buf(struct arena *arena, const struct buf *buf)
{
    arena->failed = arena->failed || buf->failed;
    return arena->failed ? span_of(NULL, 0) : arena_copy(arena, buf_span(buf));
}

void
arena_reset(struct arena *arena)
{
    arena->last = arena->first;
    if (arena->first != NULL) {
        arena->first->used = 0;
    }
    arena->failed = false;
}

void
arena_free(struct arena *arena)
{
    struct arena_block *block = arena->first;

    while (block != NULL) {
        struct arena_block *next = block->next;
        crypto_wipe(block->bytes, block->size);
        free(block);
        block = next;
    }
    *arena = (struct arena){ 0 };
}

size_t
arena_bytes(const struct arena *arena)
{
    size_t bytes = 0;

    for (const struct arena_block *block = arena->first; block != NULL; block = block->next) {
        bytes += block->size;
    }
    return bytes;
}
