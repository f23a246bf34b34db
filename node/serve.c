#include "node/call.h"
#include "node/json_memory.h"
#include "node/metrics.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "sync/erase.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WATCHES_MAX = 256,
    WATCH_PLACES_MAX = 256, /* told to one subscriber at a time */
    WATCH_WAIT_MS = 500,    /* how soon a watcher of peers hears of a change */
    WAIT_MS_MAX = 60 * 1000,
    SUSPECT_AHEAD_MS = 24 * 60 * 60 * 1000,
};

struct call_kind {
    const char *name;
    void (*run)(struct call *call);
    bool writes;
    bool
        shows; /* what records say: not from a replica that was restored and may hold what was erased since */
    bool frees; /* it deletes: on a full disk too */
};

static const struct call_kind kinds[] = {
    { "status", call_status, false, false, false },
    { "digest", call_digest, false, false, false },
    { "doctor", call_doctor, false, false, false },
    { "offices", call_offices, false, false, false },
    { "sync.status", call_sync_status, false, false, false },
    { "inspect.entry", call_inspect_entry, false, false, false },
    { "inspect.log", call_inspect_log, false, false, false },
    { "inspect.record", call_inspect_record, false, false, false },
    { "inspect.peer", call_inspect_peer, false, false, false },
    { "inspect.statement", call_inspect_statement, false, false, false },
    { "sync.now", call_sync_now, false, false, false },
    { "sync.watch", call_sync_watch, false, false, false },
    { "peer.add", call_peer_add, true, false, false },
    { "peer.list", call_peer_list, false, false, false },
    { "peer.remove", call_peer_remove, true, false, false },
    { "peer.set", call_peer_set, true, false, false },
    { "sync.budget", call_sync_budget, false, false, false },
    { "sync.lines", call_sync_lines, false, false, false },
    { "sync.fetch", call_sync_fetch, true, false, false },
    { "record.save", call_record_save, true, false, false },
    { "record.show", call_record_show, false, true, false },
    { "record.list", call_record_list, false, true, false },
    { "record.history", call_record_history, false, true, false },
    { "record.why", call_record_why, false, true, false },
    { "record.count", call_record_count, false, true, false },
    { "record.search", call_record_search, false, true, false },
    { "urgent.list", call_urgent_list, false, true, false },
    { "urgent.ack", call_urgent_ack, true, true, false },
    { "board", call_board, false, true, false },
    { "record.export", call_record_export, false, true, false },
    { "stats.tables", call_stats_tables, false, true, false },
    { "stats.table", call_stats_table, false, true, false },
    { "snapshot.draft", call_snapshot_draft, false, true, false },
    { "snapshot.make", call_snapshot_make, true, true, false },
    { "snapshot.list", call_snapshot_list, false, true, false },
    { "snapshot.show", call_snapshot_show, false, true, false },
    { "snapshot.verify", call_snapshot_verify, false, true, false },
    { "conflict.list", call_conflict_list, false, true, false },
    { "conflict.show", call_conflict_show, false, true, false },
    { "conflict.resolve", call_conflict_resolve, true, true, false },
    { "codebook.show", call_codebook_show, false, false, false },
    { "actor.list", call_actor_list, false, false, false },
    { "actor.add", call_actor_add, true, false, false },
    { "actor.change", call_actor_change, true, false, false },
    { "journal.watch", call_journal_watch, false, true, false },
    { "metrics", call_metrics, false, false, false },
    { "log.list", call_log_list, false, false, false },
    { "log.watch", call_log_watch, false, false, false },
    { "erase.plan", call_erase_plan, false, true, false },
    { "erase.order", call_erase_order, true, true, true },
    { "erase.list", call_erase_list, false, false, false },
    { "erase.report", call_erase_report, false, false, false },
    { "backup.make", call_backup_make, false, false, false },
    { "backup.accept", call_backup_accept, true, false, false },
    { "bundle.export", call_bundle_export, false, false, false },
    { "bundle.inspect", call_bundle_inspect, false, false, false },
    { "bundle.import", call_bundle_import, false, false, false },
    { "device.list", call_device_list, false, false, false },
    { "device.show", call_device_show, false, false, false },
    { "held.list", call_held_list, false, false, false },
    { "held.show", call_held_show, false, true, false },
    { "held.fetch", call_held_fetch, false, false, false },
    { "epoch.list", call_epoch_list, false, false, false },
    { "epoch.rotate", call_epoch_rotate, true, false, false },
    { "frontier.cut", call_frontier_cut, false, false, false },
    { "frontier.write", call_frontier_write, false, false, false },
    { "audit.list", call_audit_list, false, true, false },
    { "audit.verify", call_audit_verify, false, false, false },
    { "consent.show", call_consent_show, false, true, false },
    { "consent.withheld", call_consent_withheld, false, true, false },
    { "duplicate.list", call_duplicate_list, false, true, false },
    { "duplicate.link", call_duplicate_link, true, true, false },
    { "duplicate.unlink", call_duplicate_unlink, true, true, false },
    { "duplicate.reject", call_duplicate_reject, true, true, false },
    { "import.begin", call_import_begin, true, true, false },
    { "import.rows", call_import_rows, true, true, false },
    { "import.check", call_import_check, false, true, false },
    { "import.commit", call_import_commit, true, true, false },
    { "import.status", call_import_status, false, false, false },
    { "import.resume", call_import_resume, true, true, false },
    { "import.abandon", call_import_abandon, true, false, true },
    { "blob.add.begin", call_blob_add_begin, false, true, false },
    { "blob.add.bytes", call_blob_add_bytes, false, true, false },
    { "blob.add.end", call_blob_add_end, true, true, false },
    { "blob.list", call_blob_list, false, true, false },
    { "blob.get.begin", call_blob_get_begin, true, true, false },
    { "blob.get.bytes", call_blob_get_bytes, false, true, false },
    { "blob.want", call_blob_want, true, true, false },
    { "blob.evict", call_blob_evict, true, true, true },
    { "blob.verify", call_blob_verify, true, true, false },
    { "blob.status", call_blob_status, false, false, false },
};

