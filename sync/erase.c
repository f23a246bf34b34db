#include "sync/erase.h"

#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "store/record.h"
#include "store/shelf.h"
#include "sync/intake.h"
#include "sync/keyring.h"
#include "sync/policy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATEMENT_KEY_BYTES = 1 + 16,
    RECEIPT_KEY_BYTES = 1 + IDENT_BYTES + 16,
    STATEMENT_ROW_BYTES = IDENT_BYTES + 1 + 3 * 8,
    RECEIPT_ROW_BYTES = HASH_BYTES + 4 + 5 * 8,
    /* Records whose names were looked for in this scan: an entry of each would look again. */
    FORGOTTEN_MAX = 64,
};

/* Of several late copies one receipt tells, and then it waits. */
static const uint64_t LATE_RECEIPT_MS = UINT64_C(10) * 60 * 1000;

static const uint8_t statement_row = 'o';
static const uint8_t scan_row = 'p';
static const uint8_t due_row = 'd';
static const uint8_t receipt_row = 'r';

/* How far one statement is here. */
enum stage { STAGE_SCANNING = 1, STAGE_SCANNED = 2 };

struct statement_state {
    struct ident order;
    enum stage stage;
    uint64_t erased;
    uint64_t unread;
    uint64_t late;
};

/* A key of an order that not every entry was held against yet. */
struct active_key {
    struct ident compartment;
    struct key erase_key;
    struct ident order;
    uint8_t statement[16]; /* stmt_id[0..16] */
    uint64_t erased;       /* since its row was written last */
    uint64_t unread;
};

/* What an entry's reference says of its record. */
struct record_prefix {
    struct ident compartment;
    uint8_t bytes[8];
};

struct erase {
    struct erase_options options;
    struct active_key *active; /* ascending by (compartment, erase_key) */
    size_t active_count;
    bool scanning;
    uint32_t scan_no; /* the scan's next entry */
    uint64_t scan_seq;
    bool due;   /* old bytes lie in the files */
    bool waits; /* for room */
    bool owes;  /* a receipt, as far as is known without looking */
    bool later; /* one of late copies, from look_ms of the steady clock on */
    uint64_t look_ms;
    uint64_t destroyed;
    bool followed;
    uint64_t generation; /* of the roster, when orders were looked at last */
    struct record_prefix forgotten[FORGOTTEN_MAX];
    size_t forgotten_count;
};

/* --- rows --- */

static void
statement_key(uint8_t key[STATEMENT_KEY_BYTES], const uint8_t statement[16])
{
    key[0] = statement_row;
    memcpy(key + 1, statement, 16);
}

static bool
statement_state_read(struct span row, struct statement_state *out)
{
    struct reader reader = reader_of(row);

    reader_copy(&reader, out->order.bytes, IDENT_BYTES);
    out->stage = (enum stage)reader_u8(&reader);
    out->erased = reader_u64(&reader);
    out->unread = reader_u64(&reader);
    out->late = reader_u64(&reader);
    return reader_done(&reader) && (out->stage == STAGE_SCANNING || out->stage == STAGE_SCANNED);
}

static void
statement_state_write(struct table_txn *txn, const uint8_t statement[16], const struct statement_state *state)
{
    uint8_t key[STATEMENT_KEY_BYTES];
    uint8_t row[STATEMENT_ROW_BYTES];
    uint8_t *at = row + IDENT_BYTES + 1;

    statement_key(key, statement);
    memcpy(row, state->order.bytes, IDENT_BYTES);
    row[IDENT_BYTES] = (uint8_t)state->stage;
    bytes_write_u64(at, state->erased);
    bytes_write_u64(at + 8, state->unread);
    bytes_write_u64(at + 16, state->late);
    table_put(txn, TABLE_ERASE, span_of(key, sizeof key), span_of(row, sizeof row));
}

/* ERR_ABSENT: this statement was never looked at here. A row that does not verify is as good as none: everything
 * is looked at again. */
