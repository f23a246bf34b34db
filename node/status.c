#include "node/status.h"

#include <string.h>

static unsigned
find(const struct status_count *counts, unsigned used, const char *reason)
{
    unsigned n = 0;

    while (n < used && strcmp(counts[n].reason, reason) != 0) {
        n++;
    }
    return n;
}

static void
add(struct status_count *counts, unsigned *used, unsigned room, const char *reason, uint64_t count)
{
    unsigned n = find(counts, *used, reason);

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

uint64_t
status_refused_count(const struct status *status, const char *reason)
{
    unsigned n = find(status->door, status->door_count, reason);

    return n < status->door_count ? status->door[n].count : 0;
}

uint64_t
status_warned_count(const struct status *status, const char *warning)
{
    unsigned n = find(status->warnings, status->warning_count, warning);

    return n < status->warning_count ? status->warnings[n].count : 0;
}

void
status_net_ended(struct status *status, enum net_ending ending)
{
    status->net_ending = ending;
    status->net_endings[ending]++;
}

void
status_settle(struct status *status, const char *warning)
{
    unsigned n = find(status->warnings, status->warning_count, warning);

    if (n < status->warning_count) {
        status->warning_count--;
        memmove(&status->warnings[n], &status->warnings[n + 1],
                (status->warning_count - n) * sizeof status->warnings[0]);
    }
}
