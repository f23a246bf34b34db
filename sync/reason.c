#include "sync/reason.h"

const char *
reason_text(enum link_reason reason)
{
    static const char *const texts[LINK_REASON_COUNT] = {
        [LINK_NO_REASON] = "no reason was given",
        [LINK_REFUSED_BY_PEER] = "the other side does not know this device's transport key (yet)",
        [LINK_WRONG_KEY] =
            "the handshake was broken off: the other side does not hold the transport key we expect",
        [LINK_NOT_VIGIL] = "what answers at that address is no Vigil node",
        [LINK_NOBODY_LISTENS] = "the connection was refused: nobody listens at that address",
        [LINK_NO_ROUTE] = "there is no route to that address: is this machine online?",
        [LINK_NO_NAME] = "the host name does not resolve",
        [LINK_NO_ANSWER] = "no answer from that address",
        [LINK_HANDSHAKE_TIMEOUT] = "the handshake timed out",
        [LINK_DISCONNECTED] = "the connection was closed or lost",
        [LINK_KEYS_RENEWED] = "the connection is made anew, for fresh session keys",
        [LINK_DUPLICATE] = "one of two connections was closed",
        [LINK_OFF_ROSTER] = "the device is no longer on the roster",
        [LINK_HUNG_UP] = "this node hung up",
        [LINK_OVERRAN] = "the other side sent more than there was room for",
        [LINK_MALFORMED] = "the other side sent a message in parts, or an empty one",
        [LINK_TOO_SLOW] = "the other side takes what is sent to it too slowly",
        [LINK_ENVELOPE_SIZE] =
            "the other side keeps a schedule, and sent an envelope of another size or beat",
        [LINK_ENVELOPE_LENGTH] = "in an envelope of the other side is what no frame is",
        [LINK_ENVELOPE_PADDING] = "an envelope of the other side holds something behind its last frame",
        [LINK_ENVELOPE_BESIDE] = "the other side sent envelopes and other frames over one connection",
        [LINK_SCHEDULE_CHANGED] = "the connection is made anew, since its schedule is another one",
        [LINK_NEEDS_PROXY] = "an .onion address is reached through a proxy alone, and none is set for it",
        [LINK_NO_TUNNEL] = "the state directory takes no socket, which the way to the proxy needs",
        [LINK_PROXY_NO_NAME] = "the proxy's own host name does not resolve",
        [LINK_PROXY_UNREACHABLE] = "the proxy cannot be reached: does it run at that address?",
        [LINK_PROXY_NO_ANSWER] = "the proxy took the call, and gave no answer in time",
        [LINK_PROXY_CLOSED] = "the proxy hung up without an answer",
        [LINK_PROXY_NOT_SOCKS] = "what answers at the proxy's address does not speak SOCKS 5",
        [LINK_PROXY_LOGIN] = "the proxy wants a login, which this node has none of",
        [LINK_PROXY_FAILED] = "the proxy failed, and does not say at what",
        [LINK_PROXY_FORBIDS] = "the proxy's rules forbid this call",
        [LINK_PROXY_NO_NETWORK] = "the proxy says that the network is unreachable from where it is",
        [LINK_PROXY_NO_HOST] = "the proxy says that it cannot reach or does not know that host",
        [LINK_PROXY_NOBODY_LISTENS] = "the proxy says that nobody listens at that address",
        [LINK_PROXY_EXPIRED] = "the proxy says that the way to that host is too long or took too long",
        [LINK_PROXY_NO_COMMAND] = "the proxy does not make calls for others",
        [LINK_PROXY_NO_ADDRESS] = "the proxy does not know addresses of this kind",
        [LINK_PROXY_OTHER] = "the proxy refused, for a reason that SOCKS 5 does not know",
        [LINK_STRANGER] = "a transport key that is not on the roster",
        [LINK_NO_HANDSHAKE] = "a connection that did not finish a handshake",
        [LINK_NO_IDENTITY] =
            "a message without an identity that we gave, or of a device that left the roster",
        [LINK_OWN_ROUTING_ID] = "a connection that chose its own routing id",
        [LINK_STALE_CONNECTION] = "a message over a connection that had ended",
        [LINK_CROWDED] = "too many connections at one time",
        [LINK_CANNOT_LISTEN] = "an address cannot be listened on",
        [LINK_DOOR_OPEN] = "the self-test failed: libzmq let a stranger in",
        [LINK_NO_FILES] = "file descriptors ran out: listening rests for a few seconds",
        [LINK_TOO_MANY_PEERS] = "too many peers at one time",
        [LINK_NOT_SENT] = "a message for a device that is not connected was dropped",
        [LINK_MEMORY_NOT_LOCKED] = "memory cannot be locked: the transport key may reach the swap area",
        [LINK_SANDBOX_INCOMPLETE] = "the sandbox of the net process is not whole",
        [LINK_BAD_ORDER] = "an order of the store could not be carried out",
        [LINK_METRICS_NOT_SERVED] = "metrics cannot be shown where node.conf says: the address is taken",
    };

    return (unsigned)reason < LINK_REASON_COUNT ? texts[reason] : texts[LINK_NO_REASON];
}

bool
reason_is_refusal(enum link_reason reason)
{
    return reason <= LINK_CROWDED;
}

bool
reason_is_of_proxy(enum link_reason reason)
{
    return reason >= LINK_NEEDS_PROXY && reason <= LINK_PROXY_OTHER;
}

bool
reason_is_of_security(enum link_reason reason)
{
    switch (reason) {
    case LINK_WRONG_KEY:
    case LINK_OFF_ROSTER:
    case LINK_OVERRAN:
    case LINK_MALFORMED:
    case LINK_ENVELOPE_SIZE:
    case LINK_ENVELOPE_LENGTH:
    case LINK_ENVELOPE_PADDING:
    case LINK_ENVELOPE_BESIDE:
    case LINK_DOOR_OPEN:
    case LINK_NO_FILES:
    case LINK_TOO_MANY_PEERS:
    case LINK_MEMORY_NOT_LOCKED:
    case LINK_SANDBOX_INCOMPLETE:
    case LINK_BAD_ORDER:
        return true;
    default:
        return false;
    }
}
