/* spawn.h - the store process keeps a net process running.
 *
 *     store --- socketpair --- vigild net --channel 3        exec of /proc/self/exe, by the starter
 *
 * Exec, and never fork alone: the child shares no memory with a process that has
 * LMDB open, and inherits no descriptor but the channel and stderr. When it dies it
 * is started again, later each time; nothing is lost but connections.
 */
#pragma once

#include "store/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The descriptor by which the net process finds the channel. */
enum { SPAWN_CHANNEL_FD = 3 };

enum spawn_news {
    SPAWN_NOTHING = 0, /* it runs, or is not yet due to be started again */
    SPAWN_DIED,        /* it ended: close the channel */
    SPAWN_STARTED,     /* a new one runs: take over `fd` and send it everything */
};

/* Zeroed, nothing runs and nothing ever did. */
struct spawn {
    int starter;       /* its descriptor, see starter.h; 0: there is none, and the process is our own child */
    bool starter_gone; /* nothing can be started again */
    pid_t pid;         /* 0: none */
    uint32_t deaths;   /* in a row */
    uint64_t started_ms; /* of the one that runs, or ran last */
    uint64_t retry_ms;   /* when to start the next */
    int status;          /* of the last that died, as waitpid gives it */
};

/* Exec this program again with `argv`: it gets `fd` as SPAWN_CHANNEL_FD, stderr, default signals, a process group of its own and an
 * empty environment. ERR_IO. */
MUST_CHECK enum err spawn_program(pid_t *pid_out, char *const argv[], int fd);

/* Start the process and give our end of the channel, which the caller owns from then on.
 * `now_ms` is a steady clock. ERR_IO: no descriptors, no process. */
MUST_CHECK enum err spawn_start(struct spawn *spawn, uint64_t now_ms, int *fd_out);

/* Reap the process if it died, and start another when that is due: call it each turn.
 * `fd_out` is set with SPAWN_STARTED only. */
enum spawn_news spawn_check(struct spawn *spawn, uint64_t now_ms, int *fd_out);

/* End it at once and reap it; the caller has closed the channel. */
void spawn_stop(struct spawn *spawn);
