#include "sync/bundle.h"

#include "store/base/cbor.h"
#include "store/base/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 1,
    KIND_HEAD = 1,
    KIND_PART = 2,
    WINDOW_BYTES = 2 * BUNDLE_PIECE_BYTES_MAX,
    SEALED_AT = BUNDLE_PIECE_BYTES + 4, /* in a part: what is sealed follows what it is bound to */
    OPEN_WORK = 1 << 16,                /* what trying the slots of a head costs, as if it were bytes */
    MANIFEST_KEYS = 8,
};

static const uint8_t mark[BUNDLE_MARK_BYTES] = { 'V', 'I', 'G', 'I', 'L', 'B', 'D', 'L' };

#define SIGNED "VIGIL1BUNDLE"

static void
put_piece_head(struct buf *out, uint8_t kind, size_t size)
{
    assert(size <= UINT16_MAX);
    buf_put(out, mark, sizeof mark);
    buf_put_u8(out, VERSION);
    buf_put_u8(out, kind);
    buf_put_u16(out, (uint16_t)size);
}

/* --- heads --- */

/* A number below `count`, as good as by chance: it hides an order, no more. */
static size_t
draw_below(const struct world *world, size_t count)
{
    uint8_t bytes[8];

    world_random(world, bytes, sizeof bytes);
    return (size_t)(bytes_read_u64(bytes) % count);
}

enum err
bundle_head_make(struct bundle_head *out, const struct ident *bundle_id, const struct key *file_key,
                 const uint8_t (*box_pks)[32], size_t box_count, const struct world *world)
{
    struct key_pair nobody;
    struct key nothing;
    bool good = true;

    assert(box_count > 0 && box_count <= BUNDLE_DESTINATIONS_MAX);
    memset(out, 0, sizeof *out);
    out->bundle_id = *bundle_id;
    out->volume = 1;
    out->slot_count = (box_count + BUNDLE_SLOTS_STEP - 1) / BUNDLE_SLOTS_STEP * BUNDLE_SLOTS_STEP;
    for (size_t n = 0; n < out->slot_count && good; n++) {
        if (n < box_count) {
            good = crypto_box_seal_to(out->slots[n], box_pks[n], span_of(file_key->bytes, KEY_BYTES), world);
        } else {
            crypto_box_pair(&nobody, world);
            world_random(world, nothing.bytes, sizeof nothing.bytes);
            good = crypto_box_seal_to(out->slots[n], nobody.public_key, span_of(nothing.bytes, KEY_BYTES),
                                      world);
        }
    }
    crypto_wipe(&nobody, sizeof nobody);
    for (size_t n = out->slot_count; n > 1; n--) {
        uint8_t slot[BUNDLE_SLOT_BYTES];
        size_t other = draw_below(world, n);

        memcpy(slot, out->slots[n - 1], sizeof slot);
        memcpy(out->slots[n - 1], out->slots[other], sizeof slot);
        memcpy(out->slots[other], slot, sizeof slot);
    }
    return good ? ERR_OK : ERR_INVALID;
}

static void
head_check(uint8_t check_out[BUNDLE_CHECK_BYTES], struct span before)
{
    struct hash hash;

    CRYPTO_HASH(&hash, "vigil.bdl.hed.v1", before);
    memcpy(check_out, hash.bytes, BUNDLE_CHECK_BYTES);
}

void
bundle_head_write(struct buf *out, const struct bundle_head *head)
{
    uint8_t check[BUNDLE_CHECK_BYTES];
    size_t start = out->size;
    size_t slots = head->slot_count * BUNDLE_SLOT_BYTES;

    put_piece_head(out, KIND_HEAD, IDENT_BYTES + 4 + 1 + slots + BUNDLE_CHECK_BYTES);
    buf_put_span(out, ident_span(&head->bundle_id));
    buf_put_u32(out, head->volume);
    buf_put_u8(out, (uint8_t)head->slot_count);
    buf_put(out, head->slots, slots);
    if (!out->failed) {
        head_check(check, span_of(out->data + start, out->size - start));
        buf_put(out, check, sizeof check);
    }
}

