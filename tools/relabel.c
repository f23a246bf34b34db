#include "tools/relabel.h"

#include <string.h>

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

/* --- the codebook --- */

static void
walk_values(const json_t *vocabulary, relabel_see *see, void *self)
{
    size_t index;
    json_t *value;

    json_array_foreach(json_object_get(vocabulary, "values"), index, value)
    {
        char name[160];

        (void)snprintf(name, sizeof name, "%s %s", text_of(vocabulary, "name"), text_of(value, "name"));
        see(self, "value", name, value);
    }
}

void
relabel_walk(json_t *codebook, relabel_see *see, void *self)
{
    static const struct {
        const char *list;
        const char *what;
    } lists[] = { { "kinds", "kind" },
                  { "collections", "collection" },
                  { "fields", "field" },
                  { "vocabularies", "vocabulary" } };
    size_t index;
    json_t *part;

    for (size_t n = 0; n < sizeof lists / sizeof lists[0]; n++) {
        json_array_foreach(json_object_get(codebook, lists[n].list), index, part)
        {
            see(self, lists[n].what, text_of(part, "name"), part);
            walk_values(part, see, self);
        }
    }
}

struct codebook_walk {
    const struct labels *labels;
    struct relabelled done;
};

static void
relabel_part(void *self, const char *what, const char *name, json_t *part)
{
    struct codebook_walk *walk = self;
    struct label label = labels_of(walk->labels, what, name, text_of(part, "label"));

    walk->done.all++;
    walk->done.own += label.own;
    (void)json_object_set_new(part, "label", json_string(label.text));
    (void)json_object_set_new(part, "label_language",
                              json_string(label.own ? labels_language(walk->labels) : "en"));
}

struct relabelled
relabel_codebook(const struct labels *labels, json_t *codebook)
{
    struct codebook_walk walk = { .labels = labels };

    relabel_walk(codebook, relabel_part, &walk);
    return walk.done;
}

/* --- a code --- */

/* The label of a value of a vocabulary. */
static struct label
value_label(const struct labels *labels, const char *vocabulary, const char *value, const char *in_english)
{
    char name[160];

    (void)snprintf(name, sizeof name, "%s %s", vocabulary, value);
    return labels_of(labels, "value", name, in_english);
}

/* The label of a code that stands in a field of this type; text NULL: it has none. */
static struct label
typed_label(struct labels *labels, const char *type, const char *vocabulary, const json_t *value)
{
    static const char *const types[] = { "country", "subdivision", "language" };
    const char *code = json_string_value(json_object_get(value, "value"));

    if (code != NULL && strcmp(type, "code") == 0) {
        return value_label(labels, vocabulary, code, text_of(value, "label"));
    }
    for (size_t n = 0; code != NULL && n < sizeof types / sizeof types[0]; n++) {
        if (strcmp(type, types[n]) == 0) {
            return labels_code(labels, (enum labels_list)n, code);
        }
    }
    return (struct label){ NULL, false };
}

/* --- a record --- */

static void
relabel_fields(struct labels *labels, const json_t *fields)
{
    size_t index;
    size_t at;
    json_t *field;
    json_t *value;

    json_array_foreach(fields, index, field)
    {
        struct label label = labels_of(labels, "field", text_of(field, "name"), text_of(field, "label"));

        if (label.own) {
            (void)json_object_set_new(field, "label", json_string(label.text));
        }
        json_array_foreach(json_object_get(field, "values"), at, value)
        {
            label = typed_label(labels, text_of(field, "type"), text_of(field, "vocabulary"), value);
            if (label.text != NULL) {
                (void)json_object_set_new(value, "label", json_string(label.text));
            }
        }
    }
}

void
relabel_record(struct labels *labels, json_t *record)
{
    size_t index;
    json_t *element;

    relabel_fields(labels, json_object_get(record, "fields"));
    json_array_foreach(json_object_get(record, "elements"), index, element)
    {
        struct label label =
            labels_of(labels, "collection", text_of(element, "collection"), text_of(element, "label"));

        if (label.own) {
            (void)json_object_set_new(element, "label", json_string(label.text));
        }
        relabel_fields(labels, json_object_get(element, "fields"));
    }
}

/* --- tables --- */

/* The label of a code of a list of ours, or of a vocabulary; text NULL: it is none of them. */
static struct label
listed_label(struct labels *labels, const char *list, const char *value, const char *in_english)
{
    for (size_t n = 0; n < LABELS_LISTS; n++) {
        if (strcmp(list, labels_list_names[n]) == 0) {
            return labels_code(labels, (enum labels_list)n, value);
        }
    }
    return value_label(labels, list, value, in_english);
}

/* The label of a value of an axis, which is a code of one of its lists; text NULL: of none. */
static struct label
axis_label(struct labels *labels, const json_t *axis, const char *value, const char *in_english)
{
    struct label found = { NULL, false };
    size_t index;
    json_t *name;

    json_array_foreach(json_object_get(axis, "lists"), index, name)
    {
        const char *list = json_string_value(name);
        struct label label =
            list == NULL ? (struct label){ NULL, false } : listed_label(labels, list, value, in_english);

        if (label.text != NULL && (found.text == NULL || label.own)) {
            found = label;
        }
    }
    return found;
}

static void
relabel_cube(struct labels *labels, const json_t *cube)
{
    const json_t *axes = json_object_get(cube, "axes");
    size_t index;
    size_t at;
    json_t *row;
    json_t *label;

    json_array_foreach(json_object_get(cube, "rows"), index, row)
    {
        json_t *own = json_object_get(row, "labels");

        json_array_foreach(own, at, label)
        {
            const char *value = json_string_value(json_array_get(json_object_get(row, "values"), at));
            const char *in_english = json_string_value(label);
            struct label found = { NULL, false };

            if (value != NULL && in_english != NULL) {
                found = axis_label(labels, json_array_get(axes, at), value, in_english);
            }
            if (found.text != NULL) {
                (void)json_array_set_new(own, at, json_string(found.text));
            }
        }
    }
}

void
relabel_tables(struct labels *labels, json_t *tables)
{
    size_t index;
    size_t at;
    json_t *table;
    json_t *cube;

    json_array_foreach(tables, index, table)
    {
        json_array_foreach(json_object_get(table, "cubes"), at, cube)
        {
            relabel_cube(labels, cube);
        }
    }
}
