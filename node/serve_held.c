/* serve_held.c - what is kept here and does not count: whose, why, and for admins what it says. */
#include "node/call.h"

#include "store/base/world.h"
#include "sync/gossip.h"
#include "sync/held.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- why --- */

struct device_words
held_words(const struct roster *roster, const struct log_branch *branch, enum held_reason reason)
{
    const struct roster_device *author = roster_author_by_sign_pk(roster, branch->descriptor.sign_pk);
    struct device_words words = { "" };
    size_t count = 0;

    (void)roster_revocations_of(roster, branch->descriptor.sign_pk, &count);
    if (reason != HELD_BEYOND_CUT) {
        (void)snprintf(words.text, sizeof words.text, "%s", held_reason_text(reason));
    } else if (count == 0) {
        (void)snprintf(words.text, sizeof words.text, "no certificate that counts lets %.60s write there",
                       author == NULL ? "its author" : author->name);
    } else {
        (void)snprintf(words.text, sizeof words.text, "beyond the cut of %.60s, which was %.150s",
                       author == NULL ? "its author" : author->name,
                       author == NULL ? "revoked" : device_revoked_words(roster, author).text);
    }
    return words;
}

static const char *
entry_kind_name(uint8_t kind)
{
    switch (kind) {
    case ENTRY_DATA:
        return "data";
    case ENTRY_CONTROL:
        return "control";
    case ENTRY_KEY:
        return "key";
    case ENTRY_RECEIPT:
        return "receipt";
    case ENTRY_SEAL:
        return "seal";
    default:
        return "unknown";
    }
}

static json_t *
held_json(struct call *call, const struct held_entry *entry)
{
    const struct journal *journal = replica_journal(call->replica);
    const struct log_branch *branch = journal_branch(journal, entry->log_no);
    const struct roster_compartment *compartment =
        roster_compartment(call->roster, &branch->descriptor.compartment);

    return json_pack("{s:s,s:o,s:o,s:I,s:o,s:s,s:s,s:s,s:o,s:I}", "id", held_name(journal, entry).text,
                     "device", device_json(call->roster, &branch->device_id), "log",
                     hex_json(hash_span(&branch->log_id)), "seq", (json_int_t)entry->seq, "entry",
                     hex_json(hash_span(&entry->entry_id)), "compartment",
                     compartment == NULL ? "" : compartment->name, "kind", entry_kind_name(entry->kind),
                     "reason", held_reason_name(entry->reason), "why",
                     text_json(span_text(held_words(call->roster, branch, entry->reason).text)), "bytes",
                     (json_int_t)entry->payload_bytes);
}

/* --- held.list --- */

/* "7:120": where a walk goes on. False: the call failed. */
static bool
read_cursor(struct call *call, struct held_place *place)
{
    const char *text = call_text(call, "after");

    *place = (struct held_place){ 0 };
    if (text != NULL && (sscanf(text, "%" SCNu32 ":%" SCNu64, &place->log_no, &place->seq) != 2 ||
                         place->log_no == LOG_NONE)) {
        call_usage(call, "\"after\" is not a \"next\" of held.list");
    }
    return !call->failed;
}

static json_t *
cursor_json(const struct journal *journal, const struct held_place *place)
{
    char text[40];

    if (held_ended(journal, place)) {
        return json_null();
    }
    (void)snprintf(text, sizeof text, "%" PRIu32 ":%" PRIu64, place->log_no, place->seq);
    return json_string(text);
}

void
call_held_list(struct call *call)
{
    struct journal *journal = replica_journal(call->replica);
    const char *text = call_text(call, "device");
    bool own = call_flag(call, "own");
    size_t room = (size_t)call_number(call, "limit", 1, HELD_SLICE, HELD_SLICE);
    struct held_filter filter = { own ? &replica_identity(call->replica)->device_id : NULL };
    struct held_entry entries[HELD_SLICE];
    struct held_place place;
    size_t count = 0;

    if (text != NULL && own) {
        call_usage(call, "give \"device\" or \"own\", and not both");
    }
    const struct roster_device *device = text == NULL || call->failed ? NULL : call_author(call, text);
    if (device != NULL) {
        filter.device_id = &device->device_id;
    }
    if (!read_cursor(call, &place)) {
        return;
    }
    enum err err = held_next(journal, call->txn, &filter, &place, entries, room, &count);
    if (err != ERR_OK) {
        call_fail(call, err, "stop the node and run vigild verify", "%s", err_text(err));
        return;
    }
    json_t *list = json_array();
    for (size_t n = 0; n < count; n++) {
        (void)json_array_append_new(list, held_json(call, &entries[n]));
    }
    call_ok(call, json_pack("{s:o,s:o}", "entries", list, "next", cursor_json(journal, &place)));
}

/* --- held.show --- */

static bool
find_held(struct call *call, struct held_entry *entry)
{
    const char *id = call_text_needed(call, "entry");

    if (id == NULL) {
        return false;
    }
    enum err err = held_find(replica_journal(call->replica), call->txn, id, entry);
    switch (err) {
    case ERR_OK:
        return true;
    case ERR_INVALID:
        call_fail(call, err, "vigil held list shows such names, as in 3f09a1c2b1d4:17",
                  "%.60s is not the name of an entry", id);
        break;
    case ERR_ABSENT:
        call_fail(call, err, "vigil held list shows those that are", "no entry that is held is called %.60s",
                  id);
        break;
    case ERR_CONFLICT:
        call_fail(call, err, "name it by more digits of its log, and of its entry behind a further colon",
                  "more than one entry is called %.60s", id);
        break;
    default:
        call_fail(call, err, "stop the node and run vigild verify", "%s", err_text(err));
        break;
    }
    return false;
}

