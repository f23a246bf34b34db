#include "node/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ZMTP_BYTES = 9,
    CURVE_BYTES = 33,
    SEGMENT_BYTES = 1400,
    SEGMENT_HEADER_BYTES = 40,
    DAY_S = 24 * 60 * 60,
};

static const uint64_t LIMIT_MAX = UINT64_C(1) << 50;

bool
line_settings_valid(const struct line_settings *settings)
{
    return settings->profile >= PROFILE_LAN && settings->profile <= PROFILE_ONEWAY &&
           settings->interval_min <= LINE_INTERVAL_MIN_MAX && settings->quiet_from < LINE_DAY_MINUTES &&
           settings->quiet_to < LINE_DAY_MINUTES && settings->day_bytes <= LIMIT_MAX &&
           settings->month_bytes <= LIMIT_MAX && envelope_schedule_valid(&settings->schedule) &&
           !line_breaks_schedule(settings);
}

bool
line_breaks_schedule(const struct line_settings *settings)
{
    return settings->schedule.bytes > 0 && settings->profile > PROFILE_WAN;
}

/* --- bytes --- */

/* Segments, and one acknowledgement for every two. */
static uint64_t
carried(uint64_t bytes)
{
    uint64_t segments = (bytes + SEGMENT_BYTES - 1) / SEGMENT_BYTES;

    return bytes + (segments + (segments + 1) / 2) * SEGMENT_HEADER_BYTES;
}

uint64_t
line_message_bytes(size_t size)
{
    return carried((uint64_t)size + ZMTP_BYTES + CURVE_BYTES);
}

uint64_t
line_handshake_bytes(void)
{
    /* Greeting, HELLO, WELCOME, INITIATE and READY, three segments to open and four to close. */
    return LINE_HANDSHAKE_BYTES + (6 + 3 + 4) * SEGMENT_HEADER_BYTES;
}

uint64_t
line_schedule_bytes(const struct envelope_schedule *schedule, uint64_t seconds)
{
    return schedule->bytes == 0 ? 0 : seconds / schedule->beat_s * line_message_bytes(schedule->bytes);
}

static uint32_t
day_of(uint64_t wall_ms)
{
    return (uint32_t)(wall_ms / 1000 / DAY_S);
}

static uint32_t
month_of(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL || parts.tm_year < 70) {
        return 0;
    }
    return (uint32_t)(parts.tm_year - 70) * 12 + (uint32_t)parts.tm_mon;
}

/* The first moment of a month since 1970. */
static uint64_t
month_begins_ms(uint32_t month)
{
    struct tm parts = { .tm_year = 70 + (int)(month / 12), .tm_mon = (int)(month % 12), .tm_mday = 1 };

    return (uint64_t)timegm(&parts) * 1000;
}

struct line_use
line_use_now(const struct line_use *use, uint64_t wall_ms)
{
    struct line_use now = *use;

    if (day_of(wall_ms) > use->day) {
        now.day = day_of(wall_ms);
        now.day_bytes = 0;
    }
    if (month_of(wall_ms) > use->month) {
        now.month = month_of(wall_ms);
        now.month_bytes = 0;
    }
    return now;
}

void
line_count(struct line_use *use, uint64_t wall_ms, uint64_t bytes)
{
    *use = line_use_now(use, wall_ms);
    use->day_bytes += bytes;
    use->month_bytes += bytes;
}

void
line_use_write(uint8_t out[LINE_USE_BYTES], const struct line_use *use)
{
    memset(out, 0, LINE_USE_BYTES);
    bytes_write_u64(out, use->day);
    bytes_write_u64(out + 8, use->month);
    bytes_write_u64(out + 16, use->day_bytes);
    bytes_write_u64(out + 24, use->month_bytes);
}

