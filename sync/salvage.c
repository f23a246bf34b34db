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
    MARK_MAIN = 1,  /* logs, places, the name of the database */
    MARK_GUARD = 2, /* orders to erase may be lost, and what they erased be here */
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

/* May what was erased be here, and the order to erase it not? */
static bool
wants_guard(const struct replica_salvage *options, const struct salvage *main_part)
{
    bool doubtful = main_part->doubtful > 0 || options->damaged[PART_KEYS];
    bool orders_are_here = main_part->lost_known[TABLE_CERT] && main_part->lost[TABLE_CERT] == 0;
    /* It may have been a restored one, and unconfirmed. */
    bool meta_is_here = main_part->lost_known[TABLE_META] && main_part->lost[TABLE_META] == 0;

    return (doubtful && !orders_are_here) || !meta_is_here;
}

static struct span
make_mark(void *self, const struct salvage *salvage)
{
    struct reading *reading = self;

    reading->mark[0] = MARK_VERSION;
    reading->mark[1] = MARK_MAIN | (wants_guard(reading->options, salvage) ? MARK_GUARD : 0);
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
        err = table_env_open(&env, &(struct table_options){ .path = path,
                                                            .set = TABLE_SET_MAIN,
                                                            .key = &key,
                                                            .world = options->world });
    }
    if (err == ERR_OK) {
        err = table_begin_write_reserved(env, &txn);
    }
    if (err == ERR_OK) {
        reading->mark[0] = MARK_VERSION;
        reading->mark[1] = 0;
        /* A main/ that was salvaged before says so still. */
        if (table_read(txn, TABLE_META, span_text(mark_row), &row) == ERR_OK && row.size == MARK_BYTES) {
            reading->mark[1] = row.data[1];
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
        out->guarded = out->errs[PART_MAIN] == ERR_OK && wants_guard(options, &out->parts[PART_MAIN]);
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
        (void)table_delete(replica->main_txn, TABLE_META, span_text(mark_row));
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
    if (!marked) {
        return ERR_OK;
    }
    err = mend(replica, what);
    replica->salvaged = err == ERR_OK;
    return err;
}
