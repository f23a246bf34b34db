#include "tests/support/pictures.h"

#include "store/base/cbor.h"
#include "store/shelf.h"
#include "sync/replica_state.h"
#include "tests/support/saves.h"

#include <check.h>

uint8_t
pictures_byte(unsigned kind, size_t n)
{
    return (uint8_t)(n * 13 + n / 8192 + kind * 101);
}

void
pictures_attach(struct test_node *at, const struct ident *compartment, const struct ident *record,
                unsigned kind, size_t bytes, struct blob_made *made_out)
{
    static const uint32_t fields[] = { FIELD_ATTACHMENT_FILE, FIELD_ATTACHMENT_SIZE, FIELD_ATTACHMENT_KEY };
    struct blob_writer *writer;
    struct buf values[3] = { { 0 } };
    struct save_op ops[3];
    uint8_t block[BLOB_CHUNK_BYTES];
    uint8_t key[BLOB_KEY_BYTES];
    struct saved saved;
    size_t op;

    ck_assert_int_eq(blob_writer_open(&writer, replica_blobs(at->replica), bytes), ERR_OK);
    for (size_t n = 0; n < bytes;) {
        size_t count = 0;

        for (; count < sizeof block && n < bytes; count++, n++) {
            block[count] = pictures_byte(kind, n);
        }
        ck_assert_int_eq(blob_write(writer, span_of(block, count)), ERR_OK);
    }
    ck_assert_int_eq(blob_writer_end(writer, made_out), ERR_OK);
    blob_key_write(key, &made_out->key);
    cbor_put_bytes(&values[0], hash_span(&made_out->address));
    cbor_put_uint(&values[1], bytes);
    cbor_put_bytes(&values[2], span_of(key, sizeof key));
    for (size_t n = 0; n < 3; n++) {
        ops[n] = (struct save_op){ .code = OP_SET,
                                   .target = { .collection = COLLECTION_ATTACHMENT,
                                               .element = { (uint8_t)kind },
                                               .field = fields[n] },
                                   .value = buf_span(&values[n]) };
    }
    const struct save save = {
        .compartment = *compartment, .record_id = *record, .actor = 1, .ops = ops, .op_count = 3
    };
    saves_begin(at);
    ck_assert_int_eq(replica_save(at->replica, &save, &saved, &op), ERR_OK);
    shelf_put_whole(at->replica->main_txn, &made_out->address, made_out->chunk_count);
    ck_assert_int_eq(blob_writer_keep(writer), ERR_OK);
    saves_commit(at);
    blob_writer_close(&writer);
    for (size_t n = 0; n < 3; n++) {
        buf_free(&values[n]);
    }
}

struct ident
pictures_add(struct test_node *at, const struct ident *compartment, unsigned kind, size_t bytes,
             struct blob_made *made_out)
{
    struct ident person = saves_person(at, compartment, "Wanjiru");

    pictures_attach(at, compartment, &person, kind, bytes, made_out);
    return person;
}

void
pictures_expect(struct test_node *at, const struct blob_made *made, unsigned kind)
{
    uint8_t out[BLOB_CHUNK_BYTES];
    struct blob_reader reader;
    struct blob_file *file;
    size_t came = 0;
    size_t part = 1;

    ck_assert_int_eq(blob_open(&file, replica_blobs(at->replica), &made->address), ERR_OK);
    ck_assert(blob_is_whole(file));
    ck_assert_int_eq(blob_reader_init(&reader, file, &made->key, made->size), ERR_OK);
    while (part > 0) {
        ck_assert_int_eq(blob_reader_next(&reader, out, &part), ERR_OK);
        for (size_t n = 0; n < part; n++) {
            ck_assert_uint_eq(out[n], pictures_byte(kind, came + n));
        }
        came += part;
    }
    ck_assert_uint_eq(came, made->size);
    blob_reader_wipe(&reader);
    blob_close(&file);
}

static bool
look(struct test_node *at, const struct hash *address, struct shelf_blob *blob_out)
{
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(at->replica, &txn), ERR_OK);
    bool named = shelf_get(txn, address, blob_out) == ERR_OK;
    replica_end_read(at->replica, &txn);
    return named;
}

uint32_t
pictures_held(struct test_node *at, const struct hash *address)
{
    struct shelf_blob blob;

    return look(at, address, &blob) ? blob.held : 0;
}

bool
pictures_is_whole(struct test_node *at, const struct hash *address)
{
    struct shelf_blob blob;

    return look(at, address, &blob) && shelf_is_whole(&blob);
}

void
pictures_wish(struct test_node *at, const struct hash *address, int wish)
{
    saves_begin(at);
    ck_assert_int_eq(shelf_wish(at->replica->main_txn, address, (enum shelf_wish)wish), ERR_OK);
    saves_commit(at);
    /* What was put away is removed in the turn after it. */
    saves_begin(at);
    saves_commit(at);
}
