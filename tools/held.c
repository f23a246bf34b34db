/* held.c - `vigil held`: what is kept here and does not count. */
#include "tools/command.h"
#include "tools/show.h"

#include <stdlib.h>
#include <string.h>

/* --- Listing ----------------------------------------------------------------- */

static json_t *
list_request(const struct command *command, struct client_fault *fault)
{
    json_t *request = json_pack("{s:s}", "do", "held.list");
    const char *device = args_value(command, OPT_DEVICE);

    if (device != NULL && args_has(command, OPT_OWN)) {
        (void)fault_set(fault, "usage", "leave one of them out", "--own and --device cannot both be");
        json_decref(request);
        return NULL;
    }
    if (args_has(command, OPT_OWN)) {
        (void)json_object_set_new(request, "own", json_true());
    }
    if (device != NULL && json_object_set_new(request, "device", json_string(device)) != 0) {
        (void)fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        json_decref(request);
        return NULL;
    }
    return request;
}

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = {
        { "id", 0 },   { "device", COLUMN_CUT },  { "compartment", 0 },
        { "kind", 0 }, { "bytes", COLUMN_RIGHT }, { "why", COLUMN_CUT },
    };
    struct client_fault fault;
    long limit = 0;

    json_t *rows = json_array();
    json_t *request = list_request(command, &fault);
    if (request == NULL || !args_number(command, OPT_LIMIT, 1, 100000000, 0, &limit, &fault) ||
        !command_ask_pages(command, request, &(struct command_pages){ "entries", limit, 0 }, rows, NULL,
                           &fault)) {
        json_decref(request);
        json_decref(rows);
        return command_fail(command, &fault, "cannot list what is held");
    }
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "nothing is held\n");
    }
    json_decref(request);
    json_decref(rows);
    return status;
}

/* --- One of them ------------------------------------------------------------- */

static void
line(FILE *to, const char *label, const json_t *value)
{
    char *text = output_value(value);

    if (text != NULL && text[0] != '\0') {
        output_printf(to, "%-12s %s\n", label, text);
    }
    free(text);
}

static void
print_op(FILE *to, const json_t *op)
{
    const char *label = json_string_value(json_object_get(op, "label"));
    const char *word = json_string_value(json_object_get(op, "op"));
    const json_t *shown = json_object_get(op, "shown");
    char *value = output_value(json_is_string(shown) ? shown : json_object_get(op, "value"));

    output_printf(to, "  %-6s %s%s%s\n", word == NULL ? "" : word, label == NULL ? "" : label,
                  value == NULL || value[0] == '\0' ? "" : ": ", value == NULL ? "" : value);
    free(value);
}

static void
print_words(FILE *to, const json_t *entry)
{
    const char *number = json_string_value(json_object_get(entry, "number"));
    char at[32];
    size_t index;
    json_t *one;

    output_time(at, json_string_value(json_object_get(entry, "at")));
    output_printf(to, "%-12s %s%s\n", "Claims", at,
                  json_is_true(json_object_get(entry, "suspect_time")) ? ", a clock far ahead" : "");
    line(to, "By", json_object_get(entry, "actor"));
    line(to, "Record", json_object_get(entry, number == NULL || number[0] == '\0' ? "record" : "number"));
    if (json_array_size(json_object_get(entry, "ops")) > 0) {
        output_printf(to, "It says, and nothing of it counts:\n");
    }
    json_array_foreach(json_object_get(entry, "ops"), index, one)
    {
        print_op(to, one);
    }
    json_array_foreach(json_object_get(entry, "statements"), index, one)
    {
        line(to, index == 0 ? "Statements" : "", json_object_get(one, "type"));
    }
}

static enum exit_status
run_show(struct command *command)
{
    FILE *to = command->out.to;
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s, s:s}", "do", "held.show", "entry", command->words[0]), &ok,
                     &fault)) {
        return command_fail(command, &fault, "cannot show %s", command->words[0]);
    }
    if (command->out.json) {
        output_json(to, ok);
        json_decref(ok);
        return STATUS_DONE;
    }
    line(to, "Entry", json_object_get(ok, "id"));
    line(to, "Device", json_object_get(ok, "device"));
    line(to, "Compartment", json_object_get(ok, "compartment"));
    line(to, "Kind", json_object_get(ok, "kind"));
    line(to, "Bytes", json_object_get(ok, "bytes"));
    line(to, "Held", json_object_get(ok, "why"));
    if (json_is_true(json_object_get(ok, "opened"))) {
        print_words(to, ok);
    } else {
        line(to, "Not shown", json_object_get(ok, "closed"));
    }
    json_decref(ok);
    return STATUS_DONE;
}

/* --- Asking for more --------------------------------------------------------- */

static enum exit_status
run_fetch(struct command *command)
{
    return command_ask_peers(command, "held.fetch",
                             "no peer is connected that holds what this device has admin in",
                             "what they keep comes by and by, and vigil held list shows it");
}

static const struct verb verbs[] = {
    { "list", NULL, 0, 0, OPTION(OWN) | OPTION(DEVICE) | OPTION(LIMIT),
      "List entries that are kept and do not count",
      "An entry is held if its author had no right to write it, if it lies beyond the cut of a device that "
      "was "
      "revoked, or if it is not what an entry must be. After review, vigil-org extend lets entries beyond a "
      "cut count.\n\n"
      "Examples:\n"
      "  vigil held list\n"
      "  vigil held list --own                  what this very device wrote\n"
      "  vigil held list --device 'KEN laptop'\n",
      run_list },
    { "show", "ID", 1, 1, 0, "Show one, and for an admin what it says",
      "The id is the log's id, or at least six digits of its beginning, a colon and the number of the entry. "
      "What "
      "an entry says is shown only on a device that has admin in its compartment.\n\n"
      "Example:\n"
      "  vigil held show 3f09a1c2b1d4:17\n",
      run_show },
    { "fetch", "[PEER]", 0, 1, 0, "Ask peers for what they keep beyond the cuts of logs",
      "Such entries are never sent unasked. An admin asks for them before a review, so that all that was "
      "written "
      "after a cut can be looked at. PEER is the name, id or fingerprint of one; all that are connected if "
      "left out.\n\n"
      "Example:\n"
      "  vigil held fetch\n",
      run_fetch },
};

const struct noun held_noun = { "held", "See what is kept and does not count", verbs,
                                sizeof verbs / sizeof verbs[0] };
