/* e2e-without CALL COMMAND...: run a command on a system that lacks a call, as an older kernel does. */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int call = argc < 3 ? __NR_SCMP_ERROR : seccomp_syscall_resolve_name(argv[1]);

    if (filter == NULL || call == __NR_SCMP_ERROR ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0) != 0 || seccomp_load(filter) != 0) {
        (void)fprintf(stderr, "usage: e2e-without CALL COMMAND...\n");
        return 2;
    }
    seccomp_release(filter);
    (void)execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
