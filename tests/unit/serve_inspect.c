#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"
#include "store/entry.h"
#include "sync/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken;
static struct served hq;
static char number[40];
static char entry_name[96];

/* A case with a title of its own, set in one entry, whose name is kept. */
static void
setup(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
    log_to(silent, NULL);
    test_organisation_init(&org, 21);
    org.roles = ROLE_CASE_WORK | ROLE_OPERATOR;
    served_begin_two(&org, &ken, &hq);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.save','kind':'case','set':{'title':'A march'}}");
    (void)snprintf(number, sizeof number, "%s",
                   json_string_value(served_member(served_granted(answer), "number")));
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'record.why','record':'%s','target':'title'}", number);
    const json_t *op = served_member(served_granted(answer), "ops.0");
    (void)snprintf(entry_name, sizeof entry_name, "%.12s:%d", json_string_value(json_object_get(op, "log")),
                   (int)json_integer_value(json_object_get(op, "seq")));
    json_decref(answer);
    served_granted_once(&ken, "{'id':1,'do':'actor.add','number':4,'name':'A. Officer','role':'case-work'}");
    served_granted_once(&ken, "{'id':1,'do':'actor.add','number':5,'name':'B. Keeper','role':'operator'}");
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static const char *
text(const json_t *answer, const char *path)
{
    const char *found = json_string_value(served_member(answer, path));

    ck_assert_msg(found != NULL, "no text at %s", path);
    return found;
}

START_TEST(an_entry_is_shown_by_bytes_that_give_its_id)
{
    uint8_t header[HEADER_BYTES];
    uint8_t payload[64 * 1024];
    struct hash log_id;
    struct entry entry;
    struct hash hash;
    char hex[2 * HASH_BYTES + 1];

    json_t *answer = served_ask(&ken, "{'id':1,'do':'inspect.entry','entry':'%s','bytes':true}", entry_name);
    const json_t *ok = served_granted(answer);
    ck_assert(bytes_from_hex(header, sizeof header, text(ok, "header")));
    ck_assert(entry_header_read(span_of(header, sizeof header), &entry));
    ck_assert(bytes_from_hex(log_id.bytes, HASH_BYTES, text(ok, "log")));
    entry_identify(&entry, &log_id);
    bytes_hex(hex, hash_span(&entry.id));
    ck_assert_str_eq(text(ok, "id"), hex);
    ck_assert_int_eq((int)json_integer_value(served_member(ok, "payload_bytes")), (int)entry.payload_size);
    ck_assert(bytes_from_hex(payload, entry.payload_size, text(ok, "payload")));
    entry_hash_payload(&hash, span_of(payload, entry.payload_size));
    ck_assert(hash_equal(&hash, &entry.payload_hash));
    ck_assert(json_is_true(served_member(ok, "signature.valid")));
    ck_assert_str_eq(text(ok, "state"), "merged");
    ck_assert_str_eq(text(ok, "kind"), "data");
    ck_assert_str_eq(text(ok, "compartment"), "KEN cases");
    ck_assert_str_eq(text(ok, "ops.1.value"), "A march");
    json_decref(answer);
    /* The payload is not printed unless somebody wants it. */
    answer = served_ask(&ken, "{'id':1,'do':'inspect.entry','entry':'%s'}", entry_name);
    ck_assert_ptr_null(json_object_get(served_granted(answer), "payload"));
    json_decref(answer);
}
END_TEST

/* The whole answer, as text, without the title in any way. */
static void
expect_no_content(struct served *at, const char *request)
{
    json_t *answer = served_ask(at, "%s", request);
    char *dumped = json_dumps(served_granted(answer), 0);

    ck_assert_ptr_nonnull(dumped);
    ck_assert_ptr_null(strstr(dumped, "A march"));
    ck_assert_ptr_null(strstr(dumped, "ops"));
    ck_assert_ptr_null(strstr(dumped, number));
    free(dumped);
    json_decref(answer);
}

START_TEST(an_operator_is_shown_everything_but_what_it_says)
{
    char request[200];

    (void)snprintf(request, sizeof request,
                   "{'id':1,'do':'inspect.entry','entry':'%s','bytes':true,'actor':5}", entry_name);
    expect_no_content(&ken, request);
    (void)snprintf(request, sizeof request, "{'id':1,'do':'inspect.record','record':'%s','actor':5}", number);
    expect_no_content(&ken, request);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'inspect.entry','entry':'%s','actor':4}", entry_name);
    ck_assert_str_eq(text(served_granted(answer), "ops.1.value"), "A march");
    json_decref(answer);
}
END_TEST

START_TEST(nothing_of_a_restricted_record_is_shown)
{
    char request[200];

    json_decref(served_ask(&ken,
                           "{'id':1,'do':'record.save','record':'%s','add':[{'to':'restriction','fields':{"
                           "'reason':'safety'}}]}",
                           number));
    json_t *answer = served_ask(&ken, "{'id':1,'do':'inspect.record','record':'%s'}", number);
    ck_assert(json_is_true(served_member(served_granted(answer), "restricted")));
    json_decref(answer);
    (void)snprintf(request, sizeof request, "{'id':1,'do':'inspect.entry','entry':'%s'}", entry_name);
    expect_no_content(&ken, request);
}
END_TEST

