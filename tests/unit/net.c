/* The real net process, started as the store starts it: this program becomes it
 * when it is run again with `net` as its first argument. */
#include "tests/support/check.h"

#include "node/channel.h"
#include "node/net.h"
#include "node/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Long enough for the slowest machine: nothing waits so long unless it fails. */
enum { DEADLINE_MS = 240 * 1000, HANDSHAKE_MS = 30 * 1000 };

/* One store process's view: its net process and what that said. */
struct office {
    struct spawn spawn;
    struct channel channel;
    struct key_pair pair;
    struct hash device_id;
    char endpoint[ENDPOINT_BYTES];
    uint64_t counts[CHANNEL_ENVELOPES + 1]; /* frames, by type */
    enum link_reason reason;              /* the last */
    bool has_room;
    uint64_t sent; /* envelopes */
    uint64_t received;
    struct buf last; /* the message that came last */
};

static struct office ada;
static struct office ben;
static char state_directory[] = "/tmp/vigil-net-XXXXXX";
static int state_file;

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
take(struct office *office)
{
    struct channel_frame frame;

    if (office->channel.fd <= 0 || office->channel.closed) {
        return;
    }
    channel_write(&office->channel);
    channel_read(&office->channel);
    while (channel_next(&office->channel, &frame)) {
        office->counts[frame.type]++;
        if (frame.type == CHANNEL_READY) {
            memcpy(office->endpoint, frame.endpoint.data, frame.endpoint.size);
            office->endpoint[frame.endpoint.size] = '\0';
        } else if (frame.type == CHANNEL_DOWN) {
            office->reason = frame.reason;
        } else if (frame.type == CHANNEL_ROOM) {
            office->has_room = frame.has_room;
        } else if (frame.type == CHANNEL_ENVELOPES) {
            office->sent += frame.envelopes.sent;
            office->received += frame.envelopes.received;
        } else if (frame.type == CHANNEL_MESSAGE) {
            buf_clear(&office->last);
            buf_put_span(&office->last, frame.bytes);
        }
    }
    ck_assert(!office->channel.failed);
}

static void
turn(void)
{
    struct pollfd items[2] = { { .fd = ada.channel.closed ? -1 : ada.channel.fd, .events = POLLIN },
                               { .fd = ben.channel.closed ? -1 : ben.channel.fd, .events = POLLIN } };

    poll(items, 2, 5);
    take(&ada);
    take(&ben);
}

