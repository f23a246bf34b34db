#include "tests/support/check.h"

#include "sync/peer.h"

#include <stdlib.h>
#include <string.h>

static struct peer *peer;

static void
meet(void)
{
    peer = calloc(1, sizeof *peer);
    ck_assert_ptr_nonnull(peer);
    memset(peer->device_id.bytes, 1, HASH_BYTES);
}

static void
part(void)
{
    peer_free(peer);
}

/* The kinds of all events that are to be told, in order, as one number: 12 is UP, then DOWN. */
static int
told(void)
{
    struct link_event event;
    int kinds = 0;

    while (peer_take_event(peer, &event)) {
        ck_assert(hash_equal(&event.device_id, &peer->device_id));
        kinds = kinds * 10 + (int)event.kind;
    }
    return kinds;
}

START_TEST(up_is_told_once_and_down_with_each_end)
{
    ck_assert_int_eq(told(), 0);
    peer->in.open = true;
    peer_opened(peer);
    ck_assert_int_eq(told(), LINK_UP);
    peer->out.state = DIAL_OPEN;
    peer_opened(peer);
    ck_assert_int_eq(told(), 0);
    /* One of two ends: what was sent may be lost, so all begins anew. */
    peer->in.open = false;
    peer_ended(peer, LINK_DISCONNECTED);
    ck_assert_int_eq(told(), LINK_DOWN * 10 + LINK_UP);
    peer->out.state = DIAL_WAITING;
    peer_ended(peer, LINK_DISCONNECTED);
    ck_assert_int_eq(told(), LINK_DOWN);
    /* Gone and back before anybody listened. */
    peer->in.open = true;
    peer_opened(peer);
    ck_assert_int_eq(told(), LINK_UP);
    peer_ended(peer, LINK_DUPLICATE);
    peer_opened(peer);
    ck_assert_int_eq(told(), LINK_DOWN * 10 + LINK_UP);
}
END_TEST

START_TEST(only_who_came_by_itself_and_left_or_is_to_go_is_forgotten)
{
    peer_ended(peer, LINK_DUPLICATE);
    ck_assert_int_eq(told(), LINK_DOWN);
    ck_assert(!peer_is_spent(peer));
    peer->out.state = DIAL_WAITING;
    peer_ended(peer, LINK_DISCONNECTED);
    ck_assert_int_eq(told(), LINK_DOWN);
    ck_assert(!peer_is_spent(peer));
    peer->out.state = DIAL_OFF;
    peer_ended(peer, LINK_DISCONNECTED);
    ck_assert(!peer_is_spent(peer));
    ck_assert_int_eq(told(), LINK_DOWN);
    ck_assert(peer_is_spent(peer));
    peer_opened(peer);
    ck_assert(!peer_is_spent(peer));
    peer->gone = true;
    peer_ended(peer, LINK_OFF_ROSTER);
    ck_assert_int_eq(told(), LINK_DOWN);
    ck_assert(peer_is_spent(peer));
}
END_TEST

START_TEST(waits_double_up_to_the_longest_and_are_never_the_same_beat)
{
    uint64_t expected = 1000;

    for (int i = 0; i < 40; i++) {
        peer->out.state = DIAL_CONNECTING;
        peer->out.failures = (uint32_t)i;
        peer_plan_redial(peer, 1000, 600 * 1000, 5000, 0);
        ck_assert_int_eq(peer->out.state, DIAL_WAITING);
        ck_assert_uint_eq(peer->out.at_ms, 5000 + expected / 2);
        peer->out.failures = (uint32_t)i;
        peer_plan_redial(peer, 1000, 600 * 1000, 5000, UINT32_MAX);
        ck_assert_uint_eq(peer->out.at_ms, 5000 + expected / 2 + expected - 1);
        expected = expected * 2 < 600 * 1000 ? expected * 2 : 600 * 1000;
    }
    /* After a connection that held, the first wait is short again; after one that broke at once it is not. */
    peer->out.state = DIAL_OPEN;
    peer->out.at_ms = 0;
    peer_plan_redial(peer, 1000, 600 * 1000, 60 * 1000, 0);
    ck_assert_uint_eq(peer->out.at_ms, 60 * 1000 + 500);
    peer->out.state = DIAL_OPEN;
    peer->out.at_ms = 70 * 1000;
    peer_plan_redial(peer, 1000, 600 * 1000, 70 * 1000, 0);
    ck_assert_uint_eq(peer->out.at_ms, 70 * 1000 + 1000);
}
END_TEST

/* On a line that breaks every few seconds what is carried in between is all there is. */
START_TEST(a_line_that_keeps_breaking_is_soon_tried_again)
{
    for (int i = 0; i < 40; i++) {
        peer->out.state = DIAL_OPEN;
        peer->out.at_ms = 70 * 1000;
        peer_plan_redial(peer, 1000, 600 * 1000, 71 * 1000, UINT32_MAX);
        ck_assert_uint_le(peer->out.at_ms, 71 * 1000 + 6000);
    }
    /* Where nobody answers, the wait grows on. */
    for (int i = 0; i < 4; i++) {
        peer->out.state = DIAL_CONNECTING;
        peer_plan_redial(peer, 1000, 600 * 1000, 71 * 1000, 0);
    }
    ck_assert_uint_ge(peer->out.at_ms, 71 * 1000 + 16000);
}
END_TEST

START_TEST(the_last_connections_that_ended_are_remembered)
{
    ck_assert(!peer_has_retired(peer, 0));
    for (uint32_t i = 0; i < 20; i++) {
        peer->in.number = i;
        peer_retire(peer);
        for (uint32_t j = 0; j < 20; j++) {
            ck_assert_int_eq(peer_has_retired(peer, j), j <= i && j + PEER_RETIRED_COUNT > i);
        }
    }
}
END_TEST

START_TEST(what_is_held_comes_back_in_order_and_never_exceeds_its_bound)
{
    static uint8_t bytes[LINK_HELD_BYTES / 8];
    uint8_t in = 0;
    uint8_t out = 0;

    ck_assert(!peer_holds(peer));
    /* Seven fit with their lengths; for as long as one is taken for each that comes, for ever. */
    for (int i = 0; i < 100; i++) {
        bytes[0] = in;
        ck_assert(peer_hold(peer, span_of(bytes, sizeof bytes)));
        in++;
        if (i >= 6) {
            ck_assert_uint_eq(peer_oldest_held(peer).size, sizeof bytes);
            ck_assert_uint_eq(peer_oldest_held(peer).data[0], out);
            peer_drop_oldest_held(peer);
            out++;
        }
    }
    ck_assert_uint_le(peer->held.capacity, 4 * LINK_HELD_BYTES);
    ck_assert(peer_hold(peer, span_of(bytes, sizeof bytes)));
    ck_assert(!peer_hold(peer, span_of(bytes, sizeof bytes)));
    /* An end empties it, and makes room. */
    peer->no_room = true;
    peer_ended(peer, LINK_OVERRAN);
    ck_assert(!peer_holds(peer));
    ck_assert(!peer->no_room);
}
END_TEST

SUITE_MAIN_WITH("peer", meet, part, up_is_told_once_and_down_with_each_end,
                only_who_came_by_itself_and_left_or_is_to_go_is_forgotten,
                waits_double_up_to_the_longest_and_are_never_the_same_beat,
                a_line_that_keeps_breaking_is_soon_tried_again,
                the_last_connections_that_ended_are_remembered,
                what_is_held_comes_back_in_order_and_never_exceeds_its_bound)
