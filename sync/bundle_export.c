#include "sync/bundle_export.h"

#include "store/base/log.h"
#include "store/base/sorted.h"
#include "store/base/world.h"
#include "sync/pocket.h"
#include "sync/replica_state.h"
#include "sync/update.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_ENTRIES = 256,
    SLICE_BYTES = 1 << 20,
    TEXT_BYTES = 16 * 1024, /* that a part with several chunks does not pass: what one damaged place costs */
    HEAD_EVERY_BYTES = 1 << 20, /* the head comes again */
    HEADS_BYTES = 12 * 1024,    /* of tips in one frame */
    END_TEXT_BYTES = 1 + 4 + 1,
    KNOWN_VERSION = 1,
    WISHES_VERSION = 1,
    TAKEN_MAX = 256, /* logs that one part introduces: then the next one begins */
};

/* A tip of a log that goes in, and where to begin. */
struct part {
    struct tip tip;
    struct ident compartment;
    uint8_t lane;
    bool control;
    uint64_t from;
};

/* Texts, each after its size u32. */
struct texts {
    struct buf bytes;
    size_t at; /* the first that is not written yet */
};

struct bundle_export {
    struct replica *replica;
    struct bundle_manifest manifest;
    struct bundle_head head;
    struct bundle_progress progress;
    struct key *file_key;   /* in locked memory */
    struct key *volume_key; /* likewise */
    struct ident *shared;   /* `control` first */
    size_t shared_count;
    struct part *parts; /* in the order in which they are written */
    size_t part_count;
    size_t part_room;
    size_t at;          /* the part that is being written */
    uint64_t seq;       /* of it, the entry that comes next */
    struct texts heads; /* of what we have, and ask for */
    struct texts haves; /* of the files that we hold */
    enum bundle_files files_mode;
    struct pocket pocket; /* the files that go in */
    /* the present volume */
    struct stream_output output;
    bool volume_open;
    uint64_t limit_bytes;
    uint64_t volume_bytes;
    uint64_t head_at; /* of volume_bytes, when the head was written last */
    struct buf out;   /* pieces of a slice; they leave when its transaction has ended */
    /* the text of chunks that is being filled */
    struct buf text;
    struct hash logs[TAKEN_MAX]; /* that it introduced */
    size_t log_count;
    struct buf chunk;
};

/* --- what a device said it has --- */

void
bundle_known_free(struct bundle_known *known)
{
    free(known->tips);
    *known = (struct bundle_known){ 0 };
}

void
bundle_known_write(struct buf *out, const struct bundle_known *known)
{
    buf_put_u8(out, KNOWN_VERSION);
    buf_put_u64(out, known->made_ms);
    for (size_t n = 0; n < known->count; n++) {
        heads_tip_write(out, &known->tips[n]);
    }
}

enum err
bundle_known_read(struct span bytes, struct bundle_known *known)
{
    struct reader in = reader_of(bytes);
    struct heads_tip tip;

    *known = (struct bundle_known){ 0 };
    if (reader_u8(&in) != KNOWN_VERSION) {
        return ERR_INVALID;
    }
    known->made_ms = reader_u64(&in);
    known->tips = calloc(bytes.size / (2 * SHORT_BYTES + 1) + 1, sizeof *known->tips);
    if (known->tips == NULL) {
        return ERR_MEMORY;
    }
    while (!in.failed && reader_left(&in) > 0) {
        reader_copy(&in, tip.log_short, SHORT_BYTES);
        tip.seq = reader_varint(&in);
        reader_copy(&in, tip.entry_short, SHORT_BYTES);
        known->tips[known->count] = tip;
        known->count += in.failed ? 0 : 1;
    }
    if (in.failed) {
        bundle_known_free(known);
        return ERR_INVALID;
    }
    return ERR_OK;
}

void
bundle_wishes_free(struct bundle_wishes *wishes)
{
    free(wishes->addresses);
    *wishes = (struct bundle_wishes){ 0 };
}

void
bundle_wishes_write(struct buf *out, const struct bundle_wishes *wishes)
{
    buf_put_u8(out, WISHES_VERSION);
    buf_put_u64(out, wishes->made_ms);
    for (size_t n = 0; n < wishes->count; n++) {
        buf_put_span(out, hash_span(&wishes->addresses[n]));
    }
}

enum err
bundle_wishes_read(struct span bytes, struct bundle_wishes *wishes)
{
    struct reader in = reader_of(bytes);

    *wishes = (struct bundle_wishes){ 0 };
    if (reader_u8(&in) != WISHES_VERSION) {
        return ERR_INVALID;
    }
    wishes->made_ms = reader_u64(&in);
    size_t count = reader_left(&in) / HASH_BYTES;
    if (in.failed || count > BUNDLE_WISHES_MAX || reader_left(&in) != count * HASH_BYTES) {
        *wishes = (struct bundle_wishes){ 0 };
        return ERR_INVALID;
    }
    wishes->addresses = calloc(count + 1, sizeof *wishes->addresses);
    if (wishes->addresses == NULL) {
        return ERR_MEMORY;
    }
    for (; wishes->count < count; wishes->count++) {
        reader_copy(&in, wishes->addresses[wishes->count].bytes, HASH_BYTES);
    }
    return ERR_OK;
}

