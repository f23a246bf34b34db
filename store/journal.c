#include "store/journal.h"
#include "store/base/sorted.h"
#include "store/base/world.h"
#include "store/shelf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A row of `logs`: see branch_write. A row of `ent`:
 *
 *     state u8 | detail u8 | kind<<4|flags u8 | epoch 4 | salt 8 | reference 16 | tag 4 | payload
 *
 * with STUB set in the first byte, hash 32 and size u32 stand for the payload; behind them, of an
 * erased entry, the order 16. */
enum {
    LOG_ROW_BYTES = DESCRIPTOR_BYTES + 4 + 8 + 8 + HASH_BYTES + 4 + 4 + 8 + 8 + 8,
    LOG_KEY_BYTES = 4,
    ENTRY_KEY_BYTES = 12,
    ENTRY_ROW_HEAD_BYTES = 35,
    ENTRY_ROW_TAG_AT = 31,
    STUB_BYTES = HASH_BYTES + 4,
    ERASED_BYTES = STUB_BYTES + IDENT_BYTES,
    STUB_BIT = 0x80,
    SIGNATURE_ROW_BYTES = HASH_BYTES + SIGNATURE_BYTES,
};

/* In meta: how many entries are held, a u64 for each detail. */
static const char held_row[] = "held";

/* Where the last walk along a branch ended: reading on from there costs one hash, not a run. */
struct walk {
    uint32_t log_no;
    uint64_t seq;
    struct hash id;
    struct hash before; /* of the entry before it: the same entry is often read again */
};

/* A node that holds many compartments asks for the branches of one all the time. */
struct compartment_logs {
    struct ident compartment;
    uint32_t last; /* log_no of the branch that came last */
};

enum { TAG_SLOTS = 4096 };

/* The first bytes of an id. What an entry names, it names by these, and most of it was written or named not long before. */
struct known_tag {
    uint32_t log_no; /* 0: none */
    uint8_t tag[4];
    uint64_t seq;
};

struct journal {
    struct log_branch **branches; /* by log_no - 1 */
    uint32_t branch_count;
    uint32_t branch_capacity;
    uint32_t *slots;     /* open addressing by the first bytes of log_id: log_no of the first branch, or 0 */
    uint32_t slot_count; /* a power of two */
    uint32_t log_count;
    struct compartment_logs *compartments; /* ascending */
    size_t compartment_count;
    uint64_t place_last;
    uint64_t place_flushed; /* the last one of the turns before: who follows may have seen it */
    uint64_t held[JOURNAL_DETAILS_MAX];
    bool held_dirty;
    struct walk walk;
    struct known_tag tags[TAG_SLOTS];
};

static void
entry_key(uint8_t key[ENTRY_KEY_BYTES], uint32_t log_no, uint64_t seq)
{
    bytes_write_u32(key, log_no);
    bytes_write_u64(key + 4, seq);
}

static uint64_t
slot_of(const struct journal *journal, const uint8_t prefix[8])
{
    return bytes_read_u64(prefix) & (journal->slot_count - 1);
}

static bool
slots_grow(struct journal *journal)
{
    uint32_t count = journal->slot_count == 0 ? 64 : journal->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof *slots);

    if (slots == NULL) {
        return false;
    }
    free(journal->slots);
    journal->slots = slots;
    journal->slot_count = count;
    for (uint32_t n = 0; n < journal->branch_count; n++) {
        const struct log_branch *branch = journal->branches[n];

        if (branch->parent != LOG_NONE) {
            continue;
        }
        uint64_t slot = slot_of(journal, branch->log_id.bytes);
        while (slots[slot] != LOG_NONE) {
            slot = (slot + 1) & (count - 1);
        }
        slots[slot] = branch->log_no;
    }
    return true;
}

/* Add a zeroed branch with the next log_no. */
static struct log_branch *
branch_new(struct journal *journal)
{
    if (journal->branch_count == journal->branch_capacity) {
        uint32_t capacity = journal->branch_capacity == 0 ? 64 : journal->branch_capacity * 2;
        struct log_branch **branches = realloc(journal->branches, capacity * sizeof *branches);

        if (branches == NULL) {
            return NULL;
        }
        journal->branches = branches;
        journal->branch_capacity = capacity;
    }
    struct log_branch *branch = calloc(1, sizeof *branch);
    if (branch == NULL) {
        return NULL;
    }
    journal->branches[journal->branch_count] = branch;
    journal->branch_count++;
    branch->log_no = journal->branch_count;
    return branch;
}

static struct sorted
by_compartment(const struct journal *journal)
{
    return SORTED_BY(struct compartment_logs, journal->compartments, journal->compartment_count, compartment);
}

/* Put a branch before the others of its compartment. False: no memory. */
static bool
join_compartment(struct journal *journal, struct log_branch *branch)
{
    const struct ident *compartment = &branch->descriptor.compartment;
    size_t at;

    if (sorted_run(by_compartment(journal), ident_span(compartment), &at) == 0) {
        struct compartment_logs *all =
            realloc(journal->compartments, (journal->compartment_count + 1) * sizeof *all);

        if (all == NULL) {
            return false;
        }
        memmove(all + at + 1, all + at, (journal->compartment_count - at) * sizeof *all);
        all[at] = (struct compartment_logs){ *compartment, LOG_NONE };
        journal->compartments = all;
        journal->compartment_count++;
    }
    branch->neighbour = journal->compartments[at].last;
    journal->compartments[at].last = branch->log_no;
    return true;
}

/* Make a branch findable: a log's first branch by its id, others as siblings behind it, all by their compartment. */
static bool
branch_register(struct journal *journal, struct log_branch *branch)
{
    if (!join_compartment(journal, branch)) {
        return false;
    }
    if (branch->parent != LOG_NONE) {
        struct log_branch *first = journal_log(journal, &branch->log_id);

        assert(first != NULL);
        branch->sibling = first->sibling;
        first->sibling = branch->log_no;
        return true;
    }
    if ((journal->log_count + 1) * 2 > journal->slot_count) {
        /* The new branch is in `branches` already, so growing places it. */
        journal->log_count++;
        return slots_grow(journal);
    }
    uint64_t slot = slot_of(journal, branch->log_id.bytes);
    while (journal->slots[slot] != LOG_NONE) {
        slot = (slot + 1) & (journal->slot_count - 1);
    }
    journal->slots[slot] = branch->log_no;
    journal->log_count++;
    return true;
}

static void
branch_name(struct log_branch *branch, const struct descriptor *descriptor)
{
    branch->descriptor = *descriptor;
    descriptor_log_id(descriptor, &branch->log_id);
    device_id_of(descriptor->sign_pk, &branch->device_id);
    branch->limit_next = UINT64_MAX;
    branch->told_next = UINT64_MAX;
}

static void
branch_write(struct table_txn *txn, const struct log_branch *branch)
{
    uint8_t key[LOG_KEY_BYTES];
    uint8_t row[LOG_ROW_BYTES];
    uint8_t *at = row;

    descriptor_write(at, &branch->descriptor);
    at += DESCRIPTOR_BYTES;
    bytes_write_u32(at, branch->parent);
    bytes_write_u64(at + 4, branch->branch_first);
    bytes_write_u64(at + 12, branch->next_seq);
    memcpy(at + 20, branch->head_id.bytes, HASH_BYTES);
    at += 20 + HASH_BYTES;
    bytes_write_u32(at, branch->run.count);
    bytes_write_u32(at + 4, branch->run.payload_bytes);
    bytes_write_u64(at + 8, branch->visible_next);
    bytes_write_u64(at + 16, branch->idle_bytes);
    bytes_write_u64(at + 24, branch->held_count);
    bytes_write_u32(key, branch->log_no);
    table_put(txn, TABLE_LOGS, span_of(key, sizeof key), span_of(row, sizeof row));
}

static bool
branch_parse(struct log_branch *branch, struct span row)
{
    struct reader reader = reader_of(row);
    struct descriptor descriptor;

    if (!descriptor_read(reader_span(&reader, DESCRIPTOR_BYTES), &descriptor)) {
        return false;
    }
    branch_name(branch, &descriptor);
    branch->parent = reader_u32(&reader);
    branch->branch_first = reader_u64(&reader);
    branch->next_seq = reader_u64(&reader);
    reader_copy(&reader, branch->head_id.bytes, HASH_BYTES);
    branch->run.count = reader_u32(&reader);
    branch->run.payload_bytes = reader_u32(&reader);
    branch->visible_next = reader_u64(&reader);
    branch->idle_bytes = reader_u64(&reader);
    branch->held_count = reader_u64(&reader);
    return reader_done(&reader);
}

