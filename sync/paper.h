/* paper.h - a file on paper: numbered parts, to be typed or scanned, and put together again.
 *
 *     VIGIL PART 1 2/3 K4QZ2M7A              part 2 of 3 of the file whose check is K4QZ2M7A
 *     ABCDEF GHIJKL ... 40 letters and 2     a line of 25 bytes, and its own check
 *     ...                                    at most 10 lines a part
 *
 * The same letters without their spaces are the text of a QR code. Base32 has no letter
 * that differs from another by case, and its codes are denser than those of base64.
 * The check of a line says where a person mistyped; the check of the file, that all parts are of one file
 * and that it is whole. Format: sync/FORMATS.md. Nothing here touches a disk or a terminal.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"
#include "sync/joining.h"

enum {
    PAPER_PARTS_MAX = 999,
    PAPER_LINE_BYTES = 25,
    PAPER_LINES_MAX = 10,
    PAPER_PART_BYTES = PAPER_LINE_BYTES * PAPER_LINES_MAX,
    PAPER_CHECK_BYTES = 5,
    PAPER_CODE_CHARS_MAX = 464, /* of paper_code: fits into a QR code of version 13, level M */
};

/* The parts of one file, all of them or some. Zeroed, it is empty and ready. */
struct paper {
    uint32_t part_count; /* 0: none has come yet */
    uint8_t check[PAPER_CHECK_BYTES];
    bool here[PAPER_PARTS_MAX];
    struct buf content; /* PAPER_PART_BYTES for each part */
    size_t last_bytes;  /* of the last part */
};

void paper_free(struct paper *paper);

/* Cut a file into parts. ERR_INVALID: it is empty; ERR_FULL: it needs more than PAPER_PARTS_MAX. ERR_MEMORY. */
MUST_CHECK enum err paper_split(struct paper *paper_out, struct span file);

/* Append part `n`, from 0, as lines for people, or as the text of its QR code. The part is here. */
void paper_text(const struct paper *paper, uint32_t n, struct buf *out);
void paper_code(const struct paper *paper, uint32_t n, struct buf *out);

/* Where in what was typed something is wrong; 0: nowhere in particular. Both count from 1. */
struct paper_place {
    uint32_t part;
    uint32_t line;
};

/* Take the parts that a text holds, in either form, any order and any number of times. Bytes above 127 and '#', with
 * which codes are drawn, count as space. ERR_INVALID: mistyped, or no parts; nothing of that part was taken; ERR_CONFLICT: a
 * part of another file; ERR_NEWER; ERR_MEMORY. `place_out` and `fault_out` may not be NULL. */
MUST_CHECK enum err paper_add(struct paper *paper, struct span text, struct paper_place *place_out,
                              struct joining_fault *fault_out);

/* The lowest number, from 1, of a part that is missing; 0: all are here. 1 before any has come. */
uint32_t paper_missing(const struct paper *paper);

/* Append the file, byte by byte what was split. No part is missing. ERR_CORRUPT: the whole is not what its check says: a mistake that the
 * checks of the lines did not find. ERR_MEMORY. */
MUST_CHECK enum err paper_join(const struct paper *paper, struct buf *file_out);
