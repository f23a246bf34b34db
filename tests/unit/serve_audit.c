/* What is read of strictly confidential fields, searched or decided is noted before it is answered, and the log of it is a chain. */
#include "node/security.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/vault.h"
#include "sync/replica_state.h"
#include "tests/support/check.h"
#include "tests/support/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken; /* reads both halves */
static struct served gva; /* reads the case half alone, and not the audit of KEN */

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    test_organisation_init_with(&org, 44, 3, 2);
    org.roles = ROLE_REVIEW;
    test_organisation_office(&org, "KEN", false);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=read", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "GVA", "Geneva", false, grants, count, &fault), ERR_OK);
    struct test_node *first = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *second = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, first);
    test_node_join(&org, second);
    test_node_exchange(first, second);
    served_begin(&ken, first);
    served_begin(&gva, second);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&gva);
    test_organisation_free(&org);
}

/* A person with a name, which is L3; gives its number. */
static const char *
save_person(struct served *node)
{
    static char number[40];
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save','kind':'person','set':{'pseudonym':'P-1'},"
                                      "'add':[{'to':'name','fields':{'text':'Amina Secret'}}]}");

    (void)snprintf(number, sizeof number, "%s",
                   json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
    return number;
}

/* All events, the latest first; `more` narrows them. The caller frees the list. */
static json_t *
events_of(struct served *node, const char *more)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'audit.list'%s}", more);
    json_t *events = json_incref(json_object_get(served_granted(answer), "events"));

    json_decref(answer);
    return events;
}

static size_t
count_events(struct served *node, const char *more)
{
    json_t *events = events_of(node, more);
    size_t count = json_array_size(events);

    json_decref(events);
    return count;
}

static void
expect_text(const json_t *event, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(event, name));

    ck_assert_str_eq(value == NULL ? "" : value, text);
}

static void
ask(struct served *node, const char *body)
{
    json_t *answer = served_ask(node, "%s", body);

    (void)served_granted(answer);
    json_decref(answer);
}

START_TEST(what_is_strictly_confidential_is_noted_when_it_is_shown)
{
    char body[200];
    const char *number = save_person(&ken);

    (void)snprintf(body, sizeof body, "{'id':1,'do':'record.show','record':'%s','actor':3}", number);
    ask(&ken, body);
    json_t *events = events_of(&ken, "");
    ck_assert_uint_eq(json_array_size(events), 1);
    const json_t *event = json_array_get(events, 0);
    expect_text(event, "what", "read");
    expect_text(event, "number", number);
    expect_text(event, "fields", "name.text");
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_object_get(event, "actor"), "number")), 3);
    expect_text(json_object_get(event, "device"), "office", "KEN");
    char *text = json_dumps(events, 0);
    ck_assert_ptr_null(strstr(text, "Amina"));
    free(text);
    json_decref(events);
    /* The history says it too, and a conflict would. */
    (void)snprintf(body, sizeof body, "{'id':1,'do':'record.history','record':'%s'}", number);
    ask(&ken, body);
    ck_assert_uint_eq(count_events(&ken, ",'what':'read'"), 2);
    /* A list shows none of it, nor does the case half alone. */
    ask(&ken, "{'id':1,'do':'record.list','kind':'person'}");
    ck_assert_uint_eq(count_events(&ken, ""), 2);
}
END_TEST

START_TEST(who_reads_the_case_half_alone_notes_nothing)
{
    char body[200];
    const char *number = save_person(&ken);

    test_node_exchange(ken.node, gva.node);
    (void)snprintf(body, sizeof body, "{'id':1,'do':'record.show','record':'%s'}", number);
    ask(&gva, body);
    ck_assert_uint_eq(count_events(&gva, ""), 0);
}
END_TEST

