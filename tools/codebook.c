/* codebook.c - `vigil codebook`: what a record may hold. */
#include "tools/codebook_check.h"
#include "tools/codebook_labels.h"
#include "tools/command.h"
#include "tools/csv_write.h"
#include "tools/relabel.h"

#include "store/base/nearest.h"

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
print_codebook(const struct command *command, const json_t *ok, struct relabelled done)
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
    if (done.own < done.all) {
        output_printf(command->out.to, "%zu of %zu labels are in this language, the others in English\n",
                      done.own, done.all);
    }
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
    struct relabelled done = { 0 };
    json_t *ok = NULL;

    struct labels *labels = command_labels(command, &fault);
    if (labels == NULL) {
        return command_fail(command, &fault, "cannot show the codebook");
    }
    json_t *request = json_pack("{s:s}", "do", "codebook.show");
    if (command->word_count > 0) {
        (void)json_object_set_new(request, "kind", json_string(command->words[0]));
    }
    if (!command_ask(command, request, &ok, &fault)) {
        return command_fail(command, &fault, "cannot show the codebook");
    }
    enum exit_status status = STATUS_DONE;
    if (command_is_labelled(command)) {
        done = relabel_codebook(labels, ok);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        status = print_codebook(command, ok, done);
    }
    json_decref(ok);
    return status;
}

/* --- export --- */

enum { CELLS_MAX = 13 };

/* The cells of a row: members of an object by name. Lists are joined by spaces. */
static void
write_row(FILE *to, const char *first, const json_t *object, const char *const *names, size_t count)
{
    char *texts[CELLS_MAX] = { NULL };
    const char *cells[CELLS_MAX + 1] = { first };
    size_t begin = first == NULL ? 0 : 1;

    for (size_t n = 0; n < count; n++) {
        const json_t *value = json_object_get(object, names[n]);
        json_t *joined = NULL;

        if (json_is_array(value)) {
            size_t index;
            json_t *item;
            char text[512] = "";

            json_array_foreach((json_t *)value, index, item)
            {
                size_t used = strlen(text);
                (void)snprintf(text + used, sizeof text - used, "%s%s", index > 0 ? " " : "",
                               json_string_value(item));
            }
            joined = json_string(text);
            value = joined;
        }
        texts[n] = output_value(value);
        cells[begin + n] = texts[n];
        json_decref(joined);
    }
    csv_write_row(to, cells, begin + count);
    for (size_t n = 0; n < count; n++) {
        free(texts[n]);
    }
}

struct table {
    const char *name;
    const char
        *of; /* member of the codebook that has the rows; of a vocabulary what stands under `of` in it */
    bool in_vocabularies;
    const char *columns[CELLS_MAX];
    size_t count;
};

static const struct table tables[] = {
    { "kinds", "kinds", false, { "name", "label", "label_language" }, 3 },
    { "collections",
      "collections",
      false,
      { "name", "label", "kinds", "level", "set", "keyed", "append_only", "label_language" },
      8 },
    { "fields",
      "fields",
      false,
      { "name", "label", "kinds", "collection", "type", "vocabulary", "level", "policy", "required", "from",
        "indexed", "listed", "label_language" },
      13 },
    { "steps", "steps", true, { "from", "to", "gates" }, 3 },
    { "values", "values", true, { "name", "label", "number", "rank", "group", "label_language" }, 6 },
};

enum { TABLES = sizeof tables / sizeof tables[0] };

/* Write a table; of those of vocabularies that of `only`, or of all (NULL). */
static void
write_table(FILE *to, const struct table *table, const json_t *codebook, const char *only)
{
    const char *heading[CELLS_MAX + 1] = { "vocabulary" };
    size_t begin = table->in_vocabularies ? 1 : 0;
    size_t index;
    size_t at;
    json_t *vocabulary;
    json_t *row;

    memcpy(heading + begin, table->columns, table->count * sizeof *table->columns);
    csv_write_row(to, heading, begin + table->count);
    if (!table->in_vocabularies) {
        json_array_foreach(json_object_get(codebook, table->of), at, row)
        {
            write_row(to, NULL, row, table->columns, table->count);
        }
        return;
    }
    json_array_foreach(json_object_get(codebook, "vocabularies"), index, vocabulary)
    {
        const char *name = json_string_value(json_object_get(vocabulary, "name"));

        if (name == NULL || (only != NULL && strcmp(only, name) != 0)) {
            continue;
        }
        json_array_foreach(json_object_get(vocabulary, table->of), at, row)
        {
            write_row(to, name, row, table->columns, table->count);
        }
    }
}

/* The table that is asked for, and the vocabulary if it is one. False: there is neither. */
static bool
find_table(const json_t *codebook, const char *name, const struct table **table_out, const char **only_out,
           struct client_fault *fault_out)
{
    const char *names[64 + TABLES + LABELS_LISTS];
    size_t count = 0;
    size_t index;
    json_t *vocabulary;

