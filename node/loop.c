#include "node/loop.h"

#include "node/channel.h"
#include "node/net.h"
#include "node/notify.h"
#include "node/pulse.h"
#include "node/recent.h"
#include "node/security.h"
#include "node/serve.h"
#include "node/spawn.h"
#include "store/base/log.h"
#include "sync/gossip.h"
#include "sync/restore.h"
#include "sync/scrub.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CREDIT_BYTES = 1 << 20, /* what a peer may have on its way to us */
    TURN_FRAMES_MAX = 4096, /* taken from the channel in one turn, so that people are heard too */
    TURN_BYTES_MAX = 4 << 20,
    WAIT_MS_MAX = 1000,
    FIRST_TURNS_MAX = 8,
    SLOW_MS = 2000,               /* a turn that people notice */
    URGENT_REDIAL_MS = 60 * 1000, /* between calls for urgent news on one metered line */
    METRICS_MS = 1000,
    FOLLOW_MS = 1000,
    RETRY_MS = 5000,    /* after a turn that failed */
    STOP_MS_MAX = 2000, /* to say goodbye to peers */
    STATED_ENDPOINT_S = 400 * 24 * 3600,
    HOUR_MS = 3600 * 1000,
    TELL_AGAIN_MS = 10 * 60 * 1000,   /* lines of the log about one thing that net tells again and again */
    REWRITE_MS_MAX = 6 * 3600 * 1000, /* of a large replica on a slow disk */
    SCRUB_SLICE_MS = 1000,
    SCRUB_KEEP_MS = 60 * 1000,
    SCRUB_PAUSE_MS = 24 * 3600 * 1000, /* between a pass and the next */
    SCRUB_AGAIN_MS =
        3600 *
        1000, /* after one that found something: what came again is looked at, and what came before it */
};

/* What net tells for one reason, and is not in the log yet. */
struct untold {
    uint64_t count;
    uint64_t next_ms; /* when there may be a line of it again */
};

struct loop {
    struct loop_options options;
    struct status status;
    struct peers *peers;
    struct gossip *gossip;
    struct api *api;
    struct serve *serve;
    struct spawn spawn;
    struct channel channel;
    bool channel_open;
    int signals;
    bool stopping;
    bool at_terminal; /* which may hang up */
    bool reload_due;
    bool reconfigure_due; /* peers do not know yet what was read */
    uint64_t watchdog_ms;
    struct pulse pulse;
    struct recent *recent;
    struct security *security;
    struct buf metrics; /* as they were told last */
    uint64_t metrics_ms;
    bool metrics_due;
    struct untold untold[LINK_REASON_COUNT];
    uint64_t follow_ms;   /* when peers were looked at last */
    uint64_t generation;  /* of the roster, as net knows it */
    uint64_t rights_hour; /* of the wall clock, when rights were last looked at: certificates end */
    bool peers_due;       /* what is kept of them is to be read again */
    bool tend_due;
    bool restored; /* the replica was, and no peer has told yet what was erased since */
    bool answered; /* then a bundle has */
    bool more_to_send;
    bool frames_left;     /* the turn's bound was reached before the channel's end */
    uint64_t tend_ms;     /* not before then: the last turn failed */
    uint64_t refused;     /* frames that had no room */
    uint64_t *grown_next; /* by log_no: how far each log had come at the last look */
    uint32_t grown_room;
    bool grown_once; /* what is new since the start is news */
    struct scrub *scrub;
    uint64_t scrub_ms; /* of the steady clock: its next slice */
    uint64_t scrub_keep_ms;
    uint64_t scrub_pass_ms; /* the next pass */
    bool damage_found;      /* and peers are not asked for it yet */
};

/* --- net --- */

/* What passes is paid for: see line.h. */
static void
count_bytes(const struct loop *loop, struct peer *peer, uint64_t bytes)
{
    line_count(&peer->use, world_wall_ms(&loop->options.world->world), bytes);
}

static void
count_sent(const struct loop *loop, struct peer *peer, uint64_t bytes)
{
    count_bytes(loop, peer, bytes);
    peer->out_bytes += bytes;
}

static void
count_received(const struct loop *loop, struct peer *peer, uint64_t bytes)
{
    count_bytes(loop, peer, bytes);
    peer->in_bytes += bytes;
}

/* The world's way to send: to a device that is connected and takes messages, as far as the queue has room. */
static bool
send_frame(void *self, uint32_t connection, struct span frame)
{
    struct loop *loop = self;
    struct peer *peer = peers_by_connection(loop->peers, connection);

    if (peer == NULL || !peer->has_room || !loop->channel_open ||
        channel_queued(&loop->channel) > CHANNEL_QUEUE_BYTES) {
        loop->refused++;
        return false;
    }
    channel_put_message(&loop->channel, &peer->device_id, frame);
    /* By a schedule envelopes pass, of which net tells. */
    if (peer->line.schedule.bytes == 0) {
        count_sent(loop, peer, line_message_bytes(frame.size));
    }
    return true;
}

static uint64_t
steady_ms(const struct loop *loop)
{
    return world_steady_ms(&loop->options.world->world);
}

/* Everybody who may knock: the standing devices of the roster, but for ourselves. */
static void
push_roster(struct loop *loop)
{
    const struct roster *roster = replica_roster(loop->options.replica);
    const struct hash *own = &replica_identity(loop->options.replica)->device_id;
    size_t count = roster_device_count(roster);
    struct zap_guest *guests = calloc(count + 1, sizeof *guests);
    size_t used = 0;

    if (guests == NULL) {
        return; /* the list that net has stays; the next change tries again */
    }
    for (size_t n = 0; n < count; n++) {
        const struct roster_device *device = roster_device_at(roster, n);

        if (!hash_equal(&device->device_id, own)) {
            memcpy(guests[used].curve_pk, device->transport_pk, CURVE_PK_BYTES);
            guests[used].device_id = device->device_id;
            used++;
        }
    }
    channel_put_roster(&loop->channel, guests, used);
    free(guests);
}

/* Everybody to whom is sent by a schedule. */
static void
push_schedules(struct loop *loop)
{
    struct link_schedule *schedules = calloc(peers_count(loop->peers) + 1, sizeof *schedules);
    size_t used = 0;

    if (schedules == NULL) {
        /* A line that tells what it was not to tell is worse than none: net ends, and is told everything anew. */
        log_event("schedules-untold", "err=%s", err_code(ERR_MEMORY));
        loop->channel.failed = true;
        return;
    }
    for (size_t n = 0; n < peers_count(loop->peers) && used < ZAP_LIST_MAX; n++) {
        const struct peer *peer = peers_at(loop->peers, n);

        if (peer->member && peer->line.schedule.bytes > 0) {
            schedules[used] =
                (struct link_schedule){ .device_id = peer->device_id, .schedule = peer->line.schedule };
            used++;
        }
    }
    channel_put_schedules(&loop->channel, schedules, used);
    free(schedules);
}

static bool
is_metered(const struct peer *peer)
{
    return peer->line.profile == PROFILE_METERED;
}

