/* Trust over time: what roots and offices sign while everybody goes on, and what must come of it. The rules of cuts are
 * applied here once more, entry by entry, and share nothing with sync/limit.c. */
#include "tests/sim/sim.h"

#include "store/base/cbor.h"
#include "store/keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

size_t
trust_device(const struct sim *sim, const char *name)
{
    for (size_t n = 0; n < sim->node_count; n++) {
        if (strcmp(sim->nodes[n].device->name, name) == 0) {
            return n;
        }
    }
    return SIZE_MAX;
}

bool
trust_is_revoked(const struct sim *sim, size_t device)
{
    for (size_t n = 0; n < sim->revocation_count; n++) {
        if (sim->revocations[n].device == device) {
            return true;
        }
    }
    return false;
}

/* --- signing --- */

static void
sign(struct sim *sim, struct statement *statement, const struct key_pair *const *signers, size_t signer_count,
     struct hash *id_out)
{
    struct buf out = { 0 };

    statement->org = sim->shape->org;
    chance_fill(&sim->chance, statement->random, sizeof statement->random);
    if (statement_sign(&out, statement, signers, signer_count, id_out) != ERR_OK) {
        sim_fail(sim, "a statement cannot be signed");
    }
    sim->statements = realloc(sim->statements, (sim->statement_count + 1) * sizeof *sim->statements);
    assert(sim->statements != NULL);
    sim->statements[sim->statement_count++] = out;
}

/* The news reach one or two nodes by another way than the wire. */
static void
hand_out(struct sim *sim)
{
    static const char *const takers[] = { "HQ-1", "KEN-1", "COL-1" };

    for (uint64_t n = chance_between(&sim->chance, 1, 2); n > 0; n--) {
        sim->nodes[trust_device(sim, takers[chance_below(&sim->chance, 3)])].statements_due = true;
    }
}

static int
cut_order(const void *a, const void *b)
{
    const struct sim_cut *x = a;
    const struct sim_cut *y = b;
    int order = hash_compare(&x->log_id, &y->log_id);

    if (order == 0 && x->seq != y->seq) {
        order = x->seq < y->seq ? -1 : 1;
    }
    return order != 0 ? order : hash_compare(&x->entry_id, &y->entry_id);
}

/* Another entry of the log than headquarters sees at its end: an older one, one of another branch, or one that only its
 * author has, and perhaps keeps. */
static void
mistake(struct sim *sim, struct sim_cut *cut)
{
    const struct hash log_id = cut->log_id;
    uint64_t seen = 0;

    for (size_t n = 0; n < sim->forged_count; n++) {
        const struct forged *at = &sim->forged[n];

        if (hash_equal(&at->log_id, &log_id)) {
            seen++;
            if (chance_below(&sim->chance, seen) == 0) {
                *cut = (struct sim_cut){ log_id, at->seq, at->id };
            }
        }
    }
}

/* Heads of a device's branches as headquarters holds them, as cuts; some are left out or mistaken by chance where
 * `careless`. */
static size_t
cuts_of(struct sim *sim, size_t device, bool careless, struct sim_cut **cuts_out)
{
    struct journal *journal = replica_journal(sim->nodes[0].replica);
    struct sim_cut *cuts = calloc(journal_branch_count(journal) + 1, sizeof *cuts);
    size_t count = 0;

    assert(cuts != NULL);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (hash_equal(&branch->device_id, &sim->nodes[device].device->identity.device_id) &&
            branch->next_seq > branch->branch_first && !(careless && chance_one_in(&sim->chance, 6))) {
            cuts[count] = (struct sim_cut){ branch->log_id, branch->next_seq - 1, branch->head_id };
            if (careless && chance_one_in(&sim->chance, 3)) {
                mistake(sim, &cuts[count]);
            }
            count++;
        }
    }
    qsort(cuts, count, sizeof *cuts, cut_order);
    size_t kept = 0;
    for (size_t n = 0; n < count; n++) {
        if (kept == 0 || cut_order(&cuts[kept - 1], &cuts[n]) != 0) {
            cuts[kept++] = cuts[n];
        }
    }
    *cuts_out = cuts;
    return kept;
}

