#include "sync/paper.h"
#include "tests/support/check.h"
#include "tools/qr.h"

#include <qrencode.h>
#include <string.h>

enum { QUIET = 4 };

/* A part of a file as long as parts get. */
static void
longest_code(struct buf *out)
{
    struct paper paper;
    struct buf file = { 0 };

    ck_assert_int_eq(crypto_start(), ERR_OK);
    memset(buf_extend(&file, PAPER_PARTS_MAX * PAPER_PART_BYTES - 1), 'x',
           PAPER_PARTS_MAX * PAPER_PART_BYTES - 1);
    ck_assert_int_eq(paper_split(&paper, buf_span(&file)), ERR_OK);
    paper_code(&paper, 997, out);
    buf_put_u8(out, '\0');
    paper_free(&paper);
    buf_free(&file);
}

/* Whether the module at a place of the drawing is dark. */
static bool
drawn_dark(const char *drawing, int row, int column)
{
    const char *at = drawing;

    for (int line = 0; line < row / 2; line++) {
        at = strchr(at, '\n') + 1;
    }
    for (int n = 0; n < column; n++) {
        at += *at == ' ' ? 1 : 3;
    }
    static const char *const halves[] = { " ", "\xe2\x96\x84", "\xe2\x96\x80", "\xe2\x96\x88" };
    for (int n = 0; n < 4; n++) {
        if (strncmp(at, halves[n], strlen(halves[n])) == 0) {
            return (row % 2 == 0 ? n / 2 : n % 2) != 0;
        }
    }
    ck_abort_msg("neither ink nor ground at row %d, column %d", row, column);
    return false;
}

START_TEST(half_blocks_show_every_module_of_the_code)
{
    struct buf text = { 0 };
    struct buf drawing = { 0 };

    longest_code(&text);
    QRcode *code = QRcode_encodeString((const char *)text.data, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
    ck_assert_ptr_nonnull(code);
    ck_assert_int_eq(qr_draw(&drawing, (const char *)text.data, QR_BLOCKS), ERR_OK);
    buf_put_u8(&drawing, '\0');
    int width = code->width + 2 * QUIET;
    for (int row = 0; row < width; row++) {
        for (int column = 0; column < width; column++) {
            int y = row - QUIET;
            int x = column - QUIET;
            bool inside = y >= 0 && x >= 0 && y < code->width && x < code->width;
            bool dark = inside && (code->data[y * code->width + x] & 1) != 0;
            ck_assert_int_eq(drawn_dark((const char *)drawing.data, row, column), dark);
        }
    }
    QRcode_free(code);
    buf_free(&text);
    buf_free(&drawing);
}
END_TEST

/* A terminal of 80 columns shows the largest code that a part makes. */
START_TEST(no_part_is_wider_than_a_terminal)
{
    struct buf text = { 0 };

    longest_code(&text);
    QRcode *code = QRcode_encodeString((const char *)text.data, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
    ck_assert_int_le(code->version, 13);
    ck_assert_int_le(code->width + 2 * QUIET, 80);
    QRcode_free(code);
    buf_free(&text);
}
END_TEST

START_TEST(every_style_draws_the_same_code)
{
    struct buf blocks = { 0 };
    struct buf colours = { 0 };
    struct buf ascii = { 0 };
    struct buf bare = { 0 };

    ck_assert_int_eq(qr_draw(&blocks, "VIGIL PART 1 1/1", QR_BLOCKS), ERR_OK);
    ck_assert_int_eq(qr_draw(&colours, "VIGIL PART 1 1/1", QR_COLOURS), ERR_OK);
    ck_assert_int_eq(qr_draw(&ascii, "VIGIL PART 1 1/1", QR_ASCII), ERR_OK);
    for (size_t at = 0; at < colours.size; at++) {
        if (colours.data[at] == '\033') {
            at +=
                (size_t)((uint8_t *)memchr(colours.data + at, 'm', colours.size - at) - (colours.data + at));
        } else {
            buf_put_u8(&bare, colours.data[at]);
        }
    }
    ck_assert(span_equal(buf_span(&bare), buf_span(&blocks)));
    buf_put_u8(&blocks, '\0');
    size_t line_bytes = (size_t)((uint8_t *)memchr(ascii.data, '\n', ascii.size) - ascii.data) + 1;
    int width = (int)(line_bytes / 2);
    for (int row = 0; row < width; row++) {
        for (int column = 0; column < width; column++) {
            bool dark = ascii.data[(size_t)row * line_bytes + 2 * (size_t)column] == '#';
            ck_assert_int_eq(drawn_dark((const char *)blocks.data, row, column), dark);
        }
    }
    buf_free(&blocks);
    buf_free(&colours);
    buf_free(&ascii);
    buf_free(&bare);
}
END_TEST

START_TEST(a_text_that_no_code_holds_is_refused)
{
    static char text[5000];
    struct buf out = { 0 };

    memset(text, 'A', sizeof text - 1);
    ck_assert_int_eq(qr_draw(&out, text, QR_BLOCKS), ERR_FULL);
    ck_assert_uint_eq(out.size, 0);
}
END_TEST

SUITE_MAIN("qr", half_blocks_show_every_module_of_the_code, no_part_is_wider_than_a_terminal,
           every_style_draws_the_same_code, a_text_that_no_code_holds_is_refused)
