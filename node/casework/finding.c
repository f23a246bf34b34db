#include "node/casework/finding.h"

#include "store/base/cbor.h"
#include "store/base/log.h"

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

struct finding {
    struct search *search; /* NULL: not begun */
    bool unable;           /* and it never will be */
    uint32_t next_no;      /* of the first reading: the next record; UINT32_MAX: all are read */
    uint64_t place;        /* of the journal: read up to here */
    bool purge_due;        /* something that was erased has left it */
    struct due due[SLICE];
    size_t due_count;
    struct arena arena;
    struct buf text;
    struct buf names;
    uint64_t seen_place; /* as it was looked at last */
    uint64_t rest_ms;    /* since when the journal rests */
    uint64_t read_ms;    /* when a slice was read last, or nothing was to be read */
    uint64_t retry_ms;   /* not before then: the last slice failed */
};

struct finding *
finding_new(void)
{
    return calloc(1, sizeof(struct finding));
}

void
finding_free(struct finding **finding_in)
{
    struct finding *finding = *finding_in;

    if (finding == NULL) {
        return;
    }
    search_close(&finding->search);
    arena_free(&finding->arena);
    buf_wipe(&finding->text);
    buf_wipe(&finding->names);
    free(finding);
    *finding_in = NULL;
}

/* Begin with an empty index and the first record. */
static enum err
begin(struct finding *finding, struct replica *replica)
{
    search_close(&finding->search);
    enum err err = search_open(&finding->search);
    if (err == ERR_INVALID) {
        finding->unable = true;
        log_event("search-unavailable", "reason=%s", "no data of ICU or of a stemmer");
    }
    finding->next_no = 1;
    finding->place = journal_place_last(replica_journal(replica));
    finding->purge_due = false;
    return err;
}

/* --- which records --- */

static void
add_due(struct finding *finding, const struct due *due)
{
    for (size_t n = 0; n < finding->due_count; n++) {
        if (finding->due[n].record_no == due->record_no) {
            return;
        }
    }
    finding->due[finding->due_count] = *due;
    finding->due_count++;
}

/* The record of this number, of either half, is to be read again. */
static enum err
note_record(struct finding *finding, const struct roster *roster, struct table_txn *txn, uint32_t record_no)
{
    struct due due = { .record_no = record_no };
    enum err err = record_name(txn, record_no, &due.compartment, &due.record_id);

    if (err == ERR_ABSENT) {
        due.gone = true;
        add_due(finding, &due);
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
        add_due(finding, &due);
    }
    return err == ERR_ABSENT || err == ERR_CORRUPT ? ERR_OK : err;
}

static enum err
note_entry(struct finding *finding, struct replica *replica, struct table_txn *txn, uint32_t log_no,
           uint64_t seq)
{
    const struct log_branch *branch = journal_branch(replica_journal(replica), log_no);
    struct signed_change change;
    struct ident record_id;
    uint32_t record_no;

    if (branch->descriptor.lane == LANE_CONTROL) {
        return ERR_OK; /* keys and statements: what they open has a place of its own */
    }
    enum err err = replica_open_entry(replica, log_no, seq, &finding->arena, &change, &record_id);
    if (err == ERR_OK) {
        err = record_find(txn, &branch->descriptor.compartment, &record_id, &record_no);
    }
    arena_reset(&finding->arena);
    if (err == ERR_MEMORY || err == ERR_IO) {
        return err;
    }
    /* What is carried, held or waits says nothing yet. */
    return err == ERR_OK ? note_record(finding, replica_roster(replica), txn, record_no) : ERR_OK;
}

static enum err
note_first_records(struct finding *finding, struct replica *replica, struct table_txn *txn)
{
    uint32_t last = record_last(txn);
    enum err err = ERR_OK;

    for (int n = 0; n < SLICE && err == ERR_OK && finding->next_no <= last && last < UINT32_MAX; n++) {
        err = note_record(finding, replica_roster(replica), txn, finding->next_no);
        finding->next_no += err == ERR_OK;
    }
    if (err == ERR_OK && finding->next_no > last) {
        finding->next_no = UINT32_MAX;
    }
    return err;
}

static enum err
note_places(struct finding *finding, struct replica *replica, struct table_txn *txn)
{
    uint64_t last = journal_place_last(replica_journal(replica));
    enum err err = ERR_OK;

    for (int n = 0; n < SLICE && err == ERR_OK && finding->place < last; n++) {
        uint32_t log_no = LOG_NONE;
        uint64_t seq = 0;

        err = journal_at(txn, finding->place + 1, &log_no, &seq);
        if (err == ERR_OK && log_no == LOG_NONE && seq == 0) {
            return begin(finding, replica); /* any may be another */
        }
        if (err == ERR_OK) {
            err = log_no == LOG_NONE ? note_record(finding, replica_roster(replica), txn, (uint32_t)seq)
                                     : note_entry(finding, replica, txn, log_no, seq);
        } else if (err == ERR_CORRUPT || err == ERR_ABSENT) {
            err = ERR_OK; /* one place less is known; what it named is found by what it said before */
        }
        finding->place += err == ERR_OK;
    }
    return err;
}

/* --- what they say --- */

