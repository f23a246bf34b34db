/* What goes out of a node: whole records up to a level, nothing restricted, nothing that somebody did not agree to, and a note in
 * the audit log of each. */
#include "tests/support/check.h"
#include "tests/support/served.h"

#include "node/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REASON "'reason':'A test of what goes out'"

static struct test_organisation org;
static struct served ken; /* reads both halves */
static struct served hq;  /* too; gives the second signature of an erasure */
static struct served gva; /* reads the case half alone */

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    test_organisation_init_with(&org, 45, 3, 2);
    org.roles = ROLE_REVIEW;
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "KEN:cases=read", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "GVA", "Geneva", false, grants, count, &fault), ERR_OK);
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
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    served_end(&gva);
    test_organisation_free(&org);
}

struct saved_name {
    char number[40];
    char id[40];
};

static struct saved_name
save(struct served *node, const char *body)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save',%s}", body);
    const json_t *ok = served_granted(answer);
    struct saved_name name;

    (void)snprintf(name.number, sizeof name.number, "%s", json_string_value(json_object_get(ok, "number")));
    (void)snprintf(name.id, sizeof name.id, "%s", json_string_value(json_object_get(ok, "record")));
    json_decref(answer);
    return name;
}

/* All pages of an export, as one answer: all records, and the rest as the last page says it; pieces are put together. The
 * caller frees it. */
static json_t *
export_all(struct served *node, const char *body, size_t *pages_out)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.export'," REASON "%s}", body);
    json_t *all = json_array();
    json_t *ok = json_incref(served_granted(answer));
    char *pieces = NULL;

    ck_assert(json_is_object(json_object_get(ok, "made")));
    json_decref(answer);
    for (*pages_out = 1;; ++*pages_out) {
        (void)json_array_extend(all, json_object_get(ok, "records"));
        char *line = json_dumps(ok, JSON_COMPACT);
        ck_assert_uint_lt(strlen(line), 1000000);
        free(line);
        const char *piece = json_string_value(json_object_get(ok, "piece"));
        if (piece != NULL) {
            char *longer = NULL;

            ck_assert_int_ge(asprintf(&longer, "%s%s", pieces == NULL ? "" : pieces, piece), 0);
            free(pieces);
            pieces = longer;
        }
        if (json_is_true(json_object_get(ok, "last_piece"))) {
            json_t *record = json_loads(pieces, 0, NULL);

            ck_assert_ptr_nonnull(record);
            (void)json_array_append_new(all, record);
            free(pieces);
            pieces = NULL;
        }
        if (json_is_null(json_object_get(ok, "next"))) {
            break;
        }
        json_int_t next = json_integer_value(json_object_get(ok, "next"));
        json_decref(ok);
        answer = served_ask(node, "{'id':1,'do':'record.export','after':%d}", (int)next);
        ok = json_incref(served_granted(answer));
        json_decref(answer);
    }
    ck_assert_ptr_null(pieces);
    ck_assert_uint_eq((size_t)json_integer_value(json_object_get(ok, "sent")), json_array_size(all));
    (void)json_object_set_new(ok, "records", all);
    return ok;
}

/* The same as text. */
static const char *
export_text(struct served *node, const char *body)
{
    static char text[65536];
    size_t pages;
    json_t *ok = export_all(node, body, &pages);
    char *dumped = json_dumps(json_object_get(ok, "records"), JSON_COMPACT);

    ck_assert_int_lt(snprintf(text, sizeof text, "%s", dumped), (int)sizeof text);
    free(dumped);
    json_decref(ok);
    return text;
}

/* How many went out; and with `reason`, how many were left out for it and for nothing else. */
static size_t
count_exported(struct served *node, const char *body, const char *reason, int left_out)
{
    size_t pages;
    json_t *ok = export_all(node, body, &pages);
    size_t count = json_array_size(json_object_get(ok, "records"));
    const json_t *reasons = json_object_get(ok, "reasons");

    ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "left_out")), left_out);
    ck_assert_uint_eq(json_object_size(reasons), reason == NULL ? 0 : 1);
    if (reason != NULL) {
        ck_assert_int_eq((int)json_integer_value(json_object_get(reasons, reason)), left_out);
    }
    json_decref(ok);
    return count;
}

