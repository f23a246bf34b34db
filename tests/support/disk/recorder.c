#include "tests/support/chance.h"
#include "tests/support/disk/recorder.h"

#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SECTOR_BYTES = 512 };

/* A regular file, whatever it is called. */
struct file {
    dev_t device;
    ino_t number;
    struct buf base; /* what it held when the recording began */
};

enum { FOLDER = -1 }; /* in the place of a file */

struct name {
    char *path; /* below the directory that is recorded */
    int file;
};

enum event_kind {
    EVENT_WRITE,
    EVENT_SIZE,
    EVENT_SYNC,
    EVENT_CREATE,
    EVENT_RENAME,
    EVENT_LINK,
    EVENT_REMOVE,
    EVENT_FOLDER_SYNC,
};

struct event {
    enum event_kind kind;
    int file;
    off_t at; /* of a write; of a size, the size */
    struct buf data;
    bool synced; /* it is safe when the call ends */
    char *path;  /* what it is about, if that is a name; of a rename and a link the one from which */
    char *to;
};

static struct {
    bool on;
    char root[PATH_MAX];
    struct file *files;
    size_t file_count;
    struct name *names; /* when it began */
    size_t name_count;
    struct event *events;
    size_t event_count;
    size_t *marks; /* how many events came before each */
    size_t mark_count;
} tape;

/* --- what there was when it began --- */

/* Room for one more. */
static void *
grown(void *items, size_t count, size_t size)
{
    void *more = realloc(items, (count + 1) * size);

    EXPECT(more != NULL);
    memset((char *)more + count * size, 0, size);
    return more;
}

static char *
copied(const char *text)
{
    char *copy = strdup(text);

    EXPECT(copy != NULL);
    return copy;
}

static int
file_add(const struct stat *stat)
{
    tape.files = grown(tape.files, tape.file_count, sizeof *tape.files);
    tape.files[tape.file_count].device = stat->st_dev;
    tape.files[tape.file_count].number = stat->st_ino;
    return (int)tape.file_count++;
}

static int
file_find(const struct stat *stat)
{
    for (size_t n = 0; n < tape.file_count; n++) {
        if (tape.files[n].device == stat->st_dev && tape.files[n].number == stat->st_ino) {
            return (int)n;
        }
    }
    return FOLDER;
}

static void
name_add(struct name **names, size_t *count, const char *path, int file)
{
    *names = grown(*names, *count, sizeof **names);
    (*names)[*count] = (struct name){ copied(path), file };
    (*count)++;
}

static void
load(const char *path, struct buf *out)
{
    uint8_t piece[65536];
    FILE *file = fopen(path, "rb");

    ck_assert_ptr_nonnull(file);
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;) {
        buf_put(out, piece, got);
    }
    ck_assert(!ferror(file) && !out->failed);
    (void)fclose(file);
}

static int
take_in(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    (void)place;
    const char *below = path + strlen(tape.root);

    if (type == FTW_F) {
        int file = file_find(stat);

        if (file == FOLDER) {
            file = file_add(stat);
            load(path, &tape.files[file].base);
        }
        name_add(&tape.names, &tape.name_count, below + 1, file);
    } else if (*below != '\0') {
        ck_assert_int_eq(type, FTW_D);
        name_add(&tape.names, &tape.name_count, below + 1, FOLDER);
    }
    return 0;
}

void
recorder_start(const char *directory)
{
    recorder_free();
    ck_assert_ptr_nonnull(realpath(directory, tape.root));
    ck_assert_int_eq(nftw(tape.root, take_in, 16, FTW_PHYS), 0);
    tape.on = true;
}

void
recorder_stop(void)
{
    tape.on = false;
}

void
recorder_free(void)
{
    for (size_t n = 0; n < tape.file_count; n++) {
        buf_free(&tape.files[n].base);
    }
    for (size_t n = 0; n < tape.name_count; n++) {
        free(tape.names[n].path);
    }
    for (size_t n = 0; n < tape.event_count; n++) {
        buf_free(&tape.events[n].data);
        free(tape.events[n].path);
        free(tape.events[n].to);
    }
    free(tape.files);
    free(tape.names);
    free(tape.events);
    free(tape.marks);
    memset(&tape, 0, sizeof tape);
}

void
recorder_mark(void)
{
    tape.marks = grown(tape.marks, tape.mark_count, sizeof *tape.marks);
    tape.marks[tape.mark_count] = tape.event_count;
    tape.mark_count++;
}

/* --- what is recorded --- */

static struct event *
event_add(enum event_kind kind, int file)
{
    tape.events = grown(tape.events, tape.event_count, sizeof *tape.events);
    tape.events[tape.event_count] = (struct event){ .kind = kind, .file = file };
    return &tape.events[tape.event_count++];
}

