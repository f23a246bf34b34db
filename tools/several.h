/* several.h - several values in one cell of a table.
 *
 *     KEN|LBN           two values
 *     one\|two|three\\  two values: "one|two" and "three\"
 *
 * A bar or a backslash that is part of a value has a backslash before it; a backslash before anything else is itself. Files of other
 * systems know no such thing: there a bar always separates.
 */
#pragma once

#include "store/base/bytes.h"

#include <stdbool.h>

/* Append one more value to a cell. An empty one as the first is none. A lack of memory stays in `cell`. */
void several_put(struct buf *cell, const char *value);

/* Append the first value of `cell`, which ends before `separator` or with the cell, to `value_out`, as it was before several_put if
 * `escaped`. Gives where the next one begins; NULL: there is none. An empty separator is none. */
const char *several_next(const char *cell, const char *separator, bool escaped, struct buf *value_out);
