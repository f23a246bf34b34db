/* Consent as it is asked of people who save: what is refused and in which words, what is overridden, counted and hidden. */
#include "tests/support/check.h"
#include "tests/support/served.h"
#include "tests/support/silent.h"

#include "store/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 40 };

static struct test_organisation org;
static struct served ken; /* reviews */
static struct served hq;
static struct served clerk; /* of KEN, who does case work and nothing else */
static char window[NUMBER_BYTES];

/* Ask for a save, and give the number or id under `name` of the answer. */
static void
save(struct served *node, const char *what, const char *name, char out[NUMBER_BYTES])
{
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save',%s}", what);

    (void)snprintf(out, NUMBER_BYTES, "%s", json_string_value(json_object_get(served_granted(answer), name)));
    json_decref(answer);
    test_world_pass(&node->node->world, 1000);
}

static void
setup(void)
{
    log_to(silent, NULL);
    test_organisation_init_with(&org, 53, 3, 2);
    test_organisation_office(&org, "KEN", false);
    test_organisation_office(&org, "HQ", true);
    org.roles = ROLE_REVIEW;
    struct test_node *first = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    struct test_node *second = test_organisation_enrol(&org, "HQ", LEVEL_ADMIN, NULL, 0);
    org.roles = 0;
    struct test_node *third = test_organisation_enrol(&org, "KEN", LEVEL_WRITE, NULL, 0);
    test_node_join(&org, first);
    test_node_join(&org, second);
    test_node_join(&org, third);
    test_node_exchange(first, second);
    test_node_exchange(first, third);
    served_begin(&ken, first);
    served_begin(&hq, second);
    served_begin(&clerk, third);
    save(&ken, "'kind':'reporting_window','set':{'from':'2024-05-01','to':'2025-04-30'}", "record", window);
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

static void
expect_text(const json_t *answer, const char *path, const char *text)
{
    const char *found = json_string_value(served_member(answer, path));

    ck_assert_msg(found != NULL && strcmp(found, text) == 0, "%s: %s, not %s", path,
                  found == NULL ? "(none)" : found, text);
}

/* What somebody wants to do with a record: "" if it is done, or why not. */
static const char *
change(struct served *node, const char *number, const char *what)
{
    static char why[400];
    json_t *answer = served_ask(node, "{'id':1,'do':'record.save','record':'%s',%s}", number, what);
    const char *message = json_string_value(served_member(answer, "error.message"));

    (void)snprintf(why, sizeof why, "%s", message == NULL ? "" : message);
    json_decref(answer);
    test_world_pass(&node->node->world, 1000);
    return why;
}

static const char *
step(struct served *node, const char *number, const char *to)
{
    char what[80];

    (void)snprintf(what, sizeof what, "'actor':2,'set':{'status':'%s'}", to);
    return change(node, number, what);
}

static void
pass(const char *number, const char *gate, const char *to)
{
    char what[300];

    (void)snprintf(what, sizeof what,
                   "'actor':1,'add':[{'to':'review','fields':{'gate':'%s','step':'%s','decision':'passed'}}]",
                   gate, to);
    ck_assert_str_eq(change(&ken, number, what), "");
}

static void
pass_all(const char *number, const char *to)
{
    static const char *const gates[] = {
        "scope", "consent", "no_harm", "verification", "four_eyes", "reply"
    };

    for (size_t n = 0; n < sizeof gates / sizeof gates[0]; n++) {
        pass(number, gates[n], to);
    }
}

static void
new_person(const char *pseudonym, char number[NUMBER_BYTES])
{
    char what[160];

    (void)snprintf(what, sizeof what,
                   "'kind':'person','set':{'pseudonym':'%s','counting_unit':'individual','gender':'woman',"
                   "'age_group':'youth_18_24'}",
                   pseudonym);
    save(&ken, what, "number", number);
}

/* The person says something of scopes ("'media','count_only'"). */
static const char *
say(struct served *node, const char *person, const char *scopes, const char *decision, const char *more)
{
    char what[500];

    (void)snprintf(what, sizeof what, "'add':[{'to':'consent','fields':{'scope':[%s],'decision':'%s'%s}}]",
                   scopes, decision, more);
    return change(node, person, what);
}

/* A whole case at a status, with up to two persons; imported, as it has a history elsewhere. */
static void
new_case(const char *status, const char *one, const char *two, char number[NUMBER_BYTES])
{
    char persons[300] = "";
    char what[1600];

    if (one != NULL) {
        (void)snprintf(persons, sizeof persons, ",{'to':'victim','fields':{'person':'%s'}}", one);
    }
    if (two != NULL) {
        size_t used = strlen(persons);

        (void)snprintf(persons + used, sizeof persons - used,
                       ",{'to':'victim','fields':{'person':'%s','part':'associated_person'}}", two);
    }
    (void)snprintf(
        what, sizeof what,
        "'kind':'case','imported':true,'set':{'title':'A march','status':'%s','urgency':'routine',"
        "'kind':'individual_case','act_nature':'reprisal','verification':'corroborated','risk_level':'low',"
        "'transnational':'no','scope_decision':'in_scope','reporting_window':'%s'},"
        "'add':[{'to':'country_of_act','value':'KEN'},{'to':'country_alleged_responsible','value':'KEN'},"
        "{'to':'scope_basis','value':'cooperates'},"
        "{'to':'narrative','fields':{'language':'eng','text':'They marched.'}},"
        "{'to':'narrative_public','fields':{'language':'eng','text':'A march.','cleared':'yes'}}%s]",
        status, window, persons);
    save(&ken, what, "number", number);
}

static json_t *
ask(struct served *node, const char *call, const char *record, const char *more)
{
    return served_ask(node, "{'id':1,'do':'%s','record':'%s'%s}", call, record, more);
}

/* The decision that governs a scope of the n-th person of a record. */
static void
expect_decision(struct served *node, const char *record, int person, const char *scope, const char *decision)
{
    json_t *answer = ask(node, "consent.show", record, "");
    char path[80];

    (void)snprintf(path, sizeof path, "persons.%d.scopes.%s.decision", person, scope);
    expect_text(served_granted(answer), path, decision);
    json_decref(answer);
}

START_TEST(a_case_is_shared_when_every_person_agreed)
{
    char one[NUMBER_BYTES];
    char two[NUMBER_BYTES];
    char number[NUMBER_BYTES];
    char expected[200];

    new_person("P-1", one);
    new_person("P-2", two);
    new_case("office_cleared", one, two, number);
    pass(number, "consent", "shared_with_hq");
    (void)snprintf(
        expected, sizeof expected,
        "shared_with_hq needs the consent of every person of the case: %s (share_with_hq: unknown), %s "
        "(share_with_hq: unknown)",
        one, two);
    ck_assert_str_eq(step(&ken, number, "shared_with_hq"), expected);
    ck_assert_str_eq(say(&ken, one, "'share_with_hq','media'", "granted", ""), "");
    ck_assert_str_eq(say(&ken, two, "'share_with_hq'", "refused", ""), "");
    (void)snprintf(
        expected, sizeof expected,
        "shared_with_hq needs the consent of every person of the case: %s (share_with_hq: refused)", two);
    ck_assert_str_eq(step(&ken, number, "shared_with_hq"), expected);
    /* Asked again; what was said before is answered without naming it. */
    ck_assert_str_eq(say(&ken, two, "'share_with_hq'", "granted", ",'valid_until':'2024'"), "");
    (void)snprintf(
        expected, sizeof expected,
        "shared_with_hq needs the consent of every person of the case: %s (share_with_hq: expired)", two);
    ck_assert_str_eq(step(&ken, number, "shared_with_hq"), expected);
    ck_assert_str_eq(say(&ken, two, "'share_with_hq'", "granted", ",'valid_until':'2025'"), "");
    ck_assert_str_eq(step(&ken, number, "shared_with_hq"), "");
}
END_TEST

/* Every step that shares or publishes: what it needs, and that this is enough. */
static const struct {
    const char *from;
    const char *to;
    const char *scope;
    const char *wider; /* will do too; NULL: none */
} steps[] = {
    { "office_cleared", "shared_with_hq", "share_with_hq", NULL },
    { "hq_review", "proposed_for_report", "count_only", "publish_anonymised" },
    { "proposed_for_report", "included_named", "publish_named", NULL },
    { "proposed_for_report", "included_anonymised", "publish_anonymised", "publish_named" },
    { "proposed_for_report", "counted_only", "count_only", "publish_anonymised" },
};

START_TEST(each_step_needs_its_scope_and_no_other)
{
    for (size_t n = 0; n < sizeof steps / sizeof steps[0]; n++) {
        char person[NUMBER_BYTES];
        char number[NUMBER_BYTES];
        char expected[200];
        char scope[60];

        new_person("P", person);
        new_case(steps[n].from, person, NULL, number);
        pass_all(number, steps[n].to);
        ck_assert_str_eq(say(&ken, person, "'contact_again','record_in_system','media'", "granted", ""), "");
        (void)snprintf(expected, sizeof expected,
                       "%s needs the consent of every person of the case: %s (%s: unknown)", steps[n].to,
                       person, steps[n].scope);
        ck_assert_str_eq(step(&ken, number, steps[n].to), expected);
        (void)snprintf(scope, sizeof scope, "'%s'", steps[n].wider == NULL ? steps[n].scope : steps[n].wider);
        ck_assert_str_eq(say(&ken, person, scope, "granted", ""), "");
        if (steps[n].wider != NULL) {
            /* What was said of the very scope counts before what was said of a wider one. */
            (void)snprintf(scope, sizeof scope, "'%s'", steps[n].scope);
            ck_assert_str_eq(say(&ken, person, scope, "refused", ""), "");
            ck_assert_ptr_nonnull(strstr(step(&ken, number, steps[n].to), ": refused)"));
            ck_assert_str_eq(say(&ken, person, scope, "granted", ""), "");
        }
        ck_assert_str_eq(step(&ken, number, steps[n].to), "");
    }
}
END_TEST

START_TEST(the_wider_scope_alone_will_do)
{
    for (size_t n = 0; n < sizeof steps / sizeof steps[0]; n++) {
        char person[NUMBER_BYTES];
        char number[NUMBER_BYTES];
        char scope[60];

        if (steps[n].wider == NULL) {
            continue;
        }
        new_person("P", person);
        new_case(steps[n].from, person, NULL, number);
        pass_all(number, steps[n].to);
        (void)snprintf(scope, sizeof scope, "'%s'", steps[n].wider);
        ck_assert_str_eq(say(&ken, person, scope, "granted", ""), "");
        ck_assert_str_eq(step(&ken, number, steps[n].to), "");
    }
}
END_TEST

START_TEST(steps_that_share_nothing_ask_nobody)
{
    char person[NUMBER_BYTES];
    char number[NUMBER_BYTES];

    new_person("P", person);
    ck_assert_str_eq(say(&ken, person, "'share_with_hq','publish_named','count_only'", "refused", ""), "");
    new_case("hq_review", person, NULL, number);
    ck_assert_str_eq(step(&ken, number, "follow_up"), "");
    ck_assert_str_eq(step(&ken, number, "hq_review"), "");
    ck_assert_str_eq(step(&ken, number, "withdrawn"), "");
}
END_TEST

START_TEST(who_is_not_known_here_did_not_agree)
{
    static const char stranger[] = "00112233445566778899aabbccddeeff";
    char number[NUMBER_BYTES];

    new_case("office_cleared", stranger, NULL, number);
    pass(number, "consent", "shared_with_hq");
    ck_assert_str_eq(
        step(&ken, number, "shared_with_hq"),
        "shared_with_hq needs the consent of every person of the case: 00112233 (not known here)");
    json_t *answer = ask(&ken, "consent.show", number, "");
    const json_t *shown = served_granted(answer);
    expect_text(shown, "persons.0.state", "not known here");
    ck_assert_uint_eq(json_array_size(served_member(shown, "uses")), 0);
    ck_assert(json_is_false(served_member(shown, "describable")));
    json_decref(answer);
    /* Nor did a record that is no person. */
    char other[NUMBER_BYTES];
    char second[NUMBER_BYTES];
    new_case("draft", NULL, NULL, other);
    new_case("office_cleared", other, NULL, second);
    pass(second, "consent", "shared_with_hq");
    ck_assert_ptr_nonnull(strstr(step(&ken, second, "shared_with_hq"), "(not known here)"));
    /* Whom an act names is a person of the case, whether or not the list of victims does. */
    char third[NUMBER_BYTES];
    char person[NUMBER_BYTES];
    char what[200];
    new_person("P", person);
    new_case("office_cleared", NULL, NULL, third);
    pass(third, "consent", "shared_with_hq");
    (void)snprintf(what, sizeof what,
                   "'add':[{'to':'act','fields':{'type_of_act':'detention','stage':'ended','verification':"
                   "'corroborated','victim':['%s']}}]",
                   person);
    ck_assert_str_eq(change(&ken, third, what), "");
    ck_assert_ptr_nonnull(strstr(step(&ken, third, "shared_with_hq"), "(share_with_hq: unknown)"));
}
END_TEST

static const char *act(struct served *node, const char *number, const char *action, const char *more);

START_TEST(as_many_are_named_as_a_sentence_holds)
{
    char number[NUMBER_BYTES];
    char person[NUMBER_BYTES];
    char what[200];

    new_case("office_cleared", NULL, NULL, number);
    for (int n = 0; n < 6; n++) {
        new_person("P", person);
        (void)snprintf(what, sizeof what, "'add':[{'to':'victim','fields':{'person':'%s'}}]", person);
        ck_assert_str_eq(change(&ken, number, what), "");
    }
    pass(number, "consent", "shared_with_hq");
    const char *why = step(&ken, number, "shared_with_hq");
    ck_assert_ptr_nonnull(strstr(why, " and 2 more"));
    ck_assert_str_eq(why + strlen(why) - strlen(" and 2 more"), " and 2 more");
    /* With no action in the way nothing is cut, however much is missing. */
    why = act(&ken, number, "allegation_letter", "");
    ck_assert_str_eq(why + strlen(why) - strlen(" more"), " more");
    ck_assert_uint_lt(strlen(why), 320);
}
END_TEST

START_TEST(a_concern_is_looked_at_after_it_was_said)
{
    char person[NUMBER_BYTES];
    char number[NUMBER_BYTES];
    char expected[200];

    new_person("P", person);
    new_case("proposed_for_report", person, NULL, number);
    ck_assert_str_eq(say(&ken, person, "'publish_anonymised'", "granted", ",'identifiability_concern':'no'"),
                     "");
    pass_all(number, "included_anonymised");
    ck_assert_str_eq(say(&ken, person, "'publish_anonymised'", "granted", ",'identifiability_concern':'yes'"),
                     "");
    (void)snprintf(
        expected, sizeof expected,
        "included_anonymised needs the consent of every person of the case: %s (may be recognised)", person);
    ck_assert_str_eq(step(&ken, number, "included_anonymised"), expected);
    json_t *answer = ask(&ken, "consent.show", number, "");
    ck_assert(json_is_true(served_member(served_granted(answer), "persons.0.concern")));
    ck_assert(json_is_false(served_member(served_granted(answer), "describable")));
    (void)snprintf(expected, sizeof expected,
                   "%s (publish_anonymised: may be recognised, publish_named: unknown)", person);
    expect_text(served_granted(answer), "why", expected);
    json_decref(answer);
    pass(number, "no_harm", "included_anonymised");
    answer = ask(&ken, "consent.show", number, "");
    ck_assert(json_is_true(served_member(served_granted(answer), "describable")));
    json_decref(answer);
    ck_assert_str_eq(step(&ken, number, "included_anonymised"), "");
}
END_TEST

/* What the UN does that reaches somebody outside, and what each needs. */
static const struct {
    const char *action;
    const char *needs[2];
    bool publishes;
} actions[] = {
    { "allegation_letter", { "share_with_special_procedures", "raise_with_government" }, false },
    { "urgent_appeal", { "share_with_special_procedures", "raise_with_government" }, false },
    { "other_communication", { "raise_with_government" }, false },
    { "public_statement", { "media" }, true },
    { "press_release", { "media" }, true },
    { "meeting_with_authorities", { "raise_with_government" }, false },
    { "note_verbale", { "raise_with_government" }, false },
    { "letter_from_council_president", { "raise_with_government" }, false },
    { "treaty_body_letter", { "share_with_treaty_body", "raise_with_government" }, false },
    { "interim_measures", { "share_with_treaty_body", "raise_with_government" }, false },
    { "opinion_wgad", { "share_with_special_procedures", "raise_with_government" }, false },
    { "trial_observation", { "share_with_unct_or_mission", "raise_with_government" }, false },
    { "prison_visit", { "share_with_unct_or_mission", "raise_with_government" }, false },
    { "protection_support", { "share_with_unct_or_mission" }, false },
    { "relocation_support", { "share_with_unct_or_mission" }, false },
    { "included_in_sg_report", { "publish_anonymised" }, true },
};

static const char *
act(struct served *node, const char *number, const char *action, const char *more)
{
    char what[900];

    (void)snprintf(what, sizeof what,
                   "'add':[{'to':'action','fields':{'actor_side':'un','by_un':'%s','date':'2025-01-01'}}%s]",
                   action, more);
    return change(node, number, what);
}

static const char *
override_of(const char *person, const char *scopes, const char *reason)
{
    static char text[300];

    (void)snprintf(text, sizeof text,
                   ",{'to':'consent_override','fields':{'person':'%s','scope':[%s],'reason':'%s'}}", person,
                   scopes, reason);
    return text;
}

START_TEST(each_action_needs_its_scopes)
{
    for (size_t n = 0; n < sizeof actions / sizeof actions[0]; n++) {
        char person[NUMBER_BYTES];
        char number[NUMBER_BYTES];
        char expected[300];
        char scopes[120];

        new_person("P", person);
        new_case("action_only", person, NULL, number);
        const char *first = actions[n].needs[0];
        const char *second = actions[n].needs[1];
        (void)snprintf(expected, sizeof expected,
                       "%s needs the consent of every person of the case: %s (%s: unknown%s%s%s)",
                       actions[n].action, person, first, second == NULL ? "" : ", ",
                       second == NULL ? "" : second, second == NULL ? "" : ": unknown");
        ck_assert_str_eq(act(&ken, number, actions[n].action, ""), expected);
        (void)snprintf(scopes, sizeof scopes, "'%s'", first);
        ck_assert_str_eq(say(&ken, person, scopes, "granted", ""), "");
        if (second != NULL) {
            ck_assert_ptr_nonnull(strstr(act(&ken, number, actions[n].action, ""), second));
            (void)snprintf(scopes, sizeof scopes, "'%s'", second);
            ck_assert_str_eq(say(&ken, person, scopes, "granted", ""), "");
        }
        ck_assert_str_eq(act(&ken, number, actions[n].action, ""), "");
    }
}
END_TEST

START_TEST(a_referral_needs_one_of_those_whom_the_case_may_be_shared_with)
{
    char person[NUMBER_BYTES];
    char number[NUMBER_BYTES];

    new_person("P", person);
    new_case("action_only", person, NULL, number);
    ck_assert_ptr_nonnull(strstr(act(&ken, number, "referral", ""), "share_with_treaty_body: unknown"));
    ck_assert_str_eq(say(&ken, person, "'share_with_treaty_body'", "granted", ""), "");
    ck_assert_str_eq(act(&ken, number, "referral", ""), "");
    /* What reaches nobody that is known, and what others did, asks nobody. */
    ck_assert_str_eq(act(&ken, number, "other", ""), "");
    ck_assert_str_eq(
        change(&ken, number,
               "'add':[{'to':'action','fields':{'actor_side':'government','by_government':'denial'}}]"),
        "");
    /* Quiet diplomacy is talk with a Government, though it is told to fewer people. */
    ck_assert_ptr_nonnull(
        strstr(change(&ken, number,
                      "'add':[{'to':'action','fields':{'actor_side':'un','by_un_confidential':"
                      "'quiet_diplomacy'}}]"),
               "raise_with_government: unknown"));
    /* Another date of an action that is there is no new action; another kind of it is. */
    ck_assert_str_eq(change(&ken, number,
                            "'add':[{'to':'action','element':'0011223344556677','fields':{'actor_side':'un',"
                            "'by_un':'referral'}}]"),
                     "");
    ck_assert_str_eq(say(&ken, person, "'share_with_treaty_body'", "withdrawn", ""), "");
    ck_assert_str_eq(change(&ken, number,
                            "'set':{'action[0011223344556677].date':'2025-01-02',"
                            "'action[0011223344556677].by_un':'referral'}"),
                     "");
    ck_assert_ptr_nonnull(
        strstr(change(&ken, number, "'set':{'action[0011223344556677].by_un':'press_release'}"), "media"));
}
END_TEST

START_TEST(a_life_is_saved_without_consent_by_who_may_review_and_it_is_noted)
{
    char person[NUMBER_BYTES];
    char number[NUMBER_BYTES];

    new_person("P", person);
    ck_assert_str_eq(say(&ken, person, "'raise_with_government'", "refused", ""), "");
    new_case("action_only", person, NULL, number);
    test_node_exchange(ken.node, clerk.node);
    ck_assert_str_eq(act(&clerk, number, "note_verbale",
                         override_of(person, "'raise_with_government'", "Executed tomorrow.")),
                     "who has neither the role review nor headquarters overrides no consent");
    ck_assert_str_eq(act(&ken, number, "note_verbale", override_of(person, "'raise_with_government'", " ")),
                     "an override needs person, scope and reason");
    /* Not for another scope, for another person, to publish, to take a step, or for nothing. */
    static const char never[] =
        "consent is overridden for an action of the same save that saves a life and needs that scope, never "
        "for a step and never to publish";
    ck_assert_str_eq(
        act(&ken, number, "note_verbale", override_of(person, "'raise_with_government','media'", "Why.")),
        never);
    ck_assert_str_eq(act(&ken, number, "press_release", override_of(person, "'media'", "Why.")), never);
    ck_assert_str_eq(
        act(&ken, number, "included_in_sg_report", override_of(person, "'publish_anonymised'", "Why.")),
        never);
    char what[400];
    (void)snprintf(what, sizeof what, "'set':{'status':'follow_up'},'add':[%s]",
                   override_of(person, "'share_with_hq'", "Why.") + 1);
    ck_assert_str_eq(change(&ken, number, what), never);
    char other[NUMBER_BYTES];
    new_person("Q", other);
    ck_assert_ptr_nonnull(
        strstr(act(&ken, number, "note_verbale", override_of(other, "'raise_with_government'", "Why.")),
               "refused)"));
    json_t *answer = served_ask(&ken, "{'id':1,'do':'audit.list','what':'override'}");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "events")), 0);
    json_decref(answer);

    ck_assert_str_eq(act(&ken, number, "note_verbale",
                         override_of(person, "'raise_with_government'", "Executed tomorrow.")),
                     "");
    answer = served_ask(&ken, "{'id':1,'do':'audit.list','what':'override'}");
    const json_t *list = served_granted(answer);
    ck_assert_uint_eq(json_array_size(served_member(list, "events")), 1);
    expect_text(list, "events.0.number", number);
    expect_text(list, "events.0.filter", "consent_override.scope=raise_with_government");
    ck_assert(
        json_is_null(served_member(list, "events.0.reason"))); /* it names persons, and stays in the case */
    json_decref(answer);
    /* One that comes with the history of a case from elsewhere is noted too. */
    save(&ken,
         "'kind':'case','imported':true,'set':{'title':'Old','status':'closed'},'add':[{'to':'consent_"
         "override',"
         "'fields':{'scope':'media','reason':'Years ago.'}}]",
         "number", other);
    answer = served_ask(&ken, "{'id':1,'do':'audit.list','what':'override'}");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "events")), 2);
    ck_assert(json_is_null(served_member(served_granted(answer),
                                         "events.0.reason"))); /* it names persons, and stays in the case */
    json_decref(answer);
    /* It was for that action, which it names, and for no other. */
    answer = ask(&ken, "record.show", number, "");
    char *text = json_dumps(served_granted(answer), 0);
    ck_assert_ptr_nonnull(strstr(text, "consent_override.action"));
    free(text);
    json_decref(answer);
    ck_assert_ptr_nonnull(strstr(act(&ken, number, "note_verbale", ""), "refused)"));
}
END_TEST

