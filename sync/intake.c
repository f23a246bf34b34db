#include "sync/intake.h"

#include "store/base/log.h"
#include "store/base/world.h"
#include "store/keys.h"
#include "sync/erase.h"
#include "sync/keyring.h"
#include "sync/limit.h"
#include "sync/update.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A row of `pend`: reason u8 | what it waits for, 8 bytes | log_no u32 | seq u64 -> nothing. */
enum {
    WAIT_BYTES = 8,
    PEND_KEY_BYTES = 1 + WAIT_BYTES + 4 + 8,
    RECORD_CACHE_SLOTS = 4096,
    /* One record_id prefix names one record, but for a collision of 8 bytes. */
    RECORDS_PER_PREFIX_MAX = 4,
    TOUCHED_BITS = 1 << 14,
    TOUCHED_WORDS = TOUCHED_BITS / 64,
    /* Records of a turn. Each takes about 20 KiB while it ends, most of it pages that LMDB keeps until the commit: in a large
     * replica hardly two records share one. */
    TOUCHED_MAX = 2048,
    CLOCK_FOLLOW_MS = 60 * 60 * 1000,
    NARROW_BYTES_MAX = 2 << 20,
    /* A payload of a hundred bytes may open to a MiB: what was opened is merged and forgotten when it takes so much. */
    OPENED_BYTES_MAX = 32 << 20,
    /* Of what lies beyond a cut so much is kept, counted along the chain. */
    BEYOND_ENTRIES_MAX = 4096,
    BEYOND_BYTES_MAX = 4 << 20,
    /* Of an author's entries in one compartment that are held or wait, so many bytes are kept. */
    IDLE_BYTES_MAX = 16 << 20,
    REBUILDS_A_TURN = 256,
    UNSIGNED_LOGS_MAX = 16,
};

/* What an entry waits for, as it stands in a row of `pend`. */
struct wait {
    uint8_t reason; /* enum pend_reason; 0: it does not wait */
    uint8_t bytes[WAIT_BYTES];
};

/* A record key with what is derived from it: most entries of a chunk are of few records. */
struct cached_record {
    struct ident compartment;
    struct record_key record;
    struct key erase_key;
    bool used;
};

/* What opening an entry gave. */
struct outcome {
    enum entry_state state;
    enum held_reason reason;
    struct wait wait;
    uint32_t record_no; /* that it was merged into; 0: none */
};

struct intake {
    struct intake_options options;
    struct table_txn *main_txn;
    struct table_txn *keys_txn;
    const struct codebook *codebook;
    struct record_turn *turn;
    struct record_source source;
    struct arena arena; /* decoded changes of this turn, and their payloads */
    uint64_t touched
        [TOUCHED_WORDS]; /* bit record_no % TOUCHED_BITS: merged into since the tables were brought up to date */
    struct buf plain;
    struct chunk chunk;
    struct cached_record *cache;

    /* The standing that header and log give, for the entries of one log and kind that are padded or are not. */
    struct {
        uint32_t log_no;
        uint8_t kind;
        uint8_t padded;
        uint64_t generation;
        enum standing standing;
        enum held_reason reason;
    } judged;

    struct wait *arrived; /* what came in this turn that something may wait for */
    size_t arrived_count;
    size_t arrived_capacity;
    uint64_t latest_hlc;
    uint32_t unsigned_logs[UNSIGNED_LOGS_MAX]; /* log_nos of our own whose heads are not signed yet */
    size_t unsigned_count;
    uint32_t *grown; /* log_nos that took in entries, each once a turn */
    size_t grown_count;
    size_t grown_capacity;
    struct ident *readable; /* compartments that this node may read, as of the last turn; ascending */
    size_t readable_count;
    const struct codebook *codebook_seen; /* in force when the last turn began */
    bool control_came;                    /* a statement was new: the roster is to be settled */
    bool keys_came;                       /* an epoch's key was new in the turn just ended */
    bool rekeys_came;                     /* see intake_rekeys_came */
    bool rebuild_due;                     /* records of this turn lost entries that counted */
    uint64_t own_held;   /* of this device's own entries, those that were found held in this turn */
    bool roster_changed; /* in the turn just ended */
    bool failed;         /* memory ran out in this turn */
    bool narrow;         /* the disk is full: see intake_narrow */
    size_t narrow_left;  /* bytes of chunks that are taken all the same, until a turn is not narrow */
};

const char *
verdict_text(enum verdict verdict)
{
    static const char *const texts[VERDICT_COUNT] = {
        [VERDICT_TAKEN] = "taken",     [VERDICT_SEEN] = "seen",           [VERDICT_LATER] = "later",
        [VERDICT_FORK] = "fork-below", [VERDICT_MALFORMED] = "malformed", [VERDICT_FORGED] = "forged",
    };
    return texts[verdict];
}

const char *
later_text(enum later later)
{
    static const char *const texts[LATER_COUNT] = {
        [LATER_NONE] = "none",   [LATER_GAP] = "gap",   [LATER_AUTHOR] = "author",
        [LATER_LIMIT] = "limit", [LATER_FULL] = "full", [LATER_PAYLOAD] = "payload",
    };
    return texts[later];
}

static const struct roster_device *
own_device(const struct intake *intake)
{
    return roster_author(intake->options.roster, intake->options.own_device);
}

/* --- what waits, and for what --- */

static struct wait
wait_for_epoch(const struct ident *compartment, const uint8_t epoch[4])
{
    struct wait wait = { .reason = PEND_EPOCH };

    memcpy(wait.bytes, compartment->bytes, 4);
    memcpy(wait.bytes + 4, epoch, 4);
    return wait;
}

static struct wait
wait_for_record(const uint8_t prefix[8])
{
    struct wait wait = { .reason = PEND_RECORD };

    memcpy(wait.bytes, prefix, WAIT_BYTES);
    return wait;
}

static struct wait
wait_for_payload(const struct ident *compartment, enum pend_reason reason)
{
    struct wait wait = { .reason = (uint8_t)reason };

    memcpy(wait.bytes, compartment->bytes, WAIT_BYTES);
    return wait;
}

static void
pend_key(uint8_t key[PEND_KEY_BYTES], const struct wait *wait, uint32_t log_no, uint64_t seq)
{
    key[0] = wait->reason;
    memcpy(key + 1, wait->bytes, WAIT_BYTES);
    bytes_write_u32(key + 1 + WAIT_BYTES, log_no);
    bytes_write_u64(key + 1 + WAIT_BYTES + 4, seq);
}

static void
pend_put(struct intake *intake, const struct wait *wait, uint32_t log_no, uint64_t seq)
{
    uint8_t key[PEND_KEY_BYTES];

    pend_key(key, wait, log_no, seq);
    table_put(intake->main_txn, TABLE_PEND, span_of(key, sizeof key), span_of(NULL, 0));
}

static void
arrived_add(struct intake *intake, struct wait wait)
{
    if (intake->arrived_count == intake->arrived_capacity) {
        size_t capacity = intake->arrived_capacity == 0 ? 64 : intake->arrived_capacity * 2;
        struct wait *arrived = realloc(intake->arrived, capacity * sizeof *arrived);

        if (arrived == NULL) {
            intake->failed = true;
            return;
        }
        intake->arrived = arrived;
        intake->arrived_capacity = capacity;
    }
    intake->arrived[intake->arrived_count] = wait;
    intake->arrived_count++;
}

static void
grown_add(struct intake *intake, uint32_t log_no)
{
    for (size_t n = intake->grown_count; n > 0 && n + 16 > intake->grown_count; n--) {
        if (intake->grown[n - 1] == log_no) {
            return;
        }
    }
    if (intake->grown_count == intake->grown_capacity) {
        size_t capacity = intake->grown_capacity == 0 ? 64 : intake->grown_capacity * 2;
        uint32_t *grown = realloc(intake->grown, capacity * sizeof *grown);

        if (grown == NULL) {
            intake->failed = true;
            return;
        }
        intake->grown = grown;
        intake->grown_capacity = capacity;
    }
    intake->grown[intake->grown_count] = log_no;
    intake->grown_count++;
}

/* --- record keys --- */

static struct cached_record *
cache_slot(struct intake *intake, const struct ident *compartment, const uint8_t prefix[8])
{
    uint64_t mix = bytes_read_u64(prefix) ^ bytes_read_u64(compartment->bytes);

    return &intake->cache[mix % RECORD_CACHE_SLOTS];
}

static void
cache_record(struct cached_record *slot, const struct ident *compartment, const struct record_key *record)
{
    slot->compartment = *compartment;
    slot->record = *record;
    record_key_erase(&slot->erase_key, &record->key);
    slot->used = true;
}

/* The record of a compartment that an entry names: ERR_OK; ERR_ABSENT: no key for that name is here;
 * ERR_INVALID: one is, and the entry is no member of its record. */
static enum err
record_of_entry(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
                const struct epoch_keys *keys, uint8_t prefix[8], const struct cached_record **record_out)
{
    struct record_key found[RECORDS_PER_PREFIX_MAX];
    const struct ident *compartment = &branch->descriptor.compartment;

    entry_reference_prefix(prefix, entry, &branch->log_id, keys);
    struct cached_record *slot = cache_slot(intake, compartment, prefix);
    if (slot->used && ident_equal(&slot->compartment, compartment) &&
        memcmp(slot->record.record_id.bytes, prefix, 8) == 0 &&
        entry_is_member(entry, &branch->log_id, &slot->erase_key)) {
        *record_out = slot;
        return ERR_OK;
    }
    size_t count = keys_find_record(intake->keys_txn, compartment, prefix, found, RECORDS_PER_PREFIX_MAX);
    enum err err = count == 0 ? ERR_ABSENT : ERR_INVALID;
    for (size_t n = 0; n < count && err == ERR_INVALID; n++) {
        struct key erase_key;

        record_key_erase(&erase_key, &found[n].key);
        if (entry_is_member(entry, &branch->log_id, &erase_key)) {
            cache_record(slot, compartment, &found[n]);
            *record_out = slot;
            err = ERR_OK;
        }
        crypto_wipe(&erase_key, sizeof erase_key);
    }
    crypto_wipe(found, sizeof found);
    return err;
}

enum err
intake_record_key(struct intake *intake, const struct ident *compartment, const struct ident *record_id,
                  struct record_key *key_out)
{
    struct cached_record *slot = cache_slot(intake, compartment, record_id->bytes);

    if (slot->used && ident_equal(&slot->compartment, compartment) &&
        ident_equal(&slot->record.record_id, record_id)) {
        *key_out = slot->record;
        return ERR_OK;
    }
    enum err err = keys_get_record(intake->keys_txn, compartment, record_id, key_out);
    if (err == ERR_OK) {
        cache_record(slot, compartment, key_out);
    }
    return err;
}

void
intake_move_record_key(struct intake *intake, const struct ident *compartment, const struct record_key *key)
{
    keys_move_record(intake->keys_txn, compartment, key);
    cache_record(cache_slot(intake, compartment, key->record_id.bytes), compartment, key);
}

/* --- opening --- */

/* Open with each epoch whose id begins as the entry says: nearly always one. */
static enum entry_fault
open_payload(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
             const struct epoch_keys *keys, const struct key *record_key, struct buf *plain_out)
{
    enum entry_fault fault = FAULT_DOES_NOT_OPEN;

    for (; keys != NULL && fault == FAULT_DOES_NOT_OPEN;
         keys = keyring_another(intake->options.keyring, keys)) {
        fault = entry_open(entry, &branch->log_id, keys, record_key, plain_out);
    }
    return fault;
}

static struct outcome
held(enum held_reason reason)
{
    return (struct outcome){ .state = STATE_HELD, .reason = reason };
}

static struct outcome
waits(struct wait wait)
{
    enum entry_state state = wait.reason == PEND_SCHEMA    ? STATE_NEEDS_SCHEMA
                             : wait.reason == PEND_PAYLOAD ? STATE_NEEDS_PAYLOAD
                                                           : STATE_NEEDS_KEY;

    return (struct outcome){ .state = state, .wait = wait };
}

