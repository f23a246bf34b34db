/* starter.h - the process that starts net, since the store may start nothing.
 *
 *     store --"start" and one end of a new channel--> starter --exec--> net
 *           <--"started", "died"---------------------
 *
 * What a process gives up, those that it starts have given up as well: a net below the store would have no network, or the
 * store would have to keep one. So the starter is begun first, by exec, before a passphrase or a file was read. It holds
 * nothing, speaks to nobody but the store, and ends with it.
 */
#pragma once

#include "node/sandbox.h"

#include <stdint.h>
#include <sys/types.h>

/* Zeroed, there is none. */
struct starter {
    pid_t pid;
    int fd;
};

/* What the starter tells of a process that it started. */
struct starter_news {
    pid_t pid;
    int status; /* as waitpid gives it */
};

/* Start it. `directory` is the only place where net may make sockets. ERR_IO: no descriptors, no process. */
MUST_CHECK enum err starter_begin(struct starter *starter_out, enum sandbox_mode mode, const char *directory);

/* End it, and what it started, and reap it. */
void starter_end(struct starter *starter);

/* Have a net process started that gets `channel`, which stays the caller's. ERR_IO: the starter is gone or cannot. */
MUST_CHECK enum err starter_start(int fd, int channel, pid_t *pid_out);

/* Have a process of it killed; its death is told as any other. */
void starter_kill(int fd, pid_t pid);

/* The next death that it told. ERR_ABSENT: none. ERR_IO: the starter is gone. */
MUST_CHECK enum err starter_hear(int fd, struct starter_news *news_out);

/* Be it, over `fd`, until the store closes its end. Exits with 0, or with 1 if it could not begin. */
_Noreturn void starter_main(int fd, enum sandbox_mode mode, const char *directory);
