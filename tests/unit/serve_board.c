/* The standing views: what is on each, in which order, page by page, and that nothing of level L3 is but to who asks. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "node/casework/board.h"
#include "node/value.h"
#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t DAY_MS = UINT64_C(24) * 60 * 60 * 1000;

static struct test_organisation org;
static struct served ken;
static struct served hq;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init_with(&org, 59, 3, 2);
    org.roles |= ROLE_REVIEW; /* reads the audit log */
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

/* So many days from today. */
static const char *
day(int from_today)
{
    static char texts[8][12];
    static unsigned next;
    char *text = texts[next++ % 8];
    struct time_text time =
        time_print((uint64_t)((int64_t)ken.node->world.wall_ms + from_today * (int64_t)DAY_MS));

    (void)snprintf(text, 12, "%.10s", time.text);
    return text;
}

static void
save(const char *body, char name[40])
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.save',%s}", body);
    const json_t *ok = served_granted(answer);
    const char *number = json_string_value(json_object_get(ok, "number"));

    (void)snprintf(name, 40, "%s",
                   number[0] == '\0' ? json_string_value(json_object_get(ok, "record")) : number);
    json_decref(answer);
}

/* An imported case: it may have any status. */
static void
new_case(const char *status, const char *adds, char name[40])
{
    char body[1200];

    (void)snprintf(body, sizeof body,
                   "'kind':'case','imported':true,'set':{'title':'A march','status':'%s'},"
                   "'add':[{'to':'country_of_act','value':'KEN'}%s%s]",
                   status, adds[0] == '\0' ? "" : ",", adds);
    save(body, name);
}

static json_t *
board(const char *name, const char *more)
{
    return served_ask(&ken, "{'id':1,'do':'board','name':'%s'%s}", name, more);
}

static const char *
text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "" : value;
}

/* The rows of a board, each by its number or else its id, with its state; in one page. */
static const char *
shown(const char *name, const char *more)
{
    static char said[1000];
    json_t *answer = board(name, more);
    size_t index;
    json_t *row;

    said[0] = '\0';
    json_array_foreach(json_object_get(served_granted(answer), "rows"), index, row)
    {
        const char *number = text(row, "number");

        (void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s %s,",
                       number[0] == '\0' ? text(row, "record") : number, text(row, "state"));
    }
    json_decref(answer);
    return said;
}