bool
line_use_read(struct span bytes, struct line_use *use_out)
{
    memset(use_out, 0, sizeof *use_out);
    if (bytes.size != LINE_USE_BYTES || bytes_read_u64(bytes.data) > UINT32_MAX ||
        bytes_read_u64(bytes.data + 8) > UINT32_MAX || bytes_read_u64(bytes.data + 32) != 0) {
        return false;
    }
    use_out->day = (uint32_t)bytes_read_u64(bytes.data);
    use_out->month = (uint32_t)bytes_read_u64(bytes.data + 8);
    use_out->day_bytes = bytes_read_u64(bytes.data + 16);
    use_out->month_bytes = bytes_read_u64(bytes.data + 24);
    return true;
}

/* --- what may pass --- */

static enum line_allowance
allows(uint64_t limit, uint64_t used)
{
    if (limit == 0 || used < limit - limit / 100 * LINE_KEPT_PERCENT) {
        return LINE_OPEN;
    }
    return used < limit ? LINE_URGENT_ALONE : LINE_SPENT;
}

enum line_allowance
line_allows(const struct line_settings *settings, const struct line_use *use, uint64_t wall_ms)
{
    struct line_use now = line_use_now(use, wall_ms);
    enum line_allowance day = allows(settings->day_bytes, now.day_bytes);
    enum line_allowance month = allows(settings->month_bytes, now.month_bytes);

    return day > month ? day : month;
}

const char *
line_allowance_name(enum line_allowance allowance)
{
    static const char *const names[] = { "open", "urgent news alone", "spent" };
    size_t n = (size_t)allowance;

    return n < sizeof names / sizeof names[0] ? names[n] : "unknown";
}

uint64_t
line_opens_ms(const struct line_settings *settings, const struct line_use *use, uint64_t wall_ms)
{
    struct line_use now = line_use_now(use, wall_ms);

    if (allows(settings->month_bytes, now.month_bytes) == LINE_SPENT) {
        return month_begins_ms(now.month + 1);
    }
    return allows(settings->day_bytes, now.day_bytes) == LINE_SPENT ? ((uint64_t)now.day + 1) * DAY_S * 1000
                                                                    : 0;
}

/* --- when --- */

/* Milliseconds from this moment of the day to the end of the quiet hours that it is in; 0: it is in none. */
static uint64_t
quiet_left_ms(const struct line_settings *settings, uint64_t wall_ms)
{
    uint64_t day_ms = (uint64_t)DAY_S * 1000;
    uint64_t now = wall_ms % day_ms;
    uint64_t from = (uint64_t)settings->quiet_from * 60000;
    uint64_t to = (uint64_t)settings->quiet_to * 60000;

    if (from == to) {
        return 0;
    }
    if (from < to) {
        return now >= from && now < to ? to - now : 0;
    }
    return now >= from ? day_ms - now + to : now < to ? to - now : 0;
}

bool
line_is_quiet(const struct line_settings *settings, uint64_t wall_ms)
{
    return quiet_left_ms(settings, wall_ms) > 0;
}

uint64_t
line_wait_ms(const struct line_settings *settings, uint64_t wall_ms, uint64_t chance)
{
    uint64_t minutes = settings->interval_min == 0 ? LINE_INTERVAL_MIN_DEFAULT : settings->interval_min;
    uint64_t interval = minutes * 60000;
    uint64_t wait = interval - interval / 5 + chance % (2 * (interval / 5) + 1);
    uint64_t quiet = quiet_left_ms(settings, wall_ms + wait);
    uint64_t open =
        (uint64_t)((settings->quiet_from + LINE_DAY_MINUTES - settings->quiet_to) % LINE_DAY_MINUTES) * 60000;

    if (quiet == 0) {
        return wait;
    }
    /* Not all of those who were quiet call in the same second. */
    return wait + quiet + (chance >> 32) % (open < interval ? open : interval);
}

/* --- words --- */

static const char *const profile_names[] = { "", "lan", "wan", "metered", "oneway" };

