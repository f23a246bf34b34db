#include "node/casework/snapshot.h"

#include "store/base/cbor.h"
#include "store/base/crypto.h"

#include <stdlib.h>
#include <string.h>

enum { ITEM_BYTES = 16, ITEM_ID_BYTES = 8, BATCH = 64, FAULTS_FIRST = 64 };

static const char version_context[] = "vigil.ver.v1";
static const char page_context[] = "vigil.vpg.v1";

/* How far each branch counts: the seq after its last entry, by log_no. And when that was so. */
struct limits {
    uint64_t *next;
    uint32_t count;
    uint64_t place; /* of the journal: what came up to here did not change it */
    uint64_t generation;
    const struct codebook *codebook;
    uint64_t codebook_version;
};

/* --- where logs end --- */

static bool
is_counted(const struct roster *roster, const struct ident *compartment)
{
    const struct roster_compartment *found = roster_compartment(roster, compartment);

    return found != NULL && (found->role == COMPARTMENT_CASES || found->role == COMPARTMENT_SHARED);
}

static enum err
begin_limits(struct limits *limits, struct replica *replica, struct arena *arena)
{
    const struct journal *journal = replica_journal(replica);

    *limits = (struct limits){ .count = journal_branch_count(journal) + 1,
                               .place = journal_place_last(journal),
                               .generation = roster_generation(replica_roster(replica)),
                               .codebook = replica_codebook(replica),
                               .codebook_version = replica_codebook(replica)->version };
    limits->next = arena_take_array(arena, limits->count, sizeof *limits->next);
    return limits->next == NULL ? ERR_MEMORY : ERR_OK;
}

/* Is everything below the limits as it was? What a key opens has a place in the turn that opens it. What a statement changes has one in a
 * later turn, so the roster is asked too. */
static bool
limits_hold(struct limits *limits, struct replica *replica, struct table_txn *txn)
{
    struct journal *journal = replica_journal(replica);
    bool hold = roster_generation(replica_roster(replica)) == limits->generation &&
                replica_codebook(replica) == limits->codebook &&
                replica_codebook(replica)->version == limits->codebook_version;

    while (hold && limits->place < journal_place_last(journal)) {
        uint32_t log_no = LOG_NONE;
        uint64_t seq = 0;

        /* A place that cannot be read is as good as one that tells. */
        hold = journal_at(txn, limits->place + 1, &log_no, &seq) == ERR_OK && log_no != LOG_NONE &&
               (log_no >= limits->count || seq >= limits->next[log_no]);
        limits->place += hold;
    }
    return hold;
}

static int
end_order(const void *left, const void *right)
{
    const struct snapshot_end *a = left;
    const struct snapshot_end *b = right;
    int order = hash_compare(&a->log_id, &b->log_id);

    if (order != 0) {
        return order;
    }
    if (a->seq != b->seq) {
        return a->seq < b->seq ? -1 : 1;
    }
    return hash_compare(&a->entry_id, &b->entry_id);
}

static enum err
take_ends(struct replica *replica, struct table_txn *txn, struct arena *arena, struct limits *limits,
          struct snapshot_state *state)
{
    struct journal *journal = replica_journal(replica);
    enum err err = begin_limits(limits, replica, arena);
    struct snapshot_end *ends = arena_take_array(arena, limits->count, sizeof *ends);

    if (err != ERR_OK || ends == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t n = 1; n < limits->count && err == ERR_OK; n++) {
        const struct log_branch *branch = journal_branch(journal, n);
        uint64_t next = branch->next_seq < branch->limit_next ? branch->next_seq : branch->limit_next;
        struct journal_entry entry;

        if (branch->descriptor.lane == LANE_CONTROL || next <= branch->branch_first ||
            !is_counted(replica_roster(replica), &branch->descriptor.compartment)) {
            continue;
        }
        err = journal_read(journal, txn, n, next - 1, &entry);
        if (err == ERR_OK) {
            limits->next[n] = next;
            ends[state->end_count] = (struct snapshot_end){ .log_id = branch->log_id,
                                                            .seq = next - 1,
                                                            .entry_id = entry.entry.id };
            state->end_count++;
        }
    }
    qsort(ends, state->end_count, sizeof *ends, end_order);
    state->ends = ends;
    return err;
}

