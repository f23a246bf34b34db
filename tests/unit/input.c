#include "tests/support/check.h"

#include "tools/input.h"
#include "tools/output.h"

#include <stdlib.h>
#include <string.h>

static struct client_fault fault;
static json_t *save;
static json_t *object; /* what the last ref is lent by */

static void
begin(void)
{
    save = json_object();
    object = NULL;
    memset(&fault, 0, sizeof fault);
}

static void
finish(void)
{
    json_decref(save);
    json_decref(object);
}

/* What `save` is must be this JSON. */
static void
check_save(const char *expected)
{
    json_t *wanted = json_loads(expected, 0, NULL);

    ck_assert_ptr_nonnull(wanted);
    if (!json_equal(save, wanted)) {
        ck_abort_msg("%s instead of %s", json_dumps(save, 0), expected);
    }
    json_decref(wanted);
}

START_TEST(a_field_is_set_to_everything_behind_the_first_equals_sign)
{
    ck_assert(input_set(save, "status=triage", &fault));
    ck_assert(input_set(save, "title=a=b c", &fault));
    ck_assert(input_set(save, "act[3f09a1c2].stage=ongoing", &fault));
    check_save("{\"set\":{\"status\":\"triage\",\"title\":\"a=b c\",\"act[3f09a1c2].stage\":\"ongoing\"}}");
}
END_TEST

START_TEST(what_is_no_assignment_is_refused_and_changes_nothing)
{
    static const char *const wrong[] = {
        "",         "status",  "=triage",     "status=", "a b=c",          ".a=c",       "a.=c",
        "a..b=c",   "a.b.c=d", "a[=c",        "a]=c",    "a[]=c",          "a[1]b=c",    "a[1][2]=c",
        "a.b[1]=c", "[1]=c",   "a\xc3\xa9=c", "a=\xff",  "a=\xed\xa0\x80", "a=\xc0\x80", "a[1].=c",
    };

    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        ck_assert_msg(!input_set(save, wrong[n], &fault), "%s", wrong[n]);
        ck_assert_str_eq(fault.code, "usage");
        ck_assert_str_ne(fault.hint, "");
    }
    check_save("{}");
}
END_TEST

START_TEST(a_field_is_set_once)
{
    ck_assert(input_set(save, "status=triage", &fault));
    ck_assert(!input_set(save, "status=draft", &fault));
    check_save("{\"set\":{\"status\":\"triage\"}}");
}
END_TEST

START_TEST(a_name_is_at_most_as_long_as_a_name_may_be)
{
    char text[INPUT_NAME_BYTES_MAX + 4];

    memset(text, 'a', sizeof text);
    memcpy(text + INPUT_NAME_BYTES_MAX, "=v", 3);
    ck_assert(input_set(save, text, &fault));
    memcpy(text + INPUT_NAME_BYTES_MAX, "a=v", 4);
    ck_assert(!input_set(save, text, &fault));
    ck_assert_uint_eq(json_object_size(json_object_get(save, "set")), 1);
}
END_TEST

START_TEST(fields_of_a_collection_make_one_element_until_the_next_begins)
{
    ck_assert(input_add(save, "country_of_act=KEN", &fault));
    ck_assert(input_add(save, "act.type_of_act=death_threat", &fault));
    ck_assert(input_add(save, "victim.part=alleged_victim", &fault));
    ck_assert(input_add(save, "act.date_from=2026-03~", &fault));
    ck_assert(input_add(save, "act", &fault));
    ck_assert(input_add(save, "act.type_of_act=detention", &fault));
    ck_assert(input_add(save, "country_of_act=UGA", &fault));
    ck_assert(input_whole(save, &fault));
    check_save("{\"add\":[{\"to\":\"country_of_act\",\"value\":\"KEN\"},"
               "{\"to\":\"act\",\"fields\":{\"type_of_act\":\"death_threat\",\"date_from\":\"2026-03~\"}},"
               "{\"to\":\"victim\",\"fields\":{\"part\":\"alleged_victim\"}},"
               "{\"to\":\"act\",\"fields\":{\"type_of_act\":\"detention\"}},"
               "{\"to\":\"country_of_act\",\"value\":\"UGA\"}]}");
}
END_TEST

