/* pack.c - whatever bytes come as a frame, they are unpacked or refused, within the bound; and whatever is
 * packed comes back. */
#include "store/base/pack.h"

#include <stdlib.h>

enum { BYTES_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buf content;
    static struct buf frame;

    buf_clear(&content);
    enum err err = pack_decompress(span_of(data, size), BYTES_MAX, &content);
    if (content.size > BYTES_MAX || (err != ERR_OK && content.size > 0)) {
        abort();
    }
    buf_clear(&frame);
    buf_clear(&content);
    pack_compress(span_of(data, size), &frame);
    if (frame.failed || pack_decompress(buf_span(&frame), size, &content) != ERR_OK ||
        !span_equal(buf_span(&content), span_of(data, size))) {
        abort();
    }
    return 0;
}
