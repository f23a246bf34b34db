#include "store/stream.h"

#include "store/base/world.h"

#include <assert.h>
#include <string.h>

enum {
    MAGIC_BYTES = 8,
    VERSION = 1,
    HEAD_BYTES = MAGIC_BYTES + 1 + 2,
    PASSES_MAX = 1 << 16,
    SEALED_BLOCK_BYTES = STREAM_BLOCK_BYTES + PART_SEAL_BYTES,
};

static const char magic[] = "VIGILBAK";
static const uint64_t memory_bytes_min = UINT64_C(64) << 20;
static const uint64_t memory_bytes_max = UINT64_C(4) << 30;

/* --- recipients --- */

bool
stream_work_valid(const struct vault_work *work)
{
    return work->passes >= 1 && work->passes <= PASSES_MAX && work->memory_bytes >= memory_bytes_min &&
           work->memory_bytes <= memory_bytes_max;
}

/* The pair of a passphrase. */
static enum err
stretch(struct key_pair *out, const struct stream_recipient *recipient, struct span passphrase)
{
    struct key key;
    struct key secret;

    enum err err = crypto_passphrase_key(&key, passphrase, recipient->salt, recipient->work.passes,
                                         recipient->work.memory_bytes);
    if (err == ERR_OK) {
        const struct span from = span_of(key.bytes, KEY_BYTES);

        crypto_derive(&secret, "vigil.bak.pas.v1", &from, 1);
        crypto_box_pair_from_secret(out, secret.bytes);
        crypto_wipe(&secret, sizeof secret);
    }
    crypto_wipe(&key, sizeof key);
    return err;
}

enum err
stream_recipient_of_passphrase(struct stream_recipient *out, struct span passphrase,
                               const struct vault_work *work, const struct world *world)
{
    struct key_pair pair;

    memset(out, 0, sizeof *out);
    if (passphrase.size == 0 || !stream_work_valid(work)) {
        return ERR_INVALID;
    }
    out->type = RECIPIENT_PASSPHRASE;
    out->work = *work;
    world_random(world, out->salt, sizeof out->salt);
    enum err err = stretch(&pair, out, passphrase);
    if (err == ERR_OK) {
        memcpy(out->public_key, pair.public_key, sizeof out->public_key);
    }
    crypto_wipe(&pair, sizeof pair);
    return err;
}

void
stream_recipient_of_key(struct stream_recipient *out, const uint8_t box_pk[32])
{
    memset(out, 0, sizeof *out);
    out->type = RECIPIENT_BOX;
    memcpy(out->public_key, box_pk, sizeof out->public_key);
}

/* --- headers --- */

static void
commit_to(struct hash *out, const struct key *file_key)
{
    CRYPTO_HASH(out, "vigil.bak.com.v1", span_of(file_key->bytes, KEY_BYTES));
}

bool
stream_key_fits(const struct stream_header *header, const struct key *file_key)
{
    struct hash commitment;

    commit_to(&commitment, file_key);
    return crypto_equal(commitment.bytes, header->commitment.bytes, HASH_BYTES);
}

