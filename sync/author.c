#include "sync/replica_state.h"

#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "store/shelf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    MISSING_BOXES_SLICE = 64,
    REKEY_SLICE = 64,
    FORK_STAGGER_MS = 3000,
    FORK_STAGGERS_MAX = 20,
    WORK_SLICE = 256, /* records a turn that a new codebook made stale */
};

static const uint64_t EPOCH_MS_MAX = UINT64_C(90) * 24 * 3600 * 1000;
static const uint64_t EPOCH_LOOK_MS = UINT64_C(3600) * 1000; /* how often the age of epochs is looked at */
static const uint64_t EPOCH_STAGGER_MS = UINT64_C(24) * 3600 * 1000;

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
    bool names_blobs;
    bool hints;                      /* what is older of its record is to go forward */
    const struct record_key *record; /* NULL: no record */
    struct span payload;
};

/* Where the next entry of our log in this lane comes; log_id always, the branch only once there is one. */
const struct log_branch *
replica_own_log(const struct replica *replica, const struct ident *compartment, uint8_t lane,
                struct descriptor *descriptor_out, struct hash *log_id_out)
{
    memcpy(descriptor_out->sign_pk, replica->identity.sign.public_key, SIGN_PK_BYTES);
    memcpy(descriptor_out->incarnation, replica->identity.incarnation, sizeof descriptor_out->incarnation);
    descriptor_out->compartment = *compartment;
    descriptor_out->lane = lane;
    descriptor_log_id(descriptor_out, log_id_out);
    return journal_log(replica->journal, log_id_out);
}

/* Seal a draft and hand it to the door. */
static enum err
write_entry(struct replica *replica, const struct draft *draft)
{
    const struct epoch_keys *keys = NULL;
    const struct roster_compartment *compartment = roster_compartment(replica->roster, &draft->compartment);
    struct entry entry = { .kind = draft->kind,
                           .lane = draft->lane,
                           .flags = (uint8_t)((draft->names_blobs ? ENTRY_NAMES_BLOBS : 0) |
                                              (draft->hints ? ENTRY_URGENT_HINT : 0)) };
    struct descriptor descriptor;
    struct hash log_id;
    struct buf sealed = { 0 };
    enum err err =
        keyring_current(replica->keyring, replica->roster, &draft->compartment, &keys, entry.epoch);

    if (err != ERR_OK) {
        return err;
    }
    const struct log_branch *branch =
        replica_own_log(replica, &draft->compartment, draft->lane, &descriptor, &log_id);
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
        struct intake_result result = intake_own(replica->intake, &descriptor, &log_id, &entry);

        switch (result.verdict) {
        case VERDICT_TAKEN:
            replica->own_entries++;
            err = replica_update_grown(replica);
            break;
        case VERDICT_LATER:
            err = result.later == LATER_FULL ? intake_error(replica->intake) : ERR_DENIED;
            err = err == ERR_OK ? ERR_FULL : err; /* refused for the room that it would take */
            break;
        default:
            /* The door refused what we wrote ourselves. */
            assert(result.verdict == VERDICT_TAKEN);
        }
    }
    buf_free(&sealed);
    return err;
}

enum err
replica_write_receipt(struct replica *replica, const struct change_receipt *receipt)
{
    struct change_receipt stamped = *receipt;
    struct buf payload = { 0 };

    stamped.hlc = next_stamp(replica);
    enum err err = change_encode_receipt(&stamped, &payload);
    if (err == ERR_OK) {
        err = write_entry(replica, &(struct draft){ .compartment = *roster_control(replica->roster),
                                                    .lane = LANE_CONTROL,
                                                    .kind = ENTRY_RECEIPT,
                                                    .payload = buf_span(&payload) });
    }
    buf_free(&payload);
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
    bool for_itself;
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

/* Take a statement in without an entry. The one that founds the organisation says what `control` is, and so what its key opens. */
static enum err
take_for_itself(struct replica *replica, const struct statement *statement, struct span signed_statement)
{
    const struct hash zero = { { 0 } };
    enum err err = ERR_OK;

    if (hash_equal(&statement->id, &replica->identity.org) && statement->type == STATEMENT_ORGANISATION) {
        const struct ident *control = &statement->organisation.control;

        err = keyring_add_key(replica->keyring, control, &zero, &replica->identity.control_key);
        intake_epoch_came(replica->intake, control, &zero);
    }
    intake_take_statement(replica->intake, signed_statement);
    return err;
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
        news->err = news->for_itself ? take_for_itself(news->replica, &statement, signed_statement)
                                     : replica_state(news->replica, signed_statement);
        news->count++;
        if (statement.type == STATEMENT_DEVICE) {
            struct hash device_id;

            device_id_of(statement.device.sign_pk, &device_id);
            boxing_brought(&news->replica->boxing, &device_id);
        }
    }
}

