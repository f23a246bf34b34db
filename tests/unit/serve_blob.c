/* Files as people meet them: taken in, listed, opened, exported, put away; and what custody and audit log say of it. */
#include "tests/support/check.h"
#include "tests/support/marker.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"
#include "store/blob.h"
#include "store/shelf.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTENT_BYTES = 60 * BLOB_CHUNK_BYTES + 5 }; /* two pieces */

static struct test_organisation org;
static struct served ken; /* reads both halves */
static struct served hq;
static struct served gva; /* reads and writes the case half alone */
static char number[40];   /* of a case */
static uint8_t *content;

static void
new_record(const char *body, char number_out[40])
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.save',%s}", body);

    (void)snprintf(number_out, 40, "%s",
                   json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
}

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    log_to(silent, NULL);
    test_organisation_init_with(&org, 57, 3, 1);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=write", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "GVA", "Geneva", false, grants, count, &fault), ERR_OK);
    org.roles = ROLE_CASE_WORK | ROLE_REVIEW;
    struct test_node *first = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *second = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    struct test_node *third = test_organisation_enrol(&org, "GVA", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, first);
    test_node_join(&org, second);
    test_node_join(&org, third);
    test_node_exchange(first, second);
    test_node_exchange(first, third);
    served_begin(&ken, first);
    served_begin(&hq, second);
    served_begin(&gva, third);
    new_record("'kind':'case','set':{'title':'A march','status':'draft','urgency':'routine'},"
               "'add':[{'to':'country_of_act','value':'KEN'}]",
               number);
    content = malloc(CONTENT_BYTES);
    for (size_t n = 0; n < CONTENT_BYTES; n++) {
        content[n] = (uint8_t)(n * 7 + n / 1000);
    }
}

static void
teardown(void)
{
    free(content);
    served_end(&ken);
    served_end(&hq);
    served_end(&gva);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

/* --- bringing a file --- */

static json_t *
ask(struct served *node, json_t *body)
{
    (void)json_object_set_new(body, "id", json_integer(1));
    json_t *answer = serve_one(node->serve, body);
    ck_assert_ptr_nonnull(answer);
    return answer;
}

static int64_t
begin(struct served *node, const char *record, size_t size, const char *more)
{
    json_t *answer = served_ask(node,
                                "{'id':1,'do':'blob.add.begin','record':'%s','size':%zu,"
                                "'media_type':'image/jpeg','name':'march-M4RK3R.jpg'%s}",
                                record, size, more);
    int64_t add = json_integer_value(json_object_get(served_granted(answer), "add"));

    ck_assert_int_gt(add, 0);
    json_decref(answer);
    return add;
}

static json_t *
bring(struct served *node, int64_t add, size_t at, size_t size)
{
    struct buf text = { 0 };

    crypto_base64(&text, span_of(content + at, size));
    json_t *answer = ask(node, json_pack("{s:s,s:I,s:I,s:s%}", "do", "blob.add.bytes", "add", (json_int_t)add,
                                         "at", (json_int_t)at, "data", (const char *)text.data, text.size));
    buf_free(&text);
    return answer;
}

static void
bring_all(struct served *node, int64_t add, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t part = size - at < 48 * BLOB_CHUNK_BYTES ? size - at : 48 * BLOB_CHUNK_BYTES;
        json_t *answer = bring(node, add, at, part);

        (void)served_granted(answer);
        json_decref(answer);
        at += part;
    }
}

static json_t *
end(struct served *node, int64_t add)
{
    return served_ask(node, "{'id':1,'do':'blob.add.end','add':%lld}", (long long)add);
}

/* The address of a new file. */
static void
add_file(struct served *node, const char *record, size_t size, const char *more, char file_out[65])
{
    int64_t add = begin(node, record, size, more);

    bring_all(node, add, size);
    json_t *answer = end(node, add);
    (void)snprintf(file_out, 65, "%s", json_string_value(json_object_get(served_granted(answer), "file")));
    ck_assert_uint_eq(strlen(file_out), 64);
    json_decref(answer);
}