static struct outcome
outcome_of_fault(struct intake *intake, enum entry_fault fault)
{
    if (fault == FAULT_MEMORY) {
        intake->failed = true; /* no fault of the entry: the turn is given up */
    }
    if (fault == FAULT_SCHEMA || fault == FAULT_MEMORY) {
        return waits((struct wait){ .reason = PEND_SCHEMA });
    }
    return held(policy_reason_of_fault(fault));
}

static struct outcome
outcome_of_change(struct intake *intake, enum change_verdict verdict)
{
    switch (verdict) {
    case CHANGE_OK:
        return (struct outcome){ .state = STATE_MERGED };
    case CHANGE_NEWER:
        return waits((struct wait){ .reason = PEND_SCHEMA });
    case CHANGE_LIMIT:
        return held(HELD_OVER_LIMIT);
    case CHANGE_FAILED:
        intake->failed = true;
        return waits((struct wait){ .reason = PEND_SCHEMA });
    case CHANGE_NOT_CANONICAL:
    default:
        return held(HELD_NOT_CANONICAL);
    }
}

/* The clock of whoever reads follows those whom it hears, but not far: see intake_latest_hlc. */
static void
note_stamp(struct intake *intake, uint64_t hlc)
{
    uint64_t bound = (world_wall_ms(intake->options.world) + CLOCK_FOLLOW_MS) << 16;

    if (hlc > intake->latest_hlc && hlc <= bound) {
        intake->latest_hlc = hlc;
    }
}

void
intake_keep_statement(const struct table_env *env, struct table_txn *txn, const struct hash *stmt_id,
                      struct span signed_statement)
{
    const struct span id = hash_span(stmt_id);
    uint8_t key[16];

    table_hash(env, key, "vigil.row.cert", &id, 1);
    table_put(txn, TABLE_CERT, span_of(key, sizeof key), signed_statement);
}

/* Statements stand for themselves: each that is new goes to the roster and to a row of its own. */
static void
take_statement(struct intake *intake, struct span signed_statement)
{
    struct hash id;

    switch (roster_add(intake->options.roster, signed_statement, &id)) {
    case ROSTER_NEW: {
        struct buf whole = { 0 };
        /* With the signatures of all copies. */
        if (!roster_write(intake->options.roster, &id, &whole) || whole.failed) {
            intake->failed = true;
        } else {
            intake_keep_statement(intake->options.env, intake->main_txn, &id, buf_span(&whole));
        }
        buf_free(&whole);
        intake->control_came = true;
        break;
    }
    case ROSTER_MEMORY:
        intake->failed = true;
        break;
    case ROSTER_KNOWN:
    case ROSTER_MALFORMED:
    case ROSTER_FOREIGN:
    case ROSTER_UNSIGNED:
        break;
    }
}

void
intake_take_statement(struct intake *intake, struct span signed_statement)
{
    take_statement(intake, signed_statement);
}

static struct outcome
take_control(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
             const struct epoch_keys *keys)
{
    struct change_statements control;
    enum entry_fault fault = open_payload(intake, branch, entry, keys, NULL, &intake->plain);

    if (fault != FAULT_NONE) {
        return outcome_of_fault(intake, fault);
    }
    enum change_verdict verdict =
        change_decode_statements(buf_span(&intake->plain), &intake->arena, &control);
    for (size_t n = 0; verdict == CHANGE_OK && n < control.count; n++) {
        take_statement(intake, control.statements[n]);
    }
    return outcome_of_change(intake, verdict);
}

/* True if `key` is the key of the record that the entry names: its hash begins as the reference does, and
 * the membership tag is its own. */
static bool
record_key_fits(const struct intake *intake, const struct log_branch *branch, const struct entry *entry,
                const struct epoch_keys *keys, struct record_key *record)
{
    const struct roster_compartment *compartment =
        roster_compartment(intake->options.roster, &branch->descriptor.compartment);
    struct key case_key = record->key;
    struct key erase_key;
    uint8_t prefix[8];

    if (compartment != NULL && compartment->role == COMPARTMENT_PROTECTED) {
        record_key_case(&case_key, &record->key);
    }
    record_key_id(&record->record_id, &case_key);
    record_key_erase(&erase_key, &record->key);
    entry_reference_prefix(prefix, entry, &branch->log_id, keys);
    bool fits = memcmp(prefix, record->record_id.bytes, 8) == 0 &&
                entry_is_member(entry, &branch->log_id, &erase_key);
    crypto_wipe(&case_key, sizeof case_key);
    crypto_wipe(&erase_key, sizeof erase_key);
    return fits;
}

static struct outcome
take_key(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
         const struct epoch_keys *keys)
{
    struct record_key record = { .log_no = branch->log_no, .seq = entry->seq };
    enum entry_fault fault = open_payload(intake, branch, entry, keys, NULL, &intake->plain);

    if (fault != FAULT_NONE) {
        return outcome_of_fault(intake, fault);
    }
    struct change_key content;
    enum change_verdict verdict = change_decode_key(buf_span(&intake->plain), &content);
    crypto_wipe(intake->plain.data, intake->plain.size);
    struct outcome outcome = outcome_of_change(intake, verdict);
    if (verdict == CHANGE_OK) {
        memcpy(record.key.bytes, content.record_key, KEY_BYTES);
        if (record_key_fits(intake, branch, entry, keys, &record)) {
            keys_put_record(intake->keys_txn, &branch->descriptor.compartment, &record);
            arrived_add(intake, wait_for_record(record.record_id.bytes));
        } else {
            outcome = held(HELD_RECORD_KEY);
        }
    }
    crypto_wipe(&content, sizeof content);
    crypto_wipe(&record, sizeof record);
    return outcome;
}

/* What change_decode needs to turn the short names of an entry into whole ones. */
struct ancestry {
    struct intake *intake;
    struct table_txn *txn;
    uint32_t log_no;
};

static bool
ancestor_tag(void *self, uint64_t seq, uint8_t tag_out[4])
{
    const struct ancestry *ancestry = self;

    return journal_tag(ancestry->intake->options.journal, ancestry->txn, ancestry->log_no, seq, tag_out) ==
           ERR_OK;
}

/* Open a data entry and decode its change; all of it lives in `arena`. */
static struct outcome
open_change(struct intake *intake, struct table_txn *txn, const struct log_branch *branch,
            const struct entry *entry, const struct epoch_keys *keys, struct arena *arena,
            struct signed_change *out, struct ident *record_id_out)
{
    const struct cached_record *record = NULL;
    uint8_t prefix[8];

    switch (record_of_entry(intake, branch, entry, keys, prefix, &record)) {
    case ERR_OK:
        break;
    case ERR_ABSENT:
        return waits(wait_for_record(prefix));
    default:
        return held(HELD_RECORD_TAG);
    }
    *record_id_out = record->record.record_id;
    enum entry_fault fault = open_payload(intake, branch, entry, keys, &record->record.key, &intake->plain);
    if (fault != FAULT_NONE) {
        return outcome_of_fault(intake, fault);
    }
    /* Values are lent from the payload, so it stays as long as they do. */
    struct ancestry ancestry = { intake, txn, branch->log_no };
    struct change_log log = {
        .log_id = branch->log_id, .seq = entry->seq, .self = &ancestry, .tag_of = ancestor_tag
    };
    enum change_verdict verdict =
        change_decode(arena_copy_buf(arena, &intake->plain), &log, arena, &out->change);
    if (arena->failed) {
        verdict = CHANGE_FAILED;
    }
    out->log_no = branch->log_no;
    out->seq = entry->seq;
    out->log_id = branch->log_id;
    out->device_id = branch->device_id;
    out->entry_id = entry->id;
    return outcome_of_change(intake, verdict);
}

bool
intake_key_is_orphan(const struct intake *intake, const struct record_key *record)
{
    const struct journal *journal = intake->options.journal;
    enum entry_state state;

    return record->log_no == LOG_NONE || record->log_no > journal_branch_count(journal) ||
           journal_state(intake->options.journal, intake->main_txn, record->log_no, record->seq, &state) !=
               ERR_OK ||
           state != STATE_MERGED;
}

bool
intake_has_brought_key(struct intake *intake, const struct ident *compartment,
                       const struct record_key *record)
{
    struct journal *journal = intake->options.journal;
    struct journal_entry stored;

    if (!journal_stores(journal, record->log_no, record->seq)) {
        return false;
    }
    const struct log_branch *branch = journal_branch(journal, record->log_no);
    if (journal_read(journal, intake->main_txn, record->log_no, record->seq, &stored) != ERR_OK) {
        return true;
    }
    if (stored.entry.kind != ENTRY_KEY || !ident_equal(&branch->descriptor.compartment, compartment)) {
        return false;
    }
    if (stored.state == STATE_ERASED ||
        keys_get_payload(intake->keys_txn, record->log_no, record->seq, &stored.entry.payload) != ERR_OK) {
        return true;
    }
    if (stored.state != STATE_MERGED && stored.state != STATE_HELD) {
        return false; /* what it waits for never came */
    }
    const struct epoch_keys *keys = keyring_find(intake->options.keyring, compartment, stored.entry.epoch);
    struct change_key content;
    bool same = keys != NULL &&
                open_payload(intake, branch, &stored.entry, keys, NULL, &intake->plain) == FAULT_NONE &&
                change_decode_key(buf_span(&intake->plain), &content) == CHANGE_OK &&
                crypto_equal(content.record_key, record->key.bytes, KEY_BYTES);
    if (intake->plain.size > 0) {
        crypto_wipe(intake->plain.data, intake->plain.size);
    }
    crypto_wipe(&content, sizeof content);
    return same;
}

/* An entry that counts in a record whose key nobody is given any more: behind a cut, keys are told to nobody. Honest people bring the
 * key before they write; who does not leaves others waiting, so somebody has to. */
static void
queue_orphan(struct intake *intake, const struct log_branch *branch, const struct ident *record_id,
             uint32_t record_no)
{
    const struct cached_record *slot = cache_slot(intake, &branch->descriptor.compartment, record_id->bytes);
    struct wait waiting = { .reason = PEND_REKEY };

    if (roster_revocation_count(intake->options.roster) > 0 && slot->used &&
        ident_equal(&slot->record.record_id, record_id) && intake_key_is_orphan(intake, &slot->record)) {
        bytes_write_u64(waiting.bytes, record_no);
        pend_put(intake, &waiting, LOG_NONE, 0);
        intake->rekeys_came = true;
    }
}

static struct outcome
take_data(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
          const struct epoch_keys *keys)
{
    struct ident record_id;
    uint32_t record_no = 0;

    if (arena_bytes(&intake->arena) > OPENED_BYTES_MAX && intake_bring_up_to_date(intake) == ERR_OK) {
        arena_free(&intake->arena);
    }
    struct signed_change *change = arena_take(&intake->arena, sizeof *change);
    if (change == NULL || intake->failed) {
        intake->failed = true;
        return waits(wait_for_epoch(&branch->descriptor.compartment, entry->epoch));
    }
    struct outcome outcome =
        open_change(intake, intake->main_txn, branch, entry, keys, &intake->arena, change, &record_id);
    if (outcome.state == STATE_MERGED) {
        note_stamp(intake, change->change.hlc);
        if (record_merge(intake->turn, &branch->descriptor.compartment, &record_id, change, &record_no) !=
            ERR_OK) {
            intake->failed = true;
        }
        outcome.record_no = record_no;
        queue_orphan(intake, branch, &record_id, record_no);
        intake->touched[record_no % TOUCHED_BITS / 64] |= (uint64_t)1 << (record_no % 64);
    }
    return outcome;
}

static struct outcome
take_receipt(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
             const struct epoch_keys *keys)
{
    struct change_receipt receipt;
    enum entry_fault fault = open_payload(intake, branch, entry, keys, NULL, &intake->plain);

    if (fault != FAULT_NONE) {
        return outcome_of_fault(intake, fault);
    }
    enum change_verdict verdict = change_decode_receipt(buf_span(&intake->plain), &receipt);
    if (verdict == CHANGE_OK) {
        erase_take_receipt(intake->options.erase, intake->main_txn, &branch->device_id, &receipt);
    }
    return outcome_of_change(intake, verdict);
}

/* --- what record.h asks of the journal --- */

