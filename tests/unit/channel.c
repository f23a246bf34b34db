#include "tests/support/check.h"

#include "node/channel.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct channel store;
static struct channel net;
static const struct hash device = { "the device of these tests, 32 b" };
static const uint8_t curve_pk[CURVE_PK_BYTES] = "a key";

static void
connect_both(void)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(channel_open(&store, pair[0], CHANNEL_STORE), ERR_OK);
    ck_assert_int_eq(channel_open(&net, pair[1], CHANNEL_NET), ERR_OK);
}

static void
close_both(void)
{
    channel_close(&store);
    channel_close(&net);
}

/* Move bytes until `to` has a frame or there is nothing left to move. */
static bool
pass(struct channel *from, struct channel *to, struct channel_frame *frame)
{
    while (!channel_next(to, frame)) {
        size_t queued = channel_queued(from);
        size_t got = to->in.size;
        channel_write(from);
        channel_read(to);
        if (to->failed || to->closed || (queued == channel_queued(from) && got == to->in.size)) {
            return channel_next(to, frame);
        }
    }
    return true;
}

START_TEST(orders_of_the_store_arrive_as_they_were_given)
{
    struct channel_config config = { .secret_key = "secret",
                                     .device_id = device,
                                     .handshake_ms = 1,
                                     .heartbeat_ms = 2,
                                     .silence_ms_max = 3,
                                     .redial_ms_min = 4,
                                     .redial_ms_max = 5,
                                     .rekey_ms = 6,
                                     .rekey_bytes = UINT64_C(7) << 32,
                                     .ipc_allowed = true,
                                     .sandbox = SANDBOX_BEST_EFFORT,
                                     .directory = "/srv/vigil node" };
    struct zap_guest guests[2] = { { .device_id = device }, { .curve_pk = "b" } };
    struct link_schedule schedules[2] = { { .device_id = device,
                                            .schedule = { .beat_s = 30, .bytes = 2048 } } };
    struct channel_frame frame;

    channel_put_config(&store, &config);
    channel_put_roster(&store, guests, 2);
    channel_put_listen(&store, span_text("tcp://*:7741"));
    channel_put_dial(&store, &device, curve_pk, span_text("tcp://192.0.2.7:7741"), span_text(""), true);
    channel_put_dial(&store, &device, curve_pk, span_text("tcp://vigil-hq.onion:7741"),
                     span_text("socks5://127.0.0.1:9050"), false);
    channel_put_hangup(&store, &device);
    channel_put_message(&store, &device, span_text("hello"));
    channel_put_room(&store, &device, true);
    channel_put_ping(&store);
    channel_put_roster(&store, NULL, 0);
    channel_put_listen(&store, span_text(""));
    channel_put_schedules(&store, schedules, 2);

    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_CONFIG);
    ck_assert_mem_eq(frame.config.secret_key, config.secret_key, sizeof config.secret_key);
    ck_assert(hash_equal(&frame.config.device_id, &device));
    ck_assert_uint_eq(frame.config.handshake_ms, 1);
    ck_assert_uint_eq(frame.config.heartbeat_ms, 2);
    ck_assert_uint_eq(frame.config.silence_ms_max, 3);
    ck_assert_uint_eq(frame.config.redial_ms_min, 4);
    ck_assert_uint_eq(frame.config.redial_ms_max, 5);
    ck_assert_uint_eq(frame.config.rekey_ms, 6);
    ck_assert_uint_eq(frame.config.rekey_bytes, UINT64_C(7) << 32);
    ck_assert(frame.config.ipc_allowed);
    ck_assert_int_eq(frame.config.sandbox, SANDBOX_BEST_EFFORT);
    ck_assert_str_eq(frame.config.directory, "/srv/vigil node");
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_ROSTER);
    ck_assert_uint_eq(frame.count, 2);
    for (size_t i = 0; i < 2; i++) {
        struct zap_guest guest = channel_guest(&frame, i);
        ck_assert_mem_eq(&guest, &guests[i], sizeof guest);
    }
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_LISTEN);
    ck_assert(span_equal(frame.endpoint, span_text("tcp://*:7741")));
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_DIAL);
    ck_assert(hash_equal(&frame.device_id, &device));
    ck_assert_mem_eq(frame.curve_pk, curve_pk, CURVE_PK_BYTES);
    ck_assert(frame.heartbeats);
    ck_assert(span_equal(frame.endpoint, span_text("tcp://192.0.2.7:7741")));
    ck_assert_uint_eq(frame.proxy.size, 0);
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_DIAL);
    ck_assert(!frame.heartbeats);
    ck_assert(span_equal(frame.endpoint, span_text("tcp://vigil-hq.onion:7741")));
    ck_assert(span_equal(frame.proxy, span_text("socks5://127.0.0.1:9050")));
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_HANGUP);
    ck_assert(hash_equal(&frame.device_id, &device));
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_MESSAGE);
    ck_assert(hash_equal(&frame.device_id, &device));
    ck_assert(span_equal(frame.bytes, span_text("hello")));
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_ROOM);
    ck_assert(frame.has_room);
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_PING);
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_ROSTER);
    ck_assert_uint_eq(frame.count, 0);
    ck_assert(pass(&store, &net, &frame));
    ck_assert_uint_eq(frame.endpoint.size, 0);
    ck_assert(pass(&store, &net, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_SCHEDULES);
    ck_assert_uint_eq(frame.count, 2);
    for (size_t i = 0; i < 2; i++) {
        struct link_schedule schedule = channel_schedule(&frame, i);
        ck_assert_mem_eq(&schedule, &schedules[i], sizeof schedule);
    }
    ck_assert(!pass(&store, &net, &frame));
    ck_assert(!net.failed && !net.closed);
}
END_TEST

