#include "node/backup.h"

#include "store/base/log.h"
#include "sync/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONF_BYTES_MAX = 1 << 18, SLICE_ENTRIES = 256, SLICE_BYTES = 1 << 20, FILES = 2, OUTS = 3 };

struct backup_task {
    struct backup *backup;
    enum backup_stage stage;
    struct backup_out outs[OUTS]; /* main, keys, and files, if there are any */
    struct backup_in ins[2];
    struct stream_header headers[2];
    struct restore *restore; /* while it is read back */
    uint64_t checked;
    bool has_files;
    bool records_good;            /* main and keys were read back */
    struct backup_in files_in;    /* while the files are read back */
    struct bundle_reader *reader; /* likewise */
    char path[BACKUP_PATH_BYTES];
};

static const char *const suffixes[OUTS] = { ".main", ".keys", ".files" };

/* --- words --- */

static bool
refuse(const struct backup_task *task, struct setup_fault *fault, enum err err)
{
    const char *why;
    const char *todo;

    backup_out_words(err, &why, &todo);
    setup_fault_set(fault, err, why, todo, "%s: the backup was not made", task->path);
    return false;
}

/* --- begin --- */

/* The configuration as it stands, and who was added as a peer. */
static enum err
read_notes(const struct backup_task_options *options, struct buf *conf, struct buf *peers)
{
    char path[SETUP_PATH_BYTES];

    if (snprintf(path, sizeof path, "%s/node.conf", options->directory) >= (int)sizeof path) {
        return ERR_INVALID;
    }
    enum err err = vault_read_plain(path, CONF_BYTES_MAX, conf);
    if (err != ERR_OK && err != ERR_ABSENT) {
        return err;
    }
    peers_pack(options->peers, peers);
    return peers->failed ? ERR_MEMORY : ERR_OK;
}

static enum err
begin(struct backup_task *task, const struct backup_task_options *options)
{
    struct buf conf = { 0 };
    struct buf peers = { 0 };
    enum err err = ERR_OK;

    for (int n = 0; n < OUTS && err == ERR_OK; n++) {
        if (n != FILES || !options->without_files) {
            err = backup_out_open(&task->outs[n], options->path, suffixes[n]);
        }
    }
    if (err == ERR_OK) {
        err = read_notes(options, &conf, &peers);
    }
    if (err == ERR_OK) {
        const struct backup_note notes[] = { { BACKUP_NOTE_CONF, buf_span(&conf) },
                                             { BACKUP_NOTE_PEERS, buf_span(&peers) } };

        err = backup_begin(&task->backup, options->replica,
                           &(struct backup_options){ .recipients = options->recipient,
                                                     .recipient_count = 1,
                                                     .notes = notes,
                                                     .note_count = 2,
                                                     .with_device_keys = options->with_device_keys,
                                                     .main = { &task->outs[0], backup_out_write },
                                                     .keys = { &task->outs[1], backup_out_write },
                                                     .with_files = !options->without_files,
                                                     .files = { &task->outs[FILES], backup_out_write } });
    }
    if (err == ERR_OK) {
        task->has_files = !options->without_files && backup_progress(task->backup).files_here > 0;
        if (!task->has_files) {
            backup_out_close(&task->outs[FILES]);
        }
    }
    buf_free(&conf);
    buf_free(&peers);
    return err;
}

bool
backup_task_begin(struct backup_task **task_out, const struct backup_task_options *options,
                  struct setup_fault *fault_out)
{
    struct backup_task *task = calloc(1, sizeof *task);

    if (task == NULL) {
        setup_fault_set(fault_out, ERR_MEMORY, err_text(ERR_MEMORY), "close other programs and try again",
                        "the backup was not made");
        return false;
    }
    for (int n = 0; n < OUTS; n++) {
        task->outs[n].directory = -1;
        task->outs[n].file = -1;
    }
    task->ins[0].file = -1;
    task->ins[1].file = -1;
    task->files_in.file = -1;
    enum err err = ERR_INVALID;
    if (snprintf(task->path, sizeof task->path, "%s", options->path) < (int)sizeof task->path) {
        err = begin(task, options);
    }
    if (err != ERR_OK) {
        (void)refuse(task, fault_out, err);
        backup_task_close(&task);
        return false;
    }
    log_event("backup-begun", "entries=%llu", (unsigned long long)backup_progress(task->backup).all);
    *task_out = task;
    return true;
}

void
backup_task_close(struct backup_task **task_in)
{
    struct backup_task *task = *task_in;

    if (task == NULL) {
        return;
    }
    restore_close(&task->restore);
    backup_close(&task->backup);
    bundle_reader_close(&task->reader);
    backup_in_close(&task->files_in);
    for (int n = 0; n < 2; n++) {
        backup_in_close(&task->ins[n]);
    }
    for (int n = 0; n < OUTS; n++) {
        backup_out_close(&task->outs[n]);
    }
    free(task);
    *task_in = NULL;
}

/* --- steps --- */

