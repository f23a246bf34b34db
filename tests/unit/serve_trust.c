/* What people see and do when a device was lost: who it is, what is held, cuts for the ceremony, epochs, alarms. */

#include "store/base/log.h"
#include "node/value.h"
#include "store/base/world.h"
#include "sync/frontier_file.h"
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken;   /* an admin of the office */
static struct served hq;    /* headquarters, which hears of nothing by itself */
static struct served clerk; /* may write in the office, and has admin nowhere */
static struct served lost;  /* the device that is revoked */
static struct ident cases;
static char number[40]; /* of a case that ken made and the lost device changed */

/* "value" of a member that is text. */
static const char *
text(const json_t *of, const char *name)
{
    const char *value = json_string_value(json_object_get(of, name));

    return value == NULL ? "" : value;
}

static json_int_t
count(const json_t *of, const char *name)
{
    return json_integer_value(json_object_get(of, name));
}

static void
title(struct served *served, const char *value)
{
    json_t *answer =
        served_ask(served, "{'id':1,'do':'record.save','record':'%s','set':{'title':'%s'}}", number, value);

    (void)served_granted(answer);
    json_decref(answer);
}

static void
setup(void)
{
    struct served *const all[] = { &ken, &hq, &clerk, &lost };

    log_to(silent, NULL);
    test_organisation_init(&org, 31);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ken.node = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    hq.node = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    clerk.node = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
    lost.node = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    for (size_t n = 0; n < 4; n++) {
        test_node_join(&org, all[n]->node);
    }
    for (size_t n = 1; n < 4; n++) {
        test_node_exchange(ken.node, all[n]->node);
    }
    for (size_t n = 0; n < 4; n++) {
        served_begin(all[n], all[n]->node);
    }
    cases = test_compartment(ken.node, "KEN", OWN_CASES);
    json_t *answer = served_ask(
        &ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'Before','status':'draft'}}");
    (void)snprintf(number, sizeof number, "%s", text(served_granted(answer), "number"));
    json_decref(answer);
    test_node_exchange(ken.node, lost.node);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    served_end(&clerk);
    served_end(&lost);
    test_organisation_free(&org);
    saves_free();
    log_to(NULL, NULL);
}

/* --- the ceremony ------------------------------------------------------------- */

/* The frontier file of the lost device, as `at` writes it; the caller frees it. `more` goes into the request. */
static struct frontier_file
frontier_of_lost(struct served *at, const char *more)
{
    struct frontier_file file = { .log_count = 0 };
    struct joining_fault fault = { 0 };
    json_t *answer =
        served_ask(at, "{'id':1,'do':'frontier.write','device':'%s'%s}", lost.node->request.name, more);
    const char *written = text(served_granted(answer), "file");

    ck_assert_msg(frontier_file_read(span_text(written), &at->node->identity.control_key, &file, &fault) ==
                      ERR_OK,
                  "%s", fault.what);
    ck_assert_mem_eq(file.sign_pk, at->node->identity.sign.public_key, SIGN_PK_BYTES);
    ck_assert_int_eq(count(served_granted(answer), "logs"), (json_int_t)file.log_count);
    json_decref(answer);
    return file;
}

static struct statement_list
cuts_of(const struct frontier_file *file, struct buf *items)
{
    size_t cut_count = 0;

    for (size_t n = 0; n < file->log_count; n++) {
        for (size_t m = 0; m < file->logs[n].tip_count; m++) {
            const struct frontier_file_tip *tip = &file->logs[n].tips[m];

            statement_put_cut(items,
                              &(struct statement_cut){ file->logs[n].log_id, tip->seq, tip->entry_id });
            cut_count++;
        }
    }
    return statement_list_of(items, cut_count);
}

/* REVOKE the lost device by what a frontier file says (NULL: nothing of it counts). */
static struct hash
revoke(const struct frontier_file *file, struct buf *out)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf items = { 0 };

    memcpy(statement.revoke.key, lost.node->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = REVOKE_STOLEN;
    if (file != NULL) {
        statement.revoke.cuts = cuts_of(file, &items);
    }
    struct hash id = test_organisation_sign(&org, &statement, "office-KEN", out);
    buf_free(&items);
    return id;
}

static void
extend(const struct hash *revocation, const struct frontier_file *file, struct buf *out)
{
    struct statement statement = { .type = STATEMENT_EXTEND };
    struct buf items = { 0 };

    statement.extend.revoke = *revocation;
    statement.extend.cuts = cuts_of(file, &items);
    (void)test_organisation_sign(&org, &statement, "office-KEN", out);
    buf_free(&items);
}

/* The lost device writes twice before the cut and twice behind it; ken, the clerk and the device itself have all of it and hear of the
 * revocation. */
static struct hash
lose(void)
{
    struct buf statement = { 0 };

    title(&lost, "Honest");
    test_node_exchange(lost.node, ken.node);
    struct frontier_file file = frontier_of_lost(&ken, "");
    struct hash id = revoke(&file, &statement);
    title(&lost, "Stolen");
    title(&lost, "Stolen too");
    test_node_exchange(lost.node, ken.node);
    test_node_exchange(ken.node, clerk.node);
    test_node_state(ken.node, buf_span(&statement));
    test_node_state(clerk.node, buf_span(&statement));
    test_node_state(lost.node, buf_span(&statement));
    frontier_file_free(&file);
    buf_free(&statement);
    return id;
}

