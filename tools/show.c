#include "tools/show.h"

#include "store/base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { LABEL_WIDTH_MAX = 34, INDENT = 2 };

static void
spaces(FILE *to, size_t count)
{
    (void)fprintf(to, "%*s", (int)count, "");
}

static void
put_part(struct buf *out, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        buf_put_text(out, out->size > 0 ? ", " : "");
        buf_put_text(out, text);
    }
}

char *
show_author(const json_t *value)
{
    struct buf out = { 0 };
    char at[32];
    char *device = output_value(json_object_get(value, "device"));
    char *actor = output_value(json_object_get(value, "actor"));

    put_part(&out, device);
    put_part(&out, actor);
    output_time(at, json_string_value(json_object_get(value, "at")));
    put_part(&out, at);
    if (json_is_true(json_object_get(value, "suspect_time"))) {
        put_part(&out, "a clock far ahead");
    }
    if (json_is_true(json_object_get(value, "newer"))) {
        put_part(&out, "of a newer codebook");
    }
    free(device);
    free(actor);
    buf_put_u8(&out, '\0');
    if (out.failed) {
        buf_free(&out);
        return NULL;
    }
    return (char *)out.data;
}

/* What a value is called: its label, else itself. */
static char *
value_text(const json_t *value)
{
    const json_t *label = json_object_get(value, "label");

    return output_value(
        json_is_string(label) && json_string_length(label) > 0 ? label : json_object_get(value, "value"));
}

static const char *
field_label(const json_t *field, bool ids)
{
    const char *target = json_string_value(json_object_get(field, "target"));
    const char *label = json_string_value(json_object_get(field, "label"));
    const char *name = json_string_value(json_object_get(field, "name"));

    if (ids && target != NULL) {
        return target;
    }
    return label != NULL ? label : name != NULL ? name : target != NULL ? target : "";
}

static void
paint(const struct output *output, const char *sequence)
{
    if (output->color) {
        (void)fputs(sequence, output->to);
    }
}

static void
print_label(const struct output *output, const char *label, bool conflict, size_t indent, size_t width)
{
    char *clean = output_clean(label, false);

    paint(output, conflict ? "\033[1;31m" : "");
    spaces(output->to, indent - 2);
    (void)fprintf(output->to, "%s%s", conflict ? "! " : "  ", clean == NULL ? "" : clean);
    paint(output, conflict ? "\033[0m" : "");
    size_t here = clean == NULL ? 0 : output_width(clean);
    if (here > width) {
        (void)fputc('\n', output->to);
        spaces(output->to, indent + width + 2);
    } else {
        spaces(output->to, width - here + 2);
    }
    free(clean);
}

static void
print_sibling(const struct output *output, const json_t *value, size_t left)
{
    char *text = value_text(value);
    char *author = show_author(value);

    (void)fputs(json_is_true(json_object_get(value, "pick")) ? "* " : "  ", output->to);
    output_wrapped(output, text == NULL ? "" : text, left + 2);
    if (author != NULL && author[0] != '\0') {
        spaces(output->to, left + 4);
        output_printf(output->to, "by %s\n", author);
    }
    free(text);
    free(author);
}

static void
print_field(const struct output *output, const json_t *field, bool ids, size_t indent, size_t width)
{
    const json_t *values = json_object_get(field, "values");
    bool conflict = json_is_true(json_object_get(field, "conflict"));
    size_t left = indent + width + 2;
    size_t index;
    json_t *value;

    print_label(output, field_label(field, ids), conflict, indent, width);
    if (json_is_true(json_object_get(field, "withheld"))) {
        (void)fputs("withheld\n", output->to);
        return;
    }
    if (json_array_size(values) == 0) {
        (void)fputc('\n', output->to);
    }
    json_array_foreach(values, index, value)
    {
        if (index > 0) {
            spaces(output->to, left);
        }
        if (conflict || json_array_size(values) > 1) {
            print_sibling(output, value, left);
            continue;
        }
        char *text = value_text(value);
        output_wrapped(output, text == NULL ? "" : text, left);
        free(text);
        if (json_is_true(json_object_get(value, "suspect_time")) ||
            json_is_true(json_object_get(value, "newer"))) {
            char *author = show_author(value);
            spaces(output->to, left);
            output_printf(output->to, "by %s\n", author == NULL ? "" : author);
            free(author);
        }
    }
    if (json_is_true(json_object_get(field, "exposed"))) {
        spaces(output->to, left);
        (void)fputs("exposed: it stands where more people may read than should\n", output->to);
    }
}

