#include "tests/support/world.h"

#include "store/base/crypto.h"

#include <assert.h>
#include <string.h>

#define WALL_MS_2025 UINT64_C(1735689600000)

static uint64_t
wall_ms(void *self)
{
    return ((struct test_world *)self)->wall_ms;
}

static uint64_t
steady_ms(void *self)
{
    return ((struct test_world *)self)->steady_ms;
}

/* Block n of the stream is the hash of the seed and n. */
static void
draw(void *self, void *out, size_t size)
{
    struct test_world *test = self;
    uint8_t *at = out;

    while (size > 0) {
        uint8_t input[16];
        struct hash block;
        bytes_write_u64(input, test->seed);
        bytes_write_u64(input + 8, test->drawn++);
        CRYPTO_HASH(&block, "vigil.test.rand", span_of(input, sizeof input));
        size_t part = size < HASH_BYTES ? size : HASH_BYTES;
        memcpy(at, block.bytes, part);
        at += part;
        size -= part;
    }
}

static bool
take_frame(void *self, uint32_t peer, struct span frame)
{
    (void)peer;
    (void)frame;
    ((struct test_world *)self)->sent++;
    return true;
}

static enum err
disk_step(void *self, enum world_disk step)
{
    struct test_world *test = self;

    test->disk_calls++;
    if (test->disk_full && (step == WORLD_DISK_BEGIN || step == WORLD_DISK_FILE)) {
        return ERR_FULL;
    }
    return test->disk_calls == test->disk_fails_at ? test->disk_err : ERR_OK;
}

void
test_world_init(struct test_world *test, uint64_t seed)
{
    *test = (struct test_world){
        .world = {
            .self = test,
            .wall_ms = wall_ms,
            .steady_ms = steady_ms,
            .random = draw,
            .send = take_frame,
            .disk = disk_step,
        },
        .seed = seed,
        .wall_ms = WALL_MS_2025,
    };
}

void
test_world_pass(struct test_world *test, uint64_t ms)
{
    test->wall_ms += ms;
    test->steady_ms += ms;
}

void
test_world_fail_disk(struct test_world *test, uint64_t nth, enum err err)
{
    assert(nth > 0);

    test->disk_fails_at = test->disk_calls + nth;
    test->disk_err = err;
}
