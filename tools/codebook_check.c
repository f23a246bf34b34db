#include "tools/codebook_check.h"

#include "node/codebook_json.h"

#include <stdlib.h>
#include <string.h>

/* The file as JSON; NULL, and `fault`. */
static json_t *
read_file(const char *path, struct client_fault *fault)
{
    json_error_t error;
    FILE *file = NULL;

    if (!command_open(path, &file, fault)) {
        return NULL;
    }
    json_t *json = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    command_close(&file);
    if (json == NULL) {
        (void)fault_set(fault, "invalid", "mend that line; vigil --json codebook show prints a whole one",
                        "%s, line %d, column %d: %s", path, error.line, error.column, error.text);
    }
    return json;
}

static struct codebook *
read_book(const json_t *json, const char *path, struct client_fault *fault)
{
    struct codebook_fault why;
    struct codebook *book = NULL;
    enum err err = codebook_from_json(json, &book, &why);

    if (err == ERR_MEMORY) {
        (void)fault_set(fault, err_code(err), "close other programs and try again", "%s", err_text(err));
    } else if (err != ERR_OK) {
        (void)fault_set(fault, "invalid",
                        "mend it; vigil --json codebook show prints what every member looks like", "%s: %s",
                        path, why.what);
    }
    return book;
}

/* The codebook in force, and as JSON. */
static struct codebook *
ask_book(struct command *command, json_t **json_out, struct client_fault *fault)
{
    json_t *ok = NULL;

    if (!command_ask(command, json_pack("{s:s}", "do", "codebook.show"), &ok, fault)) {
        return NULL;
    }
    struct codebook *book = read_book(ok, "the codebook in force", fault);
    *json_out = ok;
    return book;
}

/* Print what is otherwise than in force. */
static enum exit_status
print_changes(struct command *command, const struct codebook *before, const struct codebook *after)
{
    static const struct output_column columns[] = { { "how", 0 }, { "what", 0 }, { "why", COLUMN_CUT } };
    size_t refused = 0;
    json_t *rows = codebook_changes_json(before, after, &refused);
    enum exit_status status = command_table(command, columns, 3, rows);
    if (json_array_size(rows) == 0) {
        command_remark(command, "nothing is otherwise\n");
    } else if (refused == 0) {
        command_remark(command, "version %lu may follow version %lu\n", (unsigned long)after->version,
                       (unsigned long)before->version);
    }
    json_decref(rows);
    return status == STATUS_DONE && refused > 0 ? STATUS_FINDINGS : status;
}

enum exit_status
codebook_check(struct command *command)
{
    struct client_fault fault;
    json_t *json = read_file(command->words[0], &fault);
    json_t *in_force = NULL;
    struct codebook *after = json == NULL ? NULL : read_book(json, command->words[0], &fault);
    struct codebook *before = after == NULL ? NULL : ask_book(command, &in_force, &fault);
    enum exit_status status = before == NULL ? command_fail(command, &fault, "the codebook was not checked")
                                             : print_changes(command, before, after);

    codebook_free(&after);
    codebook_free(&before);
    json_decref(json);
    json_decref(in_force);
    return status;
}

/* --- proposing --- */

static json_t *
find_named(const json_t *list, const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    size_t index;
    json_t *one;

    json_array_foreach((json_t *)list, index, one)
    {
        const char *here = json_string_value(json_object_get(one, "name"));

        if (name != NULL && here != NULL && strcmp(here, name) == 0) {
            return one;
        }
    }
    return NULL;
}

/* A number that none of the list has, and that is above all of them. */
static json_int_t
next_number(const json_t *list)
{
    json_int_t highest = 0;
    size_t index;
    json_t *one;

    json_array_foreach((json_t *)list, index, one)
    {
        json_int_t number = json_integer_value(json_object_get(one, "number"));
        highest = number > highest ? number : highest;
    }
    return highest + 1;
}

