#include "sync/replica.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "sync/keyring.h"
#include "sync/update.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAP_BYTES_DEFAULT = 64 << 20,
    KEYS_MAP_BYTES = 16 << 20,
    IDENTITY_VERSION = 1,
    SHARED_MAX = GOSSIP_SHARED_MAX,
    CHECKPOINT_KEY_BYTES = 16 + 16 + 1,
    MISSING_BOXES_SLICE = 64,
    REBUILD_SLICE = 4096, /* entries a turn of `vigild rebuild` */
    WORK_SLICE = 256,     /* records a turn that a new codebook made stale */
};

/* The frontier of one compartment, kept as its logs grow. */
struct held_compartment {
    struct ident id;
    struct frontier frontier;
};

/* A checkpoint that gossip saved between turns, written with the next one. */
struct waiting_checkpoint {
    uint8_t key[CHECKPOINT_KEY_BYTES];
    struct buf bytes;
};

struct replica {
    char *directory;
    const struct world *world;
    struct key storage_key;
    struct key wrap_key;
    size_t map_bytes;
    const struct codebook *codebook_default;

    struct replica_identity identity;
    struct ident database_id;
    struct table_env *main_env;
    struct table_env *keys_env;

    struct journal *journal;
    struct roster *roster;
    struct keyring *keyring;
    struct intake *intake;
    struct held_compartment **held; /* ascending by id; each stays where it is while the replica is open */
    size_t held_count;
    uint64_t hlc; /* the last stamp given */

    struct table_txn *main_txn; /* the turn's, or a reader's */
    struct table_txn *keys_txn;
    bool in_turn;
    unsigned readers; /* how many hold the read transactions */

    struct waiting_checkpoint *waiting;
    size_t waiting_count;
    uint64_t own_entries;    /* written by this device, ever */
    uint64_t anchor_entries; /* of them, how many the anchor file knows of */
    struct gossip_store store;
    void (*ended)(void *self, uint32_t connection, bool hang_up, const char *why);
    void *ended_self;
};

static struct frontier *replica_frontier(struct replica *replica, const struct ident *compartment);

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

static struct frontier *
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

/* Where the way to this branch's head last left another one: the branch's own first entry, or a child's
 * that left it later. */
static uint64_t
last_fork(const struct replica *replica, const struct log_branch *first, const struct log_branch *branch)
{
    uint64_t fork = branch->branch_first;

    for (uint32_t no = first->log_no; no != LOG_NONE; no = journal_branch(replica->journal, no)->sibling) {
        const struct log_branch *other = journal_branch(replica->journal, no);

        if (other->parent == branch->log_no && !branch_is_empty(other) && other->branch_first > fork &&
            other->branch_first < branch->next_seq) {
            fork = other->branch_first;
        }
    }
    return fork;
}

/* Put the tips of a log, as the journal has them, into its compartment's frontier. */
static enum err
frontier_update(struct replica *replica, struct table_txn *txn, const struct hash *log_id)
{
    enum { TIPS_MAX = 64 };
    struct tip tips[TIPS_MAX];
    size_t count = 0;
    const struct log_branch *first = journal_log(replica->journal, log_id);
    struct frontier *frontier = replica_frontier(replica, &first->descriptor.compartment);

    if (frontier == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t no = first->log_no; no != LOG_NONE && count < TIPS_MAX;
         no = journal_branch(replica->journal, no)->sibling) {
        const struct log_branch *branch = journal_branch(replica->journal, no);

        if (branch_is_empty(branch)) {
            continue;
        }
        tips[count] =
            (struct tip){ .log_id = *log_id, .seq = branch->next_seq - 1, .entry_id = branch->head_id };
        if (first->sibling != LOG_NONE) {
            struct journal_entry at_fork;

            tips[count].branch_first = last_fork(replica, first, branch);
            enum err err = journal_read(replica->journal, txn, no, tips[count].branch_first, &at_fork);
            if (err != ERR_OK) {
                return err;
            }
            memcpy(tips[count].branch_id, at_fork.entry.id.bytes, SHORT_BYTES);
        }
        count++;
    }
    if (count == 1) {
        tips[0].branch_first = 0;
        memset(tips[0].branch_id, 0, sizeof tips[0].branch_id);
    }
    return frontier_set_log(frontier, log_id, tips, count);
}

/* --- open and close --- */

static void
unload(struct replica *replica)
{
    intake_free(&replica->intake);
    keyring_free(&replica->keyring);
    roster_free(&replica->roster);
    journal_close(&replica->journal);
}

static void
load_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct replica *replica = self;

    /* A key that memory runs out for is learned again from its box. */
    if (keyring_add_key(replica->keyring, compartment, epoch_id, key) != ERR_OK) {
        log_event("epoch-key-left-out", "reason=memory epoch=%s", hash_short(epoch_id).text);
    }
}

