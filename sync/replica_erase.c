#include "sync/replica_state.h"

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

/* --- nothing readable in free pages --- */

bool
replica_compact_is_due(const struct replica *replica)
{
    return !replica->in_turn && replica->readers == 0 && erase_wants_compaction(replica->erase) &&
           world_steady_ms(replica->world) >= replica->compact_ms;
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

enum err
replica_compact(struct replica *replica)
{
    struct table_stat keys_stat;
    struct table_stat main_stat;

    assert(!replica->in_turn && replica->readers == 0);
    if (replica->main_env == NULL || replica->keys_env == NULL) {
        return ERR_IO;
    }
    enum err err = rewrite(replica);
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
        erase_compaction_waits(replica->erase);
    }
    log_event("compacted", "err=%s needs=%llu", err_code(err), (unsigned long long)replica->compact_bytes);
    return err;
}
