#include "tests/support/check.h"

#include "node/api.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PASSES_MAX = 4096, MANY = 100 };

static char directory[64];
static struct api *api;
static int client;

static int
connect_client(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/api", directory);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void
setup(void)
{
    strcpy(directory, "/tmp/vigil-api-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(api_open(&api, directory), ERR_OK);
    client = connect_client();
}

static void
teardown(void)
{
    (void)close(client);
    api_close(&api);
    ck_assert_int_eq(rmdir(directory), 0); /* the socket is gone too */
}

static void
say(int fd, const char *text)
{
    ck_assert_int_eq((int)send(fd, text, strlen(text), MSG_NOSIGNAL), (int)strlen(text));
}

/* Gather until a request is there. */
static bool
next(struct api_request *request)
{
    for (int n = 0; n < PASSES_MAX; n++) {
        api_gather(api);
        if (api_next(api, request)) {
            return true;
        }
        api_flush(api);
    }
    return false;
}

/* Flush until the client has a whole line, or the end. */
static json_t *
hear(int fd, bool *ended)
{
    struct buf line = { 0 };
    json_t *json = NULL;

    *ended = false;
    for (int n = 0; n < 64 * PASSES_MAX && json == NULL && !*ended; n++) {
        char byte;
        ssize_t got = recv(fd, &byte, 1, 0);

        if (got == 0) {
            *ended = true;
        } else if (got < 0) {
            struct api_request request;

            api_gather(api);
            ck_assert(!api_next(api, &request));
            api_flush(api);
        } else if (byte == '\n') {
            json = json_loadb((const char *)line.data, line.size, 0, NULL);
            ck_assert_ptr_nonnull(json);
        } else {
            buf_put(&line, &byte, 1);
        }
    }
    buf_free(&line);
    return json;
}

static void
hears(int fd, const char *expected)
{
    bool ended;
    json_t *heard = hear(fd, &ended);
    json_t *wanted = json_loads(expected, 0, NULL);

    ck_assert_ptr_nonnull(heard);
    ck_assert_msg(json_equal(heard, wanted), "heard %s", json_dumps(heard, JSON_COMPACT));
    json_decref(heard);
    json_decref(wanted);
}

/* A refusal with this code. */
static void
hears_refusal(int fd, int64_t id, const char *code)
{
    bool ended;
    json_t *heard = hear(fd, &ended);
    const json_t *error = json_object_get(heard, "error");

    ck_assert_ptr_nonnull(error);
    ck_assert_int_eq(json_integer_value(json_object_get(heard, "id")), id);
    ck_assert_str_eq(json_string_value(json_object_get(error, "code")), code);
    ck_assert_int_gt((int)strlen(json_string_value(json_object_get(error, "message"))), 0);
    json_decref(heard);
}

static size_t
open_clients(void)
{
    struct pollfd fds[API_CLIENTS_MAX + 1];

    return api_poll_fds(api, fds, API_CLIENTS_MAX + 1) - 1;
}

static void
pass(void)
{
    struct api_request request;

    for (int n = 0; n < 8; n++) {
        api_gather(api);
        ck_assert(!api_next(api, &request));
        api_flush(api);
    }
}

START_TEST(a_request_comes_in_and_its_answer_goes_out)
{
    struct api_request request;

    say(client, "{\"id\":7,\"do\":\"sta");
    pass();
    say(client, "tus\"}\n");
    ck_assert(next(&request));
    ck_assert_int_eq(request.id, 7);
    ck_assert_str_eq(request.call, "status");
    api_answer(api, &request, json_pack("{s:i}", "n", 1));
    json_decref(request.body);
    hears(client, "{\"id\":7,\"ok\":{\"n\":1}}");
}
END_TEST

START_TEST(answers_come_in_the_order_of_requests)
{
    struct api_request requests[MANY];
    char line[64];

    for (int n = 0; n < MANY; n++) {
        (void)snprintf(line, sizeof line, "{\"id\":%d,\"do\":\"x\"}\n", n);
        say(client, line);
    }
    for (int n = 0; n < MANY; n++) {
        ck_assert(next(&requests[n]));
    }
    for (int n = 0; n < MANY; n++) {
        api_answer(api, &requests[n], json_object());
        json_decref(requests[n].body);
    }
    for (int n = 0; n < MANY; n++) {
        (void)snprintf(line, sizeof line, "{\"id\":%d,\"ok\":{}}", n);
        hears(client, line);
    }
}
END_TEST

START_TEST(what_is_no_request_is_answered_with_usage_and_the_connection_stays)
{
    static const char *const lines[] = { "nonsense\n",
                                         "[1]\n",
                                         "\n",
                                         "{\"do\":\"status\"}\n",
                                         "{\"id\":\"1\",\"do\":\"status\"}\n",
                                         "{\"id\":1,\"id\":1,\"do\":\"status\"}\n",
                                         "{\"id\":1,\"do\":\"\\u0000\"}\n",
                                         "{\"id\":1,\"do\":\"x\"} {}\n" };
    struct api_request request;

    for (size_t n = 0; n < sizeof lines / sizeof lines[0]; n++) {
        say(client, lines[n]);
        hears_refusal(client, 0, "usage");
    }
    say(client, "{\"id\":5}\n");
    hears_refusal(client, 5, "usage");
    say(client, "{\"id\":6,\"do\":\"status\"}\n");
    ck_assert(next(&request));
    json_decref(request.body);
}
END_TEST

START_TEST(a_line_longer_than_a_mebibyte_is_refused_and_its_client_let_go)
{
    char *block = malloc(65536);
    size_t sent = 0;
    bool ended = false;

    memset(block, 'x', 65536);
    while (sent <= API_LINE_BYTES_MAX) {
        ssize_t now = send(client, block, 65536, MSG_NOSIGNAL);

        if (now > 0) {
            sent += (size_t)now;
        } else {
            api_gather(api);
        }
    }
    free(block);
    hears_refusal(client, 0, "usage");
    ck_assert_ptr_null(hear(client, &ended));
    ck_assert(ended);
    ck_assert_uint_eq(open_clients(), 0);
}
END_TEST

START_TEST(a_client_that_leaves_within_a_line_is_forgotten)
{
    say(client, "{\"id\":1,");
    pass();
    ck_assert_uint_eq(open_clients(), 1);
    (void)close(client);
    client = -1;
    pass();
    ck_assert_uint_eq(open_clients(), 0);
}
END_TEST

START_TEST(a_client_that_said_its_last_word_still_gets_its_answer)
{
    struct api_request request;
    bool ended = false;

    say(client, "{\"id\":1,\"do\":\"x\"}\n");
    (void)shutdown(client, SHUT_WR);
    ck_assert(next(&request));
    pass();
    api_answer(api, &request, json_object());
    json_decref(request.body);
    hears(client, "{\"id\":1,\"ok\":{}}");
    ck_assert_ptr_null(hear(client, &ended));
    ck_assert(ended);
}
END_TEST

START_TEST(an_answer_for_a_client_that_left_is_dropped)
{
    struct api_request request;

    say(client, "{\"id\":1,\"do\":\"x\"}\n");
    ck_assert(next(&request));
    (void)close(client);
    client = connect_client();
    for (int n = 0; n < 8; n++) {
        api_gather(api);
        (void)api_event(api, request.client_no, 1, json_object());
        api_flush(api);
    }
    ck_assert(!api_has_client(api, request.client_no));
    api_answer(api, &request, json_object());
    ck_assert(!api_event(api, request.client_no, 1, json_object()));
    json_decref(request.body);
    pass();
    ck_assert_uint_eq(open_clients(), 1);
}
END_TEST

START_TEST(clients_take_turns)
{
    struct api_request request;
    int other = connect_client();
    uint64_t first = 0;

    for (int n = 0; n < MANY; n++) {
        say(client, "{\"id\":1,\"do\":\"x\"}\n");
    }
    say(other, "{\"id\":2,\"do\":\"x\"}\n");
    for (int n = 0; n < 3; n++) {
        ck_assert(next(&request));
        first += request.id == 2;
        json_decref(request.body);
    }
    ck_assert_uint_eq(first, 1);
    (void)close(other);
}
END_TEST

START_TEST(an_answer_longer_than_a_line_becomes_a_refusal)
{
    struct api_request request;
    char *text = malloc(API_LINE_BYTES_MAX + 1);

    memset(text, 'x', API_LINE_BYTES_MAX);
    text[API_LINE_BYTES_MAX] = '\0';
    say(client, "{\"id\":3,\"do\":\"x\"}\n");
    ck_assert(next(&request));
    api_answer(api, &request, json_pack("{s:s}", "text", text));
    json_decref(request.body);
    free(text);
    hears_refusal(client, 3, "full");
}
END_TEST

START_TEST(a_client_that_does_not_read_is_not_read_from)
{
    struct api_request request;
    char *text = malloc(API_LINE_BYTES_MAX / 2);

    memset(text, 'x', API_LINE_BYTES_MAX / 2);
    text[API_LINE_BYTES_MAX / 2 - 1] = '\0';
    say(client, "{\"id\":1,\"do\":\"x\"}\n");
    ck_assert(next(&request));
    json_decref(request.body);
    while (api_has_room(api, request.client_no)) {
        ck_assert(api_event(api, request.client_no, 1, json_pack("{s:s}", "text", text)));
    }
    free(text);
    say(client, "{\"id\":2,\"do\":\"x\"}\n");
    api_gather(api);
    ck_assert(!api_has_request(api));
    ck_assert(api_has_client(api, request.client_no));
}
END_TEST

START_TEST(one_daemon_listens_and_what_a_dead_one_left_is_replaced)
{
    struct api *second = NULL;
    struct stat info;
    char path[96];

    (void)snprintf(path, sizeof path, "%s/api", directory);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    ck_assert_int_eq(api_open(&second, directory), ERR_BUSY);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(access(path, F_OK), 0);

    /* As after a crash: the file is there, and nobody listens. */
    api_close(&api);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(dead, (const struct sockaddr *)&address, sizeof address), 0);
    (void)close(dead);
    ck_assert_int_eq(api_open(&api, directory), ERR_OK);
}
END_TEST

START_TEST(a_path_too_long_for_a_socket_is_refused)
{
    char path[200];
    struct api *other = NULL;

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ck_assert_int_eq(api_open(&other, path), ERR_INVALID);
    ck_assert_ptr_null(other);
}
END_TEST

SUITE_MAIN_WITH("api", setup, teardown, a_request_comes_in_and_its_answer_goes_out,
                answers_come_in_the_order_of_requests,
                what_is_no_request_is_answered_with_usage_and_the_connection_stays,
                a_line_longer_than_a_mebibyte_is_refused_and_its_client_let_go,
                a_client_that_leaves_within_a_line_is_forgotten,
                a_client_that_said_its_last_word_still_gets_its_answer,
                an_answer_for_a_client_that_left_is_dropped, clients_take_turns,
                an_answer_longer_than_a_line_becomes_a_refusal, a_client_that_does_not_read_is_not_read_from,
                one_daemon_listens_and_what_a_dead_one_left_is_replaced,
                a_path_too_long_for_a_socket_is_refused)
