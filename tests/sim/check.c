#include "tests/sim/sim.h"

#include "store/keys.h"
#include "tests/support/proving.h"

#include <assert.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- frames --- */

static size_t
receiver(const struct sim *sim, const struct sim_conn *conn, int way)
{
    int node = conn->ends[1 - way].node;

    if (node >= 0) {
        return (size_t)node;
    }
    return mallory_device(sim);
}

static void
check_tag(struct sim *sim, size_t device, const uint8_t tag[TAG_BYTES], const char *what)
{
    for (size_t n = 0; n < sim->shape->compartment_count; n++) {
        const struct shape_compartment *at = &sim->shape->compartments[n];

        if (memcmp(at->id.bytes, tag, TAG_BYTES) == 0) {
            if (shape_level(sim->shape, device, at, sim->step) < LEVEL_CARRY) {
                sim_fail(sim, "%s is told of a compartment that it may not even carry, by %s",
                         sim->shape->devices[device].name, what);
            }
            return;
        }
    }
    sim_fail(sim, "%s is told of a compartment that nobody knows, by %s", sim->shape->devices[device].name,
             what);
}

static bool
reads_protected(const struct sim *sim, size_t device)
{
    for (size_t n = 0; n < sim->shape->compartment_count; n++) {
        const struct shape_compartment *at = &sim->shape->compartments[n];

        if (at->office >= 0 && at->own == OWN_PROTECTED &&
            shape_level(sim->shape, device, at, STEPS - 1) >= LEVEL_READ) {
            return true;
        }
    }
    return false;
}

void
check_frame(struct sim *sim, const struct sim_conn *conn, int way, struct span bytes)
{
    struct frame frame;
    size_t device = receiver(sim, conn, way);

    if (!frame_read(bytes, &frame) || frame.type == FRAME_UNKNOWN) {
        sim_fail(sim, "a node sends a frame that cannot be read");
    }
    if (memmem(bytes.data, bytes.size, L3_MARKER, strlen(L3_MARKER)) != NULL) {
        sim_fail(sim, "a protected field is in a frame to %s", sim->shape->devices[device].name);
    }
    struct digest_item digest;
    struct chunk_item chunk;
    struct bye_item bye;
    switch (frame.type) {
    case FRAME_DIGEST:
        while (digest_next(&frame.digests, &digest)) {
            check_tag(sim, device, digest.tag, "DIGEST");
        }
        break;
    case FRAME_CHUNK:
        while (chunk_next(&frame.chunks, &chunk)) {
            check_tag(sim, device, chunk.tag, "CHUNK");
        }
        break;
    case FRAME_FRONT:
        check_tag(sim, device, frame.front.tag, "FRONT");
        break;
    case FRAME_ACK:
        check_tag(sim, device, frame.ack.tag, "ACK");
        break;
    case FRAME_ANNOUNCE:
        check_tag(sim, device, frame.announce.tag, "ANNOUNCE");
        break;
    case FRAME_WANT:
        check_tag(sim, device, frame.want.tag, "WANT");
        break;
    case FRAME_HEADS:
        check_tag(sim, device, frame.heads.tag, "HEADS");
        break;
    case FRAME_BEYOND:
        check_tag(sim, device, frame.beyond.tag, "BEYOND");
        break;
    case FRAME_HAVE:
        check_tag(sim, device, frame.have.tag, "HAVE");
        break;
    case FRAME_ASK:
        check_tag(sim, device, frame.ask.tag, "ASK");
        break;
    case FRAME_BLOB:
        check_tag(sim, device, frame.blob.tag, "BLOB");
        break;
    case FRAME_BYE:
        while (bye_next(&frame.bye.items, &bye)) {
            check_tag(sim, device, bye.tag, "BYE");
        }
        break;
    default:
        break;
    }
}

/* --- settled --- */

static bool
says(char *why, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why, size, format, arguments);
    va_end(arguments);
    return false;
}

