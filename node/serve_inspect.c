/* serve_inspect.c - one object of the replica as it is stored, down to its bytes: for whoever looks for what is wrong. What an entry says
 * is shown to those alone to whom the record would be. */
#include "node/call.h"

#include "store/journal.h"
#include "sync/held.h"
#include "sync/update.h"

#include <string.h>
#include <strings.h>

enum { DIGITS_MIN = 6 };

/* Who is shown what records say. */
static bool
sees_content(struct call *call)
{
    return (call_roles(call) & (ROLE_CASE_WORK | ROLE_REVIEW | ROLE_HEADQUARTERS)) != 0 &&
           !replica_is_restored(call->replica, NULL);
}

static const char *
compartment_name(const struct call *call, const struct ident *id)
{
    const struct roster_compartment *compartment = roster_compartment(call->roster, id);

    return compartment == NULL ? "" : compartment->name;
}

static bool
begins(const struct hash *id, const char *digits)
{
    char hex[2 * HASH_BYTES + 1];

    bytes_hex(hex, hash_span(id));
    return strncasecmp(hex, digits, strlen(digits)) == 0;
}

/* Member `name`: the beginning of an id, in hex. NULL: the call failed. */
static const char *
read_digits(struct call *call, const char *name)
{
    const char *text = call_text_needed(call, name);
    size_t size = text == NULL ? 0 : strlen(text);

    if (text != NULL && (size < DIGITS_MIN || size > 2 * (size_t)HASH_BYTES ||
                         strspn(text, "0123456789abcdefABCDEF") != size)) {
        call_fail(call, ERR_INVALID, "give at least 6 digits of it, as they are shown elsewhere",
                  "%.70s is not the beginning of an id", text);
    }
    return call->failed ? NULL : text;
}

static void
fail_absent(struct call *call, const char *what, const char *digits)
{
    call_fail(call, ERR_ABSENT, "it may be on another node; vigil sync status shows how far this one is",
              "no %s that is here has an id that begins with %.70s", what, digits);
}

static void
fail_several(struct call *call, const char *what, const char *digits)
{
    call_fail(call, ERR_CONFLICT, "give more of its digits", "more than one %s begins with %.70s", what,
              digits);
}

static void
fail_read(struct call *call, enum err err)
{
    call_fail(call, err, err == ERR_CORRUPT ? "stop the node and run vigild verify" : "", "%s",
              err_text(err));
}

/* --- inspect.entry --- */

static const char *
kind_text(uint8_t kind)
{
    static const char *const names[] = {
        [ENTRY_DATA] = "data",       [ENTRY_CONTROL] = "control", [ENTRY_KEY] = "key",
        [ENTRY_RECEIPT] = "receipt", [ENTRY_SEAL] = "seal",
    };

    return kind < sizeof names / sizeof names[0] && names[kind] != NULL ? names[kind] : "unknown";
}

static json_t *
flags_json(uint8_t flags)
{
    static const char *const names[] = { "compressed", "padded", "names files", "urgent" };
    json_t *list = json_array();

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        if ((flags & (1U << n)) != 0) {
            (void)json_array_append_new(list, json_string(names[n]));
        }
    }
    return list;
}

/* The signature that proves the entry: that of the first entry at or after it that carries one. */
static void
add_signature(struct call *call, const struct held_entry *found, json_t *ok)
{
    struct journal *journal = replica_journal(call->replica);
    const struct log_branch *branch = journal_branch(journal, found->log_no);
    uint8_t signature[SIGNATURE_BYTES];
    struct journal_entry signed_one;
    uint64_t at = 0;

    enum err err = journal_signature_after(journal, call->txn, found->log_no, found->seq, &at, signature);
    if (err == ERR_OK) {
        err = journal_read(journal, call->txn, found->log_no, at, &signed_one);
    }
    if (err != ERR_OK) {
        (void)json_object_set_new(ok, "signature", json_null());
        return;
    }
    (void)json_object_set_new(
        ok, "signature",
        json_pack("{s:I,s:o,s:b}", "of_seq", (json_int_t)at, "bytes",
                  hex_json(span_of(signature, sizeof signature)), "valid",
                  entry_signature_valid(signature, branch->descriptor.sign_pk, &signed_one.entry.id)));
}