/* A request that was taken over and is not answered yet. */
struct pending {
    struct api_request request;
    const struct call_kind *kind; /* NULL: no such call */
    bool ran;                     /* it wrote, or was refused for good; or it read, and that is to be noted */
    bool durable;                 /* its turn was committed */
    uint64_t destroyed;           /* erase_destroyed, when it ran last */
    struct call_kept kept;        /* of one that was put off */
    struct call call;             /* what came of it */
    struct pending *next;
};

enum watch_kind { WATCH_PEERS, WATCH_JOURNAL, WATCH_LOG };

struct watch {
    uint64_t client_no;
    int64_t id;
    enum watch_kind kind;
    uint64_t place; /* of a journal, or of the log: told up to here */
    enum log_level level;
    json_t *told; /* of peers: as they were told */
    bool ended;
};

struct serve {
    struct serve_options options;
    struct names *names;
    struct finding *finding;
    struct duplicate *duplicate;
    struct import *import;
    struct facts *facts;
    struct stats_cache stats;
    struct snapshot_draft *snapshot; /* NULL: none */
    struct pending *first;           /* in order of arrival */
    struct pending **last;
    struct watch watches[WATCHES_MAX];
    size_t watch_count;
    struct backup_watch backup;
    struct bundle_watch bundle;
    struct audit_place audit;
    struct exporting *exports;
    struct transfer *transfers;
    bool peers_changed;
    bool unready;       /* a request was run that has to be run again */
    uint64_t destroyed; /* erase_destroyed, when names were last sure to be of what is there */
};

struct serve *
serve_new(const struct serve_options *options)
{
    struct serve *serve = calloc(1, sizeof *serve);

    if (serve == NULL) {
        return NULL;
    }
    serve->options = *options;
    serve->last = &serve->first;
    serve->names = names_new();
    serve->finding =
        finding_new(&(struct finding_options){ options->directory, options->world, FINDING_IMAGE_TEXTS });
    serve->duplicate = duplicate_new(options->world);
    serve->import = import_new();
    serve->facts = facts_new();
    if (serve->names == NULL || serve->finding == NULL || serve->duplicate == NULL || serve->import == NULL ||
        serve->facts == NULL) {
        serve_free(&serve);
    }
    return serve;
}

static void
call_end(struct call *call)
{
    json_decref(call->ok);
    arena_free(&call->arena);
    memset(call, 0, sizeof *call);
}

static void
drop_kept(struct call_kept *kept)
{
    if (kept->state != NULL) {
        kept->free(kept->state);
    }
    *kept = (struct call_kept){ 0 };
}

static void
pending_free(struct pending *pending)
{
    call_end(&pending->call);
    drop_kept(&pending->kept);
    json_decref(pending->request.body);
    free(pending);
}

void
serve_free(struct serve **serve_in)
{
    struct serve *serve = *serve_in;

    if (serve == NULL) {
        return;
    }
    while (serve->first != NULL) {
        struct pending *pending = serve->first;

        serve->first = pending->next;
        pending_free(pending);
    }
    for (size_t n = 0; n < serve->watch_count; n++) {
        json_decref(serve->watches[n].told);
    }
    backup_task_close(&serve->backup.task);
    bundle_watch_close(&serve->bundle);
    exporting_free(&serve->exports);
    transfers_free(&serve->transfers);
    names_free(&serve->names);
    finding_free(&serve->finding);
    duplicate_free(&serve->duplicate);
    import_free(&serve->import);
    stats_cache_clear(&serve->stats);
    snapshot_draft_free(&serve->snapshot);
    facts_free(&serve->facts);
    free(serve);
    *serve_in = NULL;
}

const struct serve_options *
call_options(const struct call *call)
{
    return &call->serve->options;
}

struct finding *
call_finding(struct call *call)
{
    return call->serve->finding;
}

struct duplicate *
call_duplicate(struct call *call)
{
    return call->serve->duplicate;
}

struct import *
call_import(struct call *call)
{
    return call->serve->import;
}

struct exporting **
call_exports(struct call *call)
{
    return &call->serve->exports;
}

struct transfer **
call_transfers(struct call *call)
{
    return &call->serve->transfers;
}

struct facts *
call_facts(struct call *call)
{
    return call->serve->facts;
}

struct stats_cache *
call_stats(struct call *call)
{
    return &call->serve->stats;
}

struct snapshot_draft **
call_snapshot(struct call *call)
{
    return &call->serve->snapshot;
}

struct names *
call_names(const struct call *call)
{
    return call->serve->names;
}

struct audit_place *
call_audit_place(struct call *call)
{
    return &call->serve->audit;
}

struct backup_watch *
call_backup(struct call *call)
{
    return &call->serve->backup;
}

struct bundle_watch *
call_bundle(struct call *call)
{
    return &call->serve->bundle;
}

/* --- what a call says --- */

void
call_ok(struct call *call, json_t *ok)
{
    if (ok == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    } else if (call->failed) {
        json_decref(ok);
    } else {
        json_decref(call->ok);
        call->ok = ok;
    }
}

void
call_lacks(struct call *call, bool failed)
{
    call->arena.failed = call->arena.failed || failed;
}

/* A text that was cut may end within a character. */
static void
mend_utf8(char *text)
{
    size_t size = strlen(text);

    while (size > 0 && !utf8_valid(span_of(text, size))) {
        size--;
        text[size] = '\0';
    }
}

__attribute__((format(printf, 4, 0))) static void
fail(struct call *call, const char *code, const char *hint, const char *format, va_list args)
{
    if (call->failed) {
        return;
    }
    call->failed = true;
    call->code = code;
    (void)vsnprintf(call->message, sizeof call->message, format, args);
    (void)snprintf(call->hint, sizeof call->hint, "%s", hint);
    mend_utf8(call->message);
    mend_utf8(call->hint);
}

void
call_fail(struct call *call, enum err err, const char *hint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail(call, err_code(err), hint, format, args);
    va_end(args);
}

void
call_usage(struct call *call, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail(call, "usage", "node/API.md describes every call", format, args);
    va_end(args);
}

/* --- what a request says --- */

const char *
call_text(struct call *call, const char *name)
{
    const json_t *member = json_object_get(call->body, name);

    if (member != NULL && !json_is_null(member) && !json_is_string(member)) {
        call_usage(call, "\"%s\" is not text", name);
    }
    return json_string_value(member);
}

