/* The tables are what somebody would count who looks at every record for every number: small worlds of cases, persons, what they
 * agreed to, links between them and count stubs are drawn, and each figure of each table is counted in the simplest way
 * there is. VIGIL_WORLDS=N draws so many. */
#include "tests/support/check.h"
#include "tests/support/summaries.h"

#include "node/casework/consent.h"
#include "node/casework/statistics.h"
#include "store/region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORLDS = 150, PERSONS = 9, CASES = 10, STUBS = 4, STATEMENTS = 3, FEW = 3, NAMES = 40, SLOTS = 400 };

/* Numbers of records; a person or a case is one of these and its place. */
enum { WINDOW = 1, BEFORE = 2, FIRST_PERSON = 10, FIRST_CASE = 30, FIRST_STUB = 50, NOBODY = 99 };

static uint64_t chance;

static uint32_t
below(uint32_t bound)
{
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((chance >> 33) % bound);
}

static bool
now_and_then(void)
{
    return below(3) == 0;
}

/* One of a list that ends with NULL; NULL now and then: nothing is said. */
static const char *
pick(const char *const *list)
{
    uint32_t count = 0;

    while (list[count] != NULL) {
        count++;
    }
    return list[below(count + 1)];
}

/* --- a world --- */

static const char *const units[] = {
    "individual", "individual", "individual", "family", "group_or_organisation", NULL
};
static const char *const genders[] = { "woman", "man", "non_binary", NULL };
static const char *const ages[] = { "adult", "youth_18_24", NULL };
static const char *const roles[] = { "lawyer", "witness", "academic", NULL };
static const char *const situations[] = { "detained", "safe", NULL };
static const char *const statuses[] = { "included_named", "included_named",      "counted_only",
                                        "follow_up",      "excluded_protection", "excluded_scope",
                                        "draft",          "withdrawn",           NULL };
static const char *const countries[] = { "KEN", "EGY", "COL", "FRA", "PSE", "TUR", NULL };
static const char *const types[] = { "detention", "killing", "travel_ban", "hate_speech", NULL };
static const char *const groups[] = { "liberty", "violence", "movement", "defamation",
                                      NULL }; /* of the types */
static const char *const stages[] = { "ongoing", "ended", NULL };
static const char *const bases[] = { "cybercrime", "counter_terrorism", NULL };
static const char *const actors[] = { "upr", "cat", "special_procedures", NULL };
static const char *const institutions[] = { "police", "mob_or_crowd", NULL };
static const char *const sides[] = { "state", "non_state", NULL };
static const char *const developments[] = { "release", "new_charge", NULL };
static const char *const verifications[] = { "allegation", "corroborated", NULL };
static const char *const yes_no[] = { "yes", "no", NULL };
static const char *const decisions[] = { "granted",   "granted", "granted", "refused",
                                         "withdrawn", "unknown", NULL };
static const char *const days[] = { "2025", "2026-04-30", "2026-05-01", "2030/..", NULL };

static const struct {
    const char *name;
    int scope;
} scopes[] = { { "record_in_system", CONSENT_RECORD_IN_SYSTEM },
               { "publish_named", CONSENT_PUBLISH_NAMED },
               { "publish_anonymised", CONSENT_PUBLISH_ANONYMISED },
               { "count_only", CONSENT_COUNT_ONLY },
               { "media", CONSENT_MEDIA } };

struct said {
    uint32_t scopes; /* bits by consent_scope */
    const char *decision;
    const char *until;
    int replaces; /* a statement before it; -1: none */
};

struct person {
    bool here;
    bool hidden;
    const char *unit;
    const char *gender;
    const char *age;
    const char *situation;
    const char *roles[2];
    uint32_t least;
    struct said statements[STATEMENTS];
    int statement_count;
    int same;     /* a person; -1: none */
    int not_same; /* likewise */
    int root;     /* whom it is counted under */
};

struct act {
    const char *type;
    const char *stage;
    const char *online;
    const char *basis;
    int victims[2]; /* persons; -1: none */
};

struct perpetrator {
    const char *institution;
    const char *side;
};

struct drawn_case {
    const char *status;
    uint32_t window; /* 0: none */
    bool earlier;
    bool conflict;
    bool transnational;
    uint32_t followed; /* the window of a follow-up; 0: none */
    const char *development;
    const char *verification;
    const char *states[2];
    const char *host;
    const char *actors[2];
    int source_count;
    struct act acts[FEW];
    int act_count;
    struct perpetrator perpetrators[2];
    int perpetrator_count;
    int victims[FEW]; /* persons; PERSONS: somebody who is not here */
    bool associated[FEW];
    int victim_count;
};

