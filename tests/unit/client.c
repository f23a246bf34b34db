#include "tests/support/check.h"
#include "tests/support/fake_api.h"

#include "node/client.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Long enough for any machine; nothing waits so long unless it fails. */
enum { WAIT_MS = 240000 };

#define STEPS(...)                                                                                           \
    (const struct fake_step[]){ __VA_ARGS__ },                                                               \
        sizeof((const struct fake_step[]){ __VA_ARGS__ }) / sizeof(struct fake_step)

static struct fake_api api;
static struct client *client;
static struct client_fault fault;

static void
connect_to(const struct fake_step *steps, size_t count)
{
    fake_api_start(&api, steps, count);
    ck_assert_int_eq(client_open(&client, api.dir, &fault), ERR_OK);
}

static json_t *
request(const char *what)
{
    return json_pack("{s:s}", "do", what);
}

START_TEST(an_answer_comes_back_to_its_request)
{
    json_t *ok = NULL;

    connect_to(STEPS({ "{\"do\":\"status\"}", "{\"id\":$ID,\"ok\":{\"records\":7}}" },
                     { "{\"do\":\"digest\"}", "{\"id\":$ID,\"ok\":{\"records\":8}}" }));
    ck_assert_int_eq(client_call(client, request("status"), WAIT_MS, &ok, &fault), ERR_OK);
    ck_assert_int_eq(json_integer_value(json_object_get(ok, "records")), 7);
    json_decref(ok);
    ck_assert_int_eq(client_call(client, request("digest"), WAIT_MS, &ok, &fault), ERR_OK);
    ck_assert_int_eq(json_integer_value(json_object_get(ok, "records")), 8);
    json_decref(ok);
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), 2);
}
END_TEST

START_TEST(a_refusal_comes_back_in_the_words_of_the_node)
{
    json_t *ok = NULL;

    connect_to(
        STEPS({ NULL, "{\"id\":$ID,\"error\":{\"code\":\"absent\",\"message\":\"no such record\",\"hint\":"
                      "\"look again\"}}" },
              { NULL, "{\"id\":$ID,\"error\":{\"code\":\"unknown\",\"message\":\"no such call\"}}" },
              { NULL, "{\"id\":$ID,\"error\":{\"code\":\"of-2031\",\"message\":\"later\"}}" }));
    ck_assert_int_eq(client_call(client, request("a"), WAIT_MS, &ok, &fault), ERR_ABSENT);
    ck_assert_str_eq(fault.code, "absent");
    ck_assert_str_eq(fault.message, "no such record");
    ck_assert_str_eq(fault.hint, "look again");
    ck_assert_int_eq(client_call(client, request("b"), WAIT_MS, &ok, &fault), ERR_INVALID);
    ck_assert_str_eq(fault.code, "unknown");
    ck_assert_str_eq(fault.hint, "");
    ck_assert_int_eq(client_call(client, request("c"), WAIT_MS, &ok, &fault), ERR_INVALID);
    ck_assert_str_eq(fault.code, "of-2031");
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), 3);
}
END_TEST

START_TEST(many_requests_may_be_on_their_way_at_once)
{
    enum { COUNT = 64, TEXT = 8000 };
    static char text[TEXT + 1];
    struct client_answer answer;
    int64_t id = 0;

    memset(text, 'x', TEXT);
    connect_to(STEPS({ "{\"do\":\"save\"}", "{\"id\":$ID,\"ok\":{}}" }));
    for (int64_t n = 1; n <= COUNT; n++) {
        json_t *save = json_pack("{s:s, s:s}", "do", "save", "text", text);
        ck_assert_int_eq(client_send(client, save, WAIT_MS, &id, &fault), ERR_OK);
        ck_assert_int_eq(id, n);
    }
    for (int64_t n = 1; n <= COUNT; n++) {
        ck_assert_int_eq(client_receive(client, WAIT_MS, &answer, &fault), ERR_OK);
        ck_assert_int_eq(answer.id, n);
        ck_assert_ptr_nonnull(answer.ok);
        client_answer_free(&answer);
    }
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), COUNT);
}
END_TEST