static struct statement_list
list_cuts(const struct sim_cut *cuts, size_t count, struct buf *items)
{
    for (size_t n = 0; n < count; n++) {
        struct statement_cut cut = { cuts[n].log_id, cuts[n].seq, cuts[n].entry_id };

        statement_put_cut(items, &cut);
    }
    return statement_list_of(items, count);
}

/* Of what the device acknowledged, that which headquarters has by now is to stay; the rest is cut off. */
static void
excuse_what_is_cut(struct sim *sim, size_t device)
{
    struct sim_node *headquarters = &sim->nodes[0];
    const struct hash *device_id = &sim->nodes[device].device->identity.device_id;
    struct table_txn *txn = NULL;

    if (replica_begin_read(headquarters->replica, &txn) != ERR_OK) {
        sim_fail(sim, "headquarters cannot read");
    }
    for (size_t n = 0; n < sim->promise_count; n++) {
        struct promise *made = &sim->promises[n];

        made->excused =
            made->excused || (made->node == device && !oracle_says(headquarters, txn, made, device_id));
    }
    replica_end_read(headquarters->replica, &txn);
}

void
trust_revoke(struct sim *sim, size_t device)
{
    const struct shape_device *revoked = sim->nodes[device].device;
    struct statement statement = { .type = STATEMENT_REVOKE };
    struct buf items = { 0 };

    if (sim->revocation_count == REVOCATIONS_MAX || sim->nodes[0].replica == NULL) {
        return;
    }
    struct sim_revocation *revocation = &sim->revocations[sim->revocation_count];
    *revocation = (struct sim_revocation){ .device = device };
    revocation->cut_count = cuts_of(sim, device, revoked->forger, &revocation->cuts);
    memcpy(statement.revoke.key, revoked->identity.sign.public_key, SIGN_PK_BYTES);
    statement.revoke.reason = revoked->forger ? 5 : 1;
    statement.revoke.cuts = list_cuts(revocation->cuts, revocation->cut_count, &items);
    const struct key_pair *signer =
        chance_one_in(&sim->chance, 2) ? &sim->shape->root : &sim->shape->office_keys[revoked->office];
    sign(sim, &statement, &signer, 1, &revocation->stmt_id);
    buf_free(&items);
    sim->revocation_count++;
    sim->stats.revocations++;
    excuse_what_is_cut(sim, device);
    sim_note(sim, "%s is revoked, with %zu cuts", revoked->name, revocation->cut_count);
    hand_out(sim);
}

void
trust_extend(struct sim *sim)
{
    struct statement statement = { .type = STATEMENT_EXTEND };
    struct buf items = { 0 };
    struct sim_cut *cuts = NULL;

    if (sim->revocation_count == 0) {
        return;
    }
    struct sim_revocation *revocation = &sim->revocations[chance_below(&sim->chance, sim->revocation_count)];
    size_t count = cuts_of(sim, revocation->device, false, &cuts);
    statement.extend.revoke = revocation->stmt_id;
    statement.extend.cuts = list_cuts(cuts, count, &items);
    sign(sim, &statement, (const struct key_pair *const[]){ &sim->shape->root }, 1, NULL);
    buf_free(&items);
    revocation->cuts =
        realloc(revocation->cuts, (revocation->cut_count + count + 1) * sizeof *revocation->cuts);
    assert(revocation->cuts != NULL);
    if (count > 0) {
        memcpy(revocation->cuts + revocation->cut_count, cuts, count * sizeof *cuts);
    }
    revocation->cut_count += count;
    revocation->extended = true;
    free(cuts);
    sim->stats.extensions++;
    sim_note(sim, "more of %s is admitted, up to %zu cuts", sim->nodes[revocation->device].device->name,
             count);
    hand_out(sim);
}

