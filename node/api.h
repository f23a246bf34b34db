/* api.h - the local API's door: a Unix socket, one JSON object a line.
 *
 *     clients --lines--> api_gather --> requests of this turn --> serve
 *     clients <--lines-- api_flush  <-- answers, after the commit
 *
 * Lines are taken apart and answers queued here; what a request means is serve.h. The
 * socket is DIR/api, mode 0600, and the other end must have our uid. A client that does
 * not read its answers is not read from, and one that lets them pile up is hung up on.
 */
#pragma once

#include "store/base/bytes.h"
#include "store/base/err.h"

#include <jansson.h>
#include <poll.h>

enum {
    API_LINE_BYTES_MAX = 1 << 20,
    API_QUEUE_BYTES_MAX = 8 << 20, /* answers that wait for one client */
    API_CLIENTS_MAX = 64,
    API_TURN_REQUESTS_MAX = 1024, /* of one turn, so that peers are heard too */
};

struct api;
struct api_client;

/* One request, owned by the caller of api_next: json_decref it. */
struct api_request {
    struct api_client *client; /* where the answer goes; good until the client is closed */
    uint64_t client_no;        /* never used again: tells a client from its successor */
    int64_t id;
    const char *call; /* its "do"; lent from `body` */
    json_t *body;
};

/* Listen at `directory`/api. ERR_BUSY: somebody listens there. ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err api_open(struct api **api_out, const char *directory);
/* Closes every client and removes the socket. */
void api_close(struct api **api);

/* Add what to wait for to `fds`; gives how many were added, at most `room`. */
size_t api_poll_fds(struct api *api, struct pollfd *fds, size_t room);

/* Accept and read whatever is there, without waiting. */
void api_gather(struct api *api);

/* True if a whole line waits to be served. */
bool api_has_request(const struct api *api);

/* The next request of this turn, each client in its turn; what is no request is answered here with `usage`.
 * False: there is no more. */
bool api_next(struct api *api, struct api_request *request_out);

/* Answers: queued now, sent by api_flush. `ok` is stolen. */
void api_answer(struct api_request *request, json_t *ok);
void api_refuse(struct api_request *request, const char *code, const char *message, const char *hint);

/* An event of the subscription `id` of a client, by its number: false if that client is gone. `event` is stolen. */
bool api_event(struct api *api, uint64_t client_no, int64_t id, json_t *event);

/* Send what is queued, as far as the sockets take it. */
void api_flush(struct api *api);

/* --- pure, for tests and fuzzing --- */

/* Take one line (without its newline) apart. NULL: not a request; `why_out` says what is wrong. */
json_t *api_parse(struct span line, int64_t *id_out, const char **call_out, const char **why_out);
