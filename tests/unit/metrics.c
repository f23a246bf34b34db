#include "tests/support/check.h"

#include "node/metrics.h"

#include <string.h>

static struct metrics metrics;

static void
setup(void)
{
    metrics = (struct metrics){ .name = "" };
}

static void
teardown(void)
{
    buf_free(&metrics.out);
}

static void
ck_assert_text(const char *text)
{
    buf_put_u8(&metrics.out, 0);
    ck_assert_str_eq((const char *)metrics.out.data, text);
}

START_TEST(a_metric_says_what_it_is_and_of_what_type)
{
    metrics_one(&metrics, "vigil_entries", METRIC_GAUGE, "Entries that are here", 7);
    metrics_begin(&metrics, "vigil_refused_total", METRIC_COUNTER, "Refused");
    metrics_put_of(&metrics, "reason", "forged", NULL, NULL, UINT64_MAX);
    metrics_put_of(&metrics, "peer", "3f09", "reason", "stray", 0);
    ck_assert_text("# HELP vigil_entries Entries that are here\n# TYPE vigil_entries gauge\nvigil_entries 7\n"
                   "# HELP vigil_refused_total Refused\n# TYPE vigil_refused_total counter\n"
                   "vigil_refused_total{reason=\"forged\"} 18446744073709551615\n"
                   "vigil_refused_total{peer=\"3f09\",reason=\"stray\"} 0\n");
}
END_TEST

START_TEST(a_label_cannot_end_its_quotation_or_its_line)
{
    metrics_begin(&metrics, "m", METRIC_GAUGE, "M");
    metrics_put_of(&metrics, "reason", "a\"} 1\nb\\c", NULL, NULL, 2);
    ck_assert_text("# HELP m M\n# TYPE m gauge\nm{reason=\"a\\\"} 1\\nb\\\\c\"} 2\n");
}
END_TEST

SUITE_MAIN_WITH("metrics", setup, teardown, a_metric_says_what_it_is_and_of_what_type,
                a_label_cannot_end_its_quotation_or_its_line)
