#include "sync/scrub.h"

#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "store/shelf.h"
#include "sync/replica_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A row of meta: stage u8 | log_no u32 | seq u64 | table u8 | address 32 | chunk u32 | began, rows, findings, ended, its findings u64.
 * Within a table a pass that was cut off begins that table again: its row keys are no business of another row. */
static const char scrub_row[] = "scrub";
enum { SCRUB_ROW_BYTES = 1 + 4 + 8 + 1 + HASH_BYTES + 4 + 5 * 8 };

struct scrub {
    struct replica *replica;
    enum scrub_stage stage;
    uint32_t log_no; /* the branch that is read; 0: none yet */
    uint64_t seq;
    uint8_t table;
    uint8_t key[TABLE_KEY_BYTES_MAX + 1]; /* go on from here */
    size_t key_size;
    struct hash address; /* the file that is read, or was read last */
    bool in_file;
    uint32_t chunk;
    struct scrub_status status;
    bool keys_again; /* a record key is damaged */
    uint32_t
        hurt; /* a branch of which somebody could not read something: it goes before the others; 0: none */
    uint64_t hurt_seq;
    uint64_t hurt_findings; /* when it began */
};

static void
write_row(struct scrub *scrub, uint8_t row[SCRUB_ROW_BYTES])
{
    row[0] = (uint8_t)scrub->stage;
    bytes_write_u32(row + 1, scrub->log_no);
    bytes_write_u64(row + 5, scrub->seq);
    row[13] = scrub->table;
    memcpy(row + 14, scrub->address.bytes, HASH_BYTES);
    bytes_write_u32(row + 46, scrub->in_file ? scrub->chunk + 1 : 0);
    bytes_write_u64(row + 50, scrub->status.began_ms);
    bytes_write_u64(row + 58, scrub->status.rows);
    bytes_write_u64(row + 66, scrub->status.findings);
    bytes_write_u64(row + 74, scrub->status.ended_ms);
    bytes_write_u64(row + 82, scrub->status.ended_findings);
}

static void
read_sums(const uint8_t row[SCRUB_ROW_BYTES], struct scrub_status *out)
{
    out->began_ms = bytes_read_u64(row + 50);
    out->rows = bytes_read_u64(row + 58);
    out->findings = bytes_read_u64(row + 66);
    out->ended_ms = bytes_read_u64(row + 74);
    out->ended_findings = bytes_read_u64(row + 82);
}

void
scrub_restart(struct scrub *scrub)
{
    scrub->stage = SCRUB_ENTRIES;
    scrub->log_no = LOG_NONE;
    scrub->seq = 0;
    scrub->table = 0;
    scrub->key_size = 0;
    memset(&scrub->address, 0, sizeof scrub->address);
    scrub->in_file = false;
    scrub->chunk = 0;
    scrub->status.began_ms = world_wall_ms(scrub->replica->world);
    scrub->status.rows = 0;
    scrub->status.findings = 0;
}

enum err
scrub_open(struct scrub **scrub_out, struct replica *replica)
{
    struct scrub *scrub = calloc(1, sizeof *scrub);
    struct table_txn *txn = NULL;
    struct buf row = { 0 };

    if (scrub == NULL) {
        return ERR_MEMORY;
    }
    scrub->replica = replica;
    scrub_restart(scrub);
    enum err err = replica_begin_read(replica, &txn);
    if (err != ERR_OK) {
        free(scrub);
        return err;
    }
    if (table_read(txn, TABLE_META, span_text(scrub_row), &row) == ERR_OK && row.size == SCRUB_ROW_BYTES &&
        row.data[0] < SCRUB_STAGE_COUNT && row.data[13] < TABLE_COUNT &&
        bytes_read_u32(row.data + 1) <= journal_branch_count(replica->journal)) {
        scrub->stage = (enum scrub_stage)row.data[0];
        scrub->log_no = bytes_read_u32(row.data + 1);
        scrub->seq = bytes_read_u64(row.data + 5);
        scrub->table = row.data[13];
        memcpy(scrub->address.bytes, row.data + 14, HASH_BYTES);
        scrub->in_file = bytes_read_u32(row.data + 46) > 0;
        scrub->chunk = scrub->in_file ? bytes_read_u32(row.data + 46) - 1 : 0;
        read_sums(row.data, &scrub->status);
    }
    replica_end_read(replica, &txn);
    buf_free(&row);
    *scrub_out = scrub;
    return ERR_OK;
}

void
scrub_close(struct scrub **scrub)
{
    free(*scrub);
    *scrub = NULL;
}

void
scrub_keep(struct scrub *scrub)
{
    uint8_t row[SCRUB_ROW_BYTES];

    assert(scrub->replica->in_turn);
    write_row(scrub, row);
    table_put(scrub->replica->main_txn, TABLE_META, span_text(scrub_row), span_of(row, sizeof row));
}

