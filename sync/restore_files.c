#include "sync/restore_files.h"

#include "store/base/log.h"
#include "sync/replica_state.h"

#include <string.h>

enum {
    TURN_BYTES = 4 << 20,
    PASSES_MAX = 16, /* what waits for a head or a page that comes behind it is read once more */
    END_BYTES = 4 + 1,
};

struct taking {
    struct replica *replica; /* NULL: it is only counted */
    struct restore_files_counts counts;
    uint64_t taken; /* pieces, in this pass */
    uint64_t ended_at;
};

static enum err
read_source(void *self, uint8_t *out, size_t room, size_t *size_out)
{
    const struct bundle_source *source = self;

    return source->read(source->self, out, room, size_out);
}

static const struct ident *
compartment_of(const struct taking *taking, const uint8_t tag[TAG_BYTES])
{
    const struct roster_compartment *compartment = roster_compartment_by_tag(taking->replica->roster, tag);

    return compartment == NULL ? NULL : &compartment->id;
}

static void
take_name(struct taking *taking, struct span body)
{
    struct blob_have_item item;
    struct frame frame;

    if (!frame_read(body, &frame) || frame.type != FRAME_HAVE) {
        taking->counts.parts.refused++;
        return;
    }
    const struct ident *compartment = taking->replica == NULL ? NULL : compartment_of(taking, frame.have.tag);
    while (blob_have_next(&frame.have.items, &item)) {
        taking->counts.names++;
        if (compartment != NULL) {
            (void)parcel_take_own(taking->replica, compartment, &item);
        }
    }
}

static void
take_piece(struct taking *taking, struct span body)
{
    struct bundle_file_counts *counts = &taking->counts.parts;
    struct frame frame;

    if (!frame_read(body, &frame) || frame.type != FRAME_BLOB) {
        counts->refused++;
        return;
    }
    if (taking->replica == NULL) {
        bundle_file_counts_add(counts, frame.blob.piece, PARCEL_SEEN);
        return;
    }
    const struct ident *compartment = compartment_of(taking, frame.blob.tag);
    enum parcel_verdict verdict = compartment == NULL
                                      ? PARCEL_UNWANTED
                                      : parcel_take_carried(taking->replica, compartment, &frame.blob);
    taking->taken += verdict == PARCEL_TAKEN ? 1 : 0;
    bundle_file_counts_add(counts, frame.blob.piece, verdict);
}

static void
take_part(struct taking *taking, const struct bundle_piece *piece)
{
    switch (piece->type) {
    case BUNDLE_HAVE:
        take_name(taking, piece->body);
        break;
    case BUNDLE_FILE:
        take_piece(taking, piece->body);
        break;
    case BUNDLE_END:
        taking->ended_at = piece->body.size == END_BYTES ? (uint64_t)bytes_read_u32(piece->body.data) + 1 : 0;
        break;
    default:
        break; /* of a later version */
    }
}

/* Read on for one turn's worth. ERR_ABSENT: it has ended. */
static enum err
take_slice(struct taking *taking, struct bundle_reader *reader)
{
    struct bundle_piece piece;
    enum err err = ERR_OK;

    for (size_t work = 0; err == ERR_OK && work < TURN_BYTES;) {
        err = bundle_next(reader, &piece);
        if (err == ERR_OK) {
            work += piece.work;
            if (piece.found == BUNDLE_PART) {
                take_part(taking, &piece);
            }
        }
    }
    return err;
}

/* The same in a turn. */
static enum err
take_turn(struct taking *taking, struct bundle_reader *reader)
{
    enum err err = replica_begin(taking->replica);

    if (err != ERR_OK) {
        return err;
    }
    err = take_slice(taking, reader);
    if (err == ERR_OK || err == ERR_ABSENT) {
        enum err committed = replica_commit(taking->replica);

        return committed == ERR_OK ? err : committed;
    }
    enum err aborted = replica_abort(taking->replica);
    return aborted == ERR_OK ? err : aborted;
}

/* Read it once. */
static enum err
pass(struct taking *taking, const struct key *file_key, const struct ident *pair_id,
     const struct bundle_source *source, struct bundle_reading *reading_out)
{
    static const struct key_pair nobody;
    struct bundle_reader *reader = NULL;
    struct bundle_source copy = *source;

    enum err err = source->rewind(source->self);
    if (err == ERR_OK) {
        err = bundle_reader_open(&reader, &nobody, (struct stream_input){ &copy, read_source });
    }
    if (err != ERR_OK) {
        return err;
    }
    bundle_reader_use(reader, pair_id, BACKUP_FILES_VOLUME, file_key);
    while (err == ERR_OK) {
        err = taking->replica == NULL ? take_slice(taking, reader) : take_turn(taking, reader);
    }
    *reading_out = bundle_reading(reader);
    bundle_reader_close(&reader);
    return err == ERR_ABSENT ? ERR_OK : err;
}

/* What is added up over passes, and what is of the last one. */
static void
begin_pass(struct taking *taking)
{
    struct bundle_file_counts *parts = &taking->counts.parts;

    *parts = (struct bundle_file_counts){ .taken = parts->taken };
    taking->counts.names = 0;
    taking->taken = 0;
}

static enum err
read_all(struct taking *taking, const struct key *file_key, const struct ident *pair_id,
         const struct bundle_source *source)
{
    struct restore_files_counts *counts = &taking->counts;
    struct bundle_reading reading;
    uint64_t held = 0;
    enum err err = ERR_OK;

    for (int passes = 0; err == ERR_OK && (passes == 0 || (passes < PASSES_MAX && taking->taken > 0 &&
                                                           counts->parts.waiting > 0));
         passes++) {
        begin_pass(taking);
        err = pass(taking, file_key, pair_id, source, &reading);
        if (passes == 0) {
            counts->reading = reading;
            held = counts->parts.held;
        }
    }
    counts->parts.held = held;
    counts->whole = err == ERR_OK && counts->reading.damaged_bytes == 0 &&
                    counts->reading.locked_bytes == 0 && taking->ended_at > 0 &&
                    counts->reading.parts == taking->ended_at;
    return err == ERR_OK && counts->reading.parts == 0 ? ERR_INVALID : err;
}

enum err
restore_files_check(const struct key *file_key, const struct ident *pair_id,
                    const struct bundle_source *source, struct restore_files_counts *counts_out)
{
    struct taking taking = { .replica = NULL };
    enum err err = read_all(&taking, file_key, pair_id, source);

    *counts_out = taking.counts;
    return err;
}

enum err
restore_files_apply(struct replica *replica, const struct key *file_key, const struct ident *pair_id,
                    const struct bundle_source *source, struct restore_files_counts *counts_out)
{
    struct taking taking = { .replica = replica };
    enum err err = read_all(&taking, file_key, pair_id, source);

    *counts_out = taking.counts;
    log_event("files-restored", "parts=%llu held=%llu unwanted=%llu",
              (unsigned long long)taking.counts.parts.taken, (unsigned long long)taking.counts.parts.held,
              (unsigned long long)taking.counts.parts.unwanted);
    return err;
}
