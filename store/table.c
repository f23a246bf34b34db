#include "store/table.h"
#include "store/table_rescue.h"

#include "store/base/log.h"
#include "store/base/world.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* Default durability. Readers are told apart by transaction, not by thread. The map is read ahead of:
 * the journal is read in order, and a replica is meant to fit into memory. */
#define LMDB_FLAGS ((unsigned)MDB_NOTLS)
_Static_assert((LMDB_FLAGS & (MDB_NOSYNC | MDB_MAPASYNC | MDB_WRITEMAP | MDB_NOMETASYNC | MDB_NOMEMINIT |
                              MDB_NOLOCK | MDB_FIXEDMAP)) == 0,
               "each of these trades safety away");

enum {
    FORMAT_BYTES = 5,   /* version u32, set */
    FORMAT_NUMBER = 0,  /* the number of the format row's own table */
    MAP_STEP = 1 << 16, /* maps are whole pages on every machine */
    HASH_PARTS_MAX = 8,
    MESSAGE_BYTES_MAX = 1 + TABLE_KEY_BYTES_MAX + ROW_TAG_BYTES,
    GROW_WAIT_SECONDS = 2,
    COPY_BYTES_MAX = 16 << 20, /* of rows, in one transaction of a copy */
};

static const uint64_t map_bytes_max = UINT64_C(1) << 46;

/* Kept free for what must work on a full disk: this much, or an eighth of a small disk. */
static const uint64_t reserve_bytes_max = UINT64_C(64) << 20;
enum { RESERVE_SHARE = 8 };

/* LMDB writes at most so much at once. */
enum { SHORT_WRITE_BYTES = 1 << 20 };

static const char format_name[] = "format";
static const char owner_name[] = "owner";
static const char owner_mark[] = "made\n";
static const char data_name[] = "data.mdb";
static const char beside_name[] = "data.mdb.new";

enum row_kind { TAGGED, SEALED };

/* Every table. The number goes into tags and seals: it is never changed and never used again. */
static const struct table_kind {
    const char *name;
    uint8_t number;
    enum table_set set;
    enum row_kind kind;
} kinds[TABLE_COUNT] = {
    [TABLE_META] = { "meta", 1, TABLE_SET_MAIN, SEALED },
    [TABLE_LOGS] = { "logs", 2, TABLE_SET_MAIN, SEALED },
    [TABLE_LOGID] = { "logid", 3, TABLE_SET_MAIN, TAGGED },
    [TABLE_ENT] = { "ent", 4, TABLE_SET_MAIN, TAGGED },
    [TABLE_SIG] = { "sig", 5, TABLE_SET_MAIN, TAGGED },
    [TABLE_CHG] = { "chg", 6, TABLE_SET_MAIN, TAGGED },
    [TABLE_REC] = { "rec", 7, TABLE_SET_MAIN, TAGGED },
    [TABLE_RECNO] = { "recno", 8, TABLE_SET_MAIN, SEALED },
    [TABLE_CELL] = { "cell", 9, TABLE_SET_MAIN, TAGGED },
    [TABLE_SUM] = { "sum", 12, TABLE_SET_MAIN, SEALED },
    [TABLE_CONF] = { "conf", 13, TABLE_SET_MAIN, SEALED },
    [TABLE_IDX] = { "idx", 14, TABLE_SET_MAIN, TAGGED },
    [TABLE_TOKEN] = { "token", 15, TABLE_SET_MAIN, SEALED },
    [TABLE_PEND] = { "pend", 16, TABLE_SET_MAIN, TAGGED },
    [TABLE_PEER] = { "peer", 17, TABLE_SET_MAIN, SEALED },
    [TABLE_PCHK] = { "pchk", 18, TABLE_SET_MAIN, SEALED },
    [TABLE_PFRONT] = { "pfront", 19, TABLE_SET_MAIN, TAGGED },
    [TABLE_CERT] = { "cert", 20, TABLE_SET_MAIN, SEALED },
    [TABLE_ROSTER] = { "roster", 21, TABLE_SET_MAIN, SEALED },
    [TABLE_REVOKE] = { "revoke", 22, TABLE_SET_MAIN, SEALED },
    [TABLE_ERASE] = { "erase", 23, TABLE_SET_MAIN, SEALED },
    [TABLE_BLOBM] = { "blobm", 24, TABLE_SET_MAIN, TAGGED },
    [TABLE_KEYS_RECORD] = { "record", 25, TABLE_SET_KEYS, SEALED },
    [TABLE_KEYS_PAYLOAD] = { "payload", 26, TABLE_SET_KEYS, TAGGED },
    [TABLE_KEYS_EPOCH] = { "epoch", 27, TABLE_SET_KEYS, SEALED },
};

/* LMDB was never meant to lie on these when they are shared over a network. */
static const uint32_t file_systems[] = {
    0x0000ef53, /* ext4 and its parents */
    0x58465342, /* xfs */
    0x9123683e, /* btrfs */
    0x01021994, /* tmpfs */
    0x794c7630, /* overlayfs */
    0x2fc12fc1, /* zfs */
    0xf2f52010, /* f2fs */
};

struct row_keys {
    uint8_t tag[16];   /* over number, row key and the hash of the value */
    uint8_t value[16]; /* hashes the value */
    struct key seal;
    struct key hash; /* row keys that stand for ids */
};

struct table_txn {
    struct table_env *env;
    MDB_txn *lmdb;
    enum err error;
    bool writes;
    uint64_t write_count; /* so that a walk knows when to place itself anew */
    uint32_t walk_count;  /* walks that hold an LMDB cursor */
    /* Of a writer, one for each table that it has used: rows of one entry lie near those of the one
     * before, so LMDB mostly stays on its page (a fifth more puts). Freed by LMDB with the transaction. */
    MDB_cursor *near[TABLE_COUNT];
};

struct table_env {
    MDB_env *lmdb;
    char *path;
    int directory;
    int owner; /* holds the lock against a second process */
    enum table_set set;
    bool read_only;
    const struct world *world;
    struct row_keys keys;
    uint8_t secrets[TABLE_SECRET_COUNT][16];
    MDB_dbi dbi[TABLE_COUNT];
    MDB_dbi format;
    atomic_bool poisoned;
    bool full; /* the map was full in a transaction: grow before the next */
    _Atomic uint64_t corrupt_count;
    struct table_txn writer;
    struct buf scratch; /* the row that the writer builds */

