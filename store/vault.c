#include "store/vault.h"

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
#include <time.h>
#include <unistd.h>

static const uint64_t memory_bytes_min = UINT64_C(64) << 20;
static const uint64_t memory_bytes_max = UINT64_C(4) << 30;
static const uint64_t memory_bytes_wanted = UINT64_C(256) << 20;
static const uint64_t work_ns_wanted = UINT64_C(1200) * 1000 * 1000;

static const char lock_magic[] = "VIGILLCK";
static const char file_magic[] = "VIGILBOX";
static const char lock_name[] = "lock";
static const char wrap_name[] = "wrap";
static const char anchor_name[] = "anchor";
static const char reserve_name[] = "reserve";

enum {
    MAGIC_BYTES = 8,
    LOCK_VERSION = 1,
    LOCK_METHODS_MAX = 8,
    LOCK_BYTES_MAX = 4096,
    METHOD_PASSPHRASE = 1,
    METHOD_PASSPHRASE_BYTES = 16 + 4 + 8 + HASH_BYTES + NONCE_BYTES + KEY_BYTES + SEAL_BYTES,
    PASSES_MAX = 1 << 16,
    FILE_VERSION = 1,
    FILE_HEADER_BYTES = MAGIC_BYTES + 1 + NONCE_BYTES,
    FILE_BYTES_MAX = 64 << 20,
    NAME_BYTES_MAX = 64,
    WRAP_VERSION = 1,
    ANCHOR_VERSION = 1,
    ANCHOR_LOG_BYTES = HASH_BYTES + 8,
};

/* One way to open the lock. */
struct passphrase_method {
    uint8_t salt[16];
    struct vault_work work;
    struct hash commitment; /* the AEAD alone would let one ciphertext open under two keys */
    struct nonce nonce;
    uint8_t sealed[KEY_BYTES + SEAL_BYTES]; /* the storage key */
};

struct lock {
    struct passphrase_method methods[LOCK_METHODS_MAX];
    size_t method_count; /* those by passphrase */
    struct {
        uint8_t type;
        struct span body;
    } others[LOCK_METHODS_MAX]; /* those that this program does not know; lent */
    size_t other_count;
};

/* --- Files ---------------------------------------------------------------- */

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
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ENOMEM:
        return ERR_MEMORY;
    default:
        return ERR_IO;
    }
}

static enum err
open_directory(const char *directory, int *out)
{
    *out = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out < 0 ? err_of_errno(errno) : ERR_OK;
}

static enum err
write_all(int file, struct span content)
{
    while (content.size > 0) {
        ssize_t written = write(file, content.data, content.size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? err_of_errno(errno) : ERR_IO;
        }
        content.data += written;
        content.size -= (size_t)written;
    }
    return ERR_OK;
}

/* Nothing stands at `name`, or a file of ours that may be replaced. */
static enum err
check_target(int directory, const char *name, bool replace)
{
    struct stat stat;

    if (fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? ERR_OK : err_of_errno(errno);
    }
    if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid()) {
        return ERR_DENIED;
    }
    return replace ? ERR_OK : ERR_EXISTS;
}

/* What becomes of a file that stands at the name already. */
enum old_file {
    OLD_STAYS,
    OLD_REPLACED,
    OLD_SHREDDED, /* replaced, and its bytes overwritten where they lie */
};

/* Overwrite a file that has lost its name. A file system that writes elsewhere keeps the old bytes: no promise. */
static void
shred(int file)
{
    static const uint8_t zeros[4096];
    struct stat stat;

    if (fstat(file, &stat) != 0) {
        return;
    }
    for (off_t at = 0; at < stat.st_size;) {
        ssize_t written = pwrite(file, zeros, sizeof zeros, at);
        if (written <= 0) {
            return;
        }
        at += written;
    }
    (void)fsync(file);
}

