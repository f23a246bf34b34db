#include "sync/joining.h"
#include "store/base/cbor.h"
#include "store/base/world.h"

#include <assert.h>
#include <string.h>

enum { LINE_CHARS = 76 };

#define REQUEST_TITLE "VIGIL REQUEST 1"
#define WELCOME_TITLE "VIGIL WELCOME 1"
#define STATEMENTS_TITLE "VIGIL STATEMENTS 1"
#define STATEMENTS_CONTEXT "vigil.wel.v1"
#define REQUEST_CONTEXT "VIGIL1REQUEST"

/* --- armour --- */

void
armour_write(struct buf *out, const char *title, struct span bytes)
{
    struct buf text = { 0 };

    crypto_base64(&text, bytes);
    buf_put_text(out, title);
    buf_put_u8(out, '\n');
    for (size_t at = 0; at < text.size; at += LINE_CHARS) {
        size_t part = text.size - at < LINE_CHARS ? text.size - at : LINE_CHARS;
        buf_put(out, text.data + at, part);
        buf_put_u8(out, '\n');
    }
    out->failed |= text.failed;
    buf_free(&text);
}

/* The next line without its end, which mail and other systems may have turned into CR LF. */
static struct span
next_line(struct span *rest)
{
    size_t size = 0;

    while (size < rest->size && rest->data[size] != '\n') {
        size++;
    }
    size_t step = size < rest->size ? size + 1 : size;
    struct span line = span_of(rest->data, size);
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    rest->data += step;
    rest->size -= step;
    return line;
}

bool
armour_read(struct span file, const char *title, struct buf *bytes_out)
{
    struct buf text = { 0 };
    struct span rest = file;

    if (file.size > JOINING_FILE_BYTES_MAX || !span_equal(next_line(&rest), span_text(title))) {
        return false;
    }
    while (rest.size > 0) {
        struct span line = next_line(&rest);
        if (line.size > LINE_CHARS) {
            buf_free(&text);
            return false;
        }
        buf_put_span(&text, line);
    }
    bool good = !text.failed && text.size > 0 && crypto_base64_read(bytes_out, buf_span(&text));
    bytes_out->failed |= text.failed;
    buf_free(&text);
    return good;
}

/* --- faults --- */

static enum err
fault(struct joining_fault *out, enum err err, const char *what, const char *why, const char *todo)
{
    if (out != NULL) {
        *out = (struct joining_fault){ what, why, todo };
    }
    return err;
}

enum err
armour_open(struct span file, const char *title, struct buf *bytes_out, struct joining_fault *fault_out)
{
    size_t word_bytes = strlen(title) - 1; /* up to the version */

    if (armour_read(file, title, bytes_out)) {
        return ERR_OK;
    }
    if (bytes_out->failed) {
        return fault(fault_out, ERR_MEMORY, "the file cannot be read", "the machine has no memory left",
                     "close other programs and try again");
    }
    if (file.size > JOINING_FILE_BYTES_MAX) {
        return fault(fault_out, ERR_INVALID, "the file cannot be read", "it is larger than any such file",
                     "check that it is the right file");
    }
    if (file.size < word_bytes || memcmp(file.data, title, word_bytes) != 0) {
        return fault(fault_out, ERR_INVALID, "this is another kind of file",
                     "its first line does not say what it should", "check that it is the right file");
    }
    if (file.size > word_bytes + 1 && (file.data[word_bytes] != '1' || file.data[word_bytes + 1] >= '0')) {
        return fault(fault_out, ERR_NEWER, "the file cannot be read", "it was written by a newer program",
                     "upgrade this program");
    }
    return fault(fault_out, ERR_INVALID, "the file is damaged", "a line was changed or is missing",
                 "copy or type it once more");
}

enum err
joining_damaged(struct joining_fault *out)
{
    return fault(out, ERR_INVALID, "the file is damaged", "its content does not follow the format",
                 "ask for it to be written again");
}

static enum err
no_memory(struct joining_fault *out)
{
    return fault(out, ERR_MEMORY, "the file cannot be read", "the machine has no memory left",
                 "close other programs and try again");
}

/* --- the request --- */

