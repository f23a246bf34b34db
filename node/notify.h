/* notify.h - what the service manager hears, if one started us (sd_notify(3)); nothing, in a build without libsystemd.
 */
#pragma once

#include <stdint.h>

/* The node answers; also after a reload. */
void notify_ready(void);

/* The configuration is being read again; notify_ready ends it. */
void notify_reloading(void);
void notify_stopping(void);

/* How long the service manager waits between two signs of life, in milliseconds; 0: it does not. */
uint64_t notify_watchdog_ms(void);
void notify_alive(void);

/* Have it wait so long instead, until the next call. */
void notify_allow_ms(uint64_t wait_ms);
