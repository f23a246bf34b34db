#include "tools/input.h"

#include "store/base/cbor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
no_memory(struct client_fault *fault)
{
    return fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
}

/* --- Names and values ------------------------------------------------------- */

static bool
name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* NAME, NAME.NAME, NAME[ID] or NAME[ID].NAME. */
static bool
name_good(const char *name, size_t size)
{
    bool open = false;
    bool dotted = false;
    char last = '.';

    for (size_t n = 0; n < size; n++) {
        char c = name[n];
        if (c == '.') {
            if (open || dotted || last == '.') {
                return false;
            }
            dotted = true;
        } else if (c == '[') {
            if (open || dotted || last == '.') {
                return false;
            }
            open = true;
        } else if (c == ']') {
            if (!open || last == '[' || (n + 1 < size && name[n + 1] != '.')) {
                return false;
            }
            open = false;
        } else if (!name_character(c)) {
            return false;
        }
        last = c;
    }
    return !open && last != '.';
}

static bool
check_name(const char *text, size_t size, struct client_fault *fault)
{
    if (size == 0) {
        return fault_set(fault, "usage", "write NAME=VALUE, as in status=triage",
                         "there is no name before the =");
    }
    if (size > INPUT_NAME_BYTES_MAX || !name_good(text, size)) {
        return fault_set(fault, "usage", "write it as in the codebook: vigil codebook show",
                         "'%.*s' cannot be the name of a field",
                         (int)(size > INPUT_NAME_BYTES_MAX ? INPUT_NAME_BYTES_MAX : size), text);
    }
    return true;
}

static bool
check_text(const char *text, struct client_fault *fault)
{
    if (!utf8_valid(span_text(text))) {
        return fault_set(fault, "usage", "use a terminal that is set to UTF-8", "the text is not UTF-8");
    }
    return true;
}

/* Split NAME=VALUE: the name goes to `name_out`, the value is lent. */
static bool
split(const char *text, char name_out[INPUT_NAME_BYTES_MAX + 1], const char **value_out,
      struct client_fault *fault)
{
    const char *equals = strchr(text, '=');

    if (!check_text(text, fault)) {
        return false;
    }
    if (equals == NULL) {
        return check_name(text, strlen(text), fault) &&
               fault_set(fault, "usage", "write NAME=VALUE, as in status=triage",
                         "'%s' has no = and no value", text);
    }
    if (!check_name(text, (size_t)(equals - text), fault)) {
        return false;
    }
    (void)snprintf(name_out, INPUT_NAME_BYTES_MAX + 1, "%.*s", (int)(equals - text), text);
    if (equals[1] == '\0') {
        return fault_set(fault, "usage", "give a value; a field that is set cannot become unset again",
                         "'%s' has no value after the =", name_out);
    }
    *value_out = equals + 1;
    return true;
}

/* The member `key` of `object`, made by `make` if it is not there. */
static json_t *
member(json_t *object, const char *key, json_t *(*make)(void))
{
    json_t *found = json_object_get(object, key);

    if (found == NULL && json_object_set_new(object, key, make()) == 0) {
        found = json_object_get(object, key);
    }
    return found;
}

static bool
put_pair(json_t *object, const char *assignment, const char *twice_hint, struct client_fault *fault)
{
    char name[INPUT_NAME_BYTES_MAX + 1];
    const char *value = NULL;

    if (!split(assignment, name, &value, fault)) {
        return false;
    }
    if (json_object_get(object, name) != NULL) {
        return fault_set(fault, "usage", twice_hint, "'%s' is given twice", name);
    }
    return json_object_set_new(object, name, json_string(value)) == 0 || no_memory(fault);
}

bool
input_set(json_t *save, const char *assignment, struct client_fault *fault_out)
{
    json_t *set = member(save, "set", json_object);

    if (set == NULL) {
        return no_memory(fault_out);
    }
    bool done = put_pair(set, assignment, "give a field once; --add gives a set one more value", fault_out);
    if (json_object_size(set) == 0) {
        (void)json_object_del(save, "set");
    }
    return done;
}

