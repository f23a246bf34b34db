/* serve_blob.c - blob.*: files that records name, taken in and given out piece by piece.
 *
 *     blob.add.begin --> blob.add.bytes ... --> blob.add.end --> [ a turn: the record names it, its file stays ]
 *     blob.get.begin --> [ a turn: custody and audit log say so ] --> blob.get.bytes ... until the end
 *
 * A line holds little of a file, so a client brings or takes one at a time, and the node remembers how far it is. What a client
 * that left was bringing is dropped with it. Nothing of a file is kept in memory but the chunk under work.
 */
#include "node/call.h"
#include "node/casework/files.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "store/shelf.h"
#include "store/table.h"
#include "sync/gossip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRANSFERS_MAX = 16,
    FILES_MAX = 256, /* of one record */
    PIECE_CHUNKS = 48,
    PIECE_BYTES = PIECE_CHUNKS * BLOB_CHUNK_BYTES, /* two thirds of a line, as base64 */
    NAME_BYTES_MAX = 255,
    TYPE_BYTES_MAX = 127,
    SET_MAX = 16,
    OPS_MAX = 40,
    REASON_BYTES_MIN = 8,
    REASON_BYTES_MAX = 500,
    STATUS_LIMIT_MAX = 500,
    STATUS_LIMIT_DEFAULT = 50,
};

/* Values of the vocabulary custody_event and derivation. */
enum custody { CUSTODY_RECEIVED = 1, CUSTODY_COPIED, CUSTODY_OPENED, CUSTODY_EXPORTED, CUSTODY_REDACTED };
enum { DERIVED_NOT = 1, DERIVED_REDACTED = 3 };

/* A file on its way in or out. */
struct transfer {
    struct transfer *next;
    uint64_t client_no;
    uint64_t number;
    /* in */
    struct blob_writer *writer; /* NULL: it goes out */
    json_t *body;               /* of the request that began it */
    uint64_t come;
    bool made;
    struct blob_made result;
    /* out */
    struct blob_file *file;
    struct blob_reader reader;
    struct hash address;
    uint64_t sent;
};

static void
transfer_free(struct transfer *transfer)
{
    blob_writer_close(&transfer->writer);
    blob_close(&transfer->file);
    blob_reader_wipe(&transfer->reader);
    json_decref(transfer->body);
    crypto_wipe(transfer, sizeof *transfer);
    free(transfer);
}

void
transfers_free(struct transfer **transfers)
{
    while (*transfers != NULL) {
        struct transfer *first = *transfers;

        *transfers = first->next;
        transfer_free(first);
    }
}

void
transfers_forget(struct transfer **transfers)
{
    for (struct transfer **at = transfers; *at != NULL;) {
        struct transfer *transfer = *at;

        if (transfer->body != NULL) {
            at = &transfer->next;
        } else {
            *at = transfer->next;
            transfer_free(transfer);
        }
    }
}

void
transfers_sweep(struct transfer **transfers, const struct api *api)
{
    for (struct transfer **at = transfers; api != NULL && *at != NULL;) {
        struct transfer *transfer = *at;

        if (api_has_client(api, transfer->client_no)) {
            at = &transfer->next;
        } else {
            *at = transfer->next;
            transfer_free(transfer);
        }
    }
}

/* Begin one; the client's others in the same direction end. NULL: the call failed. */
static struct transfer *
transfer_new(struct call *call, bool in)
{
    static uint64_t last;
    struct transfer **transfers = call_transfers(call);
    size_t count = 0;

    transfers_sweep(transfers, call_options(call)->api);
    for (struct transfer **at = transfers; *at != NULL;) {
        struct transfer *other = *at;

        if (other->client_no == call->client_no && (other->body != NULL) == in) {
            *at = other->next;
            transfer_free(other);
            continue;
        }
        count++;
        at = &other->next;
    }
    struct transfer *transfer = count < TRANSFERS_MAX ? calloc(1, sizeof *transfer) : NULL;
    if (transfer == NULL) {
        call_fail(call, count < TRANSFERS_MAX ? ERR_MEMORY : ERR_BUSY, "try again when they are through",
                  "%s",
                  count < TRANSFERS_MAX ? err_text(ERR_MEMORY) : "too many files are on their way at once");
        return NULL;
    }
    transfer->client_no = call->client_no;
    transfer->number = ++last;
    transfer->next = *transfers;
    *transfers = transfer;
    return transfer;
}

/* The one that the request names, of this client. NULL: the call failed. */
static struct transfer *
transfer_of(struct call *call, const char *member, bool in)
{
    int64_t number = call_number(call, member, 1, INT64_MAX, 0);

    for (struct transfer *at = *call_transfers(call); at != NULL && !call->failed; at = at->next) {
        if (at->client_no == call->client_no && (int64_t)at->number == number && (at->body != NULL) == in) {
            return at;
        }
    }
    call_fail(call, ERR_ABSENT, "begin again", "no such file is on its way");
    return NULL;
}

static void
drop(struct call *call, const struct transfer *transfer)
{
    for (struct transfer **at = call_transfers(call); *at != NULL; at = &(*at)->next) {
        if (*at == transfer) {
            struct transfer *gone = *at;

            *at = gone->next;
            transfer_free(gone);
            return;
        }
    }
}

/* --- which file --- */

