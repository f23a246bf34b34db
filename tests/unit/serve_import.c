/* Rows of other systems as a node takes them in: none is a record before all were judged, and none is brought in twice. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken;
static struct served hq;    /* has admin in KEN's compartments too */
static struct served clerk; /* of KEN, with write and no more */

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init_with(&org, 53, 1, 1);
    org.roles = ROLE_REVIEW; /* reads the audit log */
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    struct test_node *first = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *second = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    struct test_node *third = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
    test_node_join(&org, first);
    test_node_join(&org, second);
    test_node_join(&org, third);
    test_node_exchange(first, second);
    test_node_exchange(first, third);
    served_begin(&ken, first);
    served_begin(&hq, second);
    served_begin(&clerk, third);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&hq);
    served_end(&clerk);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

/* A member of the answer, which is freed. */
static char *
member(json_t *answer, const char *name)
{
    static char text[400];
    const json_t *value = json_object_get(served_granted(answer), name);

    if (json_is_string(value)) {
        (void)snprintf(text, sizeof text, "%s", json_string_value(value));
    } else {
        (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    }
    json_decref(answer);
    return text;
}

static const char *
status(struct served *node, const char *name)
{
    return member(served_ask(node, "{'id':1,'do':'import.status'}"), name);
}

/* One turn, with a slice of the import; as the loop does. */
static void
turn(struct served *node)
{
    struct replica *replica = node->node->replica;

    if (!serve_has_writes(node->serve)) {
        return;
    }
    ck_assert_int_eq(replica_begin(replica), ERR_OK);
    while (!serve_write(node->serve)) {
        ck_assert_int_eq(replica_abort(replica), ERR_OK);
        ck_assert_int_eq(replica_begin(replica), ERR_OK);
    }
    ck_assert_int_eq(replica_commit(replica), ERR_OK);
    serve_turn_ended(node->serve, ERR_OK);
}

static const char *
begin(struct served *node)
{
    static char id[40];

    (void)snprintf(id, sizeof id, "%s",
                   member(served_ask(node, "{'id':1,'do':'import.begin','source':'test'}"), "import"));
    return id;
}

/* What the node says of the last of `rows`: its verdict, or why it is refused. */
static const char *
judge(struct served *node, const char *id, const char *rows)
{
    static char said[400];
    json_t *answer = served_ask(node, "{'id':1,'do':'import.rows','import':'%s','rows':[%s]}", id, rows);
    const json_t *outcomes = json_object_get(served_granted(answer), "rows");
    const json_t *last = json_array_get(outcomes, json_array_size(outcomes) - 1);
    const char *text = json_string_value(json_object_get(last, "verdict"));

    (void)snprintf(said, sizeof said, "%s",
                   text != NULL ? text : json_string_value(json_object_get(last, "message")));
    json_decref(answer);
    return said;
}

static void
commit(struct served *node, const char *id, int rows)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'import.commit','import':'%s','rows':%d}", id, rows);

    (void)served_granted(answer);
    json_decref(answer);
}

/* All of it. Gives what the node says of the last row. */
static const char *
import(struct served *node, const char *rows, int count)
{
    char id[40];

    (void)snprintf(id, sizeof id, "%s", begin(node));
    const char *said = judge(node, id, rows);
    commit(node, id, count);
    turn(node);
    ck_assert_str_eq(status(node, "state"), "done");
    return said;
}

static int
count(struct served *node, const char *kind)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.count','kind':'%s','by':['record_kind']}", kind);
    const json_t *rows = json_object_get(served_granted(answer), "rows");
    int found = (int)json_integer_value(json_object_get(json_array_get(rows, 0), "count"));

    json_decref(answer);
    return found;
}

