#include "node/backup_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SYNC_BYTES = 1 << 20, AROUND_BYTES = 4096 };

static enum err
err_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return ERR_ABSENT;
    case EEXIST:
        return ERR_EXISTS;
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENAMETOOLONG:
        return ERR_INVALID;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_FULL;
    case ENOMEM:
        return ERR_MEMORY;
    default:
        return ERR_IO;
    }
}

/* --- writing --- */

/* Split `path` into a directory that is opened and a name. */
static enum err
open_directory(struct backup_out *out, const char *path, const char *suffix)
{
    char parent[BACKUP_PATH_BYTES] = ".";
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    if (name[0] == '\0' || name[0] == '.' ||
        snprintf(out->name, sizeof out->name, "%s%s", name, suffix) >= (int)sizeof out->name ||
        snprintf(out->beside, sizeof out->beside, ".%s%s.part", name, suffix) >= (int)sizeof out->beside) {
        return ERR_INVALID;
    }
    if (slash != NULL && snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path),
                                  path) >= (int)sizeof parent) {
        return ERR_INVALID;
    }
    out->directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return out->directory < 0 ? err_of_errno(errno) : ERR_OK;
}

static bool
is_there(int directory, const char *name)
{
    struct stat info;

    return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

enum err
backup_out_open(struct backup_out *out, const char *path, const char *suffix)
{
    memset(out, 0, sizeof *out);
    out->directory = -1;
    out->file = -1;
    enum err err = open_directory(out, path, suffix);
    if (err == ERR_OK && is_there(out->directory, out->name)) {
        err = ERR_EXISTS;
    }
    /* One that was cut off may have left its beginning. */
    if (err == ERR_OK && unlinkat(out->directory, out->beside, 0) != 0 && errno != ENOENT) {
        err = err_of_errno(errno);
    }
    if (err == ERR_OK) {
        out->file =
            openat(out->directory, out->beside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        err = out->file < 0 ? err_of_errno(errno) : ERR_OK;
    }
    if (err != ERR_OK) {
        backup_out_close(out);
    }
    return err;
}

enum err
backup_out_write(void *self, struct span bytes)
{
    struct backup_out *out = self;

    while (bytes.size > 0) {
        ssize_t written = write(out->file, bytes.data, bytes.size);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? err_of_errno(errno) : ERR_IO;
        }
        bytes.data += written;
        bytes.size -= (size_t)written;
        out->size += (uint64_t)written;
    }
    if (out->size - out->synced >= SYNC_BYTES) {
        out->synced = out->size;
        return fdatasync(out->file) == 0 ? ERR_OK : err_of_errno(errno);
    }
    return ERR_OK;
}

enum err
backup_out_sync(struct backup_out *out)
{
    if (fsync(out->file) != 0) {
        return err_of_errno(errno);
    }
    (void)posix_fadvise(out->file, 0, 0, POSIX_FADV_DONTNEED);
    return ERR_OK;
}

enum err
backup_out_keep(struct backup_out *out)
{
    assert(!out->kept);
    int rc = renameat2(out->directory, out->beside, out->directory, out->name, RENAME_NOREPLACE);
    /* Not every file system of a stick can promise that. */
    if (rc != 0 && (errno == EINVAL || errno == ENOSYS)) {
        errno = EEXIST;
        rc = is_there(out->directory, out->name)
                 ? -1
                 : renameat(out->directory, out->beside, out->directory, out->name);
    }
    if (rc != 0) {
        return err_of_errno(errno);
    }
    out->kept = true;
    return fsync(out->directory) == 0 ? ERR_OK : err_of_errno(errno);
}

void
backup_out_remove(struct backup_out *out)
{
    if (out->kept) {
        (void)unlinkat(out->directory, out->name, 0);
        out->kept = false;
    }
}

void
backup_out_close(struct backup_out *out)
{
    if (out->file >= 0) {
        (void)close(out->file);
        if (!out->kept) {
            (void)unlinkat(out->directory, out->beside, 0);
        }
    }
    if (out->directory >= 0) {
        (void)close(out->directory);
    }
    out->file = -1;
    out->directory = -1;
}

void
backup_out_words(enum err err, const char **why_out, const char **todo_out)
{
    *why_out = err_text(err);
    *todo_out = "look at the disk and at the system log, then try again";
    switch (err) {
    case ERR_EXISTS:
        *why_out = "there is a file of that name, and none is ever written over";
        *todo_out = "choose another name";
        break;
    case ERR_ABSENT:
        *why_out = "the folder that it should go to is not there";
        *todo_out = "make the folder, or check its name; the stick may not be mounted";
        break;
    case ERR_INVALID:
        *why_out = "no file can be called that";
        *todo_out = "give a folder and a name, as in /media/stick/ken-2026-03-01";
        break;
    case ERR_DENIED:
        *todo_out = "choose a folder that the node may write to, below one that node.conf names in folders";
        break;
    case ERR_FULL:
        *why_out = "the disk that it goes to is full";
        *todo_out = "make room there, or choose another disk; nothing of it is left";
        break;
    case ERR_CORRUPT:
        *why_out = "what was read back is not what was written";
        *todo_out = "take it to another disk: this one cannot be relied on";
        break;
    case ERR_MEMORY:
        *todo_out = "close other programs and try again";
        break;
    default:
        break;
    }
}

/* --- reading --- */

/* Read the header, and stand behind it. */
static enum err
begin(struct backup_in *in, struct stream_header *header_out)
{
    uint8_t bytes[STREAM_HEADER_BYTES_MAX];
    size_t size = 0;
    size_t part = 1;
    enum err err = ERR_OK;

    while (err == ERR_OK && size < sizeof bytes && part > 0) {
        err = backup_in_read(in, bytes + size, sizeof bytes - size, &part);
        size += err == ERR_OK ? part : 0;
    }
    if (err == ERR_OK) {
        err = stream_header_read(span_of(bytes, size), header_out, &size);
    }
    if (err == ERR_OK && lseek(in->file, (off_t)size, SEEK_SET) < 0) {
        err = ERR_IO;
    }
    if (err != ERR_OK) {
        backup_in_close(in);
    }
    return err;
}

static enum err
open_at(struct backup_in *in, int directory, const char *name)
{
    struct stat info;

    in->file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (in->file < 0) {
        return err_of_errno(errno);
    }
    if (fstat(in->file, &info) != 0 || !S_ISREG(info.st_mode)) {
        backup_in_close(in);
        return ERR_DENIED;
    }
    return ERR_OK;
}

enum err
backup_in_open(struct backup_in *in, const char *path, struct stream_header *header_out)
{
    enum err err = backup_in_open_plain(in, path);

    return err == ERR_OK ? begin(in, header_out) : err;
}

enum err
backup_in_open_again(struct backup_in *in, const struct backup_out *out, struct stream_header *header_out)
{
    enum err err = backup_in_open_plain_again(in, out);

    return err == ERR_OK ? begin(in, header_out) : err;
}

enum err
backup_in_open_plain(struct backup_in *in, const char *path)
{
    return open_at(in, AT_FDCWD, path);
}

enum err
backup_in_open_plain_again(struct backup_in *in, const struct backup_out *out)
{
    return open_at(in, out->directory, out->kept ? out->name : out->beside);
}

enum err
backup_in_read_around(struct backup_in *in, uint8_t *out, size_t room, size_t *size_out, uint64_t *lost)
{
    off_t at = lseek(in->file, 0, SEEK_CUR);
    struct stat info;

    enum err err = backup_in_read(in, out, room, size_out);
    if (err != ERR_IO || at < 0 || fstat(in->file, &info) != 0 || at >= info.st_size) {
        return err;
    }
    /* One block at a time: what can be read of its neighbours is. */
    size_t block = AROUND_BYTES - (size_t)(at % AROUND_BYTES);
    size_t size = block < room ? block : room;
    size = (uint64_t)(info.st_size - at) < size ? (size_t)(info.st_size - at) : size;
    ssize_t got = pread(in->file, out, size, at);
    if (got > 0) {
        size = (size_t)got;
    } else {
        memset(out, 0, size);
        *lost += size;
    }
    *size_out = size;
    return lseek(in->file, at + (off_t)size, SEEK_SET) < 0 ? ERR_IO : ERR_OK;
}

enum err
backup_in_read(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct backup_in *in = self;
    ssize_t got;

    do {
        got = read(in->file, out, room);
    } while (got < 0 && errno == EINTR);
    *size_out = got > 0 ? (size_t)got : 0;
    return got < 0 ? err_of_errno(errno) : ERR_OK;
}

void
backup_in_close(struct backup_in *in)
{
    if (in->file >= 0) {
        (void)close(in->file);
    }
    in->file = -1;
}
