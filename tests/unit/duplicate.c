/* Records that may be one: names in any script, partial dates, points with their reasons, and keys by which nothing is missed. */
#include "node/casework/duplicate.h"

#include "store/base/cbor.h"
#include "tests/support/check.h"
#include "tests/support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TARGETS_MAX = 64 };

/* A record while it is put together, as a view shows it. */
struct draft {
    struct record_target targets[2][TARGETS_MAX]; /* of the case half, and the protected one */
    struct span shown[2][TARGETS_MAX];
    struct record_view halves[2];
    struct replica_view view;
    uint32_t kind;
    struct ident record_id;
};

static struct test_world world;
static struct duplicate *duplicate;
static struct arena arena;
static struct draft draft;

static void
setup(void)
{
    test_world_init(&world, 3);
    duplicate = duplicate_new(&world.world);
    ck_assert_ptr_nonnull(duplicate);
    ck_assert_ptr_nonnull(duplicate_maker_of(duplicate));
}

static void
teardown(void)
{
    duplicate_free(&duplicate);
    arena_free(&arena);
}

/* --- records --- */

/* The ids are in the order of the numbers. */
static struct ident
id_of(uint32_t record_no)
{
    struct ident ident = { { 7 } };

    bytes_write_u32(ident.bytes + 8, record_no);
    return ident;
}

static void
begin(const char *kind)
{
    memset(&draft, 0, sizeof draft);
    draft.kind = codebook_kind_by_name(codebook_reprisals(), kind)->number;
}

static void
put_value(const char *name, uint8_t element, struct span cbor)
{
    const struct codebook_field *field = codebook_field_by_name(codebook_reprisals(), draft.kind, name);

    ck_assert_msg(field != NULL, "%s", name);
    int half = field->sensitivity == LEVEL_L3;
    size_t at = draft.halves[half].target_count;
    ck_assert_uint_lt(at, TARGETS_MAX);
    draft.shown[half][at] = arena_copy(&arena, cbor);
    draft.targets[half][at] = (struct record_target){
        .target = { .collection = field->collection, .field = field->number },
        .field = field,
        .shown = &draft.shown[half][at],
        .shown_count = 1,
    };
    draft.targets[half][at].target.element[0] = element;
    draft.halves[half].target_count++;
}

/* A field, of an element where it is in a collection; fields of one element follow one another. */
static void
put(const char *name, uint8_t element, const char *text)
{
    const struct codebook_field *field = codebook_field_by_name(codebook_reprisals(), draft.kind, name);
    struct buf cbor = { 0 };

    ck_assert_msg(field != NULL, "%s", name);
    ck_assert_int_eq(codebook_parse(codebook_reprisals(), field, text, &cbor, NULL), ERR_OK);
    put_value(name, element, buf_span(&cbor));
    buf_free(&cbor);
}

static void
put_record(const char *name, uint8_t element, uint32_t record_no)
{
    struct ident ident = id_of(record_no);
    struct buf cbor = { 0 };

    cbor_put_bytes(&cbor, ident_span(&ident));
    put_value(name, element, buf_span(&cbor));
    buf_free(&cbor);
}

static struct duplicate_facts *
end(void)
{
    struct duplicate_facts *facts = NULL;

    for (int half = 0; half < 2; half++) {
        draft.halves[half].targets = draft.targets[half];
        draft.halves[half].kind = draft.kind;
    }
    draft.view.open = &draft.halves[0];
    draft.view.protected_half = &draft.halves[1];
    ck_assert_int_eq(
        duplicate_facts_read(duplicate_maker_of(duplicate), codebook_reprisals(), &draft.view, &facts),
        ERR_OK);
    return facts;
}

static void
end_as(uint32_t record_no)
{
    struct ident ident = id_of(record_no);

    ck_assert_int_eq(duplicate_put(duplicate, record_no, &ident, end()), ERR_OK);
}

static void
compare_all(void)
{
    bool more = true;

    while (more) {
        ck_assert_int_eq(duplicate_compare(duplicate, &more), ERR_OK);
    }
}

static struct duplicate_facts *
person_called(const char *name)
{
    begin("person");
    put("name.text", 1, name);
    return end();
}

static bool
has_reason(const struct duplicate_score *score, enum duplicate_rule rule)
{
    for (size_t n = 0; n < score->reason_count; n++) {
        if (score->reasons[n] == rule) {
            return true;
        }
    }
    return false;
}

static void
expect_sum(const struct duplicate_score *score)
{
    int sum = 0;

    for (size_t n = 0; n < score->reason_count; n++) {
        sum += duplicate_rules[score->reasons[n]].points;
    }
    ck_assert_int_eq(score->points, sum < 0 ? 0 : sum);
    ck_assert_int_le(score->points, 100);
}

/* --- names --- */

