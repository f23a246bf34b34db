/* The tables of headquarters, over a set of cases that was made by hand: each number was worked out on paper. */
#include "tests/support/check.h"
#include "tests/support/solve.h"
#include "tests/support/summaries.h"

#include "node/casework/statistics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1, BEFORE = 2, COUNTING = 9, ANA = 11, BEN, CAI, DIA, EVE, NGO, FAM, NOBODY = 99 };

static struct facts *facts;
static struct statistics *statistics;
static struct test_summary made;

static void
put(void)
{
    ck_assert_int_eq(facts_put(facts, &made.summary), ERR_OK);
    summary_end(&made);
}

static void
set(const char *field, uint8_t element, const char *text)
{
    summary_set(&made, field, element, text);
}

static void
make_record_of_person(uint32_t no, const char *unit, const char *gender, const char *age, const char *role)
{
    summary_begin(&made, "person", no);
    set("counting_unit", 0, unit);
    set("gender", 0, gender);
    set("age_group", 0, age);
    set("roles", 1, role);
}

static void
say(uint8_t element, const char *scope, const char *decision)
{
    set("consent.scope", element, scope);
    set("consent.decision", element, decision);
}

/* One who lets himself be counted. */
static void
make_person(uint32_t no, const char *unit, const char *gender, const char *age, const char *role)
{
    make_record_of_person(no, unit, gender, age, role);
    say(COUNTING, "count_only", "granted");
}

static void
make_case(uint32_t no, const char *status, uint32_t window, const char *state)
{
    summary_begin(&made, "case", no);
    set("status", 0, status);
    set("reporting_window", 0, summary_id(window));
    set("country_of_act", 1, state);
    set("country_alleged_responsible", 1, state);
    made.summary.created_hlc = (UINT64_C(20500) * 24 * 60 * 60 * 1000) << 16; /* 2026-02-16 */
}

static void
make_windows(void)
{
    summary_begin(&made, "reporting_window", WINDOW);
    set("from", 0, "2025-05-01");
    set("to", 0, "2026-04-30");
    put();
    summary_begin(&made, "reporting_window", BEFORE);
    set("from", 0, "2024-05-01");
    set("to", 0, "2025-04-30");
    put();
}

static void
make_persons(void)
{
    make_person(ANA, "individual", "woman", "adult", "lawyer");
    set("consent.scope", 1, "publish_anonymised");
    set("consent.decision", 1, "granted");
    set("current_situation", 0, "detained");
    put();
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    set("roles", 2, "witness");
    set("consent.scope", 1, "publish_named");
    set("consent.decision", 1, "granted");
    put();
    make_person(CAI, "individual", "woman", "unknown", "academic");
    put();
    make_person(DIA, "individual", "woman", "adult", "witness");
    put();
    make_person(EVE, "individual", "woman", "adult", "family_member");
    put();
    make_person(NGO, "group_or_organisation", "not_applicable", "unknown", "civil_society_staff");
    set("number_of_persons", 0, "30-50");
    put();
    make_person(FAM, "family", "not_applicable", "unknown", "family_member");
    set("number_of_persons", 0, "4");
    put();
}

/* KEN: a lawyer and another one in detention, she with a threat too. */
static void
make_first(void)
{
    make_case(21, "included_named", WINDOW, "KEN");
    set("victim.person", 1, summary_id(ANA));
    set("victim.part", 1, "alleged_victim");
    set("victim.person", 2, summary_id(BEN));
    set("act.type_of_act", 1, "detention");
    set("act.stage", 1, "ongoing");
    set("act.online", 1, "no");
    set("act.date_from", 1, "2026-02-10"); /* 6 days before its record */
    set("act.victim", 1, summary_id(ANA));
    set("act.victim", 1, summary_id(BEN));
    set("act.type_of_act", 2, "death_threat");
    set("act.victim", 2, summary_id(ANA));
    set("cooperation.un_actor", 1, "special_procedures");
    set("perpetrator.actor_type", 1, "police");
    set("perpetrator.state_or_non_state", 1, "state");
    set("action.actor_side", 1, "un");
    set("action.date", 1, "2026-03-10"); /* 22 days after its record */
    set("action.actor_side", 2, "government");
    set("action.date", 2, "2026-07-01"); /* 113 days later */
    set("action.actor_side", 3, "government");
    set("action.date", 3, "2026-01-01"); /* an answer to nothing */
    set("source_ref", 1, summary_id(90));
    set("source_ref", 2, summary_id(91));
    set("verification", 0, "corroborated");
    made.summary.conflict_count = 1;
    put();
}

