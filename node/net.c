#include "node/net.h"

#include "node/channel.h"
#include "node/scrape.h"
#include "store/base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    RETRY_MS = 20,       /* between attempts to send what waits for no beat */
    LISTEN_MS = 5000,    /* and to listen where the port is taken, or the address not there yet */
    IDLE_MS = 60 * 1000, /* the link wakes by itself when something is due */
};

/* What waits for one device: length u32 and bytes, again and again. */
struct waiting {
    struct hash device_id;
    struct buf queue;
    size_t at;
};

struct net {
    struct channel channel;
    struct link *link;
    struct scrape *scrape; /* NULL: metrics are not served */
    struct waiting waiting[LINK_PEERS_MAX];
    size_t waiting_count;
    char listen[ENDPOINT_BYTES]; /* what cannot be listened on yet */
    uint64_t listen_ms;          /* when to try again; 0: nothing waits for it */
    bool memory_locks;
};

static uint64_t
now_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Exit without running what libraries left to be run: nothing here is worth saving. */
_Noreturn static void
stop(struct net *net, int status)
{
    scrape_close(&net->scrape);
    link_close(&net->link);
    channel_close(&net->channel);
    _exit(status);
}

/* --- Giving up what is not needed ------------------------------------------------- */

static bool
close_all_but(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    /* 0 and 1 stay taken, so that no socket becomes the standard output of a library. */
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) {
        return false;
    }
    return (fd == STDERR_FILENO + 1 || close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0) == 0) &&
           close_range((unsigned)fd + 1, ~0U, 0) == 0;
}

static bool
drop_privileges(void)
{
    struct rlimit none = { 0, 0 };
    struct rlimit files;

    signal(SIGPIPE, SIG_IGN);
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return false;
    }
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

/* --- To a peer that takes nothing just now ----------------------------------------- */

static struct waiting *
find_waiting(struct net *net, const struct hash *device_id)
{
    for (size_t i = 0; i < net->waiting_count; i++) {
        if (hash_equal(&net->waiting[i].device_id, device_id)) {
            return &net->waiting[i];
        }
    }
    return NULL;
}

static void
forget_waiting(struct net *net, struct waiting *waiting)
{
    buf_free(&waiting->queue);
    net->waiting_count--;
    *waiting = net->waiting[net->waiting_count];
}

/* Keep a message until there is room. The store hears of it with the first. */
static void
keep_waiting(struct net *net, const struct hash *device_id, struct span bytes)
{
    struct waiting *waiting = find_waiting(net, device_id);

    if (waiting == NULL) {
        /* Only devices that are connected get here, and there are no more of those. */
        if (net->waiting_count == LINK_PEERS_MAX) {
            link_hangup(net->link, device_id, LINK_TOO_SLOW);
            return;
        }
        waiting = &net->waiting[net->waiting_count];
        *waiting = (struct waiting){ .device_id = *device_id };
        net->waiting_count++;
        channel_put_room(&net->channel, device_id, false);
    }
    if (waiting->queue.size - waiting->at + bytes.size > NET_HELD_BYTES) {
        link_hangup(net->link, device_id, LINK_TOO_SLOW);
        return;
    }
    buf_put_u32(&waiting->queue, (uint32_t)bytes.size);
    buf_put_span(&waiting->queue, bytes);
    if (waiting->queue.failed) {
        link_hangup(net->link, device_id, LINK_TOO_SLOW);
    }
}

/* Send what waits for one device, as far as there is room. True: nothing waits any more. */
static bool
send_waiting(struct net *net, struct waiting *waiting)
{
    while (waiting->at < waiting->queue.size) {
        const uint8_t *at = waiting->queue.data + waiting->at;
        uint32_t size = bytes_read_u32(at);
        enum err err = link_send(net->link, &waiting->device_id, span_of(at + 4, size));
        if (err == ERR_FULL) {
            break;
        }
        if (err == ERR_ABSENT) {
            channel_put_warn(&net->channel, LINK_NOT_SENT, 1);
        }
        waiting->at += 4 + size;
    }
    if (waiting->at > waiting->queue.size / 2) {
        memmove(waiting->queue.data, waiting->queue.data + waiting->at, waiting->queue.size - waiting->at);
        waiting->queue.size -= waiting->at;
        waiting->at = 0;
    }
    return waiting->queue.size == 0;
}

