/* joining.h - the three files by which a device comes to belong.
 *
 *     node   -- request -->  office        three public keys, signed by themselves
 *     office -- welcome -->  node          sealed to the request: statements, control key
 *     office -- statements --> other nodes   news, sealed under the control key
 *
 * Files are text: a title line and base64 in lines of 76, so that they can be printed
 * or typed. Nothing here touches a disk.
 */
#pragma once

#include "sync/statement.h"

struct world;

/* Files larger than this are refused before they are read. */
enum { JOINING_FILE_BYTES_MAX = 64 << 20 };

/* What is wrong with a file, in the words of an error message. Static texts; NULL where all is well. */
struct joining_fault {
    const char *what;
    const char *why;
    const char *todo;
};

struct request {
    uint8_t sign_pk[SIGN_PK_BYTES];
    uint8_t box_pk[32];
    uint8_t transport_pk[32];
    char name[STATEMENT_NAME_BYTES_MAX + 1];
    char endpoint[STATEMENT_ENDPOINT_BYTES_MAX + 1]; /* "": none */
    uint8_t incarnation[8];
    uint8_t possession[SIGNATURE_BYTES]; /* goes into the certificate */
};

/* Append the request file; `possession` is made here. `request` names the keys of `sign_pair` and the two others. */
void request_write(struct buf *file_out, struct request *request, const struct key_pair *sign_pair);

/* ERR_INVALID: not a request, damaged, or not signed by its own key; ERR_NEWER. `fault_out` (may be NULL) says it in words. */
MUST_CHECK enum err request_read(struct span file, struct request *request_out,
                                 struct joining_fault *fault_out);

/* What a welcome brings. Owns its statements. */
struct welcome {
    struct buf statements; /* a CBOR array of signed statements: see joining_each */
    struct key control_key;
    struct hash certificate; /* stmt_id of the device's own */
    struct hash org;         /* to be compared by a second channel */
};

/* Append the welcome file, sealed to `box_pk`. ERR_INVALID: a bad public key. ERR_MEMORY. */
MUST_CHECK enum err welcome_write(struct buf *file_out, const struct welcome *welcome,
                                  const uint8_t box_pk[32], const struct world *world);

/* ERR_INVALID: not a welcome, or damaged; ERR_LOCKED: sealed to another device; ERR_NEWER; ERR_MEMORY. */
MUST_CHECK enum err welcome_read(struct span file, const struct key_pair *box_pair,
                                 struct welcome *welcome_out, struct joining_fault *fault_out);
/* Wipes the control key. */
void welcome_free(struct welcome *welcome);

/* Append a statements file: `statements` is a CBOR array of signed statements. ERR_MEMORY. */
MUST_CHECK enum err statements_write(struct buf *file_out, struct span statements,
                                     const struct key *control_key, const struct world *world);

/* The array of signed statements replaces the content of `statements_out`. Errors as welcome_read; ERR_LOCKED: of another
 * organisation. */
MUST_CHECK enum err statements_read(struct span file, const struct key *control_key,
                                    struct buf *statements_out, struct joining_fault *fault_out);

/* Walk a CBOR array of byte strings, each a signed statement. False: it is not such an array. */
bool joining_each(struct span statements, void (*each)(void *self, struct span signed_statement), void *self);

/* What every member can open and nobody else: a file of `title` whose content is sealed under H(context, control key) with a
 * random nonce. Appended; ERR_MEMORY. Reading replaces `content_out`: ERR_INVALID: another kind of file, or damaged;
 * ERR_LOCKED: of another organisation, or altered; ERR_NEWER; ERR_MEMORY. */
MUST_CHECK enum err joining_seal(struct buf *file_out, const char *title, const char *context,
                                 struct span content, const struct key *control_key,
                                 const struct world *world);
MUST_CHECK enum err joining_unseal(struct span file, const char *title, const char *context,
                                   const struct key *control_key, struct buf *content_out,
                                   struct joining_fault *fault_out);

/* ERR_INVALID, in the words for a file whose content is out of shape. */
enum err joining_damaged(struct joining_fault *fault_out);

/* Text armour: `title` line and base64 lines of 76; and back, strictly. False: another title, or not as written. */
void armour_write(struct buf *out, const char *title, struct span bytes);
MUST_CHECK bool armour_read(struct span file, const char *title, struct buf *bytes_out);

/* armour_read, with words: ERR_INVALID: another kind of file, or damaged; ERR_NEWER; ERR_MEMORY. `title` ends in its version. */
MUST_CHECK enum err armour_open(struct span file, const char *title, struct buf *bytes_out,
                                struct joining_fault *fault_out);
