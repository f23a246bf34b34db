/* serve_status.c - how the node is: its counts, its digests, its codebook, its people, its journal. */
#include "node/call.h"
#include "node/json_memory.h"
#include "node/codebook_json.h"

#include "store/base/world.h"
#include "sync/scrub.h"
#include "sync/gossip.h"
#include "sync/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
    HEADS_MAX = 2048,          /* logs whose last stamp is looked at for a status */
    AHEAD_MS = 60 * 60 * 1000, /* what is further ahead is told */
    EXPIRY_WARNING_S = 30 * 24 * 3600,
};

/* --- status --- */

struct pend_counts
count_pend(struct table_txn *txn)
{
    struct pend_counts counts = { 0 };
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, txn, TABLE_PEND, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &key, &value)) {
        switch (key.size == 0 ? 0 : key.data[0]) {
        case PEND_EPOCH:
        case PEND_RECORD:
            counts.key++;
            break;
        case PEND_SCHEMA:
            counts.schema++;
            break;
        case PEND_REBUILD:
            counts.rebuild++;
            break;
        case PEND_PAYLOAD:
            counts.text++;
            break;
        case PEND_WANTED:
            counts.asked++;
            break;
        default:
            break;
        }
    }
    table_cursor_end(&cursor);
    return counts;
}

static json_t *
refused_json(const struct call *call, const struct intake_counts *counts)
{
    const struct status *status = call_options(call)->status;
    json_t *later = json_object();
    json_t *door = json_object();

    for (int n = LATER_NONE + 1; n < LATER_COUNT; n++) {
        if (counts->later[n] > 0) {
            (void)json_object_set_new(later, later_text((enum later)n),
                                      json_integer((json_int_t)counts->later[n]));
        }
    }
    for (unsigned n = 0; n < status->door_count; n++) {
        (void)json_object_set_new(door, status->door[n].reason,
                                  json_integer((json_int_t)status->door[n].count));
    }
    return json_pack("{s:I,s:I,s:o,s:o,s:I}", "malformed", (json_int_t)counts->verdicts[VERDICT_MALFORMED],
                     "forged", (json_int_t)counts->verdicts[VERDICT_FORGED], "later", later, "door", door,
                     "strays", (json_int_t)status->strays);
}

/* Keep the greatest lead of each device. */
static void
add_ahead(json_t *devices, json_t *device, json_int_t ahead_s)
{
    size_t index;
    json_t *known;

    json_array_foreach(devices, index, known)
    {
        if (json_equal(json_object_get(known, "device"), device)) {
            json_t *lead = json_object_get(known, "ahead_s");
            if (json_integer_value(lead) < ahead_s) {
                (void)json_integer_set(lead, ahead_s);
            }
            json_decref(device);
            return;
        }
    }
    (void)json_array_append_new(devices, json_pack("{s:o,s:I}", "device", device, "ahead_s", ahead_s));
}

/* Devices whose last readable stamp is ahead of our clock: one of the two clocks is wrong. */
json_t *
clocks_ahead_json(struct call *call)
{
    struct journal *journal = replica_journal(call->replica);
    uint32_t count = journal_branch_count(journal);
    uint64_t now_ms = world_wall_ms(call_options(call)->world);
    json_t *devices = json_array();
    struct arena arena = { 0 }; /* emptied after each entry, and the call's own holds more than those */

    for (uint32_t no = 1; no <= count && no <= HEADS_MAX; no++) {
        const struct log_branch *branch = journal_branch(journal, no);
        struct signed_change entry;
        struct ident record_id;

        if (branch->descriptor.lane == LANE_CONTROL || branch->next_seq == branch->branch_first) {
            continue;
        }
        enum err err =
            replica_open_entry(call->replica, no, branch->next_seq - 1, &arena, &entry, &record_id);
        if (err == ERR_OK && (entry.change.hlc >> 16) > now_ms + AHEAD_MS) {
            add_ahead(devices, device_json(call->roster, &branch->device_id),
                      (json_int_t)(((entry.change.hlc >> 16) - now_ms) / 1000));
        }
        arena_reset(&arena);
    }
    arena_free(&arena);
    return devices;
}

