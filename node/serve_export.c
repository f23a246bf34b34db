/* serve_export.c - record.export: whole records, page by page, for files that leave the node.
 *
 *     first page --> noted in the audit log: who, what, why
 *     ...            what may not go out is left out, and counted with its reason
 *     last page  --> noted: how many went out
 *     or: the client leaves, begins another, or the node is stopped --> noted: how many may have gone out by then
 *
 * The node itself remembers how far an export has come, so that nobody reads a page of one that was not noted, and the count is
 * not the caller's. A client has one export at a time; a new one ends the one before.
 */
#include "node/call.h"
#include "node/casework/consent.h"

#include "store/base/cbor.h"
#include "store/base/crypto.h"
#include "store/base/log.h"
#include "store/base/world.h"
#include "store/edtf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPORTS_MAX = 8,
    KINDS_MAX = 32,
    PAGE_RECORDS = 128,
    PAGE_LOOKED = 256,        /* records that are read for one page, though they are left out */
    PAGE_BYTES = 256 * 1024,  /* of records, before one is added: a line holds four times as much */
    WHOLE_BYTES = 640 * 1024, /* a record that is longer goes out in pieces */
    PIECE_BYTES = 256 * 1024, /* of its text, which may double where quotation marks are in it */
    PERSONS_MAX = 512,        /* that a record names */
    REASON_BYTES_MAX = 500,
    FILTER_BYTES = 600,
    EXPORT_RETRY_MS = 5000,
};

/* Why a record did not go out. */
enum left_out {
    LEFT_NOTHING = 0,
    LEFT_RESTRICTED,
    LEFT_UNREADABLE,
    LEFT_DAMAGED,
    LEFT_NO_CONSENT,
    LEFT_REFUSED,
    LEFT_WITHDRAWN,
    LEFT_EXPIRED,
    LEFT_UNKNOWN,
    LEFT_IDENTIFIABLE,
    LEFT_PERSON_ABSENT,
    LEFT_COUNT
};

static const char *const left_names[LEFT_COUNT] = {
    [LEFT_RESTRICTED] = "restricted",     [LEFT_UNREADABLE] = "not_readable",
    [LEFT_DAMAGED] = "damaged",           [LEFT_NO_CONSENT] = "no_consent",
    [LEFT_REFUSED] = "consent_refused",   [LEFT_WITHDRAWN] = "consent_withdrawn",
    [LEFT_EXPIRED] = "consent_expired",   [LEFT_UNKNOWN] = "consent_unknown",
    [LEFT_IDENTIFIABLE] = "identifiable", [LEFT_PERSON_ABSENT] = "person_not_here",
};

/* How far an export has come. */
struct place {
    size_t at;      /* of its kinds, or of its named records */
    uint32_t below; /* within a kind: the last record that was looked at */
    bool large;     /* the record of that name goes out next, in pieces */
    size_t piece;   /* bytes of it that are out */
    uint64_t sent;
    uint64_t left_out[LEFT_COUNT];
    bool ended;
};

static const uint64_t NOBODY = UINT64_MAX;

/* What the audit log says of it: what a turn writes is so once that is committed. */
struct told {
    bool written; /* in the turn that is open */
    bool durable;
};

struct exporting {
    struct exporting *next;
    uint64_t client_no; /* NOBODY: its client has begun another */
    struct told begun;
    struct told ended;
    json_t *body; /* the request that began it */
    enum sensitivity level;
    const char *purpose; /* lent by `body`; NULL: it stays where it is */
    uint32_t kinds[KINDS_MAX];
    size_t kind_count;
    struct named *records; /* of one record and those that it names; else NULL */
    size_t record_count;
    struct key alias;
    char filter[FILTER_BYTES];
    char fields[AUDIT_TEXT_BYTES]; /* L3 fields whose values went out */
    char *large;                   /* a record that does not fit into a line, as text */
    size_t large_bytes;
    uint64_t not_before_ms; /* that its end is noted */
    int64_t page;           /* the next one */
    struct place place;     /* where it begins */
    struct place before;    /* where the page before it began: that one can be asked for again */
};

/* A page while it is filled. */
struct page {
    struct call *call;
    struct exporting *exporting;
    json_t *records;
    size_t bytes;
    size_t looked;
};

