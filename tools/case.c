/* case.c - `vigil case` and `vigil record`: make, change and read records. */
#include "tools/command.h"
#include "tools/input.h"
#include "tools/relabel.h"
#include "tools/show.h"
#include "tools/typed.h"

#include "store/base/nearest.h"

#include <stdlib.h>
#include <string.h>

enum { NOTE_BYTES_MAX = 512 << 10, PAGE_ROWS = 500 };

/* `case` is one kind; `record` asks for it. NULL: none was given. */
static const char *
kind_of(const struct command *command)
{
    return command->noun == &case_noun ? "case" : args_value(command, OPT_KIND);
}

static bool
need_kind(const struct command *command, struct client_fault *fault)
{
    return kind_of(command) != NULL ||
           fault_set(fault, "usage", "add --kind person, source or another; vigil codebook show lists them",
                     "it is not said which kind of record");
}

/* --- Making and changing ----------------------------------------------------- */

typedef bool (*input_one)(json_t *save, const char *text, struct client_fault *fault);

/* Text of a note: "-" is standard input, so that it need not stand on a command line. */
static bool
add_note(json_t *save, const char *text, struct client_fault *fault)
{
    char *read = NULL;

    if (strcmp(text, "-") != 0) {
        return input_note(save, text, fault);
    }
    if (!input_text(stdin, NOTE_BYTES_MAX, &read, fault)) {
        return false;
    }
    size_t length = strlen(read);
    while (length > 0 && read[length - 1] == '\n') {
        read[--length] = '\0';
    }
    bool done = input_note(save, read, fault);
    free(read);
    return done;
}

/* Everything that was typed, in its order; words after the first `skip` are taken by `word`. */
static bool
take_given(const struct command *command, size_t skip, input_one word, json_t *save,
           struct client_fault *fault)
{
    static const struct {
        enum opt option;
        input_one take;
    } takers[] = {
        { OPT_SET, input_set }, { OPT_ADD, input_add },         { OPT_REMOVE, input_remove },
        { OPT_NOTE, add_note }, { OPT_RESOLVE, input_resolve },
    };

    for (size_t n = 0; n < command->given_count; n++) {
        const struct given *given = &command->given[n];
        input_one take = NULL;
        if (given->option == OPT_NONE && skip > 0) {
            skip--;
        } else if (given->option == OPT_NONE) {
            take = word;
        }
        for (size_t m = 0; m < sizeof takers / sizeof takers[0]; m++) {
            take = given->option == takers[m].option ? takers[m].take : take;
        }
        if (take != NULL && !take(save, given->text, fault)) {
            return false;
        }
    }
    return true;
}

/* What every save may say beside its changes. */
static bool
take_envelope(const struct command *command, json_t *save, struct client_fault *fault)
{
    long actor = 0;

    if (!args_number(command, OPT_ACTOR, 1, 1000000, 0, &actor, fault)) {
        return false;
    }
    int failed = 0;
    if (args_value(command, OPT_OFFICE) != NULL) {
        failed |= json_object_set_new(save, "office", json_string(args_value(command, OPT_OFFICE)));
    }
    if (args_has(command, OPT_URGENT)) {
        failed |= json_object_set_new(save, "urgent", json_true());
    }
    if (actor != 0) {
        failed |= json_object_set_new(save, "actor", json_integer(actor));
    }
    return failed == 0 ||
           fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
}

/* Send a save and say what came of it; takes the reference. */
static enum exit_status
send_save(struct command *command, json_t *save, const char *what, const char *done)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (command_only_shown(command, save)) {
        return STATUS_DONE;
    }
    if (!command_ask(command, save, &ok, &fault)) {
        return command_fail(command, &fault, "%s", what);
    }
    const char *number = json_string_value(json_object_get(ok, "number"));
    const char *id = json_string_value(json_object_get(ok, "record"));
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else if (number != NULL && number[0] != '\0') {
        command_say(command, "%s %s %s\n", number, id == NULL ? "" : id, done);
    } else {
        command_say(command, "%s %s\n", id == NULL ? "" : id, done);
    }
    json_decref(ok);
    return STATUS_DONE;
}