const char *
call_text_needed(struct call *call, const char *name)
{
    const char *text = call_text(call, name);

    if (text == NULL || text[0] == '\0') {
        call_usage(call, "the request has no \"%s\"", name);
        return NULL;
    }
    return text;
}

int64_t
call_number(struct call *call, const char *name, int64_t least, int64_t most, int64_t missing)
{
    const json_t *member = json_object_get(call->body, name);

    if (member == NULL || json_is_null(member)) {
        return missing;
    }
    if (!json_is_integer(member) || json_integer_value(member) < least || json_integer_value(member) > most) {
        call_usage(call, "\"%s\" is not a number from %" PRId64 " to %" PRId64, name, least, most);
        return missing;
    }
    return json_integer_value(member);
}

bool
call_flag(struct call *call, const char *name)
{
    const json_t *member = json_object_get(call->body, name);

    if (member != NULL && !json_is_null(member) && !json_is_boolean(member)) {
        call_usage(call, "\"%s\" is neither true nor false", name);
    }
    return json_is_true(member);
}

bool
call_named(struct call *call, const char *text, struct named *named_out)
{
    const struct names_source source = { call->txn, call->codebook, call->roster };
    enum err err = names_find(call->serve->names, &source, text, named_out);

    switch (err) {
    case ERR_OK:
        return true;
    case ERR_ABSENT:
        call_fail(call, err, "vigil case list shows what is here", "no record is called %.60s", text);
        break;
    case ERR_CONFLICT:
        call_fail(call, err, "name it by more digits of its id, which vigil --json case list shows",
                  "more than one record is called %.60s", text);
        break;
    case ERR_INVALID:
        call_fail(call, err, "a record is named by its number, or by at least 6 digits of its id",
                  "%.60s is not the name of a record", text);
        break;
    default:
        call_fail(call, err, "", "%s", err_text(err));
        break;
    }
    return false;
}

bool
call_record(struct call *call, struct named *named_out)
{
    const char *text = call_text_needed(call, "record");

    call->one_record = text != NULL && call_named(call, text, named_out);
    if (call->one_record) {
        call->record = named_out->record_id;
    }
    return call->one_record;
}

/* What a turn, or a replica that had to open itself again, may have moved. */
static void
call_refresh(struct call *call)
{
    call->roster = replica_roster(call->replica);
    call->codebook = NULL;
    call->own = NULL;
    if (call->roster == NULL) {
        return; /* it could not open itself again, and every transaction is refused */
    }
    call->codebook = replica_codebook(call->replica);
    call->own = roster_device(call->roster, &replica_identity(call->replica)->device_id);
}

void
call_pause(struct call *call)
{
    replica_end_read(call->replica, &call->txn);
}

bool
call_resume(struct call *call)
{
    enum err err = replica_begin_read(call->replica, &call->txn);

    call_refresh(call);
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
    }
    return err == ERR_OK;
}

void
call_later(struct call *call)
{
    assert(!replica_in_turn(call->replica));
    call->later = true;
}

/* A record that has to be made anew first is: that takes a turn, and between turns no reader may be open then. */
enum err
call_read(struct call *call, const struct named *named, struct replica_view *view_out)
{
    bool between = !replica_in_turn(call->replica);

    if (between) {
        call_pause(call);
    }
    enum err err =
        replica_read(call->replica, &named->compartment, &named->record_id, &call->arena, view_out);
    /* The call has failed where it cannot go on. */
    return !between || call_resume(call) ? err : ERR_IO;
}

bool
call_view(struct call *call, const struct named *named, struct replica_view *view_out)
{
    enum err err = call_read(call, named, view_out);

    if (call->failed) {
        return false;
    }
    if (err == ERR_ABSENT) {
        call_fail(call, err, "it is shown once the key of its compartment has arrived",
                  "nothing of this record can be read here yet");
    } else if (err != ERR_OK) {
        call_fail(call, err, err == ERR_CORRUPT ? "stop the node and run vigild verify" : "", "%s",
                  err_text(err));
    }
    return err == ERR_OK;
}

enum err
call_read_in_spite(struct call *call, const struct named *named, struct record_view **view_out)
{
    bool between = !replica_in_turn(call->replica);

    if (between) {
        call_pause(call);
    }
    enum err err =
        replica_read_in_spite(call->replica, &named->compartment, &named->record_id, &call->arena, view_out);
    return !between || call_resume(call) ? err : ERR_IO;
}

/* --- words that several calls give --- */

json_t *
device_json(const struct roster *roster, const struct hash *device_id)
{
    const struct roster_device *device = roster_author(roster, device_id);
    const char *office = device == NULL || device->office == NULL ? "" : device->office->code;

    return json_pack("{s:o,s:s,s:s}", "id", hex_json(hash_span(device_id)), "name",
                     device == NULL ? "" : device->name, "office", office);
}

json_t *
actor_json(const struct roster *roster, const struct hash *device_id, uint32_t number)
{
    const struct roster_device *device = roster_author(roster, device_id);
    const struct roster_actor *actor =
        device == NULL || device->office == NULL ? NULL : roster_actor(roster, device->office, number);

    if (number == 0) {
        return json_null();
    }
    return json_pack("{s:I,s:s}", "number", (json_int_t)number, "name", actor == NULL ? "" : actor->name);
}

const char *
kind_name(const struct codebook *codebook, uint32_t kind)
{
    const struct codebook_kind *found = codebook_kind(codebook, kind);

    return found == NULL ? "" : found->name;
}

const char *
office_name(const struct roster *roster, const struct ident *compartment)
{
    const struct roster_compartment *found = roster_compartment(roster, compartment);

    if (found == NULL) {
        return "";
    }
    return found->owner == NULL ? found->name : found->owner->code;
}

bool
stamp_is_suspect(const struct call *call, uint64_t hlc)
{
    return (hlc >> 16) > world_wall_ms(call->serve->options.world) + (uint64_t)SUSPECT_AHEAD_MS;
}

/* --- running --- */

static void
call_begin(struct serve *serve, struct call *call, const struct api_request *request, struct table_txn *txn)
{
    struct replica *replica = serve->options.replica;

    *call = (struct call){
        .serve = serve,
        .replica = replica,
        .txn = txn,
        .body = request->body,
        .client_no = request->client_no,
        .id = request->id,
        .level = LEVEL_L3,
    };
    call_refresh(call);
}

