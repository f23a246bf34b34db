#include "node/casework/trail.h"

enum {
    REST_MS = 100,
    PATIENCE_MS = 500, /* while the journal does not rest */
    RETRY_MS = 60 * 1000,
};

void
trail_begin(struct trail *trail, struct replica *replica)
{
    trail->begun = true;
    trail->place = journal_place_last(replica_journal(replica));
    trail->due_count = 0;
}

void
trail_free(struct trail *trail)
{
    arena_free(&trail->arena);
}

static void
add_due(struct trail *trail, uint32_t record_no)
{
    for (size_t n = 0; n < trail->due_count; n++) {
        if (trail->due[n] == record_no) {
            return;
        }
    }
    trail->due[trail->due_count] = record_no;
    trail->due_count++;
}

static enum err
note_entry(struct trail *trail, struct replica *replica, struct table_txn *txn, uint32_t log_no, uint64_t seq)
{
    const struct log_branch *branch = journal_branch(replica_journal(replica), log_no);
    struct signed_change change;
    struct ident record_id;
    uint32_t record_no;

    if (branch->descriptor.lane == LANE_CONTROL) {
        return ERR_OK; /* keys and statements: what they open has a place of its own */
    }
    enum err err = replica_open_entry(replica, log_no, seq, &trail->arena, &change, &record_id);
    if (err == ERR_OK) {
        err = record_find(txn, &branch->descriptor.compartment, &record_id, &record_no);
    }
    arena_reset(&trail->arena);
    if (err == ERR_OK) {
        add_due(trail, record_no);
    }
    /* What is carried, held or waits says nothing yet. */
    return err == ERR_MEMORY || err == ERR_IO ? err : ERR_OK;
}

enum err
trail_read(struct trail *trail, struct replica *replica, struct table_txn *txn, bool *again_out)
{
    uint64_t last = journal_place_last(replica_journal(replica));
    enum err err = ERR_OK;

    *again_out = false;
    for (int n = 0; n < TRAIL_SLICE && err == ERR_OK && trail->place < last; n++) {
        uint32_t log_no = LOG_NONE;
        uint64_t seq = 0;

        err = journal_at(txn, trail->place + 1, &log_no, &seq);
        if (err == ERR_OK && log_no == LOG_NONE && seq == 0) {
            trail_begin(trail, replica);
            *again_out = true;
            return ERR_OK;
        }
        if (err == ERR_OK && log_no == LOG_NONE) {
            add_due(trail, (uint32_t)seq);
        } else if (err == ERR_OK) {
            err = note_entry(trail, replica, txn, log_no, seq);
        } else if (err == ERR_CORRUPT || err == ERR_ABSENT) {
            err = ERR_OK; /* one place less is known; what it named stays as it was */
        }
        trail->place += err == ERR_OK;
    }
    return err;
}

bool
trail_is_behind(const struct trail *trail, struct replica *replica)
{
    return !trail->begun || trail->due_count > 0 ||
           trail->place < journal_place_last(replica_journal(replica));
}

void
trail_note(struct trail *trail, uint64_t now_ms, enum err err)
{
    trail->read_ms = now_ms;
    trail->retry_ms = err == ERR_OK ? 0 : now_ms + RETRY_MS;
}

uint64_t
trail_due_ms(struct trail *trail, struct replica *replica, bool behind, uint64_t now_ms)
{
    uint64_t last = journal_place_last(replica_journal(replica));

    if (!behind) {
        trail->read_ms = now_ms;
        return UINT64_MAX;
    }
    if (last != trail->seen_place) {
        trail->seen_place = last;
        trail->rest_ms = now_ms;
    }
    uint64_t rested = trail->rest_ms + REST_MS;
    uint64_t waited = trail->read_ms + PATIENCE_MS;
    uint64_t due = rested < waited ? rested : waited;
    return due > trail->retry_ms ? due : trail->retry_ms;
}
