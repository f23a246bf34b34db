/* serve_search.c - record.search: records by the words in them, the best match first. */
#include "node/call.h"

#include "store/base/cbor.h"
#include "store/base/world.h"

#include <stdlib.h>
#include <string.h>

enum {
    HITS_MAX = 10000, /* that are looked at: what is found more often is no answer for a person */
    LIMIT_DEFAULT = 20,
    LIMIT_MAX = 1000,
    SLICES_MAX = 8, /* read before answering, so that somebody finds what was just saved */
    FACETS_MAX = 4,
};

/* How often each value of a field is among what was found. */
struct facet {
    const struct codebook_field *field;
    struct index_count *values; /* in the call's arena */
    size_t count;
    size_t room;
};

struct found {
    struct call *call;
    struct query query;
    struct facet facets[FACETS_MAX];
    size_t facet_count;
    json_t *rows;
    int64_t limit;
    uint64_t total;
};

/* --- facets --- */

static void
read_facets(struct found *found)
{
    struct call *call = found->call;
    const json_t *list = json_object_get(call->body, "by");

    if (list != NULL && (!json_is_array(list) || json_array_size(list) > FACETS_MAX)) {
        call_usage(call, "\"by\" names at most %d indexed fields", FACETS_MAX);
    }
    if (json_array_size(list) > 0 && found->query.kind == 0) {
        call_usage(call, "counting by a field needs a kind of record: each has fields of its own");
    }
    for (size_t n = 0; n < json_array_size(list) && !call->failed; n++) {
        const char *name = json_string_value(json_array_get(list, n));

        if (name == NULL) {
            call_usage(call, "\"by\" names at most %d indexed fields", FACETS_MAX);
            return;
        }
        found->facets[n].field = query_field(call, found->query.kind, name);
        found->facet_count++;
    }
}

static void
count_token(struct facet *facet, struct arena *arena, struct span token)
{
    for (size_t n = 0; n < facet->count; n++) {
        if (span_equal(facet->values[n].token, token)) {
            facet->values[n].count++;
            return;
        }
    }
    if (facet->count == facet->room) {
        size_t room = facet->room == 0 ? 32 : 2 * facet->room;
        struct index_count *values = arena_take_array(arena, room, sizeof *values);

        if (values == NULL) {
            return; /* the arena says it */
        }
        if (facet->count > 0) {
            memcpy(values, facet->values, facet->count * sizeof *values);
        }
        facet->values = values;
        facet->room = room;
    }
    facet->values[facet->count] = (struct index_count){ arena_copy(arena, token), 1 };
    facet->count++;
}

/* A record counts once for each value, however often it has it. */
static void
count_facet(struct found *found, struct facet *facet, const struct record_summary *summary)
{
    struct call *call = found->call;
    struct facet own = { .field = facet->field };
    struct arena work = { 0 };
    struct buf tokens = { 0 };

    for (size_t n = 0; n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];

        for (size_t s = 0; item->field == facet->field && s < item->shown_count; s++) {
            buf_clear(&tokens);
            codebook_tokens(call->codebook, facet->field, item->shown[s], &tokens);
            struct cbor_reader in = cbor_reader_of(buf_span(&tokens));
            size_t count = tokens.failed ? 0 : cbor_read_array(&in);
            for (size_t t = 0; t < count; t++) {
                count_token(&own, &work, cbor_read_any(&in));
            }
        }
    }
    for (size_t n = 0; n < own.count; n++) {
        count_token(facet, &call->arena, own.values[n].token);
    }
    if (work.failed || tokens.failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    buf_free(&tokens);
    arena_free(&work);
}

static int
facet_order(const void *left, const void *right)
{
    const struct index_count *a = left;
    const struct index_count *b = right;

    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    return span_compare(a->token, b->token);
}

static json_t *
facets_json(struct found *found)
{
    json_t *facets = json_array();

    for (size_t f = 0; f < found->facet_count; f++) {
        struct facet *facet = &found->facets[f];
        json_t *values = json_array();

        if (facet->count > 0) {
            qsort(facet->values, facet->count, sizeof *facet->values, facet_order);
        }
        for (size_t n = 0; n < facet->count; n++) {
            struct span token = facet->values[n].token;

            (void)json_array_append_new(values,
                                        json_pack("{s:o,s:o,s:I}", "value",
                                                  token_json(found->call, facet->field, token, false),
                                                  "label", token_json(found->call, facet->field, token, true),
                                                  "count", (json_int_t)facet->values[n].count));
        }
        (void)json_array_append_new(facets, json_pack("{s:s,s:s,s:o}", "field", facet->field->name, "label",
                                                      facet->field->label, "values", values));
    }
    return facets;
}