/* The path of a name in a folder, below the directory that is recorded; NULL: it is elsewhere, or nothing is recorded. Owned. */
static char *
path_below(int folder, const char *name)
{
    char link[64];
    char whole[2 * PATH_MAX] = "";
    size_t root = strlen(tape.root);

    if (!tape.on) {
        return NULL;
    }
    if (name[0] != '/') {
        (void)snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t size = readlink(link, whole, PATH_MAX - 1);
        ck_assert_int_gt(size, 0);
        whole[size] = '\0';
        if (strcmp(name, ".") != 0) {
            (void)snprintf(whole + size, sizeof whole - (size_t)size, "/%s", name);
        }
    } else {
        (void)snprintf(whole, sizeof whole, "%s", name);
    }
    if (strncmp(whole, tape.root, root) != 0 || (whole[root] != '/' && whole[root] != '\0')) {
        return NULL;
    }
    return copied(whole[root] == '/' ? whole + root + 1 : "");
}

/* The file behind a descriptor; FOLDER: none that is recorded. */
static int
file_of(int descriptor)
{
    struct stat stat;

    if (!tape.on || fstat(descriptor, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        return FOLDER;
    }
    return file_find(&stat);
}

static bool
syncs_at_once(int descriptor)
{
    return (fcntl(descriptor, F_GETFL) & O_DSYNC) != 0; /* O_SYNC holds its bit */
}

static void
record_write(int descriptor, const void *data, size_t size, off_t at)
{
    int file = file_of(descriptor);

    if (file == FOLDER || size == 0) {
        return;
    }
    struct event *event = event_add(EVENT_WRITE, file);
    event->at = at;
    event->synced = syncs_at_once(descriptor);
    buf_put(&event->data, data, size);
    ck_assert(!event->data.failed);
}

static void
record_size(int descriptor, off_t size)
{
    int file = file_of(descriptor);

    if (file != FOLDER) {
        event_add(EVENT_SIZE, file)->at = size;
    }
}

static void
record_sync(int descriptor)
{
    int file = file_of(descriptor);

    if (file != FOLDER) {
        (void)event_add(EVENT_SYNC, file);
        return;
    }
    char *path = path_below(descriptor, ".");
    struct stat stat;
    if (path != NULL && fstat(descriptor, &stat) == 0 && S_ISDIR(stat.st_mode)) {
        event_add(EVENT_FOLDER_SYNC, FOLDER)->path = path;
        return;
    }
    free(path);
}

static void
record_name(enum event_kind kind, int file, int folder, const char *path, int to_folder, const char *to)
{
    char *from = path_below(folder, path);

    if (from == NULL) {
        return;
    }
    struct event *event = event_add(kind, file);
    event->path = from;
    if (to != NULL) {
        event->to = path_below(to_folder, to);
        ck_assert_ptr_nonnull(event->to);
    }
}

/* A file was opened, and perhaps made or emptied. */
static void
record_open(int descriptor, int folder, const char *path, int flags)
{
    struct stat stat;

    if (!tape.on || descriptor < 0 || (flags & (O_CREAT | O_TRUNC)) == 0 || fstat(descriptor, &stat) != 0 ||
        !S_ISREG(stat.st_mode)) {
        return;
    }
    if (file_find(&stat) != FOLDER) {
        if ((flags & O_TRUNC) != 0) {
            record_size(descriptor, 0);
        }
        return;
    }
    char *below = path_below(folder, path);
    if (below != NULL) {
        record_name(EVENT_CREATE, file_add(&stat), folder, path, FOLDER, NULL);
        free(below);
    }
}

/* --- the calls --- */

int
open(const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    record_open(descriptor, AT_FDCWD, path, flags);
    return descriptor;
}

int
openat(int folder, const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    int descriptor = (int)syscall(SYS_openat, folder, path, flags, mode);
    record_open(descriptor, folder, path, flags);
    return descriptor;
}

ssize_t
pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    ssize_t written = syscall(SYS_pwrite64, descriptor, data, size, offset);

    if (written > 0) {
        record_write(descriptor, data, (size_t)written, offset);
    }
    return written;
}

ssize_t
write(int descriptor, const void *data, size_t size)
{
    off_t at = file_of(descriptor) != FOLDER ? lseek(descriptor, 0, SEEK_CUR) : 0;
    ssize_t written = syscall(SYS_write, descriptor, data, size);

    if (written > 0) {
        record_write(descriptor, data, (size_t)written, at);
    }
    return written;
}

