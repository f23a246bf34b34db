#include "node/confinement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { STATUS_BYTES = 16 << 10 };

/* The number behind "NAME:" at the beginning of a line. False: there is no such line, or no number on it. */
static bool
find_number(const char *text, const char *name, uint64_t *out)
{
    size_t size = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, size) == 0 && line[size] == ':') {
            char *end = NULL;
            const char *from = line + size + 1;

            *out = strtoull(from, &end, 10);
            return end != from;
        }
    }
    return false;
}

bool
confinement_parse(struct span status, struct confinement *out)
{
    char text[STATUS_BYTES];
    uint64_t seccomp = 0;
    uint64_t no_new_privs = 0;
    uint64_t locked_kib = 0;

    if (status.size >= sizeof text || (status.size > 0 && memchr(status.data, '\0', status.size) != NULL)) {
        return false;
    }
    if (status.size > 0) {
        memcpy(text, status.data, status.size);
    }
    text[status.size] = '\0';
    if (!find_number(text, "Seccomp", &seccomp) || !find_number(text, "NoNewPrivs", &no_new_privs) ||
        !find_number(text, "VmLck", &locked_kib) || seccomp > 2) {
        return false;
    }
    out->seccomp = (unsigned)seccomp;
    out->no_new_privs = no_new_privs != 0;
    out->locked_bytes = locked_kib << 10;
    return true;
}

void
confinement_read(struct confinement *out)
{
    char text[STATUS_BYTES];
    struct rlimit cores = { .rlim_cur = RLIM_INFINITY };
    FILE *file = fopen("/proc/self/status", "re");

    *out = (struct confinement){ .known = false };
    if (file == NULL) {
        return;
    }
    size_t size = fread(text, 1, sizeof text, file);
    bool whole = ferror(file) == 0 && feof(file) != 0;
    (void)fclose(file);
    out->known = whole && confinement_parse(span_of(text, size), out);
    (void)getrlimit(RLIMIT_CORE, &cores);
    out->dumpable = prctl(PR_GET_DUMPABLE) != 0 || cores.rlim_cur != 0;
}
