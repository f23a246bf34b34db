/* entry.c - whatever bytes come as a descriptor, as a header or out of a seal, they are read or refused. The
 * first byte is the flags of an entry that seals the rest: its author may seal what he likes. */
#include "tests/support/entries.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_descriptor(struct span bytes)
{
    struct descriptor descriptor;
    uint8_t again[DESCRIPTOR_BYTES];

    if (descriptor_read(bytes, &descriptor)) {
        descriptor_write(again, &descriptor);
        if (!span_equal(bytes, span_of(again, sizeof again))) {
            abort();
        }
    }
}

static void
read_header(struct span bytes)
{
    struct entry entry;
    uint8_t again[HEADER_BYTES];

    if (entry_header_read(bytes, &entry)) {
        entry_header_write(again, &entry);
        if (!span_equal(bytes, span_of(again, sizeof again))) {
            abort();
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct test_author author;
    static struct buf sealed;
    static struct buf opened;
    struct entry entry = { .kind = ENTRY_DATA, .lane = LANE_NORMAL };

    read_descriptor(span_of(data, size));
    read_header(span_of(data, size));
    if (size == 0 || size - 1 > PAYLOAD_BYTES_MAX - SEAL_BYTES) {
        return 0;
    }
    if (author.epoch.epoch.bytes[0] == 0) {
        test_author_init(&author, 1);
    }
    entry.flags = data[0] & 15;
    test_seal_raw(&entry, &author, span_of(data + 1, size - 1), &sealed);
    enum entry_fault fault = entry_open(&entry, &author.log_id, &author.epoch, &author.record_key, &opened);
    if (fault == FAULT_DOES_NOT_OPEN || (fault != FAULT_NONE && opened.size > 0) ||
        opened.size > PAYLOAD_PLAIN_BYTES_MAX) {
        abort();
    }
    /* As it stands, unless the flags say otherwise. */
    if ((entry.flags & (ENTRY_COMPRESSED | ENTRY_PADDED)) == 0 &&
        !span_equal(buf_span(&opened), span_of(data + 1, size - 1))) {
        abort();
    }
    return 0;
}