static enum err
statement_state_of(struct table_txn *txn, const uint8_t statement[16], struct statement_state *out)
{
    uint8_t key[STATEMENT_KEY_BYTES];
    struct buf row = { 0 };

    statement_key(key, statement);
    enum err err = table_read(txn, TABLE_ERASE, span_of(key, sizeof key), &row);
    if (err == ERR_CORRUPT || (err == ERR_OK && !statement_state_read(buf_span(&row), out))) {
        err = ERR_ABSENT;
    }
    buf_free(&row);
    return err;
}

static void
scan_write(struct erase *erase, struct table_txn *txn)
{
    uint8_t row[4 + 8];

    if (!erase->scanning) {
        (void)table_delete(txn, TABLE_ERASE, span_of(&scan_row, 1));
        return;
    }
    bytes_write_u32(row, erase->scan_no);
    bytes_write_u64(row + 4, erase->scan_seq);
    table_put(txn, TABLE_ERASE, span_of(&scan_row, 1), span_of(row, sizeof row));
}

static void
due_set(struct erase *erase, struct table_txn *txn)
{
    erase->destroyed++;
    if (!erase->due) {
        erase->due = true;
        table_put(txn, TABLE_ERASE, span_of(&due_row, 1), span_of(NULL, 0));
    }
}

void
erase_look_again(struct table_txn *main_txn)
{
    table_clear(main_txn, TABLE_ERASE, span_of(&statement_row, 1));
    table_clear(main_txn, TABLE_ERASE, span_of(&scan_row, 1));
    table_put(main_txn, TABLE_ERASE, span_of(&due_row, 1), span_of(NULL, 0));
}

/* --- the keys that are looked for --- */

static int
active_order(const void *a, const void *b)
{
    const struct active_key *one = a;
    const struct active_key *other = b;
    int order = ident_compare(&one->compartment, &other->compartment);

    return order != 0 ? order : memcmp(one->erase_key.bytes, other->erase_key.bytes, KEY_BYTES);
}

/* Statements may be read as they stand in the roster; those in control itself name nothing: what is said there is said
 * to everybody. */
static bool
may_erase_in(const struct roster *roster, const struct ident *compartment)
{
    return !ident_equal(roster_control(roster), compartment);
}

/* Make the list of keys from the statements that are not scanned yet. */
static enum err
activate(struct erase *erase, struct table_txn *txn)
{
    const struct roster *roster = erase->options.roster;
    struct active_key *active = NULL;
    size_t count = 0;
    size_t room = 0;

    for (size_t n = 0; n < roster_erasure_count(roster); n++) {
        const struct roster_erasure *erasure = roster_erasure_at(roster, n);
        struct statement_state state;

        if (!erasure->stands || statement_state_of(txn, erasure->stmt_id.bytes, &state) != ERR_OK ||
            state.stage != STAGE_SCANNING) {
            continue;
        }
        if (count + erasure->keys.count > room) {
            room = 2 * room + erasure->keys.count;
            struct active_key *grown = realloc(active, room * sizeof *grown);
            if (grown == NULL) {
                free(active);
                return ERR_MEMORY;
            }
            active = grown;
        }
        for (size_t k = 0; k < erasure->keys.count; k++) {
            struct statement_erase item = statement_erase_at(&erasure->keys, k);

            if (!may_erase_in(roster, &item.compartment)) {
                continue;
            }
            active[count] = (struct active_key){ .compartment = item.compartment,
                                                 .erase_key = item.erase_key,
                                                 .order = erasure->order };
            memcpy(active[count].statement, erasure->stmt_id.bytes, sizeof active[count].statement);
            count++;
        }
    }
    if (count > 1) {
        qsort(active, count, sizeof *active, active_order);
    }
    free(erase->active);
    erase->active = active;
    erase->active_count = count;
    return ERR_OK;
}

/* The active keys of a compartment: a run of them. */
static size_t
active_of(const struct erase *erase, const struct ident *compartment, size_t *count_out)
{
    size_t first = 0;
    size_t end;

    while (first < erase->active_count && ident_compare(&erase->active[first].compartment, compartment) < 0) {
        first++;
    }
    end = first;
    while (end < erase->active_count && ident_equal(&erase->active[end].compartment, compartment)) {
        end++;
    }
    *count_out = end - first;
    return first;
}

