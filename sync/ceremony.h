/* ceremony.h - the keys that stay offline, and what is signed with them.
 *
 *     DIR/organisation.statements     all that was signed: state, and news for every node
 *         root-1.key ... root-n.key   each sealed under a passphrase of its own
 *         office-KEN.key ...          the same; any of them opens the statements too
 *
 * A ceremony founds an organisation, makes offices and certifies devices. It asks for
 * a passphrase when a key is needed for the first time and wipes every key when
 * it is closed. It meets no node: requests come in and welcomes go out as files.
 * Files go through store/vault.h; nothing here touches a terminal.
 */
#pragma once

#include "store/stream.h"
#include "sync/joining.h"
#include "sync/roster.h"

struct ceremony;

enum { CEREMONY_KEY_NAME_BYTES_MAX = 24 };

/* Append the passphrase of a key, "root-1" or "office-KEN"; `fresh` asks for a new one. ERR_ABSENT: not at
 * hand, go on without this key. Another error ends the ceremony's step. */
typedef enum err ceremony_ask(void *self, const char *key_name, bool fresh, struct buf *passphrase_out);

struct ceremony_options {
    const char *directory; /* exists; outlives the ceremony, as do the others */
    const struct world *world;
    const struct vault_work *work; /* of new key files */
    ceremony_ask *ask;
    void *self;
};

/* What went wrong, in words. Static texts. */
typedef struct joining_fault ceremony_fault;

/* Found an organisation with n roots of which m sign, in an empty directory. ERR_EXISTS: there is one already.
 * ERR_INVALID: the name, n or m, or an empty passphrase. Errors of files and of `ask`. */
MUST_CHECK enum err ceremony_found(struct ceremony **ceremony_out, const struct ceremony_options *options,
                                   const char *name, uint32_t root_count, uint32_t needed,
                                   ceremony_fault *fault_out);

/* Open what was founded, with one of its keys: NULL: the first that is at hand. ERR_ABSENT: nothing was founded here, or no
 * such key. ERR_PASSPHRASE, ERR_CORRUPT, ERR_NEWER. */
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

/* Make an office with three compartments unless there is one of this code; let it have these grants, and all
 * compartments of all offices if `everything`. Needs m roots, but none when nothing changes. Every office of
 * headquarters gets the compartments of a new one. `name` may be NULL for an office that exists. ERR_INVALID: the code or
 * name. ERR_PASSPHRASE, ERR_DENIED: fewer than m roots are at hand. */
MUST_CHECK enum err ceremony_office(struct ceremony *ceremony, const char *code, const char *name,
                                    bool everything, const struct ceremony_grant *grants, size_t grant_count,
                                    ceremony_fault *fault_out);

/* Certify the device of a request for an office: `level` wherever the office's grants reach and none of `grants`
 * names the compartment. Needs the office's key. ERR_ABSENT: no such office. ERR_INVALID: the request;
 * ERR_EXISTS: a key of it is another device's. */
MUST_CHECK enum err ceremony_device(struct ceremony *ceremony, const char *code,
                                    const struct request *request, enum level level, uint32_t roles,
                                    const struct ceremony_grant *grants, size_t grant_count,
                                    ceremony_fault *fault_out);

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