static void
send_all_waiting(struct net *net)
{
    for (size_t i = net->waiting_count; i > 0; i--) {
        struct waiting *waiting = &net->waiting[i - 1];
        if (send_waiting(net, waiting)) {
            channel_put_room(&net->channel, &waiting->device_id, true);
            forget_waiting(net, waiting);
        }
    }
}

static void
send_message(struct net *net, const struct hash *device_id, struct span bytes)
{
    /* One behind the other. */
    enum err err = find_waiting(net, device_id) != NULL ? ERR_FULL : link_send(net->link, device_id, bytes);

    if (err == ERR_FULL) {
        keep_waiting(net, device_id, bytes);
    } else if (err == ERR_ABSENT) {
        channel_put_warn(&net->channel, LINK_NOT_SENT, 1);
    }
}

/* --- What the store orders ----------------------------------------------------------- */

static void
enter_sandbox(struct net *net, const struct channel_config *config)
{
    const struct sandbox_options options = { .role = SANDBOX_NET,
                                             .mode = config->sandbox,
                                             .directory = config->directory };
    struct sandbox_state state;

    if (!sandbox_enter(&options, &state)) {
        log_event("net-sandbox-refused", "missing=\"%s\"", state.missing);
        stop(net, NET_EXIT_NO_SANDBOX);
    }
    net->memory_locks = crypto_memory_locks();
    if (!state.whole && sandbox_is_built_in() && config->sandbox != SANDBOX_OFF) {
        channel_put_warn(&net->channel, LINK_SANDBOX_INCOMPLETE, 1);
    }
}

static void
take_config(struct net *net, struct channel_config *config)
{
    struct link_options options = {
        .device_id = config->device_id,
        .secret_key = config->secret_key,
        .handshake_ms = config->handshake_ms,
        .heartbeat_ms = config->heartbeat_ms,
        .silence_ms_max = config->silence_ms_max,
        .redial_ms_min = config->redial_ms_min,
        .redial_ms_max = config->redial_ms_max,
        .rekey_ms = config->rekey_ms,
        .rekey_bytes = config->rekey_bytes,
        .ipc_allowed = config->ipc_allowed,
        .directory = config->directory,
    };

    /* Nothing of a stranger's was read until now. */
    enter_sandbox(net, config);
    enum err err = link_open(&net->link, &options);
    crypto_wipe(config, sizeof *config);
    if (err != ERR_OK) {
        log_event("net-start-failed", "error=%s", err_code(err));
        stop(net, NET_EXIT_FAILED);
    }
    if (!net->memory_locks) {
        channel_put_warn(&net->channel, LINK_MEMORY_NOT_LOCKED, 1);
    }
}

static void
take_roster(struct net *net, const struct channel_frame *frame)
{
    struct zap_guest *guests = calloc((size_t)frame->count + 1, sizeof *guests);

    for (size_t i = 0; guests != NULL && i < frame->count; i++) {
        guests[i] = channel_guest(frame, i);
    }
    /* With an old list somebody might stay who was told to leave. */
    if (guests == NULL || link_set_allowed(net->link, guests, (size_t)frame->count) != ERR_OK) {
        log_event("net-roster-unusable", NULL);
        stop(net, NET_EXIT_FAILED);
    }
    free(guests);
}

static void
take_schedules(struct net *net, const struct channel_frame *frame)
{
    struct link_schedule *schedules = calloc((size_t)frame->count + 1, sizeof *schedules);

    for (size_t i = 0; schedules != NULL && i < frame->count; i++) {
        schedules[i] = channel_schedule(frame, i);
    }
    /* By an old list a line might tell what it is not to tell. */
    if (schedules == NULL || link_set_schedules(net->link, schedules, (size_t)frame->count) != ERR_OK) {
        log_event("net-schedules-unusable", NULL);
        stop(net, NET_EXIT_FAILED);
    }
    free(schedules);
}

