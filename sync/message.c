#include "sync/message.h"

#include "store/base/cbor.h"

#include <assert.h>
#include <string.h>

/* A seq of the wire is below this, so that one more never overflows. No log comes near. */
static const uint64_t SEQ_END = (uint64_t)1 << 63;

/* --- reading: each list has one function that takes an item, for checking and for walking --- */

static bool
seq_plausible(uint64_t seq)
{
    return seq < SEQ_END;
}

static void
read_digest_item(struct reader *in, struct digest_item *item)
{
    reader_copy(in, item->tag, TAG_BYTES);
    reader_copy(in, item->digest, DIGEST_BYTES);
    item->flags = reader_u8(in);
}

static void
read_delta(struct reader *in, uint64_t *gap, uint64_t *rise)
{
    *gap = reader_varint(in);
    *rise = reader_varint(in);
    if (*rise == 0 || !seq_plausible(*rise)) {
        in->failed = true;
    }
}

static void
read_head(struct reader *in, uint64_t *seq_next)
{
    *seq_next = reader_varint(in);
    if (*seq_next > SEQ_END) {
        in->failed = true;
    }
}

static void
read_extra(struct reader *in, struct front_extra *extra)
{
    memset(extra, 0, sizeof *extra);
    reader_copy(in, extra->log_short, SHORT_BYTES);
    uint64_t packed = reader_varint(in);
    extra->seq = packed >> 1;
    extra->forked = (packed & 1) != 0;
    if (extra->forked) {
        extra->branch_first = reader_varint(in);
        reader_copy(in, extra->branch_id, SHORT_BYTES);
        if (extra->branch_first > extra->seq) {
            in->failed = true;
        }
    }
}

static void
read_log_ref(struct reader *in, struct log_ref *log)
{
    log->ref = reader_varint(in);
    log->name = span_of(NULL, 0);
    if (log->ref == LOG_REF_NEW) {
        log->name = reader_span(in, DESCRIPTOR_BYTES);
    } else if (log->ref == LOG_REF_SHORT) {
        log->name = reader_span(in, SHORT_BYTES);
    }
}

static void
read_chunk_item(struct reader *in, struct chunk_item *item)
{
    reader_copy(in, item->tag, TAG_BYTES);
    read_log_ref(in, &item->log);
    uint64_t size = reader_varint(in);
    if (size == 0 || size > reader_left(in)) {
        in->failed = true;
        size = 0;
    }
    item->chunk = reader_span(in, (size_t)size);
}

static void
read_ack_item(struct reader *in, struct ack_item *item)
{
    uint64_t ref = reader_varint(in);
    item->durable_next = reader_varint(in);
    uint64_t behind = reader_varint(in);
    if (ref < LOG_REF_FIRST || item->durable_next > SEQ_END || behind > item->durable_next) {
        in->failed = true;
        memset(item, 0, sizeof *item);
        return;
    }
    item->place = ref - LOG_REF_FIRST;
    item->visible_next = item->durable_next - behind;
}

static void
read_heads_tip(struct reader *in, struct heads_tip *tip)
{
    reader_copy(in, tip->log_short, SHORT_BYTES);
    tip->seq = reader_varint(in);
    reader_copy(in, tip->entry_short, SHORT_BYTES);
    if (!seq_plausible(tip->seq)) {
        in->failed = true;
    }
}

/* How many chunks a file has. */
static uint32_t
read_chunk_count(struct reader *in)
{
    uint64_t count = reader_varint(in);

    if (count == 0 || count > BLOB_CHUNKS_MAX) {
        in->failed = true;
        return 1;
    }
    return (uint32_t)count;
}

static void
read_blob_have_item(struct reader *in, struct blob_have_item *item)
{
    reader_copy(in, item->address.bytes, HASH_BYTES);
    item->chunk_count = read_chunk_count(in);
    reader_copy(in, item->log_short, SHORT_BYTES);
    item->seq = reader_varint(in);
    reader_copy(in, item->entry_short, SHORT_BYTES);
    if (!seq_plausible(item->seq)) {
        in->failed = true;
    }
}

