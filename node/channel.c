#include "node/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LENGTH_BYTES = 4,
    READ_BYTES = 256 * 1024,
    ROW_BYTES = CURVE_PK_BYTES + HASH_BYTES,
    SCHEDULE_BYTES = 4 + 4
};

enum err
channel_open(struct channel *channel, int fd, enum channel_end end)
{
    *channel = (struct channel){ .fd = fd, .end = end };
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return ERR_IO;
    }
    return ERR_OK;
}

void
channel_close(struct channel *channel)
{
    if (channel->fd > 0) {
        close(channel->fd);
    }
    buf_wipe(&channel->in);
    buf_wipe(&channel->out);
    *channel = (struct channel){ .closed = true };
}

/* Drop what was given out or written, once it is worth the copy. */
static void
compact(struct buf *buf, size_t *at)
{
    if (*at == buf->size) {
        buf->size = 0;
        *at = 0;
    } else if (*at > buf->size / 2) {
        memmove(buf->data, buf->data + *at, buf->size - *at);
        buf->size -= *at;
        *at = 0;
    }
}

void
channel_read(struct channel *channel)
{
    if (channel->closed || channel->failed) {
        return;
    }
    compact(&channel->in, &channel->in_at);
    /* More than this is never needed to complete a frame, so a longer one cannot make us grow. */
    if (channel->in.size - channel->in_at >= LENGTH_BYTES + CHANNEL_FRAME_BYTES_MAX) {
        return;
    }
    uint8_t *room = buf_extend(&channel->in, READ_BYTES);
    if (room == NULL) {
        channel->failed = true;
        return;
    }
    ssize_t got;
    do {
        got = read(channel->fd, room, READ_BYTES);
    } while (got < 0 && errno == EINTR);
    channel->in.size -= READ_BYTES - (got > 0 ? (size_t)got : 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        channel->closed = true;
    }
}

void
channel_write(struct channel *channel)
{
    while (!channel->closed && !channel->failed && channel_queued(channel) > 0) {
        ssize_t put =
            send(channel->fd, channel->out.data + channel->out_at, channel_queued(channel), MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            /* What the other end still had to say can be read all the same. */
            channel->closed = errno != EAGAIN && errno != EPIPE && errno != ECONNRESET;
            break;
        }
        /* A config frame holds a key, and nothing else is worth a second look. */
        crypto_wipe(channel->out.data + channel->out_at, channel->secret_queued ? (size_t)put : 0);
        channel->out_at += (size_t)put;
    }
    channel->secret_queued = channel->secret_queued && channel_queued(channel) > 0;
    compact(&channel->out, &channel->out_at);
}

size_t
channel_queued(const struct channel *channel)
{
    return channel->out.size - channel->out_at;
}

bool
channel_next(struct channel *channel, struct channel_frame *frame_out)
{
    size_t left = channel->in.size - channel->in_at;

    if (channel->failed || left < LENGTH_BYTES) {
        return false;
    }
    uint8_t *at = channel->in.data + channel->in_at;
    uint32_t size = bytes_read_u32(at);
    if (size == 0 || size > CHANNEL_FRAME_BYTES_MAX) {
        channel->failed = true;
        return false;
    }
    if (left - LENGTH_BYTES < size) {
        return false;
    }
    if (channel_decode(frame_out, span_of(at + LENGTH_BYTES, size), channel->end) != ERR_OK) {
        channel->failed = true;
        return false;
    }
    if (frame_out->type == CHANNEL_CONFIG) {
        crypto_wipe(at, LENGTH_BYTES + size);
    }
    channel->in_at += LENGTH_BYTES + size;
    return true;
}

/* --- Decoding: exact sizes, known numbers ------------------------------------- */

static bool
type_is_for(uint8_t type, enum channel_end end)
{
    if (type == CHANNEL_MESSAGE || type == CHANNEL_ROOM) {
        return true;
    }
    return end == CHANNEL_NET ? type >= CHANNEL_CONFIG && type <= CHANNEL_SCHEDULES
                              : type >= CHANNEL_READY && type <= CHANNEL_ENVELOPES;
}

