/* recent.h - the last events of the log, kept in memory for `vigil log`.
 *
 *     log_event --> recent_note --> [ 1,000 lines, the oldest goes first ] --> log.list, log.watch
 *
 * Each event has a place: the first is 1, and none is given twice.
 */
#pragma once

#include "store/base/log.h"
#include "store/base/world.h"

enum { RECENT_EVENTS = 1000, RECENT_LINE_BYTES = 384 };

struct recent;

/* Longer lines are cut, and say so. */
struct recent_event {
    uint64_t place;
    uint64_t wall_ms;
    enum log_level level;
    char line[RECENT_LINE_BYTES]; /* valid UTF-8 */
};

/* `world` outlives it. NULL: no memory. */
struct recent *recent_new(const struct world *world);
void recent_free(struct recent **recent);

/* For log_watch: `self` is a struct recent. */
void recent_note(void *self, enum log_level level, const char *line);

/* The place of the last event; 0: there was none. */
uint64_t recent_last(const struct recent *recent);

/* The event at a place, lent until the next recent_note; NULL: there is none yet, or no longer. */
const struct recent_event *recent_at(const struct recent *recent, uint64_t place);
