#include "sync/bundle_import.h"

#include "store/base/log.h"
#include "sync/replica_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_WORK = 1 << 20,
    LOGS_MAX = BUNDLE_TEXT_BYTES_MAX / DESCRIPTOR_BYTES, /* that the chunks of one part can introduce */
    SAID_MAX = 1024, /* exporters times compartments that are remembered */
    END_BYTES = 4 + 1,
    SEEN_BYTES_MAX =
        1 << 20, /* a bit for each part of the largest file that a stick's file system holds, and more */
};

enum stage { PROBING, PASSING, DONE };

/* What an exporter said it has of a compartment. */
struct said {
    struct hash exporter;
    struct ident compartment;
    uint8_t digest[DIGEST_BYTES];
    uint8_t flags; /* enum digest_flag */
    struct bundle_known known;
    size_t room;
    struct ident bundle_id;
    struct bundle_wishes wishes; /* made_ms 0: it did not say */
};

struct bundle_import {
    struct replica *replica;
    const struct bundle_source *sources;
    const struct bundle_sink *sink;
    struct bundle_file *files;
    struct bundle_head **heads; /* by file: the first that is ours, if parts come before it; else NULL */
    size_t *order;              /* files that open, by bundle and volume */
    size_t count;
    size_t good;
    enum stage stage;
    size_t at;  /* in `order`; of all files while probing */
    bool begun; /* the file at `at` was */
    unsigned pass;
    bool brought;     /* this pass, or one that is to be repeated, brought something */
    bool waits;       /* something of this pass waits */
    bool piece_taken; /* in the turn that has not ended: of a file, a head and a page too */
    bool again;       /* a turn was lost */
    struct bundle_reader *reader;
    struct bundle_manifest manifest; /* of the file that is read, if it has one */
    bool has_manifest;
    bool early;             /* parts came before the first head */
    bool opened;            /* one of its heads was sealed to us */
    bool locked;            /* one was sealed to others */
    struct ident bundle_id; /* of the present volume in it, and its number; 0: none yet */
    uint32_t volume;
    bool lacks;        /* a volume before that in it was not whole */
    uint64_t ended_at; /* parts, by its end; 0: no end was read */
    uint8_t *seen;     /* a bit for each part that opened */
    size_t seen_bytes;
    uint64_t seen_count;
    bool last;
    struct bundle_counts counts;
    struct bundle_counts pass_counts; /* of this pass: what it refused */
    struct bundle_counts staged;      /* of the turn that has not ended */
    uint64_t bytes_before;
    struct said *said;
    size_t said_count;
    size_t tip_count; /* of all of them */
    bool said_lost;   /* there was no room for what somebody said */
    struct bundle_standing *standing;
    struct hash *touched; /* files of which pieces came */
    size_t touched_count;
    size_t touched_room;
    struct descriptor descriptors[LOGS_MAX]; /* that the present part introduced */
};

/* --- opening --- */

static enum err
read_source(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    struct bundle_import *import = self;
    size_t n = import->stage == PROBING ? import->at : import->order[import->at];

    return import->sources[n].read(import->sources[n].self, out, room, size_out);
}

enum err
bundle_import_open(struct bundle_import **import_out, struct replica *replica,
                   const struct bundle_source *sources, size_t count, const struct bundle_sink *sink)
{
    struct bundle_import *import = calloc(1, sizeof *import);

    assert(count > 0 && count <= BUNDLE_FILES_MAX);
    if (import == NULL) {
        return ERR_MEMORY;
    }
    import->replica = replica;
    import->sources = sources;
    import->sink = sink;
    import->count = count;
    import->files = calloc(count, sizeof *import->files);
    import->heads = calloc(count, sizeof *import->heads);
    import->order = calloc(count, sizeof *import->order);
    enum err err =
        import->files == NULL || import->heads == NULL || import->order == NULL ? ERR_MEMORY : ERR_OK;
    if (err == ERR_OK) {
        err = bundle_reader_open(&import->reader, &replica->identity.box,
                                 (struct stream_input){ import, read_source });
    }
    if (err != ERR_OK) {
        bundle_import_close(&import);
        return err;
    }
    *import_out = import;
    return ERR_OK;
}

void
bundle_import_close(struct bundle_import **import_in)
{
    struct bundle_import *import = *import_in;

    if (import == NULL) {
        return;
    }
    bundle_reader_close(&import->reader);
    for (size_t n = 0; n < import->said_count; n++) {
        bundle_known_free(&import->said[n].known);
        bundle_wishes_free(&import->said[n].wishes);
    }
    free(import->said);
    free(import->touched);
    free(import->standing);
    free(import->seen);
    for (size_t n = 0; import->heads != NULL && n < import->count; n++) {
        free(import->heads[n]);
    }
    free(import->heads);
    free(import->files);
    free(import->order);
    free(import);
    *import_in = NULL;
}

const struct bundle_file *
bundle_import_file(const struct bundle_import *import, size_t n)
{
    assert(n < import->count);
    return &import->files[n];
}

static struct bundle_file *
current(struct bundle_import *import)
{
    return &import->files[import->stage == PROBING ? import->at : import->order[import->at]];
}

