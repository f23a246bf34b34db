#include "node/notify.h"

#ifdef VIGIL_SYSTEMD

#include <systemd/sd-daemon.h>

/* Who does not listen is no failure of ours. */
void
notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void
notify_reloading(void)
{
    (void)sd_notify(0, "RELOADING=1");
}

void
notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

uint64_t
notify_watchdog_ms(void)
{
    uint64_t wait_us = 0;

    return sd_watchdog_enabled(0, &wait_us) > 0 ? wait_us / 1000 : 0;
}

void
notify_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

void
notify_allow_ms(uint64_t wait_ms)
{
    (void)sd_notifyf(0, "WATCHDOG_USEC=%llu", (unsigned long long)(wait_ms * 1000));
}

#else

void
notify_ready(void)
{
}

void
notify_reloading(void)
{
}

void
notify_stopping(void)
{
}

uint64_t
notify_watchdog_ms(void)
{
    return 0;
}

void
notify_alive(void)
{
}

void
notify_allow_ms(uint64_t wait_ms)
{
    (void)wait_ms;
}

#endif
