#include "store/edtf.h"

#include "tests/support/check.h"

#include <stdio.h>

static const struct {
    const char *text;
    enum edtf_precision precision;
    const char *earliest; /* NULL: open */
    const char *latest;
    const char *months; /* separated by spaces */
} good[] = {
    { "2019", EDTF_YEAR, "2019-01-01", "2019-12-31", "2019" },
    { "0000", EDTF_YEAR, "0000-01-01", "0000-12-31", "0000" },
    { "9999-12-31", EDTF_DAY, "9999-12-31", "9999-12-31", "9999-12" },
    { "2019-03", EDTF_MONTH, "2019-03-01", "2019-03-31", "2019-03" },
    { "2019-02~", EDTF_MONTH, "2019-02-01", "2019-02-28", "2019-02" },
    { "2000-02", EDTF_MONTH, "2000-02-01", "2000-02-29", "2000-02" },
    { "1900-02", EDTF_MONTH, "1900-02-01", "1900-02-28", "1900-02" },
    { "2024-02-29", EDTF_DAY, "2024-02-29", "2024-02-29", "2024-02" },
    { "2019-03-14%", EDTF_DAY, "2019-03-14", "2019-03-14", "2019-03" },
    { "2019?", EDTF_YEAR, "2019-01-01", "2019-12-31", "2019" },
    { "2019-03/2019-05", EDTF_INTERVAL, "2019-03-01", "2019-05-31", "2019-03 2019-04 2019-05" },
    { "2019-11-30~/2020-01-02?", EDTF_INTERVAL, "2019-11-30", "2020-01-02", "2019-11 2019-12 2020-01" },
    { "2018/2020-03", EDTF_INTERVAL, "2018-01-01", "2020-03-31", "2018 2019 2020" },
    { "2010-05/2014-02", EDTF_INTERVAL, "2010-05-01", "2014-02-28", "2010 2011 2012 2013 2014" },
    { "2024-11-02/..", EDTF_INTERVAL, "2024-11-02", NULL, "2024-11" },
    { "../2020", EDTF_INTERVAL, NULL, "2020-12-31", "2020" },
    { "2019-05/2019", EDTF_INTERVAL, "2019-05-01", "2019-12-31", "2019" },
    { "2019-05-04/2019-05-04", EDTF_INTERVAL, "2019-05-04", "2019-05-04", "2019-05" },
};

/* What it says of each date was worked out by hand. */
START_TEST(a_date_gives_its_days_and_months)
{
    for (size_t n = 0; n < sizeof good / sizeof *good; n++) {
        struct edtf edtf;
        struct edtf_day day;
        struct edtf_month months[EDTF_MONTHS_MAX];
        struct buf text = { 0 };

        ck_assert_msg(edtf_parse(&edtf, span_text(good[n].text)), "%s", good[n].text);
        ck_assert_int_eq(edtf_precision(&edtf), good[n].precision);
        ck_assert_int_eq(edtf_earliest(&edtf, &day), good[n].earliest != NULL);
        ck_assert_str_eq(day.text, good[n].earliest != NULL ? good[n].earliest : "");
        ck_assert_int_eq(edtf_latest(&edtf, &day), good[n].latest != NULL);
        ck_assert_str_eq(day.text, good[n].latest != NULL ? good[n].latest : "");
        size_t count = edtf_months(&edtf, months);
        for (size_t i = 0; i < count; i++) {
            buf_printf(&text, "%s%s", i == 0 ? "" : " ", months[i].text);
        }
        ck_assert(span_equal(buf_span(&text), span_text(good[n].months)));
        buf_free(&text);
    }
}
END_TEST

static const char *const bad[] = {
    "",
    "..",
    "../..",
    "/",
    "2019/",
    "/2019",
    "19",
    "201",
    "20190",
    "2019-",
    "2019-3",
    "2019-00",
    "2019-13",
    "2019-02-29",
    "1900-02-29",
    "2019-04-31",
    "2019-01-00",
    "2019-01-32",
    "2019-1-1",
    "2019-01-01T00:00:00Z",
    "-2019",
    "2019??",
    "?2019",
    "2019?-03",
    "2019~ ",
    " 2019",
    "2019.",
    "2019/2018",
    "2019-05/2019-04",
    "2020/../2021",
    "2019/2020/2021",
    "...",
    "./2019",
    "2019-03-14\n",
    "20l9",
    "+2019",
    "2019-03-1x",
};

START_TEST(what_is_no_date_is_refused)
{
    struct edtf edtf;

    for (size_t n = 0; n < sizeof bad / sizeof *bad; n++) {
        ck_assert_msg(!edtf_parse(&edtf, span_text(bad[n])), "%s", bad[n]);
    }
}
END_TEST

START_TEST(a_qualifier_is_kept_with_its_end)
{
    struct edtf edtf;

    ck_assert(edtf_parse(&edtf, span_text("2019?/2020-03%")));
    ck_assert_uint_eq(edtf.from.qualifiers, EDTF_UNCERTAIN);
    ck_assert_uint_eq(edtf.to.qualifiers, EDTF_UNCERTAIN | EDTF_APPROXIMATE);
    ck_assert(edtf_parse(&edtf, span_text("2019-03-01~")));
    ck_assert_uint_eq(edtf.from.qualifiers, EDTF_APPROXIMATE);
    ck_assert_uint_eq(edtf.to.qualifiers, EDTF_APPROXIMATE);
}
END_TEST

START_TEST(a_long_interval_gives_no_more_than_the_most)
{
    struct edtf edtf;
    struct edtf_month months[EDTF_MONTHS_MAX];

    ck_assert(edtf_parse(&edtf, span_text("2001-01/2003-12")));
    ck_assert_uint_eq(edtf_months(&edtf, months), EDTF_MONTHS_MAX);
    ck_assert_str_eq(months[EDTF_MONTHS_MAX - 1].text, "2003-12");
    ck_assert(edtf_parse(&edtf, span_text("2001-01/2004-01")));
    ck_assert_uint_eq(edtf_months(&edtf, months), 4);
    ck_assert(edtf_parse(&edtf, span_text("0001/9999")));
    ck_assert_uint_eq(edtf_months(&edtf, months), EDTF_MONTHS_MAX);
    ck_assert_str_eq(months[EDTF_MONTHS_MAX - 1].text, "0036");
}
END_TEST

/* Two leap years and two others: no day too many, and none too few. */
START_TEST(exactly_the_real_days_are_days)
{
    static const int years[] = { 1900, 2000, 2023, 2024 };
    static const int lengths[] = { 365, 366, 365, 366 };

    for (int n = 0; n < 4; n++) {
        int found = 0;
        for (int month = 0; month <= 13; month++) {
            for (int day = 0; day <= 33; day++) {
                char text[32];
                struct edtf edtf;
                snprintf(text, sizeof text, "%04d-%02d-%02d", years[n], month, day);
                found += edtf_parse(&edtf, span_text(text));
            }
        }
        ck_assert_int_eq(found, lengths[n]);
    }
}
END_TEST

SUITE_MAIN("edtf", a_date_gives_its_days_and_months, what_is_no_date_is_refused,
           a_qualifier_is_kept_with_its_end, a_long_interval_gives_no_more_than_the_most,
           exactly_the_real_days_are_days)
