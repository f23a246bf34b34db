/* import.c - a file of cases becomes records: the whole way, of the tool and of the node, one after the other on one processor. */
#include "tests/bench/bench.h"
#include "tests/bench/scene.h"

#include "node/serve.h"
#include "tools/import_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_MIN = 2000, MEMORY_MAX = 128, BATCH = 256 };

struct importing {
    struct bench *bench;
    struct replica *replica;
    struct serve *serve;
    struct mapping mapping;
    struct import_rows *shape;
    json_t *codebook; /* the answer of codebook.show */
    char id[40];
    uint64_t memory; /* at the beginning */
    uint64_t most;   /* above that */
    double check;    /* seconds until all rows were judged */
    double all;
    double processor; /* seconds of one */
    uint64_t fresh;
    uint64_t same;
};

/* Rows as an office would have them: a case with an act, two countries in some, a short narrative. */
static FILE *
make_file(const struct bench *bench)
{
    static const char *const countries[] = { "KEN", "UGA|KEN", "ETH", "RWA", "BDI|TZA" };
    static const char *const acts[] = { "detention", "death_threat", "travel_ban",
                                        "smear_or_stigmatisation" };
    FILE *file = tmpfile();

    if (file == NULL) {
        return NULL;
    }
    (void)fputs("id,title,status,urgency,country_of_act,act[1].type_of_act,act[1].stage,act[1].date_from,"
                "narrative.language,narrative.text\n",
                file);
    for (uint64_t n = 0; n < bench->cases; n++) {
        (void)fprintf(file,
                      "%" PRIu64 ",Visit number %" PRIu64
                      " to an office,received,routine,%s,%s,carried_out,20%02d-%02d,eng,"
                      "\"On day %" PRIu64
                      " two men came to the office, asked who had met the rapporteur, and left a "
                      "message for the family; a visit by a doctor is agreed.\"\n",
                      n, n, countries[n % 5], acts[n % 4], (int)(19 + n % 7), (int)(1 + n % 12), n % 365);
    }
    rewind(file);
    return file;
}

static void
watch_memory(struct importing *importing)
{
    uint64_t now = bench_anonymous_bytes();

    if (now > importing->memory && now - importing->memory > importing->most) {
        importing->most = now - importing->memory;
    }
}

/* Ask as over the socket: what is asked travels as text. The "ok" of the answer, a new reference; NULL: it was refused. */
static json_t *
ask(struct importing *importing, json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    json_t *body = text == NULL ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    json_decref(request);
    free(text);
    json_t *answer = body == NULL ? NULL : serve_one(importing->serve, body);
    json_t *ok = json_incref(json_object_get(answer, "ok"));
    if (ok == NULL) {
        const char *why = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

        bench_fail(importing->bench, "the node refuses: %s", why == NULL ? "no memory" : why);
    }
    json_decref(answer);
    watch_memory(importing);
    return ok;
}

static bool
send_rows(struct importing *importing, json_t *items)
{
    json_t *ok = ask(importing, json_pack("{s:i,s:s,s:s,s:o}", "id", 1, "do", "import.rows", "import",
                                          importing->id, "rows", items));
    bool good = ok != NULL;
    size_t index;
    json_t *outcome;

    json_array_foreach(json_object_get(ok, "rows"), index, outcome)
    {
        const char *verdict = json_string_value(json_object_get(outcome, "verdict"));

        if (verdict == NULL) {
            bench_fail(importing->bench, "a row is refused: %s",
                       json_string_value(json_object_get(outcome, "message")));
            good = false;
            break;
        }
        importing->fresh += strcmp(verdict, "new") == 0 ? 1 : 0;
        importing->same += strcmp(verdict, "same") == 0 ? 1 : 0;
    }
    json_decref(ok);
    return good;
}

static bool
send_file(struct importing *importing, struct rows *rows)
{
    struct client_fault fault;
    json_t *items = json_array();
    bool good = true;

    for (;;) {
        struct row row;

        good = rows_next(rows, &row, &fault);
        if (!good || row.cells == NULL) {
            break;
        }
        json_t *item = import_rows_make(importing->shape, &row);
        good = item != NULL && json_array_append_new(items, item) == 0;
        row_free(&row);
        if (good && json_array_size(items) == BATCH) {
            good = send_rows(importing, items);
            items = json_array();
        }
        if (!good) {
            break;
        }
    }
    if (good) {
        return send_rows(importing, items);
    }
    json_decref(items);
    return false;
}

