/* confinement.h - what holds a process in: as the kernel says, not as we meant it. */
#pragma once

#include <stdbool.h>

struct confinement {
    bool known;
    unsigned seccomp;  /* 0: none, 2: a filter */
    bool no_new_privs; /* nothing that it starts gains a right */
    bool dumpable;     /* a crash may write its memory, and others of its user may read it */
};

/* Of this process; the sandbox lets it ask. `out->known` is false where the kernel does not say. */
void confinement_read(struct confinement *out);