/* Write beside, sync, rename, sync the directory. ERR_IO may come after the rename. */
static enum err
write_at(int directory, const char *name, struct span content, enum old_file old)
{
    char beside[NAME_MAX + 1];
    bool replace = old != OLD_STAYS;
    int old_file = -1;
    int file = -1;

    int size = snprintf(beside, sizeof beside, ".%s.new", name);
    if (size < 0 || (size_t)size >= sizeof beside) {
        return ERR_INVALID;
    }
    enum err err = check_target(directory, name, replace);
    if (err != ERR_OK) {
        return err;
    }
    if (unlinkat(directory, beside, 0) != 0 && errno != ENOENT) {
        return err_of_errno(errno);
    }
    file = openat(directory, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) {
        return err_of_errno(errno);
    }
    if (fchmod(file, 0600) != 0) {
        err = err_of_errno(errno);
        goto fail;
    }
    err = write_all(file, content);
    if (err != ERR_OK) {
        goto fail;
    }
    if (fsync(file) != 0) {
        err = err_of_errno(errno);
        goto fail;
    }
    if (old == OLD_SHREDDED) {
        old_file = openat(directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    }
    int rc = replace ? renameat(directory, beside, directory, name)
                     : linkat(directory, beside, directory, name, 0);
    if (rc != 0) {
        err = err_of_errno(errno);
        goto fail;
    }
    close(file);
    if (!replace) {
        (void)unlinkat(directory, beside, 0);
    }
    err = fsync(directory) == 0 ? ERR_OK : ERR_IO;
    /* Only once the new one is sure to be found. */
    if (old_file >= 0 && err == ERR_OK) {
        shred(old_file);
    }
    if (old_file >= 0) {
        close(old_file);
    }
    return err;

fail:
    close(file);
    if (old_file >= 0) {
        close(old_file);
    }
    (void)unlinkat(directory, beside, 0);
    return err;
}

/* The whole of a regular file of at most `bytes_max`. ERR_CORRUPT: it is longer. */
static enum err
read_at(int directory, const char *name, size_t bytes_max, struct buf *out)
{
    struct stat stat;
    enum err err = ERR_OK;

    buf_clear(out);
    int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return err_of_errno(errno);
    }
    if (fstat(file, &stat) != 0) {
        err = err_of_errno(errno);
    } else if (!S_ISREG(stat.st_mode)) {
        err = ERR_DENIED;
    } else if ((uint64_t)stat.st_size > bytes_max) {
        err = ERR_CORRUPT;
    }
    size_t size = err == ERR_OK ? (size_t)stat.st_size : 0;
    uint8_t *at = size > 0 ? buf_extend(out, size) : NULL;
    if (size > 0 && at == NULL) {
        err = ERR_MEMORY;
    }
    size_t done = 0;
    while (err == ERR_OK && done < size) {
        ssize_t part = read(file, at + done, size - done);
        if (part > 0) {
            done += (size_t)part;
        } else if (part == 0) {
            err = ERR_CORRUPT;
        } else if (errno != EINTR) {
            err = err_of_errno(errno);
        }
    }
    close(file);
    if (err != ERR_OK) {
        buf_clear(out);
    }
    return err;
}

/* Open the directory of `path` and give the name within it. */
static enum err
open_parent(const char *path, int *directory_out, const char **name_out)
{
    const char *slash = strrchr(path, '/');

    *name_out = slash == NULL ? path : slash + 1;
    assert((*name_out)[0] != '\0');
    if (slash == NULL) {
        return open_directory(".", directory_out);
    }
    char *parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (parent == NULL) {
        return ERR_MEMORY;
    }
    enum err err = open_directory(parent, directory_out);
    free(parent);
    return err;
}

enum err
vault_write_plain(const char *path, struct span content)
{
    const char *name;
    int directory;

    enum err err = open_parent(path, &directory, &name);
    if (err != ERR_OK) {
        return err;
    }
    err = write_at(directory, name, content, OLD_REPLACED);
    close(directory);
    return err;
}

enum err
vault_read_plain(const char *path, size_t bytes_max, struct buf *content_out)
{
    const char *name;
    int directory;

    buf_clear(content_out);
    enum err err = open_parent(path, &directory, &name);
    if (err != ERR_OK) {
        return err;
    }
    err = read_at(directory, name, bytes_max, content_out);
    close(directory);
    return err;
}

/* --- Sealed files --------------------------------------------------------- */

static void
file_key(struct key *out, const struct key *storage_key)
{
    struct span from = span_of(storage_key->bytes, KEY_BYTES);

    crypto_derive(out, "vigil.fil.key.v1", &from, 1);
}

/* A sealed file is bound to its format and its name: one cannot stand for another. */
struct file_name {
    uint8_t bytes[MAGIC_BYTES + 1 + NAME_BYTES_MAX];
    size_t size;
};

static void
name_file(struct file_name *out, const char *name)
{
    size_t size = strlen(name);

    assert(size > 0 && size <= NAME_BYTES_MAX && strchr(name, '/') == NULL);
    memcpy(out->bytes, file_magic, MAGIC_BYTES);
    out->bytes[MAGIC_BYTES] = FILE_VERSION;
    memcpy(out->bytes + MAGIC_BYTES + 1, name, size);
    out->size = MAGIC_BYTES + 1 + size;
}