static void
request_id(struct hash *out, struct span item)
{
    CRYPTO_HASH(out, "vigil.req.v1", item);
}

static void
put_exact(struct buf *buf, uint64_t key, const void *data, size_t size)
{
    cbor_put_uint(buf, key);
    cbor_put_bytes(buf, span_of(data, size));
}

void
request_write(struct buf *file_out, struct request *request, const struct key_pair *sign_pair)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct buf item = { 0 };
    struct buf bytes = { 0 };
    struct hash id;

    assert(memcmp(request->sign_pk, sign_pair->public_key, SIGN_PK_BYTES) == 0);
    statement_possession_make(request->possession, sign_pair, request->box_pk, request->transport_pk);
    cbor_put_map(&item, 7);
    put_exact(&item, 0, request->sign_pk, SIGN_PK_BYTES);
    put_exact(&item, 1, request->box_pk, sizeof request->box_pk);
    put_exact(&item, 2, request->transport_pk, sizeof request->transport_pk);
    cbor_put_uint(&item, 3);
    cbor_put_text(&item, span_text(request->name));
    cbor_put_uint(&item, 4);
    cbor_put_text(&item, span_text(request->endpoint));
    put_exact(&item, 5, request->incarnation, sizeof request->incarnation);
    put_exact(&item, 6, request->possession, SIGNATURE_BYTES);
    request_id(&id, buf_span(&item));
    crypto_sign_id(signature, sign_pair, REQUEST_CONTEXT, &id);
    cbor_put_array(&bytes, 2);
    cbor_put_bytes(&bytes, buf_span(&item));
    cbor_put_bytes(&bytes, span_of(signature, sizeof signature));
    armour_write(file_out, REQUEST_TITLE, buf_span(&bytes));
    file_out->failed |= item.failed || bytes.failed;
    buf_free(&item);
    buf_free(&bytes);
}

/* Copy a text of people into `out`, which has room for `bytes_max` and a NUL. */
static void
read_text(struct cbor_reader *reader, char *out, size_t bytes_max)
{
    struct span text = cbor_read_text(reader);

    out[0] = '\0';
    if (text.size > bytes_max || !statement_name_plain(text)) {
        cbor_fail(reader);
        return;
    }
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
}

static void
expect_key(struct cbor_reader *reader, uint64_t key)
{
    if (cbor_read_uint(reader) != key) {
        cbor_fail(reader);
    }
}

static bool
read_request_item(struct span item, struct request *request)
{
    struct cbor_reader reader = cbor_reader_of(item);

    if (cbor_read_map(&reader) != 7) {
        return false;
    }
    expect_key(&reader, 0);
    cbor_read_exact(&reader, request->sign_pk, SIGN_PK_BYTES);
    expect_key(&reader, 1);
    cbor_read_exact(&reader, request->box_pk, sizeof request->box_pk);
    expect_key(&reader, 2);
    cbor_read_exact(&reader, request->transport_pk, sizeof request->transport_pk);
    expect_key(&reader, 3);
    read_text(&reader, request->name, STATEMENT_NAME_BYTES_MAX);
    expect_key(&reader, 4);
    read_text(&reader, request->endpoint, STATEMENT_ENDPOINT_BYTES_MAX);
    expect_key(&reader, 5);
    cbor_read_exact(&reader, request->incarnation, sizeof request->incarnation);
    expect_key(&reader, 6);
    cbor_read_exact(&reader, request->possession, SIGNATURE_BYTES);
    return cbor_done(&reader) && request->name[0] != '\0';
}

