/* pulse.h - whether net still answers, and when the service manager is told that the node lives.
 *
 *     store --ping--> net --pong--> store --WATCHDOG=1--> service manager
 *
 * The loop asks net, and tells of life only while net answers: what the service manager hears means that both are alive. A loop
 * that hangs tells nothing; a net that hangs is ended by the store, and started anew. Pings are counted rather than time, so that a
 * laptop that slept wakes to no silence.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    PULSE_MS = 15 * 1000, /* between two pings, or a fourth of the watchdog's time if that is less */
    PULSE_MISSES_MAX = 4, /* unanswered in a row */
};

struct pulse {
    uint64_t every_ms;
    bool watched;     /* somebody waits for signs of life */
    bool asked;       /* and there was no answer yet */
    bool answered;    /* this net did, ever */
    unsigned misses;  /* in a row */
    uint64_t ask_ms;  /* the next ping, of a steady clock */
    uint64_t tell_ms; /* the next sign of life */
};

/* `watchdog_ms`: how long the service manager waits; 0: nobody waits. */
void pulse_init(struct pulse *pulse, uint64_t watchdog_ms);

/* A new net runs: it is asked at once. */
void pulse_begin(struct pulse *pulse);

/* It answered. */
void pulse_heard(struct pulse *pulse);

/* True: ask it now. What it did not answer until then counts as missed. */
bool pulse_asks(struct pulse *pulse, uint64_t now_ms);

/* True if it missed too many: end it. */
bool pulse_is_lost(const struct pulse *pulse);

/* True: tell of life now. */
bool pulse_tells(struct pulse *pulse, uint64_t now_ms);

/* Milliseconds until one of the two is due. */
uint64_t pulse_wait_ms(const struct pulse *pulse, uint64_t now_ms);
