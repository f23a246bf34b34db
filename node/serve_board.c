/* serve_board.c - the standing views: found by the coded index, told apart by summaries, opened a page at a time. */
#include "node/call.h"
#include "node/casework/board.h"

#include "store/base/cbor.h"
#include "store/base/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    EXAMINED_A_ROW =
        50, /* summaries looked at for each row that is asked for: then a page ends though it is not full */
    EXAMINED_MAX = 5000,
    COUNT_MAX = 100, /* rows that are counted of a board */
    CURSOR_BYTES = 64,
    DAY_BYTES = 12,
};

static const uint64_t DAY_MS = UINT64_C(24) * 60 * 60 * 1000;

/* Where a row stands: rows with a date by that, the earliest first. */
struct row {
    char day[DAY_BYTES]; /* "": it has no date */
    uint32_t record_no;
    bool of_element;
    uint8_t element[ELEMENT_ID_BYTES];
};

struct scan {
    struct call *call;
    const struct board *board;
    uint32_t kind;
    size_t limit;
    bool names;             /* columns of level L3 too */
    struct span kind_token; /* of the index of kinds */
    struct row *rows;
    size_t count;
    size_t room;
    struct arena work; /* one summary at a time */
    size_t examined;
    size_t examined_max;
    bool failed; /* no memory */
    struct edtf_day today;
    struct edtf_day late;    /* what is over before this is late */
    struct edtf_day ahead;   /* what begins after this is left out */
    char next[CURSOR_BYTES]; /* "": there is nothing more */
};

static int
row_order(const void *left, const void *right)
{
    const struct row *a = left;
    const struct row *b = right;
    int days = strcmp(a->day, b->day);

    if (days != 0) {
        return days;
    }
    if (a->record_no != b->record_no) {
        return a->record_no < b->record_no ? -1 : 1;
    }
    return memcmp(a->element, b->element, sizeof a->element);
}

static void
add_row(struct scan *scan, const struct row *row)
{
    if (scan->count == scan->room) {
        size_t room = scan->room == 0 ? 256 : 2 * scan->room;
        struct row *grown = realloc(scan->rows, room * sizeof *grown);

        if (grown == NULL) {
            scan->failed = true;
            return;
        }
        scan->rows = grown;
        scan->room = room;
    }
    scan->rows[scan->count] = *row;
    scan->count++;
}

/* --- the rows of one record --- */

struct place {
    uint32_t record_no;
    const struct record_summary *summary;
    const uint8_t *element; /* NULL: the record itself */
};

/* Where a date stands: its first day, or its last if nobody knows when it began. False: it is no day at all. */
static bool
key_of(const struct edtf *date, struct edtf_day *day_out)
{
    return edtf_earliest(date, day_out) || edtf_latest(date, day_out);
}

/* Add the row if it has a date that is first found under this month or year, beyond `after`. */
static void
take_dated(struct scan *scan, const struct place *place, const char *month, const struct row *after)
{
    struct edtf_month months[EDTF_MONTHS_MAX];
    struct row row = { .record_no = place->record_no };
    struct edtf_day day;
    struct edtf date;

    if (!board_date(place->summary, scan->board->date, place->element, &date) || !key_of(&date, &day) ||
        edtf_months(&date, months) == 0 || strcmp(months[0].text, month) != 0 ||
        (scan->board->ahead_days > 0 && strcmp(day.text, scan->ahead.text) > 0) ||
        !board_keeps(scan->board, scan->call->codebook, place->summary, place->element)) {
        return;
    }
    (void)snprintf(row.day, sizeof row.day, "%s", day.text);
    if (place->element != NULL) {
        row.of_element = true;
        memcpy(row.element, place->element, sizeof row.element);
    }
    if (row_order(&row, after) > 0) {
        add_row(scan, &row);
    }
}

/* Add the row if it has no date, and holds `value` itself: a record that is found by several makes each row once. */
static void
take_undated(struct scan *scan, const struct place *place, struct span value)
{
    const struct record_item *by = board_item(place->summary, scan->board->by, place->element);
    struct row row = { .record_no = place->record_no };
    struct edtf date;
    bool holds = false;

    for (size_t n = 0; by != NULL && n < by->shown_count; n++) {
        holds = holds || span_equal(by->shown[n], value);
    }
    if (!holds || board_date(place->summary, scan->board->date, place->element, &date) ||
        !board_keeps(scan->board, scan->call->codebook, place->summary, place->element)) {
        return;
    }
    if (place->element != NULL) {
        row.of_element = true;
        memcpy(row.element, place->element, sizeof row.element);
    }
    add_row(scan, &row);
}

