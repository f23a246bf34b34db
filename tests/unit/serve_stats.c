/* Tables as headquarters asks for them, and snapshots of a window that another node counts again. */
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "node/client.h"
#include "store/base/cbor.h"
#include "store/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct test_organisation org;
static struct served hq;    /* reads every case, with the role headquarters */
static struct served ken;   /* makes the cases */
static struct served other; /* headquarters too, on another machine */

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init_with(&org, 53, 3, 2);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *second = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    org.roles = ROLE_HEADQUARTERS;
    struct test_node *first = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    struct test_node *third = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, second);
    test_node_join(&org, first);
    test_node_join(&org, third);
    test_node_exchange(first, second);
    test_node_exchange(first, third);
    test_node_exchange(second, third);
    served_begin(&ken, second);
    served_begin(&hq, first);
    served_begin(&other, third);
}

static void
teardown(void)
{
    served_end(&hq);
    served_end(&ken);
    served_end(&other);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static void
save(struct served *node, char id[40], const char *format, ...)
{
    char body[2000];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(body, sizeof body, format, args);
    va_end(args);
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save',%s}", body);
    (void)snprintf(id, 40, "%s", json_string_value(json_object_get(served_granted(answer), "record")));
    json_decref(answer);
}

static void
make_window(struct served *node, char window[40])
{
    save(node, window,
         "'kind':'reporting_window','set':{'from':'2025-05-01','to':'2026-04-30','report_symbol':'A/HRC/60/"
         "62'}");
}

static void
make_case(struct served *node, char id[40], const char *window, const char *gender)
{
    char person[40];

    save(node, person,
         "'kind':'person','set':{'pseudonym':'Dove','counting_unit':'individual','gender':'%s'},"
         "'add':[{'to':'consent','fields':{'scope':['publish_anonymised'],'decision':'granted'}}]",
         gender);
    save(node, id,
         "'kind':'case','imported':true,'set':{'title':'A "
         "march','status':'included_named','reporting_window':'%s'},"
         "'add':[{'to':'country_of_act','value':'KEN'},{'to':'country_alleged_responsible','value':'KEN'},"
         "{'to':'victim','fields':{'person':'%s'}},{'to':'act','fields':{'type_of_act':'detention','victim':["
         "'%s']}}]",
         window, person, person);
}

/* Nine cases of KEN in a window of HQ: six women, three men. The first and the last one's id. */
static void
make_cases_between(char window[40], char first[40], char last[40])
{
    make_window(&hq, window);
    test_node_exchange(hq.node, ken.node);
    make_case(&ken, first, window, "woman");
    for (int n = 1; n < 9; n++) {
        make_case(&ken, last, window, n < 6 ? "woman" : "man");
    }
    test_node_exchange(ken.node, hq.node);
    test_node_exchange(hq.node, other.node);
}

static void
make_cases(char window[40], char last[40])
{
    char first[40];

    make_cases_between(window, first, last);
}

/* The row of a cube with these values; NULL: there is none. */
static const json_t *
find_row(const json_t *ok, const char *title, const char *values)
{
    size_t t;
    size_t c;
    size_t r;
    json_t *table;
    json_t *cube;
    json_t *row;

    json_array_foreach(json_object_get(ok, "tables"), t, table)
    {
        json_array_foreach(json_object_get(table, "cubes"), c, cube)
        {
            json_array_foreach(json_object_get(cube, "rows"), r, row)
            {
                char *text = json_dumps(json_object_get(row, "values"), JSON_COMPACT);
                bool same = strcmp(json_string_value(json_object_get(cube, "title")), title) == 0 &&
                            strcmp(text, values) == 0;

                free(text);
                if (same) {
                    return row;
                }
            }
        }
    }
    return NULL;
}

/* Its count; -1: it is not shown, -2: there is no such row. */
static int
count_of(const json_t *ok, const char *title, const char *values)
{
    const json_t *row = find_row(ok, title, values);
    const json_t *count = json_object_get(row, "count");

    return row == NULL ? -2 : json_is_null(count) ? -1 : (int)json_integer_value(count);
}

START_TEST(tables_follow_what_is_saved)
{
    char window[40];
    char last[40];

    make_cases(window, last);
    json_t *answer =
        served_ask(&hq, "{'id':1,'do':'stats.table','tables':['T1','T3'],'window':'A/HRC/60/62'}");
    const json_t *ok = served_granted(answer);
    ck_assert_int_eq(count_of(ok, "Cases", "[\"all\"]"), 9);
    ck_assert_int_eq(count_of(ok, "Individuals", "[\"new\"]"), 9);
    ck_assert_int_eq(count_of(ok, "Individuals by gender", "[\"all\"]"), 9);
    /* Three men; and of six women they could be told. */
    ck_assert_int_eq(count_of(ok, "Individuals by gender", "[\"man\"]"), -1);
    ck_assert_int_eq(count_of(ok, "Individuals by gender", "[\"woman\"]"), -1);
    ck_assert_int_eq(count_of(ok, "Individuals by region", "[\"all\",\"all\"]"), -2);
    json_decref(answer);
    /* What is saved is counted at once, what is restricted no more. */
    make_case(&hq, last, window, "man");
    answer = served_ask(&hq, "{'id':1,'do':'stats.table','window':'%s','by':'state'}", window);
    ok = served_granted(answer);
    ck_assert_int_eq(count_of(ok, "Cases", "[\"all\"]"), 10);
    ck_assert_int_eq(count_of(ok, "Individuals by region", "[\"KEN\",\"new\"]"), 10);
    json_decref(answer);
    json_decref(served_ask(
        &hq,
        "{'id':1,'do':'record.save','record':'%s','add':[{'to':'restriction','fields':{'reason':'safety'}}]}",
        last));
    answer = served_ask(&hq, "{'id':1,'do':'stats.table','window':'%s'}", window);
    ok = served_granted(answer);
    ck_assert_int_eq(count_of(ok, "Cases", "[\"all\"]"), 9);
    json_decref(answer);
    /* Of all windows, and of one that has nothing. */
    save(&hq, last, "'kind':'reporting_window','set':{'from':'2026-05-01','to':'2027-04-30'}");
    answer = served_ask(&hq, "{'id':1,'do':'stats.table','window':'%s'}", last);
    ck_assert_int_eq(count_of(served_granted(answer), "Cases", "[\"all\"]"), 0);
    json_decref(answer);
    answer = served_ask(&hq, "{'id':1,'do':'stats.table'}");
    ck_assert_int_eq(count_of(served_granted(answer), "Cases", "[\"all\"]"), 9);
    json_decref(answer);
}
END_TEST

/* The first cube of a table with this axis, and whose codes the values of the axis are. */
static char *
lists_of(const json_t *ok, const char *axis_name)
{
    size_t t, c, a;
    json_t *table, *cube, *axis;

    json_array_foreach(json_object_get(ok, "tables"), t, table)
    {
        json_array_foreach(json_object_get(table, "cubes"), c, cube)
        {
            json_array_foreach(json_object_get(cube, "axes"), a, axis)
            {
                if (strcmp(json_string_value(json_object_get(axis, "name")), axis_name) == 0) {
                    return json_dumps(json_object_get(axis, "lists"), JSON_COMPACT);
                }
            }
        }
    }
    return NULL;
}

START_TEST(an_axis_says_whose_codes_its_values_are)
{
    static const char *const wanted[][2] = {
        { "place", "[\"regions\",\"countries\"]" },
        { "act", "[\"act_group\",\"act_type\"]" },
        { "gender", "[\"gender\"]" },
        { "phase", "[]" },
    };
    char window[40];
    char last[40];

    make_cases(window, last);
    json_t *answer = served_ask(&hq, "{'id':1,'do':'stats.table','by':'state'}");
    for (size_t n = 0; n < sizeof wanted / sizeof wanted[0]; n++) {
        char *lists = lists_of(served_granted(answer), wanted[n][0]);

        ck_assert_ptr_nonnull(lists);
        ck_assert_str_eq(lists, wanted[n][1]);
        free(lists);
    }
    json_decref(answer);
}
END_TEST

START_TEST(small_numbers_are_for_those_who_review_and_it_is_noted)
{
    char window[40];
    char last[40];

    make_cases(window, last);
    served_refused(served_ask(&ken, "{'id':1,'do':'stats.table','tables':['T3'],'unsuppressed':true}"),
                   "denied");
    json_t *answer = served_ask(
        &hq, "{'id':1,'do':'stats.table','tables':['T3'],'window':'%s','unsuppressed':true}", window);
    ck_assert_int_eq(count_of(served_granted(answer), "Individuals by gender", "[\"man\"]"), 3);
    json_decref(answer);
    answer = served_ask(&hq, "{'id':1,'do':'audit.list','what':'unsuppressed'}");
    const json_t *events = json_object_get(served_granted(answer), "events");
    ck_assert_uint_eq(json_array_size(events), 1);
    char *text = json_dumps(events, 0);
    ck_assert_ptr_nonnull(strstr(text, "tables=T3"));
    ck_assert_ptr_nonnull(strstr(text, window));
    free(text);
    json_decref(answer);
}
END_TEST

START_TEST(what_is_asked_wrongly_is_refused)
{
    char window[40];

    make_window(&ken, window);
    served_refused(served_ask(&ken, "{'id':1,'do':'stats.table','tables':['T14']}"), "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'stats.table','tables':[1]}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'stats.table','tables':'T1'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'stats.table','by':'moon'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'stats.table','window':'A/HRC/1/1'}"), "absent");
    make_window(&ken, window);
    served_refused(served_ask(&ken, "{'id':1,'do':'stats.table','window':'A/HRC/60/62'}"), "conflict");
    served_refused(served_ask(&ken, "{'id':1,'do':'snapshot.draft','window':'%s'}", window), "denied");
    served_refused(served_ask(&hq, "{'id':1,'do':'snapshot.draft'}"), "usage");
    served_refused(served_ask(&hq, "{'id':1,'do':'snapshot.make','draft':'0011223344556677'}"), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'snapshot.verify','snapshot':'%s'}", window), "invalid");
    json_t *answer = served_ask(&ken, "{'id':1,'do':'stats.tables'}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "tables")), 13);
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "windows")), 2);
    json_decref(answer);
}
END_TEST

