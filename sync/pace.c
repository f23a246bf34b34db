#include "sync/pace.h"

#include <string.h>

enum { LIMIT_MAX = 1 << 30 };

void
pace_begin(struct pace *pace)
{
    memset(pace, 0, sizeof *pace);
    pace->limit = PACE_BYTES_START;
    pace->least_ms = UINT64_MAX;
    pace->ceiling = UINT64_MAX;
    pace->patience_ms = PACE_PATIENCE_MS;
}

void
pace_fix(struct pace *pace, uint64_t limit, uint64_t patience_ms)
{
    pace->fixed = true;
    pace->limit = limit;
    pace->patience_ms = patience_ms;
}

uint64_t
pace_on_way(const struct pace *pace)
{
    uint64_t settled = pace->returned > pace->given_up ? pace->returned : pace->given_up;

    return pace->sent - settled;
}

bool
pace_allows(struct pace *pace, uint64_t bytes, bool urgent, uint64_t now_ms)
{
    if (pace_on_way(pace) > 0 && now_ms - pace->moved_ms >= pace->patience_ms) {
        pace->given_up = pace->sent;
        pace->mark_count = 0;
    }
    uint64_t limit = pace->limit + (urgent ? PACE_BYTES_URGENT : 0);
    bool allowed = pace_on_way(pace) < PACE_RETURN_BYTES || pace_on_way(pace) + bytes <= limit;
    pace->held_back = pace->held_back || !allowed;
    return allowed;
}

void
pace_sent(struct pace *pace, uint64_t bytes, uint64_t now_ms)
{
    if (pace_on_way(pace) == 0) {
        pace->moved_ms = now_ms;
    }
    pace->sent += bytes;
    /* Without room for one more the newest stands for both: its delay is then taken for too short, never for too long. */
    size_t last = pace->mark_count < PACE_MARKS ? pace->mark_count++ : PACE_MARKS - 1;
    pace->marks[(pace->mark_first + last) % PACE_MARKS] = (struct pace_mark){ pace->sent, now_ms };
}

/* How long the newest of the frames took whose credit has come whole; UINT64_MAX: there is none. */
static uint64_t
delay_of_returned(struct pace *pace, uint64_t now_ms)
{
    uint64_t delay = UINT64_MAX;

    while (pace->mark_count > 0 && pace->marks[pace->mark_first].end <= pace->returned) {
        delay = now_ms - pace->marks[pace->mark_first].ms;
        pace->mark_first = (pace->mark_first + 1) % PACE_MARKS;
        pace->mark_count--;
    }
    return delay;
}

static void
shrink(struct pace *pace)
{
    /* Once for all that is on its way: it will be late for the same reason. */
    if (pace->returned >= pace->shrunk_at) {
        pace->ceiling = pace->limit;
        pace->calm_at = pace->returned + pace->limit * PACE_CALM;
        pace->limit = pace->limit * 3 / 4 > PACE_BYTES_MIN ? pace->limit * 3 / 4 : PACE_BYTES_MIN;
        pace->shrunk_at = pace->sent;
    }
    pace->shrunk = true;
}

static void
grow(struct pace *pace, uint64_t bytes)
{
    if (pace->returned >= pace->calm_at) {
        pace->ceiling = UINT64_MAX;
    }
    uint64_t most = pace->ceiling < LIMIT_MAX ? pace->ceiling * 7 / 8 : LIMIT_MAX;
    uint64_t more = pace->shrunk ? bytes * PACE_BYTES_MIN / 4 / pace->limit : bytes;
    if (pace->limit < most) {
        pace->limit = pace->limit + more < most ? pace->limit + more : most;
    }
}

void
pace_returned(struct pace *pace, uint64_t bytes, uint64_t now_ms)
{
    uint64_t rest = pace->sent - pace->returned;

    bytes = bytes < rest ? bytes : rest;
    pace->returned += bytes;
    pace->moved_ms = now_ms;
    uint64_t delay = delay_of_returned(pace, now_ms);
    if (delay == UINT64_MAX) {
        return;
    }
    pace->least_ms = delay < pace->least_ms ? delay : pace->least_ms;
    if (pace->fixed) {
        pace->held_back = false;
        return;
    }
    if (delay - pace->least_ms > PACE_WAIT_MS) {
        shrink(pace);
    } else if (pace->held_back) {
        grow(pace, bytes);
    }
    pace->held_back = false;
}

uint64_t
pace_frame_bytes(const struct pace *pace)
{
    return pace->limit / 2;
}

uint64_t
pace_due_ms(const struct pace *pace)
{
    return pace->held_back && pace_on_way(pace) > 0 ? pace->moved_ms + pace->patience_ms : UINT64_MAX;
}
