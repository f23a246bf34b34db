/* bundle.h - writing bundles, and taking them in, step by step: the node goes on between the steps.
 *
 *     export   write .NAME.001.part --> sync --> read back --> NAME.001, and the next volume
 *     import   FILE, FILE ... --> in slices of a turn, read-only --> report
 *
 * A volume gets its name when it was read back from the disk and every piece of it opened; whatever fails leaves no volume
 * behind. What an import took in stays whatever happens to the rest: it is run again.
 */
#pragma once

#include "node/backup_file.h"
#include "node/setup.h"
#include "sync/bundle_import.h"

enum {
    BUNDLE_VOLUMES_MAX = 999,
    /* A file on a stick that is formatted as most are (FAT32) cannot be larger. */
    BUNDLE_VOLUME_BYTES_DEFAULT = UINT32_MAX,
};

/* --- export --- */

struct bundle_write;

/* `path`: of the volumes, to which .001 and so on are added. Outside of a turn; all but the replica is needed until this returns
 * only. False: `fault_out`, and nothing is left. *place_out: the destination that it is about. */
MUST_CHECK bool bundle_write_begin(struct bundle_write **write_out, struct replica *replica, const char *path,
                                   const struct bundle_export_options *options, size_t *place_out,
                                   struct setup_fault *fault_out);

enum bundle_stage { BUNDLE_WRITING, BUNDLE_CHECKING, BUNDLE_WRITTEN };

/* One step, outside of a turn. False: it failed, `fault_out` says why; close it. */
MUST_CHECK bool bundle_write_step(struct bundle_write *write, struct setup_fault *fault_out);
enum bundle_stage bundle_write_stage(const struct bundle_write *write);
struct bundle_progress bundle_write_progress(const struct bundle_write *write);
const struct bundle_manifest *bundle_write_manifest(const struct bundle_write *write);

/* The path of a volume, from 1. */
void bundle_write_path(const struct bundle_write *write, uint32_t volume, char out[BACKUP_PATH_BYTES + 8]);

/* Removes all volumes unless it is done. Takes none. */
void bundle_write_close(struct bundle_write **write);

/* --- import --- */

struct bundle_read;

/* Begin with 1 to BUNDLE_FILES_MAX files; `take` NULL: they are inspected, and nothing is taken. `self` of the sink outlives it. False:
 * `fault_out`: one is not there or no ordinary file, or there is no memory. */
MUST_CHECK bool bundle_read_begin(struct bundle_read **read_out, struct replica *replica,
                                  const char *const *paths, size_t count, const struct bundle_sink *sink,
                                  struct setup_fault *fault_out);

/* The import, for its report: bundle_import_step and the rest are called on it. Lent. */
struct bundle_import *bundle_read_import(struct bundle_read *read);

size_t bundle_read_count(const struct bundle_read *read);
const char *bundle_read_path(const struct bundle_read *read, size_t n);

/* Bytes of a file that its medium did not give. */
uint64_t bundle_read_lost(const struct bundle_read *read, size_t n);

/* Bytes of all files. */
uint64_t bundle_read_bytes(const struct bundle_read *read);

/* Takes none. */
void bundle_read_close(struct bundle_read **read);
