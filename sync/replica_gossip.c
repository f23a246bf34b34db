#include "sync/replica_state.h"

#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "sync/update.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHARED_MAX = GOSSIP_SHARED_MAX,
    RECORD_LOGS_MAX = 64, /* logs of one record that go forward */
    /* So many bytes that count for nothing a peer may bring, and as many again each hour. */
    PEER_IDLE_BYTES_MAX = 64 << 20,
    HOUR_MS = 3600 * 1000,
};

static void
store_identity(void *self, uint8_t incarnation_out[8], uint8_t certificate_out[8])
{
    const struct replica *replica = self;
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);

    memcpy(incarnation_out, replica->identity.incarnation, 8);
    memset(certificate_out, 0, 8);
    if (own != NULL) {
        memcpy(certificate_out, own->certificate.bytes, 8);
    }
}

/* By our clock. */
static bool
certificate_is_over(const struct replica *replica, const struct roster_device *device)
{
    return world_wall_ms(replica->world) / 1000 >= device->until;
}

/* A date closes sessions and nothing else; and a node to whose clock its own certificate is over doubts its clock, and
 * refuses nobody for a date. */
bool
replica_is_out_of_date(const struct replica *replica, const struct roster_device *own,
                       const struct roster_device *peer)
{
    return certificate_is_over(replica, peer) && !certificate_is_over(replica, own);
}

static size_t
store_shared(void *self, const struct hash *device_id, struct ident *compartments_out, size_t max)
{
    const struct replica *replica = self;
    const struct roster_compartment *shared[SHARED_MAX];
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    const struct roster_device *peer = roster_device(replica->roster, device_id);

    if (own == NULL || peer == NULL || replica_is_out_of_date(replica, own, peer)) {
        return 0;
    }
    size_t room = max < SHARED_MAX ? max : SHARED_MAX;
    size_t count = roster_compartments_shared(replica->roster, own, peer, shared, room);
    for (size_t n = 0; n < count && n < room; n++) {
        compartments_out[n] = shared[n]->id;
    }
    return count < room ? count : room;
}

static struct frontier *
store_frontier(void *self, const struct ident *compartment)
{
    return replica_frontier(self, compartment);
}

/* True if somebody proved a branch that is not here. What is cut off is not missed. */
static bool
lacks_proved_branch(struct replica *replica, const struct ident *compartment)
{
    struct table_txn *txn = NULL;
    bool lacks = false;

    for (size_t n = 0; n < roster_fork_count(replica->roster) && !lacks; n++) {
        const struct roster_fork *fork = roster_fork_at(replica->roster, n);

        if (!ident_equal(&fork->descriptor.compartment, compartment) ||
            limit_applies(replica->roster, &fork->descriptor) ||
            replica_begin_read(replica, &txn) != ERR_OK) {
            continue;
        }
        for (int branch = 0; branch < 2 && !lacks; branch++) {
            lacks = journal_find(replica->journal, txn, &fork->log_id, fork->first, &fork->branch[branch]) ==
                    LOG_NONE;
        }
        replica_end_read(replica, &txn);
    }
    return lacks;
}

static uint8_t
store_flags(void *self, const struct ident *compartment)
{
    struct replica *replica = self;
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    uint8_t flags = 0;

    for (const struct log_branch *branch = NULL;
         (branch = journal_next_of(replica->journal, compartment, branch)) != NULL;) {
        flags |= branch->pending_count > 0 ? DIGEST_WORKING : 0;
        flags |= (branch->lacks & LACKS_ENTRIES) != 0 ? DIGEST_LACKS_ENTRIES : 0;
        flags |=
            (branch->lacks & LACKS_PAYLOADS) != 0 || branch->absent_count > 0 ? DIGEST_LACKS_PAYLOADS : 0;
    }
    flags |= lacks_proved_branch(replica, compartment) ? DIGEST_LACKS_ENTRIES : 0;
    /* A record that is to be rebuilt may be of any compartment that is read here. */
    if (policy_may(replica->roster, own, OPERATION_READ, compartment) && replica_is_rebuilding(replica)) {
        flags |= DIGEST_WORKING;
    }
    return flags;
}

