/* crypto.h - every use of cryptography, under the name of what it is for.
 *
 * The only file that includes sodium.h. But for crypto_parts and crypto_sha256
 * all functions take whole inputs, give whole outputs and keep no state. H(p, ...) of the design is CRYPTO_HASH.
 * Verification follows libsodium's cofactorless rule (RFC 8032 without the
 * cofactor, canonical S, no small-order keys); the other side must use it too.
 * No name here is one of libsodium: ours would take the place of its own in libzmq.
 */
#pragma once

#include "store/base/err.h"
#include "store/base/ident.h"

struct world;

enum {
    KEY_BYTES = 32,
    NONCE_BYTES = 24,
    SEAL_BYTES = 16,        /* what sealing adds */
    BOX_SEAL_BYTES = 48,    /* what sealing to a public key adds */
    PART_HEADER_BYTES = 24, /* what a text that is sealed in parts begins with */
    PART_SEAL_BYTES = 17,   /* what sealing adds to each part */
    ROW_TAG_BYTES = 8,
};

/* A secret of 32 bytes: wipe it when done. */
struct key {
    uint8_t bytes[KEY_BYTES];
};

struct key_pair {
    uint8_t public_key[32];
    uint8_t secret_key[64]; /* Ed25519: 64 bytes; X25519: the first 32 */
};

struct nonce {
    uint8_t bytes[NONCE_BYTES];
};

/* Start the library, and refuse a libsodium that accepts mixed-order keys.
 * ERR_INVALID: the library is unfit (see CVE-2025-69277): upgrade it. */
MUST_CHECK enum err crypto_start(void);

/* BLAKE2b-256 with personalisation `context` (1 to 16 bytes of text, zero-padded)
 * over the parts one after the other. Source: RFC 7693; DESIGN "H(p, ...)". */
void crypto_hash_parts(struct hash *out, const char *context, const struct span *parts, size_t part_count);

/* crypto_hash_parts over spans written in place. */
#define CRYPTO_HASH(out, context, ...)                                                                       \
    crypto_hash_parts((out), (context), (const struct span[]){ __VA_ARGS__ },                                \
                      sizeof((const struct span[]){ __VA_ARGS__ }) / sizeof(struct span))

/* The same, as a key. */
void crypto_derive(struct key *out, const char *context, const struct span *parts, size_t part_count);

/* SipHash-2-4 of `message` under 16 bytes of key: tags of rows, hashes of row keys. */
void crypto_short_hash(uint8_t out[ROW_TAG_BYTES], const uint8_t key[16], struct span message);

/* XChaCha20-Poly1305-IETF. `out` holds plain.size + SEAL_BYTES and may not overlap `plain`. */
void crypto_seal(uint8_t *out, const struct key *key, const struct nonce *nonce, struct span associated,
                 struct span plain);

/* The reverse; `out` holds sealed.size - SEAL_BYTES. False, and `out` wiped: it does not open. */
MUST_CHECK bool crypto_open(uint8_t *out, const struct key *key, const struct nonce *nonce,
                            struct span associated, struct span sealed);

/* The first `size` bytes of the XChaCha20 key stream. */
void crypto_keystream(uint8_t *out, size_t size, const struct key *key, const struct nonce *nonce);

/* Ed25519 over context (text, no NUL) followed by the 32 bytes of `id`. */
void crypto_sign_id(uint8_t signature_out[SIGNATURE_BYTES], const struct key_pair *signer,
                    const char *context, const struct hash *id);
MUST_CHECK bool crypto_verify(const uint8_t signature[SIGNATURE_BYTES], const uint8_t sign_pk[SIGN_PK_BYTES],
                              const char *context, const struct hash *id);

/* How many times crypto_verify ran in this process: the bench prints it. */
uint64_t crypto_verify_count(void);

/* Key pairs, from 32 random bytes of the world. */
void crypto_sign_pair(struct key_pair *out, const struct world *world);
void crypto_box_pair(struct key_pair *out, const struct world *world);

/* The pair that an Ed25519 or X25519 seed stands for. */
void crypto_sign_pair_from_seed(struct key_pair *out, const uint8_t seed[32]);
void crypto_box_pair_from_secret(struct key_pair *out, const uint8_t secret[32]);

