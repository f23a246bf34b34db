#include "sync/tunnel.h"

#include "sync/socks.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ADDRESSES_MAX = 8,
    NAME_BYTES = 32,
};

/* Where a proxy may be. */
struct place {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
};

struct places {
    size_t count;
    struct place all[ADDRESSES_MAX];
};

/* One direction: filled when it is empty, and emptied before it is filled again. */
struct lane {
    uint8_t bytes[TUNNEL_BUFFER_BYTES];
    size_t at;
    size_t used;
    bool ended; /* nothing more comes */
};

enum step { STEP_LOOK_UP = 0, STEP_REACH, STEP_ASK, STEP_DONE };

struct tunnel {
    enum tunnel_state state;
    enum link_reason reason;
    enum step step; /* of opening */
    uint64_t due_ms;
    int lookup; /* the thread's answer; -1: none is awaited */
    struct places places;
    size_t place; /* the next to try */
    int far;      /* the proxy */
    struct socks socks;
    size_t sent; /* of what the proxy is asked */
    int directory;
    char name[NAME_BYTES]; /* of the socket in it; "": none is there */
    int door;
    int near;        /* libzmq */
    struct lane in;  /* from the peer */
    struct lane out; /* to the peer */
    uint64_t received;
};

static void
close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void
withdraw_offer(struct tunnel *tunnel)
{
    if (tunnel->name[0] != '\0') {
        (void)unlinkat(tunnel->directory, tunnel->name, 0);
        tunnel->name[0] = '\0';
    }
    close_fd(&tunnel->door);
    close_fd(&tunnel->directory);
}

static void
close_all(struct tunnel *tunnel)
{
    withdraw_offer(tunnel);
    close_fd(&tunnel->lookup);
    close_fd(&tunnel->far);
    close_fd(&tunnel->near);
    tunnel->due_ms = UINT64_MAX;
}

static void
fail(struct tunnel *tunnel, enum link_reason reason)
{
    close_all(tunnel);
    tunnel->state = TUNNEL_FAILED;
    tunnel->reason = reason;
}

/* --- Where the proxy is -------------------------------------------------------- */

/* What a thread is given, and its alone. */
struct question {
    int fd;
    char host[sizeof((struct endpoint *)NULL)->host];
    uint16_t port;
};

static void
add_place(struct places *places, const struct addrinfo *info, uint16_t port)
{
    struct place place = { .size = info->ai_addrlen };

    if (places->count == ADDRESSES_MAX || info->ai_addrlen > sizeof place.address) {
        return;
    }
    memcpy(&place.address, info->ai_addr, info->ai_addrlen);
    if (info->ai_family == AF_INET) {
        place.address.v4.sin_port = htons(port);
    } else if (info->ai_family == AF_INET6) {
        place.address.v6.sin6_port = htons(port);
    } else {
        return;
    }
    places->all[places->count] = place;
    places->count++;
}

/* Whoever asked may be gone by now: then the answer goes nowhere. */
static void *
look_up(void *argument)
{
    struct question *question = argument;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    struct places places = { .count = 0 };

    if (getaddrinfo(question->host, NULL, &hints, &found) == 0) {
        for (const struct addrinfo *info = found; info != NULL; info = info->ai_next) {
            add_place(&places, info, question->port);
        }
        freeaddrinfo(found);
    }
    (void)send(question->fd, &places, sizeof places, MSG_NOSIGNAL);
    close(question->fd);
    free(question);
    return NULL;
}