static void
read_blob_ask_page(struct reader *in, struct blob_ask_page *page)
{
    uint64_t packed = reader_varint(in);

    page->hashes = (packed & 1) != 0;
    page->page = (uint32_t)(packed >> 1);
    page->bitmap = reader_span(in, ASK_BITMAP_BYTES).data;
    if (packed >> 1 >= BLOB_PAGES_MAX) {
        in->failed = true;
    }
}

static void
read_bye_item(struct reader *in, struct bye_item *item)
{
    reader_copy(in, item->tag, TAG_BYTES);
    reader_copy(in, item->checkpoint, SHORT_BYTES);
}

/* The reader's remaining bytes, as a list of their own; the reader is moved to its end. */
static struct reader
rest_of(struct reader *in)
{
    struct reader rest = *in;

    in->at = in->end;
    return rest;
}

/* Declare `name`, which checks that everything left is whole items of one kind. */
#define CHECK_LIST(name, item_type, read_item)                                                               \
    static void name(struct reader *in)                                                                      \
    {                                                                                                        \
        item_type item;                                                                                      \
                                                                                                             \
        while (!in->failed && reader_left(in) > 0) {                                                         \
            read_item(in, &item);                                                                            \
        }                                                                                                    \
    }

CHECK_LIST(check_digests, struct digest_item, read_digest_item)
CHECK_LIST(check_chunks, struct chunk_item, read_chunk_item)
CHECK_LIST(check_acks, struct ack_item, read_ack_item)
CHECK_LIST(check_heads, struct heads_tip, read_heads_tip)
CHECK_LIST(check_haves, struct blob_have_item, read_blob_have_item)
CHECK_LIST(check_byes, struct bye_item, read_bye_item)

static struct reader
lend_list(struct reader *in, void (*check)(struct reader *))
{
    struct reader list = *in;

    check(in);
    return list;
}

static struct span
read_text(struct reader *in, size_t size_max)
{
    struct reader rest = rest_of(in);
    struct span text = span_of(rest.at, reader_left(&rest));

    if (text.size > size_max || !utf8_valid(text)) {
        in->failed = true;
    }
    return text;
}

static void
read_hello(struct reader *in, struct hello *hello)
{
    hello->min = reader_u8(in);
    hello->max = reader_u8(in);
    reader_copy(in, hello->incarnation, sizeof hello->incarnation);
    reader_copy(in, hello->certificate, sizeof hello->certificate);
    hello->wall_s = reader_u32(in);
    hello->profile = reader_u8(in);
    hello->credit_bytes = reader_u32(in);
    hello->version = read_text(in, FRAME_VERSION_BYTES_MAX);
    if (hello->min > hello->max || hello->profile < PROFILE_LAN || hello->profile > PROFILE_ONEWAY) {
        in->failed = true;
    }
}

/* A counted list: the count is believed only as far as items really follow. */
static void
read_front(struct reader *in, struct front *front)
{
    reader_copy(in, front->tag, TAG_BYTES);
    front->mode = reader_u8(in);
    if (front->mode >= FRONT_ASK) {
        if (front->mode > FRONT_ASK + FRONT_NAMES) {
            in->failed = true;
        }
        return;
    }
    if (front->mode > FRONT_NAMES) {
        in->failed = true;
        return;
    }
    if (front->mode != FRONT_NAMES) {
        uint64_t count;
        uint64_t gap;
        uint64_t value;

        reader_copy(in, front->id, SHORT_BYTES);
        count = reader_varint(in);
        front->list = *in;
        for (uint64_t n = 0; n < count && !in->failed; n++) {
            if (front->mode == FRONT_DELTA) {
                read_delta(in, &gap, &value);
            } else {
                read_head(in, &value);
            }
        }
        front->list.end = in->at;
        front->list_count = in->failed ? 0 : (size_t)count;
    }
    uint64_t count = reader_varint(in);
    struct front_extra extra;
    front->extra = *in;
    for (uint64_t n = 0; n < count && !in->failed; n++) {
        read_extra(in, &extra);
    }
    front->extra.end = in->at;
    front->extra_count = in->failed ? 0 : (size_t)count;
}

