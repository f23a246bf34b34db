#include "tests/support/check.h"

#include "sync/zap.h"

#include <string.h>

enum { GUESTS = 100 };

static struct zap_guest guests[GUESTS];
static struct zap_list list;
static struct key mac_key;

static void
invite(void)
{
    memset(&mac_key, 7, sizeof mac_key);
    for (size_t i = 0; i < GUESTS; i++) {
        memset(guests[i].curve_pk, (int)(i * 37 % 251), CURVE_PK_BYTES);
        memset(guests[i].device_id.bytes, (int)(i * 53 % 241), HASH_BYTES);
        guests[i].curve_pk[31] = (uint8_t)i;
        guests[i].device_id.bytes[31] = (uint8_t)i;
    }
    ck_assert_int_eq(zap_list_set(&list, guests, GUESTS), ERR_OK);
}

static void
dismiss(void)
{
    zap_list_free(&list);
}

static enum zap_verdict
ask(struct zap_answer *answer, const uint8_t *curve_pk, const char *domain, const char *mechanism)
{
    struct span frames[ZAP_FRAMES] = { span_text("1.0"),
                                       span_text("77"),
                                       span_text(domain),
                                       span_text("192.0.2.7"),
                                       span_text("x"),
                                       span_text(mechanism),
                                       span_of(curve_pk, CURVE_PK_BYTES) };

    return zap_decide(answer, &list, &mac_key, frames, ZAP_FRAMES);
}

START_TEST(every_key_on_the_list_comes_in_as_its_own_device)
{
    struct zap_answer answer;
    struct hash device_id;

    for (size_t i = 0; i < GUESTS; i++) {
        ck_assert_int_eq(ask(&answer, guests[i].curve_pk, ZAP_DOMAIN, "CURVE"), ZAP_ADMITTED);
        ck_assert_str_eq(answer.status, "200");
        ck_assert(span_equal(answer.request_id, span_text("77")));
        ck_assert(zap_user_id_verify(&device_id, &list, &mac_key, answer.user_id));
        ck_assert(hash_equal(&device_id, &guests[i].device_id));
    }
}
END_TEST

START_TEST(a_key_that_is_not_on_the_list_gets_no_identity)
{
    struct zap_answer answer;
    uint8_t stranger[CURVE_PK_BYTES];

    memcpy(stranger, guests[5].curve_pk, sizeof stranger);
    stranger[0] ^= 1;
    ck_assert_int_eq(ask(&answer, stranger, ZAP_DOMAIN, "CURVE"), ZAP_STRANGER);
    ck_assert_str_eq(answer.status, "400");
    ck_assert_str_eq(answer.user_id, "");
}
END_TEST

START_TEST(n2_until_a_list_is_sent_nobody_comes_in)
{
    struct zap_answer answer;

    zap_list_free(&list);
    ck_assert_int_eq(ask(&answer, guests[0].curve_pk, ZAP_DOMAIN, "CURVE"), ZAP_STRANGER);
    ck_assert_int_eq(zap_list_set(&list, NULL, 0), ERR_OK);
    ck_assert_int_eq(ask(&answer, guests[0].curve_pk, ZAP_DOMAIN, "CURVE"), ZAP_STRANGER);
}
END_TEST

START_TEST(n3_another_mechanism_domain_version_or_shape_is_refused)
{
    struct zap_answer answer;
    struct span frames[ZAP_FRAMES + 1] = { span_text("1.0"),
                                           span_text("77"),
                                           span_text(ZAP_DOMAIN),
                                           span_text("a"),
                                           span_text("x"),
                                           span_text("CURVE"),
                                           span_of(guests[0].curve_pk, CURVE_PK_BYTES) };
    static uint8_t long_id[ZAP_REQUEST_ID_BYTES + 1];

    ck_assert_int_eq(ask(&answer, guests[0].curve_pk, "other", "CURVE"), ZAP_MALFORMED);
    ck_assert_int_eq(ask(&answer, guests[0].curve_pk, "", "CURVE"), ZAP_MALFORMED);
    ck_assert_int_eq(ask(&answer, guests[0].curve_pk, ZAP_DOMAIN, "NULL"), ZAP_MALFORMED);
    ck_assert_int_eq(ask(&answer, guests[0].curve_pk, ZAP_DOMAIN, "PLAIN"), ZAP_MALFORMED);
    ck_assert_int_eq(zap_decide(&answer, &list, &mac_key, frames, ZAP_FRAMES), ZAP_ADMITTED);
    for (size_t count = 0; count <= ZAP_FRAMES + 1; count++) {
        bool admitted = zap_decide(&answer, &list, &mac_key, frames, count) == ZAP_ADMITTED;
        ck_assert_int_eq(admitted, count == ZAP_FRAMES);
        ck_assert_str_eq(answer.status, admitted ? "200" : "400");
    }
    frames[6].size = CURVE_PK_BYTES - 1;
    ck_assert_int_eq(zap_decide(&answer, &list, &mac_key, frames, ZAP_FRAMES), ZAP_MALFORMED);
    frames[6].size = CURVE_PK_BYTES;
    frames[0] = span_text("2.0");
    ck_assert_int_eq(zap_decide(&answer, &list, &mac_key, frames, ZAP_FRAMES), ZAP_MALFORMED);
    frames[0] = span_text("1.0");
    frames[1] = span_of(long_id, sizeof long_id);
    ck_assert_int_eq(zap_decide(&answer, &list, &mac_key, frames, ZAP_FRAMES), ZAP_MALFORMED);
}
END_TEST

