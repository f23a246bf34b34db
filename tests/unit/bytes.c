#include "tests/support/check.h"

#include "store/base/bytes.h"

#include <string.h>

START_TEST(integers_come_back_as_they_were_written)
{
    static const uint8_t expected[] = { 0x12, 0x12, 0x34, 0x12, 0x34, 0x56, 0x78, 0x12,
                                        0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0 };
    struct buf buf = { 0 };

    buf_put_u8(&buf, 0x12);
    buf_put_u16(&buf, 0x1234);
    buf_put_u32(&buf, 0x12345678);
    buf_put_u64(&buf, UINT64_C(0x123456789abcdef0));
    ck_assert(!buf.failed);
    ck_assert_uint_eq(buf.size, sizeof expected);
    ck_assert_mem_eq(buf.data, expected, sizeof expected);

    struct reader reader = reader_of(buf_span(&buf));
    ck_assert_uint_eq(reader_u8(&reader), 0x12);
    ck_assert_uint_eq(reader_u16(&reader), 0x1234);
    ck_assert_uint_eq(reader_u32(&reader), 0x12345678);
    ck_assert_uint_eq(reader_u64(&reader), UINT64_C(0x123456789abcdef0));
    ck_assert(reader_done(&reader));
    buf_free(&buf);
    ck_assert_ptr_null(buf.data);
}
END_TEST

START_TEST(a_varint_comes_back_and_is_as_short_as_it_can_be)
{
    for (unsigned bits = 0; bits <= 64; bits++) {
        for (int offset = -1; offset <= 1; offset++) {
            uint64_t value = (bits == 64 ? 0 : UINT64_C(1) << bits) + (uint64_t)offset;
            struct buf buf = { 0 };
            buf_put_varint(&buf, value);
            size_t size = 1;
            for (uint64_t rest = value >> 7; rest > 0; rest >>= 7) {
                size++;
            }
            ck_assert_uint_eq(buf.size, size);
            struct reader reader = reader_of(buf_span(&buf));
            ck_assert_uint_eq(reader_varint(&reader), value);
            ck_assert(reader_done(&reader));
            buf_free(&buf);
        }
    }
}
END_TEST

static bool
varint_refused(const void *data, size_t size)
{
    struct reader reader = reader_of(span_of(data, size));
    uint64_t value = reader_varint(&reader);

    return reader.failed && value == 0;
}

START_TEST(a_varint_that_is_too_long_or_cut_off_is_refused)
{
    ck_assert(varint_refused("", 0));
    ck_assert(varint_refused("\x80", 1));
    ck_assert(varint_refused("\x80\x00", 2));
    ck_assert(varint_refused("\xff\xff\x00", 3));
    ck_assert(varint_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
    ck_assert(varint_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11));
    ck_assert(varint_refused("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11));
    ck_assert(!varint_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10));
}
END_TEST

START_TEST(a_reader_that_failed_gives_nothing_more)
{
    uint8_t copied[4] = { 1, 2, 3, 4 };
    struct reader reader = reader_of(span_of("\x01\x02\x03", 3));

    ck_assert_uint_eq(reader_u32(&reader), 0);
    ck_assert(reader.failed);
    ck_assert_uint_eq(reader_u8(&reader), 0);
    ck_assert_uint_eq(reader_varint(&reader), 0);
    ck_assert_uint_eq(reader_span(&reader, 0).size, 0);
    reader_copy(&reader, copied, sizeof copied);
    ck_assert_mem_eq(copied, "\0\0\0\0", 4);
    ck_assert(!reader_done(&reader));
    ck_assert_uint_eq(reader_left(&reader), 3);
}
END_TEST

START_TEST(a_length_beyond_the_end_is_refused)
{
    struct reader reader = reader_of(span_of("abc", 3));

    ck_assert_uint_eq(reader_span(&reader, 3).size, 3);
    ck_assert_uint_eq(reader_span(&reader, 0).size, 0);
    ck_assert(reader_done(&reader));
    reader = reader_of(span_of("abc", 3));
    ck_assert_ptr_null(reader_span(&reader, SIZE_MAX).data);
    ck_assert(reader.failed);
    /* Nothing at all is a fine place to read nothing from. */
    reader = reader_of((struct span){ 0 });
    ck_assert_uint_eq(reader_span(&reader, 0).size, 0);
    ck_assert(reader_done(&reader));
}
END_TEST

START_TEST(a_buf_keeps_its_content_while_it_grows)
{
    struct buf buf = { 0 };

    for (uint32_t n = 0; n < 10000; n++) {
        buf_put_u32(&buf, n);
    }
    ck_assert(!buf.failed);
    ck_assert_uint_eq(buf.size, 40000);
    for (uint32_t n = 0; n < 10000; n++) {
        ck_assert_uint_eq(bytes_read_u32(buf.data + 4 * n), n);
    }
    buf_clear(&buf);
    ck_assert_uint_eq(buf.size, 0);
    ck_assert_uint_gt(buf.capacity, 0);
    buf_wipe(&buf);
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.capacity, 0);
}
END_TEST