START_TEST(an_override_reaches_the_action_and_the_person_that_it_names)
{
    char one[NUMBER_BYTES];
    char two[NUMBER_BYTES];
    char number[NUMBER_BYTES];
    char more[700];
    char expected[200];

    new_person("P-1", one);
    new_person("P-2", two);
    new_case("action_only", one, two, number);
    (void)snprintf(
        expected, sizeof expected,
        "note_verbale needs the consent of every person of the case: %s (raise_with_government: unknown)",
        two);
    ck_assert_str_eq(act(&ken, number, "note_verbale", override_of(one, "'raise_with_government'", "Why.")),
                     expected);
    size_t used =
        (size_t)snprintf(more, sizeof more, "%s", override_of(one, "'raise_with_government'", "One."));
    (void)snprintf(more + used, sizeof more - used, "%s",
                   override_of(two, "'raise_with_government'", "Two."));
    ck_assert_str_eq(act(&ken, number, "note_verbale", more), "");
    json_t *answer = served_ask(&ken, "{'id':1,'do':'audit.list','what':'override'}");
    ck_assert(json_is_null(served_member(served_granted(answer),
                                         "events.0.reason"))); /* it names persons, and stays in the case */
    json_decref(answer);
    /* One that names its action is for that one alone. */
    char third[NUMBER_BYTES];
    new_case("action_only", one, NULL, third);
    (void)snprintf(more, sizeof more,
                   ",{'to':'action','fields':{'actor_side':'un','by_un':'meeting_with_authorities'}},"
                   "{'to':'consent_override','fields':{'person':'%s','scope':'raise_with_government',"
                   "'reason':'Why.','action':'element:action:1'}}",
                   one);
    ck_assert_ptr_nonnull(strstr(act(&ken, third, "note_verbale", more), "meeting_with_authorities needs"));
}
END_TEST

