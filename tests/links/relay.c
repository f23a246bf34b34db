/* relay.c - a bad line between two nodes, on command.
 *
 *     relay --to 7701 --listen 7801 [--dump FILE] [--log FILE] [--frames FILE] [--seed N] < commands > answers
 *
 *     node A ---> relay:7801 ---> node B:7701        one TCP connection on either side for each
 *              there -->   <-- back
 *
 * A place is a port of loopback, or ADDRESS:PORT. Commands, one a line; each is answered by one line, "ok" or "bad ...":
 *
 *     cut              break every connection off now
 *     cut-after N      after N more bytes, both ways together, break every connection off
 *     cut-every N      and again after each N bytes; 0: no longer
 *     cut-each MS      and each time so long has passed; 0: no longer
 *     stall, resume    pass nothing on, and keep what has come; go on
 *     stalls PERCENT   so much of the time, in pieces of a second that the seed chooses, pass nothing on
 *     refuse, accept   take no new connection, as if nobody listened; take them again
 *     rate N           bytes a second and direction, all connections together; 0: as fast as it goes
 *     delay MS         hold each byte back so long
 *     queue N          hold at most N bytes a connection and direction, as a line with short queues does
 *     reset            begin to count and to log anew, frames too, and the time of stalls; what is open stays
 *     count            "connections N open N refused N cuts N turns N", then of each direction, as "there" and "back":
 *                      "there N" bytes, "frames-there N", "inner-there N" and "handshake-there N"
 *     quit
 *
 * It also ends with its standard input, or on a signal. The dump is what passed, both ways, in the order of passing.
 * The log has a line "SECONDS THERE BACK CUTS" for each quarter of a second in which something passed, and for each cut.
 *
 * The frames are a line "there message SIZE" or "back command SIZE" for each that passed, in that order: of messages the size is that
 * of the inner bytes, of all others, the handshake among them, that of the body.
 *
 * What passes is ZMTP 3 under CURVE: a frame is counted when its last byte has passed, its inner bytes are what the nodes
 * said, and the handshake is the greeting and all commands before the first message. What is no ZMTP has no frames. A
 * turn is a byte that goes the other way than the one before: two of them are a round trip, or the half of one where
 * both sides speak at once.
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

enum {
    CONNECTIONS_MAX = 64,
    PIPE_BYTES = 256 * 1024,
    MARKS_MAX = 256,
    LINE_BYTES_MAX = 256,
    IDLE_MS = 1000,
    STALL_MS = 1000, /* the pieces of time that stall, or do not */
    SAMPLE_MS = 250, /* of the log */
    PACKET_BYTES = 1400,
};

/* ZMTP 3: a greeting, then frames of a head and a body. Of CURVE each message is the body "\7MESSAGE", a nonce and a
 * box: so much more than what was said, with a byte of flags in the box. */
enum {
    GREETING_BYTES = 64,
    HEAD_BYTES_MAX = 9,
    NAME_BYTES = 8,
    CURVE_BYTES = NAME_BYTES + 8 + 16 + 1,
    FLAG_LONG = 2,
};

/* All that passed one way, and how fast it may. */
struct direction {
    uint64_t passed;
    uint64_t frames;
    uint64_t inner;
    uint64_t handshake;
    double allowance; /* bytes that the rate lets pass now */
    int64_t refilled_ms;
};

/* Where in the stream of one direction of a connection the next byte stands. */
struct place {
    uint64_t before; /* bytes of the greeting that passed */
    uint8_t head[HEAD_BYTES_MAX];
    size_t head_size;
    uint8_t name[NAME_BYTES];
    uint64_t body_size;
    uint64_t body_passed;
};

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
    bool ended; /* nothing more comes */
    bool closed;
    struct place place;
    struct direction *direction;
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
    FILE *log;
    FILE *frames;
    struct connection connections[CONNECTIONS_MAX];
    bool stalled;
    uint64_t stall_percent;
    uint64_t seed;
    uint64_t rate;
    int64_t delay_ms;
    size_t queue;      /* at most PIPE_BYTES */
    uint64_t cut_left; /* bytes until a cut; UINT64_MAX: none */
    uint64_t cut_every;
    int64_t cut_each_ms;
    int64_t next_cut_ms;
    uint64_t accepted;
    uint64_t refused; /* came in, but the target took no connection */
    uint64_t cuts;
    uint64_t turns;
    struct direction there;
    struct direction back;
    const struct direction *last; /* in which something passed */
    int64_t began_ms;
    int64_t logged_ms;
    uint64_t logged; /* bytes, both ways, at the last line */
    char line[LINE_BYTES_MAX];
    size_t line_used;
    bool quit;
};

