/* Duplicates as people ask for them: found across offices and scripts, linked, rejected, disputed; and what is not shown. */
#include "tests/support/check.h"
#include "tests/support/served.h"

#include "node/casework/duplicate.h"
#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_organisation org;
static struct served ken; /* writes in its own cases, and reads those of UGA */
static struct served uga; /* writes in its own cases, and holds nothing of KEN */
static struct served hq;  /* holds and writes all */
static char logged[16384];

static void
note_line(void *self, const char *line)
{
    size_t size = strlen(logged);

    (void)self;
    (void)snprintf(logged + size, sizeof logged - size, "%s\n", line);
}

static void
setup(void)
{
    struct ceremony_grant grants[OWN_COUNT];
    ceremony_fault fault = { 0 };
    size_t count;

    logged[0] = '\0';
    log_to(note_line, NULL);
    test_organisation_init_with(&org, 51, 3, 2);
    org.roles = ROLE_REVIEW; /* who may read the audit log */
    test_organisation_office(&org, "UGA", false);
    ck_assert_int_eq(ceremony_read_grant(org.ceremony, "UGA:cases=read", grants, &count), ERR_OK);
    ck_assert_int_eq(ceremony_office(org.ceremony, "KEN", "Nairobi", false, grants, count, &fault), ERR_OK);
    test_organisation_office(&org, "HQ", true);
    struct test_node *first = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *second = test_organisation_enrol(&org, "UGA", LEVEL_ADMIN, NULL, 0);
    struct test_node *third = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, first);
    test_node_join(&org, second);
    test_node_join(&org, third);
    test_node_exchange(first, second);
    test_node_exchange(first, third);
    test_node_exchange(second, third);
    served_begin(&ken, first);
    served_begin(&uga, second);
    served_begin(&hq, third);
}

static void
teardown(void)
{
    served_end(&ken);
    served_end(&uga);
    served_end(&hq);
    test_organisation_free(&org);
    log_to(NULL, NULL);
}

static void
exchange(void)
{
    for (int n = 0; n < 2; n++) {
        test_node_exchange(ken.node, hq.node);
        test_node_exchange(uga.node, hq.node);
        test_node_exchange(ken.node, uga.node);
    }
}

static void
save(struct served *node, const char *body, char number[40])
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save',%s}", body);

    (void)snprintf(number, 40, "%s", json_string_value(json_object_get(served_granted(answer), "number")));
    json_decref(answer);
}

static void
save_person(struct served *node, const char *name, char number[40])
{
    char body[400];

    (void)snprintf(body, sizeof body,
                   "'kind':'person','set':{'pseudonym':'P','counting_unit':'individual','gender':'woman'},"
                   "'add':[{'to':'name','fields':{'text':'%s'}},{'to':'nationality','value':'KEN'}]",
                   name);
    save(node, body, number);
}

static void
save_case(struct served *node, const char *person, char number[40])
{
    char body[600];

    (void)snprintf(body, sizeof body,
                   "'kind':'case','set':{'title':'A case','status':'draft'},'add':["
                   "{'to':'country_of_act','value':'KEN'},{'to':'victim','fields':{'person':'%s'}},"
                   "{'to':'act','fields':{'type_of_act':'death_threat','date_from':'2026-03-14',"
                   "'admin_area':'KE-30'}}]",
                   person);
    save(node, body, number);
}

/* The answer of duplicate.list; the caller frees it. `more` begins with a comma. */
static json_t *
list(struct served *node, const char *more)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'duplicate.list'%s}", more);
    const json_t *ok = served_granted(answer);

    ck_assert_int_eq((int)json_integer_value(json_object_get(ok, "left")), 0);
    return answer;
}

static const json_t *
pairs_of(json_t *answer)
{
    return json_object_get(served_granted(answer), "pairs");
}

/* "KEN-2026-0001 UGA-2026-0001 linked,": every pair that is listed, the numbers of each in order. */
static const char *
listed(struct served *node, const char *more)
{
    static char text[600];
    json_t *answer = list(node, more);
    size_t index;
    json_t *pair;

    text[0] = '\0';
    json_array_foreach(pairs_of(answer), index, pair)
    {
        const char *a = json_string_value(json_object_get(json_object_get(pair, "a"), "number"));
        const char *b = json_string_value(json_object_get(json_object_get(pair, "b"), "number"));
        bool turned = strcmp(a, b) > 0;

        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s %s,", turned ? b : a,
                       turned ? a : b, json_string_value(json_object_get(pair, "state")));
    }
    json_decref(answer);
    return text;
}

