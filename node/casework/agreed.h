/* agreed.h - what the persons in facts agreed to, by the rule of consent.h.
 *
 *     facts of KEN-7 and UGA-2, linked as one person --> statements of both --> consent_settle --> a set of uses
 *
 * Statements are facts as they were made, and not what they come to: that is another thing on another day. Who was recorded twice
 * made all of the statements, so that a refusal in one record is not got around by the other one.
 *
 * Here nobody is asked whether a person may be recognised: that says how a case may be described, which counts nobody.
 */
#pragma once

#include "node/casework/consent.h"
#include "node/casework/facts.h"

/* Beside those of enum consent_use. */
enum agreed {
    AGREED_WITHHELD = 8, /* may be in the number of those who are withheld */
    AGREED_SAID = 16,    /* a statement is on record */
    AGREED_HERE = 32,    /* the person's record is here, and not hidden */
};

/* For each name of `same` (same.h) that persons are counted under, a set of these as of the day `as_of_day`; of all other names 0: nothing
 * is known of them. The caller frees it. ERR_MEMORY. */
MUST_CHECK enum err agreed_read(const struct facts *facts, const uint32_t *same, uint32_t as_of_day,
                                uint8_t **agreed_out);
