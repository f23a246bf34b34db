/* serve_metrics.c - how this node is, in numbers: for Prometheus, through net on loopback, and for `vigil metrics`.
 *
 *     journal, tables, gossip, status --> metrics_put_all --> call "metrics", and the channel to net
 */
#include "node/call.h"

#include "node/checkup.h"
#include "node/metrics.h"
#include "node/resident.h"
#include "store/base/world.h"
#include "sync/gossip.h"
#include "sync/intake.h"

#include <string.h>
#include <sys/statvfs.h>

/* --- the node itself ---------------------------------------------------------- */

static void
put_process(struct call *call, struct metrics *m)
{
    const struct serve_options *options = call_options(call);
    const struct status *status = options->status;
    uint64_t resident = resident_bytes();

    metrics_begin(m, "vigil_build_info", METRIC_GAUGE, "The version of this node, 1");
    metrics_put_of(m, "version", options->version, NULL, NULL, 1);
    metrics_one(m, "vigil_start_time_seconds", METRIC_GAUGE, "When the node started, by its clock",
                status->started_ms / 1000);
    metrics_begin(m, "vigil_resident_memory_bytes", METRIC_GAUGE, "Memory of the store process");
    if (resident > 0) {
        metrics_put(m, resident);
    }
    metrics_one(m, "vigil_turns_total", METRIC_COUNTER, "Transactions that wrote, or tried to",
                status->turns);
    metrics_one(m, "vigil_turns_failed_total", METRIC_COUNTER, "Of them, those that failed",
                status->turns_failed);
    metrics_one(m, "vigil_net_up", METRIC_GAUGE, "1 while the net process runs", status->net_pid != 0);
    metrics_one(m, "vigil_net_restarts_total", METRIC_COUNTER, "Times that the net process was started again",
                status->net_restarts);
    metrics_one(m, "vigil_restored", METRIC_GAUGE, "1 while a node that was restored shows no record",
                replica_is_restored(call->replica, NULL));
    metrics_one(m, "vigil_rebuilding", METRIC_GAUGE, "1 while records are read anew",
                replica_is_rebuilding(call->replica));
}

static void
put_store(struct call *call, struct metrics *m, const struct checkup_facts *facts)
{
    struct statvfs disk;

    metrics_one(m, "vigil_map_used_bytes", METRIC_GAUGE, "Of the maps of the database, what is in use",
                facts->map_used);
    metrics_one(m, "vigil_map_size_bytes", METRIC_GAUGE, "The maps of the database", facts->map_bytes);
    metrics_begin(m, "vigil_disk_free_bytes", METRIC_GAUGE, "What the disk of the state directory has left");
    if (statvfs(call_options(call)->directory, &disk) == 0) {
        metrics_put(m, (uint64_t)disk.f_bavail * disk.f_frsize);
    }
    metrics_begin(m, "vigil_readers", METRIC_GAUGE, "Transactions that read the database now");
    if (facts->readers_known) {
        metrics_put(m, facts->readers);
    }
    metrics_begin(m, "vigil_reader_age_commits", METRIC_GAUGE, "Commits since the oldest of them began");
    if (facts->readers_known) {
        metrics_put(m, facts->readers_behind);
    }
    metrics_one(m, "vigil_damaged_rows_total", METRIC_COUNTER, "Stored rows that did not verify",
                facts->corrupt_rows);
    metrics_one(m, "vigil_damaged_logs", METRIC_GAUGE, "Logs of which something cannot be read",
                facts->damaged_logs);
    metrics_begin(m, "vigil_verify_time_seconds", METRIC_GAUGE,
                  "When vigild verify last went through all of it");
    if (facts->verified) {
        metrics_put(m, facts->verified_ms / 1000);
    }
    metrics_begin(m, "vigil_verify_findings", METRIC_GAUGE, "What it found");
    if (facts->verified) {
        metrics_put(m, facts->verify_findings);
    }
}

/* --- what is here, and what waits --------------------------------------------- */

static void
count_one(void *self, const struct ident *compartment)
{
    (void)compartment;
    ++*(uint64_t *)self;
}

static void
count_device(void *self, const struct roster_device *device)
{
    (void)device;
    ++*(uint64_t *)self;
}