static size_t
label_width(const json_t *fields, bool ids, size_t width)
{
    size_t index;
    json_t *field;

    json_array_foreach(fields, index, field)
    {
        size_t here = output_width(field_label(field, ids));
        width = here > width && here <= LABEL_WIDTH_MAX ? here : width;
    }
    return width;
}

static void
print_fields(const struct output *output, const json_t *fields, bool ids, size_t indent, size_t width)
{
    size_t index;
    json_t *field;

    json_array_foreach(fields, index, field)
    {
        print_field(output, field, ids, indent, width);
    }
}

static const char *
collection_of(const json_t *element)
{
    const char *name = json_string_value(json_object_get(element, "collection"));

    return name == NULL ? "" : name;
}

/* A value of a set: its one field has the collection's name. */
static bool
is_set_value(const json_t *element)
{
    const json_t *fields = json_object_get(element, "fields");
    const char *name = json_string_value(json_object_get(json_array_get(fields, 0), "name"));

    return json_array_size(fields) == 1 && name != NULL && strcmp(name, collection_of(element)) == 0;
}

/* "! present only since it was edited while removed" */
static void
print_state(const struct output *output, const json_t *element, size_t indent)
{
    const char *state = json_string_value(json_object_get(element, "state"));

    if (state != NULL && strcmp(state, "present") != 0) {
        spaces(output->to, indent - 2);
        output_printf(output->to, "! %s: keep it or remove it with vigil conflict resolve\n", state);
    }
}

static char *
element_target(const json_t *element)
{
    char *out = NULL;
    const char *id = json_string_value(json_object_get(element, "element"));

    if (asprintf(&out, "%s[%s]", collection_of(element), id == NULL ? "" : id) < 0) {
        return NULL;
    }
    return out;
}

/* The values of the sets, one line a set; with `ids` one line a value. */
static void
print_sets(const struct output *output, const json_t *elements, bool ids, size_t width)
{
    size_t count = json_array_size(elements);

    for (size_t n = 0; n < count; n++) {
        const json_t *element = json_array_get(elements, n);
        if (!is_set_value(element)) {
            continue;
        }
        const json_t *field = json_array_get(json_object_get(element, "fields"), 0);
        bool plain = !json_is_true(json_object_get(element, "conflict")) &&
                     !json_is_true(json_object_get(field, "withheld")) &&
                     json_array_size(json_object_get(field, "values")) == 1;
        if (ids || !plain) {
            char *target = element_target(element);
            print_label(output, ids && target != NULL ? target : field_label(field, false), !plain, INDENT,
                        width);
            char *text = value_text(json_array_get(json_object_get(field, "values"), 0));
            output_wrapped(output,
                           json_is_true(json_object_get(field, "withheld")) ? "withheld"
                           : text == NULL                                   ? ""
                                                                            : text,
                           INDENT + width + 2);
            print_state(output, element, INDENT + width + 4);
            free(target);
            free(text);
            continue;
        }
        /* All plain values of this set go with its first. */
        struct buf line = { 0 };
        bool first = true;
        for (size_t m = 0; m < count; m++) {
            const json_t *other = json_array_get(elements, m);
            const json_t *values =
                json_object_get(json_array_get(json_object_get(other, "fields"), 0), "values");
            if (!is_set_value(other) || strcmp(collection_of(other), collection_of(element)) != 0 ||
                json_is_true(json_object_get(other, "conflict")) || json_array_size(values) != 1) {
                continue;
            }
            if (m < n) {
                first = false;
            }
            char *text = value_text(json_array_get(values, 0));
            put_part(&line, text);
            free(text);
        }
        buf_put_u8(&line, '\0');
        if (first && !line.failed) {
            print_label(output, field_label(field, false), false, INDENT, width);
            output_wrapped(output, (const char *)line.data, INDENT + width + 2);
        }
        buf_free(&line);
    }
}

