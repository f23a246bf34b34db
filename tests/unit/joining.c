#include "store/base/cbor.h"
#include "sync/joining.h"
#include "tests/support/check.h"
#include "tests/support/org.h"

#include <stdio.h>
#include <string.h>

static struct test_world world;
static struct key_pair sign;
static struct key_pair box;
static struct key_pair transport;
static struct request request;
static struct buf file;

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    test_world_init(&world, 5);
    crypto_sign_pair(&sign, &world.world);
    crypto_box_pair(&box, &world.world);
    crypto_box_pair(&transport, &world.world);
    request = (struct request){ .name = "ken-1", .endpoint = "tcp://192.0.2.1:7777", .incarnation = { 1 } };
    memcpy(request.sign_pk, sign.public_key, 32);
    memcpy(request.box_pk, box.public_key, 32);
    memcpy(request.transport_pk, transport.public_key, 32);
    file = (struct buf){ 0 };
}

static void
teardown(void)
{
    buf_free(&file);
}

START_TEST(armour_comes_back_and_has_short_lines)
{
    struct buf back = { 0 };
    uint8_t bytes[300];

    for (size_t size = 1; size <= sizeof bytes; size++) {
        memset(bytes, (int)size, size);
        buf_clear(&file);
        buf_clear(&back);
        armour_write(&file, "VIGIL TEST 1", span_of(bytes, size));
        ck_assert(armour_read(buf_span(&file), "VIGIL TEST 1", &back));
        ck_assert(span_equal(buf_span(&back), span_of(bytes, size)));
        ck_assert(!armour_read(buf_span(&file), "VIGIL TEST 2", &back));
        size_t line = 0;
        for (size_t n = 0; n < file.size; n++) {
            line = file.data[n] == '\n' ? 0 : line + 1;
            ck_assert_uint_le(line, 76);
        }
        ck_assert_uint_eq(line, 0);
    }
    buf_free(&back);
}
END_TEST

START_TEST(armour_survives_mail_and_no_change_of_a_letter)
{
    struct buf mailed = { 0 };
    struct buf back = { 0 };
    uint8_t bytes[100] = { 5 };

    armour_write(&file, "VIGIL TEST 1", span_of(bytes, sizeof bytes));
    for (size_t n = 0; n + 1 < file.size; n++) {
        if (file.data[n] == '\n') {
            buf_put_u8(&mailed, '\r');
        }
        buf_put_u8(&mailed, file.data[n]);
    }
    ck_assert(armour_read(buf_span(&mailed), "VIGIL TEST 1", &back));
    ck_assert(span_equal(buf_span(&back), span_of(bytes, sizeof bytes)));
    static const char bad[] = " -_=.\x80";
    for (size_t n = 0; n < sizeof bad - 1; n++) {
        uint8_t was = file.data[20];
        file.data[20] = (uint8_t)bad[n];
        buf_clear(&back);
        ck_assert(!armour_read(buf_span(&file), "VIGIL TEST 1", &back));
        ck_assert_uint_eq(back.size, 0);
        file.data[20] = was;
    }
    buf_free(&mailed);
    buf_free(&back);
}
END_TEST

START_TEST(a_request_comes_back)
{
    struct request back;
    struct joining_fault fault;

    request_write(&file, &request, &sign);
    ck_assert_int_eq(request_read(buf_span(&file), &back, &fault), ERR_OK);
    ck_assert_mem_eq(&back, &request, sizeof back);
    ck_assert(statement_possession_valid(back.possession, back.sign_pk, back.box_pk, back.transport_pk));
}
END_TEST

/* Every bit of what the base64 holds: none may be turned without notice. */
START_TEST(a_request_with_a_turned_bit_is_refused_with_a_reason)
{
    struct buf bytes = { 0 };
    struct buf again = { 0 };

    request_write(&file, &request, &sign);
    ck_assert(armour_read(buf_span(&file), "VIGIL REQUEST 1", &bytes));
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        struct request back;
        struct joining_fault fault = { NULL, NULL, NULL };
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        buf_clear(&again);
        armour_write(&again, "VIGIL REQUEST 1", buf_span(&bytes));
        ck_assert_int_eq(request_read(buf_span(&again), &back, &fault), ERR_INVALID);
        ck_assert_ptr_nonnull(fault.what);
        ck_assert_ptr_nonnull(fault.why);
        ck_assert_ptr_nonnull(fault.todo);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_free(&bytes);
    buf_free(&again);
}
END_TEST