enum err
intake_open_entry(struct intake *intake, uint32_t log_no, uint64_t seq, struct arena *arena,
                  struct signed_change *out, struct ident *record_id_out)
{
    struct journal_entry stored;
    enum err err = journal_read(intake->options.journal, intake->main_txn, log_no, seq, &stored);

    if (err != ERR_OK) {
        return err == ERR_ABSENT ? ERR_CORRUPT : err;
    }
    if (stored.state != STATE_MERGED) {
        return ERR_ABSENT;
    }
    const struct log_branch *branch = journal_branch(intake->options.journal, stored.log_no);
    const struct epoch_keys *keys =
        keyring_find(intake->options.keyring, &branch->descriptor.compartment, stored.entry.epoch);
    if (keys == NULL) {
        return ERR_LOCKED;
    }
    struct outcome outcome =
        open_change(intake, intake->main_txn, branch, &stored.entry, keys, arena, out, record_id_out);
    if (outcome.state == STATE_MERGED) {
        return ERR_OK;
    }
    /* Its record's key is gone. Where an erasure destroyed it and main/ could not be committed after keys/, nothing is damaged. */
    return outcome.wait.reason == PEND_RECORD ? ERR_LOCKED : ERR_CORRUPT;
}

static enum err
err_of_outcome(const struct intake *intake, const struct outcome *outcome)
{
    switch (outcome->state) {
    case STATE_MERGED:
        return ERR_OK;
    case STATE_NEEDS_KEY:
        return ERR_LOCKED;
    case STATE_NEEDS_SCHEMA:
        return intake->failed ? ERR_MEMORY : ERR_NEWER;
    default:
        return ERR_INVALID;
    }
}

/* The record key that an entry brings: of it only the record's id is given. */
static struct outcome
open_key(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
         const struct epoch_keys *keys, struct intake_words *out)
{
    struct record_key record = { .log_no = branch->log_no, .seq = entry->seq };
    struct change_key content;
    enum entry_fault fault = open_payload(intake, branch, entry, keys, NULL, &intake->plain);

    if (fault != FAULT_NONE) {
        return outcome_of_fault(intake, fault);
    }
    enum change_verdict verdict = change_decode_key(buf_span(&intake->plain), &content);
    crypto_wipe(intake->plain.data, intake->plain.size);
    if (verdict == CHANGE_OK) {
        out->hlc = content.hlc;
        out->actor = content.actor;
        memcpy(record.key.bytes, content.record_key, KEY_BYTES);
        out->has_record = record_key_fits(intake, branch, entry, keys, &record);
        out->record_id = record.record_id;
    }
    crypto_wipe(&content, sizeof content);
    crypto_wipe(&record, sizeof record);
    return outcome_of_change(intake, verdict);
}

static struct outcome
open_statements(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
                const struct epoch_keys *keys, struct arena *arena, struct intake_words *out)
{
    struct change_statements control;
    enum entry_fault fault = open_payload(intake, branch, entry, keys, NULL, &intake->plain);

    if (fault != FAULT_NONE) {
        return outcome_of_fault(intake, fault);
    }
    enum change_verdict verdict =
        change_decode_statements(arena_copy_buf(arena, &intake->plain), arena, &control);
    if (arena->failed) {
        verdict = CHANGE_FAILED;
    }
    if (verdict == CHANGE_OK) {
        out->hlc = control.hlc;
        out->actor = control.actor;
        out->statements = control.statements;
        out->statement_count = control.count;
    }
    return outcome_of_change(intake, verdict);
}

static struct outcome
open_words(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
           const struct epoch_keys *keys, struct arena *arena, struct intake_words *out)
{
    struct outcome outcome = held(HELD_WRONG_SHAPE);

    switch (entry->kind) {
    case ENTRY_DATA:
        outcome =
            open_change(intake, intake->main_txn, branch, entry, keys, arena, &out->change, &out->record_id);
        out->has_record = outcome.state == STATE_MERGED;
        out->hlc = out->has_record ? out->change.change.hlc : 0;
        out->actor = out->has_record ? out->change.change.actor : 0;
        break;
    case ENTRY_KEY:
        outcome = open_key(intake, branch, entry, keys, out);
        break;
    case ENTRY_CONTROL:
        outcome = open_statements(intake, branch, entry, keys, arena, out);
        break;
    default:
        break;
    }
    return outcome;
}

enum err
intake_open_any(struct intake *intake, uint32_t log_no, uint64_t seq, struct arena *arena,
                struct intake_words *out)
{
    struct journal_entry stored;
    bool failed = intake->failed;
    enum err err = journal_read(intake->options.journal, intake->main_txn, log_no, seq, &stored);

    memset(out, 0, sizeof *out);
    if (err != ERR_OK) {
        return err == ERR_ABSENT ? ERR_CORRUPT : err;
    }
    out->kind = stored.entry.kind;
    if (stored.entry.kind == ENTRY_KEY &&
        keys_get_payload(intake->keys_txn, stored.log_no, seq, &stored.entry.payload) != ERR_OK) {
        return ERR_ABSENT;
    }
    if (stored.entry.payload.data == NULL || stored.state == STATE_ERASED) {
        return ERR_ABSENT;
    }
    const struct log_branch *branch = journal_branch(intake->options.journal, stored.log_no);
    const struct epoch_keys *keys =
        keyring_find(intake->options.keyring, &branch->descriptor.compartment, stored.entry.epoch);
    if (keys == NULL) {
        return ERR_LOCKED;
    }
    intake->failed = false;
    struct outcome outcome = open_words(intake, branch, &stored.entry, keys, arena, out);
    err = err_of_outcome(intake, &outcome);
    /* What somebody only looks at gives no turn up. */
    intake->failed = failed;
    return err;
}

static enum err
source_open(void *self, uint32_t log_no, uint64_t seq, struct arena *arena, struct signed_change *out)
{
    struct ident record_id;

    return intake_open_entry(self, log_no, seq, arena, out, &record_id);
}

static enum record_half
source_half(void *self, const struct ident *compartment_id)
{
    const struct intake *intake = self;
    const struct roster_compartment *compartment = roster_compartment(intake->options.roster, compartment_id);

    if (compartment == NULL || compartment->twin == NULL) {
        return HALF_ALONE;
    }
    return compartment->role == COMPARTMENT_PROTECTED ? HALF_PROTECTED : HALF_CASE;
}

static enum standing
judge(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
      enum held_reason *reason_out)
{
    uint64_t generation = roster_generation(intake->options.roster);
    uint8_t padded = entry->flags & ENTRY_PADDED;

    if (intake->judged.log_no != branch->log_no || intake->judged.kind != entry->kind ||
        intake->judged.padded != padded || intake->judged.generation != generation) {
        intake->judged.standing = policy_judge(intake->options.roster, own_device(intake),
                                               &branch->descriptor, entry, &intake->judged.reason);
        intake->judged.log_no = branch->log_no;
        intake->judged.kind = entry->kind;
        intake->judged.padded = padded;
        intake->judged.generation = generation;
    }
    *reason_out = intake->judged.reason;
    return intake->judged.standing;
}

/* An entry that was sealed under an epoch that is no longer written with: by somebody who had not heard yet. */
static void
note_epoch(struct intake *intake, const struct roster_compartment *compartment, const struct entry *entry)
{
    if (compartment->current != NULL &&
        memcmp(compartment->current->epoch_id.bytes, entry->epoch, sizeof entry->epoch) != 0) {
        intake->options.counts->old_epoch++;
    }
}

/* What a held entry brings all the same: statements and record keys stand for themselves, whatever the standing of the
 * entry that carries them. */
static void
take_what_stands_alone(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
                       const struct roster_compartment *compartment)
{
    const struct epoch_keys *keys =
        keyring_find(intake->options.keyring, &branch->descriptor.compartment, entry->epoch);

    if (keys == NULL || compartment == NULL) {
        return;
    }
    if (entry->kind == ENTRY_CONTROL && compartment->role == COMPARTMENT_CONTROL) {
        (void)take_control(intake, branch, entry, keys);
    } else if (entry->kind == ENTRY_KEY && compartment->role != COMPARTMENT_CONTROL) {
        (void)take_key(intake, branch, entry, keys);
    }
}

/* What becomes of one entry that is authentic and in order. */
static struct outcome
take_entry(struct intake *intake, const struct log_branch *branch, const struct entry *entry)
{
    enum held_reason reason;

    if (entry->kind == ENTRY_DATA && entry->payload.data == NULL) {
        return waits(wait_for_payload(&branch->descriptor.compartment, PEND_PAYLOAD));
    }
    enum standing standing = judge(intake, branch, entry, &reason);

    const struct roster_compartment *compartment =
        roster_compartment(intake->options.roster, &branch->descriptor.compartment);
    if (standing != STANDING_HELD && entry->seq >= branch->limit_next) {
        standing = STANDING_HELD;
        reason = HELD_BEYOND_CUT;
    }
    if (standing == STANDING_HELD) {
        take_what_stands_alone(intake, branch, entry, compartment);
        return held(reason);
    }
    if (standing != STANDING_MERGED) {
        return (struct outcome){ .state = STATE_CARRIED };
    }
    const struct epoch_keys *keys =
        keyring_find(intake->options.keyring, &branch->descriptor.compartment, entry->epoch);
    if (keys == NULL) {
        return waits(wait_for_epoch(&branch->descriptor.compartment, entry->epoch));
    }
    switch (entry->kind) {
    case ENTRY_DATA:
        note_epoch(intake, compartment, entry);
        return take_data(intake, branch, entry, keys);
    case ENTRY_KEY:
        return take_key(intake, branch, entry, keys);
    case ENTRY_CONTROL:
        return take_control(intake, branch, entry, keys);
    case ENTRY_RECEIPT:
        return take_receipt(intake, branch, entry, keys);
    default: {
        /* Seals say nothing that the replica derives from: it is enough that they open. */
        enum entry_fault fault = open_payload(intake, branch, entry, keys, NULL, &intake->plain);
        return fault == FAULT_NONE ? (struct outcome){ .state = STATE_MERGED }
                                   : outcome_of_fault(intake, fault);
    }
    }
}

/* --- the door --- */

/* The branch of the log, and the whole id, of the entry before the chunk's first. */
static struct intake_result
attach(struct intake *intake, const struct hash *log_id, const struct chunk *chunk,
       struct log_branch **branch_out, struct hash *prev_out)
{
    struct journal *journal = intake->options.journal;
    struct log_branch *first = journal_log(journal, log_id);
    bool present = false;

    *branch_out = first;
    memset(prev_out, 0, sizeof *prev_out);
    if (chunk->first_seq == 0) {
        return (struct intake_result){ .verdict = VERDICT_TAKEN };
    }
    for (uint32_t no = first == NULL ? LOG_NONE : first->log_no; no != LOG_NONE;
         no = journal_branch(journal, no)->sibling) {
        struct log_branch *branch = journal_branch(journal, no);
        struct journal_entry before;

        if (branch->next_seq == chunk->first_seq) {
            *prev_out = branch->head_id;
        } else if (chunk->first_seq - 1 < branch->next_seq && chunk->first_seq - 1 >= branch->branch_first &&
                   journal_read(journal, intake->main_txn, no, chunk->first_seq - 1, &before) == ERR_OK) {
            *prev_out = before.entry.id;
        } else {
            continue;
        }
        present = true;
        if (memcmp(prev_out->bytes, chunk->prev_short, sizeof chunk->prev_short) == 0) {
            *branch_out = branch;
            return (struct intake_result){ .verdict = VERDICT_TAKEN };
        }
    }
    if (present) {
        return (struct intake_result){ .verdict = VERDICT_FORK };
    }
    return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_GAP };
}

/* The branch on which `entry` comes next: one that ends at its prev, or a new one that leaves `at` there. */
static struct log_branch *
branch_for(struct intake *intake, const struct descriptor *descriptor, struct log_branch *at,
           const struct entry *entry)
{
    struct journal *journal = intake->options.journal;

    if (at == NULL) {
        return journal_begin_log(journal, descriptor);
    }
    if (at->next_seq == entry->seq && hash_equal(&at->head_id, &entry->prev)) {
        return at;
    }
    return journal_begin_branch(journal, intake->main_txn, at->log_no, entry->seq);
}

/* True if the entries may follow in one chunk, `run` being how far the run had come before it: only the first of a
 * chunk begins one. It is asked of all of them, so that the answer does not depend on what is here already. */
