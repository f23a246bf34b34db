/* frontier_file.h - what a node holds of every log, carried to the ceremony on a stick.
 *
 *     node --- vigil digest --frontier FILE ---> vigil-org revoke, extend
 *
 *     log   [descriptor, [[seq, entry_id] ...]]      every tip that is kept, what counts or not
 *
 * A revocation says up to which entry each log of a device counts, and the ceremony meets
 * no node: it takes these cuts from such a file. The file is signed by the device that made
 * it, so that nobody cuts by the word of the very device that is revoked, and sealed under the control
 * key. Format: sync/FORMATS.md. Nothing here touches a disk.
 */
#pragma once

#include "store/entry.h"
#include "sync/joining.h"

struct frontier_file_tip {
    uint64_t seq;
    struct hash entry_id;
};

struct frontier_file_log {
    struct descriptor descriptor;
    struct hash log_id;
    struct frontier_file_tip *tips; /* ascending by (seq, entry_id), at least one; owned */
    size_t tip_count;
};

/* Zeroed, it is empty and ready. */
struct frontier_file {
    struct hash org;
    uint8_t sign_pk[SIGN_PK_BYTES]; /* of the device that made it */
    uint64_t made;                  /* seconds since 1970, by that device's clock */
    struct frontier_file_log *logs; /* ascending by log_id, each once; owned */
    size_t log_count;
    size_t log_capacity;
};

/* Add a log with its tips: any order, each log and each tip once. ERR_MEMORY: nothing was added. */
MUST_CHECK enum err frontier_file_add(struct frontier_file *file, const struct descriptor *descriptor,
                                      const struct frontier_file_tip *tips, size_t tip_count);

/* Append the file, signed by this device: `sign_pk` is set here, `org`, `made` and the logs are the caller's. ERR_FULL: longer than
 * such a file may be. ERR_MEMORY. */
MUST_CHECK enum err frontier_file_write(struct buf *file_out, struct frontier_file *file,
                                        const struct key_pair *signer, const struct key *control_key,
                                        const struct world *world);

/* ERR_INVALID: another kind of file, damaged, or not signed by the device that it names; ERR_LOCKED: of another organisation;
 * ERR_NEWER; ERR_MEMORY. Whether that device is a member is not looked at. */
MUST_CHECK enum err frontier_file_read(struct span bytes, const struct key *control_key,
                                       struct frontier_file *file_out, struct joining_fault *fault_out);

void frontier_file_free(struct frontier_file *file);
