/* serve_bundle.c - bundles of the running node: written for others, looked at, and taken in. */
#include "node/call.h"

#include "node/bundle.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "sync/gossip.h"
#include "sync/restore.h"

#include <stdio.h>
#include <string.h>

enum { TELL_MS = 1000, RETRY_MS = 5000, LOST_MAX = 3, SHARED_ROOM = 1 };

static const char *const contents[] = {
    [BUNDLE_ALL] = "all", [BUNDLE_LACKING] = "lacking", [BUNDLE_RECEIPTS] = "receipts"
};

static const char *const file_modes[] = {
    [BUNDLE_FILES_NONE] = "none", [BUNDLE_FILES_WANTED] = "wanted", [BUNDLE_FILES_ALL] = "all"
};

/* --- bundle.export --- */

struct destinations {
    struct hash ids[BUNDLE_DESTINATIONS_MAX];
    size_t count;
};

static bool
add_destination(struct call *call, struct destinations *to, const struct roster_device *device)
{
    if (to->count == BUNDLE_DESTINATIONS_MAX) {
        call_fail(call, ERR_FULL, "write several bundles", "a bundle opens for at most %d devices",
                  BUNDLE_DESTINATIONS_MAX);
        return false;
    }
    to->ids[to->count] = device->device_id;
    to->count++;
    return true;
}

/* The devices of an office with which this one shares something: not those whose certificate is over. */
static void
add_office(struct call *call, struct destinations *to, const struct roster_office *office)
{
    const struct gossip_store *store = replica_gossip_store(call->replica);
    const struct hash *own = &replica_identity(call->replica)->device_id;
    size_t before = to->count;
    struct ident shared[SHARED_ROOM];

    for (size_t n = 0; n < roster_device_count(call->roster) && !call->failed; n++) {
        const struct roster_device *device = roster_device_at(call->roster, n);

        if (device->office != NULL &&
            memcmp(device->office->office_pk, office->office_pk, SIGN_PK_BYTES) == 0 &&
            !hash_equal(&device->device_id, own) &&
            store->shared(store->self, &device->device_id, shared, SHARED_ROOM) > 0) {
            (void)add_destination(call, to, device);
        }
    }
    if (to->count == before && !call->failed) {
        call_fail(call, ERR_ABSENT, "vigil device list shows the devices of each office",
                  "no other device of the office %s shares anything with this one", office->code);
    }
}

static bool
read_destinations(struct call *call, struct destinations *to)
{
    const json_t *list = json_object_get(call->body, "to");
    size_t index;
    json_t *item;

    *to = (struct destinations){ .count = 0 };
    if (!json_is_array(list) || json_array_size(list) == 0) {
        call_usage(call, "\"to\" is no list of devices and offices");
        return false;
    }
    json_array_foreach(list, index, item)
    {
        const char *text = json_string_value(item);

        if (text == NULL) {
            call_usage(call, "\"to\" is no list of devices and offices");
            return false;
        }
        const struct roster_office *office = roster_office_by_code(call->roster, text);
        if (office != NULL) {
            add_office(call, to, office);
        } else {
            const struct roster_device *device = call_peer_device(call, text);

            if (device != NULL) {
                (void)add_destination(call, to, device);
            }
        }
        if (call->failed) {
            return false;
        }
    }
    return true;
}

static bool
read_content(struct call *call, enum bundle_content *content_out)
{
    const char *text = call_text(call, "content");

    *content_out = BUNDLE_LACKING;
    for (int n = BUNDLE_ALL; text != NULL && n <= BUNDLE_RECEIPTS; n++) {
        if (strcmp(text, contents[n]) == 0) {
            *content_out = (enum bundle_content)n;
            return true;
        }
    }
    if (text != NULL) {
        call_usage(call, "\"content\" is none of all, lacking, receipts");
    }
    return !call->failed;
}

/* Which files go along: what was asked for and what is small, unless it is said otherwise. */
static bool
read_files_mode(struct call *call, enum bundle_content content, enum bundle_files *files_out)
{
    const char *text = call_text(call, "evidence");

    *files_out = content == BUNDLE_RECEIPTS ? BUNDLE_FILES_NONE : BUNDLE_FILES_WANTED;
    for (int n = BUNDLE_FILES_NONE; text != NULL && n <= BUNDLE_FILES_ALL; n++) {
        if (strcmp(text, file_modes[n]) == 0) {
            if (content == BUNDLE_RECEIPTS && n != BUNDLE_FILES_NONE) {
                call_usage(call, "with \"content\":\"receipts\" no files go along");
            }
            *files_out = (enum bundle_files)n;
            return !call->failed;
        }
    }
    if (text != NULL) {
        call_usage(call, "\"evidence\" is none of none, wanted, all");
    }
    return !call->failed;
}