/* True if `sign_pk` is a canonical point of the prime-order group: demanded at enrolment. */
MUST_CHECK bool crypto_sign_key_valid(const uint8_t sign_pk[SIGN_PK_BYTES]);

/* True if `box_pk` is no low-order point. */
MUST_CHECK bool crypto_box_key_valid(const uint8_t box_pk[32]);

/* Seal to a public key, sender unknown: the bytes of libsodium's crypto_box_seal, with the
 * ephemeral key from `world`. `out` holds plain.size + BOX_SEAL_BYTES. False: bad public key. */
MUST_CHECK bool crypto_box_seal_to(uint8_t *out, const uint8_t box_pk[32], struct span plain,
                                   const struct world *world);
MUST_CHECK bool crypto_box_open_own(uint8_t *out, const struct key_pair *own, struct span sealed);

/* The X25519 key that stands for an Ed25519 key, and the pair. False: not a point of the prime-order group. */
MUST_CHECK bool crypto_box_key_of_sign_key(uint8_t box_pk_out[32], const uint8_t sign_pk[SIGN_PK_BYTES]);
void crypto_box_pair_of_sign_pair(struct key_pair *out, const struct key_pair *sign_pair);

/* A text too long for one piece, sealed in parts that cannot be dropped, doubled, reordered or cut at the end: the last
 * one says that it is the last. libsodium's crypto_secretstream_xchacha20poly1305; `header` is random and travels
 * in clear. The same state seals or opens, not both. A secret: wipe it. */
struct crypto_parts {
    _Alignas(16) uint8_t state[64];
};

void crypto_parts_begin(struct crypto_parts *parts, const struct key *key,
                        const uint8_t header[PART_HEADER_BYTES]);

/* Seal the next part. `out` holds plain.size + PART_SEAL_BYTES and may not overlap `plain`. */
void crypto_parts_seal(struct crypto_parts *parts, uint8_t *out, struct span plain, bool last);

/* Open the next part; `out` holds sealed.size - PART_SEAL_BYTES. False, and `out` wiped: it is not the next part. What was
 * opened before the last part came is the beginning of a text, and no more. */
MUST_CHECK bool crypto_parts_open(struct crypto_parts *parts, uint8_t *out, struct span sealed,
                                  bool *last_out);

/* SHA-256 of a content that does not fit into memory, as `sha256sum` prints it: for files, which people outside compare.
 * Inside, everything is CRYPTO_HASH. Copy it and end the copy to look at what came so far. */
struct crypto_sha256 {
    _Alignas(16) uint8_t state[112];
};

void crypto_sha256_begin(struct crypto_sha256 *sum);
void crypto_sha256_add(struct crypto_sha256 *sum, struct span bytes);
void crypto_sha256_end(struct crypto_sha256 *sum, struct hash *out);

/* Argon2id, version 1.3. `passes` >= 1; `memory_bytes` 64 MiB to 4 GiB.
 * ERR_INVALID: outside of these. ERR_MEMORY: the machine cannot give that much. */
MUST_CHECK enum err crypto_passphrase_key(struct key *out, struct span passphrase, const uint8_t salt[16],
                                          uint32_t passes, uint64_t memory_bytes);

/* Base64 of RFC 4648 with padding, without a line break: appended to `out`. */
void crypto_base64(struct buf *out, struct span bytes);

/* The reverse, strictly: no other character, padding where it belongs, no stray bits. False, and nothing
 * appended: not base64, or no memory (then `out` failed). */
MUST_CHECK bool crypto_base64_read(struct buf *out, struct span text);

/* Constant-time comparison. */
MUST_CHECK bool crypto_equal(const void *a, const void *b, size_t size);

void crypto_wipe(void *data, size_t size);

/* Zeroed memory that is locked, guarded, left out of core images and wiped when freed.
 * NULL: none left. Costs pages: for a few long-lived keys. */
void *crypto_secret_new(size_t size);
void crypto_secret_free(void *secret);

/* True if memory can really be locked here (the limit may be zero). */
bool crypto_memory_locks(void);

/* Unpredictable bytes of the operating system: for node/world.c, sync/link.c and the offline tools only. */
void crypto_os_random(void *out, size_t size);
