#include "sync/keyring.h"
#include "store/base/world.h"
#include "sync/policy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Keys are kept a block at a time in locked memory, so that their places never move. */
enum { BLOCK_KEYS = 32, SLOTS_MIN = 64, BOXES_TRIED_MAX = 64 };

struct held_key {
    struct epoch_keys keys; /* first: callers hold pointers to it */
    struct ident compartment;
    struct hash epoch_id;
};

struct key_block {
    struct key_block *next;
    size_t count;
    struct held_key keys[BLOCK_KEYS];
};

struct keyring {
    struct hash device_id;
    struct key_pair *box_pair;     /* in locked memory */
    struct key_block *blocks;      /* in locked memory; the newest first */
    const struct held_key **slots; /* by compartment and first 4 bytes of the epoch; open addressing */
    size_t slot_count;
    size_t count;
};

struct keyring *
keyring_new(const struct hash *device_id, const struct key_pair *box_pair)
{
    struct keyring *keyring = calloc(1, sizeof *keyring);

    if (keyring == NULL) {
        return NULL;
    }
    keyring->device_id = *device_id;
    keyring->slots = calloc(SLOTS_MIN, sizeof *keyring->slots);
    keyring->slot_count = SLOTS_MIN;
    keyring->box_pair = crypto_secret_new(sizeof *keyring->box_pair);
    if (keyring->slots == NULL || keyring->box_pair == NULL) {
        keyring_free(&keyring);
        return NULL;
    }
    *keyring->box_pair = *box_pair;
    return keyring;
}

void
keyring_free(struct keyring **keyring)
{
    struct keyring *old = *keyring;

    if (old == NULL) {
        return;
    }
    while (old->blocks != NULL) {
        struct key_block *block = old->blocks;
        old->blocks = block->next;
        crypto_secret_free(block);
    }
    crypto_secret_free(old->box_pair);
    free(old->slots);
    free(old);
    *keyring = NULL;
}

static size_t
first_slot(const struct ident *compartment, const uint8_t epoch[4], size_t slot_count)
{
    uint32_t mixed = bytes_read_u32(compartment->bytes) ^ (bytes_read_u32(epoch) * UINT32_C(2654435761));

    return mixed & (slot_count - 1);
}

static bool
is_named(const struct held_key *held, const struct ident *compartment, const uint8_t epoch[4])
{
    return memcmp(held->epoch_id.bytes, epoch, 4) == 0 && ident_equal(&held->compartment, compartment);
}

const struct epoch_keys *
keyring_find(const struct keyring *keyring, const struct ident *compartment, const uint8_t epoch[4])
{
    size_t at = first_slot(compartment, epoch, keyring->slot_count);

    while (keyring->slots[at] != NULL) {
        if (is_named(keyring->slots[at], compartment, epoch)) {
            return &keyring->slots[at]->keys;
        }
        at = (at + 1) & (keyring->slot_count - 1);
    }
    return NULL;
}

const struct epoch_keys *
keyring_another(const struct keyring *keyring, const struct epoch_keys *keys)
{
    const struct held_key *before = (const struct held_key *)keys;
    size_t at = first_slot(&before->compartment, before->epoch_id.bytes, keyring->slot_count);
    bool passed = false;

    for (; keyring->slots[at] != NULL; at = (at + 1) & (keyring->slot_count - 1)) {
        const struct held_key *held = keyring->slots[at];
        if (held == before) {
            passed = true;
        } else if (passed && is_named(held, &before->compartment, before->epoch_id.bytes)) {
            return &held->keys;
        }
    }
    return NULL;
}

const struct epoch_keys *
keyring_get(const struct keyring *keyring, const struct ident *compartment, const struct hash *epoch_id)
{
    const struct epoch_keys *keys = keyring_find(keyring, compartment, epoch_id->bytes);

    while (keys != NULL && !hash_equal(&((const struct held_key *)keys)->epoch_id, epoch_id)) {
        keys = keyring_another(keyring, keys);
    }
    return keys;
}

size_t
keyring_count(const struct keyring *keyring)
{
    return keyring->count;
}

