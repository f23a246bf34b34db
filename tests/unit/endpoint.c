#include "tests/support/check.h"

#include "sync/endpoint.h"

#include <string.h>

static enum err
parse(struct endpoint *out, const char *text, enum endpoint_use use)
{
    return endpoint_parse(out, span_text(text), use, false);
}

START_TEST(addresses_and_names_with_a_port_can_be_dialled)
{
    struct endpoint endpoint;

    ck_assert_int_eq(parse(&endpoint, "tcp://192.0.2.7:7741", ENDPOINT_DIAL), ERR_OK);
    ck_assert_str_eq(endpoint.host, "192.0.2.7");
    ck_assert_uint_eq(endpoint.port, 7741);
    ck_assert(endpoint.numeric);
    ck_assert_int_eq(parse(&endpoint, "tcp://[2001:db8::7]:65535", ENDPOINT_DIAL), ERR_OK);
    ck_assert_str_eq(endpoint.host, "2001:db8::7");
    ck_assert(endpoint.numeric);
    ck_assert_int_eq(parse(&endpoint, "tcp://node-7.example.org:1", ENDPOINT_DIAL), ERR_OK);
    ck_assert_str_eq(endpoint.text, "tcp://node-7.example.org:1");
    ck_assert_str_eq(endpoint.host, "node-7.example.org");
    ck_assert(!endpoint.numeric);
}
END_TEST

START_TEST(every_address_and_any_port_are_for_listening_only)
{
    struct endpoint endpoint;

    ck_assert_int_eq(parse(&endpoint, "tcp://*:7741", ENDPOINT_BIND), ERR_OK);
    ck_assert_int_eq(parse(&endpoint, "tcp://127.0.0.1:*", ENDPOINT_BIND), ERR_OK);
    ck_assert_uint_eq(endpoint.port, 0);
    ck_assert_int_eq(parse(&endpoint, "tcp://*:7741", ENDPOINT_DIAL), ERR_INVALID);
    ck_assert_int_eq(parse(&endpoint, "tcp://127.0.0.1:*", ENDPOINT_DIAL), ERR_INVALID);
}
END_TEST

/* libzmq would take most of these. */
START_TEST(nothing_else_is_an_endpoint)
{
    static const char *const wrong[] = {
        "",
        "tcp://",
        "tcp://:7741",
        "tcp://192.0.2.7",
        "tcp://192.0.2.7:",
        "tcp://192.0.2.7:0",
        "tcp://192.0.2.7:07741",
        "tcp://192.0.2.7:65536",
        "tcp://192.0.2.7:77410000000000000000001",
        "tcp://192.0.2.7:7741/",
        "tcp://192.0.2.7:7741 ",
        " tcp://192.0.2.7:7741",
        "TCP://192.0.2.7:7741",
        "tcp://eth0;192.0.2.7:7741",
        "tcp://192.0.2.1:0;192.0.2.7:7741",
        "tcp://300.0.2.7:7741",
        "tcp://1:7741",
        "tcp://2001:db8::7:7741",
        "tcp://[192.0.2.7]:7741",
        "tcp://[fe80::1%eth0]:7741",
        "tcp://[node.example.org]:7741",
        "tcp://-node.example.org:7741",
        "tcp://node-.example.org:7741",
        "tcp://node..example.org:7741",
        "tcp://node.example.org.:7741",
        "tcp://user@node.example.org:7741",
        "inproc://vigil",
        "ipc:///tmp/vigil",
        "pgm://eth0;239.192.1.1:7741",
        "epgm://eth0;239.192.1.1:7741",
        "norm://127.0.0.1:7741",
        "udp://127.0.0.1:7741",
        "ws://127.0.0.1:7741",
        "tipc://{1,0,0}",
        "vmci://2:7741",
    };
    struct endpoint endpoint;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(parse(&endpoint, wrong[i], ENDPOINT_DIAL) == ERR_INVALID, "dialled: %s", wrong[i]);
        ck_assert_msg(parse(&endpoint, wrong[i], ENDPOINT_BIND) == ERR_INVALID, "listened: %s", wrong[i]);
    }
}
END_TEST

START_TEST(a_name_is_as_long_as_a_host_name_may_be)
{
    char text[400] = "tcp://";
    struct endpoint endpoint;

    memset(text + 6, 'a', 63);
    strcpy(text + 6 + 63, ".b:1");
    ck_assert_int_eq(parse(&endpoint, text, ENDPOINT_DIAL), ERR_OK);
    memset(text + 6, 'a', 64);
    strcpy(text + 6 + 64, ".b:1");
    ck_assert_int_eq(parse(&endpoint, text, ENDPOINT_DIAL), ERR_INVALID);
    for (size_t i = 0; i < 380; i++) {
        text[6 + i] = i % 2 == 0 ? 'a' : '.';
    }
    strcpy(text + 6 + 253, ":1");
    ck_assert_int_eq(parse(&endpoint, text, ENDPOINT_DIAL), ERR_OK);
    for (size_t i = 0; i < 380; i++) {
        text[6 + i] = i % 2 == 0 ? 'a' : '.';
    }
    strcpy(text + 6 + 255, ":1");
    ck_assert_int_eq(parse(&endpoint, text, ENDPOINT_DIAL), ERR_INVALID);
}
END_TEST