/* --- the exports that are on their way --- */

static void
drop_large(struct exporting *exporting)
{
    if (exporting->large != NULL) {
        crypto_wipe(exporting->large, exporting->large_bytes);
        free(exporting->large);
    }
    exporting->large = NULL;
    exporting->large_bytes = 0;
}

static void
exporting_end(struct exporting *exporting)
{
    drop_large(exporting);
    json_decref(exporting->body);
    free(exporting->records);
    crypto_wipe(&exporting->alias, sizeof exporting->alias);
    free(exporting);
}

void
exporting_free(struct exporting **exports)
{
    while (*exports != NULL) {
        struct exporting *first = *exports;

        *exports = first->next;
        exporting_end(first);
    }
}

static bool
is_told(struct told told)
{
    return told.written || told.durable;
}

/* True if the audit log says that it began, and not how it ended. */
static bool
is_open(const struct exporting *exporting)
{
    return is_told(exporting->begun) && !is_told(exporting->ended);
}

static bool
is_orphan(const struct exporting *exporting, const struct api *api)
{
    return exporting->client_no == NOBODY || (api != NULL && !api_has_client(api, exporting->client_no));
}

/* End those of this client, and of clients that are gone: one that the audit log knows of stays until its end is in it, too. Gives how
 * many are left. */
static size_t
end_others(struct call *call)
{
    const struct api *api = call_options(call)->api;
    size_t count = 0;

    for (struct exporting **at = call_exports(call); *at != NULL;) {
        struct exporting *exporting = *at;
        bool own = exporting->client_no == call->client_no;

        if ((own || is_orphan(exporting, api)) && !is_open(exporting)) {
            *at = exporting->next;
            exporting_end(exporting);
            continue;
        }
        if (own) {
            exporting->client_no = NOBODY;
        }
        count++;
        at = &exporting->next;
    }
    return count;
}

/* --- what is asked for --- */

/* The level, L2 if nothing is said. */
static enum sensitivity
read_level(struct call *call)
{
    const char *text = call_text(call, "level");

    for (int n = LEVEL_L0; text != NULL && n <= LEVEL_L3; n++) {
        if (strcmp(text, value_level_name((enum sensitivity)n)) == 0) {
            return (enum sensitivity)n;
        }
    }
    if (text != NULL) {
        call_usage(call, "\"level\" is none of L0, L1, L2 and L3");
    }
    return LEVEL_L2;
}

/* A sentence that somebody can be asked about later. */
static void
check_reason(struct call *call)
{
    const char *reason = call_text_needed(call, "reason");

    if (reason == NULL) {
        return;
    }
    size_t size = strlen(reason);
    bool good = size >= 8 && size <= REASON_BYTES_MAX && strchr(reason, ' ') != NULL;
    for (const char *at = reason; *at != '\0'; at++) {
        good = good && (unsigned char)*at >= 0x20 && *at != 0x7f;
    }
    if (!good) {
        call_fail(call, ERR_INVALID, "say in a sentence what the data are for and who gets them",
                  "the reason is not a sentence of at most %d bytes on one line", REASON_BYTES_MAX);
    }
}

/* The number of a scope; 0: the codebook has none of this name. */
static uint32_t
scope_number(const struct call *call, const char *name)
{
    const struct codebook_kind *person = codebook_kind_by_name(call->codebook, "person");
    const struct codebook_field *field =
        person == NULL ? NULL : codebook_field_by_name(call->codebook, person->number, "consent.scope");
    const struct codebook_vocabulary *scopes =
        field == NULL ? NULL : codebook_vocabulary(call->codebook, field->vocabulary);
    const struct codebook_value *value = scopes == NULL ? NULL : codebook_value_by_name(scopes, name);

    return value == NULL || value->number > CONSENT_SCOPES ? 0 : value->number;
}

/* What the data are for must be something that people consent to, and for which a record is handed on. */
static void
check_purpose(struct call *call, const char *purpose)
{
    static const char *const none[] = { "record_in_system", "count_only", "contact_again" };
    bool known = scope_number(call, purpose) != 0;

    for (size_t n = 0; n < sizeof none / sizeof none[0]; n++) {
        known = known && strcmp(none[n], purpose) != 0;
    }
    if (!known) {
        call_fail(call, ERR_INVALID, "vigil codebook show person lists the values of consent_scope",
                  "%.60s is no purpose for which a record goes out", purpose);
    }
}

