#include "sync/salvage.h"

#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "store/shelf.h"
#include "sync/replica_state.h"
#include "sync/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In meta: version u8 | what is to be put in order u8. */
static const char mark_row[] = "salvaged";

enum {
    MARK_VERSION = 1,
    MARK_BYTES = 2,
    MARK_MAIN = 1,   /* logs, places, the name of the database */
    MARK_GUARD = 2,  /* it is to show no record, as one that was restored */
    MARK_SETTLE = 4, /* these were done: what was erased is still to be looked for */
    PATH_BYTES = 4096,
};

/* --- reading --- */

struct reading {
    const struct replica_salvage *options;
    struct replica_salvaged *out;
    uint8_t mark[MARK_BYTES];
};

static enum err
path_of(const struct replica_salvage *options, enum replica_part part, char out[PATH_BYTES],
        struct key *key_out)
{
    char folder[WRAP_FOLDER_BYTES] = "main";
    struct wrap wrap;

    *key_out = *options->storage_key;
    if (part == PART_KEYS) {
        enum err err = wrap_read(options->directory, options->storage_key, &wrap);
        if (err != ERR_OK) {
            return err == ERR_ABSENT ? ERR_CORRUPT : err;
        }
        wrap_folder(wrap.generation, folder);
        *key_out = wrap.key;
        crypto_wipe(&wrap, sizeof wrap);
    }
    return snprintf(out, PATH_BYTES, "%s/%s", options->directory, folder) < PATH_BYTES ? ERR_OK : ERR_INVALID;
}

static bool
is_whole(const struct salvage *main_part, enum table_id table)
{
    return main_part->lost_known[table] && main_part->lost[table] == 0;
}

/* An order to erase may be lost, or a revocation, or that the replica was a restored one and unconfirmed. */
static bool
wants_guard(const struct salvage *main_part)
{
    return !is_whole(main_part, TABLE_CERT) || !is_whole(main_part, TABLE_META);
}

static struct span
make_mark(void *self, const struct salvage *main_part)
{
    struct reading *reading = self;

    reading->mark[0] = MARK_VERSION;
    reading->mark[1] = MARK_MAIN | (wants_guard(main_part) ? MARK_GUARD : 0);
    return span_of(reading->mark, sizeof reading->mark);
}

static enum err
read_part(struct reading *reading, enum replica_part part)
{
    const struct replica_salvage *options = reading->options;
    char path[PATH_BYTES];
    struct key key;
    enum err err = path_of(options, part, path, &key);
    struct salvage_options salvage = { .apply = options->apply, .self = reading, .mark = make_mark };

    salvage.table = (struct table_options){ .path = path,
                                            .set = part == PART_MAIN ? TABLE_SET_MAIN : TABLE_SET_KEYS,
                                            .key = &key,
                                            .world = options->world };
    if (part == PART_MAIN) {
        salvage.mark_key = span_text(mark_row);
        /* What is made anew from the journal, and what peers say again of themselves. */
        for (enum table_id table = TABLE_REC; table <= TABLE_TOKEN; table++) {
            salvage.leave[table] = true;
        }
        salvage.leave[TABLE_PCHK] = true;
        salvage.leave[TABLE_PFRONT] = true;
    }
    if (err == ERR_OK) {
        err = salvage_run(&salvage, &reading->out->parts[part]);
    }
    crypto_wipe(&key, sizeof key);
    return err;
}

/* Have a main/ that is whole say that keys/ was salvaged, before it is. */
static enum err
mark_whole_main(struct reading *reading)
{
    const struct replica_salvage *options = reading->options;
    struct table_env *env = NULL;
    struct table_txn *txn = NULL;
    struct buf row = { 0 };
    char path[PATH_BYTES];
    struct key key;
    enum err err = path_of(options, PART_MAIN, path, &key);

    if (err == ERR_OK) {
        err = table_env_open(&env,
                             &(struct table_options){
                                 .path = path, .set = TABLE_SET_MAIN, .key = &key, .world = options->world });
    }
    if (err == ERR_OK) {
        err = table_begin_write_reserved(env, &txn);
    }
    if (err == ERR_OK) {
        reading->mark[0] = MARK_VERSION;
        reading->mark[1] = 0;
        /* A main/ that was salvaged before says so still. */
        if (table_read(txn, TABLE_META, span_text(mark_row), &row) == ERR_OK && row.size == MARK_BYTES) {
            reading->mark[1] = row.data[1] & (MARK_MAIN | MARK_GUARD);
        }
        table_put(txn, TABLE_META, span_text(mark_row), span_of(reading->mark, sizeof reading->mark));
        err = table_commit(&txn);
    }
    table_env_close(&env);
    buf_free(&row);
    crypto_wipe(&key, sizeof key);
    return err;
}

