#include "tools/export_html.h"

#include "tools/output.h"
#include "tools/show.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\" dir=\"ltr\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\">\n"
    "<meta name=\"referrer\" content=\"no-referrer\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>\n"
    "body{font:16px/1.45 sans-serif;max-width:60em;margin:2em auto;padding:0 "
    "1em;color:#111;background:#fff}\n"
    "h1{font-size:1.6em}h2{font-size:1.3em;border-bottom:2px solid #111;margin-top:2em}h3{font-size:1.05em}\n"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #999;padding:.3em .5em;"
    "text-align:start;vertical-align:top}th{width:14em;font-weight:600}\n"
    ".text{white-space:pre-wrap;overflow-wrap:anywhere}.who{font-size:.8em;color:#444}\n"
    ".conflict>th{border-inline-start:.4em solid #b00}.mark{font-weight:700;color:#900}"
    ".withheld{font-style:italic;color:#444}\n"
    "footer{margin-top:3em;border-top:1px solid #111;font-size:.85em}\n"
    "@media print{body{margin:0;max-width:none;font-size:11pt}tr,h2,h3{break-inside:avoid}"
    "h2,h3{break-after:avoid}}\n"
    "</style>\n";

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

/* Text of somebody's: cleaned, and nothing in it is markup. */
static void
put_text(FILE *to, const char *text)
{
    char *clean = output_clean(text, true);

    for (const char *at = clean; at != NULL && *at != '\0'; at++) {
        switch (*at) {
        case '&':
            (void)fputs("&amp;", to);
            break;
        case '<':
            (void)fputs("&lt;", to);
            break;
        case '>':
            (void)fputs("&gt;", to);
            break;
        case '"':
            (void)fputs("&quot;", to);
            break;
        case '\'':
            (void)fputs("&#39;", to);
            break;
        default:
            (void)fputc(*at, to);
            break;
        }
    }
    free(clean);
}

/* --- languages --- */

/* ISO 639-3 as the codebook has it, and the tag of BCP 47, which is the shorter code where there is one. Languages that are
 * written from the right, and those of the United Nations. */
static const struct language {
    const char *code;
    const char *tag;
    bool from_right;
} languages[] = {
    { "ara", "ar", true },  { "arb", "ar", true },  { "arz", "arz", true }, { "apc", "apc", true },
    { "ajp", "ajp", true }, { "acm", "acm", true }, { "ary", "ary", true }, { "arq", "arq", true },
    { "aeb", "aeb", true }, { "ayl", "ayl", true }, { "apd", "apd", true }, { "afb", "afb", true },
    { "acq", "acq", true }, { "ayn", "ayn", true }, { "fas", "fa", true },  { "pes", "fa", true },
    { "prs", "prs", true }, { "urd", "ur", true },  { "pus", "ps", true },  { "pbt", "pbt", true },
    { "pbu", "pbu", true }, { "ckb", "ckb", true }, { "sdh", "sdh", true }, { "lrc", "lrc", true },
    { "mzn", "mzn", true }, { "glk", "glk", true }, { "azb", "azb", true }, { "uig", "ug", true },
    { "snd", "sd", true },  { "kas", "ks", true },  { "pnb", "pnb", true }, { "bal", "bal", true },
    { "bgn", "bgn", true }, { "heb", "he", true },  { "yid", "yi", true },  { "div", "dv", true },
    { "syr", "syr", true }, { "arc", "arc", true }, { "nqo", "nqo", true }, { "rhg", "rhg", true },
    { "eng", "en", false }, { "fra", "fr", false }, { "rus", "ru", false }, { "spa", "es", false },
    { "zho", "zh", false },
};

/* Open an element for a text. Where its language is not known, its first letter says from where it runs. */
static void
open_text(FILE *to, const char *tag, const char *language)
{
    const struct language *known = NULL;
    bool code = strlen(language) == 3 && strspn(language, "abcdefghijklmnopqrstuvwxyz") == 3;

    for (size_t n = 0; n < sizeof languages / sizeof languages[0]; n++) {
        known = strcmp(languages[n].code, language) == 0 ? &languages[n] : known;
    }
    (void)fprintf(to, "<%s class=\"text\"", tag);
    if (code) {
        (void)fprintf(to, " lang=\"%s\"", known == NULL ? language : known->tag);
    }
    (void)fprintf(to, " dir=\"%s\">", known == NULL ? "auto" : known->from_right ? "rtl" : "ltr");
}

