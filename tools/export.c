/* export.c - vigil export: records in files that leave the node. */
#include "tools/command.h"
#include "tools/export_html.h"
#include "tools/export_table.h"
#include "tools/relabel.h"
#include "tools/typed.h"

#include "store/base/bytes.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REASON_BYTES = 512, PROGRESS_MS = 200 };

struct exporter {
    struct command *command;
    struct labels *labels; /* of what people read; lent. NULL: the node's */
    json_t *made;          /* of the first page */
    json_t *reasons;       /* of the last page */
    uint64_t count;
    json_int_t left_out;
    struct buf pieces; /* of a record that is longer than a line */
    int64_t shown_ms;
    bool (*take)(struct exporter *exporter, const json_t *record, struct client_fault *fault);
    bool (*begin)(struct exporter *exporter,
                  struct client_fault *fault); /* once `made` is there; NULL: nothing */
    FILE *file;                                /* of JSON lines, of HTML */
    struct sheets *sheets;                     /* of tables */
    struct tables *tables;
    const json_t *kinds; /* of tables; lent */
    json_t *records;     /* of a page */
};

/* Set when somebody wants it to end; then what was written goes first. */
static volatile sig_atomic_t interrupted;

static void
note_interrupt(int signal_no)
{
    interrupted = signal_no;
}

static void
heed_interrupts(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = note_interrupt };

    for (size_t n = 0; n < sizeof signals / sizeof signals[0]; n++) {
        (void)sigaction(signals[n], &action, NULL);
    }
}

static bool
no_memory(struct client_fault *fault)
{
    return fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
}

/* --- what is asked for --- */

/* --reason, or a line that is asked for. */
static bool
read_reason(const struct command *command, char reason[REASON_BYTES], struct client_fault *fault)
{
    static const char hint[] = "give it with --reason, or type it when asked: every export is noted with it";
    const char *given = args_value(command, OPT_REASON);

    if (given == NULL) {
        return typed_line("Why is it exported, and for whom? ", "reason was", hint, reason, REASON_BYTES,
                          fault);
    }
    if (strlen(given) >= REASON_BYTES) {
        return fault_set(fault, "usage", "say it in one sentence", "the reason is longer than %d bytes",
                         REASON_BYTES - 1);
    }
    (void)snprintf(reason, REASON_BYTES, "%s", given);
    return true;
}

static bool
put_option(const struct command *command, json_t *request, enum opt option, const char *name)
{
    const char *text = args_value(command, option);

    return text == NULL || json_object_set_new(request, name, json_string(text)) == 0;
}

/* The first request; NULL, and `fault`. */
static json_t *
make_request(struct command *command, struct client_fault *fault)
{
    json_t *request = json_pack("{s:s}", "do", "record.export");
    char reason[REASON_BYTES] = "";

    if (request == NULL) {
        (void)no_memory(fault);
        return NULL;
    }
    bool good = typed_filter(command, request, fault) && read_reason(command, reason, fault);
    if (good) {
        good = put_option(command, request, OPT_OFFICE, "office") &&
               put_option(command, request, OPT_LEVEL, "level") &&
               put_option(command, request, OPT_PURPOSE, "purpose") &&
               json_object_set_new(request, "reason", json_string(reason)) == 0;
        if (!good) {
            (void)fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        }
    }
    if (!good) {
        json_decref(request);
        return NULL;
    }
    return request;
}

/* The kinds of --kind, or all that are exported. NULL, and `fault`. */
static json_t *
make_kinds(struct command *command, struct client_fault *fault)
{
    json_t *kinds = json_array();
    size_t index;
    json_t *kind;

    for (size_t n = 0; n < command->given_count; n++) {
        if (command->given[n].option == OPT_KIND) {
            (void)json_array_append_new(kinds, json_string(command->given[n].text));
        }
    }
    if (json_array_size(kinds) > 0) {
        return kinds;
    }
    if (args_has(command, OPT_WHERE) || args_has(command, OPT_MONTH)) {
        (void)fault_set(fault, "usage", "add --kind case or another; vigil codebook show lists them",
                        "fields are those of one kind of record, and no kind is named");
        json_decref(kinds);
        return NULL;
    }
    const json_t *codebook = typed_codebook(command, fault);
    if (codebook == NULL) {
        json_decref(kinds);
        return NULL;
    }
    json_array_foreach(json_object_get(codebook, "kinds"), index, kind)
    {
        const char *name = json_string_value(json_object_get(kind, "name"));

        if (name != NULL && strcmp(name, "audit_log") != 0) {
            (void)json_array_append_new(kinds, json_string(name));
        }
    }
    return kinds;
}

