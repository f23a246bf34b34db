/* finding.h - records found by what they say, on a node that may read them.
 *
 *     journal places --> the records they name --> their text, both halves --> store/search.h
 *                                                                                 |    ^
 *                                              many texts later, in slices: search/image, sealed
 *
 * The index is in memory and off the write path: it is brought up to date in slices between turns, when nothing else is to
 * be done, or when somebody searches. It holds what this node may read and nothing else, L3 words too; of a restricted record nothing, and
 * what was erased goes from it with the place that says so.
 */
#pragma once

#include "store/search.h"
#include "sync/replica.h"

struct finding;

/* An image of the index is made after so many texts, and a quarter of those that it has. */
enum { FINDING_IMAGE_TEXTS = 1000 };

/* All of it outlives the finding. */
struct finding_options {
    const char
        *directory; /* the state directory: images are kept in its folder search/; NULL: none is kept */
    const struct world *world;
    uint64_t image_texts; /* FINDING_IMAGE_TEXTS, or fewer in a test */
};

/* `options` is copied. NULL: no memory. */
struct finding *finding_new(const struct finding_options *options);
void finding_free(struct finding **finding);

/* Read a slice of what is not in the index yet; the first time, take over the image that is kept, whole. Between turns, with no reader open. ERR_ABSENT: nothing is left to be read.
 * ERR_INVALID: there is no index, since the data of ICU or of a stemmer is not installed; others as replica_begin_read, ERR_MEMORY: the
 * slice is read again later, or all is, into another index, if this one was lost. `now_ms`: of the steady clock. */
MUST_CHECK enum err finding_read(struct finding *finding, struct replica *replica, uint64_t now_ms);

/* How many records and places are still to be read; 0: the index is up to date. */
uint64_t finding_left(const struct finding *finding, struct replica *replica);

/* False: there never is an index, since the data of ICU or of a stemmer is not installed. */
bool finding_is_able(const struct finding *finding);

/* When the next slice is due: soon after the journal has come to rest, or after a while. UINT64_MAX: there is nothing to read. */
uint64_t finding_due_ms(struct finding *finding, struct replica *replica, uint64_t now_ms);

/* As search_find; each hit is the case half of a record. ERR_INVALID too if there never is an index; ERR_MEMORY if there is none yet, or
 * none any more. */
MUST_CHECK enum err finding_find(struct finding *finding, struct span words, struct search_hit *hits_out,
                                 size_t room, size_t *count_out);

/* True if an image is being written, or it is time for one. */
bool finding_keep_is_due(const struct finding *finding, struct replica *replica, uint64_t now_ms);

/* Then: write a piece of it. Between turns. What fails is tried again in an hour, and is no error: an image may be lost. */
void finding_keep(struct finding *finding, struct replica *replica, uint64_t now_ms);

/* Remove the image, since something that it holds was erased; another is made in its time. ERR_DENIED, ERR_IO: it may be there
 * still. */
MUST_CHECK enum err finding_forget_image(struct finding *finding);