/* --- versions --- */

/* An entry as every node names it, within logs whose ends are pinned. */
struct piece {
    struct hash log_id;
    uint8_t seq[8];
    uint8_t tag[4];
};

static int
piece_order(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct piece));
}

/* What a record is made of within the limits. *count_out: of how many entries; 0: it was not there. *later_out: there are others. */
static enum err
find_version(struct replica *replica, struct table_txn *txn, uint32_t record_no, const struct limits *limits,
             struct arena *work, struct hash *version_out, size_t *count_out, bool *later_out)
{
    struct journal *journal = replica_journal(replica);
    const struct record_place *places;
    size_t place_count;
    enum err err = record_history(txn, record_no, work, &places, &place_count);
    struct piece *pieces = err == ERR_OK ? arena_take_array(work, place_count, sizeof *pieces) : NULL;

    *count_out = 0;
    *later_out = false;
    if (pieces == NULL) {
        return err == ERR_OK ? ERR_MEMORY : err;
    }
    for (size_t n = 0; n < place_count && err == ERR_OK; n++) {
        const struct record_place *place = &places[n];
        struct piece *piece = &pieces[*count_out];
        enum entry_state state;

        if (place->log_no >= limits->count || place->seq >= limits->next[place->log_no]) {
            *later_out = true;
            continue;
        }
        err = journal_state(journal, txn, place->log_no, place->seq, &state);
        if (err != ERR_OK || state != STATE_MERGED) {
            continue;
        }
        err = journal_tag(journal, txn, place->log_no, place->seq, piece->tag);
        piece->log_id = journal_branch(journal, place->log_no)->log_id;
        bytes_write_u64(piece->seq, place->seq);
        *count_out += err == ERR_OK;
    }
    qsort(pieces, *count_out, sizeof *pieces, piece_order);
    CRYPTO_HASH(version_out, version_context, span_of(pieces, *count_out * sizeof *pieces));
    return err;
}

/* --- taking --- */

struct gathered {
    struct ident compartment;
    struct snapshot_version version;
};

static int
taken_order(const void *left, const void *right)
{
    const struct gathered *a = left;
    const struct gathered *b = right;
    int order = ident_compare(&a->compartment, &b->compartment);

    return order != 0 ? order : ident_compare(&a->version.record_id, &b->version.record_id);
}

/* Cut what was taken into pages of one compartment each. */
static enum err
cut_pages(const struct gathered *taken, size_t count, struct arena *arena, struct snapshot_state *state)
{
    struct snapshot_version *versions = arena_take_array(arena, count, sizeof *versions);
    struct snapshot_page *pages = arena_take_array(arena, count, sizeof *pages);

    if (versions == NULL || pages == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < count; n++) {
        struct snapshot_page *page = state->page_count == 0 ? NULL : &pages[state->page_count - 1];

        versions[n] = taken[n].version;
        if (page == NULL || page->count == SNAPSHOT_PAGE_RECORDS ||
            !ident_equal(&page->compartment, &taken[n].compartment)) {
            page = &pages[state->page_count];
            state->page_count++;
            *page = (struct snapshot_page){ .compartment = taken[n].compartment, .versions = &versions[n] };
        }
        page->count++;
    }
    state->pages = pages;
    state->record_count = count;
    return ERR_OK;
}

struct snapshot_taking {
    struct arena arena;
    struct arena work;
    struct limits limits;
    uint32_t *records; /* those that are to be read */
    size_t record_count;
    size_t next; /* of them */
    struct gathered *taken;
    size_t taken_count;
    struct snapshot_state state;
};

struct snapshot_taking *
snapshot_taking_new(void)
{
    return calloc(1, sizeof(struct snapshot_taking));
}

void
snapshot_taking_free(struct snapshot_taking **taking_in)
{
    struct snapshot_taking *taking = *taking_in;

    if (taking != NULL) {
        arena_free(&taking->arena);
        arena_free(&taking->work);
        free(taking);
        *taking_in = NULL;
    }
}

