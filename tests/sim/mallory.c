/* A device with a certificate and bad intentions: it replays what it heard, cut short, with bits changed, without its
 * payloads, or sends noise. It may carry everything, so its chunks are looked at; none of what it changed may be taken. */
#include "tests/sim/sim.h"

#include "sync/update.h"

#include <assert.h>
#include <string.h>

enum { FRAMES_A_VISIT_MAX = 16, NOISE_BYTES_MAX = 400 };

void
mallory_record(struct sim *sim, struct span bytes)
{
    struct frame frame;
    struct chunk_item item;

    if (!sim->chaos || bytes.size == 0) {
        return;
    }
    if (chance_one_in(&sim->chance, 4)) {
        size_t slot = sim->overheard_count < RECORDED_MAX ? sim->overheard_count++
                                                          : chance_below(&sim->chance, RECORDED_MAX);
        buf_clear(&sim->overheard[slot]);
        buf_put_span(&sim->overheard[slot], bytes);
    }
    if (bytes.data[0] != FRAME_CHUNK || !frame_read(bytes, &frame)) {
        return;
    }
    struct reader chunks = frame.chunks;
    while (chunk_next(&chunks, &item)) {
        if (item.log.ref != LOG_REF_NEW) {
            continue;
        }
        size_t slot = sim->recorded_count < RECORDED_MAX ? sim->recorded_count++
                                                         : chance_below(&sim->chance, RECORDED_MAX);
        buf_clear(&sim->recorded[slot]);
        chunk_frame_write(&sim->recorded[slot]);
        chunk_item_write(&sim->recorded[slot], &item);
    }
}

size_t
mallory_device(const struct sim *sim)
{
    for (size_t n = 0; n < sim->shape->device_count; n++) {
        if (sim->shape->devices[n].hostile && !sim->shape->devices[n].forger) {
            return n;
        }
    }
    sim_fail((struct sim *)(uintptr_t)sim, "the shape has no hostile device");
}

static void
greet(struct sim *sim, struct sim_conn *conn, const struct shape_device *device)
{
    struct buf frame = { 0 };
    struct hello hello = { .min = PROTOCOL_MIN,
                           .max = PROTOCOL_MAX,
                           .wall_s = 1767312000,
                           .profile = PROFILE_LAN,
                           .credit_bytes = 64 << 10,
                           .version = span_text("sim") };

    memcpy(hello.incarnation, device->identity.incarnation, sizeof hello.incarnation);
    memcpy(hello.certificate, device->certificate, sizeof hello.certificate);
    hello_write(&frame, &hello);
    network_put(sim, conn, 0, buf_span(&frame), false);
    buf_free(&frame);
}

/* The same chunk with a hash in the place of each payload: its signature is good, and nobody may take it for whole. */
static void
strip(struct sim *sim, struct span bytes, struct buf *out)
{
    static struct chunk chunk;
    struct frame frame;
    struct chunk_item item;
    struct descriptor descriptor;
    struct buf bare = { 0 };

    if (!frame_read(bytes, &frame) || !chunk_next(&frame.chunks, &item) ||
        !descriptor_read(item.log.name, &descriptor) ||
        chunk_read(item.chunk, descriptor.lane, &chunk) != CHUNK_OK) {
        sim_fail(sim, "a chunk that was recorded cannot be read");
    }
    for (size_t n = 0; n < chunk.entry_count; n++) {
        struct entry *entry = &chunk.entries[n];

        /* Ids do not travel: those of the writer only have to fit one another. */
        memset(&entry->prev, 0, sizeof entry->prev);
        memset(&entry->id, 0, sizeof entry->id);
        if (entry->payload.data != NULL) {
            entry_hash_payload(&entry->payload_hash, entry->payload);
            entry->payload = span_of(NULL, 0);
        }
    }
    memcpy(chunk.entries[0].prev.bytes, chunk.prev_short, sizeof chunk.prev_short);
    chunk_write(&bare, chunk.entries, chunk.entry_count, chunk.signature);
    item.chunk = buf_span(&bare);
    chunk_frame_write(out);
    chunk_item_write(out, &item);
    buf_free(&bare);
}

