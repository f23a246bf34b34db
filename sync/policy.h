/* policy.h - what a device may do, and whether an entry counts.
 *
 *     author may write there?  no --> LATER, nothing kept          (policy_admit)
 *        |
 *     kept. Does it count?     held > carried > merged             (policy_judge)
 *        |                     and what its payload shows          (held_reason)
 *
 * Every answer is a pure function of the roster and of the entry: no clock, no order of
 * arrival, no payload that happens to be present. Standing is combined with
 * policy_worse, so that parts may be judged in any order.
 */
#pragma once

#include "store/codebook.h"
#include "store/entry.h"
#include "sync/roster.h"

/* In order of precedence: what stands further down wins. */
enum standing {
    STANDING_MERGED = 0, /* it counts */
    STANDING_CARRIED,    /* it is kept and passed on; we may not read it */
    STANDING_HELD,       /* genuine, but it does not count: see held_reason */
    STANDING_ERASED,     /* its payload is destroyed for good */
    STANDING_COUNT       /* how many there are */
};

/* Why an entry is held. The numbers are stored: never reused. */
enum held_reason {
    HELD_NOT = 0,
    HELD_NO_RIGHT = 1,          /* its author has no right to write there any more */
    HELD_WRONG_LANE = 2,        /* this kind of entry does not belong in this lane */
    HELD_WRONG_COMPARTMENT = 3, /* this kind of entry does not belong in this compartment */
    HELD_DOES_NOT_OPEN = 4,     /* the seal does not open with the key it names */
    HELD_PADDING = 5,           /* wrong padding */
    HELD_COMPRESSION = 6,       /* what was compressed does not come back */
    HELD_NOT_CANONICAL = 7,     /* not a payload in its one encoding */
    HELD_OVER_LIMIT = 8,        /* larger or deeper than an entry may be */
    HELD_RECORD_TAG = 9,        /* it names a record whose membership tag is wrong */
    HELD_WRONG_LEVEL = 10,      /* a field that belongs in the other compartment of the pair */
    HELD_RECORD_KEY = 11,       /* a record key that does not hash to its record */
    HELD_WRONG_SHAPE = 12,      /* a payload of another kind of entry */
    HELD_NOT_PADDED = 13,       /* data that is not padded where every payload is */
    HELD_BEYOND_CUT = 14,       /* beyond where its author's log ends */
    HELD_COUNT
};

/* What a device does in a compartment. */
enum operation {
    OPERATION_CARRY,         /* be told of it, hold and pass on its entries */
    OPERATION_READ,          /* be given its keys */
    OPERATION_WRITE_DATA,    /* entries of kind 0 */
    OPERATION_WRITE_KEY,     /* entries of kind 2 */
    OPERATION_WRITE_CONTROL, /* entries of kind 1, and of kind 5 and 6: everybody's, in `control` */
    OPERATION_EPOCH,         /* make epochs and boxes */
    OPERATION_ACTOR,         /* name the actors of the office whose cases they are */
    OPERATION_COUNT          /* how many there are */
};

/* The level that an operation needs. */
enum level policy_level_needed(enum operation operation);

/* True if `device` (NULL: nobody) may do this there. A compartment that nobody knows allows nothing. */
bool policy_may(const struct roster *roster, const struct roster_device *device, enum operation operation,
                const struct ident *compartment);

/* True if this node opens what it holds there, by the certificates of its device that count, revoked or not: a
 * revoked node keeps to itself what it has, and is given no more. */
bool policy_opens(const struct roster *roster, const struct roster_device *own,
                  const struct ident *compartment);

/* May entries of this log be taken in here? */
enum admission {
    ADMIT = 0,
    LATER_UNKNOWN_AUTHOR, /* no certificate known here names the key */
    LATER_NO_WRITE,       /* none known here ever gave its device write there */
    LATER_NOT_OURS,       /* we have not even carry there */
};

/* `own` is this node's device, living or not. */
enum admission policy_admit(const struct roster *roster, const struct roster_device *own,
                            const struct descriptor *descriptor);
/* One sentence for a log line. */
const char *policy_admission_text(enum admission admission);

/* The standing of an entry by what its header and log say: kind, lane, compartment, what its author may write by
 * the certificates that count, and this node's own level. Whether it lies beyond a cut is another question. `reason_out` (may be NULL) is HELD_NOT unless it is held. */
enum standing policy_judge(const struct roster *roster, const struct roster_device *own,
                           const struct descriptor *descriptor, const struct entry *entry,
                           enum held_reason *reason_out);

/* The reason that a fault in opening an entry stands for. HELD_NOT: no fault, or one that is not the entry's:
 * FAULT_SCHEMA waits for an upgrade, FAULT_MEMORY is tried again. */
enum held_reason policy_reason_of_fault(enum entry_fault fault);

/* The one of the two that takes precedence. */
enum standing policy_worse(enum standing a, enum standing b);

/* Of two reasons, the one that is shown: the same whichever was found first. */
enum held_reason policy_reason_shown(enum held_reason a, enum held_reason b);

/* May this node speak of the compartment to that peer? Only if both have at least carry. */
bool policy_may_speak(const struct roster *roster, const struct roster_device *own,
                      const struct roster_device *peer, const struct ident *compartment);

/* True if a field of this sensitivity belongs in the compartment: in a protected twin L3 only, elsewhere
 * anything but L3, in an audit compartment both. */
bool policy_field_belongs(const struct roster_compartment *compartment, enum sensitivity sensitivity);

/* Stable names for scripts ("held", "wrong-lane") and one sentence for people. Never NULL. */
const char *standing_name(enum standing standing);
const char *held_reason_name(enum held_reason reason);
const char *held_reason_text(enum held_reason reason);