/* True for the first item of an element of the board's collection. */
static bool
begins_element(const struct scan *scan, const struct record_summary *summary, size_t n)
{
    const struct codebook_collection *collection =
        codebook_collection_by_name(scan->call->codebook, scan->kind, scan->board->collection);
    const struct target *target = &summary->items[n].target;

    return collection != NULL && target->collection == collection->number &&
           (n == 0 || summary->items[n - 1].target.collection != target->collection ||
            memcmp(summary->items[n - 1].target.element, target->element, ELEMENT_ID_BYTES) != 0);
}

/* Look at a record: `month` of its dates, or where that is NULL `value` of what it is found by. */
static void
take_record(struct scan *scan, uint32_t record_no, const char *month, struct span value,
            const struct row *after)
{
    struct record_summary summary;
    struct place place = { .record_no = record_no, .summary = &summary };
    enum err err =
        record_summary_read(scan->call->txn, scan->call->codebook, record_no, &scan->work, &summary);

    scan->examined++;
    if (err == ERR_MEMORY) {
        scan->failed = true;
    }
    if (err != ERR_OK || summary.restricted) {
        return; /* gone, or counted by table */
    }
    bool each = scan->board->collection != NULL && scan->board->newest == NULL;
    if (!each && scan->board->newest != NULL) {
        place.element = board_newest(scan->board, &summary);
    }
    for (size_t n = 0; n < (each ? summary.item_count : 1); n++) {
        if (each && !begins_element(scan, &summary, n)) {
            continue;
        }
        place.element = each ? summary.items[n].target.element : place.element;
        if (month != NULL) {
            take_dated(scan, &place, month, after);
        } else {
            take_undated(scan, &place, value);
        }
    }
}

/* --- in the order of dates --- */

static void
take_month(struct scan *scan, const struct codebook_field *field, struct span token, const char *month,
           const struct row *after)
{
    const uint8_t kind[] = { (uint8_t)scan->kind };
    const struct index_term terms[] = { { field->number, token },
                                        { FIELD_KIND, span_of(kind, sizeof kind) } };
    struct index_walk walk;
    uint32_t record_no = 0;

    index_walk_init(&walk, scan->call->txn, terms, 2, UINT32_MAX);
    while (!scan->failed && index_walk_next(&walk, &record_no)) {
        take_record(scan, record_no, month, span_of(NULL, 0), after);
        arena_reset(&scan->work);
    }
    index_walk_end(&walk);
    /* More than a page is never needed: what is earliest stays. */
    if (scan->count > 0) {
        qsort(scan->rows, scan->count, sizeof *scan->rows, row_order);
    }
    scan->count = scan->count > scan->limit + 1 ? scan->limit + 1 : scan->count;
}

static bool
read_token(struct span token, char month[8])
{
    struct cbor_reader in = cbor_reader_of(token);
    struct span text = cbor_peek(&in) == CBOR_TEXT ? cbor_read_text(&in) : span_of(NULL, 0);

    if (text.data == NULL || text.size >= 8) {
        return false;
    }
    memcpy(month, text.data, text.size);
    month[text.size] = '\0';
    return true;
}

static void
name_row(struct scan *scan, const struct row *row)
{
    char element[2 * ELEMENT_ID_BYTES + 1];

    bytes_hex(element, span_of(row->element, sizeof row->element));
    (void)snprintf(scan->next, sizeof scan->next, "d%s.%lu.%s", row->day, (unsigned long)row->record_no,
                   element);
}

/* Rows with a date, beyond `after`. Years come before months among tokens, so all of them are looked at first. */
static void
scan_dated(struct scan *scan, const struct row *after)
{
    const struct codebook_field *field =
        codebook_field_by_name(scan->call->codebook, scan->kind, scan->board->date);
    const struct index_count *tokens = NULL;
    char month[8];
    size_t count = 0;
    size_t taken = 0;
    enum err err = field == NULL
                       ? ERR_OK
                       : index_counts(scan->call->txn, field->number, &scan->call->arena, &tokens, &count);

    if (err != ERR_OK) {
        call_fail(scan->call, err, "", "%s", err_text(err));
        return;
    }
    for (size_t n = 0; n < count && !scan->failed; n++) {
        if (!read_token(tokens[n].token, month) || strncmp(month, after->day, strlen(month)) < 0) {
            continue;
        }
        bool monthly = strlen(month) > 4;
        if (scan->board->ahead_days > 0 && strcmp(month, scan->ahead.text) > 0) {
            continue;
        }
        if (monthly && scan->count > scan->limit &&
            strncmp(scan->rows[scan->limit].day, month, strlen(month)) < 0) {
            break;
        }
        if (taken > 0 && scan->examined >= scan->examined_max) {
            /* From this month on not all was looked at. */
            size_t kept = 0;
            while (kept < scan->count && strncmp(scan->rows[kept].day, month, strlen(month)) < 0) {
                kept++;
            }
            if (kept <= scan->limit) {
                scan->count = kept;
                (void)snprintf(scan->next, sizeof scan->next, "d%s.0.0000000000000000", month);
            }
            break;
        }
        take_month(scan, field, tokens[n].token, month, after);
        taken += monthly;
    }
    if (scan->count > scan->limit) {
        scan->count = scan->limit;
        name_row(scan, &scan->rows[scan->limit - 1]);
    }
}

