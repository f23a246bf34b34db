/* serve_list.c - which records there are, and how many: over the coded index and the summaries. */
#include "node/call.h"

#include "store/base/cbor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_LIMIT_DEFAULT = 100, LIST_LIMIT_MAX = 1000, EXAMINED_MAX = 100000 };

/* --- what is asked for --- */

/* Narrow the query to an index value. `token` must outlive it. */
static void
add_term(struct query *query, uint32_t index_no, struct span token)
{
    if (query->count == INDEX_TERMS_MAX) {
        call_fail(query->call, ERR_FULL, "leave one of them out", "at most %d conditions can be combined",
                  INDEX_TERMS_MAX);
        return;
    }
    query->terms[query->count] = (struct index_term){ index_no, token };
    query->count++;
}

const struct codebook_field *
query_field(struct call *call, uint32_t kind, const char *name)
{
    const struct codebook_field *field = codebook_field_by_name(call->codebook, kind, name);

    if (field == NULL) {
        call_fail(call, ERR_INVALID, "vigil codebook show lists the fields of each kind",
                  "there is no field called %.60s%s", name,
                  value_guess_name(call->codebook, kind, NULL, name).text);
    } else if ((field->flags & FIELD_INDEXED) == 0) {
        call_fail(call, ERR_INVALID, "vigil codebook show tells which fields are indexed",
                  "%.60s is not indexed, so records are not found by it", name);
        field = NULL;
    }
    return field;
}

/* A condition of "where": a value of an indexed field. */
static void
add_where(struct query *query, const char *name, const json_t *json)
{
    struct call *call = query->call;
    const struct codebook_field *field = query_field(call, query->kind, name);
    struct value_fault fault;
    struct buf cbor = { 0 };

    if (field == NULL) {
        return;
    }
    enum err err = value_parse(call->codebook, field, json, &cbor, &fault);
    if (err != ERR_OK) {
        call_fail(call, err, "vigil codebook show lists what each field may hold", "%s",
                  err == ERR_INVALID ? fault.text : err_text(err));
    } else {
        struct buf tokens = { 0 };

        codebook_tokens(call->codebook, field, buf_span(&cbor), &tokens);
        struct cbor_reader in = cbor_reader_of(arena_copy_buf(&call->arena, &tokens));
        size_t count = cbor_read_array(&in);
        for (size_t n = 0; n < count && !call->failed; n++) {
            add_term(query, field->number, cbor_read_any(&in));
        }
        if (count == 0) {
            call_fail(call, ERR_INVALID, "", "%.60s is never found by this value", name);
        }
        buf_free(&tokens);
    }
    buf_wipe(&cbor);
}

static bool
is_month(const char *text)
{
    static const char *const forms[] = { "dddd", "dddd-dd" };
    size_t size = text == NULL ? 0 : strlen(text);
    const char *form = size == 4 ? forms[0] : forms[1];
    bool good = size == 4 || size == 7;

    for (size_t n = 0; good && n < size; n++) {
        good = form[n] == 'd' ? text[n] >= '0' && text[n] <= '9' : text[n] == form[n];
    }
    return good && (size == 4 || (strcmp(text + 5, "01") >= 0 && strcmp(text + 5, "12") <= 0));
}

/* A condition of "month": "2026-03" or "2026" of a date. */
static void
add_month(struct query *query, const char *name, const json_t *json)
{
    struct call *call = query->call;
    const struct codebook_field *field = query_field(call, query->kind, name);
    const char *text = json_string_value(json);
    struct buf token = { 0 };

    if (field == NULL) {
        return;
    }
    if (field->type != TYPE_DATE) {
        call_fail(call, ERR_INVALID, "vigil codebook show gives the type of each field", "%s is no date",
                  field->name);
        return;
    }
    if (!is_month(text)) {
        call_fail(call, ERR_INVALID, "write a month as 2026-03, or a year as 2026",
                  "%s: that is neither a month nor a year", field->name);
        return;
    }
    cbor_put_text(&token, span_text(text));
    add_term(query, field->number, arena_copy_buf(&call->arena, &token));
    buf_free(&token);
}

