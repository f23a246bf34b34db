/* raw.h - what LMDB and libsodium do by themselves, with none of our code around them: the rates that ours stand beside. */
#pragma once

#include "store/base/bytes.h"

#include <lmdb.h>

/* Rows of `value_bytes` a second, keys ascending, `batch` in each durable commit, in a new environment at `path`. 0: it
 * could not be done. */
double raw_lmdb_rows(const char *path, uint64_t count, uint64_t batch, size_t value_bytes);

/* LMDB alone puts the rows that a save of three fields puts, of the same sizes and into as many tables, going round `records`
 * records. */
struct raw_saves {
    MDB_env *env;
    char path[320];
    uint32_t records;
    uint64_t next;
};

/* A new environment at `path`, in which `before` saves were made. False: it could not be. */
bool raw_saves_open(struct raw_saves *saves, const char *path, uint32_t records, uint64_t before);
void raw_saves_close(struct raw_saves *saves);

/* Make `count` more, `batch` in each durable commit, which divides it. The seconds that it took; 0: it could not be done. */
double raw_saves_run(struct raw_saves *saves, uint64_t count, uint64_t batch);

/* Entries a second that libsodium hashes, verifies (one signature in `run`) and opens, of `bytes` each. */
double raw_sodium_entries(uint64_t count, size_t run, size_t bytes);
