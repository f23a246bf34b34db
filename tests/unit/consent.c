/* What a person agreed to, from statements that were made after one another or at once. */
#include "tests/support/check.h"

#include "node/casework/consent_rule.h"
#include "store/base/cbor.h"

#include <stdio.h>
#include <string.h>

enum { STATEMENTS_MAX = 8, VALUES_MAX = 12, PERSON = 2 };

/* A statement as a test writes it; its element is eight times its letter. */
struct said {
    char letter;
    uint32_t scopes;
    int decision;         /* 0: none */
    const char *until;    /* NULL: none; several separated by a blank */
    int concern;          /* CONCERN_NOT_SAID and so on */
    const char *replaces; /* letters */
    uint64_t hlc;
};

#define SCOPE(name) CONSENT_BIT(CONSENT_##name)

static struct arena arena;
static const char today_text[] = "2026-11-28";

static void
setup(void)
{
    arena = (struct arena){ 0 };
}

static void
teardown(void)
{
    arena_free(&arena);
}

static struct edtf_day
day(const char *text)
{
    struct edtf_day day;

    (void)snprintf(day.text, sizeof day.text, "%s", text);
    return day;
}

/* Put one value at a target; several calls give it several. */
static void
put_value(struct record_target *target, struct live *values, const struct said *said, const struct buf *cbor)
{
    struct signed_change *entry = arena_take_array(&arena, 1, sizeof *entry);

    ck_assert_uint_lt(target->value_count, VALUES_MAX);
    entry->change.hlc = said->hlc;
    values[target->value_count] =
        (struct live){ .value = arena_copy(&arena, buf_span(cbor)), .entry = entry };
    target->values = values;
    target->value_count++;
}

static struct record_target *
new_target(struct record_view *view, struct record_target *targets, const struct said *said,
           const char *field_name, struct live **values_out)
{
    const struct codebook_field *field = codebook_field_by_name(codebook_reprisals(), PERSON, field_name);
    struct record_target *target = &targets[view->target_count++];

    ck_assert_ptr_nonnull(field);
    target->target.collection = field->collection;
    target->target.field = field->number;
    memset(target->target.element, said->letter, ELEMENT_ID_BYTES);
    target->field = field;
    *values_out = arena_take_array(&arena, VALUES_MAX, sizeof **values_out);
    return target;
}

static void
put_code(struct record_view *view, struct record_target *targets, const struct said *said, const char *field,
         uint32_t set)
{
    struct live *values = NULL;
    struct record_target *target = new_target(view, targets, said, field, &values);

    for (uint32_t code = 1; code < 32; code++) {
        if ((set >> code & 1) != 0) {
            struct buf cbor = { 0 };

            cbor_put_uint(&cbor, code);
            put_value(target, values, said, &cbor);
            buf_free(&cbor);
        }
    }
}

static void
put_until(struct record_view *view, struct record_target *targets, const struct said *said)
{
    struct live *values = NULL;
    struct record_target *target = new_target(view, targets, said, "consent.valid_until", &values);

    for (const char *at = said->until; *at != '\0'; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        struct buf cbor = { 0 };

        cbor_put_text(&cbor, span_of(at, size));
        put_value(target, values, said, &cbor);
        buf_free(&cbor);
        at += size;
    }
}

static void
put_concern(struct record_view *view, struct record_target *targets, const struct said *said)
{
    struct live *values = NULL;
    struct record_target *target =
        new_target(view, targets, said, "consent.identifiability_concern", &values);
    struct buf cbor = { 0 };

    cbor_put_bool(&cbor, said->concern == CONCERN_YES);
    put_value(target, values, said, &cbor);
    buf_free(&cbor);
}

static void
put_replaces(struct record_view *view, struct record_target *targets, const struct said *said)
{
    struct live *values = NULL;
    struct record_target *target = new_target(view, targets, said, "consent.replaces", &values);

    for (const char *at = said->replaces; *at != '\0'; at++) {
        uint8_t element[ELEMENT_ID_BYTES];
        struct buf cbor = { 0 };

        memset(element, *at, sizeof element);
        cbor_put_bytes(&cbor, span_of(element, sizeof element));
        put_value(target, values, said, &cbor);
        buf_free(&cbor);
    }
}

