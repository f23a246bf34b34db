#include "tests/support/check.h"
#include "tests/support/fake_proxy.h"
#include "tests/support/stranger.h"

#include "node/resident.h"
#include "sync/endpoint.h"
#include "sync/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

/* Long enough for the slowest machine: every wait ends when its condition holds, and a handshake when it is done. Where
 * a test waits for one that is not done, it may take SHORT_HANDSHAKE_MS: enough for the link to try its own door in. */
enum {
    DEADLINE_MS = 240 * 1000,
    HANDSHAKE_MS = 30 * 1000,
    SHORT_HANDSHAKE_MS = 4000,
    NODES = 3,
    MESSAGE_MAX = LINK_MESSAGE_BYTES_MAX,
};

/* One end, and what its link told it. */
struct node {
    struct link *link;
    struct key_pair pair;
    struct hash device_id;
    char endpoint[ENDPOINT_BYTES];
    uint16_t port;
    uint64_t ups;
    uint64_t downs;
    uint64_t messages;
    enum link_reason last_down;
    uint64_t refused[LINK_REASON_COUNT];
    uint64_t warned[LINK_REASON_COUNT];
    uint64_t sent; /* envelopes */
    uint64_t received;
    struct envelope_schedule theirs;
    struct hash last_from;
    struct buf last;        /* the message that came last */
    struct buf first_bytes; /* the first byte of each */
};

static struct node nodes[NODES];
static struct node *const ada = &nodes[0];
static struct node *const ben = &nodes[1];
static struct node *const eve = &nodes[2]; /* on nobody's list unless a test says so */
static struct fake_proxy proxy;            /* open in tests that use it */
static bool proxy_open;
static char proxy_text[64];
static char tunnels[] = "/tmp/vigil-link-XXXXXX"; /* for their sockets */

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
note(struct node *node, const struct link_event *event)
{
    switch (event->kind) {
    case LINK_UP:
        node->ups++;
        break;
    case LINK_DOWN:
        node->downs++;
        node->last_down = event->reason;
        break;
    case LINK_MESSAGE:
        node->messages++;
        node->last_from = event->device_id;
        buf_clear(&node->last);
        buf_put_span(&node->last, event->bytes);
        buf_put_u8(&node->first_bytes, event->bytes.data[0]);
        break;
    case LINK_REFUSED:
        node->refused[event->reason] += event->count;
        break;
    case LINK_WARNING:
        node->warned[event->reason] += event->count;
        break;
    case LINK_ENVELOPES:
        node->sent += event->sent;
        node->received += event->received;
        node->theirs = event->theirs;
        break;
    }
}

/* One turn of every node. */
static void
turn(void)
{
    struct link_event event;

    if (proxy_open) {
        fake_proxy_turn(&proxy, 0);
    }
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].link != NULL) {
            link_wait(nodes[i].link, 2, -1, 0);
            while (link_next(nodes[i].link, &event)) {
                note(&nodes[i], &event);
            }
        }
    }
}

/* Turn until `condition` holds; the test fails if it never does. */
#define ck_assert_soon(condition)                                                                            \
    do {                                                                                                     \
        uint64_t deadline_ms_ = now_ms() + DEADLINE_MS;                                                      \
        while (!(condition)) {                                                                               \
            ck_assert_msg(now_ms() < deadline_ms_, "never came true: %s", #condition);                       \
            turn();                                                                                          \
        }                                                                                                    \
    } while (0)

static struct link_options
options_of(struct node *node)
{
    return (struct link_options){ .device_id = node->device_id,
                                  .secret_key = node->pair.secret_key,
                                  .handshake_ms = HANDSHAKE_MS,
                                  .redial_ms_min = 20,
                                  .redial_ms_max = 100,
                                  .ipc_allowed = true,
                                  .directory = tunnels };
}

static void
open_node(struct node *node, const struct link_options *options)
{
    if (node->link != NULL) {
        link_close(&node->link);
    }
    ck_assert_int_eq(link_open(&node->link, options), ERR_OK);
}

static void
listen_at(struct node *node, const char *endpoint)
{
    ck_assert_int_eq(link_listen(node->link, span_text(endpoint), node->endpoint), ERR_OK);
    const char *colon = strrchr(node->endpoint, ':');
    node->port = (uint16_t)atoi(colon + 1);
}

static struct zap_guest
guest_of(const struct node *node)
{
    struct zap_guest guest = { .device_id = node->device_id };

    memcpy(guest.curve_pk, node->pair.public_key, CURVE_PK_BYTES);
    return guest;
}

/* `node` lets in the others named, and nobody else. */
static void
allow(struct node *node, const struct node *first, const struct node *second)
{
    struct zap_guest guests[2];
    size_t count = 0;

    if (first != NULL) {
        guests[count++] = guest_of(first);
    }
    if (second != NULL) {
        guests[count++] = guest_of(second);
    }
    ck_assert_int_eq(link_set_allowed(node->link, guests, count), ERR_OK);
}

static enum err
dial(struct node *from, const struct node *to, const char *endpoint)
{
    return link_dial(from->link, &to->device_id, to->pair.public_key, span_text(endpoint), span_text(""),
                     true);
}

/* Three nodes; ada listens, and ada and ben know each other. */
static void
open_all(void)
{
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(crypto_start(), ERR_OK);
    strcpy(tunnels, "/tmp/vigil-link-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tunnels));
    for (int i = 0; i < NODES; i++) {
        uint8_t secret[32];
        crypto_os_random(secret, sizeof secret);
        nodes[i] = (struct node){ .link = NULL };
        crypto_box_pair_from_secret(&nodes[i].pair, secret);
        memset(nodes[i].device_id.bytes, i + 1, HASH_BYTES);
        struct link_options options = options_of(&nodes[i]);
        open_node(&nodes[i], &options);
    }
    listen_at(ada, "tcp://127.0.0.1:*");
    allow(ada, ben, NULL);
    allow(ben, ada, NULL);
    allow(eve, ada, NULL);
}

static void
close_all(void)
{
    for (int i = 0; i < NODES; i++) {
        link_close(&nodes[i].link);
        buf_free(&nodes[i].last);
        buf_free(&nodes[i].first_bytes);
    }
    if (proxy_open) {
        fake_proxy_close(&proxy);
    }
    proxy_open = false;
    /* Nothing is left in it. */
    ck_assert_int_eq(rmdir(tunnels), 0);
}

/* ben dials ada and says a word. */
static void
meet(void)
{
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->ups == 1);
    ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_text("hello")), ERR_OK);
    ck_assert_soon(ada->messages == 1);
    ck_assert_uint_eq(ada->ups, 1);
    ck_assert(hash_equal(&ada->last_from, &ben->device_id));
}

START_TEST(messages_of_300_bytes_and_of_a_mebibyte_go_both_ways)
{
    static uint8_t bytes[MESSAGE_MAX];
    static const size_t sizes[] = { 1, 300, MESSAGE_MAX - 1, MESSAGE_MAX };

    crypto_os_random(bytes, sizeof bytes);
    bytes[0] = 1; /* no envelope */
    meet();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct span message = span_of(bytes, sizes[i]);
        uint64_t before = ada->messages;
        ck_assert_int_eq(link_send(ben->link, &ada->device_id, message), ERR_OK);
        ck_assert_soon(ada->messages == before + 1);
        ck_assert(span_equal(buf_span(&ada->last), message));
        ck_assert(hash_equal(&ada->last_from, &ben->device_id));
        before = ben->messages;
        ck_assert_int_eq(link_send(ada->link, &ben->device_id, message), ERR_OK);
        ck_assert_soon(ben->messages == before + 1);
        ck_assert(span_equal(buf_span(&ben->last), message));
        ck_assert(hash_equal(&ben->last_from, &ada->device_id));
    }
    ck_assert_uint_eq(ada->downs + ben->downs, 0);
}
END_TEST

START_TEST(a_descriptor_of_the_owner_wakes_the_link)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    /* Without a limit of time to speak of: only the descriptor can end the wait. */
    ck_assert_int_eq(link_wait(ada->link, UINT32_MAX, pair[0], POLLIN | POLLOUT), POLLOUT);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    ck_assert_int_eq(link_wait(ada->link, UINT32_MAX, pair[0], POLLIN), POLLIN);
    ck_assert_int_eq(link_wait(ada->link, UINT32_MAX, pair[0], POLLIN | POLLOUT), POLLIN | POLLOUT);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(who_is_not_connected_cannot_be_sent_to)
{
    ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_text("x")), ERR_ABSENT);
    ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_text("x")), ERR_ABSENT);
}
END_TEST

