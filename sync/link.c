#include "sync/link.h"

#include "sync/peer.h"
#include "sync/tunnel.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <zmq.h>

/* Part of the stable library, but its name is only in the draft part of zmq.h. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

enum {
    HANDSHAKE_MS_DEFAULT = 3000,
    HANDSHAKE_MS_MAX = 30 * 1000,
    CONNECT_MS_MAX = 30 * 1000, /* until an address that does not answer is given up */
    SILENCE_MS_DEFAULT = 90 * 1000,
    TTL_MS_MAX = 65 * 1000, /* libzmq counts it in 16 bits of milliseconds: of 90 s it makes 24 */
    REDIAL_MS_MIN_DEFAULT = 1000,
    REDIAL_MS_MAX_DEFAULT = 10 * 60 * 1000,
    REKEY_MS_DEFAULT = 4 * 60 * 60 * 1000,
    QUEUE_MESSAGES = 64,    /* HWM, each way and connection */
    CURVE_FRAME_BYTES = 64, /* room for what CURVE adds to a message on the wire (33) */
    UNREACHABLE_MS = 2000,  /* a host that is off shows after 3 s; a refusal after one round trip */
    REPORT_MS = 60 * 1000,  /* refusals of one sort are told at most once a minute */
    WATCH_MS = 1000,        /* how often backlogs and ages are looked at */
    LEAVE_MS = 5000,        /* who was hung up on goes by itself until then */
    LISTEN_AGAIN_MS = 5000, /* rest after running out of file descriptors */
    FIRST_BEAT_MS = 1000,   /* from UP to the first envelope: the owner knows by then what to say */
    ROUTING_ID_BYTES = 5,   /* what libzmq assigns: a zero byte and a number */
    SOCKETS_MAX = 3 * LINK_PEERS_MAX + 16, /* a dialled peer needs three */
    FD_MAX = 1 << 20,
    BACKLOG = 1024, /* a crowd of strangers does not fill it so soon as the usual 100 */
};

static const uint64_t REKEY_BYTES_DEFAULT = UINT64_C(1) << 30;

/* An open file descriptor at our door. */
struct visitor {
    uint64_t bytes;    /* of messages read from it */
    uint64_t leave_ms; /* it was hung up on: it is shown out then, if it has not gone; 0: it was not */
    bool open;
    bool spoke;
};

struct tally {
    uint64_t count;
    uint64_t told;
    uint64_t next_ms;
};

struct listener {
    char bound[ENDPOINT_BYTES]; /* with its port */
    uint64_t again_ms;          /* 0: listening; else: when to try again */
};

struct link {
    struct link_options options; /* without the key, defaults filled in */
    uint8_t *secret_key;
    uint8_t curve_pk[CURVE_PK_BYTES];
    struct key *mac_key;
    struct zap_list allowed;
    void *context;
    void *zap;
    void *router;
    void *monitor;
    bool zap_ready;
    bool router_ready;
    bool monitor_ready;
    bool paused;
    bool testing; /* the stranger at the door is ourselves */
    struct listener listeners[LINK_LISTEN_MAX];
    size_t listener_count;
    struct visitor *visitors; /* by file descriptor */
    size_t visitor_room;
    size_t visitor_count;
    bool failed_handshake; /* the next end of a connection has been counted */
    struct peer *peers[LINK_PEERS_MAX];
    size_t peer_count;
    struct link_schedule *schedules;
    size_t schedule_count;
    uint32_t dial_number; /* of the last connection that was to be made */
    uint8_t envelope[ENVELOPE_BYTES_MAX];
    size_t turn; /* whom to read from first */
    uint64_t monitor_number;
    uint64_t watch_ms;
    struct tally tallies[LINK_REASON_COUNT];
    bool something_to_tell;
    zmq_msg_t message; /* the last that was received: the one that is lent */
    bool has_message;  /* it is still to be given out */
    struct hash message_device;
    char *directory; /* where a tunnel's socket stands for a moment; NULL: nowhere */
    uint32_t tunnel_number;
    zmq_pollitem_t items[(2 + TUNNEL_FDS) * LINK_PEERS_MAX + 5];
    int watched; /* -1: none */
};

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- Sockets and their options -------------------------------------------------- */

static bool
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static int
get_int(void *socket, int option)
{
    int value = -1;
    size_t size = sizeof value;

    return zmq_getsockopt(socket, option, &value, &size) == 0 ? value : -1;
}

/* What both kinds of socket have in common. Not ZMQ_IMMEDIATE: where that is set, libzmq drops what came before a
 * connection ended and was not read yet, up to all that credit allows. What it is for, that nothing is queued for a
 * connection that does not stand, we see to by ourselves: link_send takes nothing for one, and each has its own socket. */
static bool
set_common(const struct link *link, void *socket, bool heartbeats)
{
    const struct link_options *options = &link->options;
    int64_t frame_bytes_max = LINK_MESSAGE_BYTES_MAX + CURVE_FRAME_BYTES;
    int heartbeat_ms = (int)options->heartbeat_ms;
    int silence_ms_max = (int)options->silence_ms_max;
    /* How long the other side may hear nothing of us. One that would end it between two heartbeats is not told. */
    int ttl_ms = silence_ms_max < TTL_MS_MAX ? silence_ms_max : TTL_MS_MAX;
    ttl_ms = heartbeat_ms <= ttl_ms / 2 ? ttl_ms : 0;

    bool ok = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_bytes_max, sizeof frame_bytes_max) == 0 &&
              set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_SNDHWM, QUEUE_MESSAGES) &&
              set_int(socket, ZMQ_RCVHWM, QUEUE_MESSAGES) && set_int(socket, ZMQ_IPV6, 1) &&
              set_int(socket, ZMQ_HANDSHAKE_IVL, (int)options->handshake_ms) &&
              set_int(socket, ZMQ_TCP_KEEPALIVE, 1);
    if (heartbeats && heartbeat_ms > 0) {
        ok = ok && set_int(socket, ZMQ_HEARTBEAT_IVL, heartbeat_ms) &&
             set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, silence_ms_max) &&
             set_int(socket, ZMQ_HEARTBEAT_TTL, ttl_ms);
    }
    return ok;
}

/* What we are told of our door: not ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL. In telling it, libzmq 4.3.4 loses the error by which it would
 * have ended the connection. Where that one was open, after a frame that was sent again or does not open, it would then stand for ever,
 * unread; and if it broke, the next heartbeat would end the process. Unasked for, the connection just ends. */
enum { DOOR_EVENTS = ZMQ_EVENT_ALL & ~ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL };

/* Watch `socket` for `events`. What libzmq has to say waits in our queue without a limit: where it could be
 * full, libzmq's own thread would wait for us, and we for it. */
static void *
watch(struct link *link, void *socket, int events)
{
    char address[64];

    void *monitor = zmq_socket(link->context, ZMQ_PAIR);
    if (monitor == NULL) {
        return NULL;
    }
    link->monitor_number++;
    snprintf(address, sizeof address, "inproc://link-monitor-%llu", (unsigned long long)link->monitor_number);
    if (!set_int(monitor, ZMQ_LINGER, 0) || !set_int(monitor, ZMQ_RCVHWM, 0) ||
        zmq_socket_monitor(socket, address, events) != 0 || zmq_connect(monitor, address) != 0) {
        zmq_close(monitor);
        return NULL;
    }
    return monitor;
}

/* Close a socket and its monitor; either may be NULL. */
static void
close_watched(void *socket, void *monitor)
{
    if (socket != NULL) {
        zmq_socket_monitor(socket, NULL, 0);
        zmq_close(socket);
    }
    if (monitor != NULL) {
        zmq_close(monitor);
    }
}

/* One event of a monitor. */
struct happening {
    int event;
    uint32_t value;
    char endpoint[ENDPOINT_BYTES];
};

