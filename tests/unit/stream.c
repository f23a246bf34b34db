/* The sealed file of a backup: it opens for its recipients, whole, or not at all. */
#include "store/stream.h"
#include "tests/support/check.h"
#include "tests/support/world.h"

#include <stdlib.h>
#include <string.h>

static struct test_world test;
static struct key file_key;
static struct ident pair_id;
static struct key_pair office;
static const struct vault_work work = { .passes = 1, .memory_bytes = 64 << 20 };

static void
start(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&test, 21);
    world_random(&test.world, file_key.bytes, KEY_BYTES);
    world_random(&test.world, pair_id.bytes, IDENT_BYTES);
    crypto_box_pair(&office, &test.world);
}

/* --- a file in memory --- */

struct source {
    struct span bytes;
    size_t at;
    size_t step; /* at most so many bytes a read; 0: as asked */
    enum err err;
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

    size = source->step > 0 && size > source->step ? source->step : size;
    if (source->err != ERR_OK) {
        return source->err;
    }
    if (size > 0) {
        memcpy(out, source->bytes.data + source->at, size);
    }
    source->at += size;
    *size_out = size;
    return ERR_OK;
}

static void
make_header(struct stream_header *out, enum stream_part part)
{
    struct stream_recipient recipient;

    stream_recipient_of_key(&recipient, office.public_key);
    ck_assert_int_eq(stream_header_make(out, part, &pair_id, &file_key, &recipient, 1, &test.world), ERR_OK);
}

/* A file with a text of `size` bytes that count up, written in pieces. */
static void
make_file(struct buf *file, size_t size, size_t piece)
{
    struct stream_header header;
    struct stream_writer *writer = NULL;
    uint8_t *text = malloc(size + 1);

    make_header(&header, STREAM_MAIN);
    for (size_t n = 0; n < size; n++) {
        text[n] = (uint8_t)(n * 7 + n / 251);
    }
    ck_assert_int_eq(stream_writer_open(&writer, &header, &file_key, (struct stream_output){ file, append }),
                     ERR_OK);
    for (size_t at = 0; at < size; at += piece) {
        size_t part = size - at < piece ? size - at : piece;

        ck_assert_int_eq(stream_write(writer, span_of(text + at, part)), ERR_OK);
    }
    ck_assert_int_eq(stream_writer_end(writer), ERR_OK);
    stream_writer_close(&writer);
    ck_assert(!file->failed);
    free(text);
}

/* Read a file to its end in pieces: ERR_ABSENT, with the size of the text, if it is whole. */
static enum err
read_file(struct span file, size_t piece, size_t step, size_t *size_out)
{
    struct stream_header header;
    struct stream_reader *reader = NULL;
    bool same = true;
    size_t size;
    uint8_t out[997];

    *size_out = 0;
    enum err err = stream_header_read(file, &header, &size);
    if (err != ERR_OK) {
        return err;
    }
    struct source source = { .bytes = file, .at = size, .step = step };
    ck_assert_int_eq(stream_reader_open(&reader, &header, &file_key, (struct stream_input){ &source, take }),
                     ERR_OK);
    while (err == ERR_OK) {
        err = stream_read(reader, out, piece);
        for (size_t n = 0; err == ERR_OK && n < piece; n++, (*size_out)++) {
            same = same && out[n] == (uint8_t)(*size_out * 7 + *size_out / 251);
        }
    }
    ck_assert(same); /* once: Check notes each assertion in a file */
    ck_assert_int_eq(stream_read(reader, out, piece), err);
    stream_reader_close(&reader);
    ck_assert_ptr_null(reader);
    return err;
}

/* --- the text --- */

START_TEST(a_text_of_any_length_comes_back_however_it_is_cut)
{
    static const size_t sizes[] = { 0,
                                    1,
                                    996,
                                    STREAM_BLOCK_BYTES - 1,
                                    STREAM_BLOCK_BYTES,
                                    STREAM_BLOCK_BYTES + 1,
                                    2 * STREAM_BLOCK_BYTES,
                                    3 * STREAM_BLOCK_BYTES + 17 };
    static const size_t pieces[] = { 100, 997, 65536, 1000000 };

    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
            struct buf file = { 0 };
            size_t size;

            make_file(&file, sizes[n], pieces[p]);
            ck_assert_int_eq(read_file(buf_span(&file), 1, p * 1000, &size), ERR_ABSENT);
            ck_assert_uint_eq(size, sizes[n]);
            buf_free(&file);
        }
    }
}
END_TEST

/* True for places near a border of a block, and some in between. */
static bool
is_looked_at(size_t at, size_t header_size, size_t file_size)
{
    enum { SEALED = STREAM_BLOCK_BYTES + PART_SEAL_BYTES };
    size_t within = at < header_size ? 0 : (at - header_size) % SEALED;

    return within < 40 || within > SEALED - 40 || at + 40 > file_size || at % 4099 == 0;
}

