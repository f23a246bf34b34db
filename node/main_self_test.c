/* main_self_test.c - vigild self-test: what each process may not do ends it or is refused, and what it needs works. */
#include "node/main.h"

#include "node/sandbox.h"
#include "node/spawn.h"
#include "store/base/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    S = 1 << SANDBOX_STORE,
    N = 1 << SANDBOX_NET,
    L = 1 << SANDBOX_STARTER,
    C = 1 << SANDBOX_CHECK,
    ALL = S | N | L | C,
    T = 1 << SANDBOX_TOOL,
    NOT_ENTERED = 255, /* no errno */
    OTHER_FAULT = 254,
    PATH_BYTES = 512,
};

/* Folders that are made for the test. */
static char base[PATH_BYTES / 2];
static char state[PATH_BYTES];   /* the state directory, with a file "kept" */
static char sockets[PATH_BYTES]; /* within it, and net's */
static char folder[PATH_BYTES];  /* named in node.conf */
static char outside[PATH_BYTES]; /* somebody else's, with a file "kept" */

/* --- The probes: each gives 0, or the errno with which it was refused ------------------ */

static int
outcome(long result)
{
    return result >= 0 ? 0 : errno;
}

static int
open_in(const char *directory, const char *name, int flags)
{
    char path[2 * PATH_BYTES];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return open(path, flags | O_CLOEXEC, 0600);
}

static int
read_outside(void)
{
    return outcome(open_in(outside, "kept", O_RDONLY));
}

static int
write_outside(void)
{
    return outcome(open_in(outside, "kept", O_WRONLY));
}

static int
make_outside(void)
{
    return outcome(open_in(outside, "made", O_WRONLY | O_CREAT));
}

static int
remove_outside(void)
{
    char path[2 * PATH_BYTES];

    (void)snprintf(path, sizeof path, "%s/kept", outside);
    return outcome(unlink(path));
}

static int
list_root(void)
{
    return opendir("/") == NULL ? errno : 0;
}

static int
read_state(void)
{
    return outcome(open_in(state, "kept", O_RDONLY));
}

static int
list_state(void)
{
    return opendir(state) == NULL ? errno : 0;
}

static int
remove_state(void)
{
    char path[2 * PATH_BYTES];

    (void)snprintf(path, sizeof path, "%s/kept", state);
    return outcome(unlink(path));
}

/* As every file is written that must be whole. */
static int
keep_in(const char *directory)
{
    int file = open_in(directory, ".new", O_WRONLY | O_CREAT | O_EXCL);
    int at = file < 0 ? -1 : open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return at < 0 || write(file, "x", 1) != 1 || fsync(file) != 0 || renameat(at, ".new", at, "new") != 0 ||
                   fsync(at) != 0 || unlinkat(at, "new", 0) != 0
               ? errno
               : 0;
}

static int
keep_in_state(void)
{
    return keep_in(state);
}

static int
keep_in_folder(void)
{
    return keep_in(folder);
}

static int
look_at_own_descriptors(void)
{
    return opendir("/proc/self/fd") == NULL ? errno : 0;
}

static int
run_shell(void)
{
    char *const argv[] = { (char *)"sh", (char *)"-c", (char *)":", NULL };
    char *const environment[] = { NULL };

    return outcome(execve("/bin/sh", argv, environment));
}

static int
start_process(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 || waitpid(pid, NULL, 0) != pid ? errno : 0;
}

static int
run_itself(void)
{
    char *const argv[] = { (char *)"vigild", (char *)"--version", NULL };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid = 0;
    int status = 0;

    /* What it prints is of no interest. */
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || spawn_program(&pid, argv, null) != ERR_OK ||
        waitpid(pid, &status, 0) != pid) {
        return errno == 0 ? OTHER_FAULT : errno;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : OTHER_FAULT;
}

static int
open_internet_socket(void)
{
    return outcome(socket(AF_INET, SOCK_STREAM, 0));
}

static int
open_internet_6_socket(void)
{
    return outcome(socket(AF_INET6, SOCK_DGRAM, 0));
}