struct stub {
    uint32_t window;
    const char *country;
    int groups[2]; /* by place in groups[]; -1: none */
};

static struct person persons[PERSONS];
static struct drawn_case cases[CASES];
static struct stub stubs[STUBS];
static uint32_t window; /* that is counted; 0: all */

static void
draw_person(struct person *person, int n)
{
    *person = (struct person){ .here = below(8) != 0,
                               .hidden = below(8) == 0,
                               .unit = pick(units),
                               .gender = pick(genders),
                               .age = pick(ages),
                               .situation = pick(situations),
                               .roles = { pick(roles), pick(roles) },
                               .least = below(5),
                               .statement_count = (int)below(STATEMENTS + 1),
                               .same = below(4) == 0 ? (int)below(PERSONS) : -1,
                               .not_same = below(6) == 0 ? (int)below(PERSONS) : -1,
                               .root = n };
    for (int s = 0; s < person->statement_count; s++) {
        struct said *statement = &person->statements[s];

        *statement = (struct said){ .decision = pick(decisions), .until = pick(days), .replaces = -1 };
        statement->until = now_and_then() ? statement->until : NULL;
        for (size_t scope = 0; scope < sizeof scopes / sizeof scopes[0]; scope++) {
            statement->scopes |= now_and_then() ? CONSENT_BIT(scopes[scope].scope) : 0;
        }
        if (s > 0 && below(2) == 0) {
            statement->replaces = (int)below((uint32_t)s);
        }
    }
}

static void
draw_case(struct drawn_case *one)
{
    static const uint32_t windows[] = { 0, WINDOW, WINDOW, WINDOW, BEFORE };

    *one = (struct drawn_case){ .status = pick(statuses),
                                .window = windows[below(5)],
                                .earlier = now_and_then(),
                                .conflict = now_and_then(),
                                .transnational = now_and_then(),
                                .followed = now_and_then() ? 1 + below(2) : 0,
                                .development = pick(developments),
                                .verification = pick(verifications),
                                .states = { pick(countries), pick(countries) },
                                .host = pick(countries),
                                .actors = { pick(actors), pick(actors) },
                                .source_count = (int)below(4),
                                .act_count = (int)below(FEW + 1),
                                .perpetrator_count = (int)below(3),
                                .victim_count = (int)below(FEW + 1) };
    for (int n = 0; n < one->victim_count; n++) {
        one->victims[n] = (int)below(PERSONS + 1);
        one->associated[n] = below(5) == 0;
    }
    for (int n = 0; n < one->act_count; n++) {
        /* An act says at least what it was. */
        one->acts[n] = (struct act){ types[below(4)], pick(stages), pick(yes_no), pick(bases), { -1, -1 } };
        for (int v = 0; v < 2 && one->victim_count > 0; v++) {
            int victim = one->victims[below((uint32_t)one->victim_count)];

            one->acts[n].victims[v] = now_and_then() || victim == PERSONS ? -1 : victim;
        }
    }
    for (int n = 0; n < one->perpetrator_count; n++) {
        one->perpetrators[n] = (struct perpetrator){ institutions[below(2)], pick(sides) };
    }
}

static bool
is_known(int person)
{
    return person >= 0 && person < PERSONS && persons[person].here && !persons[person].hidden;
}

/* Whoever is linked is one, under the lowest number: drawn again until nothing changes. */
static void
link_persons(void)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int a = 0; a < PERSONS; a++) {
            int b = persons[a].same;

            if (!is_known(a) || !is_known(b) || persons[a].not_same == b || persons[b].not_same == a) {
                continue;
            }
            int root = persons[a].root < persons[b].root ? persons[a].root : persons[b].root;
            changed = changed || persons[a].root != root || persons[b].root != root;
            persons[a].root = root;
            persons[b].root = root;
        }
    }
}

static void
draw_world(uint64_t seed)
{
    chance = seed * 7919 + 1;
    for (int n = 0; n < PERSONS; n++) {
        draw_person(&persons[n], n);
    }
    link_persons();
    for (int n = 0; n < CASES; n++) {
        draw_case(&cases[n]);
    }
    for (int n = 0; n < STUBS; n++) {
        stubs[n] = (struct stub){ below(3), pick(countries), { (int)below(5) - 1, (int)below(5) - 1 } };
    }
}

/* --- the same as records --- */

static struct facts *facts;
static struct test_summary made;

static void
set(const char *field, int element, const char *text)
{
    if (text != NULL) {
        summary_set(&made, field, (uint8_t)element, text);
    }
}

