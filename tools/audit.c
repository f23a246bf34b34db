/* audit.c - `vigil audit`: who read, searched, exported or overrode what, what the node refused or noticed, and whether the record of that is
 * whole. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>

/* --- Listing ----------------------------------------------------------------- */

static json_t *
list_request(const struct command *command, struct client_fault *fault)
{
    static const struct {
        enum opt option;
        const char *name;
    } members[] = { { OPT_DEVICE, "device" },
                    { OPT_RECORD, "record" },
                    { OPT_WHAT, "what" },
                    { OPT_SINCE, "since" },
                    { OPT_UNTIL, "until" } };
    json_t *request = json_pack("{s:s}", "do", "audit.list");

    for (size_t n = 0; n < sizeof members / sizeof members[0]; n++) {
        const char *text = args_value(command, members[n].option);

        if (text != NULL && json_object_set_new(request, members[n].name, json_string(text)) != 0) {
            (void)fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
            json_decref(request);
            return NULL;
        }
    }
    return request;
}

/* What the node refused or noticed by itself: the event and the device that it was about, and in words what that means. */
static void
name_noticed(json_t *row, const json_t *noticed)
{
    const char *event = json_string_value(json_object_get(noticed, "event"));
    const char *means = json_string_value(json_object_get(noticed, "means"));
    const char *device = json_string_value(json_object_get(json_object_get(noticed, "device"), "name"));
    const char *reason = json_string_value(json_object_get(row, "reason"));
    bool has_device = device != NULL && device[0] != '\0';
    bool has_reason = reason != NULL && reason[0] != '\0';

    (void)json_object_set_new(
        row, "about", json_sprintf("%s%s%s", event, has_device ? ": " : "", has_device ? device : ""));
    (void)json_object_set_new(
        row, "reason", json_sprintf("%s%s%s", means, has_reason ? ": " : "", has_reason ? reason : ""));
}

/* What the event is about: the number of the record, or its id where it has none any more, or the conditions. */
static void
name_subject(json_t *row)
{
    const char *number = json_string_value(json_object_get(row, "number"));
    const char *id = json_string_value(json_object_get(row, "record"));
    const char *filter = json_string_value(json_object_get(row, "filter"));
    char text[13];

    if (number != NULL && number[0] != '\0') {
        (void)json_object_set_new(row, "about", json_string(number));
    } else if (id != NULL) {
        (void)snprintf(text, sizeof text, "%s", id);
        (void)json_object_set_new(row, "about", json_string(text));
    } else {
        (void)json_object_set_new(row, "about", json_string(filter == NULL ? "" : filter));
    }
}

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = {
        { "at", COLUMN_TIME },    { "device", COLUMN_CUT },
        { "actor", COLUMN_CUT },  { "what", 0 },
        { "about", COLUMN_CUT },  { "count", COLUMN_RIGHT },
        { "fields", COLUMN_CUT }, { "reason", COLUMN_CUT },
    };
    struct client_fault fault;
    long limit = 0;
    size_t index;
    json_t *row;

    json_t *rows = json_array();
    json_t *request = list_request(command, &fault);
    if (request == NULL || !args_number(command, OPT_LIMIT, 1, 100000000, 0, &limit, &fault) ||
        !command_ask_pages(command, request, &(struct command_pages){ "events", limit, 0 }, rows, NULL,
                           &fault)) {
        json_decref(request);
        json_decref(rows);
        return command_fail(command, &fault, "cannot list the audit log");
    }
    if (!command->out.json) {
        json_array_foreach(rows, index, row)
        {
            const json_t *noticed = json_object_get(row, "noticed");

            if (json_is_object(noticed)) {
                name_noticed(row, noticed);
            } else {
                name_subject(row);
            }
        }
    }
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "nothing is noted\n");
    }
    json_decref(request);
    json_decref(rows);
    return status;
}

/* --- Verifying --------------------------------------------------------------- */

static enum exit_status
run_verify(struct command *command)
{
    static const struct output_column columns[] = {
        { "device", COLUMN_CUT },     { "compartment", 0 }, { "entries", COLUMN_RIGHT },
        { "verified", COLUMN_RIGHT }, { "state", 0 },       { "fault", COLUMN_CUT },
    };
    json_t *request = json_pack("{s:s}", "do", "audit.verify");
    json_t *rows = json_array();
    struct client_fault fault;
    size_t bad = 0;
    size_t index;
    json_t *row;

    bool good =
        command_ask_pages(command, request, &(struct command_pages){ "logs", 0, 0 }, rows, NULL, &fault);
    json_decref(request);
    if (!good) {
        json_decref(rows);
        return command_fail(command, &fault, "cannot verify the audit log");
    }
    json_array_foreach(rows, index, row)
    {
        bad += strcmp(json_string_value(json_object_get(row, "state")), "verified") != 0;
    }
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "nothing is noted\n");
    } else if (bad == 0) {
        command_remark(command, "every chain is whole, and every signature is its author's\n");
    }
    json_decref(rows);
    return status == STATUS_DONE && bad > 0 ? STATUS_FINDINGS : status;
}

static const struct verb verbs[] = {
    { "list", NULL, 0, 0,
      OPTION(DEVICE) | OPTION(RECORD) | OPTION(WHAT) | OPTION(SINCE) | OPTION(UNTIL) | OPTION(LIMIT),
      "List what was noted, the latest first",
      "Noted is who read what is strictly confidential, searched, exported, imported, acted without consent "
      "or decided at a "
      "gate, and when; never what was read or searched for. And what the node refused or noticed by itself: "
      "strangers at the door, what was forged or damaged, another configuration; man vigil lists it. "
      "An office sees its own log, headquarters' auditors those of all.\n\n"
      "Examples:\n"
      "  vigil audit list\n"
      "  vigil audit list --record KEN-2026-0042\n"
      "  vigil audit list --what export --since 2026-01-01\n"
      "  vigil audit list --what security\n"
      "  vigil audit list --device 'KEN laptop' --limit 20\n",
      run_list },
    { "verify", NULL, 0, 0, 0, "Prove that nothing of the log was changed or taken out",
      "Each device writes its part of the audit log as a chain of entries of which every one names the one "
      "before; it is "
      "walked from the first, and each signature that is kept is verified. Ends with 6 if a log is damaged "
      "or forked.\n\n"
      "Example:\n"
      "  vigil audit verify\n",
      run_verify },
};

const struct noun audit_noun = { "audit", "See who read or exported what", verbs,
                                 sizeof verbs / sizeof verbs[0] };