static int
known_order(const void *left, const void *right)
{
    return memcmp(((const struct heads_tip *)left)->log_short, ((const struct heads_tip *)right)->log_short,
                  SHORT_BYTES);
}

/* What we know of what a device has of one compartment. Zeroed, it has nothing. */
struct knowledge {
    struct bundle_known said; /* sorted by log */
    struct checkpoint agreed[2];
};

static void
knowledge_free(struct knowledge *knowledge)
{
    bundle_known_free(&knowledge->said);
    checkpoint_free(&knowledge->agreed[0]);
    checkpoint_free(&knowledge->agreed[1]);
}

/* What it said on its last stick holds, though a session agreed on more since: a machine that was set back says so there. Only of
 * a device that never sent one what sessions agreed on is taken. What does not read costs bytes. ERR_MEMORY. */
static enum err
knowledge_load(struct replica *replica, const struct hash *device_id, const struct ident *compartment,
               struct knowledge *out)
{
    const struct gossip_store *store = &replica->store;
    struct buf bytes = { 0 };

    enum err err = store->load_checkpoint(store->self, device_id, compartment, BUNDLE_KNOWN_SLOT, &bytes);
    if (err == ERR_OK) {
        err = bundle_known_read(buf_span(&bytes), &out->said);
    }
    if (err == ERR_OK && out->said.count > 0) {
        qsort(out->said.tips, out->said.count, sizeof *out->said.tips, known_order);
    }
    for (uint32_t slot = 0; slot < 2 && err != ERR_OK && err != ERR_MEMORY; slot++) {
        buf_clear(&bytes);
        enum err read = store->load_checkpoint(store->self, device_id, compartment, slot, &bytes);

        if (read == ERR_OK) {
            read = checkpoint_read(buf_span(&bytes), &out->agreed[slot]);
        }
        err = read == ERR_MEMORY ? ERR_MEMORY : err;
    }
    buf_free(&bytes);
    return err == ERR_MEMORY ? ERR_MEMORY : ERR_OK;
}

/* By its own word: one more than the seq of the tip that is furthest on the way to ours. It is past us if it names a later one,
 * of a log that is no fork here. */
static uint64_t
said_next(struct replica *replica, struct table_txn *txn, const struct bundle_known *said,
          const struct tip *tip, bool forked)
{
    uint32_t log_no = journal_find(replica->journal, txn, &tip->log_id, tip->seq, &tip->entry_id);
    uint64_t next = 0;
    size_t first;
    size_t count = sorted_run(SORTED_BY(struct heads_tip, said->tips, said->count, log_short),
                              span_of(tip->log_id.bytes, SHORT_BYTES), &first);

    for (size_t n = first; log_no != LOG_NONE && n < first + count; n++) {
        const struct heads_tip *theirs = &said->tips[n];
        struct journal_entry stored;

        if (theirs->seq > tip->seq) {
            next = forked ? next : tip->seq + 1;
        } else if (theirs->seq >= next &&
                   journal_read(replica->journal, txn, log_no, theirs->seq, &stored) == ERR_OK &&
                   memcmp(stored.entry.id.bytes, theirs->entry_short, SHORT_BYTES) == 0) {
            next = theirs->seq + 1;
        }
    }
    return next;
}

/* By what a session agreed on. */
static uint64_t
agreed_next(const struct checkpoint *agreed, const struct tip *tip)
{
    size_t first;
    size_t count = sorted_run(SORTED_BY(struct checkpoint_tip, agreed->tips, agreed->count, log_id),
                              hash_span(&tip->log_id), &first);

    for (size_t n = first; n < first + count; n++) {
        const struct checkpoint_tip *row = &agreed->tips[n];

        if (row->branch_first == tip->branch_first &&
            memcmp(row->branch_id, tip->branch_id, SHORT_BYTES) == 0) {
            return (row->seq < tip->seq ? row->seq : tip->seq) + 1;
        }
    }
    return 0;
}

static uint64_t
known_next(struct replica *replica, struct table_txn *txn, const struct knowledge *knowledge,
           const struct tip *tip, bool forked)
{
    if (knowledge->said.made_ms > 0) {
        return said_next(replica, txn, &knowledge->said, tip, forked);
    }
    uint64_t first = agreed_next(&knowledge->agreed[0], tip);
    uint64_t second = agreed_next(&knowledge->agreed[1], tip);

    return first > second ? first : second;
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
    int order = ident_compare(&a->compartment, &b->compartment);
    if (order == 0) {
        order = hash_compare(&a->tip.log_id, &b->tip.log_id);
    }
    if (order != 0) {
        return order;
    }
    return a->tip.branch_first < b->tip.branch_first ? -1 : a->tip.branch_first > b->tip.branch_first;
}

