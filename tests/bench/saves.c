#include "tests/bench/bench.h"
#include "tests/bench/raw.h"
#include "tests/bench/scene.h"

#include "store/base/cbor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 64, TURNS_OF_64 = 64, ROW_BYTES = 200, SHARE_MIN = 70, ROUNDS = 8 };

/* The usual edit of the workload: a status, an assignee and a note. */
struct edit {
    struct buf values[4];
    struct save_op ops[4];
    size_t count;
};

static void
edit_make(struct edit *edit, uint64_t n, bool create)
{
    static const uint32_t fields[] = { WORK_STATUS, WORK_ASSIGNEE, WORK_NOTE, FIELD_KIND };
    char note[160];

    (void)snprintf(note, sizeof note,
                   "note %08" PRIu64 ": the family left a message with the office and moved to a safe home; "
                   "a visit by the doctor is agreed for the date of the review.",
                   n);
    edit->count = create ? 4 : 3;
    for (size_t field = 0; field < edit->count; field++) {
        struct buf *value = &edit->values[field];
        buf_clear(value);
        if (fields[field] == WORK_NOTE) {
            cbor_put_text(value, span_text(note));
        } else {
            cbor_put_uint(value, fields[field] == FIELD_KIND ? WORKLOAD_KIND : 1 + n % 7);
        }
        edit->ops[field] = (struct save_op){ .code = OP_SET,
                                             .target = { .field = fields[field] },
                                             .value = buf_span(value) };
    }
}

static void
edit_free(struct edit *edit)
{
    for (size_t n = 0; n < 4; n++) {
        buf_free(&edit->values[n]);
    }
}

static bool
save(struct replica *replica, const struct ident *compartment, struct ident *record, bool create, uint64_t n,
     struct edit *edit)
{
    struct saved saved;
    size_t op;

    edit_make(edit, n, create);
    enum err err = replica_save(replica,
                                &(struct save){ .compartment = *compartment,
                                                .record_id = *record,
                                                .create = create,
                                                .actor = 1,
                                                .ops = edit->ops,
                                                .op_count = edit->count },
                                &saved, &op);
    *record = saved.record_id;
    return err == ERR_OK;
}

/* What so many saves cost. */
struct cost {
    double rate;    /* a second; 0: one was refused */
    double time_us; /* of one processor, each */
    double bytes;   /* handed to files, each */
};

/* `count` saves over RECORDS records, `batch` a turn; the anchor file too where `anchor` says so. */
static struct cost
save_many(struct replica *replica, const struct ident *compartment, struct ident records[RECORDS],
          uint64_t count, uint64_t batch, bool create, bool anchor)
{
    struct edit edit = { 0 };
    bool good = true;

    uint64_t written = bench_written_bytes();
    double processor = bench_processor();
    double start = bench_now();
    for (uint64_t n = 0; good && n < count;) {
        good = replica_begin(replica) == ERR_OK;
        for (uint64_t in_turn = 0; good && in_turn < batch && n < count; in_turn++, n++) {
            good = save(replica, compartment, &records[n % RECORDS], create, n, &edit);
        }
        good = good && replica_commit(replica) == ERR_OK;
        good = good && (!anchor || replica_anchor(replica) == ERR_OK);
    }
    double each = (double)count;
    struct cost cost = { .rate = good ? each / (bench_now() - start) : 0,
                         .time_us = (bench_processor() - processor) * 1e6 / each,
                         .bytes = (double)(bench_written_bytes() - written) / each };
    edit_free(&edit);
    return cost;
}

/* Rates of ours and of LMDB alone, taken by turns: the machine may be fast now and slow a second later. */
static bool
save_beside(struct replica *replica, const struct ident *compartment, struct ident records[RECORDS],
            struct raw_saves *raw, uint64_t count, uint64_t batch, struct cost *cost_out, double *raw_out)
{
    uint64_t round = count / ROUNDS / batch * batch;
    double ours = 0;
    double theirs = 0;

    *cost_out = (struct cost){ .rate = 0 };
    for (int n = 0; n < ROUNDS; n++) {
        double seconds = raw_saves_run(raw, round, batch);
        struct cost cost = save_many(replica, compartment, records, round, batch, false, false);

        if (seconds <= 0 || cost.rate <= 0) {
            return false;
        }
        theirs += seconds;
        ours += (double)round / cost.rate;
        cost_out->time_us += cost.time_us / ROUNDS;
        cost_out->bytes += cost.bytes / ROUNDS;
    }
    cost_out->rate = (double)round * ROUNDS / ours;
    *raw_out = (double)round * ROUNDS / theirs;
    return true;
}

static void
note_cost(const struct cost *cost)
{
    bench_note("%.1f us of one processor and %.0f B written, a save", cost->time_us, cost->bytes);
}

void
save_measure(struct bench *bench)
{
    struct scene scene;
    struct ident records[RECORDS] = { 0 };
    char path[320];

    if (!scene_make(&scene, bench)) {
        return;
    }
    struct ident compartment = scene_compartment(&scene);
    struct replica *replica = scene_copy(&scene, bench, 0, "saves", workload_codebook());
    if (replica != NULL) {
        (void)snprintf(path, sizeof path, "%s/raw", scene.directory);
        uint64_t many_count = (uint64_t)TURNS_OF_64 * 64;
        struct raw_saves raw = { .env = NULL };
        bool good = save_many(replica, &compartment, records, RECORDS, RECORDS, true, false).rate > 0 &&
                    raw_saves_open(&raw, path, RECORDS, RECORDS);
        double lmdb_saves = 0;
        double lmdb_saves_many = 0;
        struct cost single = { 0 };
        struct cost many = { 0 };
        good = good &&
               save_beside(replica, &compartment, records, &raw, bench->saves, 1, &single, &lmdb_saves) &&
               save_beside(replica, &compartment, records, &raw, many_count, 64, &many, &lmdb_saves_many);
        raw_saves_close(&raw);
        struct cost anchored = save_many(replica, &compartment, records, bench->saves, 1, false, true);
        double lmdb = raw_lmdb_rows(path, bench->saves, 1, ROW_BYTES);
        if (!good || anchored.rate <= 0) {
            bench_fail(bench, "a save was refused");
        }
        bench_report(&(struct figure){ .what = "local saves, one a commit",
                                       .measured = single.rate,
                                       .unit = "/s",
                                       .bound = AT_LEAST,
                                       .limit = lmdb_saves * SHARE_MIN / 100,
                                       .raw = lmdb_saves,
                                       .raw_what = "LMDB commits a save's rows; the limit is 70 % of it" });
        note_cost(&single);
        bench_report(&(struct figure){ .what = "  beside a single row a commit",
                                       .measured = single.rate,
                                       .unit = "/s",
                                       .bound = AT_LEAST,
                                       .limit = lmdb * SHARE_MIN / 100,
                                       .raw = lmdb,
                                       .raw_what = "LMDB commits a row; the limit is 70 % of it" });
        bench_report(&(struct figure){ .what = "  the same, with the anchor file after each",
                                       .measured = anchored.rate,
                                       .unit = "/s",
                                       .raw = lmdb,
                                       .raw_what = "LMDB commits a row" });
        bench_report(&(struct figure){ .what = "local saves, 64 a commit",
                                       .measured = many.rate,
                                       .unit = "/s",
                                       .bound = AT_LEAST,
                                       .limit = 10000,
                                       .raw = lmdb_saves_many,
                                       .raw_what = "LMDB puts the rows of 64 saves a commit" });
        note_cost(&many);
    }
    replica_close(&replica);
    scene_free(&scene);
}
