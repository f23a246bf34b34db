#include "sync/replica_state.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"

#include <assert.h>

enum {
    SCAN_SLICE = 4096,            /* entries a turn */
    COMPACT_RETRY_MS = 60 * 1000, /* when there was no room */
};

/* --- a full disk --- */

void
replica_use_reserve(struct replica *replica)
{
    if (!replica->reserve_held || table_env_room(replica->main_env) >= replica->reserve_bytes / 2) {
        return;
    }
    replica->reserve_held = false;
    if (reserve_release(replica->directory)) {
        log_event("reserve-released", "bytes=%llu", (unsigned long long)replica->reserve_bytes);
    }
}

void
replica_renew_reserve(struct replica *replica)
{
    if (replica->reserve_held || replica->reserve_bytes == 0 ||
        table_env_room(replica->main_env) < 2 * replica->reserve_bytes) {
        return;
    }
    replica->reserve_held =
        reserve_make(replica->directory, replica->reserve_bytes, replica->world) == ERR_OK;
}

/* --- what is left to do --- */

bool
replica_tend_erasures(struct replica *replica)
{
    struct change_receipt receipt;

    if (!erase_wants_turn(replica->erase)) {
        return false;
    }
    enum err err = erase_follow(replica->erase, replica->intake, replica->main_txn, replica->keys_txn);
    bool worked = erase_is_scanning(replica->erase);
    if (err == ERR_OK) {
        err = erase_scan(replica->erase, replica->intake, replica->main_txn, replica->keys_txn, SCAN_SLICE);
    }
    if (err != ERR_OK) {
        /* What memory has counted is ahead of the rows. */
        replica->behind = err;
        return false;
    }
    if (erase_owes_receipt(replica->erase, replica->main_txn, &receipt)) {
        err = replica_write_receipt(replica, &receipt);
        log_event("erasure-receipt", "order=%s stage=%u err=%s", ident_short(&receipt.order).text,
                  (unsigned)receipt.stage, err_code(err));
        worked = worked || err == ERR_OK;
    }
    return worked;
}

static enum err
follow_slice(struct replica *replica)
{
    enum err err = replica_begin(replica);

    if (err != ERR_OK) {
        return err;
    }
    err = replica->narrow
              ? ERR_FULL
              : erase_follow(replica->erase, replica->intake, replica->main_txn, replica->keys_txn);
    if (err == ERR_OK) {
        err = erase_scan(replica->erase, replica->intake, replica->main_txn, replica->keys_txn, SCAN_SLICE);
    }
    if (err != ERR_OK) {
        enum err after = replica_abort(replica);
        return after == ERR_OK ? err : after;
    }
    return replica_commit(replica);
}

enum err
replica_follow_erasures(struct replica *replica)
{
    enum err err;

    do {
        err = follow_slice(replica);
    } while (err == ERR_OK && erase_is_scanning(replica->erase));
    return err;
}

/* --- orders --- */

enum { HALVES_MAX = 2 };

/* What an order would name: ascending by (compartment, key). */
struct order_keys {
    struct statement_erase keys[HALVES_MAX];
    size_t count;
};

/* The key of one half, if there is one. */
static enum err
add_half(struct replica *replica, const struct ident *compartment, const struct ident *record_id,
         struct order_keys *out)
{
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    struct record_key record;
    uint32_t record_no;
    enum err known = record_find(replica->main_txn, compartment, record_id, &record_no);
    enum err err = keys_get_record(replica->keys_txn, compartment, record_id, &record);

    if (err != ERR_OK) {
        crypto_wipe(&record, sizeof record);
        return err == ERR_ABSENT && known == ERR_OK ? ERR_LOCKED : err;
    }
    struct statement_erase item = { .compartment = *compartment };
    record_key_erase(&item.erase_key, &record.key);
    crypto_wipe(&record, sizeof record);
    if (roster_level(replica->roster, own, compartment) < LEVEL_ADMIN) {
        return ERR_DENIED;
    }
    out->keys[out->count] = item;
    if (out->count > 0 && ident_compare(&out->keys[0].compartment, compartment) > 0) {
        out->keys[out->count] = out->keys[0];
        out->keys[0] = item;
    }
    out->count++;
    return ERR_OK;
}

