/* relay.c - a bad line between two nodes, on command.
 *
 *     relay --to 7701 --listen 7801 [--dump FILE] < commands > answers
 *
 *     node A ---> relay:7801 ---> node B:7701        one TCP connection on either side for each
 *
 * Commands, one a line; each is answered by one line, "ok" or "bad ...":
 *
 *     cut              break every connection off now
 *     cut-after N      after N more bytes, both ways together, break every connection off
 *     cut-every N      and again after each N bytes; 0: no longer
 *     stall, resume    pass nothing on, and keep what has come; go on
 *     refuse, accept   take no new connection, as if nobody listened; take them again
 *     rate N           bytes a second and direction; 0: as fast as it goes
 *     delay MS         hold each byte back so long
 *     count            "connections N open N refused N cuts N there N back N"
 *     quit
 *
 * It also ends with its standard input, or on a signal. The dump is what passed, both ways, in the order of passing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, PIPE_BYTES = 256 * 1024, MARKS_MAX = 256, LINE_BYTES_MAX = 256, IDLE_MS = 1000 };

/* Bytes that came together. */
struct mark {
    int64_t due_ms;
    size_t bytes;
};

/* One direction of a connection: read from `from`, written to `to`. */
struct lane {
    int from;
    int to;
    uint8_t bytes[PIPE_BYTES];
    size_t used;
    struct mark marks[MARKS_MAX];
    size_t mark_count;
    double allowance; /* bytes that the rate lets pass now */
    int64_t refilled_ms;
    bool ended; /* nothing more comes */
    bool closed;
    uint64_t *passed;
};

struct connection {
    int fds[2];  /* the caller's, the target's; -1: closed */
    bool ending; /* broken off: what was passed on still arrives */
    struct lane there;
    struct lane back;
};

struct relay {
    struct sockaddr_in listen_at;
    struct sockaddr_in target;
    int listener; /* -1: refusing */
    FILE *dump;
    struct connection connections[CONNECTIONS_MAX];
    bool stalled;
    uint64_t rate;
    int64_t delay_ms;
    uint64_t cut_left; /* bytes until a cut; UINT64_MAX: none */
    uint64_t cut_every;
    uint64_t accepted;
    uint64_t refused; /* came in, but the target took no connection */
    uint64_t cuts;
    uint64_t there;
    uint64_t back;
    char line[LINE_BYTES_MAX];
    size_t line_used;
    bool quit;
};

