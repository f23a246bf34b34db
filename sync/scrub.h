/* scrub.h - reads everything that a replica holds, a little at a time, and has what is damaged come again.
 *
 *     entries    every log from its beginning: rows, hashes, payloads of key entries, signatures where a run ends
 *     tables     every other row of main/ and keys/
 *     files      every chunk of every evidence file that is here whole
 *
 * An entry that is damaged is noted (intake_note_damage): gossip asks each peer for it, and the door puts it back in its place, once
 * what is left here proves that it is the same. A chunk of a file comes again like any that is lacking. What is derived of one
 * record is made anew; what else is derived, vigild verify --repair makes anew, since every record would be gone from the lists
 * meanwhile. A log, a table or a number of a record is named in the event log, and nothing that a case says.
 *
 * Where a pass stands is kept in meta, so that a node which is often started comes to an end.
 */
#pragma once

#include "sync/replica.h"

enum scrub_stage { SCRUB_ENTRIES, SCRUB_TABLES, SCRUB_FILES, SCRUB_STAGE_COUNT };

/* What is damaged, as it is told. */
struct scrub_finding {
    enum scrub_stage stage;
    uint32_t log_no; /* SCRUB_ENTRIES: with seq */
    uint64_t seq;
    bool signature_only;             /* of it only the signature, at the end of a run, is damaged */
    const struct ident *compartment; /* of the log; lent */
    const struct hash *device_id;    /* of its author; lent */
    enum table_id table;             /* SCRUB_TABLES */
    uint32_t record_no;              /* that the row is of; 0: none, or nobody can tell */
    const struct hash *file;         /* SCRUB_FILES: its address; lent */
    uint32_t chunk;
};

struct scrub_options {
    bool mend;       /* note, in the turn, what was not noted yet, and tell that; else tell all of it */
    bool hurt_first; /* with `mend`: begin with logs of which somebody could not read something */
    bool hurt_only;  /* and look at nothing else */
    void *self;      /* of `found`, which may be NULL */
    void (*found)(void *self, const struct scrub_finding *finding);
};

struct scrub;

/* One that goes on where the last pass stopped, as meta says, or begins anew. ERR_MEMORY. */
MUST_CHECK enum err scrub_open(struct scrub **scrub_out, struct replica *replica);
void scrub_close(struct scrub **scrub);

/* Begin from the beginning, whatever meta says. */
void scrub_restart(struct scrub *scrub);

/* Look at the next `rows` rows or chunks, in a turn that is not narrow. True: that was the end of a pass, and the next call begins another. Errors
 * stay in the turn. */
bool scrub_step(struct scrub *scrub, uint32_t rows, const struct scrub_options *options);

/* Keep in meta, in a turn, where the pass stands: after its end, after findings, and now and then. */
void scrub_keep(struct scrub *scrub);

struct scrub_status {
    uint64_t began_ms; /* wall clock: of the pass that is under way */
    uint64_t rows;     /* rows and chunks that it read */
    uint64_t findings; /* of it */
    uint64_t ended_ms; /* of the last whole pass; 0: there was none */
    uint64_t ended_findings;
    uint64_t noted; /* entries that are to come again now */
};

/* How far it is now; `noted` is not filled in. */
struct scrub_status scrub_status(const struct scrub *scrub);

/* What meta says, as of the last scrub_keep. All zero: nothing. */
void scrub_read_status(struct table_txn *txn, struct scrub_status *out);

/* Mend the order of arrival, in a turn: see journal_mend_places. */
MUST_CHECK enum err scrub_mend_places(struct replica *replica, uint64_t *count_out);