bool
input_pair(json_t *object, const char *assignment, struct client_fault *fault_out)
{
    return put_pair(object, assignment, "give each field once", fault_out);
}

/* The fields of the last new element of `collection` in `save`; NULL: none was begun. */
static json_t *
element_begun(const json_t *save, const char *collection)
{
    const json_t *add = json_object_get(save, "add");

    for (size_t n = json_array_size(add); n > 0; n--) {
        const json_t *item = json_array_get(add, n - 1);
        json_t *fields = json_object_get(item, "fields");
        if (fields != NULL && strcmp(json_string_value(json_object_get(item, "to")), collection) == 0) {
            return fields;
        }
    }
    return NULL;
}

/* Append one more addition; takes the reference to `content`. */
static bool
append_add(json_t *save, const char *to, const char *key, json_t *content, struct client_fault *fault)
{
    json_t *item = json_pack("{s:s, s:o}", "to", to, key, content);
    json_t *add = item == NULL ? NULL : member(save, "add", json_array);

    if (add == NULL) {
        json_decref(item);
        return no_memory(fault);
    }
    return json_array_append_new(add, item) == 0 || no_memory(fault);
}

static bool
begin_element(json_t *save, const char *collection, struct client_fault *fault)
{
    if (!check_text(collection, fault) || !check_name(collection, strlen(collection), fault)) {
        return false;
    }
    if (strpbrk(collection, ".[") != NULL) {
        return fault_set(fault, "usage",
                         "write --add act.type_of_act=detention, or --add act for the next act",
                         "'%s' has no = and no value", collection);
    }
    const json_t *begun = element_begun(save, collection);
    if (begun != NULL && json_object_size(begun) == 0) {
        return fault_set(fault, "usage", "give the fields of one element after it was begun",
                         "'%s' was begun twice in a row", collection);
    }
    return append_add(save, collection, "fields", json_object(), fault);
}

bool
input_add(json_t *save, const char *assignment, struct client_fault *fault_out)
{
    char name[INPUT_NAME_BYTES_MAX + 1];
    char hint[CLIENT_TEXT_BYTES];
    const char *value = NULL;

    if (strchr(assignment, '=') == NULL) {
        return begin_element(save, assignment, fault_out);
    }
    if (!split(assignment, name, &value, fault_out)) {
        return false;
    }
    char *dot = strchr(name, '.');
    if (strchr(name, '[') != NULL) {
        (void)snprintf(hint, sizeof hint, "change an element that is there with --set %s=...", name);
        return fault_set(fault_out, "usage", hint, "'%s' names an element, and --add makes a new one", name);
    }
    if (dot == NULL) {
        return append_add(save, name, "value", json_string(value), fault_out);
    }
    *dot = '\0';
    json_t *fields = element_begun(save, name);
    if (fields == NULL) {
        return append_add(save, name, "fields", json_pack("{s:s}", dot + 1, value), fault_out);
    }
    /* Several values: a field that is a set takes them, of any other the node says that they are too many. */
    json_t *before = json_object_get(fields, dot + 1);
    if (json_is_array(before)) {
        return json_array_append_new(before, json_string(value)) == 0 || no_memory(fault_out);
    }
    if (before != NULL) {
        json_t *both = json_pack("[O,s]", before, value);
        return json_object_set_new(fields, dot + 1, both) == 0 || no_memory(fault_out);
    }
    return json_object_set_new(fields, dot + 1, json_string(value)) == 0 || no_memory(fault_out);
}

static bool
append_text(json_t *save, const char *key, const char *text, struct client_fault *fault)
{
    json_t *list = member(save, key, json_array);

    return (list != NULL && json_array_append_new(list, json_string(text)) == 0) || no_memory(fault);
}

