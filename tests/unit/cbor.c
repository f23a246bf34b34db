#include "tests/support/check.h"

#include "store/base/cbor.h"

#include <stdlib.h>
#include <string.h>

/* True if the hex `text` stands for one valid value. */
static bool
valid(const char *text)
{
    uint8_t bytes[64];
    size_t size = strlen(text) / 2;

    ck_assert_uint_le(size, sizeof bytes);
    ck_assert(bytes_from_hex(bytes, size, text));
    return cbor_valid(span_of(bytes, size));
}

static void
expect_hex(struct buf *buf, const char *text)
{
    char hex[129];

    ck_assert(!buf->failed);
    ck_assert_uint_le(buf->size, 64);
    bytes_hex(hex, buf_span(buf));
    ck_assert_str_eq(hex, text);
    ck_assert(cbor_valid(buf_span(buf)));
    buf_clear(buf);
}

START_TEST(values_are_written_in_their_one_form)
{
    struct buf buf = { 0 };

    /* Appendix A of RFC 8949, as far as the subset goes. */
    static const struct {
        uint64_t value;
        const char *hex;
    } numbers[] = {
        { 0, "00" },
        { 23, "17" },
        { 24, "1818" },
        { 100, "1864" },
        { 255, "18ff" },
        { 256, "190100" },
        { 1000, "1903e8" },
        { 65536, "1a00010000" },
        { 1000000, "1a000f4240" },
        { UINT64_C(1000000000000), "1b000000e8d4a51000" },
        { UINT64_MAX, "1bffffffffffffffff" },
    };
    for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
        cbor_put_uint(&buf, numbers[n].value);
        expect_hex(&buf, numbers[n].hex);
    }
    cbor_put_int(&buf, -1);
    expect_hex(&buf, "20");
    cbor_put_int(&buf, -100);
    expect_hex(&buf, "3863");
    cbor_put_int(&buf, -1000);
    expect_hex(&buf, "3903e7");
    cbor_put_int(&buf, INT64_MIN);
    expect_hex(&buf, "3b7fffffffffffffff");
    cbor_put_int(&buf, 24);
    expect_hex(&buf, "1818");
    cbor_put_bool(&buf, false);
    expect_hex(&buf, "f4");
    cbor_put_bool(&buf, true);
    expect_hex(&buf, "f5");
    cbor_put_null(&buf);
    expect_hex(&buf, "f6");
    cbor_put_bytes(&buf, span_of("\1\2\3\4", 4));
    expect_hex(&buf, "4401020304");
    cbor_put_bytes(&buf, (struct span){ 0 });
    expect_hex(&buf, "40");
    cbor_put_text(&buf, span_text("\u00fc"));
    expect_hex(&buf, "62c3bc");
    cbor_put_array(&buf, 0);
    expect_hex(&buf, "80");
    cbor_put_map(&buf, 1);
    cbor_put_uint(&buf, 1);
    cbor_put_array(&buf, 2);
    cbor_put_uint(&buf, 2);
    cbor_put_uint(&buf, 3);
    expect_hex(&buf, "a101820203");
    buf_free(&buf);
}
END_TEST

START_TEST(a_number_that_is_not_in_its_shortest_form_is_refused)
{
    ck_assert(!valid("1800"));
    ck_assert(!valid("1817"));
    ck_assert(!valid("190005"));
    ck_assert(!valid("1900ff"));
    ck_assert(!valid("1a00000005"));
    ck_assert(!valid("1a0000ffff"));
    ck_assert(!valid("1b0000000000000005"));
    ck_assert(!valid("1b00000000ffffffff"));
    ck_assert(!valid("3817"));
    ck_assert(!valid("3900ff"));
    ck_assert(!valid("580161"));
    ck_assert(!valid("780161"));
    ck_assert(!valid("980100"));
    ck_assert(!valid("b8010000"));
    ck_assert(!valid("f814"));
    ck_assert(valid("1818"));
    ck_assert(valid("3818"));
}
END_TEST