static bool
read_bool(struct reader *in)
{
    uint8_t value = reader_u8(in);

    in->failed = in->failed || value > 1;
    return value == 1;
}

static enum link_reason
read_reason(struct reader *in)
{
    uint8_t value = reader_u8(in);

    in->failed = in->failed || value == LINK_NO_REASON || value >= LINK_REASON_COUNT;
    return (enum link_reason)value;
}

/* Printable ASCII, or nothing at all. */
static struct span
read_printable(struct reader *in, size_t size)
{
    struct span text = reader_span(in, size);

    in->failed = in->failed || text.size >= ENDPOINT_BYTES;
    for (size_t i = 0; !in->failed && i < text.size; i++) {
        in->failed = text.data[i] <= ' ' || text.data[i] > '~';
    }
    return text;
}

/* The same to the end of the frame. */
static struct span
read_endpoint(struct reader *in)
{
    return read_printable(in, reader_left(in));
}

/* A path to the end of the frame, or nothing at all. */
static void
read_directory(char out[CHANNEL_DIRECTORY_BYTES], struct reader *in)
{
    size_t size = reader_left(in);

    in->failed = in->failed || size >= CHANNEL_DIRECTORY_BYTES;
    if (!in->failed) {
        reader_copy(in, out, size);
        out[size] = '\0';
        in->failed = strlen(out) != size;
    }
}

static enum sandbox_mode
read_mode(struct reader *in)
{
    uint8_t value = reader_u8(in);

    in->failed = in->failed || value >= SANDBOX_MODES;
    return (enum sandbox_mode)value;
}

/* One that is valid. */
static struct envelope_schedule
read_schedule(struct reader *in)
{
    struct envelope_schedule schedule = { .beat_s = reader_u32(in) };

    schedule.bytes = reader_u32(in);
    in->failed = in->failed || !envelope_schedule_valid(&schedule);
    return schedule;
}

/* Rows of a device and its schedule to the end of the frame. */
static void
read_schedules(struct channel_frame *frame, struct reader *in)
{
    enum { BYTES = HASH_BYTES + SCHEDULE_BYTES };

    frame->count = reader_left(in) / BYTES;
    in->failed = in->failed || frame->count > ZAP_LIST_MAX;
    frame->bytes = reader_span(in, (size_t)frame->count * BYTES);
    struct reader rows = reader_of(frame->bytes);
    while (!in->failed && reader_left(&rows) > 0) {
        (void)reader_span(&rows, HASH_BYTES);
        (void)read_schedule(&rows);
        in->failed = rows.failed;
    }
}

static void
read_envelopes(struct channel_frame *frame, struct reader *in)
{
    struct link_event *event = &frame->envelopes;

    event->kind = LINK_ENVELOPES;
    event->device_id = frame->device_id;
    event->sent = reader_u32(in);
    event->sent_bytes = reader_u32(in);
    event->received = reader_u32(in);
    event->theirs = read_schedule(in);
    /* What came had a size. */
    in->failed = in->failed || event->sent_bytes > ENVELOPE_BYTES_MAX ||
                 (event->received > 0 && event->theirs.bytes == 0);
}

static void
read_config(struct channel_config *config, struct reader *in)
{
    reader_copy(in, config->secret_key, sizeof config->secret_key);
    reader_copy(in, config->device_id.bytes, HASH_BYTES);
    config->handshake_ms = reader_u32(in);
    config->heartbeat_ms = reader_u32(in);
    config->silence_ms_max = reader_u32(in);
    config->redial_ms_min = reader_u32(in);
    config->redial_ms_max = reader_u32(in);
    config->rekey_ms = reader_u32(in);
    config->rekey_bytes = reader_u64(in);
    config->ipc_allowed = read_bool(in);
    config->sandbox = read_mode(in);
    read_directory(config->directory, in);
}

