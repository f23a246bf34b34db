#include "node/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <link.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- The rules: paths ----------------------------------------------------------- */

enum {
    S = 1 << SANDBOX_STORE,
    N = 1 << SANDBOX_NET,
    L = 1 << SANDBOX_STARTER,
    C = 1 << SANDBOX_CHECK,
    ALL = S | N | L | C,
};

/* Later than the headers of Debian 12. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15)
#define ACCESS_NET_BIND_TCP (UINT64_C(1) << 0)
#define ACCESS_NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL_DEV = 5, ABI_SCOPE = 6 };

#define EXECUTE LANDLOCK_ACCESS_FS_EXECUTE
#define READ LANDLOCK_ACCESS_FS_READ_FILE
#define LIST LANDLOCK_ACCESS_FS_READ_DIR
#define WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define REMOVE LANDLOCK_ACCESS_FS_REMOVE_FILE
#define MAKE_SOCKET LANDLOCK_ACCESS_FS_MAKE_SOCK
/* Files that are written beside, and renamed when they are whole. */
#define KEEP_FILES (READ | LIST | WRITE | REMOVE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)
#define KEEP_ALL (KEEP_FILES | MAKE_SOCKET | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define FOR_FILES (EXECUTE | READ | WRITE | ACCESS_IOCTL_DEV)
#define FS_ALL                                                                                               \
    (FOR_FILES | KEEP_ALL | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO |                    \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

enum place {
    AT_PATH,
    AT_DIRECTORY,
    AT_FOLDERS,
    AT_CONFIG, /* the folder to which node.conf points, if that is a link */
    AT_OWN,    /* what the kernel says of this process */
    AT_LOADER, /* of shared objects */
};

static const struct path_rule {
    unsigned roles;
    enum place place;
    uint64_t rights;
    const char *path;
} path_rules[] = {
    { S | C, AT_DIRECTORY, KEEP_ALL, NULL },
    { S, AT_FOLDERS, KEEP_FILES, NULL },
    { S, AT_CONFIG, READ, NULL },
    { S | C, AT_OWN, LIST, "/proc/self/fd" },
    { S, AT_OWN, READ, "/proc/self/statm" },   /* how much memory it has */
    { S, AT_PATH, READ, "/usr/share/locale" }, /* names of countries and languages */
    { N | L, AT_DIRECTORY, MAKE_SOCKET | REMOVE, NULL },
    /* Looking up names. resolv.conf is replaced by another file whenever the network changes, so that its folder has to be named. */
    { N | L, AT_PATH, READ, "/etc" },
    { N | L, AT_PATH, READ, "/run/systemd/resolve" },
    { N | L, AT_PATH, READ, "/run/resolvconf" },
    { N | L, AT_PATH, READ, "/run/NetworkManager" },
    { N | L, AT_PATH, READ, "/usr" },
    { N | L, AT_PATH, READ, "/lib" },
    { N | L, AT_PATH, READ, "/lib64" },
    { L, AT_PATH, READ | WRITE, "/dev/null" }, /* net opens it before it enters */
    { L, AT_PATH, READ | EXECUTE, "/proc/self/exe" },
    { L, AT_LOADER, READ | EXECUTE, NULL },
};

/* --- The rules: calls ------------------------------------------------------------- */

static const struct call_rule {
    int call;
    unsigned roles;
} call_rules[] = {
    /* memory */
    { SCMP_SYS(brk), ALL },
    { SCMP_SYS(madvise), ALL },
    { SCMP_SYS(mlock), ALL },
    { SCMP_SYS(mlock2), ALL },
    { SCMP_SYS(mremap), ALL },
    { SCMP_SYS(msync), S | C },
    { SCMP_SYS(munlock), ALL },
    { SCMP_SYS(munmap), ALL },
    /* the process, its threads and its signals */
    { SCMP_SYS(exit), ALL },
    { SCMP_SYS(exit_group), ALL },
    { SCMP_SYS(futex), ALL },
    { SCMP_SYS(get_robust_list), ALL },
    { SCMP_SYS(getegid), ALL },
    { SCMP_SYS(geteuid), ALL },
    { SCMP_SYS(getgid), ALL },
    { SCMP_SYS(getpid), ALL },
    { SCMP_SYS(getppid), ALL },
    { SCMP_SYS(getrandom), ALL },
    { SCMP_SYS(getrlimit), ALL },
    { SCMP_SYS(getrusage), ALL },
    { SCMP_SYS(gettid), ALL },
    { SCMP_SYS(getuid), ALL },
    { SCMP_SYS(membarrier), ALL },
    { SCMP_SYS(restart_syscall), ALL },
    { SCMP_SYS(rseq), ALL },
    { SCMP_SYS(rt_sigaction), ALL },
    { SCMP_SYS(rt_sigprocmask), ALL },
    { SCMP_SYS(rt_sigreturn), ALL },
    { SCMP_SYS(sched_getaffinity), ALL },
    { SCMP_SYS(sched_getparam), N | L },
    { SCMP_SYS(sched_getscheduler), N | L },
    { SCMP_SYS(sched_setscheduler), N | L }, /* libzmq's threads */
    { SCMP_SYS(sched_yield), ALL },
    { SCMP_SYS(set_robust_list), ALL },
    { SCMP_SYS(sigaltstack), ALL },
    { SCMP_SYS(signalfd4), S | L },
    { SCMP_SYS(sysinfo), ALL },
    { SCMP_SYS(uname), ALL },
    { SCMP_SYS(wait4), S | L },
    { SCMP_SYS(waitid), S | L },
    /* time, and waiting */
    { SCMP_SYS(clock_getres), ALL },
    { SCMP_SYS(clock_gettime), ALL },
    { SCMP_SYS(clock_nanosleep), ALL },
    { SCMP_SYS(epoll_create1), N | L },
    { SCMP_SYS(epoll_ctl), N | L },
    { SCMP_SYS(epoll_pwait), N | L },
    { SCMP_SYS(epoll_wait), N | L },
    { SCMP_SYS(eventfd2), N | L },
    { SCMP_SYS(gettimeofday), ALL },
    { SCMP_SYS(nanosleep), ALL },
    { SCMP_SYS(poll), ALL },
    { SCMP_SYS(ppoll), ALL },
    { SCMP_SYS(pselect6), N | L },
    { SCMP_SYS(select), N | L },
    { SCMP_SYS(time), ALL },
    /* descriptors, and reading */
    { SCMP_SYS(access), ALL },
    { SCMP_SYS(close), ALL },
    { SCMP_SYS(dup), ALL },
    { SCMP_SYS(faccessat), ALL },
    { SCMP_SYS(faccessat2), ALL },
    { SCMP_SYS(fadvise64), S | C },
    { SCMP_SYS(fcntl), ALL },
    { SCMP_SYS(flock), S | C },
    { SCMP_SYS(fstat), ALL },
    { SCMP_SYS(fstatfs), S | C },
    { SCMP_SYS(getcwd), ALL },
    { SCMP_SYS(getdents64), S | C | L },
    { SCMP_SYS(lseek), ALL },
    { SCMP_SYS(lstat), ALL },
    { SCMP_SYS(newfstatat), ALL },
    { SCMP_SYS(open), ALL },
    { SCMP_SYS(openat), ALL },
    { SCMP_SYS(pread64), ALL },
    { SCMP_SYS(preadv), S | C },
    { SCMP_SYS(read), ALL },
    { SCMP_SYS(readlink), ALL },
    { SCMP_SYS(readlinkat), ALL },
    { SCMP_SYS(readv), ALL },
    { SCMP_SYS(stat), ALL },
    { SCMP_SYS(statfs), S | C },
    { SCMP_SYS(statx), ALL },
    /* writing */
    { SCMP_SYS(fallocate), S | C },
    { SCMP_SYS(fchmod), S | C | N | L },
    { SCMP_SYS(fchmodat), S | C },
    { SCMP_SYS(fdatasync), S | C },
    { SCMP_SYS(fsync), S | C },
    { SCMP_SYS(ftruncate), S | C },
    { SCMP_SYS(mkdir), S | C },
    { SCMP_SYS(mkdirat), S | C },
    { SCMP_SYS(pwrite64), S | C },
    { SCMP_SYS(pwritev), S | C },
    { SCMP_SYS(rename), S | C },
    { SCMP_SYS(renameat), S | C },
    { SCMP_SYS(renameat2), S | C },
    { SCMP_SYS(rmdir), S | C },
    { SCMP_SYS(umask), ALL },
    { SCMP_SYS(unlink), S | C | N | L },
    { SCMP_SYS(unlinkat), S | C | N | L },
    { SCMP_SYS(write), ALL },
    { SCMP_SYS(writev), ALL },
    /* sockets, of the families that socket_families has */
    { SCMP_SYS(accept), S | N | L },
    { SCMP_SYS(accept4), S | N | L },
    { SCMP_SYS(bind), S | N | L },
    { SCMP_SYS(connect), S | N | L },
    { SCMP_SYS(getpeername), N | L },
    { SCMP_SYS(getsockname), N | L },
    { SCMP_SYS(getsockopt), S | N | L },
    { SCMP_SYS(listen), S | N | L },
    { SCMP_SYS(recvfrom), S | N | L },
    { SCMP_SYS(recvmmsg), N | L },
    { SCMP_SYS(recvmsg), S | N | L },
    { SCMP_SYS(sendmmsg), N | L },
    { SCMP_SYS(sendmsg), S | N | L },
    { SCMP_SYS(sendto), S | N | L },
    { SCMP_SYS(setsockopt), S | N | L },
    { SCMP_SYS(shutdown), S | N | L },
    { SCMP_SYS(socketpair), S | N | L }, /* net: of whom it asks for the address of a proxy */
    /* starting net, and what net does until it has entered its own */
    { SCMP_SYS(arch_prctl), L },
    { SCMP_SYS(capget), L },
    { SCMP_SYS(capset), L },
    { SCMP_SYS(clone), L },
    { SCMP_SYS(close_range), L },
    { SCMP_SYS(dup2), L },
    { SCMP_SYS(dup3), L },
    { SCMP_SYS(execve), L },
    { SCMP_SYS(getgroups), L },
    { SCMP_SYS(kill), L },
    { SCMP_SYS(landlock_add_rule), L },
    { SCMP_SYS(landlock_create_ruleset), L },
    { SCMP_SYS(landlock_restrict_self), L },
    { SCMP_SYS(prlimit64), L },
    { SCMP_SYS(seccomp), L },
    { SCMP_SYS(set_tid_address), L },
    { SCMP_SYS(setgroups), L },
    { SCMP_SYS(setpgid), L },
    { SCMP_SYS(setrlimit), L },
    { SCMP_SYS(statfs), L },
    { SCMP_SYS(tgkill), L },
    { SCMP_SYS(vfork), L },
};

/* Calls that may be made with some arguments only: argument `at` under `mask` is `value`. `fault` 0: allowed; else the call fails so, since
 * libraries try it and can do without. */
#define IS UINT64_MAX
#define THREAD (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)
#define WX (PROT_WRITE | PROT_EXEC)
static const struct argument_rule {
    int call;
    unsigned roles;
    unsigned at;
    uint64_t mask;
    uint64_t value;
    int fault;
} argument_rules[] = {
    { SCMP_SYS(clone), S | N | C, 0, THREAD, THREAD, 0 }, /* threads, no processes */
    /* No code is brought in. net loads what looks up names. */
    { SCMP_SYS(mmap), S | C, 2, PROT_EXEC, 0, 0 },
    { SCMP_SYS(mmap), S | C, 2, PROT_EXEC, PROT_EXEC, EPERM },
    { SCMP_SYS(mmap), N | L, 2, PROT_WRITE, 0, 0 },
    { SCMP_SYS(mmap), N | L, 2, WX, PROT_WRITE, 0 },
    { SCMP_SYS(mmap), N | L, 2, WX, WX, EPERM },
    { SCMP_SYS(mprotect), ALL, 2, PROT_EXEC, 0, 0 },
    { SCMP_SYS(mprotect), ALL, 2, PROT_EXEC, PROT_EXEC, EPERM },
    { SCMP_SYS(socket), S | N | L, 0, IS, AF_UNIX, 0 },
    { SCMP_SYS(socket), N | L, 0, IS, AF_INET, 0 },
    { SCMP_SYS(socket), N | L, 0, IS, AF_INET6, 0 },
    { SCMP_SYS(socket), N | L, 0, IS, AF_NETLINK, 0 }, /* addresses of this machine */
    { SCMP_SYS(ioctl), ALL, 1, IS, TCGETS, 0 },
    { SCMP_SYS(ioctl), ALL, 1, IS, TIOCGWINSZ, 0 },
    { SCMP_SYS(ioctl), ALL, 1, IS, FIONREAD, 0 },
    { SCMP_SYS(ioctl), N | L, 1, IS, FIONBIO, 0 },
    { SCMP_SYS(prctl), ALL, 0, IS, PR_SET_NAME, 0 },
    { SCMP_SYS(prctl), ALL, 0, IS, PR_CAPBSET_READ, 0 },
    { SCMP_SYS(prctl), ALL, 0, IS, PR_GET_SECCOMP, 0 },
    { SCMP_SYS(prctl), ALL, 0, IS, PR_GET_NO_NEW_PRIVS, 0 },
    { SCMP_SYS(prctl), ALL, 0, IS, PR_GET_DUMPABLE, 0 },
    { SCMP_SYS(prctl), ALL, 0, IS, PR_GET_NAME, 0 },
    { SCMP_SYS(prctl), L, 0, IS, PR_CAPBSET_DROP, 0 },
    { SCMP_SYS(prctl), L, 0, IS, PR_SET_DUMPABLE, 0 },
    { SCMP_SYS(prctl), L, 0, IS, PR_SET_NO_NEW_PRIVS, 0 },
    { SCMP_SYS(prctl), L, 0, IS, PR_SET_SECCOMP, 0 },
    { SCMP_SYS(prlimit64), S | N | C, 0, IS, 0, 0 }, /* its own */
    /* libsystemd puts a line into one where the journal's queue is full: such a line goes to stderr. */
    { SCMP_SYS(memfd_create), S | N | L, 1, UINT64_MAX << 32, 0, EPERM },
};

/* Of a program of others nobody knows what it calls; it may do all but this. mat2 builds a sandbox of its own for the programs that it calls,
 * for which it mounts: so there is no Landlock, under which nobody mounts, and what it may do in namespaces of its own is left to it. */
static const int tool_forbidden[] = {
    SCMP_SYS(add_key),
    SCMP_SYS(bpf),
    SCMP_SYS(delete_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(init_module),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(kcmp),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(kexec_load),
    SCMP_SYS(keyctl),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(ptrace),
    SCMP_SYS(request_key),
    SCMP_SYS(userfaultfd),
};
static const int tool_families[] = { AF_INET, AF_INET6, AF_PACKET, AF_VSOCK, AF_BLUETOOTH, AF_CAN };

/* --- What is missing ---------------------------------------------------------------- */

static void
miss(struct sandbox_state *state, const char *what, int number)
{
    size_t used = strlen(state->missing);

    state->whole = false;
    (void)snprintf(state->missing + used, sizeof state->missing - used, "%s%s%s%s", used == 0 ? "" : ", ",
                   what, number == 0 ? "" : ": ", number == 0 ? "" : strerror(number));
}

/* --- Privileges --------------------------------------------------------------------- */

/* A program of others is made dumpable again by its exec, and its starter may have to write to /proc/self until then. */
static bool
leave_no_trace(enum sandbox_role role)
{
    static const struct rlimit none = { 0, 0 };

    return setrlimit(RLIMIT_CORE, &none) == 0 &&
           (role == SANDBOX_TOOL || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0) &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* Where the system forbids to leave groups, there must be none. */
static bool
leave_groups(void)
{
    return geteuid() != 0 || setgroups(0, NULL) == 0 || getgroups(0, NULL) == 0;
}

/* Keep `kept` of what the process has. Whoever may not narrow the bounds needs not: nothing new can be gained. */
static bool
drop_capabilities(uint64_t kept)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
    struct __user_cap_data_struct data[2];

    for (unsigned long n = 0; n < 64 && prctl(PR_CAPBSET_READ, n, 0, 0, 0) >= 0; n++) {
        if ((kept >> n & 1) == 0 && prctl(PR_CAPBSET_DROP, n, 0, 0, 0) != 0 && errno != EPERM) {
            return false;
        }
    }
    if (syscall(SYS_capget, &header, data) != 0) {
        return false;
    }
    /* Who has none needs not drop them, by a call that the service manager forbids. */
    if ((data[0].permitted | data[1].permitted | data[0].inheritable | data[1].inheritable) == 0) {
        return true;
    }
    for (unsigned n = 0; n < 2; n++) {
        uint32_t mask = (uint32_t)(kept >> 32 * n);

        data[n].permitted &= mask;
        data[n].effective = data[n].permitted;
        data[n].inheritable &= mask;
    }
    return syscall(SYS_capset, &header, data) == 0;
}

/* A port below 1024 is listened on by whoever was given the right to. */
static uint64_t
kept_capabilities(enum sandbox_role role)
{
    return role == SANDBOX_NET || role == SANDBOX_STARTER ? UINT64_C(1) << CAP_NET_BIND_SERVICE : 0;
}

/* --- Landlock ------------------------------------------------------------------------ */

/* As of ABI 6; an older kernel takes the part that it knows. */
struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

static int
landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t
known_rights(int abi)
{
    uint64_t unknown = (abi < ABI_REFER ? (uint64_t)LANDLOCK_ACCESS_FS_REFER : 0) |
                       (abi < ABI_TRUNCATE ? ACCESS_TRUNCATE : 0) |
                       (abi < ABI_IOCTL_DEV ? ACCESS_IOCTL_DEV : 0);

    return FS_ALL & ~unknown;
}

static int
new_ruleset(enum sandbox_role role, int abi)
{
    bool networked = role == SANDBOX_NET || role == SANDBOX_STARTER;
    struct ruleset set = { .handled_access_fs = known_rights(abi) };
    size_t size = sizeof set.handled_access_fs;

    if (abi >= ABI_NET) {
        set.handled_access_net = networked ? 0 : ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP;
        size += sizeof set.handled_access_net;
    }
    if (abi >= ABI_SCOPE) {
        /* The service manager's socket may be an abstract one, and the store speaks to it. */
        set.scoped = SCOPE_SIGNAL | (networked ? SCOPE_ABSTRACT_UNIX_SOCKET : 0);
        size += sizeof set.scoped;
    }
    return (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
}

/* 0, or an errno. What is not there needs no rule. */
static int
allow_open(int ruleset, int fd, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
    struct stat info;

    if (fstat(fd, &info) != 0) {
        return errno;
    }
    rule.allowed_access &= S_ISDIR(info.st_mode) ? UINT64_MAX : FOR_FILES;
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 ? 0 : errno;
}

/* `kept_out`: the descriptor stays open for as long as the process lives, or NULL. */
static int
allow_path(int ruleset, const char *path, uint64_t rights, int *kept_out)
{
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : errno;
    }
    int error = allow_open(ruleset, fd, rights);
    if (kept_out != NULL) {
        *kept_out = fd;
    } else {
        (void)close(fd);
    }
    return error;
}

/* The folder of the file to which DIR/node.conf points; DIR itself is allowed anyway. */
static int
allow_config(int ruleset, const char *directory, uint64_t rights)
{
    char path[PATH_MAX];
    char target[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/node.conf", directory) >= (int)sizeof path ||
        realpath(path, target) == NULL) {
        return 0;
    }
    char *slash = strrchr(target, '/');
    slash[slash == target ? 1 : 0] = '\0';
    return allow_path(ruleset, target, rights, NULL);
}

static int
note_loader(struct dl_phdr_info *info, size_t size, void *path_out)
{
    (void)size;
    if (info->dlpi_addr != getauxval(AT_BASE)) {
        return 0;
    }
    *(const char **)path_out = info->dlpi_name;
    return 1;
}

static int
allow_place(int ruleset, const struct path_rule *rule, const struct sandbox_options *options, uint64_t rights)
{
    const char *loader = NULL;
    int error = 0;
    int held = -1;

    switch (rule->place) {
    case AT_DIRECTORY:
        return options->directory == NULL || options->directory[0] == '\0'
                   ? 0
                   : allow_path(ruleset, options->directory, rights, NULL);
    case AT_FOLDERS:
        for (size_t n = 0; error == 0 && n < options->folder_count; n++) {
            error = allow_path(ruleset, options->folders[n], rights, NULL);
        }
        return error;
    case AT_CONFIG:
        return options->directory == NULL ? 0 : allow_config(ruleset, options->directory, rights);
    case AT_OWN:
        /* Files of /proc are made anew when nobody holds them, and the rule would be of one that is no more: this one is held for good. */
        return allow_path(ruleset, rule->path, rights, &held);
    case AT_LOADER:
        (void)dl_iterate_phdr(note_loader, &loader);
        return loader == NULL || loader[0] == '\0' ? 0 : allow_path(ruleset, loader, rights, NULL);
    case AT_PATH:
    default:
        return allow_path(ruleset, rule->path, rights, NULL);
    }
}

/* 0, or an errno. */
static int
enter_landlock(const struct sandbox_options *options)
{
    int abi = landlock_abi();

    if (abi < 1) {
        return abi < 0 ? errno : ENOSYS;
    }
    int ruleset = new_ruleset(options->role, abi);
    int error = ruleset < 0 ? errno : 0;
    for (size_t n = 0; error == 0 && n < sizeof path_rules / sizeof path_rules[0]; n++) {
        if ((path_rules[n].roles >> options->role & 1) != 0) {
            error = allow_place(ruleset, &path_rules[n], options, path_rules[n].rights & known_rights(abi));
        }
    }
    if (error == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        error = errno;
    }
    if (ruleset >= 0) {
        (void)close(ruleset);
    }
    return error;
}

/* --- seccomp -------------------------------------------------------------------------- */

static int
add_calls(scmp_filter_ctx filter, enum sandbox_role role)
{
    int error = 0;

    /* A number below zero: this machine has no such call. */
    for (size_t n = 0; error == 0 && n < sizeof call_rules / sizeof call_rules[0]; n++) {
        if ((call_rules[n].roles >> role & 1) != 0 && call_rules[n].call >= 0) {
            error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call_rules[n].call, 0);
        }
    }
    for (size_t n = 0; error == 0 && n < sizeof argument_rules / sizeof argument_rules[0]; n++) {
        const struct argument_rule *rule = &argument_rules[n];

        if ((rule->roles >> role & 1) != 0 && rule->call >= 0) {
            /* Of two data, the first is the mask. */
            struct scmp_arg_cmp when = { .arg = rule->at,
                                         .op = rule->mask == IS ? SCMP_CMP_EQ : SCMP_CMP_MASKED_EQ,
                                         .datum_a = rule->mask == IS ? rule->value : rule->mask,
                                         .datum_b = rule->mask == IS ? 0 : rule->value };

            error = seccomp_rule_add(
                filter, rule->fault == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint32_t)rule->fault), rule->call,
                1, when);
        }
    }
    return error;
}