static enum err
write_sealed(const char *directory, const char *name, const struct key *storage_key, struct span content,
             const struct world *world, enum old_file old)
{
    struct file_name bound;
    struct nonce nonce;
    struct key key;
    struct buf file = { 0 };
    int at;

    name_file(&bound, name);
    enum err err = world_disk(world, WORLD_DISK_FILE);
    if (err != ERR_OK) {
        return err;
    }
    world_random(world, nonce.bytes, sizeof nonce.bytes);
    buf_put(&file, bound.bytes, MAGIC_BYTES + 1);
    buf_put(&file, nonce.bytes, sizeof nonce.bytes);
    uint8_t *sealed = buf_extend(&file, content.size + SEAL_BYTES);
    if (sealed == NULL) {
        buf_free(&file);
        return ERR_MEMORY;
    }
    file_key(&key, storage_key);
    crypto_seal(sealed, &key, &nonce, span_of(bound.bytes, bound.size), content);
    crypto_wipe(&key, sizeof key);
    err = open_directory(directory, &at);
    if (err == ERR_OK) {
        err = write_at(at, name, buf_span(&file), old);
        close(at);
    }
    buf_free(&file);
    return err;
}

enum err
vault_write_file(const char *directory, const char *name, const struct key *storage_key, struct span content,
                 const struct world *world)
{
    return write_sealed(directory, name, storage_key, content, world, OLD_REPLACED);
}

enum err
vault_read_file(const char *directory, const char *name, const struct key *storage_key,
                struct buf *content_out)
{
    struct file_name bound;
    struct nonce nonce;
    struct key key;
    struct buf file = { 0 };
    int at;

    buf_clear(content_out);
    name_file(&bound, name);
    enum err err = open_directory(directory, &at);
    if (err == ERR_OK) {
        err = read_at(at, name, FILE_BYTES_MAX, &file);
        close(at);
    }
    if (err != ERR_OK) {
        buf_free(&file);
        return err;
    }
    struct reader reader = reader_of(buf_span(&file));
    struct span magic = reader_span(&reader, MAGIC_BYTES);
    uint8_t version = reader_u8(&reader);
    reader_copy(&reader, nonce.bytes, sizeof nonce.bytes);
    struct span sealed = reader_span(&reader, reader_left(&reader));
    if (reader.failed || sealed.size < SEAL_BYTES || !span_equal(magic, span_of(file_magic, MAGIC_BYTES))) {
        err = ERR_CORRUPT;
    } else if (version != FILE_VERSION) {
        err = version > FILE_VERSION ? ERR_NEWER : ERR_CORRUPT;
    }
    uint8_t *content = err == ERR_OK ? buf_extend(content_out, sealed.size) : NULL;
    if (content != NULL) {
        file_key(&key, storage_key);
        bool opened = crypto_open(content, &key, &nonce, span_of(bound.bytes, bound.size), sealed);
        crypto_wipe(&key, sizeof key);
        content_out->size = opened ? sealed.size - SEAL_BYTES : 0;
        err = opened ? ERR_OK : ERR_CORRUPT;
    } else if (err == ERR_OK) {
        err = ERR_MEMORY;
    }
    buf_free(&file);
    return err;
}

/* --- The lock ------------------------------------------------------------- */

/* The two keys that a passphrase gives: one seals, of the other a hash stands in the lock. */
struct passphrase_keys {
    struct key seal;
    struct hash commitment;
};

static enum err
stretch(struct passphrase_keys *out, struct span passphrase, const uint8_t salt[16],
        const struct vault_work *work)
{
    struct key key;

    enum err err = crypto_passphrase_key(&key, passphrase, salt, work->passes, work->memory_bytes);
    if (err == ERR_OK) {
        struct span from = span_of(key.bytes, KEY_BYTES);
        crypto_derive(&out->seal, "vigil.lck.key.v1", &from, 1);
        CRYPTO_HASH(&out->commitment, "vigil.lck.com.v1", from);
    }
    crypto_wipe(&key, sizeof key);
    return err;
}

/* What the sealed storage key is bound to: everything of its method before the nonce. */
enum { METHOD_BOUND_BYTES = MAGIC_BYTES + 2 + 16 + 4 + 8 + HASH_BYTES };

