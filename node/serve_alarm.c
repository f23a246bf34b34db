/* serve_alarm.c - what somebody may have done to this node, or to another: revoked, forked, set back, held. */
#include "node/call.h"

#include "sync/gossip.h"
#include "sync/held.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
warn(json_t *warnings, const char *format, ...)
{
    char text[CALL_MESSAGE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)json_array_append_new(warnings, text_json(span_text(text)));
}

/* What is held now, by reason. */
static json_t *
held_counts_json(const struct call *call)
{
    const struct journal *journal = replica_journal(call->replica);
    json_t *held = json_object();

    for (int n = 1; n < HELD_COUNT; n++) {
        uint64_t count = journal_held_count(journal, (uint8_t)n);

        if (count > 0) {
            (void)json_object_set_new(held, held_reason_name((enum held_reason)n),
                                      json_integer((json_int_t)count));
        }
    }
    return held;
}

static const struct roster_device *
own_author(const struct call *call)
{
    return roster_author(call->roster, &replica_identity(call->replica)->device_id);
}

bool
own_is_revoked(const struct call *call)
{
    const struct roster_device *author = own_author(call);

    return author != NULL && author->revoked;
}

/* "revoked by its office: stolen"; null while our certificate counts, or where nothing is known of it. */
static json_t *
own_revoked_json(const struct call *call)
{
    return own_is_revoked(call) ? json_string(device_revoked_words(call->roster, own_author(call)).text)
                                : json_null();
}

/* Peers that said they have less of a log of their own than is here. */
static json_t *
set_back_json(const struct call *call)
{
    size_t count = 0;
    const struct gossip_peer_status *all = gossip_status(call_options(call)->gossip, &count);
    json_t *list = json_array();

    for (size_t n = 0; n < count; n++) {
        if (all[n].set_back > 0) {
            (void)json_array_append_new(list, device_json(call->roster, &all[n].device_id));
        }
    }
    return list;
}

static json_t *
setbacks_json(const struct call *call)
{
    struct replica_setbacks setbacks = replica_setbacks(call->replica);

    return json_pack("{s:I,s:I,s:o}", "incarnations", (json_int_t)setbacks.incarnations, "lost_tails",
                     (json_int_t)setbacks.lost_tails, "peers", set_back_json(call));
}

static const char *
name_of(const json_t *device)
{
    const char *name = json_string_value(json_object_get(device, "name"));

    return name == NULL || name[0] == '\0' ? "a device" : name;
}

static void
warn_of_forks(const json_t *forks, json_t *warnings)
{
    size_t index;
    json_t *fork;

    json_array_foreach((json_t *)forks, index, fork)
    {
        const char *name = name_of(json_object_get(fork, "device"));
        const char *place = json_string_value(json_object_get(fork, "compartment"));
        long long seq = json_integer_value(json_object_get(fork, "seq"));

        if (json_is_true(json_object_get(fork, "revoked"))) {
            continue;
        }
        if (json_is_true(json_object_get(fork, "own"))) {
            warn(
                warnings,
                "a log of this device in %.60s has two entries with number %lld: a copy of this node ran, or "
                "its key is in other hands. Stop the copy, and tell headquarters",
                place, seq);
        } else {
            warn(warnings,
                 "%.60s signed two entries with number %lld in %.60s: its key is in two hands, or an old "
                 "copy of "
                 "it ran. Ask its operator, or have it revoked: vigil digest --frontier",
                 name, seq, place);
        }
    }
}

static void
warn_of_setbacks(const json_t *setbacks, json_t *warnings)
{
    long long incarnations = json_integer_value(json_object_get(setbacks, "incarnations"));
    long long tails = json_integer_value(json_object_get(setbacks, "lost_tails"));
    size_t index;
    json_t *peer;

    if (tails > 0) {
        warn(
            warnings,
            "this node had lost entries that it had signed, and peers gave them back: was a backup restored, "
            "or its folder copied? If not, have the disk examined");
    } else if (incarnations > 0) {
        warn(warnings,
             "this node was set back to an older state, and writes on in new logs: if nobody restored a "
             "backup, have the disk examined");
    }
    json_array_foreach(json_object_get(setbacks, "peers"), index, peer)
    {
        warn(
            warnings,
            "%.60s has less of its own log than is here: it was set back to an older state. Ask its operator "
            "whether a backup was restored",
            name_of(peer));
    }
}

static void
warn_of_held(const struct call *call, uint64_t own_held, json_t *warnings)
{
    uint64_t limits = replica_counts(call->replica)->later[LATER_LIMIT];

    if (own_is_revoked(call)) {
        warn(warnings,
             "this device was %s. Nothing that it writes now counts, and no other lets it in: have the "
             "machine "
             "enrolled again, with new keys",
             device_revoked_words(call->roster, own_author(call)).text);
    }
    if (own_held > 0) {
        warn(warnings,
             "%llu %s of this device held and %s not count: vigil held list --own says why; headquarters can "
             "admit %s after review",
             (unsigned long long)own_held, own_held == 1 ? "entry is" : "entries are",
             own_held == 1 ? "does" : "do", own_held == 1 ? "it" : "them");
    }
    if (limits > 0) {
        warn(warnings,
             "a limit was reached, and entries were put off %llu times: too much is kept here that does not "
             "count or cannot be opened. vigil held list shows whose it is",
             (unsigned long long)limits);
    }
}

json_t *
alarms_json(struct call *call, json_t *warnings)
{
    uint64_t own_held =
        held_count(replica_journal(call->replica), &replica_identity(call->replica)->device_id);
    json_t *forks = forks_json(call, NULL);
    json_t *setbacks = setbacks_json(call);

    warn_of_held(call, own_held, warnings);
    warn_of_forks(forks, warnings);
    warn_of_setbacks(setbacks, warnings);
    return json_pack("{s:o,s:I,s:o,s:o,s:o,s:I}", "held", held_counts_json(call), "own_held",
                     (json_int_t)own_held, "revoked", own_revoked_json(call), "forks", forks, "setbacks",
                     setbacks, "old_epoch", (json_int_t)replica_counts(call->replica)->old_epoch);
}
