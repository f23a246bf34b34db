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
        [LINK_BAD_ORDER] = "an order of the store could not be carried out",
    };

    return (unsigned)reason < LINK_REASON_COUNT ? texts[reason] : texts[LINK_NO_REASON];
}

bool
reason_is_refusal(enum link_reason reason)
{
    return reason <= LINK_CROWDED;
}