/* A view of a person who said these. */
static const struct record_view *
view_of(const struct said *said, size_t count)
{
    struct record_view *view = arena_take_array(&arena, 1, sizeof *view);
    struct record_element *elements = arena_take_array(&arena, STATEMENTS_MAX, sizeof *elements);
    struct record_target *targets = arena_take_array(&arena, STATEMENTS_MAX * 5, sizeof *targets);

    ck_assert_uint_le(count, STATEMENTS_MAX);
    view->kind = PERSON;
    view->targets = targets;
    view->elements = elements;
    for (size_t n = 0; n < count; n++) {
        struct record_element *element = &elements[view->element_count++];

        element->collection = codebook_collection_by_name(codebook_reprisals(), PERSON, "consent")->number;
        element->state = ELEMENT_PRESENT;
        memset(element->element, said[n].letter, ELEMENT_ID_BYTES);
        element->first = view->target_count;
        put_code(view, targets, &said[n], "consent.scope", said[n].scopes);
        if (said[n].decision != 0) {
            put_code(view, targets, &said[n], "consent.decision", UINT32_C(1) << said[n].decision);
        }
        if (said[n].until != NULL) {
            put_until(view, targets, &said[n]);
        }
        if (said[n].concern != CONCERN_NOT_SAID) {
            put_concern(view, targets, &said[n]);
        }
        if (said[n].replaces != NULL) {
            put_replaces(view, targets, &said[n]);
        }
        element->count = view->target_count - element->first;
    }
    return view;
}

static struct consent
consent_on(const struct said *said, size_t count, const char *text)
{
    struct edtf_day today = day(text);
    struct consent consent;

    ck_assert_int_eq(consent_read(codebook_reprisals(), view_of(said, count), &today, &arena, &consent),
                     ERR_OK);
    ck_assert_uint_eq(consent.count, count);
    return consent;
}

#define CONSENT(said) consent_on((said), sizeof(said) / sizeof *(said), today_text)

/* The letters of the statements that made the decision. */
static const char *
makers(const struct consent *consent, enum consent_scope scope)
{
    static char letters[STATEMENTS_MAX + 1];
    size_t count = 0;

    for (size_t n = 0; n < consent->count; n++) {
        if (consent_made_by(consent, &consent->statements[n], scope)) {
            letters[count++] = (char)consent->statements[n].element[0];
        }
    }
    letters[count] = '\0';
    return letters;
}

START_TEST(the_numbers_are_those_of_the_codebook)
{
    static const char *const scopes[] = { "record_in_system",
                                          "share_with_hq",
                                          "share_with_special_procedures",
                                          "share_with_treaty_body",
                                          "share_with_unct_or_mission",
                                          "raise_with_government",
                                          "publish_named",
                                          "publish_anonymised",
                                          "count_only",
                                          "media",
                                          "contact_again" };
    static const char *const decisions[] = { "granted", "refused", "withdrawn", "expired", "unknown" };

    ck_assert_uint_eq(sizeof scopes / sizeof scopes[0], CONSENT_SCOPES);
    for (int n = 0; n < CONSENT_SCOPES; n++) {
        ck_assert_str_eq(consent_scope_name(codebook_reprisals(), (enum consent_scope)(n + 1)), scopes[n]);
    }
    for (int n = 0; n < 5; n++) {
        ck_assert_str_eq(consent_decision_name(codebook_reprisals(), (enum consent_decision)(n + 1)),
                         decisions[n]);
    }
    /* And the order of protection is that of the codebook's ranks. */
    const struct codebook_field *field =
        codebook_field_by_name(codebook_reprisals(), PERSON, "consent.decision");
    for (uint8_t a = 1; a <= 5; a++) {
        for (uint8_t b = 1; b <= 5; b++) {
            bool above = codebook_rank(codebook_reprisals(), field, span_of(&a, 1)) >=
                         codebook_rank(codebook_reprisals(), field, span_of(&b, 1));

            ck_assert_uint_eq(consent_stricter((enum consent_decision)a, (enum consent_decision)b),
                              above ? a : b);
        }
    }
}
END_TEST

