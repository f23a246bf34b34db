/* What a node says of itself when it is asked what is wrong: facts of a real replica, through the rules. */

#include "node/checkup.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "sync/reason.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include <string.h>

static struct test_organisation org;
static struct served ken;
static struct served hq;

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 47);
    served_begin_two(&org, &ken, &hq);
    ken.status.memory_locks = true;
    ken.status.net_pid = 1;
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    test_organisation_free(&org);
    saves_free();
    log_to(NULL, NULL);
}

static const char *
text(const json_t *of, const char *name)
{
    const char *value = json_string_value(json_object_get(of, name));

    return value == NULL ? "" : value;
}

/* The line of this code, or else of this check; NULL: there is none. */
static const json_t *
find_line(json_t *answer, const char *name, const char *value)
{
    size_t index;
    json_t *line;

    json_array_foreach(json_object_get(served_granted(answer), "checks"), index, line)
    {
        if (strcmp(text(line, name), value) == 0) {
            return line;
        }
    }
    return NULL;
}

static bool
finds(const char *code)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'doctor'}");
    const json_t *line = find_line(answer, "code", code);

    if (line != NULL) {
        ck_assert_str_eq(text(line, "state"), "found");
        ck_assert_str_ne(text(line, "what"), "");
        ck_assert_str_ne(text(line, "cause"), "");
        ck_assert_str_ne(text(line, "next"), "");
    }
    json_decref(answer);
    return line != NULL;
}

START_TEST(o2_every_check_of_the_node_is_answered_and_a_new_one_has_only_notes)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'doctor'}");
    size_t index;
    json_t *line;

    for (int check = CHECK_STORE; check < CHECK_COUNT; check++) {
        ck_assert_ptr_nonnull(find_line(answer, "check", checkup_check_name((enum checkup_check)check)));
    }
    json_array_foreach(json_object_get(served_granted(answer), "checks"), index, line)
    {
        /* A build that measures itself has no sandbox to tell of. */
        ck_assert_msg(strcmp(text(line, "state"), "unknown") != 0 ||
                          strcmp(text(line, "check"), "process") == 0,
                      "nothing is known of %s", text(line, "check"));
        /* Of the process that runs this test nobody promised anything. */
        ck_assert_msg(text(line, "severity")[0] == '\0' || strcmp(text(line, "severity"), "note") == 0 ||
                          strcmp(text(line, "code"), "core-dumps") == 0 ||
                          strcmp(text(line, "code"), "sandbox-off") == 0,
                      "%s: %s", text(line, "code"), text(line, "what"));
    }
    json_decref(answer);
}
END_TEST

START_TEST(the_last_verify_is_kept_with_what_it_found)
{
    struct table_txn *txn = NULL;
    struct replica_verified verified;

    ck_assert(finds("verify-never"));
    ck_assert(!finds("verify-findings"));
    ck_assert_int_eq(replica_note_verified(ken.node->replica, 2, 2), ERR_OK);
    ck_assert(finds("verify-findings"));
    ck_assert_int_eq(replica_note_verified(ken.node->replica, 0, 0), ERR_OK);
    ck_assert(!finds("verify-findings"));
    ck_assert(!finds("verify-never"));
    /* The one after a restart too. */
    uint64_t at_ms = world_wall_ms(&ken.node->world.world);
    served_end(&ken);
    test_node_close(ken.node);
    test_node_open(ken.node);
    served_begin(&ken, ken.node);
    ck_assert_int_eq(replica_begin_read(ken.node->replica, &txn), ERR_OK);
    ck_assert(replica_last_verified(txn, &verified));
    ck_assert_uint_eq(verified.at_ms, at_ms);
    ck_assert_uint_eq(verified.findings, 0);
    replica_end_read(ken.node->replica, &txn);
}
END_TEST

