#include "node/probe.h"

#include "store/table.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROBE_MS = 2000, PROBE_S_MAX = 4 };

/* The child's exit status. */
enum { PROBE_DONE = 0, PROBE_DAMAGED = 1 };

bool
probe_await(pid_t child, const char *directory, int *status_out, struct setup_fault *fault)
{
    int status = 0;
    char why[160];

    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            setup_fault_set(fault, ERR_IO, strerror(errno), "look at the system log", "a child was lost");
            return false;
        }
    }
    if (WIFEXITED(status)) {
        *status_out = WEXITSTATUS(status);
        return true;
    }
    int ended_by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (ended_by == SIGSYS) {
        setup_fault_set(fault, ERR_DENIED, "it made a call that its sandbox forbids",
                        "report it, with the version of the kernel and of vigild",
                        "the process that reads the database was ended");
        return false;
    }
    (void)snprintf(why, sizeof why, "reading it ended a process: %s",
                   ended_by == SIGALRM ? "it came to no end" : strsignal(ended_by));
    setup_fault_set(fault, ERR_CORRUPT, why,
                    "have the disk examined, then restore a backup; what peers hold comes from them",
                    "%s: pages of the database are damaged", directory);
    return false;
}

/* The one folder of keys, which has another name after each erasure. False: there is none, or a crash left another beside it, and which
 * of them is in use only an open lock tells. */
static bool
find_keys(const char *directory, char path_out[SETUP_PATH_BYTES])
{
    const struct dirent *entry;
    size_t count = 0;
    DIR *all = opendir(directory);

    while (all != NULL && (entry = readdir(all)) != NULL) {
        if (strcmp(entry->d_name, "keys") == 0 || strncmp(entry->d_name, "keys-", 5) == 0) {
            (void)snprintf(path_out, SETUP_PATH_BYTES, "%s/%s", directory, entry->d_name);
            count++;
        }
    }
    if (all != NULL) {
        (void)closedir(all);
    }
    return count == 1;
}

/* True if one environment was found damaged. Anything else is told by the opening that follows, with its reason. */
static bool
is_damaged(const char *path, enum table_set set, const struct world *world)
{
    const struct table_options options = { .path = path, .set = set, .world = world };

    return table_env_probe(&options, PROBE_MS / 2) == ERR_CORRUPT;
}

/* What the probe found, as the child's exit status. */
static int
probe(const char *directory, const struct world *world)
{
    char path[SETUP_PATH_BYTES];

    (void)snprintf(path, sizeof path, "%s/main", directory);
    bool damaged = is_damaged(path, TABLE_SET_MAIN, world) ||
                   (find_keys(directory, path) && is_damaged(path, TABLE_SET_KEYS, world));
    return damaged ? PROBE_DAMAGED : PROBE_DONE;
}

bool
probe_store(const char *directory, enum sandbox_mode mode, const struct world *world,
            struct setup_fault *fault)
{
    const struct sandbox_options options = { .role = SANDBOX_CHECK, .mode = mode, .directory = directory };
    struct sandbox_state sandbox;
    int status = PROBE_DONE;

    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        setup_fault_set(fault, ERR_IO, strerror(errno), "look at the system log",
                        "no process can be started");
        return false;
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGALRM, SIG_DFL);
        (void)alarm(PROBE_S_MAX);
        /* Where there can be no sandbox, the process that waits says so. */
        _exit(sandbox_enter(&options, &sandbox) ? probe(directory, world) : PROBE_DONE);
    }
    if (!probe_await(child, directory, &status, fault)) {
        return false;
    }
    if (status != PROBE_DONE) {
        setup_fault_set(fault, ERR_CORRUPT, "its pages do not hang together, or are of another file",
                        "have the disk examined, then restore a backup; what peers hold comes from them",
                        "%s: pages of the database are damaged", directory);
    }
    return status == PROBE_DONE;
}
