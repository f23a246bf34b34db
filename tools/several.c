#include "tools/several.h"

#include <string.h>

static const char escape = '\\';

void
several_put(struct buf *cell, const char *value)
{
    if (cell->size > 0) {
        buf_put_u8(cell, '|');
    }
    for (; *value != '\0'; value++) {
        if (*value == '|' || *value == escape) {
            buf_put_u8(cell, (uint8_t)escape);
        }
        buf_put_u8(cell, (uint8_t)*value);
    }
}

const char *
several_next(const char *cell, const char *separator, bool escaped, struct buf *value_out)
{
    size_t size = strlen(separator);

    while (*cell != '\0') {
        if (escaped && size > 0 && *cell == escape) {
            if (cell[1] == escape) {
                buf_put_u8(value_out, (uint8_t)escape);
                cell += 2;
                continue;
            }
            if (strncmp(cell + 1, separator, size) == 0) {
                buf_put(value_out, cell + 1, size);
                cell += 1 + size;
                continue;
            }
        }
        if (size > 0 && strncmp(cell, separator, size) == 0) {
            return cell + size;
        }
        buf_put_u8(value_out, (uint8_t)*cell);
        cell++;
    }
    return NULL;
}
