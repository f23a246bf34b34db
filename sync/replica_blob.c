#include "sync/replica_state.h"

#include "store/base/log.h"
#include "store/shelf.h"

#include <assert.h>

struct blobs *
replica_blobs(struct replica *replica)
{
    return replica->blobs;
}

enum err
replica_sync_blobs(struct replica *replica)
{
    enum err err = replica->open_written ? blob_sync(replica->open_file) : ERR_OK;

    replica->open_written = replica->open_written && err != ERR_OK;
    return err;
}

void
replica_close_blob(struct replica *replica)
{
    blob_close(&replica->open_file);
    replica->open_written = false;
}

void
replica_sweep_blobs(struct replica *replica)
{
    struct hash address;
    uint64_t removed = 0;
    enum err err = ERR_OK;

    assert(replica->in_turn);
    replica_close_blob(replica);
    while (err == ERR_OK && shelf_doomed(replica->main_txn, &address)) {
        err = blobs_remove(replica->blobs, &address);
        if (err == ERR_OK) {
            shelf_bury(replica->main_txn, &address);
            removed++;
        }
    }
    if (removed > 0 || (err != ERR_OK && err != replica->sweep_err)) {
        log_event("files-removed", "count=%llu err=%s", (unsigned long long)removed, err_code(err));
    }
    replica->sweep_err = err;
}

static enum err
adopt(void *self, const struct hash *address, uint32_t chunk_count)
{
    struct replica *replica = self;
    struct shelf_blob blob;

    /* One that nothing names may be of a record that has not come back yet. */
    if (shelf_get(replica->main_txn, address, &blob) == ERR_OK && !shelf_is_whole(&blob) &&
        shelf_begin(replica->main_txn, address, chunk_count) == ERR_OK) {
        shelf_put_whole(replica->main_txn, address, chunk_count);
    }
    return ERR_OK;
}

void
replica_adopt_blobs(struct replica *replica)
{
    enum err err = blobs_each(replica->blobs, adopt, replica);

    replica->adopt_due = false;
    shelf_mend(replica->main_txn);
    if (err != ERR_OK) {
        log_event("files-not-listed", "err=%s", err_code(err));
    }
}
