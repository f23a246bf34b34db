/* serve_device.c - every device that was ever certified: what became of it, and how far its logs go. */
#include "node/call.h"

#include "store/base/world.h"
#include "sync/held.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FORKS_LISTED_MAX = 256 };

/* --- revoked, by whom, for what --- */

static const char *
revoke_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        [REVOKE_NO_REASON] = "no reason given",
        [REVOKE_LOST] = "lost",
        [REVOKE_STOLEN] = "stolen",
        [REVOKE_LEFT] = "left",
        [REVOKE_REPLACED] = "replaced",
        [REVOKE_MISUSE] = "misuse",
    };

    return reason < sizeof names / sizeof names[0] ? names[reason]
                                                   : "a reason that only a newer version knows";
}

static const char *
revoked_by(const struct roster_revocation *revocation)
{
    if (revocation->by_roots) {
        return "the root keys";
    }
    return revocation->office == NULL ? "its office" : revocation->office->code;
}

struct device_words
device_revoked_words(const struct roster *roster, const struct roster_device *device)
{
    struct device_words words = { "" };
    size_t count = 0;
    const struct roster_revocation *revocations = roster_revocations_of(roster, device->sign_pk, &count);

    if (count > 0) {
        (void)snprintf(words.text, sizeof words.text, "revoked by %s: %s", revoked_by(&revocations[0]),
                       revoke_reason_name(revocations[0].reason));
        return words;
    }
    if (device->office != NULL) {
        revocations = roster_revocations_of(roster, device->office->office_pk, &count);
    }
    if (device->revoked && count > 0) {
        (void)snprintf(words.text, sizeof words.text, "the key of its office was revoked by %s: %s",
                       revoked_by(&revocations[0]), revoke_reason_name(revocations[0].reason));
    } else if (device->revoked) {
        (void)snprintf(words.text, sizeof words.text, "revoked");
    }
    return words;
}

void
call_fail_without_own(struct call *call)
{
    const struct roster_device *author =
        roster_author(call->roster, &replica_identity(call->replica)->device_id);

    if (author != NULL && author->revoked) {
        call_fail(call, ERR_DENIED,
                  "ask headquarters: the machine is enrolled again with new keys, and what is held is "
                  "admitted after review",
                  "this device was %s", device_revoked_words(call->roster, author).text);
    } else {
        call_fail(call, ERR_DENIED, "import the news of your organisation: vigil peer add --statements FILE",
                  "this node's certificate does not count here");
    }
}

/* --- finding one --- */

const struct roster_device *
call_author(struct call *call, const char *text)
{
    const struct roster_device *found = NULL;

    for (size_t n = 0; n < roster_author_count(call->roster); n++) {
        const struct roster_device *author = roster_author_at(call->roster, n);

        if (!peers_is_called(author, text)) {
            continue;
        }
        if (found != NULL) {
            call_fail(call, ERR_CONFLICT, "name it by its id or its fingerprint: vigil --json device list",
                      "more than one device is called %.70s, those that were revoked among them", text);
            return NULL;
        }
        found = author;
    }
    if (found == NULL) {
        call_fail(call, ERR_ABSENT, "vigil device list shows every device that was ever certified",
                  "no device is called %.70s", text);
    }
    return found;
}

/* --- how it is --- */

static json_t *
roles_json(uint32_t roles)
{
    json_t *list = json_array();

    for (uint32_t role = 1; role <= ROLE_RELAY; role <<= 1) {
        if ((roles & role) != 0) {
            (void)json_array_append_new(list, json_string(role_name(role)));
        }
    }
    return list;
}

static json_int_t
ahead_s(const json_t *ahead, const struct hash *device_id)
{
    char id[2 * HASH_BYTES + 1];
    size_t index;
    json_t *one;

    bytes_hex(id, hash_span(device_id));
    json_array_foreach((json_t *)ahead, index, one)
    {
        const char *other = json_string_value(json_object_get(json_object_get(one, "device"), "id"));

        if (other != NULL && strcmp(other, id) == 0) {
            return json_integer_value(json_object_get(one, "ahead_s"));
        }
    }
    return 0;
}

static void
note(json_t *notes, const char *text)
{
    (void)json_array_append_new(notes, text_json(span_text(text)));
}

/* One word for the worst of it, and a sentence for each thing that an operator should know. */
static const char *
judge_device(struct call *call, const struct roster_device *device, const json_t *ahead, json_t *notes)
{
    uint64_t now_s = world_wall_ms(call_options(call)->world) / 1000;
    bool forked = device_has_forked(call, &device->device_id);
    bool is_ahead = ahead_s(ahead, &device->device_id) > 0;
    char text[CALL_MESSAGE_BYTES];

    if (device->revoked) {
        (void)snprintf(text, sizeof text, "%s; nothing says when, for a revocation has no date",
                       device_revoked_words(call->roster, device).text);
        note(notes, text);
    }
    if (forked) {
        note(notes,
             "it signed two entries with one number: its key is in two hands, or an old copy of it ran");
    }
    if (device->until < now_s) {
        note(notes, "its certificate is over: renew it");
    }
    if (is_ahead) {
        note(notes, "its clock is far ahead of this one, or this one is behind");
    }
    return device->revoked         ? "revoked"
           : forked                ? "forked"
           : device->until < now_s ? "expired"
           : is_ahead              ? "clock"
                                   : "ok";
}

