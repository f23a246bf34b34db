#include "node/casework/following.h"

#include <stdlib.h>

enum {
    SLICE = 64, /* records, or places, at a time */
    SLICE_BYTES = 1 << 20,
    REST_MS = 100,
    PATIENCE_MS = 500, /* while the journal does not rest */
    RETRY_MS = 60 * 1000,
};

/* A record that is to be read again. */
struct due {
    uint32_t record_no; /* of its case half */
    struct ident compartment;
    struct ident record_id;
    bool gone;
};

struct following {
    bool begun;
    uint32_t next_no; /* of the first reading: the next record; UINT32_MAX: all are read */
    uint64_t place;   /* of the journal: read up to here */
    struct due due[SLICE];
    size_t due_count;
    struct arena arena;
    uint64_t seen_place; /* as it was looked at last */
    uint64_t rest_ms;    /* since when the journal rests */
    uint64_t read_ms;    /* when a slice was read last, or nothing was to be read */
    uint64_t retry_ms;   /* not before then: the last slice failed */
};

struct following *
following_new(void)
{
    return calloc(1, sizeof(struct following));
}

void
following_free(struct following **following_in)
{
    struct following *following = *following_in;

    if (following == NULL) {
        return;
    }
    arena_free(&following->arena);
    free(following);
    *following_in = NULL;
}

/* With an empty index and the first record. */
static enum err
begin(struct following *following, struct replica *replica, const struct following_reader *reader)
{
    following->begun = false;
    following->due_count = 0;
    enum err err = reader->begin(reader->self);
    if (err == ERR_OK) {
        following->begun = true;
        following->next_no = 1;
        following->place = journal_place_last(replica_journal(replica));
    }
    return err;
}

/* --- which records --- */

static void
add_due(struct following *following, const struct due *due)
{
    for (size_t n = 0; n < following->due_count; n++) {
        if (following->due[n].record_no == due->record_no) {
            return;
        }
    }
    following->due[following->due_count] = *due;
    following->due_count++;
}

/* The record of this number, of either half, is to be read again. */
static enum err
note_record(struct following *following, const struct roster *roster, struct table_txn *txn,
            uint32_t record_no)
{
    struct due due = { .record_no = record_no };
    enum err err = record_name(txn, record_no, &due.compartment, &due.record_id);

    if (err == ERR_ABSENT) {
        due.gone = true;
        add_due(following, &due);
        return ERR_OK;
    }
    if (err != ERR_OK) {
        return err == ERR_CORRUPT ? ERR_OK : err; /* counted by table, and found by verify */
    }
    const struct roster_compartment *compartment = roster_compartment(roster, &due.compartment);
    if (compartment != NULL && compartment->role == COMPARTMENT_AUDIT) {
        return ERR_OK; /* it says who read what, and is no casework */
    }
    if (compartment != NULL && compartment->role == COMPARTMENT_PROTECTED && compartment->twin != NULL) {
        due.compartment = compartment->twin->id;
        err = record_find(txn, &due.compartment, &due.record_id, &due.record_no);
    }
    if (err == ERR_OK) {
        add_due(following, &due);
    }
    return err == ERR_ABSENT || err == ERR_CORRUPT ? ERR_OK : err;
}

static enum err
note_entry(struct following *following, struct replica *replica, struct table_txn *txn, uint32_t log_no,
           uint64_t seq)
{
    const struct log_branch *branch = journal_branch(replica_journal(replica), log_no);
    struct signed_change change;
    struct ident record_id;
    uint32_t record_no;

    if (branch->descriptor.lane == LANE_CONTROL) {
        return ERR_OK; /* keys and statements: what they open has a place of its own */
    }
    enum err err = replica_open_entry(replica, log_no, seq, &following->arena, &change, &record_id);
    if (err == ERR_OK) {
        err = record_find(txn, &branch->descriptor.compartment, &record_id, &record_no);
    }
    arena_reset(&following->arena);
    if (err == ERR_MEMORY || err == ERR_IO) {
        return err;
    }
    /* What is carried, held or waits says nothing yet. */
    return err == ERR_OK ? note_record(following, replica_roster(replica), txn, record_no) : ERR_OK;
}

static enum err
note_first_records(struct following *following, struct replica *replica, struct table_txn *txn)
{
    uint32_t last = record_last(txn);
    enum err err = ERR_OK;

    for (int n = 0; n < SLICE && err == ERR_OK && following->next_no <= last && last < UINT32_MAX; n++) {
        err = note_record(following, replica_roster(replica), txn, following->next_no);
        following->next_no += err == ERR_OK;
    }
    if (err == ERR_OK && following->next_no > last) {
        following->next_no = UINT32_MAX;
    }
    return err;
}