/* Each part is a write of its own: a disk knows nothing of their belonging together. */
ssize_t
writev(int descriptor, const struct iovec *parts, int count)
{
    off_t at = file_of(descriptor) != FOLDER ? lseek(descriptor, 0, SEEK_CUR) : 0;
    ssize_t written = syscall(SYS_writev, descriptor, parts, count);

    for (ssize_t left = written; left > 0; parts++) {
        size_t size = parts->iov_len < (size_t)left ? parts->iov_len : (size_t)left;
        record_write(descriptor, parts->iov_base, size, at);
        at += (off_t)size;
        left -= (ssize_t)size;
    }
    return written;
}

int
ftruncate(int descriptor, off_t size)
{
    int rc = (int)syscall(SYS_ftruncate, descriptor, size);

    if (rc == 0) {
        record_size(descriptor, size);
    }
    return rc;
}

int
posix_fallocate(int descriptor, off_t at, off_t size)
{
    if (syscall(SYS_fallocate, descriptor, 0, at, size) != 0) {
        return errno;
    }
    record_size(descriptor, at + size);
    return 0;
}

int
fdatasync(int descriptor)
{
    int rc = (int)syscall(SYS_fdatasync, descriptor);

    if (rc == 0) {
        record_sync(descriptor);
    }
    return rc;
}

int
fsync(int descriptor)
{
    int rc = (int)syscall(SYS_fsync, descriptor);

    if (rc == 0) {
        record_sync(descriptor);
    }
    return rc;
}

int
renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    int rc = (int)syscall(SYS_renameat, from_folder, from, to_folder, to);

    if (rc == 0) {
        record_name(EVENT_RENAME, FOLDER, from_folder, from, to_folder, to);
    }
    return rc;
}

int
linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    int rc = (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);

    if (rc == 0) {
        record_name(EVENT_LINK, FOLDER, from_folder, from, to_folder, to);
    }
    return rc;
}

int
unlinkat(int folder, const char *path, int flags)
{
    int rc = (int)syscall(SYS_unlinkat, folder, path, flags);

    if (rc == 0) {
        record_name(EVENT_REMOVE, FOLDER, folder, path, FOLDER, NULL);
    }
    return rc;
}

int
unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int
mkdirat(int folder, const char *path, mode_t mode)
{
    int rc = (int)syscall(SYS_mkdirat, folder, path, mode);

    if (rc == 0) {
        record_name(EVENT_CREATE, FOLDER, folder, path, FOLDER, NULL);
    }
    return rc;
}

int
mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* --- what a disk may hold --- */

size_t
recorder_moments(void)
{
    return tape.event_count + 1;
}

size_t
recorder_marks(size_t moment)
{
    size_t count = 0;

    while (count < tape.mark_count && tape.marks[count] <= moment) {
        count++;
    }
    return count;
}

bool
recorder_is_step(size_t moment)
{
    return moment < tape.event_count && tape.events[moment].kind != EVENT_WRITE;
}

static bool
is_of_names(const struct event *event)
{
    return event->kind == EVENT_CREATE || event->kind == EVENT_RENAME || event->kind == EVENT_LINK ||
           event->kind == EVENT_REMOVE;
}

/* True if `folder` ("" or "a/b") is the one in which `path` lies. */
static bool
lies_in(const char *path, const char *folder)
{
    size_t size = strlen(folder);

    if (size == 0) {
        return strchr(path, '/') == NULL;
    }
    return strncmp(path, folder, size) == 0 && path[size] == '/' && strchr(path + size + 1, '/') == NULL;
}

/* Is event `n` safe, when the disk crashed at `moment`? */
static bool
is_safe(size_t n, size_t moment)
{
    const struct event *event = &tape.events[n];

    if (n >= moment) {
        return false;
    }
    if (event->synced) {
        return true;
    }
    for (size_t later = n + 1; later < moment; later++) {
        const struct event *sync = &tape.events[later];

        if (is_of_names(event) ? sync->kind == EVENT_FOLDER_SYNC && lies_in(event->path, sync->path)
                               : sync->kind == EVENT_SYNC && sync->file == event->file) {
            return true;
        }
    }
    return false;
}

static struct name *
name_find(struct name *names, size_t count, const char *path)
{
    for (size_t n = 0; n < count; n++) {
        if (names[n].path != NULL && strcmp(names[n].path, path) == 0) {
            return &names[n];
        }
    }
    return NULL;
}

static void
name_remove(struct name *name)
{
    if (name != NULL) {
        free(name->path);
        name->path = NULL;
    }
}

static void
apply_name(struct name **names, size_t *count, const struct event *event)
{
    struct name *old = name_find(*names, *count, event->path);

    if (event->kind == EVENT_CREATE) {
        name_remove(old);
        name_add(names, count, event->path, event->file);
        return;
    }
    if (old == NULL) {
        return;
    }
    int file = old->file;
    if (event->kind != EVENT_LINK) {
        name_remove(old);
    }
    if (event->kind != EVENT_REMOVE) {
        name_remove(name_find(*names, *count, event->to));
        name_add(names, count, event->to, file);
    }
}