static bool
store_descriptor(void *self, const struct hash *log_id, struct descriptor *descriptor_out)
{
    const struct replica *replica = self;
    const struct log_branch *branch = journal_log(replica->journal, log_id);

    if (branch != NULL) {
        *descriptor_out = branch->descriptor;
    }
    return branch != NULL;
}

static bool
store_find_log(void *self, const struct ident *compartment, const uint8_t log_short[SHORT_BYTES],
               struct hash *log_id_out)
{
    const struct replica *replica = self;
    const struct log_branch *branch = journal_log_by_prefix(replica->journal, log_short);

    if (branch == NULL || !ident_equal(&branch->descriptor.compartment, compartment)) {
        return false;
    }
    *log_id_out = branch->log_id;
    return true;
}

/* Look at every branch that stores the entry `seq` of a log: true if one of them has an id that begins so. */
static bool
entry_begins(struct replica *replica, const struct hash *log_id, uint64_t seq,
             const uint8_t entry_short[SHORT_BYTES], bool *present_out)
{
    struct log_branch *first = journal_log(replica->journal, log_id);
    struct table_txn *txn = NULL;
    bool found = false;

    *present_out = false;
    if (first == NULL || replica_begin_read(replica, &txn) != ERR_OK) {
        return false;
    }
    for (uint32_t no = first->log_no; no != LOG_NONE && !found;
         no = journal_branch(replica->journal, no)->sibling) {
        const struct log_branch *branch = journal_branch(replica->journal, no);
        struct journal_entry entry;

        if (seq < branch->branch_first || seq >= branch->next_seq) {
            continue;
        }
        if (seq + 1 == branch->next_seq) {
            *present_out = true;
            found = memcmp(branch->head_id.bytes, entry_short, SHORT_BYTES) == 0;
        } else if (journal_read(replica->journal, txn, no, seq, &entry) == ERR_OK) {
            /* One that is damaged is none that another could differ from. */
            *present_out = true;
            found = memcmp(entry.entry.id.bytes, entry_short, SHORT_BYTES) == 0;
        }
    }
    replica_end_read(replica, &txn);
    return found;
}

/* Where what is told to nobody begins, of what is a branch's own. */
static uint64_t
branch_limit(const struct log_branch *branch)
{
    return branch->told_next > branch->branch_first ? branch->told_next : branch->branch_first;
}

static enum gossip_link
store_links(void *self, const struct hash *log_id, uint64_t first_seq, const uint8_t prev_short[SHORT_BYTES])
{
    bool present;

    if (first_seq == 0 || entry_begins(self, log_id, first_seq - 1, prev_short, &present)) {
        return LINK_GOOD;
    }
    return present ? LINK_FORK : LINK_GAP;
}

static bool
store_has(void *self, const struct hash *log_id, uint64_t seq, const uint8_t entry_short[SHORT_BYTES])
{
    bool present;

    return entry_begins(self, log_id, seq, entry_short, &present);
}

/* The branch that stores this tip: as its head, or where its log is cut. */
static const struct log_branch *
branch_of_tip(struct replica *replica, struct table_txn *txn, const struct tip *tip)
{
    const struct log_branch *branch = journal_log(replica->journal, &tip->log_id);

    while (branch != NULL &&
           (branch->next_seq != tip->seq + 1 || !hash_equal(&branch->head_id, &tip->entry_id))) {
        branch = branch->sibling == LOG_NONE ? NULL : journal_branch(replica->journal, branch->sibling);
    }
    if (branch == NULL) {
        uint32_t log_no = journal_find(replica->journal, txn, &tip->log_id, tip->seq, &tip->entry_id);
        branch = log_no == LOG_NONE ? NULL : journal_branch(replica->journal, log_no);
    }
    return branch;
}

static bool
brings_payload(enum chunk_payloads payloads, const struct entry *entry)
{
    bool is_long = entry_is_long(entry);

    return payloads == PAYLOADS_ALL || (payloads == PAYLOADS_SHORT && !is_long) ||
           (payloads == PAYLOADS_LONG && is_long);
}

