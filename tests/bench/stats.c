#include "tests/bench/bench.h"
#include "tests/bench/scene.h"

#include "node/casework/statistics.h"
#include "store/base/cbor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_MAX = 64, RECORDS_A_TURN = 500, COUNTRIES = 20 };

/* What one save says. */
struct draft {
    const struct codebook *codebook;
    uint32_t kind;
    struct buf values[OPS_MAX];
    struct save_op ops[OPS_MAX];
    size_t count;
};

static void
put_op(struct draft *draft, uint32_t code, const struct target *target)
{
    draft->ops[draft->count] = (struct save_op){ .code = code, .target = *target };
    if (code == OP_SET) {
        draft->ops[draft->count].value = buf_span(&draft->values[draft->count]);
    }
    draft->count++;
}

static const struct codebook_kind *
draft_begin(struct draft *draft, const char *kind)
{
    const struct codebook_kind *found = codebook_kind_by_name(draft->codebook, kind);

    draft->kind = found->number;
    for (size_t n = 0; n < OPS_MAX; n++) {
        buf_clear(&draft->values[n]);
    }
    draft->count = 0;
    cbor_put_uint(&draft->values[0], found->number);
    put_op(draft, OP_SET, &(struct target){ .field = FIELD_KIND });
    return found;
}

/* An element of a collection, by a number within the record. */
static struct target
element_of(uint32_t collection, uint8_t element)
{
    return (struct target){ .collection = collection, .element = { collection == 0 ? 0 : element } };
}

static void
add(struct draft *draft, const char *name, uint8_t element)
{
    const struct codebook_collection *found = codebook_collection_by_name(draft->codebook, draft->kind, name);
    struct target target = element_of(found->number, element);

    put_op(draft, OP_ADD, &target);
}

static void
set(struct draft *draft, const char *name, uint8_t element, const char *text)
{
    const struct codebook_field *field = codebook_field_by_name(draft->codebook, draft->kind, name);
    struct target target = element_of(field->collection, element);

    if (codebook_parse(draft->codebook, field, text, &draft->values[draft->count], NULL) != ERR_OK) {
        (void)fprintf(stderr, "bench: %s cannot be %s\n", name, text);
        abort();
    }
    target.field = field->number;
    put_op(draft, OP_SET, &target);
}

static void
pick(struct draft *draft, const char *name, uint8_t element, const char *const *values, uint64_t n)
{
    size_t count = 0;

    while (values[count] != NULL) {
        count++;
    }
    set(draft, name, element, values[n % count]);
}

static void
make_person(struct draft *draft, uint64_t n)
{
    static const char *const units[] = { "individual", "individual", "individual", "group_or_organisation",
                                         NULL };
    static const char *const genders[] = { "woman", "man", "woman", "man", "unknown", NULL };
    static const char *const ages[] = { "adult", "youth_18_24", "adult", "older_60_plus", NULL };
    static const char *const roles[] = {
        "human_rights_defender", "journalist_media", "lawyer", "witness", "civil_society_staff", NULL
    };
    char text[32];

    (void)draft_begin(draft, "person");
    (void)snprintf(text, sizeof text, "P%" PRIu64, n);
    set(draft, "pseudonym", 0, text);
    pick(draft, "counting_unit", 0, units, n);
    pick(draft, "gender", 0, genders, n / 3);
    pick(draft, "age_group", 0, ages, n / 7);
    add(draft, "roles", 1);
    pick(draft, "roles", 1, roles, n / 11);
    add(draft, "name", 1);
    set(draft, "name.text", 1, text); /* in a protected half, which is met and left */
    add(draft, "consent", 1);
    set(draft, "consent.scope", 1, n % 4 == 0 ? "publish_named" : "publish_anonymised");
    set(draft, "consent.decision", 1, n % 9 == 0 ? "refused" : "granted");
}

static void
put_id(char text[2 * IDENT_BYTES + 1], const struct ident *id)
{
    bytes_hex(text, ident_span(id));
}

