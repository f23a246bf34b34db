/* Urgent cases as people meet them: who waits to be looked at, who said that he did, who may lower what, and in which lane it goes. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"
#include "store/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t HOUR_MS = UINT64_C(60) * 60 * 1000;

static struct test_organisation org;
static struct served ken;   /* reviews, reads both halves */
static struct served clerk; /* of KEN, who does case work and nothing else */
static struct served gva;   /* reads and writes the case half alone */

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    log_to(silent, NULL);
    test_organisation_init_with(&org, 53, 3, 2);
    test_organisation_office(&org, "KEN", false);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=write", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "GVA", "Geneva", false, grants, count, &fault), ERR_OK);
    org.roles = ROLE_REVIEW | ROLE_OPERATOR;
    struct test_node *first = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *third = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    org.roles = 0;
    struct test_node *second = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
    test_node_join(&org, first);
    test_node_join(&org, second);
    test_node_join(&org, third);
    test_node_exchange(first, second);
    test_node_exchange(first, third);
    served_begin(&ken, first);
    served_begin(&clerk, second);
    served_begin(&gva, third);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&clerk);
    served_end(&gva);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static void
pass_hours(uint64_t hours)
{
    test_world_pass(&ken.node->world, hours * HOUR_MS);
    test_world_pass(&clerk.node->world, hours * HOUR_MS);
    test_world_pass(&gva.node->world, hours * HOUR_MS);
}

static void
save(struct served *node, const char *body, char number[40])
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save',%s}", body);

    (void)snprintf(number, 40, "%s", json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
}

static void
new_case(const char *urgency, char number[40])
{
    char body[300];

    (void)snprintf(body, sizeof body,
                   "'kind':'case','set':{'title':'A march','status':'draft','urgency':'%s'},"
                   "'add':[{'to':'country_of_act','value':'KEN'}]",
                   urgency);
    save(&ken, body, number);
}

/* What somebody wants to do with the case: "" if it is done, or why not. */
static const char *
change(struct served *node, const char *number, const char *what)
{
    static char why[400];
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save','record':'%s',%s}", number, what);
    const char *message = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

    (void)snprintf(why, sizeof why, "%s", message == NULL ? "" : message);
    json_decref(answer);
    return why;
}

static void
ack(struct served *node, const char *number)
{
    json_t *answer =
        served_ask(node, "{'id':1,'do':'urgent.ack','record':'%s','note':'The lawyer was called'}", number);

    (void)served_granted(answer);
    json_decref(answer);
}

/* The numbers that are listed, in order, each with a comma. */
static const char *
listed(struct served *node, const char *more)
{
    static char numbers[400];
    json_t *answer = served_ask(node, "{'id':1,'do':'urgent.list'%s}", more);
    size_t index;
    json_t *row;

    numbers[0] = '\0';
    json_array_foreach(json_object_get(served_granted(answer), "cases"), index, row)
    {
        (void)snprintf(numbers + strlen(numbers), sizeof numbers - strlen(numbers), "%s,",
                       json_string_value(json_object_get(row, "number")));
        /* What the index tells is what the case itself says. */
        ck_assert(json_is_true(json_object_get(row, "waits")) || strstr(more, "all") != NULL);
    }
    json_decref(answer);
    return numbers;
}

static void
expect_listed(struct served *node, const char *more, const char *first, const char *second)
{
    char wanted[100];

    (void)snprintf(wanted, sizeof wanted, "%s%s%s%s", first, first[0] == '\0' ? "" : ",", second,
                   second[0] == '\0' ? "" : ",");
    ck_assert_str_eq(listed(node, more), wanted);
}

/* The row of a case, "all" of them; the caller frees it. */
static json_t *
row_of(struct served *node, const char *number)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'urgent.list','all':true}");
    size_t index;
    json_t *row;
    json_t *found = NULL;

    json_array_foreach(json_object_get(served_granted(answer), "cases"), index, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "number")), number) == 0) {
            found = json_incref(row);
        }
    }
    ck_assert_ptr_nonnull(found);
    json_decref(answer);
    return found;
}

static const char *
text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "" : value;
}

/* The warning of `status` about emergencies; "" if there is none. */
static const char *
warning(struct served *node)
{
    static char found[400];
    json_t *answer = served_ask(node, "{'id':1,'do':'status'}");
    size_t index;
    json_t *line;

    found[0] = '\0';
    json_array_foreach(json_object_get(served_granted(answer), "warnings"), index, line)
    {
        if (strstr(json_string_value(line), "(U1)") != NULL) {
            (void)snprintf(found, sizeof found, "%s", json_string_value(line));
        }
    }
    json_decref(answer);
    return found;
}

