#include "sync/restore.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "sync/replica_state.h"
#include "sync/update.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURN_BYTES_MAX = 4 << 20,
    PROGRESS_STEP = 1024,
    EPOCHS_MAX = 1 << 20,
    ROW_BEGUN = 1, /* the backup is being taken in */
    ROW_DONE =
        2, /* then follow: 1 if a bundle answered; (log_id, next seq u64) of each own log, as the backup had it */
    ROW_BYTES = 1 + 8,
    ROW_ANSWERED = ROW_BYTES, /* where that byte is */
    ROW_LOG_BYTES = HASH_BYTES + 8,
};

static const char restored_row[] = "restored"; /* in meta: version u8, when the backup was made u64 ms */

struct epoch {
    struct ident compartment;
    struct hash epoch_id;
    struct key key;
};

/* Everything secret, in locked memory. */
struct secrets {
    struct key control_key;
    bool has_device;
    uint8_t device[BACKUP_DEVICE_BYTES];
};

struct restore {
    struct backup_about about;
    struct secrets *secrets;
    struct epoch *epochs;
    size_t epoch_count;
    size_t epoch_room;
    struct stream_reader *main;
    struct stream_reader *keys;
    bool verify;
    uint8_t type; /* of the present record of .main */
    struct buf record;
    uint8_t key_type; /* of .keys; 0: none was read ahead */
    struct buf key_record;

    bool in_log; /* a record `log` came */
    struct descriptor descriptor;
    struct hash log_id;
    struct hash prev; /* of the next chunk */
    uint64_t next_seq;
    struct chunk chunk;
    struct arena payloads; /* of its key entries */
    struct buf whole;      /* the chunk with them */

    uint64_t payloads_absent;
};

/* --- faults --- */

static enum err
fault(restore_fault *out, enum err err, const char *what, const char *why, const char *todo)
{
    *out = (restore_fault){ what, why, todo };
    return err;
}

/* What is wrong with the file that `err` came from. */
static enum err
refuse(restore_fault *out, enum err err, const char *file)
{
    switch (err) {
    case ERR_CORRUPT:
        return fault(out, err, file, "it is damaged, or was cut short",
                     "use another copy of it; nothing can be taken from a part of a backup");
    case ERR_NEWER:
        return fault(out, err, file, "it was written by a newer program", "upgrade this program");
    case ERR_MEMORY:
        return fault(out, err, file, err_text(err), "close other programs and try again");
    default:
        return fault(out, err, file, err_text(err), "look at the disk or the stick it is on, then try again");
    }
}

static enum err
refuse_main(restore_fault *out, enum err err)
{
    return refuse(out, err, "the .main file of the backup cannot be used");
}

static enum err
refuse_keys(restore_fault *out, enum err err)
{
    return refuse(out, err, "the .keys file of the backup cannot be used");
}

static enum err
not_a_pair(restore_fault *out, enum err err)
{
    return fault(out, err, "the backup cannot be used", "its .main and its .keys do not belong together",
                 "give the two files that were written by one vigil backup");
}

enum err
restore_pair(const struct stream_header headers[2], restore_fault *fault_out)
{
    if (headers[0].part != STREAM_MAIN || headers[1].part != STREAM_KEYS) {
        return fault(fault_out, ERR_INVALID, "the backup cannot be used",
                     headers[0].part == headers[1].part ? "both files are the same part of a backup"
                                                        : "the files are named in the wrong order",
                     "name the .main file first and the .keys file second");
    }
    if (!ident_equal(&headers[0].pair_id, &headers[1].pair_id) ||
        !hash_equal(&headers[0].commitment, &headers[1].commitment)) {
        return not_a_pair(fault_out, ERR_INVALID);
    }
    return ERR_OK;
}

/* --- records --- */

/* Read the next record. ERR_ABSENT: the text has ended. */
static enum err
read_record(struct stream_reader *reader, uint8_t *type_out, struct buf *body)
{
    uint8_t head[BACKUP_RECORD_HEAD_BYTES];

    if (body->size > 0) {
        crypto_wipe(body->data, body->size);
    }
    buf_clear(body);
    enum err err = stream_read(reader, head, sizeof head);
    if (err != ERR_OK) {
        return err;
    }
    uint32_t size = bytes_read_u32(head + 1);
    if (size > BACKUP_RECORD_BYTES_MAX) {
        return ERR_CORRUPT;
    }
    *type_out = head[0];
    if (size == 0) {
        return ERR_OK;
    }
    uint8_t *at = buf_extend(body, size);
    if (at == NULL) {
        return ERR_MEMORY;
    }
    err = stream_read(reader, at, size);
    if (err != ERR_OK) {
        buf_clear(body);
    }
    return err == ERR_ABSENT ? ERR_CORRUPT : err;
}