/* L3 goes out of a node only where its device reads it anyway, `compartment` or its own office's. */
static void
check_strict(struct call *call, const struct ident *compartment)
{
    const struct ident *cases = compartment;

    if (cases == NULL && call->own != NULL && call->own->office != NULL) {
        cases = &call->own->office->own[OWN_CASES];
    }
    const struct roster_compartment *found = cases == NULL ? NULL : roster_compartment(call->roster, cases);
    const struct ident *strict = found == NULL ? NULL : found->twin == NULL ? &found->id : &found->twin->id;
    if (strict == NULL || call->own == NULL || roster_level(call->roster, call->own, strict) < LEVEL_READ) {
        call_fail(call, ERR_DENIED, "export at level L2, or where the protected half is read",
                  "this device does not read what is strictly confidential");
    }
}

/* The kind that is read by other means, and by other people. */
static const char of_log[] = "audit_log";

static void
fail_log(struct call *call)
{
    call_fail(call, ERR_INVALID, "vigil audit list reads it", "the audit log is not exported");
}

/* Which kinds; all but the audit log if none is named. */
static void
read_kinds(struct call *call, struct exporting *exporting)
{
    const json_t *list = json_object_get(call->body, "kinds");

    if (list != NULL && (!json_is_array(list) || json_array_size(list) == 0)) {
        call_usage(call, "\"kinds\" is not a list of kinds of records");
        return;
    }
    for (size_t n = 0; list == NULL && n < call->codebook->kind_count; n++) {
        if (strcmp(call->codebook->kinds[n].name, of_log) != 0 && exporting->kind_count < KINDS_MAX) {
            exporting->kinds[exporting->kind_count++] = call->codebook->kinds[n].number;
        }
    }
    for (size_t n = 0; n < json_array_size(list) && !call->failed; n++) {
        const char *name = json_string_value(json_array_get(list, n));
        const struct codebook_kind *kind = name == NULL ? NULL : codebook_kind_by_name(call->codebook, name);
        bool again = false;

        for (size_t k = 0; kind != NULL && k < exporting->kind_count; k++) {
            again = again || exporting->kinds[k] == kind->number;
        }
        if (name == NULL || again || exporting->kind_count == KINDS_MAX) {
            call_usage(call, "\"kinds\" names each kind of record once");
        } else if (strcmp(name, of_log) == 0) {
            fail_log(call);
        } else if (kind == NULL) {
            call_fail(call, ERR_INVALID, "vigil codebook show lists the kinds",
                      "there is no kind of record called %.60s%s", name,
                      value_guess_kind(call->codebook, name).text);
        } else {
            exporting->kinds[exporting->kind_count++] = kind->number;
        }
    }
    if (!call->failed && exporting->kind_count != 1 &&
        json_object_size(json_object_get(call->body, "where")) +
                json_object_size(json_object_get(call->body, "month")) >
            0) {
        call_usage(call, "a condition needs one kind of record: each has fields of its own");
    }
}

/* The query of one of its kinds. False: the call failed. */
static bool
read_query(struct page *page, uint32_t kind, struct query *query_out)
{
    struct call *call = page->call;
    const json_t *own = call->body;
    json_t *asked = json_copy(page->exporting->body);

    if (asked == NULL ||
        json_object_set_new(asked, "kind", json_string(kind_name(call->codebook, kind))) != 0) {
        json_decref(asked);
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return false;
    }
    call->body = asked;
    bool good = query_read(call, true, query_out);
    call->body = own;
    json_decref(asked);
    return good;
}

/* --- what it is, in words --- */

static void put(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
put(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text + used, FILTER_BYTES - used, format, args);
    va_end(args);
}

static void
describe(struct page *page)
{
    struct call *call = page->call;
    struct exporting *exporting = page->exporting;
    char *filter = exporting->filter;
    char words[AUDIT_TEXT_BYTES];
    struct query query;

    for (size_t n = 0; exporting->records == NULL && n < exporting->kind_count && !call->failed; n++) {
        put(filter, "%s%s", n == 0 ? "kind=" : ",", kind_name(call->codebook, exporting->kinds[n]));
        /* What is no code, country or month is refused here, and stands in no log. */
        (void)read_query(page, exporting->kinds[n], &query);
    }
    if (exporting->records != NULL) {
        put(filter, "one record and what it names");
    } else if (!call->failed) {
        call_filter_words(call, words);
        put(filter, "%s%s", words[0] == '\0' ? "" : " ", words);
    }
    put(filter, " level=%s", value_level_name(exporting->level));
    if (exporting->purpose != NULL) {
        put(filter, " purpose=%s", exporting->purpose);
    }
}

