/* link.h - the network: one listener, and one socket for each peer that we dial.
 *
 *     strangers ---> [ ROUTER, CURVE server ] <--- zap.h: on the allow-list?
 *                         |  every message: User-Id and its MAC, or it is dropped
 *     owner  <== events ==+== link == send ==> the peer, by device
 *                         |  known by the key we dialled
 *     peers  <--- [ DEALER, CURVE client ], one a peer, redialled by ourselves
 *                    '--> tunnel.h --> a SOCKS proxy --> peer, and never past it
 *
 * The only file that includes zmq.h; it runs in the `net` process alone, and with
 * it everything that strangers can reach. To the owner a peer is a device: which
 * of the two sides dialled is settled here. A listener learns who is there by the
 * first message, so the dialler speaks first.
 *
 * Whenever a connection of a device ends, DOWN is told, and UP again at once if
 * another one remains: what was sent in between may be lost, so a session starts
 * anew at every UP. Of two connections of one pair the one dialled by the smaller
 * device_id stays.
 *
 * A line may keep a schedule: then what is sent to the device waits here, and leaves in envelopes (envelope.h), one at each beat of
 * the clock of this process, which waits for nothing that the owner does. The first leaves a second after UP, and one more where we
 * hang up in order. Envelopes that come are taken apart whether we keep a schedule or not; the owner sees the frames in them.
 *
 * Memory: a stranger costs at most one frame of 1 MiB, for the length of a
 * handshake, and there are at most LINK_INBOUND_MAX connections. An authenticated
 * peer costs at most LINK_BACKLOG_BYTES unread (one that passes it is hung up on),
 * LINK_HELD_BYTES while the owner has no room for it, and 64 messages to be sent; with envelopes one frame of 1 MiB more each way.
 *
 * SIGPIPE must be ignored. Not thread-safe: one thread, one link.
 */
#pragma once

#include "sync/envelope.h"
#include "sync/reason.h"
#include "sync/zap.h"

struct link;

enum {
    LINK_MESSAGE_BYTES_MAX = 1024 * 1024, /* of one message, at least 1 */
    LINK_PEERS_MAX = 256,                 /* devices dialled or connected at one time */
    LINK_INBOUND_MAX = 2048,              /* connections at our door, finished or not */
    LINK_LISTEN_MAX = 8,                  /* addresses that we listen on */
    LINK_HELD_BYTES = 2 * 1024 * 1024,
    LINK_BACKLOG_BYTES = 72 * 1024 * 1024,
};

enum link_event_kind {
    LINK_UP = 1,    /* connected: start a session */
    LINK_DOWN,      /* no longer connected, or an attempt to connect failed: `reason` */
    LINK_MESSAGE,   /* `bytes` */
    LINK_REFUSED,   /* at our door, `count` times since the last such event: no device */
    LINK_WARNING,   /* likewise, for the operator */
    LINK_ENVELOPES, /* envelopes went or came, before the frames that they brought */
};

struct link_event {
    enum link_event_kind kind;
    enum link_reason reason;
    struct hash device_id; /* of UP, DOWN, MESSAGE, ENVELOPES */
    uint64_t count;
    struct span bytes; /* lent until the next call of link_next */
    uint32_t sent;     /* of ENVELOPES: since the last such event, each of `sent_bytes` */
    uint32_t sent_bytes;
    uint32_t received;
    struct envelope_schedule theirs; /* by which they were sent that came last; none: no envelope ever came */
};

/* How a device is sent to. */
struct link_schedule {
    struct hash device_id;
    struct envelope_schedule schedule;
};

struct link_options {
    struct hash device_id;     /* our own */
    const uint8_t *secret_key; /* our CURVE key, 32 bytes: read during link_open only; libzmq keeps copies */
    uint32_t handshake_ms;     /* 1 to 30,000; 0: the default, 3,000 */
    uint32_t heartbeat_ms;     /* 0: none, for metered links */
    uint32_t silence_ms_max;   /* heartbeats unanswered for so long: hang up; 0: the default, 90,000 */
    uint32_t redial_ms_min;    /* first wait before dialling again, doubled up to redial_ms_max; 0: 1,000 */
    uint32_t redial_ms_max;    /* 0: 600,000 */
    uint32_t rekey_ms;         /* a connection is made anew after this time; 0: 4 hours */
    uint64_t rekey_bytes;      /* or after so many bytes, both ways; 0: 1 GiB */
    bool ipc_allowed;          /* for tests */
    const char *directory; /* where a tunnel's socket stands for a moment; read during link_open only; NULL or
                                  "": nobody is reached through a proxy */
};