/* --- open and close --- */

enum err
erase_open(struct erase **erase_out, const struct erase_options *options, struct table_txn *main_txn)
{
    struct erase *erase = calloc(1, sizeof *erase);
    struct buf row = { 0 };

    if (erase == NULL) {
        return ERR_MEMORY;
    }
    erase->options = *options;
    erase->destroyed = options->destroyed;
    erase->due = table_has(main_txn, TABLE_ERASE, span_of(&due_row, 1));
    erase->owes = true;
    enum err err = table_read(main_txn, TABLE_ERASE, span_of(&scan_row, 1), &row);
    erase->scanning = err != ERR_ABSENT;
    /* A row that does not verify costs a look at every entry. */
    if (err == ERR_OK && row.size == 4 + 8) {
        erase->scan_no = bytes_read_u32(row.data);
        erase->scan_seq = bytes_read_u64(row.data + 4);
    } else {
        erase->scan_no = 1;
    }
    buf_free(&row);
    err = activate(erase, main_txn);
    if (err == ERR_OK) {
        err = table_error(main_txn);
    }
    if (err != ERR_OK) {
        erase_close(&erase);
        return err;
    }
    *erase_out = erase;
    return ERR_OK;
}

void
erase_close(struct erase **erase_inout)
{
    struct erase *erase = *erase_inout;

    *erase_inout = NULL;
    if (erase != NULL) {
        free(erase->active);
        free(erase);
    }
}

/* --- when entries come --- */

bool
erase_reaches(const struct erase *erase, const struct ident *compartment)
{
    size_t count;

    (void)roster_erase_keys_of(erase->options.roster, compartment, &count);
    return count > 0 && may_erase_in(erase->options.roster, compartment);
}

const struct ident *
erase_order_of(const struct erase *erase, const struct ident *compartment, const struct hash *log_id,
               const struct entry *entry)
{
    size_t count;
    const struct roster_erase_key *keys = roster_erase_keys_of(erase->options.roster, compartment, &count);

    if (!may_erase_in(erase->options.roster, compartment)) {
        return NULL;
    }
    for (size_t n = 0; n < count; n++) {
        if (entry_is_member(entry, log_id, &keys[n].erase_key)) {
            return &keys[n].order;
        }
    }
    return NULL;
}

/* Call `each` for every statement that is looked at here, with its state; what it gives is written if it gives true. */
static void
each_statement(struct table_txn *txn, bool (*each)(void *self, struct statement_state *state), void *self)
{
    struct table_cursor cursor;
    struct span key;
    struct span row;

    table_cursor_init(&cursor, txn, TABLE_ERASE, span_of(&statement_row, 1));
    while (table_cursor_next(&cursor, &key, &row)) {
        struct statement_state state;

        if (row.data != NULL && key.size == STATEMENT_KEY_BYTES && statement_state_read(row, &state) &&
            each(self, &state)) {
            statement_state_write(txn, key.data + 1, &state);
        }
    }
    table_cursor_end(&cursor);
}

static bool
count_one_late(void *self, struct statement_state *state)
{
    const struct ident **order = self;

    /* Of several statements of one order the first one counts. */
    if (*order == NULL || !ident_equal(&state->order, *order)) {
        return false;
    }
    state->late++;
    *order = NULL;
    return true;
}

void
erase_count_late(struct erase *erase, struct table_txn *main_txn, const struct ident *order)
{
    const struct ident *counted = order;

    erase->owes = true;
    each_statement(main_txn, count_one_late, &counted);
    log_event("late-copy-refused", "order=%s", ident_short(order).text);
}

/* --- receipts --- */

static void
receipt_key(struct table_txn *txn, uint8_t key[RECEIPT_KEY_BYTES], const struct ident *order,
            const struct hash *device_id)
{
    const struct span device = hash_span(device_id);

    key[0] = receipt_row;
    memcpy(key + 1, order->bytes, IDENT_BYTES);
    table_hash(table_txn_env(txn), key + 1 + IDENT_BYTES, "vigil.row.rcpt", &device, 1);
}