static const char *
person_id(int person)
{
    return summary_id(person == PERSONS ? NOBODY : FIRST_PERSON + (uint32_t)person);
}

static void
put(void)
{
    ck_assert_int_eq(facts_put(facts, &made.summary), ERR_OK);
    summary_end(&made);
}

static void
put_person(const struct person *person, int no)
{
    summary_begin(&made, "person", FIRST_PERSON + (uint32_t)no);
    made.summary.restricted = person->hidden;
    set("counting_unit", 0, person->unit);
    set("gender", 0, person->gender);
    set("age_group", 0, person->age);
    set("current_situation", 0, person->situation);
    for (int n = 0; n < 2; n++) {
        set("roles", n + 1, person->roles[n]);
    }
    if (person->least > 0) {
        char text[12];

        (void)snprintf(text, sizeof text, "%u", person->least);
        set("number_of_persons", 0, text);
    }
    for (int n = 0; n < person->statement_count; n++) {
        const struct said *statement = &person->statements[n];

        for (size_t scope = 0; scope < sizeof scopes / sizeof scopes[0]; scope++) {
            if ((statement->scopes & CONSENT_BIT(scopes[scope].scope)) != 0) {
                set("consent.scope", n + 1, scopes[scope].name);
            }
        }
        set("consent.decision", n + 1, statement->decision);
        set("consent.valid_until", n + 1, statement->until);
        if (statement->replaces >= 0) {
            uint8_t id[ELEMENT_ID_BYTES] = { (uint8_t)(statement->replaces + 1) };
            char text[2 * ELEMENT_ID_BYTES + 1];

            bytes_hex(text, span_of(id, sizeof id));
            set("consent.replaces", n + 1, text);
        }
    }
    set("same_as.record", 1, person->same < 0 ? NULL : person_id(person->same));
    set("not_same_as.record", 1, person->not_same < 0 ? NULL : person_id(person->not_same));
    put();
}

static void
put_case(const struct drawn_case *one, int no)
{
    summary_begin(&made, "case", FIRST_CASE + (uint32_t)no);
    made.summary.conflict_count = one->conflict ? 1 : 0;
    set("status", 0, one->status);
    set("verification", 0, one->verification);
    set("transnational", 0, one->transnational ? "yes" : "no");
    set("reporting_window", 0, one->window == 0 ? NULL : summary_id(one->window));
    set("country_of_act", 1, one->host);
    set("earlier_report.symbol", 1, one->earlier ? "A/HRC/57/60" : NULL);
    set("follow_up.window", 1, one->followed == 0 ? NULL : summary_id(one->followed));
    set("follow_up.new_development", 1, one->followed == 0 ? NULL : one->development);
    for (int n = 0; n < 2; n++) {
        set("country_alleged_responsible", n + 1, one->states[n]);
        set("cooperation.un_actor", n + 1, one->actors[n]);
    }
    for (int n = 0; n < one->source_count; n++) {
        set("source_ref", n + 1, summary_id(90 + (uint32_t)n));
    }
    for (int n = 0; n < one->act_count; n++) {
        const struct act *act = &one->acts[n];

        set("act.type_of_act", n + 1, act->type);
        set("act.stage", n + 1, act->stage);
        set("act.online", n + 1, act->online);
        set("act.legal_basis", n + 1, act->basis);
        for (int v = 0; v < 2; v++) {
            set("act.victim", n + 1, act->victims[v] < 0 ? NULL : person_id(act->victims[v]));
        }
    }
    for (int n = 0; n < one->perpetrator_count; n++) {
        set("perpetrator.actor_type", n + 1, one->perpetrators[n].institution);
        set("perpetrator.state_or_non_state", n + 1, one->perpetrators[n].side);
    }
    for (int n = 0; n < one->victim_count; n++) {
        set("victim.person", n + 1, person_id(one->victims[n]));
        set("victim.part", n + 1, one->associated[n] ? "associated_person" : "alleged_victim");
    }
    put();
}

static void
put_window(uint32_t no, const char *from, const char *to)
{
    summary_begin(&made, "reporting_window", no);
    set("from", 0, from);
    set("to", 0, to);
    put();
}

static void
put_world(void)
{
    put_window(WINDOW, "2025-05-01", "2026-04-30");
    put_window(BEFORE, "2024-05-01", "2025-04-30");
    for (int n = 0; n < PERSONS; n++) {
        if (persons[n].here) {
            put_person(&persons[n], n);
        }
    }
    for (int n = 0; n < CASES; n++) {
        put_case(&cases[n], n);
    }
    for (int n = 0; n < STUBS; n++) {
        summary_begin(&made, "count_stub", FIRST_STUB + (uint32_t)n);
        set("reporting_window", 0, stubs[n].window == 0 ? NULL : summary_id(stubs[n].window));
        set("country", 0, stubs[n].country);
        for (int g = 0; g < 2; g++) {
            set("act_group", 0, stubs[n].groups[g] < 0 ? NULL : groups[stubs[n].groups[g]]);
        }
        put();
    }
}

