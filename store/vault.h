/* vault.h - what opens a state directory: the storage key, and the anchor.
 *
 *     lock      one random storage key, sealed once by each unlock method
 *     wrap      the wrapping key of keys/ and its generation, sealed under the storage key
 *     device    the device's own secret keys, sealed under the storage key
 *     anchor    {device, incarnation, last own seq per log, database id}, sealed
 *     reserve   nothing: room that is given back when a full disk must not stop an erasure
 *
 * Small files beside the environments, each written to a temporary name, synced,
 * renamed and its directory synced, mode 0600 whatever the umask; a symlink at
 * the target is refused. Nothing here is ever in the environment or in argv.
 *
 * Bytes of `lock` (big-endian): "VIGILLCK", version u8 = 1, methods u8 (1 to 8), the
 * methods, and H("vigil.lck.sum.v1", all before), which ends every version: damage is
 * not mistaken for a wrong passphrase. A method: type u8, length u16, body. Body of
 * type 1, passphrase: salt[16], passes u32, memory u64, commitment[32], nonce[24],
 * sealed storage key[48]. With A = Argon2id(passphrase, salt, passes, memory): sealed under
 * H("vigil.lck.key.v1", A); commitment = H("vigil.lck.com.v1", A); associated data =
 * "VIGILLCK", version, type, salt, passes, memory, commitment.
 *
 * Bytes of a sealed file: "VIGILBOX", version u8 = 1, nonce[24], content sealed under
 * H("vigil.fil.key.v1", storage key); associated data = "VIGILBOX", version, name.
 * Content of `wrap`: version u8 = 1, generation u32, key[32]. Content of `anchor`: version u8 = 1, device_id[32],
 * incarnation[8], database_id[16], count u32, count x (log_id[32], last_seq u64).
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
 * ERR_EXISTS: there is one; it is untouched. ERR_INVALID: an empty passphrase, or work out of bounds.
 * ERR_MEMORY: less work may fit. ERR_DENIED: not ours, or a symlink. ERR_IO, ERR_FULL. */
MUST_CHECK enum err vault_make(const char *directory, struct span passphrase, const struct vault_work *work,
                               const struct world *world);

/* Open the lock. `storage_key` should be crypto_secret memory.
 * ERR_PASSPHRASE: it does not open (same work, nothing changed). ERR_NEWER: by a newer program, or opened
 * only in ways that this one does not know. ERR_CORRUPT: damaged, whatever the passphrase. ERR_ABSENT,
 * ERR_DENIED, ERR_MEMORY, ERR_IO. `storage_key` is zero unless it opened. */
MUST_CHECK enum err vault_open(const char *directory, struct span passphrase, struct key *storage_key);

/* Seal the same storage key under `fresh` instead of `old`, with this work: whatever `old` opens it opens no more. Other
 * ways to open stay. The lock is replaced whole, in one step, or not at all; a vigild that runs is not disturbed.
 * A copy of the lock that was taken before opens with `old` for ever. ERR_PASSPHRASE: `old` does not open. ERR_INVALID: `fresh`
 * is empty, or work out of bounds. Errors as vault_open and vault_make but ERR_EXISTS. */
MUST_CHECK enum err vault_change_passphrase(const char *directory, struct span old, struct span fresh,
                                            const struct vault_work *work, const struct world *world);

/* What vault_open would say of the bytes of a lock before it tries a passphrase. ERR_CORRUPT, ERR_NEWER. */
MUST_CHECK enum err vault_lock_check(struct span bytes);

/* Seal `content` under the storage key into the file `name`, or read it back; `name` is bound in.
 * `name` is at most 64 bytes, without a slash. Writing replaces the file whole or not at all: ERR_DENIED
 * (a symlink, or not ours), ERR_FULL, ERR_IO, ERR_MEMORY. Reading: ERR_ABSENT, ERR_CORRUPT (damaged, or
 * of another key or name), ERR_NEWER, ERR_DENIED, ERR_IO, ERR_MEMORY. What is read is a secret:
 * buf_wipe it. */
MUST_CHECK enum err vault_write_file(const char *directory, const char *name, const struct key *storage_key,
                                     struct span content, const struct world *world);
MUST_CHECK enum err vault_read_file(const char *directory, const char *name, const struct key *storage_key,
                                    struct buf *content_out);

/* The same care for a file that is no secret. ERR_CORRUPT: it is longer than `bytes_max`. */
MUST_CHECK enum err vault_write_plain(const char *path, struct span content);
MUST_CHECK enum err vault_read_plain(const char *path, size_t bytes_max, struct buf *content_out);

/* The wrapping key of keys/, which is another after each rewriting. Which folder is keys/ follows from the generation:
 * replacing this one file switches from one folder to the next.
 *
 *     wrap {0, key A} --> keys      write keys-1 whole      wrap {1, key B} --> keys-1      remove keys
 */
struct wrap {
    struct key key;
    uint32_t generation;
};

/* Draw the first key. Errors as vault_write_file. */
MUST_CHECK enum err wrap_make(const char *directory, const struct key *storage_key,
                              const struct world *world);

/* Replace the key, or read it back. The bytes of the old file are overwritten where they lie, as far as the file system does
 * that. After ERR_IO nobody knows which of the two keys a crash leaves. Errors as vault_write_file, vault_read_file. */
MUST_CHECK enum err wrap_write(const char *directory, const struct key *storage_key, const struct wrap *wrap,
                               const struct world *world);
MUST_CHECK enum err wrap_read(const char *directory, const struct key *storage_key, struct wrap *wrap_out);

/* The name of the folder that is keys/ in this generation: "keys", "keys-1" and so on. */
enum { WRAP_FOLDER_BYTES = 16 };
void wrap_folder(uint32_t generation, char name_out[WRAP_FOLDER_BYTES]);

/* Remove the folders of all other generations, with everything in them: a crash left them. ERR_DENIED, ERR_IO. */
MUST_CHECK enum err wrap_clear(const char *directory, uint32_t generation);

/* The file `reserve`: so many bytes of the disk, really taken; one that is there stays. ERR_FULL: the disk has not that much.
 * ERR_DENIED, ERR_IO. */
MUST_CHECK enum err reserve_make(const char *directory, uint64_t bytes, const struct world *world);

/* Give them back. False: there were none. */
bool reserve_release(const char *directory);

struct anchor_log {
    struct hash log_id;
    uint64_t last_seq;
};

struct anchor {
    struct hash device_id;
    uint8_t incarnation[8];
    struct ident database_id;
    struct anchor_log *logs; /* ascending by log_id, each once; owned */
    size_t log_count;
};

MUST_CHECK enum err anchor_write(const char *directory, const struct key *storage_key,
                                 const struct anchor *anchor, const struct world *world);
MUST_CHECK enum err anchor_read(const char *directory, const struct key *storage_key,
                                struct anchor *anchor_out);

/* The content of the file `anchor`, once opened. ERR_CORRUPT, ERR_NEWER, ERR_MEMORY. */
MUST_CHECK enum err anchor_decode(struct span bytes, struct anchor *anchor_out);

void anchor_free(struct anchor *anchor);
