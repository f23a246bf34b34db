/* actor.c - `vigil actor`: the people of this office, by number, and what each may do. */
#include "tools/command.h"
#include "tools/typed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 256 };

static enum exit_status
run_list(struct command *command)
{
    static const struct output_column columns[] = {
        { "number", COLUMN_RIGHT }, { "name", COLUMN_CUT }, { "role", 0 }, { "active", 0 }
    };
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "actor.list"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot list the people of this office");
    }
    json_t *rows = json_object_get(ok, "actors");
    enum exit_status status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "nobody has a number yet\n");
    }
    json_decref(ok);
    return status;
}

/* The number that was typed; 0, and `fault`: it is none. */
static long
typed_number(const struct command *command, struct client_fault *fault)
{
    char *end = NULL;
    long number = strtol(command->words[0], &end, 10);

    if (*end != '\0' || number < 1 || number > UINT32_MAX) {
        (void)fault_set(fault, "usage", "people have numbers from 1 on", "%s is not a number of a person",
                        command->words[0]);
        return 0;
    }
    return number;
}

/* Send it, and say what the person is now. */
static enum exit_status
state(struct command *command, json_t *request, const char *what)
{
    struct client_fault fault;
    json_t *ok = NULL;

    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "%s", what);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        command_say(command, "%lld is %s%s\n", (long long)json_integer_value(json_object_get(ok, "number")),
                    json_string_value(json_object_get(ok, "role")),
                    json_is_true(json_object_get(ok, "active")) ? "" : ", and has left");
    }
    json_decref(ok);
    return STATUS_DONE;
}

static enum exit_status
run_add(struct command *command)
{
    static const char nobody[] = "nobody was given a number";
    struct client_fault fault;
    char name[NAME_BYTES];
    long number = typed_number(command, &fault);

    if (number == 0 ||
        !typed_line("Name: ", "name was", "type it when asked, or pipe it in", name, sizeof name, &fault)) {
        return command_fail(command, &fault, "%s", nobody);
    }
    json_t *request = json_pack("{s:s,s:I,s:s,s:s}", "do", "actor.add", "number", (json_int_t)number, "name",
                                name, "role", command->words[1]);
    explicit_bzero(name, sizeof name);
    if (request == NULL) {
        (void)fault_set(&fault, "usage", "type it in UTF-8", "the name is not UTF-8");
        return command_fail(command, &fault, "%s", nobody);
    }
    return state(command, request, nobody);
}

static enum exit_status
run_change(struct command *command)
{
    struct client_fault fault;
    long number = typed_number(command, &fault);

    if (number == 0) {
        return command_fail(command, &fault, "nothing was changed");
    }
    return state(command,
                 json_pack("{s:s,s:I,s:s,s:b}", "do", "actor.change", "number", (json_int_t)number, "role",
                           command->words[1], "active", true),
                 "nothing was changed");
}

static enum exit_status
run_end(struct command *command)
{
    struct client_fault fault;
    long number = typed_number(command, &fault);

    if (number == 0) {
        return command_fail(command, &fault, "nothing was changed");
    }
    return state(
        command,
        json_pack("{s:s,s:I,s:b}", "do", "actor.change", "number", (json_int_t)number, "active", false),
        "nothing was changed");
}

static const struct verb verbs[] = {
    { "list", NULL, 0, 0, 0, "List the people of this office",
      "Each has a number, which stands in what they change and in the audit log.\n\n"
      "Example:\n"
      "  vigil actor list\n",
      run_list },
    { "add", "NUMBER ROLE", 2, 2, 0, "Give somebody a number and a role",
      "The name is asked for, or read from stdin, so that it stands in no list of processes. ROLE is "
      "case-work, review, "
      "headquarters, operator, auditor or relay. What the certificate of a device and the role of a person "
      "have in common "
      "is what that person may do on that device. A number is given once.\n\n"
      "Examples:\n"
      "  vigil actor add 3 case-work\n"
      "  vigil --actor 3 case list\n",
      run_add },
    { "change", "NUMBER ROLE", 2, 2, 0, "Give somebody another role",
      "It holds on every node of the office once they have heard of it. Who had left is there again.\n\n"
      "Example:\n"
      "  vigil actor change 3 review\n",
      run_change },
    { "end", "NUMBER", 1, 1, 0, "Say that somebody has left",
      "They may ask for nothing any more; what they wrote keeps their name.\n\n"
      "Example:\n"
      "  vigil actor end 3\n",
      run_end },
};

const struct noun actor_noun = { "actor", "See and name the people of this office", verbs,
                                 sizeof verbs / sizeof verbs[0] };