/* --- erasing --- */

bool
trust_is_erased(const struct sim *sim, const struct ident *record_id)
{
    for (size_t n = 0; n < sim->erasure_count; n++) {
        if (ident_equal(&sim->erasures[n].record_id, record_id)) {
            return true;
        }
    }
    return false;
}

bool
trust_is_named(const struct sim_erasure *erasure, const struct descriptor *descriptor,
               const struct hash *log_id, const struct entry *entry)
{
    for (size_t at = 0; at < erasure->count; at++) {
        if (ident_equal(&erasure->compartments[at], &descriptor->compartment) &&
            entry_is_member(entry, log_id, &erasure->erase_keys[at])) {
            return true;
        }
    }
    return false;
}

bool
trust_must_be_erased(const struct sim *sim, const struct descriptor *descriptor, const struct hash *log_id,
                     const struct entry *entry)
{
    for (size_t n = 0; n < sim->erasure_count; n++) {
        if (trust_is_named(&sim->erasures[n], descriptor, log_id, entry)) {
            return true;
        }
    }
    return false;
}

/* The erase keys of both halves, as headquarters knows them. */
static void
find_erase_keys(struct sim *sim, const struct known_record *record, struct sim_erasure *erasure)
{
    const struct shape_compartment *open = shape_compartment(sim->shape, &record->compartment);
    const struct ident halves[] = { open->id,
                                    shape_compartment_of(sim->shape, open->office, OWN_PROTECTED)->id };
    struct table_txn *main_txn = NULL;
    struct table_txn *keys_txn = NULL;

    if (replica_borrow(sim->nodes[0].replica, &main_txn, &keys_txn) != ERR_OK) {
        return;
    }
    for (size_t n = 0; n < 2; n++) {
        struct record_key key;

        if (keys_get_record(keys_txn, &halves[n], &record->id, &key) == ERR_OK) {
            erasure->compartments[erasure->count] = halves[n];
            record_key_erase(&erasure->erase_keys[erasure->count], &key.key);
            erasure->count++;
        }
    }
    replica_give_back(sim->nodes[0].replica, &main_txn, &keys_txn);
}

static int
by_compartment(const void *a, const void *b)
{
    return ident_compare(&((const struct statement_erase *)a)->compartment,
                         &((const struct statement_erase *)b)->compartment);
}

void
trust_erase(struct sim *sim)
{
    struct statement statement = { .type = STATEMENT_ERASE };
    struct buf items = { 0 };
    struct statement_erase keys[2];

    if (sim->erasure_count == ERASURES_MAX || sim->record_count == 0 || sim->nodes[0].replica == NULL) {
        return;
    }
    const struct known_record *record = &sim->records[chance_below(&sim->chance, sim->record_count)];
    struct sim_erasure *erasure = &sim->erasures[sim->erasure_count];
    memset(erasure, 0, sizeof *erasure);
    erasure->record_id = record->id;
    if (trust_is_erased(sim, &record->id)) {
        return;
    }
    find_erase_keys(sim, record, erasure);
    if (erasure->count == 0) {
        return; /* headquarters has not heard of it */
    }
    for (size_t n = 0; n < erasure->count; n++) {
        keys[n] = (struct statement_erase){ erasure->compartments[n], erasure->erase_keys[n] };
    }
    qsort(keys, erasure->count, sizeof *keys, by_compartment);
    for (size_t n = 0; n < erasure->count; n++) {
        statement_put_erase(&items, &keys[n].compartment, &keys[n].erase_key);
    }
    chance_fill(&sim->chance, erasure->order.bytes, IDENT_BYTES);
    statement.erase.order = erasure->order;
    statement.erase.keys = statement_list_of(&items, erasure->count);
    int office = shape_compartment(sim->shape, &record->compartment)->office;
    size_t admin = 0;
    for (size_t n = 1; n < sim->node_count; n++) {
        const struct shape_device *device = sim->nodes[n].device;

        if (device->office == office && device->own_level == LEVEL_ADMIN && !device->hostile) {
            admin = n;
        }
    }
    if (admin == 0) {
        buf_free(&items);
        return; /* of headquarters itself: a second office has no admin there */
    }
    sign(sim, &statement,
         (const struct key_pair *const[]){ &sim->nodes[0].device->identity.sign,
                                           &sim->nodes[admin].device->identity.sign },
         2, NULL);
    buf_free(&items);
    sim->erasure_count++;
    sim->stats.erasures++;
    watch_order(sim, erasure);
    for (size_t n = 0; n < sim->promise_count; n++) {
        sim->promises[n].excused =
            sim->promises[n].excused || ident_equal(&sim->promises[n].record_id, &record->id);
    }
    sim_note(sim, "record %s is to be erased, in %zu compartments", ident_short(&record->id).text,
             erasure->count);
    hand_out(sim);
}

