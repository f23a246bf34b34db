/* What must hold at every turn, and what only the files of a node tell. A receipt says that nothing is left: so nothing is
 * left by then, in rows, free pages or folders beside. What others hold of our logs and we do not is never signed anew. */
#include "tests/sim/sim.h"

#include "store/keys.h"
#include "store/vault.h"
#include "sync/erase.h"

#include <dirent.h>
#include <string.h>

/* --- erasures --- */

/* What of the record's payloads stands in the files of headquarters. */
static void
note_payloads(struct sim *sim, struct sim_erasure *erasure)
{
    struct sim_node *headquarters = &sim->nodes[0];
    struct journal *journal = replica_journal(headquarters->replica);
    struct table_txn *txn = NULL;
    uint64_t seen = 0;

    if (replica_begin_read(headquarters->replica, &txn) != ERR_OK) {
        sim_fail(sim, "headquarters cannot read");
    }
    for (uint64_t place = 1; place <= journal_place_last(journal); place++) {
        struct journal_entry entry;
        uint32_t log_no;
        uint64_t seq;

        enum err err = journal_at(txn, place, &log_no, &seq);
        if (err == ERR_OK && log_no == LOG_NONE) {
            continue;
        }
        if (err != ERR_OK || journal_read(journal, txn, log_no, seq, &entry) != ERR_OK) {
            sim_fail(sim, "headquarters cannot read an entry");
        }
        const struct log_branch *branch = journal_branch(journal, log_no);
        if (entry.entry.payload.size < SEALED_BYTES ||
            !trust_is_named(erasure, &branch->descriptor, &branch->log_id, &entry.entry)) {
            continue;
        }
        seen++;
        size_t slot =
            erasure->sealed_count < SEALED_MAX ? erasure->sealed_count++ : chance_below(&sim->chance, seen);
        if (slot < SEALED_MAX) {
            memcpy(erasure->sealed[slot], entry.entry.payload.data, SEALED_BYTES);
        }
    }
    replica_end_read(headquarters->replica, &txn);
}

/* The generation of the environment of keys. */
static uint32_t
generation_of(struct sim_node *node)
{
    struct wrap wrap;

    if (wrap_read(node->directory, &node->device->storage_key, &wrap) != ERR_OK) {
        sim_fail(node->sim, "%s cannot read its wrapping key", node->device->name);
    }
    uint32_t generation = wrap.generation;
    crypto_wipe(&wrap, sizeof wrap);
    return generation;
}

static bool
has_key(const struct sim_erasure *erasure, struct table_txn *keys_txn)
{
    struct record_key key;

    for (size_t n = 0; n < erasure->count; n++) {
        if (keys_get_record(keys_txn, &erasure->compartments[n], &erasure->record_id, &key) == ERR_OK) {
            return true;
        }
    }
    return false;
}

/* Does the node have the record's key, and under which wrapping key? */
static void
note_key(struct sim_node *node, struct sim_erasure *erasure, struct table_txn *keys_txn)
{
    struct sim_erasing *at = &erasure->nodes[node->index];

    if (has_key(erasure, keys_txn)) {
        at->had_key = true;
        at->generation = generation_of(node);
    }
}

/* To look only: a disk that is about to fail does so at a step of the node's own. */
static void
borrow(struct sim_node *node, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    unsigned disk_in = node->disk_in;

    node->disk_in = 0;
    enum err err = replica_borrow(node->replica, main_txn, keys_txn);
    node->disk_in = disk_in;
    if (err != ERR_OK) {
        sim_fail(node->sim, "%s cannot be looked at: %s", node->device->name, err_code(err));
    }
}

void
watch_order(struct sim *sim, struct sim_erasure *erasure)
{
    note_payloads(sim, erasure);
    for (size_t n = 0; n < sim->node_count; n++) {
        struct sim_node *node = &sim->nodes[n];
        struct table_txn *main_txn = NULL;
        struct table_txn *keys_txn = NULL;

        if (node_is_up(node)) {
            borrow(node, &main_txn, &keys_txn);
            note_key(node, erasure, keys_txn);
            replica_give_back(node->replica, &main_txn, &keys_txn);
        }
    }
}

/* One folder of keys, which is the one in use. */
static void
check_folders(struct sim_node *node, uint32_t generation)
{
    char folder[WRAP_FOLDER_BYTES];
    DIR *open = opendir(node->directory);

    wrap_folder(generation, folder);
    for (struct dirent *at = open == NULL ? NULL : readdir(open); at != NULL; at = readdir(open)) {
        if (strncmp(at->d_name, "keys", 4) == 0 && strcmp(at->d_name, folder) != 0) {
            sim_fail(node->sim, "%s keeps %s beside %s, and is done with an order", node->device->name,
                     at->d_name, folder);
        }
    }
    if (open != NULL) {
        (void)closedir(open);
    }
}

static void
check_gone(struct sim_node *node, const struct sim_erasure *erasure)
{
    const struct sim_erasing *at = &erasure->nodes[node->index];
    uint32_t generation = generation_of(node);
    char path[600];

    if (at->had_key && generation <= at->generation) {
        sim_fail(node->sim, "%s is done with an order, and its keys are in the files that had the record's",
                 node->device->name);
    }
    check_folders(node, generation);
    for (size_t n = 0; n < erasure->sealed_count; n++) {
        if (files_hold(node->directory, span_of(erasure->sealed[n], SEALED_BYTES), path, sizeof path)) {
            sim_fail(node->sim, "%s is done with an order, and a payload that it names is in %s",
                     node->device->name, path);
        }
    }
}