/* One at a time: they share the disk, and a person who watches. */
static bool
begin_watch(struct call *call, struct bundle_watch *watch)
{
    if (watch->write != NULL || watch->read != NULL) {
        call_fail(call, ERR_BUSY, "wait for it, or end the vigil bundle that asked for it",
                  "another bundle is being written or read");
        return false;
    }
    *watch =
        (struct bundle_watch){ .options = call_options(call), .client_no = call->client_no, .id = call->id };
    return true;
}

void
call_bundle_export(struct call *call)
{
    struct bundle_watch *watch = call_bundle(call);
    const char *path = call_text_needed(call, "path");
    int64_t size = call_number(call, "size", BUNDLE_VOLUME_BYTES_MIN, INT64_MAX, BUNDLE_VOLUME_BYTES_DEFAULT);
    struct destinations to;
    struct bundle_export_options options = { .volume_bytes = (uint64_t)size };
    struct setup_fault fault;
    size_t place = 0;

    if (call->failed || !read_content(call, &options.content) ||
        !read_files_mode(call, options.content, &options.files) || !read_destinations(call, &to)) {
        return;
    }
    if (path[0] != '/' || strlen(path) >= BACKUP_PATH_BYTES) {
        call_usage(call, "\"path\" is no absolute path of less than %d bytes", BACKUP_PATH_BYTES);
        return;
    }
    if (!begin_watch(call, watch)) {
        return;
    }
    options.destinations = to.ids;
    options.destination_count = to.count;
    if (!bundle_write_begin(&watch->write, call->replica, path, &options, &place, &fault)) {
        call_fail(call, fault.err, fault.todo, "%s: %s", fault.what, fault.why);
        return;
    }
    call->subscribed = true;
}

/* --- bundle.inspect, bundle.import --- */

/* The one door, and gossip hears of it. */
static void
take(void *self, const struct hash *exporter, const struct gossip_log *log, struct span chunk,
     struct taken *taken_out)
{
    const struct bundle_watch *watch = self;
    const struct serve_options *options = watch->options;
    const struct gossip_store *store = replica_gossip_store(options->replica);

    store->take(store->self, exporter, log, chunk, taken_out);
    if (taken_out->verdict == VERDICT_TAKEN) {
        gossip_changed(options->gossip, &log->descriptor.compartment, &log->log_id,
                       world_steady_ms(options->world));
    }
}

static bool
is_full(void *self)
{
    const struct bundle_watch *watch = self;

    return replica_turn_is_full(watch->options->replica);
}

static bool
take_have(void *self, const struct hash *device_id, const struct ident *compartment,
          const struct blob_have_item *item)
{
    const struct bundle_watch *watch = self;

    return parcel_take_have(watch->options->replica, device_id, compartment, item);
}

static enum parcel_verdict
take_file(void *self, const struct ident *compartment, const struct blob_part *part)
{
    const struct bundle_watch *watch = self;

    return parcel_take_carried(watch->options->replica, compartment, part);
}

static void
begin_read(struct call *call, bool inspect)
{
    struct bundle_watch *watch = call_bundle(call);
    const json_t *list = json_object_get(call->body, "files");
    const char *paths[BUNDLE_FILES_MAX];
    const struct bundle_sink sink = { watch, take, is_full, take_have, take_file };
    struct setup_fault fault;
    size_t count = 0;
    size_t index;
    json_t *item;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > BUNDLE_FILES_MAX) {
        call_usage(call, "\"files\" is no list of 1 to %d paths", BUNDLE_FILES_MAX);
        return;
    }
    json_array_foreach(list, index, item)
    {
        const char *path = json_string_value(item);

        if (path == NULL || path[0] != '/') {
            call_usage(call, "\"files\" holds something that is no absolute path");
            return;
        }
        paths[count] = path;
        count++;
    }
    if (!begin_watch(call, watch)) {
        return;
    }
    watch->inspect = inspect;
    if (!bundle_read_begin(&watch->read, call->replica, paths, count, inspect ? NULL : &sink, &fault)) {
        call_fail(call, fault.err, fault.todo, "%s: %s", fault.what, fault.why);
        return;
    }
    call->subscribed = true;
}

void
call_bundle_inspect(struct call *call)
{
    begin_read(call, true);
}

void
call_bundle_import(struct call *call)
{
    begin_read(call, false);
}

/* --- events --- */

