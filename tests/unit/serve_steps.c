/* The way of a case as people go it: steps, what must be filled in by then, gates and who may pass them. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken;
static struct served hq;
static struct served clerk; /* of KEN, who does case work and nothing else */

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init_with(&org, 47, 3, 2);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    org.roles = ROLE_REVIEW;
    struct test_node *first = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *second = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    org.roles = 0;
    struct test_node *third = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
    test_node_join(&org, first);
    test_node_join(&org, second);
    test_node_join(&org, third);
    test_node_exchange(first, second);
    test_node_exchange(first, third);
    served_begin(&ken, first);
    served_begin(&hq, second);
    served_begin(&clerk, third);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    served_end(&clerk);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static void
new_case(const char *more, char number[40])
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.save','kind':'case',%s}", more);

    (void)snprintf(number, 40, "%s", json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
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

static const char *
step(struct served *node, const char *number, const char *to)
{
    char what[80];

    (void)snprintf(what, sizeof what, "'set':{'status':'%s'}", to);
    return change(node, number, what);
}

static const char *
review(struct served *node, const char *number, const char *gate, const char *to, const char *decision,
       int actor)
{
    char what[300];

    test_world_pass(&node->node->world, 1000);
    (void)snprintf(what, sizeof what,
                   "'actor':%d,'add':[{'to':'review','fields':{'gate':'%s','step':'%s','decision':'%s'}}]",
                   actor, gate, to, decision);
    return change(node, number, what);
}

static const char whole[] =
    "'set':{'title':'A march','status':'draft','urgency':'routine','kind':'individual_case',"
    "'act_nature':'reprisal','verification':'allegation','risk_level':'low','transnational':'no',"
    "'scope_decision':'in_scope'},"
    "'add':[{'to':'country_of_act','value':'KEN'},{'to':'country_alleged_responsible','value':'KEN'},"
    "{'to':'scope_basis','value':'cooperates'},"
    "{'to':'narrative','fields':{'language':'eng','text':'They marched.'}}]";

/* A whole case that has come as far as the assessment. */
static void
assessed_case(char number[40])
{
    static const char *const steps[] = { "received", "triage", "assessment" };

    new_case(whole, number);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_str_eq(step(&ken, number, steps[n]), "");
    }
}

START_TEST(a_case_begins_at_the_beginning_and_skips_nothing)
{
    char number[40];

    served_refused(
        served_ask(&ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'A','status':'closed'}}"),
        "invalid");
    new_case(whole, number);
    ck_assert_str_eq(step(&ken, number, "assessment"), "assessment does not follow upon draft");
    ck_assert_str_eq(step(&ken, number, "received"), "");
    ck_assert_str_eq(step(&ken, number, "received"), "");
    ck_assert_str_eq(step(&ken, number, "draft"), "draft does not follow upon received");
    ck_assert_str_eq(change(&ken, number, "'set':{'status':null}"), "status cannot be cleared");
    /* Records of other kinds have no stages. */
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'record.save','kind':'person','set':{'pseudonym':'P-1'}}");
    (void)served_granted(answer);
    json_decref(answer);
}
END_TEST

START_TEST(what_is_asked_for_by_then_must_be_filled_in)
{
    char number[40];

    new_case("'set':{'title':'A march','status':'draft'}", number);
    ck_assert_str_eq(step(&ken, number, "received"),
                     "before it is received this must be filled in: urgency, country_of_act");
    /* In the same save will do. */
    ck_assert_str_eq(change(&ken, number,
                            "'set':{'status':'received','urgency':'routine'},"
                            "'add':[{'to':'country_of_act','value':'KEN'}]"),
                     "");
    ck_assert_str_eq(step(&ken, number, "triage"), "");
    ck_assert_ptr_nonnull(strstr(step(&ken, number, "assessment"), "narrative.text"));
    /* An act need not be there; one that is there is there whole. */
    char second[40];
    new_case(whole, second);
    ck_assert_str_eq(change(&ken, second, "'add':[{'to':'act','fields':{'date_from':'2026-03'}}]"), "");
    ck_assert_str_eq(step(&ken, second, "received"), "");
    ck_assert_str_eq(step(&ken, second, "triage"), "");
    ck_assert_str_eq(step(&ken, second, "assessment"),
                     "before it is assessment this must be filled in: act.type_of_act");
    /* Out of the way it goes as it is. */
    ck_assert_str_eq(step(&ken, number, "withdrawn"), "");
}
END_TEST

START_TEST(a_gate_is_passed_before_the_step_and_by_another_person)
{
    char number[40];

    assessed_case(number);
    ck_assert_str_eq(step(&ken, number, "office_cleared"),
                     "before it is office_cleared these gates must be passed: scope, four_eyes");
    ck_assert_str_eq(review(&ken, number, "scope", "office_cleared", "passed", 1), "");
    ck_assert_str_eq(review(&ken, number, "four_eyes", "office_cleared", "passed", 1), "");
    /* Actor 1 approved: who clears it is another. */
    ck_assert_str_eq(change(&ken, number, "'actor':1,'set':{'status':'office_cleared'}"),
                     "before it is office_cleared these gates must be passed: four_eyes");
    ck_assert_str_eq(change(&ken, number, "'actor':2,'set':{'status':'office_cleared'}"), "");
    /* What was passed for one step is not passed for the next. */
    ck_assert_ptr_nonnull(strstr(step(&ken, number, "shared_with_hq"), "reporting_window"));
}
END_TEST

