/* codebook.c - `vigil codebook`: what a record may hold. */
#include "tools/command.h"

#include <stdlib.h>
#include <string.h>

/* A heading and a table; nothing if there is no row. */
static enum exit_status
section(const struct command *command, const char *heading, const struct output_column *columns, size_t count,
        const json_t *rows)
{
    if (json_array_size(rows) == 0) {
        return STATUS_DONE;
    }
    output_printf(command->out.to, "\n%s\n", heading);
    return command_table(command, columns, count, rows);
}

/* "  from -> to   after scope, four_eyes": each on a line. */
static void
print_steps(FILE *to, const json_t *steps)
{
    size_t index;
    json_t *step;

    json_array_foreach(steps, index, step)
    {
        const char *from = json_string_value(json_object_get(step, "from"));
        const char *next = json_string_value(json_object_get(step, "to"));
        size_t at;
        json_t *gate;

        if (index == 0) {
            output_printf(to, "steps, and what has to be passed before\n");
        }
        output_printf(to, "  %s -> %s", from == NULL ? "" : from, next == NULL ? "" : next);
        json_array_foreach(json_object_get(step, "gates"), at, gate)
        {
            const char *name = json_string_value(gate);
            output_printf(to, "%s%s", at == 0 ? "   " : ", ", name == NULL ? "" : name);
        }
        output_printf(to, "\n");
    }
}

static void
print_vocabularies(FILE *to, const json_t *vocabularies)
{
    size_t index;
    size_t at;
    json_t *vocabulary;
    json_t *value;

    json_array_foreach(vocabularies, index, vocabulary)
    {
        char *name = output_value(json_object_get(vocabulary, "name"));
        output_printf(to, "\nvalues of %s\n", name == NULL ? "" : name);
        free(name);
        json_array_foreach(json_object_get(vocabulary, "values"), at, value)
        {
            const json_t *own = json_is_object(value) ? json_object_get(value, "name") : value;
            const char *label = json_string_value(json_object_get(value, "label"));
            char *text = output_value(own);
            output_printf(to, "  %-30s %s\n", text == NULL ? "" : text, label == NULL ? "" : label);
            free(text);
        }
        print_steps(to, json_object_get(vocabulary, "steps"));
    }
}

static enum exit_status
print_codebook(const struct command *command, const json_t *ok)
{
    static const struct output_column of_kinds[] = { { "name", 0 }, { "label", COLUMN_CUT } };
    static const struct output_column of_fields[] = {
        { "name", 0 },   { "type", 0 },    { "vocabulary", 0 }, { "level", 0 },
        { "policy", 0 }, { "indexed", 0 }, { "from", 0 },       { "label", COLUMN_CUT },
    };
    static const struct output_column of_collections[] = { { "name", 0 },
                                                           { "level", 0 },
                                                           { "label", COLUMN_CUT } };
    char *name = output_value(json_object_get(ok, "name"));
    char *version = output_value(json_object_get(ok, "version"));

    output_printf(command->out.to, "codebook %s, version %s\n", name == NULL ? "" : name,
                  version == NULL ? "" : version);
    free(name);
    free(version);
    enum exit_status status = section(command, "kinds of records", of_kinds, 2, json_object_get(ok, "kinds"));
    if (status == STATUS_DONE) {
        status =
            section(command, "collections and sets", of_collections, 3, json_object_get(ok, "collections"));
    }
    if (status == STATUS_DONE) {
        status = section(command, "fields", of_fields, sizeof of_fields / sizeof of_fields[0],
                         json_object_get(ok, "fields"));
    }
    print_vocabularies(command->out.to, json_object_get(ok, "vocabularies"));
    return status;
}

static enum exit_status
run_show(struct command *command)
{
    struct client_fault fault;
    json_t *ok = NULL;

    json_t *request = json_pack("{s:s}", "do", "codebook.show");
    if (command->word_count > 0) {
        (void)json_object_set_new(request, "kind", json_string(command->words[0]));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot show the codebook");
    }
    enum exit_status status = STATUS_DONE;
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_codebook(command, ok);
    }
    json_decref(ok);
    return status;
}

static const struct verb verbs[] = {
    { "show", "[KIND]", 0, 1, 0, "Show kinds, fields and values",
      "Examples:\n"
      "  vigil codebook show person\n"
      "  vigil codebook show case | less\n",
      run_show },
};

const struct noun codebook_noun = { "codebook", "Look up the names of fields and values", verbs, 1 };
