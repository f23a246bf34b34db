#include "store/record_rows.h"

#include <assert.h>
#include <string.h>

/* --- live, sup, rops ---------------------------------------------------------- */

void
part_key(uint8_t key[PART_KEY_BYTES], uint32_t record_no, enum record_part part)
{
    bytes_write_u32(key, record_no);
    key[RECORD_KEY_BYTES] = (uint8_t)part;
}

/* The rest of a key, if it is of this part. */
static struct reader
part_rest(struct span key, enum record_part part)
{
    struct reader reader = reader_of(key);

    (void)reader_u32(&reader);
    if (reader_u8(&reader) != part) {
        reader.failed = true;
    }
    return reader;
}

void
live_row_write(const struct live_row *row, uint32_t record_no, uint8_t key[LIVE_KEY_BYTES],
               uint8_t value[LIVE_VALUE_BYTES])
{
    uint8_t *at = key + PART_KEY_BYTES;

    part_key(key, record_no, PART_LIVE);
    memcpy(at, row->target, CELL_KEY_BYTES);
    memcpy(at + CELL_KEY_BYTES, row->dot.bytes, DOT_BYTES);
    bytes_write_u32(at + CELL_KEY_BYTES + DOT_BYTES, row->log_no);
    value[0] = row->removed;
    bytes_write_u64(value + 1, row->value_hash);
}

bool
live_row_read(struct span key, struct span value, struct live_row *row_out)
{
    struct reader reader = part_rest(key, PART_LIVE);

    reader_copy(&reader, row_out->target, CELL_KEY_BYTES);
    reader_copy(&reader, row_out->dot.bytes, DOT_BYTES);
    row_out->log_no = reader_u32(&reader);
    if (!reader_done(&reader) || value.size != LIVE_VALUE_BYTES) {
        return false;
    }
    row_out->removed = value.data[0] != 0;
    row_out->value_hash = bytes_read_u64(value.data + 1);
    return true;
}

int
live_row_compare(const struct live_row *a, const struct live_row *b)
{
    int order = memcmp(a->target, b->target, CELL_KEY_BYTES);

    if (order == 0) {
        order = memcmp(a->dot.bytes, b->dot.bytes, DOT_BYTES);
    }
    if (order == 0 && a->log_no != b->log_no) {
        order = a->log_no < b->log_no ? -1 : 1;
    }
    return order;
}

void
sup_row_write(const struct sup_row *row, uint32_t record_no, uint8_t key[SUP_KEY_BYTES],
              uint8_t value[SUP_VALUE_BYTES])
{
    uint8_t *at = key + PART_KEY_BYTES;

    part_key(key, record_no, PART_SUP);
    memcpy(at, row->dot.bytes, DOT_BYTES);
    bytes_write_u32(at + DOT_BYTES, row->log_no);
    bytes_write_u64(at + DOT_BYTES + 4, row->seq);
    bytes_write_u16(at + DOT_BYTES + 12, (uint16_t)row->op);
    value[0] = row->removal;
    memcpy(value + 1, row->target, CELL_KEY_BYTES);
}

bool
sup_row_read(struct span key, struct span value, struct sup_row *row_out)
{
    struct reader reader = part_rest(key, PART_SUP);

    reader_copy(&reader, row_out->dot.bytes, DOT_BYTES);
    row_out->log_no = reader_u32(&reader);
    row_out->seq = reader_u64(&reader);
    row_out->op = reader_u16(&reader);
    if (!reader_done(&reader) || value.size != SUP_VALUE_BYTES) {
        return false;
    }
    row_out->removal = value.data[0] != 0;
    memcpy(row_out->target, value.data + 1, CELL_KEY_BYTES);
    return true;
}

bool
sup_row_reaches(const struct sup_row *name, const uint8_t target[CELL_KEY_BYTES])
{
    size_t bytes = name->removal ? CELL_ELEMENT_BYTES : CELL_KEY_BYTES;

    return memcmp(name->target, target, bytes) == 0;
}

void
rops_key(uint8_t key[ROPS_KEY_BYTES], uint32_t record_no, uint32_t log_no, uint64_t seq)
{
    part_key(key, record_no, PART_ROPS);
    bytes_write_u32(key + PART_KEY_BYTES, ~log_no);
    bytes_write_u64(key + PART_KEY_BYTES + 4, ~seq);
}

bool
rops_read(struct span key, uint32_t *log_no_out, uint64_t *seq_out)
{
    struct reader reader = part_rest(key, PART_ROPS);

    *log_no_out = ~reader_u32(&reader);
    *seq_out = ~reader_u64(&reader);
    return reader_done(&reader);
}

void
row_hashes_of(struct row_hashes *out, const struct table_env *env)
{
    memcpy(out->target, table_secret(env, TABLE_SECRET_TARGET), sizeof out->target);
    memcpy(out->value, table_secret(env, TABLE_SECRET_VALUE), sizeof out->value);
}