START_TEST(a_clock_that_runs_away_is_doubted_and_before_that_the_certificate_ends)
{
    uint64_t until_ms =
        roster_device(replica_roster(ken.node->replica), &ken.node->identity.device_id)->until * 1000;
    uint64_t now_ms = world_wall_ms(&ken.node->world.world);

    ck_assert(!finds("certificate-ending"));
    test_world_pass(&ken.node->world, until_ms - now_ms - UINT64_C(86400000) * 30);
    ck_assert(!finds("certificate-ending"));
    test_world_pass(&ken.node->world, 1000);
    ck_assert(finds("certificate-ending"));
    ck_assert(finds("epoch-old"));
    ck_assert(!finds("clock-certificate"));
    test_world_pass(&ken.node->world, UINT64_C(86400000) * 31);
    ck_assert(finds("clock-certificate"));
    ck_assert(!finds("certificate-ending"));
}
END_TEST

START_TEST(an_old_epoch_is_found_until_an_admin_has_made_another)
{
    ck_assert(!finds("epoch-old"));
    test_world_pass(&ken.node->world, UINT64_C(86400000) * 90 + 1000);
    ck_assert(finds("epoch-old"));
    test_node_tend(ken.node);
    test_world_pass(&hq.node->world, UINT64_C(86400000) * 91);
    test_node_exchange(ken.node, hq.node);
    test_node_tend(hq.node);
    test_node_exchange(ken.node, hq.node);
    ck_assert(!finds("epoch-old"));
}
END_TEST

START_TEST(what_the_daemon_saw_go_wrong_is_told)
{
    ck_assert(!finds("net-down"));
    ck_assert(!finds("memory-unlocked"));
    ken.status.net_pid = 0;
    ken.status.memory_locks = false;
    ck_assert(finds("net-down"));
    ck_assert(finds("memory-unlocked"));
}
END_TEST

/* Each thing that net can tell has its code, comes of that alone, and is over when net says so. */
START_TEST(what_net_tells_is_found_by_its_code)
{
    static const struct {
        enum link_reason reason;
        const char *code;
    } warned[] = {
        { LINK_CANNOT_LISTEN, "listen-failed" },         { LINK_NO_FILES, "files-spent" },
        { LINK_TOO_MANY_PEERS, "peers-too-many" },       { LINK_NOT_SENT, "messages-dropped" },
        { LINK_MEMORY_NOT_LOCKED, "memory-unlocked" },   { LINK_BAD_ORDER, "call-impossible" },
        { LINK_METRICS_NOT_SERVED, "metrics-unserved" },
    };
    static const struct {
        enum net_ending ending;
        const char *code;
    } endings[] = {
        { NET_NO_SANDBOX, "net-sandbox" },
        { NET_DOOR_OPEN, "net-door-open" },
        { NET_FORBIDDEN, "net-forbidden" },
        { NET_MALFORMED, "net-malformed" },
    };

    for (size_t n = 0; n < sizeof warned / sizeof warned[0]; n++) {
        ck_assert(!finds(warned[n].code));
        status_warn(&ken.status, reason_text(warned[n].reason), 3);
        ck_assert_msg(finds(warned[n].code), "%s is not found", warned[n].code);
        status_settle(&ken.status, reason_text(warned[n].reason));
        ck_assert_msg(!finds(warned[n].code), "%s does not end", warned[n].code);
    }
    for (size_t n = 0; n < sizeof endings / sizeof endings[0]; n++) {
        ck_assert(!finds(endings[n].code));
        status_net_ended(&ken.status, endings[n].ending);
        ck_assert_msg(finds(endings[n].code), "%s is not found", endings[n].code);
    }
    ken.status.net_ending = NET_RUNS;
    ck_assert(!finds("net-sandbox"));
    /* What may have been an attack stays told, though another process runs. */
    ck_assert(finds("net-forbidden"));
    ken.status.starter_gone = true;
    ck_assert(finds("net-starter-gone"));
}
END_TEST