static void
heading(const struct output *output, const char *text, const char *more)
{
    (void)fputc('\n', output->to);
    paint(output, "\033[1m");
    output_printf(output->to, "%s", text);
    paint(output, "\033[0m");
    output_printf(output->to, "%s\n", more);
}

/* "un_actor" as people write it: "Un actor". */
static void
collection_heading(char out[64], const char *name)
{
    (void)snprintf(out, 64, "%s", name);
    for (char *at = out; *at != '\0'; at++) {
        *at = *at == '_' ? ' ' : *at;
    }
    if (out[0] >= 'a' && out[0] <= 'z') {
        out[0] = (char)(out[0] - 'a' + 'A');
    }
}

static void
print_elements(const struct output *output, const json_t *elements, bool ids, bool labels)
{
    size_t index;
    json_t *element;

    json_array_foreach(elements, index, element)
    {
        const json_t *fields = json_object_get(element, "fields");
        char title[64];
        char id[64];
        if (is_set_value(element)) {
            continue;
        }
        const char *hex = json_string_value(json_object_get(element, "element"));
        const char *label = json_string_value(json_object_get(element, "label"));
        collection_heading(title, collection_of(element));
        (void)snprintf(id, sizeof id, " %.8s", hex == NULL ? "" : hex);
        heading(output, labels && label != NULL ? label : title, id);
        print_state(output, element, 2 * INDENT);
        print_fields(output, fields, ids, 2 * INDENT, label_width(fields, ids, 12));
    }
}

static void
print_notes(const struct output *output, const json_t *notes)
{
    size_t index;
    json_t *note;

    if (json_array_size(notes) > 0) {
        heading(output, "Notes", "");
    }
    json_array_foreach(notes, index, note)
    {
        char *author = show_author(note);
        const char *text = json_string_value(json_object_get(note, "text"));
        output_printf(output->to, "  %s\n", author == NULL ? "" : author);
        spaces(output->to, 2 * INDENT);
        output_wrapped(output, text == NULL ? "" : text, 2 * INDENT);
        free(author);
    }
}

static const char *
text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));

    return text == NULL ? "" : text;
}

/* Entries of the record that do not count: nothing of them is among what follows. */
static void
print_held(const struct output *output, const json_t *held, const char *name)
{
    json_int_t count = json_integer_value(json_object_get(held, "count"));

    if (count > 0) {
        output_printf(output->to, "%lld %s held and %s not count: %s. To see which: vigil case history %s\n",
                      (long long)count, count == 1 ? "entry is" : "entries are", count == 1 ? "does" : "do",
                      text_of(held, "why"), name);
    }
}

/* That nobody has looked at it yet, and that its facts ask for more than it is set to. */
static void
print_urgency(const struct output *output, const json_t *urgency, const char *name)
{
    char *why = output_value(json_object_get(urgency, "why"));
    const char *set = text_of(urgency, "set");

    if (json_is_true(json_object_get(urgency, "waits"))) {
        output_printf(output->to, "It is set to %s, and nobody has acknowledged that: vigil urgent ack %s\n",
                      set, name);
    }
    if (json_is_true(json_object_get(urgency, "asks_more"))) {
        output_printf(output->to, "Its facts ask for %s, and it is set to %s: %s\n", text_of(urgency, "asks"),
                      set[0] == '\0' ? "nothing" : set, why == NULL ? "" : why);
    }
    free(why);
}