/* On a full disk nothing is written but what deletes. */
static void
refuse_full(struct call *call)
{
    call_fail(call, ERR_FULL, "nothing of it was kept: make room on the disk, then try again",
              "it could not be written: %s", err_text(ERR_FULL));
}

/* Nobody is shown what may have been erased since the backup was made. */
static void
refuse_restored(struct call *call)
{
    call_fail(call, ERR_LOCKED,
              "connect it, until it has compared with a peer, or import a bundle from one; if none can be "
              "reached: vigil backup accept",
              "this node was restored, and shows no record before it has heard what was erased "
              "since");
}

/* True if this device holds what offices write, and may read none of it. */
static bool
only_carries(const struct call *call)
{
    bool carries = false;

    for (size_t n = 0; call->own != NULL && n < roster_compartment_count(call->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(call->roster, n);

        /* What is organisation-wide takes no grant. */
        if (compartment->role != COMPARTMENT_CONTROL && compartment->role != COMPARTMENT_SHARED) {
            enum level level = roster_level(call->roster, call->own, &compartment->id);

            if (level >= LEVEL_READ) {
                return false;
            }
            carries |= level == LEVEL_CARRY;
        }
    }
    return carries;
}

/* True if the roles of who asks let them ask for this. Where no certificate of this device was ever here nothing is to be shown, and
 * nobody is asked. */
static bool
may_ask(struct call *call, const struct call_kind *kind)
{
    const struct roster_device *own =
        call->roster == NULL ? NULL
                             : roster_author(call->roster, &replica_identity(call->replica)->device_id);
    uint32_t roles = call_roles(call);
    bool allowed = own == NULL || call->failed || roles_allow(kind->name, roles);

    if (!allowed && kind->shows && only_carries(call)) {
        call_fail(call, ERR_DENIED,
                  "ask on a device that may read: of the office that wrote it, or of headquarters",
                  "this device carries what others wrote, and has no key to read any of it");
    } else if (!allowed) {
        char hint[CALL_MESSAGE_BYTES];

        (void)snprintf(hint, sizeof hint, "it takes the role %s; vigil actor list shows who has it",
                       roles_words(roles_of_call(kind->name)).text);
        call_fail(call, ERR_DENIED, hint, "%s is not for %s", kind->name,
                  roles == 0 ? "somebody who has left" : roles_words(roles).text);
    }
    return !call->failed;
}

/* A walk that could not be read to its end, and a list that lost an item, look like any other: an answer is whole, or it is refused. */
static void
check_whole(struct call *call)
{
    enum err err = replica_read_error(call->replica);

    if (err == ERR_OK && (json_memory_lacked() || call->arena.failed)) {
        err = ERR_MEMORY;
    }
    if (err != ERR_OK) {
        call->failed = false; /* that something is absent may be no more than that */
        call_fail(call, err, "nothing of it was kept: try again", "%s", err_text(err));
    }
}

static void
call_run(struct call *call, const struct call_kind *kind)
{
    (void)json_memory_lacked(); /* before this call is no matter of it */
    if (!may_ask(call, kind)) {
        return;
    }
    if (kind->shows && replica_is_restored(call->replica, NULL)) {
        refuse_restored(call);
    } else if (kind->writes && !kind->frees && replica_turn_is_narrow(call->replica)) {
        refuse_full(call);
    } else {
        kind->run(call);
    }
    if (call->later) {
        return;
    }
    if (!call->failed && call->ok == NULL && !call->subscribed) {
        call_ok(call, json_object());
    }
    if (!call->failed) {
        audit_gather(call);
    }
    if (!call->failed && kind->writes) {
        (void)audit_write(call);
    }
    check_whole(call);
}

/* In a transaction of the replica's choosing: the turn's, or one that reads. */
static void
run_in(struct serve *serve, struct pending *pending)
{
    struct table_txn *txn = NULL;
    uint64_t destroyed = erase_destroyed(replica_erase(serve->options.replica));
    enum err err = replica_begin_read(serve->options.replica, &txn);

    if (pending->destroyed != destroyed) {
        drop_kept(&pending->kept);
    }
    pending->destroyed = destroyed;
    call_begin(serve, &pending->call, &pending->request, txn);
    pending->call.kept = &pending->kept;
    if (err == ERR_OK) {
        call_run(&pending->call, pending->kind);
    } else {
        call_fail(&pending->call, err, "", "%s", err_text(err));
    }
    if (pending->call.txn != NULL) {
        replica_end_read(serve->options.replica, &pending->call.txn);
    }
    if (!pending->call.later || pending->call.failed) {
        drop_kept(&pending->kept);
    }
}

const char *
serve_call_name(size_t n)
{
    return n < sizeof kinds / sizeof kinds[0] ? kinds[n].name : NULL;
}

static const struct call_kind *
kind_of(const char *name)
{
    for (size_t n = 0; n < sizeof kinds / sizeof kinds[0]; n++) {
        if (strcmp(kinds[n].name, name) == 0) {
            return &kinds[n];
        }
    }
    return NULL;
}

static void
take_one(struct serve *serve, const struct api_request *request)
{
    struct pending *pending = calloc(1, sizeof *pending);

    if (pending == NULL) {
        struct api_request dropped = *request;

        api_refuse(serve->options.api, &dropped, err_code(ERR_MEMORY), err_text(ERR_MEMORY), "");
        json_decref(dropped.body);
        return;
    }
    pending->request = *request;
    pending->kind = kind_of(request->call);
    *serve->last = pending;
    serve->last = &pending->next;
}

static void
stop_watch(struct serve *serve, const struct api_request *request)
{
    json_int_t of = 0;

    (void)json_unpack(request->body, "{s:I}", "of", &of);
    for (size_t n = 0; n < serve->watch_count; n++) {
        if (serve->watches[n].client_no == request->client_no && serve->watches[n].id == of) {
            serve->watches[n].ended = true;
        }
    }
    if (serve->backup.client_no == request->client_no && serve->backup.id == of) {
        backup_task_close(&serve->backup.task);
    }
    if (serve->bundle.client_no == request->client_no && serve->bundle.id == of) {
        bundle_watch_close(&serve->bundle);
    }
}

void
serve_take(struct serve *serve)
{
    struct api_request request;

    while (api_next(serve->options.api, &request)) {
        take_one(serve, &request);
    }
}

static bool
is_write(const struct pending *pending)
{
    return pending->kind != NULL && pending->kind->writes && !pending->ran;
}

/* A read that was done, and is answered once it is noted. */
static bool
is_to_be_noted(const struct pending *pending)
{
    return pending->ran && !pending->kind->writes && pending->call.event_count > 0 && !pending->call.failed;
}

/* Rows that were decided to be records become so when nobody waits for something else, too. */
static bool
import_is_wanted(const struct serve *serve)
{
    struct replica *replica = serve->options.replica;

    if (replica_roster(replica) == NULL || replica_is_restored(replica, NULL)) {
        return false;
    }
    import_load(serve->import, replica);
    return import_is_due(serve->import, serve->options.api, erase_destroyed(replica_erase(replica)),
                         world_steady_ms(serve->options.world));
}

bool
serve_is_forgetting(const struct serve *serve)
{
    struct replica *replica = serve->options.replica;

    if (replica_roster(replica) == NULL || replica_is_restored(replica, NULL)) {
        return false; /* a backup holds no rows */
    }
    import_load(serve->import, replica);
    return import_is_unswept(serve->import, erase_destroyed(replica_erase(replica)));
}

/* That an export was left by its client is noted when nobody waits for something else, too. */
static bool
export_is_left(const struct serve *serve, bool all)
{
    return replica_roster(serve->options.replica) != NULL &&
           exporting_is_due(serve->exports, serve->options.api, world_steady_ms(serve->options.world), all);
}

/* Likewise what the node refused or noticed. */
static bool
is_to_note(const struct serve *serve, bool all)
{
    return replica_roster(serve->options.replica) != NULL && serve->options.security != NULL &&
           security_is_due(serve->options.security, all);
}

static void
security_ended(struct serve *serve, bool good)
{
    if (serve->options.security != NULL) {
        security_turn_ended(serve->options.security, good);
    }
}

bool
serve_has_writes(const struct serve *serve)
{
    for (const struct pending *pending = serve->first; pending != NULL; pending = pending->next) {
        if (is_write(pending) || is_to_be_noted(pending)) {
            return true;
        }
    }
    return import_is_wanted(serve) || export_is_left(serve, false) || is_to_note(serve, false) ||
           bundle_watch_wants_turn(&serve->bundle, world_steady_ms(serve->options.world));
}

/* What the writes of a turn that did not happen said is forgotten; those refused for good stay so. */
static void
forget_writes(struct serve *serve, const struct pending *spared)
{
    for (struct pending *pending = serve->first; pending != NULL; pending = pending->next) {
        if (pending != spared && pending->ran && !pending->durable && !pending->call.failed) {
            call_end(&pending->call);
            pending->ran = false;
        }
    }
    names_clear(serve->names);
    serve->audit.month[0] = '\0';
    import_forget(serve->import, 0);
    exporting_turn_ended(&serve->exports, false);
    security_ended(serve, false);
    serve->peers_changed = true;
}

/* Note what a read is about to show. */
static void
note_read(struct serve *serve, struct pending *pending)
{
    struct call *call = &pending->call;
    enum err err = replica_begin_read(serve->options.replica, &call->txn);

    call_refresh(call);
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return;
    }
    if (audit_write(call) && pending->kind->run == call_record_export) {
        exporting_noted(call);
    }
    replica_end_read(serve->options.replica, &call->txn);
}

