/* Signs of life: told while net answers, withheld when it does not, and a net that stays silent is lost. */

#include "node/pulse.h"
#include "tests/support/check.h"

static struct pulse pulse;

static void
setup(void)
{
    pulse_init(&pulse, 8000);
    pulse_begin(&pulse);
}

static void
teardown(void)
{
}

START_TEST(a_net_that_was_not_heard_yet_is_no_life)
{
    ck_assert(!pulse_tells(&pulse, 1));
    ck_assert(pulse_asks(&pulse, 1));
    ck_assert(!pulse_asks(&pulse, 2000));
    ck_assert(!pulse_tells(&pulse, 2000));
    pulse_heard(&pulse);
    ck_assert(pulse_tells(&pulse, 2000));
}
END_TEST

START_TEST(life_is_told_four_times_in_the_watchdogs_time)
{
    unsigned told = 0;

    for (uint64_t now_ms = 1000; now_ms < 9000; now_ms += 100) {
        if (pulse_asks(&pulse, now_ms)) {
            pulse_heard(&pulse);
        }
        told += pulse_tells(&pulse, now_ms);
    }
    ck_assert_uint_eq(told, 4);
    pulse_init(&pulse, 600 * 1000);
    ck_assert_uint_eq(pulse.every_ms, PULSE_MS);
}
END_TEST

START_TEST(a_silent_net_is_no_life_and_then_lost_and_a_new_one_begins_anew)
{
    uint64_t now_ms = 1;

    ck_assert(pulse_asks(&pulse, now_ms));
    pulse_heard(&pulse);
    ck_assert(pulse_tells(&pulse, now_ms));
    /* One that is late once is not given up. */
    for (unsigned n = 0; n <= PULSE_MISSES_MAX; n++) {
        ck_assert(!pulse_is_lost(&pulse));
        now_ms += pulse.every_ms;
        ck_assert(pulse_asks(&pulse, now_ms));
        ck_assert_int_eq(pulse_tells(&pulse, now_ms), n < 2);
    }
    ck_assert(pulse_is_lost(&pulse));
    pulse_begin(&pulse);
    ck_assert(!pulse_is_lost(&pulse));
    ck_assert(pulse_asks(&pulse, now_ms));
    ck_assert(!pulse_tells(&pulse, now_ms));
    pulse_heard(&pulse);
    ck_assert(pulse_tells(&pulse, now_ms));
}
END_TEST

START_TEST(a_night_asleep_is_one_miss_at_most)
{
    ck_assert(pulse_asks(&pulse, 1));
    ck_assert(pulse_asks(&pulse, 12 * 3600 * 1000));
    ck_assert_uint_eq(pulse.misses, 1);
    pulse_heard(&pulse);
    ck_assert_uint_eq(pulse.misses, 0);
}
END_TEST

START_TEST(nobody_who_does_not_wait_is_told)
{
    pulse_init(&pulse, 0);
    pulse_begin(&pulse);
    ck_assert(pulse_asks(&pulse, 5));
    pulse_heard(&pulse);
    ck_assert(!pulse_tells(&pulse, 5));
    ck_assert_uint_eq(pulse_wait_ms(&pulse, 5), PULSE_MS);
}
END_TEST

START_TEST(one_sleeps_until_something_is_due_and_not_in_vain)
{
    ck_assert_uint_eq(pulse_wait_ms(&pulse, 10), 0);
    ck_assert(pulse_asks(&pulse, 10));
    /* Life is due, and withheld: the answer will wake us. */
    ck_assert_uint_eq(pulse_wait_ms(&pulse, 10), 2000);
    pulse_heard(&pulse);
    ck_assert(pulse_tells(&pulse, 510));
    ck_assert_uint_eq(pulse_wait_ms(&pulse, 510), 1500);
}
END_TEST

SUITE_MAIN_WITH("pulse", setup, teardown, a_net_that_was_not_heard_yet_is_no_life,
                life_is_told_four_times_in_the_watchdogs_time,
                a_silent_net_is_no_life_and_then_lost_and_a_new_one_begins_anew,
                a_night_asleep_is_one_miss_at_most, nobody_who_does_not_wait_is_told,
                one_sleeps_until_something_is_due_and_not_in_vain)
