#include "node/scrape.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BACKLOG = 4, EVENTS_MAX = SCRAPE_CLIENTS_MAX + 1, REST_MS = 1000 };

enum client_state { CLIENT_FREE, CLIENT_READS, CLIENT_WAITS, CLIENT_WRITES };

struct client {
    enum client_state state;
    int fd;
    uint64_t until_ms;
    uint8_t in[SCRAPE_REQUEST_BYTES];
    size_t in_size;
    struct buf out;
    size_t out_at;
};

struct scrape {
    int listener;
    int epoll;
    bool asked; /* and not answered yet */
    bool rests; /* no file descriptor was left: nobody is accepted until: */
    uint64_t rests_until_ms;
    struct client clients[SCRAPE_CLIENTS_MAX];
};

/* --- addresses and requests ---------------------------------------------------- */

/* A port, to the end of the text. */
static bool
read_port(const char *text, uint16_t *port_out)
{
    char *end = NULL;
    unsigned long port = strtoul(text, &end, 10);

    *port_out = (uint16_t)port;
    return text[0] >= '1' && text[0] <= '9' && *end == '\0' && port <= UINT16_MAX;
}

bool
scrape_address(const char *text, struct sockaddr_storage *out, socklen_t *size_out)
{
    struct sockaddr_storage room = { 0 };
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    char host[64];
    uint16_t port = 0;
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[' && colon != NULL && colon[-1] == ']';
    size_t size = colon == NULL ? 0 : (size_t)(colon - text) - (bracketed ? 2 : 0);

    if (colon == NULL || size == 0 || size >= sizeof host || !read_port(colon + 1, &port)) {
        return false;
    }
    memcpy(host, text + (bracketed ? 1 : 0), size);
    host[size] = '\0';
    if (!bracketed && inet_pton(AF_INET, host, &v4.sin_addr) == 1 && ntohl(v4.sin_addr.s_addr) >> 24 == 127) {
        v4.sin_port = htons(port);
        memcpy(&room, &v4, sizeof v4);
        size = sizeof v4;
    } else if (bracketed && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 &&
               IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr)) {
        v6.sin6_port = htons(port);
        memcpy(&room, &v6, sizeof v6);
        size = sizeof v6;
    } else {
        return false;
    }
    if (out != NULL) {
        *out = room;
        *size_out = (socklen_t)size;
    }
    return true;
}

/* True if a Host header names loopback: "127.0.0.1:9464", "localhost", "[::1]:9464". */
static bool
is_loopback(struct span host)
{
    static const char *const names[] = { "127.0.0.1", "localhost", "[::1]" };

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        size_t size = strlen(names[n]);

        if (host.size >= size && strncasecmp((const char *)host.data, names[n], size) == 0 &&
            (host.size == size || host.data[size] == ':')) {
            return true;
        }
    }
    return host.size > 4 && memcmp(host.data, "127.", 4) == 0 &&
           strspn((const char *)host.data, "0123456789.:") >= host.size;
}

/* The line that begins at *at, without its end; *at moves behind it. False: there is no whole one. */
static bool
next_line(const char *text, size_t *at, struct span *line_out)
{
    const char *end = strchr(text + *at, '\n');

    if (end == NULL) {
        return false;
    }
    size_t size = (size_t)(end - (text + *at));
    *line_out = span_of(text + *at, size > 0 && end[-1] == '\r' ? size - 1 : size);
    *at += size + 1;
    return true;
}

/* The value of a header of this line. False: it is another one. */
static bool
header_value(struct span line, const char *name, struct span *value_out)
{
    size_t size = strlen(name);

    if (line.size <= size || line.data[size] != ':' ||
        strncasecmp((const char *)line.data, name, size) != 0) {
        return false;
    }
    size++;
    while (size < line.size && (line.data[size] == ' ' || line.data[size] == '\t')) {
        size++;
    }
    *value_out = span_of(line.data + size, line.size - size);
    return true;
}

static enum scrape_request
judge_first_line(struct span line)
{
    char text[SCRAPE_REQUEST_BYTES + 1];
    char method[16];
    char path[64];
    int used = 0;

    memcpy(text, line.data, line.size);
    text[line.size] = '\0';
    if (sscanf(text, "%15[A-Z] %63[^ ] HTTP/1.%*1[01]%n", method, path, &used) != 2 || used == 0 ||
        text[used] != '\0') {
        /* A path may be longer than any that is here. */
        return sscanf(text, "%15[A-Z] /%n", method, &used) == 1 && used > 0 && line.size > 64 ? SCRAPE_ABSENT
                                                                                              : SCRAPE_BAD;
    }
    return strcmp(method, "GET") != 0      ? SCRAPE_NOT_GET
           : strcmp(path, "/metrics") == 0 ? SCRAPE_GOOD
                                           : SCRAPE_ABSENT;
}

