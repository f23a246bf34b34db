/* How soon somebody must look at a case: every rule of the table, and what else it depends on. */
#include "tests/support/check.h"

#include "node/casework/urgency.h"
#include "node/value.h"

#include <stdio.h>
#include <string.h>

/* 28 November 2026, at noon. */
static uint64_t today_ms;

static struct urgency_act act;
static struct urgency_person person;
static struct edtf meeting;
static struct urgency_facts facts;

static void
setup(void)
{
    ck_assert(time_parse("2026-11-28T12:00", &today_ms));
    act = (struct urgency_act){ .type = NULL };
    person = (struct urgency_person){ .situation = NULL };
    facts = (struct urgency_facts){ .kind = "individual_case" };
}

static struct edtf
date(const char *text)
{
    struct edtf edtf;

    ck_assert_msg(edtf_parse(&edtf, span_text(text)), "%s", text);
    return edtf;
}

/* The case has this act; "" or NULL: not said. */
static void
with_act(const char *type, const char *stage, const char *from, const char *to)
{
    act.type = type;
    act.stage = stage;
    act.has_from = from != NULL;
    act.has_to = to != NULL;
    act.from = from == NULL ? act.from : date(from);
    act.to = to == NULL ? act.to : date(to);
    facts.acts = &act;
    facts.act_count = 1;
}

static void
with_person(const char *situation, bool child)
{
    person.situation = situation;
    person.child = child;
    facts.persons = &person;
    facts.person_count = 1;
}

static void
with_meeting(const char *text)
{
    meeting = date(text);
    facts.meetings = &meeting;
    facts.meeting_count = 1;
}

static void
expect_urgency(enum urgency asks, const char *reason)
{
    struct urgency_verdict verdict = urgency_judge(&facts, today_ms);
    bool given = reason == NULL;

    for (size_t n = 0; n < verdict.reason_count; n++) {
        given = given || strcmp(verdict.reasons[n], reason) == 0;
    }
    ck_assert_msg(verdict.asks == asks, "%s %s: %s instead of %s", act.type == NULL ? "-" : act.type,
                  act.stage == NULL ? "-" : act.stage, urgency_short(verdict.asks), urgency_short(asks));
    ck_assert_msg(given, "%s: %s", act.type == NULL ? "-" : act.type, reason);
}

/* Every act of a list of words, at each stage of another. */
static void
expect_each(const char *acts, const char *stages, const char *from, enum urgency asks, const char *reason)
{
    char act_words[600];
    char stage_words[200];
    char *act_rest = NULL;

    snprintf(act_words, sizeof act_words, "%s", acts);
    for (char *type = strtok_r(act_words, " ", &act_rest); type != NULL;
         type = strtok_r(NULL, " ", &act_rest)) {
        char *stage_rest = NULL;

        snprintf(stage_words, sizeof stage_words, "%s", stages);
        for (char *stage = strtok_r(stage_words, " ", &stage_rest); stage != NULL;
             stage = strtok_r(NULL, " ", &stage_rest)) {
            with_act(type, strcmp(stage, "-") == 0 ? NULL : stage, from, NULL);
            expect_urgency(asks, reason);
        }
    }
}

START_TEST(what_threatens_life_liberty_or_body_is_an_emergency)
{
    expect_each("killing", "- threatened attempted ongoing", "2026-11", URGENCY_EMERGENCY,
                "somebody's life is at risk");
    expect_each("attempted_killing death_threat", "- threatened attempted carried_out ongoing", "2026-11",
                URGENCY_EMERGENCY, "somebody's life is at risk");
    expect_each("enforced_disappearance abduction", "- carried_out ongoing", "2016-01-01", URGENCY_EMERGENCY,
                "somebody disappeared or was abducted");
    expect_each("enforced_disappearance abduction", "threatened attempted", "2026-11", URGENCY_EMERGENCY,
                "somebody may be made to disappear");
    expect_each("torture_ill_treatment sexual_violence incommunicado_or_solitary",
                "- threatened attempted ongoing", "2026-11", URGENCY_EMERGENCY, "somebody may be tortured");
    expect_each("deportation_or_extradition", "- threatened attempted ongoing", "2026-11", URGENCY_EMERGENCY,
                "somebody may be deported or extradited");
    /* What was done and is over is not. */
    expect_each("killing deportation_or_extradition", "carried_out ended", "2026-11", URGENCY_PRIORITY,
                "it happened within a year");
    expect_each("torture_ill_treatment", "carried_out ended", "2026-11", URGENCY_PRIORITY, NULL);
    expect_each("enforced_disappearance death_threat", "ended", "2026-11", URGENCY_PRIORITY, NULL);
}
END_TEST