enum err
trust_import(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct buf array = { 0 };
    size_t count = 0;

    cbor_put_array(&array, sim->statement_count);
    for (size_t n = 0; n < sim->statement_count; n++) {
        cbor_put_bytes(&array, buf_span(&sim->statements[n]));
    }
    enum err err = replica_import(node->replica, buf_span(&array), &count);
    buf_free(&array);
    sim_note(sim, "%s takes in what was signed: %s, %zu new", node->device->name, err_code(err), count);
    if (err != ERR_OK && err != ERR_FULL && err != ERR_IO) {
        sim_fail(sim, "%s: taking in what was signed: %s", node->device->name, err_code(err));
    }
    if (err == ERR_OK) {
        gossip_rights_changed(node->gossip);
    }
    return err;
}

void
trust_free(struct sim *sim)
{
    for (size_t n = 0; n < sim->revocation_count; n++) {
        free(sim->revocations[n].cuts);
    }
    for (size_t n = 0; n < sim->statement_count; n++) {
        buf_free(&sim->statements[n]);
    }
    for (size_t n = 0; n < sim->forged_count; n++) {
        buf_free(&sim->forged[n].frame);
        buf_free(&sim->forged[n].bare);
    }
    free(sim->statements);
}

/* --- what must hold --- */

/* One entry of a log, as the journal of a node has it. */
struct seen {
    uint64_t seq;
    struct hash id;
    struct hash prev;
    enum entry_state state;
    uint8_t detail;
    bool counts; /* every revocation lets it pass */
    bool told;   /* one of them does, or there is none */
    bool passes; /* the one under work does */
};

static size_t
read_log(struct sim_node *node, struct table_txn *txn, const struct hash *log_id, struct seen **seen_out)
{
    struct journal *journal = replica_journal(node->replica);
    struct seen *seen = NULL;
    size_t count = 0;

    for (struct log_branch *branch = journal_log(journal, log_id); branch != NULL;
         branch = branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling)) {
        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            struct journal_entry entry;

            if (journal_read(journal, txn, branch->log_no, seq, &entry) != ERR_OK) {
                sim_fail(node->sim, "%s: an entry of a log cannot be read", node->device->name);
            }
            seen = realloc(seen, (count + 1) * sizeof *seen);
            assert(seen != NULL);
            seen[count++] = (struct seen){ .seq = seq,
                                           .id = entry.entry.id,
                                           .prev = entry.entry.prev,
                                           .state = entry.state,
                                           .detail = entry.detail,
                                           .counts = true,
                                           .told = true };
        }
    }
    *seen_out = seen;
    return count;
}