struct scrub_status
scrub_status(const struct scrub *scrub)
{
    return scrub->status;
}

void
scrub_read_status(struct table_txn *txn, struct scrub_status *out)
{
    struct buf row = { 0 };

    memset(out, 0, sizeof *out);
    if (table_read(txn, TABLE_META, span_text(scrub_row), &row) == ERR_OK && row.size == SCRUB_ROW_BYTES) {
        read_sums(row.data, out);
    }
    out->noted = intake_damage_count(txn);
    buf_free(&row);
}

static void
tell(struct scrub *scrub, const struct scrub_options *options, const struct scrub_finding *finding)
{
    scrub->status.findings++;
    if (options->found != NULL) {
        options->found(options->self, finding);
    }
}

/* --- entries --- */

/* True if it was told, and waits to come again. */
static bool
is_known(struct scrub *scrub, const struct scrub_options *options, const struct log_branch *branch,
         uint64_t seq)
{
    return options->mend && intake_entry_is_noted(scrub->replica->intake, branch->log_no, seq);
}

static void
entry_damaged(struct scrub *scrub, const struct scrub_options *options, const struct log_branch *branch,
              uint64_t seq, bool signature_only, bool note)
{
    if (is_known(scrub, options, branch, seq)) {
        return;
    }
    tell(scrub, options,
         &(struct scrub_finding){ .stage = SCRUB_ENTRIES,
                                  .log_no = branch->log_no,
                                  .seq = seq,
                                  .signature_only = signature_only,
                                  .compartment = &branch->descriptor.compartment,
                                  .device_id = &branch->device_id });
    if (options->mend && note) {
        intake_note_damage(scrub->replica->intake, branch->log_no, seq);
    }
}

static bool
key_is_damaged(struct scrub *scrub, const struct journal_entry *stored)
{
    struct span payload;
    struct hash hash;

    if (stored->entry.kind != ENTRY_KEY || stored->state == STATE_ERASED) {
        return false;
    }
    if (keys_get_payload(scrub->replica->keys_txn, stored->log_no, stored->entry.seq, &payload) != ERR_OK) {
        return true;
    }
    entry_hash_payload(&hash, payload);
    return !hash_equal(&hash, &stored->entry.payload_hash);
}

/* The first entry of a run that cannot be read was met: what follows in the run hashes on from it, so of the others the rows alone are
 * looked at, and told unless they were before. Gives where the next run begins. */
static uint64_t
pass_run(struct scrub *scrub, const struct scrub_options *options, const struct log_branch *branch,
         uint64_t seq, bool known)
{
    for (seq++; seq < branch->next_seq; seq++) {
        if (journal_is_signed(scrub->replica->journal, scrub->replica->main_txn, branch->log_no, seq - 1)) {
            break;
        }
        scrub->status.rows++;
        if (!known && !journal_row_reads(scrub->replica->main_txn, branch->log_no, seq)) {
            entry_damaged(scrub, options, branch, seq, false, false);
        }
    }
    return seq;
}

/* True if a signature is due at this entry, which is of a branch and verifies, and is not here. */
static bool
lacks_signature(struct scrub *scrub, const struct log_branch *branch, uint64_t seq)
{
    struct journal *journal = scrub->replica->journal;
    struct journal_entry next;
    struct run run;

    if (seq + 1 == branch->next_seq) {
        return !branch->head_unsigned &&
               !journal_is_signed(journal, scrub->replica->main_txn, branch->log_no, seq);
    }
    return journal_run_before(journal, scrub->replica->main_txn, branch->log_no, seq + 1, &run) == ERR_OK &&
           journal_read(journal, scrub->replica->main_txn, branch->log_no, seq + 1, &next) == ERR_OK &&
           run_breaks(&run, next.entry.payload_size) &&
           !journal_is_signed(journal, scrub->replica->main_txn, branch->log_no, seq);
}

/* Look at one entry; gives the next one to look at. */
static uint64_t
look_at_entry(struct scrub *scrub, const struct scrub_options *options, const struct log_branch *branch,
              uint64_t seq)
{
    struct journal_entry stored;

    if (journal_read(scrub->replica->journal, scrub->replica->main_txn, branch->log_no, seq, &stored) !=
        ERR_OK) {
        bool known = is_known(scrub, options, branch, seq);

        entry_damaged(scrub, options, branch, seq, false, true);
        return pass_run(scrub, options, branch, seq, known);
    }
    if (key_is_damaged(scrub, &stored)) {
        entry_damaged(scrub, options, branch, seq, false, true);
    } else if (lacks_signature(scrub, branch, seq)) {
        entry_damaged(scrub, options, branch, seq, true, true);
    }
    return seq + 1;
}

