/* shelf.h - which files records name here, how much of each has come, and who else has it.
 *
 *     entry 7|12 --names--> blob 3f09... --+-- 301 chunks, 40 of them here     the file: blob.h
 *     entry 9|0  --names-----------^       +-- wanted: by policy, asked for, or put away
 *                                          +-- held by two other devices, as far as they told
 *
 * A reader learns what an entry names when the entry is merged; a carrier, who cannot open it, from whoever sends the file along
 * with the entry's place. So a file goes with the last entry that names it: erasing an entry drops what it names, on
 * both alike. A file that no entry names any more is *doomed*: its rows are gone at once, and the file itself once
 * the turn that doomed it is durable (sync/replica_blob.c), before any receipt says so.
 *
 * That a record dropped an element changes nothing here: its history still names the file.
 *
 * Rows of TABLE_BLOBM, a being the address:
 *
 *     'b' | a                        ->  size u64 | chunks u32 | held u32 | references u32 | wish u8 | came u64
 *     'm' | a | page u16             ->  bitmap of the page's chunks, 32 bytes, lowest bit first; none where all or nothing is here
 *     'r' | a | log_no u32 | seq u64 ->  nothing
 *     'e' | log_no | seq | a         ->  nothing
 *     'h' | a | hash of device id    ->  when it said so, wall ms u64 | chunks that it said it has, u32
 *     'x' | a                        ->  nothing: doomed
 *     'q' | a                        ->  nothing: not here whole, and not put away
 *     'c' | came u64                 ->  a: here whole, in the order in which they came
 *     'n'                            ->  how much of all this changed, u64
 *
 * All of it is written in a turn; errors stay in the transaction. Rows that do not verify count as not there, and a chunk that
 * is here and not known to be comes again.
 */
#pragma once

#include "store/blob.h"
#include "store/change.h"
#include "store/codebook.h"
#include "store/table.h"

enum shelf_wish {
    WISH_POLICY = 0, /* whether it is fetched is for the link's policy to say */
    WISH_ASKED,      /* somebody asked for it */
    WISH_AWAY,       /* put away here: fetched only when asked for */
};

struct shelf_blob {
    struct hash address;
    uint64_t size;        /* as its record says; 0: not said here */
    uint32_t chunk_count; /* 0: not known here */
    uint32_t held;        /* chunks that are here */
    uint32_t references;  /* entries that name it */
    uint8_t wish;         /* enum shelf_wish */
    uint64_t came;        /* its place among those that are here whole; 0: it is not */
};

/* True if all of it is here. */
bool shelf_is_whole(const struct shelf_blob *blob);

/* ERR_ABSENT: no entry names it. ERR_CORRUPT. */
MUST_CHECK enum err shelf_get(struct table_txn *txn, const struct hash *address, struct shelf_blob *out);

/* The blob with the lowest address above `after`; NULL: the first. False: there is none. */
bool shelf_next(struct table_txn *txn, const struct hash *after, struct shelf_blob *out);

/* The same of those that are not here whole and not put away. */
bool shelf_next_wanted(struct table_txn *txn, const struct hash *after, struct shelf_blob *out);

/* The blob that came to be here whole, or to be named by one more entry, next after *came (0: the first of all), which moves on.
 * False: there is none yet; *came may have moved on over places that nothing is at any more. */
bool shelf_next_come(struct table_txn *txn, uint64_t *came, struct shelf_blob *out);

/* Another number each time that a file comes whole or goes, is named by one more entry, or is wished for otherwise; 0: nothing was
 * ever named here. It only grows. */
uint64_t shelf_changes(struct table_txn *txn);

/* Once after opening: put all blobs into the lists that shelf_next_wanted and shelf_next_come walk, and from which rows that do
 * not verify, or of a program that kept none, are missing. */
void shelf_mend(struct table_txn *txn);

/* Sums over all blobs, by one walk. */
struct shelf_totals {
    uint64_t whole_count;
    uint64_t whole_bytes;
    uint64_t part_count;   /* some of it is here */
    uint64_t wanted_count; /* not whole, and not put away: the parts are among them */
    uint64_t wanted_bytes; /* what is lacking of them, as far as their size is known */
    uint64_t away_count;
};