/* Put the items into a list: those of a name that is there change what they say, others come last with a number of their own. */
static void
put_items(json_t *list, const json_t *items)
{
    size_t index;
    json_t *item;

    json_array_foreach((json_t *)items, index, item)
    {
        json_t *old = find_named(list, item);

        if (old != NULL) {
            (void)json_object_update(old, item);
        } else {
            json_t *added = json_deep_copy(item);
            (void)json_object_set_new(added, "number", json_integer(next_number(list)));
            (void)json_array_append_new(list, added);
        }
    }
}

/* Of a vocabulary its values are put in one by one; its steps are replaced as a whole, if it has any. */
static void
put_vocabularies(json_t *list, const json_t *items)
{
    size_t index;
    json_t *item;

    json_array_foreach((json_t *)items, index, item)
    {
        json_t *bare = json_copy(item);
        json_t *values = json_incref(json_object_get(item, "values"));

        (void)json_object_del(bare, "values");
        json_t *one = json_pack("[O]", bare);
        put_items(list, one);
        json_t *vocabulary = find_named(list, bare);
        if (json_object_get(vocabulary, "values") == NULL) {
            (void)json_object_set_new(vocabulary, "values", json_array());
        }
        put_items(json_object_get(vocabulary, "values"), values);
        json_decref(one);
        json_decref(bare);
        json_decref(values);
    }
}

/* False: the file has something that is no list of objects, and `fault`. */
static bool
merge(json_t *book, const json_t *added, const char *path, struct client_fault *fault)
{
    static const char *const lists[] = { "kinds", "collections", "fields", "vocabularies" };
    const char *key;
    json_t *items;

    json_object_foreach((json_t *)added, key, items)
    {
        size_t n = 0;
        size_t index;
        json_t *item;

        while (n < sizeof lists / sizeof lists[0] && strcmp(lists[n], key) != 0) {
            n++;
        }
        if (n == sizeof lists / sizeof lists[0] || !json_is_array(items)) {
            return fault_set(fault, "invalid",
                             "it holds lists of objects: kinds, collections, fields, vocabularies",
                             "%s: \"%.40s\" is none of them", path, key);
        }
        json_array_foreach(items, index, item)
        {
            if (!json_is_string(json_object_get(item, "name"))) {
                return fault_set(fault, "invalid", "give each a name", "%s: an object of \"%s\" has no name",
                                 path, key);
            }
        }
        if (n == 3) {
            put_vocabularies(json_object_get(book, key), items);
        } else {
            put_items(json_object_get(book, key), items);
        }
    }
    if (json_object_size(added) == 0) {
        return fault_set(fault, "invalid",
                         "it holds lists of objects: kinds, collections, fields, vocabularies",
                         "%s adds nothing", path);
    }
    (void)json_object_set_new(book, "version",
                              json_integer(json_integer_value(json_object_get(book, "version")) + 1));
    (void)json_object_del(book, "id");
    return true;
}

enum exit_status
codebook_propose(struct command *command)
{
    const char *path = command->words[0];
    struct client_fault fault;
    json_t *added = read_file(path, &fault);
    json_t *book = NULL;
    struct codebook *before = added == NULL ? NULL : ask_book(command, &book, &fault);
    bool good = before != NULL && merge(book, added, path, &fault);
    struct codebook *after = good ? read_book(book, path, &fault) : NULL;
    enum exit_status status;

    if (after == NULL) {
        status = command_fail(command, &fault, "nothing was proposed");
    } else {
        status = print_changes(command, before, after);
    }
    if (after != NULL && status == STATUS_DONE) {
        char *text = json_dumps(book, JSON_INDENT(1));
        if (text == NULL || !command_write(command->words[1], text, &fault)) {
            status = command_fail(command, &fault, "nothing was proposed");
        } else {
            command_say(command, "written to %s; when people agree: vigil-org codebook CEREMONY %s\n",
                        command->words[1], command->words[1]);
        }
        free(text);
    }
    codebook_free(&after);
    codebook_free(&before);
    json_decref(added);
    json_decref(book);
    return status;
}
