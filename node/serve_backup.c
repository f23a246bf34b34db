/* serve_backup.c - backups of the running node, and whether a restored one may show what it holds. */
#include "node/call.h"

#include "node/sealing.h"
#include "store/base/world.h"

#include <stdio.h>
#include <string.h>

enum { TELL_MS = 1000 };

void
call_backup_make(struct call *call)
{
    const struct serve_options *options = call_options(call);
    struct backup_watch *watch = call_backup(call);
    const char *path = call_text_needed(call, "path");
    struct stream_recipient recipient;
    struct setup_fault fault;
    bool with_device_keys = call_flag(call, "with_device_keys");
    const char *evidence = call_text(call, "evidence");

    if (call->failed) {
        return;
    }
    if (evidence != NULL && strcmp(evidence, "none") != 0 && strcmp(evidence, "all") != 0) {
        call_usage(call, "\"evidence\" is none of none, all");
        return;
    }
    if (path[0] != '/' || strlen(path) >= sizeof watch->path) {
        call_usage(call, "\"path\" is no absolute path of less than %d bytes", BACKUP_PATH_BYTES);
        return;
    }
    if (!sealing_of_json(json_object_get(call->body, "recipient"), &recipient)) {
        call_usage(call, "\"recipient\" is not the recipient of a passphrase, or one that costs too little");
        return;
    }
    if (watch->task != NULL) {
        call_fail(call, ERR_BUSY, "wait for it, or end the vigil backup that asked for it",
                  "another backup is being made");
        return;
    }
    *watch = (struct backup_watch){ .client_no = call->client_no, .id = call->id };
    (void)snprintf(watch->path, sizeof watch->path, "%s", path);
    if (!backup_task_begin(&watch->task,
                           &(struct backup_task_options){ .replica = call->replica,
                                                          .peers = options->peers,
                                                          .directory = options->directory,
                                                          .path = path,
                                                          .recipient = &recipient,
                                                          .with_device_keys = with_device_keys,
                                                          .without_files = evidence != NULL &&
                                                                           strcmp(evidence, "none") == 0 },
                           &fault)) {
        call_fail(call, fault.err, fault.todo, "%s", fault.why);
        return;
    }
    call->subscribed = true;
}

/* Who can open it, beside the passphrase. */
static const char *
office_code(const struct call *call, const struct backup_task *task)
{
    return backup_task_is_for_office(task) && call->own != NULL && call->own->office != NULL
               ? call->own->office->code
               : "";
}

static json_t *
digests_json(const struct call *call, const struct backup_about *about)
{
    json_t *list = json_array();

    for (size_t n = 0; n < about->digest_count; n++) {
        const struct backup_digest *digest = &about->digests[n];
        const struct roster_compartment *compartment = roster_compartment(call->roster, &digest->compartment);

        (void)json_array_append_new(list, json_pack("{s:s,s:o,s:o}", "name",
                                                    compartment == NULL ? "" : compartment->name, "id",
                                                    hex_json(ident_span(&digest->compartment)), "frontier",
                                                    hex_json(span_of(digest->digest, DIGEST_BYTES))));
    }
    return list;
}

static json_t *
done_json(const struct call *call, const struct backup_watch *watch)
{
    const struct backup_about *about = backup_task_about(watch->task);
    struct backup_progress progress = backup_task_progress(watch->task);
    char files[3][BACKUP_PATH_BYTES + 8];

    (void)snprintf(files[0], sizeof files[0], "%s.main", watch->path);
    (void)snprintf(files[1], sizeof files[1], "%s.keys", watch->path);
    (void)snprintf(files[2], sizeof files[2], "%s.files", watch->path);
    json_t *evidence =
        json_pack("{s:o,s:I,s:I,s:I,s:I,s:I,s:I}", "path",
                  backup_task_has_files(watch->task) ? json_string(files[2]) : json_null(), "here",
                  (json_int_t)progress.files_here, "here_bytes", (json_int_t)progress.file_bytes_here,
                  "files", (json_int_t)progress.files, "bytes", (json_int_t)progress.file_bytes, "left_out",
                  (json_int_t)progress.files_left, "lost", (json_int_t)progress.file_chunks_lost);
    return json_pack("{s:s,s:s,s:s,s:o,s:I,s:I,s:b,s:s,s:o,s:o}", "stage", "done", "main", files[0], "keys",
                     files[1], "made", time_json(about->made_ms), "entries", (json_int_t)progress.done,
                     "lost", (json_int_t)progress.lost, "with_device_keys", about->has_device_keys, "office",
                     office_code(call, watch->task), "compartments", digests_json(call, about), "evidence",
                     evidence);
}

static json_t *
progress_json(const struct backup_watch *watch, struct backup_progress progress)
{
    return json_pack("{s:s,s:I,s:I}", "stage",
                     backup_task_stage(watch->task) == BACKUP_WRITING ? "writing" : "checking", "done",
                     (json_int_t)progress.done, "all", (json_int_t)progress.all);
}

/* An event now and then: when the share or the stage is another, and once a second, so that nobody thinks it stopped. */
static void
tell_progress(struct backup_watch *watch, struct api *api, uint64_t now_ms)
{
    struct backup_progress progress = backup_task_progress(watch->task);
    uint64_t percent = progress.all == 0 ? 100 : progress.done * 100 / progress.all;
    enum backup_stage stage = backup_task_stage(watch->task);

    if (percent == watch->told_percent && stage == watch->told_stage && now_ms - watch->told_ms < TELL_MS) {
        return;
    }
    watch->told_percent = percent;
    watch->told_stage = stage;
    watch->told_ms = now_ms;
    if (api != NULL && api_has_room(api, watch->client_no)) {
        (void)api_event(api, watch->client_no, watch->id, progress_json(watch, progress));
    }
}

bool
backup_watch_step(struct backup_watch *watch, struct call *call, struct api *api, uint64_t now_ms)
{
    struct setup_fault fault;
    json_t *last = NULL;

    if (!backup_task_step(watch->task, &fault)) {
        last = json_pack("{s:s,s:s,s:s,s:s}", "stage", "failed", "code", err_code(fault.err), "message",
                         fault.why, "hint", fault.todo);
    } else if (backup_task_stage(watch->task) == BACKUP_DONE) {
        last = done_json(call, watch);
    } else {
        tell_progress(watch, api, now_ms);
        return true;
    }
    if (api != NULL && last != NULL) {
        (void)api_event(api, watch->client_no, watch->id, last);
    } else {
        json_decref(last);
    }
    backup_task_close(&watch->task);
    return false;
}

void
call_backup_accept(struct call *call)
{
    if (!replica_is_restored(call->replica, NULL)) {
        call_fail(call, ERR_ABSENT, "vigil status shows how the node is",
                  "this node was not restored, or has compared with a peer already");
        return;
    }
    replica_confirm_restored(call->replica);
}
