#include "node/casework/roles.h"
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;

static struct served ken;
static struct served hq;

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    log_to(silent, NULL);
    test_organisation_init(&org, 11);
    org.roles = ROLE_REVIEW | ROLE_OPERATOR;
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

/* The field called `target` among those of an object with "fields". NULL: it is not there. */
static json_t *
field(const json_t *of, const char *target)
{
    size_t index;
    json_t *one;

    json_array_foreach(json_object_get(of, "fields"), index, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "target")), target) == 0 ||
            strcmp(json_string_value(json_object_get(one, "name")), target) == 0) {
            return one;
        }
    }
    return NULL;
}

static const char *
value_of(const json_t *of, const char *target, size_t n)
{
    const json_t *value = json_array_get(json_object_get(field(of, target), "values"), n);

    return json_string_value(json_object_get(value, "value"));
}

static json_t *
element(const json_t *record, const char *collection)
{
    size_t index;
    json_t *one;

    json_array_foreach(json_object_get(record, "elements"), index, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "collection")), collection) == 0) {
            return one;
        }
    }
    return NULL;
}

/* Make a case at KEN; its number. */
static void
new_case(char number[40])
{
    json_t *answer = served_ask(
        &ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'A march','status':'draft',"
              "'country_of_act':['KEN','UGA']},'add':[{'to':'act','fields':{'type_of_act':'death_threat',"
              "'date_from':'2026-03~'}}],'note':['first seen']}");
    json_t *ok = served_granted(answer);

    (void)snprintf(number, 40, "%s", json_string_value(json_object_get(ok, "number")));
    ck_assert_int_eq((int)strlen(json_string_value(json_object_get(ok, "record"))), 32);
    json_decref(answer);
}

static void
frontier_of_ken(char out[64])
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'digest'}");
    size_t index;
    json_t *one;

    out[0] = '\0';
    json_array_foreach(json_object_get(served_granted(answer), "compartments"), index, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), "KEN cases") == 0) {
            (void)snprintf(out, 64, "%s", json_string_value(json_object_get(one, "frontier")));
        }
    }
    ck_assert_int_eq((int)strlen(out), 32);
    json_decref(answer);
}

START_TEST(a_saved_case_is_shown_with_all_that_was_said)
{
    char number[40];

    new_case(number);
    ck_assert_str_eq(number, "KEN-2025-0001");
    json_t *answer = served_ask(&ken, "{'id':2,'do':'record.show','record':'%s'}", number);
    json_t *record = served_granted(answer);
    ck_assert_str_eq(json_string_value(json_object_get(record, "number")), number);
    ck_assert_str_eq(json_string_value(json_object_get(record, "kind")), "case");
    ck_assert_str_eq(json_string_value(json_object_get(record, "office")), "KEN");
    ck_assert_str_eq(value_of(record, "title", 0), "A march");
    ck_assert_str_eq(value_of(record, "status", 0), "draft");
    ck_assert(!json_is_true(json_object_get(record, "conflict")));
    ck_assert(!json_is_true(json_object_get(record, "withheld")));
    const json_t *pick = json_array_get(json_object_get(field(record, "status"), "values"), 0);
    ck_assert(json_is_true(json_object_get(pick, "pick")));
    ck_assert_str_eq(json_string_value(json_object_get(pick, "label")), "Draft");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(pick, "device"), "office")), "KEN");
    ck_assert_str_eq(value_of(element(record, "act"), "act.type_of_act", 0), "death_threat");
    /* Whose code a value is, for whoever has labels in another language. */
    ck_assert_str_eq(json_string_value(json_object_get(field(record, "status"), "vocabulary")),
                     "case_status");
    ck_assert_str_eq(json_string_value(json_object_get(field(record, "title"), "vocabulary")), "");
    ck_assert_ptr_nonnull(element(record, "country_of_act"));
    ck_assert_str_eq(
        json_string_value(json_object_get(json_array_get(json_object_get(record, "notes"), 0), "text")),
        "first seen");
    json_decref(answer);
}
END_TEST

START_TEST(numbers_go_on_where_they_were)
{
    char first[40];
    char second[40];

    new_case(first);
    new_case(second);
    ck_assert_str_eq(second, "KEN-2025-0002");
    served_end(&ken);
    served_begin(&ken, ken.node);
    new_case(second);
    ck_assert_str_eq(second, "KEN-2025-0003");
}
END_TEST

START_TEST(a_record_is_named_by_number_id_or_prefix)
{
    char number[40];

    new_case(number);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'ken-2025-0001'}");
    char id[40];
    (void)snprintf(id, sizeof id, "%s", json_string_value(json_object_get(served_granted(answer), "id")));
    json_decref(answer);
    json_decref(served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", id));
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%.8s'}", id);
    ck_assert_str_eq(json_string_value(json_object_get(served_granted(answer), "id")), id);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'record.show','record':'%.5s'}", id), "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.show','record':'KEN-2025-0009'}"), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.show','record':'00000000'}"), "absent");
}
END_TEST

START_TEST(one_wrong_value_and_nothing_of_a_save_happens)
{
    char number[40];
    char before[64];
    char after[64];
    static const char *const changes[] = {
        "'set':{'title':'Another','status':'nonsense'}",
        "'set':{'title':'Another','no_such_field':'x'}",
        "'set':{'title':'Another'},'add':[{'to':'act','fields':{'date_from':'March'}}]",
        "'set':{'title':'Another'},'add':[{'to':'no_such_collection','fields':{}}]",
        "'set':{'title':'Another'},'add':[{'to':'country_of_act','value':'Kenya'}]",
        "'set':{'title':'Another','act.type_of_act':'detention'}",
    };

    new_case(number);
    frontier_of_ken(before);
    for (size_t n = 0; n < sizeof changes / sizeof changes[0]; n++) {
        served_refused(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s',%s}", number, changes[n]),
                       "invalid");
        served_refused(served_ask(&ken, "{'id':1,'do':'record.save','kind':'case',%s}", changes[n]),
                       "invalid");
    }
    served_refused(
        served_ask(&ken,
                   "{'id':1,'do':'record.save','record':'%s','set':{'title':'x'},'remove':['act[00000000]']}",
                   number),
        "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s'}", number), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':['title']}", number),
                   "usage");
    frontier_of_ken(after);
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(elements_are_edited_and_removed_by_the_beginning_of_their_id)
{
    char number[40];
    char id[32];

    new_case(number);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    (void)snprintf(id, sizeof id, "%s",
                   json_string_value(json_object_get(element(served_granted(answer), "act"), "element")));
    json_decref(answer);
    answer = served_ask(
        &ken, "{'id':1,'do':'record.save','record':'%s','set':{'act[%.8s].type_of_act':'detention'}}", number,
        id);
    (void)served_granted(answer);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    ck_assert_str_eq(value_of(element(served_granted(answer), "act"), "act.type_of_act", 0), "detention");
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','remove':['act[%s]']}", number, id);
    (void)served_granted(answer);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    ck_assert_ptr_null(element(served_granted(answer), "act"));
    json_decref(answer);
}
END_TEST