static void
save_case_of_all_levels(struct saved_name *name_out)
{
    served_granted_once(&ken, "{'id':1,'do':'actor.add','number':7,'name':'Officer Seven','role':'review'}");
    *name_out =
        save(&ken, "'kind':'case','actor':7,'set':{'title':'Title two','status':'draft','public_ref':'Ref "
                   "zero'},'note':['Note two'],"
                   "'add':[{'to':'perpetrator','fields':{'actor_type':'police','institution':'Unit "
                   "two','individual_name':'Name three'}}]");
}

START_TEST(nothing_above_the_level_goes_out)
{
    struct saved_name name;

    save_case_of_all_levels(&name);
    const char *text = export_text(&ken, ",'kinds':['case'],'level':'L3'");
    ck_assert_ptr_nonnull(strstr(text, "Name three"));
    ck_assert_ptr_nonnull(strstr(text, "Title two"));
    ck_assert_ptr_nonnull(strstr(text, "Officer Seven"));
    text = export_text(&ken, ",'kinds':['case']");
    ck_assert_ptr_null(strstr(text, "Officer Seven"));
    ck_assert_ptr_null(strstr(text, "Name three"));
    ck_assert_ptr_nonnull(strstr(text,
                                 "\"target\":\"case_officer\",\"name\":\"case_officer\",\"label\":\"Case "
                                 "officer\",\"level\":\"L3\",\"withheld\":true"));
    ck_assert_ptr_nonnull(strstr(text, "Title two"));
    ck_assert_ptr_nonnull(strstr(text, "Note two"));
    ck_assert_ptr_nonnull(strstr(text, name.number));
    ck_assert_ptr_nonnull(strstr(text, "\"actor\":null"));
    ck_assert_ptr_nonnull(strstr(text, "\"device\":{\"office\":\"KEN\"}"));
    text = export_text(&ken, ",'kinds':['case'],'level':'L1'");
    ck_assert_ptr_null(strstr(text, "Title two"));
    ck_assert_ptr_null(strstr(text, "Note two"));
    ck_assert_ptr_null(strstr(text, "Unit two"));
    ck_assert_ptr_nonnull(strstr(text, "\"police\""));
    ck_assert_ptr_nonnull(strstr(text, name.id));
    text = export_text(&ken, ",'kinds':['case'],'level':'L0'");
    ck_assert_ptr_nonnull(strstr(text, "Ref zero"));
    ck_assert_ptr_null(strstr(text, "police"));
    ck_assert_ptr_null(strstr(text, "KEN"));
    ck_assert_ptr_null(strstr(text, "\"20"));
    ck_assert_ptr_null(strstr(text, name.id));
}
END_TEST

/* Two exports at L0 cannot be put together by it. */
START_TEST(at_the_lowest_level_a_record_has_another_id_in_each_export)
{
    struct saved_name name;
    char first[60];

    save_case_of_all_levels(&name);
    (void)snprintf(first, sizeof first, "%.41s",
                   strstr(export_text(&ken, ",'kinds':['case'],'level':'L0'"), "\"id\":"));
    ck_assert_ptr_null(strstr(export_text(&ken, ",'kinds':['case'],'level':'L0'"), first));
}
END_TEST

START_TEST(l3_goes_out_only_where_it_is_read_and_asked_for)
{
    struct saved_name name;

    save_case_of_all_levels(&name);
    test_node_exchange(ken.node, gva.node);
    served_refused(served_ask(&gva, "{'id':1,'do':'record.export'," REASON
                                    ",'office':'KEN','kinds':['case'],'level':'L3'}"),
                   "denied");
    served_refused(
        served_ask(&gva, "{'id':1,'do':'record.export'," REASON ",'record':'%s','level':'L3'}", name.number),
        "denied");
    const char *text = export_text(&gva, ",'kinds':['case'],'office':'KEN'");
    ck_assert_ptr_nonnull(strstr(text, "Title two"));
    ck_assert_ptr_nonnull(strstr(text, "\"withheld\":true"));
    /* Its own office's it reads; of what is another's nothing more is there, and what is not is marked. */
    text = export_text(&gva, ",'kinds':['case'],'level':'L3'");
    ck_assert_ptr_null(strstr(text, "Name three"));
    ck_assert_ptr_nonnull(strstr(text, "individual_name\",\"name\":\"perpetrator.individual_name\""));
}
END_TEST

