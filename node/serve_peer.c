/* serve_peer.c - whom this node meets, and how far each of them has come. */
#include "node/call.h"

#include "store/base/world.h"
#include "sync/endpoint.h"
#include "sync/gossip.h"

#include <stdio.h>
#include <string.h>

/* --- sync.status --- */

static const char *
compartment_name(const struct call *call, const struct ident *id)
{
    const struct roster_compartment *compartment = roster_compartment(call->roster, id);

    return compartment == NULL ? "" : compartment->name;
}

static json_t *
compartments_json(struct call *call, const struct gossip_peer_status *status)
{
    json_t *list = json_array();

    for (size_t n = 0; status != NULL && n < status->compartment_count; n++) {
        const struct gossip_compartment_status *from = &status->compartments[n];

        (void)json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:b,s:f,s:f,s:b,s:b,s:I,s:I,s:I}", "name",
                      compartment_name(call, &from->compartment), "state", gossip_state_text(from->state),
                      "compared", from->compared, "stored", from->stored_permille / 1000.0, "visible",
                      from->visible_permille / 1000.0, "complete", from->complete, "visible_complete",
                      from->visible_complete, "to_send", (json_int_t)from->entries_to_send, "to_receive",
                      (json_int_t)from->entries_to_receive, "bytes_to_receive",
                      (json_int_t)from->bytes_to_receive));
    }
    return list;
}

struct peer_progress
peer_progress_of(const struct gossip_peer_status *status)
{
    struct peer_progress all = { 1000, 1000, true, true, 0, 0 };
    size_t count = status == NULL ? 0 : status->compartment_count;

    for (size_t n = 0; n < count; n++) {
        const struct gossip_compartment_status *one = &status->compartments[n];

        all.stored = one->stored_permille < all.stored ? one->stored_permille : all.stored;
        all.visible = one->visible_permille < all.visible ? one->visible_permille : all.visible;
        all.complete = all.complete && one->complete;
        all.visible_complete = all.visible_complete && one->visible_complete;
        all.waiting_in += one->entries_to_receive;
        all.waiting_out += one->entries_to_send;
    }
    if (count == 0) {
        all = (struct peer_progress){ 0 };
    }
    return all;
}

const struct gossip_peer_status *
peer_status_of(const struct gossip_peer_status *all, size_t count, const struct hash *device_id)
{
    for (size_t n = 0; n < count; n++) {
        if (hash_equal(&all[n].device_id, device_id)) {
            return &all[n];
        }
    }
    return NULL;
}

bool
peer_is_met(const struct peer *peer, const struct gossip_peer_status *status)
{
    return peer->endpoint[0] != '\0' || peer->state != PEER_DOWN || status != NULL;
}

static json_t *
peer_json(struct call *call, const struct peer *peer, const struct gossip_peer_status *status)
{
    struct peer_progress progress = peer_progress_of(status);
    const char *error = status == NULL || status->last_error[0] == '\0' ? peer->reason : status->last_error;

    return json_pack("{s:s,s:o,s:s,s:s,s:f,s:f,s:b,s:b,s:o,s:s,s:I,s:I,s:o}", "name", peer->name, "device",
                     device_json(call->roster, &peer->device_id), "state", peer_state_name(peer->state),
                     "session", gossip_state_text(status == NULL ? GOSSIP_DOWN : status->state), "stored",
                     progress.stored / 1000.0, "visible", progress.visible / 1000.0, "complete",
                     progress.complete, "visible_complete", progress.visible_complete, "last_contact",
                     time_json(peers_last_contact(call_options(call)->peers, &peer->device_id)), "error",
                     peer_lacks_schedule(peer) ? PEER_LACKS_SCHEDULE
                     : peer->state == PEER_UP  ? ""
                                               : error,
                     "waiting_in", (json_int_t)progress.waiting_in, "waiting_out",
                     (json_int_t)progress.waiting_out, "compartments", compartments_json(call, status));
}