static bool
within_one_run(const struct chunk *chunk, struct run run)
{
    for (size_t n = 0; n < chunk->entry_count; n++) {
        if (n > 0 && run_breaks(&run, chunk->entries[n].payload_size)) {
            return false;
        }
        run_step(&run, chunk->entries[n].payload_size);
    }
    return true;
}

/* The order that an entry was erased by before it came; NULL: none. The record of an entry whose key is here was not
 * erased, and that is cheaper to see than that no order names it. */
static const struct ident *
erased_by(struct intake *intake, const struct ident *compartment, const struct hash *log_id,
          const struct log_branch *branch, const struct entry *entry)
{
    const struct erase *erase = intake->options.erase;

    if (!erase_reaches(erase, compartment)) {
        return NULL;
    }
    const struct epoch_keys *keys = keyring_find(intake->options.keyring, compartment, entry->epoch);
    const struct cached_record *record = NULL;
    uint8_t prefix[8];
    if (branch != NULL && keys != NULL && entry->payload.data != NULL &&
        record_of_entry(intake, branch, entry, keys, prefix, &record) == ERR_OK) {
        return NULL;
    }
    return erase_order_of(erase, compartment, log_id, entry);
}

/* True if every entry from `from` on brings its payload, but for those that were erased, and for long ones: these are kept as what
 * they are, entries that lack something. Any other that comes as a hash alone is one that somebody on the way stripped. */
static bool
payloads_are_here(struct intake *intake, const struct descriptor *descriptor, const struct hash *log_id,
                  const struct chunk *chunk, size_t from)
{
    for (size_t n = from; n < chunk->entry_count; n++) {
        const struct entry *entry = &chunk->entries[n];

        if (entry->payload.data == NULL && !entry_is_long(entry) &&
            erased_by(intake, &descriptor->compartment, log_id, NULL, entry) == NULL) {
            return false;
        }
    }
    return true;
}

/* Keep the header of an entry that was erased before it came, and count the copy if its payload came with it. */
static void
append_erased(struct intake *intake, struct log_branch *branch, const struct entry *entry,
              const struct ident *order)
{
    if (entry->payload.data != NULL) {
        erase_count_late(intake->options.erase, intake->main_txn, order);
    }
    (void)journal_append_erased(intake->options.journal, intake->main_txn, branch, entry, order);
    intake->options.counts->states[STATE_ERASED]++;
}

static void
count_outcome(struct intake *intake, const struct log_branch *branch, const struct outcome *outcome)
{
    intake->options.counts->states[outcome->state]++;
    if (outcome->state == STATE_HELD) {
        intake->options.counts->held[outcome->reason]++;
        intake->own_held += hash_equal(&branch->device_id, intake->options.own_device);
    }
}

enum { ENTRY_WAITS_MAX = 5 };

/* What this entry may wait for, as rows of `pend` say it. Gives how many. */
static size_t
entry_waits(const struct intake *intake, const struct log_branch *branch, const struct entry *entry,
            struct wait waits[ENTRY_WAITS_MAX])
{
    const struct ident *compartment = &branch->descriptor.compartment;
    const struct epoch_keys *keys = keyring_find(intake->options.keyring, compartment, entry->epoch);
    uint8_t prefix[8];

    waits[0] = wait_for_epoch(compartment, entry->epoch);
    waits[1] = (struct wait){ .reason = PEND_SCHEMA };
    waits[2] = wait_for_payload(compartment, PEND_PAYLOAD);
    waits[3] = wait_for_payload(compartment, PEND_WANTED);
    if (keys == NULL) {
        return 4;
    }
    entry_reference_prefix(prefix, entry, &branch->log_id, keys);
    waits[4] = wait_for_record(prefix);
    return ENTRY_WAITS_MAX;
}

void
intake_forget_waiting(struct intake *intake, const struct log_branch *branch, const struct entry *entry)
{
    struct wait waits[ENTRY_WAITS_MAX];
    size_t count = entry_waits(intake, branch, entry, waits);
    uint8_t key[PEND_KEY_BYTES];

    for (size_t n = 0; n < count; n++) {
        pend_key(key, &waits[n], branch->log_no, entry->seq);
        (void)table_delete(intake->main_txn, TABLE_PEND, span_of(key, sizeof key));
    }
}

/* The state of an entry by the row that says it waits; STATE_MERGED: none does. */
static enum entry_state
waiting_state(struct intake *intake, const struct log_branch *branch, const struct entry *entry)
{
    struct wait waits[ENTRY_WAITS_MAX];
    size_t count = entry_waits(intake, branch, entry, waits);
    uint8_t key[PEND_KEY_BYTES];

    for (size_t n = 0; n < count; n++) {
        pend_key(key, &waits[n], branch->log_no, entry->seq);
        if (table_has(intake->main_txn, TABLE_PEND, span_of(key, sizeof key))) {
            return waits[n].reason == PEND_SCHEMA                                      ? STATE_NEEDS_SCHEMA
                   : waits[n].reason == PEND_PAYLOAD || waits[n].reason == PEND_WANTED ? STATE_NEEDS_PAYLOAD
                                                                                       : STATE_NEEDS_KEY;
        }
    }
    return STATE_MERGED;
}

/* What the entry said no longer counts: its record is to be made anew without it, or wants its key from somebody else. */
static void
queue_record_of(struct intake *intake, const struct log_branch *branch, const struct entry *entry)
{
    const struct ident *compartment = &branch->descriptor.compartment;
    const struct epoch_keys *keys = keyring_find(intake->options.keyring, compartment, entry->epoch);
    const struct cached_record *record = NULL;
    struct wait record_waits = { .reason = entry->kind == ENTRY_KEY ? PEND_REKEY : PEND_REBUILD };
    uint32_t record_no;
    uint8_t prefix[8];

    if (keys != NULL && record_of_entry(intake, branch, entry, keys, prefix, &record) == ERR_OK &&
        record_find(intake->main_txn, compartment, &record->record.record_id, &record_no) == ERR_OK) {
        /* What was merged in this turn is still to be counted: into the tables with it, while it counts. */
        if (intake_touched(intake, record_no) && intake_bring_up_to_date(intake) != ERR_OK) {
            return;
        }
        bytes_write_u64(record_waits.bytes, record_no);
        pend_put(intake, &record_waits, LOG_NONE, 0);
        intake->rekeys_came = intake->rekeys_came || entry->kind == ENTRY_KEY;
        intake->rebuild_due = true;
    }
}

/* An entry of which only the header is here waits on, asked for or not; where what is derived was cleared, as if nobody had. */
static void
wait_on_for_payload(struct intake *intake, const struct log_branch *branch, uint32_t log_no, uint64_t seq)
{
    struct wait wanted = wait_for_payload(&branch->descriptor.compartment, PEND_WANTED);
    struct wait waiting = wait_for_payload(&branch->descriptor.compartment, PEND_PAYLOAD);
    uint8_t key[PEND_KEY_BYTES];
    struct span value;

    pend_key(key, &wanted, log_no, seq);
    if (table_get(intake->main_txn, TABLE_PEND, span_of(key, sizeof key), &value) == ERR_ABSENT) {
        pend_put(intake, &waiting, log_no, seq);
    }
}

/* Take an entry that is here already once more: what it waited for may have come, or its standing may be another. */
static void
take_again(struct intake *intake, uint32_t log_no, uint64_t seq, const struct wait *waited)
{
    const struct log_branch *branch = journal_branch(intake->options.journal, log_no);
    struct journal_entry stored;
    uint8_t key[PEND_KEY_BYTES];

    if (journal_read(intake->options.journal, intake->main_txn, log_no, seq, &stored) != ERR_OK ||
        stored.state == STATE_ERASED) {
        return;
    }
    /* An order names it and the scan has not come to it: who may read only now is to be given nothing of it. */
    if (erase_order_of(intake->options.erase, &branch->descriptor.compartment, &branch->log_id,
                       &stored.entry) != NULL) {
        return;
    }
    /* What is lent from a row ends with the next write. */
    struct span payload = stored.entry.payload;
    if (stored.entry.kind == ENTRY_KEY &&
        keys_get_payload(intake->keys_txn, log_no, seq, &payload) != ERR_OK) {
        return;
    }
    if (stored.state == STATE_NEEDS_PAYLOAD && payload.data == NULL) {
        wait_on_for_payload(intake, branch, log_no, seq);
        return;
    }
    struct buf copy = { 0 };
    buf_put_span(&copy, payload);
    if (copy.failed) {
        intake->failed = true;
        return;
    }
    stored.entry.payload = payload.data == NULL ? payload : buf_span(&copy);
    struct outcome outcome = take_entry(intake, branch, &stored.entry);
    bool waits_on = waited != NULL && outcome.wait.reason == waited->reason &&
                    memcmp(outcome.wait.bytes, waited->bytes, WAIT_BYTES) == 0;
    if (waits_on) {
        buf_free(&copy);
        return;
    }
    if (waited != NULL) {
        pend_key(key, waited, log_no, seq);
        (void)table_delete(intake->main_txn, TABLE_PEND, span_of(key, sizeof key));
    } else if (stored.state == STATE_NEEDS_KEY || stored.state == STATE_NEEDS_SCHEMA ||
               stored.state == STATE_NEEDS_PAYLOAD) {
        intake_forget_waiting(intake, branch, &stored.entry);
    }
    if (outcome.wait.reason != 0) {
        pend_put(intake, &outcome.wait, log_no, seq);
    }
    if (outcome.state != stored.state || (uint8_t)outcome.reason != stored.detail) {
        if (stored.state == STATE_MERGED &&
            (stored.entry.kind == ENTRY_DATA || stored.entry.kind == ENTRY_KEY)) {
            queue_record_of(intake, branch, &stored.entry);
        }
        if (stored.state != STATE_MERGED && outcome.record_no != 0) {
            journal_append_record(intake->options.journal, intake->main_txn, outcome.record_no);
        }
        if (journal_set_state(intake->options.journal, intake->main_txn, log_no, seq, outcome.state,
                              (uint8_t)outcome.reason) != ERR_OK) {
            intake->failed = true;
        }
        count_outcome(intake, branch, &outcome);
        grown_add(intake, log_no);
    }
    buf_free(&copy);
}

void
intake_judge_again(struct intake *intake, uint32_t log_no, uint64_t seq)
{
    take_again(intake, log_no, seq, NULL);
}

/* The limit of a branch moved: the entries between are judged again. */
static void
limit_moved(void *self, struct log_branch *branch, uint64_t before)
{
    struct intake *intake = self;
    uint64_t low = before < branch->limit_next ? before : branch->limit_next;
    uint64_t high = before < branch->limit_next ? branch->limit_next : before;

    for (uint64_t seq = low < branch->branch_first ? branch->branch_first : low;
         seq < high && seq < branch->next_seq && !intake->failed; seq++) {
        take_again(intake, branch->log_no, seq, NULL);
    }
    grown_add(intake, branch->log_no);
}

static void
follow_limits(struct intake *intake, struct log_branch *first)
{
    limit_log(intake->options.roster, intake->options.journal, intake->main_txn, first, limit_moved, intake);
}

static void
append(struct intake *intake, struct log_branch *branch, const struct entry *entry)
{
    const struct ident *order =
        erased_by(intake, &branch->descriptor.compartment, &branch->log_id, branch, entry);

    if (order != NULL) {
        append_erased(intake, branch, entry, order);
        return;
    }
    struct outcome outcome = take_entry(intake, branch, entry);

    if (entry->kind == ENTRY_KEY) {
        keys_put_payload(intake->keys_txn, branch->log_no, entry->seq, entry->payload);
    }
    (void)journal_append(intake->options.journal, intake->main_txn, branch, entry, outcome.state,
                         (uint8_t)outcome.reason);
    if (outcome.wait.reason != 0) {
        pend_put(intake, &outcome.wait, branch->log_no, entry->seq);
    }
    count_outcome(intake, branch, &outcome);
}

/* True if our limits for what counts for nothing leave room for these entries on the branch (NULL: of a log or branch that
 * is new). Entries of `control` have room as long as they count. */