START_TEST(of_any_two_that_were_said_at_once_the_more_protective_governs)
{
    /* From the most protective on. */
    static const enum consent_decision order[] = { CONSENT_WITHDRAWN, CONSENT_REFUSED, CONSENT_EXPIRED,
                                                   CONSENT_UNKNOWN, CONSENT_GRANTED };

    for (int a = 0; a < 5; a++) {
        for (int b = 0; b < 5; b++) {
            const struct said said[] = { { 'a', SCOPE(MEDIA), (int)order[a], NULL, 0, NULL, 1 },
                                         { 'b', SCOPE(MEDIA), (int)order[b], NULL, 0, NULL, 2 } };
            struct consent consent = CONSENT(said);

            ck_assert_int_eq((int)consent.decisions[CONSENT_MEDIA], (int)order[a < b ? a : b]);
            ck_assert_str_eq(makers(&consent, CONSENT_MEDIA), a == b ? "ab" : a < b ? "a" : "b");
            /* No other scope hears of it. */
            ck_assert_int_eq((int)consent.decisions[CONSENT_SHARE_WITH_HQ], CONSENT_UNKNOWN);
        }
    }
}
END_TEST

START_TEST(who_takes_the_place_of_another_governs_whatever_was_said)
{
    for (int a = CONSENT_GRANTED; a <= CONSENT_UNKNOWN; a++) {
        for (int b = CONSENT_GRANTED; b <= CONSENT_UNKNOWN; b++) {
            const struct said said[] = { { 'a', SCOPE(MEDIA), a, NULL, 0, NULL, 1 },
                                         { 'b', SCOPE(MEDIA), b, NULL, 0, "a", 2 } };
            struct consent consent = CONSENT(said);

            ck_assert_int_eq((int)consent.decisions[CONSENT_MEDIA], b);
            ck_assert_str_eq(makers(&consent, CONSENT_MEDIA), "b");
        }
    }
}
END_TEST

/* Chains, branches and rings: what governs media and sharing with headquarters. */
static const struct {
    const char *what;
    struct said said[4];
    enum consent_decision media;
    enum consent_decision hq;
    const char *media_by;
} chains[] = {
    { "nothing was said", { { 0 } }, CONSENT_UNKNOWN, CONSENT_UNKNOWN, "" },
    { "without a decision it is unknown",
      { { 'a', SCOPE(MEDIA), 0, NULL, 0, NULL, 1 } },
      CONSENT_UNKNOWN,
      CONSENT_UNKNOWN,
      "a" },
    { "the other scopes of what was replaced stand",
      { { 'a', SCOPE(MEDIA) | SCOPE(SHARE_WITH_HQ), CONSENT_GRANTED, NULL, 0, NULL, 1 },
        { 'b', SCOPE(MEDIA), CONSENT_REFUSED, NULL, 0, "a", 2 } },
      CONSENT_REFUSED,
      CONSENT_GRANTED,
      "b" },
    { "a chain of three",
      { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, NULL, 1 },
        { 'b', SCOPE(MEDIA), CONSENT_WITHDRAWN, NULL, 0, "a", 2 },
        { 'c', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, "b", 3 } },
      CONSENT_GRANTED,
      CONSENT_UNKNOWN,
      "c" },
    { "two at once upon one",
      { { 'a', SCOPE(MEDIA), CONSENT_WITHDRAWN, NULL, 0, NULL, 1 },
        { 'b', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, "a", 2 },
        { 'c', SCOPE(MEDIA), CONSENT_REFUSED, NULL, 0, "a", 2 } },
      CONSENT_REFUSED,
      CONSENT_UNKNOWN,
      "c" },
    { "and one that saw both",
      { { 'a', SCOPE(MEDIA), CONSENT_WITHDRAWN, NULL, 0, NULL, 1 },
        { 'b', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, "a", 2 },
        { 'c', SCOPE(MEDIA), CONSENT_REFUSED, NULL, 0, "a", 2 },
        { 'd', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, "bc", 3 } },
      CONSENT_GRANTED,
      CONSENT_UNKNOWN,
      "d" },
    { "one that saw one of them is no answer to the other",
      { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, NULL, 1 },
        { 'b', SCOPE(MEDIA), CONSENT_REFUSED, NULL, 0, NULL, 1 },
        { 'c', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, "a", 2 } },
      CONSENT_REFUSED,
      CONSENT_UNKNOWN,
      "b" },
    { "a later one of another scope takes no place",
      { { 'a', SCOPE(MEDIA), CONSENT_REFUSED, NULL, 0, NULL, 1 },
        { 'b', SCOPE(SHARE_WITH_HQ), CONSENT_GRANTED, NULL, 0, "a", 2 } },
      CONSENT_REFUSED,
      CONSENT_GRANTED,
      "a" },
    { "itself it does not replace",
      { { 'a', SCOPE(MEDIA), CONSENT_REFUSED, NULL, 0, "a", 1 } },
      CONSENT_REFUSED,
      CONSENT_UNKNOWN,
      "a" },
    { "in a ring nobody takes the place of another",
      { { 'a', SCOPE(MEDIA), CONSENT_REFUSED, NULL, 0, "b", 1 },
        { 'b', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, "a", 2 } },
      CONSENT_REFUSED,
      CONSENT_UNKNOWN,
      "a" },
    { "but who comes after a ring does",
      { { 'a', SCOPE(MEDIA), CONSENT_REFUSED, NULL, 0, "b", 1 },
        { 'b', SCOPE(MEDIA), CONSENT_WITHDRAWN, NULL, 0, "a", 2 },
        { 'c', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, "ab", 3 } },
      CONSENT_GRANTED,
      CONSENT_UNKNOWN,
      "c" },
    { "what it names may not be here",
      { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, "z", 1 } },
      CONSENT_GRANTED,
      CONSENT_UNKNOWN,
      "a" },
    { "a refusal to be recorded covers all",
      { { 'a', SCOPE(MEDIA) | SCOPE(SHARE_WITH_HQ), CONSENT_GRANTED, NULL, 0, NULL, 1 },
        { 'b', SCOPE(RECORD_IN_SYSTEM), CONSENT_REFUSED, NULL, 0, NULL, 2 } },
      CONSENT_REFUSED,
      CONSENT_REFUSED,
      "b" },
    { "and lowers no withdrawal",
      { { 'a', SCOPE(MEDIA), CONSENT_WITHDRAWN, NULL, 0, NULL, 1 },
        { 'b', SCOPE(RECORD_IN_SYSTEM), CONSENT_REFUSED, NULL, 0, NULL, 2 } },
      CONSENT_WITHDRAWN,
      CONSENT_REFUSED,
      "a" },
    { "an expired consent to be recorded covers nothing",
      { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, 0, NULL, 1 },
        { 'b', SCOPE(RECORD_IN_SYSTEM), CONSENT_EXPIRED, NULL, 0, NULL, 2 } },
      CONSENT_GRANTED,
      CONSENT_UNKNOWN,
      "a" },
};