START_TEST(n2_until_a_list_is_sent_nobody_comes_in_and_nobody_is_dialled)
{
    allow(ada, NULL, NULL);
    struct link_options options = options_of(eve);
    open_node(eve, &options);
    ck_assert_int_eq(dial(eve, ada, ada->endpoint), ERR_DENIED);
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->downs > 0 && ada->refused[LINK_STRANGER] > 0);
    ck_assert_int_eq(ben->last_down, LINK_REFUSED_BY_PEER);
    ck_assert_uint_eq(ben->ups, 0);
    /* As soon as the list is there, the next attempt succeeds. */
    allow(ada, ben, NULL);
    ck_assert_soon(ben->ups == 1);
}
END_TEST

START_TEST(only_endpoints_of_known_devices_are_dialled)
{
    ck_assert_int_eq(dial(ben, ada, "inproc://zeromq.zap.01"), ERR_INVALID);
    ck_assert_int_eq(dial(ben, ada, "udp://127.0.0.1:1"), ERR_INVALID);
    ck_assert_int_eq(dial(ben, eve, "tcp://127.0.0.1:1"), ERR_DENIED);
    allow(ben, ben, ada);
    ck_assert_int_eq(dial(ben, ben, "tcp://127.0.0.1:1"), ERR_DENIED);
    char bound[ENDPOINT_BYTES];
    ck_assert_int_eq(link_listen(ben->link, span_text("inproc://x"), bound), ERR_INVALID);
    ck_assert_int_eq(link_listen(ben->link, span_text(ada->endpoint), bound), ERR_BUSY);
}
END_TEST

START_TEST(a_unix_socket_and_the_second_protocol_of_addresses_work_too)
{
    char directory[] = "/tmp/vigil-link-XXXXXX";
    char endpoint[ENDPOINT_BYTES];

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(endpoint, sizeof endpoint, "ipc://%s/socket", directory);
    ck_assert_int_eq(link_listen(ada->link, span_text(endpoint), ada->endpoint), ERR_OK);
    meet();
    ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_text("x")), ERR_OK);
    ck_assert_soon(ben->messages == 1);
    link_close(&ada->link);
    ck_assert_soon(ben->downs == 1);
    unlink(endpoint + 6);
    rmdir(directory);
}
END_TEST

START_TEST(a_device_that_left_the_list_is_hung_up_on_and_cannot_come_back)
{
    meet();
    allow(ada, NULL, NULL);
    ck_assert_soon(ada->downs == 1 && ben->downs >= 1);
    ck_assert_int_eq(ada->last_down, LINK_OFF_ROSTER);
    ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_text("x")), ERR_ABSENT);
    /* The dialler tries again, and is refused. */
    ck_assert_soon(ben->last_down == LINK_REFUSED_BY_PEER);
    ck_assert_uint_eq(ada->messages, 1);
}
END_TEST

START_TEST(a_peer_that_we_dialled_and_that_left_the_list_is_hung_up_on)
{
    meet();
    allow(ben, NULL, NULL);
    ck_assert_soon(ada->downs == 1 && ben->downs == 1);
    ck_assert_int_eq(ben->last_down, LINK_OFF_ROSTER);
    ck_assert_int_eq(ada->last_down, LINK_DISCONNECTED);
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_DENIED);
}
END_TEST

START_TEST(hanging_up_ends_it_on_both_sides)
{
    meet();
    link_hangup(ben->link, &ada->device_id, LINK_HUNG_UP);
    ck_assert_soon(ada->downs == 1 && ben->downs == 1);
    ck_assert_int_eq(ben->last_down, LINK_HUNG_UP);
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->ups == 2);
}
END_TEST

START_TEST(n9_a_connection_is_made_anew_after_so_many_bytes_and_after_some_time)
{
    struct link_options options = options_of(ben);

    options.rekey_bytes = 3;
    open_node(ben, &options);
    allow(ben, ada, NULL);
    meet();
    ck_assert_soon(ben->ups == 2);
    ck_assert_int_eq(ben->last_down, LINK_KEYS_RENEWED);
    options.rekey_bytes = 0;
    options.rekey_ms = 1;
    open_node(ben, &options);
    allow(ben, ada, NULL);
    uint64_t ups = ben->ups;
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->ups >= ups + 3);
    ck_assert_int_eq(ben->last_down, LINK_KEYS_RENEWED);
}
END_TEST

START_TEST(of_two_connections_that_of_the_smaller_id_stays)
{
    listen_at(ben, "tcp://127.0.0.1:*");
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_int_eq(dial(ada, ben, ben->endpoint), ERR_OK);
    ck_assert_soon(ben->ups >= 1 && ada->ups >= 1);
    ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_text("from ada")), ERR_OK);
    ck_assert_soon(ben->messages >= 1 && ben->downs >= 1);
    ck_assert_int_eq(ben->last_down, LINK_DUPLICATE);
    ck_assert_uint_eq(ben->ups, 2);
    /* What remains carries both ways. */
    uint64_t before = ada->messages;
    ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_text("from ben")), ERR_OK);
    ck_assert_soon(ada->messages == before + 1);
    ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_text("again")), ERR_OK);
    ck_assert_soon(ben->messages == 2);
}
END_TEST

START_TEST(without_room_nothing_is_read_and_then_all_comes_in_order)
{
    meet();
    link_set_room(ada->link, &ben->device_id, false);
    for (uint8_t i = 100; i < 150; i++) {
        ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_of(&i, 1)), ERR_OK);
        ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_of(&i, 1)), ERR_OK);
    }
    ck_assert_soon(ben->messages == 50);
    ck_assert_uint_eq(ada->messages, 1);
    link_set_room(ada->link, &ben->device_id, true);
    ck_assert_soon(ada->messages == 51);
    for (uint8_t i = 0; i < 50; i++) {
        ck_assert_uint_eq(ada->first_bytes.data[1 + i], 100 + i);
        ck_assert_uint_eq(ben->first_bytes.data[i], 100 + i);
    }
    /* The same towards the one who dialled. */
    link_set_room(ben->link, &ada->device_id, false);
    ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_text("x")), ERR_OK);
    ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_text("y")), ERR_OK);
    ck_assert_soon(ada->messages == 52);
    ck_assert_uint_eq(ben->messages, 50);
    link_set_room(ben->link, &ada->device_id, true);
    ck_assert_soon(ben->messages == 51);
}
END_TEST

START_TEST(who_sends_on_without_room_is_hung_up_on)
{
    static uint8_t bytes[MESSAGE_MAX];

    meet();
    link_set_room(ada->link, &ben->device_id, false);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_of(bytes, sizeof bytes)), ERR_OK);
    }
    ck_assert_soon(ada->downs == 1 && ada->refused[LINK_OVERRAN] == 1);
    ck_assert_int_eq(ada->last_down, LINK_OVERRAN);
    ck_assert_uint_eq(ada->messages, 1);
    /* With the next connection there is room again. */
    ck_assert_soon(ben->ups == 2);
    ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_text("sorry")), ERR_OK);
    ck_assert_soon(ada->messages == 2);
    ck_assert(span_equal(buf_span(&ada->last), span_text("sorry")));
}
END_TEST

/* The queues of libzmq count messages: with these they are full before as much as LINK_BACKLOG_BYTES lies unread, however
 * much the kernel holds. */
START_TEST(a_peer_that_does_not_read_fills_a_bounded_queue)
{
    static uint8_t bytes[MESSAGE_MAX / 8];
    enum err err = ERR_OK;

    meet();
    link_pause(ada->link, true);
    for (int i = 0; i < 1000 && err == ERR_OK; i++) {
        err = link_send(ben->link, &ada->device_id, span_of(bytes, sizeof bytes));
        turn();
    }
    ck_assert_int_eq(err, ERR_FULL);
    ck_assert_uint_eq(ada->messages, 1);
    link_pause(ada->link, false);
    ck_assert_soon(link_send(ben->link, &ada->device_id, span_text("z")) == ERR_OK);
    ck_assert_soon(ada->last.size == 1 && ada->last.data[0] == 'z');
}
END_TEST

/* --- Why there is no connection ------------------------------------------------------- */

/* A listening socket that is no Vigil node; its port. */
static int
foreign_listener(uint16_t *port_out)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port_out = ntohs(address.sin_port);
    return fd;
}

static void
dial_port(struct node *from, uint16_t port)
{
    char endpoint[ENDPOINT_BYTES];

    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    ck_assert_int_eq(dial(from, ada, endpoint), ERR_OK);
}

START_TEST(nobody_listening_is_told_apart)
{
    uint16_t port;

    close(foreign_listener(&port));
    dial_port(ben, port);
    /* A refusal of which we hear two seconds later is taken for a host that is off. */
    ck_assert_soon(ben->downs >= 2 && ben->last_down == LINK_NOBODY_LISTENS);
}
END_TEST

START_TEST(an_address_without_a_route_is_told_apart)
{
    /* 240.0.0.0/4 is reserved: the kernel has no route, or refuses to use one. */
    ck_assert_int_eq(dial(ben, ada, "tcp://255.255.255.255:7741"), ERR_OK);
    ck_assert_soon(ben->downs >= 1);
    ck_assert_int_eq(ben->last_down, LINK_NO_ROUTE);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_told_apart)
{
    ck_assert_int_eq(dial(ben, ada, "tcp://nobody.invalid:7741"), ERR_OK);
    ck_assert_soon(ben->downs >= 1);
    ck_assert(ben->last_down == LINK_NO_NAME || ben->last_down == LINK_NO_ANSWER);
}
END_TEST