START_TEST(an_element_has_a_field_and_may_have_several_values)
{
    ck_assert(input_add(save, "act", &fault));
    ck_assert(!input_whole(save, &fault));
    ck_assert(!input_add(save, "act", &fault));
    ck_assert(input_add(save, "act.place=x", &fault));
    ck_assert(input_whole(save, &fault));
    ck_assert(!input_add(save, "act[3f].place=y", &fault));
    ck_assert(!input_add(save, "act.place", &fault));
    check_save("{\"add\":[{\"to\":\"act\",\"fields\":{\"place\":\"x\"}}]}");
    /* Several values: which fields take them is for the node to say. */
    ck_assert(input_add(save, "act.place=y", &fault));
    ck_assert(input_add(save, "act.place=z", &fault));
    check_save("{\"add\":[{\"to\":\"act\",\"fields\":{\"place\":[\"x\",\"y\",\"z\"]}}]}");
}
END_TEST

START_TEST(only_elements_are_removed)
{
    ck_assert(!input_remove(save, "title", &fault));
    ck_assert(!input_remove(save, "act[3f].place", &fault));
    ck_assert(!input_remove(save, "", &fault));
    ck_assert(input_remove(save, "act[3f09a1c2]", &fault));
    check_save("{\"remove\":[\"act[3f09a1c2]\"]}");
}
END_TEST

START_TEST(notes_and_resolved_targets_are_lists)
{
    ck_assert(!input_note(save, "", &fault));
    ck_assert(!input_note(save, "\xff", &fault));
    ck_assert(input_note(save, "one", &fault));
    ck_assert(input_note(save, "two\nlines", &fault));
    ck_assert(input_resolve(save, "title", &fault));
    check_save("{\"note\":[\"one\",\"two\\nlines\"],\"resolve\":[\"title\"]}");
}
END_TEST

START_TEST(a_save_that_changes_nothing_is_refused)
{
    ck_assert(!input_whole(save, &fault));
    ck_assert(input_resolve(save, "title", &fault));
    ck_assert(!input_whole(save, &fault));
    ck_assert(input_set(save, "title=t", &fault));
    ck_assert(input_whole(save, &fault));
}
END_TEST

static json_t *
save_of(const char *text, const char **ref)
{
    json_decref(object);
    object = json_loads(text, 0, NULL);
    ck_assert_msg(object != NULL, "%s", text);
    return input_save(object, ref, &fault);
}

START_TEST(an_object_of_a_file_becomes_a_request)
{
    const char *ref = NULL;

    json_decref(save);
    save =
        save_of("{\"kind\":\"case\",\"ref\":\"c1\",\"fields\":{\"title\":\"t\",\"number_of_persons\":[2,3]},"
                "\"sets\":{\"country_of_act\":[\"KEN\",\"UGA\"]},"
                "\"elements\":{\"act\":[{\"type_of_act\":\"detention\"},{\"online\":true}]},"
                "\"notes\":[\"n\"],\"office\":\"KEN\",\"urgent\":true,\"actor\":2}",
                &ref);
    ck_assert_str_eq(ref, "c1");
    check_save(
        "{\"do\":\"record.save\",\"kind\":\"case\",\"set\":{\"title\":\"t\",\"number_of_persons\":[2,3]},"
        "\"add\":[{\"to\":\"country_of_act\",\"value\":\"KEN\"},{\"to\":\"country_of_act\",\"value\":\"UGA\"}"
        ","
        "{\"to\":\"act\",\"fields\":{\"type_of_act\":\"detention\"}},{\"to\":\"act\",\"fields\":{\"online\":"
        "true}}],"
        "\"note\":[\"n\"],\"office\":\"KEN\",\"urgent\":true,\"actor\":2}");
}
END_TEST