START_TEST(a_file_that_was_cut_short_anywhere_is_never_whole)
{
    struct stream_header header;
    struct buf file = { 0 };
    size_t header_size;
    size_t size;

    make_file(&file, 2 * STREAM_BLOCK_BYTES + 500, 1000);
    ck_assert_int_eq(stream_header_read(buf_span(&file), &header, &header_size), ERR_OK);
    for (size_t cut = 0; cut < file.size; cut++) {
        if (cut >= header_size && !is_looked_at(cut, header_size, file.size)) {
            continue;
        }
        enum err err = read_file(span_of(file.data, cut), 500, 0, &size);
        ck_assert_msg(err == ERR_CORRUPT || (cut == 0 && err == ERR_INVALID), "cut at %zu gives %s", cut,
                      err_code(err));
    }
    /* And one byte too many is not it either. */
    buf_put_u8(&file, 0);
    ck_assert_int_eq(read_file(buf_span(&file), 500, 0, &size), ERR_CORRUPT);
    buf_free(&file);
}
END_TEST

START_TEST(a_bit_that_was_turned_anywhere_is_found)
{
    struct stream_header header;
    struct buf file = { 0 };
    size_t header_size;
    size_t size;

    make_file(&file, STREAM_BLOCK_BYTES + 300, 1000);
    ck_assert_int_eq(stream_header_read(buf_span(&file), &header, &header_size), ERR_OK);
    for (size_t bit = 0; bit < 8 * file.size; bit++) {
        if (bit / 8 >= header_size &&
            !(is_looked_at(bit / 8, header_size, file.size) && bit % 8 == bit / 8 % 8)) {
            continue;
        }
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum err err = read_file(buf_span(&file), 300, 0, &size);
        ck_assert_msg(err == ERR_CORRUPT || (bit < 64 && err == ERR_INVALID), "bit %zu gives %s", bit,
                      err_code(err));
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(read_file(buf_span(&file), 1, 0, &size), ERR_ABSENT);
    buf_free(&file);
}
END_TEST

START_TEST(blocks_of_another_file_do_not_fit)
{
    enum { SEALED = STREAM_BLOCK_BYTES + PART_SEAL_BYTES };
    struct stream_header header;
    struct buf file = { 0 };
    struct buf other = { 0 };
    size_t header_size;
    size_t size;

    make_file(&file, 3 * STREAM_BLOCK_BYTES, 1000);
    make_file(&other, 3 * STREAM_BLOCK_BYTES, 1000);
    ck_assert_int_eq(stream_header_read(buf_span(&file), &header, &header_size), ERR_OK);
    /* The same key, the same pair and the same text: still no block of one is one of the other. */
    memcpy(file.data + header_size + SEALED, other.data + header_size + SEALED, SEALED);
    ck_assert_int_eq(read_file(buf_span(&file), 1, 0, &size), ERR_CORRUPT);
    ck_assert_uint_eq(size, STREAM_BLOCK_BYTES);
    buf_free(&file);
    make_file(&file, 3 * STREAM_BLOCK_BYTES, 1000);
    memmove(file.data + header_size, file.data + header_size + SEALED, SEALED);
    ck_assert_int_eq(read_file(buf_span(&file), 1, 0, &size), ERR_CORRUPT);
    ck_assert_uint_eq(size, 0);
    buf_free(&file);
    buf_free(&other);
}
END_TEST

START_TEST(an_input_or_output_that_fails_ends_it_with_its_own_error)
{
    struct stream_header header;
    struct stream_reader *reader = NULL;
    struct buf file = { 0 };
    uint8_t byte;
    size_t size;

    make_file(&file, 10, 10);
    ck_assert_int_eq(stream_header_read(buf_span(&file), &header, &size), ERR_OK);
    struct source source = { .bytes = buf_span(&file), .at = size, .err = ERR_IO };
    ck_assert_int_eq(stream_reader_open(&reader, &header, &file_key, (struct stream_input){ &source, take }),
                     ERR_OK);
    ck_assert_int_eq(stream_read(reader, &byte, 1), ERR_IO);
    source.err = ERR_OK;
    ck_assert_int_eq(stream_read(reader, &byte, 1), ERR_IO);
    stream_reader_close(&reader);
    buf_free(&file);
}
END_TEST

/* --- who may open it --- */

START_TEST(a_file_opens_for_each_of_its_recipients_and_for_nobody_else)
{
    struct stream_recipient recipients[3];
    struct stream_header header;
    struct stream_header read;
    struct key_pair second;
    struct key_pair stranger;
    struct key opened;
    struct buf bytes = { 0 };
    size_t size;

    crypto_box_pair(&second, &test.world);
    crypto_box_pair(&stranger, &test.world);
    ck_assert_int_eq(
        stream_recipient_of_passphrase(&recipients[0], span_text("eight words"), &work, &test.world), ERR_OK);
    stream_recipient_of_key(&recipients[1], office.public_key);
    stream_recipient_of_key(&recipients[2], second.public_key);
    ck_assert_int_eq(
        stream_header_make(&header, STREAM_KEYS, &pair_id, &file_key, recipients, 3, &test.world), ERR_OK);
    stream_header_write(&bytes, &header);
    ck_assert_int_eq(stream_header_read(buf_span(&bytes), &read, &size), ERR_OK);
    ck_assert_uint_eq(size, bytes.size);
    ck_assert_uint_eq(read.part, STREAM_KEYS);
    ck_assert(ident_equal(&read.pair_id, &pair_id));
    ck_assert_uint_eq(read.recipient_count, 3);

    ck_assert_int_eq(stream_open_passphrase(&read, span_text("eight words"), &opened), ERR_OK);
    ck_assert_mem_eq(opened.bytes, file_key.bytes, KEY_BYTES);
    ck_assert_int_eq(stream_open_passphrase(&read, span_text("eight word"), &opened), ERR_PASSPHRASE);
    ck_assert(!stream_key_fits(&read, &opened));
    ck_assert_int_eq(stream_open_box(&read, &office, &opened), ERR_OK);
    ck_assert(stream_key_fits(&read, &opened));
    ck_assert_int_eq(stream_open_box(&read, &second, &opened), ERR_OK);
    ck_assert_mem_eq(opened.bytes, file_key.bytes, KEY_BYTES);
    ck_assert_int_eq(stream_open_box(&read, &stranger, &opened), ERR_LOCKED);
    for (size_t n = 0; n < KEY_BYTES; n++) {
        ck_assert_uint_eq(opened.bytes[n], 0);
    }
    /* One that is sealed to keys alone has no passphrase. */
    make_header(&header, STREAM_MAIN);
    ck_assert_int_eq(stream_open_passphrase(&header, span_text("eight words"), &opened), ERR_LOCKED);
    buf_free(&bytes);
}
END_TEST

START_TEST(a_passphrase_that_costs_nothing_is_refused)
{
    struct stream_recipient recipient;
    struct vault_work light = work;

    ck_assert_int_eq(stream_recipient_of_passphrase(&recipient, span_text(""), &work, &test.world),
                     ERR_INVALID);
    light.memory_bytes = (64 << 20) - 1;
    ck_assert_int_eq(stream_recipient_of_passphrase(&recipient, span_text("words"), &light, &test.world),
                     ERR_INVALID);
    light = work;
    light.passes = 0;
    ck_assert_int_eq(stream_recipient_of_passphrase(&recipient, span_text("words"), &light, &test.world),
                     ERR_INVALID);
}
END_TEST

START_TEST(a_recipient_of_no_good_key_is_refused)
{
    static const uint8_t nothing[32];
    struct stream_recipient recipient;
    struct stream_header header;

    stream_recipient_of_key(&recipient, nothing);
    ck_assert_int_eq(
        stream_header_make(&header, STREAM_MAIN, &pair_id, &file_key, &recipient, 1, &test.world),
        ERR_INVALID);
}
END_TEST

/* Give changed bytes of a header the hash that fits. */
static void
sum_anew(struct buf *bytes)
{
    struct hash sum;

    CRYPTO_HASH(&sum, "vigil.bak.sum.v1", span_of(bytes->data, bytes->size - HASH_BYTES));
    memcpy(bytes->data + bytes->size - HASH_BYTES, sum.bytes, HASH_BYTES);
}

START_TEST(newer_files_and_newer_recipients_are_told_apart_from_damage)
{
    struct stream_header header;
    struct buf bytes = { 0 };
    struct key opened;
    size_t size;

    make_header(&header, STREAM_MAIN);
    header.recipients[1] = header.recipients[0];
    header.recipients[1].type = 77;
    header.recipient_count = 2;
    stream_header_write(&bytes, &header);
    ck_assert_int_eq(stream_header_read(buf_span(&bytes), &header, &size), ERR_OK);
    ck_assert_uint_eq(header.recipient_count, 1);
    ck_assert_int_eq(stream_open_box(&header, &office, &opened), ERR_OK);
    bytes.data[8] = 2;
    ck_assert_int_eq(stream_header_read(buf_span(&bytes), &header, &size), ERR_CORRUPT);
    sum_anew(&bytes);
    ck_assert_int_eq(stream_header_read(buf_span(&bytes), &header, &size), ERR_NEWER);
    bytes.data[8] = 1;
    bytes.data[11] = 3; /* neither main nor keys */
    sum_anew(&bytes);
    ck_assert_int_eq(stream_header_read(buf_span(&bytes), &header, &size), ERR_CORRUPT);
    ck_assert_int_eq(stream_header_read(span_text("SQLite format 3, and more of it"), &header, &size),
                     ERR_INVALID);
    buf_free(&bytes);
}
END_TEST

SUITE_MAIN_WITH("stream", start, NULL, a_text_of_any_length_comes_back_however_it_is_cut,
                a_file_that_was_cut_short_anywhere_is_never_whole, a_bit_that_was_turned_anywhere_is_found,
                blocks_of_another_file_do_not_fit, an_input_or_output_that_fails_ends_it_with_its_own_error,
                a_file_opens_for_each_of_its_recipients_and_for_nobody_else,
                a_passphrase_that_costs_nothing_is_refused, a_recipient_of_no_good_key_is_refused,
                newer_files_and_newer_recipients_are_told_apart_from_damage)