bool
erase_receipt_of(struct table_txn *main_txn, const struct ident *order, const struct hash *device_id,
                 struct erase_receipt *receipt_out)
{
    uint8_t key[RECEIPT_KEY_BYTES];
    struct buf row = { 0 };
    struct hash of;

    *receipt_out = (struct erase_receipt){ 0 };
    receipt_key(main_txn, key, order, device_id);
    bool found = table_read(main_txn, TABLE_ERASE, span_of(key, sizeof key), &row) == ERR_OK;
    if (found) {
        struct reader reader = reader_of(buf_span(&row));

        reader_copy(&reader, of.bytes, HASH_BYTES);
        receipt_out->stage = reader_u32(&reader);
        receipt_out->erased = reader_u64(&reader);
        receipt_out->unread = reader_u64(&reader);
        receipt_out->late = reader_u64(&reader);
        receipt_out->done_hlc = reader_u64(&reader);
        receipt_out->last_hlc = reader_u64(&reader);
        found = reader_done(&reader) && hash_equal(&of, device_id);
    }
    buf_free(&row);
    return found;
}

static uint64_t
greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Receipts may come in any order: what is kept of them is the same. */
void
erase_take_receipt(struct erase *erase, struct table_txn *main_txn, const struct hash *device_id,
                   const struct change_receipt *receipt)
{
    uint8_t key[RECEIPT_KEY_BYTES];
    uint8_t row[RECEIPT_ROW_BYTES];
    uint8_t *at = row + HASH_BYTES;
    struct erase_receipt known;

    (void)erase;
    (void)erase_receipt_of(main_txn, &receipt->order, device_id, &known);
    known.stage = receipt->stage > known.stage ? receipt->stage : known.stage;
    known.erased = greater(known.erased, receipt->erased);
    known.unread = greater(known.unread, receipt->unread);
    known.late = greater(known.late, receipt->late);
    known.last_hlc = greater(known.last_hlc, receipt->hlc);
    if (receipt->stage >= RECEIPT_DONE && (known.done_hlc == 0 || receipt->hlc < known.done_hlc)) {
        known.done_hlc = receipt->hlc;
    }
    receipt_key(main_txn, key, &receipt->order, device_id);
    memcpy(row, device_id->bytes, HASH_BYTES);
    bytes_write_u32(at, known.stage);
    bytes_write_u64(at + 4, known.erased);
    bytes_write_u64(at + 12, known.unread);
    bytes_write_u64(at + 20, known.late);
    bytes_write_u64(at + 28, known.done_hlc);
    bytes_write_u64(at + 36, known.last_hlc);
    table_put(main_txn, TABLE_ERASE, span_of(key, sizeof key), span_of(row, sizeof row));
}

void
erase_clear_derived(struct table_txn *main_txn)
{
    table_clear(main_txn, TABLE_ERASE, span_of(&receipt_row, 1));
}

struct progress_of_order {
    const struct ident *order;
    size_t statement_count;
    size_t scanned_count;
    struct erase_progress *progress;
};

static bool
add_progress(void *self, struct statement_state *state)
{
    struct progress_of_order *of = self;

    if (ident_equal(&state->order, of->order)) {
        of->statement_count++;
        of->scanned_count += state->stage == STAGE_SCANNED;
        of->progress->erased += state->erased;
        of->progress->unread += state->unread;
        of->progress->late += state->late;
    }
    return false;
}

void
erase_progress_of(const struct erase *erase, struct table_txn *main_txn, const struct ident *order,
                  struct erase_progress *progress_out)
{
    struct progress_of_order of = { .order = order, .progress = progress_out };

    *progress_out = (struct erase_progress){ 0 };
    each_statement(main_txn, add_progress, &of);
    progress_out->begun = of.statement_count > 0;
    progress_out->scanned = progress_out->begun && of.scanned_count == of.statement_count;
    progress_out->done = progress_out->scanned && !erase->due;
}

