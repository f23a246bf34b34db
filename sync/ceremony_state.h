/* ceremony_state.h - what the files of the ceremony share; nobody else includes it.
 *
 *     ceremony.c         founding, opening, statements in and out, who signs
 *     ceremony_key.c     key files
 *     ceremony_office.c  offices and devices
 *     ceremony_trust.c   revocations, and keys that follow upon others
 */
#pragma once

#include "store/base/world.h"
#include "sync/ceremony.h"

enum { CEREMONY_KEYS_MAX = 128, CEREMONY_PATH_BYTES_MAX = 4096, ROOT_NUMBER_MAX = 999, OFFICE_KEYS_MAX = 99 };

struct open_key {
    char name[CEREMONY_KEY_NAME_BYTES_MAX];
    struct key_pair pair;
};

/* Everything secret, in locked memory. */
struct secrets {
    struct key control_key;
    size_t key_count;
    struct open_key keys[CEREMONY_KEYS_MAX];
};

struct ceremony {
    struct ceremony_options options;
    struct secrets *secrets;
    struct roster *roster;
    struct hash org;
    /* Keys for which a person had no passphrase: they are asked for once. */
    char skipped[CEREMONY_KEYS_MAX][CEREMONY_KEY_NAME_BYTES_MAX];
    size_t skipped_count;
    uint32_t missing; /* see ceremony_missing */
};

/* --- words --- */

enum err ceremony_fail(ceremony_fault *out, enum err err, const char *what, const char *why,
                       const char *todo);
enum err ceremony_no_memory(ceremony_fault *out);

/* --- files --- */

/* DIR/name and suffix. False: too long. */
bool ceremony_path(char out[CEREMONY_PATH_BYTES_MAX], const struct ceremony *ceremony, const char *name,
                   const char *suffix);
/* True unless it is certain that there is no such file. */
bool ceremony_has_file(const struct ceremony *ceremony, const char *name, const char *suffix);

/* --- keys --- */

/* Open a key file unless it is open. The first one brings org and control key. ERR_ABSENT: its file or its passphrase is not at
 * hand. */
MUST_CHECK enum err ceremony_key_open(struct ceremony *ceremony, const char *name, ceremony_fault *fault_out);

/* Make a key, sealed in a file of its own; or open the file of this name, if there is one that nobody uses yet: its statement was
 * lost on the way, and a key file is never written over. */
MUST_CHECK enum err ceremony_key_make(struct ceremony *ceremony, const char *name, ceremony_fault *fault_out);

/* Seal a key whose seed is known in a new file, and keep it open. */
MUST_CHECK enum err ceremony_key_write(struct ceremony *ceremony, const char *name, const uint8_t seed[32],
                                       ceremony_fault *fault_out);

/* An open key. NULL: it is not open. */
const struct key_pair *ceremony_key_find(const struct ceremony *ceremony, const char *name);

/* The public key of a key file, which needs no passphrase. ERR_ABSENT: no such file. ERR_LOCKED: a file of the first version, which does
 * not say; ERR_CORRUPT, ERR_NEWER and errors of files. */
MUST_CHECK enum err ceremony_key_peek(const struct ceremony *ceremony, const char *name,
                                      uint8_t public_key_out[SIGN_PK_BYTES]);

/* The root key, or the key of the office `code`, whose public key this is, opened. ERR_ABSENT: it is not at hand. */
MUST_CHECK enum err ceremony_key_root(struct ceremony *ceremony, const uint8_t root_pk[SIGN_PK_BYTES],
                                      const struct key_pair **pair_out, ceremony_fault *fault_out);
MUST_CHECK enum err ceremony_key_office(struct ceremony *ceremony, const char *code,
                                        const uint8_t office_pk[SIGN_PK_BYTES],
                                        const struct key_pair **pair_out, ceremony_fault *fault_out);

/* It goes on without the key that the last fault was about. */
void ceremony_ask_on(const struct ceremony *ceremony);

/* "root-3"; "office-KEN", and from the second on "office-KEN.2". */
void root_key_name(char out[CEREMONY_KEY_NAME_BYTES_MAX], unsigned number);
void office_key_name(char out[CEREMONY_KEY_NAME_BYTES_MAX], const char *code, unsigned number);

/* --- statements --- */

uint64_t ceremony_days_from_now(const struct ceremony *ceremony, uint64_t days);

/* Sign a statement with these keys, take it into the roster and settle. `id_out` may be NULL. */
MUST_CHECK enum err ceremony_take(struct ceremony *ceremony, struct statement *statement,
                                  const struct key_pair *const *signers, size_t signer_count,
                                  struct hash *id_out, ceremony_fault *fault_out);

/* Have the roots sign a statement: as many of those that are needed as are at hand; ceremony_missing tells how many it lacks.
 * One that says the same and is here is signed instead of a new one. ERR_DENIED: not one root is at hand. */
MUST_CHECK enum err ceremony_by_roots(struct ceremony *ceremony, struct statement *statement,
                                      struct hash *id_out, ceremony_fault *fault_out);

/* Open the roots that are needed, before anything is made that only their signature gives a use. ERR_DENIED: not one is at hand. */
MUST_CHECK enum err ceremony_open_roots(struct ceremony *ceremony, ceremony_fault *fault_out);

/* Read a statement that is here with its signers, which `bytes` holds. */
void ceremony_read_statement(const struct ceremony *ceremony, const struct hash *id, struct buf *bytes,
                             struct statement *statement_out);

/* How many of the roots in force signed it. */
uint32_t ceremony_root_signers(const struct ceremony *ceremony, const struct statement *statement);

/* --- offices --- */

/* The office of this code whose key is in force. NULL: none. */
const struct roster_office *ceremony_office_in_force(const struct ceremony *ceremony, const char *code);

/* The same, or else one that was revoked. */
const struct roster_office *ceremony_office_any(const struct ceremony *ceremony, const char *code);

/* The key of a certificate of this code that waits for roots. False: there is none. */
bool ceremony_office_waiting(const struct ceremony *ceremony, const char *code,
                             uint8_t office_pk_out[SIGN_PK_BYTES]);

/* Make the key file of a new key of the office `code`, which may be its first. */
MUST_CHECK enum err ceremony_office_key_make(struct ceremony *ceremony, const char *code,
                                             const struct key_pair **pair_out, ceremony_fault *fault_out);

/* True if people may be shown this name: 1 to 200 bytes of UTF-8 without a control character. */
bool ceremony_name_is_good(const char *name);

/* The highest level that the office has in each compartment, as the items of a list. */
struct statement_list ceremony_office_grants(const struct ceremony *ceremony,
                                             const struct roster_office *office, struct buf *items);

/* Certify the device of a request under this office key, which is open or at hand. */
MUST_CHECK enum err ceremony_certify(struct ceremony *ceremony, const char *code,
                                     const uint8_t office_pk[SIGN_PK_BYTES], const struct request *request,
                                     enum level level, uint32_t roles, const struct ceremony_grant *grants,
                                     size_t grant_count, ceremony_fault *fault_out);