static void
put_contents(struct call *call, struct metrics *m)
{
    struct pend_counts pend = count_pend(call->txn);
    size_t count = 0;
    const struct replica_compartment *held = held_compartments(call, &count);
    uint64_t conflicts = 0;
    uint64_t urgent = 0;

    for (size_t n = 0; held != NULL && n < count; n++) {
        uint64_t here = 0;

        conflicts += record_conflict_count(call->txn, &held[n].id, &here) == ERR_OK ? here : 0;
    }
    metrics_one(m, "vigil_entries", METRIC_GAUGE, "Entries that are here",
                held == NULL ? 0 : count_entries(held, count));
    metrics_one(m, "vigil_records", METRIC_GAUGE, "Records that are here",
                held == NULL ? 0 : count_records(call, held, count));
    metrics_one(m, "vigil_conflicts", METRIC_GAUGE, "Fields with more than one value", conflicts);
    metrics_begin(m, "vigil_pending", METRIC_GAUGE,
                  "What waits: for a key, an upgrade, or a long text; or to be read anew");
    metrics_put_of(m, "reason", "key", NULL, NULL, pend.key);
    metrics_put_of(m, "reason", "schema", NULL, NULL, pend.schema);
    metrics_put_of(m, "reason", "rebuild", NULL, NULL, pend.rebuild);
    metrics_put_of(m, "reason", "text", NULL, NULL, pend.text + pend.asked);
    metrics_begin(m, "vigil_urgent_unacknowledged", METRIC_GAUGE, "Emergencies that nobody has looked at");
    if (!replica_is_restored(call->replica, NULL) && urgent_each_waiting(call, count_one, &urgent)) {
        metrics_put(m, urgent);
    }
}

static void
put_waiting(struct call *call, struct metrics *m, const struct checkup_facts *facts)
{
    uint64_t missing = 0;

    erase_each_missing(call, count_device, &missing);
    metrics_one(m, "vigil_erasure_receipts_missing", METRIC_GAUGE,
                "Receipts that devices owe: once for each order and device", missing);
    metrics_one(m, "vigil_erasures_waiting", METRIC_GAUGE, "Orders to erase that wait for a second signature",
                facts->erase_waiting);
    metrics_one(m, "vigil_erasure_needs_bytes", METRIC_GAUGE,
                "Free disk that rewriting the files after an erasure waits for", facts->erase_needs);
    metrics_begin(m, "vigil_index_lag_places", METRIC_GAUGE, "What the full-text index has not read yet");
    if (facts->search_known) {
        metrics_put(m, facts->search_left);
    }
    metrics_one(m, "vigil_files_wanted", METRIC_GAUGE, "Evidence files that have not come whole",
                facts->files_wanted);
    metrics_one(m, "vigil_files_wanted_bytes", METRIC_GAUGE, "What is lacking of them",
                facts->files_wanted_bytes);
}

/* --- keys --------------------------------------------------------------------- */

static void
put_keys(const struct call *call, struct metrics *m, const struct checkup_facts *facts)
{
    uint64_t oldest_ms = 0;
    uint64_t none = 0;

    for (size_t n = 0; n < facts->epoch_count; n++) {
        const struct checkup_epoch *epoch = &facts->epochs[n];

        none += epoch->none;
        oldest_ms = epoch->known && epoch->age_ms > oldest_ms ? epoch->age_ms : oldest_ms;
    }
    metrics_one(m, "vigil_epoch_age_seconds", METRIC_GAUGE,
                "The age of the oldest key that a compartment is sealed with", oldest_ms / 1000);
    metrics_one(m, "vigil_epochs_missing", METRIC_GAUGE, "Compartments without such a key", none);
    metrics_begin(m, "vigil_certificate_end_time_seconds", METRIC_GAUGE,
                  "When this device's certificate ends");
    if (call->own != NULL) {
        metrics_put(m, call->own->until);
    }
    metrics_one(m, "vigil_certificate_valid", METRIC_GAUGE, "1 while it counts", call->own != NULL);
}

/* --- what is refused, and what is kept all the same ---------------------------- */

