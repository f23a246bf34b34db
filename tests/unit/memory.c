/* Every allocation of ours, and of jansson's, fails in its turn: what was asked is refused with one clear error or answered whole, nothing
 * that was kept is lost, and the next time it works. The linker puts the calls below in the place of malloc and its kin. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "node/api.h"
#include "node/client.h"
#include "node/json_memory.h"
#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long left = -1; /* allocations until one fails; -1: none does */
static bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool
fails(void)
{
    if (left < 0 || --left >= 0) {
        return false;
    }
    failed = true;
    left = -1;
    return true;
}

void *
__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

/* --- what is asked --- */

static struct test_organisation org;
static struct served ken;
static struct served hq;
static char number[40];

static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    json_memory_watch();
    log_to(silent, NULL);
    test_organisation_init(&org, 31);
    org.roles = ROLE_CASE_WORK | ROLE_REVIEW | ROLE_OPERATOR | ROLE_AUDITOR;
    served_begin_two(&org, &ken, &hq);
    json_t *answer = served_ask(
        &ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'A march','status':'draft',"
              "'country_of_act':['KEN','UGA']},'add':[{'to':'act','fields':{'type_of_act':'death_threat',"
              "'date_from':'2026-03~'}}],'note':['first seen']}");
    (void)snprintf(number, sizeof number, "%s",
                   json_string_value(served_member(served_granted(answer), "number")));
    json_decref(answer);
    test_node_exchange(ken.node, hq.node);
}

static void
teardown(void)
{
    left = -1;
    served_end(&ken);
    served_end(&hq);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

/* Ask, with the `nth` allocation refused (-1: none). NULL: there was not even memory to say so. */
static json_t *
ask_short(const char *request, long nth)
{
    json_t *body = json_loads(request, 0, NULL);

    ck_assert_msg(body != NULL, "no JSON: %s", request);
    failed = false;
    left = nth;
    json_t *answer = serve_one(ken.serve, body);
    left = -1;
    return answer;
}

/* What one answers, whether it did before and whatever is counted since. */
static void
forget_what_moves(json_t *answer)
{
    static const char *const moving[] = { "id", "started", "clock", "memory", "disk", "refused" };
    json_t *ok = json_object_get(answer, "ok");

    for (size_t n = 0; n < sizeof moving / sizeof moving[0]; n++) {
        if (n == 0 || json_is_object(ok)) {
            (void)json_object_del(n == 0 ? answer : ok, moving[n]);
        }
    }
}

/* Try a call that only reads with each of its allocations refused. Gives how many there were. */
static long
sweep_read(const char *request)
{
    json_t *whole = ask_short(request, -1);
    long nth = 0;

    (void)served_granted(whole);
    forget_what_moves(whole);
    for (;; nth++) {
        json_t *answer = ask_short(request, nth);
        bool ended = !failed;

        if (answer == NULL || json_object_get(answer, "error") != NULL) {
            const char *code = json_string_value(served_member(answer, "error.code"));

            ck_assert_msg(!ended, "%s is refused without need", request);
            ck_assert_msg(answer == NULL || (code != NULL && strcmp(code, "memory") == 0),
                          "%s, allocation %ld: %s", request, nth, code);
        } else {
            forget_what_moves(answer);
            if (!json_equal(answer, whole)) {
                (void)json_dumpf(answer, stderr, JSON_INDENT(1) | JSON_SORT_KEYS);
                (void)json_dumpf(whole, stderr, JSON_INDENT(1) | JSON_SORT_KEYS);
                ck_abort_msg("%s, allocation %ld: an answer that is not whole", request, nth);
            }
        }
        json_decref(answer);
        if (ended) {
            break;
        }
    }
    json_decref(whole);
    return nth;
}

START_TEST(i6_what_is_read_is_whole_or_refused)
{
    static const char *const requests[] = {
        "{\"id\":1,\"do\":\"record.show\",\"record\":\"KEN-2025-0001\"}",
        "{\"id\":1,\"do\":\"record.history\",\"record\":\"KEN-2025-0001\"}",
        "{\"id\":1,\"do\":\"record.why\",\"record\":\"KEN-2025-0001\",\"target\":\"title\"}",
        "{\"id\":1,\"do\":\"record.list\",\"kind\":\"case\"}",
        "{\"id\":1,\"do\":\"record.count\",\"kind\":\"case\",\"by\":[\"status\"]}",
        "{\"id\":1,\"do\":\"conflict.list\"}",
        "{\"id\":1,\"do\":\"urgent.list\"}",
        "{\"id\":1,\"do\":\"device.list\"}",
        "{\"id\":1,\"do\":\"epoch.list\"}",
        "{\"id\":1,\"do\":\"digest\"}",
        "{\"id\":1,\"do\":\"status\"}",
        "{\"id\":1,\"do\":\"inspect.record\",\"record\":\"KEN-2025-0001\"}",
        "{\"id\":1,\"do\":\"sync.status\"}",
        "{\"id\":1,\"do\":\"sync.budget\"}",
        "{\"id\":1,\"do\":\"held.list\"}",
        "{\"id\":1,\"do\":\"erase.list\"}",
        "{\"id\":1,\"do\":\"board\"}",
        "{\"id\":1,\"do\":\"board\",\"board\":\"readiness\"}",
        "{\"id\":1,\"do\":\"duplicate.list\"}",
        "{\"id\":1,\"do\":\"snapshot.list\"}",
        "{\"id\":1,\"do\":\"actor.list\"}",
        "{\"id\":1,\"do\":\"peer.list\"}",
        "{\"id\":1,\"do\":\"stats.tables\"}",
    };

    ck_assert_str_eq(number, "KEN-2025-0001");
    for (size_t n = 0; n < sizeof requests / sizeof requests[0]; n++) {
        ck_assert_int_gt(sweep_read(requests[n]), 3);
    }
}
END_TEST

/* What the title of the case is: a refused save has left it as it was. */
static void
expect_title(const char *title)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    char *dumped = json_dumps(served_granted(answer), 0);

    ck_assert_ptr_nonnull(dumped);
    ck_assert_msg(strstr(dumped, title) != NULL, "the title is not %s", title);
    ck_assert_ptr_null(strstr(dumped, "\"conflict\": true"));
    free(dumped);
    json_decref(answer);
}

