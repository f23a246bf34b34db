/* salvage.h - a replica whose pages are damaged: what can be read of it, in files of its own, and in order.
 *
 *     replica_salvage    keys/, main/: rows that verify -> a new file; a mark in it says what is to be put in order
 *     replica_open       finds the mark, and in one transaction:
 *                          logs       follow their entries; one that nobody can name is dropped, and comes again from peers
 *                          database   has another name, so that own logs are closed and new ones begun, as after a restore
 *                          erasures   are followed anew, before anything else is done
 *                          the rest   is to be made anew from the journal: replica_rebuild
 *
 * An erasure must outlive it. What a damaged page still had of a row that was deleted may come back into the new file, so every order
 * that stands is followed again over all of it. Where statements of the organisation are lost, an order may be among them, and the replica is
 * marked as a restored one is: it shows no record until it has been complete in `control` with a peer, or an operator accepts it
 * (restore.h). Statements that control has are read from it again; those that it was founded with an operator gives it once more.
 */
#pragma once

#include "store/salvage.h"
#include "sync/replica.h"

enum replica_part { PART_MAIN, PART_KEYS, PART_COUNT };

struct replica_salvage {
    const char *directory;
    const struct world *world;
    const struct key *storage_key;
    bool damaged[PART_COUNT]; /* which are to be read; the other is left as it is */
    bool apply;               /* false: only look */
};

struct replica_salvaged {
    struct salvage parts[PART_COUNT]; /* of those that were read */
    enum err errs[PART_COUNT];
    bool guarded; /* it is marked as a restored replica is, or would be */
};

/* Read, and with `apply` write. No replica is open there. One that was cut off can begin again. The error of the first part that failed, as
 * salvage_run and wrap_read; of the files that were damaged each is as it was, or whole and new. */
MUST_CHECK enum err replica_salvage(const struct replica_salvage *options, struct replica_salvaged *out);