bool
bundle_import_wants_turn(const struct bundle_import *import)
{
    return import->sink != NULL && import->stage == PASSING;
}

uint64_t
bundle_import_bytes(const struct bundle_import *import)
{
    return import->bytes_before + (import->begun ? bundle_reading(import->reader).bytes : 0);
}

/* --- one file --- */

/* Begin to read the present file from its beginning, with no key of another one. */
static enum err
begin_file(struct bundle_import *import)
{
    size_t n = import->stage == PROBING ? import->at : import->order[import->at];
    struct bundle_reader *reader = NULL;
    struct key file_key;

    import->opened = false;
    enum err err = import->sources[n].rewind(import->sources[n].self);
    if (err == ERR_OK) {
        err = bundle_reader_open(&reader, &import->replica->identity.box,
                                 (struct stream_input){ import, read_source });
    }
    if (err != ERR_OK) {
        return err;
    }
    bundle_reader_close(&import->reader);
    import->reader = reader;
    import->opened = import->heads[n] != NULL &&
                     bundle_head_open(import->heads[n], &import->replica->identity.box, &file_key);
    if (import->opened) {
        bundle_reader_use(reader, &import->heads[n]->bundle_id, import->heads[n]->volume, &file_key);
        crypto_wipe(&file_key, sizeof file_key);
    }
    import->has_manifest = false;
    import->early = false;
    import->locked = false;
    import->volume = 0;
    import->lacks = false;
    import->last = false;
    import->files[n].entries = 0;
    import->files[n].file_bytes = 0;
    import->files[n].parts_unknown = 0;
    import->begun = true;
    return ERR_OK;
}

static void
end_file(struct bundle_import *import)
{
    import->bytes_before += import->begun ? bundle_reading(import->reader).bytes : 0;
    import->begun = false;
    import->at++;
}

static bool
volume_is_whole(const struct bundle_import *import)
{
    return import->ended_at > 0 && import->seen_count == import->ended_at;
}

/* A file may hold several volumes, one after the other: parts are counted in each. */
static void
note_volume(struct bundle_import *import)
{
    struct ident bundle_id;
    uint32_t volume = 0;

    (void)bundle_reader_volume(import->reader, &bundle_id, &volume);
    if (volume == import->volume && ident_equal(&bundle_id, &import->bundle_id)) {
        return;
    }
    if (import->has_manifest && !ident_equal(&bundle_id, &import->manifest.bundle_id)) {
        import->has_manifest = false;
    }
    import->lacks = import->lacks || (import->volume != 0 && !volume_is_whole(import));
    import->volume = volume;
    import->bundle_id = bundle_id;
    import->ended_at = 0;
    import->seen_count = 0;
    if (import->seen != NULL) {
        memset(import->seen, 0, import->seen_bytes);
    }
}

/* Note that a part was read. False: it was read before; copies bring it again. */
static bool
note_seen(struct bundle_import *import, uint32_t index)
{
    size_t byte = index / 8;
    uint8_t bit = (uint8_t)(1U << (index % 8));

    if (byte >= import->seen_bytes && byte < SEEN_BYTES_MAX) {
        size_t size = 2 * byte + 64;
        uint8_t *seen = realloc(import->seen, size);

        if (seen != NULL) {
            memset(seen + import->seen_bytes, 0, size - import->seen_bytes);
            import->seen = seen;
            import->seen_bytes = size;
        }
    }
    if (byte >= import->seen_bytes) {
        return true; /* then the volume is not called whole */
    }
    bool is_new = (import->seen[byte] & bit) == 0;
    import->seen_count += is_new ? 1 : 0;
    import->seen[byte] |= bit;
    return is_new;
}

/* Who signed the manifest, as far as is known now. */
static enum bundle_maker
maker_of(const struct replica *replica, const uint8_t sign_pk[SIGN_PK_BYTES])
{
    if (roster_device_by_sign_pk(replica->roster, sign_pk) != NULL) {
        return BUNDLE_MAKER_MEMBER;
    }
    return roster_ever_certified(replica->roster, sign_pk) ? BUNDLE_MAKER_REVOKED : BUNDLE_MAKER_UNKNOWN;
}

/* --- what exporters have --- */

/* Of one exporter the last word on a compartment counts. NULL: no memory, too many, or older than what is known. */
static struct said *
said_of(struct bundle_import *import, const struct bundle_compartment *compartment,
        const struct hash *exporter)
{
    const struct bundle_manifest *manifest = &import->manifest;
    struct said *said = NULL;

    for (size_t n = 0; n < import->said_count && said == NULL; n++) {
        if (hash_equal(&import->said[n].exporter, exporter) &&
            ident_equal(&import->said[n].compartment, &compartment->id)) {
            said = &import->said[n];
        }
    }
    if (said == NULL) {
        struct said *grown = import->said_count == SAID_MAX
                                 ? NULL
                                 : realloc(import->said, (import->said_count + 1) * sizeof *grown);

        if (grown == NULL) {
            import->said_lost = true;
            return NULL;
        }
        import->said = grown;
        said = &grown[import->said_count];
        import->said_count++;
        *said = (struct said){ .exporter = *exporter, .compartment = compartment->id };
    }
    if (said->known.made_ms > manifest->made_ms) {
        return NULL;
    }
    if (!ident_equal(&said->bundle_id, &manifest->bundle_id)) {
        import->tip_count -= said->known.count;
        bundle_known_free(&said->known);
        bundle_wishes_free(&said->wishes);
        said->room = 0;
        said->bundle_id = manifest->bundle_id;
    }
    said->known.made_ms = manifest->made_ms;
    memcpy(said->digest, compartment->digest, DIGEST_BYTES);
    said->flags = compartment->flags;
    return said;
}