/* The node fills its side of the socket with answers while we still send: neither may wait for the other. */
START_TEST(answers_that_nobody_reads_yet_do_not_stop_the_sending)
{
    enum { COUNT = 40, TEXT = 60000 };
    static char line[TEXT + 64];
    struct client_answer answer;
    int64_t id = 0;

    (void)snprintf(line, sizeof line, "{\"id\":$ID,\"ok\":{\"text\":\"");
    size_t at = strlen(line);
    memset(line + at, 'y', TEXT);
    (void)snprintf(line + at + TEXT, sizeof line - at - TEXT, "\"}}");
    connect_to(STEPS({ NULL, line }));
    for (int n = 0; n < COUNT; n++) {
        json_t *save = json_pack("{s:s%}", "text", line + at, (size_t)TEXT);
        ck_assert_int_eq(client_send(client, save, WAIT_MS, &id, &fault), ERR_OK);
    }
    for (int64_t n = 1; n <= COUNT; n++) {
        ck_assert_int_eq(client_receive(client, WAIT_MS, &answer, &fault), ERR_OK);
        ck_assert_int_eq(answer.id, n);
        ck_assert_uint_eq(json_string_length(json_object_get(answer.ok, "text")), TEXT);
        client_answer_free(&answer);
    }
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), COUNT);
}
END_TEST

START_TEST(events_come_under_the_id_of_their_subscription)
{
    struct client_answer answer;
    int64_t id = 0;

    connect_to(STEPS({ "{\"do\":\"sync.watch\"}",
                       "{\"id\":$ID,\"event\":{\"n\":1}}\n{\"id\":$ID,\"event\":{\"n\":2}}\n" }));
    ck_assert_int_eq(client_send(client, request("sync.watch"), WAIT_MS, &id, &fault), ERR_OK);
    for (int n = 1; n <= 2; n++) {
        ck_assert_int_eq(client_receive(client, WAIT_MS, &answer, &fault), ERR_OK);
        ck_assert_int_eq(answer.id, id);
        ck_assert_ptr_null(answer.ok);
        ck_assert_int_eq(json_integer_value(json_object_get(answer.event, "n")), n);
        client_answer_free(&answer);
    }
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), 1);
}
END_TEST

START_TEST(a_node_that_says_nothing_is_not_waited_for_for_ever)
{
    json_t *ok = NULL;

    connect_to(STEPS({ NULL, "" }));
    ck_assert_int_eq(client_call(client, request("status"), 10, &ok, &fault), ERR_BUSY);
    ck_assert_str_eq(fault.code, "busy");
    client_close(&client);
    ck_assert_uint_le(fake_api_end(&api), 1);
}
END_TEST

/* A late answer is not taken for that of the next request. */
START_TEST(an_answer_that_comes_too_late_is_passed_over)
{
    json_t *ok = NULL;

    connect_to(STEPS({ NULL, "" },
                     { NULL, "{\"id\":1,\"ok\":{\"late\":true}}\n{\"id\":$ID,\"ok\":{\"late\":false}}\n" }));
    ck_assert_int_eq(client_call(client, request("first"), 10, &ok, &fault), ERR_BUSY);
    ck_assert_int_eq(client_call(client, request("second"), WAIT_MS, &ok, &fault), ERR_OK);
    ck_assert(json_is_false(json_object_get(ok, "late")));
    json_decref(ok);
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), 2);
}
END_TEST

START_TEST(a_node_that_goes_away_is_told_from_one_that_is_slow)
{
    json_t *ok = NULL;

    connect_to(STEPS({ NULL, NULL }));
    ck_assert_int_eq(client_call(client, request("status"), WAIT_MS, &ok, &fault), ERR_IO);
    ck_assert_str_eq(fault.code, "io");
    ck_assert_int_eq(client_call(client, request("status"), WAIT_MS, &ok, &fault), ERR_IO);
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), 1);
}
END_TEST