START_TEST(another_transport_key_than_expected_is_told_apart)
{
    struct zap_guest wrong = { .device_id = ada->device_id };

    memcpy(wrong.curve_pk, eve->pair.public_key, CURVE_PK_BYTES);
    ck_assert_int_eq(link_set_allowed(ben->link, &wrong, 1), ERR_OK);
    ck_assert_int_eq(
        link_dial(ben->link, &ada->device_id, wrong.curve_pk, span_text(ada->endpoint), span_text(""), true),
        ERR_OK);
    ck_assert_soon(ben->downs >= 1);
    ck_assert_int_eq(ben->last_down, LINK_WRONG_KEY);
    ck_assert_soon(ada->refused[LINK_NO_HANDSHAKE] > 0);
    ck_assert_uint_eq(ada->messages + ada->ups, 0);
}
END_TEST

START_TEST(a_handshake_that_times_out_is_told_apart)
{
    uint16_t port;
    struct link_options options = options_of(ben);

    options.handshake_ms = 1000;
    open_node(ben, &options);
    allow(ben, ada, NULL);
    /* The kernel accepts for a program that never does. How long it took is measured by when we hear of it, so a
     * machine that is busy just then may take it for something else; but not every time. */
    int fd = foreign_listener(&port);
    dial_port(ben, port);
    ck_assert_soon(ben->downs >= 1 && ben->last_down == LINK_HANDSHAKE_TIMEOUT);
    close(fd);
}
END_TEST

START_TEST(a_node_that_goes_away_is_told_apart_and_found_again)
{
    char endpoint[ENDPOINT_BYTES];

    meet();
    memcpy(endpoint, ada->endpoint, sizeof endpoint);
    link_close(&ada->link);
    ck_assert_soon(ben->downs >= 1);
    ck_assert_soon(ben->last_down == LINK_NOBODY_LISTENS);
    struct link_options options = options_of(ada);
    open_node(ada, &options);
    allow(ada, ben, NULL);
    listen_at(ada, endpoint);
    ck_assert_soon(ben->ups == 2);
}
END_TEST

/* A line that the test can break: ben dials `port`, and what comes is passed on to ada and back. */
struct line {
    int listener;
    int near; /* ben's end; -1: nobody has come */
    int far;
    uint16_t port;
    size_t there; /* bytes from ben to ada, and from ada to ben */
    size_t back;
    bool broken; /* nothing more passes */
    bool ended;  /* ben has closed his end */
};

static void
line_open(struct line *line)
{
    *line = (struct line){ .near = -1, .far = -1 };
    line->listener = foreign_listener(&line->port);
}

static void
line_close(struct line *line)
{
    close(line->near);
    close(line->far);
    close(line->listener);
}

/* Move what has come; how much. Either end may be closed by then. */
static size_t
pass_on(int from, int to, bool *ended_out)
{
    uint8_t bytes[4096];
    ssize_t got = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);

    *ended_out = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    for (ssize_t sent = 0; to >= 0 && sent < got;) {
        ssize_t more = send(to, bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (more <= 0) {
            *ended_out = true;
            break;
        }
        sent += more;
    }
    return got > 0 ? (size_t)got : 0;
}

static void
line_turn(struct line *line)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(ada->port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    bool ended = false;

    if (line->near < 0) {
        line->near = accept(line->listener, NULL, NULL);
        if (line->near < 0) {
            return;
        }
        line->far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(line->far, (struct sockaddr *)&address, sizeof address), 0);
    }
    line->there += pass_on(line->near, line->broken ? -1 : line->far, &line->ended);
    line->back += line->broken ? 0 : pass_on(line->far, line->near, &ended);
}

#define ck_assert_soon_over(line, condition)                                                                 \
    do {                                                                                                     \
        uint64_t deadline_ms_ = now_ms() + DEADLINE_MS;                                                      \
        while (line_turn(line), !(condition)) {                                                              \
            ck_assert_msg(now_ms() < deadline_ms_, "never came true: %s", #condition);                       \
            turn();                                                                                          \
        }                                                                                                    \
    } while (0)

/* ben does not read while the line breaks, as a slow machine. */
START_TEST(what_came_before_the_line_broke_is_read_to_its_end)
{
    enum { COUNT = 40, CURVE_BYTES = 42 };
    static uint8_t bytes[1000];
    struct line line;

    line_open(&line);
    dial_port(ben, line.port);
    ck_assert_soon_over(&line, ben->ups == 1);
    ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_text("hello")), ERR_OK);
    ck_assert_soon_over(&line, ada->messages == 1);
    link_pause(ben->link, true);
    size_t before = line.back;
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_of(bytes, sizeof bytes)), ERR_OK);
    }
    ck_assert_soon_over(&line, line.back == before + COUNT * (sizeof bytes + CURVE_BYTES));
    line.broken = true;
    ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
    ck_assert_soon_over(&line, line.ended);
    turn();
    ck_assert_uint_eq(ben->messages, 0);
    link_pause(ben->link, false);
    ck_assert_soon(ben->downs == 1);
    ck_assert_uint_eq(ben->messages, COUNT);
    ck_assert_int_eq(ben->last_down, LINK_DISCONNECTED);
    line_close(&line);
}
END_TEST

/* ben alone sends heartbeats, and tells ada to wait for longer than libzmq can count. */
START_TEST(a_connection_on_which_nothing_is_said_stays)
{
    enum { PINGS = 8, PING_BYTES = 42 };
    struct link_options options = options_of(ben);
    struct line line;

    options.heartbeat_ms = 300;
    options.silence_ms_max = 65700; /* 164 in 16 bits */
    open_node(ben, &options);
    allow(ben, ada, NULL);
    line_open(&line);
    dial_port(ben, line.port);
    ck_assert_soon_over(&line, ben->ups == 1);
    ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_text("hello")), ERR_OK);
    ck_assert_soon_over(&line, ada->messages == 1);
    size_t before = line.there;
    ck_assert_soon_over(&line, line.there >= before + PINGS * PING_BYTES || line.ended);
    ck_assert_uint_eq(ada->downs + ben->downs, 0);
    ck_assert_uint_eq(ben->ups, 1);
    line_close(&line);
}
END_TEST

START_TEST(every_reason_has_words_of_its_own)
{
    for (int i = 1; i < LINK_REASON_COUNT; i++) {
        ck_assert_ptr_nonnull(reason_text((enum link_reason)i));
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(reason_text((enum link_reason)i), reason_text((enum link_reason)j));
        }
    }
    ck_assert_str_eq(reason_text((enum link_reason)9999), reason_text(LINK_NO_REASON));
}
END_TEST

/* --- The hostile door --------------------------------------------------------------------- */

#define ck_assert_soon_of(stranger, condition)                                                               \
    do {                                                                                                     \
        uint64_t deadline_ms_ = now_ms() + DEADLINE_MS;                                                      \
        while (stranger_hear(stranger), !(condition)) {                                                      \
            ck_assert_msg(now_ms() < deadline_ms_, "never came true: %s", #condition);                       \
            turn();                                                                                          \
        }                                                                                                    \
    } while (0)

/* A handshake as the holder of `secret_key` (NULL: a key that nobody knows), up to INITIATE. */
static void
shake(struct stranger *stranger, const struct node *server, const uint8_t *secret_key, struct span metadata)
{
    stranger_open(stranger, server->port, secret_key);
    stranger_greet(stranger, "CURVE");
    ck_assert_soon_of(stranger, stranger->heard.size >= STRANGER_GREETING);
    stranger_say_hello(stranger, server->pair.public_key);
    ck_assert_soon_of(stranger, stranger->heard.size >= STRANGER_WELCOME);
    ck_assert(stranger_say_initiate(stranger, metadata));
}

START_TEST(n1_a_stranger_gets_not_one_byte_after_its_handshake_failed)
{
    struct stranger stranger;
    struct buf metadata = { 0 };

    stranger_property(&metadata, "Socket-Type", "DEALER");
    shake(&stranger, ada, NULL, buf_span(&metadata));
    ck_assert_soon_of(&stranger, ada->refused[LINK_STRANGER] == 1);
    /* It insists. */
    stranger_send(&stranger, span_text("let me in"), false);
    ck_assert_soon_of(&stranger, stranger.ended);
    size_t after;
    ck_assert(stranger_was_refused(&stranger, &after));
    ck_assert_uint_eq(after, 0);
    ck_assert_uint_eq(ada->messages + ada->ups, 0);
    stranger_close(&stranger);
    buf_free(&metadata);
}
END_TEST

START_TEST(n3_other_mechanisms_and_older_protocols_and_garbage_are_cut_off_after_the_greeting)
{
    static const uint8_t zmtp_1[] = { 1, 0, 2, 0, 'x' };
    static const uint8_t zmtp_2[] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 5, 0, 0 };
    static const char http[] =
        "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n";
    uint8_t garbage[256];

    memset(garbage, 0xee, sizeof garbage);
    for (int i = 0; i < 7; i++) {
        struct stranger stranger;
        stranger_open(&stranger, ada->port, NULL);
        switch (i) {
        case 0:
            stranger_greet(&stranger, "NULL");
            break;
        case 1:
            stranger_greet(&stranger, "PLAIN");
            break;
        case 2:
            stranger_greet(&stranger, "GSSAPI");
            break;
        case 3:
            stranger_say(&stranger, zmtp_1, sizeof zmtp_1);
            break;
        case 4:
            stranger_say(&stranger, zmtp_2, sizeof zmtp_2);
            break;
        case 5:
            stranger_say(&stranger, http, sizeof http);
            break;
        default:
            stranger_say(&stranger, garbage, sizeof garbage);
            break;
        }
        ck_assert_soon_of(&stranger, stranger.ended);
        ck_assert_uint_le(stranger.heard.size, STRANGER_GREETING);
        stranger_close(&stranger);
    }
    ck_assert_soon(ada->refused[LINK_NO_HANDSHAKE] >= 1);
    ck_assert_uint_eq(ada->messages + ada->ups, 0);
    /* The door still opens for who belongs here. */
    meet();
}
END_TEST