/* COL: she was met here too; an organisation, and a family of which no act speaks. */
static void
make_second(void)
{
    make_case(22, "counted_only", WINDOW, "COL");
    set("victim.person", 1, summary_id(ANA));
    set("victim.person", 2, summary_id(NGO));
    set("victim.person", 3, summary_id(FAM));
    set("act.type_of_act", 1, "online_harassment_or_doxxing");
    set("act.online", 1, "yes");
    set("act.legal_basis", 1, "counter_terrorism");
    set("act.legal_basis", 1, "cybercrime");
    set("act.victim", 1, summary_id(NGO));
    set("cooperation.un_actor", 1, "upr");
    set("cooperation.un_actor", 2, "cat");
    set("source_ref", 1, summary_id(90));
    set("follow_up.next_review", 1, "2026-03-01");
    put();
}

/* A case of an earlier report, followed up in this window and in an older one. */
static void
make_third(void)
{
    make_case(23, "follow_up", BEFORE, "KEN");
    set("earlier_report.symbol", 1, "A/HRC/57/60");
    set("victim.person", 1, summary_id(CAI));
    set("act.type_of_act", 1, "prison_sentence");
    set("follow_up.window", 1, summary_id(WINDOW));
    set("follow_up.new_development", 1, "release");
    set("follow_up.window", 2, summary_id(BEFORE));
    set("follow_up.new_development", 2, "new_charge");
    put();
}

/* Left out for protection; drafts; withdrawn; of another window. */
static void
make_uncounted(void)
{
    make_case(24, "excluded_protection", WINDOW, "EGY");
    set("victim.person", 1, summary_id(DIA));
    set("act.type_of_act", 1, "killing");
    put();
    make_case(25, "draft", WINDOW, "VNM");
    set("victim.person", 1, summary_id(DIA));
    put();
    make_case(26, "withdrawn", WINDOW, "VNM");
    put();
    make_case(27, "included_named", BEFORE, "VNM");
    set("victim.person", 1, summary_id(DIA));
    put();
}

/* EGY is said to have acted in FRA. Who is associated is no victim; the other one is not known here. */
static void
make_abroad(void)
{
    summary_begin(&made, "case", 28);
    set("status", 0, "included_anonymised");
    set("reporting_window", 0, summary_id(WINDOW));
    set("country_of_act", 1, "FRA");
    set("country_alleged_responsible", 1, "EGY");
    set("transnational", 0, "yes");
    set("victim.person", 1, summary_id(EVE));
    set("victim.part", 1, "associated_person");
    set("victim.person", 2, summary_id(NOBODY));
    set("act.type_of_act", 1, "travel_ban");
    put();
}

static void
count(uint32_t window, uint32_t threshold)
{
    struct ident id = summary_ident(window);

    statistics_free(&statistics);
    ck_assert_int_eq(
        statistics_new(&statistics, facts,
                       &(struct statistics_options){ .codebook = codebook_reprisals(),
                                                     .window = window == 0 ? 0 : facts_name(facts, &id),
                                                     .as_of_day = fact_day(2026, 5, 1),
                                                     .threshold = threshold }),
        ERR_OK);
}

static void
setup(void)
{
    facts = facts_new();
    ck_assert_ptr_nonnull(facts);
    ck_assert_int_eq(facts_begin(facts, codebook_reprisals()), ERR_OK);
    make_windows();
    make_persons();
    make_first();
    make_second();
    make_third();
    make_uncounted();
    make_abroad();
}

static void
teardown(void)
{
    statistics_free(&statistics);
    facts_free(&facts);
}

static size_t
cube_of(const char *title)
{
    size_t cube_count;
    const struct statistics_cube *cubes = statistics_cubes(&cube_count);

    for (size_t n = 0; n < cube_count; n++) {
        if (strcmp(cubes[n].title, title) == 0) {
            return n;
        }
    }
    ck_abort_msg("there is no cube %s", title);
    return 0;
}

static uint16_t
slot_of(size_t cube, size_t axis, const char *name)
{
    for (size_t n = 0; n < statistics_slot_count(statistics, cube, axis); n++) {
        if (strcmp(statistics_slot(statistics, cube, axis, n)->name, name) == 0) {
            return (uint16_t)n;
        }
    }
    ck_abort_msg("%s is on no axis", name);
    return 0;
}

/* The cell "all:KEN:new" of a cube. */
static struct statistics_cell
cell_of(const char *title, const char *path)
{
    size_t cube = cube_of(title);
    uint16_t slots[STATISTICS_AXES] = { 0 };
    char copy[200];
    size_t axis = 0;

    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *left = copy, *name; (name = strsep(&left, ":")) != NULL && name[0] != '\0'; axis++) {
        slots[axis] = slot_of(cube, axis, name);
    }
    return statistics_cell(statistics, cube, slots);
}

