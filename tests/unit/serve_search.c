/* Searching as people ask for it: by words, narrowed by codes, with what each value counts; and what is not found. */
#include "tests/support/check.h"
#include "tests/support/served.h"

#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken; /* reads both halves */
static struct served hq;  /* gives the second signature of an erasure */
static struct served gva; /* reads the case half alone */
static char logged[4096];

static void
note_line(void *self, const char *line)
{
    (void)self;
    (void)snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    logged[0] = '\0';
    log_to(note_line, NULL);
    test_organisation_init_with(&org, 43, 3, 2);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=read", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "GVA", "Geneva", false, grants, count, &fault), ERR_OK);
    struct test_node *first = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *second = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    struct test_node *third = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, first);
    test_node_join(&org, second);
    test_node_join(&org, third);
    test_node_exchange(first, second);
    test_node_exchange(first, third);
    served_begin(&ken, first);
    served_begin(&hq, second);
    served_begin(&gva, third);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    served_end(&gva);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static void
save(struct served *node, const char *body, char number[40])
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save',%s}", body);

    (void)snprintf(number, 40, "%s", json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
}

/* The numbers of what is found, in order, each with a comma; `more` narrows the search. */
static const char *
found(struct served *node, const char *words, const char *more)
{
    static char numbers[400];
    json_t *answer = served_ask(node, "{'id':1,'do':'record.search','words':'%s'%s}", words, more);
    const json_t *ok = served_granted(answer);
    size_t index;
    json_t *row;

    numbers[0] = '\0';
    json_array_foreach(json_object_get(ok, "records"), index, row)
    {
        (void)snprintf(numbers + strlen(numbers), sizeof numbers - strlen(numbers), "%s,",
                       json_string_value(json_object_get(row, "number")));
    }
    ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "left")), 0);
    ck_assert_uint_eq((size_t)json_integer_value(json_object_get(ok, "total")),
                      json_array_size(json_object_get(ok, "records")));
    json_decref(answer);
    return numbers;
}

static void
expect_found(struct served *node, const char *words, const char *number)
{
    char wanted[48];

    (void)snprintf(wanted, sizeof wanted, "%s%s", number, number[0] == '\0' ? "" : ",");
    ck_assert_str_eq(found(node, words, ""), wanted);
}

START_TEST(what_was_just_saved_is_found_by_any_form_of_its_words)
{
    char march[40];
    char other[40];

    save(&ken,
         "'kind':'case','set':{'title':'A "
         "march','status':'draft'},'add':[{'to':'narrative','fields':{'language':'fra','text':'Les témoins "
         "ont été menacés'}}]",
         march);
    save(&ken,
         "'kind':'case','set':{'title':'Выборы','status':'draft'},'add':[{'to':'narrative','fields':{'"
         "language':'rus','text':'свидетели получили угрозы'}}]",
         other);
    expect_found(&ken, "temoin menace", march);
    expect_found(&ken, "свидетелей", other);
    expect_found(&ken, "mar*", march);
    expect_found(&ken, "elephant", "");
    /* What is edited is found by what it says now. */
    json_decref(served_ask(
        &ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'An elephant came by'}}", march));
    expect_found(&ken, "elephants", march);
    expect_found(&ken, "march", "");
    expect_found(&ken, "temoin menace", march);
    /* And by its number. */
    expect_found(&ken, march, march);
}
END_TEST

START_TEST(both_values_of_a_conflict_are_found)
{
    char number[40];

    save(&ken, "'kind':'case','set':{'title':'A march','status':'draft'}", number);
    test_node_exchange(ken.node, hq.node);
    json_decref(
        served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'The lorry'}}", number));
    json_decref(
        served_ask(&hq, "{'id':1,'do':'record.save','record':'%s','set':{'title':'The bicycle'}}", number));
    test_node_exchange(ken.node, hq.node);
    expect_found(&hq, "lorry", number);
    expect_found(&hq, "bicycle", number);
    expect_found(&hq, "march", "");
}
END_TEST

/* A name stands in the protected half. */
START_TEST(what_a_node_may_not_read_it_does_not_find)
{
    char person[40];

    save(&ken,
         "'kind':'person','set':{'pseudonym':'Kingfisher','counting_unit':'individual','gender':'woman'},"
         "'add':[{'to':'name','fields':{'text':'Wanjiru Kamau'}}]",
         person);
    test_node_exchange(ken.node, gva.node);
    test_node_exchange(ken.node, hq.node);
    expect_found(&ken, "wanjiru", person);
    expect_found(&hq, "wanjiru", person);
    expect_found(&ken, "Камау", person);
    expect_found(&gva, "Камау", "");
    ck_assert_str_eq(found(&gva, "wanjiru", ""), "");
    expect_found(&gva, "kingfisher", person);
}
END_TEST

START_TEST(codes_narrow_a_search_and_values_are_counted)
{
    char first[40];
    char second[40];

    save(&ken,
         "'kind':'case','set':{'title':'Threats at a march','status':'draft','urgency':'emergency'},"
         "'add':[{'to':'country_of_act','value':'KEN'}]",
         first);
    save(&ken,
         "'kind':'case','set':{'title':'Threats by phone','status':'draft','urgency':'urgent'},"
         "'add':[{'to':'country_of_act','value':'LBN'},{'to':'country_of_act','value':'KEN'}]",
         second);
    char wanted[50];
    (void)snprintf(wanted, sizeof wanted, "%s,", second);
    ck_assert_str_eq(found(&ken, "threat", ",'kind':'case','where':{'country_of_act':'LBN'}"), wanted);
    ck_assert_str_eq(found(&ken, "threat", ",'kind':'person'"), "");
    ck_assert_str_eq(found(&ken, "threat", ",'office':'HQ'"), "");
    json_t *answer = served_ask(
        &ken,
        "{'id':1,'do':'record.search','words':'threat','kind':'case','by':['country_of_act'],'limit':1}");
    const json_t *ok = served_granted(answer);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "records")), 1);
    ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "total")), 2);
    const json_t *values = json_object_get(json_array_get(json_object_get(ok, "facets"), 0), "values");
    ck_assert_uint_eq(json_array_size(values), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(values, 0), "value")), "KEN");
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(values, 0), "count")), 2);
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(values, 1), "count")), 1);
    json_decref(answer);
}
END_TEST

