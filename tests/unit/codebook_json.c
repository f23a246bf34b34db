/* A codebook as people edit it, and what a newer one may change. */
#include "node/codebook_json.h"

#include "store/codebook_changes.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *book;

static void
setup(void)
{
    book = codebook_json(codebook_reprisals(), NULL);
    ck_assert_ptr_nonnull(book);
}

static void
teardown(void)
{
    json_decref(book);
}

static json_t *
named(const char *list, const char *name)
{
    size_t index;
    json_t *item;

    json_array_foreach(json_object_get(book, list), index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0) {
            return item;
        }
    }
    ck_abort_msg("%s has no %s", list, name);
}

START_TEST(what_is_written_is_read_as_the_same_codebook)
{
    struct codebook_fault fault;
    struct codebook *read = NULL;
    struct hash before;
    struct hash after;

    ck_assert_msg(codebook_from_json(book, &read, &fault) == ERR_OK, "%s", fault.what);
    codebook_id(codebook_reprisals(), &before);
    codebook_id(read, &after);
    ck_assert_mem_eq(before.bytes, after.bytes, HASH_BYTES);
    codebook_free(&read);
}
END_TEST

/* Read it, and give what is refused or wrong, in words; "" if it may follow. */
static const char *
first_refusal(void)
{
    static char text[400];
    struct codebook_fault fault;
    struct codebook *read = NULL;

    text[0] = '\0';
    if (codebook_from_json(book, &read, &fault) != ERR_OK) {
        ck_assert_ptr_null(read);
        (void)snprintf(text, sizeof text, "%s", fault.what);
        return text;
    }
    codebook_free(&read);
    return text;
}

struct counted {
    size_t how[4];
    char last[400]; /* refused */
    char added[400];
};

static void
count(void *self, const struct codebook_change *change)
{
    struct counted *counted = self;

    counted->how[change->how]++;
    if (change->how == CODEBOOK_REFUSED) {
        (void)snprintf(counted->last, sizeof counted->last, "%s: %s", change->what, change->text);
    } else if (change->how == CODEBOOK_ADDED) {
        (void)snprintf(counted->added, sizeof counted->added, "%s", change->what);
    }
}

static struct counted
compared(void)
{
    struct counted counted = { .last = "" };
    struct codebook_fault fault;
    struct codebook *read = NULL;

    ck_assert_msg(codebook_from_json(book, &read, &fault) == ERR_OK, "%s", fault.what);
    size_t refused = codebook_compare(codebook_reprisals(), read, count, &counted);
    ck_assert_uint_eq(refused, counted.how[CODEBOOK_REFUSED]);
    codebook_free(&read);
    return counted;
}

static void
set_version(json_int_t version)
{
    (void)json_object_set_new(book, "version", json_integer(version));
}

START_TEST(what_is_added_may_follow)
{
    json_t *values = json_object_get(named("vocabularies", "act_type"), "values");

    set_version(codebook_reprisals()->version + 1);
    (void)json_array_append_new(values, json_pack("{s:s,s:i,s:s,s:s}", "name", "drones", "number", 900,
                                                  "label", "Drones", "group", "surveillance_digital"));
    (void)json_array_append_new(json_object_get(book, "fields"),
                                json_pack("{s:s,s:i,s:s,s:[s],s:s,s:s,s:s}", "name", "weather", "number",
                                          4000, "label", "Weather", "kinds", "case", "type", "text", "level",
                                          "L2", "policy", "surface"));
    struct counted counted = compared();
    ck_assert_uint_eq(counted.how[CODEBOOK_ADDED], 2);
    ck_assert_uint_eq(counted.how[CODEBOOK_REFUSED], 0);
    ck_assert_uint_eq(counted.how[CODEBOOK_ALTERED], 0);
    ck_assert_str_eq(counted.added, "value drones of act_type");
    /* The words of what is there may change, and the order of values. */
    (void)json_object_set_new(named("fields", "title"), "label", json_string("What it is called"));
    (void)json_object_set_new(json_array_get(json_object_get(named("vocabularies", "urgency"), "values"), 0),
                              "rank", json_integer(77));
    counted = compared();
    ck_assert_uint_eq(counted.how[CODEBOOK_ALTERED], 2);
    ck_assert_uint_eq(counted.how[CODEBOOK_REFUSED], 0);
}
END_TEST

