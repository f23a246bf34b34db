#include "node/probe.h"

#include "store/table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROBE_MS = 2000, PROBE_S_MAX = 4 };

/* Where nobody waits for the node to start, a second look goes further. */
enum { PATIENT_MS = 60 * 1000, PATIENT_S_MAX = 90 };

static const char mend_todo[] =
    "have the disk examined; copy the folder, then: vigild verify DIR --repair takes out what can be read";

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
    setup_fault_set(fault, ERR_CORRUPT, why, mend_todo, "%s: pages of the database are damaged", directory);
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
is_damaged(const char *path, enum table_set set, uint64_t ms, const struct world *world)
{
    const struct table_options options = { .path = path, .set = set, .world = world };

    return table_env_probe(&options, ms) == ERR_CORRUPT;
}

/* What the probe found, as the child's exit status. */
static int
probe(const char *directory, bool main_too, bool keys_too, uint64_t ms, const struct world *world)
{
    char path[SETUP_PATH_BYTES];

    (void)snprintf(path, sizeof path, "%s/main", directory);
    bool damaged = main_too && is_damaged(path, TABLE_SET_MAIN, ms, world);
    damaged =
        damaged || (keys_too && find_keys(directory, path) && is_damaged(path, TABLE_SET_KEYS, ms, world));
    return damaged ? PROBE_DAMAGED : PROBE_DONE;
}

/* LMDB says on standard error where in its source it gave up: who waits tells it in words. */
static void
be_silent(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (nowhere >= 0) {
        (void)dup2(nowhere, STDERR_FILENO);
        (void)close(nowhere);
    }
}

/* Fork; the child looks and does not come back. -1: it cannot be started, and `fault` says why. */
static pid_t
start(const char *directory, enum sandbox_mode mode, bool main_too, bool keys_too, bool patient,
      const struct world *world, struct setup_fault *fault)
{
    const struct sandbox_options options = { .role = SANDBOX_CHECK, .mode = mode, .directory = directory };
    struct sandbox_state sandbox;

    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        setup_fault_set(fault, ERR_IO, strerror(errno), "look at the system log",
                        "no process can be started");
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGALRM, SIG_DFL);
        be_silent();
        (void)alarm(patient ? PATIENT_S_MAX : PROBE_S_MAX);
        /* Where there can be no sandbox, the process that waits says so. */
        _exit(sandbox_enter(&options, &sandbox)
                  ? probe(directory, main_too, keys_too, patient ? PATIENT_MS : PROBE_MS / 2, world)
                  : PROBE_DONE);
    }
    return child;
}

bool
probe_store(const char *directory, enum sandbox_mode mode, const struct world *world,
            struct setup_fault *fault)
{
    int status = PROBE_DONE;
    pid_t child = start(directory, mode, true, true, false, world, fault);

    if (child < 0 || !probe_await(child, directory, &status, fault)) {
        return false;
    }
    if (status != PROBE_DONE) {
        setup_fault_set(fault, ERR_CORRUPT, "its pages do not hang together, or are of another file",
                        mend_todo, "%s: pages of the database are damaged", directory);
    }
    return status == PROBE_DONE;
}

/* Have a child look at one part. False: it cannot be told. */
static bool
look_at_part(const char *directory, enum sandbox_mode mode, const struct world *world, int part, bool patient,
             bool *damaged_out, struct setup_fault *fault)
{
    int status = PROBE_DONE;
    pid_t child = start(directory, mode, part == PROBE_MAIN, part == PROBE_KEYS, patient, world, fault);

    if (child < 0) {
        return false;
    }
    if (probe_await(child, directory, &status, fault)) {
        *damaged_out = status != PROBE_DONE;
        return true;
    }
    *damaged_out = fault->err == ERR_CORRUPT; /* a page ended it */
    return *damaged_out;
}

bool
probe_parts(const char *directory, enum sandbox_mode mode, const struct world *world,
            bool damaged_out[PROBE_PARTS], struct setup_fault *fault)
{
    for (int part = 0; part < PROBE_PARTS; part++) {
        if (!look_at_part(directory, mode, world, part, false, &damaged_out[part], fault) ||
            (!damaged_out[part] &&
             !look_at_part(directory, mode, world, part, true, &damaged_out[part], fault))) {
            return false;
        }
    }
    return true;
}