/* Let the entry pass, and all before it. */
static void
pass(struct seen *seen, size_t count, const struct hash *id, uint64_t seq)
{
    struct hash at = *id;

    for (uint64_t below = seq + 1; below-- > 0;) {
        bool found = false;

        for (size_t n = 0; n < count && !found; n++) {
            if (seen[n].seq == below && hash_equal(&seen[n].id, &at)) {
                seen[n].passes = true;
                at = seen[n].prev;
                found = true;
            }
        }
        if (!found) {
            return; /* the cut's entry is not here */
        }
    }
}

static void
apply_cuts(const struct sim *sim, size_t device, const struct hash *log_id, struct seen *seen, size_t count)
{
    bool first = true;

    for (size_t r = 0; r < sim->revocation_count; r++) {
        const struct sim_revocation *revocation = &sim->revocations[r];

        if (revocation->device != device) {
            continue;
        }
        for (size_t n = 0; n < count; n++) {
            seen[n].passes = false;
            seen[n].told = seen[n].told && !first;
        }
        first = false;
        for (size_t n = 0; n < revocation->cut_count; n++) {
            if (hash_equal(&revocation->cuts[n].log_id, log_id)) {
                pass(seen, count, &revocation->cuts[n].entry_id, revocation->cuts[n].seq);
            }
        }
        for (size_t n = 0; n < count; n++) {
            seen[n].counts = seen[n].counts && seen[n].passes;
            seen[n].told = seen[n].told || seen[n].passes;
        }
    }
}

static bool
has_child(const struct seen *seen, size_t count, const struct seen *of)
{
    for (size_t n = 0; n < count; n++) {
        if (seen[n].told && seen[n].seq == of->seq + 1 && hash_equal(&seen[n].prev, &of->id)) {
            return true;
        }
    }
    return false;
}

/* The frontier ends at the furthest cuts, and names every tip of what leads to them. */
static void
check_tips(struct sim_node *node, const struct descriptor *descriptor, const struct hash *log_id,
           const struct seen *seen, size_t count)
{
    const struct frontier *frontier = node_frontier(node, &descriptor->compartment);
    size_t first = 0;
    size_t told = frontier_log(frontier, log_id, &first);
    size_t tips = 0;

    for (size_t n = 0; n < count; n++) {
        bool named = false;

        if (!seen[n].told || has_child(seen, count, &seen[n])) {
            continue;
        }
        tips++;
        for (size_t t = 0; t < told; t++) {
            named = named || (frontier->tips[first + t].seq == seen[n].seq &&
                              hash_equal(&frontier->tips[first + t].entry_id, &seen[n].id));
        }
        if (!named) {
            sim_fail(node->sim, "%s: a tip of what is told is not in the frontier: log %s, seq %llu",
                     node->device->name, hash_short(log_id).text, (unsigned long long)seen[n].seq);
        }
    }
    if (tips != told) {
        sim_fail(node->sim, "%s: the frontier names %zu tips of log %s, which has %zu that are told",
                 node->device->name, told, hash_short(log_id).text, tips);
    }
}

static void
check_log(struct sim_node *node, struct table_txn *txn, const struct log_branch *first, size_t device)
{
    struct seen *seen = NULL;
    size_t count = read_log(node, txn, &first->log_id, &seen);

    apply_cuts(node->sim, device, &first->log_id, seen, count);
    for (size_t n = 0; n < count; n++) {
        bool beyond = seen[n].state == STATE_HELD && seen[n].detail == HELD_BEYOND_CUT;

        if (seen[n].counts && beyond) {
            sim_fail(node->sim, "%s holds back an entry within the cuts: log %s, seq %llu",
                     node->device->name, hash_short(&first->log_id).text, (unsigned long long)seen[n].seq);
        }
        if (!seen[n].counts && seen[n].state != STATE_HELD && seen[n].state != STATE_ERASED) {
            sim_fail(node->sim, "%s lets an entry beyond a cut count: log %s, seq %llu, state %d",
                     node->device->name, hash_short(&first->log_id).text, (unsigned long long)seen[n].seq,
                     (int)seen[n].state);
        }
    }
    check_tips(node, &first->descriptor, &first->log_id, seen, count);
    free(seen);
}

