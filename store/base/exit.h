/* exit.h - how each of the programs ends: the exit statuses that scripts see.
 *
 * Documented in vigil(1), vigild(8) and vigil-org(1); each has a test. They are the same in all three.
 */
#pragma once

#include "store/base/err.h"

enum exit_status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_NEEDS = 3,    /* something must be there first, or a right is missing */
    STATUS_ABSENT = 4,   /* no such record, device, field */
    STATUS_INVALID = 5,  /* data that break a rule, or do not verify */
    STATUS_FINDINGS = 6, /* done, and there is something to look at: of verbs that check, and with --check */
    STATUS_AGAIN = 75    /* busy, or a peer is away: try again; EX_TEMPFAIL of sysexits(3) */
};

/* The status of a program that ends with `err`; what has none of its own is STATUS_FAILED. */
enum exit_status exit_status_of(enum err err);