static void
expect_cell(const char *title, const char *path, uint64_t number)
{
    struct statistics_cell cell = cell_of(title, path);

    if (cell.count != number) {
        ck_abort_msg("%s, %s: %llu, not %llu", title, path, (unsigned long long)cell.count,
                     (unsigned long long)number);
    }
}

START_TEST(t1_counts_each_unit_by_itself)
{
    count(WINDOW, 0);
    expect_cell("Cases", "new", 3);
    expect_cell("Cases", "follow_up", 1);
    expect_cell("Cases", "all", 4);
    expect_cell("States", "new", 3);
    expect_cell("States", "follow_up", 1);
    expect_cell("States", "all", 3); /* KEN is in both */
    expect_cell("Individuals", "new", 2);
    expect_cell("Individuals", "follow_up", 1);
    expect_cell("Individuals", "all", 3);
    expect_cell("Organisations", "all", 1);
    expect_cell("Families, communities and other groups", "all", 1);
    expect_cell("Persons in groups, at least", "new", 34);
    expect_cell("Victims not recorded as a person or a group", "all", 0); /* of nobody nothing is known */
    expect_cell("Acts", "new", 4);
    expect_cell("Acts", "follow_up", 1);
    expect_cell("Acts", "all", 5);
    expect_cell("All cases of the window", "counted", 4);
    expect_cell("All cases of the window", "under_way", 1);
    expect_cell("All cases of the window", "withheld", 1);
    expect_cell("All cases of the window", "left_out", 0);
    expect_cell("All cases of the window", "out_of_the_way", 1);
    expect_cell("All cases of the window", "all", 7);
}
END_TEST

/* Ben and Ana were entered by two offices: one person until somebody says that they are two. */
START_TEST(persons_who_are_linked_count_once)
{
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    set("same_as.record", 1, summary_id(ANA));
    put();
    count(WINDOW, 0);
    expect_cell("Individuals", "new", 1);
    expect_cell("Individuals", "all", 2);
    expect_cell("Acts", "new", 4);
    make_person(ANA, "individual", "woman", "adult", "lawyer");
    set("not_same_as.record", 1, summary_id(BEN));
    put();
    count(WINDOW, 0);
    expect_cell("Individuals", "new", 2);
    expect_cell("Individuals", "all", 3);
}
END_TEST

START_TEST(t2_rolls_states_up_into_regions)
{
    count(WINDOW, 0);
    expect_cell("Individuals by region", "KEN:new", 2);
    expect_cell("Individuals by region", "KEN:follow_up", 1);
    expect_cell("Individuals by region", "014:all", 3);
    expect_cell("Individuals by region", "002:all", 3);
    expect_cell("Individuals by region", "COL:new", 1);
    expect_cell("Individuals by region", "019:all", 1);
    expect_cell("Individuals by region", "all:all", 3); /* one of them in both regions */
    expect_cell("Individuals by region", "EGY:all", 0);
    expect_cell("Cases by region", "EGY:new", 1);
    expect_cell("Cases by region", "015:new", 1);
    expect_cell("Cases by region", "002:new", 2);
    expect_cell("Cases by region", "002:follow_up", 1);
    expect_cell("Cases by region", "all:all", 4);
    expect_cell("States by region", "002:all", 2);
    expect_cell("States by region", "019:new", 1);
    expect_cell("States by region", "all:all", 3);
    /* Where it happened is not where the State lies that is alleged to have done it. */
    for (size_t n = 0; n < statistics_slot_count(statistics, cube_of("Cases by region"), 0); n++) {
        ck_assert_str_ne(statistics_slot(statistics, cube_of("Cases by region"), 0, n)->name, "FRA");
    }
}
END_TEST

START_TEST(t3_counts_victims_by_role_gender_and_age)
{
    static const char title[] = "Individuals by role, gender and age";

    count(WINDOW, 0);
    expect_cell(title, "lawyer:woman:adult", 1);
    expect_cell(title, "lawyer:man:youth_18_24", 1);
    expect_cell(title, "witness:man:youth_18_24", 1);
    expect_cell(title, "lawyer:all:all", 2);
    expect_cell(title, "witness:all:all", 1);
    expect_cell(title, "academic:woman:unknown", 1);
    expect_cell(title, "all:woman:all", 2);
    expect_cell(title, "all:all:all", 3);
    expect_cell(title, "family_member:all:all", 0);
    expect_cell("Individuals by gender", "woman", 2);
    expect_cell("Individuals by gender", "man", 1);
    expect_cell("Individuals by gender", "all", 3);
}
END_TEST