/* A save that changes the record named first. `word` takes the other words. */
static enum exit_status
change(struct command *command, input_one word)
{
    struct client_fault fault;
    char what[CLIENT_TEXT_BYTES];
    const char *record = command->words[0];

    (void)snprintf(what, sizeof what, "cannot change %s", record);
    json_t *save = json_pack("{s:s, s:s}", "do", "record.save", "record", record);
    if (save == NULL) {
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        return command_fail(command, &fault, "%s", what);
    }
    if (!typed_values(command, word == input_set || word == input_add, 1, &fault) ||
        !take_given(command, 1, word, save, &fault) || !take_envelope(command, save, &fault) ||
        !input_whole(save, &fault)) {
        json_decref(save);
        return command_fail(command, &fault, "%s", what);
    }
    return send_save(command, save, what, "changed");
}

static enum exit_status
run_set(struct command *command)
{
    return change(command, input_set);
}

static enum exit_status
run_add(struct command *command)
{
    return change(command, input_add);
}

static enum exit_status
run_remove(struct command *command)
{
    return change(command, input_remove);
}

static enum exit_status
run_note(struct command *command)
{
    return change(command, add_note);
}

static bool
file_alone(const struct command *command, struct client_fault *fault)
{
    static const enum opt others[] = { OPT_SET, OPT_ADD, OPT_NOTE, OPT_URGENT, OPT_ACTOR, OPT_OFFICE };

    for (size_t n = 0; n < sizeof others / sizeof others[0]; n++) {
        if (args_has(command, others[n])) {
            return fault_set(fault, "usage", "put it into the objects of the file",
                             "--file and --%s do not go together", option_texts[others[n]].name);
        }
    }
    return command->word_count == 0 || fault_set(fault, "usage", "put it into the objects of the file",
                                                 "--file takes the place of '%s'", command->words[0]);
}

static enum exit_status
run_new(struct command *command)
{
    struct client_fault fault;
    const char *file = args_value(command, OPT_FILE);
    const char *kind = kind_of(command);

    if (file != NULL) {
        if (!file_alone(command, &fault)) {
            return command_fail(command, &fault, "no record was made");
        }
        return load_records(command, file, kind);
    }
    json_t *save = json_pack("{s:s}", "do", "record.save");
    if (save == NULL || !need_kind(command, &fault) || !typed_values(command, true, 0, &fault) ||
        !take_given(command, 0, input_set, save, &fault) || !take_envelope(command, save, &fault) ||
        !input_whole(save, &fault)) {
        json_decref(save);
        return command_fail(command, &fault, "no record was made");
    }
    if (json_object_set_new(save, "kind", json_string(kind)) != 0) {
        json_decref(save);
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        return command_fail(command, &fault, "no record was made");
    }
    return send_save(command, save, "no record was made", "made");
}

/* --- Reading ----------------------------------------------------------------- */

static enum exit_status
run_show(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    struct labels *labels = command_labels(command, &fault);
    if (labels == NULL) {
        return command_fail(command, &fault, "cannot show %s", command->words[0]);
    }
    json_t *request = json_pack("{s:s, s:s}", "do", "record.show", "record", command->words[0]);
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot show %s", command->words[0]);
    }
    if (command_is_labelled(command)) {
        relabel_record(labels, ok);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        show_record(&command->out, ok, args_has(command, OPT_IDS),
                    strcmp(labels_language(labels), "en") != 0);
    }
    json_decref(ok);
    return STATUS_DONE;
}

/* "act[3f09a1c2].type_of_act = death_threat" of each op; several ops, several rows. */
static json_t *
history_rows(const json_t *entries)
{
    json_t *rows = json_array();
    size_t index;
    size_t at;
    json_t *entry;
    json_t *op;

    json_array_foreach(entries, index, entry)
    {
        json_array_foreach(json_object_get(entry, "ops"), at, op)
        {
            json_t *row = json_deep_copy(op);
            if (at == 0) {
                (void)json_object_update_missing(row, entry);
            }
            (void)json_array_append_new(rows, row);
        }
        if (json_array_size(json_object_get(entry, "ops")) == 0) {
            json_t *row = json_copy(entry);
            /* Where others say what changed, one that is held says why it does not count. */
            (void)json_object_set(row, "target", json_object_get(entry, "held"));
            (void)json_object_set(row, "value", json_object_get(entry, "why"));
            (void)json_array_append_new(rows, row);
        }
    }
    return rows;
}