static void
add_number_term(struct query *query, uint32_t index_no, uint64_t number)
{
    struct buf token = { 0 };

    cbor_put_uint(&token, number);
    add_term(query, index_no, arena_copy_buf(&query->call->arena, &token));
    buf_free(&token);
}

static void
add_office(struct query *query, const char *code)
{
    struct call *call = query->call;
    const struct roster_office *office = roster_office_by_code(call->roster, code);
    struct buf token = { 0 };

    if (office == NULL && strcmp(code, "shared") != 0) {
        call_fail(call, ERR_ABSENT, "vigil digest names the compartments that this node holds",
                  "there is no office called %.60s", code);
        return;
    }
    cbor_put_bytes(&token,
                   ident_span(office == NULL ? roster_shared_id(call->roster) : &office->own[OWN_CASES]));
    add_term(query, INDEX_COMPARTMENT, arena_copy_buf(&call->arena, &token));
    buf_free(&token);
}

static void
check_conditions(struct call *call, const char *name)
{
    const json_t *conditions = json_object_get(call->body, name);

    if (conditions != NULL && !json_is_object(conditions)) {
        call_usage(call, "\"%s\" is not an object of fields and values", name);
    }
}

bool
query_read(struct call *call, bool needed, struct query *query)
{
    const char *name = needed ? call_text_needed(call, "kind") : call_text(call, "kind");
    const struct codebook_kind *kind = name == NULL ? NULL : codebook_kind_by_name(call->codebook, name);
    const char *office = call_text(call, "office");
    const char *key;
    json_t *json;

    *query = (struct query){ .call = call };
    if (name != NULL && kind == NULL) {
        call_fail(call, ERR_INVALID, "vigil codebook show lists the kinds",
                  "there is no kind of record called %.60s%s", name,
                  value_guess_kind(call->codebook, name).text);
    }
    if (call->failed) {
        return false;
    }
    check_conditions(call, "where");
    check_conditions(call, "month");
    if (kind != NULL) {
        query->kind = kind->number;
        add_number_term(query, FIELD_KIND, kind->number);
    } else if (json_object_size(json_object_get(call->body, "where")) +
                   json_object_size(json_object_get(call->body, "month")) >
               0) {
        call_usage(call, "a condition needs a kind of record: each has fields of its own");
        return false;
    }
    json_object_foreach(json_object_get(call->body, "where"), key, json)
    {
        add_where(query, key, json);
    }
    json_object_foreach(json_object_get(call->body, "month"), key, json)
    {
        add_month(query, key, json);
    }
    if (office != NULL) {
        add_office(query, office);
    }
    if (call->arena.failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    return !call->failed;
}

/* --- record.list --- */

static size_t
twin_conflicts(struct call *call, const struct record_summary *summary)
{
    const struct roster_compartment *compartment = roster_compartment(call->roster, &summary->compartment);
    const struct record_conflict *conflicts;
    uint32_t twin_no = 0;
    size_t count = 0;

    if (compartment == NULL || compartment->twin == NULL ||
        record_find(call->txn, &compartment->twin->id, &summary->record_id, &twin_no) != ERR_OK ||
        record_conflicts_read(call->txn, twin_no, &call->arena, &conflicts, &count) != ERR_OK) {
        return 0;
    }
    return count;
}

static json_t *
item_json(struct call *call, const struct record_item *item)
{
    json_t *values = json_array();

    if (item->shown_count == 1 && (item->field == NULL || item->field->collection == 0)) {
        json_decref(values);
        return value_json(call->codebook, item->field, item->shown[0]);
    }
    for (size_t n = 0; n < item->shown_count; n++) {
        (void)json_array_append_new(values, value_json(call->codebook, item->field, item->shown[n]));
    }
    return values;
}

/* A field may have a name that means something else in a row: it is then "case_kind", "focal_point_office". */
static void
row_key(struct call *call, uint32_t kind, const struct codebook_field *field, char key[VALUE_TEXT_BYTES])
{
    static const char *const taken[] = { "id",         "kind",    "office", "conflict",
                                         "restricted", "created", "updated" };

    for (size_t n = 0; n < sizeof taken / sizeof taken[0]; n++) {
        if (strcmp(taken[n], field->name) == 0) {
            (void)snprintf(key, VALUE_TEXT_BYTES, "%s_%s", kind_name(call->codebook, kind), field->name);
            return;
        }
    }
    (void)snprintf(key, VALUE_TEXT_BYTES, "%s", field->name);
}

/* Put one listed value into the row: those of a collection make a list, each value once. */
static void
add_item(struct call *call, json_t *row, uint32_t kind, const struct record_item *item)
{
    char key[VALUE_TEXT_BYTES];
    json_t *value = item_json(call, item);
    size_t index;
    json_t *one;

    row_key(call, kind, item->field, key);
    json_t *before = json_object_get(row, key);
    if (item->field->collection == 0 || before == NULL) {
        (void)json_object_set_new(row, key, value);
        return;
    }
    json_array_foreach(value, index, one)
    {
        size_t n = 0;

        while (n < json_array_size(before) && !json_equal(json_array_get(before, n), one)) {
            n++;
        }
        if (n == json_array_size(before)) {
            (void)json_array_append(before, one);
        }
    }
    json_decref(value);
}

bool
summary_conflicts(struct call *call, const struct record_summary *summary)
{
    return !summary->restricted && (summary->conflict_count > 0 || twin_conflicts(call, summary) > 0);
}

json_t *
row_json(struct call *call, const struct record_summary *summary, bool conflict)
{
    json_t *row =
        json_pack("{s:o,s:s,s:s,s:s,s:b,s:b,s:o,s:o}", "id", hex_json(ident_span(&summary->record_id)),
                  "number", "", "kind", kind_name(call->codebook, summary->kind), "office",
                  office_name(call->roster, &summary->compartment), "conflict", conflict, "restricted",
                  summary->restricted, "created", hlc_json(summary->created_hlc), "updated",
                  hlc_json(summary->updated_hlc));

    for (size_t n = 0; row != NULL && n < summary->item_count; n++) {
        const struct record_item *item = &summary->items[n];

        if (item->field != NULL && item->field->number != FIELD_KIND &&
            (item->field->flags & FIELD_LISTED) != 0 && item->shown_count > 0) {
            add_item(call, row, summary->kind, item);
        }
    }
    return row;
}

struct page {
    json_t *rows;
    uint32_t last;    /* record_no of the last row */
    uint64_t matched; /* all that match, on other pages too */
    int64_t limit;
    bool only_conflicts;
    bool more;
};

/* Look at one record of the walk: a row, or one more beyond the page. */
static void
take_record(struct call *call, struct page *page, uint32_t record_no)
{
    struct record_summary summary;

    if (json_array_size(page->rows) >= (size_t)page->limit) {
        page->more = true;
        if (!page->only_conflicts) {
            return;
        }
    }
    enum err err = record_summary_read(call->txn, call->codebook, record_no, &call->arena, &summary);
    if (err == ERR_ABSENT || err == ERR_CORRUPT) {
        return; /* what does not verify is counted by table */
    }
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return;
    }
    bool conflict = summary_conflicts(call, &summary);
    if (page->only_conflicts && !conflict) {
        page->matched--;
    } else if (json_array_size(page->rows) < (size_t)page->limit) {
        page->last = record_no;
        (void)json_array_append_new(page->rows, row_json(call, &summary, conflict));
    }
    arena_reset(&call->arena);
}