static void
method_bound(const struct passphrase_method *method, uint8_t out[METHOD_BOUND_BYTES])
{
    uint8_t *at = out;

    memcpy(at, lock_magic, MAGIC_BYTES);
    at += MAGIC_BYTES;
    *at++ = LOCK_VERSION;
    *at++ = METHOD_PASSPHRASE;
    memcpy(at, method->salt, sizeof method->salt);
    at += sizeof method->salt;
    bytes_write_u32(at, method->work.passes);
    bytes_write_u64(at + 4, method->work.memory_bytes);
    memcpy(at + 12, method->commitment.bytes, HASH_BYTES);
}

static void
lock_encode(struct buf *buf, const struct lock *lock)
{
    struct hash check;

    assert(lock->method_count + lock->other_count <= LOCK_METHODS_MAX);
    buf_put(buf, lock_magic, MAGIC_BYTES);
    buf_put_u8(buf, LOCK_VERSION);
    buf_put_u8(buf, (uint8_t)(lock->method_count + lock->other_count));
    for (size_t n = 0; n < lock->method_count; n++) {
        const struct passphrase_method *method = &lock->methods[n];
        buf_put_u8(buf, METHOD_PASSPHRASE);
        buf_put_u16(buf, METHOD_PASSPHRASE_BYTES);
        buf_put(buf, method->salt, sizeof method->salt);
        buf_put_u32(buf, method->work.passes);
        buf_put_u64(buf, method->work.memory_bytes);
        buf_put(buf, method->commitment.bytes, HASH_BYTES);
        buf_put(buf, method->nonce.bytes, NONCE_BYTES);
        buf_put(buf, method->sealed, sizeof method->sealed);
    }
    for (size_t n = 0; n < lock->other_count; n++) {
        buf_put_u8(buf, lock->others[n].type);
        buf_put_u16(buf, (uint16_t)lock->others[n].body.size);
        buf_put_span(buf, lock->others[n].body);
    }
    CRYPTO_HASH(&check, "vigil.lck.sum.v1", buf_span(buf));
    buf_put(buf, check.bytes, HASH_BYTES);
}

static bool
work_in_bounds(const struct vault_work *work)
{
    return work->passes >= 1 && work->passes <= PASSES_MAX && work->memory_bytes >= memory_bytes_min &&
           work->memory_bytes <= memory_bytes_max;
}

static bool
method_decode(struct passphrase_method *method, struct span body)
{
    struct reader reader = reader_of(body);

    reader_copy(&reader, method->salt, sizeof method->salt);
    method->work.passes = reader_u32(&reader);
    method->work.memory_bytes = reader_u64(&reader);
    reader_copy(&reader, method->commitment.bytes, HASH_BYTES);
    reader_copy(&reader, method->nonce.bytes, NONCE_BYTES);
    reader_copy(&reader, method->sealed, sizeof method->sealed);
    return reader_done(&reader) && work_in_bounds(&method->work);
}

static enum err
lock_decode(struct lock *lock, struct span bytes)
{
    struct hash check;

    *lock = (struct lock){ 0 };
    if (bytes.size < MAGIC_BYTES + 2 + HASH_BYTES || bytes.size > LOCK_BYTES_MAX) {
        return ERR_CORRUPT;
    }
    /* Every version ends in this hash: a damaged lock must not look like a wrong passphrase. */
    struct span body = span_of(bytes.data, bytes.size - HASH_BYTES);
    CRYPTO_HASH(&check, "vigil.lck.sum.v1", body);
    if (!span_equal(hash_span(&check), span_of(bytes.data + body.size, HASH_BYTES))) {
        return ERR_CORRUPT;
    }
    struct reader reader = reader_of(body);
    if (!span_equal(reader_span(&reader, MAGIC_BYTES), span_of(lock_magic, MAGIC_BYTES))) {
        return ERR_CORRUPT;
    }
    uint8_t version = reader_u8(&reader);
    if (version != LOCK_VERSION) {
        return version > LOCK_VERSION ? ERR_NEWER : ERR_CORRUPT;
    }
    uint8_t count = reader_u8(&reader);
    if (count == 0 || count > LOCK_METHODS_MAX) {
        return ERR_CORRUPT;
    }
    for (uint8_t n = 0; n < count; n++) {
        uint8_t type = reader_u8(&reader);
        struct span method = reader_span(&reader, reader_u16(&reader));
        if (reader.failed) {
            return ERR_CORRUPT;
        }
        if (type != METHOD_PASSPHRASE) {
            lock->others[lock->other_count].type = type;
            lock->others[lock->other_count++].body = method;
        } else if (!method_decode(&lock->methods[lock->method_count++], method)) {
            return ERR_CORRUPT;
        }
    }
    if (!reader_done(&reader)) {
        return ERR_CORRUPT;
    }
    return lock->method_count > 0 ? ERR_OK : ERR_NEWER;
}