enum err
replica_salvage(const struct replica_salvage *options, struct replica_salvaged *out)
{
    struct reading reading = { .options = options, .out = out };

    memset(out, 0, sizeof *out);
    if (options->damaged[PART_MAIN]) {
        out->errs[PART_MAIN] = read_part(&reading, PART_MAIN);
        out->guarded = out->errs[PART_MAIN] == ERR_OK && wants_guard(&out->parts[PART_MAIN]);
    } else if (options->damaged[PART_KEYS] && options->apply) {
        out->errs[PART_MAIN] = mark_whole_main(&reading);
    }
    /* The mark goes first: without it, what keys/ brings back would be held against no order. */
    if (options->damaged[PART_KEYS] && (out->errs[PART_MAIN] == ERR_OK || !options->apply)) {
        out->errs[PART_KEYS] = read_part(&reading, PART_KEYS);
    }
    return out->errs[PART_MAIN] != ERR_OK ? out->errs[PART_MAIN] : out->errs[PART_KEYS];
}

/* --- putting in order --- */

/* Compartments that a log may be of. */
struct known {
    struct buf compartments;
};

static void
know(struct known *known, const struct ident *compartment)
{
    buf_put(&known->compartments, compartment, sizeof *compartment);
}

static void
know_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    (void)epoch_id;
    (void)key;
    know(self, compartment);
}

static enum err
mend_journal(struct replica *replica, struct known *known)
{
    struct journal_mended mended = { .logs = 0 };
    struct descriptor own = { .lane = LANE_CONTROL };
    struct descriptor nobody;

    memset(&own, 0, sizeof own);
    memcpy(own.sign_pk, replica->identity.sign.public_key, sizeof own.sign_pk);
    memcpy(own.incarnation, replica->identity.incarnation, sizeof own.incarnation);
    nobody = own;
    nobody.compartment = *roster_control(replica->roster);
    enum err err = journal_mend(replica->main_txn,
                                &(struct journal_names){
                                    .authors = &own,
                                    .author_count = 1,
                                    .compartments = (const void *)known->compartments.data,
                                    .compartment_count = known->compartments.size / sizeof(struct ident),
                                    .nobody = nobody,
                                    .world = replica->world,
                                },
                                &mended);

    log_event("salvage-mended", "err=%s logs=%llu longer=%llu dropped=%llu entries=%llu places=%llu",
              err_code(err), (unsigned long long)mended.logs, (unsigned long long)mended.longer,
              (unsigned long long)mended.dropped, (unsigned long long)mended.entries,
              (unsigned long long)mended.places);
    return err;
}

/* True if a signature is kept at this entry of a branch, which is the last or ends a run. */
static bool
is_due(struct replica *replica, struct journal *journal, const struct log_branch *branch, uint64_t seq)
{
    struct journal_entry next;
    struct run run;

    return seq + 1 == branch->next_seq ||
           (journal_run_before(journal, replica->main_txn, branch->log_no, seq + 1, &run) == ERR_OK &&
            journal_read(journal, replica->main_txn, branch->log_no, seq + 1, &next) == ERR_OK &&
            run_breaks(&run, next.entry.payload_size));
}

/* What this device has signed it signs once more where that is lost, and where its entry hashes on from what is before it: nobody else can
 * give a signature of an entry that nobody else has. */
static void
sign_again(struct replica *replica, struct journal *journal)
{
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (!hash_equal(&branch->device_id, &replica->identity.device_id)) {
            continue;
        }
        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            uint8_t signature[SIGNATURE_BYTES];
            struct journal_entry stored;

            if (!journal_is_signed(journal, replica->main_txn, no, seq) &&
                is_due(replica, journal, branch, seq) &&
                journal_read(journal, replica->main_txn, no, seq, &stored) == ERR_OK) {
                crypto_sign_id(signature, &replica->identity.sign, "VIGIL1ENTRY", &stored.entry.id);
                journal_put_back_signature(replica->main_txn, no, seq, &stored.entry.id, signature);
            }
        }
    }
}

