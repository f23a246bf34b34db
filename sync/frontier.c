#include "sync/frontier.h"
#include "store/base/sorted.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGEST_ROW_BYTES = HASH_BYTES + 8 + HASH_BYTES,
    LIST_ROW_BYTES = HASH_BYTES + 8 + SHORT_BYTES,
};

/* --- the tips --- */

/* What orders tips and names a branch. */
struct branch_key {
    const uint8_t *log_id;
    uint64_t first;
    const uint8_t *id;
};

static int
branch_compare(const struct branch_key *a, const struct branch_key *b)
{
    int order = memcmp(a->log_id, b->log_id, HASH_BYTES);

    if (order != 0) {
        return order;
    }
    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    return memcmp(a->id, b->id, SHORT_BYTES);
}

static struct branch_key
key_of_tip(const struct tip *tip)
{
    return (struct branch_key){ tip->log_id.bytes, tip->branch_first, tip->branch_id };
}

static struct branch_key
key_of_row(const struct checkpoint_tip *row)
{
    return (struct branch_key){ row->log_id.bytes, row->branch_first, row->branch_id };
}

static int
order_tips(const void *a, const void *b)
{
    struct branch_key key_a = key_of_tip(a);
    struct branch_key key_b = key_of_tip(b);

    return branch_compare(&key_a, &key_b);
}

void
frontier_free(struct frontier *frontier)
{
    free(frontier->tips);
    buf_free(&frontier->scratch);
    memset(frontier, 0, sizeof *frontier);
}

static struct sorted
by_log(const struct frontier *frontier)
{
    return SORTED_BY(struct tip, frontier->tips, frontier->count, log_id);
}

size_t
frontier_log(const struct frontier *frontier, const struct hash *log_id, size_t *first)
{
    return sorted_run(by_log(frontier), hash_span(log_id), first);
}

const struct tip *
frontier_find(const struct frontier *frontier, const uint8_t log_short[SHORT_BYTES])
{
    return sorted_find(by_log(frontier), span_of(log_short, SHORT_BYTES));
}

bool
frontier_forked(const struct frontier *frontier, size_t place)
{
    const struct tip *tip = &frontier->tips[place];

    assert(place < frontier->count);
    return (place > 0 && hash_equal(&tip[-1].log_id, &tip->log_id)) ||
           (place + 1 < frontier->count && hash_equal(&tip[1].log_id, &tip->log_id));
}

uint64_t
frontier_entry_count(const struct frontier *frontier)
{
    uint64_t entries = 0;

    for (size_t n = 0; n < frontier->count; n++) {
        const struct tip *tip = &frontier->tips[n];
        bool branched = n > 0 && hash_equal(&tip[-1].log_id, &tip->log_id);

        entries += tip->seq + 1 - (branched ? tip->branch_first : 0);
    }
    return entries;
}

/* Room for `count` tips, and for hashing as many: so that a digest can never fail. */
static enum err
reserve(struct frontier *frontier, size_t count)
{
    if (count <= frontier->capacity) {
        return ERR_OK;
    }
    size_t capacity = frontier->capacity < 16 ? 16 : frontier->capacity;
    while (capacity < count) {
        capacity *= 2;
    }
    struct buf scratch = { 0 };
    if (buf_extend(&scratch, capacity * DIGEST_ROW_BYTES) == NULL) {
        buf_free(&scratch);
        return ERR_MEMORY;
    }
    struct tip *tips = realloc(frontier->tips, capacity * sizeof *tips);
    if (tips == NULL) {
        buf_free(&scratch);
        return ERR_MEMORY;
    }
    buf_free(&frontier->scratch);
    frontier->scratch = scratch;
    frontier->tips = tips;
    frontier->capacity = capacity;
    return ERR_OK;
}

static void
changed(struct frontier *frontier)
{
    frontier->fresh = false;
    frontier->list_fresh = false;
    frontier->change_count++;
}