#define ck_assert_soon(condition)                                                                            \
    do {                                                                                                     \
        uint64_t deadline_ms_ = now_ms() + DEADLINE_MS;                                                      \
        while (!(condition)) {                                                                               \
            ck_assert_msg(now_ms() < deadline_ms_, "never came true: %s", #condition);                       \
            turn();                                                                                          \
        }                                                                                                    \
    } while (0)

/* What the store tells every new net process first. */
static void
configure(struct office *office, int fd)
{
    struct channel_config config = { .device_id = office->device_id,
                                     .handshake_ms = HANDSHAKE_MS,
                                     .redial_ms_min = 20,
                                     .redial_ms_max = 100,
                                     .sandbox = SANDBOX_BEST_EFFORT };

    ck_assert_int_eq(channel_open(&office->channel, fd, CHANNEL_STORE), ERR_OK);
    memcpy(config.secret_key, office->pair.secret_key, sizeof config.secret_key);
    channel_put_config(&office->channel, &config);
}

static void
allow(struct office *office, const struct office *other)
{
    struct zap_guest guest = { .device_id = other->device_id };

    memcpy(guest.curve_pk, other->pair.public_key, CURVE_PK_BYTES);
    channel_put_roster(&office->channel, &guest, 1);
}

static void
start(struct office *office, uint8_t number)
{
    uint8_t secret[32];
    int fd;

    *office = (struct office){ .has_room = true };
    crypto_os_random(secret, sizeof secret);
    crypto_box_pair_from_secret(&office->pair, secret);
    memset(office->device_id.bytes, number, HASH_BYTES);
    ck_assert_int_eq(spawn_start(&office->spawn, now_ms(), &fd), ERR_OK);
    configure(office, fd);
}

/* Two net processes beside a directory of which one file is open; ada's listens. */
static void
open_offices(void)
{
    char path[64];

    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(crypto_start(), ERR_OK);
    strcpy(state_directory, "/tmp/vigil-net-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(state_directory));
    snprintf(path, sizeof path, "%s/data", state_directory);
    /* Without O_CLOEXEC: the net process closes what it inherits all the same. */
    state_file = open(path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_ge(state_file, 0);
    start(&ada, 1);
    start(&ben, 2);
    channel_put_listen(&ada.channel, span_text("tcp://127.0.0.1:*"));
    channel_put_listen(&ben.channel, span_text(""));
    ck_assert_soon(ada.counts[CHANNEL_READY] == 1 && ben.counts[CHANNEL_READY] == 1);
    ck_assert_str_eq(ben.endpoint, "");
}

static void
close_offices(void)
{
    char path[64];

    channel_close(&ada.channel);
    channel_close(&ben.channel);
    spawn_stop(&ada.spawn);
    spawn_stop(&ben.spawn);
    buf_free(&ada.last);
    buf_free(&ben.last);
    close(state_file);
    snprintf(path, sizeof path, "%s/data", state_directory);
    unlink(path);
    rmdir(state_directory);
}

static void
dial(void)
{
    allow(&ben, &ada);
    channel_put_dial(&ben.channel, &ada.device_id, ada.pair.public_key, span_text(ada.endpoint),
                     span_text(""), true);
}

static void
meet(void)
{
    uint64_t messages = ada.counts[CHANNEL_MESSAGE];

    allow(&ada, &ben);
    dial();
    ck_assert_soon(ben.counts[CHANNEL_UP] >= 1);
    channel_put_message(&ben.channel, &ada.device_id, span_text("hello"));
    ck_assert_soon(ada.counts[CHANNEL_MESSAGE] == messages + 1);
    ck_assert(span_equal(buf_span(&ada.last), span_text("hello")));
}

START_TEST(net_is_a_process_of_its_own_with_no_file_but_the_channel_and_sockets)
{
    char directory[64];
    char target[256];
    struct dirent *entry;

    meet();
    ck_assert_int_ne(ada.spawn.pid, getpid());
    ck_assert_int_ne(ada.spawn.pid, ben.spawn.pid);
    snprintf(directory, sizeof directory, "/proc/%d/fd", (int)ada.spawn.pid);
    DIR *fds = opendir(directory);
    if (fds == NULL) {
        /* It may not be looked into by its own user, which is what it asked for. */
        ck_assert_int_eq(errno, EACCES);
        return;
    }
    size_t sockets = 0;
    while ((entry = readdir(fds)) != NULL) {
        ssize_t size = readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);
        if (size < 0) {
            continue;
        }
        target[size] = '\0';
        ck_assert_msg(strstr(target, state_directory) == NULL, "open: %s", target);
        sockets += strncmp(target, "socket:", 7) == 0;
        bool expected = strncmp(target, "socket:", 7) == 0 || strncmp(target, "anon_inode:", 11) == 0 ||
                        strcmp(target, "/dev/null") == 0 || atoi(entry->d_name) == STDERR_FILENO;
        ck_assert_msg(expected, "open: %s", target);
    }
    closedir(fds);
    /* The channel, the listener and ben. */
    ck_assert_uint_ge(sockets, 3);
}
END_TEST

START_TEST(c5_net_leaves_no_core_and_cannot_be_looked_into_or_gain_rights)
{
    char path[64];
    char line[256];
    struct rlimit core;
    struct rlimit files;
    bool no_new_privileges = false;

    ck_assert_int_eq(prlimit(ada.spawn.pid, RLIMIT_CORE, NULL, &core), 0);
    ck_assert_uint_eq(core.rlim_cur, 0);
    ck_assert_uint_eq(core.rlim_max, 0);
    ck_assert_int_eq(prlimit(ada.spawn.pid, RLIMIT_NOFILE, NULL, &files), 0);
    ck_assert_uint_eq(files.rlim_cur, files.rlim_max);
    snprintf(path, sizeof path, "/proc/%d/status", (int)ada.spawn.pid);
    FILE *status = fopen(path, "r");
    ck_assert_ptr_nonnull(status);
    while (fgets(line, sizeof line, status) != NULL) {
        no_new_privileges = no_new_privileges || strncmp(line, "NoNewPrivs:\t1", 13) == 0;
    }
    fclose(status);
    ck_assert(no_new_privileges);
    /* The files of a process that is not dumpable belong to root, whoever runs it. */
    struct stat owner;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)ada.spawn.pid);
    ck_assert_int_eq(stat(path, &owner), 0);
    ck_assert_uint_eq(owner.st_uid, 0);
    if (getuid() != 0) {
        ck_assert_int_eq(ptrace(PTRACE_SEIZE, ada.spawn.pid, NULL, NULL), -1);
        ck_assert_int_eq(errno, EPERM);
        return;
    }
    FILE *environment = fopen(path, "r");
    ck_assert_ptr_nonnull(environment);
    ck_assert_int_eq(fgetc(environment), EOF);
    fclose(environment);
}
END_TEST