/* Long texts of which a line that is dear brought only the header. */
static void
print_to_come(const struct output *output, const json_t *texts, const char *name)
{
    json_int_t count = json_integer_value(json_object_get(texts, "count"));
    json_int_t asked = json_integer_value(json_object_get(texts, "asked"));

    if (count > 0) {
        output_printf(output->to, "%lld long %s of it, %lld bytes, %s still to come", (long long)count,
                      count == 1 ? "text" : "texts",
                      (long long)json_integer_value(json_object_get(texts, "bytes")),
                      count == 1 ? "is" : "are");
        if (asked < count) {
            output_printf(output->to, "; vigil sync fetch %s asks for what is missing", name);
        }
        (void)fputc('\n', output->to);
    }
}

/* "The same as UGA-2026-0007 of UGA", with all of its group. */
static void
print_same(const struct output *output, const json_t *same)
{
    size_t index;
    json_t *other;

    json_array_foreach(json_object_get(same, "records"), index, other)
    {
        const char *number = text_of(other, "number");

        output_printf(output->to, "%s%s of %s", index == 0 ? "The same as " : ", ",
                      number[0] == '\0' ? text_of(other, "id") : number, text_of(other, "office"));
    }
    if (json_array_size(json_object_get(same, "records")) > 0) {
        (void)fputc('\n', output->to);
    }
}

void
show_record(const struct output *output, const json_t *record, bool ids, bool labels)
{
    const json_t *fields = json_object_get(record, "fields");
    const json_t *elements = json_object_get(record, "elements");
    bool conflict = json_is_true(json_object_get(record, "conflict"));
    const char *number = text_of(record, "number");
    char created[32];
    char updated[32];
    char *more = NULL;
    size_t index;
    json_t *element;

    output_time(created, text_of(record, "created"));
    output_time(updated, text_of(record, "updated"));
    if (asprintf(&more, ", %s of %s%s", text_of(record, "kind"), text_of(record, "office"),
                 conflict ? ", in conflict" : "") >= 0) {
        paint(output, "\033[1m");
        output_printf(output->to, "%s", number[0] != '\0' ? number : text_of(record, "id"));
        paint(output, "\033[0m");
        output_printf(output->to, "%s\n", more);
        free(more);
    }
    output_printf(output->to, "id %s, made %s, changed %s\n", text_of(record, "id"), created, updated);
    if (json_is_true(json_object_get(record, "restricted"))) {
        (void)fputs("Restricted: nothing else of it is shown until the restriction is removed.\n",
                    output->to);
    }
    if (json_is_true(json_object_get(record, "withheld"))) {
        (void)fputs("Part of it is withheld: this node may not read the protected half.\n", output->to);
    }
    print_to_come(output, json_object_get(record, "to_come"),
                  number[0] != '\0' ? number : text_of(record, "id"));
    print_same(output, json_object_get(record, "same"));
    print_held(output, json_object_get(record, "held"), number[0] != '\0' ? number : text_of(record, "id"));
    print_urgency(output, json_object_get(record, "urgency"),
                  number[0] != '\0' ? number : text_of(record, "id"));
    (void)fputc('\n', output->to);
    size_t width = label_width(fields, ids, 12);
    json_array_foreach(elements, index, element)
    {
        if (is_set_value(element)) {
            width = label_width(json_object_get(element, "fields"), ids, width);
        }
    }
    print_fields(output, fields, ids, INDENT, width);
    print_sets(output, elements, ids, width);
    print_elements(output, elements, ids, labels);
    print_notes(output, json_object_get(record, "notes"));
    if (conflict) {
        output_printf(
            output->to,
            "\n! marks a conflict, * the value that lists show. To decide: vigil conflict show %s\n",
            number[0] != '\0' ? number : text_of(record, "id"));
    }
}
