/* serve_frontier.c - what is held of every log, in a file for the ceremony, which cuts by it. */
#include "node/call.h"

#include "store/base/world.h"
#include "sync/frontier_file.h"
#include "sync/held.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_BYTES_MAX = 900 << 10, /* of a line of the API, in which it leaves */
    CUT_SLICE = 256,            /* entries that one call opens */
};

/* --- frontier.cut --- */

/* How far a search for cuts has come: the branch whose head ends the way, and the next entry of that way. */
struct cutting {
    uint32_t log_no;
    uint64_t seq;
    uint64_t closed; /* entries of this way whose stamp cannot be told here */
};

static bool
read_cutting(struct call *call, struct cutting *at)
{
    const char *text = call_text(call, "after");

    *at = (struct cutting){ .log_no = 1 };
    if (text != NULL &&
        (sscanf(text, "%" SCNu32 ":%" SCNu64 ":%" SCNu64, &at->log_no, &at->seq, &at->closed) != 3 ||
         at->log_no == LOG_NONE)) {
        call_usage(call, "\"after\" is not a \"next\" of frontier.cut");
    }
    return !call->failed;
}

static json_t *
cutting_json(const struct journal *journal, const struct cutting *at)
{
    char text[64];

    if (at->log_no > journal_branch_count(journal)) {
        return json_null();
    }
    (void)snprintf(text, sizeof text, "%" PRIu32 ":%" PRIu64 ":%" PRIu64, at->log_no, at->seq, at->closed);
    return json_string(text);
}

/* A way ends before `next`: say where that is, and how much of it goes. */
static enum err
add_cut(struct call *call, const struct log_branch *branch, uint64_t next, uint64_t closed, json_t *cuts)
{
    const struct roster_compartment *compartment =
        roster_compartment(call->roster, &branch->descriptor.compartment);
    struct journal_entry last = { .log_no = LOG_NONE };

    if (next > 0) {
        enum err err =
            journal_read(replica_journal(call->replica), call->txn, branch->log_no, next - 1, &last);
        if (err != ERR_OK) {
            return err;
        }
    }
    (void)json_array_append_new(
        cuts,
        json_pack("{s:o,s:s,s:i,s:o,s:o,s:I,s:I}", "log", hex_json(hash_span(&branch->log_id)), "compartment",
                  compartment == NULL ? "" : compartment->name, "lane", (int)branch->descriptor.lane, "seq",
                  next > 0 ? json_integer((json_int_t)next - 1) : json_null(), "entry",
                  next > 0 ? hex_json(hash_span(&last.entry.id)) : json_null(), "dropped",
                  (json_int_t)(branch->next_seq - next), "closed", (json_int_t)closed));
    return ERR_OK;
}

/* True if the entry's claimed stamp is at or after `before_ms`. What cannot be told is counted. */
static bool
is_late(struct call *call, const struct log_branch *branch, struct cutting *at, uint64_t before_ms)
{
    uint64_t hlc = 0;
    enum err err = replica_stamp_of(call->replica, branch->log_no, at->seq, &call->arena, &hlc);

    arena_reset(&call->arena);
    at->closed += err != ERR_OK;
    return err == ERR_OK && (hlc >> 16) >= before_ms;
}

/* Go on along one way; true once it is done, and its cut added. */
static bool
cut_way(struct call *call, const struct log_branch *branch, struct cutting *at, uint64_t before_ms,
        size_t *left, json_t *cuts)
{
    bool late = false;

    for (; at->seq<branch->next_seq && * left> 0 && !late; --*left) {
        late = is_late(call, branch, at, before_ms);
        at->seq += !late;
    }
    if (!late && at->seq < branch->next_seq) {
        return false;
    }
    enum err err = add_cut(call, branch, at->seq, at->closed, cuts);
    if (err != ERR_OK) {
        call_fail(call, err, "stop the node and run vigild verify", "%s", err_text(err));
    }
    return true;
}

