/* keys.h - the keys of records and epochs, in an environment of their own.
 *
 * Destroying a key closes every entry under it, so keys live apart from the
 * journal, in keys/, which can be rewritten whole. A key entry's payload lives
 * here too and nowhere else: the journal keeps its header and a stub.
 *
 * keys/ commits before main/ in every turn: a crash between the two leaves keys whose
 * entries are not here, never the reverse. Who opens the two takes such keys out before
 * they open anything: their author may have lost that turn too, and then no other
 * replica ever has them.
 */
#pragma once

#include "store/table.h"

struct record_key {
    struct ident record_id;
    struct key key;
    uint32_t log_no; /* of the key entry that brought it */
    uint64_t seq;
};

/* Remember the key of a record and the entry that brought it first; the same again changes
 * nothing. All of keys.h wants transactions of a TABLE_SET_KEYS environment. Errors stay in `txn`. */
void keys_put_record(struct table_txn *txn, const struct ident *compartment, const struct record_key *key);

/* The same of an entry that takes the place of the one that was remembered: that one counts no longer, or never came. */
void keys_move_record(struct table_txn *txn, const struct ident *compartment, const struct record_key *key);

/* The records of a compartment whose id starts with `prefix` (8 bytes): at most `room`, usually
 * one. Gives how many; a row that does not verify is left out, and counted by table. */
size_t keys_find_record(struct table_txn *txn, const struct ident *compartment, const uint8_t prefix[8],
                        struct record_key *keys_out, size_t room);

/* ERR_ABSENT: the key of this record is not here. ERR_CORRUPT: its row does not verify. */
MUST_CHECK enum err keys_get_record(struct table_txn *txn, const struct ident *compartment,
                                    const struct ident *record_id, struct record_key *key_out);

/* Destroy the key of a record: what it sealed cannot be opened any more, once keys/ has been rewritten. A row that does not
 * verify goes too. */
void keys_delete_record(struct table_txn *txn, const struct ident *compartment,
                        const struct ident *record_id);

/* Walk every record key that is here and verifies. `key` is wiped when `each` returns, which may write. */
void keys_each_record(struct table_txn *txn,
                      void (*each)(void *self, const struct ident *compartment, const struct record_key *key),
                      void *self);

/* The payload of a key entry as on the wire; and its bytes, lent until `txn` writes or ends. */
void keys_put_payload(struct table_txn *txn, uint32_t log_no, uint64_t seq, struct span payload);
MUST_CHECK enum err keys_get_payload(struct table_txn *txn, uint32_t log_no, uint64_t seq,
                                     struct span *payload_out);

/* Remove it: its record was erased, or its entry is not here. */
void keys_delete_payload(struct table_txn *txn, uint32_t log_no, uint64_t seq);

/* Walk the places of all payloads that are here; `each` may write. */
void keys_each_payload(struct table_txn *txn, void (*each)(void *self, uint32_t log_no, uint64_t seq),
                       void *self);

/* Keys of epochs: `epoch_id` is the stmt_id of the EPOCH statement. */
void keys_put_epoch(struct table_txn *txn, const struct ident *compartment, const struct hash *epoch_id,
                    const struct key *key);

/* Walk every epoch key that is here and verifies. `key` is wiped when `each` returns. */
void keys_each_epoch(struct table_txn *txn,
                     void (*each)(void *self, const struct ident *compartment, const struct hash *epoch_id,
                                  const struct key *key),
                     void *self);

/* Copy everything that verifies into another environment, of another wrapping key; gives how many rows did not. Errors stay in
 * `to`. ERR_MEMORY is an error of `from`. */
uint64_t keys_copy(struct table_txn *from, struct table_txn *to);
