/* By what a row and its elements are known: the same on every node, whatever its version. */
#include "node/casework/importing.h"
#include "tests/support/check.h"

#include <string.h>

static struct key secret;

static void
setup(void)
{
    struct replica_identity identity = { 0 };

    memset(identity.control_key.bytes, 1, sizeof identity.control_key.bytes);
    memset(identity.org.bytes, 2, sizeof identity.org.bytes);
    importing_secret(&secret, &identity);
}

/* From an implementation of its own, by sync/FORMATS.md, "imported rows". */
START_TEST(a_row_and_its_elements_have_the_bytes_of_the_format)
{
    char hex[2 * IDENT_BYTES + 1];
    uint8_t element[ELEMENT_ID_BYTES];
    struct ident row;

    importing_row(&row, &secret, "uwazi", "case", "17");
    bytes_hex(hex, ident_span(&row));
    ck_assert_str_eq(hex, "86a50928bc860ddf7a3c8f5b1d78bc02");
    importing_element(element, &row, "act[1]");
    bytes_hex(hex, span_of(element, sizeof element));
    ck_assert_str_eq(hex, "1b09a2d7dfee96dc");
}
END_TEST

START_TEST(no_two_rows_are_known_by_one_string)
{
    struct ident one;
    struct ident other;

    importing_row(&one, &secret, "a", "bc", "d");
    importing_row(&other, &secret, "ab", "c", "d");
    ck_assert(!ident_equal(&one, &other));
    importing_row(&other, &secret, "a", "b", "cd");
    ck_assert(!ident_equal(&one, &other));
    importing_row(&other, &secret, "a", "bc", "d");
    ck_assert(ident_equal(&one, &other));
}
END_TEST

SUITE_MAIN_WITH("importing", setup, NULL, a_row_and_its_elements_have_the_bytes_of_the_format,
                no_two_rows_are_known_by_one_string)