static json_t *
list(struct served *node, const char *record)
{
    return served_ask(node, "{'id':1,'do':'blob.list','record':'%s'}", record);
}

static const char *
text_at(const json_t *answer, const char *path)
{
    const char *text = json_string_value(served_member(answer, path));

    return text == NULL ? "" : text;
}

static json_int_t
number_at(const json_t *answer, const char *path)
{
    return json_integer_value(served_member(answer, path));
}

/* Take it out, and hold every byte against what was brought. The error's code, "" if all came. */
static const char *
take(struct served *node, const char *record, const char *how, size_t size)
{
    static char code[40];
    json_t *answer = served_ask(node,
                                "{'id':1,'do':'blob.get.begin','record':'%s','how':'%s',"
                                "'reason':'for the lawyer of the family'}",
                                record, how);
    size_t at = 0;
    bool ended = false;

    (void)snprintf(code, sizeof code, "%s", text_at(answer, "error.code"));
    json_int_t get = number_at(answer, "ok.get");
    json_decref(answer);
    while (code[0] == '\0' && !ended) {
        struct buf bytes = { 0 };

        answer = served_ask(node, "{'id':1,'do':'blob.get.bytes','get':%lld,'at':%zu}", (long long)get, at);
        (void)snprintf(code, sizeof code, "%s", text_at(answer, "error.code"));
        if (code[0] == '\0') {
            ck_assert(crypto_base64_read(&bytes, span_text(text_at(answer, "ok.data"))));
            ck_assert_uint_le(at + bytes.size, size);
            EXPECT(memcmp(bytes.data, content + at, bytes.size) == 0 || bytes.size == 0);
            at += bytes.size;
            ended = json_is_true(served_member(answer, "ok.end"));
        }
        buf_free(&bytes);
        json_decref(answer);
    }
    ck_assert(code[0] != '\0' || at == size);
    return code;
}

/* --- tests --- */

/* How often each custody event was noted of the case, by its code. */
static size_t
custody_count(struct served *node, const char *event)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.show','record':'%s'}", number);
    char *text = json_dumps(answer, JSON_COMPACT);
    char wanted[64];
    size_t count = 0;

    (void)snprintf(wanted, sizeof wanted, "\"value\":\"%s\"", event);
    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++) {
        count++;
    }
    free(text);
    json_decref(answer);
    return count;
}

START_TEST(a_file_comes_back_as_it_was_and_custody_says_who_had_it)
{
    char file[65];

    add_file(&ken, number, CONTENT_BYTES, "", file);
    json_t *answer = list(&ken, number);
    (void)served_granted(answer);
    ck_assert_str_eq(text_at(answer, "ok.files.0.file"), file);
    ck_assert_str_eq(text_at(answer, "ok.files.0.collection"), "evidence");
    ck_assert_str_eq(text_at(answer, "ok.files.0.state"), "here");
    ck_assert_str_eq(text_at(answer, "ok.files.0.media_type"), "image/jpeg");
    ck_assert_str_eq(text_at(answer, "ok.files.0.name"), "march-M4RK3R.jpg");
    ck_assert_str_eq(text_at(answer, "ok.files.0.derivation"), "original");
    ck_assert_int_eq(strncmp(text_at(answer, "ok.files.0.content_hash"), "sha256:", 7), 0);
    ck_assert_int_eq(number_at(answer, "ok.files.0.size"), CONTENT_BYTES);
    ck_assert_int_eq(number_at(answer, "ok.files.0.holders.held"), 1);
    ck_assert_int_eq(number_at(answer, "ok.files.0.holders.of"), 3);
    json_decref(answer);
    ck_assert_uint_eq(custody_count(&ken, "received"), 1);
    ck_assert_str_eq(take(&ken, number, "open", CONTENT_BYTES), "");
    ck_assert_uint_eq(custody_count(&ken, "opened"), 1);
    ck_assert_str_eq(take(&ken, number, "export", CONTENT_BYTES), "");
    ck_assert_str_eq(take(&ken, number, "copy", CONTENT_BYTES), "");
    ck_assert_uint_eq(custody_count(&ken, "exported"), 1);
    ck_assert_uint_eq(custody_count(&ken, "copied"), 1);
}
END_TEST

