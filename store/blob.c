#include "store/blob.h"

#include "store/base/world.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[] = "VIGILBLB";
static const char folder_name[] = "blobs";
static const char part_suffix[] = ".part";
static const char new_prefix[] = "new-";

enum {
    MAGIC_BYTES = 8,
    FILE_VERSION = 1,
    FILE_HEADER_BYTES = MAGIC_BYTES + 1 + 3 + 4, /* three bytes are zero */
    NAME_BYTES = 2 * HASH_BYTES + sizeof part_suffix,
};

struct blobs {
    int folder;
    uint64_t made; /* names given to those that were begun */
    const struct world *world;
};

struct blob_writer {
    struct blobs *blobs;
    int file;
    char name[NAME_BYTES];
    uint64_t size;
    uint64_t come;
    uint32_t chunk_count;
    uint32_t index; /* of the chunk that is being filled */
    struct blob_key key;
    struct crypto_sha256 sum;
    struct hash address;
    uint8_t plain[BLOB_CHUNK_BYTES];
    size_t plain_size;
    uint8_t page[BLOB_PAGE_BYTES_MAX];
    size_t page_size;
    uint8_t *head;
    size_t head_size;
    enum err err; /* the first */
    bool kept;
};

struct blob_file {
    struct blobs *blobs;
    int file;
    struct hash address;
    uint32_t chunk_count;
    bool whole;
    bool writable;
    bool head_here;
    uint8_t *head;    /* room for all of it */
    uint32_t page_no; /* of the page in memory; UINT32_MAX: none */
    uint8_t page[BLOB_PAGE_BYTES_MAX];
};

/* --- arithmetic --- */

uint32_t
blob_chunk_count(uint64_t size)
{
    return size == 0 || size > BLOB_BYTES_MAX ? 0
                                              : (uint32_t)((size + BLOB_CHUNK_BYTES - 1) / BLOB_CHUNK_BYTES);
}

uint32_t
blob_page_count(uint32_t chunk_count)
{
    return (chunk_count + BLOB_PAGE_CHUNKS - 1) / BLOB_PAGE_CHUNKS;
}

uint32_t
blob_page_chunks(uint32_t chunk_count, uint32_t page)
{
    uint32_t before = page * BLOB_PAGE_CHUNKS;

    assert(before < chunk_count);
    return chunk_count - before < BLOB_PAGE_CHUNKS ? chunk_count - before : BLOB_PAGE_CHUNKS;
}

static uint64_t
head_bytes(uint32_t chunk_count)
{
    return (uint64_t)blob_page_count(chunk_count) * HASH_BYTES;
}

static uint64_t
page_offset(uint32_t chunk_count, uint32_t page)
{
    return FILE_HEADER_BYTES + head_bytes(chunk_count) + (uint64_t)page * BLOB_PAGE_BYTES_MAX;
}

static uint64_t
chunk_offset(uint32_t chunk_count, uint32_t index)
{
    return FILE_HEADER_BYTES + head_bytes(chunk_count) + (uint64_t)chunk_count * HASH_BYTES +
           (uint64_t)index * BLOB_SEALED_BYTES;
}

uint64_t
blob_file_bytes(uint32_t chunk_count)
{
    return chunk_offset(chunk_count, chunk_count);
}

void
blob_key_write(uint8_t out[BLOB_KEY_BYTES], const struct blob_key *key)
{
    memcpy(out, key->key.bytes, KEY_BYTES);
    memcpy(out + KEY_BYTES, key->content_hash.bytes, HASH_BYTES);
}

bool
blob_key_read(struct span bytes, struct blob_key *key_out)
{
    struct reader reader = reader_of(bytes);

    reader_copy(&reader, key_out->key.bytes, KEY_BYTES);
    reader_copy(&reader, key_out->content_hash.bytes, HASH_BYTES);
    return reader_done(&reader);
}

enum { BOUND_BYTES = 8 };

/* The key that chunks are sealed with, and what makes each chunk one of its place. */
static void
chunk_keys(const struct key *key, uint32_t chunk_count, uint32_t index, struct key *chunk_key_out,
           struct nonce *nonce_out, uint8_t bound_out[BOUND_BYTES])
{
    const struct span secret = span_of(key->bytes, KEY_BYTES);