START_TEST(map_keys_ascend_and_never_repeat)
{
    ck_assert(valid("a0"));
    ck_assert(valid("a201000200"));
    ck_assert(!valid("a201000100"));
    ck_assert(!valid("a202000100"));
    ck_assert(!valid("a362626200616100616100"));
    /* By encoded bytes: 100 before -1 before "z" before "aa" before [100] before false. */
    ck_assert(valid("a61864002000617a006261610081186400f400"));
    ck_assert(!valid("a262616100617a00"));
    /* In a map within a map, and with a map as a key. */
    ck_assert(valid("a200a2010002000100"));
    ck_assert(!valid("a200a2020001000100"));
    ck_assert(valid("a2a1000000a1010000"));
    ck_assert(!valid("a2a1010000a1000000"));
    ck_assert(!valid("a2a1000000a1000000"));
    /* A value is no key: equal values are fine, and so are keys of other maps. */
    ck_assert(valid("82a10500a10500"));
    ck_assert(valid("a205050600"));
}
END_TEST

START_TEST(what_is_outside_of_the_subset_is_refused)
{
    static const char *const refused[] = {
        "",           "f7", /* undefined */
        "f90000",           /* half, single and double float */
        "fa47c35000", "fb3ff199999999999a",
        "f97e00",               /* not a number */
        "c001",                 /* tag */
        "d9d9f700",   "c24101", /* big number */
        "5f4101ff",             /* indefinite bytes, text, array, map */
        "7f6161ff",   "9f01ff",
        "bf0100ff",   "9fff",
        "ff", /* a break alone */
        "f0", /* unassigned simple values */
        "f8ff",       "1c",
        "1d",         "1e",
        "1f",         "3c",
        "5c",         "7c",
        "9c",         "bc",
        "fc", /* reserved */
    };

    for (size_t n = 0; n < sizeof refused / sizeof refused[0]; n++) {
        ck_assert_msg(!valid(refused[n]), "%s was accepted", refused[n]);
    }
}
END_TEST

START_TEST(a_byte_too_many_or_too_few_is_refused)
{
    static const char *const values[] = { "a2010002826161f6", "1903e8", "4401020304", "8101", "a10000" };

    for (size_t n = 0; n < sizeof values / sizeof values[0]; n++) {
        char text[64];
        size_t size = strlen(values[n]);
        memcpy(text, values[n], size + 1);
        ck_assert(valid(text));
        memcpy(text + size, "00", 3);
        ck_assert(!valid(text));
        while (size > 0) {
            size -= 2;
            text[size] = '\0';
            ck_assert(!valid(text));
        }
    }
}
END_TEST

START_TEST(a_declared_size_beyond_the_end_is_refused)
{
    static const char *const huge[] = {
        "5affffffff00",
        "5bffffffffffffffff00",
        "7bffffffffffffffff00",
        "5b7fffffffffffffff00",
        "9a7fffffff00",
        "9bffffffffffffffff00",
        "ba7fffffff0000",
        "bbffffffffffffffff0000",
        "bb80000000000000000000",
        "830000",
        "a2000001",
    };

    for (size_t n = 0; n < sizeof huge / sizeof huge[0]; n++) {
        uint8_t bytes[16];
        size_t size = strlen(huge[n]) / 2;
        ck_assert(bytes_from_hex(bytes, size, huge[n]));
        ck_assert(!cbor_valid(span_of(bytes, size)));
        struct cbor_reader reader = cbor_reader_of(span_of(bytes, size));
        ck_assert_uint_eq(cbor_read_bytes(&reader).size, 0);
        ck_assert(reader.in.failed);
        reader = cbor_reader_of(span_of(bytes, size));
        ck_assert_uint_eq(cbor_read_text(&reader).size, 0);
        ck_assert(reader.in.failed);
        reader = cbor_reader_of(span_of(bytes, size));
        ck_assert_uint_eq(cbor_read_array(&reader), 0);
        ck_assert(reader.in.failed);
        reader = cbor_reader_of(span_of(bytes, size));
        ck_assert_uint_eq(cbor_read_map(&reader), 0);
        ck_assert(reader.in.failed);
    }
}
END_TEST