enum err
frontier_set_log(struct frontier *frontier, const struct hash *log_id, const struct tip *tips, size_t count)
{
    size_t first;
    size_t had = frontier_log(frontier, log_id, &first);
    enum err err = reserve(frontier, frontier->count - had + count);

    if (err != ERR_OK) {
        return err;
    }
    if (count + had == 0) {
        return ERR_OK; /* no log before, none after */
    }
    struct tip *at = frontier->tips + first;
    memmove(at + count, at + had, (frontier->count - first - had) * sizeof *at);
    for (size_t n = 0; n < count; n++) {
        assert(hash_equal(&tips[n].log_id, log_id));
        at[n] = tips[n];
    }
    if (count == 1) {
        at->branch_first = 0;
        memset(at->branch_id, 0, SHORT_BYTES);
    } else if (count > 1) {
        qsort(at, count, sizeof *at, order_tips);
    }
    frontier->count = frontier->count - had + count;
    changed(frontier);
    return ERR_OK;
}

enum err
frontier_set(struct frontier *frontier, const struct tip *tip)
{
    return frontier_set_log(frontier, &tip->log_id, tip, 1);
}

void
frontier_remove(struct frontier *frontier, const struct hash *log_id)
{
    size_t first;
    size_t had = frontier_log(frontier, log_id, &first);

    if (had > 0) {
        struct tip *at = frontier->tips + first;
        memmove(at, at + had, (frontier->count - first - had) * sizeof *at);
        frontier->count -= had;
        changed(frontier);
    }
}

/* --- digests --- */

static int
order_digest_rows(const void *a, const void *b)
{
    return memcmp(a, b, DIGEST_ROW_BYTES);
}

/* Write the digest rows of the tips from `first` to `end`; they are sorted by bytes, which among
 * the tips of one log is not the order of branches. */
static struct span
digest_rows(struct frontier *frontier, size_t first, size_t end)
{
    uint8_t *rows = frontier->scratch.data;
    size_t done = 0;

    for (size_t n = first; n < end; n++) {
        uint8_t *row = rows + (n - first) * DIGEST_ROW_BYTES;
        memcpy(row, frontier->tips[n].log_id.bytes, HASH_BYTES);
        bytes_write_u64(row + HASH_BYTES, frontier->tips[n].seq);
        memcpy(row + HASH_BYTES + 8, frontier->tips[n].entry_id.bytes, HASH_BYTES);
        bool last_of_log =
            n + 1 == end || !hash_equal(&frontier->tips[n].log_id, &frontier->tips[n + 1].log_id);
        if (last_of_log) {
            size_t count = n + 1 - first - done;
            if (count > 1) {
                qsort(rows + done * DIGEST_ROW_BYTES, count, DIGEST_ROW_BYTES, order_digest_rows);
            }
            done = n + 1 - first;
        }
    }
    return span_of(rows, (end - first) * DIGEST_ROW_BYTES);
}

static struct span
list_rows(struct frontier *frontier)
{
    uint8_t *rows = frontier->scratch.data;

    for (size_t n = 0; n < frontier->count; n++) {
        uint8_t *row = rows + n * LIST_ROW_BYTES;
        memcpy(row, frontier->tips[n].log_id.bytes, HASH_BYTES);
        bytes_write_u64(row + HASH_BYTES, frontier->tips[n].branch_first);
        memcpy(row + HASH_BYTES + 8, frontier->tips[n].branch_id, SHORT_BYTES);
    }
    return span_of(rows, frontier->count * LIST_ROW_BYTES);
}

const uint8_t *
frontier_digest(struct frontier *frontier)
{
    if (!frontier->fresh) {
        CRYPTO_HASH(&frontier->digest, "vigil.front.v1", digest_rows(frontier, 0, frontier->count));
        frontier->fresh = true;
    }
    return frontier->digest.bytes;
}

const uint8_t *
frontier_list_id(struct frontier *frontier)
{
    if (!frontier->list_fresh) {
        CRYPTO_HASH(&frontier->list, "vigil.list.v1", list_rows(frontier));
        frontier->list_fresh = true;
    }
    return frontier->list.bytes;
}