uint64_t
row_hash_value(const struct row_hashes *hashes, uint32_t record_no, const uint8_t target[CELL_KEY_BYTES],
               struct span value)
{
    uint8_t message[8 + RECORD_KEY_BYTES + CELL_KEY_BYTES];
    uint8_t out[8];

    if (value.data == NULL) {
        return 0;
    }
    crypto_short_hash(message, hashes->value, value);
    bytes_write_u32(message + 8, record_no);
    memcpy(message + 12, target, CELL_KEY_BYTES);
    crypto_short_hash(out, hashes->value, span_of(message, sizeof message));
    uint64_t hash = bytes_read_u64(out);
    return hash != 0 ? hash : 1;
}

/* --- sum, conf ---------------------------------------------------------------- */

static void
target_write(const struct target *target, struct buf *out)
{
    buf_put_varint(out, target->collection);
    if (target->collection != 0) {
        buf_put(out, target->element, sizeof target->element);
    }
    buf_put_varint(out, target->field);
}

static void
target_read(struct reader *in, struct target *target)
{
    *target = (struct target){ .collection = (uint32_t)reader_varint(in) };
    if (target->collection != 0) {
        reader_copy(in, target->element, sizeof target->element);
    }
    target->field = (uint32_t)reader_varint(in);
}

static void
spans_write(const struct span *spans, size_t count, struct buf *out)
{
    buf_put_varint(out, count);
    for (size_t n = 0; n < count; n++) {
        buf_put_varint(out, spans[n].size);
        buf_put_span(out, spans[n]);
    }
}

static void
spans_read(struct reader *in, struct arena *arena, const struct span **spans_out, size_t *count_out)
{
    uint64_t count = reader_varint(in);

    *spans_out = NULL;
    *count_out = 0;
    if (count > reader_left(in)) {
        in->failed = true;
        return;
    }
    struct span *spans = arena_take_array(arena, (size_t)count, sizeof *spans);
    for (size_t n = 0; spans != NULL && n < count; n++) {
        spans[n] = reader_span(in, (size_t)reader_varint(in));
    }
    *spans_out = spans;
    *count_out = spans != NULL ? (size_t)count : 0;
}

void
summary_write(const struct summary *summary, struct buf *out)
{
    buf_put_u64(out, summary->created_hlc);
    buf_put_u64(out, summary->updated_hlc);
    buf_put_varint(out, summary->conflict_count);
    buf_put_varint(out, summary->item_count);
    for (size_t n = 0; n < summary->item_count; n++) {
        const struct summary_item *item = &summary->items[n];
        target_write(&item->target, out);
        buf_put_u8(out, item->conflict);
        spans_write(item->shown, item->shown_count, out);
        spans_write(item->tokens, item->token_count, out);
    }
}

bool
summary_read(struct span row, struct arena *arena, struct summary *out)
{
    struct reader in = reader_of(row);

    *out = (struct summary){ 0 };
    out->created_hlc = reader_u64(&in);
    out->updated_hlc = reader_u64(&in);
    out->conflict_count = (size_t)reader_varint(&in);
    uint64_t count = reader_varint(&in);
    if (in.failed || count > reader_left(&in)) {
        return false;
    }
    out->items = arena_take_array(arena, (size_t)count, sizeof *out->items);
    if (out->items == NULL) {
        return false;
    }
    for (size_t n = 0; n < count; n++) {
        struct summary_item *item = &out->items[n];
        target_read(&in, &item->target);
        item->conflict = reader_u8(&in) != 0;
        spans_read(&in, arena, &item->shown, &item->shown_count);
        spans_read(&in, arena, &item->tokens, &item->token_count);
    }
    out->item_count = (size_t)count;
    return reader_done(&in) && !arena->failed;
}

static bool
is_restriction(const struct target *target)
{
    return target->collection == COLLECTION_RESTRICTION && target->field == 0;
}

bool
summary_is_restricted(const struct summary *summary)
{
    for (size_t n = 0; n < summary->item_count; n++) {
        if (is_restriction(&summary->items[n].target)) {
            return true;
        }
    }
    return false;
}

static void
spans_skip(struct reader *in)
{
    for (uint64_t count = reader_varint(in); count > 0 && !in->failed; count--) {
        (void)reader_span(in, (size_t)reader_varint(in));
    }
}

bool
summary_row_is_restricted(struct span row, bool *restricted_out)
{
    struct reader in = reader_of(row);

    *restricted_out = false;
    (void)reader_u64(&in);
    (void)reader_u64(&in);
    (void)reader_varint(&in);
    for (uint64_t count = reader_varint(&in); count > 0 && !in.failed; count--) {
        struct target target;

        target_read(&in, &target);
        (void)reader_u8(&in);
        spans_skip(&in);
        spans_skip(&in);
        *restricted_out = *restricted_out || is_restriction(&target);
    }
    return reader_done(&in);
}

int
conflict_compare(const struct record_conflict *a, const struct record_conflict *b)
{
    int order = target_compare(&a->target, &b->target);

    return order != 0 ? order : (int)a->how - (int)b->how;
}