static const char *
pair_text(const char *a, const char *b, const char *state)
{
    static char text[120];

    (void)snprintf(text, sizeof text, "%s %s %s,", a, b, state);
    return text;
}

/* Say something of two, and expect the state that they have then, and in how many records it was written. */
static void
say(struct served *node, const char *verb, const char *a, const char *b, const char *state, size_t written)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'duplicate.%s','a':'%s','b':'%s'}", verb, a, b);
    const json_t *ok = served_granted(answer);

    ck_assert_str_eq(json_string_value(json_object_get(ok, "state")), state);
    ck_assert_uint_eq(json_array_size(json_object_get(ok, "written")), written);
    json_decref(answer);
}

/* The numbers that record.show names as the same, each with a comma. */
static const char *
same_as(struct served *node, const char *number)
{
    static char text[200];
    json_t *answer = served_ask(node, "{'id':1,'do':'record.show','record':'%s'}", number);
    const json_t *same = json_object_get(served_granted(answer), "same");
    size_t index;
    json_t *other;

    text[0] = '\0';
    json_array_foreach(json_object_get(same, "records"), index, other)
    {
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s,",
                       json_string_value(json_object_get(other, "number")));
    }
    ck_assert(json_is_null(same) == (text[0] == '\0'));
    json_decref(answer);
    return text;
}

static void
expect_same(struct served *node, const char *number, const char *other)
{
    char wanted[60];

    (void)snprintf(wanted, sizeof wanted, "%s,", other);
    ck_assert_str_eq(same_as(node, number), wanted);
}

START_TEST(one_person_of_two_offices_is_found_linked_and_parted_again)
{
    char a[40];
    char b[40];
    char other[40];

    save_person(&ken, "Wanjiru Kamau", a);
    save_person(&uga, "Ванджиру Камау", b);
    save_person(&uga, "Grace Akello", other);
    exchange();
    ck_assert_str_eq(listed(&hq, ""), pair_text(a, b, "candidate"));
    say(&hq, "link", a, b, "linked", 2);
    ck_assert_str_eq(listed(&hq, ""), "");
    ck_assert_str_eq(listed(&hq, ",'all':true"), pair_text(a, b, "linked"));
    expect_same(&hq, a, b);
    expect_same(&hq, b, a);
    ck_assert_str_eq(same_as(&hq, other), "");
    /* Once more changes nothing. */
    say(&hq, "link", b, a, "linked", 0);
    /* Neither has lost anything. */
    json_t *answer = served_ask(&hq, "{'id':1,'do':'record.list','kind':'person'}");
    ck_assert_int_eq((int)json_integer_value(json_object_get(served_granted(answer), "total")), 3);
    json_decref(answer);
    say(&hq, "unlink", b, a, "candidate", 2);
    ck_assert_str_eq(listed(&hq, ""), pair_text(a, b, "candidate"));
    ck_assert_str_eq(same_as(&hq, a), "");
    served_refused(served_ask(&hq, "{'id':1,'do':'duplicate.unlink','a':'%s','b':'%s'}", a, b), "absent");
    /* And linked again, after it was taken back. */
    say(&hq, "link", a, b, "linked", 2);
    ck_assert_str_eq(listed(&hq, ",'all':true"), pair_text(a, b, "linked"));
    exchange();
    ck_assert_str_eq(listed(&ken, ",'all':true"), pair_text(a, b, "linked"));
    expect_same(&ken, a, b);
}
END_TEST