static json_t *
statements_json(const struct intake_words *words)
{
    json_t *list = json_array();

    for (size_t n = 0; n < words->statement_count; n++) {
        struct statement statement;

        if (statement_read(words->statements[n], &statement)) {
            (void)json_array_append_new(list,
                                        json_pack("{s:s,s:o}", "type", statement_type_name(statement.type),
                                                  "id", hex_json(hash_span(&statement.id))));
        }
    }
    return list;
}

/* The record that an entry is about, if it has one that is known here: its number, or "". */
static void
add_record(struct call *call, const struct intake_words *words, json_t *ok)
{
    const struct names_source source = { call->txn, call->codebook, call->roster };
    char id[2 * IDENT_BYTES + 1];
    struct named named;

    if (!words->has_record) {
        return;
    }
    bytes_hex(id, ident_span(&words->record_id));
    bool known = names_find(call_names(call), &source, id, &named) == ERR_OK;
    (void)json_object_set_new(ok, "record", json_string(id));
    (void)json_object_set_new(ok, "number", json_string(known ? named.number : ""));
}

/* True if one half of the record is restricted: then nothing that anybody wrote in it is shown, be it held or not. */
static bool
is_restricted(struct call *call, const struct log_branch *branch, const struct intake_words *words)
{
    const struct roster_compartment *own = roster_compartment(call->roster, &branch->descriptor.compartment);
    const struct roster_compartment *const halves[2] = { own, own == NULL ? NULL : own->twin };
    bool restricted = false;

    for (int half = 0; words->has_record && half < 2; half++) {
        struct record_summary summary = { .restricted = false };
        uint32_t record_no = 0;

        if (halves[half] != NULL &&
            record_find(call->txn, &halves[half]->id, &words->record_id, &record_no) == ERR_OK &&
            record_summary_read(call->txn, call->codebook, record_no, &call->arena, &summary) == ERR_OK) {
            restricted = restricted || summary.restricted;
        }
    }
    return restricted;
}

static void
add_words(struct call *call, const struct log_branch *branch, const struct intake_words *words, json_t *ok)
{
    json_t *ops = json_array();

    (void)json_object_set_new(ok, "opened", json_true());
    (void)json_object_set_new(ok, "at", hlc_json(words->hlc));
    (void)json_object_set_new(ok, "suspect_time", json_boolean(stamp_is_suspect(call, words->hlc)));
    (void)json_object_set_new(ok, "actor", actor_json(call->roster, &branch->device_id, words->actor));
    add_record(call, words, ok);
    bool restricted =
        words->has_record &&
        replica_is_restricted(call->replica, &branch->descriptor.compartment, &words->record_id);
    (void)json_object_set_new(ok, "restricted", json_boolean(restricted));
    for (size_t n = 0; words->kind == ENTRY_DATA && !restricted && n < words->change.change.op_count; n++) {
        (void)json_array_append_new(ops, op_json(call, &words->change.change.ops[n]));
    }
    (void)json_object_set_new(ok, "ops", ops);
    (void)json_object_set_new(ok, "statements", statements_json(words));
}

/* Why an entry is not shown opened; "" for what ends the call. */
static const char *
closed_text(enum err err)
{
    switch (err) {
    case ERR_DENIED:
        return "only a device with admin in its compartment may read it";
    case ERR_LOCKED:
        return "a key that it needs has not arrived here";
    case ERR_NEWER:
        return "it needs a newer version of this program";
    case ERR_INVALID:
        return "it does not open, or says nothing that can be shown";
    case ERR_ABSENT:
        return "what it said is no longer here";
    default:
        return "";
    }
}

void
call_held_show(struct call *call)
{
    struct held_entry entry;
    struct intake_words words;

    if (!find_held(call, &entry)) {
        return;
    }
    const struct log_branch *branch = journal_branch(replica_journal(call->replica), entry.log_no);
    json_t *ok = held_json(call, &entry);
    enum err err = replica_open_held(call->replica, entry.log_no, entry.seq, &call->arena, &words);
    if (err == ERR_OK && is_restricted(call, branch, &words)) {
        (void)json_object_set_new(ok, "opened", json_false());
        (void)json_object_set_new(ok, "closed", json_string("its record is restricted"));
    } else if (err == ERR_OK) {
        add_words(call, branch, &words, ok);
    } else if (closed_text(err)[0] != '\0') {
        (void)json_object_set_new(ok, "opened", json_false());
        (void)json_object_set_new(ok, "closed", json_string(closed_text(err)));
    } else {
        call_fail(call, err, err == ERR_CORRUPT ? "stop the node and run vigild verify" : "", "%s",
                  err_text(err));
    }
    call_ok(call, ok);
}

/* --- held.fetch --- */

void
call_held_fetch(struct call *call)
{
    const struct serve_options *options = call_options(call);
    const char *text = call_text(call, "peer");
    const struct roster_device *peer = text == NULL ? NULL : call_peer_device(call, text);
    uint64_t now_ms = world_steady_ms(options->world);
    json_t *compartments = json_array();
    size_t asked = 0;

    for (size_t n = 0; !call->failed && n < roster_compartment_count(call->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(call->roster, n);

        if (roster_level(call->roster, call->own, &compartment->id) >= LEVEL_ADMIN) {
            size_t here = gossip_ask_beyond(options->gossip, peer == NULL ? NULL : &peer->device_id,
                                            &compartment->id, now_ms);

            asked = here > asked ? here : asked;
            (void)json_array_append_new(compartments, json_string(compartment->name));
        }
    }
    if (!call->failed && json_array_size(compartments) == 0) {
        call_fail(call, ERR_DENIED, "do it on an admin's device", "this device has admin in no compartment");
    }
    call_ok(call, json_pack("{s:I,s:o}", "asked", (json_int_t)asked, "compartments", compartments));
}
