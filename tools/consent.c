/* consent.c - `vigil consent`: what persons agreed to, and how many are left out of a report for it. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>

/* --- show -------------------------------------------------------------------- */

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

/* What stands where a scope and a person meet. */
static json_t *
cell(const json_t *person, const char *scope)
{
    const json_t *governing = json_object_get(json_object_get(person, "scopes"), scope);
    const char *state = text_of(person, "state");

    return json_string(strcmp(state, "known") != 0 ? state : text_of(governing, "label"));
}

/* A row for each scope, a column for each person. */
static json_t *
rows_of(const json_t *ok, const struct output_column *columns)
{
    json_t *rows = json_array();
    size_t n;
    json_t *scope;

    json_array_foreach(json_object_get(ok, "scopes"), n, scope)
    {
        json_t *row = json_pack("{s:O}", "scope", scope);
        size_t index;
        json_t *person;

        json_array_foreach(json_object_get(ok, "persons"), index, person)
        {
            (void)json_object_set_new(row, columns[index + 1].name, cell(person, json_string_value(scope)));
        }
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

/* Who they are, and of whom it was said that they may be recognised. */
static void
tell_persons(const struct command *command, const json_t *persons)
{
    size_t index;
    json_t *person;

    json_array_foreach((json_t *)persons, index, person)
    {
        const char *pseudonym = text_of(person, "pseudonym");
        bool concern = json_is_true(json_object_get(person, "concern"));

        if (pseudonym[0] != '\0' || concern) {
            command_say(command, "%s%s%s%s\n", text_of(person, "name"), pseudonym[0] == '\0' ? "" : " is ",
                        pseudonym, concern ? "; may be recognised even if unnamed" : "");
        }
    }
}

static bool
allows(const json_t *ok, const char *use)
{
    size_t index;
    json_t *one;

    json_array_foreach(json_object_get(ok, "uses"), index, one)
    {
        if (strcmp(json_string_value(one), use) == 0) {
            return true;
        }
    }
    return false;
}

/* What may be said of a case, and why that is not more. */
static void
tell_uses(const struct command *command, const json_t *ok)
{
    bool describable = json_is_true(json_object_get(ok, "describable"));
    const char *why = text_of(ok, "why");
    const char *how = allows(ok, "named")        ? "be described with names"
                      : allows(ok, "anonymised") ? "be described without names"
                      : describable              ? "be described, each person as agreed to"
                                                 : "not be described";

    if (json_object_get(ok, "uses") == NULL) {
        return;
    }
    command_say(command, "The case may %s counted, and may %s.\n", allows(ok, "count") ? "be" : "not be",
                how);
    if (why[0] != '\0') {
        command_say(command, "Not everything was agreed to: %s\n", why);
    }
}

static enum exit_status
print_consents(struct command *command, const json_t *ok)
{
    const json_t *persons = json_object_get(ok, "persons");
    size_t count = json_array_size(persons);
    struct output_column *columns = calloc(count + 1, sizeof *columns);
    struct client_fault fault;

    if (columns == NULL) {
        (void)fault_set(&fault, "memory", "", "there is no memory for the table");
        return command_fail(command, &fault, "cannot show what was agreed to");
    }
    columns[0] = (struct output_column){ "scope", 0 };
    for (size_t n = 0; n < count; n++) {
        const json_t *person = json_array_get(persons, n);
        const char *name = text_of(person, "name");

        /* Two that are called the same have two ids. */
        for (size_t m = 0; m <= n; m++) {
            name = strcmp(columns[m].name == NULL ? "" : columns[m].name, name) == 0
                       ? text_of(person, "record")
                       : name;
        }
        columns[n + 1] = (struct output_column){ name, COLUMN_STATE };
    }
    enum exit_status status = STATUS_DONE;
    if (count > 0) {
        json_t *rows = rows_of(ok, columns);

        status = command_table(command, columns, count + 1, rows);
        json_decref(rows);
        tell_persons(command, persons);
    } else {
        command_remark(command, "no person is named in it\n");
    }
    tell_uses(command, ok);
    free(columns);
    return status;
}

static enum exit_status
run_show(struct command *command)
{
    json_t *record = json_string(command->words[0]);
    struct client_fault fault;
    json_t *ok = NULL;

    bool good = record != NULL ||
                fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
    good = good &&
           command_ask(command, json_pack("{s:s, s:O}", "do", "consent.show", "record", record), &ok, &fault);
    json_decref(record);
    if (!good) {
        return command_fail(command, &fault, "cannot show what was agreed to");
    }
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_consents(command, ok);
    }
    json_decref(ok);
    return status;
}

/* --- withheld ---------------------------------------------------------------- */

static enum exit_status
print_withheld(struct command *command, const json_t *ok)
{
    static const struct {
        const char *name;
        const char *label;
    } lines[] = {
        { "persons", "persons" },
        { "women", "  women among them" },
        { "youth", "  under 25 among them" },
        { "groups", "groups and organisations" },
        { "cases", "cases" },
        { "states", "States concerned" },
        { "states_not_named", "  of which no other case may be described" },
    };
    static const struct output_column columns[] = { { "left out", 0 }, { "number", COLUMN_RIGHT } };
    json_t *rows = json_array();

    for (size_t n = 0; n < sizeof lines / sizeof lines[0]; n++) {
        (void)json_array_append_new(rows, json_pack("{s:s, s:O}", "left out", lines[n].label, "number",
                                                    json_object_get(ok, lines[n].name)));
    }
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    if (!json_is_true(json_object_get(ok, "whole"))) {
        command_remark(command, "small numbers are shown to who has the role review or headquarters\n");
    }
    json_decref(rows);
    return status;
}

static enum exit_status
run_withheld(struct command *command)
{
    const char *window = args_value(command, OPT_WINDOW);
    json_t *request = json_pack("{s:s}", "do", "consent.withheld");
    struct client_fault fault;
    json_t *ok = NULL;
    bool good = true;

    if (window != NULL && json_object_set_new(request, "window", json_string(window)) != 0) {
        good = fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
    }
    good = good && command_ask(command, json_incref(request), &ok, &fault);
    json_decref(request);
    if (!good) {
        return command_fail(command, &fault, "cannot count who is left out");
    }
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_withheld(command, ok);
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { "show", "ID", 1, 1, 0, "Show what the persons of a case, or one person, agreed to",
      "A row for each scope, a column for each person. Of several statements on one scope the last one "
      "counts; of those that were made apart, the one that protects more. What was granted ends with its "
      "last day. With --json the statements behind each decision are printed too. Of a person whose record "
      "is restricted nothing is shown.\n\n"
      "Examples:\n"
      "  vigil consent show KEN-2026-0042\n"
      "  vigil --json consent show KEN-2026-0007 | jq '.persons[].statements'\n",
      run_show },
    { "withheld", NULL, 0, 0, OPTION(WINDOW), "Count who is left out of a report for consent alone",
      "Counted is who, in a case that meets everything else (in scope, corroborated, in the window or a "
      "follow-up in it, with a text that is cleared), did not agree to be described, or may be recognised "
      "even if unnamed; but not who refused to be counted. Numbers below 5 are shown to who has the role "
      "review or headquarters, and that is noted in the audit log.\n\n"
      "Examples:\n"
      "  vigil consent withheld\n"
      "  vigil consent withheld --window 3f09a1c2\n",
      run_withheld },
};

const struct noun consent_noun = { "consent", "See what persons agreed to", verbs,
                                   sizeof verbs / sizeof verbs[0] };