static enum err
gather_keys(struct replica *replica, const struct ident *compartment, const struct ident *record_id,
            struct order_keys *out)
{
    const struct roster_device *own = roster_device(replica->roster, &replica->identity.device_id);
    const struct roster_compartment *open = roster_compartment(replica->roster, compartment);

    out->count = 0;
    if (open == NULL || own == NULL || open->role == COMPARTMENT_PROTECTED) {
        return ERR_ABSENT;
    }
    enum err err = add_half(replica, &open->id, record_id, out);
    if (err != ERR_OK || open->twin == NULL) {
        return err;
    }
    /* Who may not read the other half cannot know whether there is one, nor name it. */
    if (!policy_may(replica->roster, own, OPERATION_READ, &open->twin->id)) {
        return ERR_DENIED;
    }
    err = add_half(replica, &open->twin->id, record_id, out);
    return err == ERR_ABSENT ? ERR_OK : err;
}

static bool
names_just(const struct roster_erasure *erasure, const struct order_keys *keys)
{
    bool same = erasure->keys.count == keys->count;

    for (size_t n = 0; same && n < keys->count; n++) {
        struct statement_erase item = statement_erase_at(&erasure->keys, n);

        same = ident_equal(&item.compartment, &keys->keys[n].compartment) &&
               crypto_equal(item.erase_key.bytes, keys->keys[n].erase_key.bytes, KEY_BYTES);
    }
    return same;
}

static bool
has_signed(const struct replica *replica, const struct roster_erasure *erasure)
{
    for (size_t n = 0; n < erasure->signer_count; n++) {
        if (hash_equal(&erasure->signers[n], &replica->identity.device_id)) {
            return true;
        }
    }
    return false;
}

/* The order for just these that waits. Two that were given apart may: then one that lacks our signature. */
static const struct roster_erasure *
order_for(const struct replica *replica, const struct order_keys *keys)
{
    const struct roster_erasure *signed_by_us = NULL;

    for (size_t n = 0; n < roster_erasure_count(replica->roster); n++) {
        const struct roster_erasure *erasure = roster_erasure_at(replica->roster, n);

        if (erasure->stands || !names_just(erasure, keys)) {
            continue;
        }
        if (!has_signed(replica, erasure)) {
            return erasure;
        }
        signed_by_us = signed_by_us == NULL ? erasure : signed_by_us;
    }
    return signed_by_us;
}

/* Our signature beside the one that is there: the same statement, so copies unite. */
static enum err
sign_again(struct replica *replica, const struct hash *stmt_id)
{
    const struct key_pair *const signers[] = { &replica->identity.sign };
    struct statement statement;
    struct buf known = { 0 };
    struct buf again = { 0 };
    struct hash id;

    enum err err = ERR_ABSENT;
    if (roster_write(replica->roster, stmt_id, &known) && !known.failed &&
        statement_read(buf_span(&known), &statement)) {
        err = statement_sign(&again, &statement, signers, 1, &id);
        assert(err != ERR_OK || hash_equal(&id, stmt_id));
    }
    if (err == ERR_OK) {
        err = replica_state(replica, buf_span(&again));
    }
    buf_free(&known);
    buf_free(&again);
    return err;
}

static enum err
sign_new(struct replica *replica, const struct order_keys *keys, const struct ident *order)
{
    const struct key_pair *const signers[] = { &replica->identity.sign };
    struct statement statement = { .type = STATEMENT_ERASE, .org = replica->identity.org };
    struct buf items = { 0 };
    struct buf signed_statement = { 0 };

    for (size_t n = 0; n < keys->count; n++) {
        statement_put_erase(&items, &keys->keys[n].compartment, &keys->keys[n].erase_key);
    }
    world_random(replica->world, statement.random, sizeof statement.random);
    statement.erase.order = *order;
    statement.erase.keys = statement_list_of(&items, keys->count);
    enum err err =
        items.failed ? ERR_MEMORY : statement_sign(&signed_statement, &statement, signers, 1, NULL);
    if (err == ERR_OK) {
        err = replica_state(replica, buf_span(&signed_statement));
    }
    buf_wipe(&items);
    buf_wipe(&signed_statement);
    return err;
}

