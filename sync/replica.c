#include "sync/replica_state.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "store/shelf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAP_BYTES_DEFAULT = 64 << 20,
    KEYS_MAP_BYTES = 16 << 20,
    IDENTITY_VERSION = 1,
    REBUILD_SLICE = 4096, /* entries a turn of `vigild rebuild` */
};

/* --- identity --- */

void
replica_identity_make(struct replica_identity *identity_out, const struct world *world)
{
    struct key_pair transport;

    memset(identity_out, 0, sizeof *identity_out);
    crypto_sign_pair(&identity_out->sign, world);
    crypto_box_pair(&identity_out->box, world);
    crypto_box_pair(&transport, world);
    memcpy(identity_out->transport_secret, transport.secret_key, 32);
    memcpy(identity_out->transport_public, transport.public_key, 32);
    world_random(world, identity_out->incarnation, sizeof identity_out->incarnation);
    device_id_of(identity_out->sign.public_key, &identity_out->device_id);
    crypto_wipe(&transport, sizeof transport);
}

/* The file `device`: version u8 | Ed25519 seed 32 | box secret 32 | transport secret 32 | incarnation 8 | control key 32 | org 32. */
enum err
replica_identity_write(const char *directory, const struct key *storage_key,
                       const struct replica_identity *identity, const struct world *world)
{
    struct buf content = { 0 };

    buf_put_u8(&content, IDENTITY_VERSION);
    buf_put(&content, identity->sign.secret_key, 32); /* libsodium keeps the seed first */
    buf_put(&content, identity->box.secret_key, 32);
    buf_put(&content, identity->transport_secret, 32);
    buf_put(&content, identity->incarnation, sizeof identity->incarnation);
    buf_put(&content, identity->control_key.bytes, KEY_BYTES);
    buf_put(&content, identity->org.bytes, HASH_BYTES);
    enum err err = content.failed
                       ? ERR_MEMORY
                       : vault_write_file(directory, "device", storage_key, buf_span(&content), world);
    buf_wipe(&content);
    return err;
}

enum err
replica_identity_read(const char *directory, const struct key *storage_key,
                      struct replica_identity *identity_out)
{
    struct buf content = { 0 };
    uint8_t seed[32];
    uint8_t secret[32];
    struct key_pair transport;
    enum err err = vault_read_file(directory, "device", storage_key, &content);

    if (err != ERR_OK) {
        return err;
    }
    struct reader reader = reader_of(buf_span(&content));
    uint8_t version = reader_u8(&reader);
    memset(identity_out, 0, sizeof *identity_out);
    reader_copy(&reader, seed, sizeof seed);
    crypto_sign_pair_from_seed(&identity_out->sign, seed);
    reader_copy(&reader, secret, sizeof secret);
    crypto_box_pair_from_secret(&identity_out->box, secret);
    reader_copy(&reader, secret, sizeof secret);
    crypto_box_pair_from_secret(&transport, secret);
    memcpy(identity_out->transport_secret, transport.secret_key, 32);
    memcpy(identity_out->transport_public, transport.public_key, 32);
    reader_copy(&reader, identity_out->incarnation, sizeof identity_out->incarnation);
    reader_copy(&reader, identity_out->control_key.bytes, KEY_BYTES);
    reader_copy(&reader, identity_out->org.bytes, HASH_BYTES);
    device_id_of(identity_out->sign.public_key, &identity_out->device_id);
    if (version > IDENTITY_VERSION) {
        err = ERR_NEWER;
    } else if (version != IDENTITY_VERSION || !reader_done(&reader)) {
        err = ERR_CORRUPT;
    }
    crypto_wipe(seed, sizeof seed);
    crypto_wipe(secret, sizeof secret);
    crypto_wipe(&transport, sizeof transport);
    buf_wipe(&content);
    if (err != ERR_OK) {
        crypto_wipe(identity_out, sizeof *identity_out);
    }
    return err;
}

/* --- frontiers --- */

