/* status.h - what the daemon counts and remembers for `status`, beside what store and sync count themselves.
 */
#pragma once

#include "node/sandbox.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { STATUS_REASONS_MAX = 64, STATUS_TEXT_BYTES = 128, STATUS_WARNINGS_MAX = 16 };

/* How often something happened, by its reason: a static text. */
struct status_count {
    const char *reason;
    uint64_t count;
};

/* How a net process ended. */
enum net_ending {
    NET_RUNS,
    NET_DIED,
    NET_DOOR_OPEN,  /* its self-test let a stranger in */
    NET_NO_SANDBOX, /* it was to have one, and cannot */
    NET_FORBIDDEN,  /* it made a call that it never makes */
    NET_MALFORMED,  /* it told what it never tells */
    NET_SILENT,     /* it did not answer any more */
    NET_ENDINGS
};

struct status {
    uint64_t started_ms; /* wall clock */
    uint64_t started_steady_ms;
    uint64_t turns;
    uint64_t turns_failed;
    uint64_t strays; /* frames of devices that are no members */
    pid_t net_pid;   /* 0: none */
    uint32_t net_restarts;
    bool net_ready;
    enum net_ending net_ending;        /* of the last net process; NET_RUNS: one answers since */
    uint64_t net_endings[NET_ENDINGS]; /* how often it came to each */
    char listening[STATUS_TEXT_BYTES]; /* the endpoint that was found closed to strangers; "" */
    bool memory_locks;
    bool config_refused; /* node.conf was changed, and cannot be used */
    bool config_waits;   /* or only by a new start */
    bool starter_gone;   /* net is not started again */
    enum sandbox_mode sandbox;
    char sandbox_missing[SANDBOX_TEXT_BYTES];     /* "": it is whole */
    struct status_count door[STATUS_REASONS_MAX]; /* what was refused at our door */
    unsigned door_count;
    struct status_count warnings[STATUS_WARNINGS_MAX]; /* what an operator should know */
    unsigned warning_count;
};

/* Count something; a reason too many is counted under the last one. */
void status_refused(struct status *status, const char *reason, uint64_t count);
void status_warn(struct status *status, const char *warning, uint64_t count);

/* How often that was counted; 0: not at all. */
uint64_t status_refused_count(const struct status *status, const char *reason);
uint64_t status_warned_count(const struct status *status, const char *warning);

/* The net process ended so. */
void status_net_ended(struct status *status, enum net_ending ending);

/* What was warned of is over. */
void status_settle(struct status *status, const char *warning);