json_t *
peers_json(struct call *call)
{
    const struct serve_options *options = call_options(call);
    size_t count = 0;
    const struct gossip_peer_status *all = gossip_status(options->gossip, &count);
    json_t *list = json_array();

    for (size_t n = 0; n < peers_count(options->peers); n++) {
        const struct peer *peer = peers_at(options->peers, n);
        const struct gossip_peer_status *status = peer_status_of(all, count, &peer->device_id);

        /* Whoever is no member any more is not waited for. */
        if (peer_is_met(peer, status) && (peer->member || peer->state != PEER_DOWN)) {
            (void)json_array_append_new(list, peer_json(call, peer, status));
        }
    }
    return list;
}

const struct gossip_compartment_status *
most_to_come(const struct call *call, const struct ident *compartment, bool *connected_out)
{
    size_t count = 0;
    const struct gossip_peer_status *all = gossip_status(call_options(call)->gossip, &count);
    const struct gossip_compartment_status *most = NULL;
    bool connected = false;

    for (size_t n = 0; n < count; n++) {
        connected = connected || all[n].connected;
    }
    for (size_t n = 0; n < count; n++) {
        for (size_t m = 0; m < all[n].compartment_count && (all[n].connected || !connected); m++) {
            const struct gossip_compartment_status *one = &all[n].compartments[m];

            if (ident_equal(&one->compartment, compartment) &&
                (most == NULL || one->entries_to_receive > most->entries_to_receive)) {
                most = one;
            }
        }
    }
    *connected_out = connected;
    return most;
}

json_t *
arriving_json(struct call *call, const struct replica_compartment *held, size_t held_count)
{
    json_t *list = json_array();

    for (size_t n = 0; n < held_count; n++) {
        bool connected = false;
        const struct gossip_compartment_status *peer = most_to_come(call, &held[n].id, &connected);
        uint64_t to_come = peer == NULL ? 0 : peer->entries_to_receive;
        uint64_t readable = held[n].entries > held[n].pending ? held[n].entries - held[n].pending : 0;
        double whole = (double)(held[n].entries + to_come);

        if (to_come == 0 && readable == held[n].entries) {
            continue;
        }
        (void)json_array_append_new(
            list,
            json_pack("{s:s,s:f,s:o,s:I,s:I,s:I,s:b}", "name", held[n].name, "stored",
                      (double)held[n].entries / whole, "visible",
                      held[n].level >= LEVEL_READ ? json_real((double)readable / whole) : json_null(),
                      "entries", (json_int_t)held[n].entries, "to_receive", (json_int_t)to_come,
                      "bytes_to_receive", peer == NULL ? (json_int_t)0 : (json_int_t)peer->bytes_to_receive,
                      "connected", connected));
    }
    return list;
}

void
call_sync_status(struct call *call)
{
    call_ok(call, json_pack("{s:o}", "peers", peers_json(call)));
}

void
call_sync_watch(struct call *call)
{
    call_watch_peers(call);
}

/* --- sync.now --- */

/* The device that a person means, by the roster or by the name of an address. */
const struct roster_device *
call_peer_device(struct call *call, const char *text)
{
    const struct roster_device *device = peers_find(call_options(call)->peers, call->roster, text);

    if (device == NULL) {
        call_fail(call, ERR_ABSENT,
                  "vigil peer list names those that are known; a fingerprint is never ambiguous",
                  "no device, or more than one, is called %.70s", text);
    }
    return device;
}

void
call_sync_now(struct call *call)
{
    const struct serve_options *options = call_options(call);
    const char *text = call_text(call, "peer");
    const struct roster_device *device = text == NULL ? NULL : call_peer_device(call, text);
    uint64_t now_ms = world_steady_ms(options->world);
    json_int_t asked = 0;

    for (size_t n = 0; !call->failed && n < peers_count(options->peers); n++) {
        struct peer *peer = peers_at(options->peers, n);

        if (device != NULL && !hash_equal(&device->device_id, &peer->device_id)) {
            continue;
        }
        if (peer->state == PEER_UP) {
            gossip_compare(options->gossip, &peer->device_id, now_ms);
            asked++;
        } else if (peer->endpoint[0] != '\0') {
            /* Dialling what is being dialled already makes it try at once. */
            peer->due = true;
            peer->dial_ms = 0;
            asked++;
        }
    }
    call_ok(call, json_pack("{s:I}", "asked", asked));
}