/* DUPLICATE_RULE_COUNT: nothing. */
static const struct {
    const char *a;
    const char *b;
    enum duplicate_rule rule;
    bool letters;
} names[] = {
    { "Wanjiru Kamau", "Wanjiru Kamau", DUPLICATE_NAME_WHOLE, true },
    { "Wanjiru Kamau", "KAMAU, Wanjiru", DUPLICATE_NAME_WHOLE, true },
    { "Wanjiru Kamau", "Ванджиру Камау", DUPLICATE_NAME_WHOLE, false },
    { "Mohamed Hassan", "محمد حسن", DUPLICATE_NAME_WHOLE, false },
    { "Muhammad al-Hassan", "محمد الحسن", DUPLICATE_NAME_WHOLE, false },
    { "Мухаммед Хасан", "محمد حسن", DUPLICATE_NAME_WHOLE, false },
    { "Мухаммед Хасан", "Mohammed Hasan", DUPLICATE_NAME_WHOLE, false },
    { "Mohamed bin Hassan", "Mohamed Hassan", DUPLICATE_NAME_WHOLE, true },
    { "Aminah Okelo", "Amina Okello", DUPLICATE_NAME_WHOLE, false },
    { "Sergey Petrovich Ivanov", "Сергей Иванов", DUPLICATE_NAME_WHOLE, false },
    { "Sergei Ivanov", "Сергей Петров", DUPLICATE_NAME_PART, false },
    { "王小明", "Wang Xiaoming", DUPLICATE_NAME_WHOLE, true },
    { "王小明", "Xiaoming Wang", DUPLICATE_NAME_WHOLE, true },
    { "王小明", "Wang Xiao Ming", DUPLICATE_NAME_WHOLE, true },
    { "王小明", "王小明", DUPLICATE_NAME_WHOLE, true },
    { "欧阳修", "Ouyang Xiu", DUPLICATE_NAME_WHOLE, true },
    { "李伟", "Li Wei", DUPLICATE_NAME_WHOLE, true },
    { "李伟", "Wei Li", DUPLICATE_NAME_WHOLE, true },
    /* A short part that only sounds alike says something beside another. */
    { "Amina Hassan", "أمينة حسن", DUPLICATE_NAME_WHOLE, false },
    { "Omar Hassan", "عمر حسن", DUPLICATE_NAME_WHOLE, false },
    { "Tsvetkov Ivan", "Иван Цветков", DUPLICATE_NAME_WHOLE, true },
    { "Ali Hassan", "علي حسن", DUPLICATE_NAME_WHOLE, false },
    { "Ali Hassan", "علي محمود", DUPLICATE_RULE_COUNT, false },
    { "Amina Wanjiru Kamau", "Amina Odhiambo Kamau", DUPLICATE_NAME_PARTS, false },
    { "Amina Kamau", "Peter Kamau", DUPLICATE_NAME_PART, false },
    { "Kingfisher", "Kingfisher", DUPLICATE_NAME_ONLY, false },
    { "Kingfisher", "Kingfisher Kamau", DUPLICATE_NAME_PART, false },
    { "Maria Lopez", "John Smith", DUPLICATE_RULE_COUNT, false },
    { "Maria Lopez", "王小明", DUPLICATE_RULE_COUNT, false },
    { "de la", "van der", DUPLICATE_RULE_COUNT, false },
    { "...", "...", DUPLICATE_RULE_COUNT, false },
};

START_TEST(names_are_compared_as_they_sound_in_any_script)
{
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        struct duplicate_facts *a = person_called(names[n].a);
        struct duplicate_facts *b = person_called(names[n].b);
        const struct duplicate_side one = { .facts = a };
        const struct duplicate_side other = { .facts = b };
        struct duplicate_score score;

        duplicate_score_persons(&one, &other, &score);
        expect_sum(&score);
        enum duplicate_rule rule = score.reason_count == 0 ? DUPLICATE_RULE_COUNT : score.reasons[0];
        ck_assert_msg(rule == names[n].rule, "%s and %s: %s", names[n].a, names[n].b,
                      rule == DUPLICATE_RULE_COUNT ? "nothing" : duplicate_rules[rule].name);
        ck_assert_msg(has_reason(&score, DUPLICATE_NAME_LETTERS) == names[n].letters, "%s and %s", names[n].a,
                      names[n].b);
        /* It does not matter which of the two comes first. */
        struct duplicate_score turned;
        duplicate_score_persons(&other, &one, &turned);
        ck_assert_int_eq(turned.points, score.points);
        duplicate_facts_free(&a);
        duplicate_facts_free(&b);
    }
}
END_TEST

