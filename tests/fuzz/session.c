/* session: two live gossip machines and somebody between them. Each command is a byte, some with more after it:
 * frames are delivered whole, bent, cut, twice or not at all, frames of the input's own are put in, time
 * passes, entries are written, files are named and dropped, the connection is cut. Whatever happens nothing is taken in that
 * its author did not sign, and nothing of a file that is not its (the holding checks both), and what is kept for a peer
 * stays bounded. */
#include "tests/support/holding.h"

#include "store/base/log.h"
#include "store/base/world.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMANDS_MAX = 200, FRAMES_MAX = 64 };

struct end {
    struct world world;
    struct holding holding;
    struct gossip *gossip;
    struct key_pair author;
    struct hash device_id;
    struct buf frames[FRAMES_MAX]; /* sent by this end, not yet delivered */
    size_t frame_count;
    bool flushing;
};

static struct end ends[2];
static uint64_t now_ms;
static struct chance seed;
static uint64_t written;

static void
must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static uint64_t
clock_ms(void *self)
{
    (void)self;
    return now_ms;
}

static void
draw(void *self, void *out, size_t size)
{
    (void)self;
    memset(out, 7, size);
}

static enum err
no_disk(void *self, enum world_disk step)
{
    (void)self;
    (void)step;
    return ERR_OK;
}

static bool
send_frame(void *self, uint32_t number, struct span bytes)
{
    struct end *end = self;
    struct frame frame;

    must(end->flushing && number == 1);
    must(frame_read(bytes, &frame));
    if (end->frame_count == FRAMES_MAX) {
        return false;
    }
    struct buf *kept = &end->frames[end->frame_count++];
    memset(kept, 0, sizeof *kept);
    buf_put_span(kept, bytes);
    return true;
}

static void
drop_frame(struct end *end)
{
    buf_free(&end->frames[0]);
    memmove(end->frames, end->frames + 1, --end->frame_count * sizeof *end->frames);
}

static void
turn(struct end *end)
{
    gossip_tick(end->gossip, now_ms);
    end->flushing = true;
    (void)gossip_flush(end->gossip, now_ms);
    end->flushing = false;
}

static void
plug_in(void)
{
    for (int n = 0; n < 2; n++) {
        must(gossip_up(ends[n].gossip, 1, &ends[1 - n].device_id, n == 0, now_ms) == ERR_OK);
    }
}

static void
pull_out(void)
{
    for (int n = 0; n < 2; n++) {
        gossip_down(ends[n].gossip, 1, "cut", now_ms);
        while (ends[n].frame_count > 0) {
            drop_frame(&ends[n]);
        }
    }
}

static void
open_end(struct end *end, uint8_t number)
{
    uint8_t key_seed[32] = { number };

    memset(end, 0, sizeof *end);
    crypto_sign_pair_from_seed(&end->author, key_seed);
    memset(end->device_id.bytes, number, HASH_BYTES);
    end->world = (struct world){ end, clock_ms, clock_ms, draw, send_frame, no_disk };
    holding_init(&end->holding, &end->device_id);
    holding_add(&end->holding, 'c');
    holding_add(&end->holding, 'k');
    struct gossip_options options = { .world = &end->world,
                                      .store = &end->holding.store,
                                      .device_id = end->device_id,
                                      .control = holding_part(&end->holding, 'c')->id,
                                      .profile = PROFILE_LAN,
                                      .version = "fuzz",
                                      .credit_bytes = 65536 };
    must(gossip_open(&end->gossip, &options) == ERR_OK);
    /* Each has a file that the other lacks, and both lack a third that nobody has. */
    for (uint8_t file = 1; file <= 3; file++) {
        holding_name_file(&end->holding, 'k', file, file + 2U, file == number);
    }
}