enum err
request_read(struct span file, struct request *request_out, struct joining_fault *fault_out)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct buf bytes = { 0 };
    struct hash id;

    memset(request_out, 0, sizeof *request_out);
    enum err err = armour_open(file, REQUEST_TITLE, &bytes, fault_out);
    if (err != ERR_OK) {
        buf_free(&bytes);
        return err;
    }
    struct cbor_reader reader = cbor_reader_of(buf_span(&bytes));
    if (cbor_read_array(&reader) != 2) {
        cbor_fail(&reader);
    }
    struct span item = cbor_read_bytes(&reader);
    cbor_read_exact(&reader, signature, sizeof signature);
    if (!cbor_done(&reader) || !read_request_item(item, request_out)) {
        err = joining_damaged(fault_out);
    } else {
        request_id(&id, item);
        if (!crypto_sign_key_valid(request_out->sign_pk) || !crypto_box_key_valid(request_out->box_pk) ||
            !crypto_box_key_valid(request_out->transport_pk) ||
            !crypto_verify(signature, request_out->sign_pk, REQUEST_CONTEXT, &id) ||
            !statement_possession_valid(request_out->possession, request_out->sign_pk, request_out->box_pk,
                                        request_out->transport_pk)) {
            err = fault(fault_out, ERR_INVALID, "the request is not to be trusted",
                        "it is not signed by the keys that it names", "ask for a new request");
        }
    }
    buf_free(&bytes);
    return err;
}

/* --- the welcome --- */

bool
joining_each(struct span statements, void (*each)(void *self, struct span signed_statement), void *self)
{
    struct cbor_reader reader = cbor_reader_of(statements);
    struct cbor_reader ahead = reader;

    /* Nothing is handed out before the whole is known to be good. */
    size_t count = cbor_read_array(&ahead);
    for (size_t n = 0; n < count && !ahead.in.failed; n++) {
        (void)cbor_read_bytes(&ahead);
    }
    if (!cbor_done(&ahead)) {
        return false;
    }
    count = cbor_read_array(&reader);
    for (size_t n = 0; n < count; n++) {
        each(self, cbor_read_bytes(&reader));
    }
    return true;
}

static void
ignore(void *self, struct span signed_statement)
{
    (void)self;
    (void)signed_statement;
}

enum err
welcome_write(struct buf *file_out, const struct welcome *welcome, const uint8_t box_pk[32],
              const struct world *world)
{
    struct buf plain = { 0 };
    struct buf sealed = { 0 };
    enum err err = ERR_MEMORY;

    cbor_put_map(&plain, 4);
    cbor_put_uint(&plain, 0);
    buf_put_span(&plain, buf_span(&welcome->statements));
    put_exact(&plain, 1, welcome->control_key.bytes, KEY_BYTES);
    put_exact(&plain, 2, welcome->certificate.bytes, HASH_BYTES);
    put_exact(&plain, 3, welcome->org.bytes, HASH_BYTES);
    uint8_t *room = plain.failed ? NULL : buf_extend(&sealed, plain.size + BOX_SEAL_BYTES);
    if (room != NULL) {
        err = crypto_box_seal_to(room, box_pk, buf_span(&plain), world) ? ERR_OK : ERR_INVALID;
    }
    if (err == ERR_OK) {
        armour_write(file_out, WELCOME_TITLE, buf_span(&sealed));
        err = file_out->failed ? ERR_MEMORY : ERR_OK;
    }
    buf_wipe(&plain);
    buf_free(&sealed);
    return err;
}

static bool
read_welcome(struct span plain, struct welcome *welcome)
{
    struct cbor_reader reader = cbor_reader_of(plain);

    if (cbor_read_map(&reader) != 4) {
        return false;
    }
    expect_key(&reader, 0);
    struct span statements = cbor_read_any(&reader);
    expect_key(&reader, 1);
    cbor_read_exact(&reader, welcome->control_key.bytes, KEY_BYTES);
    expect_key(&reader, 2);
    cbor_read_exact(&reader, welcome->certificate.bytes, HASH_BYTES);
    expect_key(&reader, 3);
    cbor_read_exact(&reader, welcome->org.bytes, HASH_BYTES);
    if (!cbor_done(&reader) || !joining_each(statements, ignore, NULL)) {
        return false;
    }
    buf_put_span(&welcome->statements, statements);
    return true;
}

enum err
welcome_read(struct span file, const struct key_pair *box_pair, struct welcome *welcome_out,
             struct joining_fault *fault_out)
{
    struct buf sealed = { 0 };
    struct buf plain = { 0 };

