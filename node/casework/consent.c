#include "node/casework/consent.h"

#include "store/base/cbor.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The fields of a statement, by their names: another codebook may have none. */
struct fields {
    const struct codebook_collection *collection;
    const struct codebook_field *scope;
    const struct codebook_field *decision;
    const struct codebook_field *valid_until;
    const struct codebook_field *concern;
    const struct codebook_field *replaces;
};

static bool
find_fields(const struct codebook *codebook, uint32_t kind, struct fields *out)
{
    out->collection = codebook_collection_by_name(codebook, kind, "consent");
    out->scope = codebook_field_by_name(codebook, kind, "consent.scope");
    out->decision = codebook_field_by_name(codebook, kind, "consent.decision");
    out->valid_until = codebook_field_by_name(codebook, kind, "consent.valid_until");
    out->concern = codebook_field_by_name(codebook, kind, "consent.identifiability_concern");
    out->replaces = codebook_field_by_name(codebook, kind, "consent.replaces");
    return out->collection != NULL && out->scope != NULL && out->decision != NULL &&
           out->valid_until != NULL && out->concern != NULL && out->replaces != NULL;
}

static bool
is_null(struct span cbor)
{
    return cbor.size == 1 && cbor.data[0] == 0xf6;
}

static uint64_t
number_of(struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    return cbor_peek(&in) == CBOR_UINT ? cbor_read_uint(&in) : 0;
}

/* --- decisions --- */

/* Where a decision stands: the greater is the more protective. */
static int
strictness(enum consent_decision decision)
{
    switch (decision) {
    case CONSENT_WITHDRAWN:
        return 5;
    case CONSENT_REFUSED:
        return 4;
    case CONSENT_EXPIRED:
        return 3;
    case CONSENT_UNKNOWN:
        return 2;
    case CONSENT_GRANTED:
        return 1;
    }
    return 2;
}

enum consent_decision
consent_stricter(enum consent_decision a, enum consent_decision b)
{
    return strictness(a) >= strictness(b) ? a : b;
}

/* --- one statement --- */

static void
take_scopes(const struct record_target *target, struct consent_statement *out)
{
    for (size_t n = 0; n < target->value_count; n++) {
        uint64_t scope = number_of(target->values[n].value);

        if (scope >= 1 && scope <= CONSENT_SCOPES) {
            out->scopes |= CONSENT_BIT(scope);
        }
    }
}

/* Of several decisions of one statement the most protective counts, whatever a policy of the codebook shows. */
static void
take_decision(const struct record_target *target, struct consent_statement *out)
{
    bool any = false;

    for (size_t n = 0; n < target->value_count; n++) {
        if (is_null(target->values[n].value)) {
            continue;
        }
        uint64_t code = number_of(target->values[n].value);
        enum consent_decision decision = code >= CONSENT_GRANTED && code <= CONSENT_UNKNOWN
                                             ? (enum consent_decision)code
                                             : CONSENT_UNKNOWN;

        out->decision = any ? consent_stricter(out->decision, decision) : decision;
        any = true;
    }
}

/* Is the last day that it may mean over? */
static bool
is_over(struct span cbor, const struct edtf_day *today)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct edtf edtf;
    struct edtf_day last;

    if (cbor_peek(&in) != CBOR_TEXT || !edtf_parse(&edtf, cbor_read_text(&in))) {
        return true;
    }
    return edtf_latest(&edtf, &last) && strcmp(last.text, today->text) < 0;
}

/* Of several dates the first that is over counts. */
static bool
has_ended(const struct record_target *target, const struct edtf_day *today)
{
    bool ended = false;

    for (size_t n = 0; n < target->value_count; n++) {
        ended = ended || (!is_null(target->values[n].value) && is_over(target->values[n].value, today));
    }
    return ended;
}