/* Say when a peer is dialled next: `at_once`, unless its line may not be used now, or when it would be its turn. */
static void
schedule(struct loop *loop, struct peer *peer, bool at_once)
{
    const struct world *world = &loop->options.world->world;
    uint64_t wall_ms = world_wall_ms(world);
    uint64_t wait_ms = at_once ? 0 : PEER_REDIAL_MS;

    if (is_metered(peer) && (!at_once || line_is_quiet(&peer->line, wall_ms))) {
        uint64_t chance;

        world_random(world, &chance, sizeof chance);
        wait_ms = line_wait_ms(&peer->line, wall_ms, chance);
    }
    uint64_t opens_ms = line_opens_ms(&peer->line, &peer->use, wall_ms);
    if (opens_ms > wall_ms + wait_ms) {
        wait_ms = opens_ms - wall_ms;
    }
    peer->due = peer->endpoint[0] != '\0' && peer->line.profile != PROFILE_ONEWAY;
    peer->dial_ms = steady_ms(loop) + wait_ms;
}

/* Something urgent is here that a peer on a metered line may hold: it is called now, whatever the hour. A line on which that
 * fails is not called for every entry. */
static void
dial_for_urgent_news(struct loop *loop, const struct ident *compartment)
{
    struct roster *roster = replica_roster(loop->options.replica);
    const struct roster_device *own =
        roster_device(roster, &replica_identity(loop->options.replica)->device_id);
    uint64_t now_ms = steady_ms(loop);

    for (size_t n = 0; own != NULL && n < peers_count(loop->peers); n++) {
        struct peer *peer = peers_at(loop->peers, n);
        const struct roster_device *device = roster_device(roster, &peer->device_id);
        const struct roster_compartment *shared[GOSSIP_SHARED_MAX];

        if (!is_metered(peer) || peer->state == PEER_UP || peer->endpoint[0] == '\0' || device == NULL) {
            continue;
        }
        size_t count = roster_compartments_shared(roster, own, device, shared, GOSSIP_SHARED_MAX);
        for (size_t k = 0; k < count; k++) {
            if (ident_equal(&shared[k]->id, compartment)) {
                uint64_t again_ms = peer->called_ms == 0 ? 0 : peer->called_ms + URGENT_REDIAL_MS;

                peer->dial_ms = now_ms > again_ms ? now_ms : again_ms;
                peer->due = true;
                break;
            }
        }
    }
}

/* How each line that is up may be used now. */
static void
mind_lines(struct loop *loop)
{
    static const enum gossip_allowance allowances[] = { GOSSIP_ALL, GOSSIP_URGENT, GOSSIP_NONE };
    uint64_t wall_ms = world_wall_ms(&loop->options.world->world);

    for (size_t n = 0; n < peers_count(loop->peers); n++) {
        const struct peer *peer = peers_at(loop->peers, n);

        if (peer->state == PEER_UP) {
            gossip_line(loop->gossip, peer->connection, peer->line.profile,
                        allowances[line_allows(&peer->line, &peer->use, wall_ms)]);
            gossip_schedule(loop->gossip, peer->connection, &peer->line.schedule, &peer->theirs);
        }
    }
}

static void
dial_due(struct loop *loop)
{
    const struct roster *roster = replica_roster(loop->options.replica);
    uint64_t now_ms = steady_ms(loop);

    for (size_t n = 0; loop->channel_open && n < peers_count(loop->peers); n++) {
        struct peer *peer = peers_at(loop->peers, n);
        const struct roster_device *device = roster_device(roster, &peer->device_id);

        if (peer->dropped) {
            /* Its address was taken away, or the way to it is another one: net stops dialling it as before. */
            peer->dropped = false;
            channel_put_hangup(&loop->channel, &peer->device_id);
            if (peer->state == PEER_CONNECTING) {
                peer->state = PEER_DOWN;
            }
        }
        if (!peer->due || now_ms < peer->dial_ms || device == NULL || peer->endpoint[0] == '\0') {
            continue;
        }
        if (line_allows(&peer->line, &peer->use, world_wall_ms(&loop->options.world->world)) == LINE_SPENT) {
            schedule(loop, peer, true);
            continue;
        }
        peer->due = false;
        peer->called_ms = now_ms;
        if (peer->state == PEER_DOWN) {
            peer->state = PEER_CONNECTING;
        }
        channel_put_dial(&loop->channel, &peer->device_id, device->transport_pk, span_text(peer->endpoint),
                         span_text(peer->proxy), !is_metered(peer) && peer->line.schedule.bytes == 0);
    }
}

/* Milliseconds until somebody is to be dialled. */
static uint64_t
dial_wait_ms(const struct loop *loop)
{
    uint64_t now_ms = steady_ms(loop);
    uint64_t wait = WAIT_MS_MAX;

    for (size_t n = 0; n < peers_count(loop->peers); n++) {
        const struct peer *peer = peers_at(loop->peers, n);

        if (peer->due) {
            uint64_t left = peer->dial_ms > now_ms ? peer->dial_ms - now_ms : 0;

            wait = left < wait ? left : wait;
        }
    }
    return wait;
}

static void
peer_went(struct loop *loop, struct peer *peer, const char *why)
{
    if (peer->state == PEER_UP) {
        gossip_down(loop->gossip, peer->connection, why, steady_ms(loop));
        log_event("peer-down", "peer=%s why=\"%s\"", hash_short(&peer->device_id).text, why);
    }
    peer->state = peer->endpoint[0] != '\0' ? PEER_CONNECTING : PEER_DOWN;
    peer->has_room = true;
    (void)snprintf(peer->reason, sizeof peer->reason, "%s", why);
}

void
loop_sockets_path(char *out, size_t room, const char *directory)
{
    (void)snprintf(out, room, "%s/sockets", directory);
}

/* What a net process says of itself once, when it begins: what the one before said is over. */
static const enum link_reason of_one_net[] = { LINK_CANNOT_LISTEN, LINK_MEMORY_NOT_LOCKED,
                                               LINK_SANDBOX_INCOMPLETE, LINK_METRICS_NOT_SERVED };

/* Take over a channel to a new net process, and tell it everything. */
static enum err
channel_begin(struct loop *loop, int fd)
{
    const struct replica_identity *identity = replica_identity(loop->options.replica);
    const struct config *config = loop->options.config;
    struct channel_config first = { .handshake_ms = (uint32_t)config->handshake_ms,
                                    .heartbeat_ms = (uint32_t)config->heartbeat_ms,
                                    .device_id = identity->device_id };
    enum err err = channel_open(&loop->channel, fd, CHANNEL_STORE);

    if (err != ERR_OK) {
        return err;
    }
    loop->channel_open = true;
    pulse_begin(&loop->pulse);
    for (size_t n = 0; n < sizeof of_one_net / sizeof of_one_net[0]; n++) {
        status_settle(&loop->status, reason_text(of_one_net[n]));
    }
    loop->status.net_pid = loop->spawn.pid;
    memcpy(first.secret_key, identity->transport_secret, sizeof first.secret_key);
    loop_sockets_path(first.directory, sizeof first.directory, loop->options.directory);
    first.sandbox = config->sandbox;
    channel_put_config(&loop->channel, &first);
    crypto_wipe(&first, sizeof first);
    push_schedules(loop);
    push_roster(loop);
    channel_put_listen(&loop->channel, span_text(config->listen));
    if (config->metrics != NULL && config->metrics[0] != '\0') {
        channel_put_serve(&loop->channel, span_text(config->metrics));
    }
    for (size_t n = 0; n < peers_count(loop->peers); n++) {
        struct peer *peer = peers_at(loop->peers, n);

        schedule(loop, peer, true);
    }
    return ERR_OK;
}

