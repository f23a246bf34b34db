/* world.h - everything a node does not decide by itself: time, chance, the
 * network and the ways a disk fails.
 *
 * The daemon fills it with the real thing (node/world.c); the simulator with a
 * virtual clock, a seeded generator and a network that drops and reorders. Code
 * that takes a `struct world` makes no system call of its own.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

/* A step that a disk may refuse. A full one refuses WORLD_DISK_BEGIN and lets WORLD_DISK_RESERVED through. */
enum world_disk { WORLD_DISK_BEGIN, WORLD_DISK_RESERVED, WORLD_DISK_COMMIT, WORLD_DISK_FILE };

struct world {
    void *self;

    /* Wall clock, milliseconds since 1970. It may jump either way. */
    uint64_t (*wall_ms)(void *self);

    /* A clock that never goes back, in milliseconds from anywhere: for timers. */
    uint64_t (*steady_ms)(void *self);

    /* Fill `out` with unpredictable bytes. Never fails. */
    void (*random)(void *self, void *out, size_t size);

    /* Hand one frame to peer number `peer`. False: no room now, or not connected;
     * nothing was kept. The bytes are copied. */
    bool (*send)(void *self, uint32_t peer, struct span frame);

    /* Asked before a step that a disk may refuse: ERR_OK, ERR_IO or ERR_FULL. */
    enum err (*disk)(void *self, enum world_disk step);
};

static inline uint64_t
world_wall_ms(const struct world *world)
{
    return world->wall_ms(world->self);
}

static inline uint64_t
world_steady_ms(const struct world *world)
{
    return world->steady_ms(world->self);
}

static inline void
world_random(const struct world *world, void *out, size_t size)
{
    world->random(world->self, out, size);
}

static inline bool
world_send(const struct world *world, uint32_t peer, struct span frame)
{
    return world->send(world->self, peer, frame);
}

static inline enum err
world_disk(const struct world *world, enum world_disk step)
{
    return world->disk(world->self, step);
}
