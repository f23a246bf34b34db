/* fresh.h - files that are made new, and are gone again unless they are kept.
 *
 *     fresh_folder, fresh_place --> fresh_file ... --+--> fresh_keep   all of it is on the disk
 *                                                    +--> fresh_drop   nothing half-written is left
 *
 * For what leaves a node: nobody else may read it (mode 0600, a folder 0700), nothing that is there is written over, and no link is
 * followed.
 */
#pragma once

#include "tools/fault.h"

struct fresh;

/* A folder for files: made, or there and empty. False, and `fault_out`: it is neither, or not to be had. */
MUST_CHECK bool fresh_folder(struct fresh **fresh_out, const char *path, struct client_fault *fault_out);

/* The same for the one file `path`, whose folder is there and may hold others. `name_out` is what fresh_file takes, lent from
 * `path`. */
MUST_CHECK bool fresh_place(struct fresh **fresh_out, const char *path, const char **name_out,
                            struct client_fault *fault_out);

/* Make a file in it, to be written to. It belongs to `fresh`. False, and `fault_out`: it is there already, or cannot be made. */
MUST_CHECK bool fresh_file(struct fresh *fresh, const char *name, FILE **file_out,
                           struct client_fault *fault_out);

/* The folder as a path that leads to it wherever it is moved. Good as long as `fresh`. */
const char *fresh_path(const struct fresh *fresh);

/* Write out all files, and sync them and their folder. False, and `fault_out`: not all of it could be, and nothing is left. Frees it
 * either way. */
MUST_CHECK bool fresh_keep(struct fresh **fresh, struct client_fault *fault_out);

/* Remove the files that it made, and the folder if it made that. NULL does nothing. */
void fresh_drop(struct fresh **fresh);