static const struct bundle_compartment *
compartment_by_tag(const struct bundle_manifest *manifest, const uint8_t tag[TAG_BYTES])
{
    for (size_t n = 0; n < manifest->compartment_count; n++) {
        if (memcmp(manifest->compartments[n].id.bytes, tag, TAG_BYTES) == 0) {
            return &manifest->compartments[n];
        }
    }
    return NULL;
}

static bool
add_tip(struct bundle_import *import, struct said *said, const struct heads_tip *tip)
{
    if (import->tip_count == BUNDLE_TIPS_MAX) {
        return false;
    }
    if (said->known.count == said->room) {
        size_t room = said->room == 0 ? 64 : 2 * said->room;
        struct heads_tip *tips = realloc(said->known.tips, room * sizeof *tips);

        if (tips == NULL) {
            return false;
        }
        said->known.tips = tips;
        said->room = room;
    }
    said->known.tips[said->known.count] = *tip;
    said->known.count++;
    import->tip_count++;
    return true;
}

/* Said once, in the first pass. Whether whoever says it is a member is looked at once all is read: its certificate may come in the
 * same bundle. */
static void
take_heads(struct bundle_import *import, struct span body)
{
    const struct bundle_file *file = current(import);
    struct heads heads;
    struct heads_tip tip;

    if (!import->has_manifest || import->pass > 1 ||
        !bundle_heads_read(body, &import->manifest.bundle_id, import->manifest.sign_pk, &heads)) {
        return;
    }
    const struct bundle_compartment *compartment = compartment_by_tag(&import->manifest, heads.tag);
    struct said *said = compartment == NULL ? NULL : said_of(import, compartment, &file->exporter);
    bool room = said != NULL;
    while (room && heads_next(&heads.tips, &tip)) {
        room = add_tip(import, said, &tip);
    }
}

/* Likewise. */
static void
take_wishes(struct bundle_import *import, struct span body)
{
    struct bundle_manifest *manifest = &import->manifest;
    struct span bytes;

    if (!import->has_manifest || import->pass > 1 ||
        !bundle_said_read(body, BUNDLE_WISHES, &manifest->bundle_id, manifest->sign_pk, &bytes) ||
        bytes.size < TAG_BYTES || (bytes.size - TAG_BYTES) % HASH_BYTES != 0 ||
        (bytes.size - TAG_BYTES) / HASH_BYTES > BUNDLE_WISHES_MAX) {
        return;
    }
    const struct bundle_compartment *compartment = compartment_by_tag(manifest, bytes.data);
    struct said *said = compartment == NULL ? NULL : said_of(import, compartment, &current(import)->exporter);
    size_t count = (bytes.size - TAG_BYTES) / HASH_BYTES;
    struct hash *addresses = said == NULL ? NULL : calloc(count + 1, sizeof *addresses);
    if (addresses != NULL) {
        for (size_t n = 0; n < count; n++) {
            memcpy(addresses[n].bytes, bytes.data + TAG_BYTES + n * HASH_BYTES, HASH_BYTES);
        }
        bundle_wishes_free(&said->wishes);
        said->wishes = (struct bundle_wishes){ manifest->made_ms, addresses, count };
    }
}

/* A manifest: false, and nothing more is taken from this file: it is of another organisation. */
static bool
take_manifest(struct bundle_import *import, const struct bundle_piece *piece)
{
    struct bundle_file *file = current(import);
    struct bundle_manifest *manifest = &import->manifest;
    struct ident bundle_id;
    uint32_t volume;

    bool keyed = bundle_reader_volume(import->reader, &bundle_id, &volume);
    if (!keyed || !bundle_manifest_read(piece->body, manifest) || manifest->volume != volume ||
        !ident_equal(&manifest->bundle_id, &bundle_id)) {
        file->maker = file->maker == BUNDLE_MAKER_UNKNOWN ? BUNDLE_MAKER_FORGED : file->maker;
        import->has_manifest = false;
        return true;
    }
    if (!hash_equal(&manifest->org, &import->replica->identity.org)) {
        file->state = BUNDLE_FILE_FOREIGN;
        import->has_manifest = false;
        return false;
    }
    import->has_manifest = true;
    memcpy(file->sign_pk, manifest->sign_pk, SIGN_PK_BYTES);
    device_id_of(file->sign_pk, &file->exporter);
    file->maker = maker_of(import->replica, file->sign_pk);
    file->made_ms = manifest->made_ms;
    file->content = manifest->content;
    file->destination_count = manifest->destination_count;
    for (size_t n = 0; n < manifest->compartment_count && import->pass == 1; n++) {
        (void)said_of(import, &manifest->compartments[n], &file->exporter);
    }
    return true;
}

