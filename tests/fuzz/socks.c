/* The answers of any proxy: taken in whole or in pieces they come to the same, and they end, with words for people
 * or with a connection, before the bytes that are not the proxy's. */
#include "sync/socks.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* How much of it was the proxy's. */
static size_t
take(struct socks *socks, const uint8_t *data, size_t size, size_t piece)
{
    struct endpoint target;
    size_t used = 0;

    require(endpoint_parse(&target, span_text("tcp://vigil-hq.onion:7700"), ENDPOINT_DIAL, false) == ERR_OK);
    socks_begin(socks, &target);
    for (size_t at = 0; at < size; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        size_t taken = socks_take(socks, span_of(data + at, part));

        require(taken <= part && socks->to_send_size <= sizeof socks->to_send);
        require(taken == part || socks->state == SOCKS_DONE || socks->state == SOCKS_FAILED);
        used += taken;
        if (taken < part) {
            break;
        }
    }
    return used;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socks whole;
    struct socks pieces;

    size_t used = take(&whole, data, size, size == 0 ? 1 : size);
    require(take(&pieces, data, size, 1) == used);
    require(whole.state == pieces.state && whole.reason == pieces.reason);
    require((whole.state == SOCKS_FAILED) == (whole.reason != LINK_NO_REASON));
    require(strlen(reason_text(whole.reason)) > 0 && used <= 2 + SOCKS_REPLY_BYTES_MAX);
    return 0;
}
