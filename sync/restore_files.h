/* restore_files.h - the files of a backup: taken in after its records, piece by piece, whatever is damaged of them.
 *
 *     NAME.files --> parts that open --> a file that an entry here names --> pieces, each verified --> whole, or in part
 *
 * What is missing afterwards is missing as anything that has not come yet: peers are asked for it. A file that nothing names any more,
 * because it was erased since, is not taken.
 */
#pragma once

#include "sync/backup.h"
#include "sync/bundle_import.h"

struct restore_files_counts {
    struct bundle_file_counts parts;
    struct bundle_reading reading; /* of the first pass */
    uint64_t names;                /* files that are named in it */
    bool whole;                    /* its end was read, and every part before it, and no byte is damaged */
};

/* Read it to its end and count; nothing is changed. `source` outlives this. Errors of the source, ERR_MEMORY; ERR_INVALID: no part of
 * it opens with this key: it is no such file, or of another backup. */
MUST_CHECK enum err restore_files_check(const struct key *file_key, const struct ident *pair_id,
                                        const struct bundle_source *source,
                                        struct restore_files_counts *counts_out);

/* Take it in, in turns of its own, after restore_apply; again changes nothing. Errors as restore_files_check, and of replica_commit. */
MUST_CHECK enum err restore_files_apply(struct replica *replica, const struct key *file_key,
                                        const struct ident *pair_id, const struct bundle_source *source,
                                        struct restore_files_counts *counts_out);