    /* Growing the map moves it away under readers, so it waits for them and they for it. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t reader_count;
    bool growing;
};

static enum err
err_of(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return ERR_OK;
    case MDB_NOTFOUND:
    case ENOENT:
        return ERR_ABSENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ENOMEM:
        return ERR_MEMORY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PAGE_FULL:
    case MDB_CURSOR_FULL:
    case MDB_INCOMPATIBLE:
    case MDB_INVALID:
    case MDB_BAD_DBI:
        return ERR_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return ERR_NEWER;
    case MDB_READERS_FULL:
    case EAGAIN:
    case EBUSY:
        return ERR_BUSY;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case ENOTDIR:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

static MDB_val
val_of(struct span span)
{
    return (MDB_val){ span.size, (void *)(uintptr_t)span.data };
}

static struct span
span_of_val(const MDB_val *val)
{
    return (struct span){ val->mv_data, val->mv_size };
}

/* --- Rows: tags and seals ------------------------------------------------- */

/* What a tag is over, and what a seal is bound to: the table's number, then the key. */
struct row_name {
    uint8_t bytes[MESSAGE_BYTES_MAX];
    size_t size;
};

static void
name_row(struct row_name *name, uint8_t number, struct span key)
{
    assert(key.size > 0 && key.size <= TABLE_KEY_BYTES_MAX);
    name->bytes[0] = number;
    memcpy(name->bytes + 1, key.data, key.size);
    name->size = 1 + key.size;
}

static MDB_val
name_key(struct row_name *name)
{
    return (MDB_val){ name->size - 1, name->bytes + 1 };
}

static void
row_tag(const struct row_keys *keys, struct row_name *name, struct span value, uint8_t tag_out[ROW_TAG_BYTES])
{
    crypto_short_hash(name->bytes + name->size, keys->value, value);
    crypto_short_hash(tag_out, keys->tag, span_of(name->bytes, name->size + ROW_TAG_BYTES));
}

/* Build the stored form of a value. False: no memory. */
static bool
row_build(struct table_env *env, enum row_kind kind, struct row_name *name, struct span value)
{
    buf_clear(&env->scratch);
    if (kind == TAGGED) {
        uint8_t *at = buf_extend(&env->scratch, value.size + ROW_TAG_BYTES);
        if (at == NULL) {
            return false;
        }
        if (value.size > 0) {
            memcpy(at, value.data, value.size);
        }
        row_tag(&env->keys, name, value, at + value.size);
        return true;
    }
    uint8_t *at = buf_extend(&env->scratch, NONCE_BYTES + value.size + SEAL_BYTES);
    if (at == NULL) {
        return false;
    }
    struct nonce nonce;
    world_random(env->world, nonce.bytes, sizeof nonce.bytes);
    memcpy(at, nonce.bytes, sizeof nonce.bytes);
    crypto_seal(at + NONCE_BYTES, &env->keys.seal, &nonce, span_of(name->bytes, name->size), value);
    return true;
}

static bool
row_size_possible(enum row_kind kind, size_t size)
{
    size_t added = kind == TAGGED ? ROW_TAG_BYTES : NONCE_BYTES + SEAL_BYTES;

    return size >= added && size - added <= TABLE_VALUE_BYTES_MAX;
}

/* Check a tagged row and lend its value. */
static bool
row_check(const struct table_env *env, struct row_name *name, struct span stored, struct span *value_out)
{
    uint8_t tag[ROW_TAG_BYTES];

    if (!row_size_possible(TAGGED, stored.size)) {
        return false;
    }
    struct span value = span_of(stored.data, stored.size - ROW_TAG_BYTES);
    row_tag(&env->keys, name, value, tag);
    if (!crypto_equal(tag, stored.data + value.size, ROW_TAG_BYTES)) {
        return false;
    }
    *value_out = value;
    return true;
}

/* Open a sealed row into `out`, which is empty unless it opens. ERR_CORRUPT, ERR_MEMORY. */
static enum err
row_open(const struct table_env *env, const struct row_name *name, struct span stored, struct buf *out)
{
    struct nonce nonce;

    buf_clear(out);
    if (!row_size_possible(SEALED, stored.size)) {
        return ERR_CORRUPT;
    }
    struct span sealed = span_of(stored.data + NONCE_BYTES, stored.size - NONCE_BYTES);
    uint8_t *at = buf_extend(out, sealed.size);
    if (at == NULL) {
        return ERR_MEMORY;
    }
    memcpy(nonce.bytes, stored.data, sizeof nonce.bytes);
    bool opened = crypto_open(at, &env->keys.seal, &nonce, span_of(name->bytes, name->size), sealed);
    out->size = opened ? sealed.size - SEAL_BYTES : 0;
    return opened ? ERR_OK : ERR_CORRUPT;
}

static void
derive_keys(struct row_keys *keys, const struct key *key)
{
    struct span from = span_of(key->bytes, sizeof key->bytes);
    struct key derived;

    crypto_derive(&derived, "vigil.row.tag.v1", &from, 1);
    memcpy(keys->tag, derived.bytes, sizeof keys->tag);
    crypto_derive(&derived, "vigil.row.val.v1", &from, 1);
    memcpy(keys->value, derived.bytes, sizeof keys->value);
    crypto_wipe(&derived, sizeof derived);
    crypto_derive(&keys->seal, "vigil.row.key.v1", &from, 1);
    crypto_derive(&keys->hash, "vigil.row.hsh.v1", &from, 1);
}

void
table_hash(const struct table_env *env, uint8_t out[16], const char *context, const struct span *parts,
           size_t part_count)
{
    struct span keyed[1 + HASH_PARTS_MAX];
    struct hash hash;

    assert(part_count <= HASH_PARTS_MAX);
    keyed[0] = span_of(env->keys.hash.bytes, sizeof env->keys.hash.bytes);
    for (size_t n = 0; n < part_count; n++) {
        keyed[1 + n] = parts[n];
    }
    crypto_hash_parts(&hash, context, keyed, 1 + part_count);
    memcpy(out, hash.bytes, 16);
}

const uint8_t *
table_secret(const struct table_env *env, enum table_secret which)
{
    return env->secrets[which];
}

static void
make_secrets(struct table_env *env)
{
    table_hash(env, env->secrets[TABLE_SECRET_TARGET], "vigil.target.v1", NULL, 0);
    table_hash(env, env->secrets[TABLE_SECRET_VALUE], "vigil.value.v1", NULL, 0);
}

/* --- Opening -------------------------------------------------------------- */

/* The directory: ours, 0700, on a file system of the list. */
static enum err
open_directory(struct table_env *env)
{
    struct stat stat;
    struct statfs fs;

    bool made = !env->read_only && mkdir(env->path, 0700) == 0;
    if (!made && !env->read_only && errno != EEXIST) {
        return err_of(errno);
    }
    env->directory = open(env->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (env->directory < 0) {
        return err_of(errno);
    }
    if (fstat(env->directory, &stat) != 0 || fstatfs(env->directory, &fs) != 0) {
        return err_of(errno);
    }
    if (stat.st_uid != geteuid()) {
        return ERR_DENIED;
    }
    if (!env->read_only && fchmod(env->directory, 0700) != 0) {
        return err_of(errno);
    }
    bool allowed = false;
    for (size_t n = 0; n < sizeof file_systems / sizeof file_systems[0]; n++) {
        allowed = allowed || file_systems[n] == (uint32_t)fs.f_type;
    }
    if (!allowed) {
        return ERR_DENIED;
    }
    if (made) {
        int parent = openat(env->directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        bool synced = parent >= 0 && fsync(parent) == 0;
        if (parent >= 0) {
            close(parent);
        }
        return synced ? ERR_OK : ERR_IO;
    }
    return ERR_OK;
}

/* Take the lock against a second process; tells whether the environment was ever whole. */
static enum err
lock_owner(struct table_env *env, bool *made_out)
{
    struct stat stat;
    int flags = env->read_only ? O_RDONLY : O_RDWR | O_CREAT;

    env->owner = openat(env->directory, owner_name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (env->owner < 0) {
        return err_of(errno);
    }
    if (fstat(env->owner, &stat) != 0) {
        return err_of(errno);
    }
    if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid()) {
        return ERR_DENIED;
    }
    if (flock(env->owner, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? ERR_BUSY : err_of(errno);
    }
    if (!env->read_only && fchmod(env->owner, 0600) != 0) {
        return err_of(errno);
    }
    *made_out = stat.st_size > 0;
    return ERR_OK;
}

/* LMDB follows symlinks and takes an empty file for a new one, so both are looked at before. */
static enum err
check_file(const struct table_env *env, const char *name, bool wanted)
{
    struct stat stat;

    if (fstatat(env->directory, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) {
            return err_of(errno);
        }
        return wanted ? ERR_CORRUPT : ERR_OK;
    }
    if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid()) {
        return ERR_DENIED;
    }
    return wanted && stat.st_size == 0 ? ERR_CORRUPT : ERR_OK;
}

static enum err
set_map(struct table_env *env, uint64_t bytes)
{
    bytes = (bytes + MAP_STEP - 1) / MAP_STEP * MAP_STEP;
    if (bytes > map_bytes_max || bytes > SIZE_MAX) {
        return ERR_FULL;
    }
    return err_of(mdb_env_set_mapsize(env->lmdb, (size_t)bytes));
}

struct pages {
    uint64_t map_bytes;
    uint64_t file_bytes;
    uint64_t commits;
};

static struct pages
count_pages(const struct table_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;

    if (env->lmdb == NULL) {
        return (struct pages){ 0 }; /* it could not be opened again */
    }
    mdb_env_info(env->lmdb, &info);
    mdb_env_stat(env->lmdb, &stat);
    return (struct pages){ info.me_mapsize, (info.me_last_pgno + 1) * stat.ms_psize, info.me_last_txnid };
}

/* LMDB opens data.mdb once more for the meta pages, and that descriptor would live on in a program
 * that we start. It tells nobody its number, so it is found by the file it stands for. */
static enum err
close_on_exec(const struct table_env *env)
{
    struct stat wanted;
    struct stat stat;
    const struct dirent *entry;

    if (fstatat(env->directory, data_name, &wanted, AT_SYMLINK_NOFOLLOW) != 0) {
        return err_of(errno);
    }
    DIR *own = opendir("/proc/self/fd");
    if (own == NULL) {
        return err_of(errno);
    }
    while ((entry = readdir(own)) != NULL) {
        int descriptor = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fstat(descriptor, &stat) == 0 && stat.st_dev == wanted.st_dev &&
            stat.st_ino == wanted.st_ino) {
            (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        }
    }
    closedir(own);
    return ERR_OK;
}

static enum err
open_lmdb(struct table_env *env, size_t map_bytes)
{
    struct stat stat;
    int descriptor;
    int dead;

    int rc = mdb_env_create(&env->lmdb);
    if (rc != MDB_SUCCESS) {
        return err_of(rc);
    }
    rc = mdb_env_set_maxdbs(env->lmdb, TABLE_COUNT + 1);
    if (rc == MDB_SUCCESS) {
        unsigned flags = LMDB_FLAGS | (env->read_only ? (unsigned)MDB_RDONLY : 0U);
        rc = mdb_env_open(env->lmdb, env->path, flags, 0600);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_get_fd(env->lmdb, &descriptor);
    }
    if (rc != MDB_SUCCESS) {
        return err_of(rc);
    }
    enum err err = close_on_exec(env);
    if (err != ERR_OK) {
        return err;
    }
    /* So far only the two first pages were touched. */
    if (fstat(descriptor, &stat) != 0) {
        return err_of(errno);
    }
    struct pages pages = count_pages(env);
    if (pages.file_bytes > map_bytes_max || (uint64_t)stat.st_size < pages.file_bytes) {
        return ERR_CORRUPT;
    }
    if (!env->read_only &&
        (fchmod(descriptor, 0600) != 0 || fchmodat(env->directory, "lock.mdb", 0600, 0) != 0)) {
        return err_of(errno);
    }
    rc = mdb_reader_check(env->lmdb, &dead);
    if (rc != MDB_SUCCESS) {
        return err_of(rc);
    }
    bool grow = pages.map_bytes < map_bytes || pages.map_bytes > map_bytes_max;
    return grow ? set_map(env, map_bytes > pages.file_bytes ? map_bytes : pages.file_bytes) : ERR_OK;
}

/* Does the format row open, and does it say what we can read? ERR_ABSENT: there is none. */
static enum err
check_format(struct table_env *env)
{
    struct row_name name;
    struct buf opened = { 0 };
    MDB_txn *txn;
    MDB_val value;

    int rc = mdb_txn_begin(env->lmdb, NULL, MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS) {
        return err_of(rc);
    }
    name_row(&name, FORMAT_NUMBER, span_text(format_name));
    MDB_val key = name_key(&name);
    rc = mdb_dbi_open(txn, format_name, 0, &env->format);
    if (rc == MDB_SUCCESS) {
        rc = mdb_get(txn, env->format, &key, &value);
    }
    enum err err = err_of(rc);
    if (err == ERR_OK) {
        err = row_open(env, &name, span_of_val(&value), &opened);
    }
    if (err == ERR_OK) {
        struct reader reader = reader_of(buf_span(&opened));
        uint32_t version = reader_u32(&reader);
        uint8_t set = reader_u8(&reader);
        if (version > TABLE_FORMAT_VERSION) {
            err = ERR_NEWER;
        } else if (version != TABLE_FORMAT_VERSION || !reader_done(&reader) || set != (uint8_t)env->set) {
            err = ERR_CORRUPT;
        }
    }
    mdb_txn_abort(txn);
    buf_wipe(&opened);
    return err;
}

/* A bit flipped in a table's own description would change how LMDB orders its keys. */
static int
open_dbi(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi_out)
{
    unsigned stored = 0;

    int rc = mdb_dbi_open(txn, name, flags, dbi_out);
    if (rc == MDB_SUCCESS) {
        rc = mdb_dbi_flags(txn, *dbi_out, &stored);
    }
    return rc == MDB_SUCCESS && stored != 0 ? MDB_CORRUPTED : rc;
}

/* Open every table of the set; make them only where all is new. A table that is missing later is damage:
 * made anew it would be empty, and a flipped bit in its name would have swallowed its rows. */
static enum err
open_tables(struct table_env *env, bool new)
{
    unsigned create = new ? (unsigned)MDB_CREATE : 0U;
    MDB_txn *txn;

    int rc = mdb_txn_begin(env->lmdb, NULL, new ? 0U : (unsigned)MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS) {
        return err_of(rc);
    }
    rc = open_dbi(txn, format_name, create, &env->format);
    for (size_t n = 0; n < TABLE_COUNT && rc == MDB_SUCCESS; n++) {
        if (kinds[n].set == env->set) {
            rc = open_dbi(txn, kinds[n].name, create, &env->dbi[n]);
        }
    }
    if (rc == MDB_SUCCESS && new) {
        struct row_name name;
        uint8_t format[FORMAT_BYTES];
        name_row(&name, FORMAT_NUMBER, span_text(format_name));
        bytes_write_u32(format, TABLE_FORMAT_VERSION);
        format[4] = (uint8_t)env->set;
        rc = row_build(env, SEALED, &name, span_of(format, sizeof format)) ? MDB_SUCCESS : ENOMEM;
        if (rc == MDB_SUCCESS) {
            MDB_val key = name_key(&name);
            MDB_val value = val_of(buf_span(&env->scratch));
            rc = mdb_put(txn, env->format, &key, &value, 0);
        }
    }
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc == MDB_NOTFOUND ? ERR_CORRUPT : err_of(rc);
    }
    return err_of(mdb_txn_commit(txn));
}

static enum err
mark_made(const struct table_env *env)
{
    size_t size = sizeof owner_mark - 1;
    ssize_t written = pwrite(env->owner, owner_mark, size, 0);

    if (written != (ssize_t)size) {
        return written < 0 ? err_of(errno) : ERR_FULL;
    }
    return fsync(env->owner) == 0 && fsync(env->directory) == 0 ? ERR_OK : ERR_IO;
}

static enum err
open_env(struct table_env *env, const struct table_options *options)
{
    bool made = false;

    enum err err = open_directory(env);
    if (err == ERR_OK) {
        err = lock_owner(env, &made);
    }
    if (err == ERR_OK) {
        err = check_file(env, data_name, made);
    }
    if (err == ERR_OK) {
        err = check_file(env, "lock.mdb", false);
    }
    /* A crash left a compacted copy half-way: it holds what is to be deleted. */
    if (err == ERR_OK && !env->read_only && unlinkat(env->directory, beside_name, 0) != 0 &&
        errno != ENOENT) {
        err = err_of(errno);
    }
    if (err == ERR_OK) {
        err = open_lmdb(env, options->map_bytes);
    }
    if (err != ERR_OK) {
        return err;
    }
    err = check_format(env);
    bool new = err == ERR_ABSENT && !made && !env->read_only;
    if (err != ERR_OK && !new) {
        return err == ERR_ABSENT ? ERR_CORRUPT : err;
    }
    err = open_tables(env, new);
    if (err == ERR_OK && !made && !env->read_only) {
        err = mark_made(env);
    }
    return err;
}

enum err
table_env_open(struct table_env **env_out, const struct table_options *options)
{
    assert(options->path != NULL && options->path[0] != '\0');
    assert(options->key != NULL && options->world != NULL);

    *env_out = NULL;
    struct table_env *env = calloc(1, sizeof *env);
    if (env == NULL) {
        return ERR_MEMORY;
    }
    pthread_mutex_init(&env->mutex, NULL);
    pthread_cond_init(&env->changed, NULL);
    env->directory = -1;
    env->owner = -1;
    env->set = options->set;
    env->read_only = options->read_only;
    env->world = options->world;
    derive_keys(&env->keys, options->key);
    make_secrets(env);
    enum err err = ERR_MEMORY;
    env->path = strdup(options->path);
    if (env->path == NULL) {
        goto fail;
    }
    /* With a slash at its end a symlink would be followed. */
    for (size_t size = strlen(env->path); size > 1 && env->path[size - 1] == '/'; size--) {
        env->path[size - 1] = '\0';
    }
    err = open_env(env, options);
    if (err != ERR_OK) {
        goto fail;
    }
    *env_out = env;
    return ERR_OK;

fail:
    table_env_close(&env);
    return err;
}

/* Of LMDB's pages and rows, as mdb.c writes them, and its own table of free pages. */
enum { LEAF_FLAG = 2, ROW_HEAD_BYTES = 8, FREE_DBI = 0 };

/* What the rows that were met say of the map. */
struct probe {
    const struct world *world;
    uint64_t until_ms;
    size_t page_bytes;
    uintptr_t map;  /* where page 0 would be; 0: not known yet */
    uintptr_t page; /* of the row that was met last; 0: none was */
    size_t leaves;  /* how often it was another: rows of a page lie together */
    size_t rows;    /* of that page, and what they take of it */
    size_t row_bytes;
    uint8_t *taken; /* a bit for each page that is free, or was met already */
    size_t page_count;
};

/* Every byte of what a cursor gives is looked at: a page that is not in the file shows only then. */
static void
touch(const MDB_val *value)
{
    const volatile uint8_t *bytes = value->mv_data;

    for (size_t n = 0; n < value->mv_size; n++) {
        (void)bytes[n];
    }
}

/* True if the page that this lies in is where its number, with which it begins, says: else it was written to the place of another, and rows
 * that verify would be found there and others not at all. */
static bool
is_in_place(struct probe *probe, const void *at)
{
    uintptr_t page = (uintptr_t)at - (uintptr_t)at % probe->page_bytes;
    size_t number;

    memcpy(&number, (const void *)page, sizeof number);
    uintptr_t map = page - number * probe->page_bytes;
    probe->map = probe->map == 0 ? map : probe->map;
    return map == probe->map;
}

/* Take page `number` for the first time. False: there is none, or somebody has it already. */
static bool
take_page(struct probe *probe, size_t number)
{
    if (number >= probe->page_count || (probe->taken[number / 8] >> number % 8 & 1) != 0) {
        return false;
    }
    probe->taken[number / 8] |= (uint8_t)(1 << number % 8);
    return true;
}

/* The pages that are free, as LMDB's own table of them says (lmdb.h calls it the freelist; mdb_stat -f reads it so). A row that lies in one
 * is of a time that is over: an old page above it was written to the place of the one in use. */
static int
take_free_pages(MDB_txn *txn, struct probe *probe)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    size_t count;
    size_t number;

    int rc = mdb_cursor_open(txn, FREE_DBI, &cursor);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    }
    while (rc == MDB_SUCCESS && world_steady_ms(probe->world) < probe->until_ms) {
        if (value.mv_size < sizeof count) {
            rc = MDB_CORRUPTED;
            break;
        }
        memcpy(&count, value.mv_data, sizeof count);
        if (count > value.mv_size / sizeof number - 1) {
            rc = MDB_CORRUPTED;
        }
        for (size_t n = 1; rc == MDB_SUCCESS && n <= count; n++) {
            memcpy(&number, (const uint8_t *)value.mv_data + n * sizeof number, sizeof number);
            rc = take_page(probe, number) ? MDB_SUCCESS : MDB_CORRUPTED;
        }
        if (rc == MDB_SUCCESS) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* What a row takes on its page: MDB_node in mdb.c, at even places. */
static size_t
bytes_of_row(size_t key_bytes, size_t value_bytes)
{
    size_t bytes = ROW_HEAD_BYTES + key_bytes + value_bytes;

    return bytes + bytes % 2;
}

/* The row that is met next lies on another page, or there is none: true if the rows of the page before it are all that it says to hold, and
 * fill it as they do where LMDB put them, with no byte between them. It moves bytes by these numbers when a row is written or removed, so
 * one that is wrong lets it write where it must not. The numbers are those of MDB_page in mdb.c. */
static bool
leave_page(struct probe *probe)
{
    bool good = true;
    struct {
        size_t number;
        uint16_t pad;
        uint16_t flags;
        uint16_t lower; /* where the list of its rows ends */
        uint16_t upper; /* where the first of them lies */
    } head;

    if (probe->rows > 0) {
        memcpy(&head, (const void *)probe->page, sizeof head);
        good = head.flags == LEAF_FLAG && head.lower == sizeof head + probe->rows * sizeof(uint16_t) &&
               head.upper + probe->row_bytes == probe->page_bytes;
    }
    probe->rows = 0;
    probe->row_bytes = 0;
    return good;
}

static void
begin_tree(struct probe *probe)
{
    probe->page = 0;
    probe->leaves = 0;
    probe->rows = 0;
    probe->row_bytes = 0;
}

/* A row, whose value may take pages of its own. */
static bool
probe_row(struct probe *probe, const MDB_val *key, const MDB_val *value)
{
    uintptr_t at = (uintptr_t)key->mv_data;
    uintptr_t page = at - at % probe->page_bytes;
    uintptr_t end = page + probe->page_bytes;
    bool beside =
        value->mv_size > 0 && ((uintptr_t)value->mv_data < page || (uintptr_t)value->mv_data >= end);

    if (at + key->mv_size > end || (!beside && (uintptr_t)value->mv_data + value->mv_size > end)) {
        return false;
    }
    touch(key);
    touch(value);
    if (page != probe->page) {
        if (!leave_page(probe)) {
            return false;
        }
        probe->leaves++;
        probe->page = page;
    }
    probe->rows++;
    probe->row_bytes += bytes_of_row(key->mv_size, beside ? sizeof(size_t) : value->mv_size);
    return is_in_place(probe, key->mv_data) && (!beside || is_in_place(probe, value->mv_data));
}

/* True if the way from the root leads to this row: a key on a page above it that is not as it was leads past it, and a walk from one row to
 * the next does not show that. */
static bool
is_led_to(MDB_cursor *cursor, const MDB_val *key, const MDB_val *value)
{
    MDB_cursor *way = NULL; /* one that was on the page already would not begin at the root */
    MDB_val name = *key;
    MDB_val found;

    int rc = mdb_cursor_open(mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor), &way);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_get(way, &name, &found, MDB_SET_KEY);
    }
    mdb_cursor_close(way);
    return rc == MDB_SUCCESS && found.mv_data == value->mv_data;
}