static bool
note_exports(struct serve *serve, struct call *call, bool all)
{
    return exporting_step(serve->exports, call, serve->options.api, all);
}

static bool
note_security(struct serve *serve, struct call *call, bool all)
{
    return audit_write_security(call, serve->options.security, all);
}

/* Let the node note something of its own. False: the turn is to be begun again without that. */
static bool
note_own(struct serve *serve, bool all, bool (*note)(struct serve *serve, struct call *call, bool all))
{
    static const struct api_request nobody;
    const struct journal *journal = replica_journal(serve->options.replica);
    uint64_t before = journal_place_last(journal);
    struct table_txn *txn = NULL;
    struct call call;

    if (replica_begin_read(serve->options.replica, &txn) != ERR_OK) {
        return true;
    }
    call_begin(serve, &call, &nobody, txn);
    bool good = note(serve, &call, all);
    replica_end_read(serve->options.replica, &txn);
    call_end(&call);
    if (!good && journal_place_last(journal) != before) {
        forget_writes(serve, NULL);
        return false;
    }
    return true;
}

/* Note that exports were left, and what the node refused or noticed; `all`: the node ends. False: as note_own. */
static bool
step_notes(struct serve *serve, bool all)
{
    return (!export_is_left(serve, all) || note_own(serve, all, note_exports)) &&
           (!is_to_note(serve, all) || note_own(serve, all, note_security));
}

/* A slice of the import. False: a row was refused half-way, and the turn is to be begun again without it. */
static bool
step_import(struct serve *serve)
{
    static const struct api_request nobody;
    struct table_txn *txn = NULL;
    struct call call;

    if (!import_is_wanted(serve)) {
        return true;
    }
    /* What is erased is erased on a full disk, too. */
    if ((!serve_is_forgetting(serve) && replica_turn_is_narrow(serve->options.replica)) ||
        replica_begin_read(serve->options.replica, &txn) != ERR_OK) {
        import_forget(serve->import, world_steady_ms(serve->options.world) + IMPORT_RETRY_MS);
        return true;
    }
    call_begin(serve, &call, &nobody, txn);
    bool good = import_step(serve->import, &call, serve->options.api);
    replica_end_read(serve->options.replica, &txn);
    call_end(&call);
    if (!good) {
        forget_writes(serve, NULL);
    }
    return good;
}