static json_t *
summary_json(struct call *call, const struct roster_device *device, const json_t *ahead)
{
    const struct serve_options *options = call_options(call);
    json_t *notes = json_array();
    const char *state = judge_device(call, device, ahead, notes);
    struct peer_heard heard = peers_last_heard(options->peers, &device->device_id);

    return json_pack("{s:o,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:b,s:b}", "id",
                     hex_json(hash_span(&device->device_id)), "name", device->name, "office",
                     device->office == NULL ? "" : device->office->code, "fingerprint",
                     hash_fingerprint(&device->device_id).text, "state", state, "notes", notes, "roles",
                     roles_json(device->roles), "until", time_json(device->until * 1000), "last_contact",
                     time_json(heard.at_ms), "by_bundle", heard.by_bundle, "own",
                     hash_equal(&device->device_id, &replica_identity(call->replica)->device_id));
}

void
call_device_list(struct call *call)
{
    json_t *ahead = clocks_ahead_json(call);
    json_t *list = json_array();

    for (size_t n = 0; n < roster_author_count(call->roster); n++) {
        (void)json_array_append_new(list, summary_json(call, roster_author_at(call->roster, n), ahead));
    }
    json_decref(ahead);
    call_ok(call, json_pack("{s:o}", "devices", list));
}

/* --- device.show --- */

static json_t *
levels_json(const struct call *call, const struct roster_device *device)
{
    static const char *const names[] = { "none", "carry", "read", "write", "admin" };
    json_t *list = json_array();

    for (size_t n = 0; n < roster_compartment_count(call->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(call->roster, n);
        enum level level = roster_author_level(call->roster, device, &compartment->id);

        if (level > LEVEL_NONE && level <= LEVEL_ADMIN) {
            (void)json_array_append_new(
                list, json_pack("{s:s,s:s}", "compartment", compartment->name, "level", names[level]));
        }
    }
    return list;
}

static json_t *
revocations_json(const struct call *call, const struct roster_device *device)
{
    size_t count = 0;
    const struct roster_revocation *revocations =
        roster_revocations_of(call->roster, device->sign_pk, &count);
    json_t *list = json_array();

    for (size_t n = 0; n < count; n++) {
        (void)json_array_append_new(
            list,
            json_pack("{s:o,s:s,s:s,s:I,s:I}", "id", hex_json(hash_span(&revocations[n].stmt_id)), "reason",
                      revoke_reason_name(revocations[n].reason), "by", revoked_by(&revocations[n]), "cuts",
                      (json_int_t)revocations[n].cut_count, "keep", (json_int_t)revocations[n].keep_count));
    }
    return list;
}

/* True if a cut of the log names an entry that is not here. */
static bool
cut_waits(struct call *call, const struct log_branch *branch)
{
    struct journal *journal = replica_journal(call->replica);
    size_t count = 0;
    const struct roster_revocation *revocations =
        roster_revocations_of(call->roster, branch->descriptor.sign_pk, &count);

    for (size_t n = 0; n < count; n++) {
        for (size_t m = 0; m < revocations[n].cut_count; m++) {
            const struct statement_cut *cut = &revocations[n].cuts[m];

            if (hash_equal(&cut->log_id, &branch->log_id) &&
                journal_find(journal, call->txn, &cut->log_id, cut->seq, &cut->entry_id) == LOG_NONE) {
                return true;
            }
        }
    }
    return false;
}

static json_t *
log_json(struct call *call, const struct log_branch *branch)
{
    const struct roster_compartment *compartment =
        roster_compartment(call->roster, &branch->descriptor.compartment);
    uint64_t counts = branch->limit_next < branch->next_seq ? branch->limit_next : branch->next_seq;
    bool limited = branch->limit_next != UINT64_MAX;

    return json_pack("{s:o,s:s,s:i,s:o,s:I,s:I,s:I,s:I,s:b,s:b}", "log", hex_json(hash_span(&branch->log_id)),
                     "compartment", compartment == NULL ? "" : compartment->name, "lane",
                     (int)branch->descriptor.lane, "incarnation",
                     hex_json(span_of(branch->descriptor.incarnation, sizeof branch->descriptor.incarnation)),
                     "first", (json_int_t)branch->branch_first, "next", (json_int_t)branch->next_seq,
                     "counts_to", (json_int_t)(counts > branch->branch_first ? counts : branch->branch_first),
                     "held", (json_int_t)branch->held_count, "cut", limited, "cut_waits",
                     limited && cut_waits(call, branch));
}

void
call_device_show(struct call *call)
{
    const struct journal *journal = replica_journal(call->replica);
    const char *text = call_text_needed(call, "device");
    const struct roster_device *device = text == NULL ? NULL : call_author(call, text);

    if (device == NULL) {
        return;
    }
    json_t *ahead = clocks_ahead_json(call);
    json_t *logs = json_array();
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (hash_equal(&branch->device_id, &device->device_id)) {
            (void)json_array_append_new(logs, log_json(call, branch));
        }
    }
    json_t *ok = summary_json(call, device, ahead);
    json_t *more = json_pack(
        "{s:o,s:s,s:o,s:o,s:o,s:o}", "certificate", hex_json(hash_span(&device->certificate)), "endpoint",
        device->endpoint == NULL ? "" : device->endpoint, "levels", levels_json(call, device), "revocations",
        revocations_json(call, device), "forks", forks_json(call, &device->device_id), "logs", logs);
    if (ok != NULL && more != NULL) {
        (void)json_object_set_new(ok, "ahead_s", json_integer(ahead_s(ahead, &device->device_id)));
        (void)json_object_update(ok, more);
    }
    json_decref(more);
    json_decref(ahead);
    call_ok(call, ok);
}