static const char *
lines(size_t count, const char *const numbers[], const char *const states[])
{
    static char said[1000];

    said[0] = '\0';
    for (size_t n = 0; n < count; n++) {
        (void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s %s,", numbers[n], states[n]);
    }
    return said;
}

/* The row of a board; the caller frees it. */
static json_t *
row_of(const char *name, size_t place)
{
    json_t *answer = board(name, "");
    json_t *row = json_incref(json_array_get(json_object_get(served_granted(answer), "rows"), place));

    ck_assert_ptr_nonnull(row);
    json_decref(answer);
    return row;
}

static void
new_action(const char *fields, char name[40])
{
    char adds[400];

    (void)snprintf(adds, sizeof adds, "{'to':'action','fields':{%s}}", fields);
    new_case("action_only", adds, name);
}

START_TEST(actions_that_wait_for_a_reply_come_overdue_first)
{
    char undated[40];
    char due[40];
    char late[40];
    char later[40];
    char other[40];
    char fields[300];

    new_action("'actor_side':'un','by_un':'allegation_letter'", undated);
    (void)snprintf(fields, sizeof fields, "'actor_side':'un','by_un':'urgent_appeal','reply_due':'%s'",
                   day(30));
    new_action(fields, due);
    (void)snprintf(fields, sizeof fields,
                   "'actor_side':'un','by_un':'note_verbale','reply_due':'%s','date':'%s'", day(-3),
                   day(-60));
    new_action(fields, later);
    (void)snprintf(fields, sizeof fields, "'actor_side':'un','reply_due':'%s'", day(-400));
    new_action(fields, late);
    /* Answered, closed, said to the press, and not the UN's. */
    (void)snprintf(fields, sizeof fields,
                   "'actor_side':'un','by_un':'urgent_appeal','reply_due':'%s','reply_received':'%s'",
                   day(-50), day(-40));
    new_action(fields, other);
    (void)snprintf(fields, sizeof fields,
                   "'actor_side':'un','by_un':'urgent_appeal','reply_due':'%s','status':'closed'", day(-50));
    new_action(fields, other);
    new_action("'actor_side':'un','by_un':'press_release'", other);
    (void)snprintf(fields, sizeof fields, "'actor_side':'government','reply_due':'%s'", day(-50));
    new_action(fields, other);
    ck_assert_str_eq(shown("actions", ""),
                     lines(4, (const char *const[]){ late, later, due, undated },
                           (const char *const[]){ "overdue", "overdue", "due", "no date" }));
    json_t *row = row_of("actions", 1);
    ck_assert_str_eq(text(row, "action"), "note_verbale");
    ck_assert_str_eq(text(row, "date"), day(-60));
    ck_assert_int_eq((int)json_integer_value(json_object_get(row, "days")), 3);
    json_decref(row);
    row = row_of("actions", 2);
    ck_assert_int_eq((int)json_integer_value(json_object_get(row, "days")), -30);
    json_decref(row);
}
END_TEST

/* Several actions of one case are rows of their own; a case whose reply is due on two days is there twice. */
START_TEST(each_action_of_a_case_is_a_row)
{
    char number[40];
    char adds[600];

    (void)snprintf(
        adds, sizeof adds,
        "{'to':'action','fields':{'actor_side':'un','by_un':'urgent_appeal','reply_due':'%s'}},"
        "{'to':'action','fields':{'actor_side':'un','by_un':'allegation_letter','reply_due':'%s'}},"
        "{'to':'action','fields':{'actor_side':'un','by_un':'urgent_appeal'}},"
        "{'to':'action','fields':{'actor_side':'un','by_un':'interim_measures'}}",
        day(-100), day(2));
    new_case("action_only", adds, number);
    ck_assert_str_eq(shown("actions", ""),
                     lines(4, (const char *const[]){ number, number, number, number },
                           (const char *const[]){ "overdue", "due", "no date", "no date" }));
}
END_TEST

static void
new_follow_up(const char *status, bool reported, const char *follow_ups, char name[40])
{
    char adds[900];

    (void)snprintf(adds, sizeof adds, "%s%s%s",
                   reported ? "{'to':'earlier_report','fields':{'symbol':'A/HRC/57/60','year':'2024'}}" : "",
                   reported && follow_ups[0] != '\0' ? "," : "", follow_ups);
    new_case(status, adds, name);
}

START_TEST(cases_of_earlier_reports_come_by_their_next_review)
{
    char waits[40];
    char late[40];
    char due[40];
    char other[40];
    char adds[700];

    new_follow_up("follow_up", true, "", waits);
    (void)snprintf(
        adds, sizeof adds,
        "{'to':'follow_up','fields':{'date':'%s','new_development':['release','remedy'],'next_review':"
        "'%s'}},{'to':'follow_up','fields':{'date':'%s','new_development':'new_charge',"
        "'next_review':'%s'}}",
        day(-200), day(-150), day(-90), day(20));
    new_follow_up("hq_review", true, adds, due); /* the later follow-up says when it is looked at again */
    (void)snprintf(adds, sizeof adds,
                   "{'to':'follow_up','fields':{'date':'%s','new_development':'release','next_review':'%s'}}",
                   day(-90), day(-1));
    new_follow_up("follow_up", true, adds, late);
    new_follow_up("closed", true, adds, other);
    new_follow_up("follow_up", false, adds, other);
    ck_assert_str_eq(shown("follow-up", ""), lines(3, (const char *const[]){ late, due, waits },
                                                   (const char *const[]){ "overdue", "due", "no date" }));
    json_t *row = row_of("follow-up", 1);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(row, "developments"), 0)),
                     "new_charge");
    ck_assert_uint_eq(json_array_size(json_object_get(row, "developments")), 1);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(row, "reports"), 0)), "A/HRC/57/60");
    json_decref(row);
}
END_TEST