    *only_out = NULL;
    for (size_t n = 0; n < TABLES; n++) {
        names[count++] = tables[n].name;
        if (strcmp(tables[n].name, name) == 0) {
            *table_out = &tables[n];
            return true;
        }
    }
    for (size_t n = 0; n < LABELS_LISTS; n++) {
        names[count++] = labels_list_names[n];
    }
    json_array_foreach(json_object_get(codebook, "vocabularies"), index, vocabulary)
    {
        const char *own = json_string_value(json_object_get(vocabulary, "name"));

        if (own != NULL && strcmp(own, name) == 0) {
            *table_out = &tables[TABLES - 1];
            *only_out = own;
            return true;
        }
        if (own != NULL && count < sizeof names / sizeof names[0]) {
            names[count++] = own;
        }
    }
    const char *nearest = nearest_name(name, names, count);
    return fault_set(fault_out, "usage",
                     "kinds, collections, fields, steps, values, countries, subdivisions, languages, "
                     "regions, or a vocabulary",
                     "there is no list called '%s'%s%s%s", name, nearest == NULL ? "" : ": did you mean ",
                     nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?");
}

static enum exit_status
run_export(struct command *command)
{
    const struct table *table = &tables[TABLES - 1];
    const char *only = NULL;
    struct client_fault fault;
    json_t *ok = NULL;

    for (size_t n = 0; command->word_count > 0 && n < LABELS_LISTS; n++) {
        if (strcmp(command->words[0], labels_list_names[n]) == 0) {
            return codebook_export_list(command, (enum labels_list)n);
        }
    }
    struct labels *labels = command_labels(command, &fault);
    if (labels == NULL) {
        return command_fail(command, &fault, "cannot export the codebook");
    }

    if (!command_ask(command, json_pack("{s:s}", "do", "codebook.show"), &ok, &fault)) {
        return command_fail(command, &fault, "cannot export the codebook");
    }
    if (command->word_count > 0 && !find_table(ok, command->words[0], &table, &only, &fault)) {
        json_decref(ok);
        return command_fail(command, &fault, "cannot export the codebook");
    }
    if (command_is_labelled(command)) {
        (void)relabel_codebook(labels, ok);
    }
    if (command->out.json) {
        output_json(command->out.to, ok);
    } else {
        write_table(command->out.to, table, ok, only);
    }
    json_decref(ok);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "show", "[KIND]", 0, 1, OPTION(LANGUAGE), "Show kinds, fields and values",
      "Examples:\n"
      "  vigil codebook show person --language fr\n"
      "  vigil codebook show case | less\n",
      run_show },
    { "export", "[LIST]", 0, 1, OPTION(LANGUAGE), "Print a list as comma-separated values",
      "LIST is kinds, collections, fields, steps, values (of all vocabularies; what is printed without a "
      "LIST), the name of a vocabulary, or one of the lists that stand outside of the codebook: countries, "
      "subdivisions, languages, regions. Of those --json prints one object a line, else the whole "
      "codebook.\n\n"
      "Examples:\n"
      "  vigil codebook export act_type > act_type.csv\n"
      "  vigil codebook export fields > fields.csv\n"
      "  vigil codebook export countries --language ar > countries.csv\n",
      run_export },
    { "labels", "[LANGUAGE]", 0, 1, 0,
      "Count the labels in each language, or print those of one to be translated",
      "Without LANGUAGE the labels of each list are counted in ar, en, es, fr, ru and zh. With one the "
      "labels of the "
      "codebook are printed as a .po file, with those translations that are here already. Nobody's "
      "translation is "
      "shown before it was put into a catalogue.\n\n"
      "Example:\n"
      "  vigil codebook labels fr > fr.po\n"
      "  msgfmt --check -o /usr/local/share/locale/fr/LC_MESSAGES/vigil-codebook.mo fr.po\n"
      "  vigil codebook show case --language fr\n",
      codebook_labels },
    { "check", "FILE", 1, 1, 0, "Hold a newer codebook against the one in force",
      "FILE is a whole codebook, as vigil --json codebook show prints it, edited. What was written under the "
      "codebook in "
      "force has to keep its meaning: kinds, fields, collections and values may be added, their labels, "
      "ranks and "
      "policies may change, and nothing may go, be renamed, or become something else. Ends with 6 if it may "
      "not follow.\n\n"
      "Examples:\n"
      "  vigil --json codebook show > book.json\n"
      "  vigil codebook check book.json\n",
      codebook_check },
    { "propose", "FILE NEW", 2, 2, 0, "Add something to the codebook in force, for the roots to sign",
      "FILE says what is added, in lists of kinds, collections, fields and vocabularies, each object as "
      "vigil --json codebook "
      "show prints it but without a number: the next that was never used is given. An object of a name that "
      "is there "
      "changes what it says of it. NEW is the whole codebook that comes of it, one version on; nothing is "
      "written if it "
      "may not follow. It is in force everywhere once the roots have signed it: vigil-org codebook.\n\n"
      "Example:\n"
      "  echo '{\"vocabularies\":[{\"name\":\"act_type\",\"values\":[{\"name\":\"drone_surveillance\",\n"
      "    \"label\":\"Surveillance by drones\",\"group\":\"surveillance_digital\"}]}]}' > more.json\n"
      "  vigil codebook propose more.json book-2.json\n",
      codebook_propose },
};

const struct noun codebook_noun = { "codebook", "Look up the names of fields and values", verbs,
                                    sizeof verbs / sizeof verbs[0] };
