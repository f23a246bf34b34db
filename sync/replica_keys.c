#include "sync/replica_state.h"

#include "store/base/log.h"
#include "store/keys.h"

#include <assert.h>

/* In meta: generation u32 | commits u64. A replica that was written before there was such a row is looked at once. */
static const char mark_row[] = "keys-mark";
enum { MARK_BYTES = 4 + 8 };

static struct keys_mark
mark_now(struct replica *replica)
{
    struct table_stat stat;

    table_env_stat(replica->keys_env, &stat);
    return (struct keys_mark){ replica->wrap.generation, stat.commits };
}

static bool
mark_equal(const struct keys_mark *a, const struct keys_mark *b)
{
    return a->generation == b->generation && a->commits == b->commits;
}

void
replica_mark_keys(struct replica *replica)
{
    struct keys_mark now = mark_now(replica);
    uint8_t row[MARK_BYTES];

    assert(replica->in_turn && replica->keys_txn == NULL);
    if (mark_equal(&now, &replica->keys_mark)) {
        return;
    }
    bytes_write_u32(row, now.generation);
    bytes_write_u64(row + 4, now.commits);
    table_put(replica->main_txn, TABLE_META, span_text(mark_row), span_of(row, sizeof row));
    replica->keys_mark = now;
}

enum err
replica_look_at_keys(struct replica *replica)
{
    struct keys_mark now = mark_now(replica);
    struct table_txn *txn = NULL;
    struct buf row = { 0 };
    enum err err = table_begin_read(replica->main_env, &txn);

    if (err != ERR_OK) {
        return err;
    }
    err = table_read(txn, TABLE_META, span_text(mark_row), &row);
    table_abort(&txn);
    replica->keys_mark = (struct keys_mark){ 0 };
    if (err == ERR_OK && row.size == MARK_BYTES) {
        replica->keys_mark = (struct keys_mark){ bytes_read_u32(row.data), bytes_read_u64(row.data + 4) };
    }
    buf_free(&row);
    /* After a salvage an entry that is not here was lost with its page, and what is left of its key may be all there is. */
    replica->keys_ahead = !replica->salvaged && !mark_equal(&now, &replica->keys_mark);
    /* One that is damaged says as little as none. */
    return err == ERR_ABSENT || err == ERR_CORRUPT ? ERR_OK : err;
}

struct sweep {
    struct replica *replica;
    uint64_t record_count;
    uint64_t payload_count;
};

static void
sweep_payload(void *self, uint32_t log_no, uint64_t seq)
{
    struct sweep *sweep = self;
    struct replica *replica = sweep->replica;

    if (!journal_stores(replica->journal, log_no, seq)) {
        keys_delete_payload(replica->keys_txn, log_no, seq);
        sweep->payload_count++;
    }
}

static void
sweep_record(void *self, const struct ident *compartment, const struct record_key *key)
{
    struct sweep *sweep = self;

    if (!intake_has_brought_key(sweep->replica->intake, compartment, key)) {
        keys_delete_record(sweep->replica->keys_txn, compartment, &key->record_id);
        sweep->record_count++;
    }
}

void
replica_sweep_keys(struct replica *replica)
{
    struct sweep sweep = { .replica = replica };

    assert(replica->in_turn);
    keys_each_payload(replica->keys_txn, sweep_payload, &sweep);
    keys_each_record(replica->keys_txn, sweep_record, &sweep);
    if (sweep.record_count > 0) {
        /* Another entry, of those that are here, may have brought one of them. */
        intake_take_keys_again(replica->intake);
    }
    if (sweep.record_count + sweep.payload_count > 0) {
        log_event("keys-swept", "records=%llu payloads=%llu", (unsigned long long)sweep.record_count,
                  (unsigned long long)sweep.payload_count);
    }
}
