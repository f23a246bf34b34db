/* serve_doctor.c - what is wrong with this node, as far as it knows itself: facts for the rules of checkup.h.
 *
 * The state directory is looked at by whoever asks (tools/doctor.c): from there it is seen as an intruder sees it.
 */
#include "node/call.h"
#include "node/checkup_json.h"

#include "store/base/world.h"
#include "store/shelf.h"
#include "sync/scrub.h"
#include "sync/gossip.h"
#include "sync/held.h"
#include "sync/reason.h"

#include <string.h>

/* --- what is answered --------------------------------------------------------- */

static void
add_line(void *self, const struct checkup_line *line)
{
    (void)json_array_append_new(self, checkup_json(line));
}

/* --- facts -------------------------------------------------------------------- */

static bool
no_memory(struct call *call)
{
    call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    return false;
}

/* Both environments: what is read of either is what this node stands on. */
void
checkup_read_store(struct call *call, struct checkup_facts *facts)
{
    struct table_env *const envs[] = { replica_env(call->replica), replica_keys_env(call->replica) };
    const struct journal *journal = replica_journal(call->replica);
    struct replica_verified verified = { 0 };
    struct scrub_status scrub;

    scrub_read_status(call->txn, &scrub);
    facts->scrub_ended_ms = scrub.ended_ms;
    facts->scrub_findings = scrub.ended_findings;
    facts->scrub_rows = scrub.rows;
    facts->scrub_found = scrub.findings;
    facts->damage_noted = scrub.noted;
    /* First, so that a row of it that does not verify is counted below. */
    facts->verified = replica_last_verified(call->txn, &verified);
    facts->verified_ms = verified.at_ms;
    facts->verify_findings = verified.findings;
    facts->readers_known = true;
    for (size_t n = 0; n < sizeof envs / sizeof envs[0]; n++) {
        struct table_readers readers;
        struct table_stat stat;

        table_env_stat(envs[n], &stat);
        facts->corrupt_rows += stat.corrupt_count;
        facts->map_used += stat.used_bytes;
        facts->map_bytes += stat.map_bytes;
        facts->map_full = facts->map_full || stat.full;
        if (table_env_readers(envs[n], &readers) != ERR_OK) {
            facts->readers_known = false;
            continue;
        }
        facts->readers += readers.count;
        facts->readers_dead += readers.cleared;
        facts->readers_behind =
            readers.behind > facts->readers_behind ? readers.behind : facts->readers_behind;
    }
    for (uint32_t no = 1; no <= journal_branch_count(journal); no++) {
        facts->damaged_logs += journal_branch(journal, no)->lacks != 0;
    }
    facts->restored = replica_is_restored(call->replica, NULL);
    facts->rebuilding = replica_is_rebuilding(call->replica);
}

/* Of every compartment that this device reads and whose key is made anew. */
bool
checkup_read_epochs(struct call *call, struct checkup_facts *facts)
{
    size_t room = roster_compartment_count(call->roster);
    struct checkup_epoch *epochs = arena_take_array(&call->arena, room + 1, sizeof *epochs);

    if (epochs == NULL) {
        return no_memory(call);
    }
    for (size_t n = 0; n < room; n++) {
        const struct roster_compartment *compartment = roster_compartment_at(call->roster, n);
        const struct roster_epoch *current = compartment->current;

        if (compartment->role == COMPARTMENT_CONTROL || call->own == NULL ||
            !policy_may(call->roster, call->own, OPERATION_READ, &compartment->id)) {
            continue;
        }
        /* Until another office has made its first one, there is nothing there; nor in what all share, before somebody met others, or writes. */
        size_t made = 0;
        (void)roster_epochs_of(call->roster, &compartment->id, &made);
        if (made == 0 && (compartment->owner == NULL || call->own->office == NULL ||
                          compartment->owner->house != call->own->office->house)) {
            continue;
        }
        uint64_t since_ms = current == NULL ? 0 : replica_epoch_since(call->txn, &current->epoch_id);
        epochs[facts->epoch_count++] = (struct checkup_epoch){
            .compartment = compartment->name,
            .none = current == NULL,
            .known = since_ms != 0,
            .age_ms = facts->now_ms > since_ms ? facts->now_ms - since_ms : 0,
        };
    }
    facts->epochs = epochs;
    return true;
}