START_TEST(who_is_refused_at_the_door_is_counted_and_a_crowd_is_told_apart)
{
    json_t *answer;

    ck_assert(!finds("door-refused"));
    status_refused(&ken.status, reason_text(LINK_NO_HANDSHAKE), 40);
    status_refused(&ken.status, reason_text(LINK_STRANGER), 2);
    answer = served_ask(&ken, "{'id':1,'do':'doctor'}");
    const json_t *line = find_line(answer, "code", "door-refused");
    ck_assert_ptr_nonnull(line);
    ck_assert_str_eq(
        text(line, "what"),
        "42 connections were refused at the door since the start, 2 with a key that is not on the "
        "roster");
    ck_assert_str_eq(text(line, "severity"), "note");
    json_decref(answer);
    ck_assert(!finds("door-crowded"));
    status_refused(&ken.status, reason_text(LINK_CROWDED), 1);
    ck_assert(finds("door-crowded"));
}
END_TEST

START_TEST(a_peer_that_does_not_answer_is_named_with_the_reason)
{
    json_t *peer =
        served_ask(&ken, "{'id':1,'do':'peer.add','endpoint':'tcp://127.0.0.1:7','device':'%s','name':'far'}",
                   hq.node->request.name);

    (void)served_granted(peer);
    json_decref(peer);
    ck_assert_int_eq(
        peers_update(ken.peers, replica_roster(ken.node->replica), &ken.node->identity.device_id), ERR_OK);
    ck_assert(!finds("peer-unreachable"));
    struct peer *far = peers_by_device(ken.peers, &hq.node->identity.device_id);
    (void)strcpy(far->reason, "nobody listens there");
    json_t *answer = served_ask(&ken, "{'id':1,'do':'doctor'}");
    const json_t *line = find_line(answer, "code", "peer-unreachable");
    ck_assert_ptr_nonnull(line);
    ck_assert_ptr_nonnull(strstr(text(line, "what"), "far: nobody listens there; last contact never"));
    json_decref(answer);
    /* A line that is called at its time is not missed before. */
    far->line.profile = PROFILE_METERED;
    ck_assert(!finds("peer-unreachable"));
}
END_TEST

START_TEST(an_index_that_is_behind_is_told_until_the_node_has_read)
{
    served_granted_once(&ken,
                        "{'id':1,'do':'record.save','kind':'case','set':{'title':'Okapi','status':'draft'}}");
    ck_assert(finds("index-behind"));
    for (int n = 0; n < 20; n++) {
        test_world_pass(&ken.node->world, 60000);
        (void)serve_work(ken.serve);
    }
    ck_assert(!finds("index-behind"));
}
END_TEST

START_TEST(entries_that_are_held_are_counted_by_whose_they_are)
{
    struct buf statement = { 0 };
    struct statement revoke = { .type = STATEMENT_REVOKE };

    served_granted_once(&ken,
                        "{'id':1,'do':'record.save','kind':'case','set':{'title':'Okapi','status':'draft'}}");
    ck_assert(!finds("held-own"));
    memcpy(revoke.revoke.key, ken.node->identity.sign.public_key, SIGN_PK_BYTES);
    revoke.revoke.reason = REVOKE_LOST;
    (void)test_organisation_sign(&org, &revoke, "office-KEN", &statement);
    test_node_state(ken.node, buf_span(&statement));
    buf_free(&statement);
    ck_assert(finds("device-revoked"));
    ck_assert(finds("held-own"));
    ck_assert(!finds("held"));
}
END_TEST

SUITE_MAIN_WITH("serve_doctor", setup, teardown,
                o2_every_check_of_the_node_is_answered_and_a_new_one_has_only_notes,
                the_last_verify_is_kept_with_what_it_found,
                a_clock_that_runs_away_is_doubted_and_before_that_the_certificate_ends,
                an_old_epoch_is_found_until_an_admin_has_made_another, what_the_daemon_saw_go_wrong_is_told,
                what_net_tells_is_found_by_its_code,
                who_is_refused_at_the_door_is_counted_and_a_crowd_is_told_apart,
                a_peer_that_does_not_answer_is_named_with_the_reason,
                an_index_that_is_behind_is_told_until_the_node_has_read,
                entries_that_are_held_are_counted_by_whose_they_are)
