/* bundle_export.h - what goes into a bundle: the chunks that its destinations may carry, the most needed first.
 *
 *     begin --> volume --> step, step ... --> volume --> step ... --> done
 *                 \_ an output of its own _/
 *
 * `control` comes first, then the keys of every compartment, then what is urgent, then the rest, and files at last, the small
 * ones first; so a first volume is of use alone. Only compartments go in that we and every destination may carry. How far each log had come is noted
 * at the beginning, and it is written a slice at a time, without a transaction that lasts.
 */
#pragma once

#include "sync/bundle.h"
#include "sync/replica.h"

enum {
    BUNDLE_VOLUME_BYTES_MIN = 1 << 18,
    BUNDLE_TIPS_MAX = 1 << 18, /* that one import keeps of what devices said they have */
};

struct bundle_known {
    uint64_t made_ms; /* by its clock; 0: it never said anything */
    struct heads_tip *tips;
    size_t count;
};

void bundle_known_free(struct bundle_known *known);

/* Bytes for the table, and back. ERR_INVALID: none of ours. ERR_MEMORY. */
void bundle_known_write(struct buf *out, const struct bundle_known *known);
MUST_CHECK enum err bundle_known_read(struct span bytes, struct bundle_known *known_out);

/* The files that a device asked for in a bundle, of one compartment: bytes for the table, and back. ERR_INVALID: none of ours.
 * ERR_MEMORY. */
struct bundle_wishes {
    uint64_t made_ms; /* by its clock; 0: it never said anything */
    struct hash *addresses;
    size_t count; /* at most BUNDLE_WISHES_MAX */
};

void bundle_wishes_free(struct bundle_wishes *wishes);
void bundle_wishes_write(struct buf *out, const struct bundle_wishes *wishes);
MUST_CHECK enum err bundle_wishes_read(struct span bytes, struct bundle_wishes *wishes_out);

/* Which files go along, of those that are here whole and that a destination is not known to hold (with BUNDLE_ALL: of all). */
enum bundle_files {
    BUNDLE_FILES_NONE = 0,
    BUNDLE_FILES_WANTED, /* what one of them asked for, and what a wide area line brings unasked */
    BUNDLE_FILES_ALL,
};

struct bundle_export_options {
    const struct hash *destinations; /* device ids, 1 to BUNDLE_DESTINATIONS_MAX; twice is as good as once */
    size_t destination_count;
    enum bundle_content content;
    enum bundle_files files; /* with BUNDLE_RECEIPTS none go along */
    uint64_t volume_bytes;   /* that no volume passes: at least BUNDLE_VOLUME_BYTES_MIN */
};

struct bundle_export;

/* Note what is to be written. Outside of a turn; `replica` outlives the export. *place_out: of the destination that an error is
 * about. ERR_ABSENT: that device is not certified, or was revoked. ERR_INVALID: it is this one. ERR_DENIED: there is nothing that it
 * may carry with us: its certificate ended, or ours does not stand. ERR_MEMORY; errors of the tables. */
MUST_CHECK enum err bundle_export_begin(struct bundle_export **export_out, struct replica *replica,
                                        const struct bundle_export_options *options, size_t *place_out);

/* Begin the next volume. At the beginning, and whenever bundle_export_step says BUNDLE_VOLUME_ENDS. Errors of the output. */
MUST_CHECK enum err bundle_export_volume(struct bundle_export *export, struct stream_output output);

enum bundle_step {
    BUNDLE_GOES_ON,
    BUNDLE_VOLUME_ENDS, /* this volume is whole, and another one follows */
    BUNDLE_DONE,        /* this volume is whole, and the last */
};

/* Write a slice: about 256 entries or 1 MiB. Outside of a turn. Errors of the output and of the tables, after which it is to be closed; an
 * entry or a part of a file that is damaged here is no error: see bundle_export_progress. */
MUST_CHECK enum err bundle_export_step(struct bundle_export *export, enum bundle_step *step_out);

struct bundle_progress {
    uint64_t done; /* entries that were written */
    uint64_t all;  /* as many as were to be when it began */
    uint64_t lost; /* left out: one on the way to them is damaged here */
    uint64_t bytes;
    uint64_t files;            /* that were written to their end */
    uint64_t files_all;        /* as many as were to be */
    uint64_t file_bytes;       /* of their chunks, written so far */
    uint64_t file_bytes_all;   /* as many as were to be */
    uint64_t file_chunks_lost; /* left out: damaged here */
    uint64_t
        files_left; /* left out: erased, put away or damaged meanwhile, or of more than BUNDLE_FILE_CHUNKS_MAX */
    uint32_t volume; /* the present one, from 1 */
    uint32_t parts;  /* of it, written so far */
};

struct bundle_progress bundle_export_progress(const struct bundle_export *export);

/* Who and what it is. Lent. */
const struct bundle_manifest *bundle_export_manifest(const struct bundle_export *export);

/* The file key, to read volumes back with. Lent. */
const struct key *bundle_export_key(const struct bundle_export *export);

/* Wipes it. Takes none. */
void bundle_export_close(struct bundle_export **export);