enum err
replica_import(struct replica *replica, struct span statements, size_t *count_out)
{
    /* Nobody knows this device here: its own certificate was lost with its page, and an entry of ours would count for nothing. */
    struct news news = { .replica = replica,
                         .for_itself = roster_device(replica->roster, &replica->identity.device_id) == NULL };

    if (!joining_each(statements, import_one, &news)) {
        return ERR_INVALID;
    }
    *count_out = news.count;
    return news.err;
}

/* --- epochs --- */

static bool
is_of_owner(const struct roster_compartment *compartment, const struct roster_device *device)
{
    return compartment->owner != NULL && device->office->house == compartment->owner->house;
}

/* The epochs of a compartment are made by the living devices with admin in it: those of the office it belongs to or, where that has none
 * left, anybody's. */
static bool
makes_epochs(const struct roster *roster, const struct roster_device *own,
             const struct roster_compartment *compartment)
{
    if (!policy_may(roster, own, OPERATION_EPOCH, &compartment->id)) {
        return false;
    }
    for (size_t n = 0; n < roster_device_count(roster) && !is_of_owner(compartment, own); n++) {
        const struct roster_device *device = roster_device_at(roster, n);

        if (is_of_owner(compartment, device) &&
            policy_may(roster, device, OPERATION_EPOCH, &compartment->id)) {
            return false;
        }
    }
    return true;
}

/* How many of those that make its epochs, as `own` does, have a lower id. */
static size_t
epoch_rank(const struct roster *roster, const struct roster_device *own,
           const struct roster_compartment *compartment)
{
    bool all = !is_of_owner(compartment, own);
    size_t rank = 0;

    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);

        rank += device->index < own->index && (all || is_of_owner(compartment, device)) &&
                policy_may(roster, device, OPERATION_EPOCH, &compartment->id);
    }
    return rank;
}

static const char epoch_row[] =
    "epoch-since:"; /* in meta: when an epoch was first seen here, u64 ms of our clock */

enum { EPOCH_ROW_BYTES = sizeof epoch_row - 1 + HASH_BYTES };

static void
epoch_row_key(const struct hash *epoch_id, uint8_t key[EPOCH_ROW_BYTES])
{
    memcpy(key, epoch_row, sizeof epoch_row - 1);
    memcpy(key + sizeof epoch_row - 1, epoch_id->bytes, HASH_BYTES);
}

uint64_t
replica_epoch_since(struct table_txn *txn, const struct hash *epoch_id)
{
    uint8_t key[EPOCH_ROW_BYTES];
    struct buf value = { 0 };
    uint64_t since = 0;

    epoch_row_key(epoch_id, key);
    if (table_read(txn, TABLE_META, span_of(key, sizeof key), &value) == ERR_OK && value.size == 8) {
        since = bytes_read_u64(value.data);
    }
    buf_free(&value);
    return since;
}

/* How long the epoch in force has been known here. */
static uint64_t
epoch_age_ms(struct replica *replica, const struct roster_epoch *epoch)
{
    uint64_t now = world_wall_ms(replica->world);
    uint64_t since = replica_epoch_since(replica->main_txn, &epoch->epoch_id);

    if (since == 0) {
        uint8_t key[EPOCH_ROW_BYTES];
        uint8_t now_bytes[8];

        epoch_row_key(&epoch->epoch_id, key);
        bytes_write_u64(now_bytes, now);
        table_put(replica->main_txn, TABLE_META, span_of(key, sizeof key),
                  span_of(now_bytes, sizeof now_bytes));
        since = now;
    }
    return now > since ? now - since : 0;
}

/* Of what belongs to no office any admin could make the first epoch, and a newcomer with admin has not heard yet that there is one. So
 * the admin that was certified first makes it; the next one waits a hold, the one after it two, and as long as it has not held the
 * same of `control` as somebody else one hold more. Where a person waits to write, nobody waits for others. */