/* Op `n` of an answer of record.why, from 1 on. */
static const json_t *
told(const json_t *ok, size_t n)
{
    const json_t *ops = json_object_get(ok, "ops");

    ck_assert_msg(n <= json_array_size(ops) && n >= 1, "%zu ops", json_array_size(ops));
    return json_array_get(ops, n - 1);
}

static void
expect_told(const json_t *ok, size_t n, const char *value, const char *fate, int replaces, int replaced_by)
{
    const json_t *op = told(ok, n);
    const char *said = json_string_value(json_object_get(op, "value"));

    ck_assert_str_eq(said == NULL ? "" : said, value);
    ck_assert_str_eq(json_string_value(json_object_get(op, "fate")), fate);
    ck_assert_int_eq((int)json_integer_value(json_array_get(json_object_get(op, "replaces"), 0)), replaces);
    ck_assert_int_eq((int)json_integer_value(json_array_get(json_object_get(op, "replaced_by"), 0)),
                     replaced_by);
    ck_assert_int_eq((int)json_integer_value(json_object_get(op, "missing")), 0);
}

static json_t *
why(struct served *at, const char *number, const char *target)
{
    return served_ask(at, "{'id':1,'do':'record.why','record':'%s','target':'%s'}", number, target);
}

static void
set_title(struct served *at, const char *number, const char *title)
{
    test_world_pass(&ken.node->world, 1000);
    test_world_pass(&hq.node->world, 1000);
    json_decref(
        served_ask(at, "{'id':1,'do':'record.save','record':'%s','set':{'title':'%s'}}", number, title));
}

START_TEST(why_tells_what_each_value_replaced_and_what_stands)
{
    char number[40];

    new_case(number);
    set_title(&ken, number, "Two marches");
    json_t *answer = why(&ken, number, "title");
    const json_t *ok = served_granted(answer);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "ops")), 2);
    expect_told(ok, 1, "A march", "replaced", 0, 2);
    expect_told(ok, 2, "Two marches", "stands", 1, 0);
    ck_assert_str_eq(json_string_value(served_member(ok, "because")),
                     "it is the one value that no other entry replaces");
    ck_assert_str_eq(json_string_value(served_member(told(ok, 2), "device.office")), "KEN");
    json_decref(answer);

    test_node_exchange(ken.node, hq.node);
    set_title(&ken, number, "From Nairobi");
    set_title(&hq, number, "From Geneva");
    test_node_exchange(ken.node, hq.node);
    answer = why(&ken, number, "title");
    ok = served_granted(answer);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "ops")), 4);
    expect_told(ok, 2, "Two marches", "replaced", 1, 3);
    ck_assert_uint_eq(json_array_size(json_object_get(told(ok, 2), "replaced_by")), 2);
    expect_told(ok, 3, "From Nairobi", "stands beside it", 2, 0);
    expect_told(ok, 4, "From Geneva", "stands, picked", 2, 0);
    ck_assert_ptr_nonnull(
        strstr(json_string_value(served_member(ok, "because")), "it is for people to decide"));
    ck_assert_str_eq(json_string_value(served_member(told(ok, 4), "device.office")), "HQ");
    json_decref(answer);
}
END_TEST

START_TEST(why_tells_of_what_was_removed_and_of_what_nobody_set)
{
    char number[40];
    char act[40];
    char field_name[64];

    new_case(number);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    (void)snprintf(act, sizeof act, "%s",
                   json_string_value(json_object_get(element(served_granted(answer), "act"), "target")));
    json_decref(answer);
    test_world_pass(&ken.node->world, 1000);
    json_decref(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','remove':['%s']}", number, act));

    (void)snprintf(field_name, sizeof field_name, "%s.type_of_act", act);
    answer = why(&ken, number, field_name);
    const json_t *ok = served_granted(answer);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "ops")), 2);
    expect_told(ok, 1, "death_threat", "removed", 0, 2);
    expect_told(ok, 2, "", "removes", 1, 0);
    ck_assert_str_eq(json_string_value(served_member(ok, "because")), "what was written was removed");
    json_decref(answer);

    /* The element: that it was added, both of its fields, and the removal of all three. */
    answer = why(&ken, number, act);
    ok = served_granted(answer);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "ops")), 4);
    ck_assert_uint_eq(json_array_size(json_object_get(told(ok, 4), "replaces")), 3);
    json_decref(answer);

    /* A collection: both countries, each added and set. */
    answer = why(&ken, number, "country_of_act");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "ops")), 4);
    json_decref(answer);

    answer = why(&ken, number, "urgency");
    ok = served_granted(answer);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "ops")), 0);
    ck_assert_str_eq(json_string_value(served_member(ok, "because")), "nobody has set it");
    json_decref(answer);
    served_refused(why(&ken, number, "no_such_field"), "invalid");
    served_refused(why(&ken, number, "act[00000000].type_of_act"), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.why','record':'%s'}", number), "usage");
}
END_TEST