enum err
vault_lock_check(struct span bytes)
{
    struct lock lock;

    return lock_decode(&lock, bytes);
}

/* Seal the storage key under a passphrase, with the work that is set in `method`. */
static enum err
method_make(struct passphrase_method *method, struct span passphrase, const struct key *storage_key,
            const struct world *world)
{
    struct passphrase_keys keys;
    uint8_t bound[METHOD_BOUND_BYTES];

    world_random(world, method->salt, sizeof method->salt);
    enum err err = stretch(&keys, passphrase, method->salt, &method->work);
    if (err == ERR_OK) {
        world_random(world, method->nonce.bytes, NONCE_BYTES);
        method->commitment = keys.commitment;
        method_bound(method, bound);
        crypto_seal(method->sealed, &keys.seal, &method->nonce, span_of(bound, sizeof bound),
                    span_of(storage_key->bytes, KEY_BYTES));
    }
    crypto_wipe(&keys, sizeof keys);
    return err;
}

/* Seal a fresh storage key under the passphrase, and write `wrap` under it. */
static enum err
make_keys(struct passphrase_method *method, const char *directory, struct span passphrase,
          const struct world *world)
{
    struct key storage_key;

    world_random(world, storage_key.bytes, KEY_BYTES);
    enum err err = method_make(method, passphrase, &storage_key, world);
    if (err == ERR_OK) {
        err = wrap_make(directory, &storage_key, world);
    }
    crypto_wipe(&storage_key, sizeof storage_key);
    return err;
}

enum err
vault_make(const char *directory, struct span passphrase, const struct vault_work *work,
           const struct world *world)
{
    struct lock lock = { .methods = { { .work = *work } }, .method_count = 1 };
    struct buf file = { 0 };
    int at;

    if (passphrase.size == 0 || !work_in_bounds(work)) {
        return ERR_INVALID;
    }
    enum err err = open_directory(directory, &at);
    if (err != ERR_OK) {
        return err;
    }
    err = check_target(at, lock_name, false);
    if (err == ERR_OK) {
        err = world_disk(world, WORLD_DISK_FILE);
    }
    /* `lock` comes last: without it there is no vault yet, and it is not replaced. */
    if (err == ERR_OK) {
        err = make_keys(&lock.methods[0], directory, passphrase, world);
    }
    if (err == ERR_OK) {
        lock_encode(&file, &lock);
        err = file.failed ? ERR_MEMORY : write_at(at, lock_name, buf_span(&file), OLD_STAYS);
    }
    buf_free(&file);
    close(at);
    return err;
}

/* Read the lock, whose bytes are in `file` and lent by `lock`. */
static enum err
lock_read(int directory, struct buf *file, struct lock *lock)
{
    enum err err = read_at(directory, lock_name, LOCK_BYTES_MAX, file);

    return err == ERR_OK ? lock_decode(lock, buf_span(file)) : err;
}

/* Try the passphrase on each method by passphrase: `opened_out` says which it opens. Every method is tried to its end,
 * whichever opens: how long it takes says nothing. ERR_PASSPHRASE: none; then the key is zero. */
static enum err
lock_open(const struct lock *lock, struct span passphrase, struct key *storage_key,
          bool opened_out[LOCK_METHODS_MAX])
{
    enum err err = ERR_OK;
    bool found = false;

    for (size_t n = 0; n < lock->method_count && err == ERR_OK; n++) {
        const struct passphrase_method *method = &lock->methods[n];
        struct passphrase_keys keys;
        struct key opened;
        uint8_t bound[METHOD_BOUND_BYTES];
        err = stretch(&keys, passphrase, method->salt, &method->work);
        if (err != ERR_OK) {
            break;
        }
        method_bound(method, bound);
        bool committed = crypto_equal(keys.commitment.bytes, method->commitment.bytes, HASH_BYTES);
        bool opens = crypto_open(opened.bytes, &keys.seal, &method->nonce, span_of(bound, sizeof bound),
                                 span_of(method->sealed, sizeof method->sealed));
        opened_out[n] = committed && opens;
        if (opened_out[n]) {
            memcpy(storage_key->bytes, opened.bytes, KEY_BYTES);
            found = true;
        }
        crypto_wipe(&keys, sizeof keys);
        crypto_wipe(&opened, sizeof opened);
    }
    if (err == ERR_OK && !found) {
        err = ERR_PASSPHRASE;
    }
    if (err != ERR_OK) {
        crypto_wipe(storage_key, sizeof *storage_key);
    }
    return err;
}

