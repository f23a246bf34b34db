#include "node/client.h"

#include "store/base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Answers kept while requests are being sent; more, and we wait for the caller to read them. */
enum { KEPT_BYTES_MAX = 16 << 20, READ_BYTES = 64 << 10 };

struct client {
    int fd;
    int64_t next_id;
    bool failed;      /* the connection ended, or its lines make no sense */
    struct buf in;    /* received, from `in_at` on not yet given out */
    size_t in_at;     /* where the next line begins */
    size_t in_looked; /* up to here there is no newline */
};

/* Cut `text` so that no character of it is left half. */
static void
cut_clean(char *text, size_t size)
{
    size_t length = strnlen(text, size - 1);

    text[length] = '\0';
    if (length < size - 1) {
        return;
    }
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) {
        start--;
    }
    if (start < length) {
        text[start] = '\0';
    }
}

static void
copy_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text == NULL ? "" : text);
    cut_clean(out, size);
}

void
client_fault_set(struct client_fault *fault, const char *code, const char *hint, const char *message, ...)
{
    va_list args;

    copy_text(fault->code, sizeof fault->code, code);
    copy_text(fault->hint, sizeof fault->hint, hint);
    va_start(args, message);
    (void)vsnprintf(fault->message, sizeof fault->message, message, args);
    va_end(args);
    cut_clean(fault->message, sizeof fault->message);
}

enum err
client_err(const char *code)
{
    for (int err = ERR_OK + 1; err < ERR_COUNT; err++) {
        if (strcmp(code, err_code((enum err)err)) == 0) {
            return (enum err)err;
        }
    }
    return ERR_INVALID;
}

const char *
client_state_dir(const char *option)
{
    if (option != NULL) {
        return option;
    }
    const char *env = getenv("VIGIL_NODE");
    return env != NULL && env[0] != '\0' ? env : CLIENT_STATE_DIR;
}

static enum err
no_memory(struct client_fault *fault)
{
    client_fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
    return ERR_MEMORY;
}

static enum err
refuse_open(const char *dir, int error, struct client_fault *fault)
{
    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
        client_fault_set(fault, CLIENT_STOPPED, "start it with vigild run DIR", "no node is running in %s",
                         dir);
        return ERR_ABSENT;
    case EACCES:
    case EPERM:
        client_fault_set(fault, err_code(ERR_DENIED), "run this as the user that the node runs as",
                         "%s belongs to another user", dir);
        return ERR_DENIED;
    default:
        client_fault_set(fault, err_code(ERR_IO), "see that the node runs, and try again",
                         "the node in %s cannot be reached: %s", dir, strerror(error));
        return ERR_IO;
    }
}

/* Through a descriptor of the directory, since a socket's path may hold 107 bytes only. */
static int
connect_in(int fd, int dir_fd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/api", dir_fd);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        return errno;
    }
    return 0;
}

/* True if the process at the other end is ours: what it is told may be anybody's name. */
static bool
listener_is_ours(int fd)
{
    struct ucred peer = { 0 };
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

enum err
client_open(struct client **client_out, const char *dir, struct client_fault *fault_out)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        return no_memory(fault_out);
    }
    client->fd = -1;
    client->next_id = 1;
    enum err err = ERR_OK;
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        int error = errno;
        if (error == ENOENT || error == ENOTDIR) {
            client_fault_set(fault_out, CLIENT_STOPPED,
                             "name the node's directory with --node DIR or VIGIL_NODE, or make one with "
                             "vigild init DIR",
                             "%s is no directory of a node", dir);
            err = ERR_ABSENT;
        } else {
            err = refuse_open(dir, error, fault_out);
        }
        goto fail;
    }
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = client->fd < 0 ? errno : connect_in(client->fd, dir_fd);
    if (error == 0 && fcntl(client->fd, F_SETFL, O_NONBLOCK) != 0) {
        error = errno;
    }
    if (error != 0) {
        err = refuse_open(dir, error, fault_out);
        goto fail;
    }
    if (!listener_is_ours(client->fd)) {
        err = refuse_open(dir, EPERM, fault_out);
        goto fail;
    }
    (void)close(dir_fd);
    *client_out = client;
    return ERR_OK;