static bool
within_quotas(const struct intake *intake, const struct descriptor *descriptor,
              const struct log_branch *branch, size_t entry_count, size_t bytes)
{
    const struct journal *journal = intake->options.journal;
    const struct ident *compartment = &descriptor->compartment;
    struct hash device_id;

    if (branch != NULL && branch->next_seq > branch->told_next) {
        uint64_t beyond_bytes;
        uint64_t beyond = limit_beyond(journal, branch, &beyond_bytes);

        if (beyond + entry_count > BEYOND_ENTRIES_MAX || beyond_bytes + bytes > BEYOND_BYTES_MAX) {
            return false;
        }
    }
    if (branch != NULL) {
        return journal_idle_bytes(journal, &branch->device_id, compartment) < IDLE_BYTES_MAX;
    }
    device_id_of(descriptor->sign_pk, &device_id);
    return journal_idle_bytes(journal, &device_id, compartment) < IDLE_BYTES_MAX;
}

/* True if entries from `first_seq` on may be the way to a cut whose entry is not here: until it is, all of its log is held. One
 * such way has room, however long it is; what else the log has does not. */
static bool
may_lead_to_cut(const struct intake *intake, const struct descriptor *descriptor, const struct hash *log_id,
                uint64_t first_seq, size_t entry_count)
{
    struct journal *journal = intake->options.journal;
    uint64_t awaited = limit_awaited(intake->options.roster, journal, intake->main_txn, descriptor, log_id);
    const struct log_branch *branch = journal_log(journal, log_id);
    uint64_t held_count = 0;

    while (branch != NULL) {
        held_count += branch->held_count;
        branch = branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling);
    }
    return first_seq < awaited && held_count + entry_count <= awaited + BEYOND_ENTRIES_MAX;
}

bool
intake_narrow(struct intake *intake, bool narrow)
{
    bool was = intake->narrow;

    intake->narrow = narrow;
    return was;
}

/* Is there room for a chunk of these bytes? */
static bool
has_disk(struct intake *intake, const struct descriptor *descriptor, size_t bytes)
{
    if (!intake->narrow) {
        return true;
    }
    if (!ident_equal(&descriptor->compartment, roster_control(intake->options.roster)) ||
        bytes > intake->narrow_left) {
        return false;
    }
    intake->narrow_left -= bytes;
    return true;
}

/* --- signatures of our own --- */

static void
sign_head(struct intake *intake, struct log_branch *branch, bool for_ever)
{
    uint8_t signature[SIGNATURE_BYTES];

    entry_sign(signature, &branch->head_id, intake->options.signer);
    /* The next entry brings another for a head; what stands at a run's end stays, and were it wrong, no peer would ever take
     * what follows. */
    if (for_ever && !entry_signature_valid(signature, branch->descriptor.sign_pk, &branch->head_id)) {
        log_event("bad-signature", "log=%s", hash_short(&branch->log_id).text);
        intake->failed = true;
        return;
    }
    journal_keep_signature(intake->options.journal, intake->main_txn, branch, signature);
}

void
intake_sign(struct intake *intake)
{
    for (size_t n = 0; n < intake->unsigned_count; n++) {
        sign_head(intake, journal_branch(intake->options.journal, intake->unsigned_logs[n]), false);
    }
    intake->unsigned_count = 0;
}

static void
sign_later(struct intake *intake, uint32_t log_no)
{
    for (size_t n = 0; n < intake->unsigned_count; n++) {
        if (intake->unsigned_logs[n] == log_no) {
            return;
        }
    }
    if (intake->unsigned_count == UNSIGNED_LOGS_MAX) {
        intake_sign(intake);
    }
    intake->unsigned_logs[intake->unsigned_count] = log_no;
    intake->unsigned_count++;
}

/* --- entries that are authentic --- */

/* Entries of one log that are not here yet. */
struct arrival {
    const struct descriptor *descriptor;
    const struct hash *log_id;
    struct log_branch
        *branch; /* that has the entry before the first, at its head or below; NULL: the log is new */
    const struct entry *entries;
    size_t count;
    size_t bytes;             /* as they came */
    const uint8_t *signature; /* of the last; NULL: our own, signed later */
};

static struct intake_result
take_entries(struct intake *intake, const struct arrival *arrival)
{
    const struct descriptor *descriptor = arrival->descriptor;

    if (!within_quotas(intake, descriptor, arrival->branch, arrival->count, arrival->bytes) &&
        !may_lead_to_cut(intake, descriptor, arrival->log_id, arrival->entries[0].seq, arrival->count)) {
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_LIMIT };
    }
    struct log_branch *branch = branch_for(intake, descriptor, arrival->branch, &arrival->entries[0]);
    if (branch == NULL) {
        intake->failed = true;
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_FULL };
    }
    bool limited = limit_applies(intake->options.roster, descriptor);
    if (limited && branch->next_seq == branch->branch_first) {
        branch->limit_next = branch->branch_first;
        branch->told_next = branch->branch_first;
    }
    uint64_t idle_bytes = branch->idle_bytes;
    for (size_t n = 0; n < arrival->count; n++) {
        append(intake, branch, &arrival->entries[n]);
    }
    idle_bytes = branch->idle_bytes - idle_bytes;
    if (arrival->signature != NULL) {
        journal_keep_signature(intake->options.journal, intake->main_txn, branch, arrival->signature);
    } else {
        sign_later(intake, branch->log_no);
    }
    grown_add(intake, branch->log_no);
    if (limited) {
        /* A cut may be among them: what it lets pass is looked at again. */
        follow_limits(intake, journal_log(intake->options.journal, arrival->log_id));
    }
    if (intake_error(intake) != ERR_OK) {
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_FULL };
    }
    return (struct intake_result){ .verdict = VERDICT_TAKEN,
                                   .log_no = branch->log_no,
                                   .new_count = (uint32_t)arrival->count,
                                   .idle_bytes = idle_bytes,
                                   .last_seq = branch->next_seq - 1 };
}

/* May entries of this log come in at all? */
static struct intake_result
admit(const struct intake *intake, const struct descriptor *descriptor)
{
    switch (policy_admit(intake->options.roster, own_device(intake), descriptor)) {
    case ADMIT:
        return (struct intake_result){ .verdict = VERDICT_TAKEN };
    case LATER_NOT_OURS:
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_LIMIT };
    default:
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_AUTHOR };
    }
}

/* An entry that is here came again: put its payload in, if that is what was waited for. Ids are equal, so the hash is the one that the
 * author signed. False: it did not wait, or none came. */
static bool
fill_payload(struct intake *intake, uint32_t log_no, const struct entry *entry)
{
    const struct log_branch *branch = journal_branch(intake->options.journal, log_no);
    enum entry_state state;

    if (entry->payload.data == NULL || branch->absent_count == 0 ||
        journal_state(intake->options.journal, intake->main_txn, log_no, entry->seq, &state) != ERR_OK ||
        state != STATE_NEEDS_PAYLOAD ||
        erase_order_of(intake->options.erase, &branch->descriptor.compartment, &branch->log_id, entry) !=
            NULL ||
        journal_put_payload(intake->options.journal, intake->main_txn, log_no, entry->seq, entry->payload) !=
            ERR_OK) {
        return false;
    }
    take_again(intake, log_no, entry->seq, NULL);
    return true;
}

/* The first row of `pend` behind a place, of one reason. */
static bool
next_absent(struct table_txn *txn, const struct ident *compartment, enum pend_reason reason,
            struct absent_cursor *cursor)
{
    struct wait wait = wait_for_payload(compartment, reason);
    uint8_t from[PEND_KEY_BYTES];
    struct table_cursor rows;
    struct span key;
    struct span value;

    pend_key(from, &wait, cursor->log_no, cursor->seq + (cursor->log_no != LOG_NONE));
    table_cursor_init(&rows, txn, TABLE_PEND, span_of(from, 1 + WAIT_BYTES));
    bool found =
        table_cursor_seek(&rows, span_of(from, sizeof from), &key, &value) && key.size == sizeof from;
    if (found) {
        *cursor = (struct absent_cursor){ .log_no = bytes_read_u32(key.data + 1 + WAIT_BYTES),
                                          .seq = bytes_read_u64(key.data + 1 + WAIT_BYTES + 4),
                                          .whole = reason == PEND_MEND };
    }
    table_cursor_end(&rows);
    return found;
}

bool
intake_next_absent(struct table_txn *txn, const struct ident *compartment, bool wanted,
                   struct absent_cursor *cursor)
{
    static const enum pend_reason reasons[] = { PEND_MEND, PEND_WANTED, PEND_PAYLOAD };
    struct absent_cursor first = *cursor;
    bool found = false;

    for (size_t n = 0; n < sizeof reasons / sizeof reasons[0]; n++) {
        struct absent_cursor next = *cursor;

        if ((wanted && reasons[n] == PEND_PAYLOAD) || !next_absent(txn, compartment, reasons[n], &next)) {
            continue;
        }
        if (!found || next.log_no < first.log_no || (next.log_no == first.log_no && next.seq < first.seq)) {
            first = next;
        }
        found = true;
    }
    if (found) {
        *cursor = first;
    }
    return found;
}

/* The keys of all rows of one reason, after each other. */
static void
gather_waiting(struct table_txn *txn, enum pend_reason reason, struct buf *keys)
{
    const uint8_t prefix = (uint8_t)reason;
    struct table_cursor rows;
    struct span key;
    struct span value;

    table_cursor_init(&rows, txn, TABLE_PEND, span_of(&prefix, 1));
    while (table_cursor_next(&rows, &key, &value)) {
        if (key.size == PEND_KEY_BYTES) {
            buf_put_span(keys, key);
        }
    }
    table_cursor_end(&rows);
}

static bool
is_of_record(struct intake *intake, const struct log_branch *branch, const struct entry *entry,
             const struct ident *record_id)
{
    const struct epoch_keys *keys =
        keyring_find(intake->options.keyring, &branch->descriptor.compartment, entry->epoch);
    const struct cached_record *record = NULL;
    uint8_t prefix[8];

    return keys != NULL && record_of_entry(intake, branch, entry, keys, prefix, &record) == ERR_OK &&
           ident_equal(&record->record.record_id, record_id);
}

enum err
intake_hinted_record(struct intake *intake, uint32_t log_no, uint64_t seq, uint32_t *record_no_out)
{
    struct journal *journal = intake->options.journal;
    const struct log_branch *branch = journal_branch(journal, log_no);
    const struct cached_record *record = NULL;
    struct journal_entry stored;
    uint8_t prefix[8];
    uint8_t flags = 0;
    enum err err = journal_flags(journal, intake->main_txn, log_no, seq, &flags);

    if (err == ERR_OK && (flags & ENTRY_URGENT_HINT) == 0) {
        return ERR_ABSENT;
    }
    if (err == ERR_OK) {
        err = journal_read(journal, intake->main_txn, log_no, seq, &stored);
    }
    if (err != ERR_OK) {
        return err;
    }
    const struct epoch_keys *keys =
        keyring_find(intake->options.keyring, &branch->descriptor.compartment, stored.entry.epoch);
    if (stored.state != STATE_MERGED || keys == NULL ||
        record_of_entry(intake, branch, &stored.entry, keys, prefix, &record) != ERR_OK) {
        return ERR_ABSENT;
    }
    return record_find(intake->main_txn, &branch->descriptor.compartment, &record->record.record_id,
                       record_no_out);
}

/* `row` is the key of a row of `pend` that waits for a payload. */
static void
count_absent(struct intake *intake, const uint8_t row[PEND_KEY_BYTES], const struct ident *record_id,
             bool want, struct intake_absent *out)
{
    uint32_t log_no = bytes_read_u32(row + 1 + WAIT_BYTES);
    uint64_t seq = bytes_read_u64(row + 1 + WAIT_BYTES + 4);
    const struct log_branch *branch = journal_branch(intake->options.journal, log_no);
    bool wanted = row[0] == PEND_WANTED;
    struct journal_entry stored;

    if (journal_read(intake->options.journal, intake->main_txn, log_no, seq, &stored) != ERR_OK ||
        (record_id != NULL && !is_of_record(intake, branch, &stored.entry, record_id))) {
        return;
    }
    if (want && !wanted) {
        struct wait asked = wait_for_payload(&branch->descriptor.compartment, PEND_WANTED);

        (void)table_delete(intake->main_txn, TABLE_PEND, span_of(row, PEND_KEY_BYTES));
        pend_put(intake, &asked, log_no, seq);
        wanted = true;
    }
    out->count++;
    out->bytes += stored.entry.payload_size;
    out->wanted += wanted;
}