/* The next record of .keys, unless it was read ahead already. A file ends in the record `end` and no earlier. */
static enum err
read_key_record(struct restore *restore)
{
    if (restore->key_type != 0) {
        return ERR_OK;
    }
    enum err err = read_record(restore->keys, &restore->key_type, &restore->key_record);
    return err == ERR_ABSENT ? ERR_CORRUPT : err;
}

static enum err
take_epoch(struct restore *restore, struct span body)
{
    struct reader reader = reader_of(body);

    if (restore->epoch_count == restore->epoch_room) {
        size_t room = restore->epoch_room == 0 ? 64 : restore->epoch_room * 2;
        struct epoch *epochs = room > EPOCHS_MAX ? NULL : calloc(room, sizeof *epochs);

        if (epochs == NULL) {
            return room > EPOCHS_MAX ? ERR_CORRUPT : ERR_MEMORY;
        }
        if (restore->epoch_count > 0) {
            memcpy(epochs, restore->epochs, restore->epoch_count * sizeof *epochs);
            crypto_wipe(restore->epochs, restore->epoch_count * sizeof *epochs);
        }
        free(restore->epochs);
        restore->epochs = epochs;
        restore->epoch_room = room;
    }
    struct epoch *epoch = &restore->epochs[restore->epoch_count];
    reader_copy(&reader, epoch->compartment.bytes, IDENT_BYTES);
    reader_copy(&reader, epoch->epoch_id.bytes, HASH_BYTES);
    reader_copy(&reader, epoch->key.bytes, KEY_BYTES);
    restore->epoch_count++;
    return reader_done(&reader) ? ERR_OK : ERR_CORRUPT;
}

static enum err
take_device(struct restore *restore, struct span body)
{
    if (body.size < 1 || body.data[0] > BACKUP_DEVICE_VERSION) {
        return body.size < 1 ? ERR_CORRUPT : ERR_NEWER;
    }
    if (body.size != BACKUP_DEVICE_BYTES || restore->secrets->has_device) {
        return ERR_CORRUPT;
    }
    memcpy(restore->secrets->device, body.data, body.size);
    restore->secrets->has_device = true;
    return ERR_OK;
}

/* Everything of .keys that stands before the payloads. */
static enum err
read_secrets(struct restore *restore)
{
    struct span body;
    bool has_control = false;
    enum err err = ERR_OK;

    while (err == ERR_OK) {
        err = read_key_record(restore);
        body = buf_span(&restore->key_record);
        if (err != ERR_OK || restore->key_type == BACKUP_PAYLOAD || restore->key_type == BACKUP_END) {
            break;
        }
        switch (restore->key_type) {
        case BACKUP_CONTROL:
            err = body.size == KEY_BYTES && !has_control ? ERR_OK : ERR_CORRUPT;
            if (err == ERR_OK) {
                memcpy(restore->secrets->control_key.bytes, body.data, KEY_BYTES);
                has_control = true;
            }
            break;
        case BACKUP_EPOCH:
            err = take_epoch(restore, body);
            break;
        case BACKUP_DEVICE:
            err = take_device(restore, body);
            break;
        default:
            err = ERR_NEWER;
            break;
        }
        restore->key_type = 0;
    }
    if (err == ERR_OK && (!has_control || restore->secrets->has_device != restore->about.has_device_keys)) {
        err = ERR_CORRUPT;
    }
    return err;
}

/* Both files begin with the same words. */
static enum err
read_abouts(struct restore *restore, restore_fault *fault_out)
{
    enum err err = read_record(restore->main, &restore->type, &restore->record);

    if (err == ERR_OK && restore->type != BACKUP_ABOUT) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        err = backup_about_read(buf_span(&restore->record), &restore->about);
    }
    if (err != ERR_OK) {
        return refuse_main(fault_out, err == ERR_ABSENT ? ERR_CORRUPT : err);
    }
    err = read_key_record(restore);
    if (err != ERR_OK) {
        return refuse_keys(fault_out, err);
    }
    if (restore->key_type != BACKUP_ABOUT ||
        !span_equal(buf_span(&restore->record), buf_span(&restore->key_record))) {
        return not_a_pair(fault_out, ERR_CORRUPT);
    }
    restore->key_type = 0;
    return ERR_OK;
}