static void
take_concern(const struct record_target *target, struct consent_statement *out)
{
    static const uint8_t no[] = { 0xf4 };

    for (size_t n = 0; n < target->value_count; n++) {
        struct span value = target->values[n].value;

        if (is_null(value)) {
            continue;
        }
        if (!span_equal(value, span_of(no, sizeof no))) {
            out->concern = CONCERN_YES;
        } else if (out->concern == CONCERN_NOT_SAID) {
            out->concern = CONCERN_NO;
        }
    }
}

static void
read_statement(const struct fields *fields, const struct record_view *view,
               const struct record_element *element, const struct edtf_day *today,
               struct consent_statement *out)
{
    *out = (struct consent_statement){ .decision = CONSENT_UNKNOWN };
    memcpy(out->element, element->element, ELEMENT_ID_BYTES);
    for (size_t n = element->first; n < element->first + element->count; n++) {
        const struct record_target *target = &view->targets[n];
        uint32_t field = target->target.field;

        for (size_t v = 0; v < target->value_count; v++) {
            uint64_t hlc = target->values[v].entry->change.hlc;

            out->hlc = hlc > out->hlc ? hlc : out->hlc;
        }
        if (field == fields->scope->number) {
            take_scopes(target, out);
        } else if (field == fields->decision->number) {
            take_decision(target, out);
        } else if (field == fields->valid_until->number) {
            out->ended = has_ended(target, today);
        } else if (field == fields->concern->number) {
            take_concern(target, out);
        } else if (field == fields->replaces->number) {
            out->replaces = target;
        }
    }
}

/* --- which take whose place --- */

static size_t
find_statement(const struct consent_statement *statements, size_t count, struct span cbor)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    struct span element = cbor_peek(&in) == CBOR_BYTES ? cbor_read_bytes(&in) : span_of(NULL, 0);
    size_t n = 0;

    while (n < count && !span_equal(element, span_of(statements[n].element, ELEMENT_ID_BYTES))) {
        n++;
    }
    return n;
}

/* How many places are taken; `places` may be NULL. */
static size_t
gather_places(const struct consent_statement *statements, size_t count, struct consent_place *places)
{
    size_t place_count = 0;

    for (size_t later = 0; later < count; later++) {
        const struct record_target *replaces = statements[later].replaces;

        for (size_t v = 0; replaces != NULL && v < replaces->value_count; v++) {
            size_t earlier = find_statement(statements, count, replaces->values[v].value);

            if (earlier == count) {
                continue;
            }
            if (places != NULL) {
                places[place_count] = (struct consent_place){ later, earlier };
            }
            place_count++;
        }
    }
    return place_count;
}

/* A place that is taken, until it turns out that it is not. */
struct edge {
    size_t later;
    size_t earlier;
    bool in_ring;
};

/* Statements that name each other in a ring, which nobody can have made who saw what he named, take no place of one another: the
 * edges that no statement without a later one leads to, one after the other, are left in the ring. */
static void
open_rings(struct edge *edges, size_t edge_count, size_t *later_counts)
{
    bool changed = true;

    for (size_t n = 0; n < edge_count; n++) {
        later_counts[edges[n].earlier]++;
    }
    while (changed) {
        changed = false;
        for (size_t n = 0; n < edge_count; n++) {
            if (edges[n].in_ring && later_counts[edges[n].later] == 0) {
                edges[n].in_ring = false;
                later_counts[edges[n].earlier]--;
                changed = true;
            }
        }
    }
}

static void
take_places(struct consent_statement *statements, const struct edge *edges, size_t edge_count, bool *denied)
{
    bool changed = true;

    for (size_t n = 0; n < edge_count; n++) {
        if (!edges[n].in_ring) {
            statements[edges[n].earlier].stands &= ~statements[edges[n].later].scopes;
        }
    }
    /* Who says that nobody is recognised has seen what the statements said whose place is taken, and those before them. */
    while (changed) {
        changed = false;
        for (size_t n = 0; n < edge_count; n++) {
            const struct edge *edge = &edges[n];

            if (!edge->in_ring && !denied[edge->earlier] &&
                (denied[edge->later] || statements[edge->later].concern == CONCERN_NO)) {
                denied[edge->earlier] = true;
                statements[edge->earlier].concern_stands = false;
                changed = true;
            }
        }
    }
}

