/* What a typo probably meant. */
#include "store/base/nearest.h"

#include "tests/support/check.h"

#include <stddef.h>

static const char *const names[] = { "status", "title", "country_of_act", "act", "urgency" };
enum { NAME_COUNT = sizeof names / sizeof names[0] };

START_TEST(a_name_with_up_to_two_mistakes_is_recognised)
{
    ck_assert_str_eq(nearest_name("stats", names, NAME_COUNT), "status");
    ck_assert_str_eq(nearest_name("stauts", names, NAME_COUNT), "status");
    ck_assert_str_eq(nearest_name("countr_of_act", names, NAME_COUNT), "country_of_act");
    ck_assert_str_eq(nearest_name("xtitlee", names, NAME_COUNT), "title");
    ck_assert_str_eq(nearest_name("ac", names, NAME_COUNT), "act");
}
END_TEST

START_TEST(another_word_is_nobody)
{
    ck_assert_ptr_null(nearest_name("elephant", names, NAME_COUNT));
    ck_assert_ptr_null(nearest_name("", names, NAME_COUNT));
    ck_assert_ptr_null(nearest_name("ox", names, NAME_COUNT));
    ck_assert_ptr_null(nearest_name("status", names, 0));
}
END_TEST

SUITE_MAIN("nearest", a_name_with_up_to_two_mistakes_is_recognised, another_word_is_nobody)