enum err
restore_open(struct restore **restore_out, const struct restore_files *files, bool verify,
             restore_fault *fault_out)
{
    struct restore *restore = calloc(1, sizeof *restore);

    if (restore == NULL) {
        return refuse_main(fault_out, ERR_MEMORY);
    }
    restore->verify = verify;
    restore->secrets = crypto_secret_new(sizeof *restore->secrets);
    enum err err = restore->secrets == NULL ? ERR_MEMORY : ERR_OK;
    if (err == ERR_OK) {
        err = stream_reader_open(&restore->main, &files->headers[0], files->file_key, files->main);
    }
    if (err == ERR_OK) {
        err = stream_reader_open(&restore->keys, &files->headers[1], files->file_key, files->keys);
    }
    if (err != ERR_OK) {
        err = refuse_main(fault_out, err);
    } else {
        err = read_abouts(restore, fault_out);
    }
    if (err == ERR_OK) {
        err = read_secrets(restore);
        if (err != ERR_OK) {
            err = refuse_keys(fault_out, err);
        }
    }
    if (err != ERR_OK) {
        restore_close(&restore);
        return err;
    }
    *restore_out = restore;
    return ERR_OK;
}

void
restore_close(struct restore **restore_in)
{
    struct restore *restore = *restore_in;

    if (restore == NULL) {
        return;
    }
    stream_reader_close(&restore->main);
    stream_reader_close(&restore->keys);
    if (restore->epochs != NULL) {
        crypto_wipe(restore->epochs, restore->epoch_room * sizeof *restore->epochs);
    }
    free(restore->epochs);
    crypto_secret_free(restore->secrets);
    backup_about_free(&restore->about);
    buf_wipe(&restore->record);
    buf_wipe(&restore->key_record);
    buf_free(&restore->whole);
    arena_free(&restore->payloads);
    free(restore);
    *restore_in = NULL;
}

const struct backup_about *
restore_about(const struct restore *restore)
{
    return &restore->about;
}

const struct key *
restore_control_key(const struct restore *restore)
{
    return &restore->secrets->control_key;
}

bool
restore_identity(const struct restore *restore, const struct world *world,
                 struct replica_identity *identity_out)
{
    const uint8_t *at = restore->secrets->device + 1;
    struct key_pair transport;

    memset(identity_out, 0, sizeof *identity_out);
    if (!restore->secrets->has_device) {
        return false;
    }
    crypto_sign_pair_from_seed(&identity_out->sign, at);
    crypto_box_pair_from_secret(&identity_out->box, at + 32);
    crypto_box_pair_from_secret(&transport, at + 64);
    memcpy(identity_out->transport_secret, transport.secret_key, 32);
    memcpy(identity_out->transport_public, transport.public_key, 32);
    crypto_wipe(&transport, sizeof transport);
    world_random(world, identity_out->incarnation, sizeof identity_out->incarnation);
    identity_out->control_key = restore->secrets->control_key;
    identity_out->org = restore->about.org;
    device_id_of(identity_out->sign.public_key, &identity_out->device_id);
    return true;
}

/* --- items --- */

static enum err
begin_log(struct restore *restore, struct span body)
{
    struct reader reader = reader_of(body);

    if (!descriptor_read(reader_span(&reader, DESCRIPTOR_BYTES), &restore->descriptor)) {
        return ERR_CORRUPT;
    }
    descriptor_log_id(&restore->descriptor, &restore->log_id);
    restore->next_seq = reader_u64(&reader);
    reader_copy(&reader, restore->prev.bytes, HASH_BYTES);
    restore->in_log = true;
    return reader_done(&reader) && (restore->next_seq == 0) == hash_is_zero(&restore->prev) ? ERR_OK
                                                                                            : ERR_CORRUPT;
}

