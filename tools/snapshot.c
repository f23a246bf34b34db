/* snapshot.c - vigil snapshot: a reporting window as it was counted once, to be counted again by anybody who may. */
#include "tools/command.h"

#include <string.h>

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

/* --- make --- */

/* The node reads first what is durable, then writes it down. */
static bool
make(struct command *command, json_t **ok_out, struct client_fault *fault_out)
{
    json_t *draft = NULL;

    if (!command_ask(command, json_pack("{s:s,s:s}", "do", "snapshot.draft", "window", command->words[0]),
                     &draft, fault_out)) {
        return false;
    }
    json_t *request = json_pack("{s:s,s:O}", "do", "snapshot.make", "draft", json_object_get(draft, "draft"));
    json_decref(draft);
    return command_ask(command, request, ok_out, fault_out);
}

static enum exit_status
run_make(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!make(command, &ok, &fault)) {
        return command_fail(command, &fault, "the window is not frozen");
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        command_say(command, "snapshot %s, counted from %lld records\n", text_of(ok, "snapshot"),
                    (long long)json_integer_value(json_object_get(ok, "records")));
    }
    json_decref(ok);
    return STATUS_DONE;
}

/* --- list, show --- */

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = { { "id", 0 },
                                                    { "window", 0 },
                                                    { "as_of", 0 },
                                                    { "record_count", COLUMN_RIGHT },
                                                    { "created", COLUMN_TIME } };
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "snapshot.list"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot list snapshots");
    }
    enum exit_status status =
        command_table(command, columns, sizeof columns / sizeof columns[0], json_object_get(ok, "snapshots"));
    if (json_array_size(json_object_get(ok, "snapshots")) == 0) {
        command_remark(command, "there is no snapshot\n");
    }
    json_decref(ok);
    return status;
}

/* "lawyer, woman, all" of a row without its number. */
static void
print_values(const struct command *command, const json_t *values, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        const char *value = json_string_value(json_array_get(values, n));

        output_printf(command->out.to, "%s%s", n == 0 ? "" : ", ", value == NULL ? "" : value);
    }
}

static void
print_count(const struct command *command, const json_t *count)
{
    if (json_is_integer(count)) {
        output_printf(command->out.to, "%lld", (long long)json_integer_value(count));
    } else {
        output_printf(command->out.to, "*");
    }
}

static void
print_figures(const struct command *command, const json_t *figures)
{
    size_t index;
    size_t n;
    json_t *figure;
    json_t *row;

    json_array_foreach(figures, index, figure)
    {
        output_printf(command->out.to, "\n%s  %s\n", text_of(figure, "table"), text_of(figure, "title"));
        json_array_foreach(json_object_get(figure, "rows"), n, row)
        {
            size_t size = json_array_size(row);

            output_printf(command->out.to, "  ");
            print_values(command, row, size == 0 ? 0 : size - 1);
            output_printf(command->out.to, "%s", size > 1 ? ": " : "");
            print_count(command, json_array_get(row, size == 0 ? 0 : size - 1));
            output_printf(command->out.to, "\n");
        }
    }
}

static enum exit_status
run_show(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s,s:s}", "do", "snapshot.show", "snapshot", command->words[0]),
                     &ok, &fault)) {
        return command_fail(command, &fault, "cannot show the snapshot");
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        const json_t *row = json_object_get(ok, "snapshot");

        output_printf(command->out.to, "snapshot  %s\n", text_of(row, "id"));
        output_printf(command->out.to, "window    %s\n", text_of(row, "window"));
        output_printf(command->out.to, "counted   %s, from %lld records\n", text_of(row, "as_of"),
                      (long long)json_integer_value(json_object_get(row, "record_count")));
        output_printf(command->out.to, "made by   %s\n", text_of(json_object_get(ok, "device"), "name"));
        output_printf(command->out.to, "whole     %s\n",
                      json_is_true(json_object_get(ok, "whole")) ? "yes" : "no: its seal does not fit");
        print_figures(command, json_object_get(ok, "figures"));
    }
    json_decref(ok);
    return STATUS_DONE;
}

/* --- verify --- */

