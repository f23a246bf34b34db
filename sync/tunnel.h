/* tunnel.h - the way of one connection to a peer through a SOCKS 5 proxy.
 *
 *     libzmq ---ipc---> [ tunnel ] ---tcp---> proxy --- ... ---> peer
 *                         |    1. reach the proxy, and ask it for the peer (socks.h)
 *                         |    2. only then offer libzmq a socket, once
 *                         +--- 3. copy bytes both ways, until either side ends
 *
 * libzmq 4.3.4 knows SOCKS by itself, but aborts its process when a proxy refuses or goes away. What passes
 * here is CURVE's: the tunnel sees no more than the proxy does. What libzmq sees is a peer that is reached at once or
 * not at all, so that waiting, failing and redialling stay with link.h, and a proxy is asked once for each attempt.
 *
 * Nothing here blocks: the owner polls the descriptors. Only the name of a proxy is looked up by a short-lived
 * thread of its own, which shares nothing with anybody. The peer's name is looked up by the proxy alone.
 *
 * Memory: two buffers of TUNNEL_BUFFER_BYTES. SIGPIPE must be ignored.
 */
#pragma once

#include "sync/endpoint.h"
#include "sync/reason.h"

#include <poll.h>

enum {
    TUNNEL_FDS = 2,
    TUNNEL_BUFFER_BYTES = 64 * 1024,
    TUNNEL_REACH_MS = 30 * 1000, /* for each address of the proxy */
    TUNNEL_ASK_MS = 150 * 1000,  /* Tor tries for two minutes by itself before it says no */
};

enum tunnel_state {
    TUNNEL_OPENING = 0,
    TUNNEL_THROUGH, /* the proxy has connected us: offer it to libzmq */
    TUNNEL_OFFERED, /* libzmq has not come yet */
    TUNNEL_COPYING,
    TUNNEL_ENDED,  /* a side ended, after all that it had sent was passed on */
    TUNNEL_FAILED, /* there never was a connection: tunnel_reason */
};

struct tunnel;

/* Begin to reach `target` through `proxy`. `now_ms` is a steady clock, here and below.
 * ERR_MEMORY; ERR_FULL: no descriptors or threads. */
MUST_CHECK enum err tunnel_open(struct tunnel **tunnel_out, const struct endpoint *proxy,
                                const struct endpoint *target, uint64_t now_ms);

/* Close both sides at once; what was not passed on is dropped. */
void tunnel_close(struct tunnel **tunnel);

/* What to wait for: TUNNEL_FDS entries, those not needed with a descriptor of -1. */
void tunnel_poll(const struct tunnel *tunnel, struct pollfd fds_out[TUNNEL_FDS]);

/* Go on as far as that goes without waiting; call it when a descriptor is ready or its time is over. */
void tunnel_work(struct tunnel *tunnel, uint64_t now_ms);

/* When it fails if nothing happens until then; UINT64_MAX: it waits for nothing, or is the owner's to end. */
uint64_t tunnel_due_ms(const struct tunnel *tunnel);

enum tunnel_state tunnel_state(const struct tunnel *tunnel);
enum link_reason tunnel_reason(const struct tunnel *tunnel);

/* Make a socket in `directory` that takes one connection, of this very process, and is gone then. No other offer that stands has
 * the same `number`. `endpoint_out` gets its name for libzmq, good until that or tunnel_close. Only in TUNNEL_THROUGH.
 * ERR_IO: the directory takes none, and the tunnel is to be closed. */
MUST_CHECK enum err tunnel_offer(struct tunnel *tunnel, const char *directory, uint32_t number,
                                 char endpoint_out[ENDPOINT_BYTES]);

/* Bytes that came from the peer's side, the proxy's own answers not among them. */
uint64_t tunnel_received(const struct tunnel *tunnel);
