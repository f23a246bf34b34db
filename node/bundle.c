#include "node/bundle.h"

#include "store/base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHECK_BYTES = 1 << 20, SUFFIX_BYTES = 8 };

/* --- export --- */

struct bundle_write {
    struct replica *replica;
    struct bundle_export *export;
    enum bundle_stage stage;
    enum bundle_step step;
    struct backup_out out;
    struct backup_in in;
    struct bundle_reader *reader; /* while a volume is read back */
    uint32_t kept;                /* volumes that have their names */
    char path[BACKUP_PATH_BYTES];
};

static bool
refuse_write(const struct bundle_write *write, struct setup_fault *fault, enum err err)
{
    const char *why;
    const char *todo;

    backup_out_words(err, &why, &todo);
    if (err == ERR_FULL) {
        why = "the disk that it goes to is full, or it would be more than 999 volumes";
        todo = "make room there, take a larger disk, or give a larger --size; nothing of it is left";
    }
    setup_fault_set(fault, err, why, todo, "%s: the bundle was not written", write->path);
    return false;
}

/* A destination cannot be one. */
static bool
refuse_destination(const struct bundle_write *write, struct setup_fault *fault, enum err err)
{
    const char *why =
        "it shares nothing with this node: its certificate, or that of this node, has ended or was withdrawn";
    const char *todo = "vigil device show says until when its certificate is good";

    if (err == ERR_INVALID) {
        why = "it is this very device";
        todo = "name the device that is to open the bundle";
    } else if (err == ERR_ABSENT) {
        why = "it is not certified, or was revoked";
        todo = "vigil device list shows who belongs";
    }
    setup_fault_set(fault, err, why, todo, "%s: the bundle was not written", write->path);
    return false;
}

void
bundle_write_path(const struct bundle_write *write, uint32_t volume, char out[BACKUP_PATH_BYTES + 8])
{
    (void)snprintf(out, BACKUP_PATH_BYTES + 8, "%s.%03u", write->path, (unsigned)volume);
}

static enum err
open_volume(struct bundle_write *write)
{
    char suffix[SUFFIX_BYTES];

    if (write->kept >= BUNDLE_VOLUMES_MAX) {
        return ERR_FULL;
    }
    (void)snprintf(suffix, sizeof suffix, ".%03u", (unsigned)(write->kept + 1) % 1000);
    enum err err = backup_out_open(&write->out, write->path, suffix);
    if (err == ERR_OK) {
        err = bundle_export_volume(write->export, (struct stream_output){ &write->out, backup_out_write });
    }
    write->stage = BUNDLE_WRITING;
    return err;
}

bool
bundle_write_begin(struct bundle_write **write_out, struct replica *replica, const char *path,
                   const struct bundle_export_options *options, size_t *place_out,
                   struct setup_fault *fault_out)
{
    struct bundle_write *write = calloc(1, sizeof *write);

    *place_out = 0;
    if (write == NULL) {
        setup_fault_set(fault_out, ERR_MEMORY, err_text(ERR_MEMORY), "close other programs and try again",
                        "the bundle was not written");
        return false;
    }
    write->replica = replica;
    write->out.directory = -1;
    write->out.file = -1;
    write->in.file = -1;
    bool good = snprintf(write->path, sizeof write->path, "%s", path) < (int)sizeof write->path;
    enum err err = good ? bundle_export_begin(&write->export, replica, options, place_out) : ERR_INVALID;
    if (good && (err == ERR_INVALID || err == ERR_ABSENT || err == ERR_DENIED)) {
        good = refuse_destination(write, fault_out, err);
    } else {
        err = err == ERR_OK ? open_volume(write) : err;
        good = err == ERR_OK || refuse_write(write, fault_out, err);
    }
    if (!good) {
        bundle_write_close(&write);
        return false;
    }
    log_event("bundle-begun", "entries=%llu destinations=%zu",
              (unsigned long long)bundle_export_progress(write->export).all,
              bundle_export_manifest(write->export)->destination_count);
    *write_out = write;
    return true;
}

