/* front: bytes as a stored checkpoint, and as a FRONT over a checkpoint of twelve logs, two of them
 * branches of one. What a view says lies in what the frame said. */
#include "sync/frontier.h"

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
fill_frontier(struct frontier *frontier)
{
    for (uint8_t n = 0; n < 11; n++) {
        struct tip tips[2] = { { .seq = n }, { .seq = 40, .branch_first = 3 } };
        memset(tips[0].log_id.bytes, n * 20, HASH_BYTES);
        tips[1].log_id = tips[0].log_id;
        memset(tips[1].branch_id, 9, SHORT_BYTES);
        must(frontier_set_log(frontier, &tips[0].log_id, tips, n == 5 ? 2 : 1) == ERR_OK);
    }
}

static void
try_checkpoint(struct span bytes)
{
    struct checkpoint read = { 0 };
    struct buf again = { 0 };

    if (checkpoint_read(bytes, &read) == ERR_OK) {
        checkpoint_write(&again, &read);
        /* A branch of zeros is written without its mark, so only what was written is compared. */
        struct checkpoint second = { 0 };
        must(checkpoint_read(buf_span(&again), &second) == ERR_OK && second.count == read.count);
        must(read.count == 0 || memcmp(read.tips, second.tips, read.count * sizeof *read.tips) == 0);
        checkpoint_free(&second);
    }
    checkpoint_free(&read);
    buf_free(&again);
}

static void
try_front(const struct front *front)
{
    struct frontier frontier = { 0 };
    struct checkpoint checkpoint = { 0 };
    struct peer_view view = { 0 };
    struct front known = *front;

    fill_frontier(&frontier);
    must(checkpoint_take(&checkpoint, &frontier, 1) == ERR_OK);
    /* Whatever it names, it is read over the checkpoint that we have. */
    memcpy(known.id, known.mode == FRONT_DELTA ? checkpoint.id : checkpoint.list_id, SHORT_BYTES);
    enum front_result result = front_view(&known, &checkpoint, 1, &frontier, &view);
    must(result == FRONT_OK || result == FRONT_MALFORMED || result == FRONT_MEMORY);
    must(view.count <= checkpoint.count + known.extra_count);
    for (size_t n = 0; n < frontier.count; n++) {
        uint64_t has = peer_view_has(&view, &frontier.tips[n], frontier_forked(&frontier, n));
        must(has <= (uint64_t)1 << 63);
    }
    for (size_t n = 1; n < view.count; n++) {
        must(memcmp(view.tips[n - 1].log_id, view.tips[n].log_id, HASH_BYTES) <= 0);
    }
    frontier_free(&frontier);
    checkpoint_free(&checkpoint);
    peer_view_free(&view);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame frame;

    try_checkpoint(span_of(data, size));
    if (frame_read(span_of(data, size), &frame) && frame.type == FRAME_FRONT &&
        frame.front.mode < FRONT_ASK) {
        try_front(&frame.front);
    }
    return 0;
}