bool
input_remove(json_t *save, const char *target, struct client_fault *fault_out)
{
    if (!check_text(target, fault_out) || !check_name(target, strlen(target), fault_out)) {
        return false;
    }
    size_t length = strlen(target);
    if (target[length - 1] != ']') {
        return fault_set(fault_out, "usage",
                         "name one element, as in act[3f09a1c2]; vigil case show ID --ids lists them",
                         "'%s' names no element, and only an element can be removed", target);
    }
    return append_text(save, "remove", target, fault_out);
}

bool
input_note(json_t *save, const char *text, struct client_fault *fault_out)
{
    if (text[0] == '\0') {
        return fault_set(fault_out, "usage", "give it a text", "the note is empty");
    }
    return check_text(text, fault_out) && append_text(save, "note", text, fault_out);
}

bool
input_resolve(json_t *save, const char *target, struct client_fault *fault_out)
{
    return check_text(target, fault_out) && check_name(target, strlen(target), fault_out) &&
           append_text(save, "resolve", target, fault_out);
}

bool
input_whole(const json_t *save, struct client_fault *fault_out)
{
    static const char *const changes[] = { "set", "add", "remove", "note" };
    size_t index;
    json_t *item;
    bool any = false;

    for (size_t n = 0; n < sizeof changes / sizeof changes[0]; n++) {
        any = any || json_object_get(save, changes[n]) != NULL;
    }
    if (!any) {
        return fault_set(fault_out, "usage", "give at least one --set, --add, --remove or --note",
                         "nothing would change");
    }
    json_array_foreach(json_object_get(save, "add"), index, item)
    {
        const json_t *fields = json_object_get(item, "fields");
        if (fields != NULL && json_object_size(fields) == 0) {
            const char *to = json_string_value(json_object_get(item, "to"));
            return fault_set(fault_out, "usage", "give its fields after it", "the new '%s' has no field", to);
        }
    }
    return true;
}

/* --- Objects of a file ------------------------------------------------------ */

static bool
wrong_shape(struct client_fault *fault, const char *key, const char *must)
{
    return fault_set(fault, err_code(ERR_INVALID), "vigil case new --help shows an object",
                     "\"%s\" must be %s", key, must);
}

/* A text, a number, true or false, or a list of these. */
static bool
value_good(const json_t *value)
{
    size_t index;
    json_t *item;

    if (!json_is_array(value)) {
        return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
    }
    json_array_foreach(value, index, item)
    {
        if (!json_is_string(item) && !json_is_number(item) && !json_is_boolean(item)) {
            return false;
        }
    }
    return true;
}

static bool
fields_good(const json_t *fields, struct client_fault *fault)
{
    const char *name;
    json_t *value;

    /* The loop only reads, but jansson's iterator wants to be able to write. */
    json_object_foreach((json_t *)fields, name, value)
    {
        if (!check_name(name, strlen(name), fault)) {
            (void)snprintf(fault->code, sizeof fault->code, "%s", err_code(ERR_INVALID));
            return false;
        }
        if (!value_good(value)) {
            return wrong_shape(fault, name, "a text, a number, true, false or a list of these");
        }
    }
    return true;
}

static bool
take_fields(json_t *save, json_t *value, struct client_fault *fault)
{
    if (!json_is_object(value)) {
        return wrong_shape(fault, "fields", "an object {FIELD: value}");
    }
    return fields_good(value, fault) &&
           (json_object_size(value) == 0 || json_object_set_new(save, "set", json_deep_copy(value)) == 0 ||
            no_memory(fault));
}

static bool
take_sets(json_t *save, json_t *value, struct client_fault *fault)
{
    const char *name;
    json_t *values;
    json_t *item;
    size_t index;

    if (!json_is_object(value)) {
        return wrong_shape(fault, "sets", "an object {SET: [value, ...]}");
    }
    json_object_foreach(value, name, values)
    {
        if (!json_is_array(values)) {
            return wrong_shape(fault, name, "a list of values");
        }
        json_array_foreach(values, index, item)
        {
            if (!value_good(item)) {
                return wrong_shape(fault, name, "a list of texts, numbers, true or false");
            }
            if (!append_add(save, name, "value", json_deep_copy(item), fault)) {
                return false;
            }
        }
    }
    return true;
}