/* --- long texts that come when somebody asks --- */

json_t *
absent_json(const struct intake_absent *absent)
{
    return json_pack("{s:I,s:I,s:I}", "count", (json_int_t)absent->count, "bytes", (json_int_t)absent->bytes,
                     "asked", (json_int_t)absent->wanted);
}

void
call_sync_fetch(struct call *call)
{
    bool of_record = call_text(call, "record") != NULL;
    struct intake_absent absent;
    struct named named;

    if (call->failed || (of_record && !call_record(call, &named))) {
        return;
    }
    enum err err = replica_absent(call->replica, of_record ? &named.record_id : NULL, true, &absent);
    if (err != ERR_OK) {
        call_fail(call, err, "", "what is still to come cannot be read here: %s", err_text(err));
        return;
    }
    if (absent.count > 0) {
        gossip_compare(call_options(call)->gossip, NULL, world_steady_ms(call_options(call)->world));
    }
    call_ok(call, absent_json(&absent));
}

/* --- what lines cost --- */

static json_t *
limit_json(uint64_t bytes)
{
    return bytes == 0 ? json_null() : json_integer((json_int_t)bytes);
}

/* Whether the other side sends by a schedule, too; null: we send by none, or it is not known. */
static json_t *
schedule_kept_json(const struct peer *peer)
{
    bool known = peer->state == PEER_UP && (peer->theirs.bytes > 0 || peer->frames_came);

    return peer->line.schedule.bytes > 0 && known ? json_boolean(peer->theirs.bytes > 0) : json_null();
}

static json_t *
budget_json(struct call *call, const struct peer *peer, const struct gossip_peer_status *status)
{
    const struct world *world = call_options(call)->world;
    uint64_t wall_ms = world_wall_ms(world);
    uint64_t now_ms = world_steady_ms(world);
    struct line_use use = line_use_now(&peer->use, wall_ms);
    struct peer_progress progress = peer_progress_of(status);
    char hours[LINE_TEXT_BYTES];
    uint64_t bytes = 0;

    for (size_t n = 0; status != NULL && n < status->compartment_count; n++) {
        bytes += status->compartments[n].bytes_to_receive;
    }
    line_hours_print(&peer->line, hours);
    bool waits = peer->due && peer->state != PEER_UP;
    json_t *json = json_pack(
        "{s:s,s:o,s:s,s:b,s:s,s:o,s:b,s:o}", "name", peer->name, "device",
        device_json(call->roster, &peer->device_id), "profile", line_profile_name(peer->line.profile), "set",
        peer->line_set, "allowance", line_allowance_name(line_allows(&peer->line, &use, wall_ms)), "opens",
        time_json(line_opens_ms(&peer->line, &use, wall_ms)), "quiet", line_is_quiet(&peer->line, wall_ms),
        "next",
        waits ? json_integer((json_int_t)(peer->dial_ms > now_ms ? (peer->dial_ms - now_ms) / 1000 : 0))
              : json_null());
    char schedule[LINE_TEXT_BYTES];
    line_schedule_print(&peer->line.schedule, schedule);
    json_t *rest = json_pack(
        "{s:s,s:o,s:I,s:o,s:I,s:o,s:I,s:s,s:I,s:I,s:I,s:I,s:s}", "schedule", schedule, "schedule_kept",
        schedule_kept_json(peer), "day_used", (json_int_t)use.day_bytes, "day_limit",
        limit_json(peer->line.day_bytes), "month_used", (json_int_t)use.month_bytes, "month_limit",
        limit_json(peer->line.month_bytes), "interval_minutes",
        (json_int_t)(peer->line.interval_min == 0 ? LINE_INTERVAL_MIN_DEFAULT : peer->line.interval_min),
        "quiet_hours", hours, "waiting_in", (json_int_t)progress.waiting_in, "waiting_out",
        (json_int_t)progress.waiting_out, "bytes_to_receive", (json_int_t)bytes, "pulled",
        (json_int_t)(status == NULL ? 0 : status->entries_pulled), "last_ending",
        status == NULL ? "" : status->last_ending);

    (void)json_object_update(json, rest);
    json_decref(rest);
    return json;
}

