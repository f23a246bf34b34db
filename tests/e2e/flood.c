/* flood.c - a crowd of strangers at a node's door, for n6_flood.test and by hand.
 *
 *     flood PORT REQUEST SILENT RATE    until its standard input ends; REQUEST is the file of the node, which names its
 *                                       transport key
 *
 * SILENT connections stand at any time: half of them say nothing at all, half greet and say no more; each is made anew as
 * soon as the node cuts it off. And RATE connections a second bring garbage, of six kinds in turn: noise, HTTP, a greeting
 * for NULL, a greeting and noise, a frame that declares 256 MiB, and a whole CURVE handshake with a key that nobody certified. Those that
 * the node leaves open stay. Prints "all_cut_once 1" when as many silent ones have been cut off as stand, and at the end what
 * became of them: "silent_made 1000", ... one number a line; `let_in` is of handshakes that were answered with
 * anything but a refusal.
 */
#include "tests/support/stranger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CROWD_MAX = 8192, TICK_MS = 10 };

enum kind {
    SILENT,
    GREETS,
    NOISE,
    HTTP,
    NULL_GREETING,
    GREETING_AND_NOISE,
    HUGE_FRAME,
    WHOLE_HANDSHAKE,
    KINDS
};

struct visitor {
    struct stranger stranger;
    enum kind kind;
    unsigned step; /* of a handshake */
};

struct flood {
    uint16_t port;
    size_t silent;
    uint64_t rate;
    struct request request;
    struct buf metadata;
    struct visitor *crowd[CROWD_MAX];
    size_t count;
    size_t standing; /* of them, silent */
    uint64_t silent_made;
    uint64_t silent_cut;
    uint64_t garbage_made;
    uint64_t garbage_cut;
    uint64_t handshakes_refused;
    uint64_t let_in;
};

static uint64_t
now_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
say_noise(struct stranger *stranger)
{
    uint8_t noise[256];

    crypto_os_random(noise, sizeof noise);
    (void)stranger_say(stranger, noise, sizeof noise);
}

static void
say_first(struct visitor *visitor)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
    static const uint8_t huge[] = { 6, 0, 0, 0, 0, 0x10, 0, 0, 0 };
    struct stranger *stranger = &visitor->stranger;

    switch (visitor->kind) {
    case SILENT:
        break;
    case GREETS:
    case WHOLE_HANDSHAKE:
        stranger_greet(stranger, "CURVE");
        break;
    case NOISE:
        say_noise(stranger);
        break;
    case HTTP:
        (void)stranger_say(stranger, http, sizeof http - 1);
        break;
    case NULL_GREETING:
        stranger_greet(stranger, "NULL");
        break;
    case GREETING_AND_NOISE:
        stranger_greet(stranger, "CURVE");
        say_noise(stranger);
        break;
    case HUGE_FRAME:
        stranger_greet(stranger, "CURVE");
        (void)stranger_say(stranger, huge, sizeof huge);
        break;
    case KINDS:
        break;
    }
}

/* False: no room for one more. */
static bool
enter(struct flood *flood, enum kind kind)
{
    struct visitor *visitor = flood->count == CROWD_MAX ? NULL : calloc(1, sizeof *visitor);

    if (visitor == NULL) {
        return false;
    }
    visitor->kind = kind;
    stranger_open(&visitor->stranger, flood->port, NULL);
    say_first(visitor);
    flood->crowd[flood->count++] = visitor;
    if (kind <= GREETS) {
        flood->standing++;
        flood->silent_made++;
    } else {
        flood->garbage_made++;
    }
    return true;
}

static void
leave(struct flood *flood, size_t index)
{
    struct visitor *visitor = flood->crowd[index];
    size_t after;

    if (visitor->kind <= GREETS) {
        flood->standing--;
        flood->silent_cut++;
        if (flood->silent_cut == flood->silent) {
            (void)printf("all_cut_once 1\n");
            (void)fflush(stdout);
        }
    } else {
        flood->garbage_cut++;
    }
    if (visitor->kind == WHOLE_HANDSHAKE && stranger_was_refused(&visitor->stranger, &after) && after == 0) {
        flood->handshakes_refused++;
    } else if (visitor->stranger.heard.size > STRANGER_WELCOME) {
        flood->let_in++;
    }
    stranger_close(&visitor->stranger);
    free(visitor);
    flood->crowd[index] = flood->crowd[--flood->count];
}