static void
put_slot(const struct held_key **slots, size_t slot_count, const struct held_key *held)
{
    size_t at = first_slot(&held->compartment, held->epoch_id.bytes, slot_count);

    while (slots[at] != NULL) {
        at = (at + 1) & (slot_count - 1);
    }
    slots[at] = held;
}

/* Double the slots. Keys go in by the order of their blocks, so those that begin alike keep some order. */
static bool
grow_slots(struct keyring *keyring)
{
    size_t slot_count = 2 * keyring->slot_count;
    const struct held_key **slots = calloc(slot_count, sizeof *slots);

    if (slots == NULL) {
        return false;
    }
    for (const struct key_block *block = keyring->blocks; block != NULL; block = block->next) {
        for (size_t n = 0; n < block->count; n++) {
            put_slot(slots, slot_count, &block->keys[n]);
        }
    }
    free(keyring->slots);
    keyring->slots = slots;
    keyring->slot_count = slot_count;
    return true;
}

enum err
keyring_add_key(struct keyring *keyring, const struct ident *compartment, const struct hash *epoch_id,
                const struct key *key)
{
    if (keyring_get(keyring, compartment, epoch_id) != NULL) {
        return ERR_OK;
    }
    if (2 * (keyring->count + 1) > keyring->slot_count && !grow_slots(keyring)) {
        return ERR_MEMORY;
    }
    struct key_block *block = keyring->blocks;
    if (block == NULL || block->count == BLOCK_KEYS) {
        block = crypto_secret_new(sizeof *block);
        if (block == NULL) {
            return ERR_MEMORY;
        }
        block->next = keyring->blocks;
        keyring->blocks = block;
    }
    struct held_key *held = &block->keys[block->count++];
    epoch_keys_of(&held->keys, key);
    held->compartment = *compartment;
    held->epoch_id = *epoch_id;
    put_slot(keyring->slots, keyring->slot_count, held);
    keyring->count++;
    return ERR_OK;
}

void
epoch_commit(struct hash *out, const struct ident *compartment, uint64_t number, const struct key *key)
{
    uint8_t number_bytes[8];

    bytes_write_u64(number_bytes, number);
    CRYPTO_HASH(out, "vigil.ekc.v1", ident_span(compartment), span_of(number_bytes, sizeof number_bytes),
                span_of(key->bytes, KEY_BYTES));
}

/* --- links and boxes --- */

enum { LINK_ASSOCIATED_BYTES = IDENT_BYTES + 2 * HASH_BYTES };

/* What a link is bound to, and the nonce that follows from it. */
static void
link_terms(uint8_t associated[LINK_ASSOCIATED_BYTES], struct nonce *nonce, const struct ident *compartment,
           const struct hash *parent_id, const struct hash *commit)
{
    struct hash hash;

    memcpy(associated, compartment->bytes, IDENT_BYTES);
    memcpy(associated + IDENT_BYTES, parent_id->bytes, HASH_BYTES);
    memcpy(associated + IDENT_BYTES + HASH_BYTES, commit->bytes, HASH_BYTES);
    CRYPTO_HASH(&hash, "vigil.lnk.v1", span_of(associated, LINK_ASSOCIATED_BYTES));
    memcpy(nonce->bytes, hash.bytes, NONCE_BYTES);
}

static bool
is_key_of(const struct roster_epoch *epoch, const struct key *key)
{
    struct hash commit;

    epoch_commit(&commit, &epoch->compartment, epoch->number, key);
    return hash_equal(&commit, &epoch->commit);
}

/* Try the boxes for this device. */
static bool
open_box(const struct keyring *keyring, const struct roster *roster, const struct roster_epoch *epoch,
         struct key *key_out)
{
    const uint8_t *sealed[BOXES_TRIED_MAX];
    size_t count = roster_boxes(roster, &epoch->epoch_id, &keyring->device_id, sealed, BOXES_TRIED_MAX);

    for (size_t n = 0; n < count && n < BOXES_TRIED_MAX; n++) {
        if (crypto_box_open_own(key_out->bytes, keyring->box_pair, span_of(sealed[n], EPOCH_BOX_BYTES)) &&
            is_key_of(epoch, key_out)) {
            return true;
        }
    }
    return false;
}