void shelf_total(struct table_txn *txn, struct shelf_totals *out);

/* --- what entries name --- */

/* Note that an entry names a blob; size 0: it does not say. Again changes nothing. */
void shelf_refer(struct table_txn *txn, const struct hash *address, uint64_t size, uint32_t log_no,
                 uint64_t seq);

/* Note every blob that a merged entry names: each value set on a field of type blob, with the size that it sets beside it. */
void shelf_refer_change(struct table_txn *txn, const struct codebook *codebook,
                        const struct signed_change *entry);

/* True if any op of a change names a blob: such an entry says so in its header. */
bool shelf_names_blobs(const struct codebook *codebook, const struct change *change);

/* The first entry behind (*log_no, *seq) that names it, in their order; 0, 0: the first of all. False: there is no more. */
bool shelf_next_reference(struct table_txn *txn, const struct hash *address, uint32_t *log_no, uint64_t *seq);

/* How many blobs an entry names. */
size_t shelf_named_by(struct table_txn *txn, uint32_t log_no, uint64_t seq);

/* An entry was erased: drop what it names, and doom what no other entry names. Gives how many were doomed. */
size_t shelf_drop_entry(struct table_txn *txn, uint32_t log_no, uint64_t seq);

/* After a salvage. The entries of a log are gone from here and come again: nothing of them names a file any more, and the file stays, as
 * one that no record names. */
void shelf_forget_log(struct table_txn *txn, uint32_t log_no);

/* Likewise: a file that something names is not doomed, whatever an old row says. */
void shelf_spare_named(struct table_txn *txn);

/* --- what is here --- */

/* Its file is here, whole. It must have been named before: an assert. */
void shelf_put_whole(struct table_txn *txn, const struct hash *address, uint32_t chunk_count);

/* It begins to arrive: it has so many chunks. ERR_ABSENT: no entry names it. ERR_BUSY: its old file is not removed yet.
 * ERR_INVALID: another number is known. */
MUST_CHECK enum err shelf_begin(struct table_txn *txn, const struct hash *address, uint32_t chunk_count);

/* It has so many chunks, whatever was said before: its head says so, which the address proves. Nothing of it is here yet: an assert. */
void shelf_recount(struct table_txn *txn, const struct hash *address, uint32_t chunk_count);

/* One chunk of it is here, durably; or was found damaged. */
void shelf_put_chunk(struct table_txn *txn, const struct hash *address, uint32_t index);
void shelf_lose_chunk(struct table_txn *txn, const struct hash *address, uint32_t index);
bool shelf_has_chunk(struct table_txn *txn, const struct hash *address, uint32_t index);

/* The bitmap of one page of its chunks: 32 bytes, zero where nothing is here. */
enum { SHELF_BITMAP_BYTES = BLOB_PAGE_CHUNKS / 8 };
void shelf_bitmap(struct table_txn *txn, const struct shelf_blob *blob, uint32_t page,
                  uint8_t out[SHELF_BITMAP_BYTES]);

/* Want it, or not. Putting away dooms the file and keeps all that names it. ERR_ABSENT: no entry names it. */
MUST_CHECK enum err shelf_wish(struct table_txn *txn, const struct hash *address, enum shelf_wish wish);

/* --- who else has it --- */

void shelf_note_holder(struct table_txn *txn, const struct hash *address, const struct hash *device_id,
                       uint64_t wall_ms, uint32_t chunk_count);
void shelf_forget_holder(struct table_txn *txn, const struct hash *address, const struct hash *device_id);

/* When the device last said that it has all of it; 0: it did not. */
uint64_t shelf_holder(struct table_txn *txn, const struct hash *address, const struct hash *device_id);

/* How many chunks it has, as the device said; 0: it did not say. */
uint32_t shelf_holder_chunks(struct table_txn *txn, const struct hash *address, const struct hash *device_id);

/* --- what is doomed --- */

bool shelf_is_doomed(struct table_txn *txn, const struct hash *address);

/* The first one. False: there is none. */
bool shelf_doomed(struct table_txn *txn, struct hash *address_out);

/* Its file is gone. */
void shelf_bury(struct table_txn *txn, const struct hash *address);
