/* endpoint.h - where a node listens or can be reached: tcp://HOST:PORT; and through whom: socks5://HOST:PORT.
 *
 *     HOST = 192.0.2.7 | [2001:db8::7] | node.example.org | * (listen only)
 *
 * libzmq knows many more transports and forms, and is linked with libraries for
 * some of them; nothing but what is accepted here is ever handed to it. Pure.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

enum {
    ENDPOINT_BYTES = 300,    /* the longest text, its NUL included */
    ENDPOINT_IPC_BYTES = 100 /* the longest path of a Unix socket */
};

enum endpoint_use {
    ENDPOINT_DIAL = 0,
    ENDPOINT_BIND, /* the host may be `*` (every address), the port `*` (any free one) */
};

struct endpoint {
    char text[ENDPOINT_BYTES]; /* the whole, NUL-terminated */
    char host[256];            /* without brackets; empty for `*` and for ipc */
    uint16_t port;             /* 0: any free one */
    bool numeric;              /* an address, no name to look up */
    bool ipc;
};

/* Take `text` apart. Only tcp, and with `ipc_allowed` (tests) ipc:///PATH.
 * ERR_INVALID: anything else, such as another transport, a name that no host may
 * have, port 0, an interface, a source address before a semicolon. */
MUST_CHECK enum err endpoint_parse(struct endpoint *endpoint_out, struct span text, enum endpoint_use use,
                                   bool ipc_allowed);

/* Take a proxy apart: socks5://HOST:PORT. ERR_INVALID: anything else; a login, which would be a secret, has no place in it. */
MUST_CHECK enum err endpoint_parse_proxy(struct endpoint *endpoint_out, struct span text);

/* The same as a setting: socks5://HOST:PORT, or PROXY_NONE, which is to call directly. */
#define PROXY_NONE "none"
bool endpoint_proxy_valid(const char *text);

/* True if the host is an onion service: no resolver is ever to be asked for it (RFC 7686). */
bool endpoint_is_onion(const struct endpoint *endpoint);