static json_t *
disk_json(const struct call *call, struct table_stat *stat)
{
    struct statvfs disk;
    char path[4096];
    uint64_t free_bytes = 0;

    table_env_stat(replica_env(call->replica), stat);
    (void)snprintf(path, sizeof path, "%s", call_options(call)->directory);
    if (statvfs(path, &disk) == 0) {
        free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    }
    return json_pack("{s:I,s:I,s:I,s:I}", "used", (json_int_t)stat->used_bytes, "map",
                     (json_int_t)stat->map_bytes, "file", (json_int_t)stat->file_bytes, "free",
                     (json_int_t)free_bytes);
}

size_t
waiting_orders(const struct roster *roster)
{
    size_t count = 0;

    for (size_t n = 0; n < roster_erasure_count(roster); n++) {
        count += !roster_erasure_at(roster, n)->stands;
    }
    return count;
}

/* Peers that are not reached for want of a proxy, or for what became of it: nothing but this node's operator mends that. */
static void
warn_of_proxies(json_t *warnings, struct peers *peers)
{
    for (size_t n = 0; n < peers_count(peers); n++) {
        const struct peer *peer = peers_at(peers, n);

        if (peer->proxy_failed && peer->member) {
            warn(warnings, "%s is not reached: %s; vigil peer set --help says how it is called", peer->name,
                 peer->reason);
        }
    }
}

/* What an operator should look at, a sentence each. */
static json_t *
warnings_json(const struct call *call, const struct table_stat *stat, const struct pend_counts *pend,
              bool clock_suspect, const json_t *ahead)
{
    const struct status *status = call_options(call)->status;
    uint64_t now_s = world_wall_ms(call_options(call)->world) / 1000;
    json_t *warnings = json_array();

    if (call->own == NULL) {
        /* One that was revoked is told so by alarms_json. */
        if (!own_is_revoked(call)) {
            warn(warnings,
                 "this device's certificate does not count here: import the news of your organisation");
        }
    } else if (clock_suspect) {
        warn(warnings,
             "the clock says that this device's certificate is over: check the clock, then renew it");
    } else if (call->own->until < now_s + EXPIRY_WARNING_S) {
        warn(warnings, "this device's certificate ends within 30 days: have it renewed");
    }
    if (replica_is_restored(call->replica, NULL)) {
        warn(warnings, "restored: no record is shown before it has compared with a peer, or taken in a "
                       "bundle of one that is younger than the backup, or: vigil backup accept");
    }
    uint64_t needs = replica_compact_bytes(call->replica);
    if (needs > 0) {
        warn(warnings,
             "what was erased lies in free pages still: rewriting the files needs %llu MiB of free disk",
             (unsigned long long)(needs >> 20) + 1);
    }
    if (waiting_orders(call->roster) > 0) {
        warn(warnings, "%zu orders to erase wait for a second signature: vigil erase list",
             waiting_orders(call->roster));
    }
    if (stat->corrupt_count > 0) {
        warn(warnings, "%llu stored rows did not verify: stop the node and run vigild verify",
             (unsigned long long)stat->corrupt_count);
    }
    if (json_array_size(ahead) > 0) {
        warn(warnings, "%zu %s far ahead of this one, or this one is behind", json_array_size(ahead),
             json_array_size(ahead) == 1 ? "clock is" : "clocks are");
    }
    if (!status->memory_locks) {
        warn(warnings, "memory cannot be locked here, so keys may reach the swap: raise the memlock limit");
    }
    if (status->sandbox_missing[0] != '\0') {
        warn(warnings, "the sandbox is not whole (%s): whoever takes a process over may do more than it must",
             status->sandbox_missing);
    }
    if (status->config_refused) {
        warn(warnings, "node.conf was changed and cannot be used, so that what it said before goes on: "
                       "vigild config DIR "
                       "says what is wrong");
    }
    if (status->config_waits) {
        warn(warnings, "node.conf was changed, and map_mib, sandbox or folders count from the next start on");
    }
    if (status->starter_gone) {
        warn(warnings, "what starts the net process has ended: stop the node, and run it again");
    } else if (status->net_pid == 0) {
        warn(warnings, "the net process is not running, and is started again soon");
    }
    for (unsigned n = 0; n < status->warning_count; n++) {
        warn(warnings, "%s (%llu times)", status->warnings[n].reason,
             (unsigned long long)status->warnings[n].count);
    }
    warn_of_proxies(warnings, call_options(call)->peers);
    if (pend->schema > 0) {
        warn(warnings, "%llu entries wait for an upgrade of this program: they are kept and passed on",
             (unsigned long long)pend->schema);
    }
    if (pend->text > 0) {
        warn(warnings,
             "%llu long %s not come over a line that is dear: vigil sync fetch asks for what is missing",
             (unsigned long long)pend->text, pend->text == 1 ? "text has" : "texts have");
    }
    if (roster_newer_count(call->roster) > 0) {
        warn(warnings, "%zu statements need a newer version of this program",
             roster_newer_count(call->roster));
    }
    return warnings;
}

