/* One byte says which end reads; the rest is a stream of frames, decoded one by
 * one. What decodes stays within the input and within its limits. */
#include "node/channel.h"

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

static bool
lies_within(struct span inner, struct span outer)
{
    return inner.size == 0 ||
           (inner.data >= outer.data && inner.data + inner.size <= outer.data + outer.size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(span_of(data, size));
    enum channel_end end = reader_u8(&in) & 1 ? CHANNEL_NET : CHANNEL_STORE;
    struct channel_frame frame;

    while (!in.failed && reader_left(&in) > 0) {
        struct span bytes = reader_span(&in, reader_u32(&in));
        if (in.failed || channel_decode(&frame, bytes, end) != ERR_OK) {
            break;
        }
        require(lies_within(frame.bytes, bytes) && lies_within(frame.endpoint, bytes) &&
                lies_within(frame.proxy, bytes) && frame.proxy.size < ENDPOINT_BYTES);
        require(memchr(frame.config.directory, '\0', sizeof frame.config.directory) != NULL);
        require(frame.bytes.size <= LINK_MESSAGE_BYTES_MAX && frame.endpoint.size < ENDPOINT_BYTES);
        require((unsigned)frame.reason < LINK_REASON_COUNT);
        require((frame.type >= CHANNEL_READY) == (end == CHANNEL_STORE) || frame.type == CHANNEL_MESSAGE ||
                frame.type == CHANNEL_ROOM);
        for (size_t i = 0; frame.type == CHANNEL_SCHEDULES && i < frame.count; i++) {
            struct link_schedule row = channel_schedule(&frame, i);
            require(envelope_schedule_valid(&row.schedule));
        }
        require(envelope_schedule_valid(&frame.envelopes.theirs));
        for (size_t i = 0; frame.type == CHANNEL_ROSTER && i < frame.count; i++) {
            struct zap_guest guest = channel_guest(&frame, i);
            require(zap_list_device(&(struct zap_list){ .by_key = &guest, .count = 1 }, guest.curve_pk) !=
                    NULL);
        }
    }
    return 0;
}