START_TEST(what_goes_out_is_in_the_audit_log_before_it_goes)
{
    char file[65];

    add_file(&ken, number, 100, "", file);
    json_t *answer = served_ask(&ken,
                                "{'id':1,'do':'blob.get.begin','record':'%s','how':'export',"
                                "'reason':'for the lawyer of the family'}",
                                number);
    (void)served_granted(answer);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'audit.list','what':'export'}");
    (void)served_granted(answer);
    ck_assert_str_eq(text_at(answer, "ok.events.0.reason"), "for the lawyer of the family");
    ck_assert_str_eq(text_at(answer, "ok.events.0.fields"), "evidence.file");
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'blob.get.begin','record':'%s','how':'export'}", number),
                   "usage");
    served_refused(
        served_ask(&ken, "{'id':1,'do':'blob.get.begin','record':'%s','how':'export','reason':'because'}",
                   number),
        "invalid");
}
END_TEST

START_TEST(who_reads_the_case_half_alone_sees_that_there_is_a_file_and_no_more)
{
    char file[65];

    add_file(&ken, number, 100, "", file);
    test_node_exchange(ken.node, gva.node);
    json_t *answer = list(&gva, number);
    (void)served_granted(answer);
    ck_assert_str_eq(text_at(answer, "ok.files.0.file"), file);
    ck_assert_str_eq(text_at(answer, "ok.files.0.state"), "wanted");
    ck_assert(json_is_false(served_member(answer, "ok.files.0.readable")));
    ck_assert(json_is_null(served_member(answer, "ok.files.0.name")));
    ck_assert(json_is_null(served_member(answer, "ok.files.0.content_hash")));
    json_decref(answer);
    ck_assert_str_eq(take(&gva, number, "open", 100), "locked");
    /* Nor does it take in what it could not keep the key of. */
    served_refused(
        served_ask(&gva, "{'id':1,'do':'blob.add.begin','record':'%s','size':5,'media_type':'text/plain'}",
                   number),
        "denied");
    /* Of what shows nobody it keeps and reads the key. */
    content[0] = 'x';
    add_file(&gva, number, 50, ",'shows_nobody':true", file);
    json_t *again = served_ask(
        &gva, "{'id':1,'do':'blob.get.begin','record':'%s','how':'open','file':'%.12s'}", number, file);
    (void)served_granted(again);
    json_decref(again);
}
END_TEST

START_TEST(a_person_has_attachments_and_none_that_shows_nobody)
{
    char person[40];
    char file[65];

    new_record("'kind':'person','set':{'pseudonym':'P-7','counting_unit':'individual','gender':'woman'}",
               person);
    add_file(&ken, person, 100, "", file);
    json_t *answer = list(&ken, person);
    (void)served_granted(answer);
    ck_assert_str_eq(text_at(answer, "ok.files.0.collection"), "attachment");
    ck_assert(json_is_true(served_member(answer, "ok.files.0.readable")));
    json_decref(answer);
    ck_assert_str_eq(take(&ken, person, "open", 100), "");
    served_refused(
        served_ask(&ken,
                   "{'id':1,'do':'blob.add.begin','record':'%s','size':5,'media_type':'text/plain',"
                   "'shows_nobody':true}",
                   person),
        "invalid");
}
END_TEST

