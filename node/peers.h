/* peers.h - the devices that this node meets: who, where, and how it stands with them.
 *
 *     node.conf       --+
 *     peer.add        --+--> peers --> dial        a device of the roster, and an endpoint
 *     address stmts   --+       ^----- up, down    what the net process tells
 *     who calls us    --+
 *
 * A peer is a device of the roster; an endpoint of a device that the roster does not know yet waits until
 * it does. Gossip knows connections by number, net by device: the two are matched here.
 */
#pragma once

#include "node/config.h"
#include "sync/endpoint.h"
#include "sync/roster.h"

struct table_txn;

enum peer_state { PEER_DOWN = 0, PEER_CONNECTING, PEER_UP };

enum {
    PEER_REDIAL_MS = 60 * 1000,
    PEER_WORDS_BYTES = 96,
    PEER_CONTACT_MS = 10 * 60 * 1000, /* how far what is kept of the last contact may be behind */
    PEER_USE_BYTES = 64 * 1024,       /* and what is kept of the bytes that passed */
};

/* How to reach a device, as somebody said. */
struct peer_address {
    char *device;   /* as typed: fingerprint, id or name */
    char *endpoint; /* tcp://host:port */
    char *name;
    char *
        proxy; /* of node.conf: socks5://host:port, "": none; of peer.add: that, PROXY_NONE, or "": as node.conf says */
    bool added;                /* by peer.add: kept in the database */
    struct line_settings line; /* of node.conf */
};

struct peer {
    struct hash device_id;
    char endpoint[STATEMENT_ENDPOINT_BYTES_MAX + 1]; /* "": it calls us, we do not know where it is */
    char name[STATEMENT_NAME_BYTES_MAX + 1];         /* given here, else its own */
    char proxy[ENDPOINT_BYTES]; /* through which alone it is called; "": called directly */
    bool member;                /* the roster has it, and we share a compartment */
    enum peer_state state;
    uint32_t connection; /* of gossip, while it is up */
    bool has_room;       /* net takes messages for it */
    bool dropped;        /* it has no endpoint any more, or another proxy: stop dialling as before */
    bool due;            /* to be dialled once dial_ms has come */
    uint64_t dial_ms;
    uint64_t called_ms;        /* dialled then, and it did not answer yet; 0: it did */
    struct line_settings line; /* as peer.set says, else node.conf */
    struct line_use use;       /* what passed between us */
    uint64_t in_bytes;         /* of messages since we started, with what carries them */
    uint64_t out_bytes;
    uint64_t complete_ms;            /* steady clock: when both held the same last; 0: not since we started */
    bool line_set;                   /* by peer.set */
    struct envelope_schedule theirs; /* by which envelopes of it came since it is up; none: none did */
    bool frames_came;                /* since it is up, but in envelopes */
    uint64_t contact_ms;             /* wall clock of its last frame since we started; 0: none */
    bool proxy_failed;               /* that is for want of a proxy, or because that failed */
    char reason[PEER_WORDS_BYTES];   /* why it is down, in words; "": never tried */
};

struct peers;

/* NULL: no memory. */
struct peers *peers_new(const struct config *config);
void peers_free(struct peers **peers);

/* Take another configuration; peers_load and peers_update are to follow. ERR_MEMORY: it is taken in part; try again. */
MUST_CHECK enum err peers_configure(struct peers *peers, const struct config *config);

/* Read what peer.add kept. Errors of the tables, ERR_MEMORY. */
MUST_CHECK enum err peers_load(struct peers *peers, struct table_txn *txn);

/* Keep an address, in a turn; if that does not happen, call peers_load again. It replaces one of the
 * same device, whose proxy stays if `proxy` is "". `proxy`: as peer_address says. ERR_INVALID: a text is too long; ERR_MEMORY; errors stay in `txn`. */
MUST_CHECK enum err peers_add(struct peers *peers, struct table_txn *txn, const char *device,
                              const char *endpoint, const char *name, const char *proxy);
/* Forget what peer.add kept of a device, by the text or the device meant. True if there was one. */
bool peers_remove(struct peers *peers, struct table_txn *txn, const struct roster *roster,
                  const char *device);

