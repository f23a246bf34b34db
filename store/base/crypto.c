#include "store/base/crypto.h"
#include "store/base/world.h"

#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

/* Contexts are short constants; a signed message is one of them and an id. */
enum { SIGN_CONTEXT_BYTES_MAX = 32 };

#define PASSPHRASE_MEMORY_MIN ((uint64_t)64 << 20)
#define PASSPHRASE_MEMORY_MAX ((uint64_t)4 << 30)

_Static_assert(KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(SEAL_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(BOX_SEAL_BYTES == crypto_box_SEALBYTES, "sealed box");
_Static_assert(PART_HEADER_BYTES == crypto_secretstream_xchacha20poly1305_HEADERBYTES, "parts");
_Static_assert(PART_SEAL_BYTES == crypto_secretstream_xchacha20poly1305_ABYTES, "parts");
_Static_assert(sizeof(struct crypto_parts) >= sizeof(crypto_secretstream_xchacha20poly1305_state), "parts");
_Static_assert(sizeof(struct crypto_sha256) >= sizeof(crypto_hash_sha256_state), "sha256");
_Static_assert(_Alignof(struct crypto_sha256) >= _Alignof(crypto_hash_sha256_state), "sha256");
_Static_assert(HASH_BYTES == crypto_hash_sha256_BYTES, "sha256");
_Static_assert(ROW_TAG_BYTES == crypto_shorthash_BYTES, "row tag");
_Static_assert(SIGNATURE_BYTES == crypto_sign_BYTES, "signature");
_Static_assert(SIGN_PK_BYTES == crypto_sign_PUBLICKEYBYTES, "signing key");

static atomic_uint_fast64_t verify_count;

enum err
crypto_start(void)
{
    static const uint8_t base_point[32] = {
        0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
        0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    };
    /* (0, -1): added to the base point it gives a point outside the prime-order
     * group, which a libsodium without the fix of CVE-2025-69277 takes for one inside. */
    static const uint8_t order_two[32] = {
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    };
    uint8_t mixed[32];

    if (sodium_init() < 0) {
        return ERR_INVALID;
    }
    if (crypto_core_ed25519_add(mixed, base_point, order_two) != 0 || !crypto_sign_key_valid(base_point) ||
        crypto_sign_key_valid(mixed)) {
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* BLAKE2b-256 of `parts` under the personalisation `context`. */
static void
hash_parts(uint8_t out[32], const char *context, const struct span *parts, size_t part_count)
{
    uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = { 0 };
    crypto_generichash_blake2b_state state;
    size_t context_bytes = strlen(context);

    assert(context_bytes >= 1 && context_bytes <= sizeof personal);
    memcpy(personal, context, context_bytes);
    int failed = crypto_generichash_blake2b_init_salt_personal(&state, NULL, 0, 32, NULL, personal);
    for (size_t n = 0; n < part_count; n++) {
        if (parts[n].size > 0) {
            failed |= crypto_generichash_blake2b_update(&state, parts[n].data, parts[n].size);
        }
    }
    failed |= crypto_generichash_blake2b_final(&state, out, 32);
    assert(failed == 0);
}

void
crypto_hash_parts(struct hash *out, const char *context, const struct span *parts, size_t part_count)
{
    hash_parts(out->bytes, context, parts, part_count);
}

void
crypto_derive(struct key *out, const char *context, const struct span *parts, size_t part_count)
{
    hash_parts(out->bytes, context, parts, part_count);
}

void
crypto_short_hash(uint8_t out[ROW_TAG_BYTES], const uint8_t key[16], struct span message)
{
    int failed = crypto_shorthash(out, message.data, message.size, key);

    assert(failed == 0);
}

void
crypto_seal(uint8_t *out, const struct key *key, const struct nonce *nonce, struct span associated,
            struct span plain)
{
    int failed = crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, NULL, plain.data, plain.size, associated.data, associated.size, NULL, nonce->bytes, key->bytes);

    assert(failed == 0);
}

bool
crypto_open(uint8_t *out, const struct key *key, const struct nonce *nonce, struct span associated,
            struct span sealed)
{
    if (sealed.size < SEAL_BYTES) {
        return false;
    }
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.data, sealed.size, associated.data,
                                                   associated.size, nonce->bytes, key->bytes) != 0) {
        sodium_memzero(out, sealed.size - SEAL_BYTES);
        return false;
    }
    return true;
}

void
crypto_keystream(uint8_t *out, size_t size, const struct key *key, const struct nonce *nonce)
{
    int failed = crypto_stream_xchacha20(out, size, nonce->bytes, key->bytes);

    assert(failed == 0);
}

/* What is signed: the context followed by the id. Gives its size. */
static size_t
signed_message(uint8_t out[SIGN_CONTEXT_BYTES_MAX + HASH_BYTES], const char *context, const struct hash *id)
{
    size_t context_bytes = strlen(context);

    assert(context_bytes >= 1 && context_bytes <= SIGN_CONTEXT_BYTES_MAX);
    memcpy(out, context, context_bytes);
    memcpy(out + context_bytes, id->bytes, HASH_BYTES);
    return context_bytes + HASH_BYTES;
}

void
crypto_sign_id(uint8_t signature_out[SIGNATURE_BYTES], const struct key_pair *signer, const char *context,
               const struct hash *id)
{
    uint8_t message[SIGN_CONTEXT_BYTES_MAX + HASH_BYTES];
    size_t size = signed_message(message, context, id);
    int failed = crypto_sign_detached(signature_out, NULL, message, size, signer->secret_key);

    assert(failed == 0);
}

bool
crypto_verify(const uint8_t signature[SIGNATURE_BYTES], const uint8_t sign_pk[SIGN_PK_BYTES],
              const char *context, const struct hash *id)
{
    uint8_t message[SIGN_CONTEXT_BYTES_MAX + HASH_BYTES];
    size_t size = signed_message(message, context, id);

    atomic_fetch_add_explicit(&verify_count, 1, memory_order_relaxed);
    return crypto_sign_verify_detached(signature, message, size, sign_pk) == 0;
}

uint64_t
crypto_verify_count(void)
{
    return atomic_load_explicit(&verify_count, memory_order_relaxed);
}

void
crypto_sign_pair(struct key_pair *out, const struct world *world)
{
    uint8_t seed[32];

    world_random(world, seed, sizeof seed);
    crypto_sign_pair_from_seed(out, seed);
    sodium_memzero(seed, sizeof seed);
}

void
crypto_box_pair(struct key_pair *out, const struct world *world)
{
    uint8_t secret[32];

    world_random(world, secret, sizeof secret);
    crypto_box_pair_from_secret(out, secret);
    sodium_memzero(secret, sizeof secret);
}

void
crypto_sign_pair_from_seed(struct key_pair *out, const uint8_t seed[32])
{
    int failed = crypto_sign_seed_keypair(out->public_key, out->secret_key, seed);

    assert(failed == 0);
}

void
crypto_box_pair_from_secret(struct key_pair *out, const uint8_t secret[32])
{
    memset(out->secret_key, 0, sizeof out->secret_key);
    memcpy(out->secret_key, secret, 32);
    int failed = crypto_scalarmult_base(out->public_key, secret);

    assert(failed == 0);
}

bool
crypto_sign_key_valid(const uint8_t sign_pk[SIGN_PK_BYTES])
{
    return crypto_core_ed25519_is_valid_point(sign_pk) == 1;
}

bool
crypto_box_key_valid(const uint8_t box_pk[32])
{
    /* X25519 multiplies by a multiple of eight, so whatever the scalar, a
     * low-order point gives zero, and libsodium says so. */
    static const uint8_t scalar[32] = { 8 };
    uint8_t shared[32];

    return crypto_scalarmult(shared, scalar, box_pk) == 0;
}

bool
crypto_box_seal_to(uint8_t *out, const uint8_t box_pk[32], struct span plain, const struct world *world)
{
    struct key_pair ephemeral;
    crypto_generichash_state state;
    uint8_t nonce[crypto_box_NONCEBYTES];

    crypto_box_pair(&ephemeral, world);
    int failed = crypto_generichash_init(&state, NULL, 0, sizeof nonce);
    failed |= crypto_generichash_update(&state, ephemeral.public_key, 32);
    failed |= crypto_generichash_update(&state, box_pk, 32);
    failed |= crypto_generichash_final(&state, nonce, sizeof nonce);
    assert(failed == 0);
    memcpy(out, ephemeral.public_key, 32);
    int refused = crypto_box_easy(out + 32, plain.data, plain.size, nonce, box_pk, ephemeral.secret_key);
    sodium_memzero(&ephemeral, sizeof ephemeral);
    return refused == 0;
}

bool
crypto_box_open_own(uint8_t *out, const struct key_pair *own, struct span sealed)
{
    if (sealed.size < BOX_SEAL_BYTES) {
        return false;
    }
    if (crypto_box_seal_open(out, sealed.data, sealed.size, own->public_key, own->secret_key) != 0) {
        sodium_memzero(out, sealed.size - BOX_SEAL_BYTES);
        return false;
    }
    return true;
}

bool
crypto_box_key_of_sign_key(uint8_t box_pk_out[32], const uint8_t sign_pk[SIGN_PK_BYTES])
{
    if (crypto_sign_ed25519_pk_to_curve25519(box_pk_out, sign_pk) != 0) {
        sodium_memzero(box_pk_out, 32);
        return false;
    }
    return true;
}

void
crypto_box_pair_of_sign_pair(struct key_pair *out, const struct key_pair *sign_pair)
{
    uint8_t secret[32];
    int failed = crypto_sign_ed25519_sk_to_curve25519(secret, sign_pair->secret_key);

    assert(failed == 0);
    crypto_box_pair_from_secret(out, secret);
    sodium_memzero(secret, sizeof secret);
}

void
crypto_parts_begin(struct crypto_parts *parts, const struct key *key, const uint8_t header[PART_HEADER_BYTES])
{
    crypto_secretstream_xchacha20poly1305_state state;

    /* Beginning to seal differs from beginning to open only in who draws the header. */
    int failed = crypto_secretstream_xchacha20poly1305_init_pull(&state, header, key->bytes);
    assert(failed == 0);
    memset(parts, 0, sizeof *parts);
    memcpy(parts->state, &state, sizeof state);
    sodium_memzero(&state, sizeof state);
}

void
crypto_parts_seal(struct crypto_parts *parts, uint8_t *out, struct span plain, bool last)
{
    crypto_secretstream_xchacha20poly1305_state state;

    memcpy(&state, parts->state, sizeof state);
    int failed =
        crypto_secretstream_xchacha20poly1305_push(&state, out, NULL, plain.data, plain.size, NULL, 0,
                                                   last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                                                        : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
    assert(failed == 0);
    memcpy(parts->state, &state, sizeof state);
    sodium_memzero(&state, sizeof state);
}

bool
crypto_parts_open(struct crypto_parts *parts, uint8_t *out, struct span sealed, bool *last_out)
{
    crypto_secretstream_xchacha20poly1305_state state;
    unsigned char tag = 0;

    *last_out = false;
    if (sealed.size < PART_SEAL_BYTES) {
        return false;
    }
    memcpy(&state, parts->state, sizeof state);
    int failed = crypto_secretstream_xchacha20poly1305_pull(&state, out, NULL, &tag, sealed.data, sealed.size,
                                                            NULL, 0);
    bool known = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL ||
                 tag == crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
    if (failed == 0 && known) {
        memcpy(parts->state, &state, sizeof state);
        *last_out = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    } else {
        sodium_memzero(out, sealed.size - PART_SEAL_BYTES);
    }
    sodium_memzero(&state, sizeof state);
    return failed == 0 && known;
}

void
crypto_sha256_begin(struct crypto_sha256 *sum)
{
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    memset(sum, 0, sizeof *sum);
    memcpy(sum->state, &state, sizeof state);
    sodium_memzero(&state, sizeof state);
}

void
crypto_sha256_add(struct crypto_sha256 *sum, struct span bytes)
{
    crypto_hash_sha256_state state;

    memcpy(&state, sum->state, sizeof state);
    (void)crypto_hash_sha256_update(&state, bytes.data, bytes.size);
    memcpy(sum->state, &state, sizeof state);
    sodium_memzero(&state, sizeof state);
}

void
crypto_sha256_end(struct crypto_sha256 *sum, struct hash *out)
{
    crypto_hash_sha256_state state;

    memcpy(&state, sum->state, sizeof state);
    (void)crypto_hash_sha256_final(&state, out->bytes);
    sodium_memzero(&state, sizeof state);
    sodium_memzero(sum, sizeof *sum);
}

enum err
crypto_passphrase_key(struct key *out, struct span passphrase, const uint8_t salt[16], uint32_t passes,
                      uint64_t memory_bytes)
{
    if (passes < 1 || memory_bytes < PASSPHRASE_MEMORY_MIN || memory_bytes > PASSPHRASE_MEMORY_MAX) {
        return ERR_INVALID;
    }
    /* An empty span may point nowhere; libsodium wants somewhere. */
    const char *text = passphrase.size == 0 ? "" : (const char *)passphrase.data;
    if (crypto_pwhash(out->bytes, sizeof out->bytes, text, passphrase.size, salt, passes,
                      (size_t)memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        crypto_wipe(out, sizeof *out);
        return ERR_MEMORY;
    }
    return ERR_OK;
}

void
crypto_base64(struct buf *out, struct span bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes.size, sodium_base64_VARIANT_ORIGINAL);
    uint8_t *at = buf_extend(out, size);

    if (at != NULL) {
        (void)sodium_bin2base64((char *)at, size, bytes.data, bytes.size, sodium_base64_VARIANT_ORIGINAL);
        out->size--; /* its NUL */
    }
}

bool
crypto_base64_read(struct buf *out, struct span text)
{
    size_t room = text.size / 4 * 3;
    size_t size = 0;

    if (text.size == 0) {
        return true;
    }
    /* libsodium 1.0.18 takes bytes from 0x80 on for digits. */
    for (size_t n = 0; n < text.size; n++) {
        if (text.data[n] >= 0x80) {
            return false;
        }
    }
    uint8_t *at = buf_extend(out, room);
    if (at == NULL) {
        return false;
    }
    bool good = sodium_base642bin(at, room, (const char *)text.data, text.size, NULL, &size, NULL,
                                  sodium_base64_VARIANT_ORIGINAL) == 0;
    out->size -= room - (good ? size : 0);
    return good;
}

bool
crypto_equal(const void *a, const void *b, size_t size)
{
    return sodium_memcmp(a, b, size) == 0;
}

void
crypto_wipe(void *data, size_t size)
{
    sodium_memzero(data, size);
}

void *
crypto_secret_new(size_t size)
{
    void *secret = sodium_malloc(size);

    if (secret != NULL) {
        memset(secret, 0, size);
    }
    return secret;
}

void
crypto_secret_free(void *secret)
{
    sodium_free(secret);
}

bool
crypto_memory_locks(void)
{
    /* sodium_malloc stays silent where the limit is zero, so lock something. */
    static uint8_t probe[64];

    if (sodium_mlock(probe, sizeof probe) != 0) {
        return false;
    }
    (void)sodium_munlock(probe, sizeof probe);
    return true;
}

void
crypto_os_random(void *out, size_t size)
{
    randombytes_buf(out, size);
}
