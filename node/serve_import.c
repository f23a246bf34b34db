/* serve_import.c - import.*: rows of another system become records, all of a file or none.
 *
 *     import.begin --> import.rows, import.rows ... --> import.commit --> (the node, by itself) --> done
 *                      each row is judged, and kept     decided           a thousand rows a turn
 *                      sealed in meta: no record yet
 *
 * No transaction can hold a hundred thousand records, so what is all or nothing is the decision. Before import.commit nothing of the
 * file is a record, and if whoever brings it leaves, or the node ends, what was kept is dropped. From import.commit on each row
 * becomes a record whatever happens to the tool, the power or the machine: how far it is stands in the transaction that made the
 * records. A file of at most SLICE_ROWS rows becomes records in one transaction. A row that is refused after all (a right was
 * lost, the record restricted meanwhile) stops the import before it, and a person resumes or abandons the rest.
 *
 * Rows wait, some of them for weeks. When records are destroyed, those that are about one of them go with it before the files are
 * rewritten: nothing of it is left in them when this device says so.
 *
 *     meta   "import"                      how far it is
 *            "import:row:" batch u64       rows as they came: see json_tree.h
 *            "import:key:" row[16]         compartment[16], record_id[16] of a record that was made of this row here: also once the
 *                                          record is restricted or erased, so that no file brings it back
 */
#include "node/call.h"
#include "node/casework/importing.h"
#include "node/json_tree.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "sync/erase.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SWEEP_BATCHES = 8,      /* are looked through in a turn, once something was erased */
    SLICE_ROWS = 1000,      /* become records in a turn */
    CALL_ROWS_MAX = 512,    /* come in one request */
    RECORDS_MAX = 64,       /* of a row */
    SAVE_BYTES_MAX = 30000, /* of values in one save: see entry_fits */
    SAVE_OP_BYTES = 40,     /* what an op takes beside its value */
    SOURCE_BYTES_MAX = 128,
    KEY_TEXT_BYTES_MAX = 1024,
    ID_BYTES = 8,
};

static const char state_row[] = "import";
static const char rows_row[] = "import:row:";
static const char key_row[] = "import:key:";

enum state { IMPORT_NONE, IMPORT_OPEN, IMPORT_SAVING, IMPORT_DONE, IMPORT_COUNT };

/* As it is in meta. */
struct progress {
    enum state state;
    uint8_t id[ID_BYTES];
    uint64_t batches;
    uint64_t rows;
    uint64_t next; /* batch */
    uint64_t saved;
    uint64_t fresh;
    uint64_t changed;
    uint64_t same;
    uint64_t kept; /* values that stayed as they are here */
    uint64_t left; /* rows left out, since their record was erased meanwhile */
    uint32_t actor;
    char source[SOURCE_BYTES_MAX + 1];
};

struct import {
    bool loaded;
    struct progress at;
    uint64_t client_no; /* who brings it; 0: somebody before the node was started */
    bool faulty;        /* a row was refused: nothing is kept any more */
    bool stopped;
    uint64_t stopped_row;
    char why[CALL_MESSAGE_BYTES];
    char hint[CALL_MESSAGE_BYTES];
    uint64_t not_before_ms;
    /* Rows of records that were erased: erase_destroyed, when all batches were looked through last, and how far that is. */
    bool swept_once;
    bool sweep_open; /* some of it in the turn that is open */
    uint64_t swept;
    uint64_t sweeping;
    uint64_t sweep_next; /* batch */
};

struct import *
import_new(void)
{
    return calloc(1, sizeof(struct import));
}

void
import_free(struct import **import)
{
    free(*import);
    *import = NULL;
}

/* --- how far it is --- */

static bool
progress_read(struct span bytes, struct progress *out)
{
    struct reader in = reader_of(bytes);

    memset(out, 0, sizeof *out);
    uint8_t version = reader_u8(&in);
    uint8_t state = reader_u8(&in);
    reader_copy(&in, out->id, ID_BYTES);
    uint64_t *const numbers[] = { &out->batches, &out->rows, &out->next, &out->saved, &out->fresh,
                                  &out->changed, &out->same, &out->kept, &out->left };
    for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
        *numbers[n] = reader_u64(&in);
    }
    out->actor = reader_u32(&in);
    struct span source = reader_span(&in, reader_left(&in));
    if (!reader_done(&in) || version != 1 || state >= IMPORT_COUNT || source.size > SOURCE_BYTES_MAX) {
        memset(out, 0, sizeof *out);
        return false;
    }
    out->state = (enum state)state;
    if (source.size > 0) {
        memcpy(out->source, source.data, source.size);
    }
    return true;
}

