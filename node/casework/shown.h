/* shown.h - what a view shows, by the names of the codebook: for rules that know fields by name.
 *
 * A codebook that has no field of the name gives what an empty field gives.
 */
#pragma once

#include "store/codebook.h"
#include "store/record.h"

/* A field of the record itself (`element` NULL) or of one of its elements. NULL: it holds nothing. `view` may be NULL. */
const struct record_target *shown_target(const struct record_view *view, const struct record_element *element,
                                         const char *name);

/* True if the element is one of this collection. */
bool shown_is_in(const struct codebook *codebook, const struct record_element *element,
                 const char *collection);

/* The one code that a field shows; NULL: it shows none, several, or one that is not known here. `target` may be NULL. */
const struct codebook_value *shown_value(const struct codebook *codebook, const struct record_target *target);
/* Its name; "" in place of NULL. */
const char *shown_code(const struct codebook *codebook, const struct record_target *target);

/* True if the field shows this record among its values. `target` may be NULL. */
bool shown_has_record(const struct record_target *target, const struct ident *id);