/* Append what peer.add and peer.set kept of whom to call, for a backup: a CBOR array of [device, endpoint, name], with a proxy
 * behind if it goes through one, by whatever said so: where this is restored, another node.conf must not have it called directly;
 * of [device id, proxy], and of [device id, profile, beat_s, bytes] where a schedule is kept, likewise. And keep what such an array says, in a turn. ERR_CORRUPT: it is none; ERR_MEMORY; errors stay in
 * `txn`. */
void peers_pack(const struct peers *peers, struct buf *out);
MUST_CHECK enum err peers_unpack(struct peers *peers, struct table_txn *txn, struct span packed);

/* Match addresses with the roster: at start, and whenever one of them changed. ERR_MEMORY. */
MUST_CHECK enum err peers_update(struct peers *peers, const struct roster *roster,
                                 const struct hash *own_device);

/* Keep when each was last heard of, in a turn, where that is not kept yet or is PEER_CONTACT_MS behind (`all`: or is behind at all).
 * Errors stay in `txn`. */
void peers_keep_contacts(struct peers *peers, struct table_txn *txn, bool all);

/* How the line to a device is to be used, in a turn; NULL: as node.conf says, again. Errors stay in `txn`. ERR_MEMORY. */
MUST_CHECK enum err peers_set_line(struct peers *peers, struct table_txn *txn, const struct hash *device_id,
                                   const struct line_settings *line);

/* Through which proxy a device is called, in a turn: socks5://HOST:PORT, or PROXY_NONE; NULL: as its address or node.conf says,
 * again. Errors stay in `txn`. ERR_MEMORY. */
MUST_CHECK enum err peers_set_proxy(struct peers *peers, struct table_txn *txn, const struct hash *device_id,
                                    const char *proxy);

/* Keep for the device what an address that peer.add kept says of a proxy, in a turn, unless something is kept: whoever then replaces
 * or removes that address does not have the device called directly. Errors stay in `txn`. ERR_MEMORY. */
MUST_CHECK enum err peers_adopt_proxy(struct peers *peers, struct table_txn *txn, const struct roster *roster,
                                      const struct roster_device *device);

/* Keep what passed between us and each, in a turn, where that is PEER_USE_BYTES ahead of what is kept (`all`: at all). Errors stay
 * in `txn`. */
void peers_keep_uses(struct peers *peers, struct table_txn *txn, bool all);

/* When a device was last heard of over a line, before this start too: wall clock; 0: never, or nobody wrote it down. */
uint64_t peers_last_contact(const struct peers *peers, const struct hash *device_id);

/* A device sent a bundle that it made at `made_ms`: kept in a turn, if it is the latest; if that does not happen, call peers_load
 * again. ERR_MEMORY; errors stay in `txn`. */
MUST_CHECK enum err peers_heard_by_bundle(struct peers *peers, struct table_txn *txn,
                                          const struct hash *device_id, uint64_t made_ms);

/* The later of the two, and whether that is a bundle. */
struct peer_heard {
    uint64_t at_ms; /* 0: never */
    bool by_bundle;
};
struct peer_heard peers_last_heard(const struct peers *peers, const struct hash *device_id);

size_t peers_count(const struct peers *peers);
struct peer *peers_at(struct peers *peers, size_t n);
struct peer *peers_by_device(struct peers *peers, const struct hash *device_id);
struct peer *peers_by_connection(struct peers *peers, uint32_t connection);

/* Addresses whose device the roster does not know. */
size_t peers_waiting_count(const struct peers *peers);
const struct peer_address *peers_waiting_at(const struct peers *peers, size_t n);

/* It is connected: gives the number that gossip will know the connection by; 0: not a peer, or no memory. */
uint32_t peers_up(struct peers *peers, const struct hash *device_id);

/* A device of the roster by what people type: its fingerprint, its id or at least 6 digits of it, or its name.
 * NULL: none, or more than one. */
const struct roster_device *peers_find_device(const struct roster *roster, const char *text);

/* The same, or a peer by the name that it was given here. */
const struct roster_device *peers_find(const struct peers *peers, const struct roster *roster,
                                       const char *text);

/* True if `text` is what people may call this device. */
bool peers_is_called(const struct roster_device *device, const char *text);

/* True if we send to it by a schedule and it answers by none, so that its answers tell when something is said; false while it is not
 * known. And in words. */
bool peer_lacks_schedule(const struct peer *peer);
#define PEER_LACKS_SCHEDULE "it keeps no schedule, so that its answers tell when something is said"

/* "up", "connecting", "down". */
const char *peer_state_name(enum peer_state state);
