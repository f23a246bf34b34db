#include "tests/support/check.h"
#include "tests/support/world.h"

#include "store/base/crypto.h"

#include <stdlib.h>
#include <string.h>

/* The base point plus the point of order two: on the curve, in no prime-order group. */
static const char mixed_order[] = "9599999999999999999999999999999999999999999999999999999999999999";

static struct test_world test;
static struct key_pair signer;
static struct key_pair box;

static void
start(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&test, 7);
    crypto_sign_pair(&signer, &test.world);
    crypto_box_pair(&box, &test.world);
}

static void
expect_bytes(const void *bytes, size_t size, const char *hex)
{
    char text[513];

    ck_assert_uint_le(2 * size, sizeof text - 1);
    bytes_hex(text, span_of(bytes, size));
    ck_assert_str_eq(text, hex);
}

static void
from_hex(uint8_t *out, size_t size, const char *hex)
{
    ck_assert(bytes_from_hex(out, size, hex));
}

/* Expected values: hashlib.blake2b of Python 3.11 with digest_size=32 and person=. */
START_TEST(a_hash_is_blake2b_with_its_context)
{
    struct hash hash;
    struct key key;

    CRYPTO_HASH(&hash, "vigil.hdr.v1", span_text("abc"), (struct span){ 0 }, span_text("def"));
    expect_bytes(hash.bytes, HASH_BYTES, "f972e10874f1bd017b30834b989e944c48977632ce6d41d6c71bcd63d682196c");
    const struct span one = span_text("abcdef");
    crypto_derive(&key, "vigil.hdr.v1", &one, 1);
    ck_assert_mem_eq(key.bytes, hash.bytes, HASH_BYTES);
    crypto_hash_parts(&hash, "sixteen bytes ok", NULL, 0);
    expect_bytes(hash.bytes, HASH_BYTES, "5ba3e594cfe8ac8c793ad6056a24ff9808d16709137c897284c67663fd5fd958");
    crypto_derive(&key, "vigil.hdr.v2", &one, 1);
    ck_assert_mem_ne(key.bytes, hash.bytes, HASH_BYTES);
}
END_TEST

/* The vectors of the SipHash paper, appendix A. */
START_TEST(a_short_hash_is_siphash_2_4)
{
    uint8_t key[16];
    uint8_t out[ROW_TAG_BYTES];

    for (size_t n = 0; n < sizeof key; n++) {
        key[n] = (uint8_t)n;
    }
    crypto_short_hash(out, key, span_of(key, 15));
    expect_bytes(out, sizeof out, "e545be4961ca29a1");
    crypto_short_hash(out, key, (struct span){ 0 });
    expect_bytes(out, sizeof out, "310e0edd47db6f72");
}
END_TEST