/* Entries from_seq to the next kept signature on the way to the head of `branch`, as one chunk. */
static enum err
read_chunk(struct replica *replica, struct table_txn *txn, const struct log_branch *branch, uint64_t from_seq,
           enum chunk_payloads payloads, struct buf *chunk_out, uint64_t *next_seq_out)
{
    struct entry entries[RUN_ENTRIES_MAX];
    uint8_t signature[SIGNATURE_BYTES];
    uint64_t last;
    enum err err = journal_signature_after(replica->journal, txn, branch->log_no, from_seq, &last, signature);

    if (err != ERR_OK) {
        return err;
    }
    if (last - from_seq >= RUN_ENTRIES_MAX) {
        return from_seq < branch->branch_first ? ERR_ABSENT : ERR_CORRUPT;
    }
    size_t count = (size_t)(last - from_seq + 1);
    struct run run = { 0, 0 };
    /* Below a fork the run may end here and go on there, and then only the branch that came first kept a signature. */
    bool shared = from_seq < branch->branch_first;
    if (shared) {
        err = journal_run_before(replica->journal, txn, branch->log_no, from_seq, &run);
        if (err != ERR_OK) {
            return err;
        }
    }
    for (size_t n = 0; n < count; n++) {
        struct journal_entry stored;

        err = journal_read(replica->journal, txn, branch->log_no, from_seq + n, &stored);
        if (err != ERR_OK) {
            return err == ERR_ABSENT ? ERR_CORRUPT : err;
        }
        if (shared && n > 0 && run_breaks(&run, stored.entry.payload_size)) {
            return ERR_ABSENT;
        }
        run_step(&run, stored.entry.payload_size);
        entries[n] = stored.entry;
        if (!brings_payload(payloads, &stored.entry)) {
            entries[n].payload = span_of(NULL, 0);
        } else if (stored.entry.kind == ENTRY_KEY && stored.state != STATE_ERASED &&
                   keys_get_payload(replica->keys_txn, stored.log_no, from_seq + n, &entries[n].payload) !=
                       ERR_OK) {
            journal_branch(replica->journal, stored.log_no)->lacks |= LACKS_PAYLOADS;
            return ERR_CORRUPT;
        }
    }
    chunk_write(chunk_out, entries, count, signature);
    *next_seq_out = last + 1;
    return chunk_out->failed ? ERR_MEMORY : ERR_OK;
}

/* Of what a peer has, what it named: one more than the seq of the named entry that is furthest on the way to a branch's head;
 * 0: none of them is on it. */
static uint64_t
known_next(struct replica *replica, struct table_txn *txn, const struct log_branch *branch,
           const struct heads_tip *known, size_t known_count)
{
    uint64_t next = 0;

    for (size_t n = 0; n < known_count; n++) {
        struct journal_entry stored;

        if (memcmp(known[n].log_short, branch->log_id.bytes, SHORT_BYTES) == 0 &&
            known[n].seq < branch->next_seq && known[n].seq >= next &&
            journal_read(replica->journal, txn, branch->log_no, known[n].seq, &stored) == ERR_OK &&
            memcmp(stored.entry.id.bytes, known[n].entry_short, SHORT_BYTES) == 0) {
            next = known[n].seq + 1;
        }
    }
    return next;
}

static bool
store_beyond(void *self, const struct hash *device_id, const struct ident *compartment,
             const struct heads_tip *known, size_t known_count, uint32_t *cursor, struct tip *tip_out,
             uint64_t *from_out)
{
    struct replica *replica = self;
    const struct roster_device *device = roster_device(replica->roster, device_id);
    struct table_txn *txn = NULL;
    bool found = false;

    if (roster_level(replica->roster, device, compartment) < LEVEL_ADMIN ||
        replica_begin_read(replica, &txn) != ERR_OK) {
        return false;
    }
    while (!found && *cursor < journal_branch_count(replica->journal)) {
        ++*cursor;
        const struct log_branch *branch = journal_branch(replica->journal, *cursor);
        uint64_t end = branch_limit(branch);

        if (branch->next_seq > end && ident_equal(&branch->descriptor.compartment, compartment)) {
            uint64_t next = known_next(replica, txn, branch, known, known_count);

            *tip_out = (struct tip){ .log_id = branch->log_id,
                                     .seq = branch->next_seq - 1,
                                     .entry_id = branch->head_id };
            *from_out = next > end ? next : end;
            found = true;
        }
    }
    replica_end_read(replica, &txn);
    return found;
}