/* --- without a date: newest first --- */

/* The value at `place` among the words of board->values. False: there are not so many. */
static bool
value_at(const struct scan *scan, const struct codebook_field *field, size_t place, uint32_t *number_out)
{
    const struct codebook_vocabulary *vocabulary =
        codebook_vocabulary(scan->call->codebook, field->vocabulary);
    const char *at = scan->board->values;
    char name[64];

    for (size_t n = 0; *at != '\0'; n++) {
        size_t size = strcspn(at, " ");

        if (n == place) {
            (void)snprintf(name, sizeof name, "%.*s", (int)size, at);
            const struct codebook_value *value =
                vocabulary == NULL ? NULL : codebook_value_by_name(vocabulary, name);
            *number_out = value == NULL ? 0 : value->number;
            return true;
        }
        at += size + strspn(at + size, " ");
    }
    return false;
}

static void
scan_undated(struct scan *scan, size_t place, uint32_t below)
{
    const struct codebook_field *field =
        scan->board->by == NULL ? NULL
                                : codebook_field_by_name(scan->call->codebook, scan->kind, scan->board->by);
    uint32_t number = 0;

    for (; field != NULL && value_at(scan, field, place, &number); place++) {
        struct buf token = { 0 };
        struct index_walk walk;
        uint32_t record_no = 0;

        cbor_put_uint(&token, number);
        const struct index_term terms[] = { { field->number, buf_span(&token) },
                                            { FIELD_KIND, scan->kind_token } };
        index_walk_init(&walk, scan->call->txn, terms, 2, below);
        while (!scan->failed && scan->next[0] == '\0' && index_walk_next(&walk, &record_no)) {
            take_record(scan, record_no, NULL, buf_span(&token), NULL);
            arena_reset(&scan->work);
            if (scan->count >= scan->limit || scan->examined >= scan->examined_max) {
                (void)snprintf(scan->next, sizeof scan->next, "u%zu.%lu", place, (unsigned long)record_no);
            }
        }
        index_walk_end(&walk);
        buf_free(&token);
        if (scan->failed || scan->next[0] != '\0') {
            return;
        }
        below = UINT32_MAX;
    }
}

/* --- a page --- */

/* Where the page starts: 'd' or 'u', as name_row and scan_undated write it. */
struct start {
    char part;
    struct row after;
    size_t place;
    uint32_t below;
};

static bool
read_start(struct scan *scan, const char *text, struct start *start)
{
    char day[DAY_BYTES] = "";
    char element[2 * ELEMENT_ID_BYTES + 1] = "";
    unsigned long number = 0;
    unsigned place = 0;
    int end = 0;

    *start = (struct start){ .part = scan->board->undated_first || scan->board->date == NULL ? 'u' : 'd',
                             .below = UINT32_MAX };
    if (text == NULL) {
        return true;
    }
    if (sscanf(text, "d%11[0-9-].%10lu.%16[0-9a-f]%n", day, &number, element, &end) == 3 &&
        text[end] == '\0' && number <= UINT32_MAX && scan->board->date != NULL &&
        bytes_from_hex(start->after.element, ELEMENT_ID_BYTES, element)) {
        start->part = 'd';
        memcpy(start->after.day, day, sizeof day);
        start->after.record_no = (uint32_t)number;
        return true;
    }
    end = 0;
    if (sscanf(text, "u%9u.%10lu%n", &place, &number, &end) == 2 && text[end] == '\0' &&
        number <= UINT32_MAX) {
        start->part = 'u';
        start->place = place;
        start->below = (uint32_t)number;
        return true;
    }
    call_usage(scan->call, "\"after\" is no \"next\" of an answer before");
    return false;
}

