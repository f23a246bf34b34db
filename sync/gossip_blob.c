#include "sync/gossip_state.h"

#include "store/base/log.h"
#include "store/base/world.h"

#include <stdlib.h>
#include <string.h>

enum {
    HAVE_ITEM_BYTES_MAX = HASH_BYTES + 3 + SHORT_BYTES + 10 + SHORT_BYTES,
    HAVE_FRAMES_MAX = 4,       /* in one flush */
    LOOKS_MAX = 16,            /* for something to ask for, in one flush */
    PIECE_OVERHEAD_BYTES = 64, /* of a BLOB frame: more than its fields take */
    SHARE_BYTES_MAX =
        TEXT_PARTS * 4 * BLOB_SEALED_BYTES, /* what files may have waited for, and make up for */
    DAMAGED_MAX = 64,                       /* chunks that cannot be read here, before a file is given up */
};

static void
give_free(struct give *give)
{
    buf_free(&give->pages);
    free(give);
}

/* There may be something to ask this peer for. */
static void
look_again(struct conn *conn)
{
    conn->files.look_left = conn->part_count + 1;
}

static void
look_everywhere(struct gossip *gossip)
{
    for (size_t n = 0; n < gossip->conn_count; n++) {
        look_again(gossip->conns[n]);
    }
}

void
blob_clear(struct gossip *gossip, struct conn *conn)
{
    if (conn->files.ask_count > 0) {
        look_everywhere(gossip);
    }
    for (size_t n = 0; n < conn->files.give_count; n++) {
        give_free(conn->files.gives[n]);
    }
    memset(&conn->files, 0, sizeof conn->files);
    conn->files.look_again_ms = UINT64_MAX;
}

/* True if files may pass on this connection now. */
static bool
may_pass(const struct gossip *gossip, const struct conn *conn)
{
    return gossip->store->files != NULL && session_is_open(conn) && conn->control_done &&
           conn->allowance == GOSSIP_ALL;
}

/* How many chunks a file may have that is fetched though nobody asked for it. */
static uint32_t
chunks_max(const struct conn *conn)
{
    switch (conn->profile) {
    case PROFILE_LAN:
        return BLOB_CHUNKS_MAX;
    case PROFILE_WAN:
        return PARCEL_SMALL_CHUNKS;
    case PROFILE_METERED:
    case PROFILE_ONEWAY:
    default:
        return 0;
    }
}

/* --- what is put aside --- */

static struct aside *
find_aside(struct conn_files *files, const struct hash *address)
{
    for (size_t n = 0; n < files->aside_count; n++) {
        if (hash_equal(&files->asides[n].address, address)) {
            return &files->asides[n];
        }
    }
    return NULL;
}

/* A place for one more: a new one, or of a file whose wait is over. NULL: so many are refused or wait that this peer is asked
 * for nothing else. */
static struct aside *
aside_place(struct conn_files *files, uint64_t now_ms)
{
    if (files->aside_count < ASIDES_MAX) {
        return &files->asides[files->aside_count];
    }
    for (size_t n = 0; n < ASIDES_MAX; n++) {
        if (files->asides[n].until_ms <= now_ms) {
            return &files->asides[n];
        }
    }
    return NULL;
}

static bool
may_ask(struct conn_files *files, const struct hash *address, uint64_t now_ms)
{
    const struct aside *aside = find_aside(files, address);

    return aside != NULL ? aside->until_ms <= now_ms : aside_place(files, now_ms) != NULL;
}

static void
put_aside(struct gossip *gossip, struct conn *conn, const struct hash *address, bool for_good)
{
    struct conn_files *files = &conn->files;
    struct aside *aside = find_aside(files, address);

    if (aside == NULL) {
        aside = aside_place(files, gossip->now_ms);
        if (aside == NULL) {
            return;
        }
        files->aside_count += aside == &files->asides[files->aside_count];
        *aside = (struct aside){ .address = *address };
    }
    aside->until_ms = for_good ? UINT64_MAX : gossip->now_ms + session_backoff_ms(ASIDE_MS, aside->attempts);
    session_count_up(&aside->attempts);
    files->look_again_ms = aside->until_ms < files->look_again_ms ? aside->until_ms : files->look_again_ms;
}