START_TEST(what_is_not_as_it_was_said_is_not_taken)
{
    char file[65];

    served_refused(
        served_ask(&ken, "{'id':1,'do':'blob.add.begin','record':'%s','size':0,'media_type':'text/plain'}",
                   number),
        "invalid");
    served_refused(
        served_ask(&ken,
                   "{'id':1,'do':'blob.add.begin','record':'%s','size':4294967297,'media_type':'text/plain'}",
                   number),
        "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'blob.add.begin','record':'%s','size':5}", number),
                   "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'blob.add.end','add':77}"), "absent");
    int64_t add = begin(&ken, number, 100, "");
    served_refused(bring(&ken, add, 1, 5), "usage");
    json_t *answer = bring(&ken, add, 0, 99);
    (void)served_granted(answer);
    json_decref(answer);
    served_refused(bring(&ken, add, 0, 5), "usage");
    served_refused(end(&ken, add), "invalid");
    add = begin(&ken, number, 100, "");
    served_refused(bring(&ken, add, 0, 101), "invalid");
    served_refused(end(&ken, add), "absent");
    /* Another content than the one that was said. */
    add = begin(&ken, number, 100, "");
    bring_all(&ken, add, 100);
    served_refused(served_ask(&ken, "{'id':1,'do':'blob.add.end','add':%lld,'sha256':'00'}", (long long)add),
                   "invalid");
    served_refused(
        served_ask(&ken,
                   "{'id':1,'do':'blob.add.begin','record':'%s','size':5,'media_type':'a/b','name':'%0300d'}",
                   number, 7),
        "invalid");
    /* A field that is none, or that the node itself fills in. */
    static const char *const bad[] = { "'colour':'red'", "'key':'00'", "'size':'7'", "'file':'00'",
                                       "'captured_at':'no day'" };
    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        char more[80];

        (void)snprintf(more, sizeof more, ",'set':{%s}", bad[n]);
        add = begin(&ken, number, 100, more);
        bring_all(&ken, add, 100);
        served_refused(end(&ken, add), "invalid");
    }
    answer = list(&ken, number);
    ck_assert_uint_eq(json_array_size(served_member(answer, "ok.files")), 0);
    json_decref(answer);
    ck_assert_uint_eq(custody_count(&ken, "received"), 0);
    /* The same file twice is one file. */
    add_file(&ken, number, 100, "", file);
    add = begin(&ken, number, 100, "");
    bring_all(&ken, add, 100);
    served_refused(end(&ken, add), "exists");
}
END_TEST

START_TEST(a_redacted_version_says_what_it_was_made_from)
{
    char file[65];
    char more[160];

    add_file(&ken, number, 100, ",'set':{'captured_at':'2026-03-01'}", file);
    json_t *answer = list(&ken, number);
    (void)snprintf(more, sizeof more, ",'set':{'derivation':'redacted','derived_from':'%s'}",
                   text_at(answer, "ok.files.0.element"));
    json_decref(answer);
    content[0] ^= 1;
    add_file(&ken, number, 100, more, file);
    answer = list(&ken, number);
    ck_assert_uint_eq(json_array_size(served_member(answer, "ok.files")), 2);
    json_decref(answer);
    /* Each was received, and of the first a redacted version was made; "redacted" is what the second one is, too. */
    ck_assert_uint_eq(custody_count(&ken, "received"), 2);
    ck_assert_uint_eq(custody_count(&ken, "redacted"), 2);
    served_refused(served_ask(&ken, "{'id':1,'do':'blob.get.begin','record':'%s','how':'open'}", number),
                   "conflict");
    served_refused(
        served_ask(&ken, "{'id':1,'do':'blob.get.begin','record':'%s','how':'open','file':'zz'}", number),
        "absent");
}
END_TEST

/* --- what is here and what is not --- */

static json_t *
status(struct served *node)
{
    return served_ask(node, "{'id':1,'do':'blob.status'}");
}

START_TEST(text_comes_before_pictures_and_both_states_are_shown)
{
    char file[65];

    add_file(&ken, number, CONTENT_BYTES, "", file);
    test_node_exchange(ken.node, hq.node);
    json_t *answer = status(&hq);
    (void)served_granted(answer);
    ck_assert_int_eq(number_at(answer, "ok.here"), 0);
    ck_assert_int_eq(number_at(answer, "ok.wanted"), 1);
    ck_assert_int_eq(number_at(answer, "ok.wanted_bytes"), CONTENT_BYTES);
    ck_assert_str_eq(text_at(answer, "ok.files.0.file"), file);
    json_decref(answer);
    answer = list(&hq, number);
    ck_assert_str_eq(text_at(answer, "ok.files.0.state"), "wanted");
    ck_assert_str_eq(text_at(answer, "ok.files.0.name"), "march-M4RK3R.jpg");
    json_decref(answer);
    ck_assert_str_eq(take(&hq, number, "open", CONTENT_BYTES), "absent");
    answer = served_ask(&hq, "{'id':1,'do':'blob.want','record':'%s'}", number);
    (void)served_granted(answer);
    json_decref(answer);
}
END_TEST

