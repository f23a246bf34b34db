/* show.h - one record, to be read.
 *
 *     KEN-2026-0042 (case of KEN)
 *       id 3f09...   made 2026-03-01 10:00 UTC   changed 2026-03-05 10:13 UTC
 *
 *       Title         Arrest after a session
 *     ! Status        * Triage       Geneva laptop, 2026-03-05 10:13 UTC
 *                       Assessment   Nairobi laptop, 2026-03-05 10:12 UTC
 *       Birth date    withheld
 *
 *     act
 *         Type of act   Death threat
 */
#pragma once

#include "tools/output.h"

/* Print the answer of record.show. With `ids`, each line begins with its target instead of its label. With `labels`,
 * elements stand under the label of their collection, and not under its name. */
void show_record(const struct output *output, const json_t *record, bool ids, bool labels);

/* "Nairobi laptop, Amina, 2026-03-05 10:12 UTC" of an object with device, actor and at. The caller frees it; NULL: no
 * memory. */
char *show_author(const json_t *value);
