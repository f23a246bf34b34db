/* Erasing as people ask for it: plan, order, list, report, and what a restricted record shows meanwhile. */
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

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init_with(&org, 41, 3, 2);
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

static void
new_case(const char *title, char number[40])
{
    json_t *answer = served_ask(
        &ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'%s','status':'draft'}}", title);

    (void)snprintf(number, 40, "%s", json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
}

static void
expect_text(const json_t *answer, const char *path, const char *text)
{
    const char *found = json_string_value(served_member(answer, path));

    ck_assert_msg(found != NULL && strcmp(found, text) == 0, "%s: %s, not %s", path,
                  found == NULL ? "(none)" : found, text);
}

static void
expect_number(const json_t *answer, const char *path, int number)
{
    ck_assert_int_eq((int)json_integer_value(served_member(answer, path)), number);
}

START_TEST(a_plan_says_what_would_be_erased_and_changes_nothing)
{
    char number[40];

    new_case("A march", number);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'erase.plan','record':'%s'}", number);
    const json_t *plan = served_granted(answer);
    expect_text(plan, "number", number);
    expect_text(plan, "kind", "case");
    ck_assert_uint_eq(json_array_size(served_member(plan, "compartments")), 2);
    expect_number(plan, "devices", 2);
    expect_number(plan, "needed", 2);
    ck_assert(json_is_false(served_member(plan, "second")));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'erase.list'}");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "orders")), 0);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'erase.plan','record':'KEN-2099-0001'}"), "absent");
}
END_TEST

START_TEST(an_order_is_given_signed_again_and_reported_on)
{
    char number[40];
    char other[40];
    char order[40];

    new_case("A march", number);
    new_case("Another", other);
    served_refused(served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s'}", number), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'because'}", number),
                   "invalid");
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number);
    (void)snprintf(order, sizeof order, "%s",
                   json_string_value(served_member(served_granted(answer), "order")));
    ck_assert(json_is_false(served_member(served_granted(answer), "second")));
    json_decref(answer);
    served_refused(
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number),
        "exists");

    /* It waits, and says for what. */
    test_node_exchange(ken.node, hq.node);
    answer = served_ask(&hq, "{'id':1,'do':'erase.list'}");
    const json_t *list = served_granted(answer);
    expect_text(list, "orders.0.order", order);
    expect_text(list, "orders.0.state", "waiting");
    expect_text(list, "orders.0.number", number);
    expect_text(list, "orders.0.signers.0.office", "KEN");
    expect_number(list, "orders.0.signed", 1);
    json_decref(answer);
    answer = served_ask(&hq, "{'id':1,'do':'status'}");
    ck_assert_uint_gt(json_array_size(served_member(served_granted(answer), "warnings")), 0);
    json_decref(answer);
    answer = served_ask(&hq, "{'id':1,'do':'erase.plan','record':'%s'}", number);
    ck_assert(json_is_true(served_member(served_granted(answer), "second")));
    json_decref(answer);

    answer =
        served_ask(&hq, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number);
    ck_assert(json_is_true(served_member(served_granted(answer), "second")));
    expect_text(served_granted(answer), "order", order);
    json_decref(answer);
    served_refused(served_ask(&hq, "{'id':1,'do':'record.show','record':'%s'}", number), "absent");
    /* Records made before and after it are called as before. */
    answer = served_ask(&hq, "{'id':1,'do':'record.show','record':'%s'}", other);
    expect_text(served_granted(answer), "number", other);
    json_decref(answer);

    /* Nobody has confirmed it before the files are rewritten. */
    answer = served_ask(&hq, "{'id':1,'do':'erase.report','order':'%.8s'}", order);
    expect_number(served_granted(answer), "confirmed", 0);
    expect_number(served_granted(answer), "missing", 2);
    expect_text(served_granted(answer), "state", "stands");
    json_decref(answer);
    test_node_tend(hq.node);
    ck_assert(replica_compact_is_due(hq.node->replica));
    answer = served_ask(&hq, "{'id':1,'do':'erase.list'}");
    ck_assert(json_is_true(served_member(served_granted(answer), "rewriting_due")));
    expect_text(served_granted(answer), "orders.0.here.state", "closed");
    ck_assert_ptr_null(served_member(served_granted(answer), "orders.0.record"));
    json_decref(answer);
    ck_assert_int_eq(replica_compact(hq.node->replica), ERR_OK);
    test_node_tend(hq.node);
    answer = served_ask(&hq, "{'id':1,'do':'erase.report'}");
    const json_t *report = served_granted(answer);
    expect_number(report, "confirmed", 1);
    expect_text(report, "here.state", "done");
    ck_assert_uint_eq(json_array_size(served_member(report, "devices")), 2);
    for (size_t n = 0; n < 2; n++) {
        const json_t *device = json_array_get(served_member(report, "devices"), n);
        bool own = strcmp(json_string_value(served_member(device, "device.office")), "HQ") == 0;
        expect_text(device, "state", own ? "confirmed" : "missing");
        ck_assert(json_is_string(served_member(device, "at")) == own);
    }
    json_decref(answer);
    served_refused(served_ask(&hq, "{'id':1,'do':'erase.report','order':'123456'}"), "absent");
    served_refused(served_ask(&hq, "{'id':1,'do':'erase.report','order':'xyz'}"), "invalid");
}
END_TEST