void
conflicts_write(const struct record_conflict *conflicts, size_t count, struct buf *out)
{
    buf_put_varint(out, count);
    for (size_t n = 0; n < count; n++) {
        target_write(&conflicts[n].target, out);
        buf_put_u8(out, (uint8_t)conflicts[n].how);
        buf_put_u64(out, conflicts[n].since_hlc);
    }
}

bool
conflicts_read(struct span row, struct arena *arena, const struct record_conflict **out, size_t *count_out)
{
    struct reader in = reader_of(row);
    uint64_t count = reader_varint(&in);

    *out = NULL;
    *count_out = 0;
    if (in.failed || count > reader_left(&in)) {
        return false;
    }
    struct record_conflict *conflicts = arena_take_array(arena, (size_t)count, sizeof *conflicts);
    if (conflicts == NULL) {
        return false;
    }
    for (size_t n = 0; n < count; n++) {
        target_read(&in, &conflicts[n].target);
        conflicts[n].how = (enum conflict_how)reader_u8(&in);
        conflicts[n].since_hlc = reader_u64(&in);
    }
    *out = conflicts;
    *count_out = (size_t)count;
    return reader_done(&in);
}

/* --- open entries ------------------------------------------------------------- */

void
entry_cache_init(struct entry_cache *cache, const struct record_source *source, struct arena *arena)
{
    *cache = (struct entry_cache){ .source = source, .arena = arena };
}

static size_t
cache_slot(uint32_t log_no, uint64_t seq, size_t slot_count)
{
    uint64_t mixed = (seq ^ (uint64_t)log_no << 40) * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(mixed >> 32) & (slot_count - 1);
}

static void
cache_place(const struct signed_change **slots, size_t slot_count, const struct signed_change *entry)
{
    size_t slot = cache_slot(entry->log_no, entry->seq, slot_count);

    while (slots[slot] != NULL) {
        slot = (slot + 1) & (slot_count - 1);
    }
    slots[slot] = entry;
}

const struct signed_change *
entry_cache_find(const struct entry_cache *cache, uint32_t log_no, uint64_t seq)
{
    if (cache->slot_count == 0) {
        return NULL;
    }
    size_t slot = cache_slot(log_no, seq, cache->slot_count);
    while (cache->slots[slot] != NULL) {
        const struct signed_change *entry = cache->slots[slot];
        if (entry->log_no == log_no && entry->seq == seq) {
            return entry;
        }
        slot = (slot + 1) & (cache->slot_count - 1);
    }
    return NULL;
}

bool
entry_cache_add(struct entry_cache *cache, const struct signed_change *entry)
{
    if (cache->count * 2 >= cache->slot_count) {
        size_t slot_count = cache->slot_count == 0 ? 64 : cache->slot_count * 2;
        const struct signed_change **slots = arena_take_array(cache->arena, slot_count, sizeof *slots);
        if (slots == NULL) {
            return false;
        }
        for (size_t n = 0; n < cache->slot_count; n++) {
            if (cache->slots[n] != NULL) {
                cache_place(slots, slot_count, cache->slots[n]);
            }
        }
        cache->slots = slots;
        cache->slot_count = slot_count;
    }
    cache_place(cache->slots, cache->slot_count, entry);
    cache->count++;
    return true;
}

enum err
entry_cache_open(struct entry_cache *cache, uint32_t log_no, uint64_t seq,
                 const struct signed_change **entry_out)
{
    *entry_out = entry_cache_find(cache, log_no, seq);
    if (*entry_out != NULL) {
        return ERR_OK;
    }
    struct signed_change *entry = arena_take_array(cache->arena, 1, sizeof *entry);
    if (entry == NULL) {
        return ERR_MEMORY;
    }
    enum err err = cache->source->open(cache->source->self, log_no, seq, cache->arena, entry);
    if (err != ERR_OK) {
        return err;
    }
    entry->log_no = log_no;
    entry->seq = seq;
    *entry_out = entry;
    return entry_cache_add(cache, entry) ? ERR_OK : ERR_MEMORY;
}

enum err
live_open(struct entry_cache *cache, const struct live_row *row, struct live *live_out)
{
    struct dot dot;
    uint32_t op = dot_op(&row->dot);

    *live_out = (struct live){ .op = op, .removed = row->removed };
    enum err err = entry_cache_open(cache, row->log_no, dot_seq(&row->dot), &live_out->entry);
    if (err != ERR_OK) {
        return err;
    }
    const struct signed_change *entry = live_out->entry;
    if (op >= entry->change.op_count) {
        return ERR_CORRUPT;
    }
    dot_make(&dot, &entry->log_id, entry->seq, op, &entry->entry_id);
    if (dot_compare(&dot, &row->dot) != 0) {
        return ERR_CORRUPT;
    }
    live_out->value = entry->change.ops[op].value;
    live_out->newer = entry->change.ops[op].code > OP_REMOVE;
    return ERR_OK;
}