static uint64_t
count_left_out(const struct place *place)
{
    uint64_t count = 0;

    for (int n = 0; n < LEFT_COUNT; n++) {
        count += place->left_out[n];
    }
    return count;
}

enum moment { BEGUN, ENDED, GIVEN_UP };

/* Note that it begins, has ended, or was given up. */
static void
note(struct call *call, const struct exporting *exporting, enum moment moment)
{
    static const char *const names[] = { "begun", "ended", "given up" };
    const char *reason = json_string_value(json_object_get(exporting->body, "reason"));
    char words[FILTER_BYTES + 64];

    if (moment == BEGUN) {
        (void)snprintf(words, sizeof words, "%s: %s", names[moment], exporting->filter);
    } else {
        (void)snprintf(words, sizeof words, "%s: %s left_out=%llu", names[moment], exporting->filter,
                       (unsigned long long)count_left_out(&exporting->place));
    }
    (void)call_audit(call, &(struct audit_event){
                               .what = AUDIT_EXPORT,
                               .record = exporting->records == NULL ? NULL : &exporting->records[0].record_id,
                               .fields = moment == BEGUN ? "" : exporting->fields,
                               .filter = words,
                               .reason = reason == NULL ? "" : reason,
                               .count = moment == BEGUN ? 0 : exporting->place.sent,
                           });
}

/* --- consent --- */

/* Whether this person agreed to the purpose. Where it is published, nobody who may be recognised is in it. */
static enum left_out
person_says(struct call *call, const struct replica_view *person, const char *purpose)
{
    bool publishes = strncmp(purpose, "publish", 7) == 0 || strcmp(purpose, "media") == 0;
    struct time_text now = time_print(world_wall_ms(call_options(call)->world));
    uint32_t scope = scope_number(call, purpose);
    struct edtf_day today;
    struct consent consent;

    if (scope == 0) {
        return LEFT_NO_CONSENT; /* nobody can have agreed: another codebook came into force */
    }
    (void)snprintf(today.text, sizeof today.text, "%.10s", now.text);
    enum err err = consent_read(call->codebook, person->open, &today, &call->arena, &consent);
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return LEFT_UNREADABLE;
    }
    switch (consent_governing(&consent, (enum consent_scope)scope)) {
    case CONSENT_GRANTED:
        return publishes && consent.concern ? LEFT_IDENTIFIABLE : LEFT_NOTHING;
    case CONSENT_REFUSED:
        return LEFT_REFUSED;
    case CONSENT_WITHDRAWN:
        return LEFT_WITHDRAWN;
    case CONSENT_EXPIRED:
        return LEFT_EXPIRED;
    case CONSENT_UNKNOWN:
        break;
    }
    return (consent.said & CONSENT_BIT(scope)) != 0 ? LEFT_UNKNOWN : LEFT_NO_CONSENT;
}

/* The records of one kind that a record names, each once. */
static size_t
named_records(struct call *call, const struct replica_view *view, uint32_t kind, struct ident *out,
              size_t count)
{
    const struct record_view *const halves[2] = { view->open, view->protected_half };

    for (int half = 0; half < 2; half++) {
        for (size_t n = 0; halves[half] != NULL && n < halves[half]->target_count; n++) {
            const struct record_target *target = &halves[half]->targets[n];

            for (size_t v = 0; target->field != NULL && target->field->type == TYPE_RECORD &&
                               target->field->target == kind && v < target->value_count;
                 v++) {
                struct cbor_reader in = cbor_reader_of(target->values[v].value);
                struct span id = cbor_peek(&in) == CBOR_BYTES ? cbor_read_bytes(&in) : span_of(NULL, 0);
                bool again = id.size != sizeof(struct ident);

                for (size_t k = 0; !again && k < count; k++) {
                    again = memcmp(&out[k], id.data, sizeof(struct ident)) == 0;
                }
                if (!again && count == PERSONS_MAX) {
                    call_fail(call, ERR_FULL, "leave it out, or divide it",
                              "a record names more than %d others", PERSONS_MAX);
                } else if (!again) {
                    memcpy(&out[count], id.data, sizeof(struct ident));
                    count++;
                }
            }
        }
    }
    return count;
}