static uint64_t
peers_up_count(const struct call *call, uint64_t *all_out)
{
    struct peers *peers = call_options(call)->peers;
    uint64_t up = 0;

    *all_out = 0;
    for (size_t n = 0; n < peers_count(peers); n++) {
        const struct peer *peer = peers_at(peers, n);

        up += peer->state == PEER_UP;
        *all_out += peer->state != PEER_DOWN || peer->endpoint[0] != '\0';
    }
    return up;
}

uint64_t
count_records(struct call *call, const struct replica_compartment *held, size_t count)
{
    uint64_t records = 0;

    for (size_t n = 0; n < count; n++) {
        const struct roster_compartment *compartment = roster_compartment(call->roster, &held[n].id);

        if (compartment != NULL && compartment->role != COMPARTMENT_PROTECTED) {
            records += held[n].records;
        }
    }
    return records;
}

uint64_t
count_entries(const struct replica_compartment *held, size_t count)
{
    uint64_t entries = 0;

    for (size_t n = 0; n < count; n++) {
        entries += held[n].entries;
    }
    return entries;
}

static uint64_t
count_conflicts(struct call *call, const struct replica_compartment *held, size_t count)
{
    uint64_t conflicts = 0;

    for (size_t n = 0; n < count; n++) {
        uint64_t here = 0;

        if (record_conflict_count(call->txn, &held[n].id, &here) == ERR_OK) {
            conflicts += here;
        }
    }
    return conflicts;
}

struct replica_compartment *
held_compartments(struct call *call, size_t *count_out)
{
    size_t room = roster_compartment_count(call->roster);
    struct replica_compartment *held = arena_take_array(&call->arena, room + 1, sizeof *held);

    *count_out = 0;
    if (held == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return NULL;
    }
    size_t count = replica_compartments(call->replica, held, room);
    *count_out = count < room ? count : room;
    return held;
}

/* What `missing` tells is told as a warning, too. */
static json_t *
sandbox_json(const struct status *status)
{
    return json_pack("{s:s,s:b,s:s}", "mode", sandbox_mode_text(status->sandbox), "whole",
                     status->sandbox_missing[0] == '\0', "missing", status->sandbox_missing);
}

/* What the node found when it read through its store. */
static json_t *
scrub_json(struct call *call)
{
    struct scrub_status scrub;

    scrub_read_status(call->txn, &scrub);
    return json_pack("{s:o,s:I,s:I,s:o,s:I,s:I}", "began", time_json(scrub.began_ms), "rows",
                     (json_int_t)scrub.rows, "findings", (json_int_t)scrub.findings, "ended",
                     scrub.ended_ms == 0 ? json_null() : time_json(scrub.ended_ms), "ended_findings",
                     (json_int_t)scrub.ended_findings, "noted", (json_int_t)scrub.noted);
}