/* Fill the page: one part, and where it ends before the page is full the other. */
static void
scan_page(struct scan *scan, const struct start *start)
{
    const struct row first = { .day = "" };
    bool dates_first = !scan->board->undated_first;
    size_t limit = scan->limit;

    if (start->part == 'u') {
        scan_undated(scan, start->place, start->below);
    } else if (scan->board->date != NULL) {
        scan_dated(scan, &start->after);
    }
    bool ended = scan->next[0] == '\0' && !scan->failed && !scan->call->failed;
    bool other = scan->board->date != NULL && (start->part == 'd') == dates_first;
    if (!ended || !other) {
        return;
    }
    if (scan->count >= limit) {
        (void)snprintf(scan->next, sizeof scan->next, "%s",
                       start->part == 'd' ? "u0.4294967295" : "d0000-00-00.0.0000000000000000");
    } else if (start->part == 'd') {
        scan_undated(scan, 0, UINT32_MAX);
    } else {
        /* Those without a date stay in front. */
        struct row *undated = scan->rows;
        size_t count = scan->count;

        scan->rows = NULL;
        scan->count = 0;
        scan->room = 0;
        scan->limit = limit - count;
        scan_dated(scan, &first);
        struct row *rows = realloc(undated, (count + scan->count + 1) * sizeof *rows);
        if (rows == NULL) {
            scan->failed = true;
            free(undated);
            return;
        }
        if (scan->count > 0) {
            memcpy(rows + count, scan->rows, scan->count * sizeof *rows);
        }
        free(scan->rows);
        scan->rows = rows;
        scan->count += count;
        scan->room = scan->count;
        scan->limit = limit;
    }
}

/* --- what a row shows --- */

static const struct codebook_field *
column_field(const struct scan *scan, const struct board_column *column)
{
    return column->field == NULL ? NULL
                                 : codebook_field_by_name(scan->call->codebook, scan->kind, column->field);
}

/* What the record shows at a field; of the board's collection, what the element does. */
static json_t *
cell_json(const struct scan *scan, const struct record_view *view, const struct row *row,
          const struct codebook_field *field)
{
    const struct codebook_collection *own =
        scan->board->collection == NULL
            ? NULL
            : codebook_collection_by_name(scan->call->codebook, scan->kind, scan->board->collection);
    bool of_element = own != NULL && field->collection == own->number;
    json_t *list = json_array();

    for (size_t n = 0; n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];

        if (target->field != field || target->misplaced ||
            (of_element &&
             (!row->of_element || memcmp(target->target.element, row->element, ELEMENT_ID_BYTES) != 0))) {
            continue;
        }
        for (size_t v = 0; v < target->shown_count; v++) {
            call_reads(scan->call, field, target->shown[v]);
            (void)json_array_append_new(list, value_json(scan->call->codebook, field, target->shown[v]));
        }
    }
    bool several = field->policy == MERGE_UNION || (field->collection != 0 && !of_element);
    if (several || json_array_size(list) > 1) {
        return list;
    }
    json_t *one = json_array_size(list) == 0 ? json_null() : json_incref(json_array_get(list, 0));
    json_decref(list);
    return one;
}

static json_int_t
days_between(const char *earlier, const char *later)
{
    struct tm parts[2] = { { 0 }, { 0 } };

    if (strptime(earlier, "%Y-%m-%d", &parts[0]) == NULL || strptime(later, "%Y-%m-%d", &parts[1]) == NULL) {
        return 0;
    }
    return (json_int_t)(timegm(&parts[1]) - timegm(&parts[0])) / (24 * 60 * 60);
}

/* The state of a row and how many days ago its date was, or is still to come: then the number is negative. */
static void
add_state(const struct scan *scan, json_t *row, const struct edtf *date)
{
    const struct board_words *words = &scan->board->words;
    struct edtf_day day;

    if (date == NULL || (!edtf_latest(date, &day) && !edtf_earliest(date, &day))) {
        (void)json_object_set_new(row, "state", json_string(words->undated));
        (void)json_object_set_new(row, "days", json_null());
        return;
    }
    (void)json_object_set_new(
        row, "state", json_string(strcmp(day.text, scan->late.text) < 0 ? words->late : words->not_late));
    (void)json_object_set_new(row, "days", json_integer(days_between(day.text, scan->today.text)));
}

/* Does another element of the record take the place of the row's? */
static bool
is_replaced(const struct scan *scan, const struct record_view *view, const struct row *row)
{
    for (size_t n = 0; scan->board->replaces != NULL && n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];

        for (size_t v = 0; target->field != NULL && strcmp(target->field->name, scan->board->replaces) == 0 &&
                           v < target->shown_count;
             v++) {
            struct cbor_reader in = cbor_reader_of(target->shown[v]);
            struct span element = cbor_peek(&in) == CBOR_BYTES ? cbor_read_bytes(&in) : span_of(NULL, 0);

            if (span_equal(element, span_of(row->element, sizeof row->element))) {
                return true;
            }
        }
    }
    return false;
}

