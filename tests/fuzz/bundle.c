/* bundle: any bytes as a volume; as the text of a part, in a volume that is as it should be; as what is kept of a device. */
#include "store/base/world.h"
#include "sync/bundle_export.h"
#include "sync/update.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
draw(void *self, void *out, size_t size)
{
    (void)self;
    memset(out, 7, size);
}

static const struct world steady = { .random = draw };
static const struct key file_key = { { 1 } };
static const struct ident bundle_id = { { 2 } };

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct source {
    struct span bytes;
    size_t at;
    size_t step;
};

static enum err
take(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct source *source = self;
    size_t left = source->bytes.size - source->at;
    size_t size = left < room ? left : room;

    size = size > source->step ? source->step : size;
    if (size > 0) {
        memcpy(out, source->bytes.data + source->at, size);
    }
    source->at += size;
    *size_out = size;
    return ERR_OK;
}

/* --- texts --- */

static void
read_text(const struct bundle_piece *piece)
{
    static struct bundle_manifest manifest;
    static struct chunk chunk;
    struct heads heads;
    struct heads_tip tip;
    struct frame frame;
    struct chunk_item item;
    struct span said;

    if (piece->type == BUNDLE_MANIFEST && bundle_manifest_read(piece->body, &manifest)) {
        require(manifest.volume > 0 && manifest.destination_count > 0);
        require(manifest.destination_count <= BUNDLE_DESTINATIONS_MAX);
        require(manifest.compartment_count <= BUNDLE_COMPARTMENTS_MAX);
    }
    if (piece->type == BUNDLE_HEADS && bundle_heads_read(piece->body, &bundle_id, manifest.sign_pk, &heads)) {
        while (heads_next(&heads.tips, &tip)) {
        }
    }
    if ((piece->type == BUNDLE_HAVE || piece->type == BUNDLE_WISHES) &&
        bundle_said_read(piece->body, (enum bundle_part)piece->type, &bundle_id, manifest.sign_pk, &said)) {
        require(said.size > 0 && said.size < piece->body.size);
    }
    if (piece->type == BUNDLE_FILE && frame_read(piece->body, &frame) && frame.type == FRAME_BLOB) {
        require(frame.blob.bytes.size > 0 && frame.blob.bytes.size <= piece->body.size);
    }
    if (piece->type == BUNDLE_CHUNKS && frame_read(piece->body, &frame) && frame.type == FRAME_CHUNK) {
        while (chunk_next(&frame.chunks, &item)) {
            (void)!chunk_read(item.chunk, 0, &chunk);
        }
    }
}

/* Read a volume to its end: how many parts opened. Every byte is of a piece that is whole or sealed to others, or is damaged. */
static uint64_t
read_volume(struct span bytes, size_t step, bool knows_key)
{
    struct source source = { bytes, 0, step };
    struct bundle_reader *reader = NULL;
    struct bundle_piece piece;
    struct key_pair box;
    uint64_t work = 0;
    uint64_t steps = 0;

    crypto_box_pair_from_secret(&box, file_key.bytes);
    require(bundle_reader_open(&reader, &box, (struct stream_input){ &source, take }) == ERR_OK);
    if (knows_key) {
        bundle_reader_use(reader, &bundle_id, 1, &file_key);
    }
    enum err err = bundle_next(reader, &piece);
    while (err == ERR_OK) {
        require(piece.found != BUNDLE_PART || piece.body.size < BUNDLE_TEXT_BYTES_MAX);
        if (piece.found == BUNDLE_PART) {
            read_text(&piece);
        }
        work += piece.work;
        steps++;
        require(steps <= bytes.size + 1);
        err = bundle_next(reader, &piece);
    }
    require(err == ERR_ABSENT);
    struct bundle_reading reading = bundle_reading(reader);
    require(reading.bytes == bytes.size);
    require(reading.damaged_bytes + reading.locked_bytes <= bytes.size);
    require(reading.damaged_places <= reading.damaged_bytes);
    require(bytes.size == 0 || work > 0);
    bundle_reader_close(&reader);
    return reading.parts;
}

/* The bytes as the text of a part of a volume for us. */
static void
read_as_text(struct span text)
{
    static struct bundle_head head;
    struct key_pair box;
    struct key key;
    struct buf volume = { 0 };

    crypto_box_pair_from_secret(&box, file_key.bytes);
    require(bundle_head_make(&head, &bundle_id, &file_key, (const uint8_t(*)[32])box.public_key, 1,
                             &steady) == ERR_OK);
    bundle_head_write(&volume, &head);
    bundle_volume_key(&key, &file_key, &bundle_id, 1);
    bundle_part_write(&volume, &key, 0, text);
    require(read_volume(buf_span(&volume), 4096, false) == 1);
    buf_free(&volume);
}

static void
read_wishes(struct span bytes)
{
    struct bundle_wishes wishes;
    struct buf again = { 0 };

    if (bundle_wishes_read(bytes, &wishes) != ERR_OK) {
        require(wishes.addresses == NULL && wishes.count == 0);
        return;
    }
    require(wishes.count <= BUNDLE_WISHES_MAX);
    bundle_wishes_write(&again, &wishes);
    require(span_equal(buf_span(&again), bytes));
    buf_free(&again);
    bundle_wishes_free(&wishes);
}

static void
read_known(struct span bytes)
{
    struct bundle_known known;
    struct buf again = { 0 };

    if (bundle_known_read(bytes, &known) != ERR_OK) {
        require(known.tips == NULL && known.count == 0);
        return;
    }
    bundle_known_write(&again, &known);
    require(span_equal(buf_span(&again), bytes));
    buf_free(&again);
    bundle_known_free(&known);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of(data, size);

    require(crypto_start() == ERR_OK);
    require(read_volume(bytes, 4096, false) == read_volume(bytes, 7, false));
    (void)read_volume(bytes, 4096, true);
    if (size > 0 && size <= BUNDLE_TEXT_BYTES_MAX && data[0] != 'V') {
        read_as_text(bytes);
    }
    read_known(bytes);
    read_wishes(bytes);
    return 0;
}
