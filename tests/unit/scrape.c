/* Metrics over HTTP on loopback: one small request each, a bounded number of them, and nobody else's. */
#include "tests/support/check.h"

#include "node/scrape.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct scrape *scrape;
static char address[64];
static struct sockaddr_in place;
static uint64_t now_ms;

/* Listen on a port that is free. */
static void
setup(void)
{
    enum err err = ERR_BUSY;

    now_ms = 1000;
    for (int port = 21000 + getpid() % 8000; err == ERR_BUSY && port < 32000; port++) {
        (void)snprintf(address, sizeof address, "127.0.0.1:%d", port);
        err = scrape_open(&scrape, address);
        place = (struct sockaddr_in){ .sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr = { htonl(INADDR_LOOPBACK) } };
    }
    ck_assert_int_eq(err, ERR_OK);
}

static void
teardown(void)
{
    scrape_close(&scrape);
    ck_assert_ptr_null(scrape);
}

static int
call_in(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&place, sizeof place), 0);
    return fd;
}

static void
say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Work until there is nothing to do for a moment. True: the store is to be asked. */
static bool
work(void)
{
    bool ask = false;
    struct pollfd item = { .fd = scrape_fd(scrape), .events = POLLIN };

    while (poll(&item, 1, 100) > 0) {
        ask = scrape_work(scrape, now_ms) || ask;
    }
    return scrape_work(scrape, now_ms) || ask;
}

/* All that comes until the other end hangs up, which it has done or does. */
static const char *
hear(int fd)
{
    static char text[4096];
    size_t size = 0;
    ssize_t got;

    (void)work();
    while ((got = recv(fd, text + size, sizeof text - 1 - size, MSG_DONTWAIT)) > 0) {
        size += (size_t)got;
    }
    text[size] = '\0';
    /* Whoever has not been answered is still connected. */
    ck_assert(got == 0 || errno == ECONNRESET || (errno == EAGAIN && size == 0));
    return got == 0 || errno == ECONNRESET ? text : NULL;
}

START_TEST(a_request_is_judged)
{
    static const struct {
        const char *request;
        enum scrape_request verdict;
    } cases[] = {
        { "", SCRAPE_MORE },
        { "GET /metrics HTTP/1.0\r\n", SCRAPE_MORE },
        { "GET /metrics HTTP/1.0\r\n\r\n", SCRAPE_GOOD },
        { "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9464\r\nAccept: */*\r\n\r\n", SCRAPE_GOOD },
        { "GET /metrics HTTP/1.1\nhost:\tLocalhost\n\n", SCRAPE_GOOD },
        { "GET /metrics HTTP/1.1\r\nHost: [::1]:9464\r\n\r\n", SCRAPE_GOOD },
        { "GET /metrics HTTP/1.1\r\nHost: 127.0.0.2:1\r\n\r\n", SCRAPE_GOOD },
        { "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", SCRAPE_FOREIGN },
        { "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", SCRAPE_FOREIGN },
        { "GET /metrics HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", SCRAPE_FOREIGN },
        { "GET /metrics HTTP/1.1\r\nHost: \r\n\r\n", SCRAPE_FOREIGN },
        { "GET / HTTP/1.1\r\n\r\n", SCRAPE_ABSENT },
        { "GET /metrics/x HTTP/1.1\r\n\r\n", SCRAPE_ABSENT },
        { "GET /metricsx HTTP/1.1\r\n\r\n", SCRAPE_ABSENT },
        { "POST /metrics HTTP/1.1\r\n\r\n", SCRAPE_NOT_GET },
        { "HEAD /metrics HTTP/1.1\r\n\r\n", SCRAPE_NOT_GET },
        { "GET /metrics\r\n\r\n", SCRAPE_BAD },
        { "GET /metrics HTTP/2.0\r\n\r\n", SCRAPE_BAD },
        { "GET /metrics HTTP/1.1 x\r\n\r\n", SCRAPE_BAD },
        { "get /metrics HTTP/1.1\r\n\r\n", SCRAPE_BAD },
        { "\r\n\r\n", SCRAPE_BAD },
        { "\x16\x03\x01\x02\n\n", SCRAPE_BAD },
    };
    char large[SCRAPE_REQUEST_BYTES + 1];

    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        ck_assert_msg(scrape_parse(span_text(cases[n].request)) == cases[n].verdict, "%s", cases[n].request);
    }
    ck_assert_int_eq(scrape_parse(span_of("GET \0\n\n", 7)), SCRAPE_BAD);
    memset(large, 'x', sizeof large);
    memcpy(large, "GET /metrics HTTP/1.1\r\nX: ", 26);
    ck_assert_int_eq(scrape_parse(span_of(large, SCRAPE_REQUEST_BYTES - 1)), SCRAPE_MORE);
    ck_assert_int_eq(scrape_parse(span_of(large, SCRAPE_REQUEST_BYTES)), SCRAPE_BAD);
    ck_assert_int_eq(scrape_parse(span_of(large, SCRAPE_REQUEST_BYTES + 1)), SCRAPE_BAD);
    large[100] = '\n';
    large[4] = 'y';
    ck_assert_int_eq(scrape_parse(span_of(large, SCRAPE_REQUEST_BYTES - 1)), SCRAPE_MORE);
}
END_TEST