static void
progress_write(const struct progress *at, struct table_txn *txn)
{
    const uint64_t numbers[] = { at->batches, at->rows, at->next, at->saved, at->fresh,
                                 at->changed, at->same, at->kept, at->left };
    struct buf row = { 0 };

    buf_put_u8(&row, 1);
    buf_put_u8(&row, (uint8_t)at->state);
    buf_put(&row, at->id, ID_BYTES);
    for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
        buf_put_u64(&row, numbers[n]);
    }
    buf_put_u32(&row, at->actor);
    buf_put_text(&row, at->source);
    table_put(txn, TABLE_META, span_text(state_row), buf_span(&row));
    buf_free(&row);
}

void
import_load(struct import *import, struct replica *replica)
{
    struct table_txn *txn = NULL;
    struct buf row = { 0 };

    if (import->loaded || replica_begin_read(replica, &txn) != ERR_OK) {
        return;
    }
    enum err err = table_read(txn, TABLE_META, span_text(state_row), &row);
    memset(&import->at, 0, sizeof import->at);
    /* Of a row that does not verify nothing is known: it is as if there was no import, and `vigild verify` says so. */
    if (err == ERR_OK) {
        (void)progress_read(buf_span(&row), &import->at);
    }
    import->loaded = err == ERR_OK || err == ERR_ABSENT || err == ERR_CORRUPT;
    import->swept_once = import->swept_once && !import->sweep_open;
    import->sweep_next = import->sweep_open ? 0 : import->sweep_next;
    import->sweep_open = false;
    buf_wipe(&row);
    replica_end_read(replica, &txn);
}

void
import_forget(struct import *import, uint64_t not_before_ms)
{
    import->loaded = false;
    import->not_before_ms = not_before_ms;
}

void
import_turn_ended(struct import *import)
{
    import->sweep_open = false;
}

/* Whoever brings the rows has left. */
static bool
is_orphan(const struct import *import, const struct api *api)
{
    return import->at.state == IMPORT_OPEN &&
           (import->client_no == 0 || (api != NULL && !api_has_client(api, import->client_no)));
}

bool
import_is_unswept(const struct import *import, uint64_t destroyed)
{
    return import->loaded && import->at.next < import->at.batches &&
           (!import->swept_once || import->swept != destroyed);
}

static bool
is_saving(const struct import *import)
{
    return import->at.state == IMPORT_SAVING && !import->stopped;
}

static bool
is_wanted(const struct import *import, const struct api *api, uint64_t destroyed)
{
    return is_orphan(import, api) || is_saving(import) || import_is_unswept(import, destroyed);
}

bool
import_is_due(struct import *import, const struct api *api, uint64_t destroyed, uint64_t now_ms)
{
    return import->loaded && is_wanted(import, api, destroyed) && now_ms >= import->not_before_ms;
}

uint64_t
import_wait_ms(struct import *import, const struct api *api, uint64_t destroyed, uint64_t now_ms,
               uint64_t wait_ms)
{
    if (!import->loaded || !is_wanted(import, api, destroyed)) {
        return wait_ms;
    }
    uint64_t due_ms = import->not_before_ms > now_ms ? import->not_before_ms - now_ms : 0;
    return due_ms < wait_ms ? due_ms : wait_ms;
}

/* Nothing that came is kept. */
static void
drop_rows(struct import *import, struct table_txn *txn)
{
    table_clear(txn, TABLE_META, span_text(rows_row));
    import->faulty = false;
    import->stopped = false;
}

static struct span
batch_key(uint8_t key[sizeof rows_row - 1 + 8], uint64_t batch)
{
    memcpy(key, rows_row, sizeof rows_row - 1);
    bytes_write_u64(key + sizeof rows_row - 1, batch);
    return span_of(key, sizeof rows_row - 1 + 8);
}

/* --- one record of a row --- */

/* What a row is judged by, or made into records by. */
struct work {
    struct call call; /* its body is a record, and its refusal the row's */
    struct key secret;
    const char *source;
    uint32_t actor;
    bool write;
    bool keep; /* the row is kept: so is which record it is about */
    /* Of the row at hand. */
    struct ident ids[RECORDS_MAX]; /* of its records, for those that point at them */
    size_t count;
    size_t record;
    struct call_place at;
    bool fresh;   /* the last record of it is new */
    bool changed; /* something of it is saved */
    bool erased;  /* its record was: it is refused for that */
    uint64_t kept;
    json_t *kept_names;
};

static void
work_begin(struct work *work, const struct call *call, const struct progress *at, bool write)
{
    memset(work, 0, sizeof *work);
    work->call = *call;
    work->call.arena = (struct arena){ 0 };
    work->call.ok = NULL;
    work->source = at->source;
    work->actor = at->actor;
    work->write = write;
    importing_secret(&work->secret, replica_identity(call->replica));
}

/* A view that had to be made anew took a turn, and then the transaction is another. */
static void
work_end(struct work *work, struct call *call)
{
    call->txn = work->call.txn;
    call->roster = work->call.roster;
    call->codebook = work->call.codebook;
    call->own = work->call.own;
    json_decref(work->call.ok);
    json_decref(work->kept_names);
    arena_free(&work->call.arena);
    crypto_wipe(&work->secret, sizeof work->secret);
}

