#include "store/proof.h"

#include "store/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    RECORD_SLICE = 4096, /* records rebuilt in one transaction, so that few pages are dirty */
    ENTRY_KEY_BYTES = 12,
    SIGNATURE_ROW_BYTES = HASH_BYTES + SIGNATURE_BYTES,
};

struct run_of_proof {
    const struct proof_options *options;
    struct proof *proof;
    struct table_txn *main_txn;
    struct table_txn *keys_txn;
    uint64_t done;
    uint64_t all;
};

const char *
proof_part_name(enum proof_part part)
{
    static const char *const names[PROOF_PART_COUNT] = { "rows",    "logs",  "order", "waiting",
                                                         "records", "index", "keys" };
    return names[part];
}

__attribute__((format(printf, 3, 4))) static void
finding(struct run_of_proof *run, enum proof_part part, const char *format, ...)
{
    char text[200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    run->proof->findings[part]++;
    run->options->finding(run->options->self, part, text);
}

static void
step(struct run_of_proof *run)
{
    run->done++;
    if (run->options->progress != NULL && run->done % 1024 == 0) {
        run->options->progress(run->options->self, run->done, run->all);
    }
}

static enum err
begin(struct run_of_proof *run)
{
    return run->options->begin(run->options->self, &run->main_txn, &run->keys_txn);
}

static void
abandon(struct run_of_proof *run)
{
    run->options->abandon(run->options->self, &run->main_txn, &run->keys_txn);
}

/* --- rows --- */

static void
prove_rows(struct run_of_proof *run)
{
    for (enum table_id table = 0; table < TABLE_COUNT; table++) {
        struct table_txn *txn = table >= TABLE_KEYS_RECORD ? run->keys_txn : run->main_txn;

        run->proof->checked[PROOF_ROWS] += table_count(txn, table);
        if (table_check(txn, table) != ERR_OK) {
            finding(run, PROOF_ROWS, "table %d holds a row that does not verify", (int)table);
        }
    }
}

/* --- logs --- */

/* The signature row of one entry; false: there is none. */
static bool
signature_row(struct run_of_proof *run, uint32_t log_no, uint64_t seq, struct span *row_out)
{
    uint8_t key[ENTRY_KEY_BYTES];

    bytes_write_u32(key, log_no);
    bytes_write_u64(key + 4, seq);
    return table_get(run->main_txn, TABLE_SIG, span_of(key, sizeof key), row_out) == ERR_OK &&
           row_out->size == SIGNATURE_ROW_BYTES;
}

static void
prove_signature(struct run_of_proof *run, const struct log_branch *branch, const struct entry *entry,
                bool due)
{
    struct span row;

    if (!signature_row(run, branch->log_no, entry->seq, &row)) {
        if (due) {
            finding(run, PROOF_LOGS, "log %u lacks the signature of entry %llu", branch->log_no,
                    (unsigned long long)entry->seq);
        }
        return;
    }
    if (!due) {
        finding(run, PROOF_LOGS, "log %u keeps a signature at entry %llu, which ends no run", branch->log_no,
                (unsigned long long)entry->seq);
    }
    if (memcmp(row.data, entry->id.bytes, HASH_BYTES) != 0 ||
        !crypto_verify(row.data + HASH_BYTES, branch->descriptor.sign_pk, "VIGIL1ENTRY", &entry->id)) {
        finding(run, PROOF_LOGS, "the signature of entry %llu of log %u is not its author's",
                (unsigned long long)entry->seq, branch->log_no);
    }
}

static void
prove_key_entry(struct run_of_proof *run, const struct log_branch *branch, const struct journal_entry *stored)
{
    const struct entry *entry = &stored->entry;
    struct span payload;
    struct hash hash;
    enum err err = keys_get_payload(run->keys_txn, branch->log_no, entry->seq, &payload);

    run->proof->checked[PROOF_KEYS]++;
    if (stored->state == STATE_ERASED) {
        if (err != ERR_ABSENT) {
            finding(run, PROOF_KEYS, "the payload of key entry %llu of log %u is here, and was erased",
                    (unsigned long long)entry->seq, branch->log_no);
        }
        return;
    }
    if (err != ERR_OK) {
        finding(run, PROOF_KEYS, "the payload of key entry %llu of log %u is not here",
                (unsigned long long)entry->seq, branch->log_no);
        return;
    }
    entry_hash_payload(&hash, payload);
    if (!hash_equal(&hash, &entry->payload_hash)) {
        finding(run, PROOF_KEYS, "the payload of key entry %llu of log %u is not the one that it names",
                (unsigned long long)entry->seq, branch->log_no);
    }
}

static bool
state_waits(enum entry_state state)
{
    return state == STATE_NEEDS_KEY || state == STATE_NEEDS_SCHEMA || state == STATE_NEEDS_PAYLOAD;
}

/* Gives how many of the branch's entries wait. */
static uint64_t
prove_branch(struct run_of_proof *run, const struct log_branch *branch)
{
    struct run at = { 0, 0 };
    struct journal_entry stored;
    uint64_t waiting = 0;

    if (journal_run_before(run->options->journal, run->main_txn, branch->log_no, branch->branch_first, &at) !=
        ERR_OK) {
        finding(run, PROOF_LOGS, "the way to branch %u cannot be read", branch->log_no);
        return 0;
    }
    for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
        struct journal_entry next;

        run->proof->checked[PROOF_LOGS]++;
        if (journal_read(run->options->journal, run->main_txn, branch->log_no, seq, &stored) != ERR_OK) {
            finding(run, PROOF_LOGS, "entry %llu of log %u does not hash on from what is before it",
                    (unsigned long long)seq, branch->log_no);
            return waiting;
        }
        run_step(&at, stored.entry.payload_size);
        bool ends = seq + 1 == branch->next_seq;
        if (!ends &&
            journal_read(run->options->journal, run->main_txn, branch->log_no, seq + 1, &next) == ERR_OK) {
            ends = run_breaks(&at, next.entry.payload_size);
        }
        prove_signature(run, branch, &stored.entry, ends);
        waiting += state_waits(stored.state) ? 1 : 0;
        if (stored.entry.kind == ENTRY_KEY) {
            prove_key_entry(run, branch, &stored);
        }
        step(run);
    }
    if (branch->next_seq > branch->branch_first && !hash_equal(&stored.entry.id, &branch->head_id)) {
        finding(run, PROOF_LOGS, "the head of log %u is another entry than its last", branch->log_no);
    }
    return waiting;
}