    crypto_derive(chunk_key_out, "vigil.blk.v1", &secret, 1);
    memset(nonce_out, 0, sizeof *nonce_out);
    bytes_write_u32(nonce_out->bytes + NONCE_BYTES - 4, index);
    bytes_write_u32(bound_out, chunk_count);
    bytes_write_u32(bound_out + 4, index);
}

void
blob_seal_chunk(uint8_t out[BLOB_SEALED_BYTES], const struct key *key, uint32_t chunk_count, uint32_t index,
                struct span plain)
{
    uint8_t whole[BLOB_CHUNK_BYTES] = { 0 };
    uint8_t bound[BOUND_BYTES];
    struct key chunk_key;
    struct nonce nonce;

    assert(plain.size > 0 && plain.size <= sizeof whole && index < chunk_count);
    memcpy(whole, plain.data, plain.size);
    chunk_keys(key, chunk_count, index, &chunk_key, &nonce, bound);
    crypto_seal(out, &chunk_key, &nonce, span_of(bound, sizeof bound), span_of(whole, sizeof whole));
    crypto_wipe(&chunk_key, sizeof chunk_key);
    crypto_wipe(whole, sizeof whole);
}

bool
blob_open_chunk(uint8_t out[BLOB_CHUNK_BYTES], const struct key *key, uint32_t chunk_count, uint32_t index,
                const uint8_t sealed[BLOB_SEALED_BYTES])
{
    uint8_t bound[BOUND_BYTES];
    struct key chunk_key;
    struct nonce nonce;

    chunk_keys(key, chunk_count, index, &chunk_key, &nonce, bound);
    bool opened = crypto_open(out, &chunk_key, &nonce, span_of(bound, sizeof bound),
                              span_of(sealed, BLOB_SEALED_BYTES));
    crypto_wipe(&chunk_key, sizeof chunk_key);
    return opened;
}

void
blob_hash_chunk(struct hash *out, const uint8_t sealed[BLOB_SEALED_BYTES])
{
    CRYPTO_HASH(out, "vigil.blc.v1", span_of(sealed, BLOB_SEALED_BYTES));
}

void
blob_hash_page(struct hash *out, struct span page)
{
    CRYPTO_HASH(out, "vigil.blp.v1", page);
}

void
blob_address(struct hash *out, uint32_t chunk_count, struct span head)
{
    uint8_t count[4];

    bytes_write_u32(count, chunk_count);
    CRYPTO_HASH(out, "vigil.blb.v1", span_of(count, sizeof count), head);
}

/* --- files --- */

static enum err
err_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return ERR_ABSENT;
    case ELOOP:
    case ENOTDIR:
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
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

static enum err
write_at(const struct blobs *blobs, int file, uint64_t offset, struct span bytes)
{
    enum err err = world_disk(blobs->world, WORLD_DISK_FILE);

    while (err == ERR_OK && bytes.size > 0) {
        ssize_t written = pwrite(file, bytes.data, bytes.size, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? err_of_errno(errno) : ERR_IO;
        }
        bytes.data += written;
        bytes.size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return err;
}

/* ERR_CORRUPT: the file ends before. */
static enum err
read_at(int file, uint64_t offset, uint8_t *out, size_t size)
{
    while (size > 0) {
        ssize_t part = pread(file, out, size, (off_t)offset);
        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part <= 0) {
            return part < 0 ? err_of_errno(errno) : ERR_CORRUPT;
        }
        out += part;
        size -= (size_t)part;
        offset += (uint64_t)part;
    }
    return ERR_OK;
}

static enum err
sync_file(const struct blobs *blobs, int file)
{
    enum err err = world_disk(blobs->world, WORLD_DISK_FILE);

    if (err == ERR_OK && fdatasync(file) != 0) {
        err = err_of_errno(errno);
    }
    return err;
}

static enum err
sync_folder(const struct blobs *blobs)
{
    return fsync(blobs->folder) == 0 ? ERR_OK : ERR_IO;
}

static void
write_header(uint8_t out[FILE_HEADER_BYTES], uint32_t chunk_count)
{
    memset(out, 0, FILE_HEADER_BYTES);
    memcpy(out, magic, MAGIC_BYTES);
    out[MAGIC_BYTES] = FILE_VERSION;
    bytes_write_u32(out + FILE_HEADER_BYTES - 4, chunk_count);
}