/* --- snapshots --- */

static void
make_snapshot(struct served *node, const char *window, char snapshot[40])
{
    char draft[40];
    json_t *answer = served_ask(node, "{'id':1,'do':'snapshot.draft','window':'%s'}", window);

    (void)snprintf(draft, sizeof draft, "%s",
                   json_string_value(json_object_get(served_granted(answer), "draft")));
    json_decref(answer);
    answer = served_ask(node, "{'id':1,'do':'snapshot.make','draft':'%s'}", draft);
    (void)snprintf(snapshot, 40, "%s",
                   json_string_value(json_object_get(served_granted(answer), "snapshot")));
    json_decref(answer);
}

static json_t *
verify(struct served *node, const char *snapshot)
{
    return served_ask(node, "{'id':1,'do':'snapshot.verify','snapshot':'%s'}", snapshot);
}

static void
expect_agreement(struct served *node, const char *snapshot)
{
    json_t *answer = verify(node, snapshot);
    const json_t *ok = served_granted(answer);

    if (!json_is_true(json_object_get(ok, "agrees"))) {
        ck_abort_msg("%s", json_dumps(ok, 0));
    }
    ck_assert_int_gt((int)json_integer_value(json_object_get(ok, "figures")), 20);
    json_decref(answer);
}

/* It differs, and one fault of a kind names what the text says. */
static void
expect_fault(struct served *node, const char *snapshot, const char *how, const char *record)
{
    json_t *answer = verify(node, snapshot);
    const json_t *ok = served_granted(answer);
    size_t index;
    json_t *fault;
    bool found = false;

    ck_assert(json_is_false(json_object_get(ok, "agrees")));
    json_array_foreach(json_object_get(ok, "faults"), index, fault)
    {
        const char *named = json_string_value(json_object_get(fault, "record"));

        found = found || (strcmp(json_string_value(json_object_get(fault, "how")), how) == 0 &&
                          (record == NULL || (named != NULL && strncmp(record, named, 16) == 0)));
    }
    if (!found) {
        ck_abort_msg("no %s of %s: %s", how, record == NULL ? "any" : record, json_dumps(ok, 0));
    }
    json_decref(answer);
}