START_TEST(whom_nobody_confirmed_for_a_year_comes_first)
{
    char never[40];
    char stale[40];
    char fresh[40];
    char body[400];

    (void)snprintf(body, sizeof body,
                   "'kind':'focal_point','set':{'role':'entity_focal_point','last_confirmed':'%s'}",
                   day(-365));
    save(body, fresh);
    (void)snprintf(body, sizeof body,
                   "'kind':'focal_point','set':{'role':'entity_focal_point','last_confirmed':'%s'}",
                   day(-366));
    save(body, stale);
    save("'kind':'focal_point','office':'KEN','set':{'role':'country_focal_point','name':'Achieng','contact':"
         "'+254 1'}",
         never);
    ck_assert_str_eq(shown("focal-points", ""),
                     lines(3, (const char *const[]){ never, stale, fresh },
                           (const char *const[]){ "never confirmed", "stale", "confirmed" }));
    json_t *answer = board("focal-points", "");
    char *said = json_dumps(answer, JSON_COMPACT);
    ck_assert_ptr_null(strstr(said, "Achieng"));
    ck_assert_ptr_null(strstr(said, "+254"));
    free(said);
    json_decref(answer);
    /* The same of what is shared beside them. */
    (void)snprintf(
        body, sizeof body,
        "'kind':'good_practice','set':{'title':'A hotline','category':'response','last_confirmed':'%s'}",
        day(-10));
    save(body, fresh);
    ck_assert_str_eq(shown("good-practice", ""),
                     lines(1, (const char *const[]){ fresh }, (const char *const[]){ "confirmed" }));
    save(
        "'kind':'policy_development','set':{'title':'A law','actor_type':'state','instrument':'law','effect':"
        "'restrictive'}",
        never);
    ck_assert_str_eq(shown("policy", ""),
                     lines(1, (const char *const[]){ never }, (const char *const[]){ "never confirmed" }));
}
END_TEST

/* What identifies a focal point stands in the protected half of an office's record: `shared` has none. */
START_TEST(the_name_of_a_focal_point_is_protected_and_shown_to_who_asks_and_may_read_it)
{
    static const char *const expected[2][2] = { { "Achieng", "+254 1" }, { NULL, NULL } };
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    struct served gva; /* reads the case half alone */
    char open[40];
    char named[40];
    size_t count = 0;

    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=read", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "GVA", "Geneva", false, grants, count, &fault), ERR_OK);
    struct test_node *third = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, third);
    test_node_import(&org, ken.node);
    test_node_tend(ken.node);
    test_node_exchange(ken.node, third);
    served_begin(&gva, third);

    /* Nobody is named: everybody reads it. Then it stays without a name, and so does whatever was put into `shared`. */
    save("'kind':'focal_point','set':{'role':'entity_focal_point'}", open);
    served_refused(
        served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'name':'Achieng'}}", open),
        "denied");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.save','kind':'focal_point','office':'shared',"
                                    "'set':{'role':'entity_focal_point','contact':'+254 1'}}"),
                   "denied");
    save("'kind':'focal_point','set':{'role':'country_focal_point','name':'Achieng','contact':'+254 1'}",
         named);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", open);
    ck_assert_str_eq(text(served_granted(answer), "compartment"), "shared");
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", named);
    ck_assert_str_eq(text(served_granted(answer), "office"), "KEN");
    json_decref(answer);
    test_node_exchange(ken.node, third);

    struct served *const nodes[2] = { &ken, &gva };
    for (size_t n = 0; n < 2; n++) {
        answer = served_ask(nodes[n], "{'id':1,'do':'board','name':'focal-points'}");
        char *said = json_dumps(served_granted(answer), JSON_COMPACT);
        ck_assert_ptr_null(strstr(said, "\"contact\""));
        ck_assert_ptr_null(strstr(said, "Achieng"));
        free(said);
        json_decref(answer);
        answer = served_ask(nodes[n], "{'id':1,'do':'board','name':'focal-points','names':true}");
        const json_t *rows = json_object_get(served_granted(answer), "rows");
        ck_assert_uint_eq(json_array_size(rows), 2);
        for (size_t m = 0; m < 2; m++) {
            const json_t *row = json_array_get(rows, m);
            bool is_named = strcmp(text(row, "record"), named) == 0;

            ck_assert_pstr_eq(json_string_value(json_object_get(row, "name")),
                              is_named ? expected[n][0] : NULL);
            ck_assert_pstr_eq(json_string_value(json_object_get(row, "contact")),
                              is_named ? expected[n][1] : NULL);
            ck_assert_int_eq(json_is_true(json_object_get(row, "withheld")), is_named && n == 1);
        }
        json_decref(answer);
    }
    answer = served_ask(&ken, "{'id':1,'do':'audit.list','what':'read'}");
    ck_assert_str_eq(text(served_member(served_granted(answer), "events.0"), "fields"), "name, contact");
    json_decref(answer);
    answer = served_ask(&gva, "{'id':1,'do':'audit.list','what':'read'}");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "events")), 0);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'board','names':true}"), "usage");
    served_end(&gva);
}
END_TEST

