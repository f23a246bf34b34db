/* translation.h - the help in another language: the catalogue "vigil" of GNU gettext.
 *
 *     LANGUAGE, LC_ALL, LC_MESSAGES, LANG ---> fr_FR, fr ---> LOCALE/fr/LC_MESSAGES/vigil.mo ---> text by text
 *
 * English is in the program, and so is what a catalogue lacks. A text is translated whole, and printed as it is: none is a format, and
 * what a catalogue says is cleaned like whatever others wrote. LOCALE is VIGIL_LOCALE, or else as for labels (node/labels.h). No locale has
 * to be installed.
 */
#pragma once

#include "node/client.h"
#include "store/base/err.h"

#include <stdbool.h>

struct translation;

/* The catalogue of the language that the environment asks for, as gettext chooses it. NULL: it asks for English, or for what is not
 * here or cannot be read. */
struct translation *translation_choose(void);

/* The catalogue in the folder `locale`, such as fr or zh_CN, if there is one; without it nothing is translated. False, and `fault_out`: it is
 * damaged, or there is no memory. */
MUST_CHECK bool translation_open(struct translation **translation_out, const char *locale,
                                 struct client_fault *fault_out);

/* NULL does nothing. */
void translation_close(struct translation **translation);

/* The translation of an English text, cleaned: lent until the translation is closed. NULL: there is none, or `translation` is NULL. */
const char *translation_find(struct translation *translation, const char *text);

/* The same, or `text` itself where there is none. */
const char *translate(struct translation *translation, const char *text);