START_TEST(filters_are_those_of_a_list)
{
    (void)save(&ken, "'kind':'case','set':{'title':'One','status':'draft'},"
                     "'add':[{'to':'country_of_act','value':'KEN'},"
                     "{'to':'act','fields':{'type_of_act':'detention','date_from':'2026-03-04'}}]");
    (void)save(&ken, "'kind':'case','set':{'title':'Two','status':'draft'},"
                     "'add':[{'to':'country_of_act','value':'LBN'}]");
    (void)save(&ken, "'kind':'person','set':{'pseudonym':'Three'}");
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['case']", NULL, 0), 2);
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['person','case']", NULL, 0), 3);
    ck_assert_uint_eq(count_exported(&ken, "", NULL, 0), 3);
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['case'],'where':{'country_of_act':'LBN'}", NULL, 0), 1);
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['case'],'month':{'act.date_from':'2026-03'}", NULL, 0),
                      1);
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['case'],'month':{'act.date_from':'2026-04'}", NULL, 0),
                      0);
    ck_assert_uint_eq(count_exported(&ken, ",'office':'HQ'", NULL, 0), 0);
    ck_assert_uint_eq(count_exported(&ken, ",'office':'KEN'", NULL, 0), 3);
}
END_TEST

START_TEST(what_is_asked_wrongly_is_refused_and_noted_nowhere)
{
    static const struct {
        const char *body;
        const char *code;
    } wrong[] = {
        { "'kinds':['case']", "usage" },
        { "'reason':'nope'", "invalid" },
        { "'reason':'two\\nlines of it'", "invalid" },
        { REASON ",'kinds':['okapi']", "invalid" },
        { REASON ",'kinds':['audit_log']", "invalid" },
        { REASON ",'kinds':[]", "usage" },
        { REASON ",'kinds':['case','case']", "usage" },
        { REASON ",'kinds':['case','person'],'where':{'status':'draft'}", "usage" },
        { REASON ",'kinds':['case'],'where':{'status':'okapi'}", "invalid" },
        { REASON ",'kinds':['case'],'where':{'title':'okapi'}", "invalid" },
        { REASON ",'office':'XXX'", "absent" },
        { REASON ",'level':'L4'", "usage" },
        { REASON ",'purpose':'okapi'", "invalid" },
        { REASON ",'purpose':'count_only'", "invalid" },
        { REASON ",'record':'KEN-1999-0001'", "absent" },
        { "'after':1", "absent" },
    };

    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        served_refused(served_ask(&ken, "{'id':1,'do':'record.export',%s}", wrong[n].body), wrong[n].code);
        /* And nothing of it is under way. */
        served_refused(served_ask(&ken, "{'id':1,'do':'record.export','after':1}"), "absent");
    }
    json_t *answer = served_ask(&ken, "{'id':1,'do':'audit.list'}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "events")), 0);
    json_decref(answer);
}
END_TEST

START_TEST(what_is_restricted_or_erased_does_not_go_out)
{
    struct saved_name name = save(&ken, "'kind':'case','set':{'title':'The zebra','status':'draft'}");

    (void)save(&ken, "'kind':'case','set':{'title':'The giraffe','status':'draft'}");
    test_node_exchange(ken.node, hq.node);
    ck_assert_uint_eq(count_exported(&hq, ",'kinds':['case']", NULL, 0), 2);
    json_decref(served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}",
                           name.number));
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['case']", "restricted", 1), 1);
    served_refused(served_ask(&ken, "{'id':1,'do':'record.export'," REASON ",'record':'%s'}", name.number),
                   "denied");
    test_node_exchange(ken.node, hq.node);
    json_decref(served_ask(&hq, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}",
                           name.number));
    test_node_exchange(ken.node, hq.node);
    test_node_tend(ken.node);
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['case']", NULL, 0), 1);
    ck_assert_ptr_null(strstr(export_text(&ken, ",'kinds':['case']"), "zebra"));
}
END_TEST

