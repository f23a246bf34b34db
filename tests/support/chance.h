/* chance.h - a generator for tests: who begins with the same state draws the same numbers, on every machine and for ever.
 *
 * Seeds of the simulator, the vectors of generated cases and the trained dictionary depend on them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

uint64_t chance_next(struct chance *chance);
uint64_t chance_below(struct chance *chance, uint64_t bound); /* 0 to bound - 1 */
uint64_t chance_between(struct chance *chance, uint64_t low, uint64_t high);
bool chance_one_in(struct chance *chance, uint64_t n);
void chance_fill(struct chance *chance, void *out, size_t size);