static struct span
known_key(uint8_t key[sizeof key_row - 1 + IDENT_BYTES], const struct ident *row)
{
    memcpy(key, key_row, sizeof key_row - 1);
    memcpy(key + sizeof key_row - 1, row->bytes, IDENT_BYTES);
    return span_of(key, sizeof key_row - 1 + IDENT_BYTES);
}

/* The record that says of itself that it was made of this row, on whatever device. */
static bool
find_told(struct call *call, uint32_t kind, const struct ident *row, struct named *named_out)
{
    const struct codebook_field *field =
        codebook_field_by_name(call->codebook, kind, IMPORTING_COLLECTION ".row");
    struct buf token = { 0 };
    struct index_walk walk;
    uint32_t record_no = 0;
    bool found = false;

    if (field == NULL) {
        return false;
    }
    cbor_put_bytes(&token, ident_span(row));
    const struct index_term term = { field->number, buf_span(&token) };
    index_walk_init(&walk, call->txn, &term, 1, UINT32_MAX);
    /* Two devices may have imported one row before they met: the one of the lower id is taken, on every node. */
    while (index_walk_next(&walk, &record_no)) {
        struct named named = { .record_no = record_no };

        if (record_name(call->txn, record_no, &named.compartment, &named.record_id) == ERR_OK &&
            (!found || ident_compare(&named.record_id, &named_out->record_id) < 0)) {
            *named_out = named;
            found = true;
        }
    }
    index_walk_end(&walk);
    buf_free(&token);
    return found;
}

/* The record of this row. False: the call failed. */
static bool
find_known(struct work *work, uint32_t kind, const struct ident *row, struct named *named_out,
           bool *known_out)
{
    struct call *call = &work->call;
    uint8_t key[sizeof key_row - 1 + IDENT_BYTES];
    struct buf value = { 0 };
    enum err err = table_read(call->txn, TABLE_META, known_key(key, row), &value);

    memset(named_out, 0, sizeof *named_out);
    *known_out = err == ERR_OK && value.size == 2 * IDENT_BYTES;
    if (*known_out) {
        memcpy(named_out->compartment.bytes, value.data, IDENT_BYTES);
        memcpy(named_out->record_id.bytes, value.data + IDENT_BYTES, IDENT_BYTES);
        err = record_find(call->txn, &named_out->compartment, &named_out->record_id, &named_out->record_no);
        if (err == ERR_ABSENT) {
            work->erased = true;
            call_fail(call, ERR_DENIED, "take the row out of the file",
                      "the record that was made of this row was erased, and a file does not bring it back");
        } else if (err != ERR_OK) {
            call_fail(call, err, "", "%s", err_text(err));
        }
    } else if (err != ERR_OK && err != ERR_ABSENT) {
        call_fail(call, err, "stop the node and run vigild verify", "%s", err_text(err));
    } else {
        *known_out = find_told(call, kind, row, named_out);
    }
    if (*known_out && !call->failed &&
        replica_is_restricted(call->replica, &named_out->compartment, &named_out->record_id)) {
        call_fail(call, ERR_DENIED, "lift its restriction first, or take the row out of the file",
                  "the record of this row is restricted, and takes no change");
    }
    buf_free(&value);
    return !call->failed;
}

static void
remember_known(struct work *work, const struct ident *row, const struct ident *compartment,
               const struct ident *record_id)
{
    uint8_t key[sizeof key_row - 1 + IDENT_BYTES];
    uint8_t value[2 * IDENT_BYTES];

    memcpy(value, compartment->bytes, IDENT_BYTES);
    memcpy(value + IDENT_BYTES, record_id->bytes, IDENT_BYTES);
    table_put(work->call.txn, TABLE_META, known_key(key, row), span_of(value, sizeof value));
}

/* {"row":0} stands for the first record of the row. False: the call failed. */
static bool
replace_reference(struct work *work, json_t *object, const char *name, const json_t *value)
{
    json_int_t wanted = -1;

    if (!json_is_object(value)) {
        return true;
    }
    if (json_unpack((json_t *)value, "{s:I}", "row", &wanted) != 0 || wanted < 0 ||
        (size_t)wanted >= work->record) {
        call_usage(&work->call, "\"%.60s\" names no earlier record of its row", name);
        return false;
    }
    (void)json_object_set_new(object, name, hex_json(ident_span(&work->ids[wanted])));
    return true;
}