/* --- devices ------------------------------------------------------------------ */

/* The device among those of device.list that is `node`. */
static json_t *
listed(const json_t *answer, const struct test_node *node)
{
    char id[2 * HASH_BYTES + 1];
    size_t index;
    json_t *one;

    bytes_hex(id, hash_span(&node->identity.device_id));
    json_array_foreach(json_object_get(json_object_get(answer, "ok"), "devices"), index, one)
    {
        if (strcmp(text(one, "id"), id) == 0) {
            return one;
        }
    }
    ck_abort_msg("a device is not listed");
    return NULL;
}

START_TEST(a_revoked_device_is_listed_with_by_whom_and_why)
{
    (void)lose();
    json_t *answer = served_ask(&ken, "{'id':1,'do':'device.list'}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "devices")), 4);
    const json_t *one = listed(answer, lost.node);
    ck_assert_str_eq(text(one, "state"), "revoked");
    ck_assert_str_eq(text(one, "office"), "KEN");
    ck_assert_str_eq(text(one, "name"), lost.node->request.name);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_array_get(json_object_get(one, "notes"), 0)),
                                 "revoked by KEN: stolen"));
    ck_assert_str_eq(text(listed(answer, clerk.node), "state"), "ok");
    ck_assert(json_is_true(json_object_get(listed(answer, ken.node), "own")));
    ck_assert(json_is_null(json_object_get(listed(answer, clerk.node), "last_contact")));
    json_decref(answer);
    /* Names and who wrote what stay. */
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    char *dumped = json_dumps(answer, 0);
    ck_assert_ptr_nonnull(strstr(dumped, lost.node->request.name));
    free(dumped);
    json_decref(answer);
}
END_TEST

START_TEST(a_device_is_shown_with_its_logs_and_where_they_are_cut)
{
    (void)lose();
    json_t *answer = served_ask(&ken, "{'id':1,'do':'device.show','device':'%s'}", lost.node->request.name);
    json_t *device = served_granted(answer);
    size_t held = 0;
    size_t index;
    json_t *log;

    ck_assert_uint_eq(json_array_size(json_object_get(device, "revocations")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(device, "forks")), 0);
    json_array_foreach(json_object_get(device, "logs"), index, log)
    {
        ck_assert(json_is_true(json_object_get(log, "cut")));
        ck_assert(!json_is_true(json_object_get(log, "cut_waits")));
        ck_assert_int_eq(count(log, "next") - count(log, "counts_to"), count(log, "held"));
        held += (size_t)count(log, "held");
    }
    ck_assert_uint_ge(held, 2);
    json_decref(answer);
    /* By a part of its id, and by its fingerprint. */
    char id[2 * HASH_BYTES + 1];
    bytes_hex(id, hash_span(&lost.node->identity.device_id));
    answer = served_ask(&ken, "{'id':1,'do':'device.show','device':'%.8s'}", id);
    ck_assert_str_eq(text(served_granted(answer), "id"), id);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'device.show','device':'%s'}",
                        hash_fingerprint(&lost.node->identity.device_id).text);
    ck_assert_str_eq(text(served_granted(answer), "id"), id);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'device.show','device':'nobody'}"), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'device.show'}"), "usage");
}
END_TEST

START_TEST(a_cut_whose_entry_is_not_here_is_told)
{
    struct buf statement = { 0 };

    title(&lost, "At headquarters");
    test_node_exchange(lost.node, ken.node);
    test_node_exchange(ken.node, hq.node);
    title(&lost, "Not at headquarters");
    test_node_exchange(lost.node, ken.node);
    struct frontier_file file = frontier_of_lost(&ken, "");
    (void)revoke(&file, &statement);
    test_node_state(hq.node, buf_span(&statement));
    json_t *answer = served_ask(&hq, "{'id':1,'do':'device.show','device':'%s'}", lost.node->request.name);
    size_t waits = 0;
    size_t index;
    json_t *log;
    json_array_foreach(json_object_get(served_granted(answer), "logs"), index, log)
    {
        bool waiting = json_is_true(json_object_get(log, "cut_waits"));
        waits += waiting;
        ck_assert(!waiting || count(log, "counts_to") == count(log, "first"));
    }
    ck_assert_uint_eq(waits, 1);
    json_decref(answer);
    frontier_file_free(&file);
    buf_free(&statement);
}
END_TEST

/* --- what is held ------------------------------------------------------------- */

/* All pages of held.list; the caller frees it. */
static json_t *
held_list(struct served *served, const char *more)
{
    json_t *all = json_array();
    char after[64] = "";
    int calls = 0;

    do {
        json_t *answer = served_ask(served, "{'id':1,'do':'held.list'%s%s}", more, after);
        json_t *ok = served_granted(answer);
        const char *next = json_string_value(json_object_get(ok, "next"));

        (void)json_array_extend(all, json_object_get(ok, "entries"));
        after[0] = '\0';
        if (next != NULL) {
            (void)snprintf(after, sizeof after, ",'after':'%s'", next);
        }
        json_decref(answer);
        ck_assert_int_lt(++calls, 100);
    } while (after[0] != '\0');
    return all;
}

