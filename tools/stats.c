/* stats.c - vigil stats: the tables of headquarters. */
#include "tools/command.h"
#include "tools/csv_write.h"
#include "tools/relabel.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 64, AXES_MAX = 3, CELLS_MAX = 3 + 3 * AXES_MAX + 2 };

static const char hidden_mark[] = "*";

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

static json_t *
shown_count(const json_t *row)
{
    json_t *count = json_object_get(row, "count");

    return json_is_null(count) ? json_string(hidden_mark) : json_incref(count);
}

/* --- on a terminal --- */

/* One value a row: what it is, how many, and which share of all. */
static enum exit_status
print_list(const struct command *command, const json_t *cube)
{
    static const struct output_column columns[] = { { "value", 0 },
                                                    { "count", COLUMN_RIGHT },
                                                    { "share", COLUMN_RIGHT } };
    json_t *rows = json_array();
    bool shares = false;
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(cube, "rows"), index, row)
    {
        const char *label = json_string_value(json_array_get(json_object_get(row, "labels"), 0));
        const json_t *share = json_object_get(row, "share");
        char percent[16] = "";

        if (json_is_real(share)) {
            (void)snprintf(percent, sizeof percent, "%.1f %%", 100 * json_real_value(share));
        }
        shares = shares || share != NULL;
        (void)json_array_append_new(rows, json_pack("{s:s,s:o,s:s}", "value", label == NULL ? "All" : label,
                                                    "count", shown_count(row), "share", percent));
    }
    enum exit_status status = command_table(command, columns, shares ? 3 : 2, rows);
    json_decref(rows);
    return status;
}

/* The row of a matrix that a cell belongs to. Cells come line by line, each line with its total first: so one that the last row has
 * already begins the next. Two lines may be called the same, a group and the one value in it. */
static json_t *
matrix_row(json_t *rows, const char *label, const char *across)
{
    size_t count = json_array_size(rows);
    json_t *row = count == 0 ? NULL : json_array_get(rows, count - 1);

    if (row == NULL || json_object_get(row, across) != NULL) {
        row = json_pack("{s:s}", "value", label);
        (void)json_array_append_new(rows, row);
    }
    return row;
}

static size_t
add_column(struct output_column columns[COLUMNS_MAX], size_t count, const char *name)
{
    for (size_t n = 1; n < count; n++) {
        if (strcmp(columns[n].name, name) == 0) {
            return count;
        }
    }
    if (count < COLUMNS_MAX) {
        columns[count] = (struct output_column){ name, COLUMN_RIGHT };
        count++;
    }
    return count;
}

/* The first axis down, the second across. */
static enum exit_status
print_matrix(const struct command *command, const json_t *cube)
{
    struct output_column columns[COLUMNS_MAX] = { { "value", 0 } };
    size_t count = 1;
    json_t *rows = json_array();
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(cube, "rows"), index, row)
    {
        const char *down = json_string_value(json_array_get(json_object_get(row, "labels"), 0));
        const char *across = json_string_value(json_array_get(json_object_get(row, "values"), 1));

        count = add_column(columns, count, across);
        (void)json_object_set_new(matrix_row(rows, down, across), across, shown_count(row));
    }
    json_array_foreach(rows, index, row)
    {
        for (size_t n = 1; n < count; n++) {
            if (json_object_get(row, columns[n].name) == NULL) {
                (void)json_object_set_new(row, columns[n].name, json_integer(0));
            }
        }
    }
    enum exit_status status = command_table(command, columns, count, rows);
    json_decref(rows);
    return status;
}

/* More than two axes: one cell a row. */
static enum exit_status
print_cells(const struct command *command, const json_t *cube)
{
    struct output_column columns[AXES_MAX + 1];
    const json_t *axes = json_object_get(cube, "axes");
    json_t *rows = json_array();
    size_t count = 0;
    size_t index;
    json_t *row;

    for (; count < json_array_size(axes) && count < AXES_MAX; count++) {
        columns[count] = (struct output_column){ text_of(json_array_get(axes, count), "name"), 0 };
    }
    columns[count] = (struct output_column){ "count", COLUMN_RIGHT };
    json_array_foreach(json_object_get(cube, "rows"), index, row)
    {
        json_t *shown = json_pack("{s:o}", "count", shown_count(row));

        for (size_t n = 0; n < count; n++) {
            (void)json_object_set(shown, columns[n].name, json_array_get(json_object_get(row, "labels"), n));
        }
        (void)json_array_append_new(rows, shown);
    }
    enum exit_status status = command_table(command, columns, count + 1, rows);
    json_decref(rows);
    return status;
}

/* Its total, which stands first, is 0. */
static bool
is_empty(const json_t *cube)
{
    const json_t *total = json_object_get(json_array_get(json_object_get(cube, "rows"), 0), "count");

    return json_is_integer(total) && json_integer_value(total) == 0;
}

static enum exit_status
print_table(const struct command *command, const json_t *table)
{
    enum exit_status status = STATUS_DONE;
    size_t index;
    json_t *cube;

    output_printf(command->out.to, "%s  %s\n", text_of(table, "name"), text_of(table, "title"));
    if (text_of(table, "note")[0] != '\0') {
        output_printf(command->out.to, "%s\n", text_of(table, "note"));
    }
    json_array_foreach(json_object_get(table, "cubes"), index, cube)
    {
        size_t axes = json_array_size(json_object_get(cube, "axes"));

        if (is_empty(cube)) {
            output_printf(command->out.to, "\n%s: none\n", text_of(cube, "title"));
            continue;
        }
        output_printf(command->out.to, "\n%s, in %s\n", text_of(cube, "title"), text_of(cube, "unit"));
        status = axes < 2 ? print_list(command, cube)
                          : (axes == 2 ? print_matrix(command, cube) : print_cells(command, cube));
        if (status != STATUS_DONE) {
            break;
        }
    }
    output_printf(command->out.to, "\n");
    return status;
}

