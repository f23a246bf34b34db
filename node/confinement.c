#include "node/confinement.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void
confinement_read(struct confinement *out)
{
    struct rlimit cores = { .rlim_cur = RLIM_INFINITY };
    int seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
    int no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

    *out = (struct confinement){ .known = seccomp >= 0 && no_new_privs >= 0 };
    if (out->known) {
        out->seccomp = (unsigned)seccomp;
        out->no_new_privs = no_new_privs != 0;
    }
    (void)getrlimit(RLIMIT_CORE, &cores);
    out->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || cores.rlim_cur != 0;
}