/* Of several names the two that are most alike count. */
START_TEST(any_of_several_names_may_be_the_one)
{
    struct duplicate_score score;

    begin("person");
    put("name.text", 1, "Kingfisher");
    put("name.text", 2, "Wanjiru Kamau");
    struct duplicate_facts *a = end();
    begin("person");
    put("name.text", 1, "Amina Kamau");
    put("name.text", 2, "Wanjiru Njeri Kamau");
    struct duplicate_facts *b = end();
    duplicate_score_persons(&(struct duplicate_side){ .facts = a }, &(struct duplicate_side){ .facts = b },
                            &score);
    ck_assert_uint_eq(score.reason_count, 2);
    ck_assert_int_eq(score.reasons[0], DUPLICATE_NAME_WHOLE);
    ck_assert_uint_eq(score.sound_count, 2);
    duplicate_facts_free(&a);
    duplicate_facts_free(&b);
}
END_TEST

START_TEST(facts_hold_no_name)
{
    static const char *const secrets[] = { "Wanjiru", "wanjiru", "vnjr", "njr", "kamau", "Kamau" };
    struct duplicate_facts *facts = person_called("Wanjiru Kamau");
    size_t bytes = duplicate_facts_bytes(facts);

    ck_assert_uint_eq(facts->part_count, 2);
    for (size_t n = 0; n < sizeof secrets / sizeof secrets[0]; n++) {
        ck_assert_ptr_null(memmem(facts, bytes, secrets[n], strlen(secrets[n])));
    }
    duplicate_facts_free(&facts);
    ck_assert_ptr_null(facts);
}
END_TEST

/* --- persons --- */

/* One field of each, and what it says. */
static const struct {
    const char *field;
    const char *a;
    const char *b;
    enum duplicate_rule rule;
} particulars[] = {
    { "gender", "woman", "woman", DUPLICATE_GENDER_SAME },
    { "gender", "woman", "man", DUPLICATE_GENDER_OTHER },
    { "gender", "woman", "unknown", DUPLICATE_RULE_COUNT },
    { "gender", "other", "other", DUPLICATE_RULE_COUNT },
    { "counting_unit", "individual", "individual", DUPLICATE_RULE_COUNT },
    { "counting_unit", "individual", "group_or_organisation", DUPLICATE_UNIT_OTHER },
    { "counting_unit", "family", "group_or_organisation", DUPLICATE_RULE_COUNT },
    { "age_group", "adult", "adult", DUPLICATE_AGE_SAME },
    { "age_group", "adult", "child_under_18", DUPLICATE_AGE_OTHER },
    { "age_group", "unknown", "child_under_18", DUPLICATE_RULE_COUNT },
    { "birth_date", "1980", "1980-05-14", DUPLICATE_BIRTH_SAME },
    { "birth_date", "1978/1982", "1980-05", DUPLICATE_BIRTH_SAME },
    { "birth_date", "1980~", "1981", DUPLICATE_BIRTH_NEAR },
    { "birth_date", "1980", "1983", DUPLICATE_BIRTH_OTHER },
    /* So long a time says nothing, nor does one without an end. */
    { "birth_date", "1960/1990", "1980", DUPLICATE_RULE_COUNT },
    { "birth_date", "1960/..", "1980", DUPLICATE_RULE_COUNT },
    { "nationality", "KEN", "KEN", DUPLICATE_NATION_SAME },
    { "nationality", "KEN", "UGA", DUPLICATE_RULE_COUNT },
};

START_TEST(each_particular_is_a_reason_for_or_against)
{
    for (size_t n = 0; n < sizeof particulars / sizeof particulars[0]; n++) {
        struct duplicate_score score;

        begin("person");
        put(particulars[n].field, 1, particulars[n].a);
        struct duplicate_facts *a = end();
        begin("person");
        put(particulars[n].field, 1, particulars[n].b);
        struct duplicate_facts *b = end();
        duplicate_score_persons(&(struct duplicate_side){ .facts = a },
                                &(struct duplicate_side){ .facts = b }, &score);
        expect_sum(&score);
        ck_assert_msg(score.reason_count == (particulars[n].rule != DUPLICATE_RULE_COUNT), "%s: %s and %s",
                      particulars[n].field, particulars[n].a, particulars[n].b);
        ck_assert_msg(score.reason_count == 0 || score.reasons[0] == particulars[n].rule, "%s: %s and %s",
                      particulars[n].field, particulars[n].a, particulars[n].b);
        duplicate_facts_free(&a);
        duplicate_facts_free(&b);
    }
}
END_TEST

/* Nobody is accused by what is not settled. */
START_TEST(what_is_in_conflict_says_nothing)
{
    struct duplicate_score score;
    struct span both[2];

    begin("person");
    put("gender", 1, "woman");
    struct duplicate_facts *a = end();
    begin("person");
    put("gender", 1, "man");
    put("name.text", 1, "x");
    both[0] = draft.shown[0][0];
    both[1] = draft.shown[0][0];
    draft.targets[0][0].shown = both;
    draft.targets[0][0].shown_count = 2;
    struct duplicate_facts *b = end();
    duplicate_score_persons(&(struct duplicate_side){ .facts = a }, &(struct duplicate_side){ .facts = b },
                            &score);
    ck_assert_uint_eq(score.reason_count, 0);
    duplicate_facts_free(&a);
    duplicate_facts_free(&b);
}
END_TEST