/* In a turn of hq: a frame of ken. */
static void
hear(struct buf *frame)
{
    uint64_t now_ms = hq.node->world.steady_ms;

    ck_assert_int_eq(replica_begin(hq.node->replica), ERR_OK);
    gossip_receive(hq.gossip, 1, buf_span(frame), now_ms);
    ck_assert_int_eq(replica_commit(hq.node->replica), ERR_OK);
    gossip_tick(hq.gossip, now_ms);
    (void)gossip_flush(hq.gossip, now_ms);
    buf_clear(frame);
}

START_TEST(who_sent_what_was_not_of_its_file_is_named)
{
    struct ident cases = test_compartment(ken.node, "KEN", OWN_CASES);
    uint8_t wrong[HASH_BYTES] = { 1 };
    struct blob_have_item item = { .chunk_count = 61 };
    struct blob_part part = { .chunk_count = 61, .piece = BLOB_HEAD, .bytes = span_of(wrong, sizeof wrong) };
    struct hello hello = { .min = PROTOCOL_MIN,
                           .max = PROTOCOL_MAX,
                           .profile = PROFILE_LAN,
                           .credit_bytes = 1 << 20,
                           .version = span_text("liar") };
    struct buf frame = { 0 };
    char file[65];

    add_file(&ken, number, CONTENT_BYTES, "", file);
    test_node_exchange(ken.node, hq.node);
    json_t *answer = status(&hq);
    ck_assert_uint_eq(json_array_size(served_member(answer, "ok.refused")), 0);
    json_decref(answer);
    ck_assert(bytes_from_hex(item.address.bytes, HASH_BYTES, file));
    part.address = item.address;
    memcpy(part.tag, cases.bytes, TAG_BYTES);
    ck_assert_int_eq(gossip_up(hq.gossip, 1, &ken.node->identity.device_id, false, hq.node->world.steady_ms),
                     ERR_OK);
    hello_write(&frame, &hello);
    hear(&frame);
    /* Control does not move: the others wait for it no longer. */
    test_world_pass(&hq.node->world, 60 * 1000);
    blob_have_write(&frame, cases.bytes);
    blob_have_item_write(&frame, &item);
    hear(&frame);
    blob_part_write(&frame, &part);
    hear(&frame);
    buf_free(&frame);
    answer = status(&hq);
    ck_assert_uint_eq(json_array_size(served_member(answer, "ok.refused")), 1);
    ck_assert_int_eq(number_at(answer, "ok.refused.0.parts"), 1);
    ck_assert_str_eq(text_at(answer, "ok.refused.0.device.office"), "KEN");
    json_decref(answer);
}
END_TEST