START_TEST(who_cannot_be_reached_is_an_emergency)
{
    with_act("detention", "ongoing", "2026-11", NULL);
    act.whereabouts = "unknown";
    expect_urgency(URGENCY_EMERGENCY, "nobody is told where somebody is held");
    act.whereabouts = "authorities_refuse_to_say";
    expect_urgency(URGENCY_EMERGENCY, "nobody is told where somebody is held");
    act.stage = "ended";
    expect_urgency(URGENCY_PRIORITY, NULL);
    act.stage = "ongoing";
    act.whereabouts = "known_officially";
    expect_urgency(URGENCY_URGENT, NULL);
    act.contact = "no_contact";
    expect_urgency(URGENCY_EMERGENCY, "somebody is held without contact");
    act.contact = "restricted_visits";
    expect_urgency(URGENCY_URGENT, "detention goes on");
    with_person("missing", false);
    expect_urgency(URGENCY_EMERGENCY, "somebody is missing");
}
END_TEST

START_TEST(a_child_at_risk_is_an_emergency)
{
    static const char *const situations[] = { "at_risk", "in_hiding", "detained", "missing" };
    struct ident others[] = { { { 7 } } };

    for (size_t n = 0; n < 4; n++) {
        with_person(situations[n], true);
        expect_urgency(URGENCY_EMERGENCY, "a child is at risk");
    }
    with_person("safe", true);
    expect_urgency(URGENCY_NONE, NULL);
    /* An act that goes on against it is a risk, wherever it is. */
    expect_each("physical_assault threat_other house_arrest", "- threatened attempted ongoing", "2026-11",
                URGENCY_EMERGENCY, "a child is at risk");
    expect_each("physical_assault", "carried_out", "2026-11", URGENCY_PRIORITY, NULL);
    /* The act names somebody else. */
    with_act("physical_assault", "ongoing", "2026-11", NULL);
    act.victims = others;
    act.victim_count = 1;
    expect_urgency(URGENCY_PRIORITY, "it happened within a year");
    person.record_id = others[0];
    expect_urgency(URGENCY_EMERGENCY, "a child is at risk");
    person.child = false;
    expect_urgency(URGENCY_PRIORITY, NULL);
}
END_TEST

START_TEST(what_got_into_other_hands_is_an_emergency)
{
    facts.exposed = true;
    expect_urgency(URGENCY_EMERGENCY, "an identity leaked, or a device with data was seized");
}
END_TEST

START_TEST(what_goes_on_is_urgent)
{
    expect_each("arbitrary_arrest detention house_arrest prison_sentence", "- ongoing", "2026-11",
                URGENCY_URGENT, "detention goes on");
    expect_each("physical_surveillance online_surveillance_or_spyware hacking_or_cyberattack "
                "online_harassment_or_doxxing",
                "- ongoing", "2026-11", URGENCY_URGENT, "surveillance or doxxing goes on");
    expect_each("arbitrary_arrest prison_sentence", "carried_out ended", "2026-11", URGENCY_PRIORITY,
                "somebody was detained");
    expect_each("physical_surveillance", "carried_out ended", "2026-11", URGENCY_PRIORITY,
                "it happened within a year");
    /* For years, and still. */
    with_act("detention", "ongoing", "2019", NULL);
    expect_urgency(URGENCY_URGENT, "detention goes on");
    facts.act_count = 0;
    with_person("detained", false);
    expect_urgency(URGENCY_URGENT, "somebody is detained");
}
END_TEST

START_TEST(a_hearing_within_a_fortnight_is_urgent)
{
    static const struct {
        const char *day;
        enum urgency asks;
    } hearings[] = { { "2026-11-27", URGENCY_PRIORITY }, { "2026-11-28", URGENCY_URGENT },
                     { "2026-12-12", URGENCY_URGENT },   { "2026-12-13", URGENCY_PRIORITY },
                     { "2026-12", URGENCY_URGENT },      { "2027", URGENCY_PRIORITY } };

    with_act("criminal_charges", "carried_out", "2026-06", NULL);
    for (size_t n = 0; n < sizeof hearings / sizeof hearings[0]; n++) {
        act.has_hearing = true;
        act.hearing = date(hearings[n].day);
        expect_urgency(hearings[n].asks,
                       hearings[n].asks == URGENCY_URGENT ? "a hearing is due within 14 days" : NULL);
    }
    act.hearing = date("2026-12-01");
    act.stage = "ended";
    expect_urgency(URGENCY_PRIORITY, NULL);
}
END_TEST