/* Until the second has signed it is restricted, and then gone. */
START_TEST(what_is_restricted_or_erased_is_not_found)
{
    char number[40];
    char stays[40];

    save(&ken, "'kind':'case','set':{'title':'The zebra','status':'draft'}", number);
    save(&ken, "'kind':'case','set':{'title':'The giraffe','status':'draft'}", stays);
    test_node_exchange(ken.node, hq.node);
    expect_found(&hq, "zebra", number);
    json_decref(
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number));
    expect_found(&ken, "zebra", "");
    test_node_exchange(ken.node, hq.node);
    expect_found(&hq, "zebra", "");
    json_decref(
        served_ask(&hq, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number));
    test_node_exchange(ken.node, hq.node);
    test_node_tend(ken.node);
    ck_assert_str_eq(found(&ken, "zebra", ""), "");
    ck_assert_str_eq(found(&hq, "zebra", ""), "");
    expect_found(&ken, "giraffe", stays);
}
END_TEST

/* More than a slice holds, of records and of bytes. */
START_TEST(what_takes_several_slices_is_found_whole)
{
    enum { CASES = 150, LONG = 50, LONG_BYTES = 29000 };
    char *text = malloc(LONG_BYTES + 1);
    char body[200];
    char number[40];

    ck_assert_ptr_nonnull(text);
    for (int n = 0; n < CASES; n++) {
        (void)snprintf(body, sizeof body,
                       "'kind':'case','set':{'title':'The zebra of night %d','status':'draft'}", n);
        save(&ken, body, number);
    }
    for (int at = 0; at < LONG_BYTES; at++) {
        text[at] = (char)(at % 7 == 0 ? ' ' : 'a' + at % 5);
    }
    text[LONG_BYTES] = '\0';
    for (int n = 0; n < LONG; n++) {
        json_t *saved = serve_one(
            ken.serve, json_pack("{s:i,s:s,s:s,s:{s:s,s:s},s:[{s:s,s:{s:s,s:s}}]}", "id", 1, "do",
                                 "record.save", "kind", "case", "set", "title", "A zebra", "status", "draft",
                                 "add", "to", "narrative", "fields", "language", "eng", "text", text));
        (void)served_granted(saved);
        json_decref(saved);
    }
    free(text);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.search','words':'zebra'}");
    const json_t *ok = served_granted(answer);
    ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "total")), CASES + LONG);
    ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "left")), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "records")), 20);
    json_decref(answer);
    /* Nothing is left but the entry that notes the search. */
    for (int n = 0; n < 100 && serve_wait_ms(ken.serve) <= 500; n++) {
        test_world_pass(&ken.node->world, serve_wait_ms(ken.serve));
        (void)serve_work(ken.serve);
    }
    ck_assert_uint_gt(serve_wait_ms(ken.serve), 500);
}
END_TEST

/* Off the way of whoever saves: soon after the journal has come to rest. */
START_TEST(it_is_read_without_being_asked)
{
    char number[40];

    save(&ken, "'kind':'case','set':{'title':'The zebra','status':'draft'}", number);
    ck_assert_uint_gt(serve_wait_ms(ken.serve), 0);
    ck_assert_uint_le(serve_wait_ms(ken.serve), 500);
    for (int n = 0; n < 100 && serve_wait_ms(ken.serve) <= 500; n++) {
        test_world_pass(&ken.node->world, serve_wait_ms(ken.serve));
        (void)serve_work(ken.serve);
    }
    ck_assert_uint_gt(serve_wait_ms(ken.serve), 500);
    expect_found(&ken, "zebra", number);
}
END_TEST

START_TEST(what_was_looked_for_is_in_no_answer_and_no_log)
{
    json_t *answer;

    served_refused(served_ask(&ken, "{'id':1,'do':'record.search'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.search','words':'?!'}"), "invalid");
    served_refused(
        served_ask(&ken, "{'id':1,'do':'record.search','words':'okapi','where':{'status':'draft'}}"),
        "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.search','words':'okapi','by':['status']}"),
                   "usage");
    served_refused(
        served_ask(&ken, "{'id':1,'do':'record.search','words':'okapi','kind':'case','by':['title']}"),
        "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'record.search','words':'okapi','kind':'okapia'}"),
                   "invalid");
    answer = served_ask(&ken, "{'id':1,'do':'record.search','words':'okapi','kind':'case','by':['nosuch']}");
    char *dumped = json_dumps(answer, 0);
    ck_assert_ptr_null(strstr(dumped, "okapi"));
    free(dumped);
    json_decref(answer);
    ck_assert_ptr_null(strstr(logged, "okapi"));
}
END_TEST

SUITE_MAIN_WITH("serve_search", setup, teardown, what_was_just_saved_is_found_by_any_form_of_its_words,
                both_values_of_a_conflict_are_found, what_a_node_may_not_read_it_does_not_find,
                codes_narrow_a_search_and_values_are_counted, what_is_restricted_or_erased_is_not_found,
                what_takes_several_slices_is_found_whole, it_is_read_without_being_asked,
                what_was_looked_for_is_in_no_answer_and_no_log)