static json_t *
compartment_json(const struct roster *roster, const struct ident *id)
{
    const struct roster_compartment *compartment = roster_compartment(roster, id);

    return json_string(compartment == NULL ? "" : compartment->name);
}

static json_t *
written_json(const struct call *call, const struct bundle_write *write)
{
    const struct bundle_manifest *manifest = bundle_write_manifest(write);
    struct bundle_progress progress = bundle_write_progress(write);
    json_t *files = json_array();
    json_t *to = json_array();
    json_t *names = json_array();
    char path[BACKUP_PATH_BYTES + 8];

    for (uint32_t volume = 1; volume <= progress.volume; volume++) {
        bundle_write_path(write, volume, path);
        (void)json_array_append_new(files, json_string(path));
    }
    for (size_t n = 0; n < manifest->destination_count; n++) {
        (void)json_array_append_new(to, device_json(call->roster, &manifest->destinations[n]));
    }
    for (size_t n = 0; n < manifest->compartment_count; n++) {
        (void)json_array_append_new(names, compartment_json(call->roster, &manifest->compartments[n].id));
    }
    return json_pack("{s:s,s:o,s:o,s:o,s:s,s:o,s:o,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I}}", "stage", "done",
                     "files", files, "bundle", hex_json(ident_span(&manifest->bundle_id)), "made",
                     time_json(manifest->made_ms), "content", contents[manifest->content], "to", to,
                     "compartments", names, "entries", (json_int_t)progress.done, "lost",
                     (json_int_t)progress.lost, "bytes", (json_int_t)progress.bytes, "evidence", "files",
                     (json_int_t)progress.files, "bytes", (json_int_t)progress.file_bytes, "left_out",
                     (json_int_t)progress.files_left, "lost", (json_int_t)progress.file_chunks_lost);
}

static json_t *
file_json(const struct call *call, struct bundle_read *read, size_t n)
{
    static const char *const states[] = { "unread", "good", "locked", "none", "foreign", "failed" };
    static const char *const makers[] = { "unknown", "member", "revoked", "forged" };
    const struct bundle_file *file = bundle_import_file(bundle_read_import(read), n);
    const struct bundle_reading *reading = &file->reading;
    bool good = file->state == BUNDLE_FILE_GOOD || file->state == BUNDLE_FILE_FAILED;
    bool told = file->maker == BUNDLE_MAKER_MEMBER || file->maker == BUNDLE_MAKER_REVOKED;
    bool named = told && roster_author(call->roster, &file->exporter) != NULL;

    return json_pack(
        "{s:s,s:s,s:o,s:o,s:I,s:b,s:b,s:s,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "path",
        bundle_read_path(read, n), "state", states[file->state], "error",
        file->state == BUNDLE_FILE_FAILED ? json_string(err_code(file->err)) : json_null(), "bundle",
        good ? hex_json(ident_span(&file->bundle_id)) : json_null(), "volume", (json_int_t)file->volume,
        "last", file->last, "whole", file->whole, "maker", makers[file->maker], "device",
        named ? device_json(call->roster, &file->exporter) : json_null(), "made",
        told ? time_json(file->made_ms) : json_null(), "content",
        told ? json_string(contents[file->content]) : json_null(), "destinations",
        (json_int_t)file->destination_count, "entries", (json_int_t)file->entries, "bytes",
        (json_int_t)reading->bytes, "damaged_bytes", (json_int_t)reading->damaged_bytes, "damaged_places",
        (json_int_t)reading->damaged_places, "locked_bytes", (json_int_t)reading->locked_bytes,
        "unreadable_bytes", (json_int_t)bundle_read_lost(read, n), "file_bytes", (json_int_t)file->file_bytes,
        "unknown_parts", (json_int_t)file->parts_unknown);
}

/* What was not taken, by why. */
static json_t *
refused_json(const struct bundle_counts *counts)
{
    json_t *refused = json_object();

    for (int n = LATER_GAP; n < LATER_COUNT; n++) {
        if (counts->later[n] > 0) {
            (void)json_object_set_new(refused, later_text((enum later)n),
                                      json_integer((json_int_t)counts->later[n]));
        }
    }
    const uint64_t others[] = { counts->forked, counts->malformed, counts->forged };
    const enum verdict verdicts[] = { VERDICT_FORK, VERDICT_MALFORMED, VERDICT_FORGED };
    for (size_t n = 0; n < 3; n++) {
        if (others[n] > 0) {
            (void)json_object_set_new(refused, verdict_text(verdicts[n]),
                                      json_integer((json_int_t)others[n]));
        }
    }
    return refused;
}