START_TEST(consents_that_end_soon_are_listed_until_another_takes_their_place)
{
    char ended[40];
    char soon[40];
    char renewed[40];
    char other[40];
    char body[900];

    static const char consent[] =
        "{'to':'consent','element':'%s','fields':{'scope':['share_with_hq','media'],"
        "'decision':'%s','valid_until':'%s'%s}}";
    static const struct {
        const char *decision;
        int days;
    } made[] = { { "granted", 60 }, { "granted", -1 }, { "granted", 61 }, { "refused", 5 } };
    char *const names[] = { soon, ended, other, other };

    for (size_t n = 0; n < 4; n++) {
        char adds[300];

        (void)snprintf(adds, sizeof adds, consent, "00000000000000a1", made[n].decision, day(made[n].days),
                       "");
        (void)snprintf(body, sizeof body, "'kind':'person','set':{'pseudonym':'Dove'},'add':[%s]", adds);
        save(body, names[n]);
    }
    char first[300];
    char second[300];
    (void)snprintf(first, sizeof first, consent, "00000000000000b1", "granted", day(-30), "");
    (void)snprintf(second, sizeof second, consent, "00000000000000b2", "granted", day(700),
                   ",'replaces':'00000000000000b1'");
    (void)snprintf(body, sizeof body, "'kind':'person','set':{'pseudonym':'Heron'},'add':[%s,%s]", first,
                   second);
    save(body, renewed);
    ck_assert_str_eq(shown("consent-expiry", ""), lines(2, (const char *const[]){ ended, soon },
                                                        (const char *const[]){ "ended", "ends soon" }));
    json_t *row = row_of("consent-expiry", 0);
    ck_assert_str_eq(text(row, "pseudonym"), "Dove");
    ck_assert_uint_eq(json_array_size(json_object_get(row, "scopes")), 2);
    json_decref(row);
}
END_TEST

START_TEST(what_is_kept_out_of_the_report_is_on_a_board)
{
    char protection[40];
    char counted[40];
    char other[40];

    new_case("counted_only", "", counted);
    new_case("excluded_protection", "", protection);
    new_case("excluded_scope", "", other);
    ck_assert_str_eq(shown("withheld", ""),
                     lines(2, (const char *const[]){ protection, counted }, (const char *const[]){ "", "" }));
    /* What is restricted is on none. */
    json_decref(served_ask(&ken,
                           "{'id':1,'do':'record.save','record':'%s','add':[{'to':'restriction',"
                           "'fields':{'reason':'safety'}}]}",
                           protection));
    ck_assert_str_eq(shown("withheld", ""),
                     lines(1, (const char *const[]){ counted }, (const char *const[]){ "" }));
}
END_TEST