/* Look again for what was put aside and is due. */
static void
take_up(struct gossip *gossip, struct conn *conn)
{
    struct conn_files *files = &conn->files;

    if (gossip->now_ms < files->look_again_ms) {
        return;
    }
    files->look_again_ms = UINT64_MAX;
    for (size_t n = 0; n < files->aside_count; n++) {
        uint64_t until_ms = files->asides[n].until_ms;

        if (until_ms > gossip->now_ms && until_ms < files->look_again_ms) {
            files->look_again_ms = until_ms;
        }
    }
    look_again(conn);
}

/* --- what is under way to us --- */

static struct ask *
find_ask(struct conn_files *files, const struct hash *address)
{
    for (size_t n = 0; n < files->ask_count; n++) {
        if (hash_equal(&files->asks[n].address, address)) {
            return &files->asks[n];
        }
    }
    return NULL;
}

/* Whoever else holds it may be asked now. */
static void
end_ask(struct gossip *gossip, struct conn *conn, struct ask *ask)
{
    *ask = conn->files.asks[--conn->files.ask_count];
    look_everywhere(gossip);
}

/* The peer is to hear that a file is not under way. Where it does not it finds out by waiting. */
static void
note_end(struct conn *conn, const struct hash *address, uint32_t part)
{
    struct conn_files *files = &conn->files;

    if (files->end_count < ENDS_MAX) {
        files->ends[files->end_count++] = (struct end_due){ *address, part };
    }
}

static void
cancel_ask(struct gossip *gossip, struct conn *conn, struct ask *ask)
{
    note_end(conn, &ask->address, ask->part);
    end_ask(gossip, conn, ask);
}

/* Files that nobody wants any more: erased, put away, come by another way. */
static void
cancel_unwanted(struct gossip *gossip, struct conn *conn)
{
    const struct gossip_files *store = gossip->store->files;
    struct conn_files *files = &conn->files;

    for (size_t n = files->ask_count; n-- > 0;) {
        const struct part *part = &conn->parts[files->asks[n].part];

        if (!part->shared ||
            !store->is_wanted(store->self, &part->id, &files->asks[n].address, chunks_max(conn))) {
            cancel_ask(gossip, conn, &files->asks[n]);
        }
    }
}

static void
cancel_all(struct gossip *gossip, struct conn *conn)
{
    while (conn->files.ask_count > 0) {
        cancel_ask(gossip, conn, &conn->files.asks[0]);
    }
}

/* It said that it holds them, and sends nothing. */
static void
cancel_silent(struct gossip *gossip, struct conn *conn)
{
    struct conn_files *files = &conn->files;

    if (files->ask_count == 0 || gossip->now_ms < files->heard_ms + ASK_SILENCE_MS + conn->slack_ms) {
        return;
    }
    session_say(conn->peer, "it was asked for a file that it said it holds, and sends nothing of it");
    for (size_t n = 0; n < files->ask_count; n++) {
        put_aside(gossip, conn, &files->asks[n].address, false);
    }
    cancel_all(gossip, conn);
}

static bool
is_asked_elsewhere(const struct gossip *gossip, const struct hash *address)
{
    for (size_t n = 0; n < gossip->conn_count; n++) {
        if (find_ask(&gossip->conns[n]->files, address) != NULL) {
            return true;
        }
    }
    return false;
}

/* How many pieces an ASK is for. */
static uint64_t
count_pieces(const struct blob_ask *ask)
{
    struct reader pages = ask->pages;
    struct blob_ask_page page;
    uint64_t count = ask->head ? 1 : 0;

    while (blob_ask_next(&pages, &page)) {
        count += page.hashes ? 1 : 0;
        for (size_t n = 0; n < ASK_BITMAP_BYTES * 8; n++) {
            count += page.bitmap[n / 8] >> n % 8 & 1;
        }
    }
    return count;
}

/* Build an ASK. False: there is nothing that could be asked of this file. */
static bool
build_ask(struct gossip *gossip, struct conn *conn, const struct shelf_blob *blob)
{
    const struct gossip_files *store = gossip->store->files;
    struct conn_files *files = &conn->files;
    const struct part *part = &conn->parts[files->look_part];
    struct frame frame;

    buf_clear(&gossip->frame);
    if (!store->ask(store->self, part->id.bytes, blob, &gossip->frame) || gossip->frame.failed ||
        !frame_read(buf_span(&gossip->frame), &frame)) {
        return false;
    }
    files->asks[files->ask_count++] =
        (struct ask){ .address = blob->address, .part = files->look_part, .left = count_pieces(&frame.ask) };
    files->heard_ms = gossip->now_ms;
    files->moved_ms = gossip->now_ms;
    return true;
}