static enum exit_status
run_history(struct command *command)
{
    static const struct output_column columns[] = {
        { "at", COLUMN_TIME },
        { "device", COLUMN_CUT },
        { "actor", COLUMN_CUT },
        { "state", 0 },
        { "op", 0 },
        { "target", 0 },
        { "replaces", COLUMN_RIGHT },
        { "value", COLUMN_CUT },
    };
    struct client_fault fault;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s, s:s}", "do", "record.history", "record", command->words[0]);
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot show the history of %s", command->words[0]);
    }
    json_t *entries = json_object_get(ok, "entries");
    json_t *rows = command->out.json ? json_incref(entries) : history_rows(entries);
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    json_decref(rows);
    json_decref(ok);
    return status;
}

/* The columns of --columns, cut apart in `names`, which is changed; or the usual ones. */
static size_t
list_columns(const struct command *command, char *names, struct output_column *columns, size_t columns_max)
{
    static const struct output_column of_cases[] = {
        { "number", 0 },         { "status", 0 },   { "urgency", 0 },    { "country_of_act", 0 },
        { "title", COLUMN_CUT }, { "conflict", 0 }, { "restricted", 0 }, { "updated", COLUMN_DAY },
    };
    static const struct output_column of_records[] = {
        { "number", 0 },   { "title", COLUMN_CUT }, { "pseudonym", COLUMN_CUT }, { "office", 0 },
        { "conflict", 0 }, { "restricted", 0 },     { "updated", COLUMN_DAY },
    };
    size_t count = 0;

    if (names != NULL) {
        char *rest = names;
        for (char *name = strsep(&rest, ","); name != NULL && count < columns_max;
             name = strsep(&rest, ",")) {
            if (name[0] != '\0') {
                columns[count++] =
                    (struct output_column){ name, strcmp(name, "updated") == 0 ? COLUMN_TIME : 0 };
            }
        }
        return count;
    }
    const struct output_column *usual = command->noun == &case_noun ? of_cases : of_records;
    count = command->noun == &case_noun ? sizeof of_cases / sizeof of_cases[0]
                                        : sizeof of_records / sizeof of_records[0];
    memcpy(columns, usual, count * sizeof *columns);
    return count;
}

/* Leave out of each row what is no column. */
static void
keep_columns(json_t *rows, const struct output_column *columns, size_t count)
{
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        json_t *kept = json_object();
        for (size_t n = 0; n < count; n++) {
            json_t *value = json_object_get(row, columns[n].name);
            (void)json_object_set_new(kept, columns[n].name,
                                      value == NULL ? json_null() : json_incref(value));
        }
        (void)json_array_set_new(rows, index, kept);
    }
}

/* A column that no row fills says nothing. */
static size_t
drop_empty(const json_t *rows, struct output_column *columns, size_t count)
{
    size_t kept = 0;
    size_t index;
    json_t *row;

    for (size_t n = 0; n < count; n++) {
        bool filled = false;
        json_array_foreach(rows, index, row)
        {
            const json_t *value = json_object_get(row, columns[n].name);
            filled = filled || (value != NULL && !json_is_null(value) && !json_is_false(value));
        }
        if (filled) {
            columns[kept++] = columns[n];
        }
    }
    return kept;
}

/* What a row may have beside the listed fields of its kind; of those, one that is called like the first seven has the name
 * of the kind before its own. */
static const char *const row_names[] = { "id",         "kind",    "office",  "conflict",
                                         "restricted", "created", "updated", "number" };
enum { ROW_NAMES = sizeof row_names / sizeof row_names[0], COLUMN_NAMES_MAX = 128, COLUMN_NAME_BYTES = 96 };