static void
read_announce(struct reader *in, struct announce *announce)
{
    reader_copy(in, announce->tag, TAG_BYTES);
    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        announce->entry_count[lane] = reader_varint(in);
        announce->byte_count[lane] = reader_varint(in);
    }
}

static void
read_want(struct reader *in, struct want *want)
{
    reader_copy(in, want->tag, TAG_BYTES);
    read_log_ref(in, &want->log);
    want->from = reader_varint(in);
    want->to = reader_varint(in);
    want->policy = reader_u8(in);
    if (!seq_plausible(want->from) || !seq_plausible(want->to) || want->policy > WANT_PAYLOADS ||
        (want->to != 0 && want->to <= want->from)) {
        in->failed = true;
    }
}

static void
read_heads(struct reader *in, struct heads *heads)
{
    reader_copy(in, heads->tag, TAG_BYTES);
    heads->step = reader_u8(in);
    if (heads->step == 0) {
        heads->slices = reader_span(in, (size_t)SLICE_COUNT * SHORT_BYTES).data;
    } else if (heads->step == 1) {
        heads->slice_bits = reader_u16(in);
        heads->tips = lend_list(in, check_heads);
    } else {
        in->failed = true;
    }
}

/* The bytes that a piece of a file has; 0: there is no such piece. */
static size_t
piece_bytes(const struct blob_part *part)
{
    switch (part->piece) {
    case BLOB_HEAD:
        return part->index == 0 ? (size_t)blob_page_count(part->chunk_count) * HASH_BYTES : 0;
    case BLOB_PAGE:
        return part->index < blob_page_count(part->chunk_count)
                   ? (size_t)blob_page_chunks(part->chunk_count, part->index) * HASH_BYTES
                   : 0;
    case BLOB_CHUNK:
        return part->index < part->chunk_count ? BLOB_SEALED_BYTES : 0;
    default:
        return 0;
    }
}

static void
read_blob_part(struct reader *in, struct blob_part *part)
{
    reader_copy(in, part->tag, TAG_BYTES);
    reader_copy(in, part->address.bytes, HASH_BYTES);
    part->chunk_count = read_chunk_count(in);
    part->piece = reader_u8(in);
    uint64_t index = reader_varint(in);
    part->index = index < BLOB_CHUNKS_MAX ? (uint32_t)index : BLOB_CHUNKS_MAX;
    struct reader rest = rest_of(in);
    part->bytes = span_of(rest.at, reader_left(&rest));
    if (!in->failed && (part->bytes.size == 0 || part->bytes.size != piece_bytes(part))) {
        in->failed = true;
    }
}

/* True if no bit stands for a chunk that the page does not have. */
static bool
bitmap_fits(const struct blob_ask_page *page, uint32_t chunk_count)
{
    for (uint32_t n = blob_page_chunks(chunk_count, page->page); n < BLOB_PAGE_CHUNKS; n++) {
        if ((page->bitmap[n / 8] >> n % 8 & 1) != 0) {
            return false;
        }
    }
    return true;
}