void
frontier_slices(struct frontier *frontier, uint8_t slices[SLICE_COUNT * SHORT_BYTES])
{
    size_t end = 0;

    for (size_t slice = 0; slice < SLICE_COUNT; slice++) {
        struct hash hash;
        size_t first = end;
        while (end < frontier->count && frontier->tips[end].log_id.bytes[0] >> 4 == (int)slice) {
            end++;
        }
        CRYPTO_HASH(&hash, "vigil.front.v1", digest_rows(frontier, first, end));
        memcpy(slices + slice * SHORT_BYTES, hash.bytes, SHORT_BYTES);
    }
}

/* --- checkpoints --- */

void
checkpoint_free(struct checkpoint *checkpoint)
{
    free(checkpoint->tips);
    memset(checkpoint, 0, sizeof *checkpoint);
}

enum err
checkpoint_take(struct checkpoint *checkpoint, struct frontier *frontier, uint64_t serial)
{
    struct checkpoint_tip *tips = calloc(frontier->count + 1, sizeof *tips);

    assert(serial > 0);
    if (tips == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < frontier->count; n++) {
        tips[n].log_id = frontier->tips[n].log_id;
        tips[n].branch_first = frontier->tips[n].branch_first;
        memcpy(tips[n].branch_id, frontier->tips[n].branch_id, SHORT_BYTES);
        tips[n].seq = frontier->tips[n].seq;
    }
    free(checkpoint->tips);
    checkpoint->tips = tips;
    checkpoint->count = frontier->count;
    checkpoint->serial = serial;
    memcpy(checkpoint->id, frontier_digest(frontier), SHORT_BYTES);
    memcpy(checkpoint->list_id, frontier_list_id(frontier), SHORT_BYTES);
    return ERR_OK;
}

void
checkpoint_write(struct buf *out, const struct checkpoint *checkpoint)
{
    buf_put_varint(out, checkpoint->serial);
    buf_put(out, checkpoint->id, SHORT_BYTES);
    buf_put(out, checkpoint->list_id, SHORT_BYTES);
    for (size_t n = 0; n < checkpoint->count; n++) {
        const struct checkpoint_tip *row = &checkpoint->tips[n];
        bool branched =
            row->branch_first != 0 || !span_equal(span_of(row->branch_id, SHORT_BYTES),
                                                  span_of((uint8_t[SHORT_BYTES]){ 0 }, SHORT_BYTES));
        buf_put(out, row->log_id.bytes, HASH_BYTES);
        buf_put_varint(out, row->seq << 1 | (branched ? 1 : 0));
        if (branched) {
            buf_put_varint(out, row->branch_first);
            buf_put(out, row->branch_id, SHORT_BYTES);
        }
    }
}

static void
read_row(struct reader *in, struct checkpoint_tip *row)
{
    memset(row, 0, sizeof *row);
    reader_copy(in, row->log_id.bytes, HASH_BYTES);
    uint64_t packed = reader_varint(in);
    row->seq = packed >> 1;
    if ((packed & 1) != 0) {
        row->branch_first = reader_varint(in);
        reader_copy(in, row->branch_id, SHORT_BYTES);
    }
}

enum err
checkpoint_read(struct span bytes, struct checkpoint *checkpoint)
{
    struct reader in = reader_of(bytes);
    struct checkpoint read = { 0 };
    size_t capacity = 0;

    read.serial = reader_varint(&in);
    reader_copy(&in, read.id, SHORT_BYTES);
    reader_copy(&in, read.list_id, SHORT_BYTES);
    while (!in.failed && reader_left(&in) > 0) {
        if (read.count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            struct checkpoint_tip *tips = realloc(read.tips, capacity * sizeof *tips);
            if (tips == NULL) {
                checkpoint_free(&read);
                return ERR_MEMORY;
            }
            read.tips = tips;
        }
        struct checkpoint_tip *row = &read.tips[read.count];
        read_row(&in, row);
        if (read.count > 0) {
            struct branch_key before = key_of_row(row - 1);
            struct branch_key here = key_of_row(row);
            in.failed = in.failed || branch_compare(&before, &here) >= 0;
        }
        read.count++;
    }
    if (in.failed || read.serial == 0) {
        checkpoint_free(&read);
        return ERR_INVALID;
    }
    checkpoint_free(checkpoint);
    *checkpoint = read;
    return ERR_OK;
}

/* --- telling a frontier --- */