/* The largest piece must fit into what the peer has of credit when nothing is on its way; it is given back in quarters. */
static bool
fits_window(const struct conn *conn, const struct shelf_blob *blob)
{
    return (uint64_t)blob_page_count(blob->chunk_count) * HASH_BYTES + PIECE_OVERHEAD_BYTES <=
           conn->window - conn->window / 4;
}

/* Ask for what is wanted and the peer holds. False: a frame is held, or the session has ended. */
static bool
send_asks(struct gossip *gossip, struct conn *conn, bool *more)
{
    const struct gossip_files *store = gossip->store->files;
    struct conn_files *files = &conn->files;
    struct shelf_blob blob;

    for (int looks = 0; files->look_left > 0 && files->ask_count < ASKS_MAX; looks++) {
        if (looks == LOOKS_MAX) {
            *more = true;
            break;
        }
        files->look_part = files->look_part < conn->part_count ? files->look_part : 0;
        const struct part *part = &conn->parts[files->look_part];
        enum parcel_look look = LOOK_ENDED;
        if (part->shared && !session_is_control(gossip, part)) {
            look = store->wanted(store->self, &conn->peer->device_id, &part->id, chunks_max(conn),
                                 &files->look_at, &blob);
        }
        if (look == LOOK_ENDED) {
            files->look_left--;
            files->look_part++;
            memset(&files->look_at, 0, sizeof files->look_at);
            continue;
        }
        if (look == LOOK_ON || !fits_window(conn, &blob) || !may_ask(files, &blob.address, gossip->now_ms) ||
            is_asked_elsewhere(gossip, &blob.address)) {
            continue;
        }
        if (!build_ask(gossip, conn, &blob)) {
            put_aside(gossip, conn, &blob.address, false);
        } else if (!send_frame(gossip, conn)) {
            return false;
        }
    }
    return true;
}

static bool
send_end(struct gossip *gossip, struct conn *conn)
{
    struct conn_files *files = &conn->files;
    struct end_due due = files->ends[0];
    struct blob_ask ask = { .address = due.address, .chunk_count = 1 };

    memmove(files->ends, files->ends + 1, --files->end_count * sizeof *files->ends);
    if (!conn->parts[due.part].shared) {
        return true;
    }
    memcpy(ask.tag, conn->parts[due.part].id.bytes, TAG_BYTES);
    buf_clear(&gossip->frame);
    blob_ask_write(&gossip->frame, &ask);
    return send_frame(gossip, conn);
}

/* --- what the peer is told --- */

/* Whoever has the entries knows what they name once it has worked them off. Where two do not come to the same it is told at
 * last when nothing has moved for a while. */
static bool
may_tell(const struct gossip *gossip, const struct part *part)
{
    return (part->equal && (part->peer_flags & DIGEST_WORKING) == 0) ||
           gossip->now_ms >= part->active_ms + COMPARE_MS;
}

static bool
has_to_tell(const struct gossip *gossip, const struct conn *conn, const struct part *part)
{
    return part->shared && !session_is_control(gossip, part) &&
           (part->peer_flags & DIGEST_MISSED_FILES) == 0 && part->have_seen != conn->files.changes;
}

/* On a line that is paid for by the byte a peer is not told in each session of all that is here: but where nothing is kept of
 * what it was told, where it is another incarnation and may have lost that, and once a week. */
static void
load_told(struct gossip *gossip, const struct conn *conn, struct part *part)
{
    const struct gossip_store *store = gossip->store;
    uint64_t now_ms = world_wall_ms(gossip->options.world);
    struct buf kept = { 0 };
    uint8_t incarnation[8];

    part->have_full_ms = now_ms;
    if (conn->profile == PROFILE_METERED &&
        store->load_checkpoint(store->self, &conn->peer->device_id, &part->id, TOLD_SLOT, &kept) == ERR_OK) {
        struct reader in = reader_of(buf_span(&kept));

        reader_copy(&in, incarnation, sizeof incarnation);
        uint64_t at = reader_u64(&in);
        uint64_t full_ms = reader_u64(&in);
        if (reader_done(&in) && memcmp(incarnation, conn->incarnation, sizeof incarnation) == 0 &&
            full_ms <= now_ms && now_ms - full_ms < TOLD_MS) {
            part->have_at = at;
            part->have_full_ms = full_ms;
        }
    }
    buf_free(&kept);
}