/* Make the sockets and the handler of libzmq's questions; nobody is on the list yet.
 * ERR_MEMORY; ERR_INVALID: libzmq lacks CURVE, or an option that keeps strangers out does not hold;
 * ERR_FULL: no file descriptors. */
MUST_CHECK enum err link_open(struct link **link_out, const struct link_options *options);

/* Close every connection at once; what was not sent is dropped. */
void link_close(struct link **link);

/* Replace the allow-list, and hang up on every device that left it (DOWN, LINK_OFF_ROSTER).
 * ERR_INVALID, ERR_MEMORY: see zap_list_set. */
MUST_CHECK enum err link_set_allowed(struct link *link, const struct zap_guest *guests, size_t count);

/* Listen on `endpoint` (endpoint.h), then connect to ourselves with a key that nobody has and
 * demand to be refused: takes up to handshake_ms. `bound_out` (ENDPOINT_BYTES) gets the address
 * with its port. ERR_INVALID: not an endpoint; ERR_BUSY: the address is taken; ERR_IO: it cannot
 * be listened on, or the test gave no answer; ERR_FULL: LINK_LISTEN_MAX;
 * ERR_DENIED: a stranger was let in: the caller must end the process. */
MUST_CHECK enum err link_listen(struct link *link, struct span endpoint, char *bound_out);

/* Keep a connection to `device_id` at `endpoint`, redialling with growing, random waits. `heartbeats`: as the options say; else
 * none, since the line is paid for by the byte. `proxy`: socks5://HOST:PORT, through which alone it is dialled, whatever becomes of
 * it; empty: none. If all that is so already, try at once. While the device is connected to us by itself, no attempt is made.
 * ERR_INVALID: not an endpoint, or not a proxy; ERR_DENIED: the pair is not on the allow-list, or the device is our
 * own; ERR_FULL: LINK_PEERS_MAX; ERR_MEMORY. */
MUST_CHECK enum err link_dial(struct link *link, const struct hash *device_id,
                              const uint8_t curve_pk[CURVE_PK_BYTES], struct span endpoint, struct span proxy,
                              bool heartbeats);

/* Replace the list of the devices whose lines keep a schedule: to all others each message goes by itself. The connections of a device
 * for which that changes are made anew (DOWN, LINK_SCHEDULE_CHANGED). ERR_INVALID: a schedule is not valid; ERR_MEMORY: the old list
 * stays. */
MUST_CHECK enum err link_set_schedules(struct link *link, const struct link_schedule *schedules,
                                       size_t count);

/* True if the line to the device keeps a schedule. */
bool link_keeps_schedule(const struct link *link, const struct hash *device_id);

/* Stop dialling the device and close what is open (DOWN, `reason`). It may come again by itself. */
void link_hangup(struct link *link, const struct hash *device_id, enum link_reason reason);

/* Hand `bytes` (1 to LINK_MESSAGE_BYTES_MAX, the first not FRAME_ENVELOPE) to libzmq for the device; where its line keeps a schedule, keep
 * them for the next beats.
 * ERR_ABSENT: it is not connected; ERR_FULL: no room now, or as much waits as the next envelope can take; nothing was kept either
 * way. */
MUST_CHECK enum err link_send(struct link *link, const struct hash *device_id, struct span bytes);

/* Whether the owner takes messages of the device: false stops reading from it. Every DOWN makes room. */
void link_set_room(struct link *link, const struct hash *device_id, bool has_room);

/* Whether the owner takes messages at all. */
void link_pause(struct link *link, bool paused);

/* Sleep until something may have happened, at most `timeout_ms`, or until `fd` has one of `events`
 * (poll.h: POLLIN, POLLOUT). Gives what `fd` has. */
short link_wait(struct link *link, uint32_t timeout_ms, int fd, short events);

/* Have link_wait wake up when `fd` can be read, too; -1: no more. */
void link_watch(struct link *link, int fd);

/* The next event; false: none. Call it until then after each link_wait. */
bool link_next(struct link *link, struct link_event *event_out);
