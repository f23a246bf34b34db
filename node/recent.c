#include "node/recent.h"

#include "store/base/cbor.h"

#include <stdlib.h>
#include <string.h>

struct recent {
    const struct world *world;
    uint64_t last;
    struct recent_event events[RECENT_EVENTS]; /* the one at place p: [p % RECENT_EVENTS] */
};

struct recent *
recent_new(const struct world *world)
{
    struct recent *recent = calloc(1, sizeof *recent);

    if (recent != NULL) {
        recent->world = world;
    }
    return recent;
}

void
recent_free(struct recent **recent)
{
    free(*recent);
    *recent = NULL;
}

/* Copy what fits, whole characters only. */
static void
copy_line(char out[RECENT_LINE_BYTES], const char *line)
{
    static const char more[] = "...";
    size_t size = strlen(line);
    bool cut = size >= RECENT_LINE_BYTES;

    size = cut ? RECENT_LINE_BYTES - sizeof more : size;
    /* The bytes of a character after its first are 10xxxxxx. */
    while (cut && size > 0 && ((uint8_t)line[size] & 0xc0) == 0x80) {
        size--;
    }
    memcpy(out, line, size);
    bool valid = utf8_valid(span_of(out, size));
    for (size_t n = 0; !valid && n < size; n++) {
        out[n] = ((uint8_t)out[n] & 0x80) != 0 ? '?' : out[n];
    }
    memcpy(out + size, cut ? more : "", cut ? sizeof more : 1);
}

void
recent_note(void *self, enum log_level level, const char *line)
{
    struct recent *recent = self;

    recent->last++;
    struct recent_event *event = &recent->events[recent->last % RECENT_EVENTS];
    event->place = recent->last;
    event->wall_ms = world_wall_ms(recent->world);
    event->level = level;
    copy_line(event->line, line);
}

uint64_t
recent_last(const struct recent *recent)
{
    return recent->last;
}

const struct recent_event *
recent_at(const struct recent *recent, uint64_t place)
{
    const struct recent_event *event = &recent->events[place % RECENT_EVENTS];

    return place != 0 && event->place == place ? event : NULL;
}