static void
prove_logs(struct run_of_proof *run)
{
    uint64_t waiting = 0;
    uint64_t counted = 0;
    uint64_t entries = 0;

    for (uint32_t no = 1; no <= journal_branch_count(run->options->journal); no++) {
        const struct log_branch *branch = journal_branch(run->options->journal, no);

        waiting += prove_branch(run, branch);
        counted += branch->pending_count;
        entries += branch->next_seq - branch->branch_first;
    }
    run->proof->checked[PROOF_WAITING] = waiting;
    if (waiting != counted) {
        finding(run, PROOF_WAITING, "%llu entries wait, and %llu rows say so", (unsigned long long)waiting,
                (unsigned long long)counted);
    }
    if (table_count(run->main_txn, TABLE_ENT) != entries) {
        finding(run, PROOF_LOGS, "there are %llu rows of entries for %llu entries",
                (unsigned long long)table_count(run->main_txn, TABLE_ENT), (unsigned long long)entries);
    }
}

/* --- order of arrival --- */

static void
prove_order(struct run_of_proof *run)
{
    uint64_t last = journal_place_last(run->options->journal);
    uint64_t entries = 0;

    for (uint64_t place = 1; place <= last; place++) {
        uint32_t log_no;
        uint64_t seq;
        enum entry_state state;

        run->proof->checked[PROOF_ORDER]++;
        enum err err = journal_at(run->main_txn, place, &log_no, &seq);
        if (err == ERR_OK && log_no == LOG_NONE) {
            continue; /* of a record: it may be gone since */
        }
        if (err != ERR_OK || log_no > journal_branch_count(run->options->journal) ||
            journal_state(run->options->journal, run->main_txn, log_no, seq, &state) != ERR_OK) {
            finding(run, PROOF_ORDER, "place %llu names no entry", (unsigned long long)place);
        }
        entries++;
    }
    /* As many as entries, and every one names one: an entry named twice would leave one unnamed. */
    if (entries != table_count(run->main_txn, TABLE_ENT)) {
        finding(run, PROOF_ORDER, "there are %llu places for %llu entries", (unsigned long long)entries,
                (unsigned long long)table_count(run->main_txn, TABLE_ENT));
    }
}

/* --- records and index --- */

/* Fold the rows of one table that start with `prefix` into `digest`. */
static void
fold_rows(struct run_of_proof *run, enum table_id table, struct span prefix, struct hash *digest)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, run->main_txn, table, prefix);
    while (table_cursor_next(&cursor, &key, &value)) {
        const uint8_t name = (uint8_t)table;
        uint8_t key_size[4];

        bytes_write_u32(key_size, (uint32_t)key.size);
        CRYPTO_HASH(digest, "vigil.view.v1", hash_span(digest), span_of(&name, 1),
                    span_of(key_size, sizeof key_size), key, value.data == NULL ? span_of(NULL, 0) : value);
    }
    table_cursor_end(&cursor);
}

