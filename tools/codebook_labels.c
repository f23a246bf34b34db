#include "tools/codebook_labels.h"

#include "tools/csv_write.h"
#include "tools/po.h"
#include "tools/relabel.h"
#include "tools/typed.h"

#include <string.h>

static const char english[] = "en";

/* --- lists of codes --- */

enum exit_status
codebook_export_list(struct command *command, enum labels_list list)
{
    static const char *const heading[] = { "code", "label", "within", "label_language" };
    struct client_fault fault;
    struct labels *labels = command_labels(command, &fault);
    const json_t *rows = labels == NULL ? NULL : labels_rows(labels, list, &fault);
    size_t index;
    json_t *row;

    if (rows == NULL) {
        return command_fail(command, &fault, "cannot export %s", labels_list_names[list]);
    }
    if (!command->out.json) {
        csv_write_row(command->out.to, heading, 4);
    }
    json_array_foreach(rows, index, row)
    {
        const char *code = json_string_value(json_object_get(row, "code"));
        struct label label = labels_code(labels, list, code);
        const char *cells[] = { code, label.text, json_string_value(json_object_get(row, "within")),
                                label.own ? labels_language(labels) : english };

        if (!command->out.json) {
            csv_write_row(command->out.to, cells, 4);
            continue;
        }
        json_t *object = json_object();
        for (size_t n = 0; n < 4; n++) {
            (void)json_object_set_new(object, heading[n], json_string(cells[n]));
        }
        output_json(command->out.to, object);
        json_decref(object);
    }
    return STATUS_DONE;
}

/* --- how many there are --- */

static bool
count_list(struct labels *labels, enum labels_list list, struct relabelled *done_out,
           struct client_fault *fault)
{
    const json_t *rows = labels_rows(labels, list, fault);
    size_t index;
    json_t *row;

    *done_out = (struct relabelled){ 0 };
    json_array_foreach(rows, index, row)
    {
        done_out->all++;
        done_out->own += labels_code(labels, list, json_string_value(json_object_get(row, "code"))).own;
    }
    return rows != NULL;
}

static void
put_share(const struct command *command, json_t *row, const char *name, struct relabelled done)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%zu of %zu", done.own, done.all);
    (void)json_object_set_new(
        row, name,
        command->out.json ? json_pack("{s:I,s:I}", "labels", (json_int_t)done.own, "of", (json_int_t)done.all)
                          : json_string(text));
}

/* One language: its share of each list, and of the codebook. */
static bool
add_share(const struct command *command, const char *language, const json_t *codebook, json_t *rows,
          struct client_fault *fault)
{
    struct labels_places places = labels_places_default();
    struct labels *labels = NULL;
    struct relabelled done;
    json_t *row = json_pack("{s:s}", "language", language);
    bool good = labels_open(&labels, language, &places, fault);

    for (size_t n = 0; good && n < LABELS_LISTS; n++) {
        good = count_list(labels, (enum labels_list)n, &done, fault);
        if (good) {
            put_share(command, row, labels_list_names[n], done);
        }
    }
    if (good) {
        json_t *copy = json_deep_copy(codebook);

        put_share(command, row, "codebook", relabel_codebook(labels, copy));
        json_decref(copy);
        (void)json_array_append(rows, row);
    }
    json_decref(row);
    labels_close(&labels);
    return good;
}

static enum exit_status
print_shares(struct command *command)
{
    static const struct output_column columns[] = {
        { "language", 0 },
        { "countries", COLUMN_RIGHT },
        { "subdivisions", COLUMN_RIGHT },
        { "languages", COLUMN_RIGHT },
        { "regions", COLUMN_RIGHT },
        { "codebook", COLUMN_RIGHT },
    };
    struct client_fault fault;
    const json_t *codebook = typed_codebook(command, &fault);
    json_t *rows = json_array();
    bool good = codebook != NULL;
    size_t index;
    json_t *row;

    for (size_t n = 0; good && n < LABELS_LANGUAGES_UN; n++) {
        good = add_share(command, labels_languages[n], codebook, rows, &fault);
    }
    enum exit_status status = STATUS_DONE;
    if (!good) {
        status = command_fail(command, &fault, "cannot count the labels");
    } else if (command->out.json) {
        json_array_foreach(rows, index, row)
        {
            output_json(command->out.to, row);
        }
    } else {
        status = command_table(command, columns, sizeof columns / sizeof columns[0], rows);
    }
    json_decref(rows);
    return status;
}

/* --- a template --- */

struct po {
    FILE *to;
    const struct labels *labels;
    json_t *written; /* "context\4label": msgfmt takes each once */
};

static void
put_message(void *self, const char *what, const char *name, json_t *part)
{
    struct po *po = self;
    const char *text = json_string_value(json_object_get(part, "label"));
    struct labels_context context = labels_context(what, name);
    char key[512];

    if (text == NULL || text[0] == '\0') {
        return;
    }
    (void)snprintf(key, sizeof key, "%s\004%s", context.text, text);
    if (json_object_get(po->written, key) != NULL) {
        return;
    }
    (void)json_object_set_new(po->written, key, json_true());
    struct label label = labels_of(po->labels, what, name, text);
    (void)fputc('\n', po->to);
    po_put_text(po->to, "msgctxt", context.text);
    po_put_text(po->to, "msgid", text);
    po_put_text(po->to, "msgstr", label.own ? label.text : "");
}

/* The names of a codebook come from whoever signed it; they are of a-z 0-9 _ and . alone. */
static void
put_heading(FILE *to, const json_t *codebook, const char *locale)
{
    const char *name = json_string_value(json_object_get(codebook, "name"));
    json_int_t version = json_integer_value(json_object_get(codebook, "version"));
    char title[160];
    char project[120];

    (void)snprintf(title, sizeof title, "Labels of the codebook %.64s, version %" JSON_INTEGER_FORMAT,
                   name == NULL ? "" : name, version);
    (void)snprintf(project, sizeof project, "%.64s %" JSON_INTEGER_FORMAT, name == NULL ? "" : name, version);
    po_put_heading(to, title, project, "vigil-codebook", locale);
}

static enum exit_status
print_template(struct command *command, const char *language)
{
    struct labels_places places = labels_places_default();
    struct client_fault fault;
    struct po po = { .to = command->out.to, .written = json_object() };
    struct labels *labels = NULL;
    const json_t *codebook = NULL;
    enum exit_status status = STATUS_DONE;

    if (strcmp(language, english) == 0) {
        (void)fault_set(&fault, "usage", "ar, es, fr, ru or zh", "the labels of the codebook are in English");
        status = command_fail(command, &fault, "there is nothing to translate");
    } else if (!labels_open(&labels, language, &places, &fault) ||
               (codebook = typed_codebook(command, &fault)) == NULL) {
        status = command_fail(command, &fault, "cannot print the labels");
    } else {
        po.labels = labels;
        put_heading(po.to, codebook, labels_locale(labels));
        relabel_walk((json_t *)(uintptr_t)codebook, put_message, &po);
    }
    labels_close(&labels);
    json_decref(po.written);
    return status;
}

enum exit_status
codebook_labels(struct command *command)
{
    return command->word_count == 0 ? print_shares(command) : print_template(command, command->words[0]);
}