/* False: nothing has happened. */
static bool
read_happening(struct happening *out, void *monitor)
{
    uint8_t head[6] = { 0 };
    uint16_t event;

    int size = zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT);
    if (size < 0) {
        return false;
    }
    memcpy(&event, head, sizeof event);
    memcpy(&out->value, head + sizeof event, sizeof out->value);
    out->event = size == (int)sizeof head ? event : 0;
    int endpoint_size = zmq_recv(monitor, out->endpoint, sizeof out->endpoint - 1, ZMQ_DONTWAIT);
    size_t kept = endpoint_size < 0 ? 0 : (size_t)endpoint_size;
    out->endpoint[kept < sizeof out->endpoint ? kept : sizeof out->endpoint - 1] = '\0';
    return true;
}

/* --- What the owner is told ------------------------------------------------------ */

static void
count(struct link *link, enum link_reason reason)
{
    link->tallies[reason].count++;
    link->something_to_tell = true;
}

/* A connection of `peer` opened: the owner hears of it, unless it has another one. */
static void
tell_opened(struct link *link, struct peer *peer)
{
    peer_opened(peer);
    peer->beat_ms = peer->beat_ms == 0 ? now_ms() + FIRST_BEAT_MS : peer->beat_ms;
    link->something_to_tell = true;
}

/* A connection ended, or could not be made. */
static void
tell_ended(struct link *link, struct peer *peer, enum link_reason reason)
{
    peer_ended(peer, reason);
    link->something_to_tell = true;
    link->has_message = link->has_message && !hash_equal(&link->message_device, &peer->device_id);
}

static void
forget_peer(struct link *link, size_t index)
{
    peer_free(link->peers[index]);
    link->peer_count--;
    link->peers[index] = link->peers[link->peer_count];
    link->peers[link->peer_count] = NULL;
}

static bool
take_peer_event(struct link *link, struct link_event *event_out)
{
    for (size_t i = 0; i < link->peer_count; i++) {
        struct peer *peer = link->peers[i];
        if (peer_take_event(peer, event_out)) {
            if (peer_is_spent(peer)) {
                forget_peer(link, i);
            }
            return true;
        }
    }
    return false;
}

static bool
take_tally(struct link *link, struct link_event *event_out)
{
    uint64_t now = now_ms();

    for (int i = 1; i < LINK_REASON_COUNT; i++) {
        struct tally *tally = &link->tallies[i];
        if (tally->count == tally->told || now < tally->next_ms) {
            continue;
        }
        *event_out = (struct link_event){
            .kind = reason_is_refusal((enum link_reason)i) ? LINK_REFUSED : LINK_WARNING,
            .reason = (enum link_reason)i,
            .count = tally->count - tally->told,
        };
        tally->told = tally->count;
        tally->next_ms = now + REPORT_MS;
        return true;
    }
    return false;
}

/* --- Peers ------------------------------------------------------------------------ */

static struct peer *
find_peer(const struct link *link, const struct hash *device_id)
{
    for (size_t i = 0; i < link->peer_count; i++) {
        if (hash_equal(&link->peers[i]->device_id, device_id) && !link->peers[i]->gone) {
            return link->peers[i];
        }
    }
    return NULL;
}

/* The schedule of the line to a device; none where the list says nothing. */
static struct envelope_schedule
schedule_of(const struct link *link, const struct hash *device_id)
{
    for (size_t i = 0; i < link->schedule_count; i++) {
        if (hash_equal(&link->schedules[i].device_id, device_id)) {
            return link->schedules[i].schedule;
        }
    }
    return (struct envelope_schedule){ .beat_s = 0 };
}

/* The peer, made if need be. NULL: too many, or no memory. */
static struct peer *
need_peer(struct link *link, const struct hash *device_id)
{
    struct peer *peer = find_peer(link, device_id);

    if (peer != NULL || link->peer_count == LINK_PEERS_MAX) {
        return peer;
    }
    peer = calloc(1, sizeof *peer);
    if (peer != NULL) {
        peer->device_id = *device_id;
        peer->schedule = schedule_of(link, device_id);
        link->peers[link->peer_count] = peer;
        link->peer_count++;
    }
    return peer;
}

/* --- Connections that come in ----------------------------------------------------- */

static struct visitor *
visitor_of(struct link *link, int fd)
{
    return fd >= 0 && (size_t)fd < link->visitor_room && link->visitors[fd].open ? &link->visitors[fd] : NULL;
}

/* ROUTER cannot close one of its connections, so we end the stream beneath it; libzmq closes the
 * descriptor when it sees that. Only for what the monitor has called ours and open. In the worst
 * race another visitor is cut off, and comes again. */
static void
show_out(struct link *link, int fd)
{
    if (visitor_of(link, fd) != NULL) {
        shutdown(fd, SHUT_RDWR);
    }
}

static void
visitor_came(struct link *link, int fd)
{
    if (fd < 0 || fd >= FD_MAX) {
        return;
    }
    if ((size_t)fd >= link->visitor_room) {
        size_t room = (size_t)fd + 64;
        struct visitor *more = realloc(link->visitors, room * sizeof *more);
        if (more == NULL) {
            shutdown(fd, SHUT_RDWR);
            count(link, LINK_CROWDED);
            return;
        }
        memset(more + link->visitor_room, 0, (room - link->visitor_room) * sizeof *more);
        link->visitors = more;
        link->visitor_room = room;
    }
    link->visitor_count += link->visitors[fd].open ? 0 : 1;
    link->visitors[fd] = (struct visitor){ .open = true };
    if (link->visitor_count > LINK_INBOUND_MAX) {
        show_out(link, fd);
        count(link, LINK_CROWDED);
    }
}

static void
visitor_left(struct link *link, int fd)
{
    struct visitor *visitor = visitor_of(link, fd);

    if (visitor == NULL) {
        return;
    }
    /* Most failed handshakes were counted when libzmq told us so; a wrong greeting or command is told by nothing. */
    if (!visitor->spoke && !link->failed_handshake && !link->testing) {
        count(link, LINK_NO_HANDSHAKE);
    }
    link->failed_handshake = false;
    visitor->open = false;
    link->visitor_count--;
    for (size_t i = 0; i < link->peer_count; i++) {
        struct inbound *in = &link->peers[i]->in;
        if (in->open && in->fd == fd) {
            in->closing = true;
            link->router_ready = true;
        }
    }
}

/* Out of descriptors, libzmq would try to accept without rest: close the door for a while. */
static void
rest_listening(struct link *link, const char *endpoint)
{
    for (size_t i = 0; i < link->listener_count; i++) {
        struct listener *listener = &link->listeners[i];
        if (listener->again_ms == 0 && strcmp(listener->bound, endpoint) == 0 &&
            zmq_unbind(link->router, listener->bound) == 0) {
            listener->again_ms = now_ms() + LISTEN_AGAIN_MS;
            count(link, LINK_NO_FILES);
        }
    }
}

/* Take in all that libzmq says about our door. */
static void
read_door(struct link *link)
{
    struct happening happening;

    while (read_happening(&happening, link->monitor)) {
        switch (happening.event) {
        case ZMQ_EVENT_ACCEPTED:
            visitor_came(link, (int)happening.value);
            break;
        case ZMQ_EVENT_DISCONNECTED:
            visitor_left(link, (int)happening.value);
            break;
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
            link->failed_handshake = true;
            break;
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            if (!link->testing) {
                count(link, LINK_NO_HANDSHAKE);
            }
            link->failed_handshake = true;
            break;
        case ZMQ_EVENT_ACCEPT_FAILED:
            if (happening.value == EMFILE || happening.value == ENFILE) {
                rest_listening(link, happening.endpoint);
            }
            break;
        default:
            break;
        }
    }
    link->monitor_ready = false;
}

/* Who is hung up on in order hears the last word first, which libzmq may not have written yet, and goes by itself: else it would take the
 * line for broken and call again at once. */
static void
let_leave(struct link *link, int fd)
{
    struct visitor *visitor = visitor_of(link, fd);

    if (visitor != NULL) {
        visitor->leave_ms = now_ms() + LEAVE_MS;
    }
}