enum err
snapshot_taking_begin(struct snapshot_taking *taking, struct replica *replica, struct table_txn *txn,
                      const struct facts *facts)
{
    arena_reset(&taking->arena);
    taking->state = (struct snapshot_state){ 0 };
    taking->record_count = 0;
    taking->next = 0;
    taking->taken_count = 0;
    taking->records = arena_take_array(&taking->arena, facts_end(facts), sizeof *taking->records);
    taking->taken = arena_take_array(&taking->arena, facts_end(facts), sizeof *taking->taken);
    if (taking->records == NULL || taking->taken == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t n = 0; n < facts_end(facts); n++) {
        const struct fact_record *record = facts_at(facts, n);

        if (record != NULL) {
            taking->records[taking->record_count] = record->record_no;
            taking->record_count++;
        }
    }
    return take_ends(replica, txn, &taking->arena, &taking->limits, &taking->state);
}

static enum err
take_record(struct snapshot_taking *taking, struct replica *replica, struct table_txn *txn,
            uint32_t record_no)
{
    struct gathered *one = &taking->taken[taking->taken_count];
    size_t entries;
    bool later;
    enum err err = record_name(txn, record_no, &one->compartment, &one->version.record_id);

    if (err == ERR_OK && is_counted(replica_roster(replica), &one->compartment)) {
        err = find_version(replica, txn, record_no, &taking->limits, &taking->work, &one->version.version,
                           &entries, &later);
        taking->taken_count += err == ERR_OK;
    }
    arena_reset(&taking->work);
    return err;
}

enum err
snapshot_taking_step(struct snapshot_taking *taking, struct replica *replica, struct table_txn *txn,
                     const struct world *world, uint64_t until_ms, enum snapshot_progress *progress_out)
{
    enum err err = ERR_OK;
    bool late = false;

    *progress_out = SNAPSHOT_AGAIN;
    if (!limits_hold(&taking->limits, replica, txn)) {
        return ERR_OK;
    }
    while (taking->next < taking->record_count && err == ERR_OK && !late) {
        err = take_record(taking, replica, txn, taking->records[taking->next]);
        taking->next++;
        late = world_steady_ms(world) >= until_ms;
    }
    *progress_out = SNAPSHOT_MORE;
    if (err == ERR_OK && taking->next == taking->record_count) {
        *progress_out = SNAPSHOT_DONE;
        qsort(taking->taken, taking->taken_count, sizeof *taking->taken, taken_order);
        err = cut_pages(taking->taken, taking->taken_count, &taking->arena, &taking->state);
    }
    return err;
}

const struct snapshot_state *
snapshot_taking_state(const struct snapshot_taking *taking)
{
    return &taking->state;
}

/* --- pages --- */

void
snapshot_put_ends(struct buf *out, const struct snapshot_end *ends, size_t count)
{
    cbor_put_array(out, count);
    for (size_t n = 0; n < count; n++) {
        cbor_put_array(out, 3);
        cbor_put_bytes(out, hash_span(&ends[n].log_id));
        cbor_put_uint(out, ends[n].seq);
        cbor_put_bytes(out, hash_span(&ends[n].entry_id));
    }
}

bool
snapshot_read_ends(struct span cbor, struct arena *arena, struct snapshot_end **ends_out, size_t *count_out)
{
    struct cbor_reader in = cbor_reader_of(cbor);
    size_t count = cbor_read_array(&in);
    struct snapshot_end *ends = arena_take_array(arena, count, sizeof *ends);

    for (size_t n = 0; n < count && ends != NULL; n++) {
        if (cbor_read_array(&in) != 3) {
            cbor_fail(&in);
        }
        cbor_read_exact(&in, ends[n].log_id.bytes, HASH_BYTES);
        ends[n].seq = cbor_read_uint(&in);
        cbor_read_exact(&in, ends[n].entry_id.bytes, HASH_BYTES);
    }
    *ends_out = ends;
    *count_out = count;
    return ends != NULL && cbor_done(&in);
}

static void
hash_page(struct hash *out, const struct ident *compartment, const struct snapshot_version *versions,
          size_t count)
{
    CRYPTO_HASH(out, page_context, ident_span(compartment), span_of(versions, count * sizeof *versions));
}

