/* anchor: what decodes is in order, and is as large as its bytes say. */
#include "store/vault.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { HEAD_BYTES = 61, LOG_BYTES = 40 };
    struct anchor anchor;

    enum err err = anchor_decode(span_of(data, size), &anchor);
    if (err == ERR_OK) {
        if (size != HEAD_BYTES + anchor.log_count * LOG_BYTES) {
            abort();
        }
        for (size_t n = 1; n < anchor.log_count; n++) {
            if (hash_compare(&anchor.logs[n - 1].log_id, &anchor.logs[n].log_id) >= 0) {
                abort();
            }
        }
    } else if (anchor.logs != NULL || anchor.log_count != 0) {
        abort();
    }
    anchor_free(&anchor);
    return 0;
}