static void
close_inbound(struct link *link, struct peer *peer, enum link_reason reason)
{
    if (!peer->in.open) {
        return;
    }
    if (!peer->in.closing && reason == LINK_HUNG_UP) {
        let_leave(link, peer->in.fd);
    } else if (!peer->in.closing) {
        show_out(link, peer->in.fd);
    }
    peer_retire(peer);
    envelope_in_clear(&peer->in.mail);
    peer->in.open = false;
    peer->in.closing = false;
    tell_ended(link, peer, reason);
}

/* The router has been read to its end: what libzmq called ended, has ended. */
static void
settle_inbound(struct link *link)
{
    for (size_t i = 0; i < link->peer_count; i++) {
        if (link->peers[i]->in.closing) {
            close_inbound(link, link->peers[i], LINK_DISCONNECTED);
        }
    }
}

/* --- Connections that we make ------------------------------------------------------ */

static void
close_socket(struct outbound *out)
{
    close_watched(out->socket, out->monitor);
    out->socket = NULL;
    out->monitor = NULL;
    out->socket_ready = false;
    out->monitor_ready = false;
    out->closing = LINK_NO_REASON;
    tunnel_close(&out->tunnel);
    out->tunnel_ready = false;
    envelope_in_clear(&out->mail);
}

/* This connection or attempt is over: try again, later each time. */
static void
end_dial(struct link *link, struct peer *peer, enum link_reason reason)
{
    const struct link_options *options = &link->options;
    bool was_open = peer->out.state == DIAL_OPEN;
    uint32_t chance;

    crypto_os_random(&chance, sizeof chance);
    close_socket(&peer->out);
    peer_plan_redial(peer, options->redial_ms_min, options->redial_ms_max, now_ms(), chance);
    /* There is nothing to wait for. */
    bool at_once = reason == LINK_KEYS_RENEWED || reason == LINK_SCHEDULE_CHANGED;
    peer->out.at_ms = at_once ? now_ms() : peer->out.at_ms;
    if (was_open || !peer_is_connected(peer)) {
        tell_ended(link, peer, reason);
    }
}

static bool
configure_dial(struct link *link, struct outbound *out)
{
    /* Looking up a name blocks libzmq's thread: those have one of their own. */
    bool local = out->endpoint.numeric || out->endpoint.ipc || out->tunnel != NULL;
    uint64_t thread = local ? 1 : 2;

    /* libzmq retries by a fixed beat, and after a refusal never: it is told to wait so long that
     * we always come first. It says when an attempt failed only if it means to retry. */
    return set_common(link, out->socket, out->heartbeats) &&
           set_int(out->socket, ZMQ_RECONNECT_IVL, 10 * 60 * 1000) &&
           set_int(out->socket, ZMQ_RECONNECT_IVL_MAX, 0) &&
           set_int(out->socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS_MAX) &&
           zmq_setsockopt(out->socket, ZMQ_AFFINITY, &thread, sizeof thread) == 0 &&
           zmq_setsockopt(out->socket, ZMQ_CURVE_SERVERKEY, out->curve_pk, CURVE_PK_BYTES) == 0 &&
           zmq_setsockopt(out->socket, ZMQ_CURVE_PUBLICKEY, link->curve_pk, CURVE_PK_BYTES) == 0 &&
           zmq_setsockopt(out->socket, ZMQ_CURVE_SECRETKEY, link->secret_key, KEY_BYTES) == 0 &&
           get_int(out->socket, ZMQ_MECHANISM) == ZMQ_CURVE;
}

/* Have libzmq connect to `endpoint`. */
static void
connect_socket(struct link *link, struct peer *peer, const char *endpoint)
{
    struct outbound *out = &peer->out;

    out->socket = zmq_socket(link->context, ZMQ_DEALER);
    if (out->socket == NULL) {
        count(link, LINK_NO_FILES);
        end_dial(link, peer, LINK_NO_ROUTE);
        return;
    }
    out->monitor = watch(link, out->socket, ZMQ_EVENT_ALL);
    if (out->monitor == NULL || !configure_dial(link, out) || zmq_connect(out->socket, endpoint) != 0) {
        end_dial(link, peer, LINK_NO_ROUTE);
    }
}

/* Have the proxy reach the peer first: libzmq comes when there is something to connect to. */
static void
start_tunnel(struct link *link, struct peer *peer)
{
    struct outbound *out = &peer->out;
    enum err err = tunnel_open(&out->tunnel, &out->proxy, &out->endpoint, now_ms());

    if (err != ERR_OK) {
        count(link, LINK_NO_FILES);
        end_dial(link, peer, LINK_PROXY_UNREACHABLE);
        return;
    }
    out->tunnel_ready = true;
}

static void
start_dial(struct link *link, struct peer *peer)
{
    struct outbound *out = &peer->out;

    close_socket(out);
    out->state = DIAL_CONNECTING;
    out->at_ms = now_ms();
    out->bytes = 0;
    out->fd = -1;
    out->number = ++link->dial_number;
    out->saw_attempt = false;
    if (out->proxied) {
        start_tunnel(link, peer);
    } else if (endpoint_is_onion(&out->endpoint)) {
        end_dial(link, peer, LINK_NEEDS_PROXY);
    } else {
        connect_socket(link, peer, out->endpoint.text);
    }
}

/* True if the tunnel of `peer` went on. */
static bool
work_tunnel(struct link *link, struct peer *peer)
{
    struct outbound *out = &peer->out;
    char endpoint[ENDPOINT_BYTES];

    if (out->tunnel == NULL || !out->tunnel_ready) {
        return false;
    }
    out->tunnel_ready = false;
    tunnel_work(out->tunnel, now_ms());
    switch (tunnel_state(out->tunnel)) {
    case TUNNEL_FAILED:
        end_dial(link, peer, tunnel_reason(out->tunnel));
        break;
    case TUNNEL_THROUGH:
        link->tunnel_number++;
        out->at_ms = now_ms();
        if (link->directory == NULL ||
            tunnel_offer(out->tunnel, link->directory, link->tunnel_number, endpoint) != ERR_OK) {
            end_dial(link, peer, LINK_NO_TUNNEL);
        } else {
            connect_socket(link, peer, endpoint);
        }
        break;
    default:
        /* What ended is told by libzmq, once it has read what came before. */
        break;
    }
    return true;
}

/* Ask the kernel, which sends nothing for that, whether it would know where to send to. */
static bool
has_route(const struct endpoint *endpoint)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(endpoint->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(endpoint->port) };
    bool is_v4 = inet_pton(AF_INET, endpoint->host, &v4.sin_addr) == 1;

    if (!is_v4 && inet_pton(AF_INET6, endpoint->host, &v6.sin6_addr) != 1) {
        return true;
    }
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return !(errno == EAFNOSUPPORT);
    }
    int rc = is_v4 ? connect(fd, (struct sockaddr *)&v4, sizeof v4)
                   : connect(fd, (struct sockaddr *)&v6, sizeof v6);
    close(fd);
    return rc == 0;
}

/* libzmq does not say why no connection was made; what it did and how long it took does. */
static enum link_reason
why_not_connected(const struct outbound *out)
{
    if (out->tunnel != NULL) {
        return LINK_NO_TUNNEL;
    }
    if (out->endpoint.numeric && !has_route(&out->endpoint)) {
        return LINK_NO_ROUTE;
    }
    if (now_ms() - out->at_ms >= UNREACHABLE_MS) {
        return LINK_NO_ANSWER;
    }
    return out->saw_attempt || out->endpoint.numeric || out->endpoint.ipc ? LINK_NOBODY_LISTENS
                                                                          : LINK_NO_NAME;
}