static void
channel_end(struct loop *loop)
{
    if (!loop->channel_open) {
        return;
    }
    channel_close(&loop->channel);
    loop->channel_open = false;
    loop->status.net_pid = 0;
    loop->status.net_ready = false;
    for (size_t n = 0; n < peers_count(loop->peers); n++) {
        struct peer *peer = peers_at(loop->peers, n);

        if (peer->state != PEER_DOWN) {
            peer_went(loop, peer, "the net process ended");
        }
    }
}

/* Whether it still answers; what lives is told of. */
static void
take_pulse(struct loop *loop)
{
    uint64_t now_ms = steady_ms(loop);

    if (!loop->channel_open) {
        return;
    }
    if (pulse_asks(&loop->pulse, now_ms)) {
        channel_put_ping(&loop->channel);
    }
    if (pulse_is_lost(&loop->pulse)) {
        log_event("net-silent", NULL);
        status_net_ended(&loop->status, NET_SILENT);
        spawn_stop(&loop->spawn);
        channel_end(loop);
        return;
    }
    if (pulse_tells(&loop->pulse, now_ms)) {
        notify_alive();
    }
}

static enum net_ending
ending_of(int status)
{
    if (WIFSIGNALED(status)) {
        return WTERMSIG(status) == SIGSYS ? NET_FORBIDDEN : NET_DIED;
    }
    return WEXITSTATUS(status) == NET_EXIT_DOOR_OPEN    ? NET_DOOR_OPEN
           : WEXITSTATUS(status) == NET_EXIT_NO_SANDBOX ? NET_NO_SANDBOX
                                                        : NET_DIED;
}

static void
tell_death(struct loop *loop)
{
    int status = loop->spawn.status;
    enum net_ending ending = ending_of(status);

    status_net_ended(&loop->status, ending);
    if (ending == NET_DOOR_OPEN) {
        status_warn(&loop->status, reason_text(LINK_DOOR_OPEN), 1);
    }
    if (ending == NET_FORBIDDEN) {
        log_event("net-forbidden", NULL);
        status_warn(&loop->status,
                    "the network process made a call that it never makes, and was ended: a peer may have "
                    "tried to take it over",
                    1);
        return;
    }
    log_event("net-died", "status=%d what=\"%s\"", status,
              ending == NET_DOOR_OPEN    ? reason_text(LINK_DOOR_OPEN)
              : ending == NET_NO_SANDBOX ? "its sandbox could not be set"
                                         : "it ended by itself, or was killed");
}

/* Start it again when it died, or when it spoke nonsense. */
static void
watch_net(struct loop *loop)
{
    int fd = -1;

    if (loop->channel_open && (loop->channel.closed || loop->channel.failed)) {
        if (loop->channel.failed) {
            log_event("net-malformed", NULL);
            status_net_ended(&loop->status, NET_MALFORMED);
            spawn_stop(&loop->spawn);
        }
        channel_end(loop);
    }
    if (loop->spawn.starter_gone && !loop->status.starter_gone) {
        loop->status.starter_gone = true;
        log_event("starter-gone", NULL);
    }
    switch (spawn_check(&loop->spawn, steady_ms(loop), &fd)) {
    case SPAWN_DIED:
        tell_death(loop);
        channel_end(loop);
        break;
    case SPAWN_STARTED:
        channel_end(loop);
        loop->status.net_restarts++;
        if (channel_begin(loop, fd) != ERR_OK) {
            spawn_stop(&loop->spawn);
        }
        break;
    default:
        break;
    }
}

/* --- frames from net --- */

static void
on_up(struct loop *loop, const struct hash *device_id)
{
    const struct hash *own = &replica_identity(loop->options.replica)->device_id;
    struct peer *peer = peers_by_device(loop->peers, device_id);

    if (peer != NULL && peer->state == PEER_UP) {
        peer_went(loop, peer, "connected anew");
    }
    uint32_t connection = peers_up(loop->peers, device_id);
    if (connection == 0) {
        /* Its certificate went while it was connecting. */
        loop->status.strays++;
        channel_put_hangup(&loop->channel, device_id);
        return;
    }
    struct peer *up = peers_by_device(loop->peers, device_id);
    log_event("peer-up", "peer=%s", hash_short(device_id).text);
    count_bytes(loop, up, line_handshake_bytes());
    up->called_ms = 0;
    /* Both ends must agree on who dialled; which of them really did is net's own business. */
    if (gossip_up(loop->gossip, connection, device_id, hash_compare(own, device_id) < 0, steady_ms(loop)) !=
        ERR_OK) {
        peer_went(loop, up, err_text(ERR_MEMORY));
        channel_put_hangup(&loop->channel, device_id);
        return;
    }
    mind_lines(loop);
}

static void
tell_untold(struct loop *loop, enum link_reason reason)
{
    struct untold *untold = &loop->untold[reason];
    unsigned long long count = untold->count;
    const char *text = reason_text(reason);

    *untold = (struct untold){ .next_ms = steady_ms(loop) + TELL_AGAIN_MS };
    if (reason_is_refusal(reason)) {
        log_event("door-refused", "count=%llu reason=\"%s\"", count, text);
    } else if (reason_is_of_security(reason)) {
        log_event("net-alarm", "count=%llu reason=\"%s\"", count, text);
    } else {
        log_event("net-warning", "count=%llu reason=\"%s\"", count, text);
    }
}

/* What net has told, as far as a line of the log is due; `all`: of everything. */
static void
tell_all_untold(struct loop *loop, bool all)
{
    for (unsigned reason = 0; reason < LINK_REASON_COUNT; reason++) {
        const struct untold *untold = &loop->untold[reason];

        if (untold->count > 0 && (all || steady_ms(loop) >= untold->next_ms)) {
            tell_untold(loop, (enum link_reason)reason);
        }
    }
}

/* An attempt to reach a peer failed, and not as the one before. */
static void
tell_unreachable(const struct peer *peer, enum link_reason reason)
{
    bool ours = reason == LINK_HUNG_UP || reason == LINK_OFF_ROSTER || reason == LINK_DUPLICATE ||
                reason == LINK_KEYS_RENEWED || reason == LINK_SCHEDULE_CHANGED ||
                reason_is_of_security(reason);

    if (!ours && peer->state != PEER_UP && strcmp(peer->reason, reason_text(reason)) != 0) {
        log_event("peer-unreachable", "peer=%s why=\"%s\"", hash_short(&peer->device_id).text,
                  reason_text(reason));
    }
}

