/* What a line may cost: budgets over days and months, quiet hours, and when the next session is. */
#include "node/line.h"
#include "tests/support/check.h"

#include <string.h>

enum { MINUTE = 60000, HOUR = 60 * MINUTE };

static const uint64_t DAY = 24 * (uint64_t)HOUR;

/* 2026-02-27 00:00 UTC, two days before March. */
static const uint64_t START = UINT64_C(1772150400000);

START_TEST(a_day_and_a_month_are_counted_apart_and_begin_anew)
{
    struct line_use use = { 0 };

    line_count(&use, START, 100);
    line_count(&use, START + DAY - 1, 50);
    ck_assert_uint_eq(use.day_bytes, 150);
    ck_assert_uint_eq(use.month_bytes, 150);
    line_count(&use, START + DAY, 7);
    ck_assert_uint_eq(use.day_bytes, 7);
    ck_assert_uint_eq(use.month_bytes, 157);
    line_count(&use, START + 2 * DAY, 1);
    ck_assert_uint_eq(use.day_bytes, 1);
    ck_assert_uint_eq(use.month_bytes, 1);
    /* A clock that is set back gives nothing back. */
    line_count(&use, START, 10);
    ck_assert_uint_eq(use.day_bytes, 11);
    ck_assert_uint_eq(use.month_bytes, 11);
    ck_assert_uint_eq(line_use_now(&use, START + 3 * DAY).day_bytes, 0);
    ck_assert_uint_eq(line_use_now(&use, START + 3 * DAY).month_bytes, 11);
}
END_TEST

START_TEST(a_fifth_of_a_budget_is_kept_for_urgent_news)
{
    const struct line_settings settings = { .profile = PROFILE_METERED,
                                            .day_bytes = 1000,
                                            .month_bytes = 5000 };
    struct line_use use = { 0 };

    ck_assert_int_eq(line_allows(&settings, &use, START), LINE_OPEN);
    line_count(&use, START, 799);
    ck_assert_int_eq(line_allows(&settings, &use, START), LINE_OPEN);
    line_count(&use, START, 1);
    ck_assert_int_eq(line_allows(&settings, &use, START), LINE_URGENT_ALONE);
    ck_assert_uint_eq(line_opens_ms(&settings, &use, START), 0);
    line_count(&use, START, 200);
    ck_assert_int_eq(line_allows(&settings, &use, START), LINE_SPENT);
    ck_assert_uint_eq(line_opens_ms(&settings, &use, START + 5), START + DAY);
    ck_assert_int_eq(line_allows(&settings, &use, START + DAY), LINE_OPEN);
    /* The month is stricter than the day. */
    use.month_bytes = 5000;
    ck_assert_int_eq(line_allows(&settings, &use, START + DAY), LINE_SPENT);
    ck_assert_uint_eq(line_opens_ms(&settings, &use, START + DAY), START + 2 * DAY);
    ck_assert_int_eq(line_allows(&settings, &use, START + 2 * DAY), LINE_OPEN);
    /* No limit. */
    const struct line_settings open = { .profile = PROFILE_METERED };
    ck_assert_int_eq(line_allows(&open, &use, START), LINE_OPEN);
}
END_TEST

START_TEST(quiet_hours_may_go_over_midnight)
{
    struct line_settings settings = { .profile = PROFILE_METERED, .quiet_from = 22 * 60, .quiet_to = 6 * 60 };

    ck_assert(!line_is_quiet(&settings, START + 22 * (uint64_t)HOUR - 1));
    ck_assert(line_is_quiet(&settings, START + 22 * (uint64_t)HOUR));
    ck_assert(line_is_quiet(&settings, START));
    ck_assert(line_is_quiet(&settings, START + 6 * (uint64_t)HOUR - 1));
    ck_assert(!line_is_quiet(&settings, START + 6 * (uint64_t)HOUR));
    settings.quiet_to = settings.quiet_from;
    ck_assert(!line_is_quiet(&settings, START + 22 * (uint64_t)HOUR));
    settings = (struct line_settings){ .profile = PROFILE_METERED, .quiet_from = 60, .quiet_to = 120 };
    ck_assert(line_is_quiet(&settings, START + HOUR));
    ck_assert(!line_is_quiet(&settings, START + 2 * HOUR));
}
END_TEST