/* LMDB's own table of free pages, the first that it has, is in the order of numbers, each other in that of bytes. */
static bool
is_before(MDB_dbi dbi, const MDB_val *a, const MDB_val *b)
{
    size_t numbers[2];

    if (dbi != FREE_DBI) {
        return span_compare(span_of_val(a), span_of_val(b)) < 0;
    }
    if (a->mv_size != sizeof numbers[0] || b->mv_size != sizeof numbers[1]) {
        return false;
    }
    memcpy(&numbers[0], a->mv_data, sizeof numbers[0]);
    memcpy(&numbers[1], b->mv_data, sizeof numbers[1]);
    return numbers[0] < numbers[1];
}

/* All rows one after the other, for as long as there is time; the ways to the first and the last of each page. MDB_CORRUPTED: they are other
 * than their table says, not in order, or on other pages. */
static int
probe_rows(MDB_cursor *cursor, const MDB_stat *stat, struct probe *probe)
{
    MDB_val last_key = { 0, NULL };
    MDB_val last_value = { 0, NULL };
    size_t count = 0;
    MDB_val value;
    MDB_val key;

    int rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (rc == MDB_SUCCESS) {
        begin_tree(probe);
        rc = probe_row(probe, &key, &value) ? mdb_cursor_get(cursor, &key, &value, MDB_FIRST) : MDB_CORRUPTED;
    }
    begin_tree(probe);
    while (rc == MDB_SUCCESS && world_steady_ms(probe->world) < probe->until_ms) {
        uintptr_t met = probe->page;
        bool good = (count == 0 || is_before(mdb_cursor_dbi(cursor), &last_key, &key)) &&
                    probe_row(probe, &key, &value);

        if (good && probe->page != met) {
            good = take_page(probe, (probe->page - probe->map) / probe->page_bytes) &&
                   (count == 0 || is_led_to(cursor, &last_key, &last_value)) &&
                   is_led_to(cursor, &key, &value);
        }
        count++;
        last_key = key;
        last_value = value;
        rc = good ? mdb_cursor_get(cursor, &key, &value, MDB_NEXT) : MDB_CORRUPTED;
    }
    if (rc == MDB_NOTFOUND) {
        bool good = leave_page(probe) && (count == 0 || is_led_to(cursor, &last_key, &last_value)) &&
                    count == stat->ms_entries && probe->leaves == stat->ms_leaf_pages;
        rc = good ? MDB_SUCCESS : MDB_CORRUPTED;
    }
    return rc;
}