/* A connection was cut off, or was not with that device; an attempt after another that ended so is no news. Who was revoked is no peer
 * any more when its connection ends. */
static void
tell_alarm(const struct loop *loop, const struct hash *device_id, enum link_reason reason)
{
    const struct peer *peer = peers_by_device(loop->peers, device_id);
    bool known = roster_author(replica_roster(loop->options.replica), device_id) != NULL;

    if (known && (peer == NULL || peer->state == PEER_UP || strcmp(peer->reason, reason_text(reason)) != 0)) {
        log_event("peer-alarm", "peer=%s reason=\"%s\"", hash_short(device_id).text, reason_text(reason));
    }
}

static void
on_down(struct loop *loop, const struct hash *device_id, enum link_reason reason)
{
    struct peer *peer = peers_by_device(loop->peers, device_id);

    if (reason_is_of_security(reason)) {
        tell_alarm(loop, device_id, reason);
    }
    if (peer != NULL) {
        tell_unreachable(peer, reason);
        peer_went(loop, peer, reason_text(reason));
        peer->proxy_failed = reason_is_of_proxy(reason);
        if (reason == LINK_HUNG_UP || reason == LINK_OFF_ROSTER || reason == LINK_TOO_SLOW) {
            /* Net has hung up, and dials no more. */
            schedule(loop, peer, false);
        }
    }
}

/* In a turn. Every message's device is held against our own roster, whatever net says. */
static void
on_message(struct loop *loop, const struct hash *device_id, struct span bytes)
{
    struct peer *peer = peers_by_device(loop->peers, device_id);

    if (roster_device(replica_roster(loop->options.replica), device_id) == NULL) {
        /* It was let in, and is a member no longer: what it says is dropped unread, and its line is cut in this very turn. */
        loop->status.strays++;
        channel_put_hangup(&loop->channel, device_id);
        if (peer != NULL && peer->state == PEER_UP) {
            tell_alarm(loop, device_id, LINK_OFF_ROSTER);
            peer_went(loop, peer, reason_text(LINK_OFF_ROSTER));
        }
        return;
    }
    if (peer == NULL || peer->state != PEER_UP) {
        loop->status.strays++;
        return;
    }
    peer->contact_ms = world_wall_ms(&loop->options.world->world);
    /* What came in an envelope was counted with that. */
    if (peer->theirs.bytes == 0) {
        count_received(loop, peer, line_message_bytes(bytes.size));
        peer->frames_came = true;
    }
    gossip_receive(loop->gossip, peer->connection, bytes, steady_ms(loop));
}

/* Envelopes went and came: what they held comes behind as messages. */
static void
on_envelopes(struct loop *loop, const struct link_event *event)
{
    struct peer *peer = peers_by_device(loop->peers, &event->device_id);

    if (peer == NULL) {
        return;
    }
    count_sent(loop, peer, event->sent * line_message_bytes(event->sent_bytes));
    if (event->received > 0) {
        peer->theirs = event->theirs;
        count_received(loop, peer, event->received * line_message_bytes(event->theirs.bytes));
    }
}

static void
on_frame(struct loop *loop, const struct channel_frame *frame)
{
    struct peer *peer;

    switch (frame->type) {
    case CHANNEL_READY:
        loop->status.net_ready = true;
        loop->status.net_ending = NET_RUNS;
        status_settle(&loop->status, reason_text(LINK_CANNOT_LISTEN));
        (void)snprintf(loop->status.listening, sizeof loop->status.listening, "%.*s",
                       (int)frame->endpoint.size,
                       frame->endpoint.size == 0 ? "" : (const char *)frame->endpoint.data);
        log_event("net-ready", "listen=%s", loop->status.listening);
        break;
    case CHANNEL_UP:
        on_up(loop, &frame->device_id);
        break;
    case CHANNEL_DOWN:
        on_down(loop, &frame->device_id, frame->reason);
        break;
    case CHANNEL_MESSAGE:
        on_message(loop, &frame->device_id, frame->bytes);
        break;
    case CHANNEL_ROOM:
        peer = peers_by_device(loop->peers, &frame->device_id);
        if (peer != NULL) {
            peer->has_room = frame->has_room;
        }
        break;
    case CHANNEL_ENVELOPES:
        on_envelopes(loop, &frame->envelopes);
        break;
    case CHANNEL_REFUSED:
        status_refused(&loop->status, reason_text(frame->reason), frame->count);
        loop->untold[frame->reason].count += frame->count;
        break;
    case CHANNEL_SCRAPED:
        loop->metrics_due = true;
        break;
    case CHANNEL_PONG:
        pulse_heard(&loop->pulse);
        loop->status.net_ending = NET_RUNS;
        break;
    case CHANNEL_WARN:
        status_warn(&loop->status, reason_text(frame->reason), frame->count);
        loop->untold[frame->reason].count += frame->count;
        break;
    default:
        break; /* the decoder lets nothing else through */
    }
}

/* --- the configuration --- */

/* What is decided once stays as it was, until the node starts again. */
static void
keep_fixed(struct config *fresh, struct config *old)
{
    char **folders = fresh->folders;
    size_t folder_count = fresh->folder_count;

    fresh->map_mib = old->map_mib;
    fresh->sandbox = old->sandbox;
    fresh->sandbox_fixed = old->sandbox_fixed;
    fresh->folders = old->folders;
    fresh->folder_count = old->folder_count;
    old->folders = folders;
    old->folder_count = folder_count;
}

static void
limit_log(const struct config *config)
{
    log_limit(config->log_level == 0 ? LOG_AT_INFO : config->log_level);
}

static void
take_changes(struct loop *loop, struct config *fresh, const struct config_changes *changes)
{
    struct config *config = loop->options.config;
    struct config old = *config;

    keep_fixed(fresh, &old);
    *config = *fresh;
    config_free(&old);
    loop->status.config_waits = loop->status.config_waits || changes->restart;
    loop->reconfigure_due = true;
    loop->tend_due = true;
    limit_log(config);
    if (changes->net && loop->channel_open) {
        /* It is told these things once: another one is started. */
        spawn_stop(&loop->spawn);
        channel_end(loop);
    }
}

/* Read it again, and keep the old one if the new one cannot be used. What is wrong with it is for the eyes of who wrote it, not for the log. */
static void
reload(struct loop *loop)
{
    char path[4096];
    struct config fresh;
    struct config_fault fault;
    struct config_changes changes;

    loop->reload_due = false;
    notify_reloading();
    (void)snprintf(path, sizeof path, "%s/node.conf", loop->options.directory);
    enum err err = config_read(path, &fresh, &fault);
    loop->status.config_refused = err != ERR_OK;
    if (err != ERR_OK) {
        log_event("config-refused", "err=%s line=%u", err_code(err), fault.line);
    } else {
        config_compare(loop->options.config, &fresh, &changes);
        log_event("config-read", "changed=\"%s\"%s", changes.keys, changes.restart ? " waits=restart" : "");
        take_changes(loop, &fresh, &changes);
    }
    notify_ready();
}

/* --- turns --- */

/* Gossip is told of what our own logs grew by otherwise than through it; and urgent news, whoever wrote them, do not wait for the
 * next session of a metered line. */