START_TEST(what_was_said_stands_and_is_answered_by_another_statement)
{
    char person[NUMBER_BYTES];

    new_person("P", person);
    ck_assert_str_eq(change(&ken, person,
                            "'add':[{'to':'consent','element':'0011223344556677','fields':{'scope':"
                            "['media','share_with_hq'],'decision':'refused','informed_of_risk':'yes'}}]"),
                     "");
    static const char stands[] = "consent.decision says something already, and Consents are never changed";
    ck_assert_str_eq(change(&ken, person, "'set':{'consent[0011223344556677].decision':'granted'}"), stands);
    ck_assert_str_eq(change(&ken, person, "'set':{'consent[0011223344556677].decision':null}"), stands);
    ck_assert_str_eq(change(&ken, person, "'set':{'consent[0011223344556677].informed_of_risk':'no'}"),
                     "consent.informed_of_risk says something already, and Consents are never changed");
    ck_assert_str_eq(change(&ken, person,
                            "'set':{'consent[0011223344556677].scope':null},'resolve':["
                            "'consent[0011223344556677].scope']"),
                     "consent.scope says something already, and Consents are never changed");
    ck_assert_str_eq(change(&ken, person, "'remove':['consent[0011223344556677]']"),
                     "Consents are never removed");
    /* The same again, another scope, what was left open and what protects more may be added. */
    ck_assert_str_eq(change(&ken, person, "'set':{'consent[0011223344556677].decision':'refused'}"), "");
    ck_assert_str_eq(change(&ken, person, "'set':{'consent[0011223344556677].scope':'count_only'}"), "");
    ck_assert_str_eq(change(&ken, person, "'set':{'consent[0011223344556677].valid_until':'2026'}"), "");
    expect_decision(&ken, person, 0, "count_only", "refused");
    ck_assert_str_eq(change(&ken, person, "'set':{'consent[0011223344556677].decision':'withdrawn'}"), "");
    expect_decision(&ken, person, 0, "media", "withdrawn");
    /* Nor does a conflict let anybody choose what protects less. */
    char other[NUMBER_BYTES];
    new_person("Q", other);
    ck_assert_str_eq(
        change(&ken, other,
               "'add':[{'to':'consent','element':'0011223344556677','fields':{'scope':'media'}}]"),
        "");
    test_node_exchange(ken.node, hq.node);
    ck_assert_str_eq(change(&ken, other, "'set':{'consent[0011223344556677].decision':'granted'}"), "");
    ck_assert_str_eq(change(&hq, other, "'set':{'consent[0011223344556677].decision':'refused'}"), "");
    test_node_exchange(ken.node, hq.node);
    static const char resolve[] = "{'id':1,'do':'conflict.resolve','record':'%s','target':"
                                  "'consent[0011223344556677].decision','value':'%s'}";
    served_refused(served_ask(&ken, resolve, other, "granted"), "invalid");
    json_t *answer = served_ask(&ken, resolve, other, "refused");
    (void)served_granted(answer);
    json_decref(answer);
    expect_decision(&ken, other, 0, "media", "refused");
}
END_TEST