static int
probe_dbi(MDB_txn *txn, MDB_dbi dbi, struct probe *probe)
{
    MDB_cursor *cursor = NULL;
    MDB_stat stat;

    int rc = mdb_stat(txn, dbi, &stat);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(txn, dbi, &cursor);
    }
    if (rc == MDB_SUCCESS) {
        probe->page_bytes = stat.ms_psize;
        rc = probe_rows(cursor, &stat, probe);
    }
    mdb_cursor_close(cursor);
    return rc;
}

/* NULL: the table of tables. */
static int
probe_table(MDB_txn *txn, const char *name, struct probe *probe)
{
    MDB_dbi dbi;

    int rc = open_dbi(txn, name, 0, &dbi);
    return rc == MDB_SUCCESS ? probe_dbi(txn, dbi, probe) : rc;
}

/* Every tree of pages that there is. */
static int
probe_all(MDB_txn *txn, enum table_set set, struct probe *probe)
{
    int rc = probe_dbi(txn, FREE_DBI, probe);

    if (rc == MDB_SUCCESS) {
        rc = take_free_pages(txn, probe);
    }
    if (rc == MDB_SUCCESS) {
        rc = probe_table(txn, NULL, probe);
    }
    if (rc == MDB_SUCCESS) {
        rc = probe_table(txn, format_name, probe);
    }
    for (size_t n = 0; n < TABLE_COUNT && rc == MDB_SUCCESS; n++) {
        if (kinds[n].set == set) {
            rc = probe_table(txn, kinds[n].name, probe);
        }
    }
    return rc;
}

enum err
table_env_probe(const struct table_options *options, uint64_t ms)
{
    struct table_env env = { .directory = -1,
                             .owner = -1,
                             .set = options->set,
                             .read_only = true,
                             .world = options->world,
                             .path = (char *)(uintptr_t)options->path };
    struct probe probe = { .world = options->world, .until_ms = world_steady_ms(options->world) + ms };
    bool made = false;
    MDB_txn *txn;

    enum err err = open_directory(&env);
    if (err == ERR_OK) {
        err = lock_owner(&env, &made);
    }
    if (err == ERR_OK) {
        err = check_file(&env, data_name, made);
    }
    if (err == ERR_OK) {
        err = made ? open_lmdb(&env, options->map_bytes) : ERR_ABSENT;
    }
    if (err == ERR_OK) {
        err = err_of(mdb_txn_begin(env.lmdb, NULL, MDB_RDONLY, &txn));
    }
    if (err == ERR_OK) {
        MDB_envinfo info;
        int rc = mdb_env_info(env.lmdb, &info);

        probe.page_count = info.me_last_pgno + 1;
        probe.taken = calloc(probe.page_count / 8 + 1, 1);
        rc = rc != MDB_SUCCESS ? rc : probe.taken == NULL ? ENOMEM : probe_all(txn, env.set, &probe);
        free(probe.taken);
        mdb_txn_abort(txn);
        err = rc == MDB_NOTFOUND ? ERR_CORRUPT : err_of(rc);
    }
    if (env.lmdb != NULL) {
        mdb_env_close(env.lmdb);
    }
    if (env.owner >= 0) {
        close(env.owner);
    }
    if (env.directory >= 0) {
        close(env.directory);
    }
    return err;
}

void
table_env_close(struct table_env **env_inout)
{
    struct table_env *env = *env_inout;

    *env_inout = NULL;
    if (env == NULL) {
        return;
    }
    assert(env->writer.lmdb == NULL && env->reader_count == 0);
    if (env->lmdb != NULL) {
        mdb_env_close(env->lmdb);
    }
    if (env->owner >= 0) {
        close(env->owner);
    }
    if (env->directory >= 0) {
        close(env->directory);
    }
    crypto_wipe(&env->keys, sizeof env->keys);
    crypto_wipe(env->secrets, sizeof env->secrets);
    buf_free(&env->scratch);
    free(env->path);
    pthread_cond_destroy(&env->changed);
    pthread_mutex_destroy(&env->mutex);
    free(env);
}

static uint64_t
tree_bytes(const MDB_stat *stat)
{
    return (uint64_t)(stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages) * stat->ms_psize;
}

void
table_env_stat(struct table_env *env, struct table_stat *stat_out)
{
    struct table_txn *txn;
    struct pages pages = count_pages(env);

    *stat_out = (struct table_stat){
        .map_bytes = pages.map_bytes,
        .file_bytes = pages.file_bytes,
        .corrupt_count = env->corrupt_count,
        .commits = pages.commits,
        .full = env->full,
    };
    if (table_begin_read(env, &txn) != ERR_OK) {
        return;
    }
    MDB_stat stat;
    for (size_t n = 0; n < TABLE_COUNT; n++) {
        if (kinds[n].set == env->set && mdb_stat(txn->lmdb, env->dbi[n], &stat) == MDB_SUCCESS) {
            stat_out->used_bytes += tree_bytes(&stat);
        }
    }
    /* The tables' own descriptions, the format row, and two pages that begin every file. */
    stat_out->compact_bytes = stat_out->used_bytes;
    if (mdb_stat(txn->lmdb, env->format, &stat) == MDB_SUCCESS) {
        stat_out->compact_bytes += tree_bytes(&stat);
    }
    mdb_env_stat(env->lmdb, &stat);
    stat_out->compact_bytes += tree_bytes(&stat) + 2 * (uint64_t)stat.ms_psize;
    table_abort(&txn);
}

/* --- Compacting ----------------------------------------------------------- */

/* Wait until no reader is in the map; new ones wait for us meanwhile. False: a reader stays. */
static bool
hold_readers(struct table_env *env, bool wait)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GROW_WAIT_SECONDS;
    pthread_mutex_lock(&env->mutex);
    env->growing = wait || env->reader_count == 0;
    while (env->growing && env->reader_count > 0) {
        if (pthread_cond_timedwait(&env->changed, &env->mutex, &until) == ETIMEDOUT) {
            env->growing = env->reader_count == 0;
            pthread_cond_broadcast(&env->changed);
        }
    }
    bool held = env->growing;
    pthread_mutex_unlock(&env->mutex);
    return held;
}

static void
release_readers(struct table_env *env)
{
    pthread_mutex_lock(&env->mutex);
    env->growing = false;
    pthread_cond_broadcast(&env->changed);
    pthread_mutex_unlock(&env->mutex);
}