/* The columns that a list of records of this kind can have. Gives how many. */
static size_t
known_columns(const json_t *codebook, const char *kind, char names_out[COLUMN_NAMES_MAX][COLUMN_NAME_BYTES])
{
    size_t count = 0;
    size_t index;
    json_t *field;

    for (size_t n = 0; n < ROW_NAMES; n++) {
        (void)snprintf(names_out[count++], COLUMN_NAME_BYTES, "%s", row_names[n]);
    }
    json_array_foreach(json_object_get(codebook, "fields"), index, field)
    {
        const char *name = json_string_value(json_object_get(field, "name"));
        const json_t *kinds = json_object_get(field, "kinds");
        bool here = false;
        bool taken = false;
        for (size_t n = 0; n < json_array_size(kinds); n++) {
            const char *one = json_string_value(json_array_get(kinds, n));
            here = here || (one != NULL && strcmp(one, kind) == 0);
        }
        if (name == NULL || !here || !json_is_true(json_object_get(field, "listed")) ||
            strcmp(name, "number") == 0 || strcmp(name, "record_kind") == 0 || count == COLUMN_NAMES_MAX) {
            continue;
        }
        for (size_t n = 0; n < ROW_NAMES; n++) {
            taken = taken || strcmp(row_names[n], name) == 0;
        }
        (void)snprintf(names_out[count++], COLUMN_NAME_BYTES, "%s%s%s", taken ? kind : "", taken ? "_" : "",
                       name);
    }
    return count;
}

/* False, and `fault_out`: --columns names one that no row can have. */
static bool
check_columns(struct command *command, const char *kind, struct client_fault *fault_out)
{
    static char names[COLUMN_NAMES_MAX][COLUMN_NAME_BYTES];
    const char *list[COLUMN_NAMES_MAX];
    char hint[CLIENT_TEXT_BYTES] = "there are";
    const char *typed = args_value(command, OPT_COLUMNS);

    if (typed == NULL) {
        return true;
    }
    const json_t *codebook = typed_codebook(command, fault_out);
    if (codebook == NULL) {
        return false;
    }
    size_t count = known_columns(codebook, kind, names);
    for (size_t n = 0; n < count; n++) {
        size_t used = strlen(hint);
        list[n] = names[n];
        (void)snprintf(hint + used, sizeof hint - used, "%s %s", n > 0 ? "," : "", names[n]);
    }
    while (typed[0] != '\0') {
        char name[COLUMN_NAME_BYTES];
        size_t size = strcspn(typed, ",");
        bool known = size == 0;
        (void)snprintf(name, sizeof name, "%.*s", (int)size, typed);
        for (size_t n = 0; n < count; n++) {
            known = known || strcmp(names[n], name) == 0;
        }
        if (!known) {
            const char *nearest = nearest_name(name, list, count);
            return fault_set(fault_out, "usage", hint, "there is no column '%s'%s%s%s", name,
                             nearest == NULL ? "" : ": did you mean ", nearest == NULL ? "" : nearest,
                             nearest == NULL ? "" : "?");
        }
        typed += size + (typed[size] == ',' ? 1 : 0);
    }
    return true;
}

static enum exit_status
print_list(struct command *command, json_t *rows, json_int_t total)
{
    struct output_column columns[32];
    struct client_fault fault;
    char *names = NULL;

    if (args_value(command, OPT_COLUMNS) != NULL) {
        names = strdup(args_value(command, OPT_COLUMNS));
    }
    size_t count = list_columns(command, names, columns, sizeof columns / sizeof columns[0]);
    if (count == 0) {
        free(names);
        (void)fault_set(&fault, "usage", "name some, as in --columns number,title",
                        "--columns names no column");
        return command_fail(command, &fault, "cannot list");
    }
    if (names != NULL) {
        keep_columns(rows, columns, count);
    } else if (!command->out.json) {
        output_name_rows(rows, "id");
        count = drop_empty(rows, columns, count);
    }
    enum exit_status status = command_table(command, columns, count, rows);
    free(names);
    if (json_array_size(rows) == 0) {
        command_remark(command, "there is none\n");
    } else if (total > (json_int_t)json_array_size(rows)) {
        command_remark(command, "%zu of %lld shown\n", json_array_size(rows), (long long)total);
    }
    return status;
}