START_TEST(concurrent_values_are_shown_listed_and_resolved)
{
    char number[40];

    new_case(number);
    test_node_exchange(ken.node, hq.node);
    json_decref(
        served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'From Nairobi'}}", number));
    json_decref(
        served_ask(&hq, "{'id':1,'do':'record.save','record':'%s','set':{'title':'From Geneva'}}", number));
    test_node_exchange(ken.node, hq.node);

    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    ck_assert(json_is_true(json_object_get(served_granted(answer), "conflict")));
    ck_assert_uint_eq(json_array_size(json_object_get(field(served_granted(answer), "title"), "values")), 2);
    json_decref(answer);
    answer = served_ask(&hq, "{'id':1,'do':'conflict.list'}");
    const json_t *list = json_object_get(served_granted(answer), "conflicts");
    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "target")), "title");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "number")), number);
    json_decref(answer);

    /* Nobody overwrites a conflict unseen. */
    served_refused(
        served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'Third'}}", number),
        "conflict");
    answer = served_ask(&ken, "{'id':1,'do':'conflict.show','record':'%s'}", number);
    const json_t *siblings =
        json_object_get(json_array_get(json_object_get(served_granted(answer), "conflicts"), 0), "siblings");
    ck_assert_uint_eq(json_array_size(siblings), 2);
    char second[64];
    (void)snprintf(second, sizeof second, "%s",
                   json_string_value(json_object_get(json_array_get(siblings, 1), "value")));
    json_decref(answer);
    served_refused(served_ask(&ken,
                              "{'id':1,'do':'conflict.resolve','record':'%s','target':'title','choose':3}",
                              number),
                   "absent");
    served_refused(served_ask(&ken,
                              "{'id':1,'do':'conflict.resolve','record':'%s','target':'status','choose':1}",
                              number),
                   "absent");
    answer = served_ask(&ken, "{'id':1,'do':'conflict.resolve','record':'%s','target':'title','choose':2}",
                        number);
    (void)served_granted(answer);
    json_decref(answer);
    test_node_exchange(ken.node, hq.node);
    answer = served_ask(&hq, "{'id':1,'do':'record.show','record':'%s'}", number);
    ck_assert(!json_is_true(json_object_get(served_granted(answer), "conflict")));
    ck_assert_str_eq(value_of(served_granted(answer), "title", 0), second);
    json_decref(answer);
}
END_TEST

START_TEST(an_element_edited_while_removed_is_kept_whole_or_removed)
{
    for (int keep = 0; keep < 2; keep++) {
        char number[40];
        char id[32];

        new_case(number);
        test_node_exchange(ken.node, hq.node);
        json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
        (void)snprintf(id, sizeof id, "%s",
                       json_string_value(json_object_get(element(served_granted(answer), "act"), "element")));
        json_decref(answer);
        json_decref(
            served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','remove':['act[%s]']}", number, id));
        json_decref(served_ask(
            &hq, "{'id':1,'do':'record.save','record':'%s','set':{'act[%s].type_of_act':'detention'}}",
            number, id));
        test_node_exchange(ken.node, hq.node);
        answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
        ck_assert_str_eq(json_string_value(json_object_get(element(served_granted(answer), "act"), "state")),
                         "edited while removed");
        json_decref(answer);
        answer = served_ask(&ken,
                            "{'id':1,'do':'conflict.resolve','record':'%s','target':'act[%s]','choose':'%s'}",
                            number, id, keep ? "keep" : "remove");
        (void)served_granted(answer);
        json_decref(answer);
        answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
        const json_t *act = element(served_granted(answer), "act");
        ck_assert(!json_is_true(json_object_get(served_granted(answer), "conflict")));
        if (keep) {
            ck_assert_str_eq(value_of(act, "act.type_of_act", 0), "detention");
            ck_assert_str_eq(value_of(act, "act.date_from", 0), "2026-03~");
        } else {
            ck_assert_ptr_null(act);
        }
        json_decref(answer);
    }
}
END_TEST

START_TEST(lists_and_counts_follow_the_index)
{
    char number[40];

    for (int n = 0; n < 5; n++) {
        new_case(number);
    }
    json_decref(
        served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'status':'withdrawn'}}", number));
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.list','kind':'case','limit':2}");
    const json_t *rows = json_object_get(served_granted(answer), "records");
    ck_assert_uint_eq(json_array_size(rows), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(served_granted(answer), "total")), 5);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "number")), number);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "kind")), "case");
    json_int_t next = json_integer_value(json_object_get(served_granted(answer), "next"));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.list','kind':'case','after':%lld}", (long long)next);
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "records")), 3);
    ck_assert(json_is_null(json_object_get(served_granted(answer), "next")));
    json_decref(answer);
    answer = served_ask(
        &ken, "{'id':1,'do':'record.list','kind':'case','where':{'status':'draft','country_of_act':'UGA'},"
              "'month':{'act.date_from':'2026-03'}}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "records")), 4);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.count','kind':'case','by':['country_of_act','status']}");
    rows = json_object_get(served_granted(answer), "rows");
    ck_assert_uint_eq(json_array_size(rows), 4);
    json_int_t sum = 0;
    for (size_t n = 0; n < 4; n++) {
        sum += json_integer_value(json_object_get(json_array_get(rows, n), "count"));
    }
    ck_assert_int_eq(sum, 10);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'record.list','kind':'case','where':{'title':'x'}}"),
                   "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.list','kind':'cases'}"), "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.list','kind':'case','limit':0}"), "usage");
}
END_TEST

START_TEST(the_history_tells_each_save_once_oldest_first)
{
    char number[40];

    new_case(number);
    test_world_pass(&ken.node->world, 5000);
    json_decref(
        served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'Renamed'}}", number));
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.history','record':'%s'}", number);
    const json_t *entries = json_object_get(served_granted(answer), "entries");
    ck_assert_uint_eq(json_array_size(entries), 2);
    const json_t *op = json_array_get(json_object_get(json_array_get(entries, 1), "ops"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(op, "target")), "title");
    ck_assert_str_eq(json_string_value(json_object_get(op, "value")), "Renamed");
    ck_assert_int_eq(json_integer_value(json_object_get(op, "replaces")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(entries, 1), "state")), "merged");
    json_decref(answer);
}
END_TEST