/* Hide the record until the order stands. */
static enum err
restrict_record(struct replica *replica, const struct ident *compartment, const struct ident *record_id,
                uint32_t reason, uint32_t actor)
{
    const struct codebook_field *field =
        codebook_field_by_name(replica_codebook(replica), 1, "restriction.reason");
    struct target element = { .collection = COLLECTION_RESTRICTION };
    struct target target;
    struct buf value = { 0 };
    struct saved saved;
    size_t op;

    world_random(replica->world, element.element, sizeof element.element);
    target = element;
    target.field = field == NULL ? 0 : field->number;
    cbor_put_uint(&value, reason);
    if (value.failed) {
        return ERR_MEMORY;
    }
    const struct save_op ops[] = { { .code = OP_ADD, .target = element },
                                   { .code = OP_SET, .target = target, .value = buf_span(&value) } };
    struct save save = { .compartment = *compartment,
                         .record_id = *record_id,
                         .urgent = true,
                         .although_full = true,
                         .actor = actor,
                         .ops = ops,
                         .op_count = field == NULL ? 1 : 2 };
    enum err err = replica_save(replica, &save, &saved, &op);
    buf_free(&value);
    return err;
}

bool
replica_is_restricted(struct replica *replica, const struct ident *compartment_id,
                      const struct ident *record_id)
{
    const struct roster_compartment *compartment = roster_compartment(replica->roster, compartment_id);
    uint32_t record_no;
    bool restricted = false;

    /* The restriction stands in the case half. */
    if (compartment != NULL && compartment->role == COMPARTMENT_PROTECTED && compartment->twin != NULL) {
        compartment_id = &compartment->twin->id;
    }
    if (record_find(replica->main_txn, compartment_id, record_id, &record_no) != ERR_OK) {
        return false;
    }
    if (replica->in_turn && intake_touched(replica->intake, record_no) &&
        intake_bring_up_to_date(replica->intake) != ERR_OK) {
        return false; /* the turn is given up */
    }
    return record_is_restricted(replica->main_txn, record_no, &restricted) == ERR_OK && restricted;
}

enum err
replica_plan_erasure(struct replica *replica, const struct ident *compartment, const struct ident *record_id,
                     struct replica_plan *plan_out)
{
    struct order_keys keys;
    enum err err = gather_keys(replica, compartment, record_id, &keys);

    *plan_out = (struct replica_plan){ .needed = roster_erasure_signatures(replica->roster) };
    if (err == ERR_OK) {
        plan_out->waiting = order_for(replica, &keys);
        plan_out->compartment_count = keys.count;
        for (size_t n = 0; n < keys.count; n++) {
            plan_out->compartments[n] = keys.keys[n].compartment;
        }
        if (plan_out->waiting != NULL && has_signed(replica, plan_out->waiting)) {
            err = ERR_EXISTS;
        }
    }
    crypto_wipe(&keys, sizeof keys);
    return err;
}

struct ordered {
    struct replica *replica;
    const struct statement_list *keys;
    struct ident *compartment;
    struct ident *record_id;
    bool found;
};

static void
match_ordered(void *self, const struct ident *compartment_id, const struct record_key *record)
{
    struct ordered *ordered = self;
    struct key erase_key;
    bool derived = false;

    for (size_t n = 0; n < ordered->keys->count && !ordered->found; n++) {
        struct statement_erase item = statement_erase_at(ordered->keys, n);

        if (!ident_equal(&item.compartment, compartment_id)) {
            continue;
        }
        if (!derived) {
            record_key_erase(&erase_key, &record->key);
            derived = true;
        }
        if (crypto_equal(item.erase_key.bytes, erase_key.bytes, KEY_BYTES)) {
            const struct roster_compartment *compartment =
                roster_compartment(ordered->replica->roster, compartment_id);

            ordered->found = true;
            *ordered->record_id = record->record_id;
            *ordered->compartment =
                compartment != NULL && compartment->role == COMPARTMENT_PROTECTED && compartment->twin != NULL
                    ? compartment->twin->id
                    : *compartment_id;
        }
    }
    crypto_wipe(&erase_key, sizeof erase_key);
}

