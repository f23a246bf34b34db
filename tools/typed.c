#include "tools/typed.h"

#include "tools/input.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const json_t *
typed_codebook(struct command *command, struct client_fault *fault_out)
{
    if (command->codebook == NULL &&
        !command_ask(command, json_pack("{s:s}", "do", "codebook.show"), &command->codebook, fault_out)) {
        return NULL;
    }
    return command->codebook;
}

/* The name without the [ID] in it. False: too long to be one. */
static bool
bare_name(const char *text, size_t size, char out[INPUT_NAME_BYTES_MAX + 1])
{
    size_t used = 0;
    bool in_id = false;

    for (size_t n = 0; n < size; n++) {
        in_id = text[n] == '[' || (in_id && text[n] != ']');
        if (in_id || text[n] == ']') {
            continue;
        }
        if (used == INPUT_NAME_BYTES_MAX) {
            return false;
        }
        out[used++] = text[n];
    }
    out[used] = '\0';
    return true;
}

static bool
is_named(const json_t *object, const char *key, const char *name, size_t size)
{
    const char *here = json_string_value(json_object_get(object, key));

    return here != NULL && strlen(here) == size && memcmp(here, name, size) == 0;
}

/* True if the entry of "fields" or "collections" is what the bare name says: whole, or as
 * COLLECTION.FIELD of a field that is called FIELD alone, or the collection before the dot. */
static bool
is_meant(const json_t *entry, const char *name)
{
    const char *dot = strchr(name, '.');
    size_t first = strcspn(name, ".");

    if (is_named(entry, "name", name, strlen(name))) {
        return true;
    }
    if (dot == NULL) {
        return false;
    }
    return json_object_get(entry, "collection") == NULL
               ? is_named(entry, "name", name, first)
               : is_named(entry, "collection", name, first) &&
                     is_named(entry, "name", dot + 1, strlen(dot + 1));
}

static bool
is_confidential(const json_t *codebook, const char *name)
{
    static const char *const lists[] = { "fields", "collections" };
    size_t index;
    json_t *entry;

    for (size_t n = 0; n < sizeof lists / sizeof lists[0]; n++) {
        json_array_foreach(json_object_get(codebook, lists[n]), index, entry)
        {
            if (is_meant(entry, name) && is_named(entry, "level", "L3", 2)) {
                return true;
            }
        }
    }
    return false;
}

const char *
typed_label(const json_t *codebook, const char *name)
{
    static const char *const lists[] = { "fields", "collections" };
    size_t index;
    json_t *entry;

    for (size_t n = 0; n < sizeof lists / sizeof lists[0]; n++) {
        json_array_foreach(json_object_get(codebook, lists[n]), index, entry)
        {
            const char *label = json_string_value(json_object_get(entry, "label"));
            if (label != NULL && label[0] != '\0' && is_named(entry, "name", name, strlen(name))) {
                return label;
            }
        }
    }
    return name;
}

/* A line of standard input without its end, asked for if a person sits there. The caller frees it. */
static bool
read_value(const char *name, const char *label, char **value_out, struct client_fault *fault)
{
    char *line = NULL;
    size_t room = 0;

    if (isatty(STDIN_FILENO) == 1) {
        (void)fflush(stdout);
        output_printf(stderr, strcmp(label, name) == 0 ? "%s: " : "%s (%s): ", label, name);
    }
    ssize_t size = getline(&line, &room, stdin);
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r')) {
        line[--size] = '\0';
    }
    if (size <= 0 || strlen(line) != (size_t)size || size > INPUT_OBJECT_BYTES_MAX) {
        free(line);
        return fault_set(fault, "usage", "give one line of text for each -, in their order",
                         size < 0    ? "standard input ended before the value of %s"
                         : size == 0 ? "the value of %s is empty"
                                     : "the value of %s is no line of text",
                         name);
    }
    *value_out = line;
    return true;
}

static bool
refuse_shown(const char *name, struct client_fault *fault)
{
    return fault_set(fault, "usage", "write - as the value, and give it when asked or on standard input",
                     "%s is confidential, and a command line is seen by others and kept by the shell", name);
}