/* True if a disk was replaced: a record key may have gone with it for good, while what was written under it had left
 * before. Whatever waits then must be of such an author: see check_entries. */
static bool
keys_may_be_lost(const struct sim *sim)
{
    return sim->stats.restores > 0;
}

/* True if what waits anywhere is the insider's: it writes in records whose key it brings to nobody, as honest people would where the
 * entry that brought it was erased or fell behind a cut. */
static bool
only_forged_entries_wait(const struct sim *sim)
{
    const struct hash *forger = &sim->nodes[forger_device(sim)].device->identity.device_id;

    for (size_t n = 0; n < sim->node_count; n++) {
        const struct journal *journal =
            sim->nodes[n].replica == NULL ? NULL : replica_journal(sim->nodes[n].replica);

        for (uint32_t no = 1; journal != NULL && no <= journal_branch_count(journal); no++) {
            const struct log_branch *branch = journal_branch(journal, no);

            if (branch->pending_count > 0 && !hash_equal(&branch->device_id, forger)) {
                return false;
            }
        }
    }
    return true;
}

static bool
is_anywhere(struct sim *sim, const struct hash *log_id, uint64_t seq, const struct hash *entry_id)
{
    bool found = false;

    for (size_t n = 0; n < sim->node_count && !found; n++) {
        struct sim_node *node = &sim->nodes[n];
        struct table_txn *txn = NULL;

        if (node_is_absent(node) || !node_is_up(node) || replica_begin_read(node->replica, &txn) != ERR_OK) {
            continue;
        }
        found = journal_find(replica_journal(node->replica), txn, log_id, seq, entry_id) != LOG_NONE;
        replica_end_read(node->replica, &txn);
    }
    return found;
}

/* A branch was proved and nobody has it any more: only a disk had it that an old image took the place of. Who is to hold it says for
 * good that something is lacking, and is right. */
static bool
proved_branch_is_lost(const struct sim_node *node, const struct ident *compartment)
{
    const struct roster *roster = replica_roster(node->replica);
    bool lost = false;

    for (size_t n = 0; n < roster_fork_count(roster) && node->sim->stats.restores > 0 && !lost; n++) {
        const struct roster_fork *fork = roster_fork_at(roster, n);

        for (int branch = 0; branch < 2 && ident_equal(&fork->descriptor.compartment, compartment);
             branch++) {
            lost = lost || !is_anywhere(node->sim, &fork->log_id, fork->first, &fork->branch[branch]);
        }
    }
    return lost;
}

static bool
peer_is_settled(const struct sim_node *node, const struct gossip_peer_status *peer, char *why, size_t size)
{
    for (size_t n = 0; peer->connected && n < peer->compartment_count; n++) {
        const struct gossip_compartment_status *at = &peer->compartments[n];

        bool lost =
            !at->complete && at->state == GOSSIP_EQUAL && proved_branch_is_lost(node, &at->compartment);
        if (lost) {
            continue;
        }
        if (!at->complete ||
            (!at->visible_complete && !keys_may_be_lost(node->sim) && !only_forged_entries_wait(node->sim))) {
            return says(why, size, "%s with %s on %s: %s%s, %llu to send, %llu to receive; %s",
                        node->device->name, hash_short(&peer->device_id).text,
                        ident_short(&at->compartment).text, gossip_state_text(at->state),
                        at->complete ? ", not visible" : "", (unsigned long long)at->entries_to_send,
                        (unsigned long long)at->entries_to_receive, peer->last_error);
        }
    }
    return true;
}

static bool
link_is_up(const struct sim *sim, const struct sim_link *link)
{
    for (size_t n = 0; n < sim->conn_count; n++) {
        const struct sim_conn *conn = sim->conns[n];

        if (!conn->cut && conn->ends[0].up && conn->ends[1].up &&
            ((conn->ends[0].node == link->a && conn->ends[1].node == link->b) ||
             (conn->ends[0].node == link->b && conn->ends[1].node == link->a))) {
            return true;
        }
    }
    return false;
}