/* Put ids in the place of slots and references. */
static void
settle_names(struct work *work, json_t *record, const struct ident *row)
{
    json_t *adds = json_object_get(record, "add");
    size_t index;
    json_t *item;

    json_array_foreach(adds, index, item)
    {
        const char *slot = json_string_value(json_object_get(item, "slot"));
        json_t *fields = json_object_get(item, "fields");
        const char *name;
        json_t *value;

        if (slot != NULL) {
            uint8_t element[ELEMENT_ID_BYTES];

            importing_element(element, row, slot);
            (void)json_object_set_new(item, "element", hex_json(span_of(element, sizeof element)));
        }
        json_object_foreach(fields, name, value)
        {
            if (!replace_reference(work, fields, name, value)) {
                return;
            }
        }
    }
}

/* As many saves as it takes: each holds what one entry may. */
static void
save_record(struct work *work, const struct call_draft *draft, const struct imported *imported,
            struct ident *record_id)
{
    struct call *call = &work->call;
    struct save save = draft->save;

    save.actor = work->actor;
    for (size_t first = 0; first < imported->count && !call->failed;) {
        size_t bytes = 0;
        size_t count = 0;

        while (first + count < imported->count) {
            size_t size = imported->ops[first + count].value.size + SAVE_OP_BYTES;

            if (count > 0 && bytes + size > SAVE_BYTES_MAX) {
                break;
            }
            bytes += size;
            count++;
        }
        save.ops = imported->ops + first;
        save.op_count = count;
        struct saved saved;
        if (call_write(call, &save, draft->number, &saved)) {
            *record_id = saved.record_id;
            save.record_id = saved.record_id;
            save.create = false;
        }
        first += count;
    }
}

static void
note_kept(struct work *work, const struct imported *imported)
{
    for (size_t n = 0; n < imported->kept_count; n++) {
        struct target_text text = target_print(work->call.codebook, &imported->kept[n]);

        work->kept++;
        if (work->kept_names != NULL) {
            (void)json_array_append_new(work->kept_names, json_string(text.text));
        }
    }
}

static void
refuse_codebook(struct call *call)
{
    call_fail(call, ERR_INVALID, "use the codebook that this program brings, or one that has imported_from",
              "the codebook in force does not say where a record of this kind was imported from");
}

static void
compare_record(struct work *work, const struct ident *row, const struct call_draft *draft, bool known,
               struct imported *imported)
{
    struct call *call = &work->call;
    const struct importing importing = {
        .codebook = call->codebook,
        .secret = &work->secret,
        .view = known ? &draft->view : NULL,
        .kind = draft->kind,
        .row = *row,
        .source = work->source,
    };
    enum err err =
        importing_compare(&importing, draft->save.ops, draft->save.op_count, &call->arena, imported);

    switch (err) {
    case ERR_OK:
        break;
    case ERR_INVALID:
        refuse_codebook(call);
        break;
    case ERR_LOCKED:
        call_fail(call, err, "import it on a device that may read them",
                  "the row says something of fields that cannot be read here");
        break;
    default:
        call_fail(call, err, "", "%s", err_text(err));
        break;
    }
}

/* What a file cannot say: that a gate was passed, which is for persons here, and where a record came from. */
static bool
is_told_here(const struct work *work, const struct call_draft *draft)
{
    static const char *const names[] = { "review", IMPORTING_COLLECTION };

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        const struct codebook_collection *collection =
            codebook_collection_by_name(work->call.codebook, draft->kind, names[n]);

        for (size_t op = 0; collection != NULL && op < draft->save.op_count; op++) {
            if (draft->save.ops[op].target.collection == collection->number) {
                return true;
            }
        }
    }
    return false;
}

/* Judge one record, or make it. */
static void
take_record(struct work *work, json_t *record)
{
    struct call *call = &work->call;
    const char *key = json_string_value(json_object_get(record, "key"));
    const char *name = json_string_value(json_object_get(record, "kind"));
    const struct codebook_kind *kind = name == NULL ? NULL : codebook_kind_by_name(call->codebook, name);
    struct ident row;
    struct named named;
    struct call_draft draft;
    struct imported imported = { 0 };
    bool known = false;

    work->at = (struct call_place){ CALL_PLACE_NONE, NULL };
    if (key == NULL || key[0] == '\0' || strlen(key) > KEY_TEXT_BYTES_MAX) {
        call_usage(call, "a record of a row has no \"key\" of at most %d bytes", KEY_TEXT_BYTES_MAX);
        return;
    }
    if (kind == NULL) {
        call_fail(call, ERR_INVALID, "vigil codebook show lists the kinds",
                  "there is no kind of record called %.60s", name == NULL ? "\"\"" : name);
        return;
    }
    importing_row(&row, &work->secret, work->source, kind->name, key);
    settle_names(work, record, &row);
    call->body = record;
    if (call->failed || !find_known(work, kind->number, &row, &named, &known)) {
        return;
    }
    bool good = call_draft(call, known ? &named : NULL, work->write, &draft);
    work->at = draft.at;
    if (!good) {
        return;
    }
    work->at = (struct call_place){ CALL_PLACE_NONE, NULL };
    if (is_told_here(work, &draft)) {
        call_fail(call, ERR_DENIED, "leave these columns out",
                  "no file says that a gate was passed, or where a record was imported from");
        return;
    }
    /* All of a new record is new: what is only judged need not be compared. */
    if (known || work->write) {
        compare_record(work, &row, &draft, known, &imported);
    } else if (!importing_fits(call->codebook, draft.kind)) {
        refuse_codebook(call);
    }
    if (call->failed) {
        return;
    }
    draft.save.ops = imported.ops;
    draft.save.op_count = imported.count;
    if (!known) {
        (void)call_may_import(call, &draft.save);
    } else if (imported.count > 0) {
        (void)call_allows_step(call, draft.kind, &draft.view, &draft.save);
    }
    struct ident record_id = known ? named.record_id : row;
    if (!call->failed && work->write && imported.count > 0) {
        save_record(work, &draft, &imported, &record_id);
        remember_known(work, &row, &draft.save.compartment, &record_id);
    } else if (!call->failed && work->keep && known) {
        remember_known(work, &row, &named.compartment,
                       &record_id); /* or nobody could tell once it is erased */
    }
    note_kept(work, &imported);
    work->ids[work->record] = record_id;
    work->fresh = !known;
    work->changed = work->changed || !known || imported.count > 0;
}

