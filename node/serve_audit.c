/* serve_audit.c - what was read, searched, exported or overridden here, and by whom, and what the node refused or noticed by itself: one
 * record a device and month in the audit compartment of its office, one element an event.
 *
 *     call --> call_audit, call_reads --> [ the turn of the call, or one before its answer ] --> audit_write
 *     log_event --> security.h -------> [ a turn ] --> audit_write_security --------------------> audit_write
 *
 * Who and when are in the entry that brings an event; the chain of a log and its signature are what nobody can take one out of.
 */
#include "node/call.h"

#include "store/base/cbor.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "sync/update.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENT_OPS = 8,
    LIST_LIMIT_MAX = 500,
    LIST_LIMIT_DEFAULT = 100,
    LOOKED_MAX = 4096, /* entries that one call looks at */
};

/* --- what a call has to say --- */

/* A text that may have been cut within a character. */
static void
copy_text(char *out, size_t room, const char *text)
{
    (void)snprintf(out, room, "%s", text);
    size_t size = strlen(out);
    while (size > 0 && !utf8_valid(span_of(out, size))) {
        size--;
        out[size] = '\0';
    }
}

bool
call_audit(struct call *call, const struct audit_event *event)
{
    if (call->event_count == CALL_EVENTS_MAX) {
        call_fail(call, ERR_FULL, "ask for less at once",
                  "more is to be noted in the audit log than one request may be about");
        return false;
    }
    struct kept_event *kept = &call->events[call->event_count++];
    *kept = (struct kept_event){ .what = event->what, .count = event->count };
    kept->has_record = event->record != NULL;
    if (kept->has_record) {
        kept->record = *event->record;
    }
    copy_text(kept->fields, sizeof kept->fields, event->fields);
    copy_text(kept->filter, sizeof kept->filter, event->filter);
    copy_text(kept->reason, sizeof kept->reason, event->reason);
    return true;
}

/* True if the list "a, b, c" has the name. */
static bool
has_name(const char *list, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = list; (at = strstr(at, name)) != NULL; at += size) {
        if ((at == list || at[-1] == ' ') && (at[size] == '\0' || at[size] == ',')) {
            return true;
        }
    }
    return false;
}

void
call_reads(struct call *call, const struct codebook_field *field, struct span value)
{
    size_t size = strlen(call->read_fields);

    if (field == NULL || field->sensitivity != LEVEL_L3 || value.data == NULL || value_is_null(value)) {
        return;
    }
    if (!has_name(call->read_fields, field->name) &&
        size + strlen(field->name) + 3 < sizeof call->read_fields) {
        (void)snprintf(call->read_fields + size, sizeof call->read_fields - size, "%s%s",
                       size == 0 ? "" : ", ", field->name);
    }
}

static void
add_words(char words[AUDIT_TEXT_BYTES], const char *name, const json_t *value)
{
    size_t size = strlen(words);

    if (json_is_string(value)) {
        (void)snprintf(words + size, AUDIT_TEXT_BYTES - size, "%s%s=%s", size == 0 ? "" : " ", name,
                       json_string_value(value));
    } else if (json_is_boolean(value) || json_is_integer(value)) {
        (void)snprintf(words + size, AUDIT_TEXT_BYTES - size, "%s%s=%" JSON_INTEGER_FORMAT,
                       size == 0 ? "" : " ", name,
                       json_is_integer(value) ? json_integer_value(value) : (json_int_t)json_is_true(value));
    }
}

void
call_filter_words(const struct call *call, char words[AUDIT_TEXT_BYTES])
{
    static const char *const lists[] = { "where", "month" };
    const char *key;
    json_t *value;

    words[0] = '\0';
    add_words(words, "kind", json_object_get(call->body, "kind"));
    add_words(words, "office", json_object_get(call->body, "office"));
    for (size_t n = 0; n < sizeof lists / sizeof lists[0]; n++) {
        json_object_foreach(json_object_get(call->body, lists[n]), key, value)
        {
            add_words(words, key, value);
        }
    }
}

/* --- writing them --- */

/* The record that the events of this month go into. */
static const struct codebook_kind *
log_kind(const struct call *call)
{
    return codebook_kind_by_name(call->codebook, "audit_log");
}

static bool
put_text(struct save *save, struct save_op *ops, struct buf *value, const struct target *target,
         const char *text)
{
    if (text[0] == '\0') {
        return true;
    }
    cbor_put_text(value, span_text(text));
    ops[save->op_count++] = (struct save_op){ .code = OP_SET, .target = *target, .value = buf_span(value) };
    return !value->failed;
}

/* The device as a field names it: no actor of it. */
static void
device_value(const struct call *call, uint8_t value_out[12])
{
    memset(value_out, 0, 12);
    memcpy(value_out, replica_identity(call->replica)->device_id.bytes, 8);
}