/* The first data entry among them. */
static const json_t *
data_entry(const json_t *entries)
{
    size_t index;
    json_t *one;

    json_array_foreach((json_t *)entries, index, one)
    {
        if (strcmp(text(one, "kind"), "data") == 0) {
            return one;
        }
    }
    ck_abort_msg("no data is held");
    return NULL;
}

START_TEST(what_lies_beyond_a_cut_is_listed_and_said_why)
{
    (void)lose();
    json_t *entries = held_list(&ken, "");
    const json_t *one = data_entry(entries);
    ck_assert_str_eq(text(one, "reason"), "beyond-cut");
    ck_assert_ptr_nonnull(strstr(text(one, "why"), "beyond the cut of "));
    ck_assert_ptr_nonnull(strstr(text(one, "why"), "stolen"));
    ck_assert_str_eq(text(one, "compartment"), "KEN cases");
    ck_assert_str_eq(text(json_object_get(one, "device"), "name"), lost.node->request.name);
    ck_assert_int_gt(count(one, "bytes"), 0);
    json_t *of_lost = held_list(&ken, ",'device':'KEN node 4'");
    ck_assert(json_equal(entries, of_lost));
    json_t *in_ones = held_list(&ken, ",'limit':1");
    ck_assert(json_equal(entries, in_ones));
    json_t *own = held_list(&ken, ",'own':true");
    ck_assert_uint_eq(json_array_size(own), 0);
    json_t *of_clerk = held_list(&ken, ",'device':'KEN node 3'");
    ck_assert_uint_eq(json_array_size(of_clerk), 0);
    json_decref(entries);
    json_decref(of_lost);
    json_decref(in_ones);
    json_decref(own);
    json_decref(of_clerk);
    served_refused(served_ask(&ken, "{'id':1,'do':'held.list','after':'x'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'held.list','own':true,'device':'KEN node 4'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'held.list','device':'KEN node 9'}"), "absent");
}
END_TEST

START_TEST(an_admin_opens_what_is_held_and_nobody_else)
{
    (void)lose();
    json_t *entries = held_list(&ken, "");
    char id[80];
    (void)snprintf(id, sizeof id, "%s", text(data_entry(entries), "id"));
    json_decref(entries);

    json_t *answer = served_ask(&ken, "{'id':1,'do':'held.show','entry':'%s'}", id);
    json_t *shown = served_granted(answer);
    ck_assert(json_is_true(json_object_get(shown, "opened")));
    ck_assert_str_eq(text(shown, "number"), number);
    const json_t *op = json_array_get(json_object_get(shown, "ops"), 0);
    ck_assert_str_eq(text(op, "target"), "title");
    ck_assert_str_eq(text(op, "value"), "Stolen");
    ck_assert(json_is_string(json_object_get(shown, "at")));
    json_decref(answer);

    /* The clerk holds it too, may read the compartment, and is not shown what nobody let in. */
    answer = served_ask(&clerk, "{'id':1,'do':'held.show','entry':'%s'}", id);
    ck_assert(json_is_false(json_object_get(served_granted(answer), "opened")));
    char *dumped = json_dumps(answer, 0);
    ck_assert_ptr_null(strstr(dumped, "Stolen"));
    free(dumped);
    json_decref(answer);
    /* Nor is whoever wrote it: a revoked device has no level any more. */
    answer = served_ask(&lost, "{'id':1,'do':'held.show','entry':'%s'}", id);
    ck_assert(json_is_false(json_object_get(served_granted(answer), "opened")));
    json_decref(answer);
    /* Of a record that is restricted nothing is shown to anybody. */
    answer = served_ask(&ken,
                        "{'id':1,'do':'record.save','record':'%s','add':[{'to':'restriction','fields':"
                        "{'reason':'consent_withdrawn'}}]}",
                        number);
    (void)served_granted(answer);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'held.show','entry':'%s'}", id);
    ck_assert(json_is_false(json_object_get(served_granted(answer), "opened")));
    ck_assert_str_eq(text(served_granted(answer), "closed"), "its record is restricted");
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'held.show','entry':'%.12s:0'}", id), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'held.show','entry':'KEN-2025-0001'}"), "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'held.show'}"), "usage");
}
END_TEST

