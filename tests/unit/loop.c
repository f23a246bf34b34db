/* The daemon's loop over a net process that is this test: whoever lost its right is dropped from a live connection. */
#include "tests/support/check.h"
#include "tests/support/organisation.h"
#include "tests/support/silent.h"

#include "node/channel.h"
#include "node/loop.h"
#include "node/serve.h"
#include "store/base/log.h"
#include "store/vault.h"
#include "sync/message.h"
#include "sync/replica_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { NET_FD = 3, PUMPS_MAX = 3000 };

static const char door[] = "net-of-the-test";

static struct test_organisation org;
static struct test_node *ken;
static struct test_node *hq;
static struct test_node *lost;
static struct config config;
static struct real_world world;
static struct loop *loop;
static struct channel net; /* the end of the channel that is net's */
static int listener = -1;
static int process = -1; /* the net process, as it stands at our door */

/* What the store said to net. */
static struct {
    uint64_t messages; /* to the lost device */
    uint64_t hangups;  /* of the lost device */
    uint64_t rosters;
    bool listed; /* the lost device was in the last roster */
} heard;

/* --- a net process that hands its end of the channel to the test ---------------- */

union rights {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static int
be_net(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    union rights rights = {
        .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
    };
    char byte = 0;
    struct iovec one = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights
    };
    const int channel = NET_FD;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, door, sizeof door);
    memcpy(CMSG_DATA(&rights.header), &channel, sizeof channel);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        sendmsg(fd, &message, 0) != 1) {
        return 1;
    }
    /* Until the test is over, or the store ends us. */
    return (int)read(fd, &byte, 1);
}

/* The end of the channel that the process which has just been started was given. */
static int
take_channel(void)
{
    union rights rights;
    char byte;
    struct iovec one = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights
    };
    int fd = -1;

    process = accept(listener, NULL, NULL);
    ck_assert_int_ge(process, 0);
    ck_assert_int_eq((int)recvmsg(process, &message, 0), 1);
    ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&message));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

/* --- the test's end ------------------------------------------------------------- */

static void
listen_for_net(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    memcpy(address.sun_path, door, sizeof door);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
}

static void
open_loop(void)
{
    ck_assert_int_eq(loop_open(&loop, &(struct loop_options){ .replica = ken->replica,
                                                              .world = &world,
                                                              .config = &config,
                                                              .directory = ken->directory,
                                                              .version = "test" }),
                     ERR_OK);
    ck_assert_int_eq(channel_open(&net, take_channel(), CHANNEL_NET), ERR_OK);
}

static void
setup(void)
{
    log_to(silent, NULL);
    memset(&heard, 0, sizeof heard);
    test_organisation_init(&org, 41);
    org.roles = ROLE_REVIEW | ROLE_AUDITOR; /* who reads the audit log */
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ken = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    hq = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    lost = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, ken);
    test_node_join(&org, hq);
    test_node_join(&org, lost);
    test_node_exchange(ken, hq);
    test_node_exchange(ken, lost);
    test_node_exchange(lost, hq);

    ck_assert_int_eq(chdir(org.directory), 0);
    listen_for_net();
    real_world_init(&world);
    config = (struct config){ .name = strdup(""),
                              .listen = strdup(""),
                              .announce = strdup(""),
                              .proxy = strdup(""),
                              .metrics = strdup(""),
                              .line = { .profile = PROFILE_LAN },
                              .handshake_ms = 1000 };
    open_loop();
}

static void
teardown(void)
{
    loop_close(&loop);
    config_free(&config);
    channel_close(&net);
    (void)close(process);
    (void)close(listener);
    ck_assert_int_eq(chdir("/"), 0);
    test_organisation_free(&org);
}

