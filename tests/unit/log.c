#include "tests/support/check.h"

#include "store/base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct seen {
    char line[8192];
    int count;
};

static void
keep_line(void *self, const char *line)
{
    struct seen *seen = self;

    (void)snprintf(seen->line, sizeof seen->line, "%s", line);
    seen->count++;
}

START_TEST(an_event_is_one_line_that_begins_with_its_name)
{
    struct seen seen = { .count = 0 };

    log_to(keep_line, &seen);
    log_event("peer-refused", "peer=%s verdict=%s", "3f09a1c2", "forged");
    ck_assert_str_eq(seen.line, "event=peer-refused peer=3f09a1c2 verdict=forged");
    log_event("started", NULL);
    ck_assert_str_eq(seen.line, "event=started");
    ck_assert_int_eq(seen.count, 2);
    log_to(NULL, NULL);
}
END_TEST

START_TEST(c12_a_control_character_cannot_begin_a_line_or_colour_it)
{
    struct seen seen = { .count = 0 };

    log_to(keep_line, &seen);
    log_event("config", "path=%s", "a\nevent=forged\x1b[31m\x7f\u00e9");
    ck_assert_str_eq(seen.line, "event=config path=a\\x0aevent=forged\\x1b[31m\\x7f\u00e9");
    log_to(NULL, NULL);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_says_so)
{
    struct seen seen = { .count = 0 };
    char text[5000];

    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_to(keep_line, &seen);
    log_event("long", "text=%s", text);
    size_t size = strlen(seen.line);
    ck_assert_uint_gt(size, 1000);
    ck_assert_str_eq(seen.line + size - 3, "...");
    ck_assert_ptr_null(strchr(seen.line, '\n'));
    log_to(NULL, NULL);
}
END_TEST

START_TEST(without_a_sink_a_line_goes_to_stderr)
{
    char got[256];
    int ends[2];
    int saved = dup(STDERR_FILENO);

    ck_assert_int_ge(saved, 0);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    log_event("ready", "pid=%d", 7);
    ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
    (void)close(ends[1]);
    ssize_t size = read(ends[0], got, sizeof got - 1);
    ck_assert_int_gt(size, 0);
    got[size] = '\0';
    ck_assert_str_eq(got, "event=ready pid=7\n");
    (void)close(ends[0]);
    (void)close(saved);
}
END_TEST

SUITE_MAIN("log", an_event_is_one_line_that_begins_with_its_name,
           c12_a_control_character_cannot_begin_a_line_or_colour_it,
           a_line_that_is_too_long_is_cut_and_says_so, without_a_sink_a_line_goes_to_stderr)
