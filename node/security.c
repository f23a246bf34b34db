#include "node/security.h"

#include "store/base/bytes.h"
#include "store/base/crypto.h"
#include "store/base/log.h"
#include "store/table.h"
#include "store/vault.h"
#include "sync/replica.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_BYTES = HASH_BYTES + 8 + 8, /* the lock, u64 findings, u64 repaired */
    LOCK_BYTES_MAX = 1 << 16,
    COUNT_DIGITS_MAX = 18,
    PATH_BYTES = 4096,
};

static const char others[] = "others";
static const char row_name[] = "security"; /* in meta */

/* In alphabetical order. Every one but `others` is an event of the log. What of the log is missing here is of no matter for security, or
 * is in a signed chain anyway: tests/unit/security.c says which. */
static const struct security_event events[] = {
    { "audit-damaged", "a chain of the audit log was found damaged" },
    { "audit-impossible",
      "what somebody did here could not be noted: the certificate of this device did not count" },
    { "backup-made", "a backup was taken" },
    { "bad-signature", "a signature that this device made was wrong" },
    { "bundle-refused", "a bundle brought what is forged or damaged" },
    { "config-read", "the configuration was read again" },
    { "config-refused", "a changed configuration could not be used" },
    { "damaged-entry", "an entry was found damaged on the disk" },
    { "damaged-file", "a part of an evidence file was found damaged on the disk" },
    { "damaged-row", "a row of the database was found damaged on the disk, and made anew where it can be" },
    { "door-refused", "somebody at the door was refused" },
    { "entry-mended", "a damaged entry came again from a peer" },
    { "file-refused", "a device sent a part of an evidence file that is not of that file" },
    { "file-unreadable", "an evidence file could not be read here" },
    { "fork-proved", "a device signed two entries with one number: it was proved" },
    { "incarnation-new", "this device closed its logs and writes on in new ones" },
    { "keys-left-behind", "keys that were damaged were left out when keys were rewritten" },
    { "late-copy-refused", "a copy of an erased record came, and was refused" },
    { "lock-changed",
      "the lock is another: the passphrase was changed, or an older lock was put in its place" },
    { "log-unreadable", "a log could not be read here" },
    { "memory-not-locked", "memory is not locked: secrets may reach the swap area" },
    { "net-alarm", "the network process told something that an operator must know" },
    { "net-died", "the network process died" },
    { "net-forbidden", "the network process made a call that it never makes, and was ended" },
    { "net-malformed", "the network process told what it never tells, and was ended" },
    { "net-silent", "the network process did not answer any more, and was ended" },
    { others, "events of more kinds than are told apart in an hour" },
    { "own-entries-held", "what this device writes does not count any more" },
    { "peer-alarm", "a connection with a device was cut off or was not with that device" },
    { "peer-malformed", "a device sent what no node sends, or more than it may, and was cut off" },
    { "peer-set-back", "a device has less of its own log than is here: it was set back to an older state" },
    { "peer-settings", "somebody changed how a device is reached" },
    { "restore-answered", "a bundle said what was erased since the backup was made" },
    { "restore-confirmed", "what the restored node holds is shown again" },
    { "runs-restored", "the node runs from a backup, and has not heard yet what was erased since" },
    { "sandbox-incomplete", "the node runs without its whole sandbox" },
    { "set-back", "the state of this node was found older than what it signed" },
    { "starter-gone", "the process that starts the network process is gone" },
    { "table-row-corrupt", "a row of the database did not open" },
    { "update-refused", "a device sent a forged or malformed entry" },
    { "verify-found", "vigild verify found damage" },
    { "verify-repaired", "vigild verify --repair made whole what was damaged" },
};

enum { EVENTS = sizeof events / sizeof events[0] };

struct place {
    struct security_note note; /* no event: it is free */
    uint64_t next_ms;          /* of the steady clock: no note before then */
    uint64_t written;          /* of its count, in the turn that is open */
};

/* What of the state directory was seen. */
struct sight {
    struct hash lock;
    uint64_t found;
    uint64_t repaired;
};

struct security {
    const struct world *world;
    char directory[PATH_BYTES];
    struct place places[SECURITY_PLACES + 1]; /* the last is that of `others` */
    uint64_t not_before_ms;
    struct sight sight;
    bool is_sighted; /* something was looked at */
    bool is_known;   /* `sight` is in the database */
    bool is_written; /* in the turn that is open */
};

const struct security_event *
security_event_at(size_t n)
{
    return n < EVENTS ? &events[n] : NULL;
}

