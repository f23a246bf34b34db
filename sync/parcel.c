#include "sync/parcel.h"

#include "sync/replica_state.h"

#include "store/base/world.h"

#include <string.h>

enum {
    NAMED_MAX = 32, /* files that an entry may name, as far as peers say so */
    LOOK_MAX = 256, /* files in one look */
    ASK_HEAD_BYTES = 1 + TAG_BYTES + HASH_BYTES + 3 + 1,
    ASK_PAGE_BYTES = 2 + ASK_BITMAP_BYTES,
    ASK_PAGES_MAX = (FRAME_SMALL_BYTES_MAX - ASK_HEAD_BYTES) / ASK_PAGE_BYTES,
};

/* The first entry of the compartment that names it. */
static const struct log_branch *
named_in(struct replica *replica, const struct hash *address, const struct ident *compartment,
         uint64_t *seq_out)
{
    uint32_t log_no = 0;

    *seq_out = 0;
    while (shelf_next_reference(replica->main_txn, address, &log_no, seq_out)) {
        if (log_no == LOG_NONE || log_no > journal_branch_count(replica->journal)) {
            continue;
        }
        const struct log_branch *branch = journal_branch(replica->journal, log_no);

        if (ident_equal(&branch->descriptor.compartment, compartment)) {
            return branch;
        }
    }
    return NULL;
}

bool
parcel_is_named(struct replica *replica, const struct ident *compartment, const struct hash *address)
{
    uint64_t seq;

    return named_in(replica, address, compartment, &seq) != NULL;
}

/* What is said of a blob that an entry of the compartment names. */
static enum err
make_item(struct replica *replica, const struct ident *compartment, const struct shelf_blob *blob,
          struct blob_have_item *item_out)
{
    struct journal_entry stored;
    uint64_t seq;
    const struct log_branch *branch = named_in(replica, &blob->address, compartment, &seq);

    if (branch == NULL) {
        return ERR_ABSENT;
    }
    enum err err = journal_read(replica->journal, replica->main_txn, branch->log_no, seq, &stored);
    if (err == ERR_OK) {
        *item_out =
            (struct blob_have_item){ .address = blob->address, .chunk_count = blob->chunk_count, .seq = seq };
        memcpy(item_out->log_short, branch->log_id.bytes, SHORT_BYTES);
        memcpy(item_out->entry_short, stored.entry.id.bytes, SHORT_BYTES);
    }
    return err;
}

enum err
parcel_item(struct replica *replica, const struct ident *compartment, const struct hash *address,
            struct blob_have_item *item_out)
{
    struct shelf_blob blob;
    enum err err = shelf_get(replica->main_txn, address, &blob);

    if (err == ERR_OK && !shelf_is_whole(&blob)) {
        err = ERR_ABSENT;
    }
    return err == ERR_OK ? make_item(replica, compartment, &blob, item_out) : err;
}

enum parcel_look
parcel_held(struct replica *replica, const struct ident *compartment, uint64_t *cursor,
            struct blob_have_item *item_out)
{
    struct shelf_blob blob;

    for (int n = 0; n < LOOK_MAX; n++) {
        if (!shelf_next_come(replica->main_txn, cursor, &blob)) {
            return LOOK_ENDED;
        }
        if (make_item(replica, compartment, &blob, item_out) == ERR_OK) {
            return LOOK_FOUND;
        }
    }
    return LOOK_ON;
}

/* The entry that a peer means, on whichever branch of its log. False: it is not here. */
static bool
find_entry(struct replica *replica, const struct ident *compartment, const struct blob_have_item *item,
           struct journal_entry *out)
{
    const struct log_branch *branch = journal_log_by_prefix(replica->journal, item->log_short);

    while (branch != NULL && ident_equal(&branch->descriptor.compartment, compartment)) {
        if (item->seq >= branch->branch_first && item->seq < branch->next_seq &&
            journal_read(replica->journal, replica->main_txn, branch->log_no, item->seq, out) == ERR_OK &&
            memcmp(out->entry.id.bytes, item->entry_short, SHORT_BYTES) == 0) {
            return true;
        }
        branch = branch->sibling == LOG_NONE ? NULL : journal_branch(replica->journal, branch->sibling);
    }
    return false;
}