static void
make_case(struct draft *draft, uint64_t n, const struct ident *window, const struct ident *person)
{
    static const char *const countries[] = { "KEN", "COL", "LBN", "PHL", "MEX", "EGY", "IND",
                                             "TUR", "NIC", "GTM", "HND", "VNM", "RUS", "BLR",
                                             "TZA", "UGA", "BDI", "COD", "IRN", "SAU", NULL };
    static const char *const states[] = { "included_named", "included_anonymised", "counted_only",
                                          "follow_up",      "hq_review",           NULL };
    static const char *const acts[] = { "detention",
                                        "death_threat",
                                        "travel_ban",
                                        "smear_or_stigmatisation",
                                        "criminal_charges",
                                        "online_harassment_or_doxxing",
                                        NULL };
    static const char *const actors[] = { "special_procedures", "upr", "cat", "human_rights_council", NULL };
    static const char *const types[] = { "police", "judiciary_or_prosecution", "mob_or_crowd", NULL };
    static const char *const kinds[] = { "state", "state", "non_state", NULL };
    char text[2 * IDENT_BYTES + 1];

    (void)draft_begin(draft, "case");
    (void)snprintf(text, sizeof text, "KEN-2026-%04" PRIu64, n);
    set(draft, "number", 0, text);
    set(draft, "title", 0, "A case of the bench");
    pick(draft, "status", 0, states, n);
    set(draft, "urgency", 0, "routine");
    set(draft, "verification", 0, "corroborated");
    set(draft, "kind", 0, "individual_case");
    set(draft, "transnational", 0, n % 13 == 0 ? "yes" : "no");
    put_id(text, window);
    set(draft, "reporting_window", 0, text);
    add(draft, "country_of_act", 1);
    pick(draft, "country_of_act", 1, countries, n * 7);
    add(draft, "country_alleged_responsible", 1);
    pick(draft, "country_alleged_responsible", 1, countries, n % 13 == 0 ? n : n * 7);
    add(draft, "victim", 1);
    put_id(text, person);
    set(draft, "victim.person", 1, text);
    for (uint8_t act = 1; act <= 2; act++) {
        char date[16];

        add(draft, "act", act);
        pick(draft, "act.type_of_act", act, acts, n / 5 + act);
        (void)snprintf(date, sizeof date, "2025-%02" PRIu64 "-%02" PRIu64, 1 + n % 12, 1 + n % 28);
        set(draft, "act.date_from", act, date);
        set(draft, "act.online", act, n % 6 == 0 ? "yes" : "no");
        set(draft, "act.victim", act, text);
    }
    add(draft, "perpetrator", 1);
    pick(draft, "perpetrator.actor_type", 1, types, n / 2);
    pick(draft, "perpetrator.state_or_non_state", 1, kinds, n / 2);
    add(draft, "cooperation", 1);
    pick(draft, "cooperation.un_actor", 1, actors, n / 3);
    add(draft, "action", 1);
    set(draft, "action.actor_side", 1, "un");
    set(draft, "action.by_un", 1, "urgent_appeal");
    set(draft, "action.date", 1, "2026-02-03");
    if (n % 5 == 3) {
        add(draft, "earlier_report", 1);
        set(draft, "earlier_report.symbol", 1, "A/HRC/57/60");
    }
}

static enum err
save(struct replica *replica, const struct ident *compartment, const struct draft *draft,
     struct ident *record_out)
{
    struct saved saved = { 0 };
    size_t op;
    enum err err = replica_save(replica,
                                &(struct save){ .compartment = *compartment,
                                                .create = true,
                                                .actor = 1,
                                                .ops = draft->ops,
                                                .op_count = draft->count },
                                &saved, &op);

    *record_out = saved.record_id;
    return err;
}

/* A window, and as many cases with a person each as are asked for. */
static bool
make_records(struct replica *replica, const struct ident *compartment, uint64_t count,
             struct ident *window_out)
{
    static struct draft draft;
    struct ident id;
    bool good = true;