/* Compartments are known from the roster, and from the keys that were ever had. */
static enum err
mend_main(struct replica *replica, bool guard)
{
    struct known known = { .compartments = { 0 } };
    struct journal *journal = NULL;
    enum err err = replica_load_roster(replica);

    if (err == ERR_OK) {
        know(&known, roster_control(replica->roster));
        for (size_t n = 0; n < roster_compartment_count(replica->roster); n++) {
            know(&known, &roster_compartment_at(replica->roster, n)->id);
        }
        keys_each_epoch(replica->keys_txn, know_epoch, &known);
        err = known.compartments.failed ? ERR_MEMORY : mend_journal(replica, &known);
    }
    if (err == ERR_OK) {
        err = journal_open(&journal, replica->main_txn);
    }
    if (err == ERR_OK) {
        intake_forget_logs(replica->main_txn, journal_branch_count(journal));
        shelf_spare_named(replica->main_txn);
        replica_forget_database_id(replica->main_txn);
        sign_again(replica, journal);
    }
    if (err == ERR_OK && guard) {
        err = restore_mark(replica->main_txn, journal, &replica->identity.device_id,
                           world_wall_ms(replica->world));
    }
    journal_close(&journal);
    roster_free(&replica->roster);
    buf_free(&known.compartments);
    return err;
}

/* True if there is a mark. */
static bool
read_mark(struct table_txn *txn, uint8_t *what_out)
{
    struct buf row = { 0 };
    enum err err = table_read(txn, TABLE_META, span_text(mark_row), &row);

    /* One that cannot be read asks for everything. */
    *what_out = err == ERR_OK && row.size == MARK_BYTES ? row.data[1] : MARK_MAIN | MARK_GUARD;
    buf_free(&row);
    return err != ERR_ABSENT;
}

static enum err
mend(struct replica *replica, uint8_t what)
{
    const uint8_t settle[MARK_BYTES] = { MARK_VERSION, MARK_SETTLE };
    enum err err = table_begin_write_reserved(replica->main_env, &replica->main_txn);

    if (err == ERR_OK) {
        err = table_begin_read(replica->keys_env, &replica->keys_txn);
    }
    if (err == ERR_OK && (what & MARK_MAIN) != 0) {
        err = mend_main(replica, (what & MARK_GUARD) != 0);
    }
    if (err == ERR_OK) {
        erase_look_again(replica->main_txn);
        replica_want_rebuild(replica->main_txn);
        table_put(replica->main_txn, TABLE_META, span_text(mark_row), span_of(settle, sizeof settle));
        err = table_commit(&replica->main_txn);
    }
    table_abort(&replica->main_txn);
    table_abort(&replica->keys_txn);
    return err;
}

enum err
replica_mend_salvaged(struct replica *replica)
{
    struct table_txn *txn = NULL;
    uint8_t what;
    enum err err = table_begin_read(replica->main_env, &txn);

    if (err != ERR_OK) {
        return err;
    }
    bool marked = read_mark(txn, &what);
    table_abort(&txn);
    replica->salvaged = false;
    if (!marked) {
        return ERR_OK;
    }
    /* A crash came after it was mended, if it was. */
    err = (what & MARK_SETTLE) != 0 ? ERR_OK : mend(replica, what);
    replica->salvaged = err == ERR_OK;
    return err;
}

static void
keep_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct replica *replica = self;

    keys_put_epoch(replica->keys_txn, compartment, epoch_id, key);
}

/* Payloads of key entries that were erased, or are not here: old rows of keys/, which nothing else would ever look for. What an entry that comes
 * again needs comes with it. */
static void
forget_payload(void *self, uint32_t log_no, uint64_t seq)
{
    struct replica *replica = self;
    enum entry_state state;

    if (!journal_stores(replica->journal, log_no, seq) ||
        journal_state(replica->journal, replica->main_txn, log_no, seq, &state) != ERR_OK ||
        state == STATE_ERASED) {
        keys_delete_payload(replica->keys_txn, log_no, seq);
    }
}

/* The same of files that only erased entries named. */
static void
forget_files(struct replica *replica)
{
    for (uint32_t no = 1; no <= journal_branch_count(replica->journal); no++) {
        const struct log_branch *branch = journal_branch(replica->journal, no);

        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            enum entry_state state;

            if (journal_state(replica->journal, replica->main_txn, no, seq, &state) == ERR_OK &&
                state == STATE_ERASED) {
                (void)shelf_drop_entry(replica->main_txn, no, seq);
            }
        }
    }
}

enum err
replica_settle_salvaged(struct replica *replica)
{
    enum err err = replica_begin(replica);

    if (err != ERR_OK) {
        return err;
    }
    /* Keys of epochs that are lost are in their boxes. */
    (void)keyring_learn(replica->keyring, replica->roster, keep_epoch, replica);
    keys_each_payload(replica->keys_txn, forget_payload, replica);
    forget_files(replica);
    err = replica_commit(replica);
    if (err == ERR_OK) {
        err = replica_follow_erasures(replica);
    }
    if (err == ERR_OK) {
        err = replica_begin(replica);
    }
    if (err == ERR_OK) {
        (void)table_delete(replica->main_txn, TABLE_META, span_text(mark_row));
        err = replica_commit(replica);
    }
    return err;
}
