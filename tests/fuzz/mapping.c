/* A mapping: any bytes are one, or a sentence that says where they are none; and any text is a date of a form, or is not. */

#include "tools/mapping.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What a mapping may be relied on for. */
static void
look_at(const struct mapping_record *record)
{
    for (size_t n = 0; n < record->column_count; n++) {
        const struct mapping_column *column = &record->columns[n];

        assert(column->name[0] != '\0' && column->field[0] != '\0' && strlen(column->separator) <= 8);
        if (column->map != NULL) {
            for (size_t pair = 0; pair < column->map->count; pair++) {
                /* Each value is found, by itself. */
                assert(mapping_translate(column->map, column->map->pairs[pair].theirs) ==
                       column->map->pairs[pair].ours);
            }
        }
    }
    for (size_t n = 0; n < record->constant_count; n++) {
        assert(record->constants[n].field[0] != '\0' && record->constants[n].value[0] != '\0');
    }
}

static void
read_dates(const uint8_t *data, size_t size)
{
    char text[64];
    char out[MAPPING_DATE_BYTES];

    if (size == 0 || size >= sizeof text) {
        return;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (mapping_date_read((enum mapping_date)(data[0] % (MAPPING_DATE_DATETIME + 1)), text, out)) {
        assert(strlen(out) < sizeof out);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mapping mapping;
    struct config_fault fault;

    read_dates(data, size);
    /* libconfuse takes ${HOME} from the environment, and long ones cost it more than they teach. */
    if (size > 1 << 16) {
        return 0;
    }
    if (mapping_parse(&mapping, "m.conf", span_of(data, size), &fault) == ERR_OK) {
        assert(mapping.source[0] != '\0' && mapping.records[0].key_count > 0);
        assert(mapping.names || mapping.records[0].column_count > 0);
        for (size_t n = 0; n < mapping.record_count; n++) {
            look_at(&mapping.records[n]);
        }
        look_at(&mapping.repeat.elements);
    } else {
        assert(strncmp(fault.text, "m.conf:", 7) == 0);
    }
    mapping_free(&mapping);
    return 0;
}