static enum err
held_load(struct journal *journal, struct table_txn *txn)
{
    struct buf row = { 0 };
    enum err err = table_read(txn, TABLE_META, span_text(held_row), &row);

    if (err == ERR_OK && row.size == sizeof journal->held) {
        for (size_t n = 0; n < JOURNAL_DETAILS_MAX; n++) {
            journal->held[n] = bytes_read_u64(row.data + n * 8);
        }
    } else if (err == ERR_OK) {
        err = ERR_CORRUPT;
    }
    buf_free(&row);
    return err == ERR_ABSENT ? ERR_OK : err;
}

static void
held_write(struct journal *journal, struct table_txn *txn)
{
    uint8_t row[sizeof journal->held];

    for (size_t n = 0; n < JOURNAL_DETAILS_MAX; n++) {
        bytes_write_u64(row + n * 8, journal->held[n]);
    }
    table_put(txn, TABLE_META, span_text(held_row), span_of(row, sizeof row));
    journal->held_dirty = false;
}

static enum err
journal_load(struct journal *journal, struct table_txn *txn)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    enum err err = ERR_OK;

    table_cursor_init(&cursor, txn, TABLE_LOGS, span_of(NULL, 0));
    while (err == ERR_OK && table_cursor_next(&cursor, &key, &value)) {
        struct log_branch *branch = branch_new(journal);

        if (branch == NULL) {
            err = ERR_MEMORY;
        } else if (value.data == NULL || key.size != LOG_KEY_BYTES ||
                   bytes_read_u32(key.data) != branch->log_no || !branch_parse(branch, value) ||
                   branch->parent >= branch->log_no) {
            err = ERR_CORRUPT;
        } else if (!branch_register(journal, branch)) {
            err = ERR_MEMORY;
        }
    }
    table_cursor_end(&cursor);
    if (err != ERR_OK) {
        return err;
    }
    table_cursor_init(&cursor, txn, TABLE_CHG, span_of(NULL, 0));
    if (table_cursor_last(&cursor, &key, &value) && key.size == 8) {
        journal->place_last = bytes_read_u64(key.data);
        journal->place_flushed = journal->place_last;
    }
    table_cursor_end(&cursor);
    err = held_load(journal, txn);
    return err == ERR_OK ? table_error(txn) : err;
}

enum err
journal_open(struct journal **journal_out, struct table_txn *txn)
{
    struct journal *journal = calloc(1, sizeof *journal);

    if (journal == NULL) {
        return ERR_MEMORY;
    }
    enum err err = journal_load(journal, txn);
    if (err != ERR_OK) {
        journal_close(&journal);
        return err;
    }
    *journal_out = journal;
    return ERR_OK;
}

void
journal_close(struct journal **journal_in)
{
    struct journal *journal = *journal_in;

    if (journal == NULL) {
        return;
    }
    for (uint32_t n = 0; n < journal->branch_count; n++) {
        free(journal->branches[n]);
    }
    free(journal->branches);
    free(journal->slots);
    free(journal->compartments);
    free(journal);
    *journal_in = NULL;
}

struct log_branch *
journal_log(const struct journal *journal, const struct hash *log_id)
{
    if (journal->slot_count == 0) {
        return NULL;
    }
    for (uint64_t slot = slot_of(journal, log_id->bytes); journal->slots[slot] != LOG_NONE;
         slot = (slot + 1) & (journal->slot_count - 1)) {
        struct log_branch *branch = journal->branches[journal->slots[slot] - 1];

        if (hash_equal(&branch->log_id, log_id)) {
            return branch;
        }
    }
    return NULL;
}

struct log_branch *
journal_log_by_prefix(const struct journal *journal, const uint8_t prefix[8])
{
    if (journal->slot_count == 0) {
        return NULL;
    }
    for (uint64_t slot = slot_of(journal, prefix); journal->slots[slot] != LOG_NONE;
         slot = (slot + 1) & (journal->slot_count - 1)) {
        struct log_branch *branch = journal->branches[journal->slots[slot] - 1];

        if (memcmp(branch->log_id.bytes, prefix, 8) == 0) {
            return branch;
        }
    }
    return NULL;
}

bool
journal_stores(const struct journal *journal, uint32_t log_no, uint64_t seq)
{
    if (log_no == LOG_NONE || log_no > journal_branch_count(journal)) {
        return false;
    }
    const struct log_branch *branch = journal_branch(journal, log_no);
    return seq >= branch->branch_first && seq < branch->next_seq;
}

struct log_branch *
journal_branch(const struct journal *journal, uint32_t log_no)
{
    assert(log_no >= 1 && log_no <= journal->branch_count);
    return journal->branches[log_no - 1];
}

const struct log_branch *
journal_next_of(const struct journal *journal, const struct ident *compartment,
                const struct log_branch *before)
{
    uint32_t next = LOG_NONE;

    if (before != NULL) {
        next = before->neighbour;
    } else {
        const struct compartment_logs *logs = sorted_find(by_compartment(journal), ident_span(compartment));
        next = logs == NULL ? LOG_NONE : logs->last;
    }
    return next == LOG_NONE ? NULL : journal_branch(journal, next);
}

uint32_t
journal_branch_count(const struct journal *journal)
{
    return journal->branch_count;
}

struct log_branch *
journal_begin_log(struct journal *journal, const struct descriptor *descriptor)
{
    struct log_branch *branch = branch_new(journal);

    if (branch == NULL) {
        return NULL;
    }
    branch_name(branch, descriptor);
    branch->dirty = true;
    return branch_register(journal, branch) ? branch : NULL;
}

struct log_branch *
journal_begin_branch(struct journal *journal, struct table_txn *txn, uint32_t parent, uint64_t first)
{
    struct run run = { 0, 0 };
    struct journal_entry before;

    if (first > 0) {
        if (journal_read(journal, txn, parent, first - 1, &before) != ERR_OK ||
            journal_run_before(journal, txn, parent, first, &run) != ERR_OK) {
            return NULL;
        }
    }
    struct log_branch *branch = branch_new(journal);
    if (branch == NULL) {
        return NULL;
    }
    branch_name(branch, &journal_branch(journal, parent)->descriptor);
    branch->parent = parent;
    branch->branch_first = first;
    branch->next_seq = first;
    branch->visible_next = first;
    branch->run = run;
    if (first > 0) {
        branch->head_id = before.entry.id;
    }
    branch->dirty = true;
    return branch_register(journal, branch) ? branch : NULL;
}

uint32_t
journal_stored_in(const struct journal *journal, uint32_t log_no, uint64_t seq)
{
    const struct log_branch *branch = journal_branch(journal, log_no);

    while (branch->parent != LOG_NONE && seq < branch->branch_first) {
        branch = journal_branch(journal, branch->parent);
    }
    return branch->log_no;
}

static bool
state_waits(enum entry_state state)
{
    return state == STATE_NEEDS_KEY || state == STATE_NEEDS_SCHEMA || state == STATE_NEEDS_PAYLOAD;
}

/* Of an entry that waits for its payload nothing is here that could fill a disk. */
static bool
state_idles(enum entry_state state)
{
    return state == STATE_HELD || (state_waits(state) && state != STATE_NEEDS_PAYLOAD);
}

/* Count what an entry of this state holds, or take it off again. */
static void
count_idle(struct journal *journal, struct log_branch *branch, enum entry_state state, uint8_t detail,
           uint64_t payload_bytes, bool on)
{
    if (!state_idles(state)) {
        return;
    }
    if (on) {
        branch->idle_bytes += payload_bytes;
    } else {
        branch->idle_bytes -= payload_bytes < branch->idle_bytes ? payload_bytes : branch->idle_bytes;
    }
    if (state == STATE_HELD) {
        uint64_t *held = &journal->held[detail % JOURNAL_DETAILS_MAX];

        if (on) {
            branch->held_count++;
            ++*held;
        } else {
            branch->held_count -= branch->held_count > 0;
            *held -= *held > 0;
        }
        journal->held_dirty = true;
    }
}

