/* erase.h - what was withdrawn goes, and does not come back.
 *
 *     an order stands ----> erase_follow    the record by its key: entries, views, index, key
 *                      \--> erase_scan      every other entry of its compartments, a slice a turn
 *                              \--> due ---> keys/ and main/ rewritten ---> receipt
 *     a file that only erased entries named goes before the rewriting (store/shelf.h)
 *
 *     an entry arrives ---> erase_order_of  header kept, payload not     ---> receipt of a late copy
 *
 * An order names nothing but erase keys: entries are found by their membership tag, on readers and
 * carriers alike, whatever their standing. What an order did is only remembered by its name, a random
 * number. Nothing here ends an erasure: an order that stands, stands for good.
 *
 * Rows of TABLE_ERASE:
 *
 *     'o' | stmt_id[0..16]                 ->  order 16 | stage u8 | erased u64 | unread u64 | late u64
 *     'p'                                  ->  the scan's next entry: log_no u32 | seq u64; none: it is over
 *     'd'                                  ->  nothing: old bytes of what was erased lie in the files
 *     'r' | order 16 | hash of device id   ->  device_id 32 | stage u32 | erased, unread, late, done, last u64
 *
 * The last are derived from the receipts in control. All functions that take transactions want those of a turn,
 * unless they say otherwise; errors stay in the transactions.
 */
#pragma once

#include "store/change.h"
#include "store/journal.h"

struct erase;
struct intake;
struct keyring;
struct roster;
struct world;

/* All of it outlives the erase. */
struct erase_options {
    const struct world *world;
    struct journal *journal;
    struct roster *roster;
    struct keyring *keyring;
    const struct hash *own_device;
    uint64_t destroyed; /* where its count of what was destroyed goes on */
};

/* Read how far it is; any transaction of main/. ERR_MEMORY, ERR_CORRUPT. */
MUST_CHECK enum err erase_open(struct erase **erase_out, const struct erase_options *options,
                               struct table_txn *main_txn);
void erase_close(struct erase **erase);

/* --- when entries come --- */

/* True if any standing order names something in this compartment. */
bool erase_reaches(const struct erase *erase, const struct ident *compartment);

/* The standing order that an entry of this log was erased by; NULL: none. One hash for each key that standing orders
 * name in its compartment. Lent until the roster settles. */
const struct ident *erase_order_of(const struct erase *erase, const struct ident *compartment,
                                   const struct hash *log_id, const struct entry *entry);

/* Count a copy that came with its payload after the order, and was refused. */
void erase_count_late(struct erase *erase, struct table_txn *main_txn, const struct ident *order);

/* Take in what a device says of an order. */
void erase_take_receipt(struct erase *erase, struct table_txn *main_txn, const struct hash *device_id,
                        const struct change_receipt *receipt);

/* --- when orders come --- */

/* True if nothing came through control since orders were last looked for. */
bool erase_is_followed(const struct erase *erase);

/* Erase at once what new orders name and a record key here leads to, and begin the scan for everything else. In a turn after that
 * of the order: a crash that loses one of the two commits finds it, and goes on. Nothing to do is cheap. ERR_MEMORY, or an error of the
 * transactions. */
MUST_CHECK enum err erase_follow(struct erase *erase, struct intake *intake, struct table_txn *main_txn,
                                 struct table_txn *keys_txn);

/* Look at the next entries, at most so many; erase_is_scanning says whether there are more. ERR_MEMORY, or an error of the
 * transactions. */
MUST_CHECK enum err erase_scan(struct erase *erase, struct intake *intake, struct table_txn *main_txn,
                               struct table_txn *keys_txn, size_t entry_max);
bool erase_is_scanning(const struct erase *erase);

/* True if old bytes lie in the files of the environments and every entry was looked at: rewrite them. */
bool erase_wants_compaction(const struct erase *erase);

/* They were rewritten; or that has to wait, for room nearly always, which a receipt then says. */
void erase_compacted(struct erase *erase, struct table_txn *main_txn);
void erase_compaction_waits(struct erase *erase);

/* True if a turn has something to do here: entries to look at, or a receipt that may be owed. */
bool erase_wants_turn(const struct erase *erase);

/* Counts what was destroyed: two answers that are equal say that nothing was between them. */
uint64_t erase_destroyed(const struct erase *erase);

/* The next receipt that this device owes. False: none now. Writing it as an entry of `control` is the caller's; once it was
 * taken in (erase_take_receipt) it is owed no more. */
bool erase_owes_receipt(struct erase *erase, struct table_txn *main_txn, struct change_receipt *receipt_out);

/* Forget what is derived from control: before `vigild rebuild` takes it in anew. */
void erase_clear_derived(struct table_txn *main_txn);

/* Forget what was followed, before erase_open: rows were read out of damaged files, and what orders destroyed may be among them. All orders are
 * new then, and the files are rewritten once they were followed. */
void erase_look_again(struct table_txn *main_txn);

/* --- for people; any transaction of main/ --- */

struct erase_progress {
    bool begun;   /* it stands, and this device has looked at it */
    bool scanned; /* every entry here was held against it */
    bool done;    /* nor is anything left in free pages */
    uint64_t erased;
    uint64_t unread;
    uint64_t late;
};

void erase_progress_of(const struct erase *erase, struct table_txn *main_txn, const struct ident *order,
                       struct erase_progress *progress_out);

struct erase_receipt {
    uint32_t stage; /* enum receipt_stage: the highest */
    uint64_t erased;
    uint64_t unread;
    uint64_t late;
    uint64_t done_hlc; /* of the first that said it was done; 0: none did */
    uint64_t last_hlc;
};

/* What a device has said of an order. False: nothing yet. */
bool erase_receipt_of(struct table_txn *main_txn, const struct ident *order, const struct hash *device_id,
                      struct erase_receipt *receipt_out);