    draft.codebook = replica_codebook(replica);
    for (uint64_t n = 0; good && n < count;) {
        uint64_t end = n + RECORDS_A_TURN < count ? n + RECORDS_A_TURN : count;
        enum err err = replica_begin(replica);

        if (err == ERR_OK && n == 0) {
            (void)draft_begin(&draft, "reporting_window");
            set(&draft, "from", 0, "2025-05-01");
            set(&draft, "to", 0, "2026-04-30");
            err = save(replica, compartment, &draft, window_out);
        }
        for (uint64_t at = n; err == ERR_OK && at < end; at++) {
            make_person(&draft, at);
            err = save(replica, compartment, &draft, &id);
            if (err == ERR_OK) {
                make_case(&draft, at, window_out, &id);
                err = save(replica, compartment, &draft, &id);
            }
        }
        if (err == ERR_OK) {
            err = replica_commit(replica);
        }
        /* A full map grows with the next turn. */
        if (err == ERR_FULL) {
            good = replica_abort(replica) == ERR_OK;
        } else {
            good = err == ERR_OK;
            n = end;
        }
    }
    for (size_t n = 0; n < OPS_MAX; n++) {
        buf_free(&draft.values[n]);
    }
    return good;
}

/* Processor time beside: on a machine that others use too, the clock tells of them. */
static void
report(const char *what, double start, double processor, double limit_ms)
{
    double seconds = bench_now() - start;

    bench_report(&(struct figure){
        .what = what, .measured = seconds * 1000, .unit = "ms", .bound = AT_MOST, .limit = limit_ms });
    bench_note("%.1f ms of one processor", (bench_processor() - processor) * 1000);
}

static bool
count(struct statistics **statistics, struct facts *facts, const struct replica *replica,
      const struct ident *window)
{
    statistics_free(statistics);
    return statistics_new(statistics, facts,
                          &(struct statistics_options){ .codebook = replica_codebook(replica),
                                                        .window = facts_name(facts, window),
                                                        .as_of_day = fact_day(2026, 5, 1),
                                                        .threshold = STATISTICS_THRESHOLD }) == ERR_OK;
}

static enum err
read_facts(struct facts *facts, struct replica *replica)
{
    enum err err = ERR_OK;

    while (err == ERR_OK) {
        err = facts_read(facts, replica, 0);
    }
    return err == ERR_ABSENT ? ERR_OK : err;
}

/* All cells of all tables, as a table is shown. */
static uint64_t
look_at_all(const struct statistics *statistics)
{
    uint64_t sum = 0;

    for (size_t n = 0; n < statistics_cell_count(statistics); n++) {
        struct statistics_cell cell = statistics_cell_at(statistics, n);

        sum += cell.hidden ? 0 : cell.count;
    }
    return sum;
}

static void
measure(struct bench *bench, struct replica *replica, const struct ident *window)
{
    struct facts *facts = facts_new();
    struct statistics *statistics = NULL;
    uint64_t memory = bench_anonymous_bytes();
    char what[96];

    double start = bench_now();
    double processor = bench_processor();
    if (facts == NULL || read_facts(facts, replica) != ERR_OK ||
        !count(&statistics, facts, replica, window)) {
        bench_fail(bench, "the tables could not be made");
        facts_free(&facts);
        return;
    }
    (void)snprintf(what, sizeof what, "13 tables, cold: %" PRIu64 " cases, a person each", bench->cases);
    report(what, start, processor, 2000);
    bench_note("%.0f B of memory a case; %" PRIu64 " small numbers, %" PRIu64 " left out for them",
               (double)(bench_anonymous_bytes() - memory) / (double)bench->cases,
               statistics_small_count(statistics), statistics_guarding_count(statistics));
    start = bench_now();
    processor = bench_processor();
    uint64_t sum = look_at_all(statistics);
    report("13 tables again, warm", start, processor, 100);
    if (sum == 0) {
        bench_fail(bench, "nothing was counted");
    }
    start = bench_now();
    processor = bench_processor();
    if (!count(&statistics, facts, replica, window)) {
        bench_fail(bench, "the tables could not be made");
    }
    bench_note("counted again after a change: %.0f ms, %.0f ms of one processor",
               (bench_now() - start) * 1000, (bench_processor() - processor) * 1000);
    statistics_free(&statistics);
    facts_free(&facts);
}

void
stats_measure(struct bench *bench)
{
    struct scene scene;
    struct ident window;

    if (!scene_make(&scene, bench)) {
        return;
    }
    struct ident compartment = scene_compartment(&scene);
    struct replica *replica = scene_copy(&scene, bench, 0, "stats", codebook_reprisals());
    if (replica != NULL && make_records(replica, &compartment, bench->cases, &window)) {
        measure(bench, replica, &window);
    } else {
        bench_fail(bench, "the cases could not be made");
    }
    replica_close(&replica);
    scene_free(&scene);
}