/* Read a head from a whole piece. False: it is none, or damaged. */
static bool
head_read(struct span piece, struct bundle_head *out)
{
    uint8_t check[BUNDLE_CHECK_BYTES];
    struct reader in = reader_of(piece);

    memset(out, 0, sizeof *out);
    if (piece.size < BUNDLE_PIECE_BYTES + BUNDLE_CHECK_BYTES) {
        return false;
    }
    head_check(check, span_of(piece.data, piece.size - sizeof check));
    if (memcmp(check, piece.data + piece.size - sizeof check, sizeof check) != 0) {
        return false;
    }
    (void)reader_span(&in, BUNDLE_PIECE_BYTES);
    reader_copy(&in, out->bundle_id.bytes, IDENT_BYTES);
    out->volume = reader_u32(&in);
    out->slot_count = reader_u8(&in);
    if (out->slot_count == 0 || out->slot_count > BUNDLE_DESTINATIONS_MAX || out->volume == 0) {
        return false;
    }
    reader_copy(&in, out->slots, out->slot_count * BUNDLE_SLOT_BYTES);
    (void)reader_span(&in, sizeof check);
    return reader_done(&in);
}

bool
bundle_head_open(const struct bundle_head *head, const struct key_pair *box_pair, struct key *file_key_out)
{
    for (size_t n = 0; n < head->slot_count; n++) {
        if (crypto_box_open_own(file_key_out->bytes, box_pair, span_of(head->slots[n], BUNDLE_SLOT_BYTES))) {
            return true;
        }
    }
    crypto_wipe(file_key_out, sizeof *file_key_out);
    return false;
}

/* --- parts --- */

void
bundle_volume_key(struct key *out, const struct key *file_key, const struct ident *bundle_id, uint32_t volume)
{
    uint8_t number[4];

    bytes_write_u32(number, volume);
    const struct span parts[] = { span_of(file_key->bytes, KEY_BYTES), ident_span(bundle_id),
                                  span_of(number, sizeof number) };
    crypto_derive(out, "vigil.bdl.key.v1", parts, 3);
}

static struct nonce
nonce_of(uint32_t index)
{
    struct nonce nonce = { { 0 } };

    bytes_write_u32(nonce.bytes + NONCE_BYTES - 4, index);
    return nonce;
}

void
bundle_part_write(struct buf *out, const struct key *volume_key, uint32_t index, struct span text)
{
    size_t start = out->size;
    struct nonce nonce = nonce_of(index);

    assert(text.size > 0 && text.size <= BUNDLE_TEXT_BYTES_MAX);
    put_piece_head(out, KIND_PART, 4 + text.size + SEAL_BYTES);
    buf_put_u32(out, index);
    uint8_t *sealed = buf_extend(out, text.size + SEAL_BYTES);
    if (sealed != NULL) {
        crypto_seal(sealed, volume_key, &nonce, span_of(out->data + start, SEALED_AT), text);
    }
}

/* --- manifests --- */

static void
manifest_id(struct hash *out, struct span content)
{
    CRYPTO_HASH(out, "vigil.bdl.man.v1", content);
}

static void
heads_id(struct hash *out, const struct ident *bundle_id, struct span frame)
{
    CRYPTO_HASH(out, "vigil.bdl.tip.v1", ident_span(bundle_id), frame);
}

static void
said_id(struct hash *out, enum bundle_part type, const struct ident *bundle_id, struct span bytes)
{
    if (type == BUNDLE_HAVE) {
        CRYPTO_HASH(out, "vigil.bdl.hav.v1", ident_span(bundle_id), bytes);
    } else {
        assert(type == BUNDLE_WISHES);
        CRYPTO_HASH(out, "vigil.bdl.wis.v1", ident_span(bundle_id), bytes);
    }
}