enum err
stream_header_make(struct stream_header *out, enum stream_part part, const struct ident *pair_id,
                   const struct key *file_key, const struct stream_recipient *recipients,
                   size_t recipient_count, const struct world *world)
{
    assert(recipient_count >= 1 && recipient_count <= STREAM_RECIPIENTS_MAX);

    memset(out, 0, sizeof *out);
    out->part = (uint8_t)part;
    out->pair_id = *pair_id;
    out->recipient_count = recipient_count;
    commit_to(&out->commitment, file_key);
    world_random(world, out->start, sizeof out->start);
    for (size_t n = 0; n < recipient_count; n++) {
        out->recipients[n] = recipients[n];
        if (!crypto_box_seal_to(out->recipients[n].sealed, recipients[n].public_key,
                                span_of(file_key->bytes, KEY_BYTES), world)) {
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

static void
put_recipient(struct buf *out, const struct stream_recipient *recipient)
{
    bool passphrase = recipient->type == RECIPIENT_PASSPHRASE;

    buf_put_u8(out, recipient->type);
    buf_put_u16(out, (uint16_t)(STREAM_SEALED_BYTES + (passphrase ? 16 + 4 + 8 + 32 : 0)));
    if (passphrase) {
        buf_put(out, recipient->salt, sizeof recipient->salt);
        buf_put_u32(out, recipient->work.passes);
        buf_put_u64(out, recipient->work.memory_bytes);
        buf_put(out, recipient->public_key, sizeof recipient->public_key);
    }
    buf_put(out, recipient->sealed, sizeof recipient->sealed);
}

void
stream_header_write(struct buf *out, const struct stream_header *header)
{
    struct buf bytes = { 0 };
    struct hash sum;

    buf_put(&bytes, magic, MAGIC_BYTES);
    buf_put_u8(&bytes, VERSION);
    buf_put_u16(&bytes, 0); /* the size, once it is known */
    buf_put_u8(&bytes, header->part);
    buf_put_span(&bytes, ident_span(&header->pair_id));
    buf_put_span(&bytes, hash_span(&header->commitment));
    buf_put(&bytes, header->start, sizeof header->start);
    buf_put_u8(&bytes, (uint8_t)header->recipient_count);
    for (size_t n = 0; n < header->recipient_count; n++) {
        put_recipient(&bytes, &header->recipients[n]);
    }
    if (!bytes.failed) {
        assert(bytes.size + HASH_BYTES <= STREAM_HEADER_BYTES_MAX);
        bytes_write_u16(bytes.data + MAGIC_BYTES + 1, (uint16_t)(bytes.size + HASH_BYTES));
        CRYPTO_HASH(&sum, "vigil.bak.sum.v1", buf_span(&bytes));
        buf_put_span(&bytes, hash_span(&sum));
    }
    buf_put_span(out, buf_span(&bytes));
    out->failed |= bytes.failed;
    buf_free(&bytes);
}

/* False: a recipient of a known type that is not one. */
static bool
read_recipient(struct stream_recipient *out, uint8_t type, struct span body)
{
    struct reader reader = reader_of(body);

    memset(out, 0, sizeof *out);
    out->type = type;
    if (type == RECIPIENT_PASSPHRASE) {
        reader_copy(&reader, out->salt, sizeof out->salt);
        out->work.passes = reader_u32(&reader);
        out->work.memory_bytes = reader_u64(&reader);
        reader_copy(&reader, out->public_key, sizeof out->public_key);
    }
    reader_copy(&reader, out->sealed, sizeof out->sealed);
    return reader_done(&reader) && (type != RECIPIENT_PASSPHRASE || stream_work_valid(&out->work));
}

static bool
read_recipients(struct reader *reader, struct stream_header *header)
{
    uint8_t count = reader_u8(reader);

    if (count == 0 || count > STREAM_RECIPIENTS_MAX) {
        return false;
    }
    for (uint8_t n = 0; n < count; n++) {
        uint8_t type = reader_u8(reader);
        struct span body = reader_span(reader, reader_u16(reader));

        if (reader->failed) {
            return false;
        }
        if (type != RECIPIENT_PASSPHRASE && type != RECIPIENT_BOX) {
            continue; /* somebody whom only a newer program knows */
        }
        if (!read_recipient(&header->recipients[header->recipient_count], type, body)) {
            return false;
        }
        header->recipient_count++;
    }
    return true;
}

enum err
stream_header_read(struct span bytes, struct stream_header *header_out, size_t *size_out)
{
    struct reader reader = reader_of(bytes);
    struct hash sum;

    memset(header_out, 0, sizeof *header_out);
    *size_out = 0;
    size_t begun = bytes.size < MAGIC_BYTES ? bytes.size : MAGIC_BYTES;
    if (begun == 0 || memcmp(bytes.data, magic, begun) != 0) {
        return ERR_INVALID;
    }
    (void)reader_span(&reader, MAGIC_BYTES);
    uint8_t version = reader_u8(&reader);
    size_t size = reader_u16(&reader);
    if (reader.failed || size < HEAD_BYTES + HASH_BYTES || size > STREAM_HEADER_BYTES_MAX ||
        size > bytes.size) {
        return ERR_CORRUPT;
    }
    struct span body = span_of(bytes.data, size - HASH_BYTES);
    CRYPTO_HASH(&sum, "vigil.bak.sum.v1", body);
    if (!span_equal(hash_span(&sum), span_of(bytes.data + body.size, HASH_BYTES))) {
        return ERR_CORRUPT;
    }
    if (version != VERSION) {
        return version > VERSION ? ERR_NEWER : ERR_CORRUPT;
    }
    reader = reader_of(span_of(bytes.data + HEAD_BYTES, body.size - HEAD_BYTES));
    header_out->part = reader_u8(&reader);
    reader_copy(&reader, header_out->pair_id.bytes, IDENT_BYTES);
    reader_copy(&reader, header_out->commitment.bytes, HASH_BYTES);
    reader_copy(&reader, header_out->start, sizeof header_out->start);
    if (!read_recipients(&reader, header_out) || !reader_done(&reader) ||
        (header_out->part != STREAM_MAIN && header_out->part != STREAM_KEYS)) {
        return ERR_CORRUPT;
    }
    *size_out = size;
    return ERR_OK;
}

/* Open what is sealed to this pair. ERR_LOCKED: it does not open; ERR_CORRUPT: it is not the file key. */
static enum err
unseal(const struct stream_header *header, const struct stream_recipient *recipient,
       const struct key_pair *pair, struct key *file_key_out)
{
    struct key key;
    enum err err = ERR_LOCKED;

    if (crypto_box_open_own(key.bytes, pair, span_of(recipient->sealed, sizeof recipient->sealed))) {
        err = stream_key_fits(header, &key) ? ERR_OK : ERR_CORRUPT;
    }
    if (err == ERR_OK) {
        *file_key_out = key;
    }
    crypto_wipe(&key, sizeof key);
    return err;
}

enum err
stream_open_passphrase(const struct stream_header *header, struct span passphrase, struct key *file_key_out)
{
    enum err result = ERR_LOCKED;

    crypto_wipe(file_key_out, sizeof *file_key_out);
    /* Every passphrase is tried to its end, whichever opens. */
    for (size_t n = 0; n < header->recipient_count; n++) {
        const struct stream_recipient *recipient = &header->recipients[n];
        struct key_pair pair;

        if (recipient->type != RECIPIENT_PASSPHRASE) {
            continue;
        }
        enum err err = stretch(&pair, recipient, passphrase);
        if (err != ERR_OK) {
            return err;
        }
        if (!crypto_equal(pair.public_key, recipient->public_key, sizeof recipient->public_key)) {
            err = ERR_PASSPHRASE;
        } else {
            err = unseal(header, recipient, &pair, file_key_out);
            err = err == ERR_LOCKED ? ERR_CORRUPT : err;
        }
        crypto_wipe(&pair, sizeof pair);
        if (result != ERR_OK) {
            result = err;
        }
    }
    return result;
}

enum err
stream_open_box(const struct stream_header *header, const struct key_pair *box_pair, struct key *file_key_out)
{
    enum err err = ERR_LOCKED;

    crypto_wipe(file_key_out, sizeof *file_key_out);
    for (size_t n = 0; n < header->recipient_count && err == ERR_LOCKED; n++) {
        if (header->recipients[n].type == RECIPIENT_BOX) {
            err = unseal(header, &header->recipients[n], box_pair, file_key_out);
        }
    }
    return err;
}

/* --- blocks --- */

static void
begin_parts(struct crypto_parts *parts, const struct stream_header *header, const struct key *file_key)
{
    const uint8_t bound[2] = { VERSION, header->part };
    const struct span from[] = { span_of(file_key->bytes, KEY_BYTES), span_of(bound, sizeof bound),
                                 ident_span(&header->pair_id) };
    struct key key;

    crypto_derive(&key, "vigil.bak.key.v1", from, 3);
    crypto_parts_begin(parts, &key, header->start);
    crypto_wipe(&key, sizeof key);
}

struct stream_writer {
    struct stream_output output;
    struct crypto_parts parts;
    enum err err; /* the first */
    bool ended;
    size_t size; /* of the text in `block` */
    uint8_t block[STREAM_BLOCK_BYTES];
    uint8_t sealed[SEALED_BLOCK_BYTES];
};

enum err
stream_writer_open(struct stream_writer **writer_out, const struct stream_header *header,
                   const struct key *file_key, struct stream_output output)
{
    struct stream_writer *writer = crypto_secret_new(sizeof *writer);
    struct buf bytes = { 0 };

    if (writer == NULL) {
        return ERR_MEMORY;
    }
    writer->output = output;
    begin_parts(&writer->parts, header, file_key);
    stream_header_write(&bytes, header);
    enum err err = bytes.failed ? ERR_MEMORY : output.write(output.self, buf_span(&bytes));
    buf_free(&bytes);
    if (err != ERR_OK) {
        stream_writer_close(&writer);
        return err;
    }
    *writer_out = writer;
    return ERR_OK;
}

static void
write_block(struct stream_writer *writer, bool last)
{
    size_t size = writer->size + PART_SEAL_BYTES;

    crypto_parts_seal(&writer->parts, writer->sealed, span_of(writer->block, writer->size), last);
    writer->size = 0;
    writer->err = writer->output.write(writer->output.self, span_of(writer->sealed, size));
}

enum err
stream_write(struct stream_writer *writer, struct span text)
{
    assert(!writer->ended);

    while (text.size > 0 && writer->err == ERR_OK) {
        /* A full block waits until there is more: the last one must say that it is. */
        if (writer->size == STREAM_BLOCK_BYTES) {
            write_block(writer, false);
            continue;
        }
        size_t room = STREAM_BLOCK_BYTES - writer->size;
        size_t size = text.size < room ? text.size : room;

        memcpy(writer->block + writer->size, text.data, size);
        writer->size += size;
        text.data += size;
        text.size -= size;
    }
    return writer->err;
}

enum err
stream_writer_end(struct stream_writer *writer)
{
    assert(!writer->ended);

    if (writer->err == ERR_OK) {
        write_block(writer, true);
    }
    writer->ended = true;
    return writer->err;
}

void
stream_writer_close(struct stream_writer **writer)
{
    if (*writer != NULL) {
        crypto_secret_free(*writer); /* wipes it */
        *writer = NULL;
    }
}

struct stream_reader {
    struct stream_input input;
    struct crypto_parts parts;
    enum err err; /* the first */
    bool last;    /* the present block ends the text */
    size_t at;    /* of the text in `block`, how much was given */
    size_t size;  /* how much there is */
    uint8_t block[STREAM_BLOCK_BYTES];
    uint8_t sealed[SEALED_BLOCK_BYTES];
};

enum err
stream_reader_open(struct stream_reader **reader_out, const struct stream_header *header,
                   const struct key *file_key, struct stream_input input)
{
    struct stream_reader *reader = crypto_secret_new(sizeof *reader);

    assert(stream_key_fits(header, file_key));

    if (reader == NULL) {
        return ERR_MEMORY;
    }
    reader->input = input;
    begin_parts(&reader->parts, header, file_key);
    *reader_out = reader;
    return ERR_OK;
}

/* As many bytes as there are, up to `room`. */
static enum err
fill(struct stream_reader *reader, uint8_t *out, size_t room, size_t *size_out)
{
    size_t part = 1;

    for (*size_out = 0; *size_out < room && part > 0; *size_out += part) {
        enum err err = reader->input.read(reader->input.self, out + *size_out, room - *size_out, &part);

        if (err != ERR_OK) {
            return err;
        }
        assert(part <= room - *size_out);
    }
    return ERR_OK;
}

static void
read_block(struct stream_reader *reader)
{
    size_t size;
    uint8_t more;

    reader->at = 0;
    reader->size = 0;
    reader->err = fill(reader, reader->sealed, SEALED_BLOCK_BYTES, &size);
    if (reader->err != ERR_OK) {
        return;
    }
    if (!crypto_parts_open(&reader->parts, reader->block, span_of(reader->sealed, size), &reader->last) ||
        (!reader->last && size < SEALED_BLOCK_BYTES)) {
        reader->err = ERR_CORRUPT;
        return;
    }
    reader->size = size - PART_SEAL_BYTES;
    if (reader->last) {
        reader->err = fill(reader, &more, 1, &size);
        if (reader->err == ERR_OK && size > 0) {
            reader->err = ERR_CORRUPT;
        }
    }
}

enum err
stream_read(struct stream_reader *reader, void *out, size_t size)
{
    uint8_t *at = out;
    size_t left = size;

    while (left > 0 && reader->err == ERR_OK) {
        if (reader->at == reader->size) {
            if (reader->last) {
                reader->err = left == size ? ERR_ABSENT : ERR_CORRUPT;
            } else {
                read_block(reader);
            }
            continue;
        }
        size_t there = reader->size - reader->at;
        size_t part = left < there ? left : there;

        memcpy(at, reader->block + reader->at, part);
        reader->at += part;
        at += part;
        left -= part;
    }
    return reader->err;
}

void
stream_reader_close(struct stream_reader **reader)
{
    if (*reader != NULL) {
        crypto_secret_free(*reader); /* wipes it */
        *reader = NULL;
    }
}