/* With what conditions, and how much was found: never the words. */
START_TEST(k10_a_search_is_noted_without_its_words)
{
    (void)save_person(&ken);
    ask(&ken, "{'id':1,'do':'record.search','words':'Amina','kind':'person','office':'KEN'}");
    json_t *events = events_of(&ken, ",'what':'search'");
    ck_assert_uint_eq(json_array_size(events), 1);
    const json_t *event = json_array_get(events, 0);
    expect_text(event, "filter", "kind=person office=KEN");
    ck_assert_int_eq((int)json_integer_value(json_object_get(event, "count")), 1);
    char *text = json_dumps(events, 0);
    ck_assert_ptr_null(strstr(text, "mina"));
    free(text);
    json_decref(events);
}
END_TEST

START_TEST(a_decision_at_a_gate_is_noted)
{
    char body[300];
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'A','status':'draft'}}");
    (void)snprintf(
        body, sizeof body,
        "{'id':1,'do':'record.save','record':'%s','actor':2,'add':[{'to':'review','fields':{'gate':'scope',"
        "'step':'office_cleared','decision':'refused'}}]}",
        json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
    ask(&ken, body);
    json_t *events = events_of(&ken, ",'what':'gate'");
    ck_assert_uint_eq(json_array_size(events), 1);
    expect_text(json_array_get(events, 0), "filter",
                "review.gate=scope review.step=office_cleared review.decision=refused");
    json_decref(events);
}
END_TEST

/* One record a month and device; pages of what was asked for. */
START_TEST(the_log_is_listed_in_pages_the_latest_first)
{
    enum { READS = 23, PAGE = 5 };
    char body[200];
    const char *number = save_person(&ken);
    size_t seen = 0;
    json_t *next = NULL;
    char last[32] = "9";

    (void)snprintf(body, sizeof body, "{'id':1,'do':'record.show','record':'%s'}", number);
    for (int n = 0; n < READS; n++) {
        test_world_pass(&ken.node->world, n == 11 ? UINT64_C(40) * 24 * 3600 * 1000 : 60 * 1000);
        ask(&ken, body);
    }
    do {
        char more[120] = ",'limit':5";
        if (next != NULL) {
            (void)snprintf(more, sizeof more, ",'limit':5,'after':'%s'", json_string_value(next));
        }
        json_t *answer = served_ask(&ken, "{'id':1,'do':'audit.list'%s}", more);
        const json_t *ok = served_granted(answer);
        const json_t *events = json_object_get(ok, "events");
        for (size_t n = 0; n < json_array_size(events); n++) {
            const char *at = json_string_value(json_object_get(json_array_get(events, n), "at"));
            ck_assert_str_lt(at, last);
            (void)snprintf(last, sizeof last, "%s", at);
        }
        seen += json_array_size(events);
        ck_assert_uint_le(json_array_size(events), PAGE);
        json_decref(next);
        next = json_incref(json_object_get(ok, "next"));
        json_decref(answer);
    } while (!json_is_null(next));
    json_decref(next);
    ck_assert_uint_eq(seen, READS);
    json_t *list = served_ask(&ken, "{'id':1,'do':'record.list','kind':'audit_log'}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(list), "records")), 2);
    json_decref(list);
    ck_assert_uint_eq(count_events(&ken, ",'what':'export'"), 0);
    ck_assert_uint_eq(count_events(&ken, ",'until':'2000-01-01'"), 0);
    (void)snprintf(body, sizeof body, ",'record':'%s','limit':500", number);
    ck_assert_uint_eq(count_events(&ken, body), READS);
}
END_TEST

START_TEST(k10_nobody_writes_the_log_by_hand)
{
    (void)save_person(&ken);
    ask(&ken, "{'id':1,'do':'record.search','words':'Amina'}");
    json_t *list = served_ask(&ken, "{'id':1,'do':'record.list','kind':'audit_log'}");
    char body[300];
    (void)snprintf(
        body, sizeof body,
        "{'id':1,'do':'record.save','record':'%s','add':[{'to':'event','fields':{'operation':'read'}}]}",
        json_string_value(
            json_object_get(json_array_get(json_object_get(served_granted(list), "records"), 0), "id")));
    json_decref(list);
    served_refused(served_ask(&ken, "%s", body), "denied");
    served_refused(
        served_ask(&ken, "{'id':1,'do':'record.save','kind':'audit_log','set':{'month':'2026-01'}}"),
        "denied");
    ck_assert_uint_eq(count_events(&ken, ""), 1);
}
END_TEST

static json_t *
verify(struct served *node)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'audit.verify'}");
    json_t *logs = json_array();

    for (;;) {
        const json_t *ok = served_granted(answer);
        json_t *next = json_incref(json_object_get(ok, "next"));

        (void)json_array_extend(logs, json_object_get(ok, "logs"));
        json_decref(answer);
        if (json_is_null(next)) {
            json_decref(next);
            return logs;
        }
        answer = served_ask(node, "{'id':1,'do':'audit.verify','after':'%s'}", json_string_value(next));
        json_decref(next);
    }
}

