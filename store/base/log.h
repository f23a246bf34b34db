/* log.h - one line an event, to be searched for.
 *
 *     event=peer-refused peer=3f09a1c2 verdict=forged
 *
 * The name of the event is fixed; the rest is logfmt. A line names devices and
 * updates by short id and never what a case says: no field's content, no
 * person's name, no search term, no key.
 */
#pragma once

/* Write one event to the sink. A NULL `format` means there is nothing to add. */
void log_event(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Send every later line (without its newline) to `sink`; NULL restores stderr.
 * `self` is handed through. */
void log_to(void (*sink)(void *self, const char *line), void *self);