static void
put_content(struct buf *out, const struct bundle_manifest *manifest)
{
    cbor_put_map(out, MANIFEST_KEYS);
    cbor_put_uint(out, 0);
    cbor_put_bytes(out, hash_span(&manifest->org));
    cbor_put_uint(out, 1);
    cbor_put_bytes(out, ident_span(&manifest->bundle_id));
    cbor_put_uint(out, 2);
    cbor_put_uint(out, manifest->volume);
    cbor_put_uint(out, 3);
    cbor_put_bytes(out, span_of(manifest->sign_pk, SIGN_PK_BYTES));
    cbor_put_uint(out, 4);
    cbor_put_uint(out, manifest->made_ms);
    cbor_put_uint(out, 5);
    cbor_put_uint(out, manifest->content);
    cbor_put_uint(out, 6);
    cbor_put_array(out, manifest->destination_count);
    for (size_t n = 0; n < manifest->destination_count; n++) {
        cbor_put_bytes(out, hash_span(&manifest->destinations[n]));
    }
    cbor_put_uint(out, 7);
    cbor_put_array(out, manifest->compartment_count);
    for (size_t n = 0; n < manifest->compartment_count; n++) {
        cbor_put_array(out, 3);
        cbor_put_bytes(out, ident_span(&manifest->compartments[n].id));
        cbor_put_bytes(out, span_of(manifest->compartments[n].digest, DIGEST_BYTES));
        cbor_put_uint(out, manifest->compartments[n].flags);
    }
}

void
bundle_manifest_write(struct buf *out, const struct bundle_manifest *manifest, const struct key_pair *signer)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct buf content = { 0 };
    struct hash id;

    put_content(&content, manifest);
    if (!content.failed) {
        manifest_id(&id, buf_span(&content));
        crypto_sign_id(signature, signer, SIGNED, &id);
        buf_put_u8(out, BUNDLE_MANIFEST);
        buf_put(out, signature, sizeof signature);
        buf_put_span(out, buf_span(&content));
    }
    out->failed |= content.failed;
    buf_free(&content);
}

static void
expect_key(struct cbor_reader *reader, uint64_t key)
{
    if (cbor_read_uint(reader) != key) {
        cbor_fail(reader);
    }
}

static uint64_t
read_below(struct cbor_reader *reader, uint64_t limit)
{
    uint64_t value = cbor_read_uint(reader);

    if (value >= limit) {
        cbor_fail(reader);
        return 0;
    }
    return value;
}

static void
read_destinations(struct cbor_reader *reader, struct bundle_manifest *out)
{
    size_t count = cbor_read_array(reader);

    if (count == 0 || count > BUNDLE_DESTINATIONS_MAX) {
        cbor_fail(reader);
        return;
    }
    out->destination_count = count;
    for (size_t n = 0; n < count; n++) {
        cbor_read_exact(reader, out->destinations[n].bytes, HASH_BYTES);
        if (n > 0 && hash_compare(&out->destinations[n - 1], &out->destinations[n]) >= 0) {
            cbor_fail(reader);
        }
    }
}

static void
read_compartments(struct cbor_reader *reader, struct bundle_manifest *out)
{
    size_t count = cbor_read_array(reader);

    if (count > BUNDLE_COMPARTMENTS_MAX) {
        cbor_fail(reader);
        return;
    }
    out->compartment_count = count;
    for (size_t n = 0; n < count; n++) {
        struct bundle_compartment *compartment = &out->compartments[n];

        if (cbor_read_array(reader) != 3) {
            cbor_fail(reader);
        }
        cbor_read_exact(reader, compartment->id.bytes, IDENT_BYTES);
        cbor_read_exact(reader, compartment->digest, DIGEST_BYTES);
        compartment->flags = (uint8_t)read_below(reader, UINT8_MAX + 1);
        if (n > 0 && ident_compare(&out->compartments[n - 1].id, &compartment->id) >= 0) {
            cbor_fail(reader);
        }
    }
}