/* --- chunks --- */

/* How many entries a chunk says it has. */
static uint64_t
entries_in(struct span chunk)
{
    struct reader in = reader_of(chunk);

    (void)reader_varint(&in);
    (void)reader_span(&in, SHORT_BYTES);
    uint64_t count = reader_varint(&in);
    return in.failed || count > RUN_ENTRIES_MAX ? 0 : count;
}

static void
count_taken(struct bundle_counts *counts, const struct taken *taken, uint64_t entries)
{
    switch (taken->verdict) {
    case VERDICT_TAKEN:
        counts->taken += taken->entry_count;
        counts->held += entries > taken->entry_count ? entries - taken->entry_count : 0;
        break;
    case VERDICT_SEEN:
        counts->held += entries;
        break;
    case VERDICT_LATER:
        counts->later[taken->later] += entries;
        break;
    case VERDICT_FORK:
        counts->forked += entries;
        break;
    case VERDICT_MALFORMED:
        counts->malformed++;
        break;
    case VERDICT_FORGED:
        counts->forged++;
        break;
    }
}

static void
take_chunk(struct bundle_import *import, const struct gossip_log *log, struct span chunk)
{
    static const struct hash nobody;
    struct bundle_file *file = current(import);
    struct taken taken = { .verdict = VERDICT_SEEN };
    uint64_t entries = entries_in(chunk);

    file->entries += entries;
    if (import->sink != NULL) {
        bool known = import->has_manifest && file->maker != BUNDLE_MAKER_UNKNOWN;

        import->sink->take(import->sink->self, known ? &file->exporter : &nobody, log, chunk, &taken);
        count_taken(&import->staged, &taken, entries);
    }
}

/* A frame of chunks: its log references are its own. */
static void
take_chunks(struct bundle_import *import, struct span body)
{
    struct descriptor *descriptors = import->descriptors;
    size_t known = 0;
    struct frame frame;
    struct chunk_item item;

    if (!frame_read(body, &frame) || frame.type != FRAME_CHUNK) {
        import->staged.malformed++;
        return;
    }
    while (chunk_next(&frame.chunks, &item)) {
        struct gossip_log log;

        if (item.log.ref == LOG_REF_NEW && known < LOGS_MAX &&
            descriptor_read(item.log.name, &descriptors[known])) {
            log.descriptor = descriptors[known];
            known++;
        } else if (item.log.ref >= LOG_REF_FIRST && item.log.ref - LOG_REF_FIRST < known) {
            log.descriptor = descriptors[item.log.ref - LOG_REF_FIRST];
        } else {
            import->staged.malformed++;
            return;
        }
        descriptor_log_id(&log.descriptor, &log.log_id);
        take_chunk(import, &log, item.chunk);
    }
}

/* --- files --- */

/* What the exporter holds, if it is a member: its certificate may have come just before. Of nobody else it is believed. */
static void
take_have(struct bundle_import *import, struct span body)
{
    const struct bundle_manifest *manifest = &import->manifest;
    const struct roster *roster = import->replica->roster;
    struct blob_have_item item;
    struct frame frame;
    struct span bytes;

    if (import->sink == NULL || !import->has_manifest ||
        !bundle_said_read(body, BUNDLE_HAVE, &manifest->bundle_id, manifest->sign_pk, &bytes) ||
        !frame_read(bytes, &frame) || frame.type != FRAME_HAVE ||
        maker_of(import->replica, manifest->sign_pk) != BUNDLE_MAKER_MEMBER) {
        return;
    }
    const struct roster_compartment *compartment = roster_compartment_by_tag(roster, frame.have.tag);
    while (compartment != NULL && blob_have_next(&frame.have.items, &item)) {
        (void)import->sink->take_have(import->sink->self, &current(import)->exporter, &compartment->id,
                                      &item);
    }
}

/* Remember that something of it came. Without memory the report says less. */
static void
touch(struct bundle_import *import, const struct hash *address)
{
    if ((import->touched_count > 0 && hash_equal(&import->touched[import->touched_count - 1], address)) ||
        import->touched_count == BUNDLE_TOUCHED_MAX) {
        return;
    }
    if (import->touched_count == import->touched_room) {
        size_t room = import->touched_room == 0 ? 64 : 2 * import->touched_room;
        struct hash *touched = realloc(import->touched, room * sizeof *touched);

        if (touched == NULL) {
            return;
        }
        import->touched = touched;
        import->touched_room = room;
    }
    import->touched[import->touched_count] = *address;
    import->touched_count++;
}

void
bundle_file_counts_add(struct bundle_file_counts *counts, enum blob_piece piece, enum parcel_verdict verdict)
{
    uint64_t *const places[] = {
        [PARCEL_TAKEN] = &counts->taken,       [PARCEL_SEEN] = &counts->held,
        [PARCEL_REFUSED] = &counts->refused,   [PARCEL_LATER] = &counts->waiting,
        [PARCEL_UNWANTED] = &counts->unwanted, [PARCEL_FULL] = &counts->full,
    };

    if (piece == BLOB_CHUNK || verdict == PARCEL_REFUSED) {
        (*places[verdict])++;
    }
}