static void
put_refused(struct call *call, struct metrics *m)
{
    const struct status *status = call_options(call)->status;
    const struct intake_counts *counts = replica_counts(call->replica);
    const struct journal *journal = replica_journal(call->replica);
    uint64_t held = 0;
    uint64_t idle_bytes = 0;

    metrics_begin(m, "vigil_refused_total", METRIC_COUNTER, "Chunks of entries that were refused for good");
    metrics_put_of(m, "reason", "malformed", NULL, NULL, counts->verdicts[VERDICT_MALFORMED]);
    metrics_put_of(m, "reason", "forged", NULL, NULL, counts->verdicts[VERDICT_FORGED]);
    metrics_begin(m, "vigil_put_off_total", METRIC_COUNTER,
                  "Chunks that were not taken now, and may be later");
    for (int n = LATER_NONE + 1; n < LATER_COUNT; n++) {
        metrics_put_of(m, "reason", later_text((enum later)n), NULL, NULL, counts->later[n]);
    }
    metrics_begin(m, "vigil_door_refused_total", METRIC_COUNTER, "Connections that were refused at the door");
    for (unsigned n = 0; n < status->door_count; n++) {
        metrics_put_of(m, "reason", status->door[n].reason, NULL, NULL, status->door[n].count);
    }
    metrics_one(m, "vigil_strays_total", METRIC_COUNTER, "Messages of devices that are no members",
                status->strays);
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        held += journal_branch(journal, no)->held_count;
        idle_bytes += journal_branch(journal, no)->idle_bytes;
    }
    metrics_one(m, "vigil_held_entries", METRIC_GAUGE, "Entries that are kept and do not count", held);
    metrics_one(m, "vigil_idle_bytes", METRIC_GAUGE,
                "Payloads of entries that are held, or wait for a key or an upgrade: each author has a quota",
                idle_bytes);
}

/* --- peers --------------------------------------------------------------------- */

/* One peer that is told of. */
struct peer_row {
    const struct peer *peer;
    const struct gossip_peer_status *status; /* NULL: it was never connected */
    struct short_id id;
    struct peer_progress progress;
};

struct peer_rows {
    struct peer_row *items;
    size_t count;
};

static void
read_rows(struct call *call, struct peer_rows *rows)
{
    const struct serve_options *options = call_options(call);
    size_t known = 0;
    const struct gossip_peer_status *all = gossip_status(options->gossip, &known);
    size_t room = peers_count(options->peers);

    *rows = (struct peer_rows){ .items = arena_take_array(&call->arena, room + 1, sizeof *rows->items) };
    for (size_t n = 0; rows->items != NULL && n < room; n++) {
        const struct peer *peer = peers_at(options->peers, n);
        const struct gossip_peer_status *status = peer_status_of(all, known, &peer->device_id);

        if (peer_is_met(peer, status) && peer->member) {
            rows->items[rows->count++] = (struct peer_row){ .peer = peer,
                                                            .status = status,
                                                            .id = hash_short(&peer->device_id),
                                                            .progress = peer_progress_of(status) };
        }
    }
}

/* What one peer has of one metric. */
typedef uint64_t (*row_value)(const struct call *call, const struct peer_row *row);

static uint64_t
is_up(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->peer->state == PEER_UP;
}

static uint64_t
lag_seconds(const struct call *call, const struct peer_row *row)
{
    uint64_t now_ms = world_steady_ms(call_options(call)->world);
    uint64_t since_ms =
        row->peer->complete_ms == 0 ? call_options(call)->status->started_steady_ms : row->peer->complete_ms;

    return row->progress.complete && row->peer->state == PEER_UP ? 0
           : now_ms > since_ms                                   ? (now_ms - since_ms) / 1000
                                                                 : 0;
}

static uint64_t
heard_seconds(const struct call *call, const struct peer_row *row)
{
    return peers_last_heard(call_options(call)->peers, &row->peer->device_id).at_ms / 1000;
}

static uint64_t
entries_in(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->progress.waiting_in;
}

static uint64_t
entries_out(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->progress.waiting_out;
}

static uint64_t
bytes_in(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->peer->in_bytes;
}

static uint64_t
bytes_out(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->peer->out_bytes;
}

static uint64_t
bytes_on_way(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->status == NULL ? 0 : row->status->on_way_bytes;
}

static uint64_t
bytes_on_way_most(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->status == NULL ? 0 : row->status->limit_bytes;
}

static uint64_t
has_room(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->peer->has_room;
}

static uint64_t
times_set_back(const struct call *call, const struct peer_row *row)
{
    (void)call;
    return row->status == NULL ? 0 : row->status->set_back;
}

