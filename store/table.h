/* table.h - ordered rows on disk that cannot lie: every row is sealed or tagged.
 *
 *     env main/  --+-- ent    [log_no | seq] -> bytes + 8-byte tag
 *                  +-- sum    [record_no]    -> nonce + sealed bytes
 *     env keys/  --+-- ...
 *
 * LMDB serves flipped bits as good data, so no row leaves this file unchecked. A
 * *sealed* row (people could read it) is XChaCha20-Poly1305 under the environment's
 * seal key with a random nonce and (table, key) as associated data. Every other
 * row is *tagged*: 8 bytes of SipHash over (table, key, value). Which of the two
 * a table is stands in one list in table.c, so nobody can forget.
 *
 * The only file that includes lmdb.h. Default durability, composite keys, no
 * DUPSORT, no custom comparator. A write transaction keeps its first error and
 * does nothing after it; table_commit reports it and nothing is written. One
 * writer, in one thread; readers in other threads get transactions of their own.
 *
 * On disk a directory holds data.mdb and lock.mdb of LMDB, and `owner`: a lock of
 * our own against a second process, with a mark once the environment was made, so
 * that an emptied data.mdb is damage and not a new beginning. LMDB overwrites a page
 * that is no longer used only when it needs it again, so what must be gone for good
 * is gone once the environment has been compacted: data.mdb.new, renamed.
 *
 * Stored forms, with K(c) = H(c, the environment's key) and name = table number u8, row key:
 *     tagged   value, S("vigil.row.tag.v1", name, S("vigil.row.val.v1", value))
 *     sealed   nonce[24], value under K("vigil.row.key.v1") with associated data = name
 *     S(c, ...)       SipHash-2-4 under the first 16 bytes of K(c)
 *     hash of an id   first 16 bytes of H(context, K("vigil.row.hsh.v1"), parts)
 * A table of its own, number 0, holds one sealed row "format": version u32 = 1, set u8.
 */
#pragma once

#include "store/base/crypto.h"

struct world;
struct table_env;
struct table_txn;

/* Which environment: each has its own tables and its own keys. */
enum table_set { TABLE_SET_MAIN, TABLE_SET_KEYS };

enum table_id {
    /* main/: the journal */
    TABLE_META,  /* name -> value; sealed */
    TABLE_LOGS,  /* log_no -> descriptor, head, state; sealed */
    TABLE_LOGID, /* keyed hash of log_id -> log_no of each branch; tagged */
    TABLE_ENT,   /* log_no | seq -> entry; tagged */
    TABLE_SIG,   /* log_no | seq -> entry_id, signature; tagged */
    TABLE_CHG,   /* arrival -> log_no | seq, or a change of standing; tagged */
    /* main/: derived from it */
    TABLE_REC,    /* keyed hash of (compartment, record_id) -> record_no; tagged */
    TABLE_RECNO,  /* record_no -> compartment, record_id; sealed */
    TABLE_CELL,   /* record_no | part | ...: rops, live and sup of a record side by side; tagged */
    TABLE_SUM,    /* record_no -> summary; sealed */
    TABLE_CONF,   /* record_no -> open conflicts; sealed */
    TABLE_IDX,    /* index_no | token hash | record_no -> nothing; tagged */
    TABLE_TOKEN,  /* index_no | token hash -> token, count; sealed */
    TABLE_PEND,   /* reason | log_no | seq, or reason | record_no -> detail; tagged */
    TABLE_PEER,   /* peer_no -> who they are, endpoint; sealed */
    TABLE_PCHK,   /* peer_no | compartment_no | slot -> checkpoint; sealed */
    TABLE_PFRONT, /* peer_no | log_no -> what they durably hold; tagged */
    TABLE_CERT,   /* stmt hash -> statement with its signatures; sealed */
    TABLE_ROSTER, /* name -> control state derived from statements; sealed */
    TABLE_REVOKE, /* the same, of revocations; sealed */
    TABLE_ERASE,  /* the same, of erasures; sealed */
    TABLE_BLOBM,  /* blob hash -> size, chunks, references; tagged */
    /* keys/ */
    TABLE_KEYS_RECORD, /* hash of (compartment, record_id prefix) | hash of record_id -> record key; sealed */
    TABLE_KEYS_PAYLOAD, /* log_no | seq -> payload of a key entry, as on the wire; tagged */
    TABLE_KEYS_EPOCH,   /* hash of (compartment, epoch) -> epoch key; sealed */
    TABLE_COUNT
};

enum { TABLE_FORMAT_VERSION = 1, TABLE_KEY_BYTES_MAX = 480, TABLE_VALUE_BYTES_MAX = 16 << 20 };