/* Find the payload of a key entry: the next one in .keys, if it is the one that the entry names. */
static enum err
complete_entry(struct restore *restore, struct entry *entry)
{
    struct hash hash;

    enum err err = read_key_record(restore);
    if (err != ERR_OK) {
        return err;
    }
    struct reader reader = reader_of(buf_span(&restore->key_record));
    (void)reader_span(&reader, BACKUP_PAYLOAD_HEAD_BYTES);
    struct span payload = reader_span(&reader, reader_left(&reader));
    if (restore->key_type == BACKUP_PAYLOAD && !reader.failed) {
        entry_hash_payload(&hash, payload);
    }
    if (restore->key_type != BACKUP_PAYLOAD || reader.failed || payload.size != entry->payload_size ||
        !hash_equal(&hash, &entry->payload_hash)) {
        restore->payloads_absent++;
        return ERR_OK;
    }
    entry->payload = arena_copy(&restore->payloads, payload);
    restore->key_type = 0;
    return restore->payloads.failed ? ERR_MEMORY : ERR_OK;
}

/* Prove a chunk, and put the payloads of its key entries into it. */
static enum err
take_chunk(struct restore *restore, struct span bytes, struct restore_item *item, bool *keys_failed_out)
{
    struct chunk *chunk = &restore->chunk;

    *keys_failed_out = false;
    if (!restore->in_log || chunk_read(bytes, restore->descriptor.lane, chunk) != CHUNK_OK ||
        chunk->first_seq != restore->next_seq ||
        memcmp(chunk->prev_short, restore->prev.bytes, sizeof chunk->prev_short) != 0) {
        return ERR_CORRUPT;
    }
    chunk_identify(chunk, &restore->log_id, &restore->prev);
    if (restore->verify && chunk_verify(chunk, restore->descriptor.sign_pk) != CHUNK_OK) {
        return ERR_CORRUPT;
    }
    arena_reset(&restore->payloads);
    for (size_t n = 0; n < chunk->entry_count; n++) {
        struct entry *entry = &chunk->entries[n];

        if (entry->kind == ENTRY_KEY && entry->payload.data == NULL) {
            enum err err = complete_entry(restore, entry);

            if (err != ERR_OK) {
                *keys_failed_out = true;
                return err;
            }
        }
    }
    buf_clear(&restore->whole);
    chunk_write(&restore->whole, chunk->entries, chunk->entry_count, chunk->signature);
    restore->prev = chunk->entries[chunk->entry_count - 1].id;
    restore->next_seq += chunk->entry_count;
    item->descriptor = restore->descriptor;
    item->entry_count = chunk->entry_count;
    item->bytes = buf_span(&restore->whole);
    return restore->whole.failed ? ERR_MEMORY : ERR_OK;
}

static enum err
take_note(struct span body, struct restore_item *item)
{
    struct cbor_reader reader = cbor_reader_of(body);

    if (cbor_read_array(&reader) != 2) {
        return ERR_CORRUPT;
    }
    item->name = cbor_read_text(&reader);
    item->bytes = cbor_read_bytes(&reader);
    return cbor_done(&reader) ? ERR_OK : ERR_CORRUPT;
}

/* Both files must end here. */
static enum err
take_end(struct restore *restore, restore_fault *fault_out)
{
    uint8_t type = 0;

    enum err err = read_key_record(restore);
    if (err != ERR_OK) {
        return refuse_keys(fault_out, err);
    }
    if (restore->key_type != BACKUP_END) {
        return not_a_pair(fault_out, ERR_CORRUPT);
    }
    err = read_record(restore->keys, &type, &restore->key_record);
    if (err != ERR_ABSENT) {
        return refuse_keys(fault_out, err == ERR_OK ? ERR_CORRUPT : err);
    }
    err = read_record(restore->main, &type, &restore->record);
    return err == ERR_ABSENT ? ERR_ABSENT : refuse_main(fault_out, err == ERR_OK ? ERR_CORRUPT : err);
}

enum err
restore_next(struct restore *restore, struct restore_item *item_out, restore_fault *fault_out)
{
    bool keys_failed = false;
    enum err err = ERR_OK;

    memset(item_out, 0, sizeof *item_out);
    do {
        err = read_record(restore->main, &restore->type, &restore->record);
        if (err == ERR_OK && restore->type == BACKUP_LOG) {
            err = begin_log(restore, buf_span(&restore->record));
        }
    } while (err == ERR_OK && restore->type == BACKUP_LOG);
    if (err != ERR_OK) {
        return refuse_main(fault_out, err == ERR_ABSENT ? ERR_CORRUPT : err);
    }
    switch (restore->type) {
    case BACKUP_STATEMENT:
        item_out->kind = RESTORE_STATEMENT;
        item_out->bytes = buf_span(&restore->record);
        break;
    case BACKUP_NOTE:
        item_out->kind = RESTORE_NOTE;
        err = take_note(buf_span(&restore->record), item_out);
        break;
    case BACKUP_CHUNK:
        item_out->kind = RESTORE_CHUNK;
        err = take_chunk(restore, buf_span(&restore->record), item_out, &keys_failed);
        break;
    case BACKUP_END:
        return take_end(restore, fault_out);
    default:
        err = ERR_NEWER;
        break;
    }
    if (err != ERR_OK) {
        return keys_failed ? refuse_keys(fault_out, err) : refuse_main(fault_out, err);
    }
    return ERR_OK;
}