static enum err
settle_places(struct consent_statement *statements, size_t count, const struct consent_place *places,
              size_t place_count, struct arena *arena)
{
    struct edge *edges = arena_take_array(arena, place_count + 1, sizeof *edges);
    size_t *later_counts = arena_take_array(arena, count + 1, sizeof *later_counts);
    bool *denied = arena_take_array(arena, count + 1, sizeof *denied);
    size_t edge_count = 0;

    if (edges == NULL || later_counts == NULL || denied == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < place_count; n++) {
        assert(places[n].later < count && places[n].earlier < count);
        if (places[n].later != places[n].earlier) {
            edges[edge_count] = (struct edge){ places[n].later, places[n].earlier, true };
            edge_count++;
        }
    }
    open_rings(edges, edge_count, later_counts);
    take_places(statements, edges, edge_count, denied);
    return ERR_OK;
}

/* --- what governs --- */

static void
cover(struct consent *consent, enum consent_decision by)
{
    for (int scope = 1; scope <= CONSENT_SCOPES; scope++) {
        if (scope == CONSENT_COUNT_ONLY && consent->decisions[scope] == CONSENT_GRANTED) {
            continue;
        }
        consent->decisions[scope] = consent_stricter(consent->decisions[scope], by);
    }
}

static void
govern(struct consent *consent)
{
    for (size_t n = 0; n < consent->count; n++) {
        const struct consent_statement *statement = &consent->statements[n];

        for (int scope = 1; scope <= CONSENT_SCOPES; scope++) {
            uint32_t bit = CONSENT_BIT(scope);

            if ((statement->stands & bit) != 0) {
                consent->decisions[scope] =
                    (consent->said & bit) == 0
                        ? statement->decision
                        : consent_stricter(consent->decisions[scope], statement->decision);
                consent->said |= bit;
            }
        }
        if (statement->concern_stands) {
            consent->concern = true;
            consent->concern_hlc =
                statement->hlc > consent->concern_hlc ? statement->hlc : consent->concern_hlc;
        }
    }
    enum consent_decision whole = consent->decisions[CONSENT_RECORD_IN_SYSTEM];
    if (whole == CONSENT_REFUSED || whole == CONSENT_WITHDRAWN) {
        cover(consent, whole);
    }
}

enum err
consent_settle(struct consent_statement *statements, size_t count, const struct consent_place *places,
               size_t place_count, bool restricted, struct arena *arena, struct consent *consent)
{
    *consent = (struct consent){ .statements = statements, .count = count };
    for (int scope = 1; scope <= CONSENT_SCOPES; scope++) {
        consent->decisions[scope] = CONSENT_UNKNOWN;
    }
    for (size_t n = 0; n < count; n++) {
        struct consent_statement *statement = &statements[n];

        statement->stands = statement->scopes;
        statement->concern_stands = statement->concern == CONCERN_YES;
        if (statement->ended && statement->decision == CONSENT_GRANTED) {
            statement->decision = CONSENT_EXPIRED;
        }
    }
    enum err err = place_count == 0 ? ERR_OK : settle_places(statements, count, places, place_count, arena);
    if (err == ERR_OK) {
        govern(consent);
    }
    if (restricted) {
        cover(consent, CONSENT_WITHDRAWN);
    }
    return err;
}

enum err
consent_read(const struct codebook *codebook, const struct record_view *person, const struct edtf_day *today,
             struct arena *arena, struct consent *consent)
{
    struct fields fields;
    struct consent_statement *statements = NULL;
    struct consent_place *places = NULL;
    size_t count = 0;
    size_t place_count = 0;