struct table_options {
    const char *path; /* of the directory; made (0700) if it is not there */
    enum table_set set;
    const struct key *key;     /* storage or wrapping key: seal, tag and hash keys are derived from it */
    const struct world *world; /* nonces; WORLD_DISK_* faults. Outlives the environment */
    size_t map_bytes;          /* at least this much; a larger existing map is kept */
    bool read_only;
};

/* Open the environment, or make it.
 * ERR_BUSY: another process has it (a lock file of ours beside LMDB's). ERR_CORRUPT: its size or first
 * rows do not verify, or the key is another's. ERR_NEWER: written by a newer program; left untouched.
 * ERR_DENIED: not ours, a symlink, or a network file system. ERR_ABSENT: there is none, and read_only.
 * ERR_IO, ERR_FULL, ERR_MEMORY. */
MUST_CHECK enum err table_env_open(struct table_env **env_out, const struct table_options *options);

/* Walk the pages of an environment as LMDB sees them, for no longer than `ms`, with no key: the way to the first and to the last row of each
 * table, LMDB's own among them, then row by row. Each page is to lie in its place, none is to be free or met twice, and each is to be full of
 * its rows, in order, with a way that leads to them. Only in a child process: pages that are
 * damaged may end it by a signal. ERR_BUSY: a process has it open, and it was not looked at. Other errors as table_env_open.
 * `options->key` is not used. */
MUST_CHECK enum err table_env_probe(const struct table_options *options, uint64_t ms);

/* Takes a half-opened one, or none. No transaction may be open. Do not open the same
 * environment twice in a process, nor its files by other means: that drops LMDB's locks. */
void table_env_close(struct table_env **env);

struct table_stat {
    uint64_t map_bytes;
    uint64_t used_bytes;    /* pages in use, times their size */
    uint64_t file_bytes;    /* what the pages take that were ever in use */
    uint64_t compact_bytes; /* what table_env_compact needs on the disk, for a while */
    uint64_t corrupt_count; /* rows that did not verify since the environment was opened */
    uint64_t commits;       /* that wrote something, since the environment was made */
    bool full; /* a transaction did not fit into the map: whoever opens it again asks for a larger one */
};

void table_env_stat(struct table_env *env, struct table_stat *stat_out);

/* True if the disk has so little left that table_begin_write would give ERR_FULL, or does not say. */
bool table_env_is_full(const struct table_env *env);

/* Bytes that the environment's disk has left for us; 0 if it does not say. */
uint64_t table_env_room(const struct table_env *env);

/* What of a disk of this size is kept free: below it nothing but a reserved transaction begins. */
uint64_t table_reserve_bytes(uint64_t disk_bytes);

/* Who reads the environment now, in this process or in one that ended without a word. */
struct table_readers {
    uint32_t count;   /* with a transaction open, the caller's own among them */
    uint32_t cleared; /* that were left by processes which are no more; they are gone now */
    uint64_t
        behind; /* commits since the oldest of them began: no page that was given up since is used again */
};

/* ERR_IO: the lock file cannot be read. */
MUST_CHECK enum err table_env_readers(struct table_env *env, struct table_readers *out);

/* Rewrite the file from the rows that are here: what was deleted before is in none of its
 * bytes. No transaction of this thread may be open. Written beside, synced, renamed: a crash anywhere leaves
 * the old file or the new one, whole, and the next opening removes what is left beside.
 * ERR_FULL: the disk has no room for both (see compact_bytes). ERR_BUSY: a reader does not end. ERR_CORRUPT: its
 * tree cannot be walked. ERR_IO, ERR_DENIED, ERR_MEMORY. After any of these the old file goes on being used, unless the
 * environment is poisoned (every later begin is ERR_IO): the failure came after the rename. */
MUST_CHECK enum err table_env_compact(struct table_env *env);

/* 16 bytes that stand for `parts` in row keys, under the environment's hash key: a row key
 * holds no id in clear. Parts are taken as one string; at most 8. */
void table_hash(const struct table_env *env, uint8_t out[16], const char *context, const struct span *parts,
                size_t part_count);

/* Secrets of an environment for crypto_short_hash, 16 bytes each: made once at opening. */
enum table_secret { TABLE_SECRET_TARGET, TABLE_SECRET_VALUE, TABLE_SECRET_COUNT };

/* Lent as long as the environment is open. */
const uint8_t *table_secret(const struct table_env *env, enum table_secret which);

/* Begin a write transaction; doubles the map first if it is 80 % full (no other transaction
 * may be open in this thread). ERR_FULL: the map cannot grow, or the disk has no reserve left.
 * ERR_BUSY: the map must grow, and a reader does not end. ERR_MEMORY.
 * ERR_IO: the environment is poisoned by an earlier failure: close, reopen, verify. */