static void
read_blob_ask(struct reader *in, struct blob_ask *ask)
{
    struct blob_ask_page page;
    uint32_t next = 0;

    reader_copy(in, ask->tag, TAG_BYTES);
    reader_copy(in, ask->address.bytes, HASH_BYTES);
    ask->chunk_count = read_chunk_count(in);
    uint8_t flags = reader_u8(in);
    ask->head = (flags & 1) != 0;
    in->failed = in->failed || flags > 1;
    ask->pages = *in;
    while (!in->failed && reader_left(in) > 0) {
        read_blob_ask_page(in, &page);
        if (!in->failed && (page.page < next || page.page >= blob_page_count(ask->chunk_count) ||
                            !bitmap_fits(&page, ask->chunk_count))) {
            in->failed = true;
        }
        next = page.page + 1;
    }
}

static size_t
frame_bytes_max(uint8_t type)
{
    switch (type) {
    case FRAME_CHUNK:
    case FRAME_BLOB:
        return FRAME_BYTES_MAX;
    case FRAME_PROOF:
        return FRAME_PROOF_BYTES_MAX;
    default:
        return FRAME_SMALL_BYTES_MAX;
    }
}

bool
frame_read(struct span bytes, struct frame *frame)
{
    struct reader in = reader_of(bytes);

    memset(frame, 0, sizeof *frame);
    uint8_t type = reader_u8(&in);
    if (in.failed) {
        return false;
    }
    frame->type = (enum frame_type)type;
    switch (frame->type) {
    case FRAME_HELLO:
        read_hello(&in, &frame->hello);
        break;
    case FRAME_DIGEST:
        frame->digests = lend_list(&in, check_digests);
        break;
    case FRAME_FRONT:
        read_front(&in, &frame->front);
        break;
    case FRAME_ANNOUNCE:
        read_announce(&in, &frame->announce);
        break;
    case FRAME_WANT:
        read_want(&in, &frame->want);
        break;
    case FRAME_CHUNK:
        in.failed = in.failed || reader_left(&in) == 0;
        frame->chunks = lend_list(&in, check_chunks);
        break;
    case FRAME_ACK:
        reader_copy(&in, frame->ack.tag, TAG_BYTES);
        frame->ack.items = lend_list(&in, check_acks);
        break;
    case FRAME_HEADS:
        read_heads(&in, &frame->heads);
        break;
    case FRAME_PROOF: {
        struct reader rest = rest_of(&in);
        frame->proof = span_of(rest.at, reader_left(&rest));
        in.failed = in.failed || frame->proof.size == 0;
        break;
    }
    case FRAME_CREDIT:
        frame->credit_bytes = reader_u32(&in);
        break;
    case FRAME_DENY:
        frame->deny.code = reader_u8(&in);
        frame->deny.retry_after_s = reader_u32(&in);
        frame->deny.text = read_text(&in, FRAME_SMALL_BYTES_MAX);
        break;
    case FRAME_BYE:
        frame->bye.reason = reader_u8(&in);
        frame->bye.items = lend_list(&in, check_byes);
        break;
    case FRAME_BEYOND:
        reader_copy(&in, frame->beyond.tag, TAG_BYTES);
        frame->beyond.tips = lend_list(&in, check_heads);
        break;
    case FRAME_BLOB:
        read_blob_part(&in, &frame->blob);
        break;
    case FRAME_HAVE:
        reader_copy(&in, frame->have.tag, TAG_BYTES);
        frame->have.items = lend_list(&in, check_haves);
        break;
    case FRAME_ASK:
        read_blob_ask(&in, &frame->ask);
        break;
    case FRAME_UNKNOWN:
    default:
        frame->type = FRAME_UNKNOWN;
        return true;
    }
    return reader_done(&in) && bytes.size <= frame_bytes_max(type);
}

bool
digest_next(struct reader *digests, struct digest_item *item)
{
    if (reader_left(digests) == 0) {
        return false;
    }
    read_digest_item(digests, item);
    return true;
}

bool
front_delta_next(struct reader *list, uint64_t *gap, uint64_t *rise)
{
    if (reader_left(list) == 0) {
        return false;
    }
    read_delta(list, gap, rise);
    return true;
}