/* Judge the records of a row, or make them. False: one was refused, and work->call says why. */
static bool
take_row(struct work *work, const json_t *item)
{
    struct call *call = &work->call;
    const json_t *records = json_object_get(item, "records");
    size_t count = json_array_size(records);

    json_decref(call->ok);
    call->ok = NULL;
    call->failed = false;
    call->event_count = 0; /* the import is one event: see call_import_commit */
    call->message[0] = '\0';
    call->hint[0] = '\0';
    work->fresh = false;
    work->changed = false;
    work->erased = false;
    work->kept = 0;
    if (count == 0 || count > RECORDS_MAX) {
        call_usage(call, "a row has 1 to %d \"records\"", RECORDS_MAX);
    }
    for (work->record = 0; work->record < count && !call->failed; work->record++) {
        json_t *record = json_array_get(records, work->record);

        take_record(work, record);
        arena_reset(&call->arena);
        if (call->failed) {
            break;
        }
    }
    return !call->failed;
}

/* --- rows that come --- */

static json_t *
fault_json(const struct work *work, const json_t *row, const char *at)
{
    return json_pack("{s:O,s:I,s:o,s:s?,s:s,s:s,s:s}", "row", row, "record", (json_int_t)work->record, "item",
                     work->at.add < CALL_PLACE_NONE ? json_integer((json_int_t)work->at.add) : json_null(),
                     "field", at, "code", work->call.code, "message", work->call.message, "hint",
                     work->call.hint);
}

static const char *
verdict_of(const struct work *work)
{
    return !work->changed ? "same" : work->fresh ? "new" : "changed";
}

/* Judge every row of the request, which is not the same after that: ids stand for names. Gives how many were refused. */
static size_t
judge_rows(struct call *call, const struct progress *at, bool keep, json_t *outcomes)
{
    json_t *rows = json_object_get(call->body, "rows");
    struct work *work = malloc(sizeof *work);
    size_t refused = 0;
    size_t index;
    json_t *item;

    if (work == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return 0;
    }
    work_begin(work, call, at, false);
    work->keep = keep;
    json_array_foreach(rows, index, item)
    {
        json_t *number = json_object_get(item, "row");

        json_decref(work->kept_names);
        work->kept_names = json_array();
        if (take_row(work, item)) {
            (void)json_array_append_new(outcomes, json_pack("{s:O,s:s,s:O}", "row", number, "verdict",
                                                            verdict_of(work), "kept", work->kept_names));
        } else {
            char name[VALUE_TEXT_BYTES] = "";

            if (work->at.name != NULL) {
                (void)snprintf(name, sizeof name, "%s", work->at.name);
            }
            (void)json_array_append_new(outcomes,
                                        fault_json(work, number, work->at.name == NULL ? NULL : name));
            refused++;
        }
    }
    work_end(work, call);
    free(work);
    if (json_array_size(outcomes) != json_array_size(rows)) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    return refused;
}

static bool
check_rows(struct call *call)
{
    const json_t *rows = json_object_get(call->body, "rows");
    size_t index;
    json_t *item;

    if (!json_is_array(rows) || json_array_size(rows) > CALL_ROWS_MAX) {
        call_usage(call, "\"rows\" is not a list of at most %d rows", CALL_ROWS_MAX);
    }
    json_array_foreach((json_t *)rows, index, item)
    {
        if (!json_is_integer(json_object_get(item, "row"))) {
            call_usage(call, "an item of \"rows\" has no number \"row\"");
        }
    }
    return !call->failed;
}

