/* node/world.h - the real world: clocks and chance of the operating system. */
#pragma once

#include "store/base/world.h"

/* Where frames to peers go: set by the loop before gossip may send. */
struct real_world {
    struct world world;
    void *outlet;
    bool (*send)(void *outlet, uint32_t peer, struct span frame);
};

/* Fill `real` with the clocks and the generator of the operating system. Until `send` is set,
 * nothing can be sent. */
void real_world_init(struct real_world *real);
