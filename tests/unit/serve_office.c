/* What headquarters is told of each office, and of whom everything is here up to where. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <stdio.h>
#include <string.h>

static struct test_organisation org;
static struct served ken;
static struct served hq;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 43);
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
new_case(const char *set, char number[40])
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.save','kind':'case','set':{%s}}", set);

    (void)snprintf(number, 40, "%s", json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
}

static json_t *
offices(void)
{
    return served_ask(&hq, "{'id':1,'do':'offices'}");
}

/* The row of an office. */
static const json_t *
row(json_t *answer, const char *code)
{
    size_t index;
    json_t *one;

    json_array_foreach(json_object_get(served_granted(answer), "offices"), index, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "office")), code) == 0) {
            return one;
        }
    }
    ck_abort_msg("%s is not told of", code);
    return NULL;
}

/* What headquarters is told of an office and of itself, in one number. */
static void
expect_numbers(const char *name, json_int_t of_ken, json_int_t of_hq)
{
    json_t *answer = offices();
    json_int_t first = json_integer_value(json_object_get(row(answer, "KEN"), name));
    json_int_t second = json_integer_value(json_object_get(row(answer, "HQ"), name));

    ck_assert_msg(first == of_ken && second == of_hq, "%s: %lld and %lld, not %lld and %lld", name,
                  (long long)first, (long long)second, (long long)of_ken, (long long)of_hq);
    json_decref(answer);
}

START_TEST(each_office_has_a_row_and_says_which_is_its_own)
{
    json_t *answer = offices();

    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "offices")), 2);
    ck_assert(json_is_false(json_object_get(row(answer, "KEN"), "own")));
    ck_assert(json_is_true(json_object_get(row(answer, "HQ"), "own")));
    ck_assert(json_is_null(json_object_get(row(answer, "KEN"), "silent_s")));
    ck_assert(json_real_value(json_object_get(row(answer, "KEN"), "stored")) == 1.0);
    ck_assert(json_real_value(json_object_get(row(answer, "KEN"), "visible")) == 1.0);
    ck_assert_ptr_null(json_object_get(served_granted(answer), "authors"));
    json_decref(answer);
    expect_numbers("devices", 1, 1);
    expect_numbers("to_receive", 0, 0);
}
END_TEST

START_TEST(an_emergency_counts_for_its_office_until_somebody_has_looked_at_it)
{
    char number[40];

    new_case("'title':'Quiet','status':'draft'", number);
    new_case("'title':'Taken','status':'draft','urgency':'emergency'", number);
    test_node_exchange(ken.node, hq.node);
    expect_numbers("urgent", 1, 0);
    served_granted_once(&ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'Two','status':'draft'"
                              ",'urgency':'urgent'}}");
    test_node_exchange(ken.node, hq.node);
    expect_numbers("urgent", 1, 0); /* U2 is no emergency */
    json_t *answer = served_ask(&hq, "{'id':1,'do':'urgent.ack','record':'%s'}", number);
    (void)served_granted(answer);
    json_decref(answer);
    expect_numbers("urgent", 0, 0);
}
END_TEST

START_TEST(a_conflict_counts_for_the_office_whose_case_it_is)
{
    char number[40];

    new_case("'title':'A march','status':'draft'", number);
    test_node_exchange(ken.node, hq.node);
    expect_numbers("conflicts", 0, 0);
    struct served *const both[] = { &ken, &hq };
    for (size_t n = 0; n < 2; n++) {
        json_t *answer = served_ask(both[n], "{'id':1,'do':'record.save','record':'%s','set':{'title':'%s'}}",
                                    number, n == 0 ? "One" : "Other");
        (void)served_granted(answer);
        json_decref(answer);
    }
    test_node_exchange(ken.node, hq.node);
    expect_numbers("conflicts", 1, 0);
}
END_TEST

START_TEST(receipts_are_missing_until_each_device_has_said_that_nothing_is_left)
{
    char number[40];

    new_case("'title':'A march','status':'draft'", number);
    test_node_exchange(ken.node, hq.node);
    expect_numbers("receipts_missing", 0, 0);
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number);
    (void)served_granted(answer);
    json_decref(answer);
    test_node_exchange(ken.node, hq.node);
    expect_numbers("receipts_missing", 1, 1);
    test_node_tend(hq.node);
    while (replica_compact_is_due(hq.node->replica)) {
        ck_assert_int_eq(replica_compact(hq.node->replica), ERR_OK);
        test_node_tend(hq.node);
    }
    expect_numbers("receipts_missing", 1, 0);
}
END_TEST

START_TEST(of_each_author_it_is_said_up_to_where_all_is_here)
{
    char number[40];
    json_int_t before = -1;

    for (int round = 0; round < 2; round++) {
        new_case("'title':'A march','status':'draft'", number);
        test_node_exchange(ken.node, hq.node);
        json_t *answer = served_ask(&hq, "{'id':1,'do':'offices','office':'KEN'}");
        const json_t *ok = served_granted(answer);
        ck_assert_uint_eq(json_array_size(json_object_get(ok, "offices")), 1);
        ck_assert_uint_eq(json_array_size(json_object_get(ok, "authors")), 1);
        ck_assert_str_eq(json_string_value(served_member(ok, "authors.0.device.name")),
                         ken.node->request.name);
        json_int_t sum = 0;
        size_t index;
        json_t *log;
        json_array_foreach((json_t *)served_member(ok, "authors.0.logs"), index, log)
        {
            ck_assert_int_eq(json_integer_value(json_object_get(log, "to_come")), 0);
            ck_assert_int_eq(json_integer_value(json_object_get(log, "unread")), 0);
            ck_assert(json_is_false(json_object_get(log, "damaged")));
            sum += json_integer_value(json_object_get(log, "up_to"));
        }
        ck_assert_int_gt(sum, before);
        before = sum;
        json_decref(answer);
    }
    served_refused(served_ask(&hq, "{'id':1,'do':'offices','office':'NIL'}"), "absent");
}
END_TEST

START_TEST(what_cannot_be_read_yet_is_stored_and_not_visible)
{
    char number[40];

    new_case("'title':'A march','status':'draft'", number);
    const struct ident cases = test_compartment(hq.node, "KEN", OWN_CASES);
    ck_assert_int_eq(replica_begin(hq.node->replica), ERR_OK);
    /* The case before its keys: it came, and waits. */
    test_node_give_lane(ken.node, hq.node, &cases, LANE_NORMAL);
    ck_assert_int_eq(replica_commit(hq.node->replica), ERR_OK);
    json_t *answer = served_ask(&hq, "{'id':1,'do':'offices','office':'KEN'}");
    const json_t *ok = served_granted(answer);
    ck_assert(json_real_value(served_member(ok, "offices.0.stored")) == 1.0);
    ck_assert(json_real_value(served_member(ok, "offices.0.visible")) < 1.0);
    size_t index;
    json_t *log;
    json_int_t unread = 0;
    json_array_foreach((json_t *)served_member(ok, "authors.0.logs"), index, log)
    {
        unread += json_integer_value(json_object_get(log, "unread"));
    }
    ck_assert_int_gt(unread, 0);
    json_decref(answer);
}
END_TEST

SUITE_MAIN_WITH("serve_office", setup, teardown, each_office_has_a_row_and_says_which_is_its_own,
                an_emergency_counts_for_its_office_until_somebody_has_looked_at_it,
                a_conflict_counts_for_the_office_whose_case_it_is,
                receipts_are_missing_until_each_device_has_said_that_nothing_is_left,
                of_each_author_it_is_said_up_to_where_all_is_here,
                what_cannot_be_read_yet_is_stored_and_not_visible)
