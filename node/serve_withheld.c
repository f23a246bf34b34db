/* serve_withheld.c - who is left out of a report for consent or identifiability alone: DOMAIN (b.5), the statement R5. */
#include "node/call.h"
#include "node/casework/shown.h"
#include "node/casework/workflow.h"

#include "store/base/cbor.h"

#include <string.h>

enum { SMALL = 5, STATE_BYTES = 3 };

struct withheld {
    struct call *call;
    bool has_window;
    struct ident window;
    const char *language;
    struct buf persons;   /* ident of each that was counted */
    struct buf states;    /* STATE_BYTES of each */
    struct buf described; /* likewise, of cases that may be described */
    uint64_t individuals;
    uint64_t women;
    uint64_t youth;
    uint64_t groups;
    uint64_t cases;
};

/* Add the item unless it is there. False: it was. */
static bool
note_once(struct buf *seen, struct span item)
{
    for (size_t at = 0; at + item.size <= seen->size; at += item.size) {
        if (memcmp(seen->data + at, item.data, item.size) == 0) {
            return false;
        }
    }
    buf_put(seen, item.data, item.size);
    return true;
}

/* Is a text of this language cleared for publication? */
static bool
has_cleared_text(const struct withheld *withheld, const struct record_view *view,
                 const struct record_element *element)
{
    static const uint8_t yes[] = { 0xf5 };
    const struct record_target *language = shown_target(view, element, "narrative_public.language");
    const struct record_target *text = shown_target(view, element, "narrative_public.text");
    const struct record_target *cleared = shown_target(view, element, "narrative_public.cleared");

    if (language == NULL || language->shown_count != 1 || text == NULL || text->shown_count == 0 ||
        cleared == NULL || cleared->shown_count != 1 ||
        !span_equal(cleared->shown[0], span_of(yes, sizeof yes))) {
        return false;
    }
    struct cbor_reader in = cbor_reader_of(language->shown[0]);
    return cbor_peek(&in) == CBOR_TEXT && span_equal(cbor_read_text(&in), span_text(withheld->language));
}

/* A follow-up has a public text of its own. */
static bool
has_public_text(const struct withheld *withheld, const struct record_view *view,
                const struct record_element *element)
{
    const struct record_target *text = shown_target(view, element, "follow_up.public_text");

    for (size_t n = 0; text != NULL && n < text->shown_count; n++) {
        struct cbor_reader in = cbor_reader_of(text->shown[n]);

        if (cbor_peek(&in) == CBOR_ARRAY && cbor_read_array(&in) == 2 && cbor_peek(&in) == CBOR_TEXT &&
            span_equal(cbor_read_text(&in), span_text(withheld->language))) {
            return true;
        }
    }
    return false;
}

/* Everything of the gate formula (b.5) but consent. */
static bool
is_reportable(const struct withheld *withheld, const struct record_view *view)
{
    static const char *const out[] = { "duplicate_of", "out_of_scope", "excluded_scope",
                                       "excluded_unverified" };
    const struct codebook *codebook = withheld->call->codebook;
    const struct record_target *window = shown_target(view, NULL, "reporting_window");
    const char *verification = shown_code(codebook, shown_target(view, NULL, "verification"));
    const char *status = shown_code(codebook, shown_target(view, NULL, "status"));
    bool is_new = window != NULL && window->shown_count > 0 &&
                  (!withheld->has_window || shown_has_record(window, &withheld->window));
    bool earlier = false;
    bool followed = !withheld->has_window;
    bool cleared = false;
    bool followed_text = false;

    if (strcmp(shown_code(codebook, shown_target(view, NULL, "scope_decision")), "in_scope") != 0 ||
        (strcmp(verification, "corroborated") != 0 && strcmp(verification, "reasonable_grounds") != 0)) {
        return false;
    }
    for (size_t n = 0; n < sizeof out / sizeof out[0]; n++) {
        if (strcmp(status, out[n]) == 0) {
            return false;
        }
    }
    for (size_t n = 0; n < view->element_count; n++) {
        const struct record_element *element = &view->elements[n];

        if (shown_is_in(codebook, element, "earlier_report")) {
            earlier = true;
        } else if (shown_is_in(codebook, element, "narrative_public")) {
            cleared = cleared || has_cleared_text(withheld, view, element);
        } else if (shown_is_in(codebook, element, "follow_up")) {
            bool here = !withheld->has_window ||
                        shown_has_record(shown_target(view, element, "follow_up.window"), &withheld->window);

            followed = followed || here;
            followed_text = followed_text || (here && has_public_text(withheld, view, element));
        }
    }
    return (is_new && cleared) || (earlier && followed && (cleared || followed_text));
}