START_TEST(a_device_without_the_protected_half_sees_its_fields_withheld)
{
    struct served guest = { .node = NULL };
    ceremony_fault fault = { 0 };
    struct ceremony_grant grants[OWN_COUNT];
    size_t count = 0;
    char number[40];

    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=read", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "UN", "Guests", false, grants, count, &fault), ERR_OK);
    struct test_node *node = test_organisation_enrol(&org, "UN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, node);
    test_node_import(&org, ken.node);
    test_node_tend(ken.node);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.save','kind':'person','set':{'pseudonym':'P-1'},"
                                      "'add':[{'to':'name','fields':{'text':'Somebody'}}]}");
    (void)snprintf(number, sizeof number, "%s",
                   json_string_value(json_object_get(served_granted(answer), "record")));
    json_decref(answer);
    test_node_exchange(ken.node, node);
    served_begin(&guest, node);
    answer = served_ask(&guest, "{'id':1,'do':'record.show','record':'%s'}", number);
    json_t *record = served_granted(answer);
    ck_assert(json_is_true(json_object_get(record, "withheld")));
    ck_assert_str_eq(value_of(record, "pseudonym", 0), "P-1");
    size_t withheld = 0;
    size_t index;
    json_t *one;
    json_array_foreach(json_object_get(record, "fields"), index, one)
    {
        if (json_is_true(json_object_get(one, "withheld"))) {
            ck_assert_str_eq(json_string_value(json_object_get(one, "level")), "L3");
            ck_assert_ptr_null(json_object_get(one, "values"));
            withheld++;
        }
    }
    ck_assert_uint_gt(withheld, 0);
    json_decref(answer);
    /* Nor is it told how it came to stand. */
    answer = served_ask(&guest, "{'id':1,'do':'record.why','record':'%s','target':'name'}", number);
    ck_assert(json_is_true(served_member(served_granted(answer), "withheld")));
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "ops")), 0);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.why','record':'%s','target':'name'}", number);
    ck_assert(!json_is_true(served_member(served_granted(answer), "withheld")));
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "ops")), 2);
    json_decref(answer);
    served_refused(
        served_ask(&guest, "{'id':1,'do':'record.save','record':'%s','set':{'gender':'woman'}}", number),
        "denied");
    served_end(&guest);
}
END_TEST

START_TEST(a_stamp_a_day_ahead_is_suspect)
{
    char number[40];

    test_world_pass(&ken.node->world, UINT64_C(5) * 365 * 24 * 3600 * 1000);
    new_case(number);
    test_node_exchange(ken.node, hq.node);
    json_t *answer = served_ask(&hq, "{'id':1,'do':'record.show','record':'%s'}", number);
    const json_t *value =
        json_array_get(json_object_get(field(served_granted(answer), "title"), "values"), 0);
    ck_assert(json_is_true(json_object_get(value, "suspect_time")));
    json_decref(answer);
    answer = served_ask(&hq, "{'id':1,'do':'status'}");
    const json_t *devices = json_object_get(json_object_get(served_granted(answer), "clock"), "devices");
    ck_assert_uint_ge(json_array_size(devices), 1);
    json_decref(answer);
}
END_TEST

/* Both halves of a person are written, so that there are several logs to look into. */
START_TEST(the_status_counts_what_the_digests_count)
{
    json_int_t entries = 0;
    size_t index;
    json_t *one;

    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'record.save','kind':'person','set':{'pseudonym':'Dove',"
                         "'gender':'woman'},'add':[{'to':'name','fields':{'text':'Jane Rand'}}]}");
    (void)served_granted(answer);
    json_decref(answer);
    test_node_exchange(ken.node, hq.node);
    json_t *digest = served_ask(&hq, "{'id':2,'do':'digest'}");
    json_array_foreach(json_object_get(served_granted(digest), "compartments"), index, one)
    {
        entries += json_integer_value(json_object_get(one, "entries"));
    }
    json_t *status = served_ask(&hq, "{'id':3,'do':'status'}");
    ck_assert_int_ge(entries, 4);
    ck_assert_int_eq(json_integer_value(json_object_get(served_granted(status), "entries")), entries);
    ck_assert_int_eq(json_integer_value(json_object_get(served_granted(status), "records")), 1);
    json_decref(digest);
    json_decref(status);
}
END_TEST

START_TEST(peers_are_added_listed_and_removed_and_stay_over_a_restart)
{
    char device[80];

    bytes_hex(device, hash_span(&hq.node->identity.device_id));
    served_refused(served_ask(&ken, "{'id':1,'do':'peer.add','endpoint':'tcp://hq.example.org:7700'}"),
                   "usage");
    served_refused(
        served_ask(&ken, "{'id':1,'do':'peer.add','endpoint':'http://hq.example.org','device':'%s'}", device),
        "invalid");
    served_refused(
        served_ask(&ken, "{'id':1,'do':'peer.add','endpoint':'tcp://hq.example.org:7700','device':'nobody'}"),
        "absent");
    json_t *answer = served_ask(
        &ken, "{'id':1,'do':'peer.add','endpoint':'tcp://hq.example.org:7700','device':'%s','name':'Geneva'}",
        device);
    ck_assert_str_eq(
        json_string_value(json_object_get(json_object_get(served_granted(answer), "peer"), "name")),
        "Geneva");
    json_decref(answer);
    served_end(&ken);
    served_begin(&ken, ken.node);
    struct table_txn *txn = NULL;
    ck_assert_int_eq(replica_begin_read(ken.node->replica, &txn), ERR_OK);
    ck_assert_int_eq(peers_load(ken.peers, txn), ERR_OK);
    replica_end_read(ken.node->replica, &txn);
    ck_assert_int_eq(
        peers_update(ken.peers, replica_roster(ken.node->replica), &ken.node->identity.device_id), ERR_OK);
    const struct peer *peer = peers_by_device(ken.peers, &hq.node->identity.device_id);
    ck_assert_ptr_nonnull(peer);
    ck_assert_str_eq(peer->endpoint, "tcp://hq.example.org:7700");
    ck_assert(peer->due);
    answer = served_ask(&ken, "{'id':1,'do':'peer.list'}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "peers")), 1);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'sync.now','peer':'geneva'}");
    ck_assert_int_eq(json_integer_value(json_object_get(served_granted(answer), "asked")), 1);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'sync.now','peer':'bern'}"), "absent");
    answer = served_ask(&ken, "{'id':1,'do':'sync.status'}");
    const json_t *status = json_array_get(json_object_get(served_granted(answer), "peers"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(status, "state")), "down");
    ck_assert_str_eq(json_string_value(json_object_get(status, "name")), "Geneva");
    ck_assert(json_is_null(json_object_get(status, "last_contact")));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'peer.remove','peer':'%.8s'}", device);
    (void)served_granted(answer);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'peer.remove','peer':'%.8s'}", device), "absent");
}
END_TEST