static struct duplicate_facts *
case_with(const char *perpetrator, const char *actor)
{
    begin("case");
    put("perpetrator.actor_type", 2, perpetrator);
    put("cooperation.un_actor", 3, actor);
    return end();
}

/* Nor do two cases have in common what neither of them knows. */
START_TEST(what_is_not_known_is_nothing_in_common)
{
    static const struct {
        const char *perpetrator;
        const char *actor;
        int points;
    } rows[] = { { "police", "upr", 10 }, { "unknown", "other", 0 }, { "other", "upr", 5 } };

    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        struct duplicate_facts *a = case_with(rows[n].perpetrator, rows[n].actor);
        struct duplicate_facts *b = case_with(rows[n].perpetrator, rows[n].actor);
        struct duplicate_score score;

        duplicate_score_cases(a, b, PERSONS_UNKNOWN, &score);
        expect_sum(&score);
        ck_assert_int_eq(score.points, rows[n].points);
        duplicate_facts_free(&a);
        duplicate_facts_free(&b);
    }
    /* Of what is in conflict nobody knows which is right. */
    struct duplicate_score score;
    struct span both[2];
    struct duplicate_facts *a = case_with("police", "other");
    begin("case");
    put("perpetrator.actor_type", 2, "police");
    put("perpetrator.actor_type", 2, "armed_forces");
    both[0] = draft.shown[0][0];
    both[1] = draft.shown[0][1];
    draft.targets[0][0].shown = both;
    draft.targets[0][0].shown_count = 2;
    draft.halves[0].target_count = 1;
    struct duplicate_facts *b = end();
    duplicate_score_cases(a, b, PERSONS_UNKNOWN, &score);
    ck_assert_uint_eq(score.reason_count, 0);
    duplicate_facts_free(&a);
    duplicate_facts_free(&b);
}
END_TEST

static void
put_act(uint8_t element, const char *type, const char *from, const char *to)
{
    if (type != NULL) {
        put("act.type_of_act", element, type);
    }
    if (from != NULL) {
        put("act.date_from", element, from);
    }
    if (to != NULL) {
        put("act.date_to", element, to);
    }
}

static struct duplicate_facts *
case_of(const char *country, const char *type, const char *from, const char *to)
{
    begin("case");
    put("country_of_act", 9, country);
    put_act(1, type, from, to);
    return end();
}

static const struct {
    const char *a_from;
    const char *a_to;
    const char *b_from;
    const char *b_to;
    enum duplicate_rule rule;
    bool day;
    bool apart;
} times[] = {
    { "2026-03-14", NULL, "2026-03-14", NULL, DUPLICATE_ACT_SAME, true, false },
    { "2026-03-14", NULL, "2026-03-13/2026-03-15", NULL, DUPLICATE_ACT_SAME, true, false },
    { "2026-03-14", NULL, "2026-03-15", NULL, DUPLICATE_ACT_SAME, false, false },
    { "2026-03", NULL, "2026-03-14", NULL, DUPLICATE_ACT_SAME, false, false },
    { "2026-03~", NULL, "2026-03-31?", NULL, DUPLICATE_ACT_SAME, false, false },
    { "2026", NULL, "2026-05", NULL, DUPLICATE_ACT_SAME, false, false },
    { "2025-12/2026-02", NULL, "2026-01-05", NULL, DUPLICATE_ACT_SAME, false, false },
    { "2026-03", "2026-06", "2026-05", NULL, DUPLICATE_ACT_SAME, false, false },
    { "2026-03/..", NULL, "2027-05", NULL, DUPLICATE_ACT_SAME, false, false },
    { NULL, "2026-03-14", "2026-03-14", NULL, DUPLICATE_ACT_SAME, true, false },
    { "2026-03", NULL, "2026-04", NULL, DUPLICATE_COUNTRY_SAME, false, true },
    { "2026-03-31", NULL, "2026-04-01", NULL, DUPLICATE_COUNTRY_SAME, false, true },
    { "2026-03/..", NULL, "2026-02", NULL, DUPLICATE_COUNTRY_SAME, false, true },
    { "2026-03", NULL, NULL, NULL, DUPLICATE_COUNTRY_SAME, false, false },
};

START_TEST(times_that_are_not_wholly_known_may_be_one)
{
    for (size_t n = 0; n < sizeof times / sizeof times[0]; n++) {
        struct duplicate_facts *a = case_of("KEN", "death_threat", times[n].a_from, times[n].a_to);
        struct duplicate_facts *b = case_of("KEN", "death_threat", times[n].b_from, times[n].b_to);
        struct duplicate_score score;

        duplicate_score_cases(a, b, PERSONS_UNKNOWN, &score);
        expect_sum(&score);
        ck_assert_msg(has_reason(&score, times[n].rule) &&
                          has_reason(&score, DUPLICATE_DAY_SAME) == times[n].day &&
                          has_reason(&score, DUPLICATE_TIME_APART) == times[n].apart,
                      "row %zu", n);
        duplicate_facts_free(&a);
        duplicate_facts_free(&b);
    }
}
END_TEST

