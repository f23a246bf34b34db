#include "node/pulse.h"

enum { TURNS = 4 };

void
pulse_init(struct pulse *pulse, uint64_t watchdog_ms)
{
    uint64_t fourth_ms = watchdog_ms / TURNS;

    *pulse = (struct pulse){ .every_ms = watchdog_ms == 0 || fourth_ms > PULSE_MS ? PULSE_MS : fourth_ms,
                             .watched = watchdog_ms > 0 };
}

void
pulse_begin(struct pulse *pulse)
{
    pulse->asked = false;
    pulse->answered = false;
    pulse->misses = 0;
    pulse->ask_ms = 0;
}

void
pulse_heard(struct pulse *pulse)
{
    pulse->asked = false;
    pulse->answered = true;
    pulse->misses = 0;
}

bool
pulse_asks(struct pulse *pulse, uint64_t now_ms)
{
    if (now_ms < pulse->ask_ms) {
        return false;
    }
    pulse->misses += pulse->asked ? 1 : 0;
    pulse->asked = true;
    pulse->ask_ms = now_ms + pulse->every_ms;
    return true;
}

bool
pulse_is_lost(const struct pulse *pulse)
{
    return pulse->misses >= PULSE_MISSES_MAX;
}

bool
pulse_tells(struct pulse *pulse, uint64_t now_ms)
{
    /* One that is late may be busy, or the machine is. */
    if (!pulse->watched || now_ms < pulse->tell_ms || !pulse->answered || pulse->misses > 1) {
        return false;
    }
    pulse->tell_ms = now_ms + pulse->every_ms;
    return true;
}

uint64_t
pulse_wait_ms(const struct pulse *pulse, uint64_t now_ms)
{
    uint64_t next_ms = pulse->watched && pulse->tell_ms < pulse->ask_ms ? pulse->tell_ms : pulse->ask_ms;

    /* A sign of life that is withheld is not waited for: the answer to a ping wakes whoever sleeps. */
    if (next_ms <= now_ms && pulse->ask_ms > now_ms) {
        next_ms = pulse->ask_ms;
    }
    return next_ms > now_ms ? next_ms - now_ms : 0;
}