void
call_status(struct call *call)
{
    const struct serve_options *options = call_options(call);
    const struct status *status = options->status;
    const struct replica_identity *identity = replica_identity(call->replica);
    const struct intake_counts *counts = replica_counts(call->replica);
    struct pend_counts pend = count_pend(call->txn);
    uint64_t now_ms = world_wall_ms(options->world);
    bool clock_suspect = call->own != NULL && call->own->until < now_ms / 1000;
    uint64_t peers_all = 0;
    uint64_t peers_up_now = peers_up_count(call, &peers_all);
    struct table_stat stat;
    size_t count = 0;
    const struct replica_compartment *held = held_compartments(call, &count);
    uint64_t made_ms = 0;
    bool restored = replica_is_restored(call->replica, &made_ms);

    if (held == NULL) {
        return;
    }
    uint64_t records = count_records(call, held, count);
    uint64_t conflicts = count_conflicts(call, held, count);
    json_t *ahead = clocks_ahead_json(call);
    json_t *disk = disk_json(call, &stat);
    json_t *warnings = warnings_json(call, &stat, &pend, clock_suspect, ahead);
    if (!restored) {
        urgent_warn(call, warnings); /* a restored node names no record */
    }
    json_t *alarms = alarms_json(call, warnings);
    json_t *ok = json_pack("{s:s,s:s,s:o,s:s,s:s,s:s,s:o,s:I,s:I,s:I}", "version", options->version, "state",
                           restored ? "restored" : "running", "device",
                           device_json(call->roster, &identity->device_id), "fingerprint",
                           hash_fingerprint(&identity->device_id).text, "org", roster_name(call->roster),
                           "org_fingerprint", hash_fingerprint(&identity->org).text, "started",
                           time_json(status->started_ms), "entries", (json_int_t)count_entries(held, count),
                           "records", (json_int_t)records, "conflicts", (json_int_t)conflicts);
    json_t *more = json_pack(
        "{s:{s:I,s:I,s:I,s:I},s:b,s:o,s:o,s:{s:o,s:b,s:o},s:{s:I,s:I},s:{s:I,s:I,s:s},s:o}", "pending", "key",
        (json_int_t)pend.key, "schema", (json_int_t)pend.schema, "rebuild", (json_int_t)pend.rebuild, "text",
        (json_int_t)(pend.text + pend.asked), "rebuilding", replica_is_rebuilding(call->replica), "refused",
        refused_json(call, counts), "disk", disk, "clock", "now", time_json(now_ms), "suspect", clock_suspect,
        "devices", ahead, "peers", "up", (json_int_t)peers_up_now, "all", (json_int_t)peers_all, "net", "pid",
        (json_int_t)status->net_pid, "restarts", (json_int_t)status->net_restarts, "listening",
        status->listening, "warnings", warnings);
    if (ok != NULL && more != NULL) {
        (void)json_object_update(ok, more);
        (void)json_object_set_new(ok, "restored", restored ? time_json(made_ms) : json_null());
        (void)json_object_set_new(ok, "arriving", arriving_json(call, held, count));
        (void)json_object_set_new(ok, "sandbox", sandbox_json(status));
        (void)json_object_set_new(ok, "scrub", scrub_json(call));
    }
    if (ok != NULL && alarms != NULL) {
        (void)json_object_update(ok, alarms);
    }
    json_decref(more);
    json_decref(alarms);
    call_ok(call, ok);
}

/* --- digest --- */

void
call_digest(struct call *call)
{
    size_t count = 0;
    const struct replica_compartment *held = held_compartments(call, &count);
    json_t *list = json_array();
    bool rebuilding = replica_is_rebuilding(call->replica);

    for (size_t n = 0; held != NULL && n < count; n++) {
        const char *state = held[n].pending > 0 ? "pending" : rebuilding ? "rebuilding" : "complete";

        (void)json_array_append_new(list, json_pack("{s:s,s:o,s:o,s:s,s:I,s:I}", "name", held[n].name, "id",
                                                    hex_json(ident_span(&held[n].id)), "frontier",
                                                    hex_json(span_of(held[n].digest, sizeof held[n].digest)),
                                                    "state", state, "entries", (json_int_t)held[n].entries,
                                                    "records", (json_int_t)held[n].records));
    }
    call_ok(call, json_pack("{s:o}", "compartments", list));
}