START_TEST(a_record_says_that_entries_of_it_are_held)
{
    struct hash revocation = lose();
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    const json_t *held = json_object_get(served_granted(answer), "held");
    ck_assert_int_eq(count(held, "count"), 2);
    ck_assert_str_eq(text(held, "reason"), "beyond-cut");
    char *dumped = json_dumps(answer, 0);
    ck_assert_ptr_null(strstr(dumped, "Stolen"));
    ck_assert_ptr_nonnull(strstr(dumped, "Honest"));
    free(dumped);
    json_decref(answer);

    answer = served_ask(&ken, "{'id':1,'do':'record.history','record':'%s'}", number);
    size_t held_count = 0;
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(served_granted(answer), "entries"), index, entry)
    {
        if (strcmp(text(entry, "state"), "held") == 0) {
            held_count++;
            ck_assert_uint_eq(json_array_size(json_object_get(entry, "ops")), 0);
            ck_assert_ptr_nonnull(strstr(text(entry, "why"), "beyond the cut of "));
            json_t *shown = served_ask(&ken, "{'id':1,'do':'held.show','entry':'%s'}", text(entry, "held"));
            (void)served_granted(shown);
            json_decref(shown);
        }
    }
    ck_assert_uint_eq(held_count, 2);
    json_decref(answer);

    /* What was found to be honest is let in, and nothing is said of it any more. */
    struct buf statement = { 0 };
    struct frontier_file file = frontier_of_lost(&ken, "");
    extend(&revocation, &file, &statement);
    test_node_state(ken.node, buf_span(&statement));
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    ck_assert(json_is_null(json_object_get(served_granted(answer), "held")));
    dumped = json_dumps(answer, 0);
    ck_assert_ptr_nonnull(strstr(dumped, "Stolen too"));
    free(dumped);
    json_decref(answer);
    json_t *none = held_list(&ken, "");
    ck_assert_uint_eq(json_array_size(none), 0);
    json_decref(none);
    frontier_file_free(&file);
    buf_free(&statement);
}
END_TEST

/* What ken offers of the case compartment beyond cuts to a device that has `known` of it; gives how many entries. */
static uint64_t
offered(const struct hash *device_id, const struct heads_tip *known, size_t known_count)
{
    const struct gossip_store *store = replica_gossip_store(ken.node->replica);
    uint32_t cursor = 0;
    uint64_t entries = 0;
    uint64_t from = 0;
    struct tip tip;

    while (store->beyond(store->self, device_id, &cases, known, known_count, &cursor, &tip, &from)) {
        entries += from <= tip.seq ? tip.seq + 1 - from : 0;
        for (uint64_t next = from; next <= tip.seq;) {
            struct buf chunk = { 0 };
            ck_assert_int_eq(store->read_chunk(store->self, &tip, next, false, &chunk, &next), ERR_OK);
            buf_free(&chunk);
        }
    }
    return entries;
}

START_TEST(what_lies_beyond_cuts_is_offered_to_admins_from_where_they_are)
{
    const struct gossip_store *store = replica_gossip_store(ken.node->replica);
    const struct hash *admin = &hq.node->identity.device_id;
    struct heads_tip known = { .seq = 0 };
    uint32_t cursor = 0;
    uint64_t from = 0;
    struct tip tip;

    ck_assert_uint_eq(offered(admin, NULL, 0), 0);
    (void)lose();
    ck_assert_uint_eq(offered(admin, NULL, 0), 2);
    ck_assert_uint_eq(offered(&clerk.node->identity.device_id, NULL, 0), 0);
    ck_assert_uint_eq(offered(&lost.node->identity.device_id, NULL, 0), 0);
    ck_assert(store->beyond(store->self, admin, &cases, NULL, 0, &cursor, &tip, &from));
    memcpy(known.log_short, tip.log_id.bytes, SHORT_BYTES);
    memcpy(known.entry_short, tip.entry_id.bytes, SHORT_BYTES);
    known.seq = tip.seq;
    ck_assert_uint_eq(offered(admin, &known, 1), 0);
    known.entry_short[0] ^= 1; /* on another branch than ours */
    ck_assert_uint_eq(offered(admin, &known, 1), 2);
    /* It is no tip that anybody is told of. */
    const struct frontier *frontier = store->frontier(store->self, &cases);
    for (size_t n = 0; n < frontier->count; n++) {
        ck_assert(!hash_equal(&frontier->tips[n].log_id, &tip.log_id) || frontier->tips[n].seq < from);
    }
}
END_TEST

START_TEST(fetching_is_for_admins_and_needs_a_peer)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'held.fetch'}");
    ck_assert_int_eq(count(served_granted(answer), "asked"), 0);
    ck_assert_uint_ge(json_array_size(json_object_get(served_granted(answer), "compartments")), 3);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'held.fetch','peer':'nobody'}"), "absent");
    served_refused(served_ask(&clerk, "{'id':1,'do':'held.fetch'}"), "denied");
}
END_TEST

/* --- the device itself -------------------------------------------------------- */

static bool
warns(const json_t *status, const char *of)
{
    size_t index;
    json_t *one;

    json_array_foreach(json_object_get(status, "warnings"), index, one)
    {
        if (strstr(json_string_value(one), of) != NULL) {
            return true;
        }
    }
    return false;
}