/* What stands for a payload that is not in the row. Gives its size. */
static size_t
stub_write(uint8_t *at, const struct entry *entry, const struct ident *order)
{
    memcpy(at, entry->payload_hash.bytes, HASH_BYTES);
    bytes_write_u32(at + HASH_BYTES, entry->payload_size);
    if (order == NULL) {
        return STUB_BYTES;
    }
    memcpy(at + STUB_BYTES, order->bytes, IDENT_BYTES);
    return ERASED_BYTES;
}

static void
append_place(struct journal *journal, struct table_txn *txn, const uint8_t row[ENTRY_KEY_BYTES])
{
    uint8_t place[8];

    journal->place_last++;
    bytes_write_u64(place, journal->place_last);
    table_put(txn, TABLE_CHG, span_of(place, sizeof place), span_of(row, ENTRY_KEY_BYTES));
}

void
journal_append_record(struct journal *journal, struct table_txn *txn, uint32_t record_no)
{
    uint8_t row[ENTRY_KEY_BYTES];
    uint32_t log_no;
    uint64_t last;

    if (journal->place_last > journal->place_flushed &&
        journal_at(txn, journal->place_last, &log_no, &last) == ERR_OK && log_no == LOG_NONE &&
        last == record_no) {
        return;
    }
    entry_key(row, LOG_NONE, record_no);
    append_place(journal, txn, row);
}

static struct known_tag *
tag_slot(struct journal *journal, uint32_t log_no, uint64_t seq)
{
    return &journal->tags[(seq ^ (uint64_t)log_no * 0x9e3779b1) % TAG_SLOTS];
}

/* Write the row of an entry. Of an erased one `order` says by which; else it is NULL. */
static void
row_put(struct table_txn *txn, const struct log_branch *branch, const struct entry *entry,
        enum entry_state state, uint8_t detail, const struct ident *order)
{
    uint8_t key[ENTRY_KEY_BYTES];
    uint8_t row[ENTRY_ROW_HEAD_BYTES + PAYLOAD_BYTES_MAX];
    bool stub = entry->payload.data == NULL || entry->kind == ENTRY_KEY || order != NULL;

    row[0] = (uint8_t)(state | (stub ? STUB_BIT : 0));
    row[1] = detail;
    row[2] = (uint8_t)(entry->kind << 4 | entry->flags);
    memcpy(row + 3, entry->epoch, 4);
    memcpy(row + 7, entry->salt, 8);
    memcpy(row + 15, entry->reference, 16);
    memcpy(row + ENTRY_ROW_TAG_AT, entry->id.bytes, 4);
    size_t size = ENTRY_ROW_HEAD_BYTES;
    if (stub) {
        size += stub_write(row + size, entry, order);
    } else {
        memcpy(row + size, entry->payload.data, entry->payload.size);
        size += entry->payload.size;
    }
    entry_key(key, branch->log_no, entry->seq);
    table_put(txn, TABLE_ENT, span_of(key, sizeof key), span_of(row, size));
}

/* `order` is NULL but of an erased entry. */
static uint64_t
append(struct journal *journal, struct table_txn *txn, struct log_branch *branch, const struct entry *entry,
       enum entry_state state, uint8_t detail, const struct ident *order)
{
    uint8_t key[ENTRY_KEY_BYTES];

    assert(entry->seq == branch->next_seq);
    /* The signature of the head is kept only where a run ends. */
    if (branch->next_seq > branch->branch_first && !branch->head_unsigned &&
        !run_breaks(&branch->run, entry->payload_size)) {
        entry_key(key, branch->log_no, branch->next_seq - 1);
        table_delete(txn, TABLE_SIG, span_of(key, sizeof key));
    }
    row_put(txn, branch, entry, state, detail, order);
    entry_key(key, branch->log_no, entry->seq);
    append_place(journal, txn, key);
    struct known_tag *known = tag_slot(journal, branch->log_no, entry->seq);
    *known = (struct known_tag){ .log_no = branch->log_no, .seq = entry->seq };
    memcpy(known->tag, entry->id.bytes, sizeof known->tag);

    if (branch->visible_next == branch->next_seq && !state_waits(state)) {
        branch->visible_next++;
    }
    branch->pending_count += state_waits(state);
    branch->absent_count += state == STATE_NEEDS_PAYLOAD;
    count_idle(journal, branch, state, detail, entry->payload_size, true);
    run_step(&branch->run, entry->payload_size);
    branch->next_seq++;
    branch->head_id = entry->id;
    branch->head_unsigned = true;
    branch->dirty = true;
    return journal->place_last;
}

uint64_t
journal_append(struct journal *journal, struct table_txn *txn, struct log_branch *branch,
               const struct entry *entry, enum entry_state state, uint8_t detail)
{
    assert(state != STATE_ERASED);
    return append(journal, txn, branch, entry, state, detail, NULL);
}

uint64_t
journal_append_erased(struct journal *journal, struct table_txn *txn, struct log_branch *branch,
                      const struct entry *entry, const struct ident *order)
{
    return append(journal, txn, branch, entry, STATE_ERASED, 0, order);
}

void
journal_keep_signature(struct journal *journal, struct table_txn *txn, struct log_branch *branch,
                       const uint8_t signature[SIGNATURE_BYTES])
{
    uint8_t key[ENTRY_KEY_BYTES];
    uint8_t row[SIGNATURE_ROW_BYTES];

    (void)journal;
    assert(branch->next_seq > branch->branch_first);
    entry_key(key, branch->log_no, branch->next_seq - 1);
    memcpy(row, branch->head_id.bytes, HASH_BYTES);
    memcpy(row + HASH_BYTES, signature, SIGNATURE_BYTES);
    table_put(txn, TABLE_SIG, span_of(key, sizeof key), span_of(row, sizeof row));
    branch->head_unsigned = false;
}

void
journal_flush(struct journal *journal, struct table_txn *txn)
{
    for (uint32_t n = 0; n < journal->branch_count; n++) {
        struct log_branch *branch = journal->branches[n];

        if (branch->dirty) {
            branch_write(txn, branch);
            branch->dirty = false;
        }
    }
    if (journal->held_dirty) {
        held_write(journal, txn);
    }
    journal->place_flushed = journal->place_last;
}