/* What is asked about: a record that can be read here, and may be shown. False: the call failed. */
static bool
open_record(struct call *call, struct named *named, struct replica_view *view)
{
    if (!call_record(call, named) || !call_view(call, named, view)) {
        return false;
    }
    if (view->restricted) {
        call_fail_restricted(call);
    }
    return !call->failed;
}

static struct case_file *
read_files(struct call *call, const struct replica_view *view, size_t *count_out)
{
    struct case_file *files = arena_take_array(&call->arena, FILES_MAX, sizeof *files);

    *count_out = files == NULL ? 0 : files_of(view, files, FILES_MAX);
    if (files == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    } else if (*count_out > FILES_MAX) {
        *count_out = FILES_MAX;
    }
    return files;
}

/* The file that "file" names, of the record. NULL: the call failed. */
static const struct case_file *
find_file(struct call *call, struct case_file *files, size_t count)
{
    const char *typed = call_text(call, "file");
    size_t found = 0;

    if (call->failed) {
        return NULL;
    }
    const struct case_file *file = files_find(files, count, typed, &found);
    if (file == NULL && found == 0) {
        call_fail(call, ERR_ABSENT, "vigil blob list shows those that it has", "the record has no such file");
    } else if (file == NULL) {
        call_fail(call, ERR_CONFLICT, "give more of the digits that vigil blob list shows",
                  "the record has %zu files that may be meant", found);
    }
    return file;
}

/* --- saving what is said of a file --- */

/* The ops of one save; their values live in `values` until the save is over. */
struct saying {
    struct call *call;
    struct save_op ops[OPS_MAX];
    size_t count;
    struct buf values[OPS_MAX];
};

static void
saying_free(struct saying *saying)
{
    for (size_t n = 0; n < OPS_MAX; n++) {
        buf_wipe(&saying->values[n]);
    }
}

static struct buf *
say(struct saying *saying, const struct target *element, uint32_t field)
{
    struct save_op *op = &saying->ops[saying->count];
    struct buf *value = &saying->values[saying->count];

    if (saying->count == OPS_MAX) {
        call_fail(saying->call, ERR_FULL, "say less of it at once", "too much is said of one file");
        return &saying->values[OPS_MAX - 1];
    }
    saying->count++;
    *op = (struct save_op){ .code = field == 0 ? OP_ADD : OP_SET, .target = *element };
    op->target.field = field;
    return value;
}

