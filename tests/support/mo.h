/* mo.h - compiled catalogues of gettext, made byte by byte. */
#pragma once

#include "store/base/bytes.h"

#include <stdbool.h>

struct support_message {
    const char *original; /* "context\4text" or "text"; ascending */
    const char *translation;
};

/* Append a catalogue of `messages`, little-endian or big. */
void support_mo(struct buf *out, const struct support_message *messages, size_t count, bool big);

/* Write one with its heading before `messages` to LOCALES/LANGUAGE/LC_MESSAGES/DOMAIN.mo, and make the folders. */
void support_mo_file(const char *locales, const char *language, const char *domain,
                     const struct support_message *messages, size_t count);