START_TEST(n7_a_silent_stranger_is_cut_off_after_the_handshake_time)
{
    struct link_options options = options_of(ada);
    struct stranger stranger;

    options.handshake_ms = SHORT_HANDSHAKE_MS;
    open_node(ada, &options);
    listen_at(ada, "tcp://127.0.0.1:*");
    stranger_open(&stranger, ada->port, NULL);
    ck_assert_soon_of(&stranger, stranger.ended);
    ck_assert_soon(ada->refused[LINK_NO_HANDSHAKE] == 1);
    stranger_close(&stranger);
}
END_TEST

/* Nobody turns ada's link, so libzmq's question is never answered. */
START_TEST(n2_with_a_handler_that_hangs_nobody_comes_in)
{
    struct link_options options = options_of(ada);
    struct stranger stranger;
    struct buf metadata = { 0 };
    uint64_t deadline_ms = now_ms() + DEADLINE_MS;

    options.handshake_ms = SHORT_HANDSHAKE_MS;
    open_node(ada, &options);
    allow(ada, ben, NULL);
    listen_at(ada, "tcp://127.0.0.1:*");
    stranger_property(&metadata, "Socket-Type", "DEALER");
    shake(&stranger, ada, ben->pair.secret_key, buf_span(&metadata));
    while (!stranger.ended) {
        ck_assert_uint_lt(now_ms(), deadline_ms);
        struct pollfd item = { .fd = stranger.fd, .events = POLLIN };
        poll(&item, 1, 1000);
        stranger_hear(&stranger);
    }
    ck_assert_uint_eq(stranger.heard.size, STRANGER_WELCOME);
    stranger_close(&stranger);
    buf_free(&metadata);
}
END_TEST

/* Raise the number of descriptors this process may have to what it is allowed at most. */
static void
allow_many_files(void)
{
    struct rlimit files;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
}

/* Another process that holds `count` silent connections to ada until it is killed. */
static pid_t
crowd(int count)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0) {
        return pid;
    }
    allow_many_files(); /* whatever limit ada is under */
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(ada->port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
            break;
        }
    }
    for (;;) {
        pause();
    }
}

static void
disperse(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

START_TEST(n6_a_crowd_at_the_door_is_limited_and_does_not_keep_a_friend_out)
{
    struct link_options options = options_of(ada);

    allow_many_files();
    open_node(ada, &options);
    allow(ada, ben, NULL);
    listen_at(ada, "tcp://127.0.0.1:*");
    pid_t some = crowd(500);
    meet();
    pid_t many = crowd(LINK_INBOUND_MAX);
    ck_assert_soon(ada->refused[LINK_CROWDED] > 0);
    ck_assert_uint_eq(ben->downs, 0);
    disperse(some);
    disperse(many);
}
END_TEST

START_TEST(without_file_descriptors_listening_rests_and_starts_again)
{
    struct rlimit files;
    struct rlimit few;
    int next = dup(0);

    allow_many_files();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    close(next);
    few = files;
    few.rlim_cur = (rlim_t)next + 10;
    /* The limit first: libzmq accepts in a thread of its own, and might have taken them all before it. */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    pid_t pid = crowd(100);
    ck_assert_soon(ada->warned[LINK_NO_FILES] > 0);
    disperse(pid);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    meet();
}
END_TEST

START_TEST(n7_a_header_that_declares_256_mebibytes_ends_the_connection)
{
    static const uint8_t command[] = { 6, 0, 0, 0, 0, 0x10, 0, 0, 0 };
    static const uint8_t message[] = { 2, 0, 0, 0, 0, 0x10, 0, 0, 0 };
    struct stranger stranger;
    struct buf metadata = { 0 };

    uint64_t before = resident_bytes();
    ck_assert_uint_gt(before, 0);
    stranger_open(&stranger, ada->port, NULL);
    stranger_greet(&stranger, "CURVE");
    stranger_say(&stranger, command, sizeof command);
    ck_assert_soon_of(&stranger, stranger.ended);
    ck_assert_uint_le(stranger.heard.size, STRANGER_GREETING);
    stranger_close(&stranger);
    /* Nor may one who belongs here. */
    stranger_property(&metadata, "Socket-Type", "DEALER");
    shake(&stranger, ada, ben->pair.secret_key, buf_span(&metadata));
    ck_assert_soon_of(&stranger, stranger.heard.size > STRANGER_WELCOME);
    stranger_say(&stranger, message, sizeof message);
    ck_assert_soon_of(&stranger, stranger.ended);
    stranger_close(&stranger);
    buf_free(&metadata);
    /* Nothing was set aside for what it declared. */
    ck_assert_uint_lt(resident_bytes(), before + (16 << 20));
}
END_TEST

START_TEST(n4_a_device_that_claims_to_be_another_is_taken_for_itself)
{
    struct stranger stranger;
    struct buf metadata = { 0 };
    char forged[ZAP_USER_ID_BYTES];

    allow(ada, ben, eve);
    memset(forged, '0', sizeof forged - 1);
    forged[sizeof forged - 1] = '\0';
    bytes_hex(forged, hash_span(&eve->device_id));
    forged[2 * HASH_BYTES] = '0';
    stranger_property(&metadata, "Socket-Type", "DEALER");
    stranger_property(&metadata, "User-Id", forged);
    shake(&stranger, ada, ben->pair.secret_key, buf_span(&metadata));
    ck_assert_soon_of(&stranger, stranger.heard.size > STRANGER_WELCOME);
    ck_assert(stranger_send(&stranger, span_text("I am eve"), false));
    ck_assert_soon_of(&stranger, ada->messages == 1);
    ck_assert(hash_equal(&ada->last_from, &ben->device_id));
    stranger_close(&stranger);
    buf_free(&metadata);
}
END_TEST

/* ada draws keys for each connection, so that nothing of another one opens. */
START_TEST(n8_a_recorded_connection_that_is_sent_again_is_not_heard)
{
    struct stranger first;
    struct stranger second;
    struct buf metadata = { 0 };

    stranger_property(&metadata, "Socket-Type", "DEALER");
    shake(&first, ada, ben->pair.secret_key, buf_span(&metadata));
    ck_assert_soon_of(&first, first.heard.size > STRANGER_WELCOME);
    ck_assert(stranger_send(&first, span_text("once"), false));
    ck_assert_soon_of(&first, ada->messages == 1);
    /* In the connection itself: its last frame, whose number was used. */
    struct buf last = { 0 };
    buf_put(&last, first.said.data + first.said_last, first.said.size - first.said_last);
    ck_assert(stranger_say(&first, last.data, last.size));
    first.said.size -= last.size;
    buf_free(&last);
    ck_assert_soon_of(&first, first.ended);
    /* In another one: all of it, each step when its turn comes. */
    stranger_open(&second, ada->port, NULL);
    stranger_say(&second, first.said.data, STRANGER_GREETING);
    ck_assert_soon_of(&second, second.heard.size >= STRANGER_GREETING);
    stranger_say(&second, first.said.data + STRANGER_GREETING, STRANGER_HELLO);
    ck_assert_soon_of(&second, second.heard.size >= STRANGER_WELCOME);
    stranger_say(&second, first.said.data + STRANGER_GREETING + STRANGER_HELLO,
                 first.said.size - STRANGER_GREETING - STRANGER_HELLO);
    ck_assert_soon_of(&second, second.ended);
    ck_assert_uint_eq(second.heard.size, STRANGER_WELCOME);
    ck_assert_uint_eq(ada->messages, 1);
    ck_assert_uint_eq(ada->last.size, 4);
    ck_assert_mem_eq(ada->last.data, "once", 4);
    stranger_close(&first);
    stranger_close(&second);
    buf_free(&metadata);
}
END_TEST

/* Whoever holds no key can put one frame more into a connection that it carries: libzmq, asked to tell of that, would leave the
 * connection standing, and at the next heartbeat after its end it would end the process. */
START_TEST(n8_a_frame_that_is_sent_again_ends_its_connection_and_nothing_else)
{
    struct stranger stranger;
    struct buf metadata = { 0 };
    struct link_options options = options_of(ada);

    options.heartbeat_ms = 50;
    open_node(ada, &options);
    allow(ada, ben, NULL);
    listen_at(ada, "tcp://127.0.0.1:*");
    stranger_property(&metadata, "Socket-Type", "DEALER");
    for (uint64_t n = 1; n <= 3; n++) {
        struct buf last = { 0 };

        shake(&stranger, ada, ben->pair.secret_key, buf_span(&metadata));
        ck_assert_soon_of(&stranger, stranger.heard.size > STRANGER_WELCOME);
        ck_assert(stranger_send(&stranger, span_text("once"), false));
        ck_assert_soon_of(&stranger, ada->messages == n);
        buf_put(&last, stranger.said.data + stranger.said_last, stranger.said.size - stranger.said_last);
        /* Garbled, the second time; and the third it does not wait until it is cut off. */
        last.data[last.size - 1] ^= n == 2 ? 1 : 0;
        ck_assert(stranger_say(&stranger, last.data, last.size));
        buf_free(&last);
        if (n < 3) {
            ck_assert_soon_of(&stranger, stranger.ended);
        }
        stranger_close(&stranger);
        ck_assert_soon(ada->downs == n);
        ck_assert_int_eq(ada->last_down, LINK_DISCONNECTED);
    }
    ck_assert_uint_eq(ada->messages, 3);
    /* The door lives, and ben himself is heard. */
    ada->messages = 0;
    ada->ups = 0;
    meet();
    ck_assert_uint_eq(ada->downs, 3);
    buf_free(&metadata);
}
END_TEST

/* Else whoever called would take the line for broken, and call again at once: on one that is paid for by the byte, for ever. */
START_TEST(the_last_word_before_a_hang_up_arrives)
{
    enum { TIMES = 30 };
    struct buf metadata = { 0 };
    struct link_options options = options_of(ada);

    open_node(ada, &options);
    allow(ada, ben, NULL);
    listen_at(ada, "tcp://127.0.0.1:*");
    stranger_property(&metadata, "Socket-Type", "DEALER");
    for (uint64_t n = 1; n <= TIMES; n++) {
        struct stranger stranger;

        shake(&stranger, ada, ben->pair.secret_key, buf_span(&metadata));
        ck_assert_soon_of(&stranger, stranger.heard.size > STRANGER_WELCOME);
        ck_assert(stranger_send(&stranger, span_text("once"), false));
        ck_assert_soon_of(&stranger, ada->messages == n);
        size_t before = stranger.heard.size;
        ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_text("goodbye")), ERR_OK);
        link_hangup(ada->link, &ben->device_id, LINK_HUNG_UP);
        ck_assert_soon_of(&stranger, stranger.heard.size > before || stranger.ended);
        ck_assert_uint_gt(stranger.heard.size, before);
        stranger_close(&stranger);
    }
    buf_free(&metadata);
}
END_TEST