/* What it says, if it counts and somebody asks who would be shown its record. */
static void
add_words(struct call *call, const struct held_entry *found, const struct log_branch *branch,
          const struct journal_entry *stored, json_t *ok)
{
    struct signed_change entry;
    struct ident record_id;

    if (!sees_content(call) || stored->entry.kind != ENTRY_DATA || stored->state != STATE_MERGED ||
        replica_open_entry(call->replica, found->log_no, found->seq, &call->arena, &entry, &record_id) !=
            ERR_OK ||
        replica_is_restricted(call->replica, &branch->descriptor.compartment, &record_id)) {
        return;
    }
    json_t *ops = json_array();
    call->one_record = true; /* what is confidential of it is noted as read */
    call->record = record_id;
    for (size_t n = 0; n < entry.change.op_count; n++) {
        (void)json_array_append_new(ops, op_json(call, &entry.change.ops[n]));
    }
    (void)json_object_set_new(ok, "record", hex_json(ident_span(&record_id)));
    (void)json_object_set_new(ok, "at", hlc_json(entry.change.hlc));
    (void)json_object_set_new(ok, "actor", actor_json(call->roster, &entry.device_id, entry.change.actor));
    (void)json_object_set_new(ok, "ops", ops);
}

static bool
find_entry(struct call *call, struct held_entry *found)
{
    const char *name = call_text_needed(call, "entry");

    if (name == NULL) {
        return false;
    }
    enum err err = held_find_any(replica_journal(call->replica), call->txn, name, found);
    switch (err) {
    case ERR_OK:
        break;
    case ERR_INVALID:
        call_fail(call, err, "vigil why and vigil held list show such names, as in 3f09a1c2b1d4:17",
                  "%.70s is not the name of an entry", name);
        break;
    case ERR_ABSENT:
        call_fail(call, err, "it may be on another node; vigil inspect log shows how far a log is here",
                  "no entry that is here is called %.70s", name);
        break;
    case ERR_CONFLICT:
        call_fail(call, err, "name it by more digits of its log, and of its entry behind a further colon",
                  "more than one entry is called %.70s", name);
        break;
    default:
        fail_read(call, err);
        break;
    }
    return err == ERR_OK;
}

void
call_inspect_entry(struct call *call)
{
    struct journal *journal = replica_journal(call->replica);
    bool bytes = call_flag(call, "bytes");
    struct held_entry found;
    struct journal_entry stored;
    uint8_t header[HEADER_BYTES];

    if (call->failed || !find_entry(call, &found)) {
        return;
    }
    enum err err = journal_read(journal, call->txn, found.log_no, found.seq, &stored);
    if (err != ERR_OK) {
        fail_read(call, err);
        return;
    }
    const struct log_branch *branch = journal_branch(journal, stored.log_no);
    bool here = stored.entry.payload.data != NULL && stored.entry.payload.size > 0;
    entry_header_write(header, &stored.entry);
    json_t *ok = json_pack(
        "{s:s,s:o,s:o,s:I,s:o,s:s,s:i,s:s,s:o,s:s,s:I,s:b,s:o}", "entry", held_name(journal, &found).text,
        "id", hex_json(hash_span(&stored.entry.id)), "log", hex_json(hash_span(&branch->log_id)), "seq",
        (json_int_t)found.seq, "device", device_json(call->roster, &branch->device_id), "compartment",
        compartment_name(call, &branch->descriptor.compartment), "lane", (int)stored.entry.lane, "kind",
        kind_text(stored.entry.kind), "flags", flags_json(stored.entry.flags), "state",
        entry_state_name(stored.state), "payload_bytes", (json_int_t)stored.entry.payload_size,
        "payload_here", here, "header", hex_json(span_of(header, sizeof header)));
    if (stored.state == STATE_HELD) {
        enum held_reason reason = (enum held_reason)stored.detail;

        (void)json_object_set_new(ok, "reason", json_string(held_reason_name(reason)));
        (void)json_object_set_new(ok, "why",
                                  text_json(span_text(held_words(call->roster, branch, reason).text)));
    }
    if (stored.state == STATE_ERASED) {
        (void)json_object_set_new(ok, "order", hex_json(ident_span(&stored.order)));
    }
    if (bytes && here) {
        (void)json_object_set_new(ok, "payload", hex_json(stored.entry.payload));
    }
    add_signature(call, &found, ok);
    add_words(call, &found, branch, &stored, ok);
    call_ok(call, ok);
}