static void
take_file(struct bundle_import *import, struct span body)
{
    struct bundle_file_counts *counts = &import->staged.files;
    struct frame frame;

    if (!frame_read(body, &frame) || frame.type != FRAME_BLOB) {
        counts->refused++;
        return;
    }
    current(import)->file_bytes += frame.blob.piece == BLOB_CHUNK ? frame.blob.bytes.size : 0;
    if (import->sink == NULL) {
        return;
    }
    const struct roster_compartment *compartment =
        roster_compartment_by_tag(import->replica->roster, frame.blob.tag);
    enum parcel_verdict verdict =
        compartment == NULL ? PARCEL_UNWANTED
                            : import->sink->take_file(import->sink->self, &compartment->id, &frame.blob);
    if (verdict != PARCEL_UNWANTED && verdict != PARCEL_REFUSED) {
        touch(import, &frame.blob.address);
    }
    import->piece_taken = import->piece_taken || verdict == PARCEL_TAKEN;
    bundle_file_counts_add(counts, frame.blob.piece, verdict);
}

/* --- pieces --- */

/* Act on one piece. False: this file is done with. */
static bool
take_piece(struct bundle_import *import, const struct bundle_piece *piece)
{
    import->opened = import->opened || piece->found == BUNDLE_HEAD_OPENED;
    import->locked = import->locked || piece->found == BUNDLE_HEAD_LOCKED;
    import->early = import->early || piece->found == BUNDLE_PART_LOCKED;
    if (piece->found != BUNDLE_PART) {
        return true;
    }
    note_volume(import);
    bool is_new = note_seen(import, piece->index);
    switch (piece->type) {
    case BUNDLE_MANIFEST:
        return take_manifest(import, piece);
    case BUNDLE_HEADS:
        if (is_new) {
            take_heads(import, piece->body);
        }
        break;
    case BUNDLE_CHUNKS:
        take_chunks(import, piece->body);
        break;
    case BUNDLE_END:
        if (piece->body.size == END_BYTES) {
            import->ended_at = (uint64_t)bytes_read_u32(piece->body.data) + 1;
            import->last = piece->body.data[4] != 0;
        }
        break;
    case BUNDLE_HAVE:
        take_have(import, piece->body);
        break;
    case BUNDLE_FILE:
        take_file(import, piece->body);
        break;
    case BUNDLE_WISHES:
        if (is_new) {
            take_wishes(import, piece->body);
        }
        break;
    default:
        current(import)->parts_unknown++; /* of a later version */
        break;
    }
    return true;
}

/* The end of a file, in a pass. */
static void
conclude(struct bundle_import *import, bool read_to_end)
{
    struct bundle_file *file = current(import);

    if (import->pass == 1) {
        file->reading = bundle_reading(import->reader);
        file->last = import->last;
        file->whole =
            read_to_end && volume_is_whole(import) && !import->lacks && file->reading.damaged_bytes == 0;
    }
}

/* --- passes --- */

static int
file_order(const struct bundle_file *a, const struct bundle_file *b)
{
    int order = ident_compare(&a->bundle_id, &b->bundle_id);

    return order != 0 ? order : a->volume < b->volume ? -1 : a->volume > b->volume;
}

/* The file that was probed opens: put it where it belongs. */
static void
place_file(struct bundle_import *import)
{
    size_t n = import->good;

    while (n > 0 && file_order(&import->files[import->order[n - 1]], current(import)) > 0) {
        import->order[n] = import->order[n - 1];
        n--;
    }
    import->order[n] = import->at;
    import->good++;
}

static void
note_failed(struct bundle_import *import, enum err err)
{
    struct bundle_file *file = current(import);

    file->state = BUNDLE_FILE_FAILED;
    file->err = err;
}

static void
begin_pass(struct bundle_import *import)
{
    import->pass++;
    import->at = 0;
    import->brought = import->again;
    import->again = false;
    import->waits = false;
    import->pass_counts = (struct bundle_counts){ 0 };
    import->touched_count = 0;
}

/* Parts come before the head that opens them: it is used from the beginning. */
static bool
keep_head(struct bundle_import *import, const struct bundle_head *head)
{
    struct bundle_head *kept = malloc(sizeof *kept);

    if (kept != NULL) {
        *kept = *head;
        import->heads[import->at] = kept;
    }
    return kept != NULL;
}

/* Read on until it is known who opens the file. */
static enum err
probe(struct bundle_import *import)
{
    struct bundle_file *file = current(import);
    struct bundle_piece piece;
    size_t work = 0;
    enum err err = import->begun ? ERR_OK : begin_file(import);

    while (err == ERR_OK && work < SLICE_WORK && !import->opened) {
        err = bundle_next(import->reader, &piece);
        if (err == ERR_OK) {
            work += piece.work;
            (void)take_piece(import, &piece);
        }
    }
    if (import->opened) {
        file->state = BUNDLE_FILE_GOOD;
        (void)bundle_reader_volume(import->reader, &file->bundle_id, &file->volume);
        if (import->early && !keep_head(import, piece.head)) {
            return ERR_MEMORY;
        }
        place_file(import);
    } else if (err == ERR_ABSENT) {
        file->state = import->locked ? BUNDLE_FILE_LOCKED : BUNDLE_FILE_NONE;
        file->reading = bundle_reading(import->reader);
    } else if (err == ERR_MEMORY) {
        return err;
    } else if (err != ERR_OK) {
        note_failed(import, err);
    } else {
        return ERR_OK;
    }
    end_file(import);
    if (import->at == import->count) {
        import->stage = import->good > 0 ? PASSING : DONE;
        begin_pass(import);
    }
    return ERR_OK;
}

