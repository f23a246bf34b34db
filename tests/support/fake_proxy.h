/* fake_proxy.h - a SOCKS 5 proxy for tests: it knows one address, and every name leads there.
 *
 *     whoever asks ---> 127.0.0.1:port [ fake proxy ] ---> 127.0.0.1:target
 *
 * Whatever it is asked for, it notes that and connects to its target: so a host that is nowhere but here is
 * reached if, and only if, it was the proxy that was asked. It can also refuse in each way that a proxy has.
 * Without a thread: call fake_proxy_turn again and again.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_PROXY_CONNECTIONS_MAX = 16, FAKE_PROXY_BUFFER_BYTES = 64 * 1024 };

/* One direction. */
struct fake_proxy_lane {
    uint8_t bytes[FAKE_PROXY_BUFFER_BYTES];
    size_t at;
    size_t used;
    bool ended;
};

struct fake_proxy_connection {
    int near;                          /* who asks; -1: this one is free */
    int far;                           /* -1: not connected yet */
    uint8_t head[3 + 4 + 1 + 255 + 2]; /* greeting and question */
    size_t head_size;
    bool greeted;
    struct fake_proxy_lane there;
    struct fake_proxy_lane back;
};

struct fake_proxy {
    int listener;
    uint16_t port;
    uint16_t target;     /* port of loopback */
    uint8_t method;      /* what it answers a greeting; 0: no login */
    uint8_t reply;       /* what it answers a question; 0: granted */
    bool silent;         /* takes calls, and answers nothing */
    bool hangs_up;       /* takes calls, and closes them */
    const char *garbage; /* what it answers a greeting instead; NULL: nothing else */
    const char
        *ahead; /* sent in one piece with the grant, as if the other end had spoken at once; NULL: nothing */
    size_t accepted;
    size_t asked;   /* questions that came whole */
    uint8_t kind;   /* of the address in the last of them: 1, 3, 4 */
    char host[256]; /* that address; of kind 3 as it was sent, else in numbers */
    uint16_t host_port;
    void (*on_asked)(const struct fake_proxy *proxy, void *self);                 /* NULL: nobody is told */
    void (*on_passed)(const uint8_t *bytes, size_t size, bool there, void *self); /* NULL: likewise */
    void *self;
    struct fake_proxy_connection connections[FAKE_PROXY_CONNECTIONS_MAX];
};

/* Listen on loopback, on `port` or on any free one (0). False: it cannot. */
bool fake_proxy_open(struct fake_proxy *proxy_out, uint16_t port, uint16_t target);

/* Stop listening, and end every connection. */
void fake_proxy_close(struct fake_proxy *proxy);

/* End every connection, and go on listening. */
void fake_proxy_cut(struct fake_proxy *proxy);

/* Take and pass on what is there, after waiting for something at most so long. */
void fake_proxy_turn(struct fake_proxy *proxy, int timeout_ms);