START_TEST(n4_two_keys_with_one_routing_id_are_never_confused)
{
    struct stranger first;
    struct stranger second;
    struct buf metadata = { 0 };

    allow(ada, ben, eve);
    stranger_property(&metadata, "Socket-Type", "DEALER");
    stranger_property(&metadata, "Identity", "same");
    shake(&first, ada, ben->pair.secret_key, buf_span(&metadata));
    ck_assert_soon_of(&first, first.heard.size > STRANGER_WELCOME);
    ck_assert(stranger_send(&first, span_text("one"), false));
    ck_assert_soon_of(&first, first.ended);
    shake(&second, ada, eve->pair.secret_key, buf_span(&metadata));
    ck_assert_soon_of(&second, second.heard.size > STRANGER_WELCOME);
    ck_assert(stranger_send(&second, span_text("two"), false));
    ck_assert_soon_of(&second, second.ended);
    ck_assert_soon(ada->refused[LINK_OWN_ROUTING_ID] >= 1);
    ck_assert_uint_eq(ada->messages + ada->ups, 0);
    stranger_close(&first);
    stranger_close(&second);
    buf_free(&metadata);
    /* An honest ben has none and is heard. */
    meet();
}
END_TEST

START_TEST(who_left_the_list_before_its_first_message_is_not_heard)
{
    struct stranger stranger;
    struct buf metadata = { 0 };

    stranger_property(&metadata, "Socket-Type", "DEALER");
    shake(&stranger, ada, ben->pair.secret_key, buf_span(&metadata));
    ck_assert_soon_of(&stranger, stranger.heard.size > STRANGER_WELCOME);
    allow(ada, eve, NULL);
    ck_assert(stranger_send(&stranger, span_text("too late"), false));
    ck_assert_soon_of(&stranger, stranger.ended);
    ck_assert_soon(ada->refused[LINK_NO_IDENTITY] == 1);
    ck_assert_uint_eq(ada->messages + ada->ups, 0);
    stranger_close(&stranger);
    buf_free(&metadata);
}
END_TEST

START_TEST(messages_in_parts_or_without_a_byte_are_refused_and_their_sender_cut_off)
{
    struct buf metadata = { 0 };

    stranger_property(&metadata, "Socket-Type", "DEALER");
    for (int i = 0; i < 2; i++) {
        struct stranger stranger;
        shake(&stranger, ada, ben->pair.secret_key, buf_span(&metadata));
        ck_assert_soon_of(&stranger, stranger.heard.size > STRANGER_WELCOME);
        if (i == 0) {
            ck_assert(stranger_send(&stranger, span_text("in"), true));
            ck_assert(stranger_send(&stranger, span_text("two parts"), false));
        } else {
            ck_assert(stranger_send(&stranger, span_text(""), false));
        }
        ck_assert_soon_of(&stranger, stranger.ended);
        stranger_close(&stranger);
    }
    ck_assert_soon(ada->refused[LINK_MALFORMED] >= 1);
    ck_assert_uint_eq(ada->messages + ada->ups, 0);
    buf_free(&metadata);
}
END_TEST

START_TEST(n7_a_message_that_never_ends_is_cut_off)
{
    static uint8_t part[512 * 1024];
    struct stranger stranger;
    struct buf metadata = { 0 };
    uint64_t deadline = now_ms() + DEADLINE_MS;
    bool going = true;

    stranger_property(&metadata, "Socket-Type", "DEALER");
    shake(&stranger, ada, ben->pair.secret_key, buf_span(&metadata));
    ck_assert_soon_of(&stranger, stranger.heard.size > STRANGER_WELCOME);
    while (going) {
        ck_assert(now_ms() < deadline);
        going = stranger_send(&stranger, span_of(part, sizeof part), true);
        turn();
    }
    ck_assert_soon(ada->refused[LINK_OVERRAN] == 1);
    ck_assert_uint_eq(ada->messages + ada->ups, 0);
    stranger_close(&stranger);
    buf_free(&metadata);
}
END_TEST

/* --- What libzmq does by itself, and why every message is looked at ------------------------ */

/* Where a listener has no handler, or one that gives no identity, libzmq hands on what the client
 * claims, or nothing. A link would believe neither. */