struct frontier *
replica_frontier(struct replica *replica, const struct ident *compartment)
{
    size_t low = 0;
    size_t high = replica->held_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = ident_compare(&replica->held[middle]->id, compartment);

        if (order == 0) {
            return &replica->held[middle]->frontier;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    struct held_compartment **held = realloc(replica->held, (replica->held_count + 1) * sizeof *held);
    if (held == NULL) {
        return NULL;
    }
    replica->held = held;
    struct held_compartment *added = calloc(1, sizeof *added);
    if (added == NULL) {
        return NULL;
    }
    added->id = *compartment;
    memmove(&held[low + 1], &held[low], (replica->held_count - low) * sizeof *held);
    held[low] = added;
    replica->held_count++;
    return &added->frontier;
}

static void
frontiers_free(struct replica *replica)
{
    for (size_t n = 0; n < replica->held_count; n++) {
        frontier_free(&replica->held[n]->frontier);
        free(replica->held[n]);
    }
    free(replica->held);
    replica->held = NULL;
    replica->held_count = 0;
}

static bool
branch_is_empty(const struct log_branch *branch)
{
    return branch->next_seq == branch->branch_first;
}

/* One more than the last entry of a branch that counts for the frontier: the log ends at the furthest of its cuts. */
static uint64_t
branch_end(const struct log_branch *branch)
{
    return branch->next_seq < branch->told_next ? branch->next_seq : branch->told_next;
}

/* True if some of it counts. Of the branches of a log those that do make a tree: the one that two replicas agree on,
 * whatever else one of them holds. */
static bool
branch_counts(const struct log_branch *branch)
{
    return branch_end(branch) > branch->branch_first;
}

/* True if another branch that counts leaves `branch` before its entry `seq`. */
static bool
is_left_at(const struct replica *replica, const struct log_branch *first, const struct log_branch *branch,
           const struct log_branch *but, uint64_t seq)
{
    for (uint32_t no = first->log_no; no != LOG_NONE; no = journal_branch(replica->journal, no)->sibling) {
        const struct log_branch *other = journal_branch(replica->journal, no);

        if (other != but && other->parent == branch->log_no && other->branch_first == seq &&
            branch_counts(other)) {
            return true;
        }
    }
    return false;
}

/* The last place below `end` where a branch that counts leaves this one; UINT64_MAX: none does. */
static uint64_t
last_left(const struct replica *replica, const struct log_branch *first, const struct log_branch *branch,
          uint64_t end)
{
    uint64_t last = UINT64_MAX;

    for (uint32_t no = first->log_no; no != LOG_NONE; no = journal_branch(replica->journal, no)->sibling) {
        const struct log_branch *other = journal_branch(replica->journal, no);

        if (other->parent == branch->log_no && branch_counts(other) && other->branch_first < end &&
            (last == UINT64_MAX || other->branch_first > last)) {
            last = other->branch_first;
        }
    }
    return last;
}

/* The seq of the first entry after the last fork on the way down from a branch's end; 0: there is none. */
static uint64_t
last_fork(const struct replica *replica, const struct log_branch *first, const struct log_branch *branch)
{
    uint64_t end = branch_end(branch);

    for (;;) {
        uint64_t left = last_left(replica, first, branch, end);

        if (left != UINT64_MAX && (branch->parent == LOG_NONE || left > branch->branch_first)) {
            return left;
        }
        if (branch->parent == LOG_NONE) {
            return 0;
        }
        const struct log_branch *parent = journal_branch(replica->journal, branch->parent);
        end = branch->branch_first;
        if (left == end || branch_end(parent) > end || is_left_at(replica, first, parent, branch, end)) {
            return end;
        }
        branch = parent;
    }
}

/* The tip that a branch ends in, with the branch that it is of if the log has several. *tip_out is false where the way
 * goes on in another branch. */
static enum err
tip_of(struct replica *replica, struct table_txn *txn, const struct log_branch *first,
       const struct log_branch *branch, struct tip *out, bool *tip_out)
{
    uint64_t end = branch_end(branch);
    struct journal_entry at;
    enum err err = ERR_OK;

    *tip_out = branch_counts(branch) && !is_left_at(replica, first, branch, NULL, end);
    if (!*tip_out) {
        return ERR_OK;
    }
    *out = (struct tip){ .log_id = first->log_id, .seq = end - 1, .entry_id = branch->head_id };
    if (end < branch->next_seq) {
        err = journal_read(replica->journal, txn, branch->log_no, end - 1, &at);
        out->entry_id = at.entry.id;
    }
    if (err != ERR_OK || first->sibling == LOG_NONE) {
        return err;
    }
    out->branch_first = last_fork(replica, first, branch);
    err = journal_read(replica->journal, txn, branch->log_no, out->branch_first, &at);
    if (err == ERR_OK) {
        memcpy(out->branch_id, at.entry.id.bytes, SHORT_BYTES);
    }
    return err;
}

/* Put the tips of a log, as the journal has them, into its compartment's frontier: all of them, or two replicas that
 * hold the same would say otherwise. */
static enum err
frontier_update(struct replica *replica, struct table_txn *txn, const struct hash *log_id)
{
    const struct log_branch *first = journal_log(replica->journal, log_id);
    struct frontier *frontier = replica_frontier(replica, &first->descriptor.compartment);
    size_t branch_count = 0;
    size_t count = 0;
    enum err err = ERR_OK;

    for (uint32_t no = first->log_no; no != LOG_NONE; no = journal_branch(replica->journal, no)->sibling) {
        branch_count++;
    }
    struct tip *tips = calloc(branch_count, sizeof *tips);
    if (frontier == NULL || tips == NULL) {
        free(tips);
        return ERR_MEMORY;
    }
    for (uint32_t no = first->log_no; no != LOG_NONE && err == ERR_OK;
         no = journal_branch(replica->journal, no)->sibling) {
        bool is_tip = false;

        err = tip_of(replica, txn, first, journal_branch(replica->journal, no), &tips[count], &is_tip);
        count += is_tip;
    }
    if (err == ERR_OK) {
        err = frontier_set_log(frontier, log_id, tips, count);
    }
    free(tips);
    return err;
}

/* --- open and close --- */

static void
unload(struct replica *replica)
{
    intake_free(&replica->intake);
    if (replica->erase != NULL) {
        /* Of a turn that was given up, keys/ may have kept what was destroyed. */
        replica->destroyed = erase_destroyed(replica->erase) + 1;
    }
    erase_close(&replica->erase);
    keyring_free(&replica->keyring);
    roster_free(&replica->roster);
    journal_close(&replica->journal);
}

static void
load_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct replica *replica = self;

    /* It came in a turn that main/ has lost: what it opens, nobody else may ever open. */
    if (roster_epoch(replica->roster, epoch_id) == NULL) {
        return;
    }
    /* A key that memory runs out for is learned again from its box. */
    if (keyring_add_key(replica->keyring, compartment, epoch_id, key) != ERR_OK) {
        log_event("epoch-key-left-out", "reason=memory epoch=%s", hash_short(epoch_id).text);
    }
}

enum err
replica_load_roster(struct replica *replica)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    enum err err = ERR_OK;

    replica->roster = roster_new(&replica->identity.org);
    if (replica->roster == NULL) {
        return ERR_MEMORY;
    }
    table_cursor_init(&cursor, replica->main_txn, TABLE_CERT, span_of(NULL, 0));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        if (value.data == NULL) {
            err = ERR_CORRUPT;
        } else if (roster_add_stored(replica->roster, value, NULL) == ROSTER_MEMORY) {
            err = ERR_MEMORY;
        }
    }
    table_cursor_end(&cursor);
    return err == ERR_OK ? roster_settle(replica->roster) : err;
}

static void
limit_loaded(void *self, struct log_branch *branch, uint64_t before)
{
    /* What the rows say of the entries was right when they were written, with this very limit. */
    (void)self;
    (void)branch;
    (void)before;
}

