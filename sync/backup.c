#include "sync/backup.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "sync/bundle.h"
#include "sync/pocket.h"
#include "sync/replica_state.h"
#include "sync/update.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_ENTRIES = 256, SLICE_BYTES = 1 << 20, ABOUT_KEYS = 8 };

#define KEY_TITLE "VIGIL BACKUP KEY 1"

/* How far a branch had come when the backup was begun. */
struct part {
    uint32_t log_no;
    uint8_t lane;
    bool control;
    uint64_t next_seq;
    bool signed_there;                  /* false: that signature is damaged */
    uint8_t signature[SIGNATURE_BYTES]; /* of the entry before next_seq */
};

struct backup {
    struct replica *replica;
    struct backup_about about;
    struct backup_progress progress;
    struct key *file_key; /* in locked memory */
    bool for_office;
    uint64_t generation; /* of the roster whose statements were written */
    struct part *parts;  /* in the order in which they are written */
    size_t part_count;
    size_t at;    /* the part that is being written */
    uint64_t seq; /* of it, the entry that comes next */
    bool begun;   /* its record `log` was written */
    struct stream_writer *main;
    struct stream_writer *keys;
    struct ident pair_id;
    bool with_files;
    struct pocket pocket;
    struct stream_output files;
    struct key *files_key; /* of its parts, in locked memory */
    bool files_ended;
    struct buf files_out; /* parts of a slice; they leave when its transaction has ended */
    struct buf text;
    struct buf piece;
    struct buf main_out; /* records of a slice; they leave when its transaction has ended */
    struct buf keys_out;
};

/* --- about --- */

void
backup_about_free(struct backup_about *about)
{
    free(about->digests);
    memset(about, 0, sizeof *about);
}

void
backup_about_write(struct buf *out, const struct backup_about *about)
{
    cbor_put_map(out, ABOUT_KEYS);
    cbor_put_uint(out, 0);
    cbor_put_bytes(out, hash_span(&about->org));
    cbor_put_uint(out, 1);
    cbor_put_bytes(out, hash_span(&about->device_id));
    cbor_put_uint(out, 2);
    cbor_put_uint(out, about->made_ms);
    cbor_put_uint(out, 3);
    cbor_put_bool(out, about->has_device_keys);
    cbor_put_uint(out, 4);
    cbor_put_uint(out, about->entry_count);
    cbor_put_uint(out, 5);
    cbor_put_text(out, span_text(about->organisation));
    cbor_put_uint(out, 6);
    cbor_put_text(out, span_text(about->device));
    cbor_put_uint(out, 7);
    cbor_put_array(out, about->digest_count);
    for (size_t n = 0; n < about->digest_count; n++) {
        cbor_put_array(out, 2);
        cbor_put_bytes(out, ident_span(&about->digests[n].compartment));
        cbor_put_bytes(out, span_of(about->digests[n].digest, DIGEST_BYTES));
    }
}

static void
expect_key(struct cbor_reader *reader, uint64_t key)
{
    if (cbor_read_uint(reader) != key) {
        cbor_fail(reader);
    }
}

static void
read_name(struct cbor_reader *reader, char out[STATEMENT_NAME_BYTES_MAX + 1])
{
    struct span text = cbor_read_text(reader);

    if (text.size > STATEMENT_NAME_BYTES_MAX || !statement_name_plain(text)) {
        cbor_fail(reader);
    } else if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
}