START_TEST(i6_a_save_happens_whole_or_not_at_all)
{
    char title[40] = "A march";
    long nth = 0;

    for (bool ended = false; !ended; nth++) {
        char next[40];
        char request[200];

        (void)snprintf(next, sizeof next, "March number %ld", nth);
        (void)snprintf(request, sizeof request,
                       "{\"id\":1,\"do\":\"record.save\",\"record\":\"%s\",\"set\":{\"title\":\"%s\"},"
                       "\"add\":[{\"to\":\"act\",\"fields\":{\"type_of_act\":\"detention\"}}]}",
                       number, next);
        json_t *answer = ask_short(request, nth);
        ended = !failed;
        if (json_object_get(answer, "ok") != NULL) {
            memcpy(title, next, sizeof title);
        } else {
            const char *code = json_string_value(served_member(answer, "error.code"));

            ck_assert_msg(!ended, "a save is refused without need");
            ck_assert_msg(answer == NULL || (code != NULL && strcmp(code, "memory") == 0),
                          "allocation %ld: %s", nth, code);
        }
        json_decref(answer);
        if (answer != NULL) {
            expect_title(title);
        } else {
            /* Nobody was told; the title is one of the two. */
            json_decref(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'%s'}}",
                                   number, title));
        }
    }
    ck_assert_int_gt(nth, 30);
    /* All of it is on the disk, and nothing that anybody would call damage. */
    served_end(&ken);
    test_node_close(ken.node);
    test_node_open(ken.node);
    served_begin(&ken, ken.node);
    expect_title(title);
}
END_TEST

/* --- who follows the journal --- */

enum { WAIT_MS = 20000 };

