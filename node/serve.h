/* serve.h - what a request means.
 *
 *     api --> serve_take --> [ writes: serve_write, in the turn ] --> commit
 *                            [ reads:  serve_answer, after it   ] --> api
 *
 * Every call of API.md. Requests that change something run inside of the turn's transaction, all others after its
 * commit, so that whoever asks sees what was acknowledged before. Answers leave in the order of each client's
 * requests, and none before the turn that took it in is durable.
 */
#pragma once

#include "node/api.h"
#include "node/peers.h"
#include "node/status.h"
#include "sync/replica.h"

struct serve;
struct recent;
struct security;

/* All of it outlives the serve. */
struct serve_options {
    struct replica *replica;
    struct gossip *gossip;
    struct api *api; /* NULL in tests that call serve_one */
    struct peers *peers;
    struct status *status;
    const struct config *config;
    const struct world *world;
    const char *version;
    const char *directory;
    const struct recent *recent; /* NULL: nothing that was logged is kept */
    struct security *security;   /* NULL: nothing of it is noted in the audit log */
};

/* NULL: no memory. */
struct serve *serve_new(const struct serve_options *options);
void serve_free(struct serve **serve);

/* Take over the requests that have come. */
void serve_take(struct serve *serve);

/* True if a request waits that changes something. */
bool serve_has_writes(const struct serve *serve);

/* Run them, in a turn. False: one failed half-way, and is answered so; abort the turn, begin it again, and
 * call this again: the others run once more. */
MUST_CHECK bool serve_write(struct serve *serve);

/* True if what waits here may still tell of records that were destroyed: until a turn or several have dropped that, the files are not
 * rewritten. */
bool serve_is_forgetting(const struct serve *serve);

/* True if the audit log is to be told something more before the node ends: exports that end with it, what was counted. */
bool serve_has_last_words(const struct serve *serve);

/* Note that, in the last turn. False: the turn is to be aborted. */
MUST_CHECK bool serve_stop(struct serve *serve);

/* How the turn ended. Any error: what it would have changed is refused with that. */
void serve_turn_ended(struct serve *serve, enum err err);

/* Append every metric. False: it cannot be told now; what was appended is to be dropped. */
MUST_CHECK bool serve_metrics(struct serve *serve, struct buf *out);

/* Note which peers hold the same as we do: about once a second. */
void serve_follow_peers(struct serve *serve);

/* Run what only reads, between turns, and answer everything, in order; then tell subscribers. Clients that have no room
 * are answered later. */
void serve_answer(struct serve *serve);

/* True if peers or addresses were changed by the last turn: peers_update and dial. Asking clears it. */
bool serve_peers_changed(struct serve *serve);

/* Milliseconds until a subscriber wants to be told, at most 60,000. */
uint64_t serve_wait_ms(const struct serve *serve);

/* Go on with the backup that is being taken and the bundle that is being written or read: a slice, between turns, before api_flush.
 * True: there is more to do. */
bool serve_work(struct serve *serve);

/* The name of the nth call of the API; NULL: there are no more. */
const char *serve_call_name(size_t n);

/* One call on its own, in a turn and a commit of its own if it writes: for tests. `body` is stolen. Gives the whole
 * answer: {"id":..,"ok":..} or {"id":..,"error":..}. */
json_t *serve_one(struct serve *serve, json_t *body);

/* Something was erased, and its old bytes are to go: drop what is kept of it beside the replica. Before replica_compact. */
void serve_forget(struct serve *serve);
