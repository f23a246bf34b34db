#include "tests/support/chance.h"

#include <string.h>

/* SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014. */
uint64_t
chance_next(struct chance *chance)
{
    chance->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = chance->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t
chance_below(struct chance *chance, uint64_t bound)
{
    return chance_next(chance) % bound;
}

uint64_t
chance_between(struct chance *chance, uint64_t low, uint64_t high)
{
    return low + chance_below(chance, high - low + 1);
}

bool
chance_one_in(struct chance *chance, uint64_t n)
{
    return chance_below(chance, n) == 0;
}

void
chance_fill(struct chance *chance, void *out, size_t size)
{
    uint8_t *at = out;

    while (size > 0) {
        uint64_t draw = chance_next(chance);
        size_t part = size < sizeof draw ? size : sizeof draw;

        memcpy(at, &draw, part);
        at += part;
        size -= part;
    }
}