static enum err
store_read_chunk(void *self, const struct tip *tip, uint64_t from_seq, enum chunk_payloads payloads,
                 struct buf *chunk_out, uint64_t *next_seq_out)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    enum err err = replica_begin_read(replica, &txn);

    if (err == ERR_OK) {
        const struct log_branch *branch = branch_of_tip(replica, txn, tip);

        err = branch == NULL ? ERR_ABSENT
                             : read_chunk(replica, txn, branch, from_seq, payloads, chunk_out, next_seq_out);
        replica_end_read(replica, &txn);
    }
    return err;
}

static bool
store_absent(void *self, const struct ident *compartment, bool wanted, struct absent_cursor *cursor,
             struct hash *log_id_out, uint64_t *seq_out)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;

    if (replica_begin_read(replica, &txn) != ERR_OK) {
        return false;
    }
    bool found = intake_next_absent(txn, compartment, wanted, cursor);
    const struct log_branch *branch = found ? journal_branch(replica->journal, cursor->log_no) : NULL;
    if (branch != NULL) {
        *log_id_out = branch->log_id;
        *seq_out = cursor->seq;
    }
    replica_end_read(replica, &txn);
    return branch != NULL;
}

/* What this peer brought that counts for nothing; NULL: nothing yet, and no memory to note it. */
static struct peer_load *
load_of(struct replica *replica, const struct hash *device_id)
{
    uint64_t now_ms = world_steady_ms(replica->world);

    for (size_t n = 0; n < replica->load_count; n++) {
        struct peer_load *load = &replica->loads[n];

        if (hash_equal(&load->device_id, device_id)) {
            uint64_t worn_off = (now_ms - load->at_ms) * (PEER_IDLE_BYTES_MAX / HOUR_MS);

            load->idle_bytes -= worn_off < load->idle_bytes ? worn_off : load->idle_bytes;
            load->at_ms = now_ms;
            return load;
        }
    }
    struct peer_load *loads = realloc(replica->loads, (replica->load_count + 1) * sizeof *loads);
    if (loads == NULL) {
        return NULL;
    }
    replica->loads = loads;
    loads[replica->load_count] = (struct peer_load){ .device_id = *device_id, .at_ms = now_ms };
    replica->load_count++;
    return &loads[replica->load_count - 1];
}

/* True if the peer brought too much that counts for nothing. What says who belongs is always heard. */
static bool
is_overloaded(const struct replica *replica, const struct peer_load *load,
              const struct descriptor *descriptor)
{
    return load != NULL && load->idle_bytes >= PEER_IDLE_BYTES_MAX &&
           !ident_equal(&descriptor->compartment, roster_control(replica->roster));
}

static bool
is_own_log(const struct replica *replica, const struct descriptor *descriptor)
{
    return memcmp(descriptor->sign_pk, replica->identity.sign.public_key, SIGN_PK_BYTES) == 0;
}

/* True if this is a log in which we would write next. */
static bool
is_current_log(const struct replica *replica, const struct descriptor *descriptor)
{
    return is_own_log(replica, descriptor) && memcmp(descriptor->incarnation, replica->identity.incarnation,
                                                     sizeof descriptor->incarnation) == 0;
}

/* True if this is a log of ours, and nothing is here of its incarnation. The disk is then from before that one was begun, unless
 * ours was begun since it was opened: whoever brings the log need not know what we signed in ours since, but somebody may. */
static bool
is_of_later_incarnation(const struct replica *replica, const struct descriptor *descriptor)
{
    if (replica->incarnations > 0 || !is_own_log(replica, descriptor)) {
        return false;
    }
    for (uint32_t no = 1; no <= journal_branch_count(replica->journal); no++) {
        const struct log_branch *branch = journal_branch(replica->journal, no);

        if (is_own_log(replica, &branch->descriptor) &&
            memcmp(branch->descriptor.incarnation, descriptor->incarnation, sizeof descriptor->incarnation) ==
                0 &&
            branch->next_seq > branch->branch_first) {
            return false;
        }
    }
    return true;
}