/* What every request of an import says about all of it. */
static bool
read_source(struct call *call, struct progress *at)
{
    const char *source = call_text_needed(call, "source");

    at->actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0);
    if (source != NULL && strlen(source) > SOURCE_BYTES_MAX) {
        call_usage(call, "\"source\" has more than %d bytes", SOURCE_BYTES_MAX);
    }
    if (!call->failed) {
        (void)snprintf(at->source, sizeof at->source, "%s", source);
    }
    return !call->failed;
}

/* A verdict tells whether a row's record is here, and "same" what it says, field for field: so it is noted who asks for verdicts, be it
 * that nothing comes of the rows. False: the call failed. */
static bool
note(struct call *call, const struct progress *at, const char *what, uint64_t rows)
{
    return call_audit(
        call, &(struct audit_event){
                  .what = AUDIT_IMPORT, .fields = "", .filter = what, .reason = at->source, .count = rows });
}

void
call_import_check(struct call *call)
{
    struct progress at = { 0 };

    if (!check_rows(call) || !read_source(call, &at)) {
        return;
    }
    json_t *outcomes = json_array();
    (void)judge_rows(call, &at, false, outcomes);
    (void)note(call, &at, "checked", json_array_size(outcomes));
    call_ok(call, json_pack("{s:o}", "rows", outcomes));
}

static void
refuse_busy(struct call *call)
{
    call_fail(call, ERR_BUSY, "vigil import status shows how far it is",
              "another file is being imported on this node");
}

void
call_import_begin(struct call *call)
{
    struct import *import = call_import(call);
    struct progress at = { .state = IMPORT_OPEN };
    struct api *api = call_options(call)->api;

    import_load(import, call->replica);
    if (!read_source(call, &at)) {
        return;
    }
    if (import->at.state == IMPORT_SAVING || (import->at.state == IMPORT_OPEN && !is_orphan(import, api) &&
                                              import->client_no != call->client_no)) {
        refuse_busy(call);
        return;
    }
    if (!note(call, &at, "begun", 0)) {
        return;
    }
    drop_rows(import, call->txn);
    world_random(call_options(call)->world, at.id, sizeof at.id);
    progress_write(&at, call->txn);
    import->at = at;
    import->client_no = call->client_no;
    /* Rows that come from now on are judged by what is erased already. */
    import->swept_once = true;
    import->swept = erase_destroyed(replica_erase(call->replica));
    call_ok(call, json_pack("{s:o}", "import", hex_json(span_of(at.id, sizeof at.id))));
}

/* The import that member "import" names. False: the call failed. */
static bool
find_open(struct call *call)
{
    struct import *import = call_import(call);
    const char *text = call_text_needed(call, "import");
    uint8_t id[ID_BYTES];

    import_load(import, call->replica);
    if (text == NULL) {
        return false;
    }
    if (!bytes_from_hex(id, sizeof id, text) || import->at.state != IMPORT_OPEN ||
        memcmp(id, import->at.id, sizeof id) != 0) {
        call_fail(call, ERR_ABSENT, "begin again from the first row", "this import is not open any more");
    }
    return !call->failed;
}

void
call_import_rows(struct call *call)
{
    struct import *import = call_import(call);

    if (!check_rows(call) || !find_open(call)) {
        return;
    }
    struct progress at = import->at;
    struct buf kept = { 0 };
    json_t *outcomes = json_array();
    /* What is kept of a row is as it came. */
    json_tree_put(&kept, json_object_get(call->body, "rows"));
    size_t refused = judge_rows(call, &at, true, outcomes);
    bool faulty = import->faulty || refused > 0;
    if (kept.failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    } else if (!call->failed && !faulty && json_array_size(outcomes) > 0) {
        uint8_t key[sizeof rows_row - 1 + 8];

        table_put(call->txn, TABLE_META, batch_key(key, at.batches), buf_span(&kept));
        at.batches++;
        at.rows += json_array_size(outcomes);
        progress_write(&at, call->txn);
    } else if (!call->failed && faulty && !import->faulty) {
        table_clear(call->txn, TABLE_META, span_text(rows_row));
    }
    buf_wipe(&kept);
    if (!call->failed) {
        import->at = at;
        import->faulty = faulty;
    }
    call_ok(call, json_pack("{s:o}", "rows", outcomes));
}

void
call_import_commit(struct call *call)
{
    struct import *import = call_import(call);
    int64_t rows = call_number(call, "rows", 1, INT64_MAX, 0);

    if (!find_open(call)) {
        return;
    }
    if (import->faulty) {
        call_fail(call, ERR_INVALID, "mend the rows that were refused, and begin again",
                  "a row of this import was refused, so nothing of it is saved");
    } else if ((uint64_t)rows != import->at.rows) {
        call_fail(call, ERR_INVALID, "begin again from the first row",
                  "%" PRIu64 " rows have come, and not %" PRId64, import->at.rows, rows);
    }
    if (call->failed) {
        return;
    }
    struct progress at = import->at;
    at.state = IMPORT_SAVING;
    if (!note(call, &at, "decided", at.rows)) {
        return;
    }
    progress_write(&at, call->txn);
    import->at = at;
    import->not_before_ms = 0;
    log_event("import-decided", "rows=%" PRIu64, at.rows);
}