/* Values are lent to the ops once all of them are written. */
static bool
say_end(struct saying *saying)
{
    for (size_t n = 0; n < saying->count && !saying->call->failed; n++) {
        if (saying->ops[n].code == OP_SET) {
            saying->ops[n].value = buf_span(&saying->values[n]);
        }
        if (saying->values[n].failed) {
            call_fail(saying->call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        }
    }
    return !saying->call->failed;
}

static struct target
new_element(struct call *call, uint32_t collection)
{
    struct target target = { .collection = collection };

    world_random(call_options(call)->world, target.element, ELEMENT_ID_BYTES);
    return target;
}

static uint32_t
actor_of(struct call *call)
{
    return (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0);
}

/* One step in the custody of a piece of evidence. `strict`: who did it can be said, in the protected half. */
static void
say_custody(struct saying *saying, const uint8_t element[ELEMENT_ID_BYTES], enum custody event, bool strict,
            const char *note)
{
    struct call *call = saying->call;
    struct target target = new_element(call, COLLECTION_CUSTODY);
    struct time_text now = time_print(world_wall_ms(call_options(call)->world));
    uint8_t actor[12];

    (void)say(saying, &target, 0);
    cbor_put_bytes(say(saying, &target, FIELD_CUSTODY_EVIDENCE), span_of(element, ELEMENT_ID_BYTES));
    cbor_put_uint(say(saying, &target, FIELD_CUSTODY_EVENT), event);
    cbor_put_text(say(saying, &target, FIELD_CUSTODY_DATE), span_of((const uint8_t *)now.text, 10));
    if (strict) {
        memcpy(actor, replica_identity(call->replica)->device_id.bytes, 8);
        bytes_write_u32(actor + 8, actor_of(call));
        cbor_put_bytes(say(saying, &target, FIELD_CUSTODY_ACTOR), span_of(actor, sizeof actor));
    }
    if (note[0] != '\0') {
        cbor_put_text(say(saying, &target, FIELD_CUSTODY_NOTE), span_text(note));
    }
}

static bool
may_write(const struct call *call, const struct ident *compartment)
{
    return call->own != NULL && policy_may(call->roster, call->own, OPERATION_WRITE_DATA, compartment);
}

/* The twin of a record's compartment, if this device writes there. */
static bool
writes_strictly(const struct call *call, const struct ident *compartment)
{
    const struct roster_compartment *open = roster_compartment(call->roster, compartment);

    return open != NULL && open->twin != NULL && may_write(call, &open->twin->id);
}

/* --- taking one in --- */

/* A text of the request for which a field has room. False: it has none, and the call failed. */
static bool
check_text(struct call *call, const char *member, size_t bytes_max)
{
    const char *text = call_text(call, member);

    if (text != NULL && (strlen(text) > bytes_max || text[0] == '\0')) {
        call_fail(call, ERR_INVALID, "", "\"%s\" is empty or longer than %zu bytes", member, bytes_max);
    }
    return !call->failed;
}

/* True if the kind is of records that are somebody. */
static bool
is_somebody(const struct call *call, uint32_t kind)
{
    const char *name = kind_name(call->codebook, kind);

    return strcmp(name, "person") == 0 || strcmp(name, "source") == 0;
}

void
call_blob_add_begin(struct call *call)
{
    struct named named;
    struct replica_view view;
    uint64_t size = (uint64_t)call_number(call, "size", 0, INT64_MAX, 0);
    const char *type = call_text_needed(call, "media_type");
    bool shows_nobody = call_flag(call, "shows_nobody");

    if (call->failed || !check_text(call, "media_type", TYPE_BYTES_MAX) ||
        !check_text(call, "name", NAME_BYTES_MAX) || !open_record(call, &named, &view)) {
        return;
    }
    (void)type;
    if (!may_write(call, &named.compartment) ||
        (!shows_nobody && !writes_strictly(call, &named.compartment))) {
        call_fail(call, ERR_DENIED,
                  shows_nobody
                      ? "ask an administrator of the office for the right to write there"
                      : "add it where the protected half is written too, or say that it shows nobody",
                  "this device may not keep the key of a file that may show somebody in this record");
        return;
    }
    if (shows_nobody && is_somebody(call, view_kind(&view))) {
        call_fail(call, ERR_INVALID, "leave it away", "a file of a person or a source shows somebody");
        return;
    }
    uint32_t chunks = blob_chunk_count(size);
    if (chunks == 0) {
        call_fail(call, ERR_INVALID,
                  size == 0 ? "look whether it is the right file" : "split it, or keep it elsewhere",
                  size == 0 ? "the file is empty" : "a file has 4 GiB at most");
        return;
    }
    uint64_t room = table_env_room(replica_env(call->replica));
    if (room != 0 && room < blob_file_bytes(chunks) + BLOB_ROOM_KEPT_BYTES) {
        call_fail(call, ERR_FULL, "make room on the disk; vigil blob evict puts files away that others hold",
                  "the disk has no room for a file of %" PRIu64 " MB", size / 1000000);
        return;
    }
    struct transfer *transfer = transfer_new(call, true);
    if (transfer == NULL) {
        return;
    }
    transfer->body = json_deep_copy(call->body);
    enum err err = transfer->body == NULL
                       ? ERR_MEMORY
                       : blob_writer_open(&transfer->writer, replica_blobs(call->replica), size);
    if (err != ERR_OK) {
        call_fail(call, err, "try again", "the file cannot be begun: %s", err_text(err));
        drop(call, transfer);
        return;
    }
    call_ok(call, json_pack("{s:I,s:i}", "add", (json_int_t)transfer->number, "piece", PIECE_BYTES));
}

void
call_blob_add_bytes(struct call *call)
{
    struct transfer *transfer = transfer_of(call, "add", true);
    int64_t at = call_number(call, "at", 0, INT64_MAX, -1);
    const char *data = call_text_needed(call, "data");
    struct buf bytes = { 0 };

    if (call->failed || transfer == NULL) {
        return;
    }
    if (transfer->made || at < 0 || (uint64_t)at != transfer->come) {
        call_usage(call, "\"at\" is not where the file has come to");
        return;
    }
    if (!crypto_base64_read(&bytes, span_text(data)) || bytes.size > PIECE_BYTES) {
        call_usage(call, "\"data\" is not at most %d bytes in base64", PIECE_BYTES);
        buf_wipe(&bytes);
        return;
    }
    enum err err = blob_write(transfer->writer, buf_span(&bytes));
    transfer->come += bytes.size;
    buf_wipe(&bytes);
    if (err != ERR_OK) {
        call_fail(call, err, "it may have changed while it was read: try again",
                  err == ERR_INVALID ? "the file is longer than was said" : "the file cannot be written: %s",
                  err_text(err));
        drop(call, transfer);
    }
}

/* What the request says of the file beside what the node knows: fields of its element. */
static void
say_more(struct saying *saying, const json_t *body, uint32_t kind, const struct target *element)
{
    struct call *call = saying->call;
    const struct codebook_collection *collection = codebook_collection(call->codebook, element->collection);
    const struct file_fields *fields = file_fields(element->collection);
    json_t *set = json_object_get(body, "set");
    struct value_fault fault;
    const char *name;
    json_t *value;

    if (set != NULL && (!json_is_object(set) || json_object_size(set) > SET_MAX)) {
        call_usage(call, "\"set\" is not an object of at most %d fields and values", SET_MAX);
        return;
    }
    json_object_foreach(set, name, value)
    {
        char whole[96];

        (void)snprintf(whole, sizeof whole, "%s.%s", collection->name, name);
        const struct codebook_field *field = codebook_field_by_name(call->codebook, kind, whole);
        if (field == NULL || field->number == fields->file || field->number == fields->size ||
            field->number == fields->media_type || field->number == fields->name ||
            field->type == TYPE_FILE_KEY) {
            call_fail(call, ERR_INVALID, "vigil codebook show lists the fields of evidence and attachment",
                      "%.60s is nothing that can be said of a file", whole);
            return;
        }
        enum err err = value_parse(call->codebook, field, value, say(saying, element, field->number), &fault);
        if (err != ERR_OK) {
            call_fail(call, err, "vigil codebook show says what a field takes", "%s",
                      err == ERR_INVALID ? fault.text : err_text(err));
            return;
        }
    }
}

/* The element that the new file is derived from, and how, as the request says. */
static bool
is_derived(const struct saying *saying, uint8_t from_out[ELEMENT_ID_BYTES], uint64_t *how_out)
{
    bool found = false;

    *how_out = DERIVED_NOT;
    for (size_t n = 0; n < saying->count; n++) {
        struct cbor_reader in = cbor_reader_of(buf_span(&saying->values[n]));

        if (saying->ops[n].target.field == FIELD_EVIDENCE_DERIVED_FROM) {
            cbor_read_exact(&in, from_out, ELEMENT_ID_BYTES);
            found = cbor_done(&in);
        } else if (saying->ops[n].target.field == FIELD_EVIDENCE_DERIVATION) {
            *how_out = cbor_read_uint(&in);
        }
    }
    return found;
}

static bool
says(const struct saying *saying, uint32_t field)
{
    bool said = false;

    for (size_t n = 0; n < saying->count; n++) {
        said = said || saying->ops[n].target.field == field;
    }
    return said;
}

/* All that the record says of the file from now on. */
static void
say_file(struct saying *saying, const struct transfer *transfer, const struct named *named, uint32_t kind,
         struct target *element_out)
{
    struct call *call = saying->call;
    const json_t *body = transfer->body;
    bool evidence = strcmp(kind_name(call->codebook, kind), "case") == 0;
    bool nobody = json_is_true(json_object_get(body, "shows_nobody"));
    bool strict = writes_strictly(call, &named->compartment);
    const char *name = json_string_value(json_object_get(body, "name"));
    uint8_t key[BLOB_KEY_BYTES];
    uint8_t from[ELEMENT_ID_BYTES];
    uint64_t how;

    *element_out = new_element(call, evidence ? COLLECTION_EVIDENCE : COLLECTION_ATTACHMENT);
    const struct file_fields *fields = file_fields(element_out->collection);
    (void)say(saying, element_out, 0);
    cbor_put_bytes(say(saying, element_out, fields->file), hash_span(&transfer->result.address));
    cbor_put_uint(say(saying, element_out, fields->size), transfer->result.size);
    cbor_put_text(say(saying, element_out, fields->media_type),
                  span_text(json_string_value(json_object_get(body, "media_type"))));
    if (name != NULL && strict) {
        cbor_put_text(say(saying, element_out, fields->name), span_text(name));
    }
    blob_key_write(key, &transfer->result.key);
    cbor_put_bytes(say(saying, element_out, nobody ? fields->open_key : fields->key),
                   span_of(key, sizeof key));
    crypto_wipe(key, sizeof key);
    say_more(saying, body, kind, element_out);
    if (!evidence) {
        return;
    }
    if (!says(saying, FIELD_EVIDENCE_DERIVATION)) {
        cbor_put_uint(say(saying, element_out, FIELD_EVIDENCE_DERIVATION), DERIVED_NOT);
    }
    bool derived = is_derived(saying, from, &how);
    say_custody(saying, element_out->element, CUSTODY_RECEIVED, strict, "");
    if (derived) {
        say_custody(saying, from, how == DERIVED_REDACTED ? CUSTODY_REDACTED : CUSTODY_COPIED, strict, "");
    }
}

/* Is the same content in the record already, as far as its keys can be read here? */
static bool
is_there_already(struct call *call, const struct replica_view *view, const struct blob_made *made)
{
    size_t count;
    struct case_file *files = read_files(call, view, &count);
    char hex[2 * HASH_BYTES + 1];
    bool there = false;

    for (size_t n = 0; n < count && !there; n++) {
        there = files[n].readable && hash_equal(&files[n].key.content_hash, &made->key.content_hash);
        if (there) {
            bytes_hex(hex, hash_span(&files[n].address));
            call_fail(call, ERR_EXISTS, "vigil blob list shows it",
                      "the record has this very file already: %.12s", hex);
        }
    }
    if (files != NULL) {
        crypto_wipe(files, FILES_MAX * sizeof *files);
    }
    return there;
}

/* In a turn: the record names the file, and it stays. */
static void
keep_file(struct call *call, struct transfer *transfer, const struct named *named,
          const struct replica_view *view)
{
    struct saying *saying = arena_take_array(&call->arena, 1, sizeof *saying);
    struct target element;
    char address[2 * HASH_BYTES + 1];
    char sum[2 * HASH_BYTES + 1];
    char element_hex[2 * ELEMENT_ID_BYTES + 1];
    uint32_t kind = view_kind(view);

    if (saying == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    saying->call = call;
    say_file(saying, transfer, named, kind, &element);
    struct save save = { .compartment = named->compartment,
                         .record_id = named->record_id,
                         .actor = actor_of(call),
                         .ops = saying->ops,
                         .op_count = saying->count };
    if (say_end(saying) && call_allows_step(call, kind, view, &save)) {
        call_save(call, &save, named->number);
    }
    saying_free(saying);
    if (call->failed) {
        return;
    }
    shelf_put_whole(call->txn, &transfer->result.address, transfer->result.chunk_count);
    enum err err = table_error(call->txn);
    if (err == ERR_OK) {
        err = blob_writer_keep(transfer->writer);
    }
    if (err != ERR_OK) {
        call_fail(call, err, "nothing of it was kept: try again", "the file could not be kept: %s",
                  err_text(err));
        return;
    }
    bytes_hex(address, hash_span(&transfer->result.address));
    bytes_hex(sum, hash_span(&transfer->result.key.content_hash));
    bytes_hex(element_hex, span_of(element.element, ELEMENT_ID_BYTES));
    (void)json_object_set_new(call->ok, "file", json_string(address));
    (void)json_object_set_new(call->ok, "sha256", json_string(sum));
    (void)json_object_set_new(call->ok, "element", json_string(element_hex));
    log_event("file-added", "file=%s chunks=%u", hash_short(&transfer->result.address).text,
              (unsigned)transfer->result.chunk_count);
}

void
call_blob_add_end(struct call *call)
{
    struct transfer *transfer = transfer_of(call, "add", true);
    struct named named;
    struct replica_view view;
    const char *sum = call_text(call, "sha256");

    if (transfer == NULL || call->failed) {
        return;
    }
    /* A turn that was given up runs this again, and the file was made then. */
    if (!transfer->made) {
        enum err err = blob_writer_end(transfer->writer, &transfer->result);

        if (err != ERR_OK) {
            call_fail(call, err, "it may have changed while it was read: try again",
                      err == ERR_INVALID ? "less of the file came than was said"
                                         : "the file cannot be written: %s",
                      err_text(err));
            return;
        }
        transfer->made = true;
    }
    char hex[2 * HASH_BYTES + 1];
    bytes_hex(hex, hash_span(&transfer->result.key.content_hash));
    if (sum != NULL && strcmp(sum, hex) != 0) {
        call_fail(call, ERR_INVALID, "try again; if it happens again the disk or the memory is at fault",
                  "what came is not the content that was said");
        return;
    }
    const char *record = json_string_value(json_object_get(transfer->body, "record"));
    call->one_record = record != NULL && call_named(call, record, &named);
    if (!call->one_record || !call_view(call, &named, &view)) {
        return;
    }
    call->record = named.record_id;
    if (view.restricted) {
        call_fail_restricted(call);
    } else if (!is_there_already(call, &view, &transfer->result) && !call->failed) {
        keep_file(call, transfer, &named, &view);
    }
}

/* --- showing --- */

/* Who may hold files of the compartment, and who is known to hold this one, ourselves among them. */
static json_t *
holders_json(const struct call *call, const struct ident *compartment, const struct shelf_blob *blob)
{
    json_int_t held = 0;
    json_int_t of = 0;

    for (size_t n = 0; n < roster_device_count(call->roster); n++) {
        const struct roster_device *device = roster_device_at(call->roster, n);

        if (!policy_may(call->roster, device, OPERATION_CARRY, compartment)) {
            continue;
        }
        of++;
        held += device == call->own ? shelf_is_whole(blob)
                                    : shelf_holder(call->txn, &blob->address, &device->device_id) != 0;
    }
    return json_pack("{s:I,s:I}", "held", held, "of", of);
}

static const char *
state_name(const struct shelf_blob *blob)
{
    if (shelf_is_whole(blob)) {
        return "here";
    }
    if (blob->held > 0) {
        return "partly";
    }
    return blob->wish == WISH_AWAY ? "away" : "wanted";
}

static json_t *
text_or_null(struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct span text = cbor.data == NULL ? cbor : cbor_read_text(&in);

    return cbor.data == NULL || !cbor_done(&in) ? json_null() : text_json(text);
}

static json_t *
file_json(struct call *call, const struct named *named, const struct case_file *file)
{
    const struct file_fields *fields = file_fields(file->collection);
    struct shelf_blob blob;
    char sum[8 + 2 * HASH_BYTES] = "sha256:";

    if (shelf_get(call->txn, &file->address, &blob) != ERR_OK) {
        blob = (struct shelf_blob){ .address = file->address };
    }
    bytes_hex(sum + 7, hash_span(&file->key.content_hash));
    call_reads(call, codebook_field(call->codebook, fields->name), file->name);
    const struct codebook_field *derivation =
        fields->derivation == 0 ? NULL : codebook_field(call->codebook, fields->derivation);
    return json_pack("{s:o,s:s,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:b,s:b,s:s,s:I,s:I,s:o}", "file",
                     hex_json(hash_span(&file->address)), "collection",
                     codebook_collection(call->codebook, file->collection)->name, "element",
                     hex_json(span_of(file->element, ELEMENT_ID_BYTES)), "size", (json_int_t)file->size,
                     "media_type", text_or_null(file->media_type), "name", text_or_null(file->name),
                     "caption", text_or_null(file->caption), "derivation",
                     derivation == NULL || file->derivation.data == NULL
                         ? json_null()
                         : value_json(call->codebook, derivation, file->derivation),
                     "content_hash", file->readable ? json_string(sum) : json_null(), "readable",
                     file->readable, "shows_nobody", file->shows_nobody, "state", state_name(&blob), "chunks",
                     (json_int_t)blob.chunk_count, "held_chunks", (json_int_t)blob.held, "holders",
                     holders_json(call, &named->compartment, &blob));
}

void
call_blob_list(struct call *call)
{
    struct named named;
    struct replica_view view;
    json_t *list = json_array();
    size_t count;

    if (!open_record(call, &named, &view)) {
        json_decref(list);
        return;
    }
    struct case_file *files = read_files(call, &view, &count);
    for (size_t n = 0; n < count && !call->failed; n++) {
        (void)json_array_append_new(list, file_json(call, &named, &files[n]));
    }
    if (files != NULL) {
        crypto_wipe(files, FILES_MAX * sizeof *files);
    }
    call_ok(call, json_pack("{s:s,s:o}", "number", named.number, "files", list));
}

/* Peers that sent parts which were not those of the files that they were said to be of, since this node began. */
static json_t *
refused_parts_json(const struct call *call)
{
    size_t count = 0;
    const struct gossip_peer_status *all = gossip_status(call_options(call)->gossip, &count);
    json_t *list = json_array();

    for (size_t n = 0; n < count; n++) {
        if (all[n].pieces_refused > 0) {
            (void)json_array_append_new(list, json_pack("{s:o,s:I}", "device",
                                                        device_json(call->roster, &all[n].device_id), "parts",
                                                        (json_int_t)all[n].pieces_refused));
        }
    }
    return list;
}

void
call_blob_status(struct call *call)
{
    int64_t limit = call_number(call, "limit", 1, STATUS_LIMIT_MAX, STATUS_LIMIT_DEFAULT);
    json_t *list = json_array();
    struct shelf_totals totals;
    struct shelf_blob blob;
    struct hash after;
    bool more = false;

    shelf_total(call->txn, &totals);
    /* What is not here: the rest needs nobody's attention. */
    for (const struct hash *from = NULL; !call->failed && shelf_next(call->txn, from, &blob);) {
        after = blob.address;
        from = &after;
        if (shelf_is_whole(&blob)) {
            continue;
        }
        if ((int64_t)json_array_size(list) == limit) {
            more = true;
            break;
        }
        (void)json_array_append_new(
            list, json_pack("{s:o,s:I,s:s,s:I,s:I}", "file", hex_json(hash_span(&blob.address)), "size",
                            (json_int_t)blob.size, "state", state_name(&blob), "chunks",
                            (json_int_t)blob.chunk_count, "held_chunks", (json_int_t)blob.held));
    }
    call_ok(call,
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:b}", "here", (json_int_t)totals.whole_count,
                      "here_bytes", (json_int_t)totals.whole_bytes, "partly", (json_int_t)totals.part_count,
                      "wanted", (json_int_t)totals.wanted_count, "wanted_bytes",
                      (json_int_t)totals.wanted_bytes, "away", (json_int_t)totals.away_count, "refused",
                      refused_parts_json(call), "files", list, "more", more));
}