/* Write nonsense in the place of an entry of the events, or take it out. */
static void
damage_event(struct served *node, uint64_t seq, bool out)
{
    struct replica *replica = node->node->replica;
    const struct roster_office *office =
        roster_device(replica_roster(replica), &node->node->identity.device_id)->office;
    struct descriptor descriptor;
    struct hash log_id;
    uint8_t key[12];

    const struct log_branch *branch =
        replica_own_log(node->node->replica, &office->own[OWN_AUDIT], LANE_NORMAL, &descriptor, &log_id);
    ck_assert_ptr_nonnull(branch);
    ck_assert_uint_gt(branch->next_seq, seq);
    bytes_write_u32(key, branch->log_no);
    bytes_write_u64(key + 4, seq);
    ck_assert_int_eq(replica_begin(node->node->replica), ERR_OK);
    if (out) {
        ck_assert(table_delete(replica->main_txn, TABLE_ENT, span_of(key, sizeof key)));
    } else {
        table_put(replica->main_txn, TABLE_ENT, span_of(key, sizeof key), span_text("?"));
    }
    ck_assert_int_eq(replica_commit(node->node->replica), ERR_OK);
}

static size_t
count_damaged(const json_t *logs)
{
    size_t damaged = 0;

    for (size_t n = 0; n < json_array_size(logs); n++) {
        damaged +=
            strcmp(json_string_value(json_object_get(json_array_get(logs, n), "state")), "damaged") == 0;
    }
    return damaged;
}

START_TEST(k10_the_chain_is_verified_and_damage_is_found)
{
    char body[200];
    const char *number = save_person(&ken);

    (void)snprintf(body, sizeof body, "{'id':1,'do':'record.show','record':'%s'}", number);
    for (int n = 0; n < 100; n++) {
        ask(&ken, body);
    }
    json_t *logs = verify(&ken);
    ck_assert_uint_eq(json_array_size(logs), 2); /* its keys, and its events */
    size_t entries = 0;
    for (size_t n = 0; n < 2; n++) {
        const json_t *log = json_array_get(logs, n);
        expect_text(log, "state", "verified");
        expect_text(log, "compartment", "KEN audit");
        ck_assert_int_eq((int)json_integer_value(json_object_get(log, "verified")),
                         (int)json_integer_value(json_object_get(log, "entries")));
        entries += (size_t)json_integer_value(json_object_get(log, "entries"));
    }
    ck_assert_uint_ge(entries, 100);
    json_decref(logs);
    damage_event(&ken, 40, false);
    logs = verify(&ken);
    ck_assert_uint_eq(count_damaged(logs), 1);
    json_decref(logs);
}
END_TEST

/* What cannot be noted is not shown. */
START_TEST(a_full_disk_notes_what_is_read_as_long_as_there_is_room)
{
    char body[200];
    const char *number = save_person(&ken);

    ken.node->world.disk_full = true;
    (void)snprintf(body, sizeof body, "{'id':1,'do':'record.show','record':'%s'}", number);
    ask(&ken, body);
    ken.node->world.disk_full = false;
    ck_assert_uint_eq(count_events(&ken, ",'what':'read'"), 1);
}
END_TEST