static struct relay relay = { .listener = -1, .cut_left = UINT64_MAX };

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fputs("relay: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static int64_t
now_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- Connections -------------------------------------------------------------- */

static void
listen_again(void)
{
    int on = 1;
    socklen_t size = sizeof relay.listen_at;

    relay.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (relay.listener < 0 || setsockopt(relay.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(relay.listener, (const struct sockaddr *)&relay.listen_at, sizeof relay.listen_at) != 0 ||
        listen(relay.listener, CONNECTIONS_MAX) != 0 ||
        getsockname(relay.listener, (struct sockaddr *)&relay.listen_at, &size) != 0) {
        die("port %d: %s", ntohs(relay.listen_at.sin_port), strerror(errno));
    }
}

static bool
is_free(const struct connection *connection)
{
    return connection->fds[0] < 0 && connection->fds[1] < 0;
}

static bool
is_open(const struct connection *connection)
{
    return !is_free(connection) && !connection->ending;
}

/* Nothing more passes, but all that did arrives, however slowly it is read: the system would drop it with a reset if
 * an end were closed before the other side has closed its own. */
static void
break_off(struct connection *connection)
{
    connection->ending = true;
    for (size_t n = 0; n < 2; n++) {
        (void)shutdown(connection->fds[n], SHUT_WR);
    }
}

/* Close the ends of a connection that was broken off when their other sides are closed. */
static void
let_end(struct connection *connection)
{
    static uint8_t unread[4096];

    for (size_t n = 0; n < 2; n++) {
        ssize_t got = 1;
        while (connection->fds[n] >= 0 && got > 0) {
            got = recv(connection->fds[n], unread, sizeof unread, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                (void)close(connection->fds[n]);
                connection->fds[n] = -1;
            }
        }
    }
}

static void
cut_all(void)
{
    for (size_t n = 0; n < CONNECTIONS_MAX; n++) {
        if (is_open(&relay.connections[n])) {
            break_off(&relay.connections[n]);
        }
    }
    relay.cuts++;
    relay.cut_left = relay.cut_every > 0 ? relay.cut_every : UINT64_MAX;
}

static void
begin_lane(struct lane *lane, int from, int to, uint64_t *passed)
{
    lane->from = from;
    lane->to = to;
    lane->used = 0;
    lane->mark_count = 0;
    lane->allowance = 0;
    lane->refilled_ms = now_ms();
    lane->ended = false;
    lane->closed = false;
    lane->passed = passed;
}

static void
take_connection(void)
{
    static const int on = 1;
    struct connection *free_one = NULL;

    int near = accept4(relay.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (near < 0) {
        return;
    }
    for (size_t n = 0; n < CONNECTIONS_MAX && free_one == NULL; n++) {
        free_one = is_free(&relay.connections[n]) ? &relay.connections[n] : NULL;
    }
    /* On loopback a connection is there at once or refused at once, so this one may block. */
    int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (free_one == NULL || far < 0 ||
        connect(far, (const struct sockaddr *)&relay.target, sizeof relay.target) != 0 ||
        fcntl(far, F_SETFL, O_NONBLOCK) != 0) {
        relay.refused++;
        (void)close(near);
        if (far >= 0) {
            (void)close(far);
        }
        return;
    }
    (void)setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    relay.accepted++;
    free_one->fds[0] = near;
    free_one->fds[1] = far;
    free_one->ending = false;
    begin_lane(&free_one->there, near, far, &relay.there);
    begin_lane(&free_one->back, far, near, &relay.back);
}

/* --- What passes ---------------------------------------------------------------- */

static bool
has_room(const struct lane *lane)
{
    return !lane->ended && lane->used < PIPE_BYTES && lane->mark_count < MARKS_MAX;
}

/* False: the connection broke. */
static bool
lane_read(struct lane *lane)
{
    ssize_t got = read(lane->from, lane->bytes + lane->used, PIPE_BYTES - lane->used);

    if (got == 0) {
        lane->ended = true;
        return true;
    }
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    lane->used += (size_t)got;
    lane->marks[lane->mark_count++] = (struct mark){ now_ms() + relay.delay_ms, (size_t)got };
    return true;
}

/* How many bytes may go now by delay, rate and the cut to come. */
static size_t
lane_due(struct lane *lane)
{
    int64_t now = now_ms();
    size_t due = 0;

    for (size_t n = 0; n < lane->mark_count && lane->marks[n].due_ms <= now; n++) {
        due += lane->marks[n].bytes;
    }
    if (relay.rate > 0) {
        lane->allowance += (double)(now - lane->refilled_ms) * (double)relay.rate / 1000;
        /* No more than a tenth of a second's worth is saved up, or the rate would come in bursts. */
        double most = (double)relay.rate / 10 + 1;
        lane->allowance = lane->allowance > most ? most : lane->allowance;
        due = (double)due > lane->allowance ? (size_t)lane->allowance : due;
    }
    lane->refilled_ms = now;
    return due > relay.cut_left ? (size_t)relay.cut_left : due;
}

static void
lane_forget(struct lane *lane, size_t sent)
{
    memmove(lane->bytes, lane->bytes + sent, lane->used - sent);
    lane->used -= sent;
    while (sent > 0) {
        size_t part = sent < lane->marks[0].bytes ? sent : lane->marks[0].bytes;
        sent -= part;
        lane->marks[0].bytes -= part;
        if (lane->marks[0].bytes == 0) {
            lane->mark_count--;
            memmove(lane->marks, lane->marks + 1, lane->mark_count * sizeof lane->marks[0]);
        }
    }
}

/* False: the connection broke. */
static bool
lane_write(struct lane *lane)
{
    size_t due = lane_due(lane);

    if (due > 0) {
        ssize_t sent = send(lane->to, lane->bytes, due, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        if (relay.dump != NULL &&
            (fwrite(lane->bytes, 1, (size_t)sent, relay.dump) != (size_t)sent || fflush(relay.dump) != 0)) {
            die("the dump cannot be written");
        }
        lane_forget(lane, (size_t)sent);
        *lane->passed += (uint64_t)sent;
        if (relay.rate > 0) {
            lane->allowance -= (double)sent;
        }
        if (relay.cut_left != UINT64_MAX) {
            relay.cut_left -= (uint64_t)sent;
        }
    }
    if (lane->ended && lane->used == 0 && !lane->closed) {
        lane->closed = true;
        (void)shutdown(lane->to, SHUT_WR);
    }
    return true;
}

/* Move what can be moved; `ready` are the two polled ends. */
static void
move(struct connection *connection, const struct pollfd ready[2])
{
    struct lane *lanes[2] = { &connection->there, &connection->back };
    bool whole = true;

    for (size_t n = 0; n < 2 && whole; n++) {
        if ((ready[n].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && has_room(lanes[n])) {
            whole = lane_read(lanes[n]);
        }
    }
    for (size_t n = 0; n < 2 && whole && relay.cut_left > 0; n++) {
        whole = lane_write(lanes[n]);
    }
    if (!whole || (connection->there.closed && connection->back.closed)) {
        break_off(connection);
    }
}

/* --- Commands --------------------------------------------------------------------- */

static void
answer_count(void)
{
    size_t open = 0;

    for (size_t n = 0; n < CONNECTIONS_MAX; n++) {
        open += is_open(&relay.connections[n]);
    }
    (void)printf("connections %" PRIu64 " open %zu refused %" PRIu64 " cuts %" PRIu64 " there %" PRIu64
                 " back %" PRIu64 "\n",
                 relay.accepted, open, relay.refused, relay.cuts, relay.there, relay.back);
}

/* A command without a number; false: there is none of this name. */
static bool
obey_word(const char *word)
{
    if (strcmp(word, "cut") == 0) {
        cut_all();
    } else if (strcmp(word, "stall") == 0 || strcmp(word, "resume") == 0) {
        relay.stalled = word[0] == 's';
    } else if (strcmp(word, "refuse") == 0) {
        if (relay.listener >= 0) {
            (void)close(relay.listener);
        }
        relay.listener = -1;
    } else if (strcmp(word, "accept") == 0) {
        if (relay.listener < 0) {
            listen_again();
        }
    } else if (strcmp(word, "quit") == 0) {
        relay.quit = true;
    } else {
        return false;
    }
    return true;
}

static bool
obey_number(const char *word, uint64_t number)
{
    if (strcmp(word, "cut-after") == 0) {
        relay.cut_left = number;
    } else if (strcmp(word, "cut-every") == 0) {
        relay.cut_every = number;
        relay.cut_left = number > 0 ? number : UINT64_MAX;
    } else if (strcmp(word, "rate") == 0) {
        relay.rate = number;
    } else if (strcmp(word, "delay") == 0 && number <= INT_MAX) {
        relay.delay_ms = (int64_t)number;
    } else {
        return false;
    }
    return true;
}

static void
obey(const char *line)
{
    char word[32];
    uint64_t number = 0;
    char after = '\0';

    int found = sscanf(line, "%31s %" SCNu64 " %c", word, &number, &after);
    if (found == 1 && strcmp(word, "count") == 0) {
        answer_count();
    } else if ((found == 1 && obey_word(word)) || (found == 2 && obey_number(word, number))) {
        (void)printf("ok %s\n", line);
    } else {
        (void)printf("bad %s\n", line);
    }
    if (fflush(stdout) != 0) {
        die("nobody reads the answers");
    }
}

static void
read_commands(void)
{
    ssize_t got = read(STDIN_FILENO, relay.line + relay.line_used, sizeof relay.line - 1 - relay.line_used);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        relay.quit = true;
        return;
    }
    relay.line_used += (size_t)got;
    relay.line[relay.line_used] = '\0';
    for (char *end; (end = strchr(relay.line, '\n')) != NULL;) {
        *end = '\0';
        obey(relay.line);
        relay.line_used -= (size_t)(end + 1 - relay.line);
        memmove(relay.line, end + 1, relay.line_used + 1);
    }
    if (relay.line_used == sizeof relay.line - 1) {
        die("a command is too long");
    }
}

/* --- The loop ----------------------------------------------------------------------- */

/* Until when nothing can happen that poll does not tell: bytes held back by delay or rate. */
static int
wait_ms(void)
{
    int64_t least = IDLE_MS;

    for (size_t n = 0; n < CONNECTIONS_MAX && !relay.stalled; n++) {
        const struct connection *connection = &relay.connections[n];
        const struct lane *lanes[2] = { &connection->there, &connection->back };
        for (size_t m = 0; m < 2 && is_open(connection); m++) {
            if (lanes[m]->used > 0) {
                int64_t wait = lanes[m]->marks[0].due_ms - now_ms();
                wait = wait < 5 ? 5 : wait;
                least = wait < least ? wait : least;
            }
        }
    }
    return (int)least;
}

/* A side is asked for what comes, and for room where something is due to go to it. */
static struct pollfd
poll_side(int fd, const struct lane *from, struct lane *to)
{
    struct pollfd side = { .fd = -1 };
    short events = 0;

    if (has_room(from)) {
        events |= POLLIN;
    }
    if (lane_due(to) > 0) {
        events |= POLLOUT;
    }
    if (!relay.stalled && events != 0) {
        side.fd = fd;
        side.events = events;
    }
    return side;
}

static void
turn(void)
{
    static struct pollfd fds[2 + 2 * CONNECTIONS_MAX];

    fds[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = relay.listener, .events = POLLIN };
    for (size_t n = 0; n < CONNECTIONS_MAX; n++) {
        struct connection *connection = &relay.connections[n];
        fds[2 + 2 * n] = (struct pollfd){ .fd = connection->fds[0], .events = POLLIN };
        fds[3 + 2 * n] = (struct pollfd){ .fd = connection->fds[1], .events = POLLIN };
        if (is_open(connection)) {
            fds[2 + 2 * n] = poll_side(connection->fds[0], &connection->there, &connection->back);
            fds[3 + 2 * n] = poll_side(connection->fds[1], &connection->back, &connection->there);
        }
    }
    if (poll(fds, sizeof fds / sizeof fds[0], wait_ms()) < 0) {
        relay.quit = errno != EINTR;
        return;
    }
    if (fds[0].revents != 0) {
        read_commands();
    }
    for (size_t n = 0; n < CONNECTIONS_MAX; n++) {
        if (relay.connections[n].ending) {
            let_end(&relay.connections[n]);
        } else if (is_open(&relay.connections[n]) && !relay.stalled) {
            move(&relay.connections[n], &fds[2 + 2 * n]);
        }
        if (relay.cut_left == 0) {
            cut_all();
        }
    }
    if (fds[1].revents != 0 && relay.listener >= 0) {
        take_connection();
    }
}

static struct sockaddr_in
loopback(const char *port)
{
    char *end = NULL;
    unsigned long number = strtoul(port, &end, 10);

    if (end == port || *end != '\0' || number > 65535) {
        die("%s is no port", port);
    }
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)number),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "to", required_argument, NULL, 't' },
        { "listen", required_argument, NULL, 'l' },
        { "dump", required_argument, NULL, 'd' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    relay.listen_at = loopback("0");
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't':
            relay.target = loopback(optarg);
            break;
        case 'l':
            relay.listen_at = loopback(optarg);
            break;
        case 'd':
            relay.dump = fopen(optarg, "w");
            if (relay.dump == NULL) {
                die("%s: %s", optarg, strerror(errno));
            }
            break;
        default:
            die("usage: relay --to PORT [--listen PORT] [--dump FILE]");
        }
    }
    if (relay.target.sin_port == 0 || optind != argc) {
        die("usage: relay --to PORT [--listen PORT] [--dump FILE]");
    }
    for (size_t n = 0; n < CONNECTIONS_MAX; n++) {
        relay.connections[n].fds[0] = -1;
        relay.connections[n].fds[1] = -1;
    }
    listen_again();
    (void)printf("listening %d\n", ntohs(relay.listen_at.sin_port));
    if (fflush(stdout) != 0) {
        die("nobody reads the answers");
    }
    while (!relay.quit) {
        turn();
    }
    return relay.dump == NULL || fclose(relay.dump) == 0 ? 0 : 1;
}
