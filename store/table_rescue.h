/* table_rescue.h - what a salvage needs of table.c: whether a row verifies, and a file that takes the place of a damaged one.
 *
 * Nobody but salvage.c includes it. The damaged file is only lent, to be read: LMDB does not see it. Rows go into data.mdb.new, which takes
 * its place once it is whole and synced.
 */
#pragma once

#include "store/table.h"

struct table_rescue;

/* `TABLE_COUNT` is the table that holds the format row: salvage numbers tables so. */

/* Lock the environment. With `writes` begin a new file beside, whose format row is there and nothing else. ERR_ABSENT: there is no environment. ERR_BUSY,
 * ERR_DENIED, ERR_FULL, ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err table_rescue_open(struct table_rescue **rescue_out, const struct table_options *options,
                                      bool writes);

/* Takes none. What was not put in place is removed. */
void table_rescue_close(struct table_rescue **rescue);

/* The damaged file. */
int table_rescue_file(const struct table_rescue *rescue);

/* The names by which LMDB knows tables; of another environment, and so not here: NULL. */
const char *table_rescue_name(const struct table_rescue *rescue, size_t table);

/* True if this is a row of that table, and nobody else's; `value_out` is lent until the next call. */
bool table_rescue_verify(struct table_rescue *rescue, size_t table, struct span key, struct span stored,
                         struct span *value_out);

/* 8 bytes that stand for a key of a table, in memory alone. */
uint64_t table_rescue_hash(const struct table_rescue *rescue, size_t table, struct span key);

/* Put a row as it is stored, in the place of another that has its key. */
MUST_CHECK enum err table_rescue_put(struct table_rescue *rescue, size_t table, struct span key,
                                     struct span stored);

/* What was put under this key; lent until the next put. ERR_ABSENT. */
MUST_CHECK enum err table_rescue_get(struct table_rescue *rescue, size_t table, struct span key,
                                     struct span *stored_out);

/* Put a row that is new. */
MUST_CHECK enum err table_rescue_add(struct table_rescue *rescue, size_t table, struct span key,
                                     struct span value);

/* Make the new file durable, and the damaged one's place its own. A crash leaves one or the other, whole. ERR_IO: nobody can tell which; the
 * next opening can. */
MUST_CHECK enum err table_rescue_finish(struct table_rescue *rescue);