static int
device_order(const void *left, const void *right)
{
    return hash_compare(left, right);
}

/* Name the destinations in the manifest, and seal the file key to them. */
static enum err
note_destinations(struct bundle_export *export, const struct bundle_export_options *options,
                  size_t *place_out)
{
    const struct replica *replica = export->replica;
    uint8_t box_pks[BUNDLE_DESTINATIONS_MAX][32];
    size_t count = 0;

    for (size_t n = 0; n < options->destination_count; n++) {
        *place_out = n;
        if (hash_equal(&options->destinations[n], &replica->identity.device_id)) {
            return ERR_INVALID;
        }
        if (roster_device(replica->roster, &options->destinations[n]) == NULL) {
            return ERR_ABSENT;
        }
    }
    struct hash *to = export->manifest.destinations;
    memcpy(to, options->destinations, options->destination_count * sizeof *to);
    qsort(to, options->destination_count, sizeof *to, device_order);
    for (size_t n = 0; n < options->destination_count; n++) {
        if (n > 0 && hash_equal(&to[n], &to[count - 1])) {
            continue;
        }
        to[count] = to[n];
        memcpy(box_pks[count], roster_device(replica->roster, &to[n])->box_pk, 32);
        count++;
    }
    export->manifest.destination_count = count;
    world_random(replica->world, export->manifest.bundle_id.bytes, IDENT_BYTES);
    world_random(replica->world, export->file_key->bytes, KEY_BYTES);
    return bundle_head_make(&export->head, &export->manifest.bundle_id, export->file_key, box_pks, count,
                            replica->world);
}

static bool
has_ident(const struct ident *list, size_t count, const struct ident *id)
{
    for (size_t n = 0; n < count; n++) {
        if (ident_equal(&list[n], id)) {
            return true;
        }
    }
    return false;
}

/* What all destinations may carry with us. */
static enum err
note_shared(struct bundle_export *export, const struct bundle_export_options *options, size_t *place_out)
{
    const struct gossip_store *store = &export->replica->store;
    struct ident *theirs = calloc(GOSSIP_SHARED_MAX, sizeof *theirs);

    export->shared = calloc(GOSSIP_SHARED_MAX, sizeof *export->shared);
    if (theirs == NULL || export->shared == NULL) {
        free(theirs);
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < options->destination_count; n++) {
        size_t kept = 0;

        *place_out = n;
        struct ident *into = n == 0 ? export->shared : theirs;
        size_t count = store->shared(store->self, &options->destinations[n], into, GOSSIP_SHARED_MAX);
        if (n == 0) {
            export->shared_count = count;
            kept = count;
        }
        for (size_t m = 0; n > 0 && m < export->shared_count; m++) {
            if (has_ident(theirs, count, &export->shared[m])) {
                export->shared[kept] = export->shared[m];
                kept++;
            }
        }
        export->shared_count = kept;
        if (kept == 0) {
            free(theirs);
            return ERR_DENIED;
        }
    }
    free(theirs);
    return ERR_OK;
}

static enum err
add_part(struct bundle_export *export, const struct ident *compartment, const struct tip *tip, uint64_t from)
{
    struct descriptor descriptor;
    const struct gossip_store *store = &export->replica->store;

    if (!store->descriptor(store->self, &tip->log_id, &descriptor)) {
        return ERR_OK;
    }
    if (export->part_count == export->part_room) {
        size_t room = export->part_room == 0 ? 64 : 2 * export->part_room;
        struct part *parts = realloc(export->parts, room * sizeof *parts);

        if (parts == NULL) {
            return ERR_MEMORY;
        }
        export->parts = parts;
        export->part_room = room;
    }
    export->parts[export->part_count] =
        (struct part){ .tip = *tip,
                       .compartment = *compartment,
                       .lane = descriptor.lane,
                       .control = ident_equal(compartment, roster_control(export->replica->roster)),
                       .from = from };
    export->part_count++;
    export->progress.all += tip->seq + 1 - from;
    return ERR_OK;
}