START_TEST(people_are_told_when_what_their_device_wrote_is_held)
{
    (void)lose();
    json_t *answer = served_ask(&lost, "{'id':1,'do':'status'}");
    const json_t *status = served_granted(answer);
    ck_assert_str_eq(text(status, "revoked"), "revoked by KEN: stolen");
    ck_assert_int_ge(count(status, "own_held"), 2);
    ck_assert(warns(status, "this device was revoked by KEN: stolen"));
    ck_assert(warns(status, "vigil held list --own"));
    ck_assert(!warns(status, "import the news"));
    ck_assert_int_ge(count(json_object_get(status, "held"), "beyond-cut"), 2);
    json_decref(answer);
    json_t *own = held_list(&lost, ",'own':true");
    ck_assert_uint_ge(json_array_size(own), 2);
    json_decref(own);
    /* It is told so when it tries to write, and not that it lacks news. */
    answer = served_ask(&lost, "{'id':1,'do':'record.save','kind':'case','set':{'title':'More'}}");
    ck_assert_ptr_nonnull(strstr(text(json_object_get(answer, "error"), "message"), "revoked"));
    served_refused(answer, "denied");

    answer = served_ask(&ken, "{'id':1,'do':'status'}");
    ck_assert(json_is_null(json_object_get(served_granted(answer), "revoked")));
    ck_assert_int_eq(count(served_granted(answer), "own_held"), 0);
    ck_assert(!warns(served_granted(answer), "held list --own"));
    json_decref(answer);
}
END_TEST

/* --- reads while records are made anew ---------------------------------------- */

enum { STALE_RECORDS = 300 }; /* more than a turn makes anew by itself */

START_TEST(a_record_that_a_cut_made_stale_is_made_anew_before_it_is_shown)
{
    struct buf statement = { 0 };
    struct ident records[STALE_RECORDS];
    char id[2 * IDENT_BYTES + 1];

    saves_begin(ken.node);
    for (size_t n = 0; n < STALE_RECORDS; n++) {
        struct save_op ops[] = { saves_kind("case"), saves_set("case", "title", "Of ken") };
        records[n] = saves_new(ken.node, &cases, ops, 2);
    }
    saves_commit(ken.node);
    test_node_exchange(ken.node, lost.node);
    saves_begin(lost.node);
    for (size_t n = 0; n < STALE_RECORDS; n++) {
        ck_assert_int_eq(
            saves_change(lost.node, &cases, &records[n], saves_set("case", "title", "Of a thief")), ERR_OK);
    }
    saves_commit(lost.node);
    test_node_exchange(lost.node, ken.node);
    (void)revoke(NULL, &statement);
    /* One turn, and no tending behind it. */
    saves_begin(ken.node);
    ck_assert_int_eq(replica_state(ken.node->replica, buf_span(&statement)), ERR_OK);
    saves_commit(ken.node);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'status'}");
    ck_assert(json_is_true(json_object_get(served_granted(answer), "rebuilding")));
    ck_assert_int_gt(count(json_object_get(served_granted(answer), "pending"), "rebuild"), 0);
    json_decref(answer);
    for (size_t n = 0; n < STALE_RECORDS; n++) {
        bytes_hex(id, ident_span(&records[n]));
        answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", id);
        char *dumped = json_dumps(served_granted(answer), 0);
        ck_assert_ptr_null(strstr(dumped, "Of a thief"));
        ck_assert_ptr_nonnull(strstr(dumped, "Of ken"));
        free(dumped);
        json_decref(answer);
    }
    buf_free(&statement);
}
END_TEST

/* --- frontiers by time -------------------------------------------------------- */

START_TEST(logs_are_cut_before_the_first_entry_of_a_time)
{
    char before[40];

    title(&lost, "In time");
    test_world_pass(&lost.node->world, 3600 * 1000);
    (void)snprintf(before, sizeof before, "%s", time_print(world_wall_ms(&lost.node->world.world)).text);
    test_world_pass(&lost.node->world, 3600 * 1000);
    title(&lost, "Too late");
    title(&lost, "Much too late");
    test_node_exchange(lost.node, ken.node);

    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'frontier.cut','device':'KEN node 4','before':'%s'}", before);
    json_t *cuts = json_object_get(served_granted(answer), "cuts");
    ck_assert(json_is_null(json_object_get(served_granted(answer), "next")));
    json_int_t dropped = 0;
    size_t index;
    json_t *cut;
    json_array_foreach(cuts, index, cut)
    {
        ck_assert_int_eq(count(cut, "closed"), 0);
        dropped += count(cut, "dropped");
    }
    ck_assert_int_eq(dropped, 2);
    char *dumped = json_dumps(cuts, JSON_COMPACT);
    char more[4000];
    ck_assert_int_lt(snprintf(more, sizeof more, ",'cuts':%s", dumped), (int)sizeof more);
    free(dumped);
    json_decref(answer);

    struct frontier_file file = frontier_of_lost(&ken, more);
    struct buf statement = { 0 };
    (void)revoke(&file, &statement);
    test_node_state(ken.node, buf_span(&statement));
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    dumped = json_dumps(answer, 0);
    ck_assert_ptr_nonnull(strstr(dumped, "In time"));
    ck_assert_ptr_null(strstr(dumped, "oo late"));
    free(dumped);
    json_decref(answer);
    frontier_file_free(&file);
    buf_free(&statement);

    served_refused(
        served_ask(&ken, "{'id':1,'do':'frontier.cut','device':'KEN node 4','before':'yesterday'}"),
        "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'frontier.cut','device':'KEN node 4'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'frontier.write','cuts':{}}"), "usage");
}
END_TEST

