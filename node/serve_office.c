/* serve_office.c - how far this node is with each office: for headquarters, and for whoever asks what is missing.
 *
 *     office --- its compartments --- what is stored here, visible here, to come
 *        +------ its devices -------- when each was last heard of; receipts that they owe
 *                    +--- their logs: everything up to n is here, and of what lies beyond, what is known
 */
#include "node/call.h"

#include "store/base/world.h"
#include "sync/gossip.h"

#include <string.h>

/* --- one office --------------------------------------------------------------- */

/* An office under whatever keys it had. */
struct office_row {
    const struct roster_office *house;
    uint64_t devices; /* that live */
    struct peer_heard heard;
    uint64_t entries;
    uint64_t readable; /* of those, that this node has read */
    bool reads;        /* this node reads one of its compartments */
    uint64_t to_receive;
    uint64_t conflicts;
    uint64_t urgent;
    uint64_t receipts_missing;
};

struct office_rows {
    const struct roster *roster;
    struct office_row *items;
    size_t count;
};

static struct office_row *
row_of(const struct office_rows *rows, const struct roster_office *office)
{
    for (size_t n = 0; office != NULL && n < rows->count; n++) {
        if (rows->items[n].house == office->house) {
            return &rows->items[n];
        }
    }
    return NULL;
}

static bool
make_rows(struct call *call, struct office_rows *rows)
{
    size_t room = roster_office_count(call->roster);

    *rows = (struct office_rows){ .roster = call->roster };
    rows->items = arena_take_array(&call->arena, room + 1, sizeof *rows->items);
    if (rows->items == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return false;
    }
    for (size_t n = 0; n < room; n++) {
        const struct roster_office *office = roster_office_at(call->roster, n);

        if (row_of(rows, office) == NULL) {
            rows->items[rows->count++] = (struct office_row){ .house = office->house };
        }
    }
    return true;
}

/* What is here of its compartments, and what is to come. */
static void
add_compartment(struct call *call, const struct office_rows *rows, const struct replica_compartment *held)
{
    const struct roster_compartment *compartment = roster_compartment(call->roster, &held->id);
    struct office_row *row = compartment == NULL ? NULL : row_of(rows, compartment->owner);
    uint64_t conflicts = 0;
    bool connected = false;

    if (row == NULL) {
        return;
    }
    const struct gossip_compartment_status *peer = most_to_come(call, &held->id, &connected);
    row->entries += held->entries;
    row->to_receive += peer == NULL ? 0 : peer->entries_to_receive;
    if (held->level >= LEVEL_READ) {
        row->reads = true;
        row->readable += held->entries > held->pending ? held->entries - held->pending : 0;
    }
    if (record_conflict_count(call->txn, &held->id, &conflicts) == ERR_OK) {
        row->conflicts += conflicts;
    }
}

static void
add_device(struct call *call, const struct office_rows *rows, const struct roster_device *device)
{
    struct office_row *row = row_of(rows, device->office);
    struct peer_heard heard = peers_last_heard(call_options(call)->peers, &device->device_id);

    if (row == NULL) {
        return;
    }
    row->devices += !device->revoked;
    if (heard.at_ms > row->heard.at_ms) {
        row->heard = heard;
    }
}

static void
add_urgent(void *self, const struct ident *compartment_id)
{
    const struct office_rows *rows = self;
    const struct roster_compartment *compartment = roster_compartment(rows->roster, compartment_id);
    struct office_row *row = compartment == NULL ? NULL : row_of(rows, compartment->owner);

    if (row != NULL) {
        row->urgent++;
    }
}

static void
add_missing(void *self, const struct roster_device *device)
{
    struct office_row *row = row_of(self, device->office);

    if (row != NULL) {
        row->receipts_missing++;
    }
}

/* Entries that can be read, of all that are known of. */
static json_t *
visible_json(const struct office_row *row)
{
    uint64_t all = row->entries + row->to_receive;

    return !row->reads ? json_null() : json_real(all == 0 ? 1.0 : (double)row->readable / (double)all);
}