START_TEST(an_emergency_waits_on_every_node_that_may_read_it_until_somebody_acknowledges)
{
    char first[40];
    char second[40];

    new_case("emergency", first);
    pass_hours(3);
    new_case("urgent", second);
    pass_hours(2);
    test_node_exchange(ken.node, clerk.node);
    test_node_exchange(ken.node, gva.node);
    struct served *const nodes[] = { &ken, &clerk, &gva };
    for (size_t n = 0; n < 3; n++) {
        expect_listed(nodes[n], "", first, second);
        ck_assert_ptr_nonnull(strstr(warning(nodes[n]), first));
        ck_assert_ptr_nonnull(strstr(warning(nodes[n]), "1 case is an emergency"));
        ck_assert_ptr_nonnull(strstr(warning(nodes[n]), "5 hours"));
    }
    ack(&gva, first);
    test_node_exchange(gva.node, ken.node);
    test_node_exchange(ken.node, clerk.node);
    for (size_t n = 0; n < 3; n++) {
        expect_listed(nodes[n], "", second, "");
        expect_listed(nodes[n], ",'all':true", second, first);
        ck_assert_str_eq(warning(nodes[n]), "");
        json_t *row = row_of(nodes[n], first);
        ck_assert(json_is_false(json_object_get(row, "waits")));
        ck_assert_int_eq((int)json_integer_value(json_object_get(row, "hours")), 5);
        ck_assert_str_eq(text(row, "office"), "KEN");
        ck_assert_str_eq(json_string_value(json_array_get(json_object_get(row, "country"), 0)), "KEN");
        const json_t *acks = json_object_get(row, "acknowledgements");
        ck_assert_uint_eq(json_array_size(acks), 1);
        ck_assert_str_eq(text(json_array_get(acks, 0), "urgency"), "emergency");
        json_decref(row);
    }
}
END_TEST

/* Who looks after a node hears that there is one, and not which. */
START_TEST(an_operator_is_shown_no_number)
{
    char number[40];

    new_case("emergency", number);
    json_decref(served_ask(&ken, "{'id':1,'do':'actor.add','number':7,'name':'Otieno','role':'operator'}"));
    json_t *answer = served_ask(&ken, "{'id':1,'do':'status','actor':7}");
    char *said = json_dumps(served_granted(answer), JSON_COMPACT);
    ck_assert_ptr_nonnull(strstr(said, "1 case is an emergency"));
    ck_assert_ptr_null(strstr(said, number));
    free(said);
    json_decref(answer);
    ck_assert_ptr_nonnull(strstr(warning(&ken), number));
    served_refused(served_ask(&ken, "{'id':1,'do':'urgent.list','actor':7}"), "denied");
    served_refused(served_ask(&ken, "{'id':1,'do':'urgent.ack','record':'%s','actor':7}", number), "denied");
    served_refused(served_ask(&ken, "{'id':1,'do':'board','actor':7}"), "denied");
}
END_TEST

START_TEST(a_raise_after_an_acknowledgement_asks_for_another)
{
    char number[40];

    new_case("urgent", number);
    pass_hours(1);
    ack(&ken, number);
    expect_listed(&ken, "", "", "");
    pass_hours(1);
    /* The same again is no raise. */
    ck_assert_str_eq(change(&ken, number, "'set':{'urgency':'urgent'}"), "");
    expect_listed(&ken, "", "", "");
    ck_assert_str_eq(change(&ken, number, "'set':{'urgency':'emergency'}"), "");
    expect_listed(&ken, "", number, "");
    json_t *row = row_of(&ken, number);
    ck_assert_int_eq((int)json_integer_value(json_object_get(row, "hours")), 0);
    json_decref(row);
    ack(&ken, number);
    expect_listed(&ken, "", "", "");
    /* Lowered, and raised to what was acknowledged once. */
    ck_assert_str_eq(change(&ken, number,
                            "'set':{'urgency':'priority'},'add':[{'to':'lowering','fields':{'reason':'She "
                            "was released'}}]"),
                     "");
    expect_listed(&ken, ",'all':true", "", "");
    pass_hours(1);
    ck_assert_str_eq(change(&ken, number, "'set':{'urgency':'emergency'}"), "");
    expect_listed(&ken, "", number, "");
    ck_assert_str_ne(warning(&ken), "");
}
END_TEST