/* Every compartment has one digest among those who may hold it. */
static bool
digests_agree(struct sim *sim, char *why, size_t size)
{
    for (size_t n = 0; n < sim->shape->compartment_count; n++) {
        const struct shape_compartment *at = &sim->shape->compartments[n];
        const uint8_t *first = NULL;

        for (size_t m = 0; m < sim->node_count; m++) {
            if (node_is_absent(&sim->nodes[m]) || shape_level(sim->shape, m, at, sim->step) < LEVEL_CARRY) {
                continue;
            }
            const uint8_t *digest = frontier_digest(node_frontier(&sim->nodes[m], &at->id));
            if (first == NULL) {
                first = digest;
            } else if (memcmp(first, digest, DIGEST_BYTES) != 0) {
                return says(why, size, "%s differs on compartment %zu (office %d, %d)",
                            sim->nodes[m].device->name, n, at->office, at->own);
            }
        }
    }
    return true;
}

bool
check_settled(struct sim *sim, char *why, size_t size)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        struct sim_node *node = &sim->nodes[n];
        size_t count = 0;

        if (node_is_absent(node)) {
            continue;
        }
        if (!node_is_up(node) || node->tend_due || node->import_step != 0 || node->statements_due ||
            replica_tend_is_due(node->replica) || replica_compact_is_due(node->replica)) {
            return says(why, size, "%s has work", node->device->name);
        }
        const struct gossip_peer_status *peers = gossip_status(node->gossip, &count);
        for (size_t m = 0; m < count; m++) {
            if (roster_device(replica_roster(node->replica), &peers[m].device_id) != NULL &&
                !peer_is_settled(node, &peers[m], why, size)) {
                return false;
            }
        }
    }
    for (size_t n = 0; n < sim->link_count; n++) {
        bool ends =
            node_is_absent(&sim->nodes[sim->links[n].a]) || node_is_absent(&sim->nodes[sim->links[n].b]);

        if (!ends && !link_is_up(sim, &sim->links[n])) {
            return says(why, size, "%s and %s are not connected", sim->nodes[sim->links[n].a].device->name,
                        sim->nodes[sim->links[n].b].device->name);
        }
    }
    const struct sim_node *lacks = NULL;
    if (!files_are_everywhere(sim, &lacks)) {
        return says(why, size, "%s lacks a file", lacks->device->name);
    }
    return digests_agree(sim, why, size);
}

/* --- views --- */

struct listed {
    struct ident record_id;
    uint32_t record_no;
};

static int
by_record(const void *a, const void *b)
{
    return ident_compare(&((const struct listed *)a)->record_id, &((const struct listed *)b)->record_id);
}

/* The records of a compartment here, by id. The caller frees the list. */
static struct listed *
list_records(struct table_txn *txn, const struct ident *compartment, size_t *count_out)
{
    struct table_cursor cursor;
    struct listed *listed = NULL;
    struct span key;
    struct span value;
    struct ident in;
    struct listed at;

    *count_out = 0;
    table_cursor_init(&cursor, txn, TABLE_RECNO, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        at.record_no = bytes_read_u32(key.data);
        if (record_name(txn, at.record_no, &in, &at.record_id) != ERR_OK || !ident_equal(&in, compartment)) {
            continue;
        }
        listed = realloc(listed, (*count_out + 1) * sizeof *listed);
        assert(listed != NULL);
        listed[(*count_out)++] = at;
    }
    table_cursor_end(&cursor);
    if (*count_out > 0) {
        qsort(listed, *count_out, sizeof *listed, by_record);
    }
    return listed;
}

static void
dump_hex(struct buf *out, const char *name, const void *data, size_t size)
{
    buf_printf(out, " %s=", name);
    for (size_t n = 0; n < size; n++) {
        buf_printf(out, "%02x", ((const uint8_t *)data)[n]);
    }
}