static bool
take_elements(json_t *save, json_t *value, struct client_fault *fault)
{
    const char *name;
    json_t *elements;
    json_t *item;
    size_t index;

    if (!json_is_object(value)) {
        return wrong_shape(fault, "elements", "an object {COLLECTION: [{FIELD: value}, ...]}");
    }
    json_object_foreach(value, name, elements)
    {
        if (!json_is_array(elements)) {
            return wrong_shape(fault, name, "a list of objects {FIELD: value}");
        }
        json_array_foreach(elements, index, item)
        {
            if (!json_is_object(item) || json_object_size(item) == 0) {
                return wrong_shape(fault, name,
                                   "a list of objects {FIELD: value} with at least one field each");
            }
            if (!fields_good(item, fault) || !append_add(save, name, "fields", json_deep_copy(item), fault)) {
                return false;
            }
        }
    }
    return true;
}

static bool
take_texts(json_t *save, const char *key, const char *from, json_t *value, struct client_fault *fault)
{
    size_t index;
    json_t *item;

    if (!json_is_array(value)) {
        return wrong_shape(fault, from, "a list of texts");
    }
    json_array_foreach(value, index, item)
    {
        if (!json_is_string(item) || json_string_length(item) == 0) {
            return wrong_shape(fault, from, "a list of texts, none empty");
        }
        if (!append_text(save, key, json_string_value(item), fault)) {
            return false;
        }
    }
    return true;
}

/* A member that goes into the request as it is. */
static bool
take_plain(json_t *save, const char *key, json_t *value, bool good, const char *must,
           struct client_fault *fault)
{
    return (good || wrong_shape(fault, key, must)) &&
           (json_object_set(save, key, value) == 0 || no_memory(fault));
}

static bool
ref_good(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return length > 0 && length <= INPUT_NAME_BYTES_MAX && name[length] == '\0';
}

static bool
take_member(json_t *save, const char *key, json_t *value, struct client_fault *fault)
{
    if (strcmp(key, "fields") == 0) {
        return take_fields(save, value, fault);
    }
    if (strcmp(key, "sets") == 0) {
        return take_sets(save, value, fault);
    }
    if (strcmp(key, "elements") == 0) {
        return take_elements(save, value, fault);
    }
    if (strcmp(key, "notes") == 0) {
        return take_texts(save, "note", key, value, fault);
    }
    if (strcmp(key, "remove") == 0 || strcmp(key, "resolve") == 0) {
        return take_texts(save, key, key, value, fault);
    }
    if (strcmp(key, "kind") == 0 || strcmp(key, "record") == 0 || strcmp(key, "office") == 0) {
        return take_plain(save, key, value, json_string_length(value) > 0, "a text", fault);
    }
    if (strcmp(key, "urgent") == 0 || strcmp(key, "imported") == 0) {
        return take_plain(save, key, value, json_is_boolean(value), "true or false", fault);
    }
    if (strcmp(key, "actor") == 0) {
        return take_plain(save, key, value, json_is_integer(value) && json_integer_value(value) > 0,
                          "the number of an actor", fault);
    }
    if (strcmp(key, "ref") == 0) {
        return (json_is_string(value) && ref_good(json_string_value(value))) ||
               wrong_shape(fault, key, "a name of letters, digits, \".\", \"_\" and \"-\"");
    }
    return fault_set(fault, err_code(ERR_INVALID),
                     "the keys are kind, ref, record, office, urgent, imported, actor, fields, sets, "
                     "elements, notes, remove "
                     "and resolve",
                     "\"%.*s\" is no key of a record", INPUT_NAME_BYTES_MAX, key);
}