START_TEST(n4_an_identity_from_a_listener_without_a_handler_or_with_an_empty_one_is_never_believed)
{
    struct zap_guest guest = guest_of(ben);
    struct zap_list list = { .count = 0 };
    struct key mac_key = { "a key that libzmq does not know" };
    struct hash device_id;
    char forged[ZAP_USER_ID_BYTES];
    char endpoint[128];
    size_t size;

    ck_assert_int_eq(zap_list_set(&list, &guest, 1), ERR_OK);
    memset(forged, 'a', sizeof forged - 1);
    forged[sizeof forged - 1] = '\0';
    bytes_hex(forged, hash_span(&ben->device_id));
    forged[2 * HASH_BYTES] = 'a';
    for (int with_handler = 0; with_handler < 2; with_handler++) {
        int one = 1;
        int zero = 0;
        void *context = zmq_ctx_new();
        void *zap = zmq_socket(context, ZMQ_REP);
        void *router = zmq_socket(context, ZMQ_ROUTER);
        struct stranger stranger;
        struct buf metadata = { 0 };
        if (with_handler) {
            ck_assert_int_eq(zmq_bind(zap, "inproc://zeromq.zap.01"), 0);
            zmq_setsockopt(router, ZMQ_ZAP_DOMAIN, "x", 1);
        }
        zmq_setsockopt(router, ZMQ_CURVE_SERVER, &one, sizeof one);
        zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, ada->pair.secret_key, 32);
        zmq_setsockopt(router, ZMQ_LINGER, &zero, sizeof zero);
        ck_assert_int_eq(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
        size = sizeof endpoint;
        zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size);
        struct node open_door = { .port = (uint16_t)atoi(strrchr(endpoint, ':') + 1), .pair = ada->pair };
        stranger_property(&metadata, "Socket-Type", "DEALER");
        stranger_property(&metadata, "User-Id", forged);
        shake(&stranger, &open_door, ben->pair.secret_key, buf_span(&metadata));
        if (with_handler) {
            char part[256];
            int more = 1;
            size = sizeof more;
            while (more) {
                ck_assert_int_ge(zmq_recv(zap, part, sizeof part, 0), 0);
                zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &size);
            }
            static const char *const answer[] = { "1.0", "1", "200", "", "", "" };
            for (int i = 0; i < 6; i++) {
                ck_assert_int_ge(zmq_send(zap, answer[i], strlen(answer[i]), i < 5 ? ZMQ_SNDMORE : 0), 0);
            }
        }
        ck_assert_soon_of(&stranger, stranger.heard.size > STRANGER_WELCOME);
        ck_assert(stranger_send(&stranger, span_text("x"), false));
        zmq_msg_t message;
        zmq_msg_init(&message);
        ck_assert_int_gt(zmq_msg_recv(&message, router, 0), 0);
        ck_assert_int_eq(zmq_msg_recv(&message, router, 0), 1);
        const char *user_id = zmq_msg_gets(&message, "User-Id");
        if (!with_handler) {
            /* This is why: the lie came through. */
            ck_assert_str_eq(user_id, forged);
        }
        ck_assert(!zap_user_id_verify(&device_id, &list, &mac_key, user_id));
        zmq_msg_close(&message);
        stranger_close(&stranger);
        buf_free(&metadata);
        zmq_close(router);
        zmq_close(zap);
        zmq_ctx_term(context);
    }
    zap_list_free(&list);
}
END_TEST

/* --- Through a proxy --- */

/* A proxy that leads to `port`, whatever it is asked for. */
static void
start_proxy(uint16_t port)
{
    ck_assert(fake_proxy_open(&proxy, 0, port));
    proxy_open = true;
    snprintf(proxy_text, sizeof proxy_text, "socks5://127.0.0.1:%u", proxy.port);
}

static enum err
dial_through(struct node *from, const struct node *to, const char *endpoint)
{
    return link_dial(from->link, &to->device_id, to->pair.public_key, span_text(endpoint),
                     span_text(proxy_text), true);
}

/* A place where nobody may knock; what did is counted by trap_count. */
static int
set_trap(char endpoint_out[ENDPOINT_BYTES])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(endpoint_out, ENDPOINT_BYTES, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static size_t
trap_count(int trap)
{
    size_t count = 0;

    for (int fd; (fd = accept(trap, NULL, NULL)) >= 0;) {
        close(fd);
        count++;
    }
    return count;
}

START_TEST(through_a_proxy_messages_go_both_ways_and_it_alone_knows_the_name)
{
    static uint8_t bytes[MESSAGE_MAX];

    crypto_os_random(bytes, sizeof bytes);
    bytes[0] = 1; /* no envelope */
    start_proxy(ada->port);
    ck_assert_int_eq(dial_through(ben, ada, "tcp://vigil-hq.onion:7700"), ERR_OK);
    ck_assert_soon(ben->ups == 1);
    ck_assert_str_eq(proxy.host, "vigil-hq.onion");
    ck_assert_uint_eq(proxy.kind, 3);
    ck_assert_uint_eq(proxy.host_port, 7700);
    for (int n = 1; n <= 3; n++) {
        ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_of(bytes, sizeof bytes)), ERR_OK);
        ck_assert_soon(ada->messages == (uint64_t)n);
        ck_assert(span_equal(buf_span(&ada->last), span_of(bytes, sizeof bytes)));
        ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_of(bytes, sizeof bytes)), ERR_OK);
        ck_assert_soon(ben->messages == (uint64_t)n);
        ck_assert(span_equal(buf_span(&ben->last), span_of(bytes, sizeof bytes)));
    }
    ck_assert(hash_equal(&ada->last_from, &ben->device_id));
    ck_assert_uint_eq(proxy.accepted, 1);
    ck_assert_uint_eq(ada->downs + ben->downs, 0);
}
END_TEST

START_TEST(a_peer_with_a_proxy_is_never_dialled_past_it)
{
    char endpoint[ENDPOINT_BYTES];
    int trap = set_trap(endpoint);

    /* It works, */
    start_proxy(ada->port);
    ck_assert_int_eq(dial_through(ben, ada, endpoint), ERR_OK);
    ck_assert_soon(ben->ups == 1);
    ck_assert_uint_eq(proxy.kind, 1);
    /* it is gone, and it is asked for again and again, */
    fake_proxy_close(&proxy);
    proxy_open = false;
    ck_assert_soon(ben->downs >= 5);
    ck_assert_int_eq(ben->last_down, LINK_PROXY_UNREACHABLE);
    /* and by hand, */
    ck_assert_int_eq(dial_through(ben, ada, endpoint), ERR_OK);
    ck_assert_soon(ben->downs >= 6);
    /* and comes back. */
    ck_assert(fake_proxy_open(&proxy, proxy.port, ada->port));
    proxy_open = true;
    ck_assert_soon(ben->ups == 2);
    ck_assert_uint_eq(trap_count(trap), 0);
    /* The trap would have noticed. */
    ck_assert_int_eq(dial(ben, ada, endpoint), ERR_OK);
    ck_assert_soon(trap_count(trap) == 1);
    close(trap);
}
END_TEST

START_TEST(a_proxy_that_refuses_is_asked_once_for_each_attempt)
{
    char endpoint[ENDPOINT_BYTES];
    int trap = set_trap(endpoint);

    start_proxy(ada->port);
    proxy.reply = 4;
    ck_assert_int_eq(dial_through(ben, ada, endpoint), ERR_OK);
    ck_assert_soon(ben->downs == 4);
    ck_assert_int_eq(ben->last_down, LINK_PROXY_NO_HOST);
    ck_assert_uint_eq(proxy.accepted, 4);
    ck_assert_uint_eq(proxy.asked, 4);
    ck_assert_uint_eq(ben->ups, 0);
    ck_assert_uint_eq(trap_count(trap), 0);
    proxy.reply = 0;
    ck_assert_soon(ben->ups == 1);
    close(trap);
}
END_TEST

START_TEST(a_connection_that_the_proxy_cuts_is_made_again_through_it)
{
    start_proxy(ada->port);
    ck_assert_int_eq(dial_through(ben, ada, "tcp://vigil-hq.onion:7700"), ERR_OK);
    ck_assert_soon(ben->ups == 1);
    fake_proxy_cut(&proxy);
    ck_assert_soon(ben->downs == 1);
    ck_assert_int_eq(ben->last_down, LINK_DISCONNECTED);
    ck_assert_soon(ben->ups == 2);
    ck_assert_uint_eq(proxy.accepted, 2);
}
END_TEST