static enum link_reason
why_broken_off(const struct link *link, const struct outbound *out)
{
    if (now_ms() - out->at_ms >= link->options.handshake_ms * 9 / 10) {
        return LINK_HANDSHAKE_TIMEOUT;
    }
    /* Whoever holds another key has begun to speak. */
    bool unheard = out->tunnel != NULL && tunnel_received(out->tunnel) == 0;
    return unheard ? LINK_DISCONNECTED : LINK_WRONG_KEY;
}

/* One event of the socket by which we dialled `peer`. */
static void
dial_happened(struct link *link, struct peer *peer, const struct happening *happening)
{
    struct outbound *out = &peer->out;

    switch (happening->event) {
    case ZMQ_EVENT_CONNECT_DELAYED:
    case ZMQ_EVENT_CLOSED:
        out->saw_attempt = true;
        break;
    case ZMQ_EVENT_CONNECTED:
        out->state = DIAL_HANDSHAKE;
        out->at_ms = now_ms();
        out->fd = (int)happening->value;
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        out->state = DIAL_OPEN;
        out->at_ms = now_ms();
        peer->spoke_last_in = peer->in.open && hash_compare(&peer->device_id, &link->options.device_id) < 0;
        tell_opened(link, peer);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        end_dial(link, peer, LINK_REFUSED_BY_PEER);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        end_dial(link, peer, LINK_NOT_VIGIL);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        end_dial(link, peer, why_broken_off(link, out));
        break;
    case ZMQ_EVENT_DISCONNECTED:
        if (out->state == DIAL_OPEN && !peer->no_room) {
            out->closing = LINK_DISCONNECTED;
            out->socket_ready = true;
        } else if (out->state == DIAL_OPEN) {
            end_dial(link, peer, LINK_DISCONNECTED);
        } else {
            end_dial(link, peer, why_broken_off(link, out));
        }
        break;
    case ZMQ_EVENT_CONNECT_RETRIED:
        if (out->state == DIAL_CONNECTING) {
            end_dial(link, peer, why_not_connected(out));
        }
        break;
    default:
        break;
    }
}

/* True if something had happened. */
static bool
read_dial(struct link *link, struct peer *peer)
{
    struct happening happening;

    if (!peer->out.monitor_ready || peer->out.monitor == NULL) {
        return false;
    }
    if (!read_happening(&happening, peer->out.monitor)) {
        peer->out.monitor_ready = false;
        return false;
    }
    dial_happened(link, peer, &happening);
    return true;
}

/* --- The door ------------------------------------------------------------------------ */

/* Answer one question of libzmq's. True if there was one. A handler that fails must not be
 * left standing: libzmq would let people in without it. */
static bool
answer_zap(struct link *link)
{
    zmq_msg_t frames[ZAP_FRAMES + 1];
    struct span spans[ZAP_FRAMES + 1];
    size_t frame_count = 0;
    struct zap_answer answer;
    bool more = true;

    while (more) {
        /* A request longer than any we know: only its length matters then. */
        size_t slot = frame_count <= ZAP_FRAMES ? frame_count : ZAP_FRAMES;
        if (slot < frame_count) {
            zmq_msg_close(&frames[slot]);
        }
        zmq_msg_init(&frames[slot]);
        if (zmq_msg_recv(&frames[slot], link->zap, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frames[slot]);
            assert(frame_count == 0 && errno == EAGAIN);
            link->zap_ready = false;
            return false;
        }
        more = zmq_msg_more(&frames[slot]) != 0;
        frame_count = slot + 1;
        spans[slot] = span_of(zmq_msg_data(&frames[slot]), zmq_msg_size(&frames[slot]));
    }
    enum zap_verdict verdict = zap_decide(&answer, &link->allowed, link->mac_key, spans, frame_count);
    if (verdict != ZAP_ADMITTED && !link->testing) {
        count(link, verdict == ZAP_STRANGER ? LINK_STRANGER : LINK_NO_HANDSHAKE);
    }
    bool sent = zmq_send(link->zap, "1.0", 3, ZMQ_SNDMORE) >= 0 &&
                zmq_send(link->zap, answer.request_id.data, answer.request_id.size, ZMQ_SNDMORE) >= 0 &&
                zmq_send(link->zap, answer.status, 3, ZMQ_SNDMORE) >= 0 &&
                zmq_send(link->zap, "", 0, ZMQ_SNDMORE) >= 0 &&
                zmq_send(link->zap, answer.user_id, strlen(answer.user_id), ZMQ_SNDMORE) >= 0 &&
                zmq_send(link->zap, "", 0, 0) >= 0;
    assert(sent);
    for (size_t i = 0; i < frame_count; i++) {
        zmq_msg_close(&frames[i]);
    }
    return true;
}

static enum err
open_door(struct link *link)
{
    char domain[sizeof ZAP_DOMAIN + 8] = "";
    size_t size = sizeof domain;
    uint64_t thread = 1;

    /* The handler stands before anything is bound. */
    link->zap = zmq_socket(link->context, ZMQ_REP);
    link->router = zmq_socket(link->context, ZMQ_ROUTER);
    if (link->zap == NULL || link->router == NULL) {
        return ERR_FULL;
    }
    if (!set_int(link->zap, ZMQ_LINGER, 0) || zmq_bind(link->zap, "inproc://zeromq.zap.01") != 0) {
        return ERR_INVALID;
    }
    link->monitor = watch(link, link->router, DOOR_EVENTS);
    if (link->monitor == NULL) {
        return ERR_FULL;
    }
    if (!set_common(link, link->router, true) || !set_int(link->router, ZMQ_ROUTER_MANDATORY, 1) ||
        !set_int(link->router, ZMQ_BACKLOG, BACKLOG) || !set_int(link->router, ZMQ_CURVE_SERVER, 1) ||
        zmq_setsockopt(link->router, ZMQ_AFFINITY, &thread, sizeof thread) != 0 ||
        zmq_setsockopt(link->router, ZMQ_CURVE_SECRETKEY, link->secret_key, KEY_BYTES) != 0 ||
        zmq_setsockopt(link->router, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) != 0 ||
        !set_int(link->router, ZMQ_ZAP_ENFORCE_DOMAIN, 1)) {
        return ERR_INVALID;
    }
    /* Strangers come in if any one of these is not what we asked for. */
    if (get_int(link->router, ZMQ_MECHANISM) != ZMQ_CURVE || get_int(link->router, ZMQ_CURVE_SERVER) != 1 ||
        get_int(link->router, ZMQ_ZAP_ENFORCE_DOMAIN) != 1 ||
        zmq_getsockopt(link->router, ZMQ_ZAP_DOMAIN, domain, &size) != 0 || strcmp(domain, ZAP_DOMAIN) != 0) {
        return ERR_INVALID;
    }
    return ERR_OK;
}

static void
fill_defaults(struct link_options *options)
{
    options->secret_key = NULL;
    if (options->handshake_ms == 0 || options->handshake_ms > HANDSHAKE_MS_MAX) {
        options->handshake_ms = options->handshake_ms == 0 ? HANDSHAKE_MS_DEFAULT : HANDSHAKE_MS_MAX;
    }
    options->silence_ms_max = options->silence_ms_max == 0 ? SILENCE_MS_DEFAULT : options->silence_ms_max;
    options->redial_ms_min = options->redial_ms_min == 0 ? REDIAL_MS_MIN_DEFAULT : options->redial_ms_min;
    options->redial_ms_max = options->redial_ms_max == 0 ? REDIAL_MS_MAX_DEFAULT : options->redial_ms_max;
    options->rekey_ms = options->rekey_ms == 0 ? REKEY_MS_DEFAULT : options->rekey_ms;
    options->rekey_bytes = options->rekey_bytes == 0 ? REKEY_BYTES_DEFAULT : options->rekey_bytes;
}