static const char usage[] =
    "usage: relay --to PLACE [--listen PLACE] [--dump FILE] [--log FILE] [--frames FILE] [--seed N]";

static struct relay relay = { .listener = -1, .cut_left = UINT64_MAX, .queue = PIPE_BYTES };

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

/* --- The log -------------------------------------------------------------------- */

static void
log_now(void)
{
    if (relay.log == NULL) {
        return;
    }
    int64_t now = now_ms();
    if (fprintf(relay.log, "%.3f %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                (double)(now - relay.began_ms) / 1000, relay.there.passed, relay.back.passed,
                relay.cuts) < 0 ||
        fflush(relay.log) != 0) {
        die("the log cannot be written");
    }
    relay.logged_ms = now;
    relay.logged = relay.there.passed + relay.back.passed;
}

static void
log_sometimes(void)
{
    if (relay.there.passed + relay.back.passed != relay.logged && now_ms() >= relay.logged_ms + SAMPLE_MS) {
        log_now();
    }
}

/* --- Stalls ----------------------------------------------------------------------- */

/* The same pieces of time for the same seed. */
static bool
stalls_by_chance(int64_t at_ms)
{
    uint64_t mix =
        relay.seed + (uint64_t)((at_ms - relay.began_ms) / STALL_MS + 1) * UINT64_C(0x9e3779b97f4a7c15);

    mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mix = (mix ^ mix >> 27) * UINT64_C(0x94d049bb133111eb);
    mix ^= mix >> 31;
    return mix % 100 < relay.stall_percent;
}

static bool
is_stalled(void)
{
    return relay.stalled || stalls_by_chance(now_ms());
}

/* --- Connections -------------------------------------------------------------- */

/* The system is not to hold what the line does not: the other side would take it for sent. */
static void
keep_short(int fd)
{
    if (relay.queue < PIPE_BYTES) {
        int bytes = (int)relay.queue;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
}

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
    relay.next_cut_ms = now_ms() + relay.cut_each_ms;
    log_now();
}