/* Listen there, and say so; nowhere if it is empty. Errors as link_listen. */
static enum err
try_to_listen(struct net *net, struct span endpoint)
{
    char bound[ENDPOINT_BYTES] = "";

    enum err err = endpoint.size == 0 ? ERR_OK : link_listen(net->link, endpoint, bound);
    if (err == ERR_DENIED) {
        log_event("net-door-open", NULL);
        stop(net, NET_EXIT_DOOR_OPEN);
    }
    if (err == ERR_OK) {
        channel_put_ready(&net->channel, span_text(bound));
    }
    return err;
}

static void
take_listen(struct net *net, struct span endpoint)
{
    enum err err = try_to_listen(net, endpoint);

    if (err != ERR_OK) {
        channel_put_warn(&net->channel, LINK_CANNOT_LISTEN, 1);
    }
    if ((err == ERR_BUSY || err == ERR_IO) && endpoint.size < sizeof net->listen) {
        (void)snprintf(net->listen, sizeof net->listen, "%.*s", (int)endpoint.size,
                       (const char *)endpoint.data);
        net->listen_ms = now_ms() + LISTEN_MS;
    }
}

/* A port comes free, and the address of a tunnel comes late. */
static void
listen_again(struct net *net)
{
    if (net->listen_ms == 0 || now_ms() < net->listen_ms) {
        return;
    }
    bool listens = try_to_listen(net, span_text(net->listen)) == ERR_OK;
    net->listen_ms = listens ? 0 : now_ms() + LISTEN_MS;
}

static void
take_dial(struct net *net, const struct channel_frame *frame)
{
    enum err err = link_dial(net->link, &frame->device_id, frame->curve_pk, frame->endpoint, frame->proxy,
                             frame->heartbeats);

    if (err != ERR_OK) {
        channel_put_warn(&net->channel, err == ERR_FULL ? LINK_TOO_MANY_PEERS : LINK_BAD_ORDER, 1);
    }
}

static void
take_serve(struct net *net, struct span address)
{
    char text[ENDPOINT_BYTES];

    (void)snprintf(text, sizeof text, "%.*s", (int)address.size, (const char *)address.data);
    scrape_close(&net->scrape);
    link_watch(net->link, -1);
    if (scrape_open(&net->scrape, text) != ERR_OK) {
        channel_put_warn(&net->channel, LINK_METRICS_NOT_SERVED, 1);
        return;
    }
    link_watch(net->link, scrape_fd(net->scrape));
}

static void
take_order(struct net *net, struct channel_frame *frame)
{
    /* The key comes first, and once. */
    if ((net->link == NULL) != (frame->type == CHANNEL_CONFIG)) {
        log_event("net-order-unusable", "type=%d", (int)frame->type);
        stop(net, NET_EXIT_FAILED);
    }
    switch (frame->type) {
    case CHANNEL_CONFIG:
        take_config(net, &frame->config);
        break;
    case CHANNEL_ROSTER:
        take_roster(net, frame);
        break;
    case CHANNEL_SCHEDULES:
        take_schedules(net, frame);
        break;
    case CHANNEL_LISTEN:
        take_listen(net, frame->endpoint);
        break;
    case CHANNEL_DIAL:
        take_dial(net, frame);
        break;
    case CHANNEL_HANGUP:
        link_hangup(net->link, &frame->device_id, LINK_HUNG_UP);
        break;
    case CHANNEL_MESSAGE:
        send_message(net, &frame->device_id, frame->bytes);
        break;
    case CHANNEL_ROOM:
        link_set_room(net->link, &frame->device_id, frame->has_room);
        break;
    case CHANNEL_SERVE:
        take_serve(net, frame->endpoint);
        break;
    case CHANNEL_METRICS:
        if (net->scrape != NULL) {
            scrape_answer(net->scrape, frame->bytes, now_ms());
        }
        break;
    case CHANNEL_PING:
        channel_put_pong(&net->channel);
        break;
    default:
        /* channel_decode lets nothing else through. */
        abort();
    }
}