START_TEST(t4_counts_acts_and_whom_they_name)
{
    static const char title[] = "Individuals by group of acts, gender and region";

    count(WINDOW, 0);
    expect_cell("Acts by type and region", "detention:002", 1);
    expect_cell("Acts by type and region", "prison_sentence:002", 1);
    expect_cell("Acts by type and region", "liberty:002", 2);
    expect_cell("Acts by type and region", "violence:all", 1);
    expect_cell("Acts by type and region", "movement:002", 1);
    expect_cell("Acts by type and region", "surveillance_digital:019", 1);
    expect_cell("Acts by type and region", "all:all", 5);
    expect_cell(title, "liberty:woman:002", 1);
    expect_cell(title, "violence:woman:all", 1);
    expect_cell(title, "liberty:all:all", 2);
    /* In COL no act names her, in KEN none names the third one. */
    expect_cell(title, "not_recorded:woman:019", 1);
    expect_cell(title, "not_recorded:woman:002", 1);
    expect_cell(title, "not_recorded:all:all", 2);
    expect_cell(title, "all:all:all", 3);
    expect_cell("Acts by group and stage", "liberty:ongoing", 1);
    expect_cell("Acts by group and stage", "all:not_recorded", 4);
}
END_TEST

START_TEST(t5_and_t6_count_mechanisms_and_perpetrators)
{
    count(WINDOW, 0);
    expect_cell("Cases by UN actor", "special_procedures:new", 1);
    expect_cell("Cases by UN actor", "upr:all", 1);
    expect_cell("Cases by UN actor", "cat:all", 1);
    expect_cell("Cases by UN actor", "not_recorded:all", 2);
    expect_cell("Cases by UN actor", "all:all", 4);
    expect_cell("Acts by UN actor and group", "special_procedures:liberty", 1);
    expect_cell("Acts by UN actor and group", "special_procedures:all", 2);
    expect_cell("Acts by UN actor and group", "cat:surveillance_digital", 1);
    expect_cell("States by UN actor", "not_recorded", 2);
    expect_cell("States by UN actor", "all", 3);
    expect_cell("Cases by number of UN actors", "several", 1);
    expect_cell("Cases by number of UN actors", "one", 1);
    expect_cell("Cases by number of UN actors", "not_recorded", 2);
    expect_cell("Alleged perpetrators", "police:state", 1);
    expect_cell("Alleged perpetrators", "all:all", 1);
    expect_cell("Alleged perpetrators", "all:non_state", 0);
}
END_TEST

START_TEST(t7_counts_who_asked_for_anonymity_and_who_is_withheld)
{
    count(WINDOW, 0);
    expect_cell("Individuals by anonymity", "asked_for", 1);
    expect_cell("Individuals by anonymity", "may_be_named", 1);
    expect_cell("Individuals by anonymity", "counted_only", 1);
    expect_cell("Individuals by anonymity", "not_recorded", 0);
    expect_cell("States by anonymity of persons", "asked_for", 2); /* she was met in both */
    expect_cell("States by anonymity of persons", "may_be_named", 1);
    expect_cell("States by anonymity of persons", "counted_only", 2); /* an organisation is somebody too */
    expect_cell("States by anonymity of persons", "all", 3);
    expect_cell("Individuals withheld", "woman", 1);
    expect_cell("Individuals withheld", "all", 1);
    expect_cell("States with somebody withheld", "", 1);
}
END_TEST

START_TEST(consent_is_taken_for_the_most_protective_of_its_statements)
{
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(1, "publish_named", "granted");
    say(2, "publish_named", "withdrawn");
    set("consent.scope", 2, "media");
    put();
    count(WINDOW, 0);
    expect_cell("Individuals by anonymity", "asked_for", 1);
    expect_cell("Individuals by anonymity", "may_be_named", 0);
    expect_cell("Individuals by anonymity", "counted_only", 2);
    expect_cell("Individuals", "all", 3);
}
END_TEST

/* Beside Ana and Cai, who are counted, and one of a case that is withheld as such. */
static void
expect_ben(uint64_t counted, uint64_t withheld, const char *consent)
{
    put();
    count(WINDOW, 0);
    expect_cell("Individuals", "all", 2 + counted);
    expect_cell("Individuals by region", "KEN:new", 1 + counted);
    expect_cell("Individuals by gender", "man", counted);
    expect_cell("Individuals withheld", "man", withheld);
    expect_cell("Individuals withheld", "all", 1 + withheld);
    expect_cell("States with somebody withheld", "", 1 + withheld);
    expect_cell("Individuals by consent on record", "agreed", 2 + counted);
    expect_cell("Individuals by consent on record", "all", 2 + counted + withheld);
    if (counted + withheld > 0) {
        expect_cell("Individuals by consent on record", consent, strcmp(consent, "agreed") == 0 ? 3 : 1);
    }
    /* The case is counted whoever is in it. */
    expect_cell("Cases", "all", 4);
    expect_cell("Acts", "all", 5);
}

