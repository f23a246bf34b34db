/* reason.h - why a connection ended, was refused, or was never made.
 *
 * A number, since it comes from the process that meets strangers and may be
 * theirs one day: what people read is chosen on our side of the channel.
 */
#pragma once

#include <stdbool.h>

/* Why something ended or was refused. The numbers go over the channel. */
enum link_reason {
    LINK_NO_REASON = 0,
    /* a connection that ended, or was never made */
    LINK_REFUSED_BY_PEER,
    LINK_WRONG_KEY,
    LINK_NOT_VIGIL,
    LINK_NOBODY_LISTENS,
    LINK_NO_ROUTE,
    LINK_NO_NAME,
    LINK_NO_ANSWER,
    LINK_HANDSHAKE_TIMEOUT,
    LINK_DISCONNECTED,
    LINK_KEYS_RENEWED,
    LINK_DUPLICATE,
    LINK_OFF_ROSTER,
    LINK_HUNG_UP,
    LINK_OVERRAN,
    LINK_MALFORMED,
    LINK_TOO_SLOW,
    LINK_ENVELOPE_SIZE,
    LINK_ENVELOPE_LENGTH,
    LINK_ENVELOPE_PADDING,
    LINK_ENVELOPE_BESIDE,
    LINK_SCHEDULE_CHANGED,
    /* one that was to go through a proxy, and was never made */
    LINK_NEEDS_PROXY,
    LINK_NO_TUNNEL,
    LINK_PROXY_NO_NAME,
    LINK_PROXY_UNREACHABLE,
    LINK_PROXY_NO_ANSWER,
    LINK_PROXY_CLOSED,
    LINK_PROXY_NOT_SOCKS,
    LINK_PROXY_LOGIN,
    LINK_PROXY_FAILED, /* this and the next seven: what SOCKS 5 calls 1 to 8 */
    LINK_PROXY_FORBIDS,
    LINK_PROXY_NO_NETWORK,
    LINK_PROXY_NO_HOST,
    LINK_PROXY_NOBODY_LISTENS,
    LINK_PROXY_EXPIRED,
    LINK_PROXY_NO_COMMAND,
    LINK_PROXY_NO_ADDRESS,
    LINK_PROXY_OTHER,
    /* what was refused at our door */
    LINK_STRANGER,
    LINK_NO_HANDSHAKE,
    LINK_NO_IDENTITY,
    LINK_OWN_ROUTING_ID,
    LINK_STALE_CONNECTION,
    LINK_CROWDED,
    /* what an operator should know */
    LINK_CANNOT_LISTEN,
    LINK_DOOR_OPEN,
    LINK_NO_FILES,
    LINK_TOO_MANY_PEERS,
    LINK_NOT_SENT,
    LINK_MEMORY_NOT_LOCKED,
    LINK_SANDBOX_INCOMPLETE,
    LINK_BAD_ORDER,
    LINK_METRICS_NOT_SERVED,
    LINK_REASON_COUNT
};

/* One sentence for people, without a full stop. Never NULL, whatever `reason` is. */
const char *reason_text(enum link_reason reason);

/* True if it is a refusal of something that came to our door, rather than a warning. */
bool reason_is_refusal(enum link_reason reason);

/* True if a connection was never made for want of a proxy, or because that failed or refused. */
bool reason_is_of_proxy(enum link_reason reason);

/* True if a connection that ended so, or a warning, may be somebody's attack, or leaves an attack more than it should find. */
bool reason_is_of_security(enum link_reason reason);