static enum err
load_frontiers(struct replica *replica)
{
    /* Gossip holds on to the frontiers themselves: they are filled again, not replaced. */
    for (size_t n = 0; n < replica->held_count; n++) {
        struct frontier *frontier = &replica->held[n]->frontier;
        uint64_t change_count = frontier->change_count;

        frontier_free(frontier);
        frontier->change_count = change_count + 1;
    }
    replica->own_entries = 0;
    for (uint32_t no = 1; no <= journal_branch_count(replica->journal); no++) {
        struct log_branch *branch = journal_branch(replica->journal, no);

        if (branch->parent == LOG_NONE) {
            limit_log(replica->roster, replica->journal, replica->main_txn, branch, limit_loaded, NULL);
            enum err err = frontier_update(replica, replica->main_txn, &branch->log_id);
            if (err != ERR_OK) {
                return err;
            }
        }
        if (hash_equal(&branch->device_id, &replica->identity.device_id)) {
            replica->own_entries += branch->next_seq - branch->branch_first;
        }
    }
    return ERR_OK;
}

/* Everything that memory holds, from what the two environments hold. A read transaction is open. */
static enum err
load(struct replica *replica)
{
    struct hash zero = { { 0 } };
    enum err err = journal_open(&replica->journal, replica->main_txn);

    if (err == ERR_OK) {
        err = replica_load_roster(replica);
    }
    if (err != ERR_OK) {
        return err;
    }
    replica->keyring = keyring_new(&replica->identity.device_id, &replica->identity.box);
    if (replica->keyring == NULL) {
        return ERR_MEMORY;
    }
    keys_each_epoch(replica->keys_txn, load_epoch, replica);
    err = keyring_add_key(replica->keyring, roster_control(replica->roster), &zero,
                          &replica->identity.control_key);
    if (err == ERR_OK) {
        err = erase_open(&replica->erase,
                         &(struct erase_options){
                             .world = replica->world,
                             .journal = replica->journal,
                             .roster = replica->roster,
                             .keyring = replica->keyring,
                             .own_device = &replica->identity.device_id,
                             .destroyed = replica->destroyed,
                         },
                         replica->main_txn);
    }
    if (err == ERR_OK) {
        err = intake_new(&replica->intake, &(struct intake_options){
                                               .world = replica->world,
                                               .journal = replica->journal,
                                               .roster = replica->roster,
                                               .keyring = replica->keyring,
                                               .erase = replica->erase,
                                               .env = replica->main_env,
                                               .own_device = &replica->identity.device_id,
                                               .signer = &replica->identity.sign,
                                               .counts = &replica->counts,
                                           });
    }
    if (err == ERR_OK) {
        err = intake_recount_pending(replica->intake, replica->main_txn);
    }
    return err == ERR_OK ? load_frontiers(replica) : err;
}

static enum err
reload(struct replica *replica)
{
    struct table_txn *main_txn = NULL;

    unload(replica);
    enum err err = replica_begin_read(replica, &main_txn);
    if (err == ERR_OK) {
        err = load(replica);
        replica_end_read(replica, &main_txn);
    }
    return err;
}

/* Begin logs of a new name: those of the incarnation before are closed for good. It is durable when this returns, whatever
 * becomes of the turn: one that was never used does no harm. */
enum err
replica_new_incarnation(struct replica *replica, const char *reason)
{
    world_random(replica->world, replica->identity.incarnation, sizeof replica->identity.incarnation);
    log_event("incarnation-new", "reason=%s", reason);
    replica->incarnations++;
    replica->anchor_entries = UINT64_MAX; /* it names another one */
    replica->keep_unnamed_due = true;
    return replica_identity_write(replica->directory, &replica->storage_key, &replica->identity,
                                  replica->world);
}

/* A proof names our own log: whoever else writes it, we go on in another. */
static enum err
leave_forked_log(struct replica *replica)
{
    for (size_t n = 0; n < roster_fork_count(replica->roster); n++) {
        const struct descriptor *forked = &roster_fork_at(replica->roster, n)->descriptor;

        if (memcmp(forked->sign_pk, replica->identity.sign.public_key, SIGN_PK_BYTES) == 0 &&
            memcmp(forked->incarnation, replica->identity.incarnation, sizeof forked->incarnation) == 0) {
            return replica_new_incarnation(replica, "fork-proof");
        }
    }
    return ERR_OK;
}

/* The anchor file knows an own entry that the database lacks, another database or another incarnation: this one was rolled back
 * or restored. Its logs are closed for good, and a new incarnation begins new ones. */
static bool
was_rolled_back(const struct replica *replica, const struct anchor *anchor)
{
    /* Of another incarnation: the file `device` is older than the anchor, or a crash came between the two. */
    if (!ident_equal(&anchor->database_id, &replica->database_id) ||
        memcmp(anchor->incarnation, replica->identity.incarnation, sizeof anchor->incarnation) != 0) {
        return true;
    }
    for (size_t n = 0; n < anchor->log_count; n++) {
        const struct log_branch *branch = journal_log(replica->journal, &anchor->logs[n].log_id);

        if (branch == NULL || branch->next_seq <= anchor->logs[n].last_seq) {
            return true;
        }
    }
    return false;
}

static enum err
check_anchor(struct replica *replica)
{
    struct anchor anchor;
    enum err err = anchor_read(replica->directory, &replica->storage_key, &anchor);

    if (err == ERR_ABSENT && replica->own_entries == 0) {
        /* Before the first entry, so that a crash after it does not look like a database from elsewhere. */
        replica->anchor_entries = UINT64_MAX;
        err = replica_anchor(replica);
        return err == ERR_FULL ? ERR_OK : err;
    }
    if (err != ERR_OK && err != ERR_ABSENT && err != ERR_CORRUPT) {
        return err;
    }
    bool rolled_back = err != ERR_OK || was_rolled_back(replica, &anchor);
    if (err == ERR_OK) {
        anchor_free(&anchor);
    }
    /* The anchor may be behind: a crash came between a commit and its rewriting. So it is written anew before anything is
     * sent: anchor_entries is zero. */
    return rolled_back ? replica_new_incarnation(replica, "anchor-disagrees") : ERR_OK;
}

