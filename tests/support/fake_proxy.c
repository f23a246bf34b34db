#include "tests/support/fake_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    VERSION = 5,
    CONNECT = 1,
    KIND_V4 = 1,
    KIND_NAME = 3,
    KIND_V6 = 4,
    GREETING_MIN = 3,
    QUESTION_MIN = 5
};

static struct sockaddr_in
loopback(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
}

bool
fake_proxy_open(struct fake_proxy *proxy_out, uint16_t port, uint16_t target)
{
    struct sockaddr_in address = loopback(port);
    socklen_t size = sizeof address;
    const int yes = 1;

    memset(proxy_out, 0, sizeof *proxy_out);
    proxy_out->target = target;
    for (int n = 0; n < FAKE_PROXY_CONNECTIONS_MAX; n++) {
        proxy_out->connections[n].near = -1;
        proxy_out->connections[n].far = -1;
    }
    proxy_out->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(proxy_out->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(proxy_out->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(proxy_out->listener, FAKE_PROXY_CONNECTIONS_MAX) != 0 ||
        getsockname(proxy_out->listener, (struct sockaddr *)&address, &size) != 0) {
        (void)close(proxy_out->listener);
        proxy_out->listener = -1;
        return false;
    }
    proxy_out->port = ntohs(address.sin_port);
    return true;
}

static void
end(struct fake_proxy_connection *connection)
{
    if (connection->near >= 0) {
        (void)close(connection->near);
    }
    if (connection->far >= 0) {
        (void)close(connection->far);
    }
    connection->near = -1;
    connection->far = -1;
}

void
fake_proxy_cut(struct fake_proxy *proxy)
{
    for (int n = 0; n < FAKE_PROXY_CONNECTIONS_MAX; n++) {
        end(&proxy->connections[n]);
    }
}

void
fake_proxy_close(struct fake_proxy *proxy)
{
    fake_proxy_cut(proxy);
    if (proxy->listener >= 0) {
        (void)close(proxy->listener);
    }
    proxy->listener = -1;
}

static void
answer(struct fake_proxy_connection *connection, const void *bytes, size_t size)
{
    (void)send(connection->near, bytes, size, MSG_NOSIGNAL);
}

/* Note whom the question is for. True: it is whole. */
static bool
read_question(struct fake_proxy *proxy, const uint8_t *question, size_t size)
{
    size_t address = 0;

    if (size < QUESTION_MIN || question[0] != VERSION || question[1] != CONNECT) {
        return false;
    }
    const uint8_t *at = question + 4;
    switch (question[3]) {
    case KIND_V4:
        address = 4;
        break;
    case KIND_V6:
        address = 16;
        break;
    case KIND_NAME:
        address = *at;
        at++;
        break;
    default:
        return false;
    }
    if (size < (size_t)(at - question) + address + 2) {
        return false;
    }
    proxy->kind = question[3];
    memset(proxy->host, 0, sizeof proxy->host);
    if (proxy->kind == KIND_NAME) {
        memcpy(proxy->host, at, address);
    } else {
        (void)inet_ntop(proxy->kind == KIND_V4 ? AF_INET : AF_INET6, at, proxy->host, sizeof proxy->host);
    }
    proxy->host_port = (uint16_t)(at[address] << 8 | at[address + 1]);
    proxy->asked++;
    return true;
}

/* Answer what was asked. */
static void
grant(struct fake_proxy *proxy, struct fake_proxy_connection *connection)
{
    struct sockaddr_in target = loopback(proxy->target);
    uint8_t reply[10 + 64] = { VERSION, proxy->reply, 0, KIND_V4 };
    size_t ahead = proxy->ahead == NULL ? 0 : strlen(proxy->ahead);

    if (proxy->on_asked != NULL) {
        proxy->on_asked(proxy, proxy->self);
    }
    if (proxy->reply == 0) {
        connection->far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(connection->far, (struct sockaddr *)&target, sizeof target) != 0) {
            reply[1] = KIND_V6 + 1; /* refused, which is 5 */
        }
    }
    if (reply[1] == 0 && ahead <= sizeof reply - 10) {
        memcpy(reply + 10, proxy->ahead == NULL ? "" : proxy->ahead, ahead);
        answer(connection, reply, 10 + ahead);
    } else {
        answer(connection, reply, 10);
        end(connection);
    }
}