START_TEST(another_node_counts_a_snapshot_again)
{
    char window[40];
    char last[40];
    char snapshot[40];

    make_cases(window, last);
    make_snapshot(&hq, window, snapshot);
    expect_agreement(&hq, snapshot);
    test_node_exchange(hq.node, other.node);
    expect_agreement(&other, snapshot);
    json_t *answer = served_ask(&other, "{'id':1,'do':'snapshot.show','snapshot':'%s'}", snapshot);
    const json_t *ok = served_granted(answer);
    ck_assert(json_is_true(json_object_get(ok, "whole")));
    /* As it was published: three men are not in it. */
    char *text = json_dumps(json_object_get(ok, "figures"), JSON_COMPACT);
    ck_assert_ptr_nonnull(strstr(text, "[\"man\",null]"));
    ck_assert_ptr_null(strstr(text, "[\"man\",3]"));
    free(text);
    json_decref(answer);
    answer = served_ask(&other, "{'id':1,'do':'snapshot.list'}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "snapshots")), 1);
    json_decref(answer);
    answer = served_ask(&hq, "{'id':1,'do':'audit.list','what':'snapshot'}");
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "events")), 2);
    json_decref(answer);
}
END_TEST

static void
edit(struct served *node, const char *record)
{
    json_t *answer = served_ask(node,
                                "{'id':1,'do':'record.save','record':'%s','set':{'title':'A walk'},'add':"
                                "[{'to':'act','fields':{'type_of_act':'killing'}}]}",
                                record);

    (void)served_granted(answer);
    json_decref(answer);
}

