/* raw.h - what LMDB and libsodium do by themselves, with none of our code around them: the rates that ours stand beside. */
#pragma once

#include "store/base/bytes.h"

/* Rows of `value_bytes` a second, keys ascending, `batch` in each durable commit, in a new environment at `path`. 0: it
 * could not be done. */
double raw_lmdb_rows(const char *path, uint64_t count, uint64_t batch, size_t value_bytes);

/* Saves a second, `batch` in each durable commit: LMDB alone puts the rows that a save of three fields puts, of the same sizes
 * and into as many tables, going round `records` records. 0: it could not be done. */
double raw_lmdb_saves(const char *path, uint64_t count, uint64_t batch, uint32_t records);

/* Entries a second that libsodium hashes, verifies (one signature in `run`) and opens, of `bytes` each. */
double raw_sodium_entries(uint64_t count, size_t run, size_t bytes);