START_TEST(reasons_tell_which_names_matched_and_that_is_noted)
{
    char a[40];
    char b[40];
    char more[80];

    save_person(&ken, "Wanjiru Kamau", a);
    save_person(&uga, "Ванджиру Камау", b);
    exchange();
    (void)snprintf(more, sizeof more, ",'record':'%s','names':true", a);
    json_t *answer = list(&hq, more);
    const json_t *pair = json_array_get(pairs_of(answer), 0);
    json_int_t sum = 0;
    size_t index;
    json_t *reason;
    json_array_foreach(json_object_get(pair, "reasons"), index, reason)
    {
        sum += json_integer_value(json_object_get(reason, "points"));
    }
    ck_assert_int_eq((int)sum, (int)json_integer_value(json_object_get(pair, "score")));
    ck_assert_int_eq((int)sum, 60);
    char *text = json_dumps(pair, 0);
    ck_assert_ptr_nonnull(strstr(text, "Ванджиру Камау"));
    ck_assert_ptr_nonnull(strstr(text, "Wanjiru Kamau"));
    free(text);
    json_decref(answer);
    answer = served_ask(&hq, "{'id':1,'do':'audit.list','what':'read'}");
    const json_t *events = json_object_get(served_granted(answer), "events");
    ck_assert_uint_eq(json_array_size(events), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(events, 0), "fields")), "name.text");
    json_decref(answer);
    /* Unless somebody asks for them, none is read. */
    answer = list(&hq, "");
    text = json_dumps(answer, 0);
    ck_assert_ptr_null(strstr(text, "Kamau"));
    free(text);
    json_decref(answer);
    /* And what is said of the two is noted for both. */
    say(&hq, "link", a, b, "linked", 2);
    say(&hq, "reject", a, b, "rejected", 2);
    answer = served_ask(&hq, "{'id':1,'do':'audit.list','what':'link'}");
    events = json_object_get(served_granted(answer), "events");
    ck_assert_uint_eq(json_array_size(events), 4);
    json_decref(answer);
    ck_assert_ptr_null(strstr(logged, "Kamau"));
    ck_assert_ptr_null(strstr(logged, "Камау"));
}
END_TEST

START_TEST(who_may_not_read_names_compares_none)
{
    char a[40];
    char b[40];

    save_person(&uga, "Wanjiru Kamau", a);
    save_person(&uga, "Wanjiru Kamau", b);
    exchange();
    ck_assert_str_eq(listed(&uga, ""), pair_text(a, b, "candidate"));
    ck_assert_str_eq(listed(&ken, ""), "");
}
END_TEST

/* Where a node may write in one of the two only, it stands there, and is seen from both. */
START_TEST(a_link_stands_where_the_node_may_write)
{
    char a[40];
    char b[40];

    save_person(&ken, "Wanjiru Kamau", a);
    save_person(&uga, "Wanjiru Kamau", b);
    exchange();
    json_t *answer = served_ask(&ken, "{'id':1,'do':'duplicate.link','a':'%s','b':'%s'}", a, b);
    const json_t *ok = served_granted(answer);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(ok, "written"), 0)), a);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(ok, "not_written"), 0)), b);
    json_decref(answer);
    exchange();
    ck_assert_str_eq(listed(&hq, ",'all':true"), pair_text(a, b, "linked"));
    expect_same(&hq, b, a);
    /* UGA does not hold the other. */
    ck_assert_str_eq(same_as(&uga, b), "");
    served_refused(served_ask(&uga, "{'id':1,'do':'duplicate.link','a':'%s','b':'%s'}", a, b), "absent");
    /* What stands in the other record cannot be taken back here. */
    say(&hq, "unlink", a, b, "candidate", 1);
    say(&hq, "link", a, b, "linked", 2);
    exchange();
    say(&ken, "unlink", a, b, "linked", 1);
    served_refused(served_ask(&ken, "{'id':1,'do':'duplicate.unlink','a':'%s','b':'%s'}", a, b), "denied");
    char mine[40];
    save_person(&uga, "Wanjiru Kamau", mine);
    exchange();
    served_refused(served_ask(&ken, "{'id':1,'do':'duplicate.link','a':'%s','b':'%s'}", mine, b), "denied");
}
END_TEST