/* Edits, new cases, restrictions: the frozen versions are what counts. And the node itself is as it was. */
START_TEST(later_edits_do_not_change_it)
{
    char window[40];
    char last[40];
    char snapshot[40];
    char more[40];

    make_cases(window, last);
    make_snapshot(&hq, window, snapshot);
    test_node_exchange(hq.node, other.node);
    test_node_exchange(hq.node, ken.node);
    edit(&ken, last);
    make_case(&ken, more, window, "man");
    json_decref(served_ask(
        &ken,
        "{'id':1,'do':'record.save','record':'%s','add':[{'to':'restriction','fields':{'reason':'safety'}}]}",
        last));
    test_node_exchange(ken.node, other.node);
    expect_agreement(&other, snapshot);
    json_t *answer = served_ask(&other, "{'id':1,'do':'stats.table','tables':['T1'],'window':'%s'}", window);
    ck_assert_int_eq(count_of(served_granted(answer), "Cases", "[\"all\"]"),
                     9); /* one more, one restricted */
    json_decref(answer);
    expect_agreement(&other, snapshot);
}
END_TEST

/* Write 8 where 9 was counted. */
static void
plant_wrong_figure(struct served *node, const char *snapshot)
{
    struct ident id;
    struct replica_view view;
    struct arena arena = { 0 };
    const struct codebook_field *field = codebook_field_by_name(codebook_reprisals(), 10, "figures.content");
    const struct ident shared = *roster_shared_id(replica_roster(node->node->replica));
    bool planted = false;

    ck_assert(bytes_from_hex(id.bytes, sizeof id.bytes, snapshot));
    saves_begin(node->node);
    ck_assert_int_eq(replica_read(node->node->replica, &shared, &id, &arena, &view), ERR_OK);
    for (size_t n = 0; n < view.open->target_count && !planted; n++) {
        const struct record_target *target = &view.open->targets[n];
        struct buf cbor = { 0 };
        char *found;

        if (target->field != field) {
            continue;
        }
        struct cbor_reader in = cbor_reader_of(target->shown[0]);
        struct span text = cbor_read_text(&in);
        char *copy = strndup((const char *)text.data, text.size);
        found = strstr(copy, "{\"title\":\"Cases\",") == copy ? strstr(copy, "[\"all\",9]") : NULL;
        if (found != NULL) {
            found[strlen("[\"all\",")] = '8';
            cbor_put_text(&cbor, span_text(copy));
            struct save_op op = {
                .code = OP_SET, .target = target->target, .value = buf_span(&cbor), .resolve = true
            };
            ck_assert_int_eq(saves_change(node->node, &shared, &id, op), ERR_OK);
            planted = true;
        }
        free(copy);
        buf_free(&cbor);
    }
    arena_free(&arena);
    saves_commit(node->node);
    ck_assert(planted);
}

START_TEST(one_planted_wrong_figure_is_named)
{
    char window[40];
    char last[40];
    char snapshot[40];

    make_cases(window, last);
    make_snapshot(&hq, window, snapshot);
    plant_wrong_figure(&hq, snapshot);
    test_node_exchange(hq.node, other.node);
    json_t *answer = verify(&other, snapshot);
    const json_t *ok = served_granted(answer);
    ck_assert(json_is_false(json_object_get(ok, "agrees")));
    ck_assert(json_is_false(json_object_get(ok, "whole"))); /* the seal was over another number */
    const json_t *wrong = json_object_get(ok, "wrong");
    ck_assert_uint_eq(json_array_size(wrong), 1);
    const json_t *one = json_array_get(wrong, 0);
    ck_assert_str_eq(json_string_value(json_object_get(one, "table")), "T1");
    ck_assert_str_eq(json_string_value(json_object_get(one, "title")), "Cases");
    ck_assert_int_eq((int)json_integer_value(json_object_get(one, "published")), 8);
    ck_assert_int_eq((int)json_integer_value(json_object_get(one, "computed")), 9);
    ck_assert_uint_eq((size_t)json_integer_value(json_object_get(ok, "faulty")), 0);
    json_decref(answer);
}
END_TEST

