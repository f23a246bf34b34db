#include "node/world.h"

#include "store/base/crypto.h"

#include <assert.h>
#include <time.h>

static uint64_t
clock_ms(clockid_t clock)
{
    struct timespec now;

    int failed = clock_gettime(clock, &now);
    assert(failed == 0);
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t
real_wall_ms(void *self)
{
    (void)self;
    return clock_ms(CLOCK_REALTIME);
}

/* Time asleep counts: a laptop that was closed for a day has been out of touch for a day. */
static uint64_t
real_steady_ms(void *self)
{
    (void)self;
    return clock_ms(CLOCK_BOOTTIME);
}

static void
real_random(void *self, void *out, size_t size)
{
    (void)self;
    crypto_os_random(out, size);
}

static bool
real_send(void *self, uint32_t peer, struct span frame)
{
    const struct real_world *real = self;

    return real->send != NULL && real->send(real->outlet, peer, frame);
}

/* The disk speaks for itself. */
static enum err
real_disk(void *self, enum world_disk step)
{
    (void)self;
    (void)step;
    return ERR_OK;
}

void
real_world_init(struct real_world *real)
{
    *real = (struct real_world){
        .world = { .self = real,
                   .wall_ms = real_wall_ms,
                   .steady_ms = real_steady_ms,
                   .random = real_random,
                   .send = real_send,
                   .disk = real_disk },
    };
}