static const char database_row[] = "database-id"; /* in meta: its random name, made once */

void
replica_forget_database_id(struct table_txn *main_txn)
{
    (void)table_delete(main_txn, TABLE_META, span_text(database_row));
}

static enum err
load_database_id(struct replica *replica)
{
    struct buf value = { 0 };
    struct table_txn *txn = NULL;
    enum err err = table_begin_read(replica->main_env, &txn);

    if (err != ERR_OK) {
        return err;
    }
    /* Nothing is written where it is not needed: a full disk can be opened. */
    err = table_read(txn, TABLE_META, span_text(database_row), &value);
    table_abort(&txn);
    if (err == ERR_OK && value.size == IDENT_BYTES) {
        memcpy(replica->database_id.bytes, value.data, IDENT_BYTES);
    } else if (err == ERR_ABSENT) {
        err = table_begin_write(replica->main_env, &txn);
        if (err != ERR_OK) {
            buf_free(&value);
            return err;
        }
        world_random(replica->world, replica->database_id.bytes, IDENT_BYTES);
        table_put(txn, TABLE_META, span_text(database_row), ident_span(&replica->database_id));
        err = table_commit(&txn);
    } else {
        err = ERR_CORRUPT;
    }
    buf_free(&value);
    return err;
}

enum err
replica_open_keys(struct replica *replica, const struct wrap *wrap, struct table_env **env_out)
{
    char path[4096];
    char folder[WRAP_FOLDER_BYTES];

    wrap_folder(wrap->generation, folder);
    if (snprintf(path, sizeof path, "%s/%s", replica->directory, folder) >= (int)sizeof path) {
        return ERR_INVALID;
    }
    return table_env_open(env_out, &(struct table_options){ .path = path,
                                                            .set = TABLE_SET_KEYS,
                                                            .key = &wrap->key,
                                                            .world = replica->world,
                                                            .map_bytes = replica->keys_map_bytes });
}

static enum err
open_environments(struct replica *replica)
{
    char path[4096];
    struct table_options options = { .path = path,
                                     .set = TABLE_SET_MAIN,
                                     .key = &replica->storage_key,
                                     .world = replica->world,
                                     .map_bytes = replica->map_bytes };

    if (snprintf(path, sizeof path, "%s/main", replica->directory) >= (int)sizeof path) {
        return ERR_INVALID;
    }
    enum err err = table_env_open(&replica->main_env, &options);
    if (err != ERR_OK) {
        return err;
    }
    err = replica_open_keys(replica, &replica->wrap, &replica->keys_env);
    if (err == ERR_OK) {
        err = replica_mend_salvaged(replica);
    }
    if (err == ERR_OK) {
        err = load_database_id(replica);
    }
    return err == ERR_OK ? replica_look_at_keys(replica) : err;
}

enum err
replica_open(struct replica **replica_out, const struct replica_options *options)
{
    struct replica *replica = crypto_secret_new(sizeof *replica);

    if (replica == NULL) {
        return ERR_MEMORY;
    }
    enum err err = ERR_MEMORY;
    replica->world = options->world;
    replica->storage_key = *options->storage_key;
    replica->map_bytes = options->map_bytes == 0 ? MAP_BYTES_DEFAULT : options->map_bytes;
    replica->keys_map_bytes = KEYS_MAP_BYTES;
    replica->reserve_bytes = options->reserve_bytes;
    replica->codebook_default = options->codebook;
    replica->directory = strdup(options->directory);
    replica_gossip_init(replica);
    if (replica->directory == NULL) {
        goto fail;
    }
    err = replica_identity_read(options->directory, options->storage_key, &replica->identity);
    if (err != ERR_OK) {
        goto fail;
    }
    if (hash_is_zero(&replica->identity.org)) {
        err = ERR_ABSENT;
        goto fail;
    }
    err = wrap_read(options->directory, options->storage_key, &replica->wrap);
    if (err != ERR_OK) {
        /* Without it this is no replica, whatever else is there. */
        err = err == ERR_ABSENT ? ERR_CORRUPT : err;
        goto fail;
    }
    err = open_environments(replica);
    if (err == ERR_OK) {
        err = blobs_open(&replica->blobs, options->directory, options->world);
        replica->sweep_due = true;
    }
    if (err == ERR_OK) {
        err = wrap_clear(options->directory, replica->wrap.generation);
    }
    if (err != ERR_OK) {
        goto fail;
    }
    err = reload(replica);
    if (err != ERR_OK) {
        goto fail;
    }
    err = check_anchor(replica);
    if (err == ERR_OK && replica->salvaged) {
        err = replica_settle_salvaged(replica);
    }
    if (err != ERR_OK) {
        goto fail;
    }
    *replica_out = replica;
    return ERR_OK;

fail:
    replica_close(&replica);
    return err;
}

void
replica_close(struct replica **replica_in)
{
    struct replica *replica = *replica_in;

    if (replica == NULL) {
        return;
    }
    if (replica->in_turn) {
        table_abort(&replica->main_txn);
        table_abort(&replica->keys_txn);
    }
    unload(replica);
    frontiers_free(replica);
    for (size_t n = 0; n < replica->waiting_count; n++) {
        buf_free(&replica->waiting[n].bytes);
    }
    free(replica->waiting);
    free(replica->loads);
    boxing_free(&replica->boxing);
    table_env_close(&replica->keys_env);
    table_env_close(&replica->main_env);
    replica_close_blob(replica);
    blobs_close(&replica->blobs);
    free(replica->directory);
    crypto_secret_free(replica); /* wipes it */
    *replica_in = NULL;
}

/* --- turns --- */

