#include "tools/sniff.h"

#include <magic.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *ending;
    const char *type;
} claims[] = {
    { ".jpg", "image/jpeg" },
    { ".jpeg", "image/jpeg" },
    { ".png", "image/png" },
    { ".gif", "image/gif" },
    { ".webp", "image/webp" },
    { ".tif", "image/tiff" },
    { ".tiff", "image/tiff" },
    { ".bmp", "image/bmp" },
    { ".heic", "image/heic" },
    { ".svg", "image/svg+xml" },
    { ".mp4", "video/mp4" },
    { ".m4v", "video/mp4" },
    { ".mov", "video/quicktime" },
    { ".3gp", "video/3gpp" },
    { ".avi", "video/x-msvideo" },
    { ".mkv", "video/x-matroska" },
    { ".webm", "video/webm" },
    { ".mp3", "audio/mpeg" },
    { ".m4a", "audio/mp4" },
    { ".ogg", "audio/ogg" },
    { ".opus", "audio/ogg" },
    { ".oga", "audio/ogg" },
    { ".ogv", "video/ogg" },
    { ".wav", "audio/wav" },
    { ".flac", "audio/flac" },
    { ".amr", "audio/amr" },
    { ".pdf", "application/pdf" },
    { ".txt", "text/plain" },
    { ".csv", "text/csv" },
    { ".htm", "text/html" },
    { ".html", "text/html" },
    { ".rtf", "text/rtf" },
    { ".eml", "message/rfc822" },
    { ".doc", "application/msword" },
    { ".xls", "application/vnd.ms-excel" },
    { ".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
    { ".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
    { ".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
    { ".odt", "application/vnd.oasis.opendocument.text" },
    { ".ods", "application/vnd.oasis.opendocument.spreadsheet" },
    { ".zip", "application/zip" },
};

/* Types that the bytes do not always tell apart: libmagic may say either one of a row. A * stands for any end. */
static const struct {
    const char *claimed;
    const char *real;
} alike[] = {
    { "text/*", "text/plain" },
    { "text/csv", "application/csv" },
    { "text/rtf", "application/rtf" },
    { "message/rfc822", "text/plain" },
    { "message/rfc822", "text/html" },
    { "image/svg+xml", "text/xml" },
    { "image/heic", "image/heif" },
    { "image/bmp", "image/x-ms-bmp" },
    { "audio/mp4", "video/mp4" },
    { "audio/mp4", "audio/x-m4a" },
    { "video/mp4", "video/x-m4v" },
    { "video/mp4", "video/quicktime" },
    { "video/quicktime", "video/mp4" },
    { "audio/ogg", "application/ogg" },
    { "audio/ogg", "video/ogg" },
    { "video/ogg", "application/ogg" },
    { "video/webm", "video/x-matroska" },
    { "audio/wav", "audio/x-wav" },
    { "audio/flac", "audio/x-flac" },
    { "application/vnd.openxmlformats-officedocument.*", "application/zip" },
    { "application/vnd.oasis.opendocument.*", "application/zip" },
    { "application/msword", "application/CDFV2" },
    { "application/vnd.ms-excel", "application/CDFV2" },
};

bool
sniff_type(const uint8_t *bytes, size_t size, char type_out[SNIFF_TYPE_BYTES])
{
    magic_t magic = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR);
    const char *found = NULL;

    if (magic != NULL && magic_load(magic, NULL) == 0) {
        found = magic_buffer(magic, bytes, size < SNIFF_BYTES_MAX ? size : SNIFF_BYTES_MAX);
    }
    if (found != NULL) {
        (void)snprintf(type_out, SNIFF_TYPE_BYTES, "%s", found);
    }
    if (magic != NULL) {
        magic_close(magic);
    }
    return found != NULL;
}

const char *
sniff_claim(const char *name)
{
    const char *dot = strrchr(name, '.');

    for (size_t n = 0; dot != NULL && n < sizeof claims / sizeof claims[0]; n++) {
        if (strcasecmp(dot, claims[n].ending) == 0) {
            return claims[n].type;
        }
    }
    return NULL;
}

const char *
sniff_ending(const char *type)
{
    for (size_t n = 0; n < sizeof claims / sizeof claims[0]; n++) {
        if (strcmp(type, claims[n].type) == 0) {
            return claims[n].ending;
        }
    }
    return "";
}

static bool
is_like(const char *pattern, const char *type)
{
    size_t size = strlen(pattern);

    return pattern[size - 1] == '*' ? strncmp(pattern, type, size - 1) == 0 : strcmp(pattern, type) == 0;
}

bool
sniff_fits(const char *claimed, const char *real)
{
    bool fits = strcmp(claimed, real) == 0;

    for (size_t n = 0; n < sizeof alike / sizeof alike[0] && !fits; n++) {
        fits = is_like(alike[n].claimed, claimed) && strcmp(alike[n].real, real) == 0;
    }
    return fits;
}