START_TEST(who_did_not_agree_to_be_counted_is_not)
{
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    expect_ben(0, 1, "not_recorded");
    /* Who agrees to more agrees to this. */
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(1, "publish_named", "granted");
    expect_ben(1, 0, "agreed");
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(1, "share_with_hq", "granted");
    expect_ben(0, 1, "not_agreed");
    /* Who refuses is in no number at all. */
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(1, "publish_named", "granted");
    say(2, "count_only", "refused");
    expect_ben(0, 0, "");
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(1, "publish_anonymised", "granted");
    say(2, "record_in_system", "withdrawn");
    expect_ben(0, 0, "");
    /* But one who is to be counted all the same. */
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(2, "record_in_system", "withdrawn");
    expect_ben(1, 0, "agreed");
    /* What was agreed to until yesterday (the tables are of 2026-05-01). */
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    set("consent.valid_until", COUNTING, "2026-04");
    expect_ben(0, 1, "not_agreed");
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    set("consent.valid_until", COUNTING, "2026-05-01");
    expect_ben(1, 0, "agreed");
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    set("consent.valid_until", COUNTING, "2024-11-02/..");
    expect_ben(1, 0, "agreed");
    /* Of two days the one that is over counts, whichever is shown first. */
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    set("consent.valid_until", COUNTING, "2030");
    set("consent.valid_until", COUNTING, "2025");
    expect_ben(0, 1, "not_agreed");
}
END_TEST

/* An element as a value: see summary_set. */
static const char *
element_id(uint8_t element)
{
    static char text[2 * ELEMENT_ID_BYTES + 1];
    uint8_t id[ELEMENT_ID_BYTES] = { element };

    bytes_hex(text, span_of(id, sizeof id));
    return text;
}

START_TEST(a_statement_that_takes_the_place_of_another_counts_in_its_place)
{
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(1, "count_only", "refused");
    say(2, "count_only", "granted");
    expect_ben(0, 0, "");
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(1, "count_only", "refused");
    say(2, "count_only", "granted");
    set("consent.replaces", 2, element_id(1));
    expect_ben(1, 0, "agreed");
    /* The earlier one may stand behind it in the record. */
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(2, "count_only", "refused");
    say(1, "count_only", "granted");
    set("consent.replaces", 1, element_id(2));
    expect_ben(1, 0, "agreed");
    make_record_of_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    say(1, "count_only", "refused");
    say(2, "count_only", "granted");
    set("consent.replaces", 2, element_id(7)); /* of none that is here */
    expect_ben(0, 0, "");
}
END_TEST

/* What one office was told is not got around by the record of another one. */
START_TEST(a_refusal_holds_for_all_records_of_a_person)
{
    make_person(BEN, "individual", "man", "youth_18_24", "lawyer");
    set("same_as.record", 1, summary_id(DIA));
    put();
    make_record_of_person(DIA, "individual", "woman", "adult", "witness");
    say(1, "count_only", "refused");
    put();
    count(WINDOW, 0);
    expect_cell("Individuals", "all", 2);
    expect_cell("Individuals withheld", "all", 0);
    make_record_of_person(DIA, "individual", "woman", "adult", "witness");
    put();
    count(WINDOW, 0);
    expect_cell("Individuals", "all", 3);
}
END_TEST

static void
make_stub(uint32_t no, uint32_t window, const char *country, const char *group)
{
    summary_begin(&made, "count_stub", no);
    set("reporting_window", 0, summary_id(window));
    if (country != NULL) {
        set("country", 0, country);
    }
    if (group != NULL) {
        set("act_group", 0, group);
    }
}

/* What it does not say is not recorded; and it is no case, act or State. */
START_TEST(a_count_stub_is_an_individual_and_nothing_else)
{
    make_stub(201, WINDOW, "KEN", "liberty");
    set("act_group", 0, "violence");
    put();
    make_stub(202, WINDOW, NULL, NULL);
    put();
    make_stub(203, BEFORE, "URY", "movement");
    put();
    count(WINDOW, 0);
    expect_cell("Individuals", "all", 5);
    expect_cell("Individuals", "new", 2);
    expect_cell("Individuals", "not_recorded", 2);
    expect_cell("Individuals by region", "KEN:all", 4);
    expect_cell("Individuals by region", "KEN:not_recorded", 1);
    expect_cell("Individuals by region", "002:all", 4);
    expect_cell("Individuals by region", "not_recorded:not_recorded", 1);
    expect_cell("Individuals by region", "URY:all", 0);
    expect_cell("Individuals by UN regional group", "african:not_recorded", 1);
    expect_cell("Individuals by UN regional group", "not_recorded:all", 1);
    expect_cell("Individuals by role, gender and age", "not_recorded:not_recorded:not_recorded", 2);
    expect_cell("Individuals by role, gender and age", "all:all:all", 5);
    expect_cell("Individuals by group of acts, gender and region", "liberty:not_recorded:002", 1);
    expect_cell("Individuals by group of acts, gender and region", "violence:not_recorded:002", 1);
    expect_cell("Individuals by group of acts, gender and region", "liberty:all:all", 3);
    expect_cell("Individuals by group of acts, gender and region", "not_recorded:not_recorded:all", 1);
    expect_cell("Individuals by group of acts, gender and region", "movement:all:all", 0);
    expect_cell("Individuals by anonymity", "not_recorded", 2);
    expect_cell("Individuals by their situation", "not_recorded", 4);
    expect_cell("Individuals by consent on record", "agreed", 5);
    expect_cell("Individuals withheld", "all", 1);
    expect_cell("Cases", "all", 4);
    expect_cell("Cases", "not_recorded", 0);
    expect_cell("States", "all", 3);
    expect_cell("Acts", "all", 5);
    count(BEFORE, 0);
    expect_cell("Individuals by region", "URY:not_recorded", 1);
    count(0, 0);
    expect_cell("Individuals by region", "URY:all", 1);
    expect_cell("Individuals", "not_recorded", 3);
}
END_TEST