void
call_record_list(struct call *call)
{
    struct query query;
    struct index_walk walk;
    uint32_t record_no = 0;
    struct page page = { .matched = 0 };

    page.limit = call_number(call, "limit", 1, LIST_LIMIT_MAX, LIST_LIMIT_DEFAULT);
    int64_t after = call_number(call, "after", 1, UINT32_MAX, UINT32_MAX);
    page.only_conflicts = call_flag(call, "conflict");
    if (!query_read(call, true, &query)) {
        return;
    }
    /* The terms live in the call's arena, which is emptied after each record. */
    struct arena kept = call->arena;
    call->arena = (struct arena){ 0 };
    page.rows = json_array();
    uint64_t total = 0;
    enum err err = query.count == 1 && !page.only_conflicts && after == UINT32_MAX
                       ? index_count_of(call->txn, &query.terms[0], &total)
                       : ERR_OK;
    bool counted = total > 0;
    index_walk_init(&walk, call->txn, query.terms, query.count, (uint32_t)after);
    while (err == ERR_OK && !call->failed && index_walk_next(&walk, &record_no)) {
        page.matched++;
        take_record(call, &page, record_no);
        if (page.more && (counted || page.matched > EXAMINED_MAX)) {
            break;
        }
    }
    index_walk_end(&walk);
    arena_free(&kept);
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
    }
    json_t *next = page.more ? json_integer(page.last) : json_null();
    call_ok(call, json_pack("{s:o,s:o,s:I}", "records", page.rows, "next", next, "total",
                            (json_int_t)(counted ? total : page.matched)));
}