START_TEST(a_travel_ban_is_urgent_while_a_meeting_is_to_come)
{
    static const char *const acts[] = { "travel_ban", "passport_confiscation", "denial_of_visa_or_entry" };

    for (size_t n = 0; n < 3; n++) {
        with_act(acts[n], "carried_out", "2026-06", NULL);
        with_meeting("2026-11-28");
        expect_urgency(URGENCY_URGENT, "somebody is kept from travelling before a meeting with the UN");
        with_meeting("2027-03");
        expect_urgency(URGENCY_URGENT, "somebody is kept from travelling before a meeting with the UN");
        with_meeting("2026-11-27");
        expect_urgency(URGENCY_PRIORITY, NULL);
        with_meeting("2027-03");
        act.stage = "ended";
        expect_urgency(URGENCY_PRIORITY, NULL);
    }
}
END_TEST

START_TEST(what_happens_at_a_meeting_in_session_is_urgent)
{
    with_act("photographing_or_filming_at_meeting", "carried_out", "2026-11-28", NULL);
    expect_urgency(URGENCY_PRIORITY, NULL);
    act.at_un_event = true;
    expect_urgency(URGENCY_URGENT, "it happens at a UN meeting in session");
    with_act("photographing_or_filming_at_meeting", "carried_out", "2026-11-20", "2026-12-05");
    expect_urgency(URGENCY_URGENT, "it happens at a UN meeting in session");
    with_act("photographing_or_filming_at_meeting", "carried_out", "2026-11-20", "2026-11-27");
    expect_urgency(URGENCY_PRIORITY, NULL);
    with_act("photographing_or_filming_at_meeting", "ongoing", "2026-11-20", NULL);
    expect_urgency(URGENCY_URGENT, "it happens at a UN meeting in session");
    with_act("photographing_or_filming_at_meeting", "ended", "2026-11-28", NULL);
    expect_urgency(URGENCY_PRIORITY, NULL);
}
END_TEST

START_TEST(threats_loss_of_work_and_new_harm_have_priority)
{
    expect_each("threat_other threat_or_harm_to_relatives", "- threatened carried_out ongoing ended",
                "2026-11", URGENCY_PRIORITY, "somebody was threatened");
    expect_each("asset_freeze disbarment", "threatened attempted", "2026-11", URGENCY_PRIORITY,
                "it was threatened or attempted");
    expect_each("dismissal_or_loss_of_licence disbarment", "- carried_out ongoing ended", "2026-11",
                URGENCY_PRIORITY, "somebody lost work or a licence");
    expect_each("asset_freeze other", "- carried_out ongoing ended", "2026-11", URGENCY_PRIORITY,
                "it happened within a year");
    facts.act_count = 0;
    with_person("at_risk", false);
    expect_urgency(URGENCY_PRIORITY, "somebody is at risk or in hiding");
    with_person("in_hiding", false);
    expect_urgency(URGENCY_PRIORITY, "somebody is at risk or in hiding");
    with_person("released", false);
    expect_urgency(URGENCY_NONE, NULL);
    facts.new_harm = true;
    expect_urgency(URGENCY_PRIORITY, "a follow-up tells of new harm");
}
END_TEST

START_TEST(laws_patterns_and_what_is_long_past_are_routine)
{
    expect_each("restrictive_legislation sanctions_on_mandate_holders self_censorship_observed",
                "- threatened attempted carried_out ongoing ended", "2026-11", URGENCY_ROUTINE,
                "it is about legislation or its effects");
    /* A year and a day. */
    expect_each("detention death_threat torture_ill_treatment", "- carried_out ended", "2025-11-27",
                URGENCY_ROUTINE, "it is more than a year ago");
    expect_each("detention", "carried_out", "2025-11-28", URGENCY_PRIORITY, NULL);
    expect_each("detention", "carried_out", "2025", URGENCY_PRIORITY, NULL);
    with_act("detention", "carried_out", "2019", "2026-02");
    expect_urgency(URGENCY_PRIORITY, NULL);
    with_act("detention", "carried_out", NULL, NULL);
    expect_urgency(URGENCY_PRIORITY, NULL);
    facts.kind = "pattern_or_trend";
    with_act("asset_freeze", "ongoing", "2026-11", NULL);
    expect_urgency(URGENCY_ROUTINE, "it is about a pattern or about legislation");
    facts.kind = "legislation";
    expect_urgency(URGENCY_ROUTINE, "it is about a pattern or about legislation");
    /* Somebody is harmed all the same. */
    with_act("detention", "ongoing", "2026-11", NULL);
    expect_urgency(URGENCY_URGENT, "detention goes on");
}
END_TEST