START_TEST(the_next_session_is_spread_and_never_in_quiet_hours)
{
    struct line_settings settings = { .profile = PROFILE_METERED, .interval_min = 30 };
    uint64_t chance = 88172645463325252u;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    for (int n = 0; n < 1000; n++) {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        uint64_t wait = line_wait_ms(&settings, START + 12 * (uint64_t)HOUR, chance);
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    ck_assert_uint_ge(least, 24 * MINUTE);
    ck_assert_uint_le(most, 36 * MINUTE);
    ck_assert_uint_gt(most - least, 11 * MINUTE);
    settings.quiet_from = 22 * 60;
    settings.quiet_to = 6 * 60;
    for (int n = 0; n < 1000; n++) {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        uint64_t now = START + chance % DAY;
        uint64_t wait = line_wait_ms(&settings, now, chance);
        ck_assert_msg(!line_is_quiet(&settings, now + wait), "%llu after %llu", (unsigned long long)wait,
                      (unsigned long long)(now - START));
    }
    /* Open for a quarter of an hour a day. */
    settings.interval_min = 24 * 60;
    settings.quiet_from = 6 * 60 + 15;
    for (int n = 0; n < 1000; n++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        ck_assert(!line_is_quiet(&settings, START + line_wait_ms(&settings, START, chance)));
    }
    settings.interval_min = 0;
    settings.quiet_to = settings.quiet_from;
    ck_assert_uint_ge(line_wait_ms(&settings, START, 0), 48 * MINUTE);
}
END_TEST

START_TEST(words_are_read_as_they_are_written)
{
    static const char *const bytes[] = { "none", "750", "2k", "40M", "1G", "1500k" };
    static const char *const no_bytes[] = {
        "", "0", "-1", "2m", "2MB", "M", "1.5M", "99999999999G", "12345678901234567"
    };
    static const char *const no_hours[] = {
        "", "22", "22:00", "22:00-22:00", "24:00-06:00", "22:60-06:00", "22:00-06:00 ", "22-6"
    };
    struct line_settings settings = { .profile = PROFILE_METERED };
    char text[LINE_TEXT_BYTES];
    enum link_profile profile;
    uint64_t number;

    for (size_t n = 0; n < sizeof bytes / sizeof bytes[0]; n++) {
        ck_assert(line_bytes_parse(bytes[n], &number));
        line_bytes_print(number, text);
        ck_assert_str_eq(text, bytes[n]);
    }
    for (size_t n = 0; n < sizeof no_bytes / sizeof no_bytes[0]; n++) {
        ck_assert_msg(!line_bytes_parse(no_bytes[n], &number), "%s", no_bytes[n]);
    }
    ck_assert(line_hours_parse("22:00-06:30", &settings.quiet_from, &settings.quiet_to));
    ck_assert_uint_eq(settings.quiet_from, 22 * 60);
    ck_assert_uint_eq(settings.quiet_to, 6 * 60 + 30);
    line_hours_print(&settings, text);
    ck_assert_str_eq(text, "22:00-06:30");
    ck_assert(line_hours_parse("none", &settings.quiet_from, &settings.quiet_to));
    line_hours_print(&settings, text);
    ck_assert_str_eq(text, "none");
    for (size_t n = 0; n < sizeof no_hours / sizeof no_hours[0]; n++) {
        ck_assert_msg(!line_hours_parse(no_hours[n], &settings.quiet_from, &settings.quiet_to), "%s",
                      no_hours[n]);
    }
    for (int n = PROFILE_LAN; n <= PROFILE_ONEWAY; n++) {
        ck_assert(line_profile_parse(line_profile_name((enum link_profile)n), &profile));
        ck_assert_int_eq(profile, n);
    }
    ck_assert(!line_profile_parse("", &profile));
    ck_assert(!line_profile_parse("satellite", &profile));
}
END_TEST

START_TEST(a_use_is_kept_as_bytes)
{
    struct line_use use = { 20000, 680, 12345, UINT64_C(1) << 40 };
    struct line_use again;
    uint8_t row[LINE_USE_BYTES];

    line_use_write(row, &use);
    ck_assert(line_use_read(span_of(row, sizeof row), &again));
    ck_assert_mem_eq(&use, &again, sizeof use);
    ck_assert(!line_use_read(span_of(row, sizeof row - 1), &again));
    row[39] = 1;
    ck_assert(!line_use_read(span_of(row, sizeof row), &again));
    row[39] = 0;
    row[0] = 1;
    ck_assert(!line_use_read(span_of(row, sizeof row), &again));
}
END_TEST

START_TEST(a_schedule_costs_as_many_envelopes_as_there_are_beats)
{
    struct line_settings settings = { .profile = PROFILE_WAN, .schedule = { .beat_s = 30, .bytes = 2048 } };
    char text[LINE_TEXT_BYTES];

    ck_assert_uint_eq(line_schedule_bytes(&settings.schedule, 24 * 3600), 2880 * line_message_bytes(2048));
    ck_assert_uint_eq(line_schedule_bytes(&settings.schedule, 29), 0);
    ck_assert_uint_eq(line_schedule_bytes(&(struct envelope_schedule){ .beat_s = 0 }, 24 * 3600), 0);
    line_schedule_print(&settings.schedule, text);
    ck_assert_str_eq(text, "2048 bytes every 30 s");
    line_schedule_print(&(struct envelope_schedule){ .beat_s = 0 }, text);
    ck_assert_str_eq(text, "none");
    line_schedule_print(&(struct envelope_schedule){ ENVELOPE_BEAT_S_MAX, ENVELOPE_BYTES_MAX }, text);
    ck_assert_str_eq(text, "65536 bytes every 3600 s");
    /* On a line that does not stand each call would tell. */
    for (int profile = PROFILE_LAN; profile <= PROFILE_ONEWAY; profile++) {
        settings.profile = (enum link_profile)profile;
        ck_assert(line_settings_valid(&settings) == (profile <= PROFILE_WAN));
        ck_assert(line_breaks_schedule(&settings) == (profile > PROFILE_WAN));
    }
    settings = (struct line_settings){ .profile = PROFILE_METERED };
    ck_assert(line_settings_valid(&settings));
    settings = (struct line_settings){ .profile = PROFILE_WAN, .schedule = { .beat_s = 30, .bytes = 1 } };
    ck_assert(!line_settings_valid(&settings));
}
END_TEST

START_TEST(settings_out_of_bounds_are_refused)
{
    struct line_settings settings = { .profile = PROFILE_METERED, .interval_min = LINE_INTERVAL_MIN_MAX };

    ck_assert(line_settings_valid(&settings));
    settings.interval_min++;
    ck_assert(!line_settings_valid(&settings));
    settings = (struct line_settings){ .profile = (enum link_profile)0 };
    ck_assert(!line_settings_valid(&settings));
    settings = (struct line_settings){ .profile = PROFILE_LAN, .quiet_to = LINE_DAY_MINUTES };
    ck_assert(!line_settings_valid(&settings));
    settings = (struct line_settings){ .profile = PROFILE_LAN, .day_bytes = UINT64_MAX };
    ck_assert(!line_settings_valid(&settings));
    /* More than the text, and growing with it. */
    ck_assert_uint_ge(line_message_bytes(0), 42);
    ck_assert_uint_ge(line_message_bytes(65536), 65536 + 47 * 40);
    ck_assert_uint_gt(line_handshake_bytes(), LINE_HANDSHAKE_BYTES);
}
END_TEST

SUITE_MAIN("line", a_day_and_a_month_are_counted_apart_and_begin_anew,
           a_fifth_of_a_budget_is_kept_for_urgent_news, quiet_hours_may_go_over_midnight,
           the_next_session_is_spread_and_never_in_quiet_hours, words_are_read_as_they_are_written,
           a_use_is_kept_as_bytes, a_schedule_costs_as_many_envelopes_as_there_are_beats,
           settings_out_of_bounds_are_refused)