bool
serve_write(struct serve *serve)
{
    const struct journal *journal = replica_journal(serve->options.replica);

    assert(replica_in_turn(serve->options.replica));
    for (struct pending *pending = serve->first; pending != NULL; pending = pending->next) {
        bool noted = is_to_be_noted(pending);
        if (!noted && !is_write(pending)) {
            continue;
        }
        uint64_t before = journal_place_last(journal);
        if (noted) {
            note_read(serve, pending);
        } else {
            run_in(serve, pending);
        }
        pending->ran = true;
        if (pending->call.failed && journal_place_last(journal) != before) {
            forget_writes(serve, pending);
            return false;
        }
    }
    if (!step_notes(serve, false) || !step_import(serve)) {
        return false;
    }
    /* Last: what it took in is counted once, and nothing after it gives the turn up. */
    if (bundle_watch_wants_turn(&serve->bundle, world_steady_ms(serve->options.world))) {
        bundle_watch_take(&serve->bundle);
    }
    return true;
}

bool
serve_has_last_words(const struct serve *serve)
{
    return export_is_left(serve, true) || is_to_note(serve, true);
}

bool
serve_stop(struct serve *serve)
{
    assert(replica_in_turn(serve->options.replica));
    return step_notes(serve, true);
}

void
serve_turn_ended(struct serve *serve, enum err err)
{
    exporting_turn_ended(&serve->exports, err == ERR_OK);
    security_ended(serve, err == ERR_OK);
    bundle_watch_turn_ended(&serve->bundle, err, world_steady_ms(serve->options.world));
    if (err == ERR_OK) {
        for (struct pending *pending = serve->first; pending != NULL; pending = pending->next) {
            pending->durable = pending->ran;
        }
        names_turn_ended(serve->names);
        import_turn_ended(serve->import);
        uint64_t destroyed = erase_destroyed(replica_erase(serve->options.replica));
        if (destroyed != serve->destroyed) {
            /* Of records that were erased no name is left in memory either, and their numbers may be given anew. */
            serve->destroyed = destroyed;
            names_clear(serve->names);
        }
        return;
    }
    for (struct pending *pending = serve->first; pending != NULL; pending = pending->next) {
        if (is_write(pending)) {
            call_begin(serve, &pending->call, &pending->request, NULL);
            pending->ran = true;
        }
        if (pending->ran && !pending->durable) {
            call_fail(&pending->call, err,
                      err == ERR_FULL ? "nothing of it was kept: make room on the disk, then try again"
                                      : "nothing of it was kept: try again",
                      "it could not be written: %s", err_text(err));
        }
    }
    names_clear(serve->names);
    serve->audit.month[0] = '\0';
    import_forget(serve->import, world_steady_ms(serve->options.world) + IMPORT_RETRY_MS);
    serve->peers_changed = true;
}

static json_t *
answer_json(struct call *call)
{
    if (call->failed) {
        return json_pack("{s:I,s:{s:s,s:s,s:s}}", "id", (json_int_t)call->id, "error", "code", call->code,
                         "message", call->message, "hint", call->hint);
    }
    json_t *answer = json_pack("{s:I,s:O}", "id", (json_int_t)call->id, "ok", call->ok);
    return answer;
}

/* Read, unless that was done. False: what it shows is to be noted first, or it was not ready. */
static bool
read_one(struct serve *serve, struct pending *pending)
{
    uint64_t destroyed = erase_destroyed(replica_erase(serve->options.replica));

    if (pending->kind == NULL || pending->kind->writes) {
        return true;
    }
    if (pending->ran && !pending->call.failed && pending->destroyed != destroyed) {
        /* What it read may have been erased in the turn that noted it. */
        call_end(&pending->call);
        pending->ran = false;
        pending->durable = false;
    }
    if (!pending->ran) {
        run_in(serve, pending);
        if (pending->call.later && !pending->call.failed) {
            call_end(&pending->call);
            serve->unready = true;
            return false;
        }
        pending->ran = pending->call.event_count > 0 && !pending->call.failed;
    }
    return !is_to_be_noted(pending);
}

static void
answer_one(struct serve *serve, struct pending *pending)
{
    struct api *api = serve->options.api;
    struct call *call = &pending->call;

    if (pending->kind != NULL) {
        log_event("request-done", "call=%s code=%s", pending->kind->name, call->failed ? call->code : "ok");
    }

    if (strcmp(pending->request.call, "stop") == 0) {
        stop_watch(serve, &pending->request);
        api_answer(api, &pending->request, json_object());
        return;
    }
    if (pending->kind == NULL) {
        char message[CALL_MESSAGE_BYTES];

        (void)snprintf(message, sizeof message, "there is no call \"%.60s\"", pending->request.call);
        mend_utf8(message);
        api_refuse(api, &pending->request, "unknown", message, "node/API.md lists every call");
        return;
    }
    if (call->failed) {
        api_refuse(api, &pending->request, call->code, call->message, call->hint);
    } else if (call->subscribed) {
        api_subscribed(api, &pending->request);
    } else {
        api_answer(api, &pending->request, call->ok);
        call->ok = NULL;
    }
}

static void tell_watches(struct serve *serve);

void
serve_answer(struct serve *serve)
{
    struct pending **at = &serve->first;
    uint64_t full[API_CLIENTS_MAX];
    size_t full_count = 0;

    serve->unready = false;
    transfers_sweep(&serve->transfers, serve->options.api);
    while (*at != NULL) {
        struct pending *pending = *at;
        bool waits = !api_has_room(serve->options.api, pending->request.client_no);

        for (size_t n = 0; n < full_count && !waits; n++) {
            waits = full[n] == pending->request.client_no;
        }
        if (pending->kept.state != NULL && !api_is_heard(serve->options.api, pending->request.client_no)) {
            drop_kept(&pending->kept);
            call_fail(&pending->call, ERR_ABSENT, "", "whoever asked has left");
            waits = false;
        } else {
            waits = waits || !read_one(serve, pending);
        }
        if (waits) {
            if (full_count < API_CLIENTS_MAX) {
                full[full_count] = pending->request.client_no;
                full_count++;
            }
            at = &pending->next;
            continue;
        }
        answer_one(serve, pending);
        *at = pending->next;
        if (pending->next == NULL) {
            serve->last = at;
        }
        pending_free(pending);
    }
    tell_watches(serve);
}

bool
serve_peers_changed(struct serve *serve)
{
    bool changed = serve->peers_changed;

    serve->peers_changed = false;
    return changed;
}