/* The logs of one compartment, as far as one of the destinations is not known to have them. */
static enum err
note_logs(struct bundle_export *export, struct table_txn *txn, const struct ident *compartment,
          const struct frontier *frontier)
{
    size_t count = export->manifest.destination_count;
    struct knowledge *known = calloc(count, sizeof *known);
    enum err err = known == NULL ? ERR_MEMORY : ERR_OK;

    for (size_t n = 0; n < count && err == ERR_OK && export->manifest.content != BUNDLE_ALL; n++) {
        err = knowledge_load(export->replica, &export->manifest.destinations[n], compartment, &known[n]);
    }
    for (size_t place = 0; place < frontier->count && err == ERR_OK; place++) {
        const struct tip *tip = &frontier->tips[place];
        bool forked = frontier_forked(frontier, place);
        uint64_t from = tip->seq + 1;

        for (size_t n = 0; n < count; n++) {
            uint64_t next = known_next(export->replica, txn, &known[n], tip, forked);

            from = next < from ? next : from;
        }
        if (from <= tip->seq) {
            err = add_part(export, compartment, tip, from);
        }
    }
    for (size_t n = 0; known != NULL && n < count; n++) {
        knowledge_free(&known[n]);
    }
    free(known);
    return err;
}

static void
put_text(struct texts *texts, struct span text)
{
    buf_put_u32(&texts->bytes, (uint32_t)text.size);
    buf_put_span(&texts->bytes, text);
}

/* Say which tips we have of a compartment: whoever imports it knows what is still missing, and what not to send back. */
static void
put_heads(struct bundle_export *export, const struct ident *compartment, const struct frontier *frontier)
{
    struct buf frame = { 0 };
    struct buf text = { 0 };

    for (size_t place = 0; place == 0 || place < frontier->count;) {
        buf_clear(&frame);
        buf_clear(&text);
        heads_write(&frame, compartment->bytes, UINT16_MAX);
        for (; place < frontier->count && frame.size < HEADS_BYTES; place++) {
            struct heads_tip tip = { .seq = frontier->tips[place].seq };

            memcpy(tip.log_short, frontier->tips[place].log_id.bytes, SHORT_BYTES);
            memcpy(tip.entry_short, frontier->tips[place].entry_id.bytes, SHORT_BYTES);
            heads_tip_write(&frame, &tip);
        }
        bundle_heads_write(&text, &export->manifest.bundle_id, buf_span(&frame),
                           &export->replica->identity.sign);
        put_text(&export->heads, buf_span(&text));
        export->heads.bytes.failed |= text.failed || frame.failed;
        if (frontier->count == 0 || export->heads.bytes.failed) {
            break;
        }
    }
    buf_free(&frame);
    buf_free(&text);
}

/* Say which files of a compartment people here asked for: if none, that too. */
static void
put_wishes(struct bundle_export *export, struct table_txn *txn, const struct ident *compartment)
{
    struct buf bytes = { 0 };
    struct buf text = { 0 };
    struct shelf_blob blob;
    size_t count = 0;

    buf_put(&bytes, compartment->bytes, TAG_BYTES);
    for (bool more = shelf_next_wanted(txn, NULL, &blob); more && count < BUNDLE_WISHES_MAX;
         more = shelf_next_wanted(txn, &blob.address, &blob)) {
        if (blob.wish == WISH_ASKED && parcel_is_named(export->replica, compartment, &blob.address)) {
            buf_put_span(&bytes, hash_span(&blob.address));
            count++;
        }
    }
    bundle_said_write(&text, BUNDLE_WISHES, &export->manifest.bundle_id, buf_span(&bytes),
                      &export->replica->identity.sign);
    put_text(&export->heads, buf_span(&text));
    export->heads.bytes.failed |= bytes.failed || text.failed;
    buf_free(&bytes);
    buf_free(&text);
}

/* --- the beginning: files --- */

/* Which of the destinations asked for it. */
static bool
is_asked(const struct bundle_wishes *wishes, size_t count, const struct hash *address)
{
    for (size_t n = 0; n < count; n++) {
        for (size_t m = 0; m < wishes[n].count; m++) {
            if (hash_equal(&wishes[n].addresses[m], address)) {
                return true;
            }
        }
    }
    return false;
}

/* True if it is to go in. *left_out: it cannot. */
static bool
goes_in(const struct bundle_export *export, struct table_txn *txn, const struct blob_have_item *item,
        bool asked, bool *left_out)
{
    const struct bundle_manifest *manifest = &export->manifest;
    bool lacking = manifest->content == BUNDLE_ALL;

    *left_out = false;
    if (export->files_mode == BUNDLE_FILES_NONE ||
        (export->files_mode == BUNDLE_FILES_WANTED && !asked && item->chunk_count > PARCEL_SMALL_CHUNKS)) {
        return false;
    }
    for (size_t n = 0; n < manifest->destination_count && !lacking; n++) {
        lacking = shelf_holder(txn, &item->address, &manifest->destinations[n]) == 0;
    }
    *left_out = lacking && item->chunk_count > BUNDLE_FILE_CHUNKS_MAX;
    return lacking && !*left_out;
}