/* HQ as ken knows it, after what is kept was read again, as the loop does after a change. */
static struct peer *
hq_reloaded(void)
{
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin_read(ken.node->replica, &txn), ERR_OK);
    ck_assert_int_eq(peers_load(ken.peers, txn), ERR_OK);
    replica_end_read(ken.node->replica, &txn);
    ck_assert_int_eq(
        peers_update(ken.peers, replica_roster(ken.node->replica), &ken.node->identity.device_id), ERR_OK);
    struct peer *peer = peers_by_device(ken.peers, &hq.node->identity.device_id);
    ck_assert_ptr_nonnull(peer);
    return peer;
}

#define ASK_HQ(words)                                                                                        \
    do {                                                                                                     \
        json_t *answer_ = served_ask(&ken, words, device);                                                   \
        (void)served_granted(answer_);                                                                       \
        json_decref(answer_);                                                                                \
    } while (0)

START_TEST(a_proxy_stays_with_its_peer_whatever_becomes_of_the_address)
{
    char device[80];

    bytes_hex(device, hash_span(&hq.node->identity.device_id));
    ASK_HQ("{'id':1,'do':'peer.add','endpoint':'tcp://vigil-hq.onion:7700','device':'%s',"
           "'proxy':'socks5://127.0.0.1:9050'}");
    struct peer *peer = hq_reloaded();
    ck_assert_str_eq(peer->proxy, "socks5://127.0.0.1:9050");
    ck_assert(peer->due && !peer->dropped);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'peer.list'}");
    const json_t *listed = json_array_get(json_object_get(served_granted(answer), "peers"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(listed, "proxy")), "socks5://127.0.0.1:9050");
    json_decref(answer);
    /* Another address, or none: it is not called directly. */
    ASK_HQ("{'id':1,'do':'peer.add','endpoint':'tcp://hq.example.org:7700','device':'%s'}");
    peer = hq_reloaded();
    ck_assert_str_eq(peer->endpoint, "tcp://hq.example.org:7700");
    ck_assert_str_eq(peer->proxy, "socks5://127.0.0.1:9050");
    ASK_HQ("{'id':1,'do':'peer.remove','peer':'%s'}");
    ck_assert_str_eq(hq_reloaded()->proxy, "socks5://127.0.0.1:9050");
    ASK_HQ("{'id':1,'do':'peer.add','endpoint':'tcp://hq.example.org:7700','device':'%s'}");
    /* Another proxy: the old way ends, though nothing is known of how the line is used. */
    peer = hq_reloaded();
    peer->state = PEER_CONNECTING;
    peer->due = false;
    peer->dropped = false;
    ASK_HQ("{'id':1,'do':'peer.set','peer':'%s','proxy':'socks5://localhost:9150'}");
    peer = hq_reloaded();
    ck_assert_str_eq(peer->proxy, "socks5://localhost:9150");
    ck_assert(peer->due && peer->dropped && !peer->line_set);
    peer->dropped = false;
    ASK_HQ("{'id':1,'do':'peer.set','peer':'%s','profile':'wan'}");
    peer = hq_reloaded();
    ck_assert(peer->line_set && !peer->dropped);
    ck_assert_str_eq(peer->proxy, "socks5://localhost:9150");
    ASK_HQ("{'id':1,'do':'peer.set','peer':'%s','proxy':'none'}");
    ck_assert_str_eq(hq_reloaded()->proxy, "");
    ASK_HQ("{'id':1,'do':'peer.set','peer':'%s','proxy':'socks5://localhost:9150'}");
    ASK_HQ("{'id':1,'do':'peer.set','peer':'%s','reset':true}");
    peer = hq_reloaded();
    ck_assert_str_eq(peer->proxy, "");
    ck_assert(!peer->line_set);
}
END_TEST

/* What the list says of the line to HQ. */
static void
check_listed_schedule(const char *schedule, json_type kept)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'peer.list'}");
    const json_t *listed = json_array_get(json_object_get(served_granted(answer), "peers"), 0);

    ck_assert_str_eq(json_string_value(json_object_get(listed, "schedule")), schedule);
    ck_assert_int_eq(json_typeof(json_object_get(listed, "schedule_kept")), kept);
    json_decref(answer);
}

START_TEST(a_schedule_is_kept_with_its_line_and_told_with_whether_the_peer_keeps_one)
{
    char device[80];

    bytes_hex(device, hash_span(&hq.node->identity.device_id));
    ASK_HQ("{'id':1,'do':'peer.add','endpoint':'tcp://hq.example.org:7700','device':'%s'}");
    (void)hq_reloaded();
    check_listed_schedule("none", JSON_NULL);
    ASK_HQ("{'id':1,'do':'peer.set','peer':'%s','profile':'wan','schedule':30,'day_bytes':'2M'}");
    struct peer *peer = hq_reloaded();
    ck_assert_uint_eq(peer->line.schedule.beat_s, 30);
    ck_assert_uint_eq(peer->line.schedule.bytes, ENVELOPE_BYTES_DEFAULT);
    ck_assert_uint_eq(peer->line.day_bytes, 2000000);
    ASK_HQ("{'id':1,'do':'peer.set','peer':'%s','envelope':256}");
    peer = hq_reloaded();
    ck_assert_uint_eq(peer->line.schedule.beat_s, 30);
    ck_assert_uint_eq(peer->line.schedule.bytes, 256);
    check_listed_schedule("256 bytes every 30 s", JSON_NULL);
    /* Connected: nothing has come yet, then an envelope, or a frame by itself. */
    ck_assert_uint_ne(peers_up(ken.peers, &peer->device_id), 0);
    check_listed_schedule("256 bytes every 30 s", JSON_NULL);
    peer->theirs = (struct envelope_schedule){ 60, 512 };
    check_listed_schedule("256 bytes every 30 s", JSON_TRUE);
    ck_assert(!peer_lacks_schedule(peer));
    ck_assert_uint_ne(peers_up(ken.peers, &peer->device_id), 0);
    peer->frames_came = true;
    check_listed_schedule("256 bytes every 30 s", JSON_FALSE);
    ck_assert(peer_lacks_schedule(peer));
    peer->state = PEER_DOWN;
    ck_assert(!peer_lacks_schedule(peer));
    served_refused(served_ask(&ken, "{'id':1,'do':'peer.set','peer':'%s','profile':'metered'}", device),
                   "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'peer.set','peer':'%s','schedule':3601}", device), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'peer.set','peer':'%s','envelope':255}", device), "usage");
    ck_assert_uint_eq(hq_reloaded()->line.schedule.bytes, 256);
    ASK_HQ("{'id':1,'do':'peer.set','peer':'%s','schedule':0,'profile':'metered'}");
    peer = hq_reloaded();
    ck_assert_uint_eq(peer->line.schedule.bytes, 0);
    ck_assert_int_eq(peer->line.profile, PROFILE_METERED);
    ck_assert_uint_eq(peer->line.day_bytes, 2000000);
}
END_TEST

