/* A catalogue of translations: any bytes are one, of which everything can be looked up, or are refused. */

#include "node/catalogue.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct catalogue *catalogue = NULL;
    struct buf bytes = { 0 };
    char text[64];

    buf_put(&bytes, data, size);
    enum err err = catalogue_parse(&catalogue, &bytes);
    assert(bytes.data == NULL && (err == ERR_OK) == (catalogue != NULL));
    if (err != ERR_OK) {
        assert(err == ERR_INVALID);
        return 0;
    }
    assert(catalogue_count(catalogue) < size);
    /* Each run of bytes may be a text of it, with a context or without. */
    for (size_t at = 0; at < size && at < 4096; at++) {
        size_t length = size - at < sizeof text - 1 ? size - at : sizeof text - 1;

        memcpy(text, data + at, length);
        text[length] = '\0';
        const char *found = catalogue_find(catalogue, NULL, text);
        const char *within = catalogue_find(catalogue, text, text);
        assert(found == NULL || found[0] != '\0');
        assert(within == NULL || within[0] != '\0');
    }
    catalogue_close(&catalogue);
    return 0;
}