bool
front_heads_next(struct reader *list, uint64_t *seq_next)
{
    if (reader_left(list) == 0) {
        return false;
    }
    read_head(list, seq_next);
    return true;
}

bool
front_extra_next(struct reader *extras, struct front_extra *extra)
{
    if (reader_left(extras) == 0) {
        return false;
    }
    read_extra(extras, extra);
    return true;
}

bool
chunk_next(struct reader *chunks, struct chunk_item *item)
{
    if (reader_left(chunks) == 0) {
        return false;
    }
    read_chunk_item(chunks, item);
    return true;
}

bool
ack_next(struct reader *items, struct ack_item *item)
{
    if (reader_left(items) == 0) {
        return false;
    }
    read_ack_item(items, item);
    return true;
}

bool
heads_next(struct reader *tips, struct heads_tip *tip)
{
    if (reader_left(tips) == 0) {
        return false;
    }
    read_heads_tip(tips, tip);
    return true;
}

bool
blob_have_next(struct reader *items, struct blob_have_item *item)
{
    if (reader_left(items) == 0) {
        return false;
    }
    read_blob_have_item(items, item);
    return true;
}

bool
blob_ask_next(struct reader *pages, struct blob_ask_page *page)
{
    if (reader_left(pages) == 0) {
        return false;
    }
    read_blob_ask_page(pages, page);
    return true;
}

bool
bye_next(struct reader *items, struct bye_item *item)
{
    if (reader_left(items) == 0) {
        return false;
    }
    read_bye_item(items, item);
    return true;
}

/* --- writing --- */

static void
begin(struct buf *out, enum frame_type type)
{
    buf_put_u8(out, (uint8_t)type);
}

static void
write_log_ref(struct buf *out, const struct log_ref *log)
{
    assert(log->name.size == (log->ref == LOG_REF_NEW     ? DESCRIPTOR_BYTES
                              : log->ref == LOG_REF_SHORT ? SHORT_BYTES
                                                          : 0));
    buf_put_varint(out, log->ref);
    buf_put_span(out, log->name);
}

void
hello_write(struct buf *out, const struct hello *hello)
{
    assert(hello->version.size <= FRAME_VERSION_BYTES_MAX);
    begin(out, FRAME_HELLO);
    buf_put_u8(out, hello->min);
    buf_put_u8(out, hello->max);
    buf_put(out, hello->incarnation, sizeof hello->incarnation);
    buf_put(out, hello->certificate, sizeof hello->certificate);
    buf_put_u32(out, hello->wall_s);
    buf_put_u8(out, hello->profile);
    buf_put_u32(out, hello->credit_bytes);
    buf_put_span(out, hello->version);
}

void
digest_write(struct buf *out)
{
    begin(out, FRAME_DIGEST);
}

void
digest_item_write(struct buf *out, const struct digest_item *item)
{
    buf_put(out, item->tag, TAG_BYTES);
    buf_put(out, item->digest, DIGEST_BYTES);
    buf_put_u8(out, item->flags);
}

void
front_ask_write(struct buf *out, const uint8_t tag[TAG_BYTES], enum front_mode mode)
{
    assert(mode <= FRONT_NAMES);
    begin(out, FRAME_FRONT);
    buf_put(out, tag, TAG_BYTES);
    buf_put_u8(out, (uint8_t)(FRONT_ASK + mode));
}

void
front_write(struct buf *out, const uint8_t tag[TAG_BYTES], enum front_mode mode, const uint8_t *id,
            size_t list_count)
{
    assert(mode <= FRONT_NAMES);
    assert((id == NULL) == (mode == FRONT_NAMES));
    begin(out, FRAME_FRONT);
    buf_put(out, tag, TAG_BYTES);
    buf_put_u8(out, (uint8_t)mode);
    if (id != NULL) {
        buf_put(out, id, SHORT_BYTES);
        buf_put_varint(out, list_count);
    }
}

