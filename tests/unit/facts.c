/* What is counted of a record, as numbers: from its summary, and following the journal. */
#include "tests/support/check.h"
#include "tests/support/saves.h"
#include "tests/support/silent.h"
#include "tests/support/summaries.h"

#include "node/casework/facts.h"
#include "store/base/log.h"

#include <string.h>

static struct test_summary made;

static const struct fact *
find(const struct fact_record *record, enum fact_what what, size_t nth)
{
    for (uint32_t n = 0; n < record->fact_count; n++) {
        if (record->facts[n].what == what && nth-- == 0) {
            return &record->facts[n];
        }
    }
    return NULL;
}

static uint32_t
value(const struct fact_record *record, enum fact_what what, size_t nth)
{
    const struct fact *fact = find(record, what, nth);

    ck_assert_ptr_nonnull(fact);
    return fact->value;
}

START_TEST(days_count_on_over_months_and_leap_years)
{
    ck_assert_uint_eq(fact_day(1970, 1, 2), fact_day(1970, 1, 1) + 1);
    ck_assert_uint_eq(fact_day(2000, 3, 1), fact_day(2000, 2, 29) + 1);
    ck_assert_uint_eq(fact_day(1900, 3, 1), fact_day(1900, 2, 28) + 1);
    ck_assert_uint_eq(fact_day(2026, 1, 1), fact_day(2025, 12, 31) + 1);
    ck_assert_uint_eq(fact_day(2026, 11, 28) - fact_day(1970, 1, 1), 20785);
    ck_assert_uint_eq(fact_day(2026, 13, 1), 0);
    ck_assert_uint_eq(fact_day(2026, 0, 1), 0);
    ck_assert_uint_eq(fact_day_of(span_text("2026-03-14")), fact_day(2026, 3, 14));
    ck_assert_uint_eq(fact_day_of(span_text("2026-03")), 0);
    ck_assert_uint_eq(fact_day_of(span_text("2026-02-30")), 0);
}
END_TEST

START_TEST(countries_are_numbers_and_back)
{
    static const char *const codes[] = { "AAA", "KEN", "ZZZ" };
    char text[4];

    for (size_t n = 0; n < sizeof codes / sizeof codes[0]; n++) {
        uint32_t country = fact_country(span_text(codes[n]));

        ck_assert(country > 0 && country <= FACT_COUNTRIES);
        fact_country_text(country, text);
        ck_assert_str_eq(text, codes[n]);
    }
    ck_assert_uint_eq(fact_country(span_text("ken")), 0);
    ck_assert_uint_eq(fact_country(span_text("KE")), 0);
    ck_assert_uint_eq(fact_country(span_text("KENY")), 0);
    ck_assert_uint_eq(fact_country(span_text("")), 0);
}
END_TEST

START_TEST(what_a_summary_says_is_in_its_facts)
{
    struct facts *facts = facts_new();

    ck_assert_int_eq(facts_begin(facts, codebook_reprisals()), ERR_OK);
    summary_begin(&made, "case", 7);
    summary_set(&made, "status", 0, "counted_only");
    summary_set(&made, "transnational", 0, "no");
    summary_set(&made, "country_of_act", 1, "KEN");
    summary_set(&made, "country_of_act", 2, "UGA");
    summary_set(&made, "act.type_of_act", 1, "detention");
    summary_set(&made, "act.date_from", 1, "2026-03-14~");
    summary_set(&made, "act.legal_basis", 1, "cybercrime");
    summary_set(&made, "act.legal_basis", 1, "public_order");
    summary_set(&made, "act.victim", 1, summary_id(9));
    summary_set(&made, "act.type_of_act", 2, "death_threat");
    summary_set(&made, "act.date_from", 2, "2026-03"); /* no day */
    made.summary.conflict_count = 2;
    ck_assert_int_eq(facts_put(facts, &made.summary), ERR_OK);
    summary_end(&made);
    const struct fact_record *record = facts_at(facts, 7);
    ck_assert_ptr_nonnull(record);
    ck_assert_int_eq(record->kind, FACTS_CASE);
    ck_assert(record->conflict);
    ck_assert_uint_eq(value(record, FACT_STATUS, 0), 12);
    ck_assert_uint_eq(value(record, FACT_TRANSNATIONAL, 0), 0);
    ck_assert_uint_ne(value(record, FACT_HOST, 0), value(record, FACT_HOST, 1));
    ck_assert_uint_eq(value(record, FACT_ACT_TYPE, 0), 12);
    ck_assert_uint_eq(value(record, FACT_ACT_DAY, 0), fact_day(2026, 3, 14));
    ck_assert_ptr_null(find(record, FACT_ACT_DAY, 1));
    ck_assert_uint_eq(value(record, FACT_ACT_BASIS, 0), 6);
    ck_assert_uint_eq(value(record, FACT_ACT_BASIS, 1), 7);
    /* What is of one act stands together, and apart from the other. */
    ck_assert_uint_eq(find(record, FACT_ACT_TYPE, 0)->element, find(record, FACT_ACT_VICTIM, 0)->element);
    ck_assert_uint_ne(find(record, FACT_ACT_TYPE, 0)->element, find(record, FACT_ACT_TYPE, 1)->element);
    ck_assert_uint_eq(find(record, FACT_STATUS, 0)->element, 0);
    /* The victim has a name before it is here. */
    struct ident victim = summary_ident(9);
    uint32_t name = value(record, FACT_ACT_VICTIM, 0);
    ck_assert_uint_eq(name, facts_name(facts, &victim));
    ck_assert(ident_equal(facts_id(facts, name), &victim));
    ck_assert_ptr_null(facts_named(facts, name));
    summary_begin(&made, "person", 9);
    summary_set(&made, "number_of_persons", 0, "3-5");
    ck_assert_int_eq(facts_put(facts, &made.summary), ERR_OK);
    summary_end(&made);
    ck_assert_ptr_eq(facts_named(facts, name), facts_at(facts, 9));
    ck_assert_uint_eq(value(facts_at(facts, 9), FACT_LEAST, 0), 3);
    facts_drop(facts, 9);
    ck_assert_ptr_null(facts_named(facts, name));
    facts_free(&facts);
}
END_TEST