bool
replica_find_ordered(struct replica *replica, const struct statement_list *keys,
                     struct ident *compartment_out, struct ident *record_id_out)
{
    struct ordered ordered = { replica, keys, compartment_out, record_id_out, false };

    keys_each_record(replica->keys_txn, match_ordered, &ordered);
    return ordered.found;
}

enum err
replica_order_erasure(struct replica *replica, const struct ident *compartment, const struct ident *record_id,
                      uint32_t reason, uint32_t actor, struct replica_order *out)
{
    struct order_keys keys;

    assert(replica->in_turn);
    *out = (struct replica_order){ .needed = roster_erasure_signatures(replica->roster) };
    enum err err = gather_keys(replica, compartment, record_id, &keys);
    if (err != ERR_OK) {
        crypto_wipe(&keys, sizeof keys);
        return err;
    }
    const struct roster_erasure *waiting = order_for(replica, &keys);
    if (waiting != NULL) {
        out->order = waiting->order;
        out->second = true;
        if (has_signed(replica, waiting)) {
            err = ERR_EXISTS;
        }
    } else {
        world_random(replica->world, out->order.bytes, IDENT_BYTES);
    }
    /* On a full disk this is what there is room for. */
    bool narrow = intake_narrow(replica->intake, false);
    if (err == ERR_OK && out->needed > 1 && !replica_is_restricted(replica, compartment, record_id)) {
        err = restrict_record(replica, compartment, record_id, reason, actor);
    }
    if (err == ERR_OK) {
        err =
            waiting != NULL ? sign_again(replica, &waiting->stmt_id) : sign_new(replica, &keys, &out->order);
    }
    (void)intake_narrow(replica->intake, narrow);
    crypto_wipe(&keys, sizeof keys);
    return err;
}

const struct erase *
replica_erase(const struct replica *replica)
{
    return replica->erase;
}

/* --- nothing readable in free pages --- */

bool
replica_compact_is_due(const struct replica *replica)
{
    return !replica->in_turn && replica->readers == 0 && erase_wants_compaction(replica->erase) &&
           world_steady_ms(replica->world) >= replica->compact_ms;
}

void
replica_search_key(const struct replica *replica, struct key *key_out)
{
    const struct span wrapping = span_of(replica->wrap.key.bytes, KEY_BYTES);

    crypto_derive(key_out, "vigil.fts.key.v1", &wrapping, 1);
}

uint64_t
replica_compact_bytes(struct replica *replica)
{
    return erase_wants_compaction(replica->erase) ? replica->compact_bytes : 0;
}

/* Copy all keys into an environment of its own. */
static enum err
copy_keys(struct replica *replica, struct table_env *to_env)
{
    struct table_txn *from = NULL;
    struct table_txn *to = NULL;
    enum err err = table_begin_read(replica->keys_env, &from);

    if (err == ERR_OK) {
        err = table_begin_write_reserved(to_env, &to);
    }
    if (err == ERR_OK) {
        uint64_t damaged = keys_copy(from, to);

        if (damaged > 0) {
            log_event("keys-left-behind", "damaged=%llu", (unsigned long long)damaged);
        }
        err = table_error(from);
    }
    if (err == ERR_OK) {
        err = table_commit(&to);
    }
    table_abort(&to);
    table_abort(&from);
    return err;
}