/* The row of an entry, checked for its shape. */
static enum err
entry_row(struct table_txn *txn, uint32_t log_no, uint64_t seq, struct span *row_out)
{
    uint8_t key[ENTRY_KEY_BYTES];

    entry_key(key, log_no, seq);
    enum err err = table_get(txn, TABLE_ENT, span_of(key, sizeof key), row_out);
    if (err != ERR_OK) {
        return err;
    }
    if (row_out->size < ENTRY_ROW_HEAD_BYTES || (row_out->data[0] & ~STUB_BIT) >= STATE_COUNT) {
        return ERR_CORRUPT;
    }
    bool stub = (row_out->data[0] & STUB_BIT) != 0;
    bool erased = (row_out->data[0] & ~STUB_BIT) == STATE_ERASED;
    size_t stub_bytes = erased ? ERASED_BYTES : STUB_BYTES;
    if ((erased && !stub) || (stub && row_out->size != ENTRY_ROW_HEAD_BYTES + stub_bytes)) {
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

/* What a row says; prev and id are still to be found. */
static void
entry_of_row(struct journal_entry *out, struct span row, const struct log_branch *branch, uint64_t seq)
{
    struct entry *entry = &out->entry;

    out->state = (enum entry_state)(row.data[0] & ~STUB_BIT);
    out->detail = row.data[1];
    out->log_no = branch->log_no;
    entry->kind = row.data[2] >> 4;
    entry->flags = row.data[2] & 15;
    entry->lane = branch->descriptor.lane;
    entry->seq = seq;
    memcpy(entry->epoch, row.data + 3, 4);
    memcpy(entry->salt, row.data + 7, 8);
    memcpy(entry->reference, row.data + 15, 16);
    struct span rest = span_of(row.data + ENTRY_ROW_HEAD_BYTES, row.size - ENTRY_ROW_HEAD_BYTES);
    memset(&out->order, 0, sizeof out->order);
    if (out->state == STATE_ERASED) {
        memcpy(out->order.bytes, rest.data + STUB_BYTES, IDENT_BYTES);
    }
    if ((row.data[0] & STUB_BIT) != 0) {
        memcpy(entry->payload_hash.bytes, rest.data, HASH_BYTES);
        entry->payload_size = bytes_read_u32(rest.data + HASH_BYTES);
        entry->payload = span_of(NULL, 0);
    } else {
        entry->payload = rest;
        entry->payload_size = (uint32_t)rest.size;
        entry_hash_payload(&entry->payload_hash, rest);
    }
}

enum err
journal_tag(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq, uint8_t tag_out[4])
{
    uint32_t stored_in = journal_stored_in(journal, log_no, seq);
    struct known_tag *known = tag_slot(journal, stored_in, seq);
    struct span row;

    if (stored_in == LOG_NONE || known->log_no != stored_in || known->seq != seq) {
        enum err err = entry_row(txn, stored_in, seq, &row);
        if (err != ERR_OK) {
            return err;
        }
        *known = (struct known_tag){ .log_no = stored_in, .seq = seq };
        memcpy(known->tag, row.data + ENTRY_ROW_TAG_AT, sizeof known->tag);
    }
    memcpy(tag_out, known->tag, sizeof known->tag);
    return ERR_OK;
}

/* The nearest place at or before `seq`, on the way down from it, whose id is known without
 * hashing: a kept signature. Gives false when there is none and hashing starts at seq 0. */
static bool
anchor_before(const struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
              uint64_t *seq_out, struct hash *id_out)
{
    for (uint32_t at = journal_stored_in(journal, log_no, seq); at != LOG_NONE;) {
        const struct log_branch *branch = journal_branch(journal, at);
        uint64_t low = seq > RUN_ENTRIES_MAX ? seq - RUN_ENTRIES_MAX : 0;
        bool found = false;

        if (low < branch->branch_first) {
            low = branch->branch_first;
        }
        uint8_t key[ENTRY_KEY_BYTES];
        struct table_cursor cursor;
        struct span row_key;
        struct span row;

        entry_key(key, at, low);
        table_cursor_init(&cursor, txn, TABLE_SIG, span_of(key, 4));
        for (bool more = table_cursor_seek(&cursor, span_of(key, sizeof key), &row_key, &row);
             more && row_key.size == ENTRY_KEY_BYTES && bytes_read_u64(row_key.data + 4) <= seq;
             more = table_cursor_next(&cursor, &row_key, &row)) {
            if (row.data != NULL && row.size == SIGNATURE_ROW_BYTES) {
                found = true;
                *seq_out = bytes_read_u64(row_key.data + 4);
                memcpy(id_out->bytes, row.data, HASH_BYTES);
            }
        }
        table_cursor_end(&cursor);
        if (found) {
            return true;
        }
        if (branch->parent == LOG_NONE || branch->branch_first == 0) {
            return false;
        }
        /* Not within this branch: look on below the place where it leaves its parent. */
        if (seq >= branch->branch_first) {
            seq = branch->branch_first - 1;
        }
        at = journal_stored_in(journal, branch->parent, seq);
    }
    return false;
}

/* Compute forward from a known place to the entry `seq`, whose row must be there. */
static enum err
walk_to(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq, struct hash *before)
{
    struct hash id = { { 0 } };
    uint64_t next = 0;
    uint32_t stored = journal_stored_in(journal, log_no, seq);

    if (journal->walk.log_no == stored && journal->walk.seq == seq) {
        *before = journal->walk.before;
        return ERR_OK;
    }
    if (journal->walk.log_no == stored && journal->walk.seq < seq &&
        seq - journal->walk.seq <= RUN_ENTRIES_MAX &&
        journal->walk.seq >= journal_branch(journal, stored)->branch_first) {
        id = journal->walk.id;
        next = journal->walk.seq + 1;
    } else if (seq > 0 && anchor_before(journal, txn, log_no, seq - 1, &next, &id)) {
        next++;
    } else {
        memset(&id, 0, sizeof id);
        next = 0;
    }
    for (; next < seq; next++) {
        struct journal_entry entry;
        struct span row;
        const struct log_branch *branch = journal_branch(journal, journal_stored_in(journal, log_no, next));
        enum err err = entry_row(txn, branch->log_no, next, &row);

        if (err != ERR_OK) {
            return err == ERR_ABSENT ? ERR_CORRUPT : err;
        }
        entry_of_row(&entry, row, branch, next);
        entry.entry.prev = id;
        entry_identify(&entry.entry, &branch->log_id);
        if (memcmp(entry.entry.id.bytes, row.data + ENTRY_ROW_TAG_AT, 4) != 0) {
            return ERR_CORRUPT;
        }
        id = entry.entry.id;
    }
    *before = id;
    return ERR_OK;
}

static enum err
read_entry(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
           struct journal_entry *out)
{
    struct span row;
    const struct log_branch *branch = journal_branch(journal, journal_stored_in(journal, log_no, seq));
    enum err err = entry_row(txn, branch->log_no, seq, &row);

    if (err != ERR_OK) {
        return err;
    }
    err = walk_to(journal, txn, log_no, seq, &out->entry.prev);
    if (err == ERR_CORRUPT && journal->walk.log_no != LOG_NONE) {
        /* What is damaged may lie between the last walk's end and the signature that is nearer. */
        journal->walk.log_no = LOG_NONE;
        err = walk_to(journal, txn, log_no, seq, &out->entry.prev);
        if (err == ERR_OK) {
            err = entry_row(txn, branch->log_no, seq, &row);
        }
    }
    if (err != ERR_OK) {
        return err;
    }
    entry_of_row(out, row, branch, seq);
    entry_identify(&out->entry, &branch->log_id);
    if (memcmp(out->entry.id.bytes, row.data + ENTRY_ROW_TAG_AT, 4) != 0) {
        return ERR_CORRUPT;
    }
    journal->walk = (struct walk){ branch->log_no, seq, out->entry.id, out->entry.prev };
    return ERR_OK;
}

enum err
journal_read(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
             struct journal_entry *out)
{
    /* Rows that name an entry outlive a damaged row of its log. */
    if (log_no == LOG_NONE || log_no > journal->branch_count) {
        return ERR_CORRUPT;
    }
    enum err err = read_entry(journal, txn, log_no, seq, out);

    if ((err == ERR_CORRUPT || err == ERR_ABSENT) && seq < journal_branch(journal, log_no)->next_seq) {
        journal_branch(journal, journal_stored_in(journal, log_no, seq))->lacks |= LACKS_ENTRIES;
    }
    return err;
}

enum err
journal_run_before(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
                   struct run *run_out)
{
    struct hash id;
    struct run run = { 0, 0 };
    uint64_t next = 0;

    if (seq == journal_branch(journal, log_no)->next_seq) {
        *run_out = journal_branch(journal, log_no)->run;
        return ERR_OK;
    }
    /* A kept signature ends a run only where an entry of the same branch comes after it: elsewhere it was the
     * tip, or the run of the branch that left there goes on. */
    for (uint64_t below = seq; below > 1;) {
        if (!anchor_before(journal, txn, log_no, below - 2, &next, &id)) {
            next = 0;
            break;
        }
        next++;
        if (journal_stored_in(journal, log_no, next) == journal_stored_in(journal, log_no, next - 1)) {
            break;
        }
        below = next;
    }
    for (; next < seq; next++) {
        struct journal_entry entry;
        struct span row;
        uint32_t stored = journal_stored_in(journal, log_no, next);
        enum err err = entry_row(txn, stored, next, &row);

        if (err != ERR_OK) {
            return err;
        }
        entry_of_row(&entry, row, journal_branch(journal, stored), next);
        run_step(&run, entry.entry.payload_size);
    }
    *run_out = run;
    return ERR_OK;
}

enum err
journal_state(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
              enum entry_state *state_out)
{
    struct span row;
    enum err err = entry_row(txn, journal_stored_in(journal, log_no, seq), seq, &row);

    if (err == ERR_OK) {
        *state_out = (enum entry_state)(row.data[0] & ~STUB_BIT);
    }
    return err;
}

enum err
journal_flags(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
              uint8_t *flags_out)
{
    struct span row;
    enum err err = entry_row(txn, journal_stored_in(journal, log_no, seq), seq, &row);

    if (err == ERR_OK) {
        *flags_out = row.data[2] & 15;
    }
    return err;
}

/* An entry goes from one state to another: the marks of its branch follow. */
static void
count_state(struct log_branch *branch, uint64_t seq, enum entry_state before, enum entry_state after)
{
    if (state_waits(before) && !state_waits(after) && branch->pending_count > 0) {
        branch->pending_count--;
    } else if (!state_waits(before) && state_waits(after)) {
        branch->pending_count++;
        if (branch->visible_next > seq) {
            branch->visible_next = seq;
        }
    }
    if (branch->pending_count == 0) {
        branch->visible_next = branch->next_seq;
    }
    branch->absent_count -= before == STATE_NEEDS_PAYLOAD && branch->absent_count > 0;
    branch->absent_count += after == STATE_NEEDS_PAYLOAD;
    branch->dirty = true;
}

enum err
journal_set_state(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
                  enum entry_state state, uint8_t detail)
{
    struct span row;
    enum err err = entry_row(txn, log_no, seq, &row);

    if (err != ERR_OK) {
        return err;
    }
    uint8_t copy[ENTRY_ROW_HEAD_BYTES + PAYLOAD_BYTES_MAX];
    uint8_t key[ENTRY_KEY_BYTES];
    size_t size = row.size;
    struct log_branch *branch = journal_branch(journal, log_no);
    enum entry_state before = (enum entry_state)(row.data[0] & ~STUB_BIT);
    uint8_t detail_before = row.data[1];
    uint64_t payload_bytes = (row.data[0] & STUB_BIT) != 0
                                 ? bytes_read_u32(row.data + ENTRY_ROW_HEAD_BYTES + HASH_BYTES)
                                 : row.size - ENTRY_ROW_HEAD_BYTES;

    assert(state != STATE_ERASED);
    if (before == STATE_ERASED) {
        return ERR_OK;
    }
    if (size > sizeof copy) {
        return ERR_CORRUPT;
    }
    memcpy(copy, row.data, size);
    copy[0] = (uint8_t)((copy[0] & STUB_BIT) | state);
    copy[1] = detail;
    entry_key(key, log_no, seq);
    table_put(txn, TABLE_ENT, span_of(key, sizeof key), span_of(copy, size));
    count_idle(journal, branch, before, detail_before, payload_bytes, false);
    count_idle(journal, branch, state, detail, payload_bytes, true);
    count_state(branch, seq, before, state);
    return table_error(txn);
}

enum err
journal_put_payload(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
                    struct span payload)
{
    uint8_t copy[ENTRY_ROW_HEAD_BYTES + PAYLOAD_BYTES_MAX];
    uint8_t key[ENTRY_KEY_BYTES];
    struct span row;
    enum err err = entry_row(txn, log_no, seq, &row);

    (void)journal;
    if (err != ERR_OK) {
        return err;
    }
    if (row.data[0] != (STATE_NEEDS_PAYLOAD | STUB_BIT) || payload.size > PAYLOAD_BYTES_MAX) {
        return ERR_INVALID;
    }
    memcpy(copy, row.data, ENTRY_ROW_HEAD_BYTES);
    copy[0] = STATE_NEEDS_PAYLOAD;
    memcpy(copy + ENTRY_ROW_HEAD_BYTES, payload.data, payload.size);
    entry_key(key, log_no, seq);
    table_put(txn, TABLE_ENT, span_of(key, sizeof key), span_of(copy, ENTRY_ROW_HEAD_BYTES + payload.size));
    return table_error(txn);
}

/* In the place of a row that does not verify: nothing of it is known but the order that destroyed it. What it
 * says hashes to no id, so it is met as damage ever after. */
static enum err
erase_damaged(struct table_txn *txn, struct span key, const struct ident *order)
{
    uint8_t row[ENTRY_ROW_HEAD_BYTES + ERASED_BYTES] = { STATE_ERASED | STUB_BIT };
    struct entry nothing = { .payload_size = SEAL_BYTES };

    (void)stub_write(row + ENTRY_ROW_HEAD_BYTES, &nothing, order);
    table_put(txn, TABLE_ENT, key, span_of(row, sizeof row));
    return table_error(txn) == ERR_OK ? ERR_CORRUPT : table_error(txn);
}

enum err
journal_erase(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
              const struct ident *order)
{
    uint8_t copy[ENTRY_ROW_HEAD_BYTES + ERASED_BYTES];
    uint8_t key[ENTRY_KEY_BYTES];
    struct log_branch *branch = journal_branch(journal, log_no);
    struct journal_entry stored;
    struct span row;
    enum err err = entry_row(txn, log_no, seq, &row);

    entry_key(key, log_no, seq);
    if (err == ERR_CORRUPT) {
        return erase_damaged(txn, span_of(key, sizeof key), order);
    }
    if (err != ERR_OK) {
        return err;
    }
    entry_of_row(&stored, row, branch, seq);
    if (stored.state == STATE_ERASED) {
        return ERR_OK;
    }
    memcpy(copy, row.data, ENTRY_ROW_HEAD_BYTES);
    copy[0] = STATE_ERASED | STUB_BIT;
    copy[1] = 0;
    (void)stub_write(copy + ENTRY_ROW_HEAD_BYTES, &stored.entry, order);
    table_put(txn, TABLE_ENT, span_of(key, sizeof key), span_of(copy, sizeof copy));
    count_idle(journal, branch, stored.state, stored.detail, stored.entry.payload_size, false);
    count_state(branch, seq, stored.state, STATE_ERASED);
    return table_error(txn);
}

/* --- what was damaged --- */

bool
journal_is_whole(struct journal *journal, struct table_txn *txn, uint32_t log_no, const struct entry *entry)
{
    struct journal_entry stored = { .state = STATE_MERGED };
    struct span row;

    if (entry_row(txn, log_no, entry->seq, &row) != ERR_OK) {
        return false;
    }
    entry_of_row(&stored, row, journal_branch(journal, log_no), entry->seq);
    return stored.entry.kind == entry->kind && stored.entry.flags == entry->flags &&
           stored.entry.payload_size == entry->payload_size &&
           hash_equal(&stored.entry.payload_hash, &entry->payload_hash) &&
           memcmp(stored.entry.epoch, entry->epoch, sizeof entry->epoch) == 0 &&
           memcmp(stored.entry.salt, entry->salt, sizeof entry->salt) == 0 &&
           memcmp(stored.entry.reference, entry->reference, sizeof entry->reference) == 0 &&
           memcmp(row.data + ENTRY_ROW_TAG_AT, entry->id.bytes, 4) == 0;
}

bool
journal_row_reads(struct table_txn *txn, uint32_t log_no, uint64_t seq)
{
    struct span row;

    return entry_row(txn, log_no, seq, &row) == ERR_OK;
}

/* The id that a signature was kept for, which its author made: a row that was replaced proves nothing. */
static bool
signed_id(const struct log_branch *branch, struct table_txn *txn, uint64_t seq, struct hash *id_out)
{
    uint8_t key[ENTRY_KEY_BYTES];
    struct span row;

    entry_key(key, branch->log_no, seq);
    if (table_get(txn, TABLE_SIG, span_of(key, sizeof key), &row) != ERR_OK ||
        row.size != SIGNATURE_ROW_BYTES) {
        return false;
    }
    memcpy(id_out->bytes, row.data, HASH_BYTES);
    return crypto_verify(row.data + HASH_BYTES, branch->descriptor.sign_pk, "VIGIL1ENTRY", id_out);
}

bool
journal_is_signed(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq)
{
    struct hash id;

    return signed_id(journal_branch(journal, log_no), txn, seq, &id);
}

enum err
journal_prove(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
              const struct hash *id)
{
    const struct log_branch *branch = journal_branch(journal, log_no);
    struct hash at = *id;
    struct hash kept;

    for (;; seq++) {
        struct journal_entry next = { .state = STATE_MERGED };
        struct span row;

        if (signed_id(branch, txn, seq, &kept)) {
            return hash_equal(&kept, &at) ? ERR_OK : ERR_INVALID;
        }
        if (seq + 1 == branch->next_seq) {
            return hash_equal(&branch->head_id, &at) ? ERR_OK : ERR_INVALID;
        }
        if (entry_row(txn, log_no, seq + 1, &row) != ERR_OK) {
            return ERR_CORRUPT;
        }
        entry_of_row(&next, row, branch, seq + 1);
        next.entry.prev = at;
        entry_identify(&next.entry, &branch->log_id);
        if (memcmp(next.entry.id.bytes, row.data + ENTRY_ROW_TAG_AT, 4) != 0) {
            return ERR_INVALID;
        }
        at = next.entry.id;
    }
}

void
journal_put_back(struct journal *journal, struct table_txn *txn, uint32_t log_no, const struct entry *entry,
                 enum entry_state state, const struct ident *order)
{
    struct log_branch *branch = journal_branch(journal, log_no);

    assert(entry->seq >= branch->branch_first && entry->seq < branch->next_seq);
    assert((state == STATE_ERASED) == (order != NULL));
    row_put(txn, branch, entry, state, 0, order);
    /* What was computed by way of a row that is another now is computed anew. */
    journal->walk.log_no = LOG_NONE;
    tag_slot(journal, log_no, entry->seq)->log_no = LOG_NONE;
    branch->dirty = true;
}

void
journal_put_back_signature(struct table_txn *txn, uint32_t log_no, uint64_t seq, const struct hash *id,
                           const uint8_t signature[SIGNATURE_BYTES])
{
    uint8_t key[ENTRY_KEY_BYTES];
    uint8_t row[SIGNATURE_ROW_BYTES];

    entry_key(key, log_no, seq);
    memcpy(row, id->bytes, HASH_BYTES);
    memcpy(row + HASH_BYTES, signature, SIGNATURE_BYTES);
    table_put(txn, TABLE_SIG, span_of(key, sizeof key), span_of(row, sizeof row));
}

/* Which entries have a place: a bit for each of every branch, in the order of log_no. */
struct placed {
    uint64_t *first; /* by log_no - 1: the bit of branch_first */
    uint8_t *bits;
    uint64_t count;
};

/* Note that the entry has a place. False: there is no such entry, or it has one. */
static bool
placed_note(const struct journal *journal, const struct placed *placed, uint32_t log_no, uint64_t seq)
{
    if (log_no == LOG_NONE || log_no > journal->branch_count) {
        return false;
    }
    const struct log_branch *branch = journal->branches[log_no - 1];
    if (seq < branch->branch_first || seq >= branch->next_seq) {
        return false;
    }
    uint64_t bit = placed->first[log_no - 1] + seq - branch->branch_first;
    if ((placed->bits[bit / 8] >> (bit % 8) & 1) != 0) {
        return false;
    }
    placed->bits[bit / 8] |= (uint8_t)(1u << (bit % 8));
    return true;
}

/* The next entry without a place, from (*log_no, *seq) on. False: there is none. */
static bool
placed_next_without(const struct journal *journal, const struct placed *placed, uint32_t *log_no,
                    uint64_t *seq)
{
    for (; *log_no <= journal->branch_count; ++*log_no, *seq = 0) {
        const struct log_branch *branch = journal->branches[*log_no - 1];

        *seq = *seq < branch->branch_first ? branch->branch_first : *seq;
        for (; *seq < branch->next_seq; ++*seq) {
            uint64_t bit = placed->first[*log_no - 1] + *seq - branch->branch_first;

            if ((placed->bits[bit / 8] >> (bit % 8) & 1) == 0) {
                return true;
            }
        }
    }
    return false;
}

enum err
journal_mend_places(struct journal *journal, struct table_txn *txn, uint64_t *count_out)
{
    struct placed placed = { .first = calloc((size_t)journal->branch_count + 1, sizeof *placed.first) };
    struct buf lost = { 0 }; /* places that name nothing, u64 each */
    uint32_t log_no;
    uint64_t seq;

    *count_out = 0;
    for (uint32_t n = 0; placed.first != NULL && n < journal->branch_count; n++) {
        placed.first[n] = placed.count;
        placed.count += journal->branches[n]->next_seq - journal->branches[n]->branch_first;
    }
    placed.bits = calloc((size_t)(placed.count / 8 + 1), 1);
    bool failed = placed.first == NULL || placed.bits == NULL;
    for (uint64_t place = 1; !failed && place <= journal->place_last; place++) {
        enum err err = journal_at(txn, place, &log_no, &seq);

        if (err != ERR_OK || (log_no != LOG_NONE && !placed_note(journal, &placed, log_no, seq))) {
            uint8_t number[8];

            bytes_write_u64(number, place);
            buf_put_span(&lost, span_of(number, sizeof number));
        }
        failed = lost.failed;
    }
    log_no = 1;
    seq = 0;
    for (size_t at = 0; !failed && at < lost.size; at += 8, ++*count_out) {
        uint8_t row[ENTRY_KEY_BYTES];
        bool found = placed_next_without(journal, &placed, &log_no, &seq);

        entry_key(row, found ? log_no : LOG_NONE, found ? seq : 0);
        table_put(txn, TABLE_CHG, span_of(lost.data + at, 8), span_of(row, sizeof row));
        seq += found;
    }
    for (; !failed && placed_next_without(journal, &placed, &log_no, &seq); seq++, ++*count_out) {
        uint8_t row[ENTRY_KEY_BYTES];

        entry_key(row, log_no, seq);
        append_place(journal, txn, row);
    }
    free(placed.first);
    free(placed.bits);
    buf_free(&lost);
    return failed ? ERR_MEMORY : table_error(txn);
}

void
journal_recount(struct journal *journal, struct table_txn *txn)
{
    memset(journal->held, 0, sizeof journal->held);
    journal->held_dirty = true;
    for (uint32_t n = 0; n < journal->branch_count; n++) {
        struct log_branch *branch = journal->branches[n];
        bool counted = branch->held_count > 0 || branch->idle_bytes > 0;

        branch->held_count = 0;
        branch->idle_bytes = 0;
        for (uint64_t seq = branch->branch_first; counted && seq < branch->next_seq; seq++) {
            struct journal_entry stored = { .state = STATE_MERGED };
            struct span row;

            if (entry_row(txn, branch->log_no, seq, &row) == ERR_OK) {
                entry_of_row(&stored, row, branch, seq);
                count_idle(journal, branch, stored.state, stored.detail, stored.entry.payload_size, true);
            }
        }
        branch->dirty = branch->dirty || counted;
    }
}

/* --- after a salvage --- */

bool
journal_row_says_more(enum table_id table, struct span one, struct span other)
{
    enum { NEXT_AT = DESCRIPTOR_BYTES + 4 + 8 };

    if (table == TABLE_LOGS) {
        return one.size == LOG_ROW_BYTES && other.size == LOG_ROW_BYTES &&
               bytes_read_u64(other.data + NEXT_AT) > bytes_read_u64(one.data + NEXT_AT);
    }
    if (one.size < ENTRY_ROW_HEAD_BYTES || other.size < ENTRY_ROW_HEAD_BYTES) {
        return false;
    }
    bool one_erased = (one.data[0] & ~STUB_BIT) == STATE_ERASED;
    bool other_erased = (other.data[0] & ~STUB_BIT) == STATE_ERASED;
    bool one_absent = one.data[0] == (STATE_NEEDS_PAYLOAD | STUB_BIT);
    return (other_erased && !one_erased) || (one_absent && other.data[0] == STATE_NEEDS_PAYLOAD);
}

/* The last entry of log `log_no` whose row is here; false: none is. */
static bool
last_row(struct table_txn *txn, enum table_id table, uint32_t log_no, uint64_t *seq_out)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint8_t prefix[LOG_KEY_BYTES];

    bytes_write_u32(prefix, log_no);
    table_cursor_init(&cursor, txn, table, span_of(prefix, sizeof prefix));
    bool found = table_cursor_last(&cursor, &key, &value) && key.size == ENTRY_KEY_BYTES;
    *seq_out = found ? bytes_read_u64(key.data + 4) : 0;
    table_cursor_end(&cursor);
    return found;
}

/* The highest number of a log that any row names. */
static uint32_t
last_log(struct table_txn *txn)
{
    static const enum table_id tables[] = { TABLE_LOGS, TABLE_ENT, TABLE_SIG };
    uint32_t last = LOG_NONE;

    for (size_t n = 0; n < sizeof tables / sizeof tables[0]; n++) {
        struct table_cursor cursor;
        struct span key;
        struct span value;

        table_cursor_init(&cursor, txn, tables[n], span_of(NULL, 0));
        if (table_cursor_last(&cursor, &key, &value) && key.size >= LOG_KEY_BYTES &&
            bytes_read_u32(key.data) > last) {
            last = bytes_read_u32(key.data);
        }
        table_cursor_end(&cursor);
    }
    return last;
}

/* Read the row of a log. False: it is lost, or says what cannot be of the logs before it. */
static bool
log_row_reads(struct journal *journal, struct table_txn *txn, struct log_branch *branch)
{
    struct buf row = { 0 };
    uint8_t key[LOG_KEY_BYTES];
    uint32_t log_no = branch->log_no;

    bytes_write_u32(key, log_no);
    bool good = table_read(txn, TABLE_LOGS, span_of(key, sizeof key), &row) == ERR_OK &&
                branch_parse(branch, buf_span(&row)) && branch->parent < log_no;
    if (good && branch->parent != LOG_NONE) {
        const struct log_branch *parent = journal_branch(journal, branch->parent);
        good = hash_equal(&parent->log_id, &branch->log_id) && parent->next_seq >= branch->branch_first;
    }
    buf_free(&row);
    return good;
}

/* The entry `seq` whose prev is `before`, if its row is here and is that of this log. */
static bool
row_follows(struct table_txn *txn, const struct log_branch *branch, uint64_t seq, const struct hash *before,
            struct journal_entry *out)
{
    struct span row;

    if (entry_row(txn, branch->log_no, seq, &row) != ERR_OK) {
        return false;
    }
    entry_of_row(out, row, branch, seq);
    out->entry.prev = *before;
    entry_identify(&out->entry, &branch->log_id);
    return memcmp(out->entry.id.bytes, row.data + ENTRY_ROW_TAG_AT, 4) == 0;
}

/* True if the rows with this number are those of a log of this name: one hashes on from the beginning, or from a signature, and a signature is
 * its author's. Of a row only four bytes of its id are known, which may be the same by chance; a signature is not. */
static bool
is_called(struct table_txn *txn, struct log_branch *branch, const struct descriptor *descriptor)
{
    struct hash id = { { 0 } };
    struct journal_entry next;
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint8_t prefix[LOG_KEY_BYTES];
    bool is_signed = false;

    branch_name(branch, descriptor);
    bytes_write_u32(prefix, branch->log_no);
    bool follows = row_follows(txn, branch, 0, &id, &next);
    table_cursor_init(&cursor, txn, TABLE_SIG, span_of(prefix, sizeof prefix));
    while ((!is_signed || !follows) && table_cursor_next(&cursor, &key, &value)) {
        uint64_t seq = key.size == ENTRY_KEY_BYTES ? bytes_read_u64(key.data + 4) : 0;

        if (key.size == ENTRY_KEY_BYTES && signed_id(branch, txn, seq, &id)) {
            is_signed = true;
            follows = follows || row_follows(txn, branch, seq + 1, &id, &next);
        }
    }
    table_cursor_end(&cursor);
    return is_signed && follows;
}

/* Find out of whom and of where a log is whose row is lost. */
static bool
find_name(struct table_txn *txn, struct log_branch *branch, const struct journal_names *names)
{
    uint64_t last;

    if (!last_row(txn, TABLE_ENT, branch->log_no, &last)) {
        return false;
    }
    for (size_t n = 0; n < names->author_count; n++) {
        for (size_t k = 0; k < names->compartment_count; k++) {
            for (uint8_t lane = 0; lane < LANE_COUNT; lane++) {
                struct descriptor descriptor = names->authors[n];

                descriptor.compartment = names->compartments[k];
                descriptor.lane = lane;
                if (is_called(txn, branch, &descriptor)) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* Nothing of it stays but its number. */
static void
drop_log(struct table_txn *txn, struct log_branch *branch, const struct journal_names *names,
         struct journal_mended *mended)
{
    struct descriptor nobody = names->nobody;
    uint32_t log_no = branch->log_no;
    uint8_t prefix[LOG_KEY_BYTES];
    struct table_cursor cursor;
    struct span key;
    struct span value;

    bytes_write_u32(prefix, log_no);
    table_cursor_init(&cursor, txn, TABLE_ENT, span_of(prefix, sizeof prefix));
    while (table_cursor_next(&cursor, &key, &value)) {
        mended->entries++;
    }
    table_cursor_end(&cursor);
    table_clear(txn, TABLE_ENT, span_of(prefix, sizeof prefix));
    table_clear(txn, TABLE_SIG, span_of(prefix, sizeof prefix));
    shelf_forget_log(txn, log_no);
    world_random(names->world, nobody.incarnation, sizeof nobody.incarnation);
    memset(branch, 0, sizeof *branch);
    branch->log_no = log_no;
    branch_name(branch, &nobody);
    mended->dropped++;
}

/* Have a branch go as far as its rows do. Where some are lacking between, a signature says where it goes on: they come again. */
static void
lengthen(struct table_txn *txn, struct log_branch *branch)
{
    uint64_t last;
    struct hash id;

    if (!last_row(txn, TABLE_ENT, branch->log_no, &last)) {
        return;
    }
    while (branch->next_seq <= last) {
        struct journal_entry next;
        uint64_t seq = branch->next_seq;

        if (row_follows(txn, branch, seq, &branch->head_id, &next)) {
            run_step(&branch->run, next.entry.payload_size);
            branch->head_id = next.entry.id;
        } else {
            while (seq <= last && !signed_id(branch, txn, seq, &id)) {
                seq++;
            }
            if (seq > last) {
                break;
            }
            branch->head_id = id;
        }
        branch->next_seq = seq + 1;
        branch->held_count = 1; /* have it counted anew: journal_recount */
        branch->dirty = true;
    }
}

/* Remove what lies behind a branch's end, and signatures where no run ends: of a time that is over. */
static void
trim(struct table_txn *txn, const struct log_branch *branch)
{
    struct run run = { 0, 0 };
    struct journal_entry stored;
    struct span row;
    uint8_t key[ENTRY_KEY_BYTES];
    uint64_t last;

    while (last_row(txn, TABLE_ENT, branch->log_no, &last) && last >= branch->next_seq) {
        entry_key(key, branch->log_no, last);
        if (!table_delete(txn, TABLE_ENT, span_of(key, sizeof key))) {
            break;
        }
    }
    while (last_row(txn, TABLE_SIG, branch->log_no, &last) && last >= branch->next_seq) {
        entry_key(key, branch->log_no, last);
        if (!table_delete(txn, TABLE_SIG, span_of(key, sizeof key))) {
            break;
        }
    }
    for (uint64_t seq = branch->branch_first; branch->parent == LOG_NONE && seq < branch->next_seq; seq++) {
        if (entry_row(txn, branch->log_no, seq, &row) != ERR_OK) {
            break; /* nobody can tell where runs end from here on */
        }
        entry_of_row(&stored, row, branch, seq);
        if (seq > branch->branch_first && !run_breaks(&run, stored.entry.payload_size)) {
            entry_key(key, branch->log_no, seq - 1);
            (void)table_delete(txn, TABLE_SIG, span_of(key, sizeof key));
        }
        run_step(&run, stored.entry.payload_size);
    }
}

/* The first entry of a branch that waits, or its end. */
static uint64_t
first_waiting(struct table_txn *txn, const struct log_branch *branch)
{
    uint64_t seq = branch->branch_first;
    struct span row;

    while (seq < branch->next_seq && (entry_row(txn, branch->log_no, seq, &row) != ERR_OK ||
                                      !state_waits((enum entry_state)(row.data[0] & ~STUB_BIT)))) {
        seq++;
    }
    return seq;
}

static bool
mend_log(struct journal *journal, struct table_txn *txn, const struct journal_names *names,
         struct journal_mended *mended)
{
    struct log_branch *branch = branch_new(journal);

    if (branch == NULL) {
        return false;
    }
    if (!log_row_reads(journal, txn, branch)) {
        uint32_t log_no = branch->log_no;

        memset(branch, 0, sizeof *branch);
        branch->log_no = log_no;
        if (find_name(txn, branch, names)) {
            mended->logs++;
        } else {
            drop_log(txn, branch, names, mended);
        }
        branch->dirty = true;
    }
    uint64_t before = branch->next_seq;
    lengthen(txn, branch);
    mended->longer += before > 0 && branch->next_seq > before;
    if (branch->dirty) {
        branch->visible_next = first_waiting(txn, branch);
    }
    trim(txn, branch);
    return branch_register(journal, branch);
}

/* Put `size` bytes behind the others, of the same size each, unless they are among them. */
static void
gather(struct buf *all, const void *one, size_t size)
{
    for (size_t at = 0; at < all->size; at += size) {
        if (memcmp(all->data + at, one, size) == 0) {
            return;
        }
    }
    buf_put(all, one, size);
}

/* Who writes where, as far as the rows of other logs say: a device writes in several compartments under one name. */
static void
gather_names(struct table_txn *txn, const struct journal_names *names, struct buf *authors,
             struct buf *compartments)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    for (size_t n = 0; n < names->author_count; n++) {
        gather(authors, &names->authors[n], sizeof names->authors[n]);
    }
    for (size_t n = 0; n < names->compartment_count; n++) {
        gather(compartments, &names->compartments[n], sizeof names->compartments[n]);
    }
    table_cursor_init(&cursor, txn, TABLE_LOGS, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        struct descriptor descriptor;
        struct descriptor author;

        if (value.size == LOG_ROW_BYTES &&
            descriptor_read(span_of(value.data, DESCRIPTOR_BYTES), &descriptor)) {
            memset(&author, 0, sizeof author); /* they are compared as bytes */
            memcpy(author.sign_pk, descriptor.sign_pk, sizeof author.sign_pk);
            memcpy(author.incarnation, descriptor.incarnation, sizeof author.incarnation);
            gather(authors, &author, sizeof author);
            gather(compartments, &descriptor.compartment, sizeof descriptor.compartment);
        }
    }
    table_cursor_end(&cursor);
}

static bool
mend_logs(struct journal *journal, struct table_txn *txn, const struct journal_names *names,
          struct journal_mended *mended)
{
    struct buf authors = { 0 };
    struct buf compartments = { 0 };
    struct journal_names all = *names;
    uint32_t last = last_log(txn);

    gather_names(txn, names, &authors, &compartments);
    all.authors = (const struct descriptor *)(const void *)authors.data;
    all.author_count = authors.size / sizeof *all.authors;
    all.compartments = (const struct ident *)(const void *)compartments.data;
    all.compartment_count = compartments.size / sizeof *all.compartments;
    bool good = !authors.failed && !compartments.failed;
    for (uint32_t n = 1; good && n <= last; n++) {
        good = mend_log(journal, txn, &all, mended);
    }
    buf_free(&authors);
    buf_free(&compartments);
    return good;
}

enum err
journal_mend(struct table_txn *txn, const struct journal_names *names, struct journal_mended *mended_out)
{
    struct journal *journal = calloc(1, sizeof *journal);

    memset(mended_out, 0, sizeof *mended_out);
    if (journal == NULL || !mend_logs(journal, txn, names, mended_out)) {
        journal_close(&journal);
        return ERR_MEMORY;
    }
    journal_flush(journal, txn);
    journal_close(&journal);
    enum err err = journal_open(&journal, txn);
    if (err == ERR_OK) {
        err = journal_mend_places(journal, txn, &mended_out->places);
        journal_recount(journal, txn);
        journal_flush(journal, txn);
        journal_close(&journal);
    }
    return err == ERR_OK ? table_error(txn) : err;
}

enum err
journal_signature_after(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
                        uint64_t *seq_out, uint8_t signature_out[SIGNATURE_BYTES])
{
    /* The way to the head may pass through several branches: search each part of it, lowest first. */
    for (uint64_t from = seq; from < journal_branch(journal, log_no)->next_seq;) {
        uint32_t stored = journal_stored_in(journal, log_no, from);
        uint8_t key[ENTRY_KEY_BYTES];
        struct table_cursor cursor;
        struct span row_key;
        struct span row;
        bool found = false;
        uint64_t at = 0;
        /* Where the way leaves this branch for the next one up. */
        uint64_t end = journal_branch(journal, stored)->next_seq;

        for (const struct log_branch *up = journal_branch(journal, log_no); up->log_no != stored;
             up = journal_branch(journal, up->parent)) {
            end = up->branch_first;
        }
        entry_key(key, stored, from);
        table_cursor_init(&cursor, txn, TABLE_SIG, span_of(key, 4));
        if (table_cursor_seek(&cursor, span_of(key, sizeof key), &row_key, &row) && row.data != NULL &&
            row.size == SIGNATURE_ROW_BYTES && bytes_read_u64(row_key.data + 4) < end) {
            found = true;
            at = bytes_read_u64(row_key.data + 4);
            memcpy(signature_out, row.data + HASH_BYTES, SIGNATURE_BYTES);
        }
        table_cursor_end(&cursor);
        if (found) {
            *seq_out = at;
            return ERR_OK;
        }
        from = end;
    }
    return ERR_ABSENT;
}

uint32_t
journal_find(struct journal *journal, struct table_txn *txn, const struct hash *log_id, uint64_t seq,
             const struct hash *entry_id)
{
    struct log_branch *branch = journal_log(journal, log_id);

    for (; branch != NULL;
         branch = branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling)) {
        struct journal_entry stored;
        uint8_t tag[4];

        if (seq < branch->branch_first || seq >= branch->next_seq ||
            journal_tag(journal, txn, branch->log_no, seq, tag) != ERR_OK ||
            memcmp(tag, entry_id->bytes, sizeof tag) != 0) {
            continue;
        }
        if (journal_read(journal, txn, branch->log_no, seq, &stored) == ERR_OK &&
            hash_equal(&stored.entry.id, entry_id)) {
            return branch->log_no;
        }
    }
    return LOG_NONE;
}

uint64_t
journal_idle_bytes(const struct journal *journal, const struct hash *device_id,
                   const struct ident *compartment)
{
    uint64_t bytes = 0;

    for (const struct log_branch *branch = NULL;
         (branch = journal_next_of(journal, compartment, branch)) != NULL;) {
        if (branch->idle_bytes > 0 && hash_equal(&branch->device_id, device_id)) {
            bytes += branch->idle_bytes;
        }
    }
    return bytes;
}

uint64_t
journal_held_count(const struct journal *journal, uint8_t detail)
{
    assert(detail < JOURNAL_DETAILS_MAX);
    return journal->held[detail];
}

uint64_t
journal_place_last(const struct journal *journal)
{
    return journal->place_last;
}

enum err
journal_at(struct table_txn *txn, uint64_t place, uint32_t *log_no_out, uint64_t *seq_out)
{
    uint8_t key[8];
    struct span value;

    bytes_write_u64(key, place);
    enum err err = table_get(txn, TABLE_CHG, span_of(key, sizeof key), &value);
    if (err != ERR_OK) {
        return err;
    }
    if (value.size != ENTRY_KEY_BYTES) {
        return ERR_CORRUPT;
    }
    *log_no_out = bytes_read_u32(value.data);
    *seq_out = bytes_read_u64(value.data + 4);
    return ERR_OK;
}

uint64_t
journal_entry_count(const struct journal *journal, const struct ident *compartment)
{
    uint64_t count = 0;

    for (const struct log_branch *branch = NULL;
         (branch = journal_next_of(journal, compartment, branch)) != NULL;) {
        uint64_t end = branch->next_seq < branch->limit_next ? branch->next_seq : branch->limit_next;

        count += end > branch->branch_first ? end - branch->branch_first : 0;
    }
    return count;
}

uint64_t
journal_pending_count(const struct journal *journal, const struct ident *compartment)
{
    uint64_t count = 0;

    for (const struct log_branch *branch = NULL;
         (branch = journal_next_of(journal, compartment, branch)) != NULL;) {
        count += branch->pending_count;
    }
    return count;
}