void
blob_keep_told(struct gossip *gossip, struct conn *conn)
{
    const struct gossip_store *store = gossip->store;

    for (size_t n = 0; n < conn->part_count && conn->profile == PROFILE_METERED; n++) {
        const struct part *part = &conn->parts[n];
        uint8_t kept[8 + 8 + 8];

        if (!part->shared || part->have_at == 0 || (part->peer_flags & DIGEST_MISSED_FILES) != 0 ||
            part->have_seen != conn->files.changes) {
            continue;
        }
        memcpy(kept, conn->incarnation, 8);
        bytes_write_u64(kept + 8, part->have_at);
        bytes_write_u64(kept + 16, part->have_full_ms);
        store->save_checkpoint(store->self, &conn->peer->device_id, &part->id, TOLD_SLOT,
                               span_of(kept, sizeof kept));
    }
}

/* One HAVE of a compartment. False: a frame is held, or the session has ended. */
static bool
send_have(struct gossip *gossip, struct conn *conn, struct part *part)
{
    const struct gossip_files *store = gossip->store->files;
    enum parcel_look look = LOOK_FOUND;
    struct blob_have_item item;
    size_t count = 0;

    buf_clear(&gossip->frame);
    blob_have_write(&gossip->frame, part->id.bytes);
    while (look == LOOK_FOUND && gossip->frame.size + HAVE_ITEM_BYTES_MAX <= FRAME_SMALL_BYTES_MAX) {
        look = store->held(store->self, &part->id, &part->have_at, &item);
        if (look == LOOK_FOUND) {
            blob_have_item_write(&gossip->frame, &item);
            count++;
        }
    }
    if (look == LOOK_ENDED) {
        part->have_seen = conn->files.changes;
    }
    if (count == 0) {
        return true;
    }
    part->have_again = part->have_again || (part->peer_flags & DIGEST_WORKING) != 0;
    conn->files.moved_ms = gossip->now_ms;
    return send_frame(gossip, conn);
}

static bool
send_haves(struct gossip *gossip, struct conn *conn, bool *more)
{
    int frames = 0;

    for (size_t n = 0; n < conn->part_count; n++) {
        struct part *part = &conn->parts[n];

        if (part->have_full_ms == 0 && has_to_tell(gossip, conn, part)) {
            load_told(gossip, conn, part);
        }
        if (part->have_again && (part->peer_flags & (DIGEST_WORKING | DIGEST_MISSED_FILES)) == 0) {
            part->have_again = false;
            part->have_at = 0;
            part->have_seen = 0;
        }
        while (has_to_tell(gossip, conn, part) && may_tell(gossip, part)) {
            if (frames++ == HAVE_FRAMES_MAX) {
                *more = true;
                return true;
            }
            if (!send_have(gossip, conn, part)) {
                return false;
            }
        }
    }
    return true;
}

bool
blob_send_small(struct gossip *gossip, struct conn *conn, bool *more)
{
    struct conn_files *files = &conn->files;

    if (gossip->store->files == NULL) {
        return true;
    }
    if (!may_pass(gossip, conn)) {
        cancel_all(gossip, conn);
    } else {
        const struct gossip_files *store = gossip->store->files;
        uint64_t changes = store->changes(store->self);

        if (changes != files->changes) {
            files->changes = changes;
            cancel_unwanted(gossip, conn);
            look_again(conn);
        }
        cancel_silent(gossip, conn);
        take_up(gossip, conn);
    }
    while (files->end_count > 0) {
        if (!send_end(gossip, conn)) {
            return false;
        }
    }
    return !may_pass(gossip, conn) || (send_haves(gossip, conn, more) && send_asks(gossip, conn, more));
}

/* --- giving --- */

static void
drop_give(struct conn *conn, size_t place)
{
    struct conn_files *files = &conn->files;

    give_free(files->gives[place]);
    memmove(&files->gives[place], &files->gives[place + 1],
            (--files->give_count - place) * sizeof *files->gives);
}

