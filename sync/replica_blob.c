#include "sync/replica_state.h"

#include "store/base/log.h"
#include "store/base/world.h"
#include "store/shelf.h"
#include "sync/restore.h"

#include <assert.h>
#include <stdlib.h>

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

/* --- what no record names --- */

#define KEEP_MS (UINT64_C(90) * 24 * 3600 * 1000)

static const char keep_row[] = "unnamed-kept"; /* in meta: since when, wall ms u64 */

struct unnamed {
    struct replica *replica;
    struct table_txn *txn;
    struct replica_unnamed found;
    struct hash *addresses;
    size_t room;
};

/* A row that does not verify may be its name: such a file stays. */
static enum err
look_at_file(void *self, const struct hash *address, uint64_t bytes)
{
    struct unnamed *unnamed = self;
    struct shelf_blob blob;

    if (shelf_get(unnamed->txn, address, &blob) != ERR_ABSENT || shelf_is_doomed(unnamed->txn, address)) {
        return ERR_OK;
    }
    if (unnamed->found.count == unnamed->room) {
        size_t room = unnamed->room == 0 ? 64 : 2 * unnamed->room;
        struct hash *addresses = realloc(unnamed->addresses, room * sizeof *addresses);

        if (addresses == NULL) {
            return ERR_MEMORY;
        }
        unnamed->addresses = addresses;
        unnamed->room = room;
    }
    unnamed->addresses[unnamed->found.count] = *address;
    unnamed->found.count++;
    unnamed->found.bytes += bytes;
    return ERR_OK;
}

enum err
replica_count_unnamed(struct replica *replica, struct replica_unnamed *out)
{
    struct unnamed unnamed = { .replica = replica };

    *out = (struct replica_unnamed){ 0 };
    enum err err = replica_begin_read(replica, &unnamed.txn);
    if (err == ERR_OK) {
        err = blobs_each_file(replica->blobs, look_at_file, &unnamed);
        replica_end_read(replica, &unnamed.txn);
    }
    free(unnamed.addresses);
    if (err == ERR_OK) {
        *out = unnamed.found;
    }
    return err;
}

struct replica_unnamed
replica_unnamed_removed(const struct replica *replica)
{
    return replica->removed_unnamed;
}

void
replica_keep_unnamed(struct replica *replica)
{
    uint8_t row[8];

    bytes_write_u64(row, world_wall_ms(replica->world));
    table_put(replica->main_txn, TABLE_META, span_text(keep_row), span_of(row, sizeof row));
    replica->keep_unnamed_due = false;
}

/* What names a file may still be on its way into the views, or come back from a peer. */
static bool
may_be_named(struct replica *replica)
{
    struct buf row = { 0 };
    bool kept = false;

    for (uint32_t no = 1; no <= journal_branch_count(replica->journal); no++) {
        if (journal_branch(replica->journal, no)->pending_count > 0) {
            return true;
        }
    }
    if (replica_is_rebuilding(replica) || replica_is_restored(replica, NULL)) {
        return true;
    }
    enum err err = table_read(replica->main_txn, TABLE_META, span_text(keep_row), &row);
    if (err == ERR_OK && row.size == 8) {
        uint64_t since_ms = bytes_read_u64(row.data);
        uint64_t now_ms = world_wall_ms(replica->world);

        kept = now_ms < since_ms || now_ms - since_ms < KEEP_MS;
    }
    buf_free(&row);
    return kept || (err != ERR_OK && err != ERR_ABSENT);
}

bool
replica_sweep_unnamed(struct replica *replica)
{
    struct unnamed unnamed = { .replica = replica, .txn = replica->main_txn };

    assert(replica->in_turn);
    if (replica->swept_unnamed) {
        return true;
    }
    if (replica->narrow || may_be_named(replica)) {
        return false;
    }
    replica->swept_unnamed = true;
    enum err err = blobs_each_file(replica->blobs, look_at_file, &unnamed);
    for (size_t n = 0; n < unnamed.found.count && err == ERR_OK; n++) {
        err = blobs_remove(replica->blobs, &unnamed.addresses[n]);
    }
    free(unnamed.addresses);
    if (err == ERR_OK) {
        replica->removed_unnamed = unnamed.found;
    }
    if (unnamed.found.count > 0 || err != ERR_OK) {
        log_event("files-unnamed", "count=%llu bytes=%llu err=%s", (unsigned long long)unnamed.found.count,
                  (unsigned long long)unnamed.found.bytes, err_code(err));
    }
    return true;
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
