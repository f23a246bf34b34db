/* world.h - a world for unit tests: everything in it is set by the test.
 *
 * Randomness comes from a seed and is the same in every run; the clocks stand
 * still until they are moved; the network takes every frame and keeps none; the
 * disk fails at the call the test names.
 */
#pragma once

#include "store/base/world.h"

struct test_world {
    struct world world;
    uint64_t seed;
    uint64_t drawn; /* blocks of randomness given so far */
    uint64_t wall_ms;
    uint64_t steady_ms;
    uint64_t sent;          /* frames taken so far */
    uint64_t disk_calls;    /* disk steps asked so far */
    uint64_t disk_fails_at; /* the call that fails, from 1; 0: none does */
    enum err disk_err;
    bool disk_full; /* what would take room is refused, but for what may use the reserve */
};

/* A world with both clocks at 2025-01-01 and 0, and no fault. It holds pointers
 * into itself: do not copy it. */
void test_world_init(struct test_world *test, uint64_t seed);

/* Let `ms` milliseconds pass on both clocks. */
void test_world_pass(struct test_world *test, uint64_t ms);

/* Fail the `nth` disk step from now (1: the next) with `err`, once. */
void test_world_fail_disk(struct test_world *test, uint64_t nth, enum err err);
