/* clock.c - a wrong wall clock for one process, as on a machine whose battery is dead.
 *
 *     CLOCK_AHEAD_S=126230400 LD_PRELOAD=libwrongclock.so vigild run DIR
 *
 * Only the wall clock is wrong, by so many seconds; clocks that measure spans go on as they do.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
clock_gettime(clockid_t clock, struct timespec *now)
{
    /* The C library's own is hidden by this one. */
    long failed = syscall(SYS_clock_gettime, clock, now);

    if (failed == 0 && clock == CLOCK_REALTIME) {
        const char *ahead = getenv("CLOCK_AHEAD_S");
        now->tv_sec += ahead == NULL ? 0 : strtol(ahead, NULL, 10);
    }
    return (int)failed;
}
