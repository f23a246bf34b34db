#include "tests/support/holding.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const size_t NO_PARENT = SIZE_MAX;

static struct ident
ident_of(uint8_t name)
{
    struct ident ident;

    memset(ident.bytes, name, IDENT_BYTES);
    return ident;
}

struct holding_part *
holding_part(struct holding *holding, uint8_t name)
{
    struct ident id = ident_of(name);

    for (size_t n = 0; n < holding->part_count; n++) {
        if (ident_equal(&holding->parts[n].id, &id)) {
            return &holding->parts[n];
        }
    }
    return NULL;
}

static struct holding_part *
part_of_ident(struct holding *holding, const struct ident *id)
{
    return holding_part(holding, id->bytes[0]);
}

struct held_log *
holding_find(struct holding *holding, const struct hash *log_id)
{
    size_t low = 0;
    size_t high = holding->log_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hash_compare(&holding->logs[middle]->log.log_id, log_id);
        if (order == 0) {
            return holding->logs[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static struct held_log *
begin_log(struct holding *holding, const struct gossip_log *log)
{
    size_t at = 0;

    if (holding->log_count == holding->log_capacity) {
        holding->log_capacity = holding->log_capacity == 0 ? 64 : holding->log_capacity * 2;
        holding->logs = realloc(holding->logs, holding->log_capacity * sizeof(struct held_log *));
        assert(holding->logs != NULL);
    }
    while (at < holding->log_count && hash_compare(&holding->logs[at]->log.log_id, &log->log_id) < 0) {
        at++;
    }
    memmove(holding->logs + at + 1, holding->logs + at,
            (holding->log_count - at) * sizeof(struct held_log *));
    struct held_log *held = calloc(1, sizeof *held);
    assert(held != NULL);
    held->log = *log;
    holding->logs[at] = held;
    holding->log_count++;
    return held;
}

/* The entry of this seq whose id begins so (NULL: any). */
static size_t
find_entry(const struct held_log *held, uint64_t seq, const uint8_t *entry_short)
{
    for (size_t n = 0; n < held->count; n++) {
        const struct entry *entry = &held->entries[n].entry;
        if (entry->seq == seq &&
            (entry_short == NULL || memcmp(entry->id.bytes, entry_short, SHORT_BYTES) == 0)) {
            return n;
        }
    }
    return NO_PARENT;
}

static size_t
find_by_id(const struct held_log *held, const struct entry *entry)
{
    for (size_t n = 0; n < held->count; n++) {
        if (held->entries[n].entry.seq == entry->seq && hash_equal(&held->entries[n].entry.id, &entry->id)) {
            return n;
        }
    }
    return NO_PARENT;
}

static void
own_payload(struct entry *entry, struct span payload)
{
    entry->payload = span_of(NULL, 0);
    if (payload.data != NULL) {
        uint8_t *copy = malloc(payload.size + 1);
        assert(copy != NULL);
        memcpy(copy, payload.data, payload.size);
        entry->payload = span_of(copy, payload.size);
    }
}

static size_t
add_entry(struct held_log *held, const struct entry *entry, size_t parent)
{
    if (held->count == held->capacity) {
        held->capacity = held->capacity == 0 ? 4 : held->capacity * 2;
        held->entries = realloc(held->entries, held->capacity * sizeof *held->entries);
        assert(held->entries != NULL);
    }
    struct held_entry *added = &held->entries[held->count];
    memset(added, 0, sizeof *added);
    added->entry = *entry;
    added->parent = parent;
    own_payload(&added->entry, entry->payload);
    if (parent == NO_PARENT) {
        held->root_count++;
    } else {
        added->run = held->entries[parent].run;
        held->entries[parent].child_count++;
    }
    run_step(&added->run, entry->payload_size);
    return held->count++;
}

static uint64_t
limit_of(const struct holding *holding, const struct held_log *held)
{
    static const uint8_t nobody[SIGN_PK_BYTES];
    bool cut = memcmp(holding->cut_author, nobody, SIGN_PK_BYTES) != 0 &&
               memcmp(holding->cut_author, held->log.descriptor.sign_pk, SIGN_PK_BYTES) == 0;

    return cut ? holding->cut_next : UINT64_MAX;
}

/* The tips of a log, with their branches, into the frontier. */
static void
refresh_frontier(struct holding *holding, const struct held_log *held)
{
    struct tip tips[64];
    size_t count = 0;

    for (size_t n = 0; n < held->count && count < 64; n++) {
        const struct held_entry *entry = &held->entries[n];
        uint64_t limit = limit_of(holding, held);
        if (entry->entry.seq >= limit || (entry->child_count > 0 && entry->entry.seq + 1 < limit)) {
            continue;
        }
        struct tip *tip = &tips[count++];
        memset(tip, 0, sizeof *tip);
        tip->log_id = held->log.log_id;
        tip->seq = entry->entry.seq;
        tip->entry_id = entry->entry.id;
        size_t at = n;
        while (held->entries[at].parent != NO_PARENT &&
               held->entries[held->entries[at].parent].child_count < 2) {
            at = held->entries[at].parent;
        }
        tip->branch_first = held->entries[at].entry.seq;
        memcpy(tip->branch_id, held->entries[at].entry.id.bytes, SHORT_BYTES);
    }
    struct holding_part *part = part_of_ident(holding, &held->log.descriptor.compartment);
    enum err err = frontier_set_log(&part->frontier, &held->log.log_id, tips, count);
    assert(err == ERR_OK);
    (void)err;
}

/* --- the store that gossip sees --- */

static void
store_identity(void *self, uint8_t incarnation[8], uint8_t certificate[8])
{
    const struct holding *holding = self;

    memcpy(incarnation, holding->device_id.bytes, 8);
    memcpy(certificate, holding->device_id.bytes + 8, 8);
}

static size_t
store_shared(void *self, const struct hash *device_id, struct ident *out, size_t max)
{
    struct holding *holding = self;
    size_t count = 0;

    for (size_t p = 0; p < holding->peer_count; p++) {
        for (size_t n = 0; n < holding->part_count && hash_equal(&holding->peers[p], device_id); n++) {
            if ((holding->parts[n].shared_with >> p & 1) != 0 && count < max) {
                out[count++] = holding->parts[n].id;
            }
        }
    }
    return count;
}

static struct frontier *
store_frontier(void *self, const struct ident *compartment)
{
    return &part_of_ident(self, compartment)->frontier;
}

static bool
next_absent(const struct holding *holding, const struct ident *compartment, struct absent_cursor *cursor,
            struct hash *log_id_out, uint64_t *seq_out)
{
    for (size_t n = cursor->log_no == 0 ? 0 : cursor->log_no - 1; n < holding->log_count; n++) {
        const struct held_log *held = holding->logs[n];
        size_t from = n + 1 == cursor->log_no ? cursor->seq + 1 : 0;

        for (size_t k = from; ident_equal(&held->log.descriptor.compartment, compartment) && k < held->count;
             k++) {
            const struct entry *entry = &held->entries[k].entry;

            if (entry->payload.data == NULL && entry_is_long(entry) &&
                entry->payload_size != holding->erased_bytes) {
                *cursor = (struct absent_cursor){ .log_no = (uint32_t)n + 1, .seq = k };
                *log_id_out = held->log.log_id;
                *seq_out = entry->seq;
                return true;
            }
        }
    }
    return false;
}

static bool
store_absent(void *self, const struct ident *compartment, bool wanted, struct absent_cursor *cursor,
             struct hash *log_id_out, uint64_t *seq_out)
{
    const struct holding *holding = self;

    return (!wanted || holding->wants_all) && next_absent(holding, compartment, cursor, log_id_out, seq_out);
}

static uint8_t
store_flags(void *self, const struct ident *compartment)
{
    struct absent_cursor cursor = { 0 };
    struct hash log_id;
    uint64_t seq;
    bool lacks = next_absent(self, compartment, &cursor, &log_id, &seq);

    return part_of_ident(self, compartment)->flags | (lacks ? DIGEST_LACKS_PAYLOADS : 0);
}

static bool
store_descriptor(void *self, const struct hash *log_id, struct descriptor *out)
{
    const struct held_log *held = holding_find(self, log_id);

    if (held != NULL) {
        *out = held->log.descriptor;
    }
    return held != NULL;
}

static bool
store_find_log(void *self, const struct ident *compartment, const uint8_t log_short[SHORT_BYTES],
               struct hash *log_id_out)
{
    struct holding *holding = self;

    for (size_t n = 0; n < holding->log_count; n++) {
        const struct gossip_log *log = &holding->logs[n]->log;
        if (memcmp(log->log_id.bytes, log_short, SHORT_BYTES) == 0 &&
            ident_equal(&log->descriptor.compartment, compartment)) {
            *log_id_out = log->log_id;
            return true;
        }
    }
    return false;
}

static enum gossip_link
store_links(void *self, const struct hash *log_id, uint64_t first_seq, const uint8_t prev_short[SHORT_BYTES])
{
    const struct held_log *held = holding_find(self, log_id);

    if (first_seq == 0) {
        return LINK_GOOD;
    }
    if (held == NULL || find_entry(held, first_seq - 1, NULL) == NO_PARENT) {
        return LINK_GAP;
    }
    return find_entry(held, first_seq - 1, prev_short) != NO_PARENT ? LINK_GOOD : LINK_FORK;
}

static bool
store_has(void *self, const struct hash *log_id, uint64_t seq, const uint8_t entry_short[SHORT_BYTES])
{
    const struct held_log *held = holding_find(self, log_id);

    return held != NULL && find_entry(held, seq, entry_short) != NO_PARENT;
}

static enum err
store_read_chunk(void *self, const struct tip *tip, uint64_t from_seq, enum chunk_payloads payloads,
                 struct buf *out, uint64_t *next_seq_out)
{
    struct holding *holding = self;
    struct held_log *held = holding_find(holding, &tip->log_id);
    struct entry entries[RUN_ENTRIES_MAX];
    size_t count = 0;

    holding->read_count++;
    if (held == NULL || held->unreadable) {
        return held == NULL ? ERR_ABSENT : ERR_CORRUPT;
    }
    size_t at = find_entry(held, tip->seq, tip->entry_id.bytes);
    assert(at != NO_PARENT);
    if (from_seq > tip->seq) {
        return ERR_ABSENT;
    }
    /* Down the path from the tip, remembering it. */
    size_t depth = (size_t)(tip->seq - from_seq) + 1;
    size_t *path = calloc(depth, sizeof *path);
    assert(path != NULL);
    for (size_t n = depth; n > 0; n--) {
        path[n - 1] = at;
        at = held->entries[at].parent;
    }
    const struct held_entry *last = NULL;
    for (size_t n = 0; n < depth; n++) {
        const struct held_entry *entry = &held->entries[path[n]];
        if (n > 0 && entry->run.count == 1) {
            break; /* the run before ended where it was */
        }
        entries[count] = entry->entry;
        bool is_long = entry_is_long(&entries[count]);
        if (payloads == PAYLOADS_NONE || (payloads == PAYLOADS_SHORT && is_long) ||
            (payloads == PAYLOADS_LONG && !is_long)) {
            entries[count].payload = span_of(NULL, 0);
        }
        count++;
        last = entry;
    }
    free(path);
    assert(last != NULL);
    if (!last->has_signature) {
        return ERR_ABSENT;
    }
    chunk_write(out, entries, count, last->signature);
    *next_seq_out = last->entry.seq + 1;
    return ERR_OK;
}

static void
refuse(struct holding *holding, struct taken *taken, enum verdict verdict, enum later later)
{
    *taken = (struct taken){ .verdict = verdict, .later = later };
    holding->refused_count++;
}

static void
store_take(void *self, const struct hash *device_id, const struct gossip_log *log, struct span bytes,
           struct taken *taken)
{
    static struct chunk chunk;
    struct holding *holding = self;
    struct held_log *held = holding_find(holding, &log->log_id);
    struct hash prev = { { 0 } };
    size_t parent = NO_PARENT;

    (void)device_id;
    assert(part_of_ident(holding, &log->descriptor.compartment) != NULL);
    if (chunk_read(bytes, log->descriptor.lane, &chunk) != CHUNK_OK) {
        refuse(holding, taken, VERDICT_MALFORMED, LATER_NONE);
        return;
    }
    if (memcmp(log->descriptor.sign_pk, holding->refused_author, SIGN_PK_BYTES) == 0) {
        refuse(holding, taken, VERDICT_LATER, LATER_AUTHOR);
        return;
    }
    if (holding->full) {
        refuse(holding, taken, VERDICT_LATER, LATER_FULL);
        return;
    }
    if (chunk.first_seq > 0) {
        parent = held == NULL ? NO_PARENT : find_entry(held, chunk.first_seq - 1, chunk.prev_short);
        if (parent == NO_PARENT) {
            refuse(holding, taken, VERDICT_LATER, LATER_GAP);
            return;
        }
        prev = held->entries[parent].entry.id;
    }
    chunk_identify(&chunk, &log->log_id, &prev);
    if (chunk_verify(&chunk, log->descriptor.sign_pk) != CHUNK_OK) {
        holding->forged_count++;
        refuse(holding, taken, VERDICT_FORGED, LATER_NONE);
        return;
    }
    for (size_t n = 0; n < chunk.entry_count; n++) {
        if (chunk.entries[n].payload.data == NULL && !entry_is_long(&chunk.entries[n]) &&
            chunk.entries[n].payload_size != holding->erased_bytes &&
            (held == NULL || find_by_id(held, &chunk.entries[n]) == NO_PARENT)) {
            refuse(holding, taken, VERDICT_LATER, LATER_PAYLOAD);
            return;
        }
    }
    if (held == NULL) {
        held = begin_log(holding, log);
    }
    *taken = (struct taken){ .verdict = VERDICT_SEEN };
    for (size_t n = 0; n < chunk.entry_count; n++) {
        size_t at = find_by_id(held, &chunk.entries[n]);
        if (at == NO_PARENT) {
            at = add_entry(held, &chunk.entries[n], parent);
            taken->entry_count++;
            taken->verdict = VERDICT_TAKEN;
        } else if (held->entries[at].entry.payload.data == NULL && chunk.entries[n].payload.data != NULL &&
                   entry_is_long(&chunk.entries[n]) &&
                   chunk.entries[n].payload_size != holding->erased_bytes) {
            own_payload(&held->entries[at].entry, chunk.entries[n].payload);
            taken->verdict = VERDICT_TAKEN;
        }
        parent = at;
    }
    held->entries[parent].has_signature = true;
    memcpy(held->entries[parent].signature, chunk.signature, SIGNATURE_BYTES);
    if (taken->verdict == VERDICT_TAKEN) {
        refresh_frontier(holding, held);
        holding->taken_count++;
    } else {
        holding->seen_count++;
    }
    struct holding_part *part = part_of_ident(holding, &log->descriptor.compartment);
    size_t first;
    size_t tips = frontier_log(&part->frontier, &log->log_id, &first);
    taken->durable_next =
        tips == 1 ? part->frontier.tips[first].seq + 1 : held->entries[parent].entry.seq + 1;
    taken->visible_next = holding->invisible ? 0 : taken->durable_next;
}

/* One more than the seq of the entry furthest up the way to `at` that is named; 0: none is. */
static uint64_t
known_next(const struct held_log *held, size_t at, const struct heads_tip *known, size_t known_count)
{
    for (; at != NO_PARENT; at = held->entries[at].parent) {
        for (size_t n = 0; n < known_count; n++) {
            if (memcmp(known[n].log_short, held->log.log_id.bytes, SHORT_BYTES) == 0 &&
                memcmp(known[n].entry_short, held->entries[at].entry.id.bytes, SHORT_BYTES) == 0) {
                return held->entries[at].entry.seq + 1;
            }
        }
    }
    return 0;
}

static bool
may_ask(const struct holding *holding, const struct hash *device_id)
{
    bool may = hash_equal(device_id, &holding->device_id);

    for (size_t p = 0; p < holding->peer_count; p++) {
        may = may || ((holding->admins >> p & 1) != 0 && hash_equal(&holding->peers[p], device_id));
    }
    return may;
}

/* The cursor counts entries of all logs. */
static bool
store_beyond(void *self, const struct hash *device_id, const struct ident *compartment,
             const struct heads_tip *known, size_t known_count, uint32_t *cursor, struct tip *tip,
             uint64_t *from)
{
    const struct holding *holding = self;
    uint32_t at = 0;

    for (size_t n = 0; may_ask(holding, device_id) && n < holding->log_count; n++) {
        const struct held_log *held = holding->logs[n];
        uint64_t limit = limit_of(holding, held);

        for (size_t k = 0; k < held->count; k++) {
            const struct entry *entry = &held->entries[k].entry;

            if (at++ < *cursor || held->entries[k].child_count > 0 || entry->seq < limit ||
                !ident_equal(&held->log.descriptor.compartment, compartment)) {
                continue;
            }
            uint64_t next = known_next(held, k, known, known_count);
            *tip = (struct tip){ .log_id = held->log.log_id, .seq = entry->seq, .entry_id = entry->id };
            *from = next > limit ? next : limit;
            *cursor = at;
            return true;
        }
    }
    return false;
}

static bool
is_here(struct holding *holding, const struct held_mark *mark)
{
    const struct held_log *held = holding_find(holding, &mark->log_id);

    return held != NULL && find_entry(held, mark->seq, NULL) != NO_PARENT;
}

static size_t
store_hinted(void *self, const struct hash *log_id, uint64_t from, uint64_t to, uint32_t *records,
             size_t room)
{
    struct holding *holding = self;
    size_t count = 0;

    holding->looked_count += to - from;
    for (uint64_t seq = to; seq > from && count < room; seq--) {
        for (size_t n = 0; n < holding->mark_count && count < room; n++) {
            const struct held_mark *mark = &holding->marks[n];
            if (mark->hint && mark->seq + 1 == seq && hash_equal(&mark->log_id, log_id) &&
                is_here(holding, mark)) {
                records[count++] = mark->record;
            }
        }
    }
    return count;
}

static size_t
store_ends(void *self, uint32_t record, struct gossip_end *ends, size_t room)
{
    struct holding *holding = self;
    size_t count = 0;

    holding->ends_count++;
    for (size_t n = 0; n < holding->mark_count && count < room; n++) {
        const struct held_mark *mark = &holding->marks[n];
        if (mark->record == record && is_here(holding, mark)) {
            ends[count++] = (struct gossip_end){ mark->log_id, mark->seq + 1 };
        }
    }
    return count;
}

static uint64_t
store_visible(void *self, const struct hash *log_id)
{
    struct holding *holding = self;
    const struct held_log *held = holding_find(holding, log_id);
    uint64_t next = 0;

    for (size_t n = 0; held != NULL && n < held->count && !holding->invisible; n++) {
        next = held->entries[n].entry.seq >= next ? held->entries[n].entry.seq + 1 : next;
    }
    return next;
}

static struct kept_checkpoint *
find_checkpoint(struct holding *holding, const struct hash *device_id, const struct ident *compartment,
                uint32_t slot)
{
    for (size_t n = 0; n < holding->checkpoint_count; n++) {
        struct kept_checkpoint *kept = &holding->checkpoints[n];
        if (hash_equal(&kept->device_id, device_id) && ident_equal(&kept->compartment, compartment) &&
            kept->slot == slot) {
            return kept;
        }
    }
    return NULL;
}

static enum err
store_load_checkpoint(void *self, const struct hash *device_id, const struct ident *compartment,
                      uint32_t slot, struct buf *out)
{
    const struct kept_checkpoint *kept = find_checkpoint(self, device_id, compartment, slot);

    if (kept == NULL) {
        return ERR_ABSENT;
    }
    buf_put_span(out, buf_span(&kept->bytes));
    return ERR_OK;
}

static void
store_save_checkpoint(void *self, const struct hash *device_id, const struct ident *compartment,
                      uint32_t slot, struct span bytes)
{
    struct holding *holding = self;
    struct kept_checkpoint *kept = find_checkpoint(holding, device_id, compartment, slot);

    assert(slot < 2);
    if (kept == NULL) {
        holding->checkpoints =
            realloc(holding->checkpoints, (holding->checkpoint_count + 1) * sizeof *holding->checkpoints);
        assert(holding->checkpoints != NULL);
        kept = &holding->checkpoints[holding->checkpoint_count++];
        *kept = (struct kept_checkpoint){ *device_id, *compartment, slot, { 0 } };
    }
    buf_clear(&kept->bytes);
    buf_put_span(&kept->bytes, bytes);
}

static void
store_ended(void *self, uint32_t connection, bool hang_up, const char *why)
{
    struct holding *holding = self;

    assert(why != NULL);
    holding->ended_count++;
    holding->hang_up_count += hang_up ? 1 : 0;
    holding->last_ended = connection;
}

static void
store_agreed(void *self, const struct hash *device_id)
{
    struct holding *holding = self;

    if (holding->agreed_count++ == 0) {
        holding->agreed_entries = frontier_entry_count(&holding->parts[0].frontier);
    }
    holding->last_agreed = *device_id;
}

/* --- what tests do with it --- */

/* --- files --- */

static struct held_file *
find_file(const struct holding *holding, const struct hash *address)
{
    for (size_t n = 0; n < holding->file_count; n++) {
        if (hash_equal(&holding->file_list[n].address, address)) {
            return (struct held_file *)(uintptr_t)&holding->file_list[n];
        }
    }
    return NULL;
}

static bool
is_in(const struct held_file *file, const struct ident *compartment)
{
    return file->part == compartment->bytes[0];
}

static bool
is_whole(const struct held_file *file)
{
    return file->head && file->page && file->chunks == (1U << file->chunk_count) - 1;
}

static uint32_t
peer_bit(struct holding *holding, const struct hash *device_id)
{
    for (size_t n = 0; n < holding->peer_count; n++) {
        if (hash_equal(&holding->peers[n], device_id)) {
            return 1U << n;
        }
    }
    return 0;
}

/* What a piece must be. */
static void
put_piece(struct buf *out, const struct held_file *file, enum blob_piece piece, uint32_t index)
{
    size_t size = piece == BLOB_CHUNK  ? BLOB_SEALED_BYTES
                  : piece == BLOB_PAGE ? (size_t)file->chunk_count * HASH_BYTES
                                       : HASH_BYTES;
    uint8_t *at = buf_extend(out, size);

    if (at != NULL) {
        memset(at, file->address.bytes[0] * 31 + (int)piece * 8 + (int)index, size);
    }
}

static uint64_t
files_changes(void *self)
{
    return ((struct holding *)self)->file_changes;
}

static enum parcel_look
files_held(void *self, const struct ident *compartment, uint64_t *cursor, struct blob_have_item *item)
{
    const struct holding *holding = self;
    const struct held_file *next = NULL;

    for (size_t n = 0; n < holding->file_count; n++) {
        const struct held_file *file = &holding->file_list[n];
        if (file->came > *cursor && is_in(file, compartment) && (next == NULL || file->came < next->came)) {
            next = file;
        }
    }
    if (next == NULL) {
        return LOOK_ENDED;
    }
    *cursor = next->came;
    *item = (struct blob_have_item){ .address = next->address, .chunk_count = next->chunk_count };
    return LOOK_FOUND;
}

static enum parcel_look
files_wanted(void *self, const struct hash *device_id, const struct ident *compartment, uint32_t chunks_max,
             struct hash *cursor, struct shelf_blob *blob)
{
    struct holding *holding = self;
    uint32_t bit = peer_bit(holding, device_id);
    const struct held_file *next = NULL;

    for (size_t n = 0; n < holding->file_count; n++) {
        const struct held_file *file = &holding->file_list[n];
        if (is_in(file, compartment) && !is_whole(file) && (file->holders & bit) != 0 &&
            file->chunk_count <= chunks_max && hash_compare(&file->address, cursor) > 0 &&
            (next == NULL || hash_compare(&file->address, &next->address) < 0)) {
            next = file;
        }
    }
    if (next == NULL) {
        return LOOK_ENDED;
    }
    *cursor = next->address;
    *blob = (struct shelf_blob){ .address = next->address, .chunk_count = next->chunk_count };
    return LOOK_FOUND;
}

static bool
files_is_wanted(void *self, const struct ident *compartment, const struct hash *address, uint32_t chunks_max)
{
    const struct held_file *file = find_file(self, address);

    return file != NULL && is_in(file, compartment) && !is_whole(file) && file->chunk_count <= chunks_max;
}

static bool
files_ask(void *self, const uint8_t tag[TAG_BYTES], const struct shelf_blob *blob, struct buf *out)
{
    const struct held_file *file = find_file(self, &blob->address);
    struct blob_ask ask = { .address = file->address, .chunk_count = file->chunk_count, .head = !file->head };
    uint8_t bitmap[ASK_BITMAP_BYTES] = { (uint8_t)(~file->chunks & ((1U << file->chunk_count) - 1)) };
    struct blob_ask_page page = { .hashes = !file->page, .bitmap = bitmap };

    memcpy(ask.tag, tag, TAG_BYTES);
    blob_ask_write(out, &ask);
    blob_ask_page_write(out, &page);
    return true;
}

static enum err
files_read(void *self, const struct ident *compartment, const struct hash *address, enum blob_piece piece,
           uint32_t index, struct buf *bytes, uint32_t *chunk_count)
{
    const struct held_file *file = find_file(self, address);

    if (file == NULL || !is_in(file, compartment) || !is_whole(file) ||
        index >= (piece == BLOB_CHUNK ? file->chunk_count : 1)) {
        return ERR_ABSENT;
    }
    *chunk_count = file->chunk_count;
    put_piece(bytes, file, piece, index);
    return ERR_OK;
}

static bool
files_is_full(void *self)
{
    return ((const struct holding *)self)->full;
}

static bool
files_take_have(void *self, const struct hash *device_id, const struct ident *compartment,
                const struct blob_have_item *item)
{
    struct held_file *file = find_file(self, &item->address);

    if (file == NULL || !is_in(file, compartment) || item->chunk_count != file->chunk_count) {
        return false;
    }
    file->holders |= peer_bit(self, device_id);
    return true;
}

static enum parcel_verdict
files_take(void *self, const struct ident *compartment, const struct blob_part *part)
{
    struct holding *holding = self;
    struct held_file *file = find_file(holding, &part->address);
    struct buf right = { 0 };

    if (file == NULL || !is_in(file, compartment)) {
        return PARCEL_LATER;
    }
    if (is_whole(file)) {
        return PARCEL_SEEN;
    }
    if (part->chunk_count != file->chunk_count) {
        return PARCEL_REFUSED;
    }
    put_piece(&right, file, (enum blob_piece)part->piece, part->index);
    bool matches = right.size == part->bytes.size && memcmp(right.data, part->bytes.data, right.size) == 0;
    buf_free(&right);
    if (!matches) {
        return PARCEL_REFUSED;
    }
    file->head = file->head || part->piece == BLOB_HEAD;
    file->page = file->page || part->piece == BLOB_PAGE;
    file->chunks |= part->piece == BLOB_CHUNK ? 1U << part->index : 0;
    if (is_whole(file)) {
        file->came = ++holding->file_changes;
    }
    return PARCEL_TAKEN;
}

static void
files_forget(void *self, const struct hash *device_id, const struct hash *address)
{
    struct held_file *file = find_file(self, address);

    if (file != NULL) {
        file->holders &= ~peer_bit(self, device_id);
    }
}

void
holding_name_file(struct holding *holding, uint8_t part, uint8_t number, uint32_t chunk_count, bool here)
{
    assert(holding->file_count < HOLDING_FILES_MAX && chunk_count <= HOLDING_CHUNKS_MAX);
    struct held_file *file = &holding->file_list[holding->file_count++];
    holding->file_changes++;
    *file = (struct held_file){ .address = { { number } },
                                .part = part,
                                .chunk_count = chunk_count,
                                .head = here,
                                .page = here,
                                .chunks = here ? (1U << chunk_count) - 1 : 0,
                                .came = here ? holding->file_changes : 0 };
}

void
holding_drop_file(struct holding *holding, uint8_t number)
{
    struct held_file *file = find_file(holding, &(struct hash){ { number } });

    if (file != NULL) {
        *file = holding->file_list[--holding->file_count];
        holding->file_changes++;
    }
}

bool
holding_has_file(const struct holding *holding, uint8_t number)
{
    const struct held_file *file = find_file(holding, &(struct hash){ { number } });

    return file != NULL && is_whole(file);
}

void
holding_init(struct holding *holding, const struct hash *device_id)
{
    memset(holding, 0, sizeof *holding);
    holding->device_id = *device_id;
    holding->files = (struct gossip_files){
        .self = holding,
        .changes = files_changes,
        .held = files_held,
        .wanted = files_wanted,
        .is_wanted = files_is_wanted,
        .ask = files_ask,
        .read = files_read,
        .is_full = files_is_full,
        .take_have = files_take_have,
        .take = files_take,
        .forget = files_forget,
    };
    holding->store = (struct gossip_store){
        .self = holding,
        .files = &holding->files,
        .identity = store_identity,
        .shared = store_shared,
        .frontier = store_frontier,
        .flags = store_flags,
        .descriptor = store_descriptor,
        .find_log = store_find_log,
        .links = store_links,
        .has = store_has,
        .read_chunk = store_read_chunk,
        .absent = store_absent,
        .take = store_take,
        .beyond = store_beyond,
        .hinted = store_hinted,
        .ends = store_ends,
        .visible = store_visible,
        .load_checkpoint = store_load_checkpoint,
        .save_checkpoint = store_save_checkpoint,
        .ended = store_ended,
        .agreed = store_agreed,
    };
}

void
holding_free(struct holding *holding)
{
    for (size_t n = 0; n < holding->log_count; n++) {
        for (size_t k = 0; k < holding->logs[n]->count; k++) {
            free((uint8_t *)(uintptr_t)holding->logs[n]->entries[k].entry.payload.data);
        }
        free(holding->logs[n]->entries);
        free(holding->logs[n]);
    }
    free(holding->logs);
    for (size_t n = 0; n < holding->part_count; n++) {
        frontier_free(&holding->parts[n].frontier);
    }
    for (size_t n = 0; n < holding->checkpoint_count; n++) {
        buf_free(&holding->checkpoints[n].bytes);
    }
    free(holding->checkpoints);
    memset(holding, 0, sizeof *holding);
}

struct holding_part *
holding_add(struct holding *holding, uint8_t name)
{
    assert(holding->part_count < HOLDING_PARTS_MAX);
    struct holding_part *part = &holding->parts[holding->part_count++];
    part->id = ident_of(name);
    return part;
}

void
holding_share(struct holding *holding, uint8_t name, const struct hash *device_id, bool shared)
{
    size_t p = 0;

    while (p < holding->peer_count && !hash_equal(&holding->peers[p], device_id)) {
        p++;
    }
    if (p == holding->peer_count) {
        assert(p < HOLDING_PEERS_MAX);
        holding->peers[holding->peer_count++] = *device_id;
    }
    struct holding_part *part = holding_part(holding, name);
    part->shared_with = shared ? part->shared_with | 1u << p : part->shared_with & ~(1u << p);
}

void
holding_cut(struct holding *holding, const struct key_pair *author, uint64_t next)
{
    memcpy(holding->cut_author, author->public_key, SIGN_PK_BYTES);
    holding->cut_next = next;
    for (size_t n = 0; n < holding->log_count; n++) {
        refresh_frontier(holding, holding->logs[n]);
    }
}

void
holding_admin(struct holding *holding, const struct hash *device_id)
{
    for (size_t p = 0; p < holding->peer_count; p++) {
        holding->admins |= hash_equal(&holding->peers[p], device_id) ? 1u << p : 0;
    }
}

void
holding_mark(struct holding *holding, const struct gossip_log *log, uint64_t seq, uint32_t record, bool hint)
{
    assert(holding->mark_count < HOLDING_MARKS_MAX);
    holding->marks[holding->mark_count++] = (struct held_mark){ log->log_id, seq, record, hint };
}

void
holding_log(struct gossip_log *log, const struct key_pair *author, uint8_t name, uint8_t lane)
{
    memset(log, 0, sizeof *log);
    memcpy(log->descriptor.sign_pk, author->public_key, SIGN_PK_BYTES);
    memset(log->descriptor.incarnation, 0x11, 8);
    log->descriptor.compartment = ident_of(name);
    log->descriptor.lane = lane;
    descriptor_log_id(&log->descriptor, &log->log_id);
}

static void
write_after(struct holding *holding, const struct key_pair *author, const struct gossip_log *log,
            size_t parent, uint32_t payload_bytes, struct chance *chance)
{
    struct held_log *held = holding_find(holding, &log->log_id);
    uint8_t *payload = calloc(1, payload_bytes);
    struct entry entry = { .lane = log->descriptor.lane, .payload_size = payload_bytes };

    assert(payload != NULL && payload_bytes >= SEAL_BYTES);
    if (held == NULL) {
        held = begin_log(holding, log);
    }
    if (parent != NO_PARENT) {
        entry.seq = held->entries[parent].entry.seq + 1;
        entry.prev = held->entries[parent].entry.id;
    }
    for (uint32_t n = 0; n < payload_bytes; n++) {
        payload[n] = (uint8_t)chance_next(chance);
    }
    bytes_write_u64(entry.salt, chance_next(chance));
    entry.payload = span_of(payload, payload_bytes);
    entry_hash_payload(&entry.payload_hash, entry.payload);
    entry_identify(&entry, &log->log_id);
    size_t at = add_entry(held, &entry, parent);
    held->entries[at].has_signature = true;
    entry_sign(held->entries[at].signature, &entry.id, author);
    free(payload);
    refresh_frontier(holding, held);
}

uint64_t
holding_write(struct holding *holding, const struct key_pair *author, const struct gossip_log *log,
              uint32_t payload_bytes, struct chance *chance)
{
    const struct held_log *held = holding_find(holding, &log->log_id);
    size_t parent = NO_PARENT;

    for (size_t n = 0; held != NULL && n < held->count; n++) {
        if (parent == NO_PARENT || held->entries[n].entry.seq > held->entries[parent].entry.seq) {
            parent = n;
        }
    }
    uint64_t seq = parent == NO_PARENT ? 0 : held->entries[parent].entry.seq + 1;
    write_after(holding, author, log, parent, payload_bytes, chance);
    return seq;
}

void
holding_fork(struct holding *holding, const struct key_pair *author, const struct gossip_log *log,
             uint64_t parent_seq, uint32_t payload_bytes, struct chance *chance)
{
    const struct held_log *held = holding_find(holding, &log->log_id);
    size_t parent = parent_seq == UINT64_MAX ? NO_PARENT : find_entry(held, parent_seq, NULL);

    assert(parent_seq == UINT64_MAX || parent != NO_PARENT);
    write_after(holding, author, log, parent, payload_bytes, chance);
}

void
holding_erase(struct holding *holding, uint32_t payload_bytes)
{
    holding->erased_bytes = payload_bytes;
    for (size_t n = 0; n < holding->log_count; n++) {
        for (size_t k = 0; k < holding->logs[n]->count; k++) {
            struct entry *entry = &holding->logs[n]->entries[k].entry;

            if (entry->payload_size == payload_bytes) {
                free((uint8_t *)(uintptr_t)entry->payload.data);
                entry->payload = span_of(NULL, 0);
            }
        }
    }
}

size_t
holding_entries(const struct holding *holding, size_t *without_payload)
{
    size_t count = 0;

    *without_payload = 0;
    for (size_t n = 0; n < holding->log_count; n++) {
        for (size_t k = 0; k < holding->logs[n]->count; k++) {
            count++;
            *without_payload += holding->logs[n]->entries[k].entry.payload.data == NULL ? 1 : 0;
        }
    }
    return count;
}