void
bundle_write_close(struct bundle_write **write_in)
{
    struct bundle_write *write = *write_in;
    char path[BACKUP_PATH_BYTES + 8];

    if (write == NULL) {
        return;
    }
    for (uint32_t volume = 1; write->stage != BUNDLE_WRITTEN && volume <= write->kept; volume++) {
        bundle_write_path(write, volume, path);
        (void)unlink(path);
    }
    bundle_reader_close(&write->reader);
    backup_in_close(&write->in);
    backup_out_close(&write->out);
    bundle_export_close(&write->export);
    free(write);
    *write_in = NULL;
}

enum bundle_stage
bundle_write_stage(const struct bundle_write *write)
{
    return write->stage;
}

struct bundle_progress
bundle_write_progress(const struct bundle_write *write)
{
    return bundle_export_progress(write->export);
}

const struct bundle_manifest *
bundle_write_manifest(const struct bundle_write *write)
{
    return bundle_export_manifest(write->export);
}

/* The volume is written: begin to read it back. */
static enum err
begin_check(struct bundle_write *write)
{
    const struct bundle_manifest *manifest = bundle_export_manifest(write->export);

    write->stage = BUNDLE_CHECKING;
    enum err err = backup_out_sync(&write->out);
    if (err == ERR_OK) {
        err = backup_in_open_plain_again(&write->in, &write->out);
    }
    if (err == ERR_OK) {
        err = bundle_reader_open(&write->reader, &replica_identity(write->replica)->box,
                                 (struct stream_input){ &write->in, backup_in_read });
    }
    if (err == ERR_OK) {
        bundle_reader_use(write->reader, &manifest->bundle_id, manifest->volume,
                          bundle_export_key(write->export));
    }
    return err;
}

/* The volume is good: it gets its name. */
static enum err
keep_volume(struct bundle_write *write)
{
    enum err err = backup_out_keep(&write->out);

    if (err != ERR_OK) {
        return err;
    }
    write->kept++;
    bundle_reader_close(&write->reader);
    backup_in_close(&write->in);
    backup_out_close(&write->out);
    if (write->step != BUNDLE_DONE) {
        return open_volume(write);
    }
    write->stage = BUNDLE_WRITTEN;
    struct bundle_progress progress = bundle_export_progress(write->export);
    log_event("bundle-written", "volumes=%u entries=%llu lost=%llu bytes=%llu", (unsigned)write->kept,
              (unsigned long long)progress.done, (unsigned long long)progress.lost,
              (unsigned long long)progress.bytes);
    return ERR_OK;
}

static enum err
check_slice(struct bundle_write *write)
{
    struct bundle_piece piece;
    enum err err = ERR_OK;

    for (size_t work = 0; err == ERR_OK && work < CHECK_BYTES;) {
        err = bundle_next(write->reader, &piece);
        work += piece.work;
    }
    if (err != ERR_ABSENT) {
        return err;
    }
    struct bundle_reading reading = bundle_reading(write->reader);
    bool good = reading.damaged_bytes == 0 && reading.locked_bytes == 0 && reading.bytes == write->out.size &&
                reading.parts == bundle_export_progress(write->export).parts;
    return good ? keep_volume(write) : ERR_CORRUPT;
}

bool
bundle_write_step(struct bundle_write *write, struct setup_fault *fault_out)
{
    enum err err = ERR_OK;

    switch (write->stage) {
    case BUNDLE_WRITING:
        err = bundle_export_step(write->export, &write->step);
        if (err == ERR_OK && write->step != BUNDLE_GOES_ON) {
            err = begin_check(write);
        }
        break;
    case BUNDLE_CHECKING:
        err = check_slice(write);
        break;
    case BUNDLE_WRITTEN:
        break;
    }
    if (err != ERR_OK) {
        log_event("bundle-failed", "err=%s", err_code(err));
        return refuse_write(write, fault_out, err);
    }
    return true;
}

/* --- import --- */

