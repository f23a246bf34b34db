/* What a SOCKS 5 proxy is told, and what its answers mean. */
#include "tests/support/check.h"

#include "sync/socks.h"

#include <stdio.h>
#include <string.h>

static const uint8_t method[] = { 5, 0 };
static const uint8_t granted[] = { 5, 0, 0, 1, 127, 0, 0, 1, 0x1e, 0x14 };

static struct endpoint
place(const char *text)
{
    struct endpoint endpoint;

    ck_assert_int_eq(endpoint_parse(&endpoint, span_text(text), ENDPOINT_DIAL, false), ERR_OK);
    return endpoint;
}

/* Greeted, and about to ask. */
static struct socks
greeted(const char *text)
{
    struct socks socks;
    struct endpoint endpoint = place(text);

    socks_begin(&socks, &endpoint);
    ck_assert_int_eq(socks.state, SOCKS_GREETING);
    ck_assert_uint_eq(socks_take(&socks, span_of(method, sizeof method)), sizeof method);
    ck_assert_int_eq(socks.state, SOCKS_ASKING);
    return socks;
}

static void
check_asked(const char *text, const void *bytes, size_t size)
{
    struct socks socks = greeted(text);

    ck_assert_uint_eq(socks.to_send_size, size);
    ck_assert_mem_eq(socks.to_send, bytes, size);
}

START_TEST(a_name_goes_to_the_proxy_as_a_name_and_a_number_as_a_number)
{
    struct socks socks;
    struct endpoint endpoint = place("tcp://vigil-hq.onion:7700");

    socks_begin(&socks, &endpoint);
    ck_assert_uint_eq(socks.to_send_size, 3);
    ck_assert_mem_eq(socks.to_send, "\5\1\0", 3);
    check_asked("tcp://vigil-hq.onion:7700", "\5\1\0\3\16vigil-hq.onion\x1e\x14", 4 + 1 + 14 + 2);
    check_asked("tcp://localhost:1", "\5\1\0\3\11localhost\0\1", 4 + 1 + 9 + 2);
    check_asked("tcp://192.0.2.7:65535", "\5\1\0\1\300\0\2\7\xff\xff", 4 + 4 + 2);
    check_asked("tcp://[2001:db8::7]:443", "\5\1\0\4\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\1\xbb",
                4 + 16 + 2);
}
END_TEST

START_TEST(the_longest_name_fits)
{
    char text[300] = "tcp://";
    struct socks socks;

    for (size_t n = 0; n < 253; n++) {
        text[6 + n] = n % 2 == 0 ? 'a' : '.';
    }
    (void)snprintf(text + 6 + 253, sizeof text - 6 - 253, ":7700");
    socks = greeted(text);
    ck_assert_uint_eq(socks.to_send_size, 4 + 1 + 253 + 2);
    ck_assert_uint_eq(socks.to_send[4], 253);
}
END_TEST

/* In whatever pieces it comes, and whatever kind of address is in it: the bytes behind it are not the proxy's. */
START_TEST(a_grant_ends_where_the_bytes_of_the_peer_begin)
{
    static const struct {
        const char *bytes;
        size_t size;
    } grants[] = {
        { "\5\0\0\1\0\0\0\0\0\0", 10 },
        { "\5\0\0\4aaaaaaaaaaaaaaaa\0\1", 22 },
        { "\5\0\0\3\11localhost\0\1", 16 },
        { "\5\0\0\3\0\0\1", 7 },
    };

    for (size_t n = 0; n < sizeof grants / sizeof grants[0]; n++) {
        uint8_t stream[64];
        size_t size = grants[n].size;

        memcpy(stream, grants[n].bytes, size);
        memcpy(stream + size, "\xff peer", 6);
        for (size_t first = 0; first <= size; first++) {
            struct socks socks = greeted("tcp://hq.example.org:7700");

            ck_assert_uint_eq(socks_take(&socks, span_of(stream, first)), first);
            ck_assert_int_eq(socks.state, first == size ? SOCKS_DONE : SOCKS_ASKING);
            ck_assert_uint_eq(socks_take(&socks, span_of(stream + first, size + 6 - first)), size - first);
            ck_assert_int_eq(socks.state, SOCKS_DONE);
        }
        struct socks socks = greeted("tcp://hq.example.org:7700");
        for (size_t at = 0; at < size; at++) {
            ck_assert_int_eq(socks.state, SOCKS_ASKING);
            ck_assert_uint_eq(socks_take(&socks, span_of(stream + at, 1)), 1);
        }
        ck_assert_int_eq(socks.state, SOCKS_DONE);
    }
}
END_TEST

START_TEST(each_refusal_has_its_own_reason)
{
    static const enum link_reason reasons[] = {
        LINK_PROXY_FAILED,         LINK_PROXY_FORBIDS, LINK_PROXY_NO_NETWORK, LINK_PROXY_NO_HOST,
        LINK_PROXY_NOBODY_LISTENS, LINK_PROXY_EXPIRED, LINK_PROXY_NO_COMMAND, LINK_PROXY_NO_ADDRESS,
    };

    for (unsigned reply = 1; reply <= 255; reply++) {
        struct socks socks = greeted("tcp://hq.example.org:7700");
        const uint8_t bytes[] = { 5, (uint8_t)reply, 0, 1, 0, 0, 0, 0, 0, 0 };

        /* Two bytes are enough: some hang up after them. */
        ck_assert_uint_eq(socks_take(&socks, span_of(bytes, sizeof bytes)), 2);
        ck_assert_int_eq(socks.state, SOCKS_FAILED);
        ck_assert_int_eq(socks.reason, reply <= 8 ? reasons[reply - 1] : LINK_PROXY_OTHER);
        ck_assert_uint_eq(socks.to_send_size, 0);
        ck_assert_uint_eq(socks_take(&socks, span_of(granted, sizeof granted)), 0);
        ck_assert_int_eq(socks.state, SOCKS_FAILED);
    }
}
END_TEST

START_TEST(a_proxy_that_wants_a_login_is_told_from_what_is_no_proxy)
{
    static const struct {
        const char *bytes;
        size_t size;
        enum link_reason reason;
    } answers[] = {
        { "\5\xff", 2, LINK_PROXY_LOGIN },           { "\5\2", 2, LINK_PROXY_NOT_SOCKS },
        { "\4\0", 2, LINK_PROXY_NOT_SOCKS },         { "\0\x5b", 2, LINK_PROXY_NOT_SOCKS },
        { "HTTP/1.1", 8, LINK_PROXY_NOT_SOCKS },     { "\5\0\4\0\0\1", 6, LINK_PROXY_NOT_SOCKS },
        { "\5\0\5\0\0\2", 6, LINK_PROXY_NOT_SOCKS }, { "\5\0\5\0\0\0", 6, LINK_PROXY_NOT_SOCKS },
    };

    for (size_t n = 0; n < sizeof answers / sizeof answers[0]; n++) {
        struct socks socks;
        struct endpoint endpoint = place("tcp://hq.example.org:7700");

        socks_begin(&socks, &endpoint);
        (void)socks_take(&socks, span_of(answers[n].bytes, answers[n].size));
        ck_assert_int_eq(socks.state, SOCKS_FAILED);
        ck_assert_int_eq(socks.reason, answers[n].reason);
    }
}
END_TEST

SUITE_MAIN("socks", a_name_goes_to_the_proxy_as_a_name_and_a_number_as_a_number, the_longest_name_fits,
           a_grant_ends_where_the_bytes_of_the_peer_begin, each_refusal_has_its_own_reason,
           a_proxy_that_wants_a_login_is_told_from_what_is_no_proxy)