START_TEST(only_addresses_of_loopback_are_listened_on)
{
    static const char *const good[] = { "127.0.0.1:9464", "127.1.2.3:1", "[::1]:65535" };
    static const char *const bad[] = { "",
                                       "9464",
                                       ":9464",
                                       "0.0.0.0:9464",
                                       "10.0.0.1:9464",
                                       "[::]:9464",
                                       "::1:9464",
                                       "[::1]9464",
                                       "[::ffff:10.0.0.1]:9464",
                                       "[::1]:",
                                       "localhost:9464",
                                       "127.0.0.1",
                                       "127.0.0.1:0",
                                       "127.0.0.1:65536",
                                       "127.0.0.1:9464 ",
                                       "127.0.0.1:+1",
                                       "128.0.0.1:1" };

    for (size_t n = 0; n < sizeof good / sizeof good[0]; n++) {
        ck_assert_msg(scrape_address(good[n], NULL, NULL), "%s", good[n]);
    }
    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        struct scrape *other = NULL;

        ck_assert_msg(!scrape_address(bad[n], NULL, NULL), "%s", bad[n]);
        ck_assert_int_eq(scrape_open(&other, bad[n]), ERR_INVALID);
        ck_assert_ptr_null(other);
    }
}
END_TEST

START_TEST(an_address_that_is_taken_is_told_apart)
{
    struct scrape *other = NULL;

    ck_assert_int_eq(scrape_open(&other, address), ERR_BUSY);
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(who_asks_is_given_what_the_store_says_and_all_who_wait_cost_one_question)
{
    int first = call_in();
    int second = call_in();

    say(first, "GET /metrics HTTP/1.1\r\nHost: 127");
    ck_assert(!work());
    say(first, ".0.0.1\r\n\r\n");
    ck_assert(work());
    say(second, "GET /metrics HTTP/1.0\r\n\r\n");
    ck_assert(!work());
    ck_assert_ptr_null(hear(first));
    scrape_answer(scrape, span_text("vigil_entries 7\n"), now_ms);
    ck_assert_str_eq(hear(first),
                     "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                     "Content-Length: 16\r\nConnection: close\r\n\r\nvigil_entries 7\n");
    ck_assert_ptr_nonnull(strstr(hear(second), "\r\n\r\nvigil_entries 7\n"));
    (void)close(first);
    (void)close(second);
    first = call_in();
    say(first, "GET /metrics HTTP/1.0\r\n\r\n");
    ck_assert(work());
    scrape_answer(scrape, span_of(NULL, 0), now_ms);
    ck_assert_mem_eq(hear(first), "HTTP/1.0 503 ", 13);
    (void)close(first);
}
END_TEST

START_TEST(what_is_refused_is_told_and_the_store_is_not_asked)
{
    static const char *const requests[][2] = {
        { "GET / HTTP/1.1\r\n\r\n", "HTTP/1.0 404 " },
        { "PUT /metrics HTTP/1.1\r\n\r\n", "HTTP/1.0 405 " },
        { "GET /metrics HTTP/1.1\r\nHost: a.example\r\n\r\n", "HTTP/1.0 403 " },
        { "nothing\r\n\r\n", "HTTP/1.0 400 " },
    };

    for (size_t n = 0; n < sizeof requests / sizeof requests[0]; n++) {
        int fd = call_in();

        say(fd, requests[n][0]);
        ck_assert(!work());
        const char *heard = hear(fd);
        ck_assert_ptr_nonnull(heard);
        ck_assert_msg(strncmp(heard, requests[n][1], strlen(requests[n][1])) == 0, "%s", heard);
        (void)close(fd);
    }
}
END_TEST

START_TEST(a_crowd_has_room_for_eight_and_who_is_slow_is_hung_up_on)
{
    int fds[SCRAPE_CLIENTS_MAX + 1];

    for (size_t n = 0; n < SCRAPE_CLIENTS_MAX; n++) {
        fds[n] = call_in();
        say(fds[n], "GET /met");
        ck_assert(!work());
    }
    fds[SCRAPE_CLIENTS_MAX] = call_in();
    ck_assert_str_eq(hear(fds[SCRAPE_CLIENTS_MAX]), "");
    ck_assert_uint_eq(scrape_wait_ms(scrape, now_ms), SCRAPE_MS_MAX);
    for (size_t n = 0; n < SCRAPE_CLIENTS_MAX; n++) {
        ck_assert_ptr_null(hear(fds[n]));
    }
    now_ms += SCRAPE_MS_MAX;
    ck_assert_uint_eq(scrape_wait_ms(scrape, now_ms), 0);
    for (size_t n = 0; n < SCRAPE_CLIENTS_MAX; n++) {
        ck_assert_str_eq(hear(fds[n]), "");
        (void)close(fds[n]);
    }
    (void)close(fds[SCRAPE_CLIENTS_MAX]);
    ck_assert_uint_eq(scrape_wait_ms(scrape, now_ms), UINT32_MAX);
    int fd = call_in();
    say(fd, "GET /metrics HTTP/1.0\r\n\r\n");
    ck_assert(work());
    (void)close(fd);
}
END_TEST

START_TEST(a_request_that_never_ends_is_cut_off)
{
    char text[SCRAPE_REQUEST_BYTES + 1];
    int fd = call_in();

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    say(fd, text);
    ck_assert(!work());
    ck_assert_ptr_nonnull(strstr(hear(fd), "400"));
    (void)close(fd);
}
END_TEST

START_TEST(who_leaves_while_waiting_is_forgotten)
{
    int fd = call_in();

    say(fd, "GET /metrics HTTP/1.0\r\n\r\n");
    ck_assert(work());
    const struct linger now = { .l_onoff = 1, .l_linger = 0 };
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    (void)close(fd);
    (void)work();
    scrape_answer(scrape, span_text("vigil_entries 7\n"), now_ms);
    ck_assert_uint_eq(scrape_wait_ms(scrape, now_ms), UINT32_MAX);
}
END_TEST

START_TEST(without_file_descriptors_it_rests_and_goes_on)
{
    struct rlimit files;
    struct pollfd item = { .fd = scrape_fd(scrape), .events = POLLIN };
    int fd = call_in();
    int next = dup(0);

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    (void)close(next);
    struct rlimit few = { .rlim_cur = (rlim_t)next, .rlim_max = files.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    ck_assert_int_eq(poll(&item, 1, 10000), 1);
    ck_assert(!scrape_work(scrape, now_ms));
    ck_assert_int_eq(poll(&item, 1, 0), 0);
    ck_assert_uint_eq(scrape_wait_ms(scrape, now_ms), 1000);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    now_ms += 1000;
    say(fd, "GET /metrics HTTP/1.0\r\n\r\n");
    bool asked = scrape_work(scrape, now_ms);
    ck_assert(work() || asked);
    (void)close(fd);
}
END_TEST

SUITE_MAIN_WITH("scrape", setup, teardown, a_request_is_judged, only_addresses_of_loopback_are_listened_on,
                an_address_that_is_taken_is_told_apart,
                who_asks_is_given_what_the_store_says_and_all_who_wait_cost_one_question,
                what_is_refused_is_told_and_the_store_is_not_asked,
                a_crowd_has_room_for_eight_and_who_is_slow_is_hung_up_on,
                a_request_that_never_ends_is_cut_off, without_file_descriptors_it_rests_and_goes_on,
                who_leaves_while_waiting_is_forgotten)
