/* fragments.h - sentences from which synthetic narratives are put together.
 *
 * All of them are our own, and speak of nobody: %P stands for a pseudonym, %A for an area,
 * %D for a date as it is typed. Each list ends with NULL.
 */
#pragma once

#include <stddef.h>

enum { FRAGMENTS_MAX = 10 };

struct fragments {
    const char *language; /* ISO 639-3 */
    const char *titles[FRAGMENTS_MAX];
    const char *opening[FRAGMENTS_MAX];
    const char *events[FRAGMENTS_MAX];
    const char *link[FRAGMENTS_MAX];
    const char *after[FRAGMENTS_MAX];
    const char *closing[FRAGMENTS_MAX];
    const char *notes[FRAGMENTS_MAX];
    const char *reasons[FRAGMENTS_MAX]; /* what authorities are said to have stated */
    const char *risks[FRAGMENTS_MAX];
    const char *syllables[FRAGMENTS_MAX]; /* of invented names, in the language's script */
    const char *script;                   /* ISO 15924 */
};

/* The six languages of the United Nations. */
enum { LANGUAGE_COUNT = 6 };
extern const struct fragments fragments[LANGUAGE_COUNT];