START_TEST(what_somebody_agreed_to_is_whole)
{
    struct facts *facts = facts_new();

    ck_assert_int_eq(facts_begin(facts, codebook_reprisals()), ERR_OK);
    summary_begin(&made, "person", 9);
    summary_set(&made, "roles", 1, "lawyer");
    summary_set(&made, "consent.scope", 1, "media");
    summary_set(&made, "consent.scope", 1, "count_only");
    summary_set(&made, "consent.decision", 1, "granted");
    summary_set(&made, "consent.valid_until", 1, "2026-04");
    summary_set(&made, "consent.valid_until", 1, "2024-02");
    summary_set(&made, "consent.replaces", 1, "0200000000000000");
    summary_set(&made, "consent.decision", 2, "refused");
    summary_set(&made, "consent.valid_until", 2, "2026-04/..");
    summary_set(&made, "consent.replaces", 2, "0700000000000000"); /* none that is here */
    ck_assert_int_eq(facts_put(facts, &made.summary), ERR_OK);
    summary_end(&made);
    const struct fact_record *record = facts_at(facts, 9);
    ck_assert_uint_eq(value(record, FACT_CONSENT_SCOPE, 0), 10);
    ck_assert_uint_eq(value(record, FACT_CONSENT_SCOPE, 1), 9);
    /* The last day of the month, of each date; none of an end that is open. */
    ck_assert_uint_eq(value(record, FACT_CONSENT_UNTIL, 0), fact_day(2026, 4, 30));
    ck_assert_uint_eq(value(record, FACT_CONSENT_UNTIL, 1), fact_day(2024, 2, 29));
    ck_assert_ptr_null(find(record, FACT_CONSENT_UNTIL, 2));
    ck_assert_uint_eq(value(record, FACT_CONSENT_REPLACES, 0),
                      find(record, FACT_CONSENT_DECISION, 1)->element);
    ck_assert_ptr_null(find(record, FACT_CONSENT_REPLACES, 1));
    facts_free(&facts);
}
END_TEST

START_TEST(a_count_stub_has_its_three_facts)
{
    struct facts *facts = facts_new();

    ck_assert_int_eq(facts_begin(facts, codebook_reprisals()), ERR_OK);
    summary_begin(&made, "count_stub", 9);
    summary_set(&made, "reporting_window", 0, summary_id(3));
    summary_set(&made, "country", 0, "KEN");
    summary_set(&made, "act_group", 0, "liberty");
    summary_set(&made, "act_group", 0, "violence");
    ck_assert_int_eq(facts_put(facts, &made.summary), ERR_OK);
    summary_end(&made);
    const struct fact_record *record = facts_at(facts, 9);
    struct ident window = summary_ident(3);
    ck_assert_int_eq(record->kind, FACTS_STUB);
    ck_assert_uint_eq(record->fact_count, 4);
    ck_assert_uint_eq(value(record, FACT_OF_WINDOW, 0), facts_name(facts, &window));
    ck_assert_uint_eq(value(record, FACT_STUB_STATE, 0), fact_country(span_text("KEN")));
    ck_assert_uint_eq(value(record, FACT_STUB_GROUP, 0), 2);
    ck_assert_uint_eq(value(record, FACT_STUB_GROUP, 1), 1);
    facts_free(&facts);
}
END_TEST

