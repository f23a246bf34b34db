#include "node/api.h"

#include "store/base/crypto.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

struct api_client {
    int fd;
    uint64_t no;
    struct buf in;   /* bytes of lines not served yet */
    size_t in_start; /* where the first of them begins */
    struct buf out;  /* answers not sent yet */
    size_t out_start;
    size_t taken; /* requests that were given out and not answered */
    bool ended;   /* it will send no more */
    bool broken;
};

struct api {
    int fd;
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
    struct api_client *clients[API_CLIENTS_MAX];
    size_t client_count;
    size_t next; /* whose turn it is */
    size_t served;
    uint64_t client_no;
};

static void
client_close(struct api_client *client)
{
    (void)close(client->fd);
    buf_wipe(&client->in);
    buf_wipe(&client->out);
    free(client);
}

/* True if something listens at the address already. */
static bool
somebody_listens(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* EAGAIN: it listens, and its queue is full. */
    bool listens =
        fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);

    if (fd >= 0) {
        (void)close(fd);
    }
    return listens;
}

enum err
api_open(struct api **api_out, const char *directory)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct api *api = calloc(1, sizeof *api);

    if (api == NULL) {
        return ERR_MEMORY;
    }
    api->fd = -1;
    enum err err = ERR_INVALID;
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/api", directory) >=
        (int)sizeof address.sun_path) {
        goto fail; /* longer than the kernel allows for a socket */
    }
    err = ERR_BUSY;
    if (somebody_listens(&address)) {
        goto fail;
    }
    err = ERR_IO;
    if (unlink(address.sun_path) != 0 && errno != ENOENT) {
        goto fail;
    }
    api->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (api->fd < 0) {
        goto fail;
    }
    mode_t before = umask(0177);
    int failed = bind(api->fd, (const struct sockaddr *)&address, sizeof address);
    (void)umask(before);
    if (failed != 0 || listen(api->fd, API_CLIENTS_MAX) != 0) {
        goto fail;
    }
    memcpy(api->path, address.sun_path, sizeof api->path);
    *api_out = api;
    return ERR_OK;

fail:
    api_close(&api);
    return err;
}

void
api_close(struct api **api_in)
{
    struct api *api = *api_in;

    if (api == NULL) {
        return;
    }
    for (size_t n = 0; n < api->client_count; n++) {
        client_close(api->clients[n]);
    }
    if (api->fd >= 0) {
        (void)close(api->fd);
    }
    if (api->path[0] != '\0') {
        (void)unlink(api->path);
    }
    free(api);
    *api_in = NULL;
}

static bool
has_room(const struct api_client *client)
{
    return client->out.size - client->out_start < API_QUEUE_BYTES_MAX / 2;
}

static bool
wants_reading(const struct api_client *client)
{
    return !client->ended && !client->broken && client->in.size - client->in_start <= API_LINE_BYTES_MAX &&
           has_room(client);
}

static struct api_client *
client_by_no(const struct api *api, uint64_t no)
{
    for (size_t n = 0; n < api->client_count; n++) {
        if (api->clients[n]->no == no && !api->clients[n]->broken) {
            return api->clients[n];
        }
    }
    return NULL;
}

bool
api_has_client(const struct api *api, uint64_t client_no)
{
    return client_by_no(api, client_no) != NULL;
}

bool
api_is_heard(const struct api *api, uint64_t client_no)
{
    const struct api_client *client = client_by_no(api, client_no);
    struct pollfd end = { .fd = client == NULL ? -1 : client->fd };

    /* One that only ended its requests still listens. */
    return client != NULL && (poll(&end, 1, 0) <= 0 || (end.revents & (POLLHUP | POLLERR)) == 0);
}

bool
api_has_room(const struct api *api, uint64_t client_no)
{
    const struct api_client *client = client_by_no(api, client_no);

    return client == NULL || has_room(client);
}

size_t
api_poll_fds(struct api *api, struct pollfd *fds, size_t room)
{
    size_t count = 0;

    if (room > 0 && api->client_count < API_CLIENTS_MAX) {
        fds[count] = (struct pollfd){ .fd = api->fd, .events = POLLIN };
        count++;
    }
    for (size_t n = 0; n < api->client_count && count < room; n++) {
        const struct api_client *client = api->clients[n];

        fds[count] = (struct pollfd){ .fd = client->fd };
        fds[count].events = (short)((wants_reading(client) ? POLLIN : 0) |
                                    (client->out.size > client->out_start ? POLLOUT : 0));
        count++;
    }
    return count;
}