static bool
is_full(const struct bundle_import *import)
{
    return import->sink != NULL && import->sink->is_full(import->sink->self);
}

static int
tip_order(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct heads_tip));
}

/* All is read: who made the files is known as far as it ever will be. Only members are believed. */
static void
settle(struct bundle_import *import)
{
    size_t kept = 0;

    for (size_t n = 0; n < import->count; n++) {
        static const uint8_t nobody[SIGN_PK_BYTES];
        struct bundle_file *file = &import->files[n];

        if (memcmp(file->sign_pk, nobody, sizeof nobody) != 0) {
            file->maker = maker_of(import->replica, file->sign_pk);
        }
    }
    for (size_t n = 0; n < import->said_count; n++) {
        struct said *said = &import->said[n];
        struct bundle_known *known = &said->known;
        size_t tips = 0;

        if (roster_device(import->replica->roster, &said->exporter) == NULL) {
            bundle_known_free(known);
            bundle_wishes_free(&said->wishes);
            continue;
        }
        if (known->count > 0) {
            qsort(known->tips, known->count, sizeof *known->tips, tip_order);
        }
        for (size_t m = 0; m < known->count; m++) {
            if (tips == 0 || tip_order(&known->tips[tips - 1], &known->tips[m]) != 0) {
                known->tips[tips] = known->tips[m];
                tips++;
            }
        }
        known->count = tips;
        import->said[kept] = *said;
        kept++;
    }
    import->said_count = kept;
}

/* Is there a reason to read all once more? What waits for an entry, a certificate or a key may find it now. */
static void
end_pass(struct bundle_import *import)
{
    if (import->sink != NULL && (import->again || (import->brought && import->waits)) &&
        import->pass < BUNDLE_PASSES_MAX) {
        begin_pass(import);
        return;
    }
    import->counts.forked = import->pass_counts.forked;
    import->counts.malformed = import->pass_counts.malformed;
    import->counts.forged = import->pass_counts.forged;
    memcpy(import->counts.later, import->pass_counts.later, sizeof import->counts.later);
    import->counts.files.refused = import->pass_counts.files.refused;
    import->counts.files.waiting = import->pass_counts.files.waiting;
    import->counts.files.unwanted = import->pass_counts.files.unwanted;
    import->counts.files.full = import->pass_counts.files.full;
    settle(import);
    import->stage = DONE;
}

/* One slice of a pass. */
static enum err
pass_slice(struct bundle_import *import)
{
    struct bundle_piece piece;
    size_t work = 0;
    bool wanted = current(import)->state == BUNDLE_FILE_GOOD;
    enum err err = import->begun || !wanted ? ERR_OK : begin_file(import);

    while (err == ERR_OK && wanted && work < SLICE_WORK && !is_full(import)) {
        err = bundle_next(import->reader, &piece);
        if (err == ERR_OK) {
            work += piece.work;
            wanted = take_piece(import, &piece);
        }
    }
    if (err == ERR_MEMORY) {
        return err;
    }
    if (err != ERR_OK) {
        conclude(import, err == ERR_ABSENT);
    }
    if (err != ERR_OK && err != ERR_ABSENT) {
        note_failed(import, err);
    }
    if (err != ERR_OK || !wanted) {
        end_file(import);
    }
    return ERR_OK;
}

/* What a turn counted stays counted. */
static void
keep_staged(struct bundle_import *import)
{
    struct bundle_counts *staged = &import->staged;
    struct bundle_counts *pass = &import->pass_counts;

    import->counts.taken += staged->taken;
    import->counts.files.taken += staged->files.taken;
    import->brought = import->brought || staged->taken > 0 || import->piece_taken;
    import->piece_taken = false;
    if (import->pass == 1) {
        import->counts.held += staged->held;
        import->counts.files.held += staged->files.held;
    }
    pass->files.refused += staged->files.refused;
    pass->files.waiting += staged->files.waiting;
    pass->files.unwanted += staged->files.unwanted;
    pass->files.full += staged->files.full;
    for (int n = 0; n < LATER_COUNT; n++) {
        pass->later[n] += staged->later[n];
    }
    pass->forked += staged->forked;
    pass->malformed += staged->malformed;
    pass->forged += staged->forged;
    import->waits = import->waits || staged->forked > 0 || staged->later[LATER_GAP] > 0 ||
                    staged->later[LATER_AUTHOR] > 0 || staged->later[LATER_PAYLOAD] > 0 ||
                    staged->later[LATER_LIMIT] > 0 || staged->files.waiting > 0 || staged->files.unwanted > 0;
    *staged = (struct bundle_counts){ 0 };
}

