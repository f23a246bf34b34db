#include "tests/bench/raw.h"

#include "tests/bench/bench.h"

#include <lmdb.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Commit, and begin again. */
static int
next_turn(MDB_env *env, MDB_txn **txn)
{
    int rc = mdb_txn_commit(*txn);

    *txn = NULL;
    return rc == 0 ? mdb_txn_begin(env, NULL, 0, txn) : rc;
}

/* Commit what came to `rc`, or give it up. */
static bool
end_turn(MDB_txn *txn, int rc)
{
    if (rc == 0) {
        return mdb_txn_commit(txn) == 0;
    }
    mdb_txn_abort(txn);
    return false;
}

static bool
put_rows(MDB_env *env, uint64_t count, uint64_t batch, size_t value_bytes)
{
    uint8_t value[4096] = { 0 };
    uint8_t key[12] = { 0 };
    MDB_txn *txn = NULL;
    MDB_dbi table;

    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc == 0) {
        rc = mdb_dbi_open(txn, NULL, 0, &table);
    }
    for (uint64_t n = 0; rc == 0 && n < count; n++) {
        MDB_val stored_key = { sizeof key, key };
        MDB_val stored = { value_bytes, value };
        bytes_write_u64(key + 4, n);
        rc = mdb_put(txn, table, &stored_key, &stored, 0);
        if (rc == 0 && (n + 1) % batch == 0) {
            rc = next_turn(env, &txn);
        }
    }
    return end_turn(txn, rc);
}

/* The rows of one save of three fields, as store/ writes them. */
enum place {
    AT_END,      /* behind all rows of its table */
    IN_RECORD,   /* behind the rows of its part of the record */
    OVER_RECORD, /* over a row of the record */
    OVER_ONE     /* over the same row each time */
};

struct row {
    uint8_t table;
    uint8_t part;  /* of a record, which lies together */
    uint8_t field; /* one of three */
    enum place place;
    size_t key_bytes;
    size_t value_bytes;
};

enum { SAVE_TABLES = 8, KEY_BYTES_MAX = 48 };

static const struct row save_rows[] = {
    { 0, 0, 0, AT_END, 12, 148 },     /* ent */
    { 1, 0, 0, AT_END, 8, 20 },       /* chg */
    { 2, 0, 0, OVER_ONE, 12, 104 },   /* sig */
    { 3, 1, 0, IN_RECORD, 17, 8 },    /* cell: the entry */
    { 3, 2, 0, OVER_RECORD, 41, 17 }, /* the values of three fields */
    { 3, 2, 1, OVER_RECORD, 41, 17 }, { 3, 2, 2, OVER_RECORD, 41, 17 },
    { 3, 3, 0, IN_RECORD, 39, 21 }, /* and what they replace */
    { 3, 3, 1, IN_RECORD, 39, 21 },   { 3, 3, 2, IN_RECORD, 39, 21 },
    { 4, 0, 0, OVER_RECORD, 4, 85 },                                 /* sum */
    { 5, 0, 0, OVER_RECORD, 16, 8 },                                 /* idx */
    { 5, 1, 1, OVER_RECORD, 16, 8 },  { 6, 0, 0, OVER_ONE, 12, 42 }, /* token */
    { 6, 0, 1, OVER_ONE, 12, 42 },    { 7, 0, 0, OVER_ONE, 4, 181 }, /* logs */
};

static int
put_row(MDB_txn *txn, const MDB_dbi tables[SAVE_TABLES], const struct row *row, uint32_t record, uint64_t n)
{
    static uint8_t value[256];
    uint8_t key[KEY_BYTES_MAX] = { 0 };
    MDB_val stored_key = { row->key_bytes, key };
    MDB_val stored = { row->value_bytes, value };

    switch (row->place) {
    case AT_END:
        bytes_write_u64(key, n);
        break;
    case IN_RECORD:
        bytes_write_u32(key, record);
        key[4] = row->part;
        bytes_write_u64(key + 5, n);
        key[13] = row->field;
        break;
    case OVER_RECORD:
        bytes_write_u32(key, record);
        if (row->key_bytes > 4) {
            key[4] = row->part;
            key[5] = row->field;
        }
        break;
    case OVER_ONE:
        key[3] = row->field;
        break;
    }
    return mdb_put(txn, tables[row->table], &stored_key, &stored, 0);
}

