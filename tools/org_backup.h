/* org_backup.h - vigil-org open: what an office does with its offline key when a backup is to be restored without the
 * passphrase that was chosen for it.
 *
 *     NAME.main or NAME.keys   sealed to the office   --+
 *     machine.request          who is to restore it   --+--> machine.request.backup-key
 *
 * Only the first bytes of the backup are read, so it need not be brought to the ceremony whole, nor both files.
 */
#pragma once

#include "sync/ceremony.h"

/* What vigil-org open is told. Lent. */
struct org_open {
    const char *backup;
    const char *request;
    const char *key_name; /* "office-KEN" */
    const struct world *world;
};

/* Open the file key with the office's and seal it to the machine; prints where it was written. `about_out` names the file or
 * the key that an error is about. Errors as ceremony_open_backup; ERR_INVALID: no backup, or no request. */
MUST_CHECK enum err org_open_backup(struct ceremony *ceremony, const struct org_open *open,
                                    const char **about_out, ceremony_fault *fault_out);