/* What a destination asked for. What does not read costs a file that is asked for again. ERR_MEMORY. */
static enum err
load_wishes(const struct replica *replica, const struct hash *device_id, const struct ident *compartment,
            struct bundle_wishes *out)
{
    const struct gossip_store *store = &replica->store;
    struct buf bytes = { 0 };
    enum err err = store->load_checkpoint(store->self, device_id, compartment, BUNDLE_WISHES_SLOT, &bytes);

    if (err == ERR_OK) {
        err = bundle_wishes_read(buf_span(&bytes), out);
    }
    buf_free(&bytes);
    return err == ERR_MEMORY ? ERR_MEMORY : ERR_OK;
}

/* Walk the files that are here of a compartment: say that they are, and note which go in. */
static enum err
walk_files(struct bundle_export *export, struct table_txn *txn, size_t compartment,
           const struct bundle_wishes *wishes)
{
    const struct ident *id = &export->shared[compartment];
    enum parcel_look look = LOOK_FOUND;
    struct blob_have_item item;
    struct buf frame = { 0 };
    struct buf text = { 0 };
    enum err err = ERR_OK;
    uint64_t cursor = 0;

    while (look != LOOK_ENDED && err == ERR_OK) {
        size_t count = 0;

        buf_clear(&frame);
        buf_clear(&text);
        blob_have_write(&frame, id->bytes);
        while (look != LOOK_ENDED && frame.size < HEADS_BYTES && err == ERR_OK) {
            bool left_out = false;

            look = parcel_held(export->replica, id, &cursor, &item);
            if (look != LOOK_FOUND) {
                continue;
            }
            blob_have_item_write(&frame, &item);
            count++;
            bool asked = is_asked(wishes, export->manifest.destination_count, &item.address);
            if (goes_in(export, txn, &item, asked, &left_out)) {
                err = pocket_add(&export->pocket,
                                 &(struct pocket_file){ item.address, *id, item.chunk_count, asked });
            }
            export->progress.files_left += left_out ? 1 : 0;
        }
        if (count > 0) {
            bundle_said_write(&text, BUNDLE_HAVE, &export->manifest.bundle_id, buf_span(&frame),
                              &export->replica->identity.sign);
            put_text(&export->haves, buf_span(&text));
        }
        err = err == ERR_OK && (frame.failed || text.failed || export->haves.bytes.failed) ? ERR_MEMORY : err;
    }
    buf_free(&frame);
    buf_free(&text);
    return err;
}

static enum err
note_files(struct bundle_export *export, struct table_txn *txn, size_t compartment)
{
    const struct bundle_manifest *manifest = &export->manifest;
    struct bundle_wishes *wishes = calloc(manifest->destination_count, sizeof *wishes);
    enum err err = wishes == NULL ? ERR_MEMORY : ERR_OK;

    for (size_t n = 0; n < manifest->destination_count && err == ERR_OK; n++) {
        err = load_wishes(export->replica, &manifest->destinations[n], &export->shared[compartment],
                          &wishes[n]);
    }
    if (err == ERR_OK) {
        err = walk_files(export, txn, compartment, wishes);
    }
    for (size_t n = 0; wishes != NULL && n < manifest->destination_count; n++) {
        bundle_wishes_free(&wishes[n]);
    }
    free(wishes);
    return err;
}

static int
compartment_order(const void *left, const void *right)
{
    return ident_compare(&((const struct bundle_compartment *)left)->id,
                         &((const struct bundle_compartment *)right)->id);
}

/* Note what is there of each compartment, in one transaction. */
static enum err
note_compartments(struct bundle_export *export, struct table_txn *txn)
{
    const struct gossip_store *store = &export->replica->store;
    struct bundle_manifest *manifest = &export->manifest;
    const struct ident *control = roster_control(export->replica->roster);
    enum err err = ERR_OK;

    for (size_t n = 0; n < export->shared_count && err == ERR_OK; n++) {
        const struct ident *id = &export->shared[n];
        struct bundle_compartment *compartment = &manifest->compartments[n];
        struct frontier *frontier = store->frontier(store->self, id);

        if (frontier == NULL) {
            return ERR_MEMORY;
        }
        compartment->id = *id;
        memcpy(compartment->digest, frontier_digest(frontier), DIGEST_BYTES);
        compartment->flags = store->flags(store->self, id);
        manifest->compartment_count++;
        put_heads(export, id, frontier);
        if (manifest->content != BUNDLE_RECEIPTS && !ident_equal(id, control)) {
            put_wishes(export, txn, id);
            err = note_files(export, txn, n);
        }
        if (err == ERR_OK && (manifest->content != BUNDLE_RECEIPTS || ident_equal(id, control))) {
            err = note_logs(export, txn, id, frontier);
        }
    }
    qsort(manifest->compartments, manifest->compartment_count, sizeof *manifest->compartments,
          compartment_order);
    if (export->part_count > 0) {
        qsort(export->parts, export->part_count, sizeof *export->parts, part_order);
        export->seq = export->parts[0].from;
    }
    pocket_sort(&export->pocket);
    export->progress.files_all = export->pocket.count;
    export->progress.file_bytes_all = pocket_bytes(&export->pocket);
    return err == ERR_OK && export->heads.bytes.failed ? ERR_MEMORY : err;
}