static int
add_tool_calls(scmp_filter_ctx filter)
{
    struct scmp_arg_cmp types = { .arg = 1, .op = SCMP_CMP_EQ, .datum_a = TIOCSTI, .datum_b = 0 };
    int error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(ioctl), 1, types);

    for (size_t n = 0; error == 0 && n < sizeof tool_forbidden / sizeof tool_forbidden[0]; n++) {
        if (tool_forbidden[n] >= 0) {
            error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, tool_forbidden[n], 0);
        }
    }
    for (size_t n = 0; error == 0 && n < sizeof tool_families / sizeof tool_families[0]; n++) {
        struct scmp_arg_cmp family = {
            .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)tool_families[n], .datum_b = 0
        };

        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, family);
    }
    return error;
}

/* 0, or an errno. */
static int
enter_seccomp(enum sandbox_role role)
{
    bool ours = role != SANDBOX_TOOL;
    scmp_filter_ctx filter = seccomp_init(ours ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ALLOW);
    int error = filter == NULL ? -ENOMEM : 0;

    if (error == 0) {
        error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    }
    if (error == 0) {
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    }
    if (error == 0) {
        error = ours ? add_calls(filter, role) : add_tool_calls(filter);
    }
    /* Its flags lie in memory, where no filter can look; who is told that it is not there takes clone. */
    if (error == 0 && ours) {
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    }
    /* For abort: nobody but itself. */
    if (error == 0 && ours && role != SANDBOX_STARTER) {
        struct scmp_arg_cmp own = {
            .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid(), .datum_b = 0
        };

        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, own);
    }
    if (error == 0) {
        error = seccomp_load(filter);
    }
    seccomp_release(filter);
    return -error;
}