static void
speak(struct sim *sim, struct sim_conn *conn)
{
    struct buf frame = { 0 };
    bool flipped = false;

    if (sim->recorded_count == 0 || sim->overheard_count == 0 || chance_one_in(&sim->chance, 6)) {
        uint8_t *noise = buf_extend(&frame, chance_between(&sim->chance, 1, NOISE_BYTES_MAX));

        chance_fill(&sim->chance, noise, frame.size);
        if (chance_one_in(&sim->chance, 2)) {
            noise[0] = (uint8_t)chance_below(&sim->chance, 15);
        }
    } else if (chance_one_in(&sim->chance, 6)) {
        strip(sim, buf_span(&sim->recorded[chance_below(&sim->chance, sim->recorded_count)]), &frame);
    } else {
        buf_put_span(&frame, buf_span(&sim->recorded[chance_below(&sim->chance, sim->recorded_count)]));
        switch (chance_below(&sim->chance, 4)) {
        case 0: /* as it was: a replay */
            break;
        case 1:
            frame.size = chance_between(&sim->chance, 1, frame.size - 1);
            flipped = true;
            break;
        default:
            frame.data[chance_between(&sim->chance, 1, frame.size - 1)] ^=
                (uint8_t)(1u << chance_below(&sim->chance, 8));
            flipped = true;
        }
    }
    sim->stats.hostile_frames++;
    network_put(sim, conn, 0, buf_span(&frame), flipped);
    buf_free(&frame);
}

struct sim_conn *
mallory_connect(struct sim *sim, struct sim_node *node)
{
    const struct shape_device *device = &sim->shape->devices[mallory_device(sim)];

    if (!node_is_up(node) ||
        roster_device(replica_roster(node->replica), &device->identity.device_id) == NULL) {
        return NULL;
    }
    struct sim_conn *conn = network_connect(sim, -1, (int)node->index, -1);
    sim_note(sim, "%s visits %s, %u", device->name, node->device->name, conn->ends[1].number);
    enum err err = gossip_up(node->gossip, conn->ends[1].number, &device->identity.device_id, false,
                             sim->now_ms + node->steady_ms);
    if (err != ERR_OK) {
        sim_fail(sim, "gossip_up: %s", err_code(err));
    }
    node->flush_due = true;
    node->flush_ms = sim->now_ms;
    if (!chance_one_in(&sim->chance, 8)) {
        greet(sim, conn, device);
    }
    conn->ends[1].down_at_ms = sim->now_ms + chance_between(&sim->chance, 500, 8000);
    return conn;
}

void
mallory_visit(struct sim *sim)
{
    struct sim_node *node = &sim->nodes[chance_below(&sim->chance, sim->node_count)];
    struct sim_conn *conn = mallory_connect(sim, node);

    if (conn == NULL) {
        return;
    }
    for (uint64_t n = chance_between(&sim->chance, 1, FRAMES_A_VISIT_MAX); n > 0; n--) {
        speak(sim, conn);
    }
}

/* Everything that says "no" of this peer. */
static uint64_t
refusals(struct sim_node *node)
{
    size_t count = 0;
    const struct gossip_peer_status *peers = gossip_status(node->gossip, &count);
    const struct hash *id = &node->sim->shape->devices[mallory_device(node->sim)].identity.device_id;

    for (size_t n = 0; n < count; n++) {
        if (hash_equal(&peers[n].device_id, id)) {
            return peers[n].frames_unknown + peers[n].frames_stray + peers[n].frames_malformed +
                   peers[n].chunks_forged + peers[n].chunks_seen + peers[n].chunks_later;
        }
    }
    return 0;
}

static uint64_t
entries(const struct sim_node *node)
{
    return journal_place_last(replica_journal(node->replica));
}

void
mallory_receive(struct sim_node *node, uint32_t number, const struct sim_frame *frame)
{
    uint64_t refused = refusals(node);
    uint64_t had = entries(node);

    gossip_receive(node->gossip, number, buf_span(&frame->bytes), node->sim->now_ms + node->steady_ms);
    if (frame->flipped && entries(node) != had) {
        sim_fail(node->sim, "%s took entries of a frame that was changed on its way", node->device->name);
    }
    if (frame->flipped && refusals(node) == refused) {
        sim_fail(node->sim, "%s did not count a frame that was changed on its way", node->device->name);
    }
}