/* Does this device hold anything of what the order names, or may it? */
static bool
concerns_us(const struct erase *erase, const struct roster_erasure *erasure)
{
    const struct roster *roster = erase->options.roster;
    const struct roster_device *own = roster_device(roster, erase->options.own_device);

    for (size_t n = 0; n < erasure->keys.count; n++) {
        struct statement_erase item = statement_erase_at(&erasure->keys, n);

        if (policy_may(roster, own, OPERATION_CARRY, &item.compartment)) {
            return true;
        }
    }
    return false;
}

/* A copy that came late is told of at once, but not each of many. */
static bool
late_is_due(const struct erase *erase, const struct erase_progress *progress,
            const struct erase_receipt *said)
{
    uint64_t now = world_wall_ms(erase->options.world);
    uint64_t last = said->last_hlc >> 16;

    return progress->late > said->late && (now < last || now - last >= LATE_RECEIPT_MS);
}

bool
erase_owes_receipt(struct erase *erase, struct table_txn *main_txn, struct change_receipt *receipt_out)
{
    const struct roster *roster = erase->options.roster;
    bool waits = false;

    for (size_t n = 0; n < roster_erasure_count(roster); n++) {
        const struct roster_erasure *erasure = roster_erasure_at(roster, n);
        struct erase_progress progress;
        struct erase_receipt said;

        if (!erasure->stands) {
            continue;
        }
        erase_progress_of(erase, main_txn, &erasure->order, &progress);
        uint32_t stage = progress.done ? RECEIPT_DONE : progress.scanned && erase->waits ? RECEIPT_CLOSED : 0;
        if (stage == 0 || (progress.erased == 0 && !concerns_us(erase, erasure))) {
            continue;
        }
        (void)erase_receipt_of(main_txn, &erasure->order, erase->options.own_device, &said);
        waits = waits || progress.late > said.late;
        if (stage > said.stage || late_is_due(erase, &progress, &said)) {
            *receipt_out = (struct change_receipt){ .order = erasure->order,
                                                    .stage = stage,
                                                    .erased = progress.erased,
                                                    .unread = progress.unread,
                                                    .late = progress.late };
            return true;
        }
    }
    erase->owes = false;
    erase->later = waits;
    erase->look_ms = world_steady_ms(erase->options.world) + LATE_RECEIPT_MS / 10;
    return false;
}

/* --- one entry, one record --- */

static enum err
erase_entry(struct erase *erase, struct table_txn *main_txn, struct table_txn *keys_txn,
            struct active_key *key, uint32_t log_no, uint64_t seq)
{
    enum err err = journal_erase(erase->options.journal, main_txn, log_no, seq, &key->order);

    /* The payload of a key entry; of others there is none. */
    keys_delete_payload(keys_txn, log_no, seq);
    (void)shelf_drop_entry(main_txn, log_no, seq);
    due_set(erase, main_txn);
    key->erased++;
    /* A damaged row is gone too; whoever looks for it finds damage, as before. */
    return err == ERR_CORRUPT ? table_error(main_txn) : err;
}

/* Is this entry, which the record's own rows name, one of the record? Where it cannot be read, those rows are believed. */
static bool
is_of_record(struct erase *erase, struct table_txn *txn, const struct active_key *key, uint32_t log_no,
             uint64_t seq)
{
    struct journal *journal = erase->options.journal;
    struct journal_entry stored;

    if (log_no == LOG_NONE || log_no > journal_branch_count(journal)) {
        return false;
    }
    const struct log_branch *branch = journal_branch(journal, log_no);
    if (seq < branch->branch_first || seq >= branch->next_seq ||
        !ident_equal(&branch->descriptor.compartment, &key->compartment)) {
        return false;
    }
    enum err err = journal_read(journal, txn, log_no, seq, &stored);
    if (err != ERR_OK) {
        return err == ERR_CORRUPT;
    }
    return stored.state != STATE_ERASED && entry_is_member(&stored.entry, &branch->log_id, &key->erase_key);
}

/* A record whose key is here, and that an order names. */
struct known_record {
    struct active_key *key;
    struct ident record_id;
    uint32_t log_no; /* of the entry that brought its key */
    uint64_t seq;
};

struct known_records {
    struct erase *erase;
    struct known_record *records;
    size_t count;
    size_t room;
    bool failed;
};