/* A view as text, without any number that is local. */
static void
dump_view(struct buf *out, const struct record_view *view)
{
    buf_put_text(out, "record");
    dump_hex(out, "id", view->record_id.bytes, IDENT_BYTES);
    buf_printf(out, " half=%d kind=%u created=%llu updated=%llu conflicts=%zu newer=%d\n", (int)view->half,
               view->kind, (unsigned long long)view->created_hlc, (unsigned long long)view->updated_hlc,
               view->conflict_count, view->newer);
    for (size_t n = 0; n < view->element_count; n++) {
        buf_printf(out, "  element %u", view->elements[n].collection);
        dump_hex(out, "id", view->elements[n].element, ELEMENT_ID_BYTES);
        buf_printf(out, " state=%d targets=%zu\n", (int)view->elements[n].state, view->elements[n].count);
    }
    for (size_t n = 0; n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];

        buf_printf(out, "  target %u.%u conflict=%d misplaced=%d exposed=%d newer=%d",
                   target->target.collection, target->target.field, target->conflict, target->misplaced,
                   target->exposed, target->newer);
        dump_hex(out, "element", target->target.element, ELEMENT_ID_BYTES);
        for (size_t m = 0; m < target->shown_count; m++) {
            dump_hex(out, "shown", target->shown[m].data, target->shown[m].size);
        }
        buf_put_text(out, "\n");
        for (size_t m = 0; m < target->value_count; m++) {
            const struct live *live = &target->values[m];

            buf_printf(out, "    value seq=%llu op=%u hlc=%llu removed=%d",
                       (unsigned long long)live->entry->seq, live->op,
                       (unsigned long long)live->entry->change.hlc, live->removed);
            dump_hex(out, "entry", live->entry->entry_id.bytes, HASH_BYTES);
            dump_hex(out, "device", live->entry->device_id.bytes, HASH_BYTES);
            dump_hex(out, "cbor", live->value.data, live->value.size);
            buf_put_text(out, "\n");
        }
    }
}

/* Values of protected fields as they would stand in a view outside of the protected half. */
static void
look_for_marker(struct sim_node *node, const struct record_view *view)
{
    if (view->half == HALF_PROTECTED) {
        return;
    }
    for (size_t n = 0; n < view->target_count; n++) {
        for (size_t m = 0; m < view->targets[n].value_count; m++) {
            struct span value = view->targets[n].values[m].value;

            if (value.size > 0 && memmem(value.data, value.size, L3_MARKER, strlen(L3_MARKER)) != NULL) {
                sim_fail(node->sim, "%s: a protected field stands in the case half", node->device->name);
            }
        }
    }
}

/* Everything that is shown of a compartment; compared with the rules on the way. */
static void
dump_compartment(struct sim_node *node, struct table_txn *txn, const struct ident *compartment,
                 struct buf *out)
{
    size_t count = 0;
    struct listed *listed = list_records(txn, compartment, &count);

    for (size_t n = 0; n < count; n++) {
        struct arena arena = { 0 };
        struct record_view view;
        enum err err = record_view_read(txn, replica_codebook(node->replica), replica_source(node->replica),
                                        listed[n].record_no, &arena, &view);

        if (err == ERR_ABSENT) {
            /* Nothing that was written in it counts. */
            arena_free(&arena);
            continue;
        }
        if (err != ERR_OK) {
            sim_fail(node->sim, "%s: a view: %s", node->device->name, err_code(err));
        }
        dump_view(out, &view);
        look_for_marker(node, &view);
        oracle_compare(node, txn, listed[n].record_no, &view);
        if (node->index == 0) {
            node->sim->stats.conflicts += view.conflict_count;
        }
        arena_free(&arena);
    }
    free(listed);
}