/* Whoever acknowledges has not seen what is raised elsewhere meanwhile. */
START_TEST(an_acknowledgement_does_not_cover_a_raise_that_it_did_not_see)
{
    char number[40];

    new_case("emergency", number);
    test_node_exchange(ken.node, gva.node);
    ack(&gva, number);
    ck_assert_str_eq(change(&ken, number,
                            "'set':{'urgency':'routine'},'add':[{'to':'lowering','fields':{'reason':'An "
                            "error'}}]"),
                     "");
    ck_assert_str_eq(change(&ken, number, "'set':{'urgency':'emergency'}"), "");
    test_node_exchange(ken.node, gva.node);
    expect_listed(&ken, "", number, "");
    expect_listed(&gva, "", number, "");
    /* And nobody is asked to decide between them. */
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    size_t index;
    json_t *field;
    json_array_foreach(json_object_get(served_granted(answer), "fields"), index, field)
    {
        ck_assert(strcmp(text(field, "name"), "alert") != 0 ||
                  json_is_false(json_object_get(field, "conflict")));
    }
    json_decref(answer);
    ack(&ken, number);
    test_node_exchange(ken.node, gva.node);
    expect_listed(&gva, "", "", "");
}
END_TEST

START_TEST(of_two_urgencies_the_higher_one_counts)
{
    char number[40];

    new_case("routine", number);
    test_node_exchange(ken.node, gva.node);
    ck_assert_str_eq(change(&gva, number, "'set':{'urgency':'emergency'}"), "");
    ck_assert_str_eq(change(&ken, number, "'set':{'urgency':'priority'}"), "");
    test_node_exchange(ken.node, gva.node);
    expect_listed(&ken, "", number, "");
    json_t *row = row_of(&ken, number);
    ck_assert_str_eq(text(row, "urgency"), "emergency");
    json_decref(row);
    /* To choose the lower one is to lower it. */
    served_refused(served_ask(&ken,
                              "{'id':1,'do':'conflict.resolve','record':'%s','target':'urgency','value':"
                              "'priority'}",
                              number),
                   "denied");
    json_t *answer = served_ask(
        &ken, "{'id':1,'do':'conflict.resolve','record':'%s','target':'urgency','value':'emergency'}",
        number);
    (void)served_granted(answer);
    json_decref(answer);
    expect_listed(&ken, "", number, "");
}
END_TEST

START_TEST(lowering_takes_a_reviewer_and_a_reason_in_the_same_save)
{
    static const char lower[] = "'set':{'urgency':'priority'}";
    static const char with_reason[] =
        "'set':{'urgency':'priority'},'add':[{'to':'lowering','fields':{'reason':'He is safe'}}]";
    char number[40];

    new_case("emergency", number);
    test_node_exchange(ken.node, clerk.node);
    ck_assert_str_eq(change(&clerk, number, with_reason),
                     "the urgency is emergency, and who has no role for reviews does not lower it");
    ck_assert_str_eq(change(&clerk, number, "'set':{'urgency':null}"),
                     "the urgency is emergency, and who has no role for reviews does not lower it");
    ck_assert_str_eq(change(&ken, number, lower),
                     "the urgency is emergency, and is lowered only with a reason in the same save");
    ck_assert_str_eq(change(&ken, number, "'set':{'urgency':null}"),
                     "the urgency is emergency, and is lowered only with a reason in the same save");
    ck_assert_str_eq(
        change(&ken, number,
               "'set':{'urgency':'priority'},'add':[{'to':'lowering','fields':{'reason':'  '}}]"),
        "the urgency is emergency, and is lowered only with a reason in the same save");
    /* A reason that was given once is not one for the next time. */
    ck_assert_str_eq(change(&ken, number, "'add':[{'to':'lowering','fields':{'reason':'He is safe'}}]"), "");
    ck_assert_str_eq(change(&ken, number, lower),
                     "the urgency is emergency, and is lowered only with a reason in the same save");
    ck_assert_str_eq(change(&ken, number, with_reason), "");
    /* Whoever does case work raises it. */
    test_node_exchange(ken.node, clerk.node);
    ck_assert_str_eq(change(&clerk, number, "'set':{'urgency':'urgent'}"), "");
    expect_listed(&clerk, "", number, "");
}
END_TEST

