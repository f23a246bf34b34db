#include "node/casework/finding_image.h"

#include "node/backup_file.h"
#include "store/base/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char image_name[] = "image";
static const char magic[] = "VIGILFTS";

enum {
    VERSION = 1,
    PREFIX_BYTES = sizeof magic - 1 + 1 + PART_HEADER_BYTES,
    HEAD_BYTES = 8 + 32 + 32 + 8,
    PIECE_BYTES = 1 << 20,
    SPARE_BYTES = 64 << 20, /* that a disk keeps free for records */
};

struct finding_writer {
    struct backup_out out;
    struct crypto_parts parts;
    struct search_image image;
    size_t written;
    uint8_t sealed[PIECE_BYTES + PART_SEAL_BYTES];
};

static enum err
path_of(char path_out[BACKUP_PATH_BYTES], const char *directory)
{
    int size = snprintf(path_out, BACKUP_PATH_BYTES, "%s/%s", directory, image_name);

    return size < 0 || size >= BACKUP_PATH_BYTES ? ERR_INVALID : ERR_OK;
}

/* Version and start are bound in: what follows opens under no other. */
static void
begin_parts(struct crypto_parts *parts, const struct key *key, const uint8_t prefix[PREFIX_BYTES])
{
    crypto_parts_begin(parts, key, prefix + PREFIX_BYTES - PART_HEADER_BYTES);
}

/* --- writing --- */

static enum err
write_part(struct finding_writer *writer, struct span plain, bool last)
{
    crypto_parts_seal(&writer->parts, writer->sealed, plain, last);
    return backup_out_write(&writer->out, span_of(writer->sealed, plain.size + PART_SEAL_BYTES));
}

static enum err
write_start(struct finding_writer *writer, const struct key *key, const struct finding_moment *moment,
            const struct world *world)
{
    uint8_t prefix[PREFIX_BYTES];
    struct buf head = { 0 };

    memcpy(prefix, magic, sizeof magic - 1);
    prefix[sizeof magic - 1] = VERSION;
    world_random(world, prefix + PREFIX_BYTES - PART_HEADER_BYTES, PART_HEADER_BYTES);
    begin_parts(&writer->parts, key, prefix);
    buf_put_u64(&head, moment->place);
    buf_put_span(&head, span_of(moment->mark.bytes, sizeof moment->mark.bytes));
    buf_put_span(&head, span_of(moment->fingerprint.bytes, sizeof moment->fingerprint.bytes));
    buf_put_u64(&head, writer->image.size);
    enum err err = head.failed ? ERR_MEMORY : backup_out_write(&writer->out, span_of(prefix, sizeof prefix));
    if (err == ERR_OK) {
        err = write_part(writer, buf_span(&head), false);
    }
    buf_free(&head);
    return err;
}

static enum err
check_room(const char *directory, size_t size)
{
    struct statvfs disk;

    if (statvfs(directory, &disk) != 0) {
        return ERR_IO;
    }
    return (uint64_t)disk.f_bavail * disk.f_frsize < 2 * (uint64_t)size + SPARE_BYTES ? ERR_FULL : ERR_OK;
}

enum err
finding_writer_open(struct finding_writer **writer_out, const char *directory, const struct key *key,
                    const struct finding_moment *moment, struct search_image *image,
                    const struct world *world)
{
    char path[BACKUP_PATH_BYTES];
    struct finding_writer *writer = calloc(1, sizeof *writer);

    *writer_out = NULL;
    if (writer == NULL) {
        search_image_free(image);
        return ERR_MEMORY;
    }
    writer->out.directory = -1;
    writer->out.file = -1;
    writer->image = *image;
    *image = (struct search_image){ NULL, 0 };
    enum err err = path_of(path, directory);
    if (err == ERR_OK && mkdir(directory, 0700) != 0 && errno != EEXIST) {
        err = errno == ENOSPC ? ERR_FULL : ERR_DENIED;
    }
    if (err == ERR_OK) {
        err = finding_image_remove(directory);
    }
    if (err == ERR_OK) {
        err = check_room(directory, writer->image.size);
    }
    if (err == ERR_OK) {
        err = backup_out_open(&writer->out, path, "");
    }
    if (err == ERR_OK) {
        err = write_start(writer, key, moment, world);
    }
    if (err != ERR_OK) {
        finding_writer_close(&writer);
        return err;
    }
    *writer_out = writer;
    return ERR_OK;
}

enum err
finding_writer_step(struct finding_writer *writer)
{
    size_t left = writer->image.size - writer->written;
    size_t size = left < PIECE_BYTES ? left : PIECE_BYTES;
    enum err err = write_part(writer, span_of(writer->image.bytes + writer->written, size), size == left);

    if (err != ERR_OK) {
        return err;
    }
    writer->written += size;
    if (size < left) {
        return ERR_OK;
    }
    err = backup_out_sync(&writer->out);
    if (err == ERR_OK) {
        err = backup_out_keep(&writer->out);
    }
    return err == ERR_OK ? ERR_ABSENT : err;
}

void
finding_writer_close(struct finding_writer **writer_in)
{
    struct finding_writer *writer = *writer_in;

    if (writer == NULL) {
        return;
    }
    backup_out_close(&writer->out);
    search_image_free(&writer->image);
    crypto_wipe(&writer->parts, sizeof writer->parts);
    free(writer);
    *writer_in = NULL;
}