enum err
link_open(struct link **link_out, const struct link_options *options)
{
    struct key_pair pair;

    assert(link_out != NULL && options->secret_key != NULL);
    enum err err = ERR_MEMORY;
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        goto fail;
    }
    link->watched = -1;
    zmq_msg_init(&link->message);
    link->options = *options;
    fill_defaults(&link->options);
    if (options->directory != NULL && options->directory[0] != '\0') {
        link->directory = strdup(options->directory);
        if (link->directory == NULL) {
            goto fail;
        }
    }
    link->options.directory = NULL;
    link->secret_key = crypto_secret_new(KEY_BYTES);
    link->mac_key = crypto_secret_new(sizeof *link->mac_key);
    if (link->secret_key == NULL || link->mac_key == NULL) {
        goto fail;
    }
    memcpy(link->secret_key, options->secret_key, KEY_BYTES);
    crypto_os_random(link->mac_key, sizeof *link->mac_key);
    crypto_box_pair_from_secret(&pair, link->secret_key);
    memcpy(link->curve_pk, pair.public_key, CURVE_PK_BYTES);
    crypto_wipe(&pair, sizeof pair);
    link->context = zmq_ctx_new();
    if (link->context == NULL) {
        goto fail;
    }
    err = ERR_INVALID;
    if (!zmq_has("curve") || zmq_ctx_set(link->context, ZMQ_IO_THREADS, 2) != 0 ||
        zmq_ctx_set(link->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX) != 0) {
        goto fail;
    }
    err = open_door(link);
    if (err != ERR_OK) {
        goto fail;
    }
    *link_out = link;
    return ERR_OK;

fail:
    link_close(&link);
    return err;
}

void
link_close(struct link **link_ref)
{
    struct link *link = *link_ref;

    if (link == NULL) {
        return;
    }
    zmq_msg_close(&link->message);
    while (link->peer_count > 0) {
        close_socket(&link->peers[link->peer_count - 1]->out);
        forget_peer(link, link->peer_count - 1);
    }
    close_watched(link->router, link->monitor);
    if (link->zap != NULL) {
        zmq_close(link->zap);
    }
    if (link->context != NULL) {
        while (zmq_ctx_term(link->context) != 0 && errno == EINTR) {
        }
    }
    zap_list_free(&link->allowed);
    free(link->visitors);
    free(link->schedules);
    free(link->directory);
    crypto_secret_free(link->secret_key);
    crypto_secret_free(link->mac_key);
    free(link);
    *link_ref = NULL;
}

/* A stranger's socket: our own server key, and a key drawn for this once. */
static void *
stranger_socket(struct link *link)
{
    char public_key[41];
    char secret_key[41];

    void *socket = zmq_socket(link->context, ZMQ_DEALER);
    if (socket == NULL) {
        return NULL;
    }
    if (zmq_curve_keypair(public_key, secret_key) != 0 || !set_common(link, socket, true) ||
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, link->curve_pk, CURVE_PK_BYTES) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, sizeof public_key) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, sizeof secret_key) != 0) {
        zmq_close(socket);
        return NULL;
    }
    return socket;
}

/* Knock as a stranger, and demand to be turned away. ERR_DENIED: the door is open. */
static enum err
knock(struct link *link, const char *endpoint)
{
    uint64_t deadline_ms = now_ms() + 2 * (uint64_t)link->options.handshake_ms;
    struct happening happening = { .event = 0 };
    enum err err = ERR_IO;

    void *socket = stranger_socket(link);
    void *monitor = socket == NULL ? NULL : watch(link, socket, ZMQ_EVENT_ALL);
    if (monitor == NULL || zmq_connect(socket, endpoint) != 0) {
        close_watched(socket, monitor);
        return ERR_IO;
    }
    link->testing = true;
    bool answered = false;
    while (!answered && now_ms() < deadline_ms) {
        zmq_pollitem_t items[2] = { { .socket = link->zap, .events = ZMQ_POLLIN },
                                    { .socket = monitor, .events = ZMQ_POLLIN } };
        zmq_poll(items, 2, 100);
        while (answer_zap(link)) {
        }
        while (!answered && read_happening(&happening, monitor)) {
            answered = happening.event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ||
                       happening.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        }
    }
    if (answered) {
        err = happening.event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? ERR_OK : ERR_DENIED;
    }
    close_watched(socket, monitor);
    read_door(link);
    link->testing = false;
    return err;
}

/* Where we reach what is bound to every address. */
static void
local_endpoint(char out[ENDPOINT_BYTES], const char *bound)
{
    const char *port = strrchr(bound, ':');

    if (strncmp(bound, "tcp://0.0.0.0:", 14) == 0) {
        snprintf(out, ENDPOINT_BYTES, "tcp://127.0.0.1%s", port);
    } else if (strncmp(bound, "tcp://[::]:", 11) == 0) {
        snprintf(out, ENDPOINT_BYTES, "tcp://[::1]%s", port);
    } else {
        snprintf(out, ENDPOINT_BYTES, "%s", bound);
    }
}

enum err
link_listen(struct link *link, struct span endpoint, char *bound_out)
{
    struct endpoint parsed;
    char local[ENDPOINT_BYTES];
    size_t size = ENDPOINT_BYTES;

    if (endpoint_parse(&parsed, endpoint, ENDPOINT_BIND, link->options.ipc_allowed) != ERR_OK) {
        return ERR_INVALID;
    }
    if (link->listener_count == LINK_LISTEN_MAX) {
        return ERR_FULL;
    }
    if (zmq_bind(link->router, parsed.text) != 0) {
        return errno == EADDRINUSE ? ERR_BUSY : ERR_IO;
    }
    struct listener *listener = &link->listeners[link->listener_count];
    *listener = (struct listener){ .again_ms = 0 };
    if (zmq_getsockopt(link->router, ZMQ_LAST_ENDPOINT, listener->bound, &size) != 0) {
        return ERR_IO;
    }
    local_endpoint(local, listener->bound);
    enum err err = knock(link, local);
    if (err != ERR_OK) {
        zmq_unbind(link->router, listener->bound);
        return err;
    }
    link->listener_count++;
    memcpy(bound_out, listener->bound, ENDPOINT_BYTES);
    return ERR_OK;
}

/* --- Orders of the owner ------------------------------------------------------------- */

enum err
link_set_allowed(struct link *link, const struct zap_guest *guests, size_t guest_count)
{
    enum err err = zap_list_set(&link->allowed, guests, guest_count);

    if (err != ERR_OK) {
        return err;
    }
    for (size_t i = 0; i < link->peer_count; i++) {
        struct peer *peer = link->peers[i];
        bool dials = peer->out.state != DIAL_OFF;
        if (!zap_list_has(&link->allowed, &peer->device_id, NULL)) {
            link_hangup(link, &peer->device_id, LINK_OFF_ROSTER);
            peer->gone = true;
        } else if (dials && !zap_list_has(&link->allowed, &peer->device_id, peer->out.curve_pk)) {
            link_hangup(link, &peer->device_id, LINK_OFF_ROSTER);
        }
    }
    return ERR_OK;
}

enum err
link_dial(struct link *link, const struct hash *device_id, const uint8_t curve_pk[CURVE_PK_BYTES],
          struct span endpoint, struct span proxy, bool heartbeats)
{
    struct endpoint parsed;
    struct endpoint through = { .port = 0 };
    bool proxied = proxy.size > 0;

    if (endpoint_parse(&parsed, endpoint, ENDPOINT_DIAL, link->options.ipc_allowed) != ERR_OK ||
        (proxied && (parsed.ipc || endpoint_parse_proxy(&through, proxy) != ERR_OK))) {
        return ERR_INVALID;
    }
    if (!zap_list_has(&link->allowed, device_id, curve_pk) ||
        hash_equal(device_id, &link->options.device_id)) {
        return ERR_DENIED;
    }
    struct peer *peer = need_peer(link, device_id);
    if (peer == NULL) {
        return link->peer_count == LINK_PEERS_MAX ? ERR_FULL : ERR_MEMORY;
    }
    struct outbound *out = &peer->out;
    bool same = out->state != DIAL_OFF && strcmp(out->endpoint.text, parsed.text) == 0 &&
                strcmp(out->proxy.text, through.text) == 0 &&
                memcmp(out->curve_pk, curve_pk, CURVE_PK_BYTES) == 0 && out->heartbeats == heartbeats;
    if (same && out->state != DIAL_WAITING) {
        return ERR_OK;
    }
    if (out->state == DIAL_OPEN) {
        end_dial(link, peer, LINK_HUNG_UP);
    }
    out->endpoint = parsed;
    out->proxied = proxied;
    out->proxy = through;
    out->heartbeats = heartbeats;
    memcpy(out->curve_pk, curve_pk, CURVE_PK_BYTES);
    out->failures = 0;
    start_dial(link, peer);
    return ERR_OK;
}

