/* knock.c - a stranger who knocks at a node's door, for badinput.test.
 *
 *     knock PORT REQUEST    with a key of its own that nobody certified; REQUEST is the file of the node, which
 *                           names its transport key
 *
 * Does the CURVE handshake to its end and asks to be let in, until the node hangs up. After the WELCOME, by which the
 * node proves that it holds its key, a stranger may hear that the handshake failed (the ERROR command of
 * ZMTP with 400) and not one byte more. Prints what was heard: "refused 0", with the number of bytes after that.
 */
#include "tests/support/stranger.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 120000 };

/* Wait for so many bytes in all, or for the end. False: neither came. */
static bool
hear(struct stranger *stranger, size_t bytes)
{
    while (stranger->heard.size < bytes && !stranger->ended) {
        struct pollfd ready = { .fd = stranger->fd, .events = POLLIN };
        if (poll(&ready, 1, WAIT_MS) <= 0) {
            return false;
        }
        stranger_hear(stranger);
    }
    return true;
}

int
main(int argc, char **argv)
{
    struct request request;
    struct stranger stranger;
    struct buf metadata = { 0 };

    if (argc != 3 || crypto_start() != ERR_OK || !stranger_read_request(argv[2], &request)) {
        (void)fputs("usage: knock PORT REQUEST\n", stderr);
        return 2;
    }
    stranger_open(&stranger, (uint16_t)strtoul(argv[1], NULL, 10), NULL);
    stranger_greet(&stranger, "CURVE");
    bool good = hear(&stranger, STRANGER_GREETING);
    stranger_say_hello(&stranger, request.transport_pk);
    good = good && hear(&stranger, STRANGER_WELCOME);
    stranger_property(&metadata, "Socket-Type", "DEALER");
    good = good && stranger_say_initiate(&stranger, buf_span(&metadata));
    (void)stranger_send(&stranger, span_text("let me in"), false);
    good = good && hear(&stranger, SIZE_MAX);
    size_t after;
    good = good && stranger_was_refused(&stranger, &after);
    if (!good) {
        (void)fputs("knock: the handshake did not go as far as a stranger's does\n", stderr);
    } else {
        (void)printf("refused %zu\n", after);
    }
    buf_free(&metadata);
    stranger_close(&stranger);
    return good ? 0 : 1;
}