START_TEST(a_rejection_is_seen_by_both_offices_and_can_be_taken_back)
{
    char a[40];
    char b[40];

    save_person(&ken, "Wanjiru Kamau", a);
    save_person(&uga, "Wanjiru Kamau", b);
    exchange();
    json_t *answer =
        served_ask(&hq, "{'id':1,'do':'duplicate.reject','a':'%s','b':'%s','reason':'namesake'}", a, b);
    (void)served_granted(answer);
    json_decref(answer);
    served_refused(
        served_ask(&hq, "{'id':1,'do':'duplicate.reject','a':'%s','b':'%s','reason':'Kamau'}", a, b),
        "invalid");
    ck_assert_str_eq(listed(&hq, ""), "");
    ck_assert_str_eq(listed(&hq, ",'all':true"), pair_text(a, b, "rejected"));
    exchange();
    answer = served_ask(&uga, "{'id':1,'do':'record.show','record':'%s'}", b);
    char *text = json_dumps(answer, 0);
    ck_assert_ptr_nonnull(strstr(text, "namesake"));
    ck_assert_ptr_nonnull(strstr(text, "not_same_as"));
    free(text);
    json_decref(answer);
    say(&hq, "unlink", a, b, "candidate", 2);
    ck_assert_str_eq(listed(&hq, ""), pair_text(a, b, "candidate"));
    /* A link takes a rejection back, and the other way round. */
    say(&hq, "reject", a, b, "rejected", 2);
    say(&hq, "link", a, b, "linked", 2);
    say(&hq, "reject", a, b, "rejected", 2);
    ck_assert_str_eq(same_as(&hq, a), "");
    ck_assert_str_eq(listed(&hq, ",'all':true"), pair_text(a, b, "rejected"));
}
END_TEST

START_TEST(what_is_linked_here_and_rejected_there_is_disputed)
{
    char a[40];
    char b[40];

    save_person(&ken, "Wanjiru Kamau", a);
    save_person(&uga, "Wanjiru Kamau", b);
    exchange();
    say(&hq, "link", a, b, "linked", 2);
    say(&ken, "reject", a, b, "rejected", 1);
    exchange();
    ck_assert_str_eq(listed(&hq, ""), pair_text(a, b, "disputed"));
    ck_assert_str_eq(same_as(&hq, a), "");
    ck_assert_str_eq(same_as(&hq, b), "");
    /* Whoever decides decides for all. */
    say(&hq, "link", a, b, "linked", 1);
    exchange();
    ck_assert_str_eq(listed(&hq, ",'all':true"), pair_text(a, b, "linked"));
    expect_same(&ken, b, a);
}
END_TEST

/* Both say it while they are apart: it stands once. */
START_TEST(two_offices_that_say_one_thing_say_it_once)
{
    char a[40];
    char b[40];

    save_person(&ken, "Wanjiru Kamau", a);
    save_person(&uga, "Wanjiru Kamau", b);
    exchange();
    say(&hq, "link", a, b, "linked", 2);
    say(&ken, "link", a, b, "linked", 1);
    exchange();
    json_t *answer = served_ask(&hq, "{'id':1,'do':'record.show','record':'%s'}", a);
    size_t links = 0;
    size_t index;
    json_t *element;
    json_array_foreach(json_object_get(served_granted(answer), "elements"), index, element)
    {
        links += strcmp(json_string_value(json_object_get(element, "collection")), "same_as") == 0;
    }
    ck_assert_uint_eq(links, 1);
    ck_assert(json_is_false(json_object_get(served_granted(answer), "conflict")));
    json_decref(answer);
    say(&hq, "unlink", a, b, "candidate", 2);
    exchange();
    ck_assert_str_eq(same_as(&ken, a), "");
}
END_TEST

