#include "tools/csv_write.h"

#include <csv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What a spreadsheet may take for the beginning of a formula; where East Asian text is at home, its full-width forms too. */
static bool
looks_like_formula(const char *cell)
{
    static const char *const wide[] = { "\uff1d", "\uff0b", "\uff0d", "\uff20" }; /* = + - @ */

    for (size_t n = 0; n < sizeof wide / sizeof wide[0]; n++) {
        if (strncmp(cell, wide[n], strlen(wide[n])) == 0) {
            return true;
        }
    }
    return cell[0] != '\0' && strchr("=+-@\t\r\n", cell[0]) != NULL;
}

static void
write_cell(FILE *to, const char *cell)
{
    if (!looks_like_formula(cell)) {
        (void)csv_fwrite(to, cell, strlen(cell));
        return;
    }
    size_t size = strlen(cell);
    char *guarded = malloc(size + 2);

    if (guarded == NULL) {
        /* Better no cell than one that runs; the row keeps its columns. */
        (void)csv_fwrite(to, "", 0);
        return;
    }
    guarded[0] = '\'';
    memcpy(guarded + 1, cell, size + 1);
    (void)csv_fwrite(to, guarded, size + 1);
    free(guarded);
}

void
csv_write_row(FILE *to, const char *const *cells, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        if (n > 0) {
            (void)fputc(',', to);
        }
        write_cell(to, cells[n] == NULL ? "" : cells[n]);
    }
    (void)fputc('\n', to);
}
