#include "store/edtf.h"

#include <assert.h>
#include <string.h>
#include <time.h>

/* Exactly `count` digits from the front of `text`; -1 if they are not there. */
static int
take_digits(struct span *text, size_t count)
{
    int number = 0;

    if (text->size < count) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (text->data[i] < '0' || text->data[i] > '9') {
            return -1;
        }
        number = 10 * number + (text->data[i] - '0');
    }
    *text = span_of(text->data + count, text->size - count);
    return number;
}

static bool
take_byte(struct span *text, char byte)
{
    if (text->size == 0 || text->data[0] != (uint8_t)byte) {
        return false;
    }
    *text = span_of(text->data + 1, text->size - 1);
    return true;
}

static int
days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

/* A date at the front of `text`, with its qualifier. */
static bool
take_date(struct span *text, struct edtf_date *out)
{
    memset(out, 0, sizeof *out);
    int year = take_digits(text, 4);
    if (year < 0) {
        return false;
    }
    out->year = (uint16_t)year;
    if (take_byte(text, '-')) {
        int month = take_digits(text, 2);
        if (month < 1 || month > 12) {
            return false;
        }
        out->month = (uint8_t)month;
        if (take_byte(text, '-')) {
            int day = take_digits(text, 2);
            if (day < 1 || day > days_in_month(year, month)) {
                return false;
            }
            out->day = (uint8_t)day;
        }
    }
    if (take_byte(text, '?')) {
        out->qualifiers = EDTF_UNCERTAIN;
    } else if (take_byte(text, '~')) {
        out->qualifiers = EDTF_APPROXIMATE;
    } else if (take_byte(text, '%')) {
        out->qualifiers = EDTF_UNCERTAIN | EDTF_APPROXIMATE;
    }
    return true;
}

static bool
take_end(struct span *text, struct edtf_date *out)
{
    if (take_byte(text, '.')) {
        memset(out, 0, sizeof *out);
        out->open = true;
        return take_byte(text, '.');
    }
    return take_date(text, out);
}

/* The first or last day of `date` as a number that sorts: 20190314. */
static int
day_number(const struct edtf_date *date, bool last)
{
    int month = date->month != 0 ? date->month : (last ? 12 : 1);
    int day = date->day != 0 ? date->day : (last ? days_in_month(date->year, month) : 1);

    return (date->year * 100 + month) * 100 + day;
}

bool
edtf_parse(struct edtf *out, struct span text)
{
    memset(out, 0, sizeof *out);
    if (!take_end(&text, &out->from)) {
        return false;
    }
    if (!take_byte(&text, '/')) {
        out->to = out->from;
        return text.size == 0 && !out->from.open;
    }
    out->interval = true;
    if (!take_end(&text, &out->to) || text.size != 0) {
        return false;
    }
    if (out->from.open || out->to.open) {
        return out->from.open != out->to.open;
    }
    return day_number(&out->from, false) <= day_number(&out->to, true);
}

enum edtf_precision
edtf_precision(const struct edtf *edtf)
{
    if (edtf->interval) {
        return EDTF_INTERVAL;
    }
    if (edtf->from.month == 0) {
        return EDTF_YEAR;
    }
    return edtf->from.day == 0 ? EDTF_MONTH : EDTF_DAY;
}

static void
write_digits(char *at, int number, size_t count)
{
    while (count > 0) {
        at[--count] = (char)('0' + number % 10);
        number /= 10;
    }
}

static bool
write_day(const struct edtf_date *date, bool last, struct edtf_day *out)
{
    memset(out, 0, sizeof *out);
    if (date->open) {
        return false;
    }
    int number = day_number(date, last);
    write_digits(out->text, number / 10000, 4);
    out->text[4] = '-';
    write_digits(out->text + 5, number / 100 % 100, 2);
    out->text[7] = '-';
    write_digits(out->text + 8, number % 100, 2);
    return true;
}

bool
edtf_earliest(const struct edtf *edtf, struct edtf_day *out)
{
    return write_day(&edtf->from, false, out);
}

bool
edtf_latest(const struct edtf *edtf, struct edtf_day *out)
{
    return write_day(&edtf->to, true, out);
}

/* `month` 0: the year alone. */
static void
write_month(int year, int month, struct edtf_month *out)
{
    memset(out, 0, sizeof *out);
    write_digits(out->text, year, 4);
    if (month != 0) {
        out->text[4] = '-';
        write_digits(out->text + 5, month, 2);
    }
}

size_t
edtf_months(const struct edtf *edtf, struct edtf_month out[EDTF_MONTHS_MAX])
{
    const struct edtf_date *from = edtf->from.open ? &edtf->to : &edtf->from;
    const struct edtf_date *to = edtf->to.open ? &edtf->from : &edtf->to;
    size_t count = 0;

    assert(!from->open && !to->open);
    int first = from->year * 12 + from->month - 1;
    int last = to->year * 12 + to->month - 1;
    if (from->month != 0 && to->month != 0 && last - first < EDTF_MONTHS_MAX) {
        for (int month = first; month <= last; month++) {
            write_month(month / 12, month % 12 + 1, &out[count++]);
        }
        return count;
    }
    for (int year = from->year; year <= to->year && count < EDTF_MONTHS_MAX; year++) {
        write_month(year, 0, &out[count++]);
    }
    return count;
}

struct edtf_day
edtf_day_of(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct edtf_day day = { "9999-12-31" };
    struct tm parts;

    if (gmtime_r(&seconds, &parts) != NULL && parts.tm_year + 1900 <= 9999) {
        (void)strftime(day.text, sizeof day.text, "%Y-%m-%d", &parts);
    }
    return day;
}