static void
find_known(void *self, const struct ident *compartment, const struct record_key *record)
{
    struct known_records *known = self;
    struct key erase_key;
    size_t count;
    size_t first = active_of(known->erase, compartment, &count);

    if (count == 0) {
        return;
    }
    record_key_erase(&erase_key, &record->key);
    for (size_t n = first; n < first + count && !known->failed; n++) {
        struct active_key *key = &known->erase->active[n];

        if (!crypto_equal(key->erase_key.bytes, erase_key.bytes, KEY_BYTES)) {
            continue;
        }
        if (known->count == known->room) {
            known->room = known->room == 0 ? 16 : 2 * known->room;
            struct known_record *grown = realloc(known->records, known->room * sizeof *grown);
            if (grown == NULL) {
                known->failed = true;
                return;
            }
            known->records = grown;
        }
        known->records[known->count++] = (struct known_record){
            .key = key, .record_id = record->record_id, .log_no = record->log_no, .seq = record->seq
        };
        return;
    }
}

/* Everything that is derived of the record goes, then its key, and its entries as far as its own rows name them: some of
 * these may be too damaged to be known by their tag. */
static enum err
erase_known(struct erase *erase, struct intake *intake, struct table_txn *main_txn,
            struct table_txn *keys_txn, const struct known_record *record)
{
    const struct ident *compartment = &record->key->compartment;
    const struct record_place *places = NULL;
    struct arena arena = { 0 };
    size_t count = 0;
    uint32_t record_no;

    enum err err = record_find(main_txn, compartment, &record->record_id, &record_no);
    if (err == ERR_OK) {
        /* What this turn merged into it is written first, and so are the rows that name its entries. */
        err = intake_bring_up_to_date(intake);
    }
    if (err == ERR_OK) {
        err = record_history(main_txn, record_no, &arena, &places, &count);
    }
    if (err == ERR_ABSENT || err == ERR_CORRUPT) {
        /* The scan finds them. */
        count = 0;
        err = ERR_OK;
    }
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        if (is_of_record(erase, main_txn, record->key, places[n].log_no, places[n].seq)) {
            err = erase_entry(erase, main_txn, keys_txn, record->key, places[n].log_no, places[n].seq);
        }
    }
    arena_free(&arena);
    if (err == ERR_OK && is_of_record(erase, main_txn, record->key, record->log_no, record->seq)) {
        err = erase_entry(erase, main_txn, keys_txn, record->key, record->log_no, record->seq);
    }
    if (err == ERR_OK) {
        err = intake_forget_record(intake, compartment, &record->record_id);
    }
    keys_delete_record(keys_txn, compartment, &record->record_id);
    due_set(erase, main_txn);
    return err == ERR_ABSENT ? ERR_OK : err;
}

/* Write what was counted since the last time. */
static void
flush_counts(struct erase *erase, struct table_txn *txn)
{
    for (size_t n = 0; n < erase->active_count; n++) {
        struct active_key *key = &erase->active[n];
        struct statement_state state;

        if ((key->erased > 0 || key->unread > 0) &&
            statement_state_of(txn, key->statement, &state) == ERR_OK) {
            state.erased += key->erased;
            state.unread += key->unread;
            statement_state_write(txn, key->statement, &state);
            key->erased = 0;
            key->unread = 0;
        }
    }
}

/* --- when orders come --- */

static bool
begin_counting(void *self, struct statement_state *state)
{
    (void)self;
    state->unread = 0;
    return state->stage == STAGE_SCANNING;
}

/* Note the orders that stand and were not looked at. Gives how many. */
static size_t
note_new(struct erase *erase, struct table_txn *txn)
{
    const struct roster *roster = erase->options.roster;
    size_t count = 0;

    for (size_t n = 0; n < roster_erasure_count(roster); n++) {
        const struct roster_erasure *erasure = roster_erasure_at(roster, n);
        struct statement_state state = { .order = erasure->order, .stage = STAGE_SCANNING };
        struct statement_state known;

        if (erasure->stands && statement_state_of(txn, erasure->stmt_id.bytes, &known) == ERR_ABSENT) {
            statement_state_write(txn, erasure->stmt_id.bytes, &state);
            log_event("erasure-begins", "order=%s", ident_short(&erasure->order).text);
            count++;
        }
    }
    return count;
}

