#include "node/casework/following.h"
#include "node/casework/trail.h"

#include <stdlib.h>

enum {
    SLICE = 64, /* records at a time */
    SLICE_BYTES = 1 << 20,
};

/* A record that is to be read again. */
struct due {
    uint32_t record_no; /* of its case half */
    struct ident compartment;
    struct ident record_id;
    bool gone;
};

struct following {
    struct trail trail; /* begun with the first reading, followed once that has ended */
    uint32_t next_no;   /* of the first reading: the next record; UINT32_MAX: all are read */
    struct due due[TRAIL_SLICE];
    size_t due_count;
    struct arena arena;
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
    trail_free(&following->trail);
    arena_free(&following->arena);
    free(following);
    *following_in = NULL;
}

/* With an empty index and the first record. */
static enum err
begin(struct following *following, struct replica *replica, const struct following_reader *reader)
{
    following_restart(following);
    enum err err = reader->begin(reader->self);
    if (err == ERR_OK) {
        trail_begin(&following->trail, replica);
        following->next_no = 1;
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
    struct trail *trail = &following->trail;
    bool again = false;

    enum err err = trail->due_count > 0 ? ERR_OK : trail_read(trail, replica, txn, &again);
    if (err == ERR_OK && again) {
        return begin(following, replica, reader); /* any may be another */
    }
    while (err == ERR_OK && trail->due_count > 0) {
        err = note_record(following, replica_roster(replica), txn, trail->due[trail->due_count - 1]);
        trail->due_count -= err == ERR_OK;
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

    for (int n = 0; n < SLICE && following->due_count > 0 && all < SLICE_BYTES && err == ERR_OK; n++) {
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
    return following->next_no != UINT32_MAX || following->due_count > 0 ||
           trail_is_behind(&following->trail, replica);
}

uint64_t
following_left(const struct following *following, struct replica *replica)
{
    const struct trail *trail = &following->trail;
    uint64_t left = following->due_count + trail->due_count;
    struct table_txn *txn = NULL;

    if (trail->begun) {
        left += journal_place_last(replica_journal(replica)) - trail->place;
    }
    if ((!trail->begun || following->next_no != UINT32_MAX) && replica_begin_read(replica, &txn) == ERR_OK) {
        uint32_t last = record_last(txn);
        uint32_t next = trail->begun ? following->next_no : 1;

        left += next > last ? 0 : last - next + 1;
        replica_end_read(replica, &txn);
    }
    return left;
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
    if (!following->trail.begun) {
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
    trail_note(&following->trail, now_ms, err);
    return err;
}

void
following_retry(struct following *following, uint64_t now_ms)
{
    trail_note(&following->trail, now_ms, ERR_BUSY);
}

uint64_t
following_place(const struct following *following)
{
    return following->trail.place;
}

void
following_resume(struct following *following, uint64_t place)
{
    following_restart(following);
    following->trail.begun = true;
    following->trail.place = place;
    following->next_no = UINT32_MAX;
}

void
following_restart(struct following *following)
{
    following->trail.begun = false;
    following->trail.due_count = 0;
    following->due_count = 0;
}

uint64_t
following_due_ms(struct following *following, struct replica *replica, bool more, uint64_t now_ms)
{
    return trail_due_ms(&following->trail, replica, more || following_is_behind(following, replica), now_ms);
}
