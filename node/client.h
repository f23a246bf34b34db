/* client.h - the other end of the local API: what every tool talks through.
 *
 *     tool -- {"id":1,"do":"status"} -->  DIR/api  -->  the node
 *          <-- {"id":1,"ok":{...}} ----
 *
 * One JSON object a line, at most CLIENT_LINE_BYTES_MAX, in both directions. Requests are
 * answered in order, so many may be on their way at once; events come between answers. What a
 * call takes and gives is in API.md. A client belongs to one thread.
 */
#pragma once

#include "store/base/err.h"

#include <jansson.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CLIENT_LINE_BYTES_MAX = 1 << 20, /* of a line, its newline not counted */
    CLIENT_TEXT_BYTES = 512,
};

/* Where a node keeps its state if nobody says otherwise. */
#define CLIENT_STATE_DIR "/var/lib/vigil"

/* Code of a fault that has no `enum err`: no node answers in that directory. */
#define CLIENT_STOPPED "stopped"

/* Why something was refused, for people and for scripts. Longer texts are cut. */
struct client_fault {
    char code[32];                   /* err_code(), "usage", "unknown" or CLIENT_STOPPED */
    char message[CLIENT_TEXT_BYTES]; /* what is wrong, one sentence without a full stop */
    char hint[CLIENT_TEXT_BYTES];    /* what to do; may be empty */
};

/* One line from the node: exactly one of `ok` and `event` is there, or neither and `fault` says why. */
struct client_answer {
    int64_t id; /* of the request */
    json_t *ok;
    json_t *event;
    struct client_fault fault;
};

struct client;

/* Fill in a fault, cutting what is too long between characters. `message` is as for printf. */
void client_fault_set(struct client_fault *fault, const char *code, const char *hint, const char *message,
                      ...) __attribute__((format(printf, 4, 5)));

/* The state directory: `option` if it is not NULL, else $VIGIL_NODE if it is set and not empty, else
 * CLIENT_STATE_DIR. Lent. */
const char *client_state_dir(const char *option);

/* Connect to the node whose state directory is `dir`.
 * ERR_ABSENT: there is no such directory, or no node runs in it. ERR_DENIED: the directory or the
 * socket is not ours, or somebody else listens. ERR_IO, ERR_MEMORY. */
MUST_CHECK enum err client_open(struct client **client_out, const char *dir, struct client_fault *fault_out);
void client_close(struct client **client);

/* Send `request` (an object; the reference is taken) under a new id, without waiting for its answer;
 * answers that arrive meanwhile are kept. ERR_FULL: longer than a line may be, nothing was sent.
 * ERR_BUSY: the node took nothing in for `wait_ms`. ERR_IO: it went away. ERR_MEMORY. After any
 * but ERR_FULL the connection is of no more use. */
MUST_CHECK enum err client_send(struct client *client, json_t *request, int wait_ms, int64_t *id_out,
                                struct client_fault *fault_out);

/* The next line from the node, of whichever request. Waits at most `wait_ms`; -1 waits for ever.
 * ERR_BUSY: nothing came in that time; one may ask again. ERR_IO: the node went away. ERR_INVALID: it
 * sent what is no answer. ERR_MEMORY. Free an answer with client_answer_free. */
MUST_CHECK enum err client_receive(struct client *client, int wait_ms, struct client_answer *answer_out,
                                   struct client_fault *fault_out);
void client_answer_free(struct client_answer *answer);

/* Send one request (its reference is taken) and wait for its answer, at most `wait_ms`. On ERR_OK
 * `ok_out` is an object that the caller owns. Any error of the node's answer comes back as its own
 * `enum err` (ERR_INVALID for "usage" and "unknown", and for a code of a newer node), in its words. */
MUST_CHECK enum err client_call(struct client *client, json_t *request, int wait_ms, json_t **ok_out,
                                struct client_fault *fault_out);

/* The `enum err` of a code, ERR_INVALID if it is none. */
enum err client_err(const char *code);

#ifdef __cplusplus
}
#endif
