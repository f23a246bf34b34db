/* catalogue.h - one compiled catalogue of translations: a .mo file of GNU gettext.
 *
 *     +-------+---+-----------+--------------+----------------------------------------+
 *     | magic | N | originals | translations | texts, each with a NUL behind it       |
 *     +-------+---+-----------+--------------+----------------------------------------+
 *                   N times (size, place), the originals in ascending order
 *
 * Read here and not by dgettext, which gives a language only to a process whose locale is installed: in the locale C, and since
 * glibc 2.39 in C.UTF-8 too, it ignores LANGUAGE, and a plain Debian has no other. msgfmt leaves out what is fuzzy or empty, so a
 * catalogue holds only what somebody let pass.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

enum { CATALOGUE_BYTES_MAX = 16 * 1024 * 1024 };

struct catalogue;

/* Take in the bytes of a catalogue: `bytes` is emptied, whatever becomes of it.
 * ERR_INVALID: no catalogue, a damaged one, or one that is not all UTF-8. ERR_MEMORY. */
MUST_CHECK enum err catalogue_parse(struct catalogue **catalogue_out, struct buf *bytes);

/* Read a file. ERR_ABSENT: there is none. ERR_IO: it cannot be read. ERR_FULL: more than CATALOGUE_BYTES_MAX bytes. Else as
 * catalogue_parse. */
MUST_CHECK enum err catalogue_open(struct catalogue **catalogue_out, const char *path);

/* NULL does nothing. */
void catalogue_close(struct catalogue **catalogue);

/* How many texts it has, its heading not among them. */
size_t catalogue_count(const struct catalogue *catalogue);

/* The translation of `text`; with a context (NULL: none) of the text in it. Lent. NULL: it has none, or `catalogue` is NULL. */
const char *catalogue_find(const struct catalogue *catalogue, const char *context, const char *text);