static void
store_take(void *self, const struct hash *device_id, const struct gossip_log *log, struct span chunk,
           struct taken *taken_out)
{
    struct replica *replica = self;

    assert(replica->in_turn);
    struct peer_load *load = load_of(replica, device_id);
    if (is_overloaded(replica, load, &log->descriptor)) {
        replica->counts.verdicts[VERDICT_LATER]++;
        replica->counts.later[LATER_LIMIT]++;
        *taken_out = (struct taken){ .verdict = VERDICT_LATER, .later = LATER_LIMIT };
        return;
    }
    bool shows_set_back =
        is_current_log(replica, &log->descriptor) || is_of_later_incarnation(replica, &log->descriptor);
    struct intake_result result = intake_chunk(replica->intake, &log->descriptor, chunk);
    if (load != NULL) {
        load->idle_bytes += result.idle_bytes;
    }
    *taken_out =
        (struct taken){ .verdict = result.verdict, .later = result.later, .entry_count = result.new_count };
    taken_out->mended = result.mended_count > 0;
    taken_out->limited = result.later == LATER_LIMIT && limit_applies(replica->roster, &log->descriptor);
    if (result.verdict == VERDICT_TAKEN && is_own_log(replica, &log->descriptor)) {
        replica->own_entries += result.new_count; /* the anchor file is to know of them */
    }
    if (result.verdict == VERDICT_TAKEN && shows_set_back) {
        /* Somebody else holds what we signed and do not have: we were set back. The tail is taken, and never signed anew. */
        replica->lost_tails++;
        if (replica_new_incarnation(replica, "own-tail-at-a-peer") != ERR_OK) {
            replica->behind = ERR_IO;
        }
    }
    if (result.verdict == VERDICT_TAKEN && replica_update_grown(replica) != ERR_OK) {
        taken_out->verdict = VERDICT_LATER;
        taken_out->later = LATER_FULL;
    }
    if (result.verdict == VERDICT_MALFORMED || result.verdict == VERDICT_FORGED) {
        log_event("update-refused", "peer=%s log=%s verdict=%s", hash_short(device_id).text,
                  hash_short(&log->log_id).text, verdict_text(result.verdict));
    }
    const struct log_branch *first = journal_log(replica->journal, &log->log_id);
    if (first == NULL) {
        return;
    }
    if (first->sibling == LOG_NONE) {
        taken_out->durable_next = first->next_seq;
        taken_out->visible_next = first->visible_next;
    } else if (result.log_no != LOG_NONE) {
        const struct log_branch *branch = journal_branch(replica->journal, result.log_no);

        taken_out->durable_next = result.last_seq + 1;
        taken_out->visible_next =
            branch->visible_next < taken_out->durable_next ? branch->visible_next : taken_out->durable_next;
    }
}

static bool
holds_record(const uint32_t *records, size_t count, uint32_t record_no)
{
    for (size_t n = 0; n < count; n++) {
        if (records[n] == record_no) {
            return true;
        }
    }
    return false;
}

static size_t
store_hinted(void *self, const struct hash *log_id, uint64_t from, uint64_t to, uint32_t *records_out,
             size_t room)
{
    struct replica *replica = self;
    const struct log_branch *branch = journal_log(replica->journal, log_id);
    struct table_txn *txn = NULL;
    size_t count = 0;

    if (branch == NULL || replica_begin_read(replica, &txn) != ERR_OK) {
        return 0;
    }
    while (branch != NULL) {
        uint64_t first = from > branch->branch_first ? from : branch->branch_first;
        uint64_t seq = to < branch->next_seq ? to : branch->next_seq;

        while (seq > first && count < room) {
            uint32_t record_no;

            seq--;
            if (intake_hinted_record(replica->intake, branch->log_no, seq, &record_no) == ERR_OK &&
                !holds_record(records_out, count, record_no)) {
                records_out[count] = record_no;
                count++;
            }
        }
        branch = branch->sibling == LOG_NONE ? NULL : journal_branch(replica->journal, branch->sibling);
    }
    replica_end_read(replica, &txn);
    return count;
}

