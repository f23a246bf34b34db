/* clean.h - a copy of a file without what it tells beside its content: place, device, author, time.
 *
 *     original.jpg --> mat2 (a child that sees its own folder, no network and next to no environment) --> original.cleaned.jpg
 *
 * mat2 knows dozens of formats, and the programs it calls have had holes: so the child gets limits, and nothing of ours.
 */
#pragma once

#include "node/client.h"

#include <stdbool.h>
#include <stddef.h>

/* True if mat2 is there. False, and `fault_out`. */
bool clean_is_possible(struct client_fault *fault_out);

/* A folder of mode 0700 beside `path`, so that what is in it lies on the same disk as the result. False, and `fault_out`. */
bool clean_begin(const char *path, char *folder_out, size_t room, struct client_fault *fault_out);

/* Have mat2 clean the file `name` in the folder; `cleaned_out` gets the path of the copy. False, and `fault_out`: mat2 is not installed, does
 * not know the format, or failed; no copy is to be used then. */
bool clean_run(const char *folder, const char *name, char *cleaned_out, size_t room,
               struct client_fault *fault_out);

/* Remove the folder and the files in it; those that are left are overwritten first, as far as the file system does that. */
void clean_end(const char *folder);