START_TEST(a_statement_takes_the_place_of_those_that_it_names_for_its_own_scopes)
{
    for (size_t n = 0; n < sizeof chains / sizeof chains[0]; n++) {
        size_t count = 0;

        while (count < 4 && chains[n].said[count].letter != 0) {
            count++;
        }
        struct consent consent = consent_on(chains[n].said, count, today_text);
        ck_assert_msg(consent.decisions[CONSENT_MEDIA] == chains[n].media, "%s: media", chains[n].what);
        ck_assert_msg(consent.decisions[CONSENT_SHARE_WITH_HQ] == chains[n].hq, "%s: hq", chains[n].what);
        ck_assert_msg(strcmp(makers(&consent, CONSENT_MEDIA), chains[n].media_by) == 0, "%s: made by %s",
                      chains[n].what, makers(&consent, CONSENT_MEDIA));
    }
}
END_TEST

START_TEST(who_withdraws_and_lets_himself_be_counted_is_counted)
{
    const struct said apart[] = {
        { 'a', SCOPE(RECORD_IN_SYSTEM) | SCOPE(PUBLISH_NAMED), CONSENT_WITHDRAWN, NULL, 0, NULL, 1 },
        { 'b', SCOPE(COUNT_ONLY), CONSENT_GRANTED, NULL, 0, NULL, 1 },
    };
    const struct said unasked[] = {
        { 'a', SCOPE(RECORD_IN_SYSTEM), CONSENT_WITHDRAWN, NULL, 0, NULL, 1 },
        { 'b', SCOPE(PUBLISH_NAMED), CONSENT_GRANTED, NULL, 0, NULL, 1 },
    };
    const struct said together[] = {
        { 'a', SCOPE(RECORD_IN_SYSTEM) | SCOPE(COUNT_ONLY), CONSENT_WITHDRAWN, NULL, 0, NULL, 1 },
    };
    struct consent consent = CONSENT(apart);

    ck_assert_int_eq((int)consent_governing(&consent, CONSENT_COUNT_ONLY), CONSENT_GRANTED);
    ck_assert_int_eq((int)consent_governing(&consent, CONSENT_CONTACT_AGAIN), CONSENT_WITHDRAWN);
    ck_assert_uint_eq(consent_uses(&consent, 0), CONSENT_USE_COUNT);
    consent = CONSENT(unasked);
    ck_assert_int_eq((int)consent_governing(&consent, CONSENT_COUNT_ONLY), CONSENT_WITHDRAWN);
    ck_assert_uint_eq(consent_uses(&consent, 0), 0);
    consent = CONSENT(together);
    ck_assert_int_eq((int)consent_governing(&consent, CONSENT_COUNT_ONLY), CONSENT_WITHDRAWN);
}
END_TEST