/* Is the order done here, by what the node itself says? */
static bool
says_done(struct sim_node *node, struct sim_erasure *erasure, struct table_txn *main_txn)
{
    struct sim_erasing *at = &erasure->nodes[node->index];
    struct erase_receipt receipt;

    at->done = erase_receipt_of(main_txn, &erasure->order, &node->device->identity.device_id, &receipt) &&
               receipt.stage == RECEIPT_DONE;
    return at->done;
}

void
watch_turn(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct table_txn *main_txn = NULL;
    struct table_txn *keys_txn = NULL;
    bool done[ERASURES_MAX] = { false };
    bool waits = false;

    for (size_t n = 0; n < sim->erasure_count; n++) {
        waits = waits || !sim->erasures[n].nodes[node->index].done;
    }
    if (!waits) {
        return;
    }
    borrow(node, &main_txn, &keys_txn);
    for (size_t n = 0; n < sim->erasure_count; n++) {
        struct sim_erasure *erasure = &sim->erasures[n];

        if (!erasure->nodes[node->index].done) {
            note_key(node, erasure, keys_txn);
            done[n] = says_done(node, erasure, main_txn);
        }
    }
    replica_give_back(node->replica, &main_txn, &keys_txn);
    for (size_t n = 0; n < sim->erasure_count; n++) {
        /* Of a disk that was set back, peers still have a receipt from before. */
        if (done[n] && !node->set_back) {
            check_gone(node, &sim->erasures[n]);
        }
    }
}

void
watch_forget(struct sim_node *node)
{
    for (size_t n = 0; n < node->sim->erasure_count; n++) {
        node->sim->erasures[n].nodes[node->index] = (struct sim_erasing){ .had_key = false };
    }
}

/* --- logs --- */

static bool
is_own(const struct log_branch *branch, const uint8_t incarnation[8], const struct hash *device_id)
{
    return hash_equal(&branch->device_id, device_id) &&
           memcmp(branch->descriptor.incarnation, incarnation, 8) == 0;
}

struct watched_logs
watch_logs(const struct sim_node *node)
{
    const struct journal *journal = replica_journal(node->replica);
    const struct replica_identity *identity = replica_identity(node->replica);
    struct watched_logs logs = { .entries = 0 };

    memcpy(logs.incarnation, identity->incarnation, sizeof logs.incarnation);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (is_own(branch, logs.incarnation, &identity->device_id)) {
            logs.entries += branch->next_seq - branch->branch_first;
        }
    }
    return logs;
}

void
watch_received(struct sim_node *node, const struct watched_logs *before)
{
    struct watched_logs now = watch_logs(node);

    if (memcmp(now.incarnation, before->incarnation, sizeof now.incarnation) == 0 &&
        now.entries != before->entries) {
        sim_fail(node->sim, "%s goes on in a log of which others knew more than it did", node->device->name);
    }
}

/* True if the anchor knows all of the log, as far as the branch has it. */
static bool
is_anchored(const struct anchor *anchor, const struct log_branch *branch)
{
    for (size_t n = 0; n < anchor->log_count; n++) {
        if (hash_equal(&anchor->logs[n].log_id, &branch->log_id)) {
            return branch->next_seq <= anchor->logs[n].last_seq + 1;
        }
    }
    return branch->next_seq == branch->branch_first;
}

void
watch_anchor(struct sim_node *node)
{
    const struct journal *journal = replica_journal(node->replica);
    const struct replica_identity *identity = replica_identity(node->replica);
    struct anchor anchor = { .log_count = 0 };
    enum err err = anchor_read(node->directory, &node->device->storage_key, &anchor);

    if (err != ERR_OK && err != ERR_ABSENT) {
        sim_fail(node->sim, "%s cannot read its anchor: %s", node->device->name, err_code(err));
    }
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (branch->parent == LOG_NONE && is_own(branch, identity->incarnation, &identity->device_id) &&
            !is_anchored(&anchor, branch)) {
            sim_fail(node->sim, "%s is about to tell of entries that its anchor does not know",
                     node->device->name);
        }
    }
    if (err == ERR_OK && !node->anchored) {
        node->anchored = true;
        memcpy(node->incarnation, anchor.incarnation, sizeof node->incarnation);
    }
    anchor_free(&anchor);
}

/* --- at the end --- */

void
watch_check(struct sim_node *node)
{
    const struct replica_identity *identity = replica_identity(node->replica);

    for (size_t n = 0; n < node->sim->erasure_count; n++) {
        check_gone(node, &node->sim->erasures[n]);
    }
    /* Entries and no anchor at all: its machine stopped between the first of them and the first anchor. */
    if (node->anchored && !node->set_back &&
        memcmp(identity->incarnation, node->incarnation, sizeof node->incarnation) != 0) {
        sim_fail(node->sim, "%s began a new incarnation, and nobody replaced its disk", node->device->name);
    }
}
