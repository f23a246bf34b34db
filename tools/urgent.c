/* urgent.c - `vigil urgent`: cases that somebody must look at soon, and saying that one was looked at. */
#include "tools/command.h"
#include "tools/input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_BYTES_MAX = 512 << 10, LINE_BYTES_MAX = 4096 };

/* --- list -------------------------------------------------------------------- */

/* "not yet", or who acknowledged it last. */
static json_t *
acknowledged_json(const json_t *row)
{
    const json_t *list = json_object_get(row, "acknowledgements");
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    json_t *by = json_object_get(last, "actor");

    if (json_is_true(json_object_get(row, "waits")) || last == NULL) {
        return json_string("not yet");
    }
    return json_incref(json_is_object(by) ? by : json_object_get(last, "device"));
}

/* What people read of a row, beside what scripts do. */
static void
word_rows(json_t *rows)
{
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        const char *asks = json_string_value(json_object_get(row, "asks"));
        char more[80];

        (void)snprintf(more, sizeof more, "%s%s", asks == NULL ? "" : asks,
                       json_is_true(json_object_get(row, "asks_more")) ? " (more)" : "");
        (void)json_object_set_new(row, "acknowledged", acknowledged_json(row));
        (void)json_object_set_new(row, "facts ask for", json_string(more));
    }
}

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column shown[] = {
        { "number", 0 },           { "urgency", COLUMN_STATE },
        { "hours", COLUMN_RIGHT }, { "office", 0 },
        { "country", 0 },          { "status", 0 },
        { "acknowledged", 0 },     { "facts ask for", 0 },
        { "why", COLUMN_CUT },
    };
    json_t *rows = json_array();
    struct client_fault fault;
    long limit = 0;

    json_t *request = json_pack("{s:s,s:b}", "do", "urgent.list", "all", args_has(command, OPT_ALL));
    bool good =
        args_number(command, OPT_LIMIT, 1, 100000000, 0, &limit, &fault) &&
        command_ask_pages(command, request, &(struct command_pages){ "cases", limit, 0 }, rows, NULL, &fault);
    json_decref(request);
    if (!good) {
        json_decref(rows);
        return command_fail(command, &fault, "cannot list urgent cases");
    }
    if (command->out.json) {
        size_t index;
        json_t *row;

        json_array_foreach(rows, index, row)
        {
            output_json(command->out.to, row);
        }
        json_decref(rows);
        return STATUS_DONE;
    }
    output_name_rows(rows, "record");
    word_rows(rows);
    enum exit_status status = command_table(command, shown, sizeof shown / sizeof shown[0], rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, args_has(command, OPT_ALL) ? "no case is U1 or U2\n"
                                                           : "no urgent case waits to be acknowledged\n");
    }
    json_decref(rows);
    return status;
}

/* --- ack --------------------------------------------------------------------- */

/* What was done, or will be: of --note, of standard input, or asked for where a person sits. `text_out` is the caller's; an empty
 * line is no note. */
static bool
read_note(const struct command *command, char **text_out, struct client_fault *fault)
{
    const char *given = args_value(command, OPT_NOTE);
    char line[LINE_BYTES_MAX] = "";

    *text_out = NULL;
    if (given != NULL && strcmp(given, "-") == 0) {
        if (!input_text(stdin, NOTE_BYTES_MAX, text_out, fault)) {
            return false;
        }
    } else if (given != NULL) {
        *text_out = strdup(given);
    } else if (isatty(STDIN_FILENO) == 1) {
        (void)fflush(stdout);
        output_printf(stderr, "What was done, or will be: ");
        (void)fflush(stderr);
        *text_out = strdup(fgets(line, sizeof line, stdin) == NULL ? "" : line);
        explicit_bzero(line, sizeof line);
    } else {
        *text_out = strdup("");
    }
    if (*text_out == NULL) {
        return fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                         err_text(ERR_MEMORY));
    }
    size_t size = strlen(*text_out);
    while (size > 0 && ((*text_out)[size - 1] == '\n' || (*text_out)[size - 1] == '\r')) {
        (*text_out)[--size] = '\0';
    }
    return true;
}

static enum exit_status
run_ack(struct command *command)
{
    const char *record = command->words[0];
    struct client_fault fault;
    json_t *ok = NULL;
    char *note = NULL;

    if (!read_note(command, &note, &fault)) {
        return command_fail(command, &fault, "nothing was acknowledged");
    }
    json_t *request = json_pack("{s:s,s:s,s:s}", "do", "urgent.ack", "record", record, "note", note);
    explicit_bzero(note, strlen(note));
    free(note);
    if (request == NULL) {
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        return command_fail(command, &fault, "nothing was acknowledged");
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot acknowledge %s", record);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    }
    const char *number = json_string_value(json_object_get(ok, "number"));
    command_say(command, "%s is acknowledged as %s\n", number == NULL || number[0] == '\0' ? record : number,
                json_string_value(json_object_get(ok, "urgency")));
    json_decref(ok);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "list", NULL, 0, 0, OPTION(ALL) | OPTION(LIMIT),
      "List cases that are U1 or U2 and that nobody has acknowledged, the oldest first",
      "A case waits since it became that urgent; one that is raised after it was acknowledged waits again. "
      "What "
      "its facts ask for stands beside what it is set to: \"(more)\" says that they ask for more. Nothing "
      "changes the urgency but a person: vigil case set CASE urgency=emergency. Lowering it takes the role "
      "review or headquarters, and a reason in the same save: --add lowering.reason=...\n\n"
      "Examples:\n"
      "  vigil urgent list\n"
      "  vigil urgent list --all                those that were acknowledged too\n",
      run_list },
    { "ack", "CASE", 1, 1, OPTION(NOTE), "Say that somebody has looked at an urgent case",
      "It is seen on every node that holds the case, and the warning ends there. What was done, or will be, "
      "is "
      "asked for, or read from standard input with --note -; the acknowledgement stays for good.\n\n"
      "Examples:\n"
      "  vigil urgent ack KEN-2026-0042\n"
      "  echo 'the lawyer is on her way' | vigil urgent ack KEN-2026-0042 --note - --actor 3\n",
      run_ack },
};

const struct noun urgent_noun = { "urgent", "See and acknowledge urgent cases", verbs,
                                  sizeof verbs / sizeof verbs[0] };