/* A node with a socket, on the replica of ken, which goes on serving; and who follows it. */
struct line {
    char directory[40];
    struct api *api;
    struct serve *serve;
    struct client *client;
};

static void
line_turn(struct line *line)
{
    api_gather(line->api);
    serve_take(line->serve);
    serve_answer(line->serve);
    api_flush(line->api);
}

/* Follow what comes behind a place. */
static void
line_follow(struct line *line, json_int_t after)
{
    struct client_fault fault;
    int64_t id;

    client_close(&line->client);
    ck_assert_int_eq(client_open(&line->client, line->directory, &fault), ERR_OK);
    ck_assert_int_eq(client_send(line->client, json_pack("{s:s,s:I}", "do", "journal.watch", "after", after),
                                 WAIT_MS, &id, &fault),
                     ERR_OK);
    line_turn(line);
}

/* Hear until `record` is told. False: the connection was closed, as anybody notices. `after` goes along with what is heard. */
static bool
line_hears(struct line *line, const char *record, json_int_t *after)
{
    for (int turns = 0; turns < 1000; turns++) {
        struct client_answer answer = { 0 };
        struct client_fault fault;

        line_turn(line);
        enum err err = client_receive(line->client, 0, &answer, &fault);
        if (err == ERR_BUSY) {
            continue;
        }
        if (err != ERR_OK) {
            return false;
        }
        const char *of = json_string_value(json_object_get(answer.event, "record"));
        bool here = of != NULL && strcmp(of, record) == 0;
        json_int_t place = json_integer_value(json_object_get(answer.event, "place"));
        ck_assert_int_gt(place, *after);
        *after = place;
        client_answer_free(&answer);
        if (here) {
            return true;
        }
    }
    ck_abort_msg("what was saved is never told");
    return false;
}

START_TEST(i6_who_follows_the_journal_is_told_all_of_it_or_hung_up_on)
{
    struct line line = { .directory = "/tmp/vigil-memory-XXXXXX" };
    json_int_t after = (json_int_t)journal_place_last(replica_journal(ken.node->replica));
    long told_later = 0;
    long nth = 0;

    ck_assert_ptr_nonnull(mkdtemp(line.directory));
    ck_assert_int_eq(api_open(&line.api, line.directory), ERR_OK);
    line.serve = serve_new(&(struct serve_options){ .replica = ken.node->replica,
                                                    .gossip = ken.gossip,
                                                    .peers = ken.peers,
                                                    .api = line.api,
                                                    .status = &ken.status,
                                                    .config = &ken.config,
                                                    .world = &ken.node->world.world,
                                                    .version = "test",
                                                    .directory = ken.node->directory });
    ck_assert_ptr_nonnull(line.serve);
    line_follow(&line, after);
    for (bool ended = false; !ended; nth++) {
        char record[40];
        json_t *answer =
            served_ask(&ken,
                       "{'id':1,'do':'record.save','kind':'case','set':{'title':'March %ld','status':"
                       "'draft'}}",
                       nth);

        (void)snprintf(record, sizeof record, "%s",
                       json_string_value(served_member(served_granted(answer), "record")));
        json_decref(answer);
        failed = false;
        left = nth;
        serve_answer(line.serve);
        left = -1;
        ended = !failed;
        bool told = line_hears(&line, record, &after);
        ck_assert_msg(told || !ended, "hung up without need");
        told_later += told && !ended;
        if (!told) {
            line_follow(&line, after);
            ck_assert(line_hears(&line, record, &after));
        }
    }
    ck_assert_int_gt(nth, 10);
    ck_assert_int_gt(told_later, 3);
    client_close(&line.client);
    serve_free(&line.serve);
    api_close(&line.api);
    ck_assert_int_eq(rmdir(line.directory), 0);
}
END_TEST

SUITE_MAIN_WITH("memory", setup, teardown, i6_what_is_read_is_whole_or_refused,
                i6_a_save_happens_whole_or_not_at_all,
                i6_who_follows_the_journal_is_told_all_of_it_or_hung_up_on)
