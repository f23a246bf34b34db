#include "sync/bundle_contact.h"

#include "sync/replica_state.h"
#include "sync/restore.h"

#include <stdlib.h>
#include <string.h>

/* The whole of a tip that is here, on whatever branch. ERR_ABSENT: it is not. */
static enum err
find_tip(struct replica *replica, struct table_txn *txn, const struct ident *compartment,
         const struct heads_tip *known, struct tip *out)
{
    const struct log_branch *first = journal_log_by_prefix(replica->journal, known->log_short);
    struct journal_entry stored;

    if (first == NULL || !ident_equal(&first->descriptor.compartment, compartment)) {
        return ERR_ABSENT;
    }
    for (uint32_t no = first->log_no; no != LOG_NONE; no = journal_branch(replica->journal, no)->sibling) {
        const struct log_branch *branch = journal_branch(replica->journal, no);

        if (known->seq < branch->branch_first || known->seq >= branch->next_seq) {
            continue;
        }
        enum err err = journal_read(replica->journal, txn, no, known->seq, &stored);
        if (err != ERR_OK) {
            return err;
        }
        if (memcmp(stored.entry.id.bytes, known->entry_short, SHORT_BYTES) == 0) {
            *out = (struct tip){ .log_id = branch->log_id, .seq = known->seq, .entry_id = stored.entry.id };
            return ERR_OK;
        }
    }
    return ERR_ABSENT;
}

/* Make the frontier that these tips name. ERR_ABSENT: one of them is not here. */
static enum err
gather(struct replica *replica, struct table_txn *txn, const struct ident *compartment,
       const struct bundle_known *known, struct tip *room, struct frontier *out)
{
    size_t count = 0;
    enum err err = ERR_OK;

    for (size_t n = 0; n < known->count && err == ERR_OK; n++) {
        err = find_tip(replica, txn, compartment, &known->tips[n], &room[count]);
        /* Of a fork the digest asks for no order, and here any two branches are told apart. */
        room[count].branch_first = count;
        count++;
        bool last = n + 1 == known->count ||
                    memcmp(known->tips[n].log_short, known->tips[n + 1].log_short, SHORT_BYTES) != 0;
        if (err == ERR_OK && last) {
            err = frontier_set_log(out, &room[0].log_id, room, count);
            count = 0;
        }
    }
    return err;
}

/* True if this device signed one of the tips after the backup was made. */
static bool
shows_since(struct replica *replica, struct table_txn *txn, const struct frontier *frontier)
{
    for (size_t n = 0; n < frontier->count; n++) {
        const struct tip *tip = &frontier->tips[n];
        const struct log_branch *branch = journal_log(replica->journal, &tip->log_id);

        if (branch != NULL && hash_equal(&branch->device_id, &replica->identity.device_id) &&
            replica_signed_since_backup(txn, &tip->log_id, tip->seq)) {
            return true;
        }
    }
    return false;
}

enum err
bundle_contact_look(struct replica *replica, struct table_txn *txn, const struct ident *compartment,
                    const struct bundle_known *known, const uint8_t digest[DIGEST_BYTES],
                    struct bundle_shown *out)
{
    struct frontier *own = replica_frontier(replica, compartment);
    struct frontier theirs = { 0 };
    struct tip *room = NULL;

    *out = (struct bundle_shown){ false, false };
    if (own == NULL) {
        return ERR_MEMORY;
    }
    if (memcmp(frontier_digest(own), digest, DIGEST_BYTES) == 0) {
        *out = (struct bundle_shown){ true, shows_since(replica, txn, own) };
        return ERR_OK;
    }
    room = calloc(known->count + 1, sizeof *room);
    enum err err = room == NULL ? ERR_MEMORY : gather(replica, txn, compartment, known, room, &theirs);
    if (err == ERR_OK && memcmp(frontier_digest(&theirs), digest, DIGEST_BYTES) == 0) {
        *out = (struct bundle_shown){ true, shows_since(replica, txn, &theirs) };
    }
    frontier_free(&theirs);
    free(room);
    return err == ERR_ABSENT ? ERR_OK : err;
}