void
call_peers_changed(struct call *call)
{
    call->serve->peers_changed = true;
}

json_t *
serve_one(struct serve *serve, json_t *body)
{
    const char *name = json_string_value(json_object_get(body, "do"));
    json_int_t id = json_integer_value(json_object_get(body, "id"));
    struct pending pending = { .request = { .body = body, .call = name == NULL ? "" : name, .id = id } };

    pending.kind = kind_of(pending.request.call);
    if (pending.kind == NULL) {
        json_decref(body);
        return json_pack("{s:I,s:{s:s}}", "id", id, "error", "code", "unknown");
    }
    if (pending.kind->writes) {
        enum err err = replica_begin(serve->options.replica);

        if (err == ERR_OK) {
            run_in(serve, &pending);
            if (pending.call.failed) {
                err = replica_abort(serve->options.replica);
                names_clear(serve->names);
                import_forget(serve->import, 0);
            } else {
                err = replica_commit(serve->options.replica);
                names_turn_ended(serve->names);
            }
        }
        if (err != ERR_OK) {
            call_fail(&pending.call, err, "", "%s", err_text(err));
        }
    } else {
        run_in(serve, &pending);
        while (pending.call.later && !pending.call.failed) {
            call_end(&pending.call);
            run_in(serve, &pending);
        }
        if (!pending.call.failed && pending.call.event_count > 0) {
            enum err err = replica_begin(serve->options.replica);

            if (err == ERR_OK) {
                note_read(serve, &pending);
                bool noted = !pending.call.failed;
                err = noted ? replica_commit(serve->options.replica) : replica_abort(serve->options.replica);
                exporting_turn_ended(&serve->exports, noted && err == ERR_OK);
            }
            if (err != ERR_OK) {
                call_fail(&pending.call, err, "", "%s", err_text(err));
            }
        }
    }
    pending.call.id = id;
    json_t *answer = answer_json(&pending.call);
    call_end(&pending.call);
    json_decref(body);
    return answer;
}

/* --- subscriptions --- */

static struct watch *
add_watch(struct call *call)
{
    struct serve *serve = call->serve;

    if (serve->watch_count == WATCHES_MAX) {
        call_fail(call, ERR_FULL, "stop one of them", "%d subscriptions are open, and no more can be",
                  WATCHES_MAX);
        return NULL;
    }
    struct watch *watch = &serve->watches[serve->watch_count];
    serve->watch_count++;
    *watch = (struct watch){ .client_no = call->client_no, .id = call->id };
    call->subscribed = true;
    return watch;
}

void
call_watch_peers(struct call *call)
{
    (void)add_watch(call);
}

void
call_watch_journal(struct call *call, uint64_t after)
{
    struct watch *watch = add_watch(call);

    if (watch != NULL) {
        watch->kind = WATCH_JOURNAL;
        watch->place = after;
    }
}

void
call_watch_events(struct call *call, uint64_t after, enum log_level level)
{
    struct watch *watch = add_watch(call);

    if (watch != NULL) {
        watch->kind = WATCH_LOG;
        watch->place = after;
        watch->level = level;
    }
}

static void
tell_event(struct serve *serve, struct watch *watch, json_t *event)
{
    if (event != NULL && !api_event(serve->options.api, watch->client_no, watch->id, event)) {
        watch->ended = true;
    }
}

static void
tell_peers(struct serve *serve, struct watch *watch, json_t *peers)
{
    size_t index;
    json_t *peer;

    json_array_foreach(peers, index, peer)
    {
        if (!json_equal(peer, json_array_get(watch->told, index))) {
            tell_event(serve, watch, json_incref(peer));
        }
    }
    json_decref(watch->told);
    watch->told = json_incref(peers);
}

static void
tell_places(struct serve *serve, struct watch *watch, struct call *call)
{
    uint64_t last = journal_place_last(replica_journal(serve->options.replica));

    for (int n = 0; n < WATCH_PLACES_MAX && watch->place < last && !watch->ended &&
                    api_has_room(serve->options.api, watch->client_no);
         n++) {
        (void)json_memory_lacked(); /* before this place is no matter of it */
        json_t *event = place_json(call, watch->place + 1);
        if (json_memory_lacked() || call->arena.failed) {
            /* Nobody would miss what was left out: it is told in a later turn, whole. */
            json_decref(event);
            arena_reset(&call->arena);
            break;
        }
        watch->place++;
        tell_event(serve, watch, event);
    }
}

/* What is no longer kept when there is room for it is left out. */
static void
tell_log(struct serve *serve, struct watch *watch)
{
    const struct recent *recent = serve->options.recent;

    for (int n = 0; recent != NULL && n < WATCH_PLACES_MAX && watch->place < recent_last(recent) &&
                    !watch->ended && api_has_room(serve->options.api, watch->client_no);
         n++) {
        watch->place++;
        const struct recent_event *event = recent_at(recent, watch->place);
        if (event == NULL && recent_last(recent) > RECENT_EVENTS) {
            watch->place = recent_last(recent) - RECENT_EVENTS;
        } else if (event != NULL && event->level <= watch->level) {
            tell_event(serve, watch, event_json(event));
        }
    }
}

static bool
is_behind(const struct serve *serve, const struct watch *watch)
{
    if (watch->kind == WATCH_LOG) {
        return serve->options.recent != NULL && watch->place < recent_last(serve->options.recent);
    }
    return watch->kind == WATCH_JOURNAL &&
           watch->place < journal_place_last(replica_journal(serve->options.replica));
}

static void
tell_watches(struct serve *serve)
{
    static const struct api_request nobody;
    struct table_txn *txn = NULL;
    struct call call;
    size_t kept = 0;

    if (serve->watch_count == 0 || replica_begin_read(serve->options.replica, &txn) != ERR_OK) {
        return;
    }
    call_begin(serve, &call, &nobody, txn);
    json_t *peers = peers_json(&call);
    for (size_t n = 0; n < serve->watch_count; n++) {
        struct watch *watch = &serve->watches[n];

        if (watch->kind == WATCH_JOURNAL) {
            tell_places(serve, watch, &call);
        } else if (watch->kind == WATCH_LOG) {
            tell_log(serve, watch);
        } else if (peers != NULL && api_has_room(serve->options.api, watch->client_no)) {
            tell_peers(serve, watch, peers);
        }
        if (!api_has_client(serve->options.api, watch->client_no)) {
            watch->ended = true;
        }
        if (watch->ended) {
            json_decref(watch->told);
        } else {
            serve->watches[kept] = *watch;
            kept++;
        }
    }
    serve->watch_count = kept;
    json_decref(peers);
    call_end(&call);
    replica_end_read(serve->options.replica, &txn);
}