enum err
channel_decode(struct channel_frame *frame_out, struct span bytes, enum channel_end end)
{
    struct channel_frame frame = { .count = 0 };
    struct reader in = reader_of(bytes);
    uint8_t type = reader_u8(&in);

    if (bytes.size > CHANNEL_FRAME_BYTES_MAX || !type_is_for(type, end)) {
        return ERR_INVALID;
    }
    frame.type = (enum channel_type)type;
    switch (frame.type) {
    case CHANNEL_CONFIG:
        read_config(&frame.config, &in);
        break;
    case CHANNEL_ROSTER:
        frame.count = reader_left(&in) / ROW_BYTES;
        in.failed = in.failed || frame.count > ZAP_LIST_MAX;
        frame.bytes = reader_span(&in, (size_t)frame.count * ROW_BYTES);
        break;
    case CHANNEL_SCHEDULES:
        read_schedules(&frame, &in);
        break;
    case CHANNEL_LISTEN:
    case CHANNEL_READY:
        frame.endpoint = read_endpoint(&in);
        break;
    case CHANNEL_SERVE:
        frame.endpoint = read_endpoint(&in);
        in.failed = in.failed || frame.endpoint.size == 0;
        break;
    case CHANNEL_PING:
    case CHANNEL_PONG:
    case CHANNEL_SCRAPED:
        break;
    case CHANNEL_METRICS:
        frame.bytes = reader_span(&in, reader_left(&in));
        in.failed = in.failed || frame.bytes.size > CHANNEL_METRICS_BYTES_MAX;
        break;
    case CHANNEL_DIAL:
        reader_copy(&in, frame.device_id.bytes, HASH_BYTES);
        reader_copy(&in, frame.curve_pk, CURVE_PK_BYTES);
        frame.heartbeats = read_bool(&in);
        frame.proxy = read_printable(&in, reader_u16(&in));
        frame.endpoint = read_endpoint(&in);
        in.failed = in.failed || frame.endpoint.size == 0;
        break;
    case CHANNEL_HANGUP:
    case CHANNEL_UP:
        reader_copy(&in, frame.device_id.bytes, HASH_BYTES);
        break;
    case CHANNEL_MESSAGE:
        reader_copy(&in, frame.device_id.bytes, HASH_BYTES);
        frame.bytes = reader_span(&in, reader_left(&in));
        in.failed = in.failed || frame.bytes.size == 0 || frame.bytes.size > LINK_MESSAGE_BYTES_MAX;
        break;
    case CHANNEL_ROOM:
        reader_copy(&in, frame.device_id.bytes, HASH_BYTES);
        frame.has_room = read_bool(&in);
        break;
    case CHANNEL_DOWN:
        reader_copy(&in, frame.device_id.bytes, HASH_BYTES);
        frame.reason = read_reason(&in);
        break;
    case CHANNEL_ENVELOPES:
        reader_copy(&in, frame.device_id.bytes, HASH_BYTES);
        read_envelopes(&frame, &in);
        break;
    case CHANNEL_REFUSED:
    case CHANNEL_WARN:
        frame.reason = read_reason(&in);
        frame.count = reader_u64(&in);
        break;
    }
    if (!reader_done(&in)) {
        crypto_wipe(&frame, sizeof frame);
        return ERR_INVALID;
    }
    *frame_out = frame;
    crypto_wipe(&frame.config, sizeof frame.config);
    return ERR_OK;
}

struct zap_guest
channel_guest(const struct channel_frame *roster, size_t index)
{
    struct zap_guest guest;

    assert(roster->type == CHANNEL_ROSTER && index < roster->count);
    memcpy(guest.curve_pk, roster->bytes.data + index * ROW_BYTES, CURVE_PK_BYTES);
    memcpy(guest.device_id.bytes, roster->bytes.data + index * ROW_BYTES + CURVE_PK_BYTES, HASH_BYTES);
    return guest;
}

struct link_schedule
channel_schedule(const struct channel_frame *schedules, size_t index)
{
    struct link_schedule row;

    assert(schedules->type == CHANNEL_SCHEDULES && index < schedules->count);
    struct reader in = reader_of(schedules->bytes);
    (void)reader_span(&in, index * (HASH_BYTES + SCHEDULE_BYTES));
    reader_copy(&in, row.device_id.bytes, HASH_BYTES);
    row.schedule = read_schedule(&in);
    return row;
}