/* The States that are alleged to be responsible; where none is named, those where it happened. */
static void
note_states(struct buf *states, const struct codebook *codebook, const struct record_view *view)
{
    static const char *const names[] = { "country_alleged_responsible", "country_of_act" };
    bool any = false;

    for (size_t name = 0; name < 2 && !any; name++) {
        for (size_t n = 0; n < view->element_count; n++) {
            const struct record_element *element = &view->elements[n];
            const struct record_target *target =
                shown_is_in(codebook, element, names[name]) ? shown_target(view, element, names[name]) : NULL;

            for (size_t v = 0; target != NULL && v < target->shown_count; v++) {
                struct cbor_reader in = cbor_reader_of(target->shown[v]);
                struct span state = cbor_peek(&in) == CBOR_TEXT ? cbor_read_text(&in) : span_of(NULL, 0);

                if (state.size == STATE_BYTES) {
                    (void)note_once(states, state);
                    any = true;
                }
            }
        }
    }
}

static void
count_person(struct withheld *withheld, const struct party *party)
{
    const struct codebook *codebook = withheld->call->codebook;
    const char *unit = shown_code(codebook, shown_target(party->view, NULL, "counting_unit"));
    const char *gender = shown_code(codebook, shown_target(party->view, NULL, "gender"));
    const char *age = shown_code(codebook, shown_target(party->view, NULL, "age_group"));

    if (!note_once(&withheld->persons, ident_span(&party->id))) {
        return;
    }
    if (unit[0] != '\0' && strcmp(unit, "individual") != 0) {
        withheld->groups++;
        return;
    }
    withheld->individuals++;
    withheld->women += strcmp(gender, "woman") == 0;
    withheld->youth += strcmp(age, "child_under_18") == 0 || strcmp(age, "youth_18_24") == 0;
}

/* Who did not let himself be counted is not, and of whom nobody here knows anything nobody can say why he is left out. */
static bool
may_count(const struct party *party)
{
    return party->known && consent_allows_withheld(&party->consent);
}

/* A case that meets everything else: those of its persons who keep it out, or that it may be described. */
static bool
count_case(struct withheld *withheld, const struct replica_view *view)
{
    const struct workflow_save asked = { .codebook = withheld->call->codebook,
                                         .kind = view_kind(view),
                                         .view = view };
    const uint32_t described = CONSENT_USE_ANONYMISED | CONSENT_USE_NAMED;
    struct parties parties;
    bool kept_out = false;
    bool counted = false;

    if (!call_parties(withheld->call, &asked, &parties)) {
        return false;
    }
    uint64_t no_harm_hlc = call_no_harm(&asked);
    for (size_t n = 0; n < parties.count; n++) {
        if ((consent_uses(&parties.items[n].consent, no_harm_hlc) & described) == 0) {
            kept_out = true;
            if (may_count(&parties.items[n])) {
                count_person(withheld, &parties.items[n]);
                counted = true;
            }
        }
    }
    withheld->cases += counted;
    if (counted || !kept_out) {
        note_states(counted ? &withheld->states : &withheld->described, withheld->call->codebook, view->open);
    }
    return true;
}

/* --- which cases --- */

/* The number of a value of a coded field; 0: the codebook has none of this name. */
static uint32_t
code_number(const struct codebook *codebook, const struct codebook_field *field, const char *name)
{
    const struct codebook_vocabulary *vocabulary =
        field == NULL ? NULL : codebook_vocabulary(codebook, field->vocabulary);
    const struct codebook_value *value = vocabulary == NULL ? NULL : codebook_value_by_name(vocabulary, name);

    return value == NULL ? 0 : value->number;
}

/* Cases in scope whose facts are corroborated: by the index, so that few are read. */
static bool
gather_cases(struct call *call, struct buf *found)
{
    static const char *const verified[] = { "corroborated", "reasonable_grounds" };
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "case");
    const struct codebook_field *scope =
        kind == NULL ? NULL : codebook_field_by_name(call->codebook, kind->number, "scope_decision");
    const struct codebook_field *verification =
        kind == NULL ? NULL : codebook_field_by_name(call->codebook, kind->number, "verification");
    uint32_t in_scope = code_number(call->codebook, scope, "in_scope");

    for (size_t n = 0; n < sizeof verified / sizeof verified[0]; n++) {
        uint32_t code = code_number(call->codebook, verification, verified[n]);

        if (in_scope == 0 || code == 0) {
            continue;
        }
        const struct index_term terms[] = { { FIELD_KIND, number_token(call, kind->number) },
                                            { scope->number, number_token(call, in_scope) },
                                            { verification->number, number_token(call, code) } };
        if (!call_gather(call, terms, 3, found)) {
            return false;
        }
    }
    return true;
}