START_TEST(half_an_answer_is_none)
{
    json_t *ok = NULL;

    connect_to(STEPS({ NULL, "#{\"id\":$ID,\"ok\":{}" }));
    ck_assert_int_eq(client_call(client, request("status"), WAIT_MS, &ok, &fault), ERR_IO);
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), 1);
}
END_TEST

START_TEST(what_is_no_answer_is_refused)
{
    static const char *const lines[] = {
        "nonsense",
        "[]",
        "{}",
        "{\"id\":$ID}",
        "{\"id\":\"1\",\"ok\":{}}",
        "{\"id\":$ID,\"ok\":1}",
        "{\"id\":$ID,\"ok\":{},\"event\":{}}",
        "{\"id\":$ID,\"ok\":{},\"error\":1}",
        "{\"id\":$ID,\"error\":{}}",
        "{\"id\":$ID,\"error\":{\"code\":\"\",\"message\":\"m\"}}",
        "{\"id\":$ID,\"error\":{\"code\":\"io\"}}",
        "{\"id\":$ID,\"ok\":{},\"ok\":{}}",
        "{\"id\":$ID,\"ok\":{}} and more",
    };

    for (size_t n = 0; n < sizeof lines / sizeof lines[0]; n++) {
        json_t *ok = NULL;
        connect_to(STEPS({ NULL, lines[n] }));
        ck_assert_msg(client_call(client, request("status"), WAIT_MS, &ok, &fault) == ERR_INVALID, "%s",
                      lines[n]);
        ck_assert_str_eq(fault.code, "invalid");
        client_close(&client);
        ck_assert_uint_eq(fake_api_end(&api), 1);
    }
}
END_TEST

START_TEST(an_answer_longer_than_a_line_may_be_is_refused)
{
    json_t *ok = NULL;
    char *line = malloc(CLIENT_LINE_BYTES_MAX + 100);

    ck_assert_ptr_nonnull(line);
    memset(line, ' ', CLIENT_LINE_BYTES_MAX + 99);
    memcpy(line, "{\"id\":$ID,\"ok\":{}}", 18);
    line[CLIENT_LINE_BYTES_MAX + 99] = '\0';
    connect_to(STEPS({ NULL, line }));
    ck_assert_int_eq(client_call(client, request("status"), WAIT_MS, &ok, &fault), ERR_INVALID);
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), 1);
    free(line);
}
END_TEST

START_TEST(a_request_longer_than_a_line_may_be_is_not_sent_and_the_next_one_is)
{
    json_t *ok = NULL;
    char *text = malloc(CLIENT_LINE_BYTES_MAX + 1);

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', CLIENT_LINE_BYTES_MAX);
    text[CLIENT_LINE_BYTES_MAX] = '\0';
    connect_to(STEPS({ "{\"do\":\"status\"}", "{\"id\":$ID,\"ok\":{}}" }));
    json_t *large = json_pack("{s:s}", "text", text);
    free(text);
    ck_assert_int_eq(client_call(client, large, WAIT_MS, &ok, &fault), ERR_FULL);
    ck_assert_str_eq(fault.code, "full");
    ck_assert_int_eq(client_call(client, request("status"), WAIT_MS, &ok, &fault), ERR_OK);
    json_decref(ok);
    client_close(&client);
    ck_assert_uint_eq(fake_api_end(&api), 1);
}
END_TEST

START_TEST(a_directory_without_a_node_is_told_from_no_directory)
{
    fake_api_nobody(&api);
    ck_assert_int_eq(client_open(&client, api.dir, &fault), ERR_ABSENT);
    ck_assert_ptr_null(client);
    ck_assert_str_eq(fault.code, CLIENT_STOPPED);
    ck_assert_ptr_nonnull(strstr(fault.message, "no node is running"));
    ck_assert_uint_eq(fake_api_end(&api), 0);
    ck_assert_int_eq(client_open(&client, api.dir, &fault), ERR_ABSENT);
    ck_assert_str_eq(fault.code, CLIENT_STOPPED);
    ck_assert_ptr_nonnull(strstr(fault.message, "is no directory of a node"));
}
END_TEST