START_TEST(what_nobody_else_holds_is_put_away_only_if_it_may_be_lost)
{
    struct table_txn *txn = NULL;
    struct hash address;
    char file[65];

    add_file(&ken, number, 100, "", file);
    ck_assert(bytes_from_hex(address.bytes, HASH_BYTES, file));
    served_refused(served_ask(&ken, "{'id':1,'do':'blob.evict','record':'%s'}", number), "denied");
    ck_assert_int_eq(replica_begin(ken.node->replica), ERR_OK);
    ck_assert_int_eq(replica_begin_read(ken.node->replica, &txn), ERR_OK);
    shelf_note_holder(txn, &address, &hq.node->identity.device_id, 5, 3);
    replica_end_read(ken.node->replica, &txn);
    ck_assert_int_eq(replica_commit(ken.node->replica), ERR_OK);
    json_t *answer = list(&ken, number);
    ck_assert_int_eq(number_at(answer, "ok.files.0.holders.held"), 2);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'blob.evict','file':'%s'}", file);
    ck_assert_str_eq(text_at(answer, "ok.state"), "away");
    (void)served_granted(answer);
    json_decref(answer);
    test_node_tend(ken.node);
    /* It is not deleted: the record names it still, and its file is gone from this disk. */
    answer = list(&ken, number);
    ck_assert_str_eq(text_at(answer, "ok.files.0.state"), "away");
    ck_assert_int_eq(number_at(answer, "ok.files.0.holders.held"), 1);
    json_decref(answer);
    struct blob_file *open_file = NULL;
    ck_assert_int_eq(blob_open(&open_file, replica_blobs(ken.node->replica), &address), ERR_ABSENT);
    ck_assert_str_eq(take(&ken, number, "open", 100), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'blob.evict','file':'%064d','although_only':true}", 0),
                   "absent");
}
END_TEST

START_TEST(damage_is_found_named_and_wanted_again)
{
    struct hash address;
    char file[65];
    char path[300];
    uint8_t byte = 0xff;

    add_file(&ken, number, CONTENT_BYTES, "", file);
    ck_assert(bytes_from_hex(address.bytes, HASH_BYTES, file));
    (void)snprintf(path, sizeof path, "%s/blobs/%s", ken.node->directory, file);
    int raw = open(path, O_RDWR);
    ck_assert_int_eq(pwrite(raw, &byte, 1, (off_t)blob_file_bytes(61) - 50 * BLOB_SEALED_BYTES), 1);
    close(raw);
    ck_assert_str_eq(take(&ken, number, "open", CONTENT_BYTES), "corrupt");
    json_t *answer = served_ask(&ken, "{'id':1,'do':'blob.verify','record':'%s'}", number);
    (void)served_granted(answer);
    ck_assert_int_eq(number_at(answer, "ok.checked"), 61);
    ck_assert_int_eq(number_at(answer, "ok.damaged"), 1);
    ck_assert(json_is_null(served_member(answer, "ok.next")));
    json_decref(answer);
    answer = list(&ken, number);
    ck_assert_str_eq(text_at(answer, "ok.files.0.state"), "partly");
    ck_assert_int_eq(number_at(answer, "ok.files.0.held_chunks"), 60);
    json_decref(answer);
    /* A file that somebody removed by hand is wanted whole. */
    (void)strcat(path, ".part");
    ck_assert_int_eq(unlink(path), 0);
    answer = served_ask(&ken, "{'id':1,'do':'blob.verify','record':'%s'}", number);
    ck_assert_int_eq(number_at(answer, "ok.damaged"), 61);
    json_decref(answer);
    answer = list(&ken, number);
    ck_assert_str_eq(text_at(answer, "ok.files.0.state"), "wanted");
    json_decref(answer);
}
END_TEST

START_TEST(a_restricted_record_gives_no_file_out)
{
    char file[65];

    add_file(&ken, number, 100, "", file);
    int64_t add = begin(&ken, number, 5, "");
    bring_all(&ken, add, 5);
    json_t *answer = served_ask(
        &ken,
        "{'id':1,'do':'record.save','record':'%s','add':[{'to':'restriction','fields':{'reason':'safety'}}]}",
        number);
    (void)served_granted(answer);
    json_decref(answer);
    ck_assert_str_eq(take(&ken, number, "open", 100), "denied");
    served_refused(list(&ken, number), "denied");
    served_refused(end(&ken, add), "denied");
}
END_TEST