static bool
is_of_this_device(const struct call *call, const struct record_summary *summary)
{
    uint8_t own[12];
    struct buf cbor = { 0 };
    bool found = false;

    device_value(call, own);
    cbor_put_bytes(&cbor, span_of(own, sizeof own));
    for (size_t n = 0; n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];

        found = found || (item->field != NULL && strcmp(item->field->name, "device") == 0 &&
                          item->shown_count > 0 && span_equal(item->shown[0], buf_span(&cbor)));
    }
    buf_free(&cbor);
    return found;
}

/* Look among the logs of the month for the one of this device. ERR_ABSENT: there is none yet. */
static enum err
find_log(struct call *call, const struct ident *compartment, const char *month, struct ident *record_out)
{
    const struct codebook_field *field =
        codebook_field_by_name(call->codebook, log_kind(call)->number, "month");
    struct buf tokens[2] = { { 0 } };
    struct record_summary summary;
    struct index_walk walk;
    struct arena arena = { 0 };
    uint32_t record_no;
    enum err err = ERR_ABSENT;

    cbor_put_bytes(&tokens[0], ident_span(compartment));
    cbor_put_text(&tokens[1], span_text(month));
    const struct index_term terms[] = { { INDEX_COMPARTMENT, buf_span(&tokens[0]) },
                                        { field->number, buf_span(&tokens[1]) } };
    index_walk_init(&walk, call->txn, terms, 2, UINT32_MAX);
    while (err == ERR_ABSENT && index_walk_next(&walk, &record_no)) {
        if (record_summary_read(call->txn, call->codebook, record_no, &arena, &summary) == ERR_OK &&
            is_of_this_device(call, &summary)) {
            *record_out = summary.record_id;
            err = ERR_OK;
        }
    }
    index_walk_end(&walk);
    arena_free(&arena);
    buf_free(&tokens[0]);
    buf_free(&tokens[1]);
    return err;
}

static enum err
make_log(struct call *call, const struct ident *compartment, const char *month, struct ident *record_out)
{
    uint32_t kind = log_kind(call)->number;
    struct buf values[3] = { { 0 } };
    uint8_t own[12];
    struct saved saved;
    size_t op;

    device_value(call, own);
    cbor_put_uint(&values[0], kind);
    cbor_put_text(&values[1], span_text(month));
    cbor_put_bytes(&values[2], span_of(own, sizeof own));
    const struct save_op ops[] = {
        { .code = OP_SET, .target = { .field = FIELD_KIND }, .value = buf_span(&values[0]) },
        { .code = OP_SET,
          .target = { .field = codebook_field_by_name(call->codebook, kind, "month")->number },
          .value = buf_span(&values[1]) },
        { .code = OP_SET,
          .target = { .field = codebook_field_by_name(call->codebook, kind, "device")->number },
          .value = buf_span(&values[2]) },
    };
    const struct save save = {
        .compartment = *compartment, .create = true, .although_full = true, .ops = ops, .op_count = 3
    };
    enum err err = values[0].failed || values[1].failed || values[2].failed
                       ? ERR_MEMORY
                       : replica_save(call->replica, &save, &saved, &op);
    if (err == ERR_OK) {
        *record_out = saved.record_id;
    }
    for (int n = 0; n < 3; n++) {
        buf_free(&values[n]);
    }
    return err;
}

/* The log of this device and month, made if there is none. */
static enum err
log_of_month(struct call *call, const struct ident *compartment, struct ident *record_out)
{
    struct audit_place *place = call_audit_place(call);
    char month[sizeof place->month];
    struct time_text now = time_print(world_wall_ms(call_options(call)->world));

    (void)snprintf(month, sizeof month, "%.7s", now.text);
    if (strcmp(place->month, month) == 0 && ident_equal(&place->compartment, compartment)) {
        *record_out = place->record;
        return ERR_OK;
    }
    enum err err = find_log(call, compartment, month, record_out);
    if (err == ERR_ABSENT) {
        err = make_log(call, compartment, month, record_out);
    }
    if (err == ERR_OK) {
        *place = (struct audit_place){ .compartment = *compartment, .record = *record_out };
        (void)snprintf(place->month, sizeof place->month, "%s", month);
    }
    return err;
}