static void
take_orders(struct net *net)
{
    struct channel_frame frame;

    while (channel_next(&net->channel, &frame)) {
        take_order(net, &frame);
    }
    if (net->channel.failed) {
        log_event("net-order-unusable", NULL);
        stop(net, NET_EXIT_FAILED);
    }
    if (net->channel.closed) {
        stop(net, NET_EXIT_DONE);
    }
}

/* --- What the store hears --------------------------------------------------------------- */

static void
tell(struct net *net, const struct link_event *event)
{
    struct waiting *waiting = find_waiting(net, &event->device_id);

    switch (event->kind) {
    case LINK_UP:
        channel_put_up(&net->channel, &event->device_id);
        break;
    case LINK_DOWN:
        /* What waited goes with the connection; each one starts with room. */
        if (waiting != NULL) {
            forget_waiting(net, waiting);
        }
        channel_put_down(&net->channel, &event->device_id, event->reason);
        break;
    case LINK_MESSAGE:
        channel_put_message(&net->channel, &event->device_id, event->bytes);
        break;
    case LINK_REFUSED:
        channel_put_refused(&net->channel, event->reason, event->count);
        break;
    case LINK_WARNING:
        channel_put_warn(&net->channel, event->reason, event->count);
        break;
    case LINK_ENVELOPES:
        channel_put_envelopes(&net->channel, event);
        break;
    }
}

/* How soon what waits is tried again. At a beat the link wakes by itself. */
static uint32_t
retry_wait_ms(const struct net *net)
{
    for (size_t i = 0; i < net->waiting_count; i++) {
        if (!link_keeps_schedule(net->link, &net->waiting[i].device_id)) {
            return RETRY_MS;
        }
    }
    return IDLE_MS;
}

static bool
is_behind(const struct net *net)
{
    return channel_queued(&net->channel) > CHANNEL_QUEUE_BYTES;
}

/* One turn: sleep, take orders, tell what came. */
static void
turn(struct net *net)
{
    struct link_event event;
    short events = POLLIN;

    events = (short)(channel_queued(&net->channel) > 0 ? events | POLLOUT : events);
    uint32_t timeout_ms = retry_wait_ms(net);
    if (net->scrape != NULL) {
        uint32_t scrape_ms = scrape_wait_ms(net->scrape, now_ms());

        timeout_ms = scrape_ms < timeout_ms ? scrape_ms : timeout_ms;
    }
    timeout_ms = net->listen_ms != 0 && LISTEN_MS < timeout_ms ? LISTEN_MS : timeout_ms;
    short ready = link_wait(net->link, timeout_ms, net->channel.fd, events);
    listen_again(net);
    if (ready != 0) {
        channel_read(&net->channel);
        take_orders(net);
    }
    if (net->scrape != NULL && scrape_work(net->scrape, now_ms())) {
        channel_put_scraped(&net->channel);
    }
    /* Nothing new is read from peers while the store is behind. */
    while (link_next(net->link, &event)) {
        tell(net, &event);
        link_pause(net->link, is_behind(net));
    }
    /* After a beat there is room. */
    send_all_waiting(net);
    channel_write(&net->channel);
    link_pause(net->link, is_behind(net));
}

void
net_main(int fd)
{
    static struct net net;

    if (!close_all_but(fd) || !drop_privileges() || crypto_start() != ERR_OK ||
        channel_open(&net.channel, fd, CHANNEL_NET) != ERR_OK) {
        log_event("net-start-failed", NULL);
        _exit(NET_EXIT_FAILED);
    }
    while (net.link == NULL) {
        struct pollfd item = { .fd = fd, .events = POLLIN };
        poll(&item, 1, -1);
        channel_read(&net.channel);
        take_orders(&net);
    }
    channel_write(&net.channel);
    for (;;) {
        turn(&net);
    }
}