MUST_CHECK enum err table_begin_write(struct table_env *env, struct table_txn **txn_out);

/* The same, into the reserve: for a turn that deletes (an erasure must work on a full disk). */
MUST_CHECK enum err table_begin_write_reserved(struct table_env *env, struct table_txn **txn_out);

/* Begin to read what is committed now. Any thread; a reader keeps old pages from being
 * used again, so read in slices. ERR_BUSY: too many readers. ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err table_begin_read(struct table_env *env, struct table_txn **txn_out);

/* Make everything durable, or nothing. Clears the caller's pointer either way. Gives the first error
 * of the transaction, or that of the commit: unless it was the map that was full, the environment is
 * then poisoned, and every later begin is ERR_IO. A read transaction just ends. Walks end before it. */
MUST_CHECK enum err table_commit(struct table_txn **txn);
void table_abort(struct table_txn **txn);

/* The environment of a transaction: for table_hash. */
struct table_env *table_txn_env(const struct table_txn *txn);

/* The first error of a transaction: ERR_OK while all is well. */
enum err table_error(const struct table_txn *txn);

/* Lend the value of a tagged row until the transaction's next write or its end.
 * ERR_ABSENT. ERR_CORRUPT: it does not verify (counted; the transaction goes on). */
MUST_CHECK enum err table_get(struct table_txn *txn, enum table_id table, struct span key,
                              struct span *value_out);

/* Replace the content of `value_out` by the value of a row, sealed or tagged. Errors as table_get; ERR_MEMORY: the transaction failed. */
MUST_CHECK enum err table_read(struct table_txn *txn, enum table_id table, struct span key,
                               struct buf *value_out);

/* True if there is such a row; its value is not looked at. */
bool table_has(struct table_txn *txn, enum table_id table, struct span key);

/* Write a row. `key` and `value` may be lent by `txn`. Errors stay in `txn`. */
void table_put(struct table_txn *txn, enum table_id table, struct span key, struct span value);

/* Remove a row; true if it was there. Errors stay in `txn`. */
bool table_delete(struct table_txn *txn, enum table_id table, struct span key);

/* Remove every row whose key starts with `prefix` (all rows: an empty prefix). */
void table_clear(struct table_txn *txn, enum table_id table, struct span prefix);

uint64_t table_count(struct table_txn *txn, enum table_id table);

/* Is it sure that no row is hidden among those that begin with `prefix`, or where they would be? A row whose key was damaged stays where it was:
 * what lies before, between and behind them is to verify and to be in order. The rows themselves are not looked at. ERR_CORRUPT: it is not
 * sure. */
MUST_CHECK enum err table_check_range(struct table_txn *txn, enum table_id table, struct span prefix);

/* The same of one row that was not found, and of what begins as its key does. */
MUST_CHECK enum err table_check_absent(struct table_txn *txn, enum table_id table, struct span key);

/* Walk a whole table: every row verifies and is found by its key, keys ascend, and there are as many
 * as LMDB counts.
 * ERR_CORRUPT: not so. A file whose pages are crafted can crash LMDB: for a file that left
 * our custody, call it in a child process. */
MUST_CHECK enum err table_check(struct table_txn *txn, enum table_id table);

/* A walk over the rows whose key starts with a prefix, in ascending order of keys. Its
 * transaction may write meanwhile: the walk goes on behind the key it gave last. */
struct table_cursor {
    struct table_txn *txn;
    enum table_id table;
    uint8_t prefix[TABLE_KEY_BYTES_MAX];
    size_t prefix_size;
    uint8_t at[TABLE_KEY_BYTES_MAX]; /* the key given last */
    size_t at_size;
    void *lmdb; /* opened by the first step */
    bool started;
    bool ended;
    uint64_t write_count; /* of the transaction, when the walk was last placed */
    struct buf opened;    /* the present value of a sealed table */
};

void table_cursor_init(struct table_cursor *cursor, struct table_txn *txn, enum table_id table,
                       struct span prefix);

/* Start at the first key of the walk that is >= `key` instead. */
bool table_cursor_seek(struct table_cursor *cursor, struct span key, struct span *key_out,
                       struct span *value_out);

/* The next row; both are lent until the next step or end, the value until the next write. False at the
 * end, or when the transaction failed. A row that does not verify is counted and given with a NULL value. */
bool table_cursor_next(struct table_cursor *cursor, struct span *key_out, struct span *value_out);

/* The last row of the prefix. */
bool table_cursor_last(struct table_cursor *cursor, struct span *key_out, struct span *value_out);

/* Before the end of its transaction. */
void table_cursor_end(struct table_cursor *cursor);