/* How many there are in all: an answer counts those of its own page and those behind it. */
static json_int_t
total_of(const json_t *rows, const json_t *last)
{
    size_t before = json_array_size(rows) - json_array_size(json_object_get(last, "records"));

    return (json_int_t)before + json_integer_value(json_object_get(last, "total"));
}

static enum exit_status
run_list(struct command *command)
{
    struct client_fault fault;
    const char *kind = kind_of(command);
    json_t *last = NULL;
    long limit = 0;

    if (!need_kind(command, &fault) || !args_number(command, OPT_LIMIT, 1, 100000000, 0, &limit, &fault)) {
        return command_fail(command, &fault, "cannot list");
    }
    json_t *request = json_pack("{s:s, s:s}", "do", "record.list", "kind", kind);
    json_t *rows = json_array();
    enum exit_status status = STATUS_DONE;
    if (request == NULL || !check_columns(command, kind, &fault) || !typed_filter(command, request, &fault) ||
        !command_ask_pages(command, request, &(struct command_pages){ "records", limit, PAGE_ROWS }, rows,
                           &last, &fault)) {
        status = command_fail(command, &fault, "cannot list");
    } else {
        status = print_list(command, rows, total_of(rows, last));
    }
    json_decref(last);
    json_decref(rows);
    json_decref(request);
    return status;
}

/* A row of a count, to be put into order. */
struct counted {
    json_t *row;
    const json_t *labels;
    json_int_t count;
    size_t place; /* as it came */
};

/* One row of a count: the values under the names of their fields, in a table their labels. */
static json_t *
count_row(const json_t *row, const char *const *by, size_t by_count, bool labels)
{
    json_t *out = json_object();

    for (size_t n = 0; n < by_count; n++) {
        json_t *value = json_array_get(json_object_get(row, "values"), n);
        json_t *label = json_array_get(json_object_get(row, "labels"), n);
        (void)json_object_set(out, by[n], labels && json_is_string(label) ? label : value);
    }
    if (!labels) {
        (void)json_object_set(out, "labels", json_object_get(row, "labels"));
    }
    (void)json_object_set(out, "count", json_object_get(row, "count"));
    return out;
}

/* Cut "a,b" into its one or two names; `names` is changed. 0: it is none. */
static size_t
cut_by(char *names, char *by[2])
{
    size_t count = 0;
    char *rest = names;

    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        if (name[0] == '\0' || count == 2) {
            return 0;
        }
        by[count++] = name;
    }
    return count;
}

/* Most first; of equals the one that came first stays first, which is by the codes of the vocabulary. */
static int
compare_rows(const void *left, const void *right)
{
    const struct counted *a = left;
    const struct counted *b = right;

    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    return a->place < b->place ? -1 : 1;
}

/* By what people read, in the order of the columns. */
static int
compare_names(const void *left, const void *right)
{
    const struct counted *a = left;
    const struct counted *b = right;

    for (size_t n = 0; n < json_array_size(a->labels); n++) {
        char *one = output_value(json_array_get(a->labels, n));
        char *other = output_value(json_array_get(b->labels, n));
        int order = one == NULL || other == NULL ? 0 : strcoll(one, other);

        free(one);
        free(other);
        if (order != 0) {
            return order;
        }
    }
    return a->place < b->place ? -1 : 1;
}

/* What headquarters should see first stands first. */
static json_t *
sort_rows(const json_t *rows, bool by_name)
{
    size_t count = json_array_size(rows);
    struct counted *all = calloc(count + 1, sizeof *all);
    json_t *sorted = json_array();

    for (size_t n = 0; all != NULL && n < count; n++) {
        json_t *row = json_array_get(rows, n);

        all[n] = (struct counted){ row, json_object_get(row, "labels"),
                                   json_integer_value(json_object_get(row, "count")), n };
    }
    if (all != NULL) {
        qsort(all, count, sizeof *all, by_name ? compare_names : compare_rows);
    }
    for (size_t n = 0; all != NULL && n < count; n++) {
        (void)json_array_append(sorted, all[n].row);
    }
    free(all);
    return sorted;
}

