/* limits.h - what Vigil does not protect against, in words for people whose lives depend on it: `vigil about --limits` and the page
 * vigil-limits(7), which a test compares. */
#pragma once

#include <stddef.h>

struct limit {
    const char *title;
    const char *text; /* one paragraph */
};

extern const struct limit limits[];
extern const size_t limit_count;