static uint32_t
group_of(struct served *node, const char *number, size_t *members_out)
{
    struct replica *replica = node->node->replica;
    struct table_txn *txn = NULL;
    struct duplicate_groups *groups = NULL;
    char id[2 * IDENT_BYTES + 1];
    struct ident record_id;
    uint32_t record_no = 0;

    json_t *answer = served_ask(node, "{'id':1,'do':'record.show','record':'%s'}", number);
    (void)snprintf(id, sizeof id, "%s", json_string_value(json_object_get(served_granted(answer), "id")));
    json_decref(answer);
    ck_assert(bytes_from_hex(record_id.bytes, sizeof record_id.bytes, id));
    ck_assert_int_eq(replica_begin_read(replica, &txn), ERR_OK);
    const struct duplicate_source source = { txn, replica_codebook(replica), replica_roster(replica) };
    ck_assert_int_eq(duplicate_groups_read(&source, 0, &groups), ERR_OK);
    for (size_t n = 0; record_no == 0 && n < roster_compartment_count(source.roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(source.roster, n);
        if (compartment->role == COMPARTMENT_CASES &&
            record_find(txn, &compartment->id, &record_id, &record_no) != ERR_OK) {
            record_no = 0;
        }
    }
    ck_assert_uint_ne(record_no, 0);
    uint32_t group = duplicate_group_of(groups, record_no);
    *members_out = duplicate_member_count(groups);
    /* What was asked of one record is the same. */
    struct duplicate_groups *one = NULL;
    ck_assert_int_eq(duplicate_groups_read(&source, record_no, &one), ERR_OK);
    ck_assert_uint_eq(duplicate_group_of(one, record_no), group);
    ck_assert(duplicate_is_grouped(one, record_no) == duplicate_is_grouped(groups, record_no));
    duplicate_groups_free(&one);
    duplicate_groups_free(&groups);
    replica_end_read(replica, &txn);
    return group;
}

START_TEST(a_chain_is_one_group_and_counted_once)
{
    char numbers[4][40];
    size_t members = 0;

    for (int n = 0; n < 4; n++) {
        save_person(n % 2 == 0 ? &ken : &uga, "Wanjiru Kamau", numbers[n]);
    }
    exchange();
    say(&hq, "link", numbers[0], numbers[1], "linked", 2);
    say(&hq, "link", numbers[1], numbers[2], "linked", 2);
    uint32_t first = group_of(&hq, numbers[0], &members);
    ck_assert_uint_eq(members, 3);
    ck_assert_uint_eq(group_of(&hq, numbers[1], &members), first);
    ck_assert_uint_eq(group_of(&hq, numbers[2], &members), first);
    ck_assert_uint_ne(group_of(&hq, numbers[3], &members), first);
    ck_assert_uint_eq(strlen(same_as(&hq, numbers[0])), strlen(numbers[1]) + strlen(numbers[2]) + 2);
    /* It is linked by way of another: no candidate, and nothing to be taken back between these two. */
    ck_assert_ptr_null(strstr(listed(&hq, ""), pair_text(numbers[0], numbers[2], "candidate")));
    ck_assert_ptr_nonnull(strstr(listed(&hq, ",'all':true"), pair_text(numbers[0], numbers[2], "linked")));
    served_refused(
        served_ask(&hq, "{'id':1,'do':'duplicate.unlink','a':'%s','b':'%s'}", numbers[0], numbers[2]),
        "absent");
    /* What somebody disputes holds no group together. */
    say(&hq, "reject", numbers[1], numbers[2], "rejected", 2);
    ck_assert_uint_ne(group_of(&hq, numbers[2], &members), group_of(&hq, numbers[0], &members));
    ck_assert_uint_eq(members, 2);
}
END_TEST

START_TEST(two_cases_of_one_act_are_found_by_their_persons)
{
    char a[40];
    char b[40];
    char first[40];
    char second[40];
    char wanted[120];

    save_person(&ken, "Wanjiru Kamau", a);
    save_case(&ken, a, first);
    save_person(&uga, "Wanjiru Kamau", b);
    save_case(&uga, b, second);
    exchange();
    /* The cases score 30 + 20 + 15 + 15, the persons 55 + 5 + 5 + 20. */
    json_t *answer = list(&hq, "");
    ck_assert_uint_eq(json_array_size(pairs_of(answer)), 2);
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(pairs_of(answer), 0), "score")),
                     85);
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(pairs_of(answer), 1), "score")),
                     80);
    json_decref(answer);
    (void)snprintf(wanted, sizeof wanted, "%s", pair_text(first, second, "candidate"));
    ck_assert_str_eq(listed(&hq, ",'kind':'case'"), wanted);
    /* Linked persons are one: 40 instead of 30. */
    say(&hq, "link", a, b, "linked", 2);
    answer = list(&hq, ",'kind':'case'");
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(pairs_of(answer), 0), "score")),
                     90);
    json_decref(answer);
    /* And if they are two, 20 less. */
    say(&hq, "reject", a, b, "rejected", 2);
    ck_assert_str_eq(listed(&hq, ",'kind':'case'"), "");
    served_refused(served_ask(&hq, "{'id':1,'do':'duplicate.link','a':'%s','b':'%s'}", a, first), "invalid");
    served_refused(served_ask(&hq, "{'id':1,'do':'duplicate.link','a':'%s','b':'%s'}", a, a), "invalid");
}
END_TEST