START_TEST(an_object_of_another_shape_is_refused)
{
    static const char *const wrong[] = {
        "[]",
        "{\"colour\":1}",
        "{\"kind\":1}",
        "{\"kind\":\"\"}",
        "{\"ref\":\"\"}",
        "{\"ref\":\"a b\"}",
        "{\"ref\":1}",
        "{\"fields\":[]}",
        "{\"fields\":{\"a\":null}}",
        "{\"fields\":{\"a\":{}}}",
        "{\"fields\":{\"a\":[[1]]}}",
        "{\"fields\":{\"a b\":1}}",
        "{\"sets\":{\"a\":1}}",
        "{\"sets\":{\"a\":[null]}}",
        "{\"elements\":{\"a\":{}}}",
        "{\"elements\":{\"a\":[1]}}",
        "{\"elements\":{\"a\":[{}]}}",
        "{\"elements\":{\"a\":[{\"b\":null}]}}",
        "{\"notes\":\"n\"}",
        "{\"notes\":[\"\"]}",
        "{\"remove\":[1]}",
        "{\"urgent\":1}",
        "{\"actor\":0}",
        "{\"actor\":\"1\"}",
    };

    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        const char *ref = NULL;
        ck_assert_msg(save_of(wrong[n], &ref) == NULL, "%s", wrong[n]);
        ck_assert_str_eq(fault.code, "invalid");
        ck_assert_str_ne(fault.hint, "");
    }
}
END_TEST

START_TEST(refs_are_replaced_all_or_none)
{
    const char *ref = NULL;

    json_decref(save);
    save = save_of("{\"fields\":{\"a\":\"ref:p1\",\"b\":\"ref: not\"},\"sets\":{\"s\":[\"ref:p2\"]},"
                   "\"elements\":{\"e\":[{\"f\":[\"ref:p1\",\"x\"]}]}}",
                   &ref);
    json_t *ids = json_pack("{s:s, s:n}", "p1", "id1", "p2");
    ck_assert_int_eq(input_refs_replace(save, ids, &ref), REFS_WAIT);
    ck_assert_str_eq(ref, "p2");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(save, "set"), "a")), "ref:p1");
    (void)json_object_set_new(ids, "p2", json_false());
    ck_assert_int_eq(input_refs_replace(save, ids, &ref), REFS_FAILED);
    (void)json_object_del(ids, "p2");
    ck_assert_int_eq(input_refs_replace(save, ids, &ref), REFS_FAILED);
    (void)json_object_set_new(ids, "p2", json_string("id2"));
    ck_assert_int_eq(input_refs_replace(save, ids, &ref), REFS_READY);
    check_save("{\"do\":\"record.save\",\"set\":{\"a\":\"id1\",\"b\":\"ref: "
               "not\"},\"add\":[{\"to\":\"s\",\"value\":\"id2\"},"
               "{\"to\":\"e\",\"fields\":{\"f\":[\"id1\",\"x\"]}}]}");
    json_decref(ids);
}
END_TEST

static struct input_file
file_of(const char *text, size_t size)
{
    struct input_file input = { .file = fmemopen((void *)(uintptr_t)text, size, "r") };

    ck_assert_ptr_nonnull(input.file);
    return input;
}

START_TEST(a_file_holds_objects_on_one_line_or_on_several)
{
    static const char text[] = "\n{\"a\":1}\n\n{\n \"b\": {\n  \"c\": 2 }\n}\n{\"d\":3}";
    struct input_file input = file_of(text, sizeof text - 1);
    static const char *const keys[] = { "a", "b", "d" };
    static const size_t lines[] = { 2, 4, 8 };

    for (size_t n = 0; n < 3; n++) {
        ck_assert(input_next(&input, &object, &fault));
        ck_assert_ptr_nonnull(json_object_get(object, keys[n]));
        ck_assert_uint_eq(input.first_line, lines[n]);
        json_decref(object);
        object = NULL;
    }
    ck_assert(input_next(&input, &object, &fault));
    ck_assert_ptr_null(object);
    input_end(&input);
    (void)fclose(input.file);
}
END_TEST

START_TEST(a_fault_in_a_file_is_told_with_its_line)
{
    static const struct {
        const char *text;
        const char *line;
    } wrong[] = {
        { "{\"a\":1}\nnonsense\n", "line 2" }, { "{\"a\":1}\n{\n\"b\":x\n}\n", "line 3" },
        { "{\"a\":1}\n{\"b\":1\n", "line 2" }, { "{\"a\":{}\n{\"b\":1}\n", "line 2" },
        { "{\"a\":1,\"a\":2}\n", "line 1" },   { "{\"a\":\"\xff\"}\n", "line 1" },
        { "{\"a\":1} {\"b\":2}\n", "line 1" },
    };

    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        struct input_file input = file_of(wrong[n].text, strlen(wrong[n].text));
        bool good = true;
        while ((good = input_next(&input, &object, &fault)) && object != NULL) {
            json_decref(object);
            object = NULL;
        }
        ck_assert_msg(!good, "%s", wrong[n].text);
        ck_assert_str_eq(fault.code, "invalid");
        ck_assert_msg(strstr(fault.message, wrong[n].line) != NULL, "%s: %s", wrong[n].text, fault.message);
        input_end(&input);
        (void)fclose(input.file);
    }
}
END_TEST