void
snapshot_put_page(struct buf *out, const struct snapshot_page *page)
{
    struct buf items = { 0 };
    struct hash hash;

    hash_page(&hash, &page->compartment, page->versions, page->count);
    for (size_t n = 0; n < page->count; n++) {
        buf_put(&items, page->versions[n].record_id.bytes, ITEM_ID_BYTES);
        buf_put(&items, page->versions[n].version.bytes, ITEM_BYTES - ITEM_ID_BYTES);
    }
    cbor_put_array(out, 3);
    cbor_put_bytes(out, ident_span(&page->compartment));
    cbor_put_bytes(out, hash_span(&hash));
    cbor_put_bytes(out, buf_span(&items));
    out->failed = out->failed || items.failed;
    buf_free(&items);
}

bool
snapshot_read_page(struct span cbor, struct snapshot_listed *listed_out)
{
    struct cbor_reader in = cbor_reader_of(cbor);

    if (cbor_read_array(&in) != 3) {
        return false;
    }
    cbor_read_exact(&in, listed_out->compartment.bytes, IDENT_BYTES);
    cbor_read_exact(&in, listed_out->hash.bytes, HASH_BYTES);
    listed_out->items = cbor_read_bytes(&in);
    return cbor_done(&in) && listed_out->items.size % ITEM_BYTES == 0;
}

/* --- counting again --- */

/* A record of the list, and what was found of it. */
struct listed {
    struct ident compartment;
    uint8_t item[ITEM_BYTES];
    size_t page;
    bool seen;
    struct snapshot_version found;
};

struct snapshot_replay {
    const struct snapshot_claim *claim;
    struct replica *replica; /* of the slice */
    struct table_txn *txn;
    struct facts *facts;
    struct arena arena;
    struct arena work;
    bool begun;
    uint32_t next; /* the record that is read next, of those from 1 to `last` */
    uint32_t last;
    struct limits limits;
    struct listed *listed; /* ascending by compartment and item */
    size_t listed_count;
    struct snapshot_fault *faults;
    size_t fault_count;
    size_t fault_room;
    struct record_turn *turn;
    struct record_source source;
    uint32_t edited[BATCH]; /* records that have later entries */
    bool edited_listed[BATCH];
    size_t edited_count;
};

static enum err
add_fault(struct snapshot_replay *replay, const struct snapshot_fault *fault)
{
    if (replay->fault_count == replay->fault_room) {
        size_t room = replay->fault_room == 0 ? FAULTS_FIRST : 2 * replay->fault_room;
        struct snapshot_fault *faults = arena_take_array(&replay->arena, room, sizeof *faults);

        if (faults == NULL) {
            return ERR_MEMORY;
        }
        if (replay->fault_count > 0) {
            memcpy(faults, replay->faults, replay->fault_count * sizeof *faults);
        }
        replay->faults = faults;
        replay->fault_room = room;
    }
    replay->faults[replay->fault_count] = *fault;
    replay->fault_count++;
    return ERR_OK;
}

static enum err
add_record_fault(struct snapshot_replay *replay, enum snapshot_how how, const struct ident *compartment,
                 const uint8_t *record)
{
    struct snapshot_fault fault = { .how = how, .compartment = *compartment, .count = 1 };

    memcpy(fault.record, record, sizeof fault.record);
    return add_fault(replay, &fault);
}

/* An entry after the frontier does not count. */
static enum err
open_frozen(void *self, uint32_t log_no, uint64_t seq, struct arena *arena, struct signed_change *out)
{
    const struct snapshot_replay *replay = self;
    const struct record_source *source = replica_source(replay->replica);

    if (log_no >= replay->limits.count || seq >= replay->limits.next[log_no]) {
        return ERR_ABSENT;
    }
    return source->open(source->self, log_no, seq, arena, out);
}

static enum record_half
half_of(void *self, const struct ident *compartment)
{
    const struct snapshot_replay *replay = self;
    const struct record_source *source = replica_source(replay->replica);

    return source->half(source->self, compartment);
}

/* A branch counts up to a place, and with it what it comes from. */
static void
raise_limit(struct snapshot_replay *replay, uint32_t log_no, uint64_t next)
{
    struct journal *journal = replica_journal(replay->replica);

    while (log_no != LOG_NONE) {
        const struct log_branch *branch = journal_branch(journal, log_no);

        if (replay->limits.next[log_no] < next) {
            replay->limits.next[log_no] = next;
        }
        next = branch->branch_first;
        log_no = branch->parent;
    }
}

