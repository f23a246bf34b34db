/* search.h - the full text of records, in memory.
 *
 *     text of a record --> words and stems --> FTS5 in memory --> records, the best match first
 *     what a person typed --^
 *
 * Derived from records and from nothing else: whoever keeps it follows the places of the journal (journal.h), puts the
 * text of each record that they name, and begins anew where there is doubt. Nothing here touches a disk: search_image gives
 * the bytes that somebody may keep, sealed.
 *
 * FTS5 ranks (BM25), knows prefixes and phrases, and is never given what a person typed as it is: a query is taken
 * apart here, so that no character of it means anything but those named at search_find.
 *
 * One index is used by one thread at a time. A thread of its own takes the words of a text apart while FTS5 takes in, in the caller's
 * thread, the texts before it, which is as much work again (search_ahead.h). It is made by a search_put, at any time in the life of the
 * process, once dozens of texts wait; search_close ends it, and so does every call that changes or asks anything but search_put and
 * search_count. So to read all anew takes two processors, while who saves a record now and then or searches never has a second thread, nor a second
 * cache of words in memory: to make it again takes no longer than a few dozen texts do.
 */
#pragma once

#include "store/base/crypto.h"
#include "store/base/err.h"

struct search;

/* An empty index. ERR_MEMORY; ERR_INVALID: the data of ICU or a stemmer is not installed. */
MUST_CHECK enum err search_open(struct search **search_out);
void search_close(struct search **search);

/* What an index depends on beside the texts: the versions of the libraries, and how a sample of each script is taken apart. One that
 * was made under another fingerprint finds less than it should. ERR_MEMORY; ERR_INVALID as search_open. */
MUST_CHECK enum err search_fingerprint(struct hash *out);

/* The whole index as bytes, with all that was put until now: a secret as large as the index. *image_out is to be given to
 * search_image_free, also after an error. ERR_MEMORY. */
struct search_image {
    uint8_t *bytes;
    size_t size;
};
MUST_CHECK enum err search_image(struct search *search, struct search_image *image_out);

/* Room for such bytes that come from elsewhere. ERR_MEMORY. */
MUST_CHECK enum err search_image_new(struct search_image *image_out, size_t size);

void search_image_free(struct search_image *image); /* wipes it */

/* The index that such bytes were made of; they are not needed any longer. ERR_CORRUPT: they are no index. Whoever gives bytes that
 * somebody else could change is lost: it is for what was sealed. ERR_MEMORY; ERR_INVALID as search_open. */
MUST_CHECK enum err search_restore(struct search **search_out, struct span image);

/* The text by which a record is found, in place of what it had; empty: it is found no more. `names`, which is text too, is found
 * by what sounds alike in another script or spelling as well. Both are copied, and taken in by this call or a later one; then they are
 * wiped. ERR_MEMORY: this text was not taken. One that was, and is not in the index yet, is never given up: the next call tries
 * again, and gives ERR_MEMORY as long as it fails. */
MUST_CHECK enum err search_put(struct search *search, uint32_t record_no, struct span text,
                               struct span names);

/* Take in what was put since the last query, which would otherwise wait for that. ERR_MEMORY: some of it waits still. */
MUST_CHECK enum err search_settle(struct search *search);

/* Let nothing be left of what was replaced or taken out since the last call, in no page of the index: after an erasure.
 * ERR_MEMORY. */
MUST_CHECK enum err search_purge(struct search *search);

/* True once memory ran out while something was written into the index: it is of no use any longer, every call gives ERR_MEMORY, and what
 * it held must be put into another. */
bool search_is_lost(const struct search *search);

/* Records that have a text, taken in or not. */
uint64_t search_count(const struct search *search);

struct search_hit {
    uint32_t record_no;
    double rank; /* lower is better; of one query only */
};

/* The records that hold every word of `query`, in any form of it or as a name that sounds like it, the best first, at most `room`. A word that ends with * stands
 * for all that begin so; what stands between "..." must come in that order. *count_out may be 0. ERR_INVALID: no
 * word in it, or not UTF-8. ERR_MEMORY. */
MUST_CHECK enum err search_find(struct search *search, struct span query, struct search_hit *hits_out,
                                size_t room, size_t *count_out);