/* The turns in which the node makes records of all that was decided. */
static bool
save_rows(struct importing *importing)
{
    bool good = true;

    while (good && serve_has_writes(importing->serve)) {
        good = replica_begin(importing->replica) == ERR_OK && serve_write(importing->serve) &&
               replica_commit(importing->replica) == ERR_OK;
        serve_turn_ended(importing->serve, good ? ERR_OK : ERR_IO);
        watch_memory(importing);
    }
    return good;
}

static bool
import_file(struct importing *importing, FILE *file)
{
    struct client_fault fault;
    struct rows *rows = NULL;
    double start = bench_now();
    double processor = bench_processor();

    importing->fresh = 0;
    importing->same = 0;
    json_t *ok = ask(importing, json_pack("{s:i,s:s,s:s}", "id", 1, "do", "import.begin", "source", "bench"));
    if (ok == NULL) {
        return false;
    }
    (void)snprintf(importing->id, sizeof importing->id, "%s",
                   json_string_value(json_object_get(ok, "import")));
    json_decref(ok);
    bool good = rows_open(&rows, &(struct rows_options){ file, false, ',', "the file" }, &fault);
    if (good) {
        size_t count = 0;
        const char *const *columns = rows_columns(rows, &count);
        json_t *unused = json_array();

        good = import_rows_heading(importing->shape, columns, count, "the file", unused, &fault);
        json_decref(unused);
    }
    if (!good) {
        bench_fail(importing->bench, "%s", fault.message);
    }
    good = good && send_file(importing, rows);
    rows_close(&rows);
    importing->check = bench_now() - start;
    ok = !good ? NULL
               : ask(importing, json_pack("{s:i,s:s,s:s,s:I}", "id", 1, "do", "import.commit", "import",
                                          importing->id, "rows", (json_int_t)importing->bench->cases));
    good = ok != NULL && save_rows(importing);
    json_decref(ok);
    importing->all = bench_now() - start;
    importing->processor = bench_processor() - processor;
    return good;
}

static bool
begin(struct importing *importing)
{
    struct config_fault mapping_fault;
    struct client_fault fault;

    json_t *ok = ask(importing, json_pack("{s:i,s:s}", "id", 1, "do", "codebook.show"));
    importing->codebook = ok;
    return ok != NULL &&
           mapping_parse(&importing->mapping, "plain", mapping_ready("plain"), &mapping_fault) == ERR_OK &&
           import_rows_new(&importing->shape, &importing->mapping, ok, "case", "", &fault);
}

static void
measure(struct importing *importing, FILE *file)
{
    struct bench *bench = importing->bench;
    double cases = (double)bench->cases;

    if (!begin(importing) || !import_file(importing, file) || importing->fresh != bench->cases) {
        bench_fail(bench, "not every row became a record");
        return;
    }
    bench_report(&(struct figure){ .what = "cases imported, of a file of CSV",
                                   .measured = cases / importing->all,
                                   .unit = "/s",
                                   .bound = AT_LEAST,
                                   .limit = RATE_MIN });
    bench_note("%.0f us of one processor a case; the tool and the node run side by side, and here one after "
               "the other",
               importing->processor * 1e6 / cases);
    bench_report(&(struct figure){ .what = "  rows judged, before any is a record",
                                   .measured = cases / importing->check,
                                   .unit = "/s" });
    bench_report(&(struct figure){ .what = "  memory that it took, of both ends",
                                   .measured = (double)importing->most / (1 << 20),
                                   .unit = "MiB",
                                   .bound = AT_MOST,
                                   .limit = MEMORY_MAX });
    rewind(file);
    if (!import_file(importing, file) || importing->same != bench->cases) {
        bench_fail(bench, "a second run is not the same");
        return;
    }
    bench_report(&(struct figure){
        .what = "  the same file again", .measured = cases / importing->all, .unit = "/s" });
}

void
import_measure(struct bench *bench)
{
    struct scene scene;

    if (!scene_make(&scene, bench)) {
        return;
    }
    struct importing importing = { .bench = bench };
    static const struct config config;
    FILE *file = make_file(bench);
    importing.replica = scene_copy(&scene, bench, 0, "import", codebook_reprisals());
    if (importing.replica != NULL) {
        importing.serve = serve_new(&(struct serve_options){ .replica = importing.replica,
                                                             .config = &config,
                                                             .world = &scene.world,
                                                             .version = "bench",
                                                             .directory = scene.directory });
    }
    importing.memory = bench_anonymous_bytes();
    if (file == NULL || importing.serve == NULL) {
        bench_fail(bench, "there is no file, or no memory");
    } else {
        measure(&importing, file);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    import_rows_free(&importing.shape);
    mapping_free(&importing.mapping);
    json_decref(importing.codebook);
    serve_free(&importing.serve);
    replica_close(&importing.replica);
    scene_free(&scene);
}