/* --- giving one out --- */

static bool
check_reason(struct call *call)
{
    const char *reason = call_text_needed(call, "reason");
    size_t size = reason == NULL ? 0 : strlen(reason);

    if (reason != NULL &&
        (size < REASON_BYTES_MIN || size > REASON_BYTES_MAX || strchr(reason, ' ') == NULL)) {
        call_fail(call, ERR_INVALID, "say in a sentence what the file is for and who gets it",
                  "the reason is not a sentence of at most %d bytes", REASON_BYTES_MAX);
    }
    return !call->failed;
}

/* What becomes of a file that goes out. */
static bool
read_event(struct call *call, enum custody *event_out)
{
    const char *how = call_text_needed(call, "how");

    if (how == NULL) {
        return false;
    }
    if (strcmp(how, "open") == 0) {
        *event_out = CUSTODY_OPENED;
    } else if (strcmp(how, "export") == 0) {
        *event_out = CUSTODY_EXPORTED;
    } else if (strcmp(how, "copy") == 0) {
        *event_out = CUSTODY_COPIED;
    } else {
        call_usage(call, "\"how\" is none of open, export and copy");
    }
    return !call->failed && (*event_out == CUSTODY_OPENED || check_reason(call));
}

/* In a turn: say in the case, where this device may, and in the audit log that the file is about to go out. */
static void
note_custody(struct call *call, const struct named *named, const struct case_file *file, enum custody event)
{
    const struct file_fields *fields = file_fields(file->collection);
    const char *reason = call_text(call, "reason");
    struct saying *saying = arena_take_array(&call->arena, 1, sizeof *saying);
    struct saved saved;
    size_t op;

    if (saying == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    saying->call = call;
    if (file->collection == COLLECTION_EVIDENCE && may_write(call, &named->compartment)) {
        say_custody(saying, file->element, event, writes_strictly(call, &named->compartment), "");
        const struct save save = { .compartment = named->compartment,
                                   .record_id = named->record_id,
                                   .actor = actor_of(call),
                                   .ops = saying->ops,
                                   .op_count = saying->count };
        enum err err = say_end(saying) ? replica_save(call->replica, &save, &saved, &op) : ERR_MEMORY;
        if (err != ERR_OK) {
            call_fail(call, err, "try again", "its custody cannot be noted, so it is not given out: %s",
                      err_text(err));
        }
    }
    saying_free(saying);
    (void)call_audit(call,
                     &(struct audit_event){ .what = event == CUSTODY_OPENED ? AUDIT_READ : AUDIT_EXPORT,
                                            .record = &named->record_id,
                                            .fields = codebook_field(call->codebook, fields->file)->name,
                                            .filter = "",
                                            .reason = reason == NULL ? "" : reason,
                                            .count = event == CUSTODY_OPENED ? 0 : 1 });
}

/* Why a file that is named cannot be given out here. */
static void
fail_unreadable(struct call *call, const struct case_file *file)
{
    struct shelf_blob blob;

    if (shelf_get(call->txn, &file->address, &blob) != ERR_OK) {
        blob = (struct shelf_blob){ .address = file->address };
    }
    if (!file->readable) {
        call_fail(call, ERR_LOCKED, "ask somebody who reads the protected half",
                  "the key of this file is not here, or this device may not read it");
    } else if (!shelf_is_whole(&blob)) {
        call_fail(call, ERR_ABSENT, "vigil blob want asks for it; vigil blob list shows how much is here",
                  "the file is not here whole: %" PRIu32 " of %" PRIu32 " parts are", blob.held,
                  blob.chunk_count);
    } else if (blob_chunk_count(file->size) != blob.chunk_count) {
        call_fail(call, ERR_CORRUPT, "vigil record history shows who said so",
                  "the record says that the file has another size");
    }
}

void
call_blob_get_begin(struct call *call)
{
    struct named named;
    struct replica_view view;
    enum custody event = CUSTODY_OPENED;
    size_t count;

    if (!read_event(call, &event) || !open_record(call, &named, &view)) {
        return;
    }
    struct case_file *files = read_files(call, &view, &count);
    const struct case_file *file = call->failed ? NULL : find_file(call, files, count);
    if (file != NULL) {
        fail_unreadable(call, file);
    }
    struct transfer *transfer = call->failed ? NULL : transfer_new(call, false);
    if (transfer != NULL) {
        transfer->address = file->address;
        enum err err = blob_open(&transfer->file, replica_blobs(call->replica), &file->address);
        if (err == ERR_OK) {
            err = blob_reader_init(&transfer->reader, transfer->file, &file->key, file->size);
        }
        if (err != ERR_OK) {
            call_fail(call, err == ERR_ABSENT ? ERR_CORRUPT : err,
                      "vigil blob verify says what of it is damaged", "the file cannot be read: %s",
                      err_text(err));
            drop(call, transfer);
        }
    }
    if (!call->failed) {
        note_custody(call, &named, file, event);
    }
    if (!call->failed) {
        json_t *about = file_json(call, &named, file);

        (void)json_object_set_new(about, "get", json_integer((json_int_t)transfer->number));
        call_ok(call, about);
    }
    if (files != NULL) {
        crypto_wipe(files, FILES_MAX * sizeof *files);
    }
}

/* Fill `bytes` with the next piece; true once all has been given and is what it should be. */
static bool
read_piece(struct call *call, struct transfer *transfer, struct buf *bytes)
{
    uint8_t chunk[BLOB_CHUNK_BYTES];
    bool ended = false;
    size_t size = 0;

    for (int n = 0; n < PIECE_CHUNKS && !ended && !call->failed; n++) {
        enum err err = blob_reader_next(&transfer->reader, chunk, &size);

        ended = err == ERR_OK && size == 0;
        if (err != ERR_OK) {
            call_fail(call, err, "vigil blob verify says what of it is damaged, and has it fetched again",
                      "part %" PRIu32 " of the file cannot be read: %s", transfer->reader.next + 1,
                      err_text(err));
        }
        buf_put(bytes, chunk, size);
    }
    crypto_wipe(chunk, sizeof chunk);
    if (bytes->failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    return ended;
}

void
call_blob_get_bytes(struct call *call)
{
    struct transfer *transfer = transfer_of(call, "get", false);
    int64_t at = call_number(call, "at", 0, INT64_MAX, -1);
    struct shelf_blob blob;
    struct buf bytes = { 0 };
    struct buf text = { 0 };

    if (call->failed || transfer == NULL) {
        return;
    }
    if (at < 0 || (uint64_t)at != transfer->sent) {
        call_usage(call, "\"at\" is not where the file has come to");
        return;
    }
    if (shelf_get(call->txn, &transfer->address, &blob) != ERR_OK) {
        call_fail(call, ERR_ABSENT, "delete what was written of it", "the file was erased meanwhile");
        drop(call, transfer);
        return;
    }
    bool ended = read_piece(call, transfer, &bytes);
    if (!call->failed) {
        crypto_base64(&text, buf_span(&bytes));
        transfer->sent += bytes.size;
        call_ok(call, text.failed ? NULL
                                  : json_pack("{s:o,s:b}", "data", text_json(buf_span(&text)), "end", ended));
    }
    buf_wipe(&bytes);
    buf_wipe(&text);
    if (ended || call->failed) {
        drop(call, transfer);
    }
}

/* --- wanting it, or not --- */

/* The address of a file of a record, or one typed whole. False: the call failed. */
static bool
find_address(struct call *call, struct hash *address_out)
{
    const char *typed = call_text(call, "file");
    struct named named;
    struct replica_view view;
    size_t count;

    if (json_object_get(call->body, "record") == NULL) {
        if (typed == NULL || strlen(typed) != 2 * HASH_BYTES ||
            !bytes_from_hex(address_out->bytes, HASH_BYTES, typed)) {
            call_fail(call, ERR_INVALID,
                      "name its record, or give all 64 digits, as vigil --json blob status does",
                      "no file is named");
        }
        return !call->failed;
    }
    if (!open_record(call, &named, &view)) {
        return false;
    }
    struct case_file *files = read_files(call, &view, &count);
    const struct case_file *file = call->failed ? NULL : find_file(call, files, count);
    if (file != NULL) {
        *address_out = file->address;
    }
    if (files != NULL) {
        crypto_wipe(files, FILES_MAX * sizeof *files);
    }
    return file != NULL;
}

static json_t *
wish_json(const struct shelf_blob *blob)
{
    return json_pack("{s:o,s:s,s:I,s:I}", "file", hex_json(hash_span(&blob->address)), "state",
                     state_name(blob), "size", (json_int_t)blob->size, "held_chunks", (json_int_t)blob->held);
}

static void
set_wish(struct call *call, const struct hash *address, enum shelf_wish wish)
{
    struct shelf_blob blob;
    enum err err = shelf_wish(call->txn, address, wish);

    if (err == ERR_OK) {
        err = shelf_get(call->txn, address, &blob);
    }
    if (err != ERR_OK) {
        call_fail(call, err, "vigil blob status shows what is wanted", "no record here names this file");
        return;
    }
    call_ok(call, wish_json(&blob));
}

void
call_blob_want(struct call *call)
{
    struct hash address;
    struct shelf_blob blob;

    if (!find_address(call, &address)) {
        return;
    }
    if (shelf_get(call->txn, &address, &blob) == ERR_OK && shelf_is_whole(&blob)) {
        call_ok(call, wish_json(&blob));
        return;
    }
    set_wish(call, &address, WISH_ASKED);
}

/* How many others are known to hold all of it. */
static size_t
count_holders(const struct call *call, const struct hash *address)
{
    size_t count = 0;

    for (size_t n = 0; n < roster_device_count(call->roster); n++) {
        const struct roster_device *device = roster_device_at(call->roster, n);

        count += device != call->own && shelf_holder(call->txn, address, &device->device_id) != 0;
    }
    return count;
}

void
call_blob_evict(struct call *call)
{
    bool although_only = call_flag(call, "although_only");
    struct hash address;

    if (call->failed || !find_address(call, &address)) {
        return;
    }
    if (!although_only && count_holders(call, &address) == 0) {
        call_fail(call, ERR_DENIED, "wait until another node holds it, or say that it may be lost",
                  "as far as this node knows nobody else holds the file");
        return;
    }
    set_wish(call, &address, WISH_AWAY);
    if (!call->failed) {
        log_event("file-put-away", "file=%s", hash_short(&address).text);
    }
}

/* --- looking for damage --- */

enum { VERIFY_CHUNKS = 4096 }; /* one call; 32 MiB */

/* What does not match is noted as not here, and comes again. */
static uint32_t
verify_slice(struct call *call, struct blob_file *file, const struct hash *address, uint32_t from,
             uint32_t end)
{
    uint8_t sealed[BLOB_SEALED_BYTES];
    uint32_t damaged = 0;

    for (uint32_t n = from; n < end && !call->failed; n++) {
        if (!shelf_has_chunk(call->txn, address, n)) {
            continue;
        }
        enum err err = blob_read_chunk(file, n, sealed);
        if (err == ERR_CORRUPT || err == ERR_ABSENT) {
            shelf_lose_chunk(call->txn, address, n);
            damaged++;
        } else if (err != ERR_OK) {
            call_fail(call, err, "look after the disk", "the file cannot be read: %s", err_text(err));
        }
    }
    return damaged;
}

/* The file itself is gone, or nothing of it can be told from damage. */
static void
lose_all(struct call *call, const struct hash *address)
{
    struct shelf_blob blob;

    if (shelf_wish(call->txn, address, WISH_AWAY) == ERR_OK &&
        shelf_wish(call->txn, address, WISH_ASKED) == ERR_OK &&
        shelf_get(call->txn, address, &blob) == ERR_OK) {
        call_ok(call, json_pack("{s:I,s:I,s:n}", "checked", (json_int_t)blob.chunk_count, "damaged",
                                (json_int_t)blob.chunk_count, "next"));
    }
}

void
call_blob_verify(struct call *call)
{
    int64_t from = call_number(call, "from", 0, BLOB_CHUNKS_MAX, 0);
    struct blob_file *file = NULL;
    struct shelf_blob blob;
    struct hash address;

    if (call->failed || !find_address(call, &address)) {
        return;
    }
    if (shelf_get(call->txn, &address, &blob) != ERR_OK || blob.held == 0) {
        call_fail(call, ERR_ABSENT, "vigil blob want asks for it", "nothing of this file is here");
        return;
    }
    enum err err = blob_open(&file, replica_blobs(call->replica), &address);
    if (err == ERR_ABSENT || err == ERR_CORRUPT) {
        lose_all(call, &address);
        return;
    }
    if (err != ERR_OK) {
        call_fail(call, err, "look after the disk", "the file cannot be read: %s", err_text(err));
        return;
    }
    uint32_t count = blob_chunks(file);
    uint32_t first = from < count ? (uint32_t)from : count;
    uint32_t end = count - first < VERIFY_CHUNKS ? count : first + VERIFY_CHUNKS;
    bool whole = blob_is_whole(file);
    uint32_t damaged = verify_slice(call, file, &address, first, end);
    blob_close(&file);
    if (!call->failed && damaged > 0 && whole) {
        err = blobs_reopen(replica_blobs(call->replica), &address);
        if (err != ERR_OK) {
            call_fail(call, err, "look after the disk", "the file cannot be mended: %s", err_text(err));
        }
    }
    if (!call->failed) {
        call_ok(call, json_pack("{s:I,s:I,s:o}", "checked", (json_int_t)(end - first), "damaged",
                                (json_int_t)damaged, "next",
                                end == count ? json_null() : json_integer((json_int_t)end)));
    }
}
