#include "tests/support/check.h"

#include "store/base/err.h"
#include "store/base/ident.h"

#include <string.h>

static struct hash
counting_hash(void)
{
    struct hash hash;

    for (size_t n = 0; n < HASH_BYTES; n++) {
        hash.bytes[n] = (uint8_t)(0x1f * n);
    }
    return hash;
}

START_TEST(a_short_id_is_the_first_eight_bytes_in_hex)
{
    struct hash hash = counting_hash();
    struct ident ident;

    memcpy(ident.bytes, hash.bytes, IDENT_BYTES);
    ck_assert_str_eq(hash_short(&hash).text, "001f3e5d7c9bbad9");
    ck_assert_str_eq(ident_short(&ident).text, "001f3e5d7c9bbad9");
}
END_TEST

START_TEST(a_fingerprint_is_twelve_groups_of_five_digits)
{
    struct hash hash = counting_hash();

    memset(hash.bytes + 2, 0xff, 2);
    ck_assert_str_eq(hash_fingerprint(&hash).text,
                     "00031 65535 31899 47833 63511 13909 29843 45777 61455 11853 27787 43721");
}
END_TEST

START_TEST(ids_are_ordered_by_their_bytes)
{
    struct hash low = counting_hash();
    struct hash high = low;
    struct ident a = { { 1 } };
    struct ident b = { { 1 } };

    ck_assert(hash_equal(&low, &high));
    ck_assert_int_eq(hash_compare(&low, &high), 0);
    high.bytes[31]++;
    ck_assert(!hash_equal(&low, &high));
    ck_assert_int_lt(hash_compare(&low, &high), 0);
    ck_assert(ident_equal(&a, &b));
    b.bytes[15] = 1;
    ck_assert(!ident_equal(&a, &b));
    ck_assert_int_gt(ident_compare(&b, &a), 0);
}
END_TEST

START_TEST(only_zero_is_zero)
{
    struct hash hash = { { 0 } };
    struct ident ident = { { 0 } };

    ck_assert(hash_is_zero(&hash));
    ck_assert(ident_is_zero(&ident));
    hash.bytes[31] = 1;
    ident.bytes[15] = 1;
    ck_assert(!hash_is_zero(&hash));
    ck_assert(!ident_is_zero(&ident));
}
END_TEST

START_TEST(every_error_has_a_code_and_a_sentence_of_its_own)
{
    for (int a = 0; a < ERR_COUNT; a++) {
        ck_assert_int_gt((int)strlen(err_code((enum err)a)), 0);
        ck_assert_int_gt((int)strlen(err_text((enum err)a)), 0);
        for (int b = 0; b < a; b++) {
            ck_assert_str_ne(err_code((enum err)a), err_code((enum err)b));
            ck_assert_str_ne(err_text((enum err)a), err_text((enum err)b));
        }
    }
    ck_assert_str_eq(err_code(ERR_CORRUPT), "corrupt");
    ck_assert_str_eq(err_code(ERR_COUNT), "unknown");
}
END_TEST

SUITE_MAIN("ident", a_short_id_is_the_first_eight_bytes_in_hex, a_fingerprint_is_twelve_groups_of_five_digits,
           ids_are_ordered_by_their_bytes, only_zero_is_zero,
           every_error_has_a_code_and_a_sentence_of_its_own)