static enum exit_status
count_by(struct command *command, char **by, size_t by_count)
{
    struct output_column columns[3] = { 0 };
    struct client_fault fault;
    json_t *ok = NULL;
    size_t index;
    json_t *row;

    json_t *request =
        json_pack("{s:s, s:s, s:[s]}", "do", "record.count", "kind", kind_of(command), "by", by[0]);
    if (by_count == 2) {
        (void)json_array_append_new(json_object_get(request, "by"), json_string(by[1]));
    }
    if (!typed_filter(command, request, &fault)) {
        json_decref(request);
        return command_fail(command, &fault, "cannot count");
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot count");
    }
    /* People read what fields are called; without the codebook their names do, and for two of one label. */
    const json_t *codebook = command->out.json ? NULL : typed_codebook(command, &fault);
    const char *names[2] = { by[0], by[1] };
    for (size_t n = 0; codebook != NULL && n < by_count; n++) {
        names[n] = typed_label(codebook, by[n]);
    }
    if (by_count == 2 && strcmp(names[0], names[1]) == 0) {
        names[0] = by[0];
        names[1] = by[1];
    }
    json_t *rows = json_array();
    json_t *sorted = sort_rows(json_object_get(ok, "rows"), args_has(command, OPT_BY_NAME));
    json_array_foreach(sorted, index, row)
    {
        (void)json_array_append_new(rows, count_row(row, names, by_count, !command->out.json));
    }
    json_decref(sorted);
    for (size_t n = 0; n < by_count; n++) {
        columns[n].name = names[n];
    }
    columns[by_count] = (struct output_column){ .name = "count", .flags = COLUMN_RIGHT };
    enum exit_status status = command_table(command, columns, by_count + 1, rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "there is none\n");
    }
    json_decref(rows);
    json_decref(ok);
    return status;
}

static enum exit_status
run_count(struct command *command)
{
    struct client_fault fault;
    char *by[2] = { NULL, NULL };
    const char *typed = args_value(command, OPT_BY);

    if (!need_kind(command, &fault)) {
        return command_fail(command, &fault, "cannot count");
    }
    char *names = typed == NULL ? NULL : strdup(typed);
    size_t count = names == NULL ? 0 : cut_by(names, by);
    enum exit_status status = STATUS_USAGE;
    if (count == 0) {
        (void)fault_set(&fault, "usage", "write --by country_of_act or --by country_of_act,act.type_of_act",
                        "--by names one or two fields to count by");
        status = command_fail(command, &fault, "cannot count");
    } else {
        status = count_by(command, by, count);
    }
    free(names);
    return status;
}

/* --- The tables -------------------------------------------------------------- */

#define WORDS_MAX 1000

#define CHANGES                                                                                              \
    (OPTION(SET) | OPTION(ADD) | OPTION(REMOVE) | OPTION(NOTE) | OPTION(RESOLVE) | OPTION(URGENT) |          \
     OPTION(DRY_RUN))
#define MAKES                                                                                                \
    (OPTION(SET) | OPTION(ADD) | OPTION(NOTE) | OPTION(FILE) | OPTION(KEEP_GOING) | OPTION(OFFICE) |         \
     OPTION(URGENT) | OPTION(DRY_RUN))
#define LISTS (OPTION(WHERE) | OPTION(MONTH) | OPTION(CONFLICT) | OPTION(LIMIT) | OPTION(COLUMNS))

#define ABOUT_NAMES                                                                                          \
    "A record goes by its number (KEN-2026-0042), its id, or at least six digits that its id "               \
    "begins with. Fields go by their names in the codebook: vigil codebook show.\n"

#define ABOUT_ADD                                                                                            \
    "--add SET=VALUE adds one value of a set. --add COLLECTION.FIELD=VALUE makes a new "                     \
    "element; further --add for the same collection belong to that element, and --add "                      \
    "COLLECTION alone begins the next one:\n\n"                                                              \
    "  --add act.type_of_act=death_threat --add act.date_from=2026-03 \\\n"                                  \
    "  --add act --add act.type_of_act=detention\n"