/* --- what the node refused or noticed by itself --- */

/* A turn, as the loop makes it, with nothing else to do. Gives how it ended. */
static enum err
turn(struct served *node, bool last)
{
    enum err err = replica_begin(node->node->replica);

    ck_assert_int_eq(err, ERR_OK);
    bool good = last ? serve_stop(node->serve) : serve_write(node->serve);
    if (!good && !last) {
        ck_assert_int_eq(replica_abort(node->node->replica), ERR_OK);
        ck_assert_int_eq(replica_begin(node->node->replica), ERR_OK);
        ck_assert(serve_write(node->serve));
    }
    err = good || !last ? replica_commit(node->node->replica) : replica_abort(node->node->replica);
    serve_turn_ended(node->serve, err);
    return err;
}

static void
hear(struct served *node, const char *line)
{
    security_hear(node->security, line);
}

static const char knock[] = "event=door-refused count=3 reason=\"a transport key that is not on the roster\"";

/* Whatever the table has reaches the audit log, with the device by its name and what it means. */
START_TEST(k10_each_event_reaches_the_audit_log_in_words)
{
    const struct security_event *event;
    char line[200];
    char more[80];

    for (size_t n = 0; (event = security_event_at(n)) != NULL; n++) {
        (void)snprintf(line, sizeof line, "event=%s peer=%s count=%zu reason=\"as it is\"", event->event,
                       hash_short(&gva.node->identity.device_id).text, n + 2);
        hear(&ken, line);
        ck_assert(serve_has_writes(ken.serve));
        ck_assert_int_eq(turn(&ken, false), ERR_OK);
        ck_assert(!serve_has_writes(ken.serve));
        (void)snprintf(more, sizeof more, ",'what':'%s'", event->event);
        json_t *events = events_of(&ken, more);
        ck_assert_uint_eq(json_array_size(events), 1);
        const json_t *row = json_array_get(events, 0);
        const json_t *noticed = json_object_get(row, "noticed");
        expect_text(row, "what", "security");
        expect_text(row, "reason", "as it is");
        ck_assert_uint_eq((size_t)json_integer_value(json_object_get(row, "count")), n + 2);
        expect_text(noticed, "event", event->event);
        expect_text(noticed, "means", event->meaning);
        expect_text(json_object_get(noticed, "device"), "office", "GVA");
        (void)snprintf(line, sizeof line, "%s device=%s", event->event,
                       hash_short(&gva.node->identity.device_id).text);
        expect_text(row, "filter", line);
        json_decref(events);
    }
    served_refused(served_ask(&ken, "{'id':1,'do':'audit.list','what':'door-opened'}"), "invalid");
    /* What somebody did is told from it. */
    (void)save_person(&ken);
    ask(&ken, "{'id':1,'do':'record.search','words':'Amina'}");
    json_t *events = events_of(&ken, ",'limit':1");
    ck_assert(json_is_null(json_object_get(json_array_get(events, 0), "noticed")));
    json_decref(events);
}
END_TEST

/* One entry for the first; one more for what came until the node ends. */
START_TEST(k10_a_thousand_strangers_are_two_notes)
{
    for (int n = 0; n < 1000; n++) {
        hear(&ken, knock);
        if (serve_has_writes(ken.serve)) {
            ck_assert_int_eq(turn(&ken, false), ERR_OK);
        }
        test_world_pass(&ken.node->world, 1000);
    }
    json_t *events = events_of(&ken, "");
    ck_assert_uint_eq(json_array_size(events), 1);
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(events, 0), "count")), 3);
    json_decref(events);
    ck_assert(serve_has_last_words(ken.serve));
    ck_assert_int_eq(turn(&ken, true), ERR_OK);
    ck_assert(!serve_has_last_words(ken.serve));
    events = events_of(&ken, "");
    ck_assert_uint_eq(json_array_size(events), 2);
    const json_t *rest = json_array_get(events, 0);
    ck_assert_int_eq((int)json_integer_value(json_object_get(rest, "count")), 2997);
    const char *words = json_string_value(json_object_get(rest, "filter"));
    ck_assert_ptr_nonnull(strstr(words, "door-refused from=20"));
    ck_assert_ptr_nonnull(strstr(words, " to=20"));
    json_decref(events);
}
END_TEST

