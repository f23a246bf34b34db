#include "node/spawn.h"

#include "node/starter.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RETRY_MS_MIN = 100,
    RETRY_MS_MAX = 30 * 1000,
    STEADY_MS = 60 * 1000, /* one that lived so long did not die of starting */
};

/* Ctrl-C is for the store, which closes the channel. */
enum err
spawn_program(pid_t *pid_out, char *const argv[], int fd)
{
    char *const environment[] = { NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return ERR_IO;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ERR_IO;
    }
    bool ok = posix_spawn_file_actions_adddup2(&actions, fd, SPAWN_CHANNEL_FD) == 0 &&
              posix_spawnattr_setsigmask(&attributes, &none) == 0 &&
              posix_spawnattr_setsigdefault(&attributes, &all) == 0 &&
              posix_spawnattr_setpgroup(&attributes, 0) == 0 &&
              posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                        POSIX_SPAWN_SETPGROUP) == 0 &&
              posix_spawn(pid_out, "/proc/self/exe", &actions, &attributes, argv, environment) == 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return ok ? ERR_OK : ERR_IO;
}

static enum err
start_net(struct spawn *spawn, int fd)
{
    char *const argv[] = { "vigild", "net", "--channel", "3", NULL };

    return spawn->starter != 0 ? starter_start(spawn->starter, fd, &spawn->pid)
                               : spawn_program(&spawn->pid, argv, fd);
}

static void
plan_retry(struct spawn *spawn, uint64_t now_ms)
{
    spawn->deaths = now_ms - spawn->started_ms >= STEADY_MS ? 0 : spawn->deaths;
    uint64_t wait_ms = (uint64_t)RETRY_MS_MIN << (spawn->deaths < 16 ? spawn->deaths : 16);
    spawn->retry_ms = now_ms + (wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX);
    spawn->deaths++;
}

enum err
spawn_start(struct spawn *spawn, uint64_t now_ms, int *fd_out)
{
    int pair[2];

    assert(spawn->pid == 0);
    spawn->started_ms = now_ms;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return ERR_IO;
    }
    enum err err = start_net(spawn, pair[1]);
    close(pair[1]);
    if (err != ERR_OK) {
        spawn->pid = 0;
        close(pair[0]);
        return err;
    }
    *fd_out = pair[0];
    return ERR_OK;
}

/* True if the process that runs has died. */
static bool
has_died(struct spawn *spawn)
{
    struct starter_news news;
    enum err err;

    if (spawn->starter == 0) {
        pid_t got = waitpid(spawn->pid, &spawn->status, WNOHANG);

        return got != 0 && !(got < 0 && errno == EINTR);
    }
    while ((err = starter_hear(spawn->starter, &news)) == ERR_OK) {
        if (news.pid == spawn->pid) {
            spawn->status = news.status;
            return true;
        }
    }
    spawn->starter_gone = spawn->starter_gone || err == ERR_IO;
    return false;
}

enum spawn_news
spawn_check(struct spawn *spawn, uint64_t now_ms, int *fd_out)
{
    if (spawn->pid != 0) {
        if (!has_died(spawn)) {
            return SPAWN_NOTHING;
        }
        spawn->pid = 0;
        plan_retry(spawn, now_ms);
        return SPAWN_DIED;
    }
    if (now_ms < spawn->retry_ms || spawn->starter_gone) {
        return SPAWN_NOTHING;
    }
    if (spawn_start(spawn, now_ms, fd_out) != ERR_OK) {
        plan_retry(spawn, now_ms);
        return SPAWN_NOTHING;
    }
    return SPAWN_STARTED;
}

void
spawn_stop(struct spawn *spawn)
{
    if (spawn->pid == 0) {
        return;
    }
    if (spawn->starter != 0) {
        starter_kill(spawn->starter, spawn->pid);
        spawn->pid = 0;
        return;
    }
    kill(spawn->pid, SIGKILL);
    while (waitpid(spawn->pid, &spawn->status, 0) < 0 && errno == EINTR) {
    }
    spawn->pid = 0;
}