START_TEST(what_net_tells_arrives_as_it_was_told)
{
    struct link_event envelopes = { .kind = LINK_ENVELOPES,
                                    .device_id = device,
                                    .sent = 1,
                                    .sent_bytes = 256,
                                    .received = 3,
                                    .theirs = { .beat_s = 4, .bytes = 512 } };
    struct channel_frame frame;

    channel_put_ready(&net, span_text("tcp://0.0.0.0:7741"));
    channel_put_up(&net, &device);
    channel_put_down(&net, &device, LINK_WRONG_KEY);
    channel_put_refused(&net, LINK_STRANGER, UINT64_C(1) << 40);
    channel_put_warn(&net, LINK_CANNOT_LISTEN, 1);
    channel_put_envelopes(&net, &envelopes);
    ck_assert(pass(&net, &store, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_READY);
    ck_assert(span_equal(frame.endpoint, span_text("tcp://0.0.0.0:7741")));
    ck_assert(pass(&net, &store, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_UP);
    ck_assert(pass(&net, &store, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_DOWN);
    ck_assert_int_eq(frame.reason, LINK_WRONG_KEY);
    ck_assert(hash_equal(&frame.device_id, &device));
    ck_assert(pass(&net, &store, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_REFUSED);
    ck_assert_uint_eq(frame.count, UINT64_C(1) << 40);
    ck_assert(pass(&net, &store, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_WARN);
    ck_assert_int_eq(frame.reason, LINK_CANNOT_LISTEN);
    ck_assert(pass(&net, &store, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_ENVELOPES);
    ck_assert(hash_equal(&frame.device_id, &device));
    ck_assert_uint_eq(frame.envelopes.sent, 1);
    ck_assert_uint_eq(frame.envelopes.sent_bytes, 256);
    ck_assert_uint_eq(frame.envelopes.received, 3);
    ck_assert(envelope_schedule_equal(&frame.envelopes.theirs, &envelopes.theirs));
}
END_TEST

START_TEST(the_largest_messages_pass_in_order_however_the_socket_cuts_them)
{
    static uint8_t bytes[LINK_MESSAGE_BYTES_MAX];
    struct channel_frame frame;

    for (uint8_t i = 0; i < 6; i++) {
        memset(bytes, i, sizeof bytes);
        channel_put_message(&store, &device, span_of(bytes, sizeof bytes - i));
    }
    ck_assert_uint_gt(channel_queued(&store), CHANNEL_QUEUE_BYTES);
    for (uint8_t i = 0; i < 6; i++) {
        ck_assert(pass(&store, &net, &frame));
        ck_assert_uint_eq(frame.bytes.size, sizeof bytes - i);
        ck_assert_uint_eq(frame.bytes.data[0], i);
        ck_assert_uint_eq(frame.bytes.data[frame.bytes.size - 1], i);
    }
    ck_assert_uint_eq(channel_queued(&store), 0);
}
END_TEST

START_TEST(a_reader_that_does_not_take_frames_grows_no_further)
{
    static uint8_t bytes[LINK_MESSAGE_BYTES_MAX];

    for (int i = 0; i < 8; i++) {
        channel_put_message(&store, &device, span_of(bytes, sizeof bytes));
    }
    for (int i = 0; i < 1000; i++) {
        channel_write(&store);
        channel_read(&net);
    }
    ck_assert_uint_lt(net.in.size, CHANNEL_FRAME_BYTES_MAX + 512 * 1024);
    ck_assert_uint_gt(channel_queued(&store), CHANNEL_QUEUE_BYTES);
}
END_TEST

START_TEST(a_key_leaves_no_trace_in_the_queues)
{
    struct channel_config config = { .device_id = device };
    struct channel_frame frame;

    memset(config.secret_key, 0xa7, sizeof config.secret_key);
    channel_put_config(&store, &config);
    ck_assert_ptr_nonnull(memmem(store.out.data, store.out.capacity, config.secret_key, 32));
    ck_assert(pass(&store, &net, &frame));
    ck_assert_ptr_null(memmem(store.out.data, store.out.capacity, config.secret_key, 32));
    ck_assert_ptr_null(memmem(net.in.data, net.in.capacity, config.secret_key, 32));
}
END_TEST

START_TEST(the_end_of_the_other_process_is_seen_after_its_last_word)
{
    struct channel_frame frame;

    channel_put_up(&net, &device);
    channel_write(&net);
    channel_close(&net);
    channel_put_hangup(&store, &device);
    channel_write(&store);
    channel_read(&store);
    channel_read(&store);
    ck_assert(channel_next(&store, &frame));
    ck_assert_int_eq(frame.type, CHANNEL_UP);
    ck_assert(!channel_next(&store, &frame));
    ck_assert(store.closed && !store.failed);
}
END_TEST

/* Bytes as a frame for `end`. */
static enum err
decode(const void *bytes, size_t size, enum channel_end end)
{
    struct channel_frame frame;

    return channel_decode(&frame, span_of(bytes, size), end);
}

START_TEST(each_end_takes_only_what_the_other_may_say)
{
    for (unsigned type = 0; type < 256; type++) {
        uint8_t bytes[64] = { (uint8_t)type };
        bool known_to_net = false;
        bool known_to_store = false;
        for (size_t size = 1; size <= sizeof bytes; size++) {
            memset(bytes + 1, 1, sizeof bytes - 1);
            known_to_net = known_to_net || decode(bytes, size, CHANNEL_NET) == ERR_OK;
            known_to_store = known_to_store || decode(bytes, size, CHANNEL_STORE) == ERR_OK;
        }
        bool either = type == CHANNEL_MESSAGE || type == CHANNEL_ROOM;
        /* Config, roster rows, dial and endpoints need other bytes: an order is never for the store. */
        ck_assert(!known_to_store || either || (type >= CHANNEL_READY && type <= CHANNEL_ENVELOPES));
        ck_assert(!known_to_net || either || (type >= CHANNEL_CONFIG && type <= CHANNEL_SCHEDULES));
        ck_assert(!either || (known_to_store && known_to_net));
    }
}
END_TEST

START_TEST(a_frame_has_exactly_its_size)
{
    uint8_t down[] = { [0] = CHANNEL_DOWN, [33] = LINK_DISCONNECTED, [34] = 0 };
    uint8_t room[] = { [0] = CHANNEL_ROOM, [33] = 1, [34] = 0 };
    uint8_t roster[1 + 2 * 64 + 1] = { CHANNEL_ROSTER };
    uint8_t dial[1 + 64 + 1 + 20] = { CHANNEL_DIAL };

    ck_assert_int_eq(decode(down, 34, CHANNEL_STORE), ERR_OK);
    ck_assert_int_eq(decode(down, 33, CHANNEL_STORE), ERR_INVALID);
    ck_assert_int_eq(decode(down, 35, CHANNEL_STORE), ERR_INVALID);
    down[33] = 0;
    ck_assert_int_eq(decode(down, 34, CHANNEL_STORE), ERR_INVALID);
    down[33] = LINK_REASON_COUNT;
    ck_assert_int_eq(decode(down, 34, CHANNEL_STORE), ERR_INVALID);
    ck_assert_int_eq(decode(room, 34, CHANNEL_NET), ERR_OK);
    room[33] = 2;
    ck_assert_int_eq(decode(room, 34, CHANNEL_NET), ERR_INVALID);
    for (size_t size = 1; size <= sizeof roster; size++) {
        ck_assert_int_eq(decode(roster, size, CHANNEL_NET) == ERR_OK, size % 64 == 1);
    }
    dial[65] = 1;
    memset(dial + 68, 'x', sizeof dial - 68);
    ck_assert_int_eq(decode(dial, sizeof dial, CHANNEL_NET), ERR_OK);
    /* Of the rest the proxy may take all but a byte. */
    dial[67] = (uint8_t)(sizeof dial - 69);
    ck_assert_int_eq(decode(dial, sizeof dial, CHANNEL_NET), ERR_OK);
    dial[67] = (uint8_t)(sizeof dial - 68);
    ck_assert_int_eq(decode(dial, sizeof dial, CHANNEL_NET), ERR_INVALID);
    dial[67] = (uint8_t)(sizeof dial - 67);
    ck_assert_int_eq(decode(dial, sizeof dial, CHANNEL_NET), ERR_INVALID);
    dial[67] = 0;
    ck_assert_int_eq(decode(dial, 66, CHANNEL_NET), ERR_INVALID);
    dial[65] = 2;
    ck_assert_int_eq(decode(dial, sizeof dial, CHANNEL_NET), ERR_INVALID);
    dial[65] = 0;
    dial[70] = '\n';
    ck_assert_int_eq(decode(dial, sizeof dial, CHANNEL_NET), ERR_INVALID);
    ck_assert_int_eq(decode(dial, 0, CHANNEL_NET), ERR_INVALID);
}
END_TEST

START_TEST(a_schedule_is_whole_and_within_its_bounds)
{
    enum { ROW = 32 + 8 };
    uint8_t schedules[1 + 2 * ROW + 1] = { CHANNEL_SCHEDULES };
    uint8_t envelopes[1 + 32 + 5 * 4 + 1] = { CHANNEL_ENVELOPES };

    for (size_t size = 1; size <= sizeof schedules; size++) {
        ck_assert_int_eq(decode(schedules, size, CHANNEL_NET) == ERR_OK, size % ROW == 1);
    }
    bytes_write_u32(schedules + 1 + ROW + 32, 1);
    ck_assert_int_eq(decode(schedules, 1 + 2 * ROW, CHANNEL_NET), ERR_INVALID);
    bytes_write_u32(schedules + 1 + ROW + 36, ENVELOPE_BYTES_MIN);
    ck_assert_int_eq(decode(schedules, 1 + 2 * ROW, CHANNEL_NET), ERR_OK);
    for (size_t size = 1; size <= sizeof envelopes; size++) {
        ck_assert_int_eq(decode(envelopes, size, CHANNEL_STORE) == ERR_OK, size == sizeof envelopes - 1);
    }
    /* What came was of some schedule. */
    bytes_write_u32(envelopes + 1 + 32 + 8, 1);
    ck_assert_int_eq(decode(envelopes, sizeof envelopes - 1, CHANNEL_STORE), ERR_INVALID);
    bytes_write_u32(envelopes + 1 + 32 + 12, ENVELOPE_BEAT_S_MAX);
    bytes_write_u32(envelopes + 1 + 32 + 16, ENVELOPE_BYTES_MAX);
    ck_assert_int_eq(decode(envelopes, sizeof envelopes - 1, CHANNEL_STORE), ERR_OK);
    bytes_write_u32(envelopes + 1 + 32 + 4, ENVELOPE_BYTES_MAX + 1);
    ck_assert_int_eq(decode(envelopes, sizeof envelopes - 1, CHANNEL_STORE), ERR_INVALID);
}
END_TEST

START_TEST(a_malformed_frame_is_the_last)
{
    static const uint8_t wrong[][5] = { { 0, 0, 0, 0, 0 },
                                        { 0xff, 0xff, 0xff, 0xff, 1 },
                                        { 0, 0, 0, 1, 99 } };
    struct channel_frame frame;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        close_both();
        connect_both();
        ck_assert_int_eq(write(store.fd, wrong[i], 5), 5);
        channel_read(&net);
        ck_assert(!channel_next(&net, &frame));
        ck_assert(net.failed);
        channel_put_hangup(&store, &device);
        ck_assert(!pass(&store, &net, &frame));
        ck_assert_uint_lt(net.in.capacity, 1024 * 1024);
    }
}
END_TEST

SUITE_MAIN_WITH("channel", connect_both, close_both, orders_of_the_store_arrive_as_they_were_given,
                what_net_tells_arrives_as_it_was_told,
                the_largest_messages_pass_in_order_however_the_socket_cuts_them,
                a_reader_that_does_not_take_frames_grows_no_further, a_key_leaves_no_trace_in_the_queues,
                the_end_of_the_other_process_is_seen_after_its_last_word,
                each_end_takes_only_what_the_other_may_say, a_frame_has_exactly_its_size,
                a_schedule_is_whole_and_within_its_bounds, a_malformed_frame_is_the_last)