/* --- values --- */

static bool
is_hex(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789abcdef") == strlen(text);
}

/* A value that names a record of this page, or an element, is a link to it. */
static bool
put_link(FILE *to, const char *type, const json_t *value, const json_t *names)
{
    const char *id = json_string_value(value);
    const char *name = id == NULL ? NULL : json_string_value(json_object_get(names, id));

    if (id == NULL || !is_hex(id)) {
        return false;
    }
    if (strcmp(type, "element") == 0) {
        (void)fprintf(to, "<div><a href=\"#e%s\">%.8s</a></div>", id, id);
        return true;
    }
    if (strcmp(type, "record") != 0 || name == NULL) {
        return false;
    }
    (void)fprintf(to, "<div><a href=\"#r%s\">", id);
    put_text(to, name);
    (void)fputs("</a></div>", to);
    return true;
}

static void
put_value(FILE *to, const json_t *field, const json_t *value, const char *language, const json_t *names)
{
    const char *type = text_of(field, "type");
    const json_t *own = json_object_get(value, "value");
    bool localised = strcmp(type, "localised") == 0 && json_array_size(own) == 2;
    bool prose = strcmp(type, "text") == 0 || strcmp(type, "long_text") == 0;

    if (put_link(to, type, own, names)) {
        return;
    }
    if (localised) {
        open_text(to, "div", json_string_value(json_array_get(own, 0)));
        put_text(to, json_string_value(json_array_get(own, 1)));
    } else {
        char *label = output_value(json_object_get(value, "label"));

        open_text(to, "div", prose ? language : "");
        put_text(to, label == NULL ? "" : label);
        free(label);
    }
    (void)fputs("</div>", to);
}

/* Who wrote it, when; below L3 no more than the office is said. */
static void
put_author(FILE *to, const json_t *value)
{
    const json_t *device = json_object_get(value, "device");
    const char *office = text_of(device, "name")[0] == '\0' ? text_of(device, "office") : "";
    char *author = show_author(value);
    bool said = author != NULL && author[0] != '\0';

    if (said || office[0] != '\0') {
        (void)fputs("<div class=\"who\">", to);
        put_text(to, office);
        (void)fputs(said && office[0] != '\0' ? ", " : "", to);
        put_text(to, said ? author : "");
        (void)fputs("</div>", to);
    }
    free(author);
}

/* Values that stand against each other, side by side. */
static void
put_siblings(FILE *to, const json_t *field, const char *language, const json_t *names)
{
    size_t index;
    json_t *value;

    (void)fputs("<div class=\"mark\">In conflict: nobody has decided between these</div><table><tr>", to);
    json_array_foreach(json_object_get(field, "values"), index, value)
    {
        (void)fputs("<td>", to);
        put_value(to, field, value, language, names);
        put_author(to, value);
        (void)fputs("</td>", to);
    }
    (void)fputs("</tr></table>", to);
}

static void
put_field(FILE *to, const json_t *field, const char *language, const json_t *names)
{
    bool conflict = json_is_true(json_object_get(field, "conflict"));
    size_t index;
    json_t *value;

    (void)fprintf(to, "<tr%s><th scope=\"row\">", conflict ? " class=\"conflict\"" : "");
    put_text(to, text_of(field, "label"));
    (void)fputs("</th><td>", to);
    if (json_is_true(json_object_get(field, "withheld"))) {
        (void)fputs("<span class=\"withheld\">withheld</span>", to);
    } else if (conflict) {
        put_siblings(to, field, language, names);
    } else {
        json_array_foreach(json_object_get(field, "values"), index, value)
        {
            put_value(to, field, value, language, names);
        }
    }
    if (json_is_true(json_object_get(field, "exposed"))) {
        (void)fputs("<div class=\"mark\">Exposed: it stands where more people may read than should</div>",
                    to);
    }
    (void)fputs("</td></tr>\n", to);
}