static size_t
store_ends(void *self, uint32_t record, struct gossip_end *ends_out, size_t room)
{
    struct replica *replica = self;
    struct record_place places[RECORD_LOGS_MAX];
    struct table_txn *txn = NULL;
    size_t count = 0;

    if (replica_begin_read(replica, &txn) != ERR_OK) {
        return 0;
    }
    enum err err = record_ends(txn, record, places, room < RECORD_LOGS_MAX ? room : RECORD_LOGS_MAX, &count);
    for (size_t n = 0; err == ERR_OK && n < count; n++) {
        ends_out[n] = (struct gossip_end){ journal_branch(replica->journal, places[n].log_no)->log_id,
                                           places[n].seq + 1 };
    }
    replica_end_read(replica, &txn);
    return err == ERR_OK ? count : 0;
}

static uint64_t
store_visible(void *self, const struct hash *log_id)
{
    const struct replica *replica = self;
    const struct log_branch *branch = journal_log(replica->journal, log_id);
    uint64_t visible = 0;

    while (branch != NULL) {
        if (branch->visible_next > visible) {
            visible = branch->visible_next;
        }
        branch = branch->sibling == LOG_NONE ? NULL : journal_branch(replica->journal, branch->sibling);
    }
    return visible;
}

static void
checkpoint_key(struct replica *replica, uint8_t key[CHECKPOINT_KEY_BYTES], const struct hash *device_id,
               const struct ident *compartment, uint32_t slot)
{
    const struct span device = hash_span(device_id);
    const struct span place = ident_span(compartment);

    table_hash(replica->main_env, key, "vigil.row.peer", &device, 1);
    table_hash(replica->main_env, key + 16, "vigil.row.comp", &place, 1);
    key[32] = (uint8_t)slot;
}

static enum err
store_load_checkpoint(void *self, const struct hash *device_id, const struct ident *compartment,
                      uint32_t slot, struct buf *bytes_out)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    uint8_t key[CHECKPOINT_KEY_BYTES];

    checkpoint_key(replica, key, device_id, compartment, slot);
    for (size_t n = 0; n < replica->waiting_count; n++) {
        if (memcmp(replica->waiting[n].key, key, sizeof key) == 0) {
            buf_clear(bytes_out);
            buf_put_span(bytes_out, buf_span(&replica->waiting[n].bytes));
            return bytes_out->failed ? ERR_MEMORY : ERR_OK;
        }
    }
    enum err err = replica_begin_read(replica, &txn);
    if (err == ERR_OK) {
        err = table_read(txn, TABLE_PCHK, span_of(key, sizeof key), bytes_out);
        replica_end_read(replica, &txn);
    }
    return err;
}

/* Written with the next turn: what a crash loses costs bytes on the line, no more. */
static void
store_save_checkpoint(void *self, const struct hash *device_id, const struct ident *compartment,
                      uint32_t slot, struct span bytes)
{
    struct replica *replica = self;
    struct waiting_checkpoint *at = NULL;
    uint8_t key[CHECKPOINT_KEY_BYTES];

    checkpoint_key(replica, key, device_id, compartment, slot);
    for (size_t n = 0; n < replica->waiting_count; n++) {
        if (memcmp(replica->waiting[n].key, key, sizeof key) == 0) {
            at = &replica->waiting[n];
        }
    }
    if (at == NULL) {
        struct waiting_checkpoint *waiting =
            realloc(replica->waiting, (replica->waiting_count + 1) * sizeof *waiting);

        if (waiting == NULL) {
            return;
        }
        replica->waiting = waiting;
        at = &waiting[replica->waiting_count];
        memset(at, 0, sizeof *at);
        memcpy(at->key, key, sizeof key);
        replica->waiting_count++;
    }
    buf_clear(&at->bytes);
    buf_put_span(&at->bytes, bytes);
}