void
front_delta_write(struct buf *out, uint64_t gap, uint64_t rise)
{
    assert(rise > 0);
    buf_put_varint(out, gap);
    buf_put_varint(out, rise);
}

void
front_heads_write(struct buf *out, uint64_t seq_next)
{
    buf_put_varint(out, seq_next);
}

void
front_extra_count_write(struct buf *out, size_t count)
{
    buf_put_varint(out, count);
}

void
front_extra_write(struct buf *out, const struct front_extra *extra)
{
    buf_put(out, extra->log_short, SHORT_BYTES);
    buf_put_varint(out, extra->seq << 1 | (extra->forked ? 1 : 0));
    if (extra->forked) {
        buf_put_varint(out, extra->branch_first);
        buf_put(out, extra->branch_id, SHORT_BYTES);
    }
}

void
announce_write(struct buf *out, const struct announce *announce)
{
    begin(out, FRAME_ANNOUNCE);
    buf_put(out, announce->tag, TAG_BYTES);
    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        buf_put_varint(out, announce->entry_count[lane]);
        buf_put_varint(out, announce->byte_count[lane]);
    }
}

void
want_write(struct buf *out, const struct want *want)
{
    assert(want->to == 0 || want->to > want->from);
    begin(out, FRAME_WANT);
    buf_put(out, want->tag, TAG_BYTES);
    write_log_ref(out, &want->log);
    buf_put_varint(out, want->from);
    buf_put_varint(out, want->to);
    buf_put_u8(out, want->policy);
}

void
chunk_frame_write(struct buf *out)
{
    begin(out, FRAME_CHUNK);
}

void
chunk_item_write(struct buf *out, const struct chunk_item *item)
{
    assert(item->chunk.size > 0);
    buf_put(out, item->tag, TAG_BYTES);
    write_log_ref(out, &item->log);
    buf_put_varint(out, item->chunk.size);
    buf_put_span(out, item->chunk);
}

void
ack_write(struct buf *out, const uint8_t tag[TAG_BYTES])
{
    begin(out, FRAME_ACK);
    buf_put(out, tag, TAG_BYTES);
}

void
ack_item_write(struct buf *out, const struct ack_item *item)
{
    assert(item->visible_next <= item->durable_next);
    buf_put_varint(out, item->place + LOG_REF_FIRST);
    buf_put_varint(out, item->durable_next);
    buf_put_varint(out, item->durable_next - item->visible_next);
}

void
heads_slices_write(struct buf *out, const uint8_t tag[TAG_BYTES],
                   const uint8_t slices[SLICE_COUNT * SHORT_BYTES])
{
    begin(out, FRAME_HEADS);
    buf_put(out, tag, TAG_BYTES);
    buf_put_u8(out, 0);
    buf_put(out, slices, (size_t)SLICE_COUNT * SHORT_BYTES);
}

void
heads_write(struct buf *out, const uint8_t tag[TAG_BYTES], uint16_t slice_bits)
{
    begin(out, FRAME_HEADS);
    buf_put(out, tag, TAG_BYTES);
    buf_put_u8(out, 1);
    buf_put_u16(out, slice_bits);
}

void
heads_tip_write(struct buf *out, const struct heads_tip *tip)
{
    buf_put(out, tip->log_short, SHORT_BYTES);
    buf_put_varint(out, tip->seq);
    buf_put(out, tip->entry_short, SHORT_BYTES);
}

void
beyond_write(struct buf *out, const uint8_t tag[TAG_BYTES])
{
    begin(out, FRAME_BEYOND);
    buf_put(out, tag, TAG_BYTES);
}

void
blob_part_write(struct buf *out, const struct blob_part *part)
{
    assert(part->bytes.size == piece_bytes(part));
    begin(out, FRAME_BLOB);
    buf_put(out, part->tag, TAG_BYTES);
    buf_put(out, part->address.bytes, HASH_BYTES);
    buf_put_varint(out, part->chunk_count);
    buf_put_u8(out, part->piece);
    buf_put_varint(out, part->index);
    buf_put_span(out, part->bytes);
}