static void
tell_growth(struct loop *loop)
{
    const struct journal *journal = replica_journal(loop->options.replica);
    const struct hash *own = &replica_identity(loop->options.replica)->device_id;
    uint32_t count = journal_branch_count(journal);

    if (count >= loop->grown_room) {
        uint64_t *grown = realloc(loop->grown_next, ((size_t)count + 64) * sizeof *grown);

        if (grown == NULL) {
            return; /* peers hear of it at the next comparison */
        }
        memset(grown + loop->grown_room, 0, ((size_t)count + 64 - loop->grown_room) * sizeof *grown);
        loop->grown_next = grown;
        loop->grown_room = count + 64;
    }
    for (uint32_t no = 1; no <= count; no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (branch->next_seq == loop->grown_next[no]) {
            continue;
        }
        if (hash_equal(&branch->device_id, own)) {
            gossip_changed(loop->gossip, &branch->descriptor.compartment, &branch->log_id, steady_ms(loop));
        }
        if (loop->grown_once && branch->descriptor.lane == LANE_URGENT) {
            dial_for_urgent_news(loop, &branch->descriptor.compartment);
        }
        loop->grown_next[no] = branch->next_seq;
    }
    loop->grown_once = true;
}

/* Read again what is kept of peers. False: not all of it was read. */
static bool
reload_peers(struct loop *loop)
{
    struct table_txn *txn = NULL;
    enum err err = replica_begin_read(loop->options.replica, &txn);

    if (err == ERR_OK) {
        err = peers_load(loop->peers, txn);
        replica_end_read(loop->options.replica, &txn);
    }
    if (err != ERR_OK) {
        log_event("peers-unread", "err=%s", err_code(err));
    }
    return err == ERR_OK;
}

/* The roster changed, or addresses did: who may come, whom we dial, what we owe as an admin. */
static void
follow_roster(struct loop *loop)
{
    struct replica *replica = loop->options.replica;
    uint64_t generation = roster_generation(replica_roster(replica));
    bool changed = generation != loop->generation;

    loop->peers_due = serve_peers_changed(loop->serve) || loop->peers_due;
    if (loop->reconfigure_due) {
        if (peers_configure(loop->peers, loop->options.config) != ERR_OK) {
            return; /* tried again at the next turn */
        }
        loop->reconfigure_due = false;
        loop->peers_due = true;
    }
    if (loop->peers_due) {
        if (!reload_peers(loop)) {
            return; /* half of them may lack the proxy through which alone they are called: tried again at the next turn */
        }
        loop->peers_due = false;
        changed = true;
    }
    if (!changed) {
        return;
    }
    if (peers_update(loop->peers, replica_roster(replica), &replica_identity(replica)->device_id) != ERR_OK) {
        return; /* tried again at the next turn: the generation is not noted */
    }
    if (loop->channel_open) {
        push_schedules(loop);
    }
    if (generation != loop->generation) {
        loop->generation = generation;
        loop->tend_due = true;
        gossip_rights_changed(loop->gossip);
        if (loop->channel_open) {
            push_roster(loop);
        }
    }
}

/* A node that is told to announce an endpoint says so once, and again when it changes. In a turn. */
static void
state_address(struct loop *loop)
{
    struct replica *replica = loop->options.replica;
    const struct replica_identity *identity = replica_identity(replica);
    const struct roster_device *own = roster_device(replica_roster(replica), &identity->device_id);
    const char *announce = loop->options.config->announce;
    struct buf signed_statement = { 0 };

    if (own == NULL || announce[0] == '\0' || strcmp(own->endpoint, announce) == 0) {
        return;
    }
    struct statement statement = { .type = STATEMENT_ADDRESS, .org = identity->org };
    world_random(&loop->options.world->world, statement.random, sizeof statement.random);
    statement.address.device_id = identity->device_id;
    statement.address.endpoint = span_text(announce);
    statement.address.until = world_wall_ms(&loop->options.world->world) / 1000 + STATED_ENDPOINT_S;
    const struct key_pair *const signers[] = { &identity->sign };
    enum err err = statement_sign(&signed_statement, &statement, signers, 1, NULL);
    if (err == ERR_OK) {
        err = replica_state(replica, buf_span(&signed_statement));
    }
    if (err != ERR_OK) {
        log_event("address-unstated", "err=%s", err_code(err));
    }
    buf_free(&signed_statement);
}

/* After a turn that did not happen gossip knows of entries that are not here: all sessions begin anew. */
static void
begin_sessions_anew(struct loop *loop)
{
    for (size_t n = 0; n < peers_count(loop->peers); n++) {
        struct peer *peer = peers_at(loop->peers, n);

        if (peer->state == PEER_UP) {
            peer_went(loop, peer, "a turn could not be written");
            if (loop->channel_open) {
                channel_put_hangup(&loop->channel, &peer->device_id);
            }
            schedule(loop, peer, false);
        }
    }
}

/* Take what net has sent; `frame` is the first message, for which the turn was begun. */
static void
receive(struct loop *loop, struct channel_frame *frame, bool pending)
{
    size_t bytes = 0;

    loop->frames_left = true;
    for (int n = 0; n < TURN_FRAMES_MAX && bytes < TURN_BYTES_MAX; n++) {
        if (!pending && !channel_next(&loop->channel, frame)) {
            loop->frames_left = false;
            return;
        }
        pending = false;
        on_frame(loop, frame);
        bytes += frame->bytes.size;
        if (replica_turn_is_full(loop->options.replica)) {
            return;
        }
    }
}

