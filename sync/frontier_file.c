#include "sync/frontier_file.h"
#include "store/base/cbor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FRONTIER_TITLE "VIGIL FRONTIER 1"
#define FRONTIER_KEY "vigil.fro.v1"
#define FRONTIER_ID "vigil.frs.v1"
#define FRONTIER_CONTEXT "VIGIL1FRONTIER"

/* What base64 and its line ends make of a file of the size that is read back. */
enum { CONTENT_BYTES_MAX = JOINING_FILE_BYTES_MAX / 4 * 3 - (JOINING_FILE_BYTES_MAX >> 6) };

void
frontier_file_free(struct frontier_file *file)
{
    for (size_t n = 0; n < file->log_count; n++) {
        free(file->logs[n].tips);
    }
    free(file->logs);
    *file = (struct frontier_file){ 0 };
}

static int
tip_order(const void *a, const void *b)
{
    const struct frontier_file_tip *x = a;
    const struct frontier_file_tip *y = b;

    if (x->seq != y->seq) {
        return x->seq < y->seq ? -1 : 1;
    }
    return hash_compare(&x->entry_id, &y->entry_id);
}

static int
log_order(const void *a, const void *b)
{
    return hash_compare(&((const struct frontier_file_log *)a)->log_id,
                        &((const struct frontier_file_log *)b)->log_id);
}

/* Room for one more log, which the caller fills. */
static struct frontier_file_log *
log_room(struct frontier_file *file)
{
    if (file->log_count == file->log_capacity) {
        size_t capacity = file->log_capacity == 0 ? 64 : 2 * file->log_capacity;
        struct frontier_file_log *logs = realloc(file->logs, capacity * sizeof *logs);
        if (logs == NULL) {
            return NULL;
        }
        file->logs = logs;
        file->log_capacity = capacity;
    }
    return &file->logs[file->log_count];
}

enum err
frontier_file_add(struct frontier_file *file, const struct descriptor *descriptor,
                  const struct frontier_file_tip *tips, size_t tip_count)
{
    struct frontier_file_log *log = log_room(file);

    assert(tip_count > 0);
    if (log == NULL) {
        return ERR_MEMORY;
    }
    log->tips = calloc(tip_count, sizeof *log->tips);
    if (log->tips == NULL) {
        return ERR_MEMORY;
    }
    memcpy(log->tips, tips, tip_count * sizeof *tips);
    qsort(log->tips, tip_count, sizeof *log->tips, tip_order);
    log->tip_count = tip_count;
    log->descriptor = *descriptor;
    descriptor_log_id(descriptor, &log->log_id);
    file->log_count++;
    return ERR_OK;
}

/* --- writing --- */

static void
put_log(struct buf *content, const struct frontier_file_log *log)
{
    uint8_t descriptor[DESCRIPTOR_BYTES];

    descriptor_write(descriptor, &log->descriptor);
    cbor_put_array(content, 2);
    cbor_put_bytes(content, span_of(descriptor, sizeof descriptor));
    cbor_put_array(content, log->tip_count);
    for (size_t n = 0; n < log->tip_count; n++) {
        cbor_put_array(content, 2);
        cbor_put_uint(content, log->tips[n].seq);
        cbor_put_bytes(content, hash_span(&log->tips[n].entry_id));
    }
}

enum err
frontier_file_write(struct buf *file_out, struct frontier_file *file, const struct key_pair *signer,
                    const struct key *control_key, const struct world *world)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct buf content = { 0 };
    struct buf bytes = { 0 };
    struct hash id;

    memcpy(file->sign_pk, signer->public_key, SIGN_PK_BYTES);
    if (file->log_count > 0) {
        qsort(file->logs, file->log_count, sizeof *file->logs, log_order);
    }
    cbor_put_map(&content, 4);
    cbor_put_uint(&content, 0);
    cbor_put_bytes(&content, hash_span(&file->org));
    cbor_put_uint(&content, 1);
    cbor_put_bytes(&content, span_of(file->sign_pk, SIGN_PK_BYTES));
    cbor_put_uint(&content, 2);
    cbor_put_uint(&content, file->made);
    cbor_put_uint(&content, 3);
    cbor_put_array(&content, file->log_count);
    for (size_t n = 0; n < file->log_count; n++) {
        put_log(&content, &file->logs[n]);
    }
    enum err err = content.failed ? ERR_MEMORY : content.size > CONTENT_BYTES_MAX ? ERR_FULL : ERR_OK;
    if (err == ERR_OK) {
        CRYPTO_HASH(&id, FRONTIER_ID, buf_span(&content));
        crypto_sign_id(signature, signer, FRONTIER_CONTEXT, &id);
        cbor_put_array(&bytes, 2);
        cbor_put_bytes(&bytes, buf_span(&content));
        cbor_put_bytes(&bytes, span_of(signature, sizeof signature));
        err = bytes.failed ? ERR_MEMORY
                           : joining_seal(file_out, FRONTIER_TITLE, FRONTIER_KEY, buf_span(&bytes),
                                          control_key, world);
    }
    buf_free(&content);
    buf_free(&bytes);
    return err;
}