/* Look at one entry, and go on behind it. False: there is none left. */
static bool
step_entry(struct scrub *scrub, const struct scrub_options *options)
{
    struct journal *journal = scrub->replica->journal;

    while (scrub->log_no == LOG_NONE || scrub->seq >= journal_branch(journal, scrub->log_no)->next_seq) {
        if (scrub->log_no == journal_branch_count(journal)) {
            return false;
        }
        scrub->log_no++;
        scrub->seq = journal_branch(journal, scrub->log_no)->branch_first;
    }
    scrub->seq = look_at_entry(scrub, options, journal_branch(journal, scrub->log_no), scrub->seq);
    return true;
}

/* Look first at a branch of which somebody could not read something: who asked for it waits. False: there is none. */
static bool
step_hurt(struct scrub *scrub, const struct scrub_options *options)
{
    struct journal *journal = scrub->replica->journal;

    for (uint32_t no = 1; scrub->hurt == LOG_NONE && no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (branch->lacks != 0 && !intake_damage_is_noted(scrub->replica->intake, no)) {
            scrub->hurt = no;
            scrub->hurt_seq = branch->branch_first;
            scrub->hurt_findings = scrub->status.findings;
        }
    }
    if (scrub->hurt == LOG_NONE) {
        return false;
    }
    struct log_branch *branch = journal_branch(journal, scrub->hurt);
    if (scrub->hurt_seq < branch->next_seq) {
        scrub->hurt_seq = look_at_entry(scrub, options, branch, scrub->hurt_seq);
        return true;
    }
    if (scrub->status.findings == scrub->hurt_findings) {
        branch->lacks = 0; /* it came again since */
    }
    scrub->hurt = LOG_NONE;
    return false;
}

/* --- tables --- */

static bool
is_of_record(enum table_id table)
{
    return table == TABLE_RECNO || table == TABLE_CELL || table == TABLE_SUM || table == TABLE_CONF;
}

static void
row_damaged(struct scrub *scrub, const struct scrub_options *options, enum table_id table, struct span key)
{
    uint32_t record_no = is_of_record(table) && key.size >= 4 ? bytes_read_u32(key.data) : 0;
    uint8_t name[4];

    bytes_write_u32(name, record_no);
    if (record_no > 0 && !table_has(scrub->replica->main_txn, TABLE_RECNO, span_of(name, sizeof name))) {
        record_no = 0;
    }
    tell(scrub, options,
         &(struct scrub_finding){ .stage = SCRUB_TABLES, .table = table, .record_no = record_no });
    if (options->mend && (table == TABLE_SUM || table == TABLE_CONF || table == TABLE_CELL) &&
        record_no > 0) {
        intake_queue_record(scrub->replica->intake, record_no);
    }
    scrub->keys_again = scrub->keys_again || table == TABLE_KEYS_RECORD;
}

/* Look at some rows of the table that is next. Gives how many; 0: there is none left. */
static uint32_t
step_table(struct scrub *scrub, uint32_t rows, const struct scrub_options *options)
{
    enum table_id table = (enum table_id)scrub->table;
    struct table_txn *txn = table >= TABLE_KEYS_RECORD ? scrub->replica->keys_txn : scrub->replica->main_txn;
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint32_t count = 0;

    if (scrub->table == TABLE_COUNT) {
        return 0;
    }
    /* What the journal reads by hash was looked at. */
    bool more = table != TABLE_ENT && table != TABLE_SIG;
    if (more) {
        table_cursor_init(&cursor, txn, table, span_of(NULL, 0));
        more = scrub->key_size == 0
                   ? table_cursor_next(&cursor, &key, &value)
                   : table_cursor_seek(&cursor, span_of(scrub->key, scrub->key_size), &key, &value);
        for (; more && count < rows; more = table_cursor_next(&cursor, &key, &value)) {
            count++;
            /* The next key behind this one: itself and a zero. */
            memcpy(scrub->key, key.data, key.size);
            scrub->key[key.size] = 0;
            scrub->key_size = key.size + 1;
            if (value.data == NULL) {
                row_damaged(scrub, options, table, span_of(scrub->key, scrub->key_size - 1));
            }
        }
        table_cursor_end(&cursor);
    }
    if (!more) {
        scrub->table++;
        scrub->key_size = 0;
    }
    return count > 0 ? count : 1;
}

/* --- files --- */

/* Whatever the line: it was here. An entry names it, since it was looked for among those that are named. */
static void
ask_for_file(struct scrub *scrub)
{
    if (shelf_wish(scrub->replica->main_txn, &scrub->address, WISH_ASKED) != ERR_OK) {
        log_event("scrub-cannot-ask", "file=%s", hash_short(&scrub->address).text);
    }
}