static void
tell_difference(const struct buf *a, const struct buf *b)
{
    size_t at = 0;

    while (at < a->size && at < b->size && a->data[at] == b->data[at]) {
        at++;
    }
    while (at > 0 && a->data[at - 1] != '\n') {
        at--;
    }
    (void)fprintf(stderr, "one:   %.*s\nother: %.*s\n", (int)(a->size - at < 400 ? a->size - at : 400),
                  a->data == NULL ? "" : (const char *)a->data + at,
                  (int)(b->size - at < 400 ? b->size - at : 400),
                  b->data == NULL ? "" : (const char *)b->data + at);
}

void
check_views(struct sim *sim)
{
    for (size_t n = 0; n < sim->shape->compartment_count; n++) {
        const struct shape_compartment *at = &sim->shape->compartments[n];
        struct buf first = { 0 };
        bool has_first = false;

        for (size_t m = 0; at->office >= 0 && m < sim->node_count; m++) {
            struct sim_node *node = &sim->nodes[m];
            struct table_txn *txn = NULL;
            struct buf dump = { 0 };

            if (node_is_absent(node)) {
                continue;
            }
            if (replica_begin_read(node->replica, &txn) != ERR_OK) {
                sim_fail(sim, "%s cannot read", node->device->name);
            }
            dump_compartment(node, txn, &at->id, &dump);
            replica_end_read(node->replica, &txn);
            if (shape_level(sim->shape, m, at, sim->step) < LEVEL_READ) {
                if (dump.size > 0) {
                    sim_fail(sim, "%s shows records of a compartment that it may not read",
                             node->device->name);
                }
            } else if (!has_first) {
                first = dump;
                has_first = true;
                continue;
            } else if (!span_equal(buf_span(&first), buf_span(&dump))) {
                tell_difference(&first, &dump);
                sim_fail(sim, "%s shows compartment %zu (office %d, %d) otherwise than the first reader",
                         node->device->name, n, at->office, at->own);
            }
            buf_free(&dump);
        }
        buf_free(&first);
    }
}

/* Who may read the cases and not the protected twin is told that something is withheld; who may, is not. */
static void
check_withheld(struct sim *sim)
{
    for (size_t n = 0; n < sim->record_count; n++) {
        const struct known_record *known = &sim->records[n];
        const struct shape_compartment *at = shape_compartment(sim->shape, &known->compartment);

        for (size_t m = 0; m < sim->node_count; m++) {
            struct sim_node *node = &sim->nodes[m];
            struct arena arena = { 0 };
            struct replica_view view;

            if (node_is_absent(node) || shape_level(sim->shape, m, at, sim->step) < LEVEL_READ) {
                continue;
            }
            const struct shape_compartment *twin =
                shape_compartment_of(sim->shape, at->office, OWN_PROTECTED);
            bool withheld = shape_level(sim->shape, m, twin, sim->step) < LEVEL_READ;
            enum err err = replica_read(node->replica, &known->compartment, &known->id, &arena, &view);
            if (err == ERR_OK && !view.restricted &&
                (view.withheld != withheld || (withheld && view.protected_half != NULL))) {
                sim_fail(sim, "%s: what is withheld of a record is not said as it is", node->device->name);
            }
            arena_free(&arena);
        }
    }
}

/* --- entries --- */

/* True if entries of this author may be held: it forges, or was revoked. trust_check says which ones must be. */
static bool
is_suspect(const struct sim *sim, const struct hash *device_id)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        const struct sim_node *node = &sim->nodes[n];

        if (hash_equal(&node->device->identity.device_id, device_id)) {
            return node->device->forger || trust_is_revoked(sim, n);
        }
    }
    return false;
}

static bool
is_of_restored(const struct sim *sim, const struct hash *device_id)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        const struct sim_node *node = &sim->nodes[n];

        /* The forger writes under keys that it has of somebody else, who may have lost them since. */
        if ((node->restored || (node->device->forger && keys_may_be_lost(sim))) &&
            hash_equal(&node->device->identity.device_id, device_id)) {
            return true;
        }
    }
    return false;
}