static bool
has_field(const struct record_view *view, const char *name)
{
    for (size_t n = 0; n < view->target_count; n++) {
        const struct record_target *target = &view->targets[n];

        if (target->field != NULL && target->shown_count > 0 && strcmp(target->field->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void
add_number(const struct scan *scan, const struct record_summary *summary, json_t *json)
{
    const struct record_item *number = board_item(summary, "number", NULL);

    (void)json_object_set_new(
        json, "number",
        number == NULL ? json_string("") : value_json(scan->call->codebook, number->field, number->shown[0]));
}

static bool
is_strict(const struct codebook_field *field)
{
    return field != NULL && field->sensitivity == LEVEL_L3;
}

/* Add the columns of level L3, and where this node cannot read them say so. */
static void
add_names(const struct scan *scan, const struct record_view *open, const struct row *row, json_t *json)
{
    const struct named named = { .record_no = row->record_no,
                                 .compartment = open->compartment,
                                 .record_id = open->record_id };
    struct replica_view view;
    bool read = false;

    for (size_t n = 0; n < BOARD_COLUMNS_MAX && scan->board->columns[n].name != NULL; n++) {
        const struct codebook_field *field = column_field(scan, &scan->board->columns[n]);

        if (!is_strict(field)) {
            continue;
        }
        if (!read && (call_read(scan->call, &named, &view) != ERR_OK || view.restricted)) {
            return; /* gone meanwhile */
        }
        read = true;
        (void)json_object_set_new(
            json, scan->board->columns[n].name,
            view.protected_half == NULL ? json_null() : cell_json(scan, view.protected_half, row, field));
    }
    if (read) {
        (void)json_object_set_new(json, "withheld", json_boolean(view.withheld));
    }
}

/* A row of the page, from its case half. NULL: it is none after all, or the call failed. */
static json_t *
row_of(struct scan *scan, const struct row *row)
{
    struct call *call = scan->call;
    struct record_summary summary;
    struct record_view view;
    struct edtf date;
    enum err err = record_summary_read(call->txn, call->codebook, row->record_no, &scan->work, &summary);

    if (err == ERR_OK) {
        err = record_view_read(call->txn, call->codebook, replica_source(call->replica), row->record_no,
                               &scan->work, &view);
    }
    if (err != ERR_OK) {
        if (err != ERR_ABSENT && err != ERR_CORRUPT) {
            call_fail(call, err, "", "%s", err_text(err));
        }
        return NULL;
    }
    if (is_replaced(scan, &view, row) ||
        (scan->board->needs != NULL && !has_field(&view, scan->board->needs))) {
        return NULL;
    }
    json_t *json =
        json_pack("{s:o,s:s,s:s,s:o}", "record", hex_json(ident_span(&view.record_id)), "kind",
                  kind_name(call->codebook, view.kind), "office",
                  office_name(call->roster, &view.compartment), "updated", hlc_json(view.updated_hlc));
    add_number(scan, &summary, json);
    for (size_t n = 0; n < BOARD_COLUMNS_MAX && scan->board->columns[n].name != NULL; n++) {
        const struct codebook_field *field = column_field(scan, &scan->board->columns[n]);

        if (field != NULL && !is_strict(field)) {
            (void)json_object_set_new(json, scan->board->columns[n].name, cell_json(scan, &view, row, field));
        }
    }
    if (scan->names) {
        add_names(scan, &view, row, json);
    }
    if (scan->board->date != NULL) {
        bool dated = board_date(&summary, scan->board->date, row->of_element ? row->element : NULL, &date);
        add_state(scan, json, dated ? &date : NULL);
    }
    return json;
}

struct board_page {
    json_t *rows;
    json_t *next;
    json_t *more; /* members beside them; NULL: none */
};

static void
page_free(struct board_page *page)
{
    json_decref(page->rows);
    json_decref(page->next);
    json_decref(page->more);
    *page = (struct board_page){ .rows = NULL };
}

static void
read_records(struct call *call, const struct board *board, int64_t limit, struct board_page *page)
{
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, board->kind);
    uint64_t now_ms = world_wall_ms(call_options(call)->world);
    uint64_t late_ms = (uint64_t)board->late_days * DAY_MS;
    struct scan scan = { .call = call,
                         .board = board,
                         .kind = kind == NULL ? 0 : kind->number,
                         .kind_token = number_token(call, kind == NULL ? 0 : kind->number),
                         .limit = (size_t)limit,
                         .names = call_flag(call, "names"),
                         .examined_max = limit < EXAMINED_MAX / EXAMINED_A_ROW
                                             ? (size_t)limit * EXAMINED_A_ROW
                                             : EXAMINED_MAX,
                         .today = edtf_day_of(now_ms),
                         .late = edtf_day_of(now_ms > late_ms ? now_ms - late_ms : 0),
                         .ahead = edtf_day_of(now_ms + (uint64_t)board->ahead_days * DAY_MS) };
    struct start start;

    if (kind == NULL || !read_start(&scan, call_text(call, "after"), &start) || call->failed) {
        return;
    }
    scan_page(&scan, &start);
    for (size_t n = 0; n < scan.count && !scan.failed && !call->failed; n++) {
        json_t *row = row_of(&scan, &scan.rows[n]);

        arena_reset(&scan.work);
        if (row != NULL) {
            (void)json_array_append_new(page->rows, row);
        }
    }
    if (scan.next[0] != '\0') {
        page->next = json_string(scan.next);
    }
    if (scan.failed || scan.work.failed || call->arena.failed) {
        call_fail(call, ERR_MEMORY, "", "%s", err_text(ERR_MEMORY));
    }
    free(scan.rows);
    arena_free(&scan.work);
}

/* --- boards that are no list of records --- */

static void
read_urgent(struct call *call, const struct board *board, int64_t limit, struct board_page *page)
{
    struct urgent_page urgent = { .rows = NULL };

    (void)board;
    if (urgent_rows(call, true, limit, &urgent)) {
        (void)json_array_extend(page->rows, urgent.rows);
        page->more = json_pack("{s:I}", "waiting", (json_int_t)urgent.waiting);
    }
    json_decref(urgent.rows);
    page->next = urgent.next;
}

static void
read_conflicts(struct call *call, const struct board *board, int64_t limit, struct board_page *page)
{
    const char *text = call_text(call, "after");
    char *end = NULL;
    unsigned long after = text == NULL ? 0 : strtoul(text, &end, 10);
    uint32_t last = 0;

    (void)board;
    if (text != NULL && (end == text || *end != '\0' || after > UINT32_MAX)) {
        call_usage(call, "\"after\" is no \"next\" of an answer before");
        return;
    }
    if (conflicts_list(call, (uint32_t)after, limit, page->rows, &last)) {
        char next[16];

        (void)snprintf(next, sizeof next, "%lu", (unsigned long)last);
        page->next = json_string(next);
    }
}

/* What sync.status says of a device. */
static const json_t *
peer_of(const json_t *peers, const struct hash *device_id)
{
    char id[2 * HASH_BYTES + 1];
    size_t index;
    json_t *peer;

    bytes_hex(id, hash_span(device_id));
    json_array_foreach((json_t *)peers, index, peer)
    {
        const char *other = json_string_value(json_object_get(json_object_get(peer, "device"), "id"));

        if (other != NULL && strcmp(other, id) == 0) {
            return peer;
        }
    }
    return NULL;
}

static json_t *
member_json(const json_t *object, const char *name)
{
    json_t *member = json_object_get(object, name);

    return member == NULL ? json_null() : json_incref(member);
}

static json_t *
ahead_json(const json_t *ahead, const json_t *device)
{
    size_t index;
    json_t *one;

    json_array_foreach((json_t *)ahead, index, one)
    {
        if (json_equal(json_object_get(one, "device"), device)) {
            return json_incref(json_object_get(one, "ahead_s"));
        }
    }
    return json_integer(0);
}

static json_t *
node_json(struct call *call, const struct roster_device *device, const json_t *peers, const json_t *ahead)
{
    const json_t *peer = peer_of(peers, &device->device_id);
    bool own = hash_equal(&device->device_id, &replica_identity(call->replica)->device_id);
    uint64_t contact_ms = peers_last_heard(call_options(call)->peers, &device->device_id).at_ms;
    json_int_t waiting = json_integer_value(json_object_get(peer, "waiting_in")) +
                         json_integer_value(json_object_get(peer, "waiting_out"));
    json_t *named = device_json(call->roster, &device->device_id);
    json_t *row =
        json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:o}", "name", device->name, "office",
                  device->office == NULL ? "" : device->office->code, "state",
                  own            ? json_string("this one")
                  : peer == NULL ? json_string("not met")
                                 : member_json(peer, "state"),
                  "last_contact", time_json(contact_ms), "stored", member_json(peer, "stored"), "visible",
                  member_json(peer, "visible"), "complete", member_json(peer, "complete"), "waiting", waiting,
                  "ahead_s", ahead_json(ahead, named));

    (void)json_object_set_new(row, "device", named);
    return row;
}

/* Who was not heard of for longest comes first. */
static void
insert_node(json_t *rows, json_t *row)
{
    const char *contact = json_string_value(json_object_get(row, "last_contact"));
    size_t place = 0;

    while (place < json_array_size(rows)) {
        const char *other = json_string_value(json_object_get(json_array_get(rows, place), "last_contact"));

        if (contact == NULL ? other != NULL : other != NULL && strcmp(other, contact) > 0) {
            break;
        }
        place++;
    }
    (void)json_array_insert_new(rows, place, row);
}

static void
read_nodes(struct call *call, const struct board *board, int64_t limit, struct board_page *page)
{
    json_t *peers = peers_json(call);
    json_t *ahead = clocks_ahead_json(call);

    (void)board;
    (void)limit; /* as many as the organisation has */
    for (size_t n = 0; n < roster_device_count(call->roster); n++) {
        insert_node(page->rows, node_json(call, roster_device_at(call->roster, n), peers, ahead));
    }
    json_decref(peers);
    json_decref(ahead);
}

/* --- readiness --- */

/* Under which column a status is counted. */
static const struct {
    const char *status;
    const char *column;
} stages[] = {
    { "draft", "office" },
    { "received", "office" },
    { "triage", "office" },
    { "assessment", "office" },
    { "office_cleared", "office" },
    { "reopened", "office" },
    { "shared_with_hq", "headquarters" },
    { "hq_review", "headquarters" },
    { "action_only", "headquarters" },
    { "proposed_for_report", "proposed" },
    { "included_named", "included" },
    { "included_anonymised", "included" },
    { "counted_only", "withheld" },
    { "excluded_protection", "withheld" },
    { "follow_up", "follow_up" },
};

static const char *
stage_column(const char *status)
{
    for (size_t n = 0; n < sizeof stages / sizeof stages[0]; n++) {
        if (strcmp(stages[n].status, status) == 0) {
            return stages[n].column;
        }
    }
    return "out";
}

/* Does the summary of a window say that it is open today? Gives its symbol too. */
static bool
covers(const struct call *call, const struct record_summary *summary, const char *today, json_t **symbol_out)
{
    const struct record_item *symbol = board_item(summary, "report_symbol", NULL);
    struct edtf first;
    struct edtf last;
    struct edtf_day day;

    if (!board_date(summary, "from", NULL, &first) || !board_date(summary, "to", NULL, &last) ||
        (edtf_earliest(&first, &day) && strcmp(day.text, today) > 0) ||
        (edtf_latest(&last, &day) && strcmp(day.text, today) < 0)) {
        return false;
    }
    *symbol_out =
        symbol == NULL ? json_string("") : value_json(call->codebook, symbol->field, symbol->shown[0]);
    return true;
}

/* The reporting window that is open today; of several the one that came here last. False: there is none. */
static bool
find_window(struct call *call, struct ident *window_out, json_t **symbol_out)
{
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "reporting_window");
    const struct index_term term = { FIELD_KIND, number_token(call, kind == NULL ? 0 : kind->number) };
    struct edtf_day today = edtf_day_of(world_wall_ms(call_options(call)->world));
    struct arena work = { 0 };
    struct index_walk walk;
    uint32_t record_no = 0;
    bool found = false;

    index_walk_init(&walk, call->txn, &term, 1, UINT32_MAX);
    while (!found && index_walk_next(&walk, &record_no)) {
        struct record_summary summary;

        if (record_summary_read(call->txn, call->codebook, record_no, &work, &summary) == ERR_OK &&
            !summary.restricted && covers(call, &summary, today.text, symbol_out)) {
            *window_out = summary.record_id;
            found = true;
        }
        arena_reset(&work);
    }
    index_walk_end(&walk);
    arena_free(&work);
    return found;
}