static void
chunk_damaged(struct scrub *scrub, const struct scrub_options *options, uint32_t chunk)
{
    tell(scrub, options,
         &(struct scrub_finding){ .stage = SCRUB_FILES, .file = &scrub->address, .chunk = chunk });
    if (options->mend) {
        shelf_lose_chunk(scrub->replica->main_txn, &scrub->address, chunk);
        ask_for_file(scrub);
    }
}

/* The file itself is gone, or nothing of it can be told from damage: all of it comes again. */
static void
file_damaged(struct scrub *scrub, const struct scrub_options *options)
{
    tell(scrub, options, &(struct scrub_finding){ .stage = SCRUB_FILES, .file = &scrub->address });
    if (options->mend) {
        if (shelf_wish(scrub->replica->main_txn, &scrub->address, WISH_AWAY) != ERR_OK) {
            log_event("scrub-cannot-ask", "file=%s", hash_short(&scrub->address).text);
        }
        ask_for_file(scrub);
    }
}

/* Read some chunks of the file that is next. Gives how many; 0: there is none left. */
static uint32_t
step_file(struct scrub *scrub, uint32_t rows, const struct scrub_options *options)
{
    struct table_txn *txn = scrub->replica->main_txn;
    uint8_t sealed[BLOB_SEALED_BYTES];
    struct blob_file *file = NULL;
    struct shelf_blob blob;
    uint32_t damaged = 0;
    uint32_t count = 0;

    if (!scrub->in_file) {
        bool first = hash_is_zero(&scrub->address);

        do {
            if (!shelf_next(txn, first ? NULL : &scrub->address, &blob)) {
                return 0;
            }
            scrub->address = blob.address;
            first = false;
        } while (!shelf_is_whole(&blob));
        scrub->in_file = true;
        scrub->chunk = 0;
    }
    if (shelf_get(txn, &scrub->address, &blob) != ERR_OK || blob.held == 0) {
        scrub->in_file = false;
        return 1;
    }
    replica_close_blob(scrub->replica);
    enum err err = blob_open(&file, scrub->replica->blobs, &scrub->address);
    if (err == ERR_ABSENT || err == ERR_CORRUPT) {
        file_damaged(scrub, options);
    }
    if (err != ERR_OK) {
        scrub->in_file = false;
        return 1;
    }
    for (; count < rows && scrub->chunk < blob_chunks(file); scrub->chunk++, count++) {
        if (!shelf_has_chunk(txn, &scrub->address, scrub->chunk)) {
            continue;
        }
        err = blob_read_chunk(file, scrub->chunk, sealed);
        if (err == ERR_CORRUPT || err == ERR_ABSENT || err == ERR_IO) {
            chunk_damaged(scrub, options, scrub->chunk);
            damaged++;
        }
    }
    bool whole = blob_is_whole(file);
    scrub->in_file = scrub->chunk < blob_chunks(file);
    blob_close(&file);
    if (damaged > 0 && whole && options->mend &&
        blobs_reopen(scrub->replica->blobs, &scrub->address) != ERR_OK) {
        log_event("scrub-cannot-reopen", "file=%s", hash_short(&scrub->address).text);
    }
    return count > 0 ? count : 1;
}

/* --- the pass --- */

bool
scrub_step(struct scrub *scrub, uint32_t rows, const struct scrub_options *options)
{
    uint32_t done = 0;

    assert(scrub->replica->in_turn && !scrub->replica->narrow);
    while (done < rows) {
        uint32_t some = 0;

        if (options->hurt_first && step_hurt(scrub, options)) {
            some = 1;
        } else if (options->hurt_only) {
            break;
        } else if (scrub->stage == SCRUB_ENTRIES) {
            some = step_entry(scrub, options);
        } else if (scrub->stage == SCRUB_TABLES) {
            some = step_table(scrub, rows - done, options);
        } else {
            some = step_file(scrub, rows - done, options);
        }
        done += some;
        scrub->status.rows += some;
        if (some > 0) {
            continue;
        }
        if (scrub->stage == SCRUB_FILES) {
            uint64_t findings = scrub->status.findings;

            if (scrub->keys_again && options->mend) {
                intake_take_keys_again(scrub->replica->intake);
            }
            scrub->keys_again = false;
            scrub_restart(scrub);
            scrub->status.ended_ms = world_wall_ms(scrub->replica->world);
            scrub->status.ended_findings = findings;
            return true;
        }
        scrub->stage++;
        scrub->key_size = 0;
    }
    return false;
}

enum err
scrub_mend_places(struct replica *replica, uint64_t *count_out)
{
    assert(replica->in_turn);
    return journal_mend_places(replica->journal, replica->main_txn, count_out);
}