START_TEST(t2_counts_by_the_groups_of_the_united_nations)
{
    make_case(29, "included_named", WINDOW, "PSE");
    put();
    count(WINDOW, 0);
    expect_cell("Individuals by UN regional group", "african:new", 2);
    expect_cell("Individuals by UN regional group", "african:follow_up", 1);
    expect_cell("Individuals by UN regional group", "latin_american_and_caribbean:all", 1);
    expect_cell("Individuals by UN regional group", "western_european_and_others:all", 0);
    expect_cell("Individuals by UN regional group", "all:all", 3);
    expect_cell("Cases by UN regional group", "african:all", 3);
    expect_cell("Cases by UN regional group", "none:all", 1);
    expect_cell("Cases by UN regional group", "not_recorded:all", 0);
    expect_cell("States by UN regional group", "african:all", 2);
    expect_cell("States by UN regional group", "none:new", 1);
}
END_TEST

/* KEN by a case that was in a report; VNM has nothing to recur in until it is in this window too. */
START_TEST(states_recur_from_earlier_reports_and_windows)
{
    count(WINDOW, 0);
    expect_cell("States that recur", "recurs", 1);
    expect_cell("States that recur", "not_recorded", 2);
    expect_cell("States that recur", "all", 3);
    make_case(29, "included_named", WINDOW, "VNM");
    put();
    count(WINDOW, 0);
    expect_cell("States that recur", "recurs", 2);
    expect_cell("States that recur", "all", 4);
    /* That it is in a later window says nothing of the earlier one. */
    count(BEFORE, 0);
    expect_cell("States that recur", "recurs", 1); /* KEN, by the report that is named */
    expect_cell("States that recur", "all", 2);
    count(0, 0);
    expect_cell("States that recur", "recurs", 1);
    expect_cell("States that recur", "all", 4);
}
END_TEST

START_TEST(t8_to_t10_count_digital_legal_and_transnational)
{
    count(WINDOW, 0);
    expect_cell("States by group of acts", "surveillance_digital", 1);
    expect_cell("States by group of acts", "liberty", 1);
    expect_cell("States by group of acts", "all", 3);
    expect_cell("Acts online, by group", "surveillance_digital:yes", 1);
    expect_cell("Acts online, by group", "all:no", 1);
    expect_cell("Acts online, by group", "all:not_recorded", 3);
    expect_cell("States by legal basis", "counter_terrorism", 1);
    expect_cell("States by legal basis", "cybercrime", 1);
    expect_cell("States by legal basis", "not_recorded", 2);
    expect_cell("Acts by legal basis and region", "counter_terrorism:019", 1);
    expect_cell("Acts by legal basis and region", "not_recorded:002", 4);
    expect_cell("Acts by legal basis and region", "all:all", 5);
    expect_cell("Transnational cases", "FRA:EGY", 1);
    expect_cell("Transnational cases", "all:all", 1);
}
END_TEST

START_TEST(t11_to_t13_count_outcomes_delays_and_quality)
{
    count(WINDOW, 0);
    expect_cell("Cases followed up, by development", "release:002", 1);
    expect_cell("Cases followed up, by development", "new_charge:all", 0); /* that was in the other window */
    expect_cell("Cases followed up, by development", "all:all", 1);
    expect_cell("Individuals by their situation", "detained", 1);
    expect_cell("Individuals by their situation", "not_recorded", 2);
    expect_cell("Cases by days from the first act to their record", "within_7", 1);
    expect_cell("Cases by days from the first act to their record", "not_recorded", 3);
    expect_cell("Cases by days from their record to the first action of the UN", "within_30", 1);
    expect_cell("Cases by days from there to the first answer of a Government", "later", 1);
    expect_cell("Individuals by consent on record", "agreed", 3);
    expect_cell("Individuals by consent on record", "not_recorded", 0);
    expect_cell("Cases by number of sources", "several", 1);
    expect_cell("Cases by number of sources", "one", 1);
    expect_cell("Cases by verification", "corroborated", 1);
    expect_cell("Cases by verification", "not_recorded", 3);
    expect_cell("Cases with an open conflict", "open", 1);
    expect_cell("Cases with an open conflict", "none", 3);
    expect_cell("Cases by next review", "late", 1);
    expect_cell("Cases by next review", "not_recorded", 3);
}
END_TEST