static struct saved_name
save_person(const char *consents)
{
    char body[1200];

    (void)snprintf(body, sizeof body, "'kind':'person','set':{'pseudonym':'Somebody'},'add':[%s]", consents);
    return save(&ken, body);
}

#define CONSENT(scope, decision, more)                                                                       \
    "{'to':'consent','fields':{'scope':'" scope "','decision':'" decision "'" more "}}"

/* The person, and a case that names it. */
static void
expect_consent(const char *consents, const char *purpose, const char *reason)
{
    char body[200];
    struct saved_name person = save_person(consents);
    int left_out = reason == NULL ? 0 : 1;

    (void)snprintf(body, sizeof body,
                   "'kind':'case','set':{'title':'A case','status':'draft'},"
                   "'add':[{'to':'victim','fields':{'person':'%s'}}]",
                   person.id);
    struct saved_name about = save(&ken, body);
    const char *const both[] = { person.number, about.number };
    for (int n = 0; n < 2; n++) {
        (void)snprintf(body, sizeof body, ",'record':'%s','purpose':'%s'", both[n], purpose);
        ck_assert_uint_eq(count_exported(&ken, body, reason, left_out), 1 - (size_t)left_out);
        /* Without a purpose it stays in the office. */
        (void)snprintf(body, sizeof body, ",'record':'%s'", both[n]);
        ck_assert_uint_eq(count_exported(&ken, body, NULL, 0), 1);
    }
}

START_TEST(whoever_did_not_agree_is_left_out_and_counted)
{
    expect_consent(CONSENT("media", "granted", ""), "media", NULL);
    expect_consent(CONSENT("media", "granted", ""), "publish_named", "no_consent");
    expect_consent(CONSENT("media", "refused", ""), "media", "consent_refused");
    expect_consent(CONSENT("media", "unknown", ""), "media", "consent_unknown");
    expect_consent(CONSENT("media", "granted", ",'valid_until':'2001-01'"), "media", "consent_expired");
    expect_consent(CONSENT("media", "granted", ",'valid_until':'2999'"), "media", NULL);
    expect_consent(CONSENT("media", "granted", ",'identifiability_concern':true"), "media", "identifiable");
    expect_consent(CONSENT("share_with_hq", "granted", ",'identifiability_concern':true"), "share_with_hq",
                   NULL);
    /* Of two that were said at once, the more protective one counts, whatever its order. */
    expect_consent(CONSENT("media", "withdrawn", "") "," CONSENT("media", "granted", ""), "media",
                   "consent_withdrawn");
}
END_TEST

START_TEST(a_statement_that_takes_the_place_of_another_counts_instead_of_it)
{
    struct saved_name person = save_person("{'to':'consent','element':'00112233445566aa','fields':{"
                                           "'scope':['media','publish_named'],'decision':'refused'}}");

    ck_assert_uint_eq(count_exported(&ken, ",'purpose':'media'", "consent_refused", 1), 0);
    json_t *answer = served_ask(&ken,
                                "{'id':1,'do':'record.save','record':'%s','add':[{'to':'consent','fields':{"
                                "'scope':'media','decision':'granted','replaces':'00112233445566aa'}}]}",
                                person.number);
    (void)served_granted(answer);
    json_decref(answer);
    ck_assert_uint_eq(count_exported(&ken, ",'purpose':'media'", NULL, 0), 1);
    /* What it does not speak of stands. */
    ck_assert_uint_eq(count_exported(&ken, ",'purpose':'publish_named'", "consent_refused", 1), 0);
}
END_TEST

START_TEST(a_case_whose_person_is_not_here_is_left_out)
{
    (void)save(&ken, "'kind':'case','set':{'title':'A case','status':'draft'},"
                     "'add':[{'to':'victim','fields':{'person':'000102030405060708090a0b0c0d0e0f'}}]");
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['case'],'purpose':'media'", "person_not_here", 1), 0);
    ck_assert_uint_eq(count_exported(&ken, ",'kinds':['case']", NULL, 0), 1);
}
END_TEST

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