enum err
bundle_export_begin(struct bundle_export **export_out, struct replica *replica,
                    const struct bundle_export_options *options, size_t *place_out)
{
    struct bundle_export *export = calloc(1, sizeof *export);
    struct table_txn *txn = NULL;
    enum err err = ERR_MEMORY;

    assert(!replica->in_turn);
    assert(options->destination_count > 0 && options->destination_count <= BUNDLE_DESTINATIONS_MAX);
    assert(options->volume_bytes >= BUNDLE_VOLUME_BYTES_MIN);
    *place_out = 0;
    if (export == NULL) {
        return err;
    }
    export->replica = replica;
    export->limit_bytes = options->volume_bytes;
    export->files_mode = options->files;
    export->manifest.org = replica->identity.org;
    export->manifest.made_ms = world_wall_ms(replica->world);
    export->manifest.content = options->content;
    memcpy(export->manifest.sign_pk, replica->identity.sign.public_key, SIGN_PK_BYTES);
    export->file_key = crypto_secret_new(sizeof *export->file_key);
    export->volume_key = crypto_secret_new(sizeof *export->volume_key);
    if (export->file_key != NULL && export->volume_key != NULL) {
        err = note_destinations(export, options, place_out);
    }
    if (err == ERR_OK) {
        err = note_shared(export, options, place_out);
    }
    if (err == ERR_OK) {
        err = replica_begin_read(replica, &txn);
    }
    if (err == ERR_OK) {
        err = note_compartments(export, txn);
        replica_end_read(replica, &txn);
    }
    if (err != ERR_OK) {
        bundle_export_close(&export);
        return err;
    }
    *export_out = export;
    return ERR_OK;
}

void
bundle_export_close(struct bundle_export **export_in)
{
    struct bundle_export *export = *export_in;

    if (export == NULL) {
        return;
    }
    crypto_secret_free(export->file_key);
    crypto_secret_free(export->volume_key);
    free(export->shared);
    free(export->parts);
    pocket_free(&export->pocket);
    buf_free(&export->heads.bytes);
    buf_free(&export->haves.bytes);
    buf_free(&export->out);
    buf_free(&export->text);
    buf_free(&export->chunk);
    free(export);
    *export_in = NULL;
}

struct bundle_progress
bundle_export_progress(const struct bundle_export *export)
{
    return export->progress;
}

const struct bundle_manifest *
bundle_export_manifest(const struct bundle_export *export)
{
    return &export->manifest;
}

const struct key *
bundle_export_key(const struct bundle_export *export)
{
    return export->file_key;
}

/* --- pieces --- */

static void
put_head(struct bundle_export *export)
{
    size_t before = export->out.size;

    bundle_head_write(&export->out, &export->head);
    export->volume_bytes += export->out.size - before;
    export->head_at = export->volume_bytes;
}

static void
put_part(struct bundle_export *export, struct span text)
{
    size_t before = export->out.size;

    if (export->volume_bytes - export->head_at >= HEAD_EVERY_BYTES) {
        put_head(export);
        before = export->out.size;
    }
    bundle_part_write(&export->out, export->volume_key, export->progress.parts, text);
    export->volume_bytes += export->out.size - before;
    export->progress.parts++;
}

/* True if a part with this text leaves room for what ends the volume. */
static bool
has_room(const struct bundle_export *export, size_t text_size)
{
    uint64_t head = BUNDLE_PIECE_BYTES + IDENT_BYTES + 4 + 1 + export->head.slot_count * BUNDLE_SLOT_BYTES +
                    BUNDLE_CHECK_BYTES;
    uint64_t needed = export->volume_bytes + BUNDLE_PART_BYTES + text_size;

    needed += export->volume_bytes - export->head_at >= HEAD_EVERY_BYTES ? head : 0;
    needed += BUNDLE_PART_BYTES + END_TEXT_BYTES + head;
    /* The end itself may have a head before it. */
    return needed + head <= export->limit_bytes;
}

static enum err
flush(struct bundle_export *export)
{
    enum err err = export->out.failed || export->text.failed || export->chunk.failed ? ERR_MEMORY : ERR_OK;

    if (err == ERR_OK && export->out.size > 0) {
        err = export->output.write(export->output.self, buf_span(&export->out));
        export->progress.bytes += export->out.size;
    }
    buf_clear(&export->out);
    return err;
}