static bool
start_thread(struct question *question)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;

    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    /* Signals are for the thread that has something to do with them. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
                   pthread_create(&thread, &attributes, look_up, question) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return started;
}

static enum err
begin_look_up(struct tunnel *tunnel, const struct endpoint *proxy)
{
    int pair[2];
    struct question *question = calloc(1, sizeof *question);

    if (question == NULL) {
        return ERR_MEMORY;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        free(question);
        return ERR_FULL;
    }
    question->fd = pair[1];
    question->port = proxy->port;
    memcpy(question->host, proxy->host, sizeof question->host);
    tunnel->lookup = pair[0];
    if (!start_thread(question)) {
        close(pair[1]);
        free(question);
        return ERR_FULL;
    }
    return ERR_OK;
}

/* An address needs nobody who looks it up. */
static void
take_address(struct tunnel *tunnel, const struct endpoint *proxy)
{
    struct place *place = &tunnel->places.all[0];

    if (inet_pton(AF_INET, proxy->host, &place->address.v4.sin_addr) == 1) {
        place->size = sizeof place->address.v4;
        place->address.v4.sin_family = AF_INET;
        place->address.v4.sin_port = htons(proxy->port);
    } else if (inet_pton(AF_INET6, proxy->host, &place->address.v6.sin6_addr) == 1) {
        place->size = sizeof place->address.v6;
        place->address.v6.sin6_family = AF_INET6;
        place->address.v6.sin6_port = htons(proxy->port);
    }
    tunnel->places.count = 1;
}

/* --- Opening ------------------------------------------------------------------- */

static void
begin_ask(struct tunnel *tunnel, uint64_t now_ms)
{
    tunnel->step = STEP_ASK;
    tunnel->due_ms = now_ms + TUNNEL_ASK_MS;
}

