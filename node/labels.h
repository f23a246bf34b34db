/* labels.h - what people read for a code: its label in one of the six languages of the UN, else in English.
 *
 *     KEN    countries     ISO 3166-1     \
 *     KE-30  subdivisions  ISO 3166-2      > names of iso-codes, and its catalogues
 *     swa    languages     ISO 639-3      /
 *     014    regions       UN M49           ICU (store/region.h)
 *     death_threat         the codebook's English label, and the catalogue vigil-codebook
 *
 * English is complete. What another language lacks is in English, and each label says which of the two it is. Nothing here
 * needs a locale of the system. The labels of the codebook are translated by whoever can answer for them: a template for msgfmt
 * goes out, a catalogue comes in (catalogue.h), and what was not reviewed is not in it. A translation belongs to its English label, so
 * that one whose meaning was changed since is not shown.
 */
#pragma once

#include "node/client.h"

#include <jansson.h>

#include <stdbool.h>

enum labels_list { LABELS_COUNTRIES, LABELS_SUBDIVISIONS, LABELS_LANGUAGES, LABELS_REGIONS, LABELS_LISTS };

/* "countries" and so on, by enum labels_list. */
extern const char *const labels_list_names[LABELS_LISTS];

/* The languages: ar, en, es, fr, ru, zh. */
enum { LABELS_LANGUAGES_UN = 6 };
extern const char *const labels_languages[LABELS_LANGUAGES_UN];
/* What gettext calls each: zh_CN for zh. */
extern const char *const labels_locales[LABELS_LANGUAGES_UN];

/* Folders. */
struct labels_places {
    const char *iso_lists;   /* iso_3166-1.json and so on */
    const char *iso_locales; /* LANGUAGE/LC_MESSAGES/iso_3166-1.mo */
    /* LANGUAGE/LC_MESSAGES/vigil-codebook.mo, the first that is there; NULL: no folder. */
    const char *own_locales[2];
};

/* Where Debian has them. Our own are in $VIGIL_LOCALE, or if that is not set in those of the system. */
struct labels_places labels_places_default(void);

struct label {
    const char *text; /* lent until labels_close; NULL: there is no such code */
    bool own;         /* in the language that was asked for, and not English for want of it */
};

struct labels;

/* Labels in `language`. False, and `fault_out`: it is none of the six, or a catalogue is there and cannot be read. One that is not
 * there is empty. */
MUST_CHECK bool labels_open(struct labels **labels_out, const char *language,
                            const struct labels_places *places, struct client_fault *fault_out);

/* NULL does nothing. */
void labels_close(struct labels **labels);

const char *labels_language(const struct labels *labels);

/* The name that gettext has for the language: zh_CN for zh. */
const char *labels_locale(const struct labels *labels);

/* The label of a code of a list: "KEN", "KE-30", "swa", "014". */
struct label labels_code(struct labels *labels, enum labels_list list, const char *code);

/* The rows of a list in order, each {"code","within"}: a country's subregion, a subdivision's country, a subregion's region, else "".
 * Lent. NULL, and `fault_out`: iso-codes is not there, or damaged. */
const json_t *labels_rows(struct labels *labels, enum labels_list list, struct client_fault *fault_out);

/* The label of a part of the codebook whose English one is `english`: `what` is kind, collection, field, vocabulary or value, `name` its
 * name, and of a value "VOCABULARY NAME". */
struct label labels_of(const struct labels *labels, const char *what, const char *name, const char *english);

/* The context of the same in a catalogue: "field act.type_of_act", "value act_type death_threat". */
struct labels_context {
    char text[160];
};
struct labels_context labels_context(const char *what, const char *name);