enum err
bundle_export_volume(struct bundle_export *export, struct stream_output output)
{
    struct buf text = { 0 };

    assert(!export->volume_open);
    export->output = output;
    export->volume_open = true;
    export->progress.volume++;
    export->progress.parts = 0;
    export->head.volume = export->progress.volume;
    export->manifest.volume = export->progress.volume;
    export->volume_bytes = 0;
    bundle_volume_key(export->volume_key, export->file_key, &export->manifest.bundle_id,
                      export->progress.volume);
    pocket_begin_volume(&export->pocket);
    put_head(export);
    bundle_manifest_write(&text, &export->manifest, &export->replica->identity.sign);
    if (!text.failed) {
        put_part(export, buf_span(&text));
    }
    export->out.failed |= text.failed;
    buf_free(&text);
    return flush(export);
}

static void
end_volume(struct bundle_export *export, bool last)
{
    uint8_t text[END_TEXT_BYTES] = { BUNDLE_END };

    bytes_write_u32(text + 1, export->progress.parts);
    text[END_TEXT_BYTES - 1] = last ? 1 : 0;
    put_part(export, span_of(text, sizeof text));
    put_head(export);
    export->volume_open = false;
}

/* --- slices --- */

static void
begin_text(struct bundle_export *export)
{
    buf_clear(&export->text);
    export->log_count = 0;
}

/* Write the chunks that were gathered. False: they are for the next volume. */
static bool
write_text(struct bundle_export *export)
{
    if (export->text.size == 0) {
        return true;
    }
    if (!has_room(export, export->text.size)) {
        return false;
    }
    put_part(export, buf_span(&export->text));
    begin_text(export);
    return true;
}

/* Append the chunk that was read to the text. */
static void
gather_chunk(struct bundle_export *export, const struct part *part)
{
    const struct gossip_store *store = &export->replica->store;
    uint8_t words[DESCRIPTOR_BYTES];
    struct descriptor descriptor;
    struct chunk_item item = { .chunk = buf_span(&export->chunk) };

    if (export->text.size == 0) {
        buf_put_u8(&export->text, BUNDLE_CHUNKS);
        chunk_frame_write(&export->text);
    }
    memcpy(item.tag, part->compartment.bytes, TAG_BYTES);
    size_t place = 0;
    while (place < export->log_count && !hash_equal(&export->logs[place], &part->tip.log_id)) {
        place++;
    }
    if (place < export->log_count) {
        item.log.ref = LOG_REF_FIRST + place;
    } else {
        bool known = store->descriptor(store->self, &part->tip.log_id, &descriptor);

        assert(known && export->log_count < TAKEN_MAX);
        descriptor_write(words, &descriptor);
        item.log = (struct log_ref){ LOG_REF_NEW, span_of(words, sizeof words) };
        export->logs[export->log_count] = part->tip.log_id;
        export->log_count++;
    }
    chunk_item_write(&export->text, &item);
    buf_clear(&export->chunk);
}

/* About what a chunk adds to a text. */
static size_t
item_bytes(const struct bundle_export *export)
{
    return TAG_BYTES + 1 + DESCRIPTOR_BYTES + 3 + export->chunk.size;
}

static void
next_part(struct bundle_export *export)
{
    export->at++;
    export->seq = export->at < export->part_count ? export->parts[export->at].from : 0;
}

/* Read the next chunk. ERR_OK without one: there is none to be read there, and it is gone on. */
static enum err
read_next(struct bundle_export *export)
{
    const struct gossip_store *store = &export->replica->store;
    const struct part *part = &export->parts[export->at];
    uint64_t next = export->seq;

    buf_clear(&export->chunk);
    enum err err = store->read_chunk(store->self, &part->tip, export->seq, false, &export->chunk, &next);
    if (err == ERR_OK && export->chunk.size > 0 && next > export->seq) {
        uint64_t told = next <= part->tip.seq ? next : part->tip.seq + 1;

        export->progress.done += told - export->seq;
        export->seq = next;
        return ERR_OK;
    }
    buf_clear(&export->chunk);
    if (err == ERR_MEMORY || err == ERR_IO) {
        return err;
    }
    if (export->seq < part->tip.branch_first) {
        /* Below a fork its signature may be kept on another branch, with which what they share goes. */
        export->progress.done += part->tip.branch_first - export->seq;
        export->seq = part->tip.branch_first;
        return ERR_OK;
    }
    export->progress.lost += part->tip.seq + 1 - export->seq;
    log_event("bundle-lacks", "log=%s from=%llu", hash_short(&part->tip.log_id).text,
              (unsigned long long)export->seq);
    export->seq = part->tip.seq + 1;
    return ERR_OK;
}

static bool
texts_are_written(const struct texts *texts)
{
    return texts->at == texts->bytes.size;
}