bool
bundle_manifest_read(struct span body, struct bundle_manifest *out)
{
    struct hash id;

    memset(out, 0, sizeof *out);
    if (body.size <= SIGNATURE_BYTES) {
        return false;
    }
    struct span content = span_of(body.data + SIGNATURE_BYTES, body.size - SIGNATURE_BYTES);
    struct cbor_reader reader = cbor_reader_of(content);
    if (cbor_read_map(&reader) != MANIFEST_KEYS) {
        return false;
    }
    expect_key(&reader, 0);
    cbor_read_exact(&reader, out->org.bytes, HASH_BYTES);
    expect_key(&reader, 1);
    cbor_read_exact(&reader, out->bundle_id.bytes, IDENT_BYTES);
    expect_key(&reader, 2);
    out->volume = (uint32_t)read_below(&reader, (uint64_t)UINT32_MAX + 1);
    expect_key(&reader, 3);
    cbor_read_exact(&reader, out->sign_pk, SIGN_PK_BYTES);
    expect_key(&reader, 4);
    out->made_ms = cbor_read_uint(&reader);
    expect_key(&reader, 5);
    out->content = (enum bundle_content)read_below(&reader, BUNDLE_RECEIPTS + 1);
    expect_key(&reader, 6);
    read_destinations(&reader, out);
    expect_key(&reader, 7);
    read_compartments(&reader, out);
    if (!cbor_done(&reader) || out->volume == 0) {
        return false;
    }
    manifest_id(&id, content);
    return crypto_verify(body.data, out->sign_pk, SIGNED, &id);
}

void
bundle_heads_write(struct buf *out, const struct ident *bundle_id, struct span frame,
                   const struct key_pair *signer)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct hash id;

    heads_id(&id, bundle_id, frame);
    crypto_sign_id(signature, signer, SIGNED, &id);
    buf_put_u8(out, BUNDLE_HEADS);
    buf_put(out, signature, sizeof signature);
    buf_put_span(out, frame);
}

bool
bundle_heads_read(struct span body, const struct ident *bundle_id, const uint8_t sign_pk[SIGN_PK_BYTES],
                  struct heads *heads_out)
{
    struct frame frame;
    struct hash id;

    if (body.size <= SIGNATURE_BYTES) {
        return false;
    }
    struct span bytes = span_of(body.data + SIGNATURE_BYTES, body.size - SIGNATURE_BYTES);
    heads_id(&id, bundle_id, bytes);
    if (!crypto_verify(body.data, sign_pk, SIGNED, &id) || !frame_read(bytes, &frame) ||
        frame.type != FRAME_HEADS || frame.heads.step != 1) {
        return false;
    }
    *heads_out = frame.heads;
    return true;
}

void
bundle_said_write(struct buf *out, enum bundle_part type, const struct ident *bundle_id, struct span bytes,
                  const struct key_pair *signer)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct hash id;

    said_id(&id, type, bundle_id, bytes);
    crypto_sign_id(signature, signer, SIGNED, &id);
    buf_put_u8(out, (uint8_t)type);
    buf_put(out, signature, sizeof signature);
    buf_put_span(out, bytes);
}

bool
bundle_said_read(struct span body, enum bundle_part type, const struct ident *bundle_id,
                 const uint8_t sign_pk[SIGN_PK_BYTES], struct span *bytes_out)
{
    struct hash id;

    if (body.size <= SIGNATURE_BYTES) {
        return false;
    }
    *bytes_out = span_of(body.data + SIGNATURE_BYTES, body.size - SIGNATURE_BYTES);
    said_id(&id, type, bundle_id, *bytes_out);
    return crypto_verify(body.data, sign_pk, SIGNED, &id);
}