/* --- inspect.log --- */

static json_t *
branch_json(struct call *call, const struct log_branch *branch)
{
    const struct journal *journal = replica_journal(call->replica);
    uint64_t entries = branch->next_seq - branch->branch_first;
    uint64_t counts = branch->limit_next < branch->next_seq ? branch->limit_next : branch->next_seq;
    uint8_t signature[SIGNATURE_BYTES];
    uint64_t at = 0;
    json_t *json =
        json_pack("{s:I,s:I,s:I,s:o,s:I,s:I,s:I,s:I,s:I,s:b}", "first", (json_int_t)branch->branch_first,
                  "next", (json_int_t)branch->next_seq, "entries", (json_int_t)entries, "head",
                  hex_json(hash_span(&branch->head_id)), "counts_to", (json_int_t)counts, "visible_to",
                  (json_int_t)branch->visible_next, "held", (json_int_t)branch->held_count, "waiting",
                  (json_int_t)branch->pending_count, "not_here", (json_int_t)branch->absent_count, "damaged",
                  branch->lacks != 0);

    if (entries > 0 && journal_signature_after(replica_journal(call->replica), call->txn, branch->log_no,
                                               branch->next_seq - 1, &at, signature) == ERR_OK) {
        (void)json_object_set_new(json, "head_signature", hex_json(span_of(signature, sizeof signature)));
        (void)json_object_set_new(
            json, "head_signature_valid",
            json_boolean(entry_signature_valid(signature, branch->descriptor.sign_pk, &branch->head_id)));
    }
    if (branch->parent != LOG_NONE) {
        (void)json_object_set_new(json, "leaves_before_seq_of",
                                  hex_json(hash_span(&journal_branch(journal, branch->parent)->head_id)));
    }
    return json;
}

/* The first branch of the one log whose id begins so. NULL: the call failed. */
static const struct log_branch *
find_log(struct call *call, const char *digits)
{
    const struct journal *journal = replica_journal(call->replica);
    const struct log_branch *found = NULL;

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (branch->parent != LOG_NONE || !begins(&branch->log_id, digits)) {
            continue;
        }
        if (found != NULL) {
            fail_several(call, "log", digits);
            return NULL;
        }
        found = branch;
    }
    if (found == NULL) {
        fail_absent(call, "log", digits);
    }
    return found;
}

void
call_inspect_log(struct call *call)
{
    const struct journal *journal = replica_journal(call->replica);
    const char *digits = read_digits(call, "log");
    const struct log_branch *log = digits == NULL ? NULL : find_log(call, digits);
    uint8_t descriptor[DESCRIPTOR_BYTES];

    if (log == NULL) {
        return;
    }
    json_t *branches = json_array();
    for (const struct log_branch *branch = log; branch != NULL;
         branch = branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling)) {
        (void)json_array_append_new(branches, branch_json(call, branch));
    }
    descriptor_write(descriptor, &log->descriptor);
    call_ok(call,
            json_pack("{s:o,s:o,s:s,s:i,s:o,s:o,s:b,s:o}", "log", hex_json(hash_span(&log->log_id)), "device",
                      device_json(call->roster, &log->device_id), "compartment",
                      compartment_name(call, &log->descriptor.compartment), "lane", (int)log->descriptor.lane,
                      "incarnation",
                      hex_json(span_of(log->descriptor.incarnation, sizeof log->descriptor.incarnation)),
                      "descriptor", hex_json(span_of(descriptor, sizeof descriptor)), "forked",
                      json_array_size(branches) > 1, "branches", branches));
}

