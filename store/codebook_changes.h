/* codebook_changes.h - what a newer codebook changes, and what it must not.
 *
 *     in force:  3 title text L2        proposed:  3 title text L2           nothing
 *                4 status code L1                  4 status text L1          refused: another type
 *                                                  9 phase code L1           added
 *
 * Numbers and meanings are for good: entries that were written under the older one are read by the newer, and nodes
 * that have not heard of it go on. So things are added, and words, ranks and policies may change; what a value is, and in
 * which half it lies, may not. Pure.
 */
#pragma once

#include "store/codebook.h"

enum codebook_change_how {
    CODEBOOK_ADDED = 1,
    CODEBOOK_ALTERED, /* allowed: it is shown or asked for in another way */
    CODEBOOK_REFUSED, /* it would give another meaning to what was written */
};

struct codebook_change {
    enum codebook_change_how how;
    char what[160]; /* "field act.type_of_act" */
    char text[160]; /* "its type is another", "new" */
};

/* Call `each` for everything that `after` has otherwise than `before`, kinds first, then collections, fields and vocabularies, each
 * ascending by number. Gives how many are refused; 0: `after` may follow. */
size_t codebook_compare(const struct codebook *before, const struct codebook *after,
                        void (*each)(void *self, const struct codebook_change *change), void *self);
