#include "tests/support/check.h"

#include "store/base/log.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
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

static void
note_level(void *self, enum log_level level, const char *line)
{
    struct seen *seen = self;

    (void)snprintf(seen->line, sizeof seen->line, "%s %s", log_level_name(level), line);
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

START_TEST(what_is_less_important_than_the_limit_goes_nowhere)
{
    struct seen seen = { .count = 0 };
    struct seen watched = { .count = 0 };

    log_to(keep_line, &seen);
    log_watch(note_level, &watched);
    log_event("turn-done", NULL);
    ck_assert_int_eq(seen.count, 0);
    ck_assert_int_eq(watched.count, 0);
    log_limit(LOG_AT_DEBUG);
    log_event("turn-done", NULL);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_str_eq(watched.line, "debug event=turn-done");
    log_limit(LOG_AT_ERROR);
    log_event("peer-up", NULL);
    log_event("turn-failed", "err=full");
    ck_assert_int_eq(seen.count, 2);
    ck_assert_str_eq(watched.line, "error event=turn-failed err=full");
    log_limit(LOG_AT_INFO);
    log_watch(NULL, NULL);
    log_to(NULL, NULL);
}
END_TEST

START_TEST(a_value_is_found_by_its_key)
{
    const char *line = "event=peer-down peer=3f09a1c2 why=\"it said us=1 and left\" us=250";
    size_t size = 0;

    ck_assert_mem_eq(log_line_value(line, "peer", &size), "3f09a1c2", 8);
    ck_assert_uint_eq(size, 8);
    ck_assert_mem_eq(log_line_value(line, "why", &size), "it said us=1 and left", 21);
    ck_assert_uint_eq(size, 21);
    ck_assert_str_eq(log_line_value(line, "us", &size), "250");
    ck_assert_ptr_null(log_line_value(line, "eer", &size));
    ck_assert_ptr_null(log_line_value("event=cut why=\"never", "us", &size));
    ck_assert_ptr_null(log_line_value("", "us", &size));
    ck_assert_int_eq(log_line_level(line), LOG_AT_INFO);
    ck_assert_int_eq(log_line_level("event=nothing-of-ours"), LOG_AT_ERROR);
}
END_TEST

START_TEST(the_table_of_events_is_in_order_and_each_has_an_id_of_its_own)
{
    const struct log_kind *kind;

    for (size_t n = 0; (kind = log_kind_at(n)) != NULL; n++) {
        ck_assert_ptr_eq(log_kind_of(kind->event), kind);
        ck_assert_uint_eq(strspn(kind->message_id, "0123456789abcdef"), 32);
        ck_assert_uint_eq(strlen(kind->message_id), 32);
        ck_assert(kind->level >= LOG_AT_ERROR && kind->level <= LOG_AT_DEBUG);
        for (size_t other = 0; other < n; other++) {
            ck_assert_int_lt(strcmp(log_kind_at(other)->event, kind->event), 0);
            ck_assert_str_ne(log_kind_at(other)->message_id, kind->message_id);
        }
    }
    ck_assert_ptr_null(log_kind_of("aaa"));
    ck_assert_ptr_null(log_kind_of("zzz"));
}
END_TEST

/* Mark in `used` every event that a source file logs; each is in the table. */
static void
look_through(const char *path, bool *used, size_t *count)
{
    static const char call[] = "log_event(\"";
    static char text[1 << 20];
    char event[64];
    FILE *file = fopen(path, "re");

    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_uint_lt(size, sizeof text - 1);
    text[size] = '\0';
    for (const char *at = text; (at = strstr(at, call)) != NULL;) {
        at += sizeof call - 1;
        size_t length = strcspn(at, "\"");
        ck_assert_uint_lt(length, sizeof event);
        memcpy(event, at, length);
        event[length] = '\0';
        ck_assert_msg(log_kind_of(event) != NULL, "%s logs %s, which the table does not have", path, event);
        used[log_kind_of(event) - log_kind_at(0)] = true;
        ++*count;
    }
}

START_TEST(every_event_of_the_sources_is_in_the_table_and_every_row_is_used)
{
    static const char *const patterns[] = { "store/*.c", "store/base/*.c",    "sync/*.c",
                                            "node/*.c",  "node/casework/*.c", "tools/*.c" };
    static bool used[1024];
    char pattern[4096];
    size_t count = 0;

    for (size_t n = 0; n < sizeof patterns / sizeof patterns[0]; n++) {
        glob_t found;

        (void)snprintf(pattern, sizeof pattern, "%s/%s", getenv("VIGIL_SOURCE"), patterns[n]);
        ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
        for (size_t k = 0; k < found.gl_pathc; k++) {
            look_through(found.gl_pathv[k], used, &count);
        }
        globfree(&found);
    }
    ck_assert_uint_ge(count, 80);
    for (size_t n = 0; log_kind_at(n) != NULL; n++) {
        ck_assert_msg(used[n], "nothing logs %s", log_kind_at(n)->event);
    }
}
END_TEST

SUITE_MAIN("log", what_is_less_important_than_the_limit_goes_nowhere, a_value_is_found_by_its_key,
           the_table_of_events_is_in_order_and_each_has_an_id_of_its_own,
           every_event_of_the_sources_is_in_the_table_and_every_row_is_used,
           an_event_is_one_line_that_begins_with_its_name,
           c12_a_control_character_cannot_begin_a_line_or_colour_it,
           a_line_that_is_too_long_is_cut_and_says_so, without_a_sink_a_line_goes_to_stderr)