static void
shake(struct flood *flood, struct visitor *visitor)
{
    struct stranger *stranger = &visitor->stranger;

    if (visitor->step == 0 && stranger->heard.size >= STRANGER_GREETING) {
        stranger_say_hello(stranger, flood->request.transport_pk);
        visitor->step = 1;
    } else if (visitor->step == 1 && stranger->heard.size >= STRANGER_WELCOME) {
        (void)stranger_say_initiate(stranger, buf_span(&flood->metadata));
        visitor->step = 2;
    }
}

/* Hear whoever was spoken to; those that were cut off leave. False: our input ended. */
static bool
listen_to_all(struct flood *flood)
{
    static struct pollfd ready[CROWD_MAX + 1];
    char byte;

    for (size_t n = 0; n < flood->count; n++) {
        ready[n + 1] = (struct pollfd){ .fd = flood->crowd[n]->stranger.fd, .events = POLLIN };
    }
    ready[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    if (poll(ready, flood->count + 1, TICK_MS) < 0) {
        return errno == EINTR;
    }
    for (size_t n = flood->count; n > 0; n--) {
        struct visitor *visitor = flood->crowd[n - 1];

        if (ready[n].revents == 0) {
            continue;
        }
        stranger_hear(&visitor->stranger);
        if (visitor->kind == WHOLE_HANDSHAKE) {
            shake(flood, visitor);
        }
        if (visitor->stranger.ended) {
            leave(flood, n - 1);
        }
    }
    return ready[0].revents == 0 || read(STDIN_FILENO, &byte, 1) > 0;
}

static void
run(struct flood *flood)
{
    uint64_t begun_ms = now_ms();

    do {
        /* Not all at once: the queue of a listening socket is short, and who does not fit waits seconds. */
        for (int n = 0; n < 100 && flood->standing < flood->silent; n++) {
            if (!enter(flood, flood->silent_made % 2 == 0 ? SILENT : GREETS)) {
                break;
            }
        }
        while (flood->garbage_made < (now_ms() - begun_ms) * flood->rate / 1000) {
            if (!enter(flood, (enum kind)(NOISE + flood->garbage_made % (KINDS - NOISE)))) {
                break;
            }
        }
    } while (listen_to_all(flood));
}

int
main(int argc, char **argv)
{
    static struct flood flood;
    struct rlimit files;

    if (argc != 5 || crypto_start() != ERR_OK || !stranger_read_request(argv[2], &flood.request)) {
        (void)fputs("usage: flood PORT REQUEST SILENT RATE\n", stderr);
        return 2;
    }
    flood.port = (uint16_t)strtoul(argv[1], NULL, 10);
    flood.silent = strtoul(argv[3], NULL, 10);
    flood.rate = strtoul(argv[4], NULL, 10);
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max < flood.silent + 1024) {
        (void)fputs("flood: there are too few file descriptors\n", stderr);
        return 1;
    }
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
        return 1;
    }
    stranger_property(&flood.metadata, "Socket-Type", "DEALER");
    run(&flood);
    (void)printf("standing %zu\nsilent_made %" PRIu64 "\nsilent_cut %" PRIu64 "\ngarbage_made %" PRIu64
                 "\ngarbage_cut %" PRIu64 "\nhandshakes_refused %" PRIu64 "\nlet_in %" PRIu64 "\n",
                 flood.standing, flood.silent_made, flood.silent_cut, flood.garbage_made, flood.garbage_cut,
                 flood.handshakes_refused, flood.let_in);
    while (flood.count > 0) {
        stranger_close(&flood.crowd[flood.count - 1]->stranger);
        free(flood.crowd[--flood.count]);
    }
    buf_free(&flood.metadata);
    return 0;
}