static bool
first_epoch_is_due(struct replica *replica, const struct roster_device *own,
                   const struct roster_compartment *compartment)
{
    uint64_t now_ms = world_steady_ms(replica->world);
    uint64_t holds = 0;

    if (compartment->owner != NULL || ident_equal(&replica->epoch_wanted, &compartment->id)) {
        return true;
    }
    for (size_t n = 0; n < roster_device_count(replica->roster) && holds < BOXING_RANKS_MAX; n++) {
        const struct roster_device *device = roster_device_at(replica->roster, n);
        bool before =
            device->until < own->until || (device->until == own->until && device->index < own->index);

        holds += before && policy_may(replica->roster, device, OPERATION_EPOCH, &compartment->id) &&
                 !replica_is_out_of_date(replica, own, device);
    }
    if (holds == 0) {
        return true;
    }
    holds += replica->met_somebody ? 0 : 1;
    if (!replica->epoch_awaited) {
        replica->epoch_awaited = true;
        replica->epoch_awaited_ms = now_ms;
    }
    uint64_t due_ms = replica->epoch_awaited_ms + holds * BOXING_HOLD_MS;
    boxing_look_at(&replica->boxing, due_ms);
    return now_ms >= due_ms;
}

void
replica_want_epoch(struct replica *replica, const struct ident *compartment)
{
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    const struct roster_compartment *here = roster_compartment(replica->roster, compartment);

    if (here != NULL && here->current == NULL &&
        policy_may(replica->roster, own, OPERATION_EPOCH, compartment)) {
        replica->epoch_wanted = *compartment;
        replica->boxing.due_ms = 0;
    }
}

/* An epoch is made where none is in force: at first, by the office it belongs to; and when the last one was boxed for a device
 * that is revoked since, by any admin that hears of it, for nobody can write there until it is made. And when the one
 * in force is old. If two are made at once, both open what they sealed. */