START_TEST(n2_until_a_roster_is_sent_nobody_comes_in)
{
    dial();
    ck_assert_soon(ben.counts[CHANNEL_DOWN] >= 1);
    ck_assert_int_eq(ben.reason, LINK_REFUSED_BY_PEER);
    ck_assert_soon(ada.counts[CHANNEL_REFUSED] >= 1);
    ck_assert_uint_eq(ben.counts[CHANNEL_UP] + ada.counts[CHANNEL_UP], 0);
    allow(&ada, &ben);
    ck_assert_soon(ben.counts[CHANNEL_UP] == 1);
}
END_TEST

START_TEST(a_net_that_lives_answers_a_ping)
{
    channel_put_ping(&ada.channel);
    channel_put_ping(&ada.channel);
    ck_assert_soon(ada.counts[CHANNEL_PONG] == 2);
    ck_assert_uint_eq(ben.counts[CHANNEL_PONG], 0);
}
END_TEST

START_TEST(a_killed_net_is_reaped_started_again_and_connects_again)
{
    int fd = -1;
    pid_t before = ada.spawn.pid;
    enum spawn_news news;

    meet();
    ck_assert_int_eq(spawn_check(&ada.spawn, now_ms(), &fd), SPAWN_NOTHING);
    ck_assert_int_eq(kill(before, SIGKILL), 0);
    ck_assert_soon((news = spawn_check(&ada.spawn, now_ms(), &fd)) == SPAWN_DIED);
    ck_assert(WIFSIGNALED(ada.spawn.status));
    ck_assert_int_eq(fd, -1);
    ck_assert_soon(ada.channel.closed);
    channel_close(&ada.channel);
    ck_assert_soon((news = spawn_check(&ada.spawn, now_ms(), &fd)) == SPAWN_STARTED);
    ck_assert_int_ne(ada.spawn.pid, before);
    configure(&ada, fd);
    allow(&ada, &ben);
    channel_put_listen(&ada.channel, span_text(ada.endpoint));
    ck_assert_soon(ada.counts[CHANNEL_READY] == 2 && ben.counts[CHANNEL_UP] == 2);
    ck_assert_uint_ge(ben.counts[CHANNEL_DOWN], 1);
    channel_put_message(&ben.channel, &ada.device_id, span_text("again"));
    ck_assert_soon(span_equal(buf_span(&ada.last), span_text("again")));
}
END_TEST

/* Time is given by the test: no waiting. */
START_TEST(a_net_that_keeps_dying_is_started_again_later_each_time)
{
    uint64_t now = 1000;
    uint64_t last_wait = 0;
    int fd = -1;

    channel_close(&ada.channel);
    spawn_stop(&ada.spawn);
    ada.spawn = (struct spawn){ .pid = 0 };
    ck_assert_int_eq(spawn_start(&ada.spawn, now, &fd), ERR_OK);
    for (int i = 0; i < 4; i++) {
        close(fd);
        fd = -1;
        kill(ada.spawn.pid, SIGKILL);
        ck_assert_soon(spawn_check(&ada.spawn, now, &fd) == SPAWN_DIED);
        uint64_t wait = ada.spawn.retry_ms - now;
        ck_assert_uint_ge(wait, last_wait * 2);
        ck_assert_uint_gt(wait, 0);
        ck_assert_int_eq(spawn_check(&ada.spawn, now + wait - 1, &fd), SPAWN_NOTHING);
        ck_assert_int_eq(spawn_check(&ada.spawn, now + wait, &fd), SPAWN_STARTED);
        last_wait = wait;
        now += wait;
    }
    /* One that lived for long dies for another reason. */
    close(fd);
    kill(ada.spawn.pid, SIGKILL);
    now += 3600 * 1000;
    ck_assert_soon(spawn_check(&ada.spawn, now, &fd) == SPAWN_DIED);
    ck_assert_uint_lt(ada.spawn.retry_ms - now, last_wait);
}
END_TEST

