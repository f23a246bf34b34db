/* scrape.h - the metrics over HTTP, for a Prometheus on this machine.
 *
 *     GET /metrics HTTP/1.x --> [ one small request, 5 seconds, 8 connections ] --> ask the store --> answer, close
 *
 * In the net process, which has no metrics of its own: the store gives the text. On loopback alone, and only to who calls this machine by a
 * name of loopback: a page in a browser could else have it called by a name of its own.
 */
#pragma once

#include "store/base/err.h"
#include "store/base/bytes.h"

#include <sys/socket.h>

enum { SCRAPE_CLIENTS_MAX = 8, SCRAPE_REQUEST_BYTES = 1024, SCRAPE_MS_MAX = 5000 };

struct scrape;

/* "127.0.0.1:9464" or "[::1]:9464". False: it is not of this form, or no address of loopback. `out` and `size_out` may be NULL. */
bool scrape_address(const char *text, struct sockaddr_storage *out, socklen_t *size_out);

/* Listen there. ERR_INVALID: not such an address; ERR_BUSY: it is taken; ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err scrape_open(struct scrape **scrape_out, const char *address);
void scrape_close(struct scrape **scrape);

/* Readable when scrape_work has something to do. Lent. */
int scrape_fd(const struct scrape *scrape);

/* Accept, read, write and hang up, without waiting. True: somebody waits for metrics, and the store has not been asked since. `now_ms` of a
 * clock that never goes back. */
bool scrape_work(struct scrape *scrape, uint64_t now_ms);

/* Give everybody who waits this text; empty: there is none now. */
void scrape_answer(struct scrape *scrape, struct span text, uint64_t now_ms);

/* Milliseconds until somebody has had his time; UINT32_MAX: nobody is there. */
uint32_t scrape_wait_ms(const struct scrape *scrape, uint64_t now_ms);

/* --- pure, for tests and fuzzing --- */

enum scrape_request {
    SCRAPE_MORE,    /* not whole yet */
    SCRAPE_GOOD,    /* it asks for /metrics */
    SCRAPE_BAD,     /* 400: no request of HTTP */
    SCRAPE_FOREIGN, /* 403: it calls this machine by another name */
    SCRAPE_ABSENT,  /* 404: it asks for something else */
    SCRAPE_NOT_GET, /* 405 */
};

enum scrape_request scrape_parse(struct span request);
