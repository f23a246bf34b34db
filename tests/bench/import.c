/* import.c - a file of cases becomes records: the whole way, of the tool and of the node, side by side as on a machine.
 *
 *     a thread: rows of CSV --> requests --socket--> here: judged, kept, and when all have come, saved
 */
#include "tests/bench/bench.h"
#include "tests/bench/scene.h"

#include "node/serve.h"
#include "tools/import_row.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* As the tool sends them: rows of a request, and requests on their way. */
enum { RATE_MIN = 2000, MEMORY_MAX = 128, BATCH = 256, AHEAD = 3 };

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

/* The tool's end. Touched by its thread alone while that runs. */
struct tool {
    struct importing *importing;
    struct rows *rows;
    FILE *to;
    FILE *from;
    char *line;
    size_t line_room;
    int ahead; /* requests without an answer */
    uint64_t fresh;
    uint64_t same;
    bool good;
};

static bool
take_answer(struct tool *tool)
{
    ssize_t size = getline(&tool->line, &tool->line_room, tool->from);
    json_t *answer = size > 0 ? json_loadb(tool->line, (size_t)size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *outcomes = json_object_get(json_object_get(answer, "ok"), "rows");
    bool good = outcomes != NULL;
    size_t index;
    json_t *outcome;

    json_array_foreach(outcomes, index, outcome)
    {
        const char *verdict = json_string_value(json_object_get(outcome, "verdict"));

        good = good && verdict != NULL;
        tool->fresh += verdict != NULL && strcmp(verdict, "new") == 0 ? 1 : 0;
        tool->same += verdict != NULL && strcmp(verdict, "same") == 0 ? 1 : 0;
    }
    json_decref(answer);
    tool->ahead--;
    return good;
}

static bool
send_rows(struct tool *tool, json_t *items)
{
    json_t *request = json_pack("{s:i,s:s,s:s,s:o}", "id", 1, "do", "import.rows", "import",
                                tool->importing->id, "rows", items);
    bool good = json_dumpf(request, tool->to, JSON_COMPACT) == 0 && fputc('\n', tool->to) != EOF &&
                fflush(tool->to) == 0;

    json_decref(request);
    tool->ahead++;
    return good && (tool->ahead < AHEAD || take_answer(tool));
}

static bool
send_file(struct tool *tool)
{
    struct client_fault fault;
    json_t *items = json_array();
    bool good = true;

    for (;;) {
        struct row row;

        good = rows_next(tool->rows, &row, &fault);
        if (!good || row.cells == NULL) {
            break;
        }
        json_t *item = import_rows_make(tool->importing->shape, &row);
        good = item != NULL && json_array_append_new(items, item) == 0;
        row_free(&row);
        if (good && json_array_size(items) == BATCH) {
            good = send_rows(tool, items);
            items = json_array();
        }
        if (!good) {
            break;
        }
    }
    if (!good) {
        json_decref(items);
        return false;
    }
    good = send_rows(tool, items);
    while (good && tool->ahead > 0) {
        good = take_answer(tool);
    }
    return good;
}

static void *
run_tool(void *self)
{
    struct tool *tool = self;

    tool->good = send_file(tool);
    (void)shutdown(fileno(tool->to), SHUT_WR);
    return NULL;
}

/* The node's end: answer until the tool has no more. */
static void
answer_tool(struct importing *importing, FILE *from, FILE *to)
{
    char *line = NULL;
    size_t room = 0;
    bool good = true;

    for (ssize_t size = getline(&line, &room, from); good && size > 0; size = getline(&line, &room, from)) {
        json_t *body = json_loadb(line, (size_t)size, JSON_REJECT_DUPLICATES, NULL);
        json_t *answer = body == NULL ? NULL : serve_one(importing->serve, body);

        good = answer != NULL && json_dumpf(answer, to, JSON_COMPACT) == 0 && fputc('\n', to) != EOF &&
               fflush(to) == 0;
        json_decref(answer);
        watch_memory(importing);
    }
    free(line);
    (void)shutdown(fileno(to), SHUT_WR);
}

/* Both ends side by side. */
static bool
bring_rows(struct importing *importing, struct rows *rows)
{
    struct tool tool = { .importing = importing, .rows = rows };
    pthread_t thread;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return false;
    }
    FILE *from = fdopen(ends[0], "r");
    FILE *to = fdopen(dup(ends[0]), "w");
    tool.from = fdopen(ends[1], "r");
    tool.to = fdopen(dup(ends[1]), "w");
    bool good = from != NULL && to != NULL && tool.from != NULL && tool.to != NULL &&
                pthread_create(&thread, NULL, run_tool, &tool) == 0;
    if (good) {
        answer_tool(importing, from, to);
        good = pthread_join(thread, NULL) == 0 && tool.good;
        importing->fresh = tool.fresh;
        importing->same = tool.same;
    }
    FILE *const files[] = { from, to, tool.from, tool.to };
    for (size_t n = 0; n < sizeof files / sizeof files[0]; n++) {
        if (files[n] != NULL) {
            (void)fclose(files[n]);
        }
    }
    free(tool.line);
    return good;
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
    if (good && !bring_rows(importing, rows)) {
        bench_fail(importing->bench, "a row is refused, or the node does not answer");
        good = false;
    }
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
    bench_note("%.0f us of one processor a case, of the tool and the node side by side",
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