/* The proxy says yes, and the peer behind it closes at once, speaks something else, or says nothing. */
START_TEST(what_fails_behind_the_proxy_is_told_apart)
{
    struct link_options options = options_of(ben);
    char endpoint[ENDPOINT_BYTES];
    int trap = set_trap(endpoint);

    options.handshake_ms = 300;
    open_node(ben, &options);
    allow(ben, ada, NULL);
    start_proxy((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    ck_assert_int_eq(dial_through(ben, ada, "tcp://vigil-hq.onion:7700"), ERR_OK);
    ck_assert_soon(ben->downs == 1);
    ck_assert_int_eq(ben->last_down, LINK_HANDSHAKE_TIMEOUT);
    ck_assert_soon(trap_count(trap) > 0 && ben->last_down == LINK_DISCONNECTED);
    proxy.ahead = "HTTP/1.1 400 Bad Request";
    /* As without a proxy: libzmq does not say what it heard. */
    ck_assert_soon(ben->last_down == LINK_WRONG_KEY);
    proxy.ahead = NULL;
    close(trap);
    ck_assert_soon(ben->last_down == LINK_PROXY_NOBODY_LISTENS);
    ck_assert_uint_eq(ben->ups, 0);
}
END_TEST

START_TEST(without_a_proxy_an_onion_service_is_not_looked_up)
{
    ck_assert_int_eq(dial(ben, ada, "tcp://vigil-hq.onion:7700"), ERR_OK);
    ck_assert_soon(ben->downs == 1);
    ck_assert_int_eq(ben->last_down, LINK_NEEDS_PROXY);
}
END_TEST

START_TEST(another_proxy_takes_effect_at_once_and_bad_ones_are_refused)
{
    start_proxy(ada->port);
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->ups == 1);
    ck_assert_uint_eq(proxy.accepted, 0);
    ck_assert_int_eq(dial_through(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->ups == 2);
    ck_assert_uint_eq(proxy.accepted, 1);
    ck_assert_int_eq(ben->last_down, LINK_HUNG_UP);
    /* The same again changes nothing. */
    ck_assert_int_eq(dial_through(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_uint_eq(ben->downs, 1);
    strcpy(proxy_text, "http://127.0.0.1:3128");
    ck_assert_int_eq(dial_through(ben, ada, ada->endpoint), ERR_INVALID);
    snprintf(proxy_text, sizeof proxy_text, "socks5://127.0.0.1:%u", proxy.port);
    ck_assert_int_eq(dial_through(ben, ada, "ipc:///tmp/vigil-link-test"), ERR_INVALID);
}
END_TEST

START_TEST(without_a_directory_nobody_is_reached_through_a_proxy)
{
    struct link_options options = options_of(ben);

    options.directory = "/nowhere/at/all";
    open_node(ben, &options);
    allow(ben, ada, NULL);
    start_proxy(ada->port);
    ck_assert_int_eq(dial_through(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->downs == 1);
    ck_assert_int_eq(ben->last_down, LINK_NO_TUNNEL);
    options.directory = NULL;
    open_node(ben, &options);
    allow(ben, ada, NULL);
    ck_assert_int_eq(dial_through(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->downs == 2);
    ck_assert_int_eq(ben->last_down, LINK_NO_TUNNEL);
    ck_assert_uint_eq(ben->ups, 0);
}
END_TEST

/* --- Lines that keep a schedule ---------------------------------------------------------------- */

/* What passed one way: ZMTP 3, a greeting and then frames of a head and a body. */
struct passed {
    struct buf bytes;
    size_t messages; /* of CURVE: a body that begins with its length and MESSAGE */
    size_t size;     /* of each; 0: they differ */
};

static struct passed there;
static struct passed back;

static void
note_passed(const uint8_t *bytes, size_t size, bool is_there, void *self)
{
    (void)self;
    buf_put(is_there ? &there.bytes : &back.bytes, bytes, size);
}

static void
weigh(struct passed *passed)
{
    enum { GREETING_BYTES = 64, LONG = 2 };
    static const char name[] = "\7MESSAGE";
    struct reader in = reader_of(buf_span(&passed->bytes));

    passed->messages = 0;
    (void)reader_span(&in, GREETING_BYTES);
    while (reader_left(&in) > 0) {
        bool is_long = (reader_u8(&in) & LONG) != 0;
        struct span body = reader_span(&in, is_long ? (size_t)reader_u64(&in) : reader_u8(&in));
        if (in.failed) {
            break; /* the rest is still on its way */
        }
        if (body.size >= strlen(name) && memcmp(body.data, name, strlen(name)) == 0) {
            passed->size = passed->messages == 0 || passed->size == body.size ? body.size : 0;
            passed->messages++;
        }
    }
}

static void
keep_schedule(struct node *node, const struct node *other, uint32_t bytes)
{
    struct link_schedule row = { .device_id = other->device_id,
                                 .schedule = { .beat_s = bytes == 0 ? 0 : 1, .bytes = bytes } };

    ck_assert_int_eq(link_set_schedules(node->link, &row, 1), ERR_OK);
    ck_assert(link_keeps_schedule(node->link, &other->device_id) == (bytes > 0));
}

static void
send_bytes(struct node *from, const struct node *to, size_t size)
{
    static uint8_t bytes[MESSAGE_MAX];

    memset(bytes, 0x5a, size);
    ck_assert_int_eq(link_send(from->link, &to->device_id, span_of(bytes, size)), ERR_OK);
}

START_TEST(n12_on_a_line_with_a_schedule_nothing_but_envelopes_of_one_size_passes)
{
    enum { BYTES = 256, CURVE_BYTES = 8 + 8 + 16 + 1 };

    start_proxy(ada->port);
    proxy.on_passed = note_passed;
    keep_schedule(ada, ben, BYTES);
    keep_schedule(ben, ada, BYTES + 1);
    ck_assert_int_eq(dial_through(ben, ada, "tcp://vigil-hq.onion:7700"), ERR_OK);
    /* Nobody has anything to say. */
    ck_assert_soon(ben->received >= 2 && ada->received >= 2);
    ck_assert_uint_eq(ada->messages + ben->messages, 0);
    ck_assert_uint_eq(ada->theirs.beat_s, 1);
    ck_assert_uint_eq(ada->theirs.bytes, BYTES + 1);
    ck_assert_uint_eq(ben->theirs.bytes, BYTES);
    weigh(&there);
    weigh(&back);
    ck_assert_uint_eq(there.size, BYTES + 1 + CURVE_BYTES);
    ck_assert_uint_eq(back.size, BYTES + CURVE_BYTES);
    /* And now a little, and a lot. */
    send_bytes(ben, ada, 20);
    send_bytes(ada, ben, 3 * BYTES);
    ck_assert_soon(ada->messages == 1 && ben->messages == 1);
    ck_assert_uint_eq(ada->last.size, 20);
    ck_assert_uint_eq(ben->last.size, 3 * BYTES);
    weigh(&there);
    weigh(&back);
    ck_assert_uint_eq(there.size, BYTES + 1 + CURVE_BYTES);
    ck_assert_uint_eq(back.size, BYTES + CURVE_BYTES);
    ck_assert_uint_ge(back.messages, 2 + 4);
    ck_assert_uint_ge(there.messages, ada->received);
    ck_assert_uint_le(there.messages, ben->sent);
    ck_assert_uint_eq(ada->downs + ben->downs, 0);
    buf_free(&there.bytes);
    buf_free(&back.bytes);
}
END_TEST

static bool
try_to_send(struct node *from, const struct node *to)
{
    uint8_t bytes[700];

    memset(bytes, 0x5a, sizeof bytes);
    return link_send(from->link, &to->device_id, span_of(bytes, sizeof bytes)) == ERR_OK;
}

/* While one of the two connections is closed what goes over it is lost, in the middle of a frame, too: another comes whole. */
START_TEST(n12_where_both_call_nothing_but_envelopes_passes)
{
    listen_at(ben, "tcp://127.0.0.1:*");
    keep_schedule(ada, ben, 256);
    keep_schedule(ben, ada, 256);
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_int_eq(dial(ada, ben, ben->endpoint), ERR_OK);
    ck_assert_soon((try_to_send(ben, ada), ada->messages >= 2));
    ck_assert_soon((try_to_send(ada, ben), ben->messages >= 2));
    for (size_t n = 0; n < 2; n++) {
        ck_assert_uint_eq(nodes[n].last.size, 700);
        for (size_t at = 0; at < nodes[n].last.size; at++) {
            ck_assert_uint_eq(nodes[n].last.data[at], 0x5a);
        }
        for (int reason = LINK_ENVELOPE_SIZE; reason <= LINK_ENVELOPE_BESIDE; reason++) {
            ck_assert_uint_eq(nodes[n].refused[reason], 0);
        }
    }
}
END_TEST

START_TEST(frames_that_wait_for_their_beats_come_in_order_and_only_so_many_wait)
{
    enum { BYTES = 2048 };

    keep_schedule(ada, ben, ENVELOPE_BYTES_MAX);
    keep_schedule(ben, ada, BYTES);
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ada->ups == 1 && ben->ups == 1);
    for (uint8_t i = 100; i < 150; i++) {
        ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_of(&i, 1)), ERR_OK);
    }
    send_bytes(ben, ada, BYTES);
    /* Now there is more than the next one takes. */
    ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_text("x")), ERR_FULL);
    ck_assert_soon(link_send(ben->link, &ada->device_id, span_text("x")) == ERR_OK);
    ck_assert_soon(ada->messages == 52);
    for (uint8_t i = 0; i < 50; i++) {
        ck_assert_uint_eq(ada->first_bytes.data[i], 100 + i);
    }
    ck_assert_uint_eq(ada->first_bytes.data[51], 'x');
    /* Without room what came in envelopes waits, whoever dialled. */
    link_set_room(ada->link, &ben->device_id, false);
    send_bytes(ben, ada, 3);
    uint64_t came = ada->received;
    ck_assert_soon(ada->received >= came + 2);
    ck_assert_uint_eq(ada->messages, 52);
    link_set_room(ada->link, &ben->device_id, true);
    ck_assert_soon(ada->messages == 53);
    /* The longest takes as many beats as it needs. */
    send_bytes(ada, ben, 5 * ENVELOPE_BYTES_MAX);
    ck_assert_soon(ben->messages == 1);
    ck_assert_uint_eq(ben->last.size, 5 * ENVELOPE_BYTES_MAX);
    ck_assert_uint_eq(ada->downs + ben->downs, 0);
}
END_TEST

START_TEST(who_keeps_no_schedule_takes_envelopes_and_answers_with_frames)
{
    keep_schedule(ben, ada, 512);
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ada->ups == 1);
    send_bytes(ben, ada, 10);
    send_bytes(ada, ben, 11);
    ck_assert_soon(ben->messages == 1 && ada->messages == 1);
    ck_assert_uint_eq(ada->sent, 0);
    ck_assert_uint_eq(ben->received, 0);
    ck_assert_uint_gt(ben->sent, 0);
    ck_assert_uint_gt(ada->received, 0);
    ck_assert_uint_eq(ben->theirs.bytes, 0);
}
END_TEST