/* --- checking --- */

/* Make an array of what `items` holds. */
static void
make_array(struct buf *out, size_t count, const struct buf *items)
{
    buf_clear(out);
    cbor_put_array(out, count);
    buf_put_span(out, buf_span(items));
    out->failed |= items->failed;
}

struct founding {
    struct roster *roster;
    bool failed;
};

static void
found_one(void *self, struct span signed_statement)
{
    struct founding *founding = self;

    founding->failed |= roster_add(founding->roster, signed_statement, NULL) == ROSTER_MEMORY;
}

/* True if the statements found the organisation that the backup names. */
static enum err
check_founded(const struct restore *restore, struct span statements)
{
    struct founding founding = { .roster = roster_new(&restore->about.org) };

    if (founding.roster == NULL) {
        return ERR_MEMORY;
    }
    bool array = joining_each(statements, found_one, &founding);
    enum err err = founding.failed ? ERR_MEMORY : roster_settle(founding.roster);
    if (err == ERR_OK && (!array || !roster_founded(founding.roster))) {
        err = ERR_CORRUPT;
    }
    roster_free(&founding.roster);
    return err;
}

enum err
restore_check(struct restore *restore, struct buf *statements_out, struct restore_counts *counts_out,
              restore_progress *progress, void *self, restore_fault *fault_out)
{
    struct restore_counts counts = { 0 };
    struct buf statements = { 0 };
    struct restore_item item;
    uint64_t told = 0;
    enum err err = ERR_OK;

    while (err == ERR_OK) {
        err = restore_next(restore, &item, fault_out);
        if (err == ERR_OK && item.kind == RESTORE_STATEMENT) {
            counts.statements++;
            if (statements_out != NULL) {
                cbor_put_bytes(&statements, item.bytes);
            }
            if (statements.size > JOINING_FILE_BYTES_MAX || statements.failed) {
                err = refuse_main(fault_out, statements.failed ? ERR_MEMORY : ERR_FULL);
            }
        } else if (err == ERR_OK && item.kind == RESTORE_CHUNK) {
            counts.chunks++;
            counts.entries += item.entry_count;
            if (progress != NULL && counts.entries - told >= PROGRESS_STEP) {
                told = counts.entries;
                progress(self, told, restore->about.entry_count);
            }
        }
    }
    if (err == ERR_ABSENT && statements_out != NULL) {
        make_array(statements_out, counts.statements, &statements);
        enum err founded =
            statements_out->failed ? ERR_MEMORY : check_founded(restore, buf_span(statements_out));

        err = founded == ERR_OK ? ERR_ABSENT : refuse_main(fault_out, founded);
    }
    counts.payloads_absent = restore->payloads_absent;
    *counts_out = counts;
    buf_free(&statements);
    return err == ERR_ABSENT ? ERR_OK : err;
}

/* --- taking it in --- */

struct applying {
    struct restore *restore;
    struct replica *replica;
    const struct restore_options *options;
    struct restore_counts counts;
    bool control_done; /* what comes now is of other compartments: newer statements were taken in */
    size_t turn_bytes;
    restore_fault *fault_out;
};

/* An error of the replica and not of the backup. */
static enum err
refuse_replica(struct applying *applying, enum err err)
{
    const char *why = err_text(err);

    return err == ERR_FULL ? fault(applying->fault_out, err, "the backup was not restored to its end", why,
                                   "make room on the disk, then start it again: it begins anew")
                           : fault(applying->fault_out, err, "the backup was not restored to its end", why,
                                   "look at the disk and at the system log, then start it again");
}

/* Give the turn up, if there is one, for the reason given. */
static enum err
give_up_turn(struct applying *applying, enum err err)
{
    enum err after = replica_abort(applying->replica);

    return after == ERR_OK ? err : refuse_replica(applying, after);
}