/* An object for each peer that is a member, and that this node meets or has met. */
static json_t *
each_member(struct call *call, json_t *(*one)(struct call *call, const struct peer *peer,
                                              const struct gossip_peer_status *status))
{
    const struct serve_options *options = call_options(call);
    size_t count = 0;
    const struct gossip_peer_status *all = gossip_status(options->gossip, &count);
    json_t *list = json_array();

    for (size_t n = 0; n < peers_count(options->peers); n++) {
        const struct peer *peer = peers_at(options->peers, n);
        const struct gossip_peer_status *status = peer_status_of(all, count, &peer->device_id);

        if (peer_is_met(peer, status) && peer->member) {
            (void)json_array_append_new(list, one(call, peer, status));
        }
    }
    return list;
}

void
call_sync_budget(struct call *call)
{
    json_t *list = each_member(call, budget_json);
    struct intake_absent absent;
    enum err err = replica_absent(call->replica, NULL, false, &absent);
    if (err != ERR_OK) {
        call_fail(call, err, "", "what is still to come cannot be read here: %s", err_text(err));
    }
    call_ok(call, json_pack("{s:o,s:o}", "peers", list, "texts", absent_json(&absent)));
}

/* --- what passes now --- */

static json_t *
line_json(struct call *call, const struct peer *peer, const struct gossip_peer_status *status)
{
    struct peer_progress progress = peer_progress_of(status);
    const char *error = status == NULL || status->last_error[0] == '\0' ? peer->reason : status->last_error;
    json_t *lanes = json_array();

    for (size_t lane = 0; lane < LANE_COUNT; lane++) {
        (void)json_array_append_new(lanes,
                                    json_integer(status == NULL ? 0 : (json_int_t)status->waiting[lane]));
    }
    return json_pack(
        "{s:s,s:o,s:s,s:s,s:s,s:o,s:I,s:I,s:I,s:I,s:I,s:o,s:s,s:s}", "name", peer->name, "device",
        device_json(call->roster, &peer->device_id), "state", peer_state_name(peer->state), "session",
        gossip_state_text(status == NULL ? GOSSIP_DOWN : status->state), "profile",
        line_profile_name(peer->line.profile), "lanes", lanes, "to_come", (json_int_t)progress.waiting_in,
        "bytes_in", (json_int_t)peer->in_bytes, "bytes_out", (json_int_t)peer->out_bytes, "on_way",
        status == NULL ? (json_int_t)0 : (json_int_t)status->on_way_bytes, "limit",
        status == NULL ? (json_int_t)0 : (json_int_t)status->limit_bytes, "round_trip_ms",
        status == NULL || status->least_ms == UINT64_MAX ? json_null()
                                                         : json_integer((json_int_t)status->least_ms),
        "last_ending", status == NULL ? "" : status->last_ending, "error",
        peer->state == PEER_UP ? "" : error);
}

void
call_sync_lines(struct call *call)
{
    call_ok(call, json_pack("{s:o}", "lines", each_member(call, line_json)));
}

/* The schedule that a line had, with what the request says of one. */
static struct envelope_schedule
read_schedule(struct call *call, const struct envelope_schedule *before)
{
    long usual = call_options(call)->config->envelope == 0 ? ENVELOPE_BYTES_DEFAULT
                                                           : call_options(call)->config->envelope;
    int64_t beat_s = call_number(call, "schedule", 0, ENVELOPE_BEAT_S_MAX, before->beat_s);
    int64_t bytes = call_number(call, "envelope", ENVELOPE_BYTES_MIN, ENVELOPE_BYTES_MAX,
                                before->bytes == 0 ? usual : before->bytes);

    if (call->failed || beat_s == 0) {
        return (struct envelope_schedule){ .beat_s = 0 };
    }
    return (struct envelope_schedule){ .beat_s = (uint32_t)beat_s, .bytes = (uint32_t)bytes };
}