static const struct {
    const char *list;
    const char *name;
    const char *member;
    const char *value; /* JSON */
    const char *refused;
} changes[] = {
    { NULL, NULL, "version", "1", "codebook reprisals: its version has to be higher" },
    { NULL, NULL, "name", "\"other\"", "codebook other: it is another codebook" },
    { "fields", "title", "type", "\"long_text\"", "field title: its type is another" },
    { "fields", "title", "level", "\"L3\"", "field title: its level is another" },
    { "fields", "public_ref", "name", "\"reference\"", "field public_ref: it is called otherwise" },
    { "fields", "title", "number", "3999", NULL },
    { "collections", "act", "append_only", "true", "collection act: what an element" },
    { "collections", "note", "level", "\"L3\"", NULL },
    { "kinds", "source", "name", "\"informant\"", NULL },
};

START_TEST(what_would_mean_something_else_is_refused)
{
    json_t *of;

    set_version(codebook_reprisals()->version + 1);
    of = changes[_i].list == NULL ? book : named(changes[_i].list, changes[_i].name);
    (void)json_object_set_new(of, changes[_i].member, json_loads(changes[_i].value, JSON_DECODE_ANY, NULL));
    if (changes[_i].refused == NULL) {
        /* It breaks a rule, or what refers to it is lost: it is no codebook at all. */
        ck_assert_str_ne(first_refusal(), "");
        return;
    }
    struct counted counted = compared();
    ck_assert_uint_eq(counted.how[CODEBOOK_REFUSED], 1);
    ck_assert_msg(strncmp(counted.last, changes[_i].refused, strlen(changes[_i].refused)) == 0, "%s",
                  counted.last);
}
END_TEST

START_TEST(what_goes_is_refused)
{
    json_t *values = json_object_get(named("vocabularies", "platform_type"), "values");

    set_version(codebook_reprisals()->version + 1);
    (void)json_array_remove(values, json_array_size(values) - 1);
    struct counted counted = compared();
    ck_assert_uint_eq(counted.how[CODEBOOK_REFUSED], 1);
    ck_assert_ptr_nonnull(strstr(counted.last, "of platform_type: it is gone"));
}
END_TEST

START_TEST(an_error_says_where_it_is)
{
    (void)json_object_set_new(named("fields", "status"), "vocabulary", json_string("case_statu"));
    ck_assert_str_eq(first_refusal(), "field status: there is no vocabulary called case_statu");
    (void)json_object_set_new(named("fields", "status"), "vocabulary", json_string("case_status"));
    (void)json_object_set_new(named("fields", "title"), "levle", json_string("L2"));
    ck_assert_str_eq(first_refusal(), "field title: it has no \"levle\"");
    (void)json_object_del(named("fields", "title"), "levle");
    (void)json_object_set_new(named("collections", "act"), "level", json_string("L9"));
    ck_assert_str_eq(first_refusal(), "collection act: \"level\" is none of the words that it may be");
    (void)json_object_set_new(named("collections", "act"), "level", json_string("L1"));
    (void)json_object_set_new(named("kinds", "case"), "number", json_string("1"));
    ck_assert_str_eq(first_refusal(), "kind case: \"number\" is no number from 0 to 4294967295");
}
END_TEST

SUITE_MAIN_WITH("codebook_json", setup, teardown, what_is_written_is_read_as_the_same_codebook,
                what_is_added_may_follow, what_would_mean_something_else_is_refused, what_goes_is_refused,
                an_error_says_where_it_is)
