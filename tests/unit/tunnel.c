/* The way to a peer through a proxy: what it asks, what it passes on, and what it says when it fails. */
#include "tests/support/check.h"
#include "tests/support/fake_proxy.h"

#include "sync/tunnel.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Turns of a few milliseconds until a test that waits in vain fails. */
enum { TURNS_MAX = 60 * 1000, NOW_MS = 1000 };

static struct fake_proxy proxy;
static int target; /* where the proxy leads to */
static int far;    /* what came there; -1: nothing */
static int near;   /* libzmq's end */
static struct tunnel *tunnel;
static char directory[] = "/tmp/vigil-tunnel-XXXXXX";
static char through[64];

static int
listen_somewhere(uint16_t *port_out)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port_out = ntohs(address.sin_port);
    return fd;
}

static void
setup(void)
{
    uint16_t port;

    (void)signal(SIGPIPE, SIG_IGN);
    strcpy(directory, "/tmp/vigil-tunnel-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    target = listen_somewhere(&port);
    far = -1;
    near = -1;
    ck_assert(fake_proxy_open(&proxy, 0, port));
    (void)snprintf(through, sizeof through, "socks5://127.0.0.1:%u", proxy.port);
}

static void
teardown(void)
{
    tunnel_close(&tunnel);
    fake_proxy_close(&proxy);
    (void)close(target);
    if (far >= 0) {
        (void)close(far);
    }
    if (near >= 0) {
        (void)close(near);
    }
    /* Nothing is left in it. */
    ck_assert_int_eq(rmdir(directory), 0);
}

static void
open_to(const char *endpoint)
{
    struct endpoint place;
    struct endpoint via;

    ck_assert_int_eq(endpoint_parse(&place, span_text(endpoint), ENDPOINT_DIAL, false), ERR_OK);
    ck_assert_int_eq(endpoint_parse_proxy(&via, span_text(through)), ERR_OK);
    ck_assert_int_eq(tunnel_open(&tunnel, &via, &place, NOW_MS), ERR_OK);
}

/* True if a descriptor that the tunnel waits for is ready. */
static bool
is_ready(int timeout_ms)
{
    struct pollfd fds[TUNNEL_FDS];

    tunnel_poll(tunnel, fds);
    return poll(fds, TUNNEL_FDS, timeout_ms) > 0;
}

/* It is given a turn only when it asked for one. */
static void
turn(void)
{
    fake_proxy_turn(&proxy, 1);
    if (is_ready(0)) {
        tunnel_work(tunnel, NOW_MS);
    }
    if (far < 0) {
        far = accept4(target, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
}

#define ck_assert_soon(condition)                                                                            \
    do {                                                                                                     \
        for (int turns_ = 0; !(condition); turns_++) {                                                       \
            ck_assert_msg(turns_ < TURNS_MAX, "never came true: %s", #condition);                            \
            turn();                                                                                          \
        }                                                                                                    \
    } while (0)

/* Connect as libzmq does. */
static int
connect_to(const char *offer)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(strncmp(offer, "ipc://", 6), 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", offer + 6);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void
offer(char endpoint_out[ENDPOINT_BYTES])
{
    ck_assert_soon(tunnel_state(tunnel) == TUNNEL_THROUGH);
    ck_assert_int_eq(tunnel_offer(tunnel, directory, 7, endpoint_out), ERR_OK);
    ck_assert_int_eq(tunnel_state(tunnel), TUNNEL_OFFERED);
}

static void
join(void)
{
    char endpoint[ENDPOINT_BYTES];

    offer(endpoint);
    near = connect_to(endpoint);
    ck_assert_soon(tunnel_state(tunnel) == TUNNEL_COPYING && far >= 0);
}

static size_t
files_in_directory(void)
{
    DIR *open = opendir(directory);
    size_t count = 0;

    ck_assert_ptr_nonnull(open);
    for (const struct dirent *entry; (entry = readdir(open)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(open);
    return count;
}

/* What has come at `fd`, after `bytes` of it were waited for. */
static void
check_comes(int fd, const void *bytes, size_t size)
{
    uint8_t got[64];
    size_t used = 0;

    ck_assert_uint_le(size, sizeof got);
    for (int turns = 0; used < size; turns++) {
        ssize_t more = recv(fd, got + used, sizeof got - used, MSG_DONTWAIT);

        used += more > 0 ? (size_t)more : 0;
        ck_assert_int_lt(turns, TURNS_MAX);
        turn();
    }
    ck_assert_uint_eq(used, size);
    ck_assert_mem_eq(got, bytes, size);
}

static bool
has_ended(int fd)
{
    uint8_t byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno != EAGAIN);
}

START_TEST(bytes_go_both_ways_and_the_name_is_the_proxys_business)
{
    open_to("tcp://vigil-hq.onion:7700");
    join();
    ck_assert_uint_eq(proxy.accepted, 1);
    ck_assert_uint_eq(proxy.kind, 3);
    ck_assert_str_eq(proxy.host, "vigil-hq.onion");
    ck_assert_uint_eq(proxy.host_port, 7700);
    ck_assert_int_eq(send(near, "there", 5, 0), 5);
    check_comes(far, "there", 5);
    ck_assert_int_eq(send(far, "back!!", 6, 0), 6);
    check_comes(near, "back!!", 6);
    ck_assert_uint_eq(tunnel_received(tunnel), 6);
}
END_TEST

START_TEST(what_the_peer_says_with_the_grant_is_not_lost)
{
    proxy.ahead = "a greeting";
    open_to("tcp://hq.example.org:7700");
    join();
    check_comes(near, "a greeting", 10);
    ck_assert_uint_eq(tunnel_received(tunnel), 10);
}
END_TEST

/* localhost is ::1 too, where this proxy does not listen. */
START_TEST(a_proxy_may_have_a_name_and_each_of_its_addresses_is_tried)
{
    (void)snprintf(through, sizeof through, "socks5://localhost:%u", proxy.port);
    open_to("tcp://hq.example.org:7700");
    join();
    ck_assert_str_eq(proxy.host, "hq.example.org");
}
END_TEST

START_TEST(the_socket_takes_one_connection_of_this_process_and_is_gone)
{
    char endpoint[ENDPOINT_BYTES];
    struct stat info;
    char path[128];
    int status;

    open_to("tcp://hq.example.org:7700");
    ck_assert_soon(tunnel_state(tunnel) == TUNNEL_THROUGH);
    ck_assert_uint_eq(files_in_directory(), 0);
    offer(endpoint);
    (void)snprintf(path, sizeof path, "%s/tunnel.7", directory);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    /* Another process of the same user is turned away. */
    pid_t child = fork();
    if (child == 0) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        uint8_t byte;

        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/tunnel.7", directory);
        _exit(connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || recv(fd, &byte, 1, 0) != 0);
    }
    for (int turns = 0; waitpid(child, &status, WNOHANG) == 0; turns++) {
        ck_assert_int_lt(turns, TURNS_MAX);
        turn();
    }
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(tunnel_state(tunnel), TUNNEL_OFFERED);
    near = connect_to(endpoint);
    ck_assert_soon(tunnel_state(tunnel) == TUNNEL_COPYING);
    ck_assert_uint_eq(files_in_directory(), 0);
}
END_TEST

START_TEST(one_that_is_closed_early_leaves_nothing_behind)
{
    char endpoint[ENDPOINT_BYTES];

    open_to("tcp://hq.example.org:7700");
    offer(endpoint);
    ck_assert_uint_eq(files_in_directory(), 1);
    tunnel_close(&tunnel);
    ck_assert_uint_eq(files_in_directory(), 0);
    /* And what a killed process left is no hindrance to the next. */
    char path[128];
    (void)snprintf(path, sizeof path, "%s/tunnel.7", directory);
    FILE *left = fopen(path, "w");
    ck_assert_ptr_nonnull(left);
    (void)fclose(left);
    open_to("tcp://hq.example.org:7700");
    join();
}
END_TEST

START_TEST(without_a_directory_there_is_no_offer)
{
    char endpoint[ENDPOINT_BYTES];

    open_to("tcp://hq.example.org:7700");
    ck_assert_soon(tunnel_state(tunnel) == TUNNEL_THROUGH);
    ck_assert_int_eq(tunnel_offer(tunnel, "/nowhere/at/all", 7, endpoint), ERR_IO);
}
END_TEST

START_TEST(when_the_peer_ends_all_that_it_said_is_passed_on_first)
{
    open_to("tcp://hq.example.org:7700");
    join();
    ck_assert_int_eq(send(far, "goodbye", 7, 0), 7);
    ck_assert_int_eq(close(far), 0);
    far = -1;
    check_comes(near, "goodbye", 7);
    ck_assert_soon(tunnel_state(tunnel) == TUNNEL_ENDED);
    ck_assert(has_ended(near));
}
END_TEST

START_TEST(when_we_end_the_proxy_is_let_go)
{
    open_to("tcp://hq.example.org:7700");
    join();
    ck_assert_int_eq(send(near, "goodbye", 7, 0), 7);
    ck_assert_int_eq(close(near), 0);
    near = -1;
    check_comes(far, "goodbye", 7);
    ck_assert_soon(tunnel_state(tunnel) == TUNNEL_ENDED);
    ck_assert_soon(has_ended(far));
}
END_TEST

/* A buffer that is full is not read into, so that what nobody takes stays at the far side. */
START_TEST(what_is_not_taken_is_not_read_either)
{
    static uint8_t bytes[256 * 1024];
    uint64_t received = 0;
    uint64_t sent = 0;

    open_to("tcp://hq.example.org:7700");
    join();
    for (int idle = 0; idle < 50; idle++) {
        ssize_t put = send(far, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += put > 0 ? (uint64_t)put : 0;
        turn();
        if (put > 0 || tunnel_received(tunnel) != received) {
            idle = 0;
        }
        received = tunnel_received(tunnel);
    }
    struct pollfd fds[TUNNEL_FDS];
    tunnel_poll(tunnel, fds);
    ck_assert_int_eq(fds[0].fd, -1);
    ck_assert_int_eq(fds[1].events & POLLOUT, POLLOUT);
    ck_assert_uint_lt(received, sent);
    /* And then all of it comes. */
    for (uint64_t got = 0; got < sent;) {
        ssize_t more = recv(near, bytes, sizeof bytes, MSG_DONTWAIT);

        got += more > 0 ? (uint64_t)more : 0;
        turn();
    }
    ck_assert_uint_eq(tunnel_received(tunnel), sent);
}
END_TEST

static void
check_fails(enum link_reason reason)
{
    open_to("tcp://hq.example.org:7700");
    /* It may have failed at once. */
    tunnel_work(tunnel, NOW_MS);
    ck_assert_soon(tunnel_state(tunnel) == TUNNEL_FAILED);
    ck_assert_int_eq(tunnel_reason(tunnel), reason);
    ck_assert_int_eq(accept(target, NULL, NULL), -1);
    ck_assert(!is_ready(0));
    tunnel_close(&tunnel);
}

START_TEST(each_way_to_fail_is_told_apart)
{
    for (unsigned reply = 1; reply <= 8; reply++) {
        proxy.reply = (uint8_t)reply;
        check_fails((enum link_reason)(LINK_PROXY_FAILED + reply - 1));
    }
    proxy.reply = 77;
    check_fails(LINK_PROXY_OTHER);
    proxy.method = 255;
    check_fails(LINK_PROXY_LOGIN);
    proxy.garbage = "SSH-2.0-OpenSSH";
    check_fails(LINK_PROXY_NOT_SOCKS);
    proxy.hangs_up = true;
    check_fails(LINK_PROXY_CLOSED);
    fake_proxy_close(&proxy);
    check_fails(LINK_PROXY_UNREACHABLE);
}
END_TEST

START_TEST(a_proxy_that_is_silent_is_given_up)
{
    proxy.silent = true;
    open_to("tcp://hq.example.org:7700");
    ck_assert_soon(tunnel_due_ms(tunnel) == NOW_MS + TUNNEL_ASK_MS && proxy.accepted == 1);
    tunnel_work(tunnel, NOW_MS + TUNNEL_ASK_MS - 1);
    ck_assert_int_eq(tunnel_state(tunnel), TUNNEL_OPENING);
    tunnel_work(tunnel, NOW_MS + TUNNEL_ASK_MS);
    ck_assert_int_eq(tunnel_state(tunnel), TUNNEL_FAILED);
    ck_assert_int_eq(tunnel_reason(tunnel), LINK_PROXY_NO_ANSWER);
}
END_TEST

START_TEST(a_name_that_nobody_looks_up_in_time_is_given_up)
{
    (void)strcpy(through, "socks5://proxy.invalid:9050");
    open_to("tcp://hq.example.org:7700");
    ck_assert_uint_eq(tunnel_due_ms(tunnel), NOW_MS + TUNNEL_REACH_MS);
    tunnel_work(tunnel, NOW_MS + TUNNEL_REACH_MS);
    ck_assert_int_eq(tunnel_state(tunnel), TUNNEL_FAILED);
    ck_assert_int_eq(tunnel_reason(tunnel), LINK_PROXY_NO_NAME);
}
END_TEST

SUITE_MAIN_WITH("tunnel", setup, teardown, bytes_go_both_ways_and_the_name_is_the_proxys_business,
                what_the_peer_says_with_the_grant_is_not_lost,
                a_proxy_may_have_a_name_and_each_of_its_addresses_is_tried,
                the_socket_takes_one_connection_of_this_process_and_is_gone,
                one_that_is_closed_early_leaves_nothing_behind, without_a_directory_there_is_no_offer,
                when_the_peer_ends_all_that_it_said_is_passed_on_first, when_we_end_the_proxy_is_let_go,
                what_is_not_taken_is_not_read_either, each_way_to_fail_is_told_apart,
                a_proxy_that_is_silent_is_given_up, a_name_that_nobody_looks_up_in_time_is_given_up)
