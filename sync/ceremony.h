/* ceremony.h - the keys that stay offline, and what is signed with them.
 *
 *     DIR/organisation.statements     all that was signed: state, and news for every node
 *         root-1.key ... root-n.key   each sealed under a passphrase of its own
 *         office-KEN.key ...          the same; any of them opens the statements too
 *
 *     Nairobi: root-1  --- organisation.statements --->  Geneva: root-2
 *              signs        "needs 1 more signature"             signs: it counts
 *
 * A ceremony founds an organisation, makes offices, certifies devices, revokes keys and
 * replaces them. It asks for a passphrase when a key is needed for the first time and wipes
 * every key when it is closed. What the roots must sign may be signed by fewer than are
 * needed: it waits among the statements until people elsewhere add their signatures.
 * A ceremony meets no node: files come in and files go out.
 * Files go through store/vault.h; nothing here touches a terminal.
 */
#pragma once

#include "store/stream.h"
#include "store/vault.h"
#include "sync/frontier_file.h"
#include "sync/roster.h"

struct ceremony;

enum { CEREMONY_KEY_NAME_BYTES_MAX = 32 };

/* Append the passphrase of a key, "root-1" or "office-KEN"; `fresh` asks for a new one. ERR_ABSENT: not at
 * hand, go on without this key. Another error ends the ceremony's step. */
typedef enum err ceremony_ask(void *self, const char *key_name, bool fresh, struct buf *passphrase_out);

struct ceremony_options {
    const char *directory; /* exists; outlives the ceremony, as do the others */
    const struct world *world;
    const struct vault_work *work; /* of new key files */
    ceremony_ask *ask;
    void *self;
    char *
        key_in_question; /* NULL, or CEREMONY_KEY_NAME_BYTES_MAX bytes: which key a fault is about; "" of none */
};

/* What went wrong, in words. Static texts. */
typedef struct joining_fault ceremony_fault;

/* Found an organisation with n roots of which m sign, in an empty directory. ERR_EXISTS: there is one already.
 * ERR_INVALID: the name, n or m, or an empty passphrase. Errors of files and of `ask`. */
MUST_CHECK enum err ceremony_found(struct ceremony **ceremony_out, const struct ceremony_options *options,
                                   const char *name, uint32_t root_count, uint32_t needed,
                                   ceremony_fault *fault_out);

/* Open what was founded, with one of its keys: NULL: the first root that is at hand. ERR_ABSENT: nothing was founded
 * here, or no such key. ERR_PASSPHRASE, ERR_CORRUPT, ERR_NEWER. */
MUST_CHECK enum err ceremony_open(struct ceremony **ceremony_out, const struct ceremony_options *options,
                                  const char *key_name, ceremony_fault *fault_out);

/* Wipes every key. Takes none. What was not saved is lost. */
void ceremony_close(struct ceremony **ceremony);

/* The key of this name, as "root-1" or "office-KEN", for tests that sign what no ceremony would; lent. NULL: it is not open. */
const struct key_pair *ceremony_key(const struct ceremony *ceremony, const char *key_name);

/* Settled. Lent. */
const struct roster *ceremony_roster(const struct ceremony *ceremony);

/* A grant to an office in another's compartment. */
struct ceremony_grant {
    struct ident compartment;
    enum level level;
};

/* Read "KEN:cases=read" or "KEN:all=carry". Gives 1 to 3 grants. ERR_INVALID: not of that form; ERR_ABSENT: no such
 * office or compartment. */
MUST_CHECK enum err ceremony_read_grant(const struct ceremony *ceremony, const char *text,
                                        struct ceremony_grant grants_out[OWN_COUNT], size_t *count_out);

/* True if an office may have this code: 1 to 12 of A-Z, 0-9 and -. */
bool ceremony_code_good(const char *code);

/* Make an office with three compartments unless there is one of this code; let it have these grants, and all
 * compartments of all offices if `everything`. Signed by roots, but by none when nothing changes. Every office of
 * headquarters gets the compartments of a new one. `name` may be NULL for an office that exists. ERR_INVALID: the code or
 * name. ERR_PASSPHRASE. ERR_DENIED: no root is at hand. */
MUST_CHECK enum err ceremony_office(struct ceremony *ceremony, const char *code, const char *name,
                                    bool everything, const struct ceremony_grant *grants, size_t grant_count,
                                    ceremony_fault *fault_out);

/* Certify the device of a request for an office: `level` wherever the office's grants reach and none of `grants`
 * names the compartment. Needs the office's key. Of an office that waits for roots the device waits too. ERR_ABSENT: no such
 * office. ERR_INVALID: the request; ERR_EXISTS: a key of it is another device's. */