static int
open_netlink_socket(void)
{
    return outcome(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int
open_packet_socket(void)
{
    return outcome(socket(AF_PACKET, SOCK_RAW, 0));
}

static int
open_vm_socket(void)
{
    return outcome(socket(AF_VSOCK, SOCK_STREAM, 0));
}

static int
open_local_socket(void)
{
    return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int
listen_in(const char *directory)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = at < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* Through a descriptor, since the path may be longer than an address. */
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/door", at);
    return fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0 ||
                   unlinkat(at, "door", 0) != 0
               ? errno
               : 0;
}

static int
listen_in_state(void)
{
    return listen_in(state);
}

static int
listen_in_sockets(void)
{
    return listen_in(sockets);
}

static int
meet_itself(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return door < 0 || fd < 0 || bind(door, (const struct sockaddr *)&address, size) != 0 ||
                   listen(door, 1) != 0 || getsockname(door, (struct sockaddr *)&address, &size) != 0 ||
                   connect(fd, (const struct sockaddr *)&address, size) != 0 || accept(door, NULL, NULL) < 0
               ? errno
               : 0;
}

static int
look_up_name(void)
{
    struct addrinfo *found = NULL;
    int fault = getaddrinfo("localhost", "7700", NULL, &found);

    if (fault == 0) {
        freeaddrinfo(found);
    }
    return fault == 0 ? 0 : OTHER_FAULT;
}

static int
wait_for_events(void)
{
    struct epoll_event event = { .events = EPOLLIN };
    int queue = epoll_create1(EPOLL_CLOEXEC);
    int bell = eventfd(1, EFD_CLOEXEC);

    return queue < 0 || bell < 0 || epoll_ctl(queue, EPOLL_CTL_ADD, bell, &event) != 0 ||
                   epoll_wait(queue, &event, 1, 1000) != 1
               ? errno
               : 0;
}

static void *
do_nothing(void *self)
{
    return self;
}

static int
start_thread(void)
{
    pthread_t thread;
    int fault = pthread_create(&thread, NULL, do_nothing, NULL);

    return fault != 0 ? fault : pthread_join(thread, NULL);
}

static int
lock_memory(void)
{
    return crypto_memory_locks() ? 0 : ENOMEM;
}

static int
draw_random(void)
{
    uint8_t bytes[32];

    crypto_os_random(bytes, sizeof bytes);
    return 0;
}

static int
trace(void)
{
    return outcome(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int
read_parent(void)
{
    char byte;
    struct iovec here = { &byte, 1 };
    struct iovec there = { base, 1 };

    return outcome(syscall(SYS_process_vm_readv, getppid(), &here, 1UL, &there, 1UL, 0UL));
}

static int
signal_parent(void)
{
    return outcome(kill(getppid(), 0));
}

static int
mount_something(void)
{
    return outcome(mount("none", outside, "tmpfs", 0, NULL));
}

static int
change_root(void)
{
    return outcome(chroot(state));
}

static int
unshare_namespace(void)
{
    return outcome(syscall(SYS_unshare, CLONE_NEWUSER));
}

static int
read_keyring(void)
{
    return outcome(syscall(SYS_keyctl, 0L /* get id */, -3L /* of the session */, 0L, 0L, 0L));
}

static int
load_bpf(void)
{
    return outcome(syscall(SYS_bpf, 0L, NULL, 0L));
}

static int
catch_faults(void)
{
    return outcome(syscall(SYS_userfaultfd, 0L));
}

static int
measure_others(void)
{
    return outcome(syscall(SYS_perf_event_open, NULL, 0L, -1L, -1L, 0L));
}

static int
begin_ring(void)
{
    return outcome(syscall(SYS_io_uring_setup, 1L, NULL));
}

static int
load_module(void)
{
    return outcome(syscall(SYS_init_module, NULL, 0L, ""));
}

static int
make_nameless_file(void)
{
    return outcome(memfd_create("x", 0));
}

static int
open_by_handle(void)
{
    return outcome(syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0L));
}

static int
become_root(void)
{
    return outcome(syscall(SYS_setuid, 0L));
}

static int
take_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
    struct __user_cap_data_struct data[2] = { { UINT32_MAX, UINT32_MAX, 0 }, { 0, 0, 0 } };

    return outcome(syscall(SYS_capset, &header, data));
}

static int
type_into_terminal(void)
{
    return outcome(ioctl(STDIN_FILENO, TIOCSTI, "x"));
}

static int
allow_cores(void)
{
    static const struct rlimit much = { 1 << 20, 1 << 20 };

    return outcome(setrlimit(RLIMIT_CORE, &much));
}

static int
be_dumpable(void)
{
    return outcome(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int
map_written_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                   MAP_FAILED
               ? errno
               : 0;
}

static int
map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno
                                                                                                     : 0;
}

static int
make_code_of_data(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? 0 : outcome(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static const struct probe {
    const char *what;
    unsigned forbidden; /* to these roles */
    unsigned needed;    /* by these */
    int (*run)(void);
} probes[] = {
    { "read a file elsewhere", ALL, 0, read_outside },
    { "write a file elsewhere", ALL, 0, write_outside },
    { "make a file elsewhere", ALL, 0, make_outside },
    { "remove a file elsewhere", ALL, 0, remove_outside },
    { "list a folder elsewhere", ALL, 0, list_root },
    { "read the state", N | L, S | C, read_state },
    { "list the state", N | L, S | C, list_state },
    { "remove a file of the state", N | L, 0, remove_state },
    { "keep a file in the state", 0, S | C, keep_in_state },
    { "keep a file in a folder of node.conf", N | L | C, S, keep_in_folder },
    { "look at its own descriptors", 0, S | C, look_at_own_descriptors },
    { "run a shell", ALL, T, run_shell },
    { "start a process", S | N | C, L | T, start_process },
    { "run itself again", 0, L, run_itself },
    { "open an Internet socket", S | C | T, N, open_internet_socket },
    { "open an Internet 6 socket", S | C | T, 0, open_internet_6_socket },
    { "open a netlink socket", S | C, N, open_netlink_socket },
    { "open a packet socket", ALL | T, 0, open_packet_socket },
    { "open a socket to a hypervisor", ALL | T, 0, open_vm_socket },
    { "open a local socket", C, S | N, open_local_socket },
    { "listen in the state", N | L | C, S, listen_in_state },
    { "listen in the folder for sockets", C, S | N, listen_in_sockets },
    { "meet itself by loopback", S | C, N, meet_itself },
    { "look up a name", S | C, N, look_up_name },
    { "wait for events", S | C, N, wait_for_events },
    { "start a thread", 0, S | N | C | T, start_thread },
    { "lock memory", 0, S | N | C, lock_memory },
    { "draw random bytes", 0, ALL, draw_random },
    { "be traced", ALL | T, 0, trace },
    { "read another's memory", ALL | T, 0, read_parent },
    { "signal another", S | N | C, 0, signal_parent },
    { "mount", ALL, 0, mount_something },
    { "change the root", ALL, 0, change_root },
    { "enter a namespace", ALL, 0, unshare_namespace },
    { "read a keyring", ALL | T, 0, read_keyring },
    { "load a program into the kernel", ALL | T, 0, load_bpf },
    { "load a module", ALL | T, 0, load_module },
    { "handle page faults", ALL | T, 0, catch_faults },
    { "measure others", ALL | T, 0, measure_others },
    { "call the kernel through a ring", ALL | T, 0, begin_ring },
    { "make a file without a name", ALL, 0, make_nameless_file },
    { "open a file by its handle", ALL | T, 0, open_by_handle },
    { "become another user", ALL, 0, become_root },
    { "take capabilities", ALL, 0, take_capabilities },
    { "type into a terminal", ALL | T, 0, type_into_terminal },
    { "leave a core", ALL, 0, allow_cores },
    { "let a debugger in", S | N | C, 0, be_dumpable },
    { "map code that it can write", ALL, 0, map_written_code },
    { "map code", S | C, 0, map_code },
    { "make code of data", ALL, 0, make_code_of_data },
};

/* --- Running them ---------------------------------------------------------------------- */

static int
enter_and_run(enum sandbox_role role, const struct probe *probe)
{
    const char *const folders[] = { folder };
    struct sandbox_options options = { .role = role,
                                       .directory =
                                           role == SANDBOX_NET || role == SANDBOX_STARTER ? sockets : state,
                                       .folders = folders,
                                       .folder_count = role == SANDBOX_STORE ? 1 : 0 };
    struct sandbox_state entered;

    return sandbox_enter(&options, &entered) ? probe->run() : NOT_ENTERED;
}

/* False: it did not come out as it must. */
static bool
try_probe(enum sandbox_role role, const struct probe *probe)
{
    bool needed = (probe->needed >> role & 1) != 0;
    int status = 0;
    char found[64];

    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(enter_and_run(role, probe));
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    bool ended = pid > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
    int error = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : OTHER_FAULT;
    bool good = needed ? !ended && error == 0 : ended || (error != 0 && error < OTHER_FAULT);
    (void)snprintf(found, sizeof found, "%s",
                   ended                  ? "ended it"
                   : error == 0           ? "works"
                   : error == NOT_ENTERED ? "not tried: the sandbox cannot be set"
                   : error == OTHER_FAULT ? "failed"
                                          : strerror(error));
    (void)printf("%-4s %-8s %-38s %s\n", good ? "ok" : "BAD", sandbox_role_text(role), probe->what, found);
    return good;
}

static bool
make_folders(void)
{
    static const struct {
        char *path;
        const char *name;
    } all[] = {
        { state, "state" }, { sockets, "state/sockets" }, { folder, "folder" }, { outside, "outside" }
    };
    const char *above = getenv("TMPDIR");

    if (snprintf(base, sizeof base, "%s/vigild-XXXXXX", above == NULL || above[0] != '/' ? "/tmp" : above) >=
            (int)sizeof base ||
        mkdtemp(base) == NULL) {
        base[0] = '\0';
        return false;
    }
    for (size_t n = 0; n < sizeof all / sizeof all[0]; n++) {
        (void)snprintf(all[n].path, PATH_BYTES, "%s/%s", base, all[n].name);
        if (mkdir(all[n].path, 0700) != 0) {
            return false;
        }
    }
    int kept = open_in(state, "kept", O_WRONLY | O_CREAT);
    int other = open_in(outside, "kept", O_WRONLY | O_CREAT);
    if (kept >= 0) {
        (void)close(kept);
    }
    if (other >= 0) {
        (void)close(other);
    }
    return kept >= 0 && other >= 0;
}

static void
remove_folders(void)
{
    static const char *const names[] = { "state/kept",   "state/.new",   "state/new",   "state/door",
                                         "outside/kept", "outside/made", "folder/.new", "folder/new" };
    char path[PATH_BYTES];

    if (base[0] == '\0') {
        return;
    }
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        (void)snprintf(path, sizeof path, "%s/%s", base, names[n]);
        (void)unlink(path);
    }
    (void)rmdir(sockets);
    (void)rmdir(state);
    (void)rmdir(folder);
    (void)rmdir(outside);
    (void)rmdir(base);
}

static error_t
parse_nothing(int key, char *text, struct argp_state *state_of)
{
    (void)text;
    if (key == ARGP_KEY_ARG) {
        argp_error(state_of, "it takes no words");
    }
    return key == ARGP_KEY_END ? 0 : ARGP_ERR_UNKNOWN;
}

const struct argp self_test_argp = { NULL,
                                     parse_nothing,
                                     "",
                                     "Try the sandbox of each process on this machine.\v"
                                     "For each process, what it must not do is tried, and has to end it or "
                                     "be refused; and what it needs has to work. A line each; "
                                     "exits 1 if any of it is otherwise.\n\n"
                                     "Example:\n"
                                     "  vigild self-test",
                                     NULL,
                                     NULL,
                                     NULL };

int
do_self_test(void)
{
    unsigned tried = 0;
    unsigned bad = 0;

    if (!sandbox_is_built_in()) {
        return complain_of(ERR_DENIED, "there is nothing to try",
                           "this build measures itself, and has no sandbox",
                           "try a build without sanitizers and coverage");
    }
    if (!make_folders()) {
        remove_folders();
        return complain_of(ERR_IO, "nothing was tried", "no folder can be made for it",
                           "set TMPDIR to a folder that can be written");
    }
    for (int role = 0; role < SANDBOX_ROLES; role++) {
        for (size_t n = 0; n < sizeof probes / sizeof probes[0]; n++) {
            if (((probes[n].forbidden | probes[n].needed) >> role & 1) != 0) {
                tried++;
                bad += !try_probe((enum sandbox_role)role, &probes[n]);
            }
        }
    }
    remove_folders();
    (void)printf("\n%u tried, %u not as it must be\n", tried, bad);
    return bad == 0 ? STATUS_DONE : STATUS_FAILED;
}
