/* conflict.c - `vigil conflict`: fields that hold more than one value, for people to decide. */
#include "tools/command.h"
#include "tools/show.h"
#include "tools/typed.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = 500 };

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = {
        { "number", 0 }, { "kind", 0 }, { "label", COLUMN_CUT },
        { "target", 0 }, { "how", 0 },  { "since", COLUMN_TIME },
    };
    struct client_fault fault;
    long limit = 0;

    json_t *rows = json_array();
    json_t *request = json_pack("{s:s}", "do", "conflict.list");
    bool good = args_number(command, OPT_LIMIT, 1, 100000000, 0, &limit, &fault) &&
                command_ask_pages(command, request, &(struct command_pages){ "conflicts", limit, PAGE_ROWS },
                                  rows, NULL, &fault);
    json_decref(request);
    if (!good) {
        json_decref(rows);
        return command_fail(command, &fault, "cannot list the conflicts");
    }
    if (!command->out.json) {
        output_name_rows(rows, "record");
    }
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "there is none\n");
    } else if (status == STATUS_DONE && args_has(command, OPT_CHECK)) {
        status = STATUS_FINDINGS;
    }
    json_decref(rows);
    return status;
}

static void
print_conflict(const struct command *command, const char *record, const json_t *conflict)
{
    FILE *to = command->out.to;
    const char *target = json_string_value(json_object_get(conflict, "target"));
    const char *label = json_string_value(json_object_get(conflict, "label"));
    const char *how = json_string_value(json_object_get(conflict, "how"));
    size_t index;
    json_t *sibling;

    output_printf(to, "\n%s (%s): %s\n", label == NULL ? "" : label, target == NULL ? "" : target,
                  how == NULL ? "" : how);
    json_array_foreach(json_object_get(conflict, "siblings"), index, sibling)
    {
        const json_t *named = json_object_get(sibling, "label");
        char *text = output_value(json_is_string(named) ? named : json_object_get(sibling, "value"));
        char *author = show_author(sibling);
        output_printf(to, "%s %2lld  %s\n", json_is_true(json_object_get(sibling, "pick")) ? "*" : " ",
                      (long long)json_integer_value(json_object_get(sibling, "n")), text == NULL ? "" : text);
        output_printf(to, "         by %s\n", author == NULL ? "" : author);
        free(text);
        free(author);
    }
    bool element = how != NULL && strcmp(how, "edited while removed") == 0;
    output_printf(to, "To decide: vigil conflict resolve %s '%s' --choose %s\n", record,
                  target == NULL ? "" : target, element ? "keep (or remove)" : "N (or --value VALUE)");
}

static enum exit_status
run_show(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;
    size_t index;
    json_t *conflict;

    json_t *request = json_pack("{s:s, s:s}", "do", "conflict.show", "record", command->words[0]);
    if (request != NULL && command->word_count > 1) {
        (void)json_object_set_new(request, "target", json_string(command->words[1]));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot show the conflicts of %s", command->words[0]);
    }
    const json_t *conflicts = json_object_get(ok, "conflicts");
    const char *number = json_string_value(json_object_get(ok, "number"));
    if (number == NULL || number[0] == '\0') {
        number = command->words[0];
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else if (json_array_size(conflicts) == 0) {
        command_remark(command, "%s has no conflict\n", number);
    } else {
        output_printf(command->out.to,
                      "%s: %zu in conflict, * marks what lists show until somebody decides\n", number,
                      json_array_size(conflicts));
        json_array_foreach(conflicts, index, conflict)
        {
            print_conflict(command, number, conflict);
        }
    }
    json_decref(ok);
    return STATUS_DONE;
}

/* --choose N, --choose keep, --choose remove or --value VALUE. */
static bool
take_choice(const struct command *command, json_t *request, struct client_fault *fault)
{
    const char *choose = args_value(command, OPT_CHOOSE);
    const char *value = args_value(command, OPT_VALUE);
    long number = 0;

    if ((choose == NULL) == (value == NULL)) {
        return fault_set(fault, "usage",
                         "vigil conflict show ID numbers them; then give --choose N or --value VALUE",
                         choose == NULL ? "it is not said which value is to stay"
                                        : "--choose and --value do not go together");
    }
    if (value != NULL) {
        return json_object_set_new(request, "value", json_string(value)) == 0 ||
               fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
    }
    if (strcmp(choose, "keep") == 0 || strcmp(choose, "remove") == 0) {
        return json_object_set_new(request, "choose", json_string(choose)) == 0;
    }
    return args_number(command, OPT_CHOOSE, 1, 1000000, 0, &number, fault) &&
           json_object_set_new(request, "choose", json_integer(number)) == 0;
}

static enum exit_status
run_resolve(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s, s:s, s:s}", "do", "conflict.resolve", "record", command->words[0],
                                "target", command->words[1]);
    if (request == NULL) {
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        return command_fail(command, &fault, "nothing was decided");
    }
    if (!typed_value_of(command, command->words[1], &fault) || !take_choice(command, request, &fault)) {
        json_decref(request);
        return command_fail(command, &fault, "nothing was decided");
    }
    if (command_only_shown(command, request)) {
        return STATUS_DONE;
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot decide %s of %s", command->words[1], command->words[0]);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    }
    command_say(command, "%s of %s is decided\n", command->words[1], command->words[0]);
    json_decref(ok);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "list", NULL, 0, 0, OPTION(LIMIT) | OPTION(CHECK), "List every open conflict",
      "values: several people set a field at the same time. edited while removed: somebody "
      "removed an element that somebody else changed. misplaced: a value stands in a compartment "
      "where it should not be.\n\n"
      "Examples:\n"
      "  vigil conflict list\n"
      "  vigil conflict list --check     ends with 6 if there is one\n",
      run_list },
    { "show", "ID [TARGET]", 1, 2, 0, "Show all values of what is in conflict, numbered",
      "Examples:\n"
      "  vigil conflict show KEN-2026-0042\n"
      "  vigil conflict show KEN-2026-0042 status\n",
      run_show },
    { "resolve", "ID TARGET", 2, 2, OPTION(CHOOSE) | OPTION(VALUE) | OPTION(DRY_RUN),
      "Decide a conflict: one value replaces all",
      "Examples:\n"
      "  vigil conflict resolve KEN-2026-0042 status --choose 2\n"
      "  vigil conflict resolve KEN-2026-0042 title --value 'Two arrests'\n"
      "  vigil conflict resolve KEN-2026-0042 'act[3f09a1c2]' --choose keep\n\n"
      "The numbers are those of vigil conflict show. The values that were not chosen stay in the "
      "history. --value - asks for the value; that of a confidential field (L3) is taken in no other way.\n",
      run_resolve },
};

const struct noun conflict_noun = { "conflict", "Find and decide what was changed in two places", verbs,
                                    sizeof verbs / sizeof verbs[0] };
