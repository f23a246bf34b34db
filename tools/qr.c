#include "tools/qr.h"

#include <errno.h>
#include <qrencode.h>

enum { QUIET = 4 };

/* True where the module is dark; what lies around the code is not. */
static bool
is_dark(const QRcode *code, int row, int column)
{
    return row >= 0 && column >= 0 && row < code->width && column < code->width &&
           (code->data[row * code->width + column] & 1) != 0;
}

static void
draw_blocks(struct buf *out, const QRcode *code, bool colours)
{
    static const char *const halves[] = { " ", "\xe2\x96\x84", "\xe2\x96\x80", "\xe2\x96\x88" };

    for (int row = -QUIET; row < code->width + QUIET; row += 2) {
        if (colours) {
            buf_put_text(out, "\033[30;107m");
        }
        for (int column = -QUIET; column < code->width + QUIET; column++) {
            buf_put_text(out, halves[2 * is_dark(code, row, column) + is_dark(code, row + 1, column)]);
        }
        buf_put_text(out, colours ? "\033[0m\n" : "\n");
    }
}

static void
draw_ascii(struct buf *out, const QRcode *code)
{
    for (int row = -QUIET; row < code->width + QUIET; row++) {
        for (int column = -QUIET; column < code->width + QUIET; column++) {
            buf_put_text(out, is_dark(code, row, column) ? "##" : "  ");
        }
        buf_put_u8(out, '\n');
    }
}

enum err
qr_draw(struct buf *out, const char *text, enum qr_style style)
{
    /* The library finds by itself that such letters fit into the denser alphanumeric mode. */
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);

    if (code == NULL) {
        return errno == ERANGE ? ERR_FULL : ERR_MEMORY;
    }
    if (style == QR_ASCII) {
        draw_ascii(out, code);
    } else {
        draw_blocks(out, code, style == QR_COLOURS);
    }
    QRcode_free(code);
    return out->failed ? ERR_MEMORY : ERR_OK;
}
