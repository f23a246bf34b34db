/* codebook_json.h - a codebook as people read and edit it.
 *
 *     {"name":"reprisals","version":2,"kinds":[{"name":"case","number":1,"label":"Case"}],
 *      "collections":[…],"fields":[…],"vocabularies":[{…,"values":[…],"steps":[…]}]}
 *
 * What codebook.show gives; with names in the place of numbers wherever one thing refers to another. Whoever edits it
 * adds an object with a number that was never used, and raises the version.
 */
#pragma once

#include "store/codebook.h"

#include <jansson.h>

/* The codebook, or what of it belongs to one kind (NULL: all). NULL: no memory. */
json_t *codebook_json(const struct codebook *codebook, const struct codebook_kind *only);

/* What `after` has otherwise than `before` (store/codebook_changes.h), as [{"how":"added"|"altered"|"refused","what","why"}]. In *refused_out how
 * many are refused; 0: it may follow. NULL: no memory. */
json_t *codebook_changes_json(const struct codebook *before, const struct codebook *after,
                              size_t *refused_out);

/* Why a codebook cannot be read. */
struct codebook_fault {
    char what[160]; /* "field act.stage: there is no vocabulary called act_stag" */
};

/* Read a whole one; members that are left out are 0, false, "" or empty; "id" is not looked at. Free it with codebook_free.
 * ERR_INVALID: `fault_out` says what is wrong and where. ERR_MEMORY. */
MUST_CHECK enum err codebook_from_json(const json_t *json, struct codebook **codebook_out,
                                       struct codebook_fault *fault_out);