/* A socket's address holds 107 bytes; a directory may lie deeper. */
START_TEST(a_directory_with_a_long_path_is_reached)
{
    char name[128];
    char deep[256];
    json_t *ok = NULL;

    fake_api_start(&api, STEPS({ NULL, "{\"id\":$ID,\"ok\":{}}" }));
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)snprintf(deep, sizeof deep, "%s/%s", api.dir, name);
    ck_assert_int_eq(symlink(".", deep), 0);
    ck_assert_int_eq(client_open(&client, deep, &fault), ERR_OK);
    ck_assert_int_eq(client_call(client, request("status"), WAIT_MS, &ok, &fault), ERR_OK);
    json_decref(ok);
    client_close(&client);
    ck_assert_int_eq(unlink(deep), 0);
    ck_assert_uint_eq(fake_api_end(&api), 1);
}
END_TEST

START_TEST(the_option_goes_before_the_environment_and_that_before_the_default)
{
    ck_assert_int_eq(setenv("VIGIL_NODE", "/of/environment", 1), 0);
    ck_assert_str_eq(client_state_dir("/of/option"), "/of/option");
    ck_assert_str_eq(client_state_dir(NULL), "/of/environment");
    ck_assert_int_eq(setenv("VIGIL_NODE", "", 1), 0);
    ck_assert_str_eq(client_state_dir(NULL), CLIENT_STATE_DIR);
    ck_assert_int_eq(unsetenv("VIGIL_NODE"), 0);
    ck_assert_str_eq(client_state_dir(NULL), CLIENT_STATE_DIR);
}
END_TEST

START_TEST(a_long_text_is_cut_between_characters)
{
    char text[2 * CLIENT_TEXT_BYTES];

    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'a', shift);
        for (size_t n = shift; n + 2 < sizeof text; n += 2) {
            memcpy(text + n, "\xc3\xa9", 3);
        }
        client_fault_set(&fault, "io", text, "%s", text);
        size_t length = strlen(fault.message);
        ck_assert_uint_ge(length, CLIENT_TEXT_BYTES - 4);
        ck_assert_uint_eq((length - shift) % 2, 0);
        ck_assert_str_eq(fault.hint, fault.message);
    }
    client_fault_set(&fault, "io", NULL, "short \xc3\xa9");
    ck_assert_str_eq(fault.message, "short \xc3\xa9");
    ck_assert_str_eq(fault.hint, "");
}
END_TEST

START_TEST(o1_every_code_of_the_base_is_known)
{
    for (int err = ERR_OK + 1; err < ERR_COUNT; err++) {
        ck_assert_int_eq(client_err(err_code((enum err)err)), err);
    }
    ck_assert_int_eq(client_err("usage"), ERR_INVALID);
}
END_TEST

SUITE_MAIN("client", an_answer_comes_back_to_its_request, a_refusal_comes_back_in_the_words_of_the_node,
           many_requests_may_be_on_their_way_at_once, answers_that_nobody_reads_yet_do_not_stop_the_sending,
           events_come_under_the_id_of_their_subscription,
           a_node_that_says_nothing_is_not_waited_for_for_ever, an_answer_that_comes_too_late_is_passed_over,
           a_node_that_goes_away_is_told_from_one_that_is_slow, half_an_answer_is_none,
           what_is_no_answer_is_refused, an_answer_longer_than_a_line_may_be_is_refused,
           a_request_longer_than_a_line_may_be_is_not_sent_and_the_next_one_is,
           a_directory_without_a_node_is_told_from_no_directory, a_directory_with_a_long_path_is_reached,
           the_option_goes_before_the_environment_and_that_before_the_default,
           a_long_text_is_cut_between_characters, o1_every_code_of_the_base_is_known)