START_TEST(a_new_statement_takes_the_place_of_what_the_officer_saw)
{
    char person[NUMBER_BYTES];

    new_person("P", person);
    ck_assert_str_eq(say(&ken, person, "'media'", "granted", ""), "");
    ck_assert_str_eq(say(&ken, person, "'share_with_hq','contact_again'", "granted", ""), "");
    ck_assert_str_eq(say(&ken, person, "'media','contact_again'", "refused", ""), "");
    json_t *answer = ask(&ken, "consent.show", person, "");
    const json_t *statements = served_member(served_granted(answer), "persons.0.statements");
    ck_assert_uint_eq(json_array_size(statements), 3);
    size_t named = 0;
    size_t index;
    json_t *statement;
    json_array_foreach((json_t *)statements, index, statement)
    {
        size_t scopes = json_array_size(json_object_get(statement, "stands"));
        size_t replaces = json_array_size(json_object_get(statement, "replaces"));

        named += replaces;
        ck_assert(replaces == 0 || replaces == 2);
        ck_assert(replaces == 0 ? scopes <= 1 : scopes == 2);
    }
    ck_assert_uint_eq(named, 2);
    json_decref(answer);
    expect_decision(&ken, person, 0, "media", "refused");
    expect_decision(&ken, person, 0, "share_with_hq", "granted");
    /* Who names what he answers is taken at his word: the other one stands beside it. */
    ck_assert_str_eq(
        change(&ken, person,
               "'add':[{'to':'consent','fields':{'scope':'share_with_hq','decision':'refused',"
               "'replaces':null}},{'to':'consent','fields':{'scope':'media','decision':'granted'}}]"),
        "");
    expect_decision(&ken, person, 0, "share_with_hq", "refused");
    expect_decision(&ken, person, 0, "media", "granted");
    answer = ask(&ken, "consent.show", person, "");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "persons.0.scopes.media.by")), 1);
    expect_text(served_granted(answer), "persons.0.scopes.raise_with_government.label", "nothing said");
    expect_text(served_granted(answer), "persons.0.scopes.media.label", "granted");
    json_decref(answer);
}
END_TEST