/* The next piece that was asked for. False: there is none left. */
static bool
next_piece(struct give *give, enum blob_piece *piece, uint32_t *index)
{
    for (;;) {
        if (give->head) {
            *piece = BLOB_HEAD;
            *index = 0;
            return true;
        }
        if (give->hashes) {
            *piece = BLOB_PAGE;
            *index = give->page;
            return true;
        }
        for (uint32_t n = 0; n < BLOB_PAGE_CHUNKS; n++) {
            if ((give->bitmap[n / 8] >> n % 8 & 1) != 0) {
                *piece = BLOB_CHUNK;
                *index = give->page * BLOB_PAGE_CHUNKS + n;
                return true;
            }
        }
        struct reader pages = reader_of(span_of(give->pages.data + give->at, give->pages.size - give->at));
        struct blob_ask_page page;
        if (!blob_ask_next(&pages, &page)) {
            return false;
        }
        give->page = page.page;
        give->hashes = page.hashes;
        memcpy(give->bitmap, page.bitmap, ASK_BITMAP_BYTES);
        give->at = give->pages.size - reader_left(&pages);
    }
}

static void
finish_piece(struct give *give, enum blob_piece piece, uint32_t index)
{
    uint32_t n = index % BLOB_PAGE_CHUNKS;

    switch (piece) {
    case BLOB_HEAD:
        give->head = false;
        break;
    case BLOB_PAGE:
        give->hashes = false;
        break;
    case BLOB_CHUNK:
        give->bitmap[n / 8] &= (uint8_t) ~(1U << n % 8);
        break;
    }
}

/* The bytes of its frame, at most. */
static size_t
piece_bytes(const struct give *give, enum blob_piece piece, uint32_t index)
{
    size_t bytes = BLOB_SEALED_BYTES;

    if (piece == BLOB_HEAD) {
        bytes = (size_t)blob_page_count(give->chunk_count) * HASH_BYTES;
    } else if (piece == BLOB_PAGE) {
        bytes = (size_t)blob_page_chunks(give->chunk_count, index) * HASH_BYTES;
    }
    return bytes + PIECE_OVERHEAD_BYTES;
}

/* Files leave half of the peer's credit to what is more urgent, but for the head of a large one, which goes when all of it is
 * there. */
static bool
may_go_now(const struct gossip *gossip, struct conn *conn, size_t bytes)
{
    return bytes <= conn->credit &&
           (conn->credit - bytes >= conn->credit_all / 2 || bytes > conn->credit_all / 4) &&
           (!session_is_paced(conn) || pace_allows(&conn->pace, bytes, false, gossip->now_ms));
}

/* Read a piece into gossip->frame, as a frame. ERR_CORRUPT: it is damaged here. ERR_ABSENT: the file is not here, or another. */
static enum err
build_piece(struct gossip *gossip, const struct conn *conn, const struct give *give, enum blob_piece piece,
            uint32_t index)
{
    const struct gossip_files *store = gossip->store->files;
    const struct part *part = &conn->parts[give->part];
    struct blob_part out = { .address = give->address, .piece = (uint8_t)piece, .index = index };

    if (!part->shared) {
        return ERR_ABSENT;
    }
    buf_clear(&gossip->chunk);
    enum err err =
        store->read(store->self, &part->id, &give->address, piece, index, &gossip->chunk, &out.chunk_count);
    if (err != ERR_OK) {
        return err;
    }
    if (out.chunk_count != give->chunk_count) {
        return ERR_ABSENT;
    }
    memcpy(out.tag, part->id.bytes, TAG_BYTES);
    out.bytes = buf_span(&gossip->chunk);
    buf_clear(&gossip->frame);
    blob_part_write(&gossip->frame, &out);
    return gossip->chunk.failed || gossip->frame.failed ? ERR_MEMORY : ERR_OK;
}

/* It cannot be given: the peer asks elsewhere. */
static void
give_up(struct conn *conn, enum err why)
{
    const struct give *give = conn->files.gives[0];

    if (why != ERR_ABSENT) {
        log_event("file-unreadable", "file=%s error=%s", hash_short(&give->address).text, err_code(why));
    }
    note_end(conn, &give->address, give->part);
    drop_give(conn, 0);
}