/* Change of a line what the request names. False: the call failed. */
static bool
read_line(struct call *call, struct line_settings *line)
{
    const char *profile = call_text(call, "profile");
    const char *hours = call_text(call, "quiet_hours");
    const char *day = call_text(call, "day_bytes");
    const char *month = call_text(call, "month_bytes");

    if (profile != NULL && !line_profile_parse(profile, &line->profile)) {
        call_fail(call, ERR_INVALID, "lan, wan, metered or oneway", "there is no profile %.60s", profile);
    }
    if (hours != NULL && !line_hours_parse(hours, &line->quiet_from, &line->quiet_to)) {
        call_fail(call, ERR_INVALID, "as in 22:00-06:00, in UTC, or none",
                  "quiet hours are not of the form %.60s", hours);
    }
    if ((day != NULL && !line_bytes_parse(day, &line->day_bytes)) ||
        (month != NULL && !line_bytes_parse(month, &line->month_bytes))) {
        call_fail(call, ERR_INVALID, "as in 750k, 2M or 1G, or none", "a budget is not of that form");
    }
    line->interval_min =
        (uint32_t)call_number(call, "interval_minutes", 1, LINE_INTERVAL_MIN_MAX,
                              line->interval_min == 0 ? LINE_INTERVAL_MIN_DEFAULT : line->interval_min);
    line->schedule = read_schedule(call, &line->schedule);
    if (!call->failed && line_breaks_schedule(line)) {
        call_fail(call, ERR_INVALID, "set profile to lan or wan, or schedule to none",
                  "only a line that stands keeps a schedule, and this one is %s",
                  line_profile_name(line->profile));
    }
    return !call->failed;
}

/* True if the request says anything of how the line is used. */
static bool
names_line(const struct call *call)
{
    static const char *const names[] = { "profile",     "interval_minutes", "quiet_hours", "day_bytes",
                                         "month_bytes", "schedule",         "envelope" };
    bool named = false;

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        named = named || json_object_get(call->body, names[n]) != NULL;
    }
    return named;
}

/* A proxy that the request names; NULL: none, or the call failed. */
static const char *
read_proxy(struct call *call)
{
    const char *proxy = call_text(call, "proxy");

    if (proxy != NULL && !endpoint_proxy_valid(proxy)) {
        /* What is typed here may hold a login. */
        call_fail(call, ERR_INVALID, "as in socks5://127.0.0.1:9050, without a login; or none",
                  "the proxy is not of the form socks5://host:port");
        return NULL;
    }
    return proxy;
}

/* Who said which device is reached otherwise: never how. */
static void
tell_change(struct call *call, const struct hash *device_id, const char *what)
{
    log_event("peer-settings", "peer=%s what=%s actor=%u",
              device_id == NULL ? "unknown" : hash_short(device_id).text, what,
              (unsigned)call_number(call, "actor", 0, UINT32_MAX, 0));
}

void
call_peer_set(struct call *call)
{
    struct peers *peers = call_options(call)->peers;
    const char *text = call_text_needed(call, "peer");
    bool reset = call_flag(call, "reset");
    const struct roster_device *device = text == NULL || call->failed ? NULL : call_peer_device(call, text);
    const struct peer *peer = device == NULL ? NULL : peers_by_device(peers, &device->device_id);

    if (device == NULL) {
        return;
    }
    if (peer == NULL) {
        call_fail(call, ERR_INVALID, "vigil peer list shows the peers", "%.70s is no peer of this node",
                  text);
        return;
    }
    struct line_settings line = peer->line;
    const char *proxy = read_proxy(call);
    if (call->failed || !read_line(call, &line)) {
        return;
    }
    enum err err = ERR_OK;
    if (reset || names_line(call)) {
        err = peers_set_line(peers, call->txn, &device->device_id, reset ? NULL : &line);
    }
    if (err == ERR_OK && (reset || proxy != NULL)) {
        err = peers_set_proxy(peers, call->txn, &device->device_id, reset ? NULL : proxy);
    }
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
    } else {
        tell_change(call, &device->device_id, "set");
    }
    call_peers_changed(call);
    call_ok(call, json_object());
}