static enum err
find_record(struct call *call, const struct ident *id, struct named *named_out)
{
    const struct names_source source = { call->txn, call->codebook, call->roster };
    char hex[2 * sizeof(struct ident) + 1];

    bytes_hex(hex, ident_span(id));
    return names_find(call_names(call), &source, hex, named_out);
}

/* Whether all whom the record concerns agreed to the purpose: the person itself, or those that it names. */
static enum left_out
consent_of(struct call *call, const struct replica_view *view, const char *purpose)
{
    const struct codebook_kind *person = codebook_kind_by_name(call->codebook, "person");
    struct ident *persons = arena_take_array(&call->arena, PERSONS_MAX, sizeof *persons);
    enum left_out left = LEFT_NOTHING;

    if (persons == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return LEFT_UNREADABLE;
    }
    if (person == NULL) {
        return LEFT_NO_CONSENT; /* nobody can have agreed */
    }
    if (view_kind(view) == person->number) {
        return person_says(call, view, purpose);
    }
    size_t count = named_records(call, view, person->number, persons, 0);
    for (size_t n = 0; n < count && left == LEFT_NOTHING && !call->failed; n++) {
        struct replica_view other;
        struct named named;
        enum err err = find_record(call, &persons[n], &named);

        if (err == ERR_OK) {
            err = call_read(call, &named, &other);
        }
        left = err != ERR_OK || other.restricted ? LEFT_PERSON_ABSENT : person_says(call, &other, purpose);
    }
    return left;
}

/* --- a page --- */

/* Of a record at L0 nothing goes out by which it is found here: it has another id in every export. */
static void
put_alias(const struct exporting *exporting, const struct ident *id, json_t *record)
{
    struct hash hash;

    CRYPTO_HASH(&hash, "vigil.alias.v1", span_of(exporting->alias.bytes, sizeof exporting->alias.bytes),
                ident_span(id));
    (void)json_object_set_new(record, "id", hex_json(span_of(hash.bytes, sizeof(struct ident))));
}