bool
erase_is_followed(const struct erase *erase)
{
    return erase->followed && erase->generation == roster_generation(erase->options.roster);
}

enum err
erase_follow(struct erase *erase, struct intake *intake, struct table_txn *main_txn,
             struct table_txn *keys_txn)
{
    struct known_records known = { .erase = erase };

    if (erase_is_followed(erase)) {
        return ERR_OK;
    }
    erase->followed = true;
    erase->generation = roster_generation(erase->options.roster);
    if (note_new(erase, main_txn) == 0) {
        return table_error(main_txn);
    }
    /* All that is looked for is looked for in one walk: it begins anew. */
    each_statement(main_txn, begin_counting, NULL);
    enum err err = activate(erase, main_txn);
    if (err != ERR_OK) {
        return err;
    }
    erase->scanning = true;
    erase->scan_no = 1;
    erase->scan_seq = 0;
    erase->forgotten_count = 0;
    scan_write(erase, main_txn);
    keys_each_record(keys_txn, find_known, &known);
    err = known.failed ? ERR_MEMORY : ERR_OK;
    for (size_t n = 0; n < known.count && err == ERR_OK; n++) {
        err = erase_known(erase, intake, main_txn, keys_txn, &known.records[n]);
    }
    free(known.records);
    flush_counts(erase, main_txn);
    if (err == ERR_OK) {
        err = table_error(main_txn);
    }
    return err == ERR_OK ? table_error(keys_txn) : err;
}

/* --- the scan --- */

/* An entry of a record that has lost its key, or never had one here, was merged all the same: its key's row may be damaged.
 * What is derived of the record goes by the name that the entry gives. */
static enum err
forget_by_name(struct erase *erase, struct intake *intake, struct table_txn *txn,
               const struct log_branch *branch, const struct entry *entry)
{
    struct record_prefix name = { .compartment = branch->descriptor.compartment };
    const struct epoch_keys *keys = keyring_find(erase->options.keyring, &name.compartment, entry->epoch);
    struct ident record_id;

    if (keys == NULL) {
        return ERR_OK;
    }
    entry_reference_prefix(name.bytes, entry, &branch->log_id, keys);
    for (size_t n = 0; n < erase->forgotten_count; n++) {
        if (memcmp(&erase->forgotten[n], &name, sizeof name) == 0) {
            return ERR_OK;
        }
    }
    enum err err = record_find_prefix(txn, &name.compartment, name.bytes, &record_id);
    if (err == ERR_OK) {
        err = intake_forget_record(intake, &name.compartment, &record_id);
    }
    if (erase->forgotten_count < FORGOTTEN_MAX) {
        erase->forgotten[erase->forgotten_count++] = name;
    }
    return err == ERR_ABSENT ? ERR_OK : err;
}

/* Nobody can say of which record a damaged entry is: each order that it may concern counts it. */
static void
count_unread(struct erase *erase, size_t first, size_t count)
{
    for (size_t n = first; n < first + count; n++) {
        bool counted = false;

        for (size_t before = first; before < n; before++) {
            counted = counted || memcmp(erase->active[before].statement, erase->active[n].statement,
                                        sizeof erase->active[n].statement) == 0;
        }
        erase->active[n].unread += !counted;
    }
}