START_TEST(what_is_not_urgent_is_not_acknowledged)
{
    char number[40];
    char person[40];

    new_case("priority", number);
    served_refused(served_ask(&ken, "{'id':1,'do':'urgent.ack','record':'%s'}", number), "invalid");
    save(&ken, "'kind':'person','set':{'pseudonym':'Dove'}", person);
    served_refused(served_ask(&ken, "{'id':1,'do':'urgent.ack','record':'%s'}", person), "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'urgent.ack','record':'KEN-2026-4711'}"), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'urgent.ack'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'urgent.list','after':'x3'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'urgent.list','limit':0}"), "usage");
    /* An acknowledgement is never taken back. */
    new_case("urgent", number);
    ack(&ken, number);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    const json_t *elements = json_object_get(served_granted(answer), "elements");
    char element[60] = "";
    size_t index;
    json_t *one;
    json_array_foreach((json_t *)elements, index, one)
    {
        if (strcmp(text(one, "collection"), "acknowledgement") == 0) {
            (void)snprintf(element, sizeof element, "'remove':['acknowledgement[%s]']", text(one, "element"));
        }
    }
    ck_assert_str_ne(element, "");
    ck_assert_str_eq(change(&ken, number, element), "Acknowledgements are never removed");
    json_decref(answer);
}
END_TEST

/* How many entries this node wrote so far into a half of its cases, in a lane. */
static uint64_t
written(struct served *node, enum own_compartment half, uint8_t lane)
{
    struct journal *journal = replica_journal(node->node->replica);
    const struct roster_office *office = roster_office_by_code(replica_roster(node->node->replica), "KEN");
    uint64_t count = 0;

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (hash_equal(&branch->device_id, &node->node->identity.device_id) &&
            branch->descriptor.lane == lane &&
            ident_equal(&branch->descriptor.compartment, &office->own[half])) {
            count += branch->next_seq;
        }
    }
    return count;
}

START_TEST(an_urgent_case_goes_to_lane_1_and_who_somebody_is_does_not)
{
    static const char both[] = "'set':{'title':'A night march'},'add':[{'to':'perpetrator','fields':{"
                               "'actor_type':'police','individual_name':'Captain Fox'}}]";
    uint64_t urgent;
    uint64_t normal;
    char number[40];

    new_case("routine", number);
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), 0);
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_NORMAL), 1);
    ck_assert_str_eq(change(&ken, number, both), "");
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), 0);
    ck_assert_uint_eq(written(&ken, OWN_PROTECTED, LANE_NORMAL), 1);
    /* The save that makes it so, and every one after it. */
    ck_assert_str_eq(change(&ken, number, "'set':{'urgency':'urgent'}"), "");
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), 1);
    ck_assert_str_eq(change(&ken, number, both), "");
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), 2);
    ck_assert_uint_eq(written(&ken, OWN_PROTECTED, LANE_NORMAL), 2);
    ack(&ken, number);
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), 3);
    /* The one that lowers it goes ahead too, and the next does not. */
    ck_assert_str_eq(
        change(&ken, number,
               "'set':{'urgency':'routine'},'add':[{'to':'lowering','fields':{'reason':'Safe'}}]"),
        "");
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), 4);
    ck_assert_str_eq(change(&ken, number, "'set':{'title':'A march'}"), "");
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), 4);
    /* Whatever lane is asked for, who somebody is stays in the normal one. */
    urgent = written(&ken, OWN_CASES, LANE_URGENT);
    normal = written(&ken, OWN_PROTECTED, LANE_NORMAL);
    save(&ken,
         "'kind':'person','urgent':true,'set':{'pseudonym':'Dove'},'add':[{'to':'name','fields':{'text':'"
         "Wanjiru'}}]",
         number);
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), urgent + 1);
    ck_assert_uint_eq(written(&ken, OWN_PROTECTED, LANE_NORMAL), normal + 1);
    ck_assert_uint_eq(written(&ken, OWN_PROTECTED, LANE_URGENT), 0);
    /* A new emergency at once. */
    urgent++;
    new_case("emergency", number);
    ck_assert_uint_eq(written(&ken, OWN_CASES, LANE_URGENT), urgent + 1);
}
END_TEST

START_TEST(a_case_whose_facts_ask_for_more_is_shown_as_such_and_left_as_it_is)
{
    char person[40];
    char number[40];
    char body[500];

    save(&ken,
         "'kind':'person','set':{'pseudonym':'Dove','age_group':'child_under_18','current_situation':'safe'}"
         ",'add':[{'to':'name','fields':{'text':'Wanjiru'}}]",
         person);
    (void)snprintf(body, sizeof body,
                   "'kind':'case','set':{'title':'A march','status':'draft','urgency':'urgent'},"
                   "'add':[{'to':'act','fields':{'type_of_act':'detention','stage':'ended'}},"
                   "{'to':'victim','fields':{'person':'%s'}}]",
                   person);
    save(&ken, body, number);
    json_t *row = row_of(&ken, number);
    ck_assert_str_eq(text(row, "asks"), "priority");
    ck_assert(json_is_false(json_object_get(row, "asks_more")));
    json_decref(row);
    ck_assert_str_eq(change(&ken, person, "'set':{'current_situation':'detained'}"), "");
    row = row_of(&ken, number);
    ck_assert_str_eq(text(row, "asks"), "emergency");
    ck_assert(json_is_true(json_object_get(row, "asks_more")));
    ck_assert_str_eq(text(row, "urgency"), "urgent");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(row, "why"), 0)), "a child is at risk");
    json_decref(row);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    const json_t *urgency = json_object_get(served_granted(answer), "urgency");
    ck_assert_str_eq(text(urgency, "set"), "urgent");
    ck_assert_str_eq(text(urgency, "asks"), "emergency");
    json_decref(answer);
}
END_TEST