enum err
intake_absent(struct intake *intake, const struct ident *record_id, bool want, struct intake_absent *out)
{
    struct buf keys = { 0 };

    memset(out, 0, sizeof *out);
    gather_waiting(intake->main_txn, PEND_PAYLOAD, &keys);
    gather_waiting(intake->main_txn, PEND_WANTED, &keys);
    bool failed = keys.failed;
    for (size_t at = 0; !failed && at < keys.size; at += PEND_KEY_BYTES) {
        count_absent(intake, keys.data + at, record_id, want, out);
    }
    buf_free(&keys);
    return failed ? ERR_MEMORY : table_error(intake->main_txn);
}

/* --- what was damaged here --- */

void
intake_note_damage(struct intake *intake, uint32_t log_no, uint64_t seq)
{
    struct log_branch *branch = journal_branch(intake->options.journal, log_no);
    struct wait mend = wait_for_payload(&branch->descriptor.compartment, PEND_MEND);

    pend_put(intake, &mend, log_no, seq);
    branch->lacks |= LACKS_ENTRIES;
}

uint64_t
intake_damage_count(struct table_txn *txn)
{
    struct buf keys = { 0 };

    gather_waiting(txn, PEND_MEND, &keys);
    uint64_t count = keys.size / PEND_KEY_BYTES;
    buf_free(&keys);
    return count;
}

/* True if the payload of a key entry is here as its header names it. */
static bool
key_payload_is_here(struct intake *intake, uint32_t log_no, const struct entry *entry)
{
    struct span payload;
    struct hash hash;

    if (keys_get_payload(intake->keys_txn, log_no, entry->seq, &payload) != ERR_OK) {
        return false;
    }
    entry_hash_payload(&hash, payload);
    return hash_equal(&hash, &entry->payload_hash);
}

/* Put one entry that was proved back into its place, as far as it is damaged. False: it was not, or came without what is lacking. */
static bool
mend_entry(struct intake *intake, struct log_branch *branch, const struct entry *entry)
{
    struct journal *journal = intake->options.journal;
    const struct ident *order =
        erase_order_of(intake->options.erase, &branch->descriptor.compartment, &branch->log_id, entry);
    enum entry_state state = waiting_state(intake, branch, entry);
    bool whole = journal_is_whole(journal, intake->main_txn, branch->log_no, entry);
    bool lacks_key =
        entry->kind == ENTRY_KEY && order == NULL && !key_payload_is_here(intake, branch->log_no, entry);

    if (order != NULL && !whole) {
        if (state != STATE_MERGED) {
            intake_forget_waiting(intake, branch, entry);
            branch->pending_count -= branch->pending_count > 0;
            branch->absent_count -= state == STATE_NEEDS_PAYLOAD && branch->absent_count > 0;
        }
        journal_put_back(journal, intake->main_txn, branch->log_no, entry, STATE_ERASED, order);
        return true;
    }
    if ((whole && !lacks_key) ||
        (entry->payload.data == NULL && (lacks_key || state != STATE_NEEDS_PAYLOAD))) {
        return false;
    }
    if (!whole) {
        journal_put_back(journal, intake->main_txn, branch->log_no, entry, state, NULL);
    }
    if (lacks_key) {
        keys_put_payload(intake->keys_txn, branch->log_no, entry->seq, entry->payload);
    }
    return true;
}

/* Keep the signature of a chunk once more where ours is damaged, and one is due: at the end of a run, and at the head. */
static bool
mend_signature(struct intake *intake, const struct log_branch *branch, const struct chunk *chunk)
{
    struct journal *journal = intake->options.journal;
    const struct entry *last = &chunk->entries[chunk->entry_count - 1];
    struct journal_entry next;
    struct run run;

    if (last->seq < branch->branch_first || last->seq >= branch->next_seq ||
        journal_is_signed(journal, intake->main_txn, branch->log_no, last->seq)) {
        return false;
    }
    if (last->seq + 1 < branch->next_seq &&
        (journal_run_before(journal, intake->main_txn, branch->log_no, last->seq + 1, &run) != ERR_OK ||
         journal_read(journal, intake->main_txn, branch->log_no, last->seq + 1, &next) != ERR_OK ||
         !run_breaks(&run, next.entry.payload_size))) {
        return false;
    }
    if (chunk_verify(chunk, branch->descriptor.sign_pk) != CHUNK_OK) {
        return false;
    }
    journal_put_back_signature(intake->main_txn, branch->log_no, last->seq, &last->id, chunk->signature);
    return true;
}

static bool
is_mended(struct intake *intake, const struct log_branch *branch, const struct entry *entry)
{
    return journal_is_whole(intake->options.journal, intake->main_txn, branch->log_no, entry) &&
           (entry->kind != ENTRY_KEY || key_payload_is_here(intake, branch->log_no, entry) ||
            erase_order_of(intake->options.erase, &branch->descriptor.compartment, &branch->log_id, entry) !=
                NULL);
}

/* True if damage of this branch is noted. */
static bool
is_noted(struct intake *intake, const struct log_branch *branch)
{
    struct wait mend = wait_for_payload(&branch->descriptor.compartment, PEND_MEND);
    uint8_t prefix[PEND_KEY_BYTES];
    struct table_cursor rows;
    struct span key;
    struct span value;

    pend_key(prefix, &mend, branch->log_no, 0);
    table_cursor_init(&rows, intake->main_txn, TABLE_PEND, span_of(prefix, PEND_KEY_BYTES - 8));
    bool found = table_cursor_next(&rows, &key, &value);
    table_cursor_end(&rows);
    return found;
}

bool
intake_entry_is_noted(struct intake *intake, uint32_t log_no, uint64_t seq)
{
    const struct log_branch *branch = journal_branch(intake->options.journal, log_no);
    struct wait mend = wait_for_payload(&branch->descriptor.compartment, PEND_MEND);
    uint8_t key[PEND_KEY_BYTES];

    pend_key(key, &mend, log_no, seq);
    return table_has(intake->main_txn, TABLE_PEND, span_of(key, sizeof key));
}

bool
intake_damage_is_noted(struct intake *intake, uint32_t log_no)
{
    return is_noted(intake, journal_branch(intake->options.journal, log_no));
}

/* Take up what was put back, and what comes behind it up to the next signature: it could not be read either, so it is in nothing that was
 * made anew meanwhile. */
static void
take_mended(struct intake *intake, const struct log_branch *branch, uint64_t from, uint64_t end,
            const bool mended[RUN_ENTRIES_MAX])
{
    bool follows = false;

    for (uint64_t seq = from; seq < branch->next_seq && !intake->failed; seq++) {
        if (seq < end && mended[seq - from]) {
            log_event("entry-mended", "log=%s seq=%llu", hash_short(&branch->log_id).text,
                      (unsigned long long)seq);
            follows = true;
        }
        if (follows) {
            take_again(intake, branch->log_no, seq, NULL);
        }
        if (seq + 1 >= end &&
            (!follows || journal_is_signed(intake->options.journal, intake->main_txn, branch->log_no, seq))) {
            return;
        }
    }
}

/* Of a branch that lacks something: put back what of it this chunk brings, once what is here proves that it is the same. Gives how
 * many entries and signatures that were. */
static uint32_t
mend_branch(struct intake *intake, struct log_branch *branch, const struct chunk *chunk)
{
    struct journal *journal = intake->options.journal;
    struct wait mend = wait_for_payload(&branch->descriptor.compartment, PEND_MEND);
    uint64_t last = chunk->first_seq + chunk->entry_count - 1;
    uint64_t end = last < branch->next_seq ? last + 1 : branch->next_seq;
    bool mended[RUN_ENTRIES_MAX] = { false };
    uint32_t count = 0;

    if (end <= branch->branch_first || end <= chunk->first_seq ||
        journal_prove(journal, intake->main_txn, branch->log_no, end - 1,
                      &chunk->entries[end - 1 - chunk->first_seq].id) != ERR_OK) {
        return 0;
    }
    uint64_t from = chunk->first_seq < branch->branch_first ? branch->branch_first : chunk->first_seq;
    for (uint64_t seq = from; seq < end; seq++) {
        mended[seq - from] = mend_entry(intake, branch, &chunk->entries[seq - chunk->first_seq]);
        count += mended[seq - from];
    }
    take_mended(intake, branch, from, end, mended);
    if (count > 0 && branch->held_count > 0) {
        journal_recount(journal, intake->main_txn);
    }
    count += mend_signature(intake, branch, chunk);
    for (uint64_t seq = from; seq < end; seq++) {
        const struct entry *entry = &chunk->entries[seq - chunk->first_seq];
        uint8_t key[PEND_KEY_BYTES];

        pend_key(key, &mend, branch->log_no, seq);
        if (table_has(intake->main_txn, TABLE_PEND, span_of(key, sizeof key)) &&
            is_mended(intake, branch, entry)) {
            (void)table_delete(intake->main_txn, TABLE_PEND, span_of(key, sizeof key));
        }
    }
    if (!is_noted(intake, branch)) {
        branch->lacks = 0;
    }
    return count;
}

/* True if the entry `seq` of a branch is here and cannot be read: whether another is the same, nobody can tell. */
static bool
is_unreadable(struct intake *intake, const struct hash *log_id, uint64_t seq)
{
    struct journal *journal = intake->options.journal;

    for (struct log_branch *branch = journal_log(journal, log_id); branch != NULL;
         branch = branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling)) {
        struct journal_entry stored;

        if (seq >= branch->branch_first && seq < branch->next_seq &&
            journal_read(journal, intake->main_txn, branch->log_no, seq, &stored) != ERR_OK) {
            return true;
        }
    }
    return false;
}

static uint32_t
mend(struct intake *intake, const struct hash *log_id, const struct chunk *chunk)
{
    struct journal *journal = intake->options.journal;
    uint32_t count = 0;

    for (struct log_branch *branch = journal_log(journal, log_id); branch != NULL;
         branch = branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling)) {
        count += branch->lacks != 0 ? mend_branch(intake, branch, chunk) : 0;
    }
    return count;
}

static struct intake_result
take_chunk(struct intake *intake, const struct descriptor *descriptor, struct span bytes)
{
    struct chunk *chunk = &intake->chunk;
    struct hash log_id;
    struct hash prev;
    struct log_branch *branch;

    if (chunk_read(bytes, descriptor->lane, chunk) != CHUNK_OK) {
        return (struct intake_result){ .verdict = VERDICT_MALFORMED };
    }
    struct intake_result result = admit(intake, descriptor);
    if (result.verdict != VERDICT_TAKEN) {
        return result;
    }
    descriptor_log_id(descriptor, &log_id);
    result = attach(intake, &log_id, chunk, &branch, &prev);
    if (result.verdict != VERDICT_TAKEN) {
        return result;
    }
    struct run run = { 0, 0 };
    if (chunk->first_seq > 0 && journal_run_before(intake->options.journal, intake->main_txn, branch->log_no,
                                                   chunk->first_seq, &run) != ERR_OK) {
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_LIMIT };
    }
    if (!within_one_run(chunk, run)) {
        return (struct intake_result){ .verdict = VERDICT_MALFORMED };
    }
    chunk_identify(chunk, &log_id, &prev);

    uint32_t mended = intake->narrow ? 0 : mend(intake, &log_id, chunk);
    /* What is here already is passed over; the rest follows on the branch where that ended. */
    size_t known = 0;
    uint32_t filled = 0;
    for (; known < chunk->entry_count; known++) {
        uint32_t at = journal_find(intake->options.journal, intake->main_txn, &log_id,
                                   chunk->entries[known].seq, &chunk->entries[known].id);
        if (at == LOG_NONE) {
            break;
        }
        branch = journal_branch(intake->options.journal, at);
        filled += !intake->narrow && fill_payload(intake, at, &chunk->entries[known]);
    }
    if (known == chunk->entry_count) {
        return (struct intake_result){ .verdict = filled > 0 ? VERDICT_TAKEN : VERDICT_SEEN,
                                       .new_count = filled,
                                       .mended_count = mended,
                                       .log_no = branch->log_no,
                                       .last_seq = chunk->entries[known - 1].seq };
    }
    if (chunk_verify(chunk, descriptor->sign_pk) != CHUNK_OK) {
        return (struct intake_result){ .verdict = VERDICT_FORGED };
    }
    if (is_unreadable(intake, &log_id, chunk->entries[known].seq)) {
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_LIMIT };
    }
    if (!has_disk(intake, descriptor, bytes.size)) {
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_FULL };
    }
    if (!payloads_are_here(intake, descriptor, &log_id, chunk, known)) {
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_PAYLOAD };
    }
    return take_entries(intake, &(struct arrival){ .descriptor = descriptor,
                                                   .log_id = &log_id,
                                                   .branch = branch,
                                                   .entries = &chunk->entries[known],
                                                   .count = chunk->entry_count - known,
                                                   .bytes = bytes.size,
                                                   .signature = chunk->signature });
}