/* The snapshot came, and a case that it was counted from did not. */
START_TEST(a_record_that_is_missing_is_named)
{
    char window[40];
    char last[40];
    char snapshot[40];
    const struct ident shared = *roster_shared_id(replica_roster(hq.node->replica));

    make_cases(window, last);
    make_case(&ken, last, window, "woman");
    test_node_exchange(ken.node, hq.node);
    make_snapshot(&hq, window, snapshot);
    for (int lane = 0; lane < 4; lane++) {
        saves_begin(other.node);
        test_node_give_lane(hq.node, other.node, &shared, lane);
        saves_commit(other.node);
    }
    expect_fault(&other, snapshot, "missing", last);
    expect_fault(&other, snapshot, "log", NULL);
    test_node_exchange(hq.node, other.node);
    expect_agreement(&other, snapshot);
}
END_TEST

/* An office that does not hold the others' cases says so. */
START_TEST(what_cannot_be_read_here_is_said)
{
    char window[40];
    char last[40];
    char snapshot[40];

    make_cases(window, last);
    make_case(&hq, last, window, "woman"); /* of an office that KEN does not read */
    make_snapshot(&hq, window, snapshot);
    test_node_exchange(hq.node, ken.node);
    expect_fault(&ken, snapshot, "unreadable", NULL);
    test_node_exchange(hq.node, other.node);
    expect_agreement(&other, snapshot);
}
END_TEST

static void
order_erasure(struct served *node, const char *record)
{
    json_t *answer =
        served_ask(node, "{'id':1,'do':'erase.order','record':'%s','reason':'erasure_requested'}", record);

    (void)served_granted(answer);
    json_decref(answer);
}

/* What is erased is counted no more, and a snapshot that was counted from it says what it lacks. */
START_TEST(what_was_erased_is_named)
{
    char window[40];
    char last[40];
    char snapshot[40];

    make_cases(window, last);
    make_snapshot(&hq, window, snapshot);
    json_t *answer = served_ask(&hq, "{'id':1,'do':'stats.table','tables':['T1'],'window':'%s'}", window);
    ck_assert_int_eq(count_of(served_granted(answer), "Cases", "[\"all\"]"), 9);
    json_decref(answer);
    answer = served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", last);
    (void)served_granted(answer);
    json_decref(answer);
    test_node_exchange(ken.node, hq.node);
    answer = served_ask(&hq, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", last);
    ck_assert(json_is_true(json_object_get(served_granted(answer), "second")));
    json_decref(answer);
    test_node_tend(hq.node);
    answer = served_ask(&hq, "{'id':1,'do':'stats.table','tables':['T1'],'window':'%s'}", window);
    ck_assert_int_eq(count_of(served_granted(answer), "Cases", "[\"all\"]"), 8);
    json_decref(answer);
    expect_fault(&hq, snapshot, "missing", last);
}
END_TEST

/* A clock by which every look at it takes a while. */
static uint64_t
ticking(void *self)
{
    struct test_world *world = self;

    world->steady_ms += 100;
    return world->steady_ms;
}

/* A node with a socket, and who asks it: on the replica of `hq`, which may go on serving. */
struct line {
    char directory[40];
    struct api *api;
    struct serve *serve;
    struct client *clients[3];
};

static void
line_begin(struct line *line)
{
    struct client_fault fault;

    *line = (struct line){ .directory = "/tmp/vigil-stats-XXXXXX" };
    ck_assert_ptr_nonnull(mkdtemp(line->directory));
    ck_assert_int_eq(api_open(&line->api, line->directory), ERR_OK);
    hq.node->world.world.steady_ms = ticking;
    line->serve = serve_new(&(struct serve_options){ .replica = hq.node->replica,
                                                     .gossip = hq.gossip,
                                                     .peers = hq.peers,
                                                     .api = line->api,
                                                     .status = &hq.status,
                                                     .config = &hq.config,
                                                     .world = &hq.node->world.world,
                                                     .version = "test",
                                                     .directory = hq.node->directory });
    ck_assert_ptr_nonnull(line->serve);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_int_eq(client_open(&line->clients[n], line->directory, &fault), ERR_OK);
    }
}

static void
line_end(struct line *line)
{
    for (size_t n = 0; n < 3; n++) {
        client_close(&line->clients[n]);
    }
    serve_free(&line->serve);
    api_close(&line->api);
    ck_assert_int_eq(rmdir(line->directory), 0);
}

static int64_t
line_ask(struct line *line, size_t client, json_t *request)
{
    struct client_fault fault;
    int64_t id = 0;

    ck_assert_int_eq(client_send(line->clients[client], request, 1000, &id, &fault), ERR_OK);
    return id;
}

/* As the loop does it: what is to be written, then what is read. */
static void
line_round(struct line *line)
{
    api_gather(line->api);
    serve_take(line->serve);
    if (serve_has_writes(line->serve)) {
        ck_assert_int_eq(replica_begin(hq.node->replica), ERR_OK);
        ck_assert(serve_write(line->serve));
        enum err err = replica_commit(hq.node->replica);
        serve_turn_ended(line->serve, err);
        ck_assert_int_eq(err, ERR_OK);
    }
    serve_answer(line->serve);
    api_flush(line->api);
}