enum err
backup_about_read(struct span body, struct backup_about *about_out)
{
    struct cbor_reader reader = cbor_reader_of(body);

    memset(about_out, 0, sizeof *about_out);
    if (cbor_read_map(&reader) != ABOUT_KEYS) {
        return ERR_CORRUPT;
    }
    expect_key(&reader, 0);
    cbor_read_exact(&reader, about_out->org.bytes, HASH_BYTES);
    expect_key(&reader, 1);
    cbor_read_exact(&reader, about_out->device_id.bytes, HASH_BYTES);
    expect_key(&reader, 2);
    about_out->made_ms = cbor_read_uint(&reader);
    expect_key(&reader, 3);
    about_out->has_device_keys = cbor_read_bool(&reader);
    expect_key(&reader, 4);
    about_out->entry_count = cbor_read_uint(&reader);
    expect_key(&reader, 5);
    read_name(&reader, about_out->organisation);
    expect_key(&reader, 6);
    read_name(&reader, about_out->device);
    expect_key(&reader, 7);
    size_t count = cbor_read_array(&reader);
    if (count > BACKUP_COMPARTMENTS_MAX) {
        return ERR_CORRUPT;
    }
    about_out->digests = calloc(count + 1, sizeof *about_out->digests);
    if (about_out->digests == NULL) {
        return ERR_MEMORY;
    }
    about_out->digest_count = count;
    for (size_t n = 0; n < count; n++) {
        if (cbor_read_array(&reader) != 2) {
            cbor_fail(&reader);
        }
        cbor_read_exact(&reader, about_out->digests[n].compartment.bytes, IDENT_BYTES);
        cbor_read_exact(&reader, about_out->digests[n].digest, DIGEST_BYTES);
    }
    if (!cbor_done(&reader)) {
        backup_about_free(about_out);
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

/* --- records --- */

/* Append the head of a record; its body of `size` bytes follows. */
static void
put_head(struct buf *out, enum backup_record type, size_t size)
{
    assert(size <= BACKUP_RECORD_BYTES_MAX);
    buf_put_u8(out, (uint8_t)type);
    buf_put_u32(out, (uint32_t)size);
}

static void
put_record(struct buf *out, enum backup_record type, struct span body)
{
    put_head(out, type, body.size);
    buf_put_span(out, body);
}

/* Let the records of a slice leave. */
static enum err
flush(struct backup *backup)
{
    enum err err = backup->main_out.failed || backup->keys_out.failed ? ERR_MEMORY : ERR_OK;

    if (err == ERR_OK) {
        err = stream_write(backup->main, buf_span(&backup->main_out));
    }
    if (err == ERR_OK) {
        err = stream_write(backup->keys, buf_span(&backup->keys_out));
    }
    if (backup->keys_out.size > 0) {
        crypto_wipe(backup->keys_out.data, backup->keys_out.size);
    }
    buf_clear(&backup->main_out);
    buf_clear(&backup->keys_out);
    return err;
}

/* --- the beginning --- */

static int
part_order(const void *left, const void *right)
{
    const struct part *a = left;
    const struct part *b = right;

    if (a->control != b->control) {
        return a->control ? -1 : 1;
    }
    if (a->lane != b->lane) {
        return a->lane < b->lane ? -1 : 1;
    }
    return a->log_no < b->log_no ? -1 : a->log_no > b->log_no;
}

/* Note how far every branch has come. A read transaction is open. */
static enum err
note_parts(struct backup *backup, struct table_txn *txn)
{
    const struct replica *replica = backup->replica;
    uint32_t count = journal_branch_count(replica->journal);

    backup->parts = calloc((size_t)count + 1, sizeof *backup->parts);
    if (backup->parts == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t no = 1; no <= count; no++) {
        const struct log_branch *branch = journal_branch(replica->journal, no);
        struct part *part = &backup->parts[backup->part_count];
        uint64_t seq;

        if (branch->next_seq == branch->branch_first) {
            continue;
        }
        *part = (struct part){ .log_no = no,
                               .lane = branch->descriptor.lane,
                               .control = ident_equal(&branch->descriptor.compartment,
                                                      roster_control(replica->roster)),
                               .next_seq = branch->next_seq };
        enum err err =
            journal_signature_after(replica->journal, txn, no, branch->next_seq - 1, &seq, part->signature);
        if (err != ERR_OK && err != ERR_ABSENT && err != ERR_CORRUPT) {
            return err;
        }
        part->signed_there = err == ERR_OK;
        backup->progress.all += branch->next_seq - branch->branch_first;
        backup->part_count++;
    }
    qsort(backup->parts, backup->part_count, sizeof *backup->parts, part_order);
    return ERR_OK;
}

/* Note which files are here of a compartment. */
static enum err
note_files_of(struct backup *backup, const struct ident *compartment)
{
    enum parcel_look look = LOOK_FOUND;
    struct blob_have_item item;
    enum err err = ERR_OK;
    uint64_t cursor = 0;

    while (look != LOOK_ENDED && err == ERR_OK) {
        look = parcel_held(backup->replica, compartment, &cursor, &item);
        if (look == LOOK_FOUND) {
            err = pocket_add(&backup->pocket,
                             &(struct pocket_file){ item.address, *compartment, item.chunk_count, false });
        }
    }
    return err;
}

/* The same of all. A read transaction is open. */
static enum err
note_files(struct backup *backup)
{
    const struct roster *roster = backup->replica->roster;
    enum err err = ERR_OK;

    for (size_t n = 0; n < roster_compartment_count(roster) && err == ERR_OK; n++) {
        err = note_files_of(backup, &roster_compartment_at(roster, n)->id);
    }
    pocket_sort(&backup->pocket);
    backup->progress.files_here = backup->pocket.count;
    backup->progress.file_bytes_here = pocket_bytes(&backup->pocket);
    if (!backup->with_files) {
        pocket_free(&backup->pocket);
    }
    return err;
}

static enum err
note_about(struct backup *backup, bool with_device_keys)
{
    struct replica *replica = backup->replica;
    struct backup_about *about = &backup->about;
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    size_t room = roster_compartment_count(replica->roster);
    struct replica_compartment *held = calloc(room + 1, sizeof *held);

    about->digests = calloc(room + 1, sizeof *about->digests);
    if (held == NULL || about->digests == NULL) {
        free(held);
        return ERR_MEMORY;
    }
    size_t count = replica_compartments(replica, held, room);
    for (size_t n = 0; n < count && n < room && n < BACKUP_COMPARTMENTS_MAX; n++) {
        about->digests[n].compartment = held[n].id;
        memcpy(about->digests[n].digest, held[n].digest, DIGEST_BYTES);
        about->digest_count++;
    }
    free(held);
    about->org = replica->identity.org;
    about->device_id = replica->identity.device_id;
    about->made_ms = world_wall_ms(replica->world);
    about->has_device_keys = with_device_keys;
    about->entry_count = backup->progress.all;
    strncpy(about->organisation, roster_name(replica->roster), sizeof about->organisation - 1);
    strncpy(about->device, own == NULL ? "" : own->name, sizeof about->device - 1);
    return ERR_OK;
}

static void
put_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct buf *out = &((struct backup *)self)->keys_out;

    put_head(out, BACKUP_EPOCH, BACKUP_EPOCH_BYTES);
    buf_put_span(out, ident_span(compartment));
    buf_put_span(out, hash_span(epoch_id));
    buf_put(out, key->bytes, KEY_BYTES);
}

static void
put_device(struct backup *backup)
{
    const struct replica_identity *identity = &backup->replica->identity;

    put_head(&backup->keys_out, BACKUP_DEVICE, BACKUP_DEVICE_BYTES);
    buf_put_u8(&backup->keys_out, BACKUP_DEVICE_VERSION);
    buf_put(&backup->keys_out, identity->sign.secret_key, 32); /* libsodium keeps the seed first */
    buf_put(&backup->keys_out, identity->box.secret_key, 32);
    buf_put(&backup->keys_out, identity->transport_secret, 32);
}

static void
put_statement(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct backup *backup = self;
    struct buf whole = { 0 };

    (void)type;
    (void)stmt;
    if (roster_write(backup->replica->roster, id, &whole) && !whole.failed) {
        put_record(&backup->main_out, BACKUP_STATEMENT, buf_span(&whole));
    } else {
        backup->main_out.failed = true;
    }
    buf_free(&whole);
}

static void
put_statements(struct backup *backup)
{
    backup->generation = roster_generation(backup->replica->roster);
    roster_each(backup->replica->roster, 0, put_statement, backup);
}

static enum err
put_notes(struct backup *backup, const struct backup_note *notes, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        struct buf body = { 0 };

        cbor_put_array(&body, 2);
        cbor_put_text(&body, span_text(notes[n].name));
        cbor_put_bytes(&body, notes[n].content);
        enum err err = body.failed ? ERR_MEMORY : body.size > BACKUP_RECORD_BYTES_MAX ? ERR_INVALID : ERR_OK;
        if (err == ERR_OK) {
            put_record(&backup->main_out, BACKUP_NOTE, buf_span(&body));
        }
        buf_wipe(&body);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

/* What stands before the logs, in both files. */
static enum err
put_heads(struct backup *backup, const struct backup_options *options)
{
    struct replica *replica = backup->replica;
    struct table_txn *txn = NULL;
    struct buf about = { 0 };
    size_t secrets = 4096 + keyring_count(replica->keyring) * (BACKUP_RECORD_HEAD_BYTES + BACKUP_EPOCH_BYTES);

    /* Room enough at once: what grows leaves copies behind. */
    (void)buf_extend(&backup->keys_out, BACKUP_RECORD_BYTES_MAX + secrets);
    backup->keys_out.size = 0;
    backup_about_write(&about, &backup->about);
    if (about.failed || about.size > BACKUP_RECORD_BYTES_MAX) {
        buf_free(&about);
        return about.failed ? ERR_MEMORY : ERR_INVALID;
    }
    put_record(&backup->main_out, BACKUP_ABOUT, buf_span(&about));
    put_record(&backup->keys_out, BACKUP_ABOUT, buf_span(&about));
    buf_free(&about);
    put_record(&backup->keys_out, BACKUP_CONTROL, span_of(replica->identity.control_key.bytes, KEY_BYTES));
    if (options->with_device_keys) {
        put_device(backup);
    }
    enum err err = replica_begin_read(replica, &txn);
    if (err == ERR_OK) {
        keys_each_epoch(replica->keys_txn, put_epoch, backup);
        replica_end_read(replica, &txn);
        err = put_notes(backup, options->notes, options->note_count);
    }
    if (err == ERR_OK) {
        put_statements(backup);
    }
    return err;
}

/* Begin both streams, with a file key of this backup alone. */
static enum err
begin_streams(struct backup *backup, const struct backup_options *options)
{
    const struct replica *replica = backup->replica;
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    struct stream_recipient recipients[STREAM_RECIPIENTS_MAX];
    struct stream_header header;
    struct ident pair_id;
    struct key *file_key = crypto_secret_new(sizeof *file_key);
    uint8_t office_key[32];
    size_t count = options->recipient_count;

    assert(count < STREAM_RECIPIENTS_MAX);
    backup->file_key = file_key;
    backup->files_key = crypto_secret_new(sizeof *backup->files_key);
    if (file_key == NULL || backup->files_key == NULL) {
        return ERR_MEMORY;
    }
    if (count > 0) {
        memcpy(recipients, options->recipients, count * sizeof *recipients);
    }
    if (own != NULL && own->office != NULL &&
        crypto_box_key_of_sign_key(office_key, own->office->office_pk)) {
        stream_recipient_of_key(&recipients[count], office_key);
        count++;
        backup->for_office = true;
    }
    if (count == 0) {
        return ERR_INVALID;
    }
    world_random(replica->world, pair_id.bytes, sizeof pair_id.bytes);
    world_random(replica->world, file_key->bytes, sizeof file_key->bytes);
    backup->pair_id = pair_id;
    bundle_volume_key(backup->files_key, file_key, &pair_id, BACKUP_FILES_VOLUME);
    enum err err =
        stream_header_make(&header, STREAM_MAIN, &pair_id, file_key, recipients, count, replica->world);
    if (err == ERR_OK) {
        err = stream_writer_open(&backup->main, &header, file_key, options->main);
    }
    if (err == ERR_OK) {
        err = stream_header_make(&header, STREAM_KEYS, &pair_id, file_key, recipients, count, replica->world);
    }
    if (err == ERR_OK) {
        err = stream_writer_open(&backup->keys, &header, file_key, options->keys);
    }
    return err;
}

enum err
backup_begin(struct backup **backup_out, struct replica *replica, const struct backup_options *options)
{
    struct backup *backup = calloc(1, sizeof *backup);
    struct table_txn *txn = NULL;

    assert(!replica->in_turn);
    if (backup == NULL) {
        return ERR_MEMORY;
    }
    backup->replica = replica;
    backup->with_files = options->with_files;
    backup->files = options->files;
    enum err err = replica_begin_read(replica, &txn);
    if (err == ERR_OK) {
        err = note_parts(backup, txn);
        err = err == ERR_OK ? note_files(backup) : err;
        replica_end_read(replica, &txn);
    }
    if (err == ERR_OK) {
        err = note_about(backup, options->with_device_keys);
    }
    if (err == ERR_OK) {
        err = begin_streams(backup, options);
    }
    if (err == ERR_OK) {
        err = put_heads(backup, options);
    }
    if (err == ERR_OK) {
        err = flush(backup);
    }
    if (err != ERR_OK) {
        backup_close(&backup);
        return err;
    }
    *backup_out = backup;
    return ERR_OK;
}

void
backup_close(struct backup **backup_in)
{
    struct backup *backup = *backup_in;

    if (backup == NULL) {
        return;
    }
    stream_writer_close(&backup->main);
    stream_writer_close(&backup->keys);
    buf_free(&backup->main_out);
    buf_wipe(&backup->keys_out);
    backup_about_free(&backup->about);
    crypto_secret_free(backup->file_key);
    crypto_secret_free(backup->files_key);
    pocket_free(&backup->pocket);
    buf_free(&backup->files_out);
    buf_free(&backup->text);
    buf_free(&backup->piece);
    free(backup->parts);
    free(backup);
    *backup_in = NULL;
}

struct backup_progress
backup_progress(const struct backup *backup)
{
    return backup->progress;
}

const struct backup_about *
backup_about(const struct backup *backup)
{
    return &backup->about;
}

const struct ident *
backup_pair_id(const struct backup *backup)
{
    return &backup->pair_id;
}

const struct key *
backup_file_key(const struct backup *backup)
{
    return backup->file_key;
}

bool
backup_is_for_office(const struct backup *backup)
{
    return backup->for_office;
}

/* --- logs --- */

/* Say which branch follows, and after which entry it begins. */
static enum err
put_log(struct backup *backup, struct table_txn *txn, const struct part *part)
{
    const struct log_branch *branch = journal_branch(backup->replica->journal, part->log_no);
    uint8_t body[BACKUP_LOG_BYTES];
    struct journal_entry first;

    enum err err = journal_read(backup->replica->journal, txn, part->log_no, branch->branch_first, &first);
    if (err == ERR_OK) {
        descriptor_write(body, &branch->descriptor);
        bytes_write_u64(body + DESCRIPTOR_BYTES, branch->branch_first);
        memcpy(body + DESCRIPTOR_BYTES + 8, first.entry.prev.bytes, HASH_BYTES);
        put_record(&backup->main_out, BACKUP_LOG, span_of(body, sizeof body));
        backup->seq = branch->branch_first;
        backup->begun = true;
    }
    return err;
}

/* The payload of a key entry goes into the other file. */
static enum err
put_key_payload(struct backup *backup, const struct log_branch *branch, const struct journal_entry *stored)
{
    struct span payload = { 0 };
    struct hash hash;

    if (stored->state == STATE_ERASED) {
        return ERR_OK; /* it is destroyed, and its hash is all there is */
    }
    enum err err = keys_get_payload(backup->replica->keys_txn, stored->log_no, stored->entry.seq, &payload);
    if (err != ERR_OK) {
        return err == ERR_ABSENT ? ERR_CORRUPT : err;
    }
    entry_hash_payload(&hash, payload);
    if (!hash_equal(&hash, &stored->entry.payload_hash)) {
        return ERR_CORRUPT;
    }
    put_head(&backup->keys_out, BACKUP_PAYLOAD, BACKUP_PAYLOAD_HEAD_BYTES + payload.size);
    buf_put_span(&backup->keys_out, hash_span(&branch->log_id));
    buf_put_u64(&backup->keys_out, stored->entry.seq);
    buf_put_span(&backup->keys_out, payload);
    return ERR_OK;
}

/* Write the entries up to the next kept signature, or to where the log ended when the backup was begun. ERR_CORRUPT, and nothing
 * was written: one of them is damaged. */
static enum err
put_chunk(struct backup *backup, struct table_txn *txn, const struct part *part)
{
    struct journal *journal = backup->replica->journal;
    const struct log_branch *branch = journal_branch(journal, part->log_no);
    struct entry entries[RUN_ENTRIES_MAX];
    uint8_t signature[SIGNATURE_BYTES];
    struct buf chunk = { 0 };
    size_t keys_before = backup->keys_out.size;
    uint64_t last = 0;

    enum err err = journal_signature_after(journal, txn, part->log_no, backup->seq, &last, signature);
    if (err == ERR_OK && last >= part->next_seq) {
        last = part->next_seq - 1;
        memcpy(signature, part->signature, sizeof signature);
        err = part->signed_there ? ERR_OK : ERR_CORRUPT;
    }
    if (err == ERR_ABSENT || (err == ERR_OK && last - backup->seq >= RUN_ENTRIES_MAX)) {
        return ERR_CORRUPT;
    }
    size_t count = err == ERR_OK ? (size_t)(last - backup->seq + 1) : 0;
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        struct journal_entry stored;

        err = journal_read(journal, txn, part->log_no, backup->seq + n, &stored);
        if (err == ERR_OK && stored.entry.kind == ENTRY_KEY) {
            err = put_key_payload(backup, branch, &stored);
        } else if (err == ERR_OK && stored.entry.payload.data == NULL && stored.state != STATE_ERASED &&
                   stored.state != STATE_NEEDS_PAYLOAD) {
            err = ERR_CORRUPT;
        }
        if (err == ERR_OK) {
            entries[n] = stored.entry;
            if (stored.entry.kind == ENTRY_KEY) {
                entries[n].payload = span_of(NULL, 0);
            }
        }
    }
    if (err == ERR_OK) {
        chunk_write(&chunk, entries, count, signature);
        put_record(&backup->main_out, BACKUP_CHUNK, buf_span(&chunk));
        err = chunk.failed ? ERR_MEMORY : ERR_OK;
        backup->seq = last + 1;
        backup->progress.done += count;
    } else {
        backup->keys_out.size = keys_before;
    }
    buf_free(&chunk);
    return err == ERR_ABSENT ? ERR_CORRUPT : err;
}

/* The rest of a branch cannot be proven any more: leave it out, and say so. */
static void
leave_out(struct backup *backup, const struct part *part)
{
    const struct log_branch *branch = journal_branch(backup->replica->journal, part->log_no);
    uint64_t from = backup->begun ? backup->seq : branch->branch_first;

    backup->progress.lost += part->next_seq - from;
    log_event("backup-lacks", "log=%s from=%llu entries=%llu", hash_short(&branch->log_id).text,
              (unsigned long long)from, (unsigned long long)(part->next_seq - from));
}

/* Read one slice of the logs. */
static enum err
put_slice(struct backup *backup, struct table_txn *txn)
{
    uint64_t until = backup->progress.done + SLICE_ENTRIES;
    enum err err = ERR_OK;

    while (err == ERR_OK && backup->at < backup->part_count && backup->progress.done < until &&
           backup->main_out.size + backup->keys_out.size < SLICE_BYTES) {
        const struct part *part = &backup->parts[backup->at];

        err = backup->begun ? ERR_OK : put_log(backup, txn, part);
        if (err == ERR_OK) {
            err = put_chunk(backup, txn, part);
        }
        bool damaged = err == ERR_CORRUPT;
        if (damaged) {
            leave_out(backup, part);
            err = ERR_OK;
        }
        if (damaged || (err == ERR_OK && backup->seq == part->next_seq)) {
            backup->at++;
            backup->begun = false;
        }
    }
    return err;
}

static enum err
end_streams(struct backup *backup)
{
    /* What was stated meanwhile may be why something is not there any more. */
    if (roster_generation(backup->replica->roster) != backup->generation) {
        put_statements(backup);
    }
    put_record(&backup->main_out, BACKUP_END, span_of(NULL, 0));
    put_record(&backup->keys_out, BACKUP_END, span_of(NULL, 0));
    enum err err = flush(backup);
    if (err == ERR_OK) {
        err = stream_writer_end(backup->main);
    }
    return err == ERR_OK ? stream_writer_end(backup->keys) : err;
}

/* --- files --- */

static void
put_file_part(struct backup *backup)
{
    bundle_part_write(&backup->files_out, backup->files_key, backup->progress.file_parts,
                      buf_span(&backup->text));
    backup->progress.file_parts++;
}

/* Write the next piece of a file. What is damaged or gone here is left out. ERR_MEMORY. */
static enum err
put_piece(struct backup *backup)
{
    struct pocket *pocket = &backup->pocket;
    const struct hash *address = &pocket->files[pocket->at].address;
    bool is_chunk = pocket->stage == POCKET_CHUNK;
    struct pocket_piece piece;
    enum err err = pocket_build(pocket, backup->replica, &backup->piece, &piece);

    if (err == ERR_OK) {
        buf_clear(&backup->text);
        if (piece.is_name) {
            buf_put_u8(&backup->text, BUNDLE_HAVE);
            blob_have_write(&backup->text, piece.compartment.bytes);
            blob_have_item_write(&backup->text, &piece.item);
        } else {
            buf_put_u8(&backup->text, BUNDLE_FILE);
            blob_part_write(&backup->text, &piece.part);
        }
        err = backup->text.failed ? ERR_MEMORY : ERR_OK;
    }
    if (err == ERR_OK && backup->text.size > BUNDLE_TEXT_BYTES_MAX) {
        err = ERR_INVALID; /* a head of a file that is larger than BUNDLE_FILE_CHUNKS_MAX */
    }
    if (err == ERR_OK) {
        put_file_part(backup);
        backup->progress.file_bytes += is_chunk ? BLOB_SEALED_BYTES : 0;
        backup->progress.files += pocket_step(pocket) ? 1 : 0;
    } else if (err == ERR_CORRUPT && is_chunk) {
        backup->progress.file_chunks_lost++;
        (void)pocket_step(pocket);
    } else if (err != ERR_MEMORY) {
        log_event("backup-lacks", "file=%s err=%s", hash_short(address).text, err_code(err));
        backup->progress.files_left++;
        pocket_skip(pocket);
    }
    return err == ERR_MEMORY ? err : ERR_OK;
}

/* Read one slice of the files, or say that they end. */
static enum err
put_files(struct backup *backup)
{
    struct table_txn *txn = NULL;
    enum err err = replica_begin_read(backup->replica, &txn);

    if (err == ERR_OK) {
        while (err == ERR_OK && !pocket_is_done(&backup->pocket) && backup->files_out.size < SLICE_BYTES) {
            err = put_piece(backup);
        }
        replica_end_read(backup->replica, &txn);
    }
    if (err == ERR_OK && pocket_is_done(&backup->pocket)) {
        buf_clear(&backup->text);
        buf_put_u8(&backup->text, BUNDLE_END);
        buf_put_u32(&backup->text, backup->progress.file_parts);
        buf_put_u8(&backup->text, 1);
        err = backup->text.failed ? ERR_MEMORY : ERR_OK;
        if (err == ERR_OK) {
            put_file_part(backup);
            backup->files_ended = true;
        }
    }
    if (err == ERR_OK) {
        err = backup->files_out.failed
                  ? ERR_MEMORY
                  : backup->files.write(backup->files.self, buf_span(&backup->files_out));
    }
    buf_clear(&backup->files_out);
    return err;
}

enum err
backup_step(struct backup *backup, bool *done_out)
{
    struct table_txn *txn = NULL;
    bool logs_done = backup->at == backup->part_count;

    assert(!backup->replica->in_turn);
    *done_out = false;
    if (logs_done && backup->pocket.count > 0 && !backup->files_ended) {
        return put_files(backup);
    }
    *done_out = logs_done;
    if (*done_out) {
        return end_streams(backup);
    }
    enum err err = replica_begin_read(backup->replica, &txn);
    if (err == ERR_OK) {
        err = put_slice(backup, txn);
        replica_end_read(backup->replica, &txn);
    }
    return err == ERR_OK ? flush(backup) : err;
}

/* --- the file key, handed on --- */

enum err
backup_key_write(struct buf *file_out, const struct ident *pair_id, const struct key *file_key,
                 const uint8_t box_pk[32], const struct world *world)
{
    uint8_t sealed[STREAM_SEALED_BYTES];
    struct buf bytes = { 0 };

    if (!crypto_box_seal_to(sealed, box_pk, span_of(file_key->bytes, KEY_BYTES), world)) {
        return ERR_INVALID;
    }
    cbor_put_map(&bytes, 2);
    cbor_put_uint(&bytes, 0);
    cbor_put_bytes(&bytes, ident_span(pair_id));
    cbor_put_uint(&bytes, 1);
    cbor_put_bytes(&bytes, span_of(sealed, sizeof sealed));
    armour_write(file_out, KEY_TITLE, buf_span(&bytes));
    file_out->failed |= bytes.failed;
    buf_free(&bytes);
    return file_out->failed ? ERR_MEMORY : ERR_OK;
}

static enum err
fault(struct joining_fault *out, enum err err, const char *what, const char *why, const char *todo)
{
    *out = (struct joining_fault){ what, why, todo };
    return err;
}

enum err
backup_key_read(struct span file, const struct stream_header *header, const struct key_pair *box_pair,
                struct key *file_key_out, struct joining_fault *fault_out)
{
    uint8_t sealed[STREAM_SEALED_BYTES];
    struct buf bytes = { 0 };
    struct ident pair_id;

    crypto_wipe(file_key_out, sizeof *file_key_out);
    enum err err = armour_open(file, KEY_TITLE, &bytes, fault_out);
    if (err != ERR_OK) {
        buf_free(&bytes);
        return err;
    }
    struct cbor_reader reader = cbor_reader_of(buf_span(&bytes));
    if (cbor_read_map(&reader) != 2) {
        cbor_fail(&reader);
    }
    expect_key(&reader, 0);
    cbor_read_exact(&reader, pair_id.bytes, IDENT_BYTES);
    expect_key(&reader, 1);
    cbor_read_exact(&reader, sealed, sizeof sealed);
    bool good = cbor_done(&reader);
    buf_free(&bytes);
    if (!good) {
        return joining_damaged(fault_out);
    }
    if (!ident_equal(&pair_id, &header->pair_id)) {
        return fault(fault_out, ERR_INVALID, "the key file does not fit", "it is of another backup",
                     "have this backup opened with vigil-org open");
    }
    if (!crypto_box_open_own(file_key_out->bytes, box_pair, span_of(sealed, sizeof sealed))) {
        return fault(fault_out, ERR_LOCKED, "the key file does not open", "it was written for another device",
                     "have it written for the request of this device");
    }
    if (!stream_key_fits(header, file_key_out)) {
        crypto_wipe(file_key_out, sizeof *file_key_out);
        return fault(fault_out, ERR_INVALID, "the key file does not fit",
                     "what it holds is no key of this backup", "have this backup opened with vigil-org open");
    }
    return ERR_OK;
}