/* The language that the record or element itself is written in, as its own field says; "" if it does not, or says several. */
static const char *
language_of(const json_t *fields)
{
    const char *language = "";
    size_t index;
    json_t *field;

    json_array_foreach(fields, index, field)
    {
        const json_t *values = json_object_get(field, "values");
        const char *value = json_string_value(json_object_get(json_array_get(values, 0), "value"));
        const char *name = text_of(field, "name");
        const char *dot = strrchr(name, '.');

        if (strcmp(dot == NULL ? name : dot + 1, "language") == 0 &&
            strcmp(text_of(field, "type"), "language") == 0 && json_array_size(values) == 1 &&
            value != NULL) {
            language = value;
        }
    }
    return language;
}

static void
put_fields(FILE *to, const json_t *fields, const char *language, const json_t *names)
{
    const char *own = language_of(fields);
    size_t index;
    json_t *field;

    json_array_foreach(fields, index, field)
    {
        put_field(to, field, own[0] == '\0' ? language : own, names);
    }
}

/* --- a record --- */

const char *
html_name(const json_t *record)
{
    const json_t *fields = json_object_get(record, "fields");
    const char *name = text_of(record, "number");
    size_t index;
    json_t *field;

    json_array_foreach(fields, index, field)
    {
        const json_t *value = json_object_get(json_array_get(json_object_get(field, "values"), 0), "value");

        if (strcmp(text_of(field, "name"), "pseudonym") == 0 && json_is_string(value)) {
            name = json_string_value(value);
        }
    }
    return name[0] != '\0' ? name : text_of(record, "id");
}

static bool
is_set_value(const json_t *element)
{
    const json_t *fields = json_object_get(element, "fields");

    return json_array_size(fields) == 1 &&
           strcmp(text_of(json_array_get(fields, 0), "name"), text_of(element, "collection")) == 0;
}

static void
put_state(FILE *to, const json_t *element)
{
    if (json_is_true(json_object_get(element, "conflict"))) {
        (void)fputs("<p class=\"mark\">In conflict: ", to);
        put_text(to, text_of(element, "state"));
        (void)fputs("</p>", to);
    }
}

/* The values of one set in one row. */
static void
put_set(FILE *to, const json_t *elements, size_t first, const json_t *names)
{
    const char *collection = text_of(json_array_get(elements, first), "collection");

    for (size_t n = 0; n < first; n++) {
        const json_t *before = json_array_get(elements, n);

        if (is_set_value(before) && strcmp(text_of(before, "collection"), collection) == 0) {
            return; /* it went with that one */
        }
    }
    const json_t *field = json_array_get(json_object_get(json_array_get(elements, first), "fields"), 0);
    (void)fputs("<tr><th scope=\"row\">", to);
    put_text(to, text_of(field, "label"));
    (void)fputs("</th><td>", to);
    for (size_t n = first; n < json_array_size(elements); n++) {
        const json_t *element = json_array_get(elements, n);
        size_t index;
        json_t *value;

        if (!is_set_value(element) || strcmp(text_of(element, "collection"), collection) != 0) {
            continue;
        }
        field = json_array_get(json_object_get(element, "fields"), 0);
        if (json_is_true(json_object_get(field, "withheld"))) {
            (void)fputs("<span class=\"withheld\">withheld</span>", to);
        }
        json_array_foreach(json_object_get(field, "values"), index, value)
        {
            put_value(to, field, value, "", names);
        }
        put_state(to, element);
    }
    (void)fputs("</td></tr>\n", to);
}

/* "un_actor" as people write it: "Un actor". */
static void
put_heading(FILE *to, const json_t *element)
{
    char name[64];

    (void)snprintf(name, sizeof name, "%s", text_of(element, "collection"));
    for (char *at = name; *at != '\0'; at++) {
        *at = *at == '_' ? ' ' : *at;
    }
    if (name[0] >= 'a' && name[0] <= 'z') {
        name[0] = (char)(name[0] - 'a' + 'A');
    }
    const char *id = text_of(element, "element");
    (void)fprintf(to, "<h3 id=\"e%s\">", is_hex(id) ? id : "");
    put_text(to, name[0] == '\0' ? "Of a newer version" : name);
    (void)fprintf(to, " <span class=\"who\">%.8s</span></h3>\n", is_hex(id) ? id : "");
}