START_TEST(a_record_is_shown_as_the_entries_that_it_is_made_of)
{
    json_t *answer = served_ask(&ken, "{'id':1,'do':'inspect.record','record':'%s'}", number);
    const json_t *ok = served_granted(answer);

    ck_assert_str_eq(text(ok, "number"), number);
    ck_assert_str_eq(text(ok, "parts.0.compartment"), "KEN cases");
    ck_assert_int_eq((int)json_integer_value(served_member(ok, "parts.0.entries")), 1);
    ck_assert_int_eq((int)json_integer_value(served_member(ok, "parts.0.states.merged")), 1);
    ck_assert_str_eq(text(ok, "parts.0.names.0"), entry_name);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'inspect.record','record':'KEN-2099-0001'}"), "absent");
}
END_TEST

START_TEST(a_log_is_shown_with_how_far_it_is)
{
    char log[16];

    (void)snprintf(log, sizeof log, "%.12s", entry_name);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'inspect.log','log':'%s'}", log);
    const json_t *ok = served_granted(answer);
    uint8_t bytes[DESCRIPTOR_BYTES];
    struct descriptor descriptor;
    struct hash log_id;
    char hex[2 * HASH_BYTES + 1];

    ck_assert(bytes_from_hex(bytes, sizeof bytes, text(ok, "descriptor")));
    ck_assert(descriptor_read(span_of(bytes, sizeof bytes), &descriptor));
    descriptor_log_id(&descriptor, &log_id);
    bytes_hex(hex, hash_span(&log_id));
    ck_assert_str_eq(text(ok, "log"), hex);
    ck_assert_uint_eq(json_array_size(served_member(ok, "branches")), 1);
    ck_assert(!json_is_true(served_member(ok, "forked")));
    ck_assert(json_is_true(served_member(ok, "branches.0.head_signature_valid")));
    json_int_t next = json_integer_value(served_member(ok, "branches.0.next"));
    json_decref(answer);
    json_decref(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'title':'B'}}", number));
    answer = served_ask(&ken, "{'id':1,'do':'inspect.log','log':'%s'}", log);
    ck_assert_int_eq((int)json_integer_value(served_member(served_granted(answer), "branches.0.next")),
                     (int)next + 1);
    json_decref(answer);
}
END_TEST

START_TEST(a_statement_and_a_peer_are_shown_with_who_signed)
{
    char certificate[2 * HASH_BYTES + 1];
    uint8_t stmt[2048];
    struct hash id;
    char hex[2 * HASH_BYTES + 1];

    bytes_hex(hex, hash_span(&replica_identity(hq.node->replica)->device_id));
    json_t *answer = served_ask(&ken, "{'id':1,'do':'inspect.peer','peer':'%s'}", hex);
    const json_t *ok = served_granted(answer);
    (void)snprintf(certificate, sizeof certificate, "%s", text(ok, "certificate.statement"));
    ck_assert_str_eq(text(ok, "certificate.type"), "device");
    ck_assert_str_eq(text(ok, "device.office"), "HQ");
    json_decref(answer);

    answer = served_ask(&ken, "{'id':1,'do':'inspect.statement','statement':'%.12s'}", certificate);
    ok = served_granted(answer);
    size_t size = strlen(text(ok, "stmt")) / 2;
    ck_assert_uint_le(size, sizeof stmt);
    ck_assert(bytes_from_hex(stmt, size, text(ok, "stmt")));
    statement_id(&id, span_of(stmt, size));
    bytes_hex(hex, hash_span(&id));
    ck_assert_str_eq(hex, certificate);
    ck_assert(json_is_true(served_member(ok, "stands")));
    ck_assert(json_is_true(served_member(ok, "signers.0.valid")));
    json_decref(answer);
}
END_TEST

START_TEST(what_is_not_here_is_said_to_be_so)
{
    static const struct {
        const char *request;
        const char *code;
    } asked[] = {
        { "'do':'inspect.entry','entry':'000000000000:3'", "absent" },
        { "'do':'inspect.entry','entry':'nonsense'", "invalid" },
        { "'do':'inspect.entry'", "usage" },
        { "'do':'inspect.log','log':'000000000000'", "absent" },
        { "'do':'inspect.log','log':'00'", "invalid" },
        { "'do':'inspect.log','log':'zzzzzzzz'", "invalid" },
        { "'do':'inspect.statement','statement':'000000000000'", "absent" },
        { "'do':'inspect.peer','peer':'nobody'", "absent" },
    };

    for (size_t n = 0; n < sizeof asked / sizeof asked[0]; n++) {
        json_t *answer = served_ask(&ken, "{'id':1,%s}", asked[n].request);

        ck_assert_str_eq(text(answer, "error.code"), asked[n].code);
        json_decref(answer);
    }
}
END_TEST

SUITE_MAIN_WITH("serve_inspect", setup, teardown, an_entry_is_shown_by_bytes_that_give_its_id,
                an_operator_is_shown_everything_but_what_it_says, nothing_of_a_restricted_record_is_shown,
                a_record_is_shown_as_the_entries_that_it_is_made_of, a_log_is_shown_with_how_far_it_is,
                a_statement_and_a_peer_are_shown_with_who_signed, what_is_not_here_is_said_to_be_so)