enum scrape_request
scrape_parse(struct span request)
{
    char text[SCRAPE_REQUEST_BYTES + 1];
    struct span line;
    struct span host;
    size_t at = 0;
    enum scrape_request verdict = SCRAPE_BAD;

    if (request.size > SCRAPE_REQUEST_BYTES ||
        (request.size > 0 && memchr(request.data, '\0', request.size) != NULL)) {
        return SCRAPE_BAD;
    }
    if (request.size > 0) {
        memcpy(text, request.data, request.size);
    }
    text[request.size] = '\0';
    for (size_t n = 0; next_line(text, &at, &line); n++) {
        if (n == 0) {
            verdict = judge_first_line(line);
        } else if (line.size == 0) {
            return verdict;
        } else if (header_value(line, "Host", &host) && !is_loopback(host)) {
            return SCRAPE_FOREIGN;
        }
    }
    return request.size == SCRAPE_REQUEST_BYTES ? SCRAPE_BAD : SCRAPE_MORE;
}

/* --- clients -------------------------------------------------------------------- */

static void
hang_up(struct scrape *scrape, struct client *client)
{
    (void)epoll_ctl(scrape->epoll, EPOLL_CTL_DEL, client->fd, NULL);
    (void)close(client->fd);
    buf_free(&client->out);
    *client = (struct client){ .state = CLIENT_FREE, .fd = -1 };
}

static bool
wait_for(struct scrape *scrape, struct client *client, uint32_t events, int how)
{
    struct epoll_event event = { .events = events, .data.ptr = client };

    return epoll_ctl(scrape->epoll, how, client->fd, &event) == 0;
}

/* What has no answer of its own is hung up on. */
static void
write_out(struct scrape *scrape, struct client *client)
{
    while (client->out_at < client->out.size) {
        ssize_t put = send(client->fd, client->out.data + client->out_at, client->out.size - client->out_at,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0 && errno == EAGAIN && wait_for(scrape, client, EPOLLOUT, EPOLL_CTL_MOD)) {
            return;
        }
        if (put <= 0) {
            break;
        }
        client->out_at += (size_t)put;
    }
    hang_up(scrape, client);
}

static void
answer(struct scrape *scrape, struct client *client, const char *status, const char *type, struct span body)
{
    buf_printf(&client->out,
               "HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
               type, body.size);
    buf_put_span(&client->out, body);
    client->state = CLIENT_WRITES;
    if (client->out.failed) {
        hang_up(scrape, client);
        return;
    }
    write_out(scrape, client);
}

static void
refuse(struct scrape *scrape, struct client *client, enum scrape_request why)
{
    static const char *const statuses[] = { [SCRAPE_BAD] = "400 Bad Request",
                                            [SCRAPE_FOREIGN] = "403 Forbidden",
                                            [SCRAPE_ABSENT] = "404 Not Found",
                                            [SCRAPE_NOT_GET] = "405 Method Not Allowed" };

    answer(scrape, client, statuses[why], "text/plain", span_text("only GET /metrics is answered here\n"));
}

static void
read_in(struct scrape *scrape, struct client *client)
{
    size_t room = sizeof client->in - client->in_size;
    ssize_t got = recv(client->fd, client->in + client->in_size, room, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        hang_up(scrape, client);
        return;
    }
    client->in_size += (size_t)got;
    enum scrape_request request = scrape_parse(span_of(client->in, client->in_size));
    if (request == SCRAPE_GOOD) {
        /* What else is sent is not read; that it went away is noticed when it is written to. */
        client->state = CLIENT_WAITS;
        (void)wait_for(scrape, client, 0, EPOLL_CTL_MOD);
    } else if (request != SCRAPE_MORE) {
        refuse(scrape, client, request);
    }
}

/* Whoever waits to be accepted would wake us again and again. */
static void
rest(struct scrape *scrape, bool rests)
{
    struct epoll_event event = { .events = rests ? 0 : EPOLLIN, .data.ptr = NULL };

    scrape->rests = rests;
    (void)epoll_ctl(scrape->epoll, EPOLL_CTL_MOD, scrape->listener, &event);
}

static void
accept_one(struct scrape *scrape, uint64_t now_ms)
{
    int fd = accept4(scrape->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
        rest(scrape, true);
        scrape->rests_until_ms = now_ms + REST_MS;
    }
    if (fd < 0) {
        return;
    }
    for (size_t n = 0; n < SCRAPE_CLIENTS_MAX; n++) {
        struct client *client = &scrape->clients[n];

        if (client->state == CLIENT_FREE) {
            *client = (struct client){ .state = CLIENT_READS, .fd = fd, .until_ms = now_ms + SCRAPE_MS_MAX };
            if (!wait_for(scrape, client, EPOLLIN, EPOLL_CTL_ADD)) {
                hang_up(scrape, client);
            }
            return;
        }
    }
    (void)close(fd);
}

