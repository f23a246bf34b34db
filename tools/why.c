/* why.c - `vigil why`: which entries made a value, who wrote them, and what they replaced. */
#include "tools/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS_BYTES = 200 };

/* "2", "2 and 4", "2, 4 and 7" of an array of numbers; "" of none. */
static void
join_numbers(char out[NUMBERS_BYTES], const json_t *numbers)
{
    size_t count = json_array_size(numbers);
    size_t used = 0;

    out[0] = '\0';
    for (size_t n = 0; n < count && used < NUMBERS_BYTES - 24; n++) {
        used += (size_t)snprintf(out + used, NUMBERS_BYTES - used, "%s%lld",
                                 n == 0           ? ""
                                 : n + 1 == count ? " and "
                                                  : ", ",
                                 (long long)json_integer_value(json_array_get(numbers, n)));
    }
}

/* "replaced by 3", "stands, picked", "removes 1 and 2, and 4 that are not here". */
static json_t *
fate_json(const json_t *op)
{
    const char *fate = json_string_value(json_object_get(op, "fate"));
    json_int_t missing = json_integer_value(json_object_get(op, "missing"));
    char by[NUMBERS_BYTES];
    char of[NUMBERS_BYTES];
    bool removes = fate != NULL && strcmp(fate, "removes") == 0;

    join_numbers(by, json_object_get(op, "replaced_by"));
    join_numbers(of, json_object_get(op, "replaces"));
    json_t *text = json_sprintf("%s%s%s%s%s", fate == NULL ? "" : fate, by[0] == '\0' ? "" : " by ", by,
                                of[0] == '\0' ? ""
                                : removes     ? " "
                                              : "; replaces ",
                                of);
    if (missing > 0) {
        json_t *more = json_sprintf("%s; %lld that it names %s not here", json_string_value(text),
                                    (long long)missing, missing == 1 ? "is" : "are");
        json_decref(text);
        text = more;
    }
    return text;
}

/* The beginning of the log's id and the number in it: as vigil held and vigil inspect name entries. */
static json_t *
entry_json(const json_t *op)
{
    const char *log = json_string_value(json_object_get(op, "log"));

    return json_sprintf("%.12s:%lld", log == NULL ? "" : log,
                        (long long)json_integer_value(json_object_get(op, "seq")));
}

static json_t *
op_rows(const json_t *ops)
{
    json_t *rows = json_array();
    size_t index;
    json_t *op;

    json_array_foreach(ops, index, op)
    {
        json_t *row = json_copy(op);
        json_t *label = json_object_get(op, "label");

        if (json_is_string(label)) {
            (void)json_object_set(row, "value", label);
        }
        (void)json_object_set_new(row, "fate", fate_json(op));
        (void)json_object_set_new(row, "entry", entry_json(op));
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

static const char *
text_of(const json_t *ok, const char *key)
{
    const char *text = json_string_value(json_object_get(ok, key));

    return text == NULL ? "" : text;
}

/* True if the answer's ops are about more than one field. */
static bool
has_several_targets(const json_t *ops)
{
    const char *first = text_of(json_array_get(ops, 0), "target");
    size_t index;
    json_t *op;

    json_array_foreach(ops, index, op)
    {
        if (strcmp(text_of(op, "target"), first) != 0) {
            return true;
        }
    }
    return false;
}

static enum exit_status
print_why(struct command *command, const json_t *ok)
{
    static const struct output_column columns[] = {
        { "n", COLUMN_RIGHT },   { "at", COLUMN_TIME }, { "device", COLUMN_CUT },
        { "actor", COLUMN_CUT }, { "op", 0 },           { "target", COLUMN_CUT },
        { "value", COLUMN_CUT }, { "fate", 0 },         { "entry", COLUMN_CUT },
    };
    static const struct output_column columns_of_one[] = {
        { "n", COLUMN_RIGHT },
        { "at", COLUMN_TIME },
        { "device", COLUMN_CUT },
        { "actor", COLUMN_CUT },
        { "op", 0 },
        { "value", COLUMN_CUT },
        { "fate", 0 },
        { "entry", COLUMN_CUT },
    };
    const json_t *ops = json_object_get(ok, "ops");
    const char *number = text_of(ok, "number");
    json_int_t unread = json_integer_value(json_object_get(ok, "unread"));
    enum exit_status status = STATUS_DONE;

    if (number[0] == '\0') {
        number = command->words[0];
    }
    output_printf(command->out.to, "%s, %s (%s): %s\n", number, text_of(ok, "label"), text_of(ok, "target"),
                  text_of(ok, "because"));
    if (json_array_size(ops) > 0) {
        json_t *rows = op_rows(ops);
        bool several = has_several_targets(ops);

        (void)fputc('\n', command->out.to);
        status = several ? command_table(command, columns, sizeof columns / sizeof columns[0], rows)
                         : command_table(command, columns_of_one,
                                         sizeof columns_of_one / sizeof columns_of_one[0], rows);
        json_decref(rows);
    }
    if (unread > 0) {
        output_printf(
            command->out.to,
            "%lld %s of this record %s not count here, or cannot be read yet, and may say something "
            "about it: vigil record history %s\n",
            (long long)unread, unread == 1 ? "entry" : "entries", unread == 1 ? "does" : "do", number);
    }
    return status;
}

static enum exit_status
run(struct command *command)
{
    struct client_fault fault;
    enum exit_status status = STATUS_DONE;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s, s:s, s:s}", "do", "record.why", "record", command->words[0], "target",
                                command->words[1]);
    if (request == NULL) {
        (void)fault_set(&fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
        return command_fail(command, &fault, "nothing was done");
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot say why %s of %s is as it is", command->words[1],
                            command->words[0]);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_why(command, ok);
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { NULL, "ID FIELD", 2, 2, 0, "Say how a value came to stand: who wrote what, and what it replaced",
      "FIELD is a field, an element, a field of an element, or a collection with all its elements, those "
      "that "
      "were removed among them. The oldest stands first, by the clocks of those who wrote.\n\n"
      "Examples:\n"
      "  vigil why KEN-2026-0042 status\n"
      "  vigil why KEN-2026-0042 country_of_act\n"
      "  vigil why KEN-2026-0042 'act[3f09a1c2].type_of_act'\n\n"
      "stands: it counts, and nothing replaces it. picked: lists show it, of several that stand. A removal "
      "takes "
      "away what its author had seen, and nothing that others wrote meanwhile.\n",
      run },
};

const struct noun why_noun = { "why", "Say how a value came to stand", verbs, 1 };