/* Until the second has signed the record is restricted, and then it is gone. */
START_TEST(what_is_restricted_or_erased_is_in_no_list)
{
    char a[40];
    char b[40];
    char c[40];
    size_t members = 0;

    save_person(&ken, "Wanjiru Kamau", a);
    save_person(&ken, "Wanjiru Kamau", b);
    save_person(&uga, "Wanjiru Kamau", c);
    exchange();
    say(&hq, "link", a, b, "linked", 2);
    json_decref(
        served_ask(&ken, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", b));
    exchange();
    ck_assert_str_eq(listed(&hq, ",'all':true"), pair_text(a, c, "candidate"));
    ck_assert_str_eq(same_as(&hq, a), "");
    ck_assert_uint_gt(group_of(&hq, a, &members), 0);
    ck_assert_uint_eq(members, 0);
    served_refused(served_ask(&hq, "{'id':1,'do':'duplicate.link','a':'%s','b':'%s'}", a, b), "denied");
    json_decref(served_ask(&hq, "{'id':1,'do':'erase.order','record':'%s','reason':'consent_withdrawn'}", b));
    exchange();
    test_node_tend(hq.node);
    test_node_tend(ken.node);
    ck_assert_str_eq(listed(&hq, ",'all':true"), pair_text(a, c, "candidate"));
    ck_assert_str_eq(same_as(&hq, a), "");
    char more[80];
    (void)snprintf(more, sizeof more, ",'all':true,'record':'%s'", a);
    ck_assert_str_eq(listed(&hq, more), pair_text(a, c, "candidate"));
}
END_TEST

/* Off the way of whoever saves. */
START_TEST(it_is_compared_without_being_asked)
{
    char a[40];
    char b[40];

    save_person(&ken, "Wanjiru Kamau", a);
    save_person(&ken, "Wanjiru Kamau", b);
    for (int n = 0; n < 200 && serve_wait_ms(ken.serve) <= 500; n++) {
        test_world_pass(&ken.node->world, serve_wait_ms(ken.serve));
        (void)serve_work(ken.serve);
    }
    ck_assert_uint_gt(serve_wait_ms(ken.serve), 500);
    ck_assert_str_eq(listed(&ken, ""), pair_text(a, b, "candidate"));
}
END_TEST

START_TEST(pages_are_asked_for_one_after_another)
{
    enum { HERE = 6, PAIRS = HERE * (HERE - 1) / 2 };
    char number[40];
    char more[120] = ",'limit':4";
    size_t all = 0;

    for (int n = 0; n < HERE; n++) {
        save_person(&ken, "Wanjiru Kamau", number);
    }
    for (bool last = false; !last;) {
        json_t *answer = list(&ken, more);
        const json_t *ok = served_granted(answer);
        all += json_array_size(json_object_get(ok, "pairs"));
        ck_assert_uint_eq(all + (size_t)json_integer_value(json_object_get(ok, "left_off")), PAIRS);
        last = json_is_null(json_object_get(ok, "next"));
        if (!last) {
            (void)snprintf(more, sizeof more, ",'limit':4,'after':'%s'",
                           json_string_value(json_object_get(ok, "next")));
        }
        json_decref(answer);
    }
    ck_assert_uint_eq(all, PAIRS);
    served_refused(served_ask(&ken, "{'id':1,'do':'duplicate.list','after':'x'}"), "usage");
    served_refused(served_ask(&ken, "{'id':1,'do':'duplicate.list','kind':'source'}"), "invalid");
    served_refused(served_ask(&ken, "{'id':1,'do':'duplicate.link','a':'%s'}", number), "usage");
}
END_TEST

SUITE_MAIN_WITH("serve_duplicate", setup, teardown,
                one_person_of_two_offices_is_found_linked_and_parted_again,
                reasons_tell_which_names_matched_and_that_is_noted, who_may_not_read_names_compares_none,
                a_link_stands_where_the_node_may_write,
                a_rejection_is_seen_by_both_offices_and_can_be_taken_back,
                what_is_linked_here_and_rejected_there_is_disputed,
                two_offices_that_say_one_thing_say_it_once, a_chain_is_one_group_and_counted_once,
                two_cases_of_one_act_are_found_by_their_persons, what_is_restricted_or_erased_is_in_no_list,
                it_is_compared_without_being_asked, pages_are_asked_for_one_after_another)