/* Only the key opens a file, and no answer of the node has it: not the record, its history, an export or the list. */
START_TEST(no_answer_and_no_file_tells_the_key_of_a_file)
{
    static const char *const calls[] = { "record.show", "record.history", "blob.list" };
    struct table_txn *txn = NULL;
    struct arena arena = { 0 };
    struct replica_view view;
    uint8_t key[KEY_BYTES] = { 0 };
    char key_hex[2 * KEY_BYTES + 1];
    char file[65];

    add_file(&ken, number, 100, "", file);
    /* The key itself, from the view. */
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    struct ident id;
    ck_assert(bytes_from_hex(id.bytes, IDENT_BYTES, text_at(answer, "ok.id")));
    json_decref(answer);
    struct ident cases = test_compartment(ken.node, "KEN", OWN_CASES);
    ck_assert_int_eq(replica_begin_read(ken.node->replica, &txn), ERR_OK);
    ck_assert_int_eq(replica_read(ken.node->replica, &cases, &id, &arena, &view), ERR_OK);
    for (size_t n = 0; n < view.protected_half->target_count; n++) {
        const struct record_target *target = &view.protected_half->targets[n];
        if (target->target.field == FIELD_EVIDENCE_KEY) {
            ck_assert_uint_eq(target->shown[0].size, 2 + BLOB_KEY_BYTES);
            memcpy(key, target->shown[0].data + 2, KEY_BYTES);
        }
    }
    replica_end_read(ken.node->replica, &txn);
    arena_free(&arena);
    bytes_hex(key_hex, span_of(key, sizeof key));
    ck_assert(key[0] != 0 || key[1] != 0);
    for (size_t n = 0; n < sizeof calls / sizeof calls[0]; n++) {
        answer = served_ask(&ken, "{'id':1,'do':'%s','record':'%s'}", calls[n], number);
        (void)served_granted(answer);
        char *text = json_dumps(answer, JSON_COMPACT);
        ck_assert_ptr_null(strstr(text, key_hex));
        free(text);
        json_decref(answer);
    }
    answer = served_ask(&ken, "{'id':1,'do':'record.export','kinds':['case'],'level':'L3','page':0,"
                              "'reason':'for the lawyer of the family'}");
    (void)served_granted(answer);
    char *text = json_dumps(answer, JSON_COMPACT);
    ck_assert_ptr_nonnull(strstr(text, file));
    ck_assert_ptr_null(strstr(text, key_hex));
    free(text);
    json_decref(answer);
    ck_assert_uint_eq(marker_count(ken.node->directory, span_of(key, sizeof key)), 0);
    ck_assert_uint_eq(marker_count(ken.node->directory, span_text("march-M4RK3R")), 0);
}
END_TEST

START_TEST(what_was_being_brought_is_gone_with_who_brought_it)
{
    char path[300];

    int64_t add = begin(&ken, number, CONTENT_BYTES, "");
    json_t *answer = bring(&ken, add, 0, 10000);
    (void)served_granted(answer);
    json_decref(answer);
    /* A second one of the same client takes its place. */
    int64_t other = begin(&ken, number, 10, "");
    served_refused(bring(&ken, add, 10000, 5), "absent");
    bring_all(&ken, other, 10);
    served_end(&ken);
    served_begin(&ken, ken.node);
    (void)snprintf(path, sizeof path, "%s/blobs", ken.node->directory);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, NULL);
    ck_assert_int_eq(count, 2); /* . and .. */
    for (int n = 0; n < count; n++) {
        free(entries[n]);
    }
    free(entries);
}
END_TEST

SUITE_MAIN_WITH("serve_blob", setup, teardown, a_file_comes_back_as_it_was_and_custody_says_who_had_it,
                what_goes_out_is_in_the_audit_log_before_it_goes,
                who_reads_the_case_half_alone_sees_that_there_is_a_file_and_no_more,
                a_person_has_attachments_and_none_that_shows_nobody, what_is_not_as_it_was_said_is_not_taken,
                a_redacted_version_says_what_it_was_made_from,
                text_comes_before_pictures_and_both_states_are_shown,
                who_sent_what_was_not_of_its_file_is_named,
                what_nobody_else_holds_is_put_away_only_if_it_may_be_lost,
                damage_is_found_named_and_wanted_again, a_restricted_record_gives_no_file_out,
                no_answer_and_no_file_tells_the_key_of_a_file,
                what_was_being_brought_is_gone_with_who_brought_it)