START_TEST(a_buf_that_failed_takes_nothing_more)
{
    struct buf buf = { 0 };

    buf_put_text(&buf, "whole");
    ck_assert_ptr_null(buf_extend(&buf, SIZE_MAX - 2));
    ck_assert(buf.failed);
    buf_put_text(&buf, "more");
    buf_printf(&buf, "%d", 5);
    ck_assert(span_equal(buf_span(&buf), span_text("whole")));
    buf_clear(&buf);
    buf_put_text(&buf, "again");
    ck_assert(!buf.failed);
    ck_assert(span_equal(buf_span(&buf), span_text("again")));
    buf_free(&buf);
}
END_TEST

START_TEST(an_empty_extension_is_no_failure)
{
    struct buf buf = { 0 };

    ck_assert_ptr_nonnull(buf_extend(&buf, 0));
    ck_assert_uint_eq(buf.size, 0);
    buf_put(&buf, NULL, 0);
    buf_put_span(&buf, (struct span){ 0 });
    ck_assert(!buf.failed);
    buf_free(&buf);
}
END_TEST

START_TEST(formatted_text_is_appended_without_its_nul)
{
    struct buf buf = { 0 };
    char expected[301];

    memset(expected, 'x', 300);
    expected[300] = '\0';
    buf_printf(&buf, "%s=%d", "n", 42);
    buf_printf(&buf, "%s", "");
    buf_printf(&buf, "%s", expected);
    ck_assert_uint_eq(buf.size, 304);
    ck_assert_mem_eq(buf.data, "n=42", 4);
    ck_assert_mem_eq(buf.data + 4, expected, 300);
    buf_free(&buf);
}
END_TEST

START_TEST(spans_are_ordered_by_bytes_and_a_prefix_comes_first)
{
    ck_assert_int_lt(span_compare(span_text("ab"), span_text("abc")), 0);
    ck_assert_int_gt(span_compare(span_text("b"), span_text("abc")), 0);
    ck_assert_int_gt(span_compare(span_text("\xff"), span_text("\x01")), 0);
    ck_assert_int_eq(span_compare(span_text(""), (struct span){ 0 }), 0);
    ck_assert_int_lt(span_compare((struct span){ 0 }, span_text("a")), 0);
    ck_assert(span_equal(span_text(""), (struct span){ 0 }));
    ck_assert(!span_equal(span_text("a"), span_text("b")));
    ck_assert(!span_equal(span_text("a"), span_text("ab")));
}
END_TEST

START_TEST(hex_comes_back_and_only_exact_hex_is_read)
{
    uint8_t bytes[3];
    char text[7];

    ck_assert(bytes_from_hex(bytes, 3, "00aBFf"));
    ck_assert_mem_eq(bytes, "\x00\xab\xff", 3);
    bytes_hex(text, span_of(bytes, 3));
    ck_assert_str_eq(text, "00abff");
    ck_assert(!bytes_from_hex(bytes, 3, "00abf"));
    ck_assert(!bytes_from_hex(bytes, 3, "00ab"));
    ck_assert(!bytes_from_hex(bytes, 3, ""));
    ck_assert(!bytes_from_hex(bytes, 3, "00abff0"));
    ck_assert(!bytes_from_hex(bytes, 3, "00abfg"));
    ck_assert(!bytes_from_hex(bytes, 3, "00ab f"));
    ck_assert(bytes_from_hex(bytes, 0, ""));
    bytes_hex(text, (struct span){ 0 });
    ck_assert_str_eq(text, "");
}
END_TEST

SUITE_MAIN("bytes", integers_come_back_as_they_were_written, a_varint_comes_back_and_is_as_short_as_it_can_be,
           a_varint_that_is_too_long_or_cut_off_is_refused, a_reader_that_failed_gives_nothing_more,
           a_length_beyond_the_end_is_refused, a_buf_keeps_its_content_while_it_grows,
           a_buf_that_failed_takes_nothing_more, an_empty_extension_is_no_failure,
           formatted_text_is_appended_without_its_nul, spans_are_ordered_by_bytes_and_a_prefix_comes_first,
           hex_comes_back_and_only_exact_hex_is_read)