/* A note is an entry like any other: whoever takes one out or writes another in its place is found out. */
static size_t
damaged_without_a_note(bool out)
{
    for (int n = 0; n < 20; n++) {
        hear(&ken, knock);
        ck_assert_int_eq(turn(&ken, false), ERR_OK);
        test_world_pass(&ken.node->world, SECURITY_HOUR_MS);
    }
    json_t *logs = verify(&ken);
    for (size_t n = 0; n < json_array_size(logs); n++) {
        expect_text(json_array_get(logs, n), "state", "verified");
    }
    json_decref(logs);
    damage_event(&ken, 7, out);
    log_witness(security_wants, security_hear, ken.security);
    logs = verify(&ken);
    log_witness(NULL, NULL, NULL);
    size_t damaged = count_damaged(logs);
    json_decref(logs);
    /* That it was found is noted behind it: for whoever holds the log whole, and here once the entry has come again. */
    uint64_t before = journal_place_last(replica_journal(ken.node->replica));
    ck_assert(serve_has_writes(ken.serve));
    ck_assert_int_eq(turn(&ken, false), ERR_OK);
    ck_assert_uint_eq(journal_place_last(replica_journal(ken.node->replica)), before + 1);
    ck_assert(!serve_has_writes(ken.serve));
    return damaged;
}

START_TEST(k10_a_note_that_was_altered_is_found_by_the_chain)
{
    ck_assert_uint_eq(damaged_without_a_note(false), 1);
}
END_TEST

START_TEST(k10_a_note_that_was_taken_out_is_found_by_the_chain)
{
    ck_assert_uint_eq(damaged_without_a_note(true), 1);
}
END_TEST

/* A full disk: as long as there is room; then the turn fails, the node goes on, and nothing was forgotten. */
START_TEST(k10_a_full_disk_notes_what_it_can_and_keeps_the_rest)
{
    ken.node->world.disk_full = true;
    hear(&ken, knock);
    ck_assert_int_eq(turn(&ken, false), ERR_OK);
    ken.node->world.disk_full = false;
    ck_assert_uint_eq(count_events(&ken, ",'what':'door-refused'"), 1);

    hear(&ken, "event=net-silent");
    ck_assert_int_eq(replica_begin(ken.node->replica), ERR_OK);
    ck_assert(serve_write(ken.serve));
    ck_assert_int_eq(replica_abort(ken.node->replica), ERR_OK);
    serve_turn_ended(ken.serve, ERR_FULL);
    ck_assert(!serve_has_writes(ken.serve));
    ck_assert_uint_eq(count_events(&ken, ",'what':'net-silent'"), 0);
    test_world_pass(&ken.node->world, SECURITY_RETRY_MS);
    ck_assert(serve_has_writes(ken.serve));
    ck_assert_int_eq(turn(&ken, false), ERR_OK);
    ck_assert_uint_eq(count_events(&ken, ",'what':'net-silent'"), 1);
}
END_TEST