/* One value of `name`, of which `given` is to say `prefix` and the value. */
static bool
take_value(struct command *command, struct given *given, const char *name, const char *prefix,
           const char *value, struct client_fault *fault)
{
    char *read = NULL;
    char *whole = NULL;
    const json_t *codebook = typed_codebook(command, fault);

    if (codebook == NULL) {
        return false;
    }
    if (strcmp(value, "-") != 0) {
        return !is_confidential(codebook, name) || refuse_shown(name, fault);
    }
    if (!read_value(name, typed_label(codebook, name), &read, fault)) {
        return false;
    }
    int size = asprintf(&whole, "%s%s", prefix, read);
    free(read);
    if (size < 0) {
        return fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                         err_text(ERR_MEMORY));
    }
    given->own = whole;
    given->text = whole;
    return true;
}

static bool
is_pair(const struct given *given, bool words, size_t *skip)
{
    if (given->option != OPT_NONE) {
        return given->option == OPT_SET || given->option == OPT_ADD || given->option == OPT_WHERE ||
               given->option == OPT_MONTH;
    }
    if (*skip > 0) {
        (*skip)--;
        return false;
    }
    return words;
}

bool
typed_values(struct command *command, bool words, size_t skip, struct client_fault *fault_out)
{
    for (size_t n = 0; n < command->given_count; n++) {
        struct given *given = &command->given[n];
        char name[INPUT_NAME_BYTES_MAX + 1];
        char prefix[INPUT_NAME_BYTES_MAX + 2];
        const char *equals = given->text == NULL ? NULL : strchr(given->text, '=');

        if (!is_pair(given, words, &skip) || equals == NULL || equals[1] == '\0') {
            continue; /* what is no NAME=VALUE is refused where it is read */
        }
        size_t size = (size_t)(equals - given->text);
        if (size > INPUT_NAME_BYTES_MAX || !bare_name(given->text, size, name)) {
            continue;
        }
        (void)snprintf(prefix, sizeof prefix, "%.*s", (int)size + 1, given->text);
        if (!take_value(command, given, name, prefix, equals + 1, fault_out)) {
            return false;
        }
    }
    return true;
}

bool
typed_value_of(struct command *command, const char *target, struct client_fault *fault_out)
{
    char name[INPUT_NAME_BYTES_MAX + 1];

    for (size_t n = 0; n < command->given_count; n++) {
        struct given *given = &command->given[n];

        if (given->option == OPT_VALUE && bare_name(target, strlen(target), name) &&
            !take_value(command, given, name, "", given->text, fault_out)) {
            return false;
        }
    }
    return true;
}

bool
typed_line(const char *prompt, const char *what, const char *hint, char *line, size_t room,
           struct client_fault *fault)
{
    if (isatty(STDIN_FILENO) != 0) {
        (void)fputs(prompt, stderr);
        (void)fflush(stderr);
    }
    if (fgets(line, (int)room, stdin) == NULL) {
        return fault_set(fault, "usage", hint, "no %s given", what);
    }
    size_t size = strcspn(line, "\n");
    if (size == room - 1) {
        return fault_set(fault, "usage", hint, "at most %zu bytes are taken", room - 2);
    }
    line[size] = '\0';
    return line[strspn(line, " \t\r")] != '\0' || fault_set(fault, "usage", hint, "no %s given", what);
}

bool
typed_filter(struct command *command, json_t *request, struct client_fault *fault)
{
    json_t *where = json_object();
    json_t *month = json_object();
    bool good = typed_values(command, false, 0, fault);

    for (size_t n = 0; n < command->given_count && good; n++) {
        if (command->given[n].option == OPT_WHERE) {
            good = input_pair(where, command->given[n].text, fault);
        } else if (command->given[n].option == OPT_MONTH) {
            good = input_pair(month, command->given[n].text, fault);
        }
    }
    if (good && json_object_size(where) > 0) {
        (void)json_object_set(request, "where", where);
    }
    if (good && json_object_size(month) > 0) {
        (void)json_object_set(request, "month", month);
    }
    if (good && args_has(command, OPT_CONFLICT)) {
        (void)json_object_set_new(request, "conflict", json_true());
    }
    json_decref(where);
    json_decref(month);
    return good;
}
