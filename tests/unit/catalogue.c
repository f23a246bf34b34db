/* A catalogue of gettext: what stands in it is found, and what is none is refused. */
#include "tests/support/check.h"
#include "tests/support/mo.h"
#include "node/catalogue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADING                                                                                              \
    {                                                                                                        \
        "", "Content-Type: text/plain; charset=UTF-8\n"                                                      \
    }

static const struct support_message some[] = {
    HEADING,
    { "Case", "Cas" },
    { "Germany", "Allemagne" },
    { "field act.from\004From", "Du" },
    { "field act.from_whom\004From", "De" },
    { "kind\004Case", "Affaire" },
    { "kind case\004Case", "Dossier" },
    { "kind person\004Empty", "" },
};

enum { SOME = sizeof some / sizeof some[0] };

static enum err
parse(const struct support_message *messages, size_t count, bool big, struct catalogue **out)
{
    struct buf bytes = { 0 };

    support_mo(&bytes, messages, count, big);
    ck_assert(!bytes.failed);
    enum err err = catalogue_parse(out, &bytes);
    ck_assert_ptr_null(bytes.data);
    return err;
}

START_TEST(what_stands_in_it_is_found_in_either_order_of_bytes)
{
    for (int big = 0; big < 2; big++) {
        struct catalogue *catalogue = NULL;

        ck_assert_int_eq(parse(some, SOME, big == 1, &catalogue), ERR_OK);
        ck_assert_uint_eq(catalogue_count(catalogue), SOME - 1);
        ck_assert_str_eq(catalogue_find(catalogue, NULL, "Case"), "Cas");
        ck_assert_str_eq(catalogue_find(catalogue, NULL, "Germany"), "Allemagne");
        ck_assert_str_eq(catalogue_find(catalogue, "kind", "Case"), "Affaire");
        ck_assert_str_eq(catalogue_find(catalogue, "kind case", "Case"), "Dossier");
        ck_assert_str_eq(catalogue_find(catalogue, "field act.from", "From"), "Du");
        ck_assert_str_eq(catalogue_find(catalogue, "field act.from_whom", "From"), "De");
        catalogue_close(&catalogue);
        ck_assert_ptr_null(catalogue);
    }
}
END_TEST

START_TEST(what_does_not_is_not)
{
    struct catalogue *catalogue = NULL;

    ck_assert_int_eq(parse(some, SOME, false, &catalogue), ERR_OK);
    ck_assert_ptr_null(catalogue_find(catalogue, NULL, "France"));
    ck_assert_ptr_null(catalogue_find(catalogue, NULL, "From"));
    ck_assert_ptr_null(catalogue_find(catalogue, NULL, "Cas"));
    ck_assert_ptr_null(catalogue_find(catalogue, "kind", "Germany"));
    ck_assert_ptr_null(catalogue_find(catalogue, "kin", "Case"));
    ck_assert_ptr_null(catalogue_find(catalogue, "zzz", "Case"));
    ck_assert_ptr_null(catalogue_find(catalogue, "kind person", "Empty"));
    ck_assert_ptr_null(catalogue_find(NULL, NULL, "Case"));
    catalogue_close(&catalogue);
}
END_TEST

/* Refused: each breaks one rule. */
START_TEST(what_is_no_catalogue_of_utf8_is_refused)
{
    static const struct support_message no_heading[] = { { "Case", "Cas" } };
    static const struct support_message latin[] = { { "", "Content-Type: text/plain; charset=ISO-8859-1\n" },
                                                    { "Case", "Cas" } };
    static const struct support_message bytes_of_latin[] = { HEADING, { "Case", "\xe9" } };
    static const struct support_message descending[] = { HEADING, { "b", "x" }, { "a", "y" } };
    static const struct support_message twice[] = { HEADING, { "a", "x" }, { "a", "y" } };
    struct catalogue *catalogue = NULL;

    ck_assert_int_eq(parse(no_heading, 1, false, &catalogue), ERR_INVALID);
    ck_assert_int_eq(parse(latin, 2, false, &catalogue), ERR_INVALID);
    ck_assert_int_eq(parse(bytes_of_latin, 2, false, &catalogue), ERR_INVALID);
    ck_assert_int_eq(parse(descending, 3, false, &catalogue), ERR_INVALID);
    ck_assert_int_eq(parse(twice, 3, false, &catalogue), ERR_INVALID);
    ck_assert_ptr_null(catalogue);
}
END_TEST

/* However it is cut, and whichever number of its head or tables is too great, nothing outside of it is read. */
START_TEST(a_damaged_one_is_refused)
{
    struct buf whole = { 0 };
    struct catalogue *catalogue = NULL;

    support_mo(&whole, some, SOME, false);
    for (size_t size = 0; size < whole.size; size++) {
        struct buf part = { 0 };

        buf_put(&part, whole.data, size);
        ck_assert_int_eq(catalogue_parse(&catalogue, &part), ERR_INVALID);
    }
    /* Magic, revision, count, both tables, and all that stands in these; not the table of hashes, which is not read. */
    for (size_t at = 0; at < 28 + 2 * SOME * 8; at += 4) {
        struct buf part = { 0 };

        if (at == 20 || at == 24) {
            continue;
        }
        buf_put(&part, whole.data, whole.size);
        memset(part.data + at, 0xff, 4);
        ck_assert_int_eq(catalogue_parse(&catalogue, &part), ERR_INVALID);
    }
    buf_free(&whole);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_told_from_one_that_is_damaged)
{
    struct catalogue *catalogue = NULL;
    char path[] = "/tmp/vigil-catalogue-XXXXXX";
    int file = mkstemp(path);

    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(catalogue_open(&catalogue, path), ERR_INVALID);
    ck_assert_int_eq(ftruncate(file, (off_t)CATALOGUE_BYTES_MAX + 1), 0);
    ck_assert_int_eq(catalogue_open(&catalogue, path), ERR_FULL);
    (void)close(file);
    (void)unlink(path);
    ck_assert_int_eq(catalogue_open(&catalogue, path), ERR_ABSENT);
    ck_assert_int_eq(catalogue_open(&catalogue, "/tmp"), ERR_IO);
    ck_assert_ptr_null(catalogue);
}
END_TEST

SUITE_MAIN("catalogue", what_stands_in_it_is_found_in_either_order_of_bytes, what_does_not_is_not,
           what_is_no_catalogue_of_utf8_is_refused, a_damaged_one_is_refused,
           a_file_that_is_not_there_is_told_from_one_that_is_damaged)