START_TEST(all_reasons_together_are_a_hundred_points)
{
    static const char *const kinds[] = { "person", "case" };
    struct duplicate_facts *facts[2][2];
    struct duplicate_score score;

    for (int n = 0; n < 2; n++) {
        begin(kinds[0]);
        put("name.text", 1, "Wanjiru Kamau");
        put("gender", 1, "woman");
        put("birth_date", 1, "1980");
        put("age_group", 1, "adult");
        put("nationality", 1, "KEN");
        facts[0][n] = end();
        begin(kinds[1]);
        put("country_of_act", 9, "KEN");
        put_act(1, "death_threat", "2026-03-14", NULL);
        put("act.admin_area", 1, "KE-30");
        put("perpetrator.actor_type", 2, "police");
        put("cooperation.un_actor", 3, "upr");
        facts[1][n] = end();
    }
    const struct duplicate_facts *cases[2] = { facts[1][0], facts[1][1] };
    duplicate_score_persons(&(struct duplicate_side){ facts[0][0], &cases[0], 1 },
                            &(struct duplicate_side){ facts[0][1], &cases[1], 1 }, &score);
    expect_sum(&score);
    ck_assert_int_eq(score.points, 100);
    duplicate_score_cases(facts[1][0], facts[1][1], PERSONS_ONE, &score);
    expect_sum(&score);
    ck_assert_int_eq(score.points, 100);
    /* Whom one case names beside another are two. */
    duplicate_score_persons(&(struct duplicate_side){ facts[0][0], &cases[0], 1 },
                            &(struct duplicate_side){ facts[0][1], &cases[0], 1 }, &score);
    expect_sum(&score);
    ck_assert_int_eq(score.points, 60);
    for (int n = 0; n < 4; n++) {
        duplicate_facts_free(&facts[n / 2][n % 2]);
    }
}
END_TEST

/* --- the index against all pairs --- */

enum { PERSONS = 90, CASES = 60, ROUNDS = 3 };

/* Chance that is the same each time. */
static uint32_t state;

static uint32_t
below(uint32_t count)
{
    state = state * 1664525U + 1013904223U;
    return (state >> 8) % count;
}

#define ANY(list) (list[below(sizeof(list) / sizeof *(list))])

/* What is in the index, kept apart. */
static struct duplicate_facts *kept[PERSONS + CASES + 1];

static void
make_person(void)
{
    static const char *const first[] = { "Amina", "أمينة", "Амина", "Mohamed", "محمد", "Li", "Wanjiru" };
    static const char *const last[] = { "Kamau", "Камау", "Hassan", "حسن", "Хасан", "Wei", "al-Hassan" };
    static const char *const births[] = { "1980", "1981-05", "1979/1983", "1990~" };
    static const char *const ages[] = { "adult", "youth_18_24", "unknown" };
    static const char *const genders[] = { "woman", "man", "unknown" };
    static const char *const countries[] = { "KEN", "UGA" };
    char name[120];

    begin("person");
    switch (below(4)) {
    case 0:
        put("name.text", 1, ANY(first));
        break;
    case 1:
        (void)snprintf(name, sizeof name, "%s %s %s", ANY(first), ANY(last), ANY(last));
        put("name.text", 1, name);
        break;
    default:
        (void)snprintf(name, sizeof name, "%s %s", ANY(first), ANY(last));
        put("name.text", 1, name);
        break;
    }
    if (below(3) == 0) {
        put("name.text", 2, below(2) == 0 ? "王小明" : "Wang Xiaoming");
    }
    if (below(2) == 0) {
        put("birth_date", 0, ANY(births));
    }
    put("gender", 0, ANY(genders));
    put("age_group", 0, ANY(ages));
    put("nationality", 1, ANY(countries));
}

static void
make_case(void)
{
    static const char *const countries[] = { "KEN", "UGA" };
    static const char *const types[] = { "death_threat", "detention", "smear_or_stigmatisation" };
    static const char *const dates[] = { "2026-03-14", "2026-03-15", "2026-03",    "2026-04",
                                         "2026",       "2026-03/..", "2026-03-14", "2026-04-01/2026-04-02" };
    static const char *const areas[] = { "KE-30", "KE-01" };

    begin("case");
    put("country_of_act", 9, ANY(countries));
    for (uint8_t act = 1; act <= 1 + below(2); act++) {
        put_act(act, ANY(types), below(5) == 0 ? NULL : ANY(dates), NULL);
        put("act.admin_area", act, ANY(areas));
    }
    put("perpetrator.actor_type", 20, below(2) == 0 ? "police" : "armed_forces");
    put("cooperation.un_actor", 30, below(2) == 0 ? "upr" : "cedaw");
    for (uint8_t victim = 1; victim <= below(4); victim++) {
        put_record("victim.person", (uint8_t)(10 + victim), 1 + below(PERSONS));
    }
}

