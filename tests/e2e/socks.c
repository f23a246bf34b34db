/* socks.c - a SOCKS 5 proxy for the scripts of this folder.
 *
 *     e2e-socks TARGET LISTEN LOG
 *
 * Listens on port LISTEN of loopback, says "listening" and leads whatever it is asked for to port TARGET. LOG gets a line for
 * each question: "name HOST PORT", or "number ADDRESS PORT" where no name was to be looked up. It ends on a signal.
 */
#include "tests/support/fake_proxy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 1000, KIND_NAME = 3 };

static void
note(const struct fake_proxy *proxy, void *log)
{
    (void)fprintf(log, "%s %s %u\n", proxy->kind == KIND_NAME ? "name" : "number", proxy->host,
                  proxy->host_port);
    (void)fflush(log);
}

int
main(int argc, char **argv)
{
    static struct fake_proxy proxy;

    (void)signal(SIGPIPE, SIG_IGN);
    FILE *log = argc == 4 ? fopen(argv[3], "ae") : NULL;
    if (log == NULL || !fake_proxy_open(&proxy, (uint16_t)atoi(argv[2]), (uint16_t)atoi(argv[1]))) {
        (void)fprintf(stderr, "e2e-socks: it cannot listen, or cannot write\n");
        return 1;
    }
    proxy.on_asked = note;
    proxy.self = log;
    (void)printf("listening\n");
    (void)fflush(stdout);
    for (;;) {
        fake_proxy_turn(&proxy, WAIT_MS);
    }
}