/* Two events, however many pages it has, with what went out of L3 in the second. */
START_TEST(each_export_is_noted_when_it_begins_and_when_it_has_ended)
{
    enum { PERSONS = 150 };
    size_t pages;

    served_granted_once(&ken, "{'id':1,'do':'actor.add','number':9,'name':'Nine','role':'review'}");
    for (int n = 0; n < PERSONS; n++) {
        (void)save_person("{'to':'name','fields':{'text':'A name'}}");
    }
    (void)save(&ken, "'kind':'case','set':{'title':'A case','status':'draft'}");
    json_t *ok =
        export_all(&ken, ",'kinds':['person'],'where':{'counting_unit':'individual'},'actor':9", &pages);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "records")), 0);
    json_decref(ok);
    ok = export_all(&ken, ",'kinds':['person'],'office':'KEN','level':'L3'", &pages);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "records")), PERSONS);
    ck_assert_uint_gt(pages, 1);
    json_decref(ok);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'audit.list'}");
    const json_t *events = json_object_get(served_granted(answer), "events");
    ck_assert_uint_eq(json_array_size(events), 4);
    const json_t *ended = json_array_get(events, 0);
    ck_assert_str_eq(text_of(ended, "what"), "export");
    ck_assert_str_eq(text_of(ended, "filter"), "ended: kind=person office=KEN level=L3 left_out=0");
    ck_assert_str_eq(text_of(ended, "reason"), "A test of what goes out");
    ck_assert_str_eq(text_of(ended, "fields"), "name.text");
    ck_assert_int_eq((int)json_integer_value(json_object_get(ended, "count")), PERSONS);
    ck_assert_str_eq(text_of(json_array_get(events, 1), "filter"), "begun: kind=person office=KEN level=L3");
    /* The two of one page are written in one turn, in their order. */
    for (size_t n = 2; n < 4; n++) {
        const json_t *event = json_array_get(events, n);
        ck_assert_str_eq(text_of(event, "filter"),
                         n == 3 ? "begun: kind=person counting_unit=individual level=L2"
                                : "ended: kind=person counting_unit=individual level=L2 left_out=0");
        ck_assert_int_eq((int)json_integer_value(json_object_get(json_object_get(event, "actor"), "number")),
                         9);
    }
    json_decref(answer);
}
END_TEST

/* One turn, if something is to be written: as the loop does. False: nothing was. */
static bool
turn(struct serve *serve, enum err end)
{
    struct replica *replica = ken.node->replica;

    if (!serve_has_writes(serve)) {
        return false;
    }
    ck_assert_int_eq(replica_begin(replica), ERR_OK);
    ck_assert(serve_write(serve));
    ck_assert_int_eq(end == ERR_OK ? replica_commit(replica) : replica_abort(replica), ERR_OK);
    serve_turn_ended(serve, end);
    return true;
}

/* What the audit log says of exports, the latest first. */
static const char *
noted(void)
{
    static char said[2000];
    json_t *answer = served_ask(&ken, "{'id':1,'do':'audit.list','what':'export'}");
    size_t index;
    json_t *event;

    said[0] = '\0';
    json_array_foreach(json_object_get(served_granted(answer), "events"), index, event)
    {
        size_t size = strlen(said);

        (void)snprintf(said + size, sizeof said - size, "%.8s %lld %s|", text_of(event, "filter"),
                       (long long)json_integer_value(json_object_get(event, "count")),
                       text_of(event, "fields"));
    }
    json_decref(answer);
    return said;
}

/* Read, serve and answer until nothing is left to be done. */
static void
pump(struct serve *serve, struct api *api)
{
    bool more = true;

    while (more) {
        api_gather(api);
        serve_take(serve);
        more = turn(serve, ERR_OK);
        serve_answer(serve);
        api_flush(api);
        more = more || serve_has_writes(serve) || api_has_request(api);
    }
}