static enum err
read_header(int file, uint32_t *chunk_count_out)
{
    uint8_t header[FILE_HEADER_BYTES];
    uint8_t expected[FILE_HEADER_BYTES];

    enum err err = read_at(file, 0, header, sizeof header);
    if (err != ERR_OK) {
        return err;
    }
    if (memcmp(header, magic, MAGIC_BYTES) == 0 && header[MAGIC_BYTES] > FILE_VERSION) {
        return ERR_NEWER;
    }
    *chunk_count_out = bytes_read_u32(header + FILE_HEADER_BYTES - 4);
    write_header(expected, *chunk_count_out);
    return memcmp(header, expected, sizeof header) == 0 && *chunk_count_out > 0 &&
                   *chunk_count_out <= BLOB_CHUNKS_MAX
               ? ERR_OK
               : ERR_CORRUPT;
}

static void
name_of(char name_out[NAME_BYTES], const struct hash *address, bool part)
{
    bytes_hex(name_out, hash_span(address));
    if (part) {
        memcpy(name_out + 2 * HASH_BYTES, part_suffix, sizeof part_suffix);
    }
}

/* --- the folder --- */

static enum err
each_name(struct blobs *blobs, enum err (*each)(struct blobs *blobs, const char *name, void *self),
          void *self)
{
    const struct dirent *entry;
    enum err err = ERR_OK;

    /* Of its own: a duplicate would share the place in the listing. */
    int at = openat(blobs->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) {
        return err_of_errno(errno);
    }
    DIR *folder = fdopendir(at);
    if (folder == NULL) {
        err = err_of_errno(errno);
        close(at);
        return err;
    }
    while (err == ERR_OK && (entry = readdir(folder)) != NULL) {
        err = each(blobs, entry->d_name, self);
    }
    closedir(folder);
    return err;
}

static enum err
remove_new(struct blobs *blobs, const char *name, void *self)
{
    (void)self;
    if (strncmp(name, new_prefix, sizeof new_prefix - 1) == 0 && unlinkat(blobs->folder, name, 0) != 0 &&
        errno != ENOENT) {
        return err_of_errno(errno);
    }
    return ERR_OK;
}

enum err
blobs_open(struct blobs **blobs_out, const char *directory, const struct world *world)
{
    struct stat stat;

    int above = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above < 0) {
        return err_of_errno(errno);
    }
    enum err err = ERR_MEMORY;
    struct blobs *blobs = calloc(1, sizeof *blobs);
    if (blobs == NULL) {
        goto fail;
    }
    blobs->world = world;
    blobs->folder = -1;
    if (mkdirat(above, folder_name, 0700) != 0 && errno != EEXIST) {
        err = err_of_errno(errno);
        goto fail;
    }
    blobs->folder = openat(above, folder_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (blobs->folder < 0 || fstat(blobs->folder, &stat) != 0) {
        err = err_of_errno(errno);
        goto fail;
    }
    if (stat.st_uid != geteuid()) {
        err = ERR_DENIED;
        goto fail;
    }
    if (fchmod(blobs->folder, 0700) != 0) {
        err = err_of_errno(errno);
        goto fail;
    }
    err = fsync(above) == 0 ? each_name(blobs, remove_new, NULL) : ERR_IO;
    if (err != ERR_OK) {
        goto fail;
    }
    close(above);
    *blobs_out = blobs;
    return ERR_OK;

fail:
    close(above);
    blobs_close(&blobs);
    return err;
}

void
blobs_close(struct blobs **blobs)
{
    if (*blobs == NULL) {
        return;
    }
    if ((*blobs)->folder >= 0) {
        close((*blobs)->folder);
    }
    free(*blobs);
    *blobs = NULL;
}

enum err
blobs_remove(struct blobs *blobs, const struct hash *address)
{
    char name[NAME_BYTES];
    bool removed = false;

    enum err err = world_disk(blobs->world, WORLD_DISK_RESERVED);
    for (int part = 0; part < 2 && err == ERR_OK; part++) {
        name_of(name, address, part == 1);
        if (unlinkat(blobs->folder, name, 0) == 0) {
            removed = true;
        } else if (errno != ENOENT) {
            err = err_of_errno(errno);
        }
    }
    return err == ERR_OK && removed ? sync_folder(blobs) : err;
}

struct listing {
    enum err (*each)(void *self, const struct hash *address, uint32_t chunk_count);
    void *self;
};