/* --- reading --- */

/* Read one log. Its tips and its place after the log before are checked. ERR_INVALID, ERR_MEMORY. */
static enum err
read_log(struct cbor_reader *reader, struct frontier_file *file)
{
    uint8_t bytes[DESCRIPTOR_BYTES];
    struct frontier_file_log *log = log_room(file);

    if (log == NULL) {
        return ERR_MEMORY;
    }
    if (cbor_read_array(reader) != 2) {
        cbor_fail(reader);
    }
    cbor_read_exact(reader, bytes, sizeof bytes);
    size_t tip_count = cbor_read_array(reader);
    if (reader->in.failed || tip_count == 0 ||
        !descriptor_read(span_of(bytes, sizeof bytes), &log->descriptor)) {
        return ERR_INVALID;
    }
    descriptor_log_id(&log->descriptor, &log->log_id);
    if (file->log_count > 0 && log_order(log - 1, log) >= 0) {
        return ERR_INVALID;
    }
    log->tips = calloc(tip_count, sizeof *log->tips);
    if (log->tips == NULL) {
        return ERR_MEMORY;
    }
    log->tip_count = tip_count;
    file->log_count++;
    for (size_t n = 0; n < tip_count; n++) {
        if (cbor_read_array(reader) != 2) {
            cbor_fail(reader);
        }
        log->tips[n].seq = cbor_read_uint(reader);
        cbor_read_exact(reader, log->tips[n].entry_id.bytes, HASH_BYTES);
        if (n > 0 && tip_order(&log->tips[n - 1], &log->tips[n]) >= 0) {
            cbor_fail(reader);
        }
    }
    return reader->in.failed ? ERR_INVALID : ERR_OK;
}

static void
expect_key(struct cbor_reader *reader, uint64_t key)
{
    if (cbor_read_uint(reader) != key) {
        cbor_fail(reader);
    }
}

static enum err
read_content(struct span content, struct frontier_file *file)
{
    struct cbor_reader reader = cbor_reader_of(content);

    if (cbor_read_map(&reader) != 4) {
        return ERR_INVALID;
    }
    expect_key(&reader, 0);
    cbor_read_exact(&reader, file->org.bytes, HASH_BYTES);
    expect_key(&reader, 1);
    cbor_read_exact(&reader, file->sign_pk, SIGN_PK_BYTES);
    expect_key(&reader, 2);
    file->made = cbor_read_uint(&reader);
    expect_key(&reader, 3);
    size_t count = cbor_read_array(&reader);
    for (size_t n = 0; n < count && !reader.in.failed; n++) {
        enum err err = read_log(&reader, file);
        if (err != ERR_OK) {
            return err;
        }
    }
    return cbor_done(&reader) ? ERR_OK : ERR_INVALID;
}

/* Take the opened bytes apart. ERR_DENIED: not signed by the device that it names. */
static enum err
read_signed(struct span bytes, struct frontier_file *file)
{
    uint8_t signature[SIGNATURE_BYTES];
    struct hash id;
    struct cbor_reader reader = cbor_reader_of(bytes);

    if (cbor_read_array(&reader) != 2) {
        return ERR_INVALID;
    }
    struct span content = cbor_read_bytes(&reader);
    cbor_read_exact(&reader, signature, sizeof signature);
    if (!cbor_done(&reader)) {
        return ERR_INVALID;
    }
    enum err err = read_content(content, file);
    if (err != ERR_OK) {
        return err;
    }
    CRYPTO_HASH(&id, FRONTIER_ID, content);
    return crypto_sign_key_valid(file->sign_pk) &&
                   crypto_verify(signature, file->sign_pk, FRONTIER_CONTEXT, &id)
               ? ERR_OK
               : ERR_DENIED;
}

enum err
frontier_file_read(struct span bytes, const struct key *control_key, struct frontier_file *file_out,
                   struct joining_fault *fault_out)
{
    struct buf content = { 0 };

    *file_out = (struct frontier_file){ 0 };
    enum err err = joining_unseal(bytes, FRONTIER_TITLE, FRONTIER_KEY, control_key, &content, fault_out);
    if (err != ERR_OK) {
        buf_free(&content);
        return err;
    }
    err = read_signed(buf_span(&content), file_out);
    buf_free(&content);
    if (err != ERR_OK) {
        frontier_file_free(file_out);
    }
    if (err == ERR_INVALID) {
        return joining_damaged(fault_out);
    }
    if (fault_out != NULL && err == ERR_DENIED) {
        *fault_out = (struct joining_fault){ "the frontier file is not to be trusted",
                                             "it is not signed by the device that it names",
                                             "have a node that you trust write it again" };
    } else if (fault_out != NULL && err == ERR_MEMORY) {
        *fault_out = (struct joining_fault){ "the file cannot be read", "the machine has no memory left",
                                             "close other programs and try again" };
    }
    return err == ERR_DENIED ? ERR_INVALID : err;
}