/* Keep a key that was opened; true if it is new. */
static bool
take_key(struct keyring *keyring, const struct roster_epoch *epoch, const struct key *key, keyring_each *each,
         void *self)
{
    if (keyring_add_key(keyring, &epoch->compartment, &epoch->epoch_id, key) != ERR_OK) {
        return false;
    }
    if (each != NULL) {
        each(self, &epoch->compartment, &epoch->epoch_id, key);
    }
    return true;
}

/* Open the parents of an epoch whose key is here. */
static size_t
open_links(struct keyring *keyring, const struct roster *roster, const struct roster_epoch *epoch,
           const struct key *key, keyring_each *each, void *self)
{
    size_t opened = 0;

    for (size_t n = 0; n < epoch->parents.count; n++) {
        struct statement_parent named = statement_parent_at(&epoch->parents, n);
        const struct roster_epoch *parent = roster_epoch(roster, &named.epoch_id);
        uint8_t associated[LINK_ASSOCIATED_BYTES];
        struct nonce nonce;
        struct key parent_key;
        if (parent == NULL || !ident_equal(&parent->compartment, &epoch->compartment) ||
            keyring_get(keyring, &parent->compartment, &parent->epoch_id) != NULL) {
            continue;
        }
        link_terms(associated, &nonce, &epoch->compartment, &parent->epoch_id, &epoch->commit);
        if (crypto_open(parent_key.bytes, key, &nonce, span_of(associated, sizeof associated),
                        span_of(named.link, EPOCH_LINK_BYTES)) &&
            is_key_of(parent, &parent_key)) {
            opened += take_key(keyring, parent, &parent_key, each, self);
        }
        crypto_wipe(&parent_key, sizeof parent_key);
    }
    return opened;
}

size_t
keyring_learn(struct keyring *keyring, const struct roster *roster, keyring_each *each, void *self)
{
    size_t opened = 0;

    /* Epochs ascend by number within a compartment and parents have lower numbers: one walk
     * downward follows every link. */
    for (size_t n = roster_epoch_count(roster); n-- > 0;) {
        const struct roster_epoch *epoch = roster_epoch_at(roster, n);
        const struct epoch_keys *here = keyring_get(keyring, &epoch->compartment, &epoch->epoch_id);
        struct key key;
        if (here != NULL) {
            key = here->epoch;
        } else if (open_box(keyring, roster, epoch, &key)) {
            /* Whether it stands or not: what it sealed may count, and its commit tells a good key. */
            opened += take_key(keyring, epoch, &key, each, self);
        } else {
            crypto_wipe(&key, sizeof key);
            continue;
        }
        opened += open_links(keyring, roster, epoch, &key, each, self);
        crypto_wipe(&key, sizeof key);
    }
    return opened;
}

enum err
keyring_current(const struct keyring *keyring, const struct roster *roster, const struct ident *compartment,
                const struct epoch_keys **keys_out, uint8_t epoch_out[4])
{
    const struct roster_compartment *here = roster_compartment(roster, compartment);
    struct hash epoch_id = { { 0 } };

    if (here == NULL) {
        return ERR_ABSENT;
    }
    if (here->role != COMPARTMENT_CONTROL) {
        if (here->current == NULL) {
            return ERR_ABSENT;
        }
        epoch_id = here->current->epoch_id;
    }
    const struct epoch_keys *keys = keyring_get(keyring, compartment, &epoch_id);
    if (keys == NULL) {
        return ERR_LOCKED;
    }
    *keys_out = keys;
    memcpy(epoch_out, epoch_id.bytes, 4);
    return ERR_OK;
}

/* --- making --- */

/* A parent of the epoch to be made. */
struct parent_key {
    struct hash epoch_id;
    const struct epoch_keys *keys;
};

static int
parent_order(const void *a, const void *b)
{
    return hash_compare(&((const struct parent_key *)a)->epoch_id, &((const struct parent_key *)b)->epoch_id);
}

