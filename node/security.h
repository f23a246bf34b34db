/* security.h - what the node refused or noticed, until it stands in the audit log.
 *
 *     log_event --> security_hear --> [ a place for each kind ] --> audit_write_security, in a turn --> security_turn_ended
 *                                                                                                 the audit log
 *
 * An event of the log that the one table of security.c has is of security. Its line is where the note comes from, so that nothing
 * is noted which may not be logged: no name, no address, no text, devices by the beginning of their id.
 *
 * Nobody may fill a log that is never shortened by knocking: what is alike (the event, the device, the reason) shares a place. The first
 * is noted at once; what follows as a number, with the times of the first and the last of it, an hour later at the earliest,
 * or when the node stops. There are SECURITY_PLACES places, and one for all that finds none: no more notes than that in an hour, and
 * nothing is left uncounted. A process that is killed takes the counts of its last hour with it.
 */
#pragma once

#include "store/base/err.h"
#include "store/base/world.h"

struct replica;
struct table_txn;

enum {
    SECURITY_PLACES = 64,
    SECURITY_HOUR_MS = 3600 * 1000,     /* between notes of one kind */
    SECURITY_RETRY_MS = 60 * 1000,      /* after one that could not be written */
    SECURITY_RIGHT_MS = 10 * 60 * 1000, /* while this device has no right to write any */
    SECURITY_REASON_BYTES = 160,
};

/* An event that is of security, and what it means: part of a sentence, without a full stop. */
struct security_event {
    const char *event;
    const char *meaning;
};

/* In alphabetical order. NULL: there are no more. */
const struct security_event *security_event_at(size_t n);
/* By the beginning of `text`, up to its first blank. NULL: it is none of them. */
const struct security_event *security_event_of(const char *text);

/* What is to be noted. */
struct security_note {
    const struct security_event *event;
    char device[17];                    /* what the id of the device begins with; "": of none */
    char reason[SECURITY_REASON_BYTES]; /* as the line has it; "" */
    uint32_t actor;                     /* who asked for it; 0: nobody */
    uint64_t count;
    bool again;        /* of a kind that was noted already: */
    uint64_t first_ms; /* wall clock, of the first since then */
    uint64_t last_ms;
};

struct security;

/* `world` outlives it. `directory` is the state directory, "": none. NULL: no memory. */
struct security *security_new(const struct world *world, const char *directory);
void security_free(struct security **security);

/* For log_witness: `self` is a struct security. */
bool security_wants(const char *event);
void security_hear(void *self, const char *line);

/* Log what happened to the state while no node ran, or beside the one that runs: another lock (a changed passphrase, or a lock of
 * another time), and what vigild verify found and repaired. Not in a turn. */
void security_look(struct security *security, struct replica *replica);

/* True if something is to be written now; `all`: the node ends, and no hour is waited for. */
bool security_is_due(const struct security *security, bool all);

/* The next note that is due, from the place *place on, which is moved behind it. NULL: there are no more. It is in the turn that is
 * open then, and counts as written once that is durable. */
const struct security_note *security_take(struct security *security, bool all, size_t *place);

/* What security_look saw last is known from now on, once the turn is durable. */
void security_remember(struct security *security, struct table_txn *txn);

/* How the turn ended: what was written is done, or is tried again some seconds later. */
void security_turn_ended(struct security *security, bool good);

/* Nothing can be written at present: try again after that. */
void security_postpone(struct security *security, uint64_t wait_ms);