/* Letters and reports may name the one that was erased. */
START_TEST(the_number_of_an_erased_record_is_not_given_again)
{
    char first[40];
    char last[40];
    char next[40];

    new_case("A march", first);
    new_case("Another", last);
    json_decref(
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", last));
    test_node_exchange(ken.node, hq.node);
    json_decref(
        served_ask(&hq, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", last));
    test_node_exchange(ken.node, hq.node);
    test_node_tend(ken.node);
    served_refused(served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", last), "absent");
    served_end(&ken);
    served_begin(&ken, ken.node);
    new_case("A third", next);
    ck_assert_str_ne(next, last);
    ck_assert_int_eq(atoi(strrchr(next, '-') + 1), atoi(strrchr(last, '-') + 1) + 1);
}
END_TEST

START_TEST(a_restricted_record_shows_who_restricted_it_and_nothing_else)
{
    char number[40];

    new_case("A march", number);
    json_decref(
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'erasure_requested'}", number));
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    const json_t *record = served_granted(answer);
    ck_assert(json_is_true(served_member(record, "restricted")));
    expect_text(record, "number", number);
    expect_text(record, "kind", "case");
    ck_assert_uint_eq(json_array_size(served_member(record, "fields")), 0);
    ck_assert_uint_eq(json_array_size(served_member(record, "elements")), 1);
    expect_text(record, "elements.0.collection", "restriction");
    expect_text(record, "elements.0.fields.0.values.0.value", "erasure_requested");
    expect_text(record, "elements.0.fields.0.values.0.device.office", "KEN");
    ck_assert(json_is_string(served_member(record, "elements.0.fields.0.values.0.at")));
    char element[40];
    (void)snprintf(element, sizeof element, "%s",
                   json_string_value(served_member(record, "elements.0.element")));
    json_decref(answer);

    answer = served_ask(&ken, "{'id':1,'do':'record.list','kind':'case'}");
    ck_assert(json_is_true(served_member(served_granted(answer), "records.0.restricted")));
    expect_text(served_granted(answer), "records.0.number", number);
    ck_assert_ptr_null(served_member(served_granted(answer), "records.0.title"));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.list','kind':'case','where':{'status':'draft'}}");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "records")), 0);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.count','kind':'case','by':['status']}");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "rows")), 0);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'record.history','record':'%s'}", number), "denied");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'B'}}", number),
                   "denied");

    json_decref(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','remove':['restriction[%s]']}",
                           number, element));
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    ck_assert(json_is_false(served_member(served_granted(answer), "restricted")));
    ck_assert_uint_gt(json_array_size(served_member(served_granted(answer), "fields")), 1);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.list','kind':'case','where':{'status':'draft'}}");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "records")), 1);
    json_decref(answer);
}
END_TEST

START_TEST(w5_on_a_full_disk_an_order_is_given_and_nothing_else_is_written)
{
    char number[40];

    new_case("A march", number);
    ken.node->world.disk_full = true;
    served_refused(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'B'}}", number),
                   "full");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'B'}}"), "full");
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number);
    ck_assert_uint_eq(strlen(json_string_value(served_member(served_granted(answer), "order"))), 32);
    json_decref(answer);
    ck_assert_uint_eq(roster_erasure_count(replica_roster(ken.node->replica)), 1);
    ken.node->world.disk_full = false;
}
END_TEST

SUITE_MAIN_WITH("serve_erase", setup, teardown, a_plan_says_what_would_be_erased_and_changes_nothing,
                an_order_is_given_signed_again_and_reported_on,
                the_number_of_an_erased_record_is_not_given_again,
                a_restricted_record_shows_who_restricted_it_and_nothing_else,
                w5_on_a_full_disk_an_order_is_given_and_nothing_else_is_written)