/* No epoch that is written with was boxed for a device that is revoked. */
static void
check_epochs(struct sim_node *node)
{
    const struct roster *roster = replica_roster(node->replica);

    for (size_t n = 0; n < node->sim->shape->compartment_count; n++) {
        const struct shape_compartment *at = &node->sim->shape->compartments[n];
        const struct roster_compartment *compartment = roster_compartment(roster, &at->id);

        for (size_t r = 0; r < node->sim->revocation_count; r++) {
            const struct shape_device *revoked = node->sim->nodes[node->sim->revocations[r].device].device;

            if (compartment != NULL && compartment->current != NULL &&
                roster_has_box(roster, &compartment->current->epoch_id, &revoked->identity.device_id)) {
                sim_fail(node->sim, "%s still writes what %s, which is revoked, can read", node->device->name,
                         revoked->name);
            }
        }
    }
}

/* Nothing is left of what was withdrawn: no key, no view, no place in a list. */
static void
check_erased(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct table_txn *main_txn = NULL;
    struct table_txn *keys_txn = NULL;

    if (replica_borrow(node->replica, &main_txn, &keys_txn) != ERR_OK) {
        sim_fail(sim, "%s cannot read", node->device->name);
    }
    for (size_t n = 0; n < sim->erasure_count; n++) {
        const struct sim_erasure *erasure = &sim->erasures[n];

        for (size_t at = 0; at < erasure->count; at++) {
            struct record_key key;
            uint32_t record_no;

            if (keys_get_record(keys_txn, &erasure->compartments[at], &erasure->record_id, &key) !=
                ERR_ABSENT) {
                struct journal_entry brought;
                enum err err =
                    journal_read(replica_journal(node->replica), main_txn, key.log_no, key.seq, &brought);

                sim_fail(sim,
                         "%s has the key of an erased record: brought by entry %llu of log %s, %s, state %d",
                         node->device->name, (unsigned long long)key.seq,
                         hash_short(&journal_branch(replica_journal(node->replica), key.log_no)->log_id).text,
                         err_code(err), (int)brought.state);
            }
            if (record_find(main_txn, &erasure->compartments[at], &erasure->record_id, &record_no) !=
                ERR_ABSENT) {
                sim_fail(sim, "%s has rows of an erased record", node->device->name);
            }
        }
    }
    replica_give_back(node->replica, &main_txn, &keys_txn);
}

/* Nothing that nobody had a right to write is kept anywhere. */
static void
check_forged(struct sim_node *node, struct table_txn *txn)
{
    struct sim *sim = node->sim;

    for (size_t n = 0; n < sim->forged_count; n++) {
        const struct forged *forged = &sim->forged[n];

        if (forged->no_right && journal_find(replica_journal(node->replica), txn, &forged->log_id,
                                             forged->seq, &forged->id) != LOG_NONE) {
            sim_fail(sim, "%s keeps what its author had no right to write", node->device->name);
        }
    }
}

void
trust_check(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct journal *journal = replica_journal(node->replica);
    struct table_txn *txn = NULL;

    if (replica_begin_read(node->replica, &txn) != ERR_OK) {
        sim_fail(sim, "%s cannot read", node->device->name);
    }
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        for (size_t n = 0; branch->parent == LOG_NONE && n < sim->node_count; n++) {
            if (hash_equal(&branch->device_id, &sim->nodes[n].device->identity.device_id) &&
                (sim->nodes[n].device->forger || sim->nodes[n].restored || trust_is_revoked(sim, n))) {
                check_log(node, txn, branch, n);
            }
        }
    }
    check_forged(node, txn);
    check_epochs(node);
    replica_end_read(node->replica, &txn);
    check_erased(node);
}
