/* vault.h - what opens a state directory: the storage key, and the anchor.
 *
 *     lock      one random storage key, sealed once by each unlock method
 *     wrap      the wrapping key of keys/, sealed under the storage key
 *     device    the device's own secret keys, sealed under the storage key
 *     anchor    {device, incarnation, last own seq per log, database id}, sealed
 *
 * Small files beside the environments, each written to a temporary name, synced,
 * renamed and its directory synced, mode 0600 whatever the umask; a symlink at
 * the target is refused. Nothing here is ever in the environment or in argv.
 */
#pragma once

#include "store/base/crypto.h"

struct world;

/* Work of the passphrase: stored in the lock, so it can grow with the machines. */
struct vault_work {
    uint32_t passes;
    uint64_t memory_bytes; /* 64 MiB to 4 GiB */
};

/* Passes and memory that take >= 1 s and >= 256 MiB here, where the machine allows; never below
 * 64 MiB. Takes a few seconds. */
void vault_calibrate(struct vault_work *work_out);

/* Make `lock` in `directory` with a fresh storage key under this passphrase, and `wrap`.
 * ERR_EXISTS: there is one. ERR_INVALID: an empty passphrase. */
MUST_CHECK enum err vault_make(const char *directory, struct span passphrase, const struct vault_work *work,
                               const struct world *world);

/* Open the lock. `storage_key` should be crypto_secret memory.
 * ERR_PASSPHRASE: it does not open (same work, nothing changed). ERR_ABSENT, ERR_CORRUPT, ERR_NEWER, ERR_MEMORY. */
MUST_CHECK enum err vault_open(const char *directory, struct span passphrase, struct key *storage_key);

/* The wrapping key of keys/. */
MUST_CHECK enum err vault_open_wrap(const char *directory, const struct key *storage_key,
                                    struct key *wrap_out);

/* Seal `content` under the storage key into the file `name`, or read it back; `name` is bound in.
 * Reading: ERR_ABSENT, ERR_CORRUPT. The content read is a secret: buf_wipe it. */
MUST_CHECK enum err vault_write_file(const char *directory, const char *name, const struct key *storage_key,
                                     struct span content, const struct world *world);
MUST_CHECK enum err vault_read_file(const char *directory, const char *name, const struct key *storage_key,
                                    struct buf *content_out);

/* The same care for a file that is no secret. */
MUST_CHECK enum err vault_write_plain(const char *path, struct span content);
MUST_CHECK enum err vault_read_plain(const char *path, size_t bytes_max, struct buf *content_out);

struct anchor_log {
    struct hash log_id;
    uint64_t last_seq;
};

struct anchor {
    struct hash device_id;
    uint8_t incarnation[8];
    struct ident database_id;
    struct anchor_log *logs; /* ascending by log_id; owned */
    size_t log_count;
};

MUST_CHECK enum err anchor_write(const char *directory, const struct key *storage_key,
                                 const struct anchor *anchor, const struct world *world);
MUST_CHECK enum err anchor_read(const char *directory, const struct key *storage_key,
                                struct anchor *anchor_out);
void anchor_free(struct anchor *anchor);