static struct intake_result
counted(struct intake *intake, struct intake_result result)
{
    intake->options.counts->verdicts[result.verdict]++;
    intake->options.counts->later[result.later]++;
    return result;
}

struct intake_result
intake_chunk(struct intake *intake, const struct descriptor *descriptor, struct span bytes)
{
    if (memcmp(descriptor->sign_pk, intake->options.signer->public_key, SIGN_PK_BYTES) == 0) {
        intake_sign(intake); /* a peer gives back what we lost: it may go on from a head of this turn */
    }
    return counted(intake, take_chunk(intake, descriptor, bytes));
}

static struct intake_result
take_own(struct intake *intake, const struct descriptor *descriptor, const struct hash *log_id,
         const struct entry *entry)
{
    size_t bytes = HEADER_BYTES + entry->payload_size;
    struct intake_result result = admit(intake, descriptor);

    if (result.verdict != VERDICT_TAKEN) {
        return result;
    }
    if (!has_disk(intake, descriptor, bytes)) {
        return (struct intake_result){ .verdict = VERDICT_LATER, .later = LATER_FULL };
    }
    struct log_branch *branch = journal_log(intake->options.journal, log_id);
    if (branch != NULL && branch->next_seq > 0 && run_breaks(&branch->run, entry->payload_size)) {
        sign_head(intake, branch, true);
    }
    return take_entries(intake, &(struct arrival){ .descriptor = descriptor,
                                                   .log_id = log_id,
                                                   .branch = branch,
                                                   .entries = entry,
                                                   .count = 1,
                                                   .bytes = bytes });
}

struct intake_result
intake_own(struct intake *intake, const struct descriptor *descriptor, const struct hash *log_id,
           const struct entry *entry)
{
    return counted(intake, take_own(intake, descriptor, log_id, entry));
}

/* --- turns --- */

enum err
intake_new(struct intake **intake_out, const struct intake_options *options)
{
    struct intake *intake = calloc(1, sizeof *intake);

    if (intake == NULL) {
        return ERR_MEMORY;
    }
    intake->options = *options;
    intake->cache = calloc(RECORD_CACHE_SLOTS, sizeof *intake->cache);
    intake->turn = record_turn_new();
    if (intake->cache == NULL || intake->turn == NULL) {
        intake_free(&intake);
        return ERR_MEMORY;
    }
    intake->source = (struct record_source){ .self = intake, .open = source_open, .half = source_half };
    *intake_out = intake;
    return ERR_OK;
}

void
intake_free(struct intake **intake_in)
{
    struct intake *intake = *intake_in;

    if (intake == NULL) {
        return;
    }
    if (intake->cache != NULL) {
        crypto_wipe(intake->cache, RECORD_CACHE_SLOTS * sizeof *intake->cache);
    }
    record_turn_free(&intake->turn);
    free(intake->cache);
    free(intake->arrived);
    free(intake->grown);
    free(intake->readable);
    arena_free(&intake->arena);
    buf_wipe(&intake->plain);
    free(intake);
    *intake_in = NULL;
}

static void
turn_clear(struct intake *intake)
{
    arena_reset(&intake->arena);
    memset(intake->touched, 0, sizeof intake->touched);
    intake->arrived_count = 0;
    intake->unsigned_count = 0;
    intake->main_txn = NULL;
    intake->keys_txn = NULL;
    intake->judged.log_no = LOG_NONE;
}

static int
ident_order(const void *a, const void *b)
{
    return ident_compare(a, b);
}

/* The compartments that this node may read, as the roster stands. */
static void
note_readable(struct intake *intake, struct ident **readable_out, size_t *count_out)
{
    const struct roster *roster = intake->options.roster;
    size_t count = roster_compartment_count(roster);
    struct ident *readable = calloc(count + 1, sizeof *readable);
    size_t found = 0;

    if (readable == NULL) {
        intake->failed = true;
        *readable_out = NULL;
        *count_out = 0;
        return;
    }
    for (size_t n = 0; n < count; n++) {
        const struct roster_compartment *compartment = roster_compartment_at(roster, n);

        if (policy_opens(roster, own_device(intake), &compartment->id)) {
            readable[found] = compartment->id;
            found++;
        }
    }
    qsort(readable, found, sizeof *readable, ident_order);
    *readable_out = readable;
    *count_out = found;
}

enum err
intake_begin(struct intake *intake, struct table_txn *main_txn, struct table_txn *keys_txn,
             const struct codebook *codebook)
{
    turn_clear(intake);
    intake->narrow_left = intake->narrow ? intake->narrow_left : NARROW_BYTES_MAX;
    intake->narrow = false;
    intake->main_txn = main_txn;
    intake->keys_txn = keys_txn;
    intake->codebook = codebook;
    intake->codebook_seen = roster_codebook(intake->options.roster);
    intake->control_came = false;
    intake->roster_changed = false;
    intake->failed = false;
    intake->keys_came = false;
    intake->rebuild_due = false;
    intake->own_held = 0;
    if (intake->readable == NULL) {
        note_readable(intake, &intake->readable, &intake->readable_count);
    }
    if (intake->failed) {
        return ERR_MEMORY;
    }
    record_turn_begin(intake->turn, main_txn, codebook, &intake->source);
    return ERR_OK;
}

void
intake_abort(struct intake *intake)
{
    record_turn_drop(intake->turn);
    turn_clear(intake);
}

/* Take up every entry whose row in `pend` starts with `prefix`. Rows are listed a slice at a time,
 * since taking one up writes to the table that is walked. */
static void
take_up(struct intake *intake, struct span prefix)
{
    enum { SLICE = 256 };
    uint8_t keys[SLICE][PEND_KEY_BYTES];
    uint8_t after[PEND_KEY_BYTES];
    bool more = true;

    memset(after, 0, sizeof after);
    memcpy(after, prefix.data, prefix.size);
    while (more && !intake->failed) {
        struct table_cursor cursor;
        struct span key;
        struct span value;
        size_t count = 0;

        table_cursor_init(&cursor, intake->main_txn, TABLE_PEND, prefix);
        for (more = table_cursor_seek(&cursor, span_of(after, sizeof after), &key, &value);
             more && count < SLICE; more = table_cursor_next(&cursor, &key, &value)) {
            if (key.size == PEND_KEY_BYTES) {
                memcpy(keys[count], key.data, PEND_KEY_BYTES);
                count++;
            }
        }
        table_cursor_end(&cursor);
        for (size_t n = 0; n < count; n++) {
            struct wait waited = { .reason = keys[n][0] };

            memcpy(waited.bytes, keys[n] + 1, WAIT_BYTES);
            take_again(intake, bytes_read_u32(keys[n] + 1 + WAIT_BYTES),
                       bytes_read_u64(keys[n] + 1 + WAIT_BYTES + 4), &waited);
        }
        if (count > 0) {
            /* Go on behind the last one, which may wait still. */
            memcpy(after, keys[count - 1], sizeof after);
            for (size_t n = sizeof after; n > 0; n--) {
                after[n - 1]++;
                if (after[n - 1] != 0) {
                    break;
                }
            }
        }
    }
}

/* This node may read a compartment that it only carried so far: take everything in it again. */
static void
take_up_carried(struct intake *intake, const struct ident *compartment)
{
    const struct journal *journal = intake->options.journal;
    uint32_t branch_count = journal_branch_count(journal);

    for (uint32_t no = 1; no <= branch_count; no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (!ident_equal(&branch->descriptor.compartment, compartment)) {
            continue;
        }
        for (uint64_t seq = branch->branch_first; seq < branch->next_seq; seq++) {
            enum entry_state state;

            if (journal_state(intake->options.journal, intake->main_txn, no, seq, &state) == ERR_OK &&
                state == STATE_CARRIED) {
                take_again(intake, no, seq, NULL);
            }
        }
    }
}

void
intake_epoch_came(struct intake *intake, const struct ident *compartment, const struct hash *epoch_id)
{
    intake->keys_came = true;
    arrived_add(intake, wait_for_epoch(compartment, epoch_id->bytes));
}

static void
epoch_arrived(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    struct intake *intake = self;

    keys_put_epoch(intake->keys_txn, compartment, epoch_id, key);
    intake_epoch_came(intake, compartment, epoch_id);
}

/* Another codebook is in force: what is derived of every record may be another now. */
static void
queue_rebuild(struct intake *intake)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint32_t last = 0;

    table_cursor_init(&cursor, intake->main_txn, TABLE_RECNO, span_of(NULL, 0));
    if (table_cursor_last(&cursor, &key, &value) && key.size == 4) {
        last = bytes_read_u32(key.data);
    }
    table_cursor_end(&cursor);
    for (uint32_t record_no = 1; record_no <= last; record_no++) {
        struct wait rebuild = { .reason = PEND_REBUILD };

        bytes_write_u64(rebuild.bytes, record_no);
        pend_put(intake, &rebuild, LOG_NONE, 0);
    }
}

/* Take the first record that waits for `reason` out of `pend`. False: none does. */
static bool
take_waiting_record(struct intake *intake, enum pend_reason reason, uint32_t *record_no_out)
{
    const uint8_t prefix = (uint8_t)reason;
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint8_t row[PEND_KEY_BYTES];

    table_cursor_init(&cursor, intake->main_txn, TABLE_PEND, span_of(&prefix, 1));
    bool found = table_cursor_next(&cursor, &key, &value) && key.size == sizeof row;
    if (found) {
        memcpy(row, key.data, sizeof row);
        *record_no_out = (uint32_t)bytes_read_u64(row + 1);
    }
    table_cursor_end(&cursor);
    if (found) {
        (void)table_delete(intake->main_txn, TABLE_PEND, span_of(row, sizeof row));
    }
    return found;
}

bool
intake_rekeys_came(const struct intake *intake)
{
    return intake->rekeys_came;
}

void
intake_rekeys_seen(struct intake *intake)
{
    intake->rekeys_came = false;
}

bool
intake_next_rekey(struct intake *intake, uint32_t *record_no_out)
{
    return take_waiting_record(intake, PEND_REKEY, record_no_out);
}

void
intake_rekey_later(struct intake *intake, uint32_t record_no)
{
    struct wait waiting = { .reason = PEND_REKEY };

    bytes_write_u64(waiting.bytes, record_no);
    pend_put(intake, &waiting, LOG_NONE, 0);
}

/* True if the record's key is not here. An erasure may have destroyed it, and what else it does not be durable yet: the record can
 * be made anew by nobody, and the order will come again. */
static bool
is_closed(struct intake *intake, uint32_t record_no)
{
    struct ident compartment;
    struct ident record_id;
    struct record_key key;
    bool closed = record_name(intake->main_txn, record_no, &compartment, &record_id) == ERR_OK &&
                  intake_record_key(intake, &compartment, &record_id, &key) == ERR_ABSENT;

    crypto_wipe(&key, sizeof key);
    return closed;
}