/* --- reading --- */

struct bundle_reader {
    const struct key_pair *box_pair;
    struct stream_input input;
    struct bundle_reading reading;
    bool ended;     /* or failed: */
    enum err err;   /* ERR_OK: it did not fail */
    bool in_damage; /* the last bytes belonged to nothing */
    bool foreign;   /* the last head was sealed to others */
    /* what parts are opened with */
    bool has_key;
    struct key file_key;
    struct key volume_key;
    struct ident bundle_id;
    uint32_t volume;
    struct bundle_head head; /* the last that was read */
    size_t at;               /* in the window: what comes next */
    size_t end;
    uint8_t window[WINDOW_BYTES];
    uint8_t text[BUNDLE_TEXT_BYTES_MAX];
};

enum err
bundle_reader_open(struct bundle_reader **reader_out, const struct key_pair *box_pair,
                   struct stream_input input)
{
    struct bundle_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        return ERR_MEMORY;
    }
    reader->box_pair = box_pair;
    reader->input = input;
    *reader_out = reader;
    return ERR_OK;
}

void
bundle_reader_close(struct bundle_reader **reader_in)
{
    if (*reader_in != NULL) {
        crypto_wipe(*reader_in, sizeof **reader_in);
        free(*reader_in);
        *reader_in = NULL;
    }
}

void
bundle_reader_use(struct bundle_reader *reader, const struct ident *bundle_id, uint32_t volume,
                  const struct key *file_key)
{
    reader->has_key = true;
    reader->foreign = false;
    reader->file_key = *file_key;
    reader->bundle_id = *bundle_id;
    reader->volume = volume;
    bundle_volume_key(&reader->volume_key, file_key, bundle_id, volume);
}

bool
bundle_reader_volume(const struct bundle_reader *reader, struct ident *bundle_id_out, uint32_t *volume_out)
{
    *bundle_id_out = reader->bundle_id;
    *volume_out = reader->volume;
    return reader->has_key;
}

struct bundle_reading
bundle_reading(const struct bundle_reader *reader)
{
    return reader->reading;
}

/* Have a whole piece in the window, or all that is left. */
static void
fill(struct bundle_reader *reader)
{
    if (reader->end - reader->at >= BUNDLE_PIECE_BYTES_MAX || reader->ended) {
        return;
    }
    memmove(reader->window, reader->window + reader->at, reader->end - reader->at);
    reader->end -= reader->at;
    reader->at = 0;
    while (!reader->ended && reader->end < sizeof reader->window) {
        size_t size = 0;

        reader->err = reader->input.read(reader->input.self, reader->window + reader->end,
                                         sizeof reader->window - reader->end, &size);
        size = reader->err == ERR_OK ? size : 0;
        reader->end += size;
        reader->reading.bytes += size;
        reader->ended = size == 0;
    }
}

/* Pass over bytes that are no piece. */
static void
skip(struct bundle_reader *reader, size_t size)
{
    reader->at += size;
    reader->reading.damaged_bytes += size;
    reader->reading.damaged_places += reader->in_damage ? 0 : 1;
    reader->in_damage = true;
}

static void
pass(struct bundle_reader *reader, size_t size)
{
    reader->at += size;
    reader->in_damage = false;
}

/* How many bytes from here on are no mark; at the very end of the input all that are left, else not those that may begin one. */
static size_t
to_mark(const struct bundle_reader *reader, size_t from)
{
    const uint8_t *start = reader->window + from;
    size_t left = reader->end - from;
    const uint8_t *found = left < sizeof mark ? NULL : memmem(start, left, mark, sizeof mark);

    if (found != NULL) {
        return (size_t)(found - start);
    }
    return reader->ended || left < sizeof mark ? left : left - (sizeof mark - 1);
}