static json_t *
standing_json(const struct call *call, struct bundle_import *import)
{
    const struct bundle_standing *standing = NULL;
    json_t *list = json_array();
    size_t count = 0;

    if (bundle_import_standing(import, &standing, &count) != ERR_OK) {
        json_decref(list);
        return json_null();
    }
    for (size_t n = 0; n < count; n++) {
        (void)json_array_append_new(list,
                                    json_pack("{s:o,s:o,s:b,s:I}", "name",
                                              compartment_json(call->roster, &standing[n].compartment), "id",
                                              hex_json(ident_span(&standing[n].compartment)), "equal",
                                              standing[n].equal, "missing", (json_int_t)standing[n].missing));
    }
    return list;
}

/* What became of parts of files, and how the files stand now; null: the tables do not say. */
static json_t *
evidence_json(struct bundle_import *import, const struct bundle_file_counts *counts)
{
    struct bundle_files_here here;

    if (bundle_import_files_here(import, &here) != ERR_OK) {
        return json_null();
    }
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "new", (json_int_t)counts->taken, "held",
                     (json_int_t)counts->held, "refused", (json_int_t)counts->refused, "waiting",
                     (json_int_t)counts->waiting, "unwanted", (json_int_t)counts->unwanted, "full",
                     (json_int_t)counts->full, "whole", (json_int_t)here.whole, "partly",
                     (json_int_t)here.partly, "missing", (json_int_t)here.chunks_missing);
}

static json_t *
read_json(const struct call *call, const struct bundle_watch *watch)
{
    static const char *const contacts[] = { "unknown", "lacks", "old", "counts" };
    struct bundle_read *read = watch->read;
    struct bundle_import *import = bundle_read_import(read);
    struct bundle_counts counts = bundle_import_counts(import);
    json_t *files = json_array();

    for (size_t n = 0; n < bundle_read_count(read); n++) {
        (void)json_array_append_new(files, file_json(call, read, n));
    }
    return json_pack("{s:s,s:o,s:I,s:I,s:o,s:o,s:o,s:o}", "stage", "done", "files", files, "new",
                     (json_int_t)counts.taken, "held", (json_int_t)counts.held, "refused",
                     refused_json(&counts), "compartments", standing_json(call, import), "contact",
                     watch->restored ? json_string(contacts[watch->contact]) : json_null(), "evidence",
                     evidence_json(import, &counts.files));
}

/* An event now and then, so that nobody thinks it stopped. */
static void
tell_progress(struct bundle_watch *watch, struct api *api, uint64_t now_ms)
{
    const char *stage = "reading";
    uint64_t done = 0;
    uint64_t all = 0;

    if (now_ms - watch->told_ms < TELL_MS || api == NULL || !api_has_room(api, watch->client_no)) {
        return;
    }
    watch->told_ms = now_ms;
    if (watch->write != NULL) {
        struct bundle_progress progress = bundle_write_progress(watch->write);

        stage = bundle_write_stage(watch->write) == BUNDLE_WRITING ? "writing" : "checking";
        /* An entry weighs as much as a part of a file. */
        done = progress.done + progress.file_bytes / BLOB_SEALED_BYTES;
        all = progress.all + progress.file_bytes_all / BLOB_SEALED_BYTES;
    } else {
        all = bundle_read_bytes(watch->read);
        done = bundle_import_bytes(bundle_read_import(watch->read));
        done = done < all ? done : all; /* it may be read more than once */
    }
    (void)api_event(
        api, watch->client_no, watch->id,
        json_pack("{s:s,s:I,s:I}", "stage", stage, "done", (json_int_t)done, "all", (json_int_t)all));
}

/* --- the work --- */

bool
bundle_watch_is_on(const struct bundle_watch *watch)
{
    return watch->write != NULL || watch->read != NULL;
}

void
bundle_watch_close(struct bundle_watch *watch)
{
    bundle_write_close(&watch->write);
    bundle_read_close(&watch->read);
}

bool
bundle_watch_wants_turn(const struct bundle_watch *watch, uint64_t now_ms)
{
    return watch->read != NULL && watch->err == ERR_OK && now_ms >= watch->not_before_ms &&
           (watch->noting || bundle_import_wants_turn(bundle_read_import(watch->read)));
}