static enum err
load_roster(struct replica *replica)
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
        const struct log_branch *branch = journal_branch(replica->journal, no);

        if (branch->parent == LOG_NONE) {
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
        err = load_roster(replica);
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
        err = intake_new(&replica->intake, &(struct intake_options){
                                               .world = replica->world,
                                               .journal = replica->journal,
                                               .roster = replica->roster,
                                               .keyring = replica->keyring,
                                               .env = replica->main_env,
                                               .own_device = &replica->identity.device_id,
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

static bool
is_own_log(const struct replica *replica, const struct log_branch *branch)
{
    return hash_equal(&branch->device_id, &replica->identity.device_id) &&
           memcmp(branch->descriptor.incarnation, replica->identity.incarnation,
                  sizeof replica->identity.incarnation) == 0;
}

/* The anchor file knows an own entry that the database lacks, or another database: this one was rolled back or
 * restored. Its logs are closed for good, and a new incarnation begins new ones. */
static bool
was_rolled_back(const struct replica *replica, const struct anchor *anchor)
{
    if (!ident_equal(&anchor->database_id, &replica->database_id)) {
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
        return ERR_OK;
    }
    if (err != ERR_OK && err != ERR_ABSENT && err != ERR_CORRUPT) {
        return err;
    }
    bool rolled_back = err != ERR_OK || was_rolled_back(replica, &anchor);
    if (err == ERR_OK) {
        anchor_free(&anchor);
    }
    if (!rolled_back) {
        replica->anchor_entries = replica->own_entries;
        return ERR_OK;
    }
    log_event("incarnation-new", "reason=anchor-disagrees");
    world_random(replica->world, replica->identity.incarnation, sizeof replica->identity.incarnation);
    return replica_identity_write(replica->directory, &replica->storage_key, &replica->identity,
                                  replica->world);
}

/* The random name of this database, made once. */
static enum err
load_database_id(struct replica *replica)
{
    static const char name[] = "database-id";
    struct buf value = { 0 };
    struct table_txn *txn = NULL;
    enum err err = table_begin_write(replica->main_env, &txn);

    if (err != ERR_OK) {
        return err;
    }
    err = table_read(txn, TABLE_META, span_text(name), &value);
    if (err == ERR_OK && value.size == IDENT_BYTES) {
        memcpy(replica->database_id.bytes, value.data, IDENT_BYTES);
        table_abort(&txn);
    } else if (err == ERR_ABSENT) {
        world_random(replica->world, replica->database_id.bytes, IDENT_BYTES);
        table_put(txn, TABLE_META, span_text(name), ident_span(&replica->database_id));
        err = table_commit(&txn);
    } else {
        table_abort(&txn);
        err = ERR_CORRUPT;
    }
    buf_free(&value);
    return err;
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
    (void)snprintf(path, sizeof path, "%s/keys", replica->directory);
    options.set = TABLE_SET_KEYS;
    options.key = &replica->wrap_key;
    options.map_bytes = KEYS_MAP_BYTES;
    err = table_env_open(&replica->keys_env, &options);
    return err == ERR_OK ? load_database_id(replica) : err;
}

static void gossip_store_init(struct replica *replica);

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
    replica->wrap_key = *options->wrap_key;
    replica->map_bytes = options->map_bytes == 0 ? MAP_BYTES_DEFAULT : options->map_bytes;
    replica->codebook_default = options->codebook;
    replica->directory = strdup(options->directory);
    gossip_store_init(replica);
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
    err = open_environments(replica);
    if (err != ERR_OK) {
        goto fail;
    }
    err = reload(replica);
    if (err != ERR_OK) {
        goto fail;
    }
    err = check_anchor(replica);
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
    table_env_close(&replica->keys_env);
    table_env_close(&replica->main_env);
    free(replica->directory);
    crypto_secret_free(replica); /* wipes it */
    *replica_in = NULL;
}

/* --- turns --- */

enum err
replica_begin_read(struct replica *replica, struct table_txn **txn_out)
{
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
    replica->readers++;
    *txn_out = replica->main_txn;
    return ERR_OK;
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

enum err
replica_begin(struct replica *replica)
{
    assert(!replica->in_turn && replica->readers == 0);
    enum err err = table_begin_write(replica->keys_env, &replica->keys_txn);

    if (err != ERR_OK) {
        return err;
    }
    err = table_begin_write(replica->main_env, &replica->main_txn);
    if (err == ERR_OK) {
        err = intake_begin(replica->intake, replica->main_txn, replica->keys_txn, replica_codebook(replica));
    }
    if (err != ERR_OK) {
        table_abort(&replica->main_txn);
        table_abort(&replica->keys_txn);
        return err;
    }
    replica->in_turn = true;
    for (size_t n = 0; n < replica->waiting_count; n++) {
        table_put(replica->main_txn, TABLE_PCHK, span_of(replica->waiting[n].key, CHECKPOINT_KEY_BYTES),
                  buf_span(&replica->waiting[n].bytes));
        buf_free(&replica->waiting[n].bytes);
    }
    replica->waiting_count = 0;
    return ERR_OK;
}

bool
replica_in_turn(const struct replica *replica)
{
    return replica->in_turn;
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

static enum err
update_grown(struct replica *replica)
{
    struct grown grown = { replica, ERR_OK };

    intake_each_grown(replica->intake, note_grown, &grown);
    return grown.err;
}

/* Memory is ahead of the disk after a turn that did not happen: read it all again. */
static void
fall_back(struct replica *replica)
{
    table_abort(&replica->main_txn);
    table_abort(&replica->keys_txn);
    replica->in_turn = false;
    enum err err = reload(replica);
    /* What was read at start cannot be read now: the disk is gone, and so is this node. */
    assert(err == ERR_OK);
}

enum err
replica_commit(struct replica *replica)
{
    assert(replica->in_turn && replica->readers == 0);
    enum err err = intake_end(replica->intake);

    if (err == ERR_OK) {
        err = update_grown(replica);
    }
    if (err == ERR_OK) {
        /* Keys first: a key without its entry is harmless, an entry without its payload is not. */
        err = table_commit(&replica->keys_txn);
    }
    if (err == ERR_OK) {
        err = table_commit(&replica->main_txn);
    }
    if (err != ERR_OK) {
        fall_back(replica);
        return err;
    }
    replica->in_turn = false;
    return ERR_OK;
}

void
replica_abort(struct replica *replica)
{
    if (replica->in_turn) {
        intake_abort(replica->intake);
        fall_back(replica);
    }
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

        if (is_own_log(replica, branch) && branch->parent == LOG_NONE && !branch_is_empty(branch)) {
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

/* --- writing --- */

/* The next stamp: 48 bits of milliseconds, 16 of a counter; never one that was given before. */
static uint64_t
next_stamp(struct replica *replica)
{
    uint64_t now = world_wall_ms(replica->world) << 16;
    uint64_t heard = intake_latest_hlc(replica->intake);

    if (heard > replica->hlc) {
        replica->hlc = heard;
    }
    replica->hlc = now > replica->hlc ? now : replica->hlc + 1;
    return replica->hlc;
}

/* One entry of our own, on its way through the door. */
struct draft {
    struct ident compartment;
    uint8_t lane;
    uint8_t kind;
    const struct record_key *record; /* NULL: no record */
    struct span payload;
};

/* Where the next entry of our log in this lane comes; log_id always, the branch only once there is one. */
static const struct log_branch *
own_log(const struct replica *replica, const struct ident *compartment, uint8_t lane,
        struct descriptor *descriptor_out, struct hash *log_id_out)
{
    memcpy(descriptor_out->sign_pk, replica->identity.sign.public_key, SIGN_PK_BYTES);
    memcpy(descriptor_out->incarnation, replica->identity.incarnation, sizeof descriptor_out->incarnation);
    descriptor_out->compartment = *compartment;
    descriptor_out->lane = lane;
    descriptor_log_id(descriptor_out, log_id_out);
    return journal_log(replica->journal, log_id_out);
}

/* Seal and sign a draft, and hand its bytes to the door like anybody's. */
static enum err
write_entry(struct replica *replica, const struct draft *draft)
{
    const struct epoch_keys *keys = NULL;
    const struct roster_compartment *compartment = roster_compartment(replica->roster, &draft->compartment);
    struct entry entry = { .kind = draft->kind, .lane = draft->lane };
    struct descriptor descriptor;
    struct hash log_id;
    struct buf sealed = { 0 };
    struct buf chunk = { 0 };
    uint8_t signature[SIGNATURE_BYTES];
    enum err err =
        keyring_current(replica->keyring, replica->roster, &draft->compartment, &keys, entry.epoch);

    if (err != ERR_OK) {
        return err;
    }
    const struct log_branch *branch =
        own_log(replica, &draft->compartment, draft->lane, &descriptor, &log_id);
    if (branch != NULL) {
        entry.seq = branch->next_seq;
        entry.prev = branch->head_id;
    }
    world_random(replica->world, entry.salt, sizeof entry.salt);
    if (draft->record != NULL) {
        struct key erase_key;

        record_key_erase(&erase_key, &draft->record->key);
        entry_reference_make(&entry, &log_id, keys, &draft->record->record_id, &erase_key);
        crypto_wipe(&erase_key, sizeof erase_key);
    } else {
        world_random(replica->world, entry.reference, sizeof entry.reference);
    }
    err = entry_seal(&entry, &log_id, keys, draft->kind == ENTRY_DATA ? &draft->record->key : NULL,
                     draft->payload, compartment != NULL && compartment->padded, &sealed);
    if (err == ERR_OK) {
        entry_sign(signature, &entry, &replica->identity.sign);
        chunk_write(&chunk, &entry, 1, signature);
        if (chunk.failed) {
            err = ERR_MEMORY;
        }
    }
    if (err == ERR_OK) {
        struct intake_result result = intake_chunk(replica->intake, &descriptor, buf_span(&chunk));

        switch (result.verdict) {
        case VERDICT_TAKEN:
            replica->own_entries++;
            err = update_grown(replica);
            break;
        case VERDICT_LATER:
            err = result.later == LATER_FULL ? ERR_FULL : ERR_DENIED;
            break;
        default:
            assert(!"the door refused what we wrote ourselves");
        }
    }
    buf_free(&sealed);
    buf_free(&chunk);
    return err;
}

/* A control entry that carries statements. */
static enum err
write_statements(struct replica *replica, const struct span *statements, size_t count)
{
    struct buf payload = { 0 };
    struct change_statements control = { .hlc = next_stamp(replica),
                                         .statements = statements,
                                         .count = count };
    enum err err = change_encode_statements(&control, &payload);

    if (err == ERR_OK) {
        err = write_entry(replica, &(struct draft){ .compartment = *roster_control(replica->roster),
                                                    .lane = LANE_CONTROL,
                                                    .kind = ENTRY_CONTROL,
                                                    .payload = buf_span(&payload) });
    }
    buf_free(&payload);
    return err;
}

enum err
replica_state(struct replica *replica, struct span signed_statement)
{
    return write_statements(replica, &signed_statement, 1);
}

struct founding {
    struct replica *replica;
    bool failed;
};

static void
found_one(void *self, struct span signed_statement)
{
    struct founding *founding = self;
    struct replica *replica = founding->replica;
    struct buf whole = { 0 };
    struct hash id;

    switch (roster_add(replica->roster, signed_statement, &id)) {
    case ROSTER_NEW:
        if (!roster_write(replica->roster, &id, &whole) || whole.failed) {
            founding->failed = true;
        } else {
            intake_keep_statement(replica->main_env, replica->main_txn, &id, buf_span(&whole));
        }
        break;
    case ROSTER_MEMORY:
        founding->failed = true;
        break;
    default:
        break;
    }
    buf_free(&whole);
}

/* The founding statements are known to everybody who can be told of them: they go into the roster and not
 * into an entry of our own. */
enum err
replica_found(struct replica *replica, struct span statements)
{
    struct founding founding = { .replica = replica };
    struct hash zero = { { 0 } };

    assert(!replica->in_turn);
    enum err err = table_begin_write(replica->main_env, &replica->main_txn);
    if (err != ERR_OK) {
        return err;
    }
    if (!joining_each(statements, found_one, &founding)) {
        err = ERR_INVALID;
    } else if (founding.failed) {
        err = ERR_MEMORY;
    } else {
        err = roster_settle(replica->roster);
    }
    if (err == ERR_OK && !roster_founded(replica->roster)) {
        err = ERR_INVALID;
    }
    if (err == ERR_OK) {
        err = keyring_add_key(replica->keyring, roster_control(replica->roster), &zero,
                              &replica->identity.control_key);
    }
    if (err != ERR_OK) {
        table_abort(&replica->main_txn);
        return err;
    }
    return table_commit(&replica->main_txn);
}

struct news {
    struct replica *replica;
    size_t count;
    enum err err;
};

static bool
roster_knows(const struct roster *roster, const struct hash *id)
{
    struct buf signed_statement = { 0 };
    bool known = roster_write(roster, id, &signed_statement);

    buf_free(&signed_statement);
    return known;
}

static void
import_one(void *self, struct span signed_statement)
{
    struct news *news = self;
    struct statement statement;

    if (news->err != ERR_OK) {
        return;
    }
    if (!statement_read(signed_statement, &statement)) {
        news->err = ERR_INVALID;
    } else if (!roster_knows(news->replica->roster, &statement.id)) {
        news->err = replica_state(news->replica, signed_statement);
        news->count++;
    }
}

enum err
replica_import(struct replica *replica, struct span statements, size_t *count_out)
{
    struct news news = { .replica = replica };

    if (!joining_each(statements, import_one, &news)) {
        return ERR_INVALID;
    }
    *count_out = news.count;
    return news.err;
}

/* The first epoch of a compartment is made by the office it belongs to; of one that belongs to nobody, by any
 * admin. Two that are made at once both open what they sealed. */
static bool
should_make_epoch(const struct replica *replica, const struct roster_device *own,
                  const struct roster_compartment *compartment)
{
    if (compartment->role == COMPARTMENT_CONTROL || compartment->current != NULL ||
        !policy_may(replica->roster, own, OPERATION_EPOCH, &compartment->id)) {
        return false;
    }
    return compartment->owner == NULL || compartment->owner == own->office;
}

static enum err
make_epoch(struct replica *replica, const struct ident *compartment)
{
    struct buf statement = { 0 };
    struct hash epoch_id;
    struct key key;
    enum err err = keyring_make_epoch(replica->keyring, replica->roster, compartment, &replica->identity.sign,
                                      replica->world, &statement, &epoch_id, &key);

    if (err == ERR_OK) {
        keys_put_epoch(replica->keys_txn, compartment, &epoch_id, &key);
        err = replica_state(replica, buf_span(&statement));
        log_event("epoch-made", "compartment=%s epoch=%s", ident_short(compartment).text,
                  hash_short(&epoch_id).text);
    }
    crypto_wipe(&key, sizeof key);
    buf_free(&statement);
    return err;
}

static enum err
make_box(struct replica *replica, const struct keyring_missing *missing)
{
    struct buf statement = { 0 };
    enum err err = keyring_make_box(replica->keyring, replica->roster, missing, &replica->identity.sign,
                                    replica->world, &statement);

    if (err == ERR_OK) {
        err = replica_state(replica, buf_span(&statement));
        log_event("box-made", "device=%s epoch=%s", hash_short(&missing->device_id).text,
                  hash_short(&missing->epoch_id).text);
    }
    buf_free(&statement);
    return err;
}

bool
replica_tend(struct replica *replica)
{
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    uint64_t before = replica->own_entries;
    bool worked = intake_work(replica->intake, WORK_SLICE) > 0;

    if (own == NULL) {
        return worked;
    }
    for (size_t n = 0; n < roster_compartment_count(replica->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(replica->roster, n);
        struct keyring_missing missing[MISSING_BOXES_SLICE];

        if (should_make_epoch(replica, own, compartment)) {
            (void)make_epoch(replica, &compartment->id);
            continue;
        }
        size_t count = keyring_missing(replica->keyring, replica->roster, &compartment->id, missing,
                                       MISSING_BOXES_SLICE);
        for (size_t m = 0; m < count; m++) {
            (void)make_box(replica, &missing[m]);
        }
    }
    return worked || replica->own_entries != before;
}

/* --- rebuilding --- */

static const char rebuild_row[] = "rebuild"; /* in meta: the next place to take up, u64 */

/* The next place of a rebuild that is under way; 0: none is. */
static uint64_t
rebuild_place(struct table_txn *txn)
{
    struct buf value = { 0 };
    uint64_t place = 0;

    if (table_read(txn, TABLE_META, span_text(rebuild_row), &value) == ERR_OK && value.size == 8) {
        place = bytes_read_u64(value.data);
    }
    buf_free(&value);
    return place;
}

static enum err
rebuild_slice(struct replica *replica, uint64_t *place)
{
    enum err err = replica_begin(replica);
    uint8_t value[8];

    if (err != ERR_OK) {
        return err;
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
        replica_abort(replica);
        return err;
    }
    bytes_write_u64(value, *place);
    if (*place <= last) {
        table_put(replica->main_txn, TABLE_META, span_text(rebuild_row), span_of(value, sizeof value));
    } else {
        (void)table_delete(replica->main_txn, TABLE_META, span_text(rebuild_row));
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
    uint64_t place = rebuild_place(txn);
    replica_end_read(replica, &txn);
    do {
        err = rebuild_slice(replica, &place);
        if (err == ERR_OK && progress != NULL) {
            progress(self, place - 1, last);
        }
    } while (err == ERR_OK && place <= last);
    return err == ERR_OK ? reload(replica) : err;
}

bool
replica_is_rebuilding(struct replica *replica)
{
    struct table_txn *txn = NULL;

    if (replica_begin_read(replica, &txn) != ERR_OK) {
        return false;
    }
    bool rebuilding = rebuild_place(txn) != 0 || intake_rebuild_count(txn) > 0;
    replica_end_read(replica, &txn);
    return rebuilding;
}

/* --- the replica as gossip sees it --- */

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

static size_t
store_shared(void *self, const struct hash *device_id, struct ident *compartments_out, size_t max)
{
    const struct replica *replica = self;
    const struct roster_compartment *shared[SHARED_MAX];
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    const struct roster_device *peer = roster_device(replica->roster, device_id);

    if (own == NULL || peer == NULL) {
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

static uint8_t
store_flags(void *self, const struct ident *compartment)
{
    const struct replica *replica = self;
    uint8_t flags = 0;

    for (uint32_t no = 1; no <= journal_branch_count(replica->journal); no++) {
        const struct log_branch *branch = journal_branch(replica->journal, no);

        if (branch->pending_count > 0 && ident_equal(&branch->descriptor.compartment, compartment)) {
            flags |= DIGEST_WORKING;
        }
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
        *present_out = true;
        if (seq + 1 == branch->next_seq) {
            found = memcmp(branch->head_id.bytes, entry_short, SHORT_BYTES) == 0;
        } else {
            found = journal_read(replica->journal, txn, no, seq, &entry) == ERR_OK &&
                    memcmp(entry.entry.id.bytes, entry_short, SHORT_BYTES) == 0;
        }
    }
    replica_end_read(replica, &txn);
    return found;
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

/* The branch whose head is this tip. */
static const struct log_branch *
branch_of_tip(const struct replica *replica, const struct tip *tip)
{
    const struct log_branch *branch = journal_log(replica->journal, &tip->log_id);

    while (branch != NULL &&
           (branch->next_seq != tip->seq + 1 || !hash_equal(&branch->head_id, &tip->entry_id))) {
        branch = branch->sibling == LOG_NONE ? NULL : journal_branch(replica->journal, branch->sibling);
    }
    return branch;
}

/* Entries from_seq to the next kept signature on the way to the head of `branch`, as one chunk. */
static enum err
read_chunk(struct replica *replica, struct table_txn *txn, const struct log_branch *branch, uint64_t from_seq,
           bool headers_only, struct buf *chunk_out, uint64_t *next_seq_out)
{
    struct entry entries[RUN_ENTRIES_MAX];
    uint8_t signature[SIGNATURE_BYTES];
    uint64_t last;
    enum err err = journal_signature_after(replica->journal, txn, branch->log_no, from_seq, &last, signature);

    if (err != ERR_OK) {
        return err;
    }
    if (last - from_seq >= RUN_ENTRIES_MAX) {
        return ERR_CORRUPT;
    }
    size_t count = (size_t)(last - from_seq + 1);
    for (size_t n = 0; n < count; n++) {
        struct journal_entry stored;

        err = journal_read(replica->journal, txn, branch->log_no, from_seq + n, &stored);
        if (err != ERR_OK) {
            return err == ERR_ABSENT ? ERR_CORRUPT : err;
        }
        entries[n] = stored.entry;
        if (headers_only) {
            entries[n].payload = span_of(NULL, 0);
        } else if (stored.entry.kind == ENTRY_KEY &&
                   keys_get_payload(replica->keys_txn, stored.log_no, from_seq + n, &entries[n].payload) !=
                       ERR_OK) {
            entries[n].payload = span_of(NULL, 0);
        }
    }
    chunk_write(chunk_out, entries, count, signature);
    *next_seq_out = last + 1;
    return chunk_out->failed ? ERR_MEMORY : ERR_OK;
}

static enum err
store_read_chunk(void *self, const struct tip *tip, uint64_t from_seq, bool headers_only,
                 struct buf *chunk_out, uint64_t *next_seq_out)
{
    struct replica *replica = self;
    struct table_txn *txn = NULL;
    const struct log_branch *branch = branch_of_tip(replica, tip);

    if (branch == NULL) {
        return ERR_ABSENT;
    }
    enum err err = replica_begin_read(replica, &txn);
    if (err == ERR_OK) {
        err = read_chunk(replica, txn, branch, from_seq, headers_only, chunk_out, next_seq_out);
        replica_end_read(replica, &txn);
    }
    return err;
}

static void
store_take(void *self, const struct hash *device_id, const struct gossip_log *log, struct span chunk,
           struct taken *taken_out)
{
    struct replica *replica = self;

    assert(replica->in_turn);
    struct intake_result result = intake_chunk(replica->intake, &log->descriptor, chunk);
    *taken_out =
        (struct taken){ .verdict = result.verdict, .later = result.later, .entry_count = result.new_count };
    if (result.verdict == VERDICT_TAKEN && update_grown(replica) != ERR_OK) {
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
gossip_store_init(struct replica *replica)
{
    replica->store = (struct gossip_store){
        .self = replica,
        .identity = store_identity,
        .shared = store_shared,
        .frontier = store_frontier,
        .flags = store_flags,
        .descriptor = store_descriptor,
        .find_log = store_find_log,
        .links = store_links,
        .has = store_has,
        .read_chunk = store_read_chunk,
        .take = store_take,
        .visible = store_visible,
        .load_checkpoint = store_load_checkpoint,
        .save_checkpoint = store_save_checkpoint,
        .ended = store_ended,
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

/* --- a person's edits --- */

enum { OPEN_HALF, PROTECTED_HALF, HALVES };

/* Where change_encode looks for the tags of our own earlier entries. */
struct own_place {
    struct replica *replica;
    uint32_t log_no;
};

static uint8_t
lane_of(const struct save *save)
{
    return save->urgent ? LANE_URGENT : LANE_NORMAL;
}

/* One of the two entries that a save may write. */
struct half_save {
    const struct roster_compartment *compartment; /* NULL: this record has no such half */
    struct record_key record;
    uint32_t record_no; /* 0: nothing of it is here yet */
    struct op *ops;
    size_t op_count;
    struct buf payload;
};

/* The half of a record in which the codebook puts a target. What the codebook does not know stays in the open half,
 * but for an audit compartment, which has no twin. */
static int
half_of(const struct codebook *codebook, const struct target *target)
{
    enum sensitivity sensitivity = LEVEL_L2;

    if (target->field != 0) {
        const struct codebook_field *field = codebook_field(codebook, target->field);

        sensitivity = field == NULL ? LEVEL_L2 : field->sensitivity;
    } else if (target->collection != 0) {
        const struct codebook_collection *collection = codebook_collection(codebook, target->collection);

        sensitivity = collection == NULL ? LEVEL_L2 : collection->sensitivity;
    }
    return sensitivity == LEVEL_L3 ? PROTECTED_HALF : OPEN_HALF;
}

/* Find the two compartments, and for a record that is here its keys. */
static enum err
prepare_halves(struct replica *replica, const struct save *save, struct half_save halves[HALVES])
{
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    const struct roster_compartment *open = roster_compartment(replica->roster, &save->compartment);

    memset(halves, 0, HALVES * sizeof *halves);
    if (open == NULL || own == NULL || open->role == COMPARTMENT_PROTECTED ||
        !policy_may(replica->roster, own, OPERATION_WRITE_DATA, &open->id)) {
        return ERR_DENIED;
    }
    halves[OPEN_HALF].compartment = open;
    if (open->twin != NULL && policy_may(replica->roster, own, OPERATION_WRITE_DATA, &open->twin->id)) {
        halves[PROTECTED_HALF].compartment = open->twin;
    }
    if (save->create) {
        return ERR_OK;
    }
    for (int half = 0; half < HALVES; half++) {
        struct half_save *at = &halves[half];

        if (at->compartment == NULL) {
            continue;
        }
        enum err known =
            record_find(replica->main_txn, &at->compartment->id, &save->record_id, &at->record_no);
        if (known != ERR_OK && known != ERR_ABSENT) {
            return known;
        }
        enum err err =
            keys_get_record(replica->keys_txn, &at->compartment->id, &save->record_id, &at->record);
        if (err == ERR_ABSENT && half == PROTECTED_HALF) {
            at->compartment = NULL; /* made by somebody who had no write there */
        } else if (err != ERR_OK) {
            return err == ERR_ABSENT && known == ERR_OK ? ERR_LOCKED : err;
        }
    }
    return ERR_OK;
}

/* Draw the keys of a new record and send them first, each in lane 0 of its compartment. */
static enum err
create_record(struct replica *replica, const struct save *save, struct half_save halves[HALVES])
{
    struct record_key *open = &halves[OPEN_HALF].record;
    struct record_key *protected = &halves[PROTECTED_HALF].record;
    enum err err = ERR_OK;

    if (halves[PROTECTED_HALF].compartment != NULL) {
        world_random(replica->world, protected->key.bytes, KEY_BYTES);
        record_key_case(&open->key, &protected->key);
    } else {
        world_random(replica->world, open->key.bytes, KEY_BYTES);
    }
    record_key_id(&open->record_id, &open->key);
    protected->record_id = open->record_id;
    for (int half = HALVES - 1; half >= 0 && err == ERR_OK; half--) {
        struct buf payload = { 0 };

        if (halves[half].compartment == NULL) {
            continue;
        }
        struct change_key content = { .hlc = next_stamp(replica), .actor = save->actor };
        memcpy(content.record_key, halves[half].record.key.bytes, KEY_BYTES);
        err = change_encode_key(&content, &payload);
        crypto_wipe(&content, sizeof content);
        if (err == ERR_OK) {
            err = write_entry(replica, &(struct draft){ .compartment = halves[half].compartment->id,
                                                        .lane = LANE_CONTROL,
                                                        .kind = ENTRY_KEY,
                                                        .record = &halves[half].record,
                                                        .payload = buf_span(&payload) });
        }
        buf_wipe(&payload);
    }
    return err;
}

/* Append the dots of a target's live values to `preds`; gives whether they are more than one value. */
static bool
name_values(const struct record_target *target, struct dot *preds, size_t *count)
{
    for (size_t n = 0; n < target->value_count && *count < CHANGE_PREDS_MAX; n++) {
        const struct live *live = &target->values[n];

        dot_make(&preds[*count], &live->entry->log_id, live->entry->seq, live->op, &live->entry->entry_id);
        ++*count;
    }
    return target->conflict;
}

/* Turn one op of a person into an op that names what it replaces: what is live there now. Of a union nothing is
 * replaced; an element that comes back replaces what was left of it. */
static enum err
draft_op(struct replica *replica, const struct save_op *from, struct half_save *half, struct arena *arena)
{
    struct op *op = &half->ops[half->op_count];
    struct dot *preds = arena_take_array(arena, CHANGE_PREDS_MAX, sizeof *preds);
    const struct record_target *targets = NULL;
    const struct codebook_field *field = cell_field(replica_codebook(replica), &from->target);
    size_t count = 0;

    if (preds == NULL) {
        return ERR_MEMORY;
    }
    *op = (struct op){ .code = from->code, .target = from->target, .value = from->value, .preds = preds };
    if (half->record_no != 0) {
        enum err err =
            record_targets_read(replica->main_txn, replica_codebook(replica), intake_source(replica->intake),
                                half->record_no, &from->target, arena, &targets, &count);
        if (err != ERR_OK && err != ERR_ABSENT) {
            return err;
        }
    }
    for (size_t n = 0; n < count; n++) {
        bool own = target_compare(&targets[n].target, &from->target) == 0;

        if ((from->code == OP_SET && !own) ||
            (field != NULL && field->policy == MERGE_UNION && !from->resolve)) {
            continue;
        }
        if (name_values(&targets[n], preds, &op->pred_count) && from->code == OP_SET && !from->resolve) {
            return ERR_CONFLICT;
        }
    }
    if (from->code == OP_REMOVE && op->pred_count == 0) {
        return ERR_ABSENT;
    }
    half->op_count++;
    return ERR_OK;
}

static bool
own_tag(void *self, uint64_t seq, uint8_t tag_out[4])
{
    struct replica *replica = ((struct own_place *)self)->replica;

    return journal_tag(replica->journal, replica->main_txn, ((struct own_place *)self)->log_no, seq,
                       tag_out) == ERR_OK;
}

/* Encode what a save says of one half. ERR_FULL: it is larger than an entry may be. */
static enum err
encode_half(struct replica *replica, const struct save *save, struct half_save *half, uint64_t stamp,
            const struct ident *tx)
{
    struct descriptor descriptor;
    struct change_log log = { .tag_of = own_tag };
    const struct log_branch *branch =
        own_log(replica, &half->compartment->id, lane_of(save), &descriptor, &log.log_id);
    struct own_place place = { replica, branch == NULL ? LOG_NONE : branch->log_no };
    struct change change = { .schema = SCHEMA,
                             .hlc = stamp,
                             .has_tx = tx != NULL,
                             .actor = save->actor,
                             .ops = half->ops,
                             .op_count = half->op_count };

    if (tx != NULL) {
        memcpy(change.tx, tx->bytes, sizeof change.tx);
    }
    log.seq = branch == NULL ? 0 : branch->next_seq;
    log.self = &place;
    enum err err = change_encode(&change, &log, &half->payload);
    if (err == ERR_OK && !entry_fits(buf_span(&half->payload))) {
        err = ERR_FULL;
    }
    return err;
}

/* Draft both halves before anything is written: a save happens whole or not at all. */
static enum err
draft_save(struct replica *replica, const struct save *save, struct half_save halves[HALVES],
           struct arena *arena, size_t *op_out)
{
    const struct codebook *codebook = replica_codebook(replica);
    uint64_t stamp = next_stamp(replica);
    struct ident tx;

    for (int half = 0; half < HALVES; half++) {
        halves[half].ops = arena_take_array(arena, save->op_count + 1, sizeof *halves[half].ops);
        if (halves[half].ops == NULL) {
            return ERR_MEMORY;
        }
    }
    for (size_t n = 0; n < save->op_count; n++) {
        struct half_save *half = &halves[half_of(codebook, &save->ops[n].target)];
        enum err err = half->compartment == NULL ? ERR_DENIED : draft_op(replica, &save->ops[n], half, arena);

        if (err != ERR_OK) {
            *op_out = n;
            return err;
        }
    }
    /* Two entries of one save share a random number, so that its history shows as one. */
    bool both = halves[OPEN_HALF].op_count > 0 && halves[PROTECTED_HALF].op_count > 0;
    world_random(replica->world, tx.bytes, IDENT_BYTES);
    for (int half = 0; half < HALVES; half++) {
        if (halves[half].op_count > 0) {
            enum err err = encode_half(replica, save, &halves[half], stamp, both ? &tx : NULL);
            if (err != ERR_OK) {
                return err;
            }
        }
    }
    return ERR_OK;
}

enum err
replica_save(struct replica *replica, const struct save *save, struct saved *saved_out, size_t *op_out)
{
    struct half_save halves[HALVES];
    struct arena arena = { 0 };
    enum err err = prepare_halves(replica, save, halves);

    assert(replica->in_turn);
    *op_out = save->op_count;
    /* Preds are read from the tables, which are behind what this turn merged. */
    for (int half = 0; half < HALVES && err == ERR_OK; half++) {
        if (halves[half].record_no != 0 && intake_touched(replica->intake, halves[half].record_no)) {
            err = intake_bring_up_to_date(replica->intake);
        }
    }
    if (err == ERR_OK) {
        err = draft_save(replica, save, halves, &arena, op_out);
    }
    if (err == ERR_OK && save->create) {
        err = create_record(replica, save, halves);
    }
    for (int half = 0; half < HALVES && err == ERR_OK; half++) {
        if (halves[half].op_count > 0) {
            err = write_entry(replica, &(struct draft){ .compartment = halves[half].compartment->id,
                                                        .lane = lane_of(save),
                                                        .kind = ENTRY_DATA,
                                                        .record = &halves[half].record,
                                                        .payload = buf_span(&halves[half].payload) });
        }
    }
    saved_out->record_id = halves[OPEN_HALF].record.record_id;
    saved_out->place = journal_place_last(replica->journal);
    for (int half = 0; half < HALVES; half++) {
        crypto_wipe(&halves[half].record, sizeof halves[half].record);
        buf_wipe(&halves[half].payload);
    }
    arena_free(&arena);
    return err;
}

/* --- reading --- */

static enum err
read_half(struct replica *replica, struct table_txn *txn, const struct ident *compartment,
          const struct ident *record_id, struct arena *arena, struct record_view **view_out)
{
    uint32_t record_no;
    struct record_view *view = arena_take(arena, sizeof *view);

    if (view == NULL) {
        return ERR_MEMORY;
    }
    enum err err = record_find(txn, compartment, record_id, &record_no);
    if (err == ERR_OK && replica->in_turn && intake_touched(replica->intake, record_no)) {
        err = intake_bring_up_to_date(replica->intake);
    }
    if (err == ERR_OK) {
        err = record_view_read(txn, replica_codebook(replica), intake_source(replica->intake), record_no,
                               arena, view);
    }
    *view_out = err == ERR_OK ? view : NULL;
    return err;
}

enum err
replica_read(struct replica *replica, const struct ident *compartment, const struct ident *record_id,
             struct arena *arena, struct replica_view *view_out)
{
    const struct roster_compartment *open = roster_compartment(replica->roster, compartment);
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    struct table_txn *txn = NULL;

    memset(view_out, 0, sizeof *view_out);
    if (open == NULL) {
        return ERR_ABSENT;
    }
    enum err err = replica_begin_read(replica, &txn);
    if (err != ERR_OK) {
        return err;
    }
    err = read_half(replica, txn, compartment, record_id, arena, &view_out->open);
    if (err == ERR_OK && open->twin != NULL && open->role == COMPARTMENT_CASES) {
        if (policy_may(replica->roster, own, OPERATION_READ, &open->twin->id)) {
            enum err other =
                read_half(replica, txn, &open->twin->id, record_id, arena, &view_out->protected_half);
            err = other == ERR_ABSENT ? ERR_OK : other;
        } else {
            view_out->withheld = true;
        }
    }
    replica_end_read(replica, &txn);
    return err;
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
replica_env(struct replica *replica)
{
    return replica->main_env;
}

const struct intake_counts *
replica_counts(const struct replica *replica)
{
    return intake_counts(replica->intake);
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
            struct buf token = { 0 };
            cbor_put_bytes(&token, ident_span(&compartment->id));
            struct index_term term = { .index_no = INDEX_COMPARTMENT, .token = buf_span(&token) };
            if (index_count_of(txn, &term, &at->records) != ERR_OK) {
                at->records = 0;
            }
            buf_free(&token);
        }
        count++;
    }
    replica_end_read(replica, &txn);
    qsort(out, count < room ? count : room, sizeof *out, compartment_order);
    return count;
}