enum err
vault_open(const char *directory, struct span passphrase, struct key *storage_key)
{
    bool opened[LOCK_METHODS_MAX] = { false };
    struct buf file = { 0 };
    struct lock lock;
    int at;

    crypto_wipe(storage_key, sizeof *storage_key);
    enum err err = open_directory(directory, &at);
    if (err == ERR_OK) {
        err = lock_read(at, &file, &lock);
        close(at);
    }
    if (err == ERR_OK) {
        err = lock_open(&lock, passphrase, storage_key, opened);
    }
    buf_free(&file);
    return err;
}

/* Put one new method in the place of those that the old passphrase opened. */
static enum err
lock_change(struct lock *lock, struct span old, struct span fresh, const struct vault_work *work,
            const struct world *world)
{
    struct lock changed = { .method_count = 1 };
    bool opened[LOCK_METHODS_MAX] = { false };
    struct key storage_key;

    enum err err = lock_open(lock, old, &storage_key, opened);
    if (err == ERR_OK) {
        changed.methods[0].work = *work;
        err = method_make(&changed.methods[0], fresh, &storage_key, world);
    }
    crypto_wipe(&storage_key, sizeof storage_key);
    if (err != ERR_OK) {
        return err;
    }
    for (size_t n = 0; n < lock->method_count; n++) {
        if (!opened[n]) {
            changed.methods[changed.method_count++] = lock->methods[n];
        }
    }
    memcpy(lock->methods, changed.methods, sizeof lock->methods);
    lock->method_count = changed.method_count;
    return ERR_OK;
}

enum err
vault_change_passphrase(const char *directory, struct span old, struct span fresh,
                        const struct vault_work *work, const struct world *world)
{
    struct buf file = { 0 };
    struct buf changed = { 0 };
    struct lock lock;
    int at;

    if (fresh.size == 0 || !work_in_bounds(work)) {
        return ERR_INVALID;
    }
    enum err err = open_directory(directory, &at);
    if (err != ERR_OK) {
        return err;
    }
    err = lock_read(at, &file, &lock);
    if (err == ERR_OK) {
        err = lock_change(&lock, old, fresh, work, world);
    }
    if (err == ERR_OK) {
        err = world_disk(world, WORLD_DISK_FILE);
    }
    if (err == ERR_OK) {
        lock_encode(&changed, &lock);
        err = changed.failed ? ERR_MEMORY : write_at(at, lock_name, buf_span(&changed), OLD_REPLACED);
    }
    close(at);
    buf_free(&file);
    buf_free(&changed);
    return err;
}