START_TEST(a_cut_search_goes_in_slices_and_a_cut_before_everything_leaves_no_log)
{
    enum { SAVES = 300 };
    struct ident record;
    int calls = 0;
    json_t *all = json_array();
    char after[64] = "";

    saves_begin(lost.node);
    struct save_op ops[] = { saves_kind("case"), saves_set("case", "title", "First") };
    record = saves_new(lost.node, &cases, ops, 2);
    saves_commit(lost.node);
    saves_begin(lost.node);
    for (int n = 0; n < SAVES; n++) {
        ck_assert_int_eq(saves_change(lost.node, &cases, &record, saves_set("case", "title", "Again")),
                         ERR_OK);
    }
    saves_commit(lost.node);
    test_node_exchange(lost.node, ken.node);
    do {
        json_t *answer = served_ask(
            &ken, "{'id':1,'do':'frontier.cut','device':'KEN node 4','before':'9999-01-01'%s}", after);
        const char *next = json_string_value(json_object_get(served_granted(answer), "next"));

        (void)json_array_extend(all, json_object_get(served_granted(answer), "cuts"));
        after[0] = '\0';
        if (next != NULL) {
            (void)snprintf(after, sizeof after, ",'after':'%s'", next);
        }
        json_decref(answer);
        calls++;
    } while (after[0] != '\0');
    ck_assert_int_ge(calls, 2);
    struct frontier_file file = frontier_of_lost(&ken, "");
    ck_assert_uint_eq(json_array_size(all), file.log_count);
    frontier_file_free(&file);
    json_decref(all);

    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'frontier.cut','device':'KEN node 4','before':'1990-01-01'}");
    size_t index;
    json_t *cut;
    json_array_foreach(json_object_get(served_granted(answer), "cuts"), index, cut)
    {
        ck_assert(json_is_null(json_object_get(cut, "seq")));
        ck_assert(json_is_null(json_object_get(cut, "entry")));
    }
    json_decref(answer);
    file = frontier_of_lost(&ken, ",'cuts':[]");
    ck_assert_uint_eq(file.log_count, 0);
    frontier_file_free(&file);
}
END_TEST

START_TEST(a_frontier_without_a_device_has_every_log)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'frontier.write'}");
    const struct journal *journal = replica_journal(ken.node->replica);
    json_int_t logs = 0;

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        logs += journal_branch(journal, no)->parent == LOG_NONE;
    }
    ck_assert_int_eq(count(served_granted(answer), "logs"), logs);
    json_decref(answer);
}
END_TEST

/* --- epochs ------------------------------------------------------------------- */

/* The epochs of a compartment, newest first; the caller frees it. */
static json_t *
epochs(struct served *served, const char *compartment)
{
    json_t *answer = served_ask(served, "{'id':1,'do':'epoch.list','compartment':'%s'}", compartment);
    json_t *list = json_incref(json_object_get(served_granted(answer), "epochs"));

    json_decref(answer);
    return list;
}

START_TEST(an_epoch_is_listed_with_its_maker_and_who_lacks_a_box_and_a_new_one_is_made)
{
    json_t *before = epochs(&ken, "KEN cases");
    size_t made =
        json_array_size(before); /* by all who joined as admins, none of whom had heard of another */
    const json_t *first = json_array_get(before, 0);
    ck_assert_uint_ge(made, 1);
    json_int_t was = count(first, "number");
    ck_assert_str_eq(text(first, "state"), "in force");
    ck_assert_int_eq(count(first, "boxes"), 4);
    ck_assert_uint_eq(json_array_size(json_object_get(first, "without")), 0);
    ck_assert_str_eq(text(json_object_get(first, "by"), "office"), "KEN");
    json_decref(before);

    test_world_pass(&ken.node->world, 5000);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'epoch.rotate','compartment':'KEN cases'}");
    ck_assert_int_eq(count(served_granted(answer), "was"), was);
    json_decref(answer);
    json_t *after = epochs(&ken, "KEN:cases");
    ck_assert_uint_eq(json_array_size(after), made + 1);
    ck_assert_str_eq(text(json_array_get(after, 0), "state"), "in force");
    ck_assert_int_eq(count(json_array_get(after, 0), "number"), was + 1);
    ck_assert_str_eq(text(json_array_get(after, 1), "state"), "old");
    ck_assert(json_is_integer(json_object_get(json_array_get(after, 1), "age_s")));
    json_decref(after);

    served_refused(served_ask(&clerk, "{'id':1,'do':'epoch.rotate','compartment':'KEN cases'}"), "denied");
    served_refused(served_ask(&ken, "{'id':1,'do':'epoch.rotate','compartment':'control'}"), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'epoch.rotate','compartment':'XYZ cases'}"), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'epoch.rotate'}"), "usage");
}
END_TEST