/* Run the writes; begin again without one that failed half-way. */
static enum err
write_requests(struct loop *loop)
{
    struct replica *replica = loop->options.replica;

    while (!serve_write(loop->serve)) {
        enum err err = replica_abort(replica);

        if (err == ERR_OK) {
            err = replica_begin(replica);
        }
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static bool
tend_is_due(const struct loop *loop)
{
    return loop->tend_due && steady_ms(loop) >= loop->tend_ms;
}

/* A replica that was restored holds of `control` what a peer holds, and has worked it off: there is nothing newer to hear of. */
static bool
confirm_is_due(const struct loop *loop)
{
    const struct ident *control = roster_control(replica_roster(loop->options.replica));
    size_t count = 0;

    if (!loop->restored) {
        return false;
    }
    if (loop->answered) {
        return replica_is_caught_up(loop->options.replica);
    }
    const struct gossip_peer_status *peers = gossip_status(loop->gossip, &count);
    for (size_t n = 0; n < count; n++) {
        for (size_t m = 0; peers[n].connected && m < peers[n].compartment_count; m++) {
            const struct gossip_compartment_status *status = &peers[n].compartments[m];

            if (status->complete && ident_equal(&status->compartment, control)) {
                return replica_is_caught_up(loop->options.replica);
            }
        }
    }
    return false;
}

/* When each peer was last heard of outlives us, in a turn. */
static void
keep_contacts(struct loop *loop, bool all)
{
    struct table_txn *txn = NULL;

    if (replica_begin_read(loop->options.replica, &txn) == ERR_OK) {
        peers_keep_contacts(loop->peers, txn, all);
        peers_keep_uses(loop->peers, txn, all);
        replica_end_read(loop->options.replica, &txn);
    }
}

/* --- looking for damage --- */

static void
tell_damage(void *self, const struct scrub_finding *finding)
{
    struct loop *loop = self;

    loop->damage_found = true;
    if (finding->stage == SCRUB_ENTRIES) {
        log_event("damaged-entry", "log=%u seq=%llu device=%s compartment=%s what=%s", finding->log_no,
                  (unsigned long long)finding->seq, hash_short(finding->device_id).text,
                  ident_short(finding->compartment).text, finding->signature_only ? "signature" : "entry");
    } else if (finding->stage == SCRUB_TABLES) {
        log_event("damaged-row", "table=%d record=%u", (int)finding->table, finding->record_no);
    } else {
        log_event("damaged-file", "file=%s chunk=%u", hash_short(finding->file).text, finding->chunk);
    }
}

/* A restored replica shows nothing before it has compared: until then it has other work. On a full disk it waits: its turns would use up what
 * is set aside for an erasure. */
static bool
scrub_is_due(struct loop *loop)
{
    bool due = loop->options.config->scrub > 0 && !loop->restored && !loop->tend_due && !loop->frames_left &&
               !loop->more_to_send && steady_ms(loop) >= loop->scrub_ms;

    if (due && replica_is_full(loop->options.replica)) {
        loop->scrub_ms = steady_ms(loop) + SCRUB_SLICE_MS;
        due = false;
    }
    return due;
}

/* A second's worth of rows. */
static void
scrub_slice(struct loop *loop)
{
    const struct scrub_options options = { .mend = true,
                                           .hurt_first = true,
                                           .hurt_only = steady_ms(loop) < loop->scrub_pass_ms,
                                           .self = loop,
                                           .found = tell_damage };
    struct scrub_status before = scrub_status(loop->scrub);
    bool ended = scrub_step(loop->scrub, (uint32_t)loop->options.config->scrub, &options);
    struct scrub_status after = scrub_status(loop->scrub);
    uint64_t now_ms = steady_ms(loop);

    if (ended) {
        loop->scrub_pass_ms = now_ms + (after.ended_findings > 0 ? SCRUB_AGAIN_MS : SCRUB_PAUSE_MS);
    }
    if (ended || after.findings != before.findings ||
        (after.rows != before.rows && now_ms >= loop->scrub_keep_ms)) {
        scrub_keep(loop->scrub);
        loop->scrub_keep_ms = now_ms + SCRUB_KEEP_MS;
    }
    if (ended && after.ended_findings > 0) {
        log_event("scrub-ended", "findings=%llu", (unsigned long long)after.ended_findings);
    }
}

/* The part between begin and commit. */
static enum err
fill_turn(struct loop *loop, struct channel_frame *frame, bool pending)
{
    struct replica *replica = loop->options.replica;
    bool confirm = confirm_is_due(loop);
    enum err err = write_requests(loop);

    if (err != ERR_OK) {
        return err;
    }
    if (confirm) {
        replica_confirm_restored(replica);
    }
    keep_contacts(loop, false);
    if (tend_is_due(loop)) {
        state_address(loop);
        loop->tend_due = replica_tend(replica);
    }
    if (loop->channel_open) {
        receive(loop, frame, pending);
    }
    if (!pending && scrub_is_due(loop)) {
        loop->scrub_ms = steady_ms(loop) + SCRUB_SLICE_MS;
        if (!replica_turn_is_narrow(replica)) {
            scrub_slice(loop);
        }
    }
    return replica_commit(replica);
}

/* Nobody is answered while a turn takes its time. */
static void
note_turn(uint64_t took_ms)
{
    if (took_ms >= SLOW_MS) {
        log_event("turn-slow", "duration_us=%llu", (unsigned long long)took_ms * 1000);
    } else {
        log_event("turn-done", "duration_us=%llu", (unsigned long long)took_ms * 1000);
    }
}

static enum err
turn(struct loop *loop, struct channel_frame *frame, bool pending)
{
    struct replica *replica = loop->options.replica;
    uint64_t begun_ms = steady_ms(loop);
    enum err err = replica_begin(replica);

    loop->status.turns++;
    if (err == ERR_OK) {
        err = fill_turn(loop, frame, pending);
    }
    serve_turn_ended(loop->serve, err);
    if (err != ERR_OK) {
        loop->status.turns_failed++;
        log_event("turn-failed", "err=%s", err_code(err));
        begin_sessions_anew(loop);
        loop->tend_due = true;
        loop->tend_ms = steady_ms(loop) + RETRY_MS;
        return err;
    }
    note_turn(steady_ms(loop) - begun_ms);
    if (loop->damage_found) {
        loop->damage_found = false;
        gossip_ask_again(loop->gossip, steady_ms(loop));
    }
    loop->restored = loop->restored && replica_is_restored(loop->options.replica, NULL);
    loop->answered = loop->restored && replica_is_answered(loop->options.replica);
    tell_growth(loop);
    return ERR_OK;
}

/* What has come, and what is due: in a transaction if any of it may write. */
static enum err
work(struct loop *loop)
{
    struct channel_frame frame;
    bool pending = false;
    enum err err = ERR_OK;

    loop->frames_left = false;
    /* Frames that write nothing need no transaction. */
    while (loop->channel_open && !pending && channel_next(&loop->channel, &frame)) {
        pending = frame.type == CHANNEL_MESSAGE;
        if (!pending) {
            on_frame(loop, &frame);
        }
    }
    gossip_tick(loop->gossip, steady_ms(loop));
    uint64_t hour = world_wall_ms(&loop->options.world->world) / HOUR_MS;
    if (hour != loop->rights_hour) {
        loop->rights_hour = hour;
        gossip_rights_changed(loop->gossip);
        security_look(loop->security, loop->options.replica);
    }
    loop->tend_due = loop->tend_due || replica_tend_is_due(loop->options.replica);
    if (pending || tend_is_due(loop) || serve_has_writes(loop->serve) || confirm_is_due(loop) ||
        scrub_is_due(loop)) {
        err = turn(loop, &frame, pending);
    }
    return err;
}

/* Whoever asks more often than once a second, be it net by itself, costs nothing. */
static void
tell_metrics(struct loop *loop)
{
    if (!loop->metrics_due || !loop->channel_open || channel_queued(&loop->channel) > CHANNEL_QUEUE_BYTES) {
        return;
    }
    loop->metrics_due = false;
    if (loop->metrics.size == 0 || steady_ms(loop) - loop->metrics_ms >= METRICS_MS) {
        loop->metrics.size = 0;
        loop->metrics_ms = steady_ms(loop);
        if (!serve_metrics(loop->serve, &loop->metrics) || loop->metrics.size > CHANNEL_METRICS_BYTES_MAX) {
            buf_free(&loop->metrics);
        }
    }
    channel_put_metrics(&loop->channel, buf_span(&loop->metrics));
}

/* How long ago each peer held the same as we do is known to the second. */
static void
follow_peers(struct loop *loop)
{
    if (steady_ms(loop) - loop->follow_ms >= FOLLOW_MS) {
        loop->follow_ms = steady_ms(loop);
        serve_follow_peers(loop->serve);
    }
}

/* Let answers leave. Nobody hears of an entry of ours that the anchor does not know. */
static enum err
flush(struct loop *loop)
{
    uint64_t refused = loop->refused;
    enum err err = replica_anchor(loop->options.replica);

    dial_due(loop);
    mind_lines(loop);
    loop->more_to_send = false;
    if (err == ERR_OK) {
        /* What had no room waits until net says that there is some. */
        loop->more_to_send = gossip_flush(loop->gossip, steady_ms(loop)) && loop->refused == refused;
    } else {
        log_event("anchor-failed", "err=%s", err_code(err));
    }
    follow_peers(loop);
    tell_metrics(loop);
    if (loop->channel_open) {
        channel_write(&loop->channel);
    }
    serve_answer(loop->serve);
    (void)serve_work(loop->serve);
    api_flush(loop->api);
    return err;
}

/* A full disk is answered, and the node goes on; a broken one ends it. */
static bool
ends_the_node(enum err err)
{
    return err != ERR_OK && err != ERR_FULL && err != ERR_BUSY && err != ERR_MEMORY;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
wait_ms(const struct loop *loop, uint64_t most)
{
    uint64_t wait = least(most, WAIT_MS_MAX);

    if (api_has_request(loop->api) || loop->frames_left || loop->more_to_send) {
        return 0;
    }
    if (loop->tend_due) {
        uint64_t now_ms = steady_ms(loop);

        wait = least(wait, loop->tend_ms > now_ms ? loop->tend_ms - now_ms : 0);
    }
    wait = least(wait, gossip_wait_ms(loop->gossip, steady_ms(loop)));
    wait = least(wait, serve_wait_ms(loop->serve));
    if (loop->options.config->scrub > 0 && !loop->restored && !loop->tend_due) {
        uint64_t now_ms = steady_ms(loop);

        wait = least(wait, loop->scrub_ms > now_ms ? loop->scrub_ms - now_ms : 0);
    }
    wait = least(wait, dial_wait_ms(loop));
    wait = loop->channel_open ? least(wait, pulse_wait_ms(&loop->pulse, steady_ms(loop))) : wait;
    if (loop->more_to_send && loop->channel_open &&
        channel_queued(&loop->channel) <= CHANNEL_QUEUE_BYTES / 2) {
        wait = 0;
    }
    return wait;
}

static void
read_signals(struct loop *loop)
{
    struct signalfd_siginfo info;

    while (read(loop->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        bool hung_up = info.ssi_signo == SIGHUP;

        loop->stopping = loop->stopping || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ||
                         (hung_up && loop->at_terminal);
        loop->reload_due = loop->reload_due || hung_up;
    }
}

/* Sleep until something has come. The channel is read and written here and nowhere else but in flush. */
static void
sleep_until(struct loop *loop, uint64_t most)
{
    struct pollfd fds[API_CLIENTS_MAX + 4];
    size_t count = 0;

    fds[count++] = (struct pollfd){ .fd = loop->signals, .events = POLLIN };
    if (loop->channel_open) {
        short events = (short)(POLLIN | (channel_queued(&loop->channel) > 0 ? POLLOUT : 0));

        fds[count++] = (struct pollfd){ .fd = loop->channel.fd, .events = events };
    }
    if (loop->spawn.starter != 0 && !loop->spawn.starter_gone) {
        fds[count++] = (struct pollfd){ .fd = loop->spawn.starter, .events = POLLIN };
    }
    count += api_poll_fds(loop->api, fds + count, API_CLIENTS_MAX + 1);
    (void)poll(fds, count, (int)wait_ms(loop, most));
    read_signals(loop);
    if (loop->channel_open) {
        channel_write(&loop->channel);
        channel_read(&loop->channel);
    }
    api_gather(loop->api);
}

/* What was erased is to be in no free page either: between turns, since it takes as long as the replica is large. */
static enum err
rewrite_if_due(struct loop *loop)
{
    if (!replica_compact_is_due(loop->options.replica) || serve_is_forgetting(loop->serve)) {
        return ERR_OK;
    }
    serve_forget(loop->serve);
    if (loop->watchdog_ms > 0) {
        notify_allow_ms(REWRITE_MS_MAX);
    }
    enum err err = replica_compact(loop->options.replica);
    if (loop->watchdog_ms > 0) {
        notify_allow_ms(loop->watchdog_ms);
    }
    /* A receipt says that it was done, or waits for room. */
    loop->tend_due = true;
    return err;
}

enum err
loop_turn(struct loop *loop, uint64_t most)
{
    sleep_until(loop, most);
    if (loop->reload_due && !loop->stopping) {
        reload(loop);
    }
    serve_take(loop->serve);
    enum err err = work(loop);
    tell_all_untold(loop, false);
    if (err == ERR_OK) {
        err = rewrite_if_due(loop);
    }
    watch_net(loop);
    take_pulse(loop);
    follow_roster(loop);
    if (ends_the_node(err)) {
        /* Who waits is told; peers hear nothing more. */
        serve_answer(loop->serve);
        api_flush(loop->api);
        return err;
    }
    err = flush(loop);
    return ends_the_node(err) ? err : ERR_OK;
}

/* --- open, run, close --- */

/* Gossip ended a session by itself. */
static void
session_ended(void *self, uint32_t connection, bool hang_up, const char *why)
{
    struct loop *loop = self;
    struct peer *peer = peers_by_connection(loop->peers, connection);

    if (peer == NULL || !hang_up) {
        return;
    }
    (void)snprintf(peer->reason, sizeof peer->reason, "%s", why);
    if (loop->channel_open) {
        channel_put_hangup(&loop->channel, &peer->device_id);
    }
}

static enum err
open_signals(struct loop *loop)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD); /* net died: wake up */
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return ERR_IO;
    }
    loop->at_terminal = isatty(STDIN_FILENO) == 1;
    loop->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return loop->signals < 0 ? ERR_IO : ERR_OK;
}

static enum err
open_parts(struct loop *loop)
{
    const struct loop_options *options = &loop->options;
    const struct replica_identity *identity = replica_identity(options->replica);
    struct table_txn *txn = NULL;

    loop->peers = peers_new(options->config);
    if (loop->peers == NULL) {
        return ERR_MEMORY;
    }
    enum err err = replica_begin_read(options->replica, &txn);
    if (err == ERR_OK) {
        err = peers_load(loop->peers, txn);
        replica_end_read(options->replica, &txn);
    }
    if (err != ERR_OK) {
        return err;
    }
    err = gossip_open(
        &loop->gossip,
        &(struct gossip_options){
            .world = &options->world->world,
            .store = replica_gossip_store(options->replica),
            .device_id = identity->device_id,
            .control = *roster_control(replica_roster(options->replica)),
            .profile = options->config->line.profile == 0 ? PROFILE_LAN : options->config->line.profile,
            .version = options->version,
            .credit_bytes = CREDIT_BYTES,
        });
    if (err != ERR_OK) {
        return err;
    }
    replica_on_ended(options->replica, session_ended, loop);
    options->world->outlet = loop;
    options->world->send = send_frame;
    err = api_open(&loop->api, options->directory);
    if (err != ERR_OK) {
        return err;
    }
    loop->serve = serve_new(&(struct serve_options){ .replica = options->replica,
                                                     .gossip = loop->gossip,
                                                     .api = loop->api,
                                                     .peers = loop->peers,
                                                     .status = &loop->status,
                                                     .config = options->config,
                                                     .world = &options->world->world,
                                                     .version = options->version,
                                                     .directory = options->directory,
                                                     .recent = loop->recent,
                                                     .security = loop->security });
    return loop->serve == NULL ? ERR_MEMORY : ERR_OK;
}

/* Before anybody is told that we are ready: what an admin owes, so that the first save finds its keys. */
static enum err
tend_first(struct loop *loop)
{
    struct replica *replica = loop->options.replica;
    enum err err = ERR_OK;

    for (int n = 0; n < FIRST_TURNS_MAX && loop->tend_due && err == ERR_OK; n++) {
        err = replica_begin(replica);
        if (err == ERR_OK) {
            state_address(loop);
            loop->tend_due = replica_tend(replica);
            err = replica_commit(replica);
        }
    }
    /* A full disk keeps nobody from reading. */
    return ends_the_node(err) ? err : ERR_OK;
}

/* How this start is not as it should be. */
static void
tell_start(const struct loop *loop)
{
    const struct sandbox_state *sandbox = &loop->options.sandbox;
    uint64_t incarnations = replica_setbacks(loop->options.replica).incarnations;

    if (!sandbox->whole) {
        log_event("sandbox-incomplete", "mode=%s missing=\"%s\"", sandbox_mode_text(sandbox->mode),
                  sandbox->missing);
    }
    if (!loop->status.memory_locks) {
        log_event("memory-not-locked", "limit=memlock");
    }
    if (loop->restored) {
        log_event("runs-restored", NULL);
    }
    if (incarnations > 0) {
        log_event("set-back", "incarnations=%llu", (unsigned long long)incarnations);
    }
}

enum err
loop_open(struct loop **loop_out, const struct loop_options *options)
{
    int fd = -1;
    struct loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL) {
        return ERR_MEMORY;
    }
    loop->options = *options;
    loop->recent = recent_new(&options->world->world);
    loop->security = security_new(&options->world->world, options->directory);
    if (loop->recent == NULL || loop->security == NULL) {
        recent_free(&loop->recent);
        security_free(&loop->security);
        free(loop);
        return ERR_MEMORY;
    }
    log_watch(recent_note, loop->recent);
    log_witness(security_wants, security_hear, loop->security);
    limit_log(options->config);
    loop->signals = -1;
    loop->tend_due = true;
    loop->restored = replica_is_restored(options->replica, NULL);
    loop->answered = loop->restored && replica_is_answered(options->replica);
    loop->generation = UINT64_MAX;
    loop->status.started_steady_ms = world_steady_ms(&options->world->world);
    loop->status.started_ms = world_wall_ms(&options->world->world);
    loop->status.memory_locks = crypto_memory_locks();
    loop->watchdog_ms = notify_watchdog_ms();
    pulse_init(&loop->pulse, loop->watchdog_ms);
    loop->status.sandbox = options->sandbox.mode;
    (void)snprintf(loop->status.sandbox_missing, sizeof loop->status.sandbox_missing, "%s",
                   options->sandbox.missing);
    loop->spawn.starter = options->starter;
    tell_start(loop);
    enum err err = open_signals(loop);
    if (err == ERR_OK) {
        err = open_parts(loop);
    }
    if (err == ERR_OK) {
        err = tend_first(loop);
    }
    if (err == ERR_OK) {
        loop->scrub_ms = steady_ms(loop) + SCRUB_SLICE_MS;
        err = scrub_open(&loop->scrub, options->replica);
    }
    if (err == ERR_OK) {
        follow_roster(loop);
        err = spawn_start(&loop->spawn, steady_ms(loop), &fd);
    }
    if (err == ERR_OK) {
        err = channel_begin(loop, fd);
    }
    if (err != ERR_OK) {
        loop_close(&loop);
        return err;
    }
    *loop_out = loop;
    return ERR_OK;
}

