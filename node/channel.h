/* channel.h - what the store and the net process say to each other.
 *
 *     frame = length u32 || type u8 || body            (length: of type and body)
 *
 *     store --> net   config  roster  schedules  listen  dial  hangup  serve   message  room  ping  metrics
 *     net --> store   ready   up  down  refused  warn  envelopes               message  room  pong  scraped
 *
 * Over a socketpair, non-blocking at both ends, each end with a queue of its own
 * for what is to be written. `net` meets strangers and may be theirs one day: the
 * decoder takes exact sizes and known numbers, and what it may say to people is a
 * number (enum link_reason), not a text. The first malformed frame is the last.
 */
#pragma once

#include "node/sandbox.h"
#include "sync/endpoint.h"
#include "sync/link.h"

enum {
    CHANNEL_FRAME_BYTES_MAX = 1024 * 1024 + 64, /* without the length */
    CHANNEL_METRICS_BYTES_MAX = 1024 * 1024,
    CHANNEL_DIRECTORY_BYTES = 256,         /* of a path, its NUL included */
    CHANNEL_QUEUE_BYTES = 4 * 1024 * 1024, /* above it, a sender of messages pauses */
};

enum channel_type {
    CHANNEL_CONFIG = 1, /* the first: key and settings */
    CHANNEL_ROSTER,     /* the whole allow-list */
    CHANNEL_LISTEN,     /* endpoint, or none: dial only; answered by ready, or warn */
    CHANNEL_DIAL,       /* device, key, heartbeats or none, endpoint, proxy or none */
    CHANNEL_HANGUP,     /* device */
    CHANNEL_MESSAGE,    /* device, bytes: either way */
    CHANNEL_ROOM,       /* device, yes or no: either way */
    CHANNEL_PING,       /* answered by pong */
    CHANNEL_SERVE,      /* an address of loopback where metrics are shown; a warn if they cannot be */
    CHANNEL_METRICS,    /* a text: the answer to scraped; none: it cannot be told now */
    CHANNEL_SCHEDULES,  /* the whole list of the devices whose lines keep a schedule */
    CHANNEL_READY = 16, /* endpoint that strangers find closed, or none */
    CHANNEL_UP,         /* device */
    CHANNEL_DOWN,       /* device, reason: from then on there is room, both ways */
    CHANNEL_REFUSED,    /* reason, count */
    CHANNEL_WARN,       /* reason, count */
    CHANNEL_PONG,
    CHANNEL_SCRAPED, /* somebody on this machine asks for metrics */
    CHANNEL_ENVELOPES, /* device, how many went and came, and of what size and beat: before the messages that they brought */
};

/* Which end decodes: each takes only what the other may say. */
enum channel_end { CHANNEL_STORE, CHANNEL_NET };

struct channel_config {
    uint8_t secret_key[32]; /* CURVE; wipe it */
    struct hash device_id;
    uint32_t handshake_ms; /* this and the rest as in struct link_options */
    uint32_t heartbeat_ms;
    uint32_t silence_ms_max;
    uint32_t redial_ms_min;
    uint32_t redial_ms_max;
    uint32_t rekey_ms;
    uint64_t rekey_bytes;
    bool ipc_allowed;
    enum sandbox_mode sandbox;
    char directory
        [CHANNEL_DIRECTORY_BYTES]; /* where sockets may be made; "": nobody is reached through a proxy */
};

/* One frame, decoded. Spans are lent from the frame's bytes. */
struct channel_frame {
    enum channel_type type;
    struct hash device_id;            /* dial, hangup, message, room, up, down, envelopes */
    uint8_t curve_pk[CURVE_PK_BYTES]; /* dial */
    struct span bytes;                /* message; metrics; roster, schedules: `count` rows */
    struct span endpoint;             /* listen, dial, ready, serve */
    struct span proxy;                /* dial; empty: none */
    bool has_room;                    /* room */
    enum link_reason reason;          /* down, refused, warn */
    uint64_t count;                   /* refused, warn; rows */
    bool heartbeats;                  /* dial */
    struct channel_config config;     /* config */
    struct link_event envelopes;      /* envelopes: what link_next gave */
};

struct channel {
    int fd;
    enum channel_end end;
    struct buf in;
    size_t in_at; /* what comes before it was given out */
    struct buf out;
    size_t out_at;      /* what comes before it was written */
    bool secret_queued; /* wipe what is written */
    bool closed;        /* the other end is gone: nothing more comes or goes */
    bool failed;        /* it sent a malformed frame, or memory ran out: likewise */
};

/* Take over `fd`, one end of a socketpair, and make it non-blocking. ERR_IO: not possible. */
MUST_CHECK enum err channel_open(struct channel *channel, int fd, enum channel_end end);

/* Close it and wipe the queues. Fine on a zeroed or closed channel. */
void channel_close(struct channel *channel);

/* Read what has come, up to a few hundred KiB. */
void channel_read(struct channel *channel);

/* Write what the other end takes now. */
void channel_write(struct channel *channel);

/* The next whole frame, lent until the next channel_read. False: none, or `failed`. */
bool channel_next(struct channel *channel, struct channel_frame *frame_out);

/* Bytes that wait to be written. */
size_t channel_queued(const struct channel *channel);

/* Decode type and body as `end` may receive them; ERR_INVALID: anything that is not exactly a frame. */
MUST_CHECK enum err channel_decode(struct channel_frame *frame_out, struct span bytes, enum channel_end end);

/* A row of a roster frame; `index` below its count. */
struct zap_guest channel_guest(const struct channel_frame *roster, size_t index);

/* A row of a schedules frame; `index` below its count. It is valid. */
struct link_schedule channel_schedule(const struct channel_frame *schedules, size_t index);

/* Queue one frame. Endpoints and proxies are at most ENDPOINT_BYTES - 1 bytes, messages 1 to LINK_MESSAGE_BYTES_MAX. */
void channel_put_config(struct channel *channel, const struct channel_config *config);
void channel_put_roster(struct channel *channel, const struct zap_guest *guests, size_t count);
/* At most ZAP_LIST_MAX valid ones. */
void channel_put_schedules(struct channel *channel, const struct link_schedule *schedules, size_t count);
void channel_put_listen(struct channel *channel, struct span endpoint);
void channel_put_dial(struct channel *channel, const struct hash *device_id,
                      const uint8_t curve_pk[CURVE_PK_BYTES], struct span endpoint, struct span proxy,
                      bool heartbeats);
void channel_put_hangup(struct channel *channel, const struct hash *device_id);
void channel_put_message(struct channel *channel, const struct hash *device_id, struct span bytes);
void channel_put_room(struct channel *channel, const struct hash *device_id, bool has_room);
void channel_put_ping(struct channel *channel);
void channel_put_serve(struct channel *channel, struct span address);
/* A text of at most CHANNEL_METRICS_BYTES_MAX. */
void channel_put_metrics(struct channel *channel, struct span text);
void channel_put_scraped(struct channel *channel);
void channel_put_pong(struct channel *channel);
void channel_put_ready(struct channel *channel, struct span endpoint);
void channel_put_up(struct channel *channel, const struct hash *device_id);
void channel_put_envelopes(struct channel *channel, const struct link_event *event);
void channel_put_down(struct channel *channel, const struct hash *device_id, enum link_reason reason);
void channel_put_refused(struct channel *channel, enum link_reason reason, uint64_t count);
void channel_put_warn(struct channel *channel, enum link_reason reason, uint64_t count);