static void
print_wrong(const struct command *command, const json_t *wrong)
{
    size_t index;
    json_t *one;

    json_array_foreach(wrong, index, one)
    {
        output_printf(command->out.to, "wrong     %s, %s, ", text_of(one, "table"), text_of(one, "title"));
        print_values(command, json_object_get(one, "values"),
                     json_array_size(json_object_get(one, "values")));
        output_printf(command->out.to, ": published ");
        print_count(command, json_object_get(one, "published"));
        output_printf(command->out.to, ", counted ");
        print_count(command, json_object_get(one, "computed"));
        output_printf(command->out.to, "\n");
    }
}

static void
print_faults(const struct command *command, const json_t *faults)
{
    static const char *const words[][2] = {
        { "missing", "is not here" },
        { "changed", "is here otherwise: entries of it were erased, count no more, or did not arrive" },
        { "unlisted", "was there, and is not in the list" },
        { "log", "is a log whose end is not here" },
        { "page", "begins a page whose hash does not fit" },
    };
    size_t index;
    json_t *fault;

    json_array_foreach(faults, index, fault)
    {
        const char *how = text_of(fault, "how");
        const char *compartment = text_of(fault, "compartment");

        if (strcmp(how, "unreadable") == 0) {
            output_printf(command->out.to, "unread    %lld records of %s: this node may not read them\n",
                          (long long)json_integer_value(json_object_get(fault, "count")), compartment);
        }
        for (size_t n = 0; n < sizeof words / sizeof words[0]; n++) {
            if (strcmp(how, words[n][0]) == 0) {
                output_printf(command->out.to, "%-8s  %s of %s %s\n", how, text_of(fault, "record"),
                              compartment[0] == '\0' ? "an unknown compartment" : compartment, words[n][1]);
            }
        }
    }
}

static enum exit_status
run_verify(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s,s:s}", "do", "snapshot.verify", "snapshot", command->words[0]),
                     &ok, &fault)) {
        return command_fail(command, &fault, "cannot check the snapshot");
    }
    bool agrees = json_is_true(json_object_get(ok, "agrees"));
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        json_int_t faulty = json_integer_value(json_object_get(ok, "faulty"));
        size_t shown = json_array_size(json_object_get(ok, "faults"));

        print_wrong(command, json_object_get(ok, "wrong"));
        print_faults(command, json_object_get(ok, "faults"));
        if (faulty > (json_int_t)shown) {
            output_printf(command->out.to, "          and %lld more\n", (long long)faulty - (long long)shown);
        }
        if (!json_is_true(json_object_get(ok, "whole"))) {
            output_printf(command->out.to,
                          "seal      does not fit: a page is missing, or another than it was\n");
        }
        output_printf(command->out.to, "%s: %lld figures counted again, %zu wrong\n",
                      agrees ? "agrees" : "differs",
                      (long long)json_integer_value(json_object_get(ok, "figures")),
                      json_array_size(json_object_get(ok, "wrong")));
    }
    json_decref(ok);
    return agrees ? STATUS_DONE : STATUS_INVALID;
}

static const struct verb verbs[] = {
    { "make", "WINDOW", 1, 1, 0, "Freeze a reporting window: its tables, and what they were counted from",
      "WINDOW is the symbol of its report, or its id. The snapshot is a record that every office holds: the "
      "tables with small "
      "numbers left out, where each log ended, and the version of every record that was looked at.\n\n"
      "Example:\n"
      "  vigil snapshot make A/HRC/60/62\n",
      run_make },
    { "list", NULL, 0, 0, 0, "List snapshots", NULL, run_list },
    { "show", "SNAPSHOT", 1, 1, 0, "Show what was published", NULL, run_show },
    { "verify", "SNAPSHOT", 1, 1, 0, "Count every figure again from the frozen versions",
      "Later edits do not matter. A figure that differs is named, and each record that is not here or is "
      "here "
      "otherwise; the exit status is then 5.\n",
      run_verify },
};

const struct noun snapshot_noun = { "snapshot", "Freeze a reporting window, and count it again", verbs,
                                    sizeof verbs / sizeof verbs[0] };