static enum err
find_limits(struct snapshot_replay *replay)
{
    const struct snapshot_claim *claim = replay->claim;
    struct journal *journal = replica_journal(replay->replica);
    enum err err = begin_limits(&replay->limits, replay->replica, &replay->arena);

    for (size_t n = 0; n < claim->end_count && err == ERR_OK; n++) {
        const struct snapshot_end *end = &claim->ends[n];
        uint32_t log_no = journal_find(journal, replay->txn, &end->log_id, end->seq, &end->entry_id);

        if (log_no != LOG_NONE) {
            raise_limit(replay, log_no, end->seq + 1);
            continue;
        }
        /* What is here of it is below that end, if it is the same log at all. */
        struct snapshot_fault fault = { .how = SNAPSHOT_LOG, .count = 1 };
        const struct log_branch *branch = journal_log(journal, &end->log_id);
        if (branch != NULL) {
            fault.compartment = branch->descriptor.compartment;
            raise_limit(replay, branch->log_no,
                        branch->next_seq < end->seq + 1 ? branch->next_seq : end->seq + 1);
        }
        memcpy(fault.record, end->log_id.bytes, sizeof fault.record);
        err = add_fault(replay, &fault);
    }
    return err;
}

static int
listed_order(const void *left, const void *right)
{
    const struct listed *a = left;
    const struct listed *b = right;
    int order = ident_compare(&a->compartment, &b->compartment);

    return order != 0 ? order : memcmp(a->item, b->item, ITEM_ID_BYTES);
}

static bool
may_read(const struct snapshot_replay *replay, const struct ident *compartment)
{
    const struct roster *roster = replica_roster(replay->replica);
    const struct roster_device *own = roster_device(roster, &replica_identity(replay->replica)->device_id);

    return own != NULL && roster_level(roster, own, compartment) >= LEVEL_READ;
}

/* The records that are to be here: those of compartments that this device may read. */
static enum err
read_list(struct snapshot_replay *replay)
{
    const struct snapshot_claim *claim = replay->claim;
    size_t count = 0;
    enum err err = ERR_OK;

    for (size_t n = 0; n < claim->page_count; n++) {
        count += claim->pages[n].items.size / ITEM_BYTES;
    }
    replay->listed = arena_take_array(&replay->arena, count, sizeof *replay->listed);
    if (replay->listed == NULL) {
        return ERR_MEMORY;
    }
    for (size_t n = 0; n < claim->page_count && err == ERR_OK; n++) {
        const struct snapshot_listed *page = &claim->pages[n];

        if (!may_read(replay, &page->compartment)) {
            err = add_fault(replay, &(struct snapshot_fault){ .how = SNAPSHOT_UNREADABLE,
                                                              .compartment = page->compartment,
                                                              .count = page->items.size / ITEM_BYTES });
            continue;
        }
        for (size_t at = 0; at < page->items.size; at += ITEM_BYTES) {
            struct listed *one = &replay->listed[replay->listed_count];

            one->compartment = page->compartment;
            one->page = n;
            memcpy(one->item, page->items.data + at, ITEM_BYTES);
            replay->listed_count++;
        }
    }
    qsort(replay->listed, replay->listed_count, sizeof *replay->listed, listed_order);
    return err;
}

static struct listed *
find_listed(const struct snapshot_replay *replay, const struct ident *compartment,
            const struct ident *record_id)
{
    struct listed wanted = { .compartment = *compartment };

    memcpy(wanted.item, record_id->bytes, ITEM_ID_BYTES);
    return replay->listed_count == 0
               ? NULL
               : bsearch(&wanted, replay->listed, replay->listed_count, sizeof *replay->listed, listed_order);
}