/* True if a later epoch that is written with, or was, leads down to this one. */
static bool
is_linked(const struct roster *roster, size_t from, size_t epoch_count, const struct hash *epoch_id)
{
    for (size_t n = 0; n < epoch_count; n++) {
        const struct roster_epoch *later = roster_epoch_at(roster, from + n);

        for (size_t parent = 0; later->stands && later->whole && parent < later->parents.count; parent++) {
            struct statement_parent named = statement_parent_at(&later->parents, parent);

            if (hash_equal(&named.epoch_id, epoch_id)) {
                return true;
            }
        }
    }
    return false;
}

/* True for an epoch that its maker lost the word for, and that nothing leads down to yet: what it sealed may count all the
 * same. */
static bool
is_orphan(const struct roster *roster, size_t from, size_t epoch_count, const struct roster_epoch *epoch)
{
    return !epoch->stands && epoch->whole && !is_linked(roster, from, epoch_count, &epoch->epoch_id);
}

/* What the next epoch leads down to, ascending by id: the tips of the compartment, and what was sealed under the epochs of
 * a device that has lost its word since. */
static enum err
collect_tips(const struct keyring *keyring, const struct roster *roster, const struct ident *compartment,
             struct parent_key tips[EPOCH_PARENTS_MAX], size_t *count_out, uint64_t *number_out)
{
    size_t epoch_count = 0;
    size_t from = roster_epochs_of(roster, compartment, &epoch_count);
    size_t count = 0;

    *number_out = 1;
    for (size_t n = 0; n < epoch_count; n++) {
        const struct roster_epoch *epoch = roster_epoch_at(roster, from + n);
        const struct epoch_keys *keys = keyring_get(keyring, compartment, &epoch->epoch_id);

        if (epoch->tip && keys == NULL) {
            return ERR_LOCKED;
        }
        if (!epoch->tip && (keys == NULL || !is_orphan(roster, from, epoch_count, epoch))) {
            continue;
        }
        if (count == EPOCH_PARENTS_MAX) {
            /* They ascend by number: the lowest waits for the epoch after this one. */
            memmove(tips, tips + 1, (EPOCH_PARENTS_MAX - 1) * sizeof *tips);
            count--;
        }
        tips[count].epoch_id = epoch->epoch_id;
        tips[count].keys = keys;
        count++;
        *number_out = epoch->number + 1;
    }
    qsort(tips, count, sizeof *tips, parent_order);
    *count_out = count;
    return ERR_OK;
}

/* Boxes for this device and as many others with read as there is room for, ascending by device. */
static enum err
put_boxes(const struct keyring *keyring, const struct roster *roster, const struct ident *compartment,
          const struct key *key, const struct world *world, struct buf *boxes, size_t *count_out)
{
    size_t count = 0;
    bool own_done = false;

    for (size_t n = 0; n < roster_device_count(roster) && count < EPOCH_BOXES_MAX; n++) {
        const struct roster_device *device = roster_device_at(roster, n);
        bool own = hash_equal(&device->device_id, &keyring->device_id);
        uint8_t sealed[EPOCH_BOX_BYTES];
        if (!policy_may(roster, device, OPERATION_READ, compartment) ||
            (!own && !own_done && count == EPOCH_BOXES_MAX - 1)) {
            continue;
        }
        if (!crypto_box_seal_to(sealed, device->box_pk, span_of(key->bytes, KEY_BYTES), world)) {
            continue;
        }
        own_done |= own;
        statement_put_box(boxes, &device->device_id, sealed);
        count++;
    }
    *count_out = count;
    return boxes->failed ? ERR_MEMORY : ERR_OK;
}

enum err
keyring_make_epoch(struct keyring *keyring, const struct roster *roster, const struct ident *compartment,
                   const struct key_pair *signer, const struct world *world, struct buf *signed_out,
                   struct hash *epoch_id_out, struct key *key_out)
{
    struct parent_key tips[EPOCH_PARENTS_MAX];
    struct statement statement = { .type = STATEMENT_EPOCH, .org = *roster_org(roster) };
    struct epoch_body *body = &statement.epoch;
    struct buf parents = { 0 };
    struct buf boxes = { 0 };
    size_t tip_count = 0;
    size_t box_count = 0;

