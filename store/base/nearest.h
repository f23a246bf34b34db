/* nearest.h - what somebody who mistyped a name probably meant.
 *
 *     stats -> status, countr_of_act -> country_of_act, elephant -> nothing
 */
#pragma once

#include <stddef.h>

/* The search for one name; all of it is lent. */
struct nearest {
    const char *typed;
    const char *name; /* the nearest so far; NULL: none is near */
    size_t mistakes;
};

struct nearest nearest_to(const char *typed);
/* Look at one more name. Of two that are equally near the first stays. */
void nearest_see(struct nearest *nearest, const char *name);

/* Of `count` names, the one that `typed` was probably meant to be; NULL if none is near. */
const char *nearest_name(const char *typed, const char *const *names, size_t count);
