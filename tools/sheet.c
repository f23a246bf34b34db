#include "tools/sheet.h"

#include "tools/csv_write.h"
#include "tools/output.h"

#include <stdlib.h>
#include <string.h>
#include <xlsxwriter.h>

enum { SHEET_NAME_BYTES = 31, SHEET_ROWS = 1048576, CELL_CHARACTERS = 32767, SHEETS_MAX = 256 };

static const char cut_mark[] = " [cut here: the whole text is in the other formats]";

struct sheet {
    FILE *file;            /* of CSV */
    lxw_worksheet *inside; /* of a workbook */
    uint32_t rows;
};

struct sheets {
    struct fresh *fresh;
    lxw_workbook *workbook; /* NULL: CSV */
    struct sheet sheets[SHEETS_MAX];
    size_t count;
    size_t cut;
};

static bool
no_memory(struct client_fault *fault)
{
    return fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
}

static bool
lxw_failed(lxw_error error, struct client_fault *fault)
{
    return fault_set(fault, err_code(error == LXW_ERROR_MEMORY_MALLOC_FAILED ? ERR_MEMORY : ERR_IO),
                     "see that there is room where it is written to", "the workbook cannot be written: %s",
                     lxw_strerror(error));
}

bool
sheets_csv(struct sheets **sheets_out, struct fresh *fresh, struct client_fault *fault)
{
    *sheets_out = calloc(1, sizeof **sheets_out);
    if (*sheets_out == NULL) {
        return no_memory(fault);
    }
    (*sheets_out)->fresh = fresh;
    return true;
}

bool
sheets_xlsx(struct sheets **sheets_out, struct fresh *fresh, const char *name, struct client_fault *fault)
{
    char path[64];
    FILE *file = NULL;

    if (!sheets_csv(sheets_out, fresh, fault)) {
        return false;
    }
    if (!fresh_file(fresh, name, &file, fault)) {
        sheets_drop(sheets_out);
        return false;
    }
    /* By its descriptor, so that it is the file that was made, whatever stands under its name by now. */
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    (*sheets_out)->workbook =
        workbook_new_opt(path, &(lxw_workbook_options){ .constant_memory = LXW_TRUE,
                                                        .tmpdir = (char *)(uintptr_t)fresh_path(fresh),
                                                        .use_zip64 = LXW_TRUE });
    if ((*sheets_out)->workbook == NULL) {
        sheets_drop(sheets_out);
        return no_memory(fault);
    }
    return true;
}

/* Replace the two that are no characters, and that no reader of XML takes. */
static void
mend_xml(char *text)
{
    for (char *at = text; (at = strstr(at, "\xef\xbf")) != NULL; at += 2) {
        if (at[2] == '\xbe' || at[2] == '\xbf') {
            at[2] = '\xbd';
        }
    }
}

/* Cut what has more characters (of UTF-16, as a workbook counts them) than a cell takes. True: it did. */
static bool
cut_cell(char **text)
{
    size_t characters = 0;
    size_t fits = 0; /* bytes that leave room for the mark */

    for (const char *at = *text; *at != '\0'; at++) {
        if ((*at & 0xc0) != 0x80) {
            if (characters <= CELL_CHARACTERS - sizeof cut_mark) {
                fits = (size_t)(at - *text);
            }
            characters += (unsigned char)*at >= 0xf0 ? 2 : 1;
        }
    }
    if (characters <= CELL_CHARACTERS) {
        return false;
    }
    char *cut = malloc(fits + sizeof cut_mark);
    if (cut != NULL) {
        memcpy(cut, *text, fits);
        memcpy(cut + fits, cut_mark, sizeof cut_mark);
        free(*text);
        *text = cut;
    }
    return cut != NULL;
}