static void
accept_clients(struct api *api)
{
    while (api->client_count < API_CLIENTS_MAX) {
        struct ucred peer;
        socklen_t size = sizeof peer;
        int fd = accept4(api->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            return;
        }
        struct api_client *client = NULL;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid()) {
            client = calloc(1, sizeof *client);
        }
        if (client == NULL) {
            (void)close(fd);
            continue;
        }
        api->client_no++;
        client->fd = fd;
        client->no = api->client_no;
        api->clients[api->client_count] = client;
        api->client_count++;
    }
}

static void
read_client(struct api_client *client)
{
    while (wants_reading(client)) {
        uint8_t *at = buf_extend(&client->in, READ_BYTES);

        if (at == NULL) {
            client->broken = true;
            return;
        }
        ssize_t got = recv(client->fd, at, READ_BYTES, 0);
        client->in.size -= READ_BYTES - (got > 0 ? (size_t)got : 0);
        if (got == 0) {
            client->ended = true;
        } else if (got < 0) {
            client->broken = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
            return;
        }
    }
}

/* The next whole line of a client; false: there is none. */
static bool
next_line(const struct api_client *client, struct span *line_out)
{
    const uint8_t *from = client->in.data + client->in_start;
    size_t size = client->in.size - client->in_start;
    const uint8_t *end = size == 0 ? NULL : memchr(from, '\n', size);

    if (end == NULL) {
        return false;
    }
    *line_out = span_of(from, (size_t)(end - from));
    return true;
}

/* Let clients go that have left and been served. */
static void
drop_clients(struct api *api)
{
    for (size_t n = 0; n < api->client_count;) {
        struct api_client *client = api->clients[n];
        struct span line;
        bool idle = client->taken == 0 && !next_line(client, &line) && client->out.size == client->out_start;

        /* What a client that left did not end with a newline is no request. */
        if (client->broken || (client->ended && idle)) {
            client_close(client);
            api->client_count--;
            memmove(&api->clients[n], &api->clients[n + 1], (api->client_count - n) * sizeof api->clients[0]);
        } else {
            n++;
        }
    }
}

void
api_gather(struct api *api)
{
    accept_clients(api);
    for (size_t n = 0; n < api->client_count; n++) {
        read_client(api->clients[n]);
    }
    api->served = 0;
}

/* Forget a line that was served, and make room when there is much of that. */
static void
pass_line(struct api_client *client, size_t size)
{
    client->in_start += size + 1;
    if (client->in_start == client->in.size) {
        client->in.size = 0;
        client->in_start = 0;
    } else if (client->in_start > API_LINE_BYTES_MAX) {
        client->in.size -= client->in_start;
        memmove(client->in.data, client->in.data + client->in_start, client->in.size);
        client->in_start = 0;
    }
}

bool
api_has_request(const struct api *api)
{
    struct span line;

    for (size_t n = 0; n < api->client_count; n++) {
        const struct api_client *client = api->clients[n];

        if (!client->broken && has_room(client) && next_line(client, &line)) {
            return true;
        }
    }
    return false;
}

json_t *
api_parse(struct span line, int64_t *id_out, const char **call_out, const char **why_out)
{
    json_error_t error;
    json_int_t id = 0;

    *id_out = 0;
    json_t *body = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, &error);
    if (body == NULL) {
        *why_out = "the line is not JSON";
        return NULL;
    }
    if (!json_is_object(body)) {
        *why_out = "the line is not a JSON object";
    } else if (json_unpack(body, "{s:I}", "id", &id) != 0) {
        *why_out = "the request has no integer \"id\"";
    } else {
        *id_out = id;
        if (json_unpack(body, "{s:s}", "do", call_out) == 0) {
            return body;
        }
        *why_out = "the request has no \"do\"";
    }
    json_decref(body);
    return NULL;
}

/* Queue `text` as a line. What was sent is forgotten once there is much of it. */
static void
queue_line(struct api_client *client, const char *text)
{
    if (client->out_start > API_LINE_BYTES_MAX) {
        client->out.size -= client->out_start;
        memmove(client->out.data, client->out.data + client->out_start, client->out.size);
        client->out_start = 0;
    }
    buf_put_text(&client->out, text);
    buf_put_u8(&client->out, '\n');
    if (client->out.failed || client->out.size - client->out_start > API_QUEUE_BYTES_MAX) {
        client->broken = true;
    }
}