    *welcome_out = (struct welcome){ 0 };
    enum err err = armour_open(file, WELCOME_TITLE, &sealed, fault_out);
    if (err == ERR_OK && sealed.size < BOX_SEAL_BYTES) {
        err = joining_damaged(fault_out);
    }
    if (err == ERR_OK) {
        uint8_t *room = buf_extend(&plain, sealed.size - BOX_SEAL_BYTES);
        if (room == NULL) {
            err = no_memory(fault_out);
        } else if (!crypto_box_open_own(room, box_pair, buf_span(&sealed))) {
            err = fault(fault_out, ERR_LOCKED, "the welcome does not open",
                        "it was written for another device, or is damaged",
                        "use the welcome that answers this device's own request");
        } else if (!read_welcome(buf_span(&plain), welcome_out)) {
            err = joining_damaged(fault_out);
        } else if (welcome_out->statements.failed) {
            err = no_memory(fault_out);
        }
    }
    if (err != ERR_OK) {
        welcome_free(welcome_out);
    }
    buf_free(&sealed);
    buf_wipe(&plain);
    return err;
}

void
welcome_free(struct welcome *welcome)
{
    buf_free(&welcome->statements);
    crypto_wipe(welcome, sizeof *welcome);
}

/* --- what every member can open --- */

static void
member_key(struct key *out, const char *context, const struct key *control_key)
{
    const struct span parts[] = { span_of(control_key->bytes, KEY_BYTES) };

    crypto_derive(out, context, parts, 1);
}

enum err
joining_seal(struct buf *file_out, const char *title, const char *context, struct span content,
             const struct key *control_key, const struct world *world)
{
    struct buf bytes = { 0 };
    struct nonce nonce;
    struct key key;

    world_random(world, nonce.bytes, NONCE_BYTES);
    buf_put(&bytes, nonce.bytes, NONCE_BYTES);
    uint8_t *room = buf_extend(&bytes, content.size + SEAL_BYTES);
    if (room != NULL) {
        member_key(&key, context, control_key);
        crypto_seal(room, &key, &nonce, (struct span){ 0 }, content);
        crypto_wipe(&key, sizeof key);
        armour_write(file_out, title, buf_span(&bytes));
    }
    bool failed = room == NULL || file_out->failed;
    buf_free(&bytes);
    return failed ? ERR_MEMORY : ERR_OK;
}

enum err
joining_unseal(struct span file, const char *title, const char *context, const struct key *control_key,
               struct buf *content_out, struct joining_fault *fault_out)
{
    struct buf bytes = { 0 };
    struct nonce nonce;
    struct key key;

    buf_clear(content_out);
    enum err err = armour_open(file, title, &bytes, fault_out);
    if (err == ERR_OK && bytes.size < NONCE_BYTES + SEAL_BYTES) {
        err = joining_damaged(fault_out);
    }
    if (err == ERR_OK) {
        struct span sealed = span_of(bytes.data + NONCE_BYTES, bytes.size - NONCE_BYTES);
        uint8_t *room = buf_extend(content_out, sealed.size - SEAL_BYTES);
        memcpy(nonce.bytes, bytes.data, NONCE_BYTES);
        member_key(&key, context, control_key);
        if (room == NULL) {
            err = no_memory(fault_out);
        } else if (!crypto_open(room, &key, &nonce, (struct span){ 0 }, sealed)) {
            err = fault(fault_out, ERR_LOCKED, "the file does not open",
                        "it is of another organisation, or damaged",
                        "use a file that was written for this organisation");
        }
        crypto_wipe(&key, sizeof key);
    }
    if (err != ERR_OK) {
        buf_clear(content_out);
    }
    buf_free(&bytes);
    return err;
}

enum err
statements_write(struct buf *file_out, struct span statements, const struct key *control_key,
                 const struct world *world)
{
    return joining_seal(file_out, STATEMENTS_TITLE, STATEMENTS_CONTEXT, statements, control_key, world);
}

enum err
statements_read(struct span file, const struct key *control_key, struct buf *statements_out,
                struct joining_fault *fault_out)
{
    enum err err =
        joining_unseal(file, STATEMENTS_TITLE, STATEMENTS_CONTEXT, control_key, statements_out, fault_out);

    if (err == ERR_OK && !joining_each(buf_span(statements_out), ignore, NULL)) {
        buf_clear(statements_out);
        err = joining_damaged(fault_out);
    }
    return err;
}