struct read_file {
    struct bundle_read *read;
    char *path;
    uint64_t size;
    uint64_t lost;       /* in the present look */
    uint64_t lost_first; /* in the one that lost most */
};

struct bundle_read {
    struct bundle_import *import;
    struct read_file *files;
    struct bundle_source *sources;
    struct bundle_sink sink;
    size_t count;
    struct backup_in in; /* the file that is open */
};

static enum err
read_file(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct read_file *file = self;

    enum err err = backup_in_read_around(&file->read->in, out, room, size_out, &file->lost);
    file->lost_first = file->lost > file->lost_first ? file->lost : file->lost_first;
    return err;
}

/* One file is open at a time: the stick may be taken out once its files are read. */
static enum err
rewind_file(void *self)
{
    struct read_file *file = self;

    backup_in_close(&file->read->in);
    file->lost = 0;
    return backup_in_open_plain(&file->read->in, file->path);
}

static enum err
add_file(struct bundle_read *read, const char *path)
{
    struct read_file *file = &read->files[read->count];
    struct stat info;

    file->read = read;
    file->path = strdup(path);
    if (file->path == NULL) {
        return ERR_MEMORY;
    }
    read->sources[read->count] = (struct bundle_source){ file, read_file, rewind_file };
    read->count++;
    enum err err = backup_in_open_plain(&read->in, path);
    if (err == ERR_OK) {
        file->size = fstat(read->in.file, &info) == 0 ? (uint64_t)info.st_size : 0;
        backup_in_close(&read->in);
    }
    return err;
}

bool
bundle_read_begin(struct bundle_read **read_out, struct replica *replica, const char *const *paths,
                  size_t count, const struct bundle_sink *sink, struct setup_fault *fault_out)
{
    struct bundle_read *read = calloc(1, sizeof *read);
    const char *at = "the bundle";
    enum err err = ERR_MEMORY;

    assert(count > 0 && count <= BUNDLE_FILES_MAX);
    if (read != NULL) {
        read->in.file = -1;
        read->files = calloc(count, sizeof *read->files);
        read->sources = calloc(count, sizeof *read->sources);
        err = read->files == NULL || read->sources == NULL ? ERR_MEMORY : ERR_OK;
    }
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        at = paths[n];
        err = add_file(read, paths[n]);
    }
    if (err == ERR_OK) {
        if (sink != NULL) {
            read->sink = *sink;
        }
        err = bundle_import_open(&read->import, replica, read->sources, count,
                                 sink == NULL ? NULL : &read->sink);
    }
    if (err != ERR_OK) {
        setup_fault_set(fault_out, err,
                        err == ERR_DENIED   ? "it is no ordinary file, or the node may not read it"
                        : err == ERR_ABSENT ? "there is no such file"
                                            : err_text(err),
                        "check the name, that the stick is mounted, and that it is below a folder that "
                        "node.conf names in folders",
                        "%s: it was not read", at);
        bundle_read_close(&read);
        return false;
    }
    *read_out = read;
    return true;
}

struct bundle_import *
bundle_read_import(struct bundle_read *read)
{
    return read->import;
}

size_t
bundle_read_count(const struct bundle_read *read)
{
    return read->count;
}

const char *
bundle_read_path(const struct bundle_read *read, size_t n)
{
    return read->files[n].path;
}

uint64_t
bundle_read_lost(const struct bundle_read *read, size_t n)
{
    return read->files[n].lost_first;
}

uint64_t
bundle_read_bytes(const struct bundle_read *read)
{
    uint64_t sum = 0;

    for (size_t n = 0; n < read->count; n++) {
        sum += read->files[n].size;
    }
    return sum;
}

void
bundle_read_close(struct bundle_read **read_in)
{
    struct bundle_read *read = *read_in;

    if (read == NULL) {
        return;
    }
    bundle_import_close(&read->import);
    backup_in_close(&read->in);
    for (size_t n = 0; n < read->count; n++) {
        free(read->files[n].path);
    }
    free(read->files);
    free(read->sources);
    free(read);
    *read_in = NULL;
}