/* A case that is looked at and forgotten again. What cannot be read here says nothing. */
static bool
look_at_case(struct withheld *withheld, const struct named *named)
{
    struct call *call = withheld->call;
    struct record_view *view = NULL;
    enum err err = call_read_in_spite(call, named, &view);

    if (call->failed || err == ERR_MEMORY || err == ERR_IO) {
        call_fail(call, err, "", "%s", err_text(err));
        return false;
    }
    if (err != ERR_OK || view->restricted || !is_reportable(withheld, view)) {
        return true;
    }
    const struct replica_view whole = { .open = view };
    return count_case(withheld, &whole);
}

/* A number as this person may see it: a small one tells too much. */
static json_t *
figure(uint64_t count, bool whole)
{
    return whole || count == 0 || count >= SMALL ? json_integer((json_int_t)count)
                                                 : json_sprintf("fewer than %d", SMALL);
}

/* A part of a number, hidden too where the rest of it would be small. */
static json_t *
part_figure(uint64_t part, uint64_t all, bool whole)
{
    uint64_t rest = all - part;

    return !whole && (all < SMALL || (rest > 0 && rest < SMALL)) && all > 0 ? json_string("too few to say")
                                                                            : figure(part, whole);
}

/* How many States there are that no case which may be described names. */
static uint64_t
unnamed_states(struct withheld *withheld)
{
    uint64_t count = 0;

    for (size_t at = 0; at < withheld->states.size; at += STATE_BYTES) {
        count += note_once(&withheld->described, span_of(withheld->states.data + at, STATE_BYTES));
    }
    return count;
}

static bool
read_window(struct call *call, struct withheld *withheld)
{
    const char *window = call_text(call, "window");
    struct replica_view view;
    struct named named;

    if (call->failed || window == NULL) {
        return !call->failed;
    }
    if (!call_named(call, window, &named) || !call_view(call, &named, &view)) {
        return false;
    }
    if (strcmp(kind_name(call->codebook, view_kind(&view)), "reporting_window") != 0) {
        call_fail(call, ERR_INVALID, "vigil record list --kind reporting_window lists them",
                  "%.60s is no reporting window", window);
        return false;
    }
    withheld->has_window = true;
    withheld->window = named.record_id;
    return true;
}

void
call_consent_withheld(struct call *call)
{
    struct withheld withheld = { .call = call, .language = "eng" };
    const char *language = call_text(call, "language");
    struct buf found = { 0 };

    if (call->failed || !read_window(call, &withheld)) {
        return;
    }
    withheld.language = language == NULL ? withheld.language : language;
    bool whole = (call_roles(call) & (ROLE_REVIEW | ROLE_HEADQUARTERS)) != 0;
    bool good = gather_cases(call, &found);
    for (size_t n = 0; good && n < found.size / sizeof(struct named); n++) {
        struct named named = named_at(&found, n);

        good = look_at_case(&withheld, &named);
        arena_reset(&call->arena);
    }
    if (good && (withheld.persons.failed || withheld.states.failed || withheld.described.failed)) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        good = false;
    }
    if (good && whole) {
        good =
            call_audit(call, &(struct audit_event){ .what = AUDIT_UNSUPPRESSED,
                                                    .record = withheld.has_window ? &withheld.window : NULL,
                                                    .fields = "",
                                                    .filter = "kind=case",
                                                    .reason = "",
                                                    .count = withheld.cases });
    }
    if (good) {
        uint64_t states = withheld.states.size / STATE_BYTES;
        uint64_t unnamed = unnamed_states(&withheld);

        call_ok(call,
                json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b}", "persons", figure(withheld.individuals, whole),
                          "women", part_figure(withheld.women, withheld.individuals, whole), "youth",
                          part_figure(withheld.youth, withheld.individuals, whole), "groups",
                          figure(withheld.groups, whole), "cases", figure(withheld.cases, whole), "states",
                          figure(states, whole), "states_not_named", figure(unnamed, whole), "whole", whole));
    }
    buf_free(&withheld.persons);
    buf_free(&withheld.states);
    buf_free(&withheld.described);
    buf_free(&found);
}