void
blob_have_write(struct buf *out, const uint8_t tag[TAG_BYTES])
{
    begin(out, FRAME_HAVE);
    buf_put(out, tag, TAG_BYTES);
}

void
blob_have_item_write(struct buf *out, const struct blob_have_item *item)
{
    buf_put(out, item->address.bytes, HASH_BYTES);
    buf_put_varint(out, item->chunk_count);
    buf_put(out, item->log_short, SHORT_BYTES);
    buf_put_varint(out, item->seq);
    buf_put(out, item->entry_short, SHORT_BYTES);
}

void
blob_ask_write(struct buf *out, const struct blob_ask *ask)
{
    begin(out, FRAME_ASK);
    buf_put(out, ask->tag, TAG_BYTES);
    buf_put(out, ask->address.bytes, HASH_BYTES);
    buf_put_varint(out, ask->chunk_count);
    buf_put_u8(out, ask->head ? 1 : 0);
}

void
blob_ask_page_write(struct buf *out, const struct blob_ask_page *page)
{
    buf_put_varint(out, (uint64_t)page->page << 1 | (page->hashes ? 1 : 0));
    buf_put(out, page->bitmap, ASK_BITMAP_BYTES);
}

void
proof_write(struct buf *out, struct span signed_statement)
{
    begin(out, FRAME_PROOF);
    buf_put_span(out, signed_statement);
}

void
credit_write(struct buf *out, uint32_t bytes)
{
    begin(out, FRAME_CREDIT);
    buf_put_u32(out, bytes);
}

void
deny_write(struct buf *out, const struct deny *deny)
{
    begin(out, FRAME_DENY);
    buf_put_u8(out, deny->code);
    buf_put_u32(out, deny->retry_after_s);
    buf_put_span(out, deny->text);
}

void
bye_write(struct buf *out, enum bye_reason reason)
{
    begin(out, FRAME_BYE);
    buf_put_u8(out, (uint8_t)reason);
}

void
bye_item_write(struct buf *out, const struct bye_item *item)
{
    buf_put(out, item->tag, TAG_BYTES);
    buf_put(out, item->checkpoint, SHORT_BYTES);
}

/* --- words --- */

const char *
frame_type_text(enum frame_type type)
{
    switch (type) {
    case FRAME_HELLO:
        return "hello";
    case FRAME_DIGEST:
        return "digest";
    case FRAME_FRONT:
        return "front";
    case FRAME_ANNOUNCE:
        return "announce";
    case FRAME_WANT:
        return "want";
    case FRAME_CHUNK:
        return "chunk";
    case FRAME_ACK:
        return "ack";
    case FRAME_HEADS:
        return "heads";
    case FRAME_PROOF:
        return "proof";
    case FRAME_CREDIT:
        return "credit";
    case FRAME_DENY:
        return "deny";
    case FRAME_BYE:
        return "bye";
    case FRAME_BEYOND:
        return "beyond";
    case FRAME_BLOB:
        return "blob";
    case FRAME_HAVE:
        return "have";
    case FRAME_ASK:
        return "ask";
    case FRAME_UNKNOWN:
    default:
        return "unknown";
    }
}

const char *
deny_code_text(uint8_t code)
{
    switch (code) {
    case DENY_PROTOCOL:
        return "no common protocol version";
    case DENY_NOT_MEMBER:
        return "not a member";
    case DENY_OTHER_ORGANISATION:
        return "another organisation";
    case DENY_TOO_MANY:
        return "too many connections";
    case DENY_MALFORMED:
        return "a frame was malformed";
    case DENY_SHUTTING_DOWN:
        return "shutting down";
    default:
        return "refused for a reason unknown here";
    }
}