/* One event: an element of the log. */
static enum err
write_event(struct call *call, const struct ident *compartment, const struct ident *record,
            const struct kept_event *event)
{
    const struct codebook_collection *collection =
        codebook_collection_by_name(call->codebook, log_kind(call)->number, "event");
    static const char *const names[] = { "event.operation", "event.record", "event.fields",
                                         "event.filter",    "event.reason", "event.count" };
    struct buf values[6] = { { 0 } };
    struct save_op ops[EVENT_OPS];
    struct target target = { .collection = collection->number };
    struct save save = { .compartment = *compartment,
                         .record_id = *record,
                         .although_full = true,
                         .actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0),
                         .ops = ops };
    struct saved saved;
    bool good = true;
    size_t op;

    world_random(call_options(call)->world, target.element, sizeof target.element);
    ops[save.op_count++] = (struct save_op){ .code = OP_ADD, .target = target };
    for (size_t n = 0; n < 6; n++) {
        target.field = codebook_field_by_name(call->codebook, log_kind(call)->number, names[n])->number;
        switch (n) {
        case 0:
            cbor_put_uint(&values[n], event->what);
            break;
        case 1:
            if (event->has_record) {
                cbor_put_bytes(&values[n], ident_span(&event->record));
            }
            break;
        case 5:
            if (event->count > 0) {
                cbor_put_uint(&values[n], event->count);
            }
            break;
        default:
            good = good && put_text(&save, ops, &values[n], &target,
                                    n == 2   ? event->fields
                                    : n == 3 ? event->filter
                                             : event->reason);
            continue;
        }
        if (values[n].size > 0) {
            ops[save.op_count++] =
                (struct save_op){ .code = OP_SET, .target = target, .value = buf_span(&values[n]) };
        }
        good = good && !values[n].failed;
    }
    enum err err = good ? replica_save(call->replica, &save, &saved, &op) : ERR_MEMORY;
    for (size_t n = 0; n < 6; n++) {
        buf_free(&values[n]);
    }
    return err;
}

/* Gather what was read into one event, when the call is over. */
void
audit_gather(struct call *call)
{
    if (call->read_fields[0] != '\0') {
        (void)call_audit(call, &(struct audit_event){ .what = AUDIT_READ,
                                                      .record = call->one_record ? &call->record : NULL,
                                                      .fields = call->read_fields,
                                                      .filter = "",
                                                      .reason = "",
                                                      .count = call->one_record ? 1 : 0 });
        call->read_fields[0] = '\0';
    }
}

bool
audit_write(struct call *call)
{
    if (call->event_count == 0) {
        return true;
    }
    if (call->own == NULL) {
        /* Nothing that it writes counts any more; people may need whom to call all the same. */
        log_event("audit-impossible", "events=%zu", call->event_count);
        call->event_count = 0;
        return true;
    }
    const struct ident *compartment = &call->own->office->own[OWN_AUDIT];
    struct ident record;
    enum err err = log_kind(call) == NULL ? ERR_INVALID : log_of_month(call, compartment, &record);
    for (size_t n = 0; n < call->event_count && err == ERR_OK; n++) {
        err = write_event(call, compartment, &record, &call->events[n]);
    }
    call->event_count = 0;
    if (err != ERR_OK) {
        call_fail(
            call, err,
            err == ERR_DENIED ? "have this device certified with a right to write in the audit of its office"
            : err == ERR_FULL ? "make room on the disk, then try again"
                              : "try again",
            "what is strictly confidential is shown only once that is noted in the audit log, and it could "
            "not be: %s",
            err_text(err));
    }
    return !call->failed;
}

/* --- what the node refused or noticed --- */

/* "door-refused device=3f09a1c2 from=2026-11-29T02:10:03Z to=2026-11-29T03:02:41Z": no time where that of the entry says it. */
static void
note_words(const struct security_note *note, char words[AUDIT_TEXT_BYTES])
{
    (void)snprintf(words, AUDIT_TEXT_BYTES, "%s", note->event->event);
    if (note->device[0] != '\0') {
        size_t size = strlen(words);

        (void)snprintf(words + size, AUDIT_TEXT_BYTES - size, " device=%s", note->device);
    }
    if (note->actor != 0) {
        size_t size = strlen(words);

        (void)snprintf(words + size, AUDIT_TEXT_BYTES - size, " actor=%" PRIu32, note->actor);
    }
    if (note->again) {
        size_t size = strlen(words);

        (void)snprintf(words + size, AUDIT_TEXT_BYTES - size, " from=%s to=%s",
                       time_print(note->first_ms).text, time_print(note->last_ms).text);
    }
}

bool
audit_write_security(struct call *call, struct security *security, bool all)
{
    const struct security_note *note;
    char words[AUDIT_TEXT_BYTES];
    size_t place = 0;

    if (call->own == NULL || log_kind(call) == NULL ||
        !policy_may(call->roster, call->own, OPERATION_WRITE_DATA, &call->own->office->own[OWN_AUDIT])) {
        security_postpone(security, SECURITY_RIGHT_MS);
        return true;
    }
    while (!call->failed && (note = security_take(security, all, &place)) != NULL) {
        note_words(note, words);
        (void)call_audit(call, &(struct audit_event){ .what = AUDIT_SECURITY,
                                                      .fields = "",
                                                      .filter = words,
                                                      .reason = note->reason,
                                                      .count = note->count });
        if (call->event_count == CALL_EVENTS_MAX) {
            (void)audit_write(call);
        }
    }
    if (!call->failed && audit_write(call)) {
        security_remember(security, call->txn);
    }
    if (call->failed) {
        security_turn_ended(security, false);
    }
    return !call->failed;
}

