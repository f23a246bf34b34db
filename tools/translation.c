#include "tools/translation.h"

#include "node/catalogue.h"
#include "node/labels.h"
#include "tools/output.h"

#include <jansson.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 512, LOCALE_BYTES = 16 };

static const char domain[] = "vigil";

struct translation {
    struct catalogue *catalogue; /* NULL: there is none */
    json_t *cleaned;             /* English -> what is lent */
};

/* ERR_ABSENT, ERR_INVALID (a path that is too long as well), ERR_FULL, ERR_IO, ERR_MEMORY. `path_out` is where it was looked for last. */
static enum err
open_catalogue(struct catalogue **out, const char *locale, char path_out[PATH_BYTES])
{
    struct labels_places places = labels_places_default();
    enum err err = ERR_ABSENT;

    for (size_t n = 0; err == ERR_ABSENT && n < 2 && places.own_locales[n] != NULL; n++) {
        int size =
            snprintf(path_out, PATH_BYTES, "%s/%s/LC_MESSAGES/%s.mo", places.own_locales[n], locale, domain);
        err = size < 0 || size >= PATH_BYTES ? ERR_INVALID : catalogue_open(out, path_out);
    }
    return err;
}

static struct translation *
new_translation(struct catalogue *catalogue)
{
    struct translation *translation = calloc(1, sizeof *translation);
    json_t *cleaned = json_object();

    if (translation == NULL || cleaned == NULL) {
        json_decref(cleaned);
        free(translation);
        catalogue_close(&catalogue);
        return NULL;
    }
    translation->catalogue = catalogue;
    translation->cleaned = cleaned;
    return translation;
}

/* --- the language that is asked for --- */

static const char *
first_set(void)
{
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        const char *value = getenv(names[n]);
        if (value != NULL && value[0] != '\0') {
            return value;
        }
    }
    return "C";
}

/* The folder of a locale such as fr_FR.UTF-8, and the size of its language alone. False: it is none. It comes from the environment, and nothing
 * of it but letters, digits and one _ becomes part of a path. */
static bool
read_locale(const char *name, char folder_out[LOCALE_BYTES], size_t *language_out)
{
    size_t size = strcspn(name, ".@:");
    size_t language = 0;

    while (language < size && islower((unsigned char)name[language])) {
        language++;
    }
    if (language < 2 || language > 3 || size >= LOCALE_BYTES || (size > language && name[language] != '_') ||
        size == language + 1) {
        return false;
    }
    for (size_t n = language + 1; n < size; n++) {
        if (!isalnum((unsigned char)name[n])) {
            return false;
        }
    }
    memcpy(folder_out, name, size);
    folder_out[size] = '\0';
    *language_out = language;
    return true;
}

/* The catalogue of one locale: that of its country, or else that of its language. NULL: neither is here. */
static struct catalogue *
find_catalogue(char folder[LOCALE_BYTES], size_t language)
{
    struct catalogue *catalogue = NULL;
    char path[PATH_BYTES];

    if (strlen(folder) > language && open_catalogue(&catalogue, folder, path) == ERR_OK) {
        return catalogue;
    }
    bool alone = folder[language] == '\0';
    folder[language] = '\0';
    /* Where it is said no closer, Chinese is what the UN writes: see labels_locales. */
    if (alone && strcmp(folder, "zh") == 0) {
        (void)snprintf(folder, LOCALE_BYTES, "zh_CN");
    }
    return open_catalogue(&catalogue, folder, path) == ERR_OK ? catalogue : NULL;
}

struct translation *
translation_choose(void)
{
    const char *locale = first_set();
    const char *list = getenv("LANGUAGE");
    char folder[LOCALE_BYTES];
    size_t language = 0;

    /* In the locale C nothing is translated, whatever LANGUAGE says. */
    if (strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0) {
        return NULL;
    }
    const char *at = list != NULL && list[0] != '\0' ? list : locale;
    for (; *at != '\0'; at += strcspn(at, ":"), at += *at == ':') {
        if (!read_locale(at, folder, &language)) {
            continue;
        }
        if (language == 2 && strncmp(folder, "en", 2) == 0) {
            return NULL;
        }
        struct catalogue *catalogue = find_catalogue(folder, language);
        if (catalogue != NULL) {
            return new_translation(catalogue);
        }
    }
    return NULL;
}

/* --- texts --- */

bool
translation_open(struct translation **translation_out, const char *locale, struct client_fault *fault_out)
{
    struct catalogue *catalogue = NULL;
    char path[PATH_BYTES];
    enum err err = open_catalogue(&catalogue, locale, path);

    *translation_out = err == ERR_OK || err == ERR_ABSENT ? new_translation(catalogue) : NULL;
    if (*translation_out != NULL) {
        return true;
    }
    if (err == ERR_OK || err == ERR_ABSENT || err == ERR_MEMORY) {
        client_fault_set(fault_out, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                         err_text(ERR_MEMORY));
        return false;
    }
    client_fault_set(fault_out, err_code(err), "make it again with msgfmt, in UTF-8", "%s: %s", path,
                     err == ERR_INVALID ? "it is no catalogue of translations in UTF-8" : err_text(err));
    return false;
}

void
translation_close(struct translation **translation)
{
    if (*translation != NULL) {
        catalogue_close(&(*translation)->catalogue);
        json_decref((*translation)->cleaned);
        free(*translation);
        *translation = NULL;
    }
}

const char *
translation_find(struct translation *translation, const char *text)
{
    const char *found = translation == NULL ? NULL : catalogue_find(translation->catalogue, NULL, text);

    if (found == NULL) {
        return NULL;
    }
    if (json_object_get(translation->cleaned, text) == NULL) {
        char *clean = output_clean(found, true);
        (void)json_object_set_new(translation->cleaned, text, json_string(clean == NULL ? "" : clean));
        free(clean);
    }
    const char *clean = json_string_value(json_object_get(translation->cleaned, text));
    return clean == NULL || clean[0] == '\0' ? NULL : clean;
}

const char *
translate(struct translation *translation, const char *text)
{
    const char *found = translation_find(translation, text);

    return found == NULL ? text : found;
}