/* How long one try with this work takes. False: the machine cannot give the memory. */
static bool
measure(const struct vault_work *work, uint64_t *ns_out)
{
    static const uint8_t salt[16] = "calibration salt";
    struct timespec from;
    struct timespec to;
    struct key key;

    clock_gettime(CLOCK_MONOTONIC, &from);
    enum err err =
        crypto_passphrase_key(&key, span_text("calibration"), salt, work->passes, work->memory_bytes);
    clock_gettime(CLOCK_MONOTONIC, &to);
    crypto_wipe(&key, sizeof key);
    *ns_out =
        (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000 + (uint64_t)to.tv_nsec - (uint64_t)from.tv_nsec;
    return err == ERR_OK;
}

void
vault_calibrate(struct vault_work *work_out)
{
    struct vault_work work = { .passes = 1, .memory_bytes = memory_bytes_wanted };
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t ns = 0;

    /* A quarter of the machine at most: what it promises beyond that, it may not have. */
    while (pages > 0 && page_bytes > 0 && work.memory_bytes > memory_bytes_min &&
           work.memory_bytes > (uint64_t)pages * (uint64_t)page_bytes / 4) {
        work.memory_bytes /= 2;
    }
    while (!measure(&work, &ns) && work.memory_bytes > memory_bytes_min) {
        work.memory_bytes /= 2;
    }
    /* The first pass pays for the pages of the memory too, so the others are measured beside it. */
    while (ns < work_ns_wanted && work.passes < PASSES_MAX / 2) {
        uint64_t each = ns / work.passes + 1;
        uint64_t passes = (work_ns_wanted + each - 1) / each;
        work.passes =
            passes > work.passes ? (uint32_t)(passes < PASSES_MAX ? passes : PASSES_MAX) : work.passes + 1;
        if (!measure(&work, &ns)) {
            break;
        }
    }
    *work_out = work;
}

/* --- The wrapping key ----------------------------------------------------- */

enum err
wrap_write(const char *directory, const struct key *storage_key, const struct wrap *wrap,
           const struct world *world)
{
    uint8_t content[1 + 4 + KEY_BYTES] = { WRAP_VERSION };

    bytes_write_u32(content + 1, wrap->generation);
    memcpy(content + 5, wrap->key.bytes, KEY_BYTES);
    enum err err = write_sealed(directory, wrap_name, storage_key, span_of(content, sizeof content), world,
                                OLD_SHREDDED);
    crypto_wipe(content, sizeof content);
    return err;
}

enum err
wrap_make(const char *directory, const struct key *storage_key, const struct world *world)
{
    struct wrap wrap = { .generation = 0 };

    world_random(world, wrap.key.bytes, KEY_BYTES);
    enum err err = wrap_write(directory, storage_key, &wrap, world);
    crypto_wipe(&wrap, sizeof wrap);
    return err;
}

enum err
wrap_read(const char *directory, const struct key *storage_key, struct wrap *wrap_out)
{
    struct buf content = { 0 };

    crypto_wipe(wrap_out, sizeof *wrap_out);
    enum err err = vault_read_file(directory, wrap_name, storage_key, &content);
    if (err == ERR_OK) {
        struct reader reader = reader_of(buf_span(&content));
        uint8_t version = reader_u8(&reader);
        wrap_out->generation = reader_u32(&reader);
        reader_copy(&reader, wrap_out->key.bytes, KEY_BYTES);
        if (version > WRAP_VERSION) {
            err = ERR_NEWER;
        } else if (version != WRAP_VERSION || !reader_done(&reader)) {
            err = ERR_CORRUPT;
        }
    }
    if (err != ERR_OK) {
        crypto_wipe(wrap_out, sizeof *wrap_out);
    }
    buf_wipe(&content);
    return err;
}

void
wrap_folder(uint32_t generation, char name_out[WRAP_FOLDER_BYTES])
{
    if (generation == 0) {
        (void)snprintf(name_out, WRAP_FOLDER_BYTES, "keys");
    } else {
        (void)snprintf(name_out, WRAP_FOLDER_BYTES, "keys-%u", (unsigned)generation);
    }
}

/* Remove a folder of plain files. */
static enum err
remove_folder(int directory, const char *name)
{
    const struct dirent *entry;
    enum err err = ERR_OK;

    int at = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
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
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(at, entry->d_name, 0) != 0) {
            err = err_of_errno(errno);
        }
    }
    closedir(folder);
    if (err == ERR_OK && unlinkat(directory, name, AT_REMOVEDIR) != 0) {
        err = err_of_errno(errno);
    }
    return err;
}

/* Is this the name of keys/ in another generation? */
static bool
is_other_folder(const char *name, uint32_t generation)
{
    char own[WRAP_FOLDER_BYTES];

    wrap_folder(generation, own);
    if (strcmp(name, own) == 0) {
        return false;
    }
    bool numbered =
        strncmp(name, "keys-", 5) == 0 && name[5] != '\0' && name[5 + strspn(name + 5, "0123456789")] == '\0';
    return numbered || strcmp(name, "keys") == 0;
}

enum err
wrap_clear(const char *directory, uint32_t generation)
{
    const struct dirent *entry;
    bool removed = false;
    enum err err = ERR_OK;

    DIR *all = opendir(directory);
    if (all == NULL) {
        return err_of_errno(errno);
    }
    while (err == ERR_OK && (entry = readdir(all)) != NULL) {
        if (is_other_folder(entry->d_name, generation)) {
            err = remove_folder(dirfd(all), entry->d_name);
            removed = true;
        }
    }
    if (err == ERR_OK && removed && fsync(dirfd(all)) != 0) {
        err = ERR_IO;
    }
    closedir(all);
    return err;
}

/* --- The reserve ---------------------------------------------------------- */