/* --- audit.list --- */

/* What somebody asks for. */
struct wanted {
    uint32_t what;                      /* 0: anything */
    const struct security_event *event; /* of what the node noticed only this; NULL: all */
    const struct roster_device *device;
    bool has_record;
    struct ident record;
    uint64_t since_ms;
    uint64_t until_ms; /* below it */
};

/* An event that is on its way out, or the place where the page before ended. */
struct moment {
    uint64_t hlc;
    uint32_t log_no;
    uint64_t seq;
};

/* The entries of one log in one record of the audit: from the latest to the first. */
struct stretch {
    const struct record_place *places; /* ascending */
    size_t left;
    bool open; /* its next entry is: */
    struct signed_change entry;
    struct arena arena;
};

struct listing {
    struct call *call;
    struct wanted wanted;
    struct stretch *stretches;
    size_t count;
    size_t room;
    int64_t looked;
    json_t *rows;
};

static int
moment_compare(const struct moment *a, const struct moment *b)
{
    if (a->hlc != b->hlc) {
        return a->hlc < b->hlc ? -1 : 1;
    }
    if (a->log_no != b->log_no) {
        return a->log_no < b->log_no ? -1 : 1;
    }
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static struct moment
moment_of(const struct stretch *stretch)
{
    const struct record_place *place = &stretch->places[stretch->left - 1];

    return (struct moment){ stretch->entry.change.hlc, place->log_no, place->seq };
}

/* Open the latest entry that is left and counts. False: none is, or the call failed. */
static bool
stretch_open(struct listing *listing, struct stretch *stretch)
{
    const struct record_source *source = replica_source(listing->call->replica);

    while (!stretch->open && stretch->left > 0 && !listing->call->failed) {
        const struct record_place *place = &stretch->places[stretch->left - 1];

        arena_reset(&stretch->arena);
        enum err err =
            source->open(source->self, place->log_no, place->seq, &stretch->arena, &stretch->entry);
        listing->looked++;
        stretch->open = err == ERR_OK;
        if (err == ERR_ABSENT || err == ERR_CORRUPT) {
            stretch->left--; /* held, or damaged: audit.verify tells of it */
        } else if (err != ERR_OK) {
            call_fail(listing->call, err, "", "%s", err_text(err));
        }
    }
    return stretch->open;
}

/* Pass over what is as late as `before` or later. An author's stamps rise along its log. */
static void
stretch_skip(struct listing *listing, struct stretch *stretch, const struct moment *before)
{
    size_t low = 0;
    size_t all = stretch->left;

    while (low < all && !listing->call->failed) {
        size_t middle = low + (all - low) / 2;

        stretch->left = middle + 1;
        stretch->open = false;
        bool opened = stretch_open(listing, stretch);
        struct moment at = { 0 };
        if (opened) {
            at = moment_of(stretch);
        }
        if (opened && moment_compare(&at, before) >= 0) {
            all = stretch->left - 1;
        } else {
            low = middle + 1;
        }
    }
    stretch->left = low;
    stretch->open = false;
}

static bool
add_stretch(struct listing *listing, const struct record_place *places, size_t count,
            const struct moment *before)
{
    if (listing->count == listing->room) {
        size_t room = listing->room == 0 ? 16 : 2 * listing->room;
        struct stretch *grown = realloc(listing->stretches, room * sizeof *grown);

        if (grown == NULL) {
            call_fail(listing->call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
            return false;
        }
        listing->stretches = grown;
        listing->room = room;
    }
    struct stretch *stretch = &listing->stretches[listing->count++];
    *stretch = (struct stretch){ .places = places, .left = count };
    if (before->hlc != UINT64_MAX) {
        stretch_skip(listing, stretch, before);
    }
    return !listing->call->failed;
}

/* The entries of one audit record, each log on its own. */
static void
add_record(struct listing *listing, uint32_t record_no, const struct moment *before)
{
    struct call *call = listing->call;
    const struct record_place *places = NULL;
    size_t count = 0;
    size_t first = 0;

    enum err err = record_history(call->txn, record_no, &call->arena, &places, &count);
    if (err != ERR_OK && err != ERR_ABSENT) {
        call_fail(call, err, "", "%s", err_text(err));
        return;
    }
    for (size_t n = 1; n <= count && !call->failed; n++) {
        if (n == count || places[n].log_no != places[first].log_no) {
            (void)add_stretch(listing, places + first, n - first, before);
            first = n;
        }
    }
}

/* May what is in this month be wanted? */
static bool
month_is_wanted(const struct listing *listing, const struct record_summary *summary)
{
    struct cbor_reader in;

    for (size_t n = 0; n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];

        if (item->field == NULL || strcmp(item->field->name, "month") != 0 || item->shown_count == 0) {
            continue;
        }
        in = cbor_reader_of(item->shown[0]);
        struct span month = cbor_read_text(&in);
        struct time_text since = time_print(listing->wanted.since_ms);
        return month.size != 7 || memcmp(month.data, since.text, 7) >= 0;
    }
    return true;
}

static void
gather(struct listing *listing, const struct moment *before)
{
    struct call *call = listing->call;
    struct arena arena = { 0 };

    for (size_t n = 0; n < roster_compartment_count(call->roster) && !call->failed; n++) {
        const struct roster_compartment *compartment = roster_compartment_at(call->roster, n);
        struct record_summary summary;
        struct index_walk walk;
        struct buf token = { 0 };
        uint32_t record_no;

        if (compartment->role != COMPARTMENT_AUDIT ||
            !policy_may(call->roster, call->own, OPERATION_READ, &compartment->id)) {
            continue;
        }
        cbor_put_bytes(&token, ident_span(&compartment->id));
        const struct index_term term = { INDEX_COMPARTMENT, buf_span(&token) };
        index_walk_init(&walk, call->txn, &term, 1, UINT32_MAX);
        while (!call->failed && index_walk_next(&walk, &record_no)) {
            if (record_summary_read(call->txn, call->codebook, record_no, &arena, &summary) == ERR_OK &&
                month_is_wanted(listing, &summary)) {
                add_record(listing, record_no, before);
            }
            arena_reset(&arena);
        }
        index_walk_end(&walk);
        buf_free(&token);
    }
    arena_free(&arena);
}

static struct stretch *
latest(struct listing *listing)
{
    struct stretch *found = NULL;

    for (size_t n = 0; n < listing->count; n++) {
        struct stretch *stretch = &listing->stretches[n];

        if (!stretch_open(listing, stretch)) {
            continue;
        }
        struct moment at = moment_of(stretch);
        struct moment best = found == NULL ? at : moment_of(found);
        if (found == NULL || moment_compare(&at, &best) > 0) {
            found = stretch;
        }
    }
    return found;
}

static const struct op *
op_of(const struct signed_change *entry, const struct op *added, const struct codebook *codebook,
      const char *name)
{
    for (size_t n = 0; n < entry->change.op_count; n++) {
        const struct op *op = &entry->change.ops[n];
        const struct codebook_field *field = cell_field(codebook, &op->target);

        if (op->code == OP_SET && field != NULL && strcmp(field->name, name) == 0 &&
            memcmp(op->target.element, added->target.element, ELEMENT_ID_BYTES) == 0) {
            return op;
        }
    }
    return NULL;
}

static json_t *
value_of(struct call *call, const struct signed_change *entry, const struct op *added, const char *name,
         bool label)
{
    const struct op *op = op_of(entry, added, call->codebook, name);

    if (op == NULL) {
        return json_null();
    }
    const struct codebook_field *field = cell_field(call->codebook, &op->target);
    return label ? value_label(call->codebook, field, op->value)
                 : value_json(call->codebook, field, op->value);
}

/* The number of the record that an event is about; "" where nothing is called so here any more. */
static json_t *
number_of(struct call *call, const json_t *id)
{
    const struct names_source source = { call->txn, call->codebook, call->roster };
    struct named named;

    bool known =
        json_is_string(id) && names_find(call_names(call), &source, json_string_value(id), &named) == ERR_OK;
    return known ? json_string(named.number) : json_string("");
}

/* The words under "filter" of what the node refused or noticed by itself, ended with a 0; "" of any other event. */
static void
noticed_words(struct call *call, const struct signed_change *entry, const struct op *added,
              char words[AUDIT_TEXT_BYTES])
{
    const struct op *operation = op_of(entry, added, call->codebook, "event.operation");
    const struct op *filter = op_of(entry, added, call->codebook, "event.filter");

    words[0] = '\0';
    if (operation == NULL || filter == NULL) {
        return;
    }
    struct cbor_reader in = cbor_reader_of(operation->value);
    uint64_t what = cbor_read_uint(&in);
    in = cbor_reader_of(filter->value);
    struct span text = cbor_read_text(&in);
    if (what == AUDIT_SECURITY && text.size < AUDIT_TEXT_BYTES) {
        (void)snprintf(words, AUDIT_TEXT_BYTES, "%.*s", (int)text.size, (const char *)text.data);
    }
}

/* Which event that was. NULL: none, or one of a newer program. */
static const struct security_event *
noticed(struct call *call, const struct signed_change *entry, const struct op *added)
{
    char words[AUDIT_TEXT_BYTES];

    noticed_words(call, entry, added, words);
    return security_event_of(words);
}

/* The one device of the roster whose id begins so. NULL: there is none, or more than one. */
static const struct roster_device *
device_that_begins(const struct roster *roster, const char *text)
{
    const struct roster_device *found = NULL;
    size_t count = 0;

    for (size_t n = 0; n < roster_author_count(roster); n++) {
        const struct roster_device *device = roster_author_at(roster, n);
        struct short_id id = hash_short(&device->device_id);

        if (strncmp(text, id.text, strlen(id.text)) == 0) {
            found = device;
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

/* What the node noticed, of whom, and what that means: {"event","means","device"}; null for what somebody did. */
static json_t *
noticed_json(struct call *call, const struct signed_change *entry, const struct op *added)
{
    char words[AUDIT_TEXT_BYTES];

    noticed_words(call, entry, added, words);
    if (words[0] == '\0') {
        return json_null();
    }
    const struct security_event *event = security_event_of(words);
    const char *of = strstr(words, " device=");
    const struct roster_device *device =
        of == NULL ? NULL : device_that_begins(call->roster, of + strlen(" device="));
    return json_pack("{s:s%,s:s,s:o}", "event", words, strcspn(words, " "), "means",
                     event == NULL ? "what a newer version knows" : event->meaning, "device",
                     device == NULL ? json_null() : device_json(call->roster, &device->device_id));
}

static bool
is_wanted(const struct listing *listing, const struct signed_change *entry, const struct op *added)
{
    const struct wanted *wanted = &listing->wanted;
    const struct codebook *codebook = listing->call->codebook;
    struct buf cbor = { 0 };

    if (wanted->what != 0) {
        const struct op *op = op_of(entry, added, codebook, "event.operation");

        cbor_put_uint(&cbor, wanted->what);
        bool same = op != NULL && span_equal(op->value, buf_span(&cbor));
        buf_free(&cbor);
        if (!same) {
            return false;
        }
    }
    if (wanted->event != NULL && noticed(listing->call, entry, added) != wanted->event) {
        return false;
    }
    if (wanted->has_record) {
        const struct op *op = op_of(entry, added, codebook, "event.record");

        cbor_put_bytes(&cbor, ident_span(&wanted->record));
        bool same = op != NULL && span_equal(op->value, buf_span(&cbor));
        buf_free(&cbor);
        if (!same) {
            return false;
        }
    }
    return wanted->device == NULL || hash_equal(&wanted->device->device_id, &entry->device_id);
}

/* The events that an entry brought. */
static void
list_entry(struct listing *listing, const struct signed_change *entry)
{
    struct call *call = listing->call;
    uint64_t wall_ms = entry->change.hlc >> 16;

    if (wall_ms < listing->wanted.since_ms || wall_ms >= listing->wanted.until_ms) {
        return;
    }
    for (size_t n = 0; n < entry->change.op_count; n++) {
        const struct op *added = &entry->change.ops[n];
        const struct codebook_collection *collection =
            codebook_collection(call->codebook, added->target.collection);

        if (added->code != OP_ADD || collection == NULL || strcmp(collection->name, "event") != 0 ||
            !is_wanted(listing, entry, added)) {
            continue;
        }
        json_t *record = value_of(call, entry, added, "event.record", false);
        json_t *number = number_of(call, record);
        (void)json_array_append_new(
            listing->rows,
            json_pack("{s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "at",
                      hlc_json(entry->change.hlc), "suspect_time", stamp_is_suspect(call, entry->change.hlc),
                      "device", device_json(call->roster, &entry->device_id), "actor",
                      actor_json(call->roster, &entry->device_id, entry->change.actor), "what",
                      value_of(call, entry, added, "event.operation", false), "label",
                      value_of(call, entry, added, "event.operation", true), "record", record, "number",
                      number, "fields", value_of(call, entry, added, "event.fields", false), "filter",
                      value_of(call, entry, added, "event.filter", false), "reason",
                      value_of(call, entry, added, "event.reason", false), "count",
                      value_of(call, entry, added, "event.count", false), "noticed",
                      noticed_json(call, entry, added)));
    }
}

/* "1790000000000000:7:120": where the page before ended. False: the call failed. */
static bool
read_moment(struct call *call, struct moment *before)
{
    const char *text = call_text(call, "after");

    *before = (struct moment){ .hlc = UINT64_MAX };
    if (text != NULL &&
        sscanf(text, "%" SCNu64 ":%" SCNu32 ":%" SCNu64, &before->hlc, &before->log_no, &before->seq) != 3) {
        call_usage(call, "\"after\" is not a \"next\" of audit.list");
    }
    return !call->failed;
}

static bool
read_time(struct call *call, const char *name, uint64_t missing, uint64_t *wall_ms_out)
{
    const char *text = call_text(call, name);

    *wall_ms_out = missing;
    if (text != NULL && !time_parse(text, wall_ms_out)) {
        call_fail(call, ERR_INVALID, "a time is given as 2026-03-01 or 2026-03-01T17:30Z",
                  "\"%s\" is not a time", name);
    }
    return !call->failed;
}

static bool
read_wanted(struct call *call, struct wanted *wanted)
{
    const char *what = call_text(call, "what");
    const char *device = call_text(call, "device");

    *wanted = (struct wanted){ .what = 0 };
    if (what != NULL) {
        const struct codebook_field *field =
            codebook_field_by_name(call->codebook, log_kind(call)->number, "event.operation");
        const struct codebook_value *value =
            codebook_value_by_name(codebook_vocabulary(call->codebook, field->vocabulary), what);
        wanted->event = value == NULL ? security_event_of(what) : NULL;
        if (value == NULL && wanted->event == NULL) {
            call_fail(call, ERR_INVALID,
                      "vigil codebook show lists them under audit_operation, man vigil what the node "
                      "notices",
                      "nothing that is noted is called %.40s", what);
            return false;
        }
        wanted->what = value == NULL ? AUDIT_SECURITY : value->number;
    }
    if (device != NULL) {
        wanted->device = call_author(call, device);
    }
    if (json_object_get(call->body, "record") != NULL) {
        struct named named;

        wanted->has_record = call_record(call, &named);
        wanted->record = named.record_id;
    }
    return !call->failed && read_time(call, "since", 0, &wanted->since_ms) &&
           read_time(call, "until", UINT64_MAX, &wanted->until_ms);
}

static bool
has_log_kind(struct call *call)
{
    if (log_kind(call) == NULL) {
        call_fail(call, ERR_ABSENT, "headquarters can put a newer codebook in force",
                  "the codebook in force has no audit log");
    }
    return !call->failed;
}

void
call_audit_list(struct call *call)
{
    struct listing listing = { .call = call };
    struct moment before;
    struct moment last = { 0 };
    int64_t limit = call_number(call, "limit", 1, LIST_LIMIT_MAX, LIST_LIMIT_DEFAULT);
    bool more = false;

    if (!has_log_kind(call) || !read_moment(call, &before) || !read_wanted(call, &listing.wanted)) {
        return;
    }
    listing.rows = json_array();
    gather(&listing, &before);
    listing.looked = 0;
    for (struct stretch *next = latest(&listing); next != NULL && !call->failed; next = latest(&listing)) {
        if (json_array_size(listing.rows) >= (size_t)limit || listing.looked >= LOOKED_MAX) {
            more = true;
            break;
        }
        last = moment_of(next);
        if (last.hlc >> 16 < listing.wanted.since_ms) {
            break;
        }
        list_entry(&listing, &next->entry);
        next->open = false;
        next->left--;
    }
    for (size_t n = 0; n < listing.count; n++) {
        arena_free(&listing.stretches[n].arena);
    }
    free(listing.stretches);
    char cursor[80];
    (void)snprintf(cursor, sizeof cursor, "%" PRIu64 ":%" PRIu32 ":%" PRIu64, last.hlc, last.log_no,
                   last.seq);
    call_ok(call,
            json_pack("{s:o,s:o}", "events", listing.rows, "next", more ? json_string(cursor) : json_null()));
}

/* --- audit.verify --- */

enum { VERIFY_ENTRIES_MAX = 16384 };

/* One way through a log of the audit, from its first entry to a tip. */
struct way {
    const struct roster_compartment *compartment;
    struct tip tip;
    bool forked;
};

/* The nth way of all audit compartments that this node holds. False: there are no more. */
static bool
way_at(struct call *call, uint64_t place, struct way *out)
{
    const struct gossip_store *store = replica_gossip_store(call->replica);

    for (size_t n = 0; n < roster_compartment_count(call->roster); n++) {
        const struct roster_compartment *compartment = roster_compartment_at(call->roster, n);

        if (compartment->role != COMPARTMENT_AUDIT ||
            !policy_may(call->roster, call->own, OPERATION_CARRY, &compartment->id)) {
            continue;
        }
        const struct frontier *frontier = store->frontier(store->self, &compartment->id);
        size_t count = frontier == NULL ? 0 : frontier->count;
        if (place < count) {
            *out = (struct way){ compartment, frontier->tips[place], frontier_forked(frontier, place) };
            return true;
        }
        place -= count;
    }
    return false;
}

/* Verify from `*next` on, at most to VERIFY_ENTRIES_MAX further: the chain, and each signature that was kept. The fault in words; NULL:
 * it is good as far as *next. */
static const char *
verify_way(struct call *call, const struct way *way, uint64_t *next)
{
    static struct chunk chunk;
    const struct gossip_store *store = replica_gossip_store(call->replica);
    struct journal *journal = replica_journal(call->replica);
    struct descriptor descriptor;
    struct journal_entry before;
    struct hash prev = { { 0 } };
    struct buf bytes = { 0 };
    const char *fault = NULL;
    uint64_t end = *next + VERIFY_ENTRIES_MAX;

    if (!store->descriptor(store->self, &way->tip.log_id, &descriptor)) {
        return "its log is not here";
    }
    if (*next > 0) {
        uint32_t log_no =
            journal_find(journal, call->txn, &way->tip.log_id, way->tip.seq, &way->tip.entry_id);

        if (log_no == LOG_NONE || journal_read(journal, call->txn, log_no, *next - 1, &before) != ERR_OK) {
            return "an entry does not verify";
        }
        prev = before.entry.id;
    }
    while (fault == NULL && *next <= way->tip.seq && *next < end) {
        buf_clear(&bytes);
        enum err err = store->read_chunk(store->self, &way->tip, *next, false, &bytes, next);
        if (err == ERR_ABSENT && way->forked) {
            /* The signature of this run was kept on the other branch. */
            *next = way->tip.seq + 1;
            break;
        }
        if (err != ERR_OK || chunk_read(buf_span(&bytes), descriptor.lane, &chunk) != CHUNK_OK ||
            memcmp(chunk.prev_short, prev.bytes, sizeof chunk.prev_short) != 0) {
            fault = "an entry does not verify";
            break;
        }
        chunk_identify(&chunk, &way->tip.log_id, &prev);
        if (chunk_verify(&chunk, descriptor.sign_pk) != CHUNK_OK) {
            fault = "a signature is not its author's";
        }
        prev = chunk.entries[chunk.entry_count - 1].id;
    }
    if (fault == NULL && *next > way->tip.seq && !hash_equal(&prev, &way->tip.entry_id) && !way->forked) {
        fault = "the chain does not end in its tip";
    }
    buf_free(&bytes);
    return fault;
}

/* Whose chain it is that does not hold: that is itself noted, in a chain that may. */
static void
tell_fault(const struct call *call, const struct way *way, const char *fault)
{
    const struct log_branch *branch = journal_log(replica_journal(call->replica), &way->tip.log_id);
    const struct hash nobody = { { 0 } };

    log_event("audit-damaged", "device=%s what=\"%s\"",
              hash_short(branch == NULL ? &nobody : &branch->device_id).text, fault);
}

static json_t *
way_json(struct call *call, const struct way *way, const char *fault, uint64_t verified)
{
    const struct log_branch *branch = journal_log(replica_journal(call->replica), &way->tip.log_id);
    uint64_t held = 0;
    struct hash device_id = { { 0 } };
    struct device_words revoked = { "" };

    if (branch != NULL) {
        held = branch->held_count;
        device_id = branch->device_id;
    }
    const struct roster_device *device = roster_author(call->roster, &device_id);
    if (device != NULL) {
        revoked = device_revoked_words(call->roster, device);
    }
    return json_pack("{s:o,s:s,s:o,s:I,s:I,s:s,s:s,s:I,s:s}", "device", device_json(call->roster, &device_id),
                     "compartment", way->compartment->name, "log", hex_json(hash_span(&way->tip.log_id)),
                     "entries", (json_int_t)(way->tip.seq + 1), "verified", (json_int_t)verified, "state",
                     fault != NULL ? "damaged"
                     : way->forked ? "forked"
                                   : "verified",
                     "fault", fault == NULL ? "" : fault, "held", (json_int_t)held, "revoked", revoked.text);
}

void
call_audit_verify(struct call *call)
{
    const char *after = call_text(call, "after");
    uint64_t place = 0;
    uint64_t next = 0;
    struct way way;

    if (after != NULL && sscanf(after, "%" SCNu64 ":%" SCNu64, &place, &next) != 2) {
        call_usage(call, "\"after\" is not a \"next\" of audit.verify");
    }
    if (call->failed) {
        return;
    }
    json_t *logs = json_array();
    json_t *cursor = json_null();
    if (way_at(call, place, &way)) {
        const char *fault = verify_way(call, &way, &next);
        char text[48];

        if (fault != NULL) {
            tell_fault(call, &way, fault);
        }
        if (fault != NULL || next > way.tip.seq) {
            (void)json_array_append_new(logs, way_json(call, &way, fault, next));
            place++;
            next = 0;
        }
        (void)snprintf(text, sizeof text, "%" PRIu64 ":%" PRIu64, place, next);
        json_decref(cursor);
        cursor = next > 0 || way_at(call, place, &way) ? json_string(text) : json_null();
    }
    call_ok(call, json_pack("{s:o,s:o}", "logs", logs, "next", cursor));
}