/* An entry without its payload is one that somebody stripped, or of a turn that was half done. */
static bool
has_payload(const struct journal_entry *entry, struct table_txn *keys_txn, uint32_t log_no, uint64_t seq)
{
    struct span payload = entry->entry.payload;

    return entry->entry.kind == ENTRY_KEY ? keys_get_payload(keys_txn, log_no, seq, &payload) == ERR_OK
                                          : payload.data != NULL;
}

static void
check_entries(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;
    struct table_txn *keys_txn = NULL;

    if (replica_borrow(node->replica, &txn, &keys_txn) != ERR_OK) {
        sim_fail(sim, "%s cannot read", node->device->name);
    }
    for (uint64_t place = 1; place <= journal_place_last(journal); place++) {
        uint32_t log_no;
        uint64_t seq;
        struct journal_entry entry;
        enum err err = journal_at(txn, place, &log_no, &seq);

        if (err == ERR_OK && log_no == LOG_NONE) {
            continue;
        }
        if (err == ERR_OK) {
            err = journal_read(journal, txn, log_no, seq, &entry);
        }
        if (err != ERR_OK) {
            sim_fail(sim, "%s: place %llu: %s", node->device->name, (unsigned long long)place, err_code(err));
        }
        const struct shape_compartment *at =
            shape_compartment(sim->shape, &journal_branch(journal, log_no)->descriptor.compartment);
        if (at == NULL) {
            sim_fail(sim, "%s holds a compartment that nobody knows", node->device->name);
        }
        enum entry_state state = entry.state;
        enum level level = shape_level(sim->shape, node->index, at, sim->step);
        if (level < LEVEL_CARRY) {
            sim_fail(sim, "%s holds entries that it may not even carry", node->device->name);
        }
        enum entry_state expected = at->office < 0 || level >= LEVEL_READ ? STATE_MERGED : STATE_CARRIED;
        const struct log_branch *branch = journal_branch(journal, log_no);
        if (trust_must_be_erased(sim, &branch->descriptor, &branch->log_id, &entry.entry)) {
            sim->stats.erased += node->index == 0;
            expected = STATE_ERASED;
            if (entry.entry.payload.data != NULL) {
                sim_fail(sim, "%s keeps the payload of what was erased", node->device->name);
            }
        } else if (state == STATE_NEEDS_KEY &&
                   (is_of_restored(sim, &branch->device_id) ||
                    forger_leaves_waiting(sim, &branch->device_id, &entry.entry.id))) {
            sim->stats.orphans += node->index == 0;
            expected = STATE_NEEDS_KEY;
        } else if (state == STATE_HELD) {
            sim->stats.held += node->index == 0;
            expected = is_suspect(sim, &journal_branch(journal, log_no)->device_id) ? STATE_HELD : expected;
        }
        if (state != expected) {
            sim_fail(sim, "%s: an entry of office %d, %d has state %d, not %d", node->device->name,
                     at->office, at->own, (int)state, (int)expected);
        }
        if (state != STATE_ERASED && !has_payload(&entry, keys_txn, log_no, seq)) {
            sim_fail(sim, "%s: an entry of office %d, %d has no payload", node->device->name, at->office,
                     at->own);
        }
    }
    sim->stats.entries += node->index == 0 ? journal_place_last(journal) : 0;
    replica_give_back(node->replica, &txn, &keys_txn);
}

/* What a replica says of an entry. */
struct standing_here {
    enum entry_state state;
    uint8_t detail;
};