static json_t *
state_row(struct call *call, json_t *rows, const struct codebook_field *country, struct span token)
{
    json_t *code = token_json(call, country, token, false);
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        if (json_equal(json_object_get(row, "country"), code)) {
            json_decref(code);
            return row;
        }
    }
    row = json_pack("{s:o,s:o,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "country", code, "label",
                    token_json(call, country, token, true), "cases", 0, "office", 0, "headquarters", 0,
                    "proposed", 0, "included", 0, "withheld", 0, "follow_up", 0, "out", 0);
    (void)json_array_append_new(rows, row);
    return row;
}

static void
add_count(json_t *row, const char *column, uint64_t count)
{
    json_t *cell = json_object_get(row, column);

    (void)json_integer_set(cell, json_integer_value(cell) + (json_int_t)count);
}

static void
read_readiness(struct call *call, const struct board *board, int64_t limit, struct board_page *page)
{
    const struct codebook_kind *kind = codebook_kind_by_name(call->codebook, "case");
    uint32_t number = kind == NULL ? 0 : kind->number;
    const struct codebook_field *country = codebook_field_by_name(call->codebook, number, "country_of_act");
    const struct codebook_field *status = codebook_field_by_name(call->codebook, number, "status");
    const struct codebook_field *window = codebook_field_by_name(call->codebook, number, "reporting_window");
    const struct index_pair *pairs = NULL;
    struct ident window_id;
    struct buf token = { 0 };
    json_t *symbol = NULL;
    size_t count = 0;

    (void)board;
    (void)limit; /* there are fewer States than a page has rows */
    if (country == NULL || status == NULL || window == NULL || !find_window(call, &window_id, &symbol)) {
        page->more = json_pack("{s:n,s:n}", "window", "report_symbol");
        return;
    }
    page->more = json_pack("{s:o,s:o}", "window", hex_json(ident_span(&window_id)), "report_symbol", symbol);
    cbor_put_bytes(&token, ident_span(&window_id));
    const struct index_term terms[] = { { FIELD_KIND, number_token(call, number) },
                                        { window->number, buf_span(&token) } };
    enum err err =
        index_cross(call->txn, country->number, status->number, terms, 2, &call->arena, &pairs, &count);
    buf_free(&token);
    if (err != ERR_OK) {
        call_fail(call, err, "", "%s", err_text(err));
        return;
    }
    for (size_t n = 0; n < count; n++) {
        json_t *row = state_row(call, page->rows, country, pairs[n].a);
        json_t *name = token_json(call, status, pairs[n].b, false);

        add_count(row, stage_column(json_is_string(name) ? json_string_value(name) : ""), pairs[n].count);
        add_count(row, "cases", pairs[n].count);
        json_decref(name);
    }
}