START_TEST(entries_under_an_epoch_that_is_no_longer_in_force_count_and_are_counted)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'epoch.rotate','compartment':'KEN cases'}");
    json_decref(answer);
    title(&lost, "It had not heard");
    test_node_exchange(lost.node, ken.node);
    answer = served_ask(&ken, "{'id':1,'do':'epoch.list'}");
    ck_assert_int_eq(count(served_granted(answer), "old_epoch"), 1);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    char *dumped = json_dumps(answer, 0);
    ck_assert_ptr_nonnull(strstr(dumped, "It had not heard"));
    free(dumped);
    json_decref(answer);
}
END_TEST

START_TEST(a_revoked_device_has_no_box_of_the_epoch_that_follows)
{
    (void)lose();
    json_t *list = epochs(&ken, "KEN protected");
    const json_t *newest = json_array_get(list, 0);
    ck_assert_str_eq(text(newest, "state"), "in force");
    ck_assert_int_gt(count(newest, "number"), 1);
    ck_assert_int_eq(count(newest, "boxes"), 3);
    ck_assert_uint_eq(json_array_size(json_object_get(newest, "without")), 0);
    json_decref(list);
}
END_TEST

/* --- forks and setbacks ------------------------------------------------------- */

/* The lost device's folder is copied, writes, is put back, and writes again. */
static void
fork_lost(void)
{
    char command[600];

    served_end(&lost);
    ck_assert_int_eq(replica_anchor(lost.node->replica), ERR_OK);
    test_node_close(lost.node);
    (void)snprintf(command, sizeof command, "cp -a %s %s.copy", lost.node->directory, lost.node->directory);
    ck_assert_int_eq(system(command), 0);
    test_node_open(lost.node);
    served_begin(&lost, lost.node);
    title(&lost, "On one branch");
    test_node_give(lost.node, ken.node, false);
    served_end(&lost);
    test_node_close(lost.node);
    (void)snprintf(command, sizeof command, "rm -rf %s && mv %s.copy %s", lost.node->directory,
                   lost.node->directory, lost.node->directory);
    ck_assert_int_eq(system(command), 0);
    test_node_open(lost.node);
    served_begin(&lost, lost.node);
}

START_TEST(a_fork_is_an_alarm_that_names_device_log_and_entry_until_it_is_revoked)
{
    struct buf statement = { 0 };

    fork_lost();
    title(&lost, "On the other");
    test_node_give(lost.node, hq.node, false);
    test_node_exchange(ken.node, hq.node);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'status'}");
    const json_t *forks = json_object_get(served_granted(answer), "forks");
    ck_assert_uint_ge(json_array_size(forks), 1);
    const json_t *fork = json_array_get(forks, 0);
    ck_assert_str_eq(text(json_object_get(fork, "device"), "name"), lost.node->request.name);
    ck_assert_uint_eq(strlen(text(fork, "log")), 2 * HASH_BYTES);
    ck_assert(!json_is_true(json_object_get(fork, "own")));
    ck_assert(warns(served_granted(answer), "signed two entries with number"));
    ck_assert(warns(served_granted(answer), "vigil digest --frontier"));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'device.list'}");
    ck_assert_str_eq(text(listed(answer, lost.node), "state"), "forked");
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'device.show','device':'KEN node 4'}");
    ck_assert_uint_ge(json_array_size(json_object_get(served_granted(answer), "forks")), 1);
    json_decref(answer);

    /* Revoked, it needs nobody's attention any more, and is still on record. */
    (void)revoke(NULL, &statement);
    test_node_state(ken.node, buf_span(&statement));
    answer = served_ask(&ken, "{'id':1,'do':'status'}");
    ck_assert_uint_ge(json_array_size(json_object_get(served_granted(answer), "forks")), 1);
    ck_assert(!warns(served_granted(answer), "signed two entries"));
    json_decref(answer);
    buf_free(&statement);
}
END_TEST

/* The first data entry of each branch in the case compartment where the lost device's log forked. */
static const json_t *
branches_of_cases(const json_t *forks)
{
    size_t index;
    json_t *fork;

    json_array_foreach((json_t *)forks, index, fork)
    {
        if (strcmp(text(fork, "compartment"), "KEN cases") == 0) {
            return json_object_get(fork, "branches");
        }
    }
    ck_abort_msg("no log of cases forked");
    return NULL;
}