/* Queue an object, which is stolen. False: it is longer than a line may be, and nothing was queued. */
static bool
queue(struct api_client *client, json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    size_t size = text == NULL ? 0 : strlen(text);

    if (text == NULL) {
        client->broken = true;
    } else if (size <= API_LINE_BYTES_MAX) {
        queue_line(client, text);
    }
    if (text != NULL) {
        crypto_wipe(text, size);
        free(text);
    }
    json_decref(object);
    return size <= API_LINE_BYTES_MAX;
}

static struct api_client *
answered(struct api *api, const struct api_request *request)
{
    struct api_client *client = client_by_no(api, request->client_no);

    if (client != NULL && client->taken > 0) {
        client->taken--;
    }
    return client;
}

static bool
queue_refusal(struct api_client *client, int64_t id, const char *code, const char *message, const char *hint)
{
    return queue(client, json_pack("{s:I,s:{s:s,s:s,s:s}}", "id", (json_int_t)id, "error", "code", code,
                                   "message", message, "hint", hint));
}

void
api_answer(struct api *api, const struct api_request *request, json_t *ok)
{
    struct api_client *client = answered(api, request);

    if (client == NULL) {
        json_decref(ok);
    } else if (!queue(client, json_pack("{s:I,s:o}", "id", (json_int_t)request->id, "ok", ok))) {
        (void)queue_refusal(client, request->id, err_code(ERR_FULL),
                            "the answer is longer than a line may be",
                            "ask for less at a time, with a limit");
    }
}

void
api_refuse(struct api *api, const struct api_request *request, const char *code, const char *message,
           const char *hint)
{
    struct api_client *client = answered(api, request);

    if (client != NULL) {
        (void)queue_refusal(client, request->id, code, message, hint);
    }
}

void
api_subscribed(struct api *api, const struct api_request *request)
{
    (void)answered(api, request);
}

bool
api_event(struct api *api, uint64_t client_no, int64_t id, json_t *event)
{
    struct api_client *client = client_by_no(api, client_no);

    if (client == NULL) {
        json_decref(event);
        return false;
    }
    (void)queue(client, json_pack("{s:I,s:o}", "id", (json_int_t)id, "event", event));
    return true;
}

/* A line that is longer than any may be: its client is told, and not listened to any more. */
static void
refuse_long_line(struct api_client *client)
{
    (void)queue_refusal(client, 0, "usage", "the line is longer than 1 MiB", "send smaller requests");
    client->in.size = 0;
    client->in_start = 0;
    client->ended = true;
}

bool
api_next(struct api *api, struct api_request *request_out)
{
    size_t idle = 0;

    while (api->served < API_TURN_REQUESTS_MAX && idle < api->client_count) {
        struct api_client *client = api->clients[api->next % api->client_count];
        struct span line = { NULL, 0 };
        const char *why = NULL;

        api->next++;
        idle++;
        if (client->broken || !has_room(client)) {
            continue;
        }
        bool whole = next_line(client, &line);
        if ((whole ? line.size : client->in.size - client->in_start) > API_LINE_BYTES_MAX) {
            refuse_long_line(client);
            continue;
        }
        if (!whole) {
            continue;
        }
        idle = 0;
        api->served++;
        client->taken++;
        *request_out = (struct api_request){ .client_no = client->no };
        request_out->body = api_parse(line, &request_out->id, &request_out->call, &why);
        pass_line(client, line.size);
        if (request_out->body != NULL) {
            return true;
        }
        api_refuse(api, request_out, "usage", why, "one JSON object a line: {\"id\":1,\"do\":\"status\"}");
    }
    return false;
}

void
api_flush(struct api *api)
{
    for (size_t n = 0; n < api->client_count; n++) {
        struct api_client *client = api->clients[n];

        while (!client->broken && client->out_start < client->out.size) {
            ssize_t sent = send(client->fd, client->out.data + client->out_start,
                                client->out.size - client->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);

            if (sent < 0) {
                client->broken = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
                break;
            }
            client->out_start += (size_t)sent;
        }
        if (client->out_start == client->out.size) {
            client->out.size = 0;
            client->out_start = 0;
        }
    }
    drop_clients(api);
}
