#include "tests/bench/bench.h"
#include "tests/bench/scene.h"

#include "store/base/cbor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CASE_KIND = 1, PAGE = 50, ROUNDS = 9, COUNTRIES = 20, MONTHS = 60, CASES_A_TURN = 500, OPS = 6 };

static const char *const countries[COUNTRIES] = { "KEN", "COL", "LBN", "PHL", "MEX", "EGY", "IND",
                                                  "TUR", "NIC", "GTM", "HND", "VNM", "RUS", "BLR",
                                                  "TZA", "UGA", "BDI", "COD", "IRN", "SAU" };

/* A case as the reprisals codebook has it: one country where it happened, one action with its date. */
struct draft {
    struct buf values[OPS];
    struct save_op ops[OPS];
    size_t count;
};

static void
put_op(struct draft *draft, const struct codebook_field *field, uint32_t collection)
{
    struct buf *value = &draft->values[draft->count];

    draft->ops[draft->count++] = (struct save_op){
        .code = field == NULL ? OP_ADD : OP_SET,
        .target = { .collection = collection,
                    .element = { collection == 0 ? 0 : 1 },
                    .field = field == NULL ? 0 : field->number },
        .value = field == NULL ? span_of(NULL, 0) : buf_span(value),
    };
}

struct fields {
    const struct codebook_field *country;
    const struct codebook_field *date;
};

static void
draft_make(struct draft *draft, const struct fields *fields, uint64_t n)
{
    char date[16];

    draft->count = 0;
    for (size_t op = 0; op < OPS; op++) {
        buf_clear(&draft->values[op]);
    }
    cbor_put_uint(&draft->values[0], CASE_KIND);
    draft->ops[draft->count++] = (struct save_op){ .code = OP_SET,
                                                   .target = { .field = FIELD_KIND },
                                                   .value = buf_span(&draft->values[0]) };
    put_op(draft, NULL, fields->country->collection);
    cbor_put_text(&draft->values[draft->count], span_text(countries[n * 7 % COUNTRIES]));
    put_op(draft, fields->country, fields->country->collection);
    put_op(draft, NULL, fields->date->collection);
    (void)snprintf(date, sizeof date, "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64, 2021 + n * 11 % MONTHS / 12,
                   1 + n * 11 % MONTHS % 12, 1 + n % 28);
    cbor_put_text(&draft->values[draft->count], span_text(date));
    put_op(draft, fields->date, fields->date->collection);
}

static bool
make_cases(struct replica *replica, const struct ident *compartment, const struct fields *fields,
           uint64_t count)
{
    struct draft draft = { 0 };
    bool good = true;

    for (uint64_t n = 0; good && n < count;) {
        uint64_t end = n + CASES_A_TURN < count ? n + CASES_A_TURN : count;
        enum err err = replica_begin(replica);
        for (uint64_t at = n; err == ERR_OK && at < end; at++) {
            struct saved saved;
            size_t op;
            draft_make(&draft, fields, at);
            err = replica_save(replica,
                               &(struct save){ .compartment = *compartment,
                                               .create = true,
                                               .actor = 1,
                                               .ops = draft.ops,
                                               .op_count = draft.count },
                               &saved, &op);
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
    for (size_t op = 0; op < OPS; op++) {
        buf_free(&draft.values[op]);
    }
    return good;
}

/* The first page of the cases that have both terms, with what a list shows of each; gives how many there were on it. */
static size_t
first_page(struct replica *replica, const struct index_term terms[2])
{
    struct arena arena = { 0 };
    struct table_txn *txn = NULL;
    struct index_walk walk;
    uint32_t record_no;
    size_t count = 0;

    if (replica_begin_read(replica, &txn) != ERR_OK) {
        return 0;
    }
    index_walk_init(&walk, txn, terms, 2, UINT32_MAX);
    while (count < PAGE && index_walk_next(&walk, &record_no)) {
        struct record_summary summary;
        if (record_summary_read(txn, replica_codebook(replica), record_no, &arena, &summary) != ERR_OK ||
            summary.item_count == 0) {
            count = 0;
            break;
        }
        count++;
    }
    index_walk_end(&walk);
    replica_end_read(replica, &txn);
    arena_free(&arena);
    return count;
}

void
list_measure(struct bench *bench)
{
    const struct codebook *codebook = codebook_reprisals();
    const struct fields fields = { codebook_field_by_name(codebook, CASE_KIND, "country_of_act"),
                                   codebook_field_by_name(codebook, CASE_KIND, "action.date") };
    struct scene scene;
    char what[96];

    if (!scene_make(&scene, bench)) {
        return;
    }
    struct ident compartment = scene_compartment(&scene);
    struct replica *replica = scene_copy(&scene, bench, 0, "list", codebook);
    if (replica != NULL && make_cases(replica, &compartment, &fields, bench->cases)) {
        struct buf tokens[2] = { { 0 } };
        double slowest = 0;
        size_t count = 0;
        cbor_put_text(&tokens[0], span_text(countries[0]));
        cbor_put_text(&tokens[1], span_text("2021-01"));
        const struct index_term terms[] = { { fields.country->number, buf_span(&tokens[0]) },
                                            { fields.date->number, buf_span(&tokens[1]) } };
        for (int round = 0; round < ROUNDS; round++) {
            double start = bench_now();
            count = first_page(replica, terms);
            double seconds = bench_now() - start;
            slowest = seconds > slowest ? seconds : slowest;
        }
        if (count == 0) {
            bench_fail(bench, "the list is empty");
        }
        (void)snprintf(what, sizeof what, "cases by country and month, first %zu of %" PRIu64, count,
                       bench->cases);
        bench_report(&(struct figure){
            .what = what, .measured = slowest * 1000, .unit = "ms", .bound = AT_MOST, .limit = 50 });
        buf_free(&tokens[0]);
        buf_free(&tokens[1]);
    } else {
        bench_fail(bench, "the cases could not be made");
    }
    replica_close(&replica);
    scene_free(&scene);
}