START_TEST(a_frontier_leaves_the_branch_out_that_was_not_the_owners)
{
    char more[200];
    struct buf statement = { 0 };

    fork_lost();
    test_world_pass(&lost.node->world, 3600 * 1000);
    title(&lost, "On the other");
    test_node_give(lost.node, hq.node, false);
    test_node_exchange(ken.node, hq.node);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'device.show','device':'KEN node 4'}");
    const json_t *branches = branches_of_cases(json_object_get(served_granted(answer), "forks"));
    ck_assert_uint_eq(json_array_size(branches), 2);
    /* The one that was written an hour later is the thief's. */
    size_t later =
        strcmp(text(json_array_get(branches, 0), "at"), text(json_array_get(branches, 1), "at")) > 0 ? 0 : 1;
    ck_assert_str_ne(text(json_array_get(branches, 0), "at"), text(json_array_get(branches, 1), "at"));
    (void)snprintf(more, sizeof more, ",'without':['%s']", text(json_array_get(branches, later), "id"));
    struct frontier_file all = frontier_of_lost(&ken, "");
    struct frontier_file honest = frontier_of_lost(&ken, more);
    size_t tips[2] = { 0, 0 };
    for (size_t n = 0; n < all.log_count; n++) {
        tips[0] += all.logs[n].tip_count;
    }
    for (size_t n = 0; n < honest.log_count; n++) {
        tips[1] += honest.logs[n].tip_count;
    }
    ck_assert_uint_eq(honest.log_count, all.log_count);
    /* Where the branch left stays, as an ancestor of the other one. */
    ck_assert_uint_ge(tips[0], tips[1]);
    json_decref(answer);
    (void)revoke(&honest, &statement);
    test_node_state(ken.node, buf_span(&statement));
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    char *dumped = json_dumps(answer, 0);
    ck_assert_ptr_nonnull(strstr(dumped, "On one branch"));
    ck_assert_ptr_null(strstr(dumped, "On the other"));
    free(dumped);
    json_decref(answer);
    frontier_file_free(&all);
    frontier_file_free(&honest);
    buf_free(&statement);
    served_refused(served_ask(&ken, "{'id':1,'do':'frontier.write','without':'x'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'frontier.write','without':['x']}"), "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'frontier.write','without':['000000:7']}"), "absent");
}
END_TEST

START_TEST(i14_a_node_that_was_set_back_says_so)
{
    fork_lost();
    json_t *answer = served_ask(&lost, "{'id':1,'do':'status'}");
    ck_assert_int_eq(count(json_object_get(served_granted(answer), "setbacks"), "lost_tails"), 0);
    json_decref(answer);
    test_node_give(ken.node, lost.node, false);
    answer = served_ask(&lost, "{'id':1,'do':'status'}");
    const json_t *setbacks = json_object_get(served_granted(answer), "setbacks");
    ck_assert_int_ge(count(setbacks, "lost_tails"), 1);
    ck_assert_int_ge(count(setbacks, "incarnations"), 1);
    ck_assert(warns(served_granted(answer), "had lost entries that it had signed"));
    json_decref(answer);
    title(&lost, "In new logs");
    test_node_exchange(lost.node, ken.node);
    answer = served_ask(&ken, "{'id':1,'do':'status'}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "forks")), 0);
    json_decref(answer);
}
END_TEST

/* --- last contact ------------------------------------------------------------- */

START_TEST(the_last_contact_with_a_device_outlives_the_process)
{
    struct peer *peer = peers_by_device(ken.peers, &clerk.node->identity.device_id);
    struct table_txn *txn = NULL;

    ck_assert_ptr_nonnull(peer);
    peer->contact_ms = UINT64_C(1750000000000);
    for (int later = 0; later < 2; later++) {
        saves_begin(ken.node);
        ck_assert_int_eq(replica_begin_read(ken.node->replica, &txn), ERR_OK);
        peers_keep_contacts(ken.peers, txn, false);
        replica_end_read(ken.node->replica, &txn);
        saves_commit(ken.node);
        peer->contact_ms += PEER_CONTACT_MS - 1; /* not worth a row yet */
    }
    served_end(&ken);
    served_begin(&ken, ken.node);
    ck_assert_int_eq(replica_begin_read(ken.node->replica, &txn), ERR_OK);
    ck_assert_int_eq(peers_load(ken.peers, txn), ERR_OK);
    replica_end_read(ken.node->replica, &txn);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'device.list'}");
    ck_assert_str_eq(text(listed(answer, clerk.node), "last_contact"), "2025-06-15T15:06:40.000Z");
    json_decref(answer);
}
END_TEST

SUITE_MAIN_WITH("serve_trust", setup, teardown, a_revoked_device_is_listed_with_by_whom_and_why,
                a_device_is_shown_with_its_logs_and_where_they_are_cut, a_cut_whose_entry_is_not_here_is_told,
                what_lies_beyond_a_cut_is_listed_and_said_why, an_admin_opens_what_is_held_and_nobody_else,
                a_record_says_that_entries_of_it_are_held,
                what_lies_beyond_cuts_is_offered_to_admins_from_where_they_are,
                fetching_is_for_admins_and_needs_a_peer, people_are_told_when_what_their_device_wrote_is_held,
                a_record_that_a_cut_made_stale_is_made_anew_before_it_is_shown,
                logs_are_cut_before_the_first_entry_of_a_time,
                a_cut_search_goes_in_slices_and_a_cut_before_everything_leaves_no_log,
                a_frontier_without_a_device_has_every_log,
                an_epoch_is_listed_with_its_maker_and_who_lacks_a_box_and_a_new_one_is_made,
                entries_under_an_epoch_that_is_no_longer_in_force_count_and_are_counted,
                a_revoked_device_has_no_box_of_the_epoch_that_follows,
                a_fork_is_an_alarm_that_names_device_log_and_entry_until_it_is_revoked,
                a_frontier_leaves_the_branch_out_that_was_not_the_owners,
                i14_a_node_that_was_set_back_says_so, the_last_contact_with_a_device_outlives_the_process)
