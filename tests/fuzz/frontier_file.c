/* frontier_file: any bytes as the file, as what lies beneath its armour and seal, and as its signed content. */
#include "store/base/cbor.h"
#include "store/base/world.h"
#include "sync/frontier_file.h"

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
static const struct key control_key = { { 1 } };

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Read the bytes as a file; the content of one that is good is `content`. */
static void
read_file(struct span bytes, const struct span *content)
{
    static const uint8_t seed[32] = { 5 };
    struct frontier_file file;
    struct joining_fault fault = { NULL, NULL, NULL };
    struct buf again = { 0 };
    struct key_pair signer;

    crypto_sign_pair_from_seed(&signer, seed);
    if (frontier_file_read(bytes, &control_key, &file, &fault) != ERR_OK) {
        require(fault.what != NULL && fault.why != NULL && fault.todo != NULL && file.logs == NULL);
        return;
    }
    for (size_t n = 0; n < file.log_count; n++) {
        require(file.logs[n].tip_count > 0);
    }
    if (content != NULL) {
        require(frontier_file_write(&again, &file, &signer, &control_key, &steady) == ERR_OK);
        require(span_equal(buf_span(&again), bytes));
    }
    buf_free(&again);
    frontier_file_free(&file);
}

static void
seal(struct buf *out, struct span bytes)
{
    require(joining_seal(out, "VIGIL FRONTIER 1", "vigil.fro.v1", bytes, &control_key, &steady) == ERR_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = { 5 };
    const struct span content = span_of(data, size);
    uint8_t signature[SIGNATURE_BYTES];
    struct key_pair signer;
    struct buf file = { 0 };
    struct buf bytes = { 0 };
    struct hash id;

    read_file(content, NULL);
    seal(&file, content);
    read_file(buf_span(&file), NULL);
    buf_clear(&file);
    crypto_sign_pair_from_seed(&signer, seed);
    CRYPTO_HASH(&id, "vigil.frs.v1", content);
    crypto_sign_id(signature, &signer, "VIGIL1FRONTIER", &id);
    cbor_put_array(&bytes, 2);
    cbor_put_bytes(&bytes, content);
    cbor_put_bytes(&bytes, span_of(signature, sizeof signature));
    seal(&file, buf_span(&bytes));
    read_file(buf_span(&file), &content);
    buf_free(&file);
    buf_free(&bytes);
    return 0;
}