enum err
replica_begin_read(struct replica *replica, struct table_txn **txn_out)
{
    if (replica->main_env == NULL || replica->keys_env == NULL) {
        return ERR_IO;
    }
    if (!replica->in_turn && replica->readers == 0) {
        enum err err = table_begin_read(replica->main_env, &replica->main_txn);

        if (err == ERR_OK) {
            err = table_begin_read(replica->keys_env, &replica->keys_txn);
        }
        if (err != ERR_OK) {
            table_abort(&replica->main_txn);
            return err;
        }
    }
    if (!replica->in_turn && replica->intake != NULL) {
        intake_read_with(replica->intake, replica->main_txn, replica->keys_txn);
    }
    if (replica->in_turn) {
        intake_sign(replica->intake); /* what is read may be sent */
    }
    replica->readers++;
    *txn_out = replica->main_txn;
    return ERR_OK;
}

enum err
replica_read_error(const struct replica *replica)
{
    enum err err = replica->main_txn == NULL ? ERR_OK : table_error(replica->main_txn);

    return err != ERR_OK || replica->keys_txn == NULL ? err : table_error(replica->keys_txn);
}

void
replica_end_read(struct replica *replica, struct table_txn **txn)
{
    assert(replica->readers > 0);
    replica->readers--;
    *txn = NULL;
    if (!replica->in_turn && replica->readers == 0) {
        table_abort(&replica->main_txn);
        table_abort(&replica->keys_txn);
        if (replica->intake != NULL) {
            intake_read_with(replica->intake, NULL, NULL);
        }
    }
}

const struct codebook *
replica_codebook(const struct replica *replica)
{
    const struct codebook *in_force = roster_codebook(replica->roster);

    return in_force != NULL && in_force != codebook_reprisals() ? in_force : replica->codebook_default;
}

static enum err
begin(struct replica *replica, bool narrow)
{
    enum err (*begin_write)(struct table_env *, struct table_txn **) =
        narrow ? table_begin_write_reserved : table_begin_write;
    enum err err = begin_write(replica->keys_env, &replica->keys_txn);

    if (err != ERR_OK) {
        return err;
    }
    err = begin_write(replica->main_env, &replica->main_txn);
    if (err == ERR_OK) {
        err = intake_begin(replica->intake, replica->main_txn, replica->keys_txn, replica_codebook(replica));
    }
    if (err != ERR_OK) {
        table_abort(&replica->main_txn);
        table_abort(&replica->keys_txn);
        return err;
    }
    (void)intake_narrow(replica->intake, narrow);
    replica->narrow = narrow;
    return ERR_OK;
}

bool
replica_turn_is_narrow(const struct replica *replica)
{
    return replica->in_turn && replica->narrow;
}

enum err
replica_begin(struct replica *replica)
{
    assert(!replica->in_turn && replica->readers == 0);
    if (replica->main_env == NULL || replica->keys_env == NULL) {
        return ERR_IO;
    }
    enum err err = begin(replica, false);
    if (err == ERR_FULL) {
        replica_use_reserve(replica);
        err = begin(replica, true);
    } else if (err == ERR_OK) {
        replica_renew_reserve(replica);
    }
    if (err != ERR_OK) {
        return err;
    }
    replica->in_turn = true;
    replica->rebuilding_known = false;
    replica->behind = ERR_OK;
    if (replica->keep_unnamed_due) {
        replica_keep_unnamed(replica);
    }
    if (replica->keys_ahead) {
        replica_sweep_keys(replica);
    }
    if (replica->sweep_due) {
        replica_sweep_blobs(replica);
    }
    if (replica->adopt_due) {
        replica_adopt_blobs(replica);
    }
    for (size_t n = 0; n < replica->waiting_count; n++) {
        table_put(replica->main_txn, TABLE_PCHK, span_of(replica->waiting[n].key, CHECKPOINT_KEY_BYTES),
                  buf_span(&replica->waiting[n].bytes));
        buf_free(&replica->waiting[n].bytes);
    }
    replica->waiting_count = 0;
    return ERR_OK;
}

bool
replica_is_full(const struct replica *replica)
{
    return replica->main_env == NULL || table_env_is_full(replica->main_env);
}

bool
replica_in_turn(const struct replica *replica)
{
    return replica->in_turn;
}

bool
replica_turn_is_full(const struct replica *replica)
{
    return replica->in_turn && intake_is_full(replica->intake);
}

struct grown {
    struct replica *replica;
    enum err err;
};

static void
note_grown(void *self, const struct log_branch *branch)
{
    struct grown *grown = self;

    if (grown->err == ERR_OK) {
        grown->err = frontier_update(grown->replica, grown->replica->main_txn, &branch->log_id);
    }
}

enum err
replica_update_grown(struct replica *replica)
{
    struct grown grown = { replica, ERR_OK };

    intake_each_grown(replica->intake, note_grown, &grown);
    if (grown.err != ERR_OK) {
        replica->behind = grown.err;
    }
    return grown.err;
}

/* A turn that did not fit fits the next time. */
static void
ask_for_room(struct table_env *env, size_t *map_bytes)
{
    struct table_stat stat;

    table_env_stat(env, &stat);
    if (stat.full) {
        *map_bytes = (size_t)stat.map_bytes * 2;
    }
}

/* Memory is ahead of the disk after a turn that did not happen: open and read it all again. After a failed sync nothing
 * that this process holds in its cache can be trusted: it stays closed to every turn, and its owner ends it. */
static enum err
fall_back(struct replica *replica, enum err why)
{
    table_abort(&replica->main_txn);
    table_abort(&replica->keys_txn);
    replica->in_turn = false;
    if (why == ERR_IO) {
        return ERR_IO;
    }
    ask_for_room(replica->main_env, &replica->map_bytes);
    ask_for_room(replica->keys_env, &replica->keys_map_bytes);
    unload(replica);
    table_env_close(&replica->keys_env);
    table_env_close(&replica->main_env);
    enum err err = open_environments(replica);
    if (err == ERR_OK) {
        err = reload(replica);
    }
    return err == ERR_OK ? why : ERR_IO;
}

