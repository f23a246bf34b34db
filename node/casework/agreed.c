#include "node/casework/agreed.h"

#include <stdlib.h>

/* What the decision of a statement is until one was read. */
static const enum consent_decision UNDECIDED = (enum consent_decision)0;

/* One person, whose records are read one after the other. */
struct reading {
    uint32_t as_of_day;
    struct consent_statement *statements;
    uint16_t *elements; /* by statement: of the record that it stands in */
    size_t count;
    struct consent_place *places;
    size_t place_count;
};

static void
read_statement(struct consent_statement *statement, const struct fact *fact, uint32_t as_of_day)
{
    enum consent_decision decision;

    switch (fact->what) {
    case FACT_CONSENT_SCOPE:
        statement->scopes |= fact->value <= CONSENT_SCOPES ? CONSENT_BIT(fact->value) : 0;
        break;
    case FACT_CONSENT_DECISION:
        decision = fact->value >= CONSENT_GRANTED && fact->value <= CONSENT_UNKNOWN
                       ? (enum consent_decision)fact->value
                       : CONSENT_UNKNOWN;
        statement->decision =
            statement->decision == UNDECIDED ? decision : consent_stricter(statement->decision, decision);
        break;
    case FACT_CONSENT_UNTIL:
        statement->ended = statement->ended || fact->value < as_of_day;
        break;
    default:
        break;
    }
}

static bool
is_of_consent(const struct fact *fact)
{
    return fact->what == FACT_CONSENT_SCOPE || fact->what == FACT_CONSENT_DECISION ||
           fact->what == FACT_CONSENT_UNTIL || fact->what == FACT_CONSENT_REPLACES;
}

static void
read_record(struct reading *reading, const struct fact_record *record)
{
    size_t first = reading->count;

    for (uint32_t n = 0; n < record->fact_count; n++) {
        const struct fact *fact = &record->facts[n];

        if (!is_of_consent(fact)) {
            continue;
        }
        if (reading->count == first || reading->elements[reading->count - 1] != fact->element) {
            reading->statements[reading->count] = (struct consent_statement){ .decision = UNDECIDED };
            reading->elements[reading->count] = fact->element;
            reading->count++;
        }
        read_statement(&reading->statements[reading->count - 1], fact, reading->as_of_day);
    }
    /* Places are of the same record, and may be of an element that comes later. */
    for (uint32_t n = 0; n < record->fact_count; n++) {
        const struct fact *fact = &record->facts[n];
        struct consent_place place = { first, first };

        if (fact->what != FACT_CONSENT_REPLACES) {
            continue;
        }
        while (reading->elements[place.later] != fact->element) {
            place.later++;
        }
        while (place.earlier < reading->count && reading->elements[place.earlier] != fact->value) {
            place.earlier++;
        }
        if (place.earlier < reading->count) {
            reading->places[reading->place_count] = place;
            reading->place_count++;
        }
    }
}

/* The records of one person: each names the next. */
struct members {
    const struct facts *facts;
    uint32_t *next; /* by name; 0: it is the last */
};

static enum err
read_person(const struct members *members, uint32_t name, uint32_t as_of_day, struct arena *arena,
            uint8_t *agreed_out)
{
    struct reading reading = { .as_of_day = as_of_day };
    struct consent consent;
    size_t room = 0;

    for (uint32_t at = name; at != 0; at = members->next[at]) {
        room += facts_named(members->facts, at)->fact_count;
    }
    reading.statements = arena_take_array(arena, room + 1, sizeof *reading.statements);
    reading.elements = arena_take_array(arena, room + 1, sizeof *reading.elements);
    reading.places = arena_take_array(arena, room + 1, sizeof *reading.places);
    if (arena->failed) {
        return ERR_MEMORY;
    }
    for (uint32_t at = name; at != 0; at = members->next[at]) {
        read_record(&reading, facts_named(members->facts, at));
    }
    for (size_t n = 0; n < reading.count; n++) {
        if (reading.statements[n].decision == UNDECIDED) {
            reading.statements[n].decision = CONSENT_UNKNOWN;
        }
    }
    enum err err = consent_settle(reading.statements, reading.count, reading.places, reading.place_count,
                                  false, arena, &consent);
    if (err == ERR_OK) {
        *agreed_out = (uint8_t)(AGREED_HERE | (reading.count > 0 ? AGREED_SAID : 0) |
                                (consent_allows_withheld(&consent) ? AGREED_WITHHELD : 0) |
                                consent_uses(&consent, UINT64_MAX));
    }
    return err;
}

/* Chain the persons' records that are here under the name that they are counted under; `first` is by that name. */
static void
chain_members(const struct members *members, const uint32_t *same, uint32_t *first)
{
    for (uint32_t name = facts_name_count(members->facts); name > 0; name--) {
        const struct fact_record *record = facts_named(members->facts, name);

        if (record != NULL && record->kind == FACTS_PERSON) {
            members->next[name] = first[same[name]];
            first[same[name]] = name;
        }
    }
}

enum err
agreed_read(const struct facts *facts, const uint32_t *same, uint32_t as_of_day, uint8_t **agreed_out)
{
    size_t count = (size_t)facts_name_count(facts) + 1;
    uint8_t *agreed = calloc(count, sizeof *agreed);
    uint32_t *first = calloc(count, sizeof *first);
    struct members members = { facts, calloc(count, sizeof *members.next) };
    struct arena arena = { 0 };
    enum err err = agreed == NULL || first == NULL || members.next == NULL ? ERR_MEMORY : ERR_OK;

    if (err == ERR_OK) {
        chain_members(&members, same, first);
    }
    for (size_t name = 1; name < count && err == ERR_OK; name++) {
        if (first[name] != 0) {
            err = read_person(&members, first[name], as_of_day, &arena, &agreed[name]);
            arena_reset(&arena);
        }
    }
    arena_free(&arena);
    free(members.next);
    free(first);
    if (err != ERR_OK) {
        free(agreed);
        agreed = NULL;
    }
    *agreed_out = agreed;
    return err;
}