/* --- pages --- */

static void
show_progress(struct exporter *exporter, bool done)
{
    struct timespec now = { 0 };

    if (exporter->shown_ms < 0) {
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (done && exporter->shown_ms > 0) {
        (void)fputs("\r\033[K", stderr);
    } else if (!done && now_ms - exporter->shown_ms >= PROGRESS_MS) {
        exporter->shown_ms = now_ms;
        (void)fprintf(stderr, "\r%llu records\033[K", (unsigned long long)exporter->count);
        (void)fflush(stderr);
    }
}

static bool
take(struct exporter *exporter, json_t *record, struct client_fault *fault)
{
    exporter->count++;
    if (exporter->labels != NULL) {
        relabel_record(exporter->labels, record);
    }
    return exporter->take(exporter, record, fault);
}

/* A piece of a record that is longer than a line. */
static bool
take_piece(struct exporter *exporter, const json_t *ok, struct client_fault *fault)
{
    const json_t *piece = json_object_get(ok, "piece");
    json_t *record = NULL;

    if (piece == NULL) {
        return true;
    }
    buf_put(&exporter->pieces, json_string_value(piece), json_string_length(piece));
    if (exporter->pieces.failed) {
        return no_memory(fault);
    }
    if (!json_is_true(json_object_get(ok, "last_piece"))) {
        return true;
    }
    record = json_loadb((const char *)exporter->pieces.data, exporter->pieces.size, 0, NULL);
    buf_wipe(&exporter->pieces);
    bool good = record != NULL ? take(exporter, record, fault)
                               : fault_set(fault, err_code(ERR_INVALID), "try again",
                                           "the node sent a record in pieces that do not fit");
    json_decref(record);
    return good;
}

static bool
take_page(struct exporter *exporter, const json_t *ok, struct client_fault *fault)
{
    json_t *made = json_object_get(ok, "made");
    bool good = true;
    size_t index;
    json_t *record;

    if (made != NULL && exporter->made == NULL) {
        exporter->made = json_incref(made);
        good = exporter->begin == NULL || exporter->begin(exporter, fault);
    }
    json_array_foreach(json_object_get(ok, "records"), index, record)
    {
        good = good && take(exporter, record, fault);
    }
    good = good && take_piece(exporter, ok, fault);
    json_decref(exporter->reasons);
    exporter->reasons = json_incref(json_object_get(ok, "reasons"));
    exporter->left_out = json_integer_value(json_object_get(ok, "left_out"));
    show_progress(exporter, false);
    if (good && interrupted != 0) {
        good = fault_set(fault, err_code(ERR_BUSY), "begin again", "it was interrupted");
    }
    return good;
}

/* Ask for page after page; takes the reference. */
static bool
fetch(struct exporter *exporter, json_t *request, struct client_fault *fault)
{
    json_int_t sent = 0;
    bool good = true;

    while (good && request != NULL) {
        json_t *ok = NULL;

        good = command_ask(exporter->command, request, &ok, fault) && take_page(exporter, ok, fault);
        const json_t *next = json_object_get(ok, "next");
        request = good && json_is_integer(next)
                      ? json_pack("{s:s,s:I}", "do", "record.export", "after", json_integer_value(next))
                      : NULL;
        sent = json_integer_value(json_object_get(ok, "sent"));
        json_decref(ok);
    }
    show_progress(exporter, true);
    if (good && (uint64_t)sent != exporter->count) {
        good = fault_set(fault, err_code(ERR_INVALID), "try again",
                         "the node gave %lld records, and %llu arrived", (long long)sent,
                         (unsigned long long)exporter->count);
    }
    return good;
}

static void
exporter_begin(struct exporter *exporter, struct command *command)
{
    *exporter = (struct exporter){ .command = command };
    exporter->shown_ms =
        isatty(STDERR_FILENO) == 1 && !command->out.json && !args_has(command, OPT_QUIET) ? 0 : -1;
    heed_interrupts();
}

static void
exporter_end(struct exporter *exporter)
{
    tables_free(&exporter->tables);
    sheets_drop(&exporter->sheets);
    json_decref(exporter->made);
    json_decref(exporter->reasons);
    json_decref(exporter->records);
    buf_wipe(&exporter->pieces);
}

/* "3 records to cases" and what was left out. */
static void
say_done(const struct exporter *exporter, const char *to)
{
    const struct command *command = exporter->command;
    const char *reason;
    json_t *count;

    if (command->out.json) {
        json_t *done = json_pack("{s:I,s:I,s:O,s:s}", "records", (json_int_t)exporter->count, "left_out",
                                 exporter->left_out, "reasons", exporter->reasons, "to", to);
        output_json(command->out.to, done);
        json_decref(done);
        return;
    }
    command_say(command, "%llu records exported to %s\n", (unsigned long long)exporter->count, to);
    json_object_foreach(exporter->reasons, reason, count)
    {
        command_say(command, "%lld left out: %s\n", (long long)json_integer_value(count), reason);
    }
}

/* --- JSON lines --- */

static bool
take_line(struct exporter *exporter, const json_t *record, struct client_fault *fault)
{
    output_json(exporter->file, record);
    return ferror(exporter->file) == 0 ||
           fault_set(fault, err_code(ERR_IO), "see that there is room where it is written to",
                     "the file cannot be written");
}

static enum exit_status
run_jsonl(struct command *command)
{
    struct exporter exporter;
    struct client_fault fault;
    struct fresh *fresh = NULL;
    const char *name;

    exporter_begin(&exporter, command);
    exporter.take = take_line;
    json_t *kinds = make_kinds(command, &fault);
    json_t *request = kinds == NULL ? NULL : make_request(command, &fault);
    bool good = request != NULL && fresh_place(&fresh, command->words[0], &name, &fault) &&
                fresh_file(fresh, name, &exporter.file, &fault);
    if (good) {
        (void)json_object_set(request, "kinds", kinds);
        good = fetch(&exporter, json_incref(request), &fault) && fresh_keep(&fresh, &fault);
    }
    fresh_drop(&fresh);
    if (good) {
        say_done(&exporter, command->words[0]);
    }
    json_decref(request);
    json_decref(kinds);
    exporter_end(&exporter);
    return good ? STATUS_DONE : command_fail(command, &fault, "nothing was exported");
}

/* --- tables --- */

static bool
begin_tables(struct exporter *exporter, struct client_fault *fault)
{
    json_t *codebook = json_deep_copy(typed_codebook(exporter->command, fault));

    if (codebook == NULL) {
        return false;
    }
    (void)relabel_codebook(exporter->labels, codebook);
    bool good = tables_begin(&exporter->tables, exporter->sheets, codebook, exporter->kinds,
                             json_string_value(json_object_get(exporter->made, "level")), fault);
    json_decref(codebook);
    return good;
}

static bool
take_row(struct exporter *exporter, const json_t *record, struct client_fault *fault)
{
    return tables_add(exporter->tables, record, fault);
}

static void
put_about(json_t *about, const char *key, const json_t *value)
{
    char *text = output_value(value);

    (void)json_array_append_new(about, json_pack("[s,s]", key, text == NULL ? "" : text));
    free(text);
}

/* What the tables are of, for whoever gets them. */
static json_t *
make_about(const struct exporter *exporter)
{
    static const char *const keys[] = { "at",      "device", "actor",    "level",
                                        "purpose", "filter", "codebook", "codebook_version" };
    const json_t *device = json_object_get(exporter->made, "device");
    json_t *about = json_array();
    json_t *count = json_integer((json_int_t)exporter->count);
    json_t *left_out = json_integer(exporter->left_out);
    const char *reason;
    size_t index;
    json_t *value;

    for (size_t n = 0; n < sizeof keys / sizeof keys[0]; n++) {
        put_about(about, keys[n], json_object_get(exporter->made, keys[n]));
    }
    json_t *language = json_string(labels_language(exporter->labels));
    put_about(about, "language", language);
    json_decref(language);
    put_about(about, "office", json_object_get(device, "office"));
    put_about(about, "records", count);
    put_about(about, "left_out", left_out);
    json_object_foreach(exporter->reasons, reason, value)
    {
        char key[64];

        (void)snprintf(key, sizeof key, "left_out.%.40s", reason);
        put_about(about, key, value);
    }
    json_array_foreach(json_object_get(exporter->made, "compartments"), index, value)
    {
        char key[128];
        const char *name = json_string_value(json_object_get(value, "name"));

        (void)snprintf(key, sizeof key, "frontier of %.100s", name == NULL ? "" : name);
        put_about(about, key, json_object_get(value, "frontier"));
    }
    json_decref(count);
    json_decref(left_out);
    return about;
}

static enum exit_status
export_tables(struct command *command, bool workbook)
{
    struct exporter exporter;
    struct client_fault fault;
    struct fresh *fresh = NULL;
    const char *name = NULL;
    size_t cut = 0;

    exporter_begin(&exporter, command);
    exporter.take = take_row;
    exporter.begin = begin_tables;
    exporter.labels = command_labels(command, &fault);
    json_t *kinds = exporter.labels == NULL ? NULL : make_kinds(command, &fault);
    json_t *request = kinds == NULL ? NULL : make_request(command, &fault);
    exporter.kinds = kinds;
    bool good = request != NULL;
    if (good && workbook) {
        good = fresh_place(&fresh, command->words[0], &name, &fault) &&
               sheets_xlsx(&exporter.sheets, fresh, name, &fault);
    } else if (good) {
        good = fresh_folder(&fresh, command->words[0], &fault) && sheets_csv(&exporter.sheets, fresh, &fault);
    }
    if (good) {
        (void)json_object_set(request, "kinds", kinds);
        good = fetch(&exporter, json_incref(request), &fault);
    }
    if (good) {
        json_t *about = make_about(&exporter);

        good = tables_end(exporter.tables, about, &fault);
        json_decref(about);
    }
    if (good) {
        cut = sheets_cut(exporter.sheets);
        good = sheets_end(&exporter.sheets, &fault) && fresh_keep(&fresh, &fault);
    }
    sheets_drop(&exporter.sheets);
    fresh_drop(&fresh);
    if (good) {
        say_done(&exporter, command->words[0]);
        if (cut > 0) {
            command_remark(command, "%zu texts are longer than a cell takes, and are cut in it\n", cut);
        }
    }
    json_decref(request);
    exporter_end(&exporter);
    json_decref(kinds);
    return good ? STATUS_DONE : command_fail(command, &fault, "nothing was exported");
}

static enum exit_status
run_csv(struct command *command)
{
    return export_tables(command, false);
}

static enum exit_status
run_xlsx(struct command *command)
{
    return export_tables(command, true);
}

/* --- one case as a page --- */

static bool
keep_record(struct exporter *exporter, const json_t *record, struct client_fault *fault)
{
    return json_array_append(exporter->records, (json_t *)(uintptr_t)record) == 0 || no_memory(fault);
}

static void
write_page(const struct exporter *exporter)
{
    json_t *names = json_object();
    size_t index;
    json_t *record;

    json_array_foreach(exporter->records, index, record)
    {
        const char *id = json_string_value(json_object_get(record, "id"));

        if (id != NULL) {
            (void)json_object_set_new(names, id, json_string(html_name(record)));
        }
    }
    html_begin(exporter->file, html_name(json_array_get(exporter->records, 0)));
    json_array_foreach(exporter->records, index, record)
    {
        html_record(exporter->file, record, names);
    }
    html_end(exporter->file, exporter->made, exporter->reasons);
    json_decref(names);
}

static enum exit_status
run_case(struct command *command)
{
    struct exporter exporter;
    struct client_fault fault;
    struct fresh *fresh = NULL;
    const char *path = args_value(command, OPT_HTML);
    const char *name;

    exporter_begin(&exporter, command);
    exporter.take = keep_record;
    exporter.records = json_array();
    json_t *request = NULL;
    bool good = path != NULL || fault_set(&fault, "usage", "add --html FILE", "no file is named");
    good = good && (exporter.labels = command_labels(command, &fault)) != NULL &&
           (request = make_request(command, &fault)) != NULL;
    if (good) {
        good = json_object_set_new(request, "record", json_string(command->words[0])) == 0 &&
               json_object_set_new(request, "linked", json_true()) == 0;
        if (!good) {
            (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        }
    }
    good = good && fresh_place(&fresh, path, &name, &fault) &&
           fresh_file(fresh, name, &exporter.file, &fault) && fetch(&exporter, json_incref(request), &fault);
    if (good && json_array_size(exporter.records) == 0) {
        const char *reason = json_object_iter_key(json_object_iter(exporter.reasons));

        good = fault_set(&fault, err_code(ERR_DENIED), "vigil record show says what each person agreed to",
                         "the case may not go out: %s", reason == NULL ? "it was left out" : reason);
    }
    if (good) {
        write_page(&exporter);
        good = fresh_keep(&fresh, &fault);
    }
    fresh_drop(&fresh);
    if (good) {
        say_done(&exporter, path);
    }
    json_decref(request);
    exporter_end(&exporter);
    return good ? STATUS_DONE : command_fail(command, &fault, "nothing was exported");
}

#define FILTERS                                                                                              \
    (OPTION(KIND) | OPTION(OFFICE) | OPTION(WHERE) | OPTION(MONTH) | OPTION(LEVEL) | OPTION(PURPOSE) |       \
     OPTION(REASON))

static const struct verb verbs[] = {
    { "csv", "FOLDER", 1, 1, FILTERS | OPTION(LANGUAGE),
      "Write tables of comma-separated values into a new or empty folder",
      "A table for each kind (case.csv) and each of its collections (case.act.csv), whose rows name the "
      "record; a coded field has a second column with labels, several values have | between them, and what "
      "is "
      "in conflict is in a column of its own. dictionary.csv says what each column and code means, about.csv "
      "what was exported. A cell that a spreadsheet would run begins with an apostrophe.\n\n"
      "Every export is noted in the audit log with its reason. Nothing above level L2 goes out unless "
      "--level "
      "L3 "
      "says so, and restricted records never do. With --purpose, persons and cases whose consent does not "
      "cover it are left out, and counted.\n\n"
      "Examples:\n"
      "  vigil export csv cases --kind case --where country_of_act=KEN --reason 'Yearly figures for the "
      "unit'\n"
      "  vigil export csv all --level L1 --reason 'Statistics course of the office'\n",
      run_csv },
    { "jsonl", "FILE", 1, 1, FILTERS, "Write one JSON object a line, each a whole record",
      "The objects are those of vigil --json record show. Options are those of vigil export csv.\n\n"
      "Example:\n"
      "  vigil export jsonl persons.jsonl --kind person --reason 'Check of duplicates by headquarters'\n",
      run_jsonl },
    { "xlsx", "FILE", 1, 1, FILTERS | OPTION(LANGUAGE), "Write a workbook with a sheet for each table",
      "The sheets are the tables of vigil export csv, every cell is text, and none runs. Options are those "
      "of "
      "vigil export csv.\n\n"
      "Example:\n"
      "  vigil export xlsx cases.xlsx --kind case --month act.date_from=2026 --reason 'Review by the "
      "office'\n",
      run_xlsx },
    { "case", "CASE", 1, 1,
      OPTION(HTML) | OPTION(LEVEL) | OPTION(PURPOSE) | OPTION(REASON) | OPTION(LANGUAGE),
      "Write one case with its persons and sources as a page to read and print",
      "The page needs nothing but itself: no script, nothing from elsewhere. Values in conflict stand side "
      "by "
      "side, what is withheld is marked.\n\n"
      "Example:\n"
      "  vigil export case KEN-2026-0042 --html case.html --reason 'Meeting of the task force'\n",
      run_case },
};

const struct noun export_noun = { "export", "Write records to files that leave the node", verbs,
                                  sizeof verbs / sizeof verbs[0] };