static bool
put_inside(struct sheets *sheets, struct sheet *sheet, char **cells, size_t count, struct client_fault *fault)
{
    if (sheet->rows == SHEET_ROWS) {
        return fault_set(fault, err_code(ERR_FULL), "narrow it with --where, or use vigil export csv",
                         "a sheet takes at most %d rows", SHEET_ROWS);
    }
    for (size_t n = 0; n < count; n++) {
        if (cells[n] == NULL || cells[n][0] == '\0') {
            continue;
        }
        mend_xml(cells[n]);
        sheets->cut += cut_cell(&cells[n]) ? 1 : 0;
        lxw_error error = worksheet_write_string(sheet->inside, sheet->rows, (lxw_col_t)n, cells[n], NULL);
        if (error != LXW_NO_ERROR) {
            return lxw_failed(error, fault);
        }
    }
    sheet->rows++;
    return true;
}

bool
sheets_row(struct sheets *sheets, size_t number, const char *const *cells, size_t count,
           struct client_fault *fault)
{
    struct sheet *sheet = &sheets->sheets[number];
    char **clean = calloc(count + 1, sizeof *clean);
    bool good = clean != NULL || no_memory(fault);

    for (size_t n = 0; good && n < count; n++) {
        if (cells[n] != NULL) {
            clean[n] = output_clean(cells[n], true);
            good = clean[n] != NULL || no_memory(fault);
        }
    }
    if (good && sheet->inside != NULL) {
        good = put_inside(sheets, sheet, clean, count, fault);
    } else if (good) {
        csv_write_row(sheet->file, (const char *const *)clean, count);
        good = ferror(sheet->file) == 0 ||
               fault_set(fault, err_code(ERR_IO), "see that there is room where it is written to",
                         "the table cannot be written");
    }
    for (size_t n = 0; clean != NULL && n < count; n++) {
        free(clean[n]);
    }
    free(clean);
    return good;
}

/* A name of at most 31 characters that no other sheet has: "policy_development.attac~12". */
static void
sheet_name(const struct sheets *sheets, const char *name, char out[SHEET_NAME_BYTES + 1])
{
    if (strlen(name) <= SHEET_NAME_BYTES) {
        (void)snprintf(out, SHEET_NAME_BYTES + 1, "%s", name);
    } else {
        (void)snprintf(out, SHEET_NAME_BYTES + 1, "%.27s~%zu", name, sheets->count);
    }
}

bool
sheets_add(struct sheets *sheets, const char *name, const char *const *headings, size_t count,
           size_t *sheet_out, struct client_fault *fault)
{
    if (sheets->count == SHEETS_MAX) {
        return fault_set(fault, err_code(ERR_FULL), "export fewer kinds at once with --kind",
                         "at most %d tables are written", SHEETS_MAX);
    }
    struct sheet *sheet = &sheets->sheets[sheets->count];
    if (sheets->workbook == NULL) {
        char *file_name = NULL;

        if (asprintf(&file_name, "%s.csv", name) < 0) {
            return no_memory(fault);
        }
        bool made = fresh_file(sheets->fresh, file_name, &sheet->file, fault);
        free(file_name);
        if (!made) {
            return false;
        }
    } else {
        char inside[SHEET_NAME_BYTES + 1];

        sheet_name(sheets, name, inside);
        sheet->inside = workbook_add_worksheet(sheets->workbook, inside);
        if (sheet->inside == NULL) {
            return fault_set(fault, err_code(ERR_INVALID), "use vigil export csv",
                             "a workbook takes no sheet called %s", inside);
        }
        worksheet_freeze_panes(sheet->inside, 1, 0);
    }
    *sheet_out = sheets->count++;
    return sheets_row(sheets, *sheet_out, headings, count, fault);
}

size_t
sheets_cut(const struct sheets *sheets)
{
    return sheets->cut;
}

bool
sheets_end(struct sheets **sheets_in, struct client_fault *fault)
{
    lxw_error error = LXW_NO_ERROR;

    if ((*sheets_in)->workbook != NULL) {
        error = workbook_close((*sheets_in)->workbook);
    }
    free(*sheets_in);
    *sheets_in = NULL;
    return error == LXW_NO_ERROR || lxw_failed(error, fault);
}

void
sheets_drop(struct sheets **sheets)
{
    if (*sheets != NULL && (*sheets)->workbook != NULL) {
        lxw_workbook_free((*sheets)->workbook);
    }
    free(*sheets);
    *sheets = NULL;
}
