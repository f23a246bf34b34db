/* rows: any bytes as the rows of a record. What reads as one is written as one that reads the same. */
#include "store/record_rows.h"

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
as_live(struct span key, struct span value)
{
    struct live_row row;
    struct live_row again;
    uint8_t key_again[LIVE_KEY_BYTES];
    uint8_t value_again[LIVE_VALUE_BYTES];

    if (!live_row_read(key, value, &row)) {
        return;
    }
    live_row_write(&row, bytes_read_u32(key.data), key_again, value_again);
    must(span_equal(key, span_of(key_again, sizeof key_again)));
    must(live_row_read(span_of(key_again, sizeof key_again), span_of(value_again, sizeof value_again),
                       &again));
    must(live_row_compare(&row, &again) == 0 && row.removed == again.removed &&
         row.value_hash == again.value_hash);
}

static void
as_sup(struct span key, struct span value)
{
    struct sup_row row;
    uint8_t key_again[SUP_KEY_BYTES];
    uint8_t value_again[SUP_VALUE_BYTES];

    if (!sup_row_read(key, value, &row)) {
        return;
    }
    sup_row_write(&row, bytes_read_u32(key.data), key_again, value_again);
    must(span_equal(key, span_of(key_again, sizeof key_again)));
    must(memcmp(value.data + 1, value_again + 1, CELL_KEY_BYTES) == 0);
    must((value.data[0] != 0) == (value_again[0] != 0));
}

static void
as_rops(struct span key)
{
    uint32_t log_no;
    uint64_t seq;
    uint8_t again[ROPS_KEY_BYTES];

    if (rops_read(key, &log_no, &seq)) {
        rops_key(again, bytes_read_u32(key.data), log_no, seq);
        must(span_equal(key, span_of(again, sizeof again)));
    }
}

/* The memory that reading takes is bounded by what was read. */
static void
as_summary(struct span row)
{
    struct arena arena = { 0 };
    struct summary summary;
    struct summary again;
    struct buf once = { 0 };
    struct buf twice = { 0 };

    bool restricted;
    bool skimmed = summary_row_is_restricted(row, &restricted);
    bool read = summary_read(row, &arena, &summary);
    must(skimmed == read || arena.failed);
    if (read) {
        must(restricted == summary_is_restricted(&summary));
        summary_write(&summary, &once);
        must(!once.failed && summary_read(buf_span(&once), &arena, &again));
        summary_write(&again, &twice);
        must(span_equal(buf_span(&once), buf_span(&twice)));
    }
    must(arena_bytes(&arena) <= 4096 * 64 + row.size * 512);
    buf_free(&once);
    buf_free(&twice);
    arena_free(&arena);
}

static void
as_conflicts(struct span row)
{
    struct arena arena = { 0 };
    const struct record_conflict *conflicts;
    struct buf once = { 0 };
    size_t count;

    if (conflicts_read(row, &arena, &conflicts, &count)) {
        must(count <= row.size);
        conflicts_write(conflicts, count, &once);
        must(!once.failed && once.size <= row.size + 8);
        must(conflicts_read(buf_span(&once), &arena, &conflicts, &count));
    }
    buf_free(&once);
    arena_free(&arena);
}

/* Byte 0 says what the rest is; of a row with a key, byte 1 how many bytes of it are the key. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct span rest = span_of(data + 2, size - 2);
    size_t key_size = data[1] < rest.size ? data[1] : rest.size;
    struct span key = span_of(rest.data, key_size);
    struct span value = span_of(rest.data + key_size, rest.size - key_size);
    switch (data[0] % 5) {
    case 0:
        as_live(key, value);
        break;
    case 1:
        as_sup(key, value);
        break;
    case 2:
        as_rops(key);
        break;
    case 3:
        as_summary(rest);
        break;
    default:
        as_conflicts(rest);
        break;
    }
    return 0;
}