/* Whoever cannot open the entry has nothing but the peer's word for what it names. */
static bool
carry(struct replica *replica, const struct ident *compartment, const struct blob_have_item *item)
{
    struct journal_entry stored;

    if (!find_entry(replica, compartment, item, &stored) || stored.state != STATE_CARRIED ||
        (stored.entry.flags & ENTRY_NAMES_BLOBS) == 0 ||
        shelf_named_by(replica->main_txn, stored.log_no, item->seq) >= NAMED_MAX) {
        return false;
    }
    shelf_refer(replica->main_txn, &item->address, 0, stored.log_no, item->seq);
    return true;
}

/* Its file, kept open from one piece to the next. `begin`: made if it is not there; one of another number of chunks, whose head has not
 * come, is begun anew. */
static enum err
open_file(struct replica *replica, const struct hash *address, uint32_t begin)
{
    bool is_open = replica->open_file != NULL && hash_equal(&replica->open_address, address);

    if (is_open && (begin == 0 || blob_chunks(replica->open_file) == begin)) {
        return ERR_OK;
    }
    enum err err = replica_sync_blobs(replica);
    if (err != ERR_OK) {
        return err;
    }
    replica_close_blob(replica);
    replica->open_address = *address;
    if (begin == 0) {
        return blob_open(&replica->open_file, replica->blobs, address);
    }
    err = blob_begin(&replica->open_file, replica->blobs, address, begin);
    if (err != ERR_INVALID || blob_open(&replica->open_file, replica->blobs, address) != ERR_OK) {
        return err;
    }
    bool known = blob_is_whole(replica->open_file) || blob_has_head(replica->open_file);
    replica_close_blob(replica);
    err = known ? ERR_INVALID : blobs_remove(replica->blobs, address);
    return err == ERR_OK ? blob_begin(&replica->open_file, replica->blobs, address, begin) : err;
}

/* True if it is known how many chunks it has, and not only said: by an entry that is opened here, or by its head. */
static bool
is_counted(struct replica *replica, const struct shelf_blob *blob)
{
    return blob->size != 0 || blob->held > 0 ||
           (open_file(replica, &blob->address, 0) == ERR_OK && blob_has_head(replica->open_file));
}

/* Somebody holds it. `vouched`: it is believed of an entry that is not opened here. `device_id` NULL: it is not noted who. */
static bool
take_have(struct replica *replica, const struct hash *device_id, bool vouched,
          const struct ident *compartment, const struct blob_have_item *item)
{
    struct shelf_blob blob;
    uint64_t seq;

    if (replica->narrow || (named_in(replica, &item->address, compartment, &seq) == NULL &&
                            (!vouched || !carry(replica, compartment, item)))) {
        return false;
    }
    if (shelf_get(replica->main_txn, &item->address, &blob) != ERR_OK ||
        (blob.size != 0 && blob_chunk_count(blob.size) != item->chunk_count) ||
        (blob.chunk_count != 0 && blob.chunk_count != item->chunk_count && is_counted(replica, &blob)) ||
        (!vouched && blob.size == 0)) {
        return false;
    }
    if (device_id != NULL) {
        shelf_note_holder(replica->main_txn, &item->address, device_id, world_wall_ms(replica->world),
                          item->chunk_count);
    }
    /* Busy: its old file is removed first, and the number is known then. */
    enum err err =
        blob.chunk_count == 0 ? shelf_begin(replica->main_txn, &item->address, item->chunk_count) : ERR_OK;
    return err == ERR_OK || err == ERR_BUSY;
}

bool
parcel_take_have(struct replica *replica, const struct hash *device_id, const struct ident *compartment,
                 const struct blob_have_item *item)
{
    return take_have(replica, device_id, device_id != NULL, compartment, item);
}

bool
parcel_take_own(struct replica *replica, const struct ident *compartment, const struct blob_have_item *item)
{
    return take_have(replica, NULL, true, compartment, item);
}

enum parcel_look
parcel_wanted(struct replica *replica, const struct hash *device_id, const struct ident *compartment,
              uint32_t chunks_max, struct hash *cursor, struct shelf_blob *blob_out)
{
    uint64_t seq;

    for (int n = 0; n < LOOK_MAX; n++) {
        if (!shelf_next_wanted(replica->main_txn, hash_is_zero(cursor) ? NULL : cursor, blob_out)) {
            return LOOK_ENDED;
        }
        *cursor = blob_out->address;
        uint32_t said = shelf_holder_chunks(replica->main_txn, &blob_out->address, device_id);
        if (said != 0 && said != blob_out->chunk_count && !is_counted(replica, blob_out)) {
            blob_out->chunk_count = said;
        }
        if (blob_out->chunk_count > 0 &&
            (blob_out->wish == WISH_ASKED || blob_out->chunk_count <= chunks_max) &&
            shelf_holder(replica->main_txn, &blob_out->address, device_id) != 0 &&
            named_in(replica, &blob_out->address, compartment, &seq) != NULL) {
            return LOOK_FOUND;
        }
    }
    return LOOK_ON;
}