static void
begin_lane(struct lane *lane, int from, int to, struct direction *direction)
{
    lane->from = from;
    lane->to = to;
    lane->used = 0;
    lane->mark_count = 0;
    lane->ended = false;
    lane->closed = false;
    lane->place = (struct place){ .before = 0 };
    lane->direction = direction;
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
    if (far >= 0) {
        keep_short(far);
    }
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

/* A quarter at least: or the other side would send a few bytes at a time. */
static bool
has_room(const struct lane *lane)
{
    return !lane->ended && lane->used <= relay.queue - (relay.queue + 3) / 4 && lane->mark_count < MARKS_MAX;
}

/* False: the connection broke. */
static bool
lane_read(struct lane *lane)
{
    ssize_t got = read(lane->from, lane->bytes + lane->used, relay.queue - lane->used);

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
    struct direction *direction = lane->direction;
    int64_t now = now_ms();
    size_t due = 0;

    if (is_stalled()) {
        direction->refilled_ms = now;
        return 0;
    }
    for (size_t n = 0; n < lane->mark_count && lane->marks[n].due_ms <= now; n++) {
        due += lane->marks[n].bytes;
    }
    if (relay.rate > 0) {
        direction->allowance += (double)(now - direction->refilled_ms) * (double)relay.rate / 1000;
        /* No more than a tenth of a second's worth is saved up, or the rate would come in bursts. */
        double most = (double)relay.rate / 10 + PACKET_BYTES;
        direction->allowance = direction->allowance > most ? most : direction->allowance;
        /* In packets, as on a line. */
        size_t least = due < PACKET_BYTES ? due : PACKET_BYTES;
        due = (double)due > direction->allowance ? (size_t)direction->allowance : due;
        due = due < least ? 0 : due;
    }
    direction->refilled_ms = now;
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

static bool
is_message(const struct place *place)
{
    return place->body_size >= CURVE_BYTES && memcmp(place->name, "\7MESSAGE", NAME_BYTES) == 0;
}

/* How long the head is whose first byte is there. */
static size_t
head_bytes(const struct place *place)
{
    return (place->head[0] & FLAG_LONG) != 0 ? HEAD_BYTES_MAX : 2;
}

static void
begin_body(struct place *place)
{
    place->body_size = 0;
    place->body_passed = 0;
    for (size_t n = 1; n < place->head_size; n++) {
        place->body_size = place->body_size << 8 | place->head[n];
    }
}

static void
count_frame(struct place *place, struct direction *direction)
{
    bool message = is_message(place);
    uint64_t inner = message ? place->body_size - CURVE_BYTES : 0;

    direction->frames += message;
    direction->inner += inner;
    direction->handshake += message ? 0 : place->head_size + place->body_size;
    if (relay.frames != NULL &&
        (fprintf(relay.frames, "%s %s %" PRIu64 "\n", direction == &relay.there ? "there" : "back",
                 message ? "message" : "command", message ? inner : place->body_size) < 0 ||
         fflush(relay.frames) != 0)) {
        die("the frames cannot be written");
    }
    place->head_size = 0;
}

static void
count_bytes(struct lane *lane, size_t count)
{
    struct place *place = &lane->place;
    struct direction *direction = lane->direction;

    direction->passed += count;
    relay.turns += relay.last != NULL && relay.last != direction;
    relay.last = direction;
    for (size_t n = 0; n < count; n++) {
        if (place->before < GREETING_BYTES) {
            place->before++;
            direction->handshake++;
        } else if (place->head_size == 0 || place->head_size < head_bytes(place)) {
            place->head[place->head_size++] = lane->bytes[n];
            if (place->head_size >= 2 && place->head_size == head_bytes(place)) {
                begin_body(place);
            }
        } else if (place->body_passed++ < NAME_BYTES) {
            place->name[place->body_passed - 1] = lane->bytes[n];
        }
        if (place->head_size >= 2 && place->head_size == head_bytes(place) &&
            place->body_passed == place->body_size) {
            count_frame(place, direction);
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
        count_bytes(lane, (size_t)sent);
        lane_forget(lane, (size_t)sent);
        if (relay.rate > 0) {
            lane->direction->allowance -= (double)sent;
        }
        if (relay.cut_left != UINT64_MAX) {
            relay.cut_left -= (uint64_t)sent;
        }
    }
    if (lane->ended && lane->used == 0 && !lane->closed && !is_stalled()) {
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
tell_direction(const struct direction *direction, const char *name)
{
    (void)printf(" %s %" PRIu64 " frames-%s %" PRIu64 " inner-%s %" PRIu64 " handshake-%s %" PRIu64, name,
                 direction->passed, name, direction->frames, name, direction->inner, name,
                 direction->handshake);
}

static void
answer_count(void)
{
    size_t open = 0;

    for (size_t n = 0; n < CONNECTIONS_MAX; n++) {
        open += is_open(&relay.connections[n]);
    }
    (void)printf("connections %" PRIu64 " open %zu refused %" PRIu64 " cuts %" PRIu64 " turns %" PRIu64,
                 relay.accepted, open, relay.refused, relay.cuts, relay.turns);
    tell_direction(&relay.there, "there");
    tell_direction(&relay.back, "back");
    (void)putchar('\n');
}

static void
begin_anew(FILE *file)
{
    if (file != NULL && (fseek(file, 0, SEEK_SET) != 0 || ftruncate(fileno(file), 0) != 0)) {
        die("a file cannot be begun anew");
    }
}

static void
reset(void)
{
    relay.accepted = 0;
    relay.refused = 0;
    relay.cuts = 0;
    relay.turns = 0;
    relay.last = NULL;
    relay.began_ms = now_ms();
    relay.logged = 0;
    begin_anew(relay.log);
    begin_anew(relay.frames);
    relay.there = (struct direction){ .refilled_ms = now_ms() };
    relay.back = (struct direction){ .refilled_ms = now_ms() };
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
    } else if (strcmp(word, "reset") == 0) {
        reset();
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
    } else if (strcmp(word, "cut-each") == 0 && number <= INT_MAX) {
        relay.cut_each_ms = (int64_t)number;
        relay.next_cut_ms = now_ms() + relay.cut_each_ms;
    } else if (strcmp(word, "stalls") == 0 && number < 100) {
        relay.stall_percent = number;
    } else if (strcmp(word, "queue") == 0 && number > 0 && number <= PIPE_BYTES) {
        relay.queue = (size_t)number;
        keep_short(relay.listener);
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

    if (relay.cut_each_ms > 0) {
        int64_t wait = relay.next_cut_ms - now_ms();
        least = wait < 0 ? 0 : wait < least ? wait : least;
    }
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
    if (events != 0) {
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
        } else if (is_open(&relay.connections[n])) {
            move(&relay.connections[n], &fds[2 + 2 * n]);
        }
        if (relay.cut_left == 0) {
            cut_all();
        }
    }
    if (relay.cut_each_ms > 0 && now_ms() >= relay.next_cut_ms) {
        cut_all();
    }
    log_sometimes();
    if (fds[1].revents != 0 && relay.listener >= 0) {
        take_connection();
    }
}

/* PORT or ADDRESS:PORT. */
static struct sockaddr_in
read_place(const char *text)
{
    struct sockaddr_in place = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char address[INET_ADDRSTRLEN] = "";
    const char *colon = strchr(text, ':');
    const char *port = colon == NULL ? text : colon + 1;
    char *end = NULL;
    unsigned long number = strtoul(port, &end, 10);

    if (colon != NULL && (size_t)(colon - text) < sizeof address) {
        memcpy(address, text, (size_t)(colon - text));
    }
    if (end == port || *end != '\0' || number > 65535 ||
        (colon != NULL && inet_pton(AF_INET, address, &place.sin_addr) != 1)) {
        die("%s is no port and no ADDRESS:PORT", text);
    }
    place.sin_port = htons((uint16_t)number);
    return place;
}

static FILE *
open_to_write(const char *path)
{
    FILE *file = fopen(path, "we");

    if (file == NULL) {
        die("%s: %s", path, strerror(errno));
    }
    return file;
}

static void
read_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "to", required_argument, NULL, 't' },
        { "listen", required_argument, NULL, 'l' },
        { "dump", required_argument, NULL, 'd' },
        { "log", required_argument, NULL, 'g' },
        { "seed", required_argument, NULL, 's' },
        { "frames", required_argument, NULL, 'f' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    relay.listen_at = read_place("0");
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't':
            relay.target = read_place(optarg);
            break;
        case 'l':
            relay.listen_at = read_place(optarg);
            break;
        case 'd':
            relay.dump = open_to_write(optarg);
            break;
        case 'g':
            relay.log = open_to_write(optarg);
            break;
        case 'f':
            relay.frames = open_to_write(optarg);
            break;
        case 's':
            relay.seed = strtoull(optarg, NULL, 10);
            break;
        default:
            die("%s", usage);
        }
    }
    if (relay.target.sin_port == 0 || optind != argc) {
        die("%s", usage);
    }
}

int
main(int argc, char **argv)
{
    read_options(argc, argv);
    for (size_t n = 0; n < CONNECTIONS_MAX; n++) {
        relay.connections[n].fds[0] = -1;
        relay.connections[n].fds[1] = -1;
    }
    reset();
    listen_again();
    (void)printf("listening %d\n", ntohs(relay.listen_at.sin_port));
    if (fflush(stdout) != 0) {
        die("nobody reads the answers");
    }
    while (!relay.quit) {
        turn();
    }
    log_now();
    bool whole = relay.dump == NULL || fclose(relay.dump) == 0;
    whole = (relay.log == NULL || fclose(relay.log) == 0) && whole;
    return whole ? 0 : 1;
}