static bool
should_make_epoch(struct replica *replica, const struct roster_device *own,
                  const struct roster_compartment *compartment)
{
    size_t epoch_count = 0;

    if (compartment->role == COMPARTMENT_CONTROL) {
        return false;
    }
    (void)roster_epochs_of(replica->roster, &compartment->id, &epoch_count);
    if (compartment->current == NULL && epoch_count > 0) {
        return policy_may(replica->roster, own, OPERATION_EPOCH, &compartment->id);
    }
    if (!makes_epochs(replica->roster, own, compartment)) {
        return false;
    }
    if (compartment->current == NULL) {
        return first_epoch_is_due(replica, own, compartment);
    }
    /* The others follow one by one, should the first not be there. */
    uint64_t age_ms = epoch_age_ms(replica, compartment->current);
    return age_ms >= EPOCH_MS_MAX &&
           age_ms >= EPOCH_MS_MAX + epoch_rank(replica->roster, own, compartment) * EPOCH_STAGGER_MS;
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

/* Looking for the boxes of one compartment that are this node's to make. */
struct box_look {
    struct replica *replica;
    const struct roster_device *own;
    const struct roster_compartment *compartment;
    const struct roster_device *
        *admins; /* who are counted on to make boxes there; NULL: not yet looked for */
    size_t admin_count;
};

/* An admin whose certificate ran out is not counted on: nobody talks to it. */
static void
find_admins(struct box_look *look)
{
    const struct roster *roster = look->replica->roster;
    size_t device_count = roster_device_count(roster);

    look->admins = calloc(device_count, sizeof *look->admins);
    for (size_t n = 0; n < device_count && look->admins != NULL; n++) {
        const struct roster_device *device = roster_device_at(roster, n);

        if (policy_may(roster, device, OPERATION_EPOCH, &look->compartment->id) &&
            !replica_is_out_of_date(look->replica, look->own, device)) {
            look->admins[look->admin_count++] = device;
        }
    }
}

static bool
box_is_ours(void *self, const struct roster_epoch *epoch, const struct roster_device *device)
{
    struct box_look *look = self;
    struct replica *replica = look->replica;

    if (look->admins == NULL) {
        find_admins(look);
    }
    return look->admins != NULL && boxing_is_our_turn(&replica->boxing, replica->roster, epoch,
                                                      &device->device_id, &look->own->device_id, look->admins,
                                                      look->admin_count, world_steady_ms(replica->world));
}

static void
make_boxes(struct replica *replica, const struct roster_device *own,
           const struct roster_compartment *compartment)
{
    struct box_look look = { .replica = replica, .own = own, .compartment = compartment };
    struct keyring_missing missing[MISSING_BOXES_SLICE];
    size_t count = keyring_missing(replica->keyring, replica->roster, &compartment->id, box_is_ours, &look,
                                   missing, MISSING_BOXES_SLICE);

    for (size_t n = 0; n < count; n++) {
        (void)make_box(replica, &missing[n]);
    }
    free(look.admins);
}

enum err
replica_rotate(struct replica *replica, const struct ident *compartment_id)
{
    const struct roster_compartment *compartment = roster_compartment(replica->roster, compartment_id);

    if (compartment == NULL || compartment->role == COMPARTMENT_CONTROL) {
        return ERR_ABSENT;
    }
    return make_epoch(replica, compartment_id);
}

/* --- record keys of others --- */

/* Does an entry count in the record, and one of our own? */
static void
who_wrote_in(struct replica *replica, uint32_t record_no, bool *anybody_out, bool *own_out)
{
    struct arena arena = { 0 };
    const struct record_place *places = NULL;
    size_t count = 0;

    *anybody_out = false;
    *own_out = false;

    if (record_history(replica->main_txn, record_no, &arena, &places, &count) == ERR_OK) {
        for (size_t n = 0; n < count && !*own_out; n++) {
            enum entry_state state;
            bool counts = journal_state(replica->journal, replica->main_txn, places[n].log_no, places[n].seq,
                                        &state) == ERR_OK &&
                          state == STATE_MERGED;

            *anybody_out = *anybody_out || counts;
            *own_out = counts && hash_equal(&journal_branch(replica->journal, places[n].log_no)->device_id,
                                            &replica->identity.device_id);
        }
    }
    arena_free(&arena);
}

/* Write the key of a record once more, as an entry of our own, which is the one remembered from now on. */
static enum err
bring_key(struct replica *replica, const struct ident *compartment, const struct record_key *record)
{
    struct change_key content = { .hlc = next_stamp(replica) };
    struct buf payload = { 0 };

    memcpy(content.record_key, record->key.bytes, KEY_BYTES);
    enum err err = change_encode_key(&content, &payload);
    if (err == ERR_OK) {
        err = write_entry(replica, &(struct draft){ .compartment = *compartment,
                                                    .lane = LANE_CONTROL,
                                                    .kind = ENTRY_KEY,
                                                    .record = record,
                                                    .payload = buf_span(&payload) });
    }
    if (err == ERR_OK) {
        struct record_key moved = *record;
        struct descriptor descriptor;
        struct hash log_id;
        const struct log_branch *own =
            replica_own_log(replica, compartment, LANE_CONTROL, &descriptor, &log_id);

        moved.log_no = own->log_no;
        moved.seq = own->next_seq - 1;
        intake_move_record_key(replica->intake, compartment, &moved);
        crypto_wipe(&moved, sizeof moved);
    }
    crypto_wipe(&content, sizeof content);
    buf_wipe(&payload);
    return err;
}

enum { BRINGERS = 3 };

/* The three devices of the lowest ids that may write keys there bring those of records that others wrote in and brought no key
 * for: one of them may be away, and one may be who did not. */
static bool
brings_for_others(const struct replica *replica, const struct roster_device *own,
                  const struct ident *compartment)
{
    const struct roster *roster = replica->roster;
    size_t before = 0;

    for (size_t n = 0; n < roster_device_count(roster); n++) {
        const struct roster_device *device = roster_device_at(roster, n);

        before += device->index < own->index && policy_may(roster, device, OPERATION_WRITE_KEY, compartment);
    }
    return before < BRINGERS;
}

/* The entry that brought the key of a record lies beyond a cut, and newcomers are not given it: who wrote in the record
 * brings the key again. */
static enum err
rekey(struct replica *replica, const struct roster_device *own, uint32_t record_no)
{
    struct ident compartment;
    struct ident record_id;
    struct record_key record;
    enum err err = ERR_OK;

    if (record_name(replica->main_txn, record_no, &compartment, &record_id) != ERR_OK ||
        !policy_may(replica->roster, own, OPERATION_WRITE_KEY, &compartment) ||
        keys_get_record(replica->keys_txn, &compartment, &record_id, &record) != ERR_OK) {
        return ERR_OK;
    }
    if (intake_key_is_orphan(replica->intake, &record)) {
        bool anybody;
        bool ourselves;

        who_wrote_in(replica, record_no, &anybody, &ourselves);
        if (ourselves || (anybody && brings_for_others(replica, own, &compartment))) {
            err = bring_key(replica, &compartment, &record);
        }
    }
    crypto_wipe(&record, sizeof record);
    return err;
}

static bool
rekey_records(struct replica *replica, const struct roster_device *own)
{
    uint32_t record_no;
    size_t done = 0;

    intake_rekeys_seen(replica->intake);
    for (; done < REKEY_SLICE && intake_next_rekey(replica->intake, &record_no); done++) {
        if (rekey(replica, own, record_no) != ERR_OK) {
            /* The epoch to write it under is on its way. */
            intake_rekey_later(replica->intake, record_no);
            break;
        }
    }
    return done > 0;
}

/* --- proofs of forks --- */

static uint32_t
fork_count(const struct replica *replica)
{
    uint32_t count = 0;

    for (uint32_t no = 1; no <= journal_branch_count(replica->journal); no++) {
        count += journal_branch(replica->journal, no)->parent != LOG_NONE;
    }
    return count;
}

/* One run of a log from `first` on, as far as the next kept signature on the way to a branch's head. */
struct fork_run {
    uint8_t headers[RUN_ENTRIES_MAX * HEADER_BYTES];
    size_t count;
    uint8_t signature[SIGNATURE_BYTES];
    struct hash first_id;
};

static bool
read_fork_run(struct replica *replica, uint32_t log_no, uint64_t first, struct fork_run *out)
{
    uint64_t last;

    if (journal_signature_after(replica->journal, replica->main_txn, log_no, first, &last, out->signature) !=
            ERR_OK ||
        last - first >= RUN_ENTRIES_MAX) {
        return false;
    }
    out->count = (size_t)(last - first + 1);
    for (size_t n = 0; n < out->count; n++) {
        struct journal_entry stored;

        if (journal_read(replica->journal, replica->main_txn, log_no, first + n, &stored) != ERR_OK) {
            return false;
        }
        entry_header_write(out->headers + n * HEADER_BYTES, &stored.entry);
        if (n == 0) {
            out->first_id = stored.entry.id;
        }
    }
    return true;
}

/* True if somebody has proved already that these two entries have one prev. */
static bool
is_proved(const struct roster *roster, const struct hash *log_id, const struct hash *one,
          const struct hash *other)
{
    for (size_t n = 0; n < roster_fork_count(roster); n++) {
        const struct roster_fork *fork = roster_fork_at(roster, n);

        if (hash_equal(&fork->log_id, log_id) &&
            ((hash_equal(&fork->branch[0], one) && hash_equal(&fork->branch[1], other)) ||
             (hash_equal(&fork->branch[0], other) && hash_equal(&fork->branch[1], one)))) {
            return true;
        }
    }
    return false;
}

/* Prove to everybody that the author of a branch signed two entries with one prev. */
static void
prove_fork(struct replica *replica, const struct log_branch *branch)
{
    struct fork_run *runs = calloc(2, sizeof *runs);
    struct buf statement = { 0 };

    if (runs != NULL && read_fork_run(replica, branch->parent, branch->branch_first, &runs[0]) &&
        read_fork_run(replica, branch->log_no, branch->branch_first, &runs[1]) &&
        !is_proved(replica->roster, &branch->log_id, &runs[0].first_id, &runs[1].first_id) &&
        statement_fork_make(&statement, roster_org(replica->roster), &branch->descriptor,
                            (const struct fork_branch[2]){
                                { runs[0].headers, runs[0].count, runs[0].signature },
                                { runs[1].headers, runs[1].count, runs[1].signature },
                            },
                            NULL) == ERR_OK &&
        replica_state(replica, buf_span(&statement)) == ERR_OK) {
        log_event("fork-proved", "device=%s log=%s seq=%llu", hash_short(&branch->device_id).text,
                  hash_short(&branch->log_id).text, (unsigned long long)branch->branch_first);
    }
    buf_free(&statement);
    free(runs);
}

/* Everybody who holds both branches could prove a fork: one after the other they look whether it was done. */
static void
prove_forks(struct replica *replica, const struct roster_device *own)
{
    uint32_t count = fork_count(replica);
    uint64_t now_ms = world_steady_ms(replica->world);

    if (count == replica->forks_proved) {
        return;
    }
    if (count != replica->forks_seen) {
        replica->forks_seen = count;
        replica->forks_due_ms =
            now_ms +
            (uint64_t)(own->index < FORK_STAGGERS_MAX ? own->index : FORK_STAGGERS_MAX) * FORK_STAGGER_MS;
    }
    if (now_ms < replica->forks_due_ms) {
        return;
    }
    for (uint32_t no = 1; no <= journal_branch_count(replica->journal); no++) {
        const struct log_branch *branch = journal_branch(replica->journal, no);

        if (branch->parent != LOG_NONE && branch->next_seq > branch->branch_first) {
            prove_fork(replica, branch);
        }
    }
    replica->forks_proved = count;
}

/* --- what is due without a message --- */

bool
replica_tend_is_due(const struct replica *replica)
{
    uint64_t wall_ms = world_wall_ms(replica->world);

    return (fork_count(replica) != replica->forks_proved &&
            (fork_count(replica) != replica->forks_seen ||
             world_steady_ms(replica->world) >= replica->forks_due_ms)) ||
           wall_ms / EPOCH_LOOK_MS != replica->epochs_looked ||
           world_steady_ms(replica->world) >= replica->boxing.due_ms || erase_wants_turn(replica->erase) ||
           replica->sweep_due || intake_rekeys_came(replica->intake);
}

bool
replica_tend(struct replica *replica)
{
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    uint64_t before = replica->own_entries;
    bool worked = intake_work(replica->intake, WORK_SLICE) > 0;

    worked = replica_tend_erasures(replica) || worked;
    /* Once after opening: this program may know what the one before it could not read. */
    if (!replica->took_up) {
        intake_retry_all(replica->intake);
        replica_adopt_blobs(replica);
        replica->took_up = true;
    }
    if (!worked) {
        (void)replica_sweep_unnamed(replica);
    }
    replica->epochs_looked = world_wall_ms(replica->world) / EPOCH_LOOK_MS;
    boxing_begin(&replica->boxing);
    for (size_t n = 0; own != NULL && n < roster_compartment_count(replica->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(replica->roster, n);

        if (should_make_epoch(replica, own, compartment)) {
            (void)make_epoch(replica, &compartment->id);
        } else {
            make_boxes(replica, own, compartment);
        }
    }
    boxing_end(&replica->boxing, replica->roster);
    if (own == NULL) {
        return worked;
    }
    worked = rekey_records(replica, own) || worked;
    prove_forks(replica, own);
    return worked || replica->own_entries != before;
}

/* --- a person's edits --- */

enum { OPEN_HALF, PROTECTED_HALF, HALVES };

static const char heir_context[] = "vigil.hei.v1";

/* Where change_encode looks for the tags of our own earlier entries. */
struct own_place {
    struct replica *replica;
    uint32_t log_no;
};

/* What is urgent is small: who somebody is stays behind, so that a thin link carries the case ahead of everything else. */
static uint8_t
lane_of(const struct save *save, int half)
{
    return save->urgent && half == OPEN_HALF ? LANE_URGENT : LANE_NORMAL;
}

/* One of the two entries that a save may write. */
struct half_save {
    const struct roster_compartment *compartment; /* NULL: this record has no such half */
    struct record_key record;
    uint32_t record_no; /* 0: nothing of it is here yet */
    struct op *ops;
    size_t op_count;
    size_t op_capacity;
    bool names_blobs;
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

/* The key of an heir, and what is here of it already. */
static enum err
prepare_heir(struct replica *replica, const struct save *save, struct half_save *open)
{
    const struct ident *compartment = &open->compartment->id;
    struct record_key key;
    enum err err = intake_record_key(replica->intake, compartment, save->heir_of, &key);

    if (err == ERR_OK) {
        const struct span parts[] = { span_of(key.key.bytes, KEY_BYTES), save->heir_mark };

        crypto_derive(&open->record.key, heir_context, parts, sizeof parts / sizeof parts[0]);
        record_key_id(&open->record.record_id, &open->record.key);
        err = record_find(replica->main_txn, compartment, &open->record.record_id, &open->record_no);
        if (err == ERR_OK) {
            err = intake_record_key(replica->intake, compartment, &open->record.record_id, &open->record);
            err = err == ERR_ABSENT ? ERR_LOCKED : err;
        } else if (err == ERR_ABSENT) {
            err = ERR_OK;
        }
    }
    crypto_wipe(&key, sizeof key);
    return err;
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
    if (open->current == NULL) {
        replica_want_epoch(replica, &open->id);
        return ERR_LOCKED;
    }
    halves[OPEN_HALF].compartment = open;
    if (open->twin != NULL && policy_may(replica->roster, own, OPERATION_WRITE_DATA, &open->twin->id)) {
        halves[PROTECTED_HALF].compartment = open->twin;
    }
    if (save->create && save->heir_of != NULL) {
        halves[PROTECTED_HALF].compartment = NULL;
        return prepare_heir(replica, save, &halves[OPEN_HALF]);
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
        /* A key alone is no record: it may be left of a turn that did not happen, and nobody else has it. */
        if (known != ERR_OK && (known != ERR_ABSENT || half == OPEN_HALF)) {
            return known;
        }
        enum err err =
            intake_record_key(replica->intake, &at->compartment->id, &save->record_id, &at->record);
        if (err == ERR_ABSENT && half == PROTECTED_HALF) {
            at->compartment = NULL; /* made by somebody who had no write there */
        } else if (err != ERR_OK) {
            return err == ERR_ABSENT && known == ERR_OK ? ERR_LOCKED : err;
        }
    }
    return ERR_OK;
}

/* Draw the keys of a new record, unless it is an heir, and send them first, each in lane 0 of its compartment. */
static enum err
create_record(struct replica *replica, const struct save *save, struct half_save halves[HALVES])
{
    struct record_key *open = &halves[OPEN_HALF].record;
    struct record_key *protected = &halves[PROTECTED_HALF].record;
    enum err err = ERR_OK;

    if (halves[PROTECTED_HALF].compartment != NULL) {
        world_random(replica->world, protected->key.bytes, KEY_BYTES);
        record_key_case(&open->key, &protected->key);
    } else if (save->heir_of == NULL) {
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

/* Room for one more op: NULL: there are as many as an entry may have, or no memory. */
static struct op *
add_op(struct half_save *half, struct arena *arena)
{
    if (half->op_count == CHANGE_OPS_MAX) {
        return NULL;
    }
    if (half->op_count == half->op_capacity) {
        size_t capacity = half->op_capacity == 0 ? 16 : half->op_capacity * 2;
        struct op *grown = arena_take_array(arena, capacity, sizeof *grown);

        if (grown == NULL) {
            return NULL;
        }
        if (half->op_count > 0) {
            memcpy(grown, half->ops, half->op_count * sizeof *grown);
        }
        half->ops = grown;
        half->op_capacity = capacity;
    }
    return &half->ops[half->op_count++];
}

/* Turn one op of a person into ops that name what it replaces: what is live there now. A set names the values of its
 * field, but in a union nothing is replaced unless it is resolved; a removal names the whole element. An op names a
 * limited number: more are named by further ops that say the same. */
static enum err
draft_op(struct replica *replica, const struct save_op *from, struct half_save *half, struct arena *arena)
{
    enum { NAMES_MAX = CHANGE_PREDS_MAX * 64 };
    const struct codebook *codebook = replica_codebook(replica);
    const struct codebook_field *field = cell_field(codebook, &from->target);
    struct dot few[CHANGE_PREDS_MAX];
    struct dot *dots = few;
    size_t count = 0;
    bool conflict = false;

    if (half->record_no != 0 && (field == NULL || field->policy != MERGE_UNION || from->resolve)) {
        bool whole = from->code == OP_REMOVE;
        enum err err = record_dots_read(replica->main_txn, codebook, half->record_no, &from->target, whole,
                                        few, CHANGE_PREDS_MAX, &count, &conflict);

        if (err == ERR_OK && count > CHANGE_PREDS_MAX) {
            dots = arena_take_array(arena, NAMES_MAX, sizeof *dots);
            err = dots == NULL || count > NAMES_MAX
                      ? ERR_FULL
                      : record_dots_read(replica->main_txn, codebook, half->record_no, &from->target, whole,
                                         dots, NAMES_MAX, &count, &conflict);
        } else if (err == ERR_OK) {
            dots = arena_take_array(arena, count, sizeof *dots);
            err = dots == NULL ? ERR_MEMORY : ERR_OK;
            if (err == ERR_OK && count > 0) {
                memcpy(dots, few, count * sizeof *dots);
            }
        }
        if (err != ERR_OK) {
            return err;
        }
    }
    if (conflict && from->code == OP_SET && !from->resolve) {
        return ERR_CONFLICT;
    }
    if (from->code == OP_REMOVE && count == 0) {
        return ERR_ABSENT;
    }
    for (size_t named = 0; named == 0 || named < count; named += CHANGE_PREDS_MAX) {
        struct op *op = add_op(half, arena);

        if (op == NULL) {
            return arena->failed ? ERR_MEMORY : ERR_FULL;
        }
        *op =
            (struct op){ .code = from->code,
                         .target = from->target,
                         .value = from->value,
                         .preds = dots + named,
                         .pred_count = count - named < CHANGE_PREDS_MAX ? count - named : CHANGE_PREDS_MAX };
    }
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
encode_half(struct replica *replica, const struct save *save, struct half_save *half, uint8_t lane,
            uint64_t stamp, const struct ident *tx)
{
    struct descriptor descriptor;
    struct change_log log = { .tag_of = own_tag };
    const struct log_branch *branch =
        replica_own_log(replica, &half->compartment->id, lane, &descriptor, &log.log_id);
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
    half->names_blobs = shelf_names_blobs(replica_codebook(replica), &change);
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
    if (both) {
        world_random(replica->world, tx.bytes, IDENT_BYTES);
    }
    for (int half = 0; half < HALVES; half++) {
        if (halves[half].op_count > 0) {
            enum err err =
                encode_half(replica, save, &halves[half], lane_of(save, half), stamp, both ? &tx : NULL);
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
    bool create = save->create && halves[OPEN_HALF].record_no == 0;

    assert(replica->in_turn);
    bool narrow = intake_narrow(replica->intake, replica->narrow && !save->although_full);
    err = err == ERR_OK && replica->narrow && !save->although_full ? ERR_FULL : err;
    *op_out = save->op_count;
    /* Preds are read from the tables, which are behind what this turn merged. */
    for (int half = 0; half < HALVES && err == ERR_OK; half++) {
        if (halves[half].record_no == 0) {
            continue;
        }
        if (intake_is_stale(replica->main_txn, halves[half].record_no)) {
            err = intake_freshen(replica->intake, halves[half].record_no);
        } else if (intake_touched(replica->intake, halves[half].record_no)) {
            err = intake_bring_up_to_date(replica->intake);
        }
    }
    bool restricted = false;
    if (err == ERR_OK && !create) {
        err = record_is_restricted(replica->main_txn, halves[OPEN_HALF].record_no, &restricted);
        err = err == ERR_ABSENT ? ERR_OK : err; /* nothing was merged yet */
    }
    if (err == ERR_OK && restricted) {
        for (size_t n = 0; n < save->op_count && err == ERR_OK; n++) {
            *op_out = n;
            err = save->ops[n].target.collection == COLLECTION_RESTRICTION ? ERR_OK : ERR_DENIED;
        }
    }
    if (err == ERR_OK) {
        err = draft_save(replica, save, halves, &arena, op_out);
    }
    if (err == ERR_OK && create) {
        err = create_record(replica, save, halves);
    }
    for (int half = 0; half < HALVES && err == ERR_OK && !create; half++) {
        if (halves[half].op_count > 0 && intake_key_is_orphan(replica->intake, &halves[half].record)) {
            err = bring_key(replica, &halves[half].compartment->id, &halves[half].record);
        }
    }
    for (int half = 0; half < HALVES && err == ERR_OK; half++) {
        if (halves[half].op_count > 0) {
            err =
                write_entry(replica, &(struct draft){ .compartment = halves[half].compartment->id,
                                                      .lane = lane_of(save, half),
                                                      .kind = ENTRY_DATA,
                                                      .names_blobs = halves[half].names_blobs,
                                                      .hints = !create && lane_of(save, half) == LANE_URGENT,
                                                      .record = &halves[half].record,
                                                      .payload = buf_span(&halves[half].payload) });
        }
    }
    (void)intake_narrow(replica->intake, narrow);
    saved_out->record_id = halves[OPEN_HALF].record.record_id;
    saved_out->place = journal_place_last(replica->journal);
    for (int half = 0; half < HALVES; half++) {
        crypto_wipe(&halves[half].record, sizeof halves[half].record);
        buf_wipe(&halves[half].payload);
    }
    arena_free(&arena);
    return err;
}