/* A file comes, or goes: a fourth one that nobody else knows, or one of the three. */
static void
change_files(struct end *end, uint8_t which)
{
    uint8_t file = (which & 3) + 1;

    if ((which & 4) != 0) {
        holding_drop_file(&end->holding, file);
    } else if (!holding_has_file(&end->holding, file)) {
        holding_drop_file(&end->holding, file);
        holding_name_file(&end->holding, 'k', file, file + 2U, true);
    }
}

static void
write_entries(struct end *holder, struct reader *in)
{
    struct gossip_log log;
    uint8_t what = reader_u8(in);
    const struct end *author = &ends[what & 1];

    holding_log(&log, &author->author, (what & 2) != 0 ? 'c' : 'k', what >> 2 & 3);
    for (int n = 0; n <= what >> 6; n++) {
        holding_write(&holder->holding, &author->author, &log, 40, &seed);
        written++;
    }
    gossip_changed(holder->gossip, &log.descriptor.compartment, &log.log_id, now_ms);
}

/* Deliver the oldest frame of one end to the other, whole or not. */
static void
deliver(struct end *from, struct end *to, uint8_t how, struct reader *in)
{
    if (from->frame_count == 0) {
        return;
    }
    struct buf *frame = &from->frames[0];
    if (how == 1) {
        uint16_t place = reader_u16(in);
        frame->data[place % frame->size] ^= (uint8_t)(1u << (place >> 13));
    } else if (how == 2) {
        frame->size = reader_u16(in) % frame->size;
    }
    gossip_receive(to->gossip, 1, buf_span(frame), now_ms);
    if (how != 3) {
        drop_frame(from);
    }
}

static void
command(struct reader *in)
{
    uint8_t code = reader_u8(in);
    struct end *from = &ends[code & 1];
    struct end *to = &ends[1 - (code & 1)];

    switch (code >> 1 & 7) {
    case 0:
    case 1:
    case 2:
    case 3:
        deliver(from, to, code >> 1 & 3, in);
        break;
    case 4: {
        uint8_t wanted = reader_u8(in);
        struct span raw = reader_span(in, wanted < reader_left(in) ? wanted : reader_left(in));
        gossip_receive(to->gossip, 1, raw, now_ms);
        break;
    }
    case 5:
        now_ms += (uint64_t)reader_u8(in) * (code >> 4) * 20;
        break;
    case 6:
        if (code >> 4 >= 8) {
            change_files(to, code >> 4);
        } else {
            write_entries(to, in);
        }
        break;
    default:
        if ((code >> 4 & 1) != 0) {
            pull_out();
            plug_in();
        } else if (from->frame_count > 0) {
            drop_frame(from);
        }
        break;
    }
    turn(to);
    turn(from);
}

static void
no_log(void *self, const char *line)
{
    (void)self;
    (void)line;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(span_of(data, size));

    log_to(no_log, NULL);
    now_ms = 1000;
    seed.state = 1;
    written = 0;
    open_end(&ends[0], 1);
    open_end(&ends[1], 2);
    for (int n = 0; n < 2; n++) {
        holding_share(&ends[n].holding, 'c', &ends[1 - n].device_id, true);
        holding_share(&ends[n].holding, 'k', &ends[1 - n].device_id, true);
    }
    plug_in();
    turn(&ends[0]);
    turn(&ends[1]);
    for (int n = 0; n < COMMANDS_MAX && reader_left(&in) > 0; n++) {
        command(&in);
    }
    for (int n = 0; n < 2; n++) {
        size_t count;
        size_t without;
        const struct gossip_peer_status *status = gossip_status(ends[n].gossip, &count);
        must(count == 1 && status->last_error != NULL);
        /* Each node writes only what has an author here: nothing more than was written can be held. */
        must(holding_entries(&ends[n].holding, &without) <= written);
        must(gossip_wait_ms(ends[n].gossip, now_ms) <= 60000);
    }
    for (int n = 0; n < 2; n++) {
        while (ends[n].frame_count > 0) {
            drop_frame(&ends[n]);
        }
        gossip_close(&ends[n].gossip);
        holding_free(&ends[n].holding);
    }
    return 0;
}