/* --- Encoding ----------------------------------------------------------------- */

/* A frame of `type` whose body will have `size` bytes. */
static struct buf *
begin(struct channel *channel, enum channel_type type, size_t size)
{
    assert(size < CHANNEL_FRAME_BYTES_MAX);
    buf_put_u32(&channel->out, (uint32_t)size + 1);
    buf_put_u8(&channel->out, (uint8_t)type);
    return &channel->out;
}

/* A queue that is not whole would be read as something else. */
static void
end(struct channel *channel)
{
    channel->failed = channel->failed || channel->out.failed;
}

void
channel_put_config(struct channel *channel, const struct channel_config *config)
{
    size_t directory_size = strnlen(config->directory, sizeof config->directory);

    assert(directory_size < sizeof config->directory);
    struct buf *out = begin(channel, CHANNEL_CONFIG,
                            sizeof config->secret_key + HASH_BYTES + 6 * 4 + 8 + 2 + directory_size);

    buf_put(out, config->secret_key, sizeof config->secret_key);
    buf_put_span(out, hash_span(&config->device_id));
    buf_put_u32(out, config->handshake_ms);
    buf_put_u32(out, config->heartbeat_ms);
    buf_put_u32(out, config->silence_ms_max);
    buf_put_u32(out, config->redial_ms_min);
    buf_put_u32(out, config->redial_ms_max);
    buf_put_u32(out, config->rekey_ms);
    buf_put_u64(out, config->rekey_bytes);
    buf_put_u8(out, config->ipc_allowed ? 1 : 0);
    buf_put_u8(out, (uint8_t)config->sandbox);
    buf_put(out, config->directory, directory_size);
    channel->secret_queued = true;
    end(channel);
}

void
channel_put_roster(struct channel *channel, const struct zap_guest *guests, size_t count)
{
    assert(count <= ZAP_LIST_MAX);
    struct buf *out = begin(channel, CHANNEL_ROSTER, count * ROW_BYTES);
    for (size_t i = 0; i < count; i++) {
        buf_put(out, guests[i].curve_pk, CURVE_PK_BYTES);
        buf_put_span(out, hash_span(&guests[i].device_id));
    }
    end(channel);
}

static void
put_schedule(struct buf *out, const struct envelope_schedule *schedule)
{
    assert(envelope_schedule_valid(schedule));
    buf_put_u32(out, schedule->beat_s);
    buf_put_u32(out, schedule->bytes);
}

void
channel_put_schedules(struct channel *channel, const struct link_schedule *schedules, size_t count)
{
    assert(count <= ZAP_LIST_MAX);
    struct buf *out = begin(channel, CHANNEL_SCHEDULES, count * (HASH_BYTES + SCHEDULE_BYTES));
    for (size_t i = 0; i < count; i++) {
        buf_put_span(out, hash_span(&schedules[i].device_id));
        put_schedule(out, &schedules[i].schedule);
    }
    end(channel);
}

static void
put_endpoint(struct channel *channel, enum channel_type type, struct span endpoint)
{
    assert(endpoint.size < ENDPOINT_BYTES);
    buf_put_span(begin(channel, type, endpoint.size), endpoint);
    end(channel);
}

void
channel_put_listen(struct channel *channel, struct span endpoint)
{
    put_endpoint(channel, CHANNEL_LISTEN, endpoint);
}

void
channel_put_ready(struct channel *channel, struct span endpoint)
{
    put_endpoint(channel, CHANNEL_READY, endpoint);
}

void
channel_put_ping(struct channel *channel)
{
    (void)begin(channel, CHANNEL_PING, 0);
    end(channel);
}

void
channel_put_scraped(struct channel *channel)
{
    (void)begin(channel, CHANNEL_SCRAPED, 0);
    end(channel);
}

void
channel_put_serve(struct channel *channel, struct span address)
{
    put_endpoint(channel, CHANNEL_SERVE, address);
}