START_TEST(a_window_has_its_own_cases)
{
    count(BEFORE, 0);
    expect_cell("Cases", "all",
                2); /* one of its own in VNM, and the one that was in an earlier report already */
    expect_cell("Cases", "new", 1);
    expect_cell("Cases followed up, by development", "new_charge:all", 1);
    expect_cell("Cases followed up, by development", "release:all", 0);
    count(0, 0);
    expect_cell("Cases", "all", 5);
    expect_cell("Cases", "new", 4);
    expect_cell("All cases of the window", "all", 8);
}
END_TEST

START_TEST(what_was_dropped_is_not_counted)
{
    uint64_t version = facts_version(facts);

    facts_drop(facts, 22);
    ck_assert_uint_ne(facts_version(facts), version);
    count(WINDOW, 0);
    expect_cell("Cases", "all", 3);
    expect_cell("Organisations", "all", 0);
    /* A restricted record says nothing. */
    make_case(21, "included_named", WINDOW, "KEN");
    made.summary.restricted = true;
    put();
    count(WINDOW, 0);
    expect_cell("Cases", "all", 2);
    expect_cell("Individuals", "all", 1);
}
END_TEST

/* --- what is not shown --- */

/* Many cases, so that there are small numbers beside large ones, on every axis. */
static void
make_many(void)
{
    static const char *const countries[] = { "KEN", "COL", "EGY", "VNM", "KEN", "COL", "KEN" };
    static const char *const genders[] = { "woman", "man", "woman", "non_binary" };
    static const char *const roles[] = { "lawyer", "witness", "academic", "lawyer", "lawyer" };
    static const char *const acts[] = { "detention", "death_threat", "travel_ban", "detention",
                                        "hate_speech" };

    for (uint32_t n = 0; n < 70; n++) {
        make_person(100 + n, "individual", genders[n * n % 4], n % 9 == 0 ? "unknown" : "adult",
                    roles[n % 5]);
        put();
        make_case(180 + n, n % 11 == 0 ? "draft" : "included_named", WINDOW, countries[n % 7]);
        set("victim.person", 1, summary_id(100 + n));
        set("act.type_of_act", 1, acts[n * 3 % 5]);
        set("act.victim", 1, summary_id(100 + n));
        set("cooperation.un_actor", 1, n % 13 == 0 ? "upr" : "special_procedures");
        if (n % 6 == 0) {
            set("earlier_report.symbol", 1, "A/HRC/57/60");
        }
        put();
    }
}

static struct solve_cell *
copy_cells(void)
{
    size_t cell_count = statistics_cell_count(statistics);
    struct solve_cell *cells = calloc(cell_count, sizeof *cells);

    ck_assert_ptr_nonnull(cells);
    for (size_t n = 0; n < cell_count; n++) {
        struct statistics_cell cell = statistics_cell_at(statistics, n);

        cells[n] = (struct solve_cell){ cell.count, cell.hidden };
    }
    return cells;
}

/* The whole release, over all tables: of each number that is not shown two values are possible, and each small one is not shown. */
START_TEST(no_small_number_is_shown_or_can_be_told)
{
    size_t line_count;
    size_t hidden = 0;

    make_many();
    count(WINDOW, STATISTICS_THRESHOLD);
    struct solve_cell *cells = copy_cells();
    line_count = statistics_line_count(statistics);
    struct solve_line *lines = calloc(line_count, sizeof *lines);
    ck_assert_ptr_nonnull(lines);
    for (size_t n = 0; n < line_count; n++) {
        struct statistics_line line = statistics_line(statistics, n);

        lines[n] = (struct solve_line){ line.total, line.parts, line.part_count };
    }
    for (uint32_t n = 0; n < statistics_cell_count(statistics); n++) {
        EXPECT(cells[n].hidden || cells[n].count == 0 || cells[n].count >= STATISTICS_THRESHOLD);
        EXPECT(!cells[n].hidden || cells[n].count > 0);
        if (cells[n].hidden) {
            hidden++;
            EXPECT(solve_otherwise(cells, statistics_cell_count(statistics), lines, line_count, n));
        }
    }
    ck_assert_uint_eq(hidden, statistics_small_count(statistics) + statistics_guarding_count(statistics));
    ck_assert_uint_gt(statistics_small_count(statistics), 50);
    ck_assert_uint_gt(statistics_guarding_count(statistics), 10);
    /* And much is shown. */
    ck_assert(!cell_of("Cases", "all").hidden);
    ck_assert(!cell_of("Individuals by gender", "woman").hidden);
    free(cells);
    free(lines);
}
END_TEST