/* What governs on the 28th of November 2026. */
static const struct {
    const char *until;
    enum consent_decision media;
} dates[] = {
    { "2026-11-27", CONSENT_EXPIRED },
    { "2026-11-28", CONSENT_GRANTED },
    { "2026-11-29", CONSENT_GRANTED },
    { "2026-10", CONSENT_EXPIRED },
    { "2026-11", CONSENT_GRANTED },
    { "2026-11~", CONSENT_GRANTED },
    { "2026-11-27?", CONSENT_EXPIRED },
    { "2026-11-28%", CONSENT_GRANTED },
    { "2025", CONSENT_EXPIRED },
    { "2026", CONSENT_GRANTED },
    { "2026?", CONSENT_GRANTED },
    { "2024-01-01/2026-11-27", CONSENT_EXPIRED },
    { "2024-01-01/2026-11", CONSENT_GRANTED },
    { "2024-01-01/..", CONSENT_GRANTED },
    { "../2026-11-27", CONSENT_EXPIRED },
    /* Of two dates that were given at once the earlier one; and no date at all is over. */
    { "2027-01-01 2026-11-27", CONSENT_EXPIRED },
    { "2027-01-01 2026-12-01", CONSENT_GRANTED },
    { "never", CONSENT_EXPIRED },
};

START_TEST(what_was_granted_ends_with_the_last_day_that_its_date_may_mean)
{
    for (size_t n = 0; n < sizeof dates / sizeof dates[0]; n++) {
        const struct said granted[] = { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, dates[n].until, 0, NULL, 1 } };
        const struct said refused[] = { { 'a', SCOPE(MEDIA), CONSENT_REFUSED, dates[n].until, 0, NULL, 1 } };
        struct consent consent = CONSENT(granted);

        ck_assert_msg(consent.decisions[CONSENT_MEDIA] == dates[n].media, "until %s: %s", dates[n].until,
                      consent_decision_name(codebook_reprisals(), consent.decisions[CONSENT_MEDIA]));
        /* A refusal does not end. */
        consent = CONSENT(refused);
        ck_assert_int_eq((int)consent.decisions[CONSENT_MEDIA], CONSENT_REFUSED);
    }
}
END_TEST

START_TEST(the_same_statement_is_granted_today_and_expired_tomorrow)
{
    const struct said said[] = { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, "2028-02", 0, NULL, 1 } };
    struct consent consent = consent_on(said, 1, "2028-02-29");

    ck_assert_int_eq((int)consent.decisions[CONSENT_MEDIA], CONSENT_GRANTED);
    consent = consent_on(said, 1, "2028-03-01");
    ck_assert_int_eq((int)consent.decisions[CONSENT_MEDIA], CONSENT_EXPIRED);
    ck_assert_str_eq(edtf_day_of(UINT64_C(1835395199999)).text, "2028-02-28");
    ck_assert_str_eq(edtf_day_of(UINT64_C(1835395200000)).text, "2028-02-29");
    ck_assert_str_eq(edtf_day_of(0).text, "1970-01-01");
    ck_assert_str_eq(edtf_day_of(UINT64_MAX).text, "9999-12-31");
}
END_TEST

START_TEST(a_concern_stands_until_somebody_who_saw_it_denies_it)
{
    const struct said alone[] = { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_YES, NULL, 7 } };
    const struct said beside[] = { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_YES, NULL, 7 },
                                   { 'b', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_NO, NULL, 9 } };
    const struct said denied[] = { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_YES, NULL, 7 },
                                   { 'b', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_NO, "a", 9 } };
    const struct said silent[] = { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_YES, NULL, 7 },
                                   { 'b', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_NOT_SAID, "a", 9 } };
    const struct said later[] = { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_YES, NULL, 7 },
                                  { 'b', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_NOT_SAID, "a", 9 },
                                  { 'c', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_NO, "b", 10 } };
    const struct said again[] = { { 'a', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_YES, NULL, 7 },
                                  { 'b', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_NO, "a", 9 },
                                  { 'c', SCOPE(MEDIA), CONSENT_GRANTED, NULL, CONCERN_YES, "b", 10 } };
    struct consent consent = CONSENT(alone);

    ck_assert(consent.concern);
    ck_assert_uint_eq(consent.concern_hlc, 7);
    ck_assert(CONSENT(beside).concern);
    ck_assert(!CONSENT(denied).concern);
    ck_assert(CONSENT(silent).concern);
    ck_assert(!CONSENT(later).concern);
    consent = CONSENT(again);
    ck_assert(consent.concern);
    ck_assert_uint_eq(consent.concern_hlc, 10);
}
END_TEST