START_TEST(with_another_schedule_the_connection_is_made_anew)
{
    struct link_schedule bad = { .device_id = ada->device_id, .schedule = { .beat_s = 1, .bytes = 1 } };

    meet();
    keep_schedule(ben, ada, 256);
    ck_assert_soon(ben->downs == 1 && ben->ups == 2 && ada->ups == 2);
    ck_assert_int_eq(ben->last_down, LINK_SCHEDULE_CHANGED);
    send_bytes(ben, ada, 10);
    ck_assert_soon(ada->messages == 2);
    ck_assert_uint_eq(ada->theirs.bytes, 256);
    /* On the side that was dialled likewise. */
    keep_schedule(ada, ben, 300);
    ck_assert_soon(ada->downs == 2 && ada->ups == 3 && ben->ups == 3);
    ck_assert_soon(ben->theirs.bytes == 300);
    /* The same again changes nothing, and a bad one is refused. */
    keep_schedule(ben, ada, 256);
    ck_assert_int_eq(link_set_schedules(ben->link, &bad, 1), ERR_INVALID);
    keep_schedule(ben, ada, 256);
    send_bytes(ben, ada, 12);
    ck_assert_soon(ada->messages == 3);
    ck_assert_uint_eq(ada->downs, 2);
    keep_schedule(ben, ada, 0);
    ck_assert_soon(ben->ups == 4);
    send_bytes(ben, ada, 13);
    ck_assert_soon(ada->messages == 4);
}
END_TEST

/* ben keeps no schedule, and says what only who keeps one may. */
START_TEST(a_bad_envelope_ends_its_connection_and_is_counted)
{
    static const enum link_reason reasons[] = { LINK_ENVELOPE_SIZE, LINK_ENVELOPE_LENGTH,
                                                LINK_ENVELOPE_PADDING, LINK_ENVELOPE_BESIDE };

    allow(ben, ada, NULL);
    for (size_t n = 0; n < sizeof reasons / sizeof reasons[0]; n++) {
        uint8_t bytes[ENVELOPE_BYTES_MIN] = { 17, 0, 1 };
        size_t size = reasons[n] == LINK_ENVELOPE_SIZE ? sizeof bytes - 1 : sizeof bytes;

        bytes[3] = reasons[n] == LINK_ENVELOPE_LENGTH ? 1 : 0;
        bytes[sizeof bytes - 1] = reasons[n] == LINK_ENVELOPE_PADDING ? 1 : 0;
        ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
        ck_assert_soon(ben->ups == n + 1);
        if (reasons[n] == LINK_ENVELOPE_BESIDE) {
            send_bytes(ben, ada, 1);
        }
        ck_assert_int_eq(link_send(ben->link, &ada->device_id, span_of(bytes, size)), ERR_OK);
        ck_assert_soon(ada->downs == n + 1 && ada->refused[reasons[n]] == 1);
        ck_assert_int_eq(ada->last_down, reasons[n]);
        ck_assert(reason_is_of_security(reasons[n]));
        ck_assert_soon(ben->downs == n + 1);
    }
    ck_assert_uint_eq(ada->received, 0);
    /* On the side that dialled alike. */
    uint8_t bad[ENVELOPE_BYTES_MIN] = { 17, 0, 0 };
    ck_assert_soon(link_send(ben->link, &ada->device_id, span_text("x")) == ERR_OK);
    ck_assert_soon(ada->messages == 2);
    ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_of(bad, sizeof bad)), ERR_OK);
    ck_assert_soon(ben->refused[LINK_ENVELOPE_SIZE] == 1);
    ck_assert_int_eq(ben->last_down, LINK_ENVELOPE_SIZE);
}
END_TEST

START_TEST(the_last_word_of_a_line_with_a_schedule_goes_in_an_envelope_of_its_own)
{
    keep_schedule(ada, ben, 4096);
    ck_assert_int_eq(dial(ben, ada, ada->endpoint), ERR_OK);
    ck_assert_soon(ben->ups == 1);
    send_bytes(ben, ada, 1);
    ck_assert_soon(ada->ups == 1 && ada->sent == 1);
    ck_assert_int_eq(link_send(ada->link, &ben->device_id, span_text("goodbye")), ERR_OK);
    link_hangup(ada->link, &ben->device_id, LINK_HUNG_UP);
    ck_assert_soon(ben->messages == 1);
    ck_assert(span_equal(buf_span(&ben->last), span_text("goodbye")));
    ck_assert_uint_eq(ada->sent, 2);
}
END_TEST

SUITE_MAIN_WITH(
    "link", open_all, close_all, messages_of_300_bytes_and_of_a_mebibyte_go_both_ways,
    a_descriptor_of_the_owner_wakes_the_link, who_is_not_connected_cannot_be_sent_to,
    n2_until_a_list_is_sent_nobody_comes_in_and_nobody_is_dialled,
    only_endpoints_of_known_devices_are_dialled, a_unix_socket_and_the_second_protocol_of_addresses_work_too,
    a_device_that_left_the_list_is_hung_up_on_and_cannot_come_back,
    a_peer_that_we_dialled_and_that_left_the_list_is_hung_up_on, hanging_up_ends_it_on_both_sides,
    n9_a_connection_is_made_anew_after_so_many_bytes_and_after_some_time,
    of_two_connections_that_of_the_smaller_id_stays, without_room_nothing_is_read_and_then_all_comes_in_order,
    who_sends_on_without_room_is_hung_up_on, a_peer_that_does_not_read_fills_a_bounded_queue,
    nobody_listening_is_told_apart, an_address_without_a_route_is_told_apart,
    a_name_that_does_not_resolve_is_told_apart, another_transport_key_than_expected_is_told_apart,
    a_handshake_that_times_out_is_told_apart, a_node_that_goes_away_is_told_apart_and_found_again,
    what_came_before_the_line_broke_is_read_to_its_end, a_connection_on_which_nothing_is_said_stays,
    every_reason_has_words_of_its_own, n1_a_stranger_gets_not_one_byte_after_its_handshake_failed,
    n3_other_mechanisms_and_older_protocols_and_garbage_are_cut_off_after_the_greeting,
    n7_a_silent_stranger_is_cut_off_after_the_handshake_time, n2_with_a_handler_that_hangs_nobody_comes_in,
    n6_a_crowd_at_the_door_is_limited_and_does_not_keep_a_friend_out,
    without_file_descriptors_listening_rests_and_starts_again,
    n7_a_header_that_declares_256_mebibytes_ends_the_connection,
    n4_a_device_that_claims_to_be_another_is_taken_for_itself,
    n8_a_recorded_connection_that_is_sent_again_is_not_heard,
    n8_a_frame_that_is_sent_again_ends_its_connection_and_nothing_else,
    the_last_word_before_a_hang_up_arrives, n4_two_keys_with_one_routing_id_are_never_confused,
    who_left_the_list_before_its_first_message_is_not_heard,
    messages_in_parts_or_without_a_byte_are_refused_and_their_sender_cut_off,
    n7_a_message_that_never_ends_is_cut_off,
    n4_an_identity_from_a_listener_without_a_handler_or_with_an_empty_one_is_never_believed,
    through_a_proxy_messages_go_both_ways_and_it_alone_knows_the_name,
    a_peer_with_a_proxy_is_never_dialled_past_it, a_proxy_that_refuses_is_asked_once_for_each_attempt,
    a_connection_that_the_proxy_cuts_is_made_again_through_it, what_fails_behind_the_proxy_is_told_apart,
    without_a_proxy_an_onion_service_is_not_looked_up,
    another_proxy_takes_effect_at_once_and_bad_ones_are_refused,
    without_a_directory_nobody_is_reached_through_a_proxy,
    n12_on_a_line_with_a_schedule_nothing_but_envelopes_of_one_size_passes,
    n12_where_both_call_nothing_but_envelopes_passes,
    frames_that_wait_for_their_beats_come_in_order_and_only_so_many_wait,
    who_keeps_no_schedule_takes_envelopes_and_answers_with_frames,
    with_another_schedule_the_connection_is_made_anew, a_bad_envelope_ends_its_connection_and_is_counted,
    the_last_word_of_a_line_with_a_schedule_goes_in_an_envelope_of_its_own)