/* An address of a device that only comes with the news: its proxy is known when the device is, and stays. */
START_TEST(a_proxy_of_an_address_that_waits_is_there_when_its_device_is)
{
    struct table_txn *txn = NULL;
    char device[80];

    bytes_hex(device, hash_span(&hq.node->identity.device_id));
    ck_assert_int_eq(replica_begin(ken.node->replica), ERR_OK);
    ck_assert_int_eq(replica_begin_read(ken.node->replica, &txn), ERR_OK);
    ck_assert_int_eq(
        peers_add(ken.peers, txn, device, "tcp://vigil-hq.onion:7700", "", "socks5://127.0.0.1:9050"),
        ERR_OK);
    /* The same address again says nothing of a proxy. */
    ck_assert_int_eq(peers_add(ken.peers, txn, device, "tcp://vigil-hq.onion:7701", "", ""), ERR_OK);
    replica_end_read(ken.node->replica, &txn);
    ck_assert_int_eq(replica_commit(ken.node->replica), ERR_OK);
    struct peer *peer = hq_reloaded();
    ck_assert_str_eq(peer->endpoint, "tcp://vigil-hq.onion:7701");
    ck_assert_str_eq(peer->proxy, "socks5://127.0.0.1:9050");
    ASK_HQ("{'id':1,'do':'peer.remove','peer':'%s'}");
    ck_assert_str_eq(hq_reloaded()->proxy, "socks5://127.0.0.1:9050");
}
END_TEST

START_TEST(a_proxy_with_a_login_is_refused_and_not_repeated)
{
    char device[80];

    bytes_hex(device, hash_span(&hq.node->identity.device_id));
    ASK_HQ("{'id':1,'do':'peer.add','endpoint':'tcp://hq.example.org:7700','device':'%s'}");
    (void)hq_reloaded();
    for (int n = 0; n < 2; n++) {
        json_t *answer = served_ask(
            &ken,
            n == 0 ? "{'id':1,'do':'peer.set','peer':'%s','proxy':'socks5://user:secret@127.0.0.1:9050'}"
                   : "{'id':1,'do':'peer.add','endpoint':'tcp://"
                     "hq.example.org:7700','device':'%s','proxy':'secret'}",
            device);
        char *text = json_dumps(answer, JSON_COMPACT);
        ck_assert_ptr_null(strstr(text, "secret"));
        free(text);
        served_refused(answer, "invalid");
    }
    served_refused(served_ask(&ken, "{'id':1,'do':'peer.add','statements':'x','proxy':'none'}"), "usage");
    ck_assert_str_eq(hq_reloaded()->proxy, "");
}
END_TEST

START_TEST(actors_are_named_by_their_office_and_shown_with_what_they_wrote)
{
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'actor.add','number':4,'name':'A. Officer','role':'case-work'}");
    (void)served_granted(answer);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'actor.add','number':4,'name':'A. Officer','role':'king'}"),
                   "usage");
    answer =
        served_ask(&ken, "{'id':1,'do':'record.save','kind':'case','actor':4,'set':{'title':'By somebody'}}");
    char number[40];
    (void)snprintf(number, sizeof number, "%s",
                   json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    const json_t *value =
        json_array_get(json_object_get(field(served_granted(answer), "title"), "values"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(value, "actor"), "name")),
                     "A. Officer");
    json_decref(answer);
}
END_TEST

/* The roles that the certificate and the office give in common: a person does what theirs lets them, on any device. */
START_TEST(a_person_asks_for_what_their_role_lets_them)
{
    json_t *answer;

    served_granted_once(&ken, "{'id':1,'do':'actor.add','number':4,'name':'A. Officer','role':'case-work'}");
    served_granted_once(&ken, "{'id':1,'do':'actor.add','number':5,'name':'B. Keeper','role':'operator'}");
    served_refused(served_ask(&ken, "{'id':1,'do':'actor.add','number':5,'name':'C','role':'review'}"),
                   "exists");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.list','kind':'case','actor':5}"), "denied");
    served_refused(served_ask(&ken, "{'id':1,'do':'audit.list','actor':4}"), "denied");
    served_granted_once(&ken, "{'id':1,'do':'record.list','kind':'case','actor':4}");
    served_granted_once(&ken, "{'id':1,'do':'status','actor':5}");
    /* Again and again: the latest word counts. */
    for (int n = 0; n < 8; n++) {
        served_granted_once(&ken, "{'id':1,'do':'actor.change','number':5,'role':'case-work'}");
        served_granted_once(&ken, "{'id':1,'do':'record.list','kind':'case','actor':5}");
        served_granted_once(&ken, "{'id':1,'do':'actor.change','number':5,'role':'operator'}");
        served_refused(served_ask(&ken, "{'id':1,'do':'record.list','kind':'case','actor':5}"), "denied");
    }
    /* What the certificate of the device has not, nobody has on it. */
    served_granted_once(&ken, "{'id':1,'do':'actor.change','number':5,'role':'auditor'}");
    served_refused(served_ask(&ken, "{'id':1,'do':'audit.list','actor':5}"), "denied");
    served_granted_once(&ken, "{'id':1,'do':'actor.change','number':4,'active':false}");
    served_refused(served_ask(&ken, "{'id':1,'do':'status','actor':4}"), "denied");
    served_refused(served_ask(&ken, "{'id':1,'do':'actor.change','number':9,'role':'review'}"), "absent");
    answer = served_ask(&ken, "{'id':1,'do':'actor.list'}");
    const json_t *first = json_array_get(json_object_get(served_granted(answer), "actors"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(first, "name")), "A. Officer");
    ck_assert(!json_is_true(json_object_get(first, "active")));
    json_decref(answer);
}
END_TEST

/* Every call of the node is in the table of roles, or nobody could ask for it. */
START_TEST(every_call_is_for_somebody)
{
    const char *call;

    for (size_t n = 0; (call = serve_call_name(n)) != NULL; n++) {
        ck_assert_msg(roles_of_call(call) != 0, "%s is for nobody", call);
    }
}
END_TEST