/* PROMISES C12. */
START_TEST(c12_what_steers_a_terminal_is_taken_out_of_text)
{
    static const struct {
        const char *text;
        const char *clean;
    } cases[] = {
        { "plain", "plain" },
        { "\x1b[31mred\x1b[0m", "[31mred[0m" },
        { "a\x07\x08\x7f"
          "b",
          "ab" },
        { "\xc2\x9b"
          "31m",
          "31m" },
        { "\xe2\x80\xae"
          "evil\xe2\x80\xac",
          "evil" },
        { "\xe2\x81\xa6"
          "a\xe2\x81\xa9\xe2\x80\x8f\xe2\x80\x8e\xd8\x9c",
          "a" },
        { "\xf3\xa0\x81\x81"
          "tag\xef\xbb\xbf",
          "tag" },
        { "two\nlines\tand\r", "two lines and" },
        { "\xff\xc3(\xed\xa0\x80", "?"
                                   "?(?"
                                   "??" },
        { "caf\xc3\xa9 \xd8\xa7\xd8\xb9 \xe4\xb8\xad \xf0\x9f\x8c\x8d",
          "caf\xc3\xa9 \xd8\xa7\xd8\xb9 \xe4\xb8\xad \xf0\x9f\x8c\x8d" },
    };

    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        char *clean = output_clean(cases[n].text, false);
        ck_assert_str_eq(clean, cases[n].clean);
        free(clean);
    }
    char *lines = output_clean("two\nlines\r", true);
    ck_assert_str_eq(lines, "two\nlines");
    free(lines);
}
END_TEST

START_TEST(json_keeps_what_steers_as_an_escape)
{
    static const char text[] = "a\x1b[31m\xe2\x80\xae\xc2\x9b\xf3\xa0\x81\x81\xc3\xa9";
    char *printed = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&printed, &size);
    json_t *value = json_pack("{s:s}", "t", text);

    output_json(to, value);
    (void)fclose(to);
    ck_assert_str_eq(printed, "{\"t\":\"a\\u001B[31m\\u202e\\u009b\\udb40\\udc41\xc3\xa9\"}\n");
    json_t *back = json_loads(printed, 0, NULL);
    ck_assert(json_equal(back, value));
    json_decref(back);
    json_decref(value);
    free(printed);
}
END_TEST

START_TEST(a_time_is_shown_to_the_minute_and_nothing_else_is_changed)
{
    char out[32];

    output_time(out, "2026-03-01T10:00:59.999Z");
    ck_assert_str_eq(out, "2026-03-01 10:00 UTC");
    output_time(out, "2026-03");
    ck_assert_str_eq(out, "2026-03");
    output_time(out, NULL);
    ck_assert_str_eq(out, "");
}
END_TEST

SUITE_MAIN_WITH("input", begin, finish, a_field_is_set_to_everything_behind_the_first_equals_sign,
                what_is_no_assignment_is_refused_and_changes_nothing, a_field_is_set_once,
                a_name_is_at_most_as_long_as_a_name_may_be,
                fields_of_a_collection_make_one_element_until_the_next_begins,
                an_element_has_a_field_and_may_have_several_values, only_elements_are_removed,
                notes_and_resolved_targets_are_lists, a_save_that_changes_nothing_is_refused,
                an_object_of_a_file_becomes_a_request, an_object_of_another_shape_is_refused,
                refs_are_replaced_all_or_none, a_file_holds_objects_on_one_line_or_on_several,
                a_fault_in_a_file_is_told_with_its_line, c12_what_steers_a_terminal_is_taken_out_of_text,
                json_keeps_what_steers_as_an_escape,
                a_time_is_shown_to_the_minute_and_nothing_else_is_changed)