START_TEST(conflicts_urgent_cases_and_nodes_are_boards_too)
{
    char number[40];

    save("'kind':'case','set':{'title':'A march','status':'draft','urgency':'emergency'}", number);
    test_node_exchange(ken.node, hq.node);
    json_decref(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'One'}}", number));
    json_decref(served_ask(&hq, "{'id':1,'do':'record.save','record':'%s','set':{'title':'Two'}}", number));
    test_node_exchange(ken.node, hq.node);
    json_t *row = row_of("conflicts", 0);
    ck_assert_str_eq(text(row, "number"), number);
    ck_assert_str_eq(text(row, "how"), "values");
    json_decref(row);
    row = row_of("urgent", 0);
    ck_assert_str_eq(text(row, "number"), number);
    ck_assert(json_is_true(json_object_get(row, "waits")));
    json_decref(row);
    json_t *answer = board("nodes", "");
    const json_t *rows = json_object_get(served_granted(answer), "rows");
    ck_assert_uint_eq(json_array_size(rows), 2);
    size_t own = 0;
    for (size_t n = 0; n < 2; n++) {
        own += strcmp(text(json_array_get(rows, n), "state"), "this one") == 0;
        ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(rows, n), "ahead_s")), 0);
    }
    ck_assert_uint_eq(own, 1);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'board'}");
    const json_t *boards = json_object_get(served_granted(answer), "boards");
    ck_assert_uint_eq(json_array_size(boards), 11);
    for (size_t n = 0; n < 11; n++) {
        const json_t *one = json_array_get(boards, n);
        bool has = strcmp(text(one, "name"), "urgent") == 0 || strcmp(text(one, "name"), "conflicts") == 0;
        bool nodes = strcmp(text(one, "name"), "nodes") == 0;

        ck_assert_int_eq((int)json_integer_value(json_object_get(one, "count")), has ? 1 : nodes ? 2 : 0);
    }
    json_decref(answer);
}
END_TEST

START_TEST(readiness_counts_the_cases_of_the_open_window_by_state)
{
    static const char *const statuses[] = { "draft",          "hq_review",    "proposed_for_report",
                                            "included_named", "counted_only", "follow_up",
                                            "excluded_scope" };
    static const char *const columns[] = { "office",   "headquarters", "proposed", "included",
                                           "withheld", "follow_up",    "out" };
    char window[40];
    char closed[40];
    char name[40];
    char body[500];

    ck_assert_str_eq(shown("readiness", ""), "");
    (void)snprintf(body, sizeof body,
                   "'kind':'reporting_window','set':{'from':'%s','to':'%s','report_symbol':'A/HRC/1'}",
                   day(-500), day(-100));
    save(body, closed);
    ck_assert_str_eq(shown("readiness", ""), "");
    (void)snprintf(body, sizeof body,
                   "'kind':'reporting_window','set':{'from':'%s','to':'%s','report_symbol':'A/HRC/2'}",
                   day(-100), day(0));
    save(body, window);
    for (size_t n = 0; n < 7; n++) {
        (void)snprintf(
            body, sizeof body,
            "'kind':'case','imported':true,'set':{'title':'A','status':'%s','reporting_window':'%s'},"
            "'add':[{'to':'country_of_act','value':'KEN'}%s]",
            statuses[n], window, n == 0 ? ",{'to':'country_of_act','value':'UGA'}" : "");
        save(body, name);
        (void)snprintf(
            body, sizeof body,
            "'kind':'case','imported':true,'set':{'title':'A','status':'%s','reporting_window':'%s'},"
            "'add':[{'to':'country_of_act','value':'KEN'}]",
            statuses[n], closed);
        save(body, name);
    }
    json_t *answer = board("readiness", "");
    const json_t *ok = served_granted(answer);
    const json_t *rows = json_object_get(ok, "rows");
    ck_assert_str_eq(text(ok, "report_symbol"), "A/HRC/2");
    ck_assert_uint_eq(json_array_size(rows), 2);
    for (size_t n = 0; n < 7; n++) {
        ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(rows, 0), columns[n])), 1);
        ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(rows, 1), columns[n])),
                         n == 0 ? 1 : 0);
    }
    ck_assert_str_eq(text(json_array_get(rows, 0), "country"), "KEN");
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(rows, 0), "cases")), 7);
    ck_assert_str_eq(text(json_array_get(rows, 1), "country"), "UGA");
    json_decref(answer);
}
END_TEST

/* All rows, page by page, are those of one page, in the same order. */
static void
expect_pages(const char *name, size_t wanted)
{
    char whole[6000] = "";
    char pages[6000] = "";
    char more[120] = ",'limit':1000";
    size_t rows = 0;

    for (int run = 0; run < 2; run++) {
        char *said = run == 0 ? whole : pages;

        for (bool ended = false; !ended;) {
            json_t *answer = board(name, more);
            const json_t *ok = served_granted(answer);
            const json_t *next = json_object_get(ok, "next");
            size_t index;
            json_t *row;

            json_array_foreach(json_object_get(ok, "rows"), index, row)
            {
                char days[24] = "-";

                if (json_is_integer(json_object_get(row, "days"))) {
                    (void)snprintf(days, sizeof days, "%d",
                                   (int)json_integer_value(json_object_get(row, "days")));
                }
                (void)snprintf(said + strlen(said), 6000 - strlen(said), "%.12s:%s,", text(row, "record"),
                               days);
                rows++;
            }
            ck_assert(run == 1 || !json_is_string(next));
            ended = !json_is_string(next);
            (void)snprintf(more, sizeof more, ",'limit':3,'after':'%s'",
                           ended ? "" : json_string_value(next));
            json_decref(answer);
        }
        (void)snprintf(more, sizeof more, ",'limit':3");
    }
    ck_assert_str_eq(pages, whole);
    ck_assert_uint_eq(rows, 2 * wanted);
}