START_TEST(fields_may_point_at_elements_and_records_of_the_same_request)
{
    char number[40];

    new_case(number);
    json_t *answer = served_ask(
        &ken,
        "{'id':1,'do':'record.save','kind':'case','set':{'title':'Two'},"
        "'add':[{'to':'act','fields':{'type_of_act':'detention','perpetrator':['element:perpetrator:1']}},"
        "{'to':'perpetrator','fields':{'actor_type':'police'}},"
        "{'to':'linked_case','fields':{'case':'%s','relation':'follows'}}]}",
        number);
    char second[40];
    (void)snprintf(second, sizeof second, "%s",
                   json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", second);
    const char *points = value_of(element(served_granted(answer), "act"), "act.perpetrator", 0);
    ck_assert_ptr_nonnull(points);
    ck_assert_str_eq(points, json_string_value(
                                 json_object_get(element(served_granted(answer), "perpetrator"), "element")));
    ck_assert_int_eq(
        (int)strlen(value_of(element(served_granted(answer), "linked_case"), "linked_case.case", 0)), 32);
    json_decref(answer);
}
END_TEST

START_TEST(what_is_no_call_is_unknown)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.eat'}");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(answer, "error"), "code")), "unknown");
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'codebook.show','kind':'case'}");
    ck_assert_uint_gt(json_array_size(json_object_get(served_granted(answer), "fields")), 20);
    json_decref(answer);
}
END_TEST

/* As a restore leaves it: a row in meta. */
static void
mark_restored(struct served *served)
{
    static const uint8_t row[] = { 1, 0, 0, 1, 0x94, 0x1f, 0x29, 0x7c, 0 };
    struct table_txn *txn = NULL;

    ck_assert_int_eq(replica_begin(served->node->replica), ERR_OK);
    ck_assert_int_eq(replica_begin_read(served->node->replica, &txn), ERR_OK);
    table_put(txn, TABLE_META, span_text("restored"), span_of(row, sizeof row));
    replica_end_read(served->node->replica, &txn);
    ck_assert_int_eq(replica_commit(served->node->replica), ERR_OK);
}

START_TEST(a_restored_node_takes_saves_and_shows_no_record_before_it_is_accepted)
{
    static const char *const shown[] = { "record.show",      "record.history", "record.list",
                                         "record.count",     "record.why",     "conflict.show",
                                         "conflict.resolve", "conflict.list",  "journal.watch" };
    char number[40];

    new_case(number);
    served_refused(served_ask(&ken, "{'id':1,'do':'backup.accept'}"), "absent");
    mark_restored(&ken);
    for (size_t n = 0; n < sizeof shown / sizeof shown[0]; n++) {
        served_refused(
            served_ask(
                &ken,
                "{'id':1,'do':'%s','record':'%s','kind':'case','by':['status'],'target':'title','choose':1}",
                shown[n], number),
            "locked");
    }
    json_t *answer = served_ask(&ken, "{'id':1,'do':'status'}");
    ck_assert_str_eq(json_string_value(json_object_get(served_granted(answer), "state")), "restored");
    ck_assert_str_eq(json_string_value(json_object_get(served_granted(answer), "restored")),
                     "2025-01-01T00:00:00.000Z");
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','note':['they called']}", number);
    ck_assert_ptr_nonnull(served_granted(answer));
    json_decref(answer);
    new_case(number);
    answer = served_ask(&ken, "{'id':1,'do':'backup.accept'}");
    ck_assert_ptr_nonnull(served_granted(answer));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    ck_assert_ptr_nonnull(served_granted(answer));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'status'}");
    ck_assert_str_eq(json_string_value(json_object_get(served_granted(answer), "state")), "running");
    json_decref(answer);
}
END_TEST

/* What status says of "KEN cases" among what arrives. NULL: all of it is here, and visible. */
static json_t *
arriving(struct served *at, json_t **answer_out)
{
    size_t index;
    json_t *one;

    *answer_out = served_ask(at, "{'id':1,'do':'status'}");
    json_array_foreach((json_t *)served_member(served_granted(*answer_out), "arriving"), index, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), "KEN cases") == 0) {
            return one;
        }
    }
    return NULL;
}

static double
real_of(const json_t *object, const char *name)
{
    ck_assert_msg(json_is_real(json_object_get(object, name)), "%s is no share", name);
    return json_real_value(json_object_get(object, name));
}

START_TEST(what_arrives_is_told_as_stored_and_as_visible)
{
    struct ident cases = test_compartment(ken.node, "KEN", OWN_CASES);
    const struct roster_device *peer =
        roster_device(replica_roster(hq.node->replica), &ken.node->identity.device_id);
    struct hello hello = { .min = 1, .max = 1, .profile = PROFILE_LAN, .credit_bytes = 65536 };
    struct digest_item digest = { .digest = { 7 } };
    struct announce announce = { .entry_count = { 0, 0, 6, 0 }, .byte_count = { 0, 0, 5000, 0 } };
    struct buf frame = { 0 };
    char number[40];
    json_t *answer;

    ck_assert_ptr_null(arriving(&hq, &answer));
    json_decref(answer);
    /* Entries before their key: stored, and not visible. */
    new_case(number);
    new_case(number);
    ck_assert_int_eq(replica_begin(hq.node->replica), ERR_OK);
    test_node_give_lane(ken.node, hq.node, &cases, LANE_NORMAL);
    ck_assert_int_eq(replica_commit(hq.node->replica), ERR_OK);
    json_t *cases_row = arriving(&hq, &answer);
    ck_assert_ptr_nonnull(cases_row);
    json_int_t entries = json_integer_value(json_object_get(cases_row, "entries"));
    ck_assert_int_eq(entries, 2);
    ck_assert(real_of(cases_row, "stored") >= 1.0);
    ck_assert(real_of(cases_row, "visible") <= 0.0);
    ck_assert_int_eq((int)json_integer_value(json_object_get(cases_row, "to_receive")), 0);
    json_decref(answer);

    /* And a peer says that there is more. */
    memcpy(hello.certificate, peer->certificate.bytes, sizeof hello.certificate);
    memcpy(digest.tag, cases.bytes, TAG_BYTES);
    memcpy(announce.tag, cases.bytes, TAG_BYTES);
    ck_assert_int_eq(gossip_up(hq.gossip, 1, &ken.node->identity.device_id, true, 0), ERR_OK);
    (void)gossip_flush(hq.gossip, 0);
    hello_write(&frame, &hello);
    gossip_receive(hq.gossip, 1, buf_span(&frame), 0);
    buf_clear(&frame);
    digest_write(&frame);
    digest_item_write(&frame, &digest);
    gossip_receive(hq.gossip, 1, buf_span(&frame), 0);
    buf_clear(&frame);
    announce_write(&frame, &announce);
    gossip_receive(hq.gossip, 1, buf_span(&frame), 0);
    cases_row = arriving(&hq, &answer);
    ck_assert_int_eq((int)json_integer_value(json_object_get(cases_row, "to_receive")), 6);
    ck_assert_int_eq((int)json_integer_value(json_object_get(cases_row, "bytes_to_receive")), 5000);
    ck_assert(fabs(real_of(cases_row, "stored") - 0.25) < 0.001);
    ck_assert(real_of(cases_row, "visible") <= 0.0);
    json_decref(answer);
    /* The keys come. */
    test_node_give(ken.node, hq.node, false);
    cases_row = arriving(&hq, &answer);
    double visible = real_of(cases_row, "visible");
    ck_assert(visible > 0.0 && visible < 1.0 && fabs(visible - real_of(cases_row, "stored")) < 0.001);
    json_decref(answer);
    cases_row = arriving(&hq, &answer);
    ck_assert(json_is_true(json_object_get(cases_row, "connected")));
    json_decref(answer);
    gossip_down(hq.gossip, 1, "gone", 0);
    cases_row = arriving(&hq, &answer);
    ck_assert(json_is_false(json_object_get(cases_row, "connected")));
    json_decref(answer);
    buf_free(&frame);
}
END_TEST