static void
fold_record(struct run_of_proof *run, uint32_t record_no, struct hash *digest)
{
    static const enum table_id tables[] = { TABLE_CELL, TABLE_SUM, TABLE_CONF };
    uint8_t prefix[4];

    bytes_write_u32(prefix, record_no);
    for (size_t n = 0; n < sizeof tables / sizeof tables[0]; n++) {
        fold_rows(run, tables[n], span_of(prefix, sizeof prefix), digest);
    }
}

static void
fold_index(struct run_of_proof *run, struct hash *digest)
{
    fold_rows(run, TABLE_IDX, span_of(NULL, 0), digest);
    fold_rows(run, TABLE_TOKEN, span_of(NULL, 0), digest);
}

/* Rebuild a slice of the records and compare. *more: there are records behind `last`. */
static enum err
prove_record_slice(struct run_of_proof *run, struct record_turn *turn, uint32_t first, uint32_t last)
{
    static struct hash before[RECORD_SLICE];
    struct hash index_before = { { 0 } };
    struct hash index_after = { { 0 } };

    fold_index(run, &index_before);
    record_turn_begin(turn, run->main_txn, run->options->codebook, run->options->source);
    for (uint32_t no = first; no <= last; no++) {
        memset(&before[no - first], 0, sizeof before[0]);
        fold_record(run, no, &before[no - first]);
        CRYPTO_HASH(&run->proof->derived, "vigil.view.v1", hash_span(&run->proof->derived),
                    hash_span(&before[no - first]));
        run->proof->checked[PROOF_RECORDS]++;
        enum err err = record_rebuild(turn, no);
        if (err != ERR_OK && err != ERR_ABSENT) {
            finding(run, PROOF_RECORDS, "record %u cannot be rebuilt: %s", no, err_text(err));
        }
        step(run);
    }
    enum err err = record_turn_end(turn);
    if (err != ERR_OK) {
        finding(run, PROOF_RECORDS, "records %u to %u cannot be rebuilt: %s", first, last, err_text(err));
        return table_error(run->main_txn);
    }
    for (uint32_t no = first; no <= last; no++) {
        struct hash after = { { 0 } };

        fold_record(run, no, &after);
        if (!hash_equal(&after, &before[no - first])) {
            finding(run, PROOF_RECORDS,
                    "record %u is not what its entries make of it: vigild rebuild mends it", no);
        }
    }
    fold_index(run, &index_after);
    if (!hash_equal(&index_before, &index_after)) {
        finding(run, PROOF_INDEX,
                "the index is not what records %u to %u make of it: vigild rebuild mends it", first, last);
    }
    return table_error(run->main_txn);
}

static uint32_t
last_record(struct run_of_proof *run)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint32_t last = 0;

    table_cursor_init(&cursor, run->main_txn, TABLE_RECNO, span_of(NULL, 0));
    if (table_cursor_last(&cursor, &key, &value) && key.size == 4) {
        last = bytes_read_u32(key.data);
    }
    table_cursor_end(&cursor);
    return last;
}

static enum err
prove_records(struct run_of_proof *run, uint32_t last)
{
    struct record_turn *turn = record_turn_new();
    enum err err = turn == NULL ? ERR_MEMORY : ERR_OK;

    for (uint32_t first = 1; first <= last && err == ERR_OK; first += RECORD_SLICE) {
        err = begin(run);
        if (err != ERR_OK) {
            break;
        }
        err = prove_record_slice(run, turn, first,
                                 last - first < RECORD_SLICE ? last : first + RECORD_SLICE - 1);
        abandon(run);
    }
    record_turn_free(&turn);
    return err;
}

enum err
proof_run(const struct proof_options *options, struct proof *proof_out)
{
    struct run_of_proof run = { .options = options, .proof = proof_out };

    memset(proof_out, 0, sizeof *proof_out);
    enum err err = begin(&run);
    if (err != ERR_OK) {
        return err;
    }
    uint32_t records = last_record(&run);
    run.all = table_count(run.main_txn, TABLE_ENT) + records;
    prove_rows(&run);
    prove_logs(&run);
    prove_order(&run);
    proof_out->checked[PROOF_INDEX] = table_count(run.main_txn, TABLE_TOKEN);
    fold_index(&run, &proof_out->derived);
    err = table_error(run.main_txn);
    abandon(&run);
    return err == ERR_OK ? prove_records(&run, records) : err;
}
