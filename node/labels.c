#include "node/labels.h"

#include "node/catalogue.h"
#include "store/region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 512, CODE_BYTES = 16, LISTS_OF_ISO = LABELS_REGIONS };

const char *const labels_list_names[LABELS_LISTS] = { "countries", "subdivisions", "languages", "regions" };

const char *const labels_languages[LABELS_LANGUAGES_UN] = { "ar", "en", "es", "fr", "ru", "zh" };

/* iso-codes has Chinese for each script; the UN writes the simplified one. */
const char *const labels_locales[LABELS_LANGUAGES_UN] = { "ar", "en", "es", "fr", "ru", "zh_CN" };

/* The standard of each list of iso-codes, and what its code is called there. */
static const struct {
    const char *standard;
    const char *code;
} standards[LISTS_OF_ISO] = { { "3166-1", "alpha_3" }, { "3166-2", "code" }, { "639-3", "alpha_3" } };

static const char english[] = "en";
static const char own_domain[] = "vigil-codebook";

/* A list once it was needed. */
struct list {
    json_t *rows;
    json_t *names;               /* code -> English name */
    json_t *own;                 /* of regions: code -> name in the language */
    struct catalogue *catalogue; /* NULL: there is none, or it is English */
};

struct labels {
    const char *language;
    const char *locale;
    const char *iso_lists; /* owned */
    struct list lists[LABELS_LISTS];
    struct catalogue *catalogue; /* of the codebook */
};

struct labels_places
labels_places_default(void)
{
    const char *own = getenv("VIGIL_LOCALE");
    struct labels_places places = { "/usr/share/iso-codes/json",
                                    "/usr/share/locale",
                                    { "/usr/local/share/locale", "/usr/share/locale" } };

    if (own != NULL && own[0] != '\0') {
        places.own_locales[0] = own;
        places.own_locales[1] = NULL;
    }
    return places;
}

/* --- opening --- */

static bool
no_memory(struct client_fault *fault)
{
    client_fault_set(fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                     err_text(ERR_MEMORY));
    return false;
}

/* The catalogue of a domain, if there is one. */
static bool
open_catalogue(struct catalogue **out, const struct labels *labels, const char *folder, const char *domain,
               struct client_fault *fault)
{
    char path[PATH_BYTES];

    if (*out != NULL || folder == NULL || strcmp(labels->language, english) == 0) {
        return true;
    }
    int size = snprintf(path, sizeof path, "%s/%s/LC_MESSAGES/%s.mo", folder, labels->locale, domain);
    if (size < 0 || (size_t)size >= sizeof path) {
        client_fault_set(fault, "usage", "set VIGIL_LOCALE to a shorter one",
                         "the path of a catalogue is longer than %zu bytes", sizeof path - 1);
        return false;
    }
    enum err err = catalogue_open(out, path);
    if (err == ERR_OK || err == ERR_ABSENT) {
        return true;
    }
    client_fault_set(fault, err_code(err), "make it again with msgfmt, in UTF-8, or leave --language out",
                     "%s: %s", path,
                     err == ERR_INVALID ? "it is no catalogue of translations in UTF-8" : err_text(err));
    return false;
}

static bool
set_language(struct labels *labels, const char *language, struct client_fault *fault)
{
    for (size_t n = 0; n < LABELS_LANGUAGES_UN; n++) {
        if (strcmp(labels_languages[n], language) == 0) {
            labels->language = labels_languages[n];
            labels->locale = labels_locales[n];
            return true;
        }
    }
    client_fault_set(fault, "usage", "ar, en, es, fr, ru or zh",
                     "there are no labels in the language '%.20s'", language);
    return false;
}

bool
labels_open(struct labels **labels_out, const char *language, const struct labels_places *places,
            struct client_fault *fault)
{
    struct labels *labels = calloc(1, sizeof *labels);
    char domain[24];

    *labels_out = NULL;
    if (labels == NULL || (labels->iso_lists = strdup(places->iso_lists)) == NULL) {
        labels_close(&labels);
        return no_memory(fault);
    }
    bool good = set_language(labels, language, fault);
    for (size_t n = 0; n < LISTS_OF_ISO; n++) {
        (void)snprintf(domain, sizeof domain, "iso_%s", standards[n].standard);
        good =
            good && open_catalogue(&labels->lists[n].catalogue, labels, places->iso_locales, domain, fault);
    }
    for (size_t n = 0; n < 2; n++) {
        good = good && open_catalogue(&labels->catalogue, labels, places->own_locales[n], own_domain, fault);
    }
    if (!good) {
        labels_close(&labels);
    }
    *labels_out = labels;
    return good;
}

void
labels_close(struct labels **labels)
{
    if (*labels == NULL) {
        return;
    }
    for (size_t n = 0; n < LABELS_LISTS; n++) {
        struct list *list = &(*labels)->lists[n];

        json_decref(list->rows);
        json_decref(list->names);
        json_decref(list->own);
        catalogue_close(&list->catalogue);
    }
    catalogue_close(&(*labels)->catalogue);
    free((void *)(uintptr_t)(*labels)->iso_lists);
    free(*labels);
    *labels = NULL;
}

const char *
labels_language(const struct labels *labels)
{
    return labels->language;
}

const char *
labels_locale(const struct labels *labels)
{
    return labels->locale;
}

/* --- lists --- */

static void
add_row(struct list *list, const char *code, const char *name, const char *within)
{
    (void)json_array_append_new(list->rows, json_pack("{s:s,s:s}", "code", code, "within", within));
    (void)json_object_set_new(list->names, code, json_string(name));
}

static void
number_text(uint16_t number, char out[CODE_BYTES])
{
    out[0] = '\0';
    if (number != 0) {
        (void)snprintf(out, CODE_BYTES, "%03u", number % 1000u);
    }
}

