#include "tests/support/check.h"
#include "tests/support/world.h"

#include "node/recent.h"
#include "store/base/cbor.h"

#include <stdio.h>
#include <string.h>

static struct test_world world;
static struct recent *recent;

static void
setup(void)
{
    test_world_init(&world, 1);
    recent = recent_new(&world.world);
    ck_assert_ptr_nonnull(recent);
}

static void
teardown(void)
{
    recent_free(&recent);
    ck_assert_ptr_null(recent);
}

START_TEST(what_was_logged_has_a_place_a_time_and_a_level)
{
    ck_assert_uint_eq(recent_last(recent), 0);
    ck_assert_ptr_null(recent_at(recent, 0));
    ck_assert_ptr_null(recent_at(recent, 1));
    recent_note(recent, LOG_AT_INFO, "event=peer-up peer=3f09a1c2");
    ck_assert_uint_eq(recent_last(recent), 1);
    const struct recent_event *event = recent_at(recent, 1);
    ck_assert_ptr_nonnull(event);
    ck_assert_str_eq(event->line, "event=peer-up peer=3f09a1c2");
    ck_assert_int_eq(event->level, LOG_AT_INFO);
    ck_assert_uint_eq(event->wall_ms, world_wall_ms(&world.world));
    ck_assert_ptr_null(recent_at(recent, 2));
}
END_TEST

START_TEST(of_more_than_a_thousand_the_oldest_goes)
{
    char line[64];

    for (int n = 1; n <= RECENT_EVENTS + 7; n++) {
        (void)snprintf(line, sizeof line, "event=ready n=%d", n);
        recent_note(recent, LOG_AT_NOTICE, line);
    }
    ck_assert_uint_eq(recent_last(recent), RECENT_EVENTS + 7);
    ck_assert_ptr_null(recent_at(recent, 0));
    ck_assert_ptr_null(recent_at(recent, 7));
    ck_assert_str_eq(recent_at(recent, 8)->line, "event=ready n=8");
    ck_assert_str_eq(recent_at(recent, RECENT_EVENTS + 7)->line, "event=ready n=1007");
}
END_TEST

START_TEST(a_long_line_is_cut_between_characters_and_says_so)
{
    char line[4 * RECENT_LINE_BYTES];

    for (size_t shift = 0; shift < 3; shift++) {
        size_t at = (size_t)snprintf(line, sizeof line, "event=ready%.*s ", (int)shift, "xxx");

        for (; at + 3 < sizeof line; at += 3) {
            memcpy(line + at, "\u20ac", 3);
        }
        line[at] = '\0';
        recent_note(recent, LOG_AT_NOTICE, line);
        const char *kept = recent_at(recent, recent_last(recent))->line;
        size_t size = strlen(kept);
        ck_assert(utf8_valid(span_of(kept, size)));
        ck_assert_uint_ge(size, RECENT_LINE_BYTES - 4);
        ck_assert_str_eq(kept + size - 3, "...");
        ck_assert_mem_eq(kept, line, size - 3);
    }
    memset(line, 'x', RECENT_LINE_BYTES - 1);
    line[RECENT_LINE_BYTES - 1] = '\0';
    recent_note(recent, LOG_AT_NOTICE, line);
    ck_assert_str_eq(recent_at(recent, recent_last(recent))->line, line);
}
END_TEST

START_TEST(what_is_no_text_becomes_so)
{
    recent_note(recent, LOG_AT_NOTICE, "event=ready api=/home/\xff\xfe/\u00e9");
    ck_assert_str_eq(recent_at(recent, 1)->line, "event=ready api=/home/\?\?/\?\?");
}
END_TEST

SUITE_MAIN_WITH("recent", setup, teardown, what_was_logged_has_a_place_a_time_and_a_level,
                of_more_than_a_thousand_the_oldest_goes, a_long_line_is_cut_between_characters_and_says_so,
                what_is_no_text_becomes_so)