START_TEST(depth_has_a_bound_and_ten_thousands_of_levels_do_no_harm)
{
    enum { LEVELS = 200000 };
    static uint8_t nested[LEVELS + 1];

    memset(nested, 0x81, LEVELS);
    nested[LEVELS] = 0;
    ck_assert(!cbor_valid(span_of(nested, sizeof nested)));
    ck_assert(cbor_valid(span_of(nested + LEVELS - CBOR_DEPTH, CBOR_DEPTH + 1)));
    ck_assert(!cbor_valid(span_of(nested + LEVELS - CBOR_DEPTH - 1, CBOR_DEPTH + 2)));
    /* An empty container is a level too. */
    nested[LEVELS] = 0x80;
    ck_assert(cbor_valid(span_of(nested + LEVELS - CBOR_DEPTH + 1, CBOR_DEPTH)));
    ck_assert(!cbor_valid(span_of(nested + LEVELS - CBOR_DEPTH, CBOR_DEPTH + 1)));
    /* Levels that were entered by hand count. */
    struct cbor_reader reader = cbor_reader_of(span_of(nested, sizeof nested));
    for (int n = 0; n < CBOR_DEPTH; n++) {
        ck_assert_uint_eq(cbor_read_array(&reader), 1);
    }
    ck_assert_uint_eq(cbor_read_any(&reader).size, 0);
    ck_assert(reader.in.failed);
}
END_TEST

START_TEST(a_value_is_read_as_what_it_is_or_not_at_all)
{
    struct buf buf = { 0 };
    uint8_t exact[3];

    cbor_put_array(&buf, 9);
    cbor_put_uint(&buf, UINT64_MAX);
    cbor_put_int(&buf, INT64_MIN);
    cbor_put_int(&buf, INT64_MAX);
    cbor_put_bytes(&buf, span_of("abc", 3));
    cbor_put_text(&buf, span_text("\u00e9t\u00e9"));
    cbor_put_bool(&buf, true);
    cbor_put_null(&buf);
    cbor_put_map(&buf, 1);
    cbor_put_uint(&buf, 7);
    cbor_put_bool(&buf, false);
    cbor_put_bytes(&buf, span_of("xyz", 3));

    struct cbor_reader reader = cbor_reader_of(buf_span(&buf));
    ck_assert_int_eq(cbor_peek(&reader), CBOR_ARRAY);
    ck_assert_uint_eq(cbor_read_array(&reader), 9);
    ck_assert_int_eq(cbor_peek(&reader), CBOR_UINT);
    ck_assert_uint_eq(cbor_read_uint(&reader), UINT64_MAX);
    ck_assert_int_eq(cbor_peek(&reader), CBOR_NEGATIVE);
    ck_assert_int_eq(cbor_read_int(&reader), INT64_MIN);
    ck_assert_int_eq(cbor_read_int(&reader), INT64_MAX);
    ck_assert(span_equal(cbor_read_bytes(&reader), span_text("abc")));
    ck_assert_int_eq(cbor_peek(&reader), CBOR_TEXT);
    ck_assert(span_equal(cbor_read_text(&reader), span_text("\u00e9t\u00e9")));
    ck_assert(cbor_read_bool(&reader));
    ck_assert_int_eq(cbor_peek(&reader), CBOR_SIMPLE);
    cbor_read_null(&reader);
    ck_assert(span_equal(cbor_read_any(&reader), span_of("\xa1\x07\xf4", 3)));
    ck_assert(!cbor_done(&reader));
    cbor_read_exact(&reader, exact, sizeof exact);
    ck_assert_mem_eq(exact, "xyz", 3);
    ck_assert(cbor_done(&reader));
    ck_assert_int_eq(cbor_peek(&reader), CBOR_NOTHING);
    buf_free(&buf);
}
END_TEST

