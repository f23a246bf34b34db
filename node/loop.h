/* loop.h - the daemon's one loop, and its turns.
 *
 *     wait -> gather: channel, clients, clock
 *          -> turn:   replica_begin, save, receive, commit
 *          -> anchor, answer peers and people -> wait
 *
 * A turn takes in everything that has come, in one transaction, and nobody is answered before it
 * is durable. No socket is touched while a transaction is open. The process may be killed at any
 * moment: what was acknowledged is kept.
 */
#pragma once

#include "node/config.h"
#include "node/sandbox.h"
#include "node/world.h"
#include "sync/replica.h"

struct loop;

/* All of it outlives the loop. */
struct loop_options {
    struct replica *replica;
    struct real_world *world;
    struct config *config; /* replaced by what SIGHUP brings */
    const char *directory;
    const char *version;
    int starter;                  /* its descriptor; 0: net is a child of this process */
    struct sandbox_state sandbox; /* of this process */
};

/* The folder in the state directory where net may make sockets. */
void loop_sockets_path(char *out, size_t room, const char *directory);

/* Open the API socket and start the net process. ERR_BUSY: another daemon answers there. ERR_INVALID: the
 * directory's path is too long for a socket. ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err loop_open(struct loop **loop_out, const struct loop_options *options);
void loop_close(struct loop **loop);

/* Run until SIGTERM or SIGINT has come, or the terminal has gone. SIGHUP without one: node.conf is read again, and what it says is done; one
 * that cannot be used changes nothing. ERR_IO: the disk failed; start again, it is verified then. */
MUST_CHECK enum err loop_run(struct loop *loop);

/* One pass that waits at most `wait_ms`: for tests. */
MUST_CHECK enum err loop_turn(struct loop *loop, uint64_t wait_ms);