/* Make the environment of the next generation, whole and durable. A map that is too small is tried again, larger. */
static enum err
write_keys(struct replica *replica, const struct wrap *next, struct table_env **env_out)
{
    for (;;) {
        struct table_stat stat = { .full = false };
        enum err err = replica_open_keys(replica, next, env_out);

        if (err == ERR_OK) {
            err = copy_keys(replica, *env_out);
            if (err == ERR_OK) {
                return ERR_OK;
            }
            table_env_stat(*env_out, &stat);
        }
        table_env_close(env_out);
        enum err cleared = wrap_clear(replica->directory, replica->wrap.generation);
        if (err != ERR_FULL || !stat.full || cleared != ERR_OK) {
            return err;
        }
        replica->keys_map_bytes = (size_t)stat.map_bytes * 2;
    }
}

/* Rewrite keys/ whole under a key that nothing which was deleted was ever sealed with. */
static enum err
rewrite_keys(struct replica *replica)
{
    struct wrap next = { .generation = replica->wrap.generation + 1 };
    struct table_env *env = NULL;
    enum err err = wrap_clear(replica->directory, replica->wrap.generation);

    world_random(replica->world, next.key.bytes, KEY_BYTES);
    if (err == ERR_OK) {
        err = write_keys(replica, &next, &env);
    }
    if (err == ERR_OK) {
        err = wrap_write(replica->directory, &replica->storage_key, &next, replica->world);
        if (err == ERR_OK) {
            table_env_close(&replica->keys_env);
            replica->keys_env = env;
            replica->wrap = next;
        } else {
            table_env_close(&env);
        }
        if (err == ERR_IO) {
            /* Nobody knows which of the two a crash would leave: nothing more is written into either. */
            table_env_close(&replica->keys_env);
            crypto_wipe(&next, sizeof next);
            return err;
        }
    }
    crypto_wipe(&next, sizeof next);
    enum err cleared = wrap_clear(replica->directory, replica->wrap.generation);
    return err == ERR_OK ? cleared : err;
}

static enum err
rewrite(struct replica *replica)
{
    uint64_t destroyed = erase_destroyed(replica->erase);

    if (!replica->keys_rewritten || replica->keys_rewritten_at != destroyed) {
        enum err err = rewrite_keys(replica);

        replica->keys_rewritten = err == ERR_OK;
        replica->keys_rewritten_at = destroyed;
        if (err != ERR_OK) {
            return err;
        }
    }
    return table_env_compact(replica->main_env);
}

/* Files that nothing names any more go first: they are the most room, and no receipt is written while one is here. */
static enum err
remove_doomed(struct replica *replica)
{
    if (!replica->sweep_due) {
        return ERR_OK;
    }
    enum err err = replica_begin(replica);
    if (err == ERR_OK) {
        err = replica_commit(replica);
    }
    return err == ERR_OK && replica->sweep_due ? ERR_BUSY : err;
}

enum err
replica_compact(struct replica *replica)
{
    struct table_stat keys_stat;
    struct table_stat main_stat;

    assert(!replica->in_turn && replica->readers == 0);
    if (replica->main_env == NULL || replica->keys_env == NULL) {
        return ERR_IO;
    }
    enum err err = remove_doomed(replica);
    if (err != ERR_OK) {
        replica->compact_ms = world_steady_ms(replica->world) + COMPACT_RETRY_MS;
        return err;
    }
    err = rewrite(replica);
    if (err == ERR_OK) {
        err = replica_begin(replica);
        if (err == ERR_OK) {
            erase_compacted(replica->erase, replica->main_txn);
            err = replica_commit(replica);
        }
    }
    replica->compact_bytes = 0;
    if (err != ERR_OK) {
        replica->compact_ms = world_steady_ms(replica->world) + COMPACT_RETRY_MS;
    }
    if (err == ERR_FULL) {
        table_env_stat(replica->keys_env, &keys_stat);
        table_env_stat(replica->main_env, &main_stat);
        replica->compact_bytes = keys_stat.compact_bytes + main_stat.compact_bytes;
    }
    if (err != ERR_OK && err != ERR_IO) {
        erase_compaction_waits(replica->erase);
    }
    log_event("compacted", "err=%s needs=%llu", err_code(err), (unsigned long long)replica->compact_bytes);
    return err;
}