/* Hold one entry against the keys from `first` on. */
static enum err
look_at(struct erase *erase, struct intake *intake, struct table_txn *main_txn, struct table_txn *keys_txn,
        const struct log_branch *branch, uint64_t seq, size_t first, size_t count)
{
    struct journal *journal = erase->options.journal;
    struct journal_entry stored;
    enum entry_state state;
    enum err err = ERR_OK;

    if (journal_state(journal, main_txn, branch->log_no, seq, &state) == ERR_OK && state == STATE_ERASED) {
        return ERR_OK;
    }
    if (journal_read(journal, main_txn, branch->log_no, seq, &stored) != ERR_OK) {
        count_unread(erase, first, count);
        return table_error(main_txn);
    }
    for (size_t n = first; n < first + count; n++) {
        struct active_key *key = &erase->active[n];

        if (!entry_is_member(&stored.entry, &branch->log_id, &key->erase_key)) {
            continue;
        }
        /* What is lent from its row ends with the first write: only its header is used from here on. */
        stored.entry.payload = span_of(NULL, 0);
        if (stored.entry.kind == ENTRY_DATA && stored.state == STATE_MERGED) {
            err = forget_by_name(erase, intake, main_txn, branch, &stored.entry);
        }
        intake_forget_waiting(intake, branch, &stored.entry);
        return err == ERR_OK ? erase_entry(erase, main_txn, keys_txn, key, branch->log_no, seq) : err;
    }
    if (stored.state == STATE_HELD && stored.detail == HELD_RECORD_TAG) {
        /* Whether it belongs to the record that it names was judged by a key that may be gone. Where that was gone before the
         * entry came nobody can tell, and it waits: so it does here. */
        intake_judge_again(intake, branch->log_no, seq);
    }
    return table_error(main_txn);
}

static bool
end_statement(void *self, struct statement_state *state)
{
    (void)self;
    if (state->stage != STAGE_SCANNING) {
        return false;
    }
    state->stage = STAGE_SCANNED;
    log_event("erasure-scanned", "order=%s erased=%llu unread=%llu", ident_short(&state->order).text,
              (unsigned long long)state->erased, (unsigned long long)state->unread);
    return true;
}

static void
end_scan(struct erase *erase, struct table_txn *txn)
{
    flush_counts(erase, txn);
    each_statement(txn, end_statement, NULL);
    free(erase->active);
    erase->active = NULL;
    erase->active_count = 0;
    erase->scanning = false;
    erase->owes = true;
    erase->forgotten_count = 0;
}

enum err
erase_scan(struct erase *erase, struct intake *intake, struct table_txn *main_txn, struct table_txn *keys_txn,
           size_t entry_max)
{
    struct journal *journal = erase->options.journal;
    enum err err = ERR_OK;

    if (!erase->scanning) {
        return ERR_OK;
    }
    for (size_t looked = 0;
         err == ERR_OK && looked < entry_max && erase->scan_no <= journal_branch_count(journal);) {
        const struct log_branch *branch = journal_branch(journal, erase->scan_no);
        size_t count;
        size_t first = active_of(erase, &branch->descriptor.compartment, &count);

        if (erase->scan_seq < branch->branch_first) {
            erase->scan_seq = branch->branch_first;
        }
        if (count == 0 || erase->scan_seq >= branch->next_seq) {
            erase->scan_no++;
            erase->scan_seq = 0;
            continue;
        }
        err = look_at(erase, intake, main_txn, keys_txn, branch, erase->scan_seq, first, count);
        erase->scan_seq++;
        looked++;
    }
    if (err != ERR_OK) {
        return err;
    }
    if (erase->scan_no > journal_branch_count(journal)) {
        end_scan(erase, main_txn);
    } else {
        flush_counts(erase, main_txn);
    }
    scan_write(erase, main_txn);
    return table_error(main_txn);
}

bool
erase_is_scanning(const struct erase *erase)
{
    return erase->scanning;
}

bool
erase_wants_compaction(const struct erase *erase)
{
    return erase->due && !erase->scanning;
}

void
erase_compacted(struct erase *erase, struct table_txn *main_txn)
{
    erase->due = false;
    erase->waits = false;
    erase->owes = true;
    (void)table_delete(main_txn, TABLE_ERASE, span_of(&due_row, 1));
}

void
erase_compaction_waits(struct erase *erase)
{
    erase->waits = true;
    erase->owes = true;
}

bool
erase_wants_turn(const struct erase *erase)
{
    return erase->scanning || erase->owes || !erase_is_followed(erase) ||
           (erase->later && world_steady_ms(erase->options.world) >= erase->look_ms);
}

uint64_t
erase_destroyed(const struct erase *erase)
{
    return erase->destroyed;
}