static enum err
send_in(struct link *link, struct peer *peer, struct span bytes)
{
    uint8_t routing_id[ROUTING_ID_BYTES] = { 0 };

    memcpy(routing_id + 1, &peer->in.number, sizeof peer->in.number);
    if (zmq_send(link->router, routing_id, sizeof routing_id, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        return errno == EAGAIN ? ERR_FULL : ERR_ABSENT;
    }
    /* Taken with its first frame, a message is taken whole. */
    if (zmq_send(link->router, bytes.data, bytes.size, ZMQ_DONTWAIT) < 0) {
        return ERR_FULL;
    }
    peer->in.bytes += bytes.size;
    return ERR_OK;
}

static enum err
send_out(struct peer *peer, struct span bytes)
{
    if (zmq_send(peer->out.socket, bytes.data, bytes.size, ZMQ_DONTWAIT) < 0) {
        return ERR_FULL;
    }
    peer->out.bytes += bytes.size;
    return ERR_OK;
}

static enum err
send_now(struct link *link, struct peer *peer, struct span bytes)
{
    return peer_sends_in(peer) ? send_in(link, peer, bytes) : send_out(peer, bytes);
}

/* One envelope, whatever waits. For one that finds no room what it would have carried goes with the next. */
static void
send_envelope(struct link *link, struct peer *peer)
{
    envelope_pack(&peer->outgoing, &peer->schedule, peer_connection(peer), link->envelope);
    if (send_now(link, peer, span_of(link->envelope, peer->schedule.bytes)) == ERR_OK) {
        envelope_sent(&peer->outgoing);
        peer->sent++;
        link->something_to_tell = true;
    }
}

void
link_hangup(struct link *link, const struct hash *device_id, enum link_reason reason)
{
    struct peer *peer = find_peer(link, device_id);

    if (peer == NULL) {
        return;
    }
    /* The last word is in it, if there is one. */
    if (reason == LINK_HUNG_UP && peer->schedule.bytes > 0 && peer_is_connected(peer)) {
        send_envelope(link, peer);
    }
    close_socket(&peer->out);
    peer->out.state = DIAL_OFF;
    close_inbound(link, peer, reason);
    tell_ended(link, peer, reason);
}

enum err
link_send(struct link *link, const struct hash *device_id, struct span bytes)
{
    struct peer *peer = find_peer(link, device_id);

    assert(bytes.size > 0 && bytes.size <= LINK_MESSAGE_BYTES_MAX);
    if (peer == NULL || !peer_is_connected(peer)) {
        return ERR_ABSENT;
    }
    if (peer->schedule.bytes == 0) {
        return send_now(link, peer, bytes);
    }
    bool room = envelope_waiting(&peer->outgoing) < peer->schedule.bytes;
    return room && envelope_put(&peer->outgoing, bytes) ? ERR_OK : ERR_FULL;
}

/* From now on a peer is sent to by another schedule. A connection has one from its first message to its last. */
static void
change_schedule(struct link *link, struct peer *peer, const struct envelope_schedule *schedule)
{
    peer->schedule = *schedule;
    if (peer->out.state == DIAL_OPEN) {
        end_dial(link, peer, LINK_SCHEDULE_CHANGED);
    }
    close_inbound(link, peer, LINK_SCHEDULE_CHANGED);
}

enum err
link_set_schedules(struct link *link, const struct link_schedule *schedules, size_t schedule_count)
{
    for (size_t i = 0; i < schedule_count; i++) {
        if (!envelope_schedule_valid(&schedules[i].schedule)) {
            return ERR_INVALID;
        }
    }
    struct link_schedule *copy = calloc(schedule_count + 1, sizeof *copy);
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < schedule_count; i++) {
        copy[i] = schedules[i];
    }
    free(link->schedules);
    link->schedules = copy;
    link->schedule_count = schedule_count;
    for (size_t i = 0; i < link->peer_count; i++) {
        struct peer *peer = link->peers[i];
        const struct envelope_schedule schedule = schedule_of(link, &peer->device_id);
        if (!envelope_schedule_equal(&peer->schedule, &schedule)) {
            change_schedule(link, peer, &schedule);
        }
    }
    return ERR_OK;
}

bool
link_keeps_schedule(const struct link *link, const struct hash *device_id)
{
    return schedule_of(link, device_id).bytes > 0;
}

void
link_set_room(struct link *link, const struct hash *device_id, bool has_room)
{
    struct peer *peer = find_peer(link, device_id);

    if (peer != NULL) {
        peer->no_room = !has_room;
        peer->out.socket_ready = peer->out.socket != NULL;
    }
}

void
link_pause(struct link *link, bool paused)
{
    link->paused = paused;
}

/* --- Reading ----------------------------------------------------------------------------- */

/* link->message is for the owner, once it has been told all that came before. */
static void
lend(struct link *link, const struct peer *peer)
{
    link->has_message = true;
    link->message_device = peer->device_id;
}

/* A message of `peer` is in link->message: hand it on, or what is in it. `mail` is of the connection that it came over. Gives why that
 * must end. One who keeps to its credit never fills what is held. */
static enum link_reason
take_message(struct link *link, struct peer *peer, struct envelope_in *mail)
{
    struct span bytes = span_of(zmq_msg_data(&link->message), zmq_msg_size(&link->message));
    struct span frame;
    enum link_reason reason = envelope_take(mail, bytes);

    if (reason != LINK_NO_REASON) {
        return reason;
    }
    if (mail->schedule.bytes == 0) {
        if (peer->no_room || peer_holds(peer)) {
            return peer_hold(peer, bytes) ? LINK_NO_REASON : LINK_OVERRAN;
        }
        lend(link, peer);
        return LINK_NO_REASON;
    }
    peer->theirs = mail->schedule;
    peer->received++;
    link->something_to_tell = true;
    while (envelope_next(mail, &frame)) {
        if (!peer_hold(peer, frame)) {
            return LINK_OVERRAN;
        }
    }
    return mail->frame.failed ? LINK_OVERRAN : LINK_NO_REASON;
}

/* Lend the oldest message that is held for a peer for which there is room. */
static bool
take_held(struct link *link)
{
    for (size_t i = 0; i < link->peer_count; i++) {
        struct peer *peer = link->peers[i];
        if (!peer->no_room && peer_holds(peer)) {
            struct span oldest = peer_oldest_held(peer);
            /* A copy: the peer, and what is held for it, may go while this is lent. */
            zmq_msg_close(&link->message);
            if (zmq_msg_init_size(&link->message, oldest.size) != 0) {
                zmq_msg_init(&link->message);
                return false;
            }
            memcpy(zmq_msg_data(&link->message), oldest.data, oldest.size);
            peer_drop_oldest_held(peer);
            lend(link, peer);
            return true;
        }
    }
    return false;
}

/* Receive one frame into link->message. False: none is there. */
static bool
receive(struct link *link, void *socket)
{
    zmq_msg_close(&link->message);
    zmq_msg_init(&link->message);
    return zmq_msg_recv(&link->message, socket, ZMQ_DONTWAIT) >= 0;
}

/* Read away what is left of a message in parts. True if there was more than this frame. */
static bool
drop_rest(struct link *link, void *socket)
{
    bool was_more = zmq_msg_more(&link->message) != 0;
    bool more = was_more;

    while (more && receive(link, socket)) {
        more = zmq_msg_more(&link->message) != 0;
    }
    return was_more;
}

