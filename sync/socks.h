/* socks.h - how a SOCKS 5 proxy (RFC 1928) is asked for a connection to a peer.
 *
 *     we      version 5, methods: no login                 -->
 *     proxy                                                <--  version 5, method
 *     we      version 5, connect, host as it was typed     -->
 *     proxy                                                <--  version 5, reply, an address
 *             from here on the bytes are the peer's
 *
 * A host name goes to the proxy as a name, so that nobody looks it up here: neither an onion service nor
 * the name of an office is told to the resolver of this machine. Pure: bytes in, bytes out.
 */
#pragma once

#include "sync/endpoint.h"
#include "sync/reason.h"

enum {
    SOCKS_ASK_BYTES_MAX = 4 + 1 + 255 + 2,
    SOCKS_REPLY_BYTES_MAX = 4 + 1 + 255 + 2,
};

enum socks_state {
    SOCKS_GREETING, /* waits for a method */
    SOCKS_ASKING,   /* waits for a reply */
    SOCKS_DONE,     /* the proxy has connected us */
    SOCKS_FAILED,   /* `reason` */
};

struct socks {
    enum socks_state state;
    enum link_reason reason;              /* of failed */
    uint8_t to_send[SOCKS_ASK_BYTES_MAX]; /* what is to be sent now; each step replaces it */
    size_t to_send_size;
    uint8_t ask[SOCKS_ASK_BYTES_MAX];
    size_t ask_size;
    uint8_t reply[SOCKS_REPLY_BYTES_MAX];
    size_t reply_size; /* come so far, of this step */
};

/* Begin to ask for `target`, a place to dial by tcp. Nothing to undo. */
void socks_begin(struct socks *socks_out, const struct endpoint *target);

/* Take in what the proxy sent. Gives how many of the bytes were its own: fewer than all of them only once it is done,
 * and the rest are the peer's, or failed. */
size_t socks_take(struct socks *socks, struct span bytes);