static void
store_ended(void *self, uint32_t connection, bool hang_up, const char *why)
{
    const struct replica *replica = self;

    if (replica->ended != NULL) {
        replica->ended(replica->ended_self, connection, hang_up, why);
    }
}

static void
store_agreed(void *self, const struct hash *device_id)
{
    struct replica *replica = self;

    boxing_met(&replica->boxing, device_id, roster_generation(replica->roster));
    if (replica->epoch_awaited && !replica->met_somebody) {
        replica->boxing.due_ms = 0; /* see first_epoch_is_due */
    }
    replica->met_somebody = true;
}

/* --- files --- */

static uint64_t
files_changes(void *self)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    uint64_t changes = 0;

    if (replica_begin_read(replica, &txn) == ERR_OK) {
        changes = shelf_changes(txn);
        replica_end_read(replica, &txn);
    }
    return changes;
}

static enum parcel_look
files_held(void *self, const struct ident *compartment, uint64_t *cursor, struct blob_have_item *item_out)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    enum parcel_look look = LOOK_ENDED;

    if (replica_begin_read(replica, &txn) == ERR_OK) {
        look = parcel_held(replica, compartment, cursor, item_out);
        replica_end_read(replica, &txn);
    }
    return look;
}

static enum parcel_look
files_wanted(void *self, const struct hash *device_id, const struct ident *compartment, uint32_t chunks_max,
             struct hash *cursor, struct shelf_blob *blob_out)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    enum parcel_look look = LOOK_ENDED;

    if (replica_begin_read(replica, &txn) == ERR_OK) {
        look = parcel_wanted(replica, device_id, compartment, chunks_max, cursor, blob_out);
        replica_end_read(replica, &txn);
    }
    return look;
}

static bool
files_is_wanted(void *self, const struct ident *compartment, const struct hash *address, uint32_t chunks_max)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    bool wanted = false;

    if (replica_begin_read(replica, &txn) == ERR_OK) {
        wanted = parcel_is_wanted(replica, compartment, address, chunks_max);
        replica_end_read(replica, &txn);
    }
    return wanted;
}

static bool
files_ask(void *self, const uint8_t tag[TAG_BYTES], const struct shelf_blob *blob, struct buf *out)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    bool asked = false;

    if (replica_begin_read(replica, &txn) == ERR_OK) {
        asked = parcel_ask(replica, tag, blob, out);
        replica_end_read(replica, &txn);
    }
    return asked;
}

static enum err
files_read(void *self, const struct ident *compartment, const struct hash *address, enum blob_piece piece,
           uint32_t index, struct buf *bytes_out, uint32_t *chunk_count_out)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    enum err err = replica_begin_read(replica, &txn);

    if (err == ERR_OK) {
        err = parcel_read(replica, compartment, address, piece, index, bytes_out, chunk_count_out);
        replica_end_read(replica, &txn);
    }
    return err;
}

static bool
files_is_full(void *self)
{
    const struct replica *replica = self;

    return replica->narrow;
}

static bool
files_take_have(void *self, const struct hash *device_id, const struct ident *compartment,
                const struct blob_have_item *item)
{
    struct replica *replica = self;

    assert(replica->in_turn);
    return parcel_take_have(replica, device_id, compartment, item);
}

static enum parcel_verdict
files_take(void *self, const struct ident *compartment, const struct blob_part *part)
{
    struct replica *replica = self;

    assert(replica->in_turn);
    return parcel_take(replica, compartment, part);
}

static void
files_forget(void *self, const struct hash *device_id, const struct hash *address)
{
    struct replica *replica = self;

    assert(replica->in_turn);
    shelf_forget_holder(replica->main_txn, address, device_id);
}

void
replica_gossip_init(struct replica *replica)
{
    replica->files = (struct gossip_files){
        .self = replica,
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
    replica->store = (struct gossip_store){
        .self = replica,
        .files = &replica->files,
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

const struct gossip_store *
replica_gossip_store(struct replica *replica)
{
    return &replica->store;
}

void
replica_on_ended(struct replica *replica,
                 void (*ended)(void *self, uint32_t connection, bool hang_up, const char *why), void *self)
{
    replica->ended = ended;
    replica->ended_self = self;
}
