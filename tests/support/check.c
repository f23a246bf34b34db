#include "tests/support/check.h"

#include <stdlib.h>

int
check_suite(const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const *tests,
            int test_count)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);

    tcase_set_timeout(cases, TEST_SECONDS_MAX);
    tcase_add_checked_fixture(cases, setup, teardown);
    for (int n = 0; n < test_count; n++) {
        tcase_add_test(cases, tests[n]);
    }
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    int ran = srunner_ntests_run(runner);
    srunner_free(runner);
    /* A suite that ran nothing has shown nothing. */
    return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