/* Now and then it says something of another of its kind. */
static void
put_said(uint32_t first, uint32_t count)
{
    if (below(6) == 0) {
        put_record(below(2) == 0 ? "same_as.record" : "not_same_as.record", 60, first + below(count));
    }
}

static void
make_record(uint32_t record_no)
{
    bool person = record_no <= PERSONS;
    struct ident ident = id_of(record_no);

    if (person) {
        make_person();
        put_said(1, PERSONS);
    } else {
        make_case();
        put_said(PERSONS + 1, CASES);
    }
    duplicate_facts_free(&kept[record_no]);
    kept[record_no] = end();
    ck_assert_int_eq(duplicate_put(duplicate, record_no, &ident, end()), ERR_OK);
}

static void
drop_record(uint32_t record_no)
{
    struct ident ident = id_of(record_no);

    duplicate_facts_free(&kept[record_no]);
    ck_assert_int_eq(duplicate_put(duplicate, record_no, &ident, NULL), ERR_OK);
}

static bool
names_person(const struct duplicate_facts *of_case, uint32_t person)
{
    struct ident ident = id_of(person);

    for (size_t n = 0; n < of_case->person_count; n++) {
        if (ident_equal(&of_case->persons[n], &ident)) {
            return true;
        }
    }
    return false;
}

static bool
says(uint32_t a, uint32_t b, bool same)
{
    struct ident ident = id_of(b);

    for (size_t n = 0; n < kept[a]->said_count; n++) {
        if (kept[a]->said[n].same == same && ident_equal(&kept[a]->said[n].record_id, &ident)) {
            return true;
        }
    }
    return false;
}

static bool
say(uint32_t a, uint32_t b, bool same)
{
    return says(a, b, same) || says(b, a, same);
}

static int
points_of_persons(uint32_t a, uint32_t b)
{
    const struct duplicate_facts *cases[2][CASES];
    struct duplicate_side sides[2] = { { kept[a], cases[0], 0 }, { kept[b], cases[1], 0 } };
    const uint32_t numbers[2] = { a, b };
    struct duplicate_score score;

    for (int side = 0; side < 2; side++) {
        for (uint32_t n = PERSONS + 1; n <= PERSONS + CASES; n++) {
            if (kept[n] != NULL && names_person(kept[n], numbers[side])) {
                cases[side][sides[side].case_count] = kept[n];
                sides[side].case_count++;
            }
        }
    }
    duplicate_score_persons(&sides[0], &sides[1], &score);
    expect_sum(&score);
    return score.points;
}

static int
points_of_cases(uint32_t a, uint32_t b, const int points[PERSONS + 1][PERSONS + 1])
{
    enum duplicate_persons persons = PERSONS_UNKNOWN;
    struct duplicate_score score;

    for (size_t i = 0; i < kept[a]->person_count; i++) {
        for (size_t j = 0; j < kept[b]->person_count; j++) {
            uint32_t one = bytes_read_u32(kept[a]->persons[i].bytes + 8);
            uint32_t other = bytes_read_u32(kept[b]->persons[j].bytes + 8);
            bool both = kept[one] != NULL && kept[other] != NULL && one != other;
            bool not_same = both && say(one, other, false);
            enum duplicate_persons here = PERSONS_OTHER;

            if (one == other || (both && !not_same && say(one, other, true))) {
                here = PERSONS_ONE;
            } else if (both && !not_same &&
                       points[one < other ? one : other][one < other ? other : one] >= DUPLICATE_THRESHOLD) {
                here = PERSONS_ALIKE;
            }
            persons = here > persons ? here : persons;
        }
    }
    duplicate_score_cases(kept[a], kept[b], persons, &score);
    expect_sum(&score);
    return score.points;
}

/* Each pair that all pairs give must be listed with its points, and no other. */
static size_t
expect_all_pairs(void)
{
    enum { ROOM = 20000 };
    static int points[PERSONS + 1][PERSONS + 1];
    static struct duplicate_pair pairs[ROOM];
    const struct duplicate_query query = { .all = true };
    uint64_t left_off = 0;
    size_t count = 0;
    size_t wanted = 0;

    ck_assert_int_eq(duplicate_list(duplicate, &query, pairs, ROOM, &count, &left_off), ERR_OK);
    ck_assert_uint_eq(left_off, 0);
    for (uint32_t a = 1; a <= PERSONS + CASES; a++) {
        for (uint32_t b = a + 1; b <= PERSONS + CASES; b++) {
            if (kept[a] == NULL || kept[b] == NULL || kept[a]->person != kept[b]->person) {
                continue;
            }
            int sum = kept[a]->person ? points_of_persons(a, b)
                                      : points_of_cases(a, b, (const int(*)[PERSONS + 1]) points);
            if (kept[a]->person) {
                points[a][b] = sum;
            }
            bool found = false;
            for (size_t n = 0; n < count && !found; n++) {
                found = pairs[n].a == a && pairs[n].b == b;
                EXPECT(!found || pairs[n].points == sum);
            }
            bool listed = sum >= DUPLICATE_THRESHOLD || say(a, b, true) || say(a, b, false);
            ck_assert_msg(found == listed, "%u and %u: %d points, %s", a, b, sum,
                          found ? "listed" : "not listed");
            wanted += listed;
        }
    }
    ck_assert_uint_eq(count, wanted);
    for (size_t n = 1; n < count; n++) {
        EXPECT(pairs[n - 1].points >= pairs[n].points);
    }
    return count;
}

