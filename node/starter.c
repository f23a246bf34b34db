#include "node/starter.h"

#include "node/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS_MAX = 10 * 1000 };

enum word { ORDER_START = 1, ORDER_KILL, NEWS_STARTED, NEWS_DIED };

/* Either way; both ends are of one binary. */
struct message {
    enum word word;
    pid_t pid; /* started: 0 if it could not be */
    int status;
};

/* One message, and a descriptor if it is not negative. */
static bool
put(int fd, const struct message *message, int passed)
{
    struct iovec part = { .iov_base = (void *)message, .iov_len = sizeof *message };
    union {
        char bytes[CMSG_SPACE(sizeof passed)];
        struct cmsghdr aligned;
    } room = { .bytes = { 0 } };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t sent;

    if (passed >= 0) {
        header.msg_control = room.bytes;
        header.msg_controllen = sizeof room.bytes;
        struct cmsghdr *control = CMSG_FIRSTHDR(&header);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof passed);
        memcpy(CMSG_DATA(control), &passed, sizeof passed);
    }
    do {
        sent = sendmsg(fd, &header, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof *message;
}

/* ERR_ABSENT: there is none. ERR_IO: the other end is gone. `passed_out`: -1 if none came; NULL if none is wanted. */
static enum err
get(int fd, struct message *message_out, int *passed_out)
{
    struct iovec part = { .iov_base = message_out, .iov_len = sizeof *message_out };
    int passed = -1;
    union {
        char bytes[CMSG_SPACE(sizeof passed)];
        struct cmsghdr aligned;
    } room;
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

    if (passed_out != NULL) {
        header.msg_control = room.bytes;
        header.msg_controllen = sizeof room.bytes;
    }
    ssize_t got = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return ERR_ABSENT;
    }
    if (got != (ssize_t)sizeof *message_out) {
        return ERR_IO;
    }
    const struct cmsghdr *control = passed_out == NULL ? NULL : CMSG_FIRSTHDR(&header);
    if (control != NULL && control->cmsg_type == SCM_RIGHTS && control->cmsg_len == CMSG_LEN(sizeof passed)) {
        memcpy(&passed, CMSG_DATA(control), sizeof passed);
    }
    if (passed_out != NULL) {
        *passed_out = passed;
    }
    return ERR_OK;
}

/* --- The store's end --------------------------------------------------------- */

enum err
starter_begin(struct starter *starter_out, enum sandbox_mode mode, const char *directory)
{
    char *const argv[] = { "vigild", "starter",         "--channel",
                           "3",      "--sandbox",       (char *)sandbox_mode_text(mode),
                           "--",     (char *)directory, NULL };
    int pair[2];

    *starter_out = (struct starter){ .pid = 0 };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return ERR_IO;
    }
    enum err err = spawn_program(&starter_out->pid, argv, pair[1]);
    (void)close(pair[1]);
    if (err != ERR_OK) {
        (void)close(pair[0]);
        return err;
    }
    starter_out->fd = pair[0];
    return ERR_OK;
}

void
starter_end(struct starter *starter)
{
    if (starter->pid == 0) {
        return;
    }
    (void)close(starter->fd);
    while (waitpid(starter->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *starter = (struct starter){ .pid = 0 };
}

enum err
starter_start(int fd, int channel, pid_t *pid_out)
{
    struct message message = { .word = ORDER_START };

    if (!put(fd, &message, channel)) {
        return ERR_IO;
    }
    /* Deaths of those that were killed before are told first, and are no news. */
    do {
        struct pollfd item = { .fd = fd, .events = POLLIN };

        if (poll(&item, 1, ANSWER_MS_MAX) == 0) {
            return ERR_IO;
        }
        enum err err = get(fd, &message, NULL);
        if (err == ERR_IO) {
            return err;
        }
        if (err == ERR_ABSENT) {
            message.word = NEWS_DIED;
        }
    } while (message.word != NEWS_STARTED);
    *pid_out = message.pid;
    return message.pid == 0 ? ERR_IO : ERR_OK;
}

void
starter_kill(int fd, pid_t pid)
{
    (void)put(fd, &(struct message){ .word = ORDER_KILL, .pid = pid }, -1);
}

enum err
starter_hear(int fd, struct starter_news *news_out)
{
    struct message message;
    enum err err = get(fd, &message, NULL);

    if (err == ERR_OK) {
        *news_out = (struct starter_news){ .pid = message.pid, .status = message.status };
    }
    return err;
}

/* --- The process ---------------------------------------------------------------- */

/* The one that runs, or 0. */
static pid_t child;

static void
start(int fd, int channel)
{
    struct message answer = { .word = NEWS_STARTED };
    char *const argv[] = { "vigild", "net", "--channel", "3", NULL };

    if (child == 0 && channel >= 0 && spawn_program(&child, argv, channel) == ERR_OK) {
        answer.pid = child;
    }
    (void)put(fd, &answer, -1);
}

static void
reap(int fd, bool hang)
{
    struct message news = { .word = NEWS_DIED, .pid = child };

    if (child != 0 && waitpid(child, &news.status, hang ? 0 : WNOHANG) == child) {
        child = 0;
        (void)put(fd, &news, -1);
    }
}

/* False: the store is gone. */
static bool
obey(int fd)
{
    struct message order;
    int channel = -1;
    enum err err = get(fd, &order, &channel);

    if (err == ERR_OK && order.word == ORDER_START) {
        start(fd, channel);
    } else if (err == ERR_OK && order.word == ORDER_KILL && child != 0 && order.pid == child) {
        (void)kill(child, SIGKILL);
    }
    if (channel >= 0) {
        (void)close(channel);
    }
    return err != ERR_IO;
}

void
starter_main(int fd, enum sandbox_mode mode, const char *directory)
{
    const struct sandbox_options options = { .role = SANDBOX_STARTER, .mode = mode, .directory = directory };
    struct sandbox_state state;
    sigset_t deaths;

    (void)close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
    (void)close_range((unsigned)fd + 1, ~0U, 0);
    (void)sigemptyset(&deaths);
    (void)sigaddset(&deaths, SIGCHLD);
    /* No call is to be broken off, and what comes next is told by poll. */
    int signals =
        sigprocmask(SIG_BLOCK, &deaths, NULL) == 0 ? signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    if (signals < 0 || !sandbox_enter(&options, &state)) {
        /* The store lacks the same, and says so. */
        _exit(1);
    }
    for (;;) {
        struct pollfd items[2] = { { .fd = fd, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
        struct signalfd_siginfo info;

        (void)poll(items, 2, -1);
        while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        }
        reap(fd, false);
        if (items[0].revents != 0 && !obey(fd)) {
            break;
        }
    }
    if (child != 0) {
        (void)kill(child, SIGKILL);
        reap(fd, true);
    }
    _exit(0);
}