json_t *
input_save(const json_t *object, const char **ref_out, struct client_fault *fault_out)
{
    json_t *save = json_pack("{s:s}", "do", "record.save");
    const char *key;
    json_t *value;
    bool good = save != NULL || no_memory(fault_out);

    *ref_out = NULL;
    if (!json_is_object(object)) {
        (void)fault_set(fault_out, err_code(ERR_INVALID), "vigil case new --help shows an object",
                        "a record must be an object {\"kind\": ..., \"fields\": ...}");
        good = false;
    }
    json_object_foreach((json_t *)object, key, value)
    {
        good = good && take_member(save, key, value, fault_out);
    }
    if (!good) {
        json_decref(save);
        return NULL;
    }
    *ref_out = json_string_value(json_object_get(object, "ref"));
    return save;
}

/* --- References ------------------------------------------------------------- */

const char *
input_ref(const json_t *value)
{
    const char *text = json_string_value(value);

    return text != NULL && strncmp(text, "ref:", 4) == 0 && ref_good(text + 4) ? text + 4 : NULL;
}

/* What a ref stands for: a lent string, or NULL while or since there is none. */
struct refs {
    const json_t *ids;
    enum input_refs state;
    const char *ref; /* the first that is not ready */
    bool replace;
};

static void
see_ref(struct refs *refs, const char *ref, json_t **with)
{
    json_t *id = json_object_get(refs->ids, ref);

    *with = json_is_string(id) ? id : NULL;
    if (*with == NULL && refs->state != REFS_FAILED) {
        refs->state = json_is_null(id) ? REFS_WAIT : REFS_FAILED;
        refs->ref = ref;
    }
}

/* One value, or the values of a list. Gives what should stand in its place, or NULL to leave it. */
static json_t *
see_value(struct refs *refs, json_t *value)
{
    size_t index;
    json_t *item;
    json_t *with = NULL;

    if (input_ref(value) != NULL) {
        see_ref(refs, input_ref(value), &with);
        return with;
    }
    json_array_foreach(value, index, item)
    {
        if (input_ref(item) != NULL) {
            see_ref(refs, input_ref(item), &with);
            if (with != NULL && refs->replace) {
                (void)json_array_set(value, index, with);
            }
        }
    }
    return NULL;
}

static void
see_members(struct refs *refs, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        json_t *with = see_value(refs, value);
        if (with != NULL && refs->replace) {
            /* A key that is there already: the object keeps its shape. */
            (void)json_object_set(object, key, with);
        }
    }
}

static void
see_all(struct refs *refs, json_t *save)
{
    size_t index;
    json_t *item;

    see_members(refs, json_object_get(save, "set"));
    json_array_foreach(json_object_get(save, "add"), index, item)
    {
        json_t *with = see_value(refs, json_object_get(item, "value"));
        if (with != NULL && refs->replace) {
            (void)json_object_set(item, "value", with);
        }
        see_members(refs, json_object_get(item, "fields"));
    }
}

enum input_refs
input_refs_replace(json_t *save, const json_t *ids, const char **ref_out)
{
    struct refs refs = { .ids = ids, .state = REFS_READY };

    see_all(&refs, save);
    *ref_out = refs.ref;
    if (refs.state == REFS_READY) {
        refs.replace = true;
        see_all(&refs, save);
    }
    return refs.state;
}

/* --- Files ------------------------------------------------------------------ */

static bool
ends_object(const char *text, size_t size)
{
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL) {
        size--;
    }
    return size > 0 && text[size - 1] == '}';
}

static bool
blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

static bool
not_json(const struct input_file *input, const json_error_t *error, struct client_fault *fault)
{
    return fault_set(fault, err_code(ERR_INVALID), "mend the file; each record is one JSON object",
                     "line %zu is no JSON: %s",
                     input->first_line + (size_t)(error->line > 0 ? error->line - 1 : 0), error->text);
}