enum err
bundle_import_step(struct bundle_import *import, bool *done_out)
{
    enum err err = ERR_OK;

    if (import->stage == PROBING) {
        err = probe(import);
    } else if (import->stage == PASSING) {
        err = pass_slice(import);
        if (import->sink == NULL) {
            keep_staged(import);
        }
    }
    if (import->stage == PASSING && import->at == import->good && import->sink == NULL) {
        end_pass(import);
    }
    *done_out = import->stage == DONE;
    return err;
}

void
bundle_import_turn_ended(struct bundle_import *import, bool durable)
{
    if (durable) {
        keep_staged(import);
    } else {
        import->staged = (struct bundle_counts){ 0 };
        import->piece_taken = false;
        import->again = true;
    }
    if (import->stage == PASSING && import->at == import->good) {
        end_pass(import);
    }
}

struct bundle_counts
bundle_import_counts(const struct bundle_import *import)
{
    return import->counts;
}

static int
address_order(const void *left, const void *right)
{
    return hash_compare(left, right);
}

enum err
bundle_import_files_here(struct bundle_import *import, struct bundle_files_here *out)
{
    struct table_txn *txn = NULL;
    enum err err = replica_begin_read(import->replica, &txn);

    *out = (struct bundle_files_here){ 0 };
    if (err != ERR_OK) {
        return err;
    }
    if (import->touched_count > 0) {
        qsort(import->touched, import->touched_count, sizeof *import->touched, address_order);
    }
    for (size_t n = 0; n < import->touched_count; n++) {
        const struct hash *address = &import->touched[n];
        struct shelf_blob blob;

        if ((n > 0 && hash_equal(address, address - 1)) || shelf_get(txn, address, &blob) != ERR_OK ||
            blob.chunk_count == 0) {
            continue;
        }
        out->whole += shelf_is_whole(&blob) ? 1 : 0;
        out->partly += shelf_is_whole(&blob) ? 0 : 1;
        out->chunks_missing += blob.chunk_count - blob.held;
    }
    replica_end_read(import->replica, &txn);
    return ERR_OK;
}

/* --- what exporters have, and we lack --- */

/* Entries that are named by a tip and are not here, at least. */
static uint64_t
missing_of(struct replica *replica, const struct ident *compartment, const struct heads_tip *tip)
{
    const struct gossip_store *store = &replica->store;
    struct hash log_id;

    if (!store->find_log(store->self, compartment, tip->log_short, &log_id)) {
        return tip->seq + 1;
    }
    if (store->has(store->self, &log_id, tip->seq, tip->entry_short)) {
        return 0;
    }
    const struct log_branch *branch = journal_log(replica->journal, &log_id);
    uint64_t next = branch == NULL ? 0 : branch->next_seq;
    return tip->seq >= next ? tip->seq + 1 - next : 1;
}

static int
standing_order(const void *left, const void *right)
{
    return ident_compare(&((const struct bundle_standing *)left)->compartment,
                         &((const struct bundle_standing *)right)->compartment);
}

static enum err
standing_of(struct bundle_import *import, const struct said *said, struct bundle_standing *out)
{
    const struct gossip_store *store = &import->replica->store;
    struct frontier *frontier = store->frontier(store->self, &said->compartment);

    if (frontier == NULL) {
        return ERR_MEMORY;
    }
    *out = (struct bundle_standing){ .compartment = said->compartment };
    out->equal = memcmp(frontier_digest(frontier), said->digest, DIGEST_BYTES) == 0;
    for (size_t n = 0; n < said->known.count && !out->equal; n++) {
        uint64_t missing = missing_of(import->replica, &said->compartment, &said->known.tips[n]);

        out->missing = missing > UINT64_MAX - out->missing ? UINT64_MAX : out->missing + missing;
    }
    return ERR_OK;
}

enum err
bundle_import_standing(struct bundle_import *import, const struct bundle_standing **standing_out,
                       size_t *count_out)
{
    struct table_txn *txn = NULL;
    size_t kept = 0;

    free(import->standing);
    import->standing = calloc(import->said_count + 1, sizeof *import->standing);
    struct bundle_standing *list = import->standing;
    enum err err = list == NULL ? ERR_MEMORY : replica_begin_read(import->replica, &txn);
    if (err != ERR_OK) {
        return err;
    }
    for (size_t n = 0; n < import->said_count && err == ERR_OK; n++) {
        err = standing_of(import, &import->said[n], &list[n]);
    }
    replica_end_read(import->replica, &txn);
    if (err != ERR_OK) {
        return err;
    }
    if (import->said_count > 0) {
        qsort(list, import->said_count, sizeof *list, standing_order);
    }
    for (size_t n = 0; n < import->said_count; n++) {
        if (kept > 0 && ident_equal(&list[kept - 1].compartment, &list[n].compartment)) {
            struct bundle_standing *before = &list[kept - 1];

            before->equal = before->equal && list[n].equal;
            before->missing = before->missing > list[n].missing ? before->missing : list[n].missing;
        } else {
            list[kept] = list[n];
            kept++;
        }
    }
    *standing_out = list;
    *count_out = kept;
    return ERR_OK;
}

