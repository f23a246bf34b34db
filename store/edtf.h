/* edtf.h - dates that are not wholly known.
 *
 *     2019          2019-03       2019-03-14      a year, a month, a day
 *     2019?         2019-03~      2019-03-14%     uncertain, approximate, both
 *     2019-03/2019-05~            2024-11-02/..   an interval; with an open end
 *
 * Extended Date/Time Format (ISO 8601-2:2019) level 0 without times of day, with the
 * qualifiers ? ~ % at the end of a date and ".." for one open end of an interval.
 * Years are 0000 to 9999, days are real days of the Gregorian calendar.
 */
#pragma once

#include "store/base/bytes.h"

/* Qualifiers; % is both. */
enum edtf_qualifier { EDTF_UNCERTAIN = 1, EDTF_APPROXIMATE = 2 };

enum edtf_precision { EDTF_YEAR = 1, EDTF_MONTH, EDTF_DAY, EDTF_INTERVAL };

/* One date, or one end of an interval. */
struct edtf_date {
    bool open;          /* "..": nothing else is set */
    uint16_t year;      /* 0 to 9999 */
    uint8_t month;      /* 1 to 12; 0: not given */
    uint8_t day;        /* 1 to 31; 0: not given */
    uint8_t qualifiers; /* enum edtf_qualifier */
};

struct edtf {
    bool interval;
    struct edtf_date from;
    struct edtf_date to; /* the same as `from` unless it is an interval */
};

/* A calendar day, "2019-03-14". */
struct edtf_day {
    char text[11];
};

/* A year or a month, "2019" or "2019-03". */
struct edtf_month {
    char text[8];
};

enum { EDTF_TEXT_MAX = 23, EDTF_MONTHS_MAX = 36 };

/* Read `text`, all of it. False: not a date of this form, no such day, or an interval that
 * ends before it begins. */
bool edtf_parse(struct edtf *out, struct span text);

enum edtf_precision edtf_precision(const struct edtf *edtf);

/* The first and the last day that it may mean. False: open on that side. */
bool edtf_earliest(const struct edtf *edtf, struct edtf_day *out);
bool edtf_latest(const struct edtf *edtf, struct edtf_day *out);

/* The months it covers, ascending, and how many: an index finds a date by them. Where an end is known
 * to its year only, or the months are more than EDTF_MONTHS_MAX, years stand in their place; of more
 * years than that, the first ones. Of an open interval, only the end that is known. */
size_t edtf_months(const struct edtf *edtf, struct edtf_month out[EDTF_MONTHS_MAX]);

/* The day of a time in UTC. Of a clock that tells no day, the last there is: nothing is still to come then. */
struct edtf_day edtf_day_of(uint64_t wall_ms);