static enum err
list_one(struct blobs *blobs, const char *name, void *self)
{
    const struct listing *listing = self;
    struct hash address;
    uint32_t chunk_count = 0;
    struct stat stat;

    if (strlen(name) != 2 * HASH_BYTES || !bytes_from_hex(address.bytes, HASH_BYTES, name)) {
        return ERR_OK;
    }
    int file = openat(blobs->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return ERR_OK;
    }
    bool whole = read_header(file, &chunk_count) == ERR_OK && fstat(file, &stat) == 0 &&
                 (uint64_t)stat.st_size == blob_file_bytes(chunk_count);
    close(file);
    return whole ? listing->each(listing->self, &address, chunk_count) : ERR_OK;
}

enum err
blobs_each(struct blobs *blobs,
           enum err (*each)(void *self, const struct hash *address, uint32_t chunk_count), void *self)
{
    struct listing listing = { each, self };

    return each_name(blobs, list_one, &listing);
}

struct file_listing {
    enum err (*each)(void *self, const struct hash *address, uint64_t bytes);
    void *self;
};

static enum err
list_file(struct blobs *blobs, const char *name, void *self)
{
    const struct file_listing *listing = self;
    char hex[2 * HASH_BYTES + 1] = "";
    struct hash address;
    struct stat stat;
    size_t length = strlen(name);
    bool part =
        length == 2 * HASH_BYTES + sizeof part_suffix - 1 && strcmp(name + 2 * HASH_BYTES, part_suffix) == 0;

    if (length != 2 * HASH_BYTES && !part) {
        return ERR_OK;
    }
    memcpy(hex, name, 2 * HASH_BYTES);
    if (!bytes_from_hex(address.bytes, HASH_BYTES, hex) ||
        fstatat(blobs->folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        return ERR_OK;
    }
    return listing->each(listing->self, &address, stat.st_size > 0 ? (uint64_t)stat.st_size : 0);
}

enum err
blobs_each_file(struct blobs *blobs, enum err (*each)(void *self, const struct hash *address, uint64_t bytes),
                void *self)
{
    struct file_listing listing = { each, self };

    return each_name(blobs, list_file, &listing);
}

/* --- making one --- */

enum err
blob_writer_open(struct blob_writer **writer_out, struct blobs *blobs, uint64_t size)
{
    uint8_t header[FILE_HEADER_BYTES];
    uint32_t chunk_count = blob_chunk_count(size);

    if (chunk_count == 0) {
        return ERR_INVALID;
    }
    enum err err = ERR_MEMORY;
    struct blob_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return err;
    }
    writer->blobs = blobs;
    writer->file = -1;
    writer->size = size;
    writer->chunk_count = chunk_count;
    writer->head = calloc(blob_page_count(chunk_count), HASH_BYTES);
    if (writer->head == NULL) {
        goto fail;
    }
    world_random(blobs->world, writer->key.key.bytes, KEY_BYTES);
    crypto_sha256_begin(&writer->sum);
    (void)snprintf(writer->name, sizeof writer->name, "%s%llu", new_prefix,
                   (unsigned long long)++blobs->made);
    writer->file =
        openat(blobs->folder, writer->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (writer->file < 0 || fchmod(writer->file, 0600) != 0) {
        err = err_of_errno(errno);
        goto fail;
    }
    write_header(header, chunk_count);
    err = write_at(blobs, writer->file, 0, span_of(header, sizeof header));
    if (err != ERR_OK) {
        goto fail;
    }
    *writer_out = writer;
    return ERR_OK;

fail:
    blob_writer_close(&writer);
    return err;
}

static enum err
end_page(struct blob_writer *writer)
{
    struct hash hash;
    uint32_t page = (writer->index - 1) / BLOB_PAGE_CHUNKS;
    struct span hashes = span_of(writer->page, writer->page_size);

    blob_hash_page(&hash, hashes);
    memcpy(writer->head + writer->head_size, hash.bytes, HASH_BYTES);
    writer->head_size += HASH_BYTES;
    writer->page_size = 0;
    return write_at(writer->blobs, writer->file, page_offset(writer->chunk_count, page), hashes);
}

static enum err
end_chunk(struct blob_writer *writer)
{
    uint8_t sealed[BLOB_SEALED_BYTES];
    struct hash hash;

    blob_seal_chunk(sealed, &writer->key.key, writer->chunk_count, writer->index,
                    span_of(writer->plain, writer->plain_size));
    blob_hash_chunk(&hash, sealed);
    memcpy(writer->page + writer->page_size, hash.bytes, HASH_BYTES);
    writer->page_size += HASH_BYTES;
    writer->plain_size = 0;
    enum err err = write_at(writer->blobs, writer->file, chunk_offset(writer->chunk_count, writer->index),
                            span_of(sealed, sizeof sealed));
    writer->index++;
    if (err == ERR_OK && (writer->index % BLOB_PAGE_CHUNKS == 0 || writer->index == writer->chunk_count)) {
        err = end_page(writer);
    }
    return err;
}

enum err
blob_write(struct blob_writer *writer, struct span bytes)
{
    if (writer->err == ERR_OK && bytes.size > writer->size - writer->come) {
        writer->err = ERR_INVALID;
    }
    if (writer->err != ERR_OK) {
        return writer->err;
    }
    crypto_sha256_add(&writer->sum, bytes);
    writer->come += bytes.size;
    while (bytes.size > 0 && writer->err == ERR_OK) {
        size_t room = BLOB_CHUNK_BYTES - writer->plain_size;
        size_t part = bytes.size < room ? bytes.size : room;

        memcpy(writer->plain + writer->plain_size, bytes.data, part);
        writer->plain_size += part;
        bytes.data += part;
        bytes.size -= part;
        if (writer->plain_size == BLOB_CHUNK_BYTES) {
            writer->err = end_chunk(writer);
        }
    }
    return writer->err;
}

enum err
blob_writer_end(struct blob_writer *writer, struct blob_made *made_out)
{
    if (writer->err == ERR_OK && writer->come != writer->size) {
        writer->err = ERR_INVALID;
    }
    if (writer->err == ERR_OK && writer->plain_size > 0) {
        writer->err = end_chunk(writer);
    }
    if (writer->err != ERR_OK) {
        return writer->err;
    }
    struct span head = span_of(writer->head, writer->head_size);
    assert(writer->index == writer->chunk_count && head.size == head_bytes(writer->chunk_count));
    crypto_sha256_end(&writer->sum, &writer->key.content_hash);
    blob_address(&writer->address, writer->chunk_count, head);
    writer->err = write_at(writer->blobs, writer->file, FILE_HEADER_BYTES, head);
    if (writer->err == ERR_OK) {
        writer->err = sync_file(writer->blobs, writer->file);
    }
    if (writer->err == ERR_OK) {
        *made_out = (struct blob_made){ .address = writer->address,
                                        .key = writer->key,
                                        .size = writer->size,
                                        .chunk_count = writer->chunk_count };
    }
    return writer->err;
}

enum err
blob_writer_keep(struct blob_writer *writer)
{
    char name[NAME_BYTES];
    enum err err = world_disk(writer->blobs->world, WORLD_DISK_FILE);

    assert(writer->err == ERR_OK && !hash_is_zero(&writer->address));
    name_of(name, &writer->address, false);
    if (err == ERR_OK && renameat(writer->blobs->folder, writer->name, writer->blobs->folder, name) != 0) {
        err = err_of_errno(errno);
    }
    if (err == ERR_OK) {
        writer->kept = true;
        err = sync_folder(writer->blobs);
    }
    return err;
}

void
blob_writer_close(struct blob_writer **writer_in)
{
    struct blob_writer *writer = *writer_in;

    if (writer == NULL) {
        return;
    }
    if (writer->file >= 0) {
        close(writer->file);
        if (!writer->kept) {
            (void)unlinkat(writer->blobs->folder, writer->name, 0);
        }
    }
    free(writer->head);
    crypto_wipe(writer, sizeof *writer);
    free(writer);
    *writer_in = NULL;
}

/* --- one that is here --- */

/* Is it a file of ours that has all its bytes, and does its head, if it has come, give the address? */
static enum err
look_at(struct blob_file *file)
{
    struct stat stat;
    struct hash address;

    if (fstat(file->file, &stat) != 0) {
        return err_of_errno(errno);
    }
    if (!S_ISREG(stat.st_mode)) {
        return ERR_DENIED;
    }
    enum err err = read_header(file->file, &file->chunk_count);
    if (err != ERR_OK) {
        return err;
    }
    if ((uint64_t)stat.st_size != blob_file_bytes(file->chunk_count)) {
        return ERR_CORRUPT;
    }
    size_t size = (size_t)head_bytes(file->chunk_count);
    file->head = malloc(size);
    if (file->head == NULL) {
        return ERR_MEMORY;
    }
    err = read_at(file->file, FILE_HEADER_BYTES, file->head, size);
    if (err == ERR_OK) {
        blob_address(&address, file->chunk_count, span_of(file->head, size));
        file->head_here = hash_equal(&address, &file->address);
        err = file->whole && !file->head_here ? ERR_CORRUPT : ERR_OK;
    }
    return err;
}

static enum err
open_named(struct blob_file **file_out, struct blobs *blobs, const struct hash *address, bool part)
{
    char name[NAME_BYTES];
    struct blob_file *file = calloc(1, sizeof *file);

    if (file == NULL) {
        return ERR_MEMORY;
    }
    file->blobs = blobs;
    file->address = *address;
    file->whole = !part;
    file->writable = part;
    file->page_no = UINT32_MAX;
    name_of(name, address, part);
    file->file =
        openat(blobs->folder, name, (part ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    enum err err = file->file < 0 ? err_of_errno(errno) : look_at(file);
    if (err != ERR_OK) {
        blob_close(&file);
        return err;
    }
    *file_out = file;
    return ERR_OK;
}

enum err
blob_open(struct blob_file **file_out, struct blobs *blobs, const struct hash *address)
{
    enum err err = open_named(file_out, blobs, address, false);

    return err == ERR_ABSENT ? open_named(file_out, blobs, address, true) : err;
}

/* A file of the right size that holds nothing yet: it takes no room on the disk until its chunks come. */
static enum err
begin_part(struct blobs *blobs, const struct hash *address, uint32_t chunk_count)
{
    uint8_t header[FILE_HEADER_BYTES];
    char name[NAME_BYTES];

    name_of(name, address, true);
    int file = openat(blobs->folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) {
        return err_of_errno(errno);
    }
    write_header(header, chunk_count);
    enum err err = fchmod(file, 0600) == 0 && ftruncate(file, (off_t)blob_file_bytes(chunk_count)) == 0
                       ? write_at(blobs, file, 0, span_of(header, sizeof header))
                       : err_of_errno(errno);
    if (err == ERR_OK) {
        err = sync_file(blobs, file);
    }
    if (err == ERR_OK) {
        err = sync_folder(blobs);
    }
    close(file);
    if (err != ERR_OK) {
        (void)unlinkat(blobs->folder, name, 0);
    }
    return err;
}

enum err
blob_begin(struct blob_file **file_out, struct blobs *blobs, const struct hash *address, uint32_t chunk_count)
{
    char name[NAME_BYTES];

    if (chunk_count == 0 || chunk_count > BLOB_CHUNKS_MAX) {
        return ERR_INVALID;
    }
    enum err err = blob_open(file_out, blobs, address);
    if (err == ERR_CORRUPT) {
        /* What a crash or a bad disk left: nothing in it can be told from damage without its head. */
        name_of(name, address, true);
        (void)unlinkat(blobs->folder, name, 0);
        err = blob_open(file_out, blobs, address);
    }
    if (err == ERR_ABSENT) {
        err = begin_part(blobs, address, chunk_count);
        if (err == ERR_OK) {
            err = blob_open(file_out, blobs, address);
        }
    }
    if (err == ERR_OK && (*file_out)->chunk_count != chunk_count) {
        blob_close(file_out);
        err = ERR_INVALID;
    }
    return err;
}

void
blob_close(struct blob_file **file)
{
    if (*file == NULL) {
        return;
    }
    if ((*file)->file >= 0) {
        close((*file)->file);
    }
    free((*file)->head);
    free(*file);
    *file = NULL;
}

uint32_t
blob_chunks(const struct blob_file *file)
{
    return file->chunk_count;
}

bool
blob_is_whole(const struct blob_file *file)
{
    return file->whole;
}

bool
blob_has_head(const struct blob_file *file)
{
    return file->head_here;
}

enum err
blob_read_head(struct blob_file *file, struct buf *out)
{
    if (!file->head_here) {
        return ERR_ABSENT;
    }
    buf_put(out, file->head, (size_t)head_bytes(file->chunk_count));
    return out->failed ? ERR_MEMORY : ERR_OK;
}

static bool
page_matches(const struct blob_file *file, uint32_t page, struct span hashes)
{
    struct hash hash;

    blob_hash_page(&hash, hashes);
    return memcmp(hash.bytes, file->head + (size_t)page * HASH_BYTES, HASH_BYTES) == 0;
}

static struct span
page_span(const struct blob_file *file, uint32_t page)
{
    return span_of(file->page, (size_t)blob_page_chunks(file->chunk_count, page) * HASH_BYTES);
}

/* Have a page in memory, checked. */
static enum err
load_page(struct blob_file *file, uint32_t page)
{
    static const uint8_t nothing[HASH_BYTES];

    if (!file->head_here) {
        return ERR_ABSENT;
    }
    if (file->page_no == page) {
        return ERR_OK;
    }
    struct span hashes = page_span(file, page);
    file->page_no = UINT32_MAX;
    enum err err = read_at(file->file, page_offset(file->chunk_count, page), file->page, hashes.size);
    if (err != ERR_OK) {
        return err;
    }
    if (!page_matches(file, page, hashes)) {
        return memcmp(hashes.data, nothing, sizeof nothing) == 0 && !file->whole ? ERR_ABSENT : ERR_CORRUPT;
    }
    file->page_no = page;
    return ERR_OK;
}

enum err
blob_read_page(struct blob_file *file, uint32_t page, struct buf *out)
{
    assert(page < blob_page_count(file->chunk_count));
    enum err err = load_page(file, page);
    if (err == ERR_OK) {
        buf_put_span(out, page_span(file, page));
        err = out->failed ? ERR_MEMORY : ERR_OK;
    }
    return err;
}

static bool
chunk_matches(const struct blob_file *file, uint32_t index, const uint8_t sealed[BLOB_SEALED_BYTES])
{
    struct hash hash;

    blob_hash_chunk(&hash, sealed);
    return memcmp(hash.bytes, file->page + (size_t)(index % BLOB_PAGE_CHUNKS) * HASH_BYTES, HASH_BYTES) == 0;
}

enum err
blob_read_chunk(struct blob_file *file, uint32_t index, uint8_t out[BLOB_SEALED_BYTES])
{
    assert(index < file->chunk_count);
    enum err err = load_page(file, index / BLOB_PAGE_CHUNKS);
    if (err == ERR_OK) {
        err = read_at(file->file, chunk_offset(file->chunk_count, index), out, BLOB_SEALED_BYTES);
    }
    return err == ERR_OK && !chunk_matches(file, index, out) ? ERR_CORRUPT : err;
}

enum err
blob_put_head(struct blob_file *file, struct span head)
{
    struct hash address;

    if (file->head_here) {
        return ERR_OK;
    }
    if (head.size != head_bytes(file->chunk_count)) {
        return ERR_INVALID;
    }
    blob_address(&address, file->chunk_count, head);
    if (!hash_equal(&address, &file->address)) {
        return ERR_INVALID;
    }
    assert(file->writable);
    enum err err = write_at(file->blobs, file->file, FILE_HEADER_BYTES, head);
    if (err == ERR_OK) {
        memcpy(file->head, head.data, head.size);
        file->head_here = true;
    }
    return err;
}

enum err
blob_put_page(struct blob_file *file, uint32_t page, struct span hashes)
{
    if (!file->head_here) {
        return ERR_ABSENT;
    }
    if (page >= blob_page_count(file->chunk_count) ||
        hashes.size != (size_t)blob_page_chunks(file->chunk_count, page) * HASH_BYTES ||
        !page_matches(file, page, hashes)) {
        return ERR_INVALID;
    }
    if (file->whole) {
        return ERR_OK;
    }
    return write_at(file->blobs, file->file, page_offset(file->chunk_count, page), hashes);
}

enum err
blob_put_chunk(struct blob_file *file, uint32_t index, struct span sealed)
{
    if (index >= file->chunk_count || sealed.size != BLOB_SEALED_BYTES) {
        return ERR_INVALID;
    }
    enum err err = load_page(file, index / BLOB_PAGE_CHUNKS);
    if (err != ERR_OK) {
        return err == ERR_CORRUPT ? ERR_ABSENT : err;
    }
    if (!chunk_matches(file, index, sealed.data)) {
        return ERR_INVALID;
    }
    if (file->whole) {
        return ERR_OK;
    }
    return write_at(file->blobs, file->file, chunk_offset(file->chunk_count, index), sealed);
}

enum err
blob_sync(struct blob_file *file)
{
    return file->whole ? ERR_OK : sync_file(file->blobs, file->file);
}

enum err
blob_finish(struct blob_file *file)
{
    char part[NAME_BYTES];
    char name[NAME_BYTES];

    if (file->whole) {
        return ERR_OK;
    }
    enum err err = sync_file(file->blobs, file->file);
    name_of(part, &file->address, true);
    name_of(name, &file->address, false);
    if (err == ERR_OK && renameat(file->blobs->folder, part, file->blobs->folder, name) != 0) {
        err = err_of_errno(errno);
    }
    if (err != ERR_OK) {
        return err;
    }
    file->whole = true;
    return sync_folder(file->blobs);
}

enum err
blobs_reopen(struct blobs *blobs, const struct hash *address)
{
    char part[NAME_BYTES];
    char name[NAME_BYTES];

    name_of(part, address, true);
    name_of(name, address, false);
    if (renameat(blobs->folder, name, blobs->folder, part) != 0) {
        return err_of_errno(errno);
    }
    return sync_folder(blobs);
}

enum err
blob_check(struct blob_file *file, void (*damaged)(void *self, uint32_t index), void *self,
           uint32_t *count_out)
{
    uint8_t sealed[BLOB_SEALED_BYTES];

    *count_out = 0;
    for (uint32_t index = 0; index < file->chunk_count; index++) {
        enum err err = blob_read_chunk(file, index, sealed);

        if (err == ERR_OK) {
            continue;
        }
        if (err != ERR_CORRUPT && err != ERR_ABSENT) {
            return err;
        }
        (*count_out)++;
        if (damaged != NULL) {
            damaged(self, index);
        }
    }
    return ERR_OK;
}

/* --- reading its content --- */

enum err
blob_reader_init(struct blob_reader *reader, struct blob_file *file, const struct blob_key *key,
                 uint64_t size)
{
    if (blob_chunk_count(size) != file->chunk_count) {
        return ERR_INVALID;
    }
    *reader = (struct blob_reader){
        .file = file, .key = key->key, .content_hash = key->content_hash, .size = size
    };
    crypto_sha256_begin(&reader->sum);
    return ERR_OK;
}

/* How much of the content the next chunk holds, 0 after the last. */
static size_t
next_bytes(const struct blob_reader *reader)
{
    uint64_t before = (uint64_t)reader->next * BLOB_CHUNK_BYTES;

    if (before >= reader->size) {
        return 0;
    }
    return reader->size - before < BLOB_CHUNK_BYTES ? (size_t)(reader->size - before) : BLOB_CHUNK_BYTES;
}

static bool
is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;

    for (size_t n = 0; n < size; n++) {
        any |= bytes[n];
    }
    return any == 0;
}

enum err
blob_reader_next(struct blob_reader *reader, uint8_t out[BLOB_CHUNK_BYTES], size_t *size_out)
{
    uint8_t sealed[BLOB_SEALED_BYTES];
    size_t size = next_bytes(reader);

    *size_out = 0;
    if (size == 0) {
        struct crypto_sha256 sum = reader->sum;
        struct hash hash;

        crypto_sha256_end(&sum, &hash);
        return hash_equal(&hash, &reader->content_hash) ? ERR_OK : ERR_CORRUPT;
    }
    enum err err = blob_read_chunk(reader->file, reader->next, sealed);
    if (err != ERR_OK) {
        return err;
    }
    if (!blob_open_chunk(out, &reader->key, reader->file->chunk_count, reader->next, sealed)) {
        return ERR_CORRUPT;
    }
    if (!is_zero(out + size, BLOB_CHUNK_BYTES - size)) {
        crypto_wipe(out, BLOB_CHUNK_BYTES);
        return ERR_CORRUPT;
    }
    crypto_sha256_add(&reader->sum, span_of(out, size));
    reader->next++;
    *size_out = size;
    return ERR_OK;
}

void
blob_reader_wipe(struct blob_reader *reader)
{
    crypto_wipe(reader, sizeof *reader);
}