size_t
intake_work(struct intake *intake, size_t record_max)
{
    enum { CLOSED_MAX = 64 };
    uint32_t closed[CLOSED_MAX];
    uint32_t record_no;
    size_t closed_count = 0;
    size_t done = 0;

    while (done < record_max && closed_count < CLOSED_MAX &&
           take_waiting_record(intake, PEND_REBUILD, &record_no)) {
        if (is_closed(intake, record_no)) {
            closed[closed_count] = record_no;
            closed_count++;
            continue;
        }
        enum err err = record_rebuild(intake->turn, record_no);
        if (err != ERR_OK && err != ERR_ABSENT) {
            intake->failed = true;
            break;
        }
        journal_append_record(intake->options.journal, intake->main_txn, record_no);
        done++;
    }
    /* They go on waiting. */
    for (size_t n = 0; n < closed_count; n++) {
        struct wait rebuild = { .reason = PEND_REBUILD };

        bytes_write_u64(rebuild.bytes, closed[n]);
        pend_put(intake, &rebuild, LOG_NONE, 0);
    }
    return done;
}

uint64_t
intake_rebuild_count(struct table_txn *txn)
{
    static const uint8_t reason = PEND_REBUILD;
    struct table_cursor cursor;
    struct span key;
    struct span value;
    uint64_t count = 0;

    table_cursor_init(&cursor, txn, TABLE_PEND, span_of(&reason, 1));
    while (table_cursor_next(&cursor, &key, &value)) {
        count++;
    }
    table_cursor_end(&cursor);
    return count;
}

bool
intake_is_rebuilding(struct table_txn *txn)
{
    static const uint8_t reason = PEND_REBUILD;
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, txn, TABLE_PEND, span_of(&reason, 1));
    bool any = table_cursor_next(&cursor, &key, &value);
    table_cursor_end(&cursor);
    return any;
}

static void
stale_key(uint8_t key[PEND_KEY_BYTES], uint32_t record_no)
{
    struct wait rebuild = { .reason = PEND_REBUILD };

    bytes_write_u64(rebuild.bytes, record_no);
    pend_key(key, &rebuild, LOG_NONE, 0);
}

bool
intake_is_stale(struct table_txn *txn, uint32_t record_no)
{
    uint8_t key[PEND_KEY_BYTES];
    struct span value;

    stale_key(key, record_no);
    return table_get(txn, TABLE_PEND, span_of(key, sizeof key), &value) == ERR_OK;
}

enum err
intake_freshen(struct intake *intake, uint32_t record_no)
{
    uint8_t key[PEND_KEY_BYTES];

    if (is_closed(intake, record_no)) {
        return ERR_LOCKED;
    }
    stale_key(key, record_no);
    (void)table_delete(intake->main_txn, TABLE_PEND, span_of(key, sizeof key));
    enum err err = record_rebuild(intake->turn, record_no);
    if (err == ERR_OK) {
        journal_append_record(intake->options.journal, intake->main_txn, record_no);
        err = intake_bring_up_to_date(intake);
    }
    return err;
}

enum err
intake_take_place(struct intake *intake, uint64_t place)
{
    uint32_t log_no;
    uint64_t seq;
    enum err err = journal_at(intake->main_txn, place, &log_no, &seq);

    if (err == ERR_OK && log_no != LOG_NONE) {
        take_again(intake, log_no, seq, NULL);
        err = intake->failed ? ERR_MEMORY : table_error(intake->main_txn);
    }
    return err;
}

void
intake_clear_derived(struct intake *intake)
{
    record_clear_all(intake->main_txn);
    /* All but what is known to be damaged: that is derived from nothing. */
    for (uint8_t reason = 0; reason != PEND_MEND; reason++) {
        table_clear(intake->main_txn, TABLE_PEND, span_of(&reason, 1));
    }
    erase_clear_derived(intake->main_txn);
}

void
intake_take_keys_again(struct intake *intake)
{
    struct journal *journal = intake->options.journal;

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        for (uint64_t seq = branch->branch_first; seq < branch->next_seq && !intake->failed; seq++) {
            struct journal_entry stored;

            if (journal_read(journal, intake->main_txn, no, seq, &stored) == ERR_OK &&
                stored.entry.kind == ENTRY_KEY) {
                take_again(intake, no, seq, NULL);
            }
        }
    }
}

void
intake_queue_record(struct intake *intake, uint32_t record_no)
{
    struct wait rebuild = { .reason = PEND_REBUILD };

    bytes_write_u64(rebuild.bytes, record_no);
    pend_put(intake, &rebuild, LOG_NONE, 0);
}

enum err
intake_forget_record(struct intake *intake, const struct ident *compartment, const struct ident *record_id)
{
    enum err err = intake_bring_up_to_date(intake);
    uint32_t record_no;

    if (err == ERR_OK && record_find(intake->main_txn, compartment, record_id, &record_no) == ERR_OK) {
        static const uint8_t reasons[] = { PEND_REBUILD, PEND_REKEY };
        uint8_t key[PEND_KEY_BYTES];

        for (size_t n = 0; n < sizeof reasons; n++) {
            struct wait waiting = { .reason = reasons[n] };

            bytes_write_u64(waiting.bytes, record_no);
            pend_key(key, &waiting, LOG_NONE, 0);
            (void)table_delete(intake->main_txn, TABLE_PEND, span_of(key, sizeof key));
        }
        journal_append_record(intake->options.journal, intake->main_txn, record_no);
    }

    crypto_wipe(intake->cache, RECORD_CACHE_SLOTS * sizeof *intake->cache);
    return err == ERR_OK ? record_forget(intake->turn, compartment, record_id) : err;
}

/* Let what came in through control take effect. */
static void
settle(struct intake *intake)
{
    struct ident *readable;
    size_t readable_count;
    uint64_t before = roster_generation(intake->options.roster);

    intake->control_came = false;
    if (roster_settle(intake->options.roster) != ERR_OK) {
        intake->failed = true;
        return;
    }
    if (roster_generation(intake->options.roster) == before) {
        return;
    }
    intake->roster_changed = true;
    if (roster_codebook(intake->options.roster) != intake->codebook_seen) {
        intake->codebook_seen = roster_codebook(intake->options.roster);
        queue_rebuild(intake);
    }
    (void)keyring_learn(intake->options.keyring, intake->options.roster, epoch_arrived, intake);
    for (uint32_t no = 1; no <= journal_branch_count(intake->options.journal) && !intake->failed; no++) {
        struct log_branch *branch = journal_branch(intake->options.journal, no);

        if (branch->parent == LOG_NONE) {
            follow_limits(intake, branch);
        }
    }
    note_readable(intake, &readable, &readable_count);
    if (readable == NULL) {
        return;
    }
    for (size_t n = 0; n < readable_count; n++) {
        if (bsearch(&readable[n], intake->readable, intake->readable_count, sizeof *readable, ident_order) ==
            NULL) {
            take_up_carried(intake, &readable[n]);
        }
    }
    free(intake->readable);
    intake->readable = readable;
    intake->readable_count = readable_count;
}

bool
intake_is_full(const struct intake *intake)
{
    return record_turn_touched(intake->turn) >= TOUCHED_MAX;
}

enum err
intake_error(const struct intake *intake)
{
    enum err err = intake->failed ? ERR_MEMORY : table_error(intake->main_txn);

    return err != ERR_OK ? err : table_error(intake->keys_txn);
}

enum err
intake_end(struct intake *intake)
{
    /* What arrives may be what other entries wait for, and taking those up may let more arrive. */
    while (!intake->failed && (intake->control_came || intake->arrived_count > 0)) {
        if (intake->control_came) {
            settle(intake);
        }
        while (intake->arrived_count > 0 && !intake->failed) {
            struct wait wait;
            uint8_t prefix[1 + WAIT_BYTES];

            intake->arrived_count--;
            wait = intake->arrived[intake->arrived_count];
            prefix[0] = wait.reason;
            memcpy(prefix + 1, wait.bytes, WAIT_BYTES);
            take_up(intake, span_of(prefix, sizeof prefix));
        }
    }
    if (intake->rebuild_due && !intake->failed) {
        (void)intake_work(intake, REBUILDS_A_TURN);
    }
    if (intake->own_held > 0) {
        log_event("own-entries-held", "count=%llu", (unsigned long long)intake->own_held);
    }
    intake_sign(intake);
    enum err err = record_turn_end(intake->turn);
    if (err == ERR_OK && intake->failed) {
        err = ERR_MEMORY;
    }
    journal_flush(intake->options.journal, intake->main_txn);
    if (err == ERR_OK) {
        err = table_error(intake->keys_txn);
    }
    if (err == ERR_OK) {
        err = table_error(intake->main_txn);
    }
    turn_clear(intake);
    return err;
}

void
intake_retry_all(struct intake *intake)
{
    static const uint8_t reasons[] = { PEND_EPOCH, PEND_RECORD, PEND_SCHEMA };

    for (size_t n = 0; n < sizeof reasons; n++) {
        take_up(intake, span_of(&reasons[n], 1));
    }
}

bool
intake_keys_came(const struct intake *intake)
{
    return intake->keys_came;
}

bool
intake_roster_changed(const struct intake *intake)
{
    return intake->roster_changed;
}

void
intake_each_grown(struct intake *intake, void (*each)(void *self, const struct log_branch *branch),
                  void *self)
{
    for (size_t n = 0; n < intake->grown_count; n++) {
        each(self, journal_branch(intake->options.journal, intake->grown[n]));
    }
    intake->grown_count = 0;
}

bool
intake_touched(const struct intake *intake, uint32_t record_no)
{
    return (intake->touched[record_no % TOUCHED_BITS / 64] >> (record_no % 64) & 1) != 0;
}

enum err
intake_bring_up_to_date(struct intake *intake)
{
    enum err err = record_turn_end(intake->turn);

    if (err != ERR_OK) {
        intake->failed = true;
        return err;
    }
    memset(intake->touched, 0, sizeof intake->touched);
    arena_reset(&intake->arena);
    record_turn_begin(intake->turn, intake->main_txn, intake->codebook, &intake->source);
    return ERR_OK;
}

size_t
intake_memory(const struct intake *intake)
{
    return arena_bytes(&intake->arena);
}

uint64_t
intake_latest_hlc(const struct intake *intake)
{
    return intake->latest_hlc;
}

void
intake_read_with(struct intake *intake, struct table_txn *main_txn, struct table_txn *keys_txn)
{
    intake->main_txn = main_txn;
    intake->keys_txn = keys_txn;
}

const struct record_source *
intake_source(const struct intake *intake)
{
    return &intake->source;
}

void
intake_forget_logs(struct table_txn *txn, uint32_t log_count)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, txn, TABLE_PEND, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        if (key.size != PEND_KEY_BYTES || bytes_read_u32(key.data + 1 + WAIT_BYTES) > log_count) {
            (void)table_delete(txn, TABLE_PEND, key);
        }
    }
    table_cursor_end(&cursor);
}

/* Entries that wait are counted in memory: find them again after opening. */
enum err
intake_recount_pending(struct intake *intake, struct table_txn *txn)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    for (uint32_t no = 1; no <= journal_branch_count(intake->options.journal); no++) {
        journal_branch(intake->options.journal, no)->pending_count = 0;
        journal_branch(intake->options.journal, no)->absent_count = 0;
    }
    table_cursor_init(&cursor, txn, TABLE_PEND, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        uint32_t log_no = key.size == PEND_KEY_BYTES ? bytes_read_u32(key.data + 1 + WAIT_BYTES) : 0;

        if (key.size == PEND_KEY_BYTES && (key.data[0] == PEND_REBUILD || key.data[0] == PEND_REKEY)) {
            continue;
        }
        if (key.size == PEND_KEY_BYTES && key.data[0] == PEND_MEND && log_no > 0 &&
            log_no <= journal_branch_count(intake->options.journal)) {
            journal_branch(intake->options.journal, log_no)->lacks |= LACKS_ENTRIES;
            continue;
        }
        if (value.data == NULL) {
            continue; /* damaged: what it said is found again when all that is derived is made anew */
        }
        if (log_no == 0 || log_no > journal_branch_count(intake->options.journal)) {
            table_cursor_end(&cursor);
            return ERR_CORRUPT;
        }
        struct log_branch *branch = journal_branch(intake->options.journal, log_no);
        branch->pending_count++;
        branch->absent_count += key.data[0] == PEND_PAYLOAD || key.data[0] == PEND_WANTED;
    }
    table_cursor_end(&cursor);
    return table_error(txn);
}