enum err
reserve_make(const char *directory, uint64_t bytes, const struct world *world)
{
    struct stat stat;
    int at;

    enum err err = world_disk(world, WORLD_DISK_FILE);
    if (err == ERR_OK) {
        err = open_directory(directory, &at);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (fstatat(at, reserve_name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(stat.st_mode) &&
        (uint64_t)stat.st_blocks * 512 >= bytes) {
        close(at);
        return ERR_OK;
    }
    (void)unlinkat(at, reserve_name, 0);
    int file = openat(at, reserve_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) {
        err = err_of_errno(errno);
    } else {
        int failed = posix_fallocate(file, 0, (off_t)bytes);
        err = failed == 0 ? ERR_OK : err_of_errno(failed);
        close(file);
        if (err != ERR_OK) {
            (void)unlinkat(at, reserve_name, 0);
        }
    }
    close(at);
    return err;
}

bool
reserve_release(const char *directory)
{
    int at;

    if (open_directory(directory, &at) != ERR_OK) {
        return false;
    }
    bool released = unlinkat(at, reserve_name, 0) == 0;
    close(at);
    return released;
}

/* --- The anchor ----------------------------------------------------------- */

static int
compare_logs(const struct anchor_log *a, const struct anchor_log *b)
{
    return hash_compare(&a->log_id, &b->log_id);
}

static void
anchor_encode(struct buf *buf, const struct anchor *anchor)
{
    buf_put_u8(buf, ANCHOR_VERSION);
    buf_put_span(buf, hash_span(&anchor->device_id));
    buf_put(buf, anchor->incarnation, sizeof anchor->incarnation);
    buf_put_span(buf, ident_span(&anchor->database_id));
    buf_put_u32(buf, (uint32_t)anchor->log_count);
    for (size_t n = 0; n < anchor->log_count; n++) {
        assert(n == 0 || compare_logs(&anchor->logs[n - 1], &anchor->logs[n]) < 0);
        buf_put_span(buf, hash_span(&anchor->logs[n].log_id));
        buf_put_u64(buf, anchor->logs[n].last_seq);
    }
}

enum err
anchor_decode(struct span bytes, struct anchor *anchor_out)
{
    struct reader reader = reader_of(bytes);
    struct anchor anchor = { 0 };

    *anchor_out = anchor;
    uint8_t version = reader_u8(&reader);
    if (version != ANCHOR_VERSION) {
        return version > ANCHOR_VERSION ? ERR_NEWER : ERR_CORRUPT;
    }
    reader_copy(&reader, anchor.device_id.bytes, HASH_BYTES);
    reader_copy(&reader, anchor.incarnation, sizeof anchor.incarnation);
    reader_copy(&reader, anchor.database_id.bytes, IDENT_BYTES);
    uint32_t count = reader_u32(&reader);
    if (reader.failed || reader_left(&reader) != (uint64_t)count * ANCHOR_LOG_BYTES) {
        return ERR_CORRUPT;
    }
    if (count > 0) {
        anchor.logs = calloc(count, sizeof *anchor.logs);
        if (anchor.logs == NULL) {
            return ERR_MEMORY;
        }
    }
    anchor.log_count = count;
    for (size_t n = 0; n < count; n++) {
        reader_copy(&reader, anchor.logs[n].log_id.bytes, HASH_BYTES);
        anchor.logs[n].last_seq = reader_u64(&reader);
        if (n > 0 && compare_logs(&anchor.logs[n - 1], &anchor.logs[n]) >= 0) {
            anchor_free(&anchor);
            return ERR_CORRUPT;
        }
    }
    *anchor_out = anchor;
    return ERR_OK;
}

enum err
anchor_write(const char *directory, const struct key *storage_key, const struct anchor *anchor,
             const struct world *world)
{
    struct buf content = { 0 };

    anchor_encode(&content, anchor);
    enum err err = ERR_MEMORY;
    if (!content.failed) {
        err = vault_write_file(directory, anchor_name, storage_key, buf_span(&content), world);
    }
    buf_wipe(&content);
    return err;
}

enum err
anchor_read(const char *directory, const struct key *storage_key, struct anchor *anchor_out)
{
    struct buf content = { 0 };

    *anchor_out = (struct anchor){ 0 };
    enum err err = vault_read_file(directory, anchor_name, storage_key, &content);
    if (err == ERR_OK) {
        err = anchor_decode(buf_span(&content), anchor_out);
    }
    buf_wipe(&content);
    return err;
}

void
anchor_free(struct anchor *anchor)
{
    free(anchor->logs);
    anchor->logs = NULL;
    anchor->log_count = 0;
}
