/* message: a frame that is read is written again byte for byte from what was read. */
#include "sync/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
write_front(struct buf *out, const struct front *front)
{
    struct reader list = front->list;
    struct reader extras = front->extra;
    uint64_t gap;
    uint64_t value;
    struct front_extra extra;
    size_t count = 0;

    if (front->mode >= FRONT_ASK) {
        front_ask_write(out, front->tag, (enum front_mode)(front->mode - FRONT_ASK));
        return;
    }
    front_write(out, front->tag, (enum front_mode)front->mode, front->mode == FRONT_NAMES ? NULL : front->id,
                front->list_count);
    if (front->mode == FRONT_DELTA) {
        for (; front_delta_next(&list, &gap, &value); count++) {
            front_delta_write(out, gap, value);
        }
    } else if (front->mode == FRONT_HEADS) {
        for (; front_heads_next(&list, &value); count++) {
            front_heads_write(out, value);
        }
    }
    must(count == front->list_count);
    front_extra_count_write(out, front->extra_count);
    for (count = 0; front_extra_next(&extras, &extra); count++) {
        front_extra_write(out, &extra);
    }
    must(count == front->extra_count);
}

static void
write_heads(struct buf *out, const struct heads *heads)
{
    struct reader tips = heads->tips;
    struct heads_tip tip;

    if (heads->step == 0) {
        heads_slices_write(out, heads->tag, heads->slices);
        return;
    }
    heads_write(out, heads->tag, heads->slice_bits);
    while (heads_next(&tips, &tip)) {
        heads_tip_write(out, &tip);
    }
}

static void
write_again(struct buf *out, const struct frame *frame)
{
    struct reader list;

    switch (frame->type) {
    case FRAME_HELLO:
        hello_write(out, &frame->hello);
        break;
    case FRAME_DIGEST: {
        struct digest_item item;
        list = frame->digests;
        digest_write(out);
        while (digest_next(&list, &item)) {
            digest_item_write(out, &item);
        }
        break;
    }
    case FRAME_FRONT:
        write_front(out, &frame->front);
        break;
    case FRAME_ANNOUNCE:
        announce_write(out, &frame->announce);
        break;
    case FRAME_WANT:
        want_write(out, &frame->want);
        break;
    case FRAME_CHUNK: {
        struct chunk_item item;
        list = frame->chunks;
        chunk_frame_write(out);
        while (chunk_next(&list, &item)) {
            chunk_item_write(out, &item);
        }
        break;
    }
    case FRAME_ACK: {
        struct ack_item item;
        list = frame->ack.items;
        ack_write(out, frame->ack.tag);
        while (ack_next(&list, &item)) {
            ack_item_write(out, &item);
        }
        break;
    }
    case FRAME_HEADS:
        write_heads(out, &frame->heads);
        break;
    case FRAME_PROOF:
        proof_write(out, frame->proof);
        break;
    case FRAME_CREDIT:
        credit_write(out, frame->credit_bytes);
        break;
    case FRAME_DENY:
        deny_write(out, &frame->deny);
        break;
    case FRAME_BYE: {
        struct bye_item item;
        list = frame->bye.items;
        bye_write(out, (enum bye_reason)frame->bye.reason);
        while (bye_next(&list, &item)) {
            bye_item_write(out, &item);
        }
        break;
    }
    case FRAME_BEYOND: {
        struct heads_tip tip;
        list = frame->beyond.tips;
        beyond_write(out, frame->beyond.tag);
        while (heads_next(&list, &tip)) {
            heads_tip_write(out, &tip);
        }
        break;
    }
    case FRAME_BLOB:
        blob_part_write(out, &frame->blob);
        break;
    case FRAME_HAVE: {
        struct blob_have_item item;
        list = frame->have.items;
        blob_have_write(out, frame->have.tag);
        while (blob_have_next(&list, &item)) {
            blob_have_item_write(out, &item);
        }
        break;
    }
    case FRAME_ASK: {
        struct blob_ask_page page;
        list = frame->ask.pages;
        blob_ask_write(out, &frame->ask);
        while (blob_ask_next(&list, &page)) {
            blob_ask_page_write(out, &page);
        }
        break;
    }
    case FRAME_UNKNOWN:
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame frame;
    struct buf out = { 0 };

    if (frame_read(span_of(data, size), &frame) && frame.type != FRAME_UNKNOWN) {
        write_again(&out, &frame);
        must(!out.failed && span_equal(buf_span(&out), span_of(data, size)));
    }
    buf_free(&out);
    return 0;
}