START_TEST(another_kind_of_file_and_a_newer_one_are_told_apart)
{
    struct request back;
    struct joining_fault fault;

    armour_write(&file, "VIGIL WELCOME 1", span_text("hello"));
    ck_assert_int_eq(request_read(buf_span(&file), &back, &fault), ERR_INVALID);
    ck_assert_str_eq(fault.what, "this is another kind of file");
    buf_clear(&file);
    armour_write(&file, "VIGIL REQUEST 2", span_text("hello"));
    ck_assert_int_eq(request_read(buf_span(&file), &back, &fault), ERR_NEWER);
    buf_clear(&file);
    ck_assert_int_eq(request_read(buf_span(&file), &back, NULL), ERR_INVALID);
    buf_put_text(&file, "VIGIL REQUEST 1\n????\n");
    ck_assert_int_eq(request_read(buf_span(&file), &back, &fault), ERR_INVALID);
    ck_assert_str_eq(fault.what, "the file is damaged");
}
END_TEST

START_TEST(c12_a_name_in_a_request_cannot_steer_a_terminal)
{
    struct request back;

    (void)snprintf(request.name, sizeof request.name, "a\x1b[2Jb");
    request_write(&file, &request, &sign);
    ck_assert_int_eq(request_read(buf_span(&file), &back, NULL), ERR_INVALID);
    request.name[0] = '\0';
    buf_clear(&file);
    request_write(&file, &request, &sign);
    ck_assert_int_eq(request_read(buf_span(&file), &back, NULL), ERR_INVALID);
}
END_TEST

static void
put_two(struct buf *array)
{
    cbor_put_array(array, 2);
    cbor_put_bytes(array, span_text("one"));
    cbor_put_bytes(array, span_text("two"));
}

static void
join(void *self, struct span statement)
{
    buf_put_span(self, statement);
}

START_TEST(a_welcome_opens_for_its_device_alone)
{
    struct welcome welcome = { .control_key = { { 7 } }, .certificate = { { 8 } }, .org = { { 9 } } };
    struct welcome back;
    struct joining_fault fault;
    struct buf joined = { 0 };

    put_two(&welcome.statements);
    ck_assert_int_eq(welcome_write(&file, &welcome, box.public_key, &world.world), ERR_OK);
    ck_assert_int_eq(welcome_read(buf_span(&file), &box, &back, &fault), ERR_OK);
    ck_assert_mem_eq(&back.control_key, &welcome.control_key, KEY_BYTES);
    ck_assert(hash_equal(&back.certificate, &welcome.certificate));
    ck_assert(hash_equal(&back.org, &welcome.org));
    ck_assert(joining_each(buf_span(&back.statements), join, &joined));
    ck_assert(span_equal(buf_span(&joined), span_text("onetwo")));
    welcome_free(&back);
    ck_assert_int_eq(welcome_read(buf_span(&file), &transport, &back, &fault), ERR_LOCKED);
    ck_assert_str_eq(fault.what, "the welcome does not open");
    buf_free(&joined);
    buf_free(&welcome.statements);
}
END_TEST

START_TEST(news_open_for_the_organisation_alone)
{
    struct key control = { { 1 } };
    struct key stranger = { { 2 } };
    struct buf array = { 0 };
    struct buf back = { 0 };
    struct joining_fault fault;

    put_two(&array);
    ck_assert_int_eq(statements_write(&file, buf_span(&array), &control, &world.world), ERR_OK);
    ck_assert_int_eq(statements_read(buf_span(&file), &control, &back, &fault), ERR_OK);
    ck_assert(span_equal(buf_span(&back), buf_span(&array)));
    ck_assert_int_eq(statements_read(buf_span(&file), &stranger, &back, &fault), ERR_LOCKED);
    ck_assert_uint_eq(back.size, 0);
    buf_free(&array);
    buf_free(&back);
}
END_TEST

START_TEST(a_walk_hands_out_nothing_of_an_array_that_is_not_whole)
{
    struct buf array = { 0 };
    struct buf joined = { 0 };

    cbor_put_array(&array, 2);
    cbor_put_bytes(&array, span_text("one"));
    cbor_put_uint(&array, 2);
    ck_assert(!joining_each(buf_span(&array), join, &joined));
    ck_assert_uint_eq(joined.size, 0);
    ck_assert(!joining_each((struct span){ 0 }, join, &joined));
    buf_free(&array);
    buf_free(&joined);
}
END_TEST

SUITE_MAIN_WITH("joining", setup, teardown, armour_comes_back_and_has_short_lines,
                armour_survives_mail_and_no_change_of_a_letter, a_request_comes_back,
                a_request_with_a_turned_bit_is_refused_with_a_reason,
                another_kind_of_file_and_a_newer_one_are_told_apart,
                c12_a_name_in_a_request_cannot_steer_a_terminal, a_welcome_opens_for_its_device_alone,
                news_open_for_the_organisation_alone, a_walk_hands_out_nothing_of_an_array_that_is_not_whole)