START_TEST(n4_an_identity_that_we_did_not_give_is_never_believed)
{
    struct zap_answer answer;
    struct hash device_id;
    char forged[ZAP_USER_ID_BYTES];

    ck_assert_int_eq(ask(&answer, guests[3].curve_pk, ZAP_DOMAIN, "CURVE"), ZAP_ADMITTED);
    ck_assert(!zap_user_id_verify(&device_id, &list, &mac_key, NULL));
    ck_assert(!zap_user_id_verify(&device_id, &list, &mac_key, ""));
    /* Every single digit counts. */
    for (size_t i = 0; i + 1 < ZAP_USER_ID_BYTES; i++) {
        memcpy(forged, answer.user_id, sizeof forged);
        forged[i] = forged[i] == '0' ? '1' : '0';
        ck_assert(!zap_user_id_verify(&device_id, &list, &mac_key, forged));
    }
    /* The device alone, the MAC of one with the name of another, one digit more. */
    memcpy(forged, answer.user_id, sizeof forged);
    forged[2 * HASH_BYTES] = '\0';
    ck_assert(!zap_user_id_verify(&device_id, &list, &mac_key, forged));
    memcpy(forged, answer.user_id, sizeof forged);
    bytes_hex(forged, hash_span(&guests[4].device_id));
    forged[2 * HASH_BYTES] = answer.user_id[2 * HASH_BYTES];
    ck_assert(!zap_user_id_verify(&device_id, &list, &mac_key, forged));
    /* A MAC of another run. */
    struct key other = mac_key;
    other.bytes[0] ^= 1;
    ck_assert(!zap_user_id_verify(&device_id, &list, &other, answer.user_id));
    ck_assert(zap_user_id_verify(&device_id, &list, &mac_key, answer.user_id));
}
END_TEST

START_TEST(who_left_the_list_or_changed_its_key_loses_its_identity)
{
    struct zap_answer answer;
    struct hash device_id;

    ck_assert_int_eq(ask(&answer, guests[0].curve_pk, ZAP_DOMAIN, "CURVE"), ZAP_ADMITTED);
    ck_assert_int_eq(zap_list_set(&list, guests + 1, GUESTS - 1), ERR_OK);
    ck_assert(!zap_user_id_verify(&device_id, &list, &mac_key, answer.user_id));
    ck_assert(!zap_list_has(&list, &guests[0].device_id, NULL));
    /* The device is back with a second key: the first one is still not good, then both are. */
    struct zap_guest moved[2] = { guests[0], guests[0] };
    moved[0].curve_pk[7] ^= 1;
    ck_assert_int_eq(zap_list_set(&list, moved, 1), ERR_OK);
    ck_assert(zap_list_has(&list, &guests[0].device_id, NULL));
    ck_assert(!zap_list_has(&list, &guests[0].device_id, guests[0].curve_pk));
    ck_assert(!zap_user_id_verify(&device_id, &list, &mac_key, answer.user_id));
    ck_assert_int_eq(zap_list_set(&list, moved, 2), ERR_OK);
    ck_assert(zap_user_id_verify(&device_id, &list, &mac_key, answer.user_id));
}
END_TEST

START_TEST(one_key_for_two_devices_is_refused_and_the_list_stays)
{
    struct zap_guest two[2] = { guests[0], guests[1] };

    memcpy(two[1].curve_pk, two[0].curve_pk, CURVE_PK_BYTES);
    ck_assert_int_eq(zap_list_set(&list, two, 2), ERR_INVALID);
    ck_assert_uint_eq(list.count, GUESTS);
    two[1] = two[0];
    ck_assert_int_eq(zap_list_set(&list, two, 2), ERR_OK);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_int_eq(zap_list_set(&list, guests, ZAP_LIST_MAX + 1), ERR_INVALID);
}
END_TEST

SUITE_MAIN_WITH("zap", invite, dismiss, every_key_on_the_list_comes_in_as_its_own_device,
                a_key_that_is_not_on_the_list_gets_no_identity, n2_until_a_list_is_sent_nobody_comes_in,
                n3_another_mechanism_domain_version_or_shape_is_refused,
                n4_an_identity_that_we_did_not_give_is_never_believed,
                who_left_the_list_or_changed_its_key_loses_its_identity,
                one_key_for_two_devices_is_refused_and_the_list_stays)