    if (person != NULL && find_fields(codebook, person->kind, &fields)) {
        statements = arena_take_array(arena, person->element_count + 1, sizeof *statements);
        if (statements == NULL) {
            return ERR_MEMORY;
        }
        for (size_t n = 0; n < person->element_count; n++) {
            if (person->elements[n].collection == fields.collection->number) {
                read_statement(&fields, person, &person->elements[n], today, &statements[count]);
                count++;
            }
        }
        place_count = gather_places(statements, count, NULL);
        places = arena_take_array(arena, place_count + 1, sizeof *places);
        if (places == NULL) {
            return ERR_MEMORY;
        }
        (void)gather_places(statements, count, places);
    }
    return consent_settle(statements, count, places, place_count, person != NULL && person->restricted, arena,
                          consent);
}

/* The scope whose decision governs this one: of those that agree to more, the first that something was said of. */
static enum consent_scope
source_of(const struct consent *consent, enum consent_scope scope)
{
    if (scope == CONSENT_COUNT_ONLY && (consent->said & CONSENT_BIT(scope)) == 0) {
        scope = CONSENT_PUBLISH_ANONYMISED;
    }
    if (scope == CONSENT_PUBLISH_ANONYMISED && (consent->said & CONSENT_BIT(scope)) == 0) {
        scope = CONSENT_PUBLISH_NAMED;
    }
    return scope;
}

enum consent_decision
consent_governing(const struct consent *consent, enum consent_scope scope)
{
    assert(scope >= 1 && scope <= CONSENT_SCOPES);
    enum consent_decision wider = consent->decisions[source_of(consent, scope)];

    /* Who refuses more does not refuse less. */
    return wider == CONSENT_GRANTED ? wider : consent->decisions[scope];
}

bool
consent_made_by(const struct consent *consent, const struct consent_statement *statement,
                enum consent_scope scope)
{
    enum consent_decision governing = consent_governing(consent, scope);
    enum consent_scope from = governing == consent->decisions[scope] ? scope : source_of(consent, scope);
    uint32_t bits = CONSENT_BIT(from);

    if (governing == CONSENT_REFUSED || governing == CONSENT_WITHDRAWN) {
        bits |= CONSENT_BIT(CONSENT_RECORD_IN_SYSTEM);
    }
    return (statement->stands & bits) != 0 && statement->decision == governing;
}

uint32_t
consent_uses(const struct consent *consent, uint64_t no_harm_hlc)
{
    bool unseen = !consent->concern || no_harm_hlc > consent->concern_hlc;
    uint32_t uses = 0;

    if (consent_governing(consent, CONSENT_COUNT_ONLY) == CONSENT_GRANTED) {
        uses |= CONSENT_USE_COUNT;
    }
    if (unseen && consent_governing(consent, CONSENT_PUBLISH_ANONYMISED) == CONSENT_GRANTED) {
        uses |= CONSENT_USE_ANONYMISED;
    }
    if (consent_governing(consent, CONSENT_PUBLISH_NAMED) == CONSENT_GRANTED) {
        uses |= CONSENT_USE_NAMED;
    }
    return uses;
}

bool
consent_allows_withheld(const struct consent *consent)
{
    enum consent_decision decision = consent_governing(consent, CONSENT_COUNT_ONLY);

    return decision != CONSENT_REFUSED && decision != CONSENT_WITHDRAWN;
}

/* --- words --- */

static const char *
name_in(const struct codebook *codebook, const char *vocabulary_name, uint32_t number)
{
    for (size_t n = 0; n < codebook->vocabulary_count; n++) {
        const struct codebook_vocabulary *vocabulary = &codebook->vocabularies[n];
        const struct codebook_value *value =
            strcmp(vocabulary->name, vocabulary_name) == 0 ? codebook_value(vocabulary, number) : NULL;

        if (value != NULL) {
            return value->name;
        }
    }
    return "unknown here";
}

const char *
consent_scope_name(const struct codebook *codebook, enum consent_scope scope)
{
    return name_in(codebook, "consent_scope", scope);
}

const char *
consent_decision_name(const struct codebook *codebook, enum consent_decision decision)
{
    return name_in(codebook, "consent_decision", decision);
}