fail:
    if (dir_fd >= 0) {
        (void)close(dir_fd);
    }
    client_close(&client);
    return err;
}

void
client_close(struct client **client)
{
    if (*client == NULL) {
        return;
    }
    if ((*client)->fd >= 0) {
        (void)close((*client)->fd);
    }
    buf_free(&(*client)->in);
    free(*client);
    *client = NULL;
}

static int64_t
now_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        abort();
    }
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum err
went_away(struct client *client, struct client_fault *fault)
{
    client->failed = true;
    client_fault_set(fault, err_code(ERR_IO), "start the node again, and look whether the change is there",
                     "the node went away before it answered");
    return ERR_IO;
}

static enum err
no_answer(struct client *client, struct client_fault *fault)
{
    client->failed = true;
    client_fault_set(fault, err_code(ERR_INVALID), "use a vigil and a vigild of the same version",
                     "the node sent something that is no answer");
    return ERR_INVALID;
}

/* Take in what has arrived, without waiting. */
static enum err
take_in(struct client *client, struct client_fault *fault)
{
    uint8_t part[READ_BYTES];
    ssize_t size = read(client->fd, part, sizeof part);

    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        return went_away(client, fault);
    }
    if (size < 0) {
        return ERR_OK;
    }
    if (client->in_at > 0 && client->in_at >= client->in.size / 2) {
        /* The front has been given out: move the rest there. */
        memmove(client->in.data, client->in.data + client->in_at, client->in.size - client->in_at);
        client->in.size -= client->in_at;
        client->in_looked -= client->in_at;
        client->in_at = 0;
    }
    buf_put(&client->in, part, (size_t)size);
    if (client->in.failed) {
        client->failed = true;
        return no_memory(fault);
    }
    return ERR_OK;
}

/* Wait until one of `events` is possible. ERR_BUSY: not until `until` (-1: for ever). */
static enum err
wait_for(struct client *client, short events, int64_t until, short *ready_out, struct client_fault *fault)
{
    struct pollfd poller = { .fd = client->fd, .events = events };

    for (;;) {
        int64_t left = until < 0 ? -1 : until - now_ms();
        int count = poll(&poller, 1, left > 0 ? (int)left : (until < 0 ? -1 : 0));
        if (count > 0) {
            *ready_out = poller.revents;
            return ERR_OK;
        }
        if (count < 0 && errno != EINTR) {
            return went_away(client, fault);
        }
        if (count == 0 && until >= 0 && now_ms() >= until) {
            client_fault_set(fault, err_code(ERR_BUSY), "try again, or wait longer with --timeout SECONDS",
                             "the node did not answer in time");
            return ERR_BUSY;
        }
    }
}

static enum err
send_line(struct client *client, const char *line, size_t size, int64_t until, struct client_fault *fault)
{
    size_t sent = 0;

    while (sent < size) {
        ssize_t count = send(client->fd, line + sent, size - sent, MSG_NOSIGNAL);
        if (count > 0) {
            sent += (size_t)count;
            continue;
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            return went_away(client, fault);
        }
        /* The node may be waiting for us to read before it takes in more. */
        bool room = client->in.size - client->in_at < KEPT_BYTES_MAX;
        short ready = 0;
        enum err err = wait_for(client, room ? POLLOUT | POLLIN : POLLOUT, until, &ready, fault);
        if (err == ERR_OK && (ready & POLLIN) != 0) {
            err = take_in(client, fault);
        }
        if (err != ERR_OK) {
            client->failed = true; /* half a line was sent */
            return err;
        }
    }
    return ERR_OK;
}

enum err
client_send(struct client *client, json_t *request, int wait_ms, int64_t *id_out,
            struct client_fault *fault_out)
{
    int64_t until = wait_ms < 0 ? -1 : now_ms() + wait_ms;