/* The saves from `first` on. */
static bool
put_saves(MDB_env *env, uint64_t first, uint64_t count, uint64_t batch, uint32_t records)
{
    MDB_dbi tables[SAVE_TABLES];
    MDB_txn *txn = NULL;

    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    for (int n = 0; rc == 0 && n < SAVE_TABLES; n++) {
        const char name[2] = { (char)('a' + n), '\0' };
        rc = mdb_dbi_open(txn, name, MDB_CREATE, &tables[n]);
    }
    for (uint64_t n = first; rc == 0 && n < first + count; n++) {
        for (size_t r = 0; rc == 0 && r < sizeof save_rows / sizeof save_rows[0]; r++) {
            rc = put_row(txn, tables, &save_rows[r], (uint32_t)(n % records), n);
        }
        if (rc == 0 && (n + 1) % batch == 0) {
            rc = next_turn(env, &txn);
        }
    }
    return end_turn(txn, rc);
}

/* A new environment at `path`; NULL: it could not be made. */
static MDB_env *
env_make(const char *path)
{
    MDB_env *env = NULL;

    if (mkdir(path, 0700) != 0 || mdb_env_create(&env) != 0) {
        return NULL;
    }
    if (mdb_env_set_mapsize(env, (size_t)1 << 32) != 0 || mdb_env_set_maxdbs(env, SAVE_TABLES) != 0 ||
        mdb_env_open(env, path, 0, 0600) != 0) {
        mdb_env_close(env);
        return NULL;
    }
    return env;
}

static void
env_remove(MDB_env *env, const char *path)
{
    static const char *const files[] = { "data.mdb", "lock.mdb" };
    char file[400];

    mdb_env_close(env);
    for (size_t n = 0; n < 2; n++) {
        (void)snprintf(file, sizeof file, "%s/%s", path, files[n]);
        (void)unlink(file);
    }
    (void)rmdir(path);
}

double
raw_lmdb_rows(const char *path, uint64_t count, uint64_t batch, size_t value_bytes)
{
    MDB_env *env = value_bytes <= 4096 ? env_make(path) : NULL;
    double rate = 0;

    if (env != NULL) {
        double start = bench_now();
        if (put_rows(env, count, batch, value_bytes)) {
            rate = (double)count / (bench_now() - start);
        }
        env_remove(env, path);
    }
    return rate;
}

bool
raw_saves_open(struct raw_saves *saves, const char *path, uint32_t records, uint64_t before)
{
    *saves = (struct raw_saves){ .env = env_make(path), .records = records, .next = before };
    (void)snprintf(saves->path, sizeof saves->path, "%s", path);
    return saves->env != NULL && put_saves(saves->env, 0, before, records, records);
}

void
raw_saves_close(struct raw_saves *saves)
{
    if (saves->env != NULL) {
        env_remove(saves->env, saves->path);
        saves->env = NULL;
    }
}

double
raw_saves_run(struct raw_saves *saves, uint64_t count, uint64_t batch)
{
    double start = bench_now();
    bool good = put_saves(saves->env, saves->next, count, batch, saves->records);

    saves->next += count;
    return good ? bench_now() - start : 0;
}

double
raw_sodium_entries(uint64_t count, size_t run, size_t bytes)
{
    uint8_t message[4096] = { 0 };
    uint8_t sealed[4096 + crypto_aead_xchacha20poly1305_ietf_ABYTES];
    uint8_t hash[32];
    uint8_t header[140] = { 0 };
    uint8_t key[32] = { 1 };
    uint8_t nonce[24] = { 2 };
    uint8_t public_key[32];
    uint8_t secret_key[64];
    uint8_t signature[64];
    unsigned long long size = 0;
    bool good = bytes <= sizeof message;

    if (!good) {
        return 0;
    }
    (void)crypto_sign_keypair(public_key, secret_key);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, &size, message, bytes, header, sizeof header,
                                                     NULL, nonce, key);
    (void)crypto_generichash(hash, sizeof hash, header, sizeof header, NULL, 0);
    (void)crypto_sign_detached(signature, NULL, hash, sizeof hash, secret_key);
    double start = bench_now();
    for (uint64_t n = 0; n < count; n++) {
        (void)crypto_generichash(hash, sizeof hash, sealed, (size_t)size, NULL, 0);
        (void)crypto_generichash(hash, sizeof hash, header, sizeof header, NULL, 0);
        good = good && crypto_aead_xchacha20poly1305_ietf_decrypt(message, NULL, NULL, sealed, size, header,
                                                                  sizeof header, nonce, key) == 0;
        if (n % run == 0) {
            good = good && crypto_sign_verify_detached(signature, hash, sizeof hash, public_key) == 0;
        }
    }
    return good ? (double)count / (bench_now() - start) : 0;
}
