/* chunk.c - whatever bytes a peer sends as a chunk, they are taken apart or refused, and what was taken
 * apart is written again to the same bytes. The first byte is the lane. */
#include "sync/update.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct chunk chunk;
    static const struct hash log_id;
    struct buf again = { 0 };
    struct hash prev = { { 0 } };

    if (size == 0 || chunk_read(span_of(data + 1, size - 1), data[0], &chunk) != CHUNK_OK) {
        return 0;
    }
    memcpy(prev.bytes, chunk.prev_short, sizeof chunk.prev_short);
    chunk_identify(&chunk, &log_id, &prev);
    chunk_write(&again, chunk.entries, chunk.entry_count, chunk.signature);
    if (!again.failed && !span_equal(buf_span(&again), span_of(data + 1, size - 1))) {
        abort();
    }
    for (size_t n = 0; n < chunk.entry_count; n++) {
        uint8_t header[HEADER_BYTES];
        struct entry back;
        entry_header_write(header, &chunk.entries[n]);
        if (!entry_header_read(span_of(header, sizeof header), &back)) {
            abort();
        }
        entry_identify(&back, &log_id);
        if (!hash_equal(&back.id, &chunk.entries[n].id)) {
            abort();
        }
    }
    buf_free(&again);
    return 0;
}