START_TEST(of_statements_of_two_offices_that_were_apart_the_more_protective_governs)
{
    char person[NUMBER_BYTES];
    char number[NUMBER_BYTES];

    new_person("P", person);
    ck_assert_str_eq(say(&ken, person, "'share_with_hq'", "granted", ""), "");
    new_case("office_cleared", person, NULL, number);
    pass(number, "consent", "shared_with_hq");
    test_node_exchange(ken.node, hq.node);
    ck_assert_str_eq(say(&ken, person, "'share_with_hq'", "granted", ""), "");
    ck_assert_str_eq(say(&hq, person, "'share_with_hq'", "refused", ""), "");
    test_node_exchange(ken.node, hq.node);
    expect_decision(&ken, person, 0, "share_with_hq", "refused");
    expect_decision(&hq, person, 0, "share_with_hq", "refused");
    ck_assert_ptr_nonnull(strstr(step(&ken, number, "shared_with_hq"), "refused)"));
    /* A later one that saw both. */
    ck_assert_str_eq(say(&ken, person, "'share_with_hq'", "granted", ""), "");
    ck_assert_str_eq(step(&ken, number, "shared_with_hq"), "");
}
END_TEST

START_TEST(who_withdraws_is_hidden_at_once_and_may_still_be_counted)
{
    char one[NUMBER_BYTES];
    char two[NUMBER_BYTES];
    char number[NUMBER_BYTES];
    char other[NUMBER_BYTES];

    new_person("P-1", one);
    new_person("P-2", two);
    ck_assert_str_eq(say(&ken, one, "'count_only'", "granted", ""), "");
    ck_assert_str_eq(say(&ken, two, "'publish_named','share_with_hq'", "granted", ""), "");
    new_case("proposed_for_report", one, NULL, number);
    new_case("proposed_for_report", two, NULL, other);
    ck_assert_str_eq(say(&ken, one, "'record_in_system'", "withdrawn", ""), "");
    ck_assert_str_eq(say(&ken, two, "'record_in_system'", "withdrawn", ""), "");
    json_t *answer = ask(&ken, "record.show", one, "");
    ck_assert(json_is_true(served_member(served_granted(answer), "restricted")));
    char *text = json_dumps(served_granted(answer), 0);
    ck_assert_ptr_nonnull(strstr(text, "consent_withdrawn"));
    ck_assert_ptr_null(strstr(text, "P-1"));
    free(text);
    json_decref(answer);
    test_node_exchange(ken.node, hq.node);
    answer = ask(&hq, "record.show", one, "");
    ck_assert(json_is_true(served_member(served_granted(answer), "restricted")));
    json_decref(answer);
    /* Nothing of what was said is shown, not even that it may be counted. */
    answer = ask(&ken, "consent.show", one, "");
    expect_text(served_granted(answer), "persons.0.state", "hidden");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "persons.0.statements")), 0);
    ck_assert_uint_eq(json_object_size(served_member(served_granted(answer), "persons.0.scopes")), 0);
    expect_text(served_granted(answer), "persons.0.pseudonym", "");
    json_decref(answer);

    pass_all(number, "included_anonymised");
    pass_all(number, "counted_only");
    pass_all(other, "counted_only");
    ck_assert_ptr_nonnull(
        strstr(step(&ken, number, "included_anonymised"), "(publish_anonymised: withdrawn)"));
    ck_assert_str_eq(step(&ken, number, "counted_only"), "");
    ck_assert_ptr_nonnull(strstr(step(&ken, other, "counted_only"), "(count_only: withdrawn)"));
    answer = ask(&ken, "consent.show", number, "");
    expect_text(served_granted(answer), "uses.0", "count");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "uses")), 1);
    json_decref(answer);
}
END_TEST