static enum err
commit_turn(struct replica *replica)
{
    assert(replica->in_turn && replica->readers == 0);
    enum err err = intake_end(replica->intake);

    if (err == ERR_OK) {
        err = replica_update_grown(replica);
    }
    if (err == ERR_OK && intake_roster_changed(replica->intake)) {
        err = leave_forked_log(replica);
    }
    if (err == ERR_OK) {
        err = replica->behind;
    }
    if (err == ERR_OK) {
        err = replica_sync_blobs(replica);
    }
    struct hash doomed;
    bool sweep_due = err == ERR_OK && shelf_doomed(replica->main_txn, &doomed);
    if (err == ERR_OK) {
        /* Keys first: a key without its entry can be taken out (replica_sweep_keys), a payload that is gone cannot be put back. */
        err = table_commit(&replica->keys_txn);
    }
    if (err == ERR_OK) {
        replica_mark_keys(replica);
        err = table_commit(&replica->main_txn);
    }
    if (err != ERR_OK) {
        return fall_back(replica, err);
    }
    replica->in_turn = false;
    replica->keys_ahead = false;
    replica->sweep_due = sweep_due;
    if (intake_keys_came(replica->intake)) {
        /* What waited was taken up: it is held against nobody. */
        replica->load_count = 0;
    }
    return ERR_OK;
}

enum err
replica_commit(struct replica *replica)
{
    enum err err = commit_turn(replica);

    if (err != ERR_OK || erase_is_followed(replica->erase)) {
        return err;
    }
    /* What a new order names goes at once, but in a turn of its own: keys are committed first, and a crash between the two must find the
     * order. A turn that does not fit is left to replica_tend: the order is safe. */
    err = replica_begin(replica);
    if (err == ERR_OK) {
        err = erase_follow(replica->erase, replica->intake, replica->main_txn, replica->keys_txn);
        err = err == ERR_OK ? commit_turn(replica) : fall_back(replica, err);
    }
    return err == ERR_FULL || err == ERR_MEMORY ? ERR_OK : err;
}

enum err
replica_abort(struct replica *replica)
{
    if (!replica->in_turn) {
        return ERR_OK;
    }
    intake_abort(replica->intake);
    return fall_back(replica, ERR_OK);
}

static int
anchor_log_order(const void *a, const void *b)
{
    return hash_compare(&((const struct anchor_log *)a)->log_id, &((const struct anchor_log *)b)->log_id);
}

enum err
replica_anchor(struct replica *replica)
{
    if (replica->anchor_entries == replica->own_entries) {
        return ERR_OK;
    }
    struct anchor anchor = { .device_id = replica->identity.device_id, .database_id = replica->database_id };
    uint32_t count = journal_branch_count(replica->journal);

    memcpy(anchor.incarnation, replica->identity.incarnation, sizeof anchor.incarnation);
    anchor.logs = calloc((size_t)count + 1, sizeof *anchor.logs);
    if (anchor.logs == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t no = 1; no <= count; no++) {
        const struct log_branch *branch = journal_branch(replica->journal, no);

        if (hash_equal(&branch->device_id, &replica->identity.device_id) && branch->parent == LOG_NONE &&
            !branch_is_empty(branch)) {
            anchor.logs[anchor.log_count].log_id = branch->log_id;
            anchor.logs[anchor.log_count].last_seq = branch->next_seq - 1;
            anchor.log_count++;
        }
    }
    qsort(anchor.logs, anchor.log_count, sizeof *anchor.logs, anchor_log_order);
    enum err err = anchor_write(replica->directory, &replica->storage_key, &anchor, replica->world);
    anchor_free(&anchor);
    if (err == ERR_OK) {
        replica->anchor_entries = replica->own_entries;
    }
    return err;
}

/* --- rebuilding --- */

static const char rebuild_row[] = "rebuild"; /* in meta: the next place to take up, u64 */

/* False: no rebuild is under way. Else its next place; 0: it is to begin. */
static bool
rebuild_place(struct table_txn *txn, uint64_t *place_out)
{
    struct buf value = { 0 };
    bool known = table_read(txn, TABLE_META, span_text(rebuild_row), &value) == ERR_OK && value.size == 8;

    *place_out = known ? bytes_read_u64(value.data) : 0;
    buf_free(&value);
    return known;
}

void
replica_want_rebuild(struct table_txn *main_txn)
{
    const uint8_t place[8] = { 0 };

    table_put(main_txn, TABLE_META, span_text(rebuild_row), span_of(place, sizeof place));
}

static enum err
rebuild_slice(struct replica *replica, uint64_t *place)
{
    enum err err = replica_begin(replica);
    uint8_t value[8];

    if (err != ERR_OK) {
        return err;
    }
    if (replica->narrow) {
        err = replica_abort(replica);
        return err == ERR_OK ? ERR_FULL : err;
    }
    if (*place == 0) {
        intake_clear_derived(replica->intake);
        *place = 1;
    }
    uint64_t last = journal_place_last(replica->journal);
    for (uint64_t end = *place + REBUILD_SLICE; err == ERR_OK && *place < end && *place <= last; ++*place) {
        err = intake_take_place(replica->intake, *place);
    }
    if (err != ERR_OK) {
        enum err after = replica_abort(replica);
        return after == ERR_OK ? err : after;
    }
    bytes_write_u64(value, *place);
    if (*place <= last) {
        table_put(replica->main_txn, TABLE_META, span_text(rebuild_row), span_of(value, sizeof value));
    } else {
        (void)table_delete(replica->main_txn, TABLE_META, span_text(rebuild_row));
        journal_append_record(replica->journal, replica->main_txn, 0);
    }
    return replica_commit(replica);
}

enum err
replica_rebuild(struct replica *replica, void (*progress)(void *self, uint64_t done, uint64_t all),
                void *self)
{
    struct table_txn *txn = NULL;
    uint64_t last = journal_place_last(replica->journal);
    enum err err = replica_begin_read(replica, &txn);

    if (err != ERR_OK) {
        return err;
    }
    uint64_t place;
    (void)rebuild_place(txn, &place);
    replica_end_read(replica, &txn);
    do {
        uint64_t from = place;
        size_t map_bytes = replica->map_bytes + replica->keys_map_bytes;

        err = rebuild_slice(replica, &place);
        if (err == ERR_FULL && replica->map_bytes + replica->keys_map_bytes > map_bytes) {
            /* The map was full, not the disk, and is larger now. */
            place = from;
            err = ERR_OK;
        } else if (err == ERR_OK && progress != NULL) {
            progress(self, place - 1, last);
        }
    } while (err == ERR_OK && place <= last);
    return err == ERR_OK ? reload(replica) : err;
}