const char *
line_profile_name(enum link_profile profile)
{
    size_t n = (size_t)profile;

    return n > 0 && n < sizeof profile_names / sizeof profile_names[0] ? profile_names[n] : "unknown";
}

bool
line_profile_parse(const char *text, enum link_profile *out)
{
    for (size_t n = 1; n < sizeof profile_names / sizeof profile_names[0]; n++) {
        if (strcmp(text, profile_names[n]) == 0) {
            *out = (enum link_profile)n;
            return true;
        }
    }
    return false;
}

/* "HH:MM" at the beginning of the text; how many characters, 0: it is none. */
static size_t
take_minute(const char *text, uint32_t *out)
{
    for (size_t n = 0; n < 5; n++) {
        if (n == 2 ? text[n] != ':' : text[n] < '0' || text[n] > '9') {
            return 0;
        }
    }
    uint32_t hours = (uint32_t)((text[0] - '0') * 10 + text[1] - '0');
    uint32_t minutes = (uint32_t)((text[3] - '0') * 10 + text[4] - '0');
    *out = hours * 60 + minutes;
    return hours < 24 && minutes < 60 ? 5 : 0;
}

bool
line_hours_parse(const char *text, uint32_t *from_out, uint32_t *to_out)
{
    *from_out = 0;
    *to_out = 0;
    if (strcmp(text, "none") == 0) {
        return true;
    }
    return take_minute(text, from_out) == 5 && text[5] == '-' && take_minute(text + 6, to_out) == 5 &&
           text[11] == '\0' && *from_out != *to_out;
}

bool
line_bytes_parse(const char *text, uint64_t *out)
{
    static const char units[] = "kMG";
    uint64_t factor = 1;
    char *end = NULL;

    *out = 0;
    if (strcmp(text, "none") == 0) {
        return true;
    }
    if (text[0] < '0' || text[0] > '9' || strlen(text) > 16) {
        return false;
    }
    unsigned long long number = strtoull(text, &end, 10);
    if (*end != '\0') {
        const char *unit = strchr(units, *end);

        if (unit == NULL || end[1] != '\0') {
            return false;
        }
        for (const char *at = units; at <= unit; at++) {
            factor *= 1000;
        }
    }
    if (number == 0 || number > LIMIT_MAX / factor) {
        return false;
    }
    *out = number * factor;
    return true;
}

void
line_schedule_print(const struct envelope_schedule *schedule, char out[LINE_TEXT_BYTES])
{
    if (schedule->bytes == 0) {
        (void)snprintf(out, LINE_TEXT_BYTES, "none");
    } else {
        (void)snprintf(out, LINE_TEXT_BYTES, "%u bytes every %u s", schedule->bytes, schedule->beat_s);
    }
}

void
line_hours_print(const struct line_settings *settings, char out[LINE_TEXT_BYTES])
{
    if (settings->quiet_from == settings->quiet_to) {
        (void)snprintf(out, LINE_TEXT_BYTES, "none");
        return;
    }
    (void)snprintf(out, LINE_TEXT_BYTES, "%02u:%02u-%02u:%02u", settings->quiet_from / 60,
                   settings->quiet_from % 60, settings->quiet_to / 60, settings->quiet_to % 60);
}

void
line_bytes_print(uint64_t bytes, char out[LINE_TEXT_BYTES])
{
    static const char units[] = "\0kMG";
    size_t unit = 0;

    while (bytes > 0 && bytes % 1000 == 0 && unit < 3) {
        bytes /= 1000;
        unit++;
    }
    if (bytes == 0) {
        (void)snprintf(out, LINE_TEXT_BYTES, "none");
    } else if (unit == 0) {
        (void)snprintf(out, LINE_TEXT_BYTES, "%llu", (unsigned long long)bytes);
    } else {
        (void)snprintf(out, LINE_TEXT_BYTES, "%llu%c", (unsigned long long)bytes, units[unit]);
    }
}
