/* stranger.h - a peer made by hand: it speaks to a listener byte by byte, and may lie.
 *
 * libzmq's own sockets are too honest for the tests of our door. This one sends
 * any greeting and any frame, and does the CURVE handshake of ZMTP 3.0 (RFC 26)
 * with whatever metadata the test writes. It waits by running `wait` of the test,
 * so that both ends may live in one thread.
 */
#pragma once

#include "sync/joining.h"

struct stranger {
    int fd;
    uint8_t public_key[32];
    uint8_t secret_key[32];
    uint8_t short_public_key[32];
    uint8_t short_secret_key[32];
    uint8_t server_key[32];
    uint8_t server_short_key[32];
    uint64_t nonce;
    struct buf said;  /* all bytes that went, in order */
    size_t said_last; /* where in them the last frame begins */
    struct buf heard; /* all bytes that came, in order */
    bool ended;       /* the other side closed */
};

/* Connect to 127.0.0.1:port with a long-term key of its own, or `secret_key` if not NULL. */
void stranger_open(struct stranger *stranger, uint16_t port, const uint8_t *secret_key);
void stranger_close(struct stranger *stranger);

/* Send as much as it takes; false: the other side is gone. */
bool stranger_say(struct stranger *stranger, const void *bytes, size_t size);

/* Take in what has come by now. */
void stranger_hear(struct stranger *stranger);

/* Greeting of ZMTP 3.0 with `mechanism`, as a client. */
void stranger_greet(struct stranger *stranger, const char *mechanism);

/* The steps of CURVE, after the greeting was sent. The answer of the step before must have been
 * heard whole: true if the answer opened, and the step was sent. */
void stranger_say_hello(struct stranger *stranger, const uint8_t server_key[32]);
bool stranger_say_initiate(struct stranger *stranger, struct span metadata);

/* One metadata property. */
void stranger_property(struct buf *metadata, const char *name, const char *value);

/* One frame of a message, sealed; `more` follows. */
bool stranger_send(struct stranger *stranger, struct span bytes, bool more);

/* Bytes of greeting, WELCOME and READY: what is heard up to and with each of them at least. And of a HELLO. */
enum { STRANGER_GREETING = 64, STRANGER_WELCOME = 64 + 170, STRANGER_HELLO = 202 };

/* The transport key of the node whose request is in the file at `path`, and more of it. False: there is none. */
MUST_CHECK bool stranger_read_request(const char *path, struct request *request_out);

/* True if the handshake was refused once the WELCOME had come: the ERROR command of ZMTP with 400. *after_out: how many bytes came behind it. */
bool stranger_was_refused(const struct stranger *stranger, size_t *after_out);