enum { VERIFIED_ROW_BYTES = 4 * 8 };
static const char verified_row[] = "verified"; /* in meta: struct replica_verified, each u64 */

enum err
replica_note_verified(struct replica *replica, uint64_t found, uint64_t left)
{
    struct table_txn *txn = NULL;
    struct replica_verified verified = { .at_ms = 0 };
    uint8_t value[VERIFIED_ROW_BYTES];

    assert(!replica->in_turn && replica->readers == 0);
    enum err err = table_begin_write_reserved(replica->main_env, &txn);
    if (err != ERR_OK) {
        return err;
    }
    (void)replica_last_verified(txn, &verified);
    bytes_write_u64(value, world_wall_ms(replica->world));
    bytes_write_u64(value + 8, left);
    bytes_write_u64(value + 16, verified.found_ever + found);
    bytes_write_u64(value + 24, verified.repaired_ever + (found > left ? found - left : 0));
    table_put(txn, TABLE_META, span_text(verified_row), span_of(value, sizeof value));
    return table_commit(&txn);
}

bool
replica_last_verified(struct table_txn *txn, struct replica_verified *out)
{
    struct buf value = { 0 };
    bool known = table_read(txn, TABLE_META, span_text(verified_row), &value) == ERR_OK &&
                 value.size == VERIFIED_ROW_BYTES;

    if (known) {
        out->at_ms = bytes_read_u64(value.data);
        out->findings = bytes_read_u64(value.data + 8);
        out->found_ever = bytes_read_u64(value.data + 16);
        out->repaired_ever = bytes_read_u64(value.data + 24);
    }
    buf_free(&value);
    return known;
}

enum err
replica_borrow(struct replica *replica, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    assert(!replica->in_turn && replica->readers == 0);
    enum err err = table_begin_write(replica->keys_env, &replica->keys_txn);

    if (err == ERR_OK) {
        err = table_begin_write(replica->main_env, &replica->main_txn);
    }
    if (err != ERR_OK) {
        table_abort(&replica->keys_txn);
        return err;
    }
    replica->rebuilding_known = false;
    intake_read_with(replica->intake, replica->main_txn, replica->keys_txn);
    *main_txn = replica->main_txn;
    *keys_txn = replica->keys_txn;
    return ERR_OK;
}

void
replica_give_back(struct replica *replica, struct table_txn **main_txn, struct table_txn **keys_txn)
{
    intake_read_with(replica->intake, NULL, NULL);
    table_abort(&replica->main_txn);
    table_abort(&replica->keys_txn);
    *main_txn = NULL;
    *keys_txn = NULL;
}

bool
replica_is_rebuilding(struct replica *replica)
{
    struct table_txn *txn = NULL;

    /* Asked for every digest, and another answer only after a turn. */
    if (!replica->rebuilding_known || replica->in_turn) {
        if (replica_begin_read(replica, &txn) != ERR_OK) {
            return false;
        }
        uint64_t place;
        replica->rebuilding = rebuild_place(txn, &place) || intake_is_rebuilding(txn);
        replica->rebuilding_known = !replica->in_turn;
        replica_end_read(replica, &txn);
    }
    return replica->rebuilding;
}

/* --- reading --- */

/* A record that a change of standing made stale is made anew before it is read: in a turn of its own, unless one is under
 * way. */
static enum err
freshen(struct replica *replica, const struct ident *compartment, const struct ident *record_id)
{
    struct table_txn *txn = NULL;
    uint32_t record_no;
    enum err err = replica_begin_read(replica, &txn);

    if (err != ERR_OK) {
        return err;
    }
    bool stale =
        record_find(txn, compartment, record_id, &record_no) == ERR_OK && intake_is_stale(txn, record_no);
    replica_end_read(replica, &txn);
    if (!stale) {
        return ERR_OK;
    }
    if (replica->in_turn) {
        return intake_freshen(replica->intake, record_no);
    }
    if (replica->readers > 0) {
        return ERR_BUSY;
    }
    err = replica_begin(replica);
    if (err == ERR_OK) {
        err = intake_freshen(replica->intake, record_no);
        if (err != ERR_OK) {
            enum err after = replica_abort(replica);
            return after == ERR_OK ? err : after;
        }
        err = replica_commit(replica);
    }
    return err;
}

static enum err
read_half(struct replica *replica, struct table_txn *txn, const struct ident *compartment,
          const struct ident *record_id, bool in_spite, struct arena *arena, struct record_view **view_out)
{
    uint32_t record_no;
    struct record_view *view = arena_take(arena, sizeof *view);

    if (view == NULL) {
        return ERR_MEMORY;
    }
    enum err err = record_look_up(txn, compartment, record_id, &record_no);
    if (err == ERR_OK && replica->in_turn && intake_touched(replica->intake, record_no)) {
        err = intake_bring_up_to_date(replica->intake);
    }
    if (err == ERR_OK) {
        err = (in_spite ? record_view_read_in_spite : record_view_read)(
            txn, replica_codebook(replica), intake_source(replica->intake), record_no, arena, view);
    }
    *view_out = err == ERR_OK ? view : NULL;
    return err;
}

enum err
replica_read(struct replica *replica, const struct ident *compartment, const struct ident *record_id,
             struct arena *arena, struct replica_view *view_out)
{
    const struct roster_compartment *open = roster_compartment(replica->roster, compartment);
    const struct roster_device *own = roster_author(replica->roster, &replica->identity.device_id);
    struct table_txn *txn = NULL;

