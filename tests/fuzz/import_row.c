/* A file of rows under each mapping that comes with the program: any bytes are records to ask the node for, or a sentence about a row
 * and a column; and several values of a cell are read as they were written. */
#include "node/codebook_json.h"
#include "tools/import_row.h"
#include "tools/several.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_several(const uint8_t *data, size_t size)
{
    struct buf cell = { 0 };
    struct buf value = { 0 };
    size_t count = 1;

    /* Lines are values; none of them is empty, and none holds a NUL. */
    for (size_t n = 0; n < size; n++) {
        uint8_t byte = data[n] == '\0' ? '\\' : data[n];

        if (byte == '\n') {
            byte = '|';
        }
        buf_put_u8(&value, byte);
    }
    buf_put_u8(&value, '\0');
    assert(!value.failed);
    if (size > 0) {
        several_put(&cell, (const char *)value.data);
        several_put(&cell, (const char *)value.data);
        buf_put_u8(&cell, '\0');
        assert(!cell.failed);
        const char *at = (const char *)cell.data;
        for (count = 0; at != NULL; count++) {
            struct buf read = { 0 };

            at = several_next(at, "|", true, &read);
            buf_put_u8(&read, '\0');
            assert(!read.failed && span_equal(buf_span(&read), buf_span(&value)));
            buf_free(&read);
        }
        assert(count == 2);
    }
    buf_free(&cell);
    buf_free(&value);
}

static void
take_rows(struct import_rows *made, struct rows *rows)
{
    struct client_fault fault;
    struct row row = { 0 };

    while (rows_next(rows, &row, &fault) && row.cells != NULL) {
        json_t *item = row.message[0] == '\0' ? import_rows_make(made, &row) : NULL;

        assert(item != NULL || row.message[0] != '\0');
        if (item != NULL) {
            json_t *outcome = json_pack("{s:i,s:i,s:s}", "record", 0, "item", 0, "field", "title");

            assert(json_array_size(json_object_get(item, "records")) > 0);
            assert(import_rows_column(made, item, row.cells, outcome) != NULL);
            json_decref(outcome);
        }
        json_decref(item);
        row_free(&row);
    }
    row_free(&row);
}

/* Byte 0 says which mapping, and whether the rest is CSV or JSON. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *codebook;
    struct client_fault fault;
    struct config_fault why;
    struct mapping mapping;
    struct import_rows *made = NULL;
    struct rows *rows = NULL;

    if (size < 2) {
        return 0;
    }
    if (codebook == NULL) {
        codebook = codebook_json(codebook_reprisals(), NULL);
        assert(codebook != NULL);
    }
    try_several(data + 1, size - 1);
    const char *name = mapping_ready_name(data[0] / 2 % 3);
    enum err err = mapping_parse(&mapping, name, mapping_ready(name), &why);
    assert(err == ERR_OK);
    bool bound = import_rows_new(&made, &mapping, codebook, mapping.kind, "", &fault);
    assert(bound);
    FILE *file = fmemopen((void *)(uintptr_t)(data + 1), size - 1, "r");
    assert(file != NULL);
    const struct rows_options options = { file, data[0] % 2 == 1, mapping.delimiter, "FILE" };
    if (rows_open(&rows, &options, &fault)) {
        json_t *unused = json_array();
        size_t count = 0;
        const char *const *columns = rows_columns(rows, &count);

        if (options.json || import_rows_heading(made, columns, count, "FILE", unused, &fault)) {
            take_rows(made, rows);
        }
        json_decref(unused);
    }
    rows_close(&rows);
    (void)fclose(file);
    import_rows_free(&made);
    mapping_free(&mapping);
    return 0;
}