static json_t *
row_of_office_json(struct call *call, const struct office_row *row)
{
    uint64_t now_ms = world_wall_ms(call_options(call)->world);
    uint64_t all = row->entries + row->to_receive;
    const struct roster_office *shown = roster_office_by_code(call->roster, row->house->code);
    bool own = call->own != NULL && call->own->office != NULL && call->own->office->house == row->house;
    uint64_t silent_s = now_ms > row->heard.at_ms ? (now_ms - row->heard.at_ms) / 1000 : 0;

    /* Another office may have its code, and then the names are its own. */
    if (shown == NULL || shown->house != row->house) {
        shown = row->house;
    }
    return json_pack(
        "{s:s,s:s,s:b,s:b,s:I,s:o,s:b,s:o,s:I,s:f,s:o,s:I,s:I,s:o,s:I}", "office", shown->code, "name",
        shown->name, "own", own, "revoked", shown->revoked, "devices", (json_int_t)row->devices,
        "last_contact", time_json(row->heard.at_ms), "by_bundle", row->heard.by_bundle, "silent_s",
        row->heard.at_ms == 0 ? json_null() : json_integer((json_int_t)silent_s), "entries",
        (json_int_t)row->entries, "stored", all == 0 ? 1.0 : (double)row->entries / (double)all, "visible",
        visible_json(row), "to_receive", (json_int_t)row->to_receive, "conflicts", (json_int_t)row->conflicts,
        "urgent",
        replica_is_restored(call->replica, NULL) ? json_null() : json_integer((json_int_t)row->urgent),
        "receipts_missing", (json_int_t)row->receipts_missing);
}

/* --- its authors --------------------------------------------------------------- */

/* Everything up to an entry is here: a log has no gaps. What is known of what lies beyond is what a peer told. */
static json_t *
log_json(struct call *call, const struct log_branch *branch)
{
    const struct ident *id = &branch->descriptor.compartment;
    const struct roster_compartment *compartment = roster_compartment(call->roster, id);
    uint64_t told = gossip_told_of(call_options(call)->gossip, id, &branch->log_id);
    uint64_t waits = branch->pending_count;
    uint64_t texts = branch->absent_count < waits ? branch->absent_count : waits;

    return json_pack("{s:o,s:s,s:i,s:b,s:o,s:I,s:I,s:I,s:I,s:b}", "log", hex_json(hash_span(&branch->log_id)),
                     "compartment", compartment == NULL ? "" : compartment->name, "lane",
                     (int)branch->descriptor.lane, "branch", branch->parent != LOG_NONE, "up_to",
                     branch->next_seq == 0 ? json_null() : json_integer((json_int_t)branch->next_seq - 1),
                     "to_come", (json_int_t)(told > branch->next_seq ? told - branch->next_seq : 0), "texts",
                     (json_int_t)texts, "unread", (json_int_t)(waits - texts), "held",
                     (json_int_t)branch->held_count, "damaged", branch->lacks != 0);
}

static json_t *
author_json(struct call *call, const struct roster_device *device)
{
    const struct journal *journal = replica_journal(call->replica);
    struct peer_heard heard = peers_last_heard(call_options(call)->peers, &device->device_id);
    json_t *logs = json_array();

    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        const struct log_branch *branch = journal_branch(journal, no);

        if (hash_equal(&branch->device_id, &device->device_id)) {
            (void)json_array_append_new(logs, log_json(call, branch));
        }
    }
    return json_pack("{s:o,s:s,s:o,s:b,s:o}", "device", device_json(call->roster, &device->device_id),
                     "state", device->revoked ? "revoked" : "ok", "last_contact", time_json(heard.at_ms),
                     "by_bundle", heard.by_bundle, "logs", logs);
}

static json_t *
authors_json(struct call *call, const struct roster_office *house)
{
    json_t *authors = json_array();

    for (size_t n = 0; n < roster_author_count(call->roster); n++) {
        const struct roster_device *device = roster_author_at(call->roster, n);

        if (device->office != NULL && device->office->house == house) {
            (void)json_array_append_new(authors, author_json(call, device));
        }
    }
    return authors;
}

/* --- the call ------------------------------------------------------------------ */

void
call_offices(struct call *call)
{
    const char *code = call_text(call, "office");
    const struct roster_office *only =
        call->failed || code == NULL ? NULL : roster_office_by_code(call->roster, code);
    struct office_rows rows;
    size_t count = 0;

    if (!call->failed && code != NULL && only == NULL) {
        call_fail(call, ERR_ABSENT, "vigil offices shows the codes of all", "no office has the code %.20s",
                  code);
    }
    if (call->failed || !make_rows(call, &rows)) {
        return;
    }
    const struct replica_compartment *held = held_compartments(call, &count);
    if (held == NULL || !urgent_each_waiting(call, add_urgent, &rows)) {
        return;
    }
    for (size_t n = 0; n < count; n++) {
        add_compartment(call, &rows, &held[n]);
    }
    for (size_t n = 0; n < roster_author_count(call->roster); n++) {
        add_device(call, &rows, roster_author_at(call->roster, n));
    }
    erase_each_missing(call, add_missing, &rows);
    json_t *offices = json_array();
    for (size_t n = 0; n < rows.count; n++) {
        if (only == NULL || only->house == rows.items[n].house) {
            (void)json_array_append_new(offices, row_of_office_json(call, &rows.items[n]));
        }
    }
    json_t *ok = json_pack("{s:o}", "offices", offices);
    if (only != NULL) {
        (void)json_object_set_new(ok, "authors", authors_json(call, only->house));
    }
    call_ok(call, ok);
}