bool
parcel_is_wanted(struct replica *replica, const struct ident *compartment, const struct hash *address,
                 uint32_t chunks_max)
{
    struct shelf_blob blob;
    uint64_t seq;

    return shelf_get(replica->main_txn, address, &blob) == ERR_OK && blob.wish != WISH_AWAY &&
           !shelf_is_whole(&blob) &&
           (blob.wish == WISH_ASKED || blob.chunk_count <= chunks_max || !is_counted(replica, &blob)) &&
           named_in(replica, address, compartment, &seq) != NULL;
}

/* The chunks of a page that are not here. False: all are. */
static bool
lacking(struct replica *replica, const struct shelf_blob *blob, uint32_t page, uint8_t out[ASK_BITMAP_BYTES])
{
    uint8_t here[SHELF_BITMAP_BYTES];
    bool any = false;

    shelf_bitmap(replica->main_txn, blob, page, here);
    memset(out, 0, ASK_BITMAP_BYTES);
    for (uint32_t n = 0; n < blob_page_chunks(blob->chunk_count, page); n++) {
        if ((here[n / 8] >> n % 8 & 1) == 0) {
            out[n / 8] |= (uint8_t)(1U << n % 8);
            any = true;
        }
    }
    return any;
}

static bool
has_room(const struct replica *replica, const struct shelf_blob *blob)
{
    uint64_t room = table_env_room(replica->main_env);

    return room == 0 ||
           room >= (uint64_t)(blob->chunk_count - blob->held) * BLOB_SEALED_BYTES + BLOB_ROOM_KEPT_BYTES;
}

bool
parcel_ask(struct replica *replica, const uint8_t tag[TAG_BYTES], const struct shelf_blob *blob,
           struct buf *out)
{
    struct blob_ask ask = { .address = blob->address, .chunk_count = blob->chunk_count };
    uint8_t bitmap[ASK_BITMAP_BYTES];
    struct buf hashes = { 0 };
    size_t count = 0;

    if (!has_room(replica, blob) || shelf_is_doomed(replica->main_txn, &blob->address) ||
        open_file(replica, &blob->address, blob->chunk_count) != ERR_OK) {
        return false;
    }
    if (blob_is_whole(replica->open_file)) {
        /* All of it came in a turn that then did not happen: the next one notes it. */
        replica->adopt_due = true;
        return false;
    }
    memcpy(ask.tag, tag, TAG_BYTES);
    ask.head = !blob_has_head(replica->open_file);
    blob_ask_write(out, &ask);
    for (uint32_t page = 0; page < blob_page_count(blob->chunk_count) && count < ASK_PAGES_MAX; page++) {
        if (lacking(replica, blob, page, bitmap)) {
            struct blob_ask_page asked = { .page = page, .bitmap = bitmap };

            buf_clear(&hashes);
            asked.hashes = blob_read_page(replica->open_file, page, &hashes) != ERR_OK;
            blob_ask_page_write(out, &asked);
            count++;
        }
    }
    buf_free(&hashes);
    return true;
}

enum err
parcel_read(struct replica *replica, const struct ident *compartment, const struct hash *address,
            enum blob_piece piece, uint32_t index, struct buf *bytes_out, uint32_t *chunk_count_out)
{
    struct shelf_blob blob;
    uint64_t seq;

    if (named_in(replica, address, compartment, &seq) == NULL) {
        return ERR_ABSENT;
    }
    enum err err = shelf_get(replica->main_txn, address, &blob);
    if (err == ERR_OK) {
        err = open_file(replica, address, 0);
    }
    if (err != ERR_OK) {
        return err;
    }
    *chunk_count_out = blob_chunks(replica->open_file);
    switch (piece) {
    case BLOB_HEAD:
        return blob_read_head(replica->open_file, bytes_out);
    case BLOB_PAGE:
        return index < blob_page_count(*chunk_count_out)
                   ? blob_read_page(replica->open_file, index, bytes_out)
                   : ERR_ABSENT;
    case BLOB_CHUNK:
        break;
    }
    if (index >= *chunk_count_out || !shelf_has_chunk(replica->main_txn, address, index)) {
        return ERR_ABSENT;
    }
    uint8_t *at = buf_extend(bytes_out, BLOB_SEALED_BYTES);
    if (at == NULL) {
        return ERR_MEMORY;
    }
    err = blob_read_chunk(replica->open_file, index, at);
    if (err != ERR_OK) {
        bytes_out->size -= BLOB_SEALED_BYTES;
    }
    return err;
}

