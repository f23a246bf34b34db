#include "store/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line is short by intent; what is longer ends in "...". */
enum { TEXT_BYTES = 1024, LINE_BYTES = 4 * TEXT_BYTES + 8 };

static void (*line_sink)(void *self, const char *line);
static void *line_self;
static void (*line_watcher)(void *self, enum log_level level, const char *line);
static void *watcher_self;
static bool (*witness_wants)(const char *event);
static void (*line_witness)(void *self, const char *line);
static void *witness_self;
static enum log_level limit = LOG_AT_INFO;

/* Write `text` to `out`, every control character as \xNN: whoever chose a word
 * of it can neither begin a line of his own nor speak to a terminal. */
static size_t
escape(char *out, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t size = 0;

    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        if (byte >= 0x20 && byte != 0x7f) {
            out[size++] = (char)byte;
        } else {
            out[size++] = '\\';
            out[size++] = 'x';
            out[size++] = digits[byte >> 4];
            out[size++] = digits[byte & 15];
        }
    }
    out[size] = '\0';
    return size;
}

/* One write, so that lines of two processes do not mix. */
static void
write_line(const char *line, size_t size)
{
    ssize_t written;

    do {
        written = write(STDERR_FILENO, line, size);
    } while (written < 0 && errno == EINTR);
}

void
log_event(const char *event, const char *format, ...)
{
    char text[TEXT_BYTES];
    char line[LINE_BYTES];
    bool cut = false;

    assert(event != NULL);
    const struct log_kind *kind = log_kind_of(event);
    enum log_level level = kind == NULL ? LOG_AT_ERROR : kind->level;
    bool witnessed = line_witness != NULL && witness_wants(event);
    if (!log_takes(level) && !witnessed) {
        return;
    }
    int size = snprintf(text, sizeof text, "event=%s%s", event, format == NULL ? "" : " ");
    if (format != NULL && size >= 0 && (size_t)size < sizeof text) {
        va_list list;
        va_start(list, format);
        int more = vsnprintf(text + size, sizeof text - (size_t)size, format, list);
        va_end(list);
        cut = more < 0 || (size_t)more >= sizeof text - (size_t)size;
    } else {
        cut = size < 0 || (size_t)size >= sizeof text;
    }
    size_t length = escape(line, text);
    if (cut) {
        memcpy(line + length, "...", 4);
        length += 3;
    }
    if (witnessed) {
        line_witness(witness_self, line);
    }
    if (!log_takes(level)) {
        return;
    }
    if (line_watcher != NULL) {
        line_watcher(watcher_self, level, line);
    }
    if (line_sink != NULL) {
        line_sink(line_self, line);
        return;
    }
    line[length++] = '\n';
    write_line(line, length);
}

void
log_to(void (*sink)(void *self, const char *line), void *self)
{
    line_sink = sink;
    line_self = self;
}

void
log_watch(void (*watcher)(void *self, enum log_level level, const char *line), void *self)
{
    line_watcher = watcher;
    watcher_self = self;
}

void
log_witness(bool (*wants)(const char *event), void (*witness)(void *self, const char *line), void *self)
{
    witness_wants = wants;
    line_witness = witness;
    witness_self = self;
}

void
log_limit(enum log_level least)
{
    limit = least;
}

bool
log_takes(enum log_level level)
{
    return level <= limit;
}

/* --- reading a line --- */

/* The end of a value: the blank after it, or the quote that ends it. */
static const char *
value_end(const char *value)
{
    return *value == '"' ? value + 1 + strcspn(value + 1, "\"") : value + strcspn(value, " ");
}

const char *
log_line_value(const char *line, const char *key, size_t *size_out)
{
    size_t key_size = strlen(key);
    const char *at = line;

    while (*at != '\0') {
        const char *value = at + strcspn(at, "= ");
        if (*value != '=') {
            at = *value == '\0' ? value : value + 1;
            continue;
        }
        const char *end = value_end(value + 1);
        if ((size_t)(value - at) == key_size && memcmp(at, key, key_size) == 0) {
            value += value[1] == '"' ? 2 : 1;
            *size_out = (size_t)(end - value);
            return value;
        }
        at = *end == '\0' ? end : end + 1;
    }
    return NULL;
}

enum log_level
log_line_level(const char *line)
{
    char event[64] = "";
    size_t size = 0;
    const char *value = log_line_value(line, "event", &size);

    if (value != NULL && size < sizeof event) {
        memcpy(event, value, size);
        event[size] = '\0';
    }
    const struct log_kind *kind = log_kind_of(event);
    return kind == NULL ? LOG_AT_ERROR : kind->level;
}
