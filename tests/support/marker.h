/* marker.h - is this text, or are these bytes, anywhere in a directory? */
#pragma once

#include "store/base/bytes.h"

/* How often `needle` stands in the files of the directory and those below it: as it is, turned round, in UTF-16 of either
 * order, in hex of either case, and in base64 at each of the three places where it may begin. */
size_t marker_count(const char *directory, struct span needle);

/* As it is alone: for bytes that are no text. */
size_t marker_count_bytes(const char *directory, struct span needle);