/* A certificate says who may say what at a gate. */
START_TEST(who_does_case_work_alone_approves_nothing)
{
    char number[40];

    assessed_case(number);
    test_node_exchange(ken.node, clerk.node);
    ck_assert_str_eq(review(&clerk, number, "four_eyes", "office_cleared", "passed", 1),
                     "who has no role for the gate four_eyes neither passes nor refuses it");
    ck_assert_str_eq(review(&clerk, number, "no_harm", "office_cleared", "refused", 1),
                     "who has no role for the gate no_harm neither passes nor refuses it");
    ck_assert_str_eq(review(&clerk, number, "scope", "office_cleared", "passed", 1), "");
    ck_assert_str_eq(review(&ken, number, "four_eyes", "office_cleared", "passed", 1), "");
    test_node_exchange(ken.node, clerk.node);
    /* Whoever takes the step is another person on another device. */
    ck_assert_str_eq(change(&clerk, number, "'actor':1,'set':{'status':'office_cleared'}"), "");
}
END_TEST

START_TEST(the_last_word_at_a_gate_counts_and_only_since_the_record_is_where_it_is)
{
    char number[40];

    assessed_case(number);
    ck_assert_str_eq(review(&ken, number, "scope", "office_cleared", "passed", 1), "");
    ck_assert_str_eq(review(&ken, number, "four_eyes", "office_cleared", "passed", 1), "");
    ck_assert_str_eq(review(&ken, number, "scope", "office_cleared", "refused", 1), "");
    ck_assert_str_eq(change(&ken, number, "'actor':2,'set':{'status':'office_cleared'}"),
                     "before it is office_cleared these gates must be passed: scope");
    ck_assert_str_eq(review(&ken, number, "scope", "office_cleared", "passed", 1), "");
    test_world_pass(&ken.node->world, 1000);
    ck_assert_str_eq(change(&ken, number, "'actor':2,'set':{'status':'office_cleared'}"), "");
    test_world_pass(&ken.node->world, 1000);
    ck_assert_str_eq(step(&ken, number, "assessment"), "");
    /* Sent back, it is reviewed again. */
    test_world_pass(&ken.node->world, 1000);
    ck_assert_str_eq(change(&ken, number, "'actor':2,'set':{'status':'office_cleared'}"),
                     "before it is office_cleared these gates must be passed: scope, four_eyes");
}
END_TEST

START_TEST(of_two_steps_that_were_taken_at_once_a_person_chooses_one)
{
    char number[40];

    assessed_case(number);
    test_node_exchange(ken.node, hq.node);
    ck_assert_str_eq(step(&ken, number, "withdrawn"), "");
    ck_assert_str_eq(review(&hq, number, "four_eyes", "out_of_scope", "passed", 1), "");
    ck_assert_str_eq(change(&hq, number, "'actor':2,'set':{'status':'out_of_scope'}"), "");
    test_node_exchange(ken.node, hq.node);
    served_refused(served_ask(&ken,
                              "{'id':1,'do':'conflict.resolve','record':'%s','target':'status','value':"
                              "'assessment'}",
                              number),
                   "invalid");
    json_t *answer = served_ask(
        &ken, "{'id':1,'do':'conflict.resolve','record':'%s','target':'status','choose':1}", number);
    (void)served_granted(answer);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    ck_assert(json_is_false(json_object_get(served_granted(answer), "conflict")));
    json_decref(answer);
}
END_TEST

START_TEST(what_has_a_history_elsewhere_is_imported_with_admin_and_only_new)
{
    static const char imported[] = "'kind':'case','imported':true,'set':{'title':'Old','status':'closed'}";
    char number[40];

    served_refused(served_ask(&clerk, "{'id':1,'do':'record.save',%s}", imported), "denied");
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.save',%s}", imported);
    (void)snprintf(number, sizeof number, "%s",
                   json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
    ck_assert_str_eq(change(&ken, number, "'imported':true,'set':{'status':'included_named'}"),
                     "only a new record can be imported");
    ck_assert_str_eq(
        step(&ken, number, "reopened"),
        "before it is reopened this must be filled in: urgency, kind, act_nature, country_of_act, "
        "scope_basis, narrative.text");
}
END_TEST

SUITE_MAIN_WITH("serve_steps", setup, teardown, a_case_begins_at_the_beginning_and_skips_nothing,
                what_is_asked_for_by_then_must_be_filled_in,
                a_gate_is_passed_before_the_step_and_by_another_person,
                who_does_case_work_alone_approves_nothing,
                the_last_word_at_a_gate_counts_and_only_since_the_record_is_where_it_is,
                of_two_steps_that_were_taken_at_once_a_person_chooses_one,
                what_has_a_history_elsewhere_is_imported_with_admin_and_only_new)