/* A total stands in several tables: it is one cell of the release, shown in all or in none. */
START_TEST(tables_share_what_they_have_in_common)
{
    static const char *const same[][2] = {
        { "Individuals", "all" },
        { "Individuals by region", "all:all" },
        { "Individuals by role, gender and age", "all:all:all" },
        { "Individuals by gender", "all" },
        { "Individuals by group of acts, gender and region", "all:all:all" },
        { "Individuals by anonymity", "all" },
        { "Individuals by UN regional group", "all:all" },
        { "Individuals by consent on record", "agreed" }, /* of a wider base */
    };

    count(WINDOW, STATISTICS_THRESHOLD);
    for (size_t n = 0; n < sizeof same / sizeof same[0]; n++) {
        ck_assert(cell_of(same[n][0], same[n][1]).hidden); /* 3 */
    }
    ck_assert(cell_of("Individuals by role, gender and age", "all:woman:all").hidden ==
              cell_of("Individuals by gender", "woman").hidden);
    ck_assert(cell_of("All cases of the window", "counted").hidden == cell_of("Cases", "all").hidden);
    make_many();
    count(WINDOW, STATISTICS_THRESHOLD);
    ck_assert(!cell_of("Cases", "all").hidden);
    ck_assert(!cell_of("All cases of the window", "counted").hidden);
    for (size_t n = 0; n < sizeof same / sizeof same[0]; n++) {
        ck_assert(!cell_of(same[n][0], same[n][1]).hidden);
        ck_assert_uint_eq(cell_of(same[n][0], same[n][1]).count,
                          66); /* 3, and 63 of the 70 that are no draft */
    }
}
END_TEST

START_TEST(the_threshold_is_a_number_of_whoever_asks)
{
    count(WINDOW, 1);
    ck_assert_uint_eq(statistics_small_count(statistics), 0);
    count(WINDOW, 2);
    uint64_t two = statistics_small_count(statistics);
    count(WINDOW, 10);
    ck_assert_uint_gt(two, 0);
    ck_assert_uint_gt(statistics_small_count(statistics), two);
    ck_assert(cell_of("Acts", "all").hidden);
}
END_TEST

/* --- what a description promises --- */

START_TEST(every_table_has_a_cube_and_every_cube_a_table)
{
    size_t table_count;
    size_t cube_count;
    const struct statistics_table *tables = statistics_tables(&table_count);
    const struct statistics_cube *cubes = statistics_cubes(&cube_count);
    size_t at = 0;

    ck_assert_uint_eq(table_count, 13);
    for (size_t n = 0; n < table_count; n++) {
        char name[32];

        (void)snprintf(name, sizeof name, "T%zu", n + 1);
        ck_assert_str_eq(tables[n].name, name);
        ck_assert(at < cube_count && strcmp(cubes[at].table, name) == 0);
        while (at < cube_count && strcmp(cubes[at].table, name) == 0) {
            at++;
        }
    }
    ck_assert_uint_eq(at, cube_count);
}
END_TEST

SUITE_MAIN_WITH("statistics", setup, teardown, t1_counts_each_unit_by_itself,
                persons_who_are_linked_count_once, t2_rolls_states_up_into_regions,
                t3_counts_victims_by_role_gender_and_age, t4_counts_acts_and_whom_they_name,
                t5_and_t6_count_mechanisms_and_perpetrators,
                t7_counts_who_asked_for_anonymity_and_who_is_withheld,
                consent_is_taken_for_the_most_protective_of_its_statements,
                who_did_not_agree_to_be_counted_is_not,
                a_statement_that_takes_the_place_of_another_counts_in_its_place,
                a_refusal_holds_for_all_records_of_a_person, a_count_stub_is_an_individual_and_nothing_else,
                t2_counts_by_the_groups_of_the_united_nations, states_recur_from_earlier_reports_and_windows,
                t8_to_t10_count_digital_legal_and_transnational, t11_to_t13_count_outcomes_delays_and_quality,
                a_window_has_its_own_cases, what_was_dropped_is_not_counted,
                no_small_number_is_shown_or_can_be_told, tables_share_what_they_have_in_common,
                the_threshold_is_a_number_of_whoever_asks, every_table_has_a_cube_and_every_cube_a_table)