MUST_CHECK enum err ceremony_device(struct ceremony *ceremony, const char *code,
                                    const struct request *request, enum level level, uint32_t roles,
                                    const struct ceremony_grant *grants, size_t grant_count,
                                    ceremony_fault *fault_out);

/* --- what waits for signatures --- */

/* How many signatures of roots the statement made since opening that lacks most still lacks; 0: all that was made counts. */
uint32_t ceremony_missing(const struct ceremony *ceremony);

struct ceremony_waiting {
    struct hash stmt_id;
    uint32_t type;
    uint32_t signed_count; /* by roots in force: at least one, and fewer than are needed */
    uint32_t needed;
};

/* What waits, in the order in which it is best signed: at most `room` are given; the return value is how many there are. */
size_t ceremony_waiting(const struct ceremony *ceremony, struct ceremony_waiting *out, size_t room);

/* Add the signatures that a waiting statement lacks, of the roots that are at hand. ERR_ABSENT: no such statement waits. ERR_DENIED: no
 * root is at hand that has not signed it. ERR_PASSPHRASE and others of keys. */
MUST_CHECK enum err ceremony_sign(struct ceremony *ceremony, const struct hash *stmt_id,
                                  ceremony_fault *fault_out);

/* Unite with the statements file of another copy of the ceremony, or of a node. `new_count_out`: statements and signatures that were
 * not here. Errors as statements_read; after one, close without saving. */
MUST_CHECK enum err ceremony_merge(struct ceremony *ceremony, struct span file, size_t *new_count_out,
                                   ceremony_fault *fault_out);

/* --- keys that are lost, stolen or replaced --- */

/* "root-2" of a root key that is, was, or by a waiting statement would be in force: roots are numbered in the order of their sets, and
 * within a set by their keys. False: it is none. And back: a name, or the beginning of at least 8 digits of the key in hex. */
bool ceremony_root_name(const struct ceremony *ceremony, const uint8_t root_pk[SIGN_PK_BYTES],
                        char out[CEREMONY_KEY_NAME_BYTES_MAX]);
bool ceremony_root_by_name(const struct ceremony *ceremony, const char *name,
                           uint8_t root_pk_out[SIGN_PK_BYTES]);

/* True if the file of this root key is in the directory: nothing is asked for. */
bool ceremony_root_at_hand(const struct ceremony *ceremony, const uint8_t root_pk[SIGN_PK_BYTES]);

/* Read a frontier file of this organisation, made by a device that belongs. ERR_INVALID, ERR_LOCKED, ERR_NEWER; ERR_DENIED: made by a
 * device that does not belong, or by `not_by` (may be NULL). */
MUST_CHECK enum err ceremony_read_frontier(const struct ceremony *ceremony, struct span bytes,
                                           const uint8_t not_by[SIGN_PK_BYTES],
                                           struct frontier_file *file_out, ceremony_fault *fault_out);

/* What a revocation or an extension will say of one key, to be shown before it is signed. */
struct ceremony_cuts {
    uint8_t key[SIGN_PK_BYTES]; /* of a device or an office */
    uint32_t reason;            /* of a revocation */
    struct statement_cut *cuts; /* ascending; owned */
    size_t cut_count;
    struct hash *keep; /* ascending; owned */
    size_t keep_count;
};

void ceremony_cuts_free(struct ceremony_cuts *cuts);

/* Fill `cuts_out` for the revocation of a key: cuts at every tip that `frontier` (NULL: none) has of its logs, keep filled with every
 * statement that it signed and that counts, without those of `drop`. ERR_MEMORY. */
MUST_CHECK enum err ceremony_plan_revoke(const struct ceremony *ceremony, const uint8_t key[SIGN_PK_BYTES],
                                         uint32_t reason, const struct frontier_file *frontier,
                                         const struct hash *drop, size_t drop_count,
                                         struct ceremony_cuts *cuts_out);

/* Nothing of this key counts: no cut, no statement. */
MUST_CHECK enum err ceremony_plan_nothing(const uint8_t key[SIGN_PK_BYTES], uint32_t reason,
                                          struct ceremony_cuts *cuts_out);

/* Fill `cuts_out` for an extension of the standing revocations of a key: the tips that `frontier` (NULL: none) has of its logs, and the
 * statements of `keep`, each unless all of these revocations have it. ERR_ABSENT: it is not revoked. ERR_MEMORY. */
MUST_CHECK enum err ceremony_plan_extend(const struct ceremony *ceremony, const uint8_t key[SIGN_PK_BYTES],
                                         const struct frontier_file *frontier, const struct hash *keep,
                                         size_t keep_count, struct ceremony_cuts *cuts_out);