/* Of what a list, a board or a warning says nothing is of level L3, in whatever half it was written. */
START_TEST(who_somebody_is_stands_in_no_list_and_no_warning)
{
    static const char *const asked[] = { "{'id':1,'do':'urgent.list','all':true}", "{'id':1,'do':'status'}",
                                         "{'id':1,'do':'board','name':'urgent'}" };
    char number[40];

    save(&ken,
         "'kind':'case','set':{'title':'A march','status':'draft','urgency':'emergency'},"
         "'add':[{'to':'perpetrator','fields':{'actor_type':'police','individual_name':'Captain Fox'}},"
         "{'to':'act','fields':{'type_of_act':'killing','coordinates':'1.28 S 36.82 E'}}]",
         number);
    for (size_t n = 0; n < 3; n++) {
        json_t *answer = served_ask(&ken, "%s", asked[n]);
        char *said = json_dumps(answer, JSON_COMPACT);

        ck_assert_ptr_nonnull(strstr(said, number));
        ck_assert_ptr_null(strstr(said, "Fox"));
        ck_assert_ptr_null(strstr(said, "36.82"));
        free(said);
        json_decref(answer);
    }
    json_t *row = row_of(&ken, number);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(row, "why"), 0)),
                     "somebody's life is at risk");
    json_decref(row);
}
END_TEST

START_TEST(a_long_list_comes_in_pages_and_what_is_restricted_is_on_none)
{
    enum { CASES = 7 };
    char numbers[CASES][40];
    char more[80] = ",'all':true,'limit':3";
    char seen[400] = "";
    size_t pages = 0;

    for (size_t n = 0; n < CASES; n++) {
        new_case(n % 2 == 0 ? "urgent" : "emergency", numbers[n]);
        pass_hours(1);
    }
    ack(&ken, numbers[0]);
    ack(&ken, numbers[3]);
    json_decref(served_ask(&ken,
                           "{'id':1,'do':'record.save','record':'%s','add':[{'to':'restriction',"
                           "'fields':{'reason':'safety'}}]}",
                           numbers[6]));
    for (bool ended = false; !ended; pages++) {
        json_t *answer = served_ask(&ken, "{'id':1,'do':'urgent.list'%s}", more);
        const json_t *ok = served_granted(answer);
        const json_t *next = json_object_get(ok, "next");

        ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "waiting")), 4);
        ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "total")), 6);
        (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s", listed(&ken, more));
        ended = !json_is_string(next);
        (void)snprintf(more, sizeof more, ",'all':true,'limit':3,'after':'%s'",
                       ended ? "" : json_string_value(next));
        json_decref(answer);
    }
    char wanted[400];
    (void)snprintf(wanted, sizeof wanted, "%s,%s,%s,%s,%s,%s,", numbers[1], numbers[2], numbers[4],
                   numbers[5], numbers[0], numbers[3]);
    ck_assert_str_eq(seen, wanted);
    ck_assert_uint_eq(pages, 2);
    ck_assert_ptr_nonnull(strstr(warning(&ken), "2 cases are emergencies"));
    ck_assert_ptr_nonnull(strstr(warning(&ken), numbers[1]));
}
END_TEST

SUITE_MAIN_WITH("serve_urgent", setup, teardown,
                an_emergency_waits_on_every_node_that_may_read_it_until_somebody_acknowledges,
                an_operator_is_shown_no_number, a_raise_after_an_acknowledgement_asks_for_another,
                an_acknowledgement_does_not_cover_a_raise_that_it_did_not_see,
                of_two_urgencies_the_higher_one_counts,
                lowering_takes_a_reviewer_and_a_reason_in_the_same_save,
                what_is_not_urgent_is_not_acknowledged,
                an_urgent_case_goes_to_lane_1_and_who_somebody_is_does_not,
                a_case_whose_facts_ask_for_more_is_shown_as_such_and_left_as_it_is,
                who_somebody_is_stands_in_no_list_and_no_warning,
                a_long_list_comes_in_pages_and_what_is_restricted_is_on_none)