/* --- inspect.record --- */

/* What of a record stands in one compartment; NULL: nothing, or the call failed. */
static json_t *
half_json(struct call *call, const struct ident *compartment, const struct ident *record_id)
{
    struct journal *journal = replica_journal(call->replica);
    const struct record_place *places = NULL;
    json_int_t states[STATE_COUNT] = { 0 };
    uint32_t record_no = 0;
    uint64_t conflicts = 0;
    size_t count = 0;
    uint64_t bytes = 0;
    json_t *list = json_array();
    enum err err = record_find(call->txn, compartment, record_id, &record_no);

    if (err == ERR_OK) {
        err = record_history(call->txn, record_no, &call->arena, &places, &count);
    }
    for (size_t n = 0; n < count && err == ERR_OK; n++) {
        struct journal_entry stored;

        err = journal_read(journal, call->txn, places[n].log_no, places[n].seq, &stored);
        if (err == ERR_OK && stored.state < STATE_COUNT) {
            states[stored.state]++;
            bytes += stored.entry.payload_size;
            const struct held_entry entry = { .log_no = places[n].log_no,
                                              .seq = places[n].seq,
                                              .entry_id = stored.entry.id };
            (void)json_array_append_new(list, json_string(held_name(journal, &entry).text));
        }
    }
    const struct record_conflict *open = NULL;
    size_t open_count = 0;
    if (err == ERR_OK &&
        record_conflicts_read(call->txn, record_no, &call->arena, &open, &open_count) == ERR_OK) {
        conflicts = open_count;
    }
    if (err != ERR_OK) {
        if (err != ERR_ABSENT) {
            fail_read(call, err);
        }
        json_decref(list);
        return NULL;
    }
    json_t *by_state = json_object();
    for (int state = 0; state < STATE_COUNT; state++) {
        if (states[state] > 0) {
            (void)json_object_set_new(by_state, entry_state_name((enum entry_state)state),
                                      json_integer(states[state]));
        }
    }
    return json_pack("{s:s,s:I,s:I,s:o,s:I,s:o}", "compartment", compartment_name(call, compartment),
                     "entries", (json_int_t)count, "payload_bytes", (json_int_t)bytes, "states", by_state,
                     "conflicts", (json_int_t)conflicts, "names", list);
}

void
call_inspect_record(struct call *call)
{
    struct named named;

    if (!call_record(call, &named)) {
        return;
    }
    const struct roster_compartment *compartment = roster_compartment(call->roster, &named.compartment);
    const struct ident *halves[2] = { &named.compartment, compartment == NULL || compartment->twin == NULL
                                                              ? NULL
                                                              : &compartment->twin->id };
    struct intake_absent absent;
    json_t *list = json_array();

    for (int half = 0; half < 2; half++) {
        json_t *json = halves[half] == NULL ? NULL : half_json(call, halves[half], &named.record_id);

        if (json != NULL) {
            (void)json_array_append_new(list, json);
        }
    }
    json_t *ok =
        json_pack("{s:o,s:b,s:o}", "record", hex_json(ident_span(&named.record_id)), "restricted",
                  replica_is_restricted(call->replica, &named.compartment, &named.record_id), "parts", list);
    if (sees_content(call)) {
        (void)json_object_set_new(ok, "number", json_string(named.number));
    }
    if (replica_absent(call->replica, &named.record_id, false, &absent) == ERR_OK && absent.count > 0) {
        (void)json_object_set_new(ok, "to_come", absent_json(&absent));
    }
    call_ok(call, ok);
}