static enum err
begin_turn(struct applying *applying)
{
    enum err err = replica_begin(applying->replica);

    applying->turn_bytes = 0;
    if (err != ERR_OK) {
        return refuse_replica(applying, err);
    }
    /* Orders that came as statements alone: what they name is looked for from now on. */
    struct replica *replica = applying->replica;
    err = erase_follow(replica->erase, replica->intake, replica->main_txn, replica->keys_txn);
    return err == ERR_OK ? ERR_OK : give_up_turn(applying, refuse_replica(applying, err));
}

static enum err
end_turn(struct applying *applying)
{
    enum err err = replica_commit(applying->replica);

    return err == ERR_OK ? ERR_OK : refuse_replica(applying, err);
}

static void
keep_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct replica *replica = self;

    keys_put_epoch(replica->keys_txn, compartment, epoch_id, key);
}

/* Before the first entry: say that the replica is restored, and let its keyring know all epochs. */
static enum err
take_keys(struct applying *applying)
{
    struct replica *replica = applying->replica;
    const struct restore *restore = applying->restore;
    uint8_t row[ROW_BYTES];

    enum err err = begin_turn(applying);
    if (err != ERR_OK) {
        return err;
    }
    row[0] = ROW_BEGUN;
    bytes_write_u64(row + 1, restore->about.made_ms);
    table_put(replica->main_txn, TABLE_META, span_text(restored_row), span_of(row, sizeof row));
    for (size_t n = 0; n < restore->epoch_count && err == ERR_OK; n++) {
        const struct epoch *epoch = &restore->epochs[n];

        keys_put_epoch(replica->keys_txn, &epoch->compartment, &epoch->epoch_id, &epoch->key);
        err = keyring_add_key(replica->keyring, &epoch->compartment, &epoch->epoch_id, &epoch->key);
    }
    if (err != ERR_OK) {
        return give_up_turn(applying, refuse_replica(applying, err));
    }
    (void)keyring_learn(replica->keyring, replica->roster, keep_epoch, replica);
    return end_turn(applying);
}

/* Newer statements go into an entry of our own, so that others hear of them too. A device that may not write any more takes them
 * for itself. */
static enum err
take_news(struct applying *applying)
{
    struct replica *replica = applying->replica;
    struct span news = applying->options->news;
    size_t count = 0;

    applying->control_done = true;
    if (news.size == 0) {
        return ERR_OK;
    }
    enum err err = begin_turn(applying);
    if (err != ERR_OK) {
        return err;
    }
    err = replica_import(replica, news, &count);
    if (err == ERR_OK) {
        return end_turn(applying);
    }
    enum err after = replica_abort(replica);
    if (after == ERR_OK && (err == ERR_DENIED || err == ERR_LOCKED)) {
        after = replica_found(replica, news);
        err = ERR_OK;
    }
    err = after == ERR_OK ? err : after;
    return err == ERR_OK ? ERR_OK : refuse_replica(applying, err);
}

static enum err
apply_chunk(struct applying *applying, const struct restore_item *item)
{
    struct intake_result result = intake_chunk(applying->replica->intake, &item->descriptor, item->bytes);

    switch (result.verdict) {
    case VERDICT_TAKEN:
        applying->counts.entries += result.new_count;
        break;
    case VERDICT_SEEN:
        break;
    case VERDICT_LATER:
        if (result.later == LATER_FULL) {
            return refuse_replica(applying, ERR_FULL);
        }
        applying->counts.refused++;
        break;
    case VERDICT_FORK:
        applying->counts.refused++;
        break;
    case VERDICT_MALFORMED:
    case VERDICT_FORGED:
        return refuse_main(applying->fault_out, ERR_CORRUPT);
    }
    applying->counts.chunks++;
    return ERR_OK;
}

static enum err
apply_note(struct applying *applying, const struct restore_item *item)
{
    const struct restore_options *options = applying->options;
    enum err err = options->note == NULL
                       ? ERR_OK
                       : options->note(options->self, applying->replica->main_txn, item->name, item->bytes);

    return err == ERR_OK ? ERR_OK : refuse_replica(applying, err);
}

