/* Values and names as the API tells them. */
#include "node/value.h"

#include "tests/support/check.h"

#include <string.h>

static const struct codebook *
book(void)
{
    return codebook_reprisals();
}

static uint32_t
kind(const char *name)
{
    return codebook_kind_by_name(book(), name)->number;
}

/* Another device may write any bytes into a field that no codebook here knows. */
START_TEST(no_text_of_others_breaks_the_line_that_tells_it)
{
    static const char *const texts[] = { "a\0b", "\xff\xfe", "\0", "\xc3", "a\nb" };
    static const size_t sizes[] = { 3, 2, 1, 1, 3 };

    for (size_t n = 0; n < sizeof texts / sizeof texts[0]; n++) {
        json_t *json = json_pack("{s:o}", "value", text_json(span_of(texts[n], sizes[n])));
        char *line = json_dumps(json, JSON_COMPACT);
        ck_assert_ptr_nonnull(line);
        ck_assert_ptr_null(strchr(line, '\n'));
        json_t *read = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        ck_assert_msg(read != NULL, "text %zu makes a line that no client reads: %s", n, line);
        json_decref(read);
        json_decref(json);
        free(line);
    }
}
END_TEST

START_TEST(a_mistyped_name_is_met_with_the_nearest_of_its_kind)
{
    const struct codebook_collection *act = codebook_collection_by_name(book(), kind("case"), "act");

    ck_assert_str_eq(value_guess_name(book(), kind("case"), NULL, "stats").text, ": did you mean status?");
    ck_assert_str_eq(value_guess_name(book(), kind("case"), NULL, "acts").text, ": did you mean act?");
    ck_assert_str_eq(value_guess_name(book(), kind("case"), act, "typ_of_act").text,
                     ": did you mean type_of_act?");
    ck_assert_str_eq(value_guess_name(book(), kind("person"), NULL, "pseudonim").text,
                     ": did you mean pseudonym?");
    ck_assert_str_eq(value_guess_name(book(), kind("case"), NULL, "pseudonim").text, "");
    ck_assert_str_eq(value_guess_kind(book(), "persn").text, ": did you mean person?");
    ck_assert_str_eq(value_guess_kind(book(), "elephants").text, "");
}
END_TEST

SUITE_MAIN("value", no_text_of_others_breaks_the_line_that_tells_it,
           a_mistyped_name_is_met_with_the_nearest_of_its_kind)