enum front_mode
front_best_mode(const struct frontier *frontier, const struct checkpoint *checkpoint)
{
    enum front_mode mode = FRONT_DELTA;
    size_t at = 0;

    if (checkpoint == NULL || checkpoint->serial == 0 || checkpoint->count == 0) {
        return FRONT_NAMES;
    }
    for (size_t n = 0; n < checkpoint->count; n++) {
        struct branch_key row = key_of_row(&checkpoint->tips[n]);
        int order = -1;
        while (at < frontier->count) {
            struct branch_key tip = key_of_tip(&frontier->tips[at]);
            order = branch_compare(&tip, &row);
            if (order >= 0) {
                break;
            }
            at++;
        }
        if (at == frontier->count || order != 0) {
            return FRONT_NAMES; /* a fork took the branch's name, or the log is gone */
        }
        if (frontier->tips[at].seq < checkpoint->tips[n].seq) {
            mode = FRONT_HEADS; /* a cut moved the tip back; a delta tells rises only */
        }
    }
    return mode;
}

/* Names of the tips that are not in the checkpoint's list, as many as fit. */
static void
build_extra(struct buf *out, const struct frontier *frontier, const struct checkpoint *checkpoint)
{
    enum { EXTRA_BYTES_MAX = SHORT_BYTES + 10 + 10 + SHORT_BYTES, COUNT_BYTES_MAX = 5 };
    struct buf items = { 0 };
    size_t count = 0;
    size_t row = 0;

    for (size_t n = 0; n < frontier->count; n++) {
        const struct tip *tip = &frontier->tips[n];
        if (checkpoint != NULL) {
            struct branch_key tip_key = key_of_tip(tip);
            int order = 1;
            while (row < checkpoint->count) {
                struct branch_key row_key = key_of_row(&checkpoint->tips[row]);
                order = branch_compare(&row_key, &tip_key);
                if (order >= 0) {
                    break;
                }
                row++;
            }
            if (row < checkpoint->count && order == 0) {
                continue;
            }
        }
        if (out->size + items.size + EXTRA_BYTES_MAX + COUNT_BYTES_MAX > FRAME_SMALL_BYTES_MAX) {
            break;
        }
        struct front_extra extra = { .seq = tip->seq, .forked = frontier_forked(frontier, n) };
        memcpy(extra.log_short, tip->log_id.bytes, SHORT_BYTES);
        extra.branch_first = tip->branch_first;
        memcpy(extra.branch_id, tip->branch_id, SHORT_BYTES);
        front_extra_write(&items, &extra);
        count++;
    }
    front_extra_count_write(out, count);
    buf_put_span(out, buf_span(&items));
    out->failed = out->failed || items.failed;
    buf_free(&items);
}

/* The place in the frontier of each row of the checkpoint, one after the other. */
static const struct tip *
tip_of_row(const struct frontier *frontier, size_t *at, const struct checkpoint_tip *row)
{
    struct branch_key row_key = key_of_row(row);

    for (; *at < frontier->count; (*at)++) {
        struct branch_key tip_key = key_of_tip(&frontier->tips[*at]);
        if (branch_compare(&tip_key, &row_key) == 0) {
            return &frontier->tips[*at];
        }
    }
    /* front_best_mode allows this checkpoint only while each of its rows has a tip. */
    assert(*at < frontier->count);
    return NULL;
}

