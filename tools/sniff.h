/* sniff.h - what a file really is, by its bytes, and whether that is what it is said to be.
 *
 * Of the beginning of a file alone, which libmagic is given as bytes: nothing of it is executed, unpacked or opened by name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SNIFF_TYPE_BYTES = 128, SNIFF_BYTES_MAX = 256 * 1024 };

/* The media type of a file that begins with these bytes (at most SNIFF_BYTES_MAX are looked at): "application/octet-stream" if they are
 * of no known kind. False: libmagic or its data cannot be used here. */
bool sniff_type(const uint8_t *bytes, size_t size, char type_out[SNIFF_TYPE_BYTES]);

/* The media type that a name claims by what stands behind its last dot; NULL: none that is known. */
const char *sniff_claim(const char *name);

/* What a name should end in so that programs take it for this type: ".jpg". "": not known. */
const char *sniff_ending(const char *type);

/* True if a file of type `real` may be called `claimed`: they are the same, or the bytes cannot tell them apart. */
bool sniff_fits(const char *claimed, const char *real);