/* The first message over a new connection of `peer`. */
static void
open_inbound(struct link *link, struct peer *peer, uint32_t number, int fd)
{
    /* What libzmq said before this message says which descriptors are whose. */
    read_door(link);
    close_inbound(link, peer, LINK_DUPLICATE);
    /* If it has left already, it ends as soon as all that it sent is read. */
    peer->in = (struct inbound){ .open = true,
                                 .closing = visitor_of(link, fd) == NULL,
                                 .number = number,
                                 .fd = fd,
                                 .since_ms = now_ms() };
    tell_opened(link, peer);
}

/* Refuse the message just received, and whoever sent it. */
static void
refuse(struct link *link, int fd, enum link_reason reason)
{
    read_door(link);
    show_out(link, fd);
    count(link, reason);
}

/* A whole message of the router is in link->message. */
static void
take_inbound(struct link *link, uint32_t number, bool whole)
{
    struct hash device_id;
    struct span bytes = span_of(zmq_msg_data(&link->message), zmq_msg_size(&link->message));
    int fd = zmq_msg_get(&link->message, ZMQ_SRCFD);

    if (!zap_user_id_verify(&device_id, &link->allowed, link->mac_key,
                            zmq_msg_gets(&link->message, "User-Id"))) {
        refuse(link, fd, LINK_NO_IDENTITY);
        return;
    }
    if (!whole || bytes.size == 0) {
        refuse(link, fd, LINK_MALFORMED);
        return;
    }
    struct peer *peer = need_peer(link, &device_id);
    if (peer == NULL) {
        refuse(link, fd, LINK_TOO_MANY_PEERS);
        return;
    }
    if (!peer->in.open || peer->in.number != number) {
        if (peer_has_retired(peer, number)) {
            refuse(link, fd, LINK_STALE_CONNECTION);
            return;
        }
        open_inbound(link, peer, number, fd);
    }
    peer->in.bytes += bytes.size;
    peer->spoke_last_in = true;
    struct visitor *visitor = visitor_of(link, peer->in.fd);
    if (visitor != NULL) {
        visitor->spoke = true;
        visitor->bytes += bytes.size;
    }
    /* Both sides dialled: the connection of the smaller id stays. */
    if (peer->out.state == DIAL_OPEN && hash_compare(&device_id, &link->options.device_id) < 0) {
        end_dial(link, peer, LINK_DUPLICATE);
    }
    enum link_reason reason = take_message(link, peer, &peer->in.mail);
    if (reason != LINK_NO_REASON) {
        count(link, reason);
        close_inbound(link, peer, reason);
    }
}

/* True if something was read. */
static bool
read_router(struct link *link)
{
    uint32_t number;

    if (!link->router_ready) {
        return false;
    }
    if (!receive(link, link->router)) {
        link->router_ready = false;
        settle_inbound(link);
        return false;
    }
    const uint8_t *routing_id = zmq_msg_data(&link->message);
    bool assigned = zmq_msg_size(&link->message) == ROUTING_ID_BYTES && routing_id[0] == 0;
    memcpy(&number, assigned ? routing_id + 1 : (const uint8_t *)"\0\0\0", sizeof number);
    if (!receive(link, link->router)) {
        return true;
    }
    int fd = zmq_msg_get(&link->message, ZMQ_SRCFD);
    /* In the first part, which is the only one of an honest message, stands who sent it. */
    bool whole = zmq_msg_more(&link->message) == 0;
    if (!whole || !assigned) {
        drop_rest(link, link->router);
    }
    if (assigned) {
        take_inbound(link, number, whole);
    } else {
        refuse(link, fd, LINK_OWN_ROUTING_ID);
    }
    return true;
}

/* True if something was read. */
static bool
read_dealer(struct link *link, struct peer *peer)
{
    struct outbound *out = &peer->out;

    if (!out->socket_ready || out->socket == NULL || peer->no_room) {
        return false;
    }
    if (!receive(link, out->socket)) {
        out->socket_ready = false;
        if (out->closing != LINK_NO_REASON) {
            end_dial(link, peer, out->closing);
            return true;
        }
        return false;
    }
    if (drop_rest(link, out->socket) || zmq_msg_size(&link->message) == 0) {
        count(link, LINK_MALFORMED);
        end_dial(link, peer, LINK_MALFORMED);
        return true;
    }
    out->bytes += zmq_msg_size(&link->message);
    peer->spoke_last_in = false;
    enum link_reason reason = take_message(link, peer, &out->mail);
    if (reason != LINK_NO_REASON) {
        count(link, reason);
        end_dial(link, peer, reason);
    }
    return true;
}

/* Read one message from whoever is next. True if something was done. */
static bool
read_somebody(struct link *link)
{
    if (link->paused) {
        return false;
    }
    for (size_t i = 0; i <= link->peer_count; i++) {
        size_t whose = (link->turn + i) % (link->peer_count + 1);
        bool did = whose == link->peer_count ? read_router(link) : read_dealer(link, link->peers[whose]);
        if (did) {
            link->turn = whose + 1;
            return true;
        }
    }
    return false;
}

/* --- Time ----------------------------------------------------------------------------------- */

static bool
is_backlog(uint64_t received, uint64_t read_bytes)
{
    return received > read_bytes + read_bytes / 8 + LINK_BACKLOG_BYTES;
}

/* Bytes that the kernel has taken in on `fd` and that no message has brought us. A peer that never
 * ends a message stays below every count of libzmq's, which counts whole ones. */
static bool
has_backlog(int fd, uint64_t read_bytes)
{
    struct tcp_info info;
    socklen_t size = sizeof info;

    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received) {
        return false;
    }
    return is_backlog(info.tcpi_bytes_received, read_bytes);
}

static bool
has_backlog_out(const struct outbound *out)
{
    return out->tunnel != NULL ? is_backlog(tunnel_received(out->tunnel), out->bytes)
                               : has_backlog(out->fd, out->bytes);
}

static void
watch_visitors(struct link *link, uint64_t now)
{
    for (size_t fd = 0; fd < link->visitor_room; fd++) {
        const struct visitor *visitor = &link->visitors[fd];

        if (visitor->open && visitor->leave_ms != 0 && now >= visitor->leave_ms) {
            show_out(link, (int)fd);
        } else if (visitor->open && has_backlog((int)fd, link->visitors[fd].bytes)) {
            show_out(link, (int)fd);
            count(link, LINK_OVERRAN);
        }
    }
}

static bool
is_due(uint64_t since_ms, uint64_t now, uint64_t ms, uint64_t bytes, uint64_t bytes_max)
{
    return now - since_ms >= ms || bytes >= bytes_max;
}

static void
watch_peer(struct link *link, struct peer *peer, uint64_t now)
{
    const struct link_options *options = &link->options;
    struct outbound *out = &peer->out;

    if (out->state == DIAL_OPEN && out->closing == LINK_NO_REASON) {
        if (is_due(out->at_ms, now, options->rekey_ms, out->bytes, options->rekey_bytes)) {
            end_dial(link, peer, LINK_KEYS_RENEWED);
        } else if (has_backlog_out(out)) {
            count(link, LINK_OVERRAN);
            end_dial(link, peer, LINK_OVERRAN);
        }
    }
    /* The dialler renews; we see to it if it does not. */
    if (peer->in.open && !peer->in.closing &&
        is_due(peer->in.since_ms, now, options->rekey_ms + (uint64_t)options->rekey_ms / 4, peer->in.bytes,
               options->rekey_bytes + options->rekey_bytes / 4)) {
        read_door(link);
        close_inbound(link, peer, LINK_KEYS_RENEWED);
    }
}

static void
listen_again(struct link *link, uint64_t now)
{
    for (size_t i = 0; i < link->listener_count; i++) {
        struct listener *listener = &link->listeners[i];
        if (listener->again_ms != 0 && now >= listener->again_ms) {
            bool bound = zmq_bind(link->router, listener->bound) == 0;
            listener->again_ms = bound ? 0 : now + LISTEN_AGAIN_MS;
        }
    }
}