/* A client of the socket that has had two pages; gives how many records were on them. */
static struct client *
begin_over(struct serve *serve, struct api *api, const char *directory, size_t *count_out)
{
    struct client_fault fault;
    struct client_answer answer;
    struct client *client = NULL;
    int64_t id = 0;

    *count_out = 0;
    ck_assert_int_eq(client_open(&client, directory, &fault), ERR_OK);
    for (json_int_t page = 0; page < 2; page++) {
        json_t *request = page == 0 ? json_pack("{s:s,s:s,s:[s],s:s}", "do", "record.export", "reason",
                                                "A test of what goes out", "kinds", "person", "level", "L3")
                                    : json_pack("{s:s,s:I}", "do", "record.export", "after", page);

        ck_assert_int_eq(client_send(client, request, 1000, &id, &fault), ERR_OK);
        pump(serve, api);
        enum err got = client_receive(client, 0, &answer, &fault);
        while (got == ERR_BUSY) {
            api_flush(api); /* a socket holds less than a page */
            got = client_receive(client, 0, &answer, &fault);
        }
        ck_assert_int_eq(got, ERR_OK);
        *count_out += json_array_size(json_object_get(answer.ok, "records"));
        client_answer_free(&answer);
    }
    return client;
}

/* Whoever kills the export half-way does not keep the audit log from telling how much had gone out. */
START_TEST(an_export_that_is_left_half_way_is_noted_as_given_up)
{
    enum { PERSONS = 300 };
    char directory[] = "/tmp/vigil-export-XXXXXX";
    struct api *api = NULL;
    char expected[200];
    size_t count;

    for (int n = 0; n < PERSONS; n++) {
        (void)save_person("{'to':'name','fields':{'text':'A name'}}");
    }
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(api_open(&api, directory), ERR_OK);
    struct serve *serve = serve_new(&(struct serve_options){ .replica = ken.node->replica,
                                                             .gossip = ken.gossip,
                                                             .peers = ken.peers,
                                                             .api = api,
                                                             .status = &ken.status,
                                                             .config = &ken.config,
                                                             .world = &ken.node->world.world,
                                                             .version = "test",
                                                             .directory = ken.node->directory });
    ck_assert_ptr_nonnull(serve);
    struct client *client = begin_over(serve, api, directory, &count);
    ck_assert_str_eq(noted(), "begun: k 0 |");
    client_close(&client);
    api_gather(api);
    api_flush(api);
    /* A turn that did not happen noted nothing; another is tried. */
    ck_assert(turn(serve, ERR_FULL));
    ck_assert_str_eq(noted(), "begun: k 0 |");
    ck_assert(!serve_has_writes(serve));
    ken.node->world.steady_ms += 5000;
    pump(serve, api);
    ck_assert_uint_gt(count, 128);
    (void)snprintf(expected, sizeof expected, "given up %zu name.text|begun: k 0 |", count);
    ck_assert_str_eq(noted(), expected);
    ck_assert(!serve_has_writes(serve));

    /* It ends with the node, too. */
    client = begin_over(serve, api, directory, &count);
    ck_assert(serve_has_last_words(serve));
    ck_assert_int_eq(replica_begin(ken.node->replica), ERR_OK);
    ck_assert(serve_stop(serve));
    ck_assert_int_eq(replica_commit(ken.node->replica), ERR_OK);
    serve_turn_ended(serve, ERR_OK);
    ck_assert(!serve_has_last_words(serve));
    (void)snprintf(expected + strlen(expected), sizeof expected - strlen(expected),
                   "given up %zu name.text|begun: k 0 |", count);
    ck_assert_str_eq(noted(), expected);
    client_close(&client);
    serve_free(&serve);
    api_close(&api);
    ck_assert_int_eq(rmdir(directory), 0);

    /* Or with the next one of the same client; and of one that ended nothing more is said. */
    json_decref(served_ask(&ken, "{'id':1,'do':'record.export'," REASON ",'kinds':['person']}"));
    size_t pages;
    json_decref(export_all(&ken, ",'kinds':['case']", &pages));
    ck_assert(turn(ken.serve, ERR_OK));
    ck_assert(!serve_has_writes(ken.serve));
    ck_assert_int_eq(strncmp(noted(), "given up 128 |ended: k 0 |begun: k 0 |begun: k 0 |given up", 58), 0);
}
END_TEST