/* What a record says as it was. One that is not in the list, and would have been counted, is a fault. */
static enum err
take_frozen(struct snapshot_replay *replay, uint32_t record_no, bool listed)
{
    struct record_summary summary;
    enum err err = record_summary_read(replay->txn, replica_codebook(replay->replica), record_no,
                                       &replay->work, &summary);

    if (err == ERR_ABSENT) {
        return ERR_OK; /* nothing of it was there */
    }
    if (err == ERR_OK) {
        err = facts_put(replay->facts, &summary);
    }
    if (err == ERR_OK && !listed &&
        facts_named(replay->facts, facts_name(replay->facts, &summary.record_id)) != NULL) {
        facts_drop(replay->facts, record_no);
        err = add_record_fault(replay, SNAPSHOT_UNLISTED, &summary.compartment, summary.record_id.bytes);
    }
    return err;
}

/* Make the records that were edited since anew, from what they were made of. */
static enum err
take_edited(struct snapshot_replay *replay)
{
    enum err err = ERR_OK;

    record_turn_begin(replay->turn, replay->txn, replica_codebook(replay->replica), &replay->source);
    for (size_t n = 0; n < replay->edited_count && err == ERR_OK; n++) {
        err = record_rebuild(replay->turn, replay->edited[n]);
    }
    if (err == ERR_OK) {
        err = record_turn_end(replay->turn);
    } else {
        record_turn_drop(replay->turn);
    }
    for (size_t n = 0; n < replay->edited_count && err == ERR_OK; n++) {
        err = take_frozen(replay, replay->edited[n], replay->edited_listed[n]);
        arena_reset(&replay->work);
    }
    replay->edited_count = 0;
    return err;
}

static enum err
replay_record(struct snapshot_replay *replay, uint32_t record_no)
{
    struct ident compartment;
    struct ident record_id;
    struct hash version;
    size_t entries = 0;
    bool later = false;
    enum err err = record_name(replay->txn, record_no, &compartment, &record_id);

    if (err == ERR_ABSENT || (err == ERR_OK && !is_counted(replica_roster(replay->replica), &compartment))) {
        return ERR_OK;
    }
    if (err == ERR_OK) {
        err = find_version(replay->replica, replay->txn, record_no, &replay->limits, &replay->work, &version,
                           &entries, &later);
    }
    if (err != ERR_OK || entries == 0) {
        return err;
    }
    struct listed *listed = find_listed(replay, &compartment, &record_id);
    if (listed != NULL) {
        listed->seen = true;
        listed->found = (struct snapshot_version){ record_id, version };
        if (memcmp(version.bytes, listed->item + ITEM_ID_BYTES, ITEM_BYTES - ITEM_ID_BYTES) != 0) {
            err = add_record_fault(replay, SNAPSHOT_CHANGED, &compartment, record_id.bytes);
        }
    }
    if (err != ERR_OK || !later) {
        return err != ERR_OK ? err : take_frozen(replay, record_no, listed != NULL);
    }
    replay->edited[replay->edited_count] = record_no;
    replay->edited_listed[replay->edited_count] = listed != NULL;
    replay->edited_count++;
    return replay->edited_count == BATCH ? take_edited(replay) : ERR_OK;
}

/* Where the records of each page begin among `versions`: one more than there are pages. NULL: no memory. */
static size_t *
place_pages(struct snapshot_replay *replay)
{
    size_t count = replay->claim->page_count;
    size_t *first = arena_take_array(&replay->arena, count + 2, sizeof *first);

    for (size_t n = 0; n < replay->listed_count && first != NULL; n++) {
        first[replay->listed[n].page + 2]++;
    }
    for (size_t page = 0; page < count && first != NULL; page++) {
        first[page + 2] += first[page + 1];
    }
    return first;
}

