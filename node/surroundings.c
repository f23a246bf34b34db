#include "node/surroundings.h"

#include "store/table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
    MOUNTS_BYTES_MAX = 1 << 20,
    FIELDS_MAX = 16,   /* of a line before " - " that are looked at */
    SLAVES_DEPTH = 8,  /* of volumes below volumes */
    FOLDERS_DEPTH = 2, /* DIR, and the folders in it */
    LINE_BYTES = 4096,
};

/* --- mounts ------------------------------------------------------------------ */

/* Undo the escapes of a mount table, in place: \040 is a blank. */
static void
unescape(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0'; to++) {
        if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' && at[3] >= '0' &&
            at[3] <= '7') {
            *to = (char)(((at[1] - '0') << 6) | ((at[2] - '0') << 3) | (at[3] - '0'));
            at += 4;
        } else {
            *to = *at++;
        }
    }
    *to = '\0';
}

/* True if `path` is `mount` or below it. */
static bool
leads_to(const char *mount, const char *path)
{
    size_t size = strlen(mount);

    if (strcmp(mount, "/") == 0) {
        return path[0] == '/';
    }
    return strncmp(mount, path, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

/* "36 35 98:0 /root /mount options [optional...] - type source options". `point` lies in `line`. False: it is no such line. */
static bool
read_mount(char *line, struct surroundings_mount *out, char **point)
{
    char *fields[FIELDS_MAX];
    size_t count = 0;
    char *rest = strstr(line, " - ");
    char *saved = NULL;

    if (rest == NULL) {
        return false;
    }
    *rest = '\0';
    for (char *word = strtok_r(line, " ", &saved); word != NULL && count < FIELDS_MAX;
         word = strtok_r(NULL, " ", &saved)) {
        fields[count++] = word;
    }
    if (count < 5 || sscanf(fields[2], "%u:%u", &out->major, &out->minor) != 2 ||
        sscanf(rest + 3, "%31s %127s", out->type, out->source) != 2) {
        return false;
    }
    unescape(fields[4]);
    unescape(out->source);
    *point = fields[4];
    return true;
}

bool
surroundings_find_mount(const char *table, const char *path, struct surroundings_mount *out)
{
    size_t longest = 0;
    bool found = false;

    while (*table != '\0') {
        struct surroundings_mount mount = { .major = 0 };
        char line[LINE_BYTES];
        char *point = NULL;
        size_t size = strcspn(table, "\n");

        if (size < sizeof line) {
            memcpy(line, table, size);
            line[size] = '\0';
            if (read_mount(line, &mount, &point) && leads_to(point, path) && strlen(point) >= longest) {
                longest = strlen(point);
                *out = mount;
                found = true;
            }
        }
        table += size + (table[size] == '\n');
    }
    return found;
}

/* The text of a file; the caller frees it. NULL: it cannot be read, or is too long. */
static char *
read_text(const char *path, size_t bytes_max)
{
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(bytes_max + 1);
    size_t size = text == NULL ? 0 : fread(text, 1, bytes_max, file);
    bool good = text != NULL && ferror(file) == 0 && size < bytes_max;

    if (file != NULL) {
        (void)fclose(file);
    }
    if (!good) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

/* --- what a volume lies on --------------------------------------------------- */

enum volume_state
surroundings_both(enum volume_state one, enum volume_state other)
{
    if (one == VOLUME_PLAIN || other == VOLUME_PLAIN) {
        return VOLUME_PLAIN;
    }
    return one == VOLUME_UNKNOWN || other == VOLUME_UNKNOWN ? VOLUME_UNKNOWN : VOLUME_ENCRYPTED;
}

/* Is the block device M:N, or all that it lies on, under dm-crypt? */
static enum volume_state
look_below(const char *root, unsigned major, unsigned minor, unsigned depth)
{
    char path[PATH_MAX];
    enum volume_state all = VOLUME_PLAIN;
    size_t slaves = 0;

    (void)snprintf(path, sizeof path, "%s/sys/dev/block/%u:%u", root, major, minor);
    if (depth > SLAVES_DEPTH || access(path, F_OK) != 0) {
        return VOLUME_UNKNOWN;
    }
    (void)snprintf(path, sizeof path, "%s/sys/dev/block/%u:%u/loop/backing_file", root, major, minor);
    if (access(path, F_OK) == 0) {
        return VOLUME_UNKNOWN; /* a file, on whatever volume that is */
    }
    (void)snprintf(path, sizeof path, "%s/sys/dev/block/%u:%u/dm/uuid", root, major, minor);
    char *uuid = read_text(path, LINE_BYTES);
    bool crypt = uuid != NULL && strncmp(uuid, "CRYPT-", 6) == 0;
    free(uuid);
    if (crypt) {
        return VOLUME_ENCRYPTED;
    }
    (void)snprintf(path, sizeof path, "%s/sys/dev/block/%u:%u/slaves", root, major, minor);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        unsigned below_major = 0;
        unsigned below_minor = 0;

        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/sys/class/block/%s/dev", root, entry->d_name);
        char *number = read_text(path, LINE_BYTES);
        enum volume_state one = number != NULL && sscanf(number, "%u:%u", &below_major, &below_minor) == 2
                                    ? look_below(root, below_major, below_minor, depth + 1)
                                    : VOLUME_UNKNOWN;
        free(number);
        all = slaves == 0 ? one : surroundings_both(all, one);
        slaves++;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return all;
}

void
surroundings_find_volume(const char *root, const char *directory, struct surroundings_volume *out)
{
    char path[PATH_MAX];
    struct surroundings_mount mount;
    struct stat device;

    out->state = VOLUME_UNKNOWN;
    (void)snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
    char *table = read_text(path, MOUNTS_BYTES_MAX);
    if (table == NULL) {
        (void)snprintf(out->words, sizeof out->words, "the table of mounts cannot be read");
        return;
    }
    bool found = surroundings_find_mount(table, directory, &mount);
    free(table);
    if (!found) {
        (void)snprintf(out->words, sizeof out->words, "no mount leads there");
        return;
    }
    /* Some file systems have a device number of their own, and say which device they are on in words. */
    if (mount.major == 0 && strncmp(mount.source, "/dev/", 5) == 0 && stat(mount.source, &device) == 0 &&
        S_ISBLK(device.st_mode)) {
        mount.major = major(device.st_rdev);
        mount.minor = minor(device.st_rdev);
    }
    if (mount.major == 0) {
        (void)snprintf(out->words, sizeof out->words, "%s, and on what that lies cannot be seen from here",
                       mount.type);
        return;
    }
    out->state = look_below(root, mount.major, mount.minor, 0);
    (void)snprintf(out->words, sizeof out->words, "%s on %s, %s", mount.type, mount.source,
                   out->state == VOLUME_ENCRYPTED ? "under dm-crypt"
                   : out->state == VOLUME_PLAIN   ? "not under dm-crypt"
                                                  : "and on what that lies cannot be seen from here");
}

/* --- modes ------------------------------------------------------------------- */

static void
add_open(struct surroundings_open *open, const char *folder, const char *name)
{
    if (open->count < SURROUNDINGS_NAMED_MAX) {
        (void)snprintf(open->names[open->count], SURROUNDINGS_NAME_BYTES, "%s%s%s", folder,
                       folder[0] == '\0' ? "" : "/", name);
    }
    open->count++;
}

/* A request is made to be handed on, and so is what answers it. */
static bool
is_for_others(const char *name)
{
    const char *end = strrchr(name, '.');

    return end != NULL && (strcmp(end, ".request") == 0 || strcmp(end, ".welcome") == 0);
}

static void
look_at(const struct stat *info, const char *folder, const char *name, struct surroundings *out)
{
    out->looked++;
    if (S_ISLNK(info->st_mode) || info->st_uid != geteuid()) {
        add_open(&out->foreign, folder, name);
    } else if ((info->st_mode & (S_IRWXG | S_IRWXO)) != 0 && !is_for_others(name)) {
        add_open(&out->open, folder, name);
    }
}

/* What is in the folder `at`, which is closed, and the folders in it. */
static enum err
look_into(int at, const char *folder, unsigned depth, struct surroundings *out)
{
    DIR *list = fdopendir(at);
    const struct dirent *entry;
    enum err err = ERR_OK;

    if (list == NULL) {
        (void)close(at);
        return ERR_IO;
    }
    while (err == ERR_OK && (entry = readdir(list)) != NULL) {
        struct stat info;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(list), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            continue; /* a node that runs may have removed it meanwhile */
        }
        look_at(&info, folder, entry->d_name, out);
        if (S_ISDIR(info.st_mode) && depth < FOLDERS_DEPTH) {
            int below = openat(dirfd(list), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

            if (below < 0 && errno == ENOENT) {
                continue;
            }
            err = below < 0 ? ERR_DENIED : look_into(below, entry->d_name, depth + 1, out);
        }
    }
    (void)closedir(list);
    return err;
}

/* --- all of it --------------------------------------------------------------- */

static void
look_at_disk(const char *directory, struct surroundings *out)
{
    char path[PATH_MAX];
    struct statvfs disk;

    out->room_known = statvfs(directory, &disk) == 0;
    if (out->room_known) {
        out->room_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
        out->reserve_bytes = table_reserve_bytes((uint64_t)disk.f_blocks * disk.f_frsize);
    }
    (void)snprintf(path, sizeof path, "%s/reserve", directory);
    out->reserve_there = access(path, F_OK) == 0;
}

void
surroundings_read(const char *directory, struct surroundings *out)
{
    char whole[PATH_MAX];
    struct stat info;

    *out = (struct surroundings){ .seen = ERR_OK };
    int at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0 || fstat(at, &info) != 0 || realpath(directory, whole) == NULL) {
        out->seen = errno == ENOENT || errno == ENOTDIR ? ERR_ABSENT : errno == EACCES ? ERR_DENIED : ERR_IO;
        if (at >= 0) {
            (void)close(at);
        }
        return;
    }
    look_at(&info, "", ".", out);
    out->seen = look_into(at, "", 1, out);
    surroundings_find_volume("", whole, &out->volume);
    look_at_disk(directory, out);
}