    assert(json_is_object(request));
    if (client->failed) {
        json_decref(request);
        return went_away(client, fault_out);
    }
    char *line = NULL;
    if (json_object_set_new(request, "id", json_integer(client->next_id)) == 0) {
        line = json_dumps(request, JSON_COMPACT);
    }
    json_decref(request);
    if (line == NULL) {
        return no_memory(fault_out);
    }
    size_t size = strlen(line);
    enum err err = ERR_FULL;
    if (size > CLIENT_LINE_BYTES_MAX) {
        client_fault_set(fault_out, err_code(ERR_FULL), "give less at once",
                         "one request may hold %d bytes, and this has %zu", CLIENT_LINE_BYTES_MAX, size);
    } else {
        line[size] = '\n'; /* in place of the NUL: the length is known */
        err = send_line(client, line, size + 1, until, fault_out);
    }
    free(line);
    if (err == ERR_OK) {
        *id_out = client->next_id++;
    }
    return err;
}

/* What the line says. False: it is no answer. */
static bool
read_line(const char *line, size_t size, struct client_answer *answer)
{
    json_t *root = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    json_t *id = json_object_get(root, "id");
    json_t *ok = json_object_get(root, "ok");
    json_t *event = json_object_get(root, "event");
    json_t *error = json_object_get(root, "error");
    bool good = json_is_integer(id) &&
                json_is_object(ok) + json_is_object(event) + json_is_object(error) == 1 &&
                (ok != NULL) + (event != NULL) + (error != NULL) == 1;

    if (good && error != NULL) {
        const char *code = json_string_value(json_object_get(error, "code"));
        const char *message = json_string_value(json_object_get(error, "message"));
        const char *hint = json_string_value(json_object_get(error, "hint"));
        good = code != NULL && code[0] != '\0' && message != NULL;
        if (good) {
            client_fault_set(&answer->fault, code, hint, "%s", message);
        }
    }
    if (good) {
        answer->id = json_integer_value(id);
        answer->ok = json_incref(ok);
        answer->event = json_incref(event);
    }
    json_decref(root);
    return good;
}

enum err
client_receive(struct client *client, int wait_ms, struct client_answer *answer_out,
               struct client_fault *fault_out)
{
    int64_t until = wait_ms < 0 ? -1 : now_ms() + wait_ms;

    memset(answer_out, 0, sizeof *answer_out);
    for (;;) {
        uint8_t *from = client->in.data == NULL ? NULL : client->in.data + client->in_looked;
        uint8_t *end = from == NULL ? NULL : memchr(from, '\n', client->in.size - client->in_looked);
        size_t size = (end == NULL ? client->in.size : (size_t)(end - client->in.data)) - client->in_at;
        if (size > CLIENT_LINE_BYTES_MAX) {
            return no_answer(client, fault_out);
        }
        if (end != NULL) {
            const char *line = (const char *)client->in.data + client->in_at;
            client->in_at += size + 1;
            client->in_looked = client->in_at;
            return read_line(line, size, answer_out) ? ERR_OK : no_answer(client, fault_out);
        }
        client->in_looked = client->in.size;
        if (client->failed) {
            return went_away(client, fault_out);
        }
        short ready = 0;
        enum err err = wait_for(client, POLLIN, until, &ready, fault_out);
        if (err == ERR_OK) {
            err = take_in(client, fault_out);
        }
        if (err != ERR_OK) {
            return err;
        }
    }
}

void
client_answer_free(struct client_answer *answer)
{
    json_decref(answer->ok);
    json_decref(answer->event);
    memset(answer, 0, sizeof *answer);
}

enum err
client_call(struct client *client, json_t *request, int wait_ms, json_t **ok_out,
            struct client_fault *fault_out)
{
    struct client_answer answer = { 0 };
    int64_t id = 0;

    enum err err = client_send(client, request, wait_ms, &id, fault_out);
    if (err != ERR_OK) {
        return err;
    }
    int64_t until = wait_ms < 0 ? -1 : now_ms() + wait_ms;
    for (;;) {
        int64_t left = until < 0 ? -1 : until - now_ms();
        err = client_receive(client, until >= 0 && left < 0 ? 0 : (int)left, &answer, fault_out);
        if (err != ERR_OK) {
            return err;
        }
        if (answer.id == id && answer.event == NULL) {
            break;
        }
        /* Of an earlier request, whose asker no longer waits. */
        client_answer_free(&answer);
    }
    if (answer.ok == NULL) {
        *fault_out = answer.fault;
        return client_err(answer.fault.code);
    }
    *ok_out = answer.ok;
    return ERR_OK;
}