/* What a schedule takes in a day, both ways: as long as the other side's is not known it is taken for the same. */
static uint64_t
schedule_day_bytes(const struct peer *peer)
{
    const struct envelope_schedule *own = &peer->line.schedule;
    const struct envelope_schedule *theirs = peer->theirs.bytes > 0 ? &peer->theirs : own;
    uint64_t day_s = LINE_DAY_MINUTES * 60;

    return own->bytes == 0 ? 0 : line_schedule_bytes(own, day_s) + line_schedule_bytes(theirs, day_s);
}

static bool
read_peers(struct call *call, struct checkup_facts *facts)
{
    const struct serve_options *options = call_options(call);
    uint64_t now_ms = world_steady_ms(options->world);
    size_t known = 0;
    const struct gossip_peer_status *all = gossip_status(options->gossip, &known);
    size_t room = peers_count(options->peers);
    struct checkup_peer *peers = arena_take_array(&call->arena, room + 1, sizeof *peers);

    if (peers == NULL) {
        return no_memory(call);
    }
    for (size_t n = 0; n < room; n++) {
        const struct peer *peer = peers_at(options->peers, n);
        const struct gossip_peer_status *status = peer_status_of(all, known, &peer->device_id);
        struct peer_progress progress = peer_progress_of(status);

        if (status != NULL) {
            facts->set_back_peers += status->set_back > 0;
            facts->files_refused += status->pieces_refused;
        }
        /* Whoever is no member any more is not waited for. */
        if (!peer_is_met(peer, status) || !peer->member) {
            continue;
        }
        peers[facts->peer_count++] = (struct checkup_peer){
            .name = peer->name,
            .up = peer->state == PEER_UP,
            .calls_us = peer->endpoint[0] == '\0',
            .rests = peer->line.profile >= PROFILE_METERED && peer->called_ms == 0,
            .refused = status != NULL && status->state == GOSSIP_REFUSED,
            .unanswered = peer->called_ms != 0 && now_ms > peer->called_ms + PEER_REDIAL_MS,
            .proxy_failed = peer->proxy_failed,
            .why = peer->state == PEER_UP ? status == NULL ? "" : status->last_error : peer->reason,
            .heard_ms = peers_last_heard(options->peers, &peer->device_id).at_ms,
            .waiting_in = progress.waiting_in,
            .waiting_out = progress.waiting_out,
            .schedule_alone = peer_lacks_schedule(peer),
            .schedule_day_bytes = schedule_day_bytes(peer),
            .day_bytes = peer->line.day_bytes,
            .month_bytes = peer->line.month_bytes,
        };
    }
    facts->peers = peers;
    return true;
}

static void
read_net(const struct status *status, struct checkup_net *net_out)
{
    *net_out = (struct checkup_net){
        .runs = status->net_pid != 0,
        .starter_gone = status->starter_gone,
        .no_sandbox = status->net_ending == NET_NO_SANDBOX,
        .sandbox_in_part = status_warned_count(status, reason_text(LINK_SANDBOX_INCOMPLETE)) > 0,
        .memory_unlocked = status_warned_count(status, reason_text(LINK_MEMORY_NOT_LOCKED)) > 0,
        .cannot_listen = status_warned_count(status, reason_text(LINK_CANNOT_LISTEN)) > 0,
        .metrics_unserved = status_warned_count(status, reason_text(LINK_METRICS_NOT_SERVED)) > 0,
        .doors_open = status->net_endings[NET_DOOR_OPEN],
        .forbidden = status->net_endings[NET_FORBIDDEN],
        .malformed = status->net_endings[NET_MALFORMED],
        .files_spent = status_warned_count(status, reason_text(LINK_NO_FILES)),
        .crowded = status_refused_count(status, reason_text(LINK_CROWDED)),
        .strangers = status_refused_count(status, reason_text(LINK_STRANGER)),
        .peers_too_many = status_warned_count(status, reason_text(LINK_TOO_MANY_PEERS)),
        .calls_impossible = status_warned_count(status, reason_text(LINK_BAD_ORDER)),
        .messages_dropped = status_warned_count(status, reason_text(LINK_NOT_SENT)),
    };
    for (unsigned n = 0; n < status->door_count; n++) {
        net_out->refused += status->door[n].count;
    }
}