/* --- peer.* --- */

static json_t *
listed_json(struct call *call, const struct peer *peer)
{
    const struct roster_device *device = roster_author(call->roster, &peer->device_id);

    char schedule[LINE_TEXT_BYTES];
    line_schedule_print(&peer->line.schedule, schedule);
    return json_pack("{s:s,s:o,s:s,s:s,s:s,s:s,s:o,s:s,s:s}", "name", peer->name, "device",
                     device_json(call->roster, &peer->device_id), "office",
                     device == NULL || device->office == NULL ? "" : device->office->code, "endpoint",
                     peer->endpoint, "proxy", peer->proxy, "schedule", schedule, "schedule_kept",
                     schedule_kept_json(peer), "state", peer_state_name(peer->state), "reason",
                     peer_lacks_schedule(peer) ? PEER_LACKS_SCHEDULE
                     : peer->state == PEER_UP  ? ""
                                               : peer->reason);
}

static json_t *
waiting_json(const struct peer_address *address)
{
    char schedule[LINE_TEXT_BYTES];

    line_schedule_print(&address->line.schedule, schedule);
    return json_pack("{s:s,s:{s:s,s:s,s:s},s:s,s:s,s:s,s:s,s:n,s:s,s:s}", "name", address->name, "device",
                     "id", "", "name", address->device, "office", "", "office", "", "endpoint",
                     address->endpoint, "proxy", address->proxy, "schedule", schedule, "schedule_kept",
                     "state", "down", "reason",
                     "no device of this name, id or fingerprint is known here yet");
}

void
call_peer_list(struct call *call)
{
    struct peers *peers = call_options(call)->peers;
    json_t *list = json_array();

    for (size_t n = 0; n < peers_count(peers); n++) {
        const struct peer *peer = peers_at(peers, n);

        if (peer_is_met(peer, NULL)) {
            (void)json_array_append_new(list, listed_json(call, peer));
        }
    }
    for (size_t n = 0; n < peers_waiting_count(peers); n++) {
        (void)json_array_append_new(list, waiting_json(peers_waiting_at(peers, n)));
    }
    call_ok(call, json_pack("{s:o}", "peers", list));
}

/* Take the statements of a file in. How many were new; -1: the call failed. */
static int64_t
import_statements(struct call *call, const char *text)
{
    struct joining_fault fault = { NULL, NULL, NULL };
    struct buf statements = { 0 };
    size_t count = 0;
    enum err err =
        statements_read(span_text(text), &replica_identity(call->replica)->control_key, &statements, &fault);

    if (err == ERR_OK) {
        err = replica_import(call->replica, buf_span(&statements), &count);
    }
    if (err != ERR_OK) {
        call_fail(call, err, fault.todo == NULL ? "ask for the file again" : fault.todo, "%s",
                  fault.what == NULL ? err_text(err) : fault.what);
    }
    buf_free(&statements);
    return err == ERR_OK ? (int64_t)count : -1;
}

/* The same form as in node.conf: tcp://host:port. */
static bool
check_endpoint(struct call *call, const char *endpoint)
{
    struct endpoint parsed;

    if (endpoint_parse(&parsed, span_text(endpoint), ENDPOINT_DIAL, false) != ERR_OK) {
        call_fail(call, ERR_INVALID, "as in tcp://hq.example.org:7700",
                  "%.80s is not of the form tcp://host:port", endpoint);
    }
    return !call->failed;
}