void
call_frontier_cut(struct call *call)
{
    const struct journal *journal = replica_journal(call->replica);
    const char *text = call_text_needed(call, "device");
    const char *before = call_text_needed(call, "before");
    const struct roster_device *device = text == NULL || before == NULL ? NULL : call_author(call, text);
    uint64_t before_ms = 0;
    struct cutting at;
    size_t left = CUT_SLICE;

    if (device == NULL || !read_cutting(call, &at)) {
        return;
    }
    if (!time_parse(before, &before_ms)) {
        call_fail(call, ERR_INVALID, "write a day or a time in UTC, as in 2026-03-01 or 2026-03-01T17:30Z",
                  "%.40s is not a time", before);
        return;
    }
    json_t *cuts = json_array();
    while (left > 0 && !call->failed && at.log_no <= journal_branch_count(journal)) {
        const struct log_branch *branch = journal_branch(journal, at.log_no);

        if (branch->next_seq == branch->branch_first || !hash_equal(&branch->device_id, &device->device_id) ||
            cut_way(call, branch, &at, before_ms, &left, cuts)) {
            at = (struct cutting){ .log_no = at.log_no + 1 };
        }
    }
    call_ok(call, json_pack("{s:o,s:o}", "cuts", cuts, "next", cutting_json(journal, &at)));
}

/* --- frontier.write --- */

/* Entries at which logs are to end: nothing of what they lead to goes into the file. */
struct ends {
    struct held_entry *items;
    size_t count;
};

/* The tips that one log gets in the file. */
struct tips {
    struct frontier_file_tip *items;
    size_t count;
};

/* One more than the last entry of the way to the entry before `next` that stands, `ends` considered. */
static uint64_t
ends_at(const struct journal *journal, const struct ends *ends, uint32_t log_no, uint64_t next)
{
    const struct hash *log_id = &journal_branch(journal, log_no)->log_id;

    for (size_t n = 0; n < ends->count; n++) {
        const struct held_entry *end = &ends->items[n];

        if (end->seq < next && hash_equal(log_id, &journal_branch(journal, end->log_no)->log_id) &&
            journal_stored_in(journal, log_no, end->seq) == end->log_no) {
            next = end->seq;
        }
    }
    return next;
}

static void
add_tip(struct tips *tips, uint64_t seq, const struct hash *entry_id)
{
    for (size_t n = 0; n < tips->count; n++) {
        if (tips->items[n].seq == seq && hash_equal(&tips->items[n].entry_id, entry_id)) {
            return;
        }
    }
    tips->items[tips->count] = (struct frontier_file_tip){ seq, *entry_id };
    tips->count++;
}

/* Add where the way to the entry before `next` ends. False: the call failed. */
static bool
add_way(struct call *call, const struct ends *ends, uint32_t log_no, uint64_t next, struct tips *tips)
{
    struct journal *journal = replica_journal(call->replica);
    struct journal_entry last;

    next = ends_at(journal, ends, log_no, next);
    if (next == 0) {
        return true;
    }
    enum err err = journal_read(journal, call->txn, log_no, next - 1, &last);
    if (err != ERR_OK) {
        call_fail(call, err, "stop the node and run vigild verify", "%s", err_text(err));
        return false;
    }
    add_tip(tips, next - 1, &last.entry.id);
    return true;
}

/* Every tip that is kept of a log, what counts or not. False: the call failed. */
static bool
own_tips(struct call *call, const struct ends *ends, const struct log_branch *first, struct tips *tips)
{
    const struct journal *journal = replica_journal(call->replica);
    bool good = true;

    for (uint32_t no = first->log_no; good && no != LOG_NONE; no = journal_branch(journal, no)->sibling) {
        const struct log_branch *branch = journal_branch(journal, no);

        good = branch->next_seq == branch->branch_first || add_way(call, ends, no, branch->next_seq, tips);
    }
    return good;
}

/* Those that the request names of a log. False: the call failed. */
static bool
given_tips(struct call *call, const json_t *cuts, const struct ends *ends, const struct log_branch *first,
           struct tips *tips)
{
    char log[2 * HASH_BYTES + 1];
    size_t index;
    json_t *cut;

    bytes_hex(log, hash_span(&first->log_id));
    json_array_foreach((json_t *)cuts, index, cut)
    {
        const char *named = json_string_value(json_object_get(cut, "log"));
        const char *entry = json_string_value(json_object_get(cut, "entry"));
        json_int_t seq = json_integer_value(json_object_get(cut, "seq"));
        struct hash entry_id;
        uint32_t log_no = LOG_NONE;

        if (named == NULL || strcmp(named, log) != 0 || entry == NULL) {
            continue;
        }
        if (strlen(entry) == 2 * HASH_BYTES && bytes_from_hex(entry_id.bytes, HASH_BYTES, entry) &&
            seq >= 0) {
            log_no = journal_find(replica_journal(call->replica), call->txn, &first->log_id, (uint64_t)seq,
                                  &entry_id);
        }
        if (log_no == LOG_NONE) {
            call_fail(call, ERR_ABSENT, "take cuts as frontier.cut gives them",
                      "a cut names an entry that is not here");
            return false;
        }
        if (!add_way(call, ends, log_no, (uint64_t)seq + 1, tips)) {
            return false;
        }
    }
    return true;
}