void
channel_put_metrics(struct channel *channel, struct span text)
{
    assert(text.size <= CHANNEL_METRICS_BYTES_MAX);
    buf_put_span(begin(channel, CHANNEL_METRICS, text.size), text);
    end(channel);
}

void
channel_put_pong(struct channel *channel)
{
    (void)begin(channel, CHANNEL_PONG, 0);
    end(channel);
}

void
channel_put_dial(struct channel *channel, const struct hash *device_id,
                 const uint8_t curve_pk[CURVE_PK_BYTES], struct span endpoint, struct span proxy,
                 bool heartbeats)
{
    assert(endpoint.size > 0 && endpoint.size < ENDPOINT_BYTES && proxy.size < ENDPOINT_BYTES);
    struct buf *out =
        begin(channel, CHANNEL_DIAL, HASH_BYTES + CURVE_PK_BYTES + 1 + 2 + proxy.size + endpoint.size);
    buf_put_span(out, hash_span(device_id));
    buf_put(out, curve_pk, CURVE_PK_BYTES);
    buf_put_u8(out, heartbeats ? 1 : 0);
    buf_put_u16(out, (uint16_t)proxy.size);
    buf_put_span(out, proxy);
    buf_put_span(out, endpoint);
    end(channel);
}

static void
put_device(struct channel *channel, enum channel_type type, const struct hash *device_id)
{
    buf_put_span(begin(channel, type, HASH_BYTES), hash_span(device_id));
    end(channel);
}

void
channel_put_hangup(struct channel *channel, const struct hash *device_id)
{
    put_device(channel, CHANNEL_HANGUP, device_id);
}

void
channel_put_up(struct channel *channel, const struct hash *device_id)
{
    put_device(channel, CHANNEL_UP, device_id);
}

void
channel_put_message(struct channel *channel, const struct hash *device_id, struct span bytes)
{
    assert(bytes.size > 0 && bytes.size <= LINK_MESSAGE_BYTES_MAX);
    struct buf *out = begin(channel, CHANNEL_MESSAGE, HASH_BYTES + bytes.size);
    buf_put_span(out, hash_span(device_id));
    buf_put_span(out, bytes);
    end(channel);
}

static void
put_device_byte(struct channel *channel, enum channel_type type, const struct hash *device_id, uint8_t byte)
{
    struct buf *out = begin(channel, type, HASH_BYTES + 1);

    buf_put_span(out, hash_span(device_id));
    buf_put_u8(out, byte);
    end(channel);
}

void
channel_put_room(struct channel *channel, const struct hash *device_id, bool has_room)
{
    put_device_byte(channel, CHANNEL_ROOM, device_id, has_room ? 1 : 0);
}

void
channel_put_down(struct channel *channel, const struct hash *device_id, enum link_reason reason)
{
    put_device_byte(channel, CHANNEL_DOWN, device_id, (uint8_t)reason);
}

void
channel_put_envelopes(struct channel *channel, const struct link_event *event)
{
    struct buf *out = begin(channel, CHANNEL_ENVELOPES, HASH_BYTES + 3 * 4 + SCHEDULE_BYTES);

    buf_put_span(out, hash_span(&event->device_id));
    buf_put_u32(out, event->sent);
    buf_put_u32(out, event->sent_bytes);
    buf_put_u32(out, event->received);
    put_schedule(out, &event->theirs);
    end(channel);
}

static void
put_count(struct channel *channel, enum channel_type type, enum link_reason reason, uint64_t count)
{
    struct buf *out = begin(channel, type, 1 + 8);

    buf_put_u8(out, (uint8_t)reason);
    buf_put_u64(out, count);
    end(channel);
}

void
channel_put_refused(struct channel *channel, enum link_reason reason, uint64_t count)
{
    put_count(channel, CHANNEL_REFUSED, reason, count);
}

void
channel_put_warn(struct channel *channel, enum link_reason reason, uint64_t count)
{
    put_count(channel, CHANNEL_WARN, reason, count);
}
