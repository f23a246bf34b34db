#include "node/status.h"

#include <string.h>

static void
add(struct status_count *counts, unsigned *used, unsigned room, const char *reason, uint64_t count)
{
    unsigned n = 0;

    while (n < *used && strcmp(counts[n].reason, reason) != 0) {
        n++;
    }
    if (n == room) {
        n = room - 1;
    } else if (n == *used) {
        counts[n].reason = reason;
        counts[n].count = 0;
        ++*used;
    }
    counts[n].count += count;
}

void
status_refused(struct status *status, const char *reason, uint64_t count)
{
    add(status->door, &status->door_count, STATUS_REASONS_MAX, reason, count);
}

void
status_warn(struct status *status, const char *warning, uint64_t count)
{
    add(status->warnings, &status->warning_count, STATUS_WARNINGS_MAX, warning, count);
}
