/* json_tree.h - JSON that a node keeps for itself, in bytes that are read without looking at each letter.
 *
 *     {"row":2,"kept":[true,"a"]}
 *     'o' 2 | 3 "row" 'i' 4 | 4 "kept" 'a' 2 't' 's' 1 "a"
 *
 * Sizes and counts are varints, integers zigzag varints, reals their eight bytes. What a stranger sends is never read so: the bytes
 * come from a sealed row of our own.
 */
#pragma once

#include "store/base/bytes.h"

#include <jansson.h>

/* Append a value. No memory: `out` has failed. One that is nested more than 2048 times, which jansson's parser never gives, would not be
 * read again. */
void json_tree_put(struct buf *out, const json_t *value);

/* The value that `bytes` are, all of them; a new reference. NULL: they are none, or no memory. */
json_t *json_tree_read(struct span bytes);