/* A row that makes a case with an act and a victim. */
static const char *
row(int number, const char *title, const char *stage)
{
    static char text[1200];

    (void)snprintf(
        text, sizeof text,
        "{'row':%d,'records':["
        "{'key':'%d/p','kind':'person','set':{'gender':'woman'},"
        "'add':[{'to':'name','slot':'name','fields':{'text':'Amina Told'}}]},"
        "{'key':'%d','kind':'case','set':{'title':'%s','status':'assessment','country_of_act':['KEN','UGA']},"
        "'add':[{'to':'act','slot':'act[1]','fields':{'type_of_act':'detention','stage':'%s'}},"
        "{'to':'victim','slot':'victim[v]','fields':{'person':{'row':0},'part':'alleged_victim'}}]}]}",
        number, number, number, title, stage);
    return text;
}

static void
number_of(struct served *node, const char *kind, char number[40])
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.list','kind':'%s'}", kind);
    const json_t *records = json_object_get(served_granted(answer), "records");

    ck_assert_uint_eq(json_array_size(records), 1);
    (void)snprintf(number, 40, "%s",
                   json_string_value(json_object_get(json_array_get(records, 0), "number")));
    json_decref(answer);
}

/* The first value of a field, or of a field of the first element of a collection; "" if it is not there. */
static const char *
value(struct served *node, const char *number, const char *collection, const char *name)
{
    static char text[80];
    json_t *answer = served_ask(node, "{'id':1,'do':'record.show','record':'%s'}", number);
    const json_t *fields = json_object_get(served_granted(answer), "fields");
    size_t index;
    json_t *item;

    if (collection != NULL) {
        fields = NULL;
        json_array_foreach(json_object_get(json_object_get(answer, "ok"), "elements"), index, item)
        {
            if (strcmp(json_string_value(json_object_get(item, "collection")), collection) == 0) {
                fields = json_object_get(item, "fields");
                break;
            }
        }
    }
    text[0] = '\0';
    json_array_foreach((json_t *)fields, index, item)
    {
        const json_t *values = json_object_get(item, "values");
        const char *here = json_string_value(json_object_get(item, "name"));
        const char *dot = strchr(here, '.');

        if (strcmp(dot == NULL ? here : dot + 1, name) == 0) {
            ck_assert_uint_eq(json_array_size(values), 1);
            (void)snprintf(text, sizeof text, "%s",
                           json_string_value(json_object_get(json_array_get(values, 0), "value")));
        }
    }
    json_decref(answer);
    return text;
}

static void
save(struct served *node, const char *number, const char *what)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save','record':'%s',%s}", number, what);

    (void)served_granted(answer);
    json_decref(answer);
}

START_TEST(nothing_is_a_record_before_all_rows_were_judged)
{
    char id[40];

    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    ck_assert_str_eq(judge(&ken, id, row(2, "A", "ongoing")), "new");
    ck_assert_str_eq(judge(&ken, id, row(3, "B", "ongoing")), "new");
    ck_assert_int_eq(count(&ken, "case"), 0);
    served_refused(served_ask(&ken, "{'id':1,'do':'import.commit','import':'%s','rows':3}", id), "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'import.commit','import':'0011223344556677','rows':2}"),
                   "absent");
    ck_assert_int_eq(count(&ken, "case"), 0);
    commit(&ken, id, 2);
    ck_assert_int_eq(count(&ken, "case"), 0);
    served_refused(served_ask(&ken, "{'id':1,'do':'import.abandon'}"), "busy");
    served_refused(served_ask(&ken, "{'id':1,'do':'import.begin','source':'x'}"), "busy");
    turn(&ken);
    ck_assert_int_eq(count(&ken, "case"), 2);
    ck_assert_int_eq(count(&ken, "person"), 2);
    ck_assert_str_eq(status(&ken, "state"), "done");
    ck_assert_str_eq(status(&ken, "new"), "2");
    served_refused(served_ask(&ken, "{'id':1,'do':'import.rows','import':'%s','rows':[]}", id), "absent");
}
END_TEST