#define ABOUT_SECRETS                                                                                        \
    "Others can see a command line while it runs, and the shell keeps it. So the value of a "                \
    "field of level L3, such as a person's name, is refused there: write NAME=- and it is asked for, "       \
    "or read from standard input, one line for each -. Or use --file.\n"

#define ABOUT_FILE                                                                                           \
    "With --file each record is one JSON object, on one line or on several:\n\n"                             \
    "  {\"kind\":\"person\",\"ref\":\"p1\",\"fields\":{\"pseudonym\":\"Dove\"}}\n"                           \
    "  {\"kind\":\"case\",\"fields\":{\"title\":\"...\",\"status\":\"triage\"},\n"                           \
    "   \"sets\":{\"country_of_act\":[\"KEN\"]},\n"                                                          \
    "   \"elements\":{\"victim\":[{\"person\":\"ref:p1\"}],\n"                                               \
    "               \"act\":[{\"type_of_act\":\"detention\"}]},\n"                                           \
    "   \"notes\":[\"...\"]}\n\n"                                                                            \
    "\"ref:p1\" stands for the record that an earlier object with \"ref\":\"p1\" makes. Further "            \
    "keys: office, urgent, actor, and to change a record that is there: record, remove, resolve. "           \
    "Many are on their way at once, so they are printed as they are saved. After a refused "                 \
    "one no more are sent, unless --keep-going is given.\n"

static const struct verb case_verbs[] = {
    { "new", "[NAME=VALUE...]", 0, WORDS_MAX, MAKES, "Make a case, or with --file many records",
      "Examples:\n"
      "  vigil case new title='Two arrests' status=draft country_of_act=KEN\n"
      "  vigil case new --set status=draft --add act.type_of_act=death_threat\n"
      "  vigil case new --file cases.ndjson\n\n" ABOUT_ADD "\n" ABOUT_FILE "\n" ABOUT_SECRETS,
      run_new },
    { "set", "ID NAME=VALUE...", 1, WORDS_MAX, CHANGES, "Set fields of a case",
      "Examples:\n"
      "  vigil case set KEN-2026-0042 status=triage urgency=urgent\n"
      "  vigil case set KEN-2026-0042 'act[3f09a1c2].stage=ongoing'\n"
      "  vigil case set KEN-2026-0042 title='Two arrests' --resolve title\n\n" ABOUT_NAMES
      "A field that holds several values is set only if --resolve names it: look at them "
      "first with vigil conflict show. For a set, setting means adding a value.\n\n" ABOUT_SECRETS,
      run_set },
    { "add", "ID NAME=VALUE...", 1, WORDS_MAX, CHANGES, "Add values of sets and new elements to a case",
      "Examples:\n"
      "  vigil case add KEN-2026-0042 country_of_act=UGA\n"
      "  vigil case add KEN-2026-0042 act.type_of_act=detention act.date_from=2026-03\n\n" ABOUT_ADD
      "\n" ABOUT_NAMES,
      run_add },
    { "remove", "ID TARGET...", 1, WORDS_MAX, CHANGES, "Remove elements of a case",
      "Example:\n"
      "  vigil case remove KEN-2026-0042 'act[3f09a1c2]'\n\n"
      "vigil case show ID --ids prints the target of each element. What was removed stays in the "
      "history; if somebody edited it meanwhile, it comes back as a conflict.\n",
      run_remove },
    { "note", "ID TEXT", 1, 2, CHANGES, "Add a note to a case",
      "Examples:\n"
      "  vigil case note KEN-2026-0042 'The lawyer called back.'\n"
      "  vigil case note KEN-2026-0042 - < note.txt\n\n"
      "A note is never changed and never removed.\n\n" ABOUT_SECRETS,
      run_note },
    { "show", "ID", 1, 1, OPTION(IDS) | OPTION(LANGUAGE), "Show a case with all its values",
      "Examples:\n"
      "  vigil case show KEN-2026-0042\n"
      "  vigil --json case show KEN-2026-0042\n\n"
      "A field in conflict is marked with ! and all its values are printed, the one that lists "
      "show with *. \"withheld\" stands where this node may not read.\n\n" ABOUT_NAMES,
      run_show },
    { "list", NULL, 0, 0, LISTS, "List cases",
      "Examples:\n"
      "  vigil case list --where country_of_act=KEN --month act.date_from=2026-03\n"
      "  vigil case list --conflict\n"
      "  vigil case list --columns number,title,verification\n",
      run_list },
    { "history", "ID", 1, 1, 0, "Show who changed what in a case, oldest first", NULL, run_history },
    { "count", "--by FIELD,FIELD", 0, 0, OPTION(BY) | OPTION(BY_NAME) | OPTION(WHERE),
      "Count cases by one or two fields",
      "Examples:\n"
      "  vigil case count --by country_of_act,act.type_of_act\n"
      "  vigil case count --by status --where country_of_act=KEN\n\n"
      "Most cases stand first. A case counts once for each value that it holds, so the counts may add "
      "up to more than there are cases.\n",
      run_count },
};