/* --- board --- */

static void
read_page(struct call *call, const struct board *board, int64_t limit, struct board_page *page)
{
    static void (*const readers[])(struct call * call, const struct board *board, int64_t limit,
                                   struct board_page *page) = {
        [BOARD_RECORDS] = read_records,     [BOARD_URGENT] = read_urgent,
        [BOARD_CONFLICTS] = read_conflicts, [BOARD_NODES] = read_nodes,
        [BOARD_READINESS] = read_readiness,
    };

    *page = (struct board_page){ .rows = json_array() };
    readers[board->source](call, board, limit, page);
    if (page->next == NULL) {
        page->next = json_null();
    }
}

static json_t *
columns_json(struct call *call, const struct board *board)
{
    const struct codebook_kind *kind =
        board->kind == NULL ? NULL : codebook_kind_by_name(call->codebook, board->kind);
    json_t *columns = json_array();

    for (size_t n = 0; n < BOARD_COLUMNS_MAX && board->columns[n].name != NULL; n++) {
        const struct board_column *column = &board->columns[n];
        const struct codebook_field *field =
            kind == NULL || column->field == NULL
                ? NULL
                : codebook_field_by_name(call->codebook, kind->number, column->field);
        if (is_strict(field) && !call_flag(call, "names")) {
            continue;
        }
        const char *label = column->label != NULL ? column->label
                            : field != NULL       ? field->label
                                                  : column->name;

        (void)json_array_append_new(columns, json_pack("{s:s,s:s}", "name", column->name, "label", label));
    }
    return columns;
}