START_TEST(of_a_register_in_conflict_the_one_that_is_shown_first_counts)
{
    struct facts *facts = facts_new();

    ck_assert_int_eq(facts_begin(facts, codebook_reprisals()), ERR_OK);
    summary_begin(&made, "case", 7);
    summary_set(&made, "status", 0, "counted_only");
    summary_set(&made, "status", 0, "draft");
    ck_assert_int_eq(facts_put(facts, &made.summary), ERR_OK);
    summary_end(&made);
    ck_assert_uint_eq(value(facts_at(facts, 7), FACT_STATUS, 0), 12);
    ck_assert_ptr_null(find(facts_at(facts, 7), FACT_STATUS, 1));
    facts_free(&facts);
}
END_TEST

/* Names grow over many records, and each keeps its own. */
START_TEST(names_stay_when_there_are_many)
{
    struct facts *facts = facts_new();
    struct ident id = { { 0 } };

    ck_assert_int_eq(facts_begin(facts, codebook_reprisals()), ERR_OK);
    for (uint32_t n = 1; n <= 5000; n++) {
        summary_begin(&made, "person", n);
        bytes_write_u32(made.summary.record_id.bytes, n * 2654435761u);
        bytes_write_u32(made.summary.record_id.bytes + 4, n);
        summary_set(&made, "gender", 0, n % 2 == 0 ? "woman" : "man");
        ck_assert_int_eq(facts_put(facts, &made.summary), ERR_OK);
        summary_end(&made);
    }
    ck_assert_uint_eq(facts_name_count(facts), 5000);
    for (uint32_t n = 1; n <= 5000; n++) {
        summary_begin(&made, "person", n);
        id = made.summary.record_id;
        summary_end(&made);
        bytes_write_u32(id.bytes, n * 2654435761u);
        bytes_write_u32(id.bytes + 4, n);
        const struct fact_record *record = facts_named(facts, facts_name(facts, &id));
        ck_assert_ptr_nonnull(record);
        EXPECT(record->record_no == n);
        EXPECT(value(record, FACT_GENDER, 0) == (n % 2 == 0 ? 1u : 2u));
    }
    facts_free(&facts);
}
END_TEST

/* --- following a replica --- */

static struct test_organisation org;
static struct test_node *node;
static struct ident cases;

static void
open_node(void)
{
    log_to(silent, NULL);
    test_organisation_init(&org, 61);
    test_organisation_office(&org, "KEN", false);
    node = test_organisation_enrol(&org, "KEN", LEVEL_ADMIN, NULL, 0);
    test_node_join(&org, node);
    cases = test_compartment(node, "KEN", OWN_CASES);
}

static uint32_t
count_here(const struct facts *facts, enum fact_kind kind)
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < facts_end(facts); n++) {
        count += facts_at(facts, n) != NULL && facts_at(facts, n)->kind == kind;
    }
    return count;
}

static void
read_all(struct facts *facts)
{
    enum err err = ERR_OK;

    while (err == ERR_OK) {
        err = facts_read(facts, node->replica, 0);
    }
    ck_assert_int_eq(err, ERR_ABSENT);
}

START_TEST(facts_follow_the_journal)
{
    struct facts *facts = facts_new();

    open_node();
    /* Before somebody asks nothing is due. */
    ck_assert_uint_eq(facts_due_ms(facts, node->replica, 0), UINT64_MAX);
    for (int n = 0; n < 200; n++) {
        (void)saves_person(node, &cases, "Ana");
    }
    read_all(facts);
    ck_assert_uint_eq(count_here(facts, FACTS_PERSON), 200);
    ck_assert_uint_eq(facts_due_ms(facts, node->replica, 0), UINT64_MAX);
    uint64_t version = facts_version(facts);
    ck_assert_int_eq(facts_read(facts, node->replica, 0), ERR_ABSENT);
    ck_assert_uint_eq(facts_version(facts), version);
    struct ident person = saves_person(node, &cases, "Ben");
    ck_assert_uint_lt(facts_due_ms(facts, node->replica, 0), 1000);
    read_all(facts);
    ck_assert_uint_eq(count_here(facts, FACTS_PERSON), 201);
    ck_assert_uint_ne(facts_version(facts), version);
    saves_begin(node);
    ck_assert_int_eq(saves_change(node, &cases, &person, saves_set("person", "gender", "woman")), ERR_OK);
    saves_commit(node);
    read_all(facts);
    ck_assert_uint_eq(value(facts_named(facts, facts_name(facts, &person)), FACT_GENDER, 0), 1);
    saves_free();
    test_organisation_free(&org);
    facts_free(&facts);
    log_to(NULL, NULL);
}
END_TEST

SUITE_MAIN("facts", days_count_on_over_months_and_leap_years, countries_are_numbers_and_back,
           what_a_summary_says_is_in_its_facts, what_somebody_agreed_to_is_whole,
           a_count_stub_has_its_three_facts, of_a_register_in_conflict_the_one_that_is_shown_first_counts,
           names_stay_when_there_are_many, facts_follow_the_journal)