/* False: it is not here. Ids are looked for only where a log has branches, since that takes hashing. */
static bool
standing_of(struct sim_node *node, struct table_txn *txn, const struct log_branch *branch, uint64_t seq,
            const struct hash *entry_id, struct standing_here *out)
{
    struct journal *journal = replica_journal(node->replica);
    const struct log_branch *first = journal_log(journal, &branch->log_id);
    uint32_t log_no = first == NULL ? LOG_NONE : first->log_no;
    struct journal_entry entry;

    if (entry_id != NULL && first != NULL) {
        log_no = journal_find(journal, txn, &branch->log_id, seq, entry_id);
    }
    *out = (struct standing_here){ .detail = 0 };
    if (log_no == LOG_NONE || journal_state(journal, txn, log_no, seq, &out->state) != ERR_OK) {
        return false;
    }
    if (out->state == STATE_HELD && journal_read(journal, txn, log_no, seq, &entry) == ERR_OK) {
        out->detail = entry.detail;
    }
    return true;
}

static bool
has_branches(const struct sim_node *node, const struct hash *log_id)
{
    const struct log_branch *first = journal_log(replica_journal(node->replica), log_id);

    return first != NULL && first->sibling != LOG_NONE;
}

/* Whoever may read an entry says the same of it as headquarters does. */
static void
check_standing(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct sim_node *headquarters = &sim->nodes[0];
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;
    struct table_txn *other_txn = NULL;

    if (node == headquarters) {
        return;
    }
    if (replica_begin_read(node->replica, &txn) != ERR_OK ||
        replica_begin_read(headquarters->replica, &other_txn) != ERR_OK) {
        sim_fail(sim, "%s cannot read", node->device->name);
    }
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);
        const struct shape_compartment *at = shape_compartment(sim->shape, &branch->descriptor.compartment);
        bool forked = has_branches(node, &branch->log_id) || has_branches(headquarters, &branch->log_id);

        if (is_of_restored(sim, &branch->device_id) ||
            (at->office >= 0 && shape_level(sim->shape, node->index, at, sim->step) < LEVEL_READ)) {
            continue;
        }
        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            struct journal_entry entry;
            struct standing_here mine;
            struct standing_here theirs;
            const struct hash *id = forked ? &entry.entry.id : NULL;

            if ((!forked || journal_read(journal, txn, no, seq, &entry) == ERR_OK) &&
                standing_of(node, txn, branch, seq, id, &mine) &&
                standing_of(headquarters, other_txn, branch, seq, id, &theirs) &&
                (mine.state != theirs.state || mine.detail != theirs.detail)) {
                sim_fail(sim, "%s says %d, %u of an entry of which headquarters says %d, %u",
                         node->device->name, (int)mine.state, mine.detail, (int)theirs.state, theirs.detail);
            }
        }
    }
    replica_end_read(headquarters->replica, &other_txn);
    replica_end_read(node->replica, &txn);
}

/* Nobody forks whose disk was not replaced. */
static void
check_forks(struct sim_node *node)
{
    struct journal *journal = replica_journal(node->replica);

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (branch->parent == LOG_NONE) {
            continue;
        }
        node->sim->stats.forks += node->index == 0;
        for (size_t n = 0; n < node->sim->node_count; n++) {
            const struct sim_node *author = &node->sim->nodes[n];

            if (hash_equal(&author->device->identity.device_id, &branch->device_id) && !author->restored &&
                !author->device->forger) {
                sim_fail(node->sim, "%s forked, and nobody replaced its disk", author->device->name);
            }
        }
    }
}

static void
check_promises(struct sim *sim)
{
    struct sim_node *headquarters = &sim->nodes[0];
    struct table_txn *txn = NULL;

    if (replica_begin_read(headquarters->replica, &txn) != ERR_OK) {
        sim_fail(sim, "headquarters cannot read");
    }
    for (size_t n = 0; n < sim->promise_count; n++) {
        const struct promise *made = &sim->promises[n];
        const struct shape_device *author = sim->nodes[made->node].device;

        /* A cut may name an entry that only a disk had which was replaced since. */
        bool lost = trust_is_revoked(sim, made->node) && sim->stats.restores > 0;

        if (!made->excused && !lost && !oracle_says(headquarters, txn, made, &author->identity.device_id)) {
            sim_fail(sim, "what %s acknowledged at %llu ms is not at headquarters: field %u of collection %u",
                     author->name, (unsigned long long)made->at_ms, made->target.field,
                     made->target.collection);
        }
    }
    replica_end_read(headquarters->replica, &txn);
}

