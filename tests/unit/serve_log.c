/* What a node logged last, for who looks after it. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "node/casework/roles.h"
#include "node/recent.h"
#include "node/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken;
static struct served hq;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 11);
    org.roles = ROLE_OPERATOR;
    served_begin_two(&org, &ken, &hq);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

/* The places of the events that an answer gives: "3 4 5". */
static const char *
places(const char *request)
{
    static char text[400];
    json_t *answer = served_ask(&ken, "%s", request);
    size_t index;
    json_t *event;

    text[0] = '\0';
    json_array_foreach(json_object_get(served_granted(answer), "events"), index, event)
    {
        size_t used = strlen(text);

        (void)snprintf(text + used, sizeof text - used, "%s%lld", used == 0 ? "" : " ",
                       (long long)json_integer_value(json_object_get(event, "place")));
    }
    json_decref(answer);
    return text;
}

static void
note_some(void)
{
    recent_note(ken.recent, LOG_AT_INFO, "event=peer-up peer=3f09a1c2");
    recent_note(ken.recent, LOG_AT_WARNING, "event=peer-set-back peer=3f09a1c2 log=aabbccdd");
    recent_note(ken.recent, LOG_AT_DEBUG, "event=turn-done duration_us=1000");
    recent_note(ken.recent, LOG_AT_ERROR, "event=turn-failed err=full");
    recent_note(ken.recent, LOG_AT_INFO, "event=peer-down peer=3f09a1c2 why=\"it left\"");
}

START_TEST(an_event_is_taken_apart)
{
    note_some();
    json_t *answer = served_ask(&ken, "{'id':1,'do':'log.list'}");
    json_t *ok = served_granted(answer);
    ck_assert_int_eq(json_integer_value(served_member(ok, "last")), 5);
    ck_assert_str_eq(json_string_value(served_member(ok, "events.0.event")), "peer-up");
    ck_assert_str_eq(json_string_value(served_member(ok, "events.0.level")), "info");
    ck_assert_str_eq(json_string_value(served_member(ok, "events.0.peer")), "3f09a1c2");
    ck_assert_str_eq(json_string_value(served_member(ok, "events.3.text")), "err=full");
    ck_assert(json_is_null(served_member(ok, "events.3.peer")));
    ck_assert_str_eq(json_string_value(served_member(ok, "events.4.text")), "peer=3f09a1c2 why=\"it left\"");
    ck_assert_ptr_nonnull(json_string_value(served_member(ok, "events.4.time")));
    json_decref(answer);
}
END_TEST

START_TEST(the_last_are_given_oldest_first_and_what_is_not_wanted_does_not_count)
{
    ck_assert_str_eq(places("{'id':1,'do':'log.list'}"), "");
    note_some();
    ck_assert_str_eq(places("{'id':1,'do':'log.list'}"), "1 2 3 4 5");
    ck_assert_str_eq(places("{'id':1,'do':'log.list','count':2}"), "4 5");
    ck_assert_str_eq(places("{'id':1,'do':'log.list','level':'warning'}"), "2 4");
    ck_assert_str_eq(places("{'id':1,'do':'log.list','level':'info','count':3}"), "2 4 5");
    ck_assert_str_eq(places("{'id':1,'do':'log.list','since':'2099-01-01'}"), "");
    test_world_pass(&ken.node->world, 5000);
    uint64_t now_ms = world_wall_ms(&ken.node->world.world);
    recent_note(ken.recent, LOG_AT_INFO, "event=peer-up peer=3f09a1c2");
    char request[200];
    (void)snprintf(request, sizeof request, "{'id':1,'do':'log.list','since':'%s'}", time_print(now_ms).text);
    ck_assert_str_eq(places(request), "6");
}
END_TEST

START_TEST(a_thousand_long_lines_are_one_answer)
{
    char line[RECENT_LINE_BYTES];

    memset(line, '"', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    for (int n = 0; n < RECENT_EVENTS; n++) {
        recent_note(ken.recent, LOG_AT_INFO, line);
    }
    json_t *answer = served_ask(&ken, "{'id':1,'do':'log.list','count':1000}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "events")), RECENT_EVENTS);
    char *text = json_dumps(answer, JSON_COMPACT);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_lt(strlen(text), API_LINE_BYTES_MAX);
    free(text);
    json_decref(answer);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    static const char *const asked[] = {
        "'do':'log.list','level':'loud'", "'do':'log.list','since':'yesterday'",
        "'do':'log.list','count':1001",   "'do':'log.list','count':0",
        "'do':'log.watch','level':7",     "'do':'log.watch','after':-1",
    };

    for (size_t n = 0; n < sizeof asked / sizeof asked[0]; n++) {
        json_t *answer = served_ask(&ken, "{'id':1,%s}", asked[n]);

        ck_assert_str_eq(json_string_value(served_member(answer, "error.code")), "usage");
        json_decref(answer);
    }
}
END_TEST

START_TEST(it_is_for_operators_and_up)
{
    static const char *const calls[] = { "log.list", "log.watch" };

    for (size_t n = 0; n < 2; n++) {
        ck_assert(roles_allow(calls[n], ROLE_OPERATOR));
        ck_assert(roles_allow(calls[n], ROLE_HEADQUARTERS));
        ck_assert(roles_allow(calls[n], ROLE_RELAY));
        ck_assert(!roles_allow(calls[n], ROLE_CASE_WORK | ROLE_REVIEW | ROLE_AUDITOR));
    }
}
END_TEST

SUITE_MAIN_WITH("serve_log", setup, teardown, an_event_is_taken_apart,
                the_last_are_given_oldest_first_and_what_is_not_wanted_does_not_count,
                a_thousand_long_lines_are_one_answer, what_makes_no_sense_is_refused,
                it_is_for_operators_and_up)