/* Everything is written: begin to read it back. */
static enum err
begin_check(struct backup_task *task)
{
    restore_fault fault;
    enum err err = ERR_OK;

    for (int n = 0; n < OUTS && err == ERR_OK; n++) {
        err = n == FILES && !task->has_files ? ERR_OK : backup_out_sync(&task->outs[n]);
    }
    for (int n = 0; n < 2 && err == ERR_OK; n++) {
        err = backup_in_open_again(&task->ins[n], &task->outs[n], &task->headers[n]);
    }
    if (err == ERR_OK && (restore_pair(task->headers, &fault) != ERR_OK ||
                          !stream_key_fits(&task->headers[0], backup_file_key(task->backup)))) {
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        err = restore_open(&task->restore,
                           &(struct restore_files){ .headers = task->headers,
                                                    .file_key = backup_file_key(task->backup),
                                                    .main = { &task->ins[0], backup_in_read },
                                                    .keys = { &task->ins[1], backup_in_read } },
                           true, &fault);
    }
    task->stage = BACKUP_CHECKING;
    return err;
}

/* The same of the files, once the records are good. */
static enum err
begin_files_check(struct backup_task *task)
{
    static const struct key_pair nobody;
    enum err err = backup_in_open_plain_again(&task->files_in, &task->outs[FILES]);

    task->records_good = true;
    if (err == ERR_OK) {
        err = bundle_reader_open(&task->reader, &nobody,
                                 (struct stream_input){ &task->files_in, backup_in_read });
    }
    if (err == ERR_OK) {
        bundle_reader_use(task->reader, backup_pair_id(task->backup), BACKUP_FILES_VOLUME,
                          backup_file_key(task->backup));
    }
    return err;
}

/* All are whole and good: give them their names. */
static enum err
keep(struct backup_task *task)
{
    enum err err = ERR_OK;

    for (int n = OUTS; n-- > 0 && err == ERR_OK;) {
        err = n == FILES && !task->has_files ? ERR_OK : backup_out_keep(&task->outs[n]);
    }
    if (err != ERR_OK) {
        for (int n = OUTS; n-- > 0;) {
            backup_out_remove(&task->outs[n]);
        }
        return err;
    }
    task->stage = BACKUP_DONE;
    log_event("backup-made", "entries=%llu lost=%llu", (unsigned long long)task->checked,
              (unsigned long long)backup_progress(task->backup).lost);
    return ERR_OK;
}

static enum err
check_slice(struct backup_task *task)
{
    restore_fault fault;
    struct restore_item item;
    size_t bytes = 0;
    enum err err = ERR_OK;

    for (size_t entries = 0; err == ERR_OK && entries < SLICE_ENTRIES && bytes < SLICE_BYTES;) {
        err = restore_next(task->restore, &item, &fault);
        entries += item.entry_count;
        bytes += item.bytes.size;
        task->checked += item.entry_count;
    }
    if (err == ERR_ABSENT) {
        err = task->checked != backup_progress(task->backup).done ? ERR_CORRUPT
              : task->has_files                                   ? begin_files_check(task)
                                                                  : keep(task);
    }
    return err == ERR_NEWER ? ERR_CORRUPT : err;
}

/* Every part of the files opens. */
static enum err
check_files_slice(struct backup_task *task)
{
    struct bundle_piece piece;
    enum err err = ERR_OK;

    for (size_t work = 0; err == ERR_OK && work < SLICE_BYTES;) {
        err = bundle_next(task->reader, &piece);
        work += piece.work;
    }
    if (err != ERR_ABSENT) {
        return err;
    }
    struct bundle_reading reading = bundle_reading(task->reader);
    bool good = reading.damaged_bytes == 0 && reading.locked_bytes == 0 &&
                reading.bytes == task->outs[FILES].size &&
                reading.parts == backup_progress(task->backup).file_parts;
    return good ? keep(task) : ERR_CORRUPT;
}

bool
backup_task_step(struct backup_task *task, struct setup_fault *fault_out)
{
    enum err err = ERR_OK;
    bool written = false;

    switch (task->stage) {
    case BACKUP_WRITING:
        err = backup_step(task->backup, &written);
        if (err == ERR_OK && written) {
            err = begin_check(task);
        }
        break;
    case BACKUP_CHECKING:
        err = task->records_good ? check_files_slice(task) : check_slice(task);
        break;
    case BACKUP_DONE:
        break;
    }
    if (err != ERR_OK) {
        log_event("backup-failed", "err=%s", err_code(err));
        return refuse(task, fault_out, err);
    }
    return true;
}

enum backup_stage
backup_task_stage(const struct backup_task *task)
{
    return task->stage;
}

struct backup_progress
backup_task_progress(const struct backup_task *task)
{
    struct backup_progress progress = backup_progress(task->backup);

    if (task->stage == BACKUP_CHECKING) {
        progress.all = progress.done;
        progress.done = task->checked;
    }
    return progress;
}

const struct backup_about *
backup_task_about(const struct backup_task *task)
{
    return backup_about(task->backup);
}

bool
backup_task_has_files(const struct backup_task *task)
{
    return task->has_files;
}

bool
backup_task_is_for_office(const struct backup_task *task)
{
    return backup_is_for_office(task->backup);
}