/* Add one line to the object being read. False: too long, or NUL in it. */
static bool
take_line(struct input_file *input, const char *line, size_t size, struct client_fault *fault)
{
    if (memchr(line, '\0', size) != NULL) {
        return fault_set(fault, err_code(ERR_INVALID), "give a text file of JSON objects",
                         "line %zu holds a NUL byte", input->line);
    }
    if (input->text_size + size > INPUT_OBJECT_BYTES_MAX) {
        return fault_set(fault, err_code(ERR_INVALID), "divide it, or see that its braces are closed",
                         "the record that begins on line %zu has more than %d bytes", input->first_line,
                         INPUT_OBJECT_BYTES_MAX);
    }
    char *text = realloc(input->text, input->text_size + size + 1);
    if (text == NULL) {
        return no_memory(fault);
    }
    memcpy(text + input->text_size, line, size);
    input->text = text;
    input->text_size += size;
    text[input->text_size] = '\0';
    return true;
}

static bool
read_object(struct input_file *input, char **line, size_t *line_size, json_t **object_out,
            struct client_fault *fault)
{
    for (;;) {
        errno = 0;
        ssize_t size = getline(line, line_size, input->file);
        if (size < 0 && ferror(input->file) != 0) {
            return fault_set(fault, err_code(ERR_IO), "see that the file can be read",
                             "the file cannot be read: %s", strerror(errno));
        }
        if (size < 0 && input->text_size == 0) {
            *object_out = NULL;
            return true;
        }
        if (size >= 0) {
            input->line++;
            if (input->text_size == 0 && strlen(*line) == (size_t)size && blank(*line)) {
                continue;
            }
            input->first_line = input->text_size == 0 ? input->line : input->first_line;
            if (!take_line(input, *line, (size_t)size, fault)) {
                return false;
            }
        }
        if (size < 0 || ends_object(input->text, input->text_size)) {
            json_error_t error = { 0 };
            json_t *object = json_loadb(input->text, input->text_size, JSON_REJECT_DUPLICATES, &error);
            if (object != NULL) {
                *object_out = object;
                return true;
            }
            bool unended = json_error_code(&error) == json_error_premature_end_of_input;
            if (size < 0 && unended) {
                return fault_set(fault, err_code(ERR_INVALID), "close its braces and quotes",
                                 "the record that begins on line %zu does not end", input->first_line);
            }
            if (!unended) {
                return not_json(input, &error, fault);
            }
        } else if (input->text[strspn(input->text, " \t")] != '{') {
            return fault_set(fault, err_code(ERR_INVALID), "mend the file; each record is one JSON object",
                             "line %zu does not begin with {", input->first_line);
        }
    }
}

bool
input_next(struct input_file *input, json_t **object_out, struct client_fault *fault_out)
{
    char *line = NULL;
    size_t line_size = 0;

    input->text_size = 0;
    bool done = read_object(input, &line, &line_size, object_out, fault_out);
    input->text_size = 0;
    free(line);
    return done;
}

void
input_end(struct input_file *input)
{
    free(input->text);
    input->text = NULL;
    input->text_size = 0;
}

bool
input_text(FILE *file, size_t bytes_max, char **text_out, struct client_fault *fault_out)
{
    struct buf text = { 0 };
    char part[4096];
    size_t size;

    while (text.size <= bytes_max && (size = fread(part, 1, sizeof part, file)) > 0) {
        buf_put(&text, part, size);
    }
    bool good = true;
    if (ferror(file) != 0) {
        good = fault_set(fault_out, err_code(ERR_IO), "see that the file can be read",
                         "the file cannot be read: %s", strerror(errno));
    } else if (text.size > bytes_max) {
        good = fault_set(fault_out, err_code(ERR_FULL), "give it in parts", "there are more than %zu bytes",
                         bytes_max);
    } else if (!utf8_valid(buf_span(&text)) ||
               (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)) {
        good = fault_set(fault_out, err_code(ERR_INVALID), "save it as UTF-8", "the text is not UTF-8");
    }
    buf_put_u8(&text, '\0');
    if (good && text.failed) {
        good = no_memory(fault_out);
    }
    if (!good) {
        buf_free(&text);
        return false;
    }
    *text_out = (char *)text.data;
    return true;
}