/* Is the folder there in which it lies? What was made in one whose own name is lost is lost with it. */
static bool
has_folder(struct name *names, size_t count, const char *path)
{
    char folder[PATH_MAX];
    const char *end = strrchr(path, '/');

    if (end == NULL) {
        return true;
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(end - path), path);
    return name_find(names, count, folder) != NULL;
}

/* The names that are there: those that are safe, and the first few of the others. */
static struct name *
names_at(size_t moment, enum recorder_loss loss, struct chance *chance, size_t *count_out)
{
    struct name *names = NULL;
    size_t unsafe = 0;

    *count_out = 0;
    for (size_t n = 0; n < tape.name_count; n++) {
        name_add(&names, count_out, tape.names[n].path, tape.names[n].file);
    }
    for (size_t n = 0; n <= moment && n < tape.event_count; n++) {
        unsafe += is_of_names(&tape.events[n]) && !is_safe(n, moment);
    }
    size_t kept = loss == LOSS_ALL ? 0 : loss == LOSS_NONE ? unsafe : chance_below(chance, unsafe + 1);
    for (size_t n = 0; n <= moment && n < tape.event_count; n++) {
        if (!is_of_names(&tape.events[n])) {
            continue;
        }
        bool safe = is_safe(n, moment);
        if (safe || kept > 0) {
            apply_name(&names, count_out, &tape.events[n]);
        }
        kept -= !safe && kept > 0;
    }
    return names;
}

static void
resize(struct buf *content, size_t size)
{
    size_t had = content->size;

    if (size > had) {
        uint8_t *more = buf_extend(content, size - had);

        EXPECT(more != NULL);
        memset(more, 0, size - had);
    }
    content->size = size;
}

/* Lay those sectors of a write that are kept into a file. */
static void
apply_write(struct buf *content, const struct event *event, enum recorder_loss loss, struct chance *chance)
{
    size_t at = (size_t)event->at;
    size_t end = at + event->data.size;
    bool whole = loss != LOSS_SECTORS;

    while (at < end) {
        size_t next = whole ? end : (at / SECTOR_BYTES + 1) * SECTOR_BYTES;

        next = next < end ? next : end;
        if (whole || (chance_next(chance) & 1) != 0) {
            if (next > content->size) {
                resize(content, next);
            }
            memcpy(content->data + at, event->data.data + (at - (size_t)event->at), next - at);
        }
        at = next;
    }
}

static void
content_at(int file, size_t moment, enum recorder_loss loss, struct chance *chance, struct buf *content)
{
    buf_clear(content);
    buf_put_span(content, buf_span(&tape.files[file].base));
    for (size_t n = 0; n <= moment && n < tape.event_count; n++) {
        const struct event *event = &tape.events[n];

        if (event->file != file || (event->kind != EVENT_WRITE && event->kind != EVENT_SIZE)) {
            continue;
        }
        bool safe = is_safe(n, moment);
        bool kept = safe || loss == LOSS_NONE || loss == LOSS_SECTORS ||
                    (loss == LOSS_SOME && (chance_next(chance) & 1) != 0);
        if (kept && event->kind == EVENT_WRITE) {
            apply_write(content, event, safe ? LOSS_NONE : loss, chance);
        } else if (kept) {
            resize(content, (size_t)event->at);
        }
    }
    EXPECT(!content->failed);
}

static int
remove_one(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    (void)stat;
    (void)type;
    (void)place;
    return remove(path);
}

static void
store(const char *path, struct span content)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    EXPECT(file >= 0);
    while (content.size > 0) {
        ssize_t written = write(file, content.data, content.size);

        EXPECT(written > 0);
        content = span_of(content.data + written, content.size - (size_t)written);
    }
    EXPECT(close(file) == 0);
}

void
recorder_image(size_t moment, enum recorder_loss loss, const struct world *world, const char *to)
{
    struct chance chance;
    struct buf content = { 0 };
    size_t count;
    char path[PATH_MAX];

    EXPECT(!tape.on);
    world_random(world, &chance.state, sizeof chance.state);
    if (access(to, F_OK) == 0) {
        EXPECT(nftw(to, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    }
    EXPECT(mkdir(to, 0700) == 0);
    struct name *names = names_at(moment, loss, &chance, &count);
    for (size_t n = 0; n < count; n++) {
        if (names[n].path == NULL || !has_folder(names, n, names[n].path)) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", to, names[n].path);
        if (names[n].file == FOLDER) {
            EXPECT(mkdir(path, 0700) == 0);
        } else {
            content_at(names[n].file, moment, loss, &chance, &content);
            store(path, buf_span(&content));
        }
    }
    for (size_t n = 0; n < count; n++) {
        free(names[n].path);
    }
    free(names);
    buf_free(&content);
}