START_TEST(who_agrees_to_more_agrees_to_less_unless_he_said_otherwise)
{
    const struct said named[] = { { 'a', SCOPE(PUBLISH_NAMED), CONSENT_GRANTED, NULL, 0, NULL, 1 } };
    const struct said only_named[] = { { 'a', SCOPE(PUBLISH_NAMED), CONSENT_GRANTED, NULL, 0, NULL, 1 },
                                       { 'b', SCOPE(PUBLISH_ANONYMISED) | SCOPE(COUNT_ONLY), CONSENT_REFUSED,
                                         NULL, 0, NULL, 1 } };
    const struct said unnamed[] = {
        { 'a', SCOPE(PUBLISH_ANONYMISED), CONSENT_GRANTED, NULL, CONCERN_YES, NULL, 5 },
        { 'b', SCOPE(PUBLISH_NAMED), CONSENT_REFUSED, NULL, CONCERN_NO, NULL, 1 }
    };
    const struct said counted[] = { { 'a', SCOPE(COUNT_ONLY), CONSENT_GRANTED, NULL, 0, NULL, 1 } };
    struct consent consent = CONSENT(named);

    ck_assert_uint_eq(consent_uses(&consent, 0),
                      CONSENT_USE_NAMED | CONSENT_USE_ANONYMISED | CONSENT_USE_COUNT);
    ck_assert_str_eq(makers(&consent, CONSENT_COUNT_ONLY), "a");
    consent = CONSENT(only_named);
    ck_assert_uint_eq(consent_uses(&consent, 0), CONSENT_USE_NAMED);
    consent = CONSENT(counted);
    ck_assert_uint_eq(consent_uses(&consent, 0), CONSENT_USE_COUNT);
    ck_assert_int_eq((int)consent_governing(&consent, CONSENT_PUBLISH_ANONYMISED), CONSENT_UNKNOWN);
    /* Nobody is described who may be recognised, unless it was looked at after that was said. */
    consent = CONSENT(unnamed);
    ck_assert_uint_eq(consent_uses(&consent, 0), CONSENT_USE_COUNT);
    ck_assert_uint_eq(consent_uses(&consent, 5), CONSENT_USE_COUNT);
    ck_assert_uint_eq(consent_uses(&consent, 6), CONSENT_USE_COUNT | CONSENT_USE_ANONYMISED);
}
END_TEST

START_TEST(behind_a_restriction_nothing_is_left_but_to_be_counted)
{
    const struct said said[] = { { 'a', SCOPE(MEDIA) | SCOPE(PUBLISH_NAMED), CONSENT_GRANTED, NULL, 0, NULL,
                                   1 },
                                 { 'b', SCOPE(COUNT_ONLY), CONSENT_GRANTED, NULL, 0, NULL, 1 } };
    struct record_view view = *view_of(said, 2);
    struct edtf_day today = day(today_text);
    struct consent consent;

    view.restricted = true;
    ck_assert_int_eq(consent_read(codebook_reprisals(), &view, &today, &arena, &consent), ERR_OK);
    ck_assert_int_eq((int)consent_governing(&consent, CONSENT_MEDIA), CONSENT_WITHDRAWN);
    ck_assert_uint_eq(consent_uses(&consent, 0), CONSENT_USE_COUNT);
}
END_TEST