/* --- what a case counts as --- */

static bool
is_one_of(const char *text, const char *const *list)
{
    for (size_t n = 0; text != NULL && list[n] != NULL; n++) {
        if (strcmp(text, list[n]) == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_of_window(const struct drawn_case *one)
{
    return window == 0 || one->window == window || one->followed == window;
}

static bool
is_followed(const struct drawn_case *one)
{
    return one->followed != 0 && (window == 0 || one->followed == window);
}

static const char *
standing_of(const struct drawn_case *one)
{
    if (is_one_of(one->status, (const char *const[]){ "included_named", "counted_only", NULL }) ||
        (one->earlier && is_one_of(one->status, (const char *const[]){ "follow_up", NULL }))) {
        return "counted";
    }
    return one->status == NULL                               ? "under_way"
           : strcmp(one->status, "excluded_protection") == 0 ? "withheld"
           : strcmp(one->status, "excluded_scope") == 0      ? "left_out"
           : strcmp(one->status, "withdrawn") == 0           ? "out_of_the_way"
                                                             : "under_way";
}

static bool
is_standing(const struct drawn_case *one, const char *standing)
{
    return strcmp(standing_of(one), standing) == 0;
}

/* --- what a person agreed to --- */

enum { NOTHING = 0, GRANTED, UNKNOWN, EXPIRED, REFUSED, WITHDRAWN }; /* ever more protective */

static int
rank_of(const struct said *statement)
{
    const char *decision = statement->decision;

    if (decision == NULL || strcmp(decision, "unknown") == 0) {
        return UNKNOWN;
    }
    if (strcmp(decision, "granted") == 0) {
        return is_one_of(statement->until, (const char *const[]){ "2025", "2026-04-30", NULL }) ? EXPIRED
                                                                                                : GRANTED;
    }
    return strcmp(decision, "refused") == 0 ? REFUSED : WITHDRAWN;
}

/* What stands of a scope in all records of the person. */
static int
said_of(int root, int scope)
{
    int said = NOTHING;

    for (int p = 0; p < PERSONS; p++) {
        const struct person *person = &persons[p];

        for (int s = 0; s < person->statement_count && is_known(p) && person->root == root; s++) {
            bool stands = (person->statements[s].scopes & CONSENT_BIT(scope)) != 0;

            for (int later = 0; later < person->statement_count; later++) {
                stands = stands && (person->statements[later].replaces != s ||
                                    (person->statements[later].scopes & CONSENT_BIT(scope)) == 0);
            }
            int rank = rank_of(&person->statements[s]);
            said = stands && rank > said ? rank : said;
        }
    }
    return said;
}

/* Who withdraws or refuses all of it withdraws or refuses this, unless he agreed to be counted. */
static int
decided_of(int root, int scope)
{
    int said = said_of(root, scope);
    int whole = said_of(root, CONSENT_RECORD_IN_SYSTEM);
    int decided = said == NOTHING ? UNKNOWN : said;

    return whole >= REFUSED && whole > decided && !(scope == CONSENT_COUNT_ONLY && said == GRANTED) ? whole
                                                                                                    : decided;
}

/* Who agrees to more agrees to less, where nothing was said of that. */
static int
governing_of(int root, int scope)
{
    int wider = scope;

    if (wider == CONSENT_COUNT_ONLY && said_of(root, wider) == NOTHING) {
        wider = CONSENT_PUBLISH_ANONYMISED;
    }
    if (wider == CONSENT_PUBLISH_ANONYMISED && said_of(root, wider) == NOTHING) {
        wider = CONSENT_PUBLISH_NAMED;
    }
    return decided_of(root, wider) == GRANTED ? GRANTED : decided_of(root, scope);
}

static bool
agrees(int root)
{
    return is_known(root) && governing_of(root, CONSENT_COUNT_ONLY) == GRANTED;
}

static bool
may_be_withheld(int root)
{
    return is_known(root) && governing_of(root, CONSENT_COUNT_ONLY) < REFUSED;
}

static const char *
anonymity_of(int root)
{
    return governing_of(root, CONSENT_PUBLISH_NAMED) == GRANTED        ? "may_be_named"
           : governing_of(root, CONSENT_PUBLISH_ANONYMISED) == GRANTED ? "asked_for"
                                                                       : "counted_only";
}

static bool
has_statement(int root)
{
    for (int p = 0; p < PERSONS; p++) {
        for (int s = 0; s < persons[p].statement_count && is_known(p) && persons[p].root == root; s++) {
            const struct said *statement = &persons[p].statements[s];

            if (statement->scopes != 0 || statement->decision != NULL || statement->until != NULL) {
                return true;
            }
        }
    }
    return false;
}

/* Is it a victim of the case, whoever of its records is named? */
static bool
is_victim(const struct drawn_case *one, int root)
{
    for (int n = 0; n < one->victim_count; n++) {
        if (one->victims[n] < PERSONS && persons[one->victims[n]].root == root && !one->associated[n]) {
            return true;
        }
    }
    return false;
}

/* --- one of those who are counted, in one case --- */

struct subject {
    const struct drawn_case *in; /* NULL: a count stub */
    const struct stub *stub;
    const struct act *act;                 /* NULL: it is no act */
    const struct perpetrator *perpetrator; /* likewise */
    int person;                            /* -1 */
    const char *state;                     /* NULL */
};

struct names {
    const char *items[NAMES];
    char texts[NAMES][8];
    size_t count;
};

static void
name(struct names *names, const char *text)
{
    ck_assert_uint_lt(names->count, NAMES);
    names->items[names->count] = text;
    names->count++;
}

static void
name_if(struct names *names, const char *text)
{
    if (text != NULL) {
        name(names, text);
    }
}

static void
name_region(struct names *names, uint16_t number)
{
    char *text = names->texts[names->count];

    (void)snprintf(text, sizeof names->texts[0], "%03u", number % 1000u);
    name(names, text);
}

static void
name_place(struct names *names, const char *country)
{
    if (country != NULL) {
        struct region region = region_of(country);

        name(names, country);
        name_region(names, region.subregion);
        name_region(names, region.region);
    }
}

static void
name_un_group(struct names *names, const char *country)
{
    static const struct {
        const char *country;
        const char *group;
    } members[] = { { "KEN", "african" },
                    { "EGY", "african" },
                    { "COL", "latin_american_and_caribbean" },
                    { "FRA", "western_european_and_others" },
                    { "TUR", "western_european_and_others" },
                    { "PSE", "none" } };

    for (size_t n = 0; country != NULL && n < sizeof members / sizeof members[0]; n++) {
        if (strcmp(members[n].country, country) == 0) {
            name(names, members[n].group);
        }
    }
}

static void
name_countries(struct names *names, const struct subject *subject,
               void (*add)(struct names *names, const char *country))
{
    if (subject->state != NULL) {
        add(names, subject->state);
    } else if (subject->in == NULL) {
        add(names, subject->stub->country);
    } else {
        add(names, subject->in->states[0]);
        add(names, subject->in->states[1]);
    }
}

static const char *
group_of(const char *type)
{
    size_t n = 0;

    while (strcmp(types[n], type) != 0) {
        n++;
    }
    return groups[n];
}

static bool
concerns(const struct subject *subject, const struct act *act)
{
    bool named = subject->person < 0;

    for (int v = 0; v < 2; v++) {
        named = named || (act->victims[v] >= 0 && persons[act->victims[v]].root == subject->person);
    }
    return subject->act == NULL ? named : subject->act == act;
}

static void
name_acts(struct names *names, const struct subject *subject, enum statistics_axis axis)
{
    for (int n = 0; subject->in == NULL && axis == AXIS_ACT && n < 2; n++) {
        name_if(names, subject->stub->groups[n] < 0 ? NULL : groups[subject->stub->groups[n]]);
    }
    for (int n = 0; subject->in != NULL && n < subject->in->act_count; n++) {
        const struct act *act = &subject->in->acts[n];

        if (!concerns(subject, act)) {
            continue;
        }
        if (axis == AXIS_ACT) {
            name(names, act->type);
            name(names, group_of(act->type));
        } else {
            const char *text = axis == AXIS_STAGE    ? act->stage
                               : axis == AXIS_ONLINE ? act->online
                                                     : act->basis;

            /* A legal basis may be left out of one act and be said of another. */
            name_if(names, text == NULL && axis != AXIS_BASIS ? "not_recorded" : text);
        }
    }
}

static void
name_anonymity(struct names *names, const struct subject *subject)
{
    for (int root = 0; root < PERSONS && subject->in != NULL; root++) {
        bool here = subject->person < 0 ? persons[root].root == root && is_victim(subject->in, root)
                                        : root == subject->person;

        if (here && (subject->person >= 0 || agrees(root))) {
            name(names, anonymity_of(root));
        }
    }
}

static bool
recurs(const char *country)
{
    for (int n = 0; n < CASES; n++) {
        const struct drawn_case *one = &cases[n];
        bool over = window == WINDOW && one->window == BEFORE && !is_of_window(one);

        if (is_standing(one, "counted") &&
            is_one_of(country, (const char *const[]){ one->states[0], NULL }) +
                    is_one_of(country, (const char *const[]){ one->states[1], NULL }) >
                0 &&
            (over || (is_of_window(one) && one->earlier))) {
            return true;
        }
    }
    return false;
}

static void
name_two(struct names *names, const char *const two[2])
{
    name_if(names, two[0]);
    name_if(names, two[1]);
}

static const char *
many(int count)
{
    return count == 0 ? NULL : count == 1 ? "one" : "several";
}

static void
name_of_case(struct names *names, const struct drawn_case *one, enum statistics_axis axis)
{
    bool twice =
        one->actors[0] != NULL && one->actors[1] != NULL && strcmp(one->actors[0], one->actors[1]) != 0;
    bool any = one->actors[0] != NULL || one->actors[1] != NULL;

    switch (axis) {
    case AXIS_PHASE:
        name(names, one->earlier || (window != 0 && one->window != window) ? "follow_up" : "new");
        break;
    case AXIS_HOST:
        name_if(names, one->host);
        break;
    case AXIS_UN_ACTOR:
        name_two(names, one->actors);
        break;
    case AXIS_ACTOR_COUNT:
        name_if(names, many(any + twice));
        break;
    case AXIS_DEVELOPMENT:
        name_if(names, is_followed(one) ? one->development : NULL);
        break;
    case AXIS_VERIFICATION:
        name_if(names, one->verification);
        break;
    case AXIS_SOURCES:
        name_if(names, many(one->source_count));
        break;
    case AXIS_CONFLICT:
        name(names, one->conflict ? "open" : "none");
        break;
    case AXIS_STANDING:
        name(names, standing_of(one));
        break;
    default:
        break; /* days are drawn of none */
    }
}

static void
name_of_person(struct names *names, const struct subject *subject, enum statistics_axis axis)
{
    const struct person *person = &persons[subject->person];

    switch (axis) {
    case AXIS_ROLE:
        name_two(names, person->roles);
        break;
    case AXIS_GENDER:
        name_if(names, person->gender);
        break;
    case AXIS_AGE:
        name_if(names, person->age);
        break;
    case AXIS_SITUATION:
        name_if(names, person->situation);
        break;
    case AXIS_CONSENT:
        name_if(names, agrees(subject->person)          ? "agreed"
                       : has_statement(subject->person) ? "not_agreed"
                                                        : NULL);
        break;
    default:
        break;
    }
}

/* All that the subject is on an axis. */
static void
name_all(struct names *names, const struct subject *subject, enum statistics_axis axis)
{
    names->count = 0;
    switch (axis) {
    case AXIS_PLACE:
        name_countries(names, subject, name_place);
        break;
    case AXIS_STATE:
        name_countries(names, subject, name_if);
        break;
    case AXIS_UN_GROUP:
        name_countries(names, subject, name_un_group);
        break;
    case AXIS_RECURRENCE:
        name_if(names, recurs(subject->state) ? "recurs" : NULL);
        break;
    case AXIS_ACT:
    case AXIS_STAGE:
    case AXIS_ONLINE:
    case AXIS_BASIS:
        name_acts(names, subject, axis);
        break;
    case AXIS_ANONYMITY:
        name_anonymity(names, subject);
        break;
    case AXIS_PERPETRATOR:
        name_if(names, subject->perpetrator->institution);
        break;
    case AXIS_SIDE:
        name_if(names, subject->perpetrator->side);
        break;
    default:
        if (subject->in != NULL) {
            name_of_case(names, subject->in, axis);
        }
        if (subject->person >= 0) {
            name_of_person(names, subject, axis);
        } else if (subject->in == NULL && axis == AXIS_CONSENT) {
            name(names, "agreed");
        }
        break;
    }
    if (names->count == 0) {
        name(names, "not_recorded");
    }
    name(names, "all");
}

/* --- each figure --- */

static struct statistics *statistics;

/* Whoever is the same counts once in a cell: by a number of the subject. */
struct met {
    uint64_t identity;
    uint64_t weight;
    bool on[STATISTICS_AXES][SLOTS];
};

static struct met met[2000];
static size_t met_count;

static void
meet(size_t cube_no, const struct statistics_cube *cube, const struct subject *subject, uint64_t identity,
     uint64_t weight)
{
    struct met *one = &met[met_count];
    struct names names;

    ck_assert_uint_lt(met_count, sizeof met / sizeof met[0]);
    memset(one, 0, sizeof *one);
    one->identity = identity;
    one->weight = weight;
    for (size_t axis = 0; axis < cube->axis_count; axis++) {
        name_all(&names, subject, (enum statistics_axis)cube->axes[axis].axis);
        for (size_t slot = 0; slot < statistics_slot_count(statistics, cube_no, axis); slot++) {
            const char *text = statistics_slot(statistics, cube_no, axis, slot)->name;

            for (size_t n = 0; n < names.count; n++) {
                one->on[axis][slot] = one->on[axis][slot] || strcmp(names.items[n], text) == 0;
            }
        }
    }
    met_count++;
}

static bool
is_of_base(const struct drawn_case *one, enum statistics_base base)
{
    bool counted = is_standing(one, "counted");

    return is_of_window(one) && (base == BASE_WINDOW || (base == BASE_COUNTED && counted) ||
                                 (base == BASE_TRANSNATIONAL && counted && one->transnational) ||
                                 (base == BASE_FOLLOWED && counted && is_followed(one)));
}

static bool
counts_person(const struct drawn_case *one, int root, enum statistics_base base)
{
    bool counted = is_standing(one, "counted");

    if (!is_of_window(one) || !is_victim(one, root)) {
        return false;
    }
    switch (base) {
    case BASE_COUNTED:
        return counted && agrees(root);
    case BASE_WITHHELD:
        return may_be_withheld(root) && (is_standing(one, "withheld") || (counted && !agrees(root)));
    case BASE_ASKED:
        return counted && may_be_withheld(root);
    default:
        ck_abort_msg("no persons are counted by base %d", base);
        return false;
    }
}

static enum statistics_unit
unit_of(int root)
{
    const char *unit = persons[root].unit;

    return unit == NULL                                 ? UNIT_UNSAID
           : strcmp(unit, "individual") == 0            ? UNIT_INDIVIDUALS
           : strcmp(unit, "group_or_organisation") == 0 ? UNIT_ORGANISATIONS
                                                        : UNIT_GROUPS;
}

static bool
is_counted_as(int root, enum statistics_unit unit)
{
    enum statistics_unit own = unit_of(root);

    return own == unit || (unit == UNIT_IN_GROUPS && (own == UNIT_GROUPS || own == UNIT_ORGANISATIONS));
}

static bool
has_withheld(const struct drawn_case *one)
{
    bool any = false;

    for (int root = 0; root < PERSONS; root++) {
        any = any || (persons[root].root == root && counts_person(one, root, BASE_WITHHELD));
    }
    return any;
}

static uint64_t
number_of_state(const char *state)
{
    uint64_t n = 0;

    while (strcmp(countries[n], state) != 0) {
        n++;
    }
    return n;
}

static void
meet_in_case(size_t cube_no, const struct statistics_cube *cube, const struct drawn_case *one)
{
    struct subject subject = { .in = one, .person = -1 };
    uint64_t no = (uint64_t)(one - cases);

    if (cube->unit == UNIT_CASES && is_of_base(one, cube->base)) {
        meet(cube_no, cube, &subject, no, 1);
    }
    for (int n = 0; n < one->act_count && cube->unit == UNIT_ACTS && is_of_base(one, cube->base); n++) {
        subject.act = &one->acts[n];
        meet(cube_no, cube, &subject, no * FEW + (uint64_t)n, 1);
    }
    for (int n = 0;
         n < one->perpetrator_count && cube->unit == UNIT_PERPETRATORS && is_of_base(one, cube->base); n++) {
        subject.perpetrator = &one->perpetrators[n];
        meet(cube_no, cube, &subject, no * FEW + (uint64_t)n, 1);
    }
    bool states = cube->base == BASE_WITHHELD ? has_withheld(one) : is_of_base(one, cube->base);
    for (int n = 0; n < 2 && cube->unit == UNIT_STATES && states; n++) {
        subject.state = one->states[n];
        if (subject.state != NULL) {
            meet(cube_no, cube, &subject, number_of_state(subject.state), 1);
        }
    }
}

static void
meet_all(size_t cube_no, const struct statistics_cube *cube)
{
    bool of_persons = cube->unit >= UNIT_INDIVIDUALS && cube->unit <= UNIT_UNSAID;

    met_count = 0;
    for (int c = 0; c < CASES; c++) {
        for (int root = 0; root < PERSONS && of_persons; root++) {
            if (persons[root].root == root && is_counted_as(root, cube->unit) &&
                counts_person(&cases[c], root, cube->base)) {
                meet(cube_no, cube, &(struct subject){ .in = &cases[c], .person = root }, (uint64_t)root,
                     cube->unit == UNIT_IN_GROUPS ? persons[root].least : 1);
            }
        }
        if (!of_persons) {
            meet_in_case(cube_no, cube, &cases[c]);
        }
    }
    bool stubs_count =
        cube->unit == UNIT_INDIVIDUALS && (cube->base == BASE_COUNTED || cube->base == BASE_ASKED);
    for (int n = 0; n < STUBS && stubs_count; n++) {
        if (window == 0 || stubs[n].window == window) {
            meet(cube_no, cube, &(struct subject){ .stub = &stubs[n], .person = -1 }, PERSONS + (uint64_t)n,
                 1);
        }
    }
}

static uint64_t
count_cell(const struct statistics_cube *cube, const uint16_t slots[STATISTICS_AXES])
{
    uint64_t count = 0;

    for (size_t n = 0; n < met_count; n++) {
        bool in = true;
        bool again = false;

        for (size_t axis = 0; axis < cube->axis_count; axis++) {
            in = in && met[n].on[axis][slots[axis]];
        }
        for (size_t before = 0; before < n && in && !again; before++) {
            again = met[before].identity == met[n].identity;
            for (size_t axis = 0; axis < cube->axis_count; axis++) {
                again = again && met[before].on[axis][slots[axis]];
            }
        }
        count += in && !again ? met[n].weight : 0;
    }
    return count;
}

/* Gives the sum of all figures, so that worlds in which nothing is counted are found out. */
static uint64_t
check_cube(size_t cube_no, const struct statistics_cube *cube, uint64_t seed)
{
    uint16_t slots[STATISTICS_AXES] = { 0 };
    uint64_t sum = 0;

    meet_all(cube_no, cube);
    for (bool more = true; more;) {
        struct statistics_cell cell = statistics_cell(statistics, cube_no, slots);
        uint64_t counted = count_cell(cube, slots);

        if (cell.count != counted || cell.hidden) {
            char where[300] = "";

            for (size_t axis = 0; axis < cube->axis_count; axis++) {
                size_t size = strlen(where);

                (void)snprintf(where + size, sizeof where - size, " %s",
                               statistics_slot(statistics, cube_no, axis, slots[axis])->name);
            }
            ck_abort_msg("world %llu, window %u: %s %s,%s: %llu, not %llu", (unsigned long long)seed, window,
                         cube->table, cube->title, where, (unsigned long long)cell.count,
                         (unsigned long long)counted);
        }
        sum += counted;
        more = false;
        for (size_t axis = 0; axis < cube->axis_count && !more; axis++) {
            slots[axis]++;
            more = slots[axis] < statistics_slot_count(statistics, cube_no, axis);
            slots[axis] = more ? slots[axis] : 0;
        }
    }
    return sum;
}

static uint64_t
check_world(uint64_t seed)
{
    struct ident id = summary_ident(window);
    size_t cube_count;
    const struct statistics_cube *cubes = statistics_cubes(&cube_count);
    uint64_t sum = 0;

    ck_assert_int_eq(statistics_new(&statistics, facts,
                                    &(struct statistics_options){
                                        .codebook = codebook_reprisals(),
                                        .window = window == 0 ? 0 : facts_name(facts, &id),
                                        .as_of_day = fact_day(2026, 5, 1),
                                    }),
                     ERR_OK);
    for (size_t n = 0; n < cube_count; n++) {
        sum += check_cube(n, &cubes[n], seed);
    }
    statistics_free(&statistics);
    return sum;
}

START_TEST(every_figure_is_what_one_counts_by_hand)
{
    static const uint32_t windows[] = { WINDOW, BEFORE, 0 };
    const char *more = getenv("VIGIL_WORLDS");
    uint64_t worlds = more == NULL ? WORLDS : strtoull(more, NULL, 10);
    uint64_t sum = 0;

    for (uint64_t seed = 1; seed <= worlds; seed++) {
        facts = facts_new();
        ck_assert_ptr_nonnull(facts);
        ck_assert_int_eq(facts_begin(facts, codebook_reprisals()), ERR_OK);
        draw_world(seed);
        put_world();
        window = windows[seed % 3];
        sum += check_world(seed);
        facts_free(&facts);
    }
    ck_assert_uint_gt(sum, 100 * worlds);
}
END_TEST

SUITE_MAIN("statistics by hand", every_figure_is_what_one_counts_by_hand)
