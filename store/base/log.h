/* log.h - one line an event, to be searched for.
 *
 *     event=peer-refused peer=3f09a1c2 verdict=forged
 *
 *     log_event --> level? --> watcher (what `vigil log` shows)
 *               |          --> sink, or stderr
 *               +--> witness (what the audit log keeps)
 *
 * The name of the event is fixed, and the table of log_kinds.c has it; the rest is logfmt. A line names devices and
 * updates by short id and never what a case says: no field's content, no
 * person's name, no search term, no key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The levels of syslog, as far as they are used. */
enum log_level { LOG_AT_ERROR = 3, LOG_AT_WARNING, LOG_AT_NOTICE, LOG_AT_INFO, LOG_AT_DEBUG };

struct log_kind {
    const char *event;
    enum log_level level;
    const char *message_id; /* 32 digits of hex: by it the system's journal tells one kind from another */
};

/* The kind of an event. NULL: the table does not have it; it counts as an error then. */
const struct log_kind *log_kind_of(const char *event);
/* The kinds in alphabetical order. NULL: there are no more. */
const struct log_kind *log_kind_at(size_t n);

/* "error", "warning", "notice", "info", "debug"; and back: false: it is none of them. */
const char *log_level_name(enum log_level level);
bool log_level_parse(const char *name, enum log_level *level_out);

/* Write one event to the sink. A NULL `format` means there is nothing to add. */
void log_event(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What is less important than this goes nowhere; until this is called, LOG_AT_INFO. */
void log_limit(enum log_level least);
/* True if an event of this level goes anywhere: ask before something costly is put together. */
bool log_takes(enum log_level level);

/* Send every later line (without its newline) to `sink`; NULL restores stderr.
 * `self` is handed through. */
void log_to(void (*sink)(void *self, const char *line), void *self);

/* Show every later line to `watcher` as well; NULL: nobody. It must not log. */
void log_watch(void (*watcher)(void *self, enum log_level level, const char *line), void *self);

/* Show every later line of an event that it `wants` to `witness`, however little it counts; NULL: nobody. Neither may log. */
void log_witness(bool (*wants)(const char *event), void (*witness)(void *self, const char *line), void *self);

/* The level of a line, by its event. */
enum log_level log_line_level(const char *line);

/* The value of `key` in a line, without its quotes: lent, and its size. NULL: the line has no such key. */
const char *log_line_value(const char *line, const char *key, size_t *size_out);