/* Who made a bundle was heard then, if it is a member. Nobody makes one later than it comes, whatever its clock says. */
static enum err
note_makers(struct bundle_watch *watch)
{
    const struct serve_options *options = watch->options;
    uint64_t now_ms = world_wall_ms(options->world);
    struct table_txn *txn = NULL;

    enum err err = replica_begin_read(options->replica, &txn);
    if (err != ERR_OK) {
        return err;
    }
    for (size_t n = 0; n < bundle_read_count(watch->read) && err == ERR_OK; n++) {
        const struct bundle_file *file = bundle_import_file(bundle_read_import(watch->read), n);

        if (file->maker == BUNDLE_MAKER_MEMBER) {
            err = peers_heard_by_bundle(options->peers, txn, &file->exporter,
                                        file->made_ms < now_ms ? file->made_ms : now_ms);
        }
    }
    replica_end_read(options->replica, &txn);
    return err;
}

void
bundle_watch_take(struct bundle_watch *watch)
{
    bool done;

    watch->stepped = true;
    if (!watch->noting) {
        watch->err = bundle_import_step(bundle_read_import(watch->read), &done);
        return;
    }
    watch->err = note_makers(watch);
    if (watch->err == ERR_OK && watch->contact == BUNDLE_CONTACT_COUNTS) {
        replica_answer_restored(watch->options->replica);
    }
}

void
bundle_watch_turn_ended(struct bundle_watch *watch, enum err err, uint64_t now_ms)
{
    if (watch->read == NULL) {
        return;
    }
    if (watch->stepped && !watch->noting) {
        bundle_import_turn_ended(bundle_read_import(watch->read), err == ERR_OK);
    }
    if (watch->stepped && watch->noting && err == ERR_OK) {
        watch->noting = false;
        watch->noted = true;
    }
    watch->stepped = false;
    watch->lost = err == ERR_OK ? 0 : watch->lost + 1;
    if (err != ERR_OK) {
        watch->not_before_ms = now_ms + RETRY_MS;
    }
    if (watch->lost == LOST_MAX) {
        watch->err = err;
    }
}

static json_t *
failed_json(enum err err, const char *message, const char *hint)
{
    return json_pack("{s:s,s:s,s:s,s:s}", "stage", "failed", "code", err_code(err), "message", message,
                     "hint", hint);
}

/* A step of an export. NULL: it goes on. */
static json_t *
step_write(struct bundle_watch *watch, const struct call *call)
{
    struct setup_fault fault;

    if (!bundle_write_step(watch->write, &fault)) {
        char message[2 * SETUP_TEXT_BYTES + 4];

        (void)snprintf(message, sizeof message, "%s: %s", fault.what, fault.why);
        return failed_json(fault.err, message, fault.todo);
    }
    return bundle_write_stage(watch->write) == BUNDLE_WRITTEN ? written_json(call, watch->write) : NULL;
}

/* All is read: what it says of its makers waits for a turn of its own. */
static enum err
conclude(struct bundle_watch *watch)
{
    struct bundle_import *import = bundle_read_import(watch->read);
    struct bundle_counts counts = bundle_import_counts(import);

    bundle_import_keep(import);
    log_event("bundle-imported", "files=%zu new=%llu held=%llu", bundle_read_count(watch->read),
              (unsigned long long)counts.taken, (unsigned long long)counts.held);
    watch->noting = true;
    watch->restored = replica_is_restored(watch->options->replica, NULL);
    return watch->restored ? bundle_import_contact(import, &watch->contact) : ERR_OK;
}

/* A step of an import that needs no turn, or its end. */
static json_t *
step_read(struct bundle_watch *watch, const struct call *call)
{
    struct bundle_import *import = bundle_read_import(watch->read);
    bool done = false;

    if (watch->err == ERR_OK && !watch->noting && !watch->noted && !bundle_import_wants_turn(import)) {
        watch->err = bundle_import_step(import, &done);
        if (watch->err == ERR_OK && done && !watch->inspect) {
            watch->err = conclude(watch);
            done = false;
        }
    }
    if (watch->err != ERR_OK) {
        return failed_json(watch->err, err_text(watch->err),
                           watch->err == ERR_FULL
                               ? "what was taken in stays: make room on the disk, then run it again"
                               : "what was taken in stays: look at the system log, then run it again");
    }
    if (!done && !watch->noted) {
        return NULL;
    }
    return read_json(call, watch);
}

bool
bundle_watch_step(struct bundle_watch *watch, struct call *call, struct api *api, uint64_t now_ms)
{
    json_t *last = watch->write != NULL ? step_write(watch, call) : step_read(watch, call);

    if (last == NULL) {
        tell_progress(watch, api, now_ms);
        return true;
    }
    if (api != NULL) {
        (void)api_event(api, watch->client_no, watch->id, last);
    } else {
        json_decref(last);
    }
    bundle_watch_close(watch);
    return false;
}
