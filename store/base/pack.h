/* pack.h - small texts made smaller with one trained dictionary.
 *
 * The only file that includes zstd.h. A schema major names its dictionary; frames are
 * magicless, without checksum and dictionary id. The dictionary is part of the
 * format: it never changes for a major, and its hash is in the golden vectors.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

enum { PACK_MAJOR = 1 };

/* Append the frame of `plain` to `out`. Deterministic for one zstd version; readers accept any.
 * Without memory `out` fails. Any thread may call these; each has a workspace of its own. */
void pack_compress(struct span plain, struct buf *out);

/* Append what `frame` holds to `out`, at most `bytes_max`, whatever the frame claims; nothing on error.
 * ERR_INVALID: not exactly one whole frame that declares its size. ERR_FULL: declares more than
 * `bytes_max`. ERR_MEMORY: no fault of the frame. */
MUST_CHECK enum err pack_decompress(struct span frame, size_t bytes_max, struct buf *out);

/* The dictionary's bytes. */
struct span pack_dictionary(void);