/* Nobody skips what was noted, and an answer that was lost can be had again. */
START_TEST(a_page_can_be_asked_for_again_and_none_before_its_time)
{
    enum { PERSONS = 300 };

    for (int n = 0; n < PERSONS; n++) {
        (void)save_person("");
    }
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.export'," REASON ",'kinds':['person']}");
    ck_assert_int_eq((int)json_integer_value(json_object_get(served_granted(answer), "next")), 1);
    json_decref(answer);
    served_refused(served_ask(&ken, "{'id':1,'do':'record.export','after':2}"), "absent");
    json_t *second = served_ask(&ken, "{'id':1,'do':'record.export','after':1}");
    json_t *again = served_ask(&ken, "{'id':1,'do':'record.export','after':1}");
    ck_assert(json_equal(served_granted(second), served_granted(again)));
    json_decref(second);
    json_decref(again);
    json_t *last = served_ask(&ken, "{'id':1,'do':'record.export','after':2}");
    ck_assert(json_is_null(json_object_get(served_granted(last), "next")));
    ck_assert_int_eq((int)json_integer_value(json_object_get(served_granted(last), "sent")), PERSONS);
    json_decref(last);
    served_refused(served_ask(&ken, "{'id':1,'do':'record.export','after':3}"), "absent");
    /* What is left out makes pages, too, though nothing is on them. */
    size_t pages;
    json_t *none = export_all(&ken, ",'kinds':['person'],'purpose':'media'", &pages);
    ck_assert_uint_ge(pages, 2);
    ck_assert_int_eq((int)json_integer_value(json_object_get(none, "left_out")), PERSONS);
    json_decref(none);
    /* A new one ends the one before. */
    json_decref(served_ask(&ken, "{'id':1,'do':'record.export'," REASON ",'kinds':['person']}"));
    json_decref(served_ask(&ken, "{'id':1,'do':'record.export'," REASON ",'kinds':['case']}"));
    served_refused(served_ask(&ken, "{'id':1,'do':'record.export','after':1}"), "absent");
}
END_TEST

static void
add_narrative(const char *number, const char *language, char *text, size_t bytes, unsigned seed)
{
    for (size_t at = 0; at < bytes; at++) {
        seed = seed * 1103515245u + 12345u;
        text[at] = (char)(at % 7 == 0 ? '"' : 'a' + (seed >> 16) % 5);
    }
    json_t *saved = serve_one(ken.serve, json_pack("{s:i,s:s,s:s,s:[{s:s,s:{s:s,s:s}}]}", "id", 1, "do",
                                                   "record.save", "record", number, "add", "to", "narrative",
                                                   "fields", "language", language, "text", text));
    (void)served_granted(saved);
    json_decref(saved);
}

/* No line of an answer is longer than a line may be, and nothing of the record is lost. */
START_TEST(a_record_that_is_longer_than_a_line_goes_out_in_pieces)
{
    enum { BYTES = 29000, NARRATIVES = 16 };
    static const char *const languages[NARRATIVES] = {
        "eng", "fra", "spa", "rus", "ara", "zho", "deu", "ita",
        "por", "swa", "amh", "som", "fas", "urd", "tur", "nld"
    };
    struct saved_name name = save(&ken, "'kind':'case','set':{'title':'A long case','status':'draft'}");
    char *text = calloc(BYTES + 1, 1);
    size_t pages;

    ck_assert_ptr_nonnull(text);
    (void)save(&ken, "'kind':'case','set':{'title':'A short case','status':'draft'}");
    for (unsigned n = 0; n < NARRATIVES; n++) {
        add_narrative(name.number, languages[n], text, BYTES, n);
    }
    json_t *ok = export_all(&ken, ",'kinds':['case']", &pages);
    ck_assert_uint_ge(pages, 4);
    const json_t *records = json_object_get(ok, "records");
    ck_assert_uint_eq(json_array_size(records), 2);
    const json_t *record = json_array_get(records, 1);
    ck_assert_str_eq(text_of(record, "number"), name.number);
    const json_t *elements = json_object_get(record, "elements");
    ck_assert_uint_eq(json_array_size(elements), NARRATIVES);
    for (size_t n = 0; n < NARRATIVES; n++) {
        const json_t *fields = json_object_get(json_array_get(elements, n), "fields");
        const json_t *values = json_object_get(json_array_get(fields, 1), "values");

        ck_assert_uint_eq(strlen(text_of(json_array_get(values, 0), "value")), BYTES);
    }
    json_decref(ok);
    free(text);
}
END_TEST