static void
add_address(struct call *call, const char *text, const char *endpoint, const char *name, const char *proxy,
            bool news)
{
    struct peers *peers = call_options(call)->peers;
    const struct roster_device *device = peers_find_device(call->roster, text);

    if (device == NULL && !news) {
        call_fail(call, ERR_ABSENT,
                  "import the news of your organisation with --statements FILE, or check the fingerprint",
                  "no device, or more than one, is called %.70s", text);
        return;
    }
    /* By its id: statements that were just taken in have moved what call->own pointed at. */
    if (device != NULL && hash_equal(&device->device_id, &replica_identity(call->replica)->device_id)) {
        call_fail(call, ERR_INVALID, "name another device", "this is the device itself");
        return;
    }
    const struct peer *met = device == NULL ? NULL : peers_by_device(peers, &device->device_id);
    bool elsewhere = met != NULL && met->endpoint[0] != '\0' && strcmp(met->endpoint, endpoint) != 0;
    /* Of a device that is known it is kept by itself, so that it holds whatever becomes of the address. */
    enum err err = device == NULL  ? ERR_OK
                   : proxy == NULL ? peers_adopt_proxy(peers, call->txn, call->roster, device)
                                   : peers_set_proxy(peers, call->txn, &device->device_id, proxy);
    if (err == ERR_OK) {
        err = peers_add(peers, call->txn, text, endpoint, name == NULL ? "" : name,
                        device != NULL || proxy == NULL ? "" : proxy);
    }
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
    } else if (elsewhere) {
        tell_change(call, &device->device_id, "address");
    }
    call_peers_changed(call);
}

void
call_peer_add(struct call *call)
{
    const char *endpoint = call_text(call, "endpoint");
    const char *text = call_text(call, "device");
    const char *name = call_text(call, "name");
    const char *statements = call_text(call, "statements");
    const char *proxy = read_proxy(call);
    int64_t count = 0;

    if (call->failed) {
        return;
    }
    if (proxy != NULL && endpoint == NULL) {
        call_usage(call, "a proxy is of use only with an endpoint");
        return;
    }
    if (statements == NULL && (endpoint == NULL || text == NULL)) {
        call_usage(call, "the request has neither an endpoint with its device, nor statements");
        return;
    }
    if (name != NULL && strlen(name) > STATEMENT_NAME_BYTES_MAX) {
        call_usage(call, "\"name\" is longer than %d bytes", STATEMENT_NAME_BYTES_MAX);
        return;
    }
    if ((endpoint == NULL) != (text == NULL)) {
        call_usage(call, "an endpoint is of use only with the device that answers there");
        return;
    }
    if (endpoint != NULL && !check_endpoint(call, endpoint)) {
        return;
    }
    if (statements != NULL) {
        count = import_statements(call, statements);
    }
    if (count >= 0 && endpoint != NULL) {
        add_address(call, text, endpoint, name, proxy, statements != NULL);
    }
    const struct roster_device *device = text == NULL ? NULL : peers_find_device(call->roster, text);
    json_t *peer = json_null();
    if (endpoint != NULL) {
        const char *called = name != NULL && name[0] != '\0' ? name : device != NULL ? device->name : text;
        peer = json_pack("{s:s,s:o,s:s}", "name", called, "device",
                         device != NULL ? device_json(call->roster, &device->device_id) : json_null(),
                         "endpoint", endpoint);
    }
    call_ok(call, json_pack("{s:o,s:I}", "peer", peer, "statements", (json_int_t)count));
}

void
call_peer_remove(struct call *call)
{
    const char *text = call_text_needed(call, "peer");

    if (text == NULL) {
        return;
    }
    const struct roster_device *device = peers_find(call_options(call)->peers, call->roster, text);
    enum err err = device == NULL
                       ? ERR_OK
                       : peers_adopt_proxy(call_options(call)->peers, call->txn, call->roster, device);
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return;
    }
    if (!peers_remove(call_options(call)->peers, call->txn, call->roster, text)) {
        call_fail(
            call, ERR_ABSENT,
            "vigil peer list shows them; those of node.conf are removed there, and members that call us stay",
            "no peer called %.70s was added here", text);
    } else {
        tell_change(call, device == NULL ? NULL : &device->device_id, "remove");
    }
    call_peers_changed(call);
}
