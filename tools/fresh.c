#include "tools/fresh.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 40 };

struct fresh_one {
    char *name;
    FILE *file;
};

struct fresh {
    int folder;
    char *made; /* path of the folder, if it was made here; else NULL */
    char path[PATH_BYTES];
    struct fresh_one *files;
    size_t count;
    size_t room;
};

static bool
refuse(struct client_fault *fault, const char *path)
{
    int why = errno;

    return fault_set(fault,
                     err_code(why == EEXIST   ? ERR_EXISTS
                              : why == EACCES ? ERR_DENIED
                              : why == ENOENT ? ERR_ABSENT
                              : why == ENOSPC ? ERR_FULL
                                              : ERR_IO),
                     why == EEXIST   ? "give another name, or remove what is there first"
                     : why == ENOSPC ? "make room on the disk, then try again"
                                     : "see that the folder is there and can be written to",
                     "%s: %s", path, strerror(why));
}

static bool
no_memory(struct client_fault *fault)
{
    return fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
}

/* Takes the descriptor. */
static bool
begin(struct fresh **fresh_out, int folder, const char *made, struct client_fault *fault)
{
    struct fresh *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL || (made != NULL && (fresh->made = strdup(made)) == NULL)) {
        free(fresh);
        (void)close(folder);
        return no_memory(fault);
    }
    fresh->folder = folder;
    (void)snprintf(fresh->path, sizeof fresh->path, "/proc/self/fd/%d", folder);
    *fresh_out = fresh;
    return true;
}

static bool
is_empty(int folder)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    bool empty = list != NULL;

    for (const struct dirent *entry; empty && (entry = readdir(list)) != NULL;) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    if (list != NULL) {
        (void)closedir(list);
    } else if (copy >= 0) {
        (void)close(copy);
    }
    return empty;
}

bool
fresh_folder(struct fresh **fresh_out, const char *path, struct client_fault *fault)
{
    bool made = mkdir(path, 0700) == 0;

    if (!made && errno != EEXIST) {
        return refuse(fault, path);
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) {
        return refuse(fault, path);
    }
    if (!is_empty(folder)) {
        (void)close(folder);
        return fault_set(fault, err_code(ERR_EXISTS), "name a new folder, or one that is empty",
                         "%s holds something already", path);
    }
    return begin(fresh_out, folder, made ? path : NULL, fault);
}

bool
fresh_place(struct fresh **fresh_out, const char *path, const char **name_out, struct client_fault *fault)
{
    const char *slash = strrchr(path, '/');
    char *folder_path = slash == NULL   ? strdup(".")
                        : slash == path ? strdup("/")
                                        : strndup(path, (size_t)(slash - path));

    *name_out = slash == NULL ? path : slash + 1;
    if (folder_path == NULL) {
        return no_memory(fault);
    }
    if ((*name_out)[0] == '\0') {
        free(folder_path);
        return fault_set(fault, "usage", "name a file", "'%s' is not the name of a file", path);
    }
    int folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = folder >= 0 || refuse(fault, folder_path);
    free(folder_path);
    return good && begin(fresh_out, folder, NULL, fault);
}

bool
fresh_file(struct fresh *fresh, const char *name, FILE **file_out, struct client_fault *fault)
{
    if (fresh->count == fresh->room) {
        size_t room = fresh->room == 0 ? 16 : 2 * fresh->room;
        struct fresh_one *files = realloc(fresh->files, room * sizeof *files);

        if (files == NULL) {
            return no_memory(fault);
        }
        fresh->files = files;
        fresh->room = room;
    }
    struct fresh_one *one = &fresh->files[fresh->count];
    one->name = strdup(name);
    if (one->name == NULL) {
        return no_memory(fault);
    }
    int fd = openat(fresh->folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        (void)refuse(fault, name);
        free(one->name);
        return false;
    }
    one->file = fdopen(fd, "w+");
    if (one->file == NULL) {
        (void)close(fd);
        (void)unlinkat(fresh->folder, name, 0);
        free(one->name);
        return no_memory(fault);
    }
    fresh->count++;
    *file_out = one->file;
    return true;
}

const char *
fresh_path(const struct fresh *fresh)
{
    return fresh->path;
}

static void
end(struct fresh **fresh_in)
{
    struct fresh *fresh = *fresh_in;

    for (size_t n = 0; n < fresh->count; n++) {
        if (fresh->files[n].file != NULL) {
            (void)fclose(fresh->files[n].file);
        }
        free(fresh->files[n].name);
    }
    (void)close(fresh->folder);
    free(fresh->files);
    free(fresh->made);
    free(fresh);
    *fresh_in = NULL;
}

bool
fresh_keep(struct fresh **fresh_in, struct client_fault *fault)
{
    struct fresh *fresh = *fresh_in;
    bool good = true;

    for (size_t n = 0; good && n < fresh->count; n++) {
        FILE *file = fresh->files[n].file;

        fresh->files[n].file = NULL;
        good = ferror(file) == 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
        int why = errno;
        good = fclose(file) == 0 && good;
        if (!good) {
            errno = why;
            (void)refuse(fault, fresh->files[n].name);
        }
    }
    if (good && fsync(fresh->folder) != 0) {
        good = refuse(fault, "the folder");
    }
    if (!good) {
        fresh_drop(fresh_in);
        return false;
    }
    end(fresh_in);
    return true;
}

void
fresh_drop(struct fresh **fresh_in)
{
    struct fresh *fresh = *fresh_in;

    if (fresh == NULL) {
        return;
    }
    for (size_t n = 0; n < fresh->count; n++) {
        (void)unlinkat(fresh->folder, fresh->files[n].name, 0);
    }
    if (fresh->made != NULL) {
        (void)rmdir(fresh->made);
    }
    end(fresh_in);
}
