/* knock.c - a stranger who knocks at a node's door, for badinput.test.
 *
 *     knock PORT REQUEST    with a key of its own that nobody certified; REQUEST is the file of the node, which
 *                           names its transport key
 *
 * Does the CURVE handshake to its end and asks to be let in, until the node hangs up. After the WELCOME, by which the
 * node proves that it holds its key, a stranger may hear that the handshake failed (the ERROR command of
 * ZMTP with 400) and not one byte more. Prints what was heard: "refused 0", with the number of bytes after that.
 */
#include "sync/joining.h"
#include "tests/support/stranger.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 120000, REQUEST_BYTES_MAX = 16384 };

static bool
read_request(const char *path, struct request *request_out)
{
    struct buf file = { 0 };
    FILE *from = fopen(path, "r");

    for (int byte; from != NULL && file.size < REQUEST_BYTES_MAX && (byte = fgetc(from)) != EOF;) {
        buf_put_u8(&file, (uint8_t)byte);
    }
    bool good = from != NULL && request_read(buf_span(&file), request_out, NULL) == ERR_OK;
    if (from != NULL) {
        (void)fclose(from);
    }
    buf_free(&file);
    return good;
}

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

    if (argc != 3 || crypto_start() != ERR_OK || !read_request(argv[2], &request)) {
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
    static const uint8_t error[] = "\4\12\5ERROR\003400";
    struct span after = { 0 };
    if (good) {
        after = span_of(stranger.heard.data + STRANGER_WELCOME, stranger.heard.size - STRANGER_WELCOME);
        good = after.size >= sizeof error - 1 && memcmp(after.data, error, sizeof error - 1) == 0;
    }
    if (!good) {
        (void)fputs("knock: the handshake did not go as far as a stranger's does\n", stderr);
    } else {
        (void)printf("refused %zu\n", after.size - (sizeof error - 1));
    }
    buf_free(&metadata);
    stranger_close(&stranger);
    return good ? 0 : 1;
}
