/* keyring.h - the epoch keys that this device can open.
 *
 *     EPOCH 3 --link--> EPOCH 2 --link--> EPOCH 1
 *        ^ box for us      (one box opens the newest, links open what is older)
 *
 * Whatever opens is checked against the epoch's commit, so it does not matter who
 * boxed it. Keys live in locked memory and are never taken away: an epoch opens what
 * it sealed for ever. Keeping them over a restart is the caller's (store/keys.h).
 */
#pragma once

#include "store/entry.h"
#include "sync/roster.h"

struct world;
struct keyring;

/* An empty ring of the device with this id and box pair (copied). NULL: no memory. */
struct keyring *keyring_new(const struct hash *device_id, const struct key_pair *box_pair);
/* Wipes every key. */
void keyring_free(struct keyring **keyring);

/* Add a key that was opened before, or the organisation's control key (epoch_id zero, in `control`).
 * The same again changes nothing. ERR_MEMORY. */
MUST_CHECK enum err keyring_add_key(struct keyring *keyring, const struct ident *compartment,
                                    const struct hash *epoch_id, const struct key *key);

/* Called with each key that was newly opened. */
typedef void keyring_each(void *self, const struct ident *compartment, const struct hash *epoch_id,
                          const struct key *key);

/* Open what the settled roster now lets us open: boxes for this device, then links downward. `each` may be
 * NULL. Gives how many keys are new; a key that memory ran out for is opened by the next call. */
size_t keyring_learn(struct keyring *keyring, const struct roster *roster, keyring_each *each, void *self);

/* The keys of the epoch that an entry names by the first 4 bytes of its id; NULL: not here (yet). A hit costs a few
 * comparisons. Good until keyring_free. */
const struct epoch_keys *keyring_find(const struct keyring *keyring, const struct ident *compartment,
                                      const uint8_t epoch[4]);

/* Another epoch of the compartment whose id begins alike, after `keys`; NULL: no more. An entry that does not open with
 * one is tried with the next. */
const struct epoch_keys *keyring_another(const struct keyring *keyring, const struct epoch_keys *keys);

/* By its whole id. */
const struct epoch_keys *keyring_get(const struct keyring *keyring, const struct ident *compartment,
                                     const struct hash *epoch_id);

/* What to write with in a compartment now: the keys and the epoch's first 4 bytes (`control`: the control key, zero).
 * ERR_ABSENT: no epoch stands there: an admin makes one. ERR_LOCKED: there is one, and no box for us yet. */
MUST_CHECK enum err keyring_current(const struct keyring *keyring, const struct roster *roster,
                                    const struct ident *compartment, const struct epoch_keys **keys_out,
                                    uint8_t epoch_out[4]);

/* Make an epoch for a compartment: a fresh key, links to every tip and to what a device that lost its word had made, boxes for every device with
 * read (this one first; at most EPOCH_BOXES_MAX, keyring_missing gives the rest). Signed by `signer`, the device's own
 * pair, and appended to `signed_out`; its key is in the ring at once and given in `key_out` for keeping.
 * ERR_DENIED: this device has no admin there. ERR_LOCKED: a tip is not open here yet. ERR_FULL, ERR_MEMORY. */
enum { EPOCH_BOXES_MAX = 150, EPOCH_PARENTS_MAX = 16 };
MUST_CHECK enum err keyring_make_epoch(struct keyring *keyring, const struct roster *roster,
                                       const struct ident *compartment, const struct key_pair *signer,
                                       const struct world *world, struct buf *signed_out,
                                       struct hash *epoch_id_out, struct key *key_out);

struct keyring_missing {
    struct hash device_id;
    struct hash epoch_id;
};

/* Whether a box that is missing should be made here and now. */
typedef bool keyring_wanted(void *self, const struct roster_epoch *epoch, const struct roster_device *device);

/* Devices with read in a compartment that have no box for one of its tips, or for an epoch whose maker lost its word and that
 * no later one leads down to, where this device has admin and the key. `wanted` (NULL: all are) is asked of each, and at most `room`
 * of those that are wanted are given (call again after boxing them); gives how many were. */
size_t keyring_missing(const struct keyring *keyring, const struct roster *roster,
                       const struct ident *compartment, keyring_wanted *wanted, void *self,
                       struct keyring_missing *out, size_t room);

/* Append the signed BOX statement for one of them. ERR_ABSENT: no such device, epoch or key here. ERR_MEMORY. */
MUST_CHECK enum err keyring_make_box(const struct keyring *keyring, const struct roster *roster,
                                     const struct keyring_missing *missing, const struct key_pair *signer,
                                     const struct world *world, struct buf *signed_out);

/* H("vigil.ekc.v1", compartment | number | key). */
void epoch_commit(struct hash *out, const struct ident *compartment, uint64_t number, const struct key *key);

/* How many keys are here. */
size_t keyring_count(const struct keyring *keyring);