/* A head: whether its key is one that we have. */
static enum bundle_found
take_head(struct bundle_reader *reader, struct bundle_piece *piece)
{
    struct key file_key;

    piece->head = &reader->head;
    piece->volume = reader->head.volume;
    if (reader->has_key && ident_equal(&reader->bundle_id, &reader->head.bundle_id)) {
        /* One bundle has one file key. */
        bundle_reader_use(reader, &reader->head.bundle_id, reader->head.volume, &reader->file_key);
        return BUNDLE_HEAD_OPENED;
    }
    piece->work += OPEN_WORK;
    if (!bundle_head_open(&reader->head, reader->box_pair, &file_key)) {
        reader->foreign = true;
        return BUNDLE_HEAD_LOCKED;
    }
    bundle_reader_use(reader, &reader->head.bundle_id, reader->head.volume, &file_key);
    crypto_wipe(&file_key, sizeof file_key);
    return BUNDLE_HEAD_OPENED;
}

static bool
open_part(struct bundle_reader *reader, struct span whole, struct bundle_piece *piece)
{
    piece->index = bytes_read_u32(whole.data + BUNDLE_PIECE_BYTES);
    piece->volume = reader->volume;
    struct nonce nonce = nonce_of(piece->index);
    if (!reader->has_key ||
        !crypto_open(reader->text, &reader->volume_key, &nonce, span_of(whole.data, SEALED_AT),
                     span_of(whole.data + SEALED_AT, whole.size - SEALED_AT))) {
        return false;
    }
    piece->type = reader->text[0];
    piece->body = span_of(reader->text + 1, whole.size - BUNDLE_PART_BYTES - 1);
    return true;
}

/* The window begins with a mark. */
static void
take_piece(struct bundle_reader *reader, struct bundle_piece *piece)
{
    const uint8_t *start = reader->window + reader->at;
    size_t left = reader->end - reader->at;
    size_t size = left < BUNDLE_PIECE_BYTES
                      ? 0
                      : (size_t)BUNDLE_PIECE_BYTES + bytes_read_u16(start + BUNDLE_PIECE_BYTES - 2);
    uint8_t kind = size == 0 || start[BUNDLE_MARK_BYTES] != VERSION ? 0 : start[BUNDLE_MARK_BYTES + 1];
    struct span whole = span_of(start, size);

    piece->work += size > 0 ? size : sizeof mark;
    if (kind == KIND_HEAD && size <= left && head_read(whole, &reader->head)) {
        piece->found = take_head(reader, piece);
        reader->reading.locked_bytes += piece->found == BUNDLE_HEAD_LOCKED ? size : 0;
        pass(reader, size);
        return;
    }
    bool is_part =
        kind == KIND_PART && size <= left && size > BUNDLE_PART_BYTES && size <= BUNDLE_PIECE_BYTES_MAX;
    if (is_part && open_part(reader, whole, piece)) {
        piece->found = BUNDLE_PART;
        reader->reading.parts++;
        pass(reader, size);
    } else if (is_part && (!reader->has_key || reader->foreign) &&
               to_mark(reader, reader->at + sizeof mark) + sizeof mark >= size) {
        piece->found = BUNDLE_PART_LOCKED;
        reader->reading.locked_bytes += size;
        pass(reader, size);
    } else {
        /* Its size may be what is damaged: the next piece begins where the next mark is. */
        skip(reader, sizeof mark);
    }
}

enum err
bundle_next(struct bundle_reader *reader, struct bundle_piece *piece)
{
    fill(reader);
    *piece = (struct bundle_piece){ .found = BUNDLE_NOTHING };
    if (reader->at == reader->end) {
        return reader->err == ERR_OK ? ERR_ABSENT : reader->err;
    }
    size_t nothing = to_mark(reader, reader->at);
    if (nothing > 0) {
        piece->work = nothing;
        skip(reader, nothing);
    } else {
        take_piece(reader, piece);
    }
    return ERR_OK;
}