/* Call the next address of the proxy. A name such as localhost has two, and few proxies listen on both. */
static void
reach_next(struct tunnel *tunnel, uint64_t now_ms)
{
    const int yes = 1;

    tunnel->step = STEP_REACH;
    tunnel->due_ms = now_ms + TUNNEL_REACH_MS;
    while (tunnel->place < tunnel->places.count) {
        const struct place *place = &tunnel->places.all[tunnel->place];

        tunnel->place++;
        close_fd(&tunnel->far);
        tunnel->far =
            socket(place->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
        if (tunnel->far < 0) {
            continue;
        }
        (void)setsockopt(tunnel->far, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        (void)setsockopt(tunnel->far, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
        if (connect(tunnel->far, &place->address.any, place->size) == 0) {
            begin_ask(tunnel, now_ms);
            return;
        }
        if (errno == EINPROGRESS) {
            return;
        }
    }
    fail(tunnel, LINK_PROXY_UNREACHABLE);
}

/* True if something changed. */
static bool
work_look_up(struct tunnel *tunnel, uint64_t now_ms)
{
    ssize_t got = recv(tunnel->lookup, &tunnel->places, sizeof tunnel->places, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    close_fd(&tunnel->lookup);
    if (got != (ssize_t)sizeof tunnel->places || tunnel->places.count == 0) {
        fail(tunnel, LINK_PROXY_NO_NAME);
    } else {
        reach_next(tunnel, now_ms);
    }
    return true;
}

static bool
work_reach(struct tunnel *tunnel, uint64_t now_ms)
{
    struct pollfd item = { .fd = tunnel->far, .events = POLLOUT };
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&item, 1, 0) <= 0) {
        return false;
    }
    if (getsockopt(tunnel->far, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        reach_next(tunnel, now_ms);
    } else {
        begin_ask(tunnel, now_ms);
    }
    return true;
}

/* Send what is to be sent. True if some of it went. */
static bool
send_ask(struct tunnel *tunnel)
{
    struct socks *socks = &tunnel->socks;

    if (tunnel->sent == socks->to_send_size) {
        return false;
    }
    ssize_t put =
        send(tunnel->far, socks->to_send + tunnel->sent, socks->to_send_size - tunnel->sent, MSG_NOSIGNAL);
    /* Whatever is wrong with the line shows when it is read. */
    tunnel->sent += put > 0 ? (size_t)put : 0;
    return put > 0;
}

static bool
work_ask(struct tunnel *tunnel)
{
    struct lane *in = &tunnel->in;
    struct socks *socks = &tunnel->socks;

    bool sent = send_ask(tunnel);
    ssize_t got = recv(tunnel->far, in->bytes, sizeof in->bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return sent;
    }
    if (got <= 0) {
        fail(tunnel, LINK_PROXY_CLOSED);
        return true;
    }
    enum socks_state before = socks->state;
    in->at = socks_take(socks, span_of(in->bytes, (size_t)got));
    in->used = (size_t)got;
    tunnel->sent = socks->state == before ? tunnel->sent : 0;
    if (socks->state == SOCKS_FAILED) {
        fail(tunnel, socks->reason);
    } else if (socks->state == SOCKS_DONE) {
        tunnel->received = in->used - in->at;
        tunnel->step = STEP_DONE;
        tunnel->state = TUNNEL_THROUGH;
        tunnel->due_ms = UINT64_MAX;
    }
    return true;
}

static bool
work_opening(struct tunnel *tunnel, uint64_t now_ms)
{
    switch (tunnel->step) {
    case STEP_LOOK_UP:
        return work_look_up(tunnel, now_ms);
    case STEP_REACH:
        return work_reach(tunnel, now_ms);
    case STEP_ASK:
        return work_ask(tunnel);
    default:
        return false;
    }
}

static void
run_out(struct tunnel *tunnel, uint64_t now_ms)
{
    if (tunnel->step == STEP_REACH) {
        reach_next(tunnel, now_ms);
    } else {
        fail(tunnel, tunnel->step == STEP_LOOK_UP ? LINK_PROXY_NO_NAME : LINK_PROXY_NO_ANSWER);
    }
}

enum err
tunnel_open(struct tunnel **tunnel_out, const struct endpoint *proxy, const struct endpoint *target,
            uint64_t now_ms)
{
    enum err err = ERR_MEMORY;
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);

    if (tunnel == NULL) {
        goto fail;
    }
    tunnel->lookup = -1;
    tunnel->far = -1;
    tunnel->directory = -1;
    tunnel->door = -1;
    tunnel->near = -1;
    socks_begin(&tunnel->socks, target);
    if (proxy->numeric) {
        take_address(tunnel, proxy);
        reach_next(tunnel, now_ms);
    } else {
        err = begin_look_up(tunnel, proxy);
        if (err != ERR_OK) {
            goto fail;
        }
        tunnel->due_ms = now_ms + TUNNEL_REACH_MS;
    }
    *tunnel_out = tunnel;
    return ERR_OK;

fail:
    tunnel_close(&tunnel);
    return err;
}

void
tunnel_close(struct tunnel **tunnel_in)
{
    if (*tunnel_in != NULL) {
        close_all(*tunnel_in);
        free(*tunnel_in);
        *tunnel_in = NULL;
    }
}

/* --- Offering ------------------------------------------------------------------ */

enum err
tunnel_offer(struct tunnel *tunnel, const char *directory, uint32_t number, char endpoint_out[ENDPOINT_BYTES])
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    assert(tunnel->state == TUNNEL_THROUGH);
    /* Through a descriptor, for the path of a socket holds 107 bytes only, and the directory's may be long. */
    tunnel->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    tunnel->door = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (tunnel->directory < 0 || tunnel->door < 0) {
        return ERR_IO;
    }
    /* One of this name is left of a process that was killed: of one state directory there is one net process. */
    (void)snprintf(tunnel->name, sizeof tunnel->name, "tunnel.%u", (unsigned)number);
    (void)unlinkat(tunnel->directory, tunnel->name, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", tunnel->directory,
                   tunnel->name);
    /* The mode of a socket that is not bound yet becomes that of its file. */
    if (fchmod(tunnel->door, 0600) != 0 ||
        bind(tunnel->door, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(tunnel->door, 1) != 0) {
        return ERR_IO;
    }
    (void)snprintf(endpoint_out, ENDPOINT_BYTES, "ipc://%s", address.sun_path);
    tunnel->state = TUNNEL_OFFERED;
    return ERR_OK;
}

static bool
is_ourselves(int fd)
{
    struct ucred who;
    socklen_t size = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == getpid();
}

static bool
work_offered(struct tunnel *tunnel)
{
    int fd = accept4(tunnel->door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    if (!is_ourselves(fd)) {
        close(fd);
        return true;
    }
    tunnel->near = fd;
    withdraw_offer(tunnel);
    tunnel->state = TUNNEL_COPYING;
    return true;
}

/* --- Copying ------------------------------------------------------------------- */

static bool
is_empty(const struct lane *lane)
{
    return lane->at == lane->used;
}

/* True if bytes moved, or the lane ended. */
static bool
fill(struct lane *lane, int from)
{
    if (lane->ended || !is_empty(lane)) {
        return false;
    }
    ssize_t got = recv(from, lane->bytes, sizeof lane->bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    lane->at = 0;
    lane->used = got > 0 ? (size_t)got : 0;
    lane->ended = got <= 0;
    return true;
}

static bool
empty(struct lane *lane, int to)
{
    if (is_empty(lane)) {
        return false;
    }
    ssize_t put = send(to, lane->bytes + lane->at, lane->used - lane->at, MSG_NOSIGNAL);
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (put < 0) {
        /* Nobody is there to read the rest. */
        lane->at = lane->used;
        lane->ended = true;
        return true;
    }
    lane->at += (size_t)put;
    return true;
}

/* One piece each way, so that no connection keeps the others waiting. */
static void
copy(struct tunnel *tunnel)
{
    if (fill(&tunnel->in, tunnel->far)) {
        tunnel->received += tunnel->in.used;
    }
    (void)fill(&tunnel->out, tunnel->near);
    (void)empty(&tunnel->in, tunnel->near);
    (void)empty(&tunnel->out, tunnel->far);
    if ((tunnel->in.ended && is_empty(&tunnel->in)) || (tunnel->out.ended && is_empty(&tunnel->out))) {
        close_all(tunnel);
        tunnel->state = TUNNEL_ENDED;
    }
}

/* --- The owner ----------------------------------------------------------------- */

void
tunnel_work(struct tunnel *tunnel, uint64_t now_ms)
{
    while (tunnel->state == TUNNEL_OPENING && work_opening(tunnel, now_ms)) {
    }
    if (tunnel->state == TUNNEL_OPENING && now_ms >= tunnel->due_ms) {
        run_out(tunnel, now_ms);
    }
    while (tunnel->state == TUNNEL_OFFERED && work_offered(tunnel)) {
    }
    if (tunnel->state == TUNNEL_COPYING) {
        copy(tunnel);
    }
}

static struct pollfd
want(int fd, bool in, bool out)
{
    short events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));

    /* One of which nothing is wanted would wake us again and again once its other end is gone. */
    return (struct pollfd){ .fd = events == 0 ? -1 : fd, .events = events };
}

void
tunnel_poll(const struct tunnel *tunnel, struct pollfd fds_out[TUNNEL_FDS])
{
    fds_out[0] = (struct pollfd){ .fd = -1 };
    fds_out[1] = (struct pollfd){ .fd = -1 };
    switch (tunnel->state) {
    case TUNNEL_OPENING:
        fds_out[0] = tunnel->step == STEP_LOOK_UP ? want(tunnel->lookup, true, false)
                     : tunnel->step == STEP_REACH
                         ? want(tunnel->far, false, true)
                         : want(tunnel->far, true, tunnel->sent < tunnel->socks.to_send_size);
        break;
    case TUNNEL_OFFERED:
        fds_out[0] = want(tunnel->door, true, false);
        break;
    case TUNNEL_COPYING:
        fds_out[0] = want(tunnel->far, is_empty(&tunnel->in) && !tunnel->in.ended, !is_empty(&tunnel->out));
        fds_out[1] = want(tunnel->near, is_empty(&tunnel->out) && !tunnel->out.ended, !is_empty(&tunnel->in));
        break;
    default:
        break;
    }
}

uint64_t
tunnel_due_ms(const struct tunnel *tunnel)
{
    return tunnel->state == TUNNEL_OPENING ? tunnel->due_ms : UINT64_MAX;
}

enum tunnel_state
tunnel_state(const struct tunnel *tunnel)
{
    return tunnel->state;
}

enum link_reason
tunnel_reason(const struct tunnel *tunnel)
{
    return tunnel->reason;
}

uint64_t
tunnel_received(const struct tunnel *tunnel)
{
    return tunnel->received;
}