/* draft-irtf-cfrg-xchacha, A.3.1. */
START_TEST(sealing_is_xchacha20_poly1305)
{
    static const char text[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
        "the future, sunscreen would be it.";
    const struct span plain = span_text(text);
    struct key key;
    struct nonce nonce;
    uint8_t associated[12];
    uint8_t sealed[114 + SEAL_BYTES];
    uint8_t opened[114];

    ck_assert_uint_eq(plain.size, 114);
    from_hex(key.bytes, 32, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    from_hex(nonce.bytes, 24, "404142434445464748494a4b4c4d4e4f5051525354555657");
    from_hex(associated, 12, "50515253c0c1c2c3c4c5c6c7");
    const struct span beside = span_of(associated, sizeof associated);
    crypto_seal(sealed, &key, &nonce, beside, plain);
    expect_bytes(
        sealed, sizeof sealed,
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
        "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49");
    ck_assert(crypto_open(opened, &key, &nonce, beside, span_of(sealed, sizeof sealed)));
    ck_assert_mem_eq(opened, text, sizeof opened);
    /* The key stream begins where block 1 of the cipher does not: block 0 makes the MAC key. */
    uint8_t stream[64 + 114];
    crypto_keystream(stream, sizeof stream, &key, &nonce);
    for (size_t n = 0; n < sizeof opened; n++) {
        ck_assert_uint_eq(sealed[n], plain.data[n] ^ stream[64 + n]);
    }
}
END_TEST

START_TEST(a_turned_bit_anywhere_does_not_open_and_leaves_nothing)
{
    struct key key = { { 1 } };
    struct nonce nonce = { { 2 } };
    uint8_t sealed[5 + SEAL_BYTES];
    uint8_t opened[5];
    const struct span all = span_of(sealed, sizeof sealed);

    crypto_seal(sealed, &key, &nonce, span_text("beside"), span_text("plain"));
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(opened, 0xaa, sizeof opened);
        ck_assert(!crypto_open(opened, &key, &nonce, span_text("beside"), all));
        ck_assert_mem_eq(opened, "\0\0\0\0\0", sizeof opened);
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(!crypto_open(opened, &key, &nonce, span_text("besidf"), all));
    ck_assert(!crypto_open(opened, &key, &nonce, span_text("beside"), span_of(sealed, SEAL_BYTES - 1)));
    ck_assert(!crypto_open(opened, &key, &nonce, span_text("beside"), (struct span){ 0 }));
    key.bytes[31] = 1;
    ck_assert(!crypto_open(opened, &key, &nonce, span_text("beside"), all));
    key.bytes[31] = 0;
    nonce.bytes[23] = 1;
    ck_assert(!crypto_open(opened, &key, &nonce, span_text("beside"), all));
    nonce.bytes[23] = 0;
    ck_assert(crypto_open(opened, &key, &nonce, span_text("beside"), all));
    ck_assert_mem_eq(opened, "plain", 5);
}
END_TEST

/* RFC 8032 section 7.1, "TEST SHA(abc)": its message of 64 bytes is taken as a
 * context of 32 and an id of 32. */
START_TEST(a_signature_is_ed25519)
{
    uint8_t seed[32];
    uint8_t signature[SIGNATURE_BYTES];
    char context[33] = { 0 };
    struct hash id;
    struct key_pair pair;

    from_hex(seed, 32, "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    from_hex((uint8_t *)context, 32, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a");
    from_hex(id.bytes, 32, "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    crypto_sign_pair_from_seed(&pair, seed);
    expect_bytes(pair.public_key, 32, "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf");
    crypto_sign_id(signature, &pair, context, &id);
    expect_bytes(signature, SIGNATURE_BYTES,
                 "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
                 "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704");
    ck_assert(crypto_verify(signature, pair.public_key, context, &id));
    /* S plus the order of the group satisfies the equation, and is refused. */
    from_hex(signature + 32, 32, "f6081526c7f3c544d498bf69432bbf453dca179c138ac17ad9bef1177331a714");
    ck_assert(!crypto_verify(signature, pair.public_key, context, &id));
}
END_TEST

START_TEST(a_signature_holds_for_its_key_context_and_id_alone)
{
    struct hash id = { { 9 } };
    uint8_t signature[SIGNATURE_BYTES];
    struct key_pair other;
    uint64_t before = crypto_verify_count();

    crypto_sign_pair(&other, &test.world);
    crypto_sign_id(signature, &signer, "VIGIL1ENTRY", &id);
    ck_assert(crypto_verify(signature, signer.public_key, "VIGIL1ENTRY", &id));
    ck_assert(!crypto_verify(signature, other.public_key, "VIGIL1ENTRY", &id));
    ck_assert(!crypto_verify(signature, signer.public_key, "VIGIL1STMT", &id));
    id.bytes[31] = 1;
    ck_assert(!crypto_verify(signature, signer.public_key, "VIGIL1ENTRY", &id));
    id.bytes[31] = 0;
    for (size_t n = 0; n < SIGNATURE_BYTES; n++) {
        signature[n] ^= 1;
        ck_assert(!crypto_verify(signature, signer.public_key, "VIGIL1ENTRY", &id));
        signature[n] ^= 1;
    }
    ck_assert_uint_eq(crypto_verify_count() - before, 4 + SIGNATURE_BYTES);
}
END_TEST

static const char *const small_order_keys[] = {
    "0100000000000000000000000000000000000000000000000000000000000000", /* order 1 */
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* order 2 */
    "0000000000000000000000000000000000000000000000000000000000000000", /* order 4 */
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", /* order 8 */
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
};

START_TEST(a_key_of_small_order_signs_nothing_and_is_not_enrolled)
{
    /* R the neutral element and S zero satisfy the equation whenever the key is of
     * small order and the hash happens to fit; for the neutral element, always. */
    uint8_t signature[SIGNATURE_BYTES] = { 1 };

    for (size_t n = 0; n < sizeof small_order_keys / sizeof small_order_keys[0]; n++) {
        uint8_t key[32];
        from_hex(key, sizeof key, small_order_keys[n]);
        ck_assert(!crypto_sign_key_valid(key));
        for (uint8_t id_byte = 0; id_byte < 16; id_byte++) {
            struct hash id = { { id_byte } };
            ck_assert(!crypto_verify(signature, key, "VIGIL1STMT", &id));
        }
    }
}
END_TEST

START_TEST(a_key_outside_of_the_prime_order_group_is_not_enrolled)
{
    static const char *const refused[] = {
        mixed_order,
        /* Not canonical: y = p + 1, p, and 2^255 - 1. */
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        /* y = 2: no point of the curve. */
        "0200000000000000000000000000000000000000000000000000000000000000",
    };
    uint8_t key[32];

    for (size_t n = 0; n < sizeof refused / sizeof refused[0]; n++) {
        from_hex(key, sizeof key, refused[n]);
        ck_assert_msg(!crypto_sign_key_valid(key), "%s was accepted", refused[n]);
    }
    ck_assert(crypto_sign_key_valid(signer.public_key));
    from_hex(key, sizeof key, "5866666666666666666666666666666666666666666666666666666666666666");
    ck_assert(crypto_sign_key_valid(key));
}
END_TEST

START_TEST(a_sealed_box_opens_for_its_owner_alone)
{
    uint8_t sealed[6 + BOX_SEAL_BYTES];
    uint8_t again[6 + BOX_SEAL_BYTES];
    uint8_t opened[6];
    struct key_pair other;
    const struct span all = span_of(sealed, sizeof sealed);

    crypto_box_pair(&other, &test.world);
    ck_assert(crypto_box_seal_to(sealed, box.public_key, span_text("secret"), &test.world));
    ck_assert(crypto_box_open_own(opened, &box, all));
    ck_assert_mem_eq(opened, "secret", 6);
    ck_assert(!crypto_box_open_own(opened, &other, all));
    ck_assert_mem_eq(opened, "\0\0\0\0\0\0", 6);
    for (size_t n = 0; n < sizeof sealed; n++) {
        sealed[n] ^= 2;
        ck_assert(!crypto_box_open_own(opened, &box, all));
        sealed[n] ^= 2;
    }
    ck_assert(!crypto_box_open_own(opened, &box, span_of(sealed, BOX_SEAL_BYTES - 1)));
    ck_assert(!crypto_box_open_own(opened, &box, (struct span){ 0 }));
    /* Chance comes from the world: another draw, another box; the same world, the same. */
    ck_assert(crypto_box_seal_to(again, box.public_key, span_text("secret"), &test.world));
    ck_assert_mem_ne(sealed, again, sizeof sealed);
}
END_TEST

START_TEST(a_box_key_of_low_order_is_refused)
{
    static const char *const refused[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t sealed[1 + BOX_SEAL_BYTES];

    for (size_t n = 0; n < sizeof refused / sizeof refused[0]; n++) {
        uint8_t key[32];
        from_hex(key, sizeof key, refused[n]);
        ck_assert(!crypto_box_key_valid(key));
        ck_assert(!crypto_box_seal_to(sealed, key, span_text("x"), &test.world));
    }
    ck_assert(crypto_box_key_valid(box.public_key));
}
END_TEST

/* RFC 7748 section 5.2: k and u are both nine. */
START_TEST(a_box_pair_is_x25519)
{
    const uint8_t secret[32] = { 9 };
    struct key_pair pair;

    crypto_box_pair_from_secret(&pair, secret);
    ck_assert_mem_eq(pair.secret_key, secret, 32);
    expect_bytes(pair.public_key, 32, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
}
END_TEST

/* Expected value: the reference program, `argon2 0123456789abcdef -id -t 1 -k 65536 -p 1 -l 32`. */
START_TEST(a_passphrase_becomes_a_key_by_argon2id)
{
    const uint8_t *salt = (const uint8_t *)"0123456789abcdef";
    const struct span passphrase = span_text("correct horse");
    struct key key;

    ck_assert_int_eq(crypto_passphrase_key(&key, passphrase, salt, 1, 64 << 20), ERR_OK);
    expect_bytes(key.bytes, KEY_BYTES, "a5e0914f49cf615621b5545cfbbc0f253b77ac3cd9cfba2c3c72c1c8a128e27c");
    ck_assert_int_eq(crypto_passphrase_key(&key, passphrase, salt, 0, 64 << 20), ERR_INVALID);
    ck_assert_int_eq(crypto_passphrase_key(&key, passphrase, salt, 1, (64 << 20) - 1), ERR_INVALID);
    ck_assert_int_eq(crypto_passphrase_key(&key, passphrase, salt, 1, (UINT64_C(4) << 30) + 1), ERR_INVALID);
}
END_TEST

START_TEST(a_secret_begins_zeroed_and_can_be_written)
{
    uint8_t *secret = crypto_secret_new(40);

    ck_assert_ptr_nonnull(secret);
    for (size_t n = 0; n < 40; n++) {
        ck_assert_uint_eq(secret[n], 0);
    }
    memset(secret, 7, 40);
    crypto_wipe(secret, 40);
    ck_assert_uint_eq(secret[39], 0);
    crypto_secret_free(secret);
    crypto_secret_free(NULL);
}
END_TEST

START_TEST(equality_sees_every_byte)
{
    uint8_t a[32] = { 0 };
    uint8_t b[32] = { 0 };

    ck_assert(crypto_equal(a, b, sizeof a));
    for (size_t n = 0; n < sizeof a; n++) {
        b[n] = 0x80;
        ck_assert(!crypto_equal(a, b, sizeof a));
        b[n] = 0;
    }
}
END_TEST

START_TEST(the_systems_randomness_does_not_repeat)
{
    uint8_t a[32] = { 0 };
    uint8_t b[32] = { 0 };

    crypto_os_random(a, sizeof a);
    crypto_os_random(b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
}
END_TEST

/* Three parts under a fixed key and header. Expected values: libsodium 1.0.18's own push, its header put in place of a
 * random one, as printed by a program apart. */
static void
seal_three(uint8_t sealed[3][16 + PART_SEAL_BYTES])
{
    uint8_t header[PART_HEADER_BYTES];
    struct crypto_parts parts;
    struct key key;

    memset(header, 0x11, sizeof header);
    memset(key.bytes, 0x22, sizeof key.bytes);
    crypto_parts_begin(&parts, &key, header);
    for (int n = 0; n < 3; n++) {
        uint8_t plain[16];

        memset(plain, n, sizeof plain);
        crypto_parts_seal(&parts, sealed[n], span_of(plain, sizeof plain), n == 2);
    }
}

static void
begin_three(struct crypto_parts *parts)
{
    uint8_t header[PART_HEADER_BYTES];
    struct key key;

    memset(header, 0x11, sizeof header);
    memset(key.bytes, 0x22, sizeof key.bytes);
    crypto_parts_begin(parts, &key, header);
}

START_TEST(a_text_in_parts_is_libsodiums_secretstream)
{
    uint8_t sealed[3][16 + PART_SEAL_BYTES];
    struct crypto_parts parts;

    seal_three(sealed);
    expect_bytes(sealed[0], sizeof sealed[0],
                 "b7ab3ca20fa3411dc0c79e127d1d9b81aedb26257748b7f5ca474c11b30f87bd05");
    expect_bytes(sealed[1], sizeof sealed[1],
                 "533cd9d165d515e1ff9c95c590458afb00991919ffbb678cad66bbc18243e06224");
    expect_bytes(sealed[2], sizeof sealed[2],
                 "5cd90b392d9d976fc5284a0c28935aadffe502c2ba949155ed4cccab75be1f9e9d");
    begin_three(&parts);
    for (int n = 0; n < 3; n++) {
        uint8_t opened[16];
        uint8_t expected[16];
        bool last = n != 2;

        memset(expected, n, sizeof expected);
        ck_assert(crypto_parts_open(&parts, opened, span_of(sealed[n], sizeof sealed[n]), &last));
        ck_assert_mem_eq(opened, expected, sizeof opened);
        ck_assert(last == (n == 2));
    }
}
END_TEST

START_TEST(parts_open_whole_in_their_order_and_once)
{
    static const uint8_t zeros[16];
    uint8_t sealed[3][16 + PART_SEAL_BYTES];
    uint8_t opened[16];
    struct crypto_parts parts;
    bool last;

    seal_three(sealed);
    begin_three(&parts);
    for (size_t bit = 0; bit < 8 * sizeof sealed[0]; bit++) {
        sealed[0][bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!crypto_parts_open(&parts, opened, span_of(sealed[0], sizeof sealed[0]), &last));
        ck_assert_mem_eq(opened, zeros, sizeof opened);
        sealed[0][bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < sizeof sealed[0]; size++) {
        ck_assert(!crypto_parts_open(&parts, opened, span_of(sealed[0], size), &last));
    }
    ck_assert(!crypto_parts_open(&parts, opened, span_of(sealed[1], sizeof sealed[1]), &last));
    ck_assert(crypto_parts_open(&parts, opened, span_of(sealed[0], sizeof sealed[0]), &last));
    ck_assert(!last);
    ck_assert(!crypto_parts_open(&parts, opened, span_of(sealed[0], sizeof sealed[0]), &last));
    ck_assert(!crypto_parts_open(&parts, opened, span_of(sealed[2], sizeof sealed[2]), &last));
    ck_assert(crypto_parts_open(&parts, opened, span_of(sealed[1], sizeof sealed[1]), &last));
    ck_assert(crypto_parts_open(&parts, opened, span_of(sealed[2], sizeof sealed[2]), &last));
    ck_assert(last);
}
END_TEST

START_TEST(a_signing_key_stands_for_a_box_key)
{
    uint8_t sealed[5 + BOX_SEAL_BYTES];
    uint8_t opened[5];
    uint8_t box_pk[32];
    uint8_t bad[32];
    struct key_pair pair;

    ck_assert(crypto_box_key_of_sign_key(box_pk, signer.public_key));
    crypto_box_pair_of_sign_pair(&pair, &signer);
    ck_assert_mem_eq(pair.public_key, box_pk, sizeof box_pk);
    ck_assert(crypto_box_seal_to(sealed, box_pk, span_text("hello"), &test.world));
    ck_assert(crypto_box_open_own(opened, &pair, span_of(sealed, sizeof sealed)));
    ck_assert_mem_eq(opened, "hello", 5);
    from_hex(bad, sizeof bad, mixed_order);
    ck_assert(!crypto_box_key_of_sign_key(box_pk, bad));
}
END_TEST

START_TEST(a_test_world_repeats_itself_and_fails_when_told)
{
    struct test_world other;
    uint8_t a[40];
    uint8_t b[40];

    test_world_init(&test, 7);
    test_world_init(&other, 7);
    world_random(&test.world, a, sizeof a);
    world_random(&other.world, b, sizeof b);
    ck_assert_mem_eq(a, b, sizeof a);
    world_random(&other.world, b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    test_world_pass(&test, 250);
    ck_assert_uint_eq(world_steady_ms(&test.world), 250);
    ck_assert_uint_eq(world_wall_ms(&test.world) - world_wall_ms(&other.world), 250);
    ck_assert(world_send(&test.world, 0, span_text("frame")));
    ck_assert_uint_eq(test.sent, 1);
    test_world_fail_disk(&test, 2, ERR_FULL);
    ck_assert_int_eq(world_disk(&test.world, WORLD_DISK_BEGIN), ERR_OK);
    ck_assert_int_eq(world_disk(&test.world, WORLD_DISK_COMMIT), ERR_FULL);
    ck_assert_int_eq(world_disk(&test.world, WORLD_DISK_COMMIT), ERR_OK);
}
END_TEST

SUITE_MAIN_WITH("crypto", start, NULL, a_hash_is_blake2b_with_its_context, a_short_hash_is_siphash_2_4,
                sealing_is_xchacha20_poly1305, a_turned_bit_anywhere_does_not_open_and_leaves_nothing,
                a_signature_is_ed25519, a_signature_holds_for_its_key_context_and_id_alone,
                a_key_of_small_order_signs_nothing_and_is_not_enrolled,
                a_key_outside_of_the_prime_order_group_is_not_enrolled,
                a_sealed_box_opens_for_its_owner_alone, a_box_key_of_low_order_is_refused,
                a_box_pair_is_x25519, a_passphrase_becomes_a_key_by_argon2id,
                a_secret_begins_zeroed_and_can_be_written, equality_sees_every_byte,
                a_text_in_parts_is_libsodiums_secretstream, parts_open_whole_in_their_order_and_once,
                a_signing_key_stands_for_a_box_key, the_systems_randomness_does_not_repeat,
                a_test_world_repeats_itself_and_fails_when_told)