START_TEST(a_bad_row_is_named_and_leaves_nothing_of_the_others)
{
    char id[40];

    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    ck_assert_str_eq(judge(&ken, id, row(2, "A", "ongoing")), "new");
    json_t *answer = served_ask(&ken, "{'id':1,'do':'import.rows','import':'%s','rows':[%s]}", id,
                                row(3, "B", "outrageous"));
    const json_t *outcome = json_array_get(json_object_get(served_granted(answer), "rows"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(outcome, "row")), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(outcome, "record")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(outcome, "item")), 0);
    ck_assert_str_eq(json_string_value(json_object_get(outcome, "field")), "stage");
    ck_assert_str_eq(json_string_value(json_object_get(outcome, "message")),
                     "act.stage: this is none of the values of the field's vocabulary");
    json_decref(answer);
    ck_assert_str_eq(judge(&ken, id, row(4, "C", "ongoing")), "new");
    served_refused(served_ask(&ken, "{'id':1,'do':'import.commit','import':'%s','rows':2}", id), "invalid");
    turn(&ken);
    ck_assert_int_eq(count(&ken, "case"), 0);
}
END_TEST

/* What the audit log says of imports, the latest first. */
static const char *
noted(struct served *node)
{
    static char said[400];
    json_t *answer = served_ask(node, "{'id':1,'do':'audit.list','what':'import'}");
    size_t index;
    json_t *event;

    said[0] = '\0';
    json_array_foreach(json_object_get(served_granted(answer), "events"), index, event)
    {
        size_t size = strlen(said);

        (void)snprintf(said + size, sizeof said - size, "%s %s %lld|",
                       json_string_value(json_object_get(event, "filter")),
                       json_string_value(json_object_get(event, "reason")),
                       (long long)json_integer_value(json_object_get(event, "count")));
    }
    json_decref(answer);
    return said;
}

/* Whoever asks for verdicts learns whether a record is here and what it says, though nothing comes of the rows. */
START_TEST(who_asks_what_is_here_is_noted_whatever_comes_of_it)
{
    ck_assert_str_eq(import(&ken, row(2, "A", "ongoing"), 1), "new");
    ck_assert_str_eq(noted(&ken), "decided test 1|begun test 0|");
    json_decref(
        served_ask(&ken, "{'id':1,'do':'import.check','source':'test','rows':[%s]}", row(2, "A", "ongoing")));
    ck_assert_str_eq(noted(&ken), "checked test 1|decided test 1|begun test 0|");
    ck_assert_str_eq(judge(&ken, begin(&ken), row(2, "B", "ongoing")), "changed");
    served_granted_once(&ken, "{'id':1,'do':'import.abandon'}");
    ck_assert_str_eq(noted(&ken), "begun test 0|checked test 1|decided test 1|begun test 0|");
    served_refused(served_ask(&ken, "{'id':1,'do':'import.check','rows':[]}"), "usage");
    ck_assert_str_eq(noted(&ken), "begun test 0|checked test 1|decided test 1|begun test 0|");
}
END_TEST

START_TEST(a_dry_run_writes_nothing_but_that_it_was)
{
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'import.check','source':'test','rows':[%s]}", row(2, "A", "ongoing"));
    const json_t *rows = json_object_get(served_granted(answer), "rows");

    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "verdict")), "new");
    json_decref(answer);
    ck_assert_str_eq(noted(&ken), "checked test 1|");
    ck_assert_int_eq(count(&ken, "case"), 0);
    ck_assert_int_eq(count(&ken, "person"), 0);
    ck_assert_str_eq(status(&ken, "state"), "none");
}
END_TEST

START_TEST(a_second_run_writes_nothing_but_that_it_was)
{
    char number[40];

    ck_assert_str_eq(import(&ken, row(2, "A", "ongoing"), 1), "new");
    number_of(&ken, "case", number);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.history','record':'%s'}", number);
    size_t entries = json_array_size(json_object_get(served_granted(answer), "entries"));
    json_decref(answer);
    ck_assert_str_eq(import(&ken, row(2, "A", "ongoing"), 1), "same");
    ck_assert_str_eq(status(&ken, "same"), "1");
    answer = served_ask(&ken, "{'id':1,'do':'record.history','record':'%s'}", number);
    ck_assert_uint_eq(json_array_size(json_object_get(served_granted(answer), "entries")), entries);
    json_decref(answer);
    ck_assert_int_eq(count(&ken, "case"), 1);
    ck_assert_int_eq(count(&ken, "person"), 1);
}
END_TEST