/* What it was answered, NULL: nothing yet. *id_out: to which question. */
static json_t *
line_hear(struct line *line, size_t client, int64_t *id_out)
{
    struct client_answer answer = { .id = 0 };
    struct client_fault fault;
    enum err err = client_receive(line->clients[client], 0, &answer, &fault);

    ck_assert(err == ERR_OK || err == ERR_BUSY);
    ck_assert(err == ERR_BUSY || answer.ok != NULL);
    *id_out = err == ERR_OK ? answer.id : 0;
    json_t *ok = err == ERR_OK ? json_incref(answer.ok) : NULL;
    client_answer_free(&answer);
    return ok;
}

static int64_t
line_heard(struct line *line, size_t client)
{
    int64_t id;

    json_decref(line_hear(line, client, &id));
    return id;
}

/* Whoever asks for a table of very many records waits alone, and hears answers in the order of the questions. */
START_TEST(others_are_served_while_many_records_are_counted)
{
    struct line line;
    int64_t seen[2] = { 0, 0 };
    size_t count = 0;
    int rounds = 0;

    line_begin(&line);
    int64_t table = line_ask(&line, 0, json_pack("{s:s,s:[s]}", "do", "stats.table", "tables", "T1"));
    int64_t after = line_ask(&line, 0, json_pack("{s:s}", "do", "codebook.show"));
    int64_t quick = line_ask(&line, 1, json_pack("{s:s}", "do", "actor.list"));
    for (; count < 2 && rounds < 1000; rounds++) {
        line_round(&line);
        ck_assert(rounds > 0 || line_heard(&line, 1) == quick);
        seen[count] = line_heard(&line, 0);
        count += seen[count] != 0;
    }
    ck_assert_int_gt(rounds, 1);
    ck_assert_int_eq(seen[0], table);
    ck_assert_int_eq(seen[1], after);
    line_end(&line);
}
END_TEST

static json_t *
asks_to_verify(const char *snapshot)
{
    return json_pack("{s:s,s:s}", "do", "snapshot.verify", "snapshot", snapshot);
}

/* The answer to a client's only question, after as many rounds as it takes; somebody else is answered in each of them. */
static json_t *
line_wait(struct line *line, size_t client, int *rounds_out)
{
    json_t *ok = NULL;
    int64_t id;

    for (*rounds_out = 0; ok == NULL; ++*rounds_out) {
        int64_t quick = line_ask(line, 2, json_pack("{s:s}", "do", "actor.list"));

        ck_assert_int_lt(*rounds_out, 1000);
        line_round(line);
        ck_assert_int_eq(line_heard(line, 2), quick);
        ok = line_hear(line, client, &id);
    }
    return ok;
}

/* Asked again, from the beginning, it is the same. */
static void
expect_verdict(struct served *node, const char *snapshot, const json_t *ok)
{
    json_t *answer = verify(node, snapshot);

    if (!json_equal(ok, served_granted(answer))) {
        ck_abort_msg("%s is not %s", json_dumps(ok, JSON_COMPACT), json_dumps(answer, JSON_COMPACT));
    }
    json_decref(answer);
}

/* A slice is one record here: there are nine cases, nine persons and a window. */
START_TEST(others_are_served_between_the_slices_of_two_that_check_a_snapshot)
{
    char window[40];
    char last[40];
    char snapshot[40];
    struct line line;
    int rounds;
    int more;

    make_cases(window, last);
    make_snapshot(&hq, window, snapshot);
    plant_wrong_figure(&hq, snapshot);
    test_node_exchange(hq.node, other.node);
    line_begin(&line);
    (void)line_ask(&line, 0, asks_to_verify(snapshot));
    line_round(&line);
    (void)line_ask(&line, 1, asks_to_verify(snapshot));
    json_t *first = line_wait(&line, 0, &rounds);
    json_t *second = line_wait(&line, 1, &more);
    ck_assert_int_ge(rounds, 18);
    ck_assert_int_le(more, 3); /* they went side by side */
    ck_assert(json_equal(first, second));
    ck_assert_uint_eq(json_array_size(json_object_get(first, "wrong")), 1);
    expect_verdict(&other, snapshot, first);
    json_decref(first);
    json_decref(second);
    line_end(&line);
}
END_TEST

static size_t
noted_snapshots(void)
{
    json_t *answer = served_ask(&hq, "{'id':1,'do':'audit.list','what':'snapshot'}");
    size_t count = json_array_size(json_object_get(served_granted(answer), "events"));

    json_decref(answer);
    return count;
}