static enum exit_status
print_tables(const struct command *command, const json_t *ok)
{
    enum exit_status status = STATUS_DONE;
    json_int_t threshold = json_integer_value(json_object_get(ok, "threshold"));
    size_t index;
    json_t *table;

    json_array_foreach(json_object_get(ok, "tables"), index, table)
    {
        status = status == STATUS_DONE ? print_table(command, table) : status;
    }
    if (!json_is_true(json_object_get(ok, "unsuppressed"))) {
        command_remark(command, "%s is a number below %lld, or one that such a number could be told from\n",
                       hidden_mark, (long long)threshold);
    }
    return status;
}

/* --- as comma-separated values --- */

static void
write_row(FILE *to, const json_t *table, const json_t *cube, const json_t *row)
{
    const json_t *axes = json_object_get(cube, "axes");
    const json_t *count = json_object_get(row, "count");
    const char *cells[CELLS_MAX] = { text_of(table, "name"), text_of(cube, "title"), text_of(cube, "unit") };
    char number[32] = "";
    size_t at = 3;

    for (size_t n = 0; n < AXES_MAX; n++) {
        cells[at++] = text_of(json_array_get(axes, n), "name");
        cells[at++] = json_string_value(json_array_get(json_object_get(row, "values"), n));
        cells[at++] = json_string_value(json_array_get(json_object_get(row, "labels"), n));
    }
    if (json_is_integer(count)) {
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(count));
    }
    cells[at++] = number;
    cells[at++] = json_is_integer(count) ? "no" : "yes";
    csv_write_row(to, cells, at);
}

static bool
write_csv(const char *path, const json_t *tables, struct client_fault *fault_out)
{
    static const char *const heading[CELLS_MAX] = {
        "table",   "title",   "unit",   "axis_1",  "value_1", "label_1", "axis_2",
        "value_2", "label_2", "axis_3", "value_3", "label_3", "count",   "suppressed",
    };
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    size_t index;
    size_t at;
    size_t n;
    json_t *table;
    json_t *cube;
    json_t *row;

    if (to == NULL) {
        return fault_set(fault_out, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                         err_text(ERR_MEMORY));
    }
    csv_write_row(to, heading, CELLS_MAX);
    json_array_foreach(tables, index, table)
    {
        json_array_foreach(json_object_get(table, "cubes"), at, cube)
        {
            json_array_foreach(json_object_get(cube, "rows"), n, row)
            {
                write_row(to, table, cube, row);
            }
        }
    }
    bool good = fclose(to) == 0 && text != NULL
                    ? command_write(path, text, fault_out)
                    : fault_set(fault_out, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                                err_text(ERR_MEMORY));
    free(text);
    return good;
}

static enum exit_status
run_stats(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;
    json_t *names = json_array();
    const char *window = args_value(command, OPT_WINDOW);
    const char *by = args_value(command, OPT_BY);
    const char *path = args_value(command, OPT_CSV);
    struct labels *labels = command_labels(command, &fault);

    if (labels == NULL) {
        json_decref(names);
        return command_fail(command, &fault, "cannot count");
    }
    for (size_t n = 0; n < command->word_count; n++) {
        (void)json_array_append_new(names, json_string(command->words[n]));
    }
    json_t *request = json_pack("{s:s,s:o,s:b}", "do", "stats.table", "tables", names, "unsuppressed",
                                args_has(command, OPT_UNSUPPRESSED));
    if (window != NULL) {
        (void)json_object_set_new(request, "window", json_string(window));
    }
    if (by != NULL) {
        (void)json_object_set_new(request, "by", json_string(by));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot count");
    }
    enum exit_status status = STATUS_DONE;
    if (path != NULL || command_is_labelled(command)) {
        relabel_tables(labels, json_object_get(ok, "tables"));
    }
    if (path != NULL && !write_csv(path, json_object_get(ok, "tables"), &fault)) {
        status = command_fail(command, &fault, "the tables were not written");
    } else if (path != NULL) {
        command_say(command, "%zu tables are in %s\n", json_array_size(json_object_get(ok, "tables")), path);
    } else if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_tables(command, ok);
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { NULL, "TABLE...", 0, 13,
      OPTION(WINDOW) | OPTION(BY) | OPTION(CSV) | OPTION(UNSUPPRESSED) | OPTION(LANGUAGE),
      "Count cases, persons and acts for headquarters",
      "TABLE is T1 to T13; all of them if none is named:\n"
      "  T1 volume  T2 geography  T3 victims  T4 acts  T5 mechanisms  T6 perpetrators  T7 anonymity\n"
      "  T8 digital  T9 legislation  T10 transnational  T11 outcome  T12 timeliness  T13 data quality\n\n"
      "Without --window all cases are counted. Places are regions of UN M49; --by subregion and --by state "
      "show what lies in them. States, individuals, organisations and groups are counted apart and "
      "never added up. A number below 5 is not shown, nor one that it could be told from; who has the role "
      "headquarters or review sees all with --unsuppressed, which the audit log notes.\n\n"
      "Examples:\n"
      "  vigil stats T1 T3 --window A/HRC/60/62\n"
      "  vigil stats --window A/HRC/60/62 --by state --csv tables.csv\n",
      run_stats },
};

const struct noun stats_noun = { "stats", "Count cases, persons and acts for headquarters", verbs, 1 };