/* What stands here was written by a person: a file takes none of it away. */
START_TEST(a_file_changes_what_its_source_changed_and_nothing_else)
{
    char number[40];

    (void)import(&ken, row(2, "A", "threatened"), 1);
    number_of(&ken, "case", number);
    save(&ken, number, "'set':{'title':'Ours','contextual_notes':'Ours too'}");
    ck_assert_str_eq(import(&ken, row(2, "A", "carried_out"), 1), "changed");
    ck_assert_str_eq(value(&ken, number, NULL, "title"), "Ours");
    ck_assert_str_eq(value(&ken, number, "act", "stage"), "carried_out");
    ck_assert_str_eq(value(&ken, number, NULL, "contextual_notes"), "Ours too");
    /* Both changed the title. */
    ck_assert_str_eq(import(&ken, row(2, "Theirs", "carried_out"), 1), "same");
    ck_assert_str_eq(status(&ken, "kept"), "1");
    ck_assert_str_eq(value(&ken, number, NULL, "title"), "Ours");
    /* They agree again, and from then on the source is followed. */
    save(&ken, number, "'set':{'title':'A'}");
    ck_assert_str_eq(import(&ken, row(2, "Theirs", "carried_out"), 1), "changed");
    ck_assert_str_eq(value(&ken, number, NULL, "title"), "Theirs");
}
END_TEST

START_TEST(what_was_removed_here_does_not_come_back)
{
    char number[40];
    char element[80];

    (void)import(&ken, row(2, "A", "threatened"), 1);
    number_of(&ken, "case", number);
    json_t *answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    size_t index;
    json_t *item;
    element[0] = '\0';
    json_array_foreach(json_object_get(served_granted(answer), "elements"), index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "collection")), "act") == 0) {
            (void)snprintf(element, sizeof element, "'remove':['act[%s]']",
                           json_string_value(json_object_get(item, "element")));
        }
    }
    json_decref(answer);
    save(&ken, number, element);
    ck_assert_str_eq(import(&ken, row(2, "A", "carried_out"), 1), "same");
    ck_assert_str_eq(value(&ken, number, "act", "stage"), "");
    ck_assert_str_eq(import(&ken, row(2, "B", "carried_out"), 1), "changed");
    ck_assert_str_eq(value(&ken, number, "act", "stage"), "");
    ck_assert_str_eq(value(&ken, number, NULL, "title"), "B");
}
END_TEST

/* Whoever was taken out is not put in again by whoever still has the file. */
START_TEST(what_was_restricted_or_erased_does_not_come_back)
{
    char number[40];
    char id[40];

    (void)import(&ken, row(2, "A", "ongoing"), 1);
    number_of(&ken, "person", number);
    save(&ken, number, "'add':[{'to':'restriction','fields':{'reason':'consent_withdrawn'}}]");
    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    ck_assert_str_eq(judge(&ken, id, row(2, "A", "ongoing")),
                     "the record of this row is restricted, and takes no change");
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number);
    (void)served_granted(answer);
    json_decref(answer);
    for (int n = 0; n < 8; n++) {
        test_node_tend(ken.node);
    }
    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    ck_assert_str_eq(judge(&ken, id, row(2, "A", "ongoing")),
                     "the record that was made of this row was erased, and a file does not bring it back");
    ck_assert_int_eq(count(&ken, "person"), 0);
}
END_TEST

