/* peer.h - one device at the other end: its two possible connections, what is to be
 * told of it, and what is held for it.
 *
 *     device --+-- in:  it dialled us; libzmq's number and descriptor of the connection
 *              +-- out: we dial it: off, waiting, connecting, handshake, open
 *
 * The part of link.c that needs neither socket nor clock.
 */
#pragma once

#include "sync/endpoint.h"
#include "sync/link.h"

enum { PEER_RETIRED_COUNT = 8 /* ended connections of a device that are remembered */ };

/* A connection that came in. */
struct inbound {
    bool open;
    bool closing;    /* libzmq says that it ended; what it had sent may still be unread */
    uint32_t number; /* the routing id that libzmq assigned */
    int fd;          /* -1: unknown */
    uint64_t since_ms;
    uint64_t bytes;
    struct envelope_in mail;
};

enum dial_state { DIAL_OFF = 0, DIAL_WAITING, DIAL_CONNECTING, DIAL_HANDSHAKE, DIAL_OPEN };

/* A connection that we make, and make again. */
struct outbound {
    enum dial_state state;
    enum link_reason closing; /* ended for this reason, once what it had sent is read */
    struct endpoint endpoint;
    bool proxied;
    struct endpoint proxy; /* through which alone it is dialled, if `proxied` */
    struct tunnel
        *tunnel; /* of the connection or attempt of now; NULL: none. tunnel.h's, and link.c alone knows it */
    bool tunnel_ready; /* it can go on */
    uint8_t curve_pk[CURVE_PK_BYTES];
    bool heartbeats;
    void *socket; /* libzmq's, as is the next: link.c alone knows them */
    void *monitor;
    bool socket_ready; /* there may be something to read */
    bool monitor_ready;
    bool saw_attempt; /* libzmq had an address to try */
    uint32_t failures;
    uint64_t at_ms; /* waiting: until then; else: since then in this state */
    uint64_t bytes;
    int fd;
    uint32_t number; /* of this connection or attempt among all that were made */
    struct envelope_in mail;
};

/* Zeroed but for its name, it is not connected and nothing is to be told of it. */
struct peer {
    struct hash device_id;
    struct inbound in;
    struct outbound out;
    uint32_t retired[PEER_RETIRED_COUNT];
    size_t retired_count; /* ever: the newest is at (count - 1) % PEER_RETIRED_COUNT */
    bool spoke_last_in;
    bool told_up;
    bool no_room;
    bool tell_up;
    bool gone;  /* forget it once it has been told down */
    bool spent; /* see peer_is_spent */
    enum link_reason tell_down;
    struct buf held; /* length u32 and bytes, while there is no room, or they came in envelopes */
    size_t held_at;
    struct envelope_schedule schedule; /* by which it is sent to; none: each message by itself */
    struct envelope_out outgoing;
    uint64_t beat_ms;                /* of the next envelope; 0: it is not connected */
    uint32_t sent;                   /* envelopes that were not told of yet */
    uint32_t received;               /* likewise */
    struct envelope_schedule theirs; /* by which the last one that came was sent */
};

/* Release it and what it holds; its sockets are closed already. */
void peer_free(struct peer *peer);

bool peer_is_connected(const struct peer *peer);

/* A connection opened: UP is to be told, unless it has another one. */
void peer_opened(struct peer *peer);

/* A connection ended or could not be made: DOWN is to be told, and UP if one remains. What the
 * connection had sent and nobody took goes with it, and what was to go to it; and there is room again. */
void peer_ended(struct peer *peer, enum link_reason reason);

/* What is to be told next, DOWN before UP before ENVELOPES; false: nothing. */
bool peer_take_event(struct peer *peer, struct link_event *event_out);

/* True if it may be forgotten: it is to go and all has been told; or it came by itself, went,
 * and left nothing unread, which is as good as never seen. */
bool peer_is_spent(const struct peer *peer);

/* True if what is sent to it goes over the connection that came in rather than over the one that we made; it is connected. */
bool peer_sends_in(const struct peer *peer);

/* A number for that connection, which no other one to this peer has. */
uint64_t peer_connection(const struct peer *peer);

/* The next beat after `now_ms`, each `beat_s` of its schedule from the last one on. One that was missed is left out. */
void peer_plan_beat(struct peer *peer, uint64_t now_ms);

/* The inbound connection of now has ended: what still comes over it is stale. */
void peer_retire(struct peer *peer);
bool peer_has_retired(const struct peer *peer, uint32_t number);

/* Let the outbound side wait: `ms_min`, doubled with each failure up to `ms_max`, and half to one
 * and a half times that by `chance` (any number): a fixed beat would tell a watcher who we are. */
void peer_plan_redial(struct peer *peer, uint32_t ms_min, uint32_t ms_max, uint64_t now_ms, uint32_t chance);

/* Keep a copy of `bytes` until there is room, or it is their turn. False: more than LINK_HELD_BYTES, or no memory. */
MUST_CHECK bool peer_hold(struct peer *peer, struct span bytes);

bool peer_holds(const struct peer *peer);

/* The oldest message that is held, lent until the peer changes; only if it holds one. */
struct span peer_oldest_held(const struct peer *peer);
void peer_drop_oldest_held(struct peer *peer);
