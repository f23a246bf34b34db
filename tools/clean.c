#include "tools/clean.h"

#include "node/sandbox.h"
#include "tools/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 600, CHILD_FILES = 256, PATTERN_BYTES = 16 };

static const char program[] = "mat2";

bool
clean_begin(const char *path, char *folder_out, size_t room, struct client_fault *fault_out)
{
    const char *slash = strrchr(path, '/');
    int above = slash == NULL ? 0 : (int)(slash - path) + 1;

    if (snprintf(folder_out, room, "%.*s.vigil-XXXXXX", above, path) >= (int)room) {
        return fault_set(fault_out, err_code(ERR_INVALID), "give a shorter one", "the path is too long");
    }
    if (mkdtemp(folder_out) == NULL) {
        return fault_set(fault_out, err_code(ERR_DENIED), "write to a folder that is yours",
                         "no private folder can be made beside %s", path);
    }
    return true;
}

/* The program, where the person's own PATH has it. */
static bool
find_program(char *path_out, size_t room)
{
    const char *at = getenv("PATH");

    while (at != NULL && at[0] != '\0') {
        size_t size = strcspn(at, ":");

        if (size > 0 && at[0] == '/' &&
            snprintf(path_out, room, "%.*s/%s", (int)size, at, program) < (int)room &&
            access(path_out, X_OK) == 0) {
            return true;
        }
        at += size + (at[size] == ':' ? 1 : 0);
    }
    return false;
}

bool
clean_is_possible(struct client_fault *fault_out)
{
    char path[PATH_MAX];

    return find_program(path, sizeof path) ||
           fault_set(fault_out, err_code(ERR_ABSENT), "apt install mat2, or leave --clean away",
                     "mat2, which removes metadata, is not installed");
}

static void
limit(enum __rlimit_resource what, rlim_t most)
{
    const struct rlimit limits = { most, most };

    (void)setrlimit(what, &limits);
}

static void
write_map(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);

    if (file >= 0) {
        (void)!write(file, text, strlen(text));
        close(file);
    }
}

/* No network, where the kernel lets a person do without: it needs none. Whoever is nobody in a namespace makes none below it, and mat2
 * runs its own programs in one each, by bubblewrap. */
static void
leave_network(void)
{
    const unsigned user = (unsigned)geteuid();
    const unsigned group = (unsigned)getegid();
    char text[64];

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return;
    }
    write_map("/proc/self/setgroups", "deny");
    (void)snprintf(text, sizeof text, "%u %u 1", user, user);
    write_map("/proc/self/uid_map", text);
    (void)snprintf(text, sizeof text, "%u %u 1", group, group);
    write_map("/proc/self/gid_map", text);
}

/* In the child: everything of ours is left behind. */
static _Noreturn void
become(const char *path, const char *folder, const char *name)
{
    char home[PATH_MAX];
    char temporary[PATH_MAX];
    struct sandbox_state sandbox;
    char *const arguments[] = { (char *)program, (char *)"--", (char *)name, NULL };

    if (chdir(folder) != 0 || getcwd(home, sizeof home - 8) == NULL) {
        _exit(126);
    }
    if (!sandbox_enter(&(struct sandbox_options){ .role = SANDBOX_TOOL }, &sandbox)) {
        _exit(126);
    }
    if (snprintf(temporary, sizeof temporary, "TMPDIR=%s", home) >= (int)sizeof temporary) {
        _exit(126);
    }
    memmove(home + 5, home, strlen(home) + 1);
    memcpy(home, "HOME=", 5);
    char *const environment[] = { home, temporary, (char *)"PATH=/usr/bin:/bin", (char *)"LANG=C.UTF-8",
                                  NULL };
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0) {
        _exit(126);
    }
    for (int fd = 3; fd < 1024; fd++) {
        close(fd);
    }
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CHILD_SECONDS);
    limit(RLIMIT_NOFILE, CHILD_FILES);
    (void)umask(077);
    leave_network();
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    execve(path, arguments, environment);
    _exit(127);
}

bool
clean_run(const char *folder, const char *name, char *cleaned_out, size_t room,
          struct client_fault *fault_out)
{
    const char *dot = strrchr(name, '.');
    char path[PATH_MAX];
    struct stat stat_of;
    int status = 0;

    if (!clean_is_possible(fault_out) || !find_program(path, sizeof path)) {
        return false;
    }
    if (dot == NULL ||
        snprintf(cleaned_out, room, "%s/%.*s.cleaned%s", folder, (int)(dot - name), name, dot) >= (int)room) {
        return fault_set(fault_out, err_code(ERR_INVALID), "leave --clean away",
                         "mat2 cleans no files of this type");
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        become(path, folder, name);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || lstat(cleaned_out, &stat_of) != 0 ||
        !S_ISREG(stat_of.st_mode) || stat_of.st_size == 0) {
        return fault_set(fault_out, err_code(ERR_INVALID),
                         "mat2 --list shows the formats that it knows; without --clean the original goes out",
                         "mat2 made no clean copy of this file");
    }
    return true;
}

static void
overwrite(int folder, const char *name)
{
    static const char zeros[65536];
    struct stat stat_of;

    int file = openat(folder, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 || fstat(file, &stat_of) != 0 || !S_ISREG(stat_of.st_mode) || stat_of.st_nlink > 1) {
        if (file >= 0) {
            close(file);
        }
        return;
    }
    for (off_t left = stat_of.st_size; left > 0;) {
        ssize_t written = write(file, zeros, left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros);
        if (written <= 0) {
            break;
        }
        left -= written;
    }
    (void)fsync(file);
    close(file);
}

void
clean_end(const char *folder)
{
    const struct dirent *entry;
    DIR *all = opendir(folder);

    while (all != NULL && (entry = readdir(all)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            overwrite(dirfd(all), entry->d_name);
            (void)unlinkat(dirfd(all), entry->d_name, 0);
        }
    }
    if (all != NULL) {
        closedir(all);
    }
    (void)rmdir(folder);
}
