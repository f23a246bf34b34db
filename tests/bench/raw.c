#include "tests/bench/raw.h"

#include "tests/bench/bench.h"

#include <lmdb.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
            rc = mdb_txn_commit(txn);
            txn = NULL;
            if (rc == 0) {
                rc = mdb_txn_begin(env, NULL, 0, &txn);
            }
        }
    }
    if (rc == 0) {
        return mdb_txn_commit(txn) == 0;
    }
    mdb_txn_abort(txn);
    return false;
}

double
raw_lmdb_rows(const char *path, uint64_t count, uint64_t batch, size_t value_bytes)
{
    char file[400];
    MDB_env *env = NULL;
    double rate = 0;

    if (value_bytes > 4096 || mkdir(path, 0700) != 0 || mdb_env_create(&env) != 0) {
        return 0;
    }
    if (mdb_env_set_mapsize(env, (size_t)1 << 32) == 0 && mdb_env_open(env, path, 0, 0600) == 0) {
        double start = bench_now();
        if (put_rows(env, count, batch, value_bytes)) {
            rate = (double)count / (bench_now() - start);
        }
    }
    mdb_env_close(env);
    for (size_t n = 0; n < 2; n++) {
        (void)snprintf(file, sizeof file, "%s/%s", path, n == 0 ? "data.mdb" : "lock.mdb");
        (void)unlink(file);
    }
    (void)rmdir(path);
    return rate;
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