/* What vigild verify and vigild passphrase did while no node ran is noted by the next that runs, and by no other after it. */
START_TEST(k10_another_lock_and_what_verify_found_are_noted_once)
{
    char path[4200];

    log_witness(security_wants, security_hear, ken.security);
    (void)snprintf(path, sizeof path, "%s/lock", ken.node->directory);
    ck_assert_int_eq(vault_write_plain(path, span_text("one lock")), ERR_OK);
    security_look(ken.security, ken.node->replica);
    ck_assert(serve_has_writes(ken.serve)); /* what it saw is to be remembered */
    ck_assert_int_eq(turn(&ken, false), ERR_OK);
    ck_assert(!serve_has_writes(ken.serve));
    ck_assert_uint_eq(count_events(&ken, ""), 0);

    for (int n = 0; n < 2; n++) {
        /* Another process. */
        served_end(&ken);
        ck_assert_int_eq(vault_write_plain(path, span_text("another lock")), ERR_OK);
        if (n == 0) {
            ck_assert_int_eq(replica_note_verified(ken.node->replica, 5, 5), ERR_OK);
            ck_assert_int_eq(replica_note_verified(ken.node->replica, 5, 1), ERR_OK);
            ck_assert_int_eq(replica_note_verified(ken.node->replica, 0, 0), ERR_OK);
        }
        served_begin(&ken, ken.node);
        log_witness(security_wants, security_hear, ken.security);
        security_look(ken.security, ken.node->replica);
        security_look(ken.security, ken.node->replica);
        if (serve_has_writes(ken.serve)) {
            ck_assert_int_eq(turn(&ken, false), ERR_OK);
        }
        ck_assert_uint_eq(count_events(&ken, ""), 3);
    }
    ck_assert_uint_eq(count_events(&ken, ",'what':'lock-changed'"), 1);
    json_t *events = events_of(&ken, ",'what':'verify-found'");
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(events, 0), "count")), 10);
    json_decref(events);
    events = events_of(&ken, ",'what':'verify-repaired'");
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(events, 0), "count")), 4);
    json_decref(events);
    log_witness(NULL, NULL, NULL);
}
END_TEST

/* A device that was revoked writes nothing that counts: what it notices waits, and is not tried in every turn. */
START_TEST(k10_who_may_not_write_keeps_its_notes_to_itself)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf revocation = { 0 };

    memcpy(statement.revoke.key, ken.node->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = REVOKE_LOST;
    (void)test_organisation_sign(&org, &statement, "office-KEN", &revocation);
    ck_assert_int_eq(replica_begin(ken.node->replica), ERR_OK);
    ck_assert_int_eq(replica_state(ken.node->replica, buf_span(&revocation)), ERR_OK);
    ck_assert_int_eq(replica_commit(ken.node->replica), ERR_OK);
    buf_free(&revocation);
    uint64_t before = journal_place_last(replica_journal(ken.node->replica));
    hear(&ken, knock);
    ck_assert(serve_has_writes(ken.serve));
    ck_assert_int_eq(turn(&ken, false), ERR_OK);
    ck_assert(!serve_has_writes(ken.serve));
    ck_assert_uint_eq(journal_place_last(replica_journal(ken.node->replica)), before);
    test_world_pass(&ken.node->world, SECURITY_RIGHT_MS);
    ck_assert(serve_has_writes(ken.serve));
}
END_TEST

SUITE_MAIN_WITH("serve_audit", setup, teardown, what_is_strictly_confidential_is_noted_when_it_is_shown,
                who_reads_the_case_half_alone_notes_nothing, k10_a_search_is_noted_without_its_words,
                a_decision_at_a_gate_is_noted, the_log_is_listed_in_pages_the_latest_first,
                k10_nobody_writes_the_log_by_hand, k10_the_chain_is_verified_and_damage_is_found,
                a_full_disk_notes_what_is_read_as_long_as_there_is_room,
                k10_each_event_reaches_the_audit_log_in_words, k10_a_thousand_strangers_are_two_notes,
                k10_a_note_that_was_altered_is_found_by_the_chain,
                k10_a_note_that_was_taken_out_is_found_by_the_chain,
                k10_a_full_disk_notes_what_it_can_and_keeps_the_rest,
                k10_another_lock_and_what_verify_found_are_noted_once,
                k10_who_may_not_write_keeps_its_notes_to_itself)