/* Of a withdrawal that leaves the record as it is nobody is hidden; and history from elsewhere comes as it is. */
START_TEST(only_a_withdrawal_of_the_record_hides_it)
{
    char person[NUMBER_BYTES];

    new_person("P", person);
    ck_assert_str_eq(say(&ken, person, "'media'", "withdrawn", ""), "");
    ck_assert_str_eq(say(&ken, person, "'record_in_system'", "refused", ""), "");
    json_t *answer = ask(&ken, "record.show", person, "");
    ck_assert(json_is_false(served_member(served_granted(answer), "restricted")));
    json_decref(answer);
    expect_decision(&ken, person, 0, "share_with_hq", "refused");
    save(&ken,
         "'kind':'person','imported':true,'set':{'pseudonym':'Q'},'add':[{'to':'consent','fields':{'scope':"
         "'record_in_system','decision':'withdrawn'}}]",
         "number", person);
    answer = ask(&ken, "record.show", person, "");
    ck_assert(json_is_false(served_member(served_granted(answer), "restricted")));
    json_decref(answer);
}
END_TEST

START_TEST(a_stub_counts_who_is_erased_and_leads_back_to_nobody)
{
    char person[NUMBER_BYTES];
    char other[NUMBER_BYTES];
    char number[NUMBER_BYTES];
    char what[400];
    char id[NUMBER_BYTES];

    new_person("Dove", person);
    new_person("Other", other);
    ck_assert_str_eq(say(&ken, person, "'count_only'", "granted", ""), "");
    new_case("proposed_for_report", person, other, number);
    (void)snprintf(what, sizeof what,
                   "'add':[{'to':'act','fields':{'type_of_act':'detention','victim':['%s']}},"
                   "{'to':'act','fields':{'type_of_act':'travel_ban'}},"
                   "{'to':'act','fields':{'type_of_act':'smear_or_stigmatisation','victim':['%s']}}]",
                   person, other);
    ck_assert_str_eq(change(&ken, number, what), "");
    new_case("draft", person, NULL, number);
    ck_assert_str_eq(say(&ken, person, "'record_in_system'", "withdrawn", ""), "");
    test_node_exchange(ken.node, hq.node);

    json_t *answer = ask(&ken, "erase.order", person, ",'reason':'consent_withdrawn'");
    ck_assert_int_eq((int)json_integer_value(served_member(served_granted(answer), "count_stubs")), 1);
    ck_assert_int_eq((int)json_integer_value(served_member(served_granted(answer), "count_stubs_lost")), 0);
    json_decref(answer);
    /* The second signature writes none. */
    test_node_exchange(ken.node, hq.node);
    answer = ask(&hq, "erase.order", person, ",'reason':'consent_withdrawn'");
    ck_assert(json_is_true(served_member(served_granted(answer), "second")));
    ck_assert_int_eq((int)json_integer_value(served_member(served_granted(answer), "count_stubs")), 0);
    json_decref(answer);
    test_node_exchange(ken.node, hq.node);

    answer = served_ask(&hq, "{'id':1,'do':'record.list','kind':'count_stub'}");
    const json_t *list = served_granted(answer);
    ck_assert_int_eq((int)json_integer_value(served_member(list, "total")), 1);
    const json_t *row = json_array_get(served_member(list, "records"), 0);
    expect_text(row, "country", "KEN");
    /* Those of the acts against this person, and against nobody in particular. */
    ck_assert_uint_eq(json_array_size(json_object_get(row, "act_group")), 2);
    (void)snprintf(id, sizeof id, "%s", json_string_value(json_object_get(row, "id")));
    json_t *shown = ask(&hq, "record.show", id, "");
    char *text = json_dumps(served_granted(shown), 0);
    ck_assert_ptr_nonnull(strstr(text, window));
    ck_assert_ptr_null(strstr(text, "Dove"));
    ck_assert_ptr_null(strstr(text, number));
    ck_assert_uint_eq(json_array_size(served_member(served_granted(shown), "elements")), 0);
    free(text);
    json_decref(shown);
    json_decref(answer);

    /* On a full disk a person is erased, and the count of it lost. */
    new_person("Full", person);
    ck_assert_str_eq(say(&ken, person, "'count_only'", "granted", ""), "");
    new_case("draft", person, NULL, number);
    ken.node->world.disk_full = true;
    answer = ask(&ken, "erase.order", person, ",'reason':'erasure_requested'");
    ck_assert_int_eq((int)json_integer_value(served_member(served_granted(answer), "count_stubs")), 0);
    ck_assert_int_eq((int)json_integer_value(served_member(served_granted(answer), "count_stubs_lost")), 1);
    json_decref(answer);
    ken.node->world.disk_full = false;

    /* Who did not let himself be counted is dropped. */
    answer = ask(&ken, "erase.order", other, ",'reason':'erasure_requested'");
    ck_assert_int_eq((int)json_integer_value(served_member(served_granted(answer), "count_stubs")), 0);
    json_decref(answer);
}
END_TEST