/* An order may arrive between the decision and the turn; what the row says is not kept for it. */
START_TEST(a_row_whose_record_was_erased_meanwhile_is_left_out)
{
    char number[40];
    char id[40];

    (void)import(&ken, row(2, "A", "ongoing"), 1);
    number_of(&ken, "case", number);
    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    (void)judge(&ken, id, row(2, "B", "ongoing"));
    (void)judge(&ken, id, row(3, "New", "ongoing"));
    commit(&ken, id, 2);
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number);
    (void)served_granted(answer);
    json_decref(answer);
    for (int n = 0; n < 8; n++) {
        test_node_tend(ken.node);
    }
    turn(&ken);
    ck_assert_str_eq(status(&ken, "state"), "done");
    ck_assert_str_eq(status(&ken, "left"), "1");
    ck_assert_str_eq(status(&ken, "new"), "1");
    ck_assert_int_eq(count(&ken, "case"), 1);
}
END_TEST

START_TEST(a_file_passes_no_gate)
{
    char id[40];

    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    ck_assert_str_eq(
        judge(&ken, id,
              "{'row':2,'records':[{'key':'1','kind':'case','set':{'title':'A'},'add':[{'to':'review',"
              "'slot':'r','fields':{'gate':'scope','step':'office_cleared','decision':'passed'}}]}]}"),
        "no file says that a gate was passed, or where a record was imported from");
}
END_TEST

START_TEST(another_device_that_has_the_records_knows_the_rows)
{
    (void)import(&ken, row(2, "A", "ongoing"), 1);
    test_node_exchange(ken.node, hq.node);
    /* Of another office, and so in other compartments; the record is where it is. */
    ck_assert_str_eq(import(&hq, row(2, "A", "ongoing"), 1), "same");
    ck_assert_int_eq(count(&hq, "case"), 1);
    ck_assert_str_eq(import(&hq, row(2, "B", "ongoing"), 1), "changed");
    ck_assert_int_eq(count(&hq, "case"), 1);
}
END_TEST

START_TEST(only_a_device_with_admin_brings_new_records_in)
{
    char id[40];

    (void)snprintf(id, sizeof id, "%s", begin(&clerk));
    ck_assert_str_eq(judge(&clerk, id, row(2, "A", "ongoing")),
                     "records are imported by a device with admin");
}
END_TEST

static void
restart(struct served *node)
{
    struct test_node *kept = node->node;

    served_end(node);
    test_node_close(kept);
    test_node_open(kept);
    memset(node, 0, sizeof *node);
    served_begin(node, kept);
}

START_TEST(what_was_decided_goes_on_after_a_restart_and_what_was_not_is_dropped)
{
    char id[40];

    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    (void)judge(&ken, id, row(2, "A", "ongoing"));
    restart(&ken);
    ck_assert_str_eq(status(&ken, "state"), "open");
    turn(&ken);
    ck_assert_str_eq(status(&ken, "state"), "none");
    served_refused(served_ask(&ken, "{'id':1,'do':'import.commit','import':'%s','rows':1}", id), "absent");
    ck_assert_int_eq(count(&ken, "case"), 0);

    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    (void)judge(&ken, id, row(2, "A", "ongoing"));
    commit(&ken, id, 1);
    restart(&ken);
    ck_assert_str_eq(status(&ken, "state"), "saving");
    turn(&ken);
    ck_assert_str_eq(status(&ken, "state"), "done");
    ck_assert_int_eq(count(&ken, "case"), 1);
}
END_TEST

/* A right may be lost, or a record restricted, between the decision and the turn. */
START_TEST(a_row_that_is_refused_after_all_stops_the_import_until_somebody_decides)
{
    char number[40];
    char id[40];

    (void)import(&ken, row(2, "A", "ongoing"), 1);
    number_of(&ken, "case", number);
    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    (void)judge(&ken, id, row(3, "New", "ongoing"));
    (void)judge(&ken, id, row(2, "B", "ongoing"));
    commit(&ken, id, 2);
    save(&ken, number, "'add':[{'to':'restriction','fields':{'reason':'safety'}}]");
    turn(&ken);
    ck_assert_str_eq(status(&ken, "state"), "stopped");
    ck_assert_str_eq(status(&ken, "row"), "2");
    ck_assert_str_eq(status(&ken, "why"), "the record of this row is restricted, and takes no change");
    ck_assert_str_eq(member(served_ask(&ken, "{'id':1,'do':'import.resume'}"), "nothing"), "0");
    turn(&ken);
    ck_assert_str_eq(status(&ken, "state"), "stopped");
    ck_assert_str_eq(member(served_ask(&ken, "{'id':1,'do':'import.abandon'}"), "rows"), "2");
    ck_assert_str_eq(status(&ken, "state"), "none");
    served_refused(served_ask(&ken, "{'id':1,'do':'import.abandon'}"), "absent");
    served_refused(served_ask(&ken, "{'id':1,'do':'import.resume'}"), "absent");
}
END_TEST

