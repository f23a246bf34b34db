#include "sync/socks.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

enum {
    VERSION = 5,
    METHOD_OPEN = 0, /* no login */
    METHOD_NONE = 255,
    COMMAND_CONNECT = 1,
    KIND_V4 = 1,
    KIND_NAME = 3,
    KIND_V6 = 4,
    REPLY_GRANTED = 0,
    REPLY_KNOWN_MAX = 8,
    V4_BYTES = 4,
    V6_BYTES = 16,
    PORT_BYTES = 2,
    METHOD_BYTES = 2,  /* version, method */
    VERDICT_BYTES = 2, /* version, reply: whatever follows a refusal is of no use */
    ADDRESS_AT = 4,    /* version, reply, nothing, kind of address */
};

static const uint8_t greeting[] = { VERSION, 1, METHOD_OPEN };

/* Kind and address: a number as a number, and a name as a name. */
static size_t
put_host(uint8_t *out, const struct endpoint *target)
{
    size_t size = strlen(target->host);

    assert(size > 0 && size <= 255);
    if (target->numeric && inet_pton(AF_INET, target->host, out + 1) == 1) {
        out[0] = KIND_V4;
        return 1 + V4_BYTES;
    }
    if (target->numeric && inet_pton(AF_INET6, target->host, out + 1) == 1) {
        out[0] = KIND_V6;
        return 1 + V6_BYTES;
    }
    out[0] = KIND_NAME;
    out[1] = (uint8_t)size;
    memcpy(out + 2, target->host, size);
    return 2 + size;
}

void
socks_begin(struct socks *socks_out, const struct endpoint *target)
{
    struct socks socks = { .state = SOCKS_GREETING, .ask = { VERSION, COMMAND_CONNECT, 0 } };

    assert(!target->ipc && target->port > 0);
    memcpy(socks.to_send, greeting, sizeof greeting);
    socks.to_send_size = sizeof greeting;
    socks.ask_size = 3;
    socks.ask_size += put_host(socks.ask + socks.ask_size, target);
    socks.ask[socks.ask_size] = (uint8_t)(target->port >> 8);
    socks.ask[socks.ask_size + 1] = (uint8_t)(target->port & 0xff);
    socks.ask_size += PORT_BYTES;
    *socks_out = socks;
}

static void
fail(struct socks *socks, enum link_reason reason)
{
    socks->state = SOCKS_FAILED;
    socks->reason = reason;
    socks->to_send_size = 0;
}

static enum link_reason
reason_of(uint8_t reply)
{
    return reply <= REPLY_KNOWN_MAX ? (enum link_reason)(LINK_PROXY_FAILED + reply - 1) : LINK_PROXY_OTHER;
}

static void
take_method(struct socks *socks)
{
    if (socks->reply[0] != VERSION) {
        fail(socks, LINK_PROXY_NOT_SOCKS);
    } else if (socks->reply[1] != METHOD_OPEN) {
        fail(socks, socks->reply[1] == METHOD_NONE ? LINK_PROXY_LOGIN : LINK_PROXY_NOT_SOCKS);
    } else {
        socks->state = SOCKS_ASKING;
        memcpy(socks->to_send, socks->ask, socks->ask_size);
        socks->to_send_size = socks->ask_size;
    }
    socks->reply_size = 0;
}

/* How long the reply is, as far as what has come of it says; 0: it is none. */
static size_t
reply_bytes(const struct socks *socks)
{
    if (socks->reply_size <= VERDICT_BYTES) {
        return socks->reply_size < VERDICT_BYTES ? VERDICT_BYTES : ADDRESS_AT;
    }
    if (socks->reply_size < ADDRESS_AT) {
        return ADDRESS_AT;
    }
    switch (socks->reply[ADDRESS_AT - 1]) {
    case KIND_V4:
        return ADDRESS_AT + V4_BYTES + PORT_BYTES;
    case KIND_V6:
        return ADDRESS_AT + V6_BYTES + PORT_BYTES;
    case KIND_NAME:
        return ADDRESS_AT + 1 +
               (socks->reply_size > ADDRESS_AT ? (size_t)socks->reply[ADDRESS_AT] + PORT_BYTES : 0);
    default:
        return 0;
    }
}

/* More of the reply is here. */
static void
take_reply(struct socks *socks)
{
    size_t wanted = reply_bytes(socks);

    if (socks->reply[0] != VERSION || wanted == 0) {
        fail(socks, LINK_PROXY_NOT_SOCKS);
    } else if (socks->reply_size >= VERDICT_BYTES && socks->reply[1] != REPLY_GRANTED) {
        fail(socks, reason_of(socks->reply[1]));
    } else if (socks->reply_size == wanted) {
        socks->state = SOCKS_DONE;
    }
}

size_t
socks_take(struct socks *socks, struct span bytes)
{
    size_t used = 0;

    while (used < bytes.size && (socks->state == SOCKS_GREETING || socks->state == SOCKS_ASKING)) {
        socks->reply[socks->reply_size] = bytes.data[used];
        socks->reply_size++;
        used++;
        if (socks->state == SOCKS_ASKING) {
            take_reply(socks);
        } else if (socks->reply_size == METHOD_BYTES) {
            take_method(socks);
        }
    }
    return used;
}