/* --- inspect.statement --- */

static json_t *
signers_json(struct call *call, const struct statement *statement)
{
    json_t *list = json_array();

    for (size_t n = 0; n < statement->signers.count; n++) {
        struct statement_signature signature = statement_signature_at(&statement->signers, n);
        const struct roster_device *device = NULL;
        struct hash device_id;

        device_id_of(signature.sign_pk, &device_id);
        device = roster_author(call->roster, &device_id);
        (void)json_array_append_new(list, json_pack("{s:o,s:s,s:b}", "key",
                                                    hex_json(span_of(signature.sign_pk, SIGN_PK_BYTES)),
                                                    "device", device == NULL ? "" : device->name, "valid",
                                                    statement_signature_valid(&signature, &statement->id)));
    }
    return list;
}

/* A statement with its bytes. NULL: it is not here, or no memory. */
static json_t *
statement_json(struct call *call, const struct hash *id)
{
    struct statement statement;
    struct buf bytes = { 0 };
    json_t *json = NULL;

    if (roster_write(call->roster, id, &bytes) && !bytes.failed &&
        statement_read_stored(buf_span(&bytes), &statement)) {
        json = json_pack("{s:o,s:s,s:b,s:b,s:o,s:o,s:I}", "statement", hex_json(hash_span(id)), "type",
                         statement_type_name(statement.type), "stands", roster_stands(call->roster, id),
                         "newer", statement.newer, "signers", signers_json(call, &statement), "stmt",
                         hex_json(statement.bytes), "signed_bytes", (json_int_t)bytes.size);
    }
    call_lacks(call, bytes.failed);
    buf_free(&bytes);
    return json;
}

struct sought {
    const char *digits;
    size_t count;
    struct hash id;
};

static void
seek_statement(void *self, const struct hash *id, uint32_t type, struct span stmt)
{
    struct sought *sought = self;

    (void)type;
    (void)stmt;
    if (begins(id, sought->digits)) {
        sought->id = *id;
        sought->count++;
    }
}

void
call_inspect_statement(struct call *call)
{
    struct sought sought = { .digits = read_digits(call, "statement") };

    if (sought.digits == NULL) {
        return;
    }
    roster_each(call->roster, 0, seek_statement, &sought);
    if (sought.count != 1) {
        if (sought.count == 0) {
            fail_absent(call, "statement", sought.digits);
        } else {
            fail_several(call, "statement", sought.digits);
        }
        return;
    }
    call_ok(call, statement_json(call, &sought.id));
}

/* --- inspect.peer --- */

void
call_inspect_peer(struct call *call)
{
    const char *text = call_text_needed(call, "peer");
    const struct roster_device *device = text == NULL ? NULL : call_peer_device(call, text);
    char id[2 * HASH_BYTES + 1];
    size_t index;
    json_t *peer;

    if (device == NULL) {
        return;
    }
    json_t *ok =
        json_pack("{s:o,s:o,s:n,s:o}", "device", device_json(call->roster, &device->device_id), "keys",
                  json_pack("{s:o,s:o,s:o}", "sign", hex_json(span_of(device->sign_pk, SIGN_PK_BYTES)), "box",
                            hex_json(span_of(device->box_pk, sizeof device->box_pk)), "transport",
                            hex_json(span_of(device->transport_pk, sizeof device->transport_pk))),
                  "sync", "certificate", statement_json(call, &device->certificate));
    bytes_hex(id, hash_span(&device->device_id));
    json_t *peers = peers_json(call);
    json_array_foreach(peers, index, peer)
    {
        const char *of = json_string_value(json_object_get(json_object_get(peer, "device"), "id"));

        if (of != NULL && strcmp(of, id) == 0) {
            (void)json_object_set(ok, "sync", peer);
        }
    }
    json_decref(peers);
    call_ok(call, ok);
}