const struct security_event *
security_event_of(const char *text)
{
    size_t size = strcspn(text, " ");

    for (size_t n = 0; n < EVENTS; n++) {
        if (strlen(events[n].event) == size && memcmp(events[n].event, text, size) == 0) {
            return &events[n];
        }
    }
    return NULL;
}

struct security *
security_new(const struct world *world, const char *directory)
{
    struct security *security = calloc(1, sizeof *security);

    if (security != NULL) {
        security->world = world;
        (void)snprintf(security->directory, sizeof security->directory, "%s", directory);
    }
    return security;
}

void
security_free(struct security **security)
{
    free(*security);
    *security = NULL;
}

/* --- hearing --- */

bool
security_wants(const char *event)
{
    return strcmp(event, others) != 0 && security_event_of(event) != NULL;
}

static uint64_t
read_number(const char *line, const char *key, uint64_t missing)
{
    size_t size = 0;
    const char *value = log_line_value(line, key, &size);
    uint64_t number = 0;

    if (value == NULL || size == 0 || size > COUNT_DIGITS_MAX) {
        return missing;
    }
    for (size_t n = 0; n < size; n++) {
        if (value[n] < '0' || value[n] > '9') {
            return missing;
        }
        number = 10 * number + (uint64_t)(value[n] - '0');
    }
    return number;
}

static void
copy_value(char *out, size_t room, const char *line, const char *key)
{
    size_t used = strlen(out);
    size_t size = 0;
    const char *value = log_line_value(line, key, &size);

    if (value != NULL && size > 0) {
        (void)snprintf(out + used, room - used, "%s%.*s", used == 0 ? "" : ", ", (int)size, value);
    }
}

/* What of a line is noted: the keys that say why or what by a word of ours, and no other. */
static void
read_line(const char *line, struct security_note *note)
{
    static const char *const devices[] = { "peer", "device" };
    static const char *const reasons[] = { "what", "mode", "changed", "reason", "verdict", "err", "error" };

    for (size_t n = 0; n < sizeof devices / sizeof devices[0] && note->device[0] == '\0'; n++) {
        copy_value(note->device, sizeof note->device, line, devices[n]);
    }
    for (size_t n = 0; n < sizeof reasons / sizeof reasons[0]; n++) {
        copy_value(note->reason, sizeof note->reason, line, reasons[n]);
    }
    note->actor = (uint32_t)read_number(line, "actor", 0);
    note->count = read_number(line, "count", 1);
}

static bool
is_alike(const struct security_note *a, const struct security_note *b)
{
    return a->event == b->event && a->actor == b->actor && strcmp(a->device, b->device) == 0 &&
           strcmp(a->reason, b->reason) == 0;
}

/* True if nothing of it waits, and it may be noted at once again. */
static bool
is_free(const struct place *place, uint64_t now_ms)
{
    return place->note.event == NULL || (place->note.count == 0 && now_ms >= place->next_ms);
}

/* The place of what is alike, or a free one. */
static struct place *
place_for(struct security *security, const struct security_note *note, uint64_t now_ms)
{
    struct place *found = NULL;

    for (size_t n = 0; n < SECURITY_PLACES; n++) {
        struct place *place = &security->places[n];

        if (place->note.event != NULL && is_alike(&place->note, note)) {
            return place;
        }
        found = found == NULL && is_free(place, now_ms) ? place : found;
    }
    return found != NULL ? found : &security->places[SECURITY_PLACES];
}

void
security_hear(void *self, const char *line)
{
    struct security *security = self;
    struct security_note note = { .device = "" };
    uint64_t now_ms = world_steady_ms(security->world);
    uint64_t wall_ms = world_wall_ms(security->world);

    note.event = security_event_of(line + strlen("event="));
    read_line(line, &note);
    if (note.event == NULL || note.count == 0) {
        return;
    }
    struct place *place = place_for(security, &note, now_ms);
    if (place == &security->places[SECURITY_PLACES]) {
        note = (struct security_note){ .event = security_event_of(others), .count = note.count };
    }
    if (is_free(place, now_ms)) {
        note.first_ms = wall_ms;
        note.last_ms = wall_ms;
        *place = (struct place){ .note = note };
        return;
    }
    if (place->note.count == place->written) {
        place->note.first_ms = wall_ms;
    }
    place->note.count += note.count;
    place->note.last_ms = wall_ms;
}

/* --- looking at what changed beside the log --- */

/* False: there is none, or it cannot be read. */
static bool
hash_lock(const struct security *security, struct hash *out)
{
    char path[PATH_BYTES + 8];
    struct buf bytes = { 0 };

    (void)snprintf(path, sizeof path, "%s/lock", security->directory);
    enum err err = vault_read_plain(path, LOCK_BYTES_MAX, &bytes);
    if (err == ERR_OK) {
        CRYPTO_HASH(out, "vigil.lck.seen", buf_span(&bytes));
    }
    buf_free(&bytes);
    return err == ERR_OK;
}

