/* JSON in the bytes in which a node keeps it. */
#include "node/json_tree.h"
#include "tests/support/check.h"

#include <stdlib.h>

static const char *const values[] = {
    "{}",
    "[]",
    "{\"row\":2,\"records\":[{\"key\":\"17\",\"kind\":\"case\",\"set\":{\"title\":\"A "
    "walk\"},\"add\":[{\"to\":"
    "\"act\",\"slot\":\"act[1]\",\"fields\":{\"online\":true,\"victim\":[{\"row\":0}],\"basis\":null}}]}]}",
    "[true,false,null,0,1,-1,63,-64,64,-65,9223372036854775807,-9223372036854775808]",
    "[0.5,-1e300,1e-300,0.1]",
    "[\"\",\"\\u00e9\\ud83d\\ude00\",\"\\\"\\\\\\n\"]",
    "\"alone\"",
    "[[[[[[[[[[[[[[[[[[[[\"deep\"]]]]]]]]]]]]]]]]]]]]",
};

enum { VALUES = sizeof values / sizeof values[0] };

static json_t *
value_of(size_t n)
{
    json_t *value = json_loads(values[n], JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

    ck_assert_ptr_nonnull(value);
    return value;
}

START_TEST(a_value_is_read_as_it_was_written)
{
    for (size_t n = 0; n < VALUES; n++) {
        json_t *value = value_of(n);
        struct buf bytes = { 0 };

        json_tree_put(&bytes, value);
        ck_assert(!bytes.failed);
        json_t *again = json_tree_read(buf_span(&bytes));
        ck_assert_ptr_nonnull(again);
        ck_assert(json_equal(value, again));
        /* In the same order too: of a row the first fault is told. */
        char *before = json_dumps(value, JSON_ENCODE_ANY);
        char *after = json_dumps(again, JSON_ENCODE_ANY);
        ck_assert_str_eq(before, after);
        free(before);
        free(after);
        json_decref(value);
        json_decref(again);
        buf_free(&bytes);
    }
}
END_TEST

START_TEST(a_part_of_a_value_is_none_nor_is_one_with_something_after_it)
{
    for (size_t n = 0; n < VALUES; n++) {
        json_t *value = value_of(n);
        struct buf bytes = { 0 };

        json_tree_put(&bytes, value);
        for (size_t size = 0; size < bytes.size; size++) {
            ck_assert_ptr_null(json_tree_read(span_of(bytes.data, size)));
        }
        buf_put_u8(&bytes, 'n');
        ck_assert_ptr_null(json_tree_read(buf_span(&bytes)));
        json_decref(value);
        buf_free(&bytes);
    }
}
END_TEST

START_TEST(bytes_that_are_no_value_are_refused)
{
    static const char *const wrong[] = { "[]", "{}", "x", "s\x05 one", "a\x02n", "o\x01\x01k", "s\x01\xff" };
    struct buf deep = { 0 };

    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        ck_assert_ptr_null(json_tree_read(span_text(wrong[n])));
    }
    /* What says that it has very many items and has none; and what is nested without an end. */
    ck_assert_ptr_null(json_tree_read(span_text("a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")));
    ck_assert_ptr_null(json_tree_read(span_text("s\xff\xff\xff\xff\xff\xff\xff\xff\x7f")));
    for (int n = 0; n < 100000; n++) {
        buf_put_text(&deep, "a\x01");
    }
    buf_put_text(&deep, "n");
    ck_assert_ptr_null(json_tree_read(buf_span(&deep)));
    buf_free(&deep);
}
END_TEST

SUITE_MAIN("json_tree", a_value_is_read_as_it_was_written,
           a_part_of_a_value_is_none_nor_is_one_with_something_after_it, bytes_that_are_no_value_are_refused)