/* Sign the revocation, and what does not fit into one statement as extensions of it. A device is revoked by its office, or
 * by all that certified it, if their keys are in force and at hand and `by_roots` is false; else by the roots. `by_roots_out` says
 * by whom. ERR_DENIED: no key that may is at hand. */
MUST_CHECK enum err ceremony_revoke(struct ceremony *ceremony, const struct ceremony_cuts *cuts,
                                    bool by_roots, bool *by_roots_out, ceremony_fault *fault_out);

/* Extend every standing revocation of the key: by its office if that issued it and is at hand, else by the roots. */
MUST_CHECK enum err ceremony_extend(struct ceremony *ceremony, const struct ceremony_cuts *cuts,
                                    bool *by_roots_out, ceremony_fault *fault_out);

struct ceremony_roots {
    const uint8_t (*remove)[SIGN_PK_BYTES]; /* roots in force that will be none */
    size_t remove_count;
    size_t add_count; /* new root keys, each in a file of its own */
    uint32_t needed;  /* 0: as many as now */
};

/* Put another set of roots in the place of the one in force; what stands stays. ERR_INVALID: no such root, none or too many would be
 * left, or fewer than are needed; ERR_EXISTS: another change waits; ERR_FULL: more stands than one statement can keep. */
MUST_CHECK enum err ceremony_replace_roots(struct ceremony *ceremony, const struct ceremony_roots *change,
                                           ceremony_fault *fault_out);

/* Give an office a new key: the same code, name, compartments and grants; certify its devices under it; and have the
 * roots revoke the old key for `reason`, with everything kept. The old key is not needed. Then certify the devices of these
 * requests, as ceremony_device does. ERR_ABSENT: no such office. ERR_EXISTS: a new key of it waits already.
 * ERR_INVALID: a device was certified by two signatures, and has to be enrolled anew. */
MUST_CHECK enum err ceremony_rotate(struct ceremony *ceremony, const char *code, uint32_t reason,
                                    const struct request *requests, size_t request_count, enum level level,
                                    uint32_t roles, ceremony_fault *fault_out);

/* Certify the devices of an office that stand, each with all that its certificates give it and nothing more, for the full time from
 * now on; no request is needed. Where the certificate of the office itself ends before theirs would, roots certify it, too: under the
 * same key, with the same compartments and grants. ERR_ABSENT: no such office is in force, or its key is not at hand. ERR_INVALID:
 * a device was certified by two signatures, and has to be enrolled anew; nothing was signed. */
MUST_CHECK enum err ceremony_renew(struct ceremony *ceremony, const char *code, ceremony_fault *fault_out);

/* Whether ceremony_renew would have roots certify this office. */
bool ceremony_office_ends(const struct ceremony *ceremony, const struct roster_office *office);

/* --- the codebook --- */

/* Put a codebook in force, signed by roots: its encoding, whose version is above that of the one in force. ERR_INVALID: it is none, or
 * may not follow (store/codebook_changes.h). */
MUST_CHECK enum err ceremony_codebook(struct ceremony *ceremony, struct span encoded,
                                      ceremony_fault *fault_out);

/* --- files out --- */

/* Keep what was signed. Before any welcome is handed out. */
MUST_CHECK enum err ceremony_save(struct ceremony *ceremony, ceremony_fault *fault_out);

/* Append the welcome file of a device that was certified; and the file of news for all nodes. */
MUST_CHECK enum err ceremony_welcome(const struct ceremony *ceremony, const struct request *request,
                                     struct buf *file_out, ceremony_fault *fault_out);
MUST_CHECK enum err ceremony_news(const struct ceremony *ceremony, struct buf *file_out);

/* An organisation of one office and one node in one call, with one root: founds, certifies, saves, and appends the
 * welcome. `ask` is called for two keys and may give the same passphrase. */
MUST_CHECK enum err ceremony_trial(const struct ceremony_options *options, const char *organisation_name,
                                   const char *code, const char *office_name, const struct request *request,
                                   struct buf *welcome_out, ceremony_fault *fault_out);

/* Open the file key of a backup that is sealed to the office whose key is called `key_name`, "office-KEN". ERR_LOCKED: it is sealed
 * to another key. ERR_CORRUPT: what opens is not its key. Errors of keys. Wipe it. */
MUST_CHECK enum err ceremony_open_backup(struct ceremony *ceremony, const char *key_name,
                                         const struct stream_header *header, struct key *file_key_out,
                                         ceremony_fault *fault_out);
