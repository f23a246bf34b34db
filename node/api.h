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

/* One request, owned by the caller of api_next: json_decref it. */
struct api_request {
    uint64_t client_no; /* where the answer goes; never given to another client */
    int64_t id;
    const char *call; /* its "do"; lent from `body` */
    json_t *body;
};

/* Listen at `directory`/api. ERR_BUSY: somebody listens there. ERR_INVALID: the path is longer than a socket's
 * may be. ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err api_open(struct api **api_out, const char *directory);
/* Closes every client and removes the socket. */
void api_close(struct api **api);

/* Add what to wait for to `fds`; gives how many were added, at most `room` (API_CLIENTS_MAX + 1 are enough). */
size_t api_poll_fds(struct api *api, struct pollfd *fds, size_t room);

/* Accept and read whatever is there, without waiting. */
void api_gather(struct api *api);

/* True if a whole line waits to be served. */
bool api_has_request(const struct api *api);

/* The next request of this turn, each client in its turn; what is no request is answered here with `usage`.
 * False: there is no more. */
bool api_next(struct api *api, struct api_request *request_out);

/* True if the client is gone, or its queue can take one more answer: else put the answer off until a flush made
 * room. */
bool api_has_room(const struct api *api, uint64_t client_no);

/* True while the client is connected. */
bool api_has_client(const struct api *api, uint64_t client_no);

/* False: it is gone, or has closed its end for good while requests of it are still on their way: nobody hears what it is answered. */
bool api_is_heard(const struct api *api, uint64_t client_no);

/* Answers: queued now, sent by api_flush, dropped if the client is gone. `ok` is stolen. An answer longer
 * than a line may be becomes a refusal with the code "full". */
void api_answer(struct api *api, const struct api_request *request, json_t *ok);
void api_refuse(struct api *api, const struct api_request *request, const char *code, const char *message,
                const char *hint);

/* The request began a subscription: events are its answer. */
void api_subscribed(struct api *api, const struct api_request *request);

/* An event of the subscription `id` of a client, by its number: false if that client is gone. `event` is stolen. */
bool api_event(struct api *api, uint64_t client_no, int64_t id, json_t *event);

/* Send what is queued, as far as the sockets take it. */
void api_flush(struct api *api);

/* --- pure, for tests and fuzzing --- */

/* Take one line (without its newline) apart. NULL: not a request; `why_out` says what is wrong. */
json_t *api_parse(struct span line, int64_t *id_out, const char **call_out, const char **why_out);