/* --- files --- */

static bool
file_holds(const char *path, struct span bytes)
{
    FILE *file = fopen(path, "rb");
    struct buf content = { 0 };
    uint8_t part[65536];
    size_t size;

    if (file == NULL) {
        return false;
    }
    while ((size = fread(part, 1, sizeof part, file)) > 0) {
        buf_put(&content, part, size);
    }
    (void)fclose(file);
    bool holds = content.size > 0 && memmem(content.data, content.size, bytes.data, bytes.size) != NULL;
    buf_free(&content);
    return holds;
}

bool
files_hold(const char *directory, struct span bytes, char *path_out, size_t path_size)
{
    DIR *open = opendir(directory);
    char path[600];
    bool found = false;

    for (struct dirent *at = open == NULL ? NULL : readdir(open); at != NULL && !found; at = readdir(open)) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, at->d_name);
        if (at->d_type == DT_DIR && at->d_name[0] != '.') {
            found = files_hold(path, bytes, path_out, path_size);
        } else if (at->d_type == DT_REG && file_holds(path, bytes)) {
            (void)snprintf(path_out, path_size, "%s", path);
            found = true;
        }
    }
    if (open != NULL) {
        (void)closedir(open);
    }
    return found;
}

static void
check_files(struct sim_node *node)
{
    char path[600];

    if (files_hold(node->directory, span_text(L3_MARKER), path, sizeof path)) {
        sim_fail(node->sim, "%s: a protected field is in the file %s", node->device->name, path);
    }
}

/* --- proof --- */

static void
proof_finding(void *self, enum proof_part part, const char *what)
{
    struct sim_node *node = self;

    sim_fail(node->sim, "%s: the proof finds, of %s: %s", node->device->name, proof_part_name(part), what);
}

static struct hash
prove(struct sim_node *node)
{
    struct proof proof;
    enum err err = proving_run(node->replica, proof_finding, node, &proof);

    if (err != ERR_OK) {
        sim_fail(node->sim, "%s: the proof: %s", node->device->name, err_code(err));
    }
    return proof.derived;
}

static void
rebuild(struct sim_node *node)
{
    enum err err = replica_rebuild(node->replica, NULL, NULL);

    if (err != ERR_OK) {
        sim_fail(node->sim, "%s: rebuild: %s", node->device->name, err_code(err));
    }
}

/* The first rebuild may number records in another order, where entries had waited for a key; the second may not. What is
 * shown afterwards is compared with everybody else's by check_views. */
static void
check_rebuild(struct sim_node *node)
{
    rebuild(node);
    struct hash once = prove(node);
    rebuild(node);
    struct hash twice = prove(node);
    if (!hash_equal(&once, &twice)) {
        sim_fail(node->sim, "%s: a rebuild makes other rows than the one before", node->device->name);
    }
}

void
check_all(struct sim *sim)
{
    size_t rebuilt = chance_below(&sim->chance, sim->node_count);

    for (size_t n = 0; n < sim->node_count; n++) {
        struct sim_node *node = &sim->nodes[n];

        if (node_is_absent(node)) {
            continue;
        }
        check_entries(node);
        check_standing(node);
        check_forks(node);
        follower_check(node);
        trust_check(node);
        watch_check(node);
        files_check(node);
        if (!reads_protected(sim, n)) {
            check_files(node);
        }
        (void)prove(node);
        if (n == rebuilt) {
            check_rebuild(node);
        }
    }
    check_views(sim);
    check_withheld(sim);
    check_promises(sim);
}