/* --- record.count --- */

json_t *
token_json(struct call *call, const struct codebook_field *field, struct span token, bool label)
{
    const struct codebook_field *as = field->type == TYPE_DATE ? NULL : field;

    return label ? value_label(call->codebook, as, token) : value_json(call->codebook, as, token);
}

static void
add_row(struct call *call, json_t *rows, const struct codebook_field *const by[2],
        const struct index_pair *pair, bool two)
{
    json_t *values = json_array();
    json_t *labels = json_array();

    if (two) {
        (void)json_array_append_new(values, token_json(call, by[0], pair->a, false));
        (void)json_array_append_new(labels, token_json(call, by[0], pair->a, true));
    }
    (void)json_array_append_new(values, token_json(call, by[1], pair->b, false));
    (void)json_array_append_new(labels, token_json(call, by[1], pair->b, true));
    (void)json_array_append_new(rows, json_pack("{s:o,s:o,s:I}", "values", values, "labels", labels, "count",
                                                (json_int_t)pair->count));
}

void
call_record_count(struct call *call)
{
    const json_t *list = json_object_get(call->body, "by");
    /* One field is counted as the second of a pair whose first is the kind of record. */
    const struct codebook_field *by[2] = { codebook_field(call->codebook, FIELD_KIND), NULL };
    const struct index_pair *pairs = NULL;
    size_t count = json_is_string(list) ? 1 : json_array_size(list);
    size_t pair_count = 0;
    struct query query;

    if (count < 1 || count > 2) {
        call_usage(call, "\"by\" names one or two indexed fields");
        return;
    }
    if (!query_read(call, true, &query)) {
        return;
    }
    for (size_t n = 0; n < count; n++) {
        const char *name =
            json_is_string(list) ? json_string_value(list) : json_string_value(json_array_get(list, n));

        if (name == NULL) {
            call_usage(call, "\"by\" names one or two indexed fields");
            return;
        }
        by[2 - count + n] = query_field(call, query.kind, name);
        if (call->failed) {
            return;
        }
    }
    enum err err = index_cross(call->txn, by[0]->number, by[1]->number, query.terms, query.count,
                               &call->arena, &pairs, &pair_count);
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return;
    }
    json_t *rows = json_array();
    for (size_t n = 0; n < pair_count; n++) {
        add_row(call, rows, by, &pairs[n], count == 2);
    }
    call_ok(call, json_pack("{s:o}", "rows", rows));
}