/* The exit status of a net process whose channel has been closed or spoilt. */
static int
exit_status(struct office *office)
{
    int fd;

    ck_assert_soon(spawn_check(&office->spawn, now_ms(), &fd) == SPAWN_DIED);
    ck_assert(WIFEXITED(office->spawn.status));
    return WEXITSTATUS(office->spawn.status);
}

START_TEST(net_ends_when_the_store_does)
{
    meet();
    channel_close(&ben.channel);
    ck_assert_int_eq(exit_status(&ben), 0);
    ck_assert_soon(ada.counts[CHANNEL_DOWN] == 1);
    ck_assert_int_eq(ada.reason, LINK_DISCONNECTED);
}
END_TEST

START_TEST(net_ends_on_an_order_that_makes_no_sense)
{
    struct channel_config config = { .device_id = ada.device_id };

    /* A second key. */
    channel_put_config(&ada.channel, &config);
    channel_write(&ada.channel);
    ck_assert_int_eq(exit_status(&ada), 1);
    ck_assert_int_eq(write(ben.channel.fd, "\xff\xff\xff\xff", 4), 4);
    ck_assert_int_eq(exit_status(&ben), 1);
}
END_TEST

START_TEST(an_order_that_cannot_be_carried_out_is_answered_with_a_warning)
{
    allow(&ben, &ada);
    channel_put_message(&ben.channel, &ada.device_id, span_text("nobody there"));
    channel_put_dial(&ben.channel, &ada.device_id, ada.pair.public_key, span_text("inproc://x"),
                     span_text(""), true);
    channel_put_listen(&ben.channel, span_text(ada.endpoint));
    ck_assert_soon(ben.counts[CHANNEL_WARN] == 3);
    ck_assert_uint_eq(ben.counts[CHANNEL_READY], 1);
}
END_TEST

