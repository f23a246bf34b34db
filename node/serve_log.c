/* serve_log.c - what this node logged last: for who looks after it. */
#include "node/call.h"

#include "node/recent.h"

#include <string.h>

enum { COUNT_DEFAULT = 100 };

json_t *
event_json(const struct recent_event *event)
{
    size_t name_size = 0;
    size_t peer_size = 0;
    const char *name = log_line_value(event->line, "event", &name_size);
    const char *peer = log_line_value(event->line, "peer", &peer_size);
    const char *rest = name == NULL ? event->line : name + name_size;

    rest += rest[0] == ' ' ? 1 : 0;
    return json_pack("{s:I,s:o,s:s,s:s%,s:o,s:s}", "place", (json_int_t)event->place, "time",
                     time_json(event->wall_ms), "level", log_level_name(event->level), "event",
                     name == NULL ? "" : name, name_size, "peer",
                     peer == NULL ? json_null() : json_stringn(peer, peer_size), "text", rest);
}

/* The level that "level" names, all if there is none. False: the call failed. */
static bool
read_level(struct call *call, enum log_level *level_out)
{
    const char *name = call_text(call, "level");

    *level_out = LOG_AT_DEBUG;
    if (name != NULL && !log_level_parse(name, level_out)) {
        call_usage(call, "\"level\" is none of error, warning, notice, info and debug");
    }
    return !call->failed;
}

/* False: the call failed. */
static bool
read_since(struct call *call, uint64_t *since_ms_out)
{
    const char *text = call_text(call, "since");

    *since_ms_out = 0;
    if (text != NULL && !time_parse(text, since_ms_out)) {
        call_usage(call, "\"since\" is no time: 2026-03-01 or 2026-03-01T17:30Z");
    }
    return !call->failed;
}

/* The place of the first of the last `count` events that are wanted. */
static uint64_t
first_of(const struct recent *recent, size_t count, uint64_t since_ms, enum log_level level)
{
    uint64_t first = recent_last(recent) + 1;
    const struct recent_event *event;

    for (uint64_t place = recent_last(recent); count > 0 && (event = recent_at(recent, place)) != NULL;
         place--) {
        if (event->level <= level && event->wall_ms >= since_ms) {
            first = place;
            count--;
        }
    }
    return first;
}

void
call_log_list(struct call *call)
{
    const struct recent *recent = call_options(call)->recent;
    int64_t count = call_number(call, "count", 1, RECENT_EVENTS, COUNT_DEFAULT);
    enum log_level level;
    uint64_t since_ms;

    if (!read_level(call, &level) || !read_since(call, &since_ms)) {
        return;
    }
    json_t *events = json_array();
    uint64_t last = recent == NULL ? 0 : recent_last(recent);
    for (uint64_t place = recent == NULL ? 1 : first_of(recent, (size_t)count, since_ms, level);
         place <= last; place++) {
        const struct recent_event *event = recent_at(recent, place);

        if (event != NULL && event->level <= level && event->wall_ms >= since_ms) {
            (void)json_array_append_new(events, event_json(event));
        }
    }
    call_ok(call, json_pack("{s:o,s:I}", "events", events, "last", (json_int_t)last));
}

void
call_log_watch(struct call *call)
{
    const struct recent *recent = call_options(call)->recent;
    int64_t last = recent == NULL ? 0 : (int64_t)recent_last(recent);
    int64_t after = call_number(call, "after", 0, INT64_MAX, last);
    enum log_level level;

    if (read_level(call, &level)) {
        call_watch_events(call, (uint64_t)(after < last ? after : last), level);
    }
}