/* After records came, changed and went, too. */
START_TEST(keys_miss_nothing_that_all_pairs_would_list)
{
    state = (uint32_t)_i + 1;
    for (uint32_t record_no = 1; record_no <= PERSONS + CASES; record_no++) {
        make_record(record_no);
    }
    compare_all();
    ck_assert_uint_gt(expect_all_pairs(), 100);
    for (int round = 0; round < ROUNDS; round++) {
        for (int n = 0; n < 15; n++) {
            make_record(1 + below(PERSONS + CASES));
        }
        for (int n = 0; n < 8; n++) {
            drop_record(1 + below(PERSONS + CASES));
        }
        compare_all();
        (void)expect_all_pairs();
    }
    for (uint32_t record_no = 1; record_no <= PERSONS + CASES; record_no++) {
        drop_record(record_no);
    }
    compare_all();
    ck_assert_uint_eq(expect_all_pairs(), 0);
    ck_assert_uint_eq(duplicate_count(duplicate), 0);
}
END_TEST

/* --- what people say --- */

static void
person(uint32_t record_no, const char *field, uint32_t other)
{
    begin("person");
    put("name.text", 1, "Wanjiru Kamau");
    put("gender", 0, "woman");
    if (field != NULL) {
        put_record(field, 60, other);
    }
    end_as(record_no);
}

/* The state of two, or -1 if they are not listed. */
static int
state_in(uint32_t a, uint32_t b, bool all, uint32_t of)
{
    struct duplicate_pair pairs[20];
    const struct duplicate_query query = { .all = all, .record_no = of };
    uint64_t left_off = 0;
    size_t count = 0;

    compare_all();
    ck_assert_int_eq(duplicate_list(duplicate, &query, pairs, 20, &count, &left_off), ERR_OK);
    for (size_t n = 0; n < count; n++) {
        if (pairs[n].a == a && pairs[n].b == b) {
            return (int)pairs[n].state;
        }
    }
    return -1;
}

START_TEST(who_is_linked_in_a_chain_is_one_and_who_is_disputed_is_listed)
{
    person(1, NULL, 0);
    person(2, NULL, 0);
    person(3, NULL, 0);
    ck_assert_int_eq(state_in(1, 2, false, 0), DUPLICATE_CANDIDATE);
    ck_assert_int_eq(state_in(2, 3, false, 2), DUPLICATE_CANDIDATE);
    /* One of the two says so. */
    person(2, "same_as.record", 1);
    ck_assert_int_eq(state_in(1, 2, false, 0), -1);
    ck_assert_int_eq(state_in(1, 2, true, 0), DUPLICATE_LINKED);
    ck_assert_int_eq(state_in(1, 2, true, 1), DUPLICATE_LINKED);
    ck_assert_int_eq(state_in(1, 3, false, 0), DUPLICATE_CANDIDATE);
    person(3, "same_as.record", 2);
    ck_assert_int_eq(state_in(1, 3, false, 0), -1);
    ck_assert_int_eq(state_in(1, 3, true, 0), DUPLICATE_LINKED);
    /* The other says that they are two. */
    person(1, "not_same_as.record", 2);
    ck_assert_int_eq(state_in(1, 2, false, 0), DUPLICATE_DISPUTED);
    ck_assert_int_eq(state_in(1, 3, false, 0), DUPLICATE_CANDIDATE);
    ck_assert_int_eq(state_in(2, 3, true, 0), DUPLICATE_LINKED);
    person(2, NULL, 0);
    ck_assert_int_eq(state_in(1, 2, false, 0), -1);
    ck_assert_int_eq(state_in(1, 2, true, 0), DUPLICATE_REJECTED);
    person(1, NULL, 0);
    ck_assert_int_eq(state_in(1, 2, false, 0), DUPLICATE_CANDIDATE);
    /* Whoever is gone is in no pair, whatever the other says of it. */
    struct ident ident = id_of(2);
    ck_assert_int_eq(duplicate_put(duplicate, 2, &ident, NULL), ERR_OK);
    ck_assert_int_eq(state_in(2, 3, true, 0), -1);
    ck_assert_int_eq(state_in(2, 3, true, 3), -1);
}
END_TEST