START_TEST(a_unix_socket_is_an_endpoint_in_tests_only)
{
    struct endpoint endpoint;
    struct span text = span_text("ipc:///tmp/vigil-test");

    ck_assert_int_eq(endpoint_parse(&endpoint, text, ENDPOINT_DIAL, false), ERR_INVALID);
    ck_assert_int_eq(endpoint_parse(&endpoint, text, ENDPOINT_DIAL, true), ERR_OK);
    ck_assert(endpoint.ipc);
    ck_assert_int_eq(endpoint_parse(&endpoint, span_text("ipc://relative"), ENDPOINT_BIND, true),
                     ERR_INVALID);
    ck_assert_int_eq(endpoint_parse(&endpoint, span_text("ipc://@abstract"), ENDPOINT_BIND, true),
                     ERR_INVALID);
    ck_assert_int_eq(endpoint_parse(&endpoint, span_text("ipc://*"), ENDPOINT_BIND, true), ERR_INVALID);
    ck_assert_int_eq(endpoint_parse(&endpoint, span_of("tcp://a\0b:1", 11), ENDPOINT_DIAL, true),
                     ERR_INVALID);
}
END_TEST

START_TEST(a_proxy_is_an_address_or_a_name_with_a_port_and_no_login)
{
    static const char *const wrong[] = { "socks5://127.0.0.1",
                                         "socks5://:9050",
                                         "socks5://*:9050",
                                         "socks5://127.0.0.1:0",
                                         "socks5://127.0.0.1:*",
                                         "socks5://user:secret@127.0.0.1:9050",
                                         "socks5h://127.0.0.1:9050",
                                         "socks4://127.0.0.1:9050",
                                         "SOCKS5://127.0.0.1:9050",
                                         "tcp://127.0.0.1:9050",
                                         "127.0.0.1:9050",
                                         "socks5://127.0.0.1:9050/",
                                         "None",
                                         "" };
    struct endpoint endpoint;

    ck_assert_int_eq(endpoint_parse_proxy(&endpoint, span_text("socks5://127.0.0.1:9050")), ERR_OK);
    ck_assert_str_eq(endpoint.host, "127.0.0.1");
    ck_assert_uint_eq(endpoint.port, 9050);
    ck_assert(endpoint.numeric);
    ck_assert_str_eq(endpoint.text, "socks5://127.0.0.1:9050");
    ck_assert_int_eq(endpoint_parse_proxy(&endpoint, span_text("socks5://[::1]:1080")), ERR_OK);
    ck_assert_str_eq(endpoint.host, "::1");
    ck_assert_int_eq(endpoint_parse_proxy(&endpoint, span_text("socks5://localhost:9150")), ERR_OK);
    ck_assert(!endpoint.numeric);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(endpoint_parse_proxy(&endpoint, span_text(wrong[i])) == ERR_INVALID, "taken: %s",
                      wrong[i]);
        ck_assert(!endpoint_proxy_valid(wrong[i]));
    }
    ck_assert(endpoint_proxy_valid("none"));
    ck_assert(endpoint_proxy_valid("socks5://localhost:9150"));
    ck_assert_int_eq(endpoint_parse_proxy(&endpoint, span_text("none")), ERR_INVALID);
}
END_TEST

START_TEST(an_onion_service_is_known_by_its_name)
{
    struct endpoint endpoint;

    ck_assert_int_eq(parse(&endpoint, "tcp://vigil-hq.onion:7700", ENDPOINT_DIAL), ERR_OK);
    ck_assert(endpoint_is_onion(&endpoint));
    ck_assert_int_eq(parse(&endpoint, "tcp://a.vigil-hq.OniOn:7700", ENDPOINT_DIAL), ERR_OK);
    ck_assert(endpoint_is_onion(&endpoint));
    ck_assert_int_eq(parse(&endpoint, "tcp://onion:7700", ENDPOINT_DIAL), ERR_OK);
    ck_assert(!endpoint_is_onion(&endpoint));
    ck_assert_int_eq(parse(&endpoint, "tcp://vigil.onion.example.org:7700", ENDPOINT_DIAL), ERR_OK);
    ck_assert(!endpoint_is_onion(&endpoint));
}
END_TEST

SUITE_MAIN("endpoint", addresses_and_names_with_a_port_can_be_dialled,
           every_address_and_any_port_are_for_listening_only, nothing_else_is_an_endpoint,
           a_name_is_as_long_as_a_host_name_may_be, a_unix_socket_is_an_endpoint_in_tests_only,
           a_proxy_is_an_address_or_a_name_with_a_port_and_no_login, an_onion_service_is_known_by_its_name)