/* --- codebook.show --- */

void
call_codebook_show(struct call *call)
{
    const char *name = call_text(call, "kind");
    const struct codebook_kind *only = name == NULL ? NULL : codebook_kind_by_name(call->codebook, name);

    if (name != NULL && only == NULL) {
        call_fail(call, ERR_ABSENT, "vigil codebook show lists the kinds",
                  "there is no kind of record called %.60s%s", name,
                  value_guess_kind(call->codebook, name).text);
        return;
    }
    call_ok(call, codebook_json(call->codebook, only));
}

/* --- journal.watch --- */

void
call_journal_watch(struct call *call)
{
    int64_t last = (int64_t)journal_place_last(replica_journal(call->replica));
    int64_t after = call_number(call, "after", 0, INT64_MAX, last);

    if (!call->failed) {
        call_watch_journal(call, (uint64_t)(after < last ? after : last));
    }
}

/* What of a record an event says. Where it cannot be read its kind is not known. */
static void
kind_of_record(struct call *call, uint32_t record_no, struct record_summary *summary)
{
    enum err err = record_summary_read(call->txn, call->codebook, record_no, &call->arena, summary);

    if (err != ERR_OK) {
        summary->kind = 0;
    }
    if (err == ERR_MEMORY) {
        json_memory_note();
    }
}

/* A record that is another than its entries told before; null: it is gone, or any may be. */
static json_t *
touched_json(struct call *call, uint64_t place, uint32_t record_no)
{
    struct ident compartment;
    struct ident record_id;
    struct record_summary summary = { .kind = 0 };
    bool known = record_no != 0 && record_name(call->txn, record_no, &compartment, &record_id) == ERR_OK;

    if (known) {
        kind_of_record(call, record_no, &summary);
    }
    json_t *event = json_pack("{s:I,s:o,s:s,s:n}", "place", (json_int_t)place, "record",
                              known ? hex_json(ident_span(&record_id)) : json_null(), "kind",
                              kind_name(call->codebook, summary.kind), "device");
    arena_reset(&call->arena);
    return event;
}

json_t *
place_json(struct call *call, uint64_t place)
{
    struct signed_change entry;
    struct ident record_id;
    uint32_t log_no = 0;
    uint64_t seq = 0;
    enum err err = journal_at(call->txn, place, &log_no, &seq);

    if (err == ERR_OK && log_no == LOG_NONE) {
        return touched_json(call, place, (uint32_t)seq);
    }
    if (err == ERR_OK) {
        const struct log_branch *branch = journal_branch(replica_journal(call->replica), log_no);

        if (branch->descriptor.lane == LANE_CONTROL) {
            return NULL; /* keys and statements are no news for people */
        }
        err = replica_open_entry(call->replica, log_no, seq, &call->arena, &entry, &record_id);
    }
    if (err == ERR_MEMORY) {
        json_memory_note();
    }
    if (err != ERR_OK) {
        return NULL; /* carried, held, or waiting: it has a place of its own once it counts */
    }
    const struct log_branch *branch = journal_branch(replica_journal(call->replica), log_no);
    uint32_t record_no = 0;
    struct record_summary summary = { .kind = 0 };
    if (record_find(call->txn, &branch->descriptor.compartment, &record_id, &record_no) == ERR_OK) {
        kind_of_record(call, record_no, &summary);
    }
    json_t *event = json_pack(
        "{s:I,s:o,s:s,s:o}", "place", (json_int_t)place, "record", hex_json(ident_span(&record_id)), "kind",
        kind_name(call->codebook, summary.kind), "device", device_json(call->roster, &branch->device_id));
    arena_reset(&call->arena);
    return event;
}
