/* confinement.h - what holds a process in: as the kernel says, not as we meant it. */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

struct confinement {
    bool known;
    unsigned seccomp;      /* 0: none, 1: strict, 2: a filter */
    bool no_new_privs;     /* nothing that it starts gains a right */
    bool dumpable;         /* a crash may write its memory, and others of its user may read it */
    uint64_t locked_bytes; /* memory that never reaches the swap */
};

/* Read what /proc/PID/status says; `dumpable` is left. False: it is not such a text. */
MUST_CHECK bool confinement_parse(struct span status, struct confinement *out);

/* Of this process. `out->known` is false where the kernel does not say. */
void confinement_read(struct confinement *out);