void
loop_close(struct loop **loop_in)
{
    struct loop *loop = *loop_in;

    if (loop == NULL) {
        return;
    }
    loop->options.world->send = NULL;
    replica_on_ended(loop->options.replica, NULL, NULL);
    if (loop->channel_open) {
        channel_close(&loop->channel);
    }
    spawn_stop(&loop->spawn);
    serve_free(&loop->serve);
    log_watch(NULL, NULL);
    log_witness(NULL, NULL, NULL);
    recent_free(&loop->recent);
    security_free(&loop->security);
    buf_free(&loop->metrics);
    api_close(&loop->api);
    gossip_close(&loop->gossip);
    peers_free(&loop->peers);
    if (loop->signals >= 0) {
        (void)close(loop->signals);
    }
    scrub_close(&loop->scrub);
    free(loop->grown_next);
    free(loop);
    *loop_in = NULL;
}

/* Exports that are on their way end here, and the audit log says so, and what was counted since its last note. */
static enum err
say_last_words(struct loop *loop)
{
    struct replica *replica = loop->options.replica;

    if (!serve_has_last_words(loop->serve)) {
        return ERR_OK;
    }
    enum err err = replica_begin(replica);
    if (err == ERR_OK) {
        err = serve_stop(loop->serve) ? replica_commit(replica) : replica_abort(replica);
    }
    serve_turn_ended(loop->serve, err);
    return err;
}

