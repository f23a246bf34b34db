#include "tests/support/check.h"

#include <stdlib.h>

int
check_suite(const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const *tests,
            int test_count)
{
    Suite *suite = suite_create(name);

    /* Each a case of its own, so that CK_RUN_CASE runs it alone. */
    for (int n = 0; n < test_count; n++) {
        TCase *alone = tcase_create(tests[n]->name);

        tcase_set_timeout(alone, TEST_SECONDS_MAX);
        tcase_add_checked_fixture(alone, setup, teardown);
        tcase_add_test(alone, tests[n]);
        suite_add_tcase(suite, alone);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    int ran = srunner_ntests_run(runner);
    srunner_free(runner);
    /* A suite that ran nothing has shown nothing. */
    return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