static int
order_stubs(struct served *node, const char *person)
{
    json_t *answer = ask(node, "erase.order", person, ",'reason':'erasure_requested'");
    int count = (int)json_integer_value(served_member(served_granted(answer), "count_stubs"));

    json_decref(answer);
    return count;
}

/* Each writes the stub before it hears of the other, in an order of its own; and it is one record. */
START_TEST(offices_that_order_the_same_erasure_apart_write_one_stub)
{
    char person[NUMBER_BYTES];
    char number[NUMBER_BYTES];

    new_person("Dove", person);
    ck_assert_str_eq(say(&ken, person, "'count_only'", "granted", ""), "");
    new_case("included_named", person, NULL, number);
    test_node_exchange(ken.node, hq.node);
    ck_assert_int_eq(order_stubs(&ken, person), 1);
    ck_assert_int_eq(order_stubs(&hq, person), 1);
    test_node_exchange(ken.node, hq.node);
    struct served *const nodes[] = { &ken, &hq };
    for (size_t n = 0; n < 2; n++) {
        json_t *answer = served_ask(nodes[n], "{'id':1,'do':'record.list','kind':'count_stub'}");
        const json_t *list = served_granted(answer);

        ck_assert_int_eq((int)json_integer_value(served_member(list, "total")), 1);
        ck_assert(
            json_is_false(json_object_get(json_array_get(served_member(list, "records"), 0), "conflict")));
        json_decref(answer);
    }
}
END_TEST

static void
set_of(const char *record, const char *fields)
{
    char what[200];

    (void)snprintf(what, sizeof what, "'set':{%s}", fields);
    ck_assert_str_eq(change(&ken, record, what), "");
}

START_TEST(a_stub_is_written_for_each_window_of_an_individual_who_may_count)
{
    char person[NUMBER_BYTES];
    char number[NUMBER_BYTES];
    char later[NUMBER_BYTES];
    char what[80];

    new_person("One", person);
    ck_assert_str_eq(say(&ken, person, "'count_only'", "granted", ""), "");
    new_case("included_named", person, NULL, number);
    new_case("counted_only", person, NULL, number);
    save(&ken, "'kind':'reporting_window','set':{'from':'2030-05-01','to':'2031-04-30'}", "record", later);
    (void)snprintf(what, sizeof what, "'reporting_window':'%s'", later);
    set_of(number, what);
    ck_assert_int_eq(order_stubs(&ken, person), 2);
    /* Whoever is left out counts in no window; an organisation is no individual; who is near a victim is none. */
    new_person("Two", person);
    ck_assert_str_eq(say(&ken, person, "'count_only'", "granted", ""), "");
    new_case("excluded_scope", person, NULL, number);
    new_case("included_named", NULL, person, number);
    ck_assert_int_eq(order_stubs(&ken, person), 0);
    new_person("Three", person);
    ck_assert_str_eq(say(&ken, person, "'count_only'", "granted", ""), "");
    set_of(person, "'counting_unit':'group_or_organisation'");
    new_case("included_named", person, NULL, number);
    ck_assert_int_eq(order_stubs(&ken, person), 0);
}
END_TEST

static void
expect_withheld(struct served *node, const char *more, const char *name, const char *expected)
{
    json_t *answer = served_ask(node, "{'id':1,'do':'consent.withheld'%s}", more);
    const json_t *found = json_object_get(served_granted(answer), name);
    char *text = json_dumps(found, JSON_ENCODE_ANY);

    ck_assert_msg(strcmp(text, expected) == 0, "%s: %s, not %s", name, text, expected);
    free(text);
    json_decref(answer);
}

