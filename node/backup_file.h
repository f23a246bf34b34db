/* backup_file.h - the files of a backup or a bundle, on a disk that may be a stick: written beside, kept whole or not at all.
 *
 *     .NAME.main.part --write, sync each MiB--> whole, read back --keep--> NAME.main
 *
 * A file that is there already is never replaced. Mode 0600. What is not kept is removed.
 */
#pragma once

#include "store/stream.h"

#include <limits.h>

enum { BACKUP_PATH_BYTES = 4096 };

/* Zeroed with `directory` and `file` -1, it is closed. */
struct backup_out {
    int directory;
    int file;
    bool kept;
    uint64_t size;
    uint64_t synced;
    char name[NAME_MAX + 1];   /* that it gets */
    char beside[NAME_MAX + 1]; /* that it has while it is written */
};

/* Begin the file `path` + `suffix`. ERR_EXISTS: it is there. ERR_ABSENT: its directory is not. ERR_INVALID: no name, or one that is too
 * long. ERR_DENIED, ERR_FULL, ERR_IO. */
MUST_CHECK enum err backup_out_open(struct backup_out *out, const char *path, const char *suffix);

/* A stream_output; `self` is a struct backup_out. What was written is synced as it goes, so that no sync lasts. */
enum err backup_out_write(void *self, struct span bytes);

/* Make what was written durable, and forget it: what is read back is read from the disk. */
MUST_CHECK enum err backup_out_sync(struct backup_out *out);

/* Give it its name. ERR_EXISTS: somebody else made a file of that name meanwhile. */
MUST_CHECK enum err backup_out_keep(struct backup_out *out);

/* Undo that. */
void backup_out_remove(struct backup_out *out);

/* Removes what was not kept. */
void backup_out_close(struct backup_out *out);

/* Why a file could not be written, kept or read back, and what to do, in words for people; never NULL. */
void backup_out_words(enum err err, const char **why_out, const char **todo_out);

/* A file that is read; closed if `file` is -1. */
struct backup_in {
    int file;
};

/* Open a file and read its header. ERR_DENIED: it is no ordinary file, or not readable. ERR_ABSENT; errors of
 * stream_header_read; ERR_IO. */
MUST_CHECK enum err backup_in_open(struct backup_in *in, const char *path, struct stream_header *header_out);

/* The same of a file that is being written. */
MUST_CHECK enum err backup_in_open_again(struct backup_in *in, const struct backup_out *out,
                                         struct stream_header *header_out);

/* The same without a header: at the beginning of the file. */
MUST_CHECK enum err backup_in_open_plain(struct backup_in *in, const char *path);
MUST_CHECK enum err backup_in_open_plain_again(struct backup_in *in, const struct backup_out *out);

/* As backup_in_read, of a damaged medium: what it cannot give is read as zeros, a block at a time, and added to *lost. */
enum err backup_in_read_around(struct backup_in *in, uint8_t *out, size_t room, size_t *size_out,
                               uint64_t *lost);

/* A stream_input; `self` is a struct backup_in. */
enum err backup_in_read(void *self, uint8_t *out, size_t room, size_t *size_out);

void backup_in_close(struct backup_in *in);