/* The names of all, with how many rows each has: of more than COUNT_MAX, that there are more. */
static void
list_boards(struct call *call)
{
    json_t *list = json_array();
    size_t count = 0;
    const struct board *boards = board_all(&count);

    for (size_t n = 0; n < count && !call->failed; n++) {
        struct board_page page;

        read_page(call, &boards[n], COUNT_MAX, &page);
        (void)json_array_append_new(
            list, json_pack("{s:s,s:s,s:I,s:b}", "name", boards[n].name, "label", boards[n].label, "count",
                            (json_int_t)json_array_size(page.rows), "more", !json_is_null(page.next)));
        page_free(&page);
    }
    call_ok(call, json_pack("{s:o}", "boards", list));
}

void
call_board(struct call *call)
{
    const char *name = call_text(call, "name");
    int64_t limit = call_number(call, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT);
    const struct board *board = name == NULL ? NULL : board_find(name);
    struct board_page page;

    if (call->failed) {
        return;
    }
    if (name == NULL && call_flag(call, "names")) {
        call_usage(call, "\"names\" are shown on a board, and not in the list of boards");
    }
    if (name == NULL) {
        list_boards(call);
        return;
    }
    if (board == NULL) {
        call_fail(call, ERR_ABSENT, "vigil board lists them", "there is no board called %.60s", name);
        return;
    }
    read_page(call, board, limit, &page);
    if (!call->failed) {
        call_ok(call, json_pack("{s:s,s:s,s:o,s:O,s:O}", "name", board->name, "label", board->label,
                                "columns", columns_json(call, board), "rows", page.rows, "next", page.next));
    }
    if (!call->failed && page.more != NULL) {
        (void)json_object_update(call->ok, page.more);
    }
    page_free(&page);
}