/* Write those that are left. False: the volume is full. */
static bool
write_texts(struct bundle_export *export, struct texts *texts)
{
    while (!texts_are_written(texts)) {
        const uint8_t *at = texts->bytes.data + texts->at;
        struct span text = span_of(at + 4, bytes_read_u32(at));

        if (!has_room(export, text.size)) {
            return false;
        }
        put_part(export, text);
        texts->at += 4 + text.size;
    }
    return true;
}

/* --- slices: files --- */

/* The text of a piece: the name of a file is what the exporter vouches for. */
static enum err
put_piece_text(struct bundle_export *export, const struct pocket_piece *piece)
{
    struct buf frame = { 0 };

    buf_clear(&export->text);
    if (piece->is_name) {
        blob_have_write(&frame, piece->compartment.bytes);
        blob_have_item_write(&frame, &piece->item);
        bundle_said_write(&export->text, BUNDLE_HAVE, &export->manifest.bundle_id, buf_span(&frame),
                          &export->replica->identity.sign);
    } else {
        buf_put_u8(&export->text, BUNDLE_FILE);
        blob_part_write(&export->text, &piece->part);
    }
    bool failed = frame.failed || export->text.failed;
    buf_free(&frame);
    return failed ? ERR_MEMORY : ERR_OK;
}

/* Write the next piece of a file. *full_out: the volume is. What is damaged or gone here is left out. ERR_MEMORY. */
static enum err
write_piece(struct bundle_export *export, bool *full_out)
{
    struct pocket *pocket = &export->pocket;
    const struct hash *address = &pocket->files[pocket->at].address;
    bool is_chunk = pocket->stage == POCKET_CHUNK;
    struct pocket_piece piece;
    enum err err = pocket_build(pocket, export->replica, &export->chunk, &piece);

    if (err == ERR_OK) {
        err = put_piece_text(export, &piece);
    }
    if (err == ERR_OK) {
        *full_out = !has_room(export, export->text.size);
        if (!*full_out) {
            put_part(export, buf_span(&export->text));
            export->progress.file_bytes += is_chunk ? BLOB_SEALED_BYTES : 0;
            export->progress.files += pocket_step(pocket) ? 1 : 0;
        }
    } else if (err == ERR_CORRUPT && is_chunk) {
        export->progress.file_chunks_lost++;
        (void)pocket_step(pocket);
    } else if (err != ERR_MEMORY) {
        log_event("bundle-lacks", "file=%s err=%s", hash_short(address).text, err_code(err));
        export->progress.files_left++;
        pocket_skip(pocket);
    }
    buf_clear(&export->text);
    buf_clear(&export->chunk);
    return err == ERR_MEMORY ? err : ERR_OK;
}

/* Gather and write one slice. *full_out: the volume is. */
static enum err
write_slice(struct bundle_export *export, bool *full_out)
{
    uint64_t until = export->progress.done + SLICE_ENTRIES;
    enum err err = ERR_OK;

    *full_out = !write_texts(export, &export->heads);
    while (err == ERR_OK && !*full_out && !export->text.failed && export->progress.done < until &&
           export->out.size < SLICE_BYTES) {
        if (export->chunk.size > 0) {
            bool fits = export->text.size == 0 || (export->text.size + item_bytes(export) <= TEXT_BYTES &&
                                                   export->log_count < TAKEN_MAX);

            if (!fits && !write_text(export)) {
                *full_out = true;
            } else {
                gather_chunk(export, &export->parts[export->at]);
            }
        } else if (export->at == export->part_count && export->text.size > 0) {
            *full_out = !write_text(export);
        } else if (export->at == export->part_count && !texts_are_written(&export->haves)) {
            *full_out = !write_texts(export, &export->haves);
        } else if (export->at == export->part_count && !pocket_is_done(&export->pocket)) {
            err = write_piece(export, full_out);
        } else if (export->at == export->part_count) {
            break;
        } else if (export->seq > export->parts[export->at].tip.seq) {
            next_part(export);
        } else {
            err = read_next(export);
        }
    }
    return err;
}

enum err
bundle_export_step(struct bundle_export *export, enum bundle_step *step_out)
{
    struct table_txn *txn = NULL;
    bool full = false;

    assert(!export->replica->in_turn && export->volume_open);
    *step_out = BUNDLE_GOES_ON;
    enum err err = replica_begin_read(export->replica, &txn);
    if (err == ERR_OK) {
        err = write_slice(export, &full);
        replica_end_read(export->replica, &txn);
    }
    if (err != ERR_OK) {
        return err;
    }
    bool done = !full && export->at == export->part_count && export->chunk.size == 0 &&
                export->text.size == 0 && texts_are_written(&export->heads) &&
                texts_are_written(&export->haves) && pocket_is_done(&export->pocket);
    if (full || done) {
        end_volume(export, done);
        *step_out = done ? BUNDLE_DONE : BUNDLE_VOLUME_ENDS;
    }
    return flush(export);
}