/* True if a row that waits holds the text. */
static bool
waiting(struct served *node, const char *text)
{
    struct table_txn *txn = NULL;
    bool found = false;

    ck_assert_int_eq(replica_begin_read(node->node->replica, &txn), ERR_OK);
    for (uint8_t batch = 0; batch < 8; batch++) {
        uint8_t key[19] = "import:row:\0\0\0\0\0\0\0";
        struct buf rows = { 0 };

        key[18] = batch;
        if (table_read(txn, TABLE_META, span_of(key, sizeof key), &rows) == ERR_OK) {
            found = found || memmem(rows.data, rows.size, text, strlen(text)) != NULL;
        }
        buf_free(&rows);
    }
    replica_end_read(node->node->replica, &txn);
    return found;
}

static void
erase(const char *number)
{
    served_granted_once(&ken, "{'id':1,'do':'import.status'}");
    json_t *answer =
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", number);

    (void)served_granted(answer);
    json_decref(answer);
    for (int n = 0; n < 8; n++) {
        test_node_tend(ken.node);
    }
}

/* A file that stopped may wait for weeks; what it says of somebody who was erased does not. */
START_TEST(rows_that_wait_go_with_the_record_that_is_erased)
{
    char person[40];
    char number[40];
    char id[40];

    (void)import(&ken, row(2, "A", "ongoing"), 1);
    number_of(&ken, "case", number);
    number_of(&ken, "person", person);
    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    (void)judge(&ken, id, row(3, "New", "ongoing"));
    (void)judge(&ken, id, row(2, "Okapi", "ongoing"));
    (void)judge(&ken, id, row(4, "Newer", "ongoing"));
    commit(&ken, id, 3);
    save(&ken, number, "'add':[{'to':'restriction','fields':{'reason':'safety'}}]");
    turn(&ken);
    ck_assert_str_eq(status(&ken, "state"), "stopped");
    ck_assert(waiting(&ken, "Okapi"));
    ck_assert(!serve_is_forgetting(ken.serve));
    erase(person);
    /* Nothing is rewritten before that was looked through. */
    ck_assert(serve_is_forgetting(ken.serve));
    ck_assert(replica_compact_is_due(ken.node->replica));
    turn(&ken);
    ck_assert(!serve_is_forgetting(ken.serve));
    ck_assert(!waiting(&ken, "Okapi"));
    ck_assert(waiting(&ken, "Newer"));
    ck_assert_str_eq(status(&ken, "state"), "stopped");
    ck_assert_str_eq(status(&ken, "left"), "1");
    ck_assert(!serve_has_writes(ken.serve));
    served_granted_once(&ken, "{'id':1,'do':'import.resume'}");
    turn(&ken);
    ck_assert_str_eq(status(&ken, "state"), "done");
    ck_assert_str_eq(status(&ken, "saved"), "3");
    ck_assert_str_eq(status(&ken, "new"), "2");
    ck_assert_int_eq(count(&ken, "person"), 2);
}
END_TEST