static void
hear(void)
{
    struct channel_frame frame;

    channel_write(&net);
    channel_read(&net);
    while (channel_next(&net, &frame)) {
        bool of_lost = hash_equal(&frame.device_id, &lost->identity.device_id);

        heard.messages += frame.type == CHANNEL_MESSAGE && of_lost;
        heard.hangups += frame.type == CHANNEL_HANGUP && of_lost;
        if (frame.type == CHANNEL_ROSTER) {
            heard.rosters++;
            heard.listed = false;
            for (size_t n = 0; n < frame.count; n++) {
                struct zap_guest guest = channel_guest(&frame, n);
                heard.listed = heard.listed || hash_equal(&guest.device_id, &lost->identity.device_id);
            }
        }
    }
    ck_assert(!net.failed && !net.closed);
}

/* Turns of the loop until `*count` has come to `least`. */
static void
pump(const uint64_t *count, uint64_t least)
{
    for (int n = 0; *count < least; n++) {
        ck_assert_int_lt(n, PUMPS_MAX);
        ck_assert_int_eq(loop_turn(loop, 20), ERR_OK);
        hear();
    }
}

/* One turn in which the store takes everything that was put: it lies in its socket before. */
static void
one_turn(void)
{
    channel_write(&net);
    ck_assert_uint_eq(channel_queued(&net), 0);
    ck_assert_int_eq(loop_turn(loop, 20), ERR_OK);
    hear();
}

static void
put_hello(struct test_node *from)
{
    struct hello hello = { .min = PROTOCOL_MIN,
                           .max = PROTOCOL_MAX,
                           .profile = PROFILE_LAN,
                           .credit_bytes = 1 << 20,
                           .version = span_text("test") };
    struct buf frame = { 0 };

    hello_write(&frame, &hello);
    channel_put_message(&net, &from->identity.device_id, buf_span(&frame));
    buf_free(&frame);
}

/* What `from` wrote last in its log of control, as a message; from `seq` on. */
static void
put_control(struct test_node *from, uint64_t seq)
{
    const struct gossip_store *store = replica_gossip_store(from->replica);
    const struct ident *control = roster_control(replica_roster(from->replica));
    const struct frontier *frontier = store->frontier(store->self, control);
    uint8_t descriptor[DESCRIPTOR_BYTES];
    struct buf frame = { 0 };
    struct buf chunk = { 0 };

    chunk_frame_write(&frame);
    for (size_t n = 0; n < frontier->count; n++) {
        struct chunk_item item = { .log = { LOG_REF_NEW, span_of(descriptor, sizeof descriptor) } };
        struct descriptor words;
        uint64_t next = seq;

        ck_assert(store->descriptor(store->self, &frontier->tips[n].log_id, &words));
        if (memcmp(words.sign_pk, from->identity.sign.public_key, SIGN_PK_BYTES) != 0) {
            continue;
        }
        descriptor_write(descriptor, &words);
        memcpy(item.tag, control->bytes, TAG_BYTES);
        ck_assert_int_eq(store->read_chunk(store->self, &frontier->tips[n], seq, false, &chunk, &next),
                         ERR_OK);
        item.chunk = buf_span(&chunk);
        chunk_item_write(&frame, &item);
    }
    channel_put_message(&net, &from->identity.device_id, buf_span(&frame));
    buf_free(&chunk);
    buf_free(&frame);
}

/* How far the own log of a node in control has come. */
static uint64_t
control_next(struct test_node *node)
{
    const struct journal *journal = replica_journal(node->replica);
    uint64_t next = 0;

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (hash_equal(&branch->device_id, &node->identity.device_id) &&
            ident_equal(&branch->descriptor.compartment, roster_control(replica_roster(node->replica)))) {
            next = branch->next_seq;
        }
    }
    return next;
}