/* --- becoming records --- */

static void
stop_at(struct import *import, const struct call *refused, uint64_t row)
{
    import->stopped = true;
    import->stopped_row = row;
    (void)snprintf(import->why, sizeof import->why, "%s", refused->message);
    (void)snprintf(import->hint, sizeof import->hint, "%s", refused->hint);
    log_event("import-stopped", "row=%" PRIu64 " code=%s", row, refused->code);
}

/* Make records of one batch. False: a row was refused. */
static bool
save_batch(struct import *import, struct work *work, struct progress *at)
{
    struct call *call = &work->call;
    uint8_t key[sizeof rows_row - 1 + 8];
    struct buf kept = { 0 };
    uint64_t number = 0;
    size_t index;
    json_t *item;
    enum err err = table_read(call->txn, TABLE_META, batch_key(key, at->next), &kept);
    json_t *rows = err == ERR_OK ? json_tree_read(buf_span(&kept)) : NULL;

    if (rows == NULL) {
        err = err == ERR_OK || err == ERR_ABSENT ? ERR_CORRUPT : err;
        call_fail(call, err, "stop the node and run vigild verify, then import the file again", "%s",
                  err_text(err));
    }
    json_array_foreach(rows, index, item)
    {
        number = (uint64_t)json_integer_value(json_object_get(item, "row"));
        if (!take_row(work, item)) {
            if (!work->erased) {
                break;
            }
            /* An erasure comes before what was decided, and what the row says goes with it. */
            call->failed = false;
            at->saved++;
            at->left++;
            continue;
        }
        at->saved++;
        at->kept += work->kept;
        uint64_t *count = !work->changed ? &at->same : work->fresh ? &at->fresh : &at->changed;
        *count += 1;
    }
    bool good = !call->failed;
    if (good) {
        (void)table_delete(call->txn, TABLE_META, batch_key(key, at->next));
        at->next++;
    } else {
        stop_at(import, call, number);
    }
    json_decref(rows);
    buf_wipe(&kept);
    return good;
}

/* --- what was erased --- */

/* True if a record was made of one of the row's records, and was erased since. */
static bool
tells_of_erased(struct work *work, const json_t *item)
{
    struct call *call = &work->call;
    size_t index;
    json_t *record;

    json_array_foreach(json_object_get(item, "records"), index, record)
    {
        const char *key = json_string_value(json_object_get(record, "key"));
        const char *kind = json_string_value(json_object_get(record, "kind"));
        uint8_t known[sizeof key_row - 1 + IDENT_BYTES];
        struct buf value = { 0 };
        struct ident ids[2];
        struct ident row;
        uint32_t record_no = 0;

        if (key == NULL || kind == NULL) {
            continue;
        }
        importing_row(&row, &work->secret, work->source, kind, key);
        enum err err = table_read(call->txn, TABLE_META, known_key(known, &row), &value);
        bool erased = err == ERR_OK && value.size == sizeof ids;
        if (erased) {
            memcpy(ids, value.data, sizeof ids);
            erased = record_find(call->txn, &ids[0], &ids[1], &record_no) == ERR_ABSENT;
        }
        buf_free(&value);
        if (erased) {
            return true;
        }
    }
    return false;
}