uint64_t
table_env_room(const struct table_env *env)
{
    struct statvfs fs;

    return fstatvfs(env->directory, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

uint64_t
table_reserve_bytes(uint64_t disk_bytes)
{
    uint64_t share = disk_bytes / RESERVE_SHARE;

    return share < reserve_bytes_max ? share : reserve_bytes_max;
}

/* What LMDB tells of its readers, in words alone. */
struct reader_list {
    uint32_t count;
    size_t oldest;
};

static int
note_reader(const char *line, void *self)
{
    struct reader_list *list = self;
    int pid = 0;
    size_t thread = 0;
    size_t txn = 0;

    /* A heading, and a reader without a transaction, have no third number. */
    if (sscanf(line, "%d %zx %zu", &pid, &thread, &txn) == 3) {
        list->oldest = list->count == 0 || txn < list->oldest ? txn : list->oldest;
        list->count++;
    }
    return 0;
}

enum err
table_env_readers(struct table_env *env, struct table_readers *out)
{
    struct reader_list list = { .count = 0 };
    MDB_envinfo info;
    int dead = 0;

    *out = (struct table_readers){ .count = 0 };
    if (mdb_reader_check(env->lmdb, &dead) != MDB_SUCCESS ||
        mdb_reader_list(env->lmdb, note_reader, &list) < 0 || mdb_env_info(env->lmdb, &info) != MDB_SUCCESS) {
        return ERR_IO;
    }
    out->count = list.count;
    out->cleared = (uint32_t)dead;
    out->behind = list.count > 0 && info.me_last_txnid > list.oldest ? info.me_last_txnid - list.oldest : 0;
    return ERR_OK;
}

/* The copy that is being made: an LMDB file of its own, beside ours. */
struct beside {
    MDB_env *lmdb;
    MDB_txn *txn;
    MDB_dbi dbi[TABLE_COUNT];
    MDB_dbi format;
    size_t bytes; /* put since the last commit */
};

static int
beside_begin(struct beside *beside)
{
    beside->bytes = 0;
    return mdb_txn_begin(beside->lmdb, NULL, 0, &beside->txn);
}

static int
beside_commit(struct beside *beside)
{
    int rc = mdb_txn_commit(beside->txn);

    beside->txn = NULL;
    return rc;
}

/* A file without a lock of its own, synced once at its end: nobody else opens it, and only whole it is used. */
static int
beside_open(const struct table_env *env, const char *path, uint64_t map_bytes, struct beside *beside)
{
    int rc = mdb_env_create(&beside->lmdb);

    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_maxdbs(beside->lmdb, TABLE_COUNT + 1);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_mapsize(beside->lmdb, (size_t)map_bytes);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_open(beside->lmdb, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NOSYNC, 0600);
    }
    if (rc == MDB_SUCCESS) {
        rc = beside_begin(beside);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_dbi_open(beside->txn, format_name, MDB_CREATE, &beside->format);
    }
    for (size_t n = 0; n < TABLE_COUNT && rc == MDB_SUCCESS; n++) {
        if (kinds[n].set == env->set) {
            rc = mdb_dbi_open(beside->txn, kinds[n].name, MDB_CREATE, &beside->dbi[n]);
        }
    }
    return rc == MDB_SUCCESS ? beside_commit(beside) : rc;
}

/* Begin another transaction once this one holds much: few pages are dirty at a time. */
static int
beside_note(struct beside *beside, size_t bytes)
{
    int rc = MDB_SUCCESS;

    beside->bytes += bytes;
    if (beside->bytes > COPY_BYTES_MAX) {
        rc = beside_commit(beside);
        rc = rc == MDB_SUCCESS ? beside_begin(beside) : rc;
    }
    return rc;
}

/* Copy every row of one table, as it is stored, in several transactions. */
static int
copy_table(MDB_txn *from, MDB_dbi from_dbi, struct beside *beside, MDB_dbi dbi)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val stored;

    int rc = mdb_cursor_open(from, from_dbi, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = beside_begin(beside);
    int step = mdb_cursor_get(cursor, &key, &stored, MDB_FIRST);
    while (rc == MDB_SUCCESS && step == MDB_SUCCESS) {
        rc = mdb_put(beside->txn, dbi, &key, &stored, MDB_APPEND);
        if (rc == MDB_KEYEXIST) {
            /* A damaged key is out of order; whoever looks for its row does not find it here either. */
            rc = mdb_put(beside->txn, dbi, &key, &stored, 0);
        }
        rc = rc == MDB_BAD_VALSIZE ? MDB_SUCCESS : rc;
        rc = rc == MDB_SUCCESS ? beside_note(beside, key.mv_size + stored.mv_size) : rc;
        step = mdb_cursor_get(cursor, &key, &stored, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (rc == MDB_SUCCESS && step != MDB_NOTFOUND) {
        rc = step;
    }
    return rc == MDB_SUCCESS ? beside_commit(beside) : rc;
}

static int
copy_tables(const struct table_env *env, struct beside *beside)
{
    MDB_txn *from;

    int rc = mdb_txn_begin(env->lmdb, NULL, MDB_RDONLY, &from);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = copy_table(from, env->format, beside, beside->format);
    for (size_t n = 0; n < TABLE_COUNT && rc == MDB_SUCCESS; n++) {
        if (kinds[n].set == env->set) {
            rc = copy_table(from, env->dbi[n], beside, beside->dbi[n]);
        }
    }
    mdb_txn_abort(from);
    return rc;
}

/* Begin the file anew, whatever a crash left of one. */
static enum err
beside_make(const struct table_env *env, uint64_t map_bytes, struct beside *beside)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", env->path, beside_name) >= sizeof path) {
        return ERR_INVALID;
    }
    if (unlinkat(env->directory, beside_name, 0) != 0 && errno != ENOENT) {
        return err_of(errno);
    }
    return err_of(beside_open(env, path, map_bytes, beside));
}

/* Close it, durable unless there was an error. */
static enum err
beside_end(struct beside *beside, enum err err)
{
    if (beside->txn != NULL) {
        mdb_txn_abort(beside->txn);
        beside->txn = NULL;
    }
    if (err == ERR_OK) {
        err = err_of(mdb_env_sync(beside->lmdb, 1));
    }
    if (beside->lmdb != NULL) {
        mdb_env_close(beside->lmdb);
        beside->lmdb = NULL;
    }
    return err;
}

/* Row by row, and not mdb_env_copy2(MDB_CP_COMPACT): that copies a large value's pages whole, and LMDB fills
 * the end of such a page with whatever the memory held before: rows of another page, long deleted. */
static enum err
copy_beside(const struct table_env *env)
{
    struct beside beside = { .lmdb = NULL };
    enum err err = beside_make(env, count_pages(env).map_bytes, &beside);

    if (err == ERR_OK) {
        err = err_of(copy_tables(env, &beside));
    }
    return beside_end(&beside, err);
}

/* Put the copy in the place of the file. *replaced_out: the file is the new one, whatever it gives. */
static enum err
replace_file(struct table_env *env, bool *replaced_out)
{
    *replaced_out = false;
    enum err err = world_disk(env->world, WORLD_DISK_FILE);
    if (err == ERR_OK && renameat(env->directory, beside_name, env->directory, data_name) != 0) {
        err = err_of(errno);
    }
    if (err != ERR_OK) {
        return err;
    }
    *replaced_out = true;
    /* Not durable, a crash would bring back the old file without what is committed from here on. */
    return fsync(env->directory) == 0 ? ERR_OK : ERR_IO;
}

static enum err
open_lmdb_again(struct table_env *env)
{
    struct pages pages = count_pages(env);

    mdb_env_close(env->lmdb);
    env->lmdb = NULL;
    enum err err = open_lmdb(env, (size_t)pages.map_bytes);
    if (err == ERR_OK) {
        err = check_format(env);
    }
    if (err == ERR_OK) {
        err = open_tables(env, false);
    }
    if (err != ERR_OK) {
        mdb_env_close(env->lmdb);
        env->lmdb = NULL;
    }
    return err;
}

enum err
table_env_compact(struct table_env *env)
{
    struct table_stat stat;
    bool replaced = false;

    assert(!env->read_only && env->writer.lmdb == NULL);
    if (env->poisoned) {
        return ERR_IO;
    }
    table_env_stat(env, &stat);
    enum err err = world_disk(env->world, WORLD_DISK_FILE);
    /* A little is left for whoever writes meanwhile. */
    if (err == ERR_OK && table_env_room(env) < stat.compact_bytes + MAP_STEP) {
        err = ERR_FULL;
    }
    if (err == ERR_OK && !hold_readers(env, true)) {
        err = ERR_BUSY;
    }
    if (err != ERR_OK) {
        return err;
    }
    err = copy_beside(env);
    if (err == ERR_OK) {
        err = replace_file(env, &replaced);
    }
    if (replaced) {
        enum err opened = open_lmdb_again(env);
        err = err == ERR_OK ? opened : err;
        env->poisoned = err != ERR_OK;
    } else {
        (void)unlinkat(env->directory, beside_name, 0);
    }
    release_readers(env);
    log_event("table-compacted", "set=%d err=%s before=%llu after=%llu", (int)env->set, err_code(err),
              (unsigned long long)stat.file_bytes, (unsigned long long)count_pages(env).file_bytes);
    return err;
}

/* --- Rescue --------------------------------------------------------------- */

struct table_rescue {
    struct table_env env; /* its file is not open in LMDB */
    struct beside beside;
    struct buf opened;
    int file;
    bool finished;
};

/* Of a table, or of the one that holds the format row. */
static uint8_t
rescue_number(size_t table)
{
    return table == TABLE_COUNT ? (uint8_t)FORMAT_NUMBER : kinds[table].number;
}

static MDB_dbi
rescue_dbi(const struct table_rescue *rescue, size_t table)
{
    return table == TABLE_COUNT ? rescue->beside.format : rescue->beside.dbi[table];
}

static enum err
rescue_begin(struct table_rescue *rescue, const struct table_options *options)
{
    uint8_t format[FORMAT_BYTES];
    struct stat info;

    if (fstat(rescue->file, &info) != 0) {
        return err_of(errno);
    }
    /* Rows that were packed by one who never removes any may lie less close where they are put in another order. */
    uint64_t bytes = (4 * (uint64_t)info.st_size + options->map_bytes + MAP_STEP) / MAP_STEP * MAP_STEP;
    if (bytes > map_bytes_max || bytes > SIZE_MAX) {
        return ERR_FULL;
    }
    enum err err = beside_make(&rescue->env, bytes, &rescue->beside);
    if (err == ERR_OK) {
        err = err_of(beside_begin(&rescue->beside));
    }
    if (err == ERR_OK) {
        bytes_write_u32(format, TABLE_FORMAT_VERSION);
        format[4] = (uint8_t)rescue->env.set;
        err = table_rescue_add(rescue, TABLE_COUNT, span_text(format_name), span_of(format, sizeof format));
    }
    return err;
}

enum err
table_rescue_open(struct table_rescue **rescue_out, const struct table_options *options, bool writes)
{
    struct table_rescue *rescue = calloc(1, sizeof *rescue);
    bool made = false;

    *rescue_out = NULL;
    if (rescue == NULL) {
        return ERR_MEMORY;
    }
    rescue->file = -1;
    rescue->env.directory = -1;
    rescue->env.owner = -1;
    rescue->env.set = options->set;
    rescue->env.read_only = true; /* nothing is made but the file beside */
    rescue->env.world = options->world;
    derive_keys(&rescue->env.keys, options->key);
    rescue->env.path = strdup(options->path);
    enum err err = rescue->env.path == NULL ? ERR_MEMORY : open_directory(&rescue->env);
    if (err == ERR_OK) {
        err = lock_owner(&rescue->env, &made);
    }
    if (err == ERR_OK) {
        err = check_file(&rescue->env, data_name, made);
    }
    if (err == ERR_OK) {
        rescue->file = openat(rescue->env.directory, data_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        err = rescue->file < 0 ? err_of(errno) : ERR_OK;
    }
    if (err == ERR_OK && writes) {
        err = rescue_begin(rescue, options);
    }
    if (err != ERR_OK) {
        table_rescue_close(&rescue);
        return err;
    }
    *rescue_out = rescue;
    return ERR_OK;
}

void
table_rescue_close(struct table_rescue **rescue_inout)
{
    struct table_rescue *rescue = *rescue_inout;

    *rescue_inout = NULL;
    if (rescue == NULL) {
        return;
    }
    bool began = rescue->beside.lmdb != NULL;
    (void)beside_end(&rescue->beside, ERR_INVALID);
    if (began && !rescue->finished) {
        (void)unlinkat(rescue->env.directory, beside_name, 0);
    }
    if (rescue->file >= 0) {
        close(rescue->file);
    }
    if (rescue->env.owner >= 0) {
        close(rescue->env.owner);
    }
    if (rescue->env.directory >= 0) {
        close(rescue->env.directory);
    }
    crypto_wipe(&rescue->env.keys, sizeof rescue->env.keys);
    buf_wipe(&rescue->env.scratch);
    buf_wipe(&rescue->opened);
    free(rescue->env.path);
    free(rescue);
}

int
table_rescue_file(const struct table_rescue *rescue)
{
    return rescue->file;
}

const char *
table_rescue_name(const struct table_rescue *rescue, size_t table)
{
    if (table == TABLE_COUNT) {
        return format_name;
    }
    return kinds[table].set == rescue->env.set ? kinds[table].name : NULL;
}

bool
table_rescue_verify(struct table_rescue *rescue, size_t table, struct span key, struct span stored,
                    struct span *value_out)
{
    struct row_name name;

    if (key.size == 0 || key.size > TABLE_KEY_BYTES_MAX) {
        return false;
    }
    name_row(&name, rescue_number(table), key);
    if (table != TABLE_COUNT && kinds[table].kind == TAGGED) {
        return row_check(&rescue->env, &name, stored, value_out);
    }
    bool opened = row_open(&rescue->env, &name, stored, &rescue->opened) == ERR_OK;
    *value_out = buf_span(&rescue->opened);
    return opened;
}

uint64_t
table_rescue_hash(const struct table_rescue *rescue, size_t table, struct span key)
{
    struct row_name name;
    uint8_t hash[ROW_TAG_BYTES];

    name_row(&name, rescue_number(table), key);
    crypto_short_hash(hash, rescue->env.keys.value, span_of(name.bytes, name.size));
    return bytes_read_u64(hash);
}

enum err
table_rescue_put(struct table_rescue *rescue, size_t table, struct span key, struct span stored)
{
    MDB_val lmdb_key = val_of(key);
    MDB_val value = val_of(stored);
    int rc = mdb_put(rescue->beside.txn, rescue_dbi(rescue, table), &lmdb_key, &value, 0);

    rc = rc == MDB_SUCCESS ? beside_note(&rescue->beside, key.size + stored.size) : rc;
    return err_of(rc);
}

enum err
table_rescue_get(struct table_rescue *rescue, size_t table, struct span key, struct span *stored_out)
{
    MDB_val lmdb_key = val_of(key);
    MDB_val value;
    int rc = mdb_get(rescue->beside.txn, rescue_dbi(rescue, table), &lmdb_key, &value);

    *stored_out = rc == MDB_SUCCESS ? span_of_val(&value) : span_of(NULL, 0);
    return err_of(rc);
}

enum err
table_rescue_add(struct table_rescue *rescue, size_t table, struct span key, struct span value)
{
    struct row_name name;
    enum row_kind kind = table == TABLE_COUNT ? SEALED : kinds[table].kind;

    name_row(&name, rescue_number(table), key);
    if (!row_build(&rescue->env, kind, &name, value)) {
        return ERR_MEMORY;
    }
    return table_rescue_put(rescue, table, key, buf_span(&rescue->env.scratch));
}

enum err
table_rescue_finish(struct table_rescue *rescue)
{
    bool replaced = false;

    enum err err = err_of(beside_commit(&rescue->beside));
    err = beside_end(&rescue->beside, err);
    if (err == ERR_OK) {
        err = replace_file(&rescue->env, &replaced);
    }
    if (!replaced) {
        (void)unlinkat(rescue->env.directory, beside_name, 0);
    }
    rescue->finished = true;
    return err;
}

/* --- Transactions --------------------------------------------------------- */

static void
fail_txn(struct table_txn *txn, int rc)
{
    if (txn->error != ERR_OK) {
        return;
    }
    assert(rc != MDB_BAD_VALSIZE);
    txn->error = err_of(rc);
    if (rc == MDB_MAP_FULL) {
        txn->env->full = true;
    }
    if (rc == MDB_PANIC || txn->error == ERR_IO) {
        txn->env->poisoned = true;
    }
    log_event("table-failed", "set=%d error=%s", (int)txn->env->set, err_code(txn->error));
}

static enum err
grow_map(struct table_env *env)
{
    struct pages pages = count_pages(env);

    if (!env->full && pages.file_bytes < pages.map_bytes / 10 * 8) {
        return ERR_OK;
    }
    /* At 80 % there is time: where a reader is at work, the next turn grows it. */
    if (!hold_readers(env, env->full)) {
        return env->full ? ERR_BUSY : ERR_OK;
    }
    enum err err = set_map(env, 2 * pages.map_bytes);
    release_readers(env);
    if (err == ERR_OK) {
        env->full = false;
        log_event("table-grown", "set=%d map_bytes=%llu", (int)env->set,
                  (unsigned long long)(2 * pages.map_bytes));
    }
    return err;
}

static enum err
check_reserve(const struct table_env *env)
{
    struct statvfs fs;

    if (fstatvfs(env->directory, &fs) != 0) {
        return ERR_IO;
    }
    uint64_t reserve = table_reserve_bytes((uint64_t)fs.f_blocks * fs.f_frsize);
    return (uint64_t)fs.f_bavail * fs.f_frsize < reserve ? ERR_FULL : ERR_OK;
}

bool
table_env_is_full(const struct table_env *env)
{
    return check_reserve(env) != ERR_OK;
}

static enum err
begin_write(struct table_env *env, bool reserved, struct table_txn **txn_out)
{
    assert(!env->read_only && env->writer.lmdb == NULL);

    *txn_out = NULL;
    if (env->poisoned) {
        return ERR_IO;
    }
    enum err err = world_disk(env->world, reserved ? WORLD_DISK_RESERVED : WORLD_DISK_BEGIN);
    if (err == ERR_OK && !reserved) {
        err = check_reserve(env);
    }
    if (err == ERR_OK) {
        err = grow_map(env);
    }
    if (err != ERR_OK) {
        return err;
    }
    int rc = mdb_txn_begin(env->lmdb, NULL, 0, &env->writer.lmdb);
    if (rc != MDB_SUCCESS) {
        env->writer.lmdb = NULL;
        env->poisoned = rc == MDB_PANIC;
        return err_of(rc);
    }
    env->writer.env = env;
    env->writer.error = ERR_OK;
    env->writer.writes = true;
    env->writer.write_count = 0;
    memset(env->writer.near, 0, sizeof env->writer.near);
    *txn_out = &env->writer;
    return ERR_OK;
}

enum err
table_begin_write(struct table_env *env, struct table_txn **txn_out)
{
    return begin_write(env, false, txn_out);
}

enum err
table_begin_write_reserved(struct table_env *env, struct table_txn **txn_out)
{
    return begin_write(env, true, txn_out);
}

static void
leave_map(struct table_env *env)
{
    pthread_mutex_lock(&env->mutex);
    env->reader_count--;
    pthread_cond_broadcast(&env->changed);
    pthread_mutex_unlock(&env->mutex);
}

enum err
table_begin_read(struct table_env *env, struct table_txn **txn_out)
{
    *txn_out = NULL;
    if (env->poisoned) {
        return ERR_IO;
    }
    struct table_txn *txn = calloc(1, sizeof *txn);
    if (txn == NULL) {
        return ERR_MEMORY;
    }
    pthread_mutex_lock(&env->mutex);
    while (env->growing) {
        pthread_cond_wait(&env->changed, &env->mutex);
    }
    env->reader_count++;
    pthread_mutex_unlock(&env->mutex);
    /* While it waited the environment may have been lost. */
    int rc = env->lmdb == NULL ? MDB_PANIC : mdb_txn_begin(env->lmdb, NULL, MDB_RDONLY, &txn->lmdb);
    if (rc != MDB_SUCCESS) {
        leave_map(env);
        free(txn);
        return err_of(rc);
    }
    txn->env = env;
    *txn_out = txn;
    return ERR_OK;
}

void
table_abort(struct table_txn **txn_inout)
{
    struct table_txn *txn = *txn_inout;

    *txn_inout = NULL;
    if (txn == NULL) {
        return;
    }
    assert(txn->walk_count == 0);
    mdb_txn_abort(txn->lmdb);
    txn->lmdb = NULL;
    if (!txn->writes) {
        leave_map(txn->env);
        free(txn);
    }
}

enum err
table_commit(struct table_txn **txn_inout)
{
    struct table_txn *txn = *txn_inout;
    struct table_env *env = txn->env;

    assert(txn->walk_count == 0);
    enum err err = txn->error;
    if (!txn->writes || err != ERR_OK) {
        table_abort(txn_inout);
        return err;
    }
    err = world_disk(env->world, WORLD_DISK_COMMIT);
    if (err != ERR_OK) {
        table_abort(txn_inout);
    } else {
        errno = 0;
        int rc = mdb_txn_commit(txn->lmdb);
        /* What a full disk took only in part LMDB calls EIO, as it calls a disk that failed, which says so itself. */
        if (rc == EIO && errno != EIO && table_env_room(env) < SHORT_WRITE_BYTES) {
            rc = ENOSPC;
        }
        txn->lmdb = NULL;
        *txn_inout = NULL;
        if (rc == MDB_MAP_FULL) {
            env->full = true;
            return ERR_FULL;
        }
        if (rc == MDB_TXN_FULL) {
            return ERR_FULL;
        }
        err = err_of(rc);
    }
    /* After a failed write or sync nobody knows what the disk holds, and LMDB would carry on. */
    if (err != ERR_OK) {
        env->poisoned = true;
        log_event("table-commit-failed", "set=%d error=%s", (int)env->set, err_code(err));
    }
    return err;
}

struct table_env *
table_txn_env(const struct table_txn *txn)
{
    return txn->env;
}

enum err
table_error(const struct table_txn *txn)
{
    return txn->error;
}

/* --- Reading and writing -------------------------------------------------- */

static const struct table_kind *
kind_of(const struct table_txn *txn, enum table_id table)
{
    assert((unsigned)table < TABLE_COUNT && kinds[table].set == txn->env->set);
    return &kinds[table];
}

static enum err
count_corrupt(struct table_txn *txn, const struct table_kind *kind)
{
    txn->env->corrupt_count++;
    log_event("table-row-corrupt", "table=%s", kind->name);
    return ERR_CORRUPT;
}

/* The writer's own cursor into a table. */
static int
near_cursor(struct table_txn *txn, enum table_id table, MDB_cursor **out)
{
    int rc = MDB_SUCCESS;

    if (txn->near[table] == NULL) {
        rc = mdb_cursor_open(txn->lmdb, txn->env->dbi[table], &txn->near[table]);
    }
    *out = txn->near[table];
    return rc;
}

/* The stored bytes of a row. */
static enum err
find_row(struct table_txn *txn, enum table_id table, struct row_name *name, struct span *stored_out)
{
    MDB_val key = name_key(name);
    MDB_val stored;
    MDB_cursor *near;
    int rc;

    if (txn->error != ERR_OK) {
        return txn->error;
    }
    if (txn->writes) {
        rc = near_cursor(txn, table, &near);
        rc = rc == MDB_SUCCESS ? mdb_cursor_get(near, &key, &stored, MDB_SET) : rc;
    } else {
        rc = mdb_get(txn->lmdb, txn->env->dbi[table], &key, &stored);
    }
    if (rc == MDB_SUCCESS) {
        *stored_out = span_of_val(&stored);
    } else if (rc != MDB_NOTFOUND) {
        fail_txn(txn, rc);
    }
    return err_of(rc);
}

enum err
table_get(struct table_txn *txn, enum table_id table, struct span key, struct span *value_out)
{
    const struct table_kind *kind = kind_of(txn, table);
    struct row_name name;
    struct span stored;

    assert(kind->kind == TAGGED);
    *value_out = span_of(NULL, 0);
    name_row(&name, kind->number, key);
    enum err err = find_row(txn, table, &name, &stored);
    if (err == ERR_OK && !row_check(txn->env, &name, stored, value_out)) {
        err = count_corrupt(txn, kind);
    }
    return err;
}

enum err
table_read(struct table_txn *txn, enum table_id table, struct span key, struct buf *value_out)
{
    const struct table_kind *kind = kind_of(txn, table);
    struct row_name name;
    struct span stored;
    struct span value;

    buf_clear(value_out);
    name_row(&name, kind->number, key);
    enum err err = find_row(txn, table, &name, &stored);
    if (err != ERR_OK) {
        return err;
    }
    if (kind->kind == SEALED) {
        err = row_open(txn->env, &name, stored, value_out);
    } else if (row_check(txn->env, &name, stored, &value)) {
        buf_put_span(value_out, value);
        err = value_out->failed ? ERR_MEMORY : ERR_OK;
    } else {
        err = ERR_CORRUPT;
    }
    if (err == ERR_MEMORY) {
        fail_txn(txn, ENOMEM); /* as in a walk: who takes "not read" for "not there" is stopped at the end */
    }
    return err == ERR_CORRUPT ? count_corrupt(txn, kind) : err;
}

bool
table_has(struct table_txn *txn, enum table_id table, struct span key)
{
    struct row_name name;
    struct span stored;

    name_row(&name, kind_of(txn, table)->number, key);
    return find_row(txn, table, &name, &stored) == ERR_OK;
}

void
table_put(struct table_txn *txn, enum table_id table, struct span key, struct span value)
{
    const struct table_kind *kind = kind_of(txn, table);
    struct row_name name;

    assert(txn->writes && value.size <= TABLE_VALUE_BYTES_MAX);
    if (txn->error != ERR_OK) {
        return;
    }
    /* The row is built beside the map and not in place (MDB_RESERVE): `value` and `key` may be lent
     * from the very page that LMDB is about to rearrange. */
    name_row(&name, kind->number, key);
    if (!row_build(txn->env, kind->kind, &name, value)) {
        fail_txn(txn, ENOMEM);
        return;
    }
    MDB_val stored_key = name_key(&name);
    MDB_val stored = val_of(buf_span(&txn->env->scratch));
    txn->write_count++;
    MDB_cursor *near;
    int rc = near_cursor(txn, table, &near);
    rc = rc == MDB_SUCCESS ? mdb_cursor_put(near, &stored_key, &stored, 0) : rc;
    if (rc != MDB_SUCCESS) {
        fail_txn(txn, rc);
    }
}

bool
table_delete(struct table_txn *txn, enum table_id table, struct span key)
{
    struct row_name name;

    assert(txn->writes);
    name_row(&name, kind_of(txn, table)->number, key);
    if (txn->error != ERR_OK) {
        return false;
    }
    MDB_val stored_key = name_key(&name);
    txn->write_count++;
    int rc = mdb_del(txn->lmdb, txn->env->dbi[table], &stored_key, NULL);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND) {
        fail_txn(txn, rc);
    }
    return rc == MDB_SUCCESS;
}

static bool
has_prefix(struct span key, struct span prefix)
{
    return key.size >= prefix.size && (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

void
table_clear(struct table_txn *txn, enum table_id table, struct span prefix)
{
    MDB_dbi dbi = txn->env->dbi[table];
    MDB_cursor *cursor;

    assert(txn->writes && kind_of(txn, table) != NULL && prefix.size <= TABLE_KEY_BYTES_MAX);
    if (txn->error != ERR_OK) {
        return;
    }
    txn->write_count++;
    if (prefix.size == 0) {
        int rc = mdb_drop(txn->lmdb, dbi, 0);
        if (rc != MDB_SUCCESS) {
            fail_txn(txn, rc);
        }
        return;
    }
    int rc = mdb_cursor_open(txn->lmdb, dbi, &cursor);
    if (rc != MDB_SUCCESS) {
        fail_txn(txn, rc);
        return;
    }
    while (rc == MDB_SUCCESS) {
        MDB_val key = val_of(prefix);
        MDB_val stored;
        rc = mdb_cursor_get(cursor, &key, &stored, MDB_SET_RANGE);
        if (rc == MDB_SUCCESS) {
            rc = has_prefix(span_of_val(&key), prefix) ? mdb_cursor_del(cursor, 0) : MDB_NOTFOUND;
        }
    }
    mdb_cursor_close(cursor);
    if (rc != MDB_NOTFOUND) {
        fail_txn(txn, rc);
    }
}

uint64_t
table_count(struct table_txn *txn, enum table_id table)
{
    MDB_stat stat;

    assert(kind_of(txn, table) != NULL);
    if (txn->error != ERR_OK) {
        return 0;
    }
    int rc = mdb_stat(txn->lmdb, txn->env->dbi[table], &stat);
    if (rc != MDB_SUCCESS) {
        fail_txn(txn, rc);
        return 0;
    }
    return stat.ms_entries;
}

/* --- Walks ---------------------------------------------------------------- */

void
table_cursor_init(struct table_cursor *cursor, struct table_txn *txn, enum table_id table, struct span prefix)
{
    assert(prefix.size <= TABLE_KEY_BYTES_MAX && kind_of(txn, table) != NULL);

    cursor->txn = txn;
    cursor->table = table;
    cursor->prefix_size = prefix.size;
    if (prefix.size > 0) {
        memcpy(cursor->prefix, prefix.data, prefix.size);
    }
    cursor->at_size = 0;
    cursor->lmdb = NULL;
    cursor->started = false;
    cursor->ended = false;
    cursor->write_count = 0;
    cursor->opened = (struct buf){ 0 };
}

void
table_cursor_end(struct table_cursor *cursor)
{
    if (cursor->lmdb != NULL) {
        mdb_cursor_close(cursor->lmdb);
        cursor->lmdb = NULL;
        cursor->txn->walk_count--;
    }
    cursor->ended = true;
    buf_wipe(&cursor->opened);
}

/* False: the transaction failed, now or before. */
static bool
cursor_open(struct table_cursor *cursor)
{
    struct table_txn *txn = cursor->txn;
    MDB_cursor *lmdb;

    if (txn->error != ERR_OK) {
        return false;
    }
    if (cursor->lmdb == NULL) {
        int rc = mdb_cursor_open(txn->lmdb, txn->env->dbi[cursor->table], &lmdb);
        if (rc != MDB_SUCCESS) {
            fail_txn(txn, rc);
            return false;
        }
        cursor->lmdb = lmdb;
        txn->walk_count++;
    }
    cursor->started = true;
    cursor->ended = false;
    cursor->write_count = txn->write_count;
    return true;
}

/* Verify the row under the LMDB cursor. False: memory ran out, and the transaction failed. */
static bool
cursor_verify(struct table_cursor *cursor, struct span key, struct span stored, struct span *value_out)
{
    const struct table_kind *kind = &kinds[cursor->table];
    struct table_txn *txn = cursor->txn;
    struct row_name name;
    enum err err;

    *value_out = span_of(NULL, 0);
    name_row(&name, kind->number, key);
    if (kind->kind == TAGGED) {
        err = row_check(txn->env, &name, stored, value_out) ? ERR_OK : ERR_CORRUPT;
    } else {
        err = row_open(txn->env, &name, stored, &cursor->opened);
        if (err == ERR_OK) {
            *value_out = buf_span(&cursor->opened);
        }
    }
    if (err == ERR_CORRUPT) {
        (void)count_corrupt(txn, kind);
    } else if (err != ERR_OK) {
        fail_txn(txn, ENOMEM);
    }
    return err != ERR_MEMORY;
}

/* Give the row under the LMDB cursor, which `rc`, `key` and `stored` are the answer of. A row outside the
 * prefix ends the walk only if it verifies: a flipped bit in a key must not hide the rows behind it. */
static bool
cursor_give(struct table_cursor *cursor, int rc, MDB_cursor_op step, MDB_val *key, MDB_val *stored,
            struct span *key_out, struct span *value_out)
{
    struct span prefix = span_of(cursor->prefix, cursor->prefix_size);

    for (; rc == MDB_SUCCESS; rc = mdb_cursor_get(cursor->lmdb, key, stored, step)) {
        struct span found = span_of_val(key);
        if (found.size == 0 || found.size > TABLE_KEY_BYTES_MAX) {
            (void)count_corrupt(cursor->txn, &kinds[cursor->table]);
            continue;
        }
        if (!cursor_verify(cursor, found, span_of_val(stored), value_out)) {
            cursor->ended = true;
            return false;
        }
        if (has_prefix(found, prefix)) {
            memcpy(cursor->at, found.data, found.size);
            cursor->at_size = found.size;
            *key_out = span_of(cursor->at, cursor->at_size);
            return true;
        }
        if (value_out->data != NULL) {
            break;
        }
    }
    cursor->ended = true;
    *key_out = span_of(NULL, 0);
    *value_out = span_of(NULL, 0);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND) {
        fail_txn(cursor->txn, rc);
    }
    return false;
}

/* Place the LMDB cursor at the first key >= `from`, or behind it. */
static int
cursor_place(struct table_cursor *cursor, struct span from, bool behind, MDB_val *key, MDB_val *stored)
{
    *key = val_of(from);
    int rc = mdb_cursor_get(cursor->lmdb, key, stored, from.size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    if (rc == MDB_SUCCESS && behind && span_equal(span_of_val(key), from)) {
        rc = mdb_cursor_get(cursor->lmdb, key, stored, MDB_NEXT);
    }
    return rc;
}

bool
table_cursor_seek(struct table_cursor *cursor, struct span key, struct span *key_out, struct span *value_out)
{
    struct span from = span_of(cursor->prefix, cursor->prefix_size);
    MDB_val found;
    MDB_val stored;

    *key_out = span_of(NULL, 0);
    *value_out = span_of(NULL, 0);
    if (!cursor_open(cursor)) {
        return false;
    }
    if (span_compare(key, from) > 0) {
        from = key;
    }
    int rc = cursor_place(cursor, from, false, &found, &stored);
    return cursor_give(cursor, rc, MDB_NEXT, &found, &stored, key_out, value_out);
}

bool
table_cursor_next(struct table_cursor *cursor, struct span *key_out, struct span *value_out)
{
    bool started = cursor->started;
    uint64_t write_count = cursor->write_count;
    MDB_val key;
    MDB_val stored;
    int rc;

    *key_out = span_of(NULL, 0);
    *value_out = span_of(NULL, 0);
    if (cursor->ended || !cursor_open(cursor)) {
        return false;
    }
    if (!started) {
        rc = cursor_place(cursor, span_of(cursor->prefix, cursor->prefix_size), false, &key, &stored);
    } else if (write_count != cursor->txn->write_count) {
        rc = cursor_place(cursor, span_of(cursor->at, cursor->at_size), true, &key, &stored);
    } else {
        rc = mdb_cursor_get(cursor->lmdb, &key, &stored, MDB_NEXT);
    }
    return cursor_give(cursor, rc, MDB_NEXT, &key, &stored, key_out, value_out);
}

/* The first key behind all that start with the prefix. False: there is none such. */
static bool
prefix_end(const struct table_cursor *cursor, uint8_t out[TABLE_KEY_BYTES_MAX], size_t *size_out)
{
    size_t size = cursor->prefix_size;

    while (size > 0 && cursor->prefix[size - 1] == 0xff) {
        size--;
    }
    if (size == 0) {
        return false;
    }
    memcpy(out, cursor->prefix, size);
    out[size - 1]++;
    *size_out = size;
    return true;
}

bool
table_cursor_last(struct table_cursor *cursor, struct span *key_out, struct span *value_out)
{
    uint8_t end[TABLE_KEY_BYTES_MAX];
    size_t end_size;
    MDB_val key;
    MDB_val stored;
    int rc = MDB_NOTFOUND;

    *key_out = span_of(NULL, 0);
    *value_out = span_of(NULL, 0);
    if (!cursor_open(cursor)) {
        return false;
    }
    bool bounded = prefix_end(cursor, end, &end_size);
    if (bounded) {
        rc = cursor_place(cursor, span_of(end, end_size), false, &key, &stored);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_get(cursor->lmdb, &key, &stored, MDB_PREV);
    } else if (rc == MDB_NOTFOUND) {
        rc = mdb_cursor_get(cursor->lmdb, &key, &stored, MDB_LAST);
    }
    return cursor_give(cursor, rc, MDB_PREV, &key, &stored, key_out, value_out);
}

/* True if the row under the LMDB cursor verifies. */
static bool
is_genuine(struct table_cursor *cursor, const MDB_val *key, const MDB_val *stored)
{
    struct span value;

    return key->mv_size > 0 && key->mv_size <= TABLE_KEY_BYTES_MAX &&
           cursor_verify(cursor, span_of_val(key), span_of_val(stored), &value) && value.data != NULL;
}

/* What is around the rows that begin with `prefix`, and with `all` these rows too. */
static enum err
check_around(struct table_txn *txn, enum table_id table, struct span prefix, bool all)
{
    struct table_cursor cursor;
    MDB_val key;
    MDB_val stored;
    bool good = true;

    assert(prefix.size > 0);
    table_cursor_init(&cursor, txn, table, prefix);
    if (!cursor_open(&cursor)) {
        return txn->error;
    }
    /* The row before: one that should be behind it was met by the search where it does not belong. */
    int rc = cursor_place(&cursor, prefix, false, &key, &stored);
    if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND) {
        good = rc == MDB_NOTFOUND || span_compare(span_of_val(&key), prefix) >= 0;
        rc = mdb_cursor_get(cursor.lmdb, &key, &stored, rc == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
    }
    if (rc == MDB_SUCCESS) {
        good = good && span_compare(span_of_val(&key), prefix) < 0 && is_genuine(&cursor, &key, &stored);
        rc = mdb_cursor_get(cursor.lmdb, &key, &stored, MDB_NEXT);
    } else if (rc == MDB_NOTFOUND) {
        rc = mdb_cursor_get(cursor.lmdb, &key, &stored, MDB_FIRST);
    }
    while (good && rc == MDB_SUCCESS && has_prefix(span_of_val(&key), prefix)) {
        good = !all || is_genuine(&cursor, &key, &stored);
        rc = mdb_cursor_get(cursor.lmdb, &key, &stored, MDB_NEXT);
    }
    if (rc == MDB_SUCCESS) {
        good = good && span_compare(span_of_val(&key), prefix) > 0 && is_genuine(&cursor, &key, &stored);
    } else if (rc != MDB_NOTFOUND) {
        fail_txn(txn, rc);
    }
    table_cursor_end(&cursor);
    return txn->error != ERR_OK ? txn->error : good ? ERR_OK : ERR_CORRUPT;
}

enum err
table_check_range(struct table_txn *txn, enum table_id table, struct span prefix)
{
    return check_around(txn, table, prefix, false);
}

enum err
table_check_absent(struct table_txn *txn, enum table_id table, struct span key)
{
    return check_around(txn, table, key, true);
}

enum err
table_check(struct table_txn *txn, enum table_id table)
{
    struct table_cursor cursor;
    uint8_t before[TABLE_KEY_BYTES_MAX];
    size_t before_size = 0;
    uint64_t row_count = 0;
    struct span key;
    struct span value;
    bool good = true;

    uint64_t expected = table_count(txn, table);
    table_cursor_init(&cursor, txn, table, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        /* A damaged branch may lead past a row that a walk over the leaves still meets. */
        good = good && value.data != NULL && span_compare(span_of(before, before_size), key) < 0 &&
               table_has(txn, table, key);
        memcpy(before, key.data, key.size);
        before_size = key.size;
        row_count++;
        /* A loop in a damaged tree would never end. */
        if (row_count > expected) {
            break;
        }
    }
    table_cursor_end(&cursor);
    if (txn->error != ERR_OK) {
        return txn->error;
    }
    return good && row_count == expected ? ERR_OK : ERR_CORRUPT;
}