static void
read_regions(struct labels *labels, struct list *list)
{
    struct region_place places[REGIONS_MAX];
    size_t count = region_list(places);
    char name[REGION_NAME_BYTES];
    char code[CODE_BYTES];
    char within[CODE_BYTES];

    list->own = json_object();
    for (size_t n = 0; n < count; n++) {
        number_text(places[n].number, code);
        number_text(places[n].within, within);
        region_name(places[n].number, name);
        add_row(list, code, name, within);
        if (region_name_in(places[n].number, labels->language, name)) {
            (void)json_object_set_new(list->own, code, json_string(name));
        }
    }
}

/* The array of entries in a list of iso-codes; the caller lets go of `whole_out`. */
static const json_t *
read_iso(const struct labels *labels, const char *standard, json_t **whole_out, struct client_fault *fault)
{
    char path[PATH_BYTES];
    json_error_t error;

    (void)snprintf(path, sizeof path, "%.400s/iso_%s.json", labels->iso_lists, standard);
    *whole_out = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    const json_t *entries = json_object_get(*whole_out, standard);
    if (!json_is_array(entries)) {
        client_fault_set(fault, err_code(*whole_out == NULL ? ERR_ABSENT : ERR_INVALID),
                         "apt install iso-codes", "the list %s cannot be read", path);
        return NULL;
    }
    return entries;
}

/* The country of each subdivision has two letters in its code, and three in ours. */
static json_t *
read_alpha_2(const struct labels *labels, struct client_fault *fault)
{
    json_t *whole = NULL;
    const json_t *entries = read_iso(labels, standards[LABELS_COUNTRIES].standard, &whole, fault);
    json_t *codes = entries == NULL ? NULL : json_object();
    size_t index;
    json_t *entry;

    json_array_foreach(entries, index, entry)
    {
        const char *two = json_string_value(json_object_get(entry, "alpha_2"));

        if (two != NULL) {
            (void)json_object_set(codes, two, json_object_get(entry, "alpha_3"));
        }
    }
    json_decref(whole);
    return codes;
}

static void
put_within(enum labels_list which, const char *code, const json_t *alpha_2, char out[CODE_BYTES])
{
    char two[3] = "";

    out[0] = '\0';
    if (which == LABELS_COUNTRIES) {
        number_text(region_of(code).subregion, out);
    } else if (which == LABELS_SUBDIVISIONS) {
        (void)snprintf(two, sizeof two, "%.2s", code);
        const char *three = json_string_value(json_object_get(alpha_2, two));
        (void)snprintf(out, CODE_BYTES, "%s", three == NULL ? "" : three);
    }
}

static bool
read_entries(struct labels *labels, enum labels_list which, struct client_fault *fault)
{
    struct list *list = &labels->lists[which];
    json_t *whole = NULL;
    const json_t *entries = read_iso(labels, standards[which].standard, &whole, fault);
    json_t *alpha_2 = entries != NULL && which == LABELS_SUBDIVISIONS ? read_alpha_2(labels, fault) : NULL;
    bool good = entries != NULL && (which != LABELS_SUBDIVISIONS || alpha_2 != NULL);
    size_t index;
    json_t *entry;

    json_array_foreach(entries, index, entry)
    {
        const char *code = json_string_value(json_object_get(entry, standards[which].code));
        const char *name = json_string_value(json_object_get(entry, "name"));
        char within[CODE_BYTES];

        if (good && code != NULL && name != NULL) {
            put_within(which, code, alpha_2, within);
            add_row(list, code, name, within);
        }
    }
    json_decref(alpha_2);
    json_decref(whole);
    return good;
}

const json_t *
labels_rows(struct labels *labels, enum labels_list which, struct client_fault *fault)
{
    struct list *list = &labels->lists[which];

    if (list->rows != NULL) {
        return list->rows;
    }
    list->rows = json_array();
    list->names = json_object();
    bool good = (list->rows != NULL && list->names != NULL) || no_memory(fault);
    if (good && which == LABELS_REGIONS) {
        read_regions(labels, list);
    } else if (good) {
        good = read_entries(labels, which, fault);
    }
    if (!good) {
        json_decref(list->rows);
        json_decref(list->names);
        list->rows = NULL;
        list->names = NULL;
    }
    return list->rows;
}

/* --- labels --- */

/* What was found, or what is there in English. */
static struct label
label_of(const struct labels *labels, const char *found, const char *in_english)
{
    return found != NULL ? (struct label){ found, true }
                         : (struct label){ in_english, strcmp(labels->language, english) == 0 };
}

struct label
labels_code(struct labels *labels, enum labels_list which, const char *code)
{
    struct list *list = &labels->lists[which];
    struct client_fault fault;

    /* Without iso-codes no code has a label, and whoever asks shows the code. */
    if (code == NULL || labels_rows(labels, which, &fault) == NULL) {
        return (struct label){ NULL, false };
    }
    const char *name = json_string_value(json_object_get(list->names, code));
    if (name == NULL) {
        return (struct label){ NULL, false };
    }
    const char *found = list->own != NULL ? json_string_value(json_object_get(list->own, code))
                                          : catalogue_find(list->catalogue, NULL, name);
    return label_of(labels, found, name);
}

struct labels_context
labels_context(const char *what, const char *name)
{
    struct labels_context context;

    (void)snprintf(context.text, sizeof context.text, "%s %s", what, name);
    return context;
}

struct label
labels_of(const struct labels *labels, const char *what, const char *name, const char *in_english)
{
    return label_of(labels, catalogue_find(labels->catalogue, labels_context(what, name).text, in_english),
                    in_english);
}