static enum err
note_places(struct following *following, struct replica *replica, struct table_txn *txn,
            const struct following_reader *reader)
{
    uint64_t last = journal_place_last(replica_journal(replica));
    enum err err = ERR_OK;

    for (int n = 0; n < SLICE && err == ERR_OK && following->place < last; n++) {
        uint32_t log_no = LOG_NONE;
        uint64_t seq = 0;

        err = journal_at(txn, following->place + 1, &log_no, &seq);
        if (err == ERR_OK && log_no == LOG_NONE && seq == 0) {
            return begin(following, replica, reader); /* any may be another */
        }
        if (err == ERR_OK) {
            err = log_no == LOG_NONE ? note_record(following, replica_roster(replica), txn, (uint32_t)seq)
                                     : note_entry(following, replica, txn, log_no, seq);
        } else if (err == ERR_CORRUPT || err == ERR_ABSENT) {
            err = ERR_OK; /* one place less is known; what it named is found by what it said before */
        }
        following->place += err == ERR_OK;
    }
    return err;
}

/* --- reading them --- */

static enum err
read_record(struct following *following, struct replica *replica, const struct due *due,
            const struct following_reader *reader, size_t *bytes_out)
{
    struct replica_view view;
    enum err err = ERR_ABSENT;

    *bytes_out = 0;
    if (!due->gone) {
        err = replica_read(replica, &due->compartment, &due->record_id, &following->arena, &view);
    }
    if (err != ERR_IO && err != ERR_MEMORY) {
        bool shown = err == ERR_OK && !view.restricted;

        err = reader->take(reader->self, due->record_no, shown ? &view : NULL, due->gone, bytes_out);
    }
    arena_reset(&following->arena);
    return err;
}

/* As many as a slice may hold; the others are read in the next. */
static enum err
read_due(struct following *following, struct replica *replica, const struct following_reader *reader)
{
    enum err err = ERR_OK;
    size_t all = 0;

    while (following->due_count > 0 && all < SLICE_BYTES && err == ERR_OK) {
        size_t bytes = 0;

        err = read_record(following, replica, &following->due[following->due_count - 1], reader, &bytes);
        all += bytes;
        following->due_count -= err == ERR_OK;
    }
    return err;
}

bool
following_is_behind(const struct following *following, struct replica *replica)
{
    return !following->begun || following->next_no != UINT32_MAX || following->due_count > 0 ||
           following->place < journal_place_last(replica_journal(replica));
}

uint64_t
following_left(const struct following *following, struct replica *replica)
{
    uint64_t last = journal_place_last(replica_journal(replica));
    struct table_txn *txn = NULL;
    uint64_t records = 0;

    if (following->begun && following->next_no == UINT32_MAX) {
        return last - following->place + following->due_count;
    }
    if (replica_begin_read(replica, &txn) == ERR_OK) {
        uint32_t record_last_no = record_last(txn);

        records = !following->begun                     ? record_last_no
                  : following->next_no > record_last_no ? 0
                                                        : record_last_no - following->next_no + 1;
        replica_end_read(replica, &txn);
    }
    return records + following->due_count + (following->begun ? last - following->place : 0);
}

enum err
following_read(struct following *following, struct replica *replica, const struct following_reader *reader,
               uint64_t now_ms)
{
    struct table_txn *txn = NULL;
    enum err err = ERR_OK;

    if (!following_is_behind(following, replica)) {
        return ERR_ABSENT;
    }
    following->read_ms = now_ms;
    if (!following->begun) {
        err = begin(following, replica, reader);
    }
    if (err == ERR_OK && following->due_count == 0) {
        err = replica_begin_read(replica, &txn);
        if (err == ERR_OK) {
            err = following->next_no != UINT32_MAX ? note_first_records(following, replica, txn)
                                                   : note_places(following, replica, txn, reader);
            replica_end_read(replica, &txn);
        }
    }
    if (err == ERR_OK) {
        err = read_due(following, replica, reader);
    }
    following->retry_ms = err == ERR_OK ? 0 : now_ms + RETRY_MS;
    return err;
}

void
following_retry(struct following *following, uint64_t now_ms)
{
    following->retry_ms = now_ms + RETRY_MS;
}

uint64_t
following_place(const struct following *following)
{
    return following->place;
}

void
following_resume(struct following *following, uint64_t place)
{
    following->begun = true;
    following->next_no = UINT32_MAX;
    following->place = place;
    following->due_count = 0;
}

void
following_restart(struct following *following)
{
    following->begun = false;
    following->due_count = 0;
}

uint64_t
following_due_ms(struct following *following, struct replica *replica, bool more, uint64_t now_ms)
{
    uint64_t last = journal_place_last(replica_journal(replica));

    if (!more && !following_is_behind(following, replica)) {
        following->read_ms = now_ms;
        return UINT64_MAX;
    }
    if (last != following->seen_place) {
        following->seen_place = last;
        following->rest_ms = now_ms;
    }
    uint64_t rested = following->rest_ms + REST_MS;
    uint64_t waited = following->read_ms + PATIENCE_MS;
    uint64_t due = rested < waited ? rested : waited;
    return due > following->retry_ms ? due : following->retry_ms;
}