/* What somebody said is listed however few points it has. */
START_TEST(a_link_needs_no_points)
{
    person(1, NULL, 0);
    begin("person");
    put("name.text", 1, "Ivan Petrov");
    put("gender", 0, "man");
    put_record("same_as.record", 60, 1);
    end_as(2);
    ck_assert_int_eq(state_in(1, 2, true, 0), DUPLICATE_LINKED);
    ck_assert_int_eq(state_in(1, 2, false, 0), -1);
}
END_TEST

/* --- pages, and too many pairs --- */

START_TEST(pages_follow_one_another_and_hold_each_pair_once)
{
    enum { HERE = 12, PAIRS = HERE * (HERE - 1) / 2, PAGE = 7 };
    struct duplicate_pair pairs[PAGE];
    struct duplicate_query query = { .kind = DUPLICATE_PERSONS };
    bool seen[HERE + 1][HERE + 1] = { { false } };
    uint64_t left_off = 1;
    size_t count = 0;
    size_t all = 0;
    int last = 100;

    for (uint32_t n = 1; n <= HERE; n++) {
        begin("person");
        put("name.text", 1, n % 2 == 0 ? "Wanjiru Kamau" : "Mohamed Wanjiru Kamau");
        put("gender", 0, "woman");
        put("birth_date", 0, n % 3 == 0 ? "1980" : "1981");
        end_as(n);
    }
    compare_all();
    while (left_off > 0) {
        ck_assert_int_eq(duplicate_list(duplicate, &query, pairs, PAGE, &count, &left_off), ERR_OK);
        for (size_t n = 0; n < count; n++) {
            ck_assert(!seen[pairs[n].a][pairs[n].b]);
            seen[pairs[n].a][pairs[n].b] = true;
            ck_assert_int_le(pairs[n].points, last);
            last = pairs[n].points;
        }
        all += count;
        ck_assert_uint_eq(all + left_off, PAIRS);
        query.begun = true;
        query.after = pairs[count - 1];
    }
    query = (struct duplicate_query){ .kind = DUPLICATE_CASES };
    ck_assert_int_eq(duplicate_list(duplicate, &query, pairs, PAGE, &count, &left_off), ERR_OK);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(of_too_many_pairs_those_with_most_points_are_kept)
{
    enum { HERE = 30, ROOM = 500 };
    static struct duplicate_pair pairs[ROOM];
    struct duplicate_query query = { .all = true };
    uint64_t left_off = 0;
    size_t count = 0;

    duplicate_limit(duplicate, 200);
    for (uint32_t n = 1; n <= HERE; n++) {
        begin("person");
        put("name.text", 1, "Wanjiru Kamau");
        put("gender", 0, "woman");
        put("birth_date", 0, n <= HERE / 2 ? "1980" : "1981");
        if (n == HERE) {
            put_record("not_same_as.record", 60, 1);
        }
        end_as(n);
    }
    compare_all();
    /* Those of one year, 2 * 105, are too many as well; the one of which something was said stays. */
    ck_assert_int_gt(duplicate_floor(duplicate), DUPLICATE_THRESHOLD);
    ck_assert_int_eq(duplicate_list(duplicate, &query, pairs, ROOM, &count, &left_off), ERR_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(pairs[0].state, DUPLICATE_REJECTED);
    /* Of one record all of them are found. */
    query.record_no = 1;
    ck_assert_int_eq(duplicate_list(duplicate, &query, pairs, ROOM, &count, &left_off), ERR_OK);
    ck_assert_uint_eq(count, HERE - 1);
    ck_assert_int_eq(pairs[0].points, 75);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("duplicate");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, TEST_SECONDS_MAX);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, names_are_compared_as_they_sound_in_any_script);
    tcase_add_test(tcase, any_of_several_names_may_be_the_one);
    tcase_add_test(tcase, facts_hold_no_name);
    tcase_add_test(tcase, each_particular_is_a_reason_for_or_against);
    tcase_add_test(tcase, what_is_in_conflict_says_nothing);
    tcase_add_test(tcase, what_is_not_known_is_nothing_in_common);
    tcase_add_test(tcase, times_that_are_not_wholly_known_may_be_one);
    tcase_add_test(tcase, all_reasons_together_are_a_hundred_points);
    tcase_add_loop_test(tcase, keys_miss_nothing_that_all_pairs_would_list, 0, 8);
    tcase_add_test(tcase, who_is_linked_in_a_chain_is_one_and_who_is_disputed_is_listed);
    tcase_add_test(tcase, a_link_needs_no_points);
    tcase_add_test(tcase, pages_follow_one_another_and_hold_each_pair_once);
    tcase_add_test(tcase, of_too_many_pairs_those_with_most_points_are_kept);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