static const struct verb record_verbs[] = {
    { "new", "--kind KIND [NAME=VALUE...]", 0, WORDS_MAX, MAKES | OPTION(KIND),
      "Make a record, or with --file many",
      "Examples:\n"
      "  vigil record new --kind person pseudonym=Dove gender=woman\n"
      "  vigil record new --kind person pseudonym=Dove --add name.text=-\n"
      "  vigil record new --file records.ndjson\n\n" ABOUT_ADD "\n" ABOUT_FILE "\n" ABOUT_SECRETS,
      run_new },
    { "set", "ID NAME=VALUE...", 1, WORDS_MAX, CHANGES, "Set fields of a record",
      "Example:\n"
      "  vigil record set 3f09a1c2 current_situation=relocated\n\n" ABOUT_NAMES
      "A field that holds several values is set only if --resolve names it. For a set, "
      "setting means adding a value.\n\n" ABOUT_SECRETS,
      run_set },
    { "add", "ID NAME=VALUE...", 1, WORDS_MAX, CHANGES, "Add values of sets and new elements to a record",
      "Example:\n"
      "  vigil record add 3f09a1c2 roles=lawyer\n\n" ABOUT_ADD "\n" ABOUT_NAMES,
      run_add },
    { "remove", "ID TARGET...", 1, WORDS_MAX, CHANGES, "Remove elements of a record",
      "Example:\n"
      "  vigil record remove 3f09a1c2 'roles[9b00d1e2]'\n\n"
      "vigil record show ID --ids prints the target of each element.\n",
      run_remove },
    { "note", "ID TEXT", 1, 2, CHANGES, "Add a note to a record",
      "Example:\n"
      "  vigil record note 3f09a1c2 - < note.txt\n\n" ABOUT_SECRETS,
      run_note },
    { "show", "ID", 1, 1, OPTION(IDS) | OPTION(LANGUAGE), "Show a record with all its values", ABOUT_NAMES,
      run_show },
    { "list", "--kind KIND", 0, 0, LISTS | OPTION(KIND), "List records of one kind",
      "Example:\n"
      "  vigil record list --kind person --where gender=woman\n",
      run_list },
    { "history", "ID", 1, 1, 0, "Show who changed what in a record, oldest first", NULL, run_history },
    { "count", "--kind KIND --by FIELD,FIELD", 0, 0,
      OPTION(BY) | OPTION(BY_NAME) | OPTION(WHERE) | OPTION(KIND),
      "Count records of one kind by one or two fields",
      "Example:\n"
      "  vigil record count --kind person --by gender,age_group\n",
      run_count },
};

const struct noun case_noun = {
    "case",
    "Make, change, find and read cases",
    case_verbs,
    sizeof case_verbs / sizeof case_verbs[0],
};

const struct noun record_noun = {
    "record",
    "The same for persons, sources and the other kinds",
    record_verbs,
    sizeof record_verbs / sizeof record_verbs[0],
};