/* Take more of greeting and question. */
static void
listen_to(struct fake_proxy *proxy, struct fake_proxy_connection *connection)
{
    const uint8_t method[] = { VERSION, proxy->method };

    ssize_t got = recv(connection->near, connection->head + connection->head_size,
                       sizeof connection->head - connection->head_size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0 || proxy->hangs_up) {
        end(connection);
        return;
    }
    connection->head_size += (size_t)got;
    if (proxy->silent) {
        return;
    }
    if (!connection->greeted && connection->head_size >= GREETING_MIN) {
        connection->greeted = true;
        answer(connection, proxy->garbage != NULL ? (const void *)proxy->garbage : method,
               proxy->garbage != NULL ? strlen(proxy->garbage) : sizeof method);
    }
    if (connection->greeted &&
        read_question(proxy, connection->head + GREETING_MIN, connection->head_size - GREETING_MIN)) {
        grant(proxy, connection);
    }
}

static bool
move(const struct fake_proxy *proxy, struct fake_proxy_lane *lane, int from, int to, bool there)
{
    if (lane->at == lane->used) {
        ssize_t got = recv(from, lane->bytes, sizeof lane->bytes, MSG_DONTWAIT);

        lane->at = 0;
        lane->used = got > 0 ? (size_t)got : 0;
        lane->ended = got == 0 || (got < 0 && errno != EAGAIN);
    }
    if (lane->at < lane->used) {
        ssize_t put = send(to, lane->bytes + lane->at, lane->used - lane->at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (put > 0 && proxy->on_passed != NULL) {
            proxy->on_passed(lane->bytes + lane->at, (size_t)put, there, proxy->self);
        }
        lane->at += put > 0 ? (size_t)put : 0;
        lane->ended = put < 0 && errno != EAGAIN;
    }
    return !lane->ended;
}

static void
take_call(struct fake_proxy *proxy)
{
    for (int n = 0; n < FAKE_PROXY_CONNECTIONS_MAX; n++) {
        if (proxy->connections[n].near < 0) {
            int fd = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);

            if (fd >= 0) {
                memset(&proxy->connections[n], 0, sizeof proxy->connections[n]);
                proxy->connections[n].near = fd;
                proxy->connections[n].far = -1;
                proxy->accepted++;
            }
            return;
        }
    }
}

void
fake_proxy_turn(struct fake_proxy *proxy, int timeout_ms)
{
    struct pollfd items[1 + 2 * FAKE_PROXY_CONNECTIONS_MAX];
    nfds_t count = 0;

    items[count++] = (struct pollfd){ .fd = proxy->listener, .events = POLLIN };
    for (int n = 0; n < FAKE_PROXY_CONNECTIONS_MAX; n++) {
        const struct fake_proxy_connection *connection = &proxy->connections[n];
        bool there = connection->there.at < connection->there.used;
        bool back = connection->back.at < connection->back.used;

        items[count++] = (struct pollfd){ .fd = connection->near,
                                          .events = (short)((there ? 0 : POLLIN) | (back ? POLLOUT : 0)) };
        items[count++] = (struct pollfd){ .fd = connection->far,
                                          .events = (short)((back ? 0 : POLLIN) | (there ? POLLOUT : 0)) };
    }
    (void)poll(items, count, timeout_ms);
    take_call(proxy);
    for (int n = 0; n < FAKE_PROXY_CONNECTIONS_MAX; n++) {
        struct fake_proxy_connection *connection = &proxy->connections[n];

        if (connection->near < 0) {
            continue;
        }
        if (connection->far < 0) {
            listen_to(proxy, connection);
        } else if (!move(proxy, &connection->there, connection->near, connection->far, true) ||
                   !move(proxy, &connection->back, connection->far, connection->near, false)) {
            end(connection);
        }
    }
}