static void
enter(const struct sandbox_options *options, struct sandbox_state *state)
{
    bool ours = options->role != SANDBOX_TOOL;

    if (ours && (!leave_groups() || !drop_capabilities(kept_capabilities(options->role)))) {
        miss(state, "dropping privileges", errno);
    }
    int error = ours ? enter_landlock(options) : 0;
    if (error != 0) {
        miss(state, "Landlock", error);
    }
    error = enter_seccomp(options->role);
    if (error != 0) {
        miss(state, "seccomp", error);
    }
}

/* --- Entering --------------------------------------------------------------------------- */

#ifdef VIGIL_SANDBOX_RELAXED
static const bool relaxed = true;
#else
static const bool relaxed = false;
#endif

bool
sandbox_is_built_in(void)
{
    return !relaxed;
}

bool
sandbox_enter(const struct sandbox_options *options, struct sandbox_state *state_out)
{
    *state_out = (struct sandbox_state){ .mode = options->mode, .whole = true };
    if (!leave_no_trace(options->role)) {
        miss(state_out, "no new privileges", errno);
    }
    if (options->mode == SANDBOX_OFF) {
        miss(state_out, "all of it: it was turned off", 0);
        return true;
    }
    if (relaxed) {
        miss(state_out, "all but the privileges: this build measures itself", 0);
        return true;
    }
    enter(options, state_out);
    return state_out->whole || options->mode == SANDBOX_BEST_EFFORT;
}

/* --- Names ------------------------------------------------------------------------------- */

static const char *const mode_texts[SANDBOX_MODES] = { "on", "best-effort", "off" };
static const char *const role_texts[SANDBOX_ROLES] = { "store", "net", "starter", "check", "tool" };

bool
sandbox_mode_parse(const char *text, enum sandbox_mode *mode_out)
{
    for (int n = 0; n < SANDBOX_MODES; n++) {
        if (strcmp(text, mode_texts[n]) == 0) {
            *mode_out = (enum sandbox_mode)n;
            return true;
        }
    }
    return false;
}

const char *
sandbox_mode_text(enum sandbox_mode mode)
{
    return mode_texts[mode];
}

const char *
sandbox_role_text(enum sandbox_role role)
{
    return role_texts[role];
}
