/* backup: any bytes as a header, as it is and with the hash that must end it; as the texts of both files, sealed; as a key file. */
#include "store/base/world.h"
#include "sync/restore.h"
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
static const struct ident pair_id = { { 2 } };

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* --- the header --- */

static void
read_header(struct span bytes)
{
    struct stream_header header;
    struct buf again = { 0 };
    size_t size;

    enum err err = stream_header_read(bytes, &header, &size);
    if (err != ERR_OK) {
        require(err == ERR_INVALID || err == ERR_CORRUPT || err == ERR_NEWER);
        return;
    }
    require(size <= bytes.size && header.recipient_count <= STREAM_RECIPIENTS_MAX);
    /* Recipients that only a newer program knows are not written again. */
    stream_header_write(&again, &header);
    require(again.size <= size);
    require(again.size < size || memcmp(again.data, bytes.data, size) == 0);
    buf_free(&again);
}

static void
read_header_summed(struct span bytes)
{
    struct buf whole = { 0 };
    struct hash sum;

    if (bytes.size < HASH_BYTES) {
        return;
    }
    buf_put(&whole, bytes.data, bytes.size - HASH_BYTES);
    CRYPTO_HASH(&sum, "vigil.bak.sum.v1", buf_span(&whole));
    buf_put_span(&whole, hash_span(&sum));
    read_header(buf_span(&whole));
    buf_free(&whole);
}

/* --- the texts --- */

struct source {
    struct span bytes;
    size_t at;
};

static enum err
append(void *self, struct span bytes)
{
    buf_put_span(self, bytes);
    return ERR_OK;
}

static enum err
take(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct source *source = self;
    size_t left = source->bytes.size - source->at;
    size_t size = left < room ? left : room;

    if (size > 0) {
        memcpy(out, source->bytes.data + source->at, size);
    }
    source->at += size;
    *size_out = size;
    return ERR_OK;
}

static void
seal(struct buf *out, struct stream_header *header, enum stream_part part, struct span text)
{
    struct stream_writer *writer = NULL;
    struct stream_recipient recipient;
    struct key_pair pair;

    crypto_box_pair_from_secret(&pair, file_key.bytes);
    stream_recipient_of_key(&recipient, pair.public_key);
    require(stream_header_make(header, part, &pair_id, &file_key, &recipient, 1, &steady) == ERR_OK);
    require(stream_writer_open(&writer, header, &file_key, (struct stream_output){ out, append }) == ERR_OK);
    require(stream_write(writer, text) == ERR_OK);
    require(stream_writer_end(writer) == ERR_OK);
    stream_writer_close(&writer);
}

/* Read a backup of these texts to its end, or to what is wrong with it: true if it is whole. */
static bool
read_texts(struct span main_text, struct span keys_text, bool verify)
{
    struct stream_header headers[2];
    struct buf files[2] = { { 0 } };
    struct source sources[2];
    struct restore *restore = NULL;
    restore_fault fault = { NULL, NULL, NULL };
    struct restore_item item;
    uint64_t entries = 0;

    seal(&files[0], &headers[0], STREAM_MAIN, main_text);
    seal(&files[1], &headers[1], STREAM_KEYS, keys_text);
    for (int n = 0; n < 2; n++) {
        size_t size;

        require(stream_header_read(buf_span(&files[n]), &headers[n], &size) == ERR_OK);
        sources[n] = (struct source){ buf_span(&files[n]), size };
    }
    enum err err = restore_open(&restore,
                                &(struct restore_files){ .headers = headers,
                                                         .file_key = &file_key,
                                                         .main = { &sources[0], take },
                                                         .keys = { &sources[1], take } },
                                verify, &fault);
    while (err == ERR_OK) {
        err = restore_next(restore, &item, &fault);
        if (err == ERR_OK && item.kind == RESTORE_CHUNK) {
            static struct chunk chunk;

            require(chunk_read(item.bytes, item.descriptor.lane, &chunk) == CHUNK_OK);
            require(chunk.entry_count == item.entry_count);
            entries += item.entry_count;
        }
    }
    require(err == ERR_ABSENT || err == ERR_CORRUPT || err == ERR_NEWER);
    require(err == ERR_ABSENT || (fault.what != NULL && fault.why != NULL && fault.todo != NULL));
    require((restore == NULL) <= (entries == 0));
    restore_close(&restore);
    buf_free(&files[0]);
    buf_free(&files[1]);
    return err == ERR_ABSENT;
}

/* --- the key file --- */

static void
read_key(struct span bytes)
{
    struct stream_header header = { .pair_id = pair_id };
    struct joining_fault fault = { NULL, NULL, NULL };
    struct key_pair pair;
    struct key opened;

    crypto_box_pair_from_secret(&pair, file_key.bytes);
    if (backup_key_read(bytes, &header, &pair, &opened, &fault) != ERR_OK) {
        require(fault.what != NULL && fault.why != NULL && fault.todo != NULL);
        require(crypto_equal(opened.bytes, (uint8_t[KEY_BYTES]){ 0 }, KEY_BYTES));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf armoured = { 0 };

    require(crypto_start() == ERR_OK);
    read_header(span_of(data, size));
    read_header_summed(span_of(data, size));
    /* Sealing costs more than all else: a header, or a key file, is not taken for texts as well. */
    if (size >= 2 && data[0] != 'V') {
        size_t main_size = (size_t)data[0] << 8 | data[1];

        main_size = main_size > size - 2 ? size - 2 : main_size;
        struct span main_text = span_of(data + 2, main_size);
        struct span keys_text = span_of(data + 2 + main_size, size - 2 - main_size);
        if (read_texts(main_text, keys_text, false)) {
            (void)read_texts(main_text, keys_text, true);
        }
    }
    read_key(span_of(data, size));
    armour_write(&armoured, "VIGIL BACKUP KEY 1", span_of(data, size));
    read_key(buf_span(&armoured));
    buf_free(&armoured);
    return 0;
}