static void
put_notes(FILE *to, const json_t *notes)
{
    size_t index;
    json_t *note;

    if (json_array_size(notes) > 0) {
        (void)fputs("<h3>Notes</h3>\n", to);
    }
    json_array_foreach(notes, index, note)
    {
        open_text(to, "div", "");
        put_text(to, text_of(note, "text"));
        (void)fputs("</div>", to);
        put_author(to, note);
    }
}

void
html_begin(FILE *to, const char *title)
{
    (void)fputs(head, to);
    (void)fputs("<title>", to);
    put_text(to, title);
    (void)fputs("</title>\n</head>\n<body>\n<p class=\"mark\">Confidential</p>\n", to);
}

void
html_record(FILE *to, const json_t *record, const json_t *names)
{
    const json_t *fields = json_object_get(record, "fields");
    const json_t *elements = json_object_get(record, "elements");
    const char *language = language_of(fields);
    char created[32];
    char updated[32];

    output_time(created, text_of(record, "created"));
    output_time(updated, text_of(record, "updated"));
    (void)fprintf(to, "<section id=\"r%s\">\n<h2>",
                  is_hex(text_of(record, "id")) ? text_of(record, "id") : "");
    put_text(to, html_name(record));
    (void)fputs("</h2>\n<p>", to);
    put_text(to, text_of(record, "kind"));
    (void)fputs(" of ", to);
    put_text(to, text_of(record, "office"));
    (void)fputs(", made ", to);
    put_text(to, created);
    (void)fputs(", changed ", to);
    put_text(to, updated);
    (void)fputs("</p>\n", to);
    if (json_is_true(json_object_get(record, "withheld"))) {
        (void)fputs("<p class=\"withheld\">Part of it is withheld.</p>\n", to);
    }
    (void)fputs("<table>\n", to);
    put_fields(to, fields, language, names);
    for (size_t n = 0; n < json_array_size(elements); n++) {
        if (is_set_value(json_array_get(elements, n))) {
            put_set(to, elements, n, names);
        }
    }
    (void)fputs("</table>\n", to);
    for (size_t n = 0; n < json_array_size(elements); n++) {
        const json_t *element = json_array_get(elements, n);

        if (is_set_value(element)) {
            continue;
        }
        put_heading(to, element);
        put_state(to, element);
        (void)fputs("<table>\n", to);
        put_fields(to, json_object_get(element, "fields"), language, names);
        (void)fputs("</table>\n", to);
    }
    put_notes(to, json_object_get(record, "notes"));
    (void)fputs("</section>\n", to);
}

static void
put_made(FILE *to, const char *label, const char *text)
{
    if (text[0] != '\0') {
        (void)fputs("<tr><th scope=\"row\">", to);
        put_text(to, label);
        (void)fputs("</th><td>", to);
        put_text(to, text);
        (void)fputs("</td></tr>\n", to);
    }
}

void
html_end(FILE *to, const json_t *made, const json_t *reasons)
{
    const json_t *device = json_object_get(made, "device");
    char at[32];
    const char *key;
    json_t *value;
    size_t index;

    output_time(at, text_of(made, "at"));
    (void)fputs("<footer>\n<table>\n", to);
    put_made(to, "Made", at);
    put_made(to, "By", text_of(json_object_get(made, "actor"), "name"));
    put_made(to, "On the node", text_of(device, "name"));
    put_made(to, "Of the office", text_of(device, "office"));
    put_made(to, "Highest level in it", text_of(made, "level"));
    put_made(to, "Purpose", text_of(made, "purpose"));
    json_object_foreach((json_t *)(uintptr_t)reasons, key, value)
    {
        char label[64];
        char *count = output_value(value);

        (void)snprintf(label, sizeof label, "Left out: %s", key);
        put_made(to, label, count == NULL ? "" : count);
        free(count);
    }
    json_array_foreach(json_object_get(made, "compartments"), index, value)
    {
        char label[128];

        (void)snprintf(label, sizeof label, "Frontier of %.100s", text_of(value, "name"));
        put_made(to, label, text_of(value, "frontier"));
    }
    (void)fputs("</table>\n</footer>\n</body>\n</html>\n", to);
}