/* A verdict would be noted, though nobody were left to hear it. */
START_TEST(who_leaves_while_a_snapshot_is_checked_leaves_nothing_behind)
{
    char window[40];
    char last[40];
    char snapshot[40];
    struct line line;

    make_cases(window, last);
    make_snapshot(&hq, window, snapshot);
    ck_assert_uint_eq(noted_snapshots(), 1);
    line_begin(&line);
    (void)line_ask(&line, 0, asks_to_verify(snapshot));
    (void)line_ask(&line, 1, json_pack("{s:s,s:s}", "do", "snapshot.draft", "window", window));
    for (int n = 0; n < 5; n++) {
        line_round(&line);
    }
    ck_assert_int_eq(line_heard(&line, 0), 0);
    client_close(&line.clients[0]);
    client_close(&line.clients[1]);
    for (int n = 0; n < 100; n++) {
        line_round(&line);
    }
    ck_assert_uint_eq(noted_snapshots(), 1);
    line_end(&line);
}
END_TEST

/* Entries that come between two slices lie after the ends: of a record that was looked at, of one that is to be, and of a new one. */
START_TEST(what_comes_between_slices_changes_no_verdict)
{
    char window[40];
    char early[40];
    char last[40];
    char snapshot[40];
    char more[40];
    struct line line;
    int rounds;

    make_window(&hq, window);
    make_case(&hq, early, window, "man");
    for (int n = 0; n < 8; n++) {
        make_case(&hq, last, window, "woman");
    }
    make_snapshot(&hq, window, snapshot);
    line_begin(&line);
    (void)line_ask(&line, 0, asks_to_verify(snapshot));
    for (int n = 0; n < 10; n++) {
        line_round(&line);
    }
    edit(&hq, early);
    edit(&hq, last);
    make_case(&hq, more, window, "man");
    json_t *ok = line_wait(&line, 0, &rounds);
    ck_assert_int_ge(rounds, 8);
    ck_assert_int_le(rounds, 16); /* it went on where it was */
    ck_assert(json_is_true(json_object_get(ok, "agrees")));
    json_decref(ok);
    line_end(&line);
}
END_TEST

static void
revoke_device(struct test_node *node, struct test_node *at)
{
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf signed_statement = { 0 };

    memcpy(statement.revoke.key, node->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = 2;
    (void)test_organisation_sign(&org, &statement, "office-KEN", &signed_statement);
    test_node_state(at, buf_span(&signed_statement));
    buf_free(&signed_statement);
}

/* Half of the cases were looked at when their device was revoked: none of them counts, and not the other half alone. */
START_TEST(what_ceases_to_count_between_slices_is_looked_at_again)
{
    char window[40];
    char last[40];
    char snapshot[40];
    struct line line;
    int rounds;

    make_cases(window, last);
    make_snapshot(&hq, window, snapshot);
    test_node_exchange(hq.node, other.node);
    line_begin(&line);
    (void)line_ask(&line, 0, asks_to_verify(snapshot));
    for (int n = 0; n < 12; n++) {
        line_round(&line);
    }
    revoke_device(ken.node, hq.node);
    json_t *ok = line_wait(&line, 0, &rounds);
    ck_assert_int_ge((int)json_integer_value(json_object_get(ok, "faulty")), 18);
    expect_verdict(&hq, snapshot, ok);
    json_decref(ok);
    line_end(&line);
}
END_TEST

/* Nothing is kept of a case that was looked at before it was erased. */
START_TEST(what_is_erased_between_slices_is_missing)
{
    char window[40];
    char early[40];
    char last[40];
    char snapshot[40];
    struct line line;
    int rounds;

    make_cases_between(window, early, last);
    make_snapshot(&hq, window, snapshot);
    order_erasure(&ken, early);
    test_node_exchange(ken.node, hq.node);
    line_begin(&line);
    (void)line_ask(&line, 0, asks_to_verify(snapshot));
    for (int n = 0; n < 12; n++) {
        line_round(&line);
    }
    order_erasure(&hq, early); /* the second one */
    test_node_tend(hq.node);
    json_t *ok = line_wait(&line, 0, &rounds);
    ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "faulty")), 1);
    ck_assert_uint_gt(json_array_size(json_object_get(ok, "wrong")), 0);
    expect_verdict(&hq, snapshot, ok);
    json_decref(ok);
    line_end(&line);
}
END_TEST