    const struct roster_device *own = roster_device(roster, &keyring->device_id);
    if (!policy_may(roster, own, OPERATION_EPOCH, compartment)) {
        return ERR_DENIED;
    }
    enum err err = collect_tips(keyring, roster, compartment, tips, &tip_count, &body->number);
    if (err != ERR_OK) {
        return err;
    }
    body->compartment = *compartment;
    world_random(world, key_out->bytes, KEY_BYTES);
    world_random(world, statement.random, sizeof statement.random);
    epoch_commit(&body->commit, compartment, body->number, key_out);
    for (size_t n = 0; n < tip_count; n++) {
        uint8_t associated[LINK_ASSOCIATED_BYTES];
        uint8_t link[EPOCH_LINK_BYTES];
        struct nonce nonce;
        link_terms(associated, &nonce, compartment, &tips[n].epoch_id, &body->commit);
        crypto_seal(link, key_out, &nonce, span_of(associated, sizeof associated),
                    span_of(tips[n].keys->epoch.bytes, KEY_BYTES));
        statement_put_parent(&parents, &tips[n].epoch_id, link);
    }
    err = put_boxes(keyring, roster, compartment, key_out, world, &boxes, &box_count);
    if (err == ERR_OK && parents.failed) {
        err = ERR_MEMORY;
    }
    if (err == ERR_OK) {
        body->parents = statement_list_of(&parents, tip_count);
        body->boxes = statement_list_of(&boxes, box_count);
        err = statement_sign(signed_out, &statement, &signer, 1, epoch_id_out);
    }
    if (err == ERR_OK) {
        err = keyring_add_key(keyring, compartment, epoch_id_out, key_out);
    }
    if (err != ERR_OK) {
        crypto_wipe(key_out, sizeof *key_out);
    }
    buf_free(&parents);
    buf_free(&boxes);
    return err;
}

size_t
keyring_missing(const struct keyring *keyring, const struct roster *roster, const struct ident *compartment,
                keyring_wanted *wanted, void *self, struct keyring_missing *out, size_t room)
{
    size_t epoch_count = 0;
    size_t from = roster_epochs_of(roster, compartment, &epoch_count);
    size_t count = 0;

    if (!policy_may(roster, roster_device(roster, &keyring->device_id), OPERATION_EPOCH, compartment)) {
        return 0;
    }
    for (size_t n = 0; n < epoch_count; n++) {
        const struct roster_epoch *epoch = roster_epoch_at(roster, from + n);
        if (keyring_get(keyring, compartment, &epoch->epoch_id) == NULL ||
            !(epoch->tip || is_orphan(roster, from, epoch_count, epoch))) {
            continue;
        }
        for (size_t at = 0; at < roster_device_count(roster); at++) {
            const struct roster_device *device = roster_device_at(roster, at);
            if (policy_may(roster, device, OPERATION_READ, compartment) &&
                !roster_has_box(roster, &epoch->epoch_id, &device->device_id) &&
                (wanted == NULL || wanted(self, epoch, device)) && count < room) {
                out[count++] = (struct keyring_missing){ device->device_id, epoch->epoch_id };
            }
        }
    }
    return count;
}

enum err
keyring_make_box(const struct keyring *keyring, const struct roster *roster,
                 const struct keyring_missing *missing, const struct key_pair *signer,
                 const struct world *world, struct buf *signed_out)
{
    const struct roster_device *device = roster_device(roster, &missing->device_id);
    const struct roster_epoch *epoch = roster_epoch(roster, &missing->epoch_id);
    struct statement statement = { .type = STATEMENT_BOX, .org = *roster_org(roster) };
    uint8_t sealed[EPOCH_BOX_BYTES];

    const struct epoch_keys *keys =
        epoch == NULL ? NULL : keyring_get(keyring, &epoch->compartment, &epoch->epoch_id);
    if (device == NULL || keys == NULL ||
        !crypto_box_seal_to(sealed, device->box_pk, span_of(keys->epoch.bytes, KEY_BYTES), world)) {
        return ERR_ABSENT;
    }
    world_random(world, statement.random, sizeof statement.random);
    statement.box.epoch_id = missing->epoch_id;
    statement.box.device_id = missing->device_id;
    statement.box.sealed = sealed;
    return statement_sign(signed_out, &statement, &signer, 1, NULL);
}