uint64_t
serve_wait_ms(const struct serve *serve)
{
    struct replica *replica = serve->options.replica;
    uint64_t wait = serve->backup.task != NULL || serve->unready || serve_has_writes(serve) ? 0 : WAIT_MS_MAX;

    if (bundle_watch_is_on(&serve->bundle) &&
        serve->bundle.not_before_ms <= world_steady_ms(serve->options.world)) {
        wait = 0;
    }

    if (replica_roster(replica) != NULL) {
        uint64_t now_ms = world_steady_ms(serve->options.world);
        uint64_t due_ms = finding_due_ms(serve->finding, replica, now_ms);
        uint64_t compare_ms = duplicate_due_ms(serve->duplicate, replica, now_ms);
        uint64_t counted_ms = facts_due_ms(serve->facts, replica, now_ms);

        due_ms = finding_keep_is_due(serve->finding, replica, now_ms) ? now_ms : due_ms;
        due_ms = due_ms < counted_ms ? due_ms : counted_ms;
        due_ms = due_ms < compare_ms ? due_ms : compare_ms;
        due_ms = due_ms > now_ms ? due_ms - now_ms : 0;
        wait = wait < due_ms ? wait : due_ms;
        wait = import_wait_ms(serve->import, serve->options.api, erase_destroyed(replica_erase(replica)),
                              now_ms, wait);
    }
    for (size_t n = 0; n < serve->watch_count; n++) {
        const struct watch *watch = &serve->watches[n];

        if (watch->kind == WATCH_PEERS) {
            wait = wait < WATCH_WAIT_MS ? wait : WATCH_WAIT_MS;
        } else if (is_behind(serve, watch) && api_has_room(serve->options.api, watch->client_no)) {
            wait = 0;
        }
    }
    return wait;
}

/* A slice of the backup that is being taken. */
static bool
work_on_backup(struct serve *serve)
{
    static const struct api_request nobody;
    struct api *api = serve->options.api;
    struct call call;

    if (serve->backup.task == NULL) {
        return false;
    }
    /* Nobody waits for it any more. */
    if (api != NULL && !api_has_client(api, serve->backup.client_no)) {
        backup_task_close(&serve->backup.task);
        return false;
    }
    call_begin(serve, &call, &nobody, NULL);
    bool more = backup_watch_step(&serve->backup, &call, api, world_steady_ms(serve->options.world));
    call_end(&call);
    return more;
}

/* A slice of the bundle that is written, or of one that is read and wants no turn. */
static bool
work_on_bundle(struct serve *serve)
{
    static const struct api_request nobody;
    struct api *api = serve->options.api;
    struct call call;

    if (!bundle_watch_is_on(&serve->bundle) || replica_roster(serve->options.replica) == NULL) {
        return false;
    }
    if (api != NULL && !api_has_client(api, serve->bundle.client_no)) {
        bundle_watch_close(&serve->bundle);
        return false;
    }
    call_begin(serve, &call, &nobody, NULL);
    bool more = bundle_watch_step(&serve->bundle, &call, api, world_steady_ms(serve->options.world));
    call_end(&call);
    return more;
}

bool
serve_work(struct serve *serve)
{
    struct replica *replica = serve->options.replica;
    uint64_t now_ms = world_steady_ms(serve->options.world);

    if (replica_roster(replica) != NULL && finding_due_ms(serve->finding, replica, now_ms) <= now_ms) {
        enum err err = finding_read(serve->finding, replica, now_ms);
        if (err != ERR_OK && err != ERR_ABSENT) {
            log_event("search-behind", "err=%s", err_code(err)); /* it is tried again later */
        }
    } else if (replica_roster(replica) != NULL && finding_keep_is_due(serve->finding, replica, now_ms)) {
        finding_keep(serve->finding, replica, now_ms);
    }
    if (replica_roster(replica) != NULL && duplicate_due_ms(serve->duplicate, replica, now_ms) <= now_ms) {
        enum err err = duplicate_read(serve->duplicate, replica, now_ms);
        if (err != ERR_OK && err != ERR_ABSENT) {
            log_event("duplicates-behind", "err=%s", err_code(err)); /* likewise */
        }
    }
    if (replica_roster(replica) != NULL && facts_due_ms(serve->facts, replica, now_ms) <= now_ms) {
        enum err err = facts_read(serve->facts, replica, now_ms);
        if (err != ERR_OK && err != ERR_ABSENT) {
            log_event("counting-behind", "err=%s", err_code(err)); /* likewise */
        }
    }
    bool more = work_on_bundle(serve);
    return work_on_backup(serve) || more;
}

bool
serve_metrics(struct serve *serve, struct buf *out)
{
    static const struct api_request nobody;
    struct metrics metrics = { .out = *out };
    struct table_txn *txn = NULL;
    struct call call;

    if (replica_roster(serve->options.replica) == NULL ||
        replica_begin_read(serve->options.replica, &txn) != ERR_OK) {
        return false;
    }
    call_begin(serve, &call, &nobody, txn);
    bool good = metrics_put_all(&call, &metrics);
    *out = metrics.out;
    call_end(&call);
    replica_end_read(serve->options.replica, &txn);
    return good;
}

void
serve_follow_peers(struct serve *serve)
{
    static const struct api_request nobody;
    struct call call;

    if (replica_roster(serve->options.replica) != NULL) {
        call_begin(serve, &call, &nobody, NULL);
        peers_follow_complete(&call);
        call_end(&call);
    }
}

void
serve_forget(struct serve *serve)
{
    enum err err = finding_forget_image(serve->finding);

    transfers_forget(&serve->transfers);

    if (err != ERR_OK) {
        /* It does not open any more once keys/ is rewritten. */
        log_event("search-image-stays", "err=%s", err_code(err));
    }
}