/* Those that nobody has dealt with. What is lent by `forks` stays there. */
static bool
read_forks(struct call *call, const json_t *forks, struct checkup_facts *facts)
{
    struct checkup_fork *list = arena_take_array(&call->arena, json_array_size(forks) + 1, sizeof *list);
    size_t index;
    json_t *fork;

    if (list == NULL) {
        return no_memory(call);
    }
    json_array_foreach((json_t *)forks, index, fork)
    {
        const char *device = json_string_value(json_object_get(json_object_get(fork, "device"), "name"));
        const char *place = json_string_value(json_object_get(fork, "compartment"));

        if (json_is_true(json_object_get(fork, "revoked"))) {
            continue;
        }
        list[facts->fork_count++] = (struct checkup_fork){
            .device = device == NULL || device[0] == '\0' ? "a device" : device,
            .compartment = place == NULL ? "" : place,
            .seq = (uint64_t)json_integer_value(json_object_get(fork, "seq")),
            .own = json_is_true(json_object_get(fork, "own")),
        };
    }
    facts->forks = list;
    return true;
}

/* Who is furthest ahead of our clock. What is lent by `ahead` stays there. */
static void
read_clocks(const json_t *ahead, struct checkup_facts *facts)
{
    size_t index;
    json_t *one;

    facts->clocks_apart = json_array_size(ahead);
    facts->apart_most = "";
    json_array_foreach((json_t *)ahead, index, one)
    {
        uint64_t ahead_s = (uint64_t)json_integer_value(json_object_get(one, "ahead_s"));
        const char *name = json_string_value(json_object_get(json_object_get(one, "device"), "name"));

        if (ahead_s >= facts->apart_most_s) {
            facts->apart_most_s = ahead_s;
            facts->apart_most = name == NULL ? "" : name;
        }
    }
}

void
checkup_read_waiting(struct call *call, struct checkup_facts *facts)
{
    const struct journal *journal = replica_journal(call->replica);
    struct replica_setbacks setbacks = replica_setbacks(call->replica);
    struct pend_counts pend = count_pend(call->txn);
    struct shelf_totals files;

    facts->lost_tails = setbacks.lost_tails;
    facts->incarnations = setbacks.incarnations;
    facts->held = held_count(journal, NULL);
    facts->held_own = held_count(journal, &replica_identity(call->replica)->device_id);
    facts->limits = replica_counts(call->replica)->later[LATER_LIMIT];
    facts->wait_key = pend.key;
    facts->wait_schema = pend.schema;
    facts->wait_text = pend.text;
    facts->newer_statements = roster_newer_count(call->roster);
    facts->erase_needs = replica_compact_bytes(call->replica);
    facts->erase_waiting = waiting_orders(call->roster);
    shelf_total(call->txn, &files);
    facts->files_here = files.whole_count;
    facts->files_wanted = files.wanted_count;
    facts->files_wanted_bytes = files.wanted_bytes;
    facts->search_known = finding_is_able(call_finding(call)) && !facts->restored;
    facts->search_left = finding_left(call_finding(call), call->replica);
}

void
call_doctor(struct call *call)
{
    const struct serve_options *options = call_options(call);
    struct checkup_facts facts = { .now_ms = world_wall_ms(options->world) };
    size_t count = 0;
    const struct replica_compartment *held = held_compartments(call, &count);

    if (held == NULL) {
        return;
    }
    json_t *checks = json_array();
    json_t *forks = forks_json(call, NULL);
    json_t *ahead = clocks_ahead_json(call);
    facts.entries = count_entries(held, count);
    facts.records = count_records(call, held, count);
    facts.memory_locks = options->status->memory_locks;
    facts.certified = call->own != NULL;
    facts.until_s = call->own == NULL ? 0 : call->own->until;
    facts.revoked = own_is_revoked(call);
    confinement_read(&facts.confinement);
    /* A build that measures itself has no rules, and is no finding. */
    facts.confinement.known = facts.confinement.known && sandbox_is_built_in();
    facts.sandbox_missing =
        options->status->sandbox_missing[0] == '\0' ? NULL : options->status->sandbox_missing;
    read_net(options->status, &facts.net);
    checkup_read_store(call, &facts);
    read_clocks(ahead, &facts);
    checkup_read_waiting(call, &facts);
    if (checks != NULL && checkup_read_epochs(call, &facts) && read_peers(call, &facts) &&
        read_forks(call, forks, &facts)) {
        const struct checkup_sink sink = { checks, add_line };

        checkup_well(&sink, CHECK_NODE, "vigild %s runs", options->version);
        checkup_node(&sink, &facts);
    }
    json_decref(forks);
    json_decref(ahead);
    call_ok(call, json_pack("{s:o}", "checks", checks));
}