/* --- hits --- */

/* Has the record every term that was asked for? */
static bool
has_terms(struct found *found, uint32_t record_no)
{
    struct index_walk walk;
    uint32_t at = 0;

    if (found->query.count == 0) {
        return true;
    }
    index_walk_init(&walk, found->call->txn, found->query.terms, found->query.count, record_no + 1);
    bool has = index_walk_next(&walk, &at) && at == record_no;
    index_walk_end(&walk);
    return has;
}

static void
take_hit(struct found *found, uint32_t record_no, struct arena *work)
{
    struct call *call = found->call;
    bool shown = json_array_size(found->rows) < (size_t)found->limit;
    struct record_summary summary;

    if (!has_terms(found, record_no)) {
        return;
    }
    enum err err = record_summary_read(call->txn, call->codebook, record_no, work, &summary);
    if (err == ERR_ABSENT || err == ERR_CORRUPT) {
        return; /* it was erased, or is counted by table */
    }
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return;
    }
    /* Restricted since it was read last: it is found by nothing. */
    if (summary.restricted) {
        return;
    }
    found->total++;
    if (shown) {
        (void)json_array_append_new(found->rows, row_json(call, &summary, summary_conflicts(call, &summary)));
    }
    for (size_t n = 0; n < found->facet_count && !call->failed; n++) {
        count_facet(found, &found->facets[n], &summary);
    }
}

static void
find(struct found *found, const char *words)
{
    struct call *call = found->call;
    struct search_hit *hits = arena_take_array(&call->arena, HITS_MAX, sizeof *hits);
    struct arena work = { 0 };
    size_t count = 0;

    enum err err = hits == NULL ? ERR_MEMORY
                                : finding_find(call_finding(call), span_text(words), hits, HITS_MAX, &count);
    if (err == ERR_INVALID) {
        /* What was typed is as secret as what is found: it is not repeated. */
        call_fail(call, err, "give at least one word, in UTF-8", "there is no word to look for");
    } else if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
    }
    found->rows = json_array();
    for (size_t n = 0; n < count && !call->failed; n++) {
        take_hit(found, hits[n].record_no, &work);
        arena_reset(&work);
    }
    arena_free(&work);
    if (!call->failed && call->arena.failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    char filter[AUDIT_TEXT_BYTES];
    call_filter_words(call, filter);
    (void)call_audit(
        call,
        &(struct audit_event){
            .what = AUDIT_SEARCH, .fields = "", .filter = filter, .reason = "", .count = found->total });
    call_ok(call, json_pack("{s:o,s:I,s:b,s:o,s:I}", "records", found->rows, "total",
                            (json_int_t)found->total, "more", count == HITS_MAX, "facets", facets_json(found),
                            "left", (json_int_t)finding_left(call_finding(call), call->replica)));
}

/* What was just saved is found, and while much is still to be read, what has been. */
static bool
catch_up(struct call *call)
{
    enum err err = ERR_OK;

    call_pause(call);
    for (int n = 0; n < SLICES_MAX && err == ERR_OK; n++) {
        err = finding_read(call_finding(call), call->replica, world_steady_ms(call_options(call)->world));
    }
    if (!call_resume(call)) {
        return false;
    }
    if (err == ERR_INVALID) {
        call_fail(call, err, "install the package libicu72 whole, and start the node again",
                  "nothing can be searched: the data of ICU or of a stemmer is not installed");
    } else if (err != ERR_OK && err != ERR_ABSENT) {
        call_fail(call, err, "", "%s", err_text(err));
    }
    return !call->failed;
}

void
call_record_search(struct call *call)
{
    struct found found = { .call = call };
    const char *words = call_text_needed(call, "words");

    found.limit = call_number(call, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT);
    if (words == NULL || call->failed || !catch_up(call) || !query_read(call, false, &found.query)) {
        return;
    }
    read_facets(&found);
    if (!call->failed) {
        find(&found, words);
    }
}