/* --- the door --------------------------------------------------------------------- */

static enum err
listen_at(struct scrape *scrape, const char *address)
{
    struct sockaddr_storage place;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    socklen_t size = 0;
    int yes = 1;

    if (!scrape_address(address, &place, &size)) {
        return ERR_INVALID;
    }
    scrape->listener = socket(place.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    scrape->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (scrape->listener < 0 || scrape->epoll < 0 ||
        setsockopt(scrape->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) {
        return ERR_IO;
    }
    if (bind(scrape->listener, (struct sockaddr *)&place, size) != 0 ||
        listen(scrape->listener, BACKLOG) != 0) {
        return errno == EADDRINUSE ? ERR_BUSY : ERR_IO;
    }
    return epoll_ctl(scrape->epoll, EPOLL_CTL_ADD, scrape->listener, &event) == 0 ? ERR_OK : ERR_IO;
}

enum err
scrape_open(struct scrape **scrape_out, const char *address)
{
    struct scrape *scrape = calloc(1, sizeof *scrape);

    if (scrape == NULL) {
        return ERR_MEMORY;
    }
    scrape->listener = -1;
    scrape->epoll = -1;
    enum err err = listen_at(scrape, address);
    if (err != ERR_OK) {
        scrape_close(&scrape);
        return err;
    }
    *scrape_out = scrape;
    return ERR_OK;
}

void
scrape_close(struct scrape **scrape_in)
{
    struct scrape *scrape = *scrape_in;

    if (scrape == NULL) {
        return;
    }
    for (size_t n = 0; n < SCRAPE_CLIENTS_MAX; n++) {
        if (scrape->clients[n].state != CLIENT_FREE) {
            hang_up(scrape, &scrape->clients[n]);
        }
    }
    if (scrape->listener >= 0) {
        (void)close(scrape->listener);
    }
    if (scrape->epoll >= 0) {
        (void)close(scrape->epoll);
    }
    free(scrape);
    *scrape_in = NULL;
}

int
scrape_fd(const struct scrape *scrape)
{
    return scrape->epoll;
}

/* What is late is hung up on. True: somebody waits for metrics. */
static bool
sweep(struct scrape *scrape, uint64_t now_ms)
{
    bool waits = false;

    for (size_t n = 0; n < SCRAPE_CLIENTS_MAX; n++) {
        struct client *client = &scrape->clients[n];

        if (client->state != CLIENT_FREE && now_ms >= client->until_ms) {
            hang_up(scrape, client);
        }
        waits = waits || client->state == CLIENT_WAITS;
    }
    return waits;
}

bool
scrape_work(struct scrape *scrape, uint64_t now_ms)
{
    struct epoll_event events[EVENTS_MAX];

    if (scrape->rests && now_ms >= scrape->rests_until_ms) {
        rest(scrape, false);
    }
    int count = epoll_wait(scrape->epoll, events, EVENTS_MAX, 0);

    for (int n = 0; n < count; n++) {
        struct client *client = events[n].data.ptr;

        if (client == NULL) {
            accept_one(scrape, now_ms);
        } else if (client->state == CLIENT_READS) {
            read_in(scrape, client);
        } else if (client->state == CLIENT_WRITES) {
            write_out(scrape, client);
        } else if (client->state == CLIENT_WAITS) {
            hang_up(scrape, client); /* nothing is asked about it but whether it broke */
        }
    }
    bool ask = sweep(scrape, now_ms) && !scrape->asked;
    scrape->asked = scrape->asked || ask;
    return ask;
}

void
scrape_answer(struct scrape *scrape, struct span text, uint64_t now_ms)
{
    scrape->asked = false;
    for (size_t n = 0; n < SCRAPE_CLIENTS_MAX; n++) {
        struct client *client = &scrape->clients[n];

        if (client->state == CLIENT_WAITS) {
            client->until_ms = now_ms + SCRAPE_MS_MAX;
            answer(scrape, client, text.size == 0 ? "503 Service Unavailable" : "200 OK",
                   "text/plain; version=0.0.4; charset=utf-8", text);
        }
    }
}

uint32_t
scrape_wait_ms(const struct scrape *scrape, uint64_t now_ms)
{
    uint64_t rest_ms = scrape->rests_until_ms > now_ms ? scrape->rests_until_ms - now_ms : 0;
    uint32_t wait = scrape->rests ? (uint32_t)rest_ms : UINT32_MAX;

    for (size_t n = 0; n < SCRAPE_CLIENTS_MAX; n++) {
        const struct client *client = &scrape->clients[n];

        if (client->state != CLIENT_FREE) {
            uint64_t left = client->until_ms > now_ms ? client->until_ms - now_ms : 0;

            wait = left < wait ? (uint32_t)left : wait;
        }
    }
    return wait;
}
