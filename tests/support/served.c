#include "tests/support/served.h"

#include "node/recent.h"
#include "node/security.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
served_begin(struct served *served, struct test_node *node)
{
    struct replica *replica = node->replica;

    *served = (struct served){ .node = node };
    served->recent = recent_new(&node->world.world);
    ck_assert_ptr_nonnull(served->recent);
    served->security = security_new(&node->world.world, node->directory);
    ck_assert_ptr_nonnull(served->security);
    served->peers = peers_new(&served->config);
    ck_assert_ptr_nonnull(served->peers);
    ck_assert_int_eq(peers_update(served->peers, replica_roster(replica), &node->identity.device_id), ERR_OK);
    ck_assert_int_eq(
        gossip_open(&served->gossip,
                    &(struct gossip_options){ .world = &node->world.world,
                                              .store = replica_gossip_store(replica),
                                              .device_id = node->identity.device_id,
                                              .control = *roster_control(replica_roster(replica)),
                                              .profile = PROFILE_LAN,
                                              .version = "test",
                                              .credit_bytes = 1 << 20 }),
        ERR_OK);
    served->serve = serve_new(&(struct serve_options){ .replica = replica,
                                                       .gossip = served->gossip,
                                                       .peers = served->peers,
                                                       .status = &served->status,
                                                       .config = &served->config,
                                                       .world = &node->world.world,
                                                       .version = "test",
                                                       .directory = node->directory,
                                                       .recent = served->recent,
                                                       .security = served->security });
    ck_assert_ptr_nonnull(served->serve);
}

void
served_begin_two(struct test_organisation *org, struct served *ken, struct served *hq)
{
    test_organisation_office(org, "KEN", false);
    test_organisation_office(org, "HQ", true);
    struct test_node *first = test_organisation_enrol(org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *second = test_organisation_enrol(org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(org, first);
    test_node_join(org, second);
    test_node_exchange(first, second);
    served_begin(ken, first);
    served_begin(hq, second);
}

void
served_end(struct served *served)
{
    serve_free(&served->serve);
    recent_free(&served->recent);
    security_free(&served->security);
    gossip_close(&served->gossip);
    peers_free(&served->peers);
}

json_t *
served_ask(struct served *served, const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    ck_assert_int_lt(vsnprintf(text, sizeof text, format, args), (int)sizeof text);
    va_end(args);
    for (char *at = text; *at != '\0'; at++) {
        *at = (char)(*at == '\'' ? '"' : *at);
    }
    json_t *body = json_loads(text, 0, NULL);
    ck_assert_msg(body != NULL, "no JSON: %s", text);
    json_t *answer = serve_one(served->serve, body);
    ck_assert_ptr_nonnull(answer);
    return answer;
}

json_t *
served_granted(json_t *answer)
{
    json_t *ok = json_object_get(answer, "ok");

    ck_assert_msg(ok != NULL, "refused: %s", json_dumps(answer, JSON_COMPACT));
    return ok;
}

const json_t *
served_member(const json_t *answer, const char *path)
{
    const json_t *at = answer;
    char copy[120];
    char *rest = copy;

    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *key = strsep(&rest, "."); key != NULL; key = strsep(&rest, ".")) {
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key)) : json_object_get(at, key);
    }
    return at;
}

void
served_granted_once(struct served *served, const char *request)
{
    json_t *answer = served_ask(served, "%s", request);

    (void)served_granted(answer);
    json_decref(answer);
}

void
served_refused(json_t *answer, const char *code)
{
    const json_t *error = json_object_get(answer, "error");
    const char *message = json_string_value(json_object_get(error, "message"));

    ck_assert_msg(error != NULL, "granted: %s", json_dumps(answer, JSON_COMPACT));
    ck_assert_str_eq(json_string_value(json_object_get(error, "code")), code);
    ck_assert_int_gt((int)strlen(message), 0);
    ck_assert_ptr_nonnull(json_object_get(error, "hint"));
    json_decref(answer);
}