/* Add what the file says of one log. False: the call failed. */
static bool
add_log(struct call *call, const json_t *cuts, const struct ends *ends, const struct log_branch *first,
        struct frontier_file *file)
{
    const struct journal *journal = replica_journal(call->replica);
    size_t room = journal_branch_count(journal) + json_array_size(cuts);
    struct tips tips = { .items = calloc(room + 1, sizeof *tips.items) };
    bool good = tips.items != NULL;

    if (!good) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    } else if (cuts != NULL) {
        good = given_tips(call, cuts, ends, first, &tips);
    } else {
        good = own_tips(call, ends, first, &tips);
    }
    if (good && tips.count > 0) {
        enum err err = frontier_file_add(file, &first->descriptor, tips.items, tips.count);
        good = err == ERR_OK;
        if (!good) {
            call_fail(call, err, "", "%s", err_text(err));
        }
    }
    free(tips.items);
    return good;
}

/* Look up what member "without" names. False: the call failed. */
static bool
read_ends(struct call *call, struct ends *ends)
{
    const json_t *without = json_object_get(call->body, "without");
    size_t count = json_array_size(without);

    *ends = (struct ends){ .items = arena_take_array(&call->arena, count + 1, sizeof *ends->items) };
    if (without != NULL && !json_is_array(without)) {
        call_usage(call, "\"without\" is not a list");
        return false;
    }
    if (ends->items == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return false;
    }
    for (size_t n = 0; n < count; n++) {
        const char *name = json_string_value(json_array_get(without, n));
        enum err err = held_find_any(replica_journal(call->replica), call->txn, name == NULL ? "" : name,
                                     &ends->items[n]);

        if (err != ERR_OK) {
            call_fail(call, err,
                      "vigil device show names the entries at which a log forked, as in 3f09a1c2b1d4:17:b0c4",
                      err == ERR_CONFLICT ? "more than one entry is called %.60s"
                                          : "no entry is called %.60s",
                      name == NULL ? "" : name);
            return false;
        }
    }
    ends->count = count;
    return true;
}

static void
write_file(struct call *call, struct frontier_file *file)
{
    const struct replica_identity *identity = replica_identity(call->replica);
    const struct world *world = call_options(call)->world;
    struct buf text = { 0 };
    enum err err = frontier_file_write(&text, file, &identity->sign, &identity->control_key, world);

    if (err == ERR_OK && text.size > FILE_BYTES_MAX) {
        err = ERR_FULL;
    }
    if (err != ERR_OK) {
        call_fail(call, err,
                  err == ERR_FULL ? "name one device with --device: a revocation needs its logs only" : "",
                  err == ERR_FULL ? "the logs of all devices are more than one such file holds" : "%s",
                  err_text(err));
    } else {
        call_ok(call, json_pack("{s:o,s:I}", "file", text_json(buf_span(&text)), "logs",
                                (json_int_t)file->log_count));
    }
    buf_free(&text);
}

void
call_frontier_write(struct call *call)
{
    const struct journal *journal = replica_journal(call->replica);
    const char *text = call_text(call, "device");
    const json_t *cuts = json_object_get(call->body, "cuts");
    const struct roster_device *device = text == NULL ? NULL : call_author(call, text);
    struct frontier_file file = { .org = replica_identity(call->replica)->org,
                                  .made = world_wall_ms(call_options(call)->world) / 1000 };
    struct ends ends;
    bool good = read_ends(call, &ends) && !call->failed;

    if (cuts != NULL && !json_is_array(cuts)) {
        call_usage(call, "\"cuts\" is not a list");
        return;
    }
    for (uint32_t no = 1; good && no <= journal_branch_count(journal); no++) {
        const struct log_branch *first = journal_branch(journal, no);

        if (first->parent == LOG_NONE &&
            (device == NULL || hash_equal(&first->device_id, &device->device_id))) {
            good = add_log(call, cuts, &ends, first, &file);
        }
    }
    if (good) {
        write_file(call, &file);
    }
    frontier_file_free(&file);
}