static enum err
put_piece(struct replica *replica, const struct blob_part *part)
{
    struct shelf_blob blob;
    enum err err;

    switch ((enum blob_piece)part->piece) {
    case BLOB_HEAD:
        return blob_put_head(replica->open_file, part->bytes);
    case BLOB_PAGE:
        return blob_put_page(replica->open_file, part->index, part->bytes);
    case BLOB_CHUNK:
        break;
    }
    err = blob_put_chunk(replica->open_file, part->index, part->bytes);
    if (err == ERR_OK) {
        shelf_put_chunk(replica->main_txn, &part->address, part->index);
        err = shelf_get(replica->main_txn, &part->address, &blob);
    }
    return err == ERR_OK && shelf_is_whole(&blob) ? blob_finish(replica->open_file) : err;
}

/* A head that gives the address proves how many chunks there are. False: it does not, or that was known. */
static bool
take_count(struct replica *replica, struct shelf_blob *blob, const struct blob_part *part)
{
    struct hash address;

    if (part->piece != BLOB_HEAD || is_counted(replica, blob)) {
        return false;
    }
    blob_address(&address, part->chunk_count, part->bytes);
    if (!hash_equal(&address, &part->address)) {
        return false;
    }
    shelf_recount(replica->main_txn, &part->address, part->chunk_count);
    blob->chunk_count = part->chunk_count;
    return true;
}

enum parcel_verdict
parcel_take(struct replica *replica, const struct ident *compartment, const struct blob_part *part)
{
    struct shelf_blob blob;
    uint64_t seq;

    if (replica->narrow) {
        return PARCEL_FULL;
    }
    if (named_in(replica, &part->address, compartment, &seq) == NULL ||
        shelf_get(replica->main_txn, &part->address, &blob) != ERR_OK || blob.wish == WISH_AWAY) {
        return PARCEL_UNWANTED;
    }
    if (blob.chunk_count == 0) {
        return PARCEL_LATER;
    }
    if (blob.chunk_count != part->chunk_count && !take_count(replica, &blob, part)) {
        return PARCEL_REFUSED;
    }
    if (shelf_is_whole(&blob) ||
        (part->piece == BLOB_CHUNK && shelf_has_chunk(replica->main_txn, &part->address, part->index))) {
        return PARCEL_SEEN;
    }
    if (shelf_begin(replica->main_txn, &part->address, part->chunk_count) != ERR_OK ||
        open_file(replica, &part->address, part->chunk_count) != ERR_OK) {
        return PARCEL_FULL;
    }
    replica->open_written = true;
    switch (put_piece(replica, part)) {
    case ERR_OK:
        return PARCEL_TAKEN;
    case ERR_INVALID:
        return PARCEL_REFUSED;
    case ERR_ABSENT:
        return PARCEL_LATER;
    default:
        return PARCEL_FULL;
    }
}

enum parcel_verdict
parcel_take_carried(struct replica *replica, const struct ident *compartment, const struct blob_part *part)
{
    const struct blob_have_item item = { .address = part->address, .chunk_count = part->chunk_count };
    bool is_open = replica->open_file != NULL && hash_equal(&replica->open_address, &part->address);
    struct shelf_blob blob;

    /* Whoever reads the entry knows from it how many chunks there are, though nobody said so. */
    if (shelf_get(replica->main_txn, &part->address, &blob) == ERR_OK && blob.chunk_count == 0) {
        (void)parcel_take_have(replica, NULL, compartment, &item);
    }
    if (!is_open && shelf_get(replica->main_txn, &part->address, &blob) == ERR_OK && blob.chunk_count > 0 &&
        blob.wish != WISH_AWAY && !shelf_is_whole(&blob) && !has_room(replica, &blob)) {
        return PARCEL_FULL;
    }
    return parcel_take(replica, compartment, part);
}