START_TEST(a_port_that_is_taken_is_listened_on_once_it_is_free)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    char endpoint[ENDPOINT_BYTES];
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(taken, 0);
    ck_assert_int_eq(bind(taken, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(taken, 1), 0);
    ck_assert_int_eq(getsockname(taken, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    channel_put_listen(&ben.channel, span_text(endpoint));
    ck_assert_soon(ben.counts[CHANNEL_WARN] == 1);
    ck_assert_uint_eq(ben.counts[CHANNEL_READY], 1);
    ck_assert_int_eq(close(taken), 0);
    ck_assert_soon(ben.counts[CHANNEL_READY] == 2);
    ck_assert_str_eq(strrchr(ben.endpoint, ':'), strrchr(endpoint, ':'));
    /* It was told of once, however often it was tried. */
    ck_assert_uint_eq(ben.counts[CHANNEL_WARN], 1);
}
END_TEST

/* ada's store takes nothing: ada's net stops reading, ben's net runs full and says so, ben's
 * store stops, and in the end everything has arrived in order. */
START_TEST(a_store_that_does_not_read_stops_the_sender_and_nothing_is_lost)
{
    static uint8_t bytes[LINK_MESSAGE_BYTES_MAX];
    enum { MESSAGES_MAX = 2000 };
    uint32_t sent = 0;
    uint64_t before;

    meet();
    before = ada.counts[CHANNEL_MESSAGE];
    uint64_t deadline_ms = now_ms() + DEADLINE_MS;
    while (ben.has_room && sent < MESSAGES_MAX) {
        ck_assert_uint_lt(now_ms(), deadline_ms);
        if (channel_queued(&ben.channel) < CHANNEL_QUEUE_BYTES / 4) {
            bytes_write_u32(bytes, sent);
            channel_put_message(&ben.channel, &ada.device_id, span_of(bytes, sizeof bytes / 4));
            sent++;
        }
        take(&ben);
    }
    ck_assert(!ben.has_room);
    ck_assert_uint_eq(ben.counts[CHANNEL_DOWN], 0);
    uint32_t next = 0;
    while (next < sent) {
        ck_assert_soon(ada.counts[CHANNEL_MESSAGE] > before);
        /* turn() may have taken several: the last one says how far it is, and never goes back. */
        ck_assert_uint_eq(ada.last.size, sizeof bytes / 4);
        ck_assert_uint_ge(bytes_read_u32(ada.last.data), next);
        next += (uint32_t)(ada.counts[CHANNEL_MESSAGE] - before);
        before = ada.counts[CHANNEL_MESSAGE];
        ck_assert_uint_eq(bytes_read_u32(ada.last.data), next - 1);
    }
    ck_assert_soon(ben.has_room);
    ck_assert_uint_eq(ben.counts[CHANNEL_DOWN] + ada.counts[CHANNEL_DOWN], 0);
}
END_TEST

static void
keep_schedule(struct office *office, const struct office *other)
{
    const struct link_schedule row = { .device_id = other->device_id,
                                       .schedule = { .beat_s = 1, .bytes = 256 } };

    channel_put_schedules(&office->channel, &row, 1);
}

START_TEST(n12_the_beat_does_not_wait_for_the_store)
{
    keep_schedule(&ada, &ben);
    keep_schedule(&ben, &ada);
    meet();
    ck_assert_soon(ada.sent > 0 && ben.received > 0);
    /* ada's store is busy, and looks at nothing. */
    uint64_t before = ben.received;
    uint64_t deadline_ms = now_ms() + DEADLINE_MS;
    while (ben.received < before + 3) {
        struct pollfd item = { .fd = ben.channel.fd, .events = POLLIN };
        ck_assert_uint_lt(now_ms(), deadline_ms);
        poll(&item, 1, 5);
        take(&ben);
    }
    ck_assert_uint_eq(ada.counts[CHANNEL_DOWN] + ben.counts[CHANNEL_DOWN], 0);
}
END_TEST

START_TEST(a_line_with_a_schedule_says_when_it_has_no_room_and_when_it_has)
{
    static uint8_t bytes[300];
    enum { MESSAGES = 6 };

    keep_schedule(&ben, &ada);
    meet();
    uint64_t before = ada.counts[CHANNEL_MESSAGE];
    for (uint8_t n = 0; n < MESSAGES; n++) {
        bytes[0] = n;
        channel_put_message(&ben.channel, &ada.device_id, span_of(bytes, sizeof bytes));
    }
    ck_assert_soon(!ben.has_room);
    ck_assert_soon(ada.counts[CHANNEL_MESSAGE] == before + MESSAGES);
    ck_assert_soon(ben.has_room);
    ck_assert_uint_eq(ada.last.size, sizeof bytes);
    ck_assert_uint_eq(ada.last.data[0], MESSAGES - 1);
}
END_TEST

int
main(int argc, char **argv)
{
    const TTest *const tests[] = { net_is_a_process_of_its_own_with_no_file_but_the_channel_and_sockets,
                                   c5_net_leaves_no_core_and_cannot_be_looked_into_or_gain_rights,
                                   n2_until_a_roster_is_sent_nobody_comes_in,
                                   a_net_that_lives_answers_a_ping,
                                   a_killed_net_is_reaped_started_again_and_connects_again,
                                   a_net_that_keeps_dying_is_started_again_later_each_time,
                                   net_ends_when_the_store_does,
                                   n12_the_beat_does_not_wait_for_the_store,
                                   a_line_with_a_schedule_says_when_it_has_no_room_and_when_it_has,
                                   net_ends_on_an_order_that_makes_no_sense,
                                   an_order_that_cannot_be_carried_out_is_answered_with_a_warning,
                                   a_port_that_is_taken_is_listened_on_once_it_is_free,
                                   a_store_that_does_not_read_stops_the_sender_and_nothing_is_lost };

    if (argc == 4 && strcmp(argv[1], "net") == 0 && strcmp(argv[2], "--channel") == 0) {
        net_main(atoi(argv[3]));
    }
    return check_suite("net", open_offices, close_offices, tests, (int)(sizeof tests / sizeof tests[0]));
}