START_TEST(the_gravest_decides_and_gives_the_reasons)
{
    struct urgency_act acts[2] = { { .type = "threat_other", .stage = "carried_out" },
                                   { .type = "detention", .stage = "ongoing" } };

    expect_urgency(URGENCY_NONE, NULL);
    facts.acts = acts;
    facts.act_count = 2;
    with_person("detained", false);
    expect_urgency(URGENCY_URGENT, "detention goes on");
    expect_urgency(URGENCY_URGENT, "somebody is detained");
    ck_assert_uint_eq(urgency_judge(&facts, today_ms).reason_count, 2);
    /* A type that only a newer version knows asks for nothing. */
    acts[0].type = NULL;
    acts[1].type = NULL;
    facts.person_count = 0;
    expect_urgency(URGENCY_NONE, NULL);
}
END_TEST

/* Every word of the table is in the codebook, and graver rules come first. */
START_TEST(the_table_speaks_of_what_the_codebook_has)
{
    static const char *const vocabularies[] = { "act_type", "act_stage", "person_situation" };
    const struct codebook *codebook = codebook_reprisals();
    size_t count = 0;
    const struct urgency_rule *rules = urgency_rules(&count);

    ck_assert_uint_gt(count, 20);
    for (size_t n = 0; n < count; n++) {
        const char *const lists[] = { rules[n].acts, rules[n].stages, rules[n].situations };

        ck_assert(n == 0 || rules[n].asks >= rules[n - 1].asks);
        for (size_t l = 0; l < 3; l++) {
            const struct codebook_vocabulary *vocabulary = NULL;
            char words[700];
            char *rest = NULL;

            for (size_t v = 0; v < codebook->vocabulary_count; v++) {
                vocabulary = strcmp(codebook->vocabularies[v].name, vocabularies[l]) == 0
                                 ? &codebook->vocabularies[v]
                                 : vocabulary;
            }
            ck_assert_ptr_nonnull(vocabulary);
            snprintf(words, sizeof words, "%s", lists[l] == NULL ? "" : lists[l]);
            ck_assert_uint_lt(strlen(words), sizeof words - 1);
            for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
                ck_assert_msg(strcmp(word, "*") == 0 || strcmp(word, "-") == 0 ||
                                  codebook_value_by_name(vocabulary, word) != NULL,
                              "%s", word);
            }
        }
    }
}
END_TEST

START_TEST(the_names_are_those_of_the_vocabulary)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct codebook_field *field = codebook_field_by_name(codebook, 1, "urgency");
    const struct codebook_vocabulary *vocabulary = codebook_vocabulary(codebook, field->vocabulary);

    ck_assert_uint_eq(vocabulary->value_count, URGENCY_ROUTINE);
    for (uint32_t n = URGENCY_EMERGENCY; n <= URGENCY_ROUTINE; n++) {
        ck_assert_str_eq(codebook_value(vocabulary, n)->name, urgency_name((enum urgency)n));
    }
    ck_assert(urgency_is_above(URGENCY_EMERGENCY, URGENCY_URGENT));
    ck_assert(urgency_is_above(URGENCY_ROUTINE, URGENCY_NONE));
    ck_assert(!urgency_is_above(URGENCY_NONE, URGENCY_ROUTINE));
    ck_assert(!urgency_is_above(URGENCY_URGENT, URGENCY_URGENT));
}
END_TEST

SUITE_MAIN_WITH("urgency", setup, NULL, what_threatens_life_liberty_or_body_is_an_emergency,
                who_cannot_be_reached_is_an_emergency, a_child_at_risk_is_an_emergency,
                what_got_into_other_hands_is_an_emergency, what_goes_on_is_urgent,
                a_hearing_within_a_fortnight_is_urgent, a_travel_ban_is_urgent_while_a_meeting_is_to_come,
                what_happens_at_a_meeting_in_session_is_urgent,
                threats_loss_of_work_and_new_harm_have_priority,
                laws_patterns_and_what_is_long_past_are_routine, the_gravest_decides_and_gives_the_reasons,
                the_table_speaks_of_what_the_codebook_has, the_names_are_those_of_the_vocabulary)