/* When a waiting peer is to be dialled; UINT64_MAX: not while it is connected, or not at all. */
static uint64_t
dial_due_ms(const struct peer *peer)
{
    const struct outbound *out = &peer->out;

    if (out->state == DIAL_CONNECTING && out->tunnel != NULL && out->socket == NULL) {
        return tunnel_due_ms(out->tunnel);
    }
    if (out->state == DIAL_CONNECTING) {
        /* An attempt of which libzmq never says what became of it, such as a name that is looked up. */
        return out->at_ms + 2 * (uint64_t)CONNECT_MS_MAX;
    }
    return out->state == DIAL_WAITING && !peer->in.open ? out->at_ms : UINT64_MAX;
}

/* When a peer is sent an envelope; UINT64_MAX: it is not connected, or its line keeps no schedule. */
static uint64_t
beat_due_ms(const struct peer *peer)
{
    return peer->schedule.bytes > 0 && peer->beat_ms != 0 && peer_is_connected(peer) ? peer->beat_ms
                                                                                     : UINT64_MAX;
}

static void
pass_time(struct link *link)
{
    uint64_t now = now_ms();

    for (size_t i = 0; i < link->peer_count; i++) {
        struct peer *peer = link->peers[i];
        if (now >= dial_due_ms(peer)) {
            if (peer->out.tunnel != NULL && peer->out.socket == NULL) {
                peer->out.tunnel_ready = true;
                work_tunnel(link, peer);
            } else if (peer->out.state == DIAL_CONNECTING) {
                end_dial(link, peer, why_not_connected(&peer->out));
            } else {
                start_dial(link, peer);
            }
        }
    }
    for (size_t i = 0; i < link->peer_count; i++) {
        struct peer *peer = link->peers[i];
        if (now >= beat_due_ms(peer)) {
            send_envelope(link, peer);
            peer_plan_beat(peer, now);
        }
    }
    if (now >= link->watch_ms) {
        link->watch_ms = now + WATCH_MS;
        for (size_t i = 0; i < link->peer_count; i++) {
            watch_peer(link, link->peers[i], now);
        }
        watch_visitors(link, now);
        listen_again(link, now);
        link->something_to_tell = true;
    }
}

/* --- The turn --------------------------------------------------------------------------------- */

static uint32_t
wait_ms_max(const struct link *link, uint32_t timeout_ms)
{
    uint64_t now = now_ms();
    uint64_t due_ms = now + timeout_ms;

    if (link->has_message || link->something_to_tell) {
        return 0;
    }
    due_ms = link->watch_ms < due_ms ? link->watch_ms : due_ms;
    for (size_t i = 0; i < link->peer_count; i++) {
        const struct peer *peer = link->peers[i];
        uint64_t dial_ms = dial_due_ms(peer);
        due_ms = dial_ms < due_ms ? dial_ms : due_ms;
        due_ms = beat_due_ms(peer) < due_ms ? beat_due_ms(peer) : due_ms;
        if (peer->out.tunnel_ready || (!peer->no_room && !link->paused && peer_holds(peer))) {
            return 0;
        }
    }
    return due_ms > now ? (uint32_t)(due_ms - now) : 0;
}

static bool
reads_from(const struct link *link, const struct peer *peer)
{
    return peer->out.socket != NULL && !peer->no_room && !link->paused;
}

/* libzmq numbers them in its own way. */
static short
zmq_events(short events)
{
    return (short)((events & POLLIN ? ZMQ_POLLIN : 0) | (events & POLLOUT ? ZMQ_POLLOUT : 0));
}

static short
poll_events(short events)
{
    return (short)((events & ZMQ_POLLIN ? POLLIN : 0) | (events & ZMQ_POLLOUT ? POLLOUT : 0) |
                   (events & ZMQ_POLLERR ? POLLERR : 0));
}

/* How many there are. */
static int
put_tunnel_items(const struct outbound *out, zmq_pollitem_t *items)
{
    struct pollfd fds[TUNNEL_FDS];

    if (out->tunnel == NULL) {
        return 0;
    }
    tunnel_poll(out->tunnel, fds);
    for (int k = 0; k < TUNNEL_FDS; k++) {
        items[k] = (zmq_pollitem_t){ .fd = fds[k].fd, .events = zmq_events(fds[k].events) };
    }
    return TUNNEL_FDS;
}

void
link_watch(struct link *link, int fd)
{
    link->watched = fd;
}

short
link_wait(struct link *link, uint32_t timeout_ms, int fd, short events)
{
    zmq_pollitem_t *items = link->items;
    int item_count = 0;

    items[item_count++] = (zmq_pollitem_t){ .fd = fd, .events = zmq_events(events) };
    items[item_count++] = (zmq_pollitem_t){ .socket = link->zap, .events = ZMQ_POLLIN };
    items[item_count++] = (zmq_pollitem_t){ .socket = link->monitor, .events = ZMQ_POLLIN };
    items[item_count++] = (zmq_pollitem_t){ .socket = link->router, .events = link->paused ? 0 : ZMQ_POLLIN };
    for (size_t i = 0; i < link->peer_count; i++) {
        struct outbound *out = &link->peers[i]->out;
        if (out->socket != NULL) {
            short in = reads_from(link, link->peers[i]) ? ZMQ_POLLIN : 0;
            items[item_count++] = (zmq_pollitem_t){ .socket = out->socket, .events = in };
            items[item_count++] = (zmq_pollitem_t){ .socket = out->monitor, .events = ZMQ_POLLIN };
        }
        item_count += put_tunnel_items(out, items + item_count);
    }
    if (link->watched >= 0) {
        items[item_count++] = (zmq_pollitem_t){ .fd = link->watched, .events = ZMQ_POLLIN };
    }
    if (zmq_poll(items, item_count, (long)wait_ms_max(link, timeout_ms)) < 0) {
        assert(errno == EINTR);
        return 0;
    }
    link->zap_ready = link->zap_ready || items[1].revents != 0;
    link->monitor_ready = link->monitor_ready || items[2].revents != 0;
    link->router_ready = link->router_ready || items[3].revents != 0;
    int item = 4;
    for (size_t i = 0; i < link->peer_count; i++) {
        struct outbound *out = &link->peers[i]->out;
        if (out->socket != NULL) {
            out->socket_ready = out->socket_ready || items[item].revents != 0;
            out->monitor_ready = out->monitor_ready || items[item + 1].revents != 0;
            item += 2;
        }
        for (int k = 0; out->tunnel != NULL && k < TUNNEL_FDS; k++) {
            out->tunnel_ready = out->tunnel_ready || items[item].revents != 0;
            item++;
        }
    }
    return poll_events(items[0].revents);
}

/* Do one piece of work. False: there is none. */
static bool
work(struct link *link)
{
    if (link->zap_ready && answer_zap(link)) {
        return true;
    }
    if (link->monitor_ready) {
        read_door(link);
        return true;
    }
    for (size_t i = 0; i < link->peer_count; i++) {
        if (work_tunnel(link, link->peers[i]) || read_dial(link, link->peers[i])) {
            return true;
        }
    }
    return (!link->paused && take_held(link)) || read_somebody(link);
}

bool
link_next(struct link *link, struct link_event *event_out)
{
    pass_time(link);
    do {
        if (link->something_to_tell) {
            if (take_peer_event(link, event_out) || take_tally(link, event_out)) {
                return true;
            }
            link->something_to_tell = false;
        }
        if (link->has_message) {
            link->has_message = false;
            *event_out = (struct link_event){ .kind = LINK_MESSAGE,
                                              .device_id = link->message_device,
                                              .bytes = span_of(zmq_msg_data(&link->message),
                                                               zmq_msg_size(&link->message)) };
            return true;
        }
    } while (work(link));
    return false;
}