START_TEST(who_is_left_out_for_consent_alone_is_counted)
{
    char one[NUMBER_BYTES];
    char two[NUMBER_BYTES];
    char three[NUMBER_BYTES];
    char number[NUMBER_BYTES];
    char more[80];

    new_person("P-1", one);
    new_person("P-2", two);
    new_person("P-3", three);
    ck_assert_str_eq(say(&ken, one, "'publish_named','publish_anonymised'", "refused", ""), "");
    ck_assert_str_eq(say(&ken, two, "'publish_anonymised'", "granted", ",'identifiability_concern':'yes'"),
                     "");
    ck_assert_str_eq(say(&ken, three, "'publish_named'", "granted", ""), "");
    /* The first in two cases, beside one who agreed; the second for a concern; the third in a case of its own. */
    new_case("hq_review", one, three, number);
    new_case("hq_review", one, NULL, number);
    new_case("excluded_protection", two, NULL, number);
    new_case("hq_review", three, NULL, number);
    expect_withheld(&ken, "", "persons", "2");
    expect_withheld(&ken, "", "women", "2");
    expect_withheld(&ken, "", "youth", "2");
    expect_withheld(&ken, "", "cases", "3");
    expect_withheld(&ken, "", "states", "1");
    expect_withheld(&ken, "", "states_not_named", "0");
    expect_withheld(&ken, "", "groups", "0");
    /* Whatever else is missing, it is not for consent alone. */
    char fourth[NUMBER_BYTES];
    new_person("P-4", fourth);
    new_case("hq_review", fourth, NULL, number);
    expect_withheld(&ken, "", "persons", "3");
    ck_assert_str_eq(change(&ken, number, "'set':{'verification':'not_corroborated'}"), "");
    expect_withheld(&ken, "", "persons", "2");
    ck_assert_str_eq(change(&ken, number, "'set':{'verification':'reasonable_grounds'}"), "");
    expect_withheld(&ken, "", "persons", "3");
    ck_assert_str_eq(change(&ken, number, "'set':{'scope_decision':'undetermined'}"), "");
    expect_withheld(&ken, "", "persons", "2");
    ck_assert_str_eq(change(&ken, number, "'set':{'scope_decision':'in_scope'}"), "");
    expect_withheld(&ken, ",'language':'fra'", "persons", "0");
    /* By window; a follow-up belongs to the window in which it was made. */
    char second[NUMBER_BYTES];
    save(&ken, "'kind':'reporting_window','set':{'from':'2025-05-01','to':'2026-04-30'}", "record", second);
    (void)snprintf(more, sizeof more, ",'window':'%s'", second);
    expect_withheld(&ken, more, "persons", "0");
    char what[300];
    (void)snprintf(what, sizeof what,
                   "'add':[{'to':'earlier_report','fields':{'symbol':'A/HRC/57/60'}},{'to':'follow_up',"
                   "'fields':{'window':'%s','date':'2025-06-01'}}]",
                   second);
    ck_assert_str_eq(change(&ken, number, what), "");
    expect_withheld(&ken, more, "persons", "1");
    (void)snprintf(more, sizeof more, ",'window':'%s'", window);
    expect_withheld(&ken, more, "persons", "3");
    /* Who withdraws is counted if he let himself be counted, and else dropped. */
    ck_assert_str_eq(say(&ken, three, "'record_in_system'", "withdrawn", ""), "");
    expect_withheld(&ken, "", "persons", "3");
    expect_withheld(&ken, "", "states_not_named", "1");
    ck_assert_str_eq(say(&ken, two, "'count_only'", "granted", ""), "");
    ck_assert_str_eq(say(&ken, two, "'record_in_system'", "withdrawn", ""), "");
    expect_withheld(&ken, "", "persons", "3");
    ck_assert_str_eq(say(&ken, one, "'count_only'", "refused", ""), "");
    expect_withheld(&ken, "", "persons", "2");
    /* Of whom nobody here knows anything it is not said that he asked for it. */
    new_case("hq_review", "00112233445566778899aabbccddeeff", NULL, number);
    expect_withheld(&ken, "", "persons", "2");
    served_refused(served_ask(&ken, "{'id':1,'do':'consent.withheld','window':'%s'}", one), "invalid");
}
END_TEST

START_TEST(small_numbers_are_for_who_may_review)
{
    char person[NUMBER_BYTES];
    char number[NUMBER_BYTES];

    for (int n = 0; n < 4; n++) {
        new_person("P", person);
        new_case("hq_review", person, NULL, number);
    }
    test_node_exchange(ken.node, clerk.node);
    expect_withheld(&clerk, "", "persons", "\"fewer than 5\"");
    expect_withheld(&clerk, "", "women", "\"too few to say\"");
    expect_withheld(&clerk, "", "cases", "\"fewer than 5\"");
    expect_withheld(&clerk, "", "groups", "0");
    expect_withheld(&ken, "", "persons", "4");
    json_t *answer = served_ask(&ken, "{'id':1,'do':'audit.list','what':'unsuppressed'}");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "events")), 1);
    json_decref(answer);
    new_person("P", person);
    new_case("hq_review", person, NULL, number);
    ck_assert_str_eq(change(&ken, person, "'set':{'gender':'man'}"), "");
    new_person("P", person);
    new_case("hq_review", person, NULL, number);
    test_node_exchange(ken.node, clerk.node);
    /* Five women of six: the sixth would be told by what is left. */
    expect_withheld(&clerk, "", "persons", "6");
    expect_withheld(&clerk, "", "youth", "6");
    expect_withheld(&clerk, "", "women", "\"too few to say\"");
    expect_withheld(&ken, "", "women", "5");
}
END_TEST

START_TEST(only_cases_and_persons_say_something_of_consent)
{
    char number[NUMBER_BYTES];

    served_refused(ask(&ken, "consent.show", window, ""), "invalid");
    served_refused(ask(&ken, "consent.show", "KEN-2099-0001", ""), "absent");
    new_case("draft", NULL, NULL, number);
    json_t *answer = ask(&ken, "consent.show", number, "");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "persons")), 0);
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "scopes")), 11);
    /* Of nobody anything may be said. */
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "uses")), 3);
    expect_text(served_granted(answer), "why", "");
    json_decref(answer);
    ck_assert_str_eq(change(&ken, number, "'add':[{'to':'restriction','fields':{'reason':'under_review'}}]"),
                     "");
    answer = ask(&ken, "consent.show", number, "");
    ck_assert_uint_eq(json_array_size(served_member(served_granted(answer), "uses")), 0);
    expect_text(served_granted(answer), "why", "it is hidden behind a restriction");
    json_decref(answer);
}
END_TEST

SUITE_MAIN_WITH("serve_consent", setup, teardown, a_case_is_shared_when_every_person_agreed,
                each_step_needs_its_scope_and_no_other, the_wider_scope_alone_will_do,
                steps_that_share_nothing_ask_nobody, who_is_not_known_here_did_not_agree,
                as_many_are_named_as_a_sentence_holds, a_concern_is_looked_at_after_it_was_said,
                each_action_needs_its_scopes, a_referral_needs_one_of_those_whom_the_case_may_be_shared_with,
                a_life_is_saved_without_consent_by_who_may_review_and_it_is_noted,
                an_override_reaches_the_action_and_the_person_that_it_names,
                what_was_said_stands_and_is_answered_by_another_statement,
                a_new_statement_takes_the_place_of_what_the_officer_saw,
                of_statements_of_two_offices_that_were_apart_the_more_protective_governs,
                who_withdraws_is_hidden_at_once_and_may_still_be_counted,
                only_a_withdrawal_of_the_record_hides_it,
                a_stub_counts_who_is_erased_and_leads_back_to_nobody,
                offices_that_order_the_same_erasure_apart_write_one_stub,
                a_stub_is_written_for_each_window_of_an_individual_who_may_count,
                who_is_left_out_for_consent_alone_is_counted, small_numbers_are_for_who_may_review,
                only_cases_and_persons_say_something_of_consent)