/* --- reading --- */

struct source {
    int file;
    struct crypto_parts parts;
    uint8_t *sealed; /* PIECE_BYTES + PART_SEAL_BYTES */
};

/* Exactly so many bytes. ERR_CORRUPT: there are fewer. */
static enum err
read_exactly(int file, uint8_t *out, size_t size)
{
    while (size > 0) {
        ssize_t got = read(file, out, size);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? ERR_IO : ERR_CORRUPT;
        }
        out += got;
        size -= (size_t)got;
    }
    return ERR_OK;
}

static enum err
read_part(struct source *source, uint8_t *out, size_t size, bool *last_out)
{
    enum err err = read_exactly(source->file, source->sealed, size + PART_SEAL_BYTES);

    if (err != ERR_OK) {
        return err;
    }
    return crypto_parts_open(&source->parts, out, span_of(source->sealed, size + PART_SEAL_BYTES), last_out)
               ? ERR_OK
               : ERR_CORRUPT;
}

static enum err
read_start(struct source *source, const struct key *key, struct finding_moment *moment_out,
           uint64_t *size_out)
{
    uint8_t prefix[PREFIX_BYTES];
    uint8_t head[HEAD_BYTES];
    bool last = false;
    enum err err = read_exactly(source->file, prefix, sizeof prefix);

    if (err == ERR_OK && memcmp(prefix, magic, sizeof magic - 1) != 0) {
        err = ERR_CORRUPT;
    } else if (err == ERR_OK && prefix[sizeof magic - 1] != VERSION) {
        err = ERR_NEWER;
    }
    if (err != ERR_OK) {
        return err;
    }
    begin_parts(&source->parts, key, prefix);
    err = read_part(source, head, sizeof head, &last);
    if (err != ERR_OK || last) {
        return err == ERR_OK ? ERR_CORRUPT : err;
    }
    struct reader in = reader_of(span_of(head, sizeof head));
    moment_out->place = reader_u64(&in);
    reader_copy(&in, moment_out->mark.bytes, sizeof moment_out->mark.bytes);
    reader_copy(&in, moment_out->fingerprint.bytes, sizeof moment_out->fingerprint.bytes);
    *size_out = reader_u64(&in);
    return reader_done(&in) ? ERR_OK : ERR_CORRUPT;
}

static enum err
read_pieces(struct source *source, struct search_image *image)
{
    bool last = false;
    enum err err = ERR_OK;

    for (size_t at = 0; err == ERR_OK && !last;) {
        size_t left = image->size - at;
        size_t size = left < PIECE_BYTES ? left : PIECE_BYTES;

        err = read_part(source, image->bytes + at, size, &last);
        at += size;
        if (err == ERR_OK && last != (at == image->size)) {
            err = ERR_CORRUPT;
        }
    }
    return err;
}

/* No file is longer than what it says: nothing is taken for a size that was made up. */
static enum err
read_all(struct source *source, const struct key *key, const struct hash *wanted,
         struct finding_moment *moment_out, struct search_image *image_out)
{
    struct stat info;
    uint64_t size = 0;
    enum err err = read_start(source, key, moment_out, &size);

    if (err != ERR_OK) {
        return err;
    }
    if (memcmp(&moment_out->fingerprint, wanted, sizeof *wanted) != 0) {
        return ERR_NEWER;
    }
    if (fstat(source->file, &info) != 0) {
        return ERR_IO;
    }
    if (size == 0 || info.st_size < 0 || size > (uint64_t)info.st_size) {
        return ERR_CORRUPT;
    }
    err = search_image_new(image_out, (size_t)size);
    return err == ERR_OK ? read_pieces(source, image_out) : err;
}

enum err
finding_image_read(const char *directory, const struct key *key, const struct hash *wanted,
                   struct finding_moment *moment_out, struct search_image *image_out)
{
    char path[BACKUP_PATH_BYTES];
    struct source source = { .file = -1, .sealed = malloc(PIECE_BYTES + PART_SEAL_BYTES) };
    enum err err = source.sealed == NULL ? ERR_MEMORY : path_of(path, directory);

    memset(moment_out, 0, sizeof *moment_out);
    *image_out = (struct search_image){ NULL, 0 };
    if (err == ERR_OK) {
        source.file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (source.file < 0) {
            err = errno == ENOENT || errno == ENOTDIR ? ERR_ABSENT : ERR_DENIED;
        }
    }
    if (err == ERR_OK) {
        err = read_all(&source, key, wanted, moment_out, image_out);
    }
    if (source.file >= 0) {
        (void)close(source.file);
    }
    free(source.sealed);
    crypto_wipe(&source.parts, sizeof source.parts);
    if (err != ERR_OK) {
        search_image_free(image_out);
    }
    return err;
}

/* --- removing --- */

enum err
finding_image_remove(const char *directory)
{
    static const char *const names[] = { "image", ".image.part" };
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    enum err err = ERR_OK;

    if (folder < 0) {
        return errno == ENOENT ? ERR_OK : ERR_DENIED;
    }
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        if (unlinkat(folder, names[n], 0) != 0 && errno != ENOENT) {
            err = ERR_DENIED;
        }
    }
    if (fsync(folder) != 0 && err == ERR_OK) {
        err = ERR_IO;
    }
    (void)close(folder);
    return err;
}