/* A draft is of the moment when it was begun, however long it takes; and of a later one if what it is of is another by then. */
START_TEST(a_draft_is_of_one_moment)
{
    char window[40];
    char last[40];
    char snapshot[40];
    char more[40];
    struct line line;
    int rounds;

    make_cases(window, last);
    line_begin(&line);
    (void)line_ask(&line, 0, json_pack("{s:s,s:s}", "do", "snapshot.draft", "window", window));
    for (int n = 0; n < 10; n++) {
        line_round(&line);
    }
    edit(&hq, last);
    make_case(&hq, more, window, "man");
    json_t *draft = line_wait(&line, 0, &rounds);
    ck_assert_int_ge(rounds, 5);
    ck_assert_int_eq((int)json_integer_value(json_object_get(draft, "records")), 19);
    (void)line_ask(&line, 0,
                   json_pack("{s:s,s:O}", "do", "snapshot.make", "draft", json_object_get(draft, "draft")));
    json_t *made = line_wait(&line, 0, &rounds);
    (void)snprintf(snapshot, sizeof snapshot, "%s", json_string_value(json_object_get(made, "snapshot")));
    json_decref(draft);
    json_decref(made);
    test_node_exchange(hq.node, other.node);
    expect_agreement(&other, snapshot);
    /* Begun again: those of KEN count no more, and one of ours is left with its person and the window's own edits. */
    (void)line_ask(&line, 0, json_pack("{s:s,s:s}", "do", "snapshot.draft", "window", window));
    for (int n = 0; n < 10; n++) {
        line_round(&line);
    }
    revoke_device(ken.node, hq.node);
    draft = line_wait(&line, 0, &rounds);
    ck_assert_int_le((int)json_integer_value(json_object_get(draft, "records")), 4);
    json_decref(draft);
    line_end(&line);
}
END_TEST

static void
expect_individuals(struct served *node, const char *window, int all, int by_stubs)
{
    json_t *answer = served_ask(
        node, "{'id':1,'do':'stats.table','tables':['T1'],'window':'%s','unsuppressed':true}", window);
    const json_t *ok = served_granted(answer);

    ck_assert_int_eq(count_of(ok, "Individuals", "[\"all\"]"), all);
    ck_assert_int_eq(count_of(ok, "Individuals", "[\"not_recorded\"]"), by_stubs);
    ck_assert_int_eq(count_of(ok, "Cases", "[\"all\"]"), 10);
    json_decref(answer);
}

/* Who let herself be counted is, before and after; and a node that met the stub alone counts the same from the snapshot. */
START_TEST(a_count_stub_takes_the_place_of_who_was_erased)
{
    char window[40];
    char person[40];
    char last[40];
    char snapshot[40];

    make_cases(window, last);
    save(&ken, person,
         "'kind':'person','set':{'pseudonym':'Heron','counting_unit':'individual'},"
         "'add':[{'to':'consent','fields':{'scope':['count_only'],'decision':'granted'}}]");
    save(
        &ken, last,
        "'kind':'case','imported':true,'set':{'title':'A "
        "walk','status':'counted_only','reporting_window':'%s'},"
        "'add':[{'to':'country_alleged_responsible','value':'KEN'},{'to':'victim','fields':{'person':'%s'}}]",
        window, person);
    test_node_exchange(ken.node, hq.node);
    expect_individuals(&hq, window, 10, -2);
    order_erasure(&ken, person);
    order_erasure(&hq, person); /* apart: each writes the stub */
    test_node_exchange(ken.node, hq.node);
    order_erasure(&ken, person);
    test_node_exchange(ken.node, hq.node);
    test_node_tend(hq.node);
    expect_individuals(&hq, window, 10, 1);
    make_snapshot(&hq, window, snapshot);
    test_node_exchange(hq.node, other.node);
    expect_agreement(&other, snapshot);
}
END_TEST

SUITE_MAIN_WITH("serve_stats", setup, teardown, tables_follow_what_is_saved,
                an_axis_says_whose_codes_its_values_are,
                small_numbers_are_for_those_who_review_and_it_is_noted, what_is_asked_wrongly_is_refused,
                another_node_counts_a_snapshot_again, later_edits_do_not_change_it,
                one_planted_wrong_figure_is_named, a_record_that_is_missing_is_named,
                what_cannot_be_read_here_is_said, what_was_erased_is_named,
                others_are_served_while_many_records_are_counted,
                others_are_served_between_the_slices_of_two_that_check_a_snapshot,
                who_leaves_while_a_snapshot_is_checked_leaves_nothing_behind,
                what_comes_between_slices_changes_no_verdict,
                what_ceases_to_count_between_slices_is_looked_at_again,
                what_is_erased_between_slices_is_missing, a_draft_is_of_one_moment,
                a_count_stub_takes_the_place_of_who_was_erased)