/* Nor does a device bring it back that knows the record from another. */
START_TEST(rows_go_with_a_record_that_another_device_made)
{
    char person[40];
    char id[40];

    (void)import(&ken, row(2, "A", "ongoing"), 1);
    number_of(&ken, "person", person);
    test_node_exchange(ken.node, hq.node);
    (void)snprintf(id, sizeof id, "%s", begin(&hq));
    ck_assert_str_eq(judge(&hq, id, row(2, "Okapi", "ongoing")), "changed");
    ck_assert_str_eq(judge(&hq, id, row(3, "New", "ongoing")), "new");
    commit(&hq, id, 2);
    erase(person);
    test_node_exchange(ken.node, hq.node);
    for (int n = 0; n < 8; n++) {
        test_node_tend(hq.node);
    }
    ck_assert(serve_is_forgetting(hq.serve));
    turn(&hq);
    ck_assert(!waiting(&hq, "Okapi"));
    ck_assert_str_eq(status(&hq, "state"), "done");
    ck_assert_str_eq(status(&hq, "left"), "1");
    ck_assert_str_eq(status(&hq, "new"), "1");
    ck_assert_str_eq(status(&hq, "changed"), "0");
    ck_assert_int_eq(count(&hq, "person"), 1);
}
END_TEST

/* An entry holds some 32 KB: what is more goes into several. */
START_TEST(a_row_with_several_long_texts_is_taken_whole)
{
    enum { LONG = 30000 };
    char *text = malloc(LONG + 1);
    char id[40];
    char number[40];
    uint32_t chance = 1;

    ck_assert_ptr_nonnull(text);
    for (size_t n = 0; n < LONG; n++) {
        chance = chance * 1664525 + 1013904223;
        text[n] = (char)('a' + (chance >> 24) % 26);
    }
    text[LONG] = '\0';
    (void)snprintf(id, sizeof id, "%s", begin(&ken));
    json_t *answer = serve_one(
        ken.serve, json_pack("{s:i,s:s,s:s,s:[{s:i,s:[{s:s,s:s,s:{s:s,s:s},s:[{s:s,s:s,s:{s:s,s:s}}]}]}]}",
                             "id", 1, "do", "import.rows", "import", id, "rows", "row", 2, "records", "key",
                             "1", "kind", "case", "set", "contextual_notes", text, "title", "Long", "add",
                             "to", "narrative", "slot", "n", "fields", "language", "eng", "text", text));
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_array_get(json_object_get(served_granted(answer), "rows"), 0), "verdict")),
                     "new");
    json_decref(answer);
    commit(&ken, id, 1);
    turn(&ken);
    ck_assert_str_eq(status(&ken, "state"), "done");
    number_of(&ken, "case", number);
    answer = served_ask(&ken, "{'id':1,'do':'record.show','record':'%s'}", number);
    char *shown = json_dumps(answer, JSON_COMPACT);
    const char *once = strstr(shown, text);
    ck_assert_ptr_nonnull(once);
    ck_assert_ptr_nonnull(strstr(once + LONG, text));
    free(shown);
    json_decref(answer);
    free(text);
}
END_TEST

SUITE_MAIN_WITH("serve_import", setup, teardown, nothing_is_a_record_before_all_rows_were_judged,
                a_bad_row_is_named_and_leaves_nothing_of_the_others, a_dry_run_writes_nothing_but_that_it_was,
                who_asks_what_is_here_is_noted_whatever_comes_of_it,
                a_second_run_writes_nothing_but_that_it_was,
                a_file_changes_what_its_source_changed_and_nothing_else,
                what_was_removed_here_does_not_come_back, what_was_restricted_or_erased_does_not_come_back,
                a_row_whose_record_was_erased_meanwhile_is_left_out, a_file_passes_no_gate,
                another_device_that_has_the_records_knows_the_rows,
                only_a_device_with_admin_brings_new_records_in,
                what_was_decided_goes_on_after_a_restart_and_what_was_not_is_dropped,
                a_row_that_is_refused_after_all_stops_the_import_until_somebody_decides,
                rows_that_wait_go_with_the_record_that_is_erased,
                rows_go_with_a_record_that_another_device_made, a_row_with_several_long_texts_is_taken_whole)
