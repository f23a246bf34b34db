/* finding_image.h - the search index on disk, sealed, so that a node that starts need not read every record again.
 *
 *     index in memory --bytes--> written a piece at a time --keep--> search/image --open--> index in memory
 *
 * It may be lost at any time: then everything is read again. What it holds is as secret as the records are, those of level L3
 * among them, and so is its end: it is sealed under H("vigil.fts.key.v1", wrapping key of keys/), and that key is replaced when
 * something is erased (vault.h). So an image that was made before an erasure opens no more, wherever a copy of it lies.
 *
 * Bytes (big-endian): "VIGILFTS", version u8 = 1, start[24], then parts of crypto_parts: a head {place u64, mark[32],
 * fingerprint[32], size u64}, and the image in pieces of 1 MiB and what is left, at least one.
 */
#pragma once

#include "store/search.h"

/* Where the journal was when the index was as the image has it. */
struct finding_moment {
    uint64_t place;
    struct hash mark;        /* of the places up to it: another journal has another */
    struct hash fingerprint; /* see search_fingerprint */
};

struct finding_writer;
struct world;

/* Begin to write an image in `directory`, which is made if it is not there; one that is there is removed. The bytes are taken over,
 * whatever is given back. ERR_FULL: the disk has not room for it and for as much again. ERR_DENIED, ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err finding_writer_open(struct finding_writer **writer_out, const char *directory,
                                        const struct key *key, const struct finding_moment *moment,
                                        struct search_image *image, const struct world *world);

/* Write a piece, and make it durable. ERR_ABSENT: that was the last, and the image is kept. ERR_FULL, ERR_IO. */
MUST_CHECK enum err finding_writer_step(struct finding_writer *writer);

/* What was not kept is removed. Takes none. */
void finding_writer_close(struct finding_writer **writer);

/* Read the image of `directory`. It is at `wanted`'s fingerprint, and its place and mark are in `moment_out`; *image_out
 * is to be given to search_image_free. ERR_ABSENT: there is none. ERR_CORRUPT: damaged, cut, or of another key. ERR_NEWER: of another
 * version or fingerprint. ERR_DENIED, ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err finding_image_read(const char *directory, const struct key *key,
                                       const struct hash *wanted, struct finding_moment *moment_out,
                                       struct search_image *image_out);

/* Remove the image, and what was begun of one. ERR_DENIED, ERR_IO: it may be there still. */
MUST_CHECK enum err finding_image_remove(const char *directory);
