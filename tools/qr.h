/* qr.h - a code for cameras, drawn with half blocks.
 *
 *     one character shows two modules, one above the other; dark is ink
 *
 * On a terminal the ground is made white and the ink black, whatever its colours are: a camera needs it so.
 * Where the locale is not UTF-8, a module is two characters wide, "##" or spaces.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

enum qr_style { QR_BLOCKS = 0, QR_COLOURS = 1, QR_ASCII = 2 };

/* Append the drawing of `text` (capitals, digits, space and $%*+-./: only), with its quiet zone. ERR_FULL: longer than a code
 * holds. ERR_MEMORY. */
MUST_CHECK enum err qr_draw(struct buf *out, const char *text, enum qr_style style);