static const struct {
    const char *name;
    enum metric_type type;
    const char *help;
    row_value value;
} of_peers[] = {
    { "vigil_peer_up", METRIC_GAUGE, "1 while the peer is connected", is_up },
    { "vigil_peer_lag_seconds", METRIC_GAUGE,
      "How long ago the peer and this node last held the same; 0 while they do; of one that never did since "
      "the node started, since then",
      lag_seconds },
    { "vigil_peer_last_contact_time_seconds", METRIC_GAUGE, "When the peer was last heard of; 0: never",
      heard_seconds },
    { "vigil_peer_to_receive_entries", METRIC_GAUGE, "Entries that the peer has and this node lacks",
      entries_in },
    { "vigil_peer_to_send_entries", METRIC_GAUGE, "Entries that this node has and the peer lacks",
      entries_out },
    { "vigil_peer_received_bytes_total", METRIC_COUNTER, "Bytes of messages that came from the peer",
      bytes_in },
    { "vigil_peer_sent_bytes_total", METRIC_COUNTER, "Bytes of messages that went to the peer", bytes_out },
    { "vigil_peer_on_way_bytes", METRIC_GAUGE, "Bytes that were sent and for which no credit has come back",
      bytes_on_way },
    { "vigil_peer_on_way_limit_bytes", METRIC_GAUGE, "How many those may be", bytes_on_way_most },
    { "vigil_peer_has_room", METRIC_GAUGE, "1 while the peer takes messages", has_room },
    { "vigil_peer_set_back_total", METRIC_COUNTER,
      "Times that the peer had less of a log of its own than is here", times_set_back },
};

static void
put_peers(struct call *call, struct metrics *m)
{
    struct peer_rows rows;

    read_rows(call, &rows);
    for (size_t k = 0; k < sizeof of_peers / sizeof of_peers[0]; k++) {
        metrics_begin(m, of_peers[k].name, of_peers[k].type, of_peers[k].help);
        for (size_t n = 0; n < rows.count; n++) {
            metrics_put_of(m, "peer", rows.items[n].id.text, NULL, NULL,
                           of_peers[k].value(call, &rows.items[n]));
        }
    }
    metrics_begin(m, "vigil_peer_refused_total", METRIC_COUNTER,
                  "What came from the peer and was refused, or ignored");
    for (size_t n = 0; n < rows.count; n++) {
        const struct gossip_peer_status *status = rows.items[n].status;
        const char *id = rows.items[n].id.text;

        if (status != NULL) {
            metrics_put_of(m, "peer", id, "reason", "malformed", status->frames_malformed);
            metrics_put_of(m, "peer", id, "reason", "forged", status->chunks_forged);
            metrics_put_of(m, "peer", id, "reason", "stray", status->frames_stray);
            metrics_put_of(m, "peer", id, "reason", "unknown", status->frames_unknown);
            metrics_put_of(m, "peer", id, "reason", "later", status->chunks_later);
            metrics_put_of(m, "peer", id, "reason", "file", status->pieces_refused);
        }
    }
}

void
peers_follow_complete(struct call *call)
{
    uint64_t now_ms = world_steady_ms(call_options(call)->world);
    struct peer_rows rows;

    read_rows(call, &rows);
    for (size_t n = 0; n < rows.count; n++) {
        if (rows.items[n].progress.complete && rows.items[n].peer->state == PEER_UP) {
            peers_by_device(call_options(call)->peers, &rows.items[n].peer->device_id)->complete_ms = now_ms;
        }
    }
}

/* --- all of it ------------------------------------------------------------------ */

bool
metrics_put_all(struct call *call, struct metrics *m)
{
    struct checkup_facts facts = { .now_ms = world_wall_ms(call_options(call)->world) };

    checkup_read_store(call, &facts);
    checkup_read_waiting(call, &facts);
    if (!checkup_read_epochs(call, &facts)) {
        return false;
    }
    put_process(call, m);
    put_store(call, m, &facts);
    put_contents(call, m);
    put_waiting(call, m, &facts);
    put_keys(call, m, &facts);
    put_refused(call, m);
    put_peers(call, m);
    call_lacks(call, m->out.failed);
    return !call->failed && !m->out.failed;
}

void
call_metrics(struct call *call)
{
    struct metrics metrics = { .name = "" };

    if (metrics_put_all(call, &metrics)) {
        call_ok(call,
                json_pack("{s:o}", "text", json_stringn((const char *)metrics.out.data, metrics.out.size)));
    }
    buf_free(&metrics.out);
}