/* One item, in a turn that it may end and begin anew. */
static enum err
apply_item(struct applying *applying, const struct restore_item *item)
{
    bool control = item->kind != RESTORE_CHUNK ||
                   ident_equal(&item->descriptor.compartment, roster_control(applying->replica->roster));
    enum err err = ERR_OK;

    if ((!control && !applying->control_done) || applying->turn_bytes >= TURN_BYTES_MAX ||
        replica_turn_is_full(applying->replica)) {
        err = end_turn(applying);
        if (err == ERR_OK && !control && !applying->control_done) {
            err = take_news(applying);
        }
        if (err == ERR_OK) {
            err = begin_turn(applying);
        }
    }
    if (err != ERR_OK) {
        return err;
    }
    applying->turn_bytes += item->bytes.size;
    return item->kind == RESTORE_NOTE    ? apply_note(applying, item)
           : item->kind == RESTORE_CHUNK ? apply_chunk(applying, item)
                                         : ERR_OK;
}

static enum err
apply_items(struct applying *applying)
{
    struct restore_item item;
    uint64_t done = 0;
    uint64_t told = 0;

    enum err err = begin_turn(applying);
    while (err == ERR_OK) {
        err = restore_next(applying->restore, &item, applying->fault_out);
        if (err == ERR_ABSENT) {
            break;
        }
        if (err == ERR_OK) {
            err = apply_item(applying, &item);
        }
        done += item.entry_count;
        if (err == ERR_OK && applying->options->progress != NULL && done - told >= PROGRESS_STEP) {
            told = done;
            applying->options->progress(applying->options->self, done, applying->restore->about.entry_count);
        }
    }
    if (err != ERR_ABSENT) {
        return give_up_turn(applying, err);
    }
    err = end_turn(applying);
    return err == ERR_OK && !applying->control_done ? take_news(applying) : err;
}

/* How many compartments are not as they were. */
static uint64_t
count_differing(struct applying *applying)
{
    const struct backup_about *about = &applying->restore->about;
    uint64_t differing = 0;

    for (size_t n = 0; n < about->digest_count; n++) {
        struct frontier *frontier = replica_frontier(applying->replica, &about->digests[n].compartment);

        differing += frontier == NULL ||
                     memcmp(frontier_digest(frontier), about->digests[n].digest, DIGEST_BYTES) != 0;
    }
    return differing;
}

enum err
restore_mark(struct table_txn *main_txn, const struct journal *journal, const struct hash *own_device,
             uint64_t made_ms)
{
    struct buf row = { 0 };

    buf_put_u8(&row, ROW_DONE);
    buf_put_u64(&row, made_ms);
    buf_put_u8(&row, 0);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (hash_equal(&branch->device_id, own_device)) {
            buf_put_span(&row, hash_span(&branch->log_id));
            buf_put_u64(&row, branch->next_seq);
        }
    }
    bool failed = row.failed;
    if (!failed) {
        table_put(main_txn, TABLE_META, span_text(restored_row), buf_span(&row));
    }
    buf_free(&row);
    return failed ? ERR_MEMORY : table_error(main_txn);
}

/* What the backup had of this device's own logs: whatever it signs from now on, or turns out to have signed since, is not among it. */
static enum err
note_own_logs(struct applying *applying)
{
    struct replica *replica = applying->replica;
    enum err err = begin_turn(applying);

    if (err != ERR_OK) {
        return err;
    }
    err = restore_mark(replica->main_txn, replica->journal, &replica->identity.device_id,
                       applying->restore->about.made_ms);
    return err == ERR_OK ? end_turn(applying) : give_up_turn(applying, refuse_replica(applying, err));
}

/* The anchor file knows what is here now, whoever wrote it: nothing of it is signed again. */
static enum err
write_anchor(struct replica *replica)
{
    replica->own_entries = 0;
    for (uint32_t no = 1; no <= journal_branch_count(replica->journal); no++) {
        const struct log_branch *branch = journal_branch(replica->journal, no);

        if (hash_equal(&branch->device_id, &replica->identity.device_id)) {
            replica->own_entries += branch->next_seq - branch->branch_first;
        }
    }
    replica->anchor_entries = UINT64_MAX;
    return replica_anchor(replica);
}

enum err
restore_apply(struct restore *restore, struct replica *replica, const struct restore_options *options,
              struct restore_counts *counts_out, restore_fault *fault_out)
{
    struct applying applying = {
        .restore = restore, .replica = replica, .options = options, .fault_out = fault_out
    };