START_TEST(what_nobody_can_read_agrees_to_nothing)
{
    struct edtf_day today = day(today_text);
    struct record_view strange = { .kind = 1 };
    struct consent consent;

    ck_assert_int_eq(consent_read(codebook_reprisals(), NULL, &today, &arena, &consent), ERR_OK);
    ck_assert_uint_eq(consent_uses(&consent, UINT64_MAX), 0);
    ck_assert_int_eq((int)consent_governing(&consent, CONSENT_SHARE_WITH_HQ), CONSENT_UNKNOWN);
    ck_assert_int_eq(consent_read(codebook_reprisals(), &strange, &today, &arena, &consent), ERR_OK);
    ck_assert_uint_eq(consent_uses(&consent, UINT64_MAX), 0);
}
END_TEST

/* What peers sent is kept whatever it holds: it counts as far as it says anything, and protects where it does not. */
START_TEST(a_value_of_a_wrong_type_protects)
{
    struct said said = { 'a', SCOPE(MEDIA), CONSENT_GRANTED, "2099", CONCERN_NO, NULL, 1 };
    static const char *const fields[] = { "consent.decision", "consent.valid_until",
                                          "consent.identifiability_concern", "consent.scope",
                                          "consent.replaces" };
    struct edtf_day today = day(today_text);

    said.replaces = "b";
    for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++) {
        struct record_view view = *view_of(&said, 1);
        struct consent consent;
        struct buf cbor = { 0 };

        cbor_put_int(&cbor, -77);
        for (size_t n = 0; n < view.target_count; n++) {
            if (strcmp(view.targets[n].field->name, fields[f]) == 0) {
                ((struct live *)view.targets[n].values)[0].value = arena_copy(&arena, buf_span(&cbor));
            }
        }
        buf_free(&cbor);
        ck_assert_int_eq(consent_read(codebook_reprisals(), &view, &today, &arena, &consent), ERR_OK);
        ck_assert_int_eq(consent.concern, f == 2);
        ck_assert_int_eq((int)consent.decisions[CONSENT_MEDIA], f == 1   ? CONSENT_EXPIRED
                                                                : f == 2 ? CONSENT_GRANTED
                                                                : f == 4 ? CONSENT_GRANTED
                                                                         : CONSENT_UNKNOWN);
    }
}
END_TEST

START_TEST(nothing_that_publishes_and_no_step_is_overridden)
{
    struct ident person = { { 1 } };
    struct ident another = { { 2 } };
    const struct consent_override overrides[] = {
        { .person = person, .scopes = SCOPE(MEDIA) | SCOPE(RAISE_WITH_GOVERNMENT), .reason = "" },
        { .person = another, .scopes = SCOPE(MEDIA), .reason = "", .has_action = true, .action = { 9 } },
    };
    struct consent_need need = { .what = "", .all = SCOPE(RAISE_WITH_GOVERNMENT) };

    ck_assert_uint_eq(consent_overridden(&need, overrides, 2, &person), SCOPE(RAISE_WITH_GOVERNMENT));
    ck_assert_uint_eq(consent_overridden(&need, overrides, 2, &another), 0);
    need.any = SCOPE(MEDIA);
    ck_assert_uint_eq(consent_overridden(&need, overrides, 2, &person),
                      SCOPE(RAISE_WITH_GOVERNMENT) | SCOPE(MEDIA));
    ck_assert_uint_eq(consent_overridden(&need, overrides, 2, &another), 0);
    need.element[0] = 9;
    ck_assert_uint_eq(consent_overridden(&need, overrides, 2, &another), SCOPE(MEDIA));
    need.publishes = true;
    ck_assert_uint_eq(consent_overridden(&need, overrides, 2, &person), 0);
    need.publishes = false;
    need.step = 6;
    ck_assert_uint_eq(consent_overridden(&need, overrides, 2, &person), 0);
}
END_TEST

SUITE_MAIN_WITH("consent", setup, teardown, the_numbers_are_those_of_the_codebook,
                of_any_two_that_were_said_at_once_the_more_protective_governs,
                who_takes_the_place_of_another_governs_whatever_was_said,
                a_statement_takes_the_place_of_those_that_it_names_for_its_own_scopes,
                who_withdraws_and_lets_himself_be_counted_is_counted,
                what_was_granted_ends_with_the_last_day_that_its_date_may_mean,
                the_same_statement_is_granted_today_and_expired_tomorrow,
                a_concern_stands_until_somebody_who_saw_it_denies_it,
                who_agrees_to_more_agrees_to_less_unless_he_said_otherwise,
                behind_a_restriction_nothing_is_left_but_to_be_counted,
                what_nobody_can_read_agrees_to_nothing, a_value_of_a_wrong_type_protects,
                nothing_that_publishes_and_no_step_is_overridden)