enum push
blob_push(struct gossip *gossip, struct conn *conn)
{
    struct conn_files *files = &conn->files;
    enum blob_piece piece;
    uint32_t index;
    int damaged = 0;

    while (files->give_count > 0 && may_pass(gossip, conn)) {
        struct give *give = files->gives[0];

        if (!next_piece(give, &piece, &index)) {
            drop_give(conn, 0);
            continue;
        }
        if (!may_go_now(gossip, conn, piece_bytes(give, piece, index))) {
            return PUSH_NOTHING;
        }
        enum err err = build_piece(gossip, conn, give, piece, index);
        if (err == ERR_CORRUPT && piece == BLOB_CHUNK && damaged++ < DAMAGED_MAX) {
            /* The others are good, and this one is with somebody else. */
            finish_piece(give, piece, index);
            continue;
        }
        if (err != ERR_OK) {
            give_up(conn, err);
            continue;
        }
        finish_piece(give, piece, index);
        uint64_t price = (uint64_t)gossip->frame.size * TEXT_PARTS;
        files->share -= price < files->share ? price : files->share;
        files->moved_ms = gossip->now_ms;
        conn->credit -= gossip->frame.size;
        pace_sent(&conn->pace, gossip->frame.size, gossip->now_ms);
        conn->peer->status.pieces_sent++;
        return send_frame(gossip, conn) ? PUSH_SENT : PUSH_HELD;
    }
    return PUSH_NOTHING;
}

bool
blob_is_first(const struct conn *conn)
{
    return conn->files.share >= (uint64_t)TEXT_PARTS * (BLOB_SEALED_BYTES + PIECE_OVERHEAD_BYTES);
}

void
blob_note_text(struct conn *conn, size_t bytes)
{
    struct conn_files *files = &conn->files;

    files->share = files->give_count == 0 ? 0 : files->share + bytes;
    files->share = files->share < SHARE_BYTES_MAX ? files->share : SHARE_BYTES_MAX;
}

/* --- what arrives --- */

/* The next digest says so, and the peer keeps the rest to itself until one says that there is room. */
static void
miss(const struct gossip *gossip, struct conn *conn, struct part *part)
{
    session_say(conn->peer, "this side is full");
    if (!part->missed) {
        part->missed = true;
        part->missed_until_ms = gossip->now_ms + session_backoff_ms(MISSED_MS, part->misses);
        session_count_up(&part->misses);
    }
}

void
blob_tick(const struct gossip *gossip, struct part *part)
{
    const struct gossip_files *store = gossip->store->files;

    /* Entries that were refused come first: what they name is known then. And a peer that never heard that anything was missed would
     * not tell of it again. */
    if (part->missed && (part->told_flags & DIGEST_MISSED_FILES) != 0 && !part->refused &&
        gossip->now_ms >= part->missed_until_ms && !store->is_full(store->self)) {
        part->missed = false;
    }
}