/* REVOKE the lost device, signed by its office, with no cut at all. */
static void
take_back(struct buf *out)
{
    struct statement statement = { .type = STATEMENT_REVOKE };

    memcpy(statement.revoke.key, lost->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = REVOKE_LOST;
    (void)test_organisation_sign(&org, &statement, "office-KEN", out);
}

/* The lost device makes something new to say. */
static uint64_t
say_more(void)
{
    uint64_t before = control_next(lost);
    struct ident cases = test_compartment(lost, "KEN", OWN_CASES);

    ck_assert_int_eq(replica_begin(lost->replica), ERR_OK);
    ck_assert_int_eq(replica_rotate(lost->replica, &cases), ERR_OK);
    ck_assert_int_eq(replica_commit(lost->replica), ERR_OK);
    ck_assert_uint_gt(control_next(lost), before);
    return before;
}

static void
connect_lost(void)
{
    channel_put_ready(&net, span_text(""));
    channel_put_up(&net, &lost->identity.device_id);
    pump(&heard.messages, 1); /* it is greeted */
    put_hello(lost);
    one_turn();
    ck_assert(heard.listed);
    ck_assert_uint_eq(heard.hangups, 0);
}

/* --- what the log says of what net tells ------------------------------------------ */

enum { LINES_MAX = 64 };

static struct {
    char text[LINES_MAX][256];
    size_t count;
} lines;

static void
keep_line(void *self, enum log_level level, const char *line)
{
    (void)self;
    (void)level;
    ck_assert_uint_lt(lines.count, LINES_MAX);
    (void)snprintf(lines.text[lines.count++], sizeof lines.text[0], "%s", line);
}

/* How many lines begin so. */
static size_t
count_lines(const char *text)
{
    size_t found = 0;

    for (size_t n = 0; n < lines.count; n++) {
        found += strncmp(lines.text[n], text, strlen(text)) == 0;
    }
    return found;
}

START_TEST(refusals_at_the_door_are_told_once_with_their_count_and_not_in_a_flood)
{
    channel_put_ready(&net, span_text(""));
    lines.count = 0;
    log_watch(keep_line, NULL);
    channel_put_refused(&net, LINK_STRANGER, 3);
    one_turn();
    for (int n = 0; n < 500; n++) {
        channel_put_refused(&net, LINK_STRANGER, 1);
        channel_put_warn(&net, LINK_NOT_SENT, 1);
    }
    channel_put_refused(&net, LINK_NO_HANDSHAKE, 1);
    one_turn();
    log_watch(NULL, NULL);
    ck_assert_uint_eq(
        count_lines("event=door-refused count=3 reason=\"a transport key that is not on the roster\""), 1);
    ck_assert_uint_eq(
        count_lines("event=door-refused count=1 reason=\"a connection that did not finish a handshake\""), 1);
    ck_assert_uint_eq(count_lines("event=net-warning count=500 reason=\"a message for a device that is not "
                                  "connected was dropped\""),
                      1);
    ck_assert_uint_eq(count_lines("event=door-refused"), 2);
    ck_assert_uint_eq(count_lines("event=net-warning"), 1);
}
END_TEST

static size_t
count_of_lost(const char *event, enum link_reason reason)
{
    char line[256];

    (void)snprintf(line, sizeof line, "event=%s peer=%s why=\"%s\"", event,
                   hash_short(&lost->identity.device_id).text, reason_text(reason));
    return count_lines(line);
}

START_TEST(why_a_peer_is_not_reached_is_told_once_for_each_reason)
{
    channel_put_ready(&net, span_text(""));
    lines.count = 0;
    log_watch(keep_line, NULL);
    for (int n = 0; n < 20; n++) {
        channel_put_down(&net, &lost->identity.device_id, LINK_NOBODY_LISTENS);
    }
    channel_put_down(&net, &lost->identity.device_id, LINK_NO_ANSWER);
    channel_put_down(&net, &lost->identity.device_id, LINK_DUPLICATE);
    one_turn();
    ck_assert_uint_eq(count_of_lost("peer-unreachable", LINK_NOBODY_LISTENS), 1);
    ck_assert_uint_eq(count_of_lost("peer-unreachable", LINK_NO_ANSWER), 1);
    ck_assert_uint_eq(count_lines("event=peer-unreachable"), 2);
    /* One that was connected went: that is told as such. */
    connect_lost();
    channel_put_down(&net, &lost->identity.device_id, LINK_DISCONNECTED);
    one_turn();
    log_watch(NULL, NULL);
    ck_assert_uint_eq(count_lines("event=peer-up"), 1);
    ck_assert_uint_eq(count_of_lost("peer-down", LINK_DISCONNECTED), 1);
    ck_assert_uint_eq(count_lines("event=peer-unreachable"), 2);
}
END_TEST

START_TEST(a_member_is_heard_over_a_live_connection)
{
    uint64_t from = say_more();

    connect_lost();
    uint64_t before = journal_place_last(replica_journal(ken->replica));
    put_control(lost, from);
    one_turn();
    ck_assert_uint_gt(journal_place_last(replica_journal(ken->replica)), before);
    ck_assert_uint_eq(heard.hangups, 0);
}
END_TEST

/* The same message, after the revocation: it is not taken in, and the line is cut in the turn in which it came. */
START_TEST(a_revoked_device_is_dropped_at_its_next_message)
{
    struct buf statement = { 0 };
    uint64_t from = say_more();

    connect_lost();
    take_back(&statement);
    test_node_state(ken, buf_span(&statement));
    uint64_t before = journal_place_last(replica_journal(ken->replica));
    put_control(lost, from);
    one_turn();
    ck_assert_uint_ge(heard.hangups, 1);
    ck_assert(!heard.listed);
    ck_assert_uint_eq(journal_place_last(replica_journal(ken->replica)), before);
    buf_free(&statement);
}
END_TEST

/* Nor is a further message waited for: the turn that brings the revocation ends the connection. */
START_TEST(the_turn_that_brings_a_revocation_ends_the_connection)
{
    struct buf statement = { 0 };
    uint64_t from = control_next(hq);

    connect_lost();
    channel_put_up(&net, &hq->identity.device_id);
    put_hello(hq);
    one_turn();
    ck_assert_uint_eq(heard.hangups, 0);
    take_back(&statement);
    test_node_state(hq, buf_span(&statement));
    put_control(hq, from);
    one_turn();
    ck_assert(roster_device(replica_roster(ken->replica), &lost->identity.device_id) == NULL);
    ck_assert_uint_ge(heard.hangups, 1);
    ck_assert(!heard.listed);
    buf_free(&statement);
}
END_TEST

/* --- what of that is noted in the audit log --------------------------------------- */

/* What the audit log says of an event: how often it happened, by all its notes. */
static size_t
noted(const char *event, size_t *notes)
{
    struct status status = { .turns = 0 };
    struct serve *serve = serve_new(&(struct serve_options){ .replica = ken->replica,
                                                             .status = &status,
                                                             .config = &config,
                                                             .world = &world.world,
                                                             .version = "test",
                                                             .directory = ken->directory });
    size_t count = 0;
    size_t index;
    json_t *row;

    ck_assert_ptr_nonnull(serve);
    json_t *answer = serve_one(serve, json_pack("{s:i,s:s,s:s}", "id", 1, "do", "audit.list", "what", event));
    const json_t *events = json_object_get(json_object_get(answer, "ok"), "events");
    ck_assert(json_is_array(events));
    json_array_foreach((json_t *)events, index, row)
    {
        count += (size_t)json_integer_value(json_object_get(row, "count"));
    }
    *notes = json_array_size(events);
    json_decref(answer);
    serve_free(&serve);
    return count;
}

/* Turns until it is noted so often. */
static void
expect_noted(const char *event, size_t count)
{
    size_t notes = 0;

    for (int n = 0; noted(event, &notes) != count; n++) {
        ck_assert_msg(n < PUMPS_MAX, "%s is not noted %zu times", event, count);
        ck_assert_int_eq(loop_turn(loop, 20), ERR_OK);
    }
    ck_assert_uint_eq(notes, 1);
}

static void
write_conf(const char *text)
{
    char path[4200];

    (void)snprintf(path, sizeof path, "%s/node.conf", ken->directory);
    ck_assert_int_eq(vault_write_plain(path, span_text(text)), ERR_OK);
}

/* What net tells, and how it ends; a net process that is replaced by order is nothing of the kind. */
START_TEST(k10_what_net_refuses_and_how_it_ends_is_noted)
{
    size_t notes = 0;

    channel_put_ready(&net, span_text(""));
    channel_put_refused(&net, LINK_STRANGER, 3);
    channel_put_warn(&net, LINK_NO_FILES, 2);
    channel_put_warn(&net, LINK_NOT_SENT, 9);
    channel_put_down(&net, &lost->identity.device_id, LINK_WRONG_KEY);
    channel_put_down(&net, &lost->identity.device_id, LINK_WRONG_KEY);
    one_turn();
    expect_noted("door-refused", 3);
    expect_noted("net-alarm", 2);
    expect_noted("peer-alarm", 1);
    ck_assert_uint_eq(noted("net-died", &notes), 0);
    (void)close(process);
    process = -1;
    expect_noted("net-died", 1);
}
END_TEST

START_TEST(k10_a_start_without_a_whole_sandbox_is_noted)
{
    expect_noted("sandbox-incomplete", 1);
}
END_TEST

/* A replica that had to leave its logs when it was opened says so once there is somebody to note it. */
START_TEST(k10_a_start_from_an_older_state_is_noted)
{
    size_t notes = 0;

    ck_assert_uint_eq(noted("set-back", &notes), 0);
    loop_close(&loop);
    channel_close(&net);
    (void)close(process);
    ck_assert_int_eq(replica_new_incarnation(ken->replica, "test"), ERR_OK);
    open_loop();
    expect_noted("set-back", 1);
}
END_TEST

/* Who is revoked is dropped, whether it says something more or not. */
START_TEST(k10_a_revoked_device_that_is_dropped_is_noted)
{
    struct buf statement = { 0 };

    connect_lost();
    take_back(&statement);
    test_node_state(ken, buf_span(&statement));
    buf_free(&statement);
    one_turn();
    ck_assert(!heard.listed);
    channel_put_down(&net, &lost->identity.device_id, LINK_OFF_ROSTER);
    one_turn();
    expect_noted("peer-alarm", 1);
}
END_TEST

START_TEST(k10_a_changed_configuration_is_noted_and_one_that_cannot_be_used)
{
    write_conf("scrub = 7\n");
    ck_assert_int_eq(raise(SIGHUP), 0);
    expect_noted("config-read", 1);
    write_conf("srcub = 7\n");
    ck_assert_int_eq(raise(SIGHUP), 0);
    expect_noted("config-refused", 1);
}
END_TEST

/* Those of the hour that are in no note yet are noted when the node is stopped. */
START_TEST(k10_a_node_that_is_stopped_notes_what_it_counted)
{
    size_t notes = 0;

    channel_put_ready(&net, span_text(""));
    channel_put_refused(&net, LINK_STRANGER, 3);
    one_turn();
    expect_noted("door-refused", 3);
    channel_put_refused(&net, LINK_STRANGER, 4);
    one_turn();
    one_turn();
    ck_assert_uint_eq(noted("door-refused", &notes), 3);
    ck_assert_int_eq(raise(SIGTERM), 0);
    ck_assert_int_eq(loop_run(loop), ERR_OK);
    ck_assert_uint_eq(noted("door-refused", &notes), 7);
    ck_assert_uint_eq(notes, 2);
}
END_TEST

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "net") == 0) {
        return be_net();
    }
    const TTest *const tests[] = {
        refusals_at_the_door_are_told_once_with_their_count_and_not_in_a_flood,
        why_a_peer_is_not_reached_is_told_once_for_each_reason,
        a_member_is_heard_over_a_live_connection,
        a_revoked_device_is_dropped_at_its_next_message,
        the_turn_that_brings_a_revocation_ends_the_connection,
        k10_what_net_refuses_and_how_it_ends_is_noted,
        k10_a_start_without_a_whole_sandbox_is_noted,
        k10_a_start_from_an_older_state_is_noted,
        k10_a_revoked_device_that_is_dropped_is_noted,
        k10_a_changed_configuration_is_noted_and_one_that_cannot_be_used,
        k10_a_node_that_is_stopped_notes_what_it_counted,
    };
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("loop");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, TEST_SECONDS_MAX);
    for (size_t n = 0; n < sizeof tests / sizeof tests[0]; n++) {
        tcase_add_test(tcase, tests[n]);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