static size_t
varint_bytes(uint64_t value)
{
    size_t size = 1;

    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

/* Room that is left for a list when its count (at most 5 bytes) and that of the extras have theirs. */
enum { LIST_BYTES_MAX = FRAME_SMALL_BYTES_MAX - 64 };

void
front_build(struct buf *out, const uint8_t tag[TAG_BYTES], const struct frontier *frontier,
            enum front_mode mode, const struct checkpoint *checkpoint)
{
    struct buf list = { 0 };
    size_t count = 0;
    size_t at = 0;
    size_t told = 0; /* places told so far, of a delta: one more than the last */

    if (mode == FRONT_NAMES) {
        front_write(out, tag, mode, NULL, 0);
        build_extra(out, frontier, NULL);
        return;
    }
    for (size_t n = 0; n < checkpoint->count; n++) {
        const struct checkpoint_tip *row = &checkpoint->tips[n];
        const struct tip *tip = tip_of_row(frontier, &at, row);
        if (mode == FRONT_HEADS) {
            if (list.size + varint_bytes(tip->seq + 1) > LIST_BYTES_MAX) {
                break;
            }
            front_heads_write(&list, tip->seq + 1);
            count++;
        } else if (tip->seq > row->seq) {
            if (list.size + varint_bytes(n - told) + varint_bytes(tip->seq - row->seq) > LIST_BYTES_MAX) {
                break;
            }
            front_delta_write(&list, n - told, tip->seq - row->seq);
            told = n + 1;
            count++;
        }
    }
    front_write(out, tag, mode, mode == FRONT_DELTA ? checkpoint->id : checkpoint->list_id, count);
    buf_put_span(out, buf_span(&list));
    out->failed = out->failed || list.failed;
    buf_free(&list);
    build_extra(out, frontier, checkpoint);
}

/* --- reading a peer's --- */

void
peer_view_free(struct peer_view *view)
{
    free(view->tips);
    memset(view, 0, sizeof *view);
}

static struct peer_tip *
add_peer_tip(struct peer_view *view)
{
    if (view->count == view->capacity) {
        size_t capacity = view->capacity == 0 ? 64 : view->capacity * 2;
        struct peer_tip *tips = realloc(view->tips, capacity * sizeof *tips);
        if (tips == NULL) {
            return NULL;
        }
        view->tips = tips;
        view->capacity = capacity;
    }
    struct peer_tip *tip = &view->tips[view->count++];
    memset(tip, 0, sizeof *tip);
    return tip;
}

static int
order_peer_tips(const void *a, const void *b)
{
    const struct peer_tip *left = a;
    const struct peer_tip *right = b;
    int order = memcmp(left->log_id, right->log_id, HASH_BYTES);

    if (order == 0 && left->branch_first != right->branch_first) {
        order = left->branch_first < right->branch_first ? -1 : 1;
    }
    return order != 0 ? order : memcmp(left->branch_id, right->branch_id, SHORT_BYTES);
}

static struct peer_tip *
add_row(struct peer_view *view, const struct checkpoint_tip *row, uint64_t seq_next)
{
    struct peer_tip *tip = add_peer_tip(view);

    if (tip != NULL) {
        memcpy(tip->log_id, row->log_id.bytes, HASH_BYTES);
        tip->branch_first = row->branch_first;
        memcpy(tip->branch_id, row->branch_id, SHORT_BYTES);
        tip->forked = row->branch_first != 0 || bytes_read_u64(row->branch_id) != 0;
        tip->seq_next = seq_next;
    }
    return tip;
}

static enum front_result
view_delta(const struct front *front, const struct checkpoint *checkpoint, struct peer_view *view)
{
    struct reader list = front->list;
    uint64_t gap;
    uint64_t rise;
    size_t at = 0;

    for (size_t n = 0; n < checkpoint->count; n++) {
        if (add_row(view, &checkpoint->tips[n], checkpoint->tips[n].seq + 1) == NULL) {
            return FRONT_MEMORY;
        }
    }
    while (front_delta_next(&list, &gap, &rise)) {
        /* Both are below 2^63, so neither sum overflows. */
        if (gap >= checkpoint->count - at || checkpoint->tips[at + gap].seq + rise >= (uint64_t)1 << 63) {
            return FRONT_MALFORMED;
        }
        at += (size_t)gap;
        view->tips[at].seq_next += rise;
        at++;
    }
    return FRONT_OK;
}

static enum front_result
view_heads(const struct front *front, const struct checkpoint *checkpoint, struct peer_view *view)
{
    struct reader list = front->list;
    uint64_t seq_next;

    for (size_t n = 0; front_heads_next(&list, &seq_next); n++) {
        if (n == checkpoint->count) {
            return FRONT_MALFORMED;
        }
        if (seq_next > 0 && add_row(view, &checkpoint->tips[n], seq_next) == NULL) {
            return FRONT_MEMORY;
        }
    }
    return FRONT_OK;
}

static enum front_result
view_extra(const struct front *front, const struct frontier *frontier, struct peer_view *view)
{
    struct reader list = front->extra;
    struct front_extra extra;

    while (front_extra_next(&list, &extra)) {
        const struct tip *own = frontier_find(frontier, extra.log_short);
        struct peer_tip *tip = add_peer_tip(view);
        if (tip == NULL) {
            return FRONT_MEMORY;
        }
        memcpy(tip->log_id, extra.log_short, SHORT_BYTES);
        if (own != NULL) {
            memcpy(tip->log_id, own->log_id.bytes, HASH_BYTES);
        }
        tip->forked = extra.forked;
        tip->branch_first = extra.branch_first;
        memcpy(tip->branch_id, extra.branch_id, SHORT_BYTES);
        tip->seq_next = extra.seq + 1;
    }
    return FRONT_OK;
}

enum front_result
front_view(const struct front *front, const struct checkpoint *checkpoints, size_t checkpoint_count,
           const struct frontier *frontier, struct peer_view *view)
{
    enum front_result result = FRONT_OK;
    const struct checkpoint *known = NULL;

    assert(front->mode <= FRONT_NAMES);
    for (size_t n = 0; n < checkpoint_count && front->mode != FRONT_NAMES; n++) {
        const uint8_t *id = front->mode == FRONT_DELTA ? checkpoints[n].id : checkpoints[n].list_id;
        if (checkpoints[n].serial > 0 && memcmp(id, front->id, SHORT_BYTES) == 0) {
            known = &checkpoints[n];
        }
    }
    if (front->mode != FRONT_NAMES && known == NULL) {
        return front->mode == FRONT_DELTA ? FRONT_UNKNOWN_CHECKPOINT : FRONT_UNKNOWN_LIST;
    }
    view->count = 0;
    view->whole = reader_left(&front->list) + reader_left(&front->extra) <= FRAME_SMALL_BYTES_MAX / 2;
    if (front->mode == FRONT_DELTA) {
        result = view_delta(front, known, view);
    } else if (front->mode == FRONT_HEADS) {
        result = view_heads(front, known, view);
    }
    if (result == FRONT_OK) {
        result = view_extra(front, frontier, view);
    }
    if (result != FRONT_OK) {
        view->count = 0;
        view->whole = false;
        return result;
    }
    if (view->count > 1) {
        qsort(view->tips, view->count, sizeof *view->tips, order_peer_tips);
    }
    return FRONT_OK;
}

static size_t
tips_of(const struct peer_view *view, const struct hash *log_id, size_t *first_out)
{
    return sorted_run(SORTED_BY(struct peer_tip, view->tips, view->count, log_id), hash_span(log_id),
                      first_out);
}

uint64_t
peer_view_furthest(const struct peer_view *view, const struct hash *log_id)
{
    size_t first;
    size_t count = tips_of(view, log_id, &first);
    uint64_t furthest = 0;

    for (size_t n = first; n < first + count; n++) {
        furthest = view->tips[n].seq_next > furthest ? view->tips[n].seq_next : furthest;
    }
    return furthest;
}

uint64_t
peer_view_has(const struct peer_view *view, const struct tip *tip, bool forked)
{
    size_t first;
    size_t count = tips_of(view, &tip->log_id, &first);
    uint64_t least = 0;
    uint64_t most = 0;

    for (size_t n = first; n < first + count; n++) {
        const struct peer_tip *peer = &view->tips[n];
        if (forked && peer->forked && peer->branch_first == tip->branch_first &&
            memcmp(peer->branch_id, tip->branch_id, SHORT_BYTES) == 0) {
            return peer->seq_next;
        }
        least = least == 0 || peer->seq_next < least ? peer->seq_next : least;
        most = peer->seq_next > most ? peer->seq_next : most;
    }
    if (!forked) {
        /* Of one tip there, the next chunk shows whether it is on our branch. Of several, ours may be that which is
         * least far: what the others have of it already costs bytes only. */
        return least;
    }
    /* Their branch is not known to be ours: what lies below our fork is common, if they are that far. */
    return most < tip->branch_first ? most : tip->branch_first;
}