void
blob_receive_have(struct gossip *gossip, struct conn *conn, const struct blob_have *have)
{
    const struct gossip_files *store = gossip->store->files;
    struct part *part = session_part(conn, have->tag);
    struct reader items = have->items;
    struct blob_have_item item;

    if (store == NULL || part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    conn->files.moved_ms = gossip->now_ms;
    if (store->is_full(store->self)) {
        miss(gossip, conn, part);
        return;
    }
    while (blob_have_next(&items, &item)) {
        if (store->take_have(store->self, &conn->peer->device_id, &part->id, &item)) {
            look_again(conn);
        }
    }
}

/* The peer gives a file up that we asked for, or does not want one any more that it asked for: whichever of the two, it does not
 * hold all of it. */
static void
receive_end(struct gossip *gossip, struct conn *conn, const struct hash *address)
{
    const struct gossip_files *store = gossip->store->files;
    struct conn_files *files = &conn->files;
    struct ask *ask = find_ask(files, address);

    for (size_t n = files->give_count; n-- > 0;) {
        if (hash_equal(&files->gives[n]->address, address)) {
            drop_give(conn, n);
        }
    }
    store->forget(store->self, &conn->peer->device_id, address);
    if (ask != NULL) {
        put_aside(gossip, conn, address, false);
        end_ask(gossip, conn, ask);
    }
}

void
blob_receive_ask(struct gossip *gossip, struct conn *conn, const struct blob_ask *ask)
{
    struct conn_files *files = &conn->files;
    const struct part *part = session_part(conn, ask->tag);
    size_t place = 0;

    if (gossip->store->files == NULL || part == NULL) {
        conn->peer->status.frames_stray++;
        return;
    }
    files->moved_ms = gossip->now_ms;
    if (!ask->head && reader_left(&ask->pages) == 0) {
        receive_end(gossip, conn, &ask->address);
        return;
    }
    while (place < files->give_count && !hash_equal(&files->gives[place]->address, &ask->address)) {
        place++;
    }
    if (place == GIVES_MAX) {
        /* The asker asks again when it has waited long enough. */
        session_say(conn->peer, "it asks for more files at once than this side remembers");
        return;
    }
    struct give *give = calloc(1, sizeof *give);
    if (give == NULL) {
        session_end_memory(gossip, conn);
        return;
    }
    give->address = ask->address;
    give->part = session_part_place(conn, part);
    give->chunk_count = ask->chunk_count;
    give->head = ask->head;
    buf_put_span(&give->pages, span_of(ask->pages.at, reader_left(&ask->pages)));
    if (give->pages.failed) {
        give_free(give);
        session_end_memory(gossip, conn);
        return;
    }
    if (place < files->give_count) {
        give_free(files->gives[place]);
    } else {
        files->give_count++;
    }
    files->gives[place] = give;
}

void
blob_receive_part(struct gossip *gossip, struct conn *conn, const struct blob_part *piece, size_t frame_bytes)
{
    const struct gossip_files *store = gossip->store->files;
    struct gossip_peer_status *status = &conn->peer->status;
    struct conn_files *files = &conn->files;

    if (!session_charge(gossip, conn, frame_bytes)) {
        return;
    }
    conn->sated = true;
    const struct part *part = session_part(conn, piece->tag);
    struct ask *ask = find_ask(files, &piece->address);
    if (store == NULL || part == NULL || ask == NULL || ask->part != session_part_place(conn, part)) {
        /* Not asked for, or no longer. */
        status->frames_stray++;
        return;
    }
    files->heard_ms = gossip->now_ms;
    files->moved_ms = gossip->now_ms;
    switch (store->take(store->self, &part->id, piece)) {
    case PARCEL_TAKEN:
        status->pieces_taken++;
        break;
    case PARCEL_SEEN:
        status->pieces_seen++;
        break;
    case PARCEL_REFUSED:
        status->pieces_refused++;
        session_say(conn->peer, "a part of a file was not that of the file");
        log_event("file-refused", "peer=%s file=%s", hash_short(&conn->peer->device_id).text,
                  hash_short(&piece->address).text);
        store->forget(store->self, &conn->peer->device_id, &piece->address);
        put_aside(gossip, conn, &piece->address, true);
        cancel_ask(gossip, conn, ask);
        return;
    case PARCEL_LATER:
    case PARCEL_UNWANTED:
    case PARCEL_FULL:
        put_aside(gossip, conn, &piece->address, false);
        cancel_ask(gossip, conn, ask);
        return;
    }
    if (ask->left <= 1) {
        end_ask(gossip, conn, ask);
    } else {
        ask->left--;
    }
}

/* --- for the others --- */

bool
blob_is_busy(const struct gossip *gossip, const struct conn *conn, uint64_t rest_ms)
{
    const struct conn_files *files = &conn->files;
    uint64_t since_ms = files->moved_ms > conn->began_ms ? files->moved_ms : conn->began_ms;

    if (!may_pass(gossip, conn)) {
        return false;
    }
    /* What is not said costs nothing: the peer is given the time to ask for something. */
    return files->ask_count > 0 || files->give_count > 0 || files->end_count > 0 ||
           (files->changes > 0 && gossip->now_ms < since_ms + rest_ms);
}

uint64_t
blob_wake_ms(const struct gossip *gossip, const struct conn *conn)
{
    const struct conn_files *files = &conn->files;
    uint64_t wake_ms = files->look_again_ms;

    /* While a frame waits for room nothing else is built. */
    if (!may_pass(gossip, conn) || conn->held.size > 0) {
        return UINT64_MAX;
    }
    if (files->ask_count > 0 && files->heard_ms + ASK_SILENCE_MS + conn->slack_ms < wake_ms) {
        wake_ms = files->heard_ms + ASK_SILENCE_MS + conn->slack_ms;
    }
    for (size_t n = 0; n < conn->part_count; n++) {
        const struct part *part = &conn->parts[n];

        if (has_to_tell(gossip, conn, part) && part->active_ms + COMPARE_MS < wake_ms) {
            wake_ms = part->active_ms + COMPARE_MS;
        }
    }
    return wake_ms;
}