/* A value of a field that people write words into. A short text of level L3 says who somebody is. */
static void
put_words(struct finding *finding, const struct codebook_field *field, struct span value)
{
    struct cbor_reader in = cbor_reader_of(value);

    if (field->type == TYPE_LOCALISED && cbor_read_array(&in) == 2) {
        (void)cbor_read_text(&in);
    } else if (field->type != TYPE_TEXT && field->type != TYPE_LONG_TEXT) {
        return;
    }
    struct span text = cbor_read_text(&in);
    bool name = field->type == TYPE_TEXT && field->sensitivity == LEVEL_L3;
    struct buf *out = name ? &finding->names : &finding->text;
    if (text.data != NULL && text.size > 0) {
        buf_put_span(out, text);
        buf_put_u8(out, '\n');
    }
}

/* All live values, those in conflict among them: whichever of two is right, the record is found by it. */
static void
put_half(struct finding *finding, const struct record_view *half)
{
    for (size_t n = 0; half != NULL && n < half->target_count; n++) {
        const struct record_target *target = &half->targets[n];

        for (size_t v = 0; target->field != NULL && v < target->value_count; v++) {
            put_words(finding, target->field, target->values[v].value);
        }
    }
}

static enum err
read_record(struct finding *finding, struct replica *replica, const struct due *due)
{
    struct replica_view view;
    enum err err = ERR_ABSENT;

    buf_clear(&finding->text);
    buf_clear(&finding->names);
    if (!due->gone) {
        err = replica_read(replica, &due->compartment, &due->record_id, &finding->arena, &view);
    }
    if (err == ERR_OK && !view.restricted) {
        put_half(finding, view.open);
        put_half(finding, view.protected_half);
    }
    arena_reset(&finding->arena);
    if (err == ERR_IO || err == ERR_MEMORY || finding->text.failed || finding->names.failed) {
        return err == ERR_IO ? err : ERR_MEMORY;
    }
    finding->purge_due = finding->purge_due || due->gone;
    return search_put(finding->search, due->record_no, buf_span(&finding->text), buf_span(&finding->names));
}

/* As many as a slice may hold; the others are read in the next. */
static enum err
read_due(struct finding *finding, struct replica *replica)
{
    enum err err = ERR_OK;
    size_t bytes = 0;

    while (finding->due_count > 0 && bytes < SLICE_BYTES && err == ERR_OK) {
        err = read_record(finding, replica, &finding->due[finding->due_count - 1]);
        bytes += finding->text.size + finding->names.size;
        finding->due_count -= err == ERR_OK;
    }
    return err;
}

uint64_t
finding_left(const struct finding *finding, struct replica *replica)
{
    uint64_t last = journal_place_last(replica_journal(replica));
    struct table_txn *txn = NULL;
    uint64_t records = 0;

    if (finding->unable) {
        return 0;
    }
    if (finding->search == NULL || finding->next_no != UINT32_MAX) {
        if (replica_begin_read(replica, &txn) == ERR_OK) {
            uint32_t record_last_no = record_last(txn);

            records = finding->search == NULL             ? record_last_no
                      : finding->next_no > record_last_no ? 0
                                                          : record_last_no - finding->next_no + 1;
            replica_end_read(replica, &txn);
        }
        return records + finding->due_count + (finding->search == NULL ? 0 : last - finding->place);
    }
    return last - finding->place + finding->due_count;
}

static bool
is_behind(const struct finding *finding, struct replica *replica)
{
    return !finding->unable &&
           (finding->search == NULL || finding->next_no != UINT32_MAX || finding->due_count > 0 ||
            finding->purge_due || finding->place < journal_place_last(replica_journal(replica)));
}

enum err
finding_read(struct finding *finding, struct replica *replica, uint64_t now_ms)
{
    struct table_txn *txn = NULL;
    enum err err = ERR_OK;

    if (finding->unable) {
        return ERR_INVALID;
    }
    if (!is_behind(finding, replica)) {
        return ERR_ABSENT;
    }
    finding->read_ms = now_ms;
    if (finding->search == NULL) {
        err = begin(finding, replica);
    }
    if (err == ERR_OK && finding->due_count == 0) {
        err = replica_begin_read(replica, &txn);
        if (err == ERR_OK) {
            err = finding->next_no != UINT32_MAX ? note_first_records(finding, replica, txn)
                                                 : note_places(finding, replica, txn);
            replica_end_read(replica, &txn);
        }
    }
    if (err == ERR_OK) {
        err = read_due(finding, replica);
    }
    if (err == ERR_OK && finding->purge_due) {
        finding->purge_due = false;
        err = search_purge(finding->search);
    } else if (err == ERR_OK && !is_behind(finding, replica)) {
        err = search_settle(finding->search); /* who searches need not wait for it */
    }
    finding->retry_ms = err == ERR_OK ? 0 : now_ms + RETRY_MS;
    return err;
}

uint64_t
finding_due_ms(struct finding *finding, struct replica *replica, uint64_t now_ms)
{
    uint64_t last = journal_place_last(replica_journal(replica));

    if (!is_behind(finding, replica)) {
        finding->read_ms = now_ms;
        return UINT64_MAX;
    }
    if (last != finding->seen_place) {
        finding->seen_place = last;
        finding->rest_ms = now_ms;
    }
    uint64_t rested = finding->rest_ms + REST_MS;
    uint64_t waited = finding->read_ms + PATIENCE_MS;
    uint64_t due = rested < waited ? rested : waited;
    return due > finding->retry_ms ? due : finding->retry_ms;
}

enum err
finding_find(struct finding *finding, struct span words, struct search_hit *hits_out, size_t room,
             size_t *count_out)
{
    *count_out = 0;
    return finding->search == NULL ? ERR_INVALID
                                   : search_find(finding->search, words, hits_out, room, count_out);
}
