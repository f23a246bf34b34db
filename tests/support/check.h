/* check.h - one file of tests is one program of one suite.
 *
 *     START_TEST(a_varint_has_one_form) { ck_assert(...); } END_TEST
 *
 *     SUITE_MAIN("bytes", a_varint_has_one_form, ...)
 *
 * A suite whose tests need something opened names a fixture that runs before
 * and after each of them, in the child that Check forks:
 *
 *     SUITE_MAIN_WITH("table", open_store, close_store, a_row_comes_back, ...)
 *
 * Tests of one program share no state, whether Check forks or CK_FORK=no.
 */
#pragma once

#include <check.h>

/* Seconds until a test that hangs is ended: generous, for sanitizers and slow machines. */
enum { TEST_SECONDS_MAX = 900 };

/* ck_assert where it is asked millions of times: Check writes a mark to a pipe for each of its own, and none for this. */
#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            ck_abort_msg("%s", #condition);                                                                  \
        }                                                                                                    \
    } while (0)

/* Run `tests` as the suite `name`; either of `setup` and `teardown` may be NULL.
 * Gives the program's exit status. */
int check_suite(const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const *tests,
                int test_count);

#define SUITE_MAIN_WITH(name, setup, teardown, ...)                                                          \
    int main(void)                                                                                           \
    {                                                                                                        \
        const TTest *const tests[] = { __VA_ARGS__ };                                                        \
                                                                                                             \
        return check_suite((name), (setup), (teardown), tests, (int)(sizeof tests / sizeof tests[0]));       \
    }

#define SUITE_MAIN(name, ...) SUITE_MAIN_WITH(name, NULL, NULL, __VA_ARGS__)