START_TEST(a_device_that_only_carries_says_why_it_shows_nothing)
{
    static const char *const shown[] = { "record.show",   "record.list",  "record.history",
                                         "record.search", "record.why",   "record.count",
                                         "urgent.list",   "stats.tables", "journal.watch" };
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { NULL, NULL, NULL };
    struct served relay;
    size_t count = 0;
    char number[40];

    new_case(number);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:all=carry", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "RELAY", "Relay", false, grants, count, &fault), ERR_OK);
    struct test_node *node = test_organisation_enrol(&org, "RELAY", LEVEL_CARRY, grants, count);
    test_node_import(&org, ken.node);
    test_node_join(&org, node);
    test_node_give(ken.node, node, false);
    served_begin(&relay, node);
    for (size_t n = 0; n < sizeof shown / sizeof shown[0]; n++) {
        json_t *answer =
            served_ask(&relay, "{'id':1,'do':'%s','record':'%s','kind':'case'}", shown[n], number);
        const char *message = json_string_value(served_member(answer, "error.message"));

        ck_assert_msg(message != NULL && strstr(message, "no key to read") != NULL, "%s: %s", shown[n],
                      message == NULL ? "granted" : message);
        served_refused(answer, "denied");
    }
    /* What its role is for is not refused for that, nor is what another role is for and shows nothing. */
    json_t *answer = served_ask(&relay, "{'id':1,'do':'status'}");
    ck_assert_int_gt((int)json_integer_value(served_member(served_granted(answer), "entries")), 0);
    ck_assert_int_eq((int)json_integer_value(served_member(served_granted(answer), "records")), 0);
    json_decref(answer);
    answer = served_ask(&relay, "{'id':1,'do':'held.list'}");
    ck_assert_ptr_nonnull(
        strstr(json_string_value(served_member(answer, "error.message")), "is not for relay"));
    served_refused(answer, "denied");
    served_end(&relay);
}
END_TEST

START_TEST(a_backup_is_asked_for_with_a_path_and_a_recipient)
{
    ck_assert(!serve_work(ken.serve));
    served_refused(served_ask(&ken, "{'id':1,'do':'backup.make'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'backup.make','path':'relative'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'backup.make','path':'/tmp/x','recipient':{'salt':'00'}}"),
                   "usage");
    served_refused(served_ask(&ken,
                              "{'id':1,'do':'backup.make','path':'/nowhere/x','recipient':{"
                              "'salt':'000102030405060708090a0b0c0d0e0f','passes':1,'memory':67108864,"
                              "'key':'4701d08488451f545a409fb58ae3e58581ca40ac3f7f114698cd71deac73ca01'}}"),
                   "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'backup.make','path':'/tmp/x','with_device_keys':1}"),
                   "usage");
}
END_TEST

SUITE_MAIN_WITH(
    "serve", setup, teardown, a_saved_case_is_shown_with_all_that_was_said, numbers_go_on_where_they_were,
    a_record_is_named_by_number_id_or_prefix, one_wrong_value_and_nothing_of_a_save_happens,
    elements_are_edited_and_removed_by_the_beginning_of_their_id,
    concurrent_values_are_shown_listed_and_resolved, an_element_edited_while_removed_is_kept_whole_or_removed,
    why_tells_what_each_value_replaced_and_what_stands, why_tells_of_what_was_removed_and_of_what_nobody_set,
    lists_and_counts_follow_the_index, the_history_tells_each_save_once_oldest_first,
    a_device_without_the_protected_half_sees_its_fields_withheld, a_stamp_a_day_ahead_is_suspect,
    the_status_counts_what_the_digests_count, peers_are_added_listed_and_removed_and_stay_over_a_restart,
    a_proxy_stays_with_its_peer_whatever_becomes_of_the_address,
    a_proxy_of_an_address_that_waits_is_there_when_its_device_is,
    a_schedule_is_kept_with_its_line_and_told_with_whether_the_peer_keeps_one,
    a_proxy_with_a_login_is_refused_and_not_repeated,
    actors_are_named_by_their_office_and_shown_with_what_they_wrote,
    a_person_asks_for_what_their_role_lets_them, every_call_is_for_somebody,
    fields_may_point_at_elements_and_records_of_the_same_request, what_is_no_call_is_unknown,
    a_restored_node_takes_saves_and_shows_no_record_before_it_is_accepted,
    what_arrives_is_told_as_stored_and_as_visible, a_device_that_only_carries_says_why_it_shows_nothing,
    a_backup_is_asked_for_with_a_path_and_a_recipient)