START_TEST(a_value_of_another_type_fails_the_reader)
{
    static const uint8_t bytes[] = { 0x43, 'a', 'b', 'c', 0x00 };
    uint8_t exact[4] = { 1, 1, 1, 1 };
    struct cbor_reader start = cbor_reader_of(span_of(bytes, sizeof bytes));
    struct cbor_reader reader = start;

    ck_assert_uint_eq(cbor_read_uint(&reader), 0);
    ck_assert(reader.in.failed);
    ck_assert_uint_eq(cbor_read_bytes(&reader).size, 0);
    ck_assert_int_eq(cbor_peek(&reader), CBOR_NOTHING);
    reader = start;
    ck_assert_int_eq(cbor_read_int(&reader), 0);
    ck_assert(reader.in.failed);
    reader = start;
    ck_assert_uint_eq(cbor_read_text(&reader).size, 0);
    ck_assert(reader.in.failed);
    reader = start;
    cbor_read_exact(&reader, exact, 4);
    ck_assert(reader.in.failed);
    ck_assert_mem_eq(exact, "\0\0\0\0", 4);
    reader = start;
    ck_assert_uint_eq(cbor_read_any(&reader).size, 4);
    cbor_fail(&reader);
    ck_assert_uint_eq(cbor_read_any(&reader).size, 0);
    ck_assert(!cbor_done(&reader));
    /* null is no bool, a bool no null, and -2^63 - 1 no int64. */
    reader = cbor_reader_of(span_of("\xf6", 1));
    ck_assert(!cbor_read_bool(&reader));
    ck_assert(reader.in.failed);
    reader = cbor_reader_of(span_of("\xf5", 1));
    cbor_read_null(&reader);
    ck_assert(reader.in.failed);
    reader = cbor_reader_of(span_of("\x3b\x80\0\0\0\0\0\0\0", 9));
    ck_assert_int_eq(cbor_read_int(&reader), 0);
    ck_assert(reader.in.failed);
}
END_TEST

START_TEST(reading_step_by_step_checks_what_reading_at_once_checks)
{
    /* {2: 0, 1: 0}: keys that descend. */
    struct cbor_reader reader = cbor_reader_of(span_of("\xa2\x02\x00\x01\x00", 5));

    ck_assert_uint_eq(cbor_read_map(&reader), 2);
    ck_assert_uint_eq(cbor_read_uint(&reader), 2);
    ck_assert_uint_eq(cbor_read_uint(&reader), 0);
    ck_assert(!reader.in.failed);
    ck_assert_uint_eq(cbor_read_uint(&reader), 0);
    ck_assert(reader.in.failed);
    /* An array of two of which one was read is not done, nor is what came too soon. */
    reader = cbor_reader_of(span_of("\x82\x01\x02", 3));
    ck_assert_uint_eq(cbor_read_array(&reader), 2);
    ck_assert_uint_eq(cbor_read_uint(&reader), 1);
    ck_assert(!cbor_done(&reader));
    ck_assert_uint_eq(cbor_read_uint(&reader), 2);
    ck_assert(cbor_done(&reader));
}
END_TEST

START_TEST(text_is_utf8)
{
    static const char *const good[] = { "",       "abc",        "\x7f",         "\xc2\x80",
                                        "\u07ff", "\u0800",     "\xed\x9f\xbf", "\ue000",
                                        "\uffff", "\U00010000", "\U0010ffff",   "\u0645\u062b\u4f8b\u0438" };
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2\x41",
        "\xe0\x9f\xbf",
        "\xe0\xa0",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xef\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x90\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "ok\xe2\x82",
        "\xe2\x28\xa1",
        "\xf0\x90\x28\xbc",
    };
    struct buf buf = { 0 };

    for (size_t n = 0; n < sizeof good / sizeof good[0]; n++) {
        ck_assert(utf8_valid(span_text(good[n])));
    }
    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        ck_assert(!utf8_valid(span_text(bad[n])));
        cbor_put_text(&buf, span_text(bad[n]));
        ck_assert(!cbor_valid(buf_span(&buf)));
        buf_clear(&buf);
        /* The same bytes are fine as bytes. */
        cbor_put_bytes(&buf, span_text(bad[n]));
        ck_assert(cbor_valid(buf_span(&buf)));
        buf_clear(&buf);
    }
    buf_free(&buf);
}
END_TEST

SUITE_MAIN("cbor", values_are_written_in_their_one_form, a_number_that_is_not_in_its_shortest_form_is_refused,
           map_keys_ascend_and_never_repeat, what_is_outside_of_the_subset_is_refused,
           a_byte_too_many_or_too_few_is_refused, a_declared_size_beyond_the_end_is_refused,
           depth_has_a_bound_and_ten_thousands_of_levels_do_no_harm,
           a_value_is_read_as_what_it_is_or_not_at_all, a_value_of_another_type_fails_the_reader,
           reading_step_by_step_checks_what_reading_at_once_checks, text_is_utf8)