/* Say goodbye: checkpoints are agreed and kept, and every answer leaves. */
static enum err
stop(struct loop *loop)
{
    uint64_t until_ms = steady_ms(loop) + STOP_MS_MAX;

    tell_all_untold(loop, true);
    enum err err = say_last_words(loop);
    if (ends_the_node(err)) {
        return err;
    }
    gossip_stop(loop->gossip);
    err = flush(loop);
    if (ends_the_node(err)) {
        return err;
    }
    while (loop->channel_open && channel_queued(&loop->channel) > 0 && steady_ms(loop) < until_ms &&
           !loop->channel.closed && !loop->channel.failed) {
        struct pollfd fd = { .fd = loop->channel.fd, .events = POLLOUT };

        (void)poll(&fd, 1, 100);
        channel_write(&loop->channel);
    }
    /* Checkpoints are written with a turn; without one, a later session costs a few bytes more. */
    err = replica_begin(loop->options.replica);
    if (err == ERR_OK) {
        keep_contacts(loop, true);
        err = replica_commit(loop->options.replica);
    }
    return ends_the_node(err) ? err : ERR_OK;
}

enum err
loop_run(struct loop *loop)
{
    enum err err = ERR_OK;

    while (err == ERR_OK && !loop->stopping) {
        err = loop_turn(loop, WAIT_MS_MAX);
    }
    return err == ERR_OK ? stop(loop) : err;
}
