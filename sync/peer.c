#include "sync/peer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_BYTES = 4,
    STEADY_MS = 10 * 1000, /* a connection that lasted so long was no failed attempt */
    DOUBLINGS_MAX = 20,
    OPENED_DOUBLINGS_MAX =
        2, /* after a connection that opened: a line that keeps breaking still carries something */
};

void
peer_free(struct peer *peer)
{
    buf_free(&peer->held);
    envelope_in_clear(&peer->in.mail);
    envelope_in_clear(&peer->out.mail);
    envelope_out_clear(&peer->outgoing);
    free(peer);
}

bool
peer_is_connected(const struct peer *peer)
{
    return (peer->in.open && !peer->in.closing) ||
           (peer->out.state == DIAL_OPEN && peer->out.closing == LINK_NO_REASON);
}

void
peer_opened(struct peer *peer)
{
    peer->tell_up = !peer->told_up || peer->tell_down != LINK_NO_REASON;
    peer->spent = false;
}

void
peer_ended(struct peer *peer, enum link_reason reason)
{
    peer->tell_down = reason;
    peer->tell_up = peer_is_connected(peer);
    buf_free(&peer->held);
    peer->held_at = 0;
    peer->no_room = false;
    envelope_out_clear(&peer->outgoing);
    peer->beat_ms = peer_is_connected(peer) ? peer->beat_ms : 0;
}

bool
peer_take_event(struct peer *peer, struct link_event *event_out)
{
    if (peer->tell_down != LINK_NO_REASON) {
        *event_out =
            (struct link_event){ .kind = LINK_DOWN, .reason = peer->tell_down, .device_id = peer->device_id };
        peer->spent = peer->gone ||
                      (peer->tell_down == LINK_DISCONNECTED && peer->out.state == DIAL_OFF && !peer->in.open);
        peer->tell_down = LINK_NO_REASON;
        peer->told_up = false;
        return true;
    }
    if (peer->tell_up) {
        *event_out = (struct link_event){ .kind = LINK_UP, .device_id = peer->device_id };
        peer->tell_up = false;
        peer->told_up = true;
        return true;
    }
    if (peer->sent > 0 || peer->received > 0) {
        *event_out = (struct link_event){ .kind = LINK_ENVELOPES,
                                          .device_id = peer->device_id,
                                          .sent = peer->sent,
                                          .sent_bytes = peer->schedule.bytes,
                                          .received = peer->received,
                                          .theirs = peer->theirs };
        peer->sent = 0;
        peer->received = 0;
        return true;
    }
    return false;
}

bool
peer_sends_in(const struct peer *peer)
{
    bool in_open = peer->in.open && !peer->in.closing;
    bool out_open = peer->out.state == DIAL_OPEN && peer->out.closing == LINK_NO_REASON;

    return in_open && (peer->spoke_last_in || !out_open);
}

uint64_t
peer_connection(const struct peer *peer)
{
    return peer_sends_in(peer) ? UINT64_C(1) << 32 | peer->in.number : UINT64_C(2) << 32 | peer->out.number;
}

void
peer_plan_beat(struct peer *peer, uint64_t now_ms)
{
    uint64_t beat = (uint64_t)peer->schedule.beat_s * 1000;

    peer->beat_ms += ((now_ms - peer->beat_ms) / beat + 1) * beat;
}

bool
peer_is_spent(const struct peer *peer)
{
    return peer->spent && peer->sent == 0 && peer->received == 0;
}

void
peer_retire(struct peer *peer)
{
    peer->retired[peer->retired_count % PEER_RETIRED_COUNT] = peer->in.number;
    peer->retired_count++;
}

bool
peer_has_retired(const struct peer *peer, uint32_t number)
{
    for (size_t i = 0; i < peer->retired_count && i < PEER_RETIRED_COUNT; i++) {
        if (peer->retired[i] == number) {
            return true;
        }
    }
    return false;
}

void
peer_plan_redial(struct peer *peer, uint32_t ms_min, uint32_t ms_max, uint64_t now_ms, uint32_t chance)
{
    struct outbound *out = &peer->out;

    if (out->state == DIAL_OPEN && now_ms - out->at_ms >= STEADY_MS) {
        out->failures = 0;
    } else if (out->state == DIAL_OPEN && out->failures > OPENED_DOUBLINGS_MAX) {
        out->failures = OPENED_DOUBLINGS_MAX;
    }
    uint64_t wait_ms = (uint64_t)ms_min << (out->failures < DOUBLINGS_MAX ? out->failures : DOUBLINGS_MAX);
    wait_ms = wait_ms < ms_max ? wait_ms : ms_max;
    out->failures++;
    out->state = DIAL_WAITING;
    out->at_ms = now_ms + wait_ms / 2 + (wait_ms * chance >> 32);
}

bool
peer_hold(struct peer *peer, struct span bytes)
{
    struct buf *held = &peer->held;

    if (peer->held_at > held->size / 2) {
        memmove(held->data, held->data + peer->held_at, held->size - peer->held_at);
        held->size -= peer->held_at;
        peer->held_at = 0;
    }
    if (held->size - peer->held_at + LENGTH_BYTES + bytes.size > LINK_HELD_BYTES) {
        return false;
    }
    buf_put_u32(held, (uint32_t)bytes.size);
    buf_put_span(held, bytes);
    return !held->failed;
}

bool
peer_holds(const struct peer *peer)
{
    return peer->held_at < peer->held.size;
}

struct span
peer_oldest_held(const struct peer *peer)
{
    const uint8_t *at = peer->held.data + peer->held_at;

    assert(peer_holds(peer));
    return span_of(at + LENGTH_BYTES, bytes_read_u32(at));
}

void
peer_drop_oldest_held(struct peer *peer)
{
    peer->held_at += LENGTH_BYTES + peer_oldest_held(peer).size;
}