    memset(view_out, 0, sizeof *view_out);
    if (open == NULL) {
        return ERR_ABSENT;
    }
    enum err err = freshen(replica, compartment, record_id);
    if (err == ERR_OK && open->twin != NULL && open->role == COMPARTMENT_CASES) {
        err = freshen(replica, &open->twin->id, record_id);
    }
    if (err == ERR_OK) {
        err = replica_begin_read(replica, &txn);
    }
    if (err != ERR_OK) {
        return err;
    }
    err = read_half(replica, txn, compartment, record_id, false, arena, &view_out->open);
    view_out->restricted = err == ERR_OK && view_out->open->restricted;
    if (err == ERR_OK && !view_out->restricted && open->twin != NULL && open->role == COMPARTMENT_CASES) {
        if (policy_opens(replica->roster, own, &open->twin->id)) {
            enum err other =
                read_half(replica, txn, &open->twin->id, record_id, false, arena, &view_out->protected_half);
            err = other == ERR_ABSENT ? ERR_OK : other;
        } else {
            view_out->withheld = true;
        }
    }
    replica_end_read(replica, &txn);
    return err;
}

enum err
replica_read_in_spite(struct replica *replica, const struct ident *compartment, const struct ident *record_id,
                      struct arena *arena, struct record_view **view_out)
{
    struct table_txn *txn = NULL;

    *view_out = NULL;
    enum err err = freshen(replica, compartment, record_id);
    if (err == ERR_OK) {
        err = replica_begin_read(replica, &txn);
    }
    if (err == ERR_OK) {
        err = read_half(replica, txn, compartment, record_id, true, arena, view_out);
        replica_end_read(replica, &txn);
    }
    return err;
}

enum err
replica_bring_up_to_date(struct replica *replica)
{
    assert(replica->in_turn);
    return intake_bring_up_to_date(replica->intake);
}

struct roster *
replica_roster(struct replica *replica)
{
    return replica->roster;
}

const struct replica_identity *
replica_identity(const struct replica *replica)
{
    return &replica->identity;
}

struct table_env *
replica_keys_env(struct replica *replica)
{
    return replica->keys_env;
}

struct table_env *
replica_env(struct replica *replica)
{
    return replica->main_env;
}

struct replica_setbacks
replica_setbacks(const struct replica *replica)
{
    return (struct replica_setbacks){ replica->incarnations, replica->lost_tails };
}

enum err
replica_absent(struct replica *replica, const struct ident *record_id, bool want, struct intake_absent *out)
{
    return intake_absent(replica->intake, record_id, want, out);
}

const struct intake_counts *
replica_counts(const struct replica *replica)
{
    return &replica->counts;
}

struct journal *
replica_journal(struct replica *replica)
{
    return replica->journal;
}

const struct record_source *
replica_source(const struct replica *replica)
{
    return intake_source(replica->intake);
}

enum err
replica_open_entry(struct replica *replica, uint32_t log_no, uint64_t seq, struct arena *arena,
                   struct signed_change *out, struct ident *record_id_out)
{
    return intake_open_entry(replica->intake, log_no, seq, arena, out, record_id_out);
}

/* Open an entry for a device that has at least `level` where it was written. */
static enum err
open_any(struct replica *replica, uint32_t log_no, uint64_t seq, enum level level, struct arena *arena,
         struct intake_words *out)
{
    const struct log_branch *branch = journal_branch(replica->journal, log_no);
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);

    if (roster_level(replica->roster, own, &branch->descriptor.compartment) < level) {
        return ERR_DENIED;
    }
    return intake_open_any(replica->intake, log_no, seq, arena, out);
}

enum err
replica_open_held(struct replica *replica, uint32_t log_no, uint64_t seq, struct arena *arena,
                  struct intake_words *out)
{
    return open_any(replica, log_no, seq, LEVEL_ADMIN, arena, out);
}

enum err
replica_stamp_of(struct replica *replica, uint32_t log_no, uint64_t seq, struct arena *arena,
                 uint64_t *hlc_out)
{
    struct intake_words words;
    enum err err = open_any(replica, log_no, seq, LEVEL_READ, arena, &words);

    *hlc_out = err == ERR_OK ? words.hlc : 0;
    return err;
}

static int
compartment_order(const void *a, const void *b)
{
    return strcmp(((const struct replica_compartment *)a)->name,
                  ((const struct replica_compartment *)b)->name);
}

size_t
replica_compartments(struct replica *replica, struct replica_compartment *out, size_t room)
{
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    struct table_txn *txn = NULL;
    size_t count = 0;

    if (replica_begin_read(replica, &txn) != ERR_OK) {
        return 0;
    }
    for (size_t n = 0; n < roster_compartment_count(replica->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(replica->roster, n);
        struct frontier *frontier = replica_frontier(replica, &compartment->id);

        if (frontier == NULL || !policy_may(replica->roster, own, OPERATION_CARRY, &compartment->id)) {
            continue;
        }
        if (count < room) {
            struct replica_compartment *at = &out[count];

            *at = (struct replica_compartment){
                .id = compartment->id,
                .name = compartment->name,
                .level = (uint32_t)roster_level(replica->roster, own, &compartment->id),
                .entries = journal_entry_count(replica->journal, &compartment->id)
            };
            memcpy(at->digest, frontier_digest(frontier), sizeof at->digest);
            at->pending = journal_pending_count(replica->journal, &compartment->id);
            /* The CBOR of a byte string, without asking for memory that may be refused. */
            uint8_t token[1 + IDENT_BYTES] = { 0x40 | IDENT_BYTES };
            memcpy(token + 1, compartment->id.bytes, IDENT_BYTES);
            struct index_term term = { .index_no = INDEX_COMPARTMENT, .token = span_of(token, sizeof token) };
            if (index_count_of(txn, &term, &at->records) != ERR_OK) {
                at->records = 0;
            }
        }
        count++;
    }
    replica_end_read(replica, &txn);
    qsort(out, count < room ? count : room, sizeof *out, compartment_order);
    return count;
}