/* What is in the list and was not met; and pages that are another although each of their records seems right. */
static enum err
check_list(struct snapshot_replay *replay)
{
    const struct snapshot_claim *claim = replay->claim;
    struct snapshot_version *versions =
        arena_take_array(&replay->arena, replay->listed_count + 1, sizeof *versions);
    bool *broken = arena_take_array(&replay->arena, claim->page_count + 1, sizeof *broken);
    size_t *first = place_pages(replay);
    enum err err = versions == NULL || broken == NULL || first == NULL ? ERR_MEMORY : ERR_OK;

    for (size_t n = 0; n < replay->listed_count && err == ERR_OK; n++) {
        const struct listed *one = &replay->listed[n];

        if (!one->seen) {
            err = add_record_fault(replay, SNAPSHOT_MISSING, &one->compartment, one->item);
        }
        if (!one->seen ||
            memcmp(one->found.version.bytes, one->item + ITEM_ID_BYTES, ITEM_BYTES - ITEM_ID_BYTES) != 0) {
            broken[one->page] = true;
        }
        /* From here on first[page + 1] is where the next one of the page goes, and in the end where the page ends. */
        versions[first[one->page + 1]++] = one->found;
    }
    for (size_t page = 0; page < claim->page_count && err == ERR_OK; page++) {
        size_t count = first[page + 1] - first[page];
        struct hash hash;

        if (count == 0 || broken[page]) {
            continue;
        }
        hash_page(&hash, &claim->pages[page].compartment, versions + first[page], count);
        if (!hash_equal(&hash, &claim->pages[page].hash)) {
            err = add_record_fault(replay, SNAPSHOT_PAGE, &claim->pages[page].compartment,
                                   versions[first[page]].record_id.bytes);
        }
    }
    return err;
}

static enum err
begin_replay(struct snapshot_replay *replay)
{
    arena_reset(&replay->arena);
    replay->listed_count = 0;
    replay->faults = NULL;
    replay->fault_count = 0;
    replay->fault_room = 0;
    replay->next = 1;
    replay->last = record_last(replay->txn);
    if (replay->last == UINT32_MAX) {
        return ERR_CORRUPT;
    }
    enum err err = facts_begin(replay->facts, replica_codebook(replay->replica));
    if (err == ERR_OK) {
        err = find_limits(replay);
    }
    if (err == ERR_OK) {
        err = read_list(replay);
    }
    replay->begun = err == ERR_OK;
    return err;
}

/* In a transaction that is given up after it: so no record that was made anew is left for the next slice. */
static enum err
replay_slice(struct snapshot_replay *replay, const struct world *world, uint64_t until_ms)
{
    bool late = false;
    enum err err = ERR_OK;

    if (!replay->begun || !limits_hold(&replay->limits, replay->replica, replay->txn)) {
        err = begin_replay(replay);
    }
    while (replay->next <= replay->last && err == ERR_OK && !late) {
        err = replay_record(replay, replay->next);
        arena_reset(&replay->work);
        replay->next++;
        late = world_steady_ms(world) >= until_ms;
    }
    return err == ERR_OK && replay->edited_count > 0 ? take_edited(replay) : err;
}

struct snapshot_replay *
snapshot_replay_new(const struct snapshot_claim *claim)
{
    struct snapshot_replay *replay = calloc(1, sizeof *replay);

    if (replay == NULL) {
        return NULL;
    }
    replay->claim = claim;
    replay->source = (struct record_source){ .self = replay, .open = open_frozen, .half = half_of };
    replay->turn = record_turn_new();
    replay->facts = facts_new();
    if (replay->turn == NULL || replay->facts == NULL) {
        snapshot_replay_free(&replay);
    }
    return replay;
}

void
snapshot_replay_free(struct snapshot_replay **replay_in)
{
    struct snapshot_replay *replay = *replay_in;

    if (replay != NULL) {
        record_turn_free(&replay->turn);
        facts_free(&replay->facts);
        arena_free(&replay->work);
        arena_free(&replay->arena);
        free(replay);
        *replay_in = NULL;
    }
}

enum err
snapshot_replay_step(struct snapshot_replay *replay, struct replica *replica, const struct world *world,
                     uint64_t until_ms, enum snapshot_progress *progress_out)
{
    struct table_txn *keys_txn = NULL;
    enum err err = replica_borrow(replica, &replay->txn, &keys_txn);

    *progress_out = SNAPSHOT_MORE;
    if (err != ERR_OK) {
        return err;
    }
    replay->replica = replica;
    err = replay_slice(replay, world, until_ms);
    replica_give_back(replica, &replay->txn, &keys_txn);
    if (err == ERR_OK && replay->next > replay->last) {
        *progress_out = SNAPSHOT_DONE;
        err = check_list(replay);
    }
    return err;
}

const struct facts *
snapshot_replay_facts(const struct snapshot_replay *replay)
{
    return replay->facts;
}

const struct snapshot_fault *
snapshot_replay_faults(const struct snapshot_replay *replay, size_t *count_out)
{
    *count_out = replay->fault_count;
    return replay->faults;
}