/* Keep the text of a record that is longer than a line, to be sent in pieces. */
static void
keep_large(struct page *page, const json_t *record)
{
    struct exporting *exporting = page->exporting;

    drop_large(exporting);
    exporting->large = json_dumps(record, JSON_COMPACT);
    if (exporting->large == NULL) {
        call_fail(page->call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    exporting->large_bytes = strlen(exporting->large);
    exporting->place.large = true;
    exporting->place.piece = 0;
}

/* Read one record and add it, or count why it is left out. */
static void
take_record(struct page *page, const struct named *named)
{
    struct call *call = page->call;
    struct exporting *exporting = page->exporting;
    struct replica_view view;
    enum left_out left = LEFT_NOTHING;
    enum err err = call_read(call, named, &view);

    page->looked++;
    if (call->failed) {
        return;
    }
    if (err == ERR_CORRUPT) {
        left = LEFT_DAMAGED;
    } else if (err == ERR_ABSENT || err == ERR_LOCKED) {
        left = LEFT_UNREADABLE;
    } else if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
    } else if (view.restricted) {
        left = LEFT_RESTRICTED;
    } else if (exporting->purpose != NULL) {
        left = consent_of(call, &view, exporting->purpose);
    }
    json_t *record = left == LEFT_NOTHING && !call->failed ? record_json(call, named, &view) : NULL;
    if (call->failed) {
        json_decref(record);
        return;
    }
    if (left != LEFT_NOTHING) {
        exporting->place.left_out[left]++;
        return;
    }
    if (record == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    if (exporting->level < LEVEL_L1) {
        put_alias(exporting, &named->record_id, record);
    }
    size_t bytes = json_dumpb(record, NULL, 0, JSON_COMPACT);
    if (bytes > WHOLE_BYTES) {
        keep_large(page, record);
        json_decref(record);
    } else {
        page->bytes += bytes;
        exporting->place.sent++;
        (void)json_array_append_new(page->records, record);
    }
}

/* The numbers of the next records of a kind, below the last one; fewer than `room`: it has no more. */
static size_t
next_records(struct page *page, uint32_t kind, uint32_t *numbers, size_t room)
{
    struct index_walk walk;
    struct query query;
    size_t count = 0;

    if (!read_query(page, kind, &query)) {
        return 0;
    }
    index_walk_init(&walk, page->call->txn, query.terms, query.count, page->exporting->place.below);
    while (count < room && index_walk_next(&walk, &numbers[count])) {
        count++;
    }
    index_walk_end(&walk);
    return count;
}

static bool
is_full(const struct page *page)
{
    return page->call->failed || page->exporting->place.large || page->bytes >= PAGE_BYTES ||
           page->looked >= PAGE_LOOKED || json_array_size(page->records) >= PAGE_RECORDS;
}

static void
fill_from_index(struct page *page)
{
    struct call *call = page->call;
    struct exporting *exporting = page->exporting;
    struct place *place = &exporting->place;
    uint32_t numbers[PAGE_RECORDS];
    size_t count = next_records(page, exporting->kinds[place->at], numbers, PAGE_RECORDS);

    for (size_t n = 0; n < count && !is_full(page); n++) {
        struct named named = { .record_no = numbers[n] };
        enum err err = record_name(call->txn, numbers[n], &named.compartment, &named.record_id);

        arena_reset(&call->arena);
        place->below = numbers[n];
        if (err == ERR_OK) {
            take_record(page, &named);
        } else if (err == ERR_CORRUPT) {
            place->left_out[LEFT_DAMAGED]++;
        } else if (err != ERR_ABSENT) { /* erased while it was looked for */
            call_fail(call, err, "", "%s", err_text(err));
        }
    }
    if (count < PAGE_RECORDS && (count == 0 || place->below == numbers[count - 1])) {
        place->at++;
        place->below = UINT32_MAX;
        place->ended = place->at == exporting->kind_count;
    }
}

/* One piece of a record that is longer than a line. Gives it, cut between characters. */
static json_t *
next_piece(struct exporting *exporting)
{
    struct place *place = &exporting->place;
    size_t size = exporting->large_bytes - place->piece;

    if (size > PIECE_BYTES) {
        size = PIECE_BYTES;
        while (((unsigned char)exporting->large[place->piece + size] & 0xc0) == 0x80) {
            size--;
        }
    }
    json_t *piece = json_stringn(exporting->large + place->piece, size);
    place->piece += size;
    if (place->piece == exporting->large_bytes) {
        place->large = false;
        place->sent++;
    }
    return piece;
}

/* When, from where, how far. */
static json_t *
made_json(struct call *call, const struct exporting *exporting)
{
    struct replica_compartment held[64];
    size_t count = replica_compartments(call->replica, held, sizeof held / sizeof held[0]);
    const struct hash *device_id = &replica_identity(call->replica)->device_id;
    uint32_t actor = (uint32_t)call_number(call, "actor", 0, UINT32_MAX, 0);
    json_t *compartments = json_array();

    for (size_t n = 0; n < count && n < sizeof held / sizeof held[0]; n++) {
        (void)json_array_append_new(compartments,
                                    json_pack("{s:s,s:o}", "name", held[n].name, "frontier",
                                              hex_json(span_of(held[n].digest, sizeof held[n].digest))));
    }
    return json_pack("{s:o,s:o,s:o,s:s,s:s,s:s,s:s,s:I,s:o}", "at",
                     time_json(world_wall_ms(call_options(call)->world)), "device",
                     device_json(call->roster, device_id), "actor",
                     actor_json(call->roster, device_id, actor), "level", value_level_name(exporting->level),
                     "purpose", exporting->purpose == NULL ? "" : exporting->purpose, "filter",
                     exporting->filter, "codebook", call->codebook->name, "codebook_version",
                     (json_int_t)call->codebook->version, "compartments", compartments);
}

static void
answer(struct page *page, json_t *piece, bool first)
{
    struct call *call = page->call;
    struct exporting *exporting = page->exporting;
    const struct place *place = &exporting->place;
    json_t *reasons = json_object();

    for (int n = 1; n < LEFT_COUNT; n++) {
        if (place->left_out[n] > 0) {
            (void)json_object_set_new(reasons, left_names[n], json_integer((json_int_t)place->left_out[n]));
        }
    }
    json_t *ok =
        json_pack("{s:o,s:o,s:I,s:I,s:o}", "records", page->records, "next",
                  place->ended && !place->large ? json_null() : json_integer(exporting->page), "sent",
                  (json_int_t)place->sent, "left_out", (json_int_t)count_left_out(place), "reasons", reasons);
    if (ok != NULL && piece != NULL) {
        (void)json_object_set_new(ok, "piece", piece);
        (void)json_object_set_new(ok, "last_piece", json_boolean(!place->large));
    }
    if (ok != NULL && first) {
        (void)json_object_set_new(ok, "made", made_json(call, exporting));
    }
    call_ok(call, ok);
}

static void
run_page(struct page *page, bool first)
{
    struct call *call = page->call;
    struct exporting *exporting = page->exporting;
    struct place *place = &exporting->place;
    json_t *piece = NULL;

    call->level = exporting->level;
    /* What is read goes out, and is told when the export ends; not page by page. */
    memcpy(call->read_fields, exporting->fields, sizeof call->read_fields);
    exporting->page++;
    page->records = json_array();
    if (place->large) {
        piece = next_piece(exporting);
    } else {
        drop_large(exporting);
        while (!place->ended && !is_full(page)) {
            if (exporting->records == NULL) {
                fill_from_index(page);
                continue;
            }
            arena_reset(&call->arena);
            take_record(page, &exporting->records[place->at]);
            place->at++;
            place->ended = place->at == exporting->record_count;
        }
    }
    memcpy(exporting->fields, call->read_fields, sizeof exporting->fields);
    call->read_fields[0] = '\0';
    if (first && !call->failed) {
        note(call, exporting, BEGUN);
    }
    if (place->ended && !place->large && !call->failed) {
        note(call, exporting, ENDED);
    }
    answer(page, piece, first);
}

/* --- where it begins and goes on --- */

/* The record that is asked for; with "linked" the persons and sources that it names, too. */
static void
read_record(struct page *page)
{
    struct call *call = page->call;
    struct exporting *exporting = page->exporting;
    static const char *const linked[] = { "person", "source" };
    struct ident *ids = arena_take_array(&call->arena, PERSONS_MAX, sizeof *ids);
    struct replica_view view;
    struct named named;
    size_t count = 0;

    if (ids == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    if (call->failed || !call_record(call, &named) || !call_view(call, &named, &view)) {
        return;
    }
    if (view.restricted) {
        call_fail_restricted(call);
        return;
    }
    if (strcmp(kind_name(call->codebook, view_kind(&view)), of_log) == 0) {
        fail_log(call);
    }
    if (exporting->level == LEVEL_L3) {
        check_strict(call, &named.compartment);
    }
    for (size_t n = 0; n < 2 && call_flag(call, "linked") && exporting->level >= LEVEL_L2; n++) {
        const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, linked[n]);

        count = kind == NULL ? count : named_records(call, &view, kind->number, ids, count);
    }
    exporting->records = calloc(count + 1, sizeof *exporting->records);
    if (exporting->records == NULL) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
        return;
    }
    exporting->records[0] = named;
    exporting->record_count = 1;
    for (size_t n = 0; n < count && !call->failed; n++) {
        enum err err = find_record(call, &ids[n], &exporting->records[exporting->record_count]);

        if (err == ERR_OK) {
            exporting->record_count++;
        } else {
            exporting->place.left_out[LEFT_UNREADABLE]++; /* it has not arrived, or was erased */
        }
    }
}

static void
begin(struct page *page)
{
    struct call *call = page->call;
    size_t others = end_others(call);
    struct exporting *exporting = others < EXPORTS_MAX ? calloc(1, sizeof *exporting) : NULL;

    if (exporting == NULL) {
        call_fail(call, others < EXPORTS_MAX ? ERR_MEMORY : ERR_BUSY, "try again when one of them has ended",
                  "%d exports are under way, and no more can be", EXPORTS_MAX);
        return;
    }
    page->exporting = exporting;
    exporting->next = *call_exports(call);
    *call_exports(call) = exporting;
    exporting->client_no = call->client_no;
    exporting->body = json_deep_copy(call->body);
    exporting->place.below = UINT32_MAX;
    exporting->level = read_level(call);
    exporting->purpose = json_string_value(json_object_get(exporting->body, "purpose"));
    world_random(call_options(call)->world, exporting->alias.bytes, sizeof exporting->alias.bytes);
    check_reason(call);
    if (call_text(call, "purpose") != NULL) {
        check_purpose(call, exporting->purpose);
    }
    if (json_object_get(call->body, "record") != NULL) {
        read_record(page);
    } else {
        read_kinds(call, exporting);
        const char *code = call_text(call, "office");
        const struct roster_office *office = code == NULL ? NULL : roster_office_by_code(call->roster, code);
        if (exporting->level == LEVEL_L3 && !call->failed) {
            check_strict(call, office == NULL ? NULL : &office->own[OWN_CASES]);
        }
    }
    if (!call->failed) {
        describe(page);
    }
}

static struct exporting *
of_client(struct call *call)
{
    for (struct exporting *at = *call_exports(call); at != NULL; at = at->next) {
        if (at->client_no == call->client_no) {
            return at;
        }
    }
    return NULL;
}

void
call_record_export(struct call *call)
{
    int64_t after = call_number(call, "after", 1, INT64_MAX, 0);
    struct page page = { .call = call, .exporting = after == 0 || call->failed ? NULL : of_client(call) };

    if (call->failed) {
        return;
    }
    if (after == 0) {
        begin(&page);
    } else if (page.exporting == NULL ||
               (after != page.exporting->page && after != page.exporting->page - 1) ||
               (after == page.exporting->page && page.exporting->place.ended &&
                !page.exporting->place.large)) {
        call_fail(call, ERR_ABSENT, "begin it again", "no export is under way that has this page");
    } else if (after == page.exporting->page) {
        page.exporting->before = page.exporting->place;
    } else {
        /* The same page again: it was read, and could not be noted or not be answered. */
        page.exporting->place = page.exporting->before;
        page.exporting->page--;
    }
    if (!call->failed) {
        run_page(&page, after == 0);
    }
    if (call->failed && after == 0 && page.exporting != NULL) {
        (void)end_others(call);
    }
}

/* --- those that nobody takes to the end --- */

void
exporting_noted(struct call *call)
{
    struct exporting *exporting = of_client(call);

    if (exporting != NULL) {
        exporting->begun.written = true;
        exporting->ended.written = exporting->place.ended && !exporting->place.large;
    }
}

bool
exporting_is_due(const struct exporting *exports, const struct api *api, uint64_t now_ms, bool all)
{
    for (const struct exporting *at = exports; at != NULL; at = at->next) {
        if (is_open(at) && (all || (is_orphan(at, api) && now_ms >= at->not_before_ms))) {
            return true;
        }
    }
    return false;
}

bool
exporting_step(struct exporting *exports, struct call *call, const struct api *api, bool all)
{
    uint64_t now_ms = world_steady_ms(call_options(call)->world);

    for (struct exporting *at = exports; at != NULL; at = at->next) {
        if (!is_open(at) || (!all && (!is_orphan(at, api) || now_ms < at->not_before_ms))) {
            continue;
        }
        call->body = at->body; /* it says who asked for it */
        note(call, at, GIVEN_UP);
        at->client_no = NOBODY;
        at->ended.written = audit_write(call);
        at->not_before_ms = now_ms + EXPORT_RETRY_MS; /* if it could not be noted */
        log_event("export-given-up", "noted=%s", at->ended.written ? "yes" : "no");
        if (call->failed) {
            return false;
        }
    }
    return true;
}

void
exporting_turn_ended(struct exporting **exports, bool good)
{
    for (struct exporting **at = exports; *at != NULL;) {
        struct exporting *exporting = *at;

        exporting->begun.durable = exporting->begun.durable || (good && exporting->begun.written);
        exporting->ended.durable = exporting->ended.durable || (good && exporting->ended.written);
        exporting->begun.written = false;
        exporting->ended.written = false;
        if (exporting->client_no == NOBODY && exporting->ended.durable) {
            *at = exporting->next;
            exporting_end(exporting);
        } else {
            at = &exporting->next;
        }
    }
}
