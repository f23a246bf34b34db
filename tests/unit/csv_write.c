/* What a spreadsheet gets: every cell quoted, and none that runs. */
#include "tests/support/check.h"
#include "tools/csv_write.h"

#include <stdlib.h>
#include <string.h>

static void
expect_row(const char *const *cells, size_t count, const char *wanted)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(to);
    csv_write_row(to, cells, count);
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_str_eq(text, wanted);
    free(text);
}

START_TEST(cells_are_quoted_whatever_they_hold)
{
    const char *const cells[] = {
        "plain", "with, comma", "with \"quotes\"", "two\nlines", "", NULL, "الشهود"
    };

    expect_row(cells, 7,
               "\"plain\",\"with, comma\",\"with \"\"quotes\"\"\",\"two\nlines\",\"\",\"\",\"الشهود\"\n");
}
END_TEST

START_TEST(what_a_spreadsheet_would_run_begins_with_an_apostrophe)
{
    const char *const cells[] = {
        "=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "a=b", "'=", "\n=1", "＝1", "＠x"
    };

    expect_row(
        cells, 11,
        "\"'=HYPERLINK(\"\"http://x\"\")\",\"'+1\",\"'-1\",\"'@SUM(A1)\",\"'\tx\",\"'\rx\",\"a=b\",\"'=\","
        "\"'\n=1\",\"'＝1\",\"'＠x\"\n");
}
END_TEST

SUITE_MAIN("csv_write", cells_are_quoted_whatever_they_hold,
           what_a_spreadsheet_would_run_begins_with_an_apostrophe)
