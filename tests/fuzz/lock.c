/* lock: any bytes as a lock, as they are and with the hash that must end them. */
#include "store/vault.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = { 0 };
    struct hash sum;

    enum err err = vault_lock_check(span_of(data, size));
    if (err != ERR_OK && err != ERR_CORRUPT && err != ERR_NEWER) {
        abort();
    }
    /* The seeds end in their hash: give the body one that fits, so that its shape is reached. */
    size_t body = size < HASH_BYTES ? 0 : size - HASH_BYTES;
    buf_put(&whole, data, body);
    CRYPTO_HASH(&sum, "vigil.lck.sum.v1", buf_span(&whole));
    buf_put_span(&whole, hash_span(&sum));
    enum err summed = vault_lock_check(buf_span(&whole));
    if (summed != ERR_OK && summed != ERR_CORRUPT && summed != ERR_NEWER) {
        abort();
    }
    if (err != ERR_CORRUPT && summed != err) {
        abort();
    }
    buf_free(&whole);
    return 0;
}