START_TEST(all_values_of_a_conflict_go_out_with_what_is_shown)
{
    struct saved_name name = save(&ken, "'kind':'case','set':{'title':'A march','urgency':'routine'}");

    test_node_exchange(ken.node, hq.node);
    json_decref(served_ask(&ken, "{'id':1,'do':'record.save','record':'%s','set':{'urgency':'urgent'}}",
                           name.number));
    json_decref(served_ask(&hq, "{'id':1,'do':'record.save','record':'%s','set':{'urgency':'priority'}}",
                           name.number));
    test_node_exchange(ken.node, hq.node);
    const char *text = export_text(&ken, ",'kinds':['case']");
    ck_assert_ptr_nonnull(strstr(text, "\"value\":\"urgent\""));
    ck_assert_ptr_nonnull(strstr(text, "\"value\":\"priority\""));
    const char *shown = strstr(text, "\"value\":\"urgent\"");
    ck_assert_ptr_nonnull(strstr(shown, "\"shown\":true"));
    const char *hidden = strstr(strstr(text, "\"value\":\"priority\""), "\"shown\":");
    ck_assert_int_eq(strncmp(hidden, "\"shown\":false", 13), 0);
    ck_assert_ptr_nonnull(strstr(text, "\"conflict\":true"));
}
END_TEST

/* Of one case: itself, and the persons and sources that it names. */
START_TEST(one_case_goes_out_with_whom_it_names)
{
    char body[300];
    struct saved_name person = save_person("");
    struct saved_name stranger = save_person("");

    (void)snprintf(body, sizeof body,
                   "'kind':'case','set':{'title':'A case','status':'draft'},"
                   "'add':[{'to':'victim','fields':{'person':'%s'}}]",
                   person.id);
    struct saved_name name = save(&ken, body);
    (void)snprintf(body, sizeof body, ",'record':'%s','linked':true", name.number);
    const char *text = export_text(&ken, body);
    ck_assert_int_eq(strncmp(text, "[{\"id\":\"", 8), 0);
    ck_assert_int_eq(strncmp(text + 8, name.id, 32), 0);
    ck_assert_ptr_nonnull(strstr(text, person.number));
    ck_assert_ptr_null(strstr(text, stranger.number));
    (void)snprintf(body, sizeof body, ",'record':'%s'", name.number);
    ck_assert_ptr_null(strstr(export_text(&ken, body), person.number));
    /* The log of that is no record to be exported. */
    json_t *logs = served_ask(&ken, "{'id':1,'do':'record.list','kind':'audit_log'}");
    const json_t *log = json_array_get(json_object_get(served_granted(logs), "records"), 0);
    served_refused(
        served_ask(&ken, "{'id':1,'do':'record.export'," REASON ",'record':'%s'}", text_of(log, "id")),
        "invalid");
    json_decref(logs);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'audit.list','record':'%s'}", name.number);
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "events")), 4);
    json_decref(answer);
}
END_TEST

SUITE_MAIN_WITH("serve_export", setup, teardown, nothing_above_the_level_goes_out,
                at_the_lowest_level_a_record_has_another_id_in_each_export,
                l3_goes_out_only_where_it_is_read_and_asked_for, filters_are_those_of_a_list,
                what_is_asked_wrongly_is_refused_and_noted_nowhere,
                what_is_restricted_or_erased_does_not_go_out, whoever_did_not_agree_is_left_out_and_counted,
                a_statement_that_takes_the_place_of_another_counts_instead_of_it,
                a_case_whose_person_is_not_here_is_left_out,
                each_export_is_noted_when_it_begins_and_when_it_has_ended,
                an_export_that_is_left_half_way_is_noted_as_given_up,
                a_page_can_be_asked_for_again_and_none_before_its_time,
                a_record_that_is_longer_than_a_line_goes_out_in_pieces,
                all_values_of_a_conflict_go_out_with_what_is_shown, one_case_goes_out_with_whom_it_names)