/* Leave out of a batch the rows that tell of what was erased. One that cannot be read is not touched: save_batch says so. */
static void
sweep_batch(struct work *work, struct progress *at, uint64_t batch)
{
    struct table_txn *txn = work->call.txn;
    uint8_t key[sizeof rows_row - 1 + 8];
    struct buf kept = { 0 };
    enum err err = table_read(txn, TABLE_META, batch_key(key, batch), &kept);
    json_t *rows = err == ERR_OK ? json_tree_read(buf_span(&kept)) : NULL;
    uint64_t left = 0;

    for (size_t n = json_array_size(rows); n > 0; n--) {
        if (tells_of_erased(work, json_array_get(rows, n - 1))) {
            (void)json_array_remove(rows, n - 1);
            left++;
        }
    }
    if (left > 0) {
        buf_wipe(&kept);
        json_tree_put(&kept, rows);
        if (kept.failed) {
            call_fail(&work->call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        } else {
            table_put(txn, TABLE_META, batch_key(key, batch), buf_span(&kept));
            at->saved += left;
            at->left += left;
        }
    }
    json_decref(rows);
    buf_wipe(&kept);
}

/* Look through some batches more. */
static void
sweep(struct import *import, struct work *work, struct progress *at)
{
    uint64_t destroyed = erase_destroyed(replica_erase(work->call.replica));

    if (import->sweeping != destroyed || import->sweep_next < at->next) {
        import->sweeping = destroyed;
        import->sweep_next = at->next;
    }
    import->sweep_open = true;
    for (int n = 0; n < SWEEP_BATCHES && import->sweep_next < at->batches && !work->call.failed; n++) {
        sweep_batch(work, at, import->sweep_next);
        import->sweep_next += work->call.failed ? 0 : 1;
    }
    if (import->sweep_next == at->batches) {
        import->swept_once = true;
        import->swept = destroyed;
        import->sweep_next = 0;
        log_event("import-swept", "left=%" PRIu64, at->left);
    }
}

bool
import_step(struct import *import, struct call *call, const struct api *api)
{
    struct progress at = import->at;
    bool good = true;

    if (is_orphan(import, api)) {
        drop_rows(import, call->txn);
        memset(&import->at, 0, sizeof import->at);
        (void)table_delete(call->txn, TABLE_META, span_text(state_row));
        log_event("import-dropped", "rows=%" PRIu64, at.rows);
        return true;
    }
    struct work *work = malloc(sizeof *work);
    if (work == NULL) {
        import->not_before_ms = world_steady_ms(call_options(call)->world) + IMPORT_RETRY_MS;
        return true;
    }
    work_begin(work, call, &at, true);
    if (import_is_unswept(import, erase_destroyed(replica_erase(call->replica)))) {
        sweep(import, work, &at);
        good = !work->call.failed;
    }
    bool saves = is_saving(import) && !replica_turn_is_narrow(call->replica) &&
                 !import_is_unswept(import, erase_destroyed(replica_erase(call->replica)));
    uint64_t before = at.saved;
    while (good && saves && at.next < at.batches &&
           (at.saved == before || (at.saved - before < SLICE_ROWS && !replica_turn_is_full(call->replica)))) {
        good = save_batch(import, work, &at);
    }
    work_end(work, call);
    free(work);
    if (!good) {
        return false;
    }
    if (saves && at.next == at.batches) {
        at.state = IMPORT_DONE;
        log_event("import-done", "rows=%" PRIu64 " new=%" PRIu64 " changed=%" PRIu64, at.saved, at.fresh,
                  at.changed);
    }
    progress_write(&at, call->txn);
    import->at = at;
    return true;
}

/* --- for people --- */

void
call_import_status(struct call *call)
{
    static const char *const names[] = { "none", "open", "saving", "done" };
    struct import *import = call_import(call);

    import_load(import, call->replica);
    const struct progress *at = &import->at;
    bool stopped = at->state == IMPORT_SAVING && import->stopped;
    json_t *ok =
        json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "state", stopped ? "stopped" : names[at->state],
                  "source", at->source, "rows", (json_int_t)at->rows, "saved", (json_int_t)at->saved, "new",
                  (json_int_t)at->fresh, "changed", (json_int_t)at->changed, "same", (json_int_t)at->same,
                  "kept", (json_int_t)at->kept, "left", (json_int_t)at->left);

    if (ok != NULL && stopped) {
        (void)json_object_set_new(ok, "row", json_integer((json_int_t)import->stopped_row));
        (void)json_object_set_new(ok, "why", json_string(import->why));
        (void)json_object_set_new(ok, "hint", json_string(import->hint));
    }
    call_ok(call, ok);
}

void
call_import_resume(struct call *call)
{
    struct import *import = call_import(call);

    import_load(import, call->replica);
    if (import->at.state != IMPORT_SAVING) {
        call_fail(call, ERR_ABSENT, "vigil import csv begins one", "no import waits to be resumed");
        return;
    }
    import->stopped = false;
    import->not_before_ms = 0;
}

void
call_import_abandon(struct call *call)
{
    struct import *import = call_import(call);
    struct api *api = call_options(call)->api;

    import_load(import, call->replica);
    struct progress at = import->at;
    bool own = at.state == IMPORT_OPEN && (is_orphan(import, api) || import->client_no == call->client_no);
    if (at.state == IMPORT_NONE || at.state == IMPORT_DONE) {
        call_fail(call, ERR_ABSENT, "vigil import status shows what there is", "no import is on its way");
    } else if (at.state == IMPORT_OPEN && !own) {
        refuse_busy(call);
    } else if (at.state == IMPORT_SAVING && !import->stopped) {
        call_fail(call, ERR_BUSY, "wait until it is done",
                  "this import was decided, and its rows are becoming records");
    } else {
        drop_rows(import, call->txn);
        (void)table_delete(call->txn, TABLE_META, span_text(state_row));
        memset(&import->at, 0, sizeof import->at);
        log_event("import-abandoned", "rows=%" PRIu64 " saved=%" PRIu64, at.rows, at.saved);
        call_ok(call, json_pack("{s:I,s:I}", "rows", (json_int_t)at.rows, "saved", (json_int_t)at.saved));
    }
}