    memset(counts_out, 0, sizeof *counts_out);
    if (!hash_equal(&replica->identity.org, &restore->about.org)) {
        return fault(fault_out, ERR_INVALID, "the backup cannot be restored here",
                     "it is of another organisation than this device",
                     "restore it on a device of the organisation that it is of");
    }
    enum err err = replica_found(replica, options->statements);
    if (err == ERR_INVALID) {
        return fault(fault_out, err, "the backup cannot be used",
                     "its statements do not found the organisation that it names", "use another copy of it");
    }
    err = err == ERR_OK ? take_keys(&applying) : refuse_replica(&applying, err);
    if (err == ERR_OK) {
        err = apply_items(&applying);
    }
    if (err == ERR_OK) {
        err = note_own_logs(&applying);
    }
    if (err == ERR_OK) {
        err = write_anchor(replica);
        err = err == ERR_OK ? ERR_OK : refuse_replica(&applying, err);
    }
    if (err == ERR_OK) {
        applying.counts.differing = count_differing(&applying);
        applying.counts.payloads_absent = restore->payloads_absent;
        log_event("restored", "entries=%llu refused=%llu", (unsigned long long)applying.counts.entries,
                  (unsigned long long)applying.counts.refused);
    }
    *counts_out = applying.counts;
    return err;
}

/* --- afterwards --- */

bool
replica_is_restored(struct replica *replica, uint64_t *made_ms_out)
{
    struct table_txn *txn = NULL;
    struct buf row = { 0 };

    if (made_ms_out != NULL) {
        *made_ms_out = 0;
    }
    /* What cannot be read is not shown either. */
    if (replica_begin_read(replica, &txn) != ERR_OK) {
        return true;
    }
    enum err err = table_read(txn, TABLE_META, span_text(restored_row), &row);
    if (err == ERR_OK && row.size >= ROW_BYTES && made_ms_out != NULL) {
        *made_ms_out = bytes_read_u64(row.data + 1);
    }
    buf_free(&row);
    replica_end_read(replica, &txn);
    return err != ERR_ABSENT;
}

bool
replica_signed_since_backup(struct table_txn *txn, const struct hash *log_id, uint64_t seq)
{
    struct buf row = { 0 };
    uint64_t had = 0;

    enum err err = table_read(txn, TABLE_META, span_text(restored_row), &row);
    bool told = err == ERR_OK && row.size > ROW_ANSWERED && row.data[0] == ROW_DONE;
    struct reader in = reader_of(buf_span(&row));
    (void)reader_span(&in, ROW_ANSWERED + 1);
    while (told && reader_left(&in) >= ROW_LOG_BYTES) {
        struct hash one;

        reader_copy(&in, one.bytes, HASH_BYTES);
        uint64_t next = reader_u64(&in);
        had = hash_equal(&one, log_id) && next > had ? next : had; /* of a fork the longer branch */
    }
    buf_free(&row);
    return told && seq >= had;
}

void
replica_answer_restored(struct replica *replica)
{
    struct buf row = { 0 };

    assert(replica->in_turn);
    enum err err = table_read(replica->main_txn, TABLE_META, span_text(restored_row), &row);
    if (err == ERR_OK && row.size > ROW_ANSWERED && row.data[0] == ROW_DONE) {
        row.data[ROW_ANSWERED] = 1;
        table_put(replica->main_txn, TABLE_META, span_text(restored_row), buf_span(&row));
        log_event("restore-answered", NULL);
    }
    buf_free(&row);
}

bool
replica_is_answered(struct replica *replica)
{
    struct table_txn *txn = NULL;
    struct buf row = { 0 };

    if (replica_begin_read(replica, &txn) != ERR_OK) {
        return false;
    }
    enum err err = table_read(txn, TABLE_META, span_text(restored_row), &row);
    bool answered =
        err == ERR_OK && row.size > ROW_ANSWERED && row.data[0] == ROW_DONE && row.data[ROW_ANSWERED] == 1;
    buf_free(&row);
    replica_end_read(replica, &txn);
    return answered;
}

bool
replica_is_caught_up(struct replica *replica)
{
    return !erase_is_scanning(replica->erase) && !replica_is_rebuilding(replica);
}

void
replica_confirm_restored(struct replica *replica)
{
    assert(replica->in_turn);
    (void)table_delete(replica->main_txn, TABLE_META, span_text(restored_row));
    log_event("restore-confirmed", NULL);
}