START_TEST(a_board_in_pages_is_the_same_board)
{
    char name[40];
    char fields[200];

    /* Days of several months and years, some of them twice, some known to the month or the year only. */
    static const int days[] = { -400, -33, -33, -2, 0, 1, 40, 500 };
    for (size_t n = 0; n < 8; n++) {
        (void)snprintf(fields, sizeof fields, "'actor_side':'un','by_un':'urgent_appeal','reply_due':'%s'",
                       day(days[n]));
        new_action(fields, name);
    }
    (void)snprintf(fields, sizeof fields, "'actor_side':'un','reply_due':'%.7s'", day(-400));
    new_action(fields, name);
    (void)snprintf(fields, sizeof fields, "'actor_side':'un','reply_due':'%.4s'", day(0));
    new_action(fields, name);
    (void)snprintf(fields, sizeof fields, "'actor_side':'un','reply_due':'%s/%s'", day(-80), day(90));
    new_action(fields, name);
    /* Years stand before months in the index, and not on the board. */
    for (size_t n = 0; n < 5; n++) {
        (void)snprintf(fields, sizeof fields, "'actor_side':'un','reply_due':'%.4s'", day(1000));
        new_action(fields, name);
    }
    for (size_t n = 0; n < 4; n++) {
        new_action(n % 2 == 0 ? "'actor_side':'un','by_un':'note_verbale'"
                              : "'actor_side':'un','by_un':'urgent_appeal'",
                   name);
    }
    expect_pages("actions", 20);
    for (size_t n = 0; n < 7; n++) {
        char body[200];

        (void)snprintf(body, sizeof body, "'kind':'focal_point','set':{'role':'entity_focal_point'%s%s%s}",
                       n < 3 ? "" : ",'last_confirmed':'", n < 3 ? "" : day(-100 * (int)n), n < 3 ? "" : "'");
        save(body, name);
    }
    expect_pages("focal-points", 7);
    for (size_t n = 0; n < 7; n++) {
        new_case(n % 3 == 0 ? "counted_only" : "excluded_protection", "", name);
    }
    expect_pages("withheld", 7);
}
END_TEST

/* How many rows come one by one, and how many pages were empty before that. */
static size_t
walk_pages(const char *name, size_t *empty_out)
{
    char more[120] = ",'limit':1";
    size_t rows = 0;

    *empty_out = 0;
    for (bool ended = false; !ended;) {
        json_t *answer = board(name, more);
        const json_t *ok = served_granted(answer);
        const json_t *next = json_object_get(ok, "next");
        size_t count = json_array_size(json_object_get(ok, "rows"));

        ended = !json_is_string(next);
        ck_assert_uint_le(count, 1);
        rows += count;
        *empty_out += count == 0 && !ended;
        (void)snprintf(more, sizeof more, ",'limit':1,'after':'%s'", ended ? "" : json_string_value(next));
        json_decref(answer);
    }
    return rows;
}

/* A call looks at so many summaries and no more: what lies beyond is on the next page. */
START_TEST(what_lies_behind_much_that_is_left_out_is_found_on_a_later_page)
{
    char name[40];
    char fields[200];
    size_t empty = 0;

    for (int n = 0; n < 180; n++) {
        (void)snprintf(fields, sizeof fields,
                       "'actor_side':'un','by_un':'urgent_appeal','reply_due':'%s','reply_received':'%s'",
                       day(-400 + 40 * (n / 60)), day(-1));
        new_action(fields, name);
    }
    (void)snprintf(fields, sizeof fields, "'actor_side':'un','by_un':'urgent_appeal','reply_due':'%s'",
                   day(-5));
    new_action(fields, name);
    new_action("'actor_side':'un','by_un':'urgent_appeal'", name);
    for (int n = 0; n < 120; n++) {
        new_action("'actor_side':'un','by_un':'urgent_appeal','status':'closed'", name);
    }
    ck_assert_uint_eq(walk_pages("actions", &empty), 2);
    ck_assert_uint_ge(empty, 3);
}
END_TEST

