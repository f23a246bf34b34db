/* repaint.h - a page that is shown again and again, until somebody has seen enough.
 *
 *     a terminal      cursor home, each row over the one before, the rest cleared; a line that is too wide goes on in the next
 *                     row, and the page is no longer than the terminal is high
 *     anything else   one page after the other, with an empty line between
 *
 * Plain ANSI and no library: what was on the terminal before stays above. SIGINT and SIGTERM end it as a person means it, with
 * everything printed and status 0.
 */
#pragma once

#include "store/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct repaint {
    FILE *to;
    bool terminal;
    bool spaced; /* an empty line goes between pages that are not painted over */
    FILE *page;  /* what is being printed; NULL: none is begun */
    char *text;
    size_t size;
    unsigned long pages;
};

/* Catch the signals, and that of another size of the terminal. */
void repaint_begin(struct repaint *repaint, FILE *to, bool terminal, bool spaced);
/* Give them back as they were. A page that was begun is dropped. */
void repaint_end(struct repaint *repaint);

/* Begin a page, to be printed to; lent until repaint_show. NULL: no memory. */
FILE *repaint_page(struct repaint *repaint);

/* Show it. ERR_MEMORY: it is not whole. ERR_IO: it did not reach its place. */
MUST_CHECK enum err repaint_show(struct repaint *repaint);

/* Wait so long, or until the terminal has another size. False: somebody has seen enough. */
bool repaint_wait(unsigned seconds);

/* Write a page over the one before on a terminal of so many rows, of which the last stays free, and columns (0: not known). */
void repaint_write(FILE *to, const char *page, unsigned rows, unsigned columns);