/* What was known the last time. False: nothing. */
static bool
read_known(struct table_txn *txn, struct sight *out)
{
    struct buf row = { 0 };
    bool known = table_read(txn, TABLE_META, span_text(row_name), &row) == ERR_OK && row.size == ROW_BYTES;

    if (known) {
        memcpy(out->lock.bytes, row.data, HASH_BYTES);
        out->found = bytes_read_u64(row.data + HASH_BYTES);
        out->repaired = bytes_read_u64(row.data + HASH_BYTES + 8);
    }
    buf_free(&row);
    return known;
}

static bool
sight_equal(const struct sight *a, const struct sight *b)
{
    return hash_equal(&a->lock, &b->lock) && a->found == b->found && a->repaired == b->repaired;
}

void
security_look(struct security *security, struct replica *replica)
{
    struct table_txn *txn = NULL;
    struct sight row = { .found = 0 };
    struct sight now = { .found = 0 };
    struct replica_verified verified = { .at_ms = 0 };

    if (!hash_lock(security, &now.lock) || replica_begin_read(replica, &txn) != ERR_OK) {
        return;
    }
    bool known = read_known(txn, &row);
    (void)replica_last_verified(txn, &verified);
    enum err err = table_error(txn);
    replica_end_read(replica, &txn);
    if (err != ERR_OK) {
        return;
    }
    now.found = verified.found_ever;
    now.repaired = verified.repaired_ever;
    /* What was told once may still wait to be noted. */
    const struct sight before = security->is_sighted ? security->sight : row;
    if ((known || security->is_sighted) && !hash_equal(&before.lock, &now.lock)) {
        log_event("lock-changed", NULL);
    }
    if (now.found > before.found) {
        log_event("verify-found", "count=%" PRIu64, now.found - before.found);
    }
    if (now.repaired > before.repaired) {
        log_event("verify-repaired", "count=%" PRIu64, now.repaired - before.repaired);
    }
    security->is_known = known && sight_equal(&row, &now);
    security->sight = now;
    security->is_sighted = true;
}

void
security_remember(struct security *security, struct table_txn *txn)
{
    uint8_t row[ROW_BYTES];

    if (!security->is_sighted || security->is_known) {
        return;
    }
    memcpy(row, security->sight.lock.bytes, HASH_BYTES);
    bytes_write_u64(row + HASH_BYTES, security->sight.found);
    bytes_write_u64(row + HASH_BYTES + 8, security->sight.repaired);
    table_put(txn, TABLE_META, span_text(row_name), span_of(row, sizeof row));
    security->is_written = true;
}

/* --- writing --- */

static bool
place_is_due(const struct place *place, bool all, uint64_t now_ms)
{
    return place->note.event != NULL && place->note.count > place->written &&
           (all || now_ms >= place->next_ms);
}

bool
security_is_due(const struct security *security, bool all)
{
    uint64_t now_ms = world_steady_ms(security->world);
    bool due = security->is_sighted && !security->is_known;

    for (size_t n = 0; n <= SECURITY_PLACES && !due; n++) {
        due = place_is_due(&security->places[n], all, now_ms);
    }
    return due && (all || now_ms >= security->not_before_ms);
}

const struct security_note *
security_take(struct security *security, bool all, size_t *place_no)
{
    uint64_t now_ms = world_steady_ms(security->world);

    while (*place_no <= SECURITY_PLACES) {
        struct place *place = &security->places[*place_no];

        ++*place_no;
        if (place_is_due(place, all, now_ms)) {
            place->written = place->note.count;
            return &place->note;
        }
    }
    return NULL;
}

void
security_turn_ended(struct security *security, bool good)
{
    uint64_t now_ms = world_steady_ms(security->world);
    bool wrote = security->is_written;

    for (size_t n = 0; n <= SECURITY_PLACES; n++) {
        struct place *place = &security->places[n];

        wrote = wrote || place->written > 0;
        if (good && place->written > 0) {
            place->note.count -= place->written;
            place->note.again = true;
            place->next_ms = now_ms + SECURITY_HOUR_MS;
        }
        place->written = 0;
    }
    security->is_known = security->is_known || (good && security->is_written);
    security->is_written = false;
    if (wrote && !good) {
        security_postpone(security, SECURITY_RETRY_MS);
    }
}

void
security_postpone(struct security *security, uint64_t wait_ms)
{
    security->not_before_ms = world_steady_ms(security->world) + wait_ms;
}