static void
expect_refused(json_t *answer, const char *code)
{
    served_refused(answer, code);
}

START_TEST(a_board_that_is_none_is_refused)
{
    expect_refused(board("nonsense", ""), "absent");
    expect_refused(board("actions", ",'after':'x'"), "usage");
    expect_refused(board("actions", ",'after':'d2026-01-01.1'"), "usage");
    expect_refused(board("withheld", ",'after':'d2026-01-01.1.0000000000000000'"), "usage");
    expect_refused(board("conflicts", ",'after':'x'"), "usage");
    expect_refused(board("actions", ",'limit':0"), "usage");
    expect_refused(board("urgent", ",'after':'q1'"), "usage");
}
END_TEST

/* The table is of this codebook: what it reads is there and indexed, and nothing that it shows is L3. */
START_TEST(every_board_reads_what_the_codebook_has)
{
    const struct codebook *codebook = codebook_reprisals();
    size_t count = 0;
    const struct board *boards = board_all(&count);

    for (size_t n = 0; n < count; n++) {
        const struct board *one = &boards[n];
        const char *names[4 + BOARD_WHERE_MAX] = { one->date,           one->by,
                                                   one->newest,         one->where[0].field,
                                                   one->where[1].field, one->where[2].field };

        ck_assert_ptr_eq(board_find(one->name), one);
        if (one->source != BOARD_RECORDS) {
            continue;
        }
        const struct codebook_kind *kind = codebook_kind_by_name(codebook, one->kind);
        ck_assert_ptr_nonnull(kind);
        for (size_t m = 0; m < sizeof names / sizeof names[0]; m++) {
            const struct codebook_field *field =
                names[m] == NULL ? NULL : codebook_field_by_name(codebook, kind->number, names[m]);

            ck_assert(names[m] == NULL || (field != NULL && (field->number == FIELD_KIND ||
                                                             (field->flags & FIELD_INDEXED) != 0)));
        }
        ck_assert(one->needs == NULL || codebook_field_by_name(codebook, kind->number, one->needs) != NULL);
        ck_assert(one->replaces == NULL ||
                  codebook_field_by_name(codebook, kind->number, one->replaces) != NULL);
        for (size_t m = 0; m < BOARD_COLUMNS_MAX && one->columns[m].name != NULL; m++) {
            const struct codebook_field *field =
                one->columns[m].field == NULL
                    ? NULL
                    : codebook_field_by_name(codebook, kind->number, one->columns[m].field);

            /* Names of whom people are to call alone, and those only to who asks for them. */
            bool strict =
                strcmp(one->name, "focal-points") == 0 &&
                (strcmp(one->columns[m].name, "name") == 0 || strcmp(one->columns[m].name, "contact") == 0);

            ck_assert(one->columns[m].field == NULL ||
                      (field != NULL && (field->sensitivity == LEVEL_L3) == strict));
        }
    }
}
END_TEST

SUITE_MAIN_WITH("serve_board", setup, teardown, actions_that_wait_for_a_reply_come_overdue_first,
                each_action_of_a_case_is_a_row, cases_of_earlier_reports_come_by_their_next_review,
                whom_nobody_confirmed_for_a_year_comes_first,
                the_name_of_a_focal_point_is_protected_and_shown_to_who_asks_and_may_read_it,
                consents_that_end_soon_are_listed_until_another_takes_their_place,
                what_is_kept_out_of_the_report_is_on_a_board, conflicts_urgent_cases_and_nodes_are_boards_too,
                readiness_counts_the_cases_of_the_open_window_by_state, a_board_in_pages_is_the_same_board,
                what_lies_behind_much_that_is_left_out_is_found_on_a_later_page,
                a_board_that_is_none_is_refused, every_board_reads_what_the_codebook_has)