/* --- forks --- */

/* The fork at (log, seq) is listed by one object, whether it is proved, or both branches are here, or both. */
static bool
is_listed(const json_t *list, const char *log, json_int_t seq)
{
    size_t index;
    json_t *one;

    json_array_foreach((json_t *)list, index, one)
    {
        if (json_integer_value(json_object_get(one, "seq")) == seq &&
            strcmp(json_string_value(json_object_get(one, "log")), log) == 0) {
            return true;
        }
    }
    return false;
}

/* What is here of the entries of one number that a log forked at: their names, what they claim, and how far the log goes on
 * from each. */
static json_t *
branches_json(struct call *call, const struct hash *log_id, uint64_t seq)
{
    struct journal *journal = replica_journal(call->replica);
    const struct log_branch *branch = journal_log(journal, log_id);
    json_t *list = json_array();

    for (; branch != NULL;
         branch = branch->sibling == LOG_NONE ? NULL : journal_branch(journal, branch->sibling)) {
        struct journal_entry stored;
        struct arena arena = { 0 };
        uint64_t hlc = 0;

        if (seq < branch->branch_first || seq >= branch->next_seq ||
            journal_read(journal, call->txn, branch->log_no, seq, &stored) != ERR_OK) {
            continue;
        }
        const struct held_entry entry = { .log_no = stored.log_no, .seq = seq, .entry_id = stored.entry.id };
        if (replica_stamp_of(call->replica, branch->log_no, seq, &arena, &hlc) != ERR_OK) {
            hlc = 0;
        }
        (void)json_array_append_new(
            list, json_pack("{s:s,s:o,s:I,s:b}", "id", held_name(journal, &entry).text, "at", hlc_json(hlc),
                            "next", (json_int_t)branch->next_seq, "counts", stored.state != STATE_HELD));
        arena_free(&arena);
    }
    return list;
}

static void
add_fork(struct call *call, const struct hash *device_id, const struct hash *log_id,
         const struct ident *compartment_id, uint64_t seq, bool proved, json_t *list)
{
    const struct roster_compartment *compartment = roster_compartment(call->roster, compartment_id);
    const struct roster_device *author = roster_author(call->roster, device_id);
    char log[2 * HASH_BYTES + 1];

    bytes_hex(log, hash_span(log_id));
    if (json_array_size(list) < FORKS_LISTED_MAX && !is_listed(list, log, (json_int_t)seq)) {
        (void)json_array_append_new(
            list,
            json_pack("{s:o,s:s,s:I,s:s,s:b,s:b,s:b,s:o}", "device", device_json(call->roster, device_id),
                      "log", log, "seq", (json_int_t)seq, "compartment",
                      compartment == NULL ? "" : compartment->name, "proved", proved, "own",
                      hash_equal(device_id, &replica_identity(call->replica)->device_id), "revoked",
                      author != NULL && author->revoked, "branches", branches_json(call, log_id, seq)));
    }
}

json_t *
forks_json(struct call *call, const struct hash *device_id)
{
    const struct journal *journal = replica_journal(call->replica);
    json_t *list = json_array();

    for (size_t n = 0; n < roster_fork_count(call->roster); n++) {
        const struct roster_fork *fork = roster_fork_at(call->roster, n);

        if (device_id == NULL || hash_equal(device_id, &fork->device_id)) {
            add_fork(call, &fork->device_id, &fork->log_id, &fork->descriptor.compartment, fork->first, true,
                     list);
        }
    }
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (branch->parent != LOG_NONE && branch->next_seq > branch->branch_first &&
            (device_id == NULL || hash_equal(device_id, &branch->device_id))) {
            add_fork(call, &branch->device_id, &branch->log_id, &branch->descriptor.compartment,
                     branch->branch_first, false, list);
        }
    }
    return list;
}

bool
device_has_forked(struct call *call, const struct hash *device_id)
{
    json_t *forks = forks_json(call, device_id);
    bool any = json_array_size(forks) > 0;

    json_decref(forks);
    return any;
}