/* --- for a replica that was restored --- */

/* What one bundle shows; `control` is what its maker said of that compartment. */
static enum err
contact_of(struct bundle_import *import, struct table_txn *txn, const struct said *control,
           enum bundle_contact *contact_out)
{
    const struct gossip_store *store = &import->replica->store;
    uint8_t lacks = control->flags | store->flags(store->self, &control->compartment);
    bool here = !import->said_lost && (lacks & (DIGEST_LACKS_ENTRIES | DIGEST_LACKS_PAYLOADS)) == 0;
    bool since = false;
    enum err err = ERR_OK;

    for (size_t n = 0; n < import->said_count && here && err == ERR_OK; n++) {
        const struct said *said = &import->said[n];
        struct bundle_shown shown = { true, false };

        if (hash_equal(&said->exporter, &control->exporter) &&
            ident_equal(&said->bundle_id, &control->bundle_id)) {
            err = bundle_contact_look(import->replica, txn, &said->compartment, &said->known, said->digest,
                                      &shown);
        }
        here = here && shown.here;
        since = since || shown.since;
    }
    *contact_out = !here ? BUNDLE_CONTACT_LACKS : since ? BUNDLE_CONTACT_COUNTS : BUNDLE_CONTACT_OLD;
    return err;
}

enum err
bundle_import_contact(struct bundle_import *import, enum bundle_contact *contact_out)
{
    const struct replica *replica = import->replica;
    struct table_txn *txn = NULL;

    *contact_out = BUNDLE_CONTACT_NONE;
    enum err err = replica_begin_read(import->replica, &txn);
    if (err != ERR_OK) {
        return err;
    }
    for (size_t n = 0; n < import->said_count && err == ERR_OK; n++) {
        const struct said *said = &import->said[n];
        enum bundle_contact contact = BUNDLE_CONTACT_NONE;

        if (ident_equal(&said->compartment, roster_control(replica->roster)) &&
            !hash_equal(&said->exporter, &replica->identity.device_id)) {
            err = contact_of(import, txn, said, &contact);
        }
        *contact_out = contact > *contact_out ? contact : *contact_out;
    }
    replica_end_read(import->replica, &txn);
    return err;
}

/* True if this device said something later before. */
static bool
is_older(struct replica *replica, const struct said *said)
{
    const struct gossip_store *store = &replica->store;
    struct bundle_known known = { 0 };
    struct buf bytes = { 0 };
    enum err err =
        store->load_checkpoint(store->self, &said->exporter, &said->compartment, BUNDLE_KNOWN_SLOT, &bytes);

    if (err == ERR_OK) {
        err = bundle_known_read(buf_span(&bytes), &known);
    }
    bool older = err == ERR_OK && known.made_ms > said->known.made_ms;
    bundle_known_free(&known);
    buf_free(&bytes);
    return older;
}

/* What it asked for, for the next bundle to it. */
static void
keep_wishes(struct replica *replica, const struct said *said)
{
    const struct gossip_store *store = &replica->store;
    struct bundle_wishes before = { 0 };
    struct buf bytes = { 0 };
    enum err err =
        store->load_checkpoint(store->self, &said->exporter, &said->compartment, BUNDLE_WISHES_SLOT, &bytes);

    if (err == ERR_OK) {
        err = bundle_wishes_read(buf_span(&bytes), &before);
    }
    if (said->wishes.made_ms > 0 && (err != ERR_OK || before.made_ms <= said->wishes.made_ms)) {
        buf_clear(&bytes);
        bundle_wishes_write(&bytes, &said->wishes);
        if (!bytes.failed) {
            store->save_checkpoint(store->self, &said->exporter, &said->compartment, BUNDLE_WISHES_SLOT,
                                   buf_span(&bytes));
        }
    }
    bundle_wishes_free(&before);
    buf_free(&bytes);
}

/* What nobody who belongs wrote so, whoever carried it here. */
static void
tell_refused(const struct bundle_import *import)
{
    const struct bundle_counts *counts = &import->counts;
    uint64_t refused = counts->malformed + counts->forged + counts->files.refused;

    for (size_t n = 0; n < import->count; n++) {
        refused += import->files[n].maker == BUNDLE_MAKER_FORGED;
    }
    if (refused > 0) {
        log_event("bundle-refused", "count=%llu", (unsigned long long)refused);
    }
}

void
bundle_import_keep(struct bundle_import *import)
{
    const struct gossip_store *store = &import->replica->store;

    tell_refused(import);
    for (size_t n = 0; n < import->said_count; n++) {
        const struct said *said = &import->said[n];
        struct buf bytes = { 0 };

        keep_wishes(import->replica, said);
        /* Without tips nothing is known: its volume is damaged there, or lost. */
        if (said->known.count > 0 && !is_older(import->replica, said)) {
            bundle_known_write(&bytes, &said->known);
            if (!bytes.failed) {
                store->save_checkpoint(store->self, &said->exporter, &said->compartment, BUNDLE_KNOWN_SLOT,
                                       buf_span(&bytes));
            }
        }
        buf_free(&bytes);
    }
}
